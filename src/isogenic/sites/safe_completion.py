"""What a running batch does when the permission to make it ends: its product's rule, declared in the master file.

    cause              heard                                             rule
    suspended, ceased  from the control site                             on_suspension
    lease ended        from the site's own clock: nobody was heard       on_lease_end

    complete           it goes on to its end, and the record says that it was made on under that rule
    hold               it is held; restart is refused while the cause stands
    hand_over          it is held for the one that is named to take it on

Guarantees: pure; the rule is noted once for a batch and a cause, before the command that follows from it, which is a fact of
its own. A rule that was not declared is `complete`: a link that is down stops no running batch (I6).
Leaves to others: the state table (batches).
"""

from __future__ import annotations

from isogenic.authority.licences import Licence, State
from isogenic.authority.master_file import MasterFile, Safe, file_of
from isogenic.authority.permission import licence_of
from isogenic.authority.safety import SafeCompletionBegun
from isogenic.batches import engine
from isogenic.batches.engine import BatchState
from isogenic.batches.states import NEXT, Command
from isogenic.checks import Note, Severity
from isogenic.clock import Moment, text_of_time
from isogenic.ids import BatchId
from isogenic.records.facts import Payload
from isogenic.sites.state import SiteState

__all__ = ["LEASE_ENDED", "check_may_restart", "safe_completion"]

LEASE_ENDED = "lease ended"
ENDED = (State.SUSPENDED, State.CEASED)


def safe_completion(state: SiteState, batch: BatchState, now: Moment) -> list[Payload]:
    """What follows for a running batch from the state of its licence and lease; nothing where all is well or it was said before."""
    found = _cause(state, batch, now)
    if found is None:
        return []
    file, licence, cause, why = found
    name = batch.control.batch
    if any((each.licence, each.cause) == (licence.id, cause) for each in state.permission.safe.get(name, ())):
        return []
    rule = file.safe.on_lease_end if cause == LEASE_ENDED else file.safe.on_suspension
    begun = SafeCompletionBegun(name, licence.id, cause, rule, file.safe.hand_over_to, why)
    if rule is Safe.COMPLETE or Command.HOLD not in NEXT[batch.state]:
        return [begun]
    to = f", to be handed over to {file.safe.hand_over_to}" if rule is Safe.HAND_OVER else ""
    return [begun, *engine.command(batch, Command.HOLD, why=f"{licence.id} {cause}: {why}{to}"[:300])]


def _cause(state: SiteState, batch: BatchState, now: Moment) -> tuple[MasterFile, Licence, str, str] | None:
    recipe = batch.control.recipe
    files = [file for each in state.permission.files.values() if (file := file_of(each)) is not None and file.recipe == recipe]
    file = max(files, key=lambda each: each.version, default=None)
    licence = licence_of(state.permission.licences, file, state.site) if file is not None else None
    if file is None or licence is None:  # it was begun before there were any
        return None
    if licence.state in ENDED:
        return file, licence, str(licence.state), licence.why
    lease, time = state.permission.leases.get(licence.id), state.permission.span(now)
    if lease is not None and time.latest >= lease.until:
        return file, licence, LEASE_ENDED, f"it lasted until {text_of_time(lease.until)}"
    return None


def check_may_restart(state: SiteState, batch: BatchId, now: Moment) -> list[Note]:
    """A batch that its product's rule has held is not restarted while the cause stands."""
    running = state.batches[batch]
    cause = _cause(state, running, now)
    held = [each for each in state.permission.safe.get(batch, ()) if each.rule is not Safe.COMPLETE]
    if cause is None or not any((each.licence, each.cause) == (cause[1].id, cause[2]) for each in held):
        return []
    return [Note("check_may_restart", Severity.STOP, f"{cause[1].id} {cause[2]}: {cause[3]}; the master file says {held[-1].rule}", "quality")]
