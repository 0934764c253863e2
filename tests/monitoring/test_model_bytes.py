"""The model's file: exact, and refused when it was touched."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest
from continuous_setup import fitted
from hypothesis import given, settings
from hypothesis import strategies as st
from monitoring_setup import VARIABLES, simulated

from isogenic.errors import NotTrusted, NotValid, Refusal
from isogenic.monitoring import Model, fit, judge_batch

MODEL = fit(simulated(6, seed=30, points=20), variables=VARIABLES, name="small", product="MAB-A")
DATA = MODEL.to_bytes()


def sealed(data: bytes) -> bytes:
    return data + hashlib.sha256(data).digest()


def test_a_model_comes_back_as_it_was() -> None:
    again = Model.from_bytes(DATA)
    assert again.to_bytes() == DATA
    assert again.digest == MODEL.digest == hashlib.sha256(DATA).hexdigest()
    assert (again.name, again.variables, again.calibration) == (MODEL.name, MODEL.variables, MODEL.calibration)
    table = simulated(1, seed=31, points=20)[0]
    assert [each.score.tobytes() for each in judge_batch(again, table)[1]] == [each.score.tobytes() for each in judge_batch(MODEL, table)[1]]


def test_a_released_model_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        MODEL.structure.mean[0, 0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        Model.from_bytes(DATA).t2_limit[0] = 1e9


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_one_altered_byte_is_not_trusted(at: int, change: int) -> None:
    altered = bytearray(DATA)
    altered[at] ^= change
    with pytest.raises(NotTrusted):
        Model.from_bytes(bytes(altered))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, len(DATA) - 1))
def test_a_file_cut_short_is_refused(length: int) -> None:
    with pytest.raises((NotTrusted, NotValid)):
        Model.from_bytes(DATA[:length])


def test_another_model_than_the_record_names_is_not_trusted() -> None:
    assert Model.from_bytes(DATA, digest=MODEL.digest).digest == MODEL.digest
    with pytest.raises(NotTrusted, match="not the one with digest 0000"):
        Model.from_bytes(DATA, digest="0" * 64)


def test_an_unknown_version_is_not_valid() -> None:
    with pytest.raises(NotValid, match="version b'9' is not known"):
        Model.from_bytes(sealed(DATA[:-32].replace(b"model 4\n", b"model 9\n", 1)))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_nonsense_under_a_good_seal_is_refused(body: bytes) -> None:
    for data in (sealed(body), sealed(b"isogenic reference model 1\n" + body)):
        with pytest.raises(Refusal):
            Model.from_bytes(data)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([b"components", b"knots", b"points", b"step", b"consecutive", b"variables", b"first"]),
    st.sampled_from([b"-1", b"0", b"1e308", b'"nan"', b"99999999999", b"[]", b"null", b'"x"']),
)
def test_a_header_that_makes_no_sense_is_refused(field: bytes, value: bytes) -> None:
    head, header, rest = DATA[:-32].split(b"\n", 2)
    start = header.index(b'"' + field + b'":') + len(field) + 3
    end = start
    depth = 0
    while depth > 0 or header[end : end + 1] not in (b",", b"}"):
        depth += {b"[": 1, b"]": -1}.get(header[end : end + 1], 0)
        end += 1
    data = sealed(b"\n".join((head, header[:start] + value + header[end:], rest)))
    sensible = {b"first": (b"-1", b"0", b"99999999999"), b"step": (b"99999999999",), b"consecutive": (b"99999999999",)}
    if value in sensible.get(field, ()):
        assert Model.from_bytes(data).name == "small"
    else:
        with pytest.raises(Refusal):
            Model.from_bytes(data)


@pytest.mark.parametrize("number", [np.nan, np.inf, -1.0, 0.0])
def test_a_limit_that_makes_no_sense_is_refused(number: float) -> None:
    data = bytearray(DATA[:-32])
    data[-8:] = np.array(number, dtype="<f8").tobytes()
    with pytest.raises(NotValid, match="not above 0, or a number is not finite"):
        Model.from_bytes(sealed(bytes(data)))


CONTINUOUS = fitted(range(2), rows=200)


@pytest.mark.parametrize("field", ["limit", "rates", "rows", "decides", "continuous"])
@pytest.mark.parametrize("value", ["-1", "1e999", '"nan"', "[]", "null", "[2.0]", "[true]"])
def test_a_bank_that_makes_no_sense_is_refused(field: str, value: str) -> None:
    head, header, rest = CONTINUOUS.to_bytes()[:-32].split(b"\n", 2)
    changed = re.sub(rb'("%s":)(\[[^\]]*\]|[^,}]+)' % field.encode(), rb"\g<1>" + value.encode(), header, count=1)
    assert changed != header
    data = sealed(b"\n".join((head, changed, rest)))
    if (field, value) == ("limit", "-1"):  # a number like any other
        assert Model.from_bytes(data).name == "utility"
    else:
        with pytest.raises(Refusal):
            Model.from_bytes(data)


@pytest.mark.parametrize("number", [np.nan, np.inf, -1.0, 0.0])
def test_a_slope_that_makes_no_sense_is_refused(number: float) -> None:
    data = bytearray(CONTINUOUS.to_bytes()[:-32])
    data[-8:] = np.array(number, dtype="<f8").tobytes()
    with pytest.raises(NotValid):
        Model.from_bytes(sealed(bytes(data)))
