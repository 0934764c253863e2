"""The codec's fast ways give what its own way gives, or nothing at all."""

from __future__ import annotations

import importlib
import pkgutil
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from random import Random
from typing import Any, get_args, get_origin, get_type_hints
from unicodedata import normalize

import numpy as np
import pytest

import isogenic
from isogenic.errors import NotValid
from isogenic.ids import BatchId, Id
from isogenic.records import codec
from isogenic.records.compiled import SLOW, maker, reader, replaced, writer
from isogenic.records.facts import known_kinds

for module in pkgutil.walk_packages(isogenic.__path__, "isogenic."):
    if not module.name.startswith(("isogenic.web", "isogenic.cli", "isogenic.sim")):
        importlib.import_module(module.name)
KINDS = {name: kind for name, kind in known_kinds().items() if kind.__module__.startswith("isogenic")}
WORDS = ["", "production", "glucose 12.3 is below 14", "naïve", "nai\u0308ve", 'a "word"', "\n", "漢"]
STRANGE = [None, True, 1, 1 << 70, "x", "1.5", "nan", "", [], ["x"], {}, {"x": 1}, "2026-11-23T11:22:56.123Z"]


def some(hint: Any, dice: Random) -> Any:
    """A value of a type, as rooms make them."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (typing.Union, types.UnionType):
        inner = [each for each in args if each is not type(None)]
        return None if dice.random() < 0.4 else some(inner[0], dice)
    if origin is tuple:
        return tuple(some(args[0], dice) for _ in range(dice.randrange(3)))
    if origin in (dict, Mapping):
        keys = {normalize("NFC", key): key for key in (some(args[0], dice) for _ in range(dice.randrange(3)))}
        return {key: some(args[1], dice) for key in keys.values()}
    if hint is str or hint is Any:
        return dice.choice(WORDS)
    if hint is bool:
        return dice.random() < 0.5
    if hint is int:
        return dice.choice([0, 1, -7, 1 << 40])
    if hint is float:
        return dice.choice([0.0, -0.0, 0.1, 1e-300, -3.5e17, 7.0])
    if hint is datetime:
        at = datetime(2026, 11, 23, 11, 22, 56, tzinfo=UTC) + timedelta(milliseconds=dice.randrange(10**9))
        return dice.choice([at, at.replace(microsecond=1), at.astimezone(timezone(timedelta(hours=2)))])
    if issubclass(hint, StrEnum):
        return dice.choice(list(hint))
    if issubclass(hint, Id):
        return hint(hint.prefix + dice.choice(["A1", "7K2M", "X-9"]))
    assert is_dataclass(hint), hint
    hints = get_type_hints(hint)
    return hint(**{field.name: some(hints[field.name], dice) for field in fields(hint) if field.init})


def values(kind: type, dice: Random, count: int) -> list[Any]:
    """So many that the type itself takes."""
    found: list[Any] = []
    for _ in range(10 * count):
        try:
            found.append(some(kind, dice))
        except (NotValid, ValueError):
            continue
        if len(found) == count:
            break
    return found


def own_way(kind: type) -> Any:
    decode = codec._dataclass(kind, fast=lambda data: SLOW)
    return lambda data: decode(data, kind.__name__)


def outcome(act: Any, data: Any) -> tuple[str, Any]:
    try:
        return "read", act(data)
    except NotValid as refusal:
        return "refused", str(refusal)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_kind_of_fact_is_read_and_written_alike_on_both_ways(name: str) -> None:
    kind, dice = KINDS[name], Random(name)
    slow, fast = own_way(kind), reader(kind)
    for value in values(kind, dice, 12):
        plain = codec.loads(codec.dumps(codec.plain(value)))
        expected = slow(plain)
        assert fast(plain) == expected
        assert codec.recorded(value) == (plain, expected)
        found = writer(kind)(value)
        assert found is SLOW or found == (plain, expected)
        for place in plain:
            for strange in STRANGE:
                wrong = {**plain, place: strange}
                kept = fast(wrong)
                assert kept is SLOW or outcome(slow, wrong) == ("read", kept)
            without = {key: each for key, each in plain.items() if key != place}
            kept = fast(without)
            assert kept is SLOW or outcome(slow, without) == ("read", kept)
        assert fast({**plain, "one more": 1}) is SLOW


def test_two_keys_of_one_text_are_refused() -> None:
    with pytest.raises(NotValid, match="two of its keys are the same text"):
        codec.plain({"naïve": 1, "nai\u0308ve": 2})


def test_every_kind_has_a_fast_way() -> None:
    dice, slow = Random(1), set()
    for name, kind in KINDS.items():
        found = [reader(kind)(codec.plain(value)) for value in values(kind, dice, 5)]
        slow |= {name} if found and all(each is SLOW for each in found) else set()
    assert slow == set()


@dataclass(frozen=True, slots=True)
class Held:
    batch: BatchId
    values: dict[str, float]
    at: datetime


AT = datetime(2026, 11, 23, tzinfo=UTC)


def test_a_table_that_its_maker_changes_later_changes_no_fact() -> None:
    table = {"a": 1.0}
    _, kept = codec.recorded(Held(BatchId("BAT-1"), table, AT))
    table["a"] = 2.0
    assert kept.values == {"a": 1.0}


@pytest.mark.parametrize("value", [np.float64(0.25), 3, float("inf"), float("nan"), "1.5", True])
def test_a_number_of_another_type_goes_the_slow_way(value: Any) -> None:
    assert writer(Held)(Held(BatchId("BAT-1"), {"a": value}, AT)) is SLOW


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "1e999", "x", "", None, 1.5, True, ["1"]])
def test_a_text_that_is_no_finite_number_goes_the_slow_way(text: Any) -> None:
    assert reader(Held)({"batch": "BAT-1", "values": {"a": text}, "at": "2026-11-23T00:00:00.000Z"}) is SLOW


def test_whoever_makes_a_fact_by_its_parts_gets_the_same_fact() -> None:
    assert maker(Held)(BatchId("BAT-1"), {}, AT) == Held(BatchId("BAT-1"), {}, AT)


def test_a_value_with_other_fields_is_what_its_class_would_have_made() -> None:
    held = Held(BatchId("BAT-1"), {"a": 1.0}, AT)
    assert replaced(held, values={"b": 2.0}) == replace(held, values={"b": 2.0})
    assert replaced(held, at=AT.replace(year=2027), batch=BatchId("BAT-2")) == replace(held, at=AT.replace(year=2027), batch=BatchId("BAT-2"))
    assert held == Held(BatchId("BAT-1"), {"a": 1.0}, AT)


def test_a_field_that_a_class_has_not_is_refused() -> None:
    with pytest.raises(TypeError, match="Held has no when"):
        replaced(Held(BatchId("BAT-1"), {}, AT), when=AT)


@dataclass(frozen=True, slots=True)
class Checked:
    at: datetime

    def __post_init__(self) -> None:
        assert self.at.tzinfo is not None


def test_a_class_that_checks_what_it_is_made_of_is_not_gone_around() -> None:
    with pytest.raises(TypeError, match="Checked has no plain slots"):
        replaced(Checked(AT), at=AT)
