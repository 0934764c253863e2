"""The computers of a night: a disk, a clock that is a little wrong, and a node's process while it lives.

Guarantees: a process that is started opens its real files and folds its real ledgers, as
the commands `isogenic site` and `isogenic control` do; when it dies, every open file of it
is dead, and what a power cut leaves is decided by the disk.
Leaves to others: when to die (faults), what the node should have been (invariants).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import apsw

from isogenic.authority.people import Directory
from isogenic.authority.revocation import KeyHistory, history_in
from isogenic.clock import ClockQuality, ManualClock, Moment
from isogenic.errors import NotReachable, NotTrusted, NotValid, Refusal
from isogenic.ids import NodeId, SeededMint, SiteId
from isogenic.network import decisions
from isogenic.network.control import CONTROL, ControlNode
from isogenic.network.home import ControlHome, ControlSettings, publish_documents
from isogenic.plant.model import SitePlant
from isogenic.records.aside import LedgerFiles
from isogenic.records.beacon import Beacon
from isogenic.records.blobs import BlobStore
from isogenic.records.derived import Derived
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.notes import Signer, VerifyingKey
from isogenic.records.sqlite import SqliteStore
from isogenic.sim.disk import SimDisk
from isogenic.sim.rehearsal.book import Book, Place, WatchedStore
from isogenic.sim.rehearsal.equipment import Machinery, Terminal
from isogenic.sim.rehearsal.keys import RehearsedKeys
from isogenic.sim.rehearsal.lines import FaultyLine, Request
from isogenic.sim.rehearsal.people import People
from isogenic.sim.rehearsal.scene import NETWORK, PRODUCT, model_bytes, site_text
from isogenic.sim.world import signers
from isogenic.sites.hot import HotBuffer
from isogenic.sites.node import SiteNode
from isogenic.sites.room import Room
from isogenic.sites.state import SiteState

__all__ = ["ControlMachine", "Machine", "Parts", "Setting", "SiteMachine", "SkewedClock", "finish"]

SOFTWARE = "rehearsal"
HOUSE = "HOUSE"
LEDGERS = "/ledgers/"
BEACON = Path("/aside/beacon")  # on a disk of its own: it stays when a folder is put back from a backup
BALLAST_BYTES = 40_000
KEY_ROTATE_FACTS = 40  # a night sees a few


def finish(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that has nothing to wait for."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


class Ballast:
    """Room that a site gives up when its disk is full, on the simulated disk."""

    def __init__(self, disk: SimDisk) -> None:
        self._disk, self._path = disk, Path("/ballast")

    def take(self) -> bool:
        try:
            self._disk.write_whole(self._path, bytes(BALLAST_BYTES))
        except NotReachable:
            return False
        return True

    def give(self) -> None:
        with contextlib.suppress(NotReachable):
            self._disk.remove(self._path)

    def taken(self) -> bool:
        return self._disk.has(self._path)

    def free(self) -> int | None:
        free = self._disk.free()
        return 1 << 40 if free is None else free


class SkewedClock:
    """A node's own clock: the night's, and some seconds; beside it the machine's steady clock, which no jump moves."""

    def __init__(self, shared: ManualClock, *, skew_s: float = 0.0) -> None:
        self.shared, self.skew_s, self.boots = shared, skew_s, 0
        self._begun = shared.at

    def now(self) -> Moment:
        steady = (self.shared.at - self._begun).total_seconds()
        wall = self.shared.at + timedelta(seconds=self.skew_s)
        return Moment(wall, "rehearsal", ClockQuality.SIMULATED, steady_s=steady, boot=f"boot {self.boots}")

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
        self.files = LedgerFiles(files=self.disk, open_store=lambda path, origin: self.store(str(path), origin), vfs=self.disk.name)
        self.beacon = Beacon(BEACON, files=self.disk)
        self.beacon.write({})  # a new machine: no ledger has begun
        self.tasks: dict[str, Coroutine[Any, Any, Any]] = {}
        self.backup: SimDisk | None = None
        self.hurt: set[str] = set()  # ledgers whose files were damaged or replaced, and which are not whole again

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
        if not path.startswith(LEDGERS) or not path.endswith(".sqlite"):  # written anew, or a second copy: nothing is promised there
            unseen: Any = SqliteStore(path, origin=origin, vfs=self.disk.name)
            self._stores.append(unseen)
            return unseen  # type: ignore[no-any-return]
        opened = self.parts.store(path, origin=origin, vfs=self.disk.name, place=(self.name, origin), book=self.book)
        self._stores.append(opened)
        if self.on_opened is not None:
            self.on_opened((self.name, origin), opened)
        return opened

    @staticmethod
    def path(name: str) -> Path:
        """Where the file of a ledger is."""
        return Path(f"{LEDGERS}{name}.sqlite")

    def held(self) -> Mapping[str, Ledger | Copy]:
        """Every ledger and copy here, by origin, while the process lives."""
        raise NotImplementedError

    @property
    def waits(self) -> Collection[str]:
        """The ledgers that are not written on before their witness was heard."""
        raise NotImplementedError

    def back_up(self) -> None:
        """Copy the whole folder away, while the process works on it."""
        if self.backup is None:
            self.backup = SimDisk(f"{self.disk.name} backup")
        self.backup.become(self.disk)
        self.backup.settle_all()

    def put_back(self) -> None:
        """Copy the backup over the folder. What lies on other disks stays: the beacon, and the second copy of the control site's house."""
        assert self.backup is not None
        self.disk.become_but(self.backup, str(BEACON), *(f"/mirror/HOUSE.sqlite{ending}" for ending in ("", "-wal", "-journal", ".wound")))

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
            self.clock.boots += 1
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
        if self.backup is not None:
            self.backup.close()


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
        self.keyring = RehearsedKeys(signers(self.seed, NETWORK, self.name)[0], self.disk)
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
        _, witness = signers(self.seed, NETWORK, self.name)
        control_signer, control_witness = signers(self.seed, NETWORK, CONTROL)
        assert self.line is not None
        control = self.files.copy(self.path("CONTROL"), origin=self.directed, writer=control_signer.verifying_key, witness=witness)
        history = KeyHistory()
        with contextlib.suppress(NotTrusted, NotReachable, NotValid):  # damaged: it is healed from its writer, and says it again then
            history = history_in(control)
        ledgers: dict[str, Ledger] = {}
        for audience, origin in self.origins.items():
            path, keys = self.path(audience), history.of(origin, self.site, first=str(self.keyring.first))
            ledgers[audience] = self.files.ledger(path, origin=origin, signer=self.keyring.signer_for(audience, path, keys), keys=keys)
        node = self.parts.site_node(
            SiteState(self.plant),
            ledgers=ledgers,
            control=control,
            witness=control_witness.verifying_key,
            blobs=BlobStore("/blobs", files=self.disk),
            hot=self.opened(HotBuffer("/hot.sqlite", vfs=self.disk.name)),
            clock=self.clock,
            mint=SeededMint(f"{self.seed} {self.name} {self.lives}"),
            equipment=Terminal(self.machinery, dice=self._dice, alive=lambda: self.powered, perils=self._perils),
            link=self.line,
            software=SOFTWARE,
            files=self.files,
            beacon=self.beacon,
            room=Room(Ballast(self.disk), size=BALLAST_BYTES),
            keyring=self.keyring,
            key_rotate_facts=KEY_ROTATE_FACTS,
        )
        node.start()
        if not node.returning.waits:
            node.seal_left_over()
        self.node = node

    def _forget(self) -> None:
        self.node = None

    def held(self) -> Mapping[str, Ledger | Copy]:
        held: list[Ledger | Copy] = [*self.node.ledgers.values(), self.node.control] if self.node else []
        return {each.origin: each for each in held}

    @property
    def waits(self) -> Collection[str]:
        return self.node.returning.waits if self.node else ()


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
        house = self._ledger(HOUSE, signer)
        history = history_in(house)
        copies: dict[str, tuple[SiteId, Copy]] = {}
        for site, plant in self.plants.items():
            for audience in (HOUSE, str(plant.sponsor)):
                origin = f"{NETWORK}/{site}/{audience}"
                writer = history.of(origin, site, first=self.directory.sites[site].keys.ledger)
                copies[origin] = (site, self.files.copy(self.path(f"{site}.{audience}"), origin=origin, writer=writer, witness=witness))
        node = ControlNode(
            ledgers={audience: self._ledger(audience, signer) if audience != HOUSE else house for audience in self.own},
            copies=copies,
            witnesses={site: VerifyingKey.parse(self.directory.sites[site].keys.witness) for site in self.plants},
            blobs=BlobStore("/blobs", files=self.disk),
            derived=self.opened(Derived("/derived.sqlite", vfs=self.disk.name)),
            clock=self.clock,
            mint=SeededMint(f"{self.seed} {self.name} {self.lives}"),
            software=SOFTWARE,
            site_documents=self.documents,
            files=self.files,
            beacon=self.beacon,
            mirror=self.files.copy(Path("/mirror/HOUSE.sqlite"), origin=self.own[HOUSE], writer=signer.verifying_key, witness=witness),
        )
        node.start()
        home = ControlHome(_documents(), ControlSettings(network=NETWORK, audiences={}), self.directory, signer, witness, self.documents)
        publish_documents(node, home)
        self.node = node
        self.publish()

    def _ledger(self, audience: str, signer: Signer) -> Ledger:
        return self.files.ledger(self.path(audience), origin=self.own[audience], signer=signer)

    def publish(self) -> None:
        """What the folder holds and no ledger says yet."""
        assert self.node is not None
        if self.with_model and PRODUCT not in self.node.state.models and not self.node.returning.waits:
            decisions.publish_model(self.node, model_bytes(), product=PRODUCT)

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

    def held(self) -> Mapping[str, Ledger | Copy]:
        held: list[Ledger | Copy] = [*self.node.ledgers.values(), *(copy for _, copy in self.node.copies.values())] if self.node else []
        return {each.origin: each for each in held}

    @property
    def waits(self) -> Collection[str]:
        return self.node.returning.waits if self.node else ()


def _documents() -> Path:
    """The folder whose `documents` hold the specification."""
    import isogenic.sim

    return Path(isogenic.sim.__path__[0])
