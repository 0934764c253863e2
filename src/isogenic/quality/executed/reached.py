"""Set-points as asked, beside what the sealed readings say was reached.

Guarantees: only blocks that the record names, whose bytes have the digest that it names, are
read; a reading that is not good is counted and never used. A set-point `x_sp` is compared
with the measurement `x` of the step's unit from the moment it was commanded until it was
changed or the step ended: the way there is part of it, which is why the last value is given, too.
Leaves to others: where the bytes are (blobs), and whether the difference matters (a reviewer).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

import numpy as np

from isogenic.errors import Refusal
from isogenic.quality.environment import NON_VIABLE, Grade, Occupancy, Particle
from isogenic.quality.executed.model import Air, ExecutedRecord, Reached, SetpointRun, Step
from isogenic.records.blocks import BAD, GOOD, Block, milliseconds, open_block

__all__ = ["with_readings"]

SETPOINT = "_sp"
Key = TypeVar("Key")
_A = (Grade.A, Occupancy.IN_OPERATION)
LIMITS = {  # of signals that only the isolator around open product has
    "particles_0_5": float(NON_VIABLE[*_A, Particle.HALF_MICROMETRE] or 0),
    "particles_5_0": float(NON_VIABLE[*_A, Particle.FIVE_MICROMETRES] or 0),
}


@dataclass(slots=True)
class _Sum:
    """A mean, a range and a newest value over blocks that come one after the other."""

    since: int
    until: int
    total: float = 0.0
    low: float = float("inf")
    high: float = float("-inf")
    last: float = float("nan")
    last_at: int = -1
    good: int = 0
    others: int = 0
    limit: float = float("inf")
    above: int = 0

    def add(self, at: np.ndarray, values: np.ndarray, quality: np.ndarray) -> None:
        inside = (at >= self.since) & (at <= self.until)
        good = inside & (quality == GOOD) & np.isfinite(values)
        self.others += int(inside.sum() - good.sum())
        if not good.any():
            return
        kept, times = values[good], at[good]
        self.total += float(kept.sum())
        self.low, self.high = min(self.low, float(kept.min())), max(self.high, float(kept.max()))
        self.good += len(kept)
        self.above += int((kept > self.limit).sum())
        newest = int(np.argmax(times))
        if int(times[newest]) >= self.last_at:
            self.last_at, self.last = int(times[newest]), float(kept[newest])

    def reached(self) -> Reached | None:
        if not self.good:
            return None
        return Reached(self.total / self.good, self.low, self.high, self.last, self.good, self.others)


def with_readings(record: ExecutedRecord, bytes_of: Callable[[str], bytes]) -> ExecutedRecord:
    """The record with what was reached. `bytes_of` gives a block by its digest or refuses; a block that is not at hand is left out and said."""
    sums = {(step, run): _Sum(_ms(each.since), _ms(each.until)) for step, run, each in _runs(record)}
    tags = {(step, run): f"{record.steps[step].unit}.{each.name.removesuffix(SETPOINT)}" for step, run, each in _runs(record)}
    airs = {
        (number, name): _Sum(_ms(step.began), _ms(step.ended), limit=limit)
        for number, step in enumerate(record.steps)
        for name, limit in LIMITS.items()
    }
    air_tags = {(number, name): f"{record.steps[number].unit}.{name}" for number, name in airs}
    missing = 0
    for sealed, _ in record.blocks:
        try:
            block = open_block(bytes_of(sealed.digest), sealed.digest)
        except Refusal:
            missing += 1
            continue
        _add(block, sums, tags)
        _add(block, airs, air_tags)
    found = {key: each.reached() for key, each in sums.items()}
    steps = tuple(_with(step, number, found) for number, step in enumerate(record.steps))
    air = tuple(Air(number, name, each.high, each.limit, each.above, each.good, each.others) for (number, name), each in airs.items() if each.good)
    return replace(record, steps=steps, air=air, compared=len(record.blocks) - missing)


def _add(block: Block, sums: Mapping[Key, _Sum], tags: Mapping[Key, str]) -> None:
    at = np.array([milliseconds(each) for each in block.times], dtype=np.int64)
    columns = {tag: column for column, tag in enumerate(block.tags)}
    for key, wanted in sums.items():
        column = columns.get(tags[key])
        if column is not None:
            quality = np.where(np.isnan(block.values[:, column]), BAD, block.quality[:, column])
            wanted.add(at, block.values[:, column], quality)


def _runs(record: ExecutedRecord) -> Iterator[tuple[int, int, SetpointRun]]:
    for number, step in enumerate(record.steps):
        for run, each in enumerate(step.setpoints):
            if each.name.endswith(SETPOINT):
                yield number, run, each


def _with(step: Step, number: int, found: Mapping[tuple[int, int], Reached | None]) -> Step:
    return replace(step, setpoints=tuple(replace(each, reached=found.get((number, run))) for run, each in enumerate(step.setpoints)))


def _ms(at: datetime | None) -> int:
    return milliseconds(at) if at is not None else np.iinfo(np.int64).max
