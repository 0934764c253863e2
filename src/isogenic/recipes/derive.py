"""From a site recipe to a batch: master and control recipes.

Guarantees: a `ControlRecipe` is derived only for a unit that meets every need (class,
capability ranges, signals, volume), with every number in the signal's canonical unit and
within what the unit can do; otherwise `NotAllowed` names every need that fails. The same
inputs give the same recipe and the same digests.
Leaves to others: whether the batch may start at all (licence, people), and running it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from isogenic.checks import Note, Severity, stops
from isogenic.documents import shown
from isogenic.errors import NotAllowed
from isogenic.ids import BatchId, LotId
from isogenic.plant.classes import CLASSES, DOSE_NUMBER
from isogenic.plant.model import EquipmentClass, SitePlant, Unit
from isogenic.plant.services import STATE_SIGNAL
from isogenic.recipes import charts, conditions
from isogenic.recipes.charts import Chart
from isogenic.recipes.general import total_of
from isogenic.recipes.model import (
    ControlDose,
    ControlEntry,
    ControlException,
    ControlParameter,
    ControlPhase,
    ControlPrompt,
    ControlRecipe,
    ControlSampling,
    ControlService,
    ControlTimer,
    ControlUnitProcedure,
    ControlUse,
    Dose,
    DoseRule,
    MasterRecipe,
    Parameter,
    Phase,
    Prompt,
    Service,
    SiteRecipe,
    UnitProcedure,
    UnitRole,
    digest_of,
)
from isogenic.recipes.scaling import gives, scaled, values_for
from isogenic.records import codec
from isogenic.units import Quantity, converter

__all__ = [
    "CLASS_UNITS",
    "CONTROL_BYTES_MAX",
    "WEIGHT",
    "changed",
    "changed_condition",
    "control_digest",
    "derivable",
    "derive_control",
    "derive_master",
    "derive_unit_procedures",
    "phases_of",
]

CONTROL_BYTES_MAX = 48_000  # three quarters of a fact: a control recipe is recorded whole when its batch starts
WEIGHT = "vessel_weight"  # what a dose by concentration, or of everything, is computed from
OWNER = "process engineer"
OWN = "own"  # in the unit that the recipe gives: of a service that the class does not know
CLASS_UNITS: Mapping[str, str] = {name: signal.unit for cls in CLASSES.values() for name, signal in cls.signals.items()}


def derive_master(recipe: SiteRecipe, plant: SitePlant) -> MasterRecipe:
    """The site recipe for the units of its equipment class at this plant."""
    if plant.site != recipe.site:
        raise NotAllowed(f"cannot derive the recipe of {recipe.site} at {plant.site}", why="it was written for another site")
    general = recipe.general
    missing = [
        role.equipment_class for role in general.roles.values() if not any(unit.cls.name == role.equipment_class for unit in plant.units.values())
    ]
    if missing:
        raise NotAllowed(f"cannot derive {general.recipe} at {plant.site}", why=f"no unit is of the class {', '.join(missing)}")
    units = tuple(unit.id for unit in plant.units.values() if unit.cls.name == general.equipment_class)
    master = MasterRecipe(
        recipe=general.recipe,
        version=general.version,
        product=general.product,
        title=general.title,
        site=recipe.site,
        language=recipe.language,
        units=units,
        formula=recipe.formula,
        roles=general.roles,
        procedure=recipe.procedure,
        general_digest=general.digest,
        site_digest=recipe.digest,
    )
    return replace(master, digest=digest_of(codec.dumps(codec.plain(master))))


def control_digest(control: ControlRecipe) -> str:
    """The digest of a control recipe as it is recorded."""
    return digest_of(codec.dumps(codec.plain(control)))


def derivable(master: MasterRecipe, unit: Unit, *, role: str = "") -> list[Note]:
    """Every need of the recipe of the unit in a role, and whether it meets it; without a role: the one that a batch is started on."""
    asked = master.roles[role or next(iter(master.roles))]
    if unit.cls.name != asked.equipment_class:
        return [_note("check_class", f"{unit.id} is a {unit.cls.name}, not a {asked.equipment_class}")]
    phases = phases_of(master, asked.name)
    return [
        *check_capabilities(master, unit, asked),
        *check_signals(phases, unit, charts_of(master, asked.name)),
        *check_setpoints(master, unit, phases),
        *check_doses(master, unit, phases),
        *check_timers(master, unit, phases),
    ]


def phases_of(master: MasterRecipe, role: str) -> tuple[Phase, ...]:
    """Every phase that runs on the unit of a role."""
    return tuple(phase for part in master.procedure.unit_procedures if part.role == role for phase in part.every_phase)


def charts_of(master: MasterRecipe, role: str) -> tuple[Chart, ...]:
    """Every chart that is decided by what the unit of a role measures; that of the procedure by the unit that the batch was started on."""
    found = [master.procedure.chart] if role == next(iter(master.roles)) else []
    for part in master.procedure.unit_procedures:
        if part.role == role:
            found += [part.chart, *(operation.chart for operation in (*part.operations, *part.on_exception))]
    return tuple(found)


def _note(check: str, wrong: str, *, good: str = "") -> Note:
    return Note(check, Severity.STOP, wrong, OWNER) if wrong else Note(check, Severity.GOOD, good, OWNER)


def check_capabilities(master: MasterRecipe, unit: Unit, role: UnitRole) -> list[Note]:
    """The unit covers every range that the recipe needs."""
    values = _values(master, unit)
    notes = []
    for need in role.needs:
        can = unit.capabilities.get(need.capability)
        name = unit.cls.capabilities[need.capability]
        low, high = _number(need.low, values, name), _number(need.high, values, name)
        wanted = f"{need.capability} {low:g} to {high:g} {name}"
        if can is None:
            wrong = f"{wanted} is needed; {unit.id} has no {need.capability}"
        else:
            wrong = f"{wanted} is needed; {unit.id} can {can.low:g} to {can.high:g}" if low < can.low or high > can.high else ""
        notes.append(_note("check_capabilities", wrong, good=wanted))
    return notes


def check_signals(phases: Sequence[Phase], unit: Unit, of_unit: Sequence[Chart] = ()) -> list[Note]:
    """The unit has every signal that the recipe reads or writes, and those that choose a way or end a loop."""
    needed = dict.fromkeys(name for phase in phases for name in _signals(phase))
    deciding = [text for chart in of_unit for text in charts.conditions(chart)]
    needed |= dict.fromkeys(name for text in deciding for name in conditions.signals(conditions.parse(text)))
    missing = [name for name in needed if name not in unit.signals]
    if not missing:
        return [_note("check_signals", "", good=f"all {len(needed)} signals are there")]
    return [_note("check_signals", f"signal {name} is needed; {unit.id} has none") for name in missing]


def check_setpoints(master: MasterRecipe, unit: Unit, phases: Sequence[Phase]) -> list[Note]:
    """Every set-point lies within what the unit can do."""
    values = _values(master, unit)
    notes = []
    for phase in phases:
        for name, text in {**phase.held, **phase.setpoints}.items():
            can = unit.capabilities.get(name.removesuffix("_sp"))
            value = _number(text, values, unit.cls.signals[name].unit)
            if can is not None and not can.low <= value <= can.high:
                notes.append(_note("check_setpoints", f"{phase.name} sets {name} to {value:g} {can.unit}; {unit.id} can {can.low:g} to {can.high:g}"))
    return notes or [_note("check_setpoints", "", good="all set-points are within what the unit can do")]


def check_doses(master: MasterRecipe, unit: Unit, phases: Sequence[Phase]) -> list[Note]:
    """Every dose is more than nothing and can reach what it is for, with the numbers of this unit."""
    values, units = _values(master, unit), CLASS_UNITS
    wrong = []
    for phase in phases:
        if phase.dose is None:
            continue
        dose = _dose(phase.dose, values, units)
        if dose.rule is DoseRule.AMOUNT and not 0 < dose.amount <= unit.cls.signals[dose.into].high:
            wrong.append(f"{phase.name} doses {dose.amount:g} {dose.unit} by {dose.into}")
        if dose.rule in (DoseRule.REACH, DoseRule.BOLUS) and not 0 < dose.to < dose.stock:
            wrong.append(f"{phase.name} cannot reach {dose.to:g} with a stock of {dose.stock:g}")
        if dose.rule is DoseRule.BOLUS and not (dose.below <= dose.to and dose.every_h > 0):
            wrong.append(f"{phase.name} would dose below {dose.below:g} up to {dose.to:g} every {dose.every_h:g} h")
    return [_note("check_doses", text) for text in wrong] or [_note("check_doses", "", good="every dose can do what it is for")]


def check_timers(master: MasterRecipe, unit: Unit, phases: Sequence[Phase]) -> list[Note]:
    """No question has to be answered before it may be, with the numbers of this unit."""
    values = _values(master, unit)
    prompts = [_prompt(each, values) for phase in phases for each in phase.prompts]
    wrong = [
        f"{each.name} may be answered after {each.timer.earliest_min:g} min, and has to be within {each.timer.latest_min:g} min"
        for each in prompts
        if each.timer is not None and each.timer.latest_min is not None and each.timer.latest_min <= each.timer.earliest_min
    ]
    return [_note("check_timers", text) for text in wrong]


def derive_control(master: MasterRecipe, unit: Unit, *, batch: BatchId, lot: LotId) -> ControlRecipe:
    """The recipe of one batch that is started on this unit, or `NotAllowed` naming every need that the unit fails.

    What runs on units of other roles is resolved when those are allocated.
    """
    first = next(iter(master.roles))
    on_it = {part.name: part for part in derive_unit_procedures(master, unit, first)}
    values = _values(master, unit)

    def later(part: UnitProcedure) -> ControlUnitProcedure:
        return ControlUnitProcedure(part.name, part.role, master.roles[part.role].equipment_class, None, 0.0, (), "")

    chart, uses = _chart(master.procedure.chart, values, {})
    control = ControlRecipe(
        recipe=master.recipe,
        version=master.version,
        product=master.product,
        title=master.title,
        site=master.site,
        batch=batch,
        lot=lot,
        language=master.language,
        parameters=tuple(_parameter(each, unit, master.formula) for each in master.formula.values()),
        unit_procedures=tuple(on_it.get(part.name) or later(part) for part in master.procedure.unit_procedures),
        chart=chart,
        general_digest=master.general_digest,
        site_digest=master.site_digest,
        master_digest=master.digest,
        uses=uses,
    )
    if control.unit_procedures[0].role != first:  # `unit`, `phases` and `working_volume` are those of the first
        raise NotAllowed(f"cannot derive {shown(master.recipe)} for {unit.id}", why=f"its procedure does not begin on {first}")
    _check_size(control, master, unit)
    return control


def derive_unit_procedures(master: MasterRecipe, unit: Unit, role: str) -> tuple[ControlUnitProcedure, ...]:
    """What the recipe runs on the unit of a role, or `NotAllowed` naming every need that the unit fails."""
    failed = stops(derivable(master, unit, role=role))
    if failed:
        able = ", ".join(name for name in master.units if name != unit.id) or "no other unit"
        raise NotAllowed(
            f"cannot derive {master.recipe} version {master.version} for {unit.id}", why="; ".join(note.text for note in failed), possible=able
        )
    found = tuple(_unit_procedure(part, master, unit) for part in master.procedure.unit_procedures if part.role == role)
    if role != next(iter(master.roles)):
        found = tuple(replace(part, values=_used(part, _values(master, unit))) for part in found)
    _check_size(found, master, unit)
    return found


def _check_size(derived: object, master: MasterRecipe, unit: Unit) -> None:
    size = len(codec.dumps(codec.plain(derived)))
    if size > CONTROL_BYTES_MAX:
        raise NotAllowed(f"cannot derive {shown(master.recipe)} for {unit.id}", why=f"{size} bytes are more than {CONTROL_BYTES_MAX}")


# --- resolving ----------------------------------------------------------------------------------


def _rounded(value: float) -> float:
    """Twelve digits: a number that people read as 35 is 35, not 35.00000000000001."""
    return float(f"{value:.12g}")


def _values(master: MasterRecipe, unit: Unit) -> dict[str, Quantity]:
    """Every parameter as it holds for this unit, by its scale rule."""
    return values_for(master.formula, unit)


def _parameter(each: Parameter, unit: Unit, formula: Mapping[str, Parameter]) -> ControlParameter:
    value, low, high = (_rounded(scaled(replace(each, value=one), unit, formula=formula).value) for one in (each.value, each.low, each.high))
    return ControlParameter(each.name, value, gives(each), each.critical, low, high, adjustable=each.adjustable)


def _unit_procedure(part: UnitProcedure, master: MasterRecipe, unit: Unit) -> ControlUnitProcedure:
    """A unit procedure with the charts of its operations in the places of the operations."""
    values = _values(master, unit)
    units = {name: signal.cls.unit for name, signal in unit.signals.items()}
    own = {operation.name: operation.chart for operation in part.operations}
    chart, uses = _chart(charts.substituted(part.chart, own.__getitem__), values, units)
    aside: dict[str, str] = {}
    for operation in part.on_exception:
        aside[operation.name], more = _chart(operation.chart, values, units)
        uses += more
    where = {phase.name: operation.name for operation in (*part.operations, *part.on_exception) for phase in operation.phases}
    where |= {phase.name: "hold" for phase in part.on_hold} | {phase.name: "restart" for phase in part.on_restart}
    return ControlUnitProcedure(
        name=part.name,
        role=part.role,
        equipment_class=unit.cls.name,
        unit=unit.id,
        working_volume=unit.working_volume.to("L").value,
        phases=tuple(_phase(phase, where[phase.name], values, unit) for phase in part.every_phase),
        chart=chart,
        on_hold="; ".join(phase.name for phase in part.on_hold),
        on_restart="; ".join(phase.name for phase in part.on_restart),
        on_exception=aside,
        uses=tuple(dict.fromkeys(uses)),
    )


def _used(part: ControlUnitProcedure, values: Mapping[str, Quantity]) -> dict[str, float]:
    """The parameters that a unit procedure names, as they hold on its unit."""
    texts = " ".join(use.text for use in (*part.uses, *(use for phase in part.phases for use in phase.uses)))
    return {name: _rounded(value.value) for name, value in values.items() if re.search(rf"@{name}\b", texts)}


def _chart(chart: Chart, values: Mapping[str, Quantity], units: Mapping[str, str]) -> tuple[str, tuple[ControlUse, ...]]:
    """A chart with its conditions resolved, and which of them name parameters."""
    uses: list[ControlUse] = []

    def condition(text: str) -> str:
        resolved = _condition(text, values, units)
        if "@" in text:
            uses.append(ControlUse(resolved, text, ""))
        return resolved

    return charts.text_of(charts.mapped(chart, name=charts.Name, condition=condition)), tuple(uses)


def _number(text: str, values: Mapping[str, Quantity], unit: str) -> float:
    quantity = values[text[1:]] if text.startswith("@") else Quantity.parse(text)
    return _rounded(quantity.to(unit).value)


def _signals(phase: Phase) -> Iterator[str]:
    yield from phase.setpoints
    yield from phase.held
    for text in (*(each.when for each in phase.samples), *(each.when for each in phase.exceptions)):
        yield from conditions.signals(conditions.parse(text)) if text else ()
    if phase.dose is not None:
        yield from (phase.dose.into, phase.dose.into + DOSE_NUMBER, total_of(phase.dose.into))
    yield from _deciding(phase)


def _deciding(phase: Phase) -> tuple[str, ...]:
    """The signals that decide something in a phase: they must be good."""
    texts = [phase.until]
    found: list[str] = [phase.service.name + STATE_SIGNAL] if phase.service else []
    dose = phase.dose
    if dose is not None:
        texts.append(dose.when)
        found += [dose.signal] if dose.signal else []
        found += [WEIGHT] if dose.rule is not DoseRule.AMOUNT else []
    for text in texts:
        condition = conditions.parse(text) if text else None
        found += conditions.signals(condition) if condition else []
        if condition and conditions.DOSED in conditions.flags(condition) and dose is not None:
            found.append(total_of(dose.into))
    return tuple(dict.fromkeys(found))


def _phase(phase: Phase, operation: str, values: Mapping[str, Quantity], unit: Unit) -> ControlPhase:
    units = {name: signal.cls.unit for name, signal in unit.signals.items()}
    return ControlPhase(
        name=phase.name,
        title=phase.title,
        operation=operation,
        setpoints={name: _number(text, values, units[name]) for name, text in phase.setpoints.items()},
        held={name: _number(text, values, units[name]) for name, text in phase.held.items()},
        dose=_dose(phase.dose, values, units) if phase.dose else None,
        prompts=tuple(_prompt(each, values) for each in phase.prompts),
        until=_condition(phase.until, values, units),
        needs=_deciding(phase),
        timeout_h=_number(phase.timeout, values, "h") if phase.timeout else None,
        timeout_then=phase.timeout_then,
        lost_after_h=_number(phase.lost_after, values, "h"),
        lost_then=phase.lost_then,
        monitored=phase.monitored,
        service=_service(phase.service, values, unit.cls) if phase.service else None,
        enter=tuple(ControlEntry(each.parameter, each.text) for each in phase.enter),
        samples=tuple(ControlSampling(each.sample, each.what, _condition(each.when, values, units)) for each in phase.samples),
        exceptions=tuple(
            ControlException(each.name, _condition(each.when, values, units), _number(each.lasting, values, "h") if each.lasting else 0.0, each.then)
            for each in phase.exceptions
        ),
        uses=tuple(_uses(phase, units, unit.cls)),
    )


def _prompt(prompt: Prompt, values: Mapping[str, Quantity]) -> ControlPrompt:
    timer = None
    if prompt.timer is not None:
        earliest = _number(prompt.timer.earliest, values, "min") if prompt.timer.earliest else 0.0
        latest = _number(prompt.timer.latest, values, "min") if prompt.timer.latest else None
        timer = ControlTimer(earliest, latest, prompt.timer.after)
    return ControlPrompt(prompt.name, prompt.text, prompt.answer, prompt.unit, prompt.low, prompt.high, prompt.how, timer)


def _service(service: Service, values: Mapping[str, Quantity], cls: EquipmentClass) -> ControlService:
    """With its parameters in the units of the class, which is what drivers are told."""
    parameters = {
        name: _in(values[text[1:]] if text.startswith("@") else Quantity.parse(text), _service_unit(cls, service, name))
        for name, text in service.parameters.items()
    }
    return ControlService(service.name, service.procedure, parameters)


def _service_unit(cls: EquipmentClass, service: Service, parameter: str) -> str:
    known = cls.services.get(service.name)
    return known.parameters[parameter].unit if known and parameter in known.parameters else OWN


def _in(value: Quantity, unit: str) -> float:
    return _rounded(value.value if unit == OWN else value.to(unit).value)


def _uses(phase: Phase, units: Mapping[str, str], cls: EquipmentClass) -> Iterator[ControlUse]:
    """Every place of a phase that names a parameter, as `changed` finds it again."""
    numbers = [(f"setpoints.{name}", text, units[name]) for name, text in phase.setpoints.items()]
    numbers += [(f"held.{name}", text, units[name]) for name, text in phase.held.items()]
    numbers += [("timeout_h", phase.timeout, "h"), ("lost_after_h", phase.lost_after, "h")]
    conditions_ = [("until", phase.until)]
    if phase.dose is not None:
        dose, measured = phase.dose, units[phase.dose.signal] if phase.dose.signal else units.get("viable_cells", "1")
        numbers += [("dose.amount", dose.amount, units[dose.into]), ("dose.every_h", dose.every, "h")]
        numbers += [("dose.below", dose.below, measured), ("dose.to", dose.to, measured), ("dose.stock", dose.stock, measured)]
        conditions_.append(("dose.when", dose.when))
    if phase.service is not None:
        numbers += [(f"service.{name}", text, _service_unit(cls, phase.service, name)) for name, text in phase.service.parameters.items()]
    conditions_ += [(f"samples.{each.sample}", each.when) for each in phase.samples]
    conditions_ += [(f"exceptions.{each.name}", each.when) for each in phase.exceptions]
    numbers += [(f"lasting.{each.name}", each.lasting, "h") for each in phase.exceptions]
    yield from (ControlUse(place, text, unit) for place, text, unit in numbers if text.startswith("@"))
    yield from (ControlUse(place, text, "") for place, text in conditions_ if "@" in text)


def changed(phase: ControlPhase, values: Mapping[str, Quantity]) -> ControlPhase:
    """The phase with every place that names a parameter resolved anew: what a change of the formula makes of it."""
    for use in phase.uses:
        phase = _changed(phase, use, values)
    return phase


def changed_condition(text: str, use: ControlUse, values: Mapping[str, Quantity]) -> str:
    """A resolved condition as its source resolves with other values; the units are those that it was resolved to."""
    units = conditions.units_in(conditions.parse(text))
    return str(conditions.resolve(conditions.parse(use.text), units=units, values=values))


def _changed(phase: ControlPhase, use: ControlUse, values: Mapping[str, Quantity]) -> ControlPhase:
    part, _, name = use.place.partition(".")
    if use.unit:
        value = values[use.text[1:]]
        number = _in(value, use.unit)
    match part:
        case "setpoints":
            return replace(phase, setpoints={**phase.setpoints, name: number})
        case "held":
            return replace(phase, held={**phase.held, name: number})
        case "timeout_h":
            return replace(phase, timeout_h=number)
        case "lost_after_h":
            return replace(phase, lost_after_h=number)
        case "until":
            return replace(phase, until=changed_condition(phase.until, use, values))
        case "service" if phase.service is not None:
            return replace(phase, service=replace(phase.service, parameters={**phase.service.parameters, name: number}))
        case "dose" if phase.dose is not None and name == "when":
            return replace(phase, dose=replace(phase.dose, when=changed_condition(phase.dose.when, use, values)))
        case "dose" if phase.dose is not None:
            number_of: dict[str, Any] = {name: number}
            return replace(phase, dose=replace(phase.dose, **number_of))
        case "samples":
            return replace(
                phase,
                samples=tuple(
                    replace(each, when=changed_condition(each.when, use, values)) if each.sample == name else each for each in phase.samples
                ),
            )
        case "exceptions":
            rules = (replace(each, when=changed_condition(each.when, use, values)) if each.name == name else each for each in phase.exceptions)
            return replace(phase, exceptions=tuple(rules))
        case "lasting":
            return replace(phase, exceptions=tuple(replace(each, lasting_h=number) if each.name == name else each for each in phase.exceptions))
    return phase


def _condition(text: str, values: Mapping[str, Quantity], units: Mapping[str, str]) -> str:
    if not text:
        return ""
    resolved = conditions.resolve(conditions.parse(text), units={**CLASS_UNITS, **units}, values=values)
    return str(resolved)


def _dose(dose: Dose, values: Mapping[str, Quantity], units: Mapping[str, str]) -> ControlDose:
    measured = units[dose.signal] if dose.signal else units.get("viable_cells", "1")

    def number(text: str, unit: str) -> float:
        return _number(text, values, unit) if text else 0.0

    return ControlDose(
        rule=dose.rule,
        into=dose.into,
        unit=units[dose.into],
        total=total_of(dose.into),
        per_litre=converter("L", units[dose.into])(1.0),
        when=_condition(dose.when, values, units),
        amount=number(dose.amount, units[dose.into]),
        signal=dose.signal,
        below=number(dose.below, measured),
        to=number(dose.to, measured),
        stock=number(dose.stock, measured),
        every_h=number(dose.every, "h"),
    )
