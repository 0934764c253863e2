"""Readings from and set-points to a site's modules over OPC UA: one client a module.

Guarantees: one Read request a module and scan, one Write request a module; values come out
canonical, whatever the make calls and measures them in; a value that is lost, of the wrong
kind, not finite or beyond its signal's physical range is BAD and NaN, never the last good
one; a module that is gone or slow makes all its signals BAD at once and delays no scan by
more than `ANSWER_LIMIT_S`. Reconnecting goes on in the background and never writes anything
by itself: the site's loop writes its outputs again.
Leaves to others: what to write (batches), when to scan (loop), noting that a module was
lost or restored (the node, from `changes()`).

    CONNECTING --answered--> CONNECTED --no answer in time, link broken--> LOST
    LOST --backoff--> CONNECTING

asyncua's own reconnection is not used: it hides a slow server behind a connection that
delivers nothing. Here a connection that fails once is closed and made anew, namespaces
resolved again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncua.ua
import numpy as np
from asyncua.client.client import Client

from isogenic.clock import Clock
from isogenic.errors import NotValid, Refusal
from isogenic.ids import ModuleId
from isogenic.plant.model import Module, Role, Signal, SitePlant
from isogenic.plant.readings import Frame, Quality, TagIndex
from isogenic.plant.settings import read_text
from isogenic.sites.drivers.certificates import OpcUaTrust
from isogenic.sites.drivers.links import Connection
from isogenic.units import converter

__all__ = ["ANSWER_LIMIT_S", "BACKOFF_MAX_S", "BACKOFF_MIN_S", "Connection", "OpcUaDriver", "overflow"]

ANSWER_LIMIT_S = 2.0  # wall clock: a controller that needs longer for one request is as good as lost to a scan
CONNECT_LIMIT_S = 5.0  # socket, channel and session: five round trips
CANCEL_AGAIN_S = 0.1
CLOSE_LIMIT_S = 0.5  # a dead peer does not answer a polite goodbye
BACKOFF_MIN_S = 0.1  # a controller that restarts is back in a second
BACKOFF_MAX_S = 5.0  # a module that is switched off is asked no more often
OVERFLOW = 0x0480  # of a status code
CHANGES_MAX = 1_000  # a flapping link that nobody asks about must not fill the memory
SESSION_MS = 600_000  # a module forgets a site that has been silent for ten minutes
WATCHDOG_S = 10.0  # asyncua's default of 1 s declares a slow server dead
DOSE_NUMBER = "_number"  # written after its amount, in the same request

# What goes wrong on the wire comes out as quality, as `changes()` and as refusals; asyncua's own tracebacks would only repeat it.
logging.getLogger("asyncua").setLevel(logging.CRITICAL)

_Ua = Any  # a value of asyncua's, whose types do not say what may be None
ua: _Ua = asyncua.ua


class OpcUaDriver:
    """All modules of one site as one source of readings and one sink of set-points."""

    def __init__(self, plant: SitePlant, *, clock: Clock, answer_limit_s: float = ANSWER_LIMIT_S, trust: OpcUaTrust | None = None) -> None:
        """Nothing is connected before `start` or the first `read`; a module without an endpoint is refused at once.

        `trust` is needed where the plant document asks for security.
        """
        self.index = TagIndex([signal.tag for signal in plant.signals()])
        self._changes: list[tuple[str, bool, str]] = []
        self._started = False
        self._clock = clock
        self._since: dict[ModuleId, datetime] = {}
        self._links: dict[ModuleId, _Link] = {}
        self._where: dict[str, tuple[_Link, _Channel]] = {}
        self._settings: dict[str, str | None] = {}  # None: of a module that did not answer
        self._told: Mapping[str, str] = {}
        for unit in plant.units.values():
            for module in unit.modules.values():
                channels = [_Channel.of(signal, self.index) for signal in unit.signals.values() if signal.module == module.id]
                link = _Link(module, channels, limit_s=answer_limit_s, changed=self._changed, trust=trust)
                self._settings.update(dict.fromkeys(each.key for each in module.settings.values()))
                self._links[module.id] = link
                self._where.update({channel.signal.tag: (link, channel) for channel in channels})

    async def start(self) -> None:
        """Begin to connect, and wait at most `CONNECT_LIMIT_S` for those modules that answer at once."""
        self._started = True
        await asyncio.gather(*(link.start() for link in self._links.values()))

    async def close(self) -> None:
        """Close every connection. Equipment keeps its last set-points."""
        await asyncio.gather(*(link.close() for link in self._links.values()))

    async def __aenter__(self) -> OpcUaDriver:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def read(self, at: datetime) -> Frame:
        """The newest value of every signal; those of a module that is gone or late are BAD."""
        if not self._started:
            await self.start()
        values = np.full(len(self.index.tags), math.nan)
        quality = np.full(len(self.index.tags), int(Quality.BAD), dtype=np.uint8)
        links, overflowed = tuple(self._links.values()), set[str]()
        for link, answer in zip(links, await asyncio.gather(*(link.read() for link in links)), strict=True):
            self._take_settings(link, answer)
            for channel, data in zip(link.channels, answer, strict=False):  # no answer: all stay BAD
                values[channel.column], quality[channel.column] = channel.judge(data)
                if overflow(data):
                    overflowed.add(channel.signal.tag)
        return Frame(at, self.index, values, quality, frozenset(overflowed))

    async def settings(self) -> Mapping[str, str]:
        """What the newest poll read of every module's settings: the same object for as long as nothing changes."""
        return self._told

    def _take_settings(self, link: _Link, answer: Sequence[_Ua]) -> None:
        keys = link.keys
        raw = tuple(map(_raw, answer[len(link.channels) :])) if answer else None
        if not keys or (raw == link.settings_before and raw is not None):
            return
        link.settings_before = raw
        self._settings.update(dict.fromkeys(keys) if raw is None else zip(keys, map(read_text, raw), strict=True))
        self._told = {key: text for key, text in self._settings.items() if text is not None}

    async def write(self, setpoints: Mapping[str, float]) -> Mapping[str, str]:
        """Write canonical values by tag; gives the tags that were refused, and why."""
        refused: dict[str, str] = {}
        orders: dict[_Link, list[tuple[_Channel, float]]] = {}
        for tag, value in setpoints.items():
            if why := self._refusal(tag, value):
                refused[tag] = why
            else:
                link, channel = self._where[tag]
                orders.setdefault(link, []).append((channel, value))
        for answers in await asyncio.gather(*(link.write(_amounts_first(each)) for link, each in orders.items())):
            refused.update(answers)
        return refused

    def connections(self) -> Mapping[ModuleId, Connection]:
        """Where each module's connection stands now."""
        return {module: link.state for module, link in self._links.items()}

    def since(self) -> Mapping[ModuleId, datetime]:
        """When each module's connection last came or went, by the node's clock."""
        return dict(self._since)

    def changes(self) -> list[tuple[str, bool, str]]:
        """(module, up, why) for each module lost or restored since this was last asked, oldest first."""
        since, self._changes = self._changes, []
        return since

    def session(self, module: ModuleId) -> Any:
        """The client that is connected to a module now, None while there is none: for a driver that does more than read and write."""
        return self._links[module]._client

    def lose(self, module: ModuleId, client: Any, trouble: BaseException) -> None:
        """From now on nothing is asked of this connection; another is made."""
        self._links[module]._lose(client, trouble)

    def _refusal(self, tag: str, value: float) -> str:
        if tag not in self._where:
            return "the plant document does not name it"
        known = self._where[tag][1].signal.cls
        if known.role is not Role.SETPOINT:
            return "it is a measurement"
        if not (math.isfinite(value) and known.low <= value <= known.high):
            return f"{value:g} is not within {known.low:g} to {known.high:g} {known.unit}"
        return ""

    def _changed(self, module: ModuleId, state: Connection, why: str, *, news: bool) -> None:
        self._since[module] = self._clock.now().at
        if news:
            self._changes.append((module, state is Connection.CONNECTED, why))
            del self._changes[:-CHANGES_MAX]


def overflow(data: _Ua) -> bool:
    """Whether the module says that its queue lost values before this one: OPC 10000-4, StatusCode: InfoType DataValue, Overflow bit."""
    return data is not None and data.StatusCode is not None and data.StatusCode.value & OVERFLOW == OVERFLOW


def _raw(data: _Ua) -> object:
    """What a module answered for a setting; None where it cannot tell."""
    if data is None or data.Value is None or (data.StatusCode is not None and data.StatusCode.is_bad()):
        return None
    return data.Value.Value


def _amounts_first(orders: Iterable[tuple[_Channel, float]]) -> list[tuple[_Channel, float]]:
    """Within one request, every amount before any dose number: a module acts on the number."""
    return sorted(orders, key=lambda order: order[0].signal.cls.name.endswith(DOSE_NUMBER))


@dataclass(slots=True)
class _Channel:
    """One signal: where it stands in a frame, and how its numbers convert."""

    signal: Signal
    column: int
    to_canonical: Any
    to_native: Any
    variant: _Ua = None  # the type in which the module holds it, learnt from what it answers

    @classmethod
    def of(cls, signal: Signal, index: TagIndex) -> _Channel:
        native, canonical = signal.native_unit, signal.cls.unit
        return cls(signal, index.of(signal.tag), converter(native, canonical), converter(canonical, native))

    def judge(self, data: _Ua) -> tuple[float, int]:
        """Value and quality of what the module answered; nothing that it can answer raises."""
        if data is None or data.Value is None or (data.StatusCode is not None and data.StatusCode.is_bad()):
            return math.nan, Quality.BAD
        raw = data.Value.Value
        if type(raw) not in (float, int):  # a text, an array, a truth value, nothing
            return math.nan, Quality.BAD
        try:
            value = float(self.to_canonical(float(raw)))
        except (OverflowError, ValueError):
            return math.nan, Quality.BAD
        known = self.signal.cls
        if not known.low <= value <= known.high:  # NaN and infinity are not either
            return math.nan, Quality.BAD
        self.variant = data.Value.VariantType
        certain = data.StatusCode is None or data.StatusCode.is_good()
        return value, Quality.GOOD if certain else Quality.UNCERTAIN

    def order(self, node: _Ua, value: float) -> _Ua:
        """One item of a Write request, in the type that the module holds."""
        native = float(self.to_native(value))
        whole = self.variant in _WHOLE
        variant = self.variant if whole or self.variant is ua.VariantType.Float else ua.VariantType.Double
        item = ua.WriteValue()
        item.NodeId, item.AttributeId = node, ua.AttributeIds.Value
        item.Value = ua.DataValue(ua.Variant(round(native) if whole else native, variant))
        return item


_WHOLE = frozenset(getattr(ua.VariantType, name) for name in ("SByte", "Byte", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64"))


class _Link:
    """One module's connection, kept alive by a task of its own."""

    def __init__(self, module: Module, channels: Sequence[_Channel], *, limit_s: float, changed: Any, trust: OpcUaTrust | None) -> None:
        if module.security is not None and trust is None:
            raise NotValid(f"cannot secure the connection to {module.id}", why="no folder of certificates was given")
        self._trust = trust
        if not module.endpoint.startswith("opc.tcp://"):
            raise NotValid(f"cannot reach {module.id} at {module.endpoint!r}", why="the form is opc.tcp://host:port")
        self.module, self.channels, self.limit_s = module, tuple(channels), limit_s
        self.keys = tuple(setting.key for setting in module.settings.values())
        self.settings_before: tuple[object, ...] | None = ()
        self.state = Connection.CONNECTING
        self._changed = changed
        self._client: _Ua = None
        self._nodes: dict[str, _Ua] = {}  # by tag
        self._read: _Ua = None
        self._failed = asyncio.Event()
        self._first = asyncio.Event()  # the first attempt is over
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._keep(), name=f"opcua {self.module.id}")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_LIMIT_S):
                await self._first.wait()

    async def close(self) -> None:
        # Again until it is heard: asyncua may swallow a cancellation while it tidies up.
        while self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CANCEL_AGAIN_S)

    async def read(self) -> Sequence[_Ua]:
        """One Read request for all signals; nothing if the module did not answer in time."""
        client = self._client
        if client is None:
            return ()
        try:
            async with asyncio.timeout(self.limit_s):
                answer = await client.uaclient.read(self._read)
        except Exception as trouble:  # asyncua raises many unrelated types on a broken link or a malformed answer
            self._lose(client, trouble)
            return ()
        return answer if len(answer) == len(self.channels) + len(self.keys) else ()

    async def write(self, orders: Sequence[tuple[_Channel, float]]) -> dict[str, str]:
        """One Write request, in the given order; what was refused, and why."""
        client = self._client
        if client is None:
            return {channel.signal.tag: f"module {self.module.id} is {self.state}" for channel, _ in orders}
        request = ua.WriteParameters()
        request.NodesToWrite = [channel.order(self._nodes[channel.signal.tag], value) for channel, value in orders]
        try:
            async with asyncio.timeout(self.limit_s):
                answers = await client.uaclient.write(request)
        except ua.UaStatusCodeError as trouble:  # the module answered, and refused the request as a whole
            return {channel.signal.tag: _said(trouble) for channel, _ in orders}
        except Exception as trouble:
            self._lose(client, trouble)
            return {channel.signal.tag: f"module {self.module.id} did not answer; it may have been written" for channel, _ in orders}
        said = [status.name if not status.is_good() else "" for status in answers]
        said += ["no answer to this item"] * (len(orders) - len(said))
        return {channel.signal.tag: why for (channel, _), why in zip(orders, said, strict=False) if why}

    def _lose(self, client: _Ua, trouble: BaseException) -> None:
        """From now on nothing is asked of this connection; the keeping task makes another."""
        if client is self._client:
            self._client = None
            self._become(Connection.LOST, _said(trouble))
            self._failed.set()

    def _become(self, state: Connection, why: str) -> None:
        before, self.state = self.state, state
        if before is not state:  # a first connection is no news, a first failure is
            self._changed(self.module.id, state, why, news=(before, state) != (Connection.CONNECTING, Connection.CONNECTED))

    async def _keep(self) -> None:
        """Connect, wait until it fails, close, wait longer each time, connect again; for ever."""
        backoff = BACKOFF_MIN_S
        client: _Ua = None
        try:
            while True:
                client = Client(self.module.endpoint, timeout=self.limit_s, watchdog_intervall=WATCHDOG_S, auto_reconnect=False)
                client.session_timeout = SESSION_MS
                try:
                    async with asyncio.timeout(CONNECT_LIMIT_S):
                        await self._connect(client)
                except Exception as trouble:
                    self._become(Connection.LOST, _said(trouble))
                else:
                    backoff = BACKOFF_MIN_S
                    self._failed.clear()
                    self._client = client
                    self._become(Connection.CONNECTED, "")
                    self._first.set()
                    await self._failed.wait()
                self._first.set()
                await _closed(client)
                await asyncio.sleep(backoff)  # wall clock: the wire does not run on process time
                backoff = min(backoff * 2.0, BACKOFF_MAX_S)
        finally:
            self._client = None
            await _closed(client)

    async def _connect(self, client: _Ua) -> None:
        if self.module.security is not None and self._trust is not None:
            await self._trust.secure(client, self.module)
        await client.connect()
        client.connection_lost_callback = lambda trouble: self._on_lost(client, trouble)
        spaces = await client.get_namespace_array()
        self._nodes = {channel.signal.tag: _node_id(channel.signal.node, spaces) for channel in self.channels}
        request = ua.ReadParameters()
        request.TimestampsToReturn = ua.TimestampsToReturn.Source
        for node in (*self._nodes.values(), *(_node_id(each.node, spaces) for each in self.module.settings.values())):
            item = ua.ReadValueId()
            item.NodeId, item.AttributeId = node, ua.AttributeIds.Value
            request.NodesToRead.append(item)
        self._read = request

    async def _on_lost(self, client: _Ua, trouble: BaseException) -> None:
        self._lose(client, trouble)


def _node_id(text: str, spaces: Sequence[str]) -> _Ua:
    """The node id in this session's namespace table: indexes may differ after a restart, addresses do not."""
    if text.startswith("nsu="):
        uri, _, rest = text[4:].partition(";")
        if uri not in spaces:
            raise NotValid(f"cannot find node {text[:80]}", why=f"the module has no namespace {uri[:80]}")
        text = f"ns={list(spaces).index(uri)};{rest}"
    return ua.NodeId.from_string(text)


def _said(trouble: BaseException) -> str:
    if isinstance(trouble, TimeoutError):
        return "no answer in time"
    if isinstance(trouble, Refusal):
        return str(trouble)[:400]
    return f"{type(trouble).__name__}: {trouble}"[:160].rstrip(": ")


async def _closed(client: _Ua) -> None:
    """Say goodbye if the peer still listens, and let go of the socket in any case."""
    if client is None:
        return
    with contextlib.suppress(Exception):
        async with asyncio.timeout(CLOSE_LIMIT_S):
            await client.disconnect()
    with contextlib.suppress(Exception):
        client.disconnect_socket()
