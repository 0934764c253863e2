"""Modules with a manifest (MTP): their values as readings, their services told over OPC UA.

Guarantees: everything that the OPC UA driver does for readings, set-points, settings and lost
modules, by the names of the manifest; a value whose quality word (WQC) is uncertain or bad is so;
a StateCur that is no state of the standard is BAD; a value whose unit at the module is not the one
that the plant document states is BAD.
An order is carried out by the state that the module is in, read afresh each time, so that telling it
again is harmless and nothing is assumed after a reconnection:

    1. read state, mode, source, CommandEn, OSLevel
    2. what is so already is done; local control and impossible states are refused
    3. automatic operation, external source: requested, each confirmed by its ...Act
    4. with a start: parameters (VExt, confirmed by VReq), procedure (ProcedureExt, by ProcedureReq)
    5. one command bit, only if CommandEn has it; confirmed by StateCur, parameters by VOut

Every request has a limit, every confirmation too; what was not confirmed is a refusal with what
was seen instead. Nothing is told to a module that does not answer, and a lost link says nothing of
what the service does. A person's operator mode is taken over by a start from idle only.
Leaves to others: what to order and when (batches), what a state means for a batch.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import asyncua.ua
import numpy as np
from numpy.typing import NDArray

from isogenic.checks import stops
from isogenic.clock import Clock, monotonic_seconds
from isogenic.errors import NotFound, NotValid
from isogenic.ids import ModuleId
from isogenic.plant.model import BoundService, Module, Role, Signal, SignalClass, SitePlant, Unit
from isogenic.plant.mtp.checking import Names, check_services, found_parameter, found_procedure, found_service, names_of
from isogenic.plant.mtp.comparing import type_digest
from isogenic.plant.mtp.model import DataAssembly, Item, Kind, Manifest
from isogenic.plant.mtp.states import COMMANDS, FINAL, NEXT, Command, ServiceState, state_of
from isogenic.plant.mtp.units import unit_of
from isogenic.plant.readings import Frame, Quality, TagIndex
from isogenic.plant.services import STATE_SIGNAL, ServiceOrder, Unheard
from isogenic.sites.drivers.certificates import OpcUaTrust
from isogenic.sites.drivers.opcua import ANSWER_LIMIT_S, Connection, OpcUaDriver
from isogenic.units import converter

__all__ = ["CONFIRM_LIMIT_S", "MtpDriver"]

CONFIRM_LIMIT_S = 2.0  # wall clock: a controller's cycle is far below; longer, and the order is told as not confirmed
LOOK_AGAIN_S = 0.004  # between two looks at what has to be confirmed
WQC_CERTAIN, WQC_UNCERTAIN = 0x80, 0x40  # 2658-3: the quality byte of PROFIBUS PA; below 0x40 it is bad
FLOAT32 = 2.0**-22  # relative: what is asked for in 64 bits is held in 32
_NODE = re.compile(r"((ns=\d{1,5};|nsu=[^;]{1,200};)?[isgb]=)")
_HIDDEN = "~"  # in the name of a signal that only this driver reads; no plant document can name one
_QUALITY, _UNIT = "~quality", "~unit"

_Ua = Any  # a value of asyncua's, whose types do not say what may be None
ua: _Ua = asyncua.ua

# Where a command leads, and where it may have led on by itself before anybody looked.
_LED: Mapping[Command, frozenset[ServiceState]] = {
    Command.START: frozenset({ServiceState.STARTING, ServiceState.EXECUTE, ServiceState.COMPLETING, ServiceState.COMPLETED}),
    Command.RESTART: frozenset({ServiceState.STARTING, ServiceState.EXECUTE, ServiceState.COMPLETING, ServiceState.COMPLETED}),
    Command.COMPLETE: frozenset({ServiceState.COMPLETING, ServiceState.COMPLETED}),
    Command.PAUSE: frozenset({ServiceState.PAUSING, ServiceState.PAUSED}),
    Command.RESUME: frozenset({ServiceState.RESUMING, ServiceState.EXECUTE, ServiceState.COMPLETING, ServiceState.COMPLETED}),
    Command.HOLD: frozenset({ServiceState.HOLDING, ServiceState.HELD}),
    Command.UNHOLD: frozenset({ServiceState.UNHOLDING, ServiceState.EXECUTE, ServiceState.COMPLETING, ServiceState.COMPLETED}),
    Command.STOP: frozenset({ServiceState.STOPPING, ServiceState.STOPPED, ServiceState.ABORTING, ServiceState.ABORTED}),  # or further
    Command.ABORT: frozenset({ServiceState.ABORTING, ServiceState.ABORTED}),
    Command.RESET: frozenset({ServiceState.RESETTING, ServiceState.IDLE}),
}
_OVER = FINAL | {ServiceState.STOPPING, ServiceState.ABORTING, ServiceState.RESETTING}


class MtpDriver:
    """All modules of one site that have a manifest, as one source of readings, one sink of set-points and of orders."""

    def __init__(
        self,
        plant: SitePlant,
        manifests: Mapping[ModuleId, Manifest],
        *,
        clock: Clock,
        answer_limit_s: float = ANSWER_LIMIT_S,
        confirm_limit_s: float = CONFIRM_LIMIT_S,
        trust: OpcUaTrust | None = None,
    ) -> None:
        """Refused at once, with every reason, where a manifest lacks what the plant document binds. `trust`: as for OPC UA."""
        self.index = TagIndex([signal.tag for signal in plant.signals()])
        self._answer_s, self._confirm_s = answer_limit_s, confirm_limit_s
        self._services: dict[str, _Service] = {}
        reasons: list[str] = []
        for unit in plant.units.values():
            for name, module in unit.modules.items():
                reasons += _misfits(unit, module, manifests.get(name), self._services)
        if reasons:
            raise NotValid(f"cannot drive the modules of {plant.site}", why="; ".join(reasons[:10]), possible="isogenic module check")
        known = {unit.id: _resolved(unit, manifests, self._services) for unit in plant.units.values()}
        self._inner = OpcUaDriver(replace(plant, units=known), clock=clock, answer_limit_s=answer_limit_s, trust=trust)
        self._own = np.array([self._inner.index.of(tag) for tag in self.index.tags], dtype=np.intp)
        self._judged = [_Judged.of(tag, known, self.index, self._inner.index) for tag in self.index.tags]
        self._busy = {key: asyncio.Lock() for key in self._services}
        self._spaces: dict[ModuleId, tuple[Any, tuple[str, ...]]] = {}  # of which session, its namespaces

    async def start(self) -> None:
        """Begin to connect."""
        await self._inner.start()

    async def close(self) -> None:
        """Close every connection. Services go on as they are."""
        await self._inner.close()

    async def __aenter__(self) -> MtpDriver:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def connections(self) -> Mapping[ModuleId, Connection]:
        """Where each module's connection stands now."""
        return self._inner.connections()

    def since(self) -> Mapping[ModuleId, datetime]:
        """When each module's connection last came or went, by the node's clock."""
        return self._inner.since()

    def changes(self) -> list[tuple[str, bool, str]]:
        """(module, up, why) for each module lost or restored since this was last asked."""
        return self._inner.changes()

    async def settings(self) -> Mapping[str, str]:
        """What the newest poll read of every module's settings."""
        return await self._inner.settings()

    async def write(self, setpoints: Mapping[str, float]) -> Mapping[str, str]:
        """Write canonical values by tag; gives the tags that were refused, and why."""
        hidden = {tag: "the plant document does not name it" for tag in setpoints if _HIDDEN in tag}
        return {**await self._inner.write({tag: value for tag, value in setpoints.items() if tag not in hidden}), **hidden}

    async def read(self, at: datetime) -> Frame:
        """The newest value of every signal; those of a module that is gone or late are BAD."""
        frame = await self._inner.read(at)
        values, quality = frame.values[self._own], frame.quality[self._own]
        for each in self._judged:
            each.judge(frame, values, quality)
        return Frame(at, self.index, values, quality, frozenset(tag for tag in frame.overflowed if _HIDDEN not in tag))

    # ---- orders ----

    async def order(self, orders: Mapping[str, ServiceOrder]) -> Mapping[str, str]:
        """Carry out each order, by `UNIT.service`; gives those that were not, and why. Telling the same again is harmless."""
        answers = await asyncio.gather(*(self._ordered(key, order) for key, order in orders.items()))
        return {key: why for key, why in zip(orders, answers, strict=True) if why}

    async def _ordered(self, key: str, order: ServiceOrder) -> str:
        service = self._services.get(key)
        if service is None:
            return "no module of the plant document has this service"
        async with self._busy[key]:
            client = self._inner.session(service.module)
            if client is None:
                return Unheard(f"module {service.module} is {self._inner.connections()[service.module]}: nothing is known of its service")
            try:
                talk = _Talk(client, await self._namespaces(service.module, client), self._answer_s, self._confirm_s)
                await service.carry_out(order, talk)
            except _NotDone as not_done:
                return str(not_done)[:300]
            except ua.UaStatusCodeError as trouble:  # the module answered, and refused the request as a whole
                return f"module {service.module} refused a request: {type(trouble).__name__}"
            except Exception as trouble:  # asyncua raises many unrelated types on a broken link or a malformed answer
                self._inner.lose(service.module, client, trouble)
                return Unheard(f"module {service.module} did not answer; it may have been told")
            return ""

    async def _namespaces(self, module: ModuleId, client: _Ua) -> tuple[str, ...]:
        """The module's namespaces in this session: their order may differ after a restart."""
        known = self._spaces.get(module)
        if known is None or known[0] is not client:
            spaces = await asyncio.wait_for(client.get_namespace_array(), self._answer_s)
            known = self._spaces[module] = (client, tuple(map(str, spaces)))
        return known[1]


class _NotDone(Exception):
    """An order that was not carried out, and why."""


# ---- one service ----


@dataclass(frozen=True, slots=True)
class _Parameter:
    """One parameter of one procedure, and how its numbers convert."""

    name: str  # ours
    assembly: DataAssembly
    configuration: bool
    to_native: Callable[[float], float]


@dataclass(frozen=True, slots=True)
class _Service:
    """One service as its module has it."""

    key: str
    module: ModuleId
    control: Mapping[str, Item]
    numbers: Mapping[str, int]  # procedure, ours -> ProcedureID
    default: str
    parameters: Mapping[str, Mapping[str, _Parameter]]  # procedure, ours -> parameter, ours

    async def carry_out(self, order: ServiceOrder, talk: _Talk) -> None:
        """Bring the service to where the order wants it, or raise why not."""
        command = COMMANDS.get(order.command)
        if command is None:
            raise _NotDone(f"{order.command[:40]!r} is no command; possible are {', '.join(COMMANDS)}")
        if command in (Command.START, Command.RESTART):
            self._check_words(order)
        seen = await talk.read({word: self.control[word] for word in _LOOKED_AT if word in self.control})
        state = self._state(seen)
        if self._so_already(command, state, order, seen):
            return
        if seen.get("OSLevel") == 0:
            raise _NotDone(f"a person operates it at the module (OSLevel 0); it is {_word(state)}")
        if command not in NEXT[state]:
            possible = ", ".join(each.name.lower() for each in NEXT[state]) or "nothing"
            raise _NotDone(f"it is {_word(state)}: {order.command} is not possible; possible are {possible}")
        await self._take_control(command, state, seen, talk)
        if command in (Command.START, Command.RESTART):
            await self._prepare(order, talk)
        await self._command(command, state, seen, talk)
        if command in (Command.START, Command.RESTART):
            await self._confirm_start(order, talk)

    def _check_words(self, order: ServiceOrder) -> None:
        """What can be known to be wrong before the module is asked anything."""
        way = order.procedure or self.default
        if way not in self.numbers:
            raise _NotDone(f"no procedure {way[:60]!r}; possible are {', '.join(self.numbers)}")
        unknown = sorted(order.parameters.keys() - self.parameters[way].keys())
        if unknown:
            raise _NotDone(f"procedure {way} has no parameter {unknown[0][:60]!r}; it has {', '.join(self.parameters[way]) or 'none'}")
        for name, value in order.parameters.items():
            if not math.isfinite(value):
                raise _NotDone(f"parameter {name} is {value}: no number")

    def _state(self, seen: Mapping[str, Any]) -> ServiceState:
        word = seen.get("StateCur")
        state = state_of(word) if isinstance(word, int) else None
        if state is None:
            raise _NotDone(f"it reports the impossible state {word}" if isinstance(word, int) else "it does not tell its state")
        return state

    def _so_already(self, command: Command, state: ServiceState, order: ServiceOrder, seen: Mapping[str, Any]) -> bool:
        """Whether the service is where the order wants it, or on its way. A run that is over may be another order's: it must be reset first."""
        if command is Command.START:
            if state is ServiceState.IDLE or state in _OVER:
                return False
            wanted, runs = self.numbers[order.procedure or self.default], seen.get("ProcedureCur")
            if runs and runs != wanted:
                raise _NotDone(f"it is {_word(state)} with procedure {runs}, not {wanted}")
            return True
        return command is not Command.RESTART and state in _LED[command]

    async def _take_control(self, command: Command, state: ServiceState, seen: Mapping[str, Any], talk: _Talk) -> None:
        """Automatic operation by an external source, each confirmed: otherwise CommandExt is not heard (2658-4, table 13)."""
        if seen.get("StateAutAct") is not True:
            if not (command is Command.START and state is ServiceState.IDLE):
                raise _NotDone(f"a person or nobody operates it (not in automatic mode); it is {_word(state)}")
            await self._switch("StateAutOp", "StateAutAct", "automatic mode", talk)
        if seen.get("StateAutAct") is not True or seen.get("SrcExtAct") is not True:
            await self._switch("SrcExtOp", "SrcExtAct", "external source", talk)

    async def _switch(self, request: str, actual: str, what: str, talk: _Talk) -> None:
        found = await talk.read({actual: self.control[actual]})
        if found[actual] is True:
            return
        await talk.write({request: (self.control[request], True)})
        if await talk.until({actual: self.control[actual]}, lambda seen: seen[actual] is True) is None:
            raise _NotDone(f"it does not go to {what}: {actual} stays off")

    async def _prepare(self, order: ServiceOrder, talk: _Talk) -> None:
        """Parameters first, then the procedure, each confirmed by what is requested now."""
        way = order.procedure or self.default
        known = {name: self.parameters[way][name] for name in order.parameters}
        await self._open_parameters(known, talk)
        wanted = {name: each.to_native(order.parameters[name]) for name, each in known.items()}
        if wanted:
            await talk.write({name: (known[name].assembly.items["VExt"], value) for name, value in wanted.items()})
            requested = {name: each.assembly.items["VReq"] for name, each in known.items()}
            if (await talk.until(requested, lambda seen: _same(wanted, seen))) is None:
                raise _NotDone(_not_taken("is requested", wanted, await talk.read(requested)))
        if any(each.configuration for each in known.values()) and "ConfigParamApplyExt" in self.control:
            await talk.write({"apply": (self.control["ConfigParamApplyExt"], True)})
        number = self.numbers[way]
        await talk.write({"procedure": (self.control["ProcedureExt"], number)})
        asked = {"ProcedureReq": self.control["ProcedureReq"]}
        if (await talk.until(asked, lambda seen: seen["ProcedureReq"] == number)) is None:
            raise _NotDone(f"procedure {way} ({number}) is not taken: ProcedureReq is {(await talk.read(asked))['ProcedureReq']}")

    async def _open_parameters(self, known: Mapping[str, _Parameter], talk: _Talk) -> None:
        """A parameter that does not follow its service's modes is switched by itself."""
        for request, actual in (("StateAutOp", "StateAutAct"), ("SrcExtOp", "SrcExtAct")):
            items = {name: each.assembly.items for name, each in known.items() if {request, actual} <= each.assembly.items.keys()}
            acts = {name: each[actual] for name, each in items.items()}
            seen = await talk.read(acts) if acts else {}
            shut = {name: items[name] for name, value in seen.items() if value is not True}
            if not shut:
                continue
            await talk.write({name: (each[request], True) for name, each in shut.items()})
            if (
                await talk.until({name: each[actual] for name, each in shut.items()}, lambda now: all(value is True for value in now.values()))
                is None
            ):
                raise _NotDone(f"parameters {', '.join(shut)} are not open: {actual} stays off")

    async def _command(self, command: Command, state: ServiceState, before: Mapping[str, Any], talk: _Talk) -> None:
        """Exactly one bit, only if it is enabled, confirmed by the state that it leads to."""
        words = {"CommandEn": self.control["CommandEn"]}

        def able(seen: Mapping[str, Any]) -> bool:
            return isinstance(seen["CommandEn"], int) and bool(seen["CommandEn"] & command)

        if not able(before) and await talk.until(words, able) is None:
            raise _NotDone(f"the module does not enable {command.name.lower()} in {_word(state)} (CommandEn)")
        await talk.write({"command": (self.control["CommandExt"], int(command))})
        current = {word: self.control[word] for word in ("StateCur", "CommandExt")}
        again = command is Command.RESTART  # from execute to execute: only the word that is set back tells that it was heard

        def left(seen: Mapping[str, Any]) -> bool:
            return seen["StateCur"] != state or (again and seen["CommandExt"] == 0)

        seen = await talk.until(current, left)
        if seen is None:
            raise _NotDone(f"{command.name.lower()} was told and is not confirmed: it is still {_word(state)}")
        now = self._state(seen)
        if now not in _LED[command]:
            raise _NotDone(f"{command.name.lower()} was told and it is {_word(now)}")

    async def _confirm_start(self, order: ServiceOrder, talk: _Talk) -> None:
        """What runs is what was asked for."""
        way = order.procedure or self.default
        number, known = self.numbers[way], {name: self.parameters[way][name] for name in order.parameters}
        wanted = {name: each.to_native(order.parameters[name]) for name, each in known.items()}
        in_force = {name: each.assembly.items["VOut"] for name, each in known.items()}
        if in_force and await talk.until(in_force, lambda seen: _same(wanted, seen)) is None:
            raise _NotDone(_not_taken("is in force", wanted, await talk.read(in_force)))
        if "ProcedureCur" in self.control:
            runs = (await talk.read({"ProcedureCur": self.control["ProcedureCur"]}))["ProcedureCur"]
            if runs not in (0, None, number):  # nought: it is over already
                raise _NotDone(f"it was started with procedure {number} and runs {runs}")


_LOOKED_AT = ("StateCur", "CommandEn", "ProcedureCur", "StateAutAct", "SrcExtAct", "OSLevel", "CommandExt")  # the last for its type only


def _word(state: ServiceState) -> str:
    return state.name.lower()


def _same(wanted: Mapping[str, float], seen: Mapping[str, Any]) -> bool:
    return all(_equal(value, seen.get(name)) for name, value in wanted.items())


def _equal(wanted: float, found: Any) -> bool:
    if isinstance(found, bool):
        return found == bool(wanted)
    if isinstance(found, int):
        return found == round(wanted)
    return isinstance(found, float) and abs(found - wanted) <= FLOAT32 * max(abs(wanted), abs(found))


def _not_taken(what: str, wanted: Mapping[str, float], seen: Mapping[str, Any]) -> str:
    told = [f"{name} {seen.get(name)} {what}, not {value:g}" for name, value in wanted.items() if not _equal(value, seen.get(name))]
    return "; ".join(told) or f"the parameters were not confirmed in time to be {what}"


# ---- one conversation ----


@dataclass(slots=True)
class _Talk:
    """Requests of one order, in one session, each with its limit."""

    client: _Ua
    spaces: Sequence[str]
    answer_s: float
    confirm_s: float
    variants: dict[str, _Ua] = field(default_factory=dict)  # of nodes, as the module holds them

    async def read(self, items: Mapping[str, Item]) -> dict[str, Any]:
        """One Read request; None for what is not told."""
        request = ua.ReadParameters()
        for item in items.values():
            one = ua.ReadValueId()
            one.NodeId, one.AttributeId = self._node(item), ua.AttributeIds.Value
            request.NodesToRead.append(one)
        answer = await asyncio.wait_for(self.client.uaclient.read(request), self.answer_s)
        found: dict[str, Any] = {}
        for (name, item), data in zip(items.items(), answer, strict=True):
            bad = data.Value is None or (data.StatusCode is not None and data.StatusCode.is_bad())
            found[name] = None if bad else data.Value.Value
            if not bad:
                self.variants[item.node] = data.Value.VariantType
        return found

    async def write(self, values: Mapping[str, tuple[Item, float | int | bool]]) -> None:
        """One Write request, each value in the type that the module holds it in."""
        unknown = {name: item for name, (item, _) in values.items() if item.node not in self.variants}
        if unknown:
            await self.read(unknown)
        request = ua.WriteParameters()
        for item, value in values.values():
            one = ua.WriteValue()
            one.NodeId, one.AttributeId = self._node(item), ua.AttributeIds.Value
            one.Value = ua.DataValue(_variant(value, self.variants.get(item.node)))
            request.NodesToWrite.append(one)
        answers = await asyncio.wait_for(self.client.uaclient.write(request), self.answer_s)
        refused = [f"{name}: {status.name}" for name, status in zip(values, answers, strict=True) if not status.is_good()]
        if refused:
            raise _NotDone(f"the module does not take {', '.join(refused)}")

    async def until(self, items: Mapping[str, Item], enough: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any] | None:
        """Look until it is so; None where it does not become so in time."""
        end = monotonic_seconds() + self.confirm_s
        while True:
            seen = await self.read(items)
            if enough(seen):
                return seen
            if monotonic_seconds() >= end:
                return None
            await asyncio.sleep(LOOK_AGAIN_S)

    def _node(self, item: Item) -> _Ua:
        if item.namespace not in self.spaces:
            raise _NotDone(f"the module has no namespace {item.namespace[:80]}")
        return ua.NodeId.from_string(f"ns={self.spaces.index(item.namespace)};{item.kind}={item.identifier}")


def _variant(value: float | int | bool, variant: _Ua) -> _Ua:
    kinds = ua.VariantType
    if variant is None:
        raise _NotDone("the module does not tell the type of what has to be written")
    if variant is kinds.Boolean:
        return ua.Variant(bool(value), variant)
    if variant in (kinds.Float, kinds.Double):
        return ua.Variant(float(value), variant)
    if variant in _RANGES and _RANGES[variant][0] <= round(value) <= _RANGES[variant][1]:
        return ua.Variant(round(value), variant)
    raise _NotDone(f"{value} cannot be written as {variant.name}")


_RANGES = {
    getattr(ua.VariantType, name): (-(2 ** (bits - 1)) if signed else 0, 2 ** (bits - 1) - 1 if signed else 2**bits - 1)
    for name, bits, signed in (
        ("SByte", 8, True),
        ("Byte", 8, False),
        ("Int16", 16, True),
        ("UInt16", 16, False),
        ("Int32", 32, True),
        ("UInt32", 32, False),
        ("Int64", 64, True),
        ("UInt64", 64, False),
    )
}


# ---- from a plant document and a manifest ----


def _misfits(unit: Unit, module: Module, manifest: Manifest | None, services: dict[str, _Service]) -> list[str]:
    """Why a manifest is not what the plant document binds; otherwise its services are added."""
    if manifest is None:
        return [f"there is no manifest of {module.id}"]
    if module.module_type and type_digest(manifest) != module.module_type:
        return [f"{module.id} is described by another module type than the released one ({manifest.name} {manifest.version})"]
    bound = [each for each in unit.services.values() if each.module == module.id]
    signals = {name: signal for name, signal in unit.signals.items() if signal.module == module.id}
    names = names_of(bound, signals)
    wanted = replace(unit.cls, services={each.cls.name: each.cls for each in bound})
    reasons = [f"{module.id}: {note.text}" for note in stops(check_services([manifest], wanted, names))]
    if not reasons:
        services.update({each.key: _service(each, manifest, names) for each in bound})
    for name, signal in signals.items():
        try:
            _item(signal.node, manifest)
        except NotFound as trouble:
            if not name.endswith(STATE_SIGNAL):
                reasons.append(f"{module.id}: signal {name}: {trouble}")
    return reasons


def _service(bound: BoundService, manifest: Manifest, names: Names) -> _Service:
    """A service that was checked."""
    theirs = found_service(manifest, bound.cls.name, names)
    assert theirs is not None  # checked just before
    assert theirs.control is not None
    numbers: dict[str, int] = {}
    parameters: dict[str, dict[str, _Parameter]] = {}
    for way in bound.cls.procedures:
        procedure = found_procedure(theirs, bound.cls, way, names)
        assert procedure is not None
        numbers[way], parameters[way] = procedure.number, {}
        for known in bound.cls.parameters.values():
            key = f"{bound.cls.name}.{known.name}"
            element = found_parameter(theirs, procedure, known.name, key, names)
            assert element is not None
            assert element.assembly is not None
            native = bound.native_units.get(known.name) or element.assembly.unit or known.unit
            configuration = element.kind is Kind.CONFIGURATION
            parameters[way][known.name] = _Parameter(known.name, element.assembly, configuration, converter(known.unit, native))
    return _Service(bound.key, bound.module, theirs.control.items, numbers, bound.cls.procedures[0], parameters)


def _resolved(unit: Unit, manifests: Mapping[ModuleId, Manifest], services: Mapping[str, _Service]) -> Unit:
    """The unit with node ids for names of the manifest, and the hidden signals that tell the quality and unit of its values."""
    signals: dict[str, Signal] = {}
    for name, signal in unit.signals.items():
        manifest = manifests[signal.module]
        state = services.get(f"{unit.id}.{name.removesuffix(STATE_SIGNAL)}") if name.endswith(STATE_SIGNAL) else None
        item = state.control["StateCur"] if state else _item(signal.node, manifest)
        signals[name] = replace(signal, node=item.node if isinstance(item, Item) else item)
        if state is None:
            signals.update(_hidden(signal, manifest))
    modules = {
        name: replace(
            module,
            settings={key: replace(each, node=_text(_item(each.node, manifests[name]))) for key, each in module.settings.items()},
        )
        for name, module in unit.modules.items()
    }
    return replace(unit, signals=signals, modules=modules)


def _item(node: str, manifest: Manifest) -> Item | str:
    """What a plant document means: a variable of the manifest, or a node id as it stands."""
    return node if _NODE.match(node) else manifest.item(node)


def _text(item: Item | str) -> str:
    return item if isinstance(item, str) else item.node


def _hidden(signal: Signal, manifest: Manifest) -> dict[str, Signal]:
    if _NODE.match(signal.node):
        return {}
    assembly, _ = manifest.variable(signal.node)
    found = {}
    for variable, suffix, low, high in (("WQC", _QUALITY, 0.0, 255.0), ("VUnit", _UNIT, -40_000.0, 40_000.0)):
        if variable in assembly.items:
            cls = SignalClass(signal.cls.name + suffix, "1", Role.MEASUREMENT, "", low, high)
            found[cls.name] = replace(signal, cls=cls, node=assembly.items[variable].node, native_unit="1")
    return found


@dataclass(frozen=True, slots=True)
class _Judged:
    """One signal: where the words are that say how far its value can be believed."""

    column: int
    state: bool
    native_unit: str
    quality: int | None  # column of its WQC, in the inner frame
    unit: int | None

    @classmethod
    def of(cls, tag: str, units: Mapping[Any, Unit], index: TagIndex, inner: TagIndex) -> _Judged:
        """`tag`'s place in the outer frame, and its words' places in the inner one."""
        unit, _, name = tag.partition(".")
        known = next(each for each in units.values() if each.id == unit)
        state = name.endswith(STATE_SIGNAL) and name.removesuffix(STATE_SIGNAL) in known.services
        words = [inner.column.get(tag + suffix) for suffix in (_QUALITY, _UNIT)]
        return cls(index.of(tag), state, known.signals[name].native_unit, words[0], words[1])

    def judge(self, frame: Frame, values: NDArray[np.float64], quality: NDArray[np.uint8]) -> None:
        """Take belief away where the module's own words do; never give any."""
        if quality[self.column] == Quality.BAD:
            return
        if self.state and state_of(float(values[self.column])) is None:
            values[self.column], quality[self.column] = math.nan, Quality.BAD
        if self.quality is not None:
            word = frame.values[self.quality]
            if not word >= WQC_UNCERTAIN:  # a lost word is no reason to believe
                values[self.column], quality[self.column] = math.nan, Quality.BAD
            elif word < WQC_CERTAIN:
                quality[self.column] = Quality.UNCERTAIN
        if self.unit is not None and _another_unit(frame.values[self.unit], self.native_unit):
            values[self.column], quality[self.column] = math.nan, Quality.BAD


def _another_unit(code: float, native: str) -> bool:
    """Whether the module says a known unit that is not the one that the plant document states."""
    said = unit_of(int(code)) if math.isfinite(code) else None
    if said is None or said == native:
        return False
    try:
        one = converter(said, native)
    except NotValid:
        return True
    return abs(one(1.0) - 1.0) > 1e-9 or abs(one(0.0)) > 1e-9
