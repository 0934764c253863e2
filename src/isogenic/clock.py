"""Time, and how far it can be believed.

The only module that may ask the operating system what time it is (a lint rule holds the
others to it). Every fact carries a `Moment`: the time claimed, and the source, offset and
quality of the clock that claimed it. Order between two nodes is never taken from moments;
it comes from positions in ledgers.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol

from isogenic.errors import NotValid

__all__ = ["Clock", "ClockQuality", "ManualClock", "Moment", "ScaledClock", "SystemClock", "text_of_time", "time_of_text"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ClockQuality(StrEnum):
    """How far a node's clock can be believed."""

    GOOD = "good"  # synchronised, offset known
    POOR = "poor"  # in holdover, or offset beyond its limit
    UNKNOWN = "unknown"  # no source has been heard
    SIMULATED = "simulated"  # not the world's time at all


@dataclass(frozen=True, slots=True)
class Moment:
    """A time claimed by one node's clock, with what is known of that clock."""

    at: datetime  # UTC, aware
    source: str = "system"
    quality: ClockQuality = ClockQuality.UNKNOWN
    offset_ms: float | None = None

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise NotValid("cannot use a time without a zone", why="every moment is UTC")

    def plus(self, hours: float) -> Moment:
        """The same clock, `hours` later."""
        return Moment(self.at + timedelta(hours=hours), self.source, self.quality, self.offset_ms)


class Clock(Protocol):
    """What a node asks for the time. `sleep` waits in the clock's own time."""

    def now(self) -> Moment: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The operating system's clock. Its synchronisation is not yet measured, so its quality is unknown."""

    def now(self) -> Moment:
        return Moment(datetime.now(UTC))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ScaledClock:
    """Process time that runs `speed` times faster than life from a shared start: several processes agree on it.

    `origin` is the wall-clock time at which process time stood at `start`.
    """

    def __init__(self, *, start: datetime, origin: float, speed: float) -> None:
        if not speed > 0:
            raise NotValid(f"cannot run a clock at speed {speed}", why="the speed is a positive number")
        self.start, self.origin, self.speed = start, origin, speed

    def now(self) -> Moment:
        passed = (time.time() - self.origin) * self.speed
        return Moment(self.start + timedelta(seconds=passed), f"simulated x{self.speed:g}", ClockQuality.SIMULATED, 0.0)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)

    def spec(self) -> str:
        """The clock as one word for a command line; `parse` reads it back."""
        return f"{text_of_time(self.start)},{self.origin!r},{self.speed!r}"

    @classmethod
    def parse(cls, spec: str) -> ScaledClock:
        """Read what `spec` wrote."""
        try:
            start, origin, speed = spec.split(",")
            return cls(start=time_of_text(start), origin=float(origin), speed=float(speed))
        except ValueError as trouble:
            raise NotValid(f"cannot read clock {spec!r}", why=str(trouble), possible="START,ORIGIN,SPEED") from trouble


class ManualClock:
    """A clock that moves only when told: for tests, replays and rehearsals."""

    def __init__(self, at: datetime = datetime(2026, 1, 1, tzinfo=UTC), *, source: str = "manual") -> None:
        self.at, self.source = at, source

    def now(self) -> Moment:
        return Moment(self.at, self.source, ClockQuality.SIMULATED, 0.0)

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`."""
        self.at += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)


def wall_seconds() -> float:
    """Seconds since the epoch by the machine's wall clock: the shared origin of scaled clocks."""
    return time.time()


def monotonic_seconds() -> float:
    """Seconds of a clock that never steps: for measuring how long something took."""
    return time.perf_counter()


def text_of_time(at: datetime) -> str:
    """RFC 3339, UTC, milliseconds: `2026-11-23T11:22:56.123Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"  # cuts off what is below a millisecond


def time_of_text(text: str) -> datetime:
    """Read an RFC 3339 time; a time without a zone is refused."""
    try:
        at = datetime.fromisoformat(text)
    except (ValueError, TypeError) as trouble:
        raise NotValid(f"cannot read time {str(text)[:40]!r}", why="the form is 2026-11-23T11:22:56.123Z") from trouble
    if at.tzinfo is None:
        raise NotValid(f"cannot read time {text!r}", why="it has no zone", possible="end it in Z or +01:00")
    try:
        return at.astimezone(UTC)
    except OverflowError as trouble:
        raise NotValid(f"cannot read time {text!r}", why="in UTC it is outside the years 1 to 9999") from trouble
