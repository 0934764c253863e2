"""Scale rules: one number of the general recipe, another for each vessel.

    per: volume      the value is for each litre of the unit's working volume
    per: cells       the value is for each million cells; `of:` names how many cells there are
    per: tip_speed   the value is a speed of the impeller's tip; what holds is the stirrer speed that gives it
    per: kla         the value is a volumetric oxygen transfer coefficient; what holds is the stirrer
                     speed that gives it at the gas flow that `of:` names

    tip speed           v = pi N D
    gas velocity        v_s = Q / (pi T^2 / 4)
    power               P = n Np rho N^3 D^5            (turbulent, ungassed)
    oxygen transfer     kLa = A (P/V)^alpha v_s^beta    van't Riet, Ind. Eng. Chem. Process Des. Dev. 18 (1979) 357

with N in 1/s, lengths in m, V in m3, P/V in W/m3, v_s in m/s and kLa in 1/s. A, alpha and beta
belong to the vessel and its medium and stand in the plant document; van't Riet gives 0.026,
0.4, 0.5 for coalescing liquids and 0.002, 0.7, 0.2 for non-coalescing ones, at 500 to 10,000
W/m3. A culture vessel runs far below that, so a vessel brings the constants of its own study.

Guarantees: a value that cannot be scaled (no geometry, nothing to divide by) is `NotAllowed`
with what the plant document lacks; the same inputs give the same number.
Leaves to others: whether the unit can do it (derive), and the constants (plant documents).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from isogenic.errors import NotAllowed
from isogenic.plant.model import Geometry, OxygenTransfer, Unit
from isogenic.recipes.model import Parameter, Per
from isogenic.units import Quantity, same_dimension

__all__ = ["GIVES", "gives", "kla_at", "of_wrong", "scaled", "speed_for_kla", "speed_for_tip", "tip_speed", "value_wrong", "values_for"]

MILLION_CELLS = "1e6 cell"
SPEED = "rpm"


GIVES: Mapping[Per, str] = {Per.KLA: SPEED, Per.TIP_SPEED: SPEED}  # what a rule's value turns into, where it changes its dimension
MEASURES: Mapping[Per, tuple[str, str]] = {Per.KLA: ("1/h", "an oxygen transfer coefficient"), Per.TIP_SPEED: ("m/s", "a speed")}
NEEDS_OF: Mapping[Per, str] = {Per.CELLS: "how many cells there are", Per.KLA: "the gas flow"}


def gives(parameter: Parameter) -> str:
    """The unit in which a parameter holds once it is scaled."""
    return GIVES.get(parameter.per, parameter.value.unit)


def value_wrong(per: Per, unit: str) -> str:
    """Why a value in this unit cannot follow this rule; empty where it can."""
    if per in MEASURES and not same_dimension(unit, MEASURES[per][0]):
        return f"per: {per} takes {MEASURES[per][1]} such as 1 {MEASURES[per][0]}, not {unit or '1'}"
    return ""


def of_wrong(per: Per, unit: str | None) -> str:
    """Why what `of:` names, measured in this unit, cannot serve the rule; None: it names nothing."""
    if per not in NEEDS_OF:
        return "" if unit is None else f"of: goes with per: {' or '.join(NEEDS_OF)}, not with {per or 'no rule'}"
    if unit is None:
        return f"per: {per} needs of: the parameter that says {NEEDS_OF[per]}"
    wanted = ("cell", "cell/mL") if per is Per.CELLS else ("L/min", "vvm")
    if not any(same_dimension(unit, each) for each in wanted):
        return f"of: {unit or '1'} does not say {NEEDS_OF[per]}, as {' or '.join(wanted)} do"
    return ""


# --- formulae -----------------------------------------------------------------------------------


def tip_speed(turns_per_s: float, geometry: Geometry) -> float:
    """m/s at the impeller's tip: v = pi N D."""
    return math.pi * turns_per_s * geometry.impeller_m


def speed_for_tip(metres_per_s: float, geometry: Geometry) -> float:
    """Turns per second for a tip speed."""
    return metres_per_s / (math.pi * geometry.impeller_m)


def kla_at(turns_per_s: float, gas_m3_s: float, volume_m3: float, *, geometry: Geometry, transfer: OxygenTransfer) -> float:
    """kLa in 1/s at a stirrer speed and a gas flow."""
    power = _turned(geometry, transfer) * turns_per_s**3
    return float(transfer.a * (power / volume_m3) ** transfer.alpha * _velocity(gas_m3_s, transfer) ** transfer.beta)


def speed_for_kla(kla_per_s: float, gas_m3_s: float, volume_m3: float, *, geometry: Geometry, transfer: OxygenTransfer) -> float:
    """Turns per second for a kLa: van't Riet solved for the power, the power number for the speed."""
    power_per_volume = (kla_per_s / (transfer.a * _velocity(gas_m3_s, transfer) ** transfer.beta)) ** (1 / transfer.alpha)
    return float((power_per_volume * volume_m3 / _turned(geometry, transfer)) ** (1 / 3))


def _turned(geometry: Geometry, transfer: OxygenTransfer) -> float:
    """n Np rho D^5: the power for each (turn per second) cubed."""
    return geometry.impellers * transfer.power_number * geometry.density_kg_m3 * geometry.impeller_m**5


def _velocity(gas_m3_s: float, transfer: OxygenTransfer) -> float:
    """Superficial gas velocity."""
    return gas_m3_s / (math.pi * transfer.vessel_m**2 / 4)


# --- rules --------------------------------------------------------------------------------------


def values_for(formula: Mapping[str, Parameter], unit: Unit) -> dict[str, Quantity]:
    """Every parameter as it holds for this unit, or `NotAllowed` with each that cannot be scaled to it."""
    found: dict[str, Quantity] = {}
    wrong: list[str] = []
    for name, parameter in formula.items():
        try:
            found[name] = scaled(parameter, unit, formula=formula)
        except NotAllowed as refusal:
            wrong.append(f"{name}: {refusal.why}")
    if wrong:
        raise NotAllowed(f"cannot scale the recipe to {unit.id}", why="; ".join(wrong))
    return found


def scaled(parameter: Parameter, unit: Unit, *, formula: Mapping[str, Parameter]) -> Quantity:
    """One parameter as it holds for this unit."""
    value, litres = parameter.value, unit.working_volume.to("L").value
    match parameter.per:
        case Per.UNIT:
            return value
        case Per.VOLUME:
            return value.times(litres)
        case Per.CELLS:
            return value.times(_cells(formula[parameter.of], unit))
    geometry = unit.geometry
    if geometry is None:
        raise _refused(parameter, unit, f"by {parameter.per}, and the plant document gives {unit.id} no geometry")
    if parameter.per is Per.TIP_SPEED:
        return _speed(speed_for_tip(value.to("m/s").value, geometry))
    if geometry.oxygen_transfer is None:
        raise _refused(parameter, unit, f"by kla, and the plant document gives {unit.id} no oxygen_transfer")
    gas, kla = _gas(formula[parameter.of], unit), value.to("1/s").value
    if not (gas > 0 and kla > 0):
        raise _refused(parameter, unit, f"no stirrer speed gives {value} at a gas flow of {formula[parameter.of].value}")
    return _speed(speed_for_kla(kla, gas, litres / 1000.0, geometry=geometry, transfer=geometry.oxygen_transfer))


def _refused(parameter: Parameter, unit: Unit, why: str) -> NotAllowed:
    return NotAllowed(f"cannot scale {parameter.name} to {unit.id}", why=why, possible="geometry: in the plant document")


def _speed(turns_per_s: float) -> Quantity:
    return Quantity(float(f"{turns_per_s * 60.0:.9g}"), SPEED)


def _cells(count: Parameter, unit: Unit) -> float:
    """How many millions of cells: a number of them, or a density over the working volume."""
    value = count.value.times(unit.working_volume.to("L").value) if count.per is Per.VOLUME else count.value
    if same_dimension(value.unit, MILLION_CELLS):
        return value.to(MILLION_CELLS).value
    return value.to("1e6 cell/L").value * unit.working_volume.to("L").value


def _gas(flow: Parameter, unit: Unit) -> float:
    """Gas flow in m3/s: a flow, a flow for each litre, or volumes of gas for each volume of liquid."""
    litres = unit.working_volume.to("L").value
    if same_dimension(flow.value.unit, "vvm") and not same_dimension(flow.value.unit, "L/min"):
        return flow.value.to("1/s").value * litres / 1000.0
    return flow.value.times(litres if flow.per is Per.VOLUME else 1.0).to("m**3/s").value
