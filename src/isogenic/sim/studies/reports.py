"""What laboratories report of a study's batches: every attribute through its assay.

Guarantees: a result depends on the seed, the site, the batch and the attribute; none is below nothing where the truth cannot be.
Leaves to others: the assays (`assays`), by how much a scenario puts a laboratory off (chunk), specifications.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isogenic.sim import assays
from isogenic.sim.processes.process import Floats, Process

__all__ = ["reported"]


def reported(
    model: Process, names: Sequence[str], truth: Floats, shifts: Sequence[Floats], *, seed: int, sites: Sequence[str], batches: Sequence[str]
) -> Floats:
    """Results (attributes, n) of the truth (attributes, n), by laboratories that are off by `shifts`."""
    shown = [
        assays.reported(model.name, name, each, seed=seed, sites=sites, batches=batches, shift=shift)
        for name, each, shift in zip(names, truth, shifts, strict=True)
    ]
    low = np.array([0.0 if model.qualities[name].low >= 0 else -np.inf for name in names])[:, None]
    out: Floats = np.maximum(np.array(shown).reshape(truth.shape), low)
    return out
