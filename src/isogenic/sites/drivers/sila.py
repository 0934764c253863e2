"""Readings, set-points and commands of SiLA 2 devices: one client a device, features found at run time.

    Feature/Property                        a measurement: an observable property is subscribed to, another read in each scan
    Feature/Property <- Command(Parameter)  a set-point: told by the command, read back from the property
    Feature/Command                         the state of an observable command, as a service of VDI/VDE/NAMUR 2658-4 has it

    idle --start--> starting, execute --finished--> completed | --with an error--> aborted;  completed, aborted --reset--> idle

Guarantees: nothing is generated, and nothing is assumed of a device but what it says of itself; one that is
gone or late makes its signals BAD at once and delays no scan by more than the limit; a property that the device
answers with an error is BAD alone. A command is noted in the site's folder before it is sent, with its number,
and its execution is found again after a crash: it is started once. What a crash left unknown is BAD until a
`reset` says that a person has looked.
Leaves to others: what to tell (batches). Stop, abort and hold are the device's own commands of that name in the
same feature; one that it lacks is refused. Needs the extra `sila`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from isogenic.clock import Clock
from isogenic.errors import NotFound, NotValid, Refusal
from isogenic.plant.model import Module, Role, SitePlant
from isogenic.plant.readings import Frame, TagIndex
from isogenic.plant.services import ServiceOrder, Unheard
from isogenic.plant.settings import read_text
from isogenic.records import codec
from isogenic.records.durable import write_whole
from isogenic.sites.drivers.links import Channel, Comings, Connection, channels_of, frame_of, refusal_of

__all__ = ["SilaDriver"]

ANSWER_LIMIT_S = 2.0
CONNECT_LIMIT_S = 10.0  # a channel, and one request for each feature
BACKOFF_MIN_S, BACKOFF_MAX_S = 0.2, 5.0
ADDRESS = re.compile(r"(\w+)/(\w+)(?: <- (\w+)\((\w+)\))?")
# StateCur of VDI/VDE/NAMUR 2658-4
IDLE, STARTING, EXECUTE, COMPLETED, ABORTED = 16, 8, 64, 131072, 512
STATUS = {0: STARTING, 1: EXECUTE, 2: COMPLETED, 3: ABORTED}  # SiLA 2 part B, command execution status
OWN_COMMANDS = {"stop": "Stop", "abort": "Abort", "hold": "Pause", "pause": "Pause", "unhold": "Resume", "resume": "Resume"}
_Sila = Any
logging.getLogger("sila").setLevel(logging.CRITICAL)  # what goes wrong comes out as quality, as changes and as refusals


def library() -> _Sila:
    """The client of the library, or a refusal that says how to get it."""
    try:
        import sila.client
    except ImportError as trouble:
        raise NotValid("cannot speak SiLA 2", why="the extra sila is not installed", possible='pip install "isogenic[sila]"') from trouble
    return sila.client


class SilaDriver:
    """All SiLA 2 devices of one site."""

    def __init__(self, plant: SitePlant, *, clock: Clock, answer_limit_s: float = ANSWER_LIMIT_S, folder: Path | None = None) -> None:
        """`folder` keeps which commands were started, and whom the site trusts (`trusted/MODULE.pem`)."""
        sila = library()
        self.index = TagIndex([signal.tag for signal in plant.signals()])
        modules = channels_of(plant, self.index)
        self._comings = Comings(clock, modules)
        self._devices = [_Device(sila, module, channels, self._comings, answer_limit_s, folder) for module, channels in modules.values()]
        self._of_tag = {channel.signal.tag: (device, channel) for device in self._devices for channel in device.channels}
        self._told: Mapping[str, str] = {}
        self.connections, self.since, self.changes = self._comings.connections, self._comings.since, self._comings.changes

    async def start(self) -> None:
        """Begin to connect, and wait a while for those that answer at once."""
        await asyncio.gather(*(device.start() for device in self._devices))

    async def close(self) -> None:
        """Close every connection. What a device was told goes on."""
        await asyncio.gather(*(device.close() for device in self._devices))

    async def __aenter__(self) -> SilaDriver:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def read(self, at: datetime) -> Frame:
        """The newest value of every signal; those of a device that is gone or late are BAD."""
        answers = await asyncio.gather(*(device.read() for device in self._devices))
        told = {key: text for _, settings in answers for key, text in settings.items()}
        self._told = self._told if told == self._told else told
        return frame_of(at, self.index, ((channel, raw) for values, _ in answers for channel, raw in values))

    async def settings(self) -> Mapping[str, str]:
        """What the newest poll read of the devices' settings."""
        return self._told

    async def write(self, setpoints: Mapping[str, float]) -> Mapping[str, str]:
        """Tell set-points by their commands; gives the tags that were refused, and why."""
        answers = await asyncio.gather(*(self._write(tag, value) for tag, value in setpoints.items()))
        return {tag: why for tag, why in zip(setpoints, answers, strict=True) if why}

    async def _write(self, tag: str, value: float) -> str:
        if tag not in self._of_tag:
            return "the plant document does not name it"
        device, channel = self._of_tag[tag]
        return refusal_of(channel.signal, value) or await device.tell(channel, value)

    async def order(self, orders: Mapping[str, ServiceOrder]) -> Mapping[str, str]:
        """Start, stop or reset observable commands by `UNIT.service`; gives what was refused, and why."""
        refused = {}
        for name, order in orders.items():
            found = self._of_tag.get(f"{name}_state")
            why = await found[0].order(found[1], order) if found else "no signal of the plant document tells the state of this service"
            if why:
                refused[name] = why
        return refused


class _Device:
    """One device's connection, kept alive by a task of its own."""

    def __init__(self, sila: _Sila, module: Module, channels: tuple[Channel, ...], comings: Comings, limit_s: float, folder: Path | None) -> None:
        scheme, _, place = module.endpoint.partition("://")
        self.host, _, port = place.rpartition(":")
        if scheme not in ("sila", "silas") or not self.host or not port.isdigit():
            raise NotValid(f"cannot reach {module.id} at {module.endpoint!r}", why="the form is silas://host:port")
        self.module, self.channels, self.port, self.secure = module, channels, int(port), scheme == "silas"
        self._sila, self._comings, self._limit_s, self._folder = sila, comings, limit_s, folder
        self._client: _Sila = None
        self._failed, self._first = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._newest: dict[str, object] = {}  # by address: what subscriptions told last
        self._streams: list[asyncio.Task[None]] = []
        self._started: dict[str, dict[str, Any]] = self._remembered()  # by address of the command
        self._executions: dict[str, _Sila] = {}

    # ---- connecting ----

    async def start(self) -> None:
        self._task = asyncio.create_task(self._keep(), name=f"sila {self.module.id}")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_LIMIT_S):
                await self._first.wait()

    async def close(self) -> None:
        while self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=0.1)

    async def _keep(self) -> None:
        backoff = BACKOFF_MIN_S
        client: _Sila = None
        try:
            while True:
                try:
                    client = self._sila.Client(self._config())
                    async with asyncio.timeout(CONNECT_LIMIT_S):
                        await client.open()
                    await self._meet(client)
                except Exception as trouble:  # gRPC and the library raise many unrelated types
                    self._comings.become(self.module.id, Connection.LOST, _said(trouble))
                else:
                    backoff = BACKOFF_MIN_S
                    self._failed.clear()
                    self._client = client
                    self._comings.become(self.module.id, Connection.CONNECTED)
                    self._first.set()
                    await self._failed.wait()
                self._first.set()
                await self._leave(client)
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2.0, BACKOFF_MAX_S)
        finally:
            self._client = None
            await self._leave(client)

    def _config(self) -> _Sila:
        trusted = self._folder / "trusted" / f"{self.module.id}.pem" if self._folder else None
        roots = trusted.read_bytes() if trusted is not None and trusted.exists() else None
        if self.secure and roots is None:
            raise NotFound(
                f"nobody trusts {self.module.id}", why=f"sila/trusted/{self.module.id}.pem is missing", possible="put its certificate there"
            )
        limit_ms = self._limit_s * 1000
        return self._sila.ClientConfig(hostname=self.host, port=self.port, tls=self.secure, root_certificates=roots, default_timeout=limit_ms)

    async def _meet(self, client: _Sila) -> None:
        """Find what the plant document speaks of, subscribe to what can be observed, and find executions again."""
        self._newest.clear()
        self._executions.clear()
        for channel in self.channels:
            kind, found = self._find(client, channel.signal.node)
            if kind == "property" and _observable(found):
                async with asyncio.timeout(self._limit_s):
                    stream = await found.subscribe()
                self._streams.append(asyncio.create_task(self._follow(client, channel.signal.node, stream)))
        for address, kept in self._started.items():
            kind, found = self._find(client, address)
            if kind == "command" and kept["uuid"] and not kept["ended"]:
                await self._find_again(address, found, kept)

    async def _find_again(self, address: str, command: _Sila, kept: dict[str, Any]) -> None:
        """The execution that this site started before it, or the device, was away."""
        execution = self._sila.CommandExecution(command, kept["uuid"])
        try:
            async with asyncio.timeout(self._limit_s):
                await execution.get_responses()
        except self._sila.CommandExecutionNotFinished:
            self._executions[address] = execution
        except (self._sila.SiLAConnectionError, self._sila.SiLATimeoutError, TimeoutError):
            raise
        except Exception:  # the device does not know it any more, or it ended with an error
            self._end(address, "aborted")
        else:
            self._end(address, "completed")

    async def _follow(self, client: _Sila, address: str, stream: _Sila) -> None:
        try:
            async for value in stream:
                self._newest[address] = value
            raise NotFound(f"{address} is told no more", why="the device ended the subscription")
        except Exception as trouble:
            self._newest.pop(address, None)
            self._lose(client, trouble)

    async def _leave(self, client: _Sila) -> None:
        streams, self._streams = self._streams, []
        for each in streams:
            each.cancel()
        if client is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(1.0):
                    await client.close()

    def _lose(self, client: _Sila, trouble: BaseException) -> None:
        if client is self._client:
            self._client = None
            self._comings.become(self.module.id, Connection.LOST, _said(trouble))
            self._failed.set()

    def _find(self, client: _Sila, address: str) -> tuple[str, _Sila]:
        """('property' or 'command', it), or ('', None) where the device has nothing of that name."""
        parts = ADDRESS.fullmatch(address)
        for feature in client.features.values() if parts else ():
            if parts and feature.identifier == parts[1]:
                if parts[2] in feature.properties:
                    return "property", feature.properties[parts[2]]
                if parts[2] in feature.commands:
                    return "command", feature.commands[parts[2]]
        return "", None

    # ---- reading ----

    async def read(self) -> tuple[list[tuple[Channel, object]], dict[str, str]]:
        """What the device tells now; nothing if it did not answer in time."""
        client = self._client
        if client is None:
            return [], {}
        channels = [(channel, channel.signal.node) for channel in self.channels]
        settings = [(setting.key, setting.node) for setting in self.module.settings.values()]
        try:
            async with asyncio.timeout(self._limit_s):
                told = await asyncio.gather(
                    *(self._value(client, address) for _, address in (*channels, *settings)),
                    client.get_server_uuid(),  # a sign of life, where everything else is subscribed to
                )
        except Exception as trouble:
            self._lose(client, trouble)
            return [], {}
        values = [(channel, raw) for (channel, _), raw in zip(channels, told, strict=False)]
        return values, {key: read_text(raw) for (key, _), raw in zip(settings, told[len(channels) :], strict=False)}

    async def _value(self, client: _Sila, address: str) -> object:
        kind, found = self._find(client, address)
        if kind == "command":
            return self._state(address)
        if kind != "property":
            return None
        if _observable(found):
            return self._newest[address] if address in self._newest else await found.read()
        try:
            return await found.read()
        except (self._sila.DefinedExecutionError, self._sila.UndefinedExecutionError, self._sila.DecodeError, self._sila.ConversionError):
            return None  # the device is there, and does not tell this

    def _state(self, address: str) -> float | None:
        kept, execution = self._started.get(address), self._executions.get(address)
        if kept is None:
            return IDLE
        if kept["ended"]:
            return COMPLETED if kept["ended"] == "completed" else ABORTED
        if execution is None:
            return None  # it may run: nobody knows
        status = STATUS.get(int(execution.status), ABORTED)
        if status in (COMPLETED, ABORTED):
            self._end(address, "completed" if status == COMPLETED else "aborted")
        return status

    # ---- telling ----

    async def tell(self, channel: Channel, value: float) -> str:
        """Tell one set-point by its command; why it was refused."""
        client, parts = self._client, ADDRESS.fullmatch(channel.signal.node)
        if client is None:
            return f"module {self.module.id} is {self._comings.state(self.module.id)}"
        if parts is None or parts[3] is None or channel.signal.cls.role is not Role.SETPOINT:
            return "the plant document names no command that sets it"
        kind, command = self._find(client, f"{parts[1]}/{parts[3]}")
        if kind != "command" or parts[4] not in command.parameters:
            return f"the device has no command {parts[3]} with a parameter {parts[4]}"
        return await self._execute(client, command, {parts[4]: _native(command, parts[4], channel.to_native(value))})

    async def _execute(self, client: _Sila, command: _Sila, parameters: dict[str, float | int]) -> str:
        try:
            async with asyncio.timeout(self._limit_s):
                await command.execute(parameters)
        except (self._sila.SiLAConnectionError, self._sila.SiLATimeoutError, TimeoutError) as trouble:
            self._lose(client, trouble)
            return Unheard(f"module {self.module.id} did not answer; it may have been told")
        except Exception as trouble:  # the device refuses: out of range, not accepted, an error of its own
            return _said(trouble)
        return ""

    async def order(self, channel: Channel, order: ServiceOrder) -> str:
        """One order to an observable command; why it was refused."""
        client, address = self._client, channel.signal.node
        if client is None:
            return Unheard(f"module {self.module.id} is {self._comings.state(self.module.id)}")
        kind, command = self._find(client, address)
        if kind != "command" or not _observable(command):
            return f"the device has no observable command {address}"
        if order.command == "start":
            return await self._start(client, address, command, order)
        if order.command == "reset":
            if self._state(address) in (STARTING, EXECUTE):
                return "it runs: stop it first"
            self._started.pop(address, None)
            self._executions.pop(address, None)
            self._remember()
            return ""
        own = OWN_COMMANDS.get(order.command, "")
        feature = address.partition("/")[0]
        kind, found = self._find(client, f"{feature}/{own}") if own else ("", None)
        if kind != "command" or found is None or found.parameters:
            return f"the device has no command for {order.command}"
        return await self._execute(client, found, {})

    async def _start(self, client: _Sila, address: str, command: _Sila, order: ServiceOrder) -> str:
        kept = self._started.get(address)
        if kept is not None and kept["number"] == order.number:
            return ""  # told already
        if self._state(address) != IDLE:
            return "it is not idle"
        parameters = {}
        for name, value in order.parameters.items():
            known = next((each for each in command.parameters if each in (name, _pascal(name))), None)
            if known is None:
                return f"the device's command has no parameter {name}; it has {', '.join(command.parameters) or 'none'}"
            parameters[known] = _native(command, known, value)
        self._started[address] = {"uuid": "", "number": order.number, "ended": ""}
        self._remember()  # before it is told: a crash in between leaves it unknown, never told twice
        try:
            async with asyncio.timeout(self._limit_s):
                execution = await command.execute(parameters)
        except (self._sila.SiLAConnectionError, self._sila.SiLATimeoutError, TimeoutError) as trouble:
            self._lose(client, trouble)
            return Unheard(f"module {self.module.id} did not answer; it may have been started")
        except Exception as trouble:  # the device refused: nothing runs
            del self._started[address]
            self._remember()
            return _said(trouble)
        self._executions[address] = execution
        self._started[address]["uuid"] = str(execution.command_execution_uuid)
        self._remember()
        return ""

    def _end(self, address: str, how: str) -> None:
        if address in self._started and not self._started[address]["ended"]:
            self._started[address]["ended"] = how
            self._remember()

    # ---- remembering ----

    def _path(self) -> Path | None:
        return None if self._folder is None else self._folder / f"{self.module.id}.json"

    def _remembered(self) -> dict[str, dict[str, Any]]:
        path = self._path()
        if path is None or not path.exists():
            return {}
        kept = codec.loads(path.read_bytes(), what=path.name)
        right = isinstance(kept, dict) and all(isinstance(each, dict) and {"uuid", "number", "ended"} <= each.keys() for each in kept.values())
        if not right:
            raise NotValid(
                f"cannot read {path.name}", why="it does not say which commands were started", possible="look at the device, then remove it"
            )
        return {str(key): dict(each) for key, each in kept.items()}

    def _remember(self) -> None:
        path = self._path()
        if path is not None:
            write_whole(path, codec.dumps(self._started))


def _observable(found: _Sila) -> bool:
    return bool(getattr(found, "observable", False))


def _native(command: _Sila, name: str, value: float) -> float | int:
    """A number in the type that the parameter has."""
    kind = str(getattr(command.parameters[name].data_type, "__name__", ""))
    return round(value) if kind == "Integer" and math.isfinite(value) else value


def _pascal(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _said(trouble: BaseException) -> str:
    if isinstance(trouble, TimeoutError):
        return "no answer in time"
    if isinstance(trouble, Refusal):
        return str(trouble)[:400]
    return f"{type(trouble).__name__}: {trouble}"[:160].rstrip(": ")
