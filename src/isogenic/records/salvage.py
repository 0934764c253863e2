"""What can still be read of a ledger's file that is damaged.

Guarantees: whatever is wrong with the file, reading it ends, raises nothing but
`NotReachable`, and gives only bytes that are in it; a row that cannot be read, or is not
there, is None. Nothing is written.
Leaves to others: whether the bytes are what was signed (healing): here nothing is trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import apsw

__all__ = ["Remains", "SqliteSalvage"]


class Remains(Protocol):
    """What is left of one ledger's file."""

    def bodies(self, start: int, stop: int) -> list[bytes | None]:
        """The bytes of positions start <= p < stop, None where there are none to be read."""
        ...

    def checkpoints(self) -> Sequence[tuple[int, bytes]]:
        """Every checkpoint that can be read: size and note, in order of size."""
        ...

    def receipts(self) -> Sequence[tuple[int, bytes]]:
        """Every receipt that can be read, in order of size."""
        ...

    def count(self) -> int:
        """How many facts it seems to hold: one more than the last position that can be read."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class SqliteSalvage:
    """The SQLite file of one ledger, read row by row where reading in one go fails."""

    def __init__(self, path: Path | str, *, vfs: str | None = None) -> None:
        self._db: apsw.Connection | None = None
        with suppress(apsw.Error):  # a file that cannot be opened at all has nothing left
            self._db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs)
            if vfs is not None:
                self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA query_only=ON")

    def bodies(self, start: int, stop: int) -> list[bytes | None]:
        found = self._pairs("SELECT pos, body FROM log WHERE pos >= ? AND pos < ?", (start, stop))
        if found is not None and len(found) == stop - start:
            return [body for _, body in found]
        whole = dict(found or [])
        for position in range(start, stop):
            if position not in whole:
                whole.update(self._pairs("SELECT pos, body FROM log WHERE pos = ? AND ? > 0", (position, stop)) or [])
        return [whole.get(position) for position in range(start, stop)]

    def checkpoints(self) -> Sequence[tuple[int, bytes]]:
        return self._table("checkpoint")

    def receipts(self) -> Sequence[tuple[int, bytes]]:
        return self._table("receipt")

    def count(self) -> int:
        for sql in ("SELECT max(pos), x'' FROM log WHERE pos >= ? AND pos < ?",):
            found = self._pairs(sql, (0, 1 << 62))
            if found:
                return found[0][0] + 1
        return max((size for size, _ in self.checkpoints()), default=0)

    def _table(self, name: str) -> list[tuple[int, bytes]]:
        """All rows of size and note; where reading them in one go fails, as many as can be had from both ends."""
        rows = self._pairs(f"SELECT size, note FROM {name} WHERE size >= ? AND size < ? ORDER BY size", (0, 1 << 62))  # noqa: S608
        if rows is not None:
            return rows
        found: dict[int, bytes] = {}
        for order in ("", " DESC"):
            found.update(self._some(f"SELECT size, note FROM {name} ORDER BY size{order}"))  # noqa: S608
        return sorted(found.items())

    def _some(self, sql: str) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        if self._db is not None:
            with suppress(apsw.Error):
                for size, note in self._db.execute(sql):
                    if type(size) is int and type(note) is bytes:
                        found[size] = note
        return found

    def _pairs(self, sql: str, values: tuple[int, int]) -> list[tuple[int, bytes]] | None:
        """Rows of a number and bytes; None where SQLite stumbles over them."""
        if self._db is None:
            return []
        try:
            rows: list[Any] = self._db.execute(sql, values).fetchall()
        except apsw.Error:
            return None
        return [(row[0], row[1]) for row in rows if type(row[0]) is int and type(row[1]) is bytes]

    def close(self) -> None:
        if self._db is not None:
            with suppress(apsw.Error):
                self._db.close(True)
