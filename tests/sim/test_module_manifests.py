"""The modules of a simulated facility publish themselves, and what they publish fits what they are."""

from __future__ import annotations

from importlib.resources import files

import pytest
from typer.testing import CliRunner

from isogenic.checks import stops
from isogenic.cli import app
from isogenic.errors import NotFound
from isogenic.ids import ModuleId
from isogenic.plant.documents import load_plant
from isogenic.plant.mtp.checking import check_module, names_of
from isogenic.plant.mtp.comparing import same_type
from isogenic.plant.mtp.model import Dialect
from isogenic.plant.mtp.reading import read_manifest
from isogenic.plant.mtp.writing import write_manifest
from isogenic.sim.module_manifests import manifest_of_module, publish

PLANTS = {
    site: load_plant((files("isogenic.sim") / "documents" / f"{site}.plant.yaml").read_text(), name=site) for site in ("leeds", "ghent", "porto")
}


@pytest.mark.parametrize("site", PLANTS)
def test_the_modules_of_a_unit_show_together_what_its_class_asks_for(site, tmp_path):
    plant = PLANTS[site]
    [unit] = plant.units.values()
    endpoints = {module: f"opc.tcp://127.0.0.1:{4840 + at}" for at, module in enumerate(unit.modules)}
    written = publish(plant, tmp_path, endpoints)
    manifests = [read_manifest(path.read_bytes(), name=path.name) for path in written]
    assert [(each.notes, each.endpoint) for each in manifests] == [((), endpoint) for endpoint in endpoints.values()]
    names = names_of((), {})
    stated = {name: signal.native_unit for name, signal in unit.signals.items()}  # the standard's list has no mM
    assert stops(check_module(manifests, unit.cls, names=names.__class__(units=stated))) == []
    assert publish(plant, tmp_path, endpoints) == written


def test_two_skids_of_one_make_are_of_one_type_and_those_of_another_are_not():
    one, same, other = (
        manifest_of_module(PLANTS[site], ModuleId(module), endpoint=endpoint)
        for site, module, endpoint in (
            ("leeds", "BR-50-FEED", "opc.tcp://a:1"),
            ("leeds", "BR-50-FEED", "opc.tcp://b:1"),
            ("leeds", "BR-50-VESSEL", ""),
        )
    )
    assert (same_type(one, same), same_type(one, other)) == (True, False)


@pytest.mark.parametrize("dialect", list(Dialect))
def test_an_address_by_index_is_written_by_the_name_under_which_it_is_registered(dialect):
    made = manifest_of_module(PLANTS["porto"], ModuleId("SB-200-VESSEL"), dialect=dialect)
    read = read_manifest(write_manifest(made), name="x")
    assert read.assemblies == made.assemblies
    assert all(item.namespace.startswith("urn:isogenic:simulated:") for each in read.assemblies for item in each.items.values())


def test_a_module_that_nobody_has_is_refused():
    with pytest.raises(NotFound, match="BR-50-VESSEL"):
        manifest_of_module(PLANTS["leeds"], ModuleId("X"))


def test_the_verbs_write_read_compare_and_check(tmp_path):
    plant = tmp_path / "plant.yaml"
    plant.write_text((files("isogenic.sim") / "documents" / "leeds.plant.yaml").read_text())
    run = CliRunner().invoke
    new, old = str(tmp_path / "feed.mtp"), str(tmp_path / "feed.aml")
    assert run(app, ["module", "manifest", str(plant), "BR-50-FEED", "--out", new]).exit_code == 0
    assert run(app, ["module", "manifest", str(plant), "BR-50-FEED", "--out", old, "--older"]).exit_code == 0
    assert '"services": 0' in run(app, ["module", "inspect", new, "--json"]).output
    compared = run(app, ["module", "compare", new, old])
    assert (compared.exit_code, "the same type" in compared.output) == (0, True)
    checked = run(app, ["module", "check", new, "--class", "stirred_bioreactor"])
    assert (checked.exit_code, "signal temperature: no module shows it" in checked.output) == (2, True)
