"""Rows of batches from a CSV or Parquet file, as a study table.

Guarantees: the file is read in pieces and written in pieces, so memory does not grow with it; whatever is wrong is
refused with file, line and column, and then nothing is written; within a batch time goes forward; every number is
finite or missing; the same file gives the same bytes.
Leaves to others: what a column is called and its unit (`mapping`, `indpensim`), where rows are from (`csv_file`,
`parquet_file`), what a cell says (`values`), what cannot be below zero (`floors`).

A study table: one row for each batch and age, the columns `site`, `batch`, `age_h` and the variables; the unit of each
stands in its Parquet field's metadata under `unit`.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from isogenic.errors import NotFound, NotReachable, NotValid, Refusal
from isogenic.sim.importing.csv_file import csv_pieces
from isogenic.sim.importing.floors import Floors
from isogenic.sim.importing.mapping import Layout, Mapping
from isogenic.sim.importing.parquet_file import parquet_pieces
from isogenic.sim.importing.rows import Lines
from isogenic.sim.importing.values import Clock, ages, converted, names
from isogenic.sim.outputs import check_file

__all__ = ["Imported", "import_table"]


@dataclass(frozen=True, slots=True)
class Imported:
    """What was read and written."""

    rows: int
    batches: int
    columns: tuple[str, ...]
    left: tuple[str, ...]  # headings that were not taken
    layout: str

    def __str__(self) -> str:
        left = f"; left out: {_count(len(self.left), 'column')}" if self.left else ""
        counts = f"{_count(self.rows, 'row')} of {_count(self.batches, 'batch', 'batches')}, {_count(len(self.columns), 'variable')}"
        return f"{counts} ({self.layout}){left}"


def import_table(
    source: Path, out: Path, *, mapping: Mapping | None = None, site: str = "", into: dict[str, str] | None = None, spectra: bool = False
) -> Imported:
    """Read `source`, write the study table `out`; refused with file, line and column."""
    if not source.is_file():
        raise NotFound(f"cannot import {source}", why="there is no such file")
    check_file(out, reads=[source], what=f"cannot import {source}")
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        found = _carried(source, part, mapping=mapping, site=site or source.stem, into=into, spectra=spectra)
        part.replace(out)
        return found
    except NotValid as refused:
        raise NotValid(f"cannot import {source.name}", why=str(refused).removeprefix("cannot read the table: ")) from refused
    except Refusal:
        raise
    except (pa.ArrowException, UnicodeDecodeError, csv.Error) as trouble:
        why = str(trouble).splitlines()[0][:200] if str(trouble) else type(trouble).__name__
        raise NotValid(f"cannot import {source.name}", why=why) from trouble
    except OSError as trouble:
        if trouble.errno:  # the disk; without a number it is the reader of Parquet that gave up
            raise NotReachable(f"cannot import {source.name}", why=str(trouble.strerror)) from trouble
        raise NotValid(f"cannot import {source.name}", why=str(trouble).splitlines()[0][:200]) from trouble
    finally:
        part.unlink(missing_ok=True)


def _carried(source: Path, part: Path, *, mapping: Mapping | None, site: str, into: dict[str, str] | None, spectra: bool) -> Imported:
    with source.open("rb") as stream:
        parquet = stream.read(4) == b"PAR1"
    pieces, layout, kind = (parquet_pieces if parquet else csv_pieces)(source, mapping=mapping, into=into, spectra=spectra)
    if not layout.columns:
        raise NotValid("cannot read the table", why="beside batch and time it has no column that is taken", possible="at least one variable")
    kinds = [pa.float32() if layout.wide and each.name.startswith("raman_") else pa.float64() for each in layout.columns]
    schema = pa.schema(
        [pa.field("site", pa.string()), pa.field("batch", pa.string()), pa.field("age_h", pa.float64(), metadata={"unit": "h"})]
        + [pa.field(each.name, of, metadata={"unit": each.unit}) for each, of in zip(layout.columns, kinds, strict=True)]
    )
    clock, floors, rows = Clock(), Floors(layout.columns), 0
    with pq.ParquetWriter(part, schema, compression="zstd") as writer:
        for piece, lines in pieces:
            writer.write_batch(_converted(piece, lines, layout, schema, clock=clock, floors=floors, site=site))
            rows += piece.num_rows
    if not rows:
        raise NotValid("cannot read the table", why="it has no rows")
    floors.check()
    return Imported(rows, len(clock.last), tuple(each.name for each in layout.columns), layout.left, kind)


def _converted(piece: pa.RecordBatch, lines: Lines, layout: Layout, schema: pa.Schema, *, clock: Clock, floors: Floors, site: str) -> pa.RecordBatch:
    batches = names(piece.column(layout.batch), lines, layout.headings[layout.batch])
    sites = [site] * piece.num_rows if layout.site is None else names(piece.column(layout.site), lines, layout.headings[layout.site])
    arrays = [pa.array(sites), pa.array(batches), pa.array(ages(piece, list(zip(sites, batches, strict=True)), lines, layout, clock=clock))]
    for each, of in zip(layout.columns, schema.types[3:], strict=True):
        values = converted(piece.column(each.at), lines, each, of)
        floors.note(each, values, lines)
        arrays.append(pa.array(values, from_pandas=True))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
