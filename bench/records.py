"""What noting a fact costs, beside plain SQLite inserts of the same bytes with the same fsync, in one run.

    python -m bench.records [FOLDER]

The disk's pace changes from minute to minute, so what is compared takes turns, round by
round, on files of the same folder; each figure is the median over the rounds, and each
ratio the median of the rounds' ratios (plain time / our time: 1 would be free).
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median
from time import perf_counter

import apsw
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate

from bench.report import Row
from isogenic.clock import ManualClock
from isogenic.ids import BatchId
from isogenic.records.derived import Derived
from isogenic.records.facts import Actor, check_place, encode_facts, fact
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.merkle import Frontier, leaf_hashes
from isogenic.records.notes import COSIGNER, Signer
from isogenic.records.sqlite import SqliteStore
from isogenic.records.sync import Page, next_page

PAGE, PAGE_ROUNDS, ONE_ROUNDS = 512, 60, 600
ORIGIN = "example.org/leeds/acme"
NOW = ManualClock().now()
NODE = Actor.node("LEEDS")


@fact("bench.setpoints_commanded", subject="batch")
@dataclass(frozen=True, slots=True)
class Commanded:
    batch: BatchId
    phase: str
    setpoints: dict[str, float]
    why: str


def payloads(count: int) -> list[Commanded]:
    return [
        Commanded(
            BatchId("BAT-7K2M"),
            "culture",
            {"temperature_sp": 36.8 + at * 1e-3, "ph_sp": 7.05, "feed_flow_sp": 12.5 + at},
            "scheduled feed of the recipe",
        )
        for at in range(count)
    ]


class Plain:
    """The limit: the same bytes in one table, write-ahead log, synchronous=FULL, one transaction."""

    def __init__(self, path: Path) -> None:
        self.db, self.size = apsw.Connection(str(path)), 0
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=FULL")
        self.db.execute("CREATE TABLE log (pos INTEGER PRIMARY KEY, body BLOB NOT NULL)")

    def append(self, bodies: list[bytes]) -> None:
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany("INSERT INTO log VALUES (?, ?)", enumerate(bodies, self.size))
        self.db.execute("COMMIT")
        self.size += len(bodies)


def seconds(act: Callable[[], object]) -> float:
    start = perf_counter()
    act()
    return perf_counter() - start


def take_turns(acts: list[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Times of each act, round by round; who begins changes, so that nobody always runs behind the same neighbour."""
    times: list[list[float]] = [[] for _ in acts]
    gc.collect()
    gc.disable()
    for round_ in range(rounds):
        for at in range(len(acts)):
            which = (at + round_) % len(acts)
            times[which].append(seconds(acts[which]))
    gc.enable()
    return times


def ratio(limit: list[float], ours: list[float]) -> float:
    return median(one / other for one, other in zip(limit, ours, strict=True))


def noting(folder: Path, count: int, rounds: int, target: float) -> Row:
    plain = Plain(folder / f"plain {count}.db")
    signer = Signer.generate("example.org/leeds")
    bytes_only = Ledger(SqliteStore(folder / f"bytes {count}.db", origin=ORIGIN), signer=signer)
    whole = Ledger(SqliteStore(folder / f"whole {count}.db", origin=ORIGIN), signer=signer)
    batch = payloads(count)
    bodies, _ = encode_facts(batch, ledger=ORIGIN, start=0, actor=NODE, moment=NOW)
    acts: list[Callable[[], object]] = [
        lambda: plain.append(bodies),
        lambda: bytes_only.append_bytes(bodies),
        lambda: whole.append(batch, actor=NODE, moment=NOW),
    ]
    take_turns(acts, max(3, rounds // 10))
    limit, stored, noted = take_turns(acts, rounds)
    name = "one fact alone" if count == 1 else f"pages of {count} facts"
    print(f"{name}, fsynced, {sum(map(len, bodies)) // count} bytes a fact, {rounds} rounds")
    print(f"  plain SQLite                         {1e6 * median(limit) / count:8.1f} us a fact  {count / median(limit):>9,.0f} facts/s   limit")
    rows = (("bytes hashed, signed, stored", stored, f"target {target}"), ("with encoding and reading back", noted, ""))
    for text, times, aim in rows:
        pace = f"{1e6 * median(times) / count:8.1f} us a fact  {count / median(times):>9,.0f} facts/s"
        print(f"  {text:36} {pace}   {ratio(limit, times):.2f} of the limit  {aim}")
    share = ratio(limit, stored)
    figure, beside = f"{count / median(stored):,.0f} facts/s", f"plain SQLite {count / median(limit):,.0f} facts/s"
    return Row(f"{name}, fsynced, hashed into the tree", figure, beside, share, f">= {target} of it", share >= target)


def hundred_to_a_commit(folder: Path, rounds: int = 200) -> Row:
    """Facts a second, a hundred to a commit, in units of the disk: how often it can fsync one block in the same minute."""
    block, at = os.urandom(4096), 0
    ledger = Ledger(SqliteStore(folder / "hundred.db", origin=ORIGIN), signer=Signer.generate("example.org/leeds"))
    bodies, _ = encode_facts(payloads(100), ledger=ORIGIN, start=0, actor=NODE, moment=NOW)
    with (folder / "blocks").open("wb", buffering=0) as file:

        def fsync() -> None:
            nonlocal at
            os.pwrite(file.fileno(), block, at)
            at += len(block)
            os.fsync(file.fileno())

        limit, ours = take_turns([fsync, lambda: ledger.append_bytes(bodies)], rounds)
    share = ratio(limit, ours) * 100
    beside = f"{1 / median(limit):,.0f} fsyncs/s"
    return Row("facts a second, 100 to a commit", f"{100 / median(ours):,.0f} facts/s", beside, share, ">= 20 fsyncs", share >= 20)


def verifying(folder: Path, count: int = 100_000) -> Row:
    """A ledger's file checked whole (every leaf, the tree, the signed root), beside SHA-256 of the same leaves one by one."""
    ledger = Ledger(SqliteStore(folder / "verified.db", origin=ORIGIN), signer=Signer.generate("example.org/leeds"))
    page = payloads(PAGE)
    while ledger.size < count:
        ledger.append(page, actor=NODE, moment=NOW)
    bodies = ledger.store.bodies(0, ledger.size)

    def hashing() -> None:
        for body in bodies:
            sha256(body).digest()

    limit, ours = take_turns([hashing, ledger.check], 7)
    share = ratio(limit, ours)
    figure, beside = f"{count / median(ours):,.0f} facts/s", f"hashlib {count / median(limit):,.0f} leaves/s"
    return Row("verifying a ledger from its file", figure, beside, share, ">= 0.4 of it", share >= 0.4)


class PeerBatch(Aggregate):
    class Commanded(Aggregate.Event):
        batch: str
        phase: str
        setpoints: dict[str, float]
        why: str


def beside_eventsourcing(folder: Path, count: int = PAGE, rounds: int = 40) -> Row:
    """The same events, from objects to disk, `count` to a transaction, by the library `eventsourcing`: SQLite, write-ahead log, synchronous=FULL."""
    app = Application[object](env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(folder / "eventsourcing.db")})
    ledger = Ledger(SqliteStore(folder / "same events.db", origin=ORIGIN), signer=Signer.generate("example.org/leeds"))
    batch, page = PeerBatch(), payloads(count)

    def theirs() -> None:
        for each in page:
            batch.trigger_event(PeerBatch.Commanded, batch=str(each.batch), phase=each.phase, setpoints=each.setpoints, why=each.why)
        app.save(batch)

    peer, ours = take_turns([theirs, lambda: ledger.append(page, actor=NODE, moment=NOW)], rounds)
    share = ratio(peer, ours)
    figure, beside = f"{count / median(ours):,.0f} facts/s", f"eventsourcing {count / median(peer):,.0f} events/s"
    return Row(f"appending objects, {count} to a commit", figure, beside, share, ">= 3 of it", share >= 3)


def receiving(folder: Path) -> None:
    signer = Signer.generate("example.org/leeds")
    one = Ledger(SqliteStore(folder / "sender.db", origin=ORIGIN), signer=signer)
    one.append(payloads(PAGE * 40), actor=NODE, moment=NOW)
    witness = Signer.generate("example.org/control", algorithm=COSIGNER)
    held = Copy(SqliteStore(folder / "copy.db", origin=ORIGIN), writer=signer.verifying_key, witness=witness)
    start = perf_counter()
    wire = 0
    while (page := next_page(one.store, start=one.witnessed)) is not None:
        data = page.to_bytes()
        wire += len(data)
        receipt = held.take(Page.from_bytes(data), moment=NOW)
        one.take_receipt(receipt.line, size=receipt.size, witness=witness.verifying_key)
    pace = one.size / (perf_counter() - start)
    print("backlog from disk to cosigned copy, both ends in one process, no wire:")
    print(f"  {pace:,.0f} facts/s, {wire / one.size:.0f} bytes a fact")
    derived = Derived(folder / "derived.db")
    following = held.size / seconds(lambda: derived.catch_up(held))
    reading = held.size / seconds(lambda: list(held.facts()))
    print(f"derived tables following: {following:,.0f} facts/s; reading a ledger: {reading:,.0f} facts/s")


def parts() -> None:
    batch = payloads(PAGE)
    bodies, _ = encode_facts(batch, ledger=ORIGIN, start=0, actor=NODE, moment=NOW)
    leaves = leaf_hashes(bodies)
    signer = Signer.generate("example.org/leeds")
    print("parts, us a fact in pages of 512:")
    for text, act in (
        ("encoding and reading back", lambda: encode_facts(batch, ledger=ORIGIN, start=0, actor=NODE, moment=NOW)),
        ("leaf digests", lambda: leaf_hashes(bodies)),
        ("tree", lambda: Frontier().extend(leaves)),
        ("place check of the receiver", lambda: check_place(bodies, ledger=ORIGIN, start=0)),
    ):
        print(f"  {text:36} {1e6 * median(seconds(act) for _ in range(30)) / PAGE:8.2f}")
    print(f"  one Ed25519 signature                {1e6 * median(seconds(lambda: signer.sign(bodies[0])) for _ in range(300)):8.2f} (a commit)")


def run(folder: Path | None = None) -> list[Row]:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        home = Path(place)
        rows = [noting(home, PAGE, PAGE_ROUNDS, 0.75), noting(home, 1, ONE_ROUNDS, 0.85)]
        rows += [hundred_to_a_commit(home), verifying(home), beside_eventsourcing(home)]
        receiving(home)
    parts()
    return rows


if __name__ == "__main__":
    run(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
