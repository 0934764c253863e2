"""A site's licence to work by a master file: an enforced state table, every command of it signed.

The licence holder applies for a site, and the licence is **onboarding**: the site is being equipped, its people trained, its
first batches made for comparison. When quality has found the site able, it is *qualified*: nothing may be made for supply
yet. A qualified person, who is not the one that applied, *activates* it: from now on batches may start, while a lease lasts.
**Paused** is a rest without blame (no demand, a rebuild): the same person's roles resume it. **Suspended** is doubt: quality,
the qualified person or the regulatory affairs (for the authority) say so, leases are not renewed, running batches follow the
product's rule of safe completion; a suspended licence is *reinstated* to qualified, never straight to active, so that
somebody activates it anew. **Ceased** is the end; a new licence gets a new name.

    state        command -> state
    onboarding   qualify -> qualified                                      cease -> ceased
    qualified    activate -> active       suspend -> suspended             cease -> ceased
    active       pause -> paused          suspend -> suspended             cease -> ceased
    paused       resume -> active         suspend -> suspended             cease -> ceased
    suspended    reinstate -> qualified                                    cease -> ceased
    ceased

Sources: Human Medicines Regulations 2012, regs 17A and 17B (a product is specified in a licence; SI 2025/87 reg. 6), 26 and
28 (suspension); Directive 2001/83/EC, Arts 40 and 118; 21 CFR 601.6. A refusal changes nothing and says what is possible.

Guarantees: `apply` takes the facts in the order of one ledger; a fact that the table does not allow from where the licence
stands changes nothing, and is kept as `strange`.
Leaves to others: who may give which command (rules), whether signatures verify (signed, gate), leases (leases).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from isogenic.authority.rules import Act
from isogenic.errors import NotAllowed, NotValid
from isogenic.ids import LicenceId, MasterFileId, PersonId, ProductId, SiteId, SponsorId
from isogenic.records import codec
from isogenic.records.facts import Payload, fact
from isogenic.records.signatures import Signature

__all__ = [
    "ACTS",
    "NEXT",
    "Command",
    "Licence",
    "LicenceApplied",
    "LicenceChanged",
    "State",
    "about_application",
    "apply",
    "licence_digest",
    "possible",
    "target",
]

WHY_MAX = 300


class State(StrEnum):
    """Where a licence stands."""

    ONBOARDING = "onboarding"
    QUALIFIED = "qualified"
    ACTIVE = "active"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    CEASED = "ceased"


class Command(StrEnum):
    """What can be asked of a licence. `apply` begins one."""

    APPLY = "apply"
    QUALIFY = "qualify"
    ACTIVATE = "activate"
    PAUSE = "pause"
    RESUME = "resume"
    SUSPEND = "suspend"
    REINSTATE = "reinstate"
    CEASE = "cease"


_END = {Command.CEASE: State.CEASED}

NEXT: Mapping[State, Mapping[Command, State]] = {
    State.ONBOARDING: {Command.QUALIFY: State.QUALIFIED, **_END},
    State.QUALIFIED: {Command.ACTIVATE: State.ACTIVE, Command.SUSPEND: State.SUSPENDED, **_END},
    State.ACTIVE: {Command.PAUSE: State.PAUSED, Command.SUSPEND: State.SUSPENDED, **_END},
    State.PAUSED: {Command.RESUME: State.ACTIVE, Command.SUSPEND: State.SUSPENDED, **_END},
    State.SUSPENDED: {Command.REINSTATE: State.QUALIFIED, **_END},
    State.CEASED: {},
}

ACTS: Mapping[Command, Act] = {
    Command.APPLY: Act.APPLY_LICENCE,
    Command.QUALIFY: Act.QUALIFY_LICENCE,
    Command.ACTIVATE: Act.ACTIVATE_LICENCE,
    Command.PAUSE: Act.PAUSE_LICENCE,
    Command.RESUME: Act.RESUME_LICENCE,
    Command.SUSPEND: Act.SUSPEND_LICENCE,
    Command.REINSTATE: Act.REINSTATE_LICENCE,
    Command.CEASE: Act.CEASE_LICENCE,
}


def possible(state: State) -> str:
    """The commands that a state takes, as a refusal says them."""
    return ", ".join(NEXT[state]) or "nothing: apply for a new licence"


def target(state: State, command: Command, *, what: str = "the licence") -> State:
    """The state that a command leads to, or `NotAllowed` saying what is possible."""
    if command not in NEXT[state]:
        raise NotAllowed(f"cannot {command} {what}", why=f"it is {state}", possible=possible(state))
    return NEXT[state][command]


def _reason(why: str) -> None:
    if not why.strip() or len(why) > WHY_MAX or not why.isprintable():
        raise NotValid("cannot note a change of a licence", why=f"a reason is one line of 1 to {WHY_MAX} printable characters")


@fact("authority.licence_applied", subject="licence")
@dataclass(frozen=True, slots=True)
class LicenceApplied:
    """The licence holder applied for a site to work by a master file: the licence is onboarding."""

    licence: LicenceId
    site: SiteId
    master_file: MasterFileId
    product: ProductId
    reference: str  # of the application, or of the authorisation that it stands under
    why: str
    signature: Signature
    sponsor: SponsorId | None = None

    def __post_init__(self) -> None:
        _reason(self.why)


@fact("authority.licence_changed", subject="licence")
@dataclass(frozen=True, slots=True)
class LicenceChanged:
    """A command was given to a licence, by signature, and where it stands since."""

    licence: LicenceId
    site: SiteId
    command: Command
    state: State
    number: int  # of the change: the first is 1
    why: str
    signature: Signature
    sponsor: SponsorId | None = None

    def __post_init__(self) -> None:
        _reason(self.why)


def licence_digest(licence: LicenceId, command: Command, *, site: SiteId, number: int, why: str, about: str = "") -> str:
    """What a person signs: which command, of which licence of which site, which change of it, why; of an application, `about` what."""
    said = {"licence": str(licence), "command": str(command), "site": str(site), "number": number, "why": why, "about": about}
    return sha256(b"isogenic-licence/1\n" + codec.dumps(said)).hexdigest()


def about_application(applied: LicenceApplied) -> str:
    """What an application is about, beside its site."""
    return f"{applied.master_file} {applied.product} {applied.reference}"


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence as its facts tell it."""

    applied: LicenceApplied
    state: State = State.ONBOARDING
    changes: tuple[LicenceChanged, ...] = ()
    since: datetime | None = None  # of the state
    strange: int = 0  # facts that the table does not allow

    @property
    def id(self) -> LicenceId:
        """Which licence."""
        return self.applied.licence

    @property
    def site(self) -> SiteId:
        """Whose."""
        return self.applied.site

    @property
    def applicant(self) -> PersonId:
        """Who applied: not who activates."""
        return self.applied.signature.person

    @property
    def why(self) -> str:
        """The reason of the newest change."""
        return self.changes[-1].why if self.changes else self.applied.why


Licences = Mapping[LicenceId, Licence]


def apply(licences: Licences, payload: Payload, *, at: datetime | None = None) -> Licences:
    """The licences after one more fact of the control site."""
    match payload:
        case LicenceApplied() if payload.licence not in licences:
            return {**licences, payload.licence: Licence(payload, since=at)}
        case LicenceApplied() | LicenceChanged() if payload.licence in licences:
            known = licences[payload.licence]
            if isinstance(payload, LicenceApplied) or not _follows(known, payload):
                return {**licences, known.id: replace(known, strange=known.strange + 1)}
            return {**licences, known.id: replace(known, state=payload.state, changes=(*known.changes, payload), since=at)}
    return licences


def _follows(known: Licence, change: LicenceChanged) -> bool:
    return change.site == known.site and change.number == len(known.changes) + 1 and NEXT[known.state].get(change.command) == change.state
