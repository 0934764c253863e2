"""Conditions: a small language, bounded, checked by dimension, and never satisfied by a bad reading."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.errors import NotValid
from isogenic.recipes.conditions import DEPTH_MAX, TEXT_MAX, AnyOf, Comparison, Flag, check, holds, parameters, parse, resolve, signals
from isogenic.units import Quantity

UNITS = {"glucose": "mM", "temperature": "degC", "viable_cells": "1e6 cell/mL", "feed_flow": "mL/h"}


def true_now(text, values, *, answered=False, dosed=False):
    return holds(parse(text), values.get, answered=answered, dosed=dosed)


def test_a_condition_is_read_as_its_grammar_says():
    assert parse("glucose < 14 mM") == Comparison("glucose", "<", Quantity(14.0, "mM"))
    assert parse("elapsed >= @growth_time") == Comparison("elapsed", ">=", "growth_time")
    assert parse("answered or dosed") == AnyOf((Flag("answered"), Flag("dosed")))
    assert parse("viable_cells > 0.5 1e6 cell/mL and dosed") == parse("(viable_cells > 0.5 1e6 cell/mL) and (dosed)")
    assert str(parse("not (glucose < 14 mM or dosed) and answered")) == "not (glucose < 14.0 mM or dosed) and answered"


def test_and_binds_more_than_or():
    values = {"glucose": 10.0, "temperature": 37.0}
    assert true_now("glucose < 14 mM or temperature > 40 degC and answered", values) is True
    assert true_now("(glucose < 14 mM or temperature > 40 degC) and answered", values) is False


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("glucose < 14 mM", None),
        ("not glucose < 14 mM", None),  # a bad reading is no proof of the contrary either
        ("glucose < 14 mM or temperature > 36 degC", True),
        ("glucose < 14 mM or temperature > 38 degC", None),
        ("glucose < 14 mM and temperature > 36 degC", None),
        ("glucose < 14 mM and temperature > 38 degC", False),
        ("not (glucose < 14 mM and temperature > 38 degC)", True),
    ],
)
def test_a_reading_that_is_not_good_makes_nothing_true(text, wanted):
    assert true_now(text, {"temperature": 37.0}) is wanted


def test_limits_are_compared_as_written():
    assert [true_now(f"glucose {op} 14 mM", {"glucose": 14.0}) for op in ("<", "<=", ">", ">=")] == [False, True, False, True]


def test_resolving_brings_every_value_into_its_signals_unit():
    resolved = resolve(parse("feed_flow > 0.1 L/h and elapsed >= @wait"), units=UNITS, values={"wait": Quantity(3.0, "d")})
    assert str(resolved) == "feed_flow > 100.0 mL/h and elapsed >= 72.0 h"
    assert parse(str(resolved)) == resolved


def test_what_a_condition_names():
    condition = parse("glucose < @low and (elapsed > 1 h or not temperature > @high)")
    assert signals(condition) == ("glucose", "temperature")
    assert parameters(condition) == ("low", "high")


def test_units_are_checked_by_dimension():
    assert check(parse("glucose < 14 degC"), units=UNITS, parameters={}) == ["glucose < 14.0 degC compares mM with degC"]
    assert check(parse("elapsed > @low"), units=UNITS, parameters={"low": "mM"}) == ["elapsed > @low compares h with mM"]
    assert check(parse("glucos < @lo"), units=UNITS, parameters={}) == ["no signal glucos", "no parameter @lo"]
    assert check(parse("temperature > 300 K and glucose < 2 mol/L"), units=UNITS, parameters={}) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "at its end"),
        ("glucose", "at its end, one of < <= > >= was expected"),
        ("glucose <", "at its end, a quantity or a @parameter was expected"),
        ("glucose == 14 mM", "at '== 14 mM'"),
        ("glucose < 14 mM dosed", "cannot read"),
        ("glucose < lactate", "at 'lactate', a quantity or a @parameter was expected"),
        ("(answered", "at its end, a closing parenthesis was expected"),
        ("answered)", "and, or, or the end was expected"),
        ("and dosed", "a signal, elapsed, answered, dosed or completed was expected"),
        ("14 mM > glucose", "a signal, elapsed, answered, dosed or completed was expected"),
        ("__import__('os')", "at"),
        ("glucose < 1e999 mM", "finite"),
        ("(" * (DEPTH_MAX + 2) + "dosed" + ")" * (DEPTH_MAX + 2), "nested deeper"),
        ("not " * (DEPTH_MAX + 2) + "dosed", "nested deeper"),
        ("dosed or " * (TEXT_MAX // 9 + 1) + "dosed", "characters are more than"),
    ],
)
def test_what_is_no_condition_is_refused_with_its_place(text, why):
    with pytest.raises(NotValid) as refused:
        parse(text)
    assert why in str(refused.value)


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(
        st.text(max_size=80),
        st.lists(st.sampled_from(["(", ")", "not", "and", "or", "dosed", "<", ">=", "glucose", "14 mM", "@x", "3"])).map(" ".join),
    )
)
def test_only_not_valid_comes_out_of_any_text(text):
    with suppress(NotValid):
        condition = parse(text)
        check(condition, units=UNITS, parameters={"x": "mM"})
        assert parse(str(condition)) == condition
