"""A command to a service, over OPC UA, until the module's new state is known: and how fast a real manifest is read.

    python -m bench.mtp [ROUNDS] [--serve]

The module is a simulated one in a process of its own. Timed is the whole order of the driver: state,
modes and CommandEn read, the command written, the new state confirmed. Beside it, in the same run and
over the same session, the bare write of the command word and one read of StateCur: what no client can
go below. Others, as tried before on such a machine: mtppy 502 ms (it looks twice a second), mtp-gateway 10 ms.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, process_time
from typing import Any

import asyncua.ua

from bench.report import Row
from isogenic.clock import ManualClock, SystemClock
from isogenic.ids import ModuleId
from isogenic.plant.classes import CLASSES
from isogenic.plant.documents import load_plant, with_endpoints
from isogenic.plant.mtp.reading import read_manifest
from isogenic.plant.mtp.states import ServiceState
from isogenic.plant.services import ServiceOrder
from isogenic.sim.pea import Behaviour, Pea, Run, definition_of
from isogenic.sim.pea_manifest import manifest_of
from isogenic.sim.pea_server import serve_peas
from isogenic.sites.drivers.mtp import MtpDriver

ROUNDS, TARGET_MS, READ_TARGET_S = 200, 20.0, 3.0
HC10 = Path(__file__).parents[1] / ".." / "shared" / "data" / "mtp" / "HC10.aml"
MODULE = ModuleId("CELL")
DEFINITION = definition_of(CLASSES["filler"], name="CELL")
DOCUMENT = f"""\
isogenic: plant/1
site: BENCH
title: Bench
sponsor: ACME
latitude: 0
longitude: 0
units:
  FILL-1:
    class: filler
    title: Filler
    make: simulated
    working_volume: 5 L
    capabilities: {{}}
    modules:
      {MODULE}:
        protocol: mtp
        manifest: cell.mtp
        services: {{fill: {{}}}}
"""
ua: Any = asyncua.ua


class Stands(Behaviour):
    """Executes until it is told otherwise."""

    def going(self, run: Run, seconds: float) -> bool:
        return run.state is not ServiceState.EXECUTE


async def serve() -> None:
    """The module's own process: tells its endpoint, then runs until its input ends."""
    async with serve_peas({MODULE: Pea(DEFINITION, {"fill": Stands()})}, SystemClock()) as endpoints:
        print(endpoints[MODULE], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def measure(rounds: int) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds of each command, of each bare write and read, of each start with its parameters."""
    module = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.mtp", "--serve", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert module.stdin is not None
    assert module.stdout is not None
    endpoint = (await module.stdout.readline()).decode().strip()
    plant = with_endpoints(load_plant(DOCUMENT, name="bench"), {MODULE: endpoint})
    commands, bare, starts = [], [], []
    try:
        async with MtpDriver(plant, {MODULE: manifest_of(DEFINITION)}, clock=ManualClock()) as driver:
            number = 0

            async def told(command: str, **parameters: float) -> float:
                nonlocal number
                number += 1
                order = {"FILL-1.fill": ServiceOrder("fill", command, "gravimetric" if command == "start" else "", parameters, number)}
                begun = perf_counter()
                refused = await driver.order(order)
                assert not refused, refused
                return (perf_counter() - begun) * 1e3

            for _ in range(10):
                starts.append(await told("start", containers=10.0, fill_weight=1.0, tolerance=5.0))
                for _ in range(rounds // 20):
                    commands.append(await told("hold"))
                    commands.append(await told("unhold"))
                    bare.append(await _bare(driver))
                await told("stop")
                await told("reset")
    finally:
        module.stdin.close()
        await module.wait()
    return commands, bare, starts


async def _bare(driver: MtpDriver) -> float:
    """One write of a command word that means nothing, and one read of the state."""
    client = driver._inner.session(MODULE)
    index = await client.get_namespace_index(DEFINITION.namespace)
    word, state = (client.get_node(ua.NodeId(f"fill.{each}", index)) for each in ("CommandExt", "StateCur"))
    begun = perf_counter()
    await word.write_value(ua.Variant(0, ua.VariantType.UInt32))
    await state.read_value()
    return (perf_counter() - begun) * 1e3


def run(rounds: int = ROUNDS) -> list[Row]:
    """The rows of the table."""
    commands, bare, starts = asyncio.run(measure(rounds))
    middle, floor = median(commands), median(bare)
    slowest = quantiles(commands, n=100)[98]
    rows = [
        Row(
            "service command to its new state, median",
            f"{middle:.1f} ms",
            f"bare write and read {floor:.1f} ms",
            middle / floor,
            "20 ms",
            middle <= TARGET_MS,
        ),
        Row("the same, slowest of 100", f"{slowest:.1f} ms", "its median", slowest / middle, "", None),
        Row("start with 3 parameters, all confirmed, median", f"{median(starts):.1f} ms", "a command alone", median(starts) / middle, "", None),
    ]
    if HC10.exists():
        data, begun = HC10.read_bytes(), process_time()
        manifest = read_manifest(data, name="HC10.aml")
        took = process_time() - begun
        rows.append(
            Row("a real manifest read (2.6 MB, 1275 items)", f"{took * 1e3:.0f} ms CPU", "a prototype: 3 s", took / 3.0, "3 s", took <= READ_TARGET_S)
        )
        assert manifest.bound_items == 1275
    return rows


if __name__ == "__main__":
    if "--serve" in sys.argv:
        asyncio.run(serve())
    else:
        for row in run(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS):
            print(row)
