"""Equipment: what reading modules costs, and what a scan of a wide site costs.

    python -m bench.equipment [SECONDS]

CPU is process time of the site's process, so that what else runs on the machine does not count. The servers are in
a process of their own. Beside the first figure: the same bytes read by the bare OPC UA client, nothing judged and
nothing kept. Beside the second: what Open Pectus needs for as many tags (measured with it, elsewhere: 22 ms).
"""

from __future__ import annotations

import asyncio
import cProfile
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np

from bench.report import Row
from bench.scan import SETPOINTS, SITE, SPONSOR, TOLD, begin_everywhere, site_node
from isogenic.clock import Clock, ManualClock, SystemClock
from isogenic.ids import ModuleId, UnitId
from isogenic.plant.model import EquipmentClass, Module, Role, Signal, SignalClass, SitePlant, Unit
from isogenic.plant.readings import Frame, TagIndex
from isogenic.plant.settings import Setting, SettingKind
from isogenic.sites.drivers.opcua import OpcUaDriver
from isogenic.sites.node import SiteNode
from isogenic.units import Quantity

MODULES, SIGNALS, SECONDS, SCAN_S, CORE_MAX = 10, 100, 20.0, 0.5, 0.5
UNITS, SCANS, SCAN_MS = 30, 200, 15.0
SETTINGS = 10  # of each module
OPEN_PECTUS_MS = 22.0


def plant(units: int, signals: int, endpoints: list[str]) -> SitePlant:
    """Units of one module each; the set-points come last."""
    measured = [f"measured_{at:02d}" for at in range(signals - SETPOINTS)]
    classes = {name: SignalClass(name, "1", Role.MEASUREMENT, name, -1e9, 1e9) for name in measured}
    classes |= {name: SignalClass(name, "1", Role.SETPOINT, name, -1e9, 1e9) for name in TOLD}
    kind, found = EquipmentClass("bench", "Bench", classes, {}), {}
    for at in range(units):
        unit, module = UnitId(f"U-{at}"), ModuleId(f"U-{at}-ALL")
        settings = {f"limit_{n}": Setting(unit, module, f"limit_{n}", SettingKind.LIMIT, "", "1", str(n)) for n in range(SETTINGS)}
        here = Module(module, endpoints[at] if endpoints else "", settings={} if endpoints else settings)
        bound = {name: Signal(unit, cls, module, f"ns=2;s=S{n}", "1") for n, (name, cls) in enumerate(classes.items())}
        found[unit] = Unit(unit, kind, f"Unit {at}", "none", Quantity(100.0, "L"), {}, {module: here}, bound)
    return SitePlant(SITE, "Bench", SPONSOR, 0.0, 0.0, found)


class Modules:
    """Modules without a wire: a frame and the settings of all of them."""

    def __init__(self, site: SitePlant) -> None:
        self.index = TagIndex([signal.tag for signal in site.signals()])
        self._dice, self._values = np.random.default_rng(1), np.full(len(self.index.tags), 10.0)
        self._settings = {each.key: str(float(each.released)) for each in site.settings()}

    async def read(self, at: datetime) -> Frame:
        values = self._values + 0.01 * self._dice.normal(size=self._values.shape)
        told = self._values == 1.0  # set-points are read back as they were told
        values[told] = 1.0
        return Frame(at, self.index, values, np.zeros(values.shape, dtype=np.uint8))

    async def write(self, setpoints: Mapping[str, float]) -> Mapping[str, str]:
        for tag, value in setpoints.items():
            self._values[self.index.of(tag)] = value
        return {}

    async def settings(self) -> Mapping[str, str]:
        return self._settings

    def changes(self) -> list[tuple[str, bool, str]]:
        return []


def site(folder: Path, here: SitePlant, clock: Clock, equipment: Any) -> SiteNode:
    """A node with a batch on every unit."""
    node = site_node(folder, here, clock, equipment)
    node.start()
    begin_everywhere(node)
    return node


def lost_changes(node: SiteNode) -> tuple[int, int]:
    """(changes, lost) of all counting signals, from the rows that the node kept."""
    seen = lost = 0
    for batch in node.state.batches:
        rows = node.hot.take(str(batch))
        assert rows is not None
        for at, tag in enumerate(rows.tags):
            if tag.partition(".")[2] in TOLD:
                continue
            values = rows.values[:, at]
            assert np.isfinite(values).all(), "a reading was bad"
            counts = np.unique(values)
            seen += len(counts)
            lost += int(counts[-1] - counts[0]) + 1 - len(counts)
    return seen, lost


async def over_the_wire(folder: Path, endpoints: list[str], seconds: float) -> tuple[float, float, int, int]:
    """(cores of the node, cores of the bare client, changes, lost)."""
    clock, here = SystemClock(), plant(MODULES, SIGNALS, endpoints)
    async with OpcUaDriver(here, clock=clock, answer_limit_s=10.0) as driver:
        node = site(folder, here, clock, driver)
        for _ in range(3):
            await node.cycle()
        cores = await paced(node.cycle, seconds)
        node.readings.flush()
        seen, lost = lost_changes(node)
        links = list(driver._links.values())

        async def bare() -> None:
            await asyncio.gather(*(link._client.uaclient.read(link._read) for link in links))

        return cores, await paced(bare, seconds / 4), seen, lost


async def paced(work: Any, seconds: float) -> float:
    """CPU per second of wall clock while `work` is done every `SCAN_S`."""
    begun, cpu, rounds = perf_counter(), process_time(), 0
    while perf_counter() - begun < seconds:
        await work()
        rounds += 1
        await asyncio.sleep(max(0.0, begun + rounds * SCAN_S - perf_counter()))
    return (process_time() - cpu) / (perf_counter() - begun)


async def wide_scans(node: SiteNode, clock: ManualClock, count: int) -> list[float]:
    seconds = []
    for _ in range(count):
        clock.advance(10)
        begun = process_time()
        await node.cycle()
        seconds.append(process_time() - begun)
    return seconds


def run(seconds: float = SECONDS) -> list[Row]:
    command = [sys.executable, "-m", "bench.module_servers", str(MODULES), str(SIGNALS)]
    servers = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert servers.stdout is not None
        endpoints = json.loads(servers.stdout.readline())
        with tempfile.TemporaryDirectory() as place:
            cores, bare, seen, lost = asyncio.run(over_the_wire(Path(place), endpoints, seconds))
    finally:
        servers.kill()
        servers.wait()
    print(f"{MODULES} modules x {SIGNALS} signals at 1 Hz, scanned every {SCAN_S:g} s: {cores:.3f} cores, {seen} changes kept, {lost} lost")
    with tempfile.TemporaryDirectory() as place:
        scan_ms = wide(Path(place))
    print(f"scan of {UNITS * SIGNALS} signals, {UNITS} batches, {UNITS * SETTINGS} settings: median {scan_ms:.2f} ms of CPU")
    return [
        Row(
            f"OPC UA, {MODULES} modules x {SIGNALS} signals at 1 Hz",
            f"{cores:.3f} cores",
            f"the bare client {bare:.3f}; {lost} of {seen} lost",
            bare / cores,
            f"< {CORE_MAX:g}, 0 lost",
            cores < CORE_MAX and lost == 0,
        ),
        Row(
            f"scan of {UNITS * SIGNALS} signals, {UNITS} batches, CPU",
            f"{scan_ms:.1f} ms",
            f"Open Pectus {OPEN_PECTUS_MS:g} ms",
            OPEN_PECTUS_MS / scan_ms,
            f"<= {SCAN_MS:g} ms",
            scan_ms <= SCAN_MS,
        ),
    ]


def wide(folder: Path) -> float:
    """Milliseconds of CPU of one scan of a wide site, median."""
    clock = ManualClock(datetime(2026, 3, 2, tzinfo=UTC))
    here = plant(UNITS, SIGNALS, [])
    node = site(folder, here, clock, Modules(here))
    asyncio.run(wide_scans(node, clock, 5))
    if profiled := os.environ.get("BENCH_PROFILE"):
        profile = cProfile.Profile()
        profile.runcall(asyncio.run, wide_scans(node, clock, SCANS))
        profile.dump_stats(f"{profiled}/equipment.prof")
    scans = asyncio.run(wide_scans(node, clock, SCANS))
    assert not node.state.drifts, "nothing drifted"
    assert not any(node.state.batch_drifts.values()), "nor did what batches were told"
    return 1e3 * median(scans)


if __name__ == "__main__":
    for row in run(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS):
        print(row)
