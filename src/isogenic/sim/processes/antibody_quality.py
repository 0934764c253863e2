"""What the way a batch was made does to its antibody: the one place for the maps to quality.

Guarantees: live harvests (`laboratory`) and studies (`antibody`) are judged by the same maps, floats and arrays alike.
Leaves to others: assay noise (laboratory), purification (`antibody_downstream`).

Around the nominal batch the maps are straight; further off they bend, so that a share stays within 0 to 100 %, and
without antibody there are no aggregates. Galactosylation falls with ammonium (Chen 2019), acidic variants rise
with glucose and time (Sissolak 2019); every slope and spread is **illustrative**.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from isogenic.sim.processes.arithmetic import Number, greater
from isogenic.sim.processes.cho import Culture

__all__ = ["NOMINAL_LEVELS", "Levels", "Past", "harvest_quality"]

HCP_CELLS_PER_TITRE = 0.63  # lysed cells (1e9/L) for each g/L at the nominal harvest
HMW_PER_KELVIN_HOUR = 0.6 / 24.0  # %, above 37 degC: what is left unchanged loses so much
HMW_TITRE, HMW_POWER = 4.8, 1.28  # g/L; aggregates rise by 0.4 % for each g/L there


class Levels(NamedTuple):
    """Where a batch's qualities stand when it was made as intended; they differ between sites and batches."""

    galactosylation: Number = 25.0  # %
    hmw: Number = 1.5  # %
    acidic: Number = 18.0  # %
    afucose: Number = 6.0  # %
    hcp: Number = 120_000.0  # ng/mg
    manganese: Number = 1.0  # of what the medium should have


NOMINAL_LEVELS = Levels()


class Past(NamedTuple):
    """What of a batch's past its quality remembers: means over the culture, and the heat above 37 degC."""

    age_h: Number
    ammonium_mm: Number
    glucose_mm: Number
    ph: Number
    heat_kelvin_h: Number = 0.0


def harvest_quality(pool: Culture, past: Past, *, levels: Levels = NOMINAL_LEVELS) -> dict[str, Number]:
    """The quality of a harvested pool as it is, before any assay."""
    titre = greater(pool.antibody, 0.0)
    days = past.age_h / 24.0
    return {
        "titre": titre,
        "harvest_viability": 100.0 * pool.viable / (pool.viable + pool.dead + 1e-9),
        "galactosylation": _moved(
            levels.galactosylation, -1.6 * (past.ammonium_mm - 4.0) - 10.0 * (past.ph - 7.0) + 3.0 * np.log(levels.manganese) / math.log(2.0)
        ),
        "hmw": 100.0 - (100.0 - levels.hmw * (titre / HMW_TITRE) ** HMW_POWER) * math.e ** (-HMW_PER_KELVIN_HOUR / 100.0 * past.heat_kelvin_h),
        "acidic": _moved(levels.acidic, 0.9 * (days - 14.0) + 0.15 * (past.glucose_mm - 20.0)),
        "afucose": levels.afucose + 0.0 * titre,
        "hcp": levels.hcp * pool.lysed / (HCP_CELLS_PER_TITRE * greater(titre, 1e-3)),
    }


def _moved(level: Number, percent: Number) -> Number:
    """A share in % that moves by so much at first, and by less where it comes near 0 or 100: its odds move in proportion."""
    left = 100.0 - level
    return 100.0 * level / (level + left * math.e ** (-100.0 * percent / (level * left)))
