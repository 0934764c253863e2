"""Evolution: maturity by what the readings say of it, one at a time.

Partial least squares of every reading (unfolded by observation) against the maturity of its
sample, as Wold, Kettaneh, Friden and Holmberg (1998) follow the evolution of batches. A single
reading tells maturity badly, so what it tells only moves the offset to the clock: an average over
`MEMORY` of a batch's readings.

Guarantees: maturity never falls; a variable that is missing counts as usual.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isogenic.monitoring.soft_sensors.regression import regress
from isogenic.monitoring.structure import CONSTANT_FLOOR
from isogenic.monitoring.tables import BatchTable, Floats, present

__all__ = ["Evolution", "evolution_of", "moved"]

LATENT_MAX = 5
GAIN_IN_ERROR = 1.02  # fewer latent variables are taken where more lower the error by less than 2 %
MEMORY = 0.05  # of a usual batch's readings
ROWS_MAX = 20_000
SCALES_MAX = 5.0  # a wild value is no more than far away


class Evolution(NamedTuple):
    """`mean`, `scale`, `answers`: float64[p]; `level`: mean maturity; `rate`: of a reading into the offset; `first`, `last`: the range."""

    mean: Floats
    scale: Floats
    answers: Floats
    level: float
    rate: float
    first: float
    last: float


def evolution_of(batches: Sequence[BatchTable]) -> Evolution:
    """From good batches, each counting alike in the number of latent variables: the odd ones judge a fit on the even ones."""
    values, maturity = np.concatenate([each.values for each in batches]), np.concatenate([np.maximum.accumulate(each.maturity) for each in batches])
    there = present(values)
    count = np.maximum(there.sum(axis=0), 1)
    mean = np.where(there, values, 0.0).sum(axis=0) / count
    scale = np.sqrt(np.where(there, np.square(np.where(there, values, 0.0) - mean), 0.0).sum(axis=0) / count)
    scale = np.maximum(scale, 1e-3 * CONSTANT_FLOOR * np.where(np.abs(mean) > 0, np.abs(mean), 1.0))
    rows = np.where(there, (np.where(there, values, 0.0) - mean) / scale, 0.0)
    number = np.repeat(np.arange(len(batches)), [len(each.maturity) for each in batches])
    thin = slice(None, None, max(1, len(rows) // ROWS_MAX))
    rows, maturity, number = rows[thin], maturity[thin], number[thin]
    latent = min(LATENT_MAX, rows.shape[1])
    even = number % 2 == 0
    errors = [
        np.square(regress(rows[one], maturity[one], latent=latent).predict_each(rows[~one]) - maturity[~one][:, None]).mean(axis=0)
        for one in (even, ~even)
    ]
    fewest = min(len(each) for each in errors)
    error = np.mean([each[:fewest] for each in errors], axis=0)
    chosen = int(np.flatnonzero(error <= GAIN_IN_ERROR * error.min())[0]) + 1
    found = regress(rows, maturity, latent=chosen)
    readings = float(np.median([len(each.maturity) for each in batches]))
    answers = found.weights @ found.answers
    level = found.level - float(found.mean @ answers)
    first, last = (float(np.median([end(each.maturity) for each in batches])) for end in (np.min, np.max))
    return Evolution(mean, scale, answers, level, min(1.0, 1.0 / max(1.0, MEMORY * readings)), first, last)


def moved(evolution: Evolution, offset: Floats, values: Floats, there: NDArray[np.bool_], clock: Floats, usable: NDArray[np.bool_]) -> Floats:
    """The offset to the clock after one reading of each unit; `usable`: enough of it is present."""
    z = np.clip((np.where(there, values, evolution.mean) - evolution.mean) / evolution.scale, -SCALES_MAX, SCALES_MAX)
    told = np.clip(evolution.level + np.vecdot(z, evolution.answers), evolution.first, evolution.last)  # by unit: the same bits alone
    return np.where(usable, offset + evolution.rate * (told - clock - offset), offset)
