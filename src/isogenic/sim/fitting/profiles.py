"""Profile likelihood: how far a constant can be moved, the others following, until the data object.

Guarantees: an interval's end lies where the sum of squares has grown by the chi-squared quantile of one constant; a side
on which it does not grow so far within the bound stays open, and says so. Steps are few: where the profile is a parabola
in the logarithm, three points a side.
Leaves to others: weights (`estimation`; they stay as they are at the best fit).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import least_squares

from isogenic.sim.processes.process import Floats

if TYPE_CHECKING:
    from isogenic.sim.fitting.estimation import Solution

__all__ = ["Profile", "profile"]

POINTS_MAX = 14  # a side
NEAR = 0.02  # of the threshold's root: as near as an end is found


@dataclass(frozen=True, slots=True)
class Profile:
    """One constant's: logarithms from the best fit, growth of the sum of squares there; ends, `None` where it stays open."""

    moved: tuple[float, ...]
    growth: tuple[float, ...]
    low: float | None
    high: float | None


def profile(solution: Solution, at: int, *, error: float, threshold: float, step: float) -> Profile:
    """Of constant number `at`, whose standard error is about so large; `threshold` is the growth at the ends."""
    least = float(np.sum(solution.weighed(solution.theta[None])[0] ** 2))
    points: dict[float, float] = {0.0: 0.0}
    low = _side(solution, at, -1.0, error=error, threshold=threshold, step=step, least=least, points=points)
    high = _side(solution, at, 1.0, error=error, threshold=threshold, step=step, least=least, points=points)
    moved = sorted(points)
    return Profile(tuple(moved), tuple(points[each] for each in moved), None if low is None else -low, high)


def _side(
    solution: Solution, at: int, sign: float, *, error: float, threshold: float, step: float, least: float, points: dict[float, float]
) -> float | None:
    bound = math.log(solution.problem.bound)
    room = bound - sign * float(solution.theta[at])
    wanted = math.sqrt(threshold)
    inside, outside = (0.0, 0.0), None
    theta = solution.theta.copy()
    if not math.isfinite(error) or error <= 0:
        error = room
    trial = min(wanted * error, room)
    for _ in range(POINTS_MAX):
        theta, growth = _others(solution, theta, at, float(solution.theta[at]) + sign * trial, step=step, least=least)
        points[sign * trial] = growth
        root = math.sqrt(max(growth, 0.0))
        if abs(root - wanted) < NEAR * wanted:
            return trial
        if root < wanted:
            inside = (trial, root)
            if trial >= room:
                return None
        else:
            outside = (trial, root)
        if outside is None:
            ahead = trial * wanted / max(root, 0.2 * wanted)
            trial = min(max(ahead * 1.02, trial * 1.05), room)
        else:
            share = (wanted - inside[1]) / (outside[1] - inside[1])
            trial = inside[0] + min(max(share, 0.05), 0.95) * (outside[0] - inside[0])
    return outside[0] if outside else None


def _others(solution: Solution, theta: Floats, at: int, value: float, *, step: float, least: float) -> tuple[Floats, float]:
    """The best of the other constants with this one held: where they are, and how much the sum of squares has grown."""
    free = [each for each in range(len(theta)) if each != at]
    held = theta.copy()
    held[at] = value
    if not free:
        return held, float(np.sum(solution.weighed(held[None])[0] ** 2)) - least
    limit = math.log(solution.problem.bound)
    aim = solution.objective(held, free=free, step=step)
    found = least_squares(
        aim.residuals,
        np.clip(held[free], -limit * 0.999, limit * 0.999),
        jac=aim.slopes,
        bounds=(-limit, limit),
        x_scale="jac",
        ftol=1e-4,
        xtol=1e-5,
        gtol=None,
        max_nfev=12,
    )
    return aim.whole(found.x), 2.0 * float(found.cost) - least
