"""Following: running batches, reading by reading, and what their end will be.

    state = begin(model, units=3)
    state = follow(state, values, maturity=maturity)
    said = forecast(state)

A forecast speaks from the bins of maturity that are complete; it does not change within one.

What cannot be used, and what then happens:
- A maturity that falls back counts as the highest so far: the reading belongs to the bin that is
  open. A maturity that is no number: the reading is not used, and counted.
- A value that is missing or impossible adds nothing. A batch of which much is missing is treated
  as one that is only as far as what it told: its interval is that of the earlier maturity.
- A batch that ends early keeps its last forecast. Beyond the reference (a batch that runs double)
  nothing is added; the forecast stays, and says so.

Guarantees: the same readings give the same forecasts; one unit or many the same numbers; the
state given is never changed.
Leaves to others: what is done about it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from isogenic.errors import NotValid
from isogenic.monitoring.forecasting.model import Forecaster
from isogenic.monitoring.forecasting.unfolding import bins_of
from isogenic.monitoring.structure import Z_MAX
from isogenic.monitoring.tables import Floats, present

__all__ = ["Course", "Following", "Forecast", "Reach", "begin", "features_of", "follow", "forecast"]

UNITS_MAX = 100_000
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Following:
    """What is remembered of running batches between two readings."""

    model: Forecaster
    maturity: Floats  # the highest so far; -inf while none is known
    bin: Counts  # that is open; -1 before the first, bins after the last
    count: Floats  # float64[units, p]: values in the open bin
    total: Floats  # and their sum
    pulled: Floats  # float64[units, r]: sum of P' D^-1 z over the complete bins
    precision: Floats  # float64[units, r, r]: sum of P' D^-1 P
    last: Floats  # float64[units, p]: scaled means of the last complete bin; NaN where missing
    whole: NDArray[np.bool_]  # nothing was missing so far
    used: Counts
    not_used: Counts

    @property
    def units(self) -> int:
        """How many batches are followed."""
        return len(self.bin)

    @property
    def complete(self) -> Counts:
        """How many bins each batch has left behind."""
        return np.maximum(self.bin, 0)


def begin(model: Forecaster, *, units: int = 1, product: str | None = None) -> Following:
    """Batches of which nothing has been read. Give the `product`, and a model of another one is refused."""
    model.check_product(product)
    if not 1 <= units <= UNITS_MAX:
        raise NotValid(f"cannot follow {units} batches", possible=f"1 to {UNITS_MAX}")
    p, r = len(model.variables), model.plane.components
    none = np.zeros(units, dtype=np.int64)
    sums = (np.zeros((units, p)), np.zeros((units, p)), np.zeros((units, r)), np.zeros((units, r, r)))
    return Following(model, np.full(units, -np.inf), none - 1, *sums, np.full((units, p), np.nan), np.ones(units, dtype=np.bool_), none, none)


def follow(state: Following, values: Floats, *, maturity: Floats | float) -> Following:
    """One reading of each batch: `values` float64[units, p] in the model's order (float64[p] for one), NaN where missing."""
    model = state.model
    readings = np.asarray(values, dtype=np.float64)
    readings = readings[None] if readings.ndim == 1 else readings
    given = np.atleast_1d(np.asarray(maturity, dtype=np.float64))
    if readings.shape != (state.units, len(model.variables)) or given.shape != (state.units,):
        wanted = f"({state.units}, {len(model.variables)})"
        raise NotValid(f"cannot follow values of shape {np.shape(values)}", why=f"{model.name} wants {wanted} and {state.units} maturities")
    told = present(given)
    reached = np.maximum(state.maturity, np.where(told, given, -np.inf))
    before = reached < model.grid.first - 0.5 * model.grid.step
    at = np.where(before, state.bin, bins_of(np.where(np.isfinite(reached), reached, 0.0), model.grid))
    at = np.where(~before & (at < 0), model.bins, at)  # beyond the last
    there = present(readings)
    usable = told & ~before & (at < model.bins)
    state = _closed(replace(state, maturity=reached), at, moves=told & ~before & (at > state.bin))
    counted = usable & there.any(axis=1)
    adds = there & usable[:, None]
    state = replace(
        state,
        count=state.count + adds,
        total=state.total + np.where(adds, np.where(there, readings, 0.0), 0.0),
        used=state.used + counted,
        not_used=state.not_used + ~counted,
    )
    ends = counted & (at == model.bins - 1) & (reached >= model.grid.last)
    return _closed(state, np.full(state.units, model.bins), moves=ends) if ends.any() else state


def _closed(state: Following, to: NDArray[np.intp], *, moves: NDArray[np.bool_]) -> Following:
    """The open bins closed and those passed over counted as missing, where a batch `moves`."""
    if not moves.any():
        return state
    model, open_ = state.model, state.bin
    units = np.flatnonzero(moves)
    had = units[open_[units] >= 0]
    pulled, precision, last, whole = state.pulled.copy(), state.precision.copy(), state.last.copy(), state.whole.copy()
    if len(had):
        bins, count = open_[had], state.count[had]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(count > 0, state.total[had] / count, np.nan)
        z = np.clip((mean - model.scaling.mean[bins]) / model.scaling.scale[bins], -Z_MAX, Z_MAX)
        more, sharper = model.plane.pull(z, bins)
        pulled[had] += more
        precision[had] += sharper
        last[had] = z
        whole[had] &= np.isfinite(z).all(axis=1)
    skipped = units[to[units] - open_[units] > 1]
    last[skipped], whole[skipped] = np.nan, False
    count, total, now = state.count.copy(), state.total.copy(), open_.copy()
    count[units], total[units], now[units] = 0.0, 0.0, to[units]
    return replace(state, bin=now, count=count, total=total, pulled=pulled, precision=precision, last=last, whole=whole)


def features_of(model: Forecaster, scores: Floats, last: Floats, complete: Counts) -> Floats:
    """What qualities are told from: the scores in their own spread, and what they leave of the last complete bin: float64[units, r + p]."""
    bins = np.maximum(complete - 1, 0)
    left = last - np.matmul(model.plane.loadings[bins], scores[:, :, None])[:, :, 0]
    beside = np.where(np.isfinite(left) & (complete > 0)[:, None], left, 0.0)
    return np.concatenate([scores / np.sqrt(model.plane.prior), beside], axis=1)


@dataclass(frozen=True, slots=True)
class Course:
    """A variable's trajectory to come, at the bins that are not complete."""

    maturity: Floats
    expected: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class Reach:
    """When a limit would be reached: maturities, None where not before the end."""

    expected: float | None
    earliest: float | None  # when the interval first touches the limit
    latest: float | None  # when all of the interval is beyond it
    now: bool  # it is already beyond


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """What is expected of each batch. Quality: float64[units, q]; `low` to `high` holds it in the model's share of batches."""

    model: Forecaster
    maturity: Floats
    complete: Counts  # bins that are
    as_far: Counts  # bins of a batch without gaps that would have told as much
    quality: Floats
    low: Floats
    high: Floats
    scores: Floats
    leverage: Floats  # float64[units]
    last: Floats

    def doubts(self, unit: int = 0) -> tuple[str, ...]:
        """Why the forecast of a batch is to be believed less; none, where it is as sure as it says."""
        model, found = self.model, []
        if self.complete[unit] == 0:
            found.append("nothing of the batch is complete yet; this is what batches usually come to")
        elif self.leverage[unit] > model.unlike[self.as_far[unit]]:
            found.append("the batch is unlike any that the forecast was fitted on")
        if self.as_far[unit] < self.complete[unit]:
            at = model.grid.first + model.grid.step * self.as_far[unit]
            found.append(f"much is missing: the interval is that of a batch at maturity {at:g}")
        if self.maturity[unit] > model.grid.last + 0.5 * model.grid.step:
            found.append(f"beyond the reference, which ends at {model.grid.last:g} {model.maturity_unit}".strip() + ": nothing is added")
        return tuple(found)

    def course(self, variable: str, unit: int = 0) -> Course:
        """What is to come of a variable."""
        model, column, k = self.model, self.model.column(variable), int(self.complete[unit])
        ahead = np.arange(k, model.bins)
        scaled = model.plane.loadings[ahead, column] @ self.scores[unit]
        if k:
            own = self.last[unit, column] - float(model.plane.loadings[k - 1, column] @ self.scores[unit])
            scaled = scaled + (own if np.isfinite(own) else 0.0) * model.fade[column] ** (ahead - k + 1.0)
        half = model.reach[column] * model.error[self.as_far[unit], ahead, column] * np.sqrt(1.0 + self.leverage[unit])
        mean, scale = model.scaling.mean[ahead, column], model.scaling.scale[ahead, column]
        expected, wide = mean + scale * scaled, scale * half
        return Course(model.grid.maturity()[ahead], expected, expected - wide, expected + wide)

    def reaches(self, variable: str, unit: int = 0, *, above: float | None = None, below: float | None = None) -> Reach:
        """When a variable would rise above, or fall below, a limit. What is complete is not looked at but for the last bin of it."""
        if (above is None) == (below is None):
            raise NotValid("cannot say when a limit is reached", why="give one, above or below")
        course, column, k = self.course(variable, unit), self.model.column(variable), int(self.complete[unit])
        sign, limit = (1.0, above) if above is not None else (-1.0, below)
        if limit is None or not np.isfinite(limit):
            raise NotValid("cannot say when a limit is reached", why="the limit is no number")
        near, far = (course.high, course.low) if sign > 0 else (course.low, course.high)
        expected, earliest, latest = (_first(course.maturity, sign * (each - limit)) for each in (course.expected, near, far))
        reading = self.last[unit, column] if k else np.nan
        now = bool(sign * (self.model.scaling.mean[k - 1, column] + self.model.scaling.scale[k - 1, column] * reading - limit) >= 0) if k else False
        return Reach(expected, earliest, latest, now)


def _first(maturity: Floats, over: Floats) -> float | None:
    """Where a course first comes to 0 from below, between its points."""
    at = np.flatnonzero(over >= 0)
    if not len(at):
        return None
    after = int(at[0])
    if after == 0:
        return float(maturity[0])
    low, high = over[after - 1], over[after]
    return float(maturity[after - 1] + (maturity[after] - maturity[after - 1]) * (-low / (high - low)))


def forecast(state: Following) -> Forecast:
    """What is expected of each batch now."""
    model, complete = state.model, state.complete
    spreads = model.spreads[complete]
    as_far = complete
    gaps = np.flatnonzero(~state.whole)
    if len(gaps):
        spreads = spreads.copy()
        spreads[gaps] = model.plane.spread(state.precision[gaps])
        known = np.searchsorted(model.told, model.known(spreads[gaps]) + 1e-9, side="right") - 1
        as_far = complete.copy()
        as_far[gaps] = np.clip(known, 0, complete[gaps])
    scores = np.matmul(spreads, state.pulled[:, :, None])[:, :, 0]
    features = features_of(model, scores, state.last, complete) - model.centre[as_far]
    leverage = np.matmul(np.matmul(features[:, None, :], model.doubt[as_far]), features[:, :, None])[:, 0, 0] + 1.0 / len(model.validation.batches)
    leverage = np.where(as_far > 0, leverage, 0.0)
    quality = model.level[as_far] + np.matmul(features[:, None, :], model.answers[as_far])[:, 0]
    half = model.half[as_far] * np.sqrt(1.0 + leverage)[:, None]
    reached = np.where(np.isfinite(state.maturity), state.maturity, np.nan)
    return Forecast(model, reached, complete, as_far, quality, quality - half, quality + half, scores, leverage, state.last)
