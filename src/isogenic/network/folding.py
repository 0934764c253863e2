"""From ledgers to state: what is held is folded when there is time, and always before anybody decides on it.

Guarantees: facts of one ledger are folded once and in order; `settle` leaves nothing behind. Pages come
first: while a backlog streams in, no more than a share of the time goes into folding, so that a month's
outage is witnessed in seconds; whoever wants to look then waits in `settled`, which folds in slices and lets
pages and heartbeats through meanwhile. The tables for searching follow, or catch up later.
Leaves to others: what facts mean (state), what tables say (records.derived), where ledgers come from (control).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from isogenic.errors import NotReachable
from isogenic.network.state import Claim, ControlState, Place, fold
from isogenic.records.derived import Derived
from isogenic.records.facts import UNREADABLE, Fact, fact_in_place
from isogenic.records.ledger import Copy, Ledger

__all__ = ["Folding"]

log = logging.getLogger(__name__)
QUIET_S = 0.02  # a page with another one right behind it is folded after that one
SLICE = 512  # facts folded between two requests: some 20 ms
BEHIND_MAX = 50_000  # facts held and not yet folded from which on a share of each page is folded as it comes
SHARE = 64  # facts folded for each page of 512 that comes then: the sites' pages keep nine tenths of the time

Came = Callable[[Place, Iterable[Fact]], None]
Claimed = Callable[[list[Claim]], None]


class Folding:
    """The state and the tables of one control-site process."""

    def __init__(self, *, place: Callable[[str], Place], derived: Derived | None, feeds: Callable[[str], bool], came: Came, claimed: Claimed) -> None:
        """`place(origin)` says whose ledger it is; `feeds(origin)` whether this process brings the tables up to it.

        `came` is told of the facts of each slice, `claimed` of the claims on batches that a site's ledger brought.
        """
        self.state, self.derived = ControlState(), derived  # as far as folded
        self.changed = asyncio.Event()  # set and replaced whenever state changed: screens wait on it
        self._place, self._feeds, self._came, self._claimed = place, feeds, came, claimed
        self._sizes: dict[str, int] = {}
        self._due: dict[str, Copy] = {}  # copies that hold facts not yet folded, oldest first
        self._later: asyncio.TimerHandle | None = None

    def size(self, origin: str) -> int:
        """How many facts of a ledger are folded."""
        return self._sizes.get(origin, 0)

    @property
    def behind(self) -> int:
        """How many facts are held and not yet folded."""
        return sum(copy.size - self.size(origin) for origin, copy in self._due.items())

    def fold(self, ledger: Ledger | Copy, *, stop: int) -> None:
        """Fold a ledger up to `stop`, and let the tables and those who wait for news follow."""
        place, before = self._place(ledger.origin), self.state.evidence
        start = self.size(ledger.origin)
        while start < stop:
            bodies = ledger.store.bodies(start, min(stop, start + SLICE))
            if not bodies:
                raise NotReachable(f"cannot fold {ledger.origin}", why=f"fact {start} is not in its store", possible="check the disk")
            decoded = _readable(bodies, start, ledger.origin)
            self.state = fold(self.state, decoded.values(), place=place)
            self._came(place, decoded.values())
            self._sizes[ledger.origin] = start + len(bodies)
            self._follow(ledger, bodies, start=start, decoded=decoded)
            start += len(bodies)
        if not place.ours:
            self._claimed([claim for claim in self.state.evidence if claim not in before])

    def soon(self, copy: Copy) -> None:
        """Fold a copy when there is time: let the pages behind the newest come first."""
        self._due[copy.origin] = copy
        with contextlib.suppress(RuntimeError):  # without an event loop, it is folded when somebody looks
            loop = asyncio.get_running_loop()
            if self.behind > BEHIND_MAX:
                loop.call_soon(self._some, SHARE)
            else:
                self._after(loop, QUIET_S)

    def _after(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self.stop()
        self._later = loop.call_later(seconds, self._when_quiet)

    def stop(self) -> None:
        """Fold nothing more by itself."""
        if self._later is not None:
            self._later.cancel()

    def _when_quiet(self) -> None:
        """Fold a little, and the rest after whatever else waits."""
        self._some(SLICE)
        if self._due:
            self._after(asyncio.get_running_loop(), 0.0)

    def _some(self, facts: int) -> None:
        if not self._due:
            return
        origin, copy = next(iter(self._due.items()))
        stop = min(copy.size, self.size(origin) + facts)
        self.fold(copy, stop=stop)
        if stop == copy.size:
            self._due.pop(origin, None)

    def settle(self) -> None:
        """Fold all that is held, now."""
        while self._due:
            origin, copy = next(iter(self._due.items()))
            self.fold(copy, stop=copy.size)
            self._due.pop(origin, None)

    async def settled(self) -> None:
        """Wait until all that is held at this moment is folded; pages and heartbeats are taken meanwhile."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # nobody else could do anything meanwhile
            return self.settle()
        wanted = {origin: copy.size for origin, copy in self._due.items()}
        while any(self.size(origin) < size for origin, size in wanted.items()):
            self._some(SLICE)
            await asyncio.sleep(0)

    def tell(self) -> None:
        """Wake whoever waits for a change."""
        self.changed.set()
        self.changed = asyncio.Event()

    def _follow(self, ledger: Ledger | Copy, bodies: list[bytes], *, start: int, decoded: Mapping[int, Fact]) -> None:
        if self.derived is not None and self._feeds(ledger.origin):
            try:
                held = self.derived.size(ledger.origin)
                if held == start:
                    self.derived.feed(bodies, ledger=ledger.origin, start=start, decoded=decoded)
                elif held < start:
                    self.derived.catch_up(ledger)
            except NotReachable as refusal:  # tables for searching may lag: what was noted is noted, and the next fact brings them up
                log.error("derived tables of %s: %s", ledger.origin, refusal)
        self.tell()


def _readable(bodies: Sequence[bytes], start: int, ledger: str) -> dict[int, Fact]:
    """The facts by position. One that cannot be read is its writer's fault: it is held, it counts, it is shown as unreadable, and says nothing."""
    facts = {}
    for position, body in enumerate(bodies, start):
        fact = fact_in_place(body, ledger=ledger, position=position)
        if fact.kind == UNREADABLE:
            log.error("fact %s: %s", fact.ref, fact.body()["why"])
        else:
            facts[position] = fact
    return facts
