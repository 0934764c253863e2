"""A site that runs twice with the same keys and the same past, as a copied machine does: one history is witnessed, the other is found out.

On one folder a second process is refused (`tests/test_locks.py`); here the folder was copied, so nothing local can know.
"""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from isogenic.errors import NotReachable, Refusal
from isogenic.ids import NodeId, SeededMint
from isogenic.sites.home import SiteHome
from isogenic.sites.node import SiteNode
from small_network import LEEDS, Line, Network, Vessels

ALL = 1 << 40


def twin_of(net: Network, folder: Path) -> SiteNode:
    """The copied machine, started: it has its own cable to the control site, and reads equipment that is not there."""
    home = SiteHome.open(folder)
    clone = home.node(
        clock=net.clock,
        mint=SeededMint("twin"),
        equipment=Vessels(home.plant, seed=99),
        link=Line(net.control.desk, NodeId(LEEDS)),
        software="twin",
    )
    clone.start()
    return clone


async def carried(node: SiteNode) -> None:
    """Everything that a node's courier can bring; what is refused is refused."""
    for _ in range(40):
        moved = False
        for step in (node.courier.upload_once, lambda: node.courier.download_once(wait=0)):
            with suppress(Refusal):
                moved = await step() or moved
        if not moved:
            return


def split(folder: Path, seed: int) -> None:
    dice, net = Random(f"split {seed}"), Network(folder / "net")
    asyncio.run(net.publish())
    asyncio.run(net.carry())
    net.close_site(LEEDS)
    shutil.copytree(net.folder / LEEDS, folder / "copied" / LEEDS)
    shutil.copy(net.folder / f"{LEEDS}.beacon", folder / "copied" / f"{LEEDS}.beacon")
    nodes = [net.open_site(LEEDS)]
    net.clock.advance(dice.randrange(1, 3_600))
    nodes.append(twin_of(net, folder / "copied" / LEEDS))
    cosigned: dict[str, list[bytes]] = {}
    for _ in range(12):
        node = dice.choice(nodes)
        net.clock.advance(1_800.0)
        if dice.random() < 0.5:
            asyncio.run(carried(node))
        else:
            with suppress(NotReachable):
                asyncio.run(node.cycle())
        for origin, (_, copy) in net.control.copies.items():
            held = copy.store.bodies(0, ALL)
            assert held[: len(cosigned.get(origin, []))] == cosigned.get(origin, []), f"seed {seed}: what was cosigned in {origin} has changed"
            cosigned[origin] = held
    for node in nodes:
        asyncio.run(carried(node))
    check(net, nodes, seed=seed)


def check(net: Network, nodes: list[SiteNode], *, seed: int) -> None:
    forked = 0
    for audience in nodes[0].ledgers:
        ledgers = [node.ledgers[audience] for node in nodes]
        copy = net.control.copies[ledgers[0].origin][1]
        held, written = copy.store.bodies(0, ALL), [ledger.store.bodies(0, ALL) for ledger in ledgers]
        agrees = [held == bodies[: len(held)] for bodies in written]
        assert any(agrees), f"seed {seed}: {audience} as held was written by neither"
        copy.check()
        for node, ledger, fits in zip(nodes, ledgers, agrees, strict=True):
            if not fits:
                forked += 1
                named = {**node.courier.state.stopped, **node.returning.waits}
                assert ledger.origin in named, f"seed {seed}: the fork of {audience} was not found out"
                assert node.alarm
                assert ledger.witnessed <= len(held)
            elif ledger.origin not in {**node.courier.state.stopped, **node.returning.waits}:
                assert ledger.witnessed == ledger.size == len(held)
    assert forked > 0


@pytest.mark.parametrize("seed", range(1, 5))
def test_of_two_processes_with_one_past_one_is_witnessed_and_the_other_found_out(tmp_path: Path, seed: int) -> None:
    split(tmp_path, seed)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(5, 105))
def test_of_two_processes_with_one_past_one_is_witnessed_many_times(tmp_path: Path, seed: int) -> None:
    split(tmp_path, seed)
