"""Batches of one lot of medium are off together, and so are their spectra: they tell less of their site than as many lots would.

Guarantees: the covariance of the site's constants is that of the weighted mean they are, with the lots' part of the scatter,
and of what models of spectra err by, common to the batches of a lot. Weights are those of batches with lots of their own, so
the estimate is not the shortest one, but its interval is right.
Leaves to others: which batch is of which lot (`tables`, `documents`); a batch of which nobody said it has its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from isogenic.sim.processes.process import Floats

if TYPE_CHECKING:
    from isogenic.sim.fitting.estimation import Solution

__all__ = ["lots_of", "shared_by_lots"]


def lots_of(solution: Solution) -> dict[str, list[int]]:
    """The batches of each lot that has several."""
    out: dict[str, list[int]] = {}
    for at, batch in enumerate(solution.problem.batches):
        if batch.lot:
            out.setdefault(batch.lot, []).append(at)
    return {lot: each for lot, each in out.items() if len(each) > 1}


def shared_by_lots(solution: Solution, weights: Floats) -> Floats:
    """What is added to the covariance; `weights` (p, readings used) make the site's logarithms of the weighted residuals."""
    lots, p = lots_of(solution), len(solution.theta)
    out = np.zeros((p, p))
    if not lots:
        return out
    problem, ends = solution.problem, np.cumsum([int(each.sum()) for each in solution.used])
    shared = [(min(problem.process.constants[name].spread.lot, float(solution.scatter[at])), at, "") for at, name in enumerate(problem.names)]
    shared += [(problem.instruments[name].lot, -1, name) for name in problem.variables]
    for sd, column, signal in (each for each in shared if each[0]):
        moved = []  # what a lot's part of one batch does to the site's logarithms
        for at, used in enumerate(solution.used):
            mine = slice(int(ends[at]) - int(used.sum()), int(ends[at]))
            reads = solution.twin.rows[at].variable == problem.variables.index(signal) if signal else solution.slopes[at][:, column]
            moved.append(weights[:, mine] @ (solution.whitening[at] @ reads[used]))
        for batches in lots.values():
            together = np.sum([moved[at] for at in batches], axis=0)
            out += sd**2 * (np.outer(together, together) - sum(np.outer(moved[at], moved[at]) for at in batches))
    return out
