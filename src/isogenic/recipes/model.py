"""Recipes as typed values, at ISA-88's four levels.

    general   what the product needs, for no site and no equipment    one, signed by two people
    site      the same in one site's words, with declared differences one a site
    master    the same for an equipment class of that site            one a class
    control   the same for one batch on one unit, all numbers resolved one a batch

The procedure has three levels of its own, each with a chart that says what runs after, beside
or instead of what: unit procedures in a procedure, operations in a unit procedure, phases in an
operation. A unit procedure runs on the unit that was allocated to its role.

In the first three levels a value is text: `@feed_rate` names a parameter of the formula,
`0 mL/h` is itself. In the control recipe every value is a number in the signal's canonical
unit, and every condition names no parameter any more.

Guarantees: frozen; master and control recipes are plain enough to be recorded whole.
Leaves to others: reading documents (general, site), resolving (derive), running (batches).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256

from isogenic.ids import BatchId, LotId, ProductId, RecipeId, SiteId, SponsorId, UnitId
from isogenic.recipes.charts import Chart
from isogenic.units import Quantity

__all__ = [
    "MAIN",
    "PLAIN",
    "Answer",
    "Ask",
    "ControlDose",
    "ControlEntry",
    "ControlException",
    "ControlParameter",
    "ControlPhase",
    "ControlPrompt",
    "ControlRecipe",
    "ControlSampling",
    "ControlService",
    "ControlTimer",
    "ControlUnitProcedure",
    "ControlUse",
    "Difference",
    "Dose",
    "DoseRule",
    "Entry",
    "ExceptionRule",
    "Expects",
    "GeneralRecipe",
    "MasterRecipe",
    "Need",
    "Operation",
    "Parameter",
    "Per",
    "Phase",
    "Procedure",
    "Prompt",
    "Sampling",
    "Service",
    "SiteDocument",
    "SiteRecipe",
    "Target",
    "Then",
    "Timer",
    "UnitProcedure",
    "UnitRole",
    "Why",
    "digest_of",
]


MAIN = "main"  # the unit role of a recipe that names none


def digest_of(text: str | bytes) -> str:
    """Hex SHA-256 of a document as it is stored: the bytes that people sign."""
    return sha256(text.encode() if isinstance(text, str) else text).hexdigest()


class Per(StrEnum):
    """What a value is for."""

    UNIT = ""  # the value holds as it is
    VOLUME = "volume"
    CELLS = "cells"
    KLA = "kla"
    TIP_SPEED = "tip_speed"


class Then(StrEnum):
    """What the engine does when a phase takes too long, or loses a signal that it needs."""

    HOLD = "hold"
    ABORT = "abort"
    COMPLETE = "complete"  # the phase counts as done
    ALARM = "alarm"  # say so, and go on


class Answer(StrEnum):
    """What a person is asked for."""

    CONFIRM = "confirm"
    NUMBER = "number"
    TEXT = "text"
    CHOICE = "choice"
    SCAN = "scan"


class Expects(StrEnum):
    """What a label that is scanned is to be of."""

    MATERIAL = "material"
    ASSEMBLY = "assembly"
    SAMPLE = "sample"
    PATIENT = "patient"
    LINE = "line"


@dataclass(frozen=True, slots=True)
class Ask:
    """How a person is asked, beyond the words: the same in the recipe, in the control recipe and in the fact."""

    choices: tuple[str, ...] = ()  # of a choice
    expects: str = ""  # of a scan: one of `Expects`
    material: str = ""  # of a scan: which of them, as the recipe names it
    picture: str = ""  # hex SHA-256 of a published picture
    sign: bool = False  # the answer is signed by who gives it (21 CFR 11.50)
    witness: bool = False  # and a second person signs that it is so (21 CFR 211.101(d), 211.188(b)(11))
    competence: str = ""  # what whoever signs must be competent in, on the day


PLAIN = Ask()


@dataclass(frozen=True, slots=True)
class Timer:
    """When a question may be answered, from when it was asked, or from when another of its phase was answered."""

    earliest: str  # a time, or empty: at once
    latest: str  # a time, or empty: whenever
    after: str = ""  # the prompt whose answer starts it; empty: the asking does


@dataclass(frozen=True, slots=True)
class ControlTimer:
    """A timer in minutes."""

    earliest_min: float
    latest_min: float | None
    after: str = ""


class DoseRule(StrEnum):
    """How much a phase doses."""

    AMOUNT = "amount"  # a given amount, once
    EVERYTHING = "everything"  # what the vessel holds, once
    REACH = "reach"  # as much stock as brings an empty medium to a concentration, once
    BOLUS = "bolus"  # as much stock as brings a signal back up to a concentration, decided once in every window


# --- general, site and master: values are text -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the formula, with the range within which sites may differ."""

    name: str
    title: str
    value: Quantity
    low: Quantity
    high: Quantity
    per: Per  # what the value is for: the unit, a litre, a million cells, a tip speed, a kLa
    critical: bool  # a critical process parameter (ICH Q8)
    of: str = ""  # per cells: the parameter that says how many; per kla: the one that says the gas flow
    adjustable: bool = False  # may be changed in a running batch, within low and high, by signature

    @property
    def per_volume(self) -> bool:
        """The value is for each litre of working volume."""
        return self.per is Per.VOLUME


@dataclass(frozen=True, slots=True)
class Need:
    """A range that a capability of the unit must cover."""

    capability: str
    low: str
    high: str


@dataclass(frozen=True, slots=True)
class UnitRole:
    """A unit that the procedure needs: of which class, and what it must be able to do."""

    name: str
    equipment_class: str
    needs: tuple[Need, ...]


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the unit's module that a phase runs (VDI/VDE/NAMUR 2658-4)."""

    name: str
    procedure: str  # of the service; empty: its default
    parameters: Mapping[str, str]  # procedure parameter -> value


@dataclass(frozen=True, slots=True)
class Entry:
    """A parameter of the formula whose value a person enters in a phase."""

    parameter: str
    text: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """A sampling point: what is drawn in a phase, and when."""

    sample: str
    what: str
    when: str  # a condition; empty: as the phase begins


@dataclass(frozen=True, slots=True)
class ExceptionRule:
    """What is not normal in a phase, and what is done then."""

    name: str
    when: str  # a condition
    lasting: str  # a time for which it has held without a break; empty: at once
    then: str  # hold, abort, alarm, or the name of an operation


@dataclass(frozen=True, slots=True)
class Dose:
    """What a phase doses, by which rule."""

    rule: DoseRule
    into: str  # the dose signal
    when: str  # a condition; empty: at once
    amount: str = ""
    signal: str = ""  # bolus: what is looked at
    below: str = ""  # bolus: dosed when the signal is below
    to: str = ""  # reach, bolus: the concentration wanted
    stock: str = ""  # reach, bolus: the concentration of what is dosed
    every: str = ""  # bolus: the window


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question to a person."""

    name: str
    text: str
    answer: Answer
    unit: str
    low: float | None
    high: float | None
    how: Ask = PLAIN
    timer: Timer | None = None


@dataclass(frozen=True, slots=True)
class Phase:
    """The smallest step: set-points, at most one dose, questions, and when it is done."""

    name: str
    title: str
    setpoints: Mapping[str, str]
    held: Mapping[str, str]  # set-points while held, over those of the phase
    dose: Dose | None
    prompts: tuple[Prompt, ...]
    until: str
    timeout: str  # a time, or empty: none
    timeout_then: Then
    lost_after: str  # a signal that the phase needs may be bad for so long
    lost_then: Then
    monitored: bool = False  # judged against the reference model; its clock begins with the first such phase
    service: Service | None = None
    enter: tuple[Entry, ...] = ()
    samples: tuple[Sampling, ...] = ()
    exceptions: tuple[ExceptionRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """Phases that belong together."""

    name: str
    phases: tuple[Phase, ...]
    chart: Chart  # of the phases


@dataclass(frozen=True, slots=True)
class UnitProcedure:
    """Operations on one unit."""

    name: str
    role: str  # of the unit
    operations: tuple[Operation, ...]
    chart: Chart  # of the operations
    on_hold: tuple[Phase, ...] = ()  # run one after another on the way to held
    on_restart: tuple[Phase, ...] = ()  # and these on the way back
    on_exception: tuple[Operation, ...] = ()  # run only where an exception names them, beside what is running

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Every phase that the chart can reach, in the order of reading."""
        return tuple(phase for operation in self.operations for phase in operation.phases)

    @property
    def every_phase(self) -> tuple[Phase, ...]:
        """Those of the chart, and those of holding, restarting and exceptions."""
        aside = tuple(phase for operation in self.on_exception for phase in operation.phases)
        return (*self.phases, *self.on_hold, *self.on_restart, *aside)


@dataclass(frozen=True, slots=True)
class Procedure:
    """All of it."""

    unit_procedures: tuple[UnitProcedure, ...]
    chart: Chart  # of the unit procedures

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Every phase, in the order of reading; those of holding, restarting and exceptions behind the others of their unit procedure."""
        return tuple(phase for unit in self.unit_procedures for phase in unit.every_phase)


@dataclass(frozen=True, slots=True)
class GeneralRecipe:
    """What the product needs, wherever it is made."""

    recipe: RecipeId
    version: int
    product: ProductId
    title: str
    description: str
    formula: Mapping[str, Parameter]
    roles: Mapping[str, UnitRole]  # the units it needs; the first is the one that a batch is started on
    procedure: Procedure
    digest: str  # of the document's bytes
    sponsor: SponsorId | None = None  # whose process it is; needed where a site works for several

    @property
    def equipment_class(self) -> str:
        """Of the unit that a batch is started on."""
        return next(iter(self.roles.values())).equipment_class

    @property
    def needs(self) -> tuple[Need, ...]:
        """Of the unit that a batch is started on."""
        return next(iter(self.roles.values())).needs


class Why(StrEnum):
    """Of which type a local difference is: what at the site makes it necessary."""

    EQUIPMENT = "equipment"  # another make
    SCALE = "scale"  # another size
    SUPPLIER = "supplier"  # another material
    METHOD = "method"  # another way of measuring
    LABEL = "label"  # the site calls it otherwise
    LANGUAGE = "language"  # the site speaks otherwise


class Target(StrEnum):
    """What of the general recipe a difference is about. Nothing else of it can differ."""

    PARAMETER = "parameter"  # the value of a parameter, within its range
    QUESTION = "question"  # the text of a question
    TITLE = "title"  # the title of a phase


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that a site has otherwise, of which type, and why."""

    why_type: Why | None  # None: the document does not say; it cannot be released like that
    target: Target
    name: str  # of the parameter, the question or the phase
    was: str  # as the general recipe has it
    now: str
    why: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class SiteDocument:
    """What a site has written about a general recipe."""

    site: SiteId
    recipe: RecipeId
    version: int
    language: str
    notes: tuple[str, ...]
    differences: tuple[Difference, ...]
    wording: Mapping[str, str]  # prompt -> the question in the site's language
    wording_lines: Mapping[str, int]
    digest: str


@dataclass(frozen=True, slots=True)
class SiteRecipe:
    """A general recipe with one site's differences applied."""

    general: GeneralRecipe
    site: SiteId
    language: str
    notes: tuple[str, ...]
    differences: tuple[Difference, ...]
    formula: Mapping[str, Parameter]
    procedure: Procedure
    digest: str  # of the site document's bytes


@dataclass(frozen=True, slots=True)
class MasterRecipe:
    """A site recipe for the units of one equipment class; scale rules are still rules."""

    recipe: RecipeId
    version: int
    product: ProductId
    title: str
    site: SiteId
    language: str
    units: tuple[UnitId, ...]  # of the class of the first role at this site, whether or not they meet the needs
    formula: Mapping[str, Parameter]
    roles: Mapping[str, UnitRole]
    procedure: Procedure
    general_digest: str
    site_digest: str
    digest: str = ""  # of everything above, as recorded

    @property
    def equipment_class(self) -> str:
        """Of the unit that a batch is started on."""
        return next(iter(self.roles.values())).equipment_class

    @property
    def needs(self) -> tuple[Need, ...]:
        """Of the unit that a batch is started on."""
        return next(iter(self.roles.values())).needs


# --- control: values are numbers in canonical units -------------------------------------------------


@dataclass(frozen=True, slots=True)
class ControlParameter:
    """A parameter as it holds for the unit that the batch was started on."""

    name: str
    value: float
    unit: str
    critical: bool
    low: float | None = None
    high: float | None = None
    adjustable: bool = False


@dataclass(frozen=True, slots=True)
class ControlUse:
    """Where a phase uses a parameter: so that a changed parameter changes the phase."""

    place: str  # setpoints.temperature_sp, dose.amount, until
    text: str  # @temperature, or a condition that names parameters
    unit: str  # of the number; empty: a condition


@dataclass(frozen=True, slots=True)
class ControlDose:
    """A dose with its numbers. `per_litre` turns litres into the dose signal's unit."""

    rule: DoseRule
    into: str
    unit: str
    total: str  # the signal that counts what has arrived
    per_litre: float
    when: str = ""
    amount: float = 0.0
    signal: str = ""
    below: float = 0.0
    to: float = 0.0
    stock: float = 0.0
    every_h: float = 0.0


@dataclass(frozen=True, slots=True)
class ControlPrompt:
    """A question to a person, in the words of the site."""

    name: str
    text: str
    answer: Answer
    unit: str
    low: float | None
    high: float | None
    how: Ask = PLAIN
    timer: ControlTimer | None = None


@dataclass(frozen=True, slots=True)
class ControlService:
    """A service with its numbers, in the units that the recipe gives them."""

    name: str
    procedure: str
    parameters: dict[str, float]


@dataclass(frozen=True, slots=True)
class ControlEntry:
    """A parameter that a person enters."""

    parameter: str
    text: str


@dataclass(frozen=True, slots=True)
class ControlSampling:
    """A sampling point with its condition resolved."""

    sample: str
    what: str
    when: str


@dataclass(frozen=True, slots=True)
class ControlException:
    """What is not normal, resolved."""

    name: str
    when: str
    lasting_h: float
    then: str  # hold, abort, alarm, or an operation of `on_exception`


@dataclass(frozen=True, slots=True)
class ControlPhase:
    """A phase that an engine can run without looking anything up."""

    name: str
    title: str
    operation: str
    setpoints: dict[str, float]
    held: dict[str, float]
    dose: ControlDose | None
    prompts: tuple[ControlPrompt, ...]
    until: str
    needs: tuple[str, ...]  # signals that decide: they must be good
    timeout_h: float | None
    timeout_then: Then
    lost_after_h: float
    lost_then: Then
    monitored: bool = False
    service: ControlService | None = None
    enter: tuple[ControlEntry, ...] = ()
    samples: tuple[ControlSampling, ...] = ()
    exceptions: tuple[ControlException, ...] = ()
    uses: tuple[ControlUse, ...] = ()


@dataclass(frozen=True, slots=True)
class ControlUnitProcedure:
    """What runs on one unit. Without a unit it is not resolved yet: the fact of allocation carries it resolved."""

    name: str
    role: str
    equipment_class: str
    unit: UnitId | None
    working_volume: float  # L
    phases: tuple[ControlPhase, ...]  # every one, whichever chart names it
    chart: str  # of phases
    on_hold: str = ""  # charts of phases, too
    on_restart: str = ""
    on_exception: dict[str, str] = field(default_factory=dict)  # operation -> chart of phases
    uses: tuple[ControlUse, ...] = ()  # conditions of the charts that name parameters: `place` is the condition as it was resolved
    values: dict[str, float] = field(default_factory=dict)  # parameters as they hold on this unit, where it is not the first


@dataclass(frozen=True, slots=True)
class ControlRecipe:
    """One batch's recipe."""

    recipe: RecipeId
    version: int
    product: ProductId
    title: str
    site: SiteId
    batch: BatchId
    lot: LotId
    language: str
    parameters: tuple[ControlParameter, ...]
    unit_procedures: tuple[ControlUnitProcedure, ...]
    chart: str  # of unit procedures
    general_digest: str
    site_digest: str
    master_digest: str
    uses: tuple[ControlUse, ...] = ()  # conditions of the chart that name parameters

    @classmethod
    def on_one_unit(
        cls,
        recipe: RecipeId,
        version: int,
        product: ProductId,
        title: str,
        site: SiteId,
        unit: UnitId,
        batch: BatchId,
        lot: LotId,
        language: str,
        working_volume: float,
        parameters: tuple[ControlParameter, ...],
        phases: tuple[ControlPhase, ...],
        general_digest: str,
        site_digest: str,
        master_digest: str,
    ) -> ControlRecipe:
        """Phases one after another on one unit."""
        only = ControlUnitProcedure(MAIN, MAIN, "", unit, working_volume, phases, "; ".join(phase.name for phase in phases))
        return cls(recipe, version, product, title, site, batch, lot, language, parameters, (only,), MAIN, general_digest, site_digest, master_digest)

    def with_phases(self, phases: tuple[ControlPhase, ...]) -> ControlRecipe:
        """The same with other phases on its first unit, one after another."""
        first = replace(self.unit_procedures[0], phases=phases, chart="; ".join(phase.name for phase in phases))
        return replace(self, unit_procedures=(first, *self.unit_procedures[1:]))

    @property
    def unit(self) -> UnitId:
        """The unit that the batch was started on."""
        unit = self.unit_procedures[0].unit
        assert unit is not None, "a batch is started on a unit"
        return unit

    @property
    def working_volume(self) -> float:
        """Litres of the unit that the batch was started on."""
        return self.unit_procedures[0].working_volume

    @property
    def phases(self) -> tuple[ControlPhase, ...]:
        """Every phase that is resolved from the start, in the order of reading."""
        return tuple(phase for part in self.unit_procedures for phase in part.phases)
