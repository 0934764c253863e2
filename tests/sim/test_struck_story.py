"""What a visitor does to a facility while the demonstration runs is known to it, over the facility's real page."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx2
from rich.console import Console
from test_facility_page import SPARGER, grown

from isogenic.clock import ManualClock, ScaledClock
from isogenic.ids import PersonId, SiteId
from isogenic.plant.model import SitePlant
from isogenic.sim.faults import parse_fault
from isogenic.sim.pages.facility import View, serve_page
from isogenic.sim.proxy import Line
from isogenic.sim.story.stage import Site, Story
from isogenic.sim.world import World

OWN = "feed_pump_fouls:unit=SB-200,start=150.0,hours=24.0,size=0.6"


def story_of(folder: Path, porto: SitePlant) -> Story:
    world = World(folder, 1, "network", {SiteId("PORTO"): porto}, None)  # type: ignore[arg-type]  # who is trusted is not asked here
    return Story(folder, 1, ScaledClock(start=ManualClock().at, origin=0.0, speed=1.0), Console(quiet=True), world=world)


def test_the_storys_own_fault_is_no_visitors_and_what_a_visitor_injects_is(tmp_path: Path, porto: SitePlant) -> None:
    story, site = story_of(tmp_path, porto), SiteId("PORTO")
    facility = grown(porto, hours=10.0)
    facility.strike([parse_fault(OWN)])
    assert story.world is not None
    home = story.world.home(site)
    home.mkdir(parents=True, exist_ok=True)

    async def visited() -> list[list[str]]:
        async with serve_page(View(facility)) as url, httpx2.AsyncClient(base_url=url, trust_env=False) as visitor:
            (home / "page.json").write_text(json.dumps({"page": url}))
            found = [await story.struck(site)]
            await visitor.post("/api/faults", json={"fault": SPARGER})
            found.append(await story.struck(site))
            await visitor.post("/api/faults/take-back", json={"fault": SPARGER})
            return [*found, await story.struck(site)]

    injected, taken = f"{SPARGER} was injected", f"{SPARGER} was taken back"
    assert asyncio.run(visited()) == [[], [injected], [injected, taken]]


def test_a_further_batch_after_the_story_has_a_lot_of_its_own() -> None:
    site = Site(SiteId("PORTO"), PersonId("LEA"), "SB-200", "LOT-PT-001", Line(0), batch="BAT-1", hours=336.0, ended="harvested", released=True)
    site.next()
    assert (site.run, site.lot, site.batch, site.hours, site.ended, site.released) == (2, "LOT-PT-001-2", "", 0.0, "", False)
    site.next()
    assert (site.run, site.lot) == (3, "LOT-PT-001-3")
