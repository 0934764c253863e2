"""What laboratories report of a study's batches: the truth and the noise of each assay.

Guarantees: a result depends on the seed, the site, the batch and the attribute's place among its process's; none is
below nothing. Leaves to others: the bias of a site's laboratory (chunk adds it), specifications.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isogenic.sim.laboratory import ASSAY_SD
from isogenic.sim.processes.process import Floats, Process
from isogenic.sim.streams import Stream

__all__ = ["reported"]

USUAL_SHARE = 0.02  # standard deviation of an assay that nothing is known of, of its value; illustrative


def reported(model: Process, names: Sequence[str], truth: Floats, *, seed: int, sites: Sequence[str], batches: Sequence[str]) -> Floats:
    """Results (attributes, n) of the truth (attributes, n)."""
    sds = [ASSAY_SD.get(name, (0.0, USUAL_SHARE)) for name in names]
    dice = np.array([Stream(seed, "assay", site, batch).normals(0, len(names)) for site, batch in zip(sites, batches, strict=True)])
    absolute, share = (np.array([each[at] for each in sds])[:, None] for at in (0, 1))
    noisy = truth + dice.reshape(len(batches), len(names)).T * np.hypot(absolute, share * truth)
    low = np.array([0.0 if model.qualities[name].low >= 0 else -np.inf for name in names])[:, None]
    out: Floats = np.maximum(noisy, low)
    return out
