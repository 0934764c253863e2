"""One service of a module over OPC UA: an order carried out by the state that the service is in.

Guarantees: every request has a limit, every confirmation too; what was not confirmed is `NotDone` with
what was seen instead; one command bit, only if CommandEn has it; values are written in the type in which
the module holds them, or not at all.
Leaves to others: connections and readings (mtp), what to order and when (batches).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncua.ua

from isogenic.clock import monotonic_seconds
from isogenic.ids import ModuleId
from isogenic.plant.model import BoundService
from isogenic.plant.mtp.checking import Names, found_parameter, found_procedure, found_service
from isogenic.plant.mtp.model import DataAssembly, Item, Kind, Manifest
from isogenic.plant.mtp.states import COMMANDS, FINAL, NEXT, Command, ServiceState, state_of
from isogenic.plant.services import ServiceOrder
from isogenic.units import converter

__all__ = ["ModuleService", "NotDone", "Talk", "service_of"]

LOOK_AGAIN_S = 0.004  # between two looks at what has to be confirmed
FLOAT32 = 2.0**-22  # relative: what is asked for in 64 bits is held in 32

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


class NotDone(Exception):
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
class ModuleService:
    """One service as its module has it."""

    key: str
    module: ModuleId
    control: Mapping[str, Item]
    numbers: Mapping[str, int]  # procedure, ours -> ProcedureID
    default: str
    parameters: Mapping[str, Mapping[str, _Parameter]]  # procedure, ours -> parameter, ours

    async def carry_out(self, order: ServiceOrder, talk: Talk) -> None:
        """Bring the service to where the order wants it, or raise why not."""
        command = COMMANDS.get(order.command)
        if command is None:
            raise NotDone(f"{order.command[:40]!r} is no command; possible are {', '.join(COMMANDS)}")
        if command in (Command.START, Command.RESTART):
            self._check_words(order)
        seen = await talk.read({word: self.control[word] for word in _LOOKED_AT if word in self.control})
        state = self._state(seen)
        if self._so_already(command, state, order, seen):
            return
        if seen.get("OSLevel") == 0:
            raise NotDone(f"a person operates it at the module (OSLevel 0); it is {_word(state)}")
        if command not in NEXT[state]:
            possible = ", ".join(each.name.lower() for each in NEXT[state]) or "nothing"
            raise NotDone(f"it is {_word(state)}: {order.command} is not possible; possible are {possible}")
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
            raise NotDone(f"no procedure {way[:60]!r}; possible are {', '.join(self.numbers)}")
        unknown = sorted(order.parameters.keys() - self.parameters[way].keys())
        if unknown:
            raise NotDone(f"procedure {way} has no parameter {unknown[0][:60]!r}; it has {', '.join(self.parameters[way]) or 'none'}")
        for name, value in order.parameters.items():
            if not math.isfinite(value):
                raise NotDone(f"parameter {name} is {value}: no number")

    def _state(self, seen: Mapping[str, Any]) -> ServiceState:
        word = seen.get("StateCur")
        state = state_of(word) if isinstance(word, int) else None
        if state is None:
            raise NotDone(f"it reports the impossible state {word}" if isinstance(word, int) else "it does not tell its state")
        return state

    def _so_already(self, command: Command, state: ServiceState, order: ServiceOrder, seen: Mapping[str, Any]) -> bool:
        """Whether the service is where the order wants it, or on its way. A run that is over may be another order's: it must be reset first."""
        if command is Command.START:
            if state is ServiceState.IDLE or state in _OVER:
                return False
            wanted, runs = self.numbers[order.procedure or self.default], seen.get("ProcedureCur")
            if runs and runs != wanted:
                raise NotDone(f"it is {_word(state)} with procedure {runs}, not {wanted}")
            return True
        return command is not Command.RESTART and state in _LED[command]

    async def _take_control(self, command: Command, state: ServiceState, seen: Mapping[str, Any], talk: Talk) -> None:
        """Automatic operation by an external source, each confirmed: otherwise CommandExt is not heard (2658-4, table 13)."""
        if seen.get("StateAutAct") is not True:
            if not (command is Command.START and state is ServiceState.IDLE):
                raise NotDone(f"a person or nobody operates it (not in automatic mode); it is {_word(state)}")
            await self._switch("StateAutOp", "StateAutAct", "automatic mode", talk)
        if seen.get("StateAutAct") is not True or seen.get("SrcExtAct") is not True:
            await self._switch("SrcExtOp", "SrcExtAct", "external source", talk)

    async def _switch(self, request: str, actual: str, what: str, talk: Talk) -> None:
        found = await talk.read({actual: self.control[actual]})
        if found[actual] is True:
            return
        await talk.write({request: (self.control[request], True)})
        if await talk.until({actual: self.control[actual]}, lambda seen: seen[actual] is True) is None:
            raise NotDone(f"it does not go to {what}: {actual} stays off")

    async def _prepare(self, order: ServiceOrder, talk: Talk) -> None:
        """Parameters first, then the procedure, each confirmed by what is requested now."""
        way = order.procedure or self.default
        known = {name: self.parameters[way][name] for name in order.parameters}
        await self._open_parameters(known, talk)
        wanted = {name: each.to_native(order.parameters[name]) for name, each in known.items()}
        if wanted:
            await talk.write({name: (known[name].assembly.items["VExt"], value) for name, value in wanted.items()})
            requested = {name: each.assembly.items["VReq"] for name, each in known.items()}
            if (await talk.until(requested, lambda seen: _same(wanted, seen))) is None:
                raise NotDone(_not_taken("is requested", wanted, await talk.read(requested)))
        if any(each.configuration for each in known.values()) and "ConfigParamApplyExt" in self.control:
            await talk.write({"apply": (self.control["ConfigParamApplyExt"], True)})
        number = self.numbers[way]
        await talk.write({"procedure": (self.control["ProcedureExt"], number)})
        asked = {"ProcedureReq": self.control["ProcedureReq"]}
        if (await talk.until(asked, lambda seen: seen["ProcedureReq"] == number)) is None:
            raise NotDone(f"procedure {way} ({number}) is not taken: ProcedureReq is {(await talk.read(asked))['ProcedureReq']}")

    async def _open_parameters(self, known: Mapping[str, _Parameter], talk: Talk) -> None:
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
                raise NotDone(f"parameters {', '.join(shut)} are not open: {actual} stays off")

    async def _command(self, command: Command, state: ServiceState, before: Mapping[str, Any], talk: Talk) -> None:
        """Exactly one bit, only if it is enabled, confirmed by the state that it leads to."""
        words = {"CommandEn": self.control["CommandEn"]}

        def able(seen: Mapping[str, Any]) -> bool:
            return isinstance(seen["CommandEn"], int) and bool(seen["CommandEn"] & command)

        if not able(before) and await talk.until(words, able) is None:
            raise NotDone(f"the module does not enable {command.name.lower()} in {_word(state)} (CommandEn)")
        await talk.write({"command": (self.control["CommandExt"], int(command))})
        current = {word: self.control[word] for word in ("StateCur", "CommandExt")}
        again = command is Command.RESTART  # from execute to execute: only the word that is set back tells that it was heard

        def left(seen: Mapping[str, Any]) -> bool:
            return seen["StateCur"] != state or (again and seen["CommandExt"] == 0)

        seen = await talk.until(current, left)
        if seen is None:
            raise NotDone(f"{command.name.lower()} was told and is not confirmed: it is still {_word(state)}")
        now = self._state(seen)
        if now not in _LED[command]:
            raise NotDone(f"{command.name.lower()} was told and it is {_word(now)}")

    async def _confirm_start(self, order: ServiceOrder, talk: Talk) -> None:
        """What runs is what was asked for."""
        way = order.procedure or self.default
        number, known = self.numbers[way], {name: self.parameters[way][name] for name in order.parameters}
        wanted = {name: each.to_native(order.parameters[name]) for name, each in known.items()}
        in_force = {name: each.assembly.items["VOut"] for name, each in known.items()}
        if in_force and await talk.until(in_force, lambda seen: _same(wanted, seen)) is None:
            raise NotDone(_not_taken("is in force", wanted, await talk.read(in_force)))
        if "ProcedureCur" in self.control:
            runs = (await talk.read({"ProcedureCur": self.control["ProcedureCur"]}))["ProcedureCur"]
            if runs not in (0, None, number):  # nought: it is over already
                raise NotDone(f"it was started with procedure {number} and runs {runs}")


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
class Talk:
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
        async with asyncio.timeout(self.answer_s):
            answer = await self.client.uaclient.read(request)
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
        async with asyncio.timeout(self.answer_s):
            answers = await self.client.uaclient.write(request)
        refused = [f"{name}: {status.name}" for name, status in zip(values, answers, strict=True) if not status.is_good()]
        if refused:
            raise NotDone(f"the module does not take {', '.join(refused)}")

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
            raise NotDone(f"the module has no namespace {item.namespace[:80]}")
        return ua.NodeId.from_string(f"ns={self.spaces.index(item.namespace)};{item.kind}={item.identifier}")


def _variant(value: float | int | bool, variant: _Ua) -> _Ua:
    kinds = ua.VariantType
    if variant is None:
        raise NotDone("the module does not tell the type of what has to be written")
    if variant is kinds.Boolean:
        return ua.Variant(bool(value), variant)
    if variant in (kinds.Float, kinds.Double):
        return ua.Variant(float(value), variant)
    if variant in _RANGES and _RANGES[variant][0] <= round(value) <= _RANGES[variant][1]:
        return ua.Variant(round(value), variant)
    raise NotDone(f"{value} cannot be written as {variant.name}")


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


def service_of(bound: BoundService, manifest: Manifest, names: Names) -> ModuleService:
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
    return ModuleService(bound.key, bound.module, theirs.control.items, numbers, bound.cls.procedures[0], parameters)
