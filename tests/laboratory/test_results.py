"""Results: what the laboratory may report, and what is refused."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.clock import EPOCH, Moment
from isogenic.errors import NotAllowed, NotValid
from isogenic.ids import BatchId, LotId, SampleId
from isogenic.laboratory.results import ResultReported, draw, report
from isogenic.records.facts import Actor, FactRef, decode_fact, encode_fact

SAMPLE = draw(SampleId("SMP-1"), batch=BatchId("BAT-1"), lot=LotId("LOT-1"), what="harvest")
TITRE = {"value": 4.8, "unit": "g/L", "method": "Protein A HPLC", "expected_unit": "g/L"}


def test_a_result_is_noted_in_the_unit_in_which_it_was_reported():
    reported = report(SAMPLE, "titre", **TITRE | {"value": 4800, "unit": "mg/L"})
    assert reported == ResultReported(SAMPLE.sample, SAMPLE.batch, SAMPLE.lot, "titre", 4800.0, "mg/L", "Protein A HPLC")


def test_a_result_below_quantitation_is_its_limit_with_a_mark():
    reported = report(SAMPLE, "hcp", value=0.5, unit="ng/mg", method="ELISA", expected_unit="ng/mg", qualifier="<")
    assert (reported.value, reported.qualifier) == (0.5, "<")


def test_a_result_travels_as_a_fact():
    reported = report(SAMPLE, "titre", **TITRE)
    noted = encode_fact(reported, ref=FactRef("LEEDS", 0), actor=Actor("ANA-LIST", "analyst", "password"), moment=Moment(EPOCH))
    assert decode_fact(noted).payload == reported


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"value": math.nan}, "not a finite number"),
        ({"value": math.inf}, "not a finite number"),
        ({"unit": "mL"}, "cannot be converted to 'g/L'"),
        ({"unit": "wibble"}, "cannot read unit"),
        ({"method": " "}, "does not name its method"),
        ({"method": "x" * 81}, "does not name its method"),
        ({"qualifier": "~"}, "qualifier '~' is not known"),
        ({"value": 0.0, "qualifier": "<"}, "above zero"),
    ],
)
def test_a_result_that_cannot_be_read_is_refused(change, why):
    with pytest.raises(NotValid, match=why):
        report(SAMPLE, "titre", **TITRE | change)


@pytest.mark.parametrize("attribute", ["", "Titre", "titre (g/L)", "x" * 41])
def test_an_attribute_is_named_as_in_the_specification(attribute):
    with pytest.raises(NotValid, match="named in lower case"):
        report(SAMPLE, attribute, **TITRE)


def test_a_result_is_not_reported_twice():
    first = report(SAMPLE, "titre", **TITRE)
    with pytest.raises(NotAllowed, match="a result is not edited"):
        report(SAMPLE, "titre", **TITRE | {"value": 5.0}, already=[first])
    report(SAMPLE, "hmw", value=1.5, unit="%", method="SE-HPLC", expected_unit="%", already=[first])


@pytest.mark.parametrize("what", ["", " ", "x" * 81, "a\nb"])
def test_a_sample_says_what_was_sampled(what):
    with pytest.raises(NotValid, match="what was sampled"):
        draw(SampleId("SMP-1"), batch=SAMPLE.batch, lot=SAMPLE.lot, what=what)


@settings(max_examples=80)
@given(st.text(max_size=20), st.floats(), st.text(max_size=20), st.text(max_size=20), st.text(max_size=3))
def test_arbitrary_input_is_a_result_or_not_valid(attribute, value, unit, method, qualifier):
    try:
        reported = report(SAMPLE, attribute, value=value, unit=unit, method=method, expected_unit="g/L", qualifier=qualifier)
    except NotValid:
        return
    assert math.isfinite(reported.value)
