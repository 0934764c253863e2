"""Rows of batches from a CSV or Parquet file, as a study table.

Guarantees: the file is read in pieces and written in pieces, so memory does not grow with it; whatever is wrong is
refused with file, line and column, and then nothing is written; within a batch time goes forward; every number is
finite or missing; the same file gives the same bytes.
Leaves to others: what a column is called and its unit (`mapping`, `indpensim`).

A study table: one row for each batch and age, the columns `site`, `batch`, `age_h` and the variables; the unit of each
stands in its Parquet field's metadata under `unit`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from isogenic.errors import NotFound, NotReachable, NotValid, Refusal
from isogenic.sim.importing.indpensim import is_indpensim, layout_of, mended
from isogenic.sim.importing.mapping import Layout, Mapping, laid_out
from isogenic.units import converter

__all__ = ["Imported", "import_table"]

BLOCK_BYTES = 4 << 20  # a piece of a CSV file; a line must fit in it
ROWS_AT_ONCE = 4096  # of a Parquet file; of 2,200 channels that is 36 MB
HEAD_BYTES = 1 << 20  # the first two lines
BATCHES_MAX = 100_000  # names that are remembered, to see that time goes forward
BATCH_NAME_MAX = 100
NULLS = ["", "NaN", "nan", "NA", "N/A", "null", "NULL"]


@dataclass(frozen=True, slots=True)
class Imported:
    """What was read and written."""

    rows: int
    batches: int
    columns: tuple[str, ...]
    left: tuple[str, ...]  # headings that were not taken
    layout: str

    def __str__(self) -> str:
        left = f"; left out: {len(self.left)} columns" if self.left else ""
        return f"{self.rows} rows of {self.batches} batches, {len(self.columns)} variables ({self.layout}){left}"


@dataclass(slots=True)
class Clock:
    """How far each batch has come."""

    last: dict[str, float] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)


def import_table(
    source: Path, out: Path, *, mapping: Mapping | None = None, site: str = "", into: dict[str, str] | None = None, spectra: bool = False
) -> Imported:
    """Read `source`, write the study table `out`; refused with file, line and column."""
    if not source.is_file():
        raise NotFound(f"cannot import {source}", why="there is no such file")
    if out.exists() and source.samefile(out):
        raise NotValid(f"cannot import {source}", why="it would be written over itself")
    part = out.with_name(out.name + ".part")
    try:
        found = _carried(source, part, mapping=mapping, site=site or source.stem, into=into, spectra=spectra)
        part.replace(out)
        return found
    except NotValid as refused:
        raise NotValid(f"cannot import {source.name}", why=str(refused).removeprefix("cannot read the table: ")) from refused
    except Refusal:
        raise
    except (pa.ArrowException, UnicodeDecodeError, csv.Error) as trouble:
        raise NotValid(
            f"cannot import {source.name}", why=str(trouble).splitlines()[0][:200] if str(trouble) else type(trouble).__name__
        ) from trouble
    except OSError as trouble:
        if trouble.errno:  # the disk; without a number it is the reader of Parquet that gave up
            raise NotReachable(f"cannot import {source.name}", why=str(trouble.strerror)) from trouble
        raise NotValid(f"cannot import {source.name}", why=str(trouble).splitlines()[0][:200]) from trouble
    finally:
        part.unlink(missing_ok=True)


def _carried(source: Path, part: Path, *, mapping: Mapping | None, site: str, into: dict[str, str] | None, spectra: bool) -> Imported:
    with source.open("rb") as stream:
        parquet = stream.read(4) == b"PAR1"
    pieces, layout, kind = (_parquet if parquet else _csv)(source, mapping=mapping, into=into, spectra=spectra)
    kinds = [pa.float32() if layout.wide and each.name.startswith("raman_") else pa.float64() for each in layout.columns]
    schema = pa.schema(
        [pa.field("site", pa.string()), pa.field("batch", pa.string()), pa.field("age_h", pa.float64(), metadata={"unit": "h"})]
        + [pa.field(each.name, of, metadata={"unit": each.unit}) for each, of in zip(layout.columns, kinds, strict=True)]
    )
    clock, rows = Clock(), 0
    with pq.ParquetWriter(part, schema, compression="zstd") as writer:
        for piece, lines in pieces:
            writer.write_batch(_converted(piece, lines, layout, schema, clock=clock, site=site))
            rows += piece.num_rows
    if not rows:
        raise NotValid("cannot read the table", why="it has no rows")
    return Imported(rows, len(clock.last), tuple(each.name for each in layout.columns), layout.left, kind)


Pieces = Iterator[tuple[pa.RecordBatch, "Lines"]]


@dataclass(frozen=True, slots=True)
class Lines:
    """Which line of the file (row, of Parquet) each row of a piece is."""

    numbers: np.ndarray[Any, np.dtype[np.int64]]

    def of(self, row: int) -> int:
        return int(self.numbers[row])


def _csv(source: Path, *, mapping: Mapping | None, into: dict[str, str] | None, spectra: bool) -> tuple[Pieces, Layout, str]:
    with source.open("rb") as stream:
        head = stream.read(HEAD_BYTES + 1)
    first, second, third = _head(head)
    if mapping is None and is_indpensim(first):
        headings = mended(first, width=len(second))
        return _rows(source, headings, skip=1), layout_of(headings, spectra=spectra), "IndPenSim layout"
    said = second if _is_units(second, third) and len(second) == len(first) else ()
    return _rows(source, first, skip=2 if said else 1), laid_out(first, mapping=mapping or Mapping(), said=said, into=into), "CSV table"


def _head(head: bytes) -> tuple[list[str], list[str], list[str]]:
    if b"\x00" in head:
        raise NotValid("cannot read the table", why="it holds zero bytes, so it is no text", possible="CSV in UTF-8, or Parquet")
    lines = head.split(b"\n", 3)[:3]
    if len(head) > HEAD_BYTES and len(head.split(b"\n", 2)) < 3:
        raise NotValid("cannot read the table", why=f"its first two lines are longer than {HEAD_BYTES} bytes")
    try:
        texts = [line.decode("utf-8-sig" if at == 0 else "utf-8").rstrip("\r") for at, line in enumerate(lines)]
    except UnicodeDecodeError as trouble:
        raise NotValid("cannot read the table", why=f"it is not text in UTF-8: {trouble.reason}", possible="save it as UTF-8") from trouble
    if not texts or not texts[0].strip():
        raise NotValid("cannot read the table", why="line 1 is empty", possible="a first line with the names of the columns")
    rows = [next(csv.reader(io.StringIO(text)), []) for text in texts] + [[], []]
    return rows[0], rows[1], rows[2]


def _is_units(second: Sequence[str], third: Sequence[str]) -> bool:
    """Whether the second line holds units: above the numbers of the third stand texts, at least one that is not the unit 1."""
    above = [one.strip() for one, other in zip(second, third, strict=False) if _number(other)]
    return any(each not in ("", "1") for each in above) and not any(_number(each) for each in above if each != "1")


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _rows(source: Path, headings: Sequence[str], *, skip: int) -> Pieces:
    names = [str(at) for at in range(len(headings))]
    try:
        reader = pa_csv.open_csv(
            source,
            read_options=pa_csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, skip_rows=skip, column_names=names),
            parse_options=pa_csv.ParseOptions(ignore_empty_lines=False),  # so that a row knows its line
            convert_options=pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid as trouble:
        if "Empty CSV file" in str(trouble):
            raise NotValid("cannot read the table", why="it has no rows") from trouble
        raise
    before = 0
    for piece in reader:
        numbers = skip + 1 + before + np.arange(piece.num_rows, dtype=np.int64)
        before += piece.num_rows
        empty = np.ones(len(numbers), dtype=bool)
        for column in piece.columns:
            empty &= pc.equal(column, "").to_numpy(zero_copy_only=False)
            if not empty.any():
                break
        if not empty.all():
            yield piece.filter(pa.array(~empty)), Lines(numbers[~empty])


def _parquet(source: Path, *, mapping: Mapping | None, into: dict[str, str] | None, spectra: bool) -> tuple[Pieces, Layout, str]:
    file = pq.ParquetFile(source)
    headings = file.schema_arrow.names
    if mapping is None and is_indpensim(headings):
        layout, kind = layout_of(headings, spectra=spectra), "IndPenSim layout"
    else:
        said = [(each.metadata or {}).get(b"unit", b"").decode("utf-8", "replace") for each in file.schema_arrow]
        layout, kind = laid_out(headings, mapping=mapping or Mapping(), said=said, into=into), "Parquet table"
    return _groups(file, layout), layout, kind


def _groups(file: pq.ParquetFile, layout: Layout) -> Pieces:
    wanted = [layout.batch, layout.time, layout.site, *(each.at for each in layout.columns)]
    names = [layout.headings[at] for at in wanted if at is not None]
    if len(set(layout.headings)) != len(layout.headings):
        raise NotValid("cannot read the table", why="two columns have the same heading", possible="headings that differ")
    before = 0
    for piece in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=names):
        at_of = {name: at for at, name in enumerate(piece.schema.names)}
        arrays = [piece.column(at_of[name]) if name in at_of else pa.nulls(piece.num_rows) for name in layout.headings]
        yield (
            pa.RecordBatch.from_arrays(arrays, names=[str(at) for at in range(len(arrays))]),
            Lines(1 + before + np.arange(piece.num_rows, dtype=np.int64)),
        )
        before += piece.num_rows


def _converted(piece: pa.RecordBatch, lines: Lines, layout: Layout, schema: pa.Schema, *, clock: Clock, site: str) -> pa.RecordBatch:
    names = _names(piece.column(layout.batch), lines, layout.headings[layout.batch])
    ages = _ages(piece, names, lines, layout, clock=clock)
    sites = (
        pa.array([site] * piece.num_rows) if layout.site is None else pa.array(_names(piece.column(layout.site), lines, layout.headings[layout.site]))
    )
    arrays = [sites, pa.array(names), pa.array(ages)]
    for each, of in zip(layout.columns, schema.types[3:], strict=True):
        values = _numbers(piece.column(each.at), lines, each.at, layout.headings[each.at])
        with np.errstate(over="ignore"):
            values = converter(each.source, each.unit)(values)  # type: ignore[arg-type, assignment]  # works on arrays as it stands
            values = values.astype(of.to_pandas_dtype())
        if np.isinf(values).any():
            raise _wrong(lines, int(np.flatnonzero(np.isinf(values))[0]), each.at, each.heading, "a number that is too large")
        arrays.append(pa.array(values, from_pandas=True))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _names(column: pa.Array, lines: Lines, heading: str) -> list[str]:
    out = []
    for row, value in enumerate(column.to_pylist()):
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        text = "" if value is None else str(value).strip()
        if not text or text in NULLS or len(text) > BATCH_NAME_MAX or not text.isprintable():
            raise NotValid(
                "cannot read the table",
                why=f"line {lines.of(row)}, column {heading[:60]}: {text[:20]!r} names nothing",
                possible=f"1 to {BATCH_NAME_MAX} characters",
            )
        out.append(text)
    return out


def _ages(piece: pa.RecordBatch, names: Sequence[str], lines: Lines, layout: Layout, *, clock: Clock) -> np.ndarray[Any, np.dtype[np.float64]]:
    if layout.time is None:
        out = np.empty(len(names))
        for row, name in enumerate(names):
            out[row] = clock.counted.get(name, 0) * layout.every_h
            clock.counted[name] = clock.counted.get(name, 0) + 1
    else:
        heading = layout.headings[layout.time]
        values = _numbers(piece.column(layout.time), lines, layout.time, heading)
        if np.isnan(values).any():
            raise _wrong(lines, int(np.flatnonzero(np.isnan(values))[0]), layout.time, heading, "nothing, where every row needs its time")
        out = converter(layout.time_unit, "h")(values)  # type: ignore[arg-type, assignment]  # works on arrays as it stands
    for row, (name, age) in enumerate(zip(names, out.tolist(), strict=True)):
        before = clock.last.get(name)
        if before is not None and not age > before:
            raise NotValid(
                "cannot read the table",
                why=f"line {lines.of(row)}: batch {name[:40]} is at {age:g} h after {before:g} h",
                possible="rows of a batch in the order of time",
            )
        clock.last[name] = age
    if len(clock.last) > BATCHES_MAX:
        raise NotValid("cannot read the table", why=f"it has more than {BATCHES_MAX} batches", possible="another column as the batch, or parts of it")
    return out


def _numbers(column: pa.Array, lines: Lines, at: int, heading: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        texts = pc.utf8_trim_whitespace(column)
        texts = pc.if_else(pc.is_in(texts, value_set=pa.array(NULLS, texts.type)), pa.scalar(None, texts.type), texts)
        try:
            column = pc.cast(texts, pa.float64())
        except pa.ArrowInvalid as trouble:
            row = next((row for row, text in enumerate(texts.to_pylist()) if text is not None and not _castable(text)), 0)
            raise _wrong(lines, row, at, heading, f"{str(texts[row])[:40]!r}, which is no number") from trouble
    elif not (
        pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type) or pa.types.is_null(column.type)
    ):
        raise _wrong(lines, 0, at, heading, f"values of type {column.type}, which are no numbers")
    values: np.ndarray[Any, np.dtype[np.float64]] = pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    if np.isinf(values).any():
        raise _wrong(lines, int(np.flatnonzero(np.isinf(values))[0]), at, heading, "a number that is not finite")
    return values


def _castable(text: str) -> bool:
    try:
        pc.cast(pa.array([text]), pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def _wrong(lines: Lines, row: int, at: int, heading: str, found: str) -> NotValid:
    return NotValid(
        "cannot read the table",
        why=f"line {lines.of(row)}, column {at + 1} ({heading[:60]}) has {found}",
        possible="a finite number, or nothing where none was measured",
    )
