"""How batches differ: site, media lot and batch, each log-normal.

Guarantees: a batch's constants are `NOMINAL * exp(eta_site + eta_lot + eta_batch)` with
draws that depend on the seed, the site, the lot and the batch's name alone; past batches
(history) and live ones (facility) vary alike, so that a reference model fitted on the first
is fair to the second. All spreads are **illustrative**.
"""

from __future__ import annotations

from typing import NamedTuple

from isogenic.sim.processes.cho import NOMINAL, Theta
from isogenic.sim.streams import Stream

__all__ = ["BATCH_CV", "Batch", "batch_of"]

# Coefficients of variation between batches.
BATCH_CV = {
    "growth": 0.03,
    "product": 0.04,
    "death": 0.15,
    "lactate_of_glucose": 0.05,
    "lactate_uptake": 0.08,
    "brake": 0.05,
    "transfer": 0.03,
    "oxygen_uptake": 0.02,
}
SITE_CV = {"growth": 0.01, "product": 0.015, "transfer": 0.03}
LOT_CV = {"growth": 0.01, "upkeep": 0.02}
SEED_DENSITY_CV = 0.05


class Batch(NamedTuple):
    """What dice decided about one batch."""

    theta: Theta
    seed_density: float  # of the nominal


def batch_of(seed: int, *, site: str, batch: str, lot: str = "MEDIUM-1") -> Batch:
    """One batch's constants. The site's own offset does not depend on the seed: it belongs to the building."""
    etas: dict[str, float] = {}
    sources = ((SITE_CV, Stream(0, "site", site)), (LOT_CV, Stream(0, "lot", lot)), (BATCH_CV, Stream(seed, "batch", site, batch)))
    for spreads, stream in sources:
        for at, (name, cv) in enumerate(spreads.items()):
            etas[name] = etas.get(name, 0.0) + cv * stream.normal(at)
    density = 1.0 + SEED_DENSITY_CV * Stream(seed, "seed train", site, batch).normal(0)
    return Batch(NOMINAL.varied(**etas), max(0.5, density))
