"""General recipes: the real one loads; each fault is named with its line; nothing but `NotValid` comes out."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipe_desk import GENERAL, changed

from isogenic.errors import NotValid
from isogenic.ids import ProductId, RecipeId
from isogenic.recipes.general import load_general
from isogenic.recipes.model import DoseRule, Then
from isogenic.units import Quantity

LINES = GENERAL.splitlines()


def line_of(start: str) -> int:
    return next(at for at, line in enumerate(LINES, 1) if line.strip().startswith(start))


def test_the_released_process_loads_whole():
    recipe = load_general(GENERAL)
    assert (recipe.recipe, recipe.version, recipe.product) == (RecipeId("MAB-FB"), 1, ProductId("MAB-A"))
    assert [phase.name for phase in recipe.procedure.phases] == ["charge_medium", "condition", "inoculate", "growth", "production", "harvest"]
    assert recipe.formula["feed_rate"].value == Quantity(0.875, "mL/h")
    assert recipe.formula["feed_rate"].per_volume and recipe.formula["feed_rate"].critical
    assert [phase.dose.rule if phase.dose else None for phase in recipe.procedure.phases] == [
        *(DoseRule.AMOUNT, None, DoseRule.REACH, None, DoseRule.BOLUS, DoseRule.EVERYTHING)
    ]
    assert {phase.name for phase in recipe.procedure.phases if phase.monitored} == {"growth", "production"}
    assert recipe.procedure.phases[0].timeout_then is Then.HOLD


def test_the_feed_is_three_percent_of_the_initial_volume_a_day():
    formula = load_general(GENERAL).formula
    medium, target, seed = (formula[name].value.value for name in ("medium_volume", "inoculum_density", "seed_density"))
    initial = medium + medium * target / (seed - target)  # litres for each litre of working volume
    assert initial == pytest.approx(0.70)
    assert formula["feed_rate"].value.to("L/d").value == pytest.approx(0.03 * initial)


def test_the_digest_is_that_of_the_bytes():
    assert load_general(GENERAL).digest == sha256(GENERAL.encode()).hexdigest()
    assert load_general(GENERAL.encode()) == load_general(GENERAL)
    assert load_general(GENERAL + "# a comment\n").digest != load_general(GENERAL).digest


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("value: 0.875 mL/h", "value: 0.95 mL/h", f"line {line_of('feed_rate')}: formula.feed_rate: 0.95 mL/h is above its highest 0.9 mL/h"),
        ("value: 0.875 mL/h", "value: 0.5 mL/h", "formula.feed_rate: 0.5 mL/h is below its lowest 0.8 mL/h"),
        ("value: 0.875 mL/h", "value: 0.875 degC", "low: 0.80 mL/h does not measure the same as degC|0.8 mL/h does not measure the same as degC"),
        ("value: 0.875 mL/h", "value: plenty", "formula.feed_rate.value: cannot read quantity 'plenty'"),
        ('feed_flow_sp: "@feed_rate"', 'feed_flow_sp: "@feedrate"', "no parameter @feedrate; did you mean @feed_rate"),
        ('feed_flow_sp: "@feed_rate"', 'feed_flow_sp: "@temperature"', "@temperature is in degC, not in mL/h"),
        ('feed_flow_sp: "@feed_rate"', "feed_flow_sp: 90000 mL/h", "90000 mL/h is above its highest 20000 mL/h"),
        ('temperature_sp: "@temperature"', 'temprature_sp: "@temperature"', "no such set-point; did you mean temperature_sp"),
        ("equipment_class: stirred_bioreactor", "equipment_class: kettle", "no equipment class 'kettle'"),
        ("into: glucose_dose", "into: feed_flow_sp", "'feed_flow_sp' takes no dose"),
        ("signal: glucose,", "signal: glucose_dose,", "stirred_bioreactor measures no 'glucose_dose'"),
        ("until: elapsed >= @growth_time", "until: elapsed >= @temperature", "compares h with degC"),
        ("until: elapsed >= @growth_time", "until: forever", "one of < <= > >= was expected"),
        ("until: elapsed >= @growth_time", "until: answered", "it waits for answers, and the phase asks nothing"),
        ("until: elapsed >= @growth_time", "until: dosed", "it waits for a dose that the phase does not give"),
        ("- phase: growth", "- phase: condition", "the name condition is given twice, first in line"),
        ("prompt: inoculum_lot", "prompt: medium_lot", "the name medium_lot is given twice"),
        ("- phase: growth", "- phase: Growth!", "'Growth!' is not a name"),
        ("timeout: {after: 24 h, then: hold}", "timeout: {after: 0 h, then: hold}", "0 h is no time to wait"),
        ("timeout: {after: 24 h, then: hold}", "timeout: {after: 24 h, then: panic}", "'panic' is not one of hold, abort, complete, alarm"),
        ("answer: text, text: Lot number of the inoculum", "answer: text, low: 1, text: Lot", "only a number has a unit and limits"),
        ("low: 90, high: 100", "low: 100, high: 90", "90 is below 100"),
        ("per: volume, critical: true", "per: mass, critical: true", "'mass' is not a scaling rule"),
        ("version: 1", "version: 0", "version: 0 is not within 1 to 9999"),
        ("version: 1", "versoin: 1", "version is missing"),
        ("product: MAB-A", "product: mab a", "cannot read 'mab a' as ProductId"),
        ("isogenic: general-recipe/1", "isogenic: general-recipe/2", "begin with isogenic: general-recipe/1"),
    ],
)
def test_each_fault_is_named(old, new, why):
    with pytest.raises(NotValid, match=why):
        load_general(changed(old, new))


def test_all_faults_are_listed_at_once():
    text = changed("value: 0.875 mL/h", "value: 0.95 mL/h", of=changed("version: 1", "version: x"))
    with pytest.raises(NotValid) as refused:
        load_general(text, name="mab-fb.general.yaml")
    assert refused.value.what == "cannot use mab-fb.general.yaml"
    assert refused.value.why == (
        f"\n  line {line_of('version')}: version: 'x' is not a whole number;"
        f"\n  line {line_of('feed_rate')}: formula.feed_rate: 0.95 mL/h is above its highest 0.9 mL/h"
    )


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_only_not_valid_comes_out_of_a_damaged_recipe(data):
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        line = lines[at]
        choices = st.sampled_from([line + " x", line.replace(":", "", 1), line[: len(line) // 2], "", line.replace("{", "["), line.replace("@", "")])
        lines[at] = data.draw(st.one_of(st.text(max_size=30), choices))
    with suppress(NotValid):
        load_general("\n".join(lines))


@settings(max_examples=40, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_only_not_valid_comes_out_of_any_bytes(text):
    with suppress(NotValid):
        load_general(text)


def test_a_title_is_one_line():
    with pytest.raises(NotValid, match="a title is one line"):
        load_general(changed("title: Inoculate", '"title": "Inoculate\\nand go"'))
