"""The ages at which a trajectory is given, and what is noted there.

Guarantees: the ages are whole steps of the integration; a batch whose values leave their physical range, or are no
numbers, stops at that age with the reason, and is NaN from there on.
Leaves to others: the equations (each process), what a stop means to people (studies, the facility).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from isogenic.errors import NotValid
from isogenic.sim.processes.process import Floats, Stop, Variable
from isogenic.sim.processes.ranges import outside

__all__ = ["Track", "grid"]

BATCHES_MAX = 1_000_000  # of one call: more are asked in parts
AGES_MAX = 100_001  # lines of one trajectory


def grid(n: int, *, every_h: float, duration_h: float, step_h_max: float) -> tuple[Floats, int, float]:
    """The ages from 0 on, how many steps lie between two of them, and the step."""
    if not 1 <= n <= BATCHES_MAX:
        raise NotValid(f"cannot run {n} batches", why="a run has at least one batch", possible=f"1 to {BATCHES_MAX}")
    if not (math.isfinite(every_h) and 0.0 < every_h <= duration_h and duration_h / every_h < AGES_MAX):
        raise NotValid(f"cannot give values every {every_h} h", why="that is no part of the batch", possible=f"up to {duration_h:g} h")
    per = max(1, math.ceil(every_h / step_h_max - 1e-9))
    ages: Floats = np.arange(math.floor(duration_h / every_h + 1e-9) + 1, dtype=np.float64) * np.float64(every_h)
    return ages, per, every_h / per


class Track:
    """Values by variable, (T, n), filled age by age."""

    def __init__(self, n: int, ages: Floats, variables: Mapping[str, Variable], beside: Sequence[str] = ()) -> None:
        self.ages, self.variables = ages, variables
        self.values = {name: np.full((ages.size, n), np.nan) for name in variables}
        self.beside = [np.full((ages.size, n), np.nan) for _ in beside]
        self.stopped: dict[int, Stop] = {}
        self.running = np.ones(n, dtype=bool)

    def note(self, at: int, seen: Mapping[str, Floats], beside: Sequence[Floats] = ()) -> None:
        """What is seen at age number `at`; who left the range is stopped."""
        for which, why in outside(seen, self.variables, n=len(self.running)).items():
            if self.running[which]:
                self.stopped[which], self.running[which] = Stop(float(self.ages[at]), why), False
        for name in self.variables:
            self.values[name][at] = np.where(self.running, seen[name], np.nan)
        for row, value in zip(self.beside, beside, strict=True):
            row[at] = np.where(self.running, value, np.nan)
