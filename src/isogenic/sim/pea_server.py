"""Simulated modules over OPC UA: one server a PEA, several in one process, on this machine only.

Guarantees: a write is taken by the controller within the request that brings it, and what
became of it stands in the address space before the answer leaves; only what changed is
touched. Wrong types, unknown nodes and variables that may only be read are answered by
status. Values carry process time as their source time.
Leaves to others: what the module does (pea), its manifest (pea_manifest).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncua.ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.address_space import AddressSpace, AttributeService
from asyncua.server.server import Server

from isogenic.clock import Clock
from isogenic.sim.pea import Pea, Wire
from isogenic.sim.ports import HOST, listen
from isogenic.sim.secured import SIMULATED_URI, Secured, secure
from isogenic.sim.standard_space import SharedStandard

__all__ = ["PeaServer", "serve_peas"]

TICK_S = 0.02  # wall clock: a controller's cycle

_log = logging.getLogger(__name__)
_Ua = Any  # a value of asyncua's, whose types do not say what may be None
ua: _Ua = asyncua.ua
_PYTHON = {Wire.REAL: (float,), Wire.WHOLE: (int,), Wire.WORD: (int,), Wire.BYTE: (int,), Wire.SHORT: (int,), Wire.TRUTH: (bool,), Wire.TEXT: (str,)}


@asynccontextmanager
async def serve_peas(
    peas: Mapping[str, Pea], clock: Clock, *, ports: Mapping[str, int] | None = None, tick_s: float = TICK_S
) -> AsyncIterator[dict[str, str]]:
    """Serve every PEA by a name of its own; gives each one's endpoint. They follow the clock while the servers stand."""
    servers = {name: PeaServer(pea, clock) for name, pea in peas.items()}
    started: list[PeaServer] = []
    following: asyncio.Task[None] | None = None
    try:
        for name, server in servers.items():
            await server.start((ports or {}).get(name, 0))
            started.append(server)
        following = asyncio.create_task(_follow(started, tick_s))
        yield {name: server.endpoint for name, server in servers.items()}
    finally:
        if following is not None:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):  # a failure was logged when it happened
                await following
        for server in started:
            await server.stop()


async def _follow(servers: Sequence[PeaServer], tick_s: float) -> None:
    try:
        while True:
            for server in servers:
                await server.follow()
            await asyncio.sleep(tick_s)
    except Exception:
        _log.critical("a simulated module stopped", exc_info=True)
        raise


class PeaServer:
    """The wire of one PEA. `start` and `stop` may follow each other: a controller that restarts."""

    def __init__(self, pea: Pea, clock: Clock, secured: Secured | None = None, *, identifiers: Mapping[str, str] | None = None) -> None:
        """`identifiers`: where another make's variables stand, by ours; those that are not in it are not served. Default: under our own keys."""
        self.pea, self._clock, self._secured = pea, clock, secured
        self._identifiers = dict(identifiers) if identifiers is not None else {key: key for key in pea.variables}
        self._keys = {identifier: key for key, identifier in self._identifiers.items()}
        self.endpoint = ""
        self.late_s = 0.0  # wall clock: answer every write so much later
        self.further_namespaces: tuple[str, ...] = ()  # registered before its own: indexes differ from start to start
        self._server: _Ua = None
        self._nodes: dict[str, _Ua] = {}

    async def start(self, port: int = 0) -> None:
        """Listen on `port`, or on any free one if it is 0."""
        self.pea.advance(self._clock.now().at)
        await listen(self._start, self.pea.definition.name, port=port)

    async def _start(self, port: int) -> None:
        definition = self.pea.definition
        server: _Ua = Server(iserver=SharedStandard())
        server.name = definition.name
        await server.init()
        server.disable_clock()  # it would tick in wall time
        await secure(server, self._secured)
        endpoint = f"opc.tcp://{HOST}:{port}"
        server.set_endpoint(endpoint)
        await server.set_application_uri(f"urn:isogenic:simulated:{definition.name}" if self._secured is None else SIMULATED_URI)
        for each in self.further_namespaces:
            await server.register_namespace(each)
        index = await server.register_namespace(definition.namespace)
        self._nodes = {}
        for key, known in self.pea.variables.items():
            if key not in self._identifiers:
                continue
            node = ua.NodeId(self._identifiers[key], index)
            made = await server.nodes.objects.add_variable(node, ua.QualifiedName(key, index), known.initial, varianttype=_variant(known.wire))
            if known.writable:
                await made.set_writable()
            self._nodes[key] = node
        server.iserver.attribute_service = _Inputs(server.iserver.aspace, self)
        self._server = server
        await self._flush(self.pea.variables.keys())
        await server.start()
        self.endpoint = endpoint

    async def stop(self) -> None:
        """Close every connection and the port. The controller keeps what it knows."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop()

    async def follow(self) -> None:
        """Time goes on; what changed is shown."""
        if self._server is not None:
            self.pea.advance(self._clock.now().at)
            await self._flush(self.pea.changed())

    async def take(self, key: str, value: Any) -> bool:
        """A write from outside: taken, and what became of it shown, before it is answered."""
        self.pea.advance(self._clock.now().at)
        taken = self.pea.write(key, value)
        await self._flush(self.pea.changed())
        return taken

    def key_of(self, node: _Ua) -> str | None:
        """The variable that a node id means."""
        key = self._keys.get(node.Identifier) if isinstance(node.Identifier, str) else None
        return key if key is not None and self._nodes.get(key) == node else None

    async def _flush(self, keys: Any) -> None:
        write, at = self._server.iserver.aspace.write_attribute_value, self._clock.now().at.replace(tzinfo=None)
        for key in self._nodes.keys() & keys:
            if key in self.pea.bad:
                shown = ua.DataValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadSensorFailure), SourceTimestamp=at)
            else:
                variant = ua.Variant(_cast(self.pea.values[key], self.pea.variables[key].wire), _variant(self.pea.variables[key].wire))
                shown = ua.DataValue(variant, StatusCode=ua.StatusCode(ua.StatusCodes.Good), SourceTimestamp=at)
            await write(self._nodes[key], ua.AttributeIds.Value, shown)


class _Inputs(AttributeService):
    """Requests from outside: each written item is offered to the controller and answered by itself, in order."""

    def __init__(self, aspace: AddressSpace, module: PeaServer) -> None:
        super().__init__(aspace)
        self._module = module

    async def write(self, params: _Ua, user: User = User(role=UserRole.Anonymous)) -> list[_Ua]:  # noqa: B008 - the library's own signature
        if user.role is UserRole.Admin:  # the server itself; nobody from outside can be that
            return await super().write(params, user)
        if self._module.late_s:
            await asyncio.sleep(self._module.late_s)
        return [ua.StatusCode(await self._one(item)) for item in params.NodesToWrite]

    async def _one(self, item: _Ua) -> _Ua:
        key = self._module.key_of(item.NodeId)
        if key is None:
            return ua.StatusCodes.BadNodeIdUnknown
        wire = self._module.pea.variables[key].wire
        given = item.Value.Value
        if item.AttributeId != ua.AttributeIds.Value or not self._module.pea.variables[key].writable:
            return ua.StatusCodes.BadNotWritable
        if given is None or given.VariantType is not _variant(wire) or type(given.Value) not in _PYTHON[wire]:
            return ua.StatusCodes.BadTypeMismatch
        return ua.StatusCodes.Good if await self._module.take(key, given.Value) else ua.StatusCodes.BadNotWritable


def _variant(wire: Wire) -> _Ua:
    return getattr(ua.VariantType, wire.value)


def _cast(value: Any, wire: Wire) -> Any:
    return _PYTHON[wire][0](value)
