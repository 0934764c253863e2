"""What a site notes of itself: its own ledger, the house."""

from __future__ import annotations

from dataclasses import dataclass

from isogenic.ids import LotId, ModuleId, PersonId, RecipeId, SiteId, UnitId
from isogenic.records.facts import fact

__all__ = [
    "BatchRefused",
    "DiskFilled",
    "DiskFreed",
    "LedgerRefused",
    "LinkLost",
    "LinkRestored",
    "ModuleLost",
    "ModuleRestored",
    "NodeStarted",
    "NodeStopped",
    "RequestRefused",
    "SetpointRefused",
    "SignInRefused",
    "SignedIn",
    "WatermarkReceived",
]


@fact("sites.node_started", subject="site", house=True)
@dataclass(frozen=True, slots=True)
class NodeStarted:
    """The node began to run: which software, resuming how many batches."""

    site: SiteId
    software: str
    resumed: int


@fact("sites.node_stopped", subject="site", house=True)
@dataclass(frozen=True, slots=True)
class NodeStopped:
    """The node was stopped in good order. A start without a stop before it was a crash or a power cut."""

    site: SiteId


@fact("sites.link_lost", subject="site", house=True)
@dataclass(frozen=True, slots=True)
class LinkLost:
    """The control site no longer answers."""

    site: SiteId
    why: str


@fact("sites.link_restored", subject="site", house=True)
@dataclass(frozen=True, slots=True)
class LinkRestored:
    """The control site answers again."""

    site: SiteId


@fact("sites.ledger_refused", subject="ledger", house=True)
@dataclass(frozen=True, slots=True)
class LedgerRefused:
    """A ledger (or a blob, by its digest) does not verify at the other side, or not here: nothing more of it moves until people have looked."""

    ledger: str
    why: str


@fact("sites.disk_filled", subject="site", house=True)
@dataclass(frozen=True, slots=True)
class DiskFilled:
    """The disk is nearly full: the site takes no new work, and has given up its ballast so that running batches go on."""

    site: SiteId
    free: int  # bytes


@fact("sites.disk_freed", subject="site", house=True)
@dataclass(frozen=True, slots=True)
class DiskFreed:
    """There is room on the disk again: the site takes new work."""

    site: SiteId
    free: int  # bytes


@fact("sites.module_lost", subject="module", house=True)
@dataclass(frozen=True, slots=True)
class ModuleLost:
    """A module no longer answers: its readings are bad from here on."""

    unit: UnitId
    module: ModuleId
    why: str


@fact("sites.module_restored", subject="module", house=True)
@dataclass(frozen=True, slots=True)
class ModuleRestored:
    """A module answers again."""

    unit: UnitId
    module: ModuleId


@fact("sites.setpoint_refused", subject="tag", house=True)
@dataclass(frozen=True, slots=True)
class SetpointRefused:
    """A module did not take a set-point that was noted and sent."""

    tag: str
    why: str


@fact("sites.batch_refused", subject="lot")
@dataclass(frozen=True, slots=True)
class BatchRefused:
    """A batch was asked for and not started (invariant I2): every reason, each with its clause."""

    lot: LotId
    recipe: RecipeId
    unit: UnitId
    asked_by: PersonId
    reasons: tuple[str, ...]


@fact("sites.request_refused", subject="person", house=True)
@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A person asked for something that was not allowed."""

    person: PersonId
    act: str
    reasons: tuple[str, ...]


@fact("sites.signed_in", subject="person", house=True)
@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person signed in (21 CFR 11.300)."""

    person: PersonId
    method: str


@fact("sites.sign_in_refused", subject="person", house=True)
@dataclass(frozen=True, slots=True)
class SignInRefused:
    """A sign-in failed, or the account is locked (21 CFR 11.300(d))."""

    person: str  # as typed: it may name nobody
    why: str


@fact("sites.watermark_received", subject="ledger", house=True)
@dataclass(frozen=True, slots=True)
class WatermarkReceived:
    """The control site has signed that it holds so many facts of a ledger, and the blocks that they name, in two stores."""

    ledger: str
    size: int
    note: str
