"""The hot buffer: readings of running batches until they are sealed in a block.

Guarantees: rows come out in the order of the scans; once `add` has returned, a power cut
takes none of them. A scan that a cut interrupts is a gap in the block, never a lost fact.
Leaves to others: sealing, digests, sending.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from isogenic.clock import text_of_time, time_of_text
from isogenic.errors import NotReachable

__all__ = ["HotBuffer"]


class HotBuffer:
    """Rows of readings by batch: time, float64 values, uint8 quality."""

    def __init__(self, path: Path | str, *, vfs: str | None = None) -> None:
        if vfs is None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = apsw.Connection(str(path), vfs=vfs)
            if vfs is not None:
                self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS row (batch TEXT NOT NULL, at TEXT NOT NULL, vals BLOB NOT NULL, quality BLOB NOT NULL,"
                " PRIMARY KEY (batch, at)) WITHOUT ROWID"
            )
        except apsw.Error as trouble:
            raise NotReachable("cannot open the buffer of readings", why=str(trouble)) from trouble

    def add(self, rows: list[tuple[str, datetime, NDArray[np.float64], NDArray[np.uint8]]]) -> None:
        """Keep one scan's rows; a row of the same batch and time is kept once."""
        if not rows:
            return
        try:
            with self._db:
                self._db.executemany(
                    "INSERT OR IGNORE INTO row VALUES (?, ?, ?, ?)",
                    [(batch, text_of_time(at), values.tobytes(), quality.tobytes()) for batch, at, values, quality in rows],
                )
        except apsw.Error as trouble:
            raise NotReachable("readings not buffered", why=str(trouble), possible="free the disk") from trouble

    def take(self, batch: str) -> tuple[list[datetime], NDArray[np.float64], NDArray[np.uint8]]:
        """Every row of a batch: times, values (rows x signals), quality."""
        rows = self._rows("SELECT at, vals, quality FROM row WHERE batch = ? ORDER BY at", (batch,))
        times = [time_of_text(str(row[0])) for row in rows]
        values = np.array([np.frombuffer(row[1], dtype=np.float64) for row in rows])
        quality = np.array([np.frombuffer(row[2], dtype=np.uint8) for row in rows])
        return times, values, quality

    def batches(self) -> list[str]:
        """Batches that have rows."""
        return [str(row[0]) for row in self._rows("SELECT DISTINCT batch FROM row ORDER BY batch")]

    def drop(self, batch: str) -> None:
        """Forget a batch whose block is sealed, noted and stored."""
        self._rows("DELETE FROM row WHERE batch = ?", (batch,))

    def _rows(self, sql: str, values: tuple[str, ...] = ()) -> list[Any]:
        try:
            return self._db.execute(sql, values).fetchall()
        except apsw.Error as trouble:
            raise NotReachable("buffer of readings not usable", why=str(trouble), possible="check the disk") from trouble

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
