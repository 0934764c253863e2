"""From the harvested pool to drug substance: the timed operations, and what they do to quality.

Guarantees: `purified` follows from the harvest's quality and from how the operations went, alone.
Leaves to others: the dice of the operations (`operations.operate`), assays.

Recoveries and hours are **illustrative**. Virus inactivation at pH 3.6 makes aggregates, 0.1 % an hour; cation exchange
leaves a quarter of them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isogenic.sim.operations import Failure, Operation, Operations
from isogenic.sim.processes.process import Floats

__all__ = ["OPERATIONS", "cycles", "purified"]

RESIN_L = 70.0
CAPACITY_G_L = 40.0  # of a litre of resin; 35 to 45
CYCLE_H = 4.0
NOMINAL_CYCLES = 4
HMW_PER_HOUR = 0.1  # %
HMW_LEFT = 0.25
HCP_LEFT = 5.0e-5  # nominal: 6 ng/mg of 120,000

OPERATIONS = (
    Operation("clarification", 4.0, 1.2, 0.98, 0.005, what="depth filtration of the harvest"),
    Operation("protein_a", NOMINAL_CYCLES * CYCLE_H, 1.1, 0.95, 0.01, what="capture, in cycles"),
    Operation("virus_inactivation", 1.0, 1.1, what="pH 3.6 for an hour"),
    Operation("cation_exchange", 8.0, 1.15, 0.93, 0.01, what="bind and elute"),
    Operation("anion_exchange_and_virus_filtration", 8.0, 1.15, 0.97, 0.005, 0.005, Failure.REPEATED, what="flow through; the filter is tested"),
    Operation("ultrafiltration", 6.0, 1.15, 0.97, 0.005, what="to concentration and buffer"),
)


def cycles(harvest_mass_kg: Floats, *, resin_l: float = RESIN_L, capacity_g_l: float = CAPACITY_G_L) -> Floats:
    """How often the capture column is loaded for each batch."""
    loads: Floats = np.ceil(1000.0 * harvest_mass_kg / (resin_l * capacity_g_l))
    return loads


def purified(quality: Mapping[str, Floats], done: Operations) -> dict[str, Floats]:
    """Drug substance of each batch: grams, and its impurities; NaN where an operation lost it."""
    hold = done.names.index("virus_inactivation")
    hours = done.end_h[hold] - done.start_h[hold]
    lost = np.where(done.lost, np.nan, 0.0)
    return {
        "drug_substance_g": 1000.0 * quality["harvest_mass"] * done.kept,
        "hmw": HMW_LEFT * (quality["hmw"] + HMW_PER_HOUR * hours) + lost,
        "acidic": quality["acidic"] + lost,
        "hcp": HCP_LEFT * quality["hcp"] + lost,
    }
