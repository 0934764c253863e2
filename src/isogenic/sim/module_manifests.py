"""What the modules of a simulated facility publish of themselves: a package each, from its plant document.

A module that speaks OPC UA publishes its values; one that has services publishes those of its class
that the plant document binds to it, as `pea.definition_of` makes them. The packages are written whole
or not at all, into the folder where a site looks for them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from isogenic.errors import NotFound
from isogenic.ids import ModuleId
from isogenic.plant.model import Protocol, Role, Signal, SitePlant, Unit
from isogenic.plant.mtp.archive import packed
from isogenic.plant.mtp.model import Access, DataAssembly, Dialect, Item, Manifest
from isogenic.plant.mtp.units import code_of
from isogenic.plant.mtp.writing import write_manifest
from isogenic.sim.pea import PeaDefinition, definition_of
from isogenic.sim.pea_manifest import manifest_of
from isogenic.units import converter

__all__ = ["FOLDER", "manifest_of_module", "publish"]

FOLDER = "modules"  # where a site looks: sites.drivers.manifests
_NODE = re.compile(r"(?:ns=(?P<index>\d+);|nsu=(?P<uri>[^;]+);)?(?P<kind>[isgb])=(?P<identifier>.+)")
_LIBRARY = "MTPDataObjectSUCLib/DataAssembly"
_DOCUMENTS = {"VDI/VDE/NAMUR 2658-3": "1.0.0"}


def manifest_of_module(plant: SitePlant, module: ModuleId, *, endpoint: str = "", dialect: Dialect = Dialect.V1_1) -> Manifest:
    """The manifest of one module, or `NotFound`."""
    for unit in plant.units.values():
        known = unit.modules.get(module)
        if known is None:
            continue
        endpoint = endpoint or known.endpoint
        if known.protocol is Protocol.MTP:
            return _of_services(unit, module, endpoint, dialect)
        return _of_values(plant, unit, module, endpoint, dialect)
    modules = [name for unit in plant.units.values() for name in unit.modules]
    raise NotFound(f"no module {module} at {plant.site}", why="the plant document does not name it", possible=", ".join(modules) or "none")


def publish(
    plant: SitePlant, folder: Path, endpoints: Mapping[ModuleId, str], *, of_type: Mapping[ModuleId, PeaDefinition] | None = None
) -> list[Path]:
    """Write a package for each module that is served, unless its maker's own lies there. `of_type`: the modules that are served as such."""
    types, written = of_type or {}, []
    for unit in plant.units.values():
        for module, known in unit.modules.items():
            path = folder / FOLDER / (known.manifest or f"{module}.mtp")
            if module not in endpoints or (known.manifest and path.exists()):
                continue
            endpoint = endpoints[module]
            typed = types.get(module)
            manifest = manifest_of_module(plant, module, endpoint=endpoint) if typed is None else manifest_of(typed, endpoint=endpoint)
            _write(path, packed(write_manifest(manifest)))
            written.append(path)
    return written


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_bytes(data)
    os.replace(draft, path)  # noqa: PTH105 - the atomic rename is the point


def _of_services(unit: Unit, module: ModuleId, endpoint: str, dialect: Dialect) -> Manifest:
    services = tuple(each.cls.name for each in unit.services.values() if each.module == module)
    signals = tuple(name for name, each in unit.signals.items() if each.module == module)
    return manifest_of(
        definition_of(unit.cls, name=f"{unit.cls.name}.{module}", services=services, signals=signals), endpoint=endpoint, dialect=dialect
    )


def _of_values(plant: SitePlant, unit: Unit, module: ModuleId, endpoint: str, dialect: Dialect) -> Manifest:
    assemblies = tuple(_value(signal, plant, module) for signal in unit.signals.values() if signal.module == module)
    return Manifest(
        name=f"{unit.make} {module.removeprefix(f'{unit.id}-').lower()}",
        dialect=dialect,
        version="1.0.0",
        services=(),
        assemblies=assemblies,
        endpoint=endpoint,
        documents={"VDI/VDE/NAMUR 2658-1:Manifest": str(dialect)} | _DOCUMENTS,
        manufacturer=unit.make,
    )


def _value(signal: Signal, plant: SitePlant, module: ModuleId) -> DataAssembly:
    """A measurement as an AnaView, a set-point as an AnaMan, in the make's own unit."""
    known, setpoint = signal.cls, signal.cls.role is Role.SETPOINT
    turned = converter(known.unit, signal.native_unit)
    ends = sorted((turned(known.low), turned(known.high)))
    numbers = {"VSclMin": ends[0], "VSclMax": ends[1]} | ({"VMin": ends[0], "VMax": ends[1]} if setpoint else {})
    return DataAssembly(
        name=known.name,
        ref=str(uuid5(NAMESPACE_URL, f"{plant.site}#{module}.{known.name}")),
        path=f"{_LIBRARY}/OperationElement/AnaMan" if setpoint else f"{_LIBRARY}/IndicatorElement/AnaView",
        title=known.title,
        items={"VMan" if setpoint else "V": _item(signal.node, Access.BOTH if setpoint else Access.READ)},
        values={name: f"{number:g}" for name, number in numbers.items()} | {"VUnit": str(code_of(signal.native_unit))},
    )


def _item(node: str, access: Access) -> Item:
    """A node id of a plant document; an index becomes the address under which simulated servers register it."""
    found = _NODE.fullmatch(node)
    if found is None:
        return Item("", node, "s", access)
    index = found["index"] or "0"
    uri = found["uri"] or ("http://opcfoundation.org/UA/" if index == "0" else f"urn:isogenic:simulated:namespace:{index}")
    return Item(uri, found["identifier"], found["kind"], access)
