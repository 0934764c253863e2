"""Plant documents: one site's units, modules and signals, as its engineers write them.

Guarantees: a `SitePlant` that exists is whole and consistent (known classes, canonical
signals bound once, native units that convert, unique node ids); otherwise one `NotValid`
with every complaint and its line. A unit may lack a signal or a capability of its class:
deriving a recipe for it then says so.
Leaves to others: whether the endpoints answer (drivers). Endpoints may be left out of the
document and set by `with_endpoints`, because addresses belong to an installation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import TypeVar

from isogenic.documents import Document, Table, shown
from isogenic.errors import NotFound, NotValid
from isogenic.ids import ModuleId, SiteId, SponsorId, UnitId
from isogenic.plant.classes import CLASSES
from isogenic.plant.model import Capability, EquipmentClass, Geometry, Module, OxygenTransfer, Signal, SitePlant, Unit
from isogenic.units import Quantity, converter

__all__ = ["load_plant", "with_endpoints"]

KIND = "isogenic: plant/1"
_NODE = re.compile(r"(ns=\d{1,5};)?[isgb]=[^\x00-\x1f]{1,200}")  # OPC UA part 6, 5.3.1.10
_ENDPOINT = re.compile(r"opc\.tcp://[A-Za-z0-9.\[\]:-]{1,200}(/[!-~]{0,200})?")
RESERVED = frozenset({"HOUSE", "CONTROL", "DISCLOSURES", "NOBODY"})  # names of ledgers that are no sponsor's
_NO_VOLUME = Quantity(1.0, "L")
AnyId = TypeVar("AnyId", UnitId, ModuleId)


def load_plant(text: str | bytes, *, name: str) -> SitePlant:
    """Read a plant document; `name` says in complaints which one it is."""
    document = Document.read(text, what=f"plant document {name}", kind=KIND)
    root = document.root
    units = root.table("units")
    sponsor = root.id("sponsor", SponsorId)
    plant = SitePlant(
        site=root.id("site", SiteId),
        title=root.text("title"),
        sponsor=sponsor,
        latitude=root.number("latitude", low=-90, high=90),
        longitude=root.number("longitude", low=-180, high=180),
        units={unit.id: unit for unit in (_unit(units, key) for key in units.names())},
        further_sponsors=_further(root, sponsor),
    )
    seen: dict[str, UnitId] = {}
    for unit in plant.units.values():
        for module in unit.modules:
            if module in seen:
                root.complain("units", f"module {module} is named in {seen[module]} and in {unit.id}")
            seen[module] = unit.id
    document.done()
    return plant


def _further(root: Table, first: SponsorId) -> tuple[SponsorId, ...]:
    """The other sponsors that the site works for. HOUSE, CONTROL and the like are audiences of the node itself."""
    found: list[SponsorId] = []
    for text in root.texts("further_sponsors", needed=False):
        try:
            found.append(SponsorId(text))
        except NotValid as trouble:
            root.complain("further_sponsors", str(trouble))
    for each in (first, *found):
        if each in RESERVED:
            root.complain("sponsor" if each == first else "further_sponsors", f"{each} is a ledger of the node itself, no sponsor")
    if len({first, *found}) != len(found) + 1:
        root.complain("further_sponsors", "a sponsor is named twice")
    return tuple(found)


def with_endpoints(plant: SitePlant, endpoints: Mapping[ModuleId, str]) -> SitePlant:
    """The plant with the addresses of an installation; an unknown module is `NotFound`."""
    known = {module for unit in plant.units.values() for module in unit.modules}
    for module, endpoint in endpoints.items():
        if module not in known:
            raise NotFound(f"no module {module} at {plant.site}", why="the plant document does not name it", possible=", ".join(sorted(known)))
        if not _ENDPOINT.fullmatch(endpoint):
            raise NotValid(f"cannot use endpoint {shown(endpoint)!r} of {module}", why="the form is opc.tcp://host:port")
    units = {
        unit.id: replace(unit, modules={each.id: replace(each, endpoint=endpoints.get(each.id, each.endpoint)) for each in unit.modules.values()})
        for unit in plant.units.values()
    }
    return replace(plant, units=units)


def _unit(units: Table, key: str) -> Unit:
    unit_id = _id(units, key, UnitId)
    table = units.table(key)
    cls = _class(table)
    modules: dict[ModuleId, Module] = {}
    signals: dict[str, Signal] = {}
    all_modules = table.table("modules")
    for module_key in all_modules.names():
        module, inner = _id(all_modules, module_key, ModuleId), all_modules.table(module_key)
        modules[module] = Module(module, _endpoint(inner))
        _bind(inner.table("signals"), signals, cls=cls, unit_id=unit_id, module=module)
    return Unit(
        id=unit_id,
        cls=cls,
        title=table.text("title"),
        make=table.text("make"),
        working_volume=_volume(table),
        capabilities=_capabilities(table.table("capabilities"), cls),
        modules=modules,
        signals=signals,
        geometry=_geometry(table.table("geometry")) if table.has("geometry") else None,
    )


def _geometry(table: Table) -> Geometry:
    """What scale rules need of a stirred vessel: tip speed needs the impeller, kLa all of it."""
    density = table.quantity("density", like="kg/m**3", default=Quantity(1000.0, "kg/m**3")).to("kg/m**3").value
    if not density > 0:
        table.complain("density", "a liquid weighs more than nothing")
    transfer = None
    if table.has("oxygen_transfer"):
        inner = table.table("oxygen_transfer")
        transfer = OxygenTransfer(
            vessel_m=_metres(inner, "vessel"),
            power_number=inner.number("power_number", low=0.01, high=50),
            a=inner.number("a", low=1e-9, high=1e6),
            alpha=inner.number("alpha", low=0.01, high=5),
            beta=inner.number("beta", low=0, high=5),
        )
    return Geometry(_metres(table, "impeller"), table.whole("impellers", default=1, low=1, high=12), density, transfer)


def _metres(table: Table, key: str) -> float:
    length = table.quantity(key, like="m").to("m").value
    if table.has(key) and not length > 0:
        table.complain(key, "a diameter is more than nothing")
    return length or 1.0


def _id(table: Table, key: str, kind: type[AnyId]) -> AnyId:
    try:
        return kind(key)
    except NotValid as trouble:
        table.complain(key, str(trouble))
        return kind("X0")


def _class(table: Table) -> EquipmentClass:
    name = table.text("class")
    if name not in CLASSES:
        table.complain("class", f"no equipment class {shown(name)!r}; known are {', '.join(CLASSES)}")
    return CLASSES.get(name) or next(iter(CLASSES.values()))


def _endpoint(table: Table) -> str:
    endpoint = table.text("endpoint", default="")
    if endpoint and not _ENDPOINT.fullmatch(endpoint):
        table.complain("endpoint", f"{shown(endpoint)!r} is not of the form opc.tcp://host:port")
    return endpoint


def _volume(table: Table) -> Quantity:
    volume = table.quantity("working_volume", like="L")
    if table.has("working_volume") and not volume.value > 0:
        table.complain("working_volume", "a vessel holds more than nothing")
        return _NO_VOLUME
    return volume.to("L")


def _capabilities(table: Table, cls: EquipmentClass) -> dict[str, Capability]:
    found = {}
    for name in table.names():
        unit = cls.capabilities.get(name)
        inner = table.table(name)
        if unit is None:
            table.complain(name, f"{cls.name} has no such capability; known are {', '.join(cls.capabilities)}")
        low, high = inner.quantity("low", like=unit), inner.quantity("high", like=unit)
        if unit is None:
            continue
        if high < low:
            table.complain(name, f"its highest {high} is below its lowest {low}")
        found[name] = Capability(name, low.to(unit).value, high.to(unit).value, unit)
    return found


def _bind(table: Table, signals: dict[str, Signal], *, cls: EquipmentClass, unit_id: UnitId, module: ModuleId) -> None:
    nodes: dict[str, str] = {}
    for name in table.names():
        inner = table.table(name)
        node = inner.text("node")
        if not _NODE.fullmatch(node):
            inner.complain("node", f"{shown(node)!r} is not an OPC UA node id, as in ns=2;s=TIC101.PV")
        elif node in nodes:
            inner.complain("node", f"{shown(node)!r} is already {nodes[node]}")
        nodes[node] = name
        known = cls.signals.get(name)
        native = inner.unit("unit", like=known.unit if known else None, default=known.unit if known else "1")
        if known is None:
            near = get_close_matches(name, cls.signals, n=1)
            table.complain(name, f"{cls.name} has no such signal" + (f"; did you mean {near[0]}?" if near else ""))
        elif name in signals:
            table.complain(name, f"already bound to {signals[name].module}")
        else:
            converter(native, known.unit)  # the driver will need it: better refused here than at the first scan
            signals[name] = Signal(unit_id, known, module, node, native)
