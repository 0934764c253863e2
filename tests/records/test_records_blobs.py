"""Bytes under their own digest, and readings sealed in blocks."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.errors import NotFound, NotReachable, NotTrusted, NotValid
from isogenic.records import blobs
from isogenic.records.blobs import BlobStore
from isogenic.records.blocks import ReadingsSealed, open_block, seal
from isogenic.records.durable import write_whole


def test_bytes_are_kept_once_under_their_digest(tmp_path: Path) -> None:
    store = BlobStore(tmp_path / "deep" / "blobs")
    digest = store.put(b"one")
    assert digest == sha256(b"one").hexdigest()
    assert store.put(b"one", expected=digest) == digest
    assert (store.get(digest), store.has(digest), list(store.digests())) == (b"one", True, [digest])
    assert [path.name for path in (tmp_path / "deep" / "blobs").rglob("*") if path.is_file()] == [digest]


def test_bytes_of_another_digest_than_expected_are_not_kept(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    other = sha256(b"two").hexdigest()
    with pytest.raises(NotTrusted, match=other[:16]):
        store.put(b"one", expected=other)
    assert list(store.digests()) == []


def test_damaged_bytes_are_named_and_a_new_copy_repairs_them(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    digest = store.put(b"one")
    store.path(digest).write_bytes(b"onf")
    with pytest.raises(NotTrusted, match=digest):
        store.get(digest)
    store.put(b"one")
    assert store.get(digest) == b"one"


def test_bytes_never_kept_are_not_found(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    assert not store.has("0" * 64)
    with pytest.raises(NotFound):
        store.get("0" * 64)


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_what_is_no_digest_names_no_file(tmp_path: Path, digest: str) -> None:
    for act in (BlobStore(tmp_path).get, BlobStore(tmp_path).has, lambda text: BlobStore(tmp_path).put(b"", expected=text)):
        with pytest.raises(NotValid):
            act(digest)


def test_size_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = BlobStore(tmp_path)
    digest = store.put(b"123456")
    monkeypatch.setattr(blobs, "BLOB_BYTES_MAX", 5)
    with pytest.raises(NotValid, match="6 are more than 5"):
        store.put(b"abcdef")
    store.path(digest).write_bytes(bytes(100))
    with pytest.raises(NotTrusted):
        store.get(digest)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder" / "name").mkdir(parents=True)
    (tmp_path / "folder" / "name" / "inside").write_bytes(b"")
    with pytest.raises(NotReachable):
        write_whole(tmp_path / "folder" / "name", b"data")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["name"]


START = datetime(2026, 1, 1, tzinfo=UTC)


def readings(rows: int, columns: int, seed: int = 1) -> dict:
    dice = np.random.default_rng(seed)
    values = np.round(37 + np.cumsum(dice.normal(0, 0.01, (rows, columns)), axis=0), 3)
    quality = np.zeros((rows, columns), dtype=np.uint8)
    values[rows // 2, 0], quality[rows // 2, 0] = np.nan, 2
    return {
        "batch": "BAT-1",
        "tags": [f"BR-50.signal_{at}" for at in range(columns)],
        "units": ["degC"] * columns,
        "times": [START + timedelta(minutes=at) for at in range(rows)],
        "values": values,
        "quality": quality,
    }


def test_a_block_reads_back_to_the_bit() -> None:
    given_ = readings(100, 3)
    data, sealed = seal(**given_)
    block = open_block(data, sealed.digest)
    assert (block.batch, block.tags, block.units, block.times) == ("BAT-1", sealed.tags, ("degC",) * 3, tuple(given_["times"]))
    assert np.array_equal(block.values, given_["values"], equal_nan=True)
    assert np.array_equal(block.quality, given_["quality"])
    assert sealed == ReadingsSealed("BAT-1", sha256(data).hexdigest(), len(data), 100, tuple(given_["tags"]), START, START + timedelta(minutes=99))


def test_the_same_readings_give_the_same_bytes() -> None:
    assert seal(**readings(500, 4)) == seal(**readings(500, 4))


def test_a_block_is_plain_parquet_with_units() -> None:
    data, _ = seal(**readings(10, 2))
    table = pq.read_table(io.BytesIO(data))
    assert table.schema.names == ["at", "BR-50.signal_0", "BR-50.signal_0__quality", "BR-50.signal_1", "BR-50.signal_1__quality"]
    assert [str(kind) for kind in table.schema.types] == ["timestamp[ms, tz=UTC]", "double", "uint8", "double", "uint8"]
    assert table.schema.field("BR-50.signal_0").metadata == {b"unit": b"degC"}
    assert table.column("BR-50.signal_0").null_count == 1


def test_a_day_of_readings_takes_less_than_seven_and_a_half_bytes_a_sample() -> None:
    """Noise in every digit of every value: there is nothing to squeeze but the exponent."""
    day = readings(1440, 20)
    day["values"] = day["values"] + np.random.default_rng(2).normal(0, 0.01, day["values"].shape)
    assert len(seal(**day)[0]) / day["values"].size < 7.5


def test_a_signal_that_rarely_changes_takes_next_to_nothing() -> None:
    day = readings(1440, 20)
    day["values"] = np.repeat(np.arange(20.0)[None, :], 1440, axis=0)
    assert len(seal(**day)[0]) / day["values"].size < 0.8


@given(st.integers(1, 5), st.integers(1, 3), st.data())
@settings(max_examples=40, deadline=None)
def test_any_values_read_back(rows: int, columns: int, data: st.DataObject) -> None:
    cells = st.lists(st.floats(), min_size=rows * columns, max_size=rows * columns)
    values = np.array(data.draw(cells)).reshape(rows, columns)
    packed, sealed = seal(**{**readings(rows, columns), "values": values})
    assert np.array_equal(open_block(packed, sealed.digest).values, values, equal_nan=True)


@pytest.mark.parametrize(
    "change",
    [{"times": []}, {"tags": ["a", "a"]}, {"units": ["degC"]}, {"values": np.zeros((2, 2))}, {"times": [datetime(2026, 1, 1)] * 3}],
    ids=["no rows", "twin tags", "units", "shape", "zone"],
)
def test_readings_that_do_not_fit_together_are_refused(change: dict) -> None:
    with pytest.raises(NotValid, match="cannot seal"):
        seal(**{**readings(3, 2), **change})


def test_a_block_with_another_digest_or_form_is_refused() -> None:
    data, sealed = seal(**readings(10, 2))
    with pytest.raises(NotTrusted):
        open_block(data[:-1] + b"x", sealed.digest)
    sink = io.BytesIO()
    pq.write_table(pa.table({"at": [1]}), sink)
    for other in (b"", b"PAR1", sink.getvalue(), data[: len(data) // 2], data[:4] + b"\xff" * 50 + data[54:]):
        with pytest.raises(NotValid):
            open_block(other, sha256(other).hexdigest())
