"""Lines that lose, repeat, delay and reorder, between real couriers and a real desk.

Guarantees: a request reaches the desk whole or not at all, once or more, now or hours later
and then after newer ones; what a site is told is what the desk answered, or that nothing
came back. Which of these happens follows from the dice alone.
On a slow line a request and its answer take their time by the byte; it may go down meanwhile.
Leaves to others: when a link is down (night), what the desk makes of it.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from isogenic.errors import NotReachable
from isogenic.records.link import Answer
from isogenic.sim.rehearsal.equipment import Killed, Pause

__all__ = ["FaultyLine", "Request"]

PACES_MAX = 60  # waits for one body: a block of readings passes within a night
AFLOAT_MAX = 40  # requests that wait on a line to be delivered late; older ones are lost for good


@dataclass(frozen=True, slots=True)
class Request:
    """What is on the wire."""

    method: str
    path: str
    body: bytes


@dataclass(slots=True)
class FaultyLine:
    """One site's link. `deliver` hands a request to the desk, or raises `NotReachable` when nobody is there."""

    deliver: Callable[[Request], Answer]
    dice: Random
    perils: Callable[[str], bool]
    alive: Callable[[], bool]
    badness: float  # share of requests to which something happens
    down: bool = False
    pace: int = 0  # bytes that pass between two things that happen; 0: all at once
    afloat: list[Request] = field(default_factory=list)
    mishaps: Counter[str] = field(default_factory=Counter)
    carried: int = 0

    async def call(self, method: str, path: str, body: bytes = b"") -> Answer:
        self._point("before sending")
        request, luck = Request(method, path, body), self._luck()
        if self.down:
            self.mishaps["sent while down"] += 1
            raise NotReachable("the control site does not answer", why="the line is down")
        if luck == "slow":
            await Pause()
        await self._pass(len(body))
        if self.down:
            raise NotReachable("the control site does not answer", why="the line went down")
        if luck in ("request lost", "request late"):
            if luck == "request late":
                self._float(request)
            raise NotReachable("the control site does not answer", why="no answer in time")
        answer = self._carry(request)
        if luck == "request repeated":
            answer = self._carry(request)
        if luck == "repeated late":
            self._float(request)
        if luck == "answer slow":
            await Pause()
        await self._pass(len(answer.body))
        self._point("before the answer")
        if luck == "answer lost" or self.down:
            raise NotReachable("the control site does not answer", why="no answer in time")
        return answer

    def deliver_late(self) -> None:
        """One of the waiting requests arrives, whichever; nobody waits for its answer."""
        if self.afloat and not self.down:
            request = self.afloat.pop(self.dice.randrange(len(self.afloat)))
            with contextlib.suppress(NotReachable):
                self._carry(request)

    async def _pass(self, size: int) -> None:
        """Wait while so many bytes go through, as long as the line is slow and up."""
        passed = paces = 0
        while self.pace and not self.down and passed < size and paces < PACES_MAX:
            passed, paces = passed + self.pace, paces + 1
            self.mishaps["slow"] += 1
            await Pause()
            self._point("while it is slow")

    def _luck(self) -> str:
        if self.dice.random() >= self.badness:
            return ""
        luck = self.dice.choice(["slow", "request lost", "request late", "request repeated", "repeated late", "answer slow", "answer lost"])
        self.mishaps[luck] += 1
        return luck

    def _carry(self, request: Request) -> Answer:
        self.carried += 1
        return self.deliver(request)

    def _float(self, request: Request) -> None:
        self.afloat = [*self.afloat[1 - AFLOAT_MAX :], request]

    def _point(self, where: str) -> None:
        if not self.alive() or self.perils(where):
            raise Killed(where)
