"""The simulated disk loses what was not synced and nothing else; ledgers on it lose nothing acknowledged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from isogenic.clock import Moment
from isogenic.errors import NotFound, NotReachable, NotTrusted, Refusal
from isogenic.ids import BatchId
from isogenic.records.blobs import BlobStore
from isogenic.records.derived import Derived
from isogenic.records.facts import Actor, fact
from isogenic.records.ledger import Ledger
from isogenic.records.merkle import Frontier, leaf_hashes
from isogenic.records.notes import Signer
from isogenic.records.sqlite import SqliteStore
from isogenic.sim.disk import SimDisk

# When the power goes, one call into SQLite can meet two faults; it reports one, and Python says that the other was ignored.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

ORIGIN = "example.org/leeds/acme"
AT = Moment(datetime(2026, 1, 1, tzinfo=UTC))
NODE = Actor.node("LEEDS")
WRITER = Signer.from_seed("example.org/leeds", bytes(32))


@fact("testing.disk_written", subject="batch")
@dataclass(frozen=True, slots=True)
class DiskWritten:
    batch: BatchId
    number: int
    text: str


@pytest.fixture
def disk() -> Iterator[SimDisk]:
    one = SimDisk("testing")
    yield one
    one.close()


def open_ledger(disk: SimDisk) -> Ledger:
    return Ledger(SqliteStore("/leeds.db", origin=ORIGIN, vfs=disk.name), signer=WRITER)


def some(one: Ledger, count: int, dice: Random) -> list[DiskWritten]:
    return [DiskWritten(BatchId("BAT-1"), one.size + at, "x" * dice.randrange(900)) for at in range(count)]


def night(disk: SimDisk, seed: int) -> list[tuple[int, str]]:
    """Random commits, kills and power cuts; what was acknowledged must be there, whole and unchanged."""
    dice = Random(seed)
    acknowledged: list[DiskWritten] = []
    story: list[tuple[int, str]] = []
    for _ in range(dice.randrange(1, 5)):
        if dice.random() < 0.8:
            disk.cut_after(dice.randrange(120))
        tried: list[DiskWritten] = []
        try:
            one = open_ledger(disk)
            for _ in range(dice.randrange(30)):
                tried = some(one, dice.randrange(1, 8), dice)
                one.append(tried, actor=NODE, moment=AT)
                acknowledged += tried
                tried = []
        except NotReachable:
            pass
        if dice.random() < 0.2 and not disk.dark:
            disk.kill()
        else:
            disk.power_cut(dice)
        again = open_ledger(disk)
        found = [each.payload for each in again.facts()]
        # a commit that was under way may be there, but only whole
        assert found in (acknowledged, acknowledged + tried), f"seed {seed}"
        assert again.root == Frontier().extend(leaf_hashes(again.store.bodies(0, again.size))).root()
        acknowledged = found
        story.append((again.size, again.root.hex()))
        if dice.random() < 0.5:
            again.store.close()
        else:
            disk.kill()
    return story


@pytest.mark.parametrize("hundred", range(2))
def test_no_acknowledged_commit_is_lost_in_any_of_two_hundred_nights(hundred: int) -> None:
    grown = 0
    for seed in range(hundred * 100, hundred * 100 + 100):
        disk = SimDisk(f"night {seed}")
        grown += night(disk, seed)[-1][0]
        disk.close()
    assert grown > 1000  # the nights were not empty


def test_a_seed_replays_the_night() -> None:
    stories = []
    for turn in range(2):
        disk = SimDisk(f"replay {turn}")
        stories.append([night(disk, seed) for seed in range(3) if not disk._files.clear()])
        disk.close()
    assert stories[0] == stories[1]


def test_the_faults_really_happen() -> None:
    """Without syncs the same nights do lose commits: the test above can fail."""
    lost = 0
    for seed in range(30):
        dice = Random(seed)
        disk = SimDisk(f"faulty {seed}")
        one = open_ledger(disk)
        one.store._db.execute("PRAGMA synchronous=OFF")  # type: ignore[attr-defined]
        for _ in range(5):
            one.append(some(one, 3, dice), actor=NODE, moment=AT)
        disk.power_cut(dice)
        try:
            lost += open_ledger(disk).size < 15
        except Refusal:
            lost += 1
        disk.close()
    assert lost > 10


def test_a_full_disk_refuses_and_goes_on_when_there_is_room(disk: SimDisk) -> None:
    one = open_ledger(disk)
    one.append(some(one, 3, Random(1)), actor=NODE, moment=AT)
    disk.quota = disk.used() + 20_000

    def fill() -> None:
        for _ in range(100):
            one.append(some(one, 20, Random(1)), actor=NODE, moment=AT)

    with pytest.raises(NotReachable, match="nothing was noted"):
        fill()
    kept = one.size
    disk.quota = None
    one.append(some(one, 1, Random(1)), actor=NODE, moment=AT)
    assert [each.payload.number for each in one.facts()] == list(range(kept + 1))


def test_a_disk_that_failed_ends_its_store(disk: SimDisk) -> None:
    """After a failed sync only what is read back can be believed."""
    one = open_ledger(disk)
    one.append(some(one, 3, Random(1)), actor=NODE, moment=AT)
    disk.cut_after(1)
    for _ in range(2):
        with pytest.raises(NotReachable, match="open the ledger anew"):
            one.append(some(one, 1, Random(1)), actor=NODE, moment=AT)


def test_rot_is_refused_or_seen_in_the_root(disk: SimDisk) -> None:
    one = open_ledger(disk)
    one.append(some(one, 50, Random(1)), actor=NODE, moment=AT)
    good = one.store.bodies(0, 50)
    one.store.close()
    refused = altered = 0
    for at in range(0, disk.size("/leeds.db"), 37):
        disk.flip("/leeds.db", at=at)
        try:
            again = open_ledger(disk)
            found = again.store.bodies(0, 50)
            assert (found == good) == (Frontier().extend(leaf_hashes(found)).root() == again.root == one.root)
            altered += found != good
        except Refusal:
            refused += 1
        disk.kill()
        disk.flip("/leeds.db", at=at)
    assert refused > 5 and altered > 100


def test_blobs_are_whole_or_not_there() -> None:
    for seed in range(60):
        dice = Random(seed)
        disk = SimDisk(f"blobs {seed}")
        store = BlobStore("/blobs", files=disk)
        kept = [store.put(bytes([at]) * 2000) for at in range(3)]
        disk.cut_after(dice.randrange(6))
        late = bytes([9]) * 3000
        try:
            kept.append(store.put(late))
        except NotReachable:
            with pytest.raises(NotReachable):
                store.get(kept[0])
        disk.power_cut(dice)
        for digest in kept:
            assert sha256(store.get(digest)).hexdigest() == digest
        try:
            assert store.get(sha256(late).hexdigest()) == late
        except NotFound:
            assert len(kept) == 3
        disk.close()


def test_a_damaged_blob_is_refused(disk: SimDisk) -> None:
    store = BlobStore("/blobs", files=disk)
    digest = store.put(b"good bytes")
    assert list(store.digests()) == [digest]
    disk.flip(store.path(digest), at=3)
    with pytest.raises(NotTrusted):
        store.get(digest)


def test_derived_tables_live_on_it_too(disk: SimDisk, tmp_path: Path) -> None:
    one = open_ledger(disk)
    one.append(some(one, 20, Random(1)), actor=NODE, moment=AT)
    derived = Derived("/derived.db", vfs=disk.name)
    derived.catch_up(one)
    digest = derived.digest()
    disk.power_cut(Random(3))
    derived = Derived("/derived.db", vfs=disk.name)
    derived.catch_up(open_ledger(disk))
    assert derived.digest() == digest
