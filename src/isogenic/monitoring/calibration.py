"""Calibration: limits that keep their promise on batches that were not used for fitting.

The promise is per batch: of good batches, about `false_alarms` have any alarm between start
and end. Batches are left out in turn, the structure is fitted from the rest, and the left-out
batch is measured at its own samples. That gives

1. the *shape* of each limit along maturity: Box's scaled chi-squared (Box 1954) through the mean
   and variance of the left-out statistics around each knot, at one level everywhere; and
2. one *factor* for both shapes: each batch's critical factor is the lowest at which it would not
   have alarmed, by the same rule of consecutive samples as on line; the factor is their
   quantile, of a new batch (so with n + 1, not n) where there are enough, and otherwise by
   Student's t on their logarithms.

The shape that a batch is held against comes from the other batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from isogenic.monitoring.alignment import Grid, monotone
from isogenic.monitoring.structure import Structure, measure, structure_of
from isogenic.monitoring.sums import Sums
from isogenic.monitoring.tables import BatchTable, Floats

__all__ = [
    "GROUPS_MAX",
    "HeldOut",
    "Limits",
    "critical_factors",
    "critical_of",
    "factor_of",
    "held_out",
    "limits_along",
    "limits_from",
    "measured",
    "moments_of",
    "shape_of",
]

GROUPS_MAX = 40  # with more batches, several are left out together
SHAPE_LEVEL = 0.99  # of the distribution at one maturity; the factor does the rest
FREEDOM_MIN = 0.5  # degrees of freedom of the fitted chi-squared
LIMIT_MIN = 1e-9
RATIO_MIN = 1e-6


class HeldOut(NamedTuple):
    """A left-out batch's statistics at its own judged samples, and the knot of each."""

    t2: Floats
    spe: Floats
    knot: NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """Limits at each grid point, and how they were found."""

    t2: Floats
    spe: Floats
    factor: float
    share: float  # of the left-out batches over them


def held_out(
    batches: Sequence[BatchTable], aligned: Sequence[Floats], total: Sums, grid: Grid, *, components: int, floor: Floats, bounds: Sequence[float] = ()
) -> tuple[list[HeldOut], int]:
    """Every batch measured by a structure that never saw it, and how many such structures were fitted."""
    groups = min(len(batches), GROUPS_MAX)
    results: list[HeldOut | None] = [None] * len(batches)
    for group in range(groups):
        members = range(group, len(batches), groups)
        rest = total
        for each in members:
            rest = rest - Sums.of(aligned[each], total.centre)
        structure = structure_of(rest, grid, components=components, floor=floor, bounds=bounds)
        for each in members:
            results[each] = measured(structure, batches[each])
    return [each for each in results if each is not None], groups


def measured(structure: Structure, table: BatchTable) -> HeldOut:
    """A batch at its own samples, as it would be measured on line."""
    found = measure(structure, monotone(table.maturity), table.values)
    judged = np.isfinite(found.t2)
    return HeldOut(found.t2[judged], found.spe[judged], found.place.knot[judged])


def limits_from(results: Sequence[HeldOut], structure: Structure, *, false_alarms: float, consecutive: int) -> Limits:
    """Shape and factor from the left-out batches."""
    critical = critical_factors(results, np.ones(len(results), dtype=np.bool_), knots=structure.knots, consecutive=consecutive)
    moments = np.sum([moments_of(each, structure.knots) for each in results], axis=0)
    return limits_along(structure, moments, critical, false_alarms=false_alarms)


def limits_along(structure: Structure, moments: Floats, critical: Floats, *, false_alarms: float, factor: float | None = None) -> Limits:
    """Limits along the grid from the left-out batches' summed moments and their critical factors, or with a `factor` known otherwise."""
    factor = factor_of(critical, false_alarms) if factor is None else factor
    knots = np.linspace(0.0, structure.grid.points - 1.0, structure.knots)
    along = np.arange(structure.grid.points, dtype=np.float64)
    t2, spe = (np.interp(along, knots, factor * shape_of(moments[which])) for which in (0, 1))
    return Limits(t2, spe, factor, float((critical > factor).mean()))


def critical_factors(results: Sequence[HeldOut], reference: NDArray[np.bool_], *, knots: int, consecutive: int) -> Floats:
    """Each batch's critical factor against the shape of the reference batches, itself left out: float64[n]."""
    moments = np.stack([moments_of(each, knots) for each in results])
    total = moments[reference].sum(axis=0)
    critical = []
    for each, own, counted in zip(results, moments, reference, strict=True):
        critical.append(critical_of(each, total - own if counted else total, consecutive=consecutive))
    return np.array(critical)


def moments_of(result: HeldOut, knots: int) -> Floats:
    """Of T2 and of SPE, at each knot: count, sum and sum of squares: float64[2, 3, knots]."""
    return np.stack(
        [
            [np.bincount(result.knot, weights, knots) for weights in (np.ones_like(statistic), statistic, statistic * statistic)]
            for statistic in (result.t2, result.spe)
        ]
    )


def shape_of(moments: Floats) -> Floats:
    """The limit's shape at each knot from its own and its neighbours' moments."""
    widened = moments.copy()
    widened[:, 1:] += moments[:, :-1]
    widened[:, :-1] += moments[:, 1:]
    known = widened[0] >= 2
    if not known.any():
        return np.ones(moments.shape[1])
    count = np.maximum(widened[0], 1.0)
    mean = np.maximum(widened[1] / count, LIMIT_MIN)
    variance = np.maximum(widened[2] / count - mean * mean, 1e-12 * mean * mean)
    freedom = np.maximum(2.0 * mean * mean / variance, FREEDOM_MIN)
    shape = mean * _chi2_quantile(freedom) / freedom
    at = np.arange(len(shape), dtype=np.float64)
    filled: Floats = np.interp(at, at[known], shape[known])
    return filled


def _chi2_quantile(freedom: Floats) -> Floats:
    """Wilson and Hilferty 1931; good enough for a shape, the factor takes up the rest."""
    part = 2.0 / (9.0 * freedom)
    quantile: Floats = freedom * (1.0 - part + NormalDist().inv_cdf(SHAPE_LEVEL) * np.sqrt(part)) ** 3
    return quantile


def critical_of(result: HeldOut, moments: Floats, *, consecutive: int) -> float:
    """The lowest factor at which no run of `consecutive` samples lies over the limit whose shape the moments give."""
    t2_shape, spe_shape = shape_of(moments[0]), shape_of(moments[1])
    ratio = np.maximum(result.t2 / t2_shape[result.knot], result.spe / spe_shape[result.knot])
    if len(ratio) < consecutive:
        return RATIO_MIN
    return max(float(np.lib.stride_tricks.sliding_window_view(ratio, consecutive).min(axis=1).max()), RATIO_MIN)


def factor_of(critical: Floats, false_alarms: float) -> float:
    """The factor that a new batch exceeds with the stated probability."""
    n = len(critical)
    rank = (n + 1) * (1.0 - false_alarms)
    if rank <= n - 1:
        ordered = np.sort(critical)
        low = int(rank)
        return float(ordered[low - 1] + (rank - low) * (ordered[low] - ordered[low - 1]))
    logs = np.log(critical)
    reach = float(stdtrit(n - 1, 1.0 - false_alarms)) * np.sqrt(1.0 + 1.0 / n)
    return float(np.exp(logs.mean() + reach * logs.std(ddof=1)))
