"""Readings: the values of all of a site's signals at one scan, with their quality.

A `Frame` is columns, not objects, so that a scan of 500 signals stays cheap. Values are
in canonical units. A value whose quality is BAD is NaN: a lost signal is never masked by
its last good value.

`Source` and `Sink` are what drivers and simulators implement as siblings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from isogenic.errors import NotFound

__all__ = ["Frame", "Quality", "Reading", "Sink", "Source", "TagIndex"]


class Quality(IntEnum):
    """How far a reading can be believed, after the OPC UA severities."""

    GOOD = 0
    UNCERTAIN = 1  # old, or reported as uncertain by the module
    BAD = 2  # lost, impossible or refused; the value is NaN


_QUALITIES = tuple(Quality)


@dataclass(frozen=True, slots=True)
class Reading:
    """One signal at one scan, in its canonical unit."""

    value: float
    quality: Quality

    @property
    def good(self) -> bool:
        """Whether the value may steer anything."""
        return self.quality is Quality.GOOD


class TagIndex:
    """The fixed order of a site's tags: which column is which."""

    def __init__(self, tags: Sequence[str]) -> None:
        self.tags = tuple(tags)
        self.column: Mapping[str, int] = {tag: at for at, tag in enumerate(self.tags)}
        self._columns: dict[str, tuple[tuple[str, ...], NDArray[np.intp]]] = {}
        self.by_unit: dict[str, list[tuple[str, int]]] = {}
        for at, tag in enumerate(self.tags):
            unit, _, signal = tag.partition(".")
            self.by_unit.setdefault(unit, []).append((signal, at))

    def of_unit(self, unit_id: str) -> tuple[tuple[str, ...], NDArray[np.intp]]:
        """The signals of a unit, and their columns."""
        if unit_id not in self._columns:
            known = self.by_unit.get(unit_id, ())
            self._columns[unit_id] = tuple(name for name, _ in known), np.array([at for _, at in known], dtype=np.intp)
        return self._columns[unit_id]

    def of(self, tag: str) -> int:
        """The column of a tag, or `NotFound`."""
        if tag not in self.column:
            raise NotFound(f"no signal {tag[:80]}", why="the plant document does not name it")
        return self.column[tag]


@dataclass(frozen=True, slots=True)
class Frame:
    """All readings of one scan. `values`: float64[n], NaN where bad; `quality`: uint8[n]."""

    at: datetime
    index: TagIndex
    values: NDArray[np.float64]
    quality: NDArray[np.uint8]
    overflowed: frozenset[str] = frozenset()  # tags of which the source lost values before these: its queue was full
    _units: dict[str, dict[str, Reading]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def reading(self, tag: str) -> Reading:
        """One signal's reading."""
        column = self.index.of(tag)
        return Reading(float(self.values[column]), Quality(int(self.quality[column])))

    def unit(self, unit_id: str) -> dict[str, Reading]:
        """The readings of one unit by canonical signal name."""
        known = self._units.get(unit_id)
        if known is None:  # asked for several times in a scan: judging, stepping, showing
            names, columns = self.index.of_unit(unit_id)
            rows = zip(names, self.values[columns].tolist(), self.quality[columns].tolist(), strict=True)
            known = self._units[unit_id] = {name: Reading(value, _QUALITIES[quality]) for name, value, quality in rows}
        return known


class Source(Protocol):
    """Where readings come from: a driver or a simulator."""

    async def read(self, at: datetime) -> Frame:
        """The newest value of every signal; never blocks longer than a scan, never raises for a lost module."""
        ...


class Sink(Protocol):
    """Where set-points go."""

    async def write(self, setpoints: Mapping[str, float]) -> Mapping[str, str]:
        """Write canonical values by tag; returns the tags that were refused and why. Writing the same again is harmless."""
        ...
