"""Live values as server-sent events: new points only, never the whole of a chart.

Guarantees: a stream begins with what is known and goes on with what is new; it ends when the
browser leaves or the node stops; the number of open streams is bounded.
Leaves to others: evidence. Live values are for looking; what counts is sealed (blocks).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import orjson

from isogenic.clock import text_of_time
from isogenic.errors import NotReachable
from isogenic.network.desk import Live
from isogenic.web.messages import number

__all__ = ["Streams"]

STREAMS_MAX = 200  # open at once; each is one small task
LOOK_S = 0.25  # wall seconds between looks at the newest points
QUIET_S = 10.0  # without points, a comment keeps middle boxes from closing the line
POINTS_AT_ONCE = 400

Point = tuple[datetime, dict[str, float]]


class Streams:
    """The open streams of one node."""

    def __init__(self, *, closing: Callable[[], bool]) -> None:
        self._closing, self.open = closing, 0

    def admit(self) -> None:
        """Refuse one stream too many."""
        if self.open >= STREAMS_MAX:
            raise NotReachable("no more live screens", why=f"{STREAMS_MAX} are open", possible="close one, or reload this page later")

    async def points(self, live: Live, unit: str, *, since: datetime | None, gone: Callable[[], Awaitable[bool]]) -> AsyncIterator[bytes]:
        """Server-sent events with the points of one unit after `since`."""
        self.open += 1
        try:
            yield b": points of a unit, as they come\n\n"
            last, quiet = since, 0.0
            while not self._closing() and not await gone():
                new = _after(live.units.get(unit, ()), last)
                for at in range(0, len(new), POINTS_AT_ONCE):
                    yield _event(new[at : at + POINTS_AT_ONCE])
                if new:
                    last, quiet = new[-1][0], 0.0
                elif (quiet := quiet + LOOK_S) >= QUIET_S:
                    quiet = 0.0
                    yield b": still here\n\n"
                await asyncio.sleep(LOOK_S)
        finally:
            self.open -= 1


def _after(points: Any, last: datetime | None) -> Sequence[Point]:
    if last is None:
        return list(points)
    found = []
    for at, values in reversed(points):
        if at <= last:
            break
        found.append((at, values))
    return found[::-1]


def _event(points: Sequence[Point]) -> bytes:
    plain = [{"at": text_of_time(at), "values": {name: number(value) for name, value in values.items()}} for at, values in points]
    return b"event: points\ndata: " + orjson.dumps(plain) + b"\n\n"
