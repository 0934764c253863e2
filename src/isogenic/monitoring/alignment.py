"""Alignment: batches of unlike length onto one grid of maturity.

Every batch is read at the same maturities by interpolation between its own samples.
Maturity is made monotone first: an indicator that falls back (noise, foam) counts as its
highest value so far, on line exactly as here, and samples of equal maturity are averaged.

Guarantees: nothing is extrapolated; a gap too long to bridge stays NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isogenic.errors import NotValid
from isogenic.monitoring.tables import BatchTable, Floats, present

__all__ = ["GRID_MAX", "Grid", "grid_of", "monotone", "on_grid"]

GRID_MAX = 2_000  # points; finer grids cost memory and add nothing that neighbours do not say
GAP_SHARE = 0.05  # of the whole range: the longest gap that interpolation may bridge
GAP_STEPS = 4.0


@dataclass(frozen=True, slots=True)
class Grid:
    """Equally spaced maturities: `first + step * i` for i in 0 .. points - 1."""

    first: float
    step: float
    points: int

    def maturity(self) -> Floats:
        """All maturities of the grid."""
        return self.first + self.step * np.arange(self.points, dtype=np.float64)

    @property
    def last(self) -> float:
        """The highest maturity of the grid."""
        return self.first + self.step * (self.points - 1)


def monotone(maturity: Floats) -> Floats:
    """The highest maturity reached so far."""
    return np.maximum.accumulate(maturity)


def grid_of(batches: Sequence[BatchTable], *, every: float | None) -> Grid:
    """The grid between the maturities that at least half of the batches cover; by default as fine as the batches' own samples."""
    firsts = sorted(float(table.maturity[0]) for table in batches)
    lasts = sorted((float(table.maturity.max()) for table in batches), reverse=True)
    middle = len(batches) // 2
    first, last = firsts[middle], lasts[middle]
    if not last > first:
        raise NotValid("cannot align the batches", why="their maturity does not rise")
    step = every if every is not None else float(np.median([_span(table) / (len(table.maturity) - 1) for table in batches]))
    if not (np.isfinite(step) and step > 0):
        raise NotValid(f"cannot use a grid step of {step}", why="it must be above 0")
    if every is None:
        step = max(step, (last - first) / (GRID_MAX - 1))
    with np.errstate(over="ignore"):
        points = int(min(np.floor(np.float64(last - first) / step + 1e-9), float(GRID_MAX))) + 1
    if not 2 <= points <= GRID_MAX:
        raise NotValid(f"cannot use a grid step of {step:g}", why=f"from {first:g} to {last:g} it gives fewer than 2 or more than {GRID_MAX} points")
    return Grid(first, step, points)


def _span(table: BatchTable) -> float:
    return float(table.maturity.max() - table.maturity[0])


def on_grid(table: BatchTable, grid: Grid) -> Floats:
    """The batch's values at every maturity of the grid: float64[points, p], NaN where the batch does not say."""
    at = grid.maturity()
    usable = present(table.values)
    maturity, groups = np.unique(monotone(table.maturity), return_inverse=True)
    counts = np.stack([np.bincount(groups, usable[:, each], len(maturity)) for each in range(usable.shape[1])], axis=1)
    sums = np.stack(
        [np.bincount(groups, np.where(usable[:, each], table.values[:, each], 0.0), len(maturity)) for each in range(usable.shape[1])], axis=1
    )
    gap_max = max(GAP_STEPS * grid.step, GAP_SHARE * (grid.last - grid.first))
    columns = np.full((grid.points, usable.shape[1]), np.nan)
    for each in range(usable.shape[1]):
        known = counts[:, each] > 0
        if known.sum() >= 2:
            columns[:, each] = _interpolated(at, maturity[known], sums[known, each] / counts[known, each], gap_max=gap_max, slack=grid.step / 2)
    return columns


def _interpolated(at: Floats, maturity: Floats, values: Floats, *, gap_max: float, slack: float) -> Floats:
    after = np.clip(np.searchsorted(maturity, at), 1, len(maturity) - 1)
    bridged = maturity[after] - maturity[after - 1] <= gap_max
    inside = (at >= maturity[0] - slack) & (at <= maturity[-1] + slack)
    return np.where(bridged & inside, np.interp(at, maturity, values), np.nan)
