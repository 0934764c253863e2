"""What differs from batch to batch of IndPenSim, and what drifts within one.

Guarantees: by default every stream is counter-based and keyed by the seed and the batch: the same bytes in any order,
alone or among many. With `published_streams`, scatter and disturbances are the numbers that the published simulator draws
for that seed (a Mersenne twister for each quantity, seeded with the batch's seed and a count).
Leaves to others: what the numbers mean (`equations`).

A disturbance is white noise through a first-order filter, y[k] = 0.995 y[k-1] + 0.005 e[k], once a sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from isogenic.sim.processes.process import Floats
from isogenic.sim.streams import Stream

__all__ = ["DEVIATIONS", "disturbances", "published_scatter"]

# Standard deviation of the noise before the filter.
DEVIATIONS = {
    "max_product": 0.03,
    "max_growth": 0.25,
    "sugar_strength": 1500.0,
    "oil_strength": 300.0,
    "acid_strength": 0.2,
    "phenylacetate_stock": 300000.0,
    "coolant_inlet": 100.0,
    "oxygen_in": 0.02,
}
# Which count after the seed a quantity is drawn with, its mean and its standard deviation, as published.
_SCATTER = {
    "max_growth": (31, 0.41, 0.025),
    "max_product": (32, 0.041, 0.0025),
    "substrate_start": (33, 1.0, 0.1),
    "oxygen_start": (34, 15.0, 0.5),
    "volume_start": (36, 58000.0, 500.0),
    "weight_start": (37, 62000.0, 500.0),
    "off_gas_co2_start": (38, 0.038, 0.001),
    "off_gas_oxygen_start": (39, 0.20, 0.05),
    "ph_start": (40, 6.5, 0.1),
    "temperature_start": (41, 297.0 - 273.15, 0.5),
    "phenylacetate_start": (43, 1400.0, 50.0),
    "nitrogen_start": (44, 1700.0, 50.0),
    "transfer": (45, 85.0, 10.0),
    "phenylacetate_stock": (46, 530000.0, 20000.0),
    "nitrogen_stock": (47, 150000.0, 2000.0),
    "biomass_start": (31, 0.5, 0.05),
}


def published_scatter(seed: int) -> dict[str, float]:
    """What the published simulator draws for the batch of this seed."""
    return {name: mean + sd * float(np.random.RandomState(seed + count).randn()) for name, (count, mean, sd) in _SCATTER.items()}


def disturbances(samples: int, seeds: Floats, batches: Floats, published: NDArray[np.bool_], own: Mapping[str, Floats]) -> dict[str, Floats]:
    """Each disturbance, (samples, n); nothing where the seed is 0. `own` are a batch's constants and start, which name it."""
    n = len(seeds)
    out = {name: np.zeros((samples, n)) for name in DEVIATIONS}
    for which in range(n):
        seed = int(seeds[which])
        if seed == 0 and not published[which]:
            continue
        if published[which]:
            noise = np.random.RandomState(seed).randn(samples)
            for name, sd in DEVIATIONS.items():
                out[name][:, which] = _filtered(sd * noise)
            continue
        batch: object = int(batches[which])
        if batches[which] < 0:
            mine = np.array([own[name][which] for name in sorted(own)])
            batch = blake2b(mine.tobytes(), digest_size=8).hexdigest()
        for name, sd in DEVIATIONS.items():
            out[name][:, which] = _filtered(sd * Stream(seed, "indpensim", batch, name).normals(0, samples))
    return out


def _filtered(noise: Floats) -> Floats:
    out, value = np.empty_like(noise), 0.0
    for at, each in enumerate(noise.tolist()):
        value = 0.995 * value + 0.005 * each
        out[at] = value
    return out
