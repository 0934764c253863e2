"""Site and control nodes as processes that start in a tenth of a second: the product's own nodes, folders, TLS and wire, and no screens.

Equipment is the test's: it outlives every process of a site, as real equipment does, and is spoken to over a socket. The
people of the rehearsals act inside the process. What a node was told is durable is written to a file beside, so that the test
knows what was promised when the process is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np

from isogenic.clock import ScaledClock, monotonic_seconds, text_of_time
from isogenic.errors import NotReachable, Refusal
from isogenic.ids import NodeId, PersonId, RandomMint, SiteId
from isogenic.network.control import CONTROL
from isogenic.network.home import ControlHome, publish_documents
from isogenic.network.server import node_server, started
from isogenic.plant.model import SitePlant
from isogenic.plant.readings import Frame, Quality, TagIndex
from isogenic.records import codec
from isogenic.records.beacon import BEACON_S
from isogenic.records.durable import write_whole
from isogenic.records.lock import sole_process
from isogenic.records.store import Commit, LedgerStore
from isogenic.sim.rehearsal.people import People
from isogenic.sim.world import person_signer
from isogenic.sites.courier import POLL_WAIT_S
from isogenic.sites.facts import ModuleLost
from isogenic.sites.home import SiteHome
from isogenic.sites.link import HttpsLink
from isogenic.sites.node import SiteNode

PEOPLE_S = 0.1  # wall seconds between what people do
LINE_MAX = 1 << 20


@dataclass(frozen=True)
class Task:
    """What a process is to do: everything that it is told at its start."""

    folder: Path
    clock: str
    seed: int
    dice: int
    network: str
    equipment_port: int = 0  # of a site
    url: str = ""  # of the control site, through whatever is between
    burst: int = 0  # facts to note at once

    @property
    def promised(self) -> Path:
        """Where the process writes what it was told is durable."""
        return self.folder / "promised.txt"

    @property
    def calm(self) -> Path:
        """While there is such a file, people rest and equipment is not read."""
        return self.folder / "calm"

    @property
    def ready(self) -> Path:
        return self.folder / "ready.json"


class Promises:
    """A store that is overheard: every commit is written down after it has returned. What a killed process has written stays."""

    def __init__(self, store: LedgerStore, path: Path) -> None:
        self._store = store
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, bodies: Sequence[bytes], **rest: Any) -> None:
        self._store.commit(bodies, **rest)
        self._told(rest["frontier"].size, bodies)

    def commit_all(self, commits: Sequence[Commit]) -> None:
        self._store.commit_all(commits)
        for each in commits:
            self._told(each.frontier.size, each.bodies)

    def _told(self, size: int, bodies: Sequence[bytes]) -> None:
        lines = [f"{self._store.origin} {at} {sha256(body).hexdigest()}\n" for at, body in enumerate(bodies, size - len(bodies))]
        os.write(self._file, "".join(lines).encode())


class FarEquipment:
    """The test's equipment, over a socket: a line of JSON each way."""

    def __init__(self, plant: SitePlant, *, port: int, calm: Path) -> None:
        self.index, self._port, self._calm = TagIndex([signal.tag for signal in plant.signals()]), port, calm
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def read(self, at: datetime) -> Frame:
        while self._calm.exists():
            await asyncio.sleep(0.05)
        values = np.array([np.nan if value is None else value for value in (await self._ask({"read": text_of_time(at)}))["values"]])
        return Frame(at, self.index, values, np.where(np.isfinite(values), Quality.GOOD, Quality.BAD).astype(np.uint8))

    async def write(self, setpoints: Mapping[str, float]) -> Mapping[str, str]:
        refused: dict[str, str] = (await self._ask({"write": dict(setpoints)}))["refused"]
        return refused

    def changes(self) -> list[tuple[str, bool, str]]:
        return []

    async def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=LINE_MAX)
            reader, writer = self._streams
            writer.write(codec.dumps(question) + b"\n")
            answer: dict[str, Any] = codec.loads(await reader.readline(), what="an answer of the equipment")
            return answer
        except (OSError, Refusal) as trouble:
            self._streams = None
            raise NotReachable("the equipment does not answer", why=str(trouble)) from trouble


class PeopleOf(People):
    """The people of the rehearsals, with their keys of this network."""

    network = ""

    def _key(self, person: PersonId) -> Any:
        return person_signer(self.seed, self.network, person)


def people_of(task: Task) -> People:
    people = PeopleOf(task.seed, Random(task.dice), late=0.0, commands=0.0)
    PeopleOf.network = task.network
    return people


def run(work: Callable[[Task], Coroutine[Any, Any, None]], task: Task) -> None:
    """The whole of a process."""
    log = os.open(task.folder / "process.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    asyncio.run(work(task))


# ---- a site ----


async def site(task: Task) -> None:
    home = SiteHome.open(task.folder)
    with sole_process(task.folder, who=home.settings.site):
        equipment = FarEquipment(home.plant, port=task.equipment_port, calm=task.calm)
        link = HttpsLink(task.url, home=task.folder, wait_s=POLL_WAIT_S)
        node = home.node(clock=ScaledClock.parse(task.clock), mint=RandomMint(), equipment=equipment, link=link, software="chaos")
        for ledger in node.ledgers.values():
            ledger.store = Promises(ledger.store, task.promised)  # type: ignore[assignment]
        node.start()
        write_whole(task.ready, codec.dumps({"pid": str(os.getpid())}))
        for number in range(task.burst):
            unit = next(iter(home.plant.units.values()))
            node.note([ModuleLost(unit.id, next(iter(unit.modules)), f"message {number}")])
            await asyncio.sleep(0)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(node.run(scan_s=home.settings.scan_s, heartbeat_s=home.settings.heartbeat_s))
            tasks.create_task(_operate(node, task))


async def _operate(node: SiteNode, task: Task) -> None:
    people, machine = people_of(task), SimpleNamespace(site=node.state.site, plant=node.state.plant)
    while True:
        await asyncio.sleep(PEOPLE_S)
        people.ticks += 1
        if task.calm.exists():
            continue
        with contextlib.suppress(Refusal):
            people.operate(machine, node)  # type: ignore[arg-type]
            people.measure(node)


# ---- the control site ----


async def control(task: Task) -> None:
    home = ControlHome.open(task.folder)
    with sole_process(task.folder, who=CONTROL):
        node = home.node(clock=ScaledClock.parse(task.clock), mint=RandomMint(), software="chaos")
        for ledger in node.ledgers.values():
            ledger.store = Promises(ledger.store, task.promised)  # type: ignore[assignment]
        node.start()
        publish_documents(node, home)
        server = node_server(node.desk, home=task.folder, host="127.0.0.1", port=0)
        serving = asyncio.create_task(server.serve())
        write_whole(task.ready, codec.dumps({"url": f"https://127.0.0.1:{await started(server)}"}))
        people, remembered = people_of(task), monotonic_seconds()
        while not serving.done():
            await asyncio.sleep(PEOPLE_S)
            people.ticks += 1
            if monotonic_seconds() - remembered >= BEACON_S:
                node.keep_beacon()
                remembered = monotonic_seconds()
            if task.calm.exists():
                continue
            with contextlib.suppress(Refusal):
                people.prepare(node)
                people.judge(node)


def name_of(site: SiteId) -> NodeId:
    return NodeId(site)
