"""Twin and batch, side by side: what was read, what the twin of that batch says, what any batch of the site would do.

Guarantees: a residual is in standard deviations of its instrument, noise and bias together; the band of the site holds
95 % of what such batches would show: the scatter between them, what is not known of the site, and the instruments.
Leaves to others: how it looks (`sim.pages.twin_screen`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isogenic.sim.fitting.estimation import Solution
from isogenic.sim.fitting.result import Fit
from isogenic.sim.processes.process import Floats

__all__ = ["Comparison", "Trace", "compared", "largest"]

BAND = 1.96


@dataclass(frozen=True, slots=True)
class Trace:
    """One variable of one batch, at the ages at which it was read."""

    variable: str
    unit: str
    what: str
    age_h: Floats
    read: Floats
    twin: Floats  # of this batch
    site: Floats  # of the site: a batch without luck
    low: Floats  # of the site's band
    high: Floats
    residual: Floats  # standard deviations
    used: int  # readings that took part


@dataclass(frozen=True, slots=True)
class Comparison:
    """One batch beside its twin."""

    batch: str
    traces: tuple[Trace, ...]

    @property
    def worst(self) -> tuple[str, float, float]:
        """The largest residual: variable, age, standard deviations."""
        return largest(self.traces)


def largest(traces: Sequence[Trace]) -> tuple[str, float, float]:
    """The largest residual of these: variable, age, standard deviations."""
    found = ("", 0.0, 0.0)
    for each in traces:
        if not np.isfinite(each.residual).any():
            continue
        at = int(np.nanargmax(np.abs(each.residual)))
        if abs(each.residual[at]) > abs(found[2]):
            found = (each.variable, float(each.age_h[at]), float(each.residual[at]))
    return found


def compared(found: Fit) -> list[Comparison]:
    """Every batch of a fit beside its twin."""
    solution = found.solution
    problem, twin = solution.problem, solution.twin
    own = solution.moves(solution.theta[None])
    site = np.zeros_like(own)
    site[:, :, : len(solution.theta)] = solution.theta
    shown = twin.run(np.concatenate([own, site]))
    covariance = np.array(found.covariance)
    return [Comparison(batch.name, _traces(solution, at, shown[at], np.minimum(covariance, 1.0))) for at, batch in enumerate(problem.batches)]


def _traces(solution: Solution, at: int, shown: Floats, covariance: Floats) -> tuple[Trace, ...]:
    problem, rows = solution.problem, solution.twin.rows[at]
    errors = np.diag(solution.twin.errors(rows, shown[0]))
    slopes, p = solution.slopes[at], len(solution.theta)
    spread = np.sqrt(
        errors + ((slopes * solution.scatter) ** 2).sum(axis=1) + np.einsum("ij,jk,ik->i", slopes[:, :p], covariance, slopes[:, :p]).clip(0)
    )
    out = []
    for number, name in enumerate(problem.variables):
        mine = rows.variable == number
        if not mine.any():
            continue
        each = problem.process.variables[name]
        middle, width = shown[1][mine], BAND * spread[mine]
        residual = (rows.read[mine] - shown[0][mine]) / np.sqrt(errors[mine])
        taken = np.where(solution.used[at][mine], residual, np.nan)
        out.append(
            Trace(
                name,
                each.unit,
                each.what,
                rows.age_h[mine],
                rows.read[mine],
                shown[0][mine],
                middle,
                np.maximum(middle - width, each.low),
                middle + width,
                taken,
                int(solution.used[at][mine].sum()),
            )
        )
    return tuple(out)
