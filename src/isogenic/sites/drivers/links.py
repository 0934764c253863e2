"""What all drivers of modules share: where a connection stands, what came and went, and what a number is worth.

Guarantees: a first connection is no news, a first failure is; changes that nobody asks for are bounded; a
value that is not a finite number within its signal's physical range is BAD and NaN.
Leaves to others: the wire.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np

from isogenic.clock import Clock
from isogenic.ids import ModuleId
from isogenic.plant.model import Module, Role, Signal, SitePlant
from isogenic.plant.readings import Frame, Quality, TagIndex
from isogenic.units import converter

__all__ = ["Channel", "Comings", "Connection", "channels_of", "frame_of", "refusal_of"]

CHANGES_MAX = 1_000  # a flapping link that nobody asks about must not fill the memory


class Connection(StrEnum):
    """Where a module's connection stands."""

    CONNECTING = "connecting"  # never answered yet
    CONNECTED = "connected"
    LOST = "lost"


class Comings:
    """Which modules came and went."""

    def __init__(self, clock: Clock, modules: Iterable[ModuleId]) -> None:
        self._clock = clock
        self._states = dict.fromkeys(modules, Connection.CONNECTING)
        self._since: dict[ModuleId, datetime] = {}
        self._changes: list[tuple[str, bool, str]] = []

    def become(self, module: ModuleId, state: Connection, why: str = "") -> None:
        """A module's connection is in this state now."""
        before, self._states[module] = self._states[module], state
        if before is state:
            return
        self._since[module] = self._clock.now().at
        if (before, state) != (Connection.CONNECTING, Connection.CONNECTED):
            self._changes.append((module, state is Connection.CONNECTED, why))
            del self._changes[:-CHANGES_MAX]

    def state(self, module: ModuleId) -> Connection:
        """Where one module's connection stands."""
        return self._states[module]

    def connections(self) -> Mapping[ModuleId, Connection]:
        """Where each module's connection stands now."""
        return dict(self._states)

    def since(self) -> Mapping[ModuleId, datetime]:
        """When each module's connection last came or went, by the node's clock."""
        return dict(self._since)

    def changes(self) -> list[tuple[str, bool, str]]:
        """(module, up, why) for each module lost or restored since this was last asked, oldest first."""
        since, self._changes = self._changes, []
        return since


@dataclass(frozen=True, slots=True)
class Channel:
    """One signal: where it stands in a frame, and how its numbers convert."""

    signal: Signal
    column: int
    to_canonical: Callable[[float], float]
    to_native: Callable[[float], float]

    @classmethod
    def of(cls, signal: Signal, index: TagIndex) -> Channel:
        """The channel of a signal."""
        native, canonical = signal.native_unit, signal.cls.unit
        return cls(signal, index.of(signal.tag), converter(native, canonical), converter(canonical, native))

    def judge(self, raw: object, *, certain: bool = True) -> tuple[float, int]:
        """Value and quality of what a module told; nothing that it can tell raises."""
        if type(raw) is not float and type(raw) is not int:  # a text, an array, a truth value, nothing
            return math.nan, Quality.BAD
        try:
            value = float(self.to_canonical(float(raw)))
        except (OverflowError, ValueError):
            return math.nan, Quality.BAD
        if not self.signal.cls.low <= value <= self.signal.cls.high:  # NaN and infinity are not either
            return math.nan, Quality.BAD
        return value, Quality.GOOD if certain else Quality.UNCERTAIN


def channels_of(plant: SitePlant, index: TagIndex) -> dict[ModuleId, tuple[Module, tuple[Channel, ...]]]:
    """Every module of a site with its channels."""
    return {
        module.id: (module, tuple(Channel.of(each, index) for each in unit.signals.values() if each.module == module.id))
        for unit in plant.units.values()
        for module in unit.modules.values()
    }


def frame_of(at: datetime, index: TagIndex, told: Iterable[tuple[Channel, object]]) -> Frame:
    """A frame of what was told; what was not is BAD."""
    values = np.full(len(index.tags), math.nan)
    quality = np.full(len(index.tags), int(Quality.BAD), dtype=np.uint8)
    for channel, raw in told:
        values[channel.column], quality[channel.column] = channel.judge(raw)
    return Frame(at, index, values, quality)


def refusal_of(signal: Signal, value: float) -> str:
    """Why a value cannot be written to a signal; empty where it can."""
    known = signal.cls
    if known.role is not Role.SETPOINT:
        return "it is a measurement"
    if not (math.isfinite(value) and known.low <= value <= known.high):
        return f"{value:g} is not within {known.low:g} to {known.high:g} {known.unit}"
    return ""
