"""A full disk: no new work, a clear alarm, nothing by halves, and on it goes when there is room."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from isogenic.checks import stops
from isogenic.errors import NotReachable
from isogenic.ids import LotId
from isogenic.sites import requests
from isogenic.sites.facts import BatchRefused, DiskFilled, DiskFreed
from isogenic.sites.room import DiskBallast, Room
from small_network import LEEDS, OPERATORS, RECIPE, UNITS, Network

SIZE = 1000


class Disk:
    """A ballast on a disk whose free bytes the test says."""

    def __init__(self, free: int) -> None:
        self.left, self.there = free, False

    def take(self) -> bool:
        if self.left < SIZE:
            return False
        self.left, self.there = self.left - SIZE, True
        return True

    def give(self) -> None:
        if self.there:
            self.left, self.there = self.left + SIZE, False

    def taken(self) -> bool:
        return self.there

    def free(self) -> int | None:
        return self.left


def network(tmp_path: Path, disk: Disk) -> Network:
    net = Network(tmp_path / "net")
    net.nodes[LEEDS].room = Room(disk, size=SIZE)
    asyncio.run(net.publish())
    return net


def asked_to_start(net: Network, lot: str) -> list[str]:
    node = net.nodes[LEEDS]
    person = requests.person_here(node.state, OPERATORS[LEEDS])
    payloads, notes = requests.start_batch(
        node.state, person, recipe=RECIPE, version=1, unit=UNITS[LEEDS], lot=LotId(lot), mint=node.mint, now=node.clock.now()
    )
    node.note(payloads)
    return [note.text for note in stops(notes)]


def test_a_full_disk_stops_new_work_with_an_alarm_and_the_running_batch_goes_on(tmp_path: Path) -> None:
    disk = Disk(10_000)
    net = network(tmp_path, disk)
    node = net.nodes[LEEDS]
    batch = net.start_batch()
    asyncio.run(net.scan())
    assert disk.there
    disk.left = 400
    asyncio.run(net.scan())
    assert not disk.there  # given up
    assert net.payloads(DiskFilled) == [DiskFilled(LEEDS, 400)]
    assert "the disk is full" in node.alarm
    size = node.ledgers["ASTER-BIO"].size
    net.answer_all(batch)
    asyncio.run(net.run_batch(batch, until_h=12))
    assert node.ledgers["ASTER-BIO"].size > size
    reasons = asked_to_start(net, "LOT-0002")
    assert any("the disk of LEEDS is full" in reason for reason in reasons)
    assert any("the disk of LEEDS is full" in reason for each in net.payloads(BatchRefused) for reason in each.reasons)
    net.restart_site(LEEDS)  # and the next process knows it
    assert net.nodes[LEEDS].state.disk_full


def test_there_is_room_again_once_the_ballast_fits_with_a_little_more(tmp_path: Path) -> None:
    disk = Disk(10_000)
    net = network(tmp_path, disk)
    asyncio.run(net.scan())
    disk.left = 400
    asyncio.run(net.scan())
    for free, freed in ((1_400, []), (2_400, []), (2_600, [DiskFreed(LEEDS, 2_600)])):
        disk.left = free
        asyncio.run(net.scan())
        assert net.payloads(DiskFreed) == freed
    assert disk.there
    assert net.nodes[LEEDS].alarm == ""
    asyncio.run(net.scan())
    net.start_batch()


def test_what_does_not_fit_is_not_noted_by_halves_and_is_noted_later(tmp_path: Path) -> None:
    net = network(tmp_path, Disk(10_000))
    batch = net.start_batch()
    asyncio.run(net.scan())
    node = net.nodes[LEEDS]
    ledger = node.ledgers["ASTER-BIO"]
    db = ledger.store._db
    ((pages,),) = db.execute("PRAGMA page_count").fetchall()
    db.execute(f"PRAGMA max_page_count={pages}")
    before: list[tuple[int, bytes, int]] = []

    async def until_full() -> None:
        for _ in range(40):
            before.append((ledger.size, ledger.root, len(net.vessels[LEEDS].written)))
            await net.scan(hours=1)
            net.answer_all(batch)

    with pytest.raises(NotReachable, match="full"):
        asyncio.run(until_full())
    size, root, written = before[-1]
    assert (ledger.size, ledger.root) == (size, root)
    assert ledger.store.bodies(size, size + 1) == []
    ledger.check()
    assert len(net.vessels[LEEDS].written) == written  # nothing is done that was not noted
    db.execute("PRAGMA max_page_count=1000000")
    asyncio.run(net.run_batch(batch, until_h=12))
    assert ledger.size > size
    asyncio.run(net.carry())
    assert net.control.copies[ledger.origin][1].root == ledger.root


def test_the_ballast_is_really_on_the_disk(tmp_path: Path) -> None:
    ballast = DiskBallast(tmp_path / "home" / "ballast", size=1 << 20)
    assert not ballast.taken()
    assert ballast.take()
    assert ballast.taken()
    assert ballast.path.stat().st_blocks * 512 >= 1 << 20
    assert (ballast.free() or 0) > 0
    ballast.give()
    assert not ballast.path.exists()
    ballast.give()
    assert not DiskBallast(tmp_path / "home" / "ballast", size=1 << 60).take()
    assert not ballast.path.exists()
