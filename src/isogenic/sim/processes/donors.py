"""Whose cells they are: patients and healthy donors, drawn one by one.

Guarantees: a donor's numbers depend on the seed, the population and the donor's number alone; the first hundred of
a thousand are the same hundred. `failures` counts as the published manufacturing failures are counted.
Leaves to others: the culture (`car_t`), scatter of sites and lots (`variation`).

Patients: CD3+ collected is log-normal with the published quartiles (UK, n = 134); the other scatters are
**illustrative**. Shares are normal, cut off below 1. The dose is what is alive after harvest,
filling and thawing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isogenic.errors import NotValid
from isogenic.sim.processes.car_t_tables import COLLECTED_LOG_SD
from isogenic.sim.processes.process import Floats, Outcome
from isogenic.sim.streams import Stream

__all__ = ["HEALTHY", "PATIENTS", "Population", "donors", "failures"]

DONORS_MAX = 1_000_000
KEPT = 0.90 * 0.92  # harvested and filled; alive after thawing
DOSE_MIN, VIABILITY_MIN, CAR_POSITIVE_MIN = 200.0, 80.0, 5.0  # 1e6 cells, percent, percent


@dataclass(frozen=True, slots=True)
class Population:
    """Mean and standard deviation of shares; median and log standard deviation of the others."""

    name: str
    activation: tuple[float, float]
    viability: tuple[float, float]
    collected: tuple[float, float] = (2600.0, COLLECTED_LOG_SD)
    growth: tuple[float, float] = (0.040, 0.13)
    stimulus: tuple[float, float] = (60.0, 0.30)
    efficiency: tuple[float, float] = (0.142, 0.45)


PATIENTS = Population("patients", activation=(0.78, 0.10), viability=(0.92, 0.05))
HEALTHY = Population("healthy", activation=(0.85, 0.05), viability=(0.95, 0.03), efficiency=(0.142, 0.35))
SHARES = ("activation", "viability")
OTHERS = ("collected", "growth", "stimulus", "efficiency")


def donors(population: Population, n: int, *, seed: int) -> dict[str, Floats]:
    """The constants of so many donors, for `CAR_T.run`."""
    if not 1 <= n <= DONORS_MAX:
        raise NotValid(f"cannot draw {n} donors", why="a population has at least one", possible=f"1 to {DONORS_MAX}")
    out: dict[str, Floats] = {}
    for name in (*SHARES, *OTHERS):
        draws = Stream(seed, "donors", population.name, name).normals(0, n)
        middle, spread = getattr(population, name)
        out[name] = np.clip(middle + spread * draws, 0.01, 0.995) if name in SHARES else middle * np.exp(spread * draws)
    return out


def failures(outcome: Outcome, *, kept: Floats | float = KEPT) -> NDArray[np.bool_]:
    """Which batches make no product: too few CAR+ cells in the bag, too few alive, too few CAR+; a batch that stopped is one."""
    quality = outcome.quality
    good = (quality["dose"] * kept >= DOSE_MIN) & (quality["viability"] >= VIABILITY_MIN) & (quality["car_positive"] >= CAR_POSITIVE_MIN)
    return np.asarray(~good)
