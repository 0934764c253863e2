"""Partial least squares of one response: SIMPLS, all numbers of latent variables at once.

Guarantees: deterministic; the coefficients of `a` latent variables are those of a model fitted with `a` alone.
Leaves to others: what is regressed on what (fitting), and whether a new row may be believed (applicability).

S. de Jong, SIMPLS: an alternative approach to partial least squares regression, Chemometr. Intell. Lab. Syst. 18 (1993)
251. For one response its latent variables span the Krylov space of X'X and X'y, as those of NIPALS do, and both give
the same regression.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isogenic.errors import NotValid
from isogenic.monitoring.tables import Floats

__all__ = ["Regression", "regress"]

VANISHED = 1e-12  # of the first covariance: nothing is left to explain


@dataclass(frozen=True, slots=True, eq=False)
class Regression:
    """`weights`: scores = (x - mean) @ weights, of unit sum of squares over the rows; `loadings`: x back from scores; `answers`: y from scores."""

    mean: Floats  # (p,)
    level: float  # of the response
    weights: Floats  # (p, a)
    loadings: Floats  # (p, a)
    answers: Floats  # (a,)
    rows: int

    @property
    def latent(self) -> int:
        """How many latent variables there are."""
        return len(self.answers)

    def scores(self, spectra: Floats) -> Floats:
        """Where rows lie on the latent variables."""
        found: Floats = (spectra - self.mean) @ self.weights
        return found

    def predict(self, spectra: Floats) -> Floats:
        """The response of rows."""
        found: Floats = self.level + self.scores(spectra) @ self.answers
        return found

    def predict_each(self, spectra: Floats) -> Floats:
        """The response with 1, 2, ... latent variables, (rows, a)."""
        found: Floats = self.level + np.cumsum(self.scores(spectra) * self.answers, axis=1)
        return found

    def cut(self, latent: int) -> Regression:
        """The same with fewer latent variables."""
        return Regression(
            self.mean, self.level, self.weights[:, :latent].copy(), self.loadings[:, :latent].copy(), self.answers[:latent].copy(), self.rows
        )


def regress(spectra: Floats, response: Floats, *, latent: int) -> Regression:
    """Fit on rows. Fewer latent variables come back where the rows hold no more."""
    rows = len(spectra)
    if spectra.ndim != 2 or response.shape != (rows,) or rows < 3 or latent < 1:
        raise NotValid(
            "cannot regress", why=f"{spectra.shape} rows against {response.shape} answers make no regression with {latent} latent variables"
        )
    mean, level = spectra.mean(axis=0), float(response.mean())
    centred, answer = spectra - mean, response - level
    covariance = centred.T @ answer
    first = float(np.linalg.norm(covariance))
    weights, loadings, answers = [], [], []
    basis = np.zeros((spectra.shape[1], 0))
    for _ in range(min(latent, rows - 1, spectra.shape[1])):
        if not float(np.linalg.norm(covariance)) > VANISHED * max(first, 1e-300):
            break
        scores = centred @ covariance
        length = float(np.linalg.norm(scores))
        if not length > 0:
            break
        scores, weight = scores / length, covariance / length
        loading = centred.T @ scores
        fresh = loading - basis @ (basis.T @ loading)
        fresh = fresh - basis @ (basis.T @ fresh)  # twice is enough (Kahan and Parlett)
        fresh = fresh / np.linalg.norm(fresh)
        basis = np.column_stack([basis, fresh])
        covariance = covariance - basis @ (basis.T @ covariance)
        weights.append(weight)
        loadings.append(loading)
        answers.append(float(answer @ scores))
    if not answers:
        raise NotValid("cannot regress", why="the response or the spectra do not vary")
    return Regression(mean, level, np.column_stack(weights), np.column_stack(loadings), np.array(answers), rows)
