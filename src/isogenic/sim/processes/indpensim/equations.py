"""The equations of IndPenSim, for many batches at once: 31 states as published, and the flows that balances need.

Guarantees: `rates` is d/dt of everything; biomass regions, sugar, penicillin, phenylacetate and nitrogen are amounts, so
that what flows in and out adds up to what is there, to rounding. `advance` is a step of a two-stage Rosenbrock method of
second order whatever part of the Jacobian it is given (a W-method: Verwer, Spee, Blom & Hundsdorfer 1999, SIAM J Sci
Comput 20:1456, gamma = 1 - 1/sqrt 2): it is given the columns of sugar and oxygen, which are eaten within seconds, and
the diagonal of the gas. The columns are complete, flows included, so a sum that the equations conserve is conserved by
the step.
Leaves to others: what the valves do (`control`), disturbances, samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from isogenic.sim.processes.process import Floats

__all__ = ["AMOUNTS", "FLOWS", "ROW", "STATES", "advance", "rates"]

STATES = (
    "substrate",
    "oxygen",
    "off_gas_oxygen",
    "penicillin",
    "volume",
    "weight",
    "protons",
    "kelvin",
    "heat",
    "viscosity",
    "age_integral",
    "growing",
    "producing",
    "degenerated",
    "lysed",
    *(f"vacuoles_{at}" for at in range(11)),
    "vacuole_volume",
    "off_gas_co2",
    "co2",
    "phenylacetate",
    "nitrogen",
    "growth_integral",
)
FLOWS = (
    "sugar_in",
    "oil_in",
    "for_growth",
    "for_upkeep",
    "for_product",
    "substrate_out",
    "grown",
    "biomass_out",
    "made",
    "decayed",
    "penicillin_out",
    "litres_in",
    "litres_evaporated",
    "litres_out",
)
ROW = {name: at for at, name in enumerate((*STATES, *FLOWS))}
AMOUNTS = ("substrate", "penicillin", "growing", "producing", "degenerated", "lysed", "phenylacetate", "nitrogen")
_V0 = ROW["vacuoles_0"]
_GAMMA = 1.0 - 1.0 / math.sqrt(2.0)
_SUGAR = 0.01  # g/L: the half-saturation of growth is 0.009
_NUDGE, _NUDGE_OXYGEN = 1e-7, 1e-5  # g/L of sugar and mg/L of oxygen, for their columns
Numbers = Mapping[str, Any]  # floats, and arrays where batches differ


def rates(age_h: float | Floats, y: Floats, u: Numbers, c: Numbers) -> tuple[Floats, Floats]:
    """d/dt of every row, per hour, and how fast oxygen and carbon dioxide are exchanged (1/h)."""
    volume = y[4]
    s, p = y[0] / volume, y[3] / volume
    a0, a1, a3, a4 = y[11] / volume, y[12] / volume, y[13] / volume, y[14] / volume
    oxygen, gas_oxygen, protons, kelvin, gas_co2, co2 = y[1], y[2], np.maximum(y[6], 1e-14), y[7], y[27], y[28]
    paa, nitrogen = y[29] / volume, y[30] / volume
    biomass = a0 + a1 + a3 + a4
    air = u["air"] / 60.0  # m^3/s
    density = c["broth_density"] + p + biomass
    thick = np.where(y[9] <= 4.0, 1.0, y[9])
    cubic_m = volume / 1000.0
    radius = c["vessel_radius"]
    height = cubic_m / (math.pi * radius**2) * (1.0 - c["gas_hold_up"])
    top = 1.0 + u["pressure"]
    bottom = top + density * height * 9.81e-5
    pressure = (bottom - top) / np.log(bottom / top)
    saturated = pressure * u["oxygen_in"] / c["henry_oxygen"]

    # What slows growth and product: pH, temperature, nitrogen, oxygen, carbon dioxide, phenylacetate.
    ph = -np.log10(protons)
    fit_ph = 1.0 / (1.0 + protons / c["ph_low"] + c["ph_high"] / protons)
    gas = 8.314 * kelvin
    fit_warmth = c["growth_heat"] * np.exp(-c["growth_energy"] / gas) - c["death_heat"] * np.exp(-c["death_energy"] / gas)
    fit = fit_ph * fit_warmth * 0.5 * (1.0 - np.tanh(c["critical_nitrogen"] - nitrogen))
    fit = fit * 0.5 * (1.0 - np.tanh(c["critical_oxygen_growth"] * saturated - oxygen)) * 0.5 * (1.0 + np.tanh(c["critical_co2"] - co2 * 1000.0))
    fit = fit * 0.5 * (1.0 + np.tanh(c["phenylacetate_poison"] - paa))
    extension_max = u["max_growth"] * fit
    fit_product = 0.5 * (1.0 - np.tanh(c["critical_oxygen_product"] * saturated - oxygen)) * 0.5 * (1.0 + np.tanh(paa - c["phenylacetate_needed"]))
    decay = np.exp(c["decay_1"] + c["decay_2"] * ph + c["decay_3"] * kelvin + c["decay_4"] * ph * ph + c["decay_5"] * kelvin * kelvin)

    # Hyphae: tips branch and extend, age into producing regions, those fill with vacuoles, degenerate and lyse.
    young = np.maximum(c["half_ageing"] - y[10] / biomass * c["ageing_slope"], c["half_ageing_low"])
    branched = c["branching"] * extension_max * a1 * s / (c["half_branching"] + s)
    extended = extension_max * a0 * s / (c["half_extension"] + s)
    aged = c["ageing"] * a0 / (young + s)
    step, first, growth = c["vacuole_step"], c["vacuole_radius"], c["vacuole_growth"]
    vacuoles = y[_V0 : _V0 + 11]
    held = y[26].copy()
    for at in range(9):
        held = held + 4.1887902047863905 * (first + at * step) ** 3 * step * vacuoles[at + 1]
    density_1 = a1 / (a1 / c["density_young"] + held)
    empty = a1 / (2.0 * density_1) - held
    active = c["density_young"] * empty
    bell = 2.5 / math.sqrt(2.0 * math.pi) * np.exp(-0.5 * ((s - c["product_at"]) / c["product_sd"]) ** 2)
    made = u["max_product"] * active * bell * fit_product
    decayed = decay * p
    last, largest = first + 8 * step, first + 10 * step
    degenerate = math.pi * (last + largest) ** 3 / 6.0 * c["density_dry"] * growth * vacuoles[9]
    lysing = c["vacuole_death"] * a3
    upkeep = c["upkeep_substrate"] * (a0 / (young + s) + active * s / (c["half_vacuole"] + s))

    # Volumes and weights, per hour.
    evaporated = volume * c["evaporation"] * (np.exp(2.5 * (kelvin - 273.0) / 100.0) - 1.0)
    out = u["discharge"] / (density / 1000.0)
    thinning = u["sugar"] + u["base"] + u["acid"] + u["water"] + u["phenylacetate"] - evaporated
    sugar_density = u["sugar_strength"] / 1000.0 * c["sugar_density"] + (1.0 - u["sugar_strength"] / 1000.0) * c["water_density"]
    thinner = thinning / volume

    d = np.empty_like(y)
    d[4] = thinning - out
    d[5] = u["sugar"] * sugar_density / 1000.0 + c["oil_density"] / 1000.0 * u["oil"] + u["base"] + u["acid"] + u["water"]
    d[5] = d[5] - u["discharge"] - evaporated + u["phenylacetate"]
    d_growing, d_producing = branched - aged - a0 * thinner, extended - branched + aged - degenerate - a1 * thinner
    d_degenerated, d_lysed = degenerate - lysing - a3 * thinner, lysing - a4 * thinner
    d_p = made - decayed - p * thinner
    d_biomass = d_growing + d_producing + d_degenerated + d_lysed
    eaten = c["substrate_of_biomass"] * (extended + branched)
    product_eaten = c["substrate_of_product"] * made
    brought, oil = u["sugar"] * u["sugar_strength"], u["oil"] * u["oil_strength"]
    d_s = (brought + oil) / volume - eaten - upkeep - product_eaten - s * thinner
    heat_of_life = (d_biomass * c["oxygen_of_biomass"] + d_p * c["oxygen_of_product"]) * c["heat_of_oxygen"] * volume / 1000.0
    heat_of_life = np.maximum(heat_of_life, 0.0)

    # Gas: stirred and aerated power, transfer, what leaves.
    turns, across = u["agitation"] / 60.0, 2.0 * c["impeller_radius"]
    still_power = c["impellers"] * c["power_number"] * density * turns**3 * across**5
    power = 0.706 * (still_power**2 * turns * across**3 / air**0.56) ** 0.45 / 1000.0
    gas_speed = air / (math.pi * radius**2)
    gas_power = gas_speed * gas * cubic_m / (22.4 * height) * np.log(1.0 + density * 9.81 * height / (top * 1e5))
    power = power + gas_power
    transfer = u["transfer"] * gas_speed ** c["transfer_gas"] * (power / cubic_m) ** c["transfer_power"] * (thick / 100.0) ** c["transfer_viscosity"]
    transfer = transfer * (1.0 - (u["oil"] / volume) ** c["transfer_oil"])
    taken_up = transfer * (saturated - oxygen)
    d[1] = taken_up - d_biomass * c["oxygen_of_biomass"] - c["upkeep_oxygen"] * biomass - d_p * c["oxygen_of_product"] - oxygen * thinner
    held_gas = c["gas_hold_up"] * cubic_m * 1293.3035714285716
    leaving = air * c["nitrogen_in"] / (1.0 - gas_oxygen - gas_co2 / 100.0) * 85714.28571428572
    d[2] = (85714.28571428572 * air * u["oxygen_in"] - leaving * gas_oxygen - 0.06 * taken_up * cubic_m) / held_gas
    d[27] = (117857.14285714287 * air * (c["co2_in"] - gas_co2) + (a0 + a1) * c["co2_of_biomass"] * volume) / held_gas
    henry_co2 = np.exp(11.25 - 395.9 / (kelvin - 175.9)) / 4400.0
    d[28] = transfer * c["transfer_co2"] * (pressure * gas_co2 / henry_co2 - co2) - co2 * thinner

    # Protons: acid and base are mixed into water that ionises; above pH 7 hydroxide is what is counted.
    acidic = -np.log10(protons) < 7.0
    ions = np.where(acidic, protons, 1e-14 / protons - protons)
    sign = np.where(acidic, 1.0, -1.0)
    dose = u["acid_strength"] * u["dose_h"] * sign
    mixed = (ions * volume + dose * (u["acid"] - u["base"])) / (volume + (u["acid"] + u["base"]) * u["dose_h"])
    given = c["protons_of_growth"] * (branched + extended + lysing + aged + c["protons_of_upkeep"] * biomass + made - decayed)
    given = given + c["protons_of_flow"] * (u["sugar"] + u["oil"] + u["base"] + u["acid"] - u["discharge"] + u["water"])
    d[6] = sign * given + (mixed + sign * np.sqrt(mixed * mixed + 4e-14)) / 2.0 - ions

    # Heat, kJ/h.
    warmth = u["sugar"] * sugar_density * c["heat_of_sugar"] * (c["feed_temperature"] - kelvin) / 1000.0
    warmth = warmth + u["water"] * c["water_density"] * c["heat_of_water"] * (c["water_temperature"] - kelvin) / 1000.0
    warmth = warmth - evaporated * density * c["heat_of_water"] / 1000.0 - c["heat_of_evaporation"] * evaporated * c["water_density"] / 1000.0
    warmth = warmth + heat_of_life + power - c["jacket"] * c["jacket_area"] * (kelvin - c["air_temperature"])
    for flow, inlet in ((u["coolant"], u["coolant_inlet"]), (u["heating"], c["heating_inlet"])):
        film = flow / 1000.0 + c["coolant_transfer"] * (flow / 1000.0) ** c["coolant_power"] / 2.0 * density * c["heat_of_sugar"]
        warmth = warmth - c["coolant_transfer"] / 1000.0 * flow ** (c["coolant_power"] + 1.0) * (kelvin - inlet) / film
    d[7] = warmth / (cubic_m * c["heat_of_water"] * density)
    d[8] = warmth

    early = 1.0 / (1.0 + np.exp(-c["thickening_early"] * (age_h - c["thickening_early_at"])))
    late = 1.0 / (1.0 + np.exp(-c["thickening_late"] * (age_h - c["thickening_late_at"])))
    d[9] = c["thickening"] * np.cbrt(np.maximum(a0, 0.0)) * early * late - c["thinning"] * u["water"]
    d[10] = biomass

    # Vacuoles by radius: they are born small, grow, disperse.
    born = c["vacuole_birth"] * empty / (c["half_vacuole"] + s)
    d[_V0] = born * 6.0 / math.pi * (first + c["vacuole_smallest"]) ** -3.0 - growth * vacuoles[0]
    inner = slice(_V0 + 1, _V0 + 10)
    d[inner] = (
        -growth * (vacuoles[2:] - vacuoles[:9]) / (2.0 * step)
        + c["vacuole_dispersion"] * (vacuoles[2:] - 2.0 * vacuoles[1:10] + vacuoles[:9]) / step**2
    )
    d[_V0 + 10] = growth * d[_V0 + 9] / (largest - last) - c["vacuole_death"] * vacuoles[10]
    d[26] = born - growth * vacuoles[0] * math.pi * (first + c["vacuole_smallest"]) ** 3 / 6.0

    d_paa = u["phenylacetate"] * u["phenylacetate_stock"] / volume - c["phenylacetate_of_product"] * d_p - c["phenylacetate_of_biomass"] * d_biomass
    d_paa = d_paa - c["upkeep_phenylacetate"] * p - paa * thinner
    d_n = (u["nitrogen_stock"] * u["phenylacetate"] + c["oil_nitrogen"] * u["oil"]) / volume - c["nitrogen_of_product"] * d_p
    d_n = d_n - c["nitrogen_of_biomass"] * (branched + extended + aged + lysing) - c["upkeep_nitrogen"] * biomass - nitrogen * thinner
    per_litre = ((0, d_s, s), (3, d_p, p), (11, d_growing, a0), (12, d_producing, a1), (13, d_degenerated, a3), (14, d_lysed, a4))
    for row, change, here in (*per_litre, (29, d_paa, paa), (30, d_n, nitrogen)):
        d[row] = volume * change + here * d[4]
    d[31] = extension_max
    flows = (brought, oil, eaten * volume, upkeep * volume, product_eaten * volume, s * out, extended * volume, biomass * out)
    more = (made * volume, decayed * volume, p * out, thinning + evaporated, evaporated, out)
    for at, flow in enumerate((*flows, *more)):
        d[32 + at] = flow
    exchange = np.empty((3, y.shape[1]))
    exchange[0], exchange[1], exchange[2] = leaving / held_gas, 117857.14285714287 * air / held_gas, transfer * c["transfer_co2"]
    return d, exchange


_EXCHANGED = [2, 27, 28]


def advance(age_h: float, y: Floats, u: Numbers, c: Numbers, *, hours: Floats) -> tuple[Floats, Floats]:
    """The vessel `hours` later, under valves that stand still, and how rough that step was.

    Rough is what the second order changes in sugar (in hundredths of g/L) and in oxygen (in parts of itself and 1 mg/L).
    """
    sugar_more, oxygen_more = y.copy(), y.copy()
    nudge = _NUDGE * y[4]
    sugar_more[0] += nudge
    oxygen_more[1] += _NUDGE_OXYGEN
    slope, exchange = rates(age_h, y, u, c)
    of_sugar = (rates(age_h, sugar_more, u, c)[0] - slope) / nudge  # d/dt of everything, for a gram of sugar more
    of_oxygen = (rates(age_h, oxygen_more, u, c)[0] - slope) / _NUDGE_OXYGEN
    g = _GAMMA * hours
    s_s, s_o, o_s, o_o = 1.0 - g * of_sugar[0], -g * of_oxygen[0], -g * of_sugar[1], 1.0 - g * of_oxygen[1]
    whole = s_s * o_o - s_o * o_s
    fit = (whole > 0.1) & (s_s + o_o > 0.0)  # elsewhere the two run away, for a while: the step is explicit there
    of_sugar, of_oxygen = np.where(fit, of_sugar, 0.0), np.where(fit, of_oxygen, 0.0)
    s_s, s_o, o_s, o_o, whole = (np.where(fit, each, other) for each, other in ((s_s, 1.0), (s_o, 0.0), (o_s, 0.0), (o_o, 1.0), (whole, 1.0)))
    breathes = 1.0 / (1.0 + g * exchange)

    def solved(f: Floats) -> Floats:
        sugar, oxygen = (o_o * f[0] - s_o * f[1]) / whole, (s_s * f[1] - o_s * f[0]) / whole
        out: Floats = f + g * (of_sugar * sugar + of_oxygen * oxygen)
        out[0], out[1] = sugar, oxygen
        out[_EXCHANGED] *= breathes
        return out

    one = solved(slope)
    two = solved(rates(age_h + hours, y + hours * one, u, c)[0] - 2.0 * one)
    changed = np.abs(0.5 * hours * (one[:2] + two[:2]))
    rough: Floats = np.maximum(changed[0] / y[4] / _SUGAR, changed[1] / (1.0 + np.abs(y[1])))
    return y + 1.5 * hours * one + 0.5 * hours * two, rough
