"""COSE_Sign1 as others publish and verify it; deterministic CBOR, and nothing else."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import cbor2
import cwt
import pytest
from cwt import COSE, COSEKey
from hypothesis import given, settings
from hypothesis import strategies as st
from records_setup import WITNESS, WRITER

from isogenic.errors import NotTrusted, NotValid, Refusal
from isogenic.records.cose import Sign1, decode, encode, key_id, read_sign1, sign1, verify_sign1
from isogenic.records.notes import VerifyingKey

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "reference" / "cose.json").read_text())
GOOD = bytes.fromhex(VECTORS["good"])
PUBLISHED = VerifyingKey("published", 1, bytes.fromhex(VECTORS["ed25519"]))


@pytest.mark.parametrize(("value", "hexed"), VECTORS["cbor"])
def test_published_items_are_written_and_read_byte_for_byte(value: object, hexed: str) -> None:
    assert encode(value).hex() == hexed
    assert decode(bytes.fromhex(hexed)) == value


@pytest.mark.parametrize("hexed", VECTORS["cbor_not_deterministic"])
def test_published_items_in_another_form_than_the_one_are_refused(hexed: str) -> None:
    with pytest.raises(NotValid):
        decode(bytes.fromhex(hexed))


def test_the_published_message_verifies_and_is_written_byte_for_byte() -> None:
    message = read_sign1(GOOD)
    assert verify_sign1(message, PUBLISHED).hex() == VECTORS["payload"]
    assert (message.to_bytes(), message.unprotected, message.header) == (GOOD, {4: b"11"}, {1: -8, 3: 0})
    assert encode(["Signature1", message.protected, b"", message.payload]).hex() == VECTORS["to_be_signed"]


def test_no_changed_bit_of_what_is_signed_in_the_published_message_passes() -> None:
    unsigned = range(GOOD.index(b"\xa1\x04\x42\x31\x31"), GOOD.index(b"\xa1\x04\x42\x31\x31") + 5)
    for at in range(len(GOOD)):
        for bit in range(8):
            if at in unsigned:
                continue
            changed = GOOD[:at] + bytes([GOOD[at] ^ 1 << bit]) + GOOD[at + 1 :]
            with pytest.raises(Refusal):
                verify_sign1(read_sign1(changed), PUBLISHED)


@pytest.mark.parametrize("hexed", VECTORS["other_algorithms"])
def test_published_messages_of_other_algorithms_and_curves_are_refused(hexed: str) -> None:
    with pytest.raises(NotTrusted, match=r"is not Ed25519|does not verify"):
        verify_sign1(read_sign1(bytes.fromhex(hexed)), PUBLISHED)


def test_another_library_verifies_what_is_signed_here() -> None:
    message = sign1(b"what is said", WRITER, header={3: "text/plain", 15: {1: "aster/CONTROL", 2: "lot LOT-1"}}).to_bytes()
    key = COSEKey.new({1: 1, 3: -8, -1: 6, -2: WRITER.verifying_key.public, 2: key_id(WRITER.verifying_key)})
    protected, _, payload = COSE.new().decode_with_headers(message, key)
    assert (payload, protected[15]) == (b"what is said", {1: "aster/CONTROL", 2: "lot LOT-1"})
    with pytest.raises(cwt.VerifyError):
        COSE.new().decode(message[:-1] + bytes([message[-1] ^ 1]), key)


def test_what_another_library_signs_verifies_here() -> None:
    key = COSEKey.new({1: 1, 3: -8, -1: 6, -2: WRITER.verifying_key.public, -4: WRITER.seed(), 2: b"one"})
    message = COSE.new().encode_and_sign(b"what is said", key, protected={1: -8, 3: "text/plain"})
    assert verify_sign1(read_sign1(message), WRITER.verifying_key) == b"what is said"


def test_a_detached_payload_is_signed_and_has_to_be_brought() -> None:
    message = read_sign1(sign1(b"root", WRITER, header={}, detached=True).to_bytes())
    assert (message.payload, verify_sign1(message, WRITER.verifying_key, payload=b"root")) == (None, b"root")
    for brought in (None, b"another"):
        with pytest.raises(NotTrusted):
            verify_sign1(message, WRITER.verifying_key, payload=brought)
    whole = sign1(b"root", WRITER, header={})
    with pytest.raises(NotTrusted, match="or both"):
        verify_sign1(whole, WRITER.verifying_key, payload=b"root")


def test_a_critical_parameter_a_missing_algorithm_and_another_key_are_refused() -> None:
    with pytest.raises(NotTrusted, match="critical"):
        verify_sign1(sign1(b"x", WRITER, header={2: [99], 99: 1}), WRITER.verifying_key)
    with pytest.raises(NotTrusted, match="is not Ed25519"):
        verify_sign1(Sign1(b"", b"x", bytes(64)), WRITER.verifying_key)
    with pytest.raises(NotTrusted, match="does not verify"):
        verify_sign1(sign1(b"x", WRITER, header={}), WITNESS.verifying_key)


@pytest.mark.parametrize(
    "parts",
    [
        [b"", {}, b"x"],
        [b"", {}, b"x", b"y", b"z"],
        [{}, {}, b"x", b"y"],
        [b"", [], b"x", b"y"],
        [b"", {}, "x", b"y"],
        [b"", {}, b"x", None],
        [encode([1]), {}, b"x", b"y"],
        [encode({4: b"a"}), {4: b"b"}, b"x", b"y"],
        [b"\xbf\xff", {}, b"x", b"y"],
    ],
)
def test_a_message_of_another_shape_is_refused(parts: list[Any]) -> None:
    with pytest.raises(NotValid):
        read_sign1(b"\xd2" + encode(parts))


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(-500, 500) | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(plain)
def test_what_is_written_is_read_here_and_by_another_library(value: Any) -> None:
    data = encode(value)
    assert cbor2.loads(data) == value
    assert decode(data) == value


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=60) | plain.map(encode).flatmap(lambda data: st.binary(max_size=3).map(lambda more: data[: len(data) // 2] + more)))
def test_any_bytes_are_read_or_refused_and_what_is_read_is_written_the_same(data: bytes) -> None:
    try:
        value = decode(data)
    except NotValid:
        return
    assert encode(value) == data


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(GOOD)), st.binary(max_size=4), st.integers(0, 6))
def test_any_message_is_read_or_refused(at: int, more: bytes, cut: int) -> None:
    with contextlib.suppress(Refusal):
        verify_sign1(read_sign1(GOOD[:at] + more + GOOD[at + cut :]), PUBLISHED)


def test_bombs_are_refused_at_once() -> None:
    for data in (
        b"\x81" * 100_000,
        b"\x9a\xff\xff\xff\xff",
        b"\xba\xff\xff\xff\xff",
        b"\x5a\xff\xff\xff\xff",
        b"\x9b" + b"\xff" * 8,
        bytes(2_000_000),
    ):
        with pytest.raises(NotValid):
            decode(data)
