"""Accounts: the password opens the key, and nothing else does."""

import secrets
from dataclasses import replace
from datetime import timedelta

import pytest
from house import CHEAP, NOW, signer
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.authority.accounts import (
    LOCK_AFTER,
    LOCK_FOR,
    SAFE,
    Attempts,
    Cost,
    check_not_locked,
    check_sign_in,
    new_account,
    open_account,
    password_notes,
    read_account,
    text_of_account,
)
from isogenic.errors import NotAllowed, NotTrusted, NotValid
from isogenic.ids import PersonId

FRIEDA = PersonId("FRIEDA-VOSS")
PASSWORD = "meadow orchid harbour ß"
ACCOUNT = new_account(FRIEDA, PASSWORD, signer("FRIEDA-VOSS"), entropy=secrets.token_bytes, cost=CHEAP)
TEXT = text_of_account(ACCOUNT)


def test_the_password_opens_the_key():
    check_sign_in(ACCOUNT, PASSWORD)
    assert open_account(ACCOUNT, PASSWORD).verifying_key == signer("FRIEDA-VOSS").verifying_key


def test_the_same_password_typed_decomposed_opens_the_key():
    account = new_account(FRIEDA, "größere Fährten im Moor", signer("FRIEDA-VOSS"), entropy=secrets.token_bytes, cost=CHEAP)
    decomposed = "gro\u0308ßere Fa\u0308hrten im Moor"
    check_sign_in(account, decomposed)
    open_account(account, decomposed)


@pytest.mark.parametrize("password", ["", "meadow orchid harbour", PASSWORD + " ", PASSWORD.upper(), "x" * 500, "\ud800" * 20])
def test_another_password_opens_nothing(password):
    with pytest.raises(NotTrusted, match="the person or the password is wrong"):
        check_sign_in(ACCOUNT, password)
    with pytest.raises(NotTrusted, match="the person or the password is wrong"):
        open_account(ACCOUNT, password)


def test_the_box_of_another_person_is_not_opened():
    with pytest.raises(NotTrusted):
        open_account(replace(ACCOUNT, person=PersonId("INES-DUARTE")), PASSWORD)
    with pytest.raises(NotTrusted):
        open_account(replace(ACCOUNT, sealed_key=replace(ACCOUNT.sealed_key, key=str(signer("INES-DUARTE").verifying_key))), PASSWORD)


def test_the_private_key_is_not_in_the_text():
    assert signer("FRIEDA-VOSS").seed().hex().encode() not in TEXT
    assert PASSWORD.encode() not in TEXT


def test_an_account_reads_back_equal():
    assert read_account(TEXT) == ACCOUNT


def test_the_safe_cost_is_the_second_recommended_of_rfc_9106():
    assert Cost(time=3, memory_kib=64 * 1024, lanes=4) == SAFE


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "15 to 128 characters; this one has 5"),
        ("x" * 129, "this one has 129"),
        ("aaaaaaaabbbbbbbb", "6 different characters"),
        ("I am frieda-voss of Ghent", "does not contain the person's id"),
        ("meadow\torchid\tharbour", "seen and typed"),
    ],
)
def test_a_weak_password_is_refused_with_its_reason(password, why):
    assert why in password_notes(password, FRIEDA)[0].text
    with pytest.raises(NotValid, match="cannot use this password"):
        new_account(FRIEDA, password, signer("FRIEDA-VOSS"), entropy=secrets.token_bytes, cost=CHEAP)


def test_five_wrong_passwords_lock_the_account_for_a_while():
    attempts = Attempts()
    for _ in range(LOCK_AFTER - 1):
        attempts = attempts.after_failure(NOW)
        check_not_locked(attempts, NOW)
    attempts = attempts.after_failure(NOW)
    with pytest.raises(NotAllowed, match=r"5 wrong passwords in a row; possible now: try again after 2026-11-23T11:37"):
        check_not_locked(attempts, NOW + LOCK_FOR - timedelta(seconds=1))
    check_not_locked(attempts, NOW + LOCK_FOR)


def test_a_lock_that_ran_out_leaves_five_more_attempts_then_locks_again():
    attempts = Attempts(LOCK_AFTER, NOW)
    later = NOW + timedelta(hours=1)
    for _ in range(LOCK_AFTER - 1):
        attempts = attempts.after_failure(later)
        check_not_locked(attempts, later)
    with pytest.raises(NotAllowed, match="10 wrong passwords"):
        check_not_locked(attempts.after_failure(later), later)


@pytest.mark.parametrize("cost", [(0, 64, 1), (1, 7, 1), (1, 2**21, 1), (17, 64, 1), (1, 64, 17), (1, 64, 16)])
def test_a_cost_that_no_machine_should_bear_is_refused(cost):
    with pytest.raises(NotValid, match="cannot use argon2id"):
        Cost(*cost)


def test_a_planted_hash_that_would_exhaust_the_machine_is_refused():
    with pytest.raises(NotValid):
        read_account(TEXT.replace(b"m=8,", b"m=99999999,"))
    with pytest.raises(NotValid):
        read_account(TEXT.replace(b"$argon2id$", b"$argon2d$"))


@settings(max_examples=100)
@given(st.data())
def test_one_byte_changed_is_refused_or_opens_nothing(data):
    at = data.draw(st.integers(0, len(TEXT) - 2))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != TEXT[at]))
    try:
        account = read_account(TEXT[:at] + bytes([byte]) + TEXT[at + 1 :])
        check_sign_in(account, PASSWORD)
        opened = open_account(account, PASSWORD)
    except (NotValid, NotTrusted):
        return
    assert opened.seed() == signer("FRIEDA-VOSS").seed()  # the change was in what does not count, as base64's unused bits


@settings(max_examples=100)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_no_account(data):
    with pytest.raises(NotValid):
        read_account(data)
