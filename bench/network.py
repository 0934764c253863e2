"""A backlog from the site's disk over HTTPS to the cosignature that comes back, beside what the same bytes cost plain SQLite.

    python -m bench.network [FACTS]

Two processes on this machine, as in life: a control site behind its real server with mutual
TLS, and a site that has been without a link. The clock runs from the first page to the last
receipt kept at the site. Beside it, in the same run: plain SQLite inserts of the same bytes,
in the same commits, with the same fsync, once for each side (without fsync at the site: its
facts are noted already), and zstd of the same pages. Nothing can be faster than those alone.
"""

from __future__ import annotations

import asyncio
import cProfile
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter

import apsw
import zstandard

from bench.report import Row
from isogenic.authority.people import Directory, NodeKeys, SiteEntry
from isogenic.batches.facts import AlarmRaised, DoseCommanded, DoseNotNeeded, PhaseStarted, PromptAnswered, SetpointsCommanded
from isogenic.clock import ManualClock, SystemClock
from isogenic.ids import BatchId, PersonId, PromptId, SeededMint, SiteId
from isogenic.network import decisions
from isogenic.network.control import ControlNode
from isogenic.network.server import node_server, started
from isogenic.records.blobs import BlobStore
from isogenic.records.derived import Derived
from isogenic.records.disclosures import Journal
from isogenic.records.facts import Actor
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.link import Answer
from isogenic.records.notes import COSIGNER, Signer
from isogenic.records.sqlite import SqliteStore
from isogenic.records.tls import issue_certificates
from isogenic.sim.proxy import Line
from isogenic.sites.carrying import upload_for_ever
from isogenic.sites.courier import Courier
from isogenic.sites.disclosing import DisclosingLink
from isogenic.sites.link import HttpsLink

FACTS, PAGE, TARGET, WIRE, GROWTH = 1_000_000, 512, 45_000, 50, 1.25
RETURNS = 5  # times that a line is cut and put back
SITE = SiteId("LEEDS")
SETPOINTS = {"temperature": 37.0, "ph": 7.0, "dissolved_oxygen": 40.0, "agitation": 140.0, "feed_flow": 35.0}
ORIGIN, DIRECTED, HOUSE = "bench/LEEDS/ASTER-BIO", "bench/CONTROL/LEEDS", "bench/CONTROL/HOUSE"


def keys() -> dict[str, Signer]:
    names = {"site": ("bench/LEEDS", 1), "control": ("bench/CONTROL", 1), "site witness": ("bench/LEEDS/witness", COSIGNER)}
    names["control witness"] = ("bench/CONTROL/witness", COSIGNER)
    return {key: Signer.from_seed(name, key.ljust(32).encode(), algorithm=algorithm) for key, (name, algorithm) in names.items()}


def payloads(at: int, dice: Random) -> list[object]:
    """What a batch says most often, about 450 bytes a fact in its envelope, with the noise that real values have."""
    batch = BatchId(f"BAT-{at // 40:08d}")
    glucose, volume = dice.gauss(12.0, 1.0), dice.gauss(31.0, 2.0)
    setpoints = {f"{name}_sp": dice.gauss(value, value / 50) for name, value in SETPOINTS.items()}
    dose = DoseCommanded(
        batch=batch,
        phase="production",
        dose="glucose_dose",
        amount=float(f"{volume * (28 - glucose) / 2.47:.6g}"),
        unit="mL",
        number=at % 14 + 1,
        why=f"glucose {glucose:.3g} is below 14; {volume:.4g} L to 28",
        window=at % 14,
        total_before=dice.gauss(900.0, 300.0),
    )
    return [
        PhaseStarted(batch, dice.choice(("charge_medium", "condition", "inoculate", "growth", "production", "harvest")), 1),
        SetpointsCommanded(batch, "production", setpoints),
        dose,
        DoseNotNeeded(batch, "production", "glucose_dose", at % 14, f"glucose {dice.gauss(16.0, 1.0):.3g} is not below 14"),
        PromptAnswered(batch, PromptId(f"INOCULUM-LOT-{at % 9}"), f"WCB-{dice.randrange(10**6)}", PersonId("LEA")),
        AlarmRaised(batch, "production", f"viable_cells has not been good for {dice.gauss(4.0, 0.2):.3g} h", signal="viable_cells", then="alarm"),
    ]


def prepare(folder: Path, facts: int) -> None:
    issue_certificates({"CONTROL": folder / "CONTROL", "LEEDS": folder / "LEEDS"}, network="bench", now=SystemClock().now().at)
    ledger = Ledger(SqliteStore(folder / "LEEDS" / "sponsor.sqlite", origin=ORIGIN), signer=keys()["site"])
    clock, at, dice = ManualClock(datetime(2026, 3, 2, tzinfo=UTC)), 0, Random(1)
    while ledger.size < facts:
        page: list[object] = []
        while len(page) < min(PAGE, facts - ledger.size):
            page += payloads(at, dice)
            at += 1
        clock.advance(dice.uniform(20, 90))
        ledger.append(page[: min(PAGE, facts - ledger.size)], actor=Actor.node("LEEDS"), moment=clock.now())
    ledger.store.close()


def control_node(folder: Path) -> ControlNode:
    mine = keys()
    sites = {SITE: SiteEntry(SITE, "Leeds", NodeKeys(str(mine["site"].verifying_key), str(mine["site witness"].verifying_key)))}
    directory = Directory(NodeKeys(str(mine["control"].verifying_key), str(mine["control witness"].verifying_key)), sites, {})
    copy = Copy(SqliteStore(folder / "copy.sqlite", origin=ORIGIN), writer=mine["site"].verifying_key, witness=mine["control witness"])
    node = ControlNode(
        ledgers={
            "HOUSE": Ledger(SqliteStore(folder / "HOUSE.sqlite", origin=HOUSE), signer=mine["control"]),
            "LEEDS": Ledger(SqliteStore(folder / "LEEDS.sqlite", origin=DIRECTED), signer=mine["control"]),
        },
        copies={ORIGIN: (SITE, copy)},
        witnesses={SITE: mine["site witness"].verifying_key},
        blobs=BlobStore(folder / "blobs"),
        derived=Derived(folder / "derived.sqlite"),
        clock=SystemClock(),
        mint=SeededMint("bench"),
        software="bench",
    )
    node.start()
    decisions.publish_directory(node, directory)
    return node


async def control(folder: Path) -> None:
    node = control_node(folder)
    server = node_server(node.desk, home=folder, host="127.0.0.1", port=0)
    serving = asyncio.create_task(server.serve())
    print(await started(server), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    begun = perf_counter()
    found = len(node.state.lots)
    told = {"folded": node.copies[ORIGIN][1].size, "lots": found, "settle_s": perf_counter() - begun}
    node.stop()
    server.should_exit = True
    await serving
    print(json.dumps(told), flush=True)


def resident(pid: int | str = "self") -> float:
    """Megabytes of memory that a process has now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def watch_memory(ledger: Ledger) -> None:
    """Tell, as the backlog goes, how much memory this process has."""
    while True:
        print(json.dumps({"witnessed": ledger.witnessed, "site_mb": resident()}), flush=True)
        await asyncio.sleep(0.5)


async def returning(port: int, folder: Path, ledger: Ledger, courier: Courier) -> float:
    """Seconds from the moment that a cut line carries again to the receipt of the first page, with the loop that every site runs."""
    line = Line(port)
    courier.link = HttpsLink(f"https://127.0.0.1:{await line.start()}", home=folder, wait_s=1.0)
    note = lambda: ledger.append([AlarmRaised(BatchId("BAT-1"), "production", "x")], actor=Actor.node("LEEDS"), moment=ManualClock().now())  # noqa: E731
    news = asyncio.Event()
    carrying = asyncio.create_task(upload_for_ever(courier, news))
    await asyncio.sleep(Random(ledger.size).uniform(0.5, 1.0))
    line.cut()
    note()
    news.set()
    await asyncio.sleep(Random(ledger.size).uniform(3.0, 5.0))
    line.mend()
    begun = perf_counter()
    while ledger.witnessed < ledger.size:
        await asyncio.sleep(0.005)
    seconds = perf_counter() - begun
    carrying.cancel()
    await line.stop()
    return seconds


class Counted:
    """The link, with the bytes of bodies counted."""

    def __init__(self, link: HttpsLink) -> None:
        self.link, self.sent, self.calls = link, 0, 0

    async def call(self, method: str, path: str, body: bytes = b"") -> Answer:
        self.sent += len(body)
        self.calls += 1
        return await self.link.call(method, path, body)


class Nothing:
    def blobs_to_send(self) -> list[str]:
        return []

    def blobs_to_fetch(self) -> list[str]:
        return []


async def site(folder: Path, port: str) -> None:
    mine = keys()
    ledger = Ledger(SqliteStore(folder / "sponsor.sqlite", origin=ORIGIN), signer=mine["site"])
    held = Copy(SqliteStore(folder / "control.sqlite", origin=DIRECTED), writer=mine["control"].verifying_key, witness=mine["site witness"])
    link = Counted(HttpsLink(f"https://127.0.0.1:{port}", home=folder, wait_s=1.0))
    said = Ledger(SqliteStore(folder / "disclosures.sqlite", origin="bench/LEEDS/DISCLOSURES"), signer=mine["site"])
    journal = Journal(said, actor=Actor.node("LEEDS"), clock=SystemClock())
    listed = DisclosingLink(link, journal, to="node CONTROL", withheld={}) if os.environ.get("BENCH_JOURNAL", "1") == "1" else link
    courier = Courier(
        ledgers={ORIGIN: ledger},
        control=held,
        witness=mine["control witness"].verifying_key,
        blobs=BlobStore(folder / "blobs"),
        wanted=Nothing(),
        link=listed,  # as a site does: what leaves is noted before it leaves
        clock=SystemClock(),
        on_link=lambda up, why: None,
        on_control=lambda: None,
        on_refused=lambda origin, why: print(origin, why, file=sys.stderr),
    )
    await link.call("GET", "/v1/control?from=999")  # the session stands, as it does in life
    memory = asyncio.create_task(watch_memory(ledger))
    begun = perf_counter()
    while await courier.upload_backlog():
        pass
    seconds = perf_counter() - begun
    memory.cancel()
    sent = link.sent
    returns = [await returning(int(port), folder, ledger, courier) for _ in range(RETURNS)]
    assert ledger.witnessed == ledger.size
    await link.link.close()
    print(json.dumps({"seconds": seconds, "facts": ledger.witnessed, "sent": sent, "returns": returns}), flush=True)


def plain(folder: Path, pages: list[list[bytes]], *, fsync: bool) -> float:
    """Seconds that SQLite alone needs for the same bytes in the same commits."""
    db = apsw.Connection(str(folder / f"plain-{fsync}.sqlite"))
    for setting in ("journal_mode=WAL", f"synchronous={'FULL' if fsync else 'OFF'}"):
        db.execute(f"PRAGMA {setting}").fetchall()
    db.execute("CREATE TABLE log (pos INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    begun, at = perf_counter(), 0
    for page in pages:
        with db:
            db.executemany("INSERT INTO log VALUES (?, ?)", enumerate(page, at))
        at += len(page)
    seconds = perf_counter() - begun
    db.close()
    return seconds


def reading(folder: Path) -> tuple[float, list[list[bytes]]]:
    db = apsw.Connection(str(folder / "LEEDS" / "sponsor.sqlite"))
    (size,) = db.execute("SELECT count(*) FROM log").fetchall()[0]
    begun = perf_counter()
    pages = [
        [row[0] for row in db.execute("SELECT body FROM log WHERE pos >= ? AND pos < ? ORDER BY pos", (at, at + PAGE)).fetchall()]
        for at in range(0, size, PAGE)
    ]
    return perf_counter() - begun, pages


def squeezing(pages: list[list[bytes]]) -> float:
    begun = perf_counter()
    for page in pages:
        zstandard.ZstdDecompressor().decompress(zstandard.ZstdCompressor(level=1).compress(b"".join(page)))
    return perf_counter() - begun


def run(facts: int = FACTS) -> list[Row]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        prepare(folder, facts)
        read_s, pages = reading(folder)
        size = sum(len(body) for page in pages for body in page) / facts
        here = [sys.executable, "-m", "bench.network"]
        with subprocess.Popen([*here, "control", str(folder / "CONTROL")], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as served:
            assert served.stdout
            assert served.stdin
            port = served.stdout.readline().strip()
            told_mb = []
            with subprocess.Popen([*here, "site", str(folder / "LEEDS"), port], stdout=subprocess.PIPE, text=True) as sender:
                assert sender.stdout
                for line in sender.stdout:
                    said = json.loads(line)
                    told_mb.append((said.get("witnessed", facts), said.get("site_mb", 0.0) + resident(served.pid)))
            served.stdin.write("\n")
            served.stdin.flush()
            told = json.loads(served.stdout.readline())
        assert told["folded"] == facts + RETURNS
        limit_s = read_s + plain(folder, pages, fsync=False) + plain(folder, pages, fsync=True) + squeezing(pages)
    pace, limit = facts / said["seconds"], facts / limit_s
    print(f"backlog of {facts:,} facts of {size:.0f} bytes: {said['seconds']:.2f} s, {said['sent'] / facts:.0f} bytes a fact on the wire")
    print(f"  folding and tables, after the last receipt: {told['settle_s']:.2f} s")
    beside = f"plain SQLite twice + zstd {limit:,.0f} facts/s"
    returned = said["returns"]
    what, wire = "backlog over HTTPS, verified, stored, cosigned", said["sent"] / facts
    early, late = (max(mb for done, mb in told_mb[:-1] if low <= done <= high) for low, high in ((0, facts // 4), (0, facts)))
    return [
        Row(what, f"{pace:,.0f} facts/s", beside, pace / limit, f">= {TARGET:,}", pace >= TARGET),
        Row(
            "a cut line returns: first page witnessed (worst)",
            f"{max(returned):.2f} s",
            f"median {median(returned):.2f} s of {RETURNS}",
            max(returned) / 2,
            "<= 2 s",
            max(returned) <= 2,
        ),
        Row("the same, on the wire", f"{wire:.0f} bytes a fact", f"stored {size:.0f} bytes", size / wire, f"<= {WIRE}", wire <= WIRE),
        Row(
            "the same, memory of both processes",
            f"{late:.0f} MB",
            f"after a quarter {early:.0f} MB",
            late / early,
            f"<= {GROWTH}",
            late <= GROWTH * early,
        ),
    ]


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["control"]:
        _profiled("control", lambda: asyncio.run(control(Path(arguments[1]))))
    elif arguments[:1] == ["site"]:
        _profiled("site", lambda: asyncio.run(site(Path(arguments[1]), arguments[2])))
    else:
        for row in run(int(arguments[0]) if arguments else FACTS):
            print(row)


def _profiled(name: str, action) -> None:  # type: ignore[no-untyped-def]
    folder = os.environ.get("BENCH_PROFILE")  # a folder to leave profiles in
    if not folder:
        return action()
    profile = cProfile.Profile()
    profile.runcall(action)
    profile.dump_stats(f"{folder}/{name}.prof")
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
