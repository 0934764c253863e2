"""Reviewing a batch's audit trail at the control site: what is put before a person, and what they sign.

Guarantees: a review is over the whole trail of the batch in the ledger in which it was made, up
to a root that the control site holds and cosigned; the lines are digested as they are exported,
and a review of lines that have changed since they were shown is refused.
Leaves to others: the lines (quality.trail), whether a release waits for it (quality.release).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from isogenic.authority.people import Person
from isogenic.authority.rules import Act, require, roles_that_may
from isogenic.authority.signatures import MEANINGS, Pen, accept_signature, sign
from isogenic.errors import NotAllowed, NotFound
from isogenic.ids import BatchId, LotId, SiteId
from isogenic.network.control import ControlNode, decided_alone
from isogenic.network.decisions import directory, witness_of
from isogenic.quality.record import LotRecord
from isogenic.quality.trail import EXPORT_MAX, Wanted, all_lines, asked_of, exported
from isogenic.quality.trail_review import TrailReviewed, trail_review_digest
from isogenic.records.facts import Actor
from isogenic.records.notes import Signer

__all__ = ["TrailCase", "review_trail", "trail_case"]


@dataclass(frozen=True, slots=True)
class TrailCase:
    """What a reviewer looks at."""

    record: LotRecord
    lot: LotId
    site: SiteId
    stop: int  # of the ledger: facts from 0 up to here
    root: str
    wanted: Wanted
    lines: int
    digest: str  # of the lines, as they are exported


def trail_case(node: ControlNode, batch: BatchId) -> TrailCase:
    """The trail of a batch as it stands, or why there is none to review."""
    record = node.state.lots.get(batch)
    if record is None or record.site is None or record.lot is None:
        raise NotFound(f"no batch {batch}", why="no site has told of it")
    refused = f"cannot review the audit trail of {batch}"
    if node.derived is None:
        raise NotFound(refused, why="this node keeps no derived tables")
    seen = witness_of(node, record)
    if seen.size == 0 or len(seen.root) != 64:
        raise NotAllowed(refused, why="no root that covers it is held yet", possible="wait for the site")
    wanted = Wanted(batch=str(batch), ledger=record.ledger, below=seen.size)
    lines = all_lines(node.derived.db, wanted)
    if len(lines) > EXPORT_MAX:
        raise NotAllowed(refused, why=f"it has more than {EXPORT_MAX} lines")
    digest = sha256(exported(lines, wanted, whole=True)).hexdigest()
    return TrailCase(record, record.lot, record.site, seen.size, seen.root, wanted, len(lines), digest)


@decided_alone
def review_trail(node: ControlNode, person: Person, signer: Signer | Pen, *, batch: BatchId, shown: str, remark: str) -> TrailReviewed:
    """Note that a person reviewed the trail that was shown, whose lines have this digest."""
    case = trail_case(node, batch)
    record = case.record
    require(person, Act.REVIEW_TRAIL, site=case.site, operators=record.operators)
    if shown != case.digest:
        raise NotAllowed(f"cannot sign the review of {batch}", why="the trail has changed since it was shown", possible="look at it again, then sign")
    said = {
        "batch": batch,
        "lot": case.lot,
        "site": case.site,
        "ledger": record.ledger,
        "start": 0,
        "stop": case.stop,
        "root": case.root,
        "lines": case.lines,
        "digest": case.digest,
        "remark": remark.strip(),
    }
    asked = asked_of(case.wanted)
    digest = trail_review_digest(**said, filter_=asked)  # type: ignore[arg-type]
    role = next(role for role in roles_that_may(Act.REVIEW_TRAIL) if role in person.roles)
    signature = sign(signer, person, role=role, meaning=MEANINGS[Act.REVIEW_TRAIL], at=node.clock.now().at, digest=digest)
    accept_signature(signature, Act.REVIEW_TRAIL, digest=digest, directory=directory(node), site=case.site, operators=record.operators)
    reviewed = TrailReviewed(**said, filter=asked, signature=signature)  # type: ignore[arg-type]
    node.note([reviewed], site=case.site, actor=Actor(str(person.id), str(role), signature.method))
    return reviewed
