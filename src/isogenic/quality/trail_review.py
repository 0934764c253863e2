"""The review of a batch's audit trail, recorded: what was reviewed, by whom, when (EU Annex 11, 9; draft of 2025, 12).

Guarantees: a review names the ledger, the range of facts, the root over them and a digest of
the very lines that were shown, and is signed over all of that; it counts for a release only
where it covers the whole record, and where the reviewer did not run the batch.
Leaves to others: the lines (trail), noting (network), whether a release waits for it (release, specifications).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from isogenic.errors import NotValid
from isogenic.ids import BatchId, LotId, SiteId
from isogenic.records import codec
from isogenic.records.facts import fact
from isogenic.records.signatures import Signature

__all__ = ["TrailReviewed", "noted_review_digest", "trail_review_digest"]

REMARK_MAX = 500


@fact("quality.trail_reviewed", subject="lot")
@dataclass(frozen=True, slots=True)
class TrailReviewed:
    """A person reviewed the audit trail of a batch, from one fact of its ledger to another."""

    batch: BatchId
    lot: LotId
    site: SiteId
    ledger: str
    start: int  # first position
    stop: int  # one more than the last
    root: str  # hex, over the first `stop` facts of the ledger
    filter: dict[str, str]  # which lines were looked at
    lines: int  # how many that were
    digest: str  # hex SHA-256 of them, as they are exported
    remark: str
    signature: Signature


def trail_review_digest(
    *,
    batch: BatchId,
    lot: LotId,
    site: SiteId,
    ledger: str,
    start: int,
    stop: int,
    root: str,
    filter_: dict[str, str],
    lines: int,
    digest: str,
    remark: str,
) -> str:
    """What the reviewer signs: hex SHA-256 over what was reviewed and what was found."""
    if len(remark) > REMARK_MAX or not remark.replace("\n", " ").isprintable():
        raise NotValid("cannot sign this review", why=f"a remark has at most {REMARK_MAX} printable characters")
    signed = {
        "batch": str(batch),
        "digest": digest,
        "filter": {key: codec.plain(value) for key, value in filter_.items()},
        "isogenic": "trail-review/1",
        "ledger": ledger,
        "lines": lines,
        "lot": str(lot),
        "remark": codec.plain(remark),
        "root": root,
        "site": str(site),
        "start": start,
        "stop": stop,
    }
    return sha256(codec.dumps(signed)).hexdigest()


def noted_review_digest(review: TrailReviewed) -> str:
    """The same, from what was noted."""
    return trail_review_digest(
        batch=review.batch,
        lot=review.lot,
        site=review.site,
        ledger=review.ledger,
        start=review.start,
        stop=review.stop,
        root=review.root,
        filter_=review.filter,
        lines=review.lines,
        digest=review.digest,
        remark=review.remark,
    )
