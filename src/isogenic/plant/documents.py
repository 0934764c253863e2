"""Plant documents: one site's units, modules and signals, as its engineers write them.

A module says how it is spoken to (`protocol:`), how its connection is secured (`security:`), and what
it must be set to (`settings:`, each with where it is read and what was released).

Guarantees: a `SitePlant` that exists is whole and consistent (known classes, canonical
signals bound once, native units that convert, unique node ids); otherwise one `NotValid`
with every complaint and its line. A unit may lack a signal or a capability of its class:
deriving a recipe for it then says so.
Leaves to others: whether the endpoints answer (drivers). Endpoints may be left out of the
document and set by `with_endpoints`, because addresses belong to an installation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import TypeVar

from isogenic.documents import Document, Table, shown
from isogenic.errors import NotFound, NotValid
from isogenic.ids import ModuleId, SiteId, SponsorId, UnitId
from isogenic.plant.classes import CLASSES
from isogenic.plant.model import (
    BoundService,
    Capability,
    EquipmentClass,
    Geometry,
    Module,
    OxygenTransfer,
    Protocol,
    Security,
    Signal,
    SitePlant,
    Unit,
)
from isogenic.plant.service_bindings import bind_services, read_manifest_name
from isogenic.plant.settings import TEXT, Setting, SettingKind, released_number, short_text
from isogenic.units import Quantity, converter

__all__ = ["load_plant", "with_endpoints"]

KIND = "isogenic: plant/1"
_NAME = r"[A-Za-z][A-Za-z0-9]{0,99}"  # of SiLA 2 part B: an identifier in Pascal case
# How each protocol names a value, and what an example of it looks like.
_NODES = {
    Protocol.OPCUA: (re.compile(r"(ns=\d{1,5};|nsu=[^;\x00-\x20]{1,200};)?[isgb]=[^\x00-\x1f]{1,200}"), "an OPC UA node id, as in ns=2;s=TIC101.PV"),
    Protocol.MTP: (re.compile(r"[^\x00-\x1f]{1,200}"), "a data assembly of the manifest or a node id"),
    Protocol.SILA: (
        re.compile(rf"{_NAME}/{_NAME}( <- {_NAME}\({_NAME}\))?"),
        "a SiLA 2 feature and property, as in Heater/Temperature, or Heater/Target <- SetTarget(Target) for a set-point",
    ),
    Protocol.SPARKPLUG: (re.compile(r"[^\x00-\x1f+#]{1,200}"), "a Sparkplug metric's name, as in Reactor/Temperature"),
}
_HOST = r"[A-Za-z0-9.\[\]:-]{1,200}"
_TOPIC = r"[^/+#\x00-\x20]{1,100}"
_ENDPOINTS = {
    Protocol.OPCUA: (re.compile(rf"opc\.tcp://{_HOST}(/[!-~]{{0,200}})?"), "opc.tcp://host:port"),
    Protocol.MTP: (re.compile(rf"opc\.tcp://{_HOST}(/[!-~]{{0,200}})?"), "opc.tcp://host:port"),
    Protocol.SILA: (re.compile(rf"silas?://{_HOST}"), "silas://host:port, or sila://host:port where the device offers no TLS"),
    Protocol.SPARKPLUG: (re.compile(rf"mqtts?://{_HOST}/{_TOPIC}/{_TOPIC}(/{_TOPIC})?"), "mqtts://broker:port/group/node/device"),
}
_SETTING = re.compile(r"[a-z][a-z0-9_]{0,59}")
_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")
POLICIES = ("Aes256Sha256RsaPss", "Aes128Sha256RsaOaep", "Basic256Sha256")  # OPC 10000-7: the others are deprecated
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
    known = {module: each.protocol for unit in plant.units.values() for module, each in unit.modules.items()}
    for module, endpoint in endpoints.items():
        if module not in known:
            raise NotFound(f"no module {module} at {plant.site}", why="the plant document does not name it", possible=", ".join(sorted(known)))
        form, example = _ENDPOINTS[known[module]]
        if not form.fullmatch(endpoint):
            raise NotValid(f"cannot use endpoint {shown(endpoint)!r} of {module}", why=f"the form is {example}")
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
    services: dict[str, BoundService] = {}
    all_modules = table.table("modules")
    for module_key in all_modules.names():
        module, inner = _id(all_modules, module_key, ModuleId), all_modules.table(module_key)
        protocol = inner.choice("protocol", Protocol, default=Protocol.OPCUA)
        endpoint, security = _endpoint(inner, protocol), _security(inner, protocol)
        manifest, module_type = read_manifest_name(inner, protocol)
        modules[module] = Module(module, endpoint, protocol, security, _settings(inner, unit_id, module, protocol), manifest, module_type)
        bind_services(inner, services, signals, cls=cls, unit_id=unit_id, module=modules[module])
        _bind(inner.table("signals", needed=not inner.has("services")), signals, cls=cls, unit_id=unit_id, module=modules[module])
    return Unit(
        id=unit_id,
        cls=cls,
        title=table.text("title"),
        make=table.text("make"),
        working_volume=_volume(table),
        capabilities=_capabilities(table.table("capabilities"), cls),
        modules=modules,
        signals=signals,
        location=table.text("location", default=""),
        geometry=_geometry(table.table("geometry")) if table.has("geometry") else None,
        services=services,
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


def _endpoint(table: Table, protocol: Protocol) -> str:
    endpoint = table.text("endpoint", default="")
    form, example = _ENDPOINTS[protocol]
    if endpoint and not form.fullmatch(endpoint):
        table.complain("endpoint", f"{shown(endpoint)!r} is not of the form {example}")
    return endpoint


def _security(table: Table, protocol: Protocol) -> Security | None:
    """What a module's connection must be secured with; what is not asked for is not checked, so it stands there on purpose."""
    if not table.has("security"):
        return None
    inner = table.table("security")
    policy = inner.text("policy", default=POLICIES[0])
    mode = inner.text("mode", default="sign_and_encrypt")
    fingerprint, user = inner.text("fingerprint", default=""), inner.text("user", default="")
    if protocol not in (Protocol.OPCUA, Protocol.MTP):
        table.complain("security", f"{protocol} is secured by its endpoint's form, not here")
    if policy not in POLICIES:
        inner.complain("policy", f"{shown(policy)!r} is not one of {', '.join(POLICIES)}")
    if mode not in ("sign_and_encrypt", "sign"):
        inner.complain("mode", f"{shown(mode)!r} is neither sign_and_encrypt nor sign")
    if fingerprint and not _FINGERPRINT.fullmatch(fingerprint):
        inner.complain("fingerprint", f"{shown(fingerprint)!r} is not sha256: and 64 hexadecimal digits")
    return Security(policy, mode == "sign_and_encrypt", fingerprint.removeprefix("sha256:"), user)


def _settings(table: Table, unit_id: UnitId, module: ModuleId, protocol: Protocol) -> dict[str, Setting]:
    found: dict[str, Setting] = {}
    outer = table.table("settings", needed=False)
    for name in outer.names():
        inner = outer.table(name)
        if not _SETTING.fullmatch(name):
            outer.complain(name, "a setting's name is lower case, as in temperature_high")
        node, unit = _node(inner, protocol), inner.unit("unit") if inner.has("unit") else TEXT
        released = inner.text("released", default="")
        within = inner.quantity("within", like=unit, default=Quantity(0.0, unit)) if unit != TEXT else Quantity(0.0, "1")
        if unit != TEXT and released and math.isnan(released_number(released, unit)):
            inner.complain("released", f"{shown(released)!r} is not a quantity in {unit}, which is what the module reports")
        if within.value < 0:
            inner.complain("within", "how far a number may lie off is not below zero")
        width = converter(within.unit, unit)(within.value) - converter(within.unit, unit)(0.0) if unit != TEXT and within.value else 0.0
        found[name] = Setting(unit_id, module, name, inner.choice("kind", SettingKind), node, unit, short_text(released), width)
    return found


def _node(table: Table, protocol: Protocol) -> str:
    node = table.text("node")
    form, example = _NODES[protocol]
    if not form.fullmatch(node):
        table.complain("node", f"{shown(node)!r} is not {example}")
    return node


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


def _bind(table: Table, signals: dict[str, Signal], *, cls: EquipmentClass, unit_id: UnitId, module: Module) -> None:
    nodes: dict[str, str] = {}
    for name in table.names():
        inner = table.table(name)
        node = _node(inner, module.protocol)
        if node in nodes:
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
            signals[name] = Signal(unit_id, known, module.id, node, native)
