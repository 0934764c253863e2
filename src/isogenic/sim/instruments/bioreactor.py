"""What there is to measure in a stirred bioreactor with cells: physics, before any instrument.

Guarantees: `observe` derives every measured quantity of the equipment class from the
culture and its surroundings, for floats and arrays alike.
Leaves to others: what an instrument adds (`instrument`), native units (servers).

The gas side is stoichiometry with an assumed flow law, **illustrative**.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from isogenic.sim.processes.cho import BACTERIA_OXYGEN, OXYGEN_MM_PER_PERCENT, Culture, Drive, Theta, dissolved_oxygen

__all__ = ["FEED_KG_PER_L", "Surroundings", "observe", "skid"]

Number = Any  # a float or an array, as in cho

CULTURE_KG_PER_L = 1.02
FEED_KG_PER_L = 1.05
AIR_PERCENT = 100.0  # dissolved oxygen of a vessel that nobody controls
FILM_L = 1e-6  # below, a vessel is a vessel of air
GAS_L_PER_MMOL = 0.0254  # 25.4 L/mol at 37 degC and 1 atm
OVERLAY_VVM = 0.01  # air over the liquid
OXYGEN_VVM_MAX = 0.05  # through the sparger, at its full transfer
FLOW_POWER = 1.0 / 0.6  # transfer goes with the 0.6th power of the gas flow
CO2_FOR_PH_PERCENT = 4.0  # at the start; lactate takes its place
PUMP_REST_BAR = 0.12
PUMP_LOSS_BAR = 0.30  # of a clean line at the reference flow
REFERENCE_FLOW_PER_H = 0.00125  # of the working volume: 3 % a day


class Surroundings(NamedTuple):
    """What stands around the culture."""

    working_volume_l: float
    temperature_c: Number
    ph: Number
    oxygen_percent: Number  # what the controller holds; the culture may draw it lower
    agitation_rpm: Number
    feed_l_h: Number  # delivered
    blocked: Number  # share of the feed line, 0 to 1
    bottle_kg: Number


def observe(culture: Culture, *, theta: Theta, drive: Drive, around: Surroundings) -> dict[str, Number]:
    """The true value of every measurement in its canonical unit, totals excepted."""
    oxygen = dissolved_oxygen(culture.viable, theta=theta, drive=drive, bacteria=culture.bacteria)
    breathed = (theta.oxygen_uptake * culture.viable + BACTERIA_OXYGEN * culture.bacteria) * oxygen / (theta.half_oxygen + oxygen)  # mmol/L/h
    needed = breathed / (theta.oxygen_saturation - oxygen)
    load = needed / (theta.transfer * drive.transfer_factor + 1e-9)  # 1 when the sparger can give no more
    oxygen_l_min = OXYGEN_VVM_MAX * culture.volume * load**FLOW_POWER
    carbon_l_min = breathed * culture.volume * GAS_L_PER_MMOL / 60.0  # one CO2 for each O2
    gas_l_min = OVERLAY_VVM * around.working_volume_l + oxygen_l_min + carbon_l_min
    full = culture.volume / (culture.volume + FILM_L)
    return {
        "temperature": around.temperature_c,
        "ph": around.ph,
        "dissolved_oxygen": full * oxygen / OXYGEN_MM_PER_PERCENT + (1.0 - full) * AIR_PERCENT,
        "agitation": around.agitation_rpm,
        "oxygen_flow": oxygen_l_min,
        "vessel_weight": CULTURE_KG_PER_L * culture.volume,
        "viable_cells": culture.viable,
        "viability": 100.0 * culture.viable / (culture.viable + culture.dead + 1e-9),
        "glucose": culture.glucose,
        "lactate": culture.lactate,
        "offgas_co2": 100.0 * carbon_l_min / gas_l_min + full * CO2_FOR_PH_PERCENT * 2.0 ** (-culture.lactate / 10.0),
    } | skid(around.feed_l_h, working_volume_l=around.working_volume_l, blocked=around.blocked, bottle_kg=around.bottle_kg)


def skid(feed_l_h: Number, *, working_volume_l: Number, blocked: Number, bottle_kg: Number) -> dict[str, Number]:
    """What the feed's pump and bottle show, whatever is fed."""
    lost = PUMP_LOSS_BAR * feed_l_h / (REFERENCE_FLOW_PER_H * working_volume_l) / (1.0 - blocked + 1e-6) ** 2
    return {"feed_flow": feed_l_h * 1000.0, "feed_pressure": PUMP_REST_BAR + lost, "feed_bottle_weight": bottle_kg}
