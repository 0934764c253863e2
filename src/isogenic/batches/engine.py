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

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from isogenic.batches.facts import (
    AlarmRaised,
    BatchClosed,
    BatchStarted,
    ClockCorrected,
    DoseCommanded,
    DoseNotNeeded,
    PhaseCompleted,
    PhaseStarted,
    PromptAnswered,
    PromptAsked,
    SetpointsCommanded,
    SignalLost,
    SignalReturned,
    StateChanged,
    TotalRestarted,
)
from isogenic.batches.states import COMPLETES, FINAL, NEXT, Command, State, possible, target
from isogenic.errors import NotAllowed, NotFound, NotValid
from isogenic.ids import BatchId, LotId, PersonId, ProductId, PromptId, SponsorId, UnitId
from isogenic.plant.classes import DOSE_NUMBER
from isogenic.plant.readings import Reading
from isogenic.recipes import conditions
from isogenic.recipes.model import Answer, ControlDose, ControlPhase, ControlRecipe, DoseRule, Then
from isogenic.records.facts import Fact, Payload

__all__ = ["BatchState", "answer", "apply", "begin", "command", "open_prompts", "outputs", "step"]

STEP_MAX = 100  # facts of one step; a recipe whose phases are all done at once goes on at the next scan
DOSED_ENOUGH = 0.95  # of the amount ordered: scales and totalisers are good to 1 %, and some of a harvest stays in the tubing
TOTAL_FELL = 0.99  # of what a total was: noise does not make it fall by a hundredth
DENSITY_KG_PER_L = 1.02  # of culture; illustrative
COMPUTED_DOSE_MAX = 0.10  # of the working volume: a wrong scale must not flood the vessel
ANSWER_MAX = 200  # characters
_SAFE = frozenset({State.HOLDING, State.HELD, State.STOPPING, State.STOPPED, State.ABORTING, State.ABORTED})
_YES = frozenset({"yes", "y", "ok", "confirm", "confirmed", "true"})


@dataclass(frozen=True, slots=True)
class Lost:
    """A signal that is not good: since when, and whether that has been said."""

    at: datetime
    alarmed: bool = False


@dataclass(frozen=True, slots=True)
class BatchState:
    """All that the facts of a batch add up to. Its tables are never changed in place."""

    control: ControlRecipe
    sponsor: SponsorId
    state: State
    at: datetime  # of the newest fact
    facts: int  # about this batch, since it started
    phase: int = -1  # the newest phase's place in the recipe; -1: none yet
    in_phase: bool = False  # it has started and is not completed
    phase_since: datetime | None = None
    running_since: datetime | None = None  # of this phase, since the newest start or restart: what time-outs count from
    runs: Mapping[str, int] = field(default_factory=dict)
    setpoints: Mapping[str, float] = field(default_factory=dict)  # in force
    doses: Mapping[str, DoseCommanded] = field(default_factory=dict)  # the newest of each dose signal
    dosed: DoseCommanded | None = None  # the newest of this phase
    window: int = 0  # the newest bolus window of this phase that has been decided
    asked: Mapping[PromptId, PromptAsked] = field(default_factory=dict)
    answers: Mapping[PromptId, PromptAnswered] = field(default_factory=dict)
    lost: Mapping[str, Lost] = field(default_factory=dict)
    timed_out: bool = False
    due: tuple[Then, str] | None = None  # what an alarm asked for, and has not been done
    monitored_since: datetime | None = None  # the first monitored phase began
    monitored_until: datetime | None = None  # the newest monitored phase ended; None again once another begins
    closed: bool = False

    @property
    def batch(self) -> BatchId:
        """Which batch this is."""
        return self.control.batch

    @property
    def lot(self) -> LotId:
        """What it yields."""
        return self.control.lot

    @property
    def product(self) -> ProductId:
        """What the lot is of."""
        return self.control.product

    @property
    def unit(self) -> UnitId:
        """Where it runs."""
        return self.control.unit

    @property
    def over(self) -> bool:
        """Whether it is closed: its unit is free."""
        return self.closed

    @property
    def current(self) -> ControlPhase | None:
        """The phase that is running, if one is."""
        return self.control.phases[self.phase] if self.in_phase else None

    def elapsed_h(self, now: datetime) -> float:
        """Hours since the current phase began, held or not: the culture lives on."""
        return _hours(self.phase_since, now)


def _hours(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds() / 3600.0)


# --- beginning, and folding ---------------------------------------------------------------------


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


def apply(state: BatchState | None, fact: Fact) -> BatchState:
    """The state after one more fact; the first is `BatchStarted`.

    Give it every fact whose subject is the batch, whichever room it is of: those of other rooms
    change nothing but the count, and the count closes the record.
    """
    if state is None:
        if not isinstance(fact.payload, BatchStarted):
            raise NotValid(f"cannot fold {fact.kind} of {fact.subject}", why="the batch has not started")
        return BatchState(control=fact.payload.control, sponsor=fact.payload.sponsor, state=State.IDLE, at=fact.at, facts=1)
    return state if fact.subject != state.batch else _fold(state, fact.payload, fact.at)


def _fold(state: BatchState, payload: Payload, at: datetime) -> BatchState:
    state = replace(state, at=at, facts=state.facts + 1)
    fold = _FOLDS.get(type(payload))
    return fold(state, payload, at) if fold else state


def _phase_started(state: BatchState, fact: PhaseStarted, at: datetime) -> BatchState:
    index = next(at for at, phase in enumerate(state.control.phases) if phase.name == fact.phase)
    return replace(
        state,
        phase=index,
        in_phase=True,
        phase_since=at,
        running_since=at,
        runs={**state.runs, fact.phase: fact.run},
        dosed=None,
        window=0,
        lost={},
        timed_out=False,
        due=None,
        monitored_since=(state.monitored_since or at) if state.control.phases[index].monitored else state.monitored_since,
        monitored_until=None if state.control.phases[index].monitored else state.monitored_until,
    )


def _phase_completed(state: BatchState, fact: PhaseCompleted, at: datetime) -> BatchState:
    monitored = state.control.phases[state.phase].monitored
    return replace(state, in_phase=False, due=None, monitored_until=at if monitored else state.monitored_until)


def _closed(state: BatchState, fact: BatchClosed, at: datetime) -> BatchState:
    ended = state.monitored_until or (at if state.monitored_since is not None else None)
    return replace(state, closed=True, monitored_until=ended)


def _clock_corrected(state: BatchState, fact: ClockCorrected, at: datetime) -> BatchState:
    """Every time that a duration is counted from moves with the clock, so that no phase ends early or late by a step."""
    by = timedelta(seconds=fact.by_s)

    def moved(since: datetime | None) -> datetime | None:
        try:
            return None if since is None else since + by
        except OverflowError:  # a clock that claims to be beyond the calendar
            return since

    return replace(
        state,
        phase_since=moved(state.phase_since),
        running_since=moved(state.running_since),
        monitored_since=moved(state.monitored_since),
        monitored_until=moved(state.monitored_until),
        lost={name: replace(lost, at=moved(lost.at) or lost.at) for name, lost in state.lost.items()},
    )


def _total_restarted(state: BatchState, fact: TotalRestarted, at: datetime) -> BatchState:
    return replace(state, dosed=replace(state.dosed, total_before=0.0) if state.dosed is not None else None)


def _state_changed(state: BatchState, fact: StateChanged, at: datetime) -> BatchState:
    if fact.state is State.RUNNING:
        return replace(state, state=fact.state, running_since=at, timed_out=False, due=None)
    return replace(state, state=fact.state, due=None)


def _dose_commanded(state: BatchState, fact: DoseCommanded, at: datetime) -> BatchState:
    return replace(state, doses={**state.doses, fact.dose: fact}, dosed=fact, window=fact.window)


def _alarm_raised(state: BatchState, fact: AlarmRaised, at: datetime) -> BatchState:
    then = Then(fact.then) if fact.then in tuple(Then) else Then.ALARM
    due = (then, fact.what) if then is not Then.ALARM else state.due
    if fact.signal in state.lost:
        return replace(state, due=due, lost={**state.lost, fact.signal: replace(state.lost[fact.signal], alarmed=True)})
    return replace(state, due=due, timed_out=True)


def _signal_returned(state: BatchState, fact: SignalReturned, at: datetime) -> BatchState:
    return replace(state, lost={name: lost for name, lost in state.lost.items() if name != fact.signal})


_FOLDS: Mapping[type, Callable[[BatchState, Any, datetime], BatchState]] = {
    PhaseStarted: _phase_started,
    PhaseCompleted: _phase_completed,
    StateChanged: _state_changed,
    PromptAsked: lambda state, fact, at: replace(state, asked={**state.asked, fact.prompt: fact}),
    PromptAnswered: lambda state, fact, at: replace(state, answers={**state.answers, fact.prompt: fact}),
    SetpointsCommanded: lambda state, fact, at: replace(state, setpoints={**state.setpoints, **fact.setpoints}),
    DoseCommanded: _dose_commanded,
    DoseNotNeeded: lambda state, fact, at: replace(state, window=fact.window),
    SignalLost: lambda state, fact, at: replace(state, lost={**state.lost, fact.signal: Lost(at)}),
    SignalReturned: _signal_returned,
    AlarmRaised: _alarm_raised,
    TotalRestarted: _total_restarted,
    ClockCorrected: _clock_corrected,
    BatchClosed: _closed,
}


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
        state = _fold(state, payload, now)
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
        if _prompt_id(state, prompt.name) not in state.asked:
            yield PromptAsked(batch, _prompt_id(state, prompt.name), phase.name, prompt.text, prompt.answer, prompt.unit, prompt.low, prompt.high)
    yield from _signals_due(state, phase, seen, now)
    yield from _restarts_due(state, phase, seen)
    if _holds(state, phase, phase.until, seen, now):
        yield PhaseCompleted(batch, phase.name, state.runs[phase.name], phase.until)
    dose = _dose_due(state, phase, seen, now)
    if dose is not None:
        yield dose
    if phase.timeout_h is not None and not state.timed_out and _hours(state.running_since, now) >= phase.timeout_h:
        yield AlarmRaised(batch, phase.name, f"{phase.name} is not done after {phase.timeout_h:g} h", then=phase.timeout_then)


def _as_told(state: BatchState, phase: ControlPhase, then: Then, why: str) -> Payload:
    if then is Then.COMPLETE:
        return PhaseCompleted(state.control.batch, phase.name, state.runs[phase.name], why)
    told = Command.ABORT if then is Then.ABORT else Command.HOLD
    return StateChanged(state.control.batch, NEXT[state.state][told], told, why)


def _signals_due(state: BatchState, phase: ControlPhase, seen: Mapping[str, Reading], now: datetime) -> Iterator[Payload]:
    batch = state.control.batch
    for signal in phase.needs:
        lost, good = state.lost.get(signal), _value(seen, signal) is not None
        if lost is None and not good:
            yield SignalLost(batch, phase.name, signal)
        if lost is not None and good:
            yield SignalReturned(batch, phase.name, signal)
        if lost is not None and not good and not lost.alarmed and _hours(lost.at, now) >= phase.lost_after_h:
            yield AlarmRaised(batch, phase.name, f"{signal} has not been good for {phase.lost_after_h:g} h", signal=signal, then=phase.lost_then)


def _restarts_due(state: BatchState, phase: ControlPhase, seen: Mapping[str, Reading]) -> Iterator[Payload]:
    """A total that is lower than it was when the dose was ordered counts from zero again."""
    before = state.dosed.total_before if state.dosed is not None else None
    total = _value(seen, phase.dose.total) if phase.dose is not None else None
    if before and total is not None and total < before * TOTAL_FELL:
        assert phase.dose is not None
        yield TotalRestarted(state.batch, phase.name, phase.dose.total, total)


def _value(seen: Mapping[str, Reading], signal: str) -> float | None:
    reading = seen.get(signal)
    return reading.value if reading is not None and reading.good else None


def _holds(state: BatchState, phase: ControlPhase, text: str, seen: Mapping[str, Reading], now: datetime) -> bool:
    def value(name: str) -> float | None:
        return state.elapsed_h(now) if name == conditions.ELAPSED else _value(seen, name)

    answered = all(_prompt_id(state, prompt.name) in state.answers for prompt in phase.prompts)
    return conditions.holds(conditions.parse(text), value, answered=answered, dosed=_has_arrived(state, phase, seen)) is True


def _has_arrived(state: BatchState, phase: ControlPhase, seen: Mapping[str, Reading]) -> bool:
    ordered, dose = state.dosed, phase.dose
    if ordered is None or dose is None or ordered.total_before is None:
        return False
    total = _value(seen, dose.total)
    return total is not None and total >= ordered.total_before + DOSED_ENOUGH * ordered.amount


def _is_under_way(state: BatchState, phase: ControlPhase, seen: Mapping[str, Reading]) -> bool:
    """A dose of this phase was ordered, and the totaliser does not show it yet."""
    return state.dosed is not None and state.dosed.total_before is not None and not _has_arrived(state, phase, seen)


def _dose_due(state: BatchState, phase: ControlPhase, seen: Mapping[str, Reading], now: datetime) -> Payload | None:
    dose = phase.dose
    if dose is None or (dose.when and not _holds(state, phase, dose.when, seen, now)):
        return None
    if dose.rule is DoseRule.BOLUS:
        return _bolus_due(state, phase, dose, seen, now)
    if state.dosed is not None:
        return None
    if dose.rule is DoseRule.AMOUNT:
        return _order(state, phase, dose, dose.amount, seen, why=f"{dose.amount:g} {dose.unit} by the recipe")
    volume = _volume(seen)
    if volume is None:
        return None
    if dose.rule is DoseRule.EVERYTHING:
        return _order(state, phase, dose, volume * dose.per_litre, seen, why=f"everything: the vessel holds {volume:.4g} L")
    litres = volume * dose.to / (dose.stock - dose.to)
    return _order(state, phase, dose, _bounded(state, litres) * dose.per_litre, seen, why=f"{dose.stock:g} into {volume:.4g} L gives {dose.to:g}")


def _bolus_due(state: BatchState, phase: ControlPhase, dose: ControlDose, seen: Mapping[str, Reading], now: datetime) -> Payload | None:
    """Decided once in a window, from its first scan on which the readings are good; the first window is for looking only."""
    window = int(state.elapsed_h(now) // dose.every_h)
    level, volume = _value(seen, dose.signal), _volume(seen)
    if window <= state.window or level is None or volume is None:
        return None
    if _is_under_way(state, phase, seen):
        # What was ordered before an outage may flow now: the level that is read does not contain it yet, so no second one on top.
        late = f"{dose.into} number {state.dosed.number if state.dosed else 0} was ordered a window ago and has not arrived"
        return None if state.timed_out else AlarmRaised(state.control.batch, phase.name, late, then=Then.ALARM)
    if level >= dose.below:
        return DoseNotNeeded(state.control.batch, phase.name, dose.into, window, f"{dose.signal} {level:.4g} is not below {dose.below:g}")
    litres = _bounded(state, volume * (dose.to - level) / (dose.stock - dose.to))
    why = f"{dose.signal} {level:.4g} is below {dose.below:g}; {volume:.4g} L to {dose.to:g}"
    return _order(state, phase, dose, litres * dose.per_litre, seen, why=why, window=window)


def _volume(seen: Mapping[str, Reading]) -> float | None:
    """Litres in the vessel, by weight; None where the scale is not good or the vessel is empty."""
    weight = _value(seen, "vessel_weight")
    return None if weight is None or weight <= 0 else weight / DENSITY_KG_PER_L


def _bounded(state: BatchState, litres: float) -> float:
    return min(litres, COMPUTED_DOSE_MAX * state.control.working_volume)


def _order(
    state: BatchState, phase: ControlPhase, dose: ControlDose, amount: float, seen: Mapping[str, Reading], *, why: str, window: int = 0
) -> DoseCommanded | None:
    """The dose with its number, which is above every number that the module may have executed; None while that cannot be known."""
    number = state.doses[dose.into].number if dose.into in state.doses else 0
    counter = seen.get(dose.into + DOSE_NUMBER)
    if counter is not None:
        if not counter.good:
            return None
        number = max(number, int(counter.value))  # an earlier batch may have left it high
    total = _value(seen, dose.total)
    if total is None and dose.rule is not DoseRule.BOLUS:
        return None  # whether it has arrived could never be told
    return DoseCommanded(
        batch=state.control.batch,
        phase=phase.name,
        dose=dose.into,
        amount=float(f"{amount:.6g}"),
        unit=dose.unit,
        number=number + 1,
        why=why,
        window=window,
        total_before=total,
    )


# --- people -------------------------------------------------------------------------------------


def _prompt_id(state: BatchState, name: str) -> PromptId:
    phase = state.control.phases[state.phase].name
    return PromptId(f"{name.upper().replace('_', '-').strip('-')}-{state.runs.get(phase, 1)}")


def open_prompts(state: BatchState) -> tuple[PromptAsked, ...]:
    """The questions that wait for an answer, oldest first."""
    if state.state in FINAL or state.current is None:
        return ()
    return tuple(asked for prompt, asked in state.asked.items() if prompt not in state.answers and asked.phase == state.current.name)


def answer(state: BatchState, prompt: PromptId, text: str, *, by: PersonId) -> list[Payload]:
    """The fact of a person's answer. A number outside its limits is refused: the batch is held or ended instead."""
    waiting = {asked.prompt: asked for asked in open_prompts(state)}
    batch = state.control.batch
    if prompt not in state.asked:
        raise NotFound(f"no question {prompt} in {batch}", why="it was not asked", possible=", ".join(waiting) or "no question is open")
    if prompt not in waiting:
        why = "it is answered" if prompt in state.answers else f"its phase is over and the batch is {state.state}"
        raise NotAllowed(f"cannot answer {prompt} of {batch}", why=why, possible=", ".join(waiting) or "no question is open")
    return [PromptAnswered(batch, prompt, _checked(waiting[prompt], text.strip(), state), by)]


def _checked(asked: PromptAsked, text: str, state: BatchState) -> str:
    what = f"cannot take {text[:40]!r} as the answer to {asked.prompt}"
    if not text or len(text) > ANSWER_MAX or not text.isprintable():
        raise NotValid(what, why=f"an answer is one line of 1 to {ANSWER_MAX} characters")
    if asked.kind is Answer.TEXT:
        return text
    if asked.kind is Answer.CONFIRM:
        if text.lower() not in _YES:
            raise NotValid(what, why="it is to be confirmed", possible=f"yes; or {possible(state.state)}")
        return "confirmed"
    try:
        number = float(text.removesuffix(asked.unit).strip() if asked.unit else text)
    except ValueError:
        raise NotValid(what, why=f"it is not a number in {asked.unit or '1'}") from None
    low, high = asked.low, asked.high
    if not (low if low is not None else -1e300) <= number <= (high if high is not None else 1e300):
        limits = f"{'' if low is None else f'{low:g}'} to {'' if high is None else f'{high:g}'} {asked.unit}".strip()
        raise NotValid(what, why=f"its limits are {limits}", possible=f"a number within them; or {possible(state.state)}")
    return f"{number:g}"


def command(state: BatchState, command: Command, *, why: str) -> list[Payload]:
    """The facts of a command: the new state, and the set-points that come into force with it."""
    batch = state.control.batch
    if state.closed:
        raise NotAllowed(f"cannot {command} {batch}", why=f"it is closed, {state.state}", possible="start another batch")
    changed = StateChanged(batch, target(state.state, command, what=str(batch)), command, why)
    setpoints = _setpoints_due(_fold(state, changed, state.at))
    return [changed] if setpoints is None else [changed, setpoints]
