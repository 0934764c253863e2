"""The power goes at every single step that a real session takes on its disk: nothing acknowledged is lost, nothing half-written is shown.

A session notes facts, takes pages of another node's ledger, keeps receipts, buffers readings and puts blobs, on a disk that
writes down every write, truncation, sync, name made and name removed. Then, for every prefix of those steps, a disk is made
as a power cut there would leave it: what was synced, and of the rest whole sectors lost, kept in any order, or torn.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from isogenic.clock import EPOCH, Moment
from isogenic.errors import NotReachable, Refusal
from isogenic.ids import BatchId
from isogenic.records import durable
from isogenic.records.blobs import BlobStore
from isogenic.records.blocks import milliseconds
from isogenic.records.facts import Actor, fact
from isogenic.records.gaps import Mark
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.merkle import Frontier, leaf_hashes
from isogenic.records.notes import COSIGNER, Signer
from isogenic.records.sqlite import SqliteStore
from isogenic.records.sync import next_page
from isogenic.sim.disk import SimDisk, Step
from isogenic.sites.hot import EVERY, HotBuffer, Row, Shape

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

OWN, THEIRS = "example.org/leeds/acme", "example.org/control/leeds"
AT = Moment(datetime(2026, 1, 1, tzinfo=UTC))
LEEDS = Signer.from_seed("example.org/leeds", bytes(32))
CONTROL = Signer.from_seed("example.org/control", b"\1" * 32)
WITNESS = Signer.from_seed("example.org/witness", b"\2" * 32, algorithm=COSIGNER)
CHECKPOINT_PAGES = 24  # SQLite copies its log back after so many pages, so that a short session has many such moments; its default is 1,000
VALUES, QUALITY = np.arange(20.0), np.zeros(20, dtype=np.uint8)
SHAPE = Shape(tuple(f"BR-50.signal_{at}" for at in range(20)), ("1",) * 20)


@fact("testing.power_went", subject="batch")
@dataclass(frozen=True, slots=True)
class PowerWent:
    batch: BatchId
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Promised:
    """What callers had been told is durable, at one moment; and what had been asked for by then, told or not."""

    own: tuple[bytes, ...] = ()
    theirs: tuple[bytes, ...] = ()
    own_receipt: int = 0
    their_receipt: int = 0
    rows: frozenset[datetime] = frozenset()
    blobs: frozenset[str] = frozenset()
    ends: frozenset[int] = frozenset({0})  # sizes of our ledger at which a commit ended
    asked: frozenset[datetime] = frozenset()


@dataclass(slots=True)
class Recorded:
    """A session: its steps, and what was promised after so many of them."""

    steps: list[Step]
    promises: list[tuple[int, Promised]] = field(default_factory=list)

    def promised(self, taken: int) -> Promised:
        return next(promise for count, promise in reversed(self.promises) if count <= taken)


class Session:
    """A process that works on its disk, and writes down what it was promised."""

    def __init__(self, disk: SimDisk, dice: Random) -> None:
        self.disk, self.dice, self.now = disk, dice, Promised()
        self.told = Recorded(disk.steps, [(0, self.now)])
        self.source = SimDisk(f"{disk.name} source")  # where the other node writes
        self.other = Ledger(SqliteStore("/other.db", origin=THEIRS, vfs=self.source.name), signer=CONTROL)
        self.clock = AT.at
        self.open()

    def open(self) -> None:
        self.own, self.copy, self.hot, self.blobs = opened(self.disk)
        for each in (self.own.store, self.copy.store, self.hot):
            each._db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")  # type: ignore[union-attr]

    def close(self) -> None:
        for each in (self.own.store, self.copy.store, self.hot):
            each.close()

    def asks(self, **changes: Any) -> None:
        """Something is about to be asked for: from here on it may be there."""
        self.now = replace(self.now, **changes)
        self.told.promises.append((len(self.disk.steps), self.now))

    told_so = asks

    def some(self, count: int) -> list[PowerWent]:
        return [PowerWent(BatchId("BAT-1"), at, "x" * self.dice.randrange(900)) for at in range(count)]

    def note(self) -> None:
        count = self.dice.randrange(1, 9)
        self.asks(ends=self.now.ends | {self.own.size + count})
        self.own.append(self.some(count), actor=Actor.node("LEEDS"), moment=AT)
        self.told_so(own=tuple(self.own.store.bodies(0, self.own.size)))

    def take(self) -> None:
        self.other.append(self.some(self.dice.randrange(1, 9)), actor=Actor.node("CONTROL"), moment=AT)
        page = next_page(self.other.store, start=self.copy.size)
        assert page is not None
        receipt = self.copy.take(page, moment=AT)
        self.told_so(theirs=tuple(self.copy.store.bodies(0, self.copy.size)), their_receipt=receipt.size)

    def keep_receipt(self) -> None:
        if self.own.size:
            page = next_page(self.own.store, start=self.own.witnessed)
            if page is not None:
                elsewhere = SimDisk(f"{self.disk.name} witness")
                far = Copy(SqliteStore("/far.db", origin=OWN, vfs=elsewhere.name), writer=LEEDS.verifying_key, witness=WITNESS)
                whole = next_page(self.own.store, start=0)
                assert whole is not None
                receipt = far.take(whole, moment=AT)
                far.store.close()
                elsewhere.close()
                self.own.take_receipt(receipt.line, size=receipt.size, witness=WITNESS.verifying_key)
                self.told_so(own_receipt=max(receipt.size, self.now.own_receipt))

    def read(self) -> None:
        self.clock += timedelta(seconds=1)
        self.asks(asked=self.now.asked | {self.clock})
        self.hot.add([Row("BAT-1", milliseconds(self.clock), Mark.NONE, SHAPE, VALUES, QUALITY)])
        self.told_so(rows=self.now.rows | {self.clock})

    def forget(self) -> None:
        self.told_so(rows=frozenset())
        self.hot.drop("BAT-1", before=EVERY)
        self.told_so(asked=frozenset())

    def put(self) -> None:
        digest = self.blobs.put(self.dice.randbytes(self.dice.randrange(1, 9000)))
        self.told_so(blobs=self.now.blobs | {digest})

    def open_again(self) -> None:
        if self.dice.random() < 0.5:
            self.close()
        else:
            self.disk.kill()
        self.open()

    def run(self, acts: int) -> Recorded:
        usual: list[tuple[Callable[[], None], int]] = [
            (self.note, 8),
            (self.take, 5),
            (self.keep_receipt, 3),
            (self.read, 5),
            (self.put, 3),
            (self.forget, 1),
            (self.open_again, 1),
        ]
        for act in self.dice.choices([act for act, _ in usual], [weight for _, weight in usual], k=acts):
            act()
        self.close()
        self.other.store.close()
        self.source.close()
        return self.told


def opened(disk: SimDisk) -> tuple[Ledger, Copy, HotBuffer, BlobStore]:
    return (
        Ledger(SqliteStore("/own.db", origin=OWN, vfs=disk.name), signer=LEEDS),
        Copy(SqliteStore("/theirs.db", origin=THEIRS, vfs=disk.name), writer=CONTROL.verifying_key, witness=WITNESS),
        HotBuffer("/hot.db", vfs=disk.name),
        BlobStore("/blobs", files=disk),
    )


def recorded(seed: int, *, sector: int, acts: int) -> Recorded:
    disk = SimDisk(f"recorded {seed} {sector}", sector=sector, recording=True)
    try:
        return Session(disk, Random(f"session {seed}")).run(acts)
    finally:
        disk.close()


def check(disk: SimDisk, promised: Promised, *, where: str) -> int:
    """Open everything on what the cut has left; gives how many facts are there."""
    own, copy, hot, blobs = opened(disk)
    own.check()  # every stored fact hashed again: the signed root
    copy.check()
    found, copied = tuple(own.store.bodies(0, 1 << 40)), tuple(copy.store.bodies(0, 1 << 40))
    assert found[: len(promised.own)] == promised.own, f"{where}: a noted fact is lost"
    assert len(found) in promised.ends, f"{where}: a commit is shown by halves"
    assert copied[: len(promised.theirs)] == promised.theirs, f"{where}: a fact that was cosigned is lost"
    assert own.root == Frontier().extend(leaf_hashes(found)).root(), where
    assert own.witnessed >= promised.own_receipt, f"{where}: a receipt is lost"
    receipt = copy.store.receipt()
    assert (receipt[0] if receipt else 0) >= promised.their_receipt, f"{where}: what was promised to the writer is lost"
    rows = hot.take("BAT-1")
    there = {EPOCH + timedelta(milliseconds=int(at)) for at in rows.at} if rows else set()
    assert promised.rows <= there <= promised.asked, f"{where}: readings {sorted(promised.rows ^ there)}"
    assert rows is None or all((row == VALUES).all() for row in rows.values), where
    for digest in promised.blobs:
        assert sha256(blobs.get(digest)).hexdigest() == digest, where
    for digest in blobs.digests():
        blobs.get(digest)  # refuses a name that stands for half of its bytes
    own.append([PowerWent(BatchId("BAT-1"), 0, "and on")], actor=Actor.node("LEEDS"), moment=AT)
    assert own.size == len(found) + 1
    for each in (own.store, copy.store, hot):
        each.close()
    return len(found)


def shaken(disk: SimDisk, dice: Random) -> None:
    """The power goes again while everything is being opened, now and then more than once."""
    while dice.random() < 0.3:
        disk.cut_after(dice.randrange(30))
        with suppress(NotReachable):
            for each in opened(disk):
                each.store.close() if isinstance(each, Ledger | Copy) else None
        disk.power_cut(dice)


def cut_everywhere(told: Recorded, *, seed: int, sector: int, each: int) -> int:
    """The power goes after every step, `each` times with other dice; gives how many cuts there were."""
    past, left, cuts = SimDisk(f"past {seed} {sector}"), SimDisk(f"left {seed} {sector}", sector=sector), 0
    try:
        for taken in range(len(told.steps) + 1):
            if taken:
                past.take(told.steps[taken - 1])
            for turn in range(each):
                dice = Random(f"cut {seed} {sector} {taken} {turn}")
                left.become(past)
                left.power_cut(dice)
                shaken(left, dice)
                check(left, told.promised(taken), where=f"session {seed}, sectors of {sector}, cut {turn} after step {taken}")
                cuts += 1
    finally:
        past.close()
        left.close()
    return cuts


@pytest.mark.parametrize(("seed", "sector"), [(1, 512), (2, 4096)])
def test_nothing_acknowledged_is_lost_wherever_the_power_goes(seed: int, sector: int) -> None:
    told = recorded(seed, sector=sector, acts=100)
    assert {step.kind for step in told.steps} == {"write", "truncate", "sync", "name", "remove", "names"}
    assert cut_everywhere(told, seed=seed, sector=sector, each=1) == len(told.steps) + 1 > 700


@pytest.mark.nightly
@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("seed", range(3, 13))
def test_nothing_acknowledged_is_lost_in_tens_of_thousands_of_power_cuts(seed: int, sector: int) -> None:
    told = recorded(seed, sector=sector, acts=150)
    assert cut_everywhere(told, seed=seed, sector=sector, each=3) > 3_000


def test_without_syncs_the_same_cuts_lose_facts() -> None:
    """Else the tests above could not fail."""
    told, lost = recorded(1, sector=512, acts=50), 0
    past, left = SimDisk("past unsynced"), SimDisk("left unsynced")
    for taken, step in enumerate(told.steps, 1):
        if step.kind != "sync":
            past.take(step)
        if taken % 10 == 0:
            left.become(past)
            left.power_cut(Random(taken))
            try:
                check(left, told.promised(taken), where="")
            except (AssertionError, Refusal):
                lost += 1
    assert lost > len(told.steps) // 20
    past.close()
    left.close()


def test_a_session_is_recorded_whole() -> None:
    told = recorded(1, sector=512, acts=25)
    past = SimDisk("past whole")
    for step in told.steps:
        past.take(step)
    assert check(past, told.promises[-1][1], where="at the end") == len(told.promises[-1][1].own) > 10
    past.close()


# ---- whole files, as the operating system is asked for them ----


@contextmanager
def system_calls(steps: list[Step], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What `durable.write_whole` asks of the operating system, written down as steps of a disk, while it really happens."""
    numbers: dict[str, int] = {}  # of files by the name under which they were opened
    paths: dict[int, str] = {}
    real_open, real_fsync, real_replace = os.open, os.fsync, os.replace
    unsynced: set[str] = set()

    def wrote(path: str) -> None:
        if path in unsynced:
            steps.append(Step("write", numbers[path], 0, Path(path).read_bytes()))
            unsynced.discard(path)

    def opens(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        handle = real_open(path, flags, *rest, **named)
        paths[handle] = str(path)
        if flags & os.O_CREAT:
            numbers[str(path)] = len(steps) + 1_000
            steps.append(Step("name", numbers[str(path)], path=str(path)))
            unsynced.add(str(path))
        return handle

    def syncs(handle: int) -> None:
        path = paths[handle]
        if Path(path).is_dir():
            steps.append(Step("names", path=path))
        else:
            wrote(path)
            steps.append(Step("sync", numbers[path]))
        real_fsync(handle)

    def renames(one: Any, other: Any) -> None:
        wrote(str(one))
        steps.append(Step("name", numbers[str(one)], path=str(other)))
        steps.append(Step("remove", path=str(one)))
        real_replace(one, other)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", opens)
        patched.setattr(os, "fsync", syncs)
        patched.setattr(os, "replace", renames)
        yield


def remains(steps: Sequence[Step], path: Path, *, disk: SimDisk, before: bytes) -> list[set[bytes | None]]:
    """What may stand under the name after a cut behind each step."""
    found: list[set[bytes | None]] = []
    for taken in range(len(steps) + 1):
        seen: set[bytes | None] = set()
        for turn in range(40):
            past = SimDisk(f"{disk.name} {taken} {turn}")
            past.write_whole(path, before)
            for step in steps[:taken]:
                past.take(step)
            past.power_cut(Random(f"{taken} {turn}"))
            seen.add(past.read(path, 1 << 20))
            past.close()
        found.append(seen)
    return found


def test_a_whole_file_is_the_old_one_or_the_new_one_after_every_system_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: SimDisk) -> None:
    path, old, new = tmp_path / "block", b"old" * 500, b"new" * 900
    durable.write_whole(path, old)
    steps: list[Step] = []
    with system_calls(steps, monkeypatch):
        durable.write_whole(path, new)
    assert path.read_bytes() == new
    assert [step.kind for step in steps] == ["name", "write", "sync", "name", "remove", "names"]
    found = remains(steps, path, disk=disk, before=old)
    assert all(seen <= {old, new} for seen in found)
    assert found[0] == {old}
    assert found[-1] == {new}  # it has returned: the name is on the disk
    unsynced = remains([step for step in steps if step.kind != "sync"], path, disk=disk, before=old)
    assert any(seen - {old, new} for seen in unsynced)  # the sync is needed, and this test would see that it is missing


@pytest.fixture
def disk() -> Iterator[SimDisk]:
    one = SimDisk("power cut")
    yield one
    one.close()
