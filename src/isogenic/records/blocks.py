"""Reading blocks: a batch's readings sealed as Parquet, pointed at by facts with their digests.

Guarantees: the same readings give the same bytes (of one version of the Parquet writer);
`open_block` gives back what was sealed, to the bit, or refuses. The file is meant to be
read in thirty years by whatever reads Parquet then: one row a scan, plain column types,
units in the file's metadata, no extension types.
The blocks of a batch are numbered from 1, and each says with which row of the batch it
begins: a block that is missing, or there twice, shows in the facts alone (`chain_faults`).
Leaves to others: where the bytes are kept (blobs), noting the facts, what is missing between the rows (gaps).

    column             type                 content
    at                 timestamp[ms, UTC]   time of the scan
    UNIT.signal        double               value in the unit that the file's metadata names; null where there is none
    UNIT.signal__quality  uint8             0 good, 1 uncertain, 2 bad
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from isogenic.clock import EPOCH
from isogenic.errors import NotTrusted, NotValid
from isogenic.records import codec
from isogenic.records.facts import fact

__all__ = [
    "BAD",
    "FORMAT_1",
    "GOOD",
    "QUALITY",
    "UNCERTAIN",
    "Block",
    "HouseReadingsSealed",
    "ReadingCounts",
    "ReadingsSealed",
    "chain_faults",
    "milliseconds",
    "open_block",
    "open_file",
    "quality_counts",
    "seal",
    "seal_house",
    "time_of_milliseconds",
]

FORMAT = b"isogenic readings 2"
FORMAT_1 = b"isogenic readings 1"  # one block a batch; units in the metadata of the fields
CELLS_MAX = 50_000_000  # values in one block: 400 MB unpacked, what a small node can hold
CELL_BYTES, CHUNK_BYTES = 16, 4_096  # unpacked: 8 of a value or time, 4 of its place in a dictionary; heads of pages of a column
_PLAIN = ("DOUBLE", "INT64", "INT32")
FEW = 4  # rows to a distinct value from which a dictionary beats splitting bytes: set-points, totals, coarse sensors
QUALITY = "__quality"
GOOD, UNCERTAIN, BAD = 0, 1, 2  # as plant.readings.Quality, which this room does not know

Times = Sequence[datetime] | NDArray[np.int64]  # the second in milliseconds since 1970


def _from_version_1(body: dict[str, Any]) -> dict[str, Any]:
    """One block held the whole batch, and nothing in it was counted."""
    return {**body, "number": 1, "start": 0, "ends": True, "good": [], "uncertain": [], "bad": []}


@fact("records.readings_sealed", subject="batch", version=2, upgrades={1: _from_version_1})
@dataclass(frozen=True, slots=True)
class ReadingsSealed:
    """Readings of a batch, from `first` to `last`, are sealed in the block of this digest, the `number`th of the batch."""

    batch: str
    digest: str  # hex SHA-256 of the Parquet file
    bytes: int
    rows: int
    tags: tuple[str, ...]
    first: datetime  # of the first and the last row; a clock that was set back may have put them the other way round
    last: datetime
    number: int = 1  # 1 for the batch's first block, then without a gap
    start: int = 0  # how many rows of the batch stand in the blocks before
    ends: bool = True  # sealed after the batch was closed: none follows
    good: tuple[int, ...] = ()  # readings of each tag, in the order of `tags`; empty in what version 1 sealed
    uncertain: tuple[int, ...] = ()
    bad: tuple[int, ...] = ()  # bad, or not there at all


@fact("records.house_readings_sealed", subject="unit", house=True)
@dataclass(frozen=True, slots=True)
class HouseReadingsSealed:
    """Measurements of a unit while no batch was on it (waiting, cleaning) are sealed in the block of this digest."""

    unit: str
    digest: str
    bytes: int
    rows: int
    tags: tuple[str, ...]
    first: datetime
    last: datetime
    number: int
    start: int
    good: tuple[int, ...] = ()
    uncertain: tuple[int, ...] = ()
    bad: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadingCounts:
    """How many readings of each tag there are of a batch: what its closing claims, and what its blocks must add up to."""

    rows: int = 0
    tags: tuple[str, ...] = ()
    good: tuple[int, ...] = ()  # in the order of `tags`
    uncertain: tuple[int, ...] = ()
    bad: tuple[int, ...] = ()

    def plus(self, rows: int, tags: Sequence[str], quality: NDArray[np.int64]) -> ReadingCounts:
        """With so many more rows: `quality` holds good, uncertain and bad readings of each tag, int64[3, p]."""
        known = {tag: counts for tag, *counts in zip(self.tags, self.good, self.uncertain, self.bad, strict=True)}
        for tag, *counts in zip(tags, *quality.tolist(), strict=False):
            known[tag] = [one + other for one, other in zip(known.get(tag, (0, 0, 0)), counts, strict=True)]
        columns = list(zip(*known.values(), strict=True)) or [(), (), ()]
        return ReadingCounts(self.rows + rows, tuple(known), *columns)

    @classmethod
    def of(cls, sealed: Iterable[ReadingsSealed]) -> ReadingCounts:
        """What blocks add up to. Blocks of version 1 count rows only."""
        counts = cls()
        for each in sealed:
            counted = (each.good, each.uncertain, each.bad)
            known = all(len(column) == len(each.tags) for column in counted)
            counts = counts.plus(each.rows, each.tags if known else (), np.array(counted if known else [(), (), ()], dtype=np.int64))
        return counts


class _Link(Protocol):
    """One block of a chain, as its fact or a record kept of it says."""

    @property
    def number(self) -> int: ...

    @property
    def start(self) -> int: ...

    @property
    def rows(self) -> int: ...


def chain_faults(blocks: Sequence[_Link]) -> list[str]:
    """What is wrong with the blocks of one batch, in the order they were noted: a number or a row that is missing, or there twice."""
    faults, rows = [], 0
    for number, block in enumerate(blocks, 1):
        if block.number != number:
            faults.append(f"block {number} is missing: the next one noted is block {block.number}")
            break
        if block.start != rows or block.rows < 1:
            faults.append(f"block {number} begins with row {block.start} where row {rows} is due")
            break
        rows += block.rows
    return faults


@dataclass(frozen=True, slots=True)
class Block:
    """Readings read back: `values` is float64[n, p] with NaN where there is none, `quality` uint8[n, p]."""

    batch: str  # of a house block: the unit
    tags: tuple[str, ...]
    units: tuple[str, ...]
    times: tuple[datetime, ...]
    values: NDArray[np.float64]
    quality: NDArray[np.uint8]
    number: int = 1
    start: int = 0


def milliseconds(at: datetime) -> int:
    """Milliseconds since 1970, cut off as records cut them."""
    return (at - EPOCH) // timedelta(milliseconds=1)


def time_of_milliseconds(at: int) -> datetime:
    """The time of so many milliseconds since 1970."""
    return EPOCH + timedelta(milliseconds=int(at))


# ---- sealing ----


def seal(
    *,
    batch: str,
    tags: Sequence[str],
    units: Sequence[str],
    times: Times,
    values: NDArray[np.float64],
    quality: NDArray[np.uint8],
    number: int = 1,
    start: int = 0,
    ends: bool = True,
) -> tuple[bytes, ReadingsSealed]:
    """The Parquet file of these readings, and the fact that points at it. Store the file before noting the fact."""
    data, said = _sealed({"batch": str(batch)}, tags, units, times, values, quality, number=number, start=start)
    return data, ReadingsSealed(batch=str(batch), ends=ends, **said)


def seal_house(
    *,
    unit: str,
    tags: Sequence[str],
    units: Sequence[str],
    times: Times,
    values: NDArray[np.float64],
    quality: NDArray[np.uint8],
    number: int = 1,
    start: int = 0,
) -> tuple[bytes, HouseReadingsSealed]:
    """The same of readings that belong to no batch."""
    data, said = _sealed({"unit": str(unit)}, tags, units, times, values, quality, number=number, start=start)
    return data, HouseReadingsSealed(unit=str(unit), **said)


def _sealed(
    about: dict[str, str], tags: Sequence[str], units: Sequence[str], times: Times, values: Any, quality: Any, *, number: int, start: int
) -> tuple[bytes, dict[str, Any]]:
    what = f"cannot seal readings of {next(iter(about.values()))}"
    shape = (len(times), len(tags))
    if not len(times) or not tags or len(units) != len(tags) or len(set(tags)) != len(tags) or shape[0] * shape[1] > CELLS_MAX:
        raise NotValid(what, why=f"{shape[0]} rows of {shape[1]} tags, each once and with a unit, at most {CELLS_MAX} values")
    at = times if isinstance(times, np.ndarray) else _at(times, what)
    values, quality = np.asarray(values, dtype=np.float64), np.asarray(quality, dtype=np.uint8)
    if values.shape != shape or quality.shape != shape:
        raise NotValid(what, why=f"values {values.shape} and quality {quality.shape} are not {shape}")
    values, quality = np.asfortranarray(values), np.asfortranarray(quality)  # each column in one piece
    metadata = {"format": FORMAT.decode(), "number": str(number), "start": str(start), "units": codec.dumps(list(units)).decode()} | about
    split = [tag for column, tag in enumerate(tags) if len(np.unique(values[:, column])) * FEW > len(times)]
    data = _bytes(_table(tags, at, values, quality), metadata, split)
    good, uncertain, bad = quality_counts(values, quality).tolist()
    said = {
        "digest": sha256(data).hexdigest(),
        "bytes": len(data),
        "rows": shape[0],
        "tags": tuple(tags),
        "first": time_of_milliseconds(at[0]),
        "last": time_of_milliseconds(at[-1]),
        "number": number,
        "start": start,
        "good": tuple(good),
        "uncertain": tuple(uncertain),
        "bad": tuple(bad),
    }
    return data, said


def quality_counts(values: NDArray[np.float64], quality: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Good, uncertain and bad readings of each tag, int64[3, p]. What has no value is bad, whatever is said of it."""
    there = ~np.isnan(values)
    good = ((quality == GOOD) & there).sum(axis=0)
    uncertain = ((quality == UNCERTAIN) & there).sum(axis=0)
    return np.array([good, uncertain, len(values) - good - uncertain], dtype=np.int64)


def _at(times: Sequence[datetime], what: str) -> NDArray[np.int64]:
    if any(at.tzinfo is None for at in times):
        raise NotValid(what, why="a time has no zone")
    return np.array([milliseconds(at) for at in times], dtype=np.int64)


def _table(tags: Sequence[str], at: NDArray[np.int64], values: Any, quality: Any) -> Any:
    fields = [pa.field("at", pa.timestamp("ms", tz="UTC"), nullable=False)]
    columns = [pa.array(np.ascontiguousarray(at)).cast(pa.timestamp("ms", tz="UTC"))]
    for column, tag in enumerate(tags):
        fields.append(pa.field(tag, pa.float64()))
        columns.append(pa.array(values[:, column], from_pandas=True))  # NaN becomes null: a mean over the column skips it
        fields.append(pa.field(tag + QUALITY, pa.uint8(), nullable=False))
        columns.append(pa.array(quality[:, column]))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _bytes(table: Any, metadata: dict[str, str], split: Sequence[str]) -> bytes:
    encodings = dict.fromkeys(split, "BYTE_STREAM_SPLIT") | {"at": "DELTA_BINARY_PACKED"}
    sink = io.BytesIO()
    with pq.ParquetWriter(
        sink,
        table.schema,
        version="2.6",
        compression="zstd",
        compression_level=3,
        use_dictionary=[name for name in table.column_names if name not in encodings],
        column_encoding=encodings,
        write_statistics=False,
        store_schema=False,  # Parquet's own types say it all; Arrow's copy of them would be a third of a small block
    ) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(metadata)
    return sink.getvalue()


# ---- opening ----


def open_block(data: bytes, digest: str) -> Block:
    """The readings in a block, once its bytes have the digest that the fact names."""
    if sha256(data).hexdigest() != digest:
        raise NotTrusted(f"reading block {digest[:16]}… refused", why="its bytes have another digest")
    try:
        file = open_file(io.BytesIO(data))
        schema, said = file.schema_arrow, file.metadata.metadata or {}
        if said.get(b"format") not in (FORMAT, FORMAT_1):
            raise NotValid("cannot read a reading block", why=f"it is not of the form {FORMAT.decode()}")
        table = file.read(use_threads=False)
        tags = [name for name in table.column_names[1:] if not name.endswith(QUALITY)]
        if table.column("at").null_count:
            raise NotValid("cannot read a reading block", why="a row has no time")
        at = table.column("at").cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()).to_numpy()
        return Block(
            batch=said[b"batch" if b"batch" in said else b"unit"].decode(),
            tags=tuple(tags),
            units=_units(said, schema, tags),
            times=tuple(map(time_of_milliseconds, at.tolist())),
            values=np.column_stack([table.column(tag).to_numpy(zero_copy_only=False) for tag in tags]),
            quality=np.column_stack([table.column(tag + QUALITY).to_numpy() for tag in tags]),
            number=int(said.get(b"number", b"1")),
            start=int(said.get(b"start", b"0")),
        )
    except (pa.ArrowException, OSError, KeyError, TypeError, UnicodeDecodeError, ValueError, OverflowError) as trouble:
        raise NotValid("cannot read a reading block", why=str(trouble)[:160]) from trouble


def open_file(source: Any) -> Any:
    """The Parquet file of a reading block, once its footer says that it is no larger unpacked than readings can be; nothing is read yet.

    A few kB of Parquet may unpack to gigabytes: so each column must be of one of three plain types, and have as many bytes as its rows need.
    """
    file = pq.ParquetFile(source)
    meta = file.metadata
    columns = [meta.schema.column(at) for at in range(meta.num_columns)]
    groups = [meta.row_group(at) for at in range(min(meta.num_row_groups, max(meta.num_rows, 1) + 1))]
    cells = meta.num_rows * meta.num_columns
    why = ""
    if meta.num_rows < 1 or cells > 3 * CELLS_MAX:  # a time, a value and its quality are three
        why = f"it has {meta.num_rows} rows of {meta.num_columns} columns"
    elif any(each.physical_type not in _PLAIN or each.max_repetition_level or each.max_definition_level > 1 for each in columns):
        why = "a column is of a type that readings have not"
    elif len(groups) > meta.num_rows or any(each.num_rows < 1 for each in groups) or sum(each.num_rows for each in groups) != meta.num_rows:
        why = "its row groups do not add up to its rows"
    elif sum(each.total_byte_size for each in groups) > CELL_BYTES * cells + CHUNK_BYTES * len(groups) * meta.num_columns:
        why = f"it unpacks to more bytes than {cells} readings have"
    elif any(
        each.column(at).num_values > each.num_rows or each.column(at).total_uncompressed_size < 0 for each in groups for at in range(each.num_columns)
    ):
        why = "a column has more values than rows"
    if why:
        raise NotValid("cannot read a reading block", why=why)
    return file


def _units(said: dict[bytes, bytes], schema: Any, tags: Sequence[str]) -> tuple[str, ...]:
    if said[b"format"] == FORMAT_1:
        return tuple(schema.field(tag).metadata[b"unit"].decode() for tag in tags)
    units = codec.loads(said[b"units"], what="the units of a reading block")
    if not isinstance(units, list) or len(units) != len(tags) or not all(isinstance(unit, str) for unit in units):
        raise ValueError("its units are not one for each tag")
    return tuple(units)
