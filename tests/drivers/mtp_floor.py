"""A small floor of MTP modules: one preparation vessel whose services a simulated PEA carries out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from isogenic.clock import ManualClock
from isogenic.ids import ModuleId
from isogenic.plant.documents import load_plant, with_endpoints
from isogenic.plant.model import SitePlant
from isogenic.plant.mtp.model import Manifest
from isogenic.plant.mtp.reading import read_manifest
from isogenic.plant.mtp.writing import write_manifest
from isogenic.plant.services import ServiceOrder
from isogenic.sim.pea import Behaviour, Pea, PeaDefinition, PeaParameter, PeaProcedure, PeaService, PeaValue, Wire
from isogenic.sim.pea_manifest import manifest_of
from isogenic.sim.pea_server import PeaServer
from isogenic.sites.drivers.mtp import MtpDriver

AT = datetime(2026, 11, 23, 8, tzinfo=UTC)
FILLER = ModuleId("FILL-1-CELL")

# Another maker's names and units for what the class `filler` calls otherwise.
DEFINITION = PeaDefinition(
    "CELL",
    namespace="urn:some:maker",
    services=(
        PeaService(
            "Cell_Fill",
            procedures=(
                PeaProcedure(
                    "Peristaltic",
                    1,
                    parameters=(
                        PeaParameter("Number", wire=Wire.WHOLE, low=0, high=100_000, default=0),
                        PeaParameter("Weight", "g", 0.1, 1000.0, 1.0),
                        PeaParameter("Band", "%", 0.0, 20.0, 5.0),
                    ),
                ),
                PeaProcedure(
                    "Gravimetric",
                    2,
                    parameters=(
                        PeaParameter("Number", wire=Wire.WHOLE, low=0, high=100_000, default=0),
                        PeaParameter("Weight", "g", 0.1, 1000.0, 1.0),
                        PeaParameter("Band", "%", 0.0, 20.0, 5.0),
                    ),
                ),
            ),
        ),
    ),
    assemblies=(
        PeaValue("Filled", wire=Wire.WHOLE, default=0),
        PeaValue("Net", "mg", 0.0, 1e6, 0.0),
        PeaValue("Pressure_SP", "mbar", 0.0, 2.0, settable=True),
    ),
)
DOCUMENT = """\
isogenic: plant/1
site: LEEDS
title: Leeds
sponsor: ACME
latitude: 53.8
longitude: -1.5
units:
  FILL-1:
    class: filler
    title: Filler
    make: some maker
    working_volume: 5 L
    capabilities: {}
    modules:
      FILL-1-CELL:
        protocol: mtp
        manifest: cell.mtp
        services:
          fill:
            theirs: Cell_Fill
            procedures: {peristaltic: Peristaltic, gravimetric: Gravimetric}
            parameters: {containers: Number, fill_weight: Weight, tolerance: Band}
        signals:
          containers_filled: {node: Filled}
          fill_weight: {node: Net.V, unit: mg}
          isolator_pressure_sp: {node: Pressure_SP.VMan, unit: mbar}
"""


def order(command: str, number: int = 1, **parameters: float) -> dict[str, ServiceOrder]:
    procedure = "gravimetric" if command == "start" else ""
    return {"FILL-1.fill": ServiceOrder("fill", command, procedure, parameters, number)}


def manifest() -> Manifest:
    return read_manifest(write_manifest(manifest_of(DEFINITION)), name="cell.aml")


class Stands(Behaviour):
    """Every state lasts until it is let go; `at` may be read by a test."""

    def __init__(self, *lasting: Any) -> None:
        self.lasting = set(lasting)

    def going(self, run: Any, seconds: float) -> bool:
        return run.state not in self.lasting


class Floor:
    """A PEA, its server, a driver and a clock that stands."""

    def __init__(self, pea: Pea, server: PeaServer, driver: MtpDriver, plant: SitePlant) -> None:
        self.pea, self.server, self.driver, self.plant = pea, server, driver, plant

    async def told(self, command: str, number: int = 1, **parameters: float) -> str:
        """The refusal of an order; empty where it was carried out."""
        return dict(await self.driver.order(order(command, number, **parameters))).get("FILL-1.fill", "")

    async def seen(self, signal: str) -> tuple[float, str]:
        reading = (await self.driver.read(AT)).reading(f"FILL-1.{signal}")
        return reading.value, reading.quality.name.lower()

    async def settled(self, signal: str, wanted: tuple[float, str], *, limit_s: float = 10.0) -> None:
        """Wait until a signal reads so: the wire takes its time."""
        async with asyncio.timeout(limit_s):
            while str(await self.seen(signal)) != str(wanted):
                await asyncio.sleep(0.02)

    async def fresh(self, pea: Pea) -> None:
        """Another controller behind the same wire, as if nothing had been told yet: a server costs more than a test."""
        self.pea = self.server.pea = pea
        self.server.late_s = 0.0
        self.driver.changes()
        await self.server.follow()

    async def again(self, pea: Pea | None = None) -> None:
        """The module's controller restarts on its port, with what it knew or, cold, without."""
        port = int(self.server.endpoint.rsplit(":", 1)[1])
        await self.server.stop()
        if pea is not None:
            self.pea = self.server.pea = pea
        await self.server.start(port)


@asynccontextmanager
async def floor(
    behaviours: Mapping[str, Behaviour] | None = None, *, pea: Pea | None = None, document: str = DOCUMENT, **limits: float
) -> AsyncIterator[Floor]:
    clock = ManualClock(AT)
    pea = pea or Pea(DEFINITION, behaviours)
    server = PeaServer(pea, clock)
    await server.start()
    plant = with_endpoints(load_plant(document, name="leeds"), {FILLER: server.endpoint})
    try:
        async with MtpDriver(plant, {FILLER: manifest()}, clock=clock, **limits) as driver:
            yield Floor(pea, server, driver, plant)
    finally:
        await server.stop()
