"""What a recipe may ask of people, and what it is told where it asks the impossible."""

from __future__ import annotations

import pytest

from asked_recipe import ASKED, PICTURE, control_with, recipe_with
from isogenic.errors import NotAllowed, NotValid
from isogenic.recipes.general import load_general
from isogenic.recipes.model import Answer, Ask, ControlTimer, Timer


def asked_by(text: str) -> list:
    return [prompt for phase in load_general(recipe_with(text)).procedure.phases for prompt in phase.prompts]


def test_every_kind_of_question_is_read() -> None:
    seen, weld, settled, bag, *_ = asked_by(ASKED)
    assert (seen.answer, seen.how) == (Answer.CHOICE, Ask(choices=("clear", "cloudy"), picture=PICTURE))
    assert weld.how == Ask(witness=True, competence="aseptic_connection")
    assert settled.timer == Timer("10 min", "15 min", "bag_weld")
    assert bag.how == Ask(expects="material", material="medium")


def test_a_timer_may_be_one_time_and_is_in_minutes_in_the_control_recipe() -> None:
    phase = control_with("              - {prompt: wait, answer: confirm, text: It has incubated, timer: 1 h}\n").phases[0]
    assert [each.timer for each in phase.prompts] == [ControlTimer(60.0, None)]


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ("answer: choice, choices: [one]", "1 choices; a screen shows 2 to 8"),
        ("answer: choice, choices: [one, One]", "one is given twice"),
        ("answer: choice", "choices is missing"),
        ("answer: text, choices: [a, b]", "only a choice has choices, not a text"),
        ("answer: scan", "expects is missing"),
        ("answer: scan, expects: bottle", "'bottle' is not one of material, assembly, sample, patient, line"),
        ("answer: text, expects: material", "only a scan expects a label, not a text"),
        ("answer: confirm, material: medium", "only a scan is of a material, not a confirm"),
        ("answer: confirm, picture: {file: a.png, digest: abc}", "64 small hex digits"),
        ("answer: confirm, witness: perhaps", "neither true nor false"),
        ("answer: confirm, competence: Aseptic", "is not a name"),
        ("answer: confirm, timer: {after: bag_weld}", "it says neither earliest nor latest"),
        ("answer: confirm, timer: {earliest: 1 min, after: later}", "no question of this phase that stands before"),
        ("answer: confirm, timer: 3 L", "does not measure the same"),
        ("answer: confirm, timer: {earliest: 1 min, first: 2 min}", "first"),
    ],
)
def test_a_question_that_cannot_be_asked_is_told_with_its_line(asked: str, complaint: str) -> None:
    with pytest.raises(NotValid) as refused:
        load_general(recipe_with(f"              - {{prompt: strange, {asked}, text: What now}}\n"))
    assert complaint in str(refused.value)
    assert "line 52" in str(refused.value)


def test_a_timer_that_closes_before_it_opens_fits_no_unit() -> None:
    with pytest.raises(NotAllowed, match="may be answered after 15 min, and has to be within 10 min"):
        control_with("              - {prompt: wait, answer: confirm, text: It has incubated, timer: {earliest: 15 min, latest: 10 min}}\n")
