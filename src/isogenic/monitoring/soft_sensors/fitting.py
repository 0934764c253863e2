"""Fitting a soft sensor: how many latent variables, how good it is, and what it may be asked, all from batches left out.

Guarantees: never a row is judged by a model that saw another row of its batch; the same rows give the same sensor.
Leaves to others: which batches are worth learning from.

As few latent variables as possible: the first number whose error lies within one standard error (over batches) of the
least. The limit of Hotelling's T2 is that of a new row under normality (F); that of the residual is a scaled chi-squared
with the mean and variance of the rows that were left out (Box), both at 99.9 %, since a batch has hundreds of spectra.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2
from scipy.stats import f as fisher

from isogenic.errors import NotValid
from isogenic.monitoring.soft_sensors.model import LATENT_MAX, CrossValidation, SoftSensor, residual
from isogenic.monitoring.soft_sensors.preprocessing import Preprocessing
from isogenic.monitoring.soft_sensors.regression import regress
from isogenic.monitoring.tables import Floats, present

__all__ = ["BATCHES_MIN", "Spectra", "fit_soft_sensor"]

BATCHES_MIN = 3
GROUPS_MAX = 10
INSIDE = 0.999


@dataclass(frozen=True, slots=True, eq=False)
class Spectra:
    """Rows of spectra (n, p) over `channels`, each with its batch and, where a sample was taken, the reference value (NaN: none)."""

    batches: tuple[str, ...]  # n
    channels: tuple[float, ...]  # p, rising
    values: Floats
    reference: Floats  # (n,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "batches", tuple(map(str, self.batches)))
        rows, p = len(self.batches), len(self.channels)
        if self.values.shape != (rows, p) or self.reference.shape != (rows,):
            raise NotValid("cannot use these spectra", why=f"they are {self.values.shape}, not ({rows}, {p})")
        if not p or any(not low < high for low, high in zip(self.channels, self.channels[1:], strict=False)):
            raise NotValid("cannot use these spectra", why="their channels do not rise")

    def sampled(self) -> Spectra:
        """The rows that have a whole spectrum and a reference value."""
        there = present(self.reference) & present(self.values).all(axis=1)
        return Spectra(tuple(np.array(self.batches, dtype=object)[there]), self.channels, self.values[there], self.reference[there])


def fit_soft_sensor(
    spectra: Spectra,
    *,
    name: str,
    quantity: str,
    unit: str,
    preprocessing: Preprocessing | None = None,
    latent_max: int = 15,
    latent: int | None = None,
) -> SoftSensor:
    """The soft sensor of these batches. `latent` fixes the number of latent variables, otherwise left-out batches choose it."""
    rows = spectra.sampled()
    batches = sorted(set(rows.batches))
    if len(batches) < BATCHES_MIN:
        raise NotValid(f"cannot fit {name}", why=f"{len(batches)} batches with samples are too few", possible=f"at least {BATCHES_MIN}")
    how = preprocessing or Preprocessing()
    treated = how(rows.values)
    if not np.isfinite(treated).all():
        raise NotValid(f"cannot fit {name}", why="a spectrum is flat")
    most = min(latent or latent_max, LATENT_MAX, len(treated) - 3)
    group = np.array([batches.index(batch) for batch in rows.batches])
    folds = min(len(batches), GROUPS_MAX)
    off, left = _left_out(treated, rows.reference, group % folds, latent=most, folds=folds)
    squares = np.array([np.mean(np.square(off[group == at]), axis=0) for at in range(len(batches))])  # batches count alike
    mean = squares.mean(axis=0)
    chosen = off.shape[1] if latent else _fewest(squares)
    regression = regress(treated, rows.reference, latent=chosen)
    chosen = regression.latent
    n = len(treated)
    means = np.array([off[group == at, chosen - 1].mean() for at in range(len(batches))])
    validation = CrossValidation(
        tuple(batches),
        folds,
        tuple(float(each) for each in np.sqrt(mean)),
        float(np.sqrt(mean[chosen - 1])),
        float(means.std(ddof=1)),
        float(means.mean()),
    )
    t2_limit = chosen * (n * n - 1.0) / (n * (n - chosen)) * float(fisher.ppf(INSIDE, chosen, n - chosen))
    q = left[:, chosen - 1]
    spread, freedom = q.var() / (2.0 * q.mean()), 2.0 * q.mean() ** 2 / max(q.var(), 1e-300)
    return SoftSensor(
        name,
        quantity,
        unit,
        rows.channels,
        how,
        regression,
        validation,
        t2_limit,
        max(float(spread * chi2.ppf(INSIDE, freedom)), 1e-300),
        float(rows.reference.min()),
        float(rows.reference.max()),
    )


def _left_out(treated: Floats, reference: Floats, fold: NDArray[np.intp], *, latent: int, folds: int) -> tuple[Floats, Floats]:
    """Errors and residuals of every row by models that saw nothing of its batch, with 1, 2, ... latent variables."""
    off, left = np.full((len(treated), latent), np.nan), np.full((len(treated), latent), np.nan)
    reached = latent
    for at in range(folds):
        out = fold == at
        model = regress(treated[~out], reference[~out], latent=latent)
        reached = min(reached, model.latent)
        off[out, : model.latent] = model.predict_each(treated[out]) - reference[out, None]
        for count in range(1, model.latent + 1):
            less = model.cut(count)
            left[out, count - 1] = residual(less, treated[out], less.scores(treated[out]))
    return off[:, :reached], left[:, :reached]


def _fewest(squares: Floats) -> int:
    """The fewest latent variables whose error lies within one standard error of the least."""
    mean = squares.mean(axis=0)
    best = int(mean.argmin())
    # The error of the difference, batch by batch: batches that are hard are hard for both.
    for count in range(best + 1):
        worse = squares[:, count] - squares[:, best]
        if worse.mean() <= worse.std(ddof=1) / np.sqrt(len(worse)):
            return count + 1
    return best + 1
