"""One scan of a busy site: 10 units of 50 signals, ten batches running, each watched by a fitted model of 20 variables.

    python -m bench.scan [SCANS]

Timed is the whole cycle of a real node, from the frame to the set-points: read, judge, step,
note, fold, write, and the readings into the hot buffer on the disk. Beside it the arithmetic
alone, in the same run: T2 and SPE of ten readings at once.
"""

from __future__ import annotations

import asyncio
import cProfile
import os
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from bench.report import Row
from isogenic.batches import engine
from isogenic.clock import Clock, ManualClock
from isogenic.errors import NotReachable
from isogenic.ids import BatchId, LotId, ModuleId, ProductId, RecipeId, SeededMint, SiteId, SponsorId, UnitId
from isogenic.materials.lots import LotCreated
from isogenic.monitoring import BatchTable, Model, Variable, fit, judge
from isogenic.monitoring.facts import ModelPublished
from isogenic.plant.model import EquipmentClass, Module, Role, Signal, SignalClass, SitePlant, Unit
from isogenic.plant.readings import Frame, TagIndex
from isogenic.recipes.model import ControlPhase, ControlRecipe, Then
from isogenic.records.blobs import BlobStore
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.link import Answer
from isogenic.records.notes import COSIGNER, Signer
from isogenic.records.sqlite import SqliteStore
from isogenic.sites.hot import HotBuffer
from isogenic.sites.node import SiteNode
from isogenic.sites.state import SiteState
from isogenic.units import Quantity

UNITS, SIGNALS, MONITORED, SETPOINTS, SCANS, TARGET_MS = 10, 50, 20, 8, 400, 20.0
SITE, SPONSOR, PRODUCT = SiteId("BENCH"), SponsorId("ASTER-BIO"), ProductId("MAB-A")
MEASURED = [f"measured_{at:02d}" for at in range(SIGNALS - SETPOINTS)]
TOLD = [f"told_{at}_sp" for at in range(SETPOINTS)]
HOURS = 300.0


def plant() -> SitePlant:
    classes = {name: SignalClass(name, "1", Role.MEASUREMENT, name, -1e9, 1e9, monitored=at < MONITORED) for at, name in enumerate(MEASURED)}
    classes |= {name: SignalClass(name, "1", Role.SETPOINT, name, -1e9, 1e9) for name in TOLD}
    kind = EquipmentClass("bench", "Bench", classes, {})
    units = {}
    for at in range(UNITS):
        unit, module = UnitId(f"U-{at}"), Module(ModuleId(f"U-{at}-ALL"), "")
        signals = {name: Signal(unit, cls, module.id, "", "1") for name, cls in classes.items()}
        units[unit] = Unit(unit, kind, f"Unit {at}", "none", Quantity(100.0, "L"), {}, {module.id: module}, signals)
    return SitePlant(SITE, "Bench", SPONSOR, 0.0, 0.0, units)


def recipe(unit: UnitId) -> ControlRecipe:
    setpoints = dict.fromkeys(TOLD, 1.0)
    phase = ControlPhase(
        name="production",
        title="Produce",
        operation="culture",
        setpoints=setpoints,
        held={},
        dose=None,
        prompts=(),
        until=f"elapsed >= {HOURS:g} h and measured_30 > 0 and measured_31 > 0",
        needs=("measured_30", "measured_31"),
        timeout_h=2 * HOURS,
        timeout_then=Then.ALARM,
        lost_after_h=4.0,
        lost_then=Then.ALARM,
        monitored=True,
    )
    return ControlRecipe.on_one_unit(
        recipe=RecipeId("BENCH"),
        version=1,
        product=PRODUCT,
        title="Bench",
        site=SITE,
        unit=unit,
        batch=BatchId(f"BAT-{unit}"),
        lot=LotId(f"LOT-{unit}"),
        language="en",
        working_volume=100.0,
        parameters=(),
        phases=(phase,),
        general_digest="0" * 64,
        site_digest="0" * 64,
        master_digest="0" * 64,
    )


def reference(dice: np.random.Generator) -> tuple[Model, np.ndarray]:
    maturity = np.arange(0.0, HOURS, 0.5)
    mean = 10.0 + np.sin(maturity[:, None] / 40.0 + np.arange(MONITORED))
    mixing = dice.normal(size=(MONITORED, MONITORED)) / np.sqrt(MONITORED)
    tables = [BatchTable(str(n), maturity, mean + 0.1 * dice.normal(size=mean.shape) @ mixing) for n in range(25)]
    variables = [Variable(name, "1") for name in MEASURED[:MONITORED]]
    return fit(tables, variables=variables, name="bench", product=PRODUCT), np.stack([table.values for table in tables])


class Vessels:
    """Ten vessels that repeat good batches; a frame costs what assembling one costs."""

    def __init__(self, site: SitePlant, good: np.ndarray, dice: np.random.Generator) -> None:
        self.index = TagIndex([signal.tag for signal in site.signals()])
        self._rows = 10.0 + dice.normal(size=(good.shape[1], UNITS, SIGNALS))
        self._rows[:, :, :MONITORED] = good[:UNITS].swapaxes(0, 1)
        self._row = 0

    async def read(self, at: datetime) -> Frame:
        self._row = (self._row + 1) % len(self._rows)
        values = self._rows[self._row].ravel().copy()
        return Frame(at, self.index, values, np.zeros(values.shape, dtype=np.uint8))

    async def write(self, setpoints: Mapping[str, float]) -> Mapping[str, str]:
        return {}

    def changes(self) -> list[tuple[str, bool, str]]:
        return []


class NoLink:
    async def call(self, method: str, path: str, body: bytes = b"") -> Answer:
        raise NotReachable("no link", why="none is needed")


def site_node(folder: Path, here: SitePlant, clock: Clock, equipment: Any) -> SiteNode:
    """A node on the folder, with no link; whoever opens the folder again opens it with the same keys."""
    key = Signer.from_seed("bench/BENCH", b"k" * 32)
    witness = Signer.from_seed("bench/BENCH/witness", b"w" * 32, algorithm=COSIGNER)
    return SiteNode(
        SiteState(here),
        ledgers={name: Ledger(SqliteStore(folder / f"{name}.sqlite", origin=f"bench/BENCH/{name}"), signer=key) for name in ("HOUSE", str(SPONSOR))},
        control=Copy(SqliteStore(folder / "CONTROL.sqlite", origin="bench/CONTROL/BENCH"), writer=key.verifying_key, witness=witness),
        witness=witness.verifying_key,
        blobs=BlobStore(folder / "blobs"),
        hot=HotBuffer(folder / "hot.sqlite"),
        clock=clock,
        mint=SeededMint("bench"),
        equipment=equipment,
        link=NoLink(),
        software="bench",
    )


def begin_everywhere(node: SiteNode) -> None:
    """A batch on every unit."""
    for unit in node.state.plant.units:
        control = recipe(unit)
        node.note([LotCreated(lot=control.lot, product=PRODUCT, batch=control.batch, site=SITE), *engine.begin(control, sponsor=SPONSOR)])


def busy_site(folder: Path, clock: ManualClock) -> tuple[SiteNode, Model]:
    dice = np.random.default_rng(1)
    model, good = reference(dice)
    here = plant()
    node = site_node(folder, here, clock, Vessels(here, good, dice))
    node.start()
    node.blobs.put(model.to_bytes())
    node.note([ModelPublished(model.name, PRODUCT, model.digest, 1)])
    node.fold_control()
    begin_everywhere(node)
    return node, model


async def scans(node: SiteNode, clock: ManualClock, count: int) -> list[float]:
    seconds = []
    for _ in range(count):
        clock.advance(1800)
        begun = perf_counter()
        await node.cycle()
        seconds.append(perf_counter() - begun)
    return seconds


def arithmetic(model: Model, count: int) -> float:
    values = np.full((UNITS, MONITORED), 10.0)
    watches, maturity = model.watch(units=UNITS), np.full(UNITS, 100.0)
    seconds = []
    for _ in range(count):
        begun = perf_counter()
        judge(watches, values, maturity=maturity)
        seconds.append(perf_counter() - begun)
    return median(seconds)


def run(count: int = SCANS) -> list[Row]:
    with tempfile.TemporaryDirectory() as place:
        clock = ManualClock(datetime(2026, 3, 2, tzinfo=UTC))
        node, model = busy_site(Path(place), clock)
        asyncio.run(scans(node, clock, 5))
        seconds = asyncio.run(scans(node, clock, count))
        judged = [each for each in node.judgements.values() if each.judged[0]]
        assert len(judged) == UNITS, "every batch is watched"
        bare = 1e3 * arithmetic(model, count)
    ms = 1e3 * median(seconds)
    slow = 1e3 * float(np.quantile(seconds, 0.99))
    print(f"scan of {UNITS} units x {SIGNALS} signals, {UNITS} batches watched: median {ms:.1f} ms, 99 % {slow:.1f} ms")
    beside = f"judging ten readings at once {bare:.2f} ms"
    return [
        Row(
            f"scan, {UNITS} units x {SIGNALS} signals, monitors on, median",
            f"{ms:.1f} ms",
            beside,
            bare / ms,
            f"<= {TARGET_MS:g} ms",
            ms <= TARGET_MS,
        )
    ]


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else SCANS
    if folder := os.environ.get("BENCH_PROFILE"):
        profile = cProfile.Profile()
        profile.runcall(run, number)
        profile.dump_stats(f"{folder}/scan.prof")
    else:
        for row in run(number):
            print(row)
