"""Gaps in the readings of a batch: what is missing between and within the rows that were kept.

Guarantees: gaps are found in the rows themselves when a block is sealed, so they are noted
together with it, in one commit, and a crash before it loses none of them. The readings of a
batch are its blocks and its gaps: of each tag, the bad readings that a block counts are the
sum of the gaps `lost` noted with it.
Leaves to others: marking rows as they are kept (sites), deciding what a gap means (quality).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntFlag, StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isogenic.records.blocks import BAD, ReadingCounts, ReadingsSealed, chain_faults, time_of_milliseconds
from isogenic.records.facts import fact

__all__ = ["OVERFLOW_BIT", "Cause", "Mark", "ReadingsGap", "Rows", "find_gaps", "readings_faults"]

GAPS_MAX = 64  # facts with one block; a signal that flaps all night is one gap for each tag, with its count
LATE = 1.75  # intervals between two scans from which at least one scan is missing; less is a scan that came late
OVERFLOW_BIT = 0x80  # of a quality byte on its way to a block: the source lost values before this one


class Cause(StrEnum):
    """Why readings are missing."""

    LOST = "lost"  # module or sensor gave no value that could be believed; the rows are there
    LATE = "late"  # the scan came too late
    STOPPED = "stopped"  # the node was not running
    OVERFLOWED = "overflowed"  # a queue was full: the module's, or ours while the disk refused
    CLOCK = "clock"  # the clock was set: the rows are in order, their times are not
    UNSEALED = "unsealed"  # kept once, and gone before they were sealed


class Mark(IntFlag):
    """What a row tells of the time before it. From `DROPPED` on: how many rows a full queue dropped."""

    NONE = 0
    STARTED = 1  # the first since the node started
    STEPPED = 2  # the clock was set since the row before
    DROPPED = 16


@fact("records.readings_gap", subject="batch")
@dataclass(frozen=True, slots=True)
class ReadingsGap:
    """Readings of a batch are missing from `first` to `last`, and why."""

    batch: str
    tags: tuple[str, ...]  # empty: all of the unit
    first: datetime  # `lost`: of the first and the last reading that is missing; else of the rows on either side
    last: datetime
    missing: int  # readings of each of these tags; 0: not known how many
    why: Cause


class Rows(NamedTuple):
    """Rows of one batch, in the order in which they were kept."""

    tags: tuple[str, ...]
    units: tuple[str, ...]
    at: NDArray[np.int64]  # milliseconds since 1970
    marks: NDArray[np.int64]
    values: NDArray[np.float64]  # n x p
    quality: NDArray[np.uint8]  # n x p; OVERFLOW_BIT may be set


def readings_faults(blocks: Sequence[ReadingsSealed], gaps: Sequence[ReadingsGap]) -> list[str]:
    """What is wrong with the readings of one batch by its facts alone: a block or a row that is not there, a bad reading that no gap names."""
    faults = chain_faults(blocks)
    named: Counter[str] = Counter()
    for gap in gaps:
        for tag in gap.tags if gap.why is Cause.LOST else ():
            named[tag] += gap.missing
    counts = ReadingCounts.of(blocks)
    if not any(not block.good for block in blocks):  # version 1 counted nothing
        for tag, bad in zip(counts.tags, counts.bad, strict=True):
            if bad != named[tag]:
                faults.append(f"{bad} readings of {tag} are bad, and the gaps on record name {named[tag]}")
    return faults


class _Found(NamedTuple):
    tags: tuple[str, ...]
    first: int  # milliseconds
    last: int
    missing: int
    why: Cause


def find_gaps(batch: str, rows: Rows, *, before: datetime | None, scan_s: float) -> list[ReadingsGap]:
    """The gaps in rows that are about to be sealed. `before`: time of the batch's last sealed row; `scan_s`: 0 where no interval is promised."""
    last = None if before is None else int(before.timestamp() * 1000)
    found = _bounded([*_between(rows, last, scan_s * 1000), *_overflowed(rows, last), *_lost(rows)])
    return [ReadingsGap(batch, tags, time_of_milliseconds(first), time_of_milliseconds(last), count, why) for tags, first, last, count, why in found]


def _between(rows: Rows, before: int | None, scan_ms: float) -> Iterator[_Found]:
    """Scans that are missing between two rows."""
    first = rows.at[:1] if before is None else [before]
    earlier = np.concatenate([first, rows.at[:-1]])
    steps = rows.at - earlier
    late = steps >= LATE * scan_ms if scan_ms else np.zeros(len(steps), dtype=bool)
    marked = rows.marks != 0
    for row in np.flatnonzero(late | marked | (steps < 0)):
        mark, step = int(rows.marks[row]), int(steps[row])
        dropped = mark // Mark.DROPPED
        missing = max(0, round(step / scan_ms) - 1) if scan_ms else 0
        if dropped:
            why, missing = Cause.OVERFLOWED, dropped
        elif mark & Mark.STEPPED or step < 0:
            why, missing = Cause.CLOCK, 0
        elif mark & Mark.STARTED:
            if step == 0 or (scan_ms and not late[row]):
                continue  # the batch's first row, or a start so quick that no scan was missed
            why = Cause.STOPPED
        else:
            why = Cause.LATE
        yield _Found((), int(earlier[row]), int(rows.at[row]), missing, why)


def _overflowed(rows: Rows, before: int | None) -> Iterator[_Found]:
    """Values that a module's queue lost between two rows: how many, it does not say."""
    hit = (rows.quality & OVERFLOW_BIT) != 0
    for row in np.flatnonzero(hit.any(axis=1)).tolist():
        at = rows.at.item(row)
        earlier = rows.at.item(row - 1) if row else at if before is None else before
        tags = tuple(rows.tags[column] for column in np.flatnonzero(hit[row]))
        yield _Found(tags, earlier, at, 0, Cause.OVERFLOWED)


def _lost(rows: Rows) -> Iterator[_Found]:
    """Runs of rows in which a tag has no value; tags that were lost and came back together are one gap."""
    bad = ((rows.quality & ~np.uint8(OVERFLOW_BIT)) >= BAD) | np.isnan(rows.values)
    runs: dict[tuple[int, int], list[str]] = {}
    for column in np.flatnonzero(bad.any(axis=0)):
        edges = np.diff(np.concatenate([[0], bad[:, column].view(np.int8), [0]]))
        for start, stop in zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True):
            runs.setdefault((start, stop), []).append(rows.tags[column])
    for (start, stop), tags in sorted(runs.items()):
        yield _Found(tuple(tags), int(rows.at[start]), int(rows.at[stop - 1]), stop - start, Cause.LOST)


def _bounded(found: Sequence[_Found]) -> list[_Found]:
    """As they are; or, where there are too many, one for each cause and tag; or one for each cause, as a last resort."""
    if len(found) <= GAPS_MAX:
        return list(found)
    by_tag: dict[tuple[Cause, str], list[_Found]] = {}
    for each in found:
        for tag in each.tags or ("",):
            by_tag.setdefault((each.why, tag), []).append(each)
    # Tags that lost equally many within equal times stay together: a module that flaps takes all its signals with it.
    alike: dict[tuple[Cause, int, int, int], list[str]] = {}
    for (why, tag), gaps in by_tag.items():
        span = min(gap.first for gap in gaps), max(gap.last for gap in gaps)
        alike.setdefault((why, *span, sum(gap.missing for gap in gaps)), []).append(tag)
    return [_Found(tuple(tag for tag in tags if tag), first, last, missing, why) for (why, first, last, missing), tags in alike.items()]
