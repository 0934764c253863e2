"""Wrong passwords at several processes of one control site count together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import postgres_here
from isogenic.authority.accounts import LOCK_AFTER, LOCK_FOR, Attempts, check_not_locked
from isogenic.errors import NotAllowed
from isogenic.ids import PersonId
from isogenic.records.database import Database
from isogenic.web.shared_accounts import SharedAccounts
from isogenic.web.signin import NAMES_MAX, AccountFolder, At

NOW = datetime(2026, 3, 2, 6, tzinfo=UTC)
ADA, BEN = PersonId("ADA"), PersonId("BEN")


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[SharedAccounts, SharedAccounts]]:
    """Two processes' accounts."""
    url = postgres_here.place()
    databases = [Database(url), Database(url)]
    yield SharedAccounts(tmp_path, databases[0]), SharedAccounts(tmp_path, databases[1])
    for each in databases:
        each.close()


def wrong(accounts: AccountFolder, person: PersonId, *, now: datetime = NOW, at: At = At.DOOR) -> None:
    accounts.keep(person, accounts.attempts(person, at).after_failure(now), at, now=now)


def test_guesses_at_two_processes_lock_the_account_at_both_and_outlive_them(two: tuple[SharedAccounts, SharedAccounts]) -> None:
    one, other = two
    for guess in range(LOCK_AFTER):
        check_not_locked(other.attempts(ADA), NOW)
        wrong(two[guess % 2], ADA)
    for each in (one, other, SharedAccounts(one.folder, one._database)):
        assert each.attempts(ADA) == Attempts(LOCK_AFTER, NOW + LOCK_FOR)
        with pytest.raises(NotAllowed):
            check_not_locked(each.attempts(ADA), NOW + timedelta(seconds=1))
    assert (other.attempts(BEN), other.attempts(ADA, At.SIGNING)) == (Attempts(), Attempts())
    other.keep(ADA, Attempts(), now=NOW)
    assert one.attempts(ADA) == Attempts()


def test_two_guesses_at_once_count_as_two(two: tuple[SharedAccounts, SharedAccounts]) -> None:
    seen = [each.attempts(ADA) for each in two]  # both looked before either has counted
    guesses = [
        threading.Thread(target=each.keep, args=(ADA, before.after_failure(NOW)), kwargs={"now": NOW}) for each, before in zip(two, seen, strict=True)
    ]
    for guess in guesses:
        guess.start()
    for guess in guesses:
        guess.join()
    assert two[0].attempts(ADA).failures == 2


def test_names_that_nobody_has_push_out_one_another_and_no_persons_count(two: tuple[SharedAccounts, SharedAccounts]) -> None:
    one, _ = two
    (one.folder / "ADA.json").write_text("{}")
    wrong(one, ADA)
    one._database.do(
        "INSERT INTO attempts SELECT 'NOBODY-' || n, 1, NULL, '2026-03-01T00:00:' || lpad((n %% 60)::text, 2, '0') FROM generate_series(1, %s) n",
        (NAMES_MAX + 50,),
    )
    wrong(one, PersonId("NEWEST"), now=NOW + timedelta(seconds=1))
    assert one._database.rows("SELECT count(*)::int FROM attempts") == [(NAMES_MAX + 1,)]
    assert (one.attempts(ADA).failures, one.attempts(PersonId("NEWEST")).failures) == (1, 1)
