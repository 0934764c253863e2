"""The computers of a night: a disk, a clock that is a little wrong, and a node's process while it lives.

Guarantees: a process that is started opens its real files and folds its real ledgers, as
the commands `isogenic site` and `isogenic control` do; when it dies, every open file of it
is dead, and what a power cut leaves is decided by the disk.
Leaves to others: when to die (faults), what the node should have been (invariants).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import apsw

from isogenic.authority.people import Directory
from isogenic.clock import ClockQuality, ManualClock, Moment
from isogenic.errors import NotReachable, Refusal
from isogenic.ids import NodeId, SeededMint, SiteId
from isogenic.network import decisions
from isogenic.network.control import CONTROL, ControlNode
from isogenic.network.home import ControlHome, ControlSettings, publish_documents
from isogenic.plant.model import SitePlant
from isogenic.records.blobs import BlobStore
from isogenic.records.derived import Derived
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.notes import VerifyingKey
from isogenic.sim.disk import SimDisk
from isogenic.sim.rehearsal.book import Book, Place, WatchedStore
from isogenic.sim.rehearsal.equipment import Machinery, Terminal
from isogenic.sim.rehearsal.lines import FaultyLine, Request
from isogenic.sim.rehearsal.people import People
from isogenic.sim.rehearsal.scene import NETWORK, PRODUCT, model_bytes, site_text
from isogenic.sim.world import signers
from isogenic.sites.hot import HotBuffer
from isogenic.sites.node import SiteNode
from isogenic.sites.state import SiteState

__all__ = ["ControlMachine", "Machine", "Parts", "Setting", "SiteMachine", "SkewedClock", "finish"]

SOFTWARE = "rehearsal"
HOUSE = "HOUSE"


def finish(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that has nothing to wait for."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


class SkewedClock:
    """A node's own clock: the night's, and some seconds."""

    def __init__(self, shared: ManualClock, *, skew_s: float = 0.0) -> None:
        self.shared, self.skew_s = shared, skew_s

    def now(self) -> Moment:
        return Moment(self.shared.at + timedelta(seconds=self.skew_s), "rehearsal", ClockQuality.SIMULATED)

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody sleeps in a rehearsal: the night moves the clock")


@dataclass(frozen=True, slots=True)
class Parts:
    """What a night is made of; a test puts a defective part in its place and sees the invariant break."""

    site_node: type[SiteNode] = SiteNode
    machinery: type[Machinery] = Machinery
    store: type[WatchedStore] = WatchedStore
    people: type[People] = People


@dataclass(frozen=True, slots=True)
class Setting:
    """What all machines of a night share."""

    seed: int
    clock: ManualClock
    book: Book
    parts: Parts


class Machine:
    """One computer."""

    def __init__(self, name: str, setting: Setting) -> None:
        self.name, self.seed, self.book, self.parts = name, setting.seed, setting.book, setting.parts
        self.clock = SkewedClock(setting.clock)
        self.disk = SimDisk(f"rehearsal {setting.seed} {name}")
        self.lives = 0
        self.resting = 0  # ticks until it is started again
        self.ends_by_power = False  # how the fuse that burns on the disk ends: a power cut, or the end of the process
        self.on_opened: Callable[[Place, WatchedStore], None] | None = None  # told of every ledger file that was opened
        self._stores: list[Any] = []
        self.tasks: dict[str, Coroutine[Any, Any, Any]] = {}

    @property
    def up(self) -> bool:
        """Whether its process lives."""
        raise NotImplementedError

    @property
    def powered(self) -> bool:
        """Whether the disk still answers."""
        return not self.disk.dark

    def store(self, path: str, origin: str) -> WatchedStore:
        """Open one ledger file."""
        opened = self.parts.store(path, origin=origin, vfs=self.disk.name, place=(self.name, origin), book=self.book)
        self._stores.append(opened)
        if self.on_opened is not None:
            self.on_opened((self.name, origin), opened)
        return opened

    def opened(self, resource: Any) -> Any:
        """Remember to let go of it."""
        self._stores.append(resource)
        return resource

    def start(self) -> None:
        """Start the process; raises a refusal where that is not possible now."""
        self.lives += 1
        self._start()
        self.book.happened(f"{self.name} starts, life {self.lives}")

    def _start(self) -> None:
        raise NotImplementedError

    def end(self, dice: Random, *, power: bool) -> None:
        """The process ends here, in the middle of whatever it was doing."""
        self.book.happened(f"{self.name} ends, {'power cut' if power else 'killed'}")
        tasks, self.tasks = self.tasks, {}
        for task in tasks.values():
            task.close()
        self._forget()
        if power:
            self.disk.power_cut(dice)
        else:
            self.disk.kill()
        self.let_go()

    def _forget(self) -> None:
        raise NotImplementedError

    def let_go(self) -> None:
        """Close what the process had open; on a dead disk nothing reaches the platter by that."""
        stores, self._stores = self._stores, []
        for store in stores:
            with contextlib.suppress(apsw.Error, Refusal):
                store.close()

    def close(self) -> None:
        """Take the machine apart."""
        for task in self.tasks.values():
            task.close()
        self.tasks = {}
        self._forget()
        self.disk.kill()
        self.let_go()
        self.disk.close()


class SiteMachine(Machine):
    """A site's computer, beside its equipment and at the end of its line."""

    def __init__(
        self,
        plant: SitePlant,
        setting: Setting,
        *,
        dice: Random,
        perils: Callable[[str], bool],
        reached: Callable[[SiteId, str, float], None],
    ) -> None:
        super().__init__(str(plant.site), setting)
        self.plant, self.site, self._dice, self._perils = plant, plant.site, dice, perils
        told = partial(reached, plant.site)
        self.machinery = setting.parts.machinery(plant, seed=setting.seed, clock=setting.clock, reached=told)
        self.line: FaultyLine | None = None
        self.node: SiteNode | None = None
        self.scanned = False  # in this tick
        self.origins = {audience: f"{NETWORK}/{plant.site}/{audience}" for audience in (HOUSE, str(plant.sponsor))}
        self.directed = f"{NETWORK}/{CONTROL}/{plant.site}"

    @property
    def up(self) -> bool:
        return self.node is not None

    @property
    def sponsor(self) -> tuple[str, str]:
        """Where the facts about its batches are."""
        return self.name, self.origins[str(self.plant.sponsor)]

    def _start(self) -> None:
        signer, witness = signers(self.seed, NETWORK, self.name)
        control_signer, control_witness = signers(self.seed, NETWORK, CONTROL)
        assert self.line is not None
        ledgers = {audience: Ledger(self.store(f"/{audience}.sqlite", origin), signer=signer) for audience, origin in self.origins.items()}
        node = self.parts.site_node(
            SiteState(self.plant),
            ledgers=ledgers,
            control=Copy(self.store("/CONTROL.sqlite", self.directed), writer=control_signer.verifying_key, witness=witness),
            witness=control_witness.verifying_key,
            blobs=BlobStore("/blobs", files=self.disk),
            hot=self.opened(HotBuffer("/hot.sqlite", vfs=self.disk.name)),
            clock=self.clock,
            mint=SeededMint(f"{self.seed} {self.name} {self.lives}"),
            equipment=Terminal(self.machinery, dice=self._dice, alive=lambda: self.powered, perils=self._perils),
            link=self.line,
            software=SOFTWARE,
        )
        node.start()
        node.seal_left_over()
        self.node = node

    def _forget(self) -> None:
        self.node = None


class ControlMachine(Machine):
    """The control site's computer."""

    def __init__(self, plants: Mapping[SiteId, SitePlant], directory: Directory, setting: Setting, *, with_model: bool) -> None:
        super().__init__(str(CONTROL), setting)
        self.plants, self.directory, self.with_model = plants, directory, with_model
        self.node: ControlNode | None = None
        self.own = {audience: f"{NETWORK}/{CONTROL}/{audience}" for audience in (HOUSE, *map(str, plants))}
        self.documents = {site: site_text(site) for site in plants}

    @property
    def up(self) -> bool:
        return self.node is not None

    def _start(self) -> None:
        signer, witness = signers(self.seed, NETWORK, self.name)
        copies: dict[str, tuple[SiteId, Copy]] = {}
        for site, plant in self.plants.items():
            for audience in (HOUSE, str(plant.sponsor)):
                origin = f"{NETWORK}/{site}/{audience}"
                writer = VerifyingKey.parse(self.directory.sites[site].keys.ledger)
                copies[origin] = (site, Copy(self.store(f"/{site}.{audience}.sqlite", origin), writer=writer, witness=witness))
        node = ControlNode(
            ledgers={audience: Ledger(self.store(f"/{audience}.sqlite", origin), signer=signer) for audience, origin in self.own.items()},
            copies=copies,
            witnesses={site: VerifyingKey.parse(self.directory.sites[site].keys.witness) for site in self.plants},
            blobs=BlobStore("/blobs", files=self.disk),
            derived=self.opened(Derived("/derived.sqlite", vfs=self.disk.name)),
            clock=self.clock,
            mint=SeededMint(f"{self.seed} {self.name} {self.lives}"),
            software=SOFTWARE,
            site_documents=self.documents,
        )
        node.start()
        home = ControlHome(_documents(), ControlSettings(network=NETWORK, audiences={}), self.directory, signer, witness, self.documents)
        publish_documents(node, home)
        if self.with_model and PRODUCT not in node.state.models:
            decisions.publish_model(node, model_bytes(), product=PRODUCT)
        self.node = node

    def answer(self, site: SiteId, request: Request) -> Any:
        """What the desk says to a request; nobody answers where no process lives to the end of it."""
        if self.node is None:
            raise NotReachable("the control site does not answer", why="nobody is there")
        answer = finish(self.node.desk.handle(NodeId(site), request.method, request.path, request.body))
        if not self.powered:
            raise NotReachable("the control site does not answer", why="its power went")
        return answer

    def _forget(self) -> None:
        self.node = None


def _documents() -> Path:
    """The folder whose `documents` hold the specification."""
    import isogenic.sim

    return Path(isogenic.sim.__path__[0])
