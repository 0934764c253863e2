"""Filters: what a unit's reading before says about the reading now.

A ridge regression expects each scaled deviation z from the scores y of the reading before
(a vector autoregression of order one in principal components). Of the residual r the
precision M is known, and w_i = (M r)_i / sqrt(M_ii) is the residual of variable i adjusted
for all others: w_i^2 is its reconstruction-based contribution (Alcala and Qin 2009), of mean
1 on good data. Moving averages (EWMA, Roberts 1959) of r see slow drift, those of w^2 a
changed spread: more of it, or, where something sticks or is frozen, less.

What few readings cannot tell is counted as variance. The expectation from scores y is uncertain
by its leverage h_i = sum_j y_j^2 / (lambda_j + ridge_i) + 1 / n, so a residual is held against
1 + h, and an average of residuals against rate / (2 - rate) plus the leverage of the averaged
scores: exactly the predictive variance of Bayesian ridge regression (Lindley and Smith 1972).
A unit that goes where the good data never were does not cry wolf for that alone.

Guarantees: a unit's numbers do not depend on which other units are judged beside it, bit
for bit; averages start at what good data give; residuals are silent until there is a reading
before, and after a gap until there is one again; a variable that is not there adds nothing.
The states given are never changed.
Leaves to others: scaling (structure), what is far (statistics, calibration).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isogenic.monitoring.tables import Floats

__all__ = ["ENERGY_MAX", "REACH_MAX", "Filtered", "Filters", "State", "expected", "filter_rows", "spread_of_averages", "start"]

# One wild reading is for the statistics of a single reading, and must not fill an average for hours.
ENERGY_MAX = 40.0  # of w^2
SHOCK_MAX = 8.0  # standard deviations of a residual, on its way into an average
REACH_MAX = 10.0  # standard deviations of a score, on its way into what is expected next


@dataclass(frozen=True, slots=True, eq=False)
class Filters:
    """`weights`: float64[p, p], from scores before to the deviation expected now; `leverage`: float64[p, p], of squared scores;
    `precision`: float64[p, p] of the residuals; `reach`: float64[p], the farthest that scores are believed; `rates`: float64[k];
    `energy`: float64[k, p], where averages of w^2 start; `rows`: fitted from. The arrays may have a leading axis of units, where
    each has filters of its own (of another maturity).
    """

    weights: Floats
    leverage: Floats
    precision: Floats
    reach: Floats
    rates: Floats
    energy: Floats
    rows: int
    root: Floats = field(init=False)  # of the precision's diagonal, inverted: float64[1, p]
    shock: Floats = field(init=False)  # float64[2 * p]: the largest residuals and scores that enter an average
    lowest: Floats = field(init=False)  # the same, below
    steps: Floats = field(init=False)  # the rates as a column
    noise: Floats = field(init=False)  # variance of the reading itself and of the averages, but for the scores' leverage: float64[1 + k, 1]

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", 1.0 / np.sqrt(np.diagonal(self.precision, axis1=-2, axis2=-1))[..., None, :])
        shock = SHOCK_MAX * np.sqrt(np.diagonal(np.linalg.inv(self.precision), axis1=-2, axis2=-1))
        object.__setattr__(self, "shock", np.concatenate([shock, self.reach], axis=-1))
        object.__setattr__(self, "lowest", -self.shock)
        object.__setattr__(self, "steps", self.rates[:, None])
        object.__setattr__(self, "noise", spread_of_averages(self.rates) + 1.0 / self.rows)

    @property
    def variables(self) -> int:
        """How many variables are filtered."""
        return int(self.weights.shape[-1])


class State(NamedTuple):
    """Of each unit: the scores before, whether there are any, and the averages."""

    before: Floats  # float64[units, p]
    known: NDArray[np.bool_]  # bool[units]
    averages: Floats  # float64[units, k, 2 * p]: of residuals and of the scores before
    energy: Floats  # float64[units, k, p]: of w^2
    every: bool  # known everywhere


class Filtered(NamedTuple):
    """What the filters say of one reading of each unit: first of the reading itself, then of the averages, slower and slower."""

    size: Floats  # float64[units, 1 + k]: squared length of the residual, in units of its predictive covariance
    w: Floats  # float64[units, 1 + k, p]: adjusted residuals
    energy: Floats  # float64[units, k, p]: averages of w^2
    known: NDArray[np.bool_]  # bool[units]: False where there was no reading before; the rest then tells the state before
    every: bool  # known everywhere


def start(filters: Filters, units: int) -> State:
    """Units of which nothing has been read."""
    p, k = filters.variables, len(filters.rates)
    return State(np.zeros((units, p)), np.zeros(units, dtype=np.bool_), np.zeros((units, k, 2 * p)), np.tile(filters.energy, (units, 1, 1)), False)


def spread_of_averages(rates: Floats) -> Floats:
    """The variance of the reading itself and of the averages of white noise of variance 1: float64[1 + k, 1]."""
    return np.concatenate([[1.0], rates / (2.0 - rates)])[:, None]


def expected(filters: Filters, state: State) -> Floats:
    """The deviations that the readings before let expect: float64[units, p]; 0 where there are none."""
    # one product for each unit, here and below: a unit beside others is then the same bits as alone
    return np.where(state.known[:, None], np.matmul(state.before[:, None, :], filters.weights)[:, 0], 0.0)


def filter_rows(
    filters: Filters, state: State, z: Floats, scores: Floats, *, read: NDArray[np.bool_], there: NDArray[np.bool_], whole: bool
) -> tuple[State, Filtered]:
    """One reading of each unit: `z`, `scores` float64[units, p]; where `read` is False there was none: a gap.

    `there`: which values were present; `whole`: all of them were.
    """
    units, p = z.shape
    every = state.every and (whole or bool(read.all()))
    known = state.known if every else read & state.known
    # first the reading itself, then the averages; residuals and the scores before side by side
    both = np.empty((units, 1 + len(filters.rates), 2 * p))
    residual, past, averages = both[:, :, :p], both[:, :, p:], both[:, 1:]
    np.subtract(z, np.matmul(state.before[:, None, :], filters.weights)[:, 0], out=both[:, 0, :p])
    both[:, 0, p:] = state.before
    now = np.minimum(both[:, 0], filters.shock)
    np.maximum(now, filters.lowest, out=now)
    np.subtract(now[:, None], state.averages, out=averages)
    averages *= filters.steps
    averages += state.averages
    if not every:
        both[:, 0, :p] = np.where(known[:, None], both[:, 0, :p], 0.0)
        both[:, 1:] = np.where(known[:, None, None], averages, state.averages)
    scale = np.matmul(np.square(past), filters.leverage)
    scale += filters.noise
    stacked = residual / np.sqrt(scale, out=scale)
    w = np.matmul(stacked, filters.precision)
    size = np.vecdot(stacked, w)
    w *= filters.root
    energy = np.minimum(np.square(w[:, :1]), ENERGY_MAX) - state.energy
    energy *= filters.steps
    energy += state.energy
    if not (every and whole):
        energy = np.where((known[:, None] & there)[:, None], energy, state.energy)
    before = np.minimum(scores, filters.reach)
    np.maximum(before, filters.lowest[..., p:], out=before)
    if not whole:
        before = np.where(read[:, None], before, 0.0)
    return State(before, read, averages, energy, whole or bool(read.all())), Filtered(size, w, energy, known, every)
