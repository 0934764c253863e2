"""What people tell a running batch, beside the commands of its states.

    change_mode       automatic, semi-automatic, manual
    confirm           semi-automatic: let a transition happen that was reached
    start_phase       manual: begin a phase that the chart has come to
    complete_phase    manual: end a running phase, whatever its condition says
    choose            manual: take a way
    end_round         manual: another round of a loop, or on
    change_formula    another value of an adjustable parameter, within its limits, by signature
    note_result       a laboratory result that conditions may steer by

Guarantees: each gives the facts or a refusal that says what is possible; nobody can start what the
chart has not come to, nor what is running; a value outside its limits is refused.
Leaves to others: who may (authority), noting (node), making the signature (web).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from hashlib import sha256

from isogenic.batches.facts import (
    BranchChosen,
    FormulaChanged,
    Mode,
    ModeChanged,
    PhaseCompleted,
    PhaseStarted,
    ResultNoted,
    RoundEnded,
    TransitionConfirmed,
)
from isogenic.batches.progress import Progress
from isogenic.batches.services import is_working
from isogenic.batches.state import BatchState
from isogenic.batches.states import FINAL, State, possible
from isogenic.errors import NotAllowed, NotFound, NotValid
from isogenic.ids import PersonId, SampleId
from isogenic.records import codec
from isogenic.records.facts import Payload
from isogenic.records.signatures import Signature
from isogenic.units import Quantity, same_dimension

__all__ = [
    "change_formula",
    "change_mode",
    "choose",
    "complete_phase",
    "confirm",
    "end_round",
    "formula_digest",
    "note_result",
    "start_phase",
]

WHY_MAX = 300


def _reason(why: str, what: str) -> str:
    reason = why.strip()
    if not reason or len(reason) > WHY_MAX or not reason.isprintable():
        raise NotValid(f"cannot {what}", why=f"it takes a reason, one line of 1 to {WHY_MAX} characters", possible="say why")
    return reason


def _alive(state: BatchState, what: str) -> None:
    if state.closed or state.state in FINAL:
        raise NotAllowed(f"cannot {what}", why=f"{state.batch} is {state.state}", possible="start another batch")


# --- modes --------------------------------------------------------------------------------------


def change_mode(state: BatchState, mode: Mode, *, why: str, by: PersonId) -> list[Payload]:
    """Run the batch in another mode from here on; what was reached and not confirmed is reached anew."""
    what = f"run {state.batch} in {mode} mode"
    _alive(state, what)
    if mode is state.mode:
        raise NotAllowed(f"cannot {what}", why="it is run so", possible=", ".join(each for each in Mode if each is not mode))
    return [ModeChanged(state.batch, mode, state.mode, _reason(why, what), by)]


def confirm(state: BatchState, place: str, *, why: str, by: PersonId) -> list[Payload]:
    """Let a transition happen."""
    what = f"confirm {place[:60]!r} of {state.batch}"
    _running(state, Mode.SEMI_AUTOMATIC, what)
    waiting = [name for name, each in state.reached.items() if not each.confirmed]
    if place not in waiting:
        raise NotAllowed(f"cannot {what}", why="nothing waits there for a person", possible=", ".join(waiting) or "nothing waits")
    return [TransitionConfirmed(state.batch, place, state.reached[place].run, _reason(why, what), by)]


def start_phase(state: BatchState, phase: str, *, why: str, by: PersonId) -> list[Payload]:
    """Begin a phase by hand."""
    what = f"start {phase[:60]!r} of {state.batch}"
    _running(state, Mode.MANUAL, what)
    ready = [name for chart in state.charts.values() for name in chart.ready]
    if phase not in ready:
        raise NotAllowed(f"cannot {what}", why=_why_not(state, phase), possible=", ".join(ready) or "nothing can be started now")
    return [PhaseStarted(state.batch, phase, state.runs.get(phase, 0) + 1, by, _reason(why, what))]


def _why_not(state: BatchState, phase: str) -> str:
    if phase not in state.phases:
        return "the recipe has no such phase on a unit of this batch"
    return "it is running" if phase in state.active else "the procedure has not come to it"


def complete_phase(state: BatchState, phase: str, *, why: str, by: PersonId) -> list[Payload]:
    """End a phase by hand, once no service of it works any more."""
    what = f"complete {phase[:60]!r} of {state.batch}"
    _running(state, Mode.MANUAL, what)
    if phase not in state.active:
        raise NotAllowed(f"cannot {what}", why="it is not running", possible=", ".join(state.active) or "no phase is running")
    if is_working(state, state.phases[phase]):
        raise NotAllowed(f"cannot {what}", why="its service is working", possible=f"wait until it has completed; or {possible(state.state)}")
    return [PhaseCompleted(state.batch, phase, state.active[phase].run, _reason(why, what), by)]


def choose(state: BatchState, place: str, way: int, *, why: str, by: PersonId) -> list[Payload]:
    """Take a way by hand; ways count from 0, in the order of the recipe."""
    what = f"choose at {place[:60]!r} of {state.batch}"
    _running(state, Mode.MANUAL, what)
    found = {each.place: each for chart in _charts(state) for each in chart.decisions}
    if place not in found:
        raise NotAllowed(f"cannot {what}", why="no choice is to be made there", possible=", ".join(found) or "no choice is to be made")
    if not 0 <= way < len(found[place].ways):
        raise NotValid(f"cannot {what}", why=f"there is no way {way}", possible=f"0 to {len(found[place].ways) - 1}")
    return [BranchChosen(state.batch, place, way, _reason(why, what), by)]


def end_round(state: BatchState, place: str, *, again: bool, why: str, by: PersonId) -> list[Payload]:
    """Judge a round by hand; not more rounds than the recipe has."""
    what = f"end the round at {place[:60]!r} of {state.batch}"
    _running(state, Mode.MANUAL, what)
    found = {each.place: each for chart in _charts(state) for each in chart.loops}
    if place not in found:
        raise NotAllowed(f"cannot {what}", why="no round is over there", possible=", ".join(found) or "no round is over")
    loop = found[place]
    if again and loop.round >= loop.at_most:
        raise NotAllowed(f"cannot {what}", why=f"the recipe has at most {loop.at_most} rounds", possible="go on")
    return [RoundEnded(state.batch, place, loop.round, again, _reason(why, what), by)]


def _charts(state: BatchState) -> list[Progress]:
    return [state.procedure, *state.charts.values()]


def _running(state: BatchState, mode: Mode, what: str) -> None:
    _alive(state, what)
    if state.mode is not mode:
        raise NotAllowed(f"cannot {what}", why=f"it is run in {state.mode} mode", possible=f"change to {mode} mode first")
    if state.state is not State.RUNNING:
        raise NotAllowed(f"cannot {what}", why=f"it is {state.state}", possible=possible(state.state))


# --- formula and results ------------------------------------------------------------------------


def formula_digest(change: FormulaChanged) -> str:
    """Hex SHA-256 of a change without its signature: what is signed."""
    return _digest(change.batch, change.parameter, change.was, change.now, change.unit, change.why, change.by)


def _digest(*said: object) -> str:
    return sha256(codec.dumps([codec.plain(each) for each in said])).hexdigest()


def change_formula(
    state: BatchState, parameter: str, value: Quantity, *, why: str, by: PersonId, signs: Callable[[str], Signature] | None
) -> list[Payload]:
    """Another value of a parameter in this batch: set-points and conditions that use it change with it, from here on."""
    what = f"change {parameter[:60]!r} of {state.batch}"
    _alive(state, what)
    known = {each.name: each for each in state.control.parameters}
    adjustable = ", ".join(name for name, each in known.items() if each.adjustable) or "none of this recipe"
    if parameter not in known:
        raise NotFound(f"cannot {what}", why="the recipe has no such parameter", possible=adjustable)
    one = known[parameter]
    if not one.adjustable:
        raise NotAllowed(f"cannot {what}", why="the recipe does not let it be changed in a running batch", possible=adjustable)
    if not same_dimension(value.unit, one.unit):
        raise NotValid(f"cannot {what}", why=f"{value} does not measure the same as {one.value:g} {one.unit}")
    now, was = float(f"{value.to(one.unit).value:.12g}"), state.values[parameter]
    if not (one.low if one.low is not None else now) <= now <= (one.high if one.high is not None else now):
        limits = [f"{word} {limit:g}" for word, limit in (("from", one.low), ("to", one.high)) if limit is not None]
        raise NotValid(f"cannot {what} to {value}", why=f"its limits are {' '.join(limits)} {one.unit}".replace("are from", "are", len(limits) - 1))
    if now == was:
        raise NotValid(f"cannot {what}", why=f"it is {was:g} {one.unit} already")
    reason = _reason(why, what)
    if signs is None:
        raise NotValid(f"cannot {what}", why="it is changed by signature", possible="give your id and password, or a passkey")
    signature = signs(_digest(state.batch, parameter, was, now, one.unit, reason, by))
    return [FormulaChanged(state.batch, parameter, was, now, one.unit, reason, by, signature)]


def note_result(state: BatchState, sample: SampleId, attribute: str, value: float, *, unit: str) -> list[Payload]:
    """A laboratory result as the running batch sees it; none once it is closed, and none that nothing of the recipe asks for."""
    asked = not state.closed and any(re.search(rf"\bresult\.{attribute}\b", text) for text in _conditions(state))
    return [ResultNoted(state.batch, sample, attribute, value, unit)] if asked else []


def _conditions(state: BatchState) -> Iterator[str]:
    yield state.control.chart
    for part in state.parts.values():
        yield from (part.chart, part.on_hold, part.on_restart, *part.on_exception.values())
    for phase in state.phases.values():
        yield phase.until
        yield from (each.when for each in phase.samples)
        yield from (each.when for each in phase.exceptions)
        if phase.dose is not None:
            yield phase.dose.when
