"""How far the readings of a batch can be believed: their covariance, from the table of instruments.

Guarantees: what is fresh at each reading (noise), the same for a whole batch (bias, and that of its lot of medium), grows (drift) or goes slowly
(wander) is told apart: a bias of all readings of a batch is one error, not fifty. Numbers and form are those of
`instruments`: `expected` is its `reading` with all dice at zero.
Leaves to others: failures (a broken instrument is left out by whoever knows of it).
"""

from __future__ import annotations

import numpy as np

from isogenic.sim.instruments import Instrument
from isogenic.sim.instruments.instrument import TWO_WEEKS_H, Draws, reading
from isogenic.sim.processes.process import Floats

__all__ = ["covariance", "expected"]

NOTHING = Draws(0.0, 0.0, 0.0, 0.0)
LEAST_SHARE = 1e-6  # of the reading: no instrument is exact


def expected(how: Instrument, truth: Floats, *, age_h: Floats) -> Floats:
    """What the instrument shows of a truth on average: fouled and misread as it ages, held in its scale."""
    return np.asarray(reading(how, truth, age_h=age_h, since_h=_since(how, age_h), draws=NOTHING), dtype=np.float64)


def covariance(how: Instrument, shown: Floats, *, age_h: Floats) -> Floats:
    """Of the errors of one signal's readings in one batch."""
    size = np.abs(shown)
    since = _since(how, age_h)
    fresh = (how.noise + how.noise_share * size) ** 2 + (LEAST_SHARE * size + 1e-12) ** 2
    if how.spikes_per_h > 0:  # heights are even between 0 and twice the mean
        step = float(np.median(np.diff(age_h))) if len(age_h) > 1 else 1.0
        fresh = fresh + min(1.0, how.spikes_per_h * step) * 4.0 / 3.0 * how.spike**2
    bias = how.bias + how.bias_share * size
    slope = (how.drift + how.drift_share * size) * since / TWO_WEEKS_H
    wander = how.wander + how.wander_share * size
    same = np.equal.outer(age_h - since, age_h - since)  # one calibration
    out = (np.outer(bias, bias) + np.outer(slope, slope)) * same
    out = out + np.outer(wander, wander) * np.exp(-np.abs(np.subtract.outer(age_h, age_h)) / how.memory_h)
    out = out + how.lot**2
    out[np.diag_indices_from(out)] += fresh
    return np.asarray(out, dtype=np.float64)


def _since(how: Instrument, age_h: Floats) -> Floats:
    return age_h % how.recalibrated_h if how.recalibrated_h > 0 else age_h
