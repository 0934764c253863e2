"""What a fit found: constants with intervals, the scatter, what was left out, and what can be told at all.

Guarantees: a `Fit` prints as a page that an engineer can quote, and `plain` has the same content. A fit that did not come
to rest says so in its first line. Everything that is assumed is called illustrative.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import ndtri, stdtrit

from isogenic.sim.fitting.identifiability import Identifiability, identifiability_of
from isogenic.sim.fitting.lots import shared_by_lots
from isogenic.sim.fitting.profiles import Profile, profile
from isogenic.sim.fitting.sentences import page
from isogenic.sim.fitting.twin import Twin
from isogenic.sim.processes.process import Floats, Mark

if TYPE_CHECKING:
    from isogenic.sim.fitting.estimation import Method, Solution

__all__ = ["Estimate", "Fit", "fit_of"]

HELP_BATCHES = 6  # looked at to say which measurement would help
WRONG = 10.0  # times what is explained: so far off, a twin is of something else
HELPS = 0.8  # of the standard error: what is not better than this is no help


@dataclass(frozen=True, slots=True)
class Estimate:
    """One constant of the site."""

    name: str
    unit: str
    mark: Mark
    nominal: float
    value: float
    error: float  # standard error of its logarithm
    low: float  # linearised, at the confidence of the fit
    high: float
    profile: Profile | None = None

    @property
    def factor(self) -> float:
        """The site's, on the nominal."""
        return self.value / self.nominal

    @property
    def profile_low(self) -> float | None:
        """The profile's lower end; `None` where it is open."""
        return None if self.profile is None or self.profile.low is None else self.value * math.exp(self.profile.low)

    @property
    def profile_high(self) -> float | None:
        """The profile's upper end; `None` where it is open."""
        return None if self.profile is None or self.profile.high is None else self.value * math.exp(self.profile.high)


@dataclass(frozen=True, slots=True)
class Fit:
    """The result. `solution` has what pages are made of."""

    process: str
    site: str
    estimates: tuple[Estimate, ...]
    scatter: Mapping[str, float]  # CV between batches: as given, or estimated
    parts: Mapping[str, Mapping[str, float]]  # by batch and constant: factor on the site's constant
    identifiability: Identifiability
    converged: bool
    why: str  # where it did not
    confidence: float
    dispersion: float  # weighted sum of squares for each degree of freedom: 1 where errors are as large as believed
    readings: int
    of: int  # readings that there were
    left: Mapping[str, int]  # readings left out, by variable
    idle: tuple[str, ...]  # variables that no constant moves
    batches: int
    rounds: int
    runs: int  # batches worked out
    covariance: tuple[tuple[float, ...], ...]  # of the logarithms
    used_priors: bool
    solution: Solution

    def __getitem__(self, name: str) -> Estimate:
        return next(each for each in self.estimates if each.name == name)

    def __str__(self) -> str:
        return page(self)

    @property
    def doubt(self) -> str:
        """Why its numbers are not to be used; empty where they are."""
        if not self.converged:
            return f"The fit did not come to rest: {self.why}."
        if self.dispersion > WRONG**2:
            return f"The twin does not describe these batches: it is off by {self.dispersion**0.5:.0f} times what instruments and scatter explain."
        return ""

    @property
    def sentences(self) -> tuple[str, ...]:
        """What can be told, and what would help."""
        from isogenic.sim.fitting.sentences import sentences

        return sentences(self)

    def plain(self) -> dict[str, Any]:
        """Everything, as plain data."""
        found = self.identifiability
        return {
            "process": self.process,
            "site": self.site,
            "converged": self.converged,
            "why": self.why,
            "doubt": self.doubt,
            "confidence": self.confidence,
            "constants": {each.name: _plain(each) for each in self.estimates},
            "scatter": dict(self.scatter),
            "batches": {name: dict(each) for name, each in self.parts.items()},
            "priors": self.used_priors,
            "dispersion": self.dispersion,
            "readings": self.readings,
            "readings_there": self.of,
            "left_out": dict(self.left),
            "unmoved": list(self.idle),
            "rounds": self.rounds,
            "runs": self.runs,
            "covariance_of_logarithms": [list(row) for row in self.covariance],
            "identifiability": {
                "rank": found.rank,
                "of": len(found.names),
                "eigenvalues": list(found.eigenvalues),
                "importance": dict(found.importance),
                "correlation": [list(row) for row in found.correlation],
                "collinearity": {" + ".join(names): index for names, index in found.indices.items()},
                "cannot_be_told": list(found.untold),
                "cannot_be_told_apart": [list(each) for each in found.together],
                "would_help": [list(each) for each in found.help],
            },
            "sentences": list(self.sentences),
            "illustrative": True,
        }


def _plain(each: Estimate) -> dict[str, Any]:
    out: dict[str, Any] = {"value": each.value, "unit": each.unit, "nominal": each.nominal, "factor": each.factor, "mark": str(each.mark)}
    out |= {"error_of_logarithm": each.error, "low": each.low, "high": each.high}
    if each.profile is not None:
        out["profile"] = {"low": each.profile_low, "high": each.profile_high}
        out["profile"] |= {"factors": [math.exp(one) for one in each.profile.moved], "growth": list(each.profile.growth)}
    return out


def fit_of(solution: Solution, *, method: Method) -> Fit:
    """The result of a solution: intervals, profiles, what can be told."""
    problem, p = solution.problem, len(solution.problem.constants)
    weighed, jacobian = solution.jacobian(solution.theta, step=method.step)
    readings = sum(int(each.sum()) for each in solution.used)
    freedom = max(readings - p, 1)
    squares = float(np.sum(weighed[:readings] ** 2))
    dispersion = squares / freedom
    scale = {"known": 1.0, "at least known": max(1.0, dispersion), "estimated": dispersion}[method.errors_are]
    share = 0.5 + 0.5 * method.confidence
    z = float(stdtrit(freedom, share) if method.errors_are == "estimated" else ndtri(share))
    covariance = scale * _inverse(jacobian)
    alone = np.diag(covariance).copy()
    covariance = covariance + shared_by_lots(solution, _inverse(jacobian) @ jacobian[:readings].T)
    errors = np.sqrt(np.diag(covariance))
    limits = scale * z * z * np.diag(covariance) / alone
    profiles = [
        profile(solution, at, error=float(errors[at]), threshold=float(limits[at]), step=method.step) if method.profiles else None for at in range(p)
    ]
    estimates = tuple(_estimate(solution, at, float(errors[at]), z, profiles[at]) for at in range(p))
    open_sides = {name: (each.low is None) + (each.high is None) for name, each in zip(problem.constants, profiles, strict=True) if each is not None}
    slopes = jacobian[:readings] / math.sqrt(scale)
    found = identifiability_of(slopes, problem.constants, open_sides=open_sides)
    found = replace(found, help=_helps(solution, found, step=method.step))
    names = problem.names
    return Fit(
        process=problem.process.name,
        site=problem.site,
        estimates=estimates,
        scatter={name: float(each) for name, each in zip(names, solution.scatter, strict=False) if each > 0},
        parts={
            batch.name: {name: math.exp(part) for name, part in zip(names, row, strict=False) if name in problem.scatter}
            for batch, row in zip(problem.batches, solution.eta.tolist(), strict=True)
        },
        identifiability=found,
        converged=solution.converged,
        why=solution.why,
        confidence=method.confidence,
        dispersion=dispersion,
        readings=readings,
        of=sum(len(each) for each in solution.used),
        left=_left(solution),
        idle=solution.idle,
        batches=len(problem.batches),
        rounds=solution.rounds,
        runs=solution.twin.runs,
        covariance=tuple(tuple(float(each) for each in row) for row in covariance),
        used_priors=bool(problem.priors),
        solution=solution,
    )


def _estimate(solution: Solution, at: int, error: float, z: float, found: Profile | None) -> Estimate:
    problem = solution.problem
    name = problem.constants[at]
    known = problem.process.constants[name]
    value = problem.start[name] * math.exp(float(solution.theta[at]))
    far = min(z * error, 700.0)
    return Estimate(name, known.unit, known.mark, known.value, value, error, value * math.exp(-far), value * math.exp(far), found)


def _inverse(jacobian: Floats) -> Floats:
    """The covariance of what a jacobian determines; a direction that it does not know is as uncertain as numbers go."""
    lengths = np.linalg.norm(jacobian, axis=0)
    scale = np.where(lengths > 0, lengths, 1.0)
    _, sizes, axes = np.linalg.svd(jacobian / scale, full_matrices=False)
    sizes = np.maximum(sizes, 1e-9)
    whole = (axes.T / sizes**2) @ axes / np.outer(scale, scale)
    whole[np.diag_indices_from(whole)] += np.where(lengths > 0, 0.0, 1e12)
    return np.asarray(whole)


def _left(solution: Solution) -> dict[str, int]:
    """Readings that are left out because the recipe switches, or nothing moves them."""
    out: dict[str, int] = {}
    for rows, used in zip(solution.twin.rows, solution.used, strict=True):
        for number, name in enumerate(solution.problem.variables):
            count = int(((rows.variable == number) & ~used).sum())
            if count:
                out[name] = out.get(name, 0) + count
    return out


def _helps(solution: Solution, found: Identifiability, *, step: float) -> tuple[tuple[str, str, float], ...]:
    """For each constant in trouble, the measurement that would lower its standard error most, at the ages of the others."""
    problem = solution.problem
    trouble = list(dict.fromkeys([*found.untold, *(name for each in found.together for name in each)]))
    more = tuple(name for name in problem.process.variables if name in problem.instruments and name not in problem.variables)
    if not trouble or not more:
        return ()
    count = min(HELP_BATCHES, len(problem.batches))
    ages = [np.unique(rows.age_h) for rows in solution.twin.rows[:count]]
    batches = [
        replace(batch, age_h=age, values={name: np.zeros(len(age)) for name in more})
        for batch, age in zip(problem.batches[:count], ages, strict=True)
    ]
    twin = Twin(replace(problem, batches=tuple(batches), variables=more))
    moves = solution.moves(solution.theta[None])[0][:count]
    shown, slopes = twin.slopes(moves, moves.shape[1], step=step)
    p = len(problem.constants)
    before = _information(solution, count, None)
    after: dict[str, Floats] = {}
    for number, name in enumerate(more):
        extra = []
        for at, rows in enumerate(twin.rows):
            mine = (rows.variable == number) & np.isfinite(shown[at]) & np.isfinite(slopes[at]).all(axis=1)
            errors = twin.errors(rows, shown[at])
            extra.append((slopes[at][mine], errors[np.ix_(mine, mine)]))
        after[name] = _information(solution, count, extra)
    errors_before = np.sqrt(np.diag(_covariance(before)))
    out = []
    for constant in trouble:
        at = problem.constants.index(constant)
        shares = {name: math.sqrt(_covariance(each)[at, at]) / errors_before[at] for name, each in after.items()}
        best = min(shares, key=lambda name: shares[name])
        if shares[best] < HELPS:
            out.append((best, constant, float(shares[best])))
    assert all(each[1] in problem.constants[:p] for each in out)
    return tuple(out)


def _information(solution: Solution, count: int, extra: Sequence[tuple[Floats, Floats]] | None) -> Floats:
    p = len(solution.problem.constants)
    out = np.zeros((p, p))
    for at in range(count):
        used = solution.used[at]
        slopes = solution.slopes[at][used]
        factor = solution.factors[at]
        if extra is not None and len(extra[at][0]):
            more, errors = extra[at]
            inner, added = slopes * solution.scatter, more * solution.scatter
            whole = np.block([[factor @ factor.T, inner @ added.T], [added @ inner.T, errors + added @ added.T]])
            factor, slopes = np.linalg.cholesky(whole), np.concatenate([slopes, more])
        weighted = solve_triangular(factor, slopes[:, :p], lower=True)
        out += weighted.T @ weighted
    return out


def _covariance(information: Floats) -> Floats:
    size = np.sqrt(np.maximum(np.diag(information), 1e-12))
    values, axes = np.linalg.eigh(information / np.outer(size, size))
    return np.asarray((axes / np.maximum(values, 1e-12)) @ axes.T / np.outer(size, size))
