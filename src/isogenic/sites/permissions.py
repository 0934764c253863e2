"""What a site holds about what it may do: master files, licences and leases of the control site, and its own clock to hold them against.

Guarantees: only the control site's ledger grants anything; the clock's history is the house's; the highest time is that of
all ledgers. So facts of different ledgers may be folded in any interleaving (I8).
Leaves to others: judging (authority.permission), what a running batch does when it ends (safe_completion).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from isogenic.authority import leases, licences
from isogenic.authority.leases import LeaseGranted, OwnClock, Span, span
from isogenic.authority.licences import Licence, LicenceApplied, LicenceChanged
from isogenic.authority.master_file import MasterFileAnswered, MasterFilePublished
from isogenic.authority.safety import SafeCompletionBegun
from isogenic.clock import Moment
from isogenic.ids import BatchId, LicenceId, MasterFileId
from isogenic.records.compiled import replaced
from isogenic.records.dossier import CONTROL, written_by
from isogenic.records.facts import Fact
from isogenic.records.times import ClockMeasured, ClockStepped

__all__ = ["Permissions"]

OF_KEYS = "records.key_"  # a ledger notes these by itself: they are folded at the next start only
Version = tuple[MasterFileId, int]


@dataclass(frozen=True, slots=True)
class Permissions:
    """What was told, and when."""

    files: Mapping[Version, MasterFilePublished] = field(default_factory=dict)
    answers: Mapping[Version, MasterFileAnswered] = field(default_factory=dict)
    licences: Mapping[LicenceId, Licence] = field(default_factory=dict)
    leases: Mapping[LicenceId, LeaseGranted] = field(default_factory=dict)
    safe: Mapping[BatchId, tuple[SafeCompletionBegun, ...]] = field(default_factory=dict)
    clock: OwnClock = field(default_factory=OwnClock)
    seen: datetime | None = None  # the highest time of any fact here

    def span(self, now: Moment) -> Span:
        """Between which times the true time lies."""
        return span(now, seen=self.seen, clock=self.clock)

    def latest(self, now: Moment | datetime) -> datetime:
        """What must not have expired is held against this: a clock that is set back prolongs nothing."""
        return self.span(now if isinstance(now, Moment) else Moment(now)).latest

    def after(self, fact: Fact) -> Permissions:
        """The same after one more fact."""
        later = not fact.kind.startswith(OF_KEYS) and (self.seen is None or fact.at > self.seen)
        kept = replaced(self, seen=fact.at) if later else self
        payload = fact.payload
        match payload:
            case ClockMeasured() | ClockStepped():
                return replace(kept, clock=kept.clock.after(payload))
            case MasterFileAnswered():
                return replace(kept, answers={**kept.answers, (payload.master_file, payload.version): payload})
            case SafeCompletionBegun():
                return replace(kept, safe={**kept.safe, payload.batch: (*kept.safe.get(payload.batch, ()), payload)})
            case MasterFilePublished() | LicenceApplied() | LicenceChanged() | LeaseGranted() if written_by(fact.ref.ledger) == CONTROL:
                return kept._granted(fact)
        return kept

    def _granted(self, fact: Fact) -> Permissions:
        payload = fact.payload
        match payload:
            case MasterFilePublished():
                return replace(self, files={**self.files, (payload.master_file, payload.version): payload})
            case LeaseGranted():
                return replace(self, leases=leases.apply(self.leases, payload))
        return replace(self, licences=licences.apply(self.licences, payload, at=fact.at))
