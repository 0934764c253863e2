"""What IndPenSim knows: constants, settings, variables, faults, its recipe and its built-in faults with their windows.

Guarantees: every number has a unit and says where it is from.
Leaves to others: the equations (`equations`), the controllers (`control`), the scatter of batches (`disturbances`).

Goldrick, Stefan, Lovett, Montague & Lennox 2015 (J Biotechnol 193:70); the figures as in the published simulator, V2.01.
"""

from __future__ import annotations

import math

from isogenic.sim.processes.process import Constant, Fault, Mark, Mechanism, Setting, Spread, Variable

__all__ = ["BUILT_IN", "CONSTANTS", "DURATION_H", "FAULTS", "QUALITIES", "RECIPE", "SAMPLE_H", "SETTINGS", "VARIABLES"]

SAMPLE_H = 0.2  # controllers, recipe and disturbances move once in a sample
DURATION_H = 230.0
SOURCE = "Goldrick et al. 2015, J Biotechnol 193:70"
# Of the batch, as published: standard deviations over the mean.
_SPREADS = {
    "max_growth": Spread(batch=0.061),
    "max_product": Spread(batch=0.061),
    "transfer": Spread(batch=0.118),
    "phenylacetate_stock": Spread(batch=0.038),
    "nitrogen_stock": Spread(batch=0.013),
}
_PUBLISHED = (
    ("max_growth", 0.41, "1/h"),
    ("max_product", 0.041, "1/h"),
    ("transfer", 85.0, "1"),
    ("phenylacetate_stock", 530000.0, "mg/L"),
    ("nitrogen_stock", 150000.0, "mg/L"),
    ("branching", 0.4, "1"),
    ("product_sd", 0.0015, "g/L"),
    ("product_at", 0.002, "g/L"),
    ("vacuole_birth", 1.71e-4, "1/h"),
    ("vacuole_death", 3.5e-3, "1/h"),
    ("ageing", 5.36e-3, "1/h"),
    ("ageing_slope", 0.006, "1/h"),
    ("half_branching", 0.05, "g/L"),
    ("half_ageing", 0.75, "g/L"),
    ("half_ageing_low", 0.09, "g/L"),
    ("half_extension", 0.009, "g/L"),
    ("half_vacuole", 0.05, "g/L"),
    ("vacuole_step", 0.75e-4, "cm"),
    ("vacuole_growth", 3.22e-5, "cm/h"),
    ("vacuole_dispersion", 2.66e-11, "cm^2/h"),
    ("density_young", 0.35, "g/mL"),
    ("density_dry", 0.18, "g/mL"),
    ("vacuole_radius", 1.5e-4, "cm"),
    ("vacuole_smallest", 1e-4, "cm"),
    ("substrate_of_biomass", 1.85, "g/g"),
    ("substrate_of_product", 0.9, "g/g"),
    ("upkeep_substrate", 0.029, "1/h"),
    ("oil_strength", 1000.0, "g/L"),
    ("sugar_strength", 600.0, "g/L"),
    ("oxygen_of_biomass", 650.0, "mg/g"),
    ("oxygen_of_product", 160.0, "mg/g"),
    ("upkeep_oxygen", 17.5, "mg/g/h"),
    ("transfer_gas", 0.38, "1"),
    ("transfer_power", 0.34, "1"),
    ("transfer_viscosity", -0.38, "1"),
    ("transfer_oil", 0.25, "1"),
    ("henry_oxygen", 0.0251, "bar L/mg"),
    ("impellers", 3.0, "1"),
    ("vessel_radius", 2.1, "m"),
    ("impeller_radius", 0.85, "m"),
    ("power_number", 5.0, "1"),
    ("gas_hold_up", 0.1, "1"),
    ("critical_oxygen_growth", 0.1, "1"),
    ("critical_oxygen_product", 0.3, "1"),
    ("feed_temperature", 288.0, "K"),
    ("water_temperature", 288.0, "K"),
    ("coolant_inlet", 285.0, "K"),
    ("heating_inlet", 333.0, "K"),
    ("air_temperature", 290.0, "K"),
    ("heat_of_sugar", 5.9, "kJ/kg/K"),
    ("heat_of_water", 4.18, "kJ/kg/K"),
    ("heat_of_evaporation", 2430.7, "kJ/kg"),
    ("jacket", 36.0, "kJ/h/m^2/K"),
    ("jacket_area", 105.0, "m^2"),
    ("growth_energy", 14880.0, "J/mol"),
    ("death_energy", 173250.0, "J/mol"),
    ("growth_heat", 450.0, "1"),
    ("death_heat", 2.5e29, "1"),
    ("heat_of_oxygen", 25.0, "kJ/g"),
    ("acid_strength", 0.033, "mol/L"),
    ("protons_of_growth", 3.25e-7, "mol/g"),
    ("protons_of_flow", 2.5e-11, "mol/L^2"),
    ("protons_of_upkeep", 0.0025, "1/h"),
    ("ph_low", 1e-5, "mol/L"),
    ("ph_high", 2.5e-8, "mol/L"),
    ("oil_nitrogen", 20000.0, "mg/L"),
    ("nitrogen_of_biomass", 10.0, "mg/g"),
    ("nitrogen_of_product", 80.0, "mg/g"),
    ("upkeep_nitrogen", 0.03, "mg/g/h"),
    ("critical_nitrogen", 150.0, "mg/L"),
    ("phenylacetate_of_product", 187.5, "mg/g"),
    ("phenylacetate_of_biomass", 45.0, "mg/g"),
    ("upkeep_phenylacetate", 1.05, "mg/g/h"),
    ("phenylacetate_poison", 2400.0, "mg/L"),
    ("phenylacetate_needed", 200.0, "mg/L"),
    ("decay_1", -64.29, "1"),
    ("decay_2", -1.825, "1"),
    ("decay_3", 0.3649, "1/K"),
    ("decay_4", 0.1280, "1"),
    ("decay_5", -4.9496e-4, "1/K^2"),
    ("transfer_co2", 0.89, "1"),
    ("thickening", 3.0, "cP/h"),
    ("thickening_early", 0.001, "1/h"),
    ("thickening_late", 0.0001, "1/h"),
    ("thickening_early_at", 1.0, "h"),
    ("thickening_late_at", 250.0, "h"),
    ("thinning", 0.005, "cP/L"),
    ("co2_of_biomass", 0.1353, "1/h"),
    ("critical_co2", 7570.0, "mg/L"),
    ("evaporation", 5.24e-4, "1/h"),
    ("coolant_power", 2.88, "1"),
    ("coolant_transfer", 2451.8, "1"),
    ("sugar_density", 1540.0, "g/L"),
    ("oil_density", 900.0, "g/L"),
    ("water_density", 1000.0, "g/L"),
    ("broth_density", 1100.0, "g/L"),
    ("oxygen_in", 0.21, "1"),
    ("nitrogen_in", 0.79, "1"),
    ("co2_in", 0.033, "%"),
)
CONSTANTS = {name: Constant(name, value, unit, Mark.PUBLISHED, SOURCE, _SPREADS.get(name, Spread())) for name, value, unit in _PUBLISHED}

SETTINGS = {
    each.name: each
    for each in (
        Setting("ph", 6.5, "pH", 4.0, 8.5, "set-point of the pH"),
        Setting("temperature", 24.85, "degC", 15.0, 40.0, "set-point of the temperature"),
        Setting("agitation", 100.0, "rpm", 10.0, 200.0, "speed of the stirrer"),
        Setting("biomass_start", 0.5, "g/L", 0.01, 5.0, "biomass at inoculation"),
        Setting("substrate_start", 1.0, "g/L", 0.0, 50.0, "sugar at inoculation"),
        Setting("volume_start", 58000.0, "L", 10000.0, 90000.0, "volume at inoculation"),
        Setting("weight_start", 62000.0, "kg", 10000.0, 120000.0, "weight at inoculation"),
        Setting("oxygen_start", 15.0, "mg/L", 2.0, 40.0, "dissolved oxygen at inoculation"),
        Setting("off_gas_oxygen_start", 0.2, "1", 0.01, 0.5, "share of oxygen in the off-gas at inoculation"),
        Setting("off_gas_co2_start", 0.038, "%", 0.0, 5.0, "carbon dioxide in the off-gas at inoculation"),
        Setting("ph_start", 6.5, "pH", 4.0, 8.5, "pH at inoculation"),
        Setting("temperature_start", 23.85, "degC", 10.0, 40.0, "temperature at inoculation"),
        Setting("phenylacetate_start", 1400.0, "mg/L", 0.0, 3000.0, "phenylacetate at inoculation"),
        Setting("nitrogen_start", 1700.0, "mg/L", 0.0, 5000.0, "nitrogen at inoculation"),
        Setting("sugar_scale", 1.0, "1", 0.0, 3.0, "sugar feed, times the recipe's"),
        Setting("aeration_scale", 1.0, "1", 0.1, 3.0, "air, times the recipe's"),
        Setting("phenylacetate_scale", 1.0, "1", 0.0, 5.0, "phenylacetate feed, times the recipe's"),
        Setting("water_scale", 1.0, "1", 0.0, 3.0, "water, times the recipe's"),
        Setting("seed", 0.0, "1", 0.0, 2.0**31, "of the disturbances; 0: none"),
        Setting("batch", -1.0, "1", -1.0, 2.0**31, "which batch of this seed; -1: known by its own constants and start"),
        Setting("published_streams", 0.0, "1", 0.0, 1.0, "1: scatter and disturbances drawn as the published simulator does, of this seed"),
    )
}


def _variable(name: str, unit: str, high: float, what: str, low: float = 0.0) -> Variable:
    return Variable(name, unit, low, high, what, Mark.PUBLISHED)


VARIABLES = {
    each.name: each
    for each in (
        _variable("biomass", "g/L", 200.0, "dry biomass, all regions"),
        _variable("biomass_growing", "g/L", 200.0, "growing tips"),
        _variable("biomass_producing", "g/L", 200.0, "extended regions, which make penicillin"),
        _variable("biomass_degenerated", "g/L", 200.0, "degenerated regions"),
        _variable("biomass_lysed", "g/L", 200.0, "lysed regions"),
        _variable("substrate", "g/L", 600.0, "sugar"),
        _variable("penicillin", "g/L", 100.0, "penicillin"),
        _variable("oxygen", "mg/L", 200.0, "dissolved oxygen"),
        _variable("volume", "L", 200000.0, "volume of the broth", 1000.0),
        _variable("weight", "kg", 300000.0, "weight of the broth"),
        _variable("ph", "pH", 14.0, "pH of the broth"),
        _variable("temperature", "degC", 100.0, "temperature, true", -5.0),
        _variable("viscosity", "cP", 1000.0, "viscosity"),
        _variable("off_gas_oxygen", "%", 100.0, "oxygen in the off-gas"),
        _variable("off_gas_carbon_dioxide", "%", 100.0, "carbon dioxide in the off-gas"),
        _variable("carbon_dioxide", "mg/L", 1e6, "dissolved carbon dioxide"),
        _variable("phenylacetate", "mg/L", 20000.0, "phenylacetate, the precursor"),
        _variable("ammonia", "mg/L", 20000.0, "nitrogen"),
        _variable("oxygen_uptake", "g/min", 1e6, "oxygen uptake, seen in the off-gas", -1e6),
        _variable("carbon_evolution", "g/h", 1e6, "carbon dioxide evolved, seen in the off-gas", -1e6),
        _variable("aeration", "m^3/min", 500.0, "air"),
        _variable("back_pressure", "bar", 10.0, "pressure above the broth"),
        _variable("sugar_feed", "L/h", 1000.0, "sugar fed"),
        _variable("oil_feed", "L/h", 1000.0, "soybean oil fed"),
        _variable("phenylacetate_feed", "L/h", 1000.0, "phenylacetate fed"),
        _variable("water", "L/h", 5000.0, "water added"),
        _variable("discharge", "L/h", 10000.0, "broth taken"),
        _variable("acid", "L/h", 225.0, "acid added"),
        _variable("base", "L/h", 225.0, "base added"),
        _variable("coolant", "L/h", 1500.0, "cooling water"),
        _variable("heating", "L/h", 1500.0, "heating water"),
    )
}
QUALITIES = {
    each.name: each
    for each in (
        Variable("titre", "g/L", 0.0, 100.0, "penicillin at the end", Mark.PUBLISHED),
        Variable("yield", "kg", 0.0, 1e5, "penicillin at the end and in what was taken before", Mark.PUBLISHED),
    )
}


def _mechanism(name: str, what: str, unit: str, low: float, high: float, signature: str, effect: str) -> Mechanism:
    return Mechanism(name, what, unit, low, high, signature, effect, mark=Mark.PUBLISHED)


FAULTS = {
    each.name: each
    for each in (
        _mechanism("air_is_stuck", "the air flow stays at this", "m^3/min", 1.0, 200.0, "air and dissolved oxygen fall at once", "titre"),
        _mechanism(
            "back_pressure_is_stuck",
            "the pressure above the broth stays at this",
            "bar",
            0.05,
            5.0,
            "pressure and dissolved oxygen rise at once",
            "titre",
        ),
        _mechanism("sugar_is_stuck", "the sugar feed stays at this", "L/h", 0.1, 500.0, "oxygen uptake falls, dissolved oxygen rises", "titre"),
        _mechanism("base_is_stuck", "the base flow stays at this", "L/h", 0.1, 225.0, "pH leaves its set-point", "growth for the rest of the batch"),
        _mechanism("coolant_is_stuck", "the cooling water stays at this", "L/h", 0.1, 1500.0, "temperature rises above its set-point", "titre"),
        _mechanism(
            "temperature_sensor_reads_low",
            "the controller sees less than there is",
            "K",
            -5.0,
            5.0,
            "the true temperature rises by the size",
            "growth",
        ),
        _mechanism(
            "ph_sensor_reads_low", "the controller sees less than there is", "pH", -1.0, 1.0, "more base, and the true pH rises by the size", "growth"
        ),
    )
}


def _window(name: str, size: float, first: int, last: int) -> Fault:
    """A published window, in samples from 1, both included."""
    return Fault(name, size=size, start_h=(first - 1) * SAMPLE_H, duration_h=(last - first + 1) * SAMPLE_H)


_FIVE = {
    1: (_window("air_is_stuck", 20.0, 100, 120), _window("air_is_stuck", 20.0, 500, 550)),
    2: (_window("back_pressure_is_stuck", 2.0, 500, 520), _window("back_pressure_is_stuck", 2.0, 1000, 1200)),
    3: (_window("sugar_is_stuck", 2.0, 100, 150), _window("sugar_is_stuck", 20.0, 380, 460), _window("sugar_is_stuck", 20.0, 1000, 1070)),
    4: (_window("base_is_stuck", 5.0, 400, 420), _window("base_is_stuck", 10.0, 700, 800)),
    # Its second window, samples 1200 to 1350 at 10 L/h, is for batches that last longer than the nominal 1150 samples.
    5: (_window("coolant_is_stuck", 2.0, 350, 450),),
}
# The eight that the simulator brings, by their published number. The drifts rise from sample 200 to 800 and stay: a quarter of 480 h.
BUILT_IN: dict[int, tuple[Fault, ...]] = _FIVE | {
    6: tuple(each for some in _FIVE.values() for each in some),
    7: (Fault("temperature_sensor_reads_low", size=0.4, start_h=40.0, duration_h=480.0, gradual=True),),
    8: (Fault("ph_sensor_reads_low", size=0.1, start_h=40.0, duration_h=480.0, gradual=True),),
}

# What holds until which hour.
RECIPE: dict[str, tuple[tuple[float, float], ...]] = {
    "sugar": tuple(
        zip(
            (3, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 68, 72, 76, 80, 160, math.inf),
            (8, 15, 30, 75, 150, 30, 37, 43, 47, 51, 57, 61, 65, 72, 76, 80, 84, 90, 116, 90, 80),
            strict=True,
        )
    ),
    "oil": tuple(zip((4, 16, 56, 60, 64, 68, 72, 76, 80, math.inf), (22, 30, 35, 34, 33, 32, 31, 30, 29, 23), strict=True)),
    "air": ((8, 30), (20, 42), (40, 55), (90, 60), (200, 75), (math.inf, 65)),
    "pressure": ((12.4, 0.6), (25, 0.7), (30, 0.8), (40, 0.9), (100, 1.1), (150, 1.0), (math.inf, 0.9)),
    "discharge": tuple(
        zip(
            (100, 102, 130, 132, 150, 152, 170, 172, 190, 192, 210, 212, math.inf),
            (0, 4000, 0, 4000, 0, 4000, 0, 4000, 0, 4000, 0, 4000, 0),
            strict=True,
        )
    ),
    "water": ((50, 0), (75, 500), (150, 100), (160, 0), (170, 400), (200, 150), (math.inf, 250)),
    "phenylacetate": ((5, 5), (40, 0), (200, 10), (math.inf, 4)),
}
