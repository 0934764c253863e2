"""Reading blocks on shelves that strangers' tools read as they stand, and SQL over them that sees nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isogenic.errors import NotAllowed, NotFound, NotTrusted, NotValid
from isogenic.ids import BatchId, SiteId, UnitId
from isogenic.records.answers import written
from isogenic.records.blocks import seal, seal_house
from isogenic.records.catalogue import Catalogue
from isogenic.records.object_files import ObjectFiles
from isogenic.records.queries import query
from isogenic.records.shelves import BlockPlace, Shelves, files_at

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
ROWS = 10


def block(batch: str, number: int, *, unit: str = "BR-50", level: float = 37.0) -> tuple[bytes, str]:
    times = [START + timedelta(minutes=10 * ((number - 1) * ROWS + row)) for row in range(ROWS)]
    values = np.column_stack([np.full(ROWS, level) + np.arange(ROWS) / 100, np.full(ROWS, 7.0)])
    values[3, 1] = np.nan
    quality = np.where(np.isnan(values), 2, 0).astype(np.uint8)
    data, sealed = seal(
        batch=batch,
        tags=[f"{unit}.temperature", f"{unit}.ph"],
        units=["degC", "pH"],
        times=times,
        values=values,
        quality=quality,
        number=number,
        start=(number - 1) * ROWS,
    )
    return data, sealed.digest


def filled(shelves: Shelves) -> Shelves:
    """Two sponsors, two sites, three batches of two blocks, and a house block."""
    for sponsor, site, batch, unit, level in (
        ("ASTER-BIO", "LEEDS", "BAT-1", "BR-50", 37.0),
        ("ASTER-BIO", "GHENT", "BAT-2", "BR-200", 36.0),
        ("OTHER", "LEEDS", "BAT-3", "BR-50", 33.0),
    ):
        for number in (1, 2):
            data, digest = block(batch, number, unit=unit, level=level)
            shelves.shelve(digest, BlockPlace(SiteId(site), BatchId(batch), number, sponsor))
            assert shelves.put(data, expected=digest) == digest
    data, sealed = seal_house(
        unit="BR-50", tags=["BR-50.ph"], units=["pH"], times=[START], values=np.array([[7.1]]), quality=np.zeros((1, 1), dtype=np.uint8)
    )
    shelves.shelve(sealed.digest, BlockPlace(SiteId("LEEDS"), UnitId("BR-50"), 1))
    shelves.put(data, expected=sealed.digest)
    return shelves


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    filled(Shelves(tmp_path / "blobs", readings=tmp_path / "readings"))
    return tmp_path / "readings"


# ---- where blocks stand ----


def test_a_block_stands_under_its_sponsor_site_and_batch_and_is_found_by_digest(tmp_path: Path) -> None:
    shelves = Shelves(tmp_path / "blobs", readings=tmp_path / "readings")
    data, digest = block("BAT-1", 1)
    assert not shelves.has(digest)
    shelves.shelve(digest, BlockPlace(SiteId("LEEDS"), BatchId("BAT-1"), 1, "ASTER-BIO"))
    shelves.put(data, expected=digest)
    path = tmp_path / "readings" / "batches" / "sponsor=ASTER-BIO" / "site=LEEDS" / "batch=BAT-1" / f"000001-{digest}.parquet"
    assert (path.read_bytes(), shelves.get(digest), list(shelves.digests())) == (data, data, [digest])
    path.write_bytes(data[:-1] + b"x")
    with pytest.raises(NotTrusted):
        shelves.get(digest)
    shelves.put(data, expected=digest)  # sent again
    assert shelves.get(digest) == data


def test_what_no_fact_has_placed_and_what_an_older_version_took_is_kept_by_digest_alone(tmp_path: Path) -> None:
    shelves = Shelves(tmp_path / "blobs", readings=tmp_path / "readings")
    data, digest = block("BAT-1", 1)
    shelves.put(data)
    assert shelves.path(digest).read_bytes() == data
    shelves.shelve(digest, BlockPlace(SiteId("LEEDS"), BatchId("BAT-1"), 1, "ASTER-BIO"))
    assert shelves.get(digest) == data
    with pytest.raises(NotValid):
        shelves.shelve("../../etc", BlockPlace(SiteId("LEEDS"), BatchId("BAT-1"), 1, "ASTER-BIO"))


def test_duckdb_and_polars_read_the_shelves_as_they_stand(folder: Path) -> None:
    pattern = f"{folder}/batches/**/*.parquet"
    source = f"read_parquet('{pattern}', union_by_name=true, hive_partitioning=true)"
    by_batch = duckdb.sql(f'SELECT sponsor, site, batch, count(*), max("BR-50.temperature") FROM {source} GROUP BY ALL ORDER BY batch').fetchall()
    assert by_batch == [
        ("ASTER-BIO", "LEEDS", "BAT-1", 20, 37.09),
        ("ASTER-BIO", "GHENT", "BAT-2", 20, None),
        ("OTHER", "LEEDS", "BAT-3", 20, 33.09),
    ]
    frame = pl.read_parquet(f"{folder}/batches/sponsor=ASTER-BIO/site=LEEDS/**/*.parquet", hive_partitioning=True)
    assert (frame.height, frame["BR-50.ph"].null_count(), str(frame["at"].dtype)) == (20, 2, "Datetime(time_unit='ms', time_zone='UTC')")
    assert frame["batch"].unique().to_list() == ["BAT-1"]


@pytest.fixture
def bucket() -> Iterator[str]:
    """An object store in this process's memory: the same code as for a real one, but for the wire."""
    import fsspec

    yield "memory://readings-of-tests"
    fsspec.filesystem("memory").store.clear()


def test_an_object_store_keeps_blocks_as_a_folder_does(tmp_path: Path, bucket: str) -> None:
    files, root = files_at(bucket)
    shelves = filled(Shelves(tmp_path / "blobs", readings=root, reading_files=files))
    assert shelves.remote
    data, digest = block("BAT-1", 1)
    assert shelves.get(digest) == data
    catalogue = Catalogue.open(bucket)
    assert (len(catalogue.blocks), catalogue.check()) == (7, [])
    answer = query(catalogue, "SELECT count(*) AS n FROM readings", blocks=catalogue.of(sponsor="ASTER-BIO"), scratch=tmp_path)
    assert answer.to_pylist() == [{"n": 80}]
    store = ObjectFiles(bucket)
    (block_file,) = [each for each in catalogue.of(batch="BAT-1") if each.number == 1]
    store.write_whole(block_file.path, b"other bytes")
    with pytest.raises(NotTrusted):
        shelves.get(digest)
    store.remove(block_file.path)
    store.remove(block_file.path)
    assert (store.read(block_file.path, 10), store.has(block_file.path), shelves.has(digest)) == (None, False, False)


def test_a_store_that_cannot_be_reached_or_is_unknown_is_refused_by_name() -> None:
    with pytest.raises(NotValid, match="nonsense"):
        ObjectFiles("nonsense://bucket")
    assert ObjectFiles("memory://user:secret@host/a").url == "memory://host/a"


# ---- one signal of one batch ----


def test_one_signal_of_one_batch_is_read_from_its_blocks_alone(folder: Path) -> None:
    catalogue = Catalogue.open(str(folder))
    series = catalogue.series("BAT-1", "BR-50.temperature")
    assert (len(series.at), series.values.tolist()[:3], set(series.quality.tolist())) == (20, [37.0, 37.01, 37.02], {0})
    assert series.at[1] - series.at[0] == 600_000
    for batch, tag in (("BAT-9", "BR-50.temperature"), ("BAT-1", "BR-50.nothing")):
        with pytest.raises(NotFound):
            catalogue.series(batch, tag)


def test_blocks_that_are_altered_or_gone_are_named(folder: Path) -> None:
    catalogue = Catalogue.open(str(folder))
    first, second = catalogue.of(batch="BAT-2")
    first.path.write_bytes(first.path.read_bytes()[:-1] + b"x")
    second.path.unlink()
    wrong = catalogue.check()
    assert len(wrong) == 2
    assert wrong[0].startswith("block 1 of BAT-2 refused")
    assert wrong[1].startswith("block 2 of BAT-2 is not here")
    with pytest.raises(NotTrusted):
        catalogue.series("BAT-2", "BR-200.ph")


# ---- SQL ----


def ask(folder: Path, sql: str, tmp_path: Path, **named: str) -> list[dict[str, object]]:
    catalogue = Catalogue.open(str(folder))
    blocks = catalogue.of(**{"sponsor": "ASTER-BIO", **named})  # type: ignore[arg-type]
    found: list[dict[str, object]] = query(catalogue, sql, blocks=blocks, scratch=tmp_path).to_pylist()
    return found


def test_the_long_view_has_a_row_for_each_reading_with_its_unit(folder: Path, tmp_path: Path) -> None:
    sql = "SELECT site, batch, unit, signal, unit_of_measure, count(value) AS n, max(quality) AS q FROM readings GROUP BY ALL ORDER BY batch, signal"
    assert ask(folder, sql, tmp_path) == [
        {"site": "LEEDS", "batch": "BAT-1", "unit": "BR-50", "signal": "ph", "unit_of_measure": "pH", "n": 18, "q": 2},
        {"site": "LEEDS", "batch": "BAT-1", "unit": "BR-50", "signal": "temperature", "unit_of_measure": "degC", "n": 20, "q": 0},
        {"site": "GHENT", "batch": "BAT-2", "unit": "BR-200", "signal": "ph", "unit_of_measure": "pH", "n": 18, "q": 2},
        {"site": "GHENT", "batch": "BAT-2", "unit": "BR-200", "signal": "temperature", "unit_of_measure": "degC", "n": 20, "q": 0},
    ]


def test_each_unit_has_a_wide_view(folder: Path, tmp_path: Path) -> None:
    sql = 'SELECT batch, "at", temperature, ph FROM "BR-50" WHERE ph IS NULL ORDER BY "at" LIMIT 1'
    assert ask(folder, sql, tmp_path) == [{"batch": "BAT-1", "at": START + timedelta(minutes=30), "temperature": 37.03, "ph": None}]


def test_readings_of_two_sponsors_are_never_read_together(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NotAllowed, match="several sponsors"):
        ask(folder, "SELECT 1", tmp_path, sponsor="")
    assert ask(folder, "SELECT DISTINCT batch FROM readings", tmp_path, sponsor="OTHER") == [{"batch": "BAT-3"}]


SECRET = "nothing to see"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{other}')",
        "SELECT * FROM read_text('{other}')",
        "SELECT * FROM read_parquet('{others_block}')",
        "SELECT * FROM '{other}'",
        "SELECT * FROM glob('{tmp}/*')",
        "COPY readings TO '{tmp}/out.csv'",
        "COPY blocks TO '{block}'",
        "ATTACH '{tmp}/x.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access=true",
        "PRAGMA enable_profiling",
        "DROP TABLE blocks",
        "CREATE TABLE t AS SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
        "SELECT * FROM nothing",
        "SELEC",
        "",
        "EXPORT DATABASE '{tmp}/x'",
    ],
)
def test_sql_sees_the_blocks_and_nothing_else(folder: Path, tmp_path: Path, sql: str) -> None:
    other = tmp_path / "other.csv"
    other.write_text(SECRET)
    catalogue = Catalogue.open(str(folder))
    mine, theirs = catalogue.of(batch="BAT-1")[0].path, catalogue.of(batch="BAT-3")[0].path
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    with pytest.raises((NotAllowed, NotValid)):
        ask(folder, sql.format(other=other, tmp=tmp_path, block=mine, others_block=theirs), tmp_path)
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()} == before


def test_an_altered_block_ends_the_query(folder: Path, tmp_path: Path) -> None:
    path = Catalogue.open(str(folder)).of(batch="BAT-1")[0].path
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(NotTrusted, match="block 1 of BAT-1"):
        ask(folder, "SELECT 1", tmp_path)


def test_an_answer_that_is_too_long_is_refused_and_never_cut_off(folder: Path, tmp_path: Path) -> None:
    catalogue = Catalogue.open(str(folder))
    blocks = catalogue.of(batch="BAT-1")
    assert query(catalogue, 'SELECT "at" FROM "BR-50"', blocks=blocks, scratch=tmp_path, rows=20).num_rows == 20
    with pytest.raises(NotAllowed, match="more than 19 rows"):
        query(catalogue, 'SELECT "at" FROM "BR-50"', blocks=blocks, scratch=tmp_path, rows=19)
    with pytest.raises(NotAllowed, match="longer than"):
        query(catalogue, "SELECT count(*) FROM range(100000000000) a, range(1000) b", blocks=blocks, scratch=tmp_path, seconds=0.2)


def test_an_answer_is_written_in_four_forms() -> None:
    answer = pa.table({"at": pa.array([START], type=pa.timestamp("ms", tz="UTC")), "value": [37.5]})
    assert written(answer, "csv", to_file=False) == b"at,value\n2026-03-02T06:00:00.000Z,37.5\n"
    assert json.loads(written(answer, "json", to_file=False)) == [{"at": "2026-03-02T06:00:00.000Z", "value": 37.5}]
    assert written(answer, "table", to_file=False).decode().splitlines()[1] == "2026-03-02T06:00:00.000Z  37.5"
    assert pq.read_table(pa.BufferReader(written(answer, "parquet", to_file=True))).num_rows == 1
    for form in ("parquet", "xml"):
        with pytest.raises(NotValid):
            written(answer, form, to_file=False)
