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

from isogenic.clock import Moment, text_of_time
from isogenic.errors import NotFound, NotReachable, NotTrusted, NotValid
from isogenic.records import blobs, codec
from isogenic.records.blobs import BlobStore
from isogenic.records.blocks import ReadingCounts, ReadingsSealed, chain_faults, open_block, seal
from isogenic.records.durable import write_whole
from isogenic.records.facts import Actor, FactRef, decode_fact, encode_fact


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
    assert sealed == ReadingsSealed(
        batch="BAT-1",
        digest=sha256(data).hexdigest(),
        bytes=len(data),
        rows=100,
        tags=tuple(given_["tags"]),
        first=START,
        last=START + timedelta(minutes=99),
        number=1,
        start=0,
        ends=True,
        good=(99, 100, 100),
        uncertain=(0, 0, 0),
        bad=(1, 0, 0),
    )


def test_the_same_readings_give_the_same_bytes() -> None:
    assert seal(**readings(500, 4)) == seal(**readings(500, 4))


def test_a_block_is_plain_parquet_with_units() -> None:
    data, _ = seal(**readings(10, 2))
    table = pq.read_table(io.BytesIO(data))
    metadata = pq.read_metadata(io.BytesIO(data)).metadata
    assert {key: metadata[key] for key in (b"format", b"batch", b"number", b"start", b"units")} == {
        b"format": b"isogenic readings 2",
        b"batch": b"BAT-1",
        b"number": b"1",
        b"start": b"0",
        b"units": b'["degC","degC"]',
    }
    assert table.schema.names == ["at", "BR-50.signal_0", "BR-50.signal_0__quality", "BR-50.signal_1", "BR-50.signal_1__quality"]
    assert [str(kind) for kind in table.schema.types] == ["timestamp[ms, tz=UTC]", "double", "uint8", "double", "uint8"]
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
    back = open_block(packed, sealed.digest).values
    assert np.array_equal(back, values, equal_nan=True)
    there = ~np.isnan(values)
    assert np.signbit(back[there]).tolist() == np.signbit(values[there]).tolist()  # -0.0 is not 0.0


def test_a_block_of_the_first_form_is_still_read() -> None:
    """Units stood in the metadata of the fields, and one block held a whole batch."""
    unit = pa.field("BR-50.ph", pa.float64(), metadata={"unit": "pH"})
    fields = [pa.field("at", pa.timestamp("ms", tz="UTC")), unit, pa.field("BR-50.ph__quality", pa.uint8())]
    schema = pa.schema(fields, metadata={"format": "isogenic readings 1", "batch": "BAT-1"})
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([{"at": START, "BR-50.ph": 7.0, "BR-50.ph__quality": 0}], schema=schema), sink)
    block = open_block(sink.getvalue(), sha256(sink.getvalue()).hexdigest())
    assert (block.batch, block.tags, block.units, block.times, block.values.tolist()) == ("BAT-1", ("BR-50.ph",), ("pH",), (START,), [[7.0]])


def test_a_sealing_of_the_first_version_was_the_only_one_of_its_batch() -> None:
    old = {"batch": "BAT-1", "bytes": 9, "digest": "ab", "first": text_of_time(START), "last": text_of_time(START), "rows": 3, "tags": ["BR-50.ph"]}
    new = ReadingsSealed("BAT-1", "ab", 9, 3, ("BR-50.ph",), START, START, number=1, start=0, ends=True)
    now = encode_fact(new, ref=FactRef("aster/LEEDS/ASTER", 0), actor=Actor.node("LEEDS"), moment=Moment(START))
    envelope = codec.loads(now)
    assert decode_fact(codec.dumps({**envelope, "v": 1, "body": old})).payload == decode_fact(now).payload == new


def test_blocks_of_a_batch_are_numbered_and_leave_no_row_out() -> None:
    def block(number: int, start: int, rows: int) -> ReadingsSealed:
        return ReadingsSealed("BAT-1", "ab", 9, rows, ("BR-50.ph",), START, START, number=number, start=start)

    whole = [block(1, 0, 5), block(2, 5, 7), block(3, 12, 1)]
    assert chain_faults(whole) == []
    assert chain_faults(whole[:1] + whole[2:]) == ["block 2 is missing: the next one noted is block 3"]
    assert chain_faults([*whole, whole[2]]) == ["block 4 is missing: the next one noted is block 3"]
    assert chain_faults([whole[0], block(2, 6, 7)]) == ["block 2 begins with row 6 where row 5 is due"]
    assert chain_faults([block(1, 0, 0)]) == ["block 1 begins with row 0 where row 0 is due"]


def test_counts_of_blocks_add_up_tag_by_tag() -> None:
    first = ReadingsSealed("BAT-1", "a", 9, 4, ("x", "y"), START, START, good=(4, 1), uncertain=(0, 1), bad=(0, 2))
    then = ReadingsSealed("BAT-1", "b", 9, 2, ("y", "z"), START, START, number=2, start=4, good=(2, 0), uncertain=(0, 0), bad=(0, 2))
    old = ReadingsSealed("BAT-1", "c", 9, 3, ("x",), START, START, number=3, start=6)  # version 1 counted rows only
    assert ReadingCounts.of([first, then, old]) == ReadingCounts(9, ("x", "y", "z"), (4, 3, 0), (0, 1, 0), (0, 2, 2))
    assert ReadingCounts.of([]) == ReadingCounts()


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
