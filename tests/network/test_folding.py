"""Pages come first, and whoever looks sees everything that was taken before."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from isogenic.network import folding
from isogenic.records.sync import PAGE_FACTS
from isogenic.sites.facts import LinkRestored
from small_network import LEEDS, Network

PAGES = 8


def with_a_backlog(folder: Path) -> Network:
    net = Network(folder)
    asyncio.run(net.publish())
    asyncio.run(net.carry())
    house = net.nodes[LEEDS].ledgers["HOUSE"]
    for _ in range(PAGES):
        house.append([LinkRestored(LEEDS)] * PAGE_FACTS, actor=net.nodes[LEEDS].actor, moment=net.clock.now())
    return net


async def send_all(net: Network) -> None:
    while await net.nodes[LEEDS].courier.upload_backlog():
        pass


def test_whoever_waits_for_all_that_is_held_lets_others_be_served_meanwhile(tmp_path: Path) -> None:
    net = with_a_backlog(tmp_path / "net")

    async def look() -> int:
        await send_all(net)
        assert net.control.folding.behind > (PAGES - 2) * PAGE_FACTS
        served, waiting = 0, asyncio.create_task(net.control.folding.settled())
        while not waiting.done():
            await asyncio.sleep(0)
            served += 1
        assert net.control.folding.behind == 0
        return served

    assert asyncio.run(look()) > PAGES - 2
    lived = net.control.state
    assert net.restart_control().state.lots == lived.lots


def test_a_page_that_comes_while_somebody_waits_does_not_make_them_wait_longer(tmp_path: Path) -> None:
    net = with_a_backlog(tmp_path / "net")

    async def look() -> int:
        await send_all(net)
        waiting = asyncio.create_task(net.control.folding.settled())
        await asyncio.sleep(0)
        with_a_last = net.nodes[LEEDS].ledgers["HOUSE"]
        with_a_last.append([LinkRestored(LEEDS)] * PAGE_FACTS, actor=net.nodes[LEEDS].actor, moment=net.clock.now())
        await send_all(net)
        await waiting
        return net.control.copies[with_a_last.origin][1].size - net.control.folding.size(with_a_last.origin)

    assert asyncio.run(look()) <= PAGE_FACTS
    assert net.control.folding.behind <= PAGE_FACTS
    assert net.control.state == net.control.folding.state
    assert net.control.folding.behind == 0


def test_a_long_backlog_is_folded_by_a_share_while_it_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "BEHIND_MAX", PAGE_FACTS)
    monkeypatch.setattr(folding, "QUIET_S", 60.0)  # nothing is folded for want of anything else to do
    net = with_a_backlog(tmp_path / "net")
    asyncio.run(send_all(net))
    house = net.nodes[LEEDS].ledgers["HOUSE"]
    folded = net.control.folding.size(house.origin)
    assert folding.SHARE <= folded <= PAGES * PAGE_FACTS / 2
    assert net.control.copies[house.origin][1].size == house.size
