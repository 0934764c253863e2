"""Whether a soft sensor still says what offline samples say: a two-sided CUSUM with a stated rate of false alarms.

Guarantees: with independent normal residuals of the stated spread, a sound sensor alarms once in `every` residuals on
average, to a percent. Folding one residual gives the next state, and nothing is forgotten by a restart.
Leaves to others: what is done about it (a deviation, a recalibration).

The height is found from the average run length by the Markov chain of Brook & Evans (1972, Biometrika 59, 539). The
residuals of one batch go together (its medium, its cells), so a sensor is watched by one residual for each batch, its
mean, against the spread that left-out batches had (`DriftWatch.of`).

Without a centre the watch starts itself (Hawkins 1987, The Statistician 36, 299): each residual is held against the mean
of those before it, scaled so that those of a sound sensor are independent and of unit variance again. So the stated rate
holds from the second residual on, and a drift is seen the later the fewer came before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy.special import ndtr

from isogenic.errors import NotValid
from isogenic.monitoring.soft_sensors.model import SoftSensor

__all__ = ["DriftWatch", "height_of", "run_length"]

REFERENCE = 0.5  # half of the shift that is looked for, in standard deviations: one of a whole one
STATES = 160
EVERY_MIN, EVERY_MAX = 5.0, 1e6


def run_length(height: float, *, shift: float = 0.0, reference: float = REFERENCE) -> float:
    """Residuals until a two-sided CUSUM alarms, on average, when every residual is moved by `shift` standard deviations."""
    up, down = (_one_sided(height, shift=each, reference=reference) for each in (shift, -shift))
    return 1.0 / (1.0 / up + 1.0 / down)


@cache
def height_of(every: float, *, reference: float = REFERENCE) -> float:
    """The height at which a sound sensor alarms once in so many residuals."""
    if not EVERY_MIN <= every <= EVERY_MAX:
        raise NotValid(f"cannot watch with one false alarm in {every:g}", why=f"it lies between {EVERY_MIN:g} and {EVERY_MAX:g}")
    low, high = 0.0, 20.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if run_length(middle, reference=reference) < every else (low, middle)
    return 0.5 * (low + high)


def _one_sided(height: float, *, shift: float, reference: float) -> float:
    width = 2.0 * height / (2 * STATES - 1)  # the first state is half as wide: it holds what was cut off at nothing
    middle = np.arange(STATES) * width
    upper = ndtr(middle[None, :] + 0.5 * width - middle[:, None] + reference - shift)
    lower = ndtr(middle[None, :] - 0.5 * width - middle[:, None] + reference - shift)
    moves = upper - lower
    moves[:, 0] = upper[:, 0]
    return float(np.linalg.solve(np.eye(STATES) - moves, np.ones(STATES))[0])


@dataclass(frozen=True, slots=True)
class DriftWatch:
    """What is remembered between samples: a value, plain enough for a fact."""

    sensor: str  # digest
    centre: float  # of a watch that starts itself: the mean of what it has seen
    spread: float
    every: float  # residuals of a sound sensor between false alarms, on average
    height: float
    up: float = 0.0
    down: float = 0.0
    seen: int = 0
    starting: bool = False  # the centre is learnt on the way
    alarm: str = ""  # which way it drifted, once it did

    @classmethod
    def of(cls, sensor: SoftSensor, *, every: float = 200.0, spread: float | None = None, centre: float | None = 0.0) -> DriftWatch:
        """The watch over a sensor by one mean residual for each batch, or by residuals of another spread or centre (None: it starts itself)."""
        size = sensor.validation.batch_error if spread is None else spread
        if not (size > 0 and math.isfinite(size) and (centre is None or math.isfinite(centre))):
            raise NotValid(f"cannot watch {sensor.name}", why="its spread must be above 0")
        return cls(sensor.digest, centre or 0.0, size, every, height_of(every), starting=centre is None)

    def after(self, residual: float) -> DriftWatch:
        """The watch after one more residual, sensor less reference. What is not a number teaches nothing."""
        if not math.isfinite(residual):
            return self
        size, centre = (residual - self.centre) / self.spread, self.centre
        if self.starting:
            size *= math.sqrt(self.seen / (self.seen + 1.0))
            centre += (residual - centre) / (self.seen + 1.0)
        up, down = max(0.0, self.up + size - REFERENCE), max(0.0, self.down - size - REFERENCE)
        alarm = self.alarm or ("reads too much" if up > self.height else "reads too little" if down > self.height else "")
        return replace(self, centre=centre, up=up, down=down, seen=self.seen + 1, alarm=alarm)
