"""The page of what left, and the exports that it lists."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path

import httpx2

from isogenic.ids import PersonId
from isogenic.records.disclosures import Disclosure, FileDisclosed
from isogenic.sim.world import password_of
from isogenic.web.control_api import control_app
from isogenic.web.screens.disclosures import disclosures_screen
from isogenic.web.signin import AccountFolder
from small_network import SEED, START, Network

HOSTILE = '<img src=x onerror="alert(1)">'


def test_the_page_shows_what_left_newest_first_and_no_text_becomes_markup() -> None:
    lines = [
        Disclosure(START, "node LEEDS", "facts", "aster/CONTROL/LEEDS from 0 to 3", 1234, "ab" * 32),
        Disclosure(START, HOSTILE, HOSTILE, HOSTILE, 7),
    ]
    said = str(disclosures_screen(lines, [("aster/CONTROL/LEEDS", "node LEEDS", "granted", HOSTILE, None)], asked={"to": HOSTILE, "since": ""}))
    assert "<img" not in said
    assert "2 lines, 1,241 bytes" in said
    assert said.index("&lt;img") < said.index("aster/CONTROL/LEEDS from 0 to 3")
    assert "Nothing has left this node" in str(disclosures_screen([], [], asked={"to": "", "since": ""}))


def test_an_export_of_the_trail_is_listed_with_the_person_before_it_is_answered(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    app = control_app(net.control, AccountFolder(net.folder / "CONTROL" / "accounts"), screens=False)

    async def walk() -> tuple[bytes, list[dict[str, object]], list[dict[str, object]]]:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://control") as guest:
            said = await guest.post("/api/sign-in", json={"person": "QUI", "password": password_of(PersonId("QUI"), SEED)})
            guest.headers["authorization"] = f"Bearer {said.json()['token']}"
            trail = await guest.get("/api/trail.json")
            report = await guest.get("/api/disclosures", params={"to": "QUI"})
            return trail.content, report.json(), (await guest.get("/api/entitlements")).json()

    trail, report, entitlements = asyncio.run(walk())
    assert net.control.journal is not None
    (given,) = [fact.payload for fact in net.control.journal.ledger.facts() if isinstance(fact.payload, FileDisclosed)]
    assert (given.to, given.what, given.digest, given.size) == ("person QUI", "trail", sha256(trail).hexdigest(), len(trail))
    assert [(line["to"], line["what"], line["size"]) for line in report] == [("person QUI", "trail", len(trail))]
    assert {(line["party"], line["state"]) for line in entitlements if line["ledger"] == "aster/CONTROL/LEEDS"} == {
        ("node LEEDS", "granted"),
        ("sponsor ASTER-BIO", "granted"),
    }
