"""Time, and how far it can be believed.

The only module that may ask the operating system what time it is (a lint rule holds the
others to it). Every fact carries a `Moment`: the time claimed, and the source, offset and
quality of the clock that claimed it. Order between two nodes is never taken from moments;
it comes from positions in ledgers.

How a node knows its own clock (`DisciplinedClock`):

    source         offset                                             uncertainty
    control site   four times of an exchange (RFC 5905, section 8);   half its delay, and `DRIFT` for each second since (holdover)
                   of the last `EXCHANGES`, the least uncertain
    kernel         none measured: the machine says it is synchronised the kernel's own maximum error
    system         unknown                                            unknown

A wall clock that moves `STEP_S` more or less than the steady clock has stepped. Durations never follow a step.
"""

from __future__ import annotations

import asyncio
import ctypes
import math
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol

from isogenic.errors import NotValid

__all__ = [
    "Clock",
    "ClockQuality",
    "ClockState",
    "DisciplinedClock",
    "Kernel",
    "ManualClock",
    "Moment",
    "ScaledClock",
    "SystemClock",
    "kernel_clock",
    "passed_s",
    "step_between",
    "text_of_time",
    "time_of_text",
]

STEP_S = 2.0  # more than any slewing between two looks: a correction of this size is a step
GOOD_S = 1.0  # offset and uncertainty together: records are read to the second
DRIFT = 50e-6  # seconds a second: a quartz without temperature control, at its worst; RFC 5905 assumes 15e-6 for one in a room
EXCHANGES = 8  # RFC 5905, section 10: the clock filter's stages
DELAY_MAX_S = 10.0  # an exchange that took longer says less than the drift since the last good one
KERNEL_EVERY_S = 10.0
PACE_LOOK_S, PACE_AHEAD_S = 0.5, 2.0  # how often a scaled clock looks whether its pace changes, and how far ahead that is said
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
    offset_ms: float | None = None  # to be added to `at`: positive where this clock is behind its source
    steady_s: float | None = field(default=None, compare=False)  # of a clock that never steps; not written in facts
    boot: str = field(default="", compare=False)  # since which start of the machine `steady_s` counts

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise NotValid("cannot use a time without a zone", why="every moment is UTC")

    def plus(self, hours: float) -> Moment:
        """The same clock, `hours` later."""
        return replace(self, at=self.at + timedelta(hours=hours), steady_s=None if self.steady_s is None else self.steady_s + 3600 * hours)


def step_between(before: Moment, now: Moment) -> float:
    """Seconds that the wall clock jumped between two moments of one machine, forward or (negative) backward; 0 where that is not known."""
    if before.steady_s is None or now.steady_s is None or before.boot != now.boot:
        return 0.0
    step = (now.at - before.at).total_seconds() - (now.steady_s - before.steady_s)
    return step if abs(step) > STEP_S else 0.0


def passed_s(before: Moment, now: Moment) -> float:
    """Seconds between two moments of one machine, by its steady clock where there is one."""
    if before.steady_s is None or now.steady_s is None or before.boot != now.boot:
        return (now.at - before.at).total_seconds()
    return now.steady_s - before.steady_s


class Clock(Protocol):
    """What a node asks for the time. `sleep` waits in the clock's own time."""

    def now(self) -> Moment: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The operating system's clock, unmeasured: for what is no record."""

    def now(self) -> Moment:
        return Moment(datetime.now(UTC))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Kernel(NamedTuple):
    """What the machine says of its own clock."""

    synchronised: bool
    error_s: float  # at most, by its own reckoning


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        *((name, ctypes.c_long) for name in ("constant", "precision", "tolerance", "sec", "usec", "tick", "ppsfreq", "jitter")),
        ("shift", ctypes.c_int),
        *((name, ctypes.c_long) for name in ("stabil", "jitcnt", "calcnt", "errcnt", "stbcnt")),
        ("tai", ctypes.c_int),
        ("reserved", ctypes.c_int * 11),
    )


def kernel_clock() -> Kernel | None:
    """Whether the machine's clock is synchronised (adjtimex(2), reading only); None where the machine does not say."""
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_long) != 8:
        return None
    said = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(said))
    except (OSError, AttributeError):
        return None
    if state < 0:  # a machine in a cage may not be asked
        return None
    return Kernel(state != 5 and not said.status & 0x40, said.maxerror / 1e6)  # TIME_ERROR, STA_UNSYNC


def steady_seconds() -> float:
    """Seconds of a clock that never steps and counts while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def boot_id() -> str:
    """Which start of the machine this is; empty where it does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class ClockState(NamedTuple):
    """What is known of a clock now."""

    source: str
    quality: ClockQuality
    offset_ms: float | None
    uncertainty_ms: float | None
    holdover_s: float | None  # since the last exchange


class _Exchange(NamedTuple):
    offset_s: float
    delay_s: float
    at_s: float  # steady


class DisciplinedClock:
    """A real node's clock: what it claims, and how far that can be believed. It measures; it never sets the machine's clock."""

    def __init__(
        self,
        *,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = steady_seconds,
        kernel: Callable[[], Kernel | None] = kernel_clock,
        boot: str | None = None,
    ) -> None:
        """The sources come by argument, so that a rehearsal can step them."""
        self._wall, self._steady, self._kernel = wall, steady, kernel
        self.boot = boot_id() if boot is None else boot
        self._exchanges: deque[_Exchange] = deque(maxlen=EXCHANGES)
        self._last = (wall(), steady())
        self._asked: tuple[float, Kernel | None] | None = None

    def now(self) -> Moment:
        wall, steady = self._wall(), self._steady()
        step = (wall - self._last[0]) - (steady - self._last[1])
        if abs(step) > STEP_S:  # what was measured before is as much off as the clock moved
            self._exchanges = deque((each._replace(offset_s=each.offset_s - step) for each in self._exchanges), EXCHANGES)
            self._asked = None
        self._last = wall, steady
        state = self._state(steady)
        return Moment(EPOCH + timedelta(seconds=wall), state.source, state.quality, state.offset_ms, steady, self.boot)

    def state(self) -> ClockState:
        """Source, quality, offset, uncertainty and holdover now."""
        return self._state(self._steady())

    def _state(self, steady: float) -> ClockState:
        if self._exchanges:
            best = min(self._exchanges, key=lambda each: each.delay_s / 2 + DRIFT * (steady - each.at_s))
            holdover = steady - self._exchanges[-1].at_s
            uncertainty = best.delay_s / 2 + DRIFT * (steady - best.at_s)
            good = abs(best.offset_s) + uncertainty <= GOOD_S
            quality = ClockQuality.GOOD if good else ClockQuality.POOR
            return ClockState("control site", quality, round(best.offset_s * 1e3, 3), round(uncertainty * 1e3, 3), round(holdover, 3))
        if self._asked is None or steady - self._asked[0] >= KERNEL_EVERY_S:
            self._asked = steady, self._kernel()
        kernel = self._asked[1]
        if kernel is None or not kernel.synchronised:
            return ClockState("system", ClockQuality.UNKNOWN, None, None, None)
        quality = ClockQuality.GOOD if kernel.error_s <= GOOD_S else ClockQuality.POOR
        return ClockState("kernel", quality, None, round(kernel.error_s * 1e3, 3), None)

    def exchanged(self, sent: Moment, received: datetime, answered: datetime, arrived: Moment) -> None:
        """Learn from one question to the control site: when it was sent, received, answered, and when the answer arrived (RFC 5905, section 8)."""
        if step_between(sent, arrived):
            return
        there, back = (received - sent.at).total_seconds(), (answered - arrived.at).total_seconds()
        delay = passed_s(sent, arrived) - (answered - received).total_seconds()
        if -0.001 <= delay <= DELAY_MAX_S and arrived.steady_s is not None:  # times on the wire have milliseconds
            self._exchanges.append(_Exchange((there + back) / 2, max(delay, 0.001), arrived.steady_s))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ScaledClock:
    """Process time that runs `speed` times faster than life from a shared start: several processes agree on it.

    `origin` is the wall-clock time at which process time stood at `start`. With a `pace` file, the speed can change while
    they run: `change_pace` writes from which instant on, a little ahead, and every process that looks there follows at that instant.
    """

    def __init__(self, *, start: datetime, origin: float, speed: float, pace: Path | None = None) -> None:
        if not speed > 0:
            raise NotValid(f"cannot run a clock at speed {speed}", why="the speed is a positive number")
        self.start, self.origin, self.speed, self.pace = start, origin, speed, pace
        self._ahead = time.time() - time.monotonic()  # once: a wall clock that steps later must not be multiplied by the speed
        self._coming: ScaledClock | None = None
        self._looked = -math.inf

    def now(self) -> Moment:
        wall = time.monotonic() + self._ahead
        if self.pace is not None:
            self._follow(wall)
        return Moment(self._at(wall), f"simulated x{self.speed:g}", ClockQuality.SIMULATED, 0.0)

    def _at(self, wall: float) -> datetime:
        return self.start + timedelta(seconds=(wall - self.origin) * self.speed)

    def _follow(self, wall: float) -> None:
        """Look whether the pace changes, and change with it."""
        assert self.pace is not None
        if wall - self._looked >= PACE_LOOK_S:
            self._looked = wall
            if self.pace.exists():
                self._coming = ScaledClock.parse(self.pace.read_text())
        if self._coming is not None and wall >= self._coming.origin:
            self.start, self.origin, self.speed, self._coming = self._coming.start, self._coming.origin, self._coming.speed, None

    def change_pace(self, speed: float) -> None:
        """From `PACE_AHEAD_S` on, process time goes at this speed, in every process that has the same pace file."""
        if self.pace is None:
            raise NotValid("cannot change the pace of a clock", why="it has no pace file")
        origin = time.monotonic() + self._ahead + PACE_AHEAD_S
        draft = self.pace.with_name(self.pace.name + ".part")
        draft.write_text(ScaledClock(start=self._at(origin), origin=origin, speed=speed).spec())
        draft.replace(self.pace)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)

    def spec(self) -> str:
        """The clock as one word for a command line; `parse` reads it back."""
        word = f"{text_of_time(self.start)},{self.origin!r},{self.speed!r}"
        return word if self.pace is None else f"{word},{self.pace}"

    @classmethod
    def parse(cls, spec: str) -> ScaledClock:
        """Read what `spec` wrote."""
        try:
            start, origin, speed, *pace = spec.split(",", 3)
            return cls(start=time_of_text(start), origin=float(origin), speed=float(speed), pace=Path(pace[0]) if pace else None)
        except ValueError as trouble:
            raise NotValid(
                f"cannot read clock {spec!r}", why=str(trouble), possible="START,ORIGIN,SPEED or START,ORIGIN,SPEED,PACE-FILE"
            ) from trouble


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
