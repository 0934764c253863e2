"""Judging: readings of running batches against a released model.

`judge` takes the state of one batch and one reading and gives the next state and a
judgement; `judge_many` does it for many units at once, `judge_batch` for all samples of one
batch. An alarm begins when T2 or SPE has been over its limit for the model's number of
consecutive judged samples, and ends after as many under both limits. Its finding is given
once, as it begins. The stated false-alarm rate holds for readings about as frequent as in the
batches that the model was fitted from: an alarm counts samples, not hours.

Guarantees: a reading that cannot be judged says why and neither makes nor ends an alarm;
the same readings always give the same judgements; the model is never changed.
Leaves to others: opening deviations, keeping the watch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from isogenic.errors import NotValid
from isogenic.monitoring.alignment import monotone
from isogenic.monitoring.explanation import Finding, contributions, finding
from isogenic.monitoring.model import Model
from isogenic.monitoring.structure import Measures, between, measure
from isogenic.monitoring.tables import BatchTable, Floats
from isogenic.monitoring.watch import Watch

__all__ = ["Judgement", "judge", "judge_batch", "judge_many"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one reading says. Not judged: the statistics are NaN and `why_not` says why; the alarm stands as it stood."""

    maturity: float
    t2: float
    t2_limit: float
    spe: float
    spe_limit: float
    judged: bool
    why_not: str
    alarm: bool
    finding: Finding | None
    missing: tuple[str, ...] = ()  # variables without a value, judged without them


def judge(model: Model, watch: Watch, *, maturity: float, values: Floats) -> tuple[Watch, Judgement]:
    """One reading of one batch: `values` float64[p] in the model's order, NaN where missing."""
    return judge_many(model, [watch], maturity=np.array([maturity], dtype=np.float64), values=np.asarray(values, dtype=np.float64)[None])[0]


def judge_many(model: Model, watches: Sequence[Watch], *, maturity: Floats, values: Floats) -> list[tuple[Watch, Judgement]]:
    """One reading of each of many batches: `maturity` float64[n], `values` float64[n, p]."""
    _check(model, watches, maturity, values)
    reached = np.array([_reached(watch.maturity, each) for watch, each in zip(watches, maturity.tolist(), strict=True)])
    rows = _Rows(model, reached, values)
    return [rows.decide(watch, row) for row, watch in enumerate(watches)]


def judge_batch(model: Model, table: BatchTable) -> tuple[Watch, list[Judgement]]:
    """A whole batch, sample by sample, as it would have been judged on line."""
    watch = model.watch()
    _check(model, [watch] * len(table.maturity), table.maturity, table.values)
    rows = _Rows(model, monotone(np.where(np.isfinite(table.maturity), table.maturity, -np.inf)), table.values)
    judgements = []
    for row in range(len(table.maturity)):
        watch, judgement = rows.decide(watch, row)
        judgements.append(judgement)
    return watch, judgements


def _check(model: Model, watches: Sequence[Watch], maturity: Floats, values: Floats) -> None:
    if values.shape != (len(watches), len(model.variables)) or maturity.shape != (len(watches),):
        wanted = f"({len(watches)}, {len(model.variables)})"
        raise NotValid(f"cannot judge values of shape {values.shape}", why=f"{model.name} wants {wanted} and as many maturities")
    for watch in watches:
        if watch.model != model.digest:
            raise NotValid("cannot go on with this watch", why=f"it belongs to model {watch.model[:16]}", possible=f"begin one with {model.name}")


def _reached(before: float | None, maturity: float) -> float:
    """The highest maturity so far; -inf while none is known. A maturity that falls back or is missing does not take the batch back."""
    known = -math.inf if before is None else before
    return max(known, maturity) if math.isfinite(maturity) else known


class _Rows:
    """Readings measured together, decided one by one."""

    def __init__(self, model: Model, maturity: Floats, values: Floats) -> None:
        self.model = model
        self.values = values
        self.maturity: list[float] = maturity.tolist()
        self.measures: Measures = measure(model.structure, maturity, values)
        self.t2: list[float] = self.measures.t2.tolist()
        self.spe: list[float] = self.measures.spe.tolist()
        self.t2_limit: list[float] = between(model.t2_limit, self.measures.place).tolist()
        self.spe_limit: list[float] = between(model.spe_limit, self.measures.place).tolist()
        self.complete: list[bool] = np.asarray(self.measures.there.all(axis=1)).tolist()

    def decide(self, watch: Watch, row: int) -> tuple[Watch, Judgement]:
        maturity, t2 = self.maturity[row], self.t2[row]
        missing = () if self.complete[row] else self._missing(row)
        known = maturity if maturity != -math.inf else None
        if t2 != t2:
            judgement = self._judgement(row, watch.alarm, why_not=self._why_not(row, missing), missing=missing)
            return replace(watch, maturity=known, not_judged=watch.not_judged + 1), judgement
        over_t2 = watch.over_t2 + 1 if t2 > self.t2_limit[row] else 0
        over_spe = watch.over_spe + 1 if self.spe[row] > self.spe_limit[row] else 0
        run = over_t2 > 0 or over_spe > 0
        calm = 0 if run else watch.calm + 1
        longest, needed = max(over_t2, over_spe), self.model.calibration.consecutive
        begins = not watch.alarm and longest >= needed
        alarm = begins or (watch.alarm and calm < needed)
        weights = self._weights(watch, row) if run and not watch.alarm else ()
        since = (watch.since if watch.since is not None else maturity) if run else None
        after = Watch(watch.model, known, over_t2, over_spe, since, calm, alarm, weights, watch.judged + 1, watch.not_judged, watch.alarms + begins)
        found = self._finding(after, row, since=maturity if since is None else since) if begins else None
        return after, self._judgement(row, alarm, found=found, missing=missing)

    def _judgement(self, row: int, alarm: bool, *, missing: tuple[str, ...], why_not: str = "", found: Finding | None = None) -> Judgement:
        t2, spe = self.t2[row], self.spe[row]
        limits = (self.t2_limit[row], self.spe_limit[row])
        maturity = self.maturity[row] if self.maturity[row] != -math.inf else math.nan
        return Judgement(maturity, t2, limits[0], spe, limits[1], not why_not, why_not, alarm, found, missing)

    def _missing(self, row: int) -> tuple[str, ...]:
        return tuple(each.name for each, there in zip(self.model.variables, self.measures.there[row], strict=True) if not there)

    def _why_not(self, row: int, missing: tuple[str, ...]) -> str:
        grid = self.model.structure.grid
        if self.maturity[row] == -math.inf:
            return "no maturity is known yet"
        if not self.measures.place.inside[row]:
            return f"maturity {self.maturity[row]:g} is outside the reference, {grid.first:g} to {grid.last:g} {self.model.maturity_unit}".strip()
        return f"only {len(self.model.variables) - len(missing)} of {len(self.model.variables)} variables are present; missing: {', '.join(missing)}"

    def _weights(self, watch: Watch, row: int) -> tuple[float, ...]:
        inner, knot = self.model.structure, self.measures.place.knot[row]
        now = contributions(
            inner.directions[knot],
            inner.spread[knot],
            self.measures.scores[row],
            components=inner.components,
            t2_limit=self.t2_limit[row],
            spe_limit=self.spe_limit[row],
        )
        now = np.where(self.measures.there[row], now, 0.0)
        return tuple((now + watch.weights if watch.weights else now).tolist())

    def _finding(self, watch: Watch, row: int, *, since: float) -> Finding:
        t2_leads = self.t2[row] / self.t2_limit[row] >= self.spe[row] / self.spe_limit[row]
        return finding(
            self.model.variables,
            np.array(watch.weights),
            observed=self.values[row],
            expected=self.measures.expected[row],
            z=self.measures.z[row],
            statistic="T2" if t2_leads else "SPE",
            value=self.t2[row] if t2_leads else self.spe[row],
            limit=self.t2_limit[row] if t2_leads else self.spe_limit[row],
            maturity=self.maturity[row],
            since=since,
            maturity_unit=self.model.maturity_unit,
        )
