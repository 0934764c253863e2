"""Signatures of people: what is signed, and every way in which one is not believed."""

import base64
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest
from house import DIRECTORY, NOW, of, person, signer
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.authority.people import Role
from isogenic.authority.rules import Act
from isogenic.authority.signatures import accept_signature, sign, statement, verify_signature
from isogenic.errors import NotAllowed, NotTrusted, NotValid
from isogenic.ids import PersonId
from isogenic.records import codec
from isogenic.records.signatures import Signature

DIGEST = sha256(b"the thing").hexdigest()


def frieda(**changes) -> Signature:
    given = {"role": Role.QUALIFIED_PERSON, "meaning": "released", "at": NOW, "digest": DIGEST} | changes
    return sign(signer("FRIEDA-VOSS"), of("FRIEDA-VOSS"), **given)


def test_the_signed_text_is_six_lines():
    assert statement(PersonId("FRIEDA-VOSS"), role="qualified_person", meaning="released", at=NOW, digest=DIGEST) == (
        b"isogenic-signature/1\nFRIEDA-VOSS\nqualified_person\nreleased\n2026-11-23T11:22:56.123Z\n" + DIGEST.encode() + b"\n"
    )


def test_a_signature_verifies_after_its_way_through_a_record():
    signature = frieda(at=NOW + timedelta(microseconds=700))
    back = codec.read(Signature, codec.loads(codec.dumps(codec.plain(signature))))
    assert back == signature
    verify_signature(back, DIRECTORY)


@pytest.mark.parametrize(
    "change",
    [
        {"role": "quality"},
        {"meaning": "rejected"},
        {"meaning": "released\nreleased"},
        {"at": NOW + timedelta(milliseconds=1)},
        {"digest": "0" * 64},
        {"digest": "short"},
        {"printed_name": "Somebody Else"},
        {"person": PersonId("INES-DUARTE")},
        {"person": PersonId("NOBODY")},
        {"key": str(signer("INES-DUARTE").verifying_key)},
        {"signature": "not base64"},
        {"signature": base64.b64encode(bytes(64)).decode()},
        {"signature": ""},
    ],
)
def test_a_signature_with_one_field_changed_is_not_trusted(change):
    with pytest.raises(NotTrusted):
        verify_signature(replace(frieda(), **change), DIRECTORY)


def test_a_role_that_a_person_gave_themselves_is_not_trusted():
    text = statement(PersonId("ANA-LIST"), role="quality", meaning="disposed", at=NOW, digest=DIGEST)
    made = base64.b64encode(signer("ANA-LIST").sign(text)).decode()
    ana = of("ANA-LIST")
    signature = Signature(ana.id, ana.printed_name, "quality", "disposed", NOW, DIGEST, ana.key, made)
    with pytest.raises(NotTrusted, match="'quality' is not a role of theirs on file"):
        verify_signature(signature, DIRECTORY)


def test_a_key_on_file_for_another_person_does_not_sign():
    with pytest.raises(NotTrusted, match="not the one on file"):
        sign(signer("INES-DUARTE"), of("FRIEDA-VOSS"), role=Role.QUALITY, meaning="released", at=NOW, digest=DIGEST)


def test_nobody_signs_in_a_role_that_is_not_theirs():
    with pytest.raises(NotValid, match="qualified person"):
        frieda(role=Role.OPERATOR)


@pytest.mark.parametrize("meaning", ["", "  ", "a\nb", "x" * 121, "e\u0301"])
def test_a_meaning_is_one_line_that_a_record_keeps_as_it_is(meaning):
    with pytest.raises(NotValid, match="meaning"):
        frieda(meaning=meaning)


def test_a_signature_does_the_act_it_was_made_for():
    assert accept_signature(frieda(), Act.RELEASE_LOT, digest=DIGEST, directory=DIRECTORY) == of("FRIEDA-VOSS")


def test_a_signature_does_no_other_act():
    with pytest.raises(NotTrusted, match="it means 'released', not 'rejected'"):
        accept_signature(frieda(), Act.REJECT_LOT, digest=DIGEST, directory=DIRECTORY)
    with pytest.raises(NotTrusted, match="changed since it was shown"):
        accept_signature(frieda(), Act.RELEASE_LOT, digest="0" * 64, directory=DIRECTORY)
    with pytest.raises(NotAllowed, match="sign as qualified person"):
        accept_signature(frieda(role=Role.QUALITY), Act.RELEASE_LOT, digest=DIGEST, directory=DIRECTORY)


def test_a_person_without_the_role_does_not_release_by_a_good_signature():
    ines = sign(signer("INES-DUARTE"), of("INES-DUARTE"), role=Role.QUALITY, meaning="released", at=NOW, digest=DIGEST)
    with pytest.raises(NotAllowed, match="it takes the role qualified person"):
        accept_signature(ines, Act.RELEASE_LOT, digest=DIGEST, directory=DIRECTORY)


def test_what_a_person_signed_stays_signed_after_they_left():
    gone = person("GONE-AWAY", Role.QUALIFIED_PERSON)
    verify_signature(sign(signer("GONE-AWAY"), gone, role=Role.QUALIFIED_PERSON, meaning="released", at=NOW, digest=DIGEST), DIRECTORY)


@settings(max_examples=100)
@given(st.fixed_dictionaries({name: st.text(max_size=90) for name in ("printed_name", "role", "meaning", "digest", "key", "signature")}))
def test_arbitrary_texts_in_a_signature_are_not_trusted_and_nothing_else(texts):
    with pytest.raises(NotTrusted):
        verify_signature(replace(frieda(), **texts), DIRECTORY)
