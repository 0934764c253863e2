"""The story of a batch, for people: phases with their times, questions, events; folded from its facts.

Guarantees: the same facts give the same story, at the site and at the control site alike; it
decides nothing.
Leaves to others: what is due (engine), what it means for the lot (quality).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from isogenic.batches.engine import BatchState
from isogenic.batches.engine import apply as apply_to_batch
from isogenic.batches.facts import (
    AlarmRaised,
    AnswerCorrected,
    BatchStarted,
    DoseCommanded,
    PhaseCompleted,
    PhaseStarted,
    PromptAnswered,
    PromptAsked,
    PromptOverdue,
    PromptWitnessed,
    ScanRefused,
    SignalLost,
    SignalReturned,
    StateChanged,
    WitnessDeclined,
)
from isogenic.batches.prompts import is_current, needs_signature, open_prompts, waiting_for_witness, window
from isogenic.batches.states import FINAL, NEXT
from isogenic.ids import BatchId, PromptId
from isogenic.monitoring.facts import MonitoringStarted
from isogenic.plant.drift import BatchDrifted, BatchDriftEnded
from isogenic.records.facts import Fact
from isogenic.records.ledger import Copy, Ledger
from isogenic.web.messages import Asked, PhaseLine, time

__all__ = ["EVENTS_MAX", "Event", "Stories", "Story", "tell"]

EVENTS_MAX = 500  # newest kept for a screen; every one is in the ledger


@dataclass(frozen=True, slots=True)
class Event:
    """One line of what happened."""

    at: datetime
    text: str
    abnormal: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one phase."""

    phase: str
    run: int
    started: datetime
    ended: datetime | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """One batch."""

    state: BatchState
    started: datetime
    ledger: str
    runs: tuple[Run, ...] = ()
    asked_at: Mapping[PromptId, datetime] = field(default_factory=dict)
    answered_at: Mapping[PromptId, datetime] = field(default_factory=dict)
    corrections: Mapping[PromptId, int] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    model: str = ""  # digest of the reference model that watches

    @property
    def batch(self) -> BatchId:
        """Which."""
        return self.state.control.batch

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state.closed or self.state.state in FINAL

    def maturity_hours(self, at: datetime) -> float | None:
        """Hours since the first monitored phase began; None outside the monitored phases."""
        monitored = {phase.name for phase in self.state.control.phases if phase.monitored}
        runs = [run for run in self.runs if run.phase in monitored]
        if not any(run.started <= at and (run.ended is None or at <= run.ended) for run in runs):
            return None
        return (at - runs[0].started).total_seconds() / 3600

    def phases(self) -> list[PhaseLine]:
        """Every phase of the recipe in order: done, running or planned."""
        newest = {each.phase: each for each in self.runs}
        every = [phase for part in self.state.parts.values() for phase in part.phases]
        return [_phase_line(phase.name, phase.title, newest.get(phase.name)) for phase in every]

    def prompts(self, *, open_only: bool = False) -> list[Asked]:
        """Questions and answers, oldest first."""
        lines = [self._asked(prompt, asked).model_copy(update={"place": at}) for at, (prompt, asked) in enumerate(self.state.asked.items())]
        if not open_only:
            return lines
        waiting = {asked.prompt for asked in open_prompts(self.state)} | waiting_for_witness(self.state).keys()
        return [line for line in lines if line.prompt in waiting and not self.over]

    def _asked(self, prompt: PromptId, asked: PromptAsked) -> Asked:
        answer = self.state.answers.get(prompt)
        return Asked(
            batch=self.batch,
            unit=self.state.unit_of(asked.phase),
            prompt=prompt,
            phase=asked.phase,
            text=asked.text,
            kind=str(asked.kind),
            measured_in=asked.unit,
            low=asked.low,
            high=asked.high,
            asked_at=time(self.asked_at.get(prompt)),
            answer=answer.answer if answer else None,
            answered_by=answer.by if answer else None,
            answered_at=time(self.answered_at.get(prompt)),
            **self._how(asked, answer),
        )

    def _how(self, asked: PromptAsked, answer: PromptAnswered | None) -> dict[str, Any]:
        """What else is known of a question: its ways, its time, who stands behind the answer."""
        talk, prompt = self.state.talk, asked.prompt
        opens, given = window(self.state, asked), talk.given.get(prompt)
        witnessed = talk.witnesses.get(prompt)
        return {
            "choices": list(asked.how.choices),
            "expects": asked.how.expects,
            "picture": asked.how.picture,
            "signed": needs_signature(asked),
            "witness": asked.how.witness,
            "competence": asked.how.competence,
            "opens_at": time(opens.opens) if asked.timer is not None else None,
            "closes_at": time(opens.closes),
            "after": str(opens.after) if opens.opens is None and opens.after else None,
            "given": given.answer if given else None,
            "given_by": str(given.by) if given else None,
            "refused": list(talk.refused[prompt].why) if prompt in talk.refused else [],
            "declined": talk.declined[prompt].why if prompt in talk.declined else "",
            "entered": str(answer.entered) if answer else "",
            "witnessed_by": str(witnessed.by) if witnessed else None,
            "current": is_current(self.state, prompt),
            "corrections": self.corrections.get(prompt, 0),
        }

    def possible(self) -> list[str]:
        """Commands that the state takes now."""
        return [] if self.state.closed else [str(command) for command in NEXT[self.state.state]]


WATCHED = "watched by reference model"


def _phase_line(name: str, title: str, run: Run | None) -> PhaseLine:
    if run is None:
        return PhaseLine(phase=name, title=title, state="planned")
    state = "running" if run.ended is None else "done"
    return PhaseLine(phase=name, title=title, state=state, run=run.run, started_at=time(run.started), ended_at=time(run.ended), why=run.why)


def tell(story: Story | None, fact: Fact) -> Story | None:
    """The story after one more fact about its batch."""
    payload = fact.payload
    if isinstance(payload, BatchStarted):
        begun = apply_to_batch(None, fact)
        assert begun is not None
        text = f"started for {payload.lot} with {payload.recipe} version {payload.version}"
        return Story(begun, fact.at, fact.ref.ledger, events=(_event(fact, text),))
    if story is None:
        return None
    state = apply_to_batch(story.state, fact)
    assert state is not None
    story = replace(story, state=state)
    match payload:
        case PhaseStarted():
            story = replace(story, runs=(*story.runs, Run(payload.phase, payload.run, fact.at)))
        case PhaseCompleted():
            ended = tuple(
                replace(each, ended=fact.at, why=payload.why) if (each.phase, each.run) == (payload.phase, payload.run) else each
                for each in story.runs
            )
            story = replace(story, runs=ended)
        case PromptAsked():
            story = replace(story, asked_at={**story.asked_at, payload.prompt: fact.at})
        case PromptAnswered():
            story = replace(story, answered_at={**story.answered_at, payload.prompt: fact.at})
        case AnswerCorrected():
            story = replace(story, corrections={**story.corrections, payload.prompt: story.corrections.get(payload.prompt, 0) + 1})
        case MonitoringStarted():
            story = replace(story, model=payload.digest)
    said = _said(story, fact)
    return replace(story, events=(*story.events[-EVENTS_MAX + 1 :], said)) if said else story


def _event(fact: Fact, text: str, *, abnormal: bool = False) -> Event:
    return Event(fact.at, text, abnormal, "" if fact.actor.role == "node" else fact.actor.id)


def _said(story: Story, fact: Fact) -> Event | None:
    titles = {phase.name: phase.title for phase in story.state.control.phases}
    payload = fact.payload
    match payload:
        case PhaseStarted():
            return _event(fact, f"{titles.get(payload.phase, payload.phase)} started")
        case PhaseCompleted():
            return _event(fact, f"{titles.get(payload.phase, payload.phase)} completed ({payload.why})")
        case StateChanged():
            return _event(fact, f"{payload.state}: {payload.why}", abnormal=str(payload.state) in ABNORMAL_STATES)
        case PromptAnswered():
            return _event(fact, f"answered {payload.prompt}: {payload.answer}")
        case AnswerCorrected():
            to = f"corrected {payload.prompt} from {payload.was} to {payload.answer}" if payload.answer else f"took back {payload.prompt}"
            return _event(fact, f"{to}: {payload.why}", abnormal=True)
        case PromptWitnessed():
            return _event(fact, f"witnessed {payload.prompt}")
        case WitnessDeclined():
            return _event(fact, f"declined to witness {payload.prompt}: {payload.why}", abnormal=True)
        case ScanRefused():
            return _event(fact, f"scan refused at {payload.prompt}: {'; '.join(payload.why)}", abnormal=True)
        case PromptOverdue():
            return _event(fact, f"late: {payload.what}", abnormal=True)
        case DoseCommanded():
            return _event(fact, f"dose {payload.number} of {payload.amount:.4g} {payload.unit}, {payload.dose}: {payload.why}")
        case AlarmRaised():
            return _event(fact, f"alarm: {payload.what}", abnormal=True)
        case SignalLost():
            return _event(fact, f"signal lost: {payload.signal}", abnormal=True)
        case SignalReturned():
            return _event(fact, f"signal good again: {payload.signal}")
        case BatchDrifted():
            return _event(fact, f"{payload.module} runs {payload.setting} {payload.found}, not {payload.released}", abnormal=True)
        case BatchDriftEnded():
            return _event(fact, f"{payload.module} runs {payload.setting} as it should again")
        case MonitoringStarted():
            return _event(fact, f"{WATCHED} {payload.model}, {payload.digest[:12]}")
    return None


ABNORMAL_STATES = frozenset({"holding", "held", "stopping", "stopped", "aborting", "aborted"})


class Stories:
    """The stories of every batch in some ledgers, followed as the ledgers grow."""

    def __init__(self) -> None:
        self.batches: dict[BatchId, Story] = {}
        self._folded: dict[str, int] = {}

    def follow(self, ledgers: Iterable[Ledger | Copy]) -> None:
        """Fold what is new."""
        for ledger in ledgers:
            start = self._folded.get(ledger.origin, 0)
            if start >= ledger.size:
                continue
            for fact in ledger.facts(start):
                self._fold(fact)
                self._folded[ledger.origin] = fact.position + 1

    def _fold(self, fact: Fact) -> None:
        if not fact.subject.startswith(BatchId.prefix):
            return
        batch = BatchId(fact.subject)
        if isinstance(fact.payload, BatchStarted) and batch in self.batches:
            return  # a second start is strange, and the lot's record says so
        story = tell(self.batches.get(batch), fact)
        if story is not None:
            self.batches[batch] = story
