"""The ages at which a trajectory is given, and what is noted there.

Guarantees: the ages are whole steps of the integration, and the integration goes on to the end of the batch where that is
no multiple of them; a batch whose values leave their physical range, or are no numbers, stops at that age with the reason,
and is NaN from there on.
Leaves to others: the equations (each process), what a stop means to people (studies, the facility).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from isogenic.errors import NotValid
from isogenic.sim.processes.process import Floats, Stop, Variable
from isogenic.sim.processes.ranges import outside

__all__ = ["Track", "grid", "walk"]

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


def walk(ages: Floats, per: int, step_h: float, *, end_h: float, step_h_max: float) -> Iterator[tuple[float, float, int]]:
    """From age to age: where it stands, the step that is taken from there (0 at the end), and the number of this age (-1: none)."""
    steps = (ages.size - 1) * per
    for at in range(steps):
        yield at * step_h, step_h, -1 if at % per else at // per
    here, last = float(ages[-1]), ages.size - 1
    rest = end_h - here
    if rest > 1e-9 * end_h:
        parts = max(1, math.ceil(rest / step_h_max - 1e-9))
        for part in range(parts):
            yield here + part * rest / parts, rest / parts, -1 if part else last
        here, last = end_h, -1
    yield here, 0.0, last


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
        self.check(float(self.ages[at]), seen)
        for name in self.variables:
            self.values[name][at] = np.where(self.running, seen[name], np.nan)
        for row, value in zip(self.beside, beside, strict=True):
            row[at] = np.where(self.running, value, np.nan)

    def check(self, age_h: float, seen: Mapping[str, Floats]) -> None:
        """Who left the range by this age is stopped."""
        for which, why in outside(seen, self.variables, n=len(self.running)).items():
            if self.running[which]:
                self.stopped[which], self.running[which] = Stop(age_h, why), False
