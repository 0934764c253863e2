"""From a site recipe to a batch: master and control recipes.

Guarantees: a `ControlRecipe` is derived only for a unit that meets every need (class,
capability ranges, signals, volume), with every number in the signal's canonical unit and
within what the unit can do; otherwise `NotAllowed` names every need that fails. The same
inputs give the same recipe and the same digests.
Leaves to others: whether the batch may start at all (licence, people), and running it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from isogenic.checks import Note, Severity, stops
from isogenic.documents import shown
from isogenic.errors import NotAllowed
from isogenic.ids import BatchId, LotId
from isogenic.plant.classes import CLASSES, DOSE_NUMBER
from isogenic.plant.model import SitePlant, Unit
from isogenic.recipes import conditions
from isogenic.recipes.general import total_of
from isogenic.recipes.model import (
    ControlDose,
    ControlParameter,
    ControlPhase,
    ControlPrompt,
    ControlRecipe,
    ControlTimer,
    Dose,
    DoseRule,
    MasterRecipe,
    Operation,
    Phase,
    Prompt,
    SiteRecipe,
    digest_of,
)
from isogenic.recipes.scaling import values_for
from isogenic.records import codec
from isogenic.units import Quantity, converter

__all__ = ["CLASS_UNITS", "CONTROL_BYTES_MAX", "WEIGHT", "control_digest", "derivable", "derive_control", "derive_master"]

CONTROL_BYTES_MAX = 30_000  # half a fact: a control recipe is recorded whole when its batch starts
WEIGHT = "vessel_weight"  # what a dose by concentration, or of everything, is computed from
OWNER = "process engineer"
CLASS_UNITS: Mapping[str, str] = {name: signal.unit for cls in CLASSES.values() for name, signal in cls.signals.items()}


def derive_master(recipe: SiteRecipe, plant: SitePlant) -> MasterRecipe:
    """The site recipe for the units of its equipment class at this plant."""
    if plant.site != recipe.site:
        raise NotAllowed(f"cannot derive the recipe of {recipe.site} at {plant.site}", why="it was written for another site")
    general = recipe.general
    units = tuple(unit.id for unit in plant.units.values() if unit.cls.name == general.equipment_class)
    if not units:
        raise NotAllowed(f"cannot derive {general.recipe} at {plant.site}", why=f"no unit is of the class {general.equipment_class}")
    master = MasterRecipe(
        recipe=general.recipe,
        version=general.version,
        product=general.product,
        title=general.title,
        site=recipe.site,
        language=recipe.language,
        equipment_class=general.equipment_class,
        units=units,
        formula=recipe.formula,
        needs=general.needs,
        procedure=recipe.procedure,
        general_digest=general.digest,
        site_digest=recipe.digest,
    )
    return replace(master, digest=digest_of(codec.dumps(codec.plain(master))))


def control_digest(control: ControlRecipe) -> str:
    """The digest of a control recipe as it is recorded."""
    return digest_of(codec.dumps(codec.plain(control)))


def derivable(master: MasterRecipe, unit: Unit) -> list[Note]:
    """Every need of the recipe, and whether the unit meets it."""
    if unit.cls.name != master.equipment_class:
        return [_note("check_class", f"{unit.id} is a {unit.cls.name}, not a {master.equipment_class}")]
    return [
        *check_capabilities(master, unit),
        *check_signals(master, unit),
        *check_setpoints(master, unit),
        *check_doses(master, unit),
        *check_timers(master, unit),
    ]


def _note(check: str, wrong: str, *, good: str = "") -> Note:
    return Note(check, Severity.STOP, wrong, OWNER) if wrong else Note(check, Severity.GOOD, good, OWNER)


def check_capabilities(master: MasterRecipe, unit: Unit) -> list[Note]:
    """The unit covers every range that the recipe needs."""
    values = _values(master, unit)
    notes = []
    for need in master.needs:
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


def check_signals(master: MasterRecipe, unit: Unit) -> list[Note]:
    """The unit has every signal that the recipe reads or writes."""
    needed = dict.fromkeys(name for phase in master.procedure.phases for name in _signals(phase))
    missing = [name for name in needed if name not in unit.signals]
    if not missing:
        return [_note("check_signals", "", good=f"all {len(needed)} signals are there")]
    return [_note("check_signals", f"signal {name} is needed; {unit.id} has none") for name in missing]


def check_setpoints(master: MasterRecipe, unit: Unit) -> list[Note]:
    """Every set-point lies within what the unit can do."""
    values = _values(master, unit)
    notes = []
    for phase in master.procedure.phases:
        for name, text in {**phase.held, **phase.setpoints}.items():
            can = unit.capabilities.get(name.removesuffix("_sp"))
            value = _number(text, values, unit.cls.signals[name].unit)
            if can is not None and not can.low <= value <= can.high:
                notes.append(_note("check_setpoints", f"{phase.name} sets {name} to {value:g} {can.unit}; {unit.id} can {can.low:g} to {can.high:g}"))
    return notes or [_note("check_setpoints", "", good="all set-points are within what the unit can do")]


def check_doses(master: MasterRecipe, unit: Unit) -> list[Note]:
    """Every dose is more than nothing and can reach what it is for, with the numbers of this unit."""
    values, units = _values(master, unit), CLASS_UNITS
    wrong = []
    for phase in master.procedure.phases:
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


def check_timers(master: MasterRecipe, unit: Unit) -> list[Note]:
    """No question has to be answered before it may be, with the numbers of this unit."""
    values = _values(master, unit)
    prompts = [_prompt(each, values) for phase in master.procedure.phases for each in phase.prompts]
    wrong = [
        f"{each.name} may be answered after {each.timer.earliest_min:g} min, and has to be within {each.timer.latest_min:g} min"
        for each in prompts
        if each.timer is not None and each.timer.latest_min is not None and each.timer.latest_min <= each.timer.earliest_min
    ]
    return [_note("check_timers", text) for text in wrong]


def derive_control(master: MasterRecipe, unit: Unit, *, batch: BatchId, lot: LotId) -> ControlRecipe:
    """The recipe of one batch on one unit, or `NotAllowed` naming every need that the unit fails."""
    failed = stops(derivable(master, unit))
    if failed:
        able = ", ".join(name for name in master.units if name != unit.id) or "no other unit"
        raise NotAllowed(
            f"cannot derive {master.recipe} version {master.version} for {unit.id}", why="; ".join(note.text for note in failed), possible=able
        )
    values = _values(master, unit)
    phases = []
    for unit_procedure in master.procedure.unit_procedures:
        for operation in unit_procedure.operations:
            phases += [_phase(phase, operation, values, unit) for phase in operation.phases]
    control = ControlRecipe(
        recipe=master.recipe,
        version=master.version,
        product=master.product,
        title=master.title,
        site=master.site,
        unit=unit.id,
        batch=batch,
        lot=lot,
        language=master.language,
        working_volume=unit.working_volume.to("L").value,
        parameters=tuple(
            ControlParameter(name, _rounded(values[name].value), values[name].unit, master.formula[name].critical) for name in master.formula
        ),
        phases=tuple(phases),
        general_digest=master.general_digest,
        site_digest=master.site_digest,
        master_digest=master.digest,
    )
    size = len(codec.dumps(codec.plain(control)))
    if size > CONTROL_BYTES_MAX:
        raise NotAllowed(f"cannot derive {shown(master.recipe)} for {unit.id}", why=f"{size} bytes are more than {CONTROL_BYTES_MAX}")
    return control


# --- resolving ----------------------------------------------------------------------------------


def _rounded(value: float) -> float:
    """Twelve digits: a number that people read as 35 is 35, not 35.00000000000001."""
    return float(f"{value:.12g}")


def _values(master: MasterRecipe, unit: Unit) -> dict[str, Quantity]:
    """Every parameter as it holds for this unit, by its scale rule."""
    return values_for(master.formula, unit)


def _number(text: str, values: Mapping[str, Quantity], unit: str) -> float:
    quantity = values[text[1:]] if text.startswith("@") else Quantity.parse(text)
    return _rounded(quantity.to(unit).value)


def _signals(phase: Phase) -> Iterator[str]:
    yield from phase.setpoints
    yield from phase.held
    if phase.dose is not None:
        yield from (phase.dose.into, phase.dose.into + DOSE_NUMBER, total_of(phase.dose.into))
    yield from _deciding(phase)


def _deciding(phase: Phase) -> tuple[str, ...]:
    """The signals that decide something in a phase: they must be good."""
    texts = [phase.until]
    found: list[str] = []
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


def _phase(phase: Phase, operation: Operation, values: Mapping[str, Quantity], unit: Unit) -> ControlPhase:
    units = {name: signal.cls.unit for name, signal in unit.signals.items()}
    return ControlPhase(
        name=phase.name,
        title=phase.title,
        operation=operation.name,
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
    )


def _prompt(prompt: Prompt, values: Mapping[str, Quantity]) -> ControlPrompt:
    timer = None
    if prompt.timer is not None:
        earliest = _number(prompt.timer.earliest, values, "min") if prompt.timer.earliest else 0.0
        latest = _number(prompt.timer.latest, values, "min") if prompt.timer.latest else None
        timer = ControlTimer(earliest, latest, prompt.timer.after)
    return ControlPrompt(prompt.name, prompt.text, prompt.answer, prompt.unit, prompt.low, prompt.high, prompt.how, timer)


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
