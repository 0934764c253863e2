"""What a reopened ledger shows has been put on the disk, whatever the process before it left half done."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from isogenic.clock import Moment
from isogenic.errors import NotReachable
from isogenic.ids import BatchId
from isogenic.records.blobs import BlobStore
from isogenic.records.facts import Actor, fact
from isogenic.records.ledger import Ledger
from isogenic.records.notes import Signer
from isogenic.records.sqlite import SqliteStore
from isogenic.sim.disk import SimDisk

WRITER = Signer.from_seed("example.org/leeds", bytes(32))


@fact("testing.reopened", subject="batch")
@dataclass(frozen=True, slots=True)
class Reopened:
    batch: BatchId


def opened(disk: SimDisk) -> Ledger:
    return Ledger(SqliteStore("/leeds.db", origin="example.org/leeds/acme", vfs=disk.name), signer=WRITER)


def note(ledger: Ledger) -> None:
    ledger.append([Reopened(BatchId("BAT-1"))], actor=Actor.node("LEEDS"), moment=Moment(datetime(2026, 1, 1, tzinfo=UTC)))


def test_what_a_killed_process_wrote_and_the_next_one_read_survives_a_power_cut() -> None:
    """Killed between write and sync: the next process reads the fact and acts on it, so it must be durable from then on."""
    grown = 0
    for steps in range(12):
        for seed in range(5):
            disk = SimDisk(f"reopened {steps} {seed}")
            ledger = opened(disk)
            note(ledger)
            disk.cut_after(steps)
            with suppress(NotReachable):
                for _ in range(20):
                    note(ledger)
            disk.kill()  # the process ends, the machine goes on: nothing written is lost
            shown = opened(disk)
            size, root = shown.size, shown.root
            disk.power_cut(Random(seed))
            again = opened(disk)
            assert (again.size, again.root) == (size, root), f"{steps} steps, seed {seed}"
            grown += size > 1
            for each in (ledger, shown, again):
                each.store.close()
            disk.close()
    assert grown > 10


def test_bytes_that_a_killed_process_left_are_kept_once_they_were_put_again() -> None:
    """Killed between renaming and syncing the folder: who puts the same bytes again is told that they are kept, so they must be."""
    for steps in range(5):
        for seed in range(5):
            disk = SimDisk(f"put again {steps} {seed}")
            disk.cut_after(steps)
            with suppress(NotReachable):
                BlobStore("/blobs", files=disk).put(b"a reading block")
            disk.kill()
            digest = BlobStore("/blobs", files=disk).put(b"a reading block")
            disk.power_cut(Random(seed))
            assert BlobStore("/blobs", files=disk).get(digest) == b"a reading block"
            disk.close()


def test_a_ledger_opens_on_a_full_disk() -> None:
    disk = SimDisk("reopened full")
    ledger = opened(disk)
    for _ in range(30):
        note(ledger)
    disk.kill()
    disk.quota = disk.used()
    again = opened(disk)
    assert (again.size, again.root) == (ledger.size, ledger.root)
    for each in (ledger, again):
        each.store.close()
    disk.close()
