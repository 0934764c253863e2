"""A network of real processes that a test may kill: sites and a control site, TLS between them, and a relay on every line."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from random import Random
from typing import Any

import apsw

import lean_nodes
from isogenic.clock import ScaledClock, monotonic_seconds, time_of_text, wall_seconds
from isogenic.ids import SiteId
from isogenic.plant.documents import load_plant
from isogenic.records import codec
from isogenic.records.facts import Fact, decode_fact
from isogenic.sim.rehearsal.equipment import Machinery
from small_network import NETWORK, SEED, START, world_folder
from tls_relay import Relay

SPEED = 12_000.0  # 200 minutes a second: a scan every 0.15 s, a batch of the rehearsals' recipe in some ten seconds
WAIT_S = 240.0  # a machine may be busy; nobody waits longer than it takes

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["lean_nodes"])  # what a node imports is imported once: a process starts in a tenth of a second


class LivingClock:
    """Process time for the equipment, which nobody kills."""

    def __init__(self, clock: ScaledClock) -> None:
        self._clock = clock

    @property
    def at(self) -> Any:
        return self._clock.now().at


class RealNetwork:
    """Processes, equipment and lines. Everything that happens is chosen by the test."""

    def __init__(
        self, folder: Path, *, sites: tuple[SiteId, ...], dice: Random, badness: float = 0.0, settings: Mapping[str, Any] | None = None
    ) -> None:
        """`badness` is the share of requests to which something happens; `settings` are of every site, beside what its folder says."""
        self.folder, self.sites, self.dice = folder, sites, dice
        shutil.copytree(world_folder(), folder)
        for site in sites:
            said = codec.loads((folder / site / "node.json").read_bytes(), what="node.json")
            (folder / site / "node.json").write_bytes(codec.dumps(said | dict(settings or {})))
        self.clock = ScaledClock(start=START, origin=wall_seconds(), speed=SPEED)
        self.machinery: dict[SiteId, Machinery] = {}
        self.relays = {
            site: Relay(site=folder / site, control=folder / "CONTROL", dice=Random(f"{site} {dice.random()}"), badness=badness) for site in sites
        }
        self.running: dict[str, ForkServerProcess] = {}
        self.starts: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()
        self._servers: list[asyncio.Server] = []
        self._tasks: dict[str, lean_nodes.Task] = {}

    # ---- opening and closing ----

    async def __aenter__(self) -> RealNetwork:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(name, "1")
        common = {"clock": self.clock.spec(), "seed": SEED, "network": NETWORK}
        self._tasks["CONTROL"] = lean_nodes.Task(self.folder / "CONTROL", dice=self.dice.randrange(1 << 30), **common)  # type: ignore[arg-type]
        for site in self.sites:
            home = self.folder / site
            plant = load_plant((home / "plant.yaml").read_text(), name="plant.yaml")
            self.machinery[site] = Machinery(plant, seed=SEED, clock=LivingClock(self.clock), reached=lambda tag, value: None)  # type: ignore[arg-type]
            self._tasks[site] = lean_nodes.Task(
                home,
                dice=self.dice.randrange(1 << 30),
                equipment_port=await self._serve(self.machinery[site]),
                url=await self.relays[site].start(),
                **common,  # type: ignore[arg-type]
            )
        return self

    async def __aexit__(self, *trouble: object) -> None:
        await self.stop()
        for relay in self.relays.values():
            await relay.stop()
        for server in self._servers:
            server.close()

    async def _serve(self, machinery: Machinery) -> int:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while line := await reader.readline():
                    said = codec.loads(line, what="a question to the equipment")
                    writer.write(codec.dumps(_answer(machinery, said)) + b"\n")
            except OSError:
                pass  # the site was killed
            finally:
                writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=lean_nodes.LINE_MAX)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    # ---- processes ----

    def start(self, name: str, **changes: Any) -> None:
        """Start a node's process; it is not waited for."""
        task = replace(self._tasks[name], dice=self.dice.randrange(1 << 30), **changes)
        task.ready.unlink(missing_ok=True)
        work = lean_nodes.control if name == "CONTROL" else lean_nodes.site
        process = _processes.Process(target=lean_nodes.run, args=(work, task), daemon=True)
        process.start()
        self.running[name], self.starts[name] = process, self.starts[name] + 1

    async def ready(self, name: str) -> None:
        """Wait until a node has told that it runs; to the control site lines are led then."""
        path, end = self._tasks[name].ready, monotonic_seconds() + WAIT_S
        while not path.exists():
            assert self.running[name].is_alive() and monotonic_seconds() < end, self.log(name)
            await asyncio.sleep(0.02)
        if name == "CONTROL":
            url = codec.loads(path.read_bytes(), what="ready.json")["url"]
            for relay in self.relays.values():
                await relay.lead_to(url)

    async def kill(self, name: str) -> None:
        """SIGKILL: nothing is said, nothing is flushed."""
        alive = self.running[name].is_alive()
        self.running[name].kill()
        await self.ended(name)
        assert alive, f"{name} had ended by itself: {self.log(name)}"
        self.kills[name] += 1

    async def stop(self) -> None:
        """SIGKILL for all at the same moment, so that nobody notes that another is gone."""
        for process in self.running.values():
            process.kill()
        for name in list(self.running):
            await self.ended(name)

    async def ended(self, name: str) -> None:
        """Wait until a process is gone."""
        process = self.running.pop(name)
        while process.is_alive():
            await asyncio.sleep(0.01)
        process.join()
        process.close()

    def log(self, name: str) -> str:
        """What a node printed, the end of it."""
        path = self.folder / name / "process.log"
        return path.read_text()[-3_000:] if path.exists() else f"{name} printed nothing"

    def calm(self) -> None:
        """People rest and equipment stands still; what is noted is still carried."""
        for task in self._tasks.values():
            task.calm.touch()

    # ---- looking, from outside ----

    def rows(self, path: Path, sql: str) -> list[Any]:
        """Read a node's file while the node runs, or after."""
        if not path.exists():
            return []
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        db.set_busy_timeout(5_000)
        try:
            return db.execute(sql).fetchall()
        except apsw.SQLError:
            return []  # it has no tables yet
        finally:
            db.close()

    def ledgers(self) -> list[tuple[str, Path, Path]]:
        """Every ledger with its writer's file and its reader's: origin, writer's, reader's."""
        found = []
        for site in self.sites:
            for audience in ("HOUSE", "ASTER-BIO"):
                copy = self.folder / "CONTROL" / "copies" / f"{site}.{audience}.sqlite"
                found.append((f"{NETWORK}/{site}/{audience}", self.folder / site / "ledgers" / f"{audience}.sqlite", copy))
            own = self.folder / "CONTROL" / "ledgers" / f"{site}.sqlite"
            found.append((f"{NETWORK}/CONTROL/{site}", own, self.folder / site / "ledgers" / "CONTROL.sqlite"))
        return found

    def bodies(self, path: Path) -> list[bytes]:
        return [row[0] for row in self.rows(path, "SELECT body FROM log ORDER BY pos")]

    def facts(self, site: SiteId, audience: str = "ASTER-BIO") -> list[Fact]:
        return [decode_fact(body) for body in self.bodies(self.folder / site / "ledgers" / f"{audience}.sqlite")]

    def witnessed(self) -> bool:
        """Whether every writer has the receipt for all that it has noted."""
        return all(self.size(own) == self.size_witnessed(own) for _, own, _ in self.ledgers())

    def size(self, path: Path) -> int:
        return int(next(iter(self.rows(path, "SELECT count(*) FROM log")), (0,))[0])

    def size_witnessed(self, path: Path) -> int:
        return int(next(iter(self.rows(path, "SELECT max(size) FROM receipt")), (0,))[0] or 0)

    async def until(self, look: Any, *, what: str, seconds: float = WAIT_S) -> None:
        """Wait until there is something to see."""
        end = monotonic_seconds() + seconds
        while not look():
            for name, process in self.running.items():
                assert process.is_alive(), f"{name} has ended by itself: {self.log(name)}"
            assert monotonic_seconds() < end, f"waited {seconds:.0f} s in vain for {what}"
            await asyncio.sleep(0.1)

    def promised(self) -> dict[str, dict[int, str]]:
        """What nodes were told is durable, by ledger: position and digest."""
        found: dict[str, dict[int, str]] = {}
        for task in self._tasks.values():
            for line in task.promised.read_text().splitlines() if task.promised.exists() else ():
                origin, position, digest = line.split(" ")
                assert found.setdefault(origin, {}).setdefault(int(position), digest) == digest, f"{origin} promised two facts at {position}"
        return found


def check_everything_is_on_both_sides(net: RealNetwork) -> int:
    """Once all nodes are down: every promised fact is there, same bytes and receipts on both sides. Gives how many facts there are."""
    promised, count = net.promised(), 0
    for origin, own, copy in net.ledgers():
        bodies = net.bodies(own)
        digests = [sha256(body).hexdigest() for body in bodies]
        for position, digest in promised.get(origin, {}).items():
            assert position < len(digests) and digests[position] == digest, f"fact {position} of {origin} was promised, and is not there"
        assert bodies == net.bodies(copy), f"{origin}: {len(bodies)} facts at its writer and {len(net.bodies(copy))} at its reader"
        assert net.size_witnessed(own) == len(bodies), f"{origin}: a receipt for {net.size_witnessed(own)} of {len(bodies)} facts"
        count += len(bodies)
    return count


def _answer(machinery: Machinery, said: dict[str, Any]) -> dict[str, Any]:
    if "read" in said:
        frame = machinery.read(time_of_text(said["read"]))
        return {"values": [float(value) if value == value else None for value in frame.values]}
    ordered = sorted(said["write"].items(), key=lambda item: (item[0].endswith("_number"), item[0]))  # an amount before its number
    return {"refused": {tag: why for tag, value in ordered if (why := machinery.set(tag, value))}}
