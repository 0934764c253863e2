"""A recipe's phase runs a service of a module: from the written recipe over a real socket to the closed batch, and through trouble on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.mtp_floor import AT, DEFINITION, DOCUMENT, FILLER, Stands, manifest
from isogenic.batches import engine
from isogenic.batches.engine import BatchState
from isogenic.batches.facts import AlarmRaised, BatchClosed, ServiceCommanded, ServiceRefused, ServiceStateSeen
from isogenic.batches.states import Command as BatchCommand
from isogenic.clock import ManualClock
from isogenic.errors import NotAllowed, NotReachable, NotValid
from isogenic.ids import BatchId, LotId, SeededMint, SponsorId, UnitId
from isogenic.materials.lots import LotCreated
from isogenic.plant.documents import load_plant, with_endpoints
from isogenic.plant.mtp.states import Command, ServiceState
from isogenic.plant.services import ServiceOrder, Unheard
from isogenic.recipes.derive import derive_control, derive_master
from isogenic.recipes.general import load_general
from isogenic.recipes.site import derive_site, load_site
from isogenic.records.blobs import BlobStore
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.link import Answer
from isogenic.records.notes import COSIGNER, Signer
from isogenic.records.sqlite import SqliteStore
from isogenic.sim.pea import Behaviour, Pea
from isogenic.sim.pea_server import PeaServer
from isogenic.sites.drivers.mtp import MtpDriver
from isogenic.sites.facts import ModuleLost, ModuleRestored
from isogenic.sites.hot import HotBuffer
from isogenic.sites.node import SiteNode
from isogenic.sites.ordering import Ordering
from isogenic.sites.state import SiteState

S = ServiceState
UNIT, SPONSOR = UnitId("FILL-1"), SponsorId("ACME")
GENERAL = """\
isogenic: general-recipe/1
recipe: FILL
version: 1
product: MAB-A
title: Fill
description: Fills containers.
equipment_class: filler
formula:
  containers: {title: Containers, value: 40 1, low: 10 1, high: 100 1}
  weight: {title: Fill weight, value: 0.0013 kg, low: 0.001 kg, high: 0.002 kg, critical: true}
needs: {}
lost: {after: 20 s, then: hold}
procedure:
  - unit_procedure: filling
    operations:
      - operation: fill
        phases:
          - phase: fill_containers
            title: Fill the containers
            service: {name: fill, procedure: gravimetric, parameters: {containers: "@containers", fill_weight: "@weight", tolerance: 2.5 %}}
          - phase: rest
            title: Rest
            until: elapsed >= 1 min
"""
SITE = """\
isogenic: site-recipe/1
site: LEEDS
recipe: FILL
version: 1
language: en
"""


class NoLink:
    async def call(self, method: str, path: str, body: bytes = b"") -> Answer:
        raise NotReachable("no link", why="none is needed")


class Bench:
    """A node, its module and the batch; the clock moves with each scan."""

    def __init__(self, node: SiteNode, server: PeaServer, clock: ManualClock) -> None:
        self.node, self.server, self.clock = node, server, clock

    @property
    def pea(self) -> Pea:
        return self.server.pea

    @property
    def batch(self) -> BatchState:
        return self.node.state.batches[BatchId("BAT-1")]

    async def scan(self, times: int = 1) -> None:
        for _ in range(times):
            self.clock.advance(2.0)
            await self.server.follow()
            await self.node.cycle()

    async def until(self, reached: Callable[[], bool], *, scans: int = 400) -> None:
        for _ in range(scans):
            if reached():
                return
            await self.scan()
            await asyncio.sleep(0.01)  # a connection is made in wall time
        raise AssertionError(f"never reached: {self.batch.state}, {self.batch.services}")

    def of(self, *kinds: type) -> list[Any]:
        return [fact.payload for fact in self.node.ledgers[str(SPONSOR)].facts() if isinstance(fact.payload, kinds)]

    def house(self, *kinds: type) -> list[Any]:
        return [fact.payload for fact in self.node.ledgers["HOUSE"].facts() if isinstance(fact.payload, kinds)]

    @property
    def told(self) -> list[str]:
        return [each.command for each in self.of(ServiceCommanded)]

    @property
    def states(self) -> list[str]:
        return [each.state for each in self.of(ServiceStateSeen)]


@asynccontextmanager
async def bench(folder: Path, behaviour: Behaviour | None = None) -> AsyncIterator[Bench]:
    clock = ManualClock(AT)
    server = PeaServer(Pea(DEFINITION, {"Cell_Fill": behaviour} if behaviour else {}), clock)
    await server.start()
    plant = with_endpoints(load_plant(DOCUMENT, name="leeds"), {FILLER: server.endpoint})
    key, witness = Signer.generate("here/LEEDS"), Signer.generate("here/LEEDS/witness", algorithm=COSIGNER)
    async with MtpDriver(plant, {FILLER: manifest()}, clock=clock, answer_limit_s=5.0) as driver:
        node = SiteNode(
            SiteState(plant),
            ledgers={
                name: Ledger(SqliteStore(folder / f"{name}.sqlite", origin=f"here/LEEDS/{name}"), signer=key) for name in ("HOUSE", str(SPONSOR))
            },
            control=Copy(SqliteStore(folder / "CONTROL.sqlite", origin="here/CONTROL/LEEDS"), writer=key.verifying_key, witness=witness),
            witness=witness.verifying_key,
            blobs=BlobStore(folder / "blobs"),
            hot=HotBuffer(folder / "hot.sqlite"),
            clock=clock,
            mint=SeededMint("here"),
            equipment=driver,
            link=NoLink(),
            software="test",
        )
        node.start()
        control = derive_control(
            derive_master(derive_site(load_general(GENERAL), load_site(SITE)), plant), plant.unit(UNIT), batch=BatchId("BAT-1"), lot=LotId("LOT-1")
        )
        assert control.phases[0].service.parameters == {"containers": 40.0, "fill_weight": 1.3, "tolerance": 2.5}  # in the units of the class
        node.note(
            [LotCreated(lot=control.lot, product=control.product, batch=control.batch, site=plant.site), *engine.begin(control, sponsor=SPONSOR)]
        )
        try:
            yield Bench(node, server, clock)
        finally:
            await node.ordering.close()
            await server.stop()


def test_a_phase_starts_a_service_and_ends_when_it_is_completed(tmp_path):
    async def test():
        async with bench(tmp_path, Stands(S.EXECUTE)) as site:
            await site.until(lambda: "execute" in site.states)
            assert site.pea.values["Cell_Fill.Number.VOut"] == 40
            assert abs(site.pea.values["Cell_Fill.Weight.VOut"] - 1.3) < 1e-6
            assert site.batch.current.name == "fill_containers"
            site.pea._services["Cell_Fill"]._behaviour.lasting.clear()  # the work is done
            await site.until(lambda: bool(site.of(BatchClosed)))
            assert (site.told, site.states) == (["start"], ["idle", "execute", "completed"])
            assert site.of(ServiceRefused, AlarmRaised) == []

    asyncio.run(test())


def test_a_service_that_was_left_completed_is_reset_before_it_is_started(tmp_path):
    async def test():
        async with bench(tmp_path) as site:
            site.pea.write("Cell_Fill.StateAutOp", True)
            site.pea.write("Cell_Fill.SrcExtOp", True)
            site.pea.write("Cell_Fill.ProcedureExt", 1)
            site.pea.write("Cell_Fill.CommandExt", int(Command.START))
            await site.until(lambda: bool(site.of(BatchClosed)))
            assert (site.told, site.states) == (["reset", "start"], ["completed", "idle", "completed"])

    asyncio.run(test())


def test_a_link_that_is_cut_mid_phase_ends_nothing_and_nothing_is_told_twice(tmp_path):
    async def test():
        async with bench(tmp_path, Stands(S.EXECUTE)) as site:
            await site.until(lambda: "execute" in site.states)
            port = int(site.server.endpoint.rsplit(":", 1)[1])
            await site.server.stop()
            await site.until(lambda: bool(site.house(ModuleLost)))
            await site.scan(3)
            assert (site.batch.current.name, site.states[-1], site.told) == ("fill_containers", "execute", ["start"])  # unknown, never stopped
            site.pea._services["Cell_Fill"]._behaviour.lasting.clear()  # it works on behind the cut
            await site.server.start(port)
            await site.until(lambda: bool(site.of(BatchClosed)))
            assert len(site.house(ModuleRestored)) == 1
            assert (site.told, site.states) == (["start"], ["idle", "execute", "completed"])
            assert site.of(AlarmRaised) == []

    asyncio.run(test())


def test_a_controller_that_restarts_mid_phase_holds_the_batch_and_nothing_starts_again_by_itself(tmp_path):
    async def test():
        async with bench(tmp_path, Stands(S.EXECUTE)) as site:
            await site.until(lambda: "execute" in site.states)
            port = int(site.server.endpoint.rsplit(":", 1)[1])
            await site.server.stop()
            site.server.pea = Pea(DEFINITION, {"Cell_Fill": Stands(S.EXECUTE)})  # cold: it knows of nothing
            await site.server.start(port)
            await site.until(lambda: site.batch.state == "held")
            assert (site.told, site.states) == (["start"], ["idle", "execute", "idle"])
            assert [each.what for each in site.of(AlarmRaised)] == ["fill went from execute to idle, and nobody here told it"]
            await site.scan(3)
            assert site.pea.run("Cell_Fill").state is S.IDLE

    asyncio.run(test())


def test_a_hold_of_the_batch_holds_its_service_and_a_restart_goes_on(tmp_path):
    async def test():
        async with bench(tmp_path, Stands(S.EXECUTE)) as site:
            await site.until(lambda: "execute" in site.states)
            site.node.note(engine.command(site.batch, BatchCommand.HOLD, why="a look"))
            await site.until(lambda: site.batch.state == "held")
            assert site.pea.run("Cell_Fill").state is S.HELD
            site.node.note(engine.command(site.batch, BatchCommand.RESTART, why="all well"))
            await site.until(lambda: site.batch.state == "running")
            assert site.pea.run("Cell_Fill").state is S.EXECUTE
            assert site.told == ["start", "hold", "unhold"]

    asyncio.run(test())


def test_a_refused_start_holds_the_batch_with_the_modules_own_reason(tmp_path):
    async def test():
        async with bench(tmp_path) as site:
            site.pea.level("Cell_Fill", 0)  # a person operates it
            await site.until(lambda: site.batch.state == "held")
            [refused] = site.of(ServiceRefused)
            assert (refused.unit, refused.service, refused.why) == (UNIT, "fill", "a person operates it at the module (OSLevel 0); it is idle")
            assert site.pea.run("Cell_Fill").state is S.IDLE

    asyncio.run(test())


def test_a_state_that_there_is_not_is_no_state_and_holds_the_batch(tmp_path):
    async def test():
        async with bench(tmp_path, Stands(S.EXECUTE)) as site:
            await site.until(lambda: "execute" in site.states)
            site.pea.put("Cell_Fill.StateCur", 3)
            await site.until(lambda: site.batch.state in ("holding", "held"))
            assert (site.states, site.told[:1]) == (["idle", "execute"], ["start"])
            assert "fill_state" in site.of(AlarmRaised)[0].what

    asyncio.run(test())


# ---- orders on their way ----


class Answering:
    """Equipment whose answers a test gives; each order is kept."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.heard = list(answers), list[ServiceOrder]()

    async def order(self, orders: dict[str, ServiceOrder]) -> dict[str, str]:
        [(tag, order)] = orders.items()
        self.heard.append(order)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            return {}
        return {tag: answer} if answer else {}


START = ServiceOrder("fill", "start", number=1)


def test_an_order_is_told_once_and_told_again_only_while_it_was_not_heard():
    async def test():
        equipment = Answering(Unheard("the link is down"), ValueError("a defect"), "")
        ordering = Ordering(equipment)
        for _ in range(5):
            assert await ordering.give({"F.fill": START}) == {}
        assert equipment.heard == [START] * 3
        assert await ordering.give({}) == {}  # it was seen to happen
        equipment.answers = ["no"]
        assert await ordering.give({"F.fill": START}) == {"F.fill": (START, "no")}  # another batch's first order
        assert await ordering.give({"F.fill": START}) == {}

    asyncio.run(test())


def test_a_slow_module_delays_no_scan_and_is_told_one_thing_at_a_time(monkeypatch):
    monkeypatch.setattr("isogenic.sites.ordering.WAIT_S", 0.0)

    async def test():
        equipment = Answering(30.0, "no")
        ordering = Ordering(equipment)
        assert await ordering.give({"F.fill": START}) == {}
        assert await ordering.give({"F.fill": ServiceOrder("fill", "hold", number=2)}) == {}
        assert equipment.heard == [START]
        await ordering.close()

    asyncio.run(test())


def test_equipment_without_services_refuses_them():
    assert asyncio.run(Ordering(object()).give({"F.fill": START})) == {"F.fill": (START, "the equipment has no services")}


# ---- what a recipe may ask of a service ----


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("name: fill,", "name: pour,", "filler has no service pour; known are fill, stopper, inspect, label"),
        ("procedure: gravimetric", "procedure: by_eye", "service fill has no procedure by_eye; known are peristaltic, gravimetric"),
        ("tolerance: 2.5 %", "speed: 2.5 %", "service fill has no such parameter; known are containers, fill_weight, tolerance"),
        ("tolerance: 2.5 %", "tolerance: 50 %", "50 % is not within 0 to 20 %"),
        ("tolerance: 2.5 %", "tolerance: 5 kg", "tolerance"),
        ('fill_weight: "@weight"', 'fill_weight: "@containers"', "@containers is in 1, not in g"),
    ],
)
def test_a_recipe_may_ask_only_what_services_of_the_class_do(old, new, why):
    assert old in GENERAL
    with pytest.raises(NotValid) as refusal:
        load_general(GENERAL.replace(old, new))
    assert why in str(refusal.value)


def test_a_unit_without_the_service_is_refused_before_anything_runs():
    plant = load_plant(
        DOCUMENT.replace("          fill:\n", "          stopper:\n")
        .replace("            theirs: Cell_Fill\n", "")
        .replace("            procedures: {peristaltic: Peristaltic, gravimetric: Gravimetric}\n", "")
        .replace("            parameters: {containers: Number, fill_weight: Weight, tolerance: Band}\n", "            theirs: Cell_Stopper\n"),
        name="leeds",
    )
    with pytest.raises(NotAllowed) as refusal:
        derive_control(
            derive_master(derive_site(load_general(GENERAL), load_site(SITE)), plant), plant.unit(UNIT), batch=BatchId("BAT-1"), lot=LotId("LOT-1")
        )
    assert "fill_state" in str(refusal.value)
