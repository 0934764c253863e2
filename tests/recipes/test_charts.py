"""Charts: written and read back, substituted, bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isogenic.errors import NotValid
from isogenic.recipes.charts import All, Chart, Choice, Name, OneOf, Repeat, Sequence, mapped, names, read, sequence, substituted, text_of

WORDS = st.sampled_from(("charge", "heat", "adjust_ph", "sample", "all", "one", "repeat", "until", "when"))
CONDITIONS = st.sampled_from(("glucose < 5.0 mM", "dosed and answered", "not (ph > 7.0 pH) or elapsed > 12.0 h"))


def larger(inner: st.SearchStrategy[Chart]) -> st.SearchStrategy[Chart]:
    some = st.lists(inner, min_size=1, max_size=3).map(tuple)
    flat = some.map(sequence)
    ways = st.lists(st.builds(Choice, CONDITIONS, flat), min_size=1, max_size=2)
    return st.one_of(
        flat,
        some.map(All),
        st.builds(lambda each, last: OneOf((*each, *last)), ways, st.lists(st.builds(Choice, st.just(""), flat), max_size=1)),
        st.builds(Repeat, flat, CONDITIONS, st.integers(1, 9), st.sampled_from(("hold", "alarm"))),
    )


CHARTS = st.recursive(st.builds(Name, WORDS), larger, max_leaves=8)


@given(CHARTS)
def test_a_chart_is_read_back_as_it_was_written(chart: Chart) -> None:
    assert read(text_of(chart)) == chart


def test_operations_are_replaced_by_their_phases() -> None:
    chart = read("prepare; all(culture, repeat(sample until elapsed > 3 d at most 9 then alarm))")
    phases = {"prepare": read("charge; heat"), "culture": read("grow; produce"), "sample": Name("draw")}
    assert (
        text_of(substituted(chart, phases.__getitem__)) == "charge; heat; all(grow; produce, repeat(draw until elapsed > 3 d at most 9 then alarm))"
    )
    assert names(chart) == ("prepare", "culture", "sample")


def test_conditions_are_replaced_and_otherwise_stays() -> None:
    chart = read("one(when glucose < @low: feed, otherwise: wait)")
    found = mapped(chart, name=Name, condition=lambda text: text.replace("@low", "5 mM"))
    assert found == OneOf((Choice("glucose < 5 mM", Name("feed")), Choice("", Name("wait"))))


def test_a_branch_may_be_empty() -> None:
    assert read("one(when glucose < 5 mM: feed, otherwise: )") == OneOf((Choice("glucose < 5 mM", Name("feed")), Choice("", Sequence(()))))


@pytest.mark.parametrize(
    "text",
    ["all(", "all(a", "one(a)", "repeat(a)", "repeat(a until b at most 0 then hold)", "a;;b", "a b", "all(" * 40 + "a" + ")" * 40, "a;" * 20_000],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(NotValid, match="cannot read the chart"):
        read(text)


@given(st.text(alphabet="aon e:;,()<wht1", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        chart = read(text)
    except NotValid:
        return
    assert read(text_of(chart)) == chart
