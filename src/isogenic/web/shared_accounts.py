"""Accounts of a control site that several processes serve: wrong passwords in a row are counted for all of them together.

Guarantees: a guess counts wherever it is made, also two at once at two processes; a lock
that stands at one stands at all, and outlives every process. The accounts themselves are
files in a folder that all processes reach.
Leaves to others: what a count means (authority), sessions: each lives in the process where its person signed in.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from isogenic.authority.accounts import Attempts
from isogenic.clock import text_of_time, time_of_text
from isogenic.ids import PersonId
from isogenic.records.database import Database
from isogenic.web.signin import NAMES_MAX, AccountFolder, At

__all__ = ["SharedAccounts"]

_KEEP = (
    "INSERT INTO attempts VALUES (%s, %s, %s, %s) ON CONFLICT (name) "
    "DO UPDATE SET failures = excluded.failures, locked_until = excluded.locked_until, tried = excluded.tried"
)
# Names without an account push out one another, oldest first, never a lock that stands.
_FORGET = (
    "DELETE FROM attempts WHERE name IN (SELECT name FROM attempts WHERE split_part(name, '/', 1) <> ALL(%s) "
    "AND (locked_until IS NULL OR locked_until < %s) ORDER BY tried DESC OFFSET %s)"
)


class SharedAccounts(AccountFolder):
    """The accounts of one node in a folder, and the wrong passwords in the database of its processes."""

    def __init__(self, folder: Path, database: Database) -> None:
        super().__init__(folder)
        self._database = database

    def attempts(self, person: PersonId, at: At = At.DOOR) -> Attempts:
        rows = self._database.rows("SELECT failures, locked_until FROM attempts WHERE name = %s", (_name(person, at),))
        return Attempts(int(rows[0][0]), time_of_text(rows[0][1]) if rows[0][1] else None) if rows else Attempts()

    def keep(self, person: PersonId, attempts: Attempts, at: At = At.DOOR, *, now: datetime) -> None:
        name = _name(person, at)
        if not attempts.failures:
            self._database.do("DELETE FROM attempts WHERE name = %s", (name,))
            return
        with self._database.transaction("the wrong password could not be counted") as connection:
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 2))", (name,))
            counted = self.attempts(person, at).after_failure(now)  # another process may have counted one since this one looked
            until = text_of_time(counted.locked_until) if counted.locked_until else None
            connection.execute(_KEEP, (name, counted.failures, until, text_of_time(now)))
            connection.execute(_FORGET, ([str(each) for each in self.everybody()], text_of_time(now), NAMES_MAX))


def _name(person: PersonId, at: At) -> str:
    return str(person) if at is At.DOOR else f"{person}/{at}"
