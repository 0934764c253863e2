"""Three real control-site processes over one PostgreSQL and behind one balancer; one of them is killed in the middle of a page."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest

import postgres_here
from isogenic.batches.facts import AlarmRaised
from isogenic.clock import SystemClock
from isogenic.errors import NotReachable
from isogenic.ids import BatchId, SeededMint, SiteId
from isogenic.network.facts import ControlStarted
from isogenic.network.home import VIEWS, ControlHome
from isogenic.records.derived import Derived
from isogenic.records.facts import Actor
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.link import Answer
from isogenic.records.merkle import Frontier, leaf_hashes
from isogenic.records.notes import open_checkpoint
from isogenic.sites.home import SiteHome
from isogenic.sites.link import HttpsLink
from isogenic.sites.node import SiteNode
from small_network import GHENT, LEEDS, NETWORK, Vessels, world_folder

pytestmark = pytest.mark.story

FACTS, COMMIT = 2_400, 60  # of each site: pages that any of the processes may be asked to take
SESSIONS = 6
WAIT_S = 120.0


class Process:
    """One `isogenic control`, started by this test and ended by it."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.ready = folder, folder.parent / f"ready-{number}.json"
        self.running: asyncio.subprocess.Process | None = None
        self.port = 0

    async def start(self) -> None:
        self.ready.unlink(missing_ok=True)
        words = [sys.executable, "-m", "isogenic.cli", "control", str(self.folder), "--no-screens", "--ready", str(self.ready)]
        self.running = await asyncio.create_subprocess_exec(*words, env={**os.environ, "OMP_NUM_THREADS": "1"})
        async with asyncio.timeout(WAIT_S):
            while not self.ready.exists():
                assert self.running.returncode is None, "a control process ended while it was started"
                await asyncio.sleep(0.05)
        self.port = int(json.loads(self.ready.read_text())["node_url"].rpartition(":")[2])

    async def end(self, *, kill: bool = False) -> int:
        assert self.running is not None
        if self.running.returncode is None:
            (self.running.kill if kill else self.running.terminate)()
        return await self.running.wait()


class Balancer:
    """A TCP port whose connections go to the processes in turn, and past those that do not answer."""

    def __init__(self, processes: list[Process]) -> None:
        self.processes, self._turn = processes, itertools.count()
        self.carried: dict[int, int] = {}  # bytes brought to each port
        self.kill_at: tuple[Process, int] | None = None  # this process dies when it has been brought so many bytes
        self.port = 0

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in self.processes:
            process = self.processes[next(self._turn) % len(self.processes)]
            with contextlib.suppress(OSError):
                back_reader, back_writer = await asyncio.open_connection("127.0.0.1", process.port)
                await asyncio.gather(self._carry(reader, back_writer, process), self._carry(back_reader, writer, None))
                return
        writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: Process | None) -> None:
        try:
            while data := await reader.read(4096):  # small, so that a page is many pieces
                writer.write(data)
                await writer.drain()
                if to is not None:
                    self.carried[to.port] = self.carried.get(to.port, 0) + len(data)
                    if self.kill_at is not None and self.kill_at[0] is to and self.carried[to.port] >= self.kill_at[1]:
                        self.kill_at = None
                        assert to.running is not None
                        to.running.kill()  # it has the beginning of a page
        except OSError:
            pass
        finally:
            writer.close()


class ManyLines:
    """A site's link whose requests take turns on several sessions, so that every process gets some."""

    def __init__(self, url: str, home: Path) -> None:
        self._lines = [HttpsLink(url, home=home, wait_s=5) for _ in range(SESSIONS)]
        self._turn = itertools.cycle(self._lines)

    async def call(self, method: str, path: str, body: bytes = b"") -> Answer:
        return await next(self._turn).call(method, path, body)

    async def close(self) -> None:
        for each in self._lines:
            await each.close()


def _said(number: int) -> str:
    """What no compression makes small, so that a page is many pieces."""
    return f"alarm {number} {sha256(str(number).encode()).hexdigest()}"


class Site:
    """A site's node on its real folder, without a batch: what it notes is written by the test."""

    def __init__(self, folder: Path, name: SiteId, url: str) -> None:
        home = SiteHome.open(folder / name)
        self.link = ManyLines(url, folder / name)
        self.node: SiteNode = home.node(clock=SystemClock(), mint=SeededMint(name), equipment=Vessels(home.plant), link=self.link, software="test")
        self.node.start()
        self.ledger: Ledger = self.node.ledgers["ASTER-BIO"]

    def note(self, count: int) -> None:
        begun = self.ledger.size
        for at in range(begun, begun + count, COMMIT):
            batch = [AlarmRaised(BatchId(f"BAT-{self.ledger.origin.split('/')[1]}"), "growth", _said(at + one)) for one in range(COMMIT)]
            self.ledger.append(batch, actor=Actor("test"), moment=self.node.clock.now())

    async def carry_all(self) -> None:
        """Up and down until everything is witnessed, whatever breaks on the way."""
        courier = self.node.courier
        async with asyncio.timeout(WAIT_S):
            while any(ledger.witnessed < ledger.size for ledger in self.node.ledgers.values()):
                with contextlib.suppress(NotReachable):
                    if not await courier.upload_backlog():
                        await asyncio.sleep(0.02)
                    continue
                await asyncio.sleep(0.1)
            for _ in range(5):
                with contextlib.suppress(NotReachable):
                    while await courier.download_once(wait=0):
                        pass
                    break
        assert not courier.state.stopped, courier.state.stopped


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[list[Process], Balancer]]:
    processes = [Process(folder / "CONTROL", number) for number in range(3)]
    balancer = Balancer(processes)
    try:
        await asyncio.gather(*(each.start() for each in processes))  # at once: one of them migrates and publishes, the others wait
        async with await balancer.start():
            yield processes, balancer
    finally:
        for each in processes:
            if each.running is not None:
                await each.end()


def test_a_process_killed_in_the_middle_of_a_page_loses_and_doubles_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    shutil.copytree(world_folder(), folder)
    settings = folder / "CONTROL" / "node.json"
    url = postgres_here.empty_place()
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "store": url}))
    sites: list[Site] = []

    async def run() -> None:
        async with running(folder) as (processes, balancer):
            sites.extend(Site(folder, name, f"https://127.0.0.1:{balancer.port}") for name in (LEEDS, GHENT))
            for site in sites:
                site.note(FACTS)
            balancer.kill_at = (processes[1], 30_000)
            await asyncio.gather(*(site.carry_all() for site in sites))
            assert await processes[1].end() == -9  # it was killed, by the balancer, with a page half brought
            assert all(balancer.carried[each.port] > 10_000 for each in processes)
            await processes[1].start()  # and comes back
            for site in sites:
                site.note(FACTS // 2)
            await asyncio.gather(*(site.carry_all() for site in sites))
            for site in sites:
                await site.link.close()
            assert [await each.end() for each in processes] == [0, 0, 0]

    asyncio.run(run())

    home = ControlHome.open(folder / "CONTROL")
    control = home.node(clock=SystemClock(), mint=SeededMint("inspector"), software="test")
    control.start()  # hashes every stored fact, and folds it
    for site in sites:
        for ledger in site.node.ledgers.values():
            copy = control.copies[ledger.origin][1]
            assert (copy.size, copy.root, ledger.witnessed) == (ledger.size, ledger.root, ledger.size)
            bodies = copy.store.bodies(0, copy.size + 1)
            assert bodies == ledger.store.bodies(0, ledger.size)  # each once, in its place, to the byte
            assert Frontier().extend(leaf_hashes(bodies)).root() == ledger.root
            for store in (ledger.store, copy.store):
                for size, note in store.receipts():
                    claim, cosigned = open_checkpoint(note, ledger.signer.verifying_key, witnesses=(home.witness.verifying_key,))
                    assert (claim.size, len(cosigned)) == (size, 1)
        assert site.node.control.root == control.ledgers[str(site.ledger.origin.split("/")[1])].root
    with psycopg.connect(url) as database:
        dense = "SELECT origin, count(*), max(pos) + 1, min(pos) FROM log JOIN ledger ON ledger.id = log.ledger GROUP BY origin"
        assert all(count == top and low == 0 for _, count, top, low in database.execute(dense).fetchall())
    starts = [fact for fact in control.ledgers["HOUSE"].facts() if isinstance(fact.payload, ControlStarted)]
    assert len(starts) == 5  # three, one again, and this one
    published = [fact for fact in control.ledgers["HOUSE"].facts() if fact.kind == "authority.directory_published"]
    assert len(published) == 1
    everything: list[Ledger | Copy] = [*control.ledgers.values(), *(copy for _, copy in control.copies.values())]
    derived, anew = control.derived, Derived(tmp_path / "anew.sqlite", views=VIEWS)
    assert derived is not None
    for each in everything:
        anew.catch_up(each)
    assert derived.digest() == anew.digest()
    assert derived.find(text=f"alarm {FACTS - 1} ").facts[0].ref.ledger.startswith(NETWORK)
    assert control.processes is not None
    control.processes.close()
    derived.close()
