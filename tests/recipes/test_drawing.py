"""The picture of a procedure holds every phase, condition and loop once, whatever it says."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipe_desk import GENERAL, changed
from two_units import TWO_UNITS

from isogenic.recipes.charts import All, Chart, Choice, Name, OneOf, Repeat, Sequence, names
from isogenic.recipes.drawing import as_svg, as_text
from isogenic.recipes.general import load_general
from isogenic.recipes.model import GeneralRecipe

RECIPE = load_general(TWO_UNITS)


def said(picture: str) -> list[str]:
    return [text.strip() for each in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text") for text in each.itertext()]


@pytest.mark.parametrize("recipe", [RECIPE, load_general(GENERAL)])
def test_every_phase_and_condition_is_drawn_once(recipe):
    words = said(as_svg(recipe))
    assert [words.count(phase.name) for phase in recipe.procedure.phases] == [1] * len(recipe.procedure.phases)
    whole = " ".join(words)
    assert all(phase.until in whole or len(phase.until) > 34 for phase in recipe.procedure.phases)
    assert as_svg(recipe) == as_svg(recipe)


def test_side_by_side_lies_between_double_lines_and_alternatives_between_single_ones():
    words = said(as_svg(RECIPE))
    assert [each for each in words if each.startswith(("again", "until viability", "otherwise", "glucose"))] == [
        "glucose < 5 mM",
        "otherwise",
        "again, at most 3 times, then hold",
        "until viability > 90 %",
    ]
    level = [line for line in as_svg(RECIPE).splitlines() if line.startswith('<path class="l"') and _is_level(line)]
    wide = [line for line in level if _length(line) > 100]
    assert len(wide) == 2 * 2 + 2  # two double lines around what is side by side, two single ones around the alternatives


def _ends(line: str) -> list[float]:
    return [float(number) for number in line.split('d="M')[1].split('"')[0].replace("L", " ").split()[:4]] if "V" not in line else [0, 1, 2, 3]


def _is_level(line: str) -> bool:
    return _ends(line)[1] == _ends(line)[3]


def _length(line: str) -> float:
    return abs(_ends(line)[2] - _ends(line)[0])


def test_a_long_title_is_written_in_lines_and_cut_only_after_the_third():
    """On paper there is nothing to point at for the rest of it."""
    two = "Prime the set and test it for leaks"
    assert re.findall(r'class="q"[^>]*>([^<]*)</text>', as_svg(load_general(TWO_UNITS.replace("title: Warm,", f"title: {two},"))))[:2] == [
        "Prime the set and test it",
        "for leaks",
    ]
    long = as_svg(load_general(TWO_UNITS.replace("title: Warm,", f"title: {two * 8},")))
    assert f"…<title>{two * 8}</title>" in long


def test_a_title_is_text_and_never_markup():
    recipe = load_general(changed("title: Harvest", 'title: "</text><script>x()</script>"'))
    assert "<script>" not in as_svg(recipe)
    assert "</text><script>x()</s…" in said(as_svg(recipe)) or any("script" in word for word in said(as_svg(recipe)))


NAMES = [phase.name for phase in RECIPE.procedure.unit_procedures[0].phases]
LEAF = st.sampled_from(NAMES).map(Name)


def charts() -> st.SearchStrategy[Chart]:
    def more(inner: st.SearchStrategy[Chart]) -> st.SearchStrategy[Chart]:
        ways = st.lists(inner, min_size=2, max_size=3)
        return (
            st.lists(inner, max_size=3).map(lambda parts: Sequence(tuple(parts)))
            | ways.map(lambda parts: All(tuple(parts)))
            | ways.map(lambda parts: OneOf(tuple(Choice("ph > 7 pH" if at else "", part) for at, part in enumerate(parts))))
            | inner.map(lambda body: Repeat(body, "ph > 7 pH", 3, "hold"))
        )

    return st.recursive(LEAF, more, max_leaves=12)


def with_chart(chart: Chart) -> GeneralRecipe:
    unit = RECIPE.procedure.unit_procedures[0]
    operation = replace(unit.operations[0], chart=chart)
    units = (replace(unit, operations=(operation,)), *RECIPE.procedure.unit_procedures[1:])
    return replace(RECIPE, procedure=replace(RECIPE.procedure, unit_procedures=units))


@settings(max_examples=60, deadline=None)
@given(charts())
def test_any_chart_is_drawn_whole_and_inside_its_picture(chart):
    recipe = with_chart(chart)
    picture = as_svg(recipe)
    root = ElementTree.fromstring(picture)
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    words = said(picture)
    assert all(words.count(name) == names(chart).count(name) for name in NAMES)
    for each in root.iter("{http://www.w3.org/2000/svg}rect"):
        x, y = float(each.get("x", "0")), float(each.get("y", "0"))
        assert x >= 0 <= y
        assert x + float(each.get("width", "0")) <= width
        assert y + float(each.get("height", "0")) <= height
    assert as_text(recipe).count("[") == len(names(chart)) + 1
