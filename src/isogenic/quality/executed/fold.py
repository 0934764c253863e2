"""From facts to the executed batch record.

Guarantees: the same facts give the same record (I8); every fact that names the batch is one
line of it, whatever its kind and order; nothing here fails on a fact that does not fit.
Leaves to others: which facts are given: the site's ledger for the sponsor and the control
site's ledger for the site, each in its own order, the site's first; of the site's house what is
about the line and its modules while the batch was on it.

What comes only with the control site's ledger: names of people, approvals of the recipe,
specification, dispositions and the decision on the lot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import datetime
from typing import Any

from isogenic.authority.people import Directory, DirectoryPublished
from isogenic.batches.counts import CountsNoted, Tally, follow, reconcile
from isogenic.batches.facts import (
    AnswerCorrected,
    BatchClosed,
    BatchStarted,
    Entered,
    PhaseCompleted,
    PhaseStarted,
    PromptAnswered,
    PromptAsked,
    PromptOverdue,
    PromptWitnessed,
    ScanRefused,
    ServiceCommanded,
    SetpointsCommanded,
    UnitAllocated,
    WitnessDeclined,
)
from isogenic.batches.serials import LabelsAccounted, LabelsIssued, Serials, unaccounted
from isogenic.batches.serials import follow as follow_labels
from isogenic.batches.talk import answer_digest
from isogenic.clock import ClockQuality
from isogenic.errors import NotFound, Refusal
from isogenic.ids import BatchId, LotId, UnitId
from isogenic.laboratory.results import ResultReported, SampleDrawn
from isogenic.materials.assemblies import AssemblyInstalled
from isogenic.materials.clearance import LineAssigned, LineLeft, LineStepDone, LineTaken
from isogenic.materials.lots import MaterialUsed
from isogenic.quality.deviations import Deviation, DeviationDisposed, DeviationOpened
from isogenic.quality.environment import Level, judge_reported
from isogenic.quality.executed.model import (
    Answered,
    Exceptional,
    ExecutedRecord,
    Held,
    Line,
    Material,
    Part,
    Question,
    Result,
    SetpointRun,
    SignedLine,
    Step,
)
from isogenic.quality.executed.words import say, unit_words
from isogenic.quality.record import batch_of
from isogenic.quality.specifications import Specification, SpecificationPublished, Verdict, judge, read_specification
from isogenic.recipes.approval import RecipeApproved, RecipePublished
from isogenic.recipes.model import MAIN, Answer, ControlPhase, ControlUnitProcedure
from isogenic.records.blocks import ReadingsSealed
from isogenic.records.facts import Fact
from isogenic.records.gaps import ReadingsGap
from isogenic.records.signatures import Signature

__all__ = ["executed_record", "unit_of"]

NODE = "node"  # the role of a node that acts by itself
LATE_H = 8.0  # a question that waited longer than a shift was answered late
EQUIPMENT = ("sites.module_lost", "sites.module_restored", "sites.setpoint_refused")  # of the house: whoever is on the unit is told
SIGNATURE_DEPTH = 3  # levels of a fact in which a signature may stand


def executed_record(facts: Iterable[Fact], *, batch: BatchId | None = None, held: Sequence[Held] = ()) -> ExecutedRecord:
    """The record of one batch; without a name, of the first that was started in these facts. `NotFound` where none was.

    Set-points are beside what was reached once `reached.with_readings` has added that.
    """
    reading = _Reading(batch, {each.ledger: each.mark for each in held})
    for each in facts:
        reading.take(each)
    return reading.record(held=tuple(held))


@dataclass(slots=True)
class _Running:
    """A step while it is put together."""

    started: PhaseStarted
    at: datetime
    where: str
    ended: datetime | None = None
    why: str = ""
    commanded: list[tuple[str, float, datetime, str]] = field(default_factory=list)
    in_force: dict[str, tuple[float, str]] = field(default_factory=dict)  # when it began
    questions: dict[str, Question] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)


def unit_of(payload: Any) -> UnitId | None:
    """The unit that a fact of the site's house is about; a set-point's tag begins with it."""
    named = getattr(payload, "unit", None) or str(getattr(payload, "tag", "")).partition(".")[0]
    try:
        return UnitId(named)
    except Refusal:
        return None


class _Reading:
    """Facts as they come, and what they have added up to so far."""

    def __init__(self, batch: BatchId | None, marks: Mapping[str, str]) -> None:
        self.batch, self.marks = batch, dict(marks)
        self.started: tuple[BatchStarted, Fact] | None = None
        self.early: list[Fact] = []  # noted before the batch began: of its lot, or of a recipe
        self.steps: list[_Running] = []
        self.newest: dict[str, int] = {}  # phase -> its newest step
        self.asked_in: dict[str, int] = {}
        self.in_force: dict[str, tuple[float, str]] = {}
        self.lines: list[Line] = []
        self.materials: list[Material] = []
        self.samples: list[tuple[SampleDrawn, Line]] = []
        self.results: list[tuple[ResultReported, Line]] = []
        self.opened: dict[str, DeviationOpened] = {}
        self.disposed: dict[str, DeviationDisposed] = {}
        self.signatures: list[SignedLine] = []
        self.blocks: list[tuple[ReadingsSealed, str]] = []
        self.gaps: list[ReadingsGap] = []
        self.specifications: list[SpecificationPublished] = []
        self.tally = Tally()
        self.serials = Serials()
        self.counted: Line | None = None
        self.changeovers: set[tuple[UnitId, int]] = set()
        self.equipment: list[Line] = []  # what modules did meanwhile
        self.on: set[UnitId] = set()  # by the house: units that the batch has taken and not left
        self.procedures: dict[str, ControlUnitProcedure] = {}  # as resolved for their units, by name
        self.service_of: dict[tuple[str, str], int] = {}  # unit and service -> the step that ordered it last
        self.recipes: dict[tuple[str, int], list[SignedLine]] = {}
        self.directory: Directory | None = None
        self.closed: tuple[BatchClosed, Line] | None = None
        self.first = self.stop = self.facts = self.poor = 0

    # ---- taking facts ----

    def take(self, fact: Fact) -> None:
        """One more fact."""
        payload = fact.payload
        match payload:
            case DirectoryPublished():
                self.directory = payload.directory
            case SpecificationPublished():
                self.specifications.append(payload)
            case RecipePublished() | RecipeApproved():
                self._recipe(payload, fact)
        if self.started is None:
            if not isinstance(payload, BatchStarted) or self.batch not in (None, payload.batch):
                self.early.append(fact)
                return
            self.batch, self.started = payload.batch, (payload, fact)
            self.procedures = {each.name: each for each in payload.control.unit_procedures}
            self.marks.setdefault(fact.ref.ledger, "")
            self.first = fact.position
            early, self.early = self.early, []
            for each in early:
                if self._is_ours(each):
                    self._add(each)
            self._add(fact)
        elif self._is_ours(fact):
            self._add(fact)

    def _is_ours(self, fact: Fact) -> bool:
        assert self.started is not None
        payload = fact.payload
        if isinstance(payload, LineStepDone):
            return (payload.unit, payload.change) in self.changeovers
        if isinstance(payload, LineLeft):
            self.on -= {payload.unit} if payload.left_by == self.batch else set()
            return payload.left_by == self.batch
        if isinstance(payload, LineTaken) and payload.taken_by == self.batch:
            self.on.add(payload.unit)
            return True
        if fact.kind in EQUIPMENT:
            return unit_of(payload) in self.on
        named, lot = batch_of(fact), getattr(payload, "lot", None)
        ours = named == self.batch or (not named and isinstance(lot, LotId) and lot == self.started[0].lot)
        if ours and isinstance(payload, LineAssigned):
            self.changeovers.add((payload.unit, payload.change))
        return ours

    def _add(self, fact: Fact) -> None:
        assert self.started is not None
        site = fact.ref.ledger == self.started[1].ref.ledger
        if site:
            self.first, self.stop = min(self.first, fact.position), max(self.stop, fact.position + 1)
            self.facts += fact.subject == self.batch and (self.closed is None)
            self.poor += fact.moment.quality in (ClockQuality.POOR, ClockQuality.UNKNOWN)
        line = self._line(fact)
        tables = _TABLES.get(type(fact.payload))
        if tables is not None:
            line = tables(self, fact.payload, line) or line
        if fact.kind in EQUIPMENT:
            self.equipment.append(line)
            return
        if line.part in _OF_A_STEP and line.step is None and self.steps:
            line = replace(line, step=self._step_of(fact.payload))
        if line.step is not None:
            self.steps[line.step].lines.append(line)
        self.lines.append(line)
        if fact.payload is not self.started[0]:
            self.signatures += [SignedLine(line.text, signed, line.where) for signed in _signatures(fact.payload)]

    def _line(self, fact: Fact) -> Line:
        said = say(fact)
        by = "" if fact.actor.role == NODE else fact.actor.id
        return Line(fact.at, self._where(fact), by, said.text, said.part, said.exception)

    def _where(self, fact: Fact) -> str:
        ledger = fact.ref.ledger
        if ledger not in self.marks:
            taken = set(self.marks.values())
            self.marks[ledger] = next(mark for mark in (*"CHABDEFGIJKLMNOPQRSTUVWXYZ", "Z" * len(self.marks)) if mark not in taken)
        return f"{self.marks[ledger]}{fact.position}"

    def _step_of(self, payload: Any) -> int | None:
        """The step that a fact is about: the newest run of its phase, or the one that ordered its service."""
        phase = getattr(payload, "phase", "")
        if phase:
            return self.newest.get(phase)
        service = getattr(payload, "service", "")
        return self.service_of.get((str(payload.unit), service)) if service else None

    def _recipe(self, payload: Any, fact: Fact) -> None:
        signed = [payload.signature] if isinstance(payload, RecipeApproved) else list(payload.approvals)
        lines = self.recipes.setdefault((str(payload.recipe), payload.version), [])
        known = {(each.signature.person, each.signature.meaning) for each in lines}
        what = f"Recipe {payload.recipe} version {payload.version}"
        lines += [SignedLine(what, each, self._where(fact)) for each in signed if (each.person, each.meaning) not in known]

    # ---- what goes into tables ----

    def _phase_started(self, payload: PhaseStarted, line: Line) -> Line:
        self.newest[payload.phase] = len(self.steps)
        self.steps.append(_Running(payload, line.at, line.where, in_force=dict(self.in_force)))
        return replace(line, step=len(self.steps) - 1)

    def _phase_completed(self, payload: PhaseCompleted, line: Line) -> None:
        at = self._step_of(payload)
        if at is not None:
            self.steps[at].ended, self.steps[at].why = line.at, payload.why

    def _allocated(self, payload: UnitAllocated, line: Line) -> None:
        self.procedures |= {each.name: each for each in payload.procedures}

    def _ordered(self, payload: ServiceCommanded, line: Line) -> None:
        at = self._step_of(payload)
        if at is not None:
            self.service_of[str(payload.unit), payload.service] = at

    def _installed(self, payload: AssemblyInstalled, line: Line) -> None:
        self.materials.append(Material(payload.item, payload.serial, f"receipt {payload.receipt}, at {payload.position} of {payload.unit}", line))

    def _setpoints(self, payload: SetpointsCommanded, line: Line) -> None:
        at = self._step_of(payload)
        for name, value in payload.setpoints.items():
            self.in_force[name] = (value, line.where)
            for running in [each for number, each in enumerate(self.steps) if number == at or each.ended is None]:
                running.commanded.append((name, value, line.at, line.where))

    def _asked(self, payload: PromptAsked, line: Line) -> None:
        at = self._step_of(payload)
        if at is not None:
            self.steps[at].questions[payload.prompt] = Question(payload, line.at, line.where)
            self.asked_in[payload.prompt] = at

    def _answered(self, payload: PromptAnswered | AnswerCorrected, line: Line) -> Line:
        at, question = self._question(payload.prompt)
        if question is None:
            return replace(line, exception=Exceptional.RECORD, text=f"{line.text}; no such question was asked")
        asked, corrected = question.asked, isinstance(payload, AnswerCorrected)
        answer = Answered(
            payload.answer or TAKEN_BACK,
            str(payload.by),
            line.at,
            line.where,
            str(payload.entered),
            payload.scanned,
            payload.why if isinstance(payload, AnswerCorrected) else "",
            payload.signature is not None,
            bool(payload.answer) and _is_outside(payload.answer, asked),
            answer_digest(payload),
        )
        self._put(question, (*question.answers, answer))
        line = replace(line, step=at)
        waited = (line.at - question.at).total_seconds() / 3600.0
        if answer.outside:
            return replace(line, exception=Exceptional.LIMIT, text=f"{line.text}; asked for {limits_of(asked)}")
        if asked.kind is Answer.SCAN and payload.entered is Entered.TYPED:
            return replace(line, exception=line.exception or Exceptional.TYPED, text=f"{line.text}, typed, not scanned")
        if asked.timer is None and not corrected and not question.answers and waited > LATE_H:
            return replace(line, exception=Exceptional.LATE, text=f"{line.text}, {waited:.1f} h after it was asked")
        return line

    def _witnessed(self, payload: PromptWitnessed | WitnessDeclined, line: Line) -> Line:
        at, question = self._question(payload.prompt)
        if question is None or payload.answered not in [each.digest for each in question.answers]:
            return replace(line, exception=Exceptional.RECORD, text=f"{line.text}; no such answer was given", step=at)
        changed = []
        for each in question.answers:
            if each.digest == payload.answered:
                if isinstance(payload, PromptWitnessed):
                    each = replace(each, witness=str(payload.by), witnessed_at=line.at)
                else:
                    each = replace(each, declined=f"{payload.by}: {payload.why}")
            changed.append(each)
        self._put(question, tuple(changed))
        return replace(line, step=at)

    def _question(self, prompt: str) -> tuple[int | None, Question | None]:
        at = self.asked_in.get(prompt)
        return (None, None) if at is None else (at, self.steps[at].questions[prompt])

    def _put(self, question: Question, answers: tuple[Answered, ...]) -> None:
        self.steps[self.asked_in[question.asked.prompt]].questions[question.asked.prompt] = replace(question, answers=answers)

    def _about_a_question(self, payload: ScanRefused | PromptOverdue, line: Line) -> Line:
        return replace(line, step=self._question(payload.prompt)[0])

    def _material(self, payload: MaterialUsed, line: Line) -> None:
        self.materials.append(Material(payload.material, payload.used_lot, "", line))

    def _sample(self, payload: SampleDrawn, line: Line) -> None:
        self.samples.append((payload, line))

    def _result(self, payload: ResultReported, line: Line) -> Line:
        self.results.append((payload, line))
        return line

    def _opened(self, payload: DeviationOpened, line: Line) -> None:
        self.opened.setdefault(str(payload.deviation), payload)

    def _disposed(self, payload: DeviationDisposed, line: Line) -> None:
        self.disposed.setdefault(str(payload.deviation), payload)

    def _sealed(self, payload: ReadingsSealed, line: Line) -> None:
        self.blocks.append((payload, line.where))

    def _gap(self, payload: ReadingsGap, line: Line) -> None:
        self.gaps.append(payload)

    def _counted(self, payload: CountsNoted, line: Line) -> None:
        self.tally, self.counted = follow(self.tally, payload), line

    def _labels(self, payload: LabelsIssued | LabelsAccounted, line: Line) -> None:
        self.serials, self.counted = follow_labels(self.serials, payload), line

    def _closed(self, payload: BatchClosed, line: Line) -> Line:
        if self.closed is not None:
            return replace(line, exception=Exceptional.RECORD, text=f"{line.text}, although it was closed before")
        self.closed = (payload, line)
        if payload.facts != self.facts:
            return replace(line, exception=Exceptional.RECORD, text=f"{line.text}; {self.facts} were read for this record")
        return line

    # ---- the record ----

    def record(self, *, held: tuple[Held, ...]) -> ExecutedRecord:
        """What the facts add up to."""
        if self.started is None:
            why = "no batch was started in these facts" if self.batch is None else f"{self.batch} was not started in these facts"
            raise NotFound("no executed record", why=why)
        payload, fact = self.started
        where = self._where(fact)
        by = str(payload.by or (fact.actor.id if fact.actor.role != NODE else ""))
        specification = self._specification(str(payload.product))
        lines, results = self._judged(specification)
        lines += self._not_reconciled()
        lines += self._unanswered(lines[-1].at if lines else fact.at)
        if self.poor:
            lines.append(
                Line(lines[-1].at, where, "", f"{self.poor} facts were noted under a clock not known to be good", Part.BATCH, Exceptional.CLOCK)
            )
        steps = tuple(
            _step(each, self.procedures.values(), str(payload.unit), until=self.closed[1].at if self.closed else None) for each in self.steps
        )
        return ExecutedRecord(
            started=payload,
            started_at=fact.at,
            started_where=where,
            started_by=by,
            lines=tuple(lines),
            steps=steps,
            materials=tuple(self.materials),
            samples=tuple(self.samples),
            results=tuple(results),
            deviations=tuple(Deviation(opened, self.disposed.get(name)) for name, opened in self.opened.items()),
            signatures=(*self.recipes.get((str(payload.recipe), payload.version), ()), *self.signatures),
            blocks=tuple(self.blocks),
            gaps=tuple(self.gaps),
            specification=specification,
            reconciliation=reconcile(self.tally) if self.tally.shown else None,
            serials=self.serials if self.serials.issued else None,
            people=self._people(),
            closed=self.closed[0] if self.closed else None,
            closed_at=self.closed[1].at if self.closed else None,
            first=self.first,
            stop=self.stop,
            facts=self.facts,
            held=held,
        )

    def _specification(self, product: str) -> Specification | None:
        """The newest specification of the product in these facts that can be read."""
        for each in sorted((each for each in self.specifications if each.product == product), key=lambda each: -each.version):
            try:
                return read_specification(each.text)
            except Refusal:
                continue
        return None

    def _judged(self, specification: Specification | None) -> tuple[list[Line], list[Result]]:
        """Results against their limits; one that fails is an exception."""
        results, failing = [], {}
        for reported, line in self.results:
            judged = judge(reported, specification) if specification is not None and reported.attribute in specification.attributes else None
            plate = judge_reported(reported.attribute, reported.value, reported.qualifier) if judged is None else None
            results.append(Result(reported, line.by, line.at, line.where, judged, plate))
            if plate is not None and plate.level is Level.ACTION:
                failing[line.where] = f"{plate}, EU GMP Annex 1, table 6"
            if judged is not None and judged.verdict is Verdict.FAIL:
                failing[line.where] = f"{judged.attribute.title} {judged.shown()}, limit {judged.attribute.limits()}"
        told = self._in_time()
        lines = [replace(each, text=failing[each.where], exception=Exceptional.LIMIT) if each.where in failing else each for each in told]
        return lines, results

    def _in_time(self) -> list[Line]:
        """The lines in order; what modules did, which the house tells, among those of the batch by the clock of the site that wrote both."""
        told: list[Line] = []
        apart = sorted(self.equipment, key=lambda line: line.at)
        for each in self.lines:
            while apart and each.where[0].isdigit() and apart[0].at < each.at:
                told.append(apart.pop(0))
            told.append(each)
        return [*told, *apart]

    def _not_reconciled(self) -> Iterator[Line]:
        """What the counts do not account for, once the batch is over: until then there is always something under way."""
        if self.counted is not None and self.closed is not None:
            for finding in (*reconcile(self.tally).findings, *unaccounted(self.serials)):
                yield replace(self.counted, text=finding, exception=Exceptional.LIMIT)

    def _unanswered(self, at: datetime) -> Iterator[Line]:
        for number, step in enumerate(self.steps):
            for question in step.questions.values():
                if not question.answers or (question.asked.how.witness and not any(each.witness for each in question.answers)):
                    yield Line(at, question.where, "", f"{question.asked.prompt}: {question.asked.text}", Part.TOLD, Exceptional.OPEN, number)

    def _people(self) -> dict[str, str]:
        """Who acted or signed, as printed."""
        acted = {line.by for line in self.lines if line.by} | {each.signature.person for each in self.signatures}
        acted |= {answer.by for step in self.steps for question in step.questions.values() for answer in question.answers}
        acted |= {answer.witness for step in self.steps for question in step.questions.values() for answer in question.answers if answer.witness}
        named = self.directory.people if self.directory is not None else {}
        signed = {str(each.signature.person): each.signature.printed_name for each in self.signatures}
        found = {}
        for name in sorted(map(str, acted)):
            person = next((each for each in named.values() if each.id == name), None)
            found[name] = f"{person.printed_name}, {', '.join(role.words for role in person.roles)}" if person is not None else signed.get(name, "")
        return found


_OF_A_STEP = frozenset({Part.STEP, Part.TOLD, Part.SETPOINT, Part.DOSE, Part.SERVICE})
_TABLES: Mapping[type, Callable[[_Reading, Any, Line], Line | None]] = {
    PhaseStarted: _Reading._phase_started,
    PhaseCompleted: _Reading._phase_completed,
    SetpointsCommanded: _Reading._setpoints,
    PromptAsked: _Reading._asked,
    PromptAnswered: _Reading._answered,
    AnswerCorrected: _Reading._answered,
    PromptWitnessed: _Reading._witnessed,
    WitnessDeclined: _Reading._witnessed,
    ScanRefused: _Reading._about_a_question,
    PromptOverdue: _Reading._about_a_question,
    MaterialUsed: _Reading._material,
    AssemblyInstalled: _Reading._installed,
    UnitAllocated: _Reading._allocated,
    ServiceCommanded: _Reading._ordered,
    SampleDrawn: _Reading._sample,
    ResultReported: _Reading._result,
    DeviationOpened: _Reading._opened,
    DeviationDisposed: _Reading._disposed,
    ReadingsSealed: _Reading._sealed,
    ReadingsGap: _Reading._gap,
    CountsNoted: _Reading._counted,
    LabelsIssued: _Reading._labels,
    LabelsAccounted: _Reading._labels,
    BatchClosed: _Reading._closed,
}


def limits_of(asked: PromptAsked) -> str:
    """The limits of a question, as people read them."""
    unit = f" {unit_words(asked.unit)}".rstrip()
    if asked.low is not None and asked.high is not None:
        return f"{asked.low:.6g} to {asked.high:.6g}{unit}"
    if asked.low is not None:
        return f"at least {asked.low:.6g}{unit}"
    return f"at most {asked.high:.6g}{unit}" if asked.high is not None else ""


TAKEN_BACK = "not done after all"


def _is_outside(answer: str, asked: PromptAsked) -> bool:
    if asked.kind is not Answer.NUMBER:
        return False
    try:
        value = float(answer)
    except ValueError:
        return True
    return not ((asked.low is None or value >= asked.low) and (asked.high is None or value <= asked.high))


def _signatures(payload: Any, depth: int = SIGNATURE_DEPTH) -> Iterator[Signature]:
    """Every signature in a fact, wherever it stands in it."""
    if isinstance(payload, Signature):
        yield payload
    elif depth and is_dataclass(payload):
        for each in fields(payload):
            yield from _signatures(getattr(payload, each.name), depth - 1)
    elif depth and isinstance(payload, tuple):
        for part in payload:
            yield from _signatures(part, depth - 1)


def _step(running: _Running, procedures: Iterable[ControlUnitProcedure], unit: str, *, until: datetime | None) -> Step:
    found = ((part, each) for part in procedures for each in part.phases if each.name == running.started.phase)
    part, phase = next(found, (None, None))
    end = running.ended or until
    started = running.started
    return Step(
        phase=started.phase,
        run=started.run,
        unit=str(part.unit) if part is not None and part.unit is not None else unit,
        unit_procedure=part.name if part is not None and part.name != MAIN else "",
        recipe=phase,
        began=running.at,
        where=running.where,
        ended=running.ended,
        why=running.why,
        setpoints=tuple(_setpoint_runs(running, phase, end)),
        questions=tuple(running.questions.values()),
        lines=tuple(running.lines),
    )


def _setpoint_runs(running: _Running, phase: ControlPhase | None, end: datetime | None) -> list[SetpointRun]:
    """What was in force in a step: what its recipe or anybody asked for in it, from when to when."""
    named = [*(phase.setpoints if phase is not None else ()), *(name for name, *_ in running.commanded)]
    runs: list[SetpointRun] = []
    for name in dict.fromkeys(named):
        changes = [(value, at, where) for told, value, at, where in running.commanded if told == name]
        if name in running.in_force and (not changes or changes[0][1] > running.at):
            value, where = running.in_force[name]
            changes = [(value, running.at, where), *changes]
        for at, (value, since, where) in enumerate(changes):
            until = changes[at + 1][1] if at + 1 < len(changes) else end
            runs.append(SetpointRun(name, value, since, until, where, carried=name in running.in_force and running.in_force[name][1] == where))
    return runs
