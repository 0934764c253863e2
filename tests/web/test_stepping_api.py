"""A running batch taken from step to step over HTTP, on a real node: modes, transitions, phases, ways, parameters, the formula."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient, Response
from network_story import LEEDS, Network
from web_setup import Wire, password, signed_in, signs, site_node

from isogenic.batches.engine import BatchState, begin
from isogenic.ids import BatchId, LotId, UnitId
from isogenic.materials.lots import LotCreated
from isogenic.recipes.model import ControlEntry, ControlParameter, ControlPhase, ControlRecipe, ControlUnitProcedure, ControlUse, Then
from isogenic.sites.node import SiteNode
from isogenic.web.signin import AccountFolder
from isogenic.web.site_api import site_app

BATCH, BASE = BatchId("BAT-STEP"), "/api/batches/BAT-STEP"
CHART = "one; one(when temperature > 30.0 degC: two, otherwise: three); repeat(four until temperature > 30.0 degC at most 3 then alarm); ask; last"
WHY = {"why": "the probe is being changed"}
Walk = Callable[[AsyncClient, AsyncClient], Awaitable[Any]]


def phase(name: str, **changes: Any) -> ControlPhase:
    plain = ControlPhase(name, name, "work", {}, {}, None, (), "elapsed >= 1.0 h", (), None, Then.ALARM, 1.0, Then.ALARM)
    return replace(plain, **changes)


def recipe(like: ControlRecipe) -> ControlRecipe:
    """On the unit and for the product of another batch: every kind of step that a person can take."""
    ask = phase("ask", enter=(ControlEntry("warm", "Temperature of the bath"),), until="answered")
    last = phase("last", until="elapsed >= 4.0 h", uses=(ControlUse("until", "elapsed >= @long", ""),))
    phases = (*(phase(name) for name in ("one", "two", "three", "four")), ask, last)
    part = ControlUnitProcedure("work", "main", "stirred_bioreactor", UnitId("BR-50"), 50.0, phases, CHART)
    parameters = (ControlParameter("warm", 37.0, "degC", False, 30.0, 40.0), ControlParameter("long", 4.0, "h", False, 1.0, 10.0, adjustable=True))
    return replace(like, batch=BATCH, lot=LotId("LOT-STEP"), parameters=parameters, unit_procedures=(part,), chart="work", uses=())


@pytest.fixture
def leeds(network: Network) -> SiteNode:
    node = site_node(network, network.books[LEEDS])
    assert isinstance(node.courier.link, Wire)

    async def hear() -> None:
        while await node.courier.download_once(wait=0):
            pass

    asyncio.run(hear())
    control = recipe(node.state.batches[BatchId("BAT-A2")].control)
    node.note([LotCreated(lot=control.lot, product=control.product, batch=BATCH, site=LEEDS), *begin(control, sponsor=node.state.plant.sponsor)])
    return node


def walk(network: Network, node: SiteNode, folder: Path, steps: Walk) -> Any:
    """An operator of the site, and a process engineer who has an account there, too."""
    for home, person in ((network.world.home(LEEDS), "LEA"), (network.world.control, "ADA")):
        (folder / "accounts").mkdir(exist_ok=True)
        shutil.copy2(home / "accounts" / f"{person}.json", folder / "accounts")
    app = site_app(node, AccountFolder(folder / "accounts"), screens=False)

    async def whole() -> Any:
        return await steps(await signed_in(app, "LEA"), await signed_in(app, "ADA"))

    return asyncio.run(whole())


def batch(node: SiteNode) -> BatchState:
    return node.state.batches[BATCH]


async def pass_time(node: SiteNode, hours: float) -> None:
    node.clock.advance(3600 * hours)  # type: ignore[attr-defined]
    for _ in range(3):
        await node.cycle()


def codes(*answers: Response) -> list[int]:
    return [each.status_code for each in answers]


def test_the_engineer_chooses_the_mode_and_says_why(network: Network, leeds: SiteNode, tmp_path: Path) -> None:
    async def steps(lea: AsyncClient, ada: AsyncClient) -> Any:
        said = [await lea.post(f"{BASE}/mode", json={"mode": "manual", **WHY})]
        said.append(await ada.post(f"{BASE}/mode", json={"mode": "by_hand", **WHY}))
        said.append(await ada.post(f"{BASE}/mode", json={"mode": "manual", "why": ""}))
        said.append(await ada.post(f"{BASE}/mode", json={"mode": "manual", **WHY}))
        said.append(await ada.post(f"{BASE}/mode", json={"mode": "manual", **WHY}))
        said.append(await ada.post("/api/batches/BAT-NONE/mode", json={"mode": "manual", **WHY}))
        return codes(*said), said[4].json()["possible"], (await lea.get(f"{BASE}/progress")).json()["mode"]

    assert walk(network, leeds, tmp_path, steps) == ([403, 422, 422, 200, 403, 404], "automatic, semi-automatic", "manual")
    changed = [fact for fact in leeds.ledgers["ASTER-BIO"].facts() if fact.kind == "batch.mode_changed"]
    assert [(fact.actor.id, fact.actor.role, fact.payload.why) for fact in changed] == [("ADA", "process_engineer", WHY["why"])]


def test_in_manual_mode_a_person_starts_and_completes_phases_and_takes_ways(network: Network, leeds: SiteNode, tmp_path: Path) -> None:
    async def steps(lea: AsyncClient, ada: AsyncClient) -> Any:
        async def do(path: str, **body: Any) -> int:
            return (await lea.post(f"{BASE}/{path}", json={**WHY, **body})).status_code

        seen = [await do("phases/one", do="start")]  # automatic: nobody starts a phase
        await ada.post(f"{BASE}/mode", json={"mode": "manual", **WHY})
        seen += [await do("phases/one", do="start"), await do("phases/one", do="start"), await do("phases/two", do="start")]
        await pass_time(leeds, 3)
        seen += [await do("phases/one", do="complete"), await do("phases/one", do="complete"), await do("phases/one", do="stop")]
        told = (await lea.get(f"{BASE}/progress")).json()
        seen += [
            await do("ways", place="work/choice_1", way=2),
            await do("ways", place="work/choice_9", way=1),
            await do("ways", place="work/choice_1", way=1),
        ]
        seen += [await do("phases/three", do="start"), await do("phases/three", do="complete")]
        seen += [await do("phases/four", do="start"), await do("phases/four", do="complete")]
        rounds = (await lea.get(f"{BASE}/progress")).json()["rounds"]
        seen += [await do("ways", place="work/loop_1", again=True), await do("phases/four", do="start"), await do("phases/four", do="complete")]
        seen += [await do("ways", place="work/loop_1", again=False)]
        return seen, told["choices"], rounds, (await lea.get(f"{BASE}/progress")).json()["ready"]

    seen, choices, rounds, ready = walk(network, leeds, tmp_path, steps)
    assert seen == [403, 200, 403, 403, 200, 403, 422, 422, 403, 200, 200, 200, 200, 200, 200, 200, 200, 200]
    assert choices == {"work/choice_1": ["temperature > 30.0 degC", ""]}
    assert rounds == {"work/loop_1": "temperature > 30.0 degC"}
    assert ready == ["ask"]
    assert batch(leeds).runs == {"one": 1, "three": 1, "four": 2}


def test_in_semi_automatic_mode_a_person_lets_happen_what_was_reached(network: Network, leeds: SiteNode, tmp_path: Path) -> None:
    async def steps(lea: AsyncClient, ada: AsyncClient) -> Any:
        await leeds.cycle()
        await ada.post(f"{BASE}/mode", json={"mode": "semi-automatic", **WHY})
        early = await lea.post(f"{BASE}/transitions", json={"place": "one", **WHY})
        await pass_time(leeds, 2)
        told = (await lea.get(f"{BASE}/progress")).json()
        other = await lea.post(f"{BASE}/transitions", json={"place": "two", **WHY})
        right = await lea.post(f"{BASE}/transitions", json={"place": "one", **WHY})
        await pass_time(leeds, 0.01)
        return codes(early, other, right), other.json()["possible"], told["reached"], told["running"]

    assert walk(network, leeds, tmp_path, steps) == ([403, 403, 200], "one", {"one": "elapsed >= 1.0 h"}, ["one"])
    assert dict(batch(leeds).active) == {}


def test_a_value_that_a_phase_asks_for_is_entered_within_its_limits(network: Network, leeds: SiteNode, tmp_path: Path) -> None:
    async def steps(lea: AsyncClient, ada: AsyncClient) -> Any:
        early = await lea.post(f"{BASE}/parameters/warm", json={"value": "36.5"})
        await to_the_question(leeds, lea, ada)
        high = await lea.post(f"{BASE}/parameters/warm", json={"value": "45"})
        word = await lea.post(f"{BASE}/parameters/warm", json={"value": "hot"})
        other = await lea.post(f"{BASE}/parameters/long", json={"value": "3"})
        right = await lea.post(f"{BASE}/parameters/warm", json={"value": "36.5"})
        await leeds.cycle()
        lines = {each["name"]: (each["value"], each["changed"]) for each in (await lea.get(f"{BASE}/progress")).json()["parameters"]}
        return codes(early, high, word, other, right), other.json()["possible"], lines

    assert walk(network, leeds, tmp_path, steps) == ([403, 422, 422, 403, 200], "warm", {"warm": (36.5, True), "long": (4.0, False)})


async def to_the_question(node: SiteNode, lea: AsyncClient, ada: AsyncClient) -> None:
    """By hand to the phase that asks, and on by itself."""
    await ada.post(f"{BASE}/mode", json={"mode": "manual", **WHY})
    for name in ("one", "three", "four"):
        if name == "three":
            await lea.post(f"{BASE}/ways", json={"place": "work/choice_1", "way": 1, **WHY})
        for do in ("start", "complete"):
            await lea.post(f"{BASE}/phases/{name}", json={"do": do, **WHY})
    await lea.post(f"{BASE}/ways", json={"place": "work/loop_1", "again": False, **WHY})
    await ada.post(f"{BASE}/mode", json={"mode": "automatic", **WHY})
    await node.cycle()
    assert list(batch(node).active) == ["ask"]


def test_the_formula_is_changed_by_signature_of_who_may(network: Network, leeds: SiteNode, tmp_path: Path) -> None:
    async def steps(lea: AsyncClient, ada: AsyncClient) -> Any:
        async def change(guest: AsyncClient, name: str = "long", value: str = "90 min", **body: Any) -> Response:
            return await guest.post(f"{BASE}/formula/{name}", json={"value": value, **WHY, **body})

        said = [await change(lea, **signs("LEA", "formula changed"))]
        said.append(await change(ada, person="ADA", password=password("LEA"), meaning="formula changed"))
        said.append(await change(ada, **signs("ADA", "approved")))
        said.append(await change(ada, value="11 h", **signs("ADA", "formula changed")))
        said.append(await change(ada, value="3 kg", **signs("ADA", "formula changed")))
        said.append(await change(ada, name="warm", value="36 degC", **signs("ADA", "formula changed")))
        before = batch(leeds).values
        said.append(await change(ada, **signs("ADA", "formula changed")))
        return codes(*said), dict(before)

    assert walk(network, leeds, tmp_path, steps) == ([403, 401, 422, 422, 422, 403, 200], {"warm": 37.0, "long": 4.0})
    assert batch(leeds).values == {"warm": 37.0, "long": 1.5}
    assert batch(leeds).phases["last"].until == "elapsed >= 1.5 h"
    (told,) = [fact.payload for fact in leeds.ledgers["ASTER-BIO"].facts() if fact.kind == "batch.formula_changed"]
    assert (told.by, told.signature.person, told.signature.meaning) == ("ADA", "ADA", "formula changed")
