"""When people of a site are there: in one, two or three shifts, and more of them while orders surge.

Guarantees: an operation is begun while a shift is there, and whoever began it sees it through.
Leaves to others: how many of them there are (`work`: crews, `calendar`: suites).

The day begins at six in the morning with the first shift; each is eight hours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isogenic.sim.processes.process import Floats
from isogenic.sim.scenarios.model import Scenario, Site
from isogenic.sim.studies.aims import faults_named

__all__ = ["AROUND_THE_CLOCK", "Shifts", "shifts_of"]

FIRST_SHIFT_H, SHIFT_H, AROUND_THE_CLOCK = 6.0, 8.0, 3


@dataclass(frozen=True, slots=True)
class Shifts:
    """The hours of one site."""

    usual: int = AROUND_THE_CLOCK
    in_surge: int = AROUND_THE_CLOCK
    surges: tuple[tuple[float, float], ...] = ()  # from, until

    @property
    def always(self) -> bool:
        """Whether there is always somebody."""
        return self.usual >= AROUND_THE_CLOCK

    def opens(self, hour: Floats | np.float64) -> Floats:
        """When, from these hours on, something may be begun."""
        if self.always:
            return np.asarray(hour)
        since = (hour - FIRST_SHIFT_H) % 24.0
        surge = np.zeros(np.shape(hour), dtype=bool)
        for begins, ends in self.surges:
            surge |= (hour >= begins) & (hour < ends)
        many = np.where(surge, self.in_surge, self.usual)
        return np.asarray(np.where(since < SHIFT_H * many, hour, hour + 24.0 - since))

    def one_after_another(self, begins: Floats, hours: Floats, ends: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """When each of k operations (k, n) is begun from these hours (n,) on, and when the last that there is was done (n,).

        What comes after the operation in which a batch `ends` is never begun: NaN."""
        starts, done, there = np.empty_like(hours), np.asarray(begins, dtype=np.float64), np.ones(hours.shape[1], dtype=bool)
        for row in range(len(hours)):
            start = self.opens(done)
            starts[row] = np.where(there, start, np.nan)
            done = np.where(there, start + hours[row], done)
            there = there & ~ends[row]
        return starts, done


def shifts_of(scenario: Scenario, site: Site) -> Shifts:
    """The hours of a site of the scenario."""
    surges = tuple((each.start_h, each.start_h + each.duration_h) for _, each in faults_named(scenario, "demand_surges", site=site.name))
    return Shifts(site.shifts, max(site.shifts, site.shifts_in_surge), surges)
