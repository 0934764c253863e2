"""The constants of a site from its batches: the most likely ones, by rounds of least squares.

Guarantees: problem, method, stopping rule and result are separate; the same problem gives the same bytes. A fit that did
not come to rest says so, and still shows where it stands. All batches and all moved constants are one run of the process.
Leaves to others: how far the result can be believed (`identifiability`, `profiles`).

Each round (Lindstrom & Bates 1990, Biometrics 46:673) takes the slopes of every batch at what is known so far. What
scatters between batches and what instruments add are then one covariance for each batch,

    V = C + G W G',    C the instruments', G the slopes, W the scatter's variances (and those of settings that were read),

and the site's constants minimise the residuals weighted by it (scipy, `least_squares`, a trust region in logarithms);
then each batch gets its own part of the scatter, and the next round begins there. So a site's offset and a batch's luck
are estimated jointly: twenty batches that are all 3 % fast are a fast site, one of them is a fast batch. With
`scatter_is` "estimated", the scatter is worked out, too, from the batches' parts and their uncertainty.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import least_squares

from isogenic.errors import NotValid
from isogenic.sim.fitting.problem import Batch, Problem
from isogenic.sim.fitting.result import Fit, fit_of
from isogenic.sim.fitting.twin import Twin
from isogenic.sim.instruments import Instrument
from isogenic.sim.processes.process import Floats, Process

__all__ = ["Method", "Objective", "Solution", "Stopping", "estimate", "fit"]

FAR = 1e3  # residual, in standard deviations, where a twin has no value
DAMPED_FROM = 3  # rounds
TETHER = 1e-6  # a pull towards the start, so that what no reading answers to stays where it is
MOVED_SETTING = 0.2  # standard deviations that an error of a setting moves all readings of a batch together, or it is taken for exact
MOVED_LEAST = 1e-3  # standard deviations that some constant must be able to move a reading, or the reading is left out


@dataclass(frozen=True, slots=True)
class Method:
    """How a problem is solved."""

    step: float = 1e-3  # of the logarithms, for slopes
    scatter_is: Literal["given", "estimated"] = "given"
    # how far the instruments' errors are believed: as they are; made larger where the twin fits worse; or not at all
    errors_are: Literal["known", "at least known", "estimated"] = "at least known"
    leave_switches: bool = True
    profiles: bool = True
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class Stopping:
    """When to stop."""

    rounds: int = 12
    at_rest: float = 0.02  # standard errors that a constant still moves in a round
    rounds_at_rest: int = 4  # in a row, after which a batch beside a switch of the recipe may be restless
    parts_at_rest: float = 0.1  # of the scatter that some batch's part still asks to be moved
    evaluations: int = 30  # of a round
    tolerance: float = 1e-7  # relative, of the sum of squares, and of a constant


@dataclass(slots=True)
class Solution:
    """Where the rounds came to: everything that intervals and pages are made of."""

    problem: Problem
    twin: Twin
    theta: Floats  # (p,): the site's logarithms, from the start
    eta: Floats  # (B, q): the batches' parts: of the constants, then of the settings that were read
    scatter: Floats  # (q,): CVs, and 1 for each setting
    used: list[NDArray[np.bool_]]
    factors: list[Floats] = field(default_factory=list)  # Cholesky of V, the rows used
    whitening: list[Floats] = field(default_factory=list)  # its inverse
    slopes: list[Floats] = field(default_factory=list)  # (rows, q), all rows
    converged: bool = False
    why: str = ""
    rounds: int = 0
    restless: float = 0.0  # of its scatter: what some batch's part still asks to be moved, the site being at rest
    idle: tuple[str, ...] = ()  # variables that no constant moves

    def moves(self, thetas: Floats) -> Floats:
        """For k sets of the site's logarithms (k, p): moves of every batch, (k, B, q)."""
        out = np.repeat(self.eta[None], len(thetas), axis=0)
        out[:, :, : thetas.shape[1]] += thetas[:, None, :]
        return out

    def residuals(self, thetas: Floats) -> Floats:
        """Weighted residuals for k sets of the site's logarithms: (k, rows used)."""
        found = self.twin.run(self.moves(thetas))
        parts = []
        for at, (rows, shown) in enumerate(zip(self.twin.rows, found, strict=True)):
            used = self.used[at]
            off = (rows.read + self.slopes[at] @ self.eta[at] - shown)[:, used]
            weighted = np.where(np.isfinite(off), off, 0.0) @ self.whitening[at].T
            parts.append(np.where(np.isfinite(off).all(axis=1)[:, None], weighted, FAR))
        return np.concatenate(parts, axis=1) if parts else np.empty((len(thetas), 0))

    def prior_rows(self, thetas: Floats) -> Floats:
        """What priors add to the residuals, (k, priors)."""
        names, start = self.problem.constants, self.problem.start
        columns = []
        for at, name in enumerate(names):
            if name in self.problem.priors:
                offset = math.log(start[name] / self.problem.process.constants[name].value)
                columns.append((thetas[:, at] + offset) / self.problem.priors[name])
        return np.array(columns).T.reshape(len(thetas), len(columns))

    def weighed(self, thetas: Floats) -> Floats:
        """Residuals and priors together."""
        return np.concatenate([self.residuals(thetas), self.prior_rows(thetas)], axis=1)

    def jacobian(self, theta: Floats, *, step: float, free: Sequence[int] | None = None) -> tuple[Floats, Floats]:
        """Weighted residuals and priors, and their slopes by the site's logarithms, from one run."""
        columns = list(range(len(theta))) if free is None else list(free)
        moved = np.zeros((len(columns), len(theta)))
        moved[np.arange(len(columns)), columns] = step
        found = self.weighed(np.concatenate([theta[None], theta + moved, theta - moved]))
        return found[0], np.asarray((found[1 : 1 + len(columns)] - found[1 + len(columns) :]) / (2.0 * step)).T

    def objective(self, held: Floats, *, free: Sequence[int], step: float) -> Objective:
        """What scipy minimises with some logarithms held."""
        return Objective(self, step=step, held=held, free=free)


class Objective:
    """Residuals and slopes for scipy, which asks for the one and then for the other at the same place."""

    def __init__(self, solution: Solution, *, step: float, held: Floats | None = None, free: Sequence[int] | None = None) -> None:
        self._solution, self._step = solution, step
        self._held = solution.theta if held is None else held
        self._free = list(range(len(self._held))) if free is None else list(free)
        self._key, self._found = b"", (np.empty(0), np.empty((0, 0)))

    def whole(self, some: Floats) -> Floats:
        """All logarithms, with those that are free at these values."""
        out = self._held.copy()
        out[self._free] = some
        return out

    def residuals(self, some: Floats) -> Floats:
        return self._at(some)[0]

    def slopes(self, some: Floats) -> Floats:
        return self._at(some)[1]

    def _at(self, some: Floats) -> tuple[Floats, Floats]:
        key = some.tobytes()
        if key != self._key:
            off, slopes = self._solution.jacobian(self.whole(some), step=self._step, free=self._free)
            self._key = key
            self._found = np.concatenate([off, TETHER * some]), np.concatenate([slopes, TETHER * np.eye(len(some))])
        return self._found


def fit(
    process: Process,
    batches: Sequence[Batch],
    *,
    constants: Sequence[str],
    scatter: Mapping[str, float] | None = None,
    variables: Sequence[str] | None = None,
    instruments: Mapping[str, Instrument] | None = None,
    priors: Mapping[str, float] | None = None,
    given: Mapping[str, float] | None = None,
    method: Method | None = None,
    stopping: Stopping | None = None,
) -> Fit:
    """The constants of the site whose batches these are, and how well they are known."""
    problem = Problem.of(
        process, batches, constants=constants, scatter=scatter, variables=variables, instruments=instruments, priors=priors, given=given
    )
    return fit_of(estimate(problem, method=method, stopping=stopping), method=method or Method())


def estimate(problem: Problem, *, method: Method | None = None, stopping: Stopping | None = None, begin: Floats | None = None) -> Solution:
    """Rounds of least squares, until nothing moves any more. `begin` are the logarithms of an earlier one."""
    how, until = method or Method(), stopping or Stopping()
    problem, idle = _without_inert(problem, how)
    twin = Twin(problem)
    scatter = np.array([*(problem.scatter.get(name, 0.0) for name in problem.names), *(1.0 for _ in problem.unsure)])
    theta, eta = np.zeros(len(problem.constants)) if begin is None else begin, np.zeros((len(problem.batches), len(scatter)))
    used = [np.ones(len(rows.read), dtype=bool) for rows in twin.rows]
    now = Solution(problem, twin, theta.copy(), eta.copy(), scatter, used, idle=idle)
    still = 0
    for now.rounds in range(1, until.rounds + 1):
        parts = _linearised(now, how)
        before = now.theta
        limit = math.log(problem.bound)
        aim = Objective(now, step=how.step)
        found = least_squares(
            aim.residuals,
            np.clip(now.theta, -limit * 0.999, limit * 0.999),
            jac=aim.slopes,
            bounds=(-limit, limit),
            x_scale="jac",
            ftol=until.tolerance,
            xtol=until.tolerance,
            gtol=None,
            max_nfev=until.evaluations,
        )
        now.theta = found.x
        tossed = _share_out(now, parts, how)
        errors = _standard_errors(found.jac)
        moved = float(np.max(np.abs(now.theta - before) / np.maximum(errors, 1e-9)))
        still = still + 1 if found.status > 0 and moved < until.at_rest else 0
        now.restless = tossed if tossed >= until.parts_at_rest else 0.0
        if still and now.rounds > 1 and (not now.restless or still >= until.rounds_at_rest):
            now.converged = True
            break
        now.why = f"after {now.rounds} rounds a constant still moves by {moved:.2g} of its standard error"
        if moved < until.at_rest:
            now.why = f"after {now.rounds} rounds a batch's part still moves by {tossed:.2g} of its scatter"
        if found.status == 0:
            now.why = f"{until.evaluations} evaluations were not enough for a round of least squares"
    if now.converged:
        now.why = ""
    _linearised(now, how, masks=False)
    return now


def _without_inert(problem: Problem, how: Method) -> tuple[Problem, tuple[str, ...]]:
    """The problem without variables that nothing moves (which ones these are), and without scatter and doubts of settings that move no reading."""
    twin = Twin(replace(problem, batches=problem.batches[:1]))
    names = (*problem.names, *twin.problem.unsure)
    shown, slopes = twin.slopes(np.zeros((1, len(names))), len(names), step=how.step)
    slope = np.abs(np.nan_to_num(slopes[0]))
    errors = np.sqrt(np.diag(twin.errors(twin.rows[0], shown[0])))
    felt = (slope[:, : len(problem.names)] * 0.1 >= MOVED_LEAST * errors[:, None]).any(axis=1)
    lively = {problem.variables[number] for number in np.unique(twin.rows[0].variable[felt])} | (
        set(problem.variables) - set(problem.batches[0].values)
    )
    moved = {name for at, name in enumerate(problem.names) if slope[:, at].max(initial=0.0) > 0}
    sure = {name for at, name in enumerate(names) if at >= len(problem.names) and np.linalg.norm(slope[:, at] / errors) < MOVED_SETTING}
    idle = tuple(name for name in problem.variables if name not in lively)
    if len(idle) == len(problem.variables):  # said later, with its reason
        return problem, ()
    kept = tuple(name for name in problem.variables if name in lively)
    batches = tuple(replace(each, unsure={name: sd for name, sd in each.unsure.items() if name not in sure}) for each in problem.batches)
    scatter = {name: cv for name, cv in problem.scatter.items() if name in moved}
    return replace(problem, batches=batches, variables=kept, scatter=scatter), idle


@dataclass(slots=True)
class _Part:
    """One batch at the beginning of a round."""

    shown: Floats
    slopes: Floats


def _linearised(now: Solution, how: Method, *, masks: bool = True) -> list[_Part]:
    """Slopes and weights at what is known so far."""
    moves = now.moves(now.theta[None])[0]
    q = moves.shape[1]
    if masks and how.leave_switches and now.rounds <= 2:
        sizes = np.where(now.scatter > 0, now.scatter, [now.problem.priors.get(name, 0.0) for name in (*now.problem.names, *now.problem.unsure)])
        now.used = now.twin.smooth(moves, sizes)
    shown, slopes = now.twin.slopes(moves, q, step=how.step)
    now.slopes, now.factors, now.whitening = slopes, [], []
    parts = []
    for at, (rows, here, slope) in enumerate(zip(now.twin.rows, shown, slopes, strict=True)):
        finite = np.isfinite(here) & np.isfinite(slope).all(axis=1)
        errors = now.twin.errors(rows, here)
        moved = (np.abs(slope) * 0.1 >= MOVED_LEAST * np.sqrt(np.diag(errors))[:, None]).any(axis=1)
        now.used[at] = used = now.used[at] & finite & (moved | (now.rounds > 2))
        slopes[at] = np.where(finite[:, None], slope, 0.0)
        inner = slopes[at][used] * now.scatter
        whole = errors[np.ix_(used, used)] + inner @ inner.T
        now.factors.append(np.asarray(np.linalg.cholesky(whole), dtype=np.float64))
        now.whitening.append(solve_triangular(now.factors[-1], np.eye(len(whole)), lower=True))
        parts.append(_Part(here, slopes[at]))
    if now.rounds == 1 and sum(int(each.sum()) for each in now.used) <= len(now.problem.constants):
        why = "the twin gives no value, or none that a constant moves, at almost all readings"
        raise NotValid("cannot fit", why=why, possible="other constants or variables, or settings as they were")
    return parts


def _share_out(now: Solution, parts: list[_Part], how: Method) -> float:
    """Each batch's part of the scatter, at the new constants of the site; the most that one of them asks to be moved, of its scatter."""
    found = now.twin.run(now.moves(now.theta[None]))
    variance = now.scatter**2
    uncertain = np.zeros_like(variance)
    fresh = np.zeros_like(now.eta)
    for at, (rows, part) in enumerate(zip(now.twin.rows, parts, strict=True)):
        used = now.used[at]
        off = (rows.read + part.slopes @ now.eta[at] - found[at][0])[used]
        factor = (now.factors[at], True)
        inner = part.slopes[used] * variance
        fresh[at] = inner.T @ cho_solve(factor, np.where(np.isfinite(off), off, 0.0))
        uncertain += variance - np.einsum("ij,ij->j", inner, cho_solve(factor, inner))
    if how.scatter_is == "estimated":
        found_scatter = np.sqrt(np.maximum((np.sum(fresh**2, axis=0) + uncertain) / len(parts), 1e-12))
        constants = np.arange(len(variance)) < len(now.problem.names)  # what a probe is good for is known
        now.scatter = np.where(constants & (variance > 0), found_scatter, now.scatter)
    fresh = np.clip(fresh, -5.0 * now.scatter, 5.0 * now.scatter)
    asked = float(np.max(np.abs(fresh - now.eta) / np.maximum(now.scatter, 1e-9), initial=0.0))
    # Two sets of parts may lead to one another, beside a switch of the recipe: shorter steps end between them.
    share = 1.0 if now.rounds <= DAMPED_FROM else max(0.25, 2.0 ** (DAMPED_FROM - now.rounds))
    now.eta = now.eta + share * (fresh - now.eta)
    return asked


def _standard_errors(jacobian: Floats) -> Floats:
    _, sizes, axes = np.linalg.svd(jacobian, full_matrices=False)
    kept = sizes > 1e-10 * max(sizes[0], 1e-300)
    return np.asarray(np.sqrt(np.sum((axes[kept] / sizes[kept, None]) ** 2, axis=0))) if kept.any() else np.full(jacobian.shape[1], np.inf)
