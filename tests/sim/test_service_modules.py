"""A site whose modules are driven by services, with its simulated equipment as `isogenic facility` serves it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from isogenic.clock import ManualClock
from isogenic.errors import NotValid
from isogenic.ids import ModuleId
from isogenic.plant.documents import load_plant, with_endpoints
from isogenic.plant.mtp.states import Command, ServiceState
from isogenic.plant.services import ServiceOrder
from isogenic.sim.cell_processor import CellProcessor
from isogenic.sim.servers import run_facility
from isogenic.sim.world import document
from isogenic.sites.drivers.several import SeveralDrivers, drivers_for

TEXT = document("utrecht.plant.yaml")
SWAPPED = TEXT.replace("services: {fill: {}, stopper: {}}", "services: {fill: {}, stopper: {}, label: {}}").replace(
    "{inspect: {}, label: {}}", "{inspect: {}}"
)
ONE = """isogenic: plant/1
site: DELFT
title: Delft
sponsor: ASTER-BIO
latitude: 52.0
longitude: 4.4
units:
  BR-1:
    title: Bioreactor
    class: stirred_bioreactor
    make: Alder
    working_volume: 5 L
    capabilities: {{}}
    modules:
      BR-1-VESSEL:
        protocol: {}
        signals: {{temperature: {{node: {}, unit: degC}}}}
"""
START = datetime(2026, 11, 23, 8, tzinfo=UTC)


async def shows(driver: SeveralDrivers, state: ServiceState, *tags: str) -> None:
    async with asyncio.timeout(30.0):
        while {(await driver.read(START)).reading(tag).value for tag in tags} != {state}:
            await asyncio.sleep(0.01)


def test_a_facility_of_service_modules_is_served_described_and_driven_by_the_sites_own_drivers(tmp_path: Path) -> None:
    async def walk() -> None:
        clock, out = ManualClock(START), tmp_path / "endpoints.json"
        equipment = asyncio.create_task(run_facility(TEXT, out, clock, seed=1, memory=tmp_path / "equipment.json"))
        try:
            while not (tmp_path / "equipment.json").exists():
                assert not equipment.done(), equipment.exception()
                await asyncio.sleep(0.02)
            endpoints = {ModuleId(name): url for name, url in json.loads(out.read_text()).items()}
            assert endpoints.keys() == {"CP-1-CELL", "FR-1-FILL", "FR-1-FINISH"}
            plant = with_endpoints(load_plant(TEXT, name="utrecht"), endpoints)
            async with drivers_for(plant, clock=clock, answer_limit_s=10.0, folder=tmp_path) as driver:
                await shows(driver, ServiceState.IDLE, "CP-1.prime_state", "FR-1.fill_state", "FR-1.label_state")
                orders = {
                    "CP-1.prime": ServiceOrder("prime", "start", "", {"test_pressure": 300.0, "minutes": 10.0}, 1),
                    "FR-1.fill": ServiceOrder("fill", "start", "", {"containers": 3.0, "fill_weight": 10.0, "tolerance": 4.0}, 1),
                }
                assert await driver.order(orders) == {}
                clock.advance(3_600.0)
                await shows(driver, ServiceState.COMPLETED, "CP-1.prime_state", "FR-1.fill_state")
                assert (await driver.read(START)).reading("FR-1.containers_filled").value == 3.0
        finally:
            equipment.cancel()
            await asyncio.wait({equipment})

    asyncio.run(walk())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (ONE.format("sila", "Heater/Temperature"), "cannot simulate BR-1-VESSEL: a simulated facility does not speak sila"),
        (ONE.format("mtp\n        manifest: vessel.aml", "temperature"), "no simulated module speaks MTP as a stirred_bioreactor"),
        (SWAPPED, "cannot simulate FR-1-FILL: the simulated FILL has no label"),
    ],
)
def test_what_nothing_simulates_is_refused_by_name_before_anything_is_served(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(NotValid) as refused:
        asyncio.run(run_facility(text, tmp_path / "endpoints.json", ManualClock(START), seed=1))
    assert why in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_processor_that_was_emptied_takes_the_next_patients_bag() -> None:
    processor = CellProcessor()
    pea = processor.pea
    processor.cells.total, processor.transduced = 0.0, 40.0  # as a harvest leaves it
    processor.show()
    pea.advance(START)
    for key, value in (("test_pressure.VExt", 300.0), ("minutes.VExt", 10.0), ("ProcedureExt", 1), ("CommandExt", int(Command.START))):
        pea.write(f"prime.{key}", value)
    pea.advance(START + timedelta(hours=1))
    assert (pea.values["prime.StateCur"], pea.values["total_viable_cells.V"], pea.values["transduced_share.V"]) == (
        ServiceState.COMPLETED,
        4_000.0,
        0.0,
    )
