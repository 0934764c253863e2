"""A site over HTTP: batches, questions, commands and results, on a real node with its control site at the end of the line."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from httpx2 import AsyncClient
from network_story import GHENT, LEEDS, Network
from web_setup import client, signed_in, site_application, site_node

from isogenic.sites.node import SiteNode


@pytest.fixture
def leeds(network: Network) -> SiteNode:
    node = site_node(network, network.books[LEEDS])

    async def hear() -> None:
        while await node.courier.download_once(wait=0):
            pass

    asyncio.run(hear())
    return node


def walk_as(network: Network, node: SiteNode, person: str, walk: Any) -> Any:
    async def whole() -> Any:
        return await walk(await signed_in(site_application(network, node), person))

    return asyncio.run(whole())


def last(node: SiteNode, audience: str = "HOUSE") -> Any:
    return list(node.ledgers[audience].facts())[-1]


def test_site_tells_its_units_and_how_far_its_ledgers_have_come(network: Network, leeds: SiteNode) -> None:
    async def walk(guest: AsyncClient) -> Any:
        return (await guest.get("/api/site")).json()

    site = walk_as(network, leeds, "LEA", walk)
    assert [(each["unit"], each["batch"], each["state"]) for each in site["units"]] == [("BR-50", "BAT-A2", "running")]
    assert site["recipes"] == ["MAB-FB version 1"]
    assert site["open_prompts"] == 1
    for each in site["ledgers"]:
        assert each["witnessed"] <= each["sent"] <= each["noted"]


def test_operator_answers_a_question_within_its_limits(network: Network, leeds: SiteNode) -> None:
    async def walk(guest: AsyncClient) -> Any:
        asked = (await guest.get("/api/prompts")).json()
        path = f"/api/batches/{asked[0]['batch']}/prompts/{asked[0]['prompt']}"
        low = await guest.post(path, json={"answer": "12"})
        good = await guest.post(path, json={"answer": "96.5"})
        again = await guest.post(path, json={"answer": "96.5"})
        return [each.status_code for each in (low, good, again)], low.json()["why"], (await guest.get("/api/prompts")).json()

    codes, why, left = walk_as(network, leeds, "LEA", walk)
    assert codes == [422, 200, 403]
    assert why == "its limits are 50 to 100 %"
    assert left == []
    answered = last(leeds, "ASTER-BIO")
    assert (answered.kind, answered.actor.id, answered.actor.role) == ("batch.prompt_answered", "LEA", "operator")


def test_analyst_may_not_answer_and_the_attempt_is_noted(network: Network, leeds: SiteNode) -> None:
    async def walk(guest: AsyncClient) -> Any:
        return await guest.post("/api/batches/BAT-A2/prompts/DAILY-SAMPLE-1", json={"answer": "96.5"})

    answer = walk_as(network, leeds, "ANA", walk)
    assert (answer.status_code, answer.json()["title"]) == (403, "NotAllowed")
    refused = last(leeds)
    assert (refused.kind, refused.subject, refused.payload.act) == ("sites.request_refused", "ANA", "answer_prompt")


def test_batch_is_not_started_on_a_unit_that_is_taken_and_every_reason_is_noted(network: Network, leeds: SiteNode) -> None:
    async def walk(guest: AsyncClient) -> Any:
        return await guest.post("/api/batches", json={"recipe": "MAB-FB", "version": 1, "unit": "BR-50", "lot": "LOT-A3"})

    answer = walk_as(network, leeds, "LEA", walk)
    assert answer.status_code == 403
    assert "BR-50 is taken by BAT-A2" in answer.json()["why"]
    assert last(leeds, "ASTER-BIO").kind == "sites.batch_refused"


def test_batch_is_held_and_aborted_and_its_line_takes_no_other_before_it_is_cleared(network: Network, leeds: SiteNode) -> None:
    async def walk(guest: AsyncClient) -> Any:
        commands = "/api/batches/BAT-A2/commands"
        said = [await guest.post(commands, json={"command": "restart", "why": "to see"})]
        said.append(await guest.post(commands, json={"command": "hold", "why": "foam"}))
        said.append(await guest.post(commands, json={"command": "vent", "why": "foam"}))
        said.append(await guest.post(commands, json={"command": "abort", "why": "foam reached the filter"}))
        await leeds.cycle()
        said.append(await guest.post("/api/batches", json={"recipe": "MAB-FB", "version": 1, "unit": "BR-50", "lot": "LOT-A3"}))
        return [each.status_code for each in said], said[0].json()["possible"], said[-1].json()["why"], (await guest.get("/api/batches")).json()

    codes, possible, why, batches = walk_as(network, leeds, "LEA", walk)
    assert codes == [403, 200, 422, 200, 403]
    assert "BR-50 is not cleared for LOT-A3" in why
    assert possible == "pause, hold, stop, abort"
    assert [(each["lot"], each["state"]) for each in batches] == [("LOT-A2", "aborted"), ("LOT-A1", "complete")]


def test_analyst_reports_a_result_once(network: Network, leeds: SiteNode) -> None:
    body = {"sample": "SMP-A2", "lot": "LOT-A2", "attribute": "titre", "value": 4.2, "unit": "g/L", "method": "Protein A HPLC"}

    async def walk(guest: AsyncClient) -> Any:
        answers = [await guest.post("/api/results", json=each) for each in (body, body, {**body, "unit": "metre"}, {**body, "attribute": "colour"})]
        return [each.status_code for each in answers]

    assert walk_as(network, leeds, "ANA", walk) == [201, 403, 422, 404]


def test_facts_of_a_ledger_carry_their_stage(network: Network, leeds: SiteNode) -> None:
    async def walk(guest: AsyncClient) -> Any:
        page = (await guest.get("/api/facts?ledger=ASTER-BIO&from=0&limit=3")).json()
        end = (await guest.get(f"/api/facts?ledger=HOUSE&from={leeds.ledgers['HOUSE'].size - 1}")).json()
        return page, end, (await guest.get("/api/facts?ledger=OTHER-SPONSOR")).status_code

    page, end, other = walk_as(network, leeds, "LEA", walk)
    assert [each["stage"] for each in page["facts"]] == ["witnessed"] * 3
    assert page["next"] == "3"
    assert [each["stage"] for each in end["facts"]] == ["noted"]
    assert other == 404


def test_person_of_another_site_does_not_get_in(network: Network) -> None:
    node = site_node(network, network.books[GHENT])

    async def walk() -> int:
        guest = client(site_application(network, node))
        return (await guest.post("/api/sign-in", json={"person": "LEA", "password": "larch-otter-cedar-birch"})).status_code

    assert asyncio.run(walk()) == 401


def test_tasks_page_shows_the_question_and_needs_no_nicegui(network: Network, leeds: SiteNode) -> None:
    async def walk(guest: AsyncClient) -> Any:
        return await guest.get("/"), await guest.get("/static/isogenic.css"), await client(site_application(network, leeds)).get("/")

    page, style, stranger = walk_as(network, leeds, "LEA", walk)
    assert "Take a sample and report the viability" in page.text
    assert "50 to 100 %" in page.text
    assert style.status_code == 200
    assert (stranger.status_code, stranger.headers["location"]) == (303, "/sign-in")


def test_executed_batch_record_of_a_running_batch_says_that_it_is_not_finished(network: Network, leeds: SiteNode) -> None:
    async def walk(guest: AsyncClient) -> Any:
        return (await guest.get("/api/batches/BAT-A2/record.txt")).text, (await guest.get("/api/batches/BAT-A2/record.pdf")).content[:5]

    text, pdf = walk_as(network, leeds, "LEA", walk)
    assert "this record is not finished" in text and pdf == b"%PDF-"


def test_labels_are_issued_and_each_is_used_once(network: Network, leeds: SiteNode) -> None:
    async def walk(guest: AsyncClient) -> Any:
        path = "/api/batches/BAT-A2/labels"
        issued = await guest.post(path, json={"count": 2})
        first, second = (await guest.get(path)).json()
        applied = await guest.post(f"{path}/accounting", json={"scanned": [first], "fate": "applied"})
        again = await guest.post(f"{path}/accounting", json={"scanned": [second, first], "fate": "applied"})
        other = await guest.post(f"{path}/accounting", json={"scanned": [first.replace("LOT", "LOX")], "fate": "applied"})
        return [each.status_code for each in (issued, applied, again, other)], again.json()["why"]

    assert walk_as(network, leeds, "LEA", walk) == ([201, 201, 403, 422], "label 1 was applied before: each is used once")
    assert last(leeds).payload.reasons == ("label 1 was applied before: each is used once",)
