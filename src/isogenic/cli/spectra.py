"""Tables of spectra, as the verbs on soft sensors read them.

Two forms of Parquet: a column for each wave number (its name is the number), or one column `spectrum` of lists, whose
metadata says `wave_numbers` as FIRST:LAST:STEP, as studies write it. Beside them a column that names the batch and,
where there are samples, columns of reference values with their `unit` in the metadata.

Guarantees: a refusal names the file and what is missing; a unit comes from the table or from the user, and where both
say one they agree: none is assumed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from isogenic.errors import NotFound, NotValid
from isogenic.monitoring.soft_sensors import Spectra

__all__ = ["Rows", "read_spectra", "unit_of"]

TABLE_BYTES_MAX = 2_000_000_000  # what one process can hold in memory
NUMBERS_MAX = 20_000  # wave numbers
LISTS = "spectrum"


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows of a table are meant."""

    batch: str = "batch"  # the column that names the batch
    site: str = ""  # only rows of this site, by the column `site`
    skip: int = 0  # batches, in the table's order
    batches: int = 0  # at most so many after those; 0: all


def read_spectra(
    path: Path, rows: Rows, *, reference: str = "", low: float = 0.0, high: float = 1e9, channels: tuple[float, ...] | None = None
) -> tuple[Spectra, str]:
    """The rows of a table and the unit of its reference values ("": it says none); with `channels`, over exactly those."""
    what = f"cannot use {path}"
    table = _chosen(_table(path), rows, what=what)
    wave_numbers, values = _spectra(table, what=what)
    keep = (wave_numbers >= low) & (wave_numbers <= high) if channels is None else np.isin(wave_numbers, channels)
    wave_numbers, values = wave_numbers[keep], values[:, keep]
    if channels is not None and tuple(wave_numbers) != channels:
        missing = sorted(set(channels) - set(wave_numbers.tolist()))
        raise NotValid(what, why=f"it lacks {len(missing):,} of the sensor's {len(channels):,} wave numbers, first {missing[0]:g}")
    if not len(wave_numbers):
        raise NotValid(what, why=f"it has no wave number from {low:g} to {high:g}")
    answers, unit = np.full(len(values), np.nan), ""
    if reference:
        answers = _numbers(_column(table, reference, what=what), what=what, name=reference)
        unit = (table.schema.field(reference).metadata or {}).get(b"unit", b"").decode(errors="replace")
    names = tuple(map(str, _column(table, rows.batch, what=what).to_pylist()))
    return Spectra(names, tuple(wave_numbers.tolist()), values, answers), unit


def unit_of(path: Path, *, said: str, asked: str, reference: str) -> str:
    """The unit of reference values, which the table or the user says."""
    if said and asked and said != asked:
        raise NotValid(f"cannot use {path}", why=f"{reference} is in {said}, not in {asked}", possible=f"--unit {said}, or leave it out")
    if not (said or asked):
        raise NotValid(f"cannot use {path}", why=f"it does not say the unit of {reference}", possible="--unit")
    return said or asked


def _table(path: Path) -> pa.Table:
    if not path.is_file():
        raise NotFound(f"cannot read {path}", why="there is no such file")
    if path.stat().st_size > TABLE_BYTES_MAX:
        raise NotValid(f"cannot read {path}", why=f"it has more than {TABLE_BYTES_MAX:,} bytes")
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as trouble:
        raise NotValid(f"cannot read {path}", why=str(trouble)[:120], possible="a Parquet table") from trouble


def _column(table: pa.Table, name: str, *, what: str) -> Any:
    if table.column_names.count(name) != 1:
        there = ", ".join(each for each in table.column_names if not _is_number(each))[:200]
        raise NotValid(
            what, why=f"it has no column {name[:60]}" if name not in table.column_names else f"two columns are named {name[:60]}", possible=there
        )
    return table[name]


def _chosen(table: pa.Table, rows: Rows, *, what: str) -> pa.Table:
    if rows.site:
        sites = [str(each) for each in _column(table, "site", what=what).to_pylist()]
        if rows.site not in sites:
            raise NotFound(f"{what} for {rows.site[:60]}", why="none of its rows is of this site", possible=", ".join(sorted(set(sites)))[:200])
        table = table.filter(pa.array([each == rows.site for each in sites]))
    if rows.skip or rows.batches:
        names = [str(each) for each in _column(table, rows.batch, what=what).to_pylist()]
        order = list(dict.fromkeys(names))
        kept = set(order[rows.skip : rows.skip + rows.batches if rows.batches else None])
        if not kept:
            raise NotValid(what, why=f"it has {len(order)} batches, and {rows.skip} are left out")
        table = table.filter(pa.array([each in kept for each in names]))
    if not table.num_rows:
        raise NotValid(what, why="it has no rows")
    return table


def _spectra(table: pa.Table, *, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Wave numbers, rising, and a row of intensities for each row of the table."""
    if LISTS in table.column_names:
        return _lists(table, what=what)
    named = sorted((float(name), name) for name in table.column_names if _is_number(name))
    if not named:
        raise NotValid(what, why=f"no column is named by a wave number, and none is {LISTS}")
    if len({number for number, _ in named}) < len(named):
        raise NotValid(what, why="two columns are of one wave number")
    values = np.column_stack([_numbers(table[name], what=what, name=name) for _, name in named])
    return np.array([number for number, _ in named]), values


def _lists(table: pa.Table, *, what: str) -> tuple[np.ndarray, np.ndarray]:
    field, column = table.schema.field(LISTS), table[LISTS].combine_chunks()
    if not (pa.types.is_list(field.type) and pa.types.is_floating(field.type.value_type)):
        raise NotValid(what, why=f"the column {LISTS} holds {str(field.type)[:60]}, not lists of numbers")
    text = (field.metadata or {}).get(b"wave_numbers", b"").decode(errors="replace")
    try:
        first, last, step = map(float, text.split(":"))
        count = round((last - first) / step) + 1
        if not (math.isfinite(first) and step > 0 and 1 <= count <= NUMBERS_MAX):
            raise ValueError
    except (ValueError, OverflowError, ZeroDivisionError):
        raise NotValid(
            what, why=f"the column {LISTS} does not say its wave numbers: {text[:40]!r}", possible="metadata wave_numbers as 400:2199:1"
        ) from None
    lengths = set(column.value_lengths().to_pylist())
    if lengths != {count}:
        odd = next(each for each in lengths if each != count)
        raise NotValid(what, why=f"a spectrum has {'nothing' if odd is None else odd}, where {text} is {count:,} wave numbers")
    flat = np.asarray(column.flatten().to_numpy(zero_copy_only=False), dtype=np.float64)
    return first + step * np.arange(count), flat.reshape(-1, count)


def _numbers(column: Any, *, what: str, name: str) -> np.ndarray:
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_null(column.type)):
        raise NotValid(what, why=f"the column {name[:60]} holds {str(column.type)[:60]}, not numbers")
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def _is_number(name: str) -> bool:
    try:
        return math.isfinite(float(name))
    except ValueError:
        return False
