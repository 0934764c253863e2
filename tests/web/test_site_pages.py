"""The pages of a site: what is wrong with its node, who was locked out, the audit trail, a password that is due."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient
from network_story import LEEDS, NOW, Network
from web_setup import client, password, signed_in, site_application, site_node

from isogenic.sites.facts import DiskFilled, DiskFreed
from isogenic.sites.node import SiteNode
from isogenic.web.signin import AccountFolder, Keeping
from isogenic.web.simulated import simulated_note
from isogenic.web.site_api import site_app


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


async def _guess(guest: AsyncClient, person: str, times: int = 5) -> None:
    for _ in range(times):
        await guest.post("/api/sign-in", json={"person": person, "password": "not the password"})


def test_a_site_in_order_shows_no_alarm(network: Network, leeds: SiteNode) -> None:
    async def walk(guest: AsyncClient) -> Any:
        return (await guest.get("/api/site")).json(), (await guest.get("/")).text

    site, page = walk_as(network, leeds, "LEA", walk)
    assert (site["alarms"], site["locked"], "notice stop" in page) == ([], [], False)


def test_a_full_disk_is_told_in_plain_words_until_there_is_room(network: Network, leeds: SiteNode) -> None:
    async def walk(guest: AsyncClient) -> Any:
        leeds.note([DiskFilled(LEEDS, 1000)])
        full = (await guest.get("/")).text
        leeds.note([DiskFreed(LEEDS, 10**9)])
        return full, (await guest.get("/")).text

    full, freed = walk_as(network, leeds, "LEA", walk)
    assert "The disk is full" in full
    assert "Running batches go on; no new batch is started." in full
    assert "The disk is full" not in freed


def test_a_stepped_clock_and_a_ledger_that_waits_for_its_witness_are_told(network: Network, leeds: SiteNode) -> None:
    async def walk(guest: AsyncClient) -> Any:
        leeds.time.alarm = "the clock stepped by +3600.0 s while it ran"  # as ClockWatch says it
        leeds.returning.wait_for(leeds.ledgers["HOUSE"], why="its file was damaged")
        return (await guest.get("/api/site")).json()["alarms"], (await guest.get("/")).text

    alarms, page = walk_as(network, leeds, "LEA", walk)
    assert [each["what"] for each in alarms] == ["Nothing is written in the house record", "The clock of this node stepped"]
    assert "its file was damaged" in page
    assert "it goes on by itself once the control site has answered" in page


def test_a_locked_account_is_told_at_once_until_somebody_who_answers_has_looked(network: Network, leeds: SiteNode) -> None:
    async def walk() -> Any:
        app = site_application(network, leeds)
        lea = await signed_in(app, "LEA")
        await _guess(client(app), "ANA")
        told, api = (await lea.get("/")).text, (await lea.get("/api/site")).json()["locked"]
        proof = {"why": "she had forgotten it; asked", "person": "LEA", "password": password("LEA")}
        refused = await lea.post("/api/attempts/acknowledgement", json=proof)
        shutil.copy(network.people() / "BEN.json", network.world.home(leeds.state.site) / "accounts")  # as for whoever works at several sites
        ben = await signed_in(app, "BEN")
        dialog = (await ben.get("/")).text
        looked = await ben.post("/api/attempts/acknowledgement", json={**proof, "person": "BEN", "password": password("BEN")})
        return told, api, refused.status_code, dialog, looked.status_code, (await lea.get("/")).text

    told, api, refused, dialog, looked, after = asyncio.run(walk())
    assert "Unauthorised attempts: ANA locked" in told
    assert "Tell an administrator or quality at once." in told
    assert [(each["person"], each["failures"], each["means"]) for each in api] == [("ANA", 5, "signing in")]
    assert (refused, looked) == (403, 204)
    assert "I have looked at them" in dialog
    assert "Unauthorised attempts" not in after
    acknowledged = list(leeds.ledgers["HOUSE"].facts())[-1]
    assert (acknowledged.kind, acknowledged.actor.id, acknowledged.subject) == ("authority.attempts_acknowledged", "BEN", "LEEDS")


def test_a_lock_is_still_told_after_a_restart(network: Network, leeds: SiteNode) -> None:
    async def walk() -> None:
        await _guess(client(site_application(network, leeds)), "ANA")

    asyncio.run(walk())
    again = site_node(network, network.books[LEEDS])
    assert [each.person for _, each in again.state.locked] == ["ANA"]


def test_the_trail_of_a_site_is_searched_on_a_page(network: Network, leeds: SiteNode) -> None:
    async def walk(guest: AsyncClient) -> Any:
        batch = await guest.get("/trail", params={"batch": "BAT-A2", "field": "set-point", "changes": "true"})
        return (await guest.get("/trail")), batch, (await guest.get("/trail", params={"since": "yesterday"})).text

    every, batch, wrong = walk_as(network, leeds, "LEA", walk)
    assert every.status_code == 200
    assert "sites: node started" in every.text
    assert batch.text.count("<tr>") > 1
    assert "reviewed and signed at the control site" in batch.text
    assert "Export as CSV" in batch.text
    assert "cannot read" in wrong


def test_pages_of_a_site_send_strangers_to_the_sign_in_and_back(network: Network, leeds: SiteNode) -> None:
    async def walk() -> Any:
        guest = client(site_application(network, leeds))
        found = [await guest.get(path) for path in ("/", "/trail?batch=BAT-A2", "/password")]
        return [each.headers["location"] for each in found], (await guest.get("/sign-in?then=https://elsewhere")).text

    where, page = asyncio.run(walk())
    assert where == ["/sign-in", "/sign-in?then=%2Ftrail%3Fbatch%3DBAT-A2", "/sign-in"]
    assert "elsewhere" not in page


def test_a_password_that_is_due_is_changed_before_anything_else(network: Network, leeds: SiteNode) -> None:
    async def walk() -> Any:
        folder = AccountFolder(network.world.home(leeds.state.site) / "accounts")
        account = folder.account(leeds.state.directory.person("LEA").id)
        folder.put(replace(account, changed_at=NOW - timedelta(days=400)))
        app = site_app(leeds, folder, keeping=Keeping(password_days=90))
        guest = client(app)
        said = (await guest.post("/api/sign-in", json={"person": "LEA", "password": password("LEA")})).json()
        guest.cookies.clear()
        guest.headers["authorization"] = f"Bearer {said['token']}"
        before, page = await guest.get("/"), await guest.get("/password")
        new = {"password": password("LEA"), "new_password": "heron-lantern-quartz-meadow"}
        changed = await guest.post("/api/password", json=new)
        return said["renew"], before.headers["location"], page.text, changed.status_code, (await guest.get("/")).status_code

    renew, sent_to, page, changed, after = asyncio.run(walk())
    assert (bool(renew), sent_to, changed, after) == (True, "/password", 204, 200)
    assert "Your password has to be changed" in page


def test_the_modules_of_a_site_have_a_page(network: Network, leeds: SiteNode) -> None:
    async def walk(guest: AsyncClient) -> Any:
        return (await guest.get("/modules")).text

    page = walk_as(network, leeds, "LEA", walk)
    assert ("BR-50-VESSEL" in page, "no package BR-50-VESSEL.mtp" in page) == (True, True)


# ---- a site whose equipment is simulated ----


def test_a_simulated_site_says_so_and_leads_to_its_facility(network: Network, leeds: SiteNode) -> None:
    told = network.world.home(LEEDS) / "page.json"
    unit = next(iter(leeds.state.plant.units))

    async def walk(guest: AsyncClient) -> list[list[str]]:
        async def pages() -> list[str]:
            return [(await guest.get(path)).text for path in ("/", "/tasks", f"/units/{unit}", "/start")]

        real = await pages()
        told.write_text('{"page": "http://127.0.0.1:4711"}')
        return [real, await pages()]

    try:
        real, simulated = walk_as(network, leeds, "LEA", walk)
    finally:
        told.unlink(missing_ok=True)
    link = '<a href="http://127.0.0.1:4711/">inside its vessels</a>'
    assert [("simulated" in page, link in page) for page in real] == [(False, False)] * 4
    assert [("This facility does not exist" in page, link in page) for page in simulated] == [(True, True)] * 4


@pytest.mark.parametrize(
    "text",
    [
        '{"page": "http://evil.example:80"}',
        '{"page": "javascript:alert(1)"}',
        '{"page": "http://127.0.0.1:80/<script>"}',
        '{"page": "http://127.0.0.1@evil.example:1"}',
        '{"page": "http://127.0.0.1:port"}',
        '{"page": 7}',
        "[]",
        "no JSON",
        "[" * 1_000,
        '{"page": "http://127.0.0.1:80' + " " * 5_000 + '"}',
    ],
)
def test_an_address_of_elsewhere_is_no_link(tmp_path: Path, text: str) -> None:
    (tmp_path / "page.json").write_text(text)
    note = str(simulated_note(tmp_path))
    assert "This facility does not exist" in note and "href" not in note and "evil" not in note
