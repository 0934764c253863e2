"""What a batch's facts add up to, and nothing else ever changes it.

    control       the recipe as it was taken up           parts, phases   the same as it is now
    procedure     what is left of the unit procedures     charts          what is left of each that is under way
    asides        what runs beside: on the way to held, on the way back, after an exception
    active        the phases that are running             units           which unit serves which role

Guarantees: `apply` is a pure fold (I8): the same facts give the same state, live and after a
restart alike; facts of other rooms about the batch are counted, because the count closes the
record. A fact that does not fit what is left of the charts changes nothing in them.
Leaves to others: what is due next (engine), what people may say (prompts).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from isogenic.batches.facts import (
    AlarmRaised,
    AnswerCorrected,
    BatchClosed,
    BatchStarted,
    BranchChosen,
    ClockCorrected,
    DoseCommanded,
    DoseNotNeeded,
    ExceptionBegan,
    ExceptionEnded,
    FormulaChanged,
    Mode,
    ModeChanged,
    ParameterEntered,
    PhaseCompleted,
    PhaseStarted,
    PromptAnswered,
    PromptAsked,
    PromptWitnessed,
    ResultNoted,
    RoundEnded,
    SampleDue,
    ServiceCommanded,
    ServiceRefused,
    ServiceStateSeen,
    SetpointsCommanded,
    SignalLost,
    SignalReturned,
    StateChanged,
    TotalRestarted,
    TransitionConfirmed,
    TransitionReached,
    UnitAllocated,
    UnitAsked,
    UnitReleased,
)
from isogenic.batches.progress import Progress, begun
from isogenic.batches.states import State
from isogenic.batches.talk import Talk, follow, in_force
from isogenic.errors import NotValid
from isogenic.ids import BatchId, LotId, ProductId, PromptId, SponsorId, UnitId
from isogenic.plant.mtp.states import ServiceState, state_of
from isogenic.plant.services import ServiceOrder, explained
from isogenic.recipes import conditions
from isogenic.recipes.derive import changed, changed_condition
from isogenic.recipes.model import ControlPhase, ControlRecipe, ControlUnitProcedure, Then
from isogenic.records.compiled import replaced
from isogenic.records.facts import Fact, Payload
from isogenic.units import Quantity

__all__ = [
    "UNKNOWN",
    "ActivePhase",
    "Aside",
    "AsideKind",
    "Asked",
    "BatchState",
    "Held",
    "Lost",
    "Reached",
    "Told",
    "apply",
    "fold",
    "hours",
    "of_batch_alone",
    "of_exception",
    "tag_of",
]


UNKNOWN = "?"  # behind a place: that its condition cannot be told has been said


@dataclass(frozen=True, slots=True)
class Lost:
    """A signal that is not good, or an exception that is so: since when, and whether that has been said."""

    at: datetime
    alarmed: bool = False


@dataclass(frozen=True, slots=True)
class ActivePhase:
    """A phase that is running, in this run of it."""

    name: str
    run: int
    since: datetime
    running_since: datetime  # since the newest start or restart: what time-outs count from
    dosed: DoseCommanded | None = None  # the newest of this run
    window: int = 0  # the newest bolus window that has been decided
    lost: Mapping[str, Lost] = field(default_factory=dict)  # by signal
    exceptions: Mapping[str, Lost] = field(default_factory=dict)  # those that are so now
    timed_out: bool = False
    due: tuple[Then, str] | None = None  # what an alarm asked for, and has not been done
    entered: Mapping[str, float] = field(default_factory=dict)  # by parameter, as it was entered last
    often: Mapping[str, int] = field(default_factory=dict)  # how often a signal was lost, or an exception began, since somebody looked
    sampled: frozenset[str] = frozenset()  # sampling points that were reached

    def elapsed_h(self, now: datetime) -> float:
        """Hours since it began, held or not: the culture lives on."""
        return hours(self.since, now)


class AsideKind(StrEnum):
    """Why something runs beside the charts."""

    HOLD = "hold"
    RESTART = "restart"
    EXCEPTION = "exception"


@dataclass(frozen=True, slots=True)
class Aside:
    """Phases beside the charts: those of holding and restarting, or the operation of an exception."""

    kind: AsideKind
    unit_procedure: str
    source: str  # of an exception: phase and name
    progress: Progress
    begun: tuple[str, ...] = ()  # its phases in the order in which they last began


@dataclass(frozen=True, slots=True)
class Held:
    """A unit that serves a role of the batch, or has."""

    unit: UnitId
    at: datetime
    released: bool = False
    number: int = 0  # of its asking; 0: the batch was started on it


@dataclass(frozen=True, slots=True)
class Asked:
    """A role that waits for a unit."""

    number: int
    equipment_class: str
    at: datetime
    alarmed: bool = False


@dataclass(frozen=True, slots=True)
class Reached:
    """A transition of the semi-automatic mode."""

    run: int
    why: str
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """One service: what it was told, and what it was seen to do."""

    order: ServiceOrder
    at: datetime  # of the newest order or state
    phase: str
    run: int
    code: float | None = None  # the newest that was noted
    waiting: tuple[str, ...] = ()  # commands since then
    started: bool = False  # in this run of the phase
    trouble: str = ""
    alarmed: bool = False

    @property
    def state(self) -> ServiceState | None:
        """The newest state; None while it is not known, or is none."""
        return None if self.code is None else state_of(self.code)


@dataclass(frozen=True, slots=True)
class BatchState:
    """All that the facts of a batch add up to. Its tables are never changed in place."""

    control: ControlRecipe
    sponsor: SponsorId
    state: State
    at: datetime  # of the newest fact
    facts: int  # about this batch, since it started
    parts: Mapping[str, ControlUnitProcedure] = field(default_factory=dict)  # as they are resolved now
    phases: Mapping[str, ControlPhase] = field(default_factory=dict)  # with the parameters as they are now
    place: Mapping[str, str] = field(default_factory=dict)  # of each phase its unit procedure
    values: Mapping[str, float] = field(default_factory=dict)  # of the parameters, on the first unit
    conditions: Mapping[str, str] = field(default_factory=dict)  # of the charts: those that a change has made other ones
    mode: Mode = Mode.AUTOMATIC
    units: Mapping[str, Held] = field(default_factory=dict)  # by role
    waiting: Mapping[str, Asked] = field(default_factory=dict)  # by role
    procedure: Progress = field(default_factory=Progress)
    charts: Mapping[str, Progress] = field(default_factory=dict)
    asides: tuple[Aside, ...] = ()
    active: Mapping[str, ActivePhase] = field(default_factory=dict)  # in the order in which they began
    begun: tuple[str, ...] = ()  # phases of the charts in the order in which they last began
    reached: Mapping[str, Reached] = field(default_factory=dict)  # by place
    due: tuple[Then, str] | None = None  # what an alarm of the batch itself asked for
    stuck: frozenset[str] = frozenset()  # places of which it has been said that nobody can tell how to go on
    runs: Mapping[str, int] = field(default_factory=dict)
    setpoints: Mapping[str, float] = field(default_factory=dict)  # in force, by tag
    doses: Mapping[str, DoseCommanded] = field(default_factory=dict)  # the newest of each dose signal, by tag
    services: Mapping[str, Told] = field(default_factory=dict)  # by tag
    results: Mapping[str, Quantity] = field(default_factory=dict)  # the newest of each attribute
    asked: Mapping[PromptId, PromptAsked] = field(default_factory=dict)
    answers: Mapping[PromptId, PromptAnswered] = field(default_factory=dict)
    monitored_since: datetime | None = None  # the first monitored phase began
    monitored_until: datetime | None = None  # the newest monitored phase ended; None again once another begins
    closed: bool = False
    talk: Talk = field(default_factory=Talk)  # times of questions and answers, and what waits for a witness

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
        """Where it was started."""
        return self.control.unit

    @property
    def over(self) -> bool:
        """Whether it is closed: its units are free."""
        return self.closed

    @property
    def current(self) -> ControlPhase | None:
        """The phase that began last of those that are running, if one is."""
        return self.phases[list(self.active)[-1]] if self.active else None

    @property
    def phase_since(self) -> datetime | None:
        """When that phase began."""
        return list(self.active.values())[-1].since if self.active else None

    @property
    def monitored(self) -> bool:
        """Whether a phase is running that is judged against the reference model."""
        return any(self.phases[name].monitored for name in self.active)

    @property
    def monitored_unit(self) -> UnitId:
        """Where the monitored phase runs that began first; where the batch was started, while none does."""
        return next((self.unit_of(name) for name in self.active if self.phases[name].monitored), self.unit)

    def elapsed_h(self, now: datetime) -> float:
        """Hours since the current phase began."""
        return hours(self.phase_since, now)

    def unit_of(self, phase: str) -> UnitId:
        """Where a phase runs."""
        unit = self.parts[self.place[phase]].unit if phase in self.place else None
        return self.unit if unit is None else unit

    def holds(self) -> tuple[UnitId, ...]:
        """The units that are the batch's now."""
        return () if self.closed else tuple(held.unit for held in self.units.values() if not held.released)

    def ever_held(self) -> tuple[UnitId, ...]:
        """Every unit that has been the batch's."""
        return tuple(held.unit for held in self.units.values())

    def named_setpoints(self) -> dict[str, float]:
        """The set-points in force as people read them: by signal, or by tag where there are several units."""
        several = len(self.units) > 1
        return {tag if several else tag.partition(".")[2]: value for tag, value in self.setpoints.items()}

    def values_on(self, part: ControlUnitProcedure) -> dict[str, Quantity]:
        """The parameters as they hold on a unit now: a changed one in the same proportion as on the first."""
        first = {each.name: each for each in self.control.parameters}
        found = {}
        for name, each in first.items():
            there = part.values.get(name, each.value)
            now = self.values.get(name, each.value)
            found[name] = Quantity(there if now == each.value else now if there == each.value else there * now / each.value, each.unit)
        return found


def hours(since: datetime | None, now: datetime) -> float:
    """From then to now, never below zero."""
    return 0.0 if since is None else max(0.0, (now - since).total_seconds() / 3600.0)


def of_exception(name: str) -> str:
    """An exception beside the signals of its phase."""
    return f"exception {name}"


def tag_of(unit: UnitId, signal: str) -> str:
    """`UNIT.signal`."""
    return f"{unit}.{signal}"


def apply(state: BatchState | None, fact: Fact) -> BatchState:
    """The state after one more fact; the first is `BatchStarted`.

    Give it every fact whose subject is the batch, whichever room it is of: those of other rooms
    change nothing but the count, and the count closes the record.
    """
    if state is None:
        if not isinstance(fact.payload, BatchStarted):
            raise NotValid(f"cannot fold {fact.kind} of {fact.subject}", why="the batch has not started")
        return _begun(fact.payload, fact.at)
    return state if fact.subject != state.batch else fold(state, fact.payload, fact.at)


def _begun(fact: BatchStarted, at: datetime) -> BatchState:
    control = fact.control
    state = BatchState(
        control=control,
        sponsor=fact.sponsor,
        state=State.IDLE,
        at=at,
        facts=1,
        values={each.name: each.value for each in control.parameters},
        units={part.role: Held(part.unit, at) for part in control.unit_procedures if part.unit is not None},
        procedure=begun(control.chart, at),
    )
    return _settled(_resolved(state, control.unit_procedures), at)


def fold(state: BatchState, payload: Payload, at: datetime) -> BatchState:
    """The state after one more payload of this batch, noted at a time."""
    state = replaced(state, at=at, facts=state.facts + 1, talk=follow(state.talk, payload, at, asked=state.asked))
    folded = _FOLDS.get(type(payload))
    return folded(state, payload, at) if folded else state


def of_batch_alone(payload: Payload) -> bool:
    """Whether a fact changes the state of its batch, and so nothing else is kept of it."""
    return type(payload) in _FOLDS


# --- the charts ---------------------------------------------------------------------------------


def _resolved(state: BatchState, parts: Iterable[ControlUnitProcedure]) -> BatchState:
    """These unit procedures, with their phases."""
    table = {**state.parts, **{part.name: part for part in parts}}
    phases, place = dict(state.phases), dict(state.place)
    for part in parts:
        phases |= {phase.name: phase for phase in part.phases}
        place |= {phase.name: part.name for phase in part.phases}
    return replace(state, parts=table, phases=phases, place=place)


def _settled(state: BatchState, at: datetime) -> BatchState:
    """Enter each unit procedure that is reached and has its unit, leave each that is done, until nothing moves."""
    while True:
        ready = next((name for name in state.procedure.ready if name in state.parts and state.parts[name].unit is not None), None)
        if ready is not None:
            chart = begun(state.parts[ready].chart, at, owner=ready)
            state = replace(state, procedure=state.procedure.started(ready), charts={**state.charts, ready: chart})
            continue
        over = next((name for name, chart in state.charts.items() if chart.done), None)
        if over is None:
            return state
        left = {name: chart for name, chart in state.charts.items() if name != over}
        state = replace(state, procedure=state.procedure.completed(over, at), charts=left)


def _in_charts(state: BatchState, phase: str, change: Callable[[Progress], Progress], at: datetime) -> BatchState:
    """The state after an event of a phase: in the aside or in the chart where it is."""
    for index, aside in enumerate(state.asides):
        if phase in aside.progress.ready or phase in aside.progress.running:
            again = tuple(name for name in aside.begun if name != phase)
            after = replace(aside, progress=change(aside.progress), begun=(*again, phase))
            return replace(state, asides=(*state.asides[:index], after, *state.asides[index + 1 :]))
    where = state.place.get(phase, "")
    if where not in state.charts:
        return state
    return _settled(replace(state, charts={**state.charts, where: change(state.charts[where])}), at)


def _at_place(state: BatchState, place: str, change: Callable[[Progress], Progress], at: datetime) -> BatchState:
    """The state after a choice or a round was decided."""
    state = replace(state, reached=_without(state.reached, place), stuck=state.stuck - {place, place + UNKNOWN})
    owner = place.rpartition("/")[0]
    for index, aside in enumerate(state.asides):
        if place in aside.progress.places:
            after = replace(aside, progress=change(aside.progress))
            return _swept(replace(state, asides=(*state.asides[:index], after, *state.asides[index + 1 :])))
    if not owner:
        return _settled(replace(state, procedure=change(state.procedure)), at)
    if owner not in state.charts:
        return state
    return _settled(replace(state, charts={**state.charts, owner: change(state.charts[owner])}), at)


def _round_ended(state: BatchState, fact: RoundEnded, at: datetime) -> BatchState:
    """The results that judged a round judge no later one: that takes a sample of its own."""
    if fact.again:
        charts = (state.procedure, *state.charts.values(), *(each.progress for each in state.asides))
        until = next((loop.until for chart in charts for loop in chart.loops if loop.place == fact.place), "")
        judged = conditions.told(conditions.parse(until)) if until else ()
        left = {name: value for name, value in state.results.items() if f"result.{name}" not in judged}
        state = replace(state, results=left)
    return _at_place(state, fact.place, lambda progress: progress.round_ended(fact.place, at, again=fact.again), at)


def _swept(state: BatchState) -> BatchState:
    """Operations of exceptions that are done leave; what was run on the way to held stays until the batch goes on."""
    return replace(state, asides=tuple(each for each in state.asides if each.kind is not AsideKind.EXCEPTION or not each.progress.done))


def _without(table: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != name}


def _phase_started(state: BatchState, fact: PhaseStarted, at: datetime) -> BatchState:
    if fact.phase not in state.phases:
        return state
    aside = any(fact.phase in each.progress.ready for each in state.asides)
    state = _in_charts(state, fact.phase, lambda progress: progress.started(fact.phase), at)
    monitored = state.phases[fact.phase].monitored
    return replace(
        state,
        active={**_without(state.active, fact.phase), fact.phase: ActivePhase(fact.phase, fact.run, at, at)},
        begun=state.begun if aside else (*(name for name in state.begun if name != fact.phase), fact.phase),
        runs={**state.runs, fact.phase: fact.run},
        monitored_since=(state.monitored_since or at) if monitored else state.monitored_since,
        monitored_until=None if monitored else state.monitored_until,
    )


def _phase_completed(state: BatchState, fact: PhaseCompleted, at: datetime) -> BatchState:
    if fact.phase not in state.phases:
        return state
    state = replace(state, active=_without(state.active, fact.phase), reached=_without(state.reached, fact.phase))
    ended = state.phases[fact.phase].monitored and not state.monitored
    state = replace(state, monitored_until=at if ended else state.monitored_until, services=_dropped(state, fact.phase))
    return _swept(_in_charts(state, fact.phase, lambda progress: progress.completed(fact.phase, at), at))


def _dropped(state: BatchState, phase: str) -> dict[str, Told]:
    """A phase is over: its service owes nothing any more, and its next phase begins from what is read then."""
    return {
        tag: replace(told, code=None, waiting=(), started=False, trouble="", alarmed=False) if told.phase == phase else told
        for tag, told in state.services.items()
    }


# --- states -------------------------------------------------------------------------------------


def _state_changed(state: BatchState, fact: StateChanged, at: datetime) -> BatchState:
    active = {name: replace(each, due=None) for name, each in state.active.items()}
    state = replace(state, state=fact.state, active=active, due=None)
    match fact.state:
        case State.RUNNING:
            active = {name: replace(each, running_since=at, timed_out=False, often={}) for name, each in state.active.items()}
            services = {tag: _anew(told, at) for tag, told in state.services.items()}
            return _ended_asides(replace(state, active=active, services=services), AsideKind.HOLD, AsideKind.RESTART)
        case State.HOLDING:
            state = _ended_asides(state, AsideKind.HOLD, AsideKind.RESTART)
            return _open_asides(state, AsideKind.HOLD, lambda part: part.on_hold, at)
        case State.RESTARTING:
            state = _ended_asides(state, AsideKind.HOLD)
            return _open_asides(state, AsideKind.RESTART, lambda part: part.on_restart, at)
        case State.STOPPING | State.ABORTING:
            state = _ended_asides(state, AsideKind.RESTART, AsideKind.EXCEPTION)
            return _stilled(state)
    return state


def _anew(told: Told, at: datetime) -> Told:
    """A person has looked and lets the batch run: what was not done is ordered again."""
    begun_there = told.started and told.state is not ServiceState.IDLE
    return replace(told, at=at, waiting=(), started=begun_there, trouble="", alarmed=False)


def _open_asides(state: BatchState, kind: AsideKind, chart: Callable[[ControlUnitProcedure], str], at: datetime) -> BatchState:
    """What each unit procedure that is under way has to do then."""
    opened = tuple(
        Aside(kind, name, "", begun(chart(state.parts[name]), at, owner=f"{name}/{kind}")) for name in state.charts if chart(state.parts[name])
    )
    return replace(state, asides=(*state.asides, *opened))


def _ended_asides(state: BatchState, *kinds: AsideKind) -> BatchState:
    """Without the asides of these kinds, and without their phases."""
    gone = {name for each in state.asides if each.kind in kinds for name in each.begun}
    kept = tuple(each for each in state.asides if each.kind not in kinds)
    return replace(state, asides=kept, active={name: each for name, each in state.active.items() if name not in gone})


def _stilled(state: BatchState) -> BatchState:
    """What was run on the way to held begins nothing more; its set-points stay."""
    gone = {name for each in state.asides for name in each.begun}
    quiet = tuple(replace(each, progress=Progress()) for each in state.asides)
    return replace(state, asides=quiet, active={name: each for name, each in state.active.items() if name not in gone})


def _closed(state: BatchState, fact: BatchClosed, at: datetime) -> BatchState:
    ended = state.monitored_until or (at if state.monitored_since is not None else None)
    return replace(state, closed=True, monitored_until=ended, waiting={})


def _clock_corrected(state: BatchState, fact: ClockCorrected, at: datetime) -> BatchState:
    """Every time that a duration is counted from moves with the clock, so that no phase ends early or late by a step."""
    by = timedelta(seconds=fact.by_s)

    def moved(since: datetime) -> datetime:
        try:
            return since + by
        except OverflowError:  # a clock that claims to be beyond the calendar
            return since

    def lost(table: Mapping[str, Lost]) -> dict[str, Lost]:
        return {name: replace(each, at=moved(each.at)) for name, each in table.items()}

    def phase(each: ActivePhase) -> ActivePhase:
        return replace(each, since=moved(each.since), running_since=moved(each.running_since), lost=lost(each.lost), exceptions=lost(each.exceptions))

    return replace(
        state,
        active={name: phase(each) for name, each in state.active.items()},
        procedure=state.procedure.moved(by),
        charts={name: chart.moved(by) for name, chart in state.charts.items()},
        asides=tuple(replace(each, progress=each.progress.moved(by)) for each in state.asides),
        services={tag: replace(told, at=moved(told.at)) for tag, told in state.services.items()},
        waiting={role: replace(each, at=moved(each.at)) for role, each in state.waiting.items()},
        monitored_since=None if state.monitored_since is None else moved(state.monitored_since),
        monitored_until=None if state.monitored_until is None else moved(state.monitored_until),
    )


# --- within a phase -----------------------------------------------------------------------------


def _in_phase(state: BatchState, phase: str, change: Callable[[ActivePhase], ActivePhase]) -> BatchState:
    known = state.active.get(phase)
    return state if known is None else replaced(state, active={**state.active, phase: change(known)})


def _begins(phase: ActivePhase, name: str, **changes: Any) -> ActivePhase:
    return replaced(phase, often={**phase.often, name: phase.often.get(name, 0) + 1}, **changes)


def _setpoints(state: BatchState, fact: SetpointsCommanded, at: datetime) -> BatchState:
    unit = state.unit_of(fact.phase)
    told = {tag_of(unit, signal): value for signal, value in fact.setpoints.items()}
    return replaced(state, setpoints={**state.setpoints, **told})


def _dose_commanded(state: BatchState, fact: DoseCommanded, at: datetime) -> BatchState:
    tag = tag_of(state.unit_of(fact.phase), fact.dose)
    state = replace(state, doses={**state.doses, tag: fact})
    return _in_phase(state, fact.phase, lambda phase: replaced(phase, dosed=fact, window=fact.window))


def _total_restarted(state: BatchState, fact: TotalRestarted, at: datetime) -> BatchState:
    return _in_phase(state, fact.phase, lambda phase: replaced(phase, dosed=replace(phase.dosed, total_before=0.0) if phase.dosed else None))


def _alarm_raised(state: BatchState, fact: AlarmRaised, at: datetime) -> BatchState:
    then = Then(fact.then) if fact.then in tuple(Then) else Then.ALARM
    kind, _, name = fact.about.partition(" ")
    due = (then, fact.what) if then is not Then.ALARM else None
    if fact.phase not in state.active:
        state = replace(state, due=due or state.due)
        if kind == "role" and name in state.waiting:
            return replace(state, waiting={**state.waiting, name: replace(state.waiting[name], alarmed=True)})
        return replace(state, stuck=state.stuck | {name}) if kind in ("choice", "loop") else state

    def alarmed(phase: ActivePhase) -> ActivePhase:
        phase = replaced(phase, due=due or phase.due)
        if fact.signal in phase.lost:
            return replaced(phase, lost={**phase.lost, fact.signal: replace(phase.lost[fact.signal], alarmed=True)})
        if kind == "exception" and name in phase.exceptions:
            return replaced(phase, exceptions={**phase.exceptions, name: replace(phase.exceptions[name], alarmed=True)})
        return phase if kind in ("exception", "service") else replace(phase, timed_out=True)

    state = _in_phase(state, fact.phase, alarmed)
    if kind == "service" and name in state.services:
        return replace(state, services={**state.services, name: replace(state.services[name], alarmed=True)})
    part = state.parts[state.place[fact.phase]]
    if kind == "exception" and fact.then in part.on_exception:
        source = f"{fact.phase} {name}"
        opened = Aside(AsideKind.EXCEPTION, part.name, source, begun(part.on_exception[fact.then], at, owner=f"{part.name}/{fact.then}"))
        return _swept(replace(state, asides=(*state.asides, opened)))
    return state


def _values_changed(state: BatchState, parameter: str, value: float) -> BatchState:
    """A parameter has another value: every phase and every condition that uses it is another one from here on."""
    state = replace(state, values={**state.values, parameter: value})
    return _with_values(state, state.parts.values())


def _with_values(state: BatchState, parts: Iterable[ControlUnitProcedure]) -> BatchState:
    phases, conditions = dict(state.phases), dict(state.conditions)
    for part in parts:
        values = state.values_on(part)
        phases |= {phase.name: changed(phases[phase.name], values) for phase in part.phases if phase.uses}
        conditions |= {use.place: changed_condition(use.place, use, values) for use in part.uses}
    first = state.values_on(state.control.unit_procedures[0])
    conditions |= {use.place: changed_condition(use.place, use, first) for use in state.control.uses}
    return replace(state, phases=phases, conditions=conditions)


def _entered(state: BatchState, fact: ParameterEntered, at: datetime) -> BatchState:
    state = _in_phase(state, fact.phase, lambda phase: replaced(phase, entered={**phase.entered, fact.parameter: fact.now}))
    return _values_changed(state, fact.parameter, fact.now)


def _said(state: BatchState, fact: Payload, at: datetime) -> BatchState:
    """An answer counts once it is in force: where it wants a witness, not before one has signed."""
    said = state.talk.newest.get(fact.prompt)
    if said is None:
        return replace(state, answers={name: each for name, each in state.answers.items() if name != fact.prompt})
    return replace(state, answers={**state.answers, fact.prompt: in_force(said)})


# --- units and services -------------------------------------------------------------------------


def _allocated(state: BatchState, fact: UnitAllocated, at: datetime) -> BatchState:
    state = replace(state, units={**state.units, fact.role: Held(fact.unit, at, number=fact.number)}, waiting=_without(state.waiting, fact.role))
    state = _resolved(state, fact.procedures)
    if any(state.values.get(each.name, each.value) != each.value for each in state.control.parameters):
        state = _with_values(state, fact.procedures)
    return _settled(state, at)


def _released(state: BatchState, fact: UnitReleased, at: datetime) -> BatchState:
    held = state.units.get(fact.role)
    return state if held is None else replace(state, units={**state.units, fact.role: replace(held, released=True)})


def _service_commanded(state: BatchState, fact: ServiceCommanded, at: datetime) -> BatchState:
    tag = tag_of(fact.unit, fact.service)
    order = ServiceOrder(fact.service, fact.command, fact.procedure, fact.parameters, fact.number)
    known = state.services.get(tag)
    if known is None or (known.phase, known.run) != (fact.phase, fact.run):
        known = Told(order, at, fact.phase, fact.run, code=known.code if known else None)
    told = replace(
        known,
        order=order,
        at=at,
        waiting=(*known.waiting, fact.command),
        started=fact.command != "reset" and (known.started or fact.command == "start"),
    )
    return replace(state, services={**state.services, tag: told})


def _service_seen(state: BatchState, fact: ServiceStateSeen, at: datetime) -> BatchState:
    tag = tag_of(fact.unit, fact.service)
    known = state.services.get(tag) or Told(ServiceOrder(fact.service, "", number=0), at, "", 0)
    now, trouble = state_of(fact.code), known.trouble
    if now is None:
        trouble = f"{fact.service} reports state {fact.code:g}, which is none"
    elif known.state is not None and not explained(known.state, now, told=known.waiting):
        trouble = f"{fact.service} went from {known.state.name.lower()} to {now.name.lower()}, and nobody here told it"
    alarmed = known.alarmed and trouble == known.trouble
    told = replace(known, at=at, code=fact.code, waiting=(), trouble=trouble, alarmed=alarmed)
    return replace(state, services={**state.services, tag: told})


def _service_refused(state: BatchState, fact: ServiceRefused, at: datetime) -> BatchState:
    tag = tag_of(fact.unit, fact.service)
    known = state.services.get(tag)
    if known is None or known.order.number != fact.number:
        return state
    started = known.started and known.order.command != "start"
    trouble = f"{fact.service} does not {known.order.command}: {fact.why}"
    return replace(state, services={**state.services, tag: replace(known, waiting=(), trouble=trouble, alarmed=False, started=started)})


_FOLDS: Mapping[type, Callable[[BatchState, Any, datetime], BatchState]] = {
    PhaseStarted: _phase_started,
    PhaseCompleted: _phase_completed,
    BranchChosen: lambda state, fact, at: _at_place(state, fact.place, lambda progress: progress.chosen(fact.place, fact.way, at), at),
    RoundEnded: _round_ended,
    StateChanged: _state_changed,
    ModeChanged: lambda state, fact, at: replace(state, mode=fact.mode, reached={}),
    TransitionReached: lambda state, fact, at: replace(state, reached={**state.reached, fact.place: Reached(fact.run, fact.why)}),
    TransitionConfirmed: lambda state, fact, at: replace(state, reached={**state.reached, fact.place: Reached(fact.run, fact.why, confirmed=True)}),
    PromptAsked: lambda state, fact, at: replace(state, asked={**state.asked, fact.prompt: fact}),
    PromptAnswered: _said,
    AnswerCorrected: _said,
    PromptWitnessed: _said,
    ParameterEntered: _entered,
    FormulaChanged: lambda state, fact, at: _values_changed(state, fact.parameter, fact.now),
    SampleDue: lambda state, fact, at: _in_phase(state, fact.phase, lambda phase: replaced(phase, sampled=phase.sampled | {fact.sample})),
    ResultNoted: lambda state, fact, at: replace(state, results={**state.results, fact.attribute: Quantity(fact.value, fact.unit)}),
    SetpointsCommanded: _setpoints,
    DoseCommanded: _dose_commanded,
    DoseNotNeeded: lambda state, fact, at: _in_phase(state, fact.phase, lambda phase: replaced(phase, window=fact.window)),
    SignalLost: lambda state, fact, at: _in_phase(
        state, fact.phase, lambda phase: _begins(phase, fact.signal, lost={**phase.lost, fact.signal: Lost(at)})
    ),
    SignalReturned: lambda state, fact, at: _in_phase(state, fact.phase, lambda phase: replaced(phase, lost=_without(phase.lost, fact.signal))),
    ExceptionBegan: lambda state, fact, at: _in_phase(
        state, fact.phase, lambda phase: _begins(phase, of_exception(fact.name), exceptions={**phase.exceptions, fact.name: Lost(at)})
    ),
    ExceptionEnded: lambda state, fact, at: _in_phase(
        state, fact.phase, lambda phase: replaced(phase, exceptions=_without(phase.exceptions, fact.name))
    ),
    AlarmRaised: _alarm_raised,
    TotalRestarted: _total_restarted,
    UnitAsked: lambda state, fact, at: replace(state, waiting={**state.waiting, fact.role: Asked(fact.number, fact.equipment_class, at)}),
    UnitAllocated: _allocated,
    UnitReleased: _released,
    ServiceCommanded: _service_commanded,
    ServiceStateSeen: _service_seen,
    ServiceRefused: _service_refused,
    ClockCorrected: _clock_corrected,
    BatchClosed: _closed,
}
