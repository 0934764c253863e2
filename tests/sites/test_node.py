"""A node in order and in trouble: noted before written, disks that refuse, modules that go, crashes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import apsw
import pytest

from isogenic.batches.facts import DoseCommanded, SetpointsCommanded
from isogenic.errors import NotReachable
from isogenic.ids import BatchId, ModuleId, NodeId
from isogenic.records.blocks import ReadingsSealed, chain_faults, milliseconds, open_block, time_of_milliseconds
from isogenic.sites.facts import ModuleLost, ModuleRestored, NodeStarted, NodeStopped, SetpointRefused
from isogenic.sites.hot import Row, Shape
from isogenic.sites.node import SiteNode
from isogenic.sites.state import SiteState, apply
from small_network import LEEDS, UNITS, Network

SPONSOR = "ASTER-BIO"


def started(folder: Path) -> Network:
    """A site with one batch begun."""
    net = Network(folder)
    asyncio.run(net.publish())
    net.start_batch()
    return net


def refold(net: Network) -> SiteState:
    node = net.nodes[LEEDS]
    state = SiteState(node.state.plant)
    for ledger in (*node.ledgers.values(), node.control):
        for fact in ledger.facts():
            state = apply(state, fact)
    return state


class FullDisk:
    """Makes the commits of one ledger fail as SQLite does when the disk is full: through SQLite itself."""

    def __init__(self, node: SiteNode, audience: str) -> None:
        self._store = node.ledgers[audience].store
        self._db: apsw.Connection = self._store._db  # type: ignore[attr-defined]

    def __enter__(self) -> None:
        (pages,) = self._db.execute("PRAGMA page_count").fetchall()[0]
        self._db.execute(f"PRAGMA max_page_count={pages}")
        filler = b"x" * 100_000
        with pytest.raises(apsw.FullError):
            self._db.execute("INSERT INTO meta VALUES ('filler', ?)", (filler,))

    def __exit__(self, *trouble: object) -> None:
        self._db.execute("PRAGMA max_page_count=1073741823")


# ---- the order of things ----


def test_every_value_that_reaches_the_equipment_is_in_the_ledger_by_then(tmp_path: Path) -> None:
    net = started(tmp_path / "net")
    node = net.nodes[LEEDS]
    batch = next(iter(node.state.batches))
    checked: list[str] = []

    def in_the_ledger(setpoints: Mapping[str, float]) -> None:
        noted: dict[str, float] = {}
        for fact in node.ledgers[SPONSOR].facts():  # read back from the file
            if isinstance(fact.payload, SetpointsCommanded):
                noted |= fact.payload.setpoints
            if isinstance(fact.payload, DoseCommanded):
                noted |= {fact.payload.dose: fact.payload.amount, fact.payload.dose + "_number": float(fact.payload.number)}
        assert {f"{UNITS[LEEDS]}.{name}": noted[name] for name in noted}.items() >= dict(setpoints).items()
        checked.extend(setpoints)

    net.vessels[LEEDS].before_write = in_the_ledger
    asyncio.run(net.run_batch(batch))
    assert {"BR-50.feed_flow_sp", "BR-50.seed_dose", "BR-50.harvest_dose_number"} <= set(checked)


def test_a_disk_that_refuses_means_that_nothing_is_written_and_the_next_scan_goes_on(tmp_path: Path) -> None:
    net = started(tmp_path / "net")
    node, vessels = net.nodes[LEEDS], net.vessels[LEEDS]
    batch = next(iter(node.state.batches))
    asyncio.run(net.scan())
    net.answer_all(batch)
    before, written = node.state, len(vessels.written)
    filled = 0
    with FullDisk(node, SPONSOR):
        for _ in range(40):  # small facts still fit the last page for a while
            net.clock.advance(1800)
            try:
                asyncio.run(node.cycle())
            except NotReachable:
                filled += 1
                assert len(vessels.written) == written
                assert node.state == before
            before, written = node.state, len(vessels.written)
    assert filled > 0
    asyncio.run(net.scan())
    assert len(node.state.batches[batch].setpoints) > 0
    assert node.state == refold(net)


def test_readings_that_cannot_be_buffered_do_not_keep_set_points_from_the_equipment(tmp_path: Path) -> None:
    net = started(tmp_path / "net")
    net.nodes[LEEDS].hot.close()
    with pytest.raises(NotReachable, match="readings not buffered"):
        asyncio.run(net.scan())
    assert net.vessels[LEEDS].facility.read("BR-50.agitation_sp") == net.nodes[LEEDS].state.outputs()["BR-50.agitation_sp"] == 140.0


# ---- modules ----


def test_a_module_that_went_and_came_back_is_noted_and_gets_its_set_points_again(tmp_path: Path) -> None:
    net = started(tmp_path / "net")
    vessels = net.vessels[LEEDS]
    asyncio.run(net.scan())
    asyncio.run(net.scan())
    in_force, writes = net.nodes[LEEDS].state.outputs(), len(vessels.written)
    vessels.news = [("BR-50-FEED", False, "no answer within 2 s")]
    asyncio.run(net.scan())
    vessels.news = [("BR-50-FEED", True, "")]
    asyncio.run(net.scan())
    assert net.payloads(ModuleLost) == [ModuleLost(UNITS[LEEDS], ModuleId("BR-50-FEED"), "no answer within 2 s")]
    assert [each.module for each in net.payloads(ModuleRestored)] == ["BR-50-FEED"]
    assert vessels.written[writes:][-1] == in_force


def test_after_a_start_what_was_noted_comes_into_force_before_anything_new_is_decided(tmp_path: Path) -> None:
    """Else a dose that was noted just before a crash is overtaken by the next one, and never flows."""
    net = started(tmp_path / "net")
    asyncio.run(net.scan())
    node = net.restart_site(LEEDS)
    net.answer_all(next(iter(node.state.batches)))  # so that the next scan orders a dose
    in_force, noted, seen = node.state.outputs(), node.ledgers[SPONSOR].size, []
    net.vessels[LEEDS].before_write = lambda setpoints: seen.append((dict(setpoints), node.ledgers[SPONSOR].size))
    asyncio.run(net.scan())
    assert seen[0] == (in_force, noted)
    assert [each[0]["BR-50.medium_dose_number"] for each in seen[1:]] == [1.0]


def test_news_of_a_module_outlive_a_disk_that_refuses(tmp_path: Path) -> None:
    net = started(tmp_path / "net")
    net.vessels[LEEDS].news = [("BR-50-FEED", False, "no answer " + "y" * 390)]
    with FullDisk(net.nodes[LEEDS], "HOUSE"):
        net.nodes[LEEDS].note([NodeStopped(LEEDS)] * 1)
        for _ in range(30):
            try:
                net.nodes[LEEDS].note([NodeStopped(LEEDS)])
            except NotReachable:
                break
        with pytest.raises(NotReachable):
            asyncio.run(net.scan())
    asyncio.run(net.scan())
    assert [each.module for each in net.payloads(ModuleLost)] == ["BR-50-FEED"]


def test_a_set_point_that_is_refused_is_noted_once_and_tried_again(tmp_path: Path) -> None:
    net = started(tmp_path / "net")
    vessels = net.vessels[LEEDS]
    vessels.refuse = {"BR-50.agitation_sp": "out of range"}
    for _ in range(3):
        asyncio.run(net.scan())
    assert net.payloads(SetpointRefused) == [SetpointRefused("BR-50.agitation_sp", "out of range")]
    assert [each["BR-50.agitation_sp"] for each in vessels.written] == [140.0] * 3
    vessels.refuse = {}
    asyncio.run(net.scan())
    writes = len(vessels.written)
    asyncio.run(net.scan())
    assert all("BR-50.agitation_sp" not in each for each in vessels.written[writes:])


# ---- starting again ----


def test_what_a_node_lives_on_is_what_a_fold_from_zero_gives_at_any_time(tmp_path: Path) -> None:
    net = started(tmp_path / "net")
    batch = next(iter(net.nodes[LEEDS].state.batches))
    for _ in range(6):
        asyncio.run(net.run_batch(batch, until_h=30.0, every_h=2.5))
        lived = net.nodes[LEEDS].state
        assert lived == refold(net)
        again = net.restart_site(LEEDS).state
        assert again == replace(lived, permission=replace(lived.permission, seen=again.permission.seen))  # that the node started is the newest
    assert [each.resumed for each in net.payloads(NodeStarted)] == [0, *[1] * 6]


def test_a_batch_that_is_killed_again_and_again_ends_as_if_nothing_had_been(tmp_path: Path) -> None:
    calm, shaken = started(tmp_path / "calm"), started(tmp_path / "shaken")

    def whole(net: Network, *, kill_every: int) -> list[tuple[str, object]]:
        batch = next(iter(net.nodes[LEEDS].state.batches))
        for scan in range(1000):
            asyncio.run(net.run_batch(batch, until_h=0.1))
            if net.nodes[LEEDS].state.batches[batch].closed:
                break
            if kill_every and scan % kill_every == 0:
                net.restart_site(LEEDS)
        told = ("batch.phase_started", "batch.dose_commanded", "batch.setpoints_commanded", "batch.closed")
        return [(fact.kind, fact.body()) for fact in net.facts() if fact.kind in told]

    def without_ids(facts: list[tuple[str, object]]) -> list[tuple[str, object]]:
        """Nor how many facts there are: each start leaves a gap in the readings, and says so."""
        return [(kind, {key: value for key, value in dict(body).items() if key not in ("batch", "facts")}) for kind, body in facts]  # type: ignore[call-overload]

    assert without_ids(whole(shaken, kill_every=11)) == without_ids(whole(calm, kill_every=0))


def test_a_node_that_runs_stops_in_good_order(tmp_path: Path) -> None:
    net = started(tmp_path / "net")

    async def a_moment() -> None:
        task = asyncio.create_task(net.nodes[LEEDS].run(scan_s=1800.0, heartbeat_s=0.05))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(a_moment())
    assert net.payloads(NodeStopped) == [NodeStopped(LEEDS)]
    assert net.nodes[LEEDS].trouble is None
    assert net.control.desk.live[NodeId(LEEDS)].heard is not None


# ---- readings ----


def test_the_readings_of_a_closed_batch_are_blocks_a_day_whose_digests_are_facts(tmp_path: Path) -> None:
    net = started(tmp_path / "net")
    node = net.nodes[LEEDS]
    batch = next(iter(node.state.batches))
    seen: list[datetime] = []
    while not node.state.batches[batch].closed:
        asyncio.run(net.run_batch(batch, until_h=0.1))
        seen.append(node.frame.at)  # type: ignore[union-attr]
    sealed = node.state.sealed[batch]
    assert list(sealed) == net.payloads(ReadingsSealed)
    assert chain_faults(sealed) == []
    assert [each.ends for each in sealed] == [False] * (len(sealed) - 1) + [True]
    assert len(sealed) == 14
    assert all(each.last - each.first <= timedelta(days=1, hours=2) for each in sealed)
    times: list[datetime] = []
    for each in sealed:
        data = node.blobs.get(each.digest)
        assert sha256(data).hexdigest() == each.digest
        block = open_block(data, each.digest)
        assert (block.batch, len(block.times), block.times[0], block.times[-1]) == (batch, each.rows, each.first, each.last)
        assert block.tags == tuple(signal.tag for signal in node.state.plant.signals())
        times += block.times
    assert times == [time_of_milliseconds(milliseconds(at)) for at in seen]
    assert batch not in node.hot.streams()


def closed_unsealed(net: Network) -> tuple[str, int]:
    """Run the batch to its end on a disk that takes no blocks at last: closed, and not sealed to its end. And how many blocks there are."""
    node = net.nodes[LEEDS]
    batch = next(iter(node.state.batches))
    asyncio.run(net.run_batch(batch, until_h=30.0))
    folder = node.blobs.folder
    node.blobs.folder = tmp = net.folder / "no" / "such"
    tmp.parent.parent.joinpath("no").write_bytes(b"a file where a folder should be")
    while not node.state.batches[batch].closed:
        with contextlib.suppress(NotReachable):
            asyncio.run(net.scan(hours=2.0))
        net.answer_all(batch)
    node.blobs.folder = folder
    blocks = node.state.sealed[batch]
    assert len(blocks) == 1
    assert not blocks[0].ends
    return batch, node.hot.streams()[batch].stop


def sealed_once(net: Network, batch: str, rows: int) -> None:
    """Every row of the batch is in one block, and none is left."""
    blocks = net.nodes[LEEDS].state.sealed[BatchId(batch)]
    assert chain_faults(blocks) == []
    assert (sum(each.rows for each in blocks), [each.ends for each in blocks]) == (rows, [False] * (len(blocks) - 1) + [True])
    assert batch not in net.nodes[LEEDS].hot.streams()


def test_a_block_that_the_disk_refused_is_sealed_at_a_later_scan(tmp_path: Path) -> None:
    net = started(tmp_path / "net")
    batch, rows = closed_unsealed(net)
    asyncio.run(net.scan())
    sealed_once(net, batch, rows)


def test_a_crash_between_closing_and_sealing_heals_at_the_next_start(tmp_path: Path) -> None:
    net = started(tmp_path / "net")
    batch, rows = closed_unsealed(net)
    node = net.restart_site(LEEDS)
    node.seal_left_over()
    sealed_once(net, batch, rows)
    facts = len(net.facts())
    node.seal_left_over()
    assert len(net.facts()) == facts


def test_a_crash_between_sealing_and_forgetting_seals_nothing_twice(tmp_path: Path) -> None:
    net = started(tmp_path / "net")
    batch, rows = closed_unsealed(net)
    node = net.restart_site(LEEDS)
    kept, start = node.hot.take(batch), node.hot.streams()[batch].start
    assert kept is not None
    node.seal_left_over()
    node.hot.add(
        [
            Row(batch, int(at), int(mark), Shape(kept.tags, kept.units), values, quality)
            for at, mark, values, quality in zip(kept.at, kept.marks, kept.values, kept.quality, strict=True)
        ],
        starts={batch: start},
    )
    node = net.restart_site(LEEDS)
    node.seal_left_over()
    sealed_once(net, batch, rows)
