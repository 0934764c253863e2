"""One ledger in one SQLite file.

Guarantees: write-ahead log with synchronous=FULL, so a commit is on the disk when it
returns; bodies and the checkpoint over them go in one transaction; triggers refuse to
change or delete what was written; reopening is O(1). apsw brings its own SQLite, because
versions before 3.51.3 have a bug that can corrupt a write-ahead log.
Leaves to others: what the bytes say, who signed the checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import apsw

from isogenic.errors import NotReachable, NotTrusted
from isogenic.records.merkle import Frontier
from isogenic.records.store import Head

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
FORMAT = "1"
BUSY_MS = 5_000  # another process may be reading for a backup or an inspection


class SqliteStore:
    """The embedded store. One writer; other processes may read the file meanwhile."""

    def __init__(self, path: Path | str, *, origin: str, vfs: str | None = None) -> None:
        """Open or create. `vfs` names another SQLite file layer (the rehearsal's simulated disk)."""
        self.origin = origin
        self.path = path
        if vfs is None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = apsw.Connection(str(path), vfs=vfs)
            self._db.set_busy_timeout(BUSY_MS)
            if vfs is not None:
                self._db.execute("PRAGMA locking_mode=EXCLUSIVE")  # a simulated disk has no shared memory
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA mmap_size=0")  # a mapped page could change under us unseen
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(_LAYOUT)
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('origin', ?), ('format', ?)", (origin, FORMAT))
            self._db.execute("COMMIT")
        except apsw.Error as trouble:
            raise NotReachable(f"cannot open ledger {origin}", why=str(trouble), possible="check the disk, or restore the file") from trouble
        kept = dict(self._db.execute("SELECT key, value FROM meta"))
        if kept["origin"] != origin or kept["format"] != FORMAT:
            self._db.close()
            raise NotTrusted(f"cannot open {path} as {origin}", why=f"it is the ledger {kept['origin']}, format {kept['format']}")

    def head(self) -> Head | None:
        row = self._db.execute("SELECT note, frontier FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()
        return Head(Frontier.from_bytes(row[1]), row[0]) if row else None

    def commit(self, bodies: Sequence[bytes], *, frontier: Frontier, note: bytes) -> None:
        start = frontier.size - len(bodies)
        db = self._db
        try:
            db.execute("BEGIN IMMEDIATE")
            try:
                db.executemany("INSERT INTO log VALUES (?, ?)", enumerate(bodies, start))
                db.execute("INSERT INTO checkpoint VALUES (?, ?, ?)", (frontier.size, note, frontier.to_bytes()))
                db.execute("COMMIT")
            except BaseException:
                if not db.get_autocommit():
                    db.execute("ROLLBACK")
                raise
        except apsw.Error as trouble:
            raise NotReachable(f"nothing was noted in {self.origin}", why=str(trouble), possible="free the disk and try again") from trouble

    def bodies(self, start: int, stop: int) -> list[bytes]:
        return [row[0] for row in self._db.execute("SELECT body FROM log WHERE pos >= ? AND pos < ? ORDER BY pos", (start, stop))]

    def checkpoint_at_or_before(self, size: int) -> tuple[int, bytes] | None:
        row = self._db.execute("SELECT size, note FROM checkpoint WHERE size <= ? ORDER BY size DESC LIMIT 1", (size,)).fetchone()
        return (row[0], row[1]) if row else None

    def checkpoint_after(self, size: int) -> tuple[int, bytes] | None:
        """The oldest checkpoint of more than `size` facts."""
        row = self._db.execute("SELECT size, note FROM checkpoint WHERE size > ? ORDER BY size LIMIT 1", (size,)).fetchone()
        return (row[0], row[1]) if row else None

    def keep_receipt(self, size: int, note: bytes) -> None:
        try:
            self._db.execute("INSERT INTO receipt VALUES (?, ?) ON CONFLICT (size) DO UPDATE SET note = excluded.note", (size, note))
        except apsw.Error as trouble:
            raise NotReachable(f"no receipt kept in {self.origin}", why=str(trouble)) from trouble

    def receipt(self) -> tuple[int, bytes] | None:
        row = self._db.execute("SELECT size, note FROM receipt ORDER BY size DESC LIMIT 1").fetchone()
        return (row[0], row[1]) if row else None

    def receipts(self) -> Iterable[tuple[int, bytes]]:
        rows: Any = self._db.execute("SELECT size, note FROM receipt ORDER BY size").fetchall()
        return [(row[0], row[1]) for row in rows]

    def close(self) -> None:
        self._db.close()
