"""Parameters of a running batch: entered by people, changed by signature; results and sampling points that steer it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from chart_floor import ANA, FILLER, START, ChartFloor, part, phase, recipe

from isogenic.batches import commands, engine, prompts
from isogenic.batches.facts import FormulaChanged, ParameterEntered, PhaseStarted, PromptAsked, ResultNoted, RoundEnded, SampleDue, SetpointsCommanded
from isogenic.batches.states import State
from isogenic.errors import NotAllowed, NotFound, NotValid
from isogenic.ids import PersonId, PromptId, SampleId
from isogenic.recipes.model import ControlEntry, ControlParameter, ControlSampling, ControlUse
from isogenic.records.signatures import Signature
from isogenic.units import Quantity

WARM = ControlParameter("warm", 37.0, "degC", True, 30.0, 40.0, adjustable=True)
LONG = ControlParameter("long", 4.0, "h", False, 1.0, 10.0, adjustable=True)
FIXED = ControlParameter("fixed", 1.0, "h", False, 1.0, 2.0)
GROW = phase(
    "grow",
    setpoints={"temperature_sp": 37.0},
    until="elapsed >= 4.0 h",
    uses=(ControlUse("setpoints.temperature_sp", "@warm", "degC"), ControlUse("until", "elapsed >= @long", "")),
)


def signs(digest: str) -> Signature:
    return Signature(ANA, "Ana", "process_engineer", "formula changed", START, digest, "key", "signature")


def warm(floor: ChartFloor, value: str, **changes: object) -> list[object]:
    given = {"why": "cells grow slowly", "by": ANA, "signs": signs, **changes}
    return commands.change_formula(floor.batch, "warm", Quantity.parse(value), **given)  # type: ignore[arg-type]


@pytest.fixture
def floor() -> ChartFloor:
    made = ChartFloor(recipe(part("work", "grow", GROW), parameters=(WARM, LONG, FIXED)))
    made.scan()
    return made


def test_a_change_of_the_formula_changes_set_points_from_then_on(floor):
    assert floor.batch.setpoints == {"BR-1.temperature_sp": 37.0}
    floor.note(warm(floor, "36.2 degC"))
    (change,) = floor.of(FormulaChanged)
    assert (change.was, change.now, change.unit, change.why, change.by) == (37.0, 36.2, "degC", "cells grow slowly", ANA)
    assert change.signature.digest == commands.formula_digest(change)
    floor.scan()
    assert floor.batch.setpoints == {"BR-1.temperature_sp": 36.2}
    assert floor.of(SetpointsCommanded)[-1].setpoints == {"temperature_sp": 36.2}
    assert floor.refolded() == floor.batch
    assert floor.batch.control.phases[0].setpoints == {"temperature_sp": 37.0}  # what was released stays on record


def test_a_condition_that_uses_it_changes_too(floor):
    floor.note(commands.change_formula(floor.batch, "long", Quantity(90.0, "min"), why="short", by=ANA, signs=signs))
    assert floor.batch.phases["grow"].until == "elapsed >= 1.5 h"
    for _ in range(4):
        floor.scan()
    assert floor.batch.state is State.COMPLETE


@pytest.mark.parametrize(
    ("value", "changes", "why"),
    [
        ("41 degC", {}, "its limits are 30 to 40 degC"),
        ("29 degC", {}, "its limits are 30 to 40 degC"),
        ("37 degC", {}, "it is 37 degC already"),
        ("36 mM", {}, "does not measure the same"),
        ("36 degC", {"why": ""}, "it takes a reason"),
        ("36 degC", {"signs": None}, "it is changed by signature"),
    ],
)
def test_a_change_that_may_not_be_is_refused(floor, value, changes, why):
    before = floor.batch
    with pytest.raises(NotValid, match=why):
        warm(floor, value, **changes)
    assert floor.batch is before


@pytest.mark.parametrize(("low", "high", "why"), [(30.0, None, "its limits are from 30 degC"), (None, 40.0, "its limits are to 40 degC")])
def test_a_parameter_with_one_limit_says_that_one(low, high, why):
    one = replace(WARM, low=low, high=high)
    floor = ChartFloor(recipe(part("work", "grow", GROW), parameters=(one, LONG)))
    with pytest.raises(NotValid, match=why):
        warm(floor, "29 degC" if low else "41 degC")


def test_only_what_the_recipe_lets_be_changed(floor):
    with pytest.raises(NotAllowed, match="does not let it be changed") as refused:
        commands.change_formula(floor.batch, "fixed", Quantity(2.0, "h"), why="x", by=ANA, signs=signs)
    assert refused.value.possible == "warm, long"
    with pytest.raises(NotFound):
        commands.change_formula(floor.batch, "cold", Quantity(2.0, "h"), why="x", by=ANA, signs=signs)


def test_on_another_unit_it_changes_in_proportion():
    dose = ControlParameter("dose", 10.0, "mL", False, 5.0, 20.0, adjustable=True)  # on a vessel of 10 L
    fill = phase("fill", setpoints={"dose_sp": 30.0}, uses=(ControlUse("setpoints.dose_sp", "@dose", "mL"),))
    later = {"other": (part("second", "fill", fill, unit=FILLER, role="other", values={"dose": 30.0}),)}
    floor = ChartFloor(recipe(part("first", "grow"), part("second", "", unit=None, role="other"), parameters=(dose,)), later=later)
    floor.scan()
    floor.note(commands.change_formula(floor.batch, "dose", Quantity(12.0, "mL"), why="less", by=ANA, signs=signs))
    for _ in range(4):
        floor.give_units()
        floor.scan()
    assert floor.batch.setpoints == {"FL-1.dose_sp": 36.0}
    assert floor.refolded() == floor.batch


def test_a_value_is_entered_within_its_limits():
    ask = phase("ask", enter=(ControlEntry("warm", "Temperature of the bath"),), until="answered")
    floor = ChartFloor(recipe(part("work", "ask; grow", ask, GROW), parameters=(WARM, LONG)))
    floor.scan()
    (asked,) = floor.of(PromptAsked)
    assert (asked.prompt, asked.text, asked.unit, asked.low, asked.high) == ("IN-WARM-1", "Temperature of the bath", "degC", 30.0, 40.0)
    with pytest.raises(NotValid, match="its limits are 30 to 40 degC"):
        engine.answer(floor.batch, PromptId("IN-WARM-1"), "45", by=ANA)
    floor.note(engine.answer(floor.batch, PromptId("IN-WARM-1"), "35.5", by=ANA))
    floor.scan()
    assert floor.of(ParameterEntered) == [ParameterEntered(floor.batch.batch, "ask", 1, "warm", 37.0, 35.5, "degC", ANA)]
    assert floor.batch.setpoints == {"BR-1.temperature_sp": 35.5}
    assert floor.refolded() == floor.batch


def test_a_result_of_the_laboratory_decides_the_way():
    chart = "draw; one(when result.titre > 2.0 g/L: harvest, otherwise: grow)"
    draw = phase("draw", samples=(ControlSampling("titre_1", "broth", "elapsed > 0.25 h"),))
    for value, way in ((2500.0, "harvest"), (1500.0, "grow")):
        floor = ChartFloor(recipe(part("work", chart, draw)))
        floor.scan()
        assert floor.of(SampleDue) == []
        for _ in range(8):
            floor.scan()
        assert [(each.phase, each.sample, each.what) for each in floor.of(SampleDue)] == [("draw", "titre_1", "broth")]
        assert [each.phase for each in floor.of(PhaseStarted)] == ["draw"]  # nobody can tell yet: it waits, and does not go otherwise
        floor.note(commands.note_result(floor.batch, SampleId("SMP-1"), "titre", value, unit="mg/L"))
        floor.scan()
        assert [each.phase for each in floor.of(PhaseStarted)] == ["draw", way]
        assert floor.refolded() == floor.batch


def test_the_result_of_one_round_does_not_judge_the_next():
    floor = ChartFloor(recipe(part("work", "repeat(wash until result.residue < 5.0 1 at most 4 then hold)")))

    def report(sample: str, value: float) -> None:
        floor.note(commands.note_result(floor.batch, SampleId(sample), "residue", value, unit="1"))

    def rounds() -> list[tuple[int, bool]]:
        return [(each.round, each.again) for each in floor.of(RoundEnded)]

    for _ in range(3):
        floor.scan(hours=0.6)
    report("SMP-1", 9.0)
    for _ in range(3):
        floor.scan(hours=0.6)
    assert rounds() == [(1, True)]
    report("SMP-2", 4.0)
    floor.scan()
    assert rounds() == [(1, True), (2, False)]
    assert floor.refolded() == floor.batch


def test_a_result_that_nothing_asks_for_is_no_fact_of_the_batch(floor):
    assert commands.note_result(floor.batch, SampleId("SMP-1"), "titre", 2.0, unit="g/L") == []
    asked = ChartFloor(recipe(part("work", "a; one(when result.titre > 2.0 g/L: b, otherwise: c)")))
    (noted,) = commands.note_result(asked.batch, SampleId("SMP-1"), "titre", 2.0, unit="g/L")
    assert noted == ResultNoted(asked.batch.batch, SampleId("SMP-1"), "titre", 2.0, "g/L")


def test_an_answer_decides_the_rounds_of_a_loop():
    from isogenic.recipes.model import Answer, ControlPrompt

    look = phase("look", prompts=(ControlPrompt("haze", "How many units of haze?", Answer.NUMBER, "1", 0.0, 100.0),), until="answered")
    floor = ChartFloor(recipe(part("work", "repeat(look until answer.haze < 5 at most 9 then hold)", look)))
    for number, said in enumerate((20, 12, 4), 1):
        floor.scan()
        (asked,) = engine.open_prompts(floor.batch)
        assert asked.prompt == f"HAZE-{number}"
        floor.note(engine.answer(floor.batch, asked.prompt, str(said), by=PersonId("P-ANA")))
    floor.scan()
    assert floor.batch.state is State.COMPLETE
    assert [each.run for each in floor.of(PhaseStarted)] == [1, 2, 3]


def test_time_that_is_waited_for_an_unknown_way_is_said_once():
    floor = ChartFloor(recipe(part("work", "a; one(when result.titre > 2.0 g/L: b, otherwise: c)")))
    for _ in range(12):
        floor.scan()
    alarms = [fact.payload.what for fact in floor.facts if fact.kind == "batch.alarm_raised"]
    assert alarms == ["nobody can tell how to go on at work/choice_1: no way of it is known to be open"]
    assert floor.now - START == timedelta(hours=6)


def entering() -> ChartFloor:
    """A phase of four hours that asks for a temperature, which was entered as 38."""
    asks = replace(GROW, enter=(ControlEntry("warm", "Which temperature?"),))
    made = ChartFloor(recipe(part("work", "grow; after", asks), parameters=(WARM, LONG)))
    made.scan()
    made.note(engine.answer(made.batch, PromptId("IN-WARM-1"), "38", by=ANA))
    made.scan()
    assert made.batch.setpoints == {"BR-1.temperature_sp": 38.0}
    return made


def test_an_entry_that_is_corrected_reaches_the_equipment():
    floor = entering()
    floor.note(prompts.correct(floor.batch, PromptId("IN-WARM-1"), "36", why="a typing error", by=ANA, signs=signs))
    floor.scan()
    assert [(each.was, each.now) for each in floor.of(ParameterEntered)] == [(37.0, 38.0), (38.0, 36.0)]
    assert floor.batch.setpoints == {"BR-1.temperature_sp": 36.0}
    assert floor.refolded() == floor.batch


def test_an_entry_that_is_taken_back_and_given_again_reaches_the_equipment():
    floor = entering()
    floor.note(prompts.withdraw(floor.batch, PromptId("IN-WARM-1"), why="wrong batch", by=ANA, signs=signs))
    floor.scan()
    assert floor.batch.setpoints == {"BR-1.temperature_sp": 38.0}
    floor.note(engine.answer(floor.batch, PromptId("IN-WARM-1"), "36.5", by=ANA))
    floor.scan()
    assert floor.batch.setpoints == {"BR-1.temperature_sp": 36.5}


def test_a_change_of_the_formula_after_an_entry_stays():
    floor = entering()
    floor.note(warm(floor, "35 degC"))
    floor.scan()
    floor.scan()
    assert floor.batch.setpoints == {"BR-1.temperature_sp": 35.0}
    assert len(floor.of(ParameterEntered)) == 1


def test_an_entry_of_a_phase_that_is_over_is_not_put_right():
    floor = entering()
    while "grow" in floor.batch.active:
        floor.scan()
    with pytest.raises(NotAllowed, match="the process ran with the value that was entered"):
        prompts.correct(floor.batch, PromptId("IN-WARM-1"), "36", why="a typing error", by=ANA, signs=signs)


@pytest.mark.parametrize(
    ("typed", "kept"), [("36.1234567", "36.1234567"), ("36.0", "36"), ("3.75e1", "37.5"), ("37.", "37"), ("36.999996", "36.999996")]
)
def test_every_digit_that_was_typed_is_kept(typed, kept):
    floor = entering()
    (said,) = prompts.correct(floor.batch, PromptId("IN-WARM-1"), typed, why="more digits", by=ANA, signs=signs)
    assert said.answer == kept


@pytest.mark.parametrize("typed", ["3_7", "٣٧", "0x25", "nan", "inf", "1e400", "37 37", "40.0000001"])
def test_what_is_no_plain_number_within_the_limits_is_refused(typed):
    floor = entering()
    with pytest.raises(NotValid):
        prompts.correct(floor.batch, PromptId("IN-WARM-1"), typed, why="x", by=ANA, signs=signs)
