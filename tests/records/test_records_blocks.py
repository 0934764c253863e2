"""A reading block that would unpack to more than readings can be is refused from its footer, wherever it is read."""

from __future__ import annotations

import io
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isogenic.clock import EPOCH
from isogenic.errors import NotValid
from isogenic.records.blocks import milliseconds, open_block, open_file, seal

SAID = {"format": "isogenic readings 2", "units": '["g"]', "batch": "BAT", "number": "1", "start": "0"}
AT = pa.array([EPOCH], pa.timestamp("ms", tz="UTC"))


def parquet(columns: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, pa.table(columns).schema, compression="zstd", use_dictionary=False, write_statistics=False) as writer:
        writer.write_table(pa.table(columns))
        writer.add_key_value_metadata(SAID)
    return sink.getvalue()


def many(rows: int) -> bytes:
    return parquet(
        {"at": pa.array(np.zeros(rows, np.int64)).cast(pa.timestamp("ms", tz="UTC"))} | {f"U.s{k}": pa.nulls(rows, pa.float64()) for k in range(160)}
    )


BOMBS = {
    "one row of megabytes": lambda: parquet({"at": AT, "U.s__quality": pa.array([b"\0" * (20 << 20)], pa.large_binary())}),
    "one row with a list": lambda: parquet({"at": AT, "U.s": pa.array([[0.0] * 1_000_000])}),
    "more cells than a node can hold": lambda: many(1_000_000),
    "no rows": lambda: parquet({"at": AT.slice(1)}),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_would_unpack_to_more_than_readings_is_refused_before_it_is_read(name: str) -> None:
    data = BOMBS[name]()
    assert len(data) < 2_000_000
    with pytest.raises(NotValid):
        open_file(io.BytesIO(data))
    with pytest.raises(NotValid):
        open_block(data, sha256(data).hexdigest())


@pytest.mark.parametrize(("rows", "tags"), [(1, 1), (1, 300), (7, 3), (100_000, 2)])
@pytest.mark.parametrize("steady", [True, False])
def test_honest_blocks_of_any_shape_are_read(rows: int, tags: int, steady: bool) -> None:
    values = np.zeros((rows, tags)) if steady else np.random.default_rng(1).normal(size=(rows, tags))
    names = [f"U.s{each}" for each in range(tags)]
    times = np.arange(rows, dtype=np.int64) + milliseconds(EPOCH)
    data, fact = seal(batch="BAT", tags=names, units=["g"] * tags, times=times, values=values, quality=np.zeros((rows, tags), np.uint8))
    assert np.array_equal(open_block(data, fact.digest).values, values)
