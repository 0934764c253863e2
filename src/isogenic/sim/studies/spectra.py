"""Spectra of a study: each site's spectrometer looks at each batch at every age, and at the network's standards.

Guarantees: as `instruments.raman` has it, so a spectrum is the same in any study of the same seed. Once a day a sample is
taken (`sim.samples`): its results stand beside that moment's spectrum, in the unit of the process.
Leaves to others: what to learn from them (monitoring.soft_sensors).

Standards are twelve culture samples, pooled, frozen and sent to every site, where each is measured four times as long as
a culture: what a sensor is carried by from one instrument to another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from isogenic.sim.instruments.raman import CHANNELS, spectra, spectrometer_of
from isogenic.sim.processes.process import Floats, Outcome
from isogenic.sim.samples import ANALYSERS, analysed, sampled_at
from isogenic.sim.studies.part import Part

__all__ = ["SEEN", "STANDARDS", "samples_of", "spectra_of", "standards_at"]

# variable of the process -> what scatters light, and g/L (cells: 1e9/L) in one of its units
SEEN: Mapping[str, tuple[str, float]] = {
    "glucose": ("glucose", 0.180156),
    "lactate": ("lactate", 0.090078),
    "titre": ("product", 1.0),
    "viable_cells": ("cells", 1.0),
}
STANDARDS = tuple(f"STANDARD-{at:02d}" for at in range(1, 13))
STANDARD_MOST: Mapping[str, float] = {"glucose": 9.0, "lactate": 4.0, "product": 5.0, "cells": 20.0}
STANDARD_EXPOSURE = 4.0


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


def samples_of(outcome: Outcome, part: Part, *, seed: int, shift: Mapping[str, Floats] | None) -> dict[str, Floats]:
    """Results of the daily samples, row by row as `spectra_of`; NaN where none was taken. `shift` (n,) is what a laboratory adds; None: the truth."""
    taken = sampled_at(outcome.age_h)
    out = {}
    for name in ANALYSERS:
        truth = outcome.values[name][taken]
        shown = np.full_like(outcome.values[name], np.nan)
        if shift is None:
            shown[taken] = truth
        else:
            found = analysed(name, truth, seed=seed, sites=part.sites, batches=part.names)
            shown[taken] = np.maximum(found + shift.get(name, 0.0), 0.0)
        out[name] = shown.T.ravel()
    return out


def standards_at(sites: Sequence[str], *, seed: int) -> NDArray[np.float32]:
    """The standards' spectra, site after site."""
    n = len(STANDARDS)
    # A Latin square: each quantity rises in steps of its own order, so that none goes with another.
    orders = zip(STANDARD_MOST.items(), (1, 5, 8, 3), strict=True)
    made = {name: np.asarray(most * ((np.arange(n) * step) % 13 + 0.5) / 13.0, dtype=np.float64) for (name, most), step in orders}
    rows = [
        spectra(
            made,
            instrument=spectrometer_of(site),
            seed=seed,
            batches=[f"{each} {site}" for each in STANDARDS],
            index=np.zeros(n),
            age_h=np.full(n, 168.0),
            lots=["STANDARDS"] * n,
            exposure=STANDARD_EXPOSURE,
        )
        for site in sites
    ]
    return np.concatenate(rows).astype(np.float32)
