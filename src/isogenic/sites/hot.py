"""The hot buffer: readings of running batches, and of waiting units, until they are sealed in a block.

Guarantees: rows of a stream (a batch, or a unit that waits) come out in the order in which
they were added, whatever their clock says; once `add` has returned, neither the end of the
process nor a power cut takes one of them. Many rows to one `add` are one fsync, and
fewer pages: how many to gather is the caller's choice, and what a crash takes before is a gap.
Leaves to others: which rows to add and when, sealing, digests, sending (readings).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import numpy as np
from numpy.typing import NDArray

from isogenic.clock import time_of_text
from isogenic.errors import NotReachable
from isogenic.records import codec
from isogenic.records.blocks import milliseconds
from isogenic.records.gaps import Mark, Rows

__all__ = ["HotBuffer", "Row", "Shape", "Span"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS shape (id INTEGER PRIMARY KEY, columns TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS reading (
    stream TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, mark INTEGER NOT NULL, shape INTEGER NOT NULL,
    vals BLOB NOT NULL, quality BLOB NOT NULL,
    PRIMARY KEY (stream, seq)
) WITHOUT ROWID;
"""

EVERY = 1 << 40  # more rows than any disk holds


class Shape(NamedTuple):
    """The columns of a stream's rows. A plant document that changes gives the next rows another shape; those kept keep theirs."""

    tags: tuple[str, ...]
    units: tuple[str, ...]


class Row(NamedTuple):
    """One scan of one stream."""

    stream: str
    at: int  # milliseconds since 1970
    mark: int
    shape: Shape
    values: NDArray[np.float64]
    quality: NDArray[np.uint8]


class Span(NamedTuple):
    """What is kept of a stream: rows `start` to `stop`, the first of them at `at`."""

    start: int
    stop: int
    at: int

    @property
    def rows(self) -> int:
        """How many."""
        return self.stop - self.start


class HotBuffer:
    """Rows of readings by stream, numbered as their batch numbers them."""

    def __init__(self, path: Path | str, *, vfs: str | None = None) -> None:
        if vfs is None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = apsw.Connection(str(path), vfs=vfs)
            if vfs is not None:
                self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            with self._db:
                self._db.execute(_SCHEMA)
            self._shapes: dict[Shape, int] = {shape: number for number, shape in self._known_shapes()}
            self._spans = self._counted()
        except apsw.Error as trouble:
            raise NotReachable("cannot open the buffer of readings", why=str(trouble)) from trouble

    def add(self, rows: Sequence[Row], *, starts: dict[str, int] | None = None) -> None:
        """Keep rows, all or none. `starts`: the number of the first row of a stream of which nothing is kept; 0 where not named."""
        if not rows:
            return
        spans, values = dict(self._spans), []
        try:
            for row in rows:
                span = spans.get(row.stream)
                if span is None or not span.rows:
                    start = (starts or {}).get(row.stream, 0)
                    span = Span(start, start, row.at)
                shape = self._shapes.get(row.shape) or self._new_shape(row.shape)
                values.append((row.stream, span.stop, row.at, row.mark, shape, row.values.tobytes(), row.quality.tobytes()))
                spans[row.stream] = Span(span.start, span.stop + 1, span.at)
            with self._db:
                self._db.executemany("INSERT INTO reading VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        except apsw.Error as trouble:
            raise NotReachable("readings not buffered", why=str(trouble), possible="free the disk") from trouble
        self._spans = spans

    def take(self, stream: str, *, skip: int = 0, limit: int = EVERY) -> Rows | None:
        """The first rows of a stream, after so many, that are of one shape, at most `limit`; None where nothing is kept."""
        rows = self._rows("SELECT at, mark, shape, vals, quality FROM reading WHERE stream = ? ORDER BY seq LIMIT ? OFFSET ?", (stream, limit, skip))
        if not rows:
            return None
        numbers = [row[2] for row in rows]
        count = next((at for at, number in enumerate(numbers) if number != numbers[0]), len(rows))
        rows, shape = rows[:count], next(each for each, number in self._shapes.items() if number == numbers[0])
        columns = len(shape.tags)
        return Rows(
            shape.tags,
            shape.units,
            np.array([row[0] for row in rows], dtype=np.int64),
            np.array([row[1] for row in rows], dtype=np.int64),
            np.frombuffer(b"".join(row[3] for row in rows), dtype=np.float64).reshape(-1, columns),
            np.frombuffer(b"".join(row[4] for row in rows), dtype=np.uint8).reshape(-1, columns),
        )

    def streams(self) -> dict[str, Span]:
        """What is kept of each stream that has rows."""
        return {stream: span for stream, span in self._spans.items() if span.rows}

    def drop(self, stream: str, *, before: int) -> None:
        """Forget the rows below number `before`: their block is sealed, stored and noted."""
        self._rows("DELETE FROM reading WHERE stream = ? AND seq < ?", (stream, before))
        span = self._spans.get(stream, Span(before, before, 0))
        left = self._rows("SELECT at FROM reading WHERE stream = ? AND seq >= ? ORDER BY seq LIMIT 1", (stream, before))
        start = min(max(before, span.start), span.stop) if left else before
        self._spans[stream] = Span(start, max(span.stop, start) if left else start, left[0][0] if left else 0)

    def _new_shape(self, shape: Shape) -> int:
        with self._db:
            self._db.execute("INSERT OR IGNORE INTO shape (columns) VALUES (?)", (codec.dumps([list(shape.tags), list(shape.units)]).decode(),))
        self._shapes = {known: number for number, known in self._known_shapes()}
        return self._shapes[shape]

    def _known_shapes(self) -> list[tuple[int, Shape]]:
        rows: list[Any] = self._db.execute("SELECT id, columns FROM shape ORDER BY id").fetchall()
        return [(number, Shape(*map(tuple, codec.loads(str(columns).encode(), what="a shape")))) for number, columns in rows]

    def _counted(self) -> dict[str, Span]:
        rows = self._rows("SELECT stream, min(seq), max(seq) + 1 FROM reading GROUP BY stream", ())
        first = "SELECT at FROM reading WHERE stream = ? AND seq = ?"
        return {str(stream): Span(start, stop, self._rows(first, (stream, start))[0][0]) for stream, start, stop in rows}

    def adopt(self, shapes: dict[str, Shape]) -> None:
        """Take over what an older version kept, in a table of its own; `shapes` says what the columns of each batch are."""
        if not self._rows("SELECT 1 FROM sqlite_master WHERE name = 'row'", ()):
            return
        old = self._rows("SELECT batch, at, vals, quality FROM row ORDER BY batch, at", ())
        kept = [
            Row(batch, milliseconds(time_of_text(at)), Mark.NONE, shapes[batch], np.frombuffer(values), np.frombuffer(quality, np.uint8))
            for batch, at, values, quality in old
            if batch in shapes and batch not in self._spans
        ]
        self.add(kept)
        self._rows("DROP TABLE row", ())

    def _rows(self, sql: str, values: tuple[Any, ...]) -> list[Any]:
        try:
            return self._db.execute(sql, values).fetchall()
        except apsw.Error as trouble:
            raise NotReachable("buffer of readings not usable", why=str(trouble), possible="check the disk") from trouble

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
