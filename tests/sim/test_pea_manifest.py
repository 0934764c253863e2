"""What a simulated module publishes is what our own reader, and any other, finds in it."""

from __future__ import annotations

import pytest
from lxml import etree
from test_pea import DOSER

from isogenic.plant.classes import CLASSES
from isogenic.plant.mtp.archive import packed
from isogenic.plant.mtp.model import Dialect, Kind
from isogenic.plant.mtp.reading import read_manifest
from isogenic.plant.mtp.writing import write_manifest
from isogenic.sim.pea import Pea, definition_of
from isogenic.sim.pea_manifest import manifest_of


@pytest.mark.parametrize("dialect", list(Dialect))
def test_a_written_manifest_is_read_back_as_the_same(dialect):
    made = manifest_of(DOSER, endpoint="opc.tcp://127.0.0.1:4840", dialect=dialect)
    read = read_manifest(packed(write_manifest(made)), name="doser.mtp")
    assert (read.notes, len(read.digest)) == ((), 64)
    for part in ("name", "dialect", "version", "endpoint", "documents", "manufacturer", "services", "assemblies"):
        assert getattr(read, part) == getattr(made, part), part
    assert write_manifest(made) == write_manifest(manifest_of(DOSER, endpoint="opc.tcp://127.0.0.1:4840", dialect=dialect))


def test_every_variable_of_the_controller_is_bound_once():
    made = manifest_of(DOSER)
    keys = [item.identifier for assembly in made.assemblies for item in assembly.items.values()]
    assert sorted(keys) == sorted(Pea(DOSER).variables)


def test_a_manifest_says_units_ranges_and_numbers():
    [service] = manifest_of(DOSER).services
    volume = service.procedure("volume")
    [seconds, amount] = volume.of(Kind.PARAMETER)
    assert (volume.number, volume.self_completing, service.procedure("continuous").self_completing) == (1, True, False)
    assert (seconds.assembly.unit, amount.assembly.unit, amount.assembly.number("VMax")) == ("s", "L", 50.0)
    assert [each.name for each in volume.of(Kind.REPORT)] == ["dosed"]


@pytest.mark.parametrize("dialect", list(Dialect))
def test_every_class_that_a_manifest_refers_to_is_declared_in_it(dialect):
    root = etree.fromstring(write_manifest(manifest_of(DOSER, dialect=dialect)))
    declared = set()
    for node in root.iter("{*}SystemUnitClass", "{*}InterfaceClass", "{*}AttributeType"):
        declared.add("/".join([each.get("Name") for each in (*reversed(list(node.iterancestors())), node) if each.get("Name")]))
    used = {node.get(word) for node in root.iter() for word in ("RefBaseSystemUnitPath", "RefBaseClassPath", "RefAttributeType") if node.get(word)}
    assert used - declared == set()


@pytest.mark.parametrize("name", [name for name, cls in CLASSES.items() if cls.services])
def test_a_module_of_each_class_with_services_publishes_itself(name):
    made = manifest_of(definition_of(CLASSES[name], name="X"))
    assert {each.name for each in read_manifest(write_manifest(made), name="x").services} == set(CLASSES[name].services)
