"""A site with one module of any protocol, and a way to wait."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping

from isogenic.clock import monotonic_seconds
from isogenic.ids import ModuleId, SiteId, SponsorId, UnitId
from isogenic.plant.model import EquipmentClass, Module, Protocol, Role, Signal, SignalClass, SitePlant, Unit
from isogenic.plant.readings import Frame, Quality
from isogenic.plant.settings import Setting, SettingKind
from isogenic.units import Quantity

UNIT, MODULE = UnitId("U-1"), ModuleId("U-1-DEVICE")
CLASSES = {
    "temperature": SignalClass("temperature", "degC", Role.MEASUREMENT, "Temperature", 0.0, 80.0),
    "agitation": SignalClass("agitation", "rpm", Role.MEASUREMENT, "Agitation", 0.0, 1000.0),
    "temperature_sp": SignalClass("temperature_sp", "degC", Role.SETPOINT, "Temperature set-point", 0.0, 60.0),
    "incubate_state": SignalClass("incubate_state", "1", Role.MEASUREMENT, "Incubating", 0.0, 1e6),
}
SETTLE_S = 20.0


def site(endpoint: str, protocol: Protocol, nodes: Mapping[str, tuple[str, str]], settings: Mapping[str, str] | None = None) -> SitePlant:
    """`nodes`: by signal, its address and native unit. `settings`: by name, their address; all of them firmware 1.4.0."""
    kept = {name: Setting(UNIT, MODULE, name, SettingKind.FIRMWARE, node, released="1.4.0") for name, node in (settings or {}).items()}
    module = Module(MODULE, endpoint, protocol, settings=kept)
    signals = {name: Signal(UNIT, CLASSES[name], MODULE, node, native) for name, (node, native) in nodes.items()}
    unit = Unit(UNIT, EquipmentClass("bench", "Bench", CLASSES, {}), "U", "none", Quantity(1.0, "L"), {}, {MODULE: module}, signals)
    return SitePlant(SiteId("HERE"), "Here", SponsorId("ASTER-BIO"), 0.0, 0.0, {UNIT: unit})


def tag(name: str) -> str:
    return f"{UNIT}.{name}"


def seen(frame: Frame) -> dict[str, float | None]:
    """By signal, its value; None where it is bad."""
    values = {each.removeprefix(f"{UNIT}."): frame.reading(each) for each in frame.index.tags}
    assert all(math.isnan(each.value) is (each.quality is Quality.BAD) for each in values.values())
    return {name: None if each.quality is Quality.BAD else each.value for name, each in values.items()}


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    limit = monotonic_seconds() + SETTLE_S
    while not await condition():
        assert monotonic_seconds() < limit, "did not come in time"
        await asyncio.sleep(0.02)
