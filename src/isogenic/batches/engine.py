"""The engine: from a batch's facts and the newest readings to the next facts.

    begin(control)             -> the first facts
    apply(state, fact)         -> the state after one more noted fact: the only way it changes
    step(state, seen, now)     -> the facts that are due now; `seen` has the readings of each unit of the batch by signal
    outputs(state)             -> what the equipment is to be told, by tag, and nothing that was not noted (I3)
    orders(state)              -> what services are to be told, by `UNIT.service`
    wants(state)               -> the roles for which the batch needs a unit and has not asked: the site asks and gives
    answer, command            -> the facts of a person's answer or command, or a refusal

Guarantees: the same facts give the same state (I8); after a crash between any two facts the
fold of what was noted goes on with exactly the facts that were still due, so no phase runs
twice and no dose is given twice: a dose has a number, and a module executes a number once; a
service is started only where it is idle. A reading that is not good satisfies no condition,
steers no dose and decides no way.
Leaves to others: noting the facts before anything is written, writing `outputs` again after a
restart (harmless), who may command, which batch gets which unit (sites), and whether the batch
may start at all.

`step` is built from one small question, "what is the one fact that is due next?", asked
again after each answer has been folded: that is why a crash in between changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from isogenic.batches import services
from isogenic.batches.doses import dose_due, restarts_due
from isogenic.batches.facts import (
    AlarmRaised,
    BatchClosed,
    BatchStarted,
    BranchChosen,
    ExceptionBegan,
    ExceptionEnded,
    Mode,
    ParameterEntered,
    PhaseCompleted,
    PhaseStarted,
    RoundEnded,
    SampleDue,
    SetpointsCommanded,
    SignalLost,
    SignalReturned,
    StateChanged,
    TransitionReached,
    UnitReleased,
)
from isogenic.batches.progress import Decision, Loop, Progress
from isogenic.batches.prompts import ENTERED, answer, ask, open_prompts, overdue, prompt_id, questions
from isogenic.batches.services import orders
from isogenic.batches.state import UNKNOWN, ActivePhase, AsideKind, BatchState, Lost, apply, fold, hours, of_exception, tag_of
from isogenic.batches.states import COMPLETES, FINAL, NEXT, Command, State, target
from isogenic.batches.truth import Seen, holds, judged, known, value_of
from isogenic.errors import NotAllowed
from isogenic.ids import PersonId, SponsorId, UnitId
from isogenic.plant.classes import DOSE_NUMBER
from isogenic.recipes.model import ControlPhase, ControlRecipe, Then
from isogenic.records.facts import Payload

__all__ = ["BatchState", "Seen", "answer", "apply", "begin", "command", "open_prompts", "orders", "outputs", "step", "wants"]

STEP_MAX = 100  # facts of one step; a recipe whose phases are all done at once goes on at the next scan
SETTLED_H = 1.0 / 60.0  # the end of an exception or of a lost signal is not said sooner after its begin
FLICKERS, FLICKERING_H = 12, 1.0  # what began so often in a run of a phase, and nobody looked, is said to have ended not sooner than this
UNKNOWN_AFTER_H = 2.0  # that nobody can tell which way to go is said after so long
_SAFE = frozenset({State.HOLDING, State.HELD, State.STOPPING, State.STOPPED, State.ABORTING, State.ABORTED})
_ASIDE: Mapping[State, AsideKind] = {State.HOLDING: AsideKind.HOLD, State.RESTARTING: AsideKind.RESTART, State.RUNNING: AsideKind.EXCEPTION}
Everything = Mapping[UnitId, Seen]


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
    """Every value in force by tag, on the units that the batch holds: set-points, and the newest number and amount of each dose."""
    mine = {str(held.unit) for held in state.units.values() if not held.released}
    told = {tag: value for tag, value in state.setpoints.items() if tag.partition(".")[0] in mine}
    for tag, ordered in state.doses.items():
        if tag.partition(".")[0] in mine:
            told[tag] = ordered.amount
            told[tag + DOSE_NUMBER] = float(ordered.number)
    return told


def _wanted(state: BatchState) -> dict[UnitId, dict[str, float]]:
    """The set-points that belong to the state: those of all phases so far, over them the held ones where it is not running, over them those aside."""
    wanted: dict[UnitId, dict[str, float]] = {held.unit: {} for held in state.units.values() if not held.released}

    def lay(name: str, table: Mapping[str, float]) -> None:
        unit = state.unit_of(name)
        if unit in wanted:
            wanted[unit] |= table

    newest: dict[UnitId, str] = {}
    for name in state.begun:
        lay(name, state.phases[name].setpoints)
        newest[state.unit_of(name)] = name
    if state.state in _SAFE:
        for name in state.begun:
            if name in state.active or name in newest.values():
                lay(name, state.phases[name].held)
    for aside in state.asides:
        for name in aside.begun:
            lay(name, state.phases[name].setpoints)
    return wanted


def _setpoints_due(state: BatchState) -> SetpointsCommanded | None:
    for unit, table in _wanted(state).items():
        changed = {name: value for name, value in table.items() if state.setpoints.get(tag_of(unit, name)) != value}
        if changed:
            aside = [name for each in state.asides for name in each.begun]
            newest = next(name for name in reversed((*state.begun, *aside)) if state.unit_of(name) == unit)
            return SetpointsCommanded(state.batch, newest, changed)
    return None


# --- step ---------------------------------------------------------------------------------------


def step(state: BatchState, seen: Everything, now: datetime, *, noted_before: int = 0) -> list[Payload]:
    """The facts that are due now, in order.

    `noted_before` counts facts about this batch that the caller is about to note, in the same
    append, before these: so that the closing count is right.
    """
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)  # a fact's time has milliseconds: what is folded now must equal what is read later
    state = replace(state, facts=state.facts + noted_before) if noted_before else state
    found: list[Payload] = []
    while len(found) < STEP_MAX:
        payload = next(_due(state, seen, now), None)
        if payload is None:
            break
        found.append(payload)
        state = fold(state, payload, now)
    return found


def _due(state: BatchState, seen: Everything, now: datetime) -> Iterator[Payload]:
    """What is due, most urgent first. Only the first is ever used, so nothing after it is computed. Reads like a list of priorities."""
    if state.closed or state.state is State.IDLE:
        return
    changed = _setpoints_due(state)
    if changed is not None:
        yield changed
    yield from services.seen_due(state, seen)
    if state.state in COMPLETES:
        yield from _on_the_way(state, seen, now)
    elif state.state in FINAL:
        yield BatchClosed(state.batch, state.lot, state.state, state.facts + 1)
    elif state.state is State.RUNNING:
        yield from _running(state, seen, now)


def _on_the_way(state: BatchState, seen: Everything, now: datetime) -> Iterator[Payload]:
    """To held: what the recipe has done then, and every service held; and so for the others."""
    yield from services.orders_due(state)
    kind = _ASIDE.get(state.state)
    for aside in state.asides:
        if aside.kind is kind:
            yield from _aside_due(state, aside.progress, seen, now)
    if all(aside.progress.done for aside in state.asides if aside.kind is kind) and services.settled(state, seen):
        yield StateChanged(state.batch, COMPLETES[state.state], None, f"{state.state} is done")


def _running(state: BatchState, seen: Everything, now: datetime) -> Iterator[Payload]:
    if state.due is not None:
        yield from _as_told(state, *state.due)
    yield from overdue(state, now)
    aside = {name for each in state.asides for name in each.progress.running}
    for name, active in state.active.items():
        yield from _phase_due(state, active, seen, now, mode=Mode.AUTOMATIC if name in aside else state.mode)
    first = seen.get(state.unit, {})
    yield from _ways_due(state, state.procedure, first, now, mode=state.mode)
    for name, chart in state.charts.items():
        here = seen.get(state.parts[name].unit or state.unit, {})
        yield from _ways_due(state, chart, here, now, mode=state.mode)
        if state.mode is not Mode.MANUAL:
            yield from _starts_due(state, chart)
    for each in state.asides:
        yield from _aside_due(state, each.progress, seen, now, starts_only=True)
    yield from _releases_due(state)
    if state.procedure.done and not state.asides:
        yield StateChanged(state.batch, State.COMPLETE, None, "the last phase is completed")


def _aside_due(state: BatchState, progress: Progress, seen: Everything, now: datetime, *, starts_only: bool = False) -> Iterator[Payload]:
    """What runs aside is run by the recipe in every mode: nobody has to let a batch become safe."""
    if not starts_only:
        for name in progress.running:
            if name in state.active:
                yield from _phase_due(state, state.active[name], seen, now, mode=Mode.AUTOMATIC)
    if progress.places:
        here = seen.get(state.parts[progress.places[0].partition("/")[0]].unit or state.unit, {})
        yield from _ways_due(state, progress, here, now, mode=Mode.AUTOMATIC)
    yield from _starts_due(state, progress)


def _starts_due(state: BatchState, progress: Progress) -> Iterator[Payload]:
    for name in progress.ready:
        if name in state.phases and name not in state.active:
            yield PhaseStarted(state.batch, name, state.runs.get(name, 0) + 1)


def _releases_due(state: BatchState) -> Iterator[Payload]:
    """A unit that nothing needs any more is free for others; what is left at the end is freed by the closing.

    The unit on which the batch was started is needed as long as a choice or a loop between unit procedures is ahead: its
    readings decide that.
    """
    roles = {part.name: part.role for part in state.control.unit_procedures}
    if state.procedure.done or len(set(roles.values())) == 1:
        return
    needed = {roles[name] for name in state.procedure.names()}
    needed |= {roles[aside.unit_procedure] for aside in state.asides}
    if state.procedure.decides():
        needed |= {role for role, held in state.units.items() if held.unit == state.unit}
    for role, held in state.units.items():
        if not held.released and role not in needed:
            yield UnitReleased(state.batch, role, held.unit)


def wants(state: BatchState) -> tuple[str, ...]:
    """The roles for which a running batch has come to need a unit, and has not asked for one."""
    if state.closed or state.state is not State.RUNNING:
        return ()
    roles = {part.name: part.role for part in state.control.unit_procedures}
    reached = dict.fromkeys(roles[name] for name in state.procedure.ready)
    return tuple(role for role in reached if role not in state.units and role not in state.waiting)


# --- phases -------------------------------------------------------------------------------------


def _phase_due(state: BatchState, active: ActivePhase, seen: Everything, now: datetime, *, mode: Mode) -> Iterator[Payload]:
    """What a running phase has due, most urgent first."""
    batch, phase = state.batch, state.phases[active.name]
    here = seen.get(state.unit_of(active.name), {})
    if active.due is not None and active.due[0] is not Then.COMPLETE:
        yield from _as_told(state, *active.due, phase=active)
    for prompt in questions(state, phase):
        if prompt_id(state, phase.name, prompt.name) not in state.asked:
            yield ask(state, phase.name, prompt)
    yield from _entries_due(state, active, phase)
    yield from _signals_due(state, active, phase, here, now)
    yield from restarts_due(state, active, phase, here)
    yield from _samples_due(state, active, phase, here, now)
    yield from _exceptions_due(state, active, phase, here, now)
    ends = active.due[1] if active.due is not None else phase.until if holds(state, active, phase, phase.until, here, now) else ""
    yield from services.run_due(state, phase, now, ended=bool(ends))
    if ends and not services.is_working(state, phase):
        yield from _end_due(state, active, ends, mode)
    dose = dose_due(state, active, phase, here, now)
    if dose is not None:
        yield dose
    if phase.timeout_h is not None and not active.timed_out and hours(active.running_since, now) >= phase.timeout_h:
        yield AlarmRaised(batch, phase.name, f"{phase.name} is not done after {phase.timeout_h:g} h", then=phase.timeout_then)


def _end_due(state: BatchState, active: ActivePhase, why: str, mode: Mode) -> Iterator[Payload]:
    """The end of a phase: by itself, once a person lets it, or by a person only."""
    if mode is Mode.AUTOMATIC:
        yield PhaseCompleted(state.batch, active.name, active.run, why)
    if mode is Mode.SEMI_AUTOMATIC:
        reached = state.reached.get(active.name)
        if reached is None:
            yield TransitionReached(state.batch, active.name, active.run, why)
        elif reached.confirmed:
            yield PhaseCompleted(state.batch, active.name, active.run, why)


def _as_told(state: BatchState, then: Then, why: str, *, phase: ActivePhase | None = None) -> Iterator[Payload]:
    """What an alarm asked for. On the way to held there is no hold any more: there the phase counts as done."""
    told = Command.ABORT if then is Then.ABORT else Command.HOLD
    if told in NEXT[state.state]:
        yield StateChanged(state.batch, NEXT[state.state][told], told, why)
    elif phase is not None:
        yield PhaseCompleted(state.batch, phase.name, phase.run, why)


def _entries_due(state: BatchState, active: ActivePhase, phase: ControlPhase) -> Iterator[Payload]:
    """A value that was entered is the parameter's from here on."""
    for entry in phase.enter:
        said = state.answers.get(prompt_id(state, phase.name, ENTERED + entry.parameter))
        if said is not None and active.entered.get(entry.parameter) != float(said.answer):  # also one that was corrected
            unit = next(each.unit for each in state.control.parameters if each.name == entry.parameter)
            was, now = state.values[entry.parameter], float(said.answer)
            yield ParameterEntered(state.batch, phase.name, active.run, entry.parameter, was, now, unit, said.by)


def _signals_due(state: BatchState, active: ActivePhase, phase: ControlPhase, seen: Seen, now: datetime) -> Iterator[Payload]:
    batch = state.batch
    for signal in phase.needs:
        lost, good = active.lost.get(signal), value_of(seen, signal) is not None
        if lost is None and not good:
            yield SignalLost(batch, phase.name, signal)
        if lost is not None and good and _has_settled(active, signal, lost, now):
            yield SignalReturned(batch, phase.name, signal)
        if lost is not None and not good and not lost.alarmed and hours(lost.at, now) >= phase.lost_after_h:
            yield AlarmRaised(batch, phase.name, f"{signal} has not been good for {phase.lost_after_h:g} h", signal=signal, then=phase.lost_then)


def _samples_due(state: BatchState, active: ActivePhase, phase: ControlPhase, seen: Seen, now: datetime) -> Iterator[Payload]:
    for each in phase.samples:
        if each.sample not in active.sampled and (not each.when or holds(state, active, phase, each.when, seen, now)):
            yield SampleDue(state.batch, phase.name, active.run, each.sample, each.what)


def _exceptions_due(state: BatchState, active: ActivePhase, phase: ControlPhase, seen: Seen, now: datetime) -> Iterator[Payload]:
    for rule in phase.exceptions:
        so, begun = judged(state, active, phase, rule.when, seen, now), active.exceptions.get(rule.name)
        if begun is None and so is True:
            yield ExceptionBegan(state.batch, phase.name, rule.name, rule.when)
        if begun is not None and so is False and _has_settled(active, of_exception(rule.name), begun, now):
            yield ExceptionEnded(state.batch, phase.name, rule.name)
        if begun is not None and so is not False and not begun.alarmed and hours(begun.at, now) >= rule.lasting_h:
            lasted = "" if not rule.lasting_h else " again and again" if _flickers(active, of_exception(rule.name)) else f" for {rule.lasting_h:g} h"
            what = f"{rule.name}: {rule.when}{lasted}"
            yield AlarmRaised(state.batch, phase.name, what, then=rule.then, about=f"exception {rule.name}")


def _has_settled(active: ActivePhase, name: str, begun: Lost, now: datetime) -> bool:
    """Whether the end of what began may be said: what comes and goes with every scan must not fill the ledger."""
    return hours(begun.at, now) >= (FLICKERING_H if _flickers(active, name) else SETTLED_H)


def _flickers(active: ActivePhase, name: str) -> bool:
    return active.often.get(name, 0) > FLICKERS


# --- ways through a chart -----------------------------------------------------------------------


def _ways_due(state: BatchState, progress: Progress, seen: Seen, now: datetime, *, mode: Mode) -> Iterator[Payload]:
    for decision in progress.decisions:
        way, why = _way(state, decision, seen, now)
        yield from _unknown_due(state, decision, way, "choice", now)
        if way is not None:
            yield from _decided(state, decision.place, way, why, mode, BranchChosen(state.batch, decision.place, way, why))
    for loop in progress.loops:
        so = known(state, loop.until, seen, loop.since, now)
        yield from _unknown_due(state, loop, so, "loop", now)
        if so is not None:
            yield from _round_due(state, loop, mode, so=so)


def _way(state: BatchState, decision: Decision, seen: Seen, now: datetime) -> tuple[int | None, str]:
    """The first way whose condition holds; none as long as one before it cannot be told."""
    for at, text in enumerate(decision.conditions):
        so = known(state, text, seen, decision.since, now) if text else True
        if so is None:
            return None, text
        if so:
            return at, text or "otherwise"
    return None, ""


def _round_due(state: BatchState, loop: Loop, mode: Mode, *, so: bool) -> Iterator[Payload]:
    batch, last = state.batch, loop.round >= loop.at_most
    if not so and last and loop.place not in state.stuck:
        then = Then.ALARM if loop.then == Then.COMPLETE else Then(loop.then)
        yield AlarmRaised(batch, "", f"not so after {loop.at_most} rounds: {loop.until}", then=then, about=f"loop {loop.place}")
    again = not so and not last
    why = loop.until if so else f"not so after round {loop.round}: {loop.until}"
    yield from _decided(state, loop.place, int(again), why, mode, RoundEnded(batch, loop.place, loop.round, again, why))


def _decided(state: BatchState, place: str, way: int, why: str, mode: Mode, payload: BranchChosen | RoundEnded) -> Iterator[Payload]:
    if mode is Mode.AUTOMATIC:
        yield payload
    if mode is Mode.SEMI_AUTOMATIC:
        reached = state.reached.get(place)
        if reached is None or reached.run != way:  # what is so now is not what it was when it was said
            yield TransitionReached(state.batch, place, way, why)
        elif reached.confirmed:
            yield payload


def _unknown_due(state: BatchState, at: Decision | Loop, found: object, kind: str, now: datetime) -> Iterator[Payload]:
    if found is None and at.place + UNKNOWN not in state.stuck and hours(at.since, now) >= UNKNOWN_AFTER_H:
        what = f"nobody can tell how to go on at {at.place}: no way of it is known to be open"
        yield AlarmRaised(state.batch, "", what, then=Then.ALARM, about=f"{kind} {at.place}{UNKNOWN}")


# --- commands -----------------------------------------------------------------------------------


def command(state: BatchState, command: Command, *, why: str) -> list[Payload]:
    """The facts of a command: the new state, and the set-points that come into force with it."""
    batch = state.batch
    if state.closed:
        raise NotAllowed(f"cannot {command} {batch}", why=f"it is closed, {state.state}", possible="start another batch")
    found: list[Payload] = [StateChanged(batch, target(state.state, command, what=str(batch)), command, why)]
    state = fold(state, found[0], state.at)
    while (setpoints := _setpoints_due(state)) is not None:
        found.append(setpoints)
        state = fold(state, setpoints, state.at)
    return found
