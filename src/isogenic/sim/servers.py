"""OPC UA servers of a simulated facility: one a module, on this machine, each in its make's own names and units.

Guarantees: every signal stands under the node id and in the unit that its plant document
gives; values carry process time as their source time; a lost sensor is reported as a bad
status, never as a number; a write is answered item by item (out of range, not writable,
wrong type, unknown), in the order of the request. Only values that changed are touched.
Leaves to others: physics (facility), assays (laboratory), reading it all (drivers).

The open endpoint is offered, or secured ones with one certificate (`Secured`), and only on 127.0.0.1: these servers are
for rehearsal.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncua.ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.address_space import AddressSpace, AttributeService
from asyncua.server.server import Server

from isogenic.clock import Clock
from isogenic.errors import NotValid, Refusal
from isogenic.ids import ModuleId
from isogenic.plant.documents import load_plant
from isogenic.plant.model import Protocol, Role, Signal, SitePlant
from isogenic.plant.settings import TEXT, Setting
from isogenic.sim.facility import Facility
from isogenic.sim.faults.modules import unit_of_fault
from isogenic.sim.laboratory import sample_document
from isogenic.sim.module_manifests import publish
from isogenic.sim.pea_server import serve_peas
from isogenic.sim.ports import HOST, listen
from isogenic.sim.secured import SIMULATED_URI, Secured, secure
from isogenic.sim.service_modules import ServiceModules
from isogenic.sim.standard_space import SharedStandard
from isogenic.units import converter

__all__ = ["SIMULATED_URI", "TICK_S", "Secured", "run_facility", "serve_facility", "written_whole"]

TICK_S = 0.05  # wall clock between updates: 20 a second
PAGE = ModuleId("PAGE")  # among the ports that are remembered
SNAPSHOT_TICKS = 20  # a vessel's memory is kept about once a second
NAMESPACE_MAX = 100  # a server needs every namespace below the one that a document uses

if TYPE_CHECKING:
    from isogenic.sim.pages.facility import View

_log = logging.getLogger(__name__)
_Ua = Any  # a value of asyncua's, whose types do not say what may be None
ua: _Ua = asyncua.ua


@asynccontextmanager
async def serve_facility(
    plant: SitePlant,
    facility: Facility,
    clock: Clock,
    *,
    ports: Mapping[ModuleId, int] | None = None,
    tick_s: float = TICK_S,
    secured: Secured | None = None,
) -> AsyncIterator[dict[ModuleId, str]]:
    """Serve every module; gives each one's endpoint. The facility follows the clock while the servers stand."""
    modules = [_ModuleServer(plant.site, module, signals, facility, secured) for module, signals in _by_module(plant).items()]
    facility.advance(clock.now().at)
    started: list[_ModuleServer] = []
    ticking: asyncio.Task[None] | None = None
    try:
        for module in modules:
            await module.start((ports or {}).get(module.id, 0))
            started.append(module)
        ticking = asyncio.create_task(_follow(facility, clock, started, tick_s=tick_s))
        ticking.add_done_callback(_stops(asyncio.current_task()))
        yield {module.id: module.endpoint for module in started}
    finally:
        if ticking is not None:
            ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):  # a failure was logged when it happened
                await ticking
        for module in started:
            await module.stop()


async def run_facility(
    plant: SitePlant | str,
    out: Path,
    clock: Clock,
    *,
    seed: int,
    faults: Iterable[str] = (),
    samples: Path | None = None,
    memory: Path | None = None,
    ports: Mapping[ModuleId, int] | None = None,
    page_port: int | None = None,
    process: str = "antibody",
) -> None:
    """Serve a facility until cancelled. With `page_port` (0: any), its own page too, on this machine only.

    Where the page is, is written to `page.json` beside `out`.

    Modules that the plant document speaks to by MTP are PEAs (`service_modules`); a restart finds them idle, counting from nought,
    and as broken as they were.
    The endpoints are written to `out` as JSON, whole or not at all, once all servers stand, and
    each module's package into the folder `modules` beside it.
    Each harvested batch's assay results go into the folder `samples`. With `memory`, the
    vessels' state is kept in that file and found again after a restart, and so are the ports:
    a controller that was killed comes back where it was.
    """
    plant = load_plant(plant, name=str(out)) if isinstance(plant, str) else plant
    _check_spoken(plant)
    vessels = plant.of_protocol(Protocol.OPCUA)
    serviced, told_faults = set(plant.of_protocol(Protocol.MTP).units), list(faults)
    facility = Facility(vessels, seed=seed, faults=[text for text in told_faults if unit_of_fault(text) not in serviced], process=process)
    modules = ServiceModules(plant, seed=seed, faults=[text for text in told_faults if unit_of_fault(text) in serviced])
    peas = modules.peas
    ports = {**_restored(facility, modules, memory), **(ports or {})}
    async with (
        AsyncExitStack() as serving,
        serve_facility(vessels, facility, clock, ports=ports) as by_values,
        serve_peas({str(name): pea for name, pea in peas.items()}, clock, ports={str(name): port for name, port in ports.items()}) as by_services,
    ):
        endpoints = by_values | {ModuleId(module): endpoint for module, endpoint in by_services.items()}
        written_whole(out, {str(module): endpoint for module, endpoint in endpoints.items()})
        publish(plant, out.parent, endpoints, of_type={module: pea.definition for module, pea in peas.items()})
        told: set[str] = set()
        view: View | None = None
        if page_port is not None:
            from isogenic.sim.pages.facility import View, serve_page

            view = View(facility, modules, clock=clock)
            url = await serving.enter_async_context(serve_page(view, port=page_port or int(ports.get(PAGE, 0))))
            written_whole(out.with_name("page.json"), {"page": url})
            endpoints = endpoints | {PAGE: url}
        while True:
            if view is not None:
                view.look()
            for harvest in facility.harvests():
                name = f"{harvest.unit}-run{harvest.run}.json"
                if samples is not None:
                    written_whole(samples / name, sample_document(harvest, at=facility.time_of(harvest.grid), seed=seed, site=plant.site))
            for unit, why in facility.stopped().items():
                if unit not in told:
                    told.add(unit)
                    _log.error("%s", why)
            if memory is not None:
                kept = {"facility": facility.snapshot(), "modules": modules.snapshot()}
                written_whole(memory, {**kept, "ports": {str(key): _port(url) for key, url in endpoints.items()}})
            await asyncio.sleep(SNAPSHOT_TICKS * TICK_S)


def written_whole(path: Path, content: object) -> None:
    """Write JSON so that a reader sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_text(json.dumps(content, sort_keys=True))
    os.replace(draft, path)  # noqa: PTH105 - the atomic rename is the point


def _check_spoken(plant: SitePlant) -> None:
    """Other protocols have simulated devices of their own, which no plant document starts."""
    for unit in plant.units.values():
        for module, known in unit.modules.items():
            if known.protocol not in (Protocol.OPCUA, Protocol.MTP):
                raise NotValid(f"cannot simulate {module}", why=f"a simulated facility does not speak {known.protocol}", possible="opcua, mtp")


def _restored(facility: Facility, modules: ServiceModules, memory: Path | None) -> dict[ModuleId, int]:
    if memory is None or not memory.exists():
        return {}
    try:
        kept = json.loads(memory.read_text())
        facility.restore(kept["facility"])
        modules.restore(kept.get("modules", {"faults": [], "log": []}))
        return {ModuleId(module): int(port) for module, port in kept["ports"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as trouble:
        raise NotValid(f"cannot read the facility's memory {memory.name}", why=str(trouble)[:120], possible="remove the file") from trouble


def _by_module(plant: SitePlant) -> dict[ModuleId, list[Signal]]:
    modules: dict[ModuleId, list[Signal]] = {module: [] for unit in plant.units.values() for module in unit.modules}
    for signal in plant.signals():
        modules[signal.module].append(signal)
    return modules


async def _follow(facility: Facility, clock: Clock, modules: Sequence[_ModuleServer], *, tick_s: float) -> None:
    """Advance with the clock and show what changed, for as long as the servers stand."""
    shown: datetime | None = None
    while True:
        facility.advance(clock.now().at)
        if facility.at is not None and facility.at != shown:
            shown = facility.at
            for module in modules:
                await module.show(shown)
        await asyncio.sleep(tick_s)  # wall clock: it is the wire that is paced, not the process


def _stops(owner: asyncio.Task[Any] | None) -> Callable[[asyncio.Task[None]], None]:
    """A facility that no longer moves must not go on answering: its owner is cancelled, its servers close."""

    def done(ticking: asyncio.Task[None]) -> None:
        if not ticking.cancelled() and (trouble := ticking.exception()) is not None:
            _log.critical("the simulated facility stopped", exc_info=trouble)
            if owner is not None:
                owner.cancel()

    return done


def _port(endpoint: str) -> int:
    return int(endpoint.rsplit(":", 1)[1].rstrip("/"))


@dataclass(slots=True)
class _Variable:
    """One signal on the wire."""

    signal: Signal
    node: _Ua  # ua.NodeId
    last: float = math.inf  # what was last shown, native; infinity is never shown


@dataclass(slots=True)
class _Setting:
    """One setting on the wire."""

    setting: Setting
    node: _Ua
    last: float | str | None = None


class _ModuleServer:
    """One module: its server, its variables, its answers to writes."""

    def __init__(self, site: str, module: ModuleId, signals: Sequence[Signal], facility: Facility, secured: Secured | None) -> None:
        self._secured = secured
        self.id, self._site, self._signals, self._facility = module, site, signals, facility
        self.endpoint = ""
        self._variables: list[_Variable] = []
        self._settings: list[_Setting] = []
        self._server: _Ua = None

    async def start(self, port: int) -> None:
        """Listen on `port`, or on any free one if it is 0."""
        await listen(self._start, str(self.id), port=port)

    async def _start(self, port: int) -> None:
        server: _Ua = Server(iserver=SharedStandard())
        server.name = f"{self._site} {self.id}"
        await server.init()
        server.disable_clock()  # it would tick in wall time
        await secure(server, self._secured)
        endpoint = f"opc.tcp://{HOST}:{port}"
        server.set_endpoint(endpoint)
        await server.set_application_uri(f"urn:isogenic:simulated:{self._site}:{self.id}" if self._secured is None else SIMULATED_URI)
        variables = [_Variable(signal, await _node_id(server, signal.node)) for signal in self._signals]
        for each in variables:
            name = ua.QualifiedName(each.signal.cls.title, each.node.NamespaceIndex)
            node = await server.nodes.objects.add_variable(each.node, name, 0.0, varianttype=ua.VariantType.Double)
            if each.signal.cls.role is Role.SETPOINT:
                await node.set_writable()
        for setting in self._module_settings():
            node_id, text = await _node_id(server, setting.node), setting.unit == TEXT
            name = ua.QualifiedName(setting.name, node_id.NamespaceIndex)
            variant = ua.VariantType.String if text else ua.VariantType.Float
            await server.nodes.objects.add_variable(node_id, name, "" if text else 0.0, varianttype=variant)
            self._settings.append(_Setting(setting, node_id))
        server.iserver.attribute_service = _Answers(server.iserver.aspace, self._accept, {each.node: each for each in variables})
        self._server, self._variables, self.endpoint = server, variables, endpoint
        await self.show(self._facility.at)
        await server.start()

    async def stop(self) -> None:
        """Close every connection and the port."""
        await self._server.stop()

    async def show(self, at: datetime | None) -> None:
        """Put every value that changed into the address space, with process time as its source time."""
        write = self._server.iserver.aspace.write_attribute_value  # straight to the table: a tenth of the cost of a node's own write
        for each in self._variables:
            value = _to_native(each.signal, self._facility.read(each.signal.tag))
            if value == each.last or (math.isnan(value) and math.isnan(each.last)):
                continue
            each.last = value
            await write(each.node, ua.AttributeIds.Value, _data_value(value, at))

        for kept in self._settings:
            now = self._facility.setting(kept.setting.key)
            if now != kept.last:
                kept.last = now
                variant = ua.VariantType.String if isinstance(now, str) else ua.VariantType.Float
                await write(kept.node, ua.AttributeIds.Value, ua.DataValue(ua.Variant(now, variant), StatusCode=ua.StatusCode(ua.StatusCodes.Good)))

    def _module_settings(self) -> Iterable[Setting]:
        return (setting for setting in self._facility.plant.settings() if setting.module == self.id)

    def _accept(self, each: _Variable, value: float) -> _Ua:
        """Take a written value into the facility, or say by status why not."""
        if each.signal.cls.role is not Role.SETPOINT:
            return ua.StatusCodes.BadNotWritable
        try:
            self._facility.write(each.signal.tag, converter(each.signal.native_unit, each.signal.cls.unit)(value))
        except Refusal:
            return ua.StatusCodes.BadOutOfRange
        each.last = value
        return ua.StatusCodes.Good


class _Answers(AttributeService):
    """Writes from outside: each item is offered to the facility and answered by itself, in order."""

    def __init__(self, aspace: AddressSpace, accept: _Ua, variables: Mapping[_Ua, _Variable]) -> None:
        super().__init__(aspace)
        self._accept, self._variables = accept, variables

    async def write(self, params: _Ua, user: User = User(role=UserRole.Anonymous)) -> list[_Ua]:  # noqa: B008 - the library's own signature
        if user.role is UserRole.Admin:  # the server itself; nobody from outside can be that
            return await super().write(params, user)
        return [ua.StatusCode(await self._write_one(item)) for item in params.NodesToWrite]

    async def _write_one(self, item: _Ua) -> _Ua:
        each = self._variables.get(item.NodeId)
        if each is None:
            return ua.StatusCodes.BadNodeIdUnknown
        if item.AttributeId != ua.AttributeIds.Value:
            return ua.StatusCodes.BadNotWritable
        given = item.Value.Value
        if given is None or given.VariantType is not ua.VariantType.Double or not isinstance(given.Value, float):
            return ua.StatusCodes.BadTypeMismatch
        answer = self._accept(each, given.Value)
        if answer == ua.StatusCodes.Good:
            await self._aspace.write_attribute_value(item.NodeId, item.AttributeId, item.Value)
        return answer


def _to_native(signal: Signal, value: float) -> float:
    return converter(signal.cls.unit, signal.native_unit)(value)


def _data_value(value: float, at: datetime | None) -> _Ua:
    naive = at.replace(tzinfo=None) if at is not None else None
    if math.isnan(value):
        return ua.DataValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadSensorFailure), SourceTimestamp=naive)
    return ua.DataValue(ua.Variant(value, ua.VariantType.Double), StatusCode=ua.StatusCode(ua.StatusCodes.Good), SourceTimestamp=naive)


async def _node_id(server: _Ua, text: str) -> _Ua:
    """The node id as this server knows it; the namespaces that it speaks of are made."""
    if text.startswith("nsu="):
        uri, _, rest = text[4:].partition(";")
        return ua.NodeId.from_string(f"ns={await server.register_namespace(uri)};{rest}")
    node = ua.NodeId.from_string(text)
    if node.NamespaceIndex > NAMESPACE_MAX:
        raise NotValid(f"cannot serve node {text}", why=f"a simulated server has at most {NAMESPACE_MAX} namespaces")
    while len(known := await server.get_namespace_array()) <= node.NamespaceIndex:
        await server.register_namespace(f"urn:isogenic:simulated:namespace:{len(known)}")
    return node
