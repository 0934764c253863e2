"""Derived tables in PostgreSQL: fed by one process at a time, read by all.

Guarantees: what Derived promises of its file, and that the same ledgers give the same tables
in both databases, down to `digest`; what another process has applied already is left alone.
The tables live in a schema of their own beside the ledgers', which may be dropped while no
process runs and is built anew.
Leaves to others: the ledgers (postgres), when to feed (network).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

from isogenic.errors import NotValid
from isogenic.records.database import Database
from isogenic.records.derived import _OWN, FACTS, Derived, Tables, View
from isogenic.records.facts import Fact

__all__ = ["BESIDE", "PostgresDerived"]

BESIDE = "_derived"  # the schema beside that of the ledgers
READ_ROWS = 2_000  # rows of a whole table brought at a time
_TYPES = {"INTEGER": "BIGINT", "TEXT": 'TEXT COLLATE "C"', "REAL": "DOUBLE PRECISION", "BLOB": "BYTEA", "WITHOUT ROWID": ""}
_TYPE = re.compile(r"\b(?:WITHOUT ROWID|INTEGER|TEXT|REAL|BLOB)\b")


def _tables_of(ddl: str) -> str:
    """A view's tables as PostgreSQL writes them: the same types, and texts in the order of their bytes."""
    return _TYPE.sub(lambda found: _TYPES[found[0]], ddl)


@lru_cache(maxsize=256)
def _statement(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


def _values(values: Sequence[Any]) -> tuple[Any, ...]:
    """Values as they can be kept: PostgreSQL has no place for a text with a NUL in it, and only damage or malice writes one."""
    return tuple(value.replace("\0", "\ufffd") if type(value) is str and "\0" in value else value for value in values)


class _Batch:
    """What views write for a run of facts, brought in one go; a question is answered after what was written before it."""

    def __init__(self, connection: Any) -> None:
        self._connection, self._waiting = connection, list[tuple[str, tuple[Any, ...]]]()

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Any:
        """Keep what writes for later; ask what asks now."""
        if sql.lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE") and " RETURNING " not in sql.upper():
            self._waiting.append((sql, _values(values)))
            return None
        self.bring()
        return self._connection.execute(_statement(sql), _values(values))

    def bring(self) -> None:
        """Write what waits, in its order."""
        waiting, self._waiting = self._waiting, []
        with self._connection.pipeline(), self._connection.cursor() as cursor:
            for sql, rows in groupby(waiting, key=lambda each: each[0]):
                cursor.executemany(_statement(sql), [values for _, values in rows])


class _Asked:
    """The tables, to ask with SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Any:
        """One statement."""
        with self._database.told("cannot read derived tables"):
            return self._database.connection().execute(_statement(sql), _values(values))


class PostgresDerived(Derived):
    """Derived tables beside the ledgers of one database."""

    _HAS_TEXT = """strpos(lower(kind || ' ' || subject || ' ' || actor || ' ' || body), lower(? COLLATE "C")) > 0"""

    def __init__(self, url: str, *, views: Sequence[View] = (FACTS,)) -> None:
        """Open; tables of other views are dropped and built anew by `catch_up`."""
        self.views = tuple(views)
        self._database = Database(url, beside=BESIDE, durable=False)
        self._create_unless_there()

    def _create_unless_there(self, *, anew: bool = False) -> None:
        wanted = self._wanted()
        with self._database.transaction("cannot make the derived tables") as connection:
            schema = str(connection.execute("SELECT current_setting('search_path')").fetchone()[0]).strip('"')  # type: ignore[index]
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (schema,))  # processes that start at once
            there = connection.execute("SELECT to_regclass('views') IS NOT NULL").fetchone()
            if not anew and there == (True,) and connection.execute("SELECT name, version, ddl FROM views ORDER BY name").fetchall() == wanted:
                return
            if connection.execute("SELECT to_regnamespace(%s) IS NULL", (f'"{schema}"',)).fetchone() == (True,):
                connection.execute(f'CREATE SCHEMA "{schema}"')
            for (name,) in connection.execute("SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()").fetchall():
                connection.execute(f'DROP TABLE "{name}"')
            for ddl in (_OWN, *(view.ddl for view in self.views)):
                connection.execute(_tables_of(ddl))
            for row in wanted:
                connection.execute("INSERT INTO views VALUES (%s, %s, %s)", row)

    def _empty(self) -> None:
        self._create_unless_there(anew=True)

    def feed(self, bodies: Sequence[bytes], *, ledger: str, start: int, decoded: Mapping[int, Fact] | None = None) -> None:
        """Apply a run of facts that begins right after the watermark; one that another process has applied is left alone."""
        with self._database.transaction(f"derived tables do not follow {ledger}") as connection:
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || %s, 1))", (ledger,))
            size = self.size(ledger)
            known = min(max(0, size - start), len(bodies))  # another process has applied these in the meantime
            if bodies and known == len(bodies):
                return
            self._check_next(ledger, start + known)
            batch = _Batch(connection)
            self._feed(batch, bodies[known:], ledger=ledger, start=start + known, decoded=decoded or {})
            batch.bring()

    @property
    def db(self) -> Tables:
        return _Asked(self._database)

    def _layout(self) -> list[tuple[str, int]]:
        sql = "SELECT table_name::text, count(*)::bigint FROM information_schema.columns WHERE table_schema = current_schema() GROUP BY 1"
        return sorted((name, count) for name, count in self._rows(sql))

    def _each(self, sql: str) -> Iterator[tuple[Any, ...]]:
        with self._database.transaction("cannot read derived tables") as connection, connection.cursor("each") as cursor:
            cursor.itersize = READ_ROWS
            yield from cursor.execute(sql)

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        try:
            return self._database.rows(_statement(sql), _values(values), what="cannot read derived tables")
        except UnicodeEncodeError as trouble:
            raise NotValid("cannot look for facts", why="the text is not Unicode") from trouble

    def sizes(self) -> dict[str, int]:
        """How many facts of each ledger have been applied, in one question."""
        return dict(self._rows("SELECT ledger, size FROM watermark"))

    def close(self) -> None:
        self._database.close()
