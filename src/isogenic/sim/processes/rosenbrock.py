"""A stiff integrator for one batch or for many at once, each with its own steps.

Guarantees: fourth order, L-stable, with an embedded error of third order, and the algebraic equations are kept beside the
differential ones. Each batch chooses its steps by itself: alone or among thousands it gets the same bytes. A batch that
cannot be carried on is named, and the others go on.
Leaves to others: the equations (`Problem`).

RODAS of Hairer & Wanner (Solving Ordinary Differential Equations II, IV.7 and VI.4), for autonomous equations of index 1.
The linear systems are small and the same for all batches, so they are eliminated entry by entry, without pivoting; what
is nought for every batch is a plain 0.0 and costs nothing. The order of the unknowns is the equations' business.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Failed", "Problem", "advance_many", "advance_one"]

Number = Any
Vector = list[Number]

GAMMA = 0.25
A = (
    (),
    (1.544,),
    (0.9466785280815826, 0.2557011698983284),
    (3.314825187068521, 2.896124015972201, 0.9986419139977817),
    (1.221224509226641, 6.019134481288629, 12.53708332932087, -0.6878860361058950),
)
C = (
    (),
    (-5.6688,),
    (-2.430093356833875, -0.2063599157091915),
    (-0.1073529058151375, -9.594562251023355, -20.47028614809616),
    (7.496443313967647, -10.24680431464352, -33.99990352819905, 11.70890893206160),
    (8.083246795921522, -7.981132988064893, -31.52159432874371, 16.31930543123136, -6.058818238834054),
)
STEPS_MAX = 20_000  # of one call: a hundred are usual
FIRST_STEP, STEP_LEAST = 1e-4, 1e-13  # of the unit of time


class Problem(Protocol):
    """Equations in the order in which they are eliminated; the first `algebraic` of them are 0 = f."""

    @property
    def algebraic(self) -> int: ...

    def slope(self, x: Vector) -> Vector: ...
    def slope_and_jacobian(self, x: Vector) -> tuple[Vector, list[Vector]]: ...
    def scale(self, x: Vector) -> Vector:
        """The error that is allowed to each entry of one step."""
        ...

    def some(self, which: NDArray[np.intp]) -> Problem: ...


class Failed(ArithmeticError):
    """A batch cannot be carried on."""


def advance_one(problem: Problem, x: Vector, *, hours: float, step: float = FIRST_STEP) -> tuple[Vector, float]:
    """The state of one batch (floats) `hours` later, and the step that it would take next; `Failed` where there is none."""
    at, taken = 0.0, 0
    while hours - at > 1e-12 * hours:
        h = min(step, hours - at)
        try:
            new, error = _step(problem, x, h)
            size = math.sqrt(sum((e / s) ** 2 for e, s in zip(error, problem.scale(new), strict=True)) / len(x))
        except (OverflowError, ZeroDivisionError, ValueError):
            size = math.inf
        finite = math.isfinite(size)
        grow = _grown(size) if finite else 0.1
        if finite and size <= 1.0:
            at, x = at + h, new
            step = max(step, h * grow) if h < step else h * grow
        else:
            step = h * grow
        taken += 1
        if step < STEP_LEAST or taken > STEPS_MAX:
            raise Failed(f"no step is small enough {at:g} after the start")
    return x, step


def advance_many(
    problem: Problem, x: Sequence[NDArray[np.float64]], *, hours: float, step: NDArray[np.float64] | None = None
) -> tuple[list[NDArray[np.float64]], NDArray[np.float64], NDArray[np.bool_]]:
    """The states (one array for each entry), the next steps, and which batches failed (their states are NaN)."""
    out = [each.copy() for each in x]
    n = len(out[0])
    step = np.full(n, FIRST_STEP) if step is None else step.copy()
    at, failed = np.zeros(n), np.zeros(n, dtype=bool)
    which = np.arange(n)
    some, here = problem.some(which), [each.copy() for each in out]
    with np.errstate(all="ignore"):
        for _ in range(STEPS_MAX):
            going = (hours - at[which] > 1e-12 * hours) & ~failed[which]
            if not going.any():
                break
            if going.sum() < 0.75 * len(which):  # those that have arrived are put aside
                for entry, value in zip(out, here, strict=True):
                    entry[which] = value
                here = [each[going] for each in here]
                which = which[going]
                some, going = problem.some(which), np.ones(len(which), dtype=bool)
            wanted, left = step[which], hours - at[which]
            h = np.where(going, np.minimum(wanted, left), wanted)
            new, error = _step(some, here, h)
            total = np.zeros(len(which))
            for e, s in zip(error, some.scale(new), strict=True):
                total = total + (e / s) * (e / s)
            size = np.sqrt(total / len(here))
            finite = np.isfinite(size)
            grow = np.where(finite, np.clip(0.9 / np.maximum(np.sqrt(np.sqrt(np.where(finite, size, 1.0))), 1e-6), 0.2, 6.0), 0.1)
            good = finite & (size <= 1.0)
            taken = good & going
            here = [np.where(taken, b, a) for a, b in zip(here, new, strict=True)]
            at[which] = np.where(taken, at[which] + h, at[which])
            next_ = np.where(good & (h < wanted), np.maximum(wanted, h * grow), h * grow)
            step[which] = np.where(going, next_, wanted)
            failed[which] |= going & (step[which] < STEP_LEAST)
    failed |= hours - at > 1e-12 * hours
    for entry, value in zip(out, here, strict=True):
        entry[which] = value
        entry[failed] = np.nan
    return out, np.where(failed, FIRST_STEP, step), failed


def _grown(size: float) -> float:
    return min(6.0, max(0.2, 0.9 / max(math.sqrt(math.sqrt(size)), 1e-6)))


def _step(problem: Problem, x: Vector, h: Number) -> tuple[Vector, Vector]:
    """One step: the new state, and the estimate of its error."""
    first, jacobian = problem.slope_and_jacobian(x)
    free, rate, inverse = problem.algebraic, 1.0 / (h * GAMMA), 1.0 / h
    matrix = [[entry if _nought(entry) else -entry for entry in row] for row in jacobian]
    for at in range(free, len(x)):
        matrix[at][at] = matrix[at][at] + rate
    factored = _factored(matrix)
    k = [_solved(factored, first)]
    y = x
    for stage in range(1, 6):
        if stage < 5:
            weights = A[stage]
            y = [value + sum_ for value, sum_ in zip(x, _combined(weights, k), strict=True)]
        else:
            y = [value + last for value, last in zip(y, k[4], strict=True)]
        slope = problem.slope(y)
        pulled = _combined(C[stage], k)
        slope = [value if at < free else value + pull * inverse for at, (value, pull) in enumerate(zip(slope, pulled, strict=True))]
        k.append(_solved(factored, slope))
    return [value + last for value, last in zip(y, k[5], strict=True)], k[5]


def _combined(weights: Sequence[float], k: list[Vector]) -> Vector:
    out = [weights[0] * value for value in k[0]]
    for weight, vector in zip(weights[1:], k[1 : len(weights)], strict=True):
        out = [a + weight * b for a, b in zip(out, vector, strict=True)]
    return out


def _nought(value: Number) -> bool:
    return type(value) is float and value == 0.0


class _Factored(NamedTuple):
    """What is not nought of a factored matrix: by row what stands below and above the diagonal, and the inverse pivot."""

    below: list[list[tuple[int, Number]]]
    above: list[list[tuple[int, Number]]]
    pivots: Vector


def _factored(matrix: list[Vector]) -> _Factored:
    size = len(matrix)
    made = _Factored([[] for _ in range(size)], [], [])
    for k in range(size):
        pivot = 1.0 / matrix[k][k]
        above = [(j, matrix[k][j]) for j in range(k + 1, size) if not _nought(matrix[k][j])]
        made.pivots.append(pivot)
        made.above.append(above)
        for i in range(k + 1, size):
            row = matrix[i]
            if _nought(row[k]):
                continue
            factor = row[k] * pivot
            made.below[i].append((k, factor))
            for j, value in above:
                row[j] = row[j] - factor * value
    return made


def _solved(factored: _Factored, right: Vector) -> Vector:
    below, above, pivots = factored
    y: Vector = []
    for value, row in zip(right, below, strict=True):
        for j, factor in row:
            value = value - factor * y[j]
        y.append(value)
    for i in range(len(y) - 1, -1, -1):
        value = y[i]
        for j, entry in above[i]:
            value = value - entry * y[j]
        y[i] = value * pivots[i]
    return y
