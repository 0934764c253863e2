"""What the cells of a table say: names, ages, numbers.

Guarantees: a number is finite or missing; within a batch of a site time goes forward, and no age is beyond a century; a
yes or no is a number only where its unit is 1; a date is no age. What is not so is refused with its line and column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from isogenic.errors import NotValid
from isogenic.sim.importing.mapping import Column, Layout
from isogenic.sim.importing.rows import Lines, wrong
from isogenic.units import converter

__all__ = ["Clock", "Numbers", "ages", "converted", "names"]

Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
BATCHES_MAX = 100_000  # names that are remembered, to see that time goes forward
NAME_MAX = 100
AGE_MAX_H = 1e6  # a century
NULLS = ["", "NaN", "nan", "NA", "N/A", "null", "NULL"]
SINCE_START = "hours (or another unit of time) since the batch began, as a number"


@dataclass(slots=True)
class Clock:
    """How far each batch of each site has come."""

    last: dict[tuple[str, str], float] = field(default_factory=dict)
    counted: dict[tuple[str, str], int] = field(default_factory=dict)


def names(column: pa.Array, lines: Lines, heading: str) -> list[str]:
    """Names of batches or sites."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or _is_number(column.type)):
        raise NotValid("cannot read the table", why=f"column {heading[:60]} has values of type {str(column.type)[:60]}, which name nothing")
    out = []
    for row, value in enumerate(column.to_pylist()):
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        text = "" if value is None else str(value).strip()
        if not text or text in NULLS or len(text) > NAME_MAX or not text.isprintable():
            raise NotValid(
                "cannot read the table",
                why=f"line {lines.of(row)}, column {heading[:60]}: {text[:20]!r} names nothing",
                possible=f"1 to {NAME_MAX} characters",
            )
        out.append(text)
    return out


def ages(piece: pa.RecordBatch, keys: Sequence[tuple[str, str]], lines: Lines, layout: Layout, *, clock: Clock) -> Numbers:
    """The age of each row, whose site and batch are its key."""
    if layout.time is None:
        out = np.empty(len(keys))
        for row, key in enumerate(keys):
            out[row] = clock.counted.get(key, 0) * layout.every_h
            clock.counted[key] = clock.counted.get(key, 0) + 1
        at, heading = 0, "every"
    else:
        at, heading = layout.time, layout.headings[layout.time]
        column = piece.column(at)
        if pa.types.is_temporal(column.type):
            raise wrong(lines.of(0), at, heading, f"dates ({column.type}), which are no ages", possible=SINCE_START)
        values = _numbers(column, lines, at, heading)
        if np.isnan(values).any():
            raise wrong(lines.of(int(np.flatnonzero(np.isnan(values))[0])), at, heading, "nothing, where every row needs its time")
        with np.errstate(over="ignore"):
            out = converter(layout.time_unit, "h")(values)  # type: ignore[arg-type, assignment]  # works on arrays as it stands
    far = np.flatnonzero(~(np.abs(out) <= AGE_MAX_H))
    if len(far):
        raise wrong(
            lines.of(int(far[0])), at, heading, f"an age of {out[far[0]]:g} h", possible=f"up to {AGE_MAX_H:g} h, counted from the batch's start"
        )
    for row, (key, age) in enumerate(zip(keys, out.tolist(), strict=True)):
        before = clock.last.get(key)
        if before is not None and not age > before:
            raise NotValid(
                "cannot read the table",
                why=f"line {lines.of(row)}: batch {key[1][:40]} is at {age:g} h after {before:g} h",
                possible="rows of a batch in the order of time",
            )
        clock.last[key] = age
    if len(clock.last) > BATCHES_MAX:
        raise NotValid("cannot read the table", why=f"it has more than {BATCHES_MAX} batches", possible="another column as the batch, or parts of it")
    return out


def converted(column: pa.Array, lines: Lines, each: Column, of: pa.DataType) -> Numbers:
    """The numbers of a column in the unit that is asked for."""
    if pa.types.is_boolean(column.type) and each.source != "1":
        possible = "numbers, or the unit 1 where it says whether something is so"
        raise wrong(lines.of(0), each.at, each.heading, f"yes or no in {each.source}", possible=possible)
    values = _numbers(column, lines, each.at, each.heading)
    with np.errstate(over="ignore"):
        values = converter(each.source, each.unit)(values)  # type: ignore[arg-type, assignment]  # works on arrays as it stands
        values = values.astype(of.to_pandas_dtype())
    if np.isinf(values).any():
        raise wrong(lines.of(int(np.flatnonzero(np.isinf(values))[0])), each.at, each.heading, "a number that is too large")
    return values


def _numbers(column: pa.Array, lines: Lines, at: int, heading: str) -> Numbers:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        texts = pc.utf8_trim_whitespace(column)
        texts = pc.if_else(pc.is_in(texts, value_set=pa.array(NULLS, texts.type)), pa.scalar(None, texts.type), texts)
        try:
            column = pc.cast(texts, pa.float64())
        except pa.ArrowInvalid as trouble:
            row = next((row for row, text in enumerate(texts.to_pylist()) if text is not None and not _castable(text)), 0)
            raise wrong(lines.of(row), at, heading, f"{str(texts[row])[:40]!r}, which is no number") from trouble
    elif not (_is_number(column.type) or pa.types.is_boolean(column.type) or pa.types.is_null(column.type)):
        raise wrong(lines.of(0), at, heading, f"values of type {str(column.type)[:60]}, which are no numbers")
    values: Numbers = pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    if np.isinf(values).any():
        raise wrong(lines.of(int(np.flatnonzero(np.isinf(values))[0])), at, heading, "a number that is not finite")
    return values


def _is_number(of: pa.DataType) -> bool:
    return bool(pa.types.is_integer(of) or pa.types.is_floating(of) or pa.types.is_decimal(of))


def _castable(text: str) -> bool:
    try:
        pc.cast(pa.array([text]), pa.float64())
    except pa.ArrowInvalid:
        return False
    return True
