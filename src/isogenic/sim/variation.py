"""How batches differ: site, media lot and batch, each log-normal.

Guarantees: a batch's constants are nominal * exp(eta_site + eta_lot + eta_batch) with draws that depend on the seed, the
site, the lot and the batch's name alone, so a batch alone and among thousands is the same, in any order and on any
number of workers. Past batches (history), live ones (facility) and those of studies vary alike. A site's own offset and
a lot's do not depend on the seed: they belong to the building and to the drum. All spreads are **illustrative**.
Leaves to others: which constant scatters how much (each `Constant` of a process says so).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from isogenic.sim.processes.cho import NOMINAL, Theta
from isogenic.sim.processes.process import Floats, Process
from isogenic.sim.streams import Stream

__all__ = ["BATCH_CV", "Batch", "batch_of", "draws", "held", "site_factors"]

# Coefficients of variation between batches of the antibody, in the order of their draws.
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
SEED_DENSITY = "seed_density"  # of the antibody; drawn beside the others, as a normal, not a log-normal
_FIRST = {"site": tuple(SITE_CV), "lot": tuple(LOT_CV), "batch": tuple(BATCH_CV)}
ANTIBODY = "antibody"


class Batch(NamedTuple):
    """What dice decided about one batch."""

    theta: Theta
    seed_density: float  # of the nominal


def batch_of(seed: int, *, site: str, batch: str, lot: str = "MEDIUM-1") -> Batch:
    """One antibody batch's constants, for live facilities and their past."""
    etas: dict[str, float] = {}
    sources = ((SITE_CV, Stream(0, "site", site)), (LOT_CV, Stream(0, "lot", lot)), (BATCH_CV, Stream(seed, "batch", site, batch)))
    for spreads, stream in sources:
        for at, (name, cv) in enumerate(spreads.items()):
            etas[name] = etas.get(name, 0.0) + cv * stream.normal(at)
    density = 1.0 + SEED_DENSITY_CV * Stream(seed, "seed train", site, batch).normal(0)
    return Batch(NOMINAL.varied(**etas), max(0.5, density))


def draws(process: Process, *, seed: int, sites: Sequence[str], lots: Sequence[str], batches: Sequence[str]) -> dict[str, Floats]:
    """The constants that scatter, as arrays of n: of each batch its site, its lot and its name."""
    n = len(batches)
    etas: dict[str, Floats] = {
        name: np.zeros(n) for name, each in process.constants.items() if any((each.spread.site, each.spread.lot, each.spread.batch))
    }
    levels: dict[str, list[tuple[str, ...]]] = {"site": [(each,) for each in sites], "lot": [(each,) for each in lots]}
    levels["batch"] = list(zip(sites, batches, strict=True))
    for level, keys in levels.items():
        spreads = _numbered(process, level)
        if not spreads:
            continue
        drawn = {key: _stream(process.name, level, seed, key).normals(0, len(spreads)) for key in dict.fromkeys(keys)}
        table = np.array([drawn[key] for key in keys]).reshape(n, len(spreads))
        for at, (name, cv) in enumerate(spreads):
            etas[name] += cv * table[:, at]
    out = held(process, {name: process.constants[name].value * np.exp(eta) for name, eta in etas.items()})
    if process.name == ANTIBODY and SEED_DENSITY in out:
        dice = [Stream(seed, "seed train", site, batch).normals(0, 1)[0] for site, batch in zip(sites, batches, strict=True)]
        out[SEED_DENSITY] = np.maximum(0.5, 1.0 + process.constants[SEED_DENSITY].spread.batch * np.array(dice))
    return out


def held(process: Process, constants: Mapping[str, Floats]) -> dict[str, Floats]:
    """Constants as they can be: none above its most."""
    return {name: np.minimum(each, process.constants[name].most) for name, each in constants.items()}


def _numbered(process: Process, level: str) -> list[tuple[str, float]]:
    """The constants that scatter at a level, in the order of their draws: those of the live facility first, as they are drawn there."""
    cvs: Mapping[str, float] = {name: getattr(each.spread, level) for name, each in process.constants.items() if getattr(each.spread, level)}
    first = [name for name in _FIRST[level] if name in cvs] if process.name == ANTIBODY else []
    if first != list(_FIRST[level]):
        first = []
    return [(name, cvs[name]) for name in [*first, *(name for name in cvs if name not in first)]]


def _stream(process: str, level: str, seed: int, key: tuple[str, ...]) -> Stream:
    own = () if process == ANTIBODY else (process,)  # the antibody's paths are those of the live facility
    return Stream(seed if level == "batch" else 0, level, *own, *key)


def site_factors(process: Process, site: str) -> dict[str, float]:
    """What a site's name alone makes of each constant: its factor on the nominal, the same in every study."""
    spreads = _numbered(process, "site")
    drawn = _stream(process.name, "site", 0, (site,)).normals(0, max(len(spreads), 1))
    return {name: float(np.exp(cv * drawn[at])) for at, (name, cv) in enumerate(spreads)}
