"""Deviations: departures from what was approved, each to be disposed of by a person.

    from    command    to
    open    dispose    disposed     accept: the lot may go on; reject: it may not. By signature, with the reason.
    disposed                        final: who thinks otherwise opens another deviation that names this one

Guarantees: a deviation is opened with its evidence and disposed of once, by a person who
may, over a digest that covers the disposition, its reason and the deviation itself
(21 CFR 211.192).
Leaves to others: finding deviations (monitoring, batches), what they mean for a lot (release).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from isogenic.authority.people import Directory
from isogenic.authority.rules import Act
from isogenic.authority.signatures import accept_signature
from isogenic.errors import NotAllowed, NotValid
from isogenic.ids import BatchId, DeviationId, LotId, PersonId, SiteId
from isogenic.records import codec
from isogenic.records.facts import fact
from isogenic.records.signatures import Signature

__all__ = [
    "NEXT",
    "RECONCILIATION",
    "Deviation",
    "DeviationCommand",
    "DeviationDisposed",
    "DeviationOpened",
    "DeviationState",
    "Disposition",
    "Origin",
    "Severity",
    "dispose",
    "disposition_digest",
    "open_from_finding",
]

STATEMENT_MAX = 500  # characters: one paragraph on a screen; the details are evidence
EVIDENCE_MAX = 40  # entries
RECONCILIATION = "reconciliation"  # the evidence of a deviation that was opened because counts do not reconcile


class DeviationState(StrEnum):
    """Where a deviation stands."""

    OPEN = "open"
    DISPOSED = "disposed"


class DeviationCommand(StrEnum):
    """What can be done with a deviation."""

    DISPOSE = "dispose"


NEXT: Mapping[DeviationState, Mapping[DeviationCommand, DeviationState]] = {
    DeviationState.OPEN: {DeviationCommand.DISPOSE: DeviationState.DISPOSED},
    DeviationState.DISPOSED: {},
}


class Origin(StrEnum):
    """Who found it."""

    MONITOR = "monitor"
    ENGINE = "engine"
    PERSON = "person"
    DRIFT = "drift"  # equipment that does not run what was released


class Severity(StrEnum):
    """How much it may touch the patient."""

    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


class Disposition(StrEnum):
    """What a person decided for the lot."""

    ACCEPT = "accept"
    REJECT = "reject"


@fact("quality.deviation_opened", subject="deviation")
@dataclass(frozen=True, slots=True)
class DeviationOpened:
    """Something departed from what was approved."""

    deviation: DeviationId
    batch: BatchId
    lot: LotId
    site: SiteId
    origin: Origin
    severity: Severity
    statement: str
    evidence: dict[str, str]
    detected_at: datetime


@fact("quality.deviation_disposed", subject="deviation")
@dataclass(frozen=True, slots=True)
class DeviationDisposed:
    """A person decided what a deviation means for its lot."""

    deviation: DeviationId
    batch: BatchId
    lot: LotId
    disposition: Disposition
    justification: str
    signature: Signature


@dataclass(frozen=True, slots=True)
class Deviation:
    """A deviation as it stands."""

    opened: DeviationOpened
    disposed: DeviationDisposed | None = None

    @property
    def state(self) -> DeviationState:
        """Where it stands."""
        return DeviationState.OPEN if self.disposed is None else DeviationState.DISPOSED


def _paragraph(text: str, *, what: str) -> str:
    text = text.strip()
    if not text or len(text) > STATEMENT_MAX or not text.replace("\n", " ").isprintable():
        raise NotValid(f"cannot note {what}", why=f"it is 1 to {STATEMENT_MAX} printable characters")
    return text


def open_from_finding(
    deviation: DeviationId,
    finding: str,
    *,
    batch: BatchId,
    lot: LotId,
    site: SiteId,
    origin: Origin,
    severity: Severity,
    evidence: Mapping[str, str],
    detected_at: datetime,
) -> DeviationOpened:
    """Open a deviation from what a monitor, the engine or a person found.

    A finding that is too long is cut, not refused: a deviation must never fail to open for its wording.
    """
    said = " ".join("".join(sign if sign.isprintable() else " " for sign in finding).split()) or "no statement was given"
    statement = said if len(said) <= STATEMENT_MAX else said[: STATEMENT_MAX - 1] + "…"
    kept = {str(key)[:80]: str(value)[:STATEMENT_MAX] for key, value in list(evidence.items())[:EVIDENCE_MAX]}
    return DeviationOpened(deviation, batch, lot, site, origin, severity, statement, kept, detected_at)


def disposition_digest(opened: DeviationOpened, disposition: Disposition, justification: str) -> str:
    """What the disposing person signs: hex SHA-256 over the deviation as opened, the disposition and its reason."""
    signed = {
        "disposition": str(disposition),
        "isogenic": "disposition/1",
        "justification": codec.plain(justification.strip()),
        "opened": codec.plain(opened),
    }
    return sha256(codec.dumps(signed)).hexdigest()


def dispose(
    deviation: Deviation,
    disposition: Disposition,
    *,
    justification: str,
    signature: Signature,
    directory: Directory,
    operators: Collection[PersonId],
) -> DeviationDisposed:
    """Dispose of an open deviation. Raises `NotAllowed`, `NotValid` or `NotTrusted`; nothing changes then."""
    opened = deviation.opened
    refused = f"cannot dispose of {opened.deviation}"
    row = NEXT[deviation.state]
    if DeviationCommand.DISPOSE not in row:
        raise NotAllowed(refused, why=f"it is {deviation.state}", possible=", ".join(row) or "open another deviation that names this one")
    reason = _paragraph(justification, what=f"the justification for {opened.deviation}")
    digest = disposition_digest(opened, disposition, reason)
    accept_signature(signature, Act.DISPOSE_DEVIATION, digest=digest, directory=directory, site=opened.site, operators=operators)
    return DeviationDisposed(opened.deviation, opened.batch, opened.lot, disposition, reason, signature)
