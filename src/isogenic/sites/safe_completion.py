"""What a running batch does when the permission to make it ends: its product's rule, declared in the master file.

    cause              heard                                             rule
    suspended, ceased  from the control site                             on_suspension
    lease ended        from the site's own clock: nobody was heard       on_lease_end

    complete           it goes on to its end, and the record says that it was made on under that rule
    hold               it is held; restart is refused while the cause stands
    hand_over          it is held for the one that is named to take it on

A further unit that a running batch asks for has to be in the master file, of its class and where the file says (I2). A permission
that ended does not stand against it where the rule is `complete`.

Guarantees: pure; the rule is noted once for a batch and each time that the permission ends (a second suspension is another
one), before the command that follows from it, which is a fact of its own. A rule that was not declared is `complete`: a link
that is down stops no running batch (I6).
Leaves to others: the state table (batches).
"""

from __future__ import annotations

from typing import NamedTuple

from isogenic.authority.licences import State
from isogenic.authority.master_file import MasterFile, Safe, file_of
from isogenic.authority.permission import licence_of, may_take
from isogenic.authority.safety import SafeCompletionBegun
from isogenic.batches import engine
from isogenic.batches.engine import BatchState
from isogenic.batches.states import NEXT, Command
from isogenic.checks import Note, Severity
from isogenic.clock import Moment, text_of_time
from isogenic.errors import Refusal
from isogenic.ids import BatchId, LicenceId, UnitId
from isogenic.records.facts import Payload
from isogenic.sites.standing import standing_of
from isogenic.sites.state import SiteState

__all__ = ["LEASE_ENDED", "check_may_restart", "check_may_take", "safe_completion"]

LEASE_ENDED = "lease ended"
ENDED = (State.SUSPENDED, State.CEASED)


class _Ended(NamedTuple):
    """That the permission to make a batch ended, and how."""

    file: MasterFile
    licence: LicenceId
    cause: str
    number: int  # of the licence's change, or of the lease
    why: str

    @property
    def rule(self) -> Safe:
        return self.file.safe.on_lease_end if self.cause == LEASE_ENDED else self.file.safe.on_suspension

    def is_of(self, begun: SafeCompletionBegun) -> bool:
        return (begun.licence, begun.cause, begun.number) == (self.licence, self.cause, self.number)


def safe_completion(state: SiteState, batch: BatchState, now: Moment) -> list[Payload]:
    """What follows for a running batch from the state of its licence and lease; nothing where all is well or it was said before."""
    found = _cause(state, batch, now)
    if found is None:
        return []
    name, rule, to = batch.control.batch, found.rule, found.file.safe.hand_over_to
    if any(found.is_of(each) for each in state.permission.safe.get(name, ())):
        return []
    begun = SafeCompletionBegun(name, found.licence, found.cause, rule, to, found.why, found.number)
    if rule is Safe.COMPLETE or Command.HOLD not in NEXT[batch.state]:
        return [begun]
    over = f", to be handed over to {to}" if rule is Safe.HAND_OVER else ""
    return [begun, *engine.command(batch, Command.HOLD, why=f"{found.licence} {found.cause}: {found.why}{over}"[:300])]


def _cause(state: SiteState, batch: BatchState, now: Moment) -> _Ended | None:
    recipe = batch.control.recipe
    files = [file for each in state.permission.files.values() if (file := file_of(each)) is not None and file.recipe == recipe]
    file = max(files, key=lambda each: each.version, default=None)
    licence = licence_of(state.permission.licences, file, state.site) if file is not None else None
    if file is None or licence is None:  # it was begun before there were any
        return None
    if licence.state in ENDED:
        return _Ended(file, licence.id, str(licence.state), len(licence.changes), licence.why)
    lease, time = state.permission.leases.get(licence.id), state.permission.span(now)
    if lease is not None and time.latest >= lease.until:
        return _Ended(file, licence.id, LEASE_ENDED, lease.number, f"it lasted until {text_of_time(lease.until)}")
    return None


def check_may_restart(state: SiteState, batch: BatchId, now: Moment) -> list[Note]:
    """A batch that its product's rule has held is not restarted while the cause stands."""
    running = state.batches[batch]
    cause = _cause(state, running, now)
    held = [each for each in state.permission.safe.get(batch, ()) if each.rule is not Safe.COMPLETE]
    if cause is None or not any(cause.is_of(each) for each in held):
        return []
    return [Note("check_may_restart", Severity.STOP, _said(cause, held[-1].rule), "quality")]


def check_may_take(state: SiteState, batch: BatchState, unit: UnitId, now: Moment) -> list[Note]:
    """A unit that a running batch asks for is on file as what it is and where it stands, and the batch is to go on."""
    publication = state.published.get((batch.control.recipe, batch.control.version))
    if publication is None:
        return [Note("check_may_take", Severity.STOP, f"{batch.control.recipe} version {batch.control.version} is not here", "process engineer")]
    try:
        notes = may_take(standing_of(state, publication, unit=unit, now=now))
    except Refusal as refusal:  # a scan goes on, whatever is missing
        return [Note("check_may_take", Severity.STOP, str(refusal), "quality")]
    cause = _cause(state, batch, now)
    if cause is None or cause.rule is Safe.COMPLETE:
        return notes
    return [*notes, Note("check_may_take", Severity.STOP, _said(cause, cause.rule), "quality")]


def _said(cause: _Ended, rule: Safe) -> str:
    return f"{cause.licence} {cause.cause}: {cause.why}; the master file says {rule}"
