"""Readings from the scan to the block: sealed in time, counted, thinned for show, and none lost or doubled by a crash at any point."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import numpy as np
import pytest

from isogenic.checks import Severity
from isogenic.errors import NotReachable, Refusal
from isogenic.ids import BatchId
from isogenic.network.inspection import inspect
from isogenic.records.blobs import BlobStore
from isogenic.records.blocks import HouseReadingsSealed, ReadingCounts, ReadingsSealed, chain_faults, milliseconds, open_block
from isogenic.records.gaps import OVERFLOW_BIT, Cause, Mark, ReadingsGap, Rows, find_gaps, readings_faults
from isogenic.records.report import VerifyReport
from isogenic.sim.disk import SimDisk
from isogenic.sites import readings as readings_module
from isogenic.sites.hot import HotBuffer, Row, Shape
from isogenic.sites.live import Thinned
from small_network import LEEDS, UNITS, Network

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
SHAPE = Shape(("BR-50.ph", "BR-50.temperature"), ("pH", "degC"))


def rows(*, at: list[int], marks: list[int] | None = None, values: list[list[float]] | None = None, quality: list[list[int]] | None = None) -> Rows:
    n = len(at)
    return Rows(
        *SHAPE,
        np.array([milliseconds(START) + 1000 * each for each in at]),
        np.array(marks or [0] * n),
        np.array(values or [[7.0, 37.0]] * n),
        np.array(quality or [[0, 0]] * n, dtype=np.uint8),
    )


def said(gaps: list[ReadingsGap]) -> list[tuple[str, tuple[str, ...], float, float, int]]:
    return [(str(gap.why), gap.tags, (gap.first - START).total_seconds(), (gap.last - START).total_seconds(), gap.missing) for gap in gaps]


# ---- gaps ----


def test_scans_that_come_in_time_leave_no_gap() -> None:
    assert find_gaps("BAT-1", rows(at=[0, 10, 20, 32, 40], marks=[Mark.STARTED, 0, 0, 0, 0]), before=None, scan_s=10.0) == []


def test_a_scan_that_came_too_late_is_a_gap_with_how_many_are_missing() -> None:
    gaps = find_gaps("BAT-1", rows(at=[30, 40, 70]), before=START, scan_s=10.0)
    assert said(gaps) == [("late", (), 0.0, 30.0, 2), ("late", (), 40.0, 70.0, 2)]


def test_a_node_that_was_not_running_leaves_a_gap_and_a_quick_start_none() -> None:
    marks = [int(Mark.STARTED)] * 3
    gaps = find_gaps("BAT-1", rows(at=[10, 20, 60], marks=marks), before=START, scan_s=10.0)
    assert said(gaps) == [("stopped", (), 20.0, 60.0, 3)]
    assert [gap.why for gap in find_gaps("BAT-1", rows(at=[10, 20], marks=marks[:2]), before=START, scan_s=0.0)] == [Cause.STOPPED] * 2


def test_a_clock_that_was_set_back_is_a_gap_and_the_order_holds() -> None:
    assert said(find_gaps("BAT-1", rows(at=[10, 5, 15]), before=START, scan_s=10.0)) == [("clock", (), 10.0, 5.0, 0)]
    assert said(find_gaps("BAT-1", rows(at=[10, 3610], marks=[0, int(Mark.STEPPED)]), before=START, scan_s=10.0)) == [("clock", (), 10.0, 3610.0, 0)]


def test_a_queue_that_was_full_is_a_gap_with_its_count_or_with_its_signals() -> None:
    ours = find_gaps("BAT-1", rows(at=[10, 60], marks=[0, 4 * Mark.DROPPED]), before=START, scan_s=10.0)
    assert said(ours) == [("overflowed", (), 10.0, 60.0, 4)]
    modules = find_gaps("BAT-1", rows(at=[10, 20], quality=[[0, 0], [OVERFLOW_BIT, 0]]), before=START, scan_s=10.0)
    assert said(modules) == [("overflowed", ("BR-50.ph",), 10.0, 20.0, 0)]


def test_signals_that_were_lost_and_came_back_together_are_one_gap() -> None:
    nan = float("nan")
    lost = rows(at=[0, 10, 20, 30], values=[[7, 37], [nan, nan], [nan, nan], [7, nan]], quality=[[0, 0], [2, 2], [2, 2], [0, 2]])
    assert said(find_gaps("BAT-1", lost, before=None, scan_s=10.0)) == [
        ("lost", ("BR-50.ph",), 10.0, 20.0, 2),
        ("lost", ("BR-50.temperature",), 10.0, 30.0, 3),
    ]


def test_a_signal_that_flaps_all_night_is_few_facts_and_every_bad_reading_is_counted() -> None:
    n = 2_000
    values = [[7.0 if row % 2 else float("nan"), float("nan") if row % 3 == 0 else 37.0] for row in range(n)]
    gaps = find_gaps("BAT-1", rows(at=list(range(n)), values=values), before=None, scan_s=1.0)
    assert said(gaps) == [("lost", ("BR-50.ph",), 0.0, n - 2.0, 1000), ("lost", ("BR-50.temperature",), 0.0, n - 2.0, 667)]


def test_bad_readings_that_no_gap_names_are_seen() -> None:
    block = ReadingsSealed("BAT-1", "a", 9, 4, SHAPE.tags, START, START, good=(4, 1), uncertain=(0, 1), bad=(0, 2))
    gap = ReadingsGap("BAT-1", ("BR-50.temperature",), START, START, 2, Cause.LOST)
    assert readings_faults([block], [gap]) == []
    assert readings_faults([block], []) == ["2 readings of BR-50.temperature are bad, and the gaps on record name 0"]


# ---- the buffer ----


def test_rows_come_out_in_the_order_in_which_they_were_added_and_shape_by_shape(tmp_path: Path) -> None:
    hot = HotBuffer(tmp_path / "hot.sqlite")
    other = Shape(("BR-50.ph",), ("pH",))
    kept = [Row("BAT-1", at, 0, SHAPE, np.array([at, 1.0]), np.array([0, 0], np.uint8)) for at in (5, 3, 4)]
    hot.add([*kept, Row("BAT-1", 9, 0, other, np.array([7.0]), np.array([0], np.uint8))], starts={"BAT-1": 100})
    hot.close()
    hot = HotBuffer(tmp_path / "hot.sqlite")
    first = hot.take("BAT-1")
    assert first is not None
    assert (first.at.tolist(), first.tags, hot.streams()["BAT-1"]) == ([5, 3, 4], SHAPE.tags, (100, 104, 5))
    hot.drop("BAT-1", before=103)
    rest = hot.take("BAT-1")
    assert rest is not None
    assert (rest.tags, hot.streams()["BAT-1"]) == (other.tags, (103, 104, 9))
    hot.drop("BAT-1", before=104)
    assert (hot.take("BAT-1"), hot.streams()) == (None, {})
    hot.close()


def test_no_row_that_was_added_is_lost_by_a_power_cut_at_any_step() -> None:
    cuts = 0
    for step in range(60):
        disk = SimDisk(f"hot-{step}")
        kept = 0
        try:
            hot = HotBuffer("/hot.sqlite", vfs=disk.name)
            disk.cut_after(step)
            for at in range(10):
                hot.add([Row("BAT-1", at, 0, SHAPE, np.array([at, 1.0]), np.array([0, 0], np.uint8))] * 2)
                kept += 2
        except Refusal:
            cuts += 1
        disk.power_cut(Random(step))
        found = HotBuffer("/hot.sqlite", vfs=disk.name).take("BAT-1")
        there = [] if found is None else found.at.tolist()
        assert there[:kept] == [at // 2 for at in range(kept)]
        assert len(there) in (kept, kept + 2)  # a commit is there whole or not at all
        disk.close()
    assert cuts > 20


# ---- a batch ----


def started(folder: Path) -> tuple[Network, BatchId]:
    net = Network(folder)
    asyncio.run(net.publish())
    return net, net.start_batch()


def all_rows(net: Network, batch: BatchId) -> list[datetime]:
    """The time of every row of a batch, from its blocks; each block opened with the digest of its fact."""
    node = net.nodes[LEEDS]
    return [at for sealed in node.state.sealed.get(batch, ()) for at in open_block(node.blobs.get(sealed.digest), sealed.digest).times]


def test_blocks_are_sealed_by_size_while_the_batch_runs(tmp_path: Path) -> None:
    net, batch = started(tmp_path / "net")
    node = net.nodes[LEEDS]
    node.readings.plan = readings_module.ReadingsPlan(block_samples=5 * len(node.state.plant.units[UNITS[LEEDS]].signals), scan_s=1800.0)
    for _ in range(23):
        asyncio.run(net.scan())
    assert [each.rows for each in node.state.sealed[batch]] == [5, 5, 5, 5]
    assert node.hot.streams()[batch].rows == 3
    assert node.readings.counts(batch).rows == 23
    assert chain_faults(node.state.sealed[batch]) == []


def test_what_closing_claims_is_what_the_blocks_add_up_to(tmp_path: Path) -> None:
    net, batch = started(tmp_path / "net")
    node = net.nodes[LEEDS]
    net.vessels[LEEDS].bad = {"BR-50.ph"}
    for _ in range(60):
        asyncio.run(net.scan())
    claimed = node.readings.counts(batch)
    sealed = node.readings.seal_all(batch)
    assert sealed
    assert ReadingCounts.of(node.state.sealed[batch]) == claimed == node.readings.counts(batch)
    assert claimed.bad[claimed.tags.index("BR-50.ph")] == claimed.rows == 60
    assert readings_faults(node.state.sealed[batch], node.state.gaps[batch]) == []


class Stop(Exception):
    """The process ends here."""


@pytest.mark.parametrize("where", ["blob kept", "fact noted", "before the file", "rows dropped"])
def test_a_crash_between_any_two_steps_of_sealing_loses_no_row_and_seals_none_twice(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, batch = started(tmp_path / "net")
    for _ in range(7):
        asyncio.run(net.scan())
    node = net.nodes[LEEDS]
    seen = milliseconds(node.frame.at)  # type: ignore[union-attr]
    drop = HotBuffer.drop

    def stop(*_: object, **__: object) -> None:
        raise Stop

    with monkeypatch.context() as patched:
        if where == "before the file":
            patched.setattr(BlobStore, "put", stop)
        elif where == "blob kept":
            node.readings._note = stop
        elif where == "fact noted":
            patched.setattr(HotBuffer, "drop", stop)
        else:

            def drop_and_stop(hot: HotBuffer, stream: str, *, before: int) -> None:
                drop(hot, stream, before=before)
                raise Stop

            patched.setattr(HotBuffer, "drop", drop_and_stop)
        with pytest.raises(Stop):
            node.readings.seal_all(batch)
    node = net.restart_site(LEEDS)
    node.seal_left_over()
    for _ in range(3):
        asyncio.run(net.scan())
    node.readings.seal_all(batch)
    times = all_rows(net, batch)
    assert len(times) == len(set(times)) == 10
    assert milliseconds(times[6]) == seen
    assert chain_faults(node.state.sealed[batch]) == []
    assert [gap.why for gap in node.state.gaps.get(batch, ())].count(Cause.STOPPED) <= 1


def test_a_disk_that_refuses_rows_stops_nothing_and_what_the_queue_cannot_hold_is_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, batch = started(tmp_path / "net")
    asyncio.run(net.scan())
    node = net.nodes[LEEDS]
    width = len(node.state.plant.units[UNITS[LEEDS]].signals)
    monkeypatch.setattr(readings_module, "QUEUE_BYTES_MAX", 3 * 9 * width)

    def refuse(*_: object, **__: object) -> None:
        raise NotReachable("readings not buffered", why="disk full")

    with monkeypatch.context() as patched:
        patched.setattr(HotBuffer, "add", refuse)
        for _ in range(5):
            with pytest.raises(NotReachable, match="readings not buffered"):
                asyncio.run(net.scan())
    asyncio.run(net.scan())  # the queue is full still; it is brought to the disk
    asyncio.run(net.scan())
    node.readings.seal_all(batch)
    gaps = [gap for gap in node.state.gaps[batch] if gap.why is Cause.OVERFLOWED]
    assert [gap.missing for gap in gaps] == [3]
    assert len(all_rows(net, batch)) == 1 + 3 + 1


def test_readings_between_two_batches_are_the_houses_and_name_no_set_point(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    for _ in range(51):
        asyncio.run(net.scan())
    (sealed,) = net.payloads(HouseReadingsSealed)
    assert isinstance(sealed, HouseReadingsSealed)
    assert (sealed.unit, sealed.number, sealed.start, sealed.rows) == ("BR-50", 1, 0, 49)
    assert [tag for tag in sealed.tags if tag.endswith(("_sp", "_dose", "_number"))] == []
    assert [fact.ref.ledger for fact in net.facts() if fact.payload == sealed] == ["aster/LEEDS/HOUSE"]
    asyncio.run(net.carry())
    data = net.nodes[LEEDS].blobs.get(sealed.digest)
    assert net.control.blobs.get(sealed.digest) == data
    assert next((net.folder / "CONTROL" / "readings" / "house").rglob("*.parquet")).name == f"000001-{sealed.digest}.parquet"
    asyncio.run(net.publish())
    batch = net.start_batch()
    asyncio.run(net.scan())
    assert net.nodes[LEEDS].hot.streams()[batch].rows == 1


def blob_faults(report: VerifyReport) -> list[str]:
    return [found.text for found in report.findings if found.severity is Severity.STOP and found.check in ("check_blobs", "check_blocks")]


def test_the_control_sites_folder_is_verified_with_the_blocks_on_its_shelves(tmp_path: Path) -> None:
    net, batch = started(tmp_path / "net")
    for _ in range(5):
        asyncio.run(net.scan())
    (sealed,) = net.nodes[LEEDS].readings.seal_all(batch)
    asyncio.run(net.carry())
    control = net.folder / "CONTROL"
    report = inspect(control)
    assert (blob_faults(report), report.blocks, report.readings) == ([], 1, 5 * len(sealed.tags))
    (path,) = (control / "readings").rglob(f"*{sealed.digest}.parquet")
    data = path.read_bytes()
    path.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    assert len(blob_faults(inspect(control))) == 1


# ---- live values ----


def test_a_spike_between_two_heartbeats_is_seen_once() -> None:
    thinned = Thinned()
    thinned.see("BR-50", {"ph": 7.0})
    assert thinned.take() == {"BR-50": {"ph": 7.0}}
    for value in (7.01, 9.5, 7.02, 7.0):
        thinned.see("BR-50", {"ph": value})
    assert thinned.take() == {"BR-50": {"ph": 9.5}}
    thinned.see("BR-50", {"ph": 7.0})
    assert thinned.take() == {"BR-50": {"ph": 7.0}}
    assert thinned.take() == {}


def test_at_most_one_value_a_signal_goes_up_with_a_heartbeat(tmp_path: Path) -> None:
    net, _ = started(tmp_path / "net")
    for _ in range(5):
        asyncio.run(net.scan())
    live = net.nodes[LEEDS].live()
    assert set(live) == {"BR-50"}
    assert set(live["BR-50"]) <= {signal.cls.name for signal in net.nodes[LEEDS].state.plant.units[UNITS[LEEDS]].signals.values()} | {
        "maturity",
        "t2",
        "spe",
    }
    assert net.nodes[LEEDS].live() == {}
