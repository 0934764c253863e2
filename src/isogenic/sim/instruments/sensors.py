"""Instruments on many vessels or batches: step by step as a live facility reads them, or whole series at once as a study does.

Guarantees: both give the same numbers. A reading depends on the seed, the site, the batch, the signal, its number and
the truth so far, never on who else is measured, in which order, or on how many workers. A step of all instruments of a
hundred vessels is one pass over one array.
Leaves to others: the truth (process models, `bioreactor`), which instruments a process has (`tables`).

`index` counts readings from the moment the batch's instruments were put in, and `age_h` the hours; a live facility that
steps every minute and a study with `every_h=1/60` then read the same to the last bit.

The slow wander of an instrument needs no past but its knots: a knot is the one before times e^-1/32, plus a fresh draw,
so a batch of 14 days with a memory of a day has 450 of them, made again whenever somebody asks.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogenic.errors import NotValid
from isogenic.sim.instruments.failures import SPIKE_SHARE, Broken, Failure, SensorFault, broken, check_failures
from isogenic.sim.instruments.instrument import KNOT_CORRELATION, KNOTS_PER_MEMORY, Draws, Instrument, reading, wander_between
from isogenic.sim.processes.process import Floats
from isogenic.sim.streams import Dice

__all__ = ["LOT", "Sensors", "lot_bias", "measured"]

NOISE, BIAS, SLOPE, WANDER, SPIKE, HEIGHT, FAULT_SPIKE, FAULT_HEIGHT = range(8)  # what a draw is for
LOT = "MEDIUM-1"  # of medium, where nobody says which
AHEAD = 32  # readings whose noise is drawn at once
AGE_H_MAX = 20_000.0  # two years: no disposable sensor is older
INNOVATION = math.sqrt(1.0 - KNOT_CORRELATION * KNOT_CORRELATION)
NUMBERS = tuple(each.name for each in fields(Instrument) if each.name not in ("other_unit", "working", "mark", "source"))


def measured(
    truth: Mapping[str, Floats],
    *,
    instruments: Mapping[str, Instrument],
    seed: int,
    site: str | Sequence[str],
    batches: Sequence[str],
    age_h: Floats,
    lots: str | Sequence[str] = LOT,
    faults: Sequence[SensorFault] = (),
    start: int = 0,
) -> dict[str, Floats]:
    """What the instruments showed of n batches: from the truth (T, n) of each variable to readings (T, n).

    Only what has an instrument is measured. Ages rise in equal steps; `site` and `lots` (of medium) are one for all or one for each batch.
    """
    age = np.asarray(age_h, dtype=np.float64)
    step_h = _step(age)
    sites, media = _each(site, len(batches), "sites"), _each(lots, len(batches), "lots")
    check_failures(faults, instruments)
    out = {}
    for name, how in instruments.items():
        if name not in truth:
            continue
        values = np.asarray(truth[name], dtype=np.float64)
        if values.shape != (len(age), len(batches)):
            raise NotValid(f"cannot measure {name[:60]}", why=f"its truth has the shape {values.shape}, not ({len(age)}, {len(batches)})")
        dice = Dice.of(seed, [("instrument", where, batch, name) for where, batch in zip(sites, batches, strict=True)])
        mine = [fault for fault in faults if fault.signal == name]
        of_lot = lot_bias(name, seed=seed, sites=sites, lots=media) if how.lot else 0.0
        out[name] = _series(how, values, dice=dice, of_lot=of_lot, age_h=age, step_h=step_h, start=start, faults=mine)
    return out


def lot_bias(name: str, *, seed: int, sites: Sequence[str], lots: Sequence[str]) -> Floats:
    """What one instrument errs by on each batch's lot of medium, in standard deviations."""
    return Dice.of(seed, [("instrument of a lot", site, lot, name) for site, lot in zip(sites, lots, strict=True)]).normals(0)


def _series(
    how: Instrument, truth: Floats, *, dice: Dice, of_lot: Any, age_h: Floats, step_h: float, start: int, faults: Sequence[SensorFault]
) -> Floats:
    index = (start + np.arange(len(age_h)))[:, None]
    age = np.maximum(age_h, 0.0)[:, None]
    wrong = broken(faults, how, age_h=age_h[:, None] + np.zeros(dice.shape), step_h=step_h) if faults else Broken()
    begun = _begun(how, age)
    cal = begun[:, 0].astype(np.intp)
    cals = np.arange(int(cal.max()) + 1)[:, None]
    knot = (age[:, 0] // (how.memory_h / KNOTS_PER_MEMORY)).astype(np.intp)
    knots = _knots(dice, int(knot.max()) + 2)
    share = age / (how.memory_h / KNOTS_PER_MEMORY) - knot[:, None]
    draws = Draws(
        bias=dice.normals(cals, purpose=BIAS)[cal],
        slope=dice.normals(cals, purpose=SLOPE)[cal],
        wander=wander_between(knots[knot], knots[knot + 1], share),
        noise=dice.normals(index, purpose=NOISE),
        spike=_spikes(dice, index, chance=how.spikes_per_h * step_h),
        lot=of_lot,
    )
    behind = _lagged(truth, how.lag_shares(step_h), how.lag_shares(step_h, slower=3.0), wrong.slower)
    since = age - begun * how.recalibrated_h
    shown = reading(how, behind, age_h=age, since_h=since, draws=draws, gain=wrong.gain, noise_factor=wrong.noise)
    if not faults:
        return np.asarray(shown, dtype=np.float64)
    shown = _altered(shown, wrong, dice, index)
    if wrong.late is not None:
        rows = np.maximum(np.arange(len(age_h))[:, None] - wrong.late, 0)
        shown = np.take_along_axis(shown, rows, axis=0)
    if wrong.frozen is not None:
        _freeze(shown, wrong.frozen)
    return shown if wrong.dropped is None else np.where(wrong.dropped, np.nan, shown)


def _begun(how: Any, age: Any) -> Any:
    """Which calibration an instrument of this age has had."""
    every = how.recalibrated_h
    return np.where(np.asarray(every) > 0, age // np.where(np.asarray(every) > 0, every, 1.0), 0.0)


def _knots(dice: Dice, count: int) -> Floats:
    """The wander at its knots, (count, ...), with unit variance from the first on."""
    fresh = dice.normals(np.arange(count).reshape(-1, *[1] * len(dice.shape)), purpose=WANDER)
    for at in range(1, count):
        fresh[at] = KNOT_CORRELATION * fresh[at - 1] + INNOVATION * fresh[at]
    return fresh


def _spikes(dice: Dice, index: Any, *, chance: Any, purposes: tuple[int, int] = (SPIKE, HEIGHT)) -> Any:
    """Heights of spikes, of mean 1 where there is one, 0 elsewhere."""
    if not np.any(np.asarray(chance) > 0):
        return 0.0
    return np.where(dice.uniforms(index, purpose=purposes[0]) < chance, 2.0 * dice.uniforms(index, purpose=purposes[1]), 0.0)


def _altered(shown: Any, wrong: Broken, dice: Dice, index: Any) -> Any:
    """What failures do to a reading that is there."""
    if np.ndim(wrong.spike):
        heights = _spikes(dice, index, chance=SPIKE_SHARE, purposes=(FAULT_SPIKE, FAULT_HEIGHT))
        shown = shown + wrong.spike * np.where(heights > 1.0, heights - 0.5, -heights - 0.5) * (heights > 0)
    return (shown + wrong.added) * wrong.factor + wrong.offset


def _lagged(truth: Floats, shares: tuple[float, float], slower: tuple[float, float], where: NDArray[np.bool_] | None) -> Floats:
    """The truth behind what brings it and behind the probe: two first-order lags, one after the other."""
    if min(shares) >= 1.0 - 1e-12 and where is None:
        return truth
    brought, seen = truth[0].copy(), truth[0].copy()
    out = np.empty_like(truth)
    for at, here in enumerate(truth):
        brought = brought + (here - brought) * shares[0]
        share = shares[1] if where is None else np.where(where[at], slower[1], shares[1])
        seen = seen + (brought - seen) * share
        out[at] = seen
    return out


def _freeze(shown: Floats, frozen: NDArray[np.bool_]) -> None:
    for at in range(1, len(shown)):
        still = frozen[at] & frozen[at - 1]
        if still.any():
            shown[at] = np.where(still, shown[at - 1], shown[at])


class Sensors:
    """The instruments of n vessels, stepped together; rows are signals (`names`), columns are vessels."""

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        *,
        seed: int,
        site: str | Sequence[str],
        batches: Sequence[str],
        step_h: float,
        lots: str | Sequence[str] = LOT,
        faults: Sequence[SensorFault] = (),
    ) -> None:
        if not step_h > 0:
            raise NotValid("cannot step instruments", why="the step must be longer than nothing")
        self.instruments, self.names, self.seed, self.step_h = dict(instruments), tuple(instruments), seed, step_h
        self.sites, self.batches = _each(site, len(batches), "sites"), list(batches)
        self.faults: tuple[SensorFault, ...] = ()
        self._row = {name: at for at, name in enumerate(self.names)}
        self._how = _stacked(list(self.instruments.values()))
        shares = [how.lag_shares(step_h) for how in self.instruments.values()]
        self._brings, self._follows = np.array([each[0] for each in shares])[:, None], np.array([each[1] for each in shares])[:, None]
        self._slowly = np.array([how.lag_shares(step_h, slower=3.0)[1] for how in self.instruments.values()])[:, None]
        self._spikes = np.flatnonzero(self._how.spikes_per_h[:, 0] > 0)
        self._recalibrates = bool((self._how.recalibrated_h > 0).any())
        self._spacing = self._how.memory_h / KNOTS_PER_MEMORY
        shape = (len(self.names), len(self.batches))
        self._dice = Dice.of(seed, [("instrument", where, batch, name) for name in self.names for where, batch in self._places], shape=shape)
        media, erring = _each(lots, len(batches), "lots"), [name for name, how in self.instruments.items() if how.lot]
        self._of_lot = np.zeros(shape)
        for name in erring:
            self._of_lot[self._row[name]] = lot_bias(name, seed=seed, sites=self.sites, lots=media)
        self._bias, self._slope, self._before, self._after = (np.zeros(shape) for _ in range(4))
        self._knot, self._cal = np.full(shape, -1.0), np.full(shape, -1.0)
        self._ahead, self._ahead_of = np.zeros((0, *shape)), np.zeros(shape[1], dtype=np.int64)  # noise drawn ahead, and from which reading on
        self._brought, self._seen, self._held = (np.full(shape, np.nan) for _ in range(3))
        self._past: deque[Floats] = deque(maxlen=1)
        self.strike(faults)

    @property
    def _places(self) -> list[tuple[str, str]]:
        return list(zip(self.sites, self.batches, strict=True))

    def strike(self, faults: Sequence[SensorFault]) -> None:
        """The failures from now on, in place of those before."""
        self.faults = check_failures(faults, self.instruments)
        longest = max((round(each.size / self.step_h) for each in faults if each.name == Failure.LATE), default=0)
        self._past = deque(self._past, maxlen=longest + 1)

    def renew(self, lane: int, *, batch: str) -> None:
        """New instruments on one vessel, for its next batch: fresh dice, no memory."""
        self.batches[lane] = batch
        fresh = Dice.of(self.seed, [("instrument", self.sites[lane], batch, name) for name in self.names])
        self._dice.put((slice(None), lane), fresh)
        self._ahead = self._ahead[:0]
        for memory in (self._knot, self._cal):
            memory[:, lane] = -1.0
        for memory in (self._brought, self._seen, self._held, *self._past):
            memory[:, lane] = np.nan

    def step(self, truth: Mapping[str, Any] | Floats, *, index: Any, age_h: Any, batch_h: Any = None) -> Floats:
        """One reading of every instrument, (signals, n): the truth as such an array, or by name.

        `index` and `age_h` are for each vessel or for all; `batch_h` is the age by which failures go, if it is another.
        """
        real = truth if isinstance(truth, np.ndarray) else np.array([np.zeros(len(self.batches)) + truth[name] for name in self.names])
        age = np.maximum(np.zeros(len(self.batches)) + age_h, 0.0)
        index = np.zeros(len(self.batches), dtype=np.int64) + index
        wrong = self._wrong(np.zeros(len(self.batches)) + (age_h if batch_h is None else batch_h))
        self._follow(real, wrong)
        self._age(age)
        spike: Any = 0.0
        if self._spikes.size:
            spike = np.zeros_like(real)
            spike[self._spikes] = _spikes(self._dice[self._spikes], index, chance=self._how.spikes_per_h[self._spikes] * self.step_h)
        draws = Draws(
            self._bias,
            self._slope,
            wander_between(self._before, self._after, age / self._spacing - self._knot),
            self._noise(index),
            spike,
            self._of_lot,
        )
        since = age - self._cal * self._how.recalibrated_h
        gain, noise = (self._factors(wrong, name) for name in ("gain", "noise"))
        shown: Floats = reading(self._how, self._seen, age_h=age, since_h=since, draws=draws, gain=gain, noise_factor=noise)
        for row, each in wrong.items():
            shown[row] = _altered(shown[row], each, self._dice[row], index)
        return self._remembered(shown, wrong)

    def _noise(self, index: NDArray[np.int64]) -> Floats:
        """The draws of this reading; those of the next ones are made with it, which costs a third of making each alone."""
        past = index - self._ahead_of
        at = int(past[0]) if past.size else 0
        if not 0 <= at < len(self._ahead) or not (past == at).all():
            self._ahead_of, at = index, 0
            self._ahead = self._dice.normals(np.arange(AHEAD)[:, None, None] + index)
        drawn: Floats = self._ahead[at]
        return drawn

    def by_name(self, shown: Floats) -> dict[str, Floats]:
        """The rows of a step by the signals' names."""
        return dict(zip(self.names, shown, strict=True))

    # -- memory --------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """What the instruments remember beyond their dice, as JSON would hold it."""
        lists = {"brought": self._brought, "seen": self._seen, "held": self._held}
        return {
            "batches": list(self.batches),
            **{name: [[None if value != value else value for value in row] for row in array.tolist()] for name, array in lists.items()},
            "past": [[[None if value != value else value for value in row] for row in array.tolist()] for array in self._past],
        }

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Go on from what `snapshot` gave."""
        shape = (len(self.names), len(self.batches))
        try:
            batches = [str(each) for each in memory["batches"]]
            arrays = [np.array(memory[name], dtype=np.float64) for name in ("brought", "seen", "held")]
            past = [np.array(each, dtype=np.float64) for each in memory["past"]]
        except (KeyError, TypeError, ValueError) as trouble:
            raise NotValid("cannot restore instruments", why=str(trouble)[:120]) from trouble
        if len(batches) != shape[1] or any(each.shape != shape for each in (*arrays, *past)):
            raise NotValid("cannot restore instruments", why="the snapshot is of other instruments or vessels")
        for lane, batch in enumerate(batches):
            self.renew(lane, batch=batch)
        self._brought, self._seen, self._held = arrays
        self._past = deque(past, maxlen=self._past.maxlen)

    # -- one step ------------------------------------------------------------------------

    def _wrong(self, batch_h: Floats) -> dict[int, Broken]:
        rows: dict[int, list[SensorFault]] = {}
        for fault in self.faults:
            rows.setdefault(self._row[fault.signal], []).append(fault)
        return {row: broken(each, self.instruments[self.names[row]], age_h=batch_h, step_h=self.step_h) for row, each in rows.items()}

    def _factors(self, wrong: Mapping[int, Broken], name: str) -> Any:
        if not any(np.ndim(getattr(each, name)) for each in wrong.values()):
            return 1.0
        out = np.ones((len(self.names), len(self.batches)))
        for row, each in wrong.items():
            out[row] = getattr(each, name)
        return out

    def _follow(self, real: Floats, wrong: Mapping[int, Broken]) -> None:
        new = self._brought != self._brought
        if new.any():
            self._brought, self._seen = np.where(new, real, self._brought), np.where(new, real, self._seen)
        follows = self._follows
        if any(each.slower is not None for each in wrong.values()):
            follows = np.broadcast_to(follows, real.shape).copy()
            for row, each in wrong.items():
                if each.slower is not None:
                    follows[row] = np.where(each.slower, self._slowly[row], follows[row])
        self._brought = self._brought + (real - self._brought) * self._brings
        self._seen = self._seen + (self._brought - self._seen) * follows

    def _age(self, age: Floats) -> None:
        if age.size and float(age.max()) > AGE_H_MAX:
            raise NotValid("cannot read an instrument", why=f"none is older than {AGE_H_MAX:g} h")
        knot = age // self._spacing
        moved = knot != self._knot
        if moved.any():
            self._to_knots(knot, moved)
        if not self._recalibrates and not (self._cal < 0).any():
            return
        cal = _begun(self._how, age) + np.zeros_like(knot)
        fresh = cal != self._cal
        if fresh.any():
            self._cal = cal
            self._bias = np.where(fresh, self._dice.normals(cal, purpose=BIAS), self._bias)
            self._slope = np.where(fresh, self._dice.normals(cal, purpose=SLOPE), self._slope)

    def _to_knots(self, knot: Floats, moved: NDArray[np.bool_]) -> None:
        forward = moved & (self._knot >= 0) & (knot == self._knot + 1.0)
        if forward.any():
            after = KNOT_CORRELATION * self._after + INNOVATION * self._dice.normals(knot + 1.0, purpose=WANDER)
            self._before, self._after = np.where(forward, self._after, self._before), np.where(forward, after, self._after)
        jumped = np.argwhere(moved & ~forward)
        for row in np.unique(jumped[:, 0]) if len(jumped) else ():
            lanes = jumped[jumped[:, 0] == row, 1]
            knots = _knots(self._dice[row][lanes], int(knot[row, lanes].max()) + 2)
            at = knot[row, lanes].astype(np.intp)
            column = np.arange(len(lanes))
            self._before[row, lanes], self._after[row, lanes] = knots[at, column], knots[at + 1, column]
        self._knot = knot

    def _remembered(self, shown: Floats, wrong: Mapping[int, Broken]) -> Floats:
        """Late, frozen and lost readings."""
        maxlen = self._past.maxlen or 1
        if maxlen > 1:
            self._past.append(shown.copy())
        for row, each in wrong.items():
            if each.late is not None and maxlen > 1:
                shown[row] = self._late(row, each.late)
            if each.frozen is not None:
                held = self._held[row]
                self._held[row] = np.where(each.frozen, np.where(held == held, held, shown[row]), np.nan)
                shown[row] = np.where(each.frozen, self._held[row], shown[row])
            if each.dropped is not None:
                shown[row] = np.where(each.dropped, np.nan, shown[row])
        return shown

    def _late(self, row: int, late: NDArray[np.intp]) -> Floats:
        """Each lane's reading so many steps ago; the first there is, where the past does not reach."""
        past = np.array([each[row] for each in self._past])
        known = np.where(np.isfinite(past).any(axis=0), np.isfinite(past).argmax(axis=0), len(past) - 1)
        at = np.maximum(len(past) - 1 - late, known)
        chosen: Floats = past[at, np.arange(past.shape[1])]
        return chosen


def _stacked(instruments: Sequence[Instrument]) -> Any:
    """Every instrument's numbers as columns."""
    return SimpleNamespace(**{name: np.array([getattr(each, name) for each in instruments], dtype=np.float64)[:, None] for name in NUMBERS})


def _each(said: str | Sequence[str], n: int, what: str) -> list[str]:
    out = [said] * n if isinstance(said, str) else list(said)
    if len(out) != n:
        raise NotValid("cannot measure", why=f"{len(out)} {what} were given for {n} batches")
    return out


def _step(age_h: Floats) -> float:
    if age_h.ndim != 1 or not len(age_h) or not np.isfinite(age_h).all() or float(age_h.max()) > AGE_H_MAX:
        raise NotValid("cannot measure", why=f"ages are a row of finite numbers up to {AGE_H_MAX:g} h")
    steps = np.diff(age_h)
    if len(steps) and not (steps.min() > 0 and steps.max() - steps.min() < 1e-6 * steps.max()):
        raise NotValid("cannot measure", why="the ages do not rise in equal steps")
    return float(age_h[-1] - age_h[0]) / len(steps) if len(steps) else 1.0
