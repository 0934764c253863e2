"""A process equipment assembly (PEA) that does not exist: its controller, after VDI/VDE/NAMUR 2658-4.

A `PeaDefinition` says what a module offers; a `Behaviour` for each service says what happens
while a state lasts; `Pea` is the controller between them: variables in, variables out.

    definition = PeaDefinition("FILLER", services=(
        PeaService("fill", procedures=(PeaProcedure("gravimetric", 1, parameters=(PeaParameter("containers", "1"),)),)),
    ), assemblies=(PeaValue("containers_filled"),))

    class Fill(Behaviour):
        def going(self, run, seconds):
            run.pea.show("containers_filled", ...)
            return run.executed >= run.parameters["containers"] * 2.0  # done

    pea = Pea(definition, {"fill": Fill()})

Guarantees: all sixteen states with the table's commands; a command is taken only from the
input that the operation mode and the source mode open, only where exactly one bit is set and
that command is enabled, and every command word is set back to nought; the requested
procedure and the parameters are taken over when a service starts; a value beyond its range
is not taken (VReq keeps the old one); what others write where they may only read changes
nothing. The same writes at the same times give the same module.
Leaves to others: the wire (pea_server), its manifest (pea_manifest), what it makes (behaviours).

Local control: OSLevel 0 says that a person at the module operates it. The controller itself
does not care who writes; whoever orders from afar has to respect it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from isogenic.errors import NotFound, NotValid
from isogenic.plant.mtp.states import AFTER, FINAL, NEXT, Command, ServiceState, command_of, enabled
from isogenic.plant.mtp.units import code_of
from isogenic.sim.pea_definition import (
    Mode,
    PeaDefinition,
    PeaParameter,
    PeaProcedure,
    PeaService,
    PeaValue,
    Source,
    Value,
    Wire,
    definition_of,
)

__all__ = [
    "Behaviour",
    "Lasting",
    "Mode",
    "Pea",
    "PeaDefinition",
    "PeaParameter",
    "PeaProcedure",
    "PeaService",
    "PeaValue",
    "Run",
    "Source",
    "Variable",
    "Wire",
    "definition_of",
]

GOOD_QUALITY = 255  # WQC: nothing to report
POL = 1  # OSLevel: operated from afar
STEPS_MAX = 32  # states that may follow each other at one moment; no course through the table is longer


class Behaviour:
    """What a service does. Every method may be left as it is: such a service does its work in no time."""

    def entered(self, run: Run) -> None:
        """A state was entered: `run.state`."""

    def going(self, run: Run, seconds: float) -> bool:
        """`seconds` more of the state went by; whether its work is done. Asked in transient states and in execute."""
        return True


class Lasting(Behaviour):
    """Executes for as long as a parameter says; `seconds_each` turns its unit into seconds."""

    def __init__(self, parameter: str, seconds_each: float = 1.0) -> None:
        self._parameter, self._each = parameter, seconds_each

    def going(self, run: Run, seconds: float) -> bool:
        """Done once it has executed long enough; held and paused time does not count."""
        return run.state is not ServiceState.EXECUTE or run.executed >= float(run.parameters[self._parameter]) * self._each


@dataclass(slots=True)
class Run:
    """What a behaviour sees of its service, and may do to it."""

    pea: Pea
    service: PeaService
    state: ServiceState = ServiceState.IDLE
    procedure: PeaProcedure | None = None
    parameters: dict[str, Value] = field(default_factory=dict)  # as taken over
    seconds: float = 0.0  # in this state
    executed: float = 0.0  # in execute, of this run
    memory: dict[str, Any] = field(default_factory=dict)  # the behaviour's own; empty after a start

    def report(self, name: str, value: Value) -> None:
        """Show a report value of this service."""
        self.pea.put(f"{self.service.name}.{name}.V", value)

    def command(self, command: Command) -> None:
        """The module's own decision, whatever its modes: hold on a fault, complete early."""
        self.pea.decide(self.service.name, command)


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of the controller: where it stands, its type, and whether others may write it."""

    key: str  # TAG.VARIABLE
    wire: Wire
    writable: bool
    initial: Value


_MODES = ("StateOffAut", "StateOpAut", "StateAutAut", "StateOffOp", "StateOpOp", "StateAutOp", "SrcExtAut", "SrcIntAut", "SrcIntOp", "SrcExtOp")
_ACTUAL = ("StateChannel", "StateOpAct", "StateAutAct", "StateOffAct", "SrcChannel", "SrcIntAct", "SrcExtAct")
_APPLY = ("ProcParamApply", "ConfigParamApply")
_OPERATED = frozenset({"StateOffOp", "StateOpOp", "StateAutOp", "SrcIntOp", "SrcExtOp"})


def _control(tag: str) -> Iterator[Variable]:
    """The variables of a ServiceControl (2658-4, table 13)."""
    yield Variable(f"{tag}.WQC", Wire.BYTE, False, GOOD_QUALITY)
    yield Variable(f"{tag}.OSLevel", Wire.BYTE, True, POL)
    for word in ("Command", "Procedure"):
        yield Variable(f"{tag}.{word}Op", Wire.WORD, True, 0)
        yield Variable(f"{tag}.{word}Int", Wire.WORD, False, 0)
        yield Variable(f"{tag}.{word}Ext", Wire.WORD, True, 0)
    for word, initial in (("StateCur", int(ServiceState.IDLE)), ("CommandEn", 0), ("ProcedureCur", 0), ("ProcedureReq", 0), ("PosTextID", 0)):
        yield Variable(f"{tag}.{word}", Wire.WORD, False, initial)
    yield Variable(f"{tag}.InteractQuestionID", Wire.WORD, False, 0)
    yield Variable(f"{tag}.InteractAnswerID", Wire.WORD, True, 0)
    yield Variable(f"{tag}.InteractAddInfo", Wire.TEXT, False, "")
    yield from _modes(tag)
    for word in _APPLY:
        yield Variable(f"{tag}.{word}En", Wire.TRUTH, False, True)
        yield Variable(f"{tag}.{word}Ext", Wire.TRUTH, True, False)
        yield Variable(f"{tag}.{word}Op", Wire.TRUTH, True, False)
        yield Variable(f"{tag}.{word}Int", Wire.TRUTH, False, False)
    yield Variable(f"{tag}.ReportValueFreeze", Wire.TRUTH, False, False)


def _modes(tag: str) -> Iterator[Variable]:
    for word in _MODES:
        yield Variable(f"{tag}.{word}", Wire.TRUTH, word in _OPERATED, False)
    for word in _ACTUAL:
        yield Variable(f"{tag}.{word}", Wire.TRUTH, False, False)


def _parameter(tag: str, known: PeaParameter) -> Iterator[Variable]:
    """The variables of a service parameter (2658-4, table 20)."""
    yield Variable(f"{tag}.WQC", Wire.BYTE, False, GOOD_QUALITY)
    yield Variable(f"{tag}.OSLevel", Wire.BYTE, True, POL)
    yield Variable(f"{tag}.ApplyEn", Wire.TRUTH, False, True)
    for word in ("Ext", "Op"):
        yield Variable(f"{tag}.Apply{word}", Wire.TRUTH, True, False)
    yield Variable(f"{tag}.ApplyInt", Wire.TRUTH, False, False)
    yield Variable(f"{tag}.Sync", Wire.TRUTH, True, True)
    yield from _modes(tag)
    for word in ("VExt", "VOp"):
        yield Variable(f"{tag}.{word}", known.wire, True, known.default)
    for word in ("VInt", "VReq", "VOut", "VFbk"):
        yield Variable(f"{tag}.{word}", known.wire, False, known.default)
    if known.wire in (Wire.REAL, Wire.WHOLE):
        for word, end in (("VSclMin", known.low), ("VSclMax", known.high), ("VMin", known.low), ("VMax", known.high)):
            yield Variable(f"{tag}.{word}", known.wire, False, end)
        yield Variable(f"{tag}.VUnit", Wire.SHORT, False, code_of(known.unit))


def _shown(tag: str, known: PeaValue) -> Iterator[Variable]:
    """The variables of a value that is shown (2658-3: a view), or of one that is set from outside (AnaMan)."""
    yield Variable(f"{tag}.WQC", Wire.BYTE, False, GOOD_QUALITY)
    if known.settable:
        yield Variable(f"{tag}.OSLevel", Wire.BYTE, True, POL)
        yield Variable(f"{tag}.VMan", known.wire, True, known.default)
        for word in ("VOut", "VRbk", "VFbk"):
            yield Variable(f"{tag}.{word}", known.wire, False, known.default)
    else:
        yield Variable(f"{tag}.{'Text' if known.wire is Wire.TEXT else 'V'}", known.wire, False, known.default)
    if known.wire in (Wire.REAL, Wire.WHOLE):
        ends = (("VSclMin", known.low), ("VSclMax", known.high)) + ((("VMin", known.low), ("VMax", known.high)) if known.settable else ())
        for word, end in ends:
            yield Variable(f"{tag}.{word}", known.wire, False, end)
        yield Variable(f"{tag}.VUnit", Wire.SHORT, False, code_of(known.unit))


class Pea:
    """The controller of one module."""

    def __init__(
        self,
        definition: PeaDefinition,
        behaviours: Mapping[str, Behaviour] | None = None,
        *,
        mode: Mode = Mode.OFFLINE,
        source: Source = Source.INTERNAL,
    ) -> None:
        """A service without a behaviour does its work in no time. `mode`, `source`: in which every service wakes up."""
        self.definition = definition
        self.variables = {each.key: each for each in _variables(definition)}
        self.values: dict[str, Value] = {key: each.initial for key, each in self.variables.items()}
        self.bad: set[str] = set()  # variables whose value is lost: they are answered by a bad status
        self._changed: set[str] = set(self.variables)
        self._settable = {each.name: each for each in definition.assemblies if each.settable}
        self._parameters = {f"{service.name}.{name}": known for service in definition.services for name, known in service.parameters().items()}
        self._services = {each.name: _Controller(self, each, (behaviours or {}).get(each.name, Behaviour())) for each in definition.services}
        self.at: datetime | None = None
        unknown = sorted(set(behaviours or {}) - self._services.keys())
        if unknown:
            raise NotFound(f"{definition.name} has no service {unknown[0]}", possible=", ".join(self._services) or "none")
        for service in self._services.values():
            service.begin(mode, source)

    # ---- what the module itself does ----

    def advance(self, at: datetime) -> None:
        """Time goes on, for every service."""
        seconds = max((at - self.at).total_seconds(), 0.0) if self.at is not None else 0.0
        self.at = at
        for service in self._services.values():
            service.advance(seconds)

    def show(self, name: str, value: Value) -> None:
        """Show a value of the module."""
        settable = name in self._settable
        for word in ("VRbk", "VFbk") if settable else ("Text" if f"{name}.Text" in self.variables else "V",):
            self.put(f"{name}.{word}", value)

    def asked(self, name: str) -> Value:
        """What a settable value was last set to."""
        return self.values[f"{name}.VOut"]

    def run(self, service: str) -> Run:
        """Where a service stands."""
        return self._services[service].run

    def decide(self, service: str, command: Command) -> None:
        """A command of the module's own, whatever its modes (an interlock, a fault); ignored where it is not possible."""
        self._services[service].take(command)

    def operate(self, service: str, mode: Mode, source: Source = Source.INTERNAL) -> None:
        """A person at the module switches a service's modes."""
        self._services[service].switch(mode, source)

    def level(self, service: str, level: int) -> None:
        """OSLevel of a service: 0 while a person at the module operates it."""
        self.put(f"{service}.OSLevel", level)

    def put(self, key: str, value: Value) -> None:
        """Set a variable from inside."""
        if key not in self.variables:
            raise NotFound(f"{self.definition.name} has no variable {key[:80]}")
        if isinstance(value, float) and not math.isfinite(value):
            raise NotValid(f"cannot show {value} as {key}", why="a lost value is lost (`lose`), not a number")
        if self.values[key] != value or type(self.values[key]) is not type(value) or key in self.bad:
            self.values[key] = value
            self.bad.discard(key)
            self._changed.add(key)

    def lose(self, key: str) -> None:
        """From now on a variable has no value, until one is put."""
        self.bad.add(key)
        self._changed.add(key)

    def changed(self) -> list[str]:
        """The variables that changed since this was last asked."""
        found, self._changed = self._changed, set()
        return sorted(found)

    # ---- what is written from outside ----

    def write(self, key: str, value: Value) -> bool:
        """Take a written value; False where nobody may write."""
        known = self.variables.get(key)
        if known is None or not known.writable:
            return False
        tag, _, word = key.rpartition(".")
        self._changed.add(key)  # whoever wrote it sees what became of it
        if tag in self._services:
            self._services[tag].written(word, value)
        elif tag in self._parameters:
            service, _, name = tag.rpartition(".")
            self._services[service].parameter_written(name, word, value)
        elif word == "VMan" and tag in self._settable:
            if self._settable[tag].low <= float(value) <= self._settable[tag].high:
                self.put(key, value)
                self.put(f"{tag}.VOut", value)
                self.put(f"{tag}.VRbk", value)
        else:
            self.put(key, value)
        return True


def _variables(definition: PeaDefinition) -> Iterator[Variable]:
    for service in definition.services:
        yield from _control(service.name)
        for name, known in service.parameters().items():
            yield from _parameter(f"{service.name}.{name}", known)
        for name, shown in service.reports().items():
            yield from _shown(f"{service.name}.{name}", shown)
        for way in service.procedures:
            yield Variable(f"{service.name}.{way.name}.health.WQC", Wire.BYTE, False, GOOD_QUALITY)
    for value in definition.assemblies:
        yield from _shown(value.name, value)


class _Controller:
    """One service: its modes, its procedure, its parameters, its states."""

    def __init__(self, pea: Pea, service: PeaService, behaviour: Behaviour) -> None:
        self._pea, self._service, self._behaviour = pea, service, behaviour
        self._known = service.parameters()
        self._configuration = {each.name for each in service.configuration}
        self.run = Run(pea, service)
        self._mode, self._source = Mode.OFFLINE, Source.INTERNAL

    def begin(self, mode: Mode, source: Source) -> None:
        """The first values."""
        self.switch(mode, source)
        for name, known in self._known.items():
            self.run.parameters[name] = known.default
        self._show()

    # ---- modes ----

    def switch(self, mode: Mode, source: Source) -> None:
        """Another operation mode and source mode; offline only in idle (2658-4, 6.2.1.1)."""
        if mode is Mode.OFFLINE and self.run.state is not ServiceState.IDLE:
            return
        self._mode, self._source = mode, source
        for tag in (self._service.name, *(f"{self._service.name}.{name}" for name in self._known if self._synchronous(name))):
            for each in Mode:
                self._pea.put(f"{tag}.State{each}Act", each is mode)
            for kind in Source:
                self._pea.put(f"{tag}.Src{kind}Act", mode is Mode.AUTOMATIC and kind is source)
        self._show()

    def _synchronous(self, name: str) -> bool:
        return bool(self._pea.values[f"{self._service.name}.{name}.Sync"])

    def _switched(self, word: str) -> None:
        """A person's switch, 0 to 1; set back at once."""
        for mode in Mode:
            if word == f"State{mode}Op":
                self.switch(mode, self._source)
        for source in Source:
            if word == f"Src{source}Op" and self._mode is Mode.AUTOMATIC:
                self.switch(self._mode, source)

    def _open(self, word: str) -> bool:
        """Whether the input that a word ends in is the one that counts now (2658-4, table 13)."""
        if word.endswith("Op"):
            return self._mode is Mode.OPERATOR
        return self._mode is Mode.AUTOMATIC and self._source is Source.EXTERNAL

    # ---- what is written ----

    def written(self, word: str, value: Value) -> None:
        """A variable of the service's control was written."""
        key = f"{self._service.name}.{word}"
        if word in _OPERATED:
            if value:
                self._switched(word)
            self._pea.put(key, False)
        elif word in ("CommandOp", "CommandExt"):
            command = command_of(int(value))
            if command is not None and self._open(word):
                self.take(command)
            self._pea.put(key, 0)
        elif word in ("ProcedureOp", "ProcedureExt"):
            self._pea.put(key, int(value))
            if self._open(word):
                self._pea.put(f"{self._service.name}.ProcedureReq", int(value) if int(value) in self._numbers() else 0)
                self._show()
        elif word.startswith(_APPLY):
            if value and self._open(word):
                self._apply(self._configuration if word.startswith("Config") else self._known.keys() - self._configuration)
            self._pea.put(key, False)
        else:
            self._pea.put(key, value)

    def parameter_written(self, name: str, word: str, value: Value) -> None:
        """A variable of one of the service's parameters was written."""
        tag = f"{self._service.name}.{name}"
        known = self._known[name]
        if word in _OPERATED:
            self._pea.put(f"{tag}.{word}", False)  # parameters follow their service
        elif word in ("VExt", "VOp"):
            self._pea.put(f"{tag}.{word}", value)
            if self._open(word) and _within(known, value):
                self._pea.put(f"{tag}.VReq", value)
        elif word in ("ApplyExt", "ApplyOp"):
            if value and self._open(word):
                self._apply({name})
            self._pea.put(f"{tag}.{word}", False)
        else:
            self._pea.put(f"{tag}.{word}", value)

    def _apply(self, names: Any) -> None:
        for name in names:
            if self._pea.values[f"{self._service.name}.{name}.ApplyEn"]:
                self._take_over(name)

    def _take_over(self, name: str) -> None:
        tag = f"{self._service.name}.{name}"
        value = self._pea.values[f"{tag}.VReq"]
        self.run.parameters[name] = value
        self._pea.put(f"{tag}.VOut", value)
        self._pea.put(f"{tag}.VFbk", value)

    def _numbers(self) -> dict[int, PeaProcedure]:
        return {each.number: each for each in self._service.procedures}

    # ---- states ----

    def take(self, command: Command) -> None:
        """A command; ignored where the table has no way for it."""
        state, requested = self.run.state, int(self._pea.values[f"{self._service.name}.ProcedureReq"])
        if enabled(state, procedure=requested) & command:
            self._enter(NEXT[state][command])
            self._settle()

    def advance(self, seconds: float) -> None:
        """Time goes on."""
        self.run.seconds += seconds
        if self.run.state is ServiceState.EXECUTE:
            self.run.executed += seconds
        self._settle(seconds)

    def _settle(self, seconds: float = 0.0) -> None:
        """States whose work is done lead on, until one lasts."""
        for _ in range(STEPS_MAX):
            state = self.run.state
            if state not in AFTER:
                return
            done = self._behaviour.going(self.run, seconds)
            if self.run.state is not state:  # the behaviour decided by itself
                continue
            completes = self.run.procedure is not None and self.run.procedure.self_completing
            if not done or (state is ServiceState.EXECUTE and not completes):
                return
            seconds = 0.0
            self._enter(AFTER[state])

    def _enter(self, state: ServiceState) -> None:
        self.run.state, self.run.seconds = state, 0.0
        if state is ServiceState.STARTING:
            self._start()
        elif state is ServiceState.IDLE:
            self.run.procedure = None
        self._show()
        self._behaviour.entered(self.run)

    def _start(self) -> None:
        """The requested procedure becomes the current one, the requested values those in force (2658-4, 8.2.2.5)."""
        name = self._service.name
        self.run.procedure = self._numbers()[int(self._pea.values[f"{name}.ProcedureReq"])]
        self.run.executed, self.run.memory = 0.0, {}
        for each in self.run.procedure.parameters:
            self._take_over(each.name)
        for word in ("ProcedureReq", "ProcedureOp", "ProcedureExt"):
            self._pea.put(f"{name}.{word}", 0)

    def _show(self) -> None:
        name, state = self._service.name, self.run.state
        requested = int(self._pea.values[f"{name}.ProcedureReq"])
        self._pea.put(f"{name}.StateCur", int(state))
        self._pea.put(f"{name}.CommandEn", 0 if self._mode is Mode.OFFLINE else enabled(state, procedure=requested))
        self._pea.put(f"{name}.ProcedureCur", self.run.procedure.number if self.run.procedure else 0)
        self._pea.put(f"{name}.ReportValueFreeze", state in FINAL)
        idle = state is ServiceState.IDLE
        for each, known in self._known.items():
            self._pea.put(f"{name}.{each}.ApplyEn", idle or (known.adjustable and each not in self._configuration))
        self._pea.put(f"{name}.ProcParamApplyEn", idle or any(each.adjustable for each in self._known.values()))
        self._pea.put(f"{name}.ConfigParamApplyEn", idle)


def _within(known: PeaParameter, value: Value) -> bool:
    if known.wire in (Wire.REAL, Wire.WHOLE):
        return not isinstance(value, str) and known.low <= float(value) <= known.high  # NaN is not
    return isinstance(value, str) is (known.wire is Wire.TEXT)
