"""Derived tables: dropped at will, rebuilt from the ledgers, and then the same again (I8).

Guarantees: every fact of a ledger is applied once and in order, in one transaction with the
ledger's watermark, so a crash repeats or loses none; a gap is refused, never skipped;
`rebuild` gives what following along gave, in whatever order the ledgers came, and `digest`
proves it. A file of other views, or a damaged one, is thrown away and built anew.
Leaves to others: the ground state; what a view means (its room hands it in).

A `View` must depend on its ledger's facts only: rows that facts of two ledgers write
are keyed by the ledger, or combined in a way that does not ask who came first. It is
written once for both databases, SQLite here and PostgreSQL (derived_postgres): columns are
TEXT, INTEGER, REAL or BLOB, values are `?`, and a row is replaced by ON CONFLICT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import apsw

from isogenic.clock import text_of_time, time_of_text
from isogenic.errors import NotReachable, NotTrusted, NotValid
from isogenic.records import codec
from isogenic.records.durable import make_folder
from isogenic.records.facts import Fact, FactRef, decode_fact, later_forms
from isogenic.records.ledger import Copy, Ledger

__all__ = ["FACTS", "Derived", "FactPage", "FoundFact", "Place", "Tables", "View"]

PAGE = 2_000  # facts to a transaction: large enough that committing costs nothing, small enough to stay in memory
FIND_MAX = 500  # rows of one answer to a screen
TEXT_MAX = 200  # characters of a search
FORMS = "forms of facts"
NAME_MAX = 400  # characters of a kind, subject or actor in the tables: an index has no room for more, and a fact may have 60,000


class Tables(Protocol):
    """What a view writes to: SQL that both databases know, with `?` for each value."""

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Any:
        """One statement."""
        ...


@dataclass(frozen=True, slots=True)
class View:
    """A group of tables and how one fact changes them. Raise `version` when `apply` changes."""

    name: str
    ddl: str
    apply: Callable[[Tables, Fact], None]
    version: int = 1


def _list_fact(db: Tables, fact: Fact) -> None:
    db.execute(
        "INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            fact.ref.ledger,
            fact.ref.position,
            fact.kind[:NAME_MAX],
            fact.subject[:NAME_MAX],
            fact.actor.id[:NAME_MAX],
            fact.actor.role[:NAME_MAX],
            text_of_time(fact.at),
            str(fact.moment.quality),
            codec.dumps(fact.body()).decode(),
        ),
    )


FACTS = View(
    name="facts",
    ddl="""
CREATE TABLE facts (
    ledger TEXT NOT NULL, position INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, actor TEXT NOT NULL, role TEXT NOT NULL,
    at TEXT NOT NULL, quality TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (ledger, position)
) WITHOUT ROWID;
CREATE INDEX facts_by_time ON facts (at, ledger, position);
CREATE INDEX facts_by_subject ON facts (subject, at);
CREATE INDEX facts_by_kind ON facts (kind, at);
CREATE INDEX facts_by_actor ON facts (actor, at);
""",
    apply=_list_fact,
    version=2,
)

_OWN = """
CREATE TABLE watermark (ledger TEXT PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE unreadable (ledger TEXT NOT NULL, position INTEGER NOT NULL, why TEXT NOT NULL, PRIMARY KEY (ledger, position)) WITHOUT ROWID;
CREATE TABLE views (name TEXT PRIMARY KEY, version INTEGER NOT NULL, ddl TEXT NOT NULL) WITHOUT ROWID;
"""


class Place(NamedTuple):
    """Where a page of found facts ends; the next one goes on from there."""

    at: str
    ledger: str
    position: int


@dataclass(frozen=True, slots=True)
class FoundFact:
    """One line of the record explorer."""

    ref: FactRef
    kind: str
    subject: str
    actor: str
    role: str
    at: datetime
    quality: str
    body: str  # JSON


@dataclass(frozen=True, slots=True)
class FactPage:
    """Found facts, newest first, and where to go on (None at the end)."""

    facts: tuple[FoundFact, ...]
    next: Place | None


class Derived:
    """One SQLite file of derived tables."""

    _HAS_TEXT = "instr(lower(kind || ' ' || subject || ' ' || actor || ' ' || body), lower(?)) > 0"  # letters beyond ASCII are as written

    def __init__(self, path: Path | str, *, views: Sequence[View] = (FACTS,), vfs: str | None = None) -> None:
        """Open; a file that is damaged or of other views is thrown away and built anew by `catch_up`."""
        self.path, self.views, self._vfs = Path(path), tuple(views), vfs
        if vfs is None:
            make_folder(self.path.parent)
        try:
            self._db = self._open()
        except apsw.Error:
            self._throw_away()
            try:
                self._db = self._open()
            except apsw.Error as trouble:
                raise NotReachable("cannot open the derived tables", why=str(trouble), possible="free the disk; they are rebuilt") from trouble

    def _open(self) -> apsw.Connection:
        db = apsw.Connection(str(self.path), vfs=self._vfs)
        try:
            if self._vfs is not None:
                db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")  # atomic; what a power cut takes is applied again
            names = {row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()}
            if "views" not in names or db.execute("SELECT name, version, ddl FROM views ORDER BY name").fetchall() != self._wanted():
                self._create(db)
        except BaseException:
            db.close()
            raise
        return db

    def _throw_away(self) -> None:
        for ending in ("", "-wal", "-shm", "-journal"):
            if self._vfs is None:
                self.path.with_name(self.path.name + ending).unlink(missing_ok=True)

    def _empty(self) -> None:
        self._create(self._db)

    def _create(self, db: apsw.Connection) -> None:
        with db:
            for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
                db.execute(f'DROP TABLE "{name}"')
            db.execute(_OWN)
            for view in self.views:
                db.execute(view.ddl)
            db.executemany("INSERT INTO views VALUES (?, ?, ?)", self._wanted())

    def _wanted(self) -> list[tuple[str, int, str]]:
        """What the tables are made by: the views, and the forms that facts are read in. Where either changed, they are built anew."""
        return sorted([(view.name, view.version, view.ddl) for view in self.views] + [(FORMS, 1, later_forms())])

    # ---- feeding ----

    def size(self, ledger: str) -> int:
        """How many facts of a ledger have been applied."""
        rows = self._rows("SELECT size FROM watermark WHERE ledger = ?", (ledger,))
        return int(rows[0][0]) if rows else 0

    def catch_up(self, ledger: Ledger | Copy) -> int:
        """Apply what the ledger has beyond the watermark; returns how many facts that were."""
        start = self.size(ledger.origin)
        if start > ledger.size:
            ledger.follow()
        if start > ledger.size:
            raise NotTrusted(
                f"derived tables of {ledger.origin} refused",
                why=f"they cover {start} facts, and the ledger has {ledger.size}",
                possible="rebuild them, once it is clear why the ledger is shorter",
            )
        at = start
        while at < ledger.size:
            bodies = ledger.store.bodies(at, min(ledger.size, at + PAGE))
            if not bodies:
                raise NotReachable(f"cannot derive from {ledger.origin}", why=f"fact {at} is not in its store", possible="check the disk")
            self.feed(bodies, ledger=ledger.origin, start=at)
            at += len(bodies)
        return at - start

    def feed(self, bodies: Sequence[bytes], *, ledger: str, start: int, decoded: Mapping[int, Fact] | None = None) -> None:
        """Apply a run of facts that begins right after the watermark, all of it or nothing.

        `decoded`: those of them, by position, that the caller has read from these bytes already.
        """
        try:
            with self._db as db:
                self._check_next(ledger, start)
                self._feed(db, bodies, ledger=ledger, start=start, decoded=decoded or {})
        except apsw.Error as trouble:
            raise NotReachable(f"derived tables do not follow {ledger}", why=str(trouble), possible="free the disk; they catch up") from trouble

    def _check_next(self, ledger: str, start: int) -> None:
        size = self.size(ledger)
        if start != size:
            raise NotValid(f"facts of {ledger} from {start} refused", why=f"{size} are applied", possible=f"go on from {size}")

    def _feed(self, db: Tables, bodies: Sequence[bytes], *, ledger: str, start: int, decoded: Mapping[int, Fact]) -> None:
        for position, body in enumerate(bodies, start):
            try:
                fact = decoded.get(position) or decode_fact(body)
                if fact.ref != (ledger, position):
                    raise NotTrusted("fact refused", why=f"it says that it is {fact.ref}")
            except (NotValid, NotTrusted) as trouble:  # the writer's fault: shown to people, and the rest goes on
                db.execute("INSERT INTO unreadable VALUES (?, ?, ?)", (ledger, position, str(trouble)))
                continue
            for view in self.views:
                view.apply(db, fact)
        db.execute("INSERT INTO watermark VALUES (?, ?) ON CONFLICT (ledger) DO UPDATE SET size = excluded.size", (ledger, start + len(bodies)))

    def rebuild(self, ledgers: Iterable[Ledger | Copy]) -> None:
        """Drop everything and apply every ledger from its first fact."""
        self._empty()
        for ledger in ledgers:
            self.catch_up(ledger)

    def unreadable(self) -> list[tuple[FactRef, str]]:
        """Facts whose bytes say nothing that can be read, and why."""
        return [(FactRef(row[0], row[1]), row[2]) for row in self._rows("SELECT * FROM unreadable ORDER BY ledger, position")]

    def digest(self) -> str:
        """A digest of the content of every table: equal where the derived state is equal."""
        whole = sha256()
        for name, columns in self._layout():
            order = ", ".join(f"{column} NULLS FIRST" for column in range(1, columns + 1))
            part = sha256()
            for row in self._each(f'SELECT * FROM "{name}" ORDER BY {order}'):  # noqa: S608 - the name is from the schema
                part.update(repr(row).encode() + b"\n")
            whole.update(f"{name} {part.hexdigest()}\n".encode())
        return whole.hexdigest()

    def _layout(self) -> list[tuple[str, int]]:
        """Every table and how many columns it has, by name."""
        names = self._rows("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
        return [(name, len(self._rows(f'PRAGMA table_info("{name}")'))) for (name,) in names]

    def _each(self, sql: str) -> Iterable[tuple[Any, ...]]:
        return self._db.execute(sql)

    # ---- asking ----

    @property
    def db(self) -> Tables:
        """The tables, to ask with SQL. Whoever writes here breaks I8."""
        return self._db

    def find(
        self,
        *,
        ledger: str = "",
        kind: str = "",
        subject: str = "",
        actor: str = "",
        text: str = "",
        after: Place | None = None,
        limit: int = 50,
    ) -> FactPage:
        """Facts, newest first. Empty arguments ask for all; `kind` may end in `*`; `text` is looked for anywhere in the line."""
        if not 1 <= limit <= FIND_MAX or len(text) > TEXT_MAX:
            raise NotValid("cannot look for facts", why=f"a page has 1 to {FIND_MAX} facts, a text at most {TEXT_MAX} characters")
        where, values = self._conditions(ledger, kind, subject, actor, text)
        if after is not None:
            where.append("(at, ledger, position) < (?, ?, ?)")
            values += after
        sql = f"SELECT * FROM facts WHERE {' AND '.join(where) or 'TRUE'} ORDER BY at DESC, ledger DESC, position DESC LIMIT ?"  # noqa: S608
        rows = self._rows(sql, (*values, limit + 1))
        found = tuple(
            FoundFact(FactRef(row[0], row[1]), row[2], row[3], row[4], row[5], time_of_text(row[6]), row[7], row[8]) for row in rows[:limit]
        )
        last = rows[limit - 1] if len(rows) > limit else None
        return FactPage(found, Place(last[6], last[0], last[1]) if last else None)

    def kinds(self) -> dict[str, int]:
        """Every kind of fact there is, and how many."""
        return {row[0]: row[1] for row in self._rows("SELECT kind, count(*) FROM facts GROUP BY kind ORDER BY kind")}

    def _conditions(self, ledger: str, kind: str, subject: str, actor: str, text: str) -> tuple[list[str], list[Any]]:
        where: list[str] = []
        values: list[Any] = []
        for column, wanted in (("ledger", ledger), ("subject", subject), ("actor", actor)):
            if wanted:
                where.append(f"{column} = ?")
                values.append(wanted[:NAME_MAX])
        if kind.endswith("*"):
            where.append("kind >= ? AND kind < ?")
            values += [kind[:-1], kind[:-1] + "\U0010ffff"]
        elif kind:
            where.append("kind = ?")
            values.append(kind)
        if text:
            where.append(self._HAS_TEXT)
            values.append(text)
        return where, values

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        try:
            return self._db.execute(sql, tuple(values)).fetchall()
        except UnicodeEncodeError as trouble:
            raise NotValid("cannot look for facts", why="the text is not Unicode") from trouble
        except apsw.Error as trouble:
            raise NotReachable("cannot read derived tables", why=str(trouble), possible="delete the file; it is rebuilt") from trouble

    def close(self) -> None:
        """Let go of the file."""
        with suppress(apsw.Error):
            self._db.close()
