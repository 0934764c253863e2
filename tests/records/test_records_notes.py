"""Signed notes and checkpoints against the published forms; keys; cosignatures."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records_setup import ORIGIN, WITNESS, WRITER, signer

from isogenic.errors import NotTrusted, NotValid, Refusal
from isogenic.records.notes import (
    Checkpoint,
    Cosignature,
    Signer,
    VerifyingKey,
    cosign,
    open_checkpoint,
    open_note,
    sign_checkpoint,
    sign_note,
)

GO = json.loads((Path(__file__).parent.parent / "reference" / "signed_note.json").read_text())
CHECKPOINT = Checkpoint(ORIGIN, 42, bytes(range(32)))
NOTE = sign_checkpoint(CHECKPOINT, WRITER)


def test_published_key_and_note_verify() -> None:
    key = VerifyingKey.parse(GO["key"])
    assert key.name == "PeterNeumann"
    assert key.key_id.hex() == "c74f20a3"
    assert str(key) == GO["key"]
    assert open_note((GO["text"] + "\n" + GO["line"]).encode(), key) == GO["text"].encode()


def test_published_note_with_another_word_is_refused() -> None:
    note = (GO["text"].replace("problem", "trouble") + "\n" + GO["line"]).encode()
    with pytest.raises(NotTrusted, match="does not verify"):
        open_note(note, VerifyingKey.parse(GO["key"]))


def test_checkpoint_has_the_published_form() -> None:
    text, _, signatures = NOTE.partition(b"\n\n")
    assert text + b"\n" == f"{ORIGIN}\n42\n{base64.b64encode(bytes(range(32))).decode()}\n".encode()
    dash, name, blob = signatures.decode().removesuffix("\n").split(" ")
    assert (dash, name) == ("—", WRITER.name)
    assert base64.b64decode(blob)[:4] == WRITER.verifying_key.key_id
    assert len(base64.b64decode(blob)) == 4 + 64
    assert open_checkpoint(NOTE, WRITER.verifying_key) == (CHECKPOINT, ())


def test_cosignature_carries_its_time_and_signs_the_published_text() -> None:
    line = cosign(NOTE, witness=WITNESS, time=1_795_432_976)
    blob = base64.b64decode(line.decode().split(" ")[2])
    assert blob[:4] == WITNESS.verifying_key.key_id
    assert int.from_bytes(blob[4:12], "big") == 1_795_432_976
    WITNESS.verifying_key.verify(blob[12:], b"cosignature/v1\ntime 1795432976\n" + CHECKPOINT.text())
    checkpoint, cosignatures = open_checkpoint(NOTE + line, WRITER.verifying_key, witnesses=(WITNESS.verifying_key,))
    assert (checkpoint, cosignatures) == (CHECKPOINT, (Cosignature(WITNESS.name, 1_795_432_976),))


def test_cosignature_of_another_checkpoint_is_refused() -> None:
    other = sign_checkpoint(Checkpoint(ORIGIN, 43, bytes(32)), WRITER)
    with pytest.raises(NotTrusted, match="does not verify"):
        open_checkpoint(NOTE + cosign(other, witness=WITNESS, time=1), WRITER.verifying_key, witnesses=(WITNESS.verifying_key,))


def test_unknown_signatures_are_passed_over() -> None:
    note = NOTE + cosign(NOTE, witness=signer("example.org/stranger", algorithm=4), time=7)
    assert open_checkpoint(note, WRITER.verifying_key) == (CHECKPOINT, ())


def test_checkpoint_signed_by_somebody_else_is_refused() -> None:
    with pytest.raises(NotTrusted, match=r"not signed by example\.org/leeds"):
        open_checkpoint(sign_checkpoint(CHECKPOINT, signer("example.org/ghent")), WRITER.verifying_key)
    impostor = Signer.generate(WRITER.name)
    with pytest.raises(NotTrusted):
        open_checkpoint(sign_checkpoint(CHECKPOINT, impostor), WRITER.verifying_key)


@pytest.mark.parametrize("at", range(len(NOTE)))
def test_any_changed_byte_of_a_checkpoint_is_refused(at: int) -> None:
    for bit in (0x01, 0x20):
        changed = NOTE[:at] + bytes([NOTE[at] ^ bit]) + NOTE[at + 1 :]
        with pytest.raises(Refusal):
            open_checkpoint(changed, WRITER.verifying_key)


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\n\n",
        NOTE[:-1],
        NOTE.replace(b"\n\n", b"\n"),
        NOTE.replace(b"42", b"042"),
        NOTE + b"\n",
        NOTE.replace("— ".encode(), "— \x0b".encode()),
        b"a\tb" + NOTE,
        NOTE + NOTE.split(b"\n\n")[1] * 16,
        b"x" * 1_000_001,
    ],
)
def test_malformed_notes_are_refused(note: bytes) -> None:
    with pytest.raises(Refusal):
        open_checkpoint(note, WRITER.verifying_key)


def test_checkpoint_text_must_be_origin_size_and_root() -> None:
    for text in (b"a\n1\n", b"a\n-1\nAAAA\n", b"a\n1\nAAAA\n", b"\n1\n" + base64.b64encode(bytes(32)) + b"\n"):
        with pytest.raises(NotValid, match="checkpoint"):
            open_checkpoint(sign_note(text, WRITER), WRITER.verifying_key)


def test_key_text_reads_back_and_its_hash_is_checked() -> None:
    key = WITNESS.verifying_key
    assert VerifyingKey.parse(str(key)) == key
    with pytest.raises(NotValid, match="hash does not match"):
        VerifyingKey.parse(str(key).replace("example.org/control+", "example.org/contrOl+"))
    for text in ("", "a", "a+b", "a+00000000+AAAA", "ä+00000000+" + str(key).split("+", 2)[2], str(key)[:-4]):
        with pytest.raises(NotValid):
            VerifyingKey.parse(text)


def test_base64_with_spare_bits_is_refused() -> None:
    head, _, last = GO["line"].partition("AM=")
    assert last == "\n"
    with pytest.raises(NotValid, match="base64"):
        open_note((GO["text"] + "\n" + head + "AN=\n").encode(), VerifyingKey.parse(GO["key"]))


def test_key_file_reads_back_and_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "leeds.key"
    WRITER.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Signer.load(path).verifying_key == WRITER.verifying_key
    path.write_text("nonsense")
    with pytest.raises(NotValid):
        Signer.load(path)
    with pytest.raises(NotValid):
        Signer.load(tmp_path / "none.key")


@given(
    st.one_of(
        st.binary(max_size=300), st.binary(max_size=60).map(lambda tail: NOTE + tail), st.binary(max_size=60).map(lambda tail: NOTE[:-20] + tail)
    )
)
@settings(max_examples=100, deadline=None)
def test_open_checkpoint_of_any_bytes_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(Refusal):
        open_checkpoint(data, WRITER.verifying_key, witnesses=(WITNESS.verifying_key,))


@given(st.one_of(st.text(max_size=100), st.text(max_size=40).map(lambda tail: str(WRITER.verifying_key) + tail)))
@settings(max_examples=100, deadline=None)
def test_key_of_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(Refusal):
        VerifyingKey.parse(text)
