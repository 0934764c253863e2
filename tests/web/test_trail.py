"""The audit trail over HTTP: every change with old, new and why; search by any of these; export; review."""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import json
from collections.abc import Awaitable, Callable
from hashlib import sha256
from itertools import pairwise
from typing import Any

import pytest
from httpx2 import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from network_story import LEEDS, Network
from web_setup import app_of, password, signed_in, signs, site_application, site_node

from isogenic.authority.signatures import check_every_signature
from isogenic.checks import stops
from isogenic.network import decisions
from isogenic.quality.release import check_trail_was_reviewed
from isogenic.quality.signed import check_signed_facts
from isogenic.quality.trail import EXPORT_MAX
from isogenic.sim.world import document


def walked(network: Network, person: str, walk: Callable[[AsyncClient], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        return await walk(await signed_in(app_of(network), person))

    return asyncio.run(run())


def found(network: Network, **wanted: Any) -> list[dict[str, Any]]:
    async def walk(guest: AsyncClient) -> Any:
        answer = await guest.get("/api/trail", params={"limit": 500, **wanted})
        assert answer.status_code == 200, answer.text
        return answer.json()["lines"]

    return walked(network, "INA", walk)


def test_a_setpoint_says_what_it_was_before(standing: Network) -> None:
    lines = found(standing, batch="BAT-A1", field="set-point temperature")
    changes = [(each["old"], each["new"]) for each in reversed(lines)]
    assert len(changes) >= 1
    assert changes[0][0] == ""
    assert all(one[1] == other[0] for one, other in pairwise(changes))
    assert {each["what"] for each in lines} == {"batch.setpoints_commanded"}


def test_a_line_says_who_what_old_new_when_where_and_why(network: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        body = {"disposition": "accept", "justification": "Pump head exchanged.", **signs("BEN", "disposed")}
        await guest.post("/api/deviations/DEV-B1-1/disposition", json=body)
        return (await guest.get("/api/trail", params={"thing": "DEV-B1-1", "what": "quality.deviation_disposed"})).json()["lines"]

    line = walked(network, "BEN", walk)[0]
    told = {name: line[name] for name in ("who", "role", "what", "thing", "field", "old", "new", "why", "stage")}
    assert told == {
        "who": "BEN",
        "role": "quality",
        "what": "quality.deviation_disposed",
        "thing": "DEV-B1-1",
        "field": "state",
        "old": "open",
        "new": "accept",
        "why": "Pump head exchanged.",
        "stage": "noted",
    }
    assert (line["ledger"], line["at"][-1]) == ("aster/CONTROL/GHENT", "Z")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("who", "LEA"),
        ("role", "operator"),
        ("what", "batch.state_changed"),
        ("what", "batch.*"),
        ("thing", "LOT-A1"),
        ("field", "state"),
        ("new", "running"),
        ("old", "none"),
        ("why", "a"),
        ("since", "2026-11-18T00:00:00Z"),
        ("until", "2026-11-18T00:00:00Z"),
        ("ledger", "aster/LEEDS/ASTER-BIO"),
        ("batch", "BAT-A1"),
        ("text", "bat-a1"),
        ("changes", "true"),
    ],
)
def test_the_trail_is_searched_by_each_of_its_columns(standing: Network, name: str, value: str) -> None:
    lines = found(standing, **{name: value})
    everything = found(standing)
    fits = {
        "who": lambda each: each["who"] == value,
        "role": lambda each: each["role"] == value,
        "what": lambda each: each["what"].startswith(value.rstrip("*")),
        "thing": lambda each: True,
        "field": lambda each: value in each["field"],
        "new": lambda each: value in each["new"].lower(),
        "old": lambda each: value in each["old"].lower(),
        "why": lambda each: value in each["why"].lower(),
        "since": lambda each: each["at"] >= value,
        "until": lambda each: each["at"] < value,
        "ledger": lambda each: each["ledger"] == value,
        "batch": lambda each: each["ledger"].endswith("ASTER-BIO") or "CONTROL" in each["ledger"],
        "text": lambda each: True,
        "changes": lambda each: each["field"] != "",
    }[name]
    assert 0 < len(lines) <= 500
    assert [each for each in lines if not fits(each)] == []
    if name not in ("thing", "batch", "text") and len(everything) < 500:
        assert len(lines) == sum(fits(each) for each in everything)


def test_filters_together_must_all_fit_and_wild_cards_are_taken_at_their_word(standing: Network) -> None:
    assert found(standing, who="LEA", what="quality.lot_released") == []
    assert [each for each in found(standing, new="%") if "%" not in each["new"]] == []
    assert found(standing, field="_____________________________________") == []


def test_pages_follow_one_another_without_a_gap_or_a_repeat(standing: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        whole = (await guest.get("/api/trail", params={"limit": 500, "ledger": "aster/LEEDS/ASTER-BIO"})).json()["lines"]
        pages, after = [], ""
        while True:
            page = (await guest.get("/api/trail", params={"limit": 7, "ledger": "aster/LEEDS/ASTER-BIO", "after": after})).json()
            pages += page["lines"]
            after = page["next"]
            if after is None or len(pages) >= len(whole):
                return whole, pages

    whole, pages = walked(standing, "INA", walk)
    assert pages == whole
    assert len({(each["ledger"], each["position"], each["part"]) for each in whole}) == len(whole) > 50


def test_a_new_version_of_a_specification_shows_the_lines_that_differ(network: Network) -> None:
    text = next(iter((network.world.control / "documents").glob("MAB-A.specification.yaml"))).read_text()
    decisions.publish_specification(network.node, text.replace("version: 1", "version: 2", 1).replace("low: 3.5", "low: 3.6", 1))
    lines = {
        each["field"]: (each["old"], each["new"]) for each in found(network, what="quality.specification_published", ledger="aster/CONTROL/HOUSE")[:2]
    }
    assert lines["specification version"] == ("1", "2")
    assert lines["specification"] == ("version: 1 / low: 3.5", "version: 2 / low: 3.6")


def test_a_new_directory_shows_only_what_changed_and_a_password_never(network: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        why = {"why": "on leave", "person": "OSK", "password": password("OSK")}
        await guest.post("/api/people/BEN/disabling", json=why)
        await guest.post("/api/password", json={"password": password("OSK"), "new_password": "nine-otters-on-a-barge"})
        lines = (await guest.get("/api/trail", params={"ledger": "aster/CONTROL/HOUSE", "limit": 500})).json()["lines"]
        return lines, (await guest.get("/api/trail", params={"text": "otters"})).json()["lines"]

    lines, secret = walked(network, "OSK", walk)
    told = [(each["thing"], each["field"], each["old"], each["new"], each["why"]) for each in lines if each["what"].startswith("authority.p")]
    assert told == [
        ("OSK", "password at CONTROL", "not recorded", "renewed", "renewed by the person"),
        ("BEN", "account", "let in", "shut out", "on leave"),
    ]
    assert secret == []
    before = len(found(network, what="authority.directory_published", thing="ADA", ledger="aster/CONTROL/HOUSE"))
    directory = network.node.state.published
    decisions.publish_directory(network.node, type(directory)(directory.control, directory.sites, directory.people, directory.version + 1))
    assert len(found(network, what="authority.directory_published", thing="ADA", ledger="aster/CONTROL/HOUSE")) == before


def test_an_export_carries_the_digest_of_its_bytes_and_no_formula(network: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        body = {"disposition": "accept", "justification": "=cmd|' /C calc'!A0", **signs("BEN", "disposed")}
        await guest.post("/api/deviations/DEV-B1-1/disposition", json=body)
        params = {"thing": "DEV-B1-1"}
        return [await guest.get(f"/api/trail.{form}", params=params) for form in ("csv", "json", "xml")]

    table, tree, other = walked(network, "BEN", walk)
    for each in (table, tree):
        assert each.headers["repr-digest"] == f"sha-256=:{base64.b64encode(sha256(each.content).digest()).decode()}:"
        assert each.headers["x-whole"] == "yes"
    rows = list(csv.DictReader(io.StringIO(table.text)))
    said = json.loads(tree.content)
    assert (said["asked"], said["whole"], len(said["lines"])) == ({"thing": "DEV-B1-1"}, True, len(rows))
    assert rows[0]["why"] == "'=cmd|' /C calc'!A0"
    assert said["lines"][0]["why"] == "=cmd|' /C calc'!A0"
    assert (other.status_code, EXPORT_MAX) == (404, 50_000)


@given(st.sampled_from(["who", "what", "thing", "field", "old", "new", "why", "text", "ledger", "batch", "after"]), st.text(max_size=60))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_looked_for_gives_lines_or_a_refusal(standing: Network, name: str, value: str) -> None:
    global _GUEST

    async def walk() -> int:
        if _GUEST is None:
            _remember(await signed_in(app_of(standing), "INA"))
        return (await _GUEST.get("/api/trail", params={name: value})).status_code

    assert asyncio.run(walk()) in (200, 422)


_GUEST: Any = None


def _remember(guest: Any) -> None:
    global _GUEST
    _GUEST = guest


# ---- the review of the trail is itself on record ----


async def review(guest: AsyncClient, person: str, batch: str = "BAT-A1", **changes: Any) -> Any:
    shown = (await guest.get(f"/api/batches/{batch}/trail/review")).json()
    body = {"digest": shown["digest"], "remark": "Nothing remarkable.", **signs(person, "reviewed"), **changes}
    return await guest.post(f"/api/batches/{batch}/trail/review", json=body)


def test_a_review_is_a_signed_fact_of_what_was_reviewed(network: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        exported = await guest.get("/api/trail.json", params={"batch": "BAT-A1", "ledger": "aster/LEEDS/ASTER-BIO"})
        before = (await guest.get("/api/batches/BAT-A1/trail/review")).json()
        signed = await review(guest, "BEN")
        after = (await guest.get("/api/batches/BAT-A1/trail/review")).json()
        trail = (await guest.get("/api/trail", params={"batch": "BAT-A1", "what": "quality.trail_reviewed"})).json()["lines"]
        return exported, before, signed, after, trail

    exported, before, signed, after, trail = walked(network, "BEN", walk)
    assert (signed.status_code, signed.json()["printed_name"], signed.json()["meaning"]) == (201, "Benedict Okafor", "reviewed"), signed.text
    facts = list(network.node.ledgers["LEEDS"].facts())
    fact = facts[-1].payload
    assert (fact.ledger, fact.start, fact.stop, fact.root, fact.lines) == (
        "aster/LEEDS/ASTER-BIO",
        0,
        before["stop"],
        before["root"],
        before["lines"],
    )
    lines = [each for each in json.loads(exported.content)["lines"] if each["position"] < before["stop"]]
    assert fact.lines == len(lines) > 20
    assert (before["reviews"], [each["printed_name"] for each in after["reviews"]]) == ([], ["Benedict Okafor"])
    assert (trail[0]["who"], trail[0]["new"]) == ("BEN", str(fact.stop))
    assert stops([*check_every_signature(facts), *check_signed_facts(facts)]) == []


def test_a_reviewed_trail_is_told_on_the_release_page(network: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        pages = [(await guest.get("/api/lots/LOT-A1/release")).json()]
        await review(guest, "QUI")
        pages.append((await guest.get("/api/lots/LOT-A1/release")).json())
        return [
            next((note["severity"], note["text"]) for note in page["notes"] if note["check"] == check_trail_was_reviewed.__name__) for page in pages
        ]

    before, after = walked(network, "QUI", walk)
    assert before == ("warn", "nobody has reviewed the audit trail of the batch")
    assert after[0] == "good"
    assert after[1].startswith("the audit trail was reviewed by Quillon Marsh")


def test_a_specification_that_requires_the_review_holds_the_release_until_then(network: Network) -> None:
    text = next(iter((network.world.control / "documents").glob("MAB-A.specification.yaml"))).read_text()
    required = text.replace("version: 1", "version: 2\ntrail_review: required", 1)
    decisions.publish_specification(network.node, required)

    async def walk(guest: AsyncClient) -> Any:
        before = (await guest.get("/api/lots/LOT-A1/release")).json()["allowed"]
        await review(guest, "QUI")
        return before, (await guest.get("/api/lots/LOT-A1/release")).json()["allowed"]

    assert walked(network, "QUI", walk) == (False, True)


def test_a_review_of_lines_that_were_not_shown_or_by_somebody_who_may_not_is_refused(network: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        other = await review(guest, "BEN", digest="0" * 64)
        engineer = await signed_in(app_of(network), "ADA")
        return other, await review(engineer, "ADA"), await guest.get("/api/batches/BAT-NONE/trail/review")

    other, engineer, nothing = walked(network, "BEN", walk)
    assert (other.status_code, other.json()["why"]) == (403, "the trail has changed since it was shown")
    assert (engineer.status_code, nothing.status_code) == (403, 404)
    assert "quality.trail_reviewed" not in [fact.kind for fact in network.node.ledgers["LEEDS"].facts()]


def test_a_site_shows_the_trail_of_its_own_ledgers(network: Network) -> None:
    async def walk() -> Any:
        node = site_node(network, network.books[LEEDS])
        while await node.courier.download_once(wait=0):
            pass
        guest = await signed_in(site_application(network, node, screens=False), "LEA")
        answer = await guest.get("/api/trail", params={"limit": 500})
        assert answer.status_code == 200, answer.text
        whole = answer.json()["lines"]
        more = (await guest.get("/api/trail", params={"batch": "BAT-A1", "field": "state"})).json()["lines"]
        return whole, more

    whole, states = asyncio.run(walk())
    assert {each["ledger"].split("/")[1] for each in whole} == {"LEEDS"}
    assert [(each["old"], each["new"]) for each in states if each["thing"] == "BAT-A1"][-1] == ("not begun", "running")
    assert {each["stage"] for each in whole} <= {"noted", "sent", "witnessed"}


def test_documents_of_the_demonstration_leave_the_review_to_the_reader() -> None:
    assert "trail_review" not in document("mab-a.specification.yaml")
