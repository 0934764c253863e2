"""Samples of a running culture: what the bench analyser beside the vessel says of glucose, lactate and titre.

Guarantees: a result depends on the seed, the site, the batch, its number and the quantity alone; an analyser's own bias
belongs to the building. One sample a day: the first moment of each day of a batch that a trajectory has.
Leaves to others: assays of a harvest (`assays`), spectra (`instruments.raman`), what a scenario adds to a laboratory.

    result = truth * (1 + bias) + noise,  noise of the analyser's floor and share together

All numbers are **illustrative**: 3 % and a floor, and 1 % between sites.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isogenic.sim.processes.process import Floats
from isogenic.sim.streams import Dice, Stream

__all__ = ["ANALYSERS", "EVERY_H", "Analyser", "analysed", "sampled_at"]

EVERY_H = 24.0


@dataclass(frozen=True, slots=True)
class Analyser:
    """How one quantity's results spread, in the unit of the process."""

    floor: float
    share: float = 0.03
    site: float = 0.01


ANALYSERS: Mapping[str, Analyser] = {"glucose": Analyser(0.3), "lactate": Analyser(0.2), "titre": Analyser(0.03)}


def sampled_at(age_h: Floats) -> NDArray[np.bool_]:
    """At which ages of a trajectory a sample is taken: the first of each day."""
    day = np.floor(age_h / EVERY_H + 1e-9)
    taken: NDArray[np.bool_] = np.diff(day, prepend=-1.0) > 0
    return taken


def analysed(quantity: str, truth: Floats, *, seed: int, sites: Sequence[str], batches: Sequence[str]) -> Floats:
    """Results of samples (samples, n) numbered from 0; nothing is below 0, and where there is no truth there is no result."""
    how = ANALYSERS[quantity]
    biases = {site: how.site * Stream(0, "analyser", site, quantity).normal(0) for site in dict.fromkeys(sites)}
    bias = np.array([biases[site] for site in sites])
    dice = Dice.of(seed, [("sample", site, batch, quantity) for site, batch in zip(sites, batches, strict=True)])
    noise = dice[None, :].normals(np.arange(len(truth))[:, None])
    shown: Floats = np.maximum(truth * (1.0 + bias) + noise * np.hypot(how.floor, how.share * truth), 0.0)
    return shown
