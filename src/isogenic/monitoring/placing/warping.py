"""Dynamic time warping: maturity by where the readings stand on the trajectory of a usual batch.

Every reading is held against all points of the template; the cheapest path through the distances
so far (steps along the template, along the readings, or both) ends at the maturity. On line the
end is open: only what has been read counts, and the next reading extends the same sums (Kassidas,
MacGregor and Taylor 1998; open end by Tormene and others 2009). Off line a batch is placed by the
same sums, reading by reading, so that a model is fitted on what it will see.

Distances weigh each variable by how well it tells maturity: the share of its variance that the
template explains, so that a signal that only scatters does not lead. A path that leaves its clock
costs: `BESIDE` for each step of the template beside the clock, so that a flat stretch, where the
readings say nothing, goes with the clock; and beyond `BAND` of the whole range nothing is looked at.

The template is the mean trajectory of the batches, aligned to the median one, once again to that mean.

Guarantees: maturity never falls, and lies on the template; a reading of which too little is
present goes with the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isogenic.monitoring.alignment import Grid, grid_of, on_grid
from isogenic.monitoring.structure import PRESENT_SHARE_MIN
from isogenic.monitoring.tables import BatchTable, Floats, present

__all__ = ["POINTS_MAX", "Template", "extended", "template_of"]

POINTS_MAX = 400  # of the template
ROUNDS = 2
BAND = 0.2  # of the range that a batch may be before or behind its clock
BESIDE = 0.001  # squared, of a distance of 1 scale in all variables, for each percent of the range beside the clock
STEP = 0.05  # cost of a step along one side only: a stop, or a leap
FAR = 1e12
NEAR_MAX = 10.0  # scales: one wild value is no more than far away


class Template(NamedTuple):
    """The usual batch: `values` float64[points, p] and their `scale` float64[p], `weight` float64[p] of sum 1."""

    grid: Grid
    values: Floats
    scale: Floats
    weight: Floats


def template_of(batches: Sequence[BatchTable]) -> Template:
    """The template of good batches."""
    fine = grid_of(batches, every=None)
    points = min(fine.points, POINTS_MAX)
    grid = Grid(fine.first, (fine.last - fine.first) / (points - 1), points)
    rows = np.stack([on_grid(each, grid) for each in batches])
    template = _of_rows(rows[[_middle(batches)]], rows, grid)
    for _ in range(ROUNDS):
        placed = zip(batches, _placed(template, batches), strict=True)
        template = _of_rows(np.stack([on_grid(BatchTable(each.batch, maturity, each.values), grid) for each, maturity in placed]), rows, grid)
    return template


def _middle(batches: Sequence[BatchTable]) -> int:
    lengths = [float(each.maturity.max() - each.maturity[0]) for each in batches]
    return int(np.argsort(lengths, kind="stable")[len(lengths) // 2])


def _of_rows(placed: Floats, rows: Floats, grid: Grid) -> Template:
    """The mean of rows placed on the template, filled along it where no batch says anything."""
    there = np.isfinite(placed)
    count = there.sum(axis=0)
    mean = np.where(there, placed, 0.0).sum(axis=0) / np.maximum(count, 1)
    at = np.arange(grid.points, dtype=np.float64)
    for column in range(mean.shape[1]):
        known = count[:, column] > 0
        mean[:, column] = np.interp(at, at[known], mean[known, column]) if known.any() else 0.0
    known_rows = np.isfinite(rows)
    around = np.where(known_rows, rows - mean, 0.0)
    scatter = np.sqrt(np.square(around).sum(axis=(0, 1)) / np.maximum(known_rows.sum(axis=(0, 1)), 1))
    course = mean.std(axis=0)
    scale = np.maximum(np.hypot(scatter, 0.1 * course), 1e-9 * np.maximum(np.abs(mean).max(axis=0), 1e-9))
    told = np.square(course) / (np.square(course) + np.square(scatter) + 1e-300)
    weight = np.where(told.sum() > 0, told / max(float(told.sum()), 1e-300), 1.0 / len(told))
    return Template(grid, mean, scale, weight)


def extended(template: Template, sums: Floats, values: Floats, there: NDArray[np.bool_], clock: Floats, reached: Floats) -> tuple[Floats, Floats]:
    """One reading of each unit: path sums float64[units, points] before and after, and the maturity now.

    `clock`: maturity by the clock; `reached`: the maturity before. Sums below 0 are those of a unit of which nothing was read.
    """
    grid, points = template.grid, template.grid.points
    at = np.arange(points, dtype=np.float64)
    by_clock = np.clip((clock - grid.first) / grid.step, 0.0, points - 1.0)
    beside = (at[None, :] - by_clock[:, None]) / (points - 1)
    off = np.minimum(np.abs((np.where(there, values, 0.0)[:, None, :] - template.values[None]) / template.scale), NEAR_MAX)
    weight = np.where(there, template.weight, 0.0)
    total = weight.sum(axis=1)
    cost = np.matmul(np.square(off), weight[:, :, None])[:, :, 0] / np.maximum(total, 1e-12)[:, None]
    blind = (there.mean(axis=1) < PRESENT_SHARE_MIN) | (total <= 0)
    cost = np.where(blind[:, None], 0.0, cost) + BESIDE * np.square(100.0 * beside)
    outside = np.abs(beside) > BAND
    cost[outside] = 0.0
    fresh = sums[:, :1] < 0
    stay = np.where(fresh, 0.0, sums + STEP)  # the reading moves on, the template does not
    both = np.where(fresh, 0.0, np.concatenate([np.full((len(sums), 1), FAR), sums[:, :-1]], axis=1))
    before = np.where(outside, FAR, np.minimum(stay, both) + cost)
    # along the template within one reading: running minimum of (before - way) + way
    way = np.cumsum(cost + STEP, axis=1)
    after = np.where(outside, FAR, np.minimum(np.minimum.accumulate(before - way, axis=1) + way, before))
    after = after - after.min(axis=1, keepdims=True)
    now = grid.first + grid.step * after.argmin(axis=1)
    return np.minimum(after, FAR), np.maximum(reached, now)


def _placed(template: Template, batches: Sequence[BatchTable]) -> list[Floats]:
    """The batches' maturities on the template, reading by reading, as on line."""
    longest = max(len(each.maturity) for each in batches)
    values, clock = np.full((len(batches), longest, template.values.shape[1]), np.nan), np.zeros((len(batches), longest))
    for number, each in enumerate(batches):
        values[number, : len(each.maturity)] = each.values
        clock[number, : len(each.maturity)] = np.maximum.accumulate(each.maturity)
    there, told = present(values), np.empty((len(batches), longest))
    sums, reached = np.full((len(batches), template.grid.points), -1.0), np.full(len(batches), -np.inf)
    for at in range(longest):
        sums, reached = extended(template, sums, values[:, at], there[:, at], clock[:, at], reached)
        told[:, at] = reached
    return [told[number, : len(each.maturity)] for number, each in enumerate(batches)]
