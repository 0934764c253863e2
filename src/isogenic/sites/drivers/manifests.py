"""The manifests of a site's modules: files in the folder `modules` of the node, one a module.

A module whose file is missing or cannot be read is refused by name when the node starts, not
at the first order. Files are read once, bounded, and never written.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from isogenic.errors import NotFound
from isogenic.ids import ModuleId
from isogenic.plant.model import Protocol, SitePlant
from isogenic.plant.mtp.archive import PACKAGE_MAX
from isogenic.plant.mtp.model import Manifest
from isogenic.plant.mtp.reading import read_manifest

__all__ = ["FOLDER", "manifests_in"]

FOLDER = "modules"


def manifests_in(folder: Path | None, plant: SitePlant) -> Mapping[ModuleId, Manifest]:
    """The manifest of every module that has one; several modules of a type may share a file."""
    files: dict[str, Manifest] = {}
    found: dict[ModuleId, Manifest] = {}
    for unit in plant.units.values():
        for module in unit.modules.values():
            if module.protocol is not Protocol.MTP:
                continue
            if module.manifest not in files:
                files[module.manifest] = _read(folder, module.manifest, module.id)
            found[module.id] = files[module.manifest]
    return found


def _read(folder: Path | None, name: str, module: ModuleId) -> Manifest:
    path = (folder or Path()) / FOLDER / name
    try:
        with path.open("rb") as file:
            data = file.read(PACKAGE_MAX + 1)
    except OSError as trouble:
        raise NotFound(
            f"cannot read the manifest of {module}", why=f"{path}: {trouble.strerror or trouble}", possible="put its maker's file there"
        ) from trouble
    return read_manifest(data, name=name)
