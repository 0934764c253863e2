"""The page of a site's modules: what each offers, its digest, whether two are of one type; what cannot be read is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from drivers.mtp_floor import DEFINITION, DOCUMENT, manifest
from isogenic.ids import ModuleId
from isogenic.plant.documents import load_plant
from isogenic.plant.mtp.archive import packed
from isogenic.plant.mtp.comparing import type_digest
from isogenic.plant.mtp.writing import write_manifest
from isogenic.sim.pea_manifest import manifest_of
from isogenic.sites.modules import Shelf
from isogenic.web.screens.modules import modules_screen

SECOND = """\
      FILL-1-TWIN:
        protocol: mtp
        manifest: twin.aml
        module_type: TYPE
        services: {}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "cell.mtp").write_bytes(packed(write_manifest(manifest_of(DEFINITION, endpoint="opc.tcp://a:1"))))
    return tmp_path


def shown(folder: Path, document: str = DOCUMENT) -> str:
    plant = load_plant(document, name="x")
    return str(modules_screen(Shelf(folder).cards(plant, object()), title="Modules", back=("/", "Tasks")))


def test_a_module_is_shown_with_its_services_and_digests(folder):
    page = shown(folder)
    for part in ("Cell_Fill", "Gravimetric", "Weight 0.1 to 1000 g", type_digest(manifest()), "no type was released for it"):
        assert part in page
    assert "service stopper: no module offers it" in page


def test_two_modules_of_one_type_are_told_to_be_so_whatever_their_address(folder):
    other = manifest_of(replace(DEFINITION, namespace="urn:elsewhere"), endpoint="opc.tcp://b:1")
    (folder / "modules" / "twin.aml").write_bytes(write_manifest(other))
    twins = shown(folder, DOCUMENT + SECOND.replace("TYPE", type_digest(other)))
    assert (twins.count("the released type"), ">FILL-1-TWIN<" in twins, "1 module type<" in twins) == (1, True, True)
    assert "another type than the released one" in shown(folder, DOCUMENT + SECOND.replace("TYPE", "0" * 64))


def test_a_package_that_is_missing_or_a_trick_hides_nothing_of_the_others(folder):
    (folder / "modules" / "twin.aml").write_bytes(b"<!DOCTYPE x><CAEXFile/>")
    page = shown(folder, DOCUMENT + SECOND.replace("TYPE", "0" * 64))
    assert ("document type or an entity" in page, "Cell_Fill" in page) == (True, True)
    (folder / "modules" / "cell.mtp").unlink()
    assert "no package cell.mtp" in shown(folder)


def test_a_package_is_read_again_only_when_it_changes(folder, monkeypatch):
    shelf, plant = Shelf(folder), load_plant(DOCUMENT, name="x")
    first = shelf.cards(plant, object())[0].modules[0].manifest
    assert shelf.cards(plant, object())[0].modules[0].manifest is first
    (folder / "modules" / "cell.mtp").write_bytes(packed(write_manifest(replace(manifest(), version="9.9.9"))))
    [card] = shelf.cards(plant, object())[0].modules
    assert (card.manifest.version, card.module.id) == ("9.9.9", ModuleId("FILL-1-CELL"))


def test_names_in_a_package_are_no_markup(folder):
    bad = replace(manifest(), name="<script>alert(1)</script>")
    (folder / "modules" / "cell.mtp").write_bytes(packed(write_manifest(bad)))
    assert "<script>alert" not in shown(folder)
