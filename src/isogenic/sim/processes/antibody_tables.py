"""What the antibody process knows, as tables: constants, settings, variables, qualities and faults, each with unit,
range, and where its number is from.

Leaves to others: the equations (`cho`), the run (`antibody`).
"""

from __future__ import annotations

from dataclasses import fields

from isogenic.sim.processes import cho, feeding
from isogenic.sim.processes.antibody_quality import NOMINAL_LEVELS
from isogenic.sim.processes.cho import NOMINAL
from isogenic.sim.processes.process import Constant, Mark, Mechanism, Setting, Spread, Variable

__all__ = ["CONSTANTS", "FAULTS", "QUALITIES", "SETTINGS", "VARIABLES"]

XING = "Xing et al. 2010, Biotechnol Prog 26:208, as listed by Kornecki & Strube 2018, Bioengineering 5:25"
FITTED = "fitted to the targets in cho_fit"
P, C, A = Mark.PUBLISHED, Mark.COMPUTED, Mark.ILLUSTRATIVE

# unit, mark, source, and how it differs between sites, lots and batches
_THETA: dict[str, tuple[str, Mark, str, Spread]] = {
    "growth": ("1/h", C, FITTED, Spread(site=0.01, lot=0.01, batch=0.03)),
    "death": ("1/h", C, FITTED, Spread(batch=0.15)),
    "death_braked": ("1/h", C, FITTED, Spread()),
    "death_starved": ("1/h", C, FITTED, Spread()),
    "brake": ("1e9 cell h/L", C, FITTED, Spread(batch=0.05)),
    "brake_power": ("1", C, FITTED, Spread()),
    "half_glucose": ("mM", A, "", Spread()),
    "half_glutamine": ("mM", P, XING + " (0.047)", Spread()),
    "half_amino_acids": ("mM", A, "", Spread()),
    "half_amino_acids_product": ("mM", C, FITTED, Spread()),
    "inhibit_lactate": ("mM", A, "", Spread()),
    "inhibit_ammonium": ("mM", A, "", Spread()),
    "kill_lactate": ("mM", A, "", Spread()),
    "kill_ammonium": ("mM", P, XING, Spread()),
    "cells_of_glucose": ("1e9 cell/mmol", C, FITTED, Spread()),
    "cells_of_glutamine": ("1e9 cell/mmol", A, "", Spread()),
    "upkeep": ("mmol/h", C, FITTED, Spread(lot=0.02)),
    "lactate_of_glucose": ("mol/mol", C, FITTED, Spread(batch=0.05)),
    "lactate_uptake": ("mmol/h", C, FITTED, Spread(batch=0.08)),
    "half_lactate": ("mM", A, "", Spread()),
    "ammonium_of_glutamine": ("mol/mol", P, XING, Spread()),
    "ammonium_uptake": ("mmol/h", A, "", Spread()),
    "glutamine_upkeep": ("mmol/h", A, "", Spread()),
    "half_glutamine_upkeep": ("mM", A, "", Spread()),
    "glutamine_decay": ("1/h", A, "", Spread()),
    "amino_acids_of_cells": ("mmol for 1e9 cell", A, "", Spread()),
    "amino_acids_of_product": ("mmol/g", C, "a residue of a protein weighs 110 g/mol", Spread()),
    "amino_acids_upkeep": ("mmol/h", C, FITTED, Spread()),
    "product": ("g/h", C, FITTED, Spread(site=0.015, batch=0.04)),
    "product_growing": ("1", C, FITTED, Spread()),
    "lysis": ("1/h", A, "", Spread()),
    "transfer": ("1/h", A, "", Spread(site=0.03, batch=0.03)),
    "oxygen_saturation": ("mM", A, "", Spread()),
    "oxygen_uptake": ("mmol/h", A, "", Spread(batch=0.02)),
    "half_oxygen": ("mM", A, "", Spread()),
    "stripping": ("1/h", A, "", Spread()),
}
_OTHERS = (
    Constant("seed_density", 1.0, "1", A, "of the nominal 0.5e6 cells/mL", Spread(batch=0.05)),
    Constant("galactosylation_level", NOMINAL_LEVELS.galactosylation, "%", A, "", Spread(site=0.04, batch=0.03)),
    Constant("hmw_level", NOMINAL_LEVELS.hmw, "%", A, "", Spread(site=0.03, batch=0.03)),
    Constant("acidic_level", NOMINAL_LEVELS.acidic, "%", A, "", Spread(site=0.03, batch=0.03)),
    Constant("afucose_level", NOMINAL_LEVELS.afucose, "%", A, "", Spread(site=0.05, batch=0.1)),
    Constant("hcp_level", NOMINAL_LEVELS.hcp, "ng/mg", A, "", Spread(site=0.1, batch=0.2)),
    Constant("manganese", NOMINAL_LEVELS.manganese, "1", A, "of what the medium should have", Spread(lot=0.05)),
)
CONSTANTS: dict[str, Constant] = {
    each.name: Constant(each.name, getattr(NOMINAL, each.name), *_THETA[each.name][:3], spread=_THETA[each.name][3]) for each in fields(NOMINAL)
} | {each.name: each for each in _OTHERS}

_SETTINGS = (
    Setting("working_volume", 2000.0, "L", 0.1, 25_000.0, "working volume of the vessel"),
    Setting("start_volume", 1600.0, "L", 0.05, 25_000.0, "volume when inoculated"),
    Setting("feed_start", feeding.FEED_START_H, "h", 0.0, 1000.0, "age at which the feed begins"),
    Setting("feed_share", feeding.FEED_SHARE_PER_DAY, "1/d", 0.0, 0.2, "feed a day, as a share of the volume at the start"),
    Setting("feed_glucose", cho.FEED.glucose, "mM", 0.0, 2000.0, "glucose in the feed"),
    Setting("feed_glutamine", cho.FEED.glutamine, "mM", 0.0, 200.0, "glutamine in the feed"),
    Setting("feed_amino_acids", cho.FEED.amino_acids, "mM", 0.0, 800.0, "other amino acids in the feed, together"),
    Setting("bolus_below", feeding.BOLUS_BELOW_MM, "mM", 0.0, 100.0, "glucose at a day's end that asks for a bolus; 0: none"),
    Setting("bolus_to", feeding.BOLUS_TO_MM, "mM", 0.1, 200.0, "glucose after a bolus"),
    Setting("temperature", 37.0, "degC", 30.0, 40.0, "set-point"),
    Setting("temperature_shift", 37.0, "degC", 30.0, 40.0, "set-point after the shift"),
    Setting("shift_at", 336.0, "h", 0.0, 1000.0, "age at which the temperature is shifted"),
    Setting("ph", 7.0, "pH", 6.5, 7.5, "set-point"),
    Setting("dissolved_oxygen", 40.0, "%", 1.0, 100.0, "set-point, of air saturation"),
    Setting("duration", 336.0, "h", 24.0, 1000.0, "age at harvest"),
)
SETTINGS: dict[str, Setting] = {each.name: each for each in _SETTINGS}

_VARIABLES = (
    Variable("temperature", "degC", 0.0, 60.0, "temperature of the culture"),
    Variable("ph", "pH", 0.0, 14.0, "pH of the culture"),
    Variable("dissolved_oxygen", "%", 0.0, 200.0, "dissolved oxygen, of air saturation"),
    Variable("agitation", "rpm", 0.0, 1000.0, "stirrer speed"),
    Variable("oxygen_flow", "L/min", 0.0, 1e4, "oxygen through the sparger"),
    Variable("vessel_weight", "kg", 0.0, 1e5, "weight of the culture"),
    Variable("viable_cells", "1e6 cell/mL", 0.0, 200.0, "viable cells"),
    Variable("viability", "%", 0.0, 100.0, "viable of all whole cells"),
    Variable("glucose", "mM", 0.0, 2600.0, "glucose"),
    Variable("lactate", "mM", 0.0, 500.0, "lactate and other acid"),
    Variable("offgas_co2", "%", 0.0, 100.0, "carbon dioxide in the off-gas"),
    Variable("feed_flow", "mL/h", 0.0, 1e7, "feed as it flows"),
    Variable("feed_pressure", "bar", 0.0, 1e6, "pressure of the feed pump"),
    Variable("feed_bottle_weight", "kg", 0.0, 1e5, "feed left"),
    Variable("glutamine", "mM", 0.0, 300.0, "glutamine"),
    Variable("ammonium", "mM", 0.0, 300.0, "ammonium"),
    Variable("amino_acids", "mM", 0.0, 1000.0, "other amino acids, together"),
    Variable("titre", "g/L", 0.0, 50.0, "antibody"),
    Variable("dead_cells", "1e6 cell/mL", 0.0, 200.0, "dead cells that are whole"),
    Variable("lysed_cells", "1e6 cell/mL", 0.0, 500.0, "cells that broke up"),
    Variable("carbon_dioxide", "mmHg", 0.0, 2000.0, "partial pressure of dissolved carbon dioxide"),
    Variable("osmolality", "mOsm/kg", 0.0, 6000.0, "osmolality"),
    Variable("volume", "L", 0.0, 1e6, "volume of the culture"),
    Variable("bacteria", "g/L", 0.0, 200.0, "bacteria; none in a sound culture"),
)
VARIABLES: dict[str, Variable] = {each.name: each for each in _VARIABLES}

_QUALITIES = (
    Variable("titre", "g/L", 0.0, 50.0, "antibody at harvest"),
    Variable("harvest_viability", "%", 0.0, 100.0, "viability at harvest"),
    Variable("galactosylation", "%", 0.0, 100.0, "galactose on the glycans, (G1F + 2 G2F)/2"),
    Variable("hmw", "%", 0.0, 100.0, "aggregates in the harvest"),
    Variable("acidic", "%", 0.0, 100.0, "acidic variants"),
    Variable("afucose", "%", 0.0, 100.0, "glycans without fucose"),
    Variable("hcp", "ng/mg", 0.0, 1e9, "host-cell protein in the harvest"),
    Variable("harvest_volume", "L", 0.0, 1e6, "volume at harvest"),
    Variable("harvest_mass", "kg", 0.0, 1e5, "antibody harvested"),
)
QUALITIES: dict[str, Variable] = {each.name: each for each in _QUALITIES}

_FAULTS = (
    Mechanism(
        "sparger_fouls",
        "the sparger clogs: oxygen transfer (kLa) x (1 - size)",
        "1",
        0.0,
        1.0,
        "the oxygen flow rises days before dissolved oxygen falls",
        "none until a third is lost; at half, titre -9 %",
        gradual=True,
        mark=C,
    ),
    Mechanism(
        "feed_pump_fouls",
        "the feed line clogs: flow x (1 - size)",
        "1",
        0.0,
        1.0,
        "feed flow falls, the pump's pressure rises, the bottle stays heavy, glucose falls",
        "titre",
        gradual=True,
    ),
    Mechanism(
        "feed_pump_stops",
        "the feed skid stands still: this share of the feed and of the glucose boluses is lost",
        "1",
        0.0,
        1.0,
        "weights stand still, glucose falls",
        "titre; three days without, day 6 to 9: -20 %",
        mark=C,
    ),
    Mechanism(
        "feed_pump_runs_high", "the feed pump gives (1 + size) of what it should", "1", 0.0, 3.0, "weights and glucose rise", "titre, acidic variants"
    ),
    Mechanism(
        "culture_is_contaminated",
        "so many bacteria come in at its start and double every 83 minutes",
        "g/L",
        1e-9,
        1.0,
        "dissolved oxygen collapses within 12 to 24 h, pH falls, lactate rises",
        "the batch is lost",
    ),
    Mechanism(
        "medium_is_weak",
        "a wrong or aged lot of medium: growth x (1 - size), its glutamine x (1 - 3 size), other amino acids x (1 - 2 size)",
        "1",
        0.0,
        0.33,
        "growth falls at every site that uses the lot; at 0.1 peak cells -9 %",
        "titre -13 % at 0.1",
        windowed=False,
        mark=C,
    ),
    Mechanism(
        "temperature_excursion",
        "the culture is so much warmer",
        "K",
        -10.0,
        5.0,
        "temperature; viability falls above 37 degC: the death rate is four times as high at 39 degC",
        "aggregates +0.3 % for 2 K and 6 h",
    ),
    Mechanism(
        "ph_sensor_drifts",
        "the pH probe comes to read so much too high, and the controller follows: the true pH is lower by it",
        "pH",
        -1.0,
        1.0,
        "the off-line sample is lower than the probe; more carbon dioxide, less base",
        "galactosylation +1 % for 0.1",
        gradual=True,
    ),
    Mechanism(
        "valve_sticks",
        "the valve of the jacket sticks: it moves by no less than this share of its travel, or not at all (in a study, an hour's mean)",
        "1",
        0.0,
        0.2,
        "the temperature swings about its set-point with a period of hours, by 1.4 K to either side at 0.1",
        "as of the temperature",
    ),
    Mechanism(
        "drive_is_weak",
        "the stirrer gives no more than (1 - size) of its greatest speed (in a study at once: its loop settles within minutes)",
        "1",
        0.0,
        1.0,
        "nothing while it still reaches its set-point (a third is to spare at 100 of 150 rpm); beyond, the stirrer stays below it; "
        "under 40 rpm more oxygen is asked for, and then dissolved oxygen falls",
        "as of a fouled sparger",
    ),
    Mechanism("lactate_is_high", "lactate made of glucose x (1 + size)", "1", -0.9, 3.0, "lactate and base use rise", "titre -2.6 % at 0.2", mark=C),
    Mechanism("product_rate_is_low", "specific productivity x (1 - size)", "1", 0.0, 1.0, "titre alone falls", "titre in proportion", mark=C),
)
FAULTS: dict[str, Mechanism] = {each.name: each for each in _FAULTS}
