"""From general to control: declared differences, needs of the unit, every number resolved, digests."""

from __future__ import annotations

from dataclasses import replace

import pytest
from recipe_desk import GENERAL, changed, master_of, plant_of, text, unit_of
from two_units import TWO_UNITS

from isogenic.checks import Severity, stops
from isogenic.errors import NotAllowed, NotValid
from isogenic.ids import BatchId, LotId, UnitId
from isogenic.plant.model import Capability
from isogenic.recipes.derive import CONTROL_BYTES_MAX, control_digest, derivable, derive_control, derive_master
from isogenic.recipes.general import load_general
from isogenic.recipes.model import ControlRecipe
from isogenic.recipes.site import derive_site, load_site
from isogenic.records import codec
from isogenic.units import Quantity

BATCH, LOT = BatchId("BAT-7K2M"), LotId("LOT-0001")
SITES = ("leeds", "ghent", "porto")


def control_of(site: str, **changes: object) -> ControlRecipe:
    return derive_control(master_of(site), replace(unit_of(site), **changes), batch=BATCH, lot=LOT)


# --- site -----------------------------------------------------------------------------------------


def test_a_site_differs_only_where_its_document_says_so():
    general = load_general(GENERAL)
    porto = derive_site(general, load_site(text("porto.site.yaml")))
    differs = {name for name in general.formula if porto.formula[name] != general.formula[name]}
    assert differs == {"agitation", "glucose_stock"} == {one.name for one in porto.differences}
    ghent = derive_site(general, load_site(text("ghent.site.yaml")))
    assert ghent.formula == general.formula


def test_questions_keep_their_approved_words_beside_the_local_ones():
    phase = derive_site(load_general(GENERAL), load_site(text("ghent.site.yaml"))).procedure.phases[0]
    assert phase.prompts[0].text == "Lot number of the medium bag that is connected | Lotnummer van de aangesloten mediumzak"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("to: 90 rpm", "to: 250 rpm", "line 10: agitation: 250 rpm is above its highest 200 rpm"),
        ("to: 90 rpm", "to: 1 turn_count/s", None),
        ("to: 90 rpm", "to: 0.5 turn_count/s", "agitation: 0.5 turn_count/s is below its lowest 60 rpm"),
        ("from: 100 rpm", "from: 110 rpm", "agitation: the recipe says 100 rpm, not 110 rpm"),
        ("parameter: agitation", "parameter: agitatoin", "no parameter 'agitatoin'; did you mean agitation"),
        ("parameter: agitation", "parameter: temperature", "temperature: 90 rpm does not measure the same as 37 degC"),
        ("version: 1", "version: 2", "it is written for MAB-FB version 2, not for MAB-FB version 1"),
        ("medium_lot:", "medium_lott:", "the recipe has no question 'medium_lott'; did you mean medium_lot"),
    ],
)
def test_a_difference_that_is_not_allowed_is_named_with_its_line(old, new, why):
    document = load_site(changed(old, new, of=text("porto.site.yaml")))
    if why is None:
        assert derive_site(load_general(GENERAL), document).formula["agitation"].value.to("rpm").value == pytest.approx(60.0)
        return
    with pytest.raises(NotValid, match=why):
        derive_site(load_general(GENERAL), document)


def test_a_parameter_differs_once():
    twice = text("leeds.site.yaml") + text("leeds.site.yaml").split("differences:\n")[1].replace("140 rpm", "130 rpm")
    with pytest.raises(NotValid, match="line 15: agitation is declared twice"):
        derive_site(load_general(GENERAL), load_site(twice))


def test_a_difference_without_a_reason_is_refused():
    with pytest.raises(NotValid, match=r"line 10: differences\[1\].why is missing"):
        load_site(changed("    why: The stirrer of this make is larger; equal power per volume.\n", "", of=text("porto.site.yaml")))


# --- master ---------------------------------------------------------------------------------------


def test_a_master_recipe_is_for_its_own_site():
    leeds = derive_site(load_general(GENERAL), load_site(text("leeds.site.yaml")))
    assert derive_master(leeds, plant_of("leeds")).units == (UnitId("BR-50"),)
    with pytest.raises(NotAllowed, match="it was written for another site"):
        derive_master(leeds, plant_of("ghent"))


def test_digests_follow_the_content():
    assert len({master_of(site).digest for site in SITES}) == 3
    assert master_of("leeds").digest == master_of("leeds").digest
    assert master_of("leeds").digest != master_of("leeds", general=GENERAL + "# comment\n").digest  # another text, another recipe
    assert control_digest(control_of("leeds")) == control_digest(control_of("leeds"))


# --- control --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("site", "feed", "medium", "rpm"), [("leeds", 35.0, 25.2, 140.0), ("ghent", 140.0, 100.8, 100.0), ("porto", 140.0, 100.8, 90.0)]
)
def test_unlike_units_get_their_own_numbers(site, feed, medium, rpm):
    control = control_of(site)
    phases = {phase.name: phase for phase in control.phases}
    assert phases["production"].setpoints == {
        "temperature_sp": 37.0,
        "ph_sp": 7.0,
        "dissolved_oxygen_sp": 40.0,
        "agitation_sp": rpm,
        "feed_flow_sp": feed,
    }
    assert phases["charge_medium"].dose.amount == medium
    assert phases["production"].until == "elapsed >= 264.0 h"
    assert phases["production"].needs == ("glucose", "vessel_weight")
    assert phases["harvest"].held == {"feed_flow_sp": 0.0}


@pytest.mark.parametrize("site", SITES)
def test_a_control_recipe_survives_its_record(site):
    control = control_of(site)
    data = codec.dumps(codec.plain(control))
    assert len(data) < CONTROL_BYTES_MAX / 4
    assert codec.read(ControlRecipe, codec.loads(data)) == control


def test_a_unit_that_fails_is_told_every_reason():
    unit = unit_of("leeds")
    able = {**unit.capabilities, "feed_flow": Capability("feed_flow", 0.0, 20.0, "mL/h")}
    del able["ph"]
    signals = {name: signal for name, signal in unit.signals.items() if name != "glucose"}
    with pytest.raises(NotAllowed) as refused:
        control_of("leeds", capabilities=able, signals=signals)
    assert refused.value.what == "cannot derive MAB-FB version 1 for BR-50"
    assert refused.value.why == (
        "ph 6.8 to 7.2 pH is needed; BR-50 has no ph; "
        "feed_flow 0 to 35 mL/h is needed; BR-50 can 0 to 20; "
        "signal glucose is needed; BR-50 has none; "
        "production sets feed_flow_sp to 35 mL/h; BR-50 can 0 to 20"
    )


@pytest.mark.parametrize(
    "way",
    [
        "      - choose: [{when: viability < 80 %, do: []}, {otherwise: []}]\n",
        "      - repeat: {do: [], until: viability > 90 %, at_most: 2, then: hold}\n",
        "      - operation: again\n        phases:\n          - choose: [{when: temperature > 30 degC and viability < 80 %, do: []}]\n",
    ],
)
def test_a_way_that_the_unit_could_never_choose_is_refused(way):
    """What decides a way or a round is measured on the unit, or the batch would wait there for ever."""
    place = "      - operation: culture\n"
    master, unit = master_of("leeds", general=changed(place, way + place)), unit_of("leeds")
    without = replace(unit, signals={name: signal for name, signal in unit.signals.items() if name != "viability"})
    assert (stops(derivable(master, unit)), stops(derivable(master_of("leeds"), without))) == ([], [])
    assert [note.text for note in stops(derivable(master, without))] == ["signal viability is needed; BR-50 has none"]


def test_the_chart_of_the_procedure_is_decided_by_the_unit_that_a_batch_is_started_on():
    way = "  - choose: [{when: viability < 80 %, do: []}, {otherwise: []}]\n"
    general = changed("  - unit_procedure: resting\n", way + "  - unit_procedure: resting\n", of=TWO_UNITS)
    general = changed("              until: viability > 90 %\n", "              until: temperature > 30 degC\n", of=general)
    master = master_of("leeds", general=general, site_text="isogenic: site-recipe/1\nsite: LEEDS\nrecipe: GROW-FILL\nversion: 2\n")
    unit = unit_of("leeds")
    without = replace(unit, signals={name: signal for name, signal in unit.signals.items() if name != "viability"})
    assert [note.text for note in stops(derivable(master, without))] == ["signal viability is needed; BR-50 has none"]
    assert stops(derivable(master, without, role="second")) == []


def test_a_condition_of_the_procedure_is_read_for_the_class_of_its_first_unit():
    filling = changed("  second:\n    class: stirred_bioreactor\n", "  second:\n    class: filler\n", of=TWO_UNITS)
    filling = changed('    needs: {agitation: {low: "@stirring", high: "@stirring"}}\n', "", of=filling)
    filling = filling[: filling.index("      - operation: rest")] + (
        "      - operation: rest\n        phases: [{phase: stir, title: Stir, until: elapsed > 3 h}]\n"
        "  - choose: [{when: viability < 80 %, do: []}, {otherwise: []}]\n"
    )
    assert load_general(filling).procedure.chart.parts[-1].choices[0].when == "viability < 80 %"  # type: ignore[union-attr]


def test_a_vessel_that_is_too_small_for_its_feed_is_refused():
    unit = unit_of("leeds")
    able = {**unit.capabilities, "working_volume": Capability("working_volume", 15.0, 35.0, "L")}
    notes = stops(derivable(master_of("leeds"), replace(unit, capabilities=able)))
    assert [note.text for note in notes] == ["working_volume 25.2 to 39.2 L is needed; BR-50 can 15 to 35"]


def test_a_unit_of_another_class_is_refused():
    unit = unit_of("leeds")
    other = replace(unit, cls=replace(unit.cls, name="kettle"))
    assert [note.text for note in derivable(master_of("leeds"), other)] == ["BR-50 is a kettle, not a stirred_bioreactor"]


def test_what_is_in_order_is_said_too():
    notes = derivable(master_of("ghent"), unit_of("ghent"))
    assert {note.severity for note in notes} == {Severity.GOOD}
    assert {note.check for note in notes} == {"check_capabilities", "check_signals", "check_setpoints", "check_doses"}


def test_a_dose_that_cannot_reach_its_target_is_refused():
    general = changed("value: 5 1e6 cell/mL, low: 4 1e6 cell/mL", "value: 0.3 1e6 cell/mL, low: 0.1 1e6 cell/mL")
    notes = stops(derivable(master_of("leeds", general=general), unit_of("leeds")))
    assert [note.text for note in notes] == ["inoculate cannot reach 0.5 with a stock of 0.3"]


def test_scaling_follows_the_working_volume_alone():
    unit = unit_of("ghent")
    half = replace(
        unit, working_volume=Quantity(80_000.0, "mL"), capabilities={**unit.capabilities, "working_volume": Capability("", 1.0, 160.0, "L")}
    )
    control = derive_control(master_of("ghent"), half, batch=BATCH, lot=LOT)
    assert control.phases[4].setpoints["feed_flow_sp"] == 70.0
    assert control.working_volume == 80.0
