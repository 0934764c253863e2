"""Fitting a forecast from batches of which the end is known.

    bins -> scale -> plane -> scores at every bin -> ridge -> batches left out in turn -> intervals

Fit it on batches of every kind that should be foreseen, the disturbed ones too: a forecast
knows only what it has seen come to an end.

The promise is per batch: at each maturity, about `coverage` of new batches of the same kind end
within their interval. Its width is the quantile of what the forecast missed batches by that were
left out of everything (scale, plane, ridge), of a new batch (n + 1, not n; Vovk and others 2005),
in units of sqrt(1 + leverage), so that it is wider for a batch that goes where few went. Widths
are pooled over neighbouring bins and made to fall with maturity (isotonic regression, Barlow and
others 1972): more readings do not make a forecast worse but by chance. The number of components is
the one with the least error of left-out batches over all bins.

Guarantees: no dice; the same batches in the same order give the same bytes.
Leaves to others: which batches, following a running one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri, stdtrit

from isogenic.errors import NotValid
from isogenic.monitoring.alignment import Grid, grid_of
from isogenic.monitoring.forecasting.model import BINS_MAX, QUALITIES_MAX, VARIABLES_MAX, Forecaster, Validation
from isogenic.monitoring.forecasting.unfolding import Plane, Scaling, plane_of, rows_of, scaling_of, unfold
from isogenic.monitoring.tables import BatchTable, Floats, Variable, check_tables, present

__all__ = ["BATCHES_MIN", "fit_forecast"]

BATCHES_MIN = 15  # fewer do not tell how a forecast misses
BATCHES_MAX = 5_000
BINS = 60
FOLDS = 10
COMPONENTS = (2, 4, 6, 9, 13)  # tried; no more than a third of the batches
RIDGES = 10.0 ** np.arange(-1.0, 5.01, 0.5)
DOUBT_RIDGE = 0.1  # of the features' mean spread: so few batches say nothing of directions of almost none
COVERAGE_MIN, COVERAGE_MAX = 0.5, 0.99
POOLED = 2  # bins to each side whose misses make one width
SHAPE_LEVEL = 0.9  # of left-out batches at one bin: the shape of the limit beyond which a batch is unlike them; one factor does the rest
GAPS_MAX = 0.5
CELLS_MAX = 20_000_000


class _Fit(NamedTuple):
    """What a set of batches says, before its intervals."""

    scaling: Scaling
    plane: Plane
    level: Floats
    answers: Floats
    centre: Floats
    doubt: Floats
    fade: Floats


class _Missed(NamedTuple):
    """What left-out batches were missed by: float64[n, bins + 1, q], their leverage float64[n, bins + 1], and courses' squared misses."""

    quality: Floats
    leverage: Floats
    course: Floats  # float64[n, bins + 1, bins, p], scaled and in units of sqrt(1 + leverage); NaN where nothing is there to compare


def fit_forecast(
    batches: Sequence[BatchTable],
    *,
    variables: Sequence[Variable],
    name: str,
    product: str,
    quality: Mapping[str, Sequence[float]] | None = None,
    qualities: Sequence[Variable] = (),
    coverage: float = 0.9,
    unlike: float = 0.05,
    bins: int | None = None,
    components: int | None = None,
    maturity_unit: str = "h",
) -> Forecaster:
    """A forecast model from whole batches; `quality`: of each batch, by its name, the end values of `qualities`.

    Without qualities the trajectories alone are forecast (from principal components). `bins`: along maturity, by default 60 or as
    many as a batch has samples. `unlike`: the share of such batches that may be called unlike the others at any maturity.
    `components`: by default as many as foresee best.
    """
    ends = _ends(batches, quality or {}, qualities)
    _check(batches, variables, coverage=coverage, unlike=unlike, components=components)
    fine = grid_of(batches, every=None)
    count = min(bins or BINS, BINS_MAX, fine.points) if bins is None or bins >= 2 else 0
    if count < 2:
        raise NotValid(f"cannot use {bins} bins", possible=f"2 to {BINS_MAX}")
    grid = Grid(fine.first, (fine.last - fine.first) / (count - 1), count)
    if len(batches) * count * count * len(variables) > 8 * CELLS_MAX:
        raise NotValid("cannot fit a forecast", why="batches, bins and variables are too many together", possible="fewer bins")
    rows = rows_of(batches, grid)
    _check_rows(rows, variables)
    groups = min(FOLDS, len(batches))
    tried = (components,) if components else tuple(each for each in COMPONENTS if each <= len(batches) // 3)
    best, least = tried[0], np.inf
    for each in tried if len(tried) > 1 else ():
        off = _error(_left_out(rows, ends, each, groups, courses=not ends.shape[1]), ends)
        if off < least:
            best, least = each, off
    missed = _left_out(rows, ends, best, groups, courses=True)
    found = _fitted(rows, ends, best)
    half = _halves(missed, coverage)
    scale = np.sqrt(1.0 + missed.leverage)
    covered = tuple(np.mean(np.abs(missed.quality) <= half * scale[:, :, None], axis=(0, 1)).tolist())
    limit, share = _unlike(missed.leverage, unlike)
    validation = Validation(
        tuple(each.batch for each in batches),
        groups,
        coverage,
        "PLS" if len(qualities) else "PCA",
        covered,
        tuple(_rms(missed.quality[:, 0]).tolist()),
        tuple(_rms(missed.quality[:, -1]).tolist()),
        unlike,
        share,
    )
    error, reach = _courses(missed.course, coverage)
    return Forecaster(
        name,
        product,
        tuple(variables),
        tuple(qualities),
        maturity_unit,
        grid,
        found.scaling,
        found.plane,
        found.level,
        found.answers,
        found.centre,
        found.doubt,
        half,
        limit,
        found.fade,
        error,
        reach,
        validation,
    )


def _fitted(rows: Floats, ends: Floats, components: int) -> _Fit:
    scaling = scaling_of(rows)
    z = unfold(rows, scaling)
    level, n = ends.mean(axis=0), len(ends)
    plane = plane_of(z, (ends - level) / _spread_of(ends) if ends.shape[1] else None, components)
    features, _ = _features(plane, z)
    centre = features.mean(axis=0)
    answers, doubt = _ridge(features - centre[None], ends - level)
    answers[0], doubt[0], centre[0] = 0.0, 0.0, 0.0
    return _Fit(scaling, plane, np.tile(level, (len(centre), 1)), answers, centre, doubt, _fade(plane, z, n))


def _features(plane: Plane, z: Floats) -> tuple[Floats, Floats]:
    """Of every batch after 0, 1, ... bins, as on line: float64[n, bins + 1, r + p]; and the scores, float64[n, bins + 1, r]."""
    n, bins, p = z.shape
    pulled, precision = plane.pull(z, np.broadcast_to(np.arange(bins), (n, bins)))
    pulled = np.concatenate([np.zeros((n, 1, plane.components)), np.cumsum(pulled, axis=1)], axis=1)
    if np.isfinite(z).all():
        spreads = plane.spreads()[None]
    else:
        zero = np.zeros((n, 1, plane.components, plane.components))
        spreads = plane.spread(np.concatenate([zero, np.cumsum(precision, axis=1)], axis=1))
    scores = np.matmul(spreads, pulled[..., None])[..., 0]
    left = z - np.einsum("bpr,nbr->nbp", plane.loadings, scores[:, 1:])
    beside = np.concatenate([np.zeros((n, 1, p)), np.nan_to_num(left)], axis=1)
    return np.concatenate([scores / np.sqrt(plane.prior), beside], axis=2), scores


def _ridge(features: Floats, ends: Floats) -> tuple[Floats, Floats]:
    """For every bin the regression with the least error of batches left out one by one, one ridge for all qualities and a bin."""
    n, k, _ = features.shape
    columns = np.ascontiguousarray(features.transpose(1, 0, 2))
    values, vectors = np.linalg.eigh(columns.transpose(0, 2, 1) @ columns)
    turned, shared = columns @ vectors, None
    values = np.maximum(values, 0.0)
    shared = turned.transpose(0, 2, 1) @ ends  # float64[k, f, q]
    wide = _spread_of(ends)
    errors = []
    for ridge in RIDGES:
        shrunk = 1.0 / (values + ridge)
        leverage = np.square(turned) @ shrunk[:, :, None] + 1.0 / n
        left = (ends - turned @ (shrunk[:, :, None] * shared)) / np.maximum(1.0 - leverage, 1e-6)
        errors.append(np.square(left / wide).sum(axis=(1, 2)) if ends.shape[1] else np.full(k, -ridge))
    smooth = np.array(errors)
    smooth[:, 1:-1] = (smooth[:, :-2] + smooth[:, 1:-1] + smooth[:, 2:]) / 3.0
    ridges = RIDGES[np.argmin(smooth, axis=0)] if ends.shape[1] else np.full(k, 10.0)
    shrunk = 1.0 / (values + ridges[:, None])
    answers = vectors @ (shrunk[:, :, None] * shared)
    near = 1.0 / (values + DOUBT_RIDGE * values.mean(axis=1, keepdims=True) + 1e-9)
    doubt = (vectors * near[:, None, :]) @ vectors.transpose(0, 2, 1)
    return answers, doubt


def _fade(plane: Plane, z: Floats, n: int) -> Floats:
    """How much of what the scores leave of a variable is still there a bin later."""
    _, scores = _features(plane, z)
    left = np.nan_to_num(z - np.einsum("bpr,nr->nbp", plane.loadings, scores[:, -1]))
    beside, own = (left[:, 1:] * left[:, :-1]).sum(axis=(0, 1)), np.square(left[:, :-1]).sum(axis=(0, 1))
    fade: Floats = np.clip(beside / np.maximum(own, 1e-300), 0.0, 0.98)
    return fade


def _left_out(rows: Floats, ends: Floats, components: int, groups: int, *, courses: bool) -> _Missed:
    """Every batch forecast at every bin by a fit that never saw it."""
    n, bins, p = rows.shape
    quality, leverage = np.zeros((n, bins + 1, ends.shape[1])), np.zeros((n, bins + 1))
    course = np.full((n, bins + 1, bins, p) if courses else (0, 0, 0, 0), np.nan)
    for group in range(groups):
        out = np.arange(group, n, groups)
        rest = np.setdiff1d(np.arange(n), out)
        fit = _fitted(rows[rest], ends[rest], components)
        z = unfold(rows[out], fit.scaling)
        features, scores = _features(fit.plane, z)
        centred = features - fit.centre
        quality[out] = ends[out][:, None] - fit.level - np.einsum("nkf,kfq->nkq", centred, fit.answers)
        # of as many batches as the whole fit has, which its leverage falls with
        leverage[out] = (np.einsum("nkf,kfg,nkg->nk", centred, fit.doubt, centred, optimize=True) + 1.0 / len(rest)) * (len(rest) / n)
        leverage[out, 0] = 0.0
        if courses:
            course[out] = _course_misses(fit, z, features, scores) / np.sqrt(1.0 + leverage[out])[:, :, None, None]
    return _Missed(quality, leverage, course)


def _course_misses(fit: _Fit, z: Floats, features: Floats, scores: Floats) -> Floats:
    n, bins, p = z.shape
    missed = np.full((n, bins + 1, bins, p), np.nan)
    for k in range(bins):
        ahead = np.arange(k, bins)
        told = np.einsum("bpr,nr->nbp", fit.plane.loadings[k:], scores[:, k])
        if k:
            told += features[:, k, None, fit.plane.components :] * fit.fade ** (ahead - k + 1.0)[None, :, None]
        missed[:, k, k:] = z[:, k:] - told
    return missed


def _error(missed: _Missed, ends: Floats) -> float:
    if ends.shape[1]:
        return float(np.mean(np.square(missed.quality / _spread_of(ends))))
    return float(np.nanmean(np.square(missed.course)))


def _halves(missed: _Missed, coverage: float) -> Floats:
    """Half the interval in units of sqrt(1 + leverage), so that that of a usual batch falls with maturity: float64[bins + 1, q]."""
    usual = np.sqrt(1.0 + np.median(missed.leverage, axis=0))
    wide = _pooled_quantile(np.abs(missed.quality) * (usual / np.sqrt(1.0 + missed.leverage))[:, :, None], coverage)
    floor = 1e-9 * np.maximum(np.abs(wide).max(axis=0, initial=0.0), 1e-9)
    falling = np.stack([_falling(wide[:, each]) for each in range(wide.shape[1])], axis=1) if wide.shape[1] else wide
    found: Floats = np.maximum(falling, floor) / usual[:, None]
    return found


def _unlike(leverage: Floats, unlike: float) -> tuple[Floats, float]:
    """The leverage beyond which a batch is unlike the left-out ones, so that the stated share of them is at any bin; and their own share.

    The shape along maturity is a quantile of each bin; the factor is the quantile of what each batch needs not to be over it anywhere.
    """
    shape = np.maximum(_pooled_quantile(leverage[:, :, None], SHAPE_LEVEL)[:, 0], 1e-9)
    needed = (leverage / shape)[:, 1:].max(axis=1)
    n, rank = len(needed), (len(needed) + 1) * (1.0 - unlike)
    logs = np.log(np.maximum(needed, 1e-12))
    if rank <= n:
        factor = float(_quantile(needed[:, None], 1.0 - unlike)[0])
    else:
        factor = float(np.exp(logs.mean() + stdtrit(n - 1, 1.0 - unlike) * np.sqrt(1.0 + 1.0 / n) * logs.std(ddof=1)))
    return shape * factor, float((needed > factor).mean())


def _pooled_quantile(values: Floats, share: float) -> Floats:
    """The quantile of each bin and its neighbours, of a new batch: float64[bins + 1, q] from float64[n, bins + 1, q]."""
    each = np.stack([_quantile(values[:, at], share) for at in range(values.shape[1])])
    out = each.copy()
    for at in range(1, len(each)):  # before the first bin there is nothing to pool
        out[at] = each[max(1, at - POOLED) : at + POOLED + 1].mean(axis=0)
    return out


def _quantile(values: Floats, share: float) -> Floats:
    """Of n + 1; by Student's t where so few batches hold no such quantile."""
    n = len(values)
    rank = (n + 1) * share
    if rank <= n:
        ordered, low = np.sort(values, axis=0), int(rank)
        upper = ordered[min(low, n - 1)]
        found: Floats = ordered[low - 1] + (rank - low) * (upper - ordered[low - 1])
        return found
    wide: Floats = float(stdtrit(n - 1, 0.5 + share / 2.0)) * _rms(values)
    return wide


def _falling(values: Floats) -> Floats:
    """The nearest sequence that never rises (pool adjacent violators)."""
    blocks: list[list[float]] = []
    for value in values.tolist():
        blocks.append([value, 1.0])
        while len(blocks) > 1 and blocks[-2][0] < blocks[-1][0]:
            (one, first), (two, second) = blocks[-2:]
            blocks[-2:] = [[(one * first + two * second) / (first + second), first + second]]
    return np.concatenate([np.full(int(count), value) for value, count in blocks])


def _courses(course: Floats, coverage: float) -> tuple[Floats, Floats]:
    """Root mean square miss of a course, smoothed over neighbouring bins, and how many of them its interval takes."""
    p = course.shape[-1]
    there = np.isfinite(course)
    squares, count = np.where(there, np.square(np.nan_to_num(course)), 0.0).sum(axis=0), there.sum(axis=0).astype(np.float64)
    total, each = squares.copy(), count.copy()
    for sums, one in ((total, squares), (each, count)):
        sums[:, 1:] += one[:, :-1]
        sums[:, :-1] += one[:, 1:]
    error = np.sqrt(total / np.maximum(each, 1.0))
    ratios = [np.abs(course[..., at] / np.maximum(error[..., at], 1e-12))[there[..., at]] for at in range(p)]
    usual = float(ndtri(0.5 + coverage / 2.0))
    reach = np.array([max(float(np.quantile(ratio, coverage)), 0.5 * usual) if len(ratio) else usual for ratio in ratios])
    return error, reach


def _rms(values: Floats) -> Floats:
    found: Floats = np.sqrt(np.mean(np.square(values), axis=0))
    return found


def _spread_of(ends: Floats) -> Floats:
    """Of each quality between batches; 1 % of its level where it never differed."""
    spread, level = ends.std(axis=0), np.abs(ends).max(axis=0, initial=0.0)
    found: Floats = np.maximum(spread, np.where(level > 0, 1e-9 * level, 1.0))
    return found


def _ends(batches: Sequence[BatchTable], quality: Mapping[str, Sequence[float]], qualities: Sequence[Variable]) -> Floats:
    if len({each.name for each in qualities}) != len(qualities) or len(qualities) > QUALITIES_MAX:
        raise NotValid("cannot use the qualities", why=f"a name is there twice, or there are more than {QUALITIES_MAX}")
    if qualities and (missing := [table.batch for table in batches if table.batch not in quality]):
        raise NotValid(f"cannot use batch {missing[0][:40]}", why="its quality is not known", possible="leave it out")
    ends = np.array([quality[table.batch] if qualities else () for table in batches], dtype=np.float64).reshape(len(batches), -1)
    if ends.shape[1] != len(qualities):
        raise NotValid("cannot use the qualities", why=f"{ends.shape[1]} values are given for {len(qualities)} of them")
    for at, table in enumerate(batches):
        if not present(ends[at]).all():
            raise NotValid(f"cannot use batch {table.batch[:40]}", why="a quality of it is no number", possible="leave it out")
    return ends


def _check(batches: Sequence[BatchTable], variables: Sequence[Variable], *, coverage: float, unlike: float, components: int | None) -> None:
    if not BATCHES_MIN <= len(batches) <= BATCHES_MAX:
        raise NotValid("cannot fit a forecast", why=f"{len(batches)} batches", possible=f"{BATCHES_MIN} to {BATCHES_MAX} of which the end is known")
    check_tables(batches, variables)
    if len(variables) > VARIABLES_MAX:
        raise NotValid("cannot fit a forecast", why=f"{len(variables)} variables", possible=f"at most {VARIABLES_MAX}")
    if not COVERAGE_MIN <= coverage <= COVERAGE_MAX:
        raise NotValid(f"cannot cover a share of {coverage}", possible=f"{COVERAGE_MIN} to {COVERAGE_MAX}")
    if not 0.0 < unlike < 0.5:
        raise NotValid(f"cannot call a share of {unlike} unlike the others", possible="above 0, below 0.5")
    if components is not None and not 1 <= components <= len(batches) // 3:
        raise NotValid(f"cannot use {components} components", possible=f"1 to {len(batches) // 3}, a third of the batches")


def _check_rows(rows: Floats, variables: Sequence[Variable]) -> None:
    there = np.isfinite(rows)
    for at, variable in enumerate(variables):
        known = (there[:, :, at].sum(axis=0) >= 3).any()
        if not known:
            raise NotValid(f"cannot use {variable.name}", why="fewer than 3 batches have it at any maturity", possible="leave the variable out")
