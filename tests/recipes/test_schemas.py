"""The published schemas agree with the readers: what a reader takes, an editor's schema takes."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipe_desk import GENERAL, text
from two_units import TWO_UNITS

from isogenic.documents import Document, Plain
from isogenic.errors import NotFound, NotValid
from isogenic.plant.documents import load_plant
from isogenic.recipes.blocks import check_library
from isogenic.recipes.general import load_general
from isogenic.recipes.schemas import KINDS, schema_of, schema_text
from isogenic.recipes.site import load_site
from isogenic.recipes.writing import written

DOCS = Path(__file__).parents[2] / "docs" / "schemas"
LIBRARY = """isogenic: blocks/1
title: Steps
blocks:
  rest: {with: [time], do: [{phase: rest, title: Rest, until: elapsed > $time}]}
"""
WITH_BLOCK = GENERAL.replace("        phases:\n", "        phases:\n          - {use: rest, with: {time: 1 h}}\n", 1) + LIBRARY.split("Steps\n")[1]
EVERYTHING = """isogenic: site-recipe/1
site: LEEDS
recipe: MAB-FB
version: 1
notes: [one]
differences:
  - {parameter: agitation, type: scale, from: 100 rpm, to: 140 rpm, why: Because.}
  - {question: medium_lot, type: label, from: A, to: B, why: Because.}
  - {title: harvest, from: Harvest, to: Take it, why: Because.}
wording: {medium_lot: Numero}
"""
GEOMETRY = "    geometry: {impeller: 130 mm, impellers: 2, oxygen_transfer: {vessel: 0.35 m, power_number: 1.3, a: 0.026, alpha: 0.4, beta: 0.5}}\n"
PLANT = text("leeds.plant.yaml").replace("    modules:\n", GEOMETRY + "    modules:\n", 1)
DOCUMENTS: list[tuple[str, str]] = [
    ("general-recipe", GENERAL),
    ("general-recipe", TWO_UNITS),
    ("general-recipe", WITH_BLOCK),
    ("site-recipe", text("porto.site.yaml")),
    ("site-recipe", text("ghent.site.yaml")),
    ("site-recipe", EVERYTHING),
    ("plant", text("porto.plant.yaml")),
    ("plant", PLANT),
    ("blocks", LIBRARY),
]
READ: dict[str, Callable[[str], object]] = {
    "general-recipe": load_general,
    "site-recipe": load_site,
    "plant": lambda document: load_plant(document, name="plant"),
    "blocks": check_library,
}
VALID = {kind: jsonschema_rs.validator_for(schema_of(kind)) for kind in KINDS}


def plain(kind: str, document: str) -> Any:
    return Document.read(document, what=kind, kind=f"isogenic: {kind}/1").plain_table()


def typed(value: Plain) -> Any:
    """As an editor's YAML parser gives it (YAML 1.2, core schema): numbers and truth values are such."""
    if isinstance(value, dict):
        return {key: typed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [typed(each) for each in value]
    if re.fullmatch(r"[-+]?[0-9]+", value):
        return int(value)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", value):
        return float(value)
    return value == "true" if value in ("true", "false") else value


def taken(kind: str, value: Any) -> bool:
    try:
        READ[kind](written(value))
    except NotValid:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_the_published_file_is_the_schema_of_the_code(kind):
    assert (DOCS / f"{kind}.json").read_text(encoding="utf-8") == schema_text(kind)
    assert json.loads(schema_text(kind))["$id"] == f"urn:isogenic:schema:{kind}/1"


def test_no_other_schema_is_promised():
    assert sorted(path.stem for path in DOCS.glob("*.json")) == sorted([*KINDS, "scenario"])  # that one is held by tests/sim/test_scenarios.py
    with pytest.raises(NotFound, match="general-recipe, site-recipe, plant, blocks"):
        schema_of("general_recipe")


@pytest.mark.parametrize(("kind", "document"), DOCUMENTS)
def test_what_the_reader_takes_the_schema_takes(kind, document):
    value = plain(kind, document)
    assert taken(kind, value)
    assert [error.message for error in VALID[kind].iter_errors(typed(value))] == []


FAULTS = [
    ("general-recipe", ("tilte",), "x"),
    ("general-recipe", ("formula", "ph", "unit"), "pH"),
    ("general-recipe", ("formula", "ph", "critical"), "perhaps"),
    ("general-recipe", ("formula", "ph", "per"), "mass"),
    ("general-recipe", ("formula", "NotAName"), {"title": "x", "value": "1 h", "low": "1 h", "high": "1 h"}),
    ("general-recipe", ("equipment_class",), "kettle"),
    ("general-recipe", ("version",), "one"),
    ("general-recipe", ("needs", "colour"), {"low": "1", "high": "2"}),
    ("general-recipe", ("held", "feed_flow"), "1 mL/h"),
    ("general-recipe", ("lost", "then"), "panic"),
    ("general-recipe", ("procedure", 0, "operations", 0, "phases", 0, "wait"), "1 h"),
    ("general-recipe", ("procedure", 0, "operations", 0, "phases", 0, "setpoints", "stirring_sp"), "1 rpm"),
    ("general-recipe", ("procedure", 0, "operations", 0, "phases", 0, "ask", 0, "answer"), "maybe"),
    ("general-recipe", ("procedure", 0, "operations", 0, "phases", 0, "dose", "into"), "temperature_sp"),
    ("general-recipe", ("procedure", 0, "operations", 0, "phases", 0, "parallel"), []),
    ("site-recipe", ("differences", 0, "type"), "taste"),
    ("site-recipe", ("differences", 0, "title"), "harvest"),
    ("site-recipe", ("language",), ["pt"]),
    ("plant", ("latitude",), "north"),
    ("plant", ("units", "SB-200", "class"), "kettle"),
    ("plant", ("units", "SB-200", "modules", "SB-200-FEED", "signals", "colour"), {"node": "ns=2;s=X"}),
    ("blocks", ("blocks", "rest", "does"), []),
]


@pytest.mark.parametrize(("kind", "path", "value"), FAULTS)
def test_a_wrong_word_or_key_is_refused_by_both(kind, path, value):
    document = plain(kind, next(each for name, each in DOCUMENTS if name == kind))
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert (taken(kind, document), VALID[kind].is_valid(typed(document))) == (False, False)


@pytest.mark.parametrize(
    ("kind", "key"),
    [(kind, key) for kind, wanted in (("general-recipe", "recipe version product title formula procedure"), ("site-recipe", "site recipe version"),
     ("plant", "site title sponsor latitude longitude units")) for key in wanted.split()],
)  # fmt: skip
def test_what_must_be_there_is_missed_by_both(kind, key):
    document = plain(kind, next(each for name, each in DOCUMENTS if name == kind))
    del document[key]
    assert (taken(kind, document), VALID[kind].is_valid(typed(document))) == (False, False)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _places(inner, (*path, key))


VALUES = st.sampled_from(
    ["", "x", "1", "1 h", "@temperature", "true", "3.5", "hold", "elapsed > 1 h", [], {}, ["x"], {"x": "y"}, {"low": "1 h", "high": "2 h"}]
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(DOCUMENTS), st.data())
def test_no_reader_takes_what_its_schema_refuses(chosen, data):
    """Anything of a document taken away, added or replaced: where the reader still takes it, so does the schema."""
    kind, source = chosen
    document = copy.deepcopy(plain(kind, source))
    for _ in range(data.draw(st.integers(1, 2))):
        *path, last = data.draw(st.sampled_from([each for each in _places(document) if each]))
        place: Any = document
        for key in path:
            place = place[key]
        act = data.draw(st.sampled_from(["take away", "add", "replace"]))
        if act == "take away":
            del place[last]
        elif act == "replace":
            place[last] = copy.deepcopy(data.draw(VALUES))
        elif isinstance(place, dict):
            place[data.draw(st.sampled_from(["extra", "title", "per", "then", "when", "needs", "on", "held"]))] = copy.deepcopy(data.draw(VALUES))
    if taken(kind, document):
        assert [error.message for error in VALID[kind].iter_errors(typed(document))] == []
