"""One ledger in one SQLite file.

Guarantees: write-ahead log with synchronous=FULL, so a commit is on the disk when it
returns; bodies and the checkpoint over them go in one transaction; triggers refuse to
change or delete what was written; reopening is O(1) and puts on the disk what it shows. apsw brings its own SQLite, because
versions before 3.51.3 have a bug that can corrupt a write-ahead log.
Leaves to others: what the bytes say, who signed the checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

import apsw

from isogenic.errors import NotAllowed, NotReachable, NotTrusted
from isogenic.records.durable import make_folder
from isogenic.records.merkle import Frontier
from isogenic.records.store import Commit, Head

__all__ = ["SqliteStore"]

_LAYOUT = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log (pos INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS checkpoint (size INTEGER PRIMARY KEY, note BLOB NOT NULL, frontier BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS receipt (size INTEGER PRIMARY KEY, note BLOB NOT NULL);
CREATE TRIGGER IF NOT EXISTS log_is_never_changed BEFORE UPDATE ON log BEGIN SELECT raise(ABORT, 'facts are never changed'); END;
CREATE TRIGGER IF NOT EXISTS log_is_never_deleted BEFORE DELETE ON log BEGIN SELECT raise(ABORT, 'facts are never deleted'); END;
CREATE TRIGGER IF NOT EXISTS checkpoint_is_never_changed BEFORE UPDATE ON checkpoint BEGIN SELECT raise(ABORT, 'checkpoints are never changed'); END;
CREATE TRIGGER IF NOT EXISTS checkpoint_is_never_deleted BEFORE DELETE ON checkpoint BEGIN SELECT raise(ABORT, 'checkpoints are never deleted'); END;
"""
_KEEP_RECEIPT = "INSERT INTO receipt VALUES (?, ?) ON CONFLICT (size) DO UPDATE SET note = excluded.note"
# From each format to the next. A new file takes every step, too: there is one way to today's layout.
_STEPS = {
    "1": """
CREATE TRIGGER receipt_is_never_deleted BEFORE DELETE ON receipt BEGIN SELECT raise(ABORT, 'receipts are never deleted'); END;
CREATE TRIGGER meta_is_never_deleted BEFORE DELETE ON meta BEGIN SELECT raise(ABORT, 'what a file is of is never changed'); END;
CREATE TRIGGER origin_is_never_changed BEFORE UPDATE ON meta WHEN old.key = 'origin'
    BEGIN SELECT raise(ABORT, 'what a file is of is never changed'); END;
""",
}
FIRST_FORMAT, FORMAT = "1", "2"
ONE_WRITER = "end the other process, then open the ledger anew"
BUSY_MS = 5_000  # another process may be reading for a backup or an inspection


class SqliteStore:
    """The embedded store. One writer; other processes may read the file meanwhile."""

    shared = False

    def __init__(self, path: Path | str, *, origin: str, vfs: str | None = None) -> None:
        """Open or create. `vfs` names another SQLite file layer (the rehearsal's simulated disk)."""
        self.origin = origin
        self.path = path
        self._broken = ""
        if vfs is None:
            make_folder(Path(path).parent)
        opened: apsw.Connection | None = None
        try:
            self._db = opened = apsw.Connection(str(path), vfs=vfs)
            self._db.set_busy_timeout(BUSY_MS)
            if vfs is not None:
                self._db.execute("PRAGMA locking_mode=EXCLUSIVE")  # a simulated disk has no shared memory
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA recursive_triggers=ON")  # so that REPLACE, too, meets the trigger that refuses to delete
            self._db.execute("PRAGMA mmap_size=0")  # a mapped page could change under us unseen
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(_LAYOUT)
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('origin', ?), ('format', ?)", (origin, FIRST_FORMAT))
            self._take_steps()
            self._db.execute("COMMIT")
            self._make_durable()
            kept: dict[Any, Any] = dict(self._db.execute("SELECT key, value FROM meta").fetchall())  # type: ignore[arg-type]
        except apsw.Error as trouble:
            if opened is not None:
                self.close()
            raise NotReachable(f"cannot open ledger {origin}", why=str(trouble), possible="check the disk, or restore the file") from trouble
        if kept.get("format") != FORMAT:
            self.close()
            why = f"it has format {str(kept.get('format'))[:20]}, and this program knows up to {FORMAT}"
            raise NotAllowed(f"cannot open {path}", why=why, possible="run the newer program")
        if kept.get("origin") != origin:
            self.close()
            raise NotTrusted(f"cannot open {path} as {origin}", why=f"it is the ledger {kept.get('origin')}")

    def _take_steps(self) -> None:
        """Bring an older file to today's layout, within the transaction that opens it: whole or not at all."""
        kept: dict[Any, Any] = dict(self._db.execute("SELECT key, value FROM meta").fetchall())  # type: ignore[arg-type]
        origin, at = kept.get("origin"), kept.get("format")
        while origin == self.origin and at in _STEPS:  # another ledger's file is refused as it stands
            self._db.execute(_STEPS[at])
            at = str(int(at) + 1)
            self._db.execute("UPDATE meta SET value = ? WHERE key = 'format'", (at,))

    def _make_durable(self) -> None:
        """A process that was killed between write and sync leaves a commit that can be read and is not on the disk; whoever reads it acts on it."""
        with suppress(apsw.FullError):  # a checkpoint syncs the log first; that there is no room to copy it loses nothing
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _fetch(self, sql: str, values: tuple[int, ...]) -> list[Any]:
        try:
            return self._db.execute(sql, values).fetchall()
        except apsw.Error as trouble:
            raise NotReachable(f"cannot read ledger {self.origin}", why=str(trouble), possible="check the disk, or restore the file") from trouble

    def _damaged(self) -> NotReachable:
        return NotReachable(f"cannot read ledger {self.origin}", why="its file is damaged", possible="check the disk, or restore the file")

    def _rows(self, sql: str, values: tuple[int, ...] = (), *, types: tuple[type, ...] = (int, bytes)) -> list[Any]:
        """Rows of these column types; a rotten file can hold others, whatever the layout says."""
        rows = self._fetch(sql, values)
        for row in rows:
            if tuple(map(type, row)) != types:
                raise self._damaged()
        return rows

    def head(self) -> Head | None:
        rows = self._rows("SELECT note, frontier FROM checkpoint ORDER BY size DESC LIMIT 1", types=(bytes, bytes))
        return Head(Frontier.from_bytes(rows[0][1]), rows[0][0]) if rows else None

    def exclusive(self) -> AbstractContextManager[None]:
        return nullcontext()

    def commit(self, bodies: Sequence[bytes], *, frontier: Frontier, note: bytes, receipt: bytes = b"") -> None:
        self.commit_all([Commit(bodies, frontier, note, receipt)])

    def commit_all(self, commits: Sequence[Commit]) -> None:
        if self._broken:
            raise NotReachable(f"nothing was noted in {self.origin}", why=self._broken, possible="open the ledger anew")
        db = self._db
        try:
            db.execute("BEGIN IMMEDIATE")
            try:
                for each in commits:
                    start = each.frontier.size - len(each.bodies)
                    if len(each.bodies) == 1:
                        db.execute("INSERT INTO log VALUES (?, ?)", (start, each.bodies[0]))
                    elif each.bodies:  # a whole page in one statement: a fifth faster than row by row
                        db.execute("INSERT INTO log SELECT ? + rowid, value FROM carray(?)", (start - 1, apsw.carray(tuple(each.bodies))))
                    db.execute("INSERT INTO checkpoint VALUES (?, ?, ?)", (each.frontier.size, each.note, each.frontier.to_bytes()))
                    if each.receipt:
                        db.execute(_KEEP_RECEIPT, (each.frontier.size, each.receipt))
                db.execute("COMMIT")
            except BaseException:
                if not db.get_autocommit():
                    db.execute("ROLLBACK")
                raise
        except apsw.IOError as trouble:
            # After a failed fsync the operating system may forget what it could not write, and say yes to the next one.
            # Only what is read back from the disk can be believed, so this store ends here.
            self._broken = f"the disk failed: {trouble}"
            raise NotReachable(f"nothing was noted in {self.origin}", why=self._broken, possible="open the ledger anew") from trouble
        except apsw.ConstraintError as conflict:
            # The place of the next fact is taken, and not by us: what this process holds of the ledger is no longer all of it.
            self._broken = "another process has written to this ledger"
            raise NotReachable(f"nothing was noted in {self.origin}", why=self._broken, possible=ONE_WRITER) from conflict
        except apsw.BusyError as held:
            raise NotReachable(f"nothing was noted in {self.origin}", why="another process holds its file", possible="try again") from held
        except apsw.Error as trouble:
            raise NotReachable(f"nothing was noted in {self.origin}", why=str(trouble), possible="free the disk and try again") from trouble

    def bodies(self, start: int, stop: int) -> list[bytes]:
        found = [body for (body,) in self._fetch("SELECT body FROM log WHERE pos >= ? AND pos < ? ORDER BY pos", (start, stop))]
        if not set(map(type, found)) <= {bytes}:
            raise self._damaged()
        return found

    def forget(self) -> None:
        with suppress(apsw.Error):
            self._db.execute("PRAGMA shrink_memory")  # pages that are held in memory would hide what became of them on the disk

    def checkpoint_at_or_before(self, size: int) -> tuple[int, bytes] | None:
        rows = self._rows("SELECT size, note FROM checkpoint WHERE size <= ? ORDER BY size DESC LIMIT 1", (size,))
        return (rows[0][0], rows[0][1]) if rows else None

    def checkpoint_after(self, size: int) -> tuple[int, bytes] | None:
        rows = self._rows("SELECT size, note FROM checkpoint WHERE size > ? ORDER BY size LIMIT 1", (size,))
        return (rows[0][0], rows[0][1]) if rows else None

    def mend(self, rows: Sequence[tuple[int, bytes]]) -> None:
        """Put back the bytes that were signed, at positions where others stand or none: the caller has proven them against a signed root."""
        db = self._db
        try:
            with db:  # all of it or nothing, the triggers included
                db.execute("DROP TRIGGER IF EXISTS log_is_never_changed")
                db.execute("DROP TRIGGER IF EXISTS log_is_never_deleted")
                db.executemany("INSERT OR REPLACE INTO log VALUES (?, ?)", rows)
                db.execute(_LAYOUT)
        except apsw.Error as trouble:
            raise NotReachable(f"nothing of {self.origin} mended", why=str(trouble), possible="start the node again: it heals its files") from trouble

    def keep_receipt(self, size: int, note: bytes) -> None:
        try:
            self._db.execute(_KEEP_RECEIPT, (size, note))
        except apsw.Error as trouble:
            raise NotReachable(f"no receipt kept in {self.origin}", why=str(trouble)) from trouble

    def receipt(self) -> tuple[int, bytes] | None:
        rows = self._rows("SELECT size, note FROM receipt ORDER BY size DESC LIMIT 1")
        return (rows[0][0], rows[0][1]) if rows else None

    def receipts(self) -> Iterable[tuple[int, bytes]]:
        return [(row[0], row[1]) for row in self._rows("SELECT size, note FROM receipt ORDER BY size")]

    def close(self) -> None:
        with suppress(apsw.Error):  # what cannot be tidied up now is tidied up on opening
            self._db.close(True)
