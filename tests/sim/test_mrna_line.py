"""The mRNA line: three skids by themselves, and one batch by recipe, loop, driver and real sockets from DNA to particles."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import point_of_care
import pytest
from point_of_care import BATCH, LOT, OLA, START, PointOfCare

from isogenic.batches.engine import begin
from isogenic.batches.facts import UnitAllocated, UnitAsked
from isogenic.batches.states import State
from isogenic.clock import ManualClock
from isogenic.errors import NotFound, NotValid
from isogenic.ids import ModuleId, SponsorId, UnitId
from isogenic.materials.lots import LotCreated
from isogenic.plant.documents import load_plant, with_endpoints
from isogenic.plant.mtp.reading import read_manifest
from isogenic.plant.mtp.states import Command
from isogenic.plant.mtp.writing import write_manifest
from isogenic.quality.executed.fold import executed_record
from isogenic.recipes.derive import derive_control, derive_master, derive_unit_procedures
from isogenic.recipes.general import load_general
from isogenic.recipes.site import derive_site, load_site
from isogenic.sim.mrna_line import MrnaLine
from isogenic.sim.pea import Pea
from isogenic.sim.pea_manifest import manifest_of
from isogenic.sim.pea_server import PeaServer
from isogenic.sim.processes.mrna import MRNA
from isogenic.sim.service_modules import service_modules
from isogenic.sites.drivers.mtp import MtpDriver
from isogenic.sites.ordering import Ordering
from isogenic.sites.state import SiteState

DOCUMENTS = files("isogenic.sim") / "documents"
UNITS = {"TR-1-REACTOR": "TR-1", "PU-1-SKID": "PU-1", "MX-1-SKID": "MX-1"}
CHARGE = {
    "nucleotides": 10.0,
    "magnesium_acetate": 45.0,
    "template": 83.0,
    "polymerase": 240.0,
    "pyrophosphatase": 2.0,
    "cap_to_gtp": 1.0,
    "volume": 10.0,
}
MIX = {"flow": 60.0, "ratio": 3.0, "buffer_ph": 4.0, "n_to_p": 6.0, "lipid": 12.5}
BASEL = load_plant((DOCUMENTS / "basel.plant.yaml").read_bytes(), name="basel")


class Bench:
    """The line without a wire."""

    def __init__(self, **faults: float) -> None:
        self.line, self.at = MrnaLine(faults=faults), datetime(2026, 11, 23, 8, tzinfo=UTC)
        self.pool: list[float] = []
        self.wait(0.0)

    def wait(self, minutes: float) -> None:
        self.at += timedelta(minutes=minutes)
        for pea in (self.line.reactor, self.line.purification, self.line.mixing):
            pea.advance(self.at)

    def start(self, pea: Pea, service: str, **parameters: float) -> None:
        for name, value in parameters.items():
            pea.write(f"{service}.{name}.VExt", value)
        pea.write(f"{service}.ProcedureExt", 1)
        pea.write(f"{service}.CommandExt", int(Command.START))

    def do(self, pea: Pea, service: str, *, every: float = 5.0, **parameters: float) -> str:
        self.start(pea, service, **parameters)
        for _ in range(600):
            if pea.run(service).state.name in ("COMPLETED", "ABORTED"):
                return pea.run(service).state.name
            self.wait(every)
        raise AssertionError(f"{service} does not end")

    def make(self, *, every: float = 5.0) -> Bench:
        line = self.line
        self.do(line.reactor, "charge", every=every, **CHARGE)
        self.do(line.reactor, "transcribe", every=every, minutes=120.0)
        self.do(line.reactor, "digest", every=every, minutes=15.0)
        self.do(line.purification, "capture", every=every, minutes=60.0)
        self.do(line.purification, "diafilter", every=every, volumes=8.0, minutes=60.0)
        self.pool = self.shown(line.purification, "pool_integrity", "recovery", "residual_nucleotides")
        self.do(line.mixing, "mix", every=0.5, **MIX)
        self.do(line.mixing, "dilute", every=0.5, fold=4.0, minutes=2.0)
        return self

    def shown(self, pea: Pea, *names: str) -> list[float]:
        return [round(float(pea.values[f"{name}.V"]), 2) for name in names]


def test_the_line_makes_what_the_process_says_and_pays_no_heed_to_how_often_it_is_looked_at() -> None:
    bench, seldom = Bench().make(), Bench().make(every=60.0)
    line = bench.line
    nominal = MRNA.run(1)
    assert bench.shown(line.reactor, "rna", "atp", "integrity") == [4.21, 6.81, 79.97]
    assert float(line.reactor.values["rna.V"]) == pytest.approx(nominal.quality["rna_yield"][0], rel=0.01)
    assert bench.pool == [82.04, 82.25, 0.04]
    assert bench.shown(line.mixing, "particle_size", "polydispersity", "encapsulation", "rna_to_mix") == [80.0, 0.09, 94.78, 0.0]
    assert float(line.mixing.values["product_volume.V"]) == pytest.approx(34.63 / 0.1 * 4.0 / 3.0 * 4.0, rel=1e-3)
    assert float(seldom.line.reactor.values["rna.V"]) == pytest.approx(float(line.reactor.values["rna.V"]), rel=1e-2)


def test_the_reaction_goes_on_while_its_service_is_held() -> None:
    bench = Bench()
    line = bench.line
    bench.do(line.reactor, "charge", **CHARGE)
    bench.start(line.reactor, "transcribe", minutes=120.0)
    bench.wait(6.0)
    before = bench.shown(line.reactor, "rna")[0]
    line.reactor.write("transcribe.CommandExt", int(Command.HOLD))
    bench.wait(20.0)
    line.reactor.write("transcribe.CommandExt", int(Command.UNHOLD))
    bench.wait(1.0)
    assert bench.shown(line.reactor, "rna")[0] > 1.3 * before


def test_what_is_not_there_cannot_be_worked_on() -> None:
    bench = Bench()
    line = bench.line
    assert bench.do(line.reactor, "transcribe", minutes=10.0) == "ABORTED"
    assert bench.do(line.purification, "capture", minutes=10.0) == "ABORTED"
    assert bench.do(line.mixing, "mix", **MIX) == "ABORTED"
    assert bench.do(line.mixing, "dilute", fold=4.0, minutes=2.0) == "ABORTED"
    with pytest.raises(NotFound, match="no fault gremlin"):
        MrnaLine(faults={"gremlin": 1.0})
    with pytest.raises(NotValid, match="rnase"):
        MrnaLine(faults={"rnase": -1.0})


def test_each_fault_of_the_reaction_is_seen_on_the_reactor() -> None:
    def after(minutes: float, **faults: float) -> list[float]:
        bench = Bench(**faults)
        bench.do(bench.line.reactor, "charge", **CHARGE)
        bench.start(bench.line.reactor, "transcribe", minutes=120.0)
        bench.wait(minutes)
        return bench.shown(bench.line.reactor, "rna", "utp", "pyrophosphate", "precipitate", "magnesium", "integrity")

    well = after(60.0)
    assert after(60.0, no_pyrophosphatase=1.0)[3] > 3.0 * well[3]
    assert after(60.0, no_pyrophosphatase=1.0)[2] > 0.1 > well[2]
    assert after(0.0, nucleotide_is_short=0.2)[1] == 8.0
    assert after(0.0, magnesium_is_off=0.3)[4] == 58.5
    assert after(6.0, polymerase_is_short=0.5)[0] < 0.6 * after(6.0)[0]
    assert after(60.0, template_is_short=0.9)[0] < well[0]
    assert after(60.0, rnase=1.0)[5] < 0.7 * well[5]


def test_a_lane_that_clogs_while_it_mixes_raises_pressure_and_size_at_once() -> None:
    bench = Bench()
    line = bench.line
    line.rna_mg, line.whole_mg, line.volume_ml = 34.0, 28.0, 10.0
    bench.start(line.mixing, "mix", **MIX)
    bench.wait(1.0)
    before = bench.shown(line.mixing, "mixing_pressure", "particle_size")
    line.strike("lnp_flow_falls", 0.4)
    bench.wait(1.0)
    assert (before, bench.shown(line.mixing, "mixing_pressure", "particle_size", "mixing_flow")) == ([1.2, 80.0], [2.0, 105.47, 36.0])
    line.strike("lnp_flow_falls", 0.0)
    line.strike("lnp_buffer_ph_is_off", 0.6)
    line.strike("lnp_flow_ratio_is_wrong", -0.5)
    bench.wait(1.0)
    assert bench.shown(line.mixing, "encapsulation", "mixing_ph", "particle_size", "flow_ratio") == [80.22, 4.6, 91.9, 1.5]


def test_ethanol_that_waits_too_long_lets_the_particles_grow() -> None:
    for wait, size in ((0.0, 80.0), (15.0, 85.0)):
        bench = Bench()
        line = bench.line
        line.rna_mg, line.whole_mg, line.volume_ml = 3.4, 2.8, 10.0
        bench.do(line.mixing, "mix", every=0.5, **MIX)
        bench.wait(wait)
        bench.do(line.mixing, "dilute", every=0.5, fold=4.0, minutes=2.0)
        assert bench.shown(line.mixing, "particle_size") == [size]


class Line(PointOfCare):
    """The site, its three skids and its people."""

    def _shown(self):
        found = []
        for module, server in self.servers.items():
            found += [(UNITS[module], f"{each.name}_state", server.pea) for each in server.pea.definition.services]
            found += [(UNITS[module], each.name, server.pea) for each in server.pea.definition.assemblies if not each.settable]
        return found

    async def until_closed(self) -> None:
        for _ in range(120):
            if self.batch.closed:
                return
            self.people({"TEMPLATE-CONCENTRATION-1": "83", "POOL-LABEL-1": "yes", "TOO-LITTLE-TOLD-1": "yes"})
            await self.scan(60.0 if "mix" in self.batch.active else 600.0)
        raise AssertionError(f"the batch is still in {list(self.batch.active)}, {self.batch.state}")


def made(**faults: float) -> Line:
    async def walk() -> Line:
        clock, line = ManualClock(START), MrnaLine(faults=faults)
        peas = {"TR-1-REACTOR": line.reactor, "PU-1-SKID": line.purification, "MX-1-SKID": line.mixing}
        servers = {name: PeaServer(pea, clock) for name, pea in peas.items()}
        started: list[PeaServer] = []
        try:
            for server in servers.values():
                await server.start()
                started.append(server)
            plant = with_endpoints(BASEL, {ModuleId(name): server.endpoint for name, server in servers.items()})
            manifests = {ModuleId(name): read_manifest(write_manifest(manifest_of(pea.definition)), name="pea.aml") for name, pea in peas.items()}
            general = load_general((DOCUMENTS / "mrna-a.general.yaml").read_bytes())
            master = derive_master(derive_site(general, load_site((DOCUMENTS / "basel.site.yaml").read_bytes())), plant)
            control = derive_control(master, plant.units[UnitId("TR-1")], batch=BATCH, lot=LOT)
            async with MtpDriver(plant, manifests, clock=clock) as driver:
                site = Line(driver, servers, SiteState(plant), clock)
                site.ordering = Ordering(driver)
                begun = begin(control, sponsor=SponsorId("ASTER-BIO"), by=OLA)
                site.note([*begun, LotCreated(LOT, control.product, BATCH, plant.site)], by=OLA)
                for role, unit in (("purification", "PU-1"), ("mixer", "MX-1")):
                    steps = derive_unit_procedures(master, plant.units[UnitId(unit)], role)
                    site.note([UnitAsked(BATCH, role, role, 1), UnitAllocated(BATCH, role, UnitId(unit), 1, steps)])
                try:
                    await site.until_closed()
                finally:
                    await site.ordering.close()
                return site
        finally:
            for server in started:
                await server.stop()

    return asyncio.run(walk())


def test_a_batch_goes_from_dna_to_particles_by_recipe_over_real_sockets() -> None:
    site = made()
    assert site.batch.state is State.COMPLETE
    record = executed_record(site.facts)
    assert [step.phase for step in record.steps] == ["warm", "charge", "transcribe", "digest", "hand_over", "capture", "diafilter", "mix", "dilute"]
    assert {step.phase: step.unit for step in record.steps}["mix"] == "MX-1"
    line = site.servers["MX-1-SKID"].pea
    assert float(line.values["particle_size.V"]) == pytest.approx(80.0)


def test_a_batch_without_pyrophosphatase_ends_with_too_little_rna_and_nothing_is_mixed() -> None:
    site = made(no_pyrophosphatase=1.0)
    assert site.batch.state is State.ABORTED
    assert "mix" not in {step.phase for step in executed_record(site.facts).steps}


def test_the_three_skids_of_a_plant_share_one_batch() -> None:
    peas = service_modules(BASEL, seed=1)
    assert {module: pea.definition.name for module, pea in peas.items()} == {
        ModuleId("TR-1-REACTOR"): "REACTOR",
        ModuleId("PU-1-SKID"): "PURIFICATION",
        ModuleId("MX-1-SKID"): "MIXING",
    }
    assert point_of_care.DOCUMENTS == DOCUMENTS
