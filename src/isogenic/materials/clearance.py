"""Line clearance: where each line stands between two batches, and whether the next may begin.

    from        what happens                                          to
    clear       it is assigned to a next lot                          to clear
    to clear    every step of its changeover is done                  cleared
    to clear    it is assigned to another next lot: from the start    to clear
    cleared     a batch begins that it was cleared for                in use
    cleared     the time is over within which it is to be taken       to clear
    cleared     it is assigned to another next lot: from the start    to clear
    in use      the batch is over                                     to clear

A line is a unit. It is cleared for one lot, of one product, sponsor and patient, and for nothing else. All of its facts are in
the ledger of the house: it is one order for one unit, however many sponsors share it.

Guarantees: pure; a line is what its facts, the released matrix and the clock say; what was done before a batch, or for another
next lot, counts for nothing. A line of which nothing was ever heard is clear; any other is refused until it is cleared.
Leaves to others: who may do a step (authority), which batch is on a unit (sites), assemblies (assemblies).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from isogenic.checks import Note, Severity
from isogenic.errors import NotAllowed, NotValid
from isogenic.ids import BatchId, IdentityCode, LotId, PersonId, ProductId, SponsorId, UnitId
from isogenic.materials.assemblies import Planned
from isogenic.materials.changeover import Cell, Matrix, Occupant, Step, StepKind
from isogenic.records.facts import Fact, fact
from isogenic.units import converter

__all__ = [
    "CLAUSE",
    "NEXT",
    "Line",
    "LineAssigned",
    "LineLeft",
    "LineState",
    "LineStepDone",
    "LineTaken",
    "StepState",
    "apply",
    "check_line_is_clear",
    "check_step",
    "state_of",
    "steps_of",
]

# EU GMP part I, chapter 5, asks for a clean and empty line before processing and before packaging, by an appropriate checklist (5.45
# of the numbering before 2015). 21 CFR 211.67(b)(4) and (6): the last batch's identification is removed, cleanliness inspected.
CLAUSE = "EU GMP part I chapter 5, line clearance; 21 CFR 211.67(b), 211.130(e)"
OWNER = "operator"
EVIDENCE_MAX = 80


class LineState(StrEnum):
    """Where a line stands."""

    CLEAR = "clear"  # nothing was ever on it
    TO_CLEAR = "to_clear"
    CLEARED = "cleared"
    IN_USE = "in_use"


class LineEvent(StrEnum):
    """What happens to a line."""

    ASSIGN = "assign"
    FINISH = "finish"  # the last step
    LAPSE = "lapse"
    TAKE = "take"
    LEAVE = "leave"


NEXT: Mapping[LineState, Mapping[LineEvent, LineState]] = {
    LineState.CLEAR: {LineEvent.ASSIGN: LineState.TO_CLEAR},
    LineState.TO_CLEAR: {LineEvent.ASSIGN: LineState.TO_CLEAR, LineEvent.FINISH: LineState.CLEARED},
    LineState.CLEARED: {LineEvent.ASSIGN: LineState.TO_CLEAR, LineEvent.LAPSE: LineState.TO_CLEAR, LineEvent.TAKE: LineState.IN_USE},
    LineState.IN_USE: {LineEvent.LEAVE: LineState.TO_CLEAR},
}


@fact("materials.line_assigned", subject="unit", house=True)
@dataclass(frozen=True, slots=True)
class LineAssigned:
    """A unit is to be made ready for a lot: its changeover began."""

    unit: UnitId
    change: int  # the number of the changeover on this unit, from 1
    lot: LotId
    product: ProductId
    sponsor: SponsorId
    until: datetime  # the planned end of the batch
    by: PersonId
    patient: IdentityCode | None = None


@fact("materials.line_step_done", subject="unit", house=True)
@dataclass(frozen=True, slots=True)
class LineStepDone:
    """A person did a step of a changeover, or did it again for a second person's eyes."""

    unit: UnitId
    change: int
    step: str
    by: PersonId
    ticked: tuple[str, ...] = ()  # of the checklist
    value: float | None = None  # of the result
    unit_of_value: str = ""
    evidence: str = ""  # the number or the digest of the result's record


@fact("materials.line_taken", subject="unit", house=True)
@dataclass(frozen=True, slots=True)
class LineTaken:
    """A batch is on a unit."""

    unit: UnitId
    taken_by: BatchId
    lot: LotId
    product: ProductId
    sponsor: SponsorId
    patient: IdentityCode | None = None


@fact("materials.line_left", subject="unit", house=True)
@dataclass(frozen=True, slots=True)
class LineLeft:
    """The batch on a unit is over: whatever it left is still there."""

    unit: UnitId
    left_by: BatchId


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of one line."""

    last: Occupant | None = None  # on it now, or the last that was
    taken_by: BatchId | None = None
    since: datetime | None = None  # when it was taken or left last
    change: int = 0
    planned: LineAssigned | None = None
    assigned_at: datetime | None = None
    done: tuple[tuple[LineStepDone, datetime], ...] = ()
    seen: frozenset[BatchId] = field(default_factory=frozenset)  # every batch that was on it

    @property
    def following(self) -> Occupant | None:
        """What it is being made ready for."""
        return None if self.planned is None else Occupant(self.planned.lot, self.planned.product, self.planned.sponsor, self.planned.patient)

    @property
    def plan(self) -> Planned | None:
        """The same, with its planned end."""
        said = self.planned
        return None if said is None else Planned(said.unit, said.lot, said.product, said.sponsor, said.until, said.patient)


def apply(lines: Mapping[UnitId, Line], fact: Fact) -> Mapping[UnitId, Line]:
    """Fold one fact of the house; others change nothing."""
    payload = fact.payload
    if not isinstance(payload, LineAssigned | LineStepDone | LineTaken | LineLeft):
        return lines
    line = lines.get(payload.unit, Line())
    match payload:
        case LineAssigned():
            line = replace(line, planned=payload, assigned_at=fact.at, change=payload.change, done=())
        case LineStepDone() if payload.change == line.change:
            line = replace(line, done=(*line.done, (payload, fact.at)))
        case LineTaken():
            occupant = Occupant(payload.lot, payload.product, payload.sponsor, payload.patient)
            line = replace(
                line,
                last=occupant,
                taken_by=payload.taken_by,
                since=fact.at,
                planned=None,
                assigned_at=None,
                done=(),
                seen=line.seen | {payload.taken_by},
            )
        case LineLeft() if payload.left_by == line.taken_by:
            line = replace(line, taken_by=None, since=fact.at)
    return {**lines, payload.unit: line}


@dataclass(frozen=True, slots=True)
class StepState:
    """One step, and how far it is."""

    step: Step
    done: bool
    at: datetime | None  # when it was done, or the clock will have done it
    people: tuple[PersonId, ...]
    missing: str  # what is still to be done


def steps_of(line: Line, cell: Cell, *, installed: bool, now: datetime) -> tuple[StepState, ...]:
    """Every step of the changeover that is under way."""
    found: list[StepState] = []
    begun = line.assigned_at or now
    for step in cell.steps:
        mine = [(each, at) for each, at in line.done if each.step == step.name]
        people = tuple(dict.fromkeys(each.by for each, _ in mine))
        match step.kind:
            case StepKind.CHANGE:
                found.append(StepState(step, installed, begun if installed else None, (), "" if installed else "not every position has its assembly"))
            case StepKind.HOLD:
                start = max([at for each in found if (at := each.at) is not None], default=begun)
                ends = start + timedelta(hours=step.hours)
                waits = any(not each.done for each in found)  # a hold begins when what stands before it is done
                missing = "what stands before it" if waits else f"it lasts until {ends:%Y-%m-%d %H:%M} UTC"
                over = not waits and ends <= now
                found.append(StepState(step, over, ends if over else None, (), "" if over else missing))
            case _:
                enough = len(people) >= step.people
                lacking = step.people - len(people)
                missing = "" if enough else f"{lacking} of {step.people} people" if step.people > 1 else "nobody has done it"
                found.append(StepState(step, enough, max(at for _, at in mine) if enough else None, people, missing))
    return tuple(found)


def state_of(line: Line, matrix: Matrix | None, *, equipment: str, installed: bool, now: datetime) -> LineState:
    """Where a line stands now."""
    if line.taken_by is not None:
        return LineState.IN_USE
    if line.last is None and line.planned is None:
        return LineState.CLEAR
    return LineState.TO_CLEAR if _against(line, matrix, equipment=equipment, installed=installed, now=now) else LineState.CLEARED


def _against(line: Line, matrix: Matrix | None, *, equipment: str, installed: bool, now: datetime, latest: datetime | None = None) -> list[str]:
    """What stands against a line being cleared for what it is assigned to."""
    following = line.following
    if matrix is None:
        return ["no changeover matrix has reached this site; two people sign one at the control site, on its page of materials"]
    if following is None:
        return ["it is not being made ready for any lot"]
    cell = matrix.cell(equipment, line.last, following)
    if cell.forbidden:
        return [cell.forbidden]
    steps = steps_of(line, cell, installed=installed, now=now)
    wrong = [f"{each.step.title}: {each.missing}" for each in steps if not each.done]
    finished = max([each.at for each in steps if each.at is not None], default=line.assigned_at or now)
    if not wrong and finished + timedelta(hours=cell.valid_h) <= (latest or now):
        wrong.append(f"its clearance lapsed at {finished + timedelta(hours=cell.valid_h):%Y-%m-%d %H:%M} UTC: assign it anew")
    return wrong


def check_line_is_clear(
    unit: UnitId,
    occupant: Occupant,
    *,
    line: Line,
    matrix: Matrix | None,
    equipment: str,
    installed: bool,
    now: datetime,
    latest: datetime | None = None,
) -> list[Note]:
    """Whether a lot may go onto a unit now: at the start of a batch, and where a unit is allocated to one that runs.

    A hold lasts until the clock says so; that a clearance lapses is held against the `latest` that the true time may be.
    """

    def stop(why: str) -> list[Note]:
        owner = OWNER if matrix is not None else "quality"  # who signs matrices; no operator can clear a line without one
        return [Note("check_line_is_clear", Severity.STOP, f"{unit} is not cleared for {occupant.lot}: {why} ({CLAUSE})", owner)]

    if line.taken_by is not None:
        return stop(f"{line.taken_by} is on it")
    if matrix is None and line.last is None and line.planned is None:
        text = f"{unit} was never used; no changeover matrix has reached this site, so nothing but its first batch may start on it"
        return [Note("check_line_is_clear", Severity.WARN, text, "quality")]
    if matrix is not None and line.following != occupant:
        if line.following is None:
            return stop("it is not being made ready for any lot")
        return stop(
            f"it is being made ready for {line.following.lot}"
            if line.following.lot != occupant.lot
            else "it is being made ready for another product or patient"
        )
    against = _against(line, matrix, equipment=equipment, installed=installed, now=now, latest=latest)
    return [note for why in against for note in stop(why)] or [Note("check_line_is_clear", Severity.GOOD, f"{unit} is cleared for {occupant.lot}")]


def check_step(line: Line, cell: Cell, said: LineStepDone) -> Step:
    """The step that a person says is done, or a refusal: half a checklist, a result beyond its limit, the same person twice."""
    refused = f"cannot note {said.step[:60]!r} on {said.unit}"
    step = next((each for each in cell.steps if each.name == said.step), None)
    if step is None:
        raise NotValid(refused, why="the changeover has no such step", possible=", ".join(each.name for each in cell.steps) or "none is needed")
    if step.kind in (StepKind.CHANGE, StepKind.HOLD):
        raise NotAllowed(refused, why="nobody says that: " + ("assemblies are scanned" if step.kind is StepKind.CHANGE else "the clock does"))
    if any(each.step == step.name and each.by == said.by for each, _ in line.done):
        raise NotAllowed(refused, why=f"{said.by} has done it already; a second pair of eyes is another person's")
    if step.kind is StepKind.CLEAR and set(said.ticked) != set(step.checklist):
        left = [each for each in step.checklist if each not in said.ticked]
        raise NotAllowed(
            refused, why=f"not everything on its checklist is ticked: {'; '.join(left)}" if left else "what was ticked is not its checklist"
        )
    if step.kind is StepKind.CLEAN:
        if said.value is None or not said.evidence.strip() or len(said.evidence) > EVIDENCE_MAX:
            raise NotValid(refused, why=f"a cleaning is verified by its result, {step.result}, and by the record that it stands in")
        if not 0 <= converter(said.unit_of_value, step.unit)(said.value) <= step.at_most:
            raise NotAllowed(
                refused,
                why=f"{step.result} {said.value:g} {said.unit_of_value} is above its limit, {step.at_most:g} {step.unit} (21 CFR 211.67(a))",
                possible="clean it again",
            )
    return step
