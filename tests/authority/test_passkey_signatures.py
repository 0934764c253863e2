"""Signatures by passkey: what verifies from the record alone, and everything that must not."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest
from house import DIRECTORY, NOW, of, signer
from hypothesis import given, settings
from hypothesis import strategies as st

from authenticator import PRESENT, Authenticator, b64url
from isogenic.authority.entitlements import EntitlementEnded, EntitlementGranted, entitlement_digest
from isogenic.authority.identities import (
    KeyReplaced,
    PasskeyEnrolled,
    PasskeyRemoved,
    PersonDisabled,
    PersonEnabled,
    check_no_identity_is_reused,
    follow,
)
from isogenic.authority.passkeys import Assertion, host_of, is_within, passkey_digest, verify_evidence
from isogenic.authority.people import Directory, DirectoryPublished, FormerKey, Passkey, Role
from isogenic.authority.rules import Act
from isogenic.authority.signatures import (
    MEANINGS,
    Intent,
    PasskeyPen,
    accept_signature,
    check_every_signature,
    passkey_statement,
    sign,
    verify_signature,
)
from isogenic.checks import stops
from isogenic.clock import Moment
from isogenic.errors import NotAllowed, NotTrusted, NotValid
from isogenic.ids import NodeId, PersonId
from isogenic.quality.signed import check_signed_facts
from isogenic.records import codec
from isogenic.records.facts import Actor, FactRef, decode_fact, encode_fact
from isogenic.records.signatures import PASSKEY, PasskeyEvidence, Signature

DIGEST = "ab" * 32
NONCE = "0c" * 16
FRIEDA = of("FRIEDA-VOSS")


def passkey_of(device: Authenticator) -> Passkey:
    return Passkey(device.id, device.public(), device.domain, "Blue key")


def enrolled(device: Authenticator) -> PasskeyEnrolled:
    passkey = passkey_of(device)
    made = sign(signer("FRIEDA-VOSS"), FRIEDA, role=Role.QUALITY, meaning="enrolled", at=NOW, digest=passkey_digest(FRIEDA.id, passkey))
    return PasskeyEnrolled(FRIEDA.id, passkey, made)


def with_passkey(device: Authenticator) -> Directory:
    after = follow(DIRECTORY, enrolled(device))
    assert after is not None
    return after


def signed_by(device: Authenticator, *, digest: str = DIGEST, meaning: str = "released", over: str | None = None) -> Signature:
    """`over`: what the authenticator is really asked to sign."""
    asked = Intent(FRIEDA.id, FRIEDA.printed_name, "qualified_person", meaning, NOW, digest)
    text = passkey_statement(FRIEDA.id, role=asked.role, meaning=meaning, at=NOW, digest=over or digest, nonce=NONCE)
    data, client, answer = (base64.b64encode(each).decode() for each in device.answer(sha256(text).digest()))
    evidence = PasskeyEvidence(device.id, data, client, NONCE)
    pen = PasskeyPen(asked, passkey_of(device), evidence, answer)
    return sign(pen, FRIEDA, role=Role.QUALIFIED_PERSON, meaning=meaning, at=NOW + timedelta(seconds=20), digest=digest)


@pytest.mark.parametrize("kind", ["p256", "ed25519", "rsa"])
def test_a_passkey_signs_and_anybody_with_the_directory_can_verify_it(kind: str) -> None:
    device = Authenticator(kind=kind)
    signature = signed_by(device)
    verify_signature(signature, with_passkey(device))
    assert (signature.method, signature.at, signature.key) == (PASSKEY, NOW, FRIEDA.key)
    assert accept_signature(signature, Act.RELEASE_LOT, digest=DIGEST, directory=with_passkey(device)).id == FRIEDA.id


def test_a_signature_of_before_passkeys_reads_as_one_by_password() -> None:
    old = {"person": "BEN", "printed_name": "B", "role": "quality", "meaning": "disposed", "at": "2026-11-23T11:22:56.123Z"}
    read = codec.read(Signature, {**old, "digest": DIGEST, "key": "k", "signature": "AA=="}, what="signature")
    assert (read.method, read.evidence) == ("password", None)


def test_what_is_signed_is_bound_to_the_digest() -> None:
    device = Authenticator()
    with pytest.raises(NotTrusted, match="it answered another challenge"):
        verify_signature(signed_by(device, over="cd" * 32), with_passkey(device))


def test_a_pen_makes_no_signature_for_something_else_than_was_shown() -> None:
    asked = Intent(FRIEDA.id, FRIEDA.printed_name, "qualified_person", "released", NOW, DIGEST)
    pen = PasskeyPen(asked, passkey_of(Authenticator()), PasskeyEvidence("c", "", "", NONCE), "")
    with pytest.raises(NotAllowed, match="has changed since it was shown"):
        sign(pen, FRIEDA, role=Role.QUALIFIED_PERSON, meaning="released", at=NOW, digest="cd" * 32)


CHANGES: dict[str, Callable[[Signature], Signature]] = {
    "time": lambda each: replace(each, at=NOW + timedelta(milliseconds=1)),
    "meaning": lambda each: replace(each, meaning="rejected"),
    "role": lambda each: replace(each, role="quality"),
    "digest": lambda each: replace(each, digest="cd" * 32),
    "person": lambda each: replace(each, person=PersonId("INES-DUARTE"), printed_name="Ines Duarte", role="quality", key=of("INES-DUARTE").key),
    "printed name": lambda each: replace(each, printed_name="Somebody Else"),
    "method": lambda each: replace(each, method="password"),
    "unknown method": lambda each: replace(each, method="fingerprint"),
    "no evidence": lambda each: replace(each, evidence=None),
    "nonce": lambda each: replace(each, evidence=replace(each.evidence, nonce="0d" * 16)),
    "malformed nonce": lambda each: replace(each, evidence=replace(each.evidence, nonce="zz")),
    "credential": lambda each: replace(each, evidence=replace(each.evidence, credential="Y3JlZGVudGlhbC1vZi1hLXRlc3QtMDAwMg")),
    "client data": lambda each: replace(each, evidence=replace(each.evidence, client_data=base64.b64encode(b"[1]").decode())),
    "no base64": lambda each: replace(each, signature="*"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_signature_is_refused(what: str) -> None:
    device = Authenticator()
    with pytest.raises(NotTrusted):
        verify_signature(CHANGES[what](signed_by(device)), with_passkey(device))


@pytest.mark.parametrize(
    "device",
    [
        Authenticator(origin="https://evil.example"),
        Authenticator(origin="http://localhost.evil.example"),
        Authenticator(origin="https://user@localhost"),
        Authenticator(flags=PRESENT),
        Authenticator(flags=0),
    ],
    ids=["origin", "origin that begins alike", "origin with a user", "not verified", "not present"],
)
def test_another_page_or_an_unverified_person_is_refused(device: Authenticator) -> None:
    with pytest.raises(NotTrusted):
        verify_signature(signed_by(device), with_passkey(device))


def test_another_domain_in_the_authenticator_is_refused() -> None:
    device, elsewhere = Authenticator(), Authenticator(domain="evil.example")
    elsewhere.origin = device.origin
    with pytest.raises(NotTrusted, match="asked by another domain"):
        verify_signature(signed_by(elsewhere), with_passkey(device))


@given(st.integers(0, 2), st.integers(0, 2_000), st.integers(1, 255))
@settings(max_examples=100, deadline=None)
def test_no_changed_bit_of_the_evidence_verifies(part: int, at: int, flip: int) -> None:
    device = Authenticator()
    text = passkey_statement(FRIEDA.id, role="quality", meaning="released", at=NOW, digest=DIGEST, nonce=NONCE)
    parts = [bytearray(each) for each in device.answer(sha256(text).digest())]
    parts[part][at % len(parts[part])] ^= flip
    data, client, answer = (base64.b64encode(each).decode() for each in parts)
    with pytest.raises(NotTrusted):
        verify_evidence(passkey_of(device), PasskeyEvidence(device.id, data, client, NONCE), signature=answer, challenge=sha256(text).digest())


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_whatever_evidence_says_it_is_refused_and_nothing_else_happens(data: str, client: str, answer: str) -> None:
    device = Authenticator()
    with pytest.raises(NotTrusted):
        verify_evidence(passkey_of(device), PasskeyEvidence(device.id, data, client, NONCE), signature=answer, challenge=b"x" * 32)


def test_client_data_that_spell_the_challenge_twice_count_once() -> None:
    device, challenge = Authenticator(), b"x" * 32
    data = device.data()
    client = json.dumps({"type": "webauthn.get", "challenge": b64url(challenge) + "=", "origin": device.origin}).encode()
    answer = device.sign(data + sha256(client).digest())
    evidence = PasskeyEvidence(device.id, base64.b64encode(data).decode(), base64.b64encode(client).decode(), NONCE)
    with pytest.raises(NotTrusted, match="another challenge"):
        verify_evidence(passkey_of(device), evidence, signature=base64.b64encode(answer).decode(), challenge=challenge)


def test_the_counter_and_the_page_are_told() -> None:
    device, challenge = Authenticator(counter=6), b"x" * 32
    data, client, answer = (base64.b64encode(each).decode() for each in device.answer(challenge))
    told = verify_evidence(passkey_of(device), PasskeyEvidence(device.id, data, client, NONCE), signature=answer, challenge=challenge)
    assert told == Assertion(7, "http://localhost")


def test_hosts_of_pages_that_may_use_passkeys() -> None:
    origins = (
        "https://qa.example.org:8443",
        "http://localhost:5000",
        "http://example.org",
        "https://a@b",
        "https://x/y",
        "javascript:1",
        "https://[",
    )
    assert [host_of(each) for each in origins] == ["qa.example.org", "localhost", "", "", "", "", ""]
    assert [is_within(each, "example.org") for each in ("example.org", "leeds.example.org", "notexample.org")] == [True, True, False]


# ---- enrolled, removed, replaced ----


def facts_of(*payloads: object, ledger: str = "net/CONTROL/LEEDS") -> list:
    encoded = [encode_fact(each, ref=FactRef(ledger, at), actor=Actor("FRIEDA-VOSS"), moment=Moment(NOW)) for at, each in enumerate(payloads)]
    return [decode_fact(each) for each in encoded]


def test_a_stranger_follows_enrolment_and_signature_through_the_ledger() -> None:
    facts = facts_of(DirectoryPublished(NodeId("CONTROL"), DIRECTORY), enrolled(Authenticator()))
    assert [note.text for note in check_every_signature(facts)] == ["1 signatures of people verify"]
    assert stops(check_signed_facts(facts)) == []


def test_a_passkey_that_the_control_site_gave_somebody_is_found_out() -> None:
    """Enrolled without the person: another person's signature, or one over another passkey."""
    mine, theirs = Authenticator(), Authenticator(credential=b"credential-of-a-test-0002")
    ines = of("INES-DUARTE")
    made = sign(signer("INES-DUARTE"), ines, role=Role.QUALITY, meaning="enrolled", at=NOW, digest=passkey_digest(FRIEDA.id, passkey_of(mine)))
    for forged in (PasskeyEnrolled(FRIEDA.id, passkey_of(mine), made), replace(enrolled(mine), passkey=passkey_of(theirs))):
        facts = facts_of(DirectoryPublished(NodeId("CONTROL"), DIRECTORY), forged)
        assert stops([*check_every_signature(facts), *check_signed_facts(facts)]) != []


@pytest.mark.parametrize(("change", "good"), [({}, True), ({"why": "other"}, False), ({"party": "sponsor OTHER"}, False)])
def test_a_signed_entitlement_says_what_was_signed(change: dict[str, str], good: bool) -> None:
    said = {"ledger": "net/LEEDS/ACME", "party": "sponsor ACME", "why": "contract 7"}
    grants, ends = entitlement_digest("grant", **said, since=NOW), entitlement_digest("end", **said)
    by = [sign(signer("FRIEDA-VOSS"), FRIEDA, role=Role.QUALITY, meaning="entitlement decided", at=NOW, digest=each) for each in (grants, ends)]
    granted, ended = EntitlementGranted(**said | change, since=NOW, signature=by[0]), EntitlementEnded(**said | change, signature=by[1])
    facts = facts_of(DirectoryPublished(NodeId("CONTROL"), DIRECTORY), granted, ended)
    assert stops(check_every_signature(facts)) == []
    assert len(stops(check_signed_facts(facts))) == (0 if good else 2)


def test_a_removed_passkey_verifies_what_it_signed_before_and_signs_nothing_now() -> None:
    device = Authenticator()
    signature = signed_by(device)
    after = follow(with_passkey(device), PasskeyRemoved(FRIEDA.id, device.id, NOW + timedelta(hours=1), "lost"))
    verify_signature(signature, after)
    with pytest.raises(NotTrusted, match="no longer in use"):
        accept_signature(signature, Act.RELEASE_LOT, digest=DIGEST, directory=after)
    before = follow(with_passkey(device), PasskeyRemoved(FRIEDA.id, device.id, NOW - timedelta(hours=1), "lost"))
    with pytest.raises(NotTrusted, match="its passkey was removed"):
        verify_signature(signature, before)


def test_a_replaced_key_verifies_what_it_signed_before_and_nothing_after() -> None:
    early = sign(signer("FRIEDA-VOSS"), FRIEDA, role=Role.QUALITY, meaning="disposed", at=NOW, digest=DIGEST)
    late = sign(signer("FRIEDA-VOSS"), FRIEDA, role=Role.QUALITY, meaning="disposed", at=NOW + timedelta(days=2), digest=DIGEST)
    new = str(signer("FRIEDA-VOSS-2").verifying_key)
    after = follow(DIRECTORY, KeyReplaced(FRIEDA.id, FormerKey(FRIEDA.key, NOW + timedelta(days=1)), new, "stolen"))
    verify_signature(early, after)
    with pytest.raises(NotTrusted, match="not the one on file"):
        verify_signature(late, after)
    with pytest.raises(NotTrusted, match="no longer in use"):
        accept_signature(early, Act.DISPOSE_DEVIATION, digest=DIGEST, directory=after)


def test_a_late_signature_with_a_stolen_key_is_refused_although_an_older_directory_bears_it_out() -> None:
    until = NOW + timedelta(days=1)
    replaced = KeyReplaced(FRIEDA.id, FormerKey(FRIEDA.key, until), str(signer("FRIEDA-VOSS-2").verifying_key), "stolen")
    device = Authenticator()
    for late in (until - timedelta(hours=1), until + timedelta(hours=1)):
        stolen = replace(enrolled(device), signature=replace(enrolled(device).signature))
        made = sign(
            signer("FRIEDA-VOSS"), FRIEDA, role=Role.QUALITY, meaning="enrolled", at=late, digest=passkey_digest(FRIEDA.id, passkey_of(device))
        )
        facts = facts_of(DirectoryPublished(NodeId("CONTROL"), DIRECTORY), replaced, replace(stolen, signature=made))
        assert bool(stops(check_every_signature(facts))) == (late > until)


def test_what_people_gained_between_two_directories_is_carried_over() -> None:
    device = Authenticator()
    new = str(signer("FRIEDA-VOSS-2").verifying_key)
    now = with_passkey(device)
    for change in (KeyReplaced(FRIEDA.id, FormerKey(FRIEDA.key, NOW), new, "lost"), PersonDisabled(PersonId("INES-DUARTE"), "left in anger")):
        now = follow(now, change)
    again = follow(now, DirectoryPublished(NodeId("CONTROL"), replace(DIRECTORY, version=2)))
    frieda = again.people[FRIEDA.id]
    assert (again.version, frieda.key, [each.id for each in frieda.passkeys]) == (2, new, [device.id])
    assert again.people[PersonId("INES-DUARTE")].disabled == "left in anger"
    assert follow(again, PersonEnabled(PersonId("INES-DUARTE"), "settled")).people[PersonId("INES-DUARTE")].may_enter


def test_a_credential_is_never_given_to_a_second_person() -> None:
    device = Authenticator()
    ines = of("INES-DUARTE")
    made = sign(signer("INES-DUARTE"), ines, role=Role.QUALITY, meaning="enrolled", at=NOW, digest=passkey_digest(ines.id, passkey_of(device)))
    before = with_passkey(device)
    assert follow(before, PasskeyEnrolled(ines.id, passkey_of(device), made)) is before


# ---- identities are never reused ----


def test_an_id_or_a_key_is_never_given_to_somebody_else() -> None:
    ana = of("ANA-LIST")
    other = replace(ana, printed_name="Anders List", key=str(signer("ANDERS").verifying_key))
    reused = replace(DIRECTORY, people={**DIRECTORY.people, ana.id: other})
    assert [note.text.partition(":")[0] for note in stops(check_no_identity_is_reused([DIRECTORY], reused))] == [
        "ANA-LIST was Ana List's, whose key is " + ana.key[:40],
        "ANA-LIST was Ana List's",
    ]
    gone = {id_: each for id_, each in DIRECTORY.people.items() if id_ != ana.id}
    newcomer = replace(ana, id=PersonId("NEW-COMER"), printed_name="New Comer")
    passed_on = replace(DIRECTORY, people={**gone, newcomer.id: newcomer})
    assert [note.text for note in stops(check_no_identity_is_reused([DIRECTORY], passed_on))] == [
        f"key {ana.key[:40]} was ANA-LIST's, and is given to NEW-COMER",
        "ANA-LIST (Ana List) was on file and is left out: who leaves becomes inactive",
    ]


def test_a_person_may_change_their_name_and_leave() -> None:
    ana = of("ANA-LIST")
    changed = replace(ana, printed_name="Ana Berg", former_names=("Ana List",), active=False)
    after = replace(DIRECTORY, people={**DIRECTORY.people, ana.id: changed})
    assert stops(check_no_identity_is_reused([DIRECTORY], after)) == []
    made = sign(signer("ANA-LIST"), ana, role=Role.ANALYST, meaning="approved", at=NOW, digest=DIGEST)
    verify_signature(made, after)


@pytest.mark.parametrize(
    "change",
    [{"id": "short"}, {"id": "*" * 20}, {"key": "not base64"}, {"key": "A" * 4_000}, {"domain": "Not A Host"}, {"title": " "}, {"title": "x" * 81}],
)
def test_a_malformed_passkey_is_not_put_on_file(change: dict[str, str]) -> None:
    with pytest.raises(NotValid):
        replace(passkey_of(Authenticator()), **change)


def test_every_act_that_is_signed_has_a_meaning_of_its_own() -> None:
    assert len(set(MEANINGS.values())) == len(MEANINGS)
