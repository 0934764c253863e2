"""What a module calls the services of its class, as a plant document writes it."""

from __future__ import annotations

import pytest

from isogenic.errors import NotValid
from isogenic.ids import UnitId
from isogenic.plant.documents import load_plant
from isogenic.plant.model import Protocol

DOCUMENT = """\
isogenic: plant/1
site: LEEDS
title: Leeds
sponsor: ACME
latitude: 53.8
longitude: -1.5
units:
  FILL-1:
    class: filler
    title: Filler
    make: some maker
    working_volume: 5 L
    capabilities: {}
    modules:
      CELL:
        protocol: mtp
        manifest: cell.mtp
        services:
          stopper: {}
          fill: {theirs: Cell_Fill, procedures: {gravimetric: Weighed}, parameters: {fill_weight: W}, units: {fill_weight: mg}}
      LABELS:
        endpoint: opc.tcp://a:1
        signals: {labels_applied: {node: "ns=2;s=L"}}
"""


def test_a_bound_service_brings_its_state_with_it():
    unit = load_plant(DOCUMENT, name="x").unit(UnitId("FILL-1"))
    fill, stopper = unit.services["fill"], unit.services["stopper"]
    assert (fill.key, fill.theirs, fill.procedures) == ("FILL-1.fill", "Cell_Fill", {"peristaltic": "peristaltic", "gravimetric": "Weighed"})
    assert (fill.parameters["fill_weight"], fill.parameters["tolerance"], fill.native_units) == ("W", "tolerance", {"fill_weight": "mg"})
    assert (stopper.theirs, unit.signals["fill_state"].node, unit.signals["stopper_state"].node) == (
        "stopper",
        "Cell_Fill.StateCur",
        "stopper.StateCur",
    )
    assert sorted(unit.signals) == ["fill_state", "labels_applied", "stopper_state"]


def test_modules_are_told_apart_by_how_they_are_spoken_to():
    plant = load_plant(DOCUMENT, name="x")
    assert [sorted(unit.services) for unit in plant.of_protocol(Protocol.MTP).units.values()] == [["fill", "stopper"]]
    assert [sorted(unit.services) for unit in plant.of_protocol(Protocol.OPCUA).units.values()] == [[]]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("stopper: {}", "stoper: {}", "filler has no such service; did you mean stopper?"),
        ("gravimetric: Weighed", "weighing: Weighed", "the class has no such procedure; known are peristaltic, gravimetric"),
        ("fill_weight: W", "weight: W", "the class has no such parameter"),
        ("fill_weight: mg", "fill_weight: L", "fill_weight"),
        ("manifest: cell.mtp", "manifest: ../cell.mtp", "no file name"),
        ("manifest: cell.mtp", "manifest: cell.mtp\n        module_type: 12", "64 hexadecimal digits"),
        ("        manifest: cell.mtp\n", "", "no file name"),
        ("protocol: mtp", "protocol: opcua", "only a module with protocol: mtp has one"),
        (
            "      LABELS:\n",
            "      CELL-2:\n        protocol: mtp\n        manifest: b.mtp\n        services: {fill: {}}\n      LABELS:\n",
            "already bound to CELL",
        ),
    ],
)
def test_a_faulty_binding_is_refused_with_its_line(old, new, why):
    assert DOCUMENT.count(old) == 1
    with pytest.raises(NotValid) as refusal:
        load_plant(DOCUMENT.replace(old, new), name="x")
    assert why in str(refusal.value)
    assert "line " in str(refusal.value)
