"""Fitting the bank: structure, filters and calibrated tails from good runs of continuous signals.

    scale -> directions -> ridge by evidence -> filters
    parts left out in turn -> every statistic on them -> tails -> limit

The promise is per row: of good rows, at most about `false_alarms` are alarms. Everything that
decides is therefore taken from rows that were not used for fitting: whole runs left out in turn
where there are three or more, blocks of rows with a gap to their neighbours where there are
fewer; and what is itself taken from left-out rows (how much movement is normal) is judged by the
other parts' values.

What few data cannot tell is not decided by guessing:
- A moving average decides only if the good rows hold enough of its windows (2 / rate rows each),
  and T2 only if they hold enough independent readings of it.
- A tail is drawn through Student's t of as many degrees of freedom as the statistic has
  independent values (from its autocorrelation), with the spread of the mean added.
- From `RUNS_TO_COMPARE` runs on, the limit lets the left-out runs have the stated share of alarms,
  with the standard error between runs on top. With fewer, how runs differ is not known: the limit
  is never lower than Sidak's for statistics that alarm independently of each other.

Guarantees: no dice; the same runs give the same bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import stdtrit

from isogenic.errors import NotValid
from isogenic.monitoring.bank.filters import ENERGY_MAX, REACH_MAX, Filtered, Filters, spread_of_averages
from isogenic.monitoring.bank.statistics import ANCHOR, Bank, energy_deviations, logs_of
from isogenic.monitoring.structure import halves
from isogenic.monitoring.tables import Floats

__all__ = ["RATES", "ROWS_MIN", "Core", "Fitted", "Normal", "core_of", "fit_bank", "series", "static"]

RATES = (0.3, 0.1, 0.03, 0.01)
ROWS_MIN = 100  # fewer good rows do not tell what is rare
ROWS_FOR_EACH = 2.0  # good rows for each variable
FOLDS = 10
FOLDS_OF_RUNS_MIN = 3  # runs from which whole runs are left out
GAP = 10  # rows between a block that is left out and the rows that are fitted from
RUNS_TO_COMPARE = 5
WINDOWS_OF_ENERGY = 20.0  # of an average, in the good rows; the level of an average takes more of them than the energy
WINDOWS_OF_DRIFT = 40.0
INDEPENDENT_LEVELS = 100.0  # readings of T2
RARE = 0.001  # a tail's line goes through Student's t at ANCHOR and here
RIDGES = 10.0 ** np.arange(-1.0, 4.01, 0.5)  # in rows: as if that many rows of unit variance spoke for no dependence on the past
SHRINK_MIN = 0.02  # of covariances towards no correlation
RESIDUAL_FLOOR = 1e-4  # of a deviation's variance: a variable that its past tells exactly
GAUSSIAN = 3.0  # the fourth moment of a normal distribution
SPREAD_FLOOR = 0.02  # of the fourth root of an average of w^2
VARIANCE_EXPLAINED = 0.8
WILD = 10.0  # robust standard deviations from the median
MAD_TO_SD = 1.4826
CONSTANT_FLOOR = 0.01  # of its level: the scale of a variable that never moved
LAGS_MAX = 300  # over which autocorrelation is added up
LAG_ENDS = 0.05  # autocorrelation below is noise
FREEDOM_MIN = 2.0
WARM_UP = 5  # rows of a run that are not calibrated from


class Core(NamedTuple):
    """What a set of good rows says, before calibration. `directions`: rows, float64[p, p]; `spread`: variance of the scores."""

    mean: Floats
    scale: Floats
    directions: Floats
    spread: Floats
    components: int
    filters: Filters


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """The bank of all runs, its core, and what the rows that were left out say of it."""

    core: Core
    bank: Bank
    groups: int  # how many times some rows were left out
    share: float  # of the left-out rows over the limit


class _Part(NamedTuple):
    """Rows of one run that were left out, and the core of the others."""

    core: Core
    values: Floats
    rows: slice
    usable: NDArray[np.bool_]
    run: int


def fit_bank(runs: Sequence[Floats], usable: Sequence[NDArray[np.bool_]], *, false_alarms: float, rates: Sequence[float] = RATES) -> Fitted:
    """The bank of good runs, float64[rows, p] without gaps; `usable`: the rows of each run that nothing was filled in."""
    rows = sum(len(run) for run in runs)
    p = runs[0].shape[1]
    if rows < max(ROWS_MIN, ROWS_FOR_EACH * p):
        raise NotValid(
            "cannot fit a monitor",
            why=f"{rows} good rows of {p} variables are too few",
            possible=f"at least {max(ROWS_MIN, int(ROWS_FOR_EACH * p))} rows",
        )
    if any(not 0.0 < rate <= 1.0 for rate in rates):
        raise NotValid(
            "cannot fit a monitor", why=f"rates {list(rates)} are not all above 0 and at most 1", possible="give rates such as 0.3 and 0.1"
        )
    used = np.array([rate for rate in rates if rows * rate / 2.0 >= WINDOWS_OF_ENERGY], dtype=np.float64)
    folds = [(core_of(rest, used), out) for rest, out in _folds(runs)]
    parts = [_Part(core, runs[run], rows_out, usable[run], run) for core, out in folds for run, rows_out in out]
    told = [_energies(part) for part in parts]
    core = core_of(runs, used)
    normal = _normal(told, used)
    logs: list[list[Floats]] = [[] for _ in runs]
    for _at, part in enumerate(parts):
        rest = [each for other, each in enumerate(told) if parts[other].core is not part.core] or told
        logs[part.run].append(_judged(part, series(part.core, part.values, _normal(rest, used))))
    by_run = [np.concatenate(each) for each in logs]
    bank = _calibrated(core, normal, by_run, rows=rows, false_alarms=false_alarms)
    over = np.concatenate([_fused(bank, each) for each in by_run]) > bank.limit
    return Fitted(core, bank, len(folds), float(over.mean()))


def _folds(runs: Sequence[Floats]) -> list[tuple[list[Floats], list[tuple[int, slice]]]]:
    """What is fitted from, and what is left out of it."""
    if len(runs) >= FOLDS_OF_RUNS_MIN:
        groups = min(FOLDS, len(runs))
        return [
            ([run for at, run in enumerate(runs) if at % groups != group], [(at, slice(0, len(runs[at]))) for at in range(group, len(runs), groups)])
            for group in range(groups)
        ]
    folds = []
    for at, run in enumerate(runs):
        edges = np.linspace(0, len(run), FOLDS // len(runs) + 1).astype(int)
        for first, last in itertools.pairwise(edges):
            rest = [run[: max(0, first - GAP)], run[last + GAP :], *(other for where, other in enumerate(runs) if where != at)]
            folds.append(([each for each in rest if len(each) > 2 * GAP], [(at, slice(int(first), int(last)))]))
    return folds


def core_of(runs: Sequence[Floats], rates: Floats) -> Core:
    """Scale, directions and filters of good rows; a few wild values among them do not decide what is usual."""
    runs = _tamed(runs)
    together = np.concatenate(runs)
    mean, scale = together.mean(axis=0), together.std(axis=0)
    level = np.abs(mean)
    scale = np.where(scale > 1e-9 * level + 1e-300, scale, CONSTANT_FLOOR * np.where(level > 0, level, 1.0))
    z = [(run - mean) / scale for run in runs]
    before, now = np.concatenate([each[:-1] for each in z]), np.concatenate([each[1:] for each in z])
    rows, p = before.shape
    strength, vectors = np.linalg.eigh(before.T @ before)
    strength, directions = np.maximum(strength[::-1], 0.0), np.ascontiguousarray(vectors[:, ::-1].T)
    lead = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    directions = directions * np.where(lead < 0, -1.0, 1.0)
    scores = before @ directions.T
    weights, leverage, freedom = _ridge(strength, scores.T @ now, np.square(now).sum(axis=0), rows)
    residual = now - scores @ weights
    left = np.sqrt(np.maximum(rows - freedom, 1.0))
    covariance = (residual.T @ residual) / np.outer(left, left)
    shrink = max(SHRINK_MIN, p / (p + rows))
    covariance = (1.0 - shrink) * covariance + np.diag(shrink * np.diag(covariance) + RESIDUAL_FLOOR)
    reach = REACH_MAX * np.sqrt(np.maximum(strength / rows, RESIDUAL_FLOOR))
    filters = Filters(weights, leverage, np.linalg.inv(covariance), reach, rates, np.ones((len(rates), p)), rows)
    explained = np.cumsum(strength) / max(strength.sum(), 1e-300)
    components = int(min(np.searchsorted(explained, VARIANCE_EXPLAINED) + 1, max(p - 1, 1)))
    return Core(mean, scale, directions, _spread(z, directions, strength / rows, shrink), components, filters)


def _tamed(runs: Sequence[Floats]) -> list[Floats]:
    """The runs with wild values drawn in; where most values are the same, none is called wild."""
    together = np.concatenate(runs)
    middle = np.median(together, axis=0)
    reach = WILD * MAD_TO_SD * np.median(np.abs(together - middle), axis=0)
    reach = np.where(reach > 0, reach, np.inf)
    return [np.clip(run, middle - reach, middle + reach) for run in runs]


def _ridge(strength: Floats, cross: Floats, total: Floats, rows: int) -> tuple[Floats, Floats, Floats]:
    """Weights, leverage and degrees of freedom; each variable has the ridge of the largest evidence (MacKay 1992)."""
    evidence = []
    for ridge in RIDGES:
        left = np.maximum(total - (np.square(cross) / (strength + ridge)[:, None]).sum(axis=0), 1e-12 * np.maximum(total, 1e-300))
        evidence.append(0.5 * (len(strength) * np.log(ridge) - np.log(strength + ridge).sum()) - 0.5 * rows * np.log(left / rows))
    inverse = 1.0 / (strength[:, None] + RIDGES[np.argmax(evidence, axis=0)])
    return cross * inverse, inverse, (strength[:, None] * inverse).sum(axis=0)


def _spread(z: Sequence[Floats], directions: Floats, variance: Floats, shrink: float) -> Floats:
    """The variance of the scores of a row to come: wider where the good rows hold few independent values of a score."""
    scores = [each @ directions.T for each in z]
    products = np.sum([(each[1:] * each[:-1]).sum(axis=0) for each in scores], axis=0)
    squares = np.maximum(np.sum([np.square(each).sum(axis=0) for each in scores], axis=0), 1e-300)
    memory = np.clip(products / squares, 0.0, 0.999)
    independent = np.maximum(sum(map(len, z)) * (1.0 - memory) / (1.0 + memory), 3.0)
    wider = (1.0 + 1.0 / independent) * (independent + 1.0) / (independent - 1.0)
    spread: Floats = np.maximum((1.0 - shrink) * variance + shrink, SHRINK_MIN / 2) * wider
    return spread


def static(core: Core, scores: Floats) -> Floats:
    """T2 and SPE of scores float64[rows, p]: float64[rows, 2]."""
    return np.asarray(np.square(scores) @ halves(core.spread, core.components))


def _along(core: Core, values: Floats) -> tuple[Floats, Filtered]:
    """The filters of a whole run at once: the same numbers as row by row, but for rounding."""
    filters = core.filters
    scores = ((values - core.mean) / core.scale) @ core.directions.T
    before = np.clip(scores[:-1], -filters.reach, filters.reach)
    residual = scores[1:] @ core.directions - before @ filters.weights
    shock = filters.shock[: filters.variables]
    shocks = np.clip(residual, -shock, shock)

    def average(rate: float, of: Floats, first: Floats | float = 0.0) -> Floats:
        begin = (1.0 - rate) * np.broadcast_to(first, of.shape[1:])[None]
        averaged: Floats = lfilter([rate], [1.0, rate - 1.0], of, axis=0, zi=begin)[0]
        return averaged

    both = [(residual, before), *((average(rate, shocks), average(rate, before)) for rate in filters.rates.tolist())]
    size, w = [], []
    for (of_residual, of_scores), noise in zip(both, spread_of_averages(filters.rates)[:, 0] + 1.0 / filters.rows, strict=True):
        scaled = of_residual / np.sqrt(noise + np.square(of_scores) @ filters.leverage)
        pulled = scaled @ filters.precision
        size.append((scaled * pulled).sum(axis=1))
        w.append(pulled * filters.root)
    squares = np.minimum(np.square(w[0]), ENERGY_MAX)
    energy = [average(rate, squares, first) for rate, first in zip(filters.rates.tolist(), filters.energy, strict=True)]
    stacked = np.stack(energy, axis=1) if energy else np.empty((len(squares), 0, values.shape[1]))
    return scores, Filtered(np.stack(size, axis=1), np.stack(w, axis=1), stacked, np.ones(len(squares), dtype=np.bool_), True)


class Normal(NamedTuple):
    """How much movement is normal: see `Bank`."""

    steadiness: Floats
    centre: Floats
    spread: Floats


def series(core: Core, values: Floats, normal: Normal) -> Floats:
    """The logarithm of every statistic at every row of a run but the first: float64[rows - 1, statistics]."""
    begins = core._replace(filters=_beginning(core.filters, normal.centre))
    scores, filtered = _along(begins, values)
    deviations = energy_deviations(normal.centre, normal.spread, filtered.energy)
    return logs_of(static(core, scores[1:]), filtered, deviations, normal.steadiness)


def _beginning(filters: Filters, centre: Floats) -> Filters:
    return replace(filters, energy=np.power(centre, 4.0))


def _judged(part: _Part, along: Floats) -> Floats:
    """Of what was measured along the whole run, the left-out rows."""
    return along[_rows_after_first(part)]


def _rows_after_first(part: _Part) -> NDArray[np.intp]:
    first = max(part.rows.start, WARM_UP)
    rows = np.arange(first, part.rows.stop)
    return rows[part.usable[first : part.rows.stop]] - 1


class _Energy(NamedTuple):
    squares: Floats  # of w, float64[rows, p]
    roots: Floats  # fourth roots of its averages, float64[rows, k, p]


def _energies(part: _Part) -> _Energy:
    _, filtered = _along(part.core, part.values)
    rows = _rows_after_first(part)
    return _Energy(np.minimum(np.square(filtered.w[rows, 0]), ENERGY_MAX), np.sqrt(np.sqrt(filtered.energy[rows])))


def _normal(told: Sequence[_Energy], rates: Floats) -> Normal:
    """What the left-out rows say of normal movement; the spread includes the uncertainty of the centre."""
    squares = np.concatenate([each.squares for each in told])
    roots = np.concatenate([each.roots for each in told])
    fourth = np.square(squares).mean(axis=0)
    steadiness = 1.0 / np.maximum(np.sqrt(fourth / GAUSSIAN), 1.0)
    mean = np.maximum(squares.mean(axis=0), 1e-12)
    relative = (fourth / np.square(mean) - 1.0) / _independent([squares], most=50)
    centre = roots.mean(axis=0)
    spread = np.sqrt(roots.var(axis=0) + np.maximum(relative, 0.0) * np.square(centre / 4.0))
    return Normal(steadiness, centre, np.maximum(spread, SPREAD_FLOOR))


def _independent(runs: Sequence[Floats], *, most: int = LAGS_MAX) -> Floats:
    """How many independent values the rows are worth, for each column: rows over the sum of the autocorrelation."""
    rows = sum(map(len, runs))
    mean = np.sum([run.sum(axis=0) for run in runs], axis=0) / rows
    centred = [run - mean for run in runs]
    variance = np.maximum(np.sum([np.square(run).sum(axis=0) for run in centred], axis=0), 1e-300)
    total, going = np.ones_like(mean), np.ones(mean.shape, dtype=np.bool_)
    for lag in range(1, most):
        shared = np.sum([(run[lag:] * run[:-lag]).sum(axis=0) for run in centred if len(run) > lag] or [np.zeros_like(mean)], axis=0) / variance
        going = going & (shared > LAG_ENDS)
        if not going.any():
            break
        total = total + np.where(going, 2.0 * shared, 0.0)
    independent: Floats = rows / total
    return independent


def _calibrated(core: Core, normal: Normal, by_run: Sequence[Floats], *, rows: int, false_alarms: float) -> Bank:
    """Tails through the left-out rows, which statistics decide, and the limit."""
    compared = len(by_run) >= FOLDS_OF_RUNS_MIN
    # blocks of fewer runs follow each other in time: as one, so that slow statistics show how slow they are
    independent = np.maximum(_independent(by_run if compared else [np.concatenate(by_run)]) - 1.0, FREEDOM_MIN)
    together = np.concatenate(by_run)
    middle = together.mean(axis=0)
    above = together > middle
    width = np.sqrt(np.where(above, np.square(together - middle), 0.0).sum(axis=0) / np.maximum(above.sum(axis=0), 1))
    width = np.maximum(width * np.sqrt(1.0 + 1.0 / independent) * np.sqrt((independent + 1.0) / independent), 1e-6)
    low = middle - width * stdtrit(independent, ANCHOR)
    rare = middle - width * stdtrit(independent, RARE)
    slope = (np.log10(ANCHOR) - np.log10(RARE)) / (rare - low)
    decides = _deciding(core.filters.rates, rows=rows, levels=float(independent[0]))
    bank = Bank(_beginning(core.filters, normal.centre), *normal, low, slope, decides, 0.0)
    fused = [_fused(bank, each) for each in by_run]
    limit = _limit(fused, false_alarms, statistics=int(decides.sum()))
    return replace(bank, limit=limit)


def _deciding(rates: Floats, *, rows: int, levels: float) -> NDArray[np.bool_]:
    """Which statistics the good rows suffice for."""
    drift = np.concatenate([[True], rows * rates / 2.0 >= WINDOWS_OF_DRIFT])
    return np.concatenate([[levels >= INDEPENDENT_LEVELS, True], drift, drift, np.ones(2 * len(rates), dtype=np.bool_)])


def _fused(bank: Bank, logs: Floats) -> Floats:
    each = (logs[:, bank.decides] - bank.low[bank.decides]) * bank.slope[bank.decides] - np.log10(ANCHOR)
    fused: Floats = each.max(axis=1)
    return fused


def _limit(fused: Sequence[Floats], false_alarms: float, *, statistics: int) -> float:
    """The lowest limit at which the left-out rows keep the promise."""
    together = np.sort(np.concatenate(fused))
    if len(fused) < RUNS_TO_COMPARE:
        sidak = -np.log10(-np.expm1(np.log1p(-false_alarms) / statistics))
        return float(max(np.quantile(together, 1.0 - false_alarms), sidak))
    ordered = [np.sort(each) for each in fused]
    low, high = 0, len(together) - 1
    while low < high:
        at = (low + high) // 2
        shares = np.array([1.0 - np.searchsorted(each, together[at], side="right") / len(each) for each in ordered])
        if shares.mean() + shares.std(ddof=1) / np.sqrt(len(shares)) <= false_alarms:
            high = at
        else:
            low = at + 1
    return float(together[low])
