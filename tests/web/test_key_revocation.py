"""A site's key is revoked over the API, by signature, and the site's page says what follows."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from network_story import LEEDS, Network, reopen
from web_setup import app_of, signed_in, signs

from isogenic.authority.people import Person
from isogenic.ids import PersonId
from isogenic.sites.home import SiteHome
from isogenic.web.revoking import revocation_line
from isogenic.web.screens.site import key_panel

HOSTILE = '"><img src=x onerror=alert(1)>'


def person(network: Network, who: str) -> Person:
    directory = network.node.state.directory
    assert directory is not None
    return directory.person(PersonId(who))


def test_a_stolen_key_is_revoked_with_its_reason_and_the_answer_says_what_follows(standing: Network, tmp_path: Path) -> None:
    network = reopen(standing, tmp_path / "network")
    new = str(SiteHome.open(network.world.home(LEEDS)).keyring.prepare())

    async def walk() -> list[Any]:
        app = app_of(network)
        ada, ben = await signed_in(app, "ADA"), await signed_in(app, "BEN")
        asked = {"reason": HOSTILE, **signs("BEN", "revoked")}
        path = "/api/sites/LEEDS/key-revocation"
        return [
            await ada.post(path, json={"reason": "because", **signs("ADA", "revoked")}),
            await ben.post(path, json={**asked, "password": "wrong"}),
            await ben.post("/api/sites/NOWHERE/key-revocation", json=asked),
            await ben.post(path, json=asked),
            await ben.post(path, json={"key": new, **asked}),
        ]

    answers = asyncio.run(walk())
    assert [answer.status_code for answer in answers] == [403, 401, 404, 201, 201]
    held = {origin: copy.size for origin, (site, copy) in network.node.copies.items() if site == LEEDS}
    first, second = answers[3].json(), answers[4].json()
    assert (first["counts_for"], first["key"], first["reason"]) == (held, "", HOSTILE)
    assert "isogenic renew-key" in first["follows"]
    assert (second["key"], second["follows"]) == (
        new,
        "The site goes on with the new key once this has reached it; what it noted meanwhile is signed anew and sent.",
    )
    revoked = network.node.state.keys.revoked
    assert [each.signature.person for each in revoked] == ["BEN", "BEN"]
    assert [fact.kind for fact in network.node.ledgers["HOUSE"].facts()].count("authority.key_revoked") == 2
    directory = network.node.state.directory
    assert directory is not None
    assert directory.site(LEEDS).keys.ledger == new

    lines = [revocation_line(each) for each in revoked]
    asks = {"person": person(network, "BEN"), "role": "quality", "now": "2026-03-02T06:00:00.000Z", "first": True}
    page = str(key_panel("LEEDS", new, lines[:1], may=True, **asks))
    assert "<img" not in page
    assert "isogenic renew-key there" in page
    assert 'data-post="/api/sites/LEEDS/key-revocation"' in page
    assert "data-post" not in str(key_panel("LEEDS", new, lines, may=False, **asks))
