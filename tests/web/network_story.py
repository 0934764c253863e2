"""A network with something to look at, made of real ledgers, copies and signatures, without running one.

LEEDS   a lot that waits for release on a good record; a batch in mid culture with an open question
GHENT   a lot with two open deviations; a batch whose feed pump fouls
PORTO   silent since yesterday, with facts still on their way; one lot
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from isogenic.authority.rules import Act
from isogenic.batches.facts import (
    AlarmRaised,
    BatchClosed,
    BatchStarted,
    DoseCommanded,
    PhaseCompleted,
    PhaseStarted,
    PromptAnswered,
    PromptAsked,
    SetpointsCommanded,
    StateChanged,
)
from isogenic.batches.states import Command, State
from isogenic.clock import ClockQuality, ManualClock, Moment
from isogenic.ids import BatchId, DeviationId, LotId, NodeId, PersonId, PromptId, SampleId, SeededMint, SiteId
from isogenic.laboratory.results import ResultReported, draw
from isogenic.materials.lots import LotCreated
from isogenic.monitoring.facts import MonitoringEnded, MonitoringStarted
from isogenic.monitoring.model import Model
from isogenic.network import decisions
from isogenic.network.control import ControlNode
from isogenic.network.home import ControlHome, publish_documents
from isogenic.plant.model import SitePlant
from isogenic.quality.deviations import DeviationOpened, Origin, Severity, open_from_finding
from isogenic.recipes.general import load_general
from isogenic.recipes.model import Answer, ControlRecipe
from isogenic.recipes.publishing import control_recipe
from isogenic.records import codec
from isogenic.records.blocks import seal
from isogenic.records.facts import Actor, Payload
from isogenic.records.heartbeats import Heartbeat, sign_heartbeat
from isogenic.records.ledger import Ledger
from isogenic.records.sync import next_page
from isogenic.sim.history import good_batches
from isogenic.sim.world import World, build_world, document, password_of, person_signer
from isogenic.sites.acceptance import answer_publication
from isogenic.sites.facts import LinkLost, LinkRestored, NodeStarted
from isogenic.sites.home import SiteHome

SEED = 7
NOW = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
LEEDS, GHENT, PORTO = SiteId("LEEDS"), SiteId("GHENT"), SiteId("PORTO")
OPERATORS = {LEEDS: PersonId("LEA"), GHENT: PersonId("GUS"), PORTO: PersonId("PIA")}
DAY = timedelta(days=1)
GOOD_RESULTS = {"titre": 5.61, "harvest_viability": 88.2, "galactosylation": 24.6, "hmw": 2.1, "acidic": 21.4, "hcp": 182000.0}


def password(person: str) -> str:
    return password_of(PersonId(person), SEED)


@dataclass
class SiteBook:
    """One site's ledgers, and the plant they are about."""

    site: SiteId
    plant: SitePlant
    ledgers: dict[str, Ledger]

    @property
    def sponsor(self) -> Ledger:
        return self.ledgers[str(self.plant.sponsor)]

    def note(self, at: datetime, *payloads: Payload, by: str = "", role: str = "operator", house: bool = False) -> None:
        ledger = self.ledgers["HOUSE"] if house else self.sponsor
        actor = Actor(by, role, "password") if by else Actor.node(self.site)
        ledger.append(list(payloads), actor=actor, moment=Moment(at, "ntp", ClockQuality.GOOD, 1.2))


@dataclass
class Network:
    """The control node, its clock, and the sites' own books."""

    world: World
    node: ControlNode
    clock: ManualClock
    books: dict[SiteId, SiteBook]
    beats: int = 0
    streams: Any = None  # the live streams of the application that serves it
    loop: asyncio.AbstractEventLoop | None = None  # where the node is served, if it is

    def run(self, walk: Coroutine[Any, Any, Any]) -> Any:
        """On the node's own loop where it is being served, so that nothing is touched from two threads."""
        if self.loop is not None:
            return asyncio.run_coroutine_threadsafe(walk, self.loop).result(timeout=20)
        return apart(walk)

    def people(self) -> Path:
        return self.world.control / "accounts"

    def carry(self, *, leave_behind: SiteId | None = None) -> None:
        """Bring every page to the control site; one site's last page may stay behind."""
        self.run(self._carry(leave_behind))

    async def _carry(self, leave_behind: SiteId | None) -> None:
        for site, book in self.books.items():
            for ledger in book.ledgers.values():
                held = self.node.copies[ledger.origin][1]
                while (page := next_page(ledger.store, start=held.size)) is not None:
                    if site == leave_behind and held.size > 0:
                        break
                    answer = await self.node.desk.handle(NodeId(site), "POST", "/v1/pages", page.to_bytes())
                    assert answer.status == 200, answer
                    said = codec.loads(answer.body)
                    ledger.take_receipt(said["line"].encode(), size=said["size"], witness=self.node_witness)

    @property
    def node_witness(self):
        from isogenic.records.notes import VerifyingKey

        return VerifyingKey.parse(self.world.directory.control.witness)

    def heartbeat(self, site: SiteId, at: datetime, values: Mapping[str, Mapping[str, float]]) -> None:
        book = self.books[site]
        noted = {ledger.origin: ledger.size for ledger in book.ledgers.values()}
        house, self.beats = book.ledgers["HOUSE"], self.beats + 1
        heads = {ledger.origin: (ledger.size, ledger.root) for ledger in book.ledgers.values() if ledger.size}
        note = sign_heartbeat(Heartbeat(str(site), house.size, self.beats, at, heads), house.signer).decode() if house.size else ""
        body = codec.dumps({"at": codec.plain(at), "noted": noted, "values": codec.plain(values), "note": note})
        answer = self.run(self.node.desk.handle(NodeId(site), "POST", "/v1/heartbeat", body))
        assert answer.status == 200, answer


def apart(walk: Coroutine[Any, Any, Any]) -> Any:
    """Run to its end in a thread of its own: a browser's driver keeps a loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, walk).result()


def build(folder: Path) -> Network:
    clock = ManualClock(NOW - 40 * DAY)
    world = build_world(folder, seed=SEED, now=clock.now())
    home = ControlHome.open(world.control)
    node = home.node(clock=clock, mint=SeededMint(SEED), software="isogenic test")
    node.start()
    publish_documents(node, home)
    books = {site: SiteBook(site, plant, SiteHome.open(world.home(site)).ledgers()) for site, plant in world.plants.items()}
    network = Network(world, node, clock, books)
    _publish_recipe(network)
    _tell(network)
    return network


def _person(network: Network, name: str):
    person = network.world.directory.people[PersonId(name)]
    return person, person_signer(SEED, network.world.network, person.id)


def _publish_recipe(network: Network) -> None:
    node, clock = network.node, network.clock
    text = document("mab-fb.general.yaml")
    recipe = load_general(text)
    author, author_key = _person(network, "ADA")
    approver, approver_key = _person(network, "BEN")
    decisions.submit_recipe(node, author, text)
    clock.advance(3600)
    decisions.approve_recipe(node, author, author_key, recipe=recipe.recipe, version=recipe.version, act=Act.SIGN_RECIPE_AS_AUTHOR)
    clock.advance(7200)
    decisions.approve_recipe(node, approver, approver_key, recipe=recipe.recipe, version=recipe.version, act=Act.APPROVE_RECIPE)
    clock.advance(600)
    decisions.publish_recipe(node, approver, recipe=recipe.recipe, version=recipe.version)
    for site, book in network.books.items():
        for publication in node.state.site(site).published.values():
            book.note(clock.at + timedelta(hours=1), NodeStarted(site, "isogenic test", 0), house=True)
            signed = tuple(each.signature for each in node.state.site_approvals.get(publication.site_digest, ()))
            answer = answer_publication(publication, plant=book.plant, directory=network.world.directory, site_approvals=signed)
            book.note(clock.at + timedelta(hours=1), answer)


def _tell(network: Network) -> None:
    leeds, ghent, porto = (network.books[site] for site in (LEEDS, GHENT, PORTO))
    whole_batch(network, leeds, "A1", NOW - 17 * DAY, GOOD_RESULTS)
    running_batch(network, leeds, "A2", NOW - 6 * DAY, ask=True)
    whole_batch(network, ghent, "B1", NOW - 19 * DAY, GOOD_RESULTS, deviations=((Severity.MAJOR, 9), (Severity.MINOR, 11)))
    running_batch(network, ghent, "B2", NOW - 8 * DAY, pressure_from_h=150.0)
    whole_batch(network, porto, "C1", NOW - 18 * DAY, GOOD_RESULTS | {"titre": 3.1})
    network.books[GHENT].note(NOW - 3 * DAY, LinkLost(GHENT, "connection reset"), house=True)
    network.books[GHENT].note(NOW - 3 * DAY + timedelta(hours=9), LinkRestored(GHENT), house=True)
    network.clock.at = NOW - DAY
    network.carry()
    running_batch(network, porto, "C2", NOW - 3 * DAY)
    network.heartbeat(PORTO, NOW - DAY, {})
    network.clock.at = NOW
    network.carry(leave_behind=PORTO)
    _live(network, leeds, "A2", NOW - 6 * DAY)
    _live(network, ghent, "B2", NOW - 8 * DAY, pressure_from_h=150.0)


def control_of(network: Network, book: SiteBook, tag: str) -> ControlRecipe:
    publication = next(iter(network.node.state.site(book.site).published.values()))
    unit = next(iter(book.plant.units))
    control, notes = control_recipe(publication, plant=book.plant, unit=unit, batch=BatchId(f"BAT-{tag}"), lot=LotId(f"LOT-{tag}"))
    assert control is not None, notes
    return control


def _begin(network: Network, book: SiteBook, control: ControlRecipe, at: datetime) -> None:
    person = OPERATORS[book.site]
    started = BatchStarted(
        control.batch,
        control.lot,
        control.product,
        book.plant.sponsor,
        control.recipe,
        control.version,
        control.general_digest,
        control.unit,
        control,
    )
    created = LotCreated(lot=control.lot, product=control.product, batch=control.batch, site=book.site)
    book.note(at, created, started, StateChanged(control.batch, State.RUNNING, Command.START, "all checks passed"), by=person)


def _phases(book: SiteBook, control: ControlRecipe, start: datetime, *, until: datetime, ask: bool = False) -> None:
    """Every phase until a time: the first takes two hours each, culture the rest of fourteen days."""
    at, person = start + timedelta(minutes=30), OPERATORS[book.site]
    for index, phase in enumerate(control.phases):
        hours = {"growth": 72.0, "production": 264.0}.get(phase.name, 2.0)
        if at > until:
            return
        book.note(at, PhaseStarted(control.batch, phase.name, 1))
        if phase.setpoints:
            book.note(at, SetpointsCommanded(control.batch, phase.name, dict(phase.setpoints)))
        for prompt in phase.prompts:
            name = PromptId(f"{prompt.name.upper().replace('_', '-')}-1")
            book.note(at, PromptAsked(control.batch, name, phase.name, prompt.text, prompt.answer, prompt.unit, prompt.low, prompt.high))
            low = prompt.low if prompt.low is not None else 90.0
            said = {"confirm": "confirmed", "number": f"{(low + (prompt.high or 100.0)) / 2:g}", "text": f"MED-{index}042"}[str(prompt.answer)]
            book.note(at + timedelta(minutes=12), PromptAnswered(control.batch, name, said, person), by=person)
        if phase.dose is not None:
            book.note(at, DoseCommanded(control.batch, phase.name, phase.dose.into, 12.5, phase.dose.unit, index + 1, "by the recipe"))
        ends = at + timedelta(hours=hours)
        if ends > until:
            if ask:
                text = "Take a sample and report the viability by Trypan blue"
                book.note(
                    until - timedelta(hours=1),
                    PromptAsked(control.batch, PromptId("DAILY-SAMPLE-1"), phase.name, text, Answer.NUMBER, "%", 50.0, 100.0),
                )
            return
        book.note(ends, PhaseCompleted(control.batch, phase.name, 1, phase.until))
        at = ends + timedelta(minutes=5)


def _readings(book: SiteBook, seed: int, *, every_h: float = 1.0, pressure_from_h: float | None = None):
    unit = next(iter(book.plant.units.values()))
    hours, columns = good_batches(1, seed=seed, unit=unit, every_h=every_h)[0]
    columns = {name: np.array(values) for name, values in columns.items()}
    if pressure_from_h is not None:
        late = np.clip(hours - pressure_from_h, 0, None)
        columns["feed_pressure"] = columns["feed_pressure"] * (1 + late / 60)
        columns["feed_flow"] = columns["feed_flow"] * (1 - np.clip(late / 250, 0, 0.5))
    return hours, columns


def whole_batch(network: Network, book: SiteBook, tag: str, start: datetime, results: Mapping[str, float], *, deviations=()) -> None:
    control = control_of(network, book, tag)
    _begin(network, book, control, start)
    model = Model.from_bytes(network.node.blobs.get(next(iter(network.node.state.models.values())).digest))
    book.note(start + timedelta(hours=6), MonitoringStarted(control.batch, model.name, model.digest))
    _phases(book, control, start, until=start + 30 * DAY)
    for number, (severity, day) in enumerate(deviations, 1):
        book.note(start + day * DAY, deviation(f"{tag}-{number}", control, book.site, severity, start + day * DAY))
    if deviations:
        book.note(start + 9 * DAY, AlarmRaised(control.batch, control.phases[-2].name, "feed_flow has not been good for 0.5 h", signal="feed_flow"))
    end = start + timedelta(days=15, hours=4)
    book.note(end, StateChanged(control.batch, State.COMPLETE, None, "the last phase is completed"))
    hours, columns = _readings(book, 1000 + len(tag) + ord(tag[0]))
    names = list(columns)
    units = next(iter(book.plant.units.values())).signals
    data, sealed = seal(
        batch=control.batch,
        tags=[f"{control.unit}.{name}" for name in names],
        units=[units[name].cls.unit for name in names],
        times=[start + timedelta(hours=6 + float(each)) for each in hours],
        values=np.column_stack([columns[name] for name in names]),
        quality=np.zeros((len(hours), len(names)), dtype=np.uint8),
    )
    network.node.blobs.put(data)
    count = sum(fact.subject == control.batch for fact in book.sponsor.facts())
    book.note(
        end,
        MonitoringEnded(control.batch, judged=len(hours), not_judged=0, alarms=len(deviations)),
        BatchClosed(control.batch, control.lot, State.COMPLETE, count + 2),
        sealed,
    )
    sample = draw(SampleId(f"SMP-{tag}"), batch=control.batch, lot=control.lot, what="harvest")
    spec = network.node.state.specifications[control.product]
    reported = [
        ResultReported(sample.sample, control.batch, control.lot, name, value, spec.attribute(name).unit, spec.attribute(name).method)
        for name, value in results.items()
    ]
    book.note(end + timedelta(hours=8), sample, *reported, by="ANA", role="analyst")


def running_batch(network: Network, book: SiteBook, tag: str, start: datetime, *, ask: bool = False, pressure_from_h: float | None = None) -> None:
    control = control_of(network, book, tag)
    _begin(network, book, control, start)
    model = Model.from_bytes(network.node.blobs.get(next(iter(network.node.state.models.values())).digest))
    book.note(start + timedelta(hours=6), MonitoringStarted(control.batch, model.name, model.digest))
    _phases(book, control, start, until=NOW, ask=ask)
    if pressure_from_h is not None:
        at = start + timedelta(hours=pressure_from_h + 12)
        book.note(at, deviation(f"{tag}-1", control, book.site, Severity.MAJOR, at))


def deviation(tag: str, control: ControlRecipe, site: SiteId, severity: Severity, at: datetime) -> DeviationOpened:
    said = {
        Severity.MAJOR: "feed_pressure 42 % over its trajectory since 152.0 h (2.14 against 1.51 bar), then feed_flow",
        Severity.MINOR: "dissolved_oxygen out of step with the other variables since 244.5 h (38.1 against 40.2 %)",
    }[severity]
    evidence = {
        "statistic": "SPE",
        "value": "41.2",
        "limit": "17.8",
        "maturity": "161.5 h",
        "since": "152.0 h",
        "leading": said.split()[0],
        "model": "MAB-FB reference",
    }
    return open_from_finding(
        DeviationId(f"DEV-{tag}"),
        said,
        batch=control.batch,
        lot=control.lot,
        site=site,
        origin=Origin.MONITOR,
        severity=severity,
        evidence=evidence,
        detected_at=at,
    )


def _live(network: Network, book: SiteBook, tag: str, start: datetime, *, pressure_from_h: float | None = None) -> None:
    unit = str(next(iter(book.plant.units)))
    hours, columns = _readings(book, 2000 + ord(tag[0]), every_h=0.5, pressure_from_h=pressure_from_h)
    for row, hour in enumerate(hours):
        at = start + timedelta(hours=6 + float(hour))
        if at > NOW:
            break
        values = {name: float(column[row]) for name, column in columns.items()}
        late = 0.0 if pressure_from_h is None else max(0.0, float(hour) - pressure_from_h)
        values |= {"maturity": float(hour), "t2": 0.35 + 0.1 * np.sin(hour / 7) + late / 60, "spe": 0.42 + 0.12 * np.sin(hour / 5 + 1) + late / 18}
        network.heartbeat(book.site, at, {unit: values})


def reopen(network: Network, folder: Path) -> Network:
    """The same ground state in another folder, opened as after a restart."""
    _copy_files(network.world.folder, folder)
    clock = ManualClock(NOW)
    world = World(folder, network.world.seed, network.world.network, network.world.plants, network.world.directory)
    node = ControlHome.open(world.control).node(clock=clock, mint=SeededMint(SEED + 1), software="isogenic test")
    node.start()
    books = {site: SiteBook(site, book.plant, SiteHome.open(world.home(site)).ledgers()) for site, book in network.books.items()}
    again = Network(world, node, clock, books)
    for site in (LEEDS, GHENT):
        again.heartbeat(site, NOW, {})
    again.node.desk.live[NodeId(PORTO)].heard = NOW - DAY
    return again


def _copy_files(source: Path, target: Path) -> None:
    """Every file; a database with what its log holds."""
    for path in source.rglob("*"):
        to = target / path.relative_to(source)
        if path.is_dir():
            to.mkdir(parents=True, exist_ok=True)
        elif path.suffix == ".sqlite":
            to.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(path)) as one, closing(sqlite3.connect(to)) as other:
                one.backup(other)
        elif not path.name.endswith(("-wal", "-shm")):
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, to)


def follow_live(network: Network) -> None:
    """The running batches' live values, which a restart forgets."""
    _live(network, network.books[LEEDS], "A2", NOW - 6 * DAY)
    _live(network, network.books[GHENT], "B2", NOW - 8 * DAY, pressure_from_h=150.0)
