"""A network in the test's own process: real nodes on real folders, simulated vessels, one clock, lines that fail to order.

Nothing here stands in for the product: folders are those that `isogenic world` writes, nodes are
opened from them as the command line does, and vessels are the simulator's.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np

from isogenic.authority.people import Person
from isogenic.authority.rules import Act
from isogenic.batches import engine
from isogenic.clock import ManualClock
from isogenic.errors import NotReachable
from isogenic.ids import BatchId, DeviationId, LotId, NodeId, PersonId, RecipeId, SampleId, SeededMint, SiteId, UnitId
from isogenic.network import decisions
from isogenic.network.control import ControlNode
from isogenic.network.desk import Desk
from isogenic.network.home import ControlHome, publish_documents
from isogenic.plant.model import SitePlant
from isogenic.plant.readings import Frame, Quality, TagIndex
from isogenic.plant.settings import read_text
from isogenic.quality.deviations import Disposition
from isogenic.records.facts import Actor, Fact
from isogenic.records.link import Answer
from isogenic.records.notes import Signer
from isogenic.sim.authorising import authorise
from isogenic.sim.facility import Facility
from isogenic.sim.lines import DirectLine
from isogenic.sim.world import build_world, document, person_signer
from isogenic.sites import requests
from isogenic.sites.home import SiteHome
from isogenic.sites.node import SiteNode
from own_folder import own_folder

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
SEED = 7
NETWORK = "aster"
LEEDS, GHENT, PORTO = SiteId("LEEDS"), SiteId("GHENT"), SiteId("PORTO")
UNITS = {LEEDS: UnitId("BR-50"), GHENT: UnitId("BR-200"), PORTO: UnitId("SB-200")}
OPERATORS = {LEEDS: PersonId("LEA"), GHENT: PersonId("GUS"), PORTO: PersonId("PIA")}
ADA, BEN, QUI, ANA = PersonId("ADA"), PersonId("BEN"), PersonId("QUI"), PersonId("ANA")
RECIPE, LOT = RecipeId("MAB-FB"), LotId("LOT-0001")
GENERAL = document("mab-fb.general.yaml")
RESULTS = {
    "titre": (5.2, "g/L"),
    "harvest_viability": (88.0, "%"),
    "galactosylation": (22.0, "%"),
    "hmw": (2.1, "%"),
    "acidic": (17.0, "%"),
    "hcp": (1.1e5, "ng/mg"),
}


@cache
def world_folder() -> Path:
    """The folders of the demonstration network, made once and copied by every test."""
    folder = own_folder("isogenic-tests-")
    build_world(folder, seed=SEED, now=ManualClock(START).now())
    return folder


def signer_of(person: PersonId) -> Signer:
    return person_signer(SEED, NETWORK, person)


class Vessels:
    """The simulated vessels of a site, without a wire between; what is to go wrong is said by the test."""

    def __init__(self, plant: SitePlant, *, seed: int = SEED, faults: tuple[str, ...] = ()) -> None:
        self.facility = Facility(plant, seed=seed, faults=faults, step_s=900.0)
        self.index = TagIndex([signal.tag for signal in plant.signals()])
        self.written: list[dict[str, float]] = []
        self.before_write: Callable[[Mapping[str, float]], None] = lambda setpoints: None
        self.bad: set[str] = set()  # tags
        self.refuse: dict[str, str] = {}
        self.news: list[tuple[str, bool, str]] = []

    async def read(self, at: datetime) -> Frame:
        while not self.facility.advance(at):
            pass
        values = np.array([np.nan if tag in self.bad else self.facility.read(tag) for tag in self.index.tags])
        return Frame(at, self.index, values, np.where(np.isfinite(values), Quality.GOOD, Quality.BAD).astype(np.uint8))

    async def write(self, setpoints: Mapping[str, float]) -> Mapping[str, str]:
        self.before_write(setpoints)
        self.written.append(dict(setpoints))
        for tag, value in setpoints.items():
            if tag not in self.refuse:
                self.facility.write(tag, value)
        return {tag: why for tag, why in self.refuse.items() if tag in setpoints}

    async def settings(self) -> Mapping[str, str]:
        return {each.key: read_text(self.facility.setting(each.key)) for each in self.facility.plant.settings()}

    def changes(self) -> list[tuple[str, bool, str]]:
        news, self.news = self.news, []
        return news


class Line(DirectLine):
    """A line that can be cut, lose an answer, or bring another one."""

    def __init__(self, desk: Desk, peer: NodeId) -> None:
        super().__init__(desk, peer)
        self.calls: list[tuple[str, str, int]] = []  # method, path, status
        self.lose_answers = 0
        self.changed: Callable[[str, str, Answer], Answer] = lambda method, path, answer: answer

    async def call(self, method: str, path: str, body: bytes = b"") -> Answer:
        answer = await super().call(method, path, body)
        self.calls.append((method, path, answer.status))
        if self.lose_answers:
            self.lose_answers -= 1
            raise NotReachable("the control site does not answer", why="the answer was lost")
        return self.changed(method, path, answer)


class Network:
    """A control site and its sites, all in this process."""

    def __init__(self, folder: Path, *, sites: tuple[SiteId, ...] = (LEEDS,), faults: tuple[str, ...] = (), at: datetime = START) -> None:
        self.folder, self.clock = folder, ManualClock(at)
        self.faults = faults
        if not folder.exists():
            shutil.copytree(world_folder(), folder)
        self.control = self.open_control()
        self.vessels: dict[SiteId, Vessels] = {}
        self.lines: dict[SiteId, Line] = {}
        self.nodes: dict[SiteId, SiteNode] = {}
        for site in sites:
            self.open_site(site)

    # ---- opening and closing ----

    def open_control(self) -> ControlNode:
        home = ControlHome.open(self.folder / "CONTROL")
        node = home.node(clock=self.clock, mint=SeededMint("control"), software="test")
        node.start()
        publish_documents(node, home)
        return node

    def close_control(self) -> None:
        derived, journal, mirror = self.control.derived, self.control.journal, self.control.mirror
        assert journal is not None
        with suppress(NotReachable):  # closed already
            self.control.keep_beacon()
        if mirror is not None:
            mirror.store.close()
        for ledger in (journal.ledger, *self.control.ledgers.values(), *(copy for _, copy in self.control.copies.values())):
            ledger.store.close()
        if self.control.processes is not None:
            self.control.processes.close()
        if derived is not None:
            derived.close()

    def restart_control(self) -> ControlNode:
        self.close_control()
        self.control = self.open_control()
        for line in self.lines.values():
            line.desk = self.control.desk
        return self.control

    def open_site(self, site: SiteId) -> SiteNode:
        home = SiteHome.open(self.folder / site)
        self.vessels.setdefault(site, Vessels(home.plant, faults=self.faults))
        self.lines.setdefault(site, Line(self.control.desk, NodeId(site)))
        self.nodes[site] = home.node(
            clock=self.clock, mint=SeededMint(f"{site} {self.clock.at}"), equipment=self.vessels[site], link=self.lines[site], software="test"
        )
        self.nodes[site].start()
        return self.nodes[site]

    def close_site(self, site: SiteId) -> None:
        node = self.nodes.pop(site)
        assert node.journal is not None
        node.keep_beacon()
        for ledger in (*node.ledgers.values(), node.control, node.journal.ledger):
            ledger.store.close()
        node.hot.close()

    def restart_site(self, site: SiteId) -> SiteNode:
        self.close_site(site)
        return self.open_site(site)

    # ---- moving things on ----

    async def carry(self, site: SiteId = LEEDS) -> None:
        """Everything that waits, up and down; ends when nothing moves. A line that is down moves nothing."""
        courier = self.nodes[site].courier
        for step in (courier.upload_once, lambda: courier.download_once(wait=0)):
            try:
                while await step():
                    pass
            except NotReachable:
                return

    async def scan(self, site: SiteId = LEEDS, *, hours: float = 0.5) -> None:
        self.clock.advance(hours * 3600)
        await self.nodes[site].cycle()

    async def publish(self, site: SiteId = LEEDS) -> None:
        """Two people sign the recipe; it is published; the site gets and answers it."""
        if (RECIPE, 1) not in self.control.state.submitted:
            decisions.submit_recipe(self.control, self.person(ADA), GENERAL)
            decisions.approve_recipe(self.control, self.person(ADA), signer_of(ADA), recipe=RECIPE, version=1, act=Act.SIGN_RECIPE_AS_AUTHOR)
            decisions.approve_recipe(self.control, self.person(BEN), signer_of(BEN), recipe=RECIPE, version=1, act=Act.APPROVE_RECIPE)
            decisions.publish_recipe(self.control, self.person(BEN), recipe=RECIPE, version=1)
            authorise(self.control, signer_of)
        await self.carry(site)
        await self.scan(site)
        await self.carry(site)

    def start_batch(self, site: SiteId = LEEDS, *, lot: LotId = LOT) -> BatchId:
        """The operator starts a batch, and the gate allows it."""
        node = self.nodes[site]
        person = requests.person_here(node.state, OPERATORS[site])
        payloads, _ = requests.start_batch(
            node.state, person, recipe=RECIPE, version=1, unit=UNITS[site], lot=lot, mint=node.mint, now=node.clock.now()
        )
        node.note(payloads, actor=Actor(str(person.id), "operator", "password"))
        assert lot in node.state.lots, f"the gate refused it: {payloads}"
        return node.state.lots[lot].batch

    async def run_batch(self, batch: BatchId, site: SiteId = LEEDS, *, until_h: float = 1e9, every_h: float = 2.0) -> None:
        """Scan and answer what is asked, until the batch is closed or has lasted so long."""
        node, begun = self.nodes[site], self.clock.at
        while not node.state.batches[batch].closed and (self.clock.at - begun).total_seconds() < until_h * 3600:
            await self.scan(site, hours=every_h)
            self.answer_all(batch, site)
            self.clock.advance(1.0)

    def answer_all(self, batch: BatchId, site: SiteId = LEEDS) -> None:
        node = self.nodes[site]
        person = requests.person_here(node.state, OPERATORS[site])
        for asked in engine.open_prompts(node.state.batches[batch]):
            said = {"confirm": "yes", "number": "97.5", "text": "MED-0042"}[str(asked.kind)]
            node.note(
                requests.answer_prompt(node.state, person, batch=batch, prompt=asked.prompt, answer=said),
                actor=Actor(str(person.id), "operator", "password"),
            )

    def report_results(self, lot: LotId, site: SiteId = LEEDS, *, results: Mapping[str, tuple[float, str]] = RESULTS) -> None:
        node = self.nodes[site]
        analyst = requests.person_here(node.state, ANA)
        for attribute, (value, unit) in results.items():
            payloads = requests.report_result(
                node.state, analyst, sample=SampleId("SMP-1"), lot=lot, attribute=attribute, value=value, unit=unit, method="as filed"
            )
            node.note(payloads, actor=Actor("ANA", "analyst", "password"))

    def accept_deviations(self, site: SiteId = LEEDS) -> list[DeviationId]:
        found = [each.deviation for opened in self.nodes[site].state.deviations.values() for each in opened]
        for deviation in found:
            decisions.dispose_deviation(
                self.control,
                self.person(BEN),
                signer_of(BEN),
                deviation=deviation,
                disposition=Disposition.ACCEPT,
                justification="no effect on quality",
            )
        return found

    # ---- asking ----

    def person(self, person: PersonId) -> Person:
        return decisions.directory(self.control).person(person)

    def facts(self, site: SiteId = LEEDS) -> list[Fact]:
        return [fact for ledger in self.nodes[site].ledgers.values() for fact in ledger.facts()]

    def kinds(self, site: SiteId = LEEDS) -> list[str]:
        return [fact.kind for fact in self.facts(site)]

    def payloads(self, kind: type, site: SiteId = LEEDS) -> list[object]:
        return [fact.payload for fact in self.facts(site) if isinstance(fact.payload, kind)]
