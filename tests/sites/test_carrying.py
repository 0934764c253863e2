"""The courier at work for ever: whoever stops a node is heard at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from isogenic.sites.carrying import upload_for_ever
from small_network import LEEDS, Network


def test_a_stop_that_comes_together_with_news_is_heard(tmp_path: Path) -> None:
    """`asyncio.wait_for` of Python 3.11 swallowed it when both came within two turns of the loop."""
    net = Network(tmp_path / "net")
    asyncio.run(net.carry())

    async def heard(turns: int) -> bool:
        news = asyncio.Event()
        task = asyncio.create_task(upload_for_ever(net.nodes[LEEDS].courier, news))
        for _ in range(50):
            await asyncio.sleep(0)
        news.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task}, timeout=5)
        return task.cancelled()

    async def protocol() -> list[bool]:
        return [await heard(turns) for turns in range(6)]

    assert asyncio.run(protocol()) == [True] * 6
