"""Actuators and controllers as pure functions of arrays: one loop of one vessel, or the same loop of a hundred.

Guarantees: a function takes what was and gives what is; nothing is kept inside. An actuator never leaves its range nor
moves faster than it can; a controller whose actuator is at its end does not wind up; a measurement that is lost (NaN)
leaves the output where it is.
Leaves to others: what an actuator does to the process, and which loops there are (`drives`).

    position = moved(VALVE, position, wanted, step_h=step_h)
    flow = delivered(PUMP, position, age_h=age)

Dead band 0.5 % and pump tubing that loses 0.3 % a day are of `models.md`'s kind: typical, **illustrative**.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from isogenic.errors import NotValid
from isogenic.sim.processes.process import Floats

__all__ = ["PI", "PUMP", "Actuator", "Loop", "OnOff", "Position", "at_rest", "begun", "controlled", "delivered", "held", "moved", "switched"]

Number = Any  # a float or an array


@dataclass(frozen=True, slots=True)
class Actuator:
    """What a valve, a pump or a heater can do. Shares are of its range; each number may be an array, one for each of many actuators."""

    low: Number = 0.0
    high: Number = 100.0
    rate_per_h: Number = math.inf  # of the range: how fast it moves
    dead_band: Number = 0.005  # share: a smaller difference does not move it
    stiction: Number = 0.0  # share: what it takes to start from rest
    wear_per_day: float = 0.0  # share of what it delivers that is lost each day

    def __post_init__(self) -> None:
        shares = all(
            np.all((each >= 0) & (each < 1)) for each in (np.asarray(self.dead_band), np.asarray(self.stiction), np.asarray(self.wear_per_day))
        )
        if not (np.all(self.low < self.high) and np.all(self.rate_per_h > 0) and shares):
            raise NotValid("cannot use an actuator", why="its range rises, its rate is above 0, and dead band, stiction and wear are shares below 1")


PUMP = Actuator(rate_per_h=3600.0, wear_per_day=0.003)  # a peristaltic pump with its tubing


class Position(NamedTuple):
    """Where an actuator is, and whether it moves."""

    at: Any
    moving: Any


def at_rest(at: Any) -> Position:
    """An actuator that stands still."""
    value = np.asarray(at, dtype=np.float64)
    return Position(value, np.zeros(value.shape, dtype=bool))


def moved(how: Actuator, before: Position, wanted: Any, *, step_h: float) -> Position:
    """One step towards what is wanted: it starts when dead band and stiction are overcome, and stops inside the dead band."""
    span = how.high - how.low
    aim = np.where(np.isfinite(wanted), np.clip(wanted, how.low, how.high), before.at)
    gap = aim - before.at
    starts = np.abs(gap) > np.where(before.moving, how.dead_band, np.maximum(how.dead_band, how.stiction)) * span
    reach = how.rate_per_h * span * step_h
    step = np.clip(gap, -reach, reach)
    at = np.where(starts, before.at + step, before.at)
    return Position(at, starts & (np.abs(aim - at) > how.dead_band * span))


def delivered(how: Actuator, at: Any, *, age_h: Any) -> Any:
    """What comes out of a worn actuator, `age_h` after its tubing was put in."""
    return at * np.maximum(1.0 - how.wear_per_day * age_h / 24.0, 0.0)


@dataclass(frozen=True, slots=True)
class PI:
    """A proportional-integral controller. `gain`: output for each unit of error; negative where more output lowers what is measured."""

    gain: Number
    integral_h: Number
    low: Number = 0.0
    high: Number = 100.0

    def __post_init__(self) -> None:
        if not (np.all(self.gain != 0) and np.all(np.isfinite(self.gain)) and np.all(self.integral_h > 0) and np.all(self.low < self.high)):
            raise NotValid("cannot use a controller", why="its gain is not 0, its integral time is above 0 and its range rises")


class Loop(NamedTuple):
    """What a controller remembers: its output, and the error before (NaN: none yet)."""

    output: Any
    error: Any


def begun(output: Any) -> Loop:
    """A controller that takes over from this output without a bump."""
    value = np.asarray(output, dtype=np.float64)
    return Loop(value, np.full(value.shape, np.nan))


def controlled(how: PI, before: Loop, *, setpoint: Any, measured: Any, step_h: float, position: Any = None) -> Loop:
    """One step in velocity form: the output moves by `gain * (change of error + error * step / integral time)`.

    The sum of errors is nowhere kept, so nothing can wind up beyond the range. Give the actuator's `position`, and it does
    not wind up against a slow or a stuck one either: the output starts from where the actuator is.
    """
    error = np.asarray(setpoint, dtype=np.float64) - measured
    known = np.isfinite(error)
    change = np.where(np.isfinite(before.error), error - before.error, 0.0)
    start = before.output if position is None else position
    output = np.clip(start + how.gain * (change + error * step_h / how.integral_h), how.low, how.high)
    return Loop(np.where(known, output, before.output), np.where(known, error, before.error))


@dataclass(frozen=True, slots=True)
class OnOff:
    """On below the set-point less half the width, off above it plus half; `cools` the other way round."""

    width: float
    cools: bool = False

    def __post_init__(self) -> None:
        if not self.width >= 0:
            raise NotValid("cannot use a switch", why="its width is not negative")


def switched(how: OnOff, before: Any, *, setpoint: Any, measured: Any) -> Any:
    """On or off; between the two thresholds, and without a measurement, what it was."""
    below, above = measured < setpoint - 0.5 * how.width, measured > setpoint + 0.5 * how.width
    on, off = (above, below) if how.cools else (below, above)
    return np.where(on, True, np.where(off, False, before))


def held(times_h: Sequence[float] | Floats, values: Sequence[float] | Floats, *, age_h: Any) -> Any:
    """A recipe's set-point: each value holds from its time until the next one's; before the first, the first."""
    times, steps = np.asarray(times_h, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if times.ndim != 1 or times.shape != steps.shape or not len(times) or not (np.diff(times) > 0).all():
        raise NotValid("cannot hold a recipe", why="it needs one value for each time, and times that rise")
    return steps[np.maximum(np.searchsorted(times, age_h, side="right") - 1, 0)]
