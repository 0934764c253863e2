"""A control recipe read back: does every number in it say what its master recipe says, on this unit?

A second opinion on the last step of deriving. It does not scale and resolve again: it takes the numbers
that are there and works backwards, from a stirrer speed to the speed of its tip, from an amount to the
amount for a litre, and compares with what the master recipe asks for.

Guarantees: a parameter or its limits, a set-point, a dose, a time, a service and what it is told, a question with
its limits and timer, a sampling point, an exception, a phase, a branch, and every number inside a condition that is
not the master recipe's is a `STOP` that names both; so is a number that a change of the formula would not reach.
Leaves to others: what the unit can do (derive), units that are allocated later (they carry their own part).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from isogenic.checks import Note, Severity
from isogenic.plant.classes import CLASSES
from isogenic.plant.model import Unit
from isogenic.recipes import charts, conditions
from isogenic.recipes.charts import Chart
from isogenic.recipes.general import total_of
from isogenic.recipes.model import (
    ControlDose,
    ControlPhase,
    ControlPrompt,
    ControlRecipe,
    ControlUnitProcedure,
    Dose,
    MasterRecipe,
    Parameter,
    Per,
    Phase,
    Prompt,
    UnitProcedure,
)
from isogenic.recipes.scaling import kla_at, tip_speed
from isogenic.units import Quantity, same_dimension

__all__ = ["check_control_says_what_its_master_says"]

TOLERANCE = 1e-6  # relative: numbers are recorded with twelve digits, speeds for a kLa with nine
OWNER = "process engineer"
OWN = "own"  # in the unit that the recipe gives: of a service that the class does not know


def check_control_says_what_its_master_says(control: ControlRecipe, master: MasterRecipe, unit: Unit) -> list[Note]:
    """Every number, text and branch of a control recipe, worked back to the master recipe that it names."""
    name = "check_control_says_what_its_master_says"
    wrong = list(_wrong(control, master, unit))
    if wrong:
        return [Note(name, Severity.STOP, text, OWNER) for text in wrong]
    return [
        Note(name, Severity.GOOD, f"{len(control.parameters)} parameters and {len(control.phases)} phases say what the master recipe says", OWNER)
    ]


def _wrong(control: ControlRecipe, master: MasterRecipe, unit: Unit) -> Iterator[str]:
    if (control.general_digest, control.site_digest, control.master_digest) != (master.general_digest, master.site_digest, master.digest):
        yield "the control recipe names other documents than its master recipe"
    if [each.name for each in control.parameters] != list(master.formula):
        yield "the control recipe has other parameters than its master recipe"
        return
    values = {each.name: Quantity(each.value, each.unit) for each in control.parameters}
    for each in control.parameters:
        asked = master.formula[each.name]
        if not _is_asked(values[each.name], asked, unit, master.formula):
            yield f"{each.name} is {values[each.name]}, which is not {asked.value}{f' per {asked.per}' if asked.per else ''} on {unit.id}"
        for word, limit, wanted in (("lowest", each.low, asked.low), ("highest", each.high, asked.high)):
            if limit is None or not _is_asked(Quantity(limit, each.unit), replace(asked, value=wanted), unit, master.formula):
                yield f"{each.name} has {limit} {each.unit} as its {word}, which is not {wanted}{f' per {asked.per}' if asked.per else ''}"
        if each.critical != asked.critical or each.adjustable != asked.adjustable:
            yield f"{each.name} is not critical and adjustable as in the master recipe"
    signals = {name: signal.unit for cls in (*CLASSES.values(), unit.cls) for name, signal in cls.signals.items()}
    yield from _wrong_chart("the unit procedures run", control.chart, master.procedure.chart, _Told(values, signals))
    for part, said in zip(control.unit_procedures, master.procedure.unit_procedures, strict=False):
        if part.unit == unit.id:
            yield from _wrong_part(part, said, _Told(values, signals), unit)
    if [each.name for each in control.unit_procedures] != [each.name for each in master.procedure.unit_procedures]:
        yield "the control recipe has other unit procedures than its master recipe"


def _is_asked(value: Quantity, asked: Parameter, unit: Unit, formula: Mapping[str, Parameter]) -> bool:
    """Worked backwards: what this value is for one litre, at the tip, for the gas."""
    litres = unit.working_volume.to("L").value
    match asked.per:
        case Per.UNIT:
            return _same(value.to(asked.value.unit).value, asked.value.value)
        case Per.VOLUME:
            return _same(value.to(asked.value.unit).value / litres, asked.value.value)
        case Per.CELLS:
            counted = formula[asked.of]
            cells = counted.value.value * (litres if counted.per is Per.VOLUME else 1.0)
            density = not same_dimension(counted.value.unit, "cell")
            millions = Quantity(cells, counted.value.unit).to("1e6 cell/L" if density else "1e6 cell").value * (litres if density else 1.0)
            return _same(value.to(asked.value.unit).value / millions, asked.value.value)
    if unit.geometry is None:
        return False
    turns = value.to("rpm").value / 60.0
    if asked.per is Per.TIP_SPEED:
        return _same(tip_speed(turns, unit.geometry), asked.value.to("m/s").value)
    transfer, flow = unit.geometry.oxygen_transfer, formula[asked.of]
    if transfer is None:
        return False
    if same_dimension(flow.value.unit, "vvm"):  # volumes of gas for each volume of liquid
        gas = flow.value.to("1/s").value * litres / 1000.0
    else:
        gas = flow.value.times(litres if flow.per is Per.VOLUME else 1.0).to("m**3/s").value
    return _same(kla_at(turns, gas, litres / 1000.0, geometry=unit.geometry, transfer=transfer), asked.value.to("1/s").value)


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=1e-12)


@dataclass(frozen=True, slots=True)
class _Told:
    """What the numbers and conditions of a phase are compared with."""

    values: Mapping[str, Quantity]
    signals: Mapping[str, str]  # signal -> its unit

    def same(self, number: float | None, asked: str, unit: str) -> bool:
        """A number is what a text asks for; no number where nothing is asked."""
        if not asked or number is None:
            return not asked and not number
        quantity = self.values[asked[1:]] if asked.startswith("@") else Quantity.parse(asked)
        return _same(quantity.value if unit == OWN else quantity.to(unit).value, number)

    def says(self, told: str, asked: str) -> bool:
        """A condition without parameters says what one with parameters asks, number by number."""
        if not told or not asked:
            return told == asked
        return self._says(conditions.parse(told), conditions.parse(asked))

    def _says(self, told: conditions.Condition, asked: conditions.Condition) -> bool:
        match told, asked:
            case conditions.Comparison(), conditions.Comparison():
                if (told.left, told.op) != (asked.left, asked.op) or isinstance(told.right, str):
                    return False
                wanted = self.values[asked.right] if isinstance(asked.right, str) else asked.right
                unit = self.signals.get(told.left, "h" if told.left == conditions.ELAPSED else wanted.unit)
                return same_dimension(told.right.unit, unit) and _same(told.right.to(unit).value, wanted.to(unit).value)
            case conditions.Denied(), conditions.Denied():
                return self._says(told.part, asked.part)
            case conditions.All() | conditions.AnyOf(), conditions.All() | conditions.AnyOf():
                same = type(told) is type(asked) and len(told.parts) == len(asked.parts)
                return same and all(map(self._says, told.parts, asked.parts))
        return told == asked


def _wrong_chart(what: str, told: str, asked: Chart, values: _Told) -> Iterator[str]:
    """The same shape, with the same names, and conditions that say the same."""
    found = charts.read(told)
    if _shape(found) != _shape(asked):
        yield f"{what} as {told[:200]}, not as the master recipe says"
        return
    for now, wanted in zip(charts.conditions(found), charts.conditions(asked), strict=True):
        if not values.says(now, wanted):
            yield f"{what} on {now}, not on {wanted}"


def _shape(chart: Chart) -> str:
    return charts.text_of(charts.mapped(chart, name=charts.Name, condition=lambda _: "elapsed > 0 h"))


def _wrong_part(part: ControlUnitProcedure, said: UnitProcedure, values: _Told, unit: Unit) -> Iterator[str]:
    asked = {phase.name: phase for phase in said.every_phase}
    if sorted(phase.name for phase in part.phases) != sorted(asked):
        yield f"{part.name} has other phases than the master recipe"
        return
    if (part.role, part.equipment_class) != (said.role, unit.cls.name) or not _same(part.working_volume, unit.working_volume.to("L").value):
        yield f"{part.name} is for a {part.equipment_class} of {part.working_volume:g} L as {part.role}, and {unit.id} is another"
    phases = {operation.name: operation.chart for operation in said.operations}
    wanted = [("its phases", part.chart, charts.substituted(said.chart, lambda name: phases[name]))]
    wanted += [("what is run on hold", part.on_hold, charts.sequence(tuple(charts.Name(each.name) for each in said.on_hold)))]
    wanted += [("what is run on restart", part.on_restart, charts.sequence(tuple(charts.Name(each.name) for each in said.on_restart)))]
    wanted += [(each.name, part.on_exception.get(each.name, ""), each.chart) for each in said.on_exception]
    for what, told, chart in wanted:
        yield from _wrong_chart(f"{part.name} runs {what}", told, chart, values)
    for phase in part.phases:
        yield from (f"{phase.name}: {text}" for text in _wrong_phase(phase, asked[phase.name], values, unit))


def _wrong_phase(phase: ControlPhase, asked: Phase, values: _Told, unit: Unit) -> Iterator[str]:
    for words, set_to, wanted in (("sets", phase.setpoints, asked.setpoints), ("holds", phase.held, asked.held)):
        if list(set_to) != list(wanted):
            yield f"it {words} {', '.join(set_to) or 'nothing'}, not {', '.join(wanted) or 'nothing'}"
            continue
        for name, number in set_to.items():
            if not values.same(number, wanted[name], unit.cls.signals[name].unit):
                yield f"it {words} {name} to {number:g} {unit.cls.signals[name].unit}, which is not {wanted[name]}"
    if (phase.title, phase.timeout_then, phase.lost_then, phase.monitored) != (asked.title, asked.timeout_then, asked.lost_then, asked.monitored):
        yield "its title, or what follows a time-out or a lost signal, is another"
    for words, hours, text in (("has its time-out", phase.timeout_h, asked.timeout), ("misses a signal for", phase.lost_after_h, asked.lost_after)):
        if not values.same(hours, text, "h"):
            yield f"it {words} after {hours} h, not after {text or 'none'}"
    if conditions.parameters(conditions.parse(phase.until)):
        yield f"it waits until {phase.until}, which still names a parameter"
    if not values.says(phase.until, asked.until):
        yield f"it waits until {phase.until}, not until {asked.until}"
    yield from _wrong_questions(phase, asked, values)
    yield from _wrong_dose(phase.dose, asked.dose, values)
    yield from _wrong_service(phase, asked, values, unit)
    yield from _wrong_rules(phase, asked, values)
    missing = set(_with_parameters(asked)) - {use.text for use in phase.uses}
    if missing:
        yield f"a change of the formula would not reach {', '.join(sorted(missing))}"


def _wrong_questions(phase: ControlPhase, asked: Phase, values: _Told) -> Iterator[str]:
    def words(those: Sequence[Prompt | ControlPrompt]) -> list[object]:
        return [(each.name, each.text, each.answer, each.unit, each.low, each.high, each.how) for each in those]

    if words(phase.prompts) != words(asked.prompts):
        yield "it asks other questions"
        return
    for told, wanted in zip(phase.prompts, asked.prompts, strict=True):
        if (told.timer is None) != (wanted.timer is None):
            yield f"question {told.name} has another timer"
        elif told.timer is not None and wanted.timer is not None:
            early, late = (
                values.same(told.timer.earliest_min, wanted.timer.earliest, "min"),
                values.same(told.timer.latest_min, wanted.timer.latest, "min"),
            )
            if not (early and late) or told.timer.after != wanted.timer.after:
                yield f"question {told.name} has another timer"
    if [(each.parameter, each.text) for each in phase.enter] != [(each.parameter, each.text) for each in asked.enter]:
        yield "it lets other parameters be entered"


def _wrong_dose(dose: ControlDose | None, asked: Dose | None, values: _Told) -> Iterator[str]:
    if dose is None or asked is None:
        if (dose is None) != (asked is None):
            yield "it doses, or does not, unlike the master recipe"
        return
    if (dose.rule, dose.into, dose.signal) != (asked.rule, asked.into, asked.signal) or dose.total != total_of(asked.into):
        yield f"it doses {dose.rule} by {dose.into}, not {asked.rule} by {asked.into}"
        return
    measured = values.signals[asked.signal or "viable_cells"] if asked.to else ""
    into = values.signals[asked.into]
    for word, number, text, unit in (
        ("amount", dose.amount, asked.amount, into),
        ("threshold", dose.below, asked.below, measured),
        ("target", dose.to, asked.to, measured),
        ("stock", dose.stock, asked.stock, measured),
        ("window", dose.every_h, asked.every, "h"),
    ):
        if not values.same(number, text, unit):
            yield f"the {word} of its dose is {number:g} {unit}, which is not {text or 'asked for'}"
    if dose.unit != into or not _same(Quantity(1.0, "L").to(into).value, dose.per_litre):
        yield f"its dose counts in {dose.unit}, {dose.per_litre:g} for a litre"
    if not values.says(dose.when, asked.when):
        yield f"it doses when {dose.when}, not when {asked.when}"


def _wrong_service(phase: ControlPhase, asked: Phase, values: _Told, unit: Unit) -> Iterator[str]:
    told, wanted = phase.service, asked.service
    if told is None or wanted is None:
        if (told is None) != (wanted is None):
            yield "it runs a service, or does not, unlike the master recipe"
        return
    if (told.name, told.procedure, list(told.parameters)) != (wanted.name, wanted.procedure, list(wanted.parameters)):
        yield f"it runs service {told.name} {told.procedure}, not {wanted.name} {wanted.procedure}, or with other parameters"
        return
    known = unit.cls.services.get(wanted.name)
    for name, number in told.parameters.items():
        in_unit = known.parameters[name].unit if known and name in known.parameters else OWN
        if not values.same(number, wanted.parameters[name], in_unit):
            yield f"service {told.name} is told {name} {number:g}, which is not {wanted.parameters[name]}"


def _wrong_rules(phase: ControlPhase, asked: Phase, values: _Told) -> Iterator[str]:
    if [(each.sample, each.what) for each in phase.samples] != [(each.sample, each.what) for each in asked.samples]:
        yield "it draws other samples"
        return
    if [(each.name, each.then) for each in phase.exceptions] != [(each.name, each.then) for each in asked.exceptions]:
        yield "it has other exceptions"
        return
    for sample, wanted in zip(phase.samples, asked.samples, strict=True):
        if not values.says(sample.when, wanted.when):
            yield f"sample {sample.sample} is drawn when {sample.when}, not when {wanted.when}"
    for rule, said in zip(phase.exceptions, asked.exceptions, strict=True):
        if not values.says(rule.when, said.when) or not values.same(rule.lasting_h, said.lasting, "h"):
            yield f"exception {rule.name} is of {rule.when} for {rule.lasting_h:g} h, not of {said.when} for {said.lasting or 'no time'}"


def _with_parameters(asked: Phase) -> Iterator[str]:
    """Every text of a phase that a parameter decides."""
    texts = [*asked.setpoints.values(), *asked.held.values(), asked.timeout, asked.lost_after, asked.until]
    if asked.dose is not None:
        texts += [asked.dose.amount, asked.dose.below, asked.dose.to, asked.dose.stock, asked.dose.every, asked.dose.when]
    texts += asked.service.parameters.values() if asked.service else ()
    texts += [each.when for each in asked.samples] + [text for each in asked.exceptions for text in (each.when, each.lasting)]
    return (text for text in texts if "@" in text)
