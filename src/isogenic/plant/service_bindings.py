"""What a module calls the services of its class, as plant documents write it.

    modules:
      PREP-1:
        protocol: mtp
        manifest: prep-1.mtp            # in the site's folder of modules
        module_type: 6f0c...            # optional: the released type's digest (`isogenic module inspect`)
        services:
          heating: {}                   # called the same, with the same parameters in our units
          dosing:
            theirs: HC10_Dosing
            procedures: {by_volume: HC10_Dosing_Volume_Y22}
            parameters: {volume: HC10_Target_Volume_Dosing}
            units: {volume: mL}         # where the manifest states none that is known

A service that is bound brings the signal of its state with it.
Guarantees: only services, procedures and parameters of the class are bound, each service once.
Leaves to others: whether the manifest has them (mtp.checking, the driver).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches

from isogenic.documents import Table, shown
from isogenic.ids import UnitId
from isogenic.plant.model import BoundService, EquipmentClass, Module, Protocol, ServiceClass, Signal
from isogenic.plant.services import STATE_SIGNAL

__all__ = ["bind_services", "read_manifest_name"]

_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.(mtp|aml|zip)")  # a name, no path
_DIGEST = re.compile(r"[0-9a-f]{64}")
_THEIRS_MAX = 200


def read_manifest_name(table: Table, protocol: Protocol) -> tuple[str, str]:
    """Which file describes a module, and the digest of the type that was released for it."""
    manifest, module_type = table.text("manifest", default=""), table.text("module_type", default="")
    if protocol is not Protocol.MTP:
        for key in ("manifest", "module_type", "services"):
            if table.has(key):
                table.complain(key, f"only a module with protocol: {Protocol.MTP} has one")
        return "", ""
    if not _FILE.fullmatch(manifest):
        table.complain("manifest", f"{shown(manifest)!r} is no file name that ends in .mtp or .aml; it lies in the site's folder of modules")
    if module_type and not _DIGEST.fullmatch(module_type):
        table.complain("module_type", f"{shown(module_type)!r} is not 64 hexadecimal digits, as `isogenic module inspect` tells them")
    return manifest, module_type


def bind_services(
    table: Table, services: dict[str, BoundService], signals: dict[str, Signal], *, cls: EquipmentClass, unit_id: UnitId, module: Module
) -> None:
    """Read a module's `services:`, each with the signal of its state."""
    outer = table.table("services", needed=False)
    for name in outer.names():
        inner, known = outer.table(name), cls.services.get(name)
        if known is None:
            near = get_close_matches(name, cls.services, n=1)
            outer.complain(name, f"{cls.name} has no such service" + (f"; did you mean {near[0]}?" if near else ""))
            continue
        if name in services:
            outer.complain(name, f"already bound to {services[name].module}")
            continue
        bound = _bound(inner, known, name, unit_id, module)
        services[name] = bound
        state = cls.signals[name + STATE_SIGNAL]
        signals[state.name] = Signal(unit_id, state, module.id, f"{bound.theirs}.StateCur", "1")


def _bound(table: Table, known: ServiceClass, name: str, unit_id: UnitId, module: Module) -> BoundService:
    procedures = _names(table, "procedures", {each: each for each in known.procedures})
    parameters = _names(table, "parameters", {each: each for each in known.parameters})
    units = table.table("units", needed=False)
    native: dict[str, str] = {}
    for each in units.names():
        if each not in known.parameters:
            units.complain(each, f"{name} has no such parameter; known are {', '.join(known.parameters) or 'none'}")
        else:
            native[each] = units.unit(each, like=known.parameters[each].unit)
    return BoundService(unit_id, known, module.id, table.text("theirs", default=name)[:_THEIRS_MAX], procedures, parameters, native)


def _names(table: Table, key: str, ours: dict[str, str]) -> Mapping[str, str]:
    """What the module calls things; those that are not mentioned are called the same."""
    inner = table.table(key, needed=False)
    for each in inner.names():
        if each not in ours:
            inner.complain(each, f"the class has no such {key.removesuffix('s')}; known are {', '.join(ours) or 'none'}")
        else:
            ours[each] = inner.text(each)[:_THEIRS_MAX]
    return ours
