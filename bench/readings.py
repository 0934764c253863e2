"""Readings: from scans to sealed blocks, one signal of one batch out of 10^8 samples, and what a live site costs the control site.

    python -m bench.readings

1. A site's own path with one core, ten units of fifty signals: every scan into the buffer on the disk, a commit a second, blocks sealed, stored
   durably and hashed. Beside it the same arrays written by the Parquet library alone, with its defaults. Bytes a sample: the demonstration's
   signals, its sensors' noise in every digit, scanned every 10 s for a day; beside it eight bytes for a double.
2. 10^8 samples in 500 blocks on shelves. One signal of one batch, its blocks hashed first; beside it DuckDB on the same files, unhashed.
3. The control site's own processor time for what a live site sends in a minute (50 signals, 10 Hz, every sample kept): a heartbeat a second,
   and the minute's share of a block with its fact, over the desk in this process; TLS is not in it. Beside it Open Pectus's 2.5 % for one
   sample in 50.
"""

from __future__ import annotations

import asyncio
import resource
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.report import Row
from isogenic.authority.entitlements import Entitlements
from isogenic.clock import ManualClock
from isogenic.ids import BatchId, NodeId, SiteId
from isogenic.network.desk import Desk
from isogenic.network.disclosing import Leaving
from isogenic.network.inbox import Inbox
from isogenic.records import codec
from isogenic.records.blobs import BlobStore
from isogenic.records.blocks import ReadingsSealed, seal
from isogenic.records.catalogue import Catalogue
from isogenic.records.facts import Actor
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.notes import COSIGNER, Signer
from isogenic.records.shelves import BlockPlace, Shelves
from isogenic.records.sqlite import SqliteStore
from isogenic.records.sync import next_page
from isogenic.sim.instruments import STIRRED_BIOREACTOR, measured
from isogenic.sites.hot import HotBuffer, Shape
from isogenic.sites.hot import Row as HotRow

START = datetime(2026, 3, 2, tzinfo=UTC)
SIGNALS, HERTZ = 50, 10
INGESTED, SAMPLE_BYTES, ONE_MS, LIVE_PERCENT, PECTUS_PERCENT = 2_000_000, 4.0, 100.0, 1.0, 2.5
SCANS, UNITS = 10_000, 10  # a site of ten units
BATCHES, BLOCKS_OF_ONE, ROWS_OF_ONE = 100, 5, 4_000  # x 50 signals: 10^8


def signals(rows: int) -> np.ndarray:
    """Fifty signals such as a unit has: a third with noise in every digit, a third as coarse as most sensors are, a third that stand still."""
    dice = np.random.default_rng(1)
    noisy = 37.0 + dice.normal(size=(rows, 17)) * 0.02
    coarse = np.round(7.0 + dice.normal(size=(rows, 17)) * 0.5, 2)
    return np.asfortranarray(np.column_stack([noisy, coarse, np.tile(np.arange(16.0), (rows, 1))]))


def demo_signals(rows: int) -> np.ndarray:
    """The demonstration's instruments around a steady truth, one reading every 10 s, beside its set-points and totals."""
    age = np.arange(rows) / 360.0
    truth = {name: np.full((rows, 1), 30.0) for name in STIRRED_BIOREACTOR}
    shown = measured(truth, instruments=STIRRED_BIOREACTOR, seed=1, site="LEEDS", batches=["BR-50/1"], age_h=age)
    columns = [each[:, 0] for each in shown.values()]
    return np.asfortranarray(np.column_stack([*columns, np.tile(np.arange(17.0), (rows, 1))]))


def sealed(values: np.ndarray, *, batch: str = "BAT-1", number: int = 1, start: int = 0, step_ms: int = 100) -> tuple[bytes, ReadingsSealed]:
    tags = [f"U-1.signal_{at:02d}" for at in range(values.shape[1])]
    at = (START.timestamp() * 1000 + np.arange(start, start + len(values)) * step_ms).astype(np.int64)
    return seal(
        batch=batch,
        tags=tags,
        units=["1"] * len(tags),
        times=at,
        values=values,
        quality=np.zeros(values.shape, dtype=np.uint8),
        number=number,
        start=start,
    )


def ingest(folder: Path) -> tuple[float, float]:
    """Samples a second of processor time through the buffer into blocks; and through the Parquet library alone."""
    values, quality = np.ascontiguousarray(signals(SCANS)), np.zeros(SIGNALS, dtype=np.uint8)
    hot, blobs = HotBuffer(folder / "hot.sqlite"), BlobStore(folder / "blobs")
    tags = tuple(f"U-1.signal_{at:02d}" for at in range(SIGNALS))
    shape, batches = Shape(tags, ("1",) * SIGNALS), [f"BAT-{unit}" for unit in range(UNITS)]
    begun = process_time()
    for scan in range(0, SCANS, HERTZ):  # what is kept within a second is one commit
        second = [(at, values[at]) for at in range(scan, scan + HERTZ)]
        hot.add([HotRow(batch, 1_700_000_000_000 + 100 * at, 0, shape, row, quality) for at, row in second for batch in batches])
    for batch in batches:
        rows = hot.take(batch)
        assert rows is not None
        data, _ = seal(batch=batch, tags=rows.tags, units=rows.units, times=rows.at, values=rows.values, quality=rows.quality)
        blobs.put(data)
        hot.drop(batch, before=SCANS)
    ours = process_time() - begun
    hot.close()
    begun = process_time()
    table = pa.table({tag: values[:, column].copy() for column, tag in enumerate(tags)})
    pq.write_table(table, folder / "plain.parquet")
    plain = process_time() - begun
    return SCANS * UNITS * SIGNALS / ours, SCANS * SIGNALS / plain


def find_one(folder: Path) -> tuple[float, float, int, int]:
    """Milliseconds for one signal of one batch, ours and DuckDB's; how many samples there are, and their bytes."""
    shelves = Shelves(folder / "blobs", readings=folder / "readings")
    values, samples, size = signals(ROWS_OF_ONE), 0, 0
    for batch in range(BATCHES):
        for number in range(1, BLOCKS_OF_ONE + 1):
            name = f"BAT-{batch:04d}"
            data, fact = sealed(values + batch, batch=name, number=number, start=(number - 1) * ROWS_OF_ONE)
            shelves.shelve(fact.digest, BlockPlace(SiteId("LEEDS"), BatchId(name), number, "ASTER-BIO"))
            _plain_put(shelves, fact.digest, data)
            samples, size = samples + values.size, size + len(data)
    catalogue = Catalogue.open(str(folder / "readings"))
    catalogue.series("BAT-0000", "U-1.signal_03")  # the library's first look at a file
    ours, theirs = [], []
    for batch in range(7, 97, 9):
        begun = perf_counter()
        series = catalogue.series(f"BAT-{batch:04d}", "U-1.signal_03")
        ours.append(1e3 * (perf_counter() - begun))
        assert len(series.values) == ROWS_OF_ONE * BLOCKS_OF_ONE
        begun = perf_counter()
        source = f"read_parquet('{folder}/readings/batches/**/*.parquet', hive_partitioning=true)"
        found = duckdb.sql(f'SELECT "at", "U-1.signal_03" FROM {source} WHERE batch = \'BAT-{batch:04d}\'').fetchnumpy()
        theirs.append(1e3 * (perf_counter() - begun))
        assert len(found["at"]) == len(series.at)
    return max(ours), median(theirs), samples, size


def _plain_put(shelves: Shelves, digest: str, data: bytes) -> None:
    """As `put`, without an fsync for each of 500 files: reading is what is measured."""
    _, path = shelves._place(digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def live_cost(folder: Path, *, seconds: int = 60) -> float:
    """Percent of a core that a live site costs the control site's process."""
    site, node = NodeId("LEEDS"), Signer.generate("bench/LEEDS")
    witness = Signer.generate("bench/CONTROL/witness", algorithm=COSIGNER)
    theirs = Signer.generate("bench/LEEDS/witness", algorithm=COSIGNER)
    clock = ManualClock(START)
    origin = "bench/LEEDS/ASTER-BIO"
    ledger = Ledger(SqliteStore(folder / "site.sqlite", origin=origin), signer=node)
    copy = Copy(SqliteStore(folder / "copy.sqlite", origin=origin), writer=node.verifying_key, witness=witness)
    outgoing = Ledger(SqliteStore(folder / "out.sqlite", origin="bench/CONTROL/LEEDS"), signer=node)
    desk = Desk(
        inbox=Inbox({origin: copy}, {origin: site}, evidence=lambda *_: None),
        outgoing={site: outgoing},
        witnesses={site: theirs.verifying_key},
        blobs=BlobStore(folder / "control"),
        clock=clock,
        taken=lambda _: None,
        wanted=lambda *_: True,
        offered=lambda _: False,
        leaving=Leaving(entitlements=Entitlements, journal=None, clock=clock),
    )
    rows = seconds * HERTZ
    beats = [
        codec.dumps(
            {
                "at": "2026-03-02T06:00:00.000Z",
                "noted": {origin: 1},
                "values": {"U-1": {f"signal_{n:02d}": repr(37.0 + n + at / 7) for n in range(SIGNALS)}},
            }
        )
        for at in range(seconds)
    ]
    data, fact = sealed(signals(rows))
    ledger.append([fact], actor=Actor.node("LEEDS"), moment=clock.now())
    page: Any = next_page(ledger, start=0)

    async def minute() -> None:
        for beat in beats:
            answer = await desk.handle(site, "POST", "/v1/heartbeat", beat)
            assert answer.status < 300, answer.body
        for method, path, body in (
            ("POST", "/v1/pages", page.to_bytes()),
            ("POST", "/v1/blobs", codec.dumps({"digests": [fact.digest]})),
            ("PUT", f"/v1/blobs/{fact.digest}", data),
        ):
            answer = await desk.handle(site, method, path, body)
            assert answer.status == 200, answer.body

    before = resource.getrusage(resource.RUSAGE_SELF)
    asyncio.run(minute())
    after = resource.getrusage(resource.RUSAGE_SELF)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 100.0 * spent / seconds


def run() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="isogenic-bench-") as place:
        folder = Path(place)
        ours, plain = ingest(folder)
        day = demo_signals(8_640)
        size = len(sealed(day, step_ms=10_000)[0]) / day.size
        mine, duck, samples, total = find_one(folder)
        live = live_cost(folder)
    return [
        Row(
            "readings into sealed blocks, one core, samples/s",
            f"{ours:,.0f}",
            f"{plain:,.0f} Parquet library alone, no buffer",
            ours / plain,
            f">= {INGESTED:,}",
            ours >= INGESTED,
        ),
        Row("bytes a sample, the demonstration's signals", f"{size:.2f}", "8 a double", size / 8, f"< {SAMPLE_BYTES:g}", size < SAMPLE_BYTES),
        Row(
            f"one signal of one batch of {samples:,} samples",
            f"{mine:.1f} ms",
            f"{duck:.1f} ms DuckDB, unhashed ({total / 1e6:,.0f} MB)",
            mine / duck,
            f"< {ONE_MS:g} ms",
            mine < ONE_MS,
        ),
        Row(
            "control site's cost of a live site, in its process",
            f"{live:.3f} % of a core",
            f"{PECTUS_PERCENT} % Open Pectus, one sample in 50",
            live / PECTUS_PERCENT,
            f"<= {LIVE_PERCENT:g} %",
            live <= LIVE_PERCENT,
        ),
    ]


if __name__ == "__main__":
    for row in run():
        print(row)
