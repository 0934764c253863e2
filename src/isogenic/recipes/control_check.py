"""A control recipe read back: does every number in it say what its master recipe says, on this unit?

A second opinion on the last step of deriving. It does not scale and resolve again: it takes the numbers
that are there and works backwards, from a stirrer speed to the speed of its tip, from an amount to the
amount for a litre, and compares with what the master recipe asks for.

Guarantees: a parameter, a set-point, a limit, a question, a phase, a condition or a branch that is not the
master recipe's is a `STOP` that names both.
Leaves to others: what the unit can do (derive), units that are allocated later (they carry their own part).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from isogenic.checks import Note, Severity
from isogenic.plant.model import Unit
from isogenic.recipes import charts, conditions
from isogenic.recipes.model import ControlPhase, ControlRecipe, ControlUnitProcedure, MasterRecipe, Parameter, Per, Phase, UnitProcedure
from isogenic.recipes.scaling import kla_at, tip_speed
from isogenic.units import Quantity, same_dimension

__all__ = ["check_control_says_what_its_master_says"]

TOLERANCE = 1e-6  # relative: numbers are recorded with twelve digits, speeds for a kLa with nine
OWNER = "process engineer"


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
        if each.critical != asked.critical or each.adjustable != asked.adjustable:
            yield f"{each.name} is not critical and adjustable as in the master recipe"
    if charts.names(charts.read(control.chart)) != charts.names(master.procedure.chart):
        yield f"the unit procedures run as {control.chart}, not as the master recipe says"
    for part, said in zip(control.unit_procedures, master.procedure.unit_procedures, strict=False):
        if part.unit == unit.id:
            yield from _wrong_part(part, said, values, unit)
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


def _wrong_part(part: ControlUnitProcedure, said: UnitProcedure, values: Mapping[str, Quantity], unit: Unit) -> Iterator[str]:
    asked = {phase.name: phase for phase in said.every_phase}
    if sorted(phase.name for phase in part.phases) != sorted(asked):
        yield f"{part.name} has other phases than the master recipe"
        return
    phases = {operation.name: operation.chart for operation in said.operations}
    expected = charts.names(charts.substituted(said.chart, lambda name: phases[name]))
    if charts.names(charts.read(part.chart)) != expected:
        yield f"{part.name} runs its phases as {part.chart[:200]}, not as the master recipe says"
    for phase in part.phases:
        yield from (f"{phase.name}: {text}" for text in _wrong_phase(phase, asked[phase.name], values, unit))


def _wrong_phase(phase: ControlPhase, asked: Phase, values: Mapping[str, Quantity], unit: Unit) -> Iterator[str]:
    for words, set_to, wanted in (("sets", phase.setpoints, asked.setpoints), ("holds", phase.held, asked.held)):
        if list(set_to) != list(wanted):
            yield f"it {words} {', '.join(set_to) or 'nothing'}, not {', '.join(wanted) or 'nothing'}"
            continue
        for name, number in set_to.items():
            text = wanted[name]
            quantity = values[text[1:]] if text.startswith("@") else Quantity.parse(text)
            if not _same(quantity.to(unit.cls.signals[name].unit).value, number):
                yield f"it {words} {name} to {number:g} {unit.cls.signals[name].unit}, which is not {quantity}"
    if [(each.name, each.text) for each in phase.prompts] != [(each.name, each.text) for each in asked.prompts]:
        yield "it asks other questions"
    if (phase.title, phase.timeout_then, phase.lost_then, phase.monitored) != (asked.title, asked.timeout_then, asked.lost_then, asked.monitored):
        yield "its title, or what follows a time-out or a lost signal, is another"
    told, wanted_condition = conditions.parse(phase.until), conditions.parse(asked.until)
    if conditions.parameters(told):
        yield f"it waits until {phase.until}, which still names a parameter"
    same = conditions.signals(told) == conditions.signals(wanted_condition) and conditions.flags(told) == conditions.flags(wanted_condition)
    if not same:
        yield f"it waits until {phase.until}, not until {asked.until}"
