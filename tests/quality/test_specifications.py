"""Specifications: reading them, complaining by line, judging results."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lot_story import SPECIFICATION, result

from isogenic.errors import NotFound, NotValid
from isogenic.quality.specifications import Specification, Verdict, judge, read_specification

GOOD = """\
isogenic: specification/1
product: MAB-A
title: An antibody
version: 2
attributes:
  titre:
    title: Titre
    unit: g/L
    low: 3.5
    method: Protein A HPLC
"""


def test_the_product_document_reads():
    assert [(each.name, each.limits(), each.required) for each in SPECIFICATION.attributes.values()] == [
        ("titre", "≥ 3.5 g/L", True),
        ("harvest_viability", "≥ 70 %", True),
        ("galactosylation", "15 to 35 %", True),
        ("hmw", "≤ 5 %", True),
        ("acidic", "≤ 30 %", True),
        ("hcp", "≤ 400000 ng/mg", False),
    ]
    assert SPECIFICATION.illustrative


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("MAB-A", "mab a", "line 2: product"),
        ("version: 2", "version: 0", "line 4: version: 0 is not within"),
        ("version: 2\n", "", "version is missing"),
        ("  titre:", "  Titre (g):", "is not a name"),
        ("unit: g/L", "unit: wibble", "line 8: attributes.titre.unit"),
        ("low: 3.5", "low: much", "line 9: attributes.titre.low: 'much' is not a number"),
        ("    low: 3.5\n", "", "has neither low nor high"),
        ("low: 3.5", "low: 3.5\n    high: 2", "line 10: attributes.titre.high: 2 is below low, 3.5"),
        ("low: 3.5", "low: 3.5\n    hihg: 2", "did you mean high?"),
        ("low: 3.5", "low: 3.5\n    release: maybe", "is not one of required, for_information"),
        ("specification/1", "specification/9", "begin with isogenic: specification/1"),
    ],
)
def test_a_wrong_line_is_named(old, new, complaint):
    assert old in GOOD
    with pytest.raises(NotValid) as refused:
        read_specification(GOOD.replace(old, new))
    assert complaint in str(refused.value)


def test_a_specification_without_attributes_is_refused():
    with pytest.raises(NotValid, match="at least one attribute"):
        read_specification(GOOD[: GOOD.index("attributes")] + "attributes: {}\n")


@settings(max_examples=100)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: (GOOD[:70] + text).encode("utf-8", "surrogatepass")))
def test_arbitrary_bytes_are_a_specification_or_not_valid(data):
    with contextlib.suppress(NotValid):
        assert isinstance(read_specification(data), Specification)


@settings(max_examples=60)
@given(st.integers(0, len(GOOD) - 1), st.sampled_from(list(":-{}[]&*!|>'\"%@`#\n\t 0aé")))
def test_one_wrong_character_is_a_specification_or_not_valid(at, sign):
    with contextlib.suppress(NotValid):
        read_specification(GOOD[:at] + sign + GOOD[at + 1 :])


@pytest.mark.parametrize(
    ("reported", "verdict"),
    [
        (result("titre", 3.5), Verdict.PASS),
        (result("titre", 3.4999), Verdict.FAIL),
        (result("titre", 4800.0, unit="mg/L"), Verdict.PASS),
        (result("titre", 4.8, unit="mg/L"), Verdict.FAIL),
        (result("titre", 4.8, unit="mL"), Verdict.NOT_JUDGED),
        (result("titre", 4.8, unit="wibble"), Verdict.NOT_JUDGED),
        (result("galactosylation", 15.0), Verdict.PASS),
        (result("galactosylation", 35.01), Verdict.FAIL),
        (result("galactosylation", 0.25, unit="1"), Verdict.PASS),
        (result("hmw", 0.3, qualifier="<"), Verdict.PASS),
        (result("hmw", 6.0, qualifier="<"), Verdict.NOT_JUDGED),
        (result("titre", 3.0, qualifier="<"), Verdict.FAIL),
        (result("titre", 4.0, qualifier="<"), Verdict.NOT_JUDGED),
        (result("galactosylation", 20.0, qualifier="<"), Verdict.NOT_JUDGED),
        (result("titre", 4.8, qualifier="~"), Verdict.NOT_JUDGED),
    ],
)
def test_a_result_is_judged_in_the_unit_of_the_specification(reported, verdict):
    assert judge(reported, SPECIFICATION).verdict == verdict


def test_a_result_that_was_not_asked_for_is_not_found():
    with pytest.raises(NotFound, match="possible now: titre"):
        judge(result("titre", attribute="colour"), SPECIFICATION)


def test_a_judged_result_reads_as_a_sentence():
    assert str(judge(result("titre", 3120.04, unit="mg/L"), SPECIFICATION)) == "Titre 3.12 g/L, limit ≥ 3.5 g/L: fail"
    assert judge(result("hcp", 500_000.0, qualifier="<"), SPECIFICATION).shown() == "< 500000 ng/mg"
