"""Documents: every complaint has a line, and nothing but `NotValid` comes out of malformed text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.documents import BYTES_MAX, DEPTH_MAX, NODES_MAX, Document
from isogenic.errors import NotValid
from isogenic.ids import UnitId
from isogenic.units import Quantity

KIND = "isogenic: test/1"


def read(body: str) -> Document:
    return Document.read(f"{KIND}\n{body}", what="test document", kind=KIND)


def test_values_come_typed_with_their_units():
    document = read("title: Pump\nspeed: 45 mL/h\ncount: 3\nwarm: true\nunit: BR-50\nlist: [a, b]\n")
    root = document.root
    assert root.text("title") == "Pump"
    assert root.quantity("speed", like="L/h") == Quantity(45.0, "mL/h")
    assert root.whole("count") == 3
    assert root.flag("warm") is True
    assert root.id("unit", UnitId) == UnitId("BR-50")
    assert root.texts("list") == ("a", "b")
    document.done()


def test_every_complaint_is_listed_with_its_line():
    document = read("speed: 45 degC\ncount: many\ntitel: x\n")
    document.root.quantity("speed", like="mL/h")
    document.root.whole("count")
    document.root.text("title")
    with pytest.raises(NotValid) as refused:
        document.done()
    assert str(refused.value) == (
        "cannot use test document:\n  line 1: title is missing;\n  line 2: speed: 45 degC does not measure the same as mL/h;\n"
        "  line 3: count: 'many' is not a whole number;\n  line 4: unknown key 'titel'; did you mean title?"
    )


def test_a_key_given_twice_is_refused():
    document = read("a: 1\nb: 2\na: 3\n")
    document.root.whole("a")
    document.root.whole("b")
    with pytest.raises(NotValid, match="line 4: key 'a' is given twice, first in line 2"):
        document.done()


def test_an_empty_value_is_a_complaint_on_its_own_line():
    document = read("a:\nb: 2\n")
    document.root.text("a")
    document.root.whole("b")
    with pytest.raises(NotValid, match="line 2: a: nothing is not a text"):
        document.done()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("a: &x [1]\nb: *x\n", "line 2: anchors"),
        ("a: !!python/object/apply:os.system [ls]\n", "line 2: tags"),
        ("a: [1\n", "not YAML"),
        ("--- \na: 1\n", "second document"),
        ("a: " + "[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1), "nested deeper"),
        ("a: [" + "1," * (NODES_MAX + 1) + "1]", "more than"),
        ("a: " + "x" * BYTES_MAX, "bytes are more than"),
        ('a: "\\ud800"\n', "cannot be recorded"),
        ("a: e\u0301\n", "normal form C"),
        ("? [1]\n: 2\n", "a key is a text"),
    ],
)
def test_what_could_hurt_is_refused_before_it_is_built(body, why):
    with pytest.raises(NotValid, match=why):
        read(body)


@pytest.mark.parametrize("sign", ["\u202e", "\u2066", '"\\u202e"'])
def test_signs_that_change_the_order_of_reading_are_refused(sign):
    """What people see is what they sign."""
    with pytest.raises(NotValid, match="changes the order in which text is shown"):
        Document.read(f"isogenic: x/1\ntitle: {sign}\n", what="it", kind="isogenic: x/1")


def test_a_document_of_another_kind_is_refused():
    with pytest.raises(NotValid, match="isogenic is 'plant/1'; possible now: begin with isogenic: test/1"):
        Document.read("isogenic: plant/1\n", what="test document", kind=KIND)


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=300), st.text(alphabet="a:-[]{}&*!|>#'\"%@`,? \n\t", max_size=200)))
def test_only_not_valid_comes_out_of_any_text(text):
    try:
        document = Document.read(text if isinstance(text, bytes) else f"{KIND}\n{text}", what="x", kind=KIND)
        root = document.root
        for key in root.names():
            root.text(key)
            root.number(key)
            root.quantity(key)
            root.tables(key)
            root.table(key)
        document.done()
    except NotValid:
        pass
