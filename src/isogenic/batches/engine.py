"""The engine: from a batch's facts and the newest readings to the next facts.

    begin(control)             -> the first facts
    apply(state, fact)         -> the state after one more noted fact: the only way it changes
    step(state, seen, now)     -> the facts that are due now
    outputs(state)             -> what the equipment is to be told, and nothing that was not noted (I3)
    answer, command            -> the facts of a person's answer or command, or a refusal

Guarantees: the same facts give the same state (I8); after a crash between any two facts the
fold of what was noted goes on with exactly the facts that were still due, so no phase runs
twice and no dose is given twice: a dose has a number, and a module executes a number once.
A reading that is not good satisfies no condition and steers no dose.
Leaves to others: noting the facts before anything is written, writing `outputs` again after a
restart (harmless), who may command, and whether the batch may start at all.

`step` is built from one small question, "what is the one fact that is due next?", asked
again after each answer has been folded: that is why a crash in between changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from isogenic.batches.doses import dose_due, restarts_due
from isogenic.batches.facts import (
    AlarmRaised,
    BatchClosed,
    BatchStarted,
    PhaseCompleted,
    PhaseStarted,
    SetpointsCommanded,
    SignalLost,
    SignalReturned,
    StateChanged,
)
from isogenic.batches.prompts import answer, ask, open_prompts, overdue, prompt_id
from isogenic.batches.state import BatchState, apply, fold, hours
from isogenic.batches.states import COMPLETES, FINAL, NEXT, Command, State, target
from isogenic.batches.truth import holds, value_of
from isogenic.errors import NotAllowed
from isogenic.ids import PersonId, SponsorId
from isogenic.plant.classes import DOSE_NUMBER
from isogenic.plant.readings import Reading
from isogenic.recipes.model import ControlPhase, ControlRecipe, Then
from isogenic.records.facts import Payload

__all__ = ["BatchState", "answer", "apply", "begin", "command", "open_prompts", "outputs", "step"]

STEP_MAX = 100  # facts of one step; a recipe whose phases are all done at once goes on at the next scan
_SAFE = frozenset({State.HOLDING, State.HELD, State.STOPPING, State.STOPPED, State.ABORTING, State.ABORTED})


def begin(control: ControlRecipe, *, sponsor: SponsorId, recipe_digest: str = "", by: PersonId | None = None) -> list[Payload]:
    """The first facts of a batch. The caller has asked whether it may start; `recipe_digest` is that of the published text."""
    started = BatchStarted(
        batch=control.batch,
        lot=control.lot,
        product=control.product,
        sponsor=sponsor,
        recipe=control.recipe,
        version=control.version,
        recipe_digest=recipe_digest or control.general_digest,
        unit=control.unit,
        control=control,
        by=by,
    )
    return [started, StateChanged(control.batch, NEXT[State.IDLE][Command.START], Command.START, f"started by {by}" if by else "started")]


# --- what the equipment is told -----------------------------------------------------------------


def outputs(state: BatchState) -> dict[str, float]:
    """Every value in force by canonical signal name: set-points, and the newest number and amount of each dose."""
    told = dict(state.setpoints)
    for dose, ordered in state.doses.items():
        told[dose] = ordered.amount
        told[dose + DOSE_NUMBER] = float(ordered.number)
    return told


def _wanted(state: BatchState) -> dict[str, float]:
    """The set-points that belong to the state: those of all phases so far, and over them the held ones where it is not running."""
    wanted: dict[str, float] = {}
    for phase in state.control.phases[: state.phase + 1]:
        wanted |= phase.setpoints
    if state.state in _SAFE and state.phase >= 0:
        wanted |= state.control.phases[state.phase].held
    return wanted


# --- step ---------------------------------------------------------------------------------------


def step(state: BatchState, seen: Mapping[str, Reading], now: datetime, *, noted_before: int = 0) -> list[Payload]:
    """The facts that are due now, in order.

    `noted_before` counts facts about this batch that the caller is about to note, in the same
    append, before these: so that the closing count is right.
    """
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)  # a fact's time has milliseconds: what is folded now must equal what is read later
    state = replace(state, facts=state.facts + noted_before)
    found: list[Payload] = []
    while len(found) < STEP_MAX:
        payload = _due(state, seen, now)
        if payload is None:
            break
        found.append(payload)
        state = fold(state, payload, now)
    return found


def _due(state: BatchState, seen: Mapping[str, Reading], now: datetime) -> Payload | None:
    """The one fact that is due next, or None. Reads like a list of priorities."""
    if state.closed or state.state is State.IDLE:
        return None
    changed = _setpoints_due(state)
    if changed is not None:
        return changed
    batch = state.control.batch
    if state.state in COMPLETES:
        return StateChanged(batch, COMPLETES[state.state], None, f"{state.state} is done")
    if state.state in FINAL:
        return BatchClosed(batch, state.control.lot, state.state, state.facts + 1)
    if state.state is not State.RUNNING:
        return None
    phase = state.current
    if phase is None:
        return _next_phase(state)
    return next(_phase_due(state, phase, seen, now), None)


def _setpoints_due(state: BatchState) -> SetpointsCommanded | None:
    wanted = {name: value for name, value in _wanted(state).items() if state.setpoints.get(name) != value}
    if not wanted:
        return None
    return SetpointsCommanded(state.control.batch, state.control.phases[state.phase].name, wanted)


def _next_phase(state: BatchState) -> Payload:
    index = state.phase + 1
    if index >= len(state.control.phases):
        return StateChanged(state.control.batch, State.COMPLETE, None, "the last phase is completed")
    name = state.control.phases[index].name
    return PhaseStarted(state.control.batch, name, state.runs.get(name, 0) + 1)


def _phase_due(state: BatchState, phase: ControlPhase, seen: Mapping[str, Reading], now: datetime) -> Iterator[Payload]:
    """What a running phase has due, most urgent first. Only the first is ever used, so nothing after it is computed."""
    batch = state.control.batch
    if state.due is not None:
        yield _as_told(state, phase, *state.due)
    for prompt in phase.prompts:
        if prompt_id(state, prompt.name) not in state.asked:
            yield ask(state, phase.name, prompt)
    yield from overdue(state, now)
    yield from _signals_due(state, phase, seen, now)
    yield from restarts_due(state, phase, seen)
    if holds(state, phase, phase.until, seen, now):
        yield PhaseCompleted(batch, phase.name, state.runs[phase.name], phase.until)
    dose = dose_due(state, phase, seen, now)
    if dose is not None:
        yield dose
    if phase.timeout_h is not None and not state.timed_out and hours(state.running_since, now) >= phase.timeout_h:
        yield AlarmRaised(batch, phase.name, f"{phase.name} is not done after {phase.timeout_h:g} h", then=phase.timeout_then)


def _as_told(state: BatchState, phase: ControlPhase, then: Then, why: str) -> Payload:
    if then is Then.COMPLETE:
        return PhaseCompleted(state.control.batch, phase.name, state.runs[phase.name], why)
    told = Command.ABORT if then is Then.ABORT else Command.HOLD
    return StateChanged(state.control.batch, NEXT[state.state][told], told, why)


def _signals_due(state: BatchState, phase: ControlPhase, seen: Mapping[str, Reading], now: datetime) -> Iterator[Payload]:
    batch = state.control.batch
    for signal in phase.needs:
        lost, good = state.lost.get(signal), value_of(seen, signal) is not None
        if lost is None and not good:
            yield SignalLost(batch, phase.name, signal)
        if lost is not None and good:
            yield SignalReturned(batch, phase.name, signal)
        if lost is not None and not good and not lost.alarmed and hours(lost.at, now) >= phase.lost_after_h:
            yield AlarmRaised(batch, phase.name, f"{signal} has not been good for {phase.lost_after_h:g} h", signal=signal, then=phase.lost_then)


# --- commands -----------------------------------------------------------------------------------


def command(state: BatchState, command: Command, *, why: str) -> list[Payload]:
    """The facts of a command: the new state, and the set-points that come into force with it."""
    batch = state.control.batch
    if state.closed:
        raise NotAllowed(f"cannot {command} {batch}", why=f"it is closed, {state.state}", possible="start another batch")
    changed = StateChanged(batch, target(state.state, command, what=str(batch)), command, why)
    setpoints = _setpoints_due(fold(state, changed, state.at))
    return [changed] if setpoints is None else [changed, setpoints]
