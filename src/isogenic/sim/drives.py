"""The control loops of a stirred bioreactor: what holds temperature, pH, dissolved oxygen and stirring, and how it fails.

Guarantees: one set of equations for the live facility (a step of its grid) and for studies (`jacket`, on the same grid);
arrays of (loops, vessels), each vessel by itself. A loop that has come to its set-point stands there to the last bit.
Leaves to others: controllers and actuators themselves (`controls`), what the culture makes of it.

Each loop is a plant of first order (with its actuator wide open it would rest at `rest + reach`) under a PI controller
whose integral time cancels the plant's lag, so that the loop as a whole is of first order, with `closed_h`. It is slower
where its actuator is at its end or moves no faster. Within one part in a hundred of its reach a sound drive holds by
pulses, finer than its dead band. Dead band: `models.md` 1.6; all else about these loops is **illustrative**.

    valve_sticks   of the jacket: it moves by no less than so much of its travel (stiction), and no pulses are left; it
                   stands half of that too far open as it begins. Controller and valve then chase each other
    drive_is_weak  the stirrer gives no more than (1 - size) of its greatest speed, whatever the controller asks
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from isogenic.sim.controls import PI, Actuator, Loop, Position, controlled, moved
from isogenic.sim.processes.process import Floats

__all__ = ["AMBIENT_C", "GREATEST_RPM", "GRID_H", "GRID_STEPS", "LOOPS", "Drives", "Struck", "broken_up", "jacket", "reaches", "stepping"]

AMBIENT_C = 21.0
GREATEST_RPM = 150.0  # of a stirrer, where the plant says nothing
ENOUGH_STIRRING_RPM = 40.0
SETTLED = 1e-4  # a loop so near its set-point is at it: a culture is then left alone for an hour
SLOW = 50.0 * SETTLED  # one that was farther off a step ago is passing by
NEAR = 0.01  # of the reach: so near a drive holds by pulses
GRID_STEPS = 12  # an hour of a study's loop: as the live facility has it
GRID_H = 1.0 / GRID_STEPS


@dataclass(frozen=True, slots=True)
class Controlled:
    """One loop."""

    name: str
    rest: float  # where it stands without its drive
    reach: float  # how much more with its actuator wide open
    least: float  # of the actuator: below 0 where it works both ways
    open_h: float  # time constant of the plant
    closed_h: float  # time constant of the loop
    rate_per_h: float  # strokes


LOOPS = (
    Controlled("temperature", AMBIENT_C, 25.0, -0.6, 1.0, 0.75, 30.0),  # jacket: heating above 0, chilled water below
    Controlled("ph", 7.0, 3.5, -1.0, 0.3, 0.2, 60.0),  # base, carbon dioxide and acid
    Controlled("dissolved_oxygen", 0.0, 200.0, 0.0, 0.15, 0.1, 60.0),  # what the gas mixing is led to
    Controlled("agitation", 0.0, GREATEST_RPM, 0.0, 0.03, 0.02, 360.0),
)
JACKET, STIRRER = 0, 3


def _row(name: str) -> Floats:
    return np.array([[float(getattr(each, name))] for each in LOOPS])


class Struck(NamedTuple):
    """How deep the faults of the drives are, by vessel."""

    sticks: Floats
    weak: Floats


class Drives(NamedTuple):
    """What all loops of some vessels remember, (loops, vessels) each."""

    here: Floats  # what is controlled, as it really is
    at: Floats  # the actuator
    wanted: Floats  # what the controller asks of it
    error: Floats

    @classmethod
    def settled(cls, here: Floats, *, reach: Floats) -> Drives:
        """Loops that stand where they are."""
        at = (here - _row("rest")) / reach
        return cls(here.copy(), at, at.copy(), np.zeros(here.shape))


def reaches(greatest_rpm: Floats) -> Floats:
    """How far each loop of each vessel reaches; stirrers differ."""
    found = np.repeat(_row("reach"), len(greatest_rpm), axis=1)
    found[STIRRER] = greatest_rpm
    return found


def stepping(*, step_h: float, reach: Floats) -> Callable[[Drives, Floats, Struck | None], Drives]:
    """The step of these loops on a grid of `step_h`: `step(before, set_points, struck)`."""
    rest, least = _row("rest"), _row("least")
    kept = np.exp(-step_h / _row("open_h"))
    gain = (1.0 - np.exp(-step_h / _row("closed_h"))) / (reach * (1.0 - kept)) * kept
    controller = PI(gain=gain, integral_h=step_h * kept / (1.0 - kept), low=least, high=1.0)
    rates, travel = _row("rate_per_h"), 1.0 - least

    def step(before: Drives, asked: Floats, struck: Struck | None = None) -> Drives:
        if struck is None and (before.here == asked).all():
            return before
        loop = controlled(controller, Loop(before.wanted, before.error), setpoint=asked, measured=before.here, step_h=step_h)
        stiction, at, aim = np.zeros(before.here.shape), before.at, loop.output
        if struck is not None:
            stiction[JACKET] = struck.sticks
            still = (stiction > 0.0) & (loop.error == 0.0) & (before.error == 0.0)
            at = np.where(still, np.minimum(at + 0.5 * stiction * travel, 1.0), at)
            aim = aim.copy()
            aim[STIRRER] = np.minimum(aim[STIRRER], 1.0 - struck.weak)
        sound = stiction == 0.0
        band = np.where(sound & (np.abs(loop.error) <= NEAR * reach), 0.0, Actuator().dead_band)
        valve = Actuator(low=least, high=1.0, rate_per_h=rates / travel, dead_band=band, stiction=stiction)
        at = moved(valve, Position(at, np.False_), aim, step_h=step_h).at
        here = before.here + (rest + reach * at - before.here) * (1.0 - kept)
        calm = sound & (np.abs(asked - here) < SETTLED) & (np.abs(loop.error) < SLOW)
        if struck is not None:
            calm[STIRRER] &= struck.weak == 0.0
        if calm.any():
            balanced = (asked - rest) / reach
            here, at = np.where(calm, asked, here), np.where(calm, balanced, at)
            return Drives(here, at, np.where(calm, balanced, loop.output), np.where(calm, 0.0, loop.error))
        return Drives(here, at, loop.output, loop.error)

    return step


def broken_up(rpm: Floats | float) -> Floats:
    """The share of its clean oxygen transfer that a sparger has at this speed: below the least, its bubbles are not broken up."""
    return np.minimum(1.0, np.asarray(rpm) / ENOUGH_STIRRING_RPM)


def jacket(asked: Floats, sticks: Floats) -> Floats:
    """The temperature of a study's batches at each point of the grid, (T, n), from set-points and how much the valve sticks."""
    n = asked.shape[1]
    reach = reaches(np.full(n, GREATEST_RPM))
    others = np.repeat(_row("rest"), n, axis=1)
    others[JACKET] = asked[0]
    loops, step, path = Drives.settled(others, reach=reach), stepping(step_h=GRID_H, reach=reach), np.empty(asked.shape)
    for at, (wish, stuck) in enumerate(zip(asked, sticks, strict=True)):
        others = others.copy()
        others[JACKET] = wish
        loops = step(loops, others, Struck(stuck, np.zeros(n)) if stuck.any() else None)
        path[at] = loops.here[JACKET]
    return path
