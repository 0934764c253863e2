"""A twin follows a real batch of a real node, and a browser looks at it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from test_browser import Served, chromium  # noqa: F401 - a fixture

from isogenic.errors import NotFound
from isogenic.ids import BatchId
from isogenic.plant.documents import load_plant
from isogenic.sim.fitting.following import Follower
from isogenic.sim.pages.following import follow_app
from isogenic.sim.processes.antibody import ANTIBODY
from isogenic.sim.world import document
from small_network import LEEDS, Network

PLANT = load_plant(document("leeds.plant.yaml"), name="leeds.plant.yaml")
CONSTANTS = ("growth", "product")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A site's folder while its node runs, four days into a batch."""
    folder = tmp_path_factory.mktemp("follow") / "network"

    async def run() -> tuple[Network, str]:
        network = Network(folder)
        await network.publish()
        batch = network.start_batch()
        await network.run_batch(batch, until_h=110.0, every_h=1.0)
        return network, str(batch)

    network, batch = asyncio.run(run())
    assert not network.nodes[LEEDS].state.batches[BatchId(batch)].closed
    yield folder / "LEEDS", batch
    network.close_site(LEEDS)


def test_the_twin_is_near_a_sound_batch(running: tuple[Path, str]) -> None:
    folder, batch = running
    follower = Follower(folder, PLANT, ANTIBODY, constants=CONSTANTS)
    now = follower.look()
    assert now.why == ""
    assert (now.batch, now.unit) == (batch, "BR-50")
    assert now.fit is not None
    assert now.comparison is not None
    assert 0.9 < now.fit["growth"].factor < 1.1
    assert now.age_h > 72.0
    assert abs(now.comparison.worst[2]) < 6.0
    assert follower.look() is now  # nothing new was read: nothing is worked out


def test_what_cannot_be_followed_says_why(running: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = running
    assert "no readings of BAT-NONE" in Follower(folder, PLANT, ANTIBODY, constants=CONSTANTS, batch="BAT-NONE").look().why
    assert "no batch to follow" in Follower(tmp_path, PLANT, ANTIBODY, constants=CONSTANTS).look().why
    with pytest.raises(NotFound, match="no constant cheese"):
        Follower(folder, PLANT, ANTIBODY, constants=("cheese",))


@pytest.mark.browser
def test_a_browser_shows_batch_and_twin_side_by_side(running: tuple[Path, str], chromium: Any, tmp_path: Path) -> None:  # noqa: F811
    folder, batch = running
    follower = Follower(folder, PLANT, ANTIBODY, constants=CONSTANTS)
    long = "The twin follows badly: vessel weight is 6 standard deviations below it at 168 h. Something happens that its constants do not describe."
    follower._last = replace(follower.look(), cautions=(long,))
    served = Served(follow_app(follower))
    try:
        for viewport in ({"width": 1280, "height": 900}, {"width": 820, "height": 1180}):
            page = chromium.new_context(viewport=viewport).new_page()
            page.goto(served.url, timeout=60_000)
            assert batch in page.inner_text("main")
            assert "Largest residual" in page.inner_text("main")
            assert "illustrative" in page.inner_text("main")
            assert long in page.inner_text("main")
            assert re.search(r"temperature 3[67]\.\d+ ± 0\.1 degC, ph [67][.\d]* ± 0\.0\d", page.inner_text("main"))
            assert page.locator("figure svg").count() >= 4
            assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
            page.screenshot(path=str(tmp_path / f"follow-{viewport['width']}.png"), full_page=True)
        told = httpx.get(f"{served.url}/api/twin").json()
        assert told["batch"] == batch
        assert set(told["constants"]) == set(CONSTANTS)
        assert httpx.get(served.url, headers={"host": "elsewhere.example"}).status_code == 403
    finally:
        served.stop()
