"""The facts of a batch: what the engine, and people at it, have done.

Guarantees: all of them are about one batch and go to its sponsor's ledger; together they
are enough to run on after a crash, and to read what happened without anything else.
Leaves to others: what they add up to (engine), and their page (record).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from isogenic.batches.states import Command, State
from isogenic.ids import BatchId, LotId, PersonId, ProductId, PromptId, RecipeId, SampleId, SponsorId, UnitId
from isogenic.recipes.model import MAIN, PLAIN, Answer, Ask, ControlRecipe, ControlTimer, ControlUnitProcedure
from isogenic.records.facts import fact
from isogenic.records.signatures import Signature

__all__ = [
    "AlarmRaised",
    "AnswerCorrected",
    "BatchClosed",
    "BatchManifestNoted",
    "BatchStarted",
    "BranchChosen",
    "ClockCorrected",
    "DoseCommanded",
    "DoseNotNeeded",
    "Entered",
    "ExceptionBegan",
    "ExceptionEnded",
    "FormulaChanged",
    "Mode",
    "ModeChanged",
    "ParameterEntered",
    "PhaseCompleted",
    "PhaseStarted",
    "PromptAnswered",
    "PromptAsked",
    "PromptOverdue",
    "PromptWitnessed",
    "ResultNoted",
    "RoundEnded",
    "SampleDue",
    "ScanRefused",
    "ServiceCommanded",
    "ServiceRefused",
    "ServiceStateSeen",
    "SetpointsCommanded",
    "SignalLost",
    "SignalReturned",
    "StateChanged",
    "TotalRestarted",
    "TransitionConfirmed",
    "TransitionReached",
    "UnitAllocated",
    "UnitAsked",
    "UnitReleased",
    "WitnessDeclined",
]


def _on_one_unit(body: dict[str, Any]) -> dict[str, Any]:
    """A control recipe of the days when a batch had one unit and its phases one order."""
    control = dict(body["control"])
    phases = control.pop("phases")
    only = {
        "name": MAIN,
        "role": MAIN,
        "equipment_class": "",
        "unit": control.pop("unit"),
        "working_volume": control.pop("working_volume"),
        "phases": phases,
        "chart": "; ".join(phase["name"] for phase in phases),
    }
    return {**body, "control": {**control, "unit_procedures": [only], "chart": MAIN}}


class Mode(StrEnum):
    """Who takes a batch from one step to the next (ANSI/ISA-88.00.01: modes of procedural elements)."""

    AUTOMATIC = "automatic"  # the recipe
    SEMI_AUTOMATIC = "semi-automatic"  # the recipe says when, and a person lets it
    MANUAL = "manual"  # a person


@fact("batch.started", subject="batch", version=2, upgrades={1: _on_one_unit})
@dataclass(frozen=True, slots=True)
class BatchStarted:
    """A control recipe was taken up on a unit."""

    batch: BatchId
    lot: LotId
    product: ProductId
    sponsor: SponsorId
    recipe: RecipeId
    version: int
    recipe_digest: str  # of the published general recipe
    unit: UnitId
    control: ControlRecipe
    by: PersonId | None = None  # who asked for it


@fact("batch.phase_started", subject="batch", version=2, upgrades={1: lambda body: body})
@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A phase began. Its time is the phase's zero."""

    batch: BatchId
    phase: str
    run: int
    by: PersonId | None = None  # who started it by hand, in manual mode
    why: str = ""


@fact("batch.phase_completed", subject="batch", version=2, upgrades={1: lambda body: body})
@dataclass(frozen=True, slots=True)
class PhaseCompleted:
    """A phase ended, and why."""

    batch: BatchId
    phase: str
    run: int
    why: str
    by: PersonId | None = None  # who completed it by hand, in manual mode


@fact("batch.branch_chosen", subject="batch")
@dataclass(frozen=True, slots=True)
class BranchChosen:
    """Of several ways through the procedure, one was taken."""

    batch: BatchId
    place: str
    way: int  # from 0, in the order of the recipe
    why: str
    by: PersonId | None = None


@fact("batch.round_ended", subject="batch")
@dataclass(frozen=True, slots=True)
class RoundEnded:
    """A round of a loop is over, and whether another follows."""

    batch: BatchId
    place: str
    round: int  # from 1
    again: bool
    why: str
    by: PersonId | None = None


@fact("batch.mode_changed", subject="batch")
@dataclass(frozen=True, slots=True)
class ModeChanged:
    """The batch is run in another mode from here on."""

    batch: BatchId
    mode: Mode
    was: Mode
    why: str
    by: PersonId


@fact("batch.transition_reached", subject="batch")
@dataclass(frozen=True, slots=True)
class TransitionReached:
    """In semi-automatic mode: what ends a phase, or decides a way, is so; it waits for a person."""

    batch: BatchId
    place: str  # the phase, the choice or the loop
    run: int  # of the phase; the way of a choice; of a loop 1: another round, 0: on
    why: str


@fact("batch.transition_confirmed", subject="batch")
@dataclass(frozen=True, slots=True)
class TransitionConfirmed:
    """A person lets the batch go on."""

    batch: BatchId
    place: str
    run: int
    why: str
    by: PersonId


@fact("batch.unit_asked", subject="batch")
@dataclass(frozen=True, slots=True)
class UnitAsked:
    """The batch needs a unit in a role. Units are given in the order of these numbers, which count through the whole site."""

    batch: BatchId
    role: str
    equipment_class: str
    number: int


@fact("batch.unit_allocated", subject="batch")
@dataclass(frozen=True, slots=True)
class UnitAllocated:
    """A unit was given to the batch, and what it runs there with every number resolved for that unit."""

    batch: BatchId
    role: str
    unit: UnitId
    number: int  # of the asking
    procedures: tuple[ControlUnitProcedure, ...]


@fact("batch.unit_released", subject="batch")
@dataclass(frozen=True, slots=True)
class UnitReleased:
    """Nothing that is left of the batch needs the unit: it is free for another."""

    batch: BatchId
    role: str
    unit: UnitId


@fact("batch.parameter_entered", subject="batch")
@dataclass(frozen=True, slots=True)
class ParameterEntered:
    """A value that a person entered in a phase, as the recipe asks, is the parameter's value from here on."""

    batch: BatchId
    phase: str
    run: int
    parameter: str
    was: float
    now: float
    unit: str
    by: PersonId


@fact("batch.formula_changed", subject="batch")
@dataclass(frozen=True, slots=True)
class FormulaChanged:
    """A parameter of the running batch was changed by a person, within its limits: set-points and conditions that use it change with it."""

    batch: BatchId
    parameter: str
    was: float
    now: float
    unit: str
    why: str
    by: PersonId
    signature: Signature


@fact("batch.sample_due", subject="batch")
@dataclass(frozen=True, slots=True)
class SampleDue:
    """A sampling point was reached."""

    batch: BatchId
    phase: str
    run: int
    sample: str
    what: str


@fact("batch.result_noted", subject="batch")
@dataclass(frozen=True, slots=True)
class ResultNoted:
    """A laboratory result of the running batch: an in-process control may steer by it."""

    batch: BatchId
    sample: SampleId
    attribute: str
    value: float
    unit: str


@fact("batch.service_commanded", subject="batch")
@dataclass(frozen=True, slots=True)
class ServiceCommanded:
    """A service of a module was given an order."""

    batch: BatchId
    phase: str
    run: int
    unit: UnitId
    service: str
    command: str
    procedure: str
    parameters: dict[str, float]
    number: int  # rises by one with each order of this batch to this service
    why: str


@fact("batch.service_state_seen", subject="batch")
@dataclass(frozen=True, slots=True)
class ServiceStateSeen:
    """A service that a phase runs is in another state than before."""

    batch: BatchId
    unit: UnitId
    service: str
    code: float  # as the module reports it
    state: str  # in words; empty: no state has that code


@fact("batch.service_refused", subject="batch")
@dataclass(frozen=True, slots=True)
class ServiceRefused:
    """A module did not take an order."""

    batch: BatchId
    unit: UnitId
    service: str
    number: int
    why: str


@fact("batch.exception_began", subject="batch")
@dataclass(frozen=True, slots=True)
class ExceptionBegan:
    """What the recipe calls not normal is so. Nothing is done yet where it has to last."""

    batch: BatchId
    phase: str
    name: str
    why: str


@fact("batch.exception_ended", subject="batch")
@dataclass(frozen=True, slots=True)
class ExceptionEnded:
    """It is not so any more."""

    batch: BatchId
    phase: str
    name: str


@fact("batch.state_changed", subject="batch")
@dataclass(frozen=True, slots=True)
class StateChanged:
    """The batch went to another state, by a command or by itself."""

    batch: BatchId
    state: State
    command: Command | None
    why: str


class Entered(StrEnum):
    """How an answer came in: who reads the record can tell a scan from what was typed."""

    TYPED = "typed"
    SCANNED = "scanned"
    CHOSEN = "chosen"  # a button: confirmed, or one of the choices


@fact("batch.prompt_asked", subject="batch", version=2, upgrades={1: lambda body: body})
@dataclass(frozen=True, slots=True)
class PromptAsked:
    """A person was asked."""

    batch: BatchId
    prompt: PromptId
    phase: str
    text: str
    kind: Answer
    unit: str
    low: float | None
    high: float | None
    how: Ask = PLAIN
    timer: ControlTimer | None = None


@fact("batch.prompt_answered", subject="batch", version=2, upgrades={1: lambda body: {**body, "entered": "typed"}})
@dataclass(frozen=True, slots=True)
class PromptAnswered:
    """A person has answered. Where the question wants a witness, it counts once one has signed."""

    batch: BatchId
    prompt: PromptId
    answer: str
    by: PersonId
    entered: Entered = Entered.TYPED
    scanned: str = ""  # what the scanner read, as it read it
    signature: Signature | None = None


@fact("batch.answer_corrected", subject="batch")
@dataclass(frozen=True, slots=True)
class AnswerCorrected:
    """An answer was put right. The one that it corrects stays on record."""

    batch: BatchId
    prompt: PromptId
    corrects: str  # digest of the answer that was wrong
    was: str
    answer: str
    why: str
    by: PersonId
    entered: Entered = Entered.TYPED
    scanned: str = ""
    signature: Signature | None = None  # never missing in a ledger


@fact("batch.prompt_witnessed", subject="batch")
@dataclass(frozen=True, slots=True)
class PromptWitnessed:
    """A second person signed that an answer is so."""

    batch: BatchId
    prompt: PromptId
    answered: str  # digest of the answer, or of the correction, that was witnessed
    by: PersonId
    signature: Signature


@fact("batch.witness_declined", subject="batch")
@dataclass(frozen=True, slots=True)
class WitnessDeclined:
    """A second person did not find it so: the question is open again."""

    batch: BatchId
    prompt: PromptId
    answered: str
    why: str
    by: PersonId


@fact("batch.scan_refused", subject="batch")
@dataclass(frozen=True, slots=True)
class ScanRefused:
    """A label was scanned or typed that does not belong here; the step is not done by that."""

    batch: BatchId
    prompt: PromptId
    scanned: str
    entered: Entered
    why: tuple[str, ...]
    by: PersonId


@fact("batch.prompt_overdue", subject="batch")
@dataclass(frozen=True, slots=True)
class PromptOverdue:
    """The latest time for an answer has passed without one. It may still be given; the record says that it is late."""

    batch: BatchId
    prompt: PromptId
    phase: str
    what: str


@fact("batch.setpoints_commanded", subject="batch")
@dataclass(frozen=True, slots=True)
class SetpointsCommanded:
    """These set-points came into force, in canonical units; those not named stay."""

    batch: BatchId
    phase: str
    setpoints: dict[str, float]


@fact("batch.dose_commanded", subject="batch")
@dataclass(frozen=True, slots=True)
class DoseCommanded:
    """A dose was ordered. The module executes each number once."""

    batch: BatchId
    phase: str
    dose: str
    amount: float
    unit: str
    number: int
    why: str
    window: int = 0  # a bolus: which window of its phase it belongs to
    total_before: float | None = None  # what had been delivered before, where that could be read


@fact("batch.dose_not_needed", subject="batch")
@dataclass(frozen=True, slots=True)
class DoseNotNeeded:
    """A bolus was considered for this window, and not needed."""

    batch: BatchId
    phase: str
    dose: str
    window: int
    why: str


@fact("batch.total_restarted", subject="batch")
@dataclass(frozen=True, slots=True)
class TotalRestarted:
    """A module counts its deliveries from zero again: what arrived since is what it shows."""

    batch: BatchId
    phase: str
    signal: str
    total: float


@fact("batch.signal_lost", subject="batch")
@dataclass(frozen=True, slots=True)
class SignalLost:
    """A signal that decides something in this phase is not good any more."""

    batch: BatchId
    phase: str
    signal: str


@fact("batch.signal_returned", subject="batch")
@dataclass(frozen=True, slots=True)
class SignalReturned:
    """A lost signal is good again."""

    batch: BatchId
    phase: str
    signal: str


@fact("batch.alarm_raised", subject="batch", version=2, upgrades={1: lambda body: body})
@dataclass(frozen=True, slots=True)
class AlarmRaised:
    """Something took too long, stayed away or is not as it must be; what the recipe says to do follows."""

    batch: BatchId
    phase: str  # empty: the batch itself
    what: str
    signal: str = ""  # the lost signal; empty: the phase itself
    then: str = ""  # hold, abort, complete, alarm, or the operation that is run
    about: str = ""  # exception, service, loop, choice or role, and its name


@fact("batch.clock_corrected", subject="batch")
@dataclass(frozen=True, slots=True)
class ClockCorrected:
    """The site's wall clock stepped by so many seconds while the batch ran: from here on its times are by the new clock, its durations go on."""

    batch: BatchId
    by_s: float


@fact("batch.manifest_noted", subject="batch")
@dataclass(frozen=True, slots=True)
class BatchManifestNoted:
    """Everything that the record of a closed batch must hold: release waits until the control site has found every line of it."""

    batch: BatchId
    facts: int  # about the batch, this one included
    blocks: tuple[str, ...]  # digests, in order
    rows: int
    readings: dict[str, int]  # of each tag: good or uncertain
    samples: tuple[str, ...]
    asked: int  # prompts
    answered: int
    deviations: int


@fact("batch.closed", subject="batch", version=2, upgrades={1: lambda body: {**body, "manifest": False}})
@dataclass(frozen=True, slots=True)
class BatchClosed:
    """The batch is over: its record has so many facts, this one included."""

    batch: BatchId
    lot: LotId
    outcome: State
    facts: int
    manifest: bool = False  # whether its manifest follows, once its readings are sealed
