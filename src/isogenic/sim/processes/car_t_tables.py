"""What the CAR-T process knows: constants with their scatter between patients, settings, variables, qualities, faults.

Guarantees: every number has a unit, a range and a mark. Without arguments a batch is the median patient's.
Leaves to others: the equations (`t_cells`), the run (`car_t`), the populations (`donors`).
"""

from __future__ import annotations

import math

from isogenic.sim.processes.process import Constant, Mark, Mechanism, Setting, Spread, Variable
from isogenic.sim.processes.t_cells import Theta

__all__ = ["CONSTANTS", "FAULTS", "MOST", "MOST_PURE", "QUALITIES", "SETTINGS", "VARIABLES"]

UK = "UK tisagenlecleucel patients, n = 134: CD3+ collected, median 2.6e9, quartiles 1.2e9 and 4.1e9"
ARI = "ARI-0001 batches: CAR+ and copies of each; fitted"
COLLECTED_LOG_SD = math.log(4.1 / 1.2) / 1.34898  # of a log-normal with these quartiles
MOST, MOST_PURE = 0.995, 0.999  # shares of collected cells: a log-normal may pass 1, which no share does
UNITS = {
    "growth": "1/h",
    "awake_at": "h",
    "awake_over": "h",
    "stimulus": "h",
    "half_glucose": "mM",
    "half_lactate": "mM",
    "death_lactate": "mM",
    "half_uptake": "mM",
    "uptake_growth": "mmol/h",
    "uptake_upkeep": "mmol/h",
    "lactate_of_glucose": "1",
}


def _constants() -> dict[str, Constant]:
    spreads = {"growth": Spread(site=0.01, lot=0.01, batch=0.13), "stimulus": Spread(batch=0.30)}
    out = {
        name: Constant(name, value, UNITS.get(name, "1/h"), Mark.ILLUSTRATIVE, spread=spreads.get(name, Spread()))
        for name, value in Theta()._asdict().items()
    }
    donor = (
        Constant("collected", 2600.0, "1e6 cell", Mark.PUBLISHED, UK, Spread(batch=COLLECTED_LOG_SD)),
        Constant("viability", 0.92, "1", Mark.ILLUSTRATIVE, spread=Spread(batch=0.05 / 0.92), most=MOST),
        Constant("activation", 0.78, "1", Mark.ILLUSTRATIVE, spread=Spread(batch=0.10 / 0.78), most=MOST),
        Constant("efficiency", 0.142, "1", Mark.ILLUSTRATIVE, spread=Spread(batch=0.45)),
        Constant("dispersion", 0.5, "1", Mark.COMPUTED, ARI),
        Constant("purity", 0.93, "1", Mark.ILLUSTRATIVE, spread=Spread(batch=0.03), most=MOST_PURE),
    )
    return out | {each.name: each for each in donor}


CONSTANTS = _constants()
SETTINGS = {
    each.name: each
    for each in (
        Setting("seed", 100.0, "1e6 cell", 1.0, 2000.0, "CD3+ cells that are activated"),
        Setting("volume", 200.0, "mL", 20.0, 5000.0, "culture volume"),
        Setting("moi", 2.0, "1", 0.0, 50.0, "infectious particles for each cell, at 24 h"),
        Setting("vector", 1.0, "1", 0.0, 5.0, "strength of the vector lot, of the usual"),
        Setting("exchange_first", 50.0, "mL/d", 0.0, 5000.0, "medium exchanged, first stage"),
        Setting("exchange_second", 100.0, "mL/d", 0.0, 5000.0, "medium exchanged, second stage"),
        Setting("exchange_third", 180.0, "mL/d", 0.0, 5000.0, "medium exchanged, third stage"),
        Setting("exchange_first_at", 72.0, "h", 0.0, 1000.0, "when the first stage begins"),
        Setting("exchange_second_at", 120.0, "h", 0.0, 1000.0, "when the second stage begins"),
        Setting("exchange_third_at", 168.0, "h", 0.0, 1000.0, "when the third stage begins"),
        Setting("temperature", 37.0, "degC", 30.0, 41.0, "incubator temperature"),
        Setting("target", 20000.0, "1e6 cell", 1.0, 1e6, "viable cells at which it is harvested"),
        Setting("duration", 216.0, "h", 24.0, 480.0, "when it is harvested at the latest"),
    )
}
VARIABLES = {
    each.name: each
    for each in (
        Variable("viable_cells", "1e6 cell", 0.0, 1e6, "viable T cells"),
        Variable("viability", "%", 0.0, 100.0, "share of T cells that live"),
        Variable("glucose", "mM", 0.0, 100.0, "glucose"),
        Variable("lactate", "mM", 0.0, 200.0, "lactate"),
        Variable("activated_cells", "1e6 cell", 0.0, 1e6, "cells that divide"),
        Variable("dead_cells", "1e6 cell", 0.0, 1e6, "dead cells that have not broken up"),
        Variable("cd3_purity", "%", 0.0, 100.0, "T cells of all that live"),
        Variable("exchange", "mL/h", 0.0, 1e4, "medium exchanged"),
    )
}
QUALITIES = {
    each.name: each
    for each in (
        Variable("viability", "%", 0.0, 100.0, "at harvest"),
        Variable("car_positive", "%", 0.0, 100.0, "cells that carry the receptor"),
        Variable("vcn", "1", 0.0, 100.0, "copies of the vector in a cell that carries any"),
        Variable("cd3_purity", "%", 0.0, 100.0, "T cells of all that live, at harvest"),
        Variable("viable_cells", "1e6 cell", 0.0, 1e6, "viable T cells at harvest"),
        Variable("dose", "1e6 cell", 0.0, 1e6, "viable CAR+ cells at harvest"),
    )
}
FAULTS = {
    each.name: each
    for each in (
        Mechanism(
            "cells_arrive_weak",
            "so large a share of the collected cells is dead",
            "1",
            0.0,
            0.95,
            "viability at the start is low; counts lag by the cells that are missing",
            "dose",
            windowed=False,
        ),
        Mechanism(
            "activation_is_weak",
            "so many of the cells that would be activated are not",
            "1",
            0.0,
            1.0,
            "counts and lactate lag from day 2; fewer cells take the vector up",
            "CAR+, dose",
            windowed=False,
        ),
        Mechanism(
            "vector_is_weak",
            "the vector has so much less titre",
            "1",
            0.0,
            1.0,
            "nothing in the culture; CAR+ and copies at the end",
            "CAR+, VCN, dose",
            windowed=False,
        ),
        Mechanism(
            "vector_is_toxic", "the vector kills so much more than usual", "1", 0.0, 20.0, "viability dips between 24 and 60 h", "viability, dose"
        ),
        Mechanism(
            "perfusion_is_lost",
            "so much of the medium exchange is missing",
            "1",
            0.0,
            1.0,
            "lactate rises and glucose falls; counts, then viability",
            "viability, dose",
        ),
        Mechanism("incubator_is_cold", "the incubator is so much colder", "K", 0.0, 10.0, "counts and lactate lag while it lasts", "dose"),
        Mechanism(
            "label_is_swapped",
            "the bag carries another patient's label (1: yes)",
            "1",
            0.0,
            1.0,
            "stopped where the label is read; nothing in the culture",
            "another patient's cells",
        ),
    )
}
