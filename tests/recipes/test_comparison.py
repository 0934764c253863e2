"""Every local difference is declared, typed and justified; an undeclared one cannot be released."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipe_desk import GENERAL, changed, master_of, plant_of, text

from isogenic.checks import Severity, stops
from isogenic.errors import NotValid
from isogenic.recipes.comparison import Found, check_every_difference_is_declared, found_differences
from isogenic.recipes.derive import derive_master
from isogenic.recipes.general import load_general
from isogenic.recipes.model import MasterRecipe, Procedure, UnitRole
from isogenic.recipes.site import derive_site, load_site
from isogenic.units import Quantity

LEEDS = text("leeds.site.yaml")
GENERAL_RECIPE = load_general(GENERAL)
LABEL = """differences:
  - question: medium_lot
    type: label
    from: Lot number of the medium bag that is connected
    to: Lot number of bag 4711
    why: The bag has our own number.
"""
TITLE = "differences:\n  - {title: harvest, type: label, from: Harvest, to: Harvest into two bags, why: Two bags.}\n"


def said(master: MasterRecipe, site_text: str = LEEDS) -> list[str]:
    return [note.text for note in stops(check_every_difference_is_declared(GENERAL_RECIPE, load_site(site_text), master))]


def with_phase(master: MasterRecipe, phase: str, /, **values: object) -> MasterRecipe:
    """The master recipe with something of one phase changed, past every rule of deriving."""

    def inner(value: object) -> object:
        if getattr(value, "name", None) == phase and hasattr(value, "setpoints"):
            return replace(value, **values)  # type: ignore[type-var]
        if isinstance(value, tuple):
            return tuple(inner(each) for each in value)
        if is_dataclass(value) and type(value).__name__ in ("Procedure", "UnitProcedure", "Operation"):
            return replace(value, **{each.name: inner(getattr(value, each.name)) for each in fields(value)})
        return value

    procedure = inner(master.procedure)
    assert isinstance(procedure, Procedure) and procedure != master.procedure
    return replace(master, procedure=procedure)


@pytest.mark.parametrize("site", ["leeds", "ghent", "porto"])
def test_what_is_derived_differs_as_declared_and_nowhere_else(site):
    notes = check_every_difference_is_declared(GENERAL_RECIPE, load_site(text(f"{site}.site.yaml")), master_of(site))
    assert [note.severity for note in notes] == [Severity.GOOD]


def test_the_differences_are_found_without_the_declaration():
    found = found_differences(GENERAL_RECIPE, master_of("porto"))
    assert found[:2] == (Found("formula.agitation.value", "100.0 rpm", "90.0 rpm"), Found("formula.glucose_stock.value", "2.5 mol/L", "2.55 mol/L"))
    assert [each.path.rsplit(".", 2)[1] for each in found[2:]] == ["medium_lot", "inoculum_lot", "inoculum_viability", "harvest_ready"]


def test_an_undeclared_parameter_stops():
    master = master_of("leeds")
    warm = replace(master.formula["temperature"], value=Quantity(37.4, "degC"))
    assert said(replace(master, formula={**master.formula, "temperature": warm})) == [
        "formula.temperature.value is 37.4 degC and not 37.0 degC, and nothing declares it"
    ]


@pytest.mark.parametrize(
    "values",
    [
        {"setpoints": {"temperature_sp": "36 degC"}},
        {"title": "Grow"},
        {"until": "elapsed >= 2 d"},
        {"timeout": "1 h"},
        {"lost_after": "9 h"},
        {"monitored": False},
        {"held": {}},
        {"name": "growing"},
        {"prompts": ()},
    ],
)
def test_nothing_of_a_phase_differs_in_silence(values):
    if values == {"prompts": ()}:
        assert said(with_phase(master_of("leeds"), "harvest", **values)) != []
    else:
        assert said(with_phase(master_of("leeds"), "growth", **values)) != []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", "Another"),
        ("version", 2),
        ("roles", {"main": UnitRole("main", "other", ())}),
        ("roles", {"main": UnitRole("main", "stirred_bioreactor", ())}),
        ("general_digest", "0" * 64),
        ("site_digest", "0" * 64),
    ],
)
def test_nothing_of_the_recipe_differs_in_silence(field, value):
    assert len(said(replace(master_of("leeds"), **{field: value}))) >= 1


def test_a_declared_difference_that_was_not_made_stops():
    assert said(replace(master_of("leeds"), formula=GENERAL_RECIPE.formula)) == [
        "parameter agitation is declared as 140 rpm, and the master recipe does not have it so"
    ]


def test_a_difference_without_a_type_is_read_and_not_released():
    old = changed("    type: scale\n", "", of=LEEDS)
    assert said(master_of("leeds", site_text=old), old) == [
        "parameter agitation differs, and its type is not said; possible: equipment, scale, supplier, method, label, language"
    ]


@pytest.mark.parametrize("site_text", [LABEL, TITLE])
def test_labels_and_titles_differ_as_declared(site_text):
    document = LEEDS.split("differences:")[0] + site_text
    master = master_of("leeds", site_text=document)
    assert said(master, document) == []
    assert len(found_differences(GENERAL_RECIPE, master)) == 1
    assert said(master, LEEDS.split("differences:")[0] + "differences: []\n") != []


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("type: scale", "type: language", "a parameter does not differ because of language; it may because of equipment, scale, supplier, method"),
        ("type: scale", "type: taste", "'taste' is not one of equipment, scale"),
        ("parameter: agitation", "question: agitation", "a question does not differ because of scale"),
        ("parameter: agitation", "parameter: agitation\n    title: harvest", "a difference is about one of parameter, question, title"),
        ("    why: Equal power", "    because: Equal power", "why is missing"),
    ],
)
def test_an_ill_declared_difference_is_refused_when_it_is_read(old, new, why):
    with pytest.raises(NotValid, match=why):
        load_site(changed(old, new, of=LEEDS))


def test_a_label_names_what_it_replaces():
    document = load_site(LEEDS.split("differences:")[0] + LABEL.replace("that is connected", "on the shelf"))
    with pytest.raises(NotValid, match="medium_lot: the recipe says 'Lot number of the medium bag that is connected'"):
        derive_site(GENERAL_RECIPE, document)


NUMBERS = st.floats(60, 200).map(lambda value: round(value, 3))


@given(st.sampled_from(sorted(GENERAL_RECIPE.formula)), NUMBERS, st.booleans())
def test_whatever_is_changed_beside_the_declaration_is_found(name, number, declared):
    """Any parameter set to any number, with and without the site's declaration: only the declared one passes."""
    parameter = GENERAL_RECIPE.formula[name]
    value = Quantity(parameter.value.value + number, parameter.value.unit)
    master = derive_master(derive_site(GENERAL_RECIPE, load_site(LEEDS)), plant_of("leeds"))
    master = replace(master, formula={**master.formula, name: replace(parameter, value=value)})
    document = load_site(LEEDS)
    if declared:
        difference = replace(document.differences[0], name=name, was=str(parameter.value), now=f"{value.value!r} {value.unit}")
        document = replace(document, differences=(*(each for each in document.differences if each.name != name), difference))
        # 140 rpm for the stirrer is declared in the document and made in the master recipe, unless it is what was changed.
    notes = stops(check_every_difference_is_declared(GENERAL_RECIPE, document, master))
    assert (notes == []) is declared
