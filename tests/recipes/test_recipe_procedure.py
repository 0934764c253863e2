"""Procedures with branches, alternatives, loops and several units: read, and resolved for a batch."""

from __future__ import annotations

import pytest
from recipe_desk import GENERAL, changed, master_of, unit_of
from two_units import TWO_UNITS

from isogenic.batches.facts import BatchStarted
from isogenic.errors import NotValid
from isogenic.ids import BatchId, LotId
from isogenic.recipes import charts, conditions
from isogenic.recipes.derive import changed as with_values
from isogenic.recipes.derive import derive_control
from isogenic.recipes.general import load_general
from isogenic.recipes.model import ControlRecipe, ControlUse, ExceptionRule, Sampling, Service
from isogenic.units import Quantity

HARVEST = """          - phase: harvest
            title: Harvest"""
BRANCHES = """          - parallel:
              - - {phase: rest, title: Rest, until: elapsed > 1 h}
              - - repeat:
                    do:
                      - {phase: look, title: Look, until: elapsed > 10 min, samples: [{sample: quick, what: broth}]}
                    until: result.titre > 2 g/L or glucose < @bolus_below
                    at_most: 3
                    then: alarm
          - choose:
              - when: answer.inoculum_viability > 95 %
                do: []
              - otherwise:
                  - phase: wait
                    title: Wait
                    until: elapsed > 2 h
                    enter: [{parameter: feed_rate, text: Feed rate from here on}]
                    exceptions: [{name: too_warm, when: temperature > 39 degC, for: 5 min, then: cool_down}]
"""
ASIDE = """    on_hold:
      - {phase: calm, title: Calm, setpoints: {agitation_sp: 60 rpm}, until: elapsed > 1 min}
    on_exception:
      - operation: cool_down
        phases:
          - {phase: cool, title: Cool, setpoints: {temperature_sp: 35 degC}, until: temperature < 36 degC}
    operations:
      - operation: prepare"""


def branched() -> str:
    out = changed(HARVEST, BRANCHES + HARVEST)
    return changed("    operations:\n      - operation: prepare", ASIDE, of=out)


def test_the_chart_is_read_with_its_parts() -> None:
    procedure = load_general(branched()).procedure
    (unit,) = procedure.unit_procedures
    assert charts.text_of(procedure.chart) == "cell_culture"
    assert charts.text_of(unit.chart) == "prepare; culture; finish"
    assert charts.text_of(unit.operations[2].chart) == (
        "all(rest, repeat(look until result.titre > 2 g/L or glucose < @bolus_below at most 3 then alarm)); "
        "one(when answer.inoculum_viability > 95 %: , otherwise: wait); harvest"
    )
    phases = {phase.name: phase for phase in procedure.phases}
    assert phases["look"].samples == (Sampling("quick", "broth", ""),)
    assert phases["wait"].exceptions == (ExceptionRule("too_warm", "temperature > 39 degC", "5 min", "cool_down"),)
    assert [phase.name for phase in unit.on_hold] == ["calm"]


def test_a_control_recipe_has_the_whole_chart_of_phases() -> None:
    control = derive_control(master_of("leeds", general=branched()), unit_of("leeds"), batch=BatchId("BAT-1"), lot=LotId("LOT-1"))
    (unit,) = control.unit_procedures
    assert control.chart == "cell_culture"
    assert unit.chart == (
        "charge_medium; condition; inoculate; growth; production; "
        "all(rest, repeat(look until result.titre > 2.0 g/L or glucose < 14.0 mM at most 3 then alarm)); "
        "one(when answer.inoculum_viability > 95.0 %: , otherwise: wait); harvest"
    )
    assert (unit.on_hold, unit.on_exception) == ("calm", {"cool_down": "cool"})
    assert charts.text_of(charts.read(unit.chart)) == unit.chart
    assert unit.uses == (ControlUse("result.titre > 2.0 g/L or glucose < 14.0 mM", "result.titre > 2 g/L or glucose < @bolus_below", ""),)


def test_a_changed_parameter_changes_every_place_that_uses_it() -> None:
    control = derive_control(master_of("leeds"), unit_of("leeds"), batch=BatchId("BAT-1"), lot=LotId("LOT-1"))
    phases = {phase.name: phase for phase in control.phases}
    values = {each.name: Quantity(each.value, each.unit) for each in control.parameters}
    assert [with_values(phase, values) for phase in control.phases] == list(control.phases)
    values |= {"feeding_time": Quantity(12.0, "d"), "feed_rate": Quantity(40.0, "mL/h")}
    production = with_values(phases["production"], values)
    assert (production.until, production.setpoints["feed_flow_sp"]) == ("elapsed >= 288.0 h", 40.0)
    assert with_values(phases["growth"], values) == phases["growth"]


def test_a_service_is_read_and_its_state_is_needed() -> None:
    out = changed(
        HARVEST,
        """          - phase: mix
            title: Mix
            service: {name: mixing, procedure: gentle, parameters: {speed: 60 rpm, volume: "@medium_volume"}}
"""
        + HARVEST,
    )
    phase = next(phase for phase in load_general(out).procedure.phases if phase.name == "mix")
    assert phase.service == Service("mixing", "gentle", {"speed": "60 rpm", "volume": "@medium_volume"})
    assert (phase.until, phase.lost_after, phase.lost_then) == ("completed", "4 h", "alarm")  # the recipe says what is done about lost signals


def test_units_are_named_by_role() -> None:
    out = changed("equipment_class: stirred_bioreactor\n", "")
    needs = out[out.index("needs:") : out.index("# In force")]
    indented = "\n".join("    " + line for line in needs.strip().splitlines())
    roles = f"units:\n  reactor:\n    class: stirred_bioreactor\n{indented}\n  second: {{class: stirred_bioreactor}}\n"
    out = out.replace(needs, roles)
    recipe = load_general(out)
    assert list(recipe.roles) == ["reactor", "second"]
    assert recipe.needs == load_general(GENERAL).needs and recipe.roles["second"].needs == ()
    assert recipe.procedure.unit_procedures[0].role == "reactor"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("for: 5 min, then: cool_down", "for: 5 min, then: warm_up", "'warm_up' is not one of hold, abort, alarm, cool_down"),
        ("answer.inoculum_viability > 95 %", "answered", "answered is said of a phase"),
        ("at_most: 3", "at_most: 0", "0 is not within 1 to 1000"),
        ("enter: [{parameter: feed_rate,", "enter: [{parameter: feed,", "no parameter 'feed'"),
        ("sample: quick", "sample: look", "the name look is given twice"),
        ("              - - {phase: rest,", "              - {phase: rest,", "a table is not a list"),
    ],
)
def test_what_cannot_be_run_is_complained_of(old: str, new: str, complaint: str) -> None:
    with pytest.raises(NotValid, match=complaint):
        load_general(changed(old, new, of=branched()))


def test_a_batch_that_was_started_on_one_unit_is_still_read() -> None:
    control = derive_control(master_of("leeds"), unit_of("leeds"), batch=BatchId("BAT-1"), lot=LotId("LOT-1"))
    from isogenic.records import codec
    from isogenic.records.facts import _KINDS

    old = codec.plain(control)
    (only,) = old.pop("unit_procedures")
    old |= {"unit": only["unit"], "working_volume": only["working_volume"], "phases": only["phases"]}
    for name in ("chart", "uses"):
        del old[name]
    for phase in old["phases"]:
        for name in ("service", "enter", "samples", "exceptions", "uses"):
            del phase[name]
    for parameter in old["parameters"]:
        for name in ("low", "high", "adjustable"):
            del parameter[name]
    body = _KINDS[BatchStarted.fact_name].upgrades[1]({"control": old})  # type: ignore[attr-defined]
    read = codec.read(ControlRecipe, body["control"], what="control")
    assert (read.unit, read.working_volume, read.chart) == (control.unit, control.working_volume, "main")
    assert [phase.name for phase in read.phases] == [phase.name for phase in control.phases]
    assert read.phases[4].setpoints == control.phases[4].setpoints


def test_what_is_told_is_read_beside_signals() -> None:
    condition = conditions.parse("result.titre > 2 g/L and glucose < 5 mM")
    assert (conditions.told(condition), conditions.signals(condition)) == (("result.titre",), ("glucose",))
    said = {"result.titre": Quantity(2500.0, "mg/L"), "glucose": 4.0}
    assert conditions.holds(condition, said.get) is True
    assert conditions.holds(condition, {"glucose": 4.0}.get) is None
    assert conditions.holds(condition, {"glucose": 6.0}.get) is False
    assert conditions.holds(condition, {**said, "result.titre": Quantity(3.0, "mM")}.get) is None


@pytest.mark.parametrize("first", ["ask", "enter"])
def test_no_question_takes_the_name_of_the_one_for_a_parameter(first):
    """Its answer, which has other limits, would count as the parameter's value."""
    asked = "          - {phase: one, title: One, ask: [{prompt: in_stirring, answer: number, text: How fast}], until: answered}\n"
    entered = "          - {phase: two, title: Two, enter: [{parameter: stirring, text: Set it}], until: answered}\n"
    place = "      - operation: rest\n        phases:\n"
    with pytest.raises(NotValid, match="the name in_stirring is that of the question for stirring, in line"):
        load_general(TWO_UNITS.replace(place, place + (asked + entered if first == "ask" else entered + asked)))


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("answer.cleer > 3", "no question cleer is asked; did you mean answer.clear?"),
        ("answer.clear > 3", "question clear is answered by a confirm, not by a number"),
        ("elapsed > 1 h and entered.stirring > 70 rpm", "no phase lets anybody enter stirring"),
    ],
)
def test_a_condition_on_what_nobody_is_asked_for_is_refused(condition, why):
    """It would never hold, and the batch would wait there for ever."""
    for place in ("glucose < 5 mM", "viability > 90 %", "elapsed > 3 h"):
        with pytest.raises(NotValid) as refused:
            load_general(TWO_UNITS.replace(place, condition))
        assert why in refused.value.why
