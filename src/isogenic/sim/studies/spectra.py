"""Spectra of a study: each site's spectrometer looks at each batch at every age.

Guarantees: as `instruments.raman` has it, so a spectrum is the same in any study of the same seed.
Leaves to others: what to learn from them (monitoring.soft_sensors).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from isogenic.sim.instruments.raman import CHANNELS, spectra, spectrometer_of
from isogenic.sim.processes.process import Outcome
from isogenic.sim.studies.plan import Part

__all__ = ["SEEN", "spectra_of"]

# variable of the process -> what scatters light, and g/L (cells: 1e9/L) in one of its units
SEEN: Mapping[str, tuple[str, float]] = {
    "glucose": ("glucose", 0.180156),
    "lactate": ("lactate", 0.090078),
    "titre": ("product", 1.0),
    "viable_cells": ("cells", 1.0),
}


def spectra_of(outcome: Outcome, part: Part, *, seed: int) -> NDArray[np.float32]:
    """One row for each batch and age, batch after batch; NaN after a stop."""
    age, n = outcome.age_h, len(part)
    out = np.full((n * len(age), len(CHANNELS)), np.nan, dtype=np.float32)
    truth = {other: outcome.values[name].T * factor for name, (other, factor) in SEEN.items() if name in outcome.values}
    whole = np.all([np.isfinite(each) for each in truth.values()], axis=0)
    for at, name in enumerate(part.names):
        there = np.flatnonzero(whole[at])
        if len(there):
            out[at * len(age) + there] = spectra(
                {other: each[at, there] for other, each in truth.items()},
                instrument=spectrometer_of(part.sites[at]),
                seed=seed,
                batches=[name] * len(there),
                index=there.astype(np.float64),
                age_h=age[there],
                lots=[part.lots[at]] * len(there),
            )
    return out
