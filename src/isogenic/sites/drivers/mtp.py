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
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import asyncua.ua
import numpy as np
from numpy.typing import NDArray

from isogenic.checks import stops
from isogenic.clock import Clock
from isogenic.errors import NotFound, NotValid
from isogenic.ids import ModuleId
from isogenic.plant.model import Module, Role, Signal, SignalClass, SitePlant, Unit
from isogenic.plant.mtp.checking import check_services, names_of
from isogenic.plant.mtp.comparing import type_digest
from isogenic.plant.mtp.model import Item, Manifest
from isogenic.plant.mtp.states import state_of
from isogenic.plant.mtp.units import unit_of
from isogenic.plant.readings import Frame, Quality, TagIndex
from isogenic.plant.services import STATE_SIGNAL, ServiceOrder, Unheard
from isogenic.sites.drivers.certificates import OpcUaTrust
from isogenic.sites.drivers.mtp_services import ModuleService, NotDone, Talk, service_of
from isogenic.sites.drivers.opcua import ANSWER_LIMIT_S, Connection, OpcUaDriver
from isogenic.units import converter

__all__ = ["CONFIRM_LIMIT_S", "MtpDriver"]

CONFIRM_LIMIT_S = 2.0  # wall clock: a controller's cycle is far below; longer, and the order is told as not confirmed
WQC_CERTAIN, WQC_UNCERTAIN = 0x80, 0x40  # 2658-3: the quality byte of PROFIBUS PA; below 0x40 it is bad
_NODE = re.compile(r"((ns=\d{1,5};|nsu=[^;]{1,200};)?[isgb]=)")
_HIDDEN = "~"  # in the name of a signal that only this driver reads; no plant document can name one
_QUALITY, _UNIT = "~quality", "~unit"

_Ua = Any  # a value of asyncua's, whose types do not say what may be None
ua: _Ua = asyncua.ua


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
        self._services: dict[str, ModuleService] = {}
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
                talk = Talk(client, await self._namespaces(service.module, client), self._answer_s, self._confirm_s)
                await service.carry_out(order, talk)
            except NotDone as not_done:
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
            async with asyncio.timeout(self._answer_s):
                spaces = await client.get_namespace_array()
            known = self._spaces[module] = (client, tuple(map(str, spaces)))
        return known[1]


# ---- from a plant document and a manifest ----


def _misfits(unit: Unit, module: Module, manifest: Manifest | None, services: dict[str, ModuleService]) -> list[str]:
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
        services.update({each.key: service_of(each, manifest, names) for each in bound})
    states = {f"{each.cls.name}{STATE_SIGNAL}" for each in bound}  # found by their services, which may have other names
    nodes = {f"signal {name}": signal.node for name, signal in signals.items() if name not in states}
    nodes |= {f"setting {name}": setting.node for name, setting in module.settings.items()}
    for what, node in nodes.items():
        try:
            _item(node, manifest)
        except NotFound as trouble:
            reasons.append(f"{module.id}: {what}: {trouble}")
    return reasons


def _resolved(unit: Unit, manifests: Mapping[ModuleId, Manifest], services: Mapping[str, ModuleService]) -> Unit:
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
