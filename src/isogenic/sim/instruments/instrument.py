"""One kind of instrument: how far it can be believed, how fast it follows, and how it ages.

Guarantees: `reading` is the only place where it is written what an instrument adds to the truth; it takes floats or
arrays of any shape and does the same sums for both, so that a live vessel and a thousand past batches read alike.
Leaves to others: dice (streams), time and memory (`sensors`), what is broken (`failures`).

A reading is `gain * truth * (1 + late) + offset + noise + spike`, held inside the scale of the instrument:

    gain      1 - fouling * (1 - exp(-age / fouling_h)): what grows on a window or a membrane
    late      the share by which an old culture is misread, rising from day 7 to day 14 (cells of another size)
    offset    bias (as calibrated) + what a lot of medium adds + drift * age / 14 d (a line) + wander (an Ornstein-Uhlenbeck process)
    noise     independent from one reading to the next
    spike     now and then, a bubble

Bias, drift, wander and noise are standard deviations, absolute and as a share of the reading. Makers and studies give
limits ("+-0.1"); a limit is read here as two standard deviations. The wander has unit variance at every moment:
exact at knots one thirty-second of its memory apart, between them on the line that joins them, scaled back to unit
variance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from isogenic.errors import NotValid
from isogenic.sim.processes.process import Mark

__all__ = ["KNOTS_PER_MEMORY", "LATE_FROM_H", "TWO_WEEKS_H", "Draws", "Instrument", "reading", "wander_between"]

TWO_WEEKS_H = 336.0
LATE_FROM_H = 168.0
KNOTS_PER_MEMORY = 32
KNOT_CORRELATION = float(np.exp(-1.0 / KNOTS_PER_MEMORY))
SETTLED = 2.302585092994046  # ln 10: t90 of a first-order lag in time constants


@dataclass(frozen=True, slots=True)
class Instrument:
    """One kind of instrument, in the canonical unit of what it measures."""

    noise: float = 0.0
    noise_share: float = 0.0
    bias: float = 0.0
    bias_share: float = 0.0
    drift: float = 0.0  # after two weeks
    drift_share: float = 0.0
    wander: float = 0.0
    wander_share: float = 0.0
    lot: float = 0.0  # shared by the batches of a lot of medium at a site: what a model of spectra errs by on it
    memory_h: float = 24.0  # the wander's: after this time 37 % of it are left
    lag_s: float = 0.0  # t90 of the probe
    process_s: float = 0.0  # t90 of what brings the sample to the probe: mixing, a pump, an analysis
    low: float = -np.inf  # the scale's ends: nothing is shown beyond them
    high: float = np.inf
    fouling: float = 0.0
    fouling_h: float = TWO_WEEKS_H
    late_share: float = 0.0
    spikes_per_h: float = 0.0
    spike: float = 0.0  # mean height
    recalibrated_h: float = 0.0  # hours between one-point recalibrations: bias and drift begin anew; 0: never
    other_unit: tuple[float, float] = (1.0, 0.0)  # factor and offset to the unit that it is mixed up with
    working: tuple[float, float] = (-np.inf, np.inf)  # where the maker's numbers hold
    mark: Mark = Mark.ILLUSTRATIVE
    source: str = ""

    def __post_init__(self) -> None:
        sizes = (self.noise, self.noise_share, self.bias, self.bias_share, self.drift, self.drift_share, self.wander, self.wander_share, self.lot)
        times = (self.lag_s, self.process_s, self.spikes_per_h, self.spike, self.recalibrated_h)
        if not (min(*sizes, *times) >= 0 < min(self.memory_h, self.fouling_h) and 0 <= self.fouling < 1 and self.low < self.high):
            raise NotValid("cannot use an instrument", why="its spreads and times are not negative, its fouling lies below 1 and its scale rises")

    def lag_shares(self, step_h: float, *, slower: float = 1.0) -> tuple[float, float]:
        """How much of the way to the truth goes in one step: what brings the sample, and the probe."""
        return _lag_share(self.process_s, step_h), _lag_share(self.lag_s * slower, step_h)


class Draws(NamedTuple):
    """What dice decided, in standard deviations: each a float or an array."""

    bias: Any
    slope: Any
    wander: Any
    noise: Any
    spike: Any = 0.0  # share of the mean height, 0 where there is none
    lot: Any = 0.0


def reading(how: Any, truth: Any, *, age_h: Any, since_h: Any, draws: Draws, gain: Any = 1.0, noise_factor: Any = 1.0) -> Any:
    """What an instrument shows of a truth behind its lag. `how` has an instrument's numbers, as floats or as columns of many.

    `age_h` counts since it was put in, `since_h` since it was last calibrated; `gain` and `noise_factor` are a failure's.
    """
    size = np.abs(truth)
    fouled = 1.0 - how.fouling * (1.0 - np.exp(-age_h / how.fouling_h)) if np.any(how.fouling) else 1.0
    late = 1.0 + how.late_share * np.minimum(np.maximum((age_h - LATE_FROM_H) / (TWO_WEEKS_H - LATE_FROM_H), 0.0), 1.0)
    off = (
        draws.bias * (how.bias + how.bias_share * size)
        + draws.slope * (since_h / TWO_WEEKS_H) * (how.drift + how.drift_share * size)
        + draws.wander * (how.wander + how.wander_share * size)
        + draws.lot * how.lot
    )
    noise = draws.noise * (how.noise + how.noise_share * size) * noise_factor
    shown = truth * (gain * fouled * late) + off + noise + draws.spike * how.spike
    return np.minimum(np.maximum(shown, how.low), how.high)


def wander_between(before: Any, after: Any, share: Any) -> Any:
    """The wander at `share` of the way from one knot to the next, with the knots' own variance."""
    rest = 1.0 - share
    return (rest * before + share * after) / np.sqrt(rest * rest + share * share + 2.0 * KNOT_CORRELATION * rest * share)


def _lag_share(settled_s: float, step_h: float) -> float:
    return 1.0 if settled_s <= 0 else float(1.0 - np.exp(-step_h * 3600.0 * SETTLED / settled_s))
