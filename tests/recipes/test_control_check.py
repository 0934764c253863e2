"""A control recipe is read back: every number is the master recipe's, on this unit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipe_desk import GENERAL, changed, master_of, plant_of, text, unit_of
from test_scaling import AGITATION, KLA, TIP
from two_units import TWO_UNITS

from isogenic.checks import stops
from isogenic.ids import BatchId, LotId
from isogenic.plant.model import Geometry, OxygenTransfer
from isogenic.recipes.control_check import check_control_says_what_its_master_says
from isogenic.recipes.derive import derive_control
from isogenic.recipes.model import ControlRecipe, MasterRecipe
from isogenic.records import codec

BATCH, LOT = BatchId("BAT-1"), LotId("LOT-1")
NO_DIFFERENCES = "isogenic: site-recipe/1\nsite: LEEDS\nrecipe: {}\nversion: {}\n"
LEEDS = replace(unit_of("leeds"), geometry=Geometry(0.14, 1, 1000.0, OxygenTransfer(0.35, 1.3, 0.026, 0.4, 0.5)))
MASTER = master_of("leeds")
CONTROL = derive_control(MASTER, LEEDS, batch=BATCH, lot=LOT)


def said(control: ControlRecipe, master: MasterRecipe = MASTER) -> list[str]:
    return [note.text for note in stops(check_control_says_what_its_master_says(control, master, LEEDS))]


@pytest.mark.parametrize(
    ("general", "recipe", "version"),
    [
        (GENERAL, "MAB-FB", 1),
        (changed(AGITATION, TIP), "MAB-FB", 1),
        (changed(AGITATION, KLA), "MAB-FB", 1),
        (changed("formula:\n", "formula:\n  x: {title: X, value: 1 uL, low: 1 uL, high: 2 uL, per: cells, of: inoculum_density}\n"), "MAB-FB", 1),
        (TWO_UNITS, "GROW-FILL", 2),
    ],
)
def test_what_is_derived_reads_back_as_its_master_recipe(general, recipe, version):
    master = master_of("leeds", general=general, site_text=NO_DIFFERENCES.format(recipe, version))
    assert said(derive_control(master, LEEDS, batch=BATCH, lot=LOT), master) == []


def with_phase(phase_name: str, /, **values: object) -> ControlRecipe:
    part = CONTROL.unit_procedures[0]
    phases = tuple(replace(phase, **values) if phase.name == phase_name else phase for phase in part.phases)
    return replace(CONTROL, unit_procedures=(replace(part, phases=phases),))


@pytest.mark.parametrize(
    ("control", "why"),
    [
        (with_phase("growth", setpoints={**CONTROL.phases[3].setpoints, "temperature_sp": 38.0}), "growth: it sets temperature_sp to 38 degC"),
        (with_phase("growth", setpoints={}), "growth: it sets nothing, not temperature_sp"),
        (with_phase("growth", title="Grow"), "growth: its title"),
        (with_phase("growth", until="temperature > 36 degC"), "growth: it waits until temperature > 36 degC, not until elapsed >= @growth_time"),
        (with_phase("inoculate", prompts=()), "inoculate: it asks other questions"),
        (with_phase("growth", name="growing"), "cell_culture has other phases"),
        (replace(CONTROL, unit_procedures=(replace(CONTROL.unit_procedures[0], chart="growth; condition"),)), "cell_culture runs its phases as"),
        (replace(CONTROL, chart="harvest"), "the unit procedures run as harvest"),
        (replace(CONTROL, master_digest="0" * 64), "names other documents"),
        (replace(CONTROL, parameters=CONTROL.parameters[1:]), "has other parameters"),
    ],
)
def test_what_is_not_the_master_recipes_stops(control, why):
    assert any(why in text for text in said(control))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(range(len(CONTROL.parameters))), st.floats(1e-3, 0.5))
def test_a_parameter_that_is_off_by_a_thousandth_stops(at, share):
    one = CONTROL.parameters[at]
    off = replace(one, value=one.value * (1 + share))
    parameters = (*CONTROL.parameters[:at], off, *CONTROL.parameters[at + 1 :])
    assert any(text.startswith(f"{one.name} is ") for text in said(replace(CONTROL, parameters=parameters)))


# --- any number, anywhere -------------------------------------------------------------------------

CART_UNIT = next(unit for unit in plant_of("utrecht").units.values() if unit.cls.name == "cell_processor")
CART = master_of("utrecht", general=text("cart-a.general.yaml"))
DERIVED = [(MASTER, LEEDS, CONTROL), (CART, CART_UNIT, derive_control(CART, CART_UNIT, batch=BATCH, lot=LOT))]


NUMBER = re.compile(r"(?<![a-z_0-9])[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?(?![a-z_0-9])")  # as it is recorded, or as it stands in a condition


def numbers(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a control recipe a number stands, by itself or inside a condition."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in ("uses", "version", "unit"):
                yield from numbers(inner, (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from numbers(inner, (*path, at))
    elif isinstance(value, str):
        alone, inside = NUMBER.fullmatch(value) and float(value), path[-1] in ("until", "when", "chart") and re.search(r"[<>]=? [0-9]", value)
        if alone or inside:
            yield path


def with_one_off(value: Any, path: tuple[Any, ...], share: float) -> Any:
    """The same with the number there off by a share."""
    if not path:
        return NUMBER.sub(lambda found: repr(float(found[0]) * share), value, count=1)
    copy = value.copy()
    copy[path[0]] = with_one_off(value[path[0]], path[1:], share)
    return copy


PLACES = [(at, path) for at, (_, _, control) in enumerate(DERIVED) for path in numbers(codec.plain(control))]


def test_there_are_numbers_of_every_kind_to_try():
    kinds = {path[-2] if isinstance(path[-1], str) and path[-2] in ("dose", "parameters") else path[-1] for _, path in PLACES}
    assert {"dose", "parameters", "until", "when", "chart", "timeout_h", "lost_after_h", "lasting_h", "low", "working_volume"} <= kinds


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(PLACES), st.sampled_from([0.5, 0.999, 1.001, 3.0]))
def test_any_number_that_is_off_stops(place, share):
    at, path = place
    master, unit, control = DERIVED[at]
    off = codec.read(ControlRecipe, with_one_off(codec.plain(control), path, share))
    assert off != control
    assert stops(check_control_says_what_its_master_says(off, master, unit)) != []


def test_both_read_back():
    assert [stops(check_control_says_what_its_master_says(control, master, unit)) for master, unit, control in DERIVED] == [[], []]


def test_a_number_that_a_change_of_the_formula_would_not_reach_stops():
    assert "growth: a change of the formula would not reach @agitation, @dissolved_oxygen, @ph, @temperature, elapsed >= @growth_time" in said(
        with_phase("growth", uses=())
    )
