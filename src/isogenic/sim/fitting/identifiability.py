"""What can be told from the data at all: which constants, which pairs, and what measurement would help.

Guarantees: everything follows from the weighted slopes S of the readings by the logarithms of the constants:

    Fisher information    F = S'S; its rank is the number of combinations that the data know
    importance            the length of a column of S: standard deviations by which a change of 100 % would be seen
    collinearity index    1 / sqrt(least eigenvalue of the columns' products, each column scaled to length 1), for each
                          subset (Brun, Reichert & Kuensch 2001, Water Resour Res 37:1015); above 15 the effect of one
                          constant is made up for by the others to within 1/15
    open profile          a constant that the data never object to, on one side or both

and is said in sentences. Leaves to others: the slopes (`estimation`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from isogenic.sim.processes.process import Floats

__all__ = ["COLLINEAR", "Identifiability", "collinearity", "identifiability_of"]

COLLINEAR = 15.0  # Brun and others: 10 to 20
RANK = 1e-7  # of the largest singular value of S with columns of length 1
SUBSETS_OF = 8  # constants up to which all subsets are looked at; else pairs and triples


@dataclass(frozen=True, slots=True)
class Identifiability:
    """What the data can tell."""

    names: tuple[str, ...]
    rank: int
    eigenvalues: tuple[float, ...]  # of the scaled Fisher information, largest first
    importance: Mapping[str, float]
    correlation: tuple[tuple[float, ...], ...]
    indices: Mapping[tuple[str, ...], float]  # collinearity index of each subset
    untold: tuple[str, ...]  # constants that cannot be told at all
    together: tuple[tuple[str, ...], ...]  # smallest sets that cannot be told apart
    help: tuple[tuple[str, str, float], ...]  # measurement, constant, its standard error after as a share of that before

    @property
    def index(self) -> float:
        """The collinearity index of all of them."""
        return self.indices.get(self.names, 1.0)


def collinearity(columns: Floats) -> float:
    """The index of these columns of slopes."""
    lengths = np.linalg.norm(columns, axis=0)
    if not (lengths > 0).all():
        return float("inf")
    least = float(np.linalg.eigvalsh((columns / lengths).T @ (columns / lengths))[0])
    return float(1.0 / np.sqrt(max(least, 1e-16)))


def identifiability_of(
    slopes: Floats, names: Sequence[str], *, open_sides: Mapping[str, int], helps: Sequence[tuple[str, str, float]] = ()
) -> Identifiability:
    """From the weighted slopes (readings, constants); `open_sides` says on how many sides a profile stays open."""
    lengths = np.linalg.norm(slopes, axis=0)
    scaled = slopes / np.where(lengths > 0, lengths, 1.0)
    sizes = np.linalg.svd(scaled, compute_uv=False)
    rank = int((sizes > RANK * max(float(sizes[0]), 1e-300)).sum()) if lengths.any() else 0
    up_to = range(2, len(names) + 1) if len(names) <= SUBSETS_OF else (2, 3)
    indices = {
        tuple(names[at] for at in subset): collinearity(slopes[:, subset]) for size in up_to for subset in combinations(range(len(names)), size)
    }
    together: list[tuple[str, ...]] = []
    untold = tuple(name for at, name in enumerate(names) if lengths[at] < 1.0)
    for subset, index in indices.items():
        if index > COLLINEAR and not any(set(small) <= set(subset) for small in together) and not set(subset) & set(untold):
            together.append(subset)
    within = {name for subset in together for name in subset}
    untold = tuple(name for name in names if name in untold or (open_sides.get(name, 0) and name not in within))
    return Identifiability(
        tuple(names),
        rank,
        tuple(float(each) ** 2 for each in sizes),
        {name: float(lengths[at]) for at, name in enumerate(names)},
        tuple(tuple(float(each) for each in row) for row in _correlation(scaled)),
        indices,
        untold,
        tuple(together),
        tuple(helps),
    )


def _correlation(scaled: Floats) -> Floats:
    covariance = np.linalg.pinv(scaled.T @ scaled, rcond=RANK**2)
    size = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    return np.asarray(covariance / np.outer(size, size))
