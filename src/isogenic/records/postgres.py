"""Ledgers in PostgreSQL, where one machine is outgrown: several processes keep and read the same ones.

Guarantees: what SQLite's store promises, and that several processes may append: whoever holds
`exclusive` is the only writer of that ledger, and sees its newest head. Bodies, checkpoint and
receipt go in one transaction, acknowledged after the database's fsync; triggers refuse to
change, delete or truncate what was written. Where the line breaks in the middle of a commit,
nobody knows whether it was done: the store connects anew, waits for the old connection's end,
and reads what is there.
Leaves to others: what the bytes say; the connection and the database's settings (database);
that the database's machine does not lose what it acknowledged (a synchronous standby).

Bodies go in by COPY: a page of 512 is one message.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import sleep
from typing import Any

from isogenic.clock import monotonic_seconds
from isogenic.errors import NotReachable
from isogenic.records.database import Database
from isogenic.records.merkle import Frontier
from isogenic.records.store import Commit, Head

__all__ = ["PostgresStore", "ledger_sizes"]

_COPY = "COPY log (ledger, pos, body) FROM STDIN (FORMAT BINARY)"
_COPY_HEAD, _COPY_END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
_ROW = struct.Struct(">hiiiqi")  # three fields; ledger: 4 bytes; position: 8 bytes; length of the body
_KEEP_RECEIPT = "INSERT INTO receipt VALUES (%s, %s, %s) ON CONFLICT (ledger, size) DO UPDATE SET note = excluded.note"
OUTCOME_S = 15.0  # how long a commit of unknown outcome is looked after: a failover to a standby takes some seconds
OUTCOME_PAUSE_S = 0.2
DAMAGED = "a row is not of the form that was written"


class PostgresStore:
    """One ledger in a database that other processes use, too."""

    shared = True

    def __init__(self, database: Database, *, origin: str) -> None:
        """Open or create, in a database whose layout is up to date (`migrate`)."""
        self.origin, self.database = origin, database
        what = f"cannot open ledger {origin}"
        with database.told(what):
            connection = database.connection()
            connection.execute("INSERT INTO ledger (origin) VALUES (%s) ON CONFLICT DO NOTHING", (origin,))
            row = connection.execute("SELECT id FROM ledger WHERE origin = %s", (origin,)).fetchone()
        if row is None or type(row[0]) is not int:
            raise NotReachable(what, why=DAMAGED)
        self.id: int = row[0]
        self._key = database.key
        self._held = False

    # ---- writing ----

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Be the only writer of this ledger; what is read in it is the newest there is. What was written and not committed is undone."""
        if self._held:
            yield
            return
        with self.database.transaction(f"nothing was noted in {self.origin}") as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", (self._key, self.id))
            self._held = True
            try:
                yield
            finally:
                self._held = False

    def commit(self, bodies: Sequence[bytes], *, frontier: Frontier, note: bytes, receipt: bytes = b"") -> None:
        self.commit_all([Commit(bodies, frontier, note, receipt)])

    def commit_all(self, commits: Sequence[Commit]) -> None:
        if not commits:
            return
        psycopg = self.database.psycopg
        unknown: Exception | None = None
        with self.exclusive():
            connection = self.database.connection()
            try:
                self._write(connection, commits)
            except psycopg.errors.UniqueViolation as conflict:
                why = "another process has written to this ledger"
                raise NotReachable(f"nothing was noted in {self.origin}", why=why, possible="try again") from conflict
            try:
                warnings = self.database.commit()
            except (psycopg.OperationalError, psycopg.InterfaceError) as broken:
                unknown = broken
        if unknown is not None:
            self._look_after(commits[-1], unknown)
        elif warnings:  # such as: the wait for the standby was ended by hand
            raise NotReachable(f"it is not certain that this stays noted in {self.origin}", why=warnings, possible="look before you do it again")

    def _write(self, connection: Any, commits: Sequence[Commit]) -> None:
        parts = [_COPY_HEAD]
        for each in commits:
            for position, body in enumerate(each.bodies, each.frontier.size - len(each.bodies)):
                parts += (_ROW.pack(3, 4, self.id, 8, position, len(body)), body)
        with connection.cursor() as cursor:
            with cursor.copy(_COPY) as copy:
                copy.write(b"".join((*parts, _COPY_END)))
            for each in commits:
                row = (self.id, each.frontier.size, each.note, each.frontier.to_bytes())
                cursor.execute("INSERT INTO checkpoint VALUES (%s, %s, %s, %s)", row, binary=True)
                if each.receipt:
                    cursor.execute(_KEEP_RECEIPT, (self.id, each.frontier.size, each.receipt), binary=True)

    def _look_after(self, last: Commit, broken: Exception) -> None:
        """A commit whose answer was lost: read whether it is there, once the old connection has ended."""
        self.database._drop_if_broken()
        until = monotonic_seconds() + OUTCOME_S
        while True:
            try:
                with self.exclusive():  # waits until the old transaction is over, one way or the other
                    found = self.checkpoint_at_or_before(last.frontier.size)
                break
            except NotReachable as trouble:
                if monotonic_seconds() > until:
                    raise NotReachable(
                        f"it is not known whether this was noted in {self.origin}", why=trouble.why, possible="look before you do it again"
                    ) from broken
                sleep(OUTCOME_PAUSE_S)
        if found != (last.frontier.size, last.note):
            raise NotReachable(
                f"nothing was noted in {self.origin}", why=f"the connection was lost: {' '.join(str(broken).split())[:200]}", possible="try again"
            ) from broken

    def keep_receipt(self, size: int, note: bytes) -> None:
        self.database.do(_KEEP_RECEIPT, (self.id, size, note), what=f"no receipt kept in {self.origin}")

    # ---- reading ----

    def _rows(self, sql: str, values: tuple[int, ...] = (), *, types: tuple[type, ...] = (int, bytes)) -> list[Any]:
        """Rows of these column types, of this ledger."""
        rows = self.database.rows(sql, (self.id, *values), what=f"cannot read ledger {self.origin}")
        for row in rows:
            if tuple(map(type, row)) != types:
                raise NotReachable(f"cannot read ledger {self.origin}", why=DAMAGED, possible="check the database, or restore it")
        return rows

    def head(self) -> Head | None:
        rows = self._rows("SELECT note, frontier FROM checkpoint WHERE ledger = %s ORDER BY size DESC LIMIT 1", types=(bytes, bytes))
        return Head(Frontier.from_bytes(rows[0][1]), rows[0][0]) if rows else None

    def bodies(self, start: int, stop: int) -> list[bytes]:
        if stop > 1 << 62:
            stop = 1 << 62
        found = self._rows("SELECT body FROM log WHERE ledger = %s AND pos >= %s AND pos < %s ORDER BY pos", (start, stop), types=(bytes,))
        return [row[0] for row in found]

    def forget(self) -> None:
        """Nothing is kept here; a database server looks after its own pages."""

    def checkpoint_at_or_before(self, size: int) -> tuple[int, bytes] | None:
        return self._one("SELECT size, note FROM checkpoint WHERE ledger = %s AND size <= %s ORDER BY size DESC LIMIT 1", (size,))

    def checkpoint_after(self, size: int) -> tuple[int, bytes] | None:
        return self._one("SELECT size, note FROM checkpoint WHERE ledger = %s AND size > %s ORDER BY size LIMIT 1", (size,))

    def receipt(self) -> tuple[int, bytes] | None:
        return self._one("SELECT size, note FROM receipt WHERE ledger = %s ORDER BY size DESC LIMIT 1")

    def receipts(self) -> Iterable[tuple[int, bytes]]:
        return [(row[0], row[1]) for row in self._rows("SELECT size, note FROM receipt WHERE ledger = %s ORDER BY size")]

    def _one(self, sql: str, values: tuple[int, ...] = ()) -> tuple[int, bytes] | None:
        rows = self._rows(sql, values)
        return (rows[0][0], rows[0][1]) if rows else None

    def close(self) -> None:
        """Let go of the connection; another store on it makes it anew."""
        self.database.close()


def ledger_sizes(database: Database) -> dict[str, int]:
    """How many facts each ledger of the database has, in one question."""
    sql = "SELECT origin, coalesce((SELECT max(size) FROM checkpoint WHERE checkpoint.ledger = ledger.id), 0)::bigint FROM ledger"
    return {str(origin): int(size) for origin, size in database.rows(sql)}
