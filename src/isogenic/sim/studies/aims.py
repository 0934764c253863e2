"""At whom a fault of a scenario is aimed: sites, batches by their number, a share of them by dice.

Guarantees: who is struck follows from the scenario, the site and the batch's name alone, whatever else is known of it.
Leaves to others: lots and times (`strikes`, `calendar`), what a fault does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from isogenic.sim.scenarios.model import Scenario, ScenarioFault
from isogenic.sim.streams import Stream

__all__ = ["Aimed", "aimed_at", "faults_named"]

Aimed = tuple[int, ScenarioFault]  # a fault, with its place in the scenario


def faults_named(scenario: Scenario, name: str, *, site: str, process: str = "") -> list[Aimed]:
    """The faults of this name that a site may have; of any process, or of one."""
    return [
        (at, each)
        for at, each in enumerate(scenario.faults)
        if each.name == name and (not process or each.process in ("", process)) and (not each.sites or site in each.sites)
    ]


def aimed_at(fault: Aimed, *, seed: int, sites: Sequence[str], names: Sequence[str], numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of these batches the fault is aimed at."""
    place, said = fault
    hit = np.ones(len(sites), dtype=bool)
    if said.sites:
        hit &= np.isin(sites, said.sites)
    if said.batches:
        hit &= np.any([(numbers >= first) & (numbers <= last) for first, last in said.batches], axis=0)
    if said.share < 1.0:
        dice = [Stream(seed, "strikes", place, site, name).normals(0, 1)[0] for site, name in zip(sites, names, strict=True)]
        hit &= np.array([0.5 * math.erfc(-each / math.sqrt(2.0)) for each in dice]) < said.share
    return hit
