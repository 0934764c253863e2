"""What a batch's facts add up to, and nothing else ever changes it.

Guarantees: `apply` is a pure fold (I8): the same facts give the same state, live and after a
restart alike; facts of other rooms about the batch are counted, because the count closes the
record.
Leaves to others: what is due next (engine), what people may say (prompts).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from isogenic.batches.facts import (
    AlarmRaised,
    AnswerCorrected,
    BatchClosed,
    BatchStarted,
    ClockCorrected,
    DoseCommanded,
    DoseNotNeeded,
    PhaseCompleted,
    PhaseStarted,
    PromptAnswered,
    PromptAsked,
    PromptWitnessed,
    SetpointsCommanded,
    SignalLost,
    SignalReturned,
    StateChanged,
    TotalRestarted,
)
from isogenic.batches.states import State
from isogenic.batches.talk import Talk, follow, in_force
from isogenic.errors import NotValid
from isogenic.ids import BatchId, LotId, ProductId, PromptId, SponsorId, UnitId
from isogenic.recipes.model import ControlPhase, ControlRecipe, Then
from isogenic.records.facts import Fact, Payload

__all__ = ["BatchState", "Lost", "apply", "fold", "hours"]


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
        return hours(self.phase_since, now)


def hours(since: datetime | None, now: datetime) -> float:
    """From then to now, never below zero."""
    return 0.0 if since is None else max(0.0, (now - since).total_seconds() / 3600.0)


def apply(state: BatchState | None, fact: Fact) -> BatchState:
    """The state after one more fact; the first is `BatchStarted`.

    Give it every fact whose subject is the batch, whichever room it is of: those of other rooms
    change nothing but the count, and the count closes the record.
    """
    if state is None:
        if not isinstance(fact.payload, BatchStarted):
            raise NotValid(f"cannot fold {fact.kind} of {fact.subject}", why="the batch has not started")
        return BatchState(control=fact.payload.control, sponsor=fact.payload.sponsor, state=State.IDLE, at=fact.at, facts=1)
    return state if fact.subject != state.batch else fold(state, fact.payload, fact.at)


def fold(state: BatchState, payload: Payload, at: datetime) -> BatchState:
    """The state after one more payload of this batch, noted at a time."""
    state = replace(state, at=at, facts=state.facts + 1, talk=follow(state.talk, payload, at, asked=state.asked))
    folded = _FOLDS.get(type(payload))
    return folded(state, payload, at) if folded else state


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


def _said(state: BatchState, fact: Payload, at: datetime) -> BatchState:
    """An answer counts once it is in force: where it wants a witness, not before one has signed."""
    said = state.talk.newest.get(fact.prompt)
    return state if said is None else replace(state, answers={**state.answers, fact.prompt: in_force(said)})


_FOLDS: Mapping[type, Callable[[BatchState, Any, datetime], BatchState]] = {
    PhaseStarted: _phase_started,
    PhaseCompleted: _phase_completed,
    StateChanged: _state_changed,
    PromptAsked: lambda state, fact, at: replace(state, asked={**state.asked, fact.prompt: fact}),
    PromptAnswered: _said,
    AnswerCorrected: _said,
    PromptWitnessed: _said,
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
