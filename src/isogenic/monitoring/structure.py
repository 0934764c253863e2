"""Structure: what normal looks like at each maturity, and how far a reading is from it.

At each grid point a mean and a scale for every variable; at fewer *knots* along the grid
the directions (principal components of the scaled deviations, Jackson 1991) and their
spread. Directions change slowly, so each knot pools the grid points around it: few
batches suffice. The covariance is shrunk a little towards no correlation.

For a reading, scaled to z and turned into scores y: Hotelling's T2 is the sum of
y_j^2 / spread_j over the leading components, the squared prediction error (SPE) the sum of
y_j^2 over the rest. A missing value is filled in by its regression on those present
(conditional mean; Nelson, Taylor and MacGregor 1996), so it adds nothing of its own.

Guarantees: the same numbers for one reading and for many at once; works on a leading axis
of units or of samples.
Leaves to others: limits (calibration), alarms (judging).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isogenic.errors import NotValid
from isogenic.monitoring.alignment import Grid
from isogenic.monitoring.sums import Sums
from isogenic.monitoring.tables import Floats, Variable, present

__all__ = [
    "PRESENT_SHARE_MIN",
    "Z_MAX",
    "Measures",
    "Place",
    "Structure",
    "between",
    "filled",
    "halves",
    "measure",
    "place",
    "structure_from",
    "structure_of",
]

KNOTS_MAX = 60
KNOT_REACH = 0.05  # of the whole range, to each side: the readings that one knot pools
SCALE_REACH = 2  # grid points to each side that the scale is smoothed over
SLACK = 1.0  # grid steps that a batch may be early or late: where the mean jumps, one sample beside the jump is no departure
SCALE_FLOOR = 0.1  # of the variable's typical scale: where batches agree almost exactly, noise must not become an alarm
CONSTANT_FLOOR = 0.01  # of its level: the scale of a variable that never moved in the reference
SHRINK_MIN = 0.02  # towards no correlation, so that directions of almost no spread stay harmless
VARIANCE_EXPLAINED = 0.8  # by the components, when their number is not given
Z_MAX = 1e6  # farther from normal than this is the same verdict; keeps squares finite
PRESENT_SHARE_MIN = 0.5  # of the variables must be present to judge at all
GRID_FILLED_MAX = 0.2  # of the grid points may lack a variable in the reference, filled in from their neighbours
COUNT_MIN = 3  # batches behind a mean and a scale


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """`mean`, `scale`: float64[points, p]; `directions`: float64[knots, p, p], rows are directions; `spread`: float64[knots, p]."""

    grid: Grid
    components: int
    mean: Floats
    scale: Floats
    directions: Floats
    spread: Floats

    @property
    def knots(self) -> int:
        """How many places along the grid have their own directions."""
        return len(self.spread)


class Place(NamedTuple):
    """Where maturities lie on the grid: the point before, the share of the way to the next, the nearest knot."""

    inside: NDArray[np.bool_]
    before: NDArray[np.intp]
    share: Floats
    knot: NDArray[np.intp]


class Measures(NamedTuple):
    """What was measured of n readings; rows that cannot be judged are NaN in `t2` and `spe`."""

    t2: Floats
    spe: Floats
    z: Floats  # scaled deviations, missing ones filled in
    scores: Floats
    expected: Floats
    there: NDArray[np.bool_]  # which values were present
    place: Place


def place(structure: Structure, maturity: Floats) -> Place:
    """Where maturities lie; half a step beyond the ends still counts."""
    points = structure.grid.points
    with np.errstate(over="ignore"):
        steps = (maturity - structure.grid.first) / structure.grid.step
    inside = (steps >= -0.5) & (steps <= points - 0.5)
    steps = np.where(inside, np.minimum(np.maximum(steps, 0.0), points - 1.0), 0.0)
    before = np.minimum(steps.astype(np.intp), points - 2)
    knot = np.rint(steps * ((structure.knots - 1) / (points - 1))).astype(np.intp)
    return Place(inside, before, steps - before, knot)


def between(table: Floats, at: Place) -> Floats:
    """Values of a grid table at places, by interpolation."""
    low = table[at.before]
    share = at.share if table.ndim == 1 else at.share[:, None]
    values: Floats = low + share * (table[at.before + 1] - low)
    return values


def measure(structure: Structure, maturity: Floats, values: Floats) -> Measures:
    """T2 and SPE of readings: `maturity` float64[n], `values` float64[n, p]."""
    at = place(structure, maturity)
    expected = between(structure.mean, at)
    there = present(values)
    directions, spread = structure.directions[at.knot], structure.spread[at.knot]
    if there.all():
        enough = at.inside
        z = (values - expected) / between(structure.scale, at)
    else:
        enough = at.inside & (there.mean(axis=1) >= PRESENT_SHARE_MIN)
        z = np.where(there, (np.where(there, values, 0.0) - expected) / between(structure.scale, at), 0.0)
    z = np.minimum(np.maximum(z, -Z_MAX), Z_MAX)
    for row in np.flatnonzero(enough & ~there.all(axis=1)):
        z[row] = filled(z[row], there[row], directions[row], spread[row])
    scores = np.matmul(directions, z[:, :, None])[:, :, 0]
    squares = scores * scores
    a = structure.components
    t2 = (squares[:, :a] / spread[:, :a]).sum(axis=1)
    spe = squares[:, a:].sum(axis=1)
    if not enough.all():
        t2, spe = np.where(enough, t2, np.nan), np.where(enough, spe, np.nan)
    return Measures(t2, spe, z, scores, expected, there, at)


def filled(z: Floats, there: NDArray[np.bool_], directions: Floats, spread: Floats) -> Floats:
    """A reading's missing values from those present."""
    precision = (directions.T / spread) @ directions
    gone = ~there
    whole = z.copy()
    whole[gone] = -np.linalg.solve(precision[np.ix_(gone, gone)], precision[np.ix_(gone, there)] @ z[there])
    return whole


def halves(spread: Floats, components: int) -> Floats:
    """What squared scores count in T2 and in SPE, each against its own spread: float64[p, 2]."""
    weights = np.zeros((len(spread), 2))
    weights[:components, 0], weights[components:, 1] = 1.0 / spread[:components], 1.0 / spread[components:]
    return weights


def scale_floor(sums: Sums) -> Floats:
    """The least scale of each variable: a share of its typical one, or of its level when it never moved."""
    variance = np.diagonal(sums.covariance(), axis1=1, axis2=2)
    typical = np.sqrt(np.maximum(variance, 0.0).mean(axis=0))
    level = np.nanmax(np.abs(sums.mean()), axis=0)
    constant = CONSTANT_FLOOR * np.where(level > 0, level, 1.0)
    floor: Floats = np.where(typical > 1e-9 * np.maximum(level, 1e-300), SCALE_FLOOR * typical, constant)
    return floor


def check_sums(sums: Sums, variables: tuple[Variable, ...], grid: Grid) -> None:
    """Refuse a reference in which a variable is missing too often to say what is normal."""
    thin = (sums.count < COUNT_MIN).mean(axis=0)
    for variable, share in zip(variables, thin, strict=True):
        if share > GRID_FILLED_MAX:
            raise NotValid(
                f"cannot fit {variable.name}",
                why=f"on {share:.0%} of the maturities from {grid.first:g} to {grid.last:g} fewer than {COUNT_MIN} batches have a value of it",
                possible="leave the variable out, or bring more batches",
            )


def structure_of(sums: Sums, grid: Grid, *, components: int, floor: Floats, bounds: Sequence[float] = ()) -> Structure:
    """The structure that sums tell. `components` 0: as many as explain most of the variance; `bounds`: see `structure_from`."""
    return structure_from(
        sums.mean(),
        sums.covariance(),
        sums.count >= COUNT_MIN,
        grid,
        batches=float(np.median(sums.count)),
        components=components,
        floor=floor,
        bounds=bounds,
    )


def structure_from(
    mean: Floats,
    covariance: Floats,
    enough: NDArray[np.bool_],
    grid: Grid,
    *,
    batches: float,
    components: int,
    floor: Floats,
    bounds: Sequence[float] = (),
) -> Structure:
    """The structure of a mean and a covariance at each grid point; what is not `enough` takes its neighbours' value.

    `bounds`: the maturities where a new phase begins: no knot pools readings from both sides of one.
    """
    mean = _along(mean, enough)
    variance = np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0)
    scale = np.maximum(np.sqrt(_along(_smoothed(variance, enough), enough) + np.square(SLACK * _steepness(mean))), floor)
    scaled = covariance / (scale[:, :, None] * scale[:, None, :])
    points, p = mean.shape
    knots = min(points, KNOTS_MAX)
    kernel = _kernel(points, knots, np.searchsorted(np.asarray(bounds, dtype=np.float64), grid.maturity() + 1e-9 * grid.step, side="right"))
    pooled = (kernel @ scaled.reshape(points, p * p)).reshape(knots, p, p)
    shrink = max(SHRINK_MIN, p / (p + 10.0 * batches))
    spread, directions = np.linalg.eigh((1.0 - shrink) * pooled + shrink * np.eye(p))
    spread = np.maximum(spread[:, ::-1], SHRINK_MIN / 2)
    directions = np.ascontiguousarray(directions[:, :, ::-1].transpose(0, 2, 1))
    lead = np.take_along_axis(directions, np.abs(directions).argmax(axis=2)[:, :, None], axis=2)
    directions = directions * np.where(lead < 0, -1.0, 1.0)
    if not components:
        explained = np.cumsum(spread.mean(axis=0)) / spread.mean(axis=0).sum()
        components = int(min(np.searchsorted(explained, VARIANCE_EXPLAINED) + 1, p - 1))
    return Structure(grid, components, mean, scale, directions, np.ascontiguousarray(spread))


def _along(table: Floats, enough: NDArray[np.bool_]) -> Floats:
    """Points that too few batches speak for take their neighbours' value."""
    if enough.all():
        return table
    filled = table.copy()
    at = np.arange(len(table), dtype=np.float64)
    for each in range(table.shape[1]):
        known = enough[:, each]
        filled[:, each] = np.interp(at, at[known], table[known, each]) if known.any() else 0.0
    return filled


def _steepness(mean: Floats) -> Floats:
    """How much the mean changes to the farther of its two neighbours; not at all where it has none."""
    if len(mean) == 1:
        return np.zeros_like(mean)
    change = np.abs(np.diff(mean, axis=0))
    steepness: Floats = np.maximum(np.concatenate([change[:1], change]), np.concatenate([change, change[-1:]]))
    return steepness


def _smoothed(variance: Floats, enough: NDArray[np.bool_]) -> Floats:
    weight = enough.astype(np.float64)
    total, sum_of = np.zeros_like(variance), np.zeros_like(variance)
    points = len(variance)
    for shift in range(-SCALE_REACH, SCALE_REACH + 1):
        share = 1.0 - abs(shift) / (SCALE_REACH + 1)
        to = slice(max(0, -shift), min(points, points - shift))
        frm = slice(max(0, shift), min(points, points + shift))
        sum_of[to] += share * (weight * variance)[frm]
        total[to] += share * weight[frm]
    smoothed: Floats = sum_of / np.maximum(total, 1e-12)
    return smoothed


def _kernel(points: int, knots: int, phase: NDArray[np.intp]) -> Floats:
    """How much each grid point counts at each knot: float64[knots, points], rows sum to 1. `phase`: of each point; a knot keeps to its own."""
    centres = np.linspace(0.0, points - 1.0, knots)
    reach = max(2.0, KNOT_REACH * points, (points - 1.0) / max(knots - 1, 1))
    weight = np.maximum(0.0, 1.0 - np.abs(np.arange(points)[None, :] - centres[:, None]) / reach)
    weight *= phase[None, :] == phase[np.rint(centres).astype(np.intp)][:, None]
    kernel: Floats = weight / weight.sum(axis=1, keepdims=True)
    return kernel
