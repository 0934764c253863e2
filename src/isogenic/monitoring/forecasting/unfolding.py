"""Unfolding by batch: a whole batch as one row, and what its beginning says of the rest.

    batches -> means by bin of maturity -> scaled by trajectory -> one row each -> few scores

The scores are those of principal components, or of partial least squares where qualities are
known (Nomikos and MacGregor 1994, 1995). While a batch runs, the rest of its row is missing. Its
scores are then the expectation given what is there (projection to the model plane with the
scores' own spread as prior; Nelson, Taylor and MacGregor 1996, Arteaga and Ferrer 2002):
`V (P' D^-1 z)` with `V = (L^-1 + P' D^-1 P)^-1`, over the bins there are. The sums grow bin by bin,
so a running batch is one vector and one small matrix; V of a batch without gaps is computed before.
What a gap took is simply not in the sums.

Neighbouring bins err alike. Counted as independent they would say too much: D is raised by
(1 + r) / (1 - r), r being the residuals' correlation from bin to bin.

Guarantees: no dice; nothing here looks at what comes after a bin.
Leaves to others: what the scores say of qualities, and how sure that is (fitting).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isogenic.monitoring.alignment import Grid, monotone
from isogenic.monitoring.structure import CONSTANT_FLOOR, SCALE_FLOOR, Z_MAX
from isogenic.monitoring.tables import BatchTable, Floats, present

__all__ = ["Plane", "Scaling", "bins_of", "plane_of", "rows_of", "scaling_of", "unfold"]

FILL_ROUNDS = 6  # of filling gaps in by what the plane says, and fitting the plane again
NOISE_FLOOR = 1e-3  # of a scaled value's variance
CORRELATION_MAX = 0.9


class Scaling(NamedTuple):
    """What is taken off and divided by: float64[bins, p] each."""

    mean: Floats
    scale: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """The few directions in which whole batches differ.

    `loadings`: float64[bins, p, r]; `prior`: variance of the scores, float64[r]; `noise`: float64[bins, p], of what the scores leave.
    """

    loadings: Floats
    prior: Floats
    noise: Floats

    @property
    def components(self) -> int:
        """How many directions."""
        return len(self.prior)

    def pull(self, z: Floats, bins: NDArray[np.intp] | slice) -> tuple[Floats, Floats]:
        """What values of bins add to the two sums: P' D^-1 z, float64[n, r], and P' D^-1 P, float64[n, r, r]. NaN adds nothing."""
        there = np.isfinite(z)
        weighted = self.loadings[bins] * (there / self.noise[bins])[..., None]
        pulled = np.matmul(np.where(there, z, 0.0)[..., None, :], weighted)[..., 0, :]
        return pulled, np.matmul(np.swapaxes(weighted, -1, -2), self.loadings[bins])

    def spread(self, precision: Floats) -> Floats:
        """V of a sum of P' D^-1 P: float64[..., r, r]."""
        return np.asarray(np.linalg.inv(np.diag(1.0 / self.prior) + precision), dtype=np.float64)

    def spreads(self) -> Floats:
        """V of a batch without gaps after 0, 1, ... bins: float64[bins + 1, r, r]."""
        each = self.pull(np.zeros(self.noise.shape), slice(None))[1]
        return self.spread(np.concatenate([np.zeros((1, *each.shape[1:])), np.cumsum(each, axis=0)]))


def bins_of(maturity: Floats, grid: Grid) -> NDArray[np.intp]:
    """The bin of each maturity, -1 outside the grid: a bin is what is nearer to its grid point than to the others."""
    with np.errstate(over="ignore", invalid="ignore"):
        steps = (maturity - grid.first) / grid.step
        inside = (steps >= -0.5) & (steps < grid.points - 0.5 + 1e-9)
    at: NDArray[np.intp] = np.where(inside, np.clip(np.floor(np.where(inside, steps, 0.0) + 0.5), 0, grid.points - 1), -1).astype(np.intp)
    return at


def rows_of(batches: Sequence[BatchTable], grid: Grid) -> Floats:
    """Every batch's means by bin: float64[n, bins, p], NaN where it does not say."""
    rows = np.full((len(batches), grid.points, batches[0].values.shape[1]), np.nan)
    for number, table in enumerate(batches):
        at = bins_of(monotone(table.maturity), grid)
        there = present(table.values) & (at >= 0)[:, None]
        for column in range(table.values.shape[1]):
            usable = there[:, column]
            count = np.bincount(at[usable], minlength=grid.points)
            total = np.bincount(at[usable], table.values[usable, column], grid.points)
            rows[number, :, column] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return rows


def scaling_of(rows: Floats) -> Scaling:
    """Mean and scale of each variable at each bin; bins of which batches say too little take their neighbours'."""
    there = np.isfinite(rows)
    count = there.sum(axis=0)
    mean: Floats = np.where(there, rows, 0.0).sum(axis=0) / np.maximum(count, 1)
    variance: Floats = np.where(there, np.square(rows - mean), 0.0).sum(axis=0) / np.maximum(count - 1, 1)
    at = np.arange(rows.shape[1], dtype=np.float64)
    for column in range(rows.shape[2]):
        known = count[:, column] >= 3
        if known.any() and not known.all():
            mean[:, column], variance[:, column] = (np.interp(at, at[known], each[known, column]) for each in (mean, variance))
    typical, level = np.sqrt(variance.mean(axis=0)), np.abs(mean).max(axis=0)
    constant = CONSTANT_FLOOR * np.where(level > 0, level, 1.0)
    floor = np.where(typical > 1e-9 * np.maximum(level, 1e-300), SCALE_FLOOR * typical, constant)
    return Scaling(mean, np.maximum(np.sqrt(variance), floor))


def unfold(rows: Floats, scaling: Scaling) -> Floats:
    """Scaled deviations, in bounds: float64[n, bins, p]."""
    scaled: Floats = np.clip((rows - scaling.mean) / scaling.scale, -Z_MAX, Z_MAX)
    return scaled


def plane_of(z: Floats, answers: Floats | None, components: int) -> Plane:
    """The plane of good batches: by partial least squares where `answers` float64[n, q] (centred, scaled) are given, else principal components."""
    n, bins, p = z.shape
    there = np.isfinite(z).reshape(n, -1)
    known = np.nan_to_num(z.reshape(n, -1))
    row = known
    whole = bool(there.all())
    for _ in range(1 if whole else FILL_ROUNDS):
        scores, loadings = _components(row, components) if answers is None else _least_squares(row, answers, components)
        told = scores @ loadings.T
        row = known if whole else np.where(there, known, told)
    left = np.where(there, known - told, 0.0).reshape(n, bins, p)
    freedom = np.maximum(there.sum(axis=0) - scores.shape[1] - 1.0, 1.0).reshape(bins, p)
    noise = np.maximum(np.square(left).sum(axis=0) / freedom, NOISE_FLOOR)
    beside = float((left[:, 1:] * left[:, :-1]).sum() / max(float(np.square(left).sum()), 1e-300)) if bins > 1 else 0.0
    beside = min(max(beside, 0.0), CORRELATION_MAX)
    noise = noise * (1.0 + beside) / (1.0 - beside)
    prior = np.maximum(np.square(scores).sum(axis=0) / (n - 1), 1e-9)
    return Plane(np.ascontiguousarray(loadings.reshape(bins, p, -1)), prior, noise)


def _components(row: Floats, components: int) -> tuple[Floats, Floats]:
    """Principal components through the products of the batches, which are few."""
    values, vectors = np.linalg.eigh(row @ row.T)
    kept = [at for at in np.argsort(values)[::-1][:components].tolist() if values[at] > 1e-12 * max(float(values.max()), 1e-300)] or [len(values) - 1]
    scores = vectors[:, kept] * np.sqrt(np.maximum(values[kept], 0.0))
    loadings = row.T @ vectors[:, kept] / np.sqrt(np.maximum(values[kept], 1e-300))
    return _signed(scores, loadings)


def _least_squares(row: Floats, answers: Floats, components: int) -> tuple[Floats, Floats]:
    """Partial least squares of several answers (Wold and others 1983), with loadings of unit length."""
    left, told = row.copy(), answers.copy()
    scores, loadings = [], []
    for _ in range(components):
        shared = left.T @ told
        weight = shared @ np.linalg.eigh(shared.T @ shared)[1][:, -1]
        if not np.linalg.norm(weight) > 1e-12 * np.linalg.norm(row):
            break
        score = left @ (weight / np.linalg.norm(weight))
        loading = left.T @ score / (score @ score)
        left = left - np.outer(score, loading)
        told = told - np.outer(score, told.T @ score / (score @ score))
        length = float(np.linalg.norm(loading))
        scores.append(score * length)
        loadings.append(loading / length)
    if not scores:
        return _components(row, components)
    return _signed(np.stack(scores, axis=1), np.stack(loadings, axis=1))


def _signed(scores: Floats, loadings: Floats) -> tuple[Floats, Floats]:
    """The largest loading of each direction is above 0, on every machine."""
    sign = np.where(loadings[np.abs(loadings).argmax(axis=0), np.arange(loadings.shape[1])] < 0, -1.0, 1.0)
    return scores * sign, loadings * sign
