"""What the control site notes of itself, and of the sites it directs."""

from __future__ import annotations

from dataclasses import dataclass

from isogenic.ids import NodeId, PersonId, SiteId
from isogenic.records.facts import fact

__all__ = [
    "ControlStarted",
    "ControlStopped",
    "HeartbeatKept",
    "PageRefused",
    "PersonRefused",
    "PersonSignInRefused",
    "PersonSignedIn",
    "SiteSilent",
    "StatementIssued",
]


@fact("network.control_started", subject="node", house=True)
@dataclass(frozen=True, slots=True)
class ControlStarted:
    """The control site began to run."""

    node: NodeId
    software: str


@fact("network.control_stopped", subject="node", house=True)
@dataclass(frozen=True, slots=True)
class ControlStopped:
    """The control site was stopped in good order."""

    node: NodeId


@fact("network.page_refused", subject="site", house=True)
@dataclass(frozen=True, slots=True)
class PageRefused:
    """A page of a site's ledger did not verify. The page itself is kept as evidence, by its digest."""

    site: SiteId
    why: str
    digest: str


@fact("network.site_silent", subject="site", house=True)
@dataclass(frozen=True, slots=True)
class SiteSilent:
    """A site has not been heard for longer than it promised."""

    site: SiteId
    seconds: int


@fact("network.person_signed_in", subject="person", house=True)
@dataclass(frozen=True, slots=True)
class PersonSignedIn:
    """A person signed in at the control site (21 CFR 11.300)."""

    person: PersonId
    method: str


@fact("network.sign_in_refused", subject="person", house=True)
@dataclass(frozen=True, slots=True)
class PersonSignInRefused:
    """A sign-in at the control site failed, or the account is locked (21 CFR 11.300(d))."""

    person: str
    why: str


@fact("network.person_refused", subject="person", house=True)
@dataclass(frozen=True, slots=True)
class PersonRefused:
    """A person asked the control site for something that was not allowed."""

    person: PersonId
    act: str
    reasons: tuple[str, ...]


@fact("network.statement_issued", subject="subject")
@dataclass(frozen=True, slots=True)
class StatementIssued:
    """A statement for strangers was signed: its digest, so that a receipt can prove that it was noted."""

    subject: str  # what it is about, as its header says
    statement: str  # its kind
    digest: str  # hex SHA-256 of the COSE message without receipts
    by: PersonId


@fact("network.heartbeat_kept", subject="site", house=True)
@dataclass(frozen=True, slots=True)
class HeartbeatKept:
    """A site told, by its signature, of facts that are not here yet: what it brings later must be those."""

    site: SiteId
    note: str


@fact("network.tail_withheld", subject="site", house=True)
@dataclass(frozen=True, slots=True)
class TailWithheld:
    """A site is heard and tells of facts, and has brought none of them for longer than any link takes."""

    site: SiteId
    ledger: str
    held: int
    told: int
    seconds: int
