"""After the story: another batch at each facility, at a pace at which one can follow it and strike it.

Guarantees: the network ages quickly until the cultures are some days old, then slowly; a batch that is over is followed
by the next; what goes wrong at one site is said and leaves the others and the pages alone.
"""

from __future__ import annotations

import asyncio
import contextlib

import httpx2

from isogenic.sim.story.chapters import run_batch
from isogenic.sim.story.stage import NotTold, Site, Story, until

__all__ = ["READABLE", "grow_on"]

READABLE = 600.0  # an hour in six seconds, a batch in half an hour
GROWN_H = 72.0  # by then there are cells enough to see what a fault does
QUICK_S = 90.0  # wall seconds after which it goes slowly in any case


async def grow_on(story: Story) -> None:
    """Batch after batch at each site, until cancelled."""
    story.console.print("  another batch is started at each site, to look at and to strike ...", highlight=False)
    async with asyncio.TaskGroup() as sites:
        for site in story.sites.values():
            sites.create_task(_batches(story, site))
        sites.create_task(_slow_down(story))


async def _batches(story: Story, site: Site) -> None:
    while True:
        site.next()
        try:
            await run_batch(story, site, lambda days, what: None)
        except (NotTold, httpx2.HTTPError) as trouble:
            story.console.print(f"  at {site.id} no further batch runs: {trouble}", highlight=False, markup=False)
            return


async def _slow_down(story: Story) -> None:
    async def grown() -> bool:
        return all(site.hours >= GROWN_H for site in story.sites.values())

    with contextlib.suppress(NotTold):
        await until(grown, what="cultures to look at", seconds=QUICK_S)
    if story.clock.speed > READABLE:
        story.clock.change_pace(READABLE)
    ages = ", ".join(f"{site.id} {site.hours:.0f} h" for site in story.sites.values())
    pace = min(story.clock.speed, READABLE)
    story.console.print(f"  cells grow again ({ages}); an hour now takes {3600.0 / pace:.0f} s", highlight=False, markup=False)
