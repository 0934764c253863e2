"""How instruments fail: each way by the name that the fault catalogue gives it, with what it does to a reading.

    sensor_biased         reads `size` too much, in the canonical unit
    sensor_drifts         reads more and more too much: `size` a day
    sensor_freezes        repeats what it read when the failure came
    sensor_spikes         one reading in twenty is off by about `size`, either way
    sensor_drops          nothing is read: NaN
    sensor_is_noisy       noise times `size`
    sensor_is_late        shows what it would have shown `size` hours ago: a time stamp that is wrong, a queue
    sensor_is_fouled      gain 1 - size * (1 - exp(-t / 24 h)), and three times slower
    sensor_in_wrong_unit  shows another unit than it says: the instrument's own mix-up (degrees Fahrenheit, g/L for mM), or `size` as a factor

Guarantees: a failure acts while it stands, on the batches it names, and is gone after; the order in which failures are
given does not matter. A failure of a size that makes no sense is `NotValid`.
Leaves to others: texts and scenarios (the fault catalogue).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogenic.errors import NotFound, NotValid
from isogenic.sim.instruments.instrument import Instrument
from isogenic.sim.processes.process import Floats

__all__ = ["FAILURES", "MOST", "Failure", "SensorFault", "check_failures"]

FOULS_H = 24.0
FOULED_SLOWER = 3.0
SPIKE_SHARE = 0.05
LATE_H_MAX = 72.0  # a live instrument remembers that long; later readings are of another batch


class Failure(StrEnum):
    """How an instrument fails."""

    BIASED = "sensor_biased"
    DRIFTS = "sensor_drifts"
    FREEZES = "sensor_freezes"
    SPIKES = "sensor_spikes"
    DROPS = "sensor_drops"
    NOISY = "sensor_is_noisy"
    LATE = "sensor_is_late"
    FOULED = "sensor_is_fouled"
    WRONG_UNIT = "sensor_in_wrong_unit"


MOST = 1e6  # in a signal's own unit: far beyond any scale, and no reading ever becomes infinite

# failure -> unit of its size ("" is the signal's own), least and greatest size, what is seen of it
FAILURES: Mapping[Failure, tuple[str, float, float, str]] = {
    Failure.BIASED: ("", -MOST, MOST, "a step, at once; the offline sample and the balance disagree with it from then on"),
    Failure.DRIFTS: ("/d", -MOST, MOST, "the gap to the offline sample grows with time"),
    Failure.FREEZES: ("1", 0.0, 1.0, "the noise is gone: one value, again and again"),
    Failure.SPIKES: ("", 0.0, MOST, "single readings far off on either side, the ones beside them sound"),
    Failure.DROPS: ("1", 0.0, 1.0, "no value"),
    Failure.NOISY: ("1", 1.0, 1000.0, "the spread around the trend is larger, the trend itself is right"),
    Failure.LATE: ("h", 0.0, LATE_H_MAX, "the curve is right but moved: what follows fast shows a lag to its neighbours"),
    Failure.FOULED: ("1", 0.0, 0.99, "the reading sinks towards nothing over a day or two, and answers steps slower"),
    Failure.WRONG_UNIT: ("1", 0.0, MOST, "a step by a factor at once, the relative noise as before"),
}


@dataclass(frozen=True, slots=True)
class SensorFault:
    """One failure as it happens: which signal, of which of the n batches, from when, how long, how much. Hours of the batch's age."""

    name: str
    signal: str
    size: float = 0.0
    start_h: float = 0.0
    duration_h: float = math.inf
    batches: NDArray[np.bool_] | None = None  # None: all of them

    def __post_init__(self) -> None:
        if self.name not in set(Failure):
            raise NotFound(f"no failure {self.name[:60]} of an instrument", why="none has this name", possible=", ".join(Failure))
        _, low, high, _ = FAILURES[Failure(self.name)]
        if not (low <= self.size <= high and math.isfinite(self.size)):
            raise NotValid(f"cannot use size {self.size} of {self.name}", why=f"it lies between {low:g} and {high:g}")
        if not (self.start_h >= 0 and self.duration_h > 0):
            raise NotValid(f"cannot use {self.name} of {self.signal[:60]}", why="it starts at 0 h or later, and lasts")

    def stands(self, age_h: Any) -> NDArray[np.bool_]:
        """Where it is there, in the shape of the ages against the batches."""
        there = (age_h >= self.start_h) & (age_h < self.start_h + self.duration_h)
        return np.asarray(there if self.batches is None else there & self.batches, dtype=bool)


def check_failures(faults: Sequence[SensorFault], instruments: Mapping[str, Instrument]) -> tuple[SensorFault, ...]:
    """The failures, or `NotFound` where one is of an instrument that is not there."""
    for fault in faults:
        if fault.signal not in instruments:
            raise NotFound(f"cannot break {fault.signal[:60]}", why="there is no such instrument", possible=", ".join(instruments)[:300])
        if fault.name == Failure.WRONG_UNIT and instruments[fault.signal].other_unit == (1.0, 0.0) and fault.size <= 0:
            raise NotValid(f"cannot mix up the unit of {fault.signal}", why="it is usually given in one unit", possible="a factor as size")
    return tuple(faults)


@dataclass(slots=True)
class Broken:
    """What all failures of one signal do together, at these ages; `None` where nothing of the kind stands."""

    gain: Any = 1.0
    noise: Any = 1.0
    slower: NDArray[np.bool_] | None = None
    added: Any = 0.0
    spike: Any = 0.0  # size where spikes may come
    factor: Any = 1.0
    offset: Any = 0.0
    late: NDArray[np.intp] | None = None  # steps
    frozen: NDArray[np.bool_] | None = None
    dropped: NDArray[np.bool_] | None = None


def broken(faults: Sequence[SensorFault], how: Instrument, *, age_h: Floats, step_h: float) -> Broken:
    """What the failures of one signal do; the ages are (n,) or (T, n)."""
    out = Broken()
    for fault in faults:
        there = fault.stands(age_h)
        match Failure(fault.name):
            case Failure.BIASED:
                out.added = out.added + np.where(there, fault.size, 0.0)
            case Failure.DRIFTS:
                out.added = out.added + np.where(there, fault.size * (age_h - fault.start_h) / 24.0, 0.0)
            case Failure.FOULED:
                out.gain = out.gain * np.where(there, 1.0 - fault.size * (1.0 - np.exp(-np.maximum(age_h - fault.start_h, 0.0) / FOULS_H)), 1.0)
                out.slower = there if out.slower is None else out.slower | there
            case Failure.NOISY:
                out.noise = out.noise * np.where(there, fault.size, 1.0)
            case Failure.SPIKES:
                out.spike = np.maximum(out.spike, np.where(there, fault.size, 0.0))
            case Failure.WRONG_UNIT:
                factor, offset = how.other_unit if how.other_unit != (1.0, 0.0) else (fault.size, 0.0)
                out.factor, out.offset = np.where(there, factor, out.factor), np.where(there, offset, out.offset)
            case Failure.LATE:
                steps = np.where(there, round(fault.size / step_h), 0).astype(np.intp)
                out.late = steps if out.late is None else np.maximum(out.late, steps)
            case Failure.FREEZES:
                out.frozen = there if out.frozen is None else out.frozen | there
            case Failure.DROPS:
                out.dropped = there if out.dropped is None else out.dropped | there
    return out
