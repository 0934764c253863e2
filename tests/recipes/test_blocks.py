"""Blocks are written out where they are used, bounded, each with names of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from recipe_desk import GENERAL, changed

from isogenic.errors import NotValid
from isogenic.recipes import conditions
from isogenic.recipes.blocks import assembled, check_library
from isogenic.recipes.charts import Name, OneOf
from isogenic.recipes.general import load_general

WARM = """blocks:
  warm_up:
    title: Warm the vessel
    with: [target, time]
    do:
      - phase: warm
        title: Warm up
        setpoints: {temperature_sp: $target}
        ask: [{prompt: warm_seen, answer: number, text: The temperature that is seen, unit: degC}]
        until: answered and elapsed >= $time
      - choose:
          - {when: answer.warm_seen > 20, do: [{phase: rest, title: Rest, until: elapsed > 1 h}]}
          - otherwise: []
"""
PLACE = "      - operation: culture\n        phases:\n"
USE = "          - {use: warm_up, with: {target: 30 degC, time: 2 h}}\n"


def using(*uses: str, blocks: str = WARM) -> str:
    return changed(PLACE, PLACE + "".join(uses)) + blocks


def test_a_block_is_written_out_where_it_is_used():
    operation = load_general(using(USE)).procedure.unit_procedures[0].operations[1]
    assert [phase.name for phase in operation.phases[:2]] == ["warm", "rest"]
    assert operation.phases[0].setpoints == {"temperature_sp": "30 degC"}
    assert operation.phases[0].until == "answered and elapsed >= 2 h"
    assert operation.chart.parts[0] == Name("warm")  # type: ignore[union-attr]


def test_a_recipe_with_blocks_is_the_recipe_written_out():
    plain = WARM.split("do:\n")[1].replace("      - ", "          - ", 1)
    indented = "".join(f"    {line}\n" for line in WARM.split("do:\n")[1].splitlines())
    written = changed(PLACE, PLACE + indented.replace("$target", "30 degC").replace("$time", "2 h"))
    assert plain
    assert replace(load_general(written), digest="") == replace(load_general(using(USE)), digest="")


def test_each_use_has_names_of_its_own():
    recipe = load_general(using(USE, USE, USE.replace("use: warm_up", "use: warm_up, as: late")))
    names = [phase.name for phase in recipe.procedure.unit_procedures[0].operations[1].phases]
    assert names[:6] == ["warm", "rest", "warm_2", "rest_2", "late_warm", "late_rest"]
    chart = recipe.procedure.unit_procedures[0].operations[1].chart
    asked = [part.choices[0].when for part in chart.parts if isinstance(part, OneOf)]  # type: ignore[union-attr]
    assert asked == ["answer.warm_seen > 20", "answer.warm_seen_2 > 20", "answer.late_warm_seen > 20"]
    assert all(conditions.parse(text) for text in asked)


def test_blocks_may_use_blocks():
    both = "      - {use: warm_up, with: {target: 25 degC, time: $time}}\n      - {use: warm_up, as: again, with: {target: 26 degC, time: $time}}\n"
    outer = f"{WARM}  twice:\n    with: [time]\n    do:\n{both}"
    recipe = load_general(using("          - {use: twice, with: {time: 3 h}}\n", blocks=outer))
    phases = recipe.procedure.unit_procedures[0].operations[1].phases
    assert [(phase.name, phase.setpoints.get("temperature_sp")) for phase in phases[:4]] == [
        ("warm", "25 degC"),
        ("rest", None),
        ("again_warm", "26 degC"),
        ("again_rest", None),
    ]


@pytest.mark.parametrize(
    ("use", "why"),
    [
        ("{use: warm_upp, with: {target: 30 degC, time: 2 h}}", "no block 'warm_upp'; did you mean warm_up"),
        ("{use: warm_up, with: {target: 30 degC}}", "block warm_up needs time"),
        ("{use: warm_up, with: {target: 30 degC, time: 2 h, colour: red}}", "block warm_up takes no 'colour'; it takes target, time"),
        ("{use: warm_up, with: {target: 30 degC, time: [2 h]}}", "time: a list is not a value"),
        ("{use: warm_up, with: 3}", "with of a use of warm_up is a table"),
        ("{use: warm_up, as: Not A Name, with: {target: 30 degC, time: 2 h}}", "as: is not a name"),
        ("{use: warm_up, on: x, with: {target: 30 degC, time: 2 h}}", "a use of a block has no 'on'"),
        ("{use: warm_up, with: {target: 99 degC, time: 2 h}}", "above its highest"),
        ("{use: [warm_up]}", "no block ''"),
    ],
)
def test_a_wrong_use_is_refused_with_its_line(use, why):
    with pytest.raises(NotValid, match=why) as refused:
        load_general(using(f"          - {use}\n"))
    assert "line " in refused.value.why


@pytest.mark.parametrize(
    ("blocks", "why"),
    [
        ("blocks: 3\n", "blocks is a table of at most 100 blocks"),
        ("blocks:\n  warm_up: {with: [target, time]}\n", "blocks.warm_up: do is missing"),
        ("blocks:\n  warm_up: {with: target, do: []}\n", "blocks.warm_up.with is a list of names"),
        ("blocks:\n  warm_up: {with: [target, time], does: [], do: []}\n", "blocks.warm_up has no 'does'"),
        ("blocks:\n  warm_up: {with: [target, time], do: [{use: warm_up, with: {target: 1 h, time: 2 h}}]}\n", "block warm_up uses itself"),
    ],
)
def test_a_wrong_block_is_refused(blocks, why):
    with pytest.raises(NotValid, match=why):
        load_general(using(USE, blocks=blocks))


def test_blocks_that_multiply_are_refused_before_they_are_built():
    """Ten uses of ten uses of ten ...: a YAML bomb without an alias."""
    bomb = "blocks:\n" + "".join(f"  b{at}: {{do: [{', '.join([f'{{use: b{at + 1}}}'] * 12)}]}}\n" for at in range(6))
    bomb += "  b6: {do: [{phase: a, title: A, until: elapsed > 1 h}]}\n"
    with pytest.raises(NotValid, match=r"give more than 20000 values|deeper than 6"):
        load_general(using("          - {use: b0}\n", blocks=bomb))
    bomb = "blocks:\n" + "".join(f"  b{at}: {{do: [{', '.join([f'{{use: b{at + 1}}}'] * 40)}]}}\n" for at in range(4))
    bomb += "  b4: {do: [{phase: a, title: A, until: elapsed > 1 h}]}\n"
    with pytest.raises(NotValid, match="give more than 20000 values"):
        load_general(using("          - {use: b0}\n", blocks=bomb))


def test_an_alias_bomb_is_refused_at_its_first_anchor():
    with pytest.raises(NotValid, match="anchors and aliases are not read"):
        load_general("a: &a [x]\nb: [*a, *a]\n" + GENERAL)


LIBRARY = "isogenic: blocks/1\ntitle: Everyday steps\n" + WARM + "  unused:\n    do: [{phase: no, title: No, until: elapsed > 1 h}]\n"


def test_blocks_of_a_library_are_pasted_in_so_that_what_is_signed_is_whole():
    assert check_library(LIBRARY) == ("warm_up", "unused")
    text = using(USE, blocks="")
    with pytest.raises(NotValid, match="no block 'warm_up'; known are none"):
        load_general(text)
    whole = assembled(text, {"everyday.blocks.yaml": LIBRARY})
    assert "# from everyday.blocks.yaml, SHA-256 " in whole
    assert "unused" not in whole
    assert replace(load_general(whole), digest="") == replace(load_general(using(USE)), digest="")
    assert assembled(whole, {"everyday.blocks.yaml": LIBRARY}) == whole


def test_a_library_that_is_not_in_order_is_refused():
    with pytest.raises(NotValid, match="tilte"):
        check_library(LIBRARY.replace("title: Everyday", "tilte: Everyday"))
    with pytest.raises(NotValid, match="do is missing"):
        check_library("isogenic: blocks/1\nblocks:\n  a: {with: [x]}\n")
