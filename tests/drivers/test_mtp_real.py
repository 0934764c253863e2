"""A real module's manifest, with its own names, addresses and oddities, drives a service over a socket."""

from __future__ import annotations

import asyncio

from mtp_floor import AT, Stands

from isogenic.clock import ManualClock
from isogenic.ids import ModuleId
from isogenic.plant.documents import load_plant, with_endpoints
from isogenic.plant.mtp.model import Kind
from isogenic.plant.mtp.reading import read_manifest
from isogenic.plant.mtp.states import ServiceState
from isogenic.plant.services import ServiceOrder
from isogenic.sim.pea import Pea, PeaDefinition, PeaParameter, PeaProcedure, PeaService, Wire
from isogenic.sim.pea_server import PeaServer
from isogenic.sites.drivers.mtp import MtpDriver
from plant.mtp_setup import hc10

MODULE = ModuleId("HC10")
DOCUMENT = """\
isogenic: plant/1
site: LEEDS
title: Leeds
sponsor: ACME
latitude: 53.8
longitude: -1.5
units:
  CP-1:
    class: cell_processor
    title: Dosing vessel
    make: a laboratory's
    working_volume: 5 L
    capabilities: {}
    modules:
      HC10:
        protocol: mtp
        manifest: HC10.aml
        services:
          harvest:
            theirs: HC10_Dosing
            procedures: {standard: HC10_Dosing_Volume_Y22}
            parameters: {volume: HC10_Target_Volume_Dosing, cycles: HC10_Duration_Dosing}
"""


def test_a_service_of_a_real_manifest_is_started_with_its_parameters_and_completed():
    manifest = read_manifest(hc10(), name="HC10.aml")
    service = manifest.service("HC10_Dosing")
    kinds = {"AnaServParam": Wire.REAL, "DIntServParam": Wire.WHOLE}
    known = {element.name: element.assembly for way in service.procedures for element in way.of(Kind.PARAMETER)}
    procedures = tuple(
        PeaProcedure(
            way.name,
            way.number,
            way.self_completing,
            tuple(PeaParameter(each.name, wire=kinds[each.assembly.cls], low=1, high=99999, default=1) for each in way.of(Kind.PARAMETER)),
        )
        for way in service.procedures
    )
    definition = PeaDefinition("HC10", (PeaService(service.name, procedures),), namespace="urn:BeckhoffAutomation:Ua:PLC1")
    identifiers = {f"{service.name}.{word}": item.identifier for word, item in service.control.items.items()}
    identifiers |= {f"{service.name}.{name}.{word}": item.identifier for name, each in known.items() for word, item in each.items.items()}

    async def test() -> list[object]:
        pea = Pea(definition, {service.name: Stands(ServiceState.EXECUTE)})
        server = PeaServer(pea, ManualClock(AT), identifiers=identifiers)
        await server.start()
        plant = with_endpoints(load_plant(DOCUMENT, name="x"), {MODULE: server.endpoint})
        try:
            async with MtpDriver(plant, {MODULE: manifest}, clock=ManualClock(AT), answer_limit_s=10.0) as driver:
                start = ServiceOrder("harvest", "start", "standard", {"volume": 250.0, "cycles": 30.0}, 1)
                refused = dict(await driver.order({"CP-1.harvest": start}))
                state = (await driver.read(AT)).reading("CP-1.harvest_state").value
                values = [pea.values[f"HC10_Dosing.{key}"] for key in ("ProcedureCur", "HC10_Target_Volume_Dosing.VOut", "HC10_Duration_Dosing.VOut")]
                done = dict(await driver.order({"CP-1.harvest": ServiceOrder("harvest", "complete", number=2)}))
                return [refused, state, values, done, pea.run(service.name).state]
        finally:
            await server.stop()

    assert set(identifiers) <= set(Pea(definition).variables)
    assert asyncio.run(test()) == [{}, float(ServiceState.EXECUTE), [6, 250.0, 30], {}, ServiceState.COMPLETED]
