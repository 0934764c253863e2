"""The other processes of this control site, where several serve it over one database.

Guarantees: `deciding` is held by one process at a time, so that what is decided is decided on the
newest state and once; what one process wrote, the others hear of within milliseconds (NOTIFY), or
within `POLL_S` when that is lost; a site that any process hears is not silent, and its silence
is noted once; each process has a seat, a small number that no other has while it runs.
A notification carries nothing: whoever is woken reads the ledgers.
Leaves to others: the ledgers (records), what follows from them (control), live values (lane).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from isogenic.clock import text_of_time, time_of_text
from isogenic.errors import NotAllowed, NotReachable, Refusal
from isogenic.ids import SiteId
from isogenic.records.beacon import Beacon, Mark
from isogenic.records.database import Database
from isogenic.records.postgres import ledger_sizes

__all__ = ["POLL_S", "SEATS_MAX", "Processes", "SeatBeacon"]

log = logging.getLogger(__name__)
POLL_S = 1.0  # how late a process is at most when a notification was lost
TELL_S = 0.005  # what is written within this time is told once
DECIDING = 0  # the number of the lock; ledgers have those from 1 on, seats those below
SEATS_MAX = 32  # far more processes than one database keeps busy


class Processes:
    """This process's place among the others. For one thread, as the node is."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._line = Database(database.url, durable=False)  # for hearing and telling: it waits for no disk
        self._channel = f"isogenic_{database.key & 0xFFFFFFFF}"
        self._listening: Any = None  # the connection that listens, once it does
        self._told: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()
        self._written: dict[SiteId, datetime] = {}
        self.seat = next((seat for seat in range(1, SEATS_MAX + 1) if self._sit(seat)), 0)  # what a process writes by itself is kept by seat
        if not self.seat:
            raise NotAllowed("cannot run CONTROL", why=f"{SEATS_MAX} processes serve this database already", possible="end one of them")
        self._seated: Any = self._line.connection()

    def _sit(self, seat: int) -> bool:
        return self._line.rows("SELECT pg_try_advisory_lock(%s, %s)", (self.database.key, -seat)) == [(True,)]

    def deciding(self, *, wait_s: int = 0) -> AbstractContextManager[None]:
        """Be the only process that decides; `wait_s`: wait so long for another that does, where nobody waits for this one."""
        return self.database.alone(DECIDING, what="nothing can be decided now", wait_s=wait_s)

    def sizes(self) -> dict[str, int]:
        """How many facts each ledger has now."""
        return ledger_sizes(self.database)

    # ---- news ----

    def tell(self) -> None:
        """Let the others look, soon."""
        if self._told is not None:
            return
        try:
            self._told = asyncio.get_running_loop().call_later(TELL_S, self._tell)
        except RuntimeError:  # no loop: a start, or a test
            self._tell()

    def _tell(self) -> None:
        self._told = None
        with suppress(NotReachable):  # they look by themselves every second
            self._line.do(f"NOTIFY {self._channel}")

    async def watch(self, follow: Callable[[], object], idle: Callable[[], object]) -> None:
        """Call `follow` whenever another process wrote, and every `POLL_S` in any case; then `idle`, for what nobody hurries with.

        Ends only by a refusal that no waiting heals, such as a database that has lost its end.
        """
        quiet = True
        while True:
            self._listen()
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._news.wait()
            woken = self._news.is_set()
            self._news.clear()
            try:
                follow()
                if not woken:
                    idle()
                quiet = True
            except NotReachable as trouble:
                if quiet:  # once for each outage
                    log.error("the database is away: %s", trouble)
                quiet = False

    def _listen(self) -> None:
        """Listen on the line, anew where it was lost."""
        loop = asyncio.get_running_loop()
        try:
            connection = self._line.connection()
            if connection is not self._seated:
                if not self._sit(self.seat):
                    log.error("seat %s was taken while the line was lost: its journal has two writers until one of them ends", self.seat)
                self._seated = connection
            if connection is not self._listening:
                self._line.do(f"LISTEN {self._channel}")
                loop.add_reader(connection.fileno(), self._hear, loop, connection, connection.fileno())
                self._listening = connection
        except NotReachable:
            self._listening = None

    def _hear(self, loop: asyncio.AbstractEventLoop, connection: Any, number: int) -> None:
        try:
            own = connection.info.backend_pid
            heard = [each.pid for each in connection.notifies(timeout=0)]
        except self.database.psycopg.Error:
            loop.remove_reader(number)
            self._line.close()
            self._listening = None
            self._news.set()
            return
        if any(pid != own for pid in heard):
            self._news.set()

    # ---- who was heard ----

    def hear(self, heard: Mapping[SiteId, datetime | None]) -> dict[SiteId, datetime]:
        """Tell when this process last heard each site; gives when any process did."""
        for site, at in heard.items():
            if at is not None and at > self._written.get(site, at.min.replace(tzinfo=at.tzinfo)):
                self.database.do(
                    "INSERT INTO heard VALUES (%s, %s, false) "
                    "ON CONFLICT (site) DO UPDATE SET at = excluded.at, silent = false WHERE heard.at < excluded.at",
                    (site, text_of_time(at)),
                )
                self._written[site] = at
        return {SiteId(site): time_of_text(at) for site, at in self.database.rows("SELECT site, at FROM heard")}

    def silence_is_said(self, site: SiteId) -> bool:
        """Whether the silence of a site was noted already."""
        return self.database.rows("SELECT silent FROM heard WHERE site = %s", (site,)) == [(True,)]

    def say_silence(self, site: SiteId) -> None:
        """Keep that the silence of a site is noted, until it is heard again."""
        self.database.do("UPDATE heard SET silent = true WHERE site = %s", (site,))

    def close(self) -> None:
        """Let go of both connections."""
        if self._told is not None:
            self._told.cancel()
        if self._listening is not None:
            with suppress(Refusal, RuntimeError, OSError, self.database.psycopg.Error):
                asyncio.get_running_loop().remove_reader(self._listening.fileno())
        self._line.close()
        self.database.close()


class SeatBeacon(Beacon):
    """The beacon of one of several processes: each writes its own file beside the folder, and reads all that are there.

    No file at all is no doubt here: a machine that joins has none.
    """

    def __init__(self, path: Path, seat: int) -> None:
        super().__init__(path.with_name(f"{path.name}-{seat}"))
        self._first = path

    def read(self) -> Mapping[str, Mark]:
        """Of each ledger the farthest that any of them saw."""
        found: dict[str, Mark] = {}
        for each in (self._first, *sorted(self._first.parent.glob(f"{self._first.name}-*"))):
            for origin, mark in (Beacon(each).read() or {}).items():
                if origin not in found or found[origin].size < mark.size:
                    found[origin] = mark
        return found
