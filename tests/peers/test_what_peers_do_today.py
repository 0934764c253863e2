"""What the nearest open peers do today when something ends, measured; and what is done here instead. Each with real processes.

kill the site's process in a run      Open Pectus and Pioreactor lose the run
kill the centre for 20 s              Open Pectus's centre then refuses everything that the site sends
a burst of 5,000 messages             Pioreactor loses half of them without a word
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

from isogenic.ids import BatchId
from isogenic.records.blocks import open_block
from real_network import RealNetwork, check_everything_is_on_both_sides
from small_network import LEEDS, Network

pytestmark = pytest.mark.story

GONE_S = 20.0
BURST = 5_000


def network(folder: Path) -> RealNetwork:
    return RealNetwork(folder / "net", sites=(LEEDS,), dice=Random(7))


async def begun(net: RealNetwork) -> None:
    net.start("CONTROL")
    await net.ready("CONTROL")
    net.start(LEEDS)
    await net.until(lambda: any(fact.kind == "batch.dose_commanded" for fact in net.facts(LEEDS)), what="a batch in its run")


async def settled(net: RealNetwork) -> None:
    net.calm()
    await net.until(net.witnessed, what="every noted fact to be witnessed")
    await net.stop()


def test_a_site_process_killed_in_a_run_goes_on_with_that_run(tmp_path: Path) -> None:
    async def run() -> tuple[RealNetwork, str]:
        async with asyncio.timeout(600), network(tmp_path) as net:
            await begun(net)
            (batch,) = {fact.subject for fact in net.facts(LEEDS) if fact.kind == "batch.started"}
            await net.kill(LEEDS)
            net.start(LEEDS)
            await net.until(lambda: any(fact.kind == "batch.closed" for fact in net.facts(LEEDS)), what="the end of the batch")
            await settled(net)
            return net, batch

    net, batch = asyncio.run(run())
    assert check_everything_is_on_both_sides(net) > 20
    starts = [fact.payload.resumed for fact in net.facts(LEEDS, "HOUSE") if fact.kind == "sites.node_started"]
    assert starts == [0, 1]
    (closed,) = [fact.payload.outcome for fact in net.facts(LEEDS) if fact.kind == "batch.closed" and fact.subject == batch]
    assert closed == "complete"
    about = [fact for fact in net.facts(LEEDS) if fact.subject == batch]
    runs = Counter(fact.payload.phase for fact in about if fact.kind == "batch.phase_started")
    assert set(runs.values()) == {1}
    flowed = [(each.dose, each.number) for each in net.machinery[LEEDS].executions]
    assert len(flowed) == len(set(flowed))


def test_a_centre_that_was_killed_for_20_s_takes_all_that_its_site_noted_meanwhile(tmp_path: Path) -> None:
    async def run() -> tuple[RealNetwork, int]:
        async with asyncio.timeout(600), network(tmp_path) as net:
            await begun(net)
            await net.kill("CONTROL")
            before = len(net.facts(LEEDS))
            await asyncio.sleep(GONE_S)
            meanwhile = len(net.facts(LEEDS)) - before
            net.start("CONTROL")
            await net.ready("CONTROL")
            await settled(net)
            return net, meanwhile

    net, meanwhile = asyncio.run(run())
    assert meanwhile > 10  # the run went on: a link that is down stops nothing
    assert check_everything_is_on_both_sides(net) > meanwhile
    house = [fact.kind for fact in net.facts(LEEDS, "HOUSE")]
    assert "sites.link_lost" in house
    assert "sites.ledger_refused" not in house


def test_a_burst_of_5000_facts_loses_none(tmp_path: Path) -> None:
    async def run() -> RealNetwork:
        async with asyncio.timeout(600), network(tmp_path) as net:
            net.start("CONTROL")
            await net.ready("CONTROL")
            net.start(LEEDS, burst=BURST)
            await net.until(lambda: net.size(net.folder / LEEDS / "ledgers" / "HOUSE.sqlite") > BURST, what="the burst to be noted")
            await settled(net)
            return net

    net = asyncio.run(run())
    assert check_everything_is_on_both_sides(net) > BURST
    copied = net.folder / "CONTROL" / "copies" / f"{LEEDS}.HOUSE.sqlite"
    noted = [fact.payload.why for fact in net.facts(LEEDS, "HOUSE") if fact.kind == "sites.module_lost"]
    assert noted == [f"message {number}" for number in range(BURST)]
    assert sum(b"sites.module_lost" in body for body in net.bodies(copied)) == BURST


def test_a_burst_of_5000_readings_loses_none(tmp_path: Path) -> None:
    """From the buffer through the sealed block to the control site's disk."""
    net = Network(tmp_path / "net")
    asyncio.run(net.publish())
    batch = net.start_batch()
    asyncio.run(net.scan())
    node = net.nodes[LEEDS]
    frame, before = node.frame, node.readings.counts(BatchId(batch)).rows
    assert frame is not None
    for number in range(BURST):
        net.clock.advance(0.001)
        node.readings.keep(replace(frame, at=net.clock.at, values=np.full_like(frame.values, float(number))), node.state.running())
    node.readings.flush()
    blocks = node.readings.seal_all(BatchId(batch))
    asyncio.run(net.carry())
    kept = np.concatenate([open_block(net.control.blobs.get(each.digest), each.digest).values[:, 0] for each in blocks])
    assert kept[before:].tolist() == [float(number) for number in range(BURST)]
