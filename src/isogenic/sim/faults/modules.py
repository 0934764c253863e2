"""Faults of modules that are driven by services: cell processors, filling lines, mRNA lines.

    lnp_flow_falls:unit=MIX-1,size=0.4

Such a module knows no batch's age: a fault stands from the moment it is given until it is taken back, and acts whenever
the service that it concerns runs.

Guarantees: what `parse_module_fault` accepts has a form; whether the unit can have it, its device says (`Device.kinds`).
`text_of_module_fault` gives back what was read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from isogenic.errors import NotFound, NotValid
from isogenic.ids import UnitId
from isogenic.sim.faults.catalogue import catalogue

__all__ = ["Device", "DeviceFault", "ModuleFault", "catalogued", "checked_size", "parse_module_fault", "text_of_module_fault", "unit_of_fault"]

TEXT_MAX = 200
EXAMPLE = "lnp_flow_falls:unit=MIX-1,size=0.4"
_FORM = re.compile(r"([a-z_]+):unit=([A-Za-z0-9_.+-]{1,40})(?:,size=([0-9.eE+-]{1,30}))?")


@dataclass(frozen=True, slots=True)
class DeviceFault:
    """One fault that a device can have."""

    name: str
    what: str
    seen: str
    unit: str = ""  # of its size
    low: float = 0.0
    high: float = 1.0
    sized: bool = True  # without: it is there, or it is not


class Device(Protocol):
    """What stands behind one or several modules, and what can go wrong with it."""

    @property
    def kinds(self) -> Mapping[str, DeviceFault]: ...
    def strike(self, name: str, size: float) -> None: ...  # at 0 it is over


@dataclass(frozen=True, slots=True)
class ModuleFault:
    """One fault that stands."""

    name: str
    unit: UnitId
    size: float = 1.0


def catalogued(names: Iterable[str], process: str) -> dict[str, DeviceFault]:
    """Faults of the catalogue, as a device of this process has them."""
    return dict(_catalogued(tuple(names), process))


@cache
def _catalogued(names: tuple[str, ...], process: str) -> Mapping[str, DeviceFault]:
    known, found = catalogue(), {}
    for name in names:
        size = known[name].size_for(process)
        assert size is not None
        found[name] = DeviceFault(name, known[name].what, known[name].signature, size.unit, size.low, size.high)
    return found


def parse_module_fault(text: str) -> ModuleFault:
    """Read one fault; see the module's text for the form."""
    found = _FORM.fullmatch(text) if isinstance(text, str) and len(text) <= TEXT_MAX else None
    if not found:
        raise NotValid(f"cannot read fault {str(text)[:60]!r}", why="a fault of a module is name:unit=UNIT,size=SIZE", possible=EXAMPLE)
    try:
        size = float(found[3] or "1")
    except ValueError:
        size = math.nan
    if not math.isfinite(size):
        raise NotValid(f"cannot read size={found[3]!r}", why="it is not a finite number")
    return ModuleFault(found[1], UnitId(found[2]), size)


def text_of_module_fault(fault: ModuleFault) -> str:
    """The line of text that `parse_module_fault` reads as this fault."""
    return f"{fault.name}:unit={fault.unit},size={fault.size!r}"


def checked_size(kinds: Mapping[str, DeviceFault], name: str, size: float) -> DeviceFault:
    """The fault of this name, where the size is one that it can have (0: it is over)."""
    kind = kinds.get(name)
    if kind is None:
        raise NotFound(f"such a module has no fault {name[:60]}", possible=", ".join(kinds))
    if not (kind.low <= size <= kind.high or size == 0.0):
        raise NotValid(f"cannot let {name} be {size:g}", possible=f"{kind.low:g} to {kind.high:g} {kind.unit}".rstrip(" 1"))
    return kind


def unit_of_fault(text: str) -> str:
    """Which unit a line of text strikes, of whatever kind it is; empty where it does not say."""
    found = re.search(r"[:,]unit=([A-Za-z0-9_.+-]{1,40})(?:,|$)", text[:400])
    return found[1] if found else ""
