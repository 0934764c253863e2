"""The engine: one scan of 100 running batches, and a batch of 50,000 facts taken up again after `kill -9`.

    python -m bench.engine

Scan: 100 batches of a branched recipe (two phases beside one another, a service, a loop, exceptions, questions) in one process;
timed is `step` for all of them, on readings of every unit. Beside it the same number of bare looks at a reading.

Resume: a process writes a site's ledger of 50,000 facts (fourteen days of one batch) and is killed with SIGKILL in the middle of
a further append. Timed is, in a process that starts then: open the ledger, check it, fold every fact, and finish the first scan.
Beside it, in the same run: reading the same facts' bytes out of the file.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter

import apsw
import numpy as np

from bench import scan as busy
from bench.report import Row
from isogenic.batches import engine
from isogenic.batches.facts import DoseNotNeeded, PhaseCompleted, PhaseStarted, SampleDue, SetpointsCommanded, SignalLost, SignalReturned
from isogenic.clock import ManualClock, Moment
from isogenic.ids import BatchId, LotId, ProductId, RecipeId, SiteId, SponsorId, UnitId
from isogenic.materials.lots import LotCreated
from isogenic.plant.readings import Quality, Reading
from isogenic.recipes.model import (
    Answer,
    ControlException,
    ControlParameter,
    ControlPhase,
    ControlPrompt,
    ControlRecipe,
    ControlSampling,
    ControlService,
    ControlUnitProcedure,
    Then,
)
from isogenic.records.facts import Actor, Fact, FactRef, Payload, decode_fact, encode_fact
from isogenic.sites.node import SiteNode

BATCHES, SCANS, FACTS = 100, 60, 50_000
SCAN_MS, RESUME_S = 50.0, 2.0
START = datetime(2026, 3, 2, 6, tzinfo=UTC)
SITE, SPONSOR, PRODUCT = SiteId("BENCH"), SponsorId("ASTER-BIO"), ProductId("MAB-A")


def phase(name: str, **changes: object) -> ControlPhase:
    plain = ControlPhase(
        name=name,
        title=name,
        operation="culture",
        setpoints={f"told_{at}_sp": float(at) for at in range(8)},
        held={"told_0_sp": 0.0},
        dose=None,
        prompts=(ControlPrompt(f"ask_{name}", "Is it so?", Answer.CONFIRM, "", None, None),),
        until="elapsed >= 300.0 h and measured_30 > 0.0 1",
        needs=("measured_30", "measured_31"),
        timeout_h=600.0,
        timeout_then=Then.ALARM,
        lost_after_h=4.0,
        lost_then=Then.ALARM,
        exceptions=(ControlException("high", "measured_01 > 1000.0 1 or measured_02 > 1000.0 1", 0.1, "hold"),),
        samples=(ControlSampling(f"sample_{name}", "broth", "elapsed > 100.0 h"),),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def recipe(batch: BatchId, unit: UnitId) -> ControlRecipe:
    phases = [phase(f"phase_{at:02d}", **({"until": "elapsed >= 0.1 h"} if at < 10 else {})) for at in range(20)]
    phases.append(phase("mix", service=ControlService("mixing", "", {}), until="completed", needs=("mixing_state",)))
    chart = "; ".join(f"phase_{at:02d}" for at in range(10))
    chart += "; all(phase_10, repeat(phase_11 until measured_03 > 5000.0 1 at most 9 then alarm), mix); " + "; ".join(
        f"phase_{at:02d}" for at in range(12, 20)
    )
    part = ControlUnitProcedure("culture", "main", "bench", unit, 100.0, tuple(phases), chart)
    parameters = tuple(ControlParameter(f"parameter_{at}", float(at), "1", False, 0.0, 100.0) for at in range(40))
    digest = "0" * 64
    return ControlRecipe(
        RecipeId("BENCH"), 1, PRODUCT, "Bench", SITE, batch, LotId(f"LOT-{unit}"), "en", parameters, (part,), "culture", digest, digest, digest
    )


def a_scan() -> Row:
    """All batches in the middle of their work: three phases each, nothing due in most scans."""
    batches: list[engine.BatchState] = []
    now = START
    here = {f"measured_{at:02d}": Reading(10.0, Quality.GOOD) for at in range(42)} | {"mixing_state": Reading(64.0, Quality.GOOD)}
    idle = {**here, "mixing_state": Reading(16.0, Quality.GOOD)}
    seen = {UnitId(f"U-{at}"): dict(here) for at in range(BATCHES)}
    for at in range(BATCHES):
        batch, unit, clock = BatchId(f"BAT-{at}"), UnitId(f"U-{at}"), START
        state: engine.BatchState | None = None
        for payload in engine.begin(recipe(batch, unit), sponsor=SPONSOR):
            state = engine.apply(state, fact_of(payload, clock))
        assert state is not None
        while len(state.active) < 3 or clock < START + timedelta(hours=3):
            for payload in engine.step(state, {unit: idle if len(state.active) < 3 else here}, clock):
                state = engine.apply(state, fact_of(payload, clock))
            clock += timedelta(minutes=7)
        batches.append(state)
        now = max(now, clock)
    seconds = []
    for _ in range(SCANS):
        begun = perf_counter()
        due = [engine.step(batch, seen, now) for batch in batches]
        seconds.append(perf_counter() - begun)
        now += timedelta(seconds=1)
    assert sum(map(len, due)) < BATCHES, "most have nothing due"
    begun = perf_counter()
    for _ in range(10):
        _ = [reading.good for readings in seen.values() for reading in readings.values()]
    bare = 1e3 * (perf_counter() - begun) / 10
    ms = 1e3 * median(seconds)
    print(f"engine steps of {BATCHES} batches, {len(batches[0].active)} phases each: median {ms:.1f} ms, worst {1e3 * max(seconds):.1f} ms")
    return Row(
        f"engine steps of {BATCHES} running batches, one scan, median",
        f"{ms:.1f} ms",
        f"looking at each of their readings once {bare:.2f} ms",
        bare / ms,
        f"<= {SCAN_MS:g} ms",
        ms <= SCAN_MS,
    )


def fact_of(payload: Payload, at: datetime) -> Fact:
    return decode_fact(encode_fact(payload, ref=FactRef("bench", 0), actor=Actor.node("BENCH"), moment=Moment(at)))


# --- resuming -----------------------------------------------------------------------------------


def fortnight(control: ControlRecipe) -> Iterator[tuple[float, Payload]]:
    """What fourteen days of a batch note, by hours: phases, signals that come and go, set-points, doses that are not needed."""
    batch, running = control.batch, control.unit_procedures[0].phases[10].name
    for at in range(10):
        name = control.unit_procedures[0].phases[at].name
        yield at * 0.2, PhaseStarted(batch, name, 1)
        yield at * 0.2 + 0.1, PhaseCompleted(batch, name, 1, "elapsed >= 0.1 h")
    yield 2.0, PhaseStarted(batch, running, 1)
    for at in range(FACTS):
        hours = 2.0 + at * 334.0 / FACTS
        match at % 5:
            case 0:
                yield hours, SetpointsCommanded(batch, running, {f"told_{at % 8}_sp": float(at % 97)})
            case 1:
                yield hours, SignalLost(batch, running, "measured_30")
            case 2:
                yield hours, SignalReturned(batch, running, "measured_30")
            case 3:
                yield hours, DoseNotNeeded(batch, running, "glucose_dose", at, "glucose 15 is not below 14")
            case 4:
                yield hours, SampleDue(batch, running, 1, f"sample_{at}", "broth")


def site(folder: Path, clock: ManualClock) -> SiteNode:
    """A node on the folder; both processes open it in the same way."""
    here = busy.plant()
    return busy.site_node(folder, here, clock, busy.Vessels(here, np.ones((10, 2, busy.MONITORED)), np.random.default_rng(1)))


def write(folder: Path) -> None:
    """Write the ledger, say so, and go on appending until killed."""
    node = site(folder, ManualClock(START))
    node.start()
    control = recipe(BatchId("BAT-LONG"), UnitId("U-0"))
    node.note([LotCreated(lot=control.lot, product=PRODUCT, batch=control.batch, site=SITE), *engine.begin(control, sponsor=SPONSOR)])
    ledger, page = node.ledgers[str(SPONSOR)], list[Payload]()
    for hours, payload in fortnight(control):
        page.append(payload)
        if len(page) == 500:
            ledger.append(page, actor=node.actor, moment=Moment(START + timedelta(hours=hours)))
            page = []
    print("ready", flush=True)
    more = SetpointsCommanded(control.batch, "phase_10", {"told_0_sp": 1.0})
    while True:
        ledger.append([more] * 20, actor=node.actor, moment=Moment(START + timedelta(days=14)))


def resume(folder: Path) -> None:
    """Open the site on the folder, as after a power cut, and finish one scan; says how long that took."""
    clock = ManualClock(START + timedelta(days=14, minutes=1))
    begun = perf_counter()
    node = site(folder, clock)
    node.start()
    asyncio.run(node.cycle())
    took = perf_counter() - begun
    batch = node.state.batches[BatchId("BAT-LONG")]
    assert batch.runs["phase_10"] == 1, "it goes on where it was"
    print(f"{took:.3f} {batch.facts}")


def a_resume() -> Row:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        command = [sys.executable, "-m", "bench.engine"]
        writer = subprocess.Popen([*command, "write", place], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        assert writer.stdout.readline().strip() == "ready"
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        said = subprocess.run([*command, "resume", place], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        took, facts = float(said[-2]), int(said[-1])
        begun = perf_counter()
        rows = apsw.Connection(str(folder / f"{SPONSOR}.sqlite")).execute("SELECT * FROM sqlite_master").fetchall()
        tables = [row[1] for row in rows if row[0] == "table"]
        size = sum(len(apsw.Connection(str(folder / f"{SPONSOR}.sqlite")).execute(f'SELECT * FROM "{table}"').fetchall()) for table in tables)
        bare = perf_counter() - begun
    assert min(facts, size) >= FACTS
    print(f"a batch of {facts} facts taken up after kill -9: {took:.2f} s to the end of the first scan")
    return Row(
        f"resume a batch of {facts:,} facts after kill -9, to the next scan",
        f"{took:.2f} s",
        f"reading the rows out of the file {bare:.2f} s",
        bare / took,
        f"<= {RESUME_S:g} s",
        took <= RESUME_S,
    )


def run() -> list[Row]:
    return [a_scan(), a_resume()]


if __name__ == "__main__":
    if sys.argv[1:2] == ["write"]:
        write(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["resume"]:
        resume(Path(sys.argv[2]))
    else:
        for row in run():
            print(row)
