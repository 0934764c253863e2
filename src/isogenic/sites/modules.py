"""What the modules of a site offer, as their packages tell it, and whether two of them are of one type.

Guarantees: files are read once and again only when they change, bounded, and never written; a
package that cannot be read is told as such and hides nothing of the others.
Leaves to others: driving them (drivers), how it looks (web).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from isogenic.checks import Note
from isogenic.errors import NotFound, Refusal
from isogenic.ids import ModuleId
from isogenic.plant.model import Module, SitePlant, Unit
from isogenic.plant.mtp.archive import PACKAGE_MAX
from isogenic.plant.mtp.checking import check_module, names_of
from isogenic.plant.mtp.comparing import type_digest
from isogenic.plant.mtp.model import Manifest
from isogenic.plant.mtp.reading import read_manifest
from isogenic.sites.drivers.manifests import FOLDER

__all__ = ["ModuleCard", "Shelf", "UnitCard"]


@dataclass(frozen=True, slots=True)
class ModuleCard:
    """One module: how it is reached, and what its package says."""

    module: Module
    connection: str
    since: datetime | None
    file: str
    manifest: Manifest | None = None
    trouble: str = ""  # why there is no manifest
    type_digest: str = ""
    same_type: tuple[ModuleId, ...] = ()  # other modules of this site

    @property
    def released(self) -> bool | None:
        """Whether it is of the type that the plant document releases; None where that says nothing."""
        return None if not self.module.module_type else self.module.module_type == self.type_digest


@dataclass(frozen=True, slots=True)
class UnitCard:
    """One unit: its modules, and whether together they offer what its class asks for."""

    unit: Unit
    modules: tuple[ModuleCard, ...]
    notes: tuple[Note, ...]  # empty where not every module has a package


class Shelf:
    """The folder of packages of one site."""

    def __init__(self, folder: Path) -> None:
        """`folder`: the node's."""
        self._folder = folder / FOLDER
        self._read: dict[str, tuple[tuple[int, int], Manifest | Refusal]] = {}  # by file, with its size and time

    def cards(self, plant: SitePlant, equipment: Any) -> tuple[UnitCard, ...]:
        """Every unit with its modules."""
        connections: Mapping[ModuleId, object] = equipment.connections() if hasattr(equipment, "connections") else {}
        since: Mapping[ModuleId, datetime] = equipment.since() if hasattr(equipment, "since") else {}
        found: dict[ModuleId, Manifest | Refusal] = {}
        for unit in plant.units.values():
            for module in unit.modules.values():
                found[module.id] = self._manifest(_file_of(module))
        types = {name: type_digest(each) for name, each in found.items() if isinstance(each, Manifest)}
        units = []
        for unit in plant.units.values():
            cards = []
            for module in unit.modules.values():
                said, digest = found[module.id], types.get(module.id, "")
                manifest, trouble = (said, "") if isinstance(said, Manifest) else (None, str(said))
                same = tuple(name for name, other in types.items() if digest and other == digest and name != module.id)
                state = str(connections.get(module.id, "not connected"))
                cards.append(ModuleCard(module, state, since.get(module.id), _file_of(module), manifest, trouble, digest, same))
            units.append(UnitCard(unit, tuple(cards), _notes(unit, cards)))
        return tuple(units)

    def _manifest(self, name: str) -> Manifest | Refusal:
        path = self._folder / name
        try:
            stat = path.stat()
            key = (stat.st_size, stat.st_mtime_ns)
            if name not in self._read or self._read[name][0] != key:
                with path.open("rb") as file:
                    data = file.read(PACKAGE_MAX + 1)
                self._read[name] = (key, _tried(data, name))
        except OSError as trouble:
            return NotFound(f"no package {name}", why=str(trouble.strerror or trouble))
        return self._read[name][1]


def _tried(data: bytes, name: str) -> Manifest | Refusal:
    try:
        return read_manifest(data, name=name)
    except Refusal as refusal:
        return refusal


def _file_of(module: Module) -> str:
    return module.manifest or f"{module.id}.mtp"


def _notes(unit: Unit, cards: list[ModuleCard]) -> tuple[Note, ...]:
    manifests = [card.manifest for card in cards if card.manifest is not None]
    if len(manifests) != len(cards):
        return ()
    own = {card.module.id for card in cards if card.module.manifest}
    signals = {name: each for name, each in unit.signals.items() if each.module in own}
    names = names_of(unit.services.values(), signals)
    units = {name: each.native_unit for name, each in unit.signals.items() if each.module not in own}  # published under the class's names
    return tuple(check_module(manifests, unit.cls, names=replace(names, units={**names.units, **units})))
