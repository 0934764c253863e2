"""Judging: readings of running units against a released model.

    watch = model.watch(units=1000)
    watch, findings = judge(watch, values, maturity=maturity)

`judge` takes the state of any number of units and one reading of each, and gives the next state
and what was found; `judge_batch` does it for all samples of one unit. A reading's score is held
against the model's limit; an alarm begins when it has been over for the model's number of
consecutive judged samples, and ends after as many under it. The stated false-alarm rate holds for
readings about as frequent as in the data that the model was fitted from: an alarm counts samples,
not hours.

A missing value is filled in by what the reading before and the values present let expect of it
(conditional mean; Nelson, Taylor and MacGregor 1996), so it adds nothing of its own.

Guarantees: a reading that cannot be judged says why and neither makes nor ends an alarm; a
unit's findings are the same bits whichever units are judged beside it; the same readings always
give the same findings; the model and the watch given are never changed.
Leaves to others: opening deviations, keeping the watch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isogenic.errors import NotValid
from isogenic.monitoring.bank.filters import Filtered, State, expected, filter_rows
from isogenic.monitoring.bank.statistics import energy_deviations, logs_of, shares_of, shares_of_level, tails_of
from isogenic.monitoring.explanation import Finding, contributions, finding
from isogenic.monitoring.model import Model
from isogenic.monitoring.structure import PRESENT_SHARE_MIN, Z_MAX, Place, between, filled, place
from isogenic.monitoring.tables import BatchTable, Floats, present
from isogenic.monitoring.watch import Watch

__all__ = ["Findings", "judge", "judge_batch", "measure_block"]

Flags = NDArray[np.bool_]
FARTHEST = (np.array(-Z_MAX), np.array(Z_MAX))  # as arrays: numpy takes longer over plain numbers


class _Measured(NamedTuple):
    """One reading of each unit, measured."""

    values: Floats
    mean: Floats  # float64[units, p], or float64[p] where it is the same for all
    z: Floats
    scores: Floats
    there: Flags
    place: Place | None
    limits: Floats | None  # of T2 and SPE, where there is no bank
    raw: Floats | None  # T2 and SPE, where there is no bank
    filtered: Filtered | None
    everywhere: bool  # known to be judged


@dataclass(slots=True, eq=False)  # not frozen: made for every reading, and a frozen one takes 1.4 us longer to make
class Findings:
    """What one reading of each unit says. Where not `judged`, the score is NaN, `why_not` says why and the alarm stands as it stood."""

    model: Model
    maturity: Floats
    judged: Flags
    alarm: Flags
    begins: Flags  # an alarm begins with this reading
    score: Floats
    limit: float
    leading: NDArray[np.intp]  # which of the model's statistics the score is
    statistics: Floats  # float64[units, statistics], comparable with the score; NaN where silent
    since: Floats  # maturity of the first sample of the current run over the limit; NaN outside one
    weights: Floats  # contributions summed over the run that made the alarm
    measured: _Measured

    def __eq__(self, other: object) -> bool:
        """The same model, and the same bits of every unit."""
        if not isinstance(other, Findings) or self.model.digest != other.model.digest:
            return False
        ours, theirs = (
            (each.maturity, each.judged, each.alarm, each.begins, each.score, each.statistics, each.since, each.weights) for each in (self, other)
        )
        return all(one.tobytes() == two.tobytes() for one, two in zip(ours, theirs, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def why_not(self, unit: int = 0) -> str:
        """Why the unit's reading could not be judged; empty where it was."""
        if self.judged[unit]:
            return ""
        if not self.model.continuous and np.isnan(self.maturity[unit]):
            return "no maturity is known yet"
        at, grid = self.measured.place, self.model.structure.grid
        if at is not None and not at.inside[unit]:
            return f"maturity {self.maturity[unit]:g} is outside the reference, {grid.first:g} to {grid.last:g} {self.model.maturity_unit}".strip()
        missing = self.missing(unit)
        total = len(self.model.variables)
        return f"only {total - len(missing)} of {total} variables are present; missing: {', '.join(missing)}"

    def missing(self, unit: int = 0) -> tuple[str, ...]:
        """The variables without a usable value."""
        return tuple(each.name for each, there in zip(self.model.variables, self.measured.there[unit].tolist(), strict=True) if not there)

    def statistic(self, unit: int = 0) -> str:
        """The name of the leading statistic."""
        return self.model.statistics[int(self.leading[unit])]

    def contributions(self, unit: int = 0) -> Floats:
        """How much of the leading statistic would vanish if one variable alone were put right, for each: float64[p]."""
        return _contributions(self.model, self.measured, int(self.leading[unit]), unit)

    def finding(self, unit: int = 0) -> Finding | None:
        """The explained alarm, once, with the reading at which it begins."""
        if not self.begins[unit]:
            return None
        seen, leads = self.measured, int(self.leading[unit])
        value, limit = float(self.score[unit]), float(self.limit)
        if seen.raw is not None and seen.limits is not None:
            value, limit = float(seen.raw[unit, leads]), float(seen.limits[unit, leads])
        return finding(
            self.model.variables,
            self.weights[unit],
            observed=np.where(seen.there[unit], seen.values[unit], np.nan),
            expected=np.broadcast_to(seen.mean, seen.values.shape)[unit],
            z=seen.z[unit],
            statistic=self.statistic(unit),
            value=value,
            limit=limit,
            maturity=float(self.maturity[unit]),
            since=float(self.since[unit]),
            maturity_unit=self.model.maturity_unit,
            continuous=self.model.continuous,
            more_movement=_moves_more(self.model, seen, leads, unit, int(np.argmax(self.weights[unit]))),
        )


def judge(watch: Watch, values: Floats, *, maturity: Floats | float | None = None, phases: Sequence[str] | None = None) -> tuple[Watch, Findings]:
    """One reading of each unit: `values` float64[units, p] in the model's order (float64[p] for one unit), NaN where missing.

    `maturity`: float64[units], of batches; a continuous process has none. Of a model with a placing it is the batch's clock.
    `phases`: the phase of each unit, where the model places batches by phase.
    """
    model = watch.model
    readings = np.asarray(values, dtype=np.float64)
    if readings.ndim == 1:
        readings = readings[None]
    spot = None
    if model.placing is not None and watch.spot is not None and readings.shape == (watch.units, len(model.variables)):
        spot, maturity = model.placing.tell(watch.spot, readings, clock=_clock(watch, maturity), phases=phases)
    reached = _reached(watch, maturity)
    if readings.shape != (watch.units, len(model.variables)):
        wanted = f"({watch.units}, {len(model.variables)})"
        raise NotValid(f"cannot judge values of shape {np.shape(values)}", why=f"{model.name} wants {wanted}")
    measured, state, judged = _measure(model, watch, reached, readings)
    score, leading, each, limit = _scored(model, measured, judged)
    after, found = _decide(watch, measured, state, reached, judged, score, leading, each, limit)
    return (after if spot is None else replace(after, spot=spot)), found


def measure_block(model: Model, values: Floats) -> tuple[Floats, Floats]:
    """T2 and SPE alone of many rows of a continuous process at once: `values` float64[rows, p]; NaN where a row is not whole."""
    if not model.continuous:
        raise NotValid("cannot measure a block", why=f"{model.name} is of a batch process")
    inner = model.structure
    scores = (values - inner.mean[0]) @ (inner.directions[0] / inner.scale[0]).T
    np.square(scores, out=scores)
    level = scores @ model.halves[0]
    return level[:, 0], level[:, 1]


def judge_batch(model: Model, table: BatchTable) -> tuple[Watch, list[Findings]]:
    """A whole batch, or a run of a continuous process, sample by sample, as it would have been judged on line."""
    watch, found = model.watch(), []
    for row, (maturity, values) in enumerate(zip(table.maturity.tolist(), table.values, strict=True)):
        phases = None if table.phases is None else (table.phases[row],)
        watch, findings = judge(watch, values, maturity=None if model.continuous else maturity, phases=phases)
        found.append(findings)
    return watch, found


def _reached(watch: Watch, maturity: Floats | float | None) -> Floats:
    """The highest maturity so far; -inf while none is known. One that falls back or is missing does not take the unit back."""
    if watch.model.continuous:
        if maturity is not None:
            raise NotValid("cannot judge by maturity", why=f"{watch.model.name} is of a continuous process")
        return watch.maturity + 1.0
    if maturity is None:
        raise NotValid("cannot judge without a maturity", why=f"{watch.model.name} is of a batch process")
    given = _clock(watch, maturity)
    return np.maximum(watch.maturity, np.where(np.isfinite(given), given, -np.inf))


def _clock(watch: Watch, maturity: Floats | float | None) -> Floats:
    """What the caller says of how far each unit is."""
    given = np.atleast_1d(np.asarray(np.nan if maturity is None else maturity, dtype=np.float64))
    if given.shape != (watch.units,) and maturity is not None:
        raise NotValid(f"cannot judge maturities of shape {given.shape}", why=f"{watch.units} units are watched")
    return np.broadcast_to(given, (watch.units,))


def _measure(model: Model, watch: Watch, reached: Floats, values: Floats) -> tuple[_Measured, State | None, Flags]:
    """The reading in scales and scores, the filters after it, and which units can be judged."""
    inner = model.structure
    at = None if model.continuous else place(inner, reached)
    mean, scale = (inner.mean[0], inner.scale[0]) if at is None else (between(inner.mean, at), between(inner.scale, at))
    there = present(values)
    whole = bool(there.all())
    judged = there[:, 0] if whole else there.mean(axis=1) >= PRESENT_SHARE_MIN  # all True, where whole
    if at is not None:
        judged = judged & at.inside
    directions = inner.directions if at is None else inner.directions[at.knot]
    z = ((values if whole else np.where(there, values, 0.0)) - mean) / scale
    np.minimum(np.maximum(z, FARTHEST[0], out=z), FARTHEST[1], out=z)
    if not whole:
        z = _completed(model, watch, z, there, judged, at)
    # one product for each unit: a unit beside others is then the same bits as alone
    scores = np.matmul(directions, z[:, :, None])[:, :, 0]
    state, filtered = watch.state, None
    if model.bank is not None and state is not None:
        state, filtered = filter_rows(model.bank.filters, state, z, scores, read=judged, there=there, whole=whole)
    limits = None if model.bank is not None or at is None else np.stack([between(model.t2_limit, at), between(model.spe_limit, at)], axis=1)
    return _Measured(values, mean, z, scores, there, at, limits, None, filtered, at is None and whole), state, judged


def _completed(model: Model, watch: Watch, z: Floats, there: Flags, judged: Flags, at: Place | None) -> Floats:
    """Missing values filled in by what is expected of them, given those present."""
    inner, bank = model.structure, model.bank
    z = np.where(there, z, 0.0)
    ahead = None if bank is None or watch.state is None else expected(bank.filters, watch.state)
    for unit in np.flatnonzero(judged & ~there.all(axis=1)).tolist():
        gone, here = ~there[unit], there[unit]
        if ahead is not None and bank is not None and watch.state is not None and watch.state.known[unit]:
            precision = bank.filters.precision
            pull = precision[np.ix_(gone, here)] @ (z[unit, here] - ahead[unit, here])
            z[unit, gone] = np.clip(ahead[unit, gone] - np.linalg.solve(precision[np.ix_(gone, gone)], pull), -Z_MAX, Z_MAX)
        else:
            knot = 0 if at is None else int(at.knot[unit])
            z[unit] = np.clip(filled(z[unit], here, inner.directions[knot], inner.spread[knot]), -Z_MAX, Z_MAX)
    return z


def _scored(model: Model, seen: _Measured, judged: Flags) -> tuple[Floats, NDArray[np.intp], Floats, float]:
    """The score, the statistic that leads, all of them, and the limit. Replaces nothing where not judged; that is for the decision."""
    inner, bank, a = model.structure, model.bank, model.structure.components
    squares = np.square(seen.scores)
    if bank is None or seen.filtered is None:
        spread = inner.spread[seen.place.knot] if seen.place is not None else inner.spread
        raw = np.stack([(squares[:, :a] / spread[:, :a]).sum(axis=1), squares[:, a:].sum(axis=1)], axis=1)
        each = raw / (seen.limits if seen.limits is not None else np.stack([model.t2_limit[:1], model.spe_limit[:1]], axis=1))
        leading = each.argmax(axis=1)
        return each.max(axis=1), leading, each, 1.0
    level = np.matmul(squares[:, None, :], model.halves if seen.place is None else model.halves[seen.place.knot])[:, 0]
    deviations = energy_deviations(bank.centre, bank.spread, seen.filtered.energy)
    tails = tails_of(bank, logs_of(level, seen.filtered, deviations, bank.steadiness), every=seen.filtered.every)
    return tails.score, tails.leading, tails.each, bank.limit


def _decide(
    watch: Watch,
    seen: _Measured,
    state: State | None,
    reached: Floats,
    judged: Flags,
    score: Floats,
    leading: NDArray[np.intp],
    each: Floats,
    limit: float,
) -> tuple[Watch, Findings]:
    model, needed = watch.model, watch.model.calibration.consecutive
    everywhere = seen.everywhere or bool(judged.all())
    if model.bank is None:
        seen = _with_raw(model, seen)
    high = score > limit
    if watch.quiet and everywhere and not high.any():  # what all below comes to then, at less cost
        counts = (watch.judged + 1, watch.not_judged, watch.alarms)
        after = Watch(model, reached, watch.over, watch.calm + 1, high, watch.since, watch.weights, *counts, state, True)
        return after, Findings(model, reached, judged, high, high, score, limit, leading, each, watch.since, watch.weights, seen)
    low = ~high
    over, calm = (watch.over + 1) * high, (watch.calm + 1) * low
    begins = (over >= needed) & ~watch.alarm
    alarm = begins | (watch.alarm & (calm < needed))
    since = np.where(high, np.where(watch.over > 0, watch.since, reached), np.nan)
    weights = watch.weights * high[:, None] if watch.over.any() else watch.weights
    counted = (watch.judged + judged, watch.not_judged + ~judged)
    if not everywhere:  # there, everything stands as it stood
        high &= judged
        begins &= judged
        score, each = np.where(judged, score, np.nan), np.where(judged[:, None], each, np.nan)
        over, calm = np.where(judged, over, watch.over), np.where(judged, calm, watch.calm)
        alarm, since = np.where(judged, alarm, watch.alarm), np.where(judged, since, watch.since)
        weights = np.where(judged[:, None], weights, watch.weights)
    if high.any():
        weights = _with_contributions(model, seen, weights, leading, high, watch.alarm)
    after = Watch(model, reached, over, calm, alarm, since, weights, *counted, watch.alarms + begins, state, not (alarm.any() or over.any()))
    shown = reached if model.continuous else np.where(np.isfinite(reached), reached, np.nan)
    return after, Findings(model, shown, judged, alarm, begins, score, limit, leading, each, since, weights, seen)


def _with_contributions(model: Model, seen: _Measured, weights: Floats, leading: NDArray[np.intp], high: Flags, alarm: Flags) -> Floats:
    """The contributions of readings over the limit added up until they are an alarm."""
    summed = np.where(alarm[:, None], 0.0, weights)
    for unit in np.flatnonzero(high & ~alarm).tolist():
        summed[unit] += np.where(seen.there[unit], _contributions(model, seen, int(leading[unit]), unit), 0.0)
    return summed


def _with_raw(model: Model, seen: _Measured) -> _Measured:
    a, squares = model.structure.components, np.square(seen.scores)
    spread = model.structure.spread if seen.place is None else model.structure.spread[seen.place.knot]
    return seen._replace(raw=np.stack([(squares[:, :a] / spread[:, :a]).sum(axis=1), squares[:, a:].sum(axis=1)], axis=1))


def _contributions(model: Model, seen: _Measured, leading: int, unit: int) -> Floats:
    bank = model.bank
    if bank is not None and seen.filtered is not None and leading >= 2:
        return shares_of(bank, leading, seen.filtered, unit)
    knot = 0 if seen.place is None else int(seen.place.knot[unit])
    inner, scores = model.structure, seen.scores[unit]
    if bank is not None:
        return shares_of_level(inner.directions[knot], model.halves[knot, :, leading], scores)
    t2_limit, spe_limit = seen.limits[unit] if seen.limits is not None else (model.t2_limit[0], model.spe_limit[0])
    return contributions(
        inner.directions[knot], inner.spread[knot], scores, components=inner.components, t2_limit=float(t2_limit), spe_limit=float(spe_limit)
    )


def _moves_more(model: Model, seen: _Measured, leading: int, unit: int, variable: int) -> bool | None:
    """Where a spread leads: whether the variable moves more than in good data, or less; None where the level is the news."""
    bank = model.bank
    if bank is None or seen.filtered is None or not model.statistics[leading].startswith("spread"):
        return None
    k = len(bank.filters.rates)
    deviation = energy_deviations(bank.centre, bank.spread, seen.filtered.energy[unit])[(leading - 4) % k, variable]
    return bool(deviation > 0)
