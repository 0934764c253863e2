"""The executed batch record: what was done, when, by whom and why, read from the facts alone.

Guarantees: the same facts give the same record (I8); each entry carries the position of its
fact, so that a reader can look it up in the ledger; nothing is left out that the engine or a
person did.
Leaves to others: whether the facts are complete and witnessed (quality), readings, results.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
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
from isogenic.errors import NotFound
from isogenic.ids import BatchId
from isogenic.recipes.derive import CLASS_UNITS
from isogenic.recipes.model import Then
from isogenic.records.facts import Fact

__all__ = ["Entry", "ExecutedRecord", "PhaseRecord", "PromptRecord", "executed_record", "record_text"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was done or seen."""

    at: datetime
    position: int  # of its fact in the ledger
    actor: str  # the node, or the person
    text: str


@dataclass(frozen=True, slots=True)
class PromptRecord:
    """A question and its answer."""

    asked: PromptAsked
    asked_at: datetime
    answer: str = ""
    by: str = ""
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PhaseRecord:
    """One run of a phase."""

    phase: str
    run: int
    began: datetime
    ended: datetime | None = None
    why: str = ""
    prompts: tuple[PromptRecord, ...] = ()
    setpoints: tuple[Entry, ...] = ()
    doses: tuple[Entry, ...] = ()
    events: tuple[Entry, ...] = ()  # alarms, signals lost and back


@dataclass(frozen=True, slots=True)
class ExecutedRecord:
    """A batch as it was executed."""

    started: BatchStarted
    started_at: datetime
    phases: tuple[PhaseRecord, ...] = ()
    states: tuple[Entry, ...] = ()
    alarms: int = 0
    facts: int = 0  # read for this record, of any room
    closed: BatchClosed | None = None
    closed_at: datetime | None = None

    @property
    def batch(self) -> BatchId:
        """Which batch."""
        return self.started.batch

    def __str__(self) -> str:
        return record_text(self)


def executed_record(facts: Iterable[Fact]) -> ExecutedRecord:
    """The record of the one batch whose facts these are; facts of other subjects are passed over."""
    record: ExecutedRecord | None = None
    for fact in facts:
        if record is None:
            if isinstance(fact.payload, BatchStarted):
                record = ExecutedRecord(fact.payload, fact.at, facts=1)
        elif fact.subject == record.batch:
            record = _with(replace(record, facts=record.facts + 1), fact)
    if record is None:
        raise NotFound("no executed record", why="no batch was started in these facts")
    return record


def _entry(fact: Fact, text: str) -> Entry:
    return Entry(fact.at, fact.position, fact.actor.id, text)


def _with(record: ExecutedRecord, fact: Fact) -> ExecutedRecord:
    done = fact.payload
    match done:
        case StateChanged():
            command = f" by {done.command}" if done.command else ""
            return replace(record, states=(*record.states, _entry(fact, f"{done.state}{command}: {done.why}")))
        case PhaseStarted():
            return replace(record, phases=(*record.phases, PhaseRecord(done.phase, done.run, fact.at)))
        case PhaseCompleted():
            return _in_phase(record, ended=fact.at, why=done.why)
        case BatchClosed():
            return replace(record, closed=done, closed_at=fact.at)
        case AlarmRaised():
            then = "" if done.then in ("", Then.ALARM) else f", so {done.then}"
            return _add(replace(record, alarms=record.alarms + 1), "events", _entry(fact, f"ALARM {done.what}{then}"))
        case SignalLost():
            return _add(record, "events", _entry(fact, f"signal {done.signal} is not good"))
        case SignalReturned():
            return _add(record, "events", _entry(fact, f"signal {done.signal} is good again"))
        case ClockCorrected():
            return _add(record, "events", _entry(fact, f"CLOCK stepped by {done.by_s:+g} s: times from here on are by the new clock"))
        case TotalRestarted():
            return _add(record, "events", _entry(fact, f"{done.signal} counts from zero again"))
        case SetpointsCommanded():
            told = ", ".join(f"{name} {value:g} {CLASS_UNITS.get(name, '')}".strip() for name, value in done.setpoints.items())
            return _add(record, "setpoints", _entry(fact, told))
        case DoseCommanded():
            return _add(record, "doses", _entry(fact, f"{done.dose} {done.amount:g} {done.unit}, number {done.number}: {done.why}"))
        case DoseNotNeeded():
            return _add(record, "doses", _entry(fact, f"{done.dose} not needed: {done.why}"))
        case PromptAsked():
            return _add(record, "prompts", PromptRecord(done, fact.at))
        case PromptAnswered():
            return _answered(record, done, fact.at)
    return record


def _in_phase(record: ExecutedRecord, **changed: Any) -> ExecutedRecord:
    if not record.phases:
        return record
    return replace(record, phases=(*record.phases[:-1], replace(record.phases[-1], **changed)))


def _add(record: ExecutedRecord, where: str, entry: Entry | PromptRecord) -> ExecutedRecord:
    return _in_phase(record, **{where: (*getattr(record.phases[-1], where), entry)}) if record.phases else record


def _answered(record: ExecutedRecord, done: PromptAnswered, at: datetime) -> ExecutedRecord:
    if not record.phases:
        return record
    prompts = tuple(
        replace(each, answer=done.answer, by=str(done.by), answered_at=at) if each.asked.prompt == done.prompt else each
        for each in record.phases[-1].prompts
    )
    return _in_phase(record, prompts=prompts)


# --- its page -----------------------------------------------------------------------------------


def record_text(record: ExecutedRecord) -> str:
    """The record as a page that people read."""
    return "\n".join(_lines(record)) + "\n"


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "not yet"


def _lines(record: ExecutedRecord) -> Iterator[str]:
    started = record.started
    yield f"Executed batch record {started.batch}"
    yield f"  lot      {started.lot} of {started.product}, for {started.sponsor}"
    yield f"  recipe   {started.recipe} version {started.version}, SHA-256 {started.recipe_digest}"
    yield f"  unit     {started.unit} at {started.control.site}"
    yield f"  started  {_time(record.started_at)}{f' by {started.by}' if started.by else ''}"
    yield f"  closed   {_time(record.closed_at)}"
    if record.closed is not None:
        agreed = "all read here" if record.closed.facts <= record.facts else f"only {record.facts} read here"
        yield f"  outcome  {record.closed.outcome}, {record.closed.facts} facts, {agreed}; {record.alarms} alarms"
    yield ""
    yield "States"
    yield from _entries(record.states, "  ")
    for at, phase in enumerate(record.phases, 1):
        yield ""
        yield from _phase_lines(at, phase)


def _phase_lines(at: int, phase: PhaseRecord) -> Iterator[str]:
    yield f"{at} {phase.phase}{f', run {phase.run}' if phase.run > 1 else ''}"
    yield f"  began  {_time(phase.began)}"
    for prompt in phase.prompts:
        yield f"  asked  {_time(prompt.asked_at)}  {prompt.asked.prompt}: {prompt.asked.text}"
        if prompt.answered_at is None:
            yield "         not answered"
        else:
            yield f"         {_time(prompt.answered_at)}  {prompt.answer} {prompt.asked.unit}".rstrip() + f", by {prompt.by}"
    words = (("set", phase.setpoints), ("dose", phase.doses), ("event", phase.events))
    done = [(entry.position, word, entry) for word, entries in words for entry in entries]
    for _, word, entry in sorted(done, key=lambda each: each[0]):
        yield from _entries((entry,), f"  {word:<5}  ")
    yield f"  ended  {_time(phase.ended)}{f'  {phase.why}' if phase.why else ''}"


def _entries(entries: Iterable[Entry], indent: str) -> Iterator[str]:
    for entry in entries:
        yield f"{indent}{_time(entry.at)}  {entry.text}  [{entry.position}]"
