"""The executed batch record as typed, frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from isogenic.batches.counts import Reconciliation
from isogenic.batches.facts import BatchClosed, BatchStarted, PromptAsked
from isogenic.batches.serials import Serials
from isogenic.ids import BatchId
from isogenic.laboratory.results import ResultReported, SampleDrawn
from isogenic.quality.deviations import Deviation
from isogenic.quality.environment import Judged as Colonies
from isogenic.quality.specifications import Judged, Specification
from isogenic.recipes.model import ControlPhase
from isogenic.records.blocks import ReadingsSealed
from isogenic.records.gaps import ReadingsGap
from isogenic.records.signatures import Signature

__all__ = [
    "Air",
    "Answered",
    "Exceptional",
    "ExecutedRecord",
    "Held",
    "Line",
    "Material",
    "Part",
    "Question",
    "Reached",
    "Result",
    "SetpointRun",
    "SignedLine",
    "Step",
]


class Exceptional(StrEnum):
    """What a reviewer looks for first, in the order in which it is shown. Each is shown even where there is none."""

    DEVIATION = "Deviations"
    RECORD = "Record not complete, or not readable"
    ALARM = "Alarms"
    LIMIT = "Outside limits"
    STATE = "Holds, stops and aborts"
    OVERRIDE = "Overrides"
    MODE = "Mode changes"
    FORMULA = "Formula changes"
    CORRECTION = "Corrections"
    TYPED = "Typed instead of scanned"
    DRIFT = "Drift from the released set"
    REFUSED = "Refused commands, scans and requests"
    SIGNAL = "Signals lost"
    GAP = "Gaps in readings"
    LATE = "Late answers"
    OPEN = "Questions not answered"
    CLOCK = "Clock"


class Part(StrEnum):
    """Where in the record a line is told, beside its place in the order of facts."""

    STEP = "step"  # within its phase
    TOLD = "told"  # within its phase, whose own table tells it: its beginning and end, questions and answers
    BATCH = "batch"  # what happened to the batch as a whole
    STATE = "state"
    SETPOINT = "setpoint"
    DOSE = "dose"
    SERVICE = "service"
    MATERIAL = "material"
    LINE = "line"  # clearance and changeover
    COUNTED = "counted"
    SAMPLE = "sample"
    READINGS = "readings"
    DECISION = "decision"


@dataclass(frozen=True, slots=True)
class Line:
    """One fact in a sentence. `where` is its place: a position in the site's ledger, or with a letter in another one."""

    at: datetime
    where: str
    by: str
    text: str
    part: Part = Part.STEP
    exception: Exceptional | None = None
    step: int | None = None  # which step it belongs to


@dataclass(frozen=True, slots=True)
class Reached:
    """What the readings of one signal were while a set-point was in force; uncertain and bad ones are counted, not used."""

    mean: float
    low: float
    high: float
    last: float
    good: int
    others: int


@dataclass(frozen=True, slots=True)
class Air:
    """Particles around open product during one step, against grade A in operation (EU GMP Annex 1, table 5)."""

    step: int
    signal: str
    highest: float
    limit: float
    above: int  # readings above the limit
    good: int
    others: int


@dataclass(frozen=True, slots=True)
class SetpointRun:
    """One set-point while it was in force within one step."""

    name: str
    value: float
    since: datetime
    until: datetime | None
    where: str  # of the fact that commanded it, also where that was in an earlier step
    carried: bool = False  # commanded in an earlier step, and still in force
    reached: Reached | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer, or its correction; a later one stands, and all are shown."""

    answer: str
    by: str
    at: datetime
    where: str
    entered: str = ""  # scanned, typed or chosen
    scanned: str = ""  # what the scanner read
    why: str = ""  # of a correction
    signed: bool = False
    outside: bool = False  # of the limits that were asked
    digest: str = ""  # by which a witness or a correction names it
    witness: str = ""
    witnessed_at: datetime | None = None
    declined: str = ""  # why a second person did not find it so


@dataclass(frozen=True, slots=True)
class Question:
    """A question to a person, with every answer."""

    asked: PromptAsked
    at: datetime
    where: str
    answers: tuple[Answered, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One run of one phase."""

    phase: str
    run: int
    unit: str
    unit_procedure: str
    recipe: ControlPhase | None
    began: datetime
    where: str
    ended: datetime | None = None
    why: str = ""
    setpoints: tuple[SetpointRun, ...] = ()
    questions: tuple[Question, ...] = ()
    lines: tuple[Line, ...] = ()

    @property
    def title(self) -> str:
        """As the recipe calls it."""
        return self.recipe.title if self.recipe is not None else self.phase


@dataclass(frozen=True, slots=True)
class Material:
    """A material or a single-use assembly that went in, with its lot."""

    what: str
    lot: str
    detail: str
    line: Line


@dataclass(frozen=True, slots=True)
class Result:
    """A laboratory result; `judged` where a specification names the attribute, else `plate` where it is one of Annex 1."""

    reported: ResultReported
    by: str
    at: datetime
    where: str
    judged: Judged | None
    plate: Colonies | None = None


@dataclass(frozen=True, slots=True)
class SignedLine:
    """A signature and what it stands under."""

    what: str
    signature: Signature
    where: str


@dataclass(frozen=True, slots=True)
class Held:
    """A ledger up to the last fact about the batch: how many facts, their root, how many of them witnessed (of the site's own).

    `mark`: the letter that stands before its positions; empty: the site's own.
    """

    ledger: str
    size: int
    root: str
    witnessed: int | None
    mark: str = ""


@dataclass(frozen=True, slots=True)
class ExecutedRecord:
    """A batch as it was executed."""

    started: BatchStarted
    started_at: datetime
    started_where: str
    started_by: str
    lines: tuple[Line, ...] = ()  # every fact about the batch, in order
    steps: tuple[Step, ...] = ()
    materials: tuple[Material, ...] = ()
    samples: tuple[tuple[SampleDrawn, Line], ...] = ()
    results: tuple[Result, ...] = ()
    deviations: tuple[Deviation, ...] = ()
    signatures: tuple[SignedLine, ...] = ()
    blocks: tuple[tuple[ReadingsSealed, str], ...] = ()
    gaps: tuple[ReadingsGap, ...] = ()
    specification: Specification | None = None
    reconciliation: Reconciliation | None = None  # where modules have counted anything
    serials: Serials | None = None  # where labels were issued
    people: Mapping[str, str] = field(default_factory=dict)  # of those who acted: id -> printed name and roles
    closed: BatchClosed | None = None
    closed_at: datetime | None = None
    first: int = 0  # the first and one more than the last position that is about the batch, in the site's ledger
    stop: int = 0
    facts: int = 0  # of the site's ledger with the batch as subject, up to the closing one
    held: tuple[Held, ...] = ()
    air: tuple[Air, ...] = ()  # where readings were looked at and there are any of particles
    compared: int | None = None  # reading blocks with which set-points were compared; None: they were not looked at

    @property
    def batch(self) -> BatchId:
        """Which batch."""
        return self.started.batch

    @property
    def units(self) -> tuple[str, ...]:
        """Where it ran, in the order of its steps."""
        return tuple(dict.fromkeys(step.unit for step in self.steps if step.unit)) or (str(self.started.unit),)

    def exceptions(self, kind: Exceptional) -> tuple[Line, ...]:
        """The lines of one kind of exception."""
        return tuple(line for line in self.lines if line.exception is kind)
