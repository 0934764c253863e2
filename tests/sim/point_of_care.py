"""A point-of-care site in miniature: the site's own loop and driver, and its three modules as simulated PEAs behind real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files

from isogenic.authority.people import Person, Role
from isogenic.batches.engine import begin, command
from isogenic.batches.facts import Entered, UnitAllocated, UnitAsked
from isogenic.batches.prompts import open_prompts, waiting_for_witness
from isogenic.batches.state import BatchState
from isogenic.batches.states import Command, State
from isogenic.clock import ManualClock, Moment
from isogenic.ids import BatchId, DeviationId, Id, IdentityCode, LotId, ModuleId, PersonId, SeededMint, SiteId, SponsorId, UnitId
from isogenic.materials.lots import LotCreated
from isogenic.plant.documents import load_plant, with_endpoints
from isogenic.plant.mtp.reading import read_manifest
from isogenic.plant.mtp.writing import write_manifest
from isogenic.recipes.derive import derive_control, derive_master, derive_unit_procedures
from isogenic.recipes.general import load_general
from isogenic.recipes.model import Answer
from isogenic.recipes.site import derive_site, load_site
from isogenic.records.facts import Actor, Fact, FactRef, Payload, decode_fact, encode_fact
from isogenic.records.notes import Signer
from isogenic.sim.cell_processor import CellProcessor
from isogenic.sim.filler import FillingLine
from isogenic.sim.pea import Pea
from isogenic.sim.pea_manifest import manifest_of
from isogenic.sim.pea_server import PeaServer
from isogenic.sites.answering import answer_prompt, witness_answer
from isogenic.sites.drivers.mtp import MtpDriver
from isogenic.sites.loop import Site, scan
from isogenic.sites.ordering import Ordering, refusals
from isogenic.sites.state import SiteState, apply

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
BATCH, LOT, OLA, PIA = BatchId("BAT-CART-1"), LotId("LOT-0001"), PersonId("OLA"), PersonId("PIA")
WHOSE, ANOTHER = (SeededMint(each).fresh(IdentityCode) for each in ("one patient", "another"))
LEDGER = "isogenic.example/UTRECHT/ASTER-BIO"
DOCUMENTS = files("isogenic.sim") / "documents"
LONG = frozenset({"expand"})


class Names:
    """Fresh ids, one after another."""

    def __init__(self) -> None:
        self.made = 0

    def fresh(self, kind: type[Id]) -> Id:
        self.made += 1
        return kind(f"{kind.prefix}{self.made:04d}" if kind is DeviationId else f"X{self.made}")


class PointOfCare:
    """The site, its modules and its people."""

    def __init__(self, driver: MtpDriver, servers: dict[str, PeaServer], state: SiteState, clock: ManualClock) -> None:
        self.driver, self.servers, self.state, self.clock = driver, servers, state, clock
        self.ordering, self.mint = Ordering(driver), Names()
        self.bodies: list[bytes] = []
        self.told: dict[str, float] = {}
        self.cell = ""

    @property
    def batch(self) -> BatchState:
        return self.state.batches[BATCH]

    @property
    def facts(self) -> list[Fact]:
        return [decode_fact(body) for body in self.bodies]

    def note(self, payloads: list[Payload], *, by: str = "") -> None:
        actor = Actor(by, "operator", "password") if by else Actor.node("UTRECHT")
        for payload in payloads:
            self.bodies.append(encode_fact(payload, ref=FactRef(LEDGER, len(self.bodies)), actor=actor, moment=Moment(self.clock.now().at)))
            self.state = apply(self.state, decode_fact(self.bodies[-1]))

    async def scan(self, seconds: float) -> None:
        """One scan, as the node makes it; the modules follow the clock before."""
        self.clock.advance(seconds)
        for server in self.servers.values():
            await server.follow()
        await self._heard()
        now = self.clock.now()
        frame = await self.driver.read(now.at)
        self.note(scan(Site(self.state), frame, Moment(now.at), mint=self.mint).facts)
        wanted = {tag: value for tag, value in self.state.outputs().items() if self.told.get(tag) != value}
        if wanted:
            refused = await self.driver.write(wanted)
            assert refused == {}, refused
            self.told |= wanted
        self.note(refusals(self.state.running(), await self.ordering.give(self.state.orders())))

    async def _heard(self) -> None:
        """Wait until what the modules show has come over the wire."""
        for _ in range(200):
            frame = await self.driver.read(self.clock.now().at)
            if all(self._same(frame, unit, name, pea) for unit, name, pea in self._shown()):
                return
            await asyncio.sleep(0.005)
        raise AssertionError("the wire did not bring what the modules show")

    def _shown(self) -> list[tuple[str, str, Pea]]:
        units = {"CP-1-CELL": "CP-1", "FR-1-FILL": "FR-1", "FR-1-FINISH": "FR-1"}
        found = []
        for module, server in self.servers.items():
            for service in server.pea.definition.services:
                found.append((units[module], f"{service.name}_state", server.pea))
            found += [(units[module], each.name, server.pea) for each in server.pea.definition.assemblies if not each.settable]
        return found

    def _same(self, frame, unit: str, name: str, pea: Pea) -> bool:
        if f"{unit}.{name}" not in frame.index.column:
            return True
        key = f"{name.removesuffix('_state')}.StateCur" if name.endswith("_state") else f"{name}.V"
        return abs(frame.reading(f"{unit}.{name}").value - float(pea.values[key])) <= 1e-5 * max(1.0, abs(float(pea.values[key])))

    def people(self, answers: dict[str, str]) -> None:
        """Answer what is asked; a second person witnesses what wants one."""
        for asked in open_prompts(self.batch):
            if asked.prompt in waiting_for_witness(self.batch):
                now = self.clock.now().at
                self.note(witness_answer(self.state, PEOPLE[PIA], batch=BATCH, prompt=asked.prompt, now=now, pen=_signer(PIA)), by=PIA)
                continue
            entered = Entered.SCANNED if asked.kind is Answer.SCAN else Entered.TYPED
            said, now = answers[asked.prompt], self.clock.now().at
            noted = answer_prompt(self.state, PEOPLE[OLA], batch=BATCH, prompt=asked.prompt, answer=said, entered=entered, now=now, pen=_signer(OLA))
            self.note(noted, by=OLA)

    def open_scan(self) -> str | None:
        """The label that is asked for now."""
        return next((asked.prompt for asked in open_prompts(self.batch) if asked.kind is Answer.SCAN), None)

    async def run(self, answers: dict[str, str], *, scans: int = 400) -> None:
        """Until the batch is closed."""
        for _ in range(scans):
            if self.batch.closed:
                return
            if self.batch.state is State.HELD:
                self.note(command(self.batch, Command.RESTART, why="looked at, and put right by hand"), by=OLA)
            self.people(answers)
            await self.scan(14_400.0 if LONG & set(self.batch.active) else 600.0 if UnitId("CP-1") in self.batch.holds() else 20.0)
        raise AssertionError(f"the batch is still in {list(self.batch.active)}, {self.batch.state}")


def _signer(person: PersonId) -> Signer:
    return Signer.from_seed(str(person), sha256(person.encode()).digest())


PEOPLE = {
    each: Person(each, name, (Role.OPERATOR,), str(_signer(each).verifying_key), (SiteId("UTRECHT"), SiteId("BASEL")))
    for each, name in ((OLA, "Ola Berg"), (PIA, "Pia Engel"))
}


@asynccontextmanager
async def point_of_care(processor: CellProcessor | None = None, line: FillingLine | None = None) -> AsyncIterator[PointOfCare]:
    """The site with a batch that has just been started."""
    clock = ManualClock(START)
    processor, line = processor or CellProcessor(), line or FillingLine(seed=11)
    peas = {"CP-1-CELL": processor.pea, "FR-1-FILL": line.fill, "FR-1-FINISH": line.finish}
    servers = {name: PeaServer(pea, clock) for name, pea in peas.items()}
    started: list[PeaServer] = []
    try:
        for server in servers.values():
            await server.start()
            started.append(server)
        plant = load_plant((DOCUMENTS / "utrecht.plant.yaml").read_bytes(), name="utrecht")
        plant = with_endpoints(plant, {ModuleId(name): server.endpoint for name, server in servers.items()})
        manifests = {ModuleId(name): read_manifest(write_manifest(manifest_of(pea.definition)), name="pea.aml") for name, pea in peas.items()}
        general = load_general((DOCUMENTS / "cart-a.general.yaml").read_bytes())
        master = derive_master(derive_site(general, load_site((DOCUMENTS / "utrecht.site.yaml").read_bytes())), plant)
        control = derive_control(master, plant.units[UnitId("CP-1")], batch=BATCH, lot=LOT)
        async with MtpDriver(plant, manifests, clock=clock) as driver:
            site = PointOfCare(driver, servers, SiteState(plant), clock)
            filler = derive_unit_procedures(master, plant.units[UnitId("FR-1")], "filler")
            begun = begin(control, sponsor=SponsorId("ASTER-BIO"), by=OLA)
            site.note([*begun, LotCreated(LOT, control.product, BATCH, plant.site, WHOSE)], by=OLA)  # the patient is bound at the start
            site.note([UnitAsked(BATCH, "filler", "filler", 1), UnitAllocated(BATCH, "filler", UnitId("FR-1"), 1, filler)])
            try:
                yield site
            finally:
                await site.ordering.close()
    finally:
        for server in started:
            await server.stop()
