"""Equipment classes: one name means one thing everywhere, and what a service needs is there."""

from __future__ import annotations

import pytest

from isogenic.plant.classes import CLASSES, STATE
from isogenic.plant.model import Role
from isogenic.units import converter, same_dimension


def test_a_signal_of_one_name_has_one_unit_and_one_role_in_every_class():
    said: dict[str, set[tuple[str, Role]]] = {}
    for cls in CLASSES.values():
        for signal in cls.signals.values():
            said.setdefault(signal.name, set()).add((signal.unit, signal.role))
    assert {name: kinds for name, kinds in said.items() if len(kinds) != 1} == {}


@pytest.mark.parametrize("cls", CLASSES.values(), ids=lambda each: each.name)
def test_names_ranges_and_units_of_a_class_are_whole(cls):
    assert {name: each.name for name, each in cls.signals.items()} == {name: name for name in cls.signals}
    parameters = [each for service in cls.services.values() for each in service.parameters.values()]
    assert all(each.low < each.high for each in (*cls.signals.values(), *parameters))
    assert all(converter(each.unit, each.unit)(1.0) == 1.0 and same_dimension(each.unit, each.unit) for each in (*cls.signals.values(), *parameters))


@pytest.mark.parametrize("cls", CLASSES.values(), ids=lambda each: each.name)
def test_every_service_shows_its_state_as_a_signal(cls):
    assert {name for name in cls.signals if name.endswith(STATE)} == {name + STATE for name in cls.services}
    assert all(service.procedures for service in cls.services.values())


def test_the_states_of_a_service_are_within_their_range():
    signal = CLASSES["filler"].signals["fill_state"]
    assert (signal.unit, signal.low, signal.high) == ("1", 0.0, 131072.0)  # completed is the highest word


def test_a_set_point_has_a_measurement_of_its_unit():
    for cls in CLASSES.values():
        for signal in cls.signals.values():
            if signal.name.endswith("_sp"):
                assert cls.signals[signal.name.removesuffix("_sp")].unit == signal.unit
