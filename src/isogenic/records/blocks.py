"""Reading blocks: a batch's readings sealed as Parquet, pointed at by a fact with their digest.

Guarantees: the same readings give the same bytes (of one version of the Parquet writer);
`open_block` gives back what was sealed, to the bit, or refuses. The file is meant to be
read in thirty years by whatever reads Parquet then: one row a scan, plain column types,
units in the field metadata, no extension types.
Leaves to others: where the bytes are kept (blobs), noting the fact.

    column             type                 content
    at                 timestamp[ms, UTC]   time of the scan
    UNIT.signal        double               value in the unit named in the field's metadata; null where there is none
    UNIT.signal__quality  uint8             0 good, 1 uncertain, 2 bad
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from isogenic.errors import NotTrusted, NotValid
from isogenic.records.facts import fact

__all__ = ["Block", "ReadingsSealed", "open_block", "seal"]

FORMAT = b"isogenic readings 1"
CELLS_MAX = 50_000_000  # values in one block: 400 MB unpacked, what a small node can hold
FEW = 4  # rows to a distinct value from which a dictionary beats splitting bytes: set-points, totals, coarse sensors
QUALITY = "__quality"


@fact("records.readings_sealed", subject="batch")
@dataclass(frozen=True, slots=True)
class ReadingsSealed:
    """The readings of a batch, from `first` to `last`, are sealed in the block of this digest."""

    batch: str
    digest: str  # hex SHA-256 of the Parquet file
    bytes: int
    rows: int
    tags: tuple[str, ...]
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Block:
    """Readings read back: `values` is float64[n, p] with NaN where there is none, `quality` uint8[n, p]."""

    batch: str
    tags: tuple[str, ...]
    units: tuple[str, ...]
    times: tuple[datetime, ...]
    values: NDArray[np.float64]
    quality: NDArray[np.uint8]


def seal(
    *,
    batch: str,
    tags: Sequence[str],
    units: Sequence[str],
    times: Sequence[datetime],
    values: NDArray[np.float64],
    quality: NDArray[np.uint8],
) -> tuple[bytes, ReadingsSealed]:
    """The Parquet file of these readings, and the fact that points at it. Store the file before noting the fact."""
    shape = (len(times), len(tags))
    if not times or not tags or len(units) != len(tags) or len(set(tags)) != len(tags) or shape[0] * shape[1] > CELLS_MAX:
        raise NotValid(
            f"cannot seal readings of {batch}", why=f"{shape[0]} rows of {shape[1]} tags, each once and with a unit, at most {CELLS_MAX} values"
        )
    if any(at.tzinfo is None for at in times):
        raise NotValid(f"cannot seal readings of {batch}", why="a time has no zone")
    values, quality = np.asarray(values, dtype=np.float64), np.asarray(quality, dtype=np.uint8)
    if values.shape != shape or quality.shape != shape:
        raise NotValid(f"cannot seal readings of {batch}", why=f"values {values.shape} and quality {quality.shape} are not {shape}")
    table = _table(str(batch), tags, units, times, values, quality)
    split = [tag for column, tag in enumerate(tags) if len(np.unique(values[:, column])) * FEW > len(times)]
    data = _bytes(table, split)
    moments = table.column("at").to_pylist()
    sealed = ReadingsSealed(
        batch=str(batch),
        digest=sha256(data).hexdigest(),
        bytes=len(data),
        rows=shape[0],
        tags=tuple(tags),
        first=moments[0].astimezone(UTC),
        last=moments[-1].astimezone(UTC),
    )
    return data, sealed


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp()) * 1000 + at.microsecond // 1000


def _table(batch: str, tags: Sequence[str], units: Sequence[str], times: Sequence[datetime], values: Any, quality: Any) -> Any:
    fields = [pa.field("at", pa.timestamp("ms", tz="UTC"), nullable=False)]
    columns = [pa.array(np.array([_milliseconds(at) for at in times], dtype=np.int64)).cast(pa.timestamp("ms", tz="UTC"))]
    for column, (tag, unit) in enumerate(zip(tags, units, strict=True)):
        fields.append(pa.field(tag, pa.float64(), metadata={"unit": unit}))
        columns.append(pa.array(values[:, column], from_pandas=True))  # NaN becomes null: a mean over the column skips it
        fields.append(pa.field(tag + QUALITY, pa.uint8(), nullable=False))
        columns.append(pa.array(np.ascontiguousarray(quality[:, column])))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields, metadata={"format": FORMAT, "batch": batch}))


def _bytes(table: Any, split: Sequence[str]) -> bytes:
    encodings = dict.fromkeys(split, "BYTE_STREAM_SPLIT") | {"at": "DELTA_BINARY_PACKED"}
    sink = io.BytesIO()
    pq.write_table(
        table,
        sink,
        version="2.6",
        compression="zstd",
        compression_level=3,
        use_dictionary=[name for name in table.column_names if name not in encodings],
        column_encoding=encodings,
        write_statistics=False,
        store_schema=True,
    )
    return sink.getvalue()


def open_block(data: bytes, digest: str) -> Block:
    """The readings in a block, once its bytes have the digest that the fact names."""
    if sha256(data).hexdigest() != digest:
        raise NotTrusted(f"reading block {digest[:16]}… refused", why="its bytes have another digest")
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        meta, schema = file.metadata, file.schema_arrow
        said = schema.metadata or {}
        if said.get(b"format") != FORMAT or meta.num_rows * meta.num_columns > 2 * CELLS_MAX:
            raise NotValid("cannot read a reading block", why=f"it is not of the form {FORMAT.decode()}, or larger than {CELLS_MAX} values")
        table = file.read(use_threads=False)
        tags = [name for name in table.column_names[1:] if not name.endswith(QUALITY)]
        return Block(
            batch=said[b"batch"].decode(),
            tags=tuple(tags),
            units=tuple(schema.field(tag).metadata[b"unit"].decode() for tag in tags),
            times=tuple(at.astimezone(UTC) for at in table.column("at").to_pylist()),
            values=np.column_stack([table.column(tag).to_numpy(zero_copy_only=False) for tag in tags]),
            quality=np.column_stack([table.column(tag + QUALITY).to_numpy() for tag in tags]),
        )
    except (pa.ArrowException, OSError, KeyError, TypeError, UnicodeDecodeError, ValueError) as trouble:
        raise NotValid("cannot read a reading block", why=str(trouble)[:160]) from trouble
