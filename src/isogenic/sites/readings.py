"""A site's readings, from the scan to the sealed block: buffered, sealed while the batch runs and at its end, never twice.

    keep (buffer, group commit) -> due? -> block stored -> fact noted (with its gaps) -> rows forgotten

Guarantees: a crash between any two of these steps loses no row and seals none twice: what
the newest `readings_sealed` covers is not sealed again, and rows are forgotten only after it.
Every row of a batch stands in exactly one block, numbered without a gap; a block comes no
later than `block_s` after its first row, or earlier by its size. What is missing between
the rows is noted in the same commit as the block (records.gaps). A disk that refuses rows
stops nothing: they wait in a queue, and what it cannot hold is a gap with its count.
Readings of a batch go to the sponsor's ledger, measurements between batches to the house's:
without set-points, because those still in force are of the last sponsor's recipe (I7).
Leaves to others: when to scan and how to note (node), sending (courier), the file's form (records.blocks).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from isogenic.batches.engine import BatchState
from isogenic.errors import NotReachable
from isogenic.ids import BatchId, UnitId
from isogenic.plant.model import Role, Signal, Unit
from isogenic.plant.readings import Frame
from isogenic.records.blobs import BlobStore
from isogenic.records.blocks import ReadingCounts, ReadingsSealed, milliseconds, quality_counts, seal, seal_house
from isogenic.records.facts import Payload
from isogenic.records.gaps import OVERFLOW_BIT, Cause, Mark, ReadingsGap, Rows, find_gaps
from isogenic.sites.hot import HotBuffer, Row, Shape
from isogenic.sites.state import SiteState

__all__ = ["Readings", "ReadingsPlan"]

HOUSE = "HOUSE/"  # and the unit: the stream of a unit on which no batch runs; no batch can be called so
QUEUE_BYTES_MAX = 64 * 1024 * 1024  # rows that wait for a disk that refuses: ten minutes of 10 units with 50 signals at 10 Hz


@dataclass(frozen=True, slots=True)
class ReadingsPlan:
    """How readings are kept."""

    block_samples: int = 1_000_000  # values in a block: half an hour of 50 signals at 10 Hz, some 3 MB, sealed between two scans
    block_s: float = 86_400.0  # a day: what the control site does not hold yet is bounded, and a slow site's blocks are worth their headers
    sync_s: float = 1.0  # process time between two commits, which a crash may take; one for each scan at 10 Hz would cost more than the scan
    idle_s: float = 60.0  # process time between two rows that are kept while no batch runs; 0: none are
    scan_s: float = 0.0  # the interval that scans are held to; 0: none is promised, so none can be late


class Readings:
    """Keeps and seals the readings of one site."""

    def __init__(
        self, hot: HotBuffer, blobs: BlobStore, plan: ReadingsPlan, *, state: Callable[[], SiteState], note: Callable[[Sequence[Payload]], Any]
    ) -> None:
        """`state` gives the folded facts as they are now; `note` notes payloads, durably."""
        self.hot, self.blobs, self.plan, self._state, self._note = hot, blobs, plan, state, note
        self._shapes: dict[UnitId, tuple[Shape, list[int], Shape, list[int]]] = {}
        self._queue: deque[Row] = deque()
        self._queued = 0  # bytes
        self._dropped: dict[str, int] = {}  # rows of each stream that the queue could not hold since the last that it took
        self._known: dict[str, int] = {}  # time of the newest row of each stream since the node started
        self._synced = 0
        self._due: set[BatchId] = set()  # closed, and not sealed to the end
        self._refused: NotReachable | None = None  # why the newest rows wait in memory

    @property
    def trouble(self) -> str:
        """Why the newest readings are in memory only; empty where they reach the disk."""
        return "" if self._refused is None else str(self._refused)

    # ---- keeping ----

    def keep(self, frame: Frame, running: Sequence[BatchState], *, stepped: bool = False) -> None:
        """Keep one scan. Never refuses: what the disk does not take waits, and what cannot wait is a gap."""
        at, busy = milliseconds(frame.at), set()
        for batch in running:
            units = tuple(unit for unit in batch.holds() if unit in self._state().plant.units)
            busy |= set(units)
            shape, columns = self._of_units(units, frame)
            self._enqueue(str(batch.control.batch), at, shape, frame, columns, stepped=stepped)
        for unit, known in self._state().plant.units.items():
            stream = HOUSE + unit
            if unit not in busy and self.plan.idle_s and not 0 <= at - self._known.get(stream, -1 << 60) < 1000 * self.plan.idle_s:
                *_, shape, columns = self._columns(known, frame)
                self._enqueue(stream, at, shape, frame, columns, stepped=stepped)
        if 0 <= at - self._synced < 1000 * self.plan.sync_s:
            return  # group commit
        try:
            self._write()
            self._refused = None
        except NotReachable as refusal:
            self._refused = refusal

    def _columns(self, unit: Unit, frame: Frame) -> tuple[Shape, list[int], Shape, list[int]]:
        """Of a unit: all its signals, and its measurements; each with where they stand in a frame."""
        if unit.id not in self._shapes:
            every = _shape(unit.signals.values())
            measured = _shape(signal for signal in unit.signals.values() if signal.cls.role is not Role.SETPOINT)
            columns = [[frame.index.column[tag] for tag in shape.tags] for shape in (every, measured)]
            self._shapes[unit.id] = (every, columns[0], measured, columns[1])
        return self._shapes[unit.id]

    def _of_units(self, units: tuple[UnitId, ...], frame: Frame) -> tuple[Shape, list[int]]:
        """All signals of the units that a batch has: another unit gives the next rows another shape."""
        found = [self._columns(self._state().plant.units[unit], frame) for unit in units]
        if len(found) == 1:
            return found[0][0], found[0][1]
        shape = Shape(tuple(tag for each in found for tag in each[0].tags), tuple(unit for each in found for unit in each[0].units))
        return shape, [column for each in found for column in each[1]]

    def _enqueue(self, stream: str, at: int, shape: Shape, frame: Frame, columns: list[int], *, stepped: bool) -> None:
        if not columns:
            return
        quality = frame.quality[columns]
        if frame.overflowed:
            quality = quality | np.array([OVERFLOW_BIT * (tag in frame.overflowed) for tag in shape.tags], dtype=np.uint8)
        mark = Mark.STARTED * (stream not in self._known) | Mark.STEPPED * stepped
        row = Row(stream, at, int(mark), shape, frame.values[columns], quality)
        size = row.values.nbytes + row.quality.nbytes
        if self._queued + size > QUEUE_BYTES_MAX:
            self._dropped[stream] = self._dropped.get(stream, 0) + 1
            return
        dropped = self._dropped.pop(stream, 0)
        self._queue.append(row._replace(mark=row.mark + dropped * Mark.DROPPED))
        self._queued += size
        self._known[stream] = at

    def _write(self) -> None:
        """Bring what waits to the disk."""
        if not self._queue:
            return
        rows, kept = list(self._queue), self.hot.streams()
        self.hot.add(rows, starts={row.stream: self._sealed_rows(row.stream) for row in rows if row.stream not in kept})
        self._queue.clear()
        self._queued = 0
        self._synced = rows[-1].at

    def flush(self) -> None:
        """Bring every row that was kept to the disk, as before a batch is closed or the node ends; what it refuses waits."""
        try:
            self._write()
        except NotReachable as refusal:
            self._refused = refusal

    # ---- counting ----

    def counts(self, batch: BatchId) -> ReadingCounts:
        """How many readings of a batch were kept so far, sealed or not: what its closing claims."""
        counts = ReadingCounts.of(self._state().sealed.get(batch, ()))
        span = self.hot.streams().get(str(batch))
        done = 0
        while span is not None and done < span.rows:
            rows = self.hot.take(str(batch), skip=done)
            if rows is None:
                break
            counts = counts.plus(len(rows.at), rows.tags, quality_counts(rows.values, rows.quality & ~np.uint8(OVERFLOW_BIT)))
            done += len(rows.at)
        for row in self._queue:
            if row.stream == batch:
                some = quality_counts(row.values[None, :], row.quality[None, :] & ~np.uint8(OVERFLOW_BIT))
                counts = counts.plus(1, row.shape.tags, some)
        return counts

    def _sealed_rows(self, stream: str) -> int:
        if stream.startswith(HOUSE):
            house = self._state().house_sealed.get(UnitId(stream.removeprefix(HOUSE)))
            return 0 if house is None else house.start + house.rows
        sealed = self._state().sealed.get(BatchId(stream), ())
        return sealed[-1].start + sealed[-1].rows if sealed else 0

    # ---- sealing ----

    def settle(self) -> None:
        """After a start: forget rows that are sealed already, and find the batches that were closed and not sealed to the end."""
        state = self._state()
        units = {str(batch): state.plant.units.get(each.control.unit) for batch, each in state.batches.items()}
        self.hot.adopt({batch: _shape(unit.signals.values()) for batch, unit in units.items() if unit is not None})
        for stream in self.hot.streams():
            self._forget_sealed(stream)
        for batch, each in state.batches.items():
            if each.closed and (str(batch) in self.hot.streams() or (state.sealed.get(batch) and not state.sealed[batch][-1].ends)):
                self._due.add(batch)

    def _forget_sealed(self, stream: str) -> None:
        """Forget rows that are in a block, as an older buffer that was put back has them; of a batch whose last block is sealed, all."""
        span, sealed = self.hot.streams().get(stream), self._sealed_rows(stream)
        blocks = () if stream.startswith(HOUSE) else self._state().sealed.get(BatchId(stream), ())
        before = span.stop if span and blocks and blocks[-1].ends else sealed
        if span is not None and span.start < max(before, sealed):
            self.hot.drop(stream, before=max(before, sealed))

    def close(self, batch: BatchId) -> None:
        """A batch is over: what is left of its readings is sealed."""
        self._due.add(batch)

    def seal_due(self, now: datetime) -> None:
        """Seal closed batches to their end, and one block more that is due: so the next scan waits for one at most.

        What a full disk prevents now is tried again at the next scan.
        """
        if self._refused is not None:
            raise self._refused  # only now: set-points are out, and the rows wait
        for batch in sorted(self._due):
            self._write()
            while self._seal(str(batch), ends=True):
                pass
            self._end(batch, now)
            self._due.discard(batch)
        at = milliseconds(now)
        for stream, span in self.hot.streams().items():
            cells = span.rows * self._width(stream)
            if cells >= self.plan.block_samples or not -1 <= at - span.at < 1000 * self.plan.block_s:
                self._seal(stream, ends=False)
                break

    def _width(self, stream: str) -> int:
        state = self._state()
        units = (UnitId(stream.removeprefix(HOUSE)),) if stream.startswith(HOUSE) else state.batches[BatchId(stream)].ever_held()
        return max(1, sum(len(state.plant.units[unit].signals) for unit in units if unit in state.plant.units))

    def seal_all(self, batch: BatchId) -> list[ReadingsSealed]:
        """Seal what is kept of one batch now, whatever is due; gives the blocks."""
        before = len(self._state().sealed.get(batch, ()))
        self._write()
        while self._seal(str(batch), ends=batch in self._state().batches and self._state().batches[batch].closed):
            pass
        return list(self._state().sealed.get(batch, ())[before:])

    def _seal(self, stream: str, *, ends: bool) -> bool:
        """Seal one block; False if nothing was kept."""
        self._forget_sealed(stream)
        rows = self.hot.take(stream, limit=max(1, self.plan.block_samples // self._width(stream)))
        if rows is None:
            return False
        start, whole = self._sealed_rows(stream), len(rows.at) == self.hot.streams()[stream].rows
        data, facts = self._house_block(stream, rows, start) if stream.startswith(HOUSE) else self._block(stream, rows, start, ends=ends and whole)
        self.blobs.put(data)
        self._note(facts)  # one commit: a block and what is missing in it
        self.hot.drop(stream, before=start + len(rows.at))
        return True

    def _block(self, stream: str, rows: Rows, start: int, *, ends: bool) -> tuple[bytes, list[Payload]]:
        before = self._state().sealed.get(BatchId(stream), ())
        data, sealed = seal(
            batch=stream,
            tags=rows.tags,
            units=rows.units,
            times=rows.at,
            values=rows.values,
            quality=rows.quality & ~np.uint8(OVERFLOW_BIT),
            number=before[-1].number + 1 if before else 1,
            start=start,
            ends=ends,
        )
        return data, [*find_gaps(stream, rows, before=before[-1].last if before else None, scan_s=self.plan.scan_s), sealed]

    def _house_block(self, stream: str, rows: Rows, start: int) -> tuple[bytes, list[Payload]]:
        unit = UnitId(stream.removeprefix(HOUSE))
        before = self._state().house_sealed.get(unit)
        data, sealed = seal_house(
            unit=unit,
            tags=rows.tags,
            units=rows.units,
            times=rows.at,
            values=rows.values,
            quality=rows.quality & ~np.uint8(OVERFLOW_BIT),
            number=before.number + 1 if before else 1,
            start=start,
        )
        return data, [sealed]

    def _end(self, batch: BatchId, now: datetime) -> None:
        """Every row is in a block. Where the last of them does not end the batch, its rows are gone: that is a gap too."""
        sealed = self._state().sealed.get(batch, ())
        ended = any(gap.why is Cause.UNSEALED for gap in self._state().gaps.get(batch, ()))
        if sealed and not sealed[-1].ends and not ended:
            self._note([ReadingsGap(str(batch), (), sealed[-1].last, max(now, sealed[-1].last), 0, Cause.UNSEALED)])


def _shape(signals: Iterable[Signal]) -> Shape:
    some = list(signals)
    return Shape(tuple(signal.tag for signal in some), tuple(signal.cls.unit for signal in some))
