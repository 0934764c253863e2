"""The equipment of one site: it goes on while nodes come and go, and counts what it really did.

Guarantees: a value reaches the culture only after the night was asked whether it had been
noted (I3); every dose that begins to flow is counted with its number and amount; a module
that is down refuses, and its readings are bad.
Leaves to others: cells and sensors (facility), judging the counts (invariants).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import datetime
from random import Random

import numpy as np

from isogenic.clock import ManualClock
from isogenic.errors import Refusal
from isogenic.ids import UnitId
from isogenic.plant.classes import DOSE_NUMBER
from isogenic.plant.model import SitePlant
from isogenic.plant.readings import Frame, Quality, TagIndex
from isogenic.sim.facility import Facility
from isogenic.sim.vessel import DOSE_TOTALS

__all__ = ["Execution", "Killed", "Machinery", "Pause", "Terminal"]

STEP_S = 1800.0  # process time between grid points: coarse, because a night is about order and not about cells


class Killed(BaseException):
    """The process of a node ended here."""


class Pause:
    """Let something else of the night happen first."""

    def __await__(self) -> Generator[None, None, None]:
        yield None


@dataclass(frozen=True, slots=True)
class Execution:
    """A dose that began to flow."""

    unit: UnitId
    dose: str
    number: int
    amount: float


class Machinery:
    """The modules of one site. Outlives every process of its node."""

    def __init__(self, plant: SitePlant, *, seed: int, clock: ManualClock, reached: Callable[[str, float], None]) -> None:
        """`reached(tag, value)` is told of every value that is about to come into force."""
        self.plant, self.clock, self._reached = plant, clock, reached
        self.facility = Facility(plant, seed=seed, step_s=STEP_S)
        self.facility.advance(clock.at)
        self.index = TagIndex([signal.tag for signal in plant.signals()])
        self._module = {signal.tag: str(signal.module) for signal in plant.signals()}
        self.down: set[str] = set()
        self.executions: list[Execution] = []
        self.refused: set[tuple[str, float]] = set()
        self.on_execution: Callable[[Execution], None] | None = None

    def read(self, at: datetime) -> Frame:
        """All signals now; `at` is what the node's own clock says."""
        self.facility.advance(self.clock.at)
        values = np.full(len(self.index.tags), math.nan)
        quality = np.full(len(self.index.tags), int(Quality.BAD), dtype=np.uint8)
        for tag, column in self.index.column.items():
            value = math.nan if self._module[tag] in self.down else self.facility.read(tag)
            if math.isfinite(value):
                values[column], quality[column] = value, int(Quality.GOOD)
        return Frame(at, self.index, values, quality)

    def set(self, tag: str, value: float) -> str:
        """Take one value; gives why not, or nothing."""
        if self._module[tag] in self.down:
            self.refused.add((tag, value))
            return f"{self._module[tag]} does not answer"
        self._reached(tag, value)
        try:
            self.take(tag, value)
        except Refusal as refusal:
            return str(refusal)
        return ""

    def take(self, tag: str, value: float) -> None:
        """What the module's controller does with it."""
        unit, _, signal = tag.partition(".")
        dose = signal.removesuffix(DOSE_NUMBER)
        if dose == signal:
            self.facility.write(tag, value)
            return
        state = self.facility.vessels[UnitId(unit)].book
        before = state.executed[dose]
        self.facility.write(tag, value)
        if state.executed[dose] > before:
            self.executed(UnitId(unit), dose, int(value))

    def executed(self, unit: UnitId, dose: str, number: int) -> None:
        """Count a dose that begins to flow."""
        done = Execution(unit, dose, number, self.facility.read(f"{unit}.{dose}"))
        self.executions.append(done)
        if self.on_execution is not None:
            self.on_execution(done)

    def dosed(self, unit: UnitId, dose: str) -> float:
        """What has flowed and what is still flowing of one kind of dose, in the unit of its set-point."""
        total, per_litre = DOSE_TOTALS[dose]
        state = self.facility.vessels[unit].book
        return state.totals[total] + state.pending[dose] * per_litre


class Terminal:
    """One node's connection to the machinery; it dies with the node's process."""

    def __init__(self, machinery: Machinery, *, dice: Random, alive: Callable[[], bool], perils: Callable[[str], bool]) -> None:
        """`perils(where)` says whether the process is killed here; `alive()` whether the machine still has power."""
        self._machinery, self._dice, self._alive, self._perils = machinery, dice, alive, perils
        self._known_down: set[str] = set()

    async def read(self, at: datetime) -> Frame:
        self._point("before reading")
        frame = self._machinery.read(at)
        if self._dice.random() < 0.1:
            await Pause()
        self._point("after reading")
        return frame

    async def write(self, setpoints: Mapping[str, float]) -> Mapping[str, str]:
        refused: dict[str, str] = {}
        for tag in sorted(setpoints, key=lambda tag: (tag.endswith(DOSE_NUMBER), tag)):  # an amount before its number
            self._point("before writing")
            if why := self._machinery.set(tag, setpoints[tag]):
                refused[tag] = why
        self._point("after writing")
        return refused

    def changes(self) -> list[tuple[str, bool, str]]:
        down, known = self._machinery.down, self._known_down
        self._known_down = set(down)
        return [(name, False, "no answer") for name in sorted(down - known)] + [(name, True, "") for name in sorted(known - down)]

    def _point(self, where: str) -> None:
        if not self._alive() or self._perils(where):
            raise Killed(where)
