"""Materials at the control site in a real browser: a delivery released by signature, a changeover matrix signed by two and published."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import network_story
import pytest
from network_story import LEEDS, NOW, Network
from test_browser import Served, _page, chromium  # noqa: F401
from web_setup import app_of, password

from isogenic.ids import PersonId, ReceiptId, SponsorId
from isogenic.materials.receipts import MaterialReceived, ReceiptState
from isogenic.sim.changeovers import CERTIFICATE, CHANGEOVER
from isogenic.units import Quantity

pytestmark = pytest.mark.browser

RECEIPT = ReceiptId("RCV-0417")
MEDIUM = MaterialReceived(
    RECEIPT,
    SponsorId("ASTER-BIO"),
    LEEDS,
    "MED-CHO-1",
    "<b>Medium</b>",
    "Birch Media",
    "LE-MED-0417",
    Quantity(500.0, "L"),
    NOW + timedelta(days=300),
    CERTIFICATE,
    PersonId("LEA"),
)


@pytest.fixture
def floor(standing: Network, tmp_path: Path) -> Iterator[tuple[Network, str]]:
    network = network_story.reopen(standing, tmp_path / "network")
    network.books[LEEDS].note(NOW, MEDIUM, by="LEA")
    network.carry()
    served = Served(app_of(network, screens=True))
    network.loop = served.loop
    yield network, served.url
    network.node.desk.close()
    served.stop()


def sign(page: Any, dialog: str, person: str) -> None:
    page.check(f"{dialog} input[name=meaning]")
    if page.query_selector(f"{dialog} input[name=person]"):
        page.fill(f"{dialog} input[name=person]", person)
    page.fill(f"{dialog} input[name=password]", password(person))
    page.click(f"{dialog} button:has-text('Sign')")


def at_materials(browser: Any, url: str, person: str) -> Any:
    page = _page(browser, url, person)
    page.goto(url + "/materials")
    page.wait_for_selector("main h1:has-text('Materials')")
    return page


def test_a_delivery_is_released_and_a_matrix_is_signed_by_two_and_published(floor: tuple[Network, str], chromium: Any) -> None:  # noqa: F811
    network, url = floor
    ben = at_materials(chromium, url, "BEN")
    assert "<b>Medium</b>" in ben.text_content("main")  # a text, not markup
    ben.click(f"button[data-open='#release-{RECEIPT}']")
    ben.fill(f"#release-{RECEIPT} input[name=why]", "certificate as ordered")
    if folder := os.environ.get("ISOGENIC_SHOTS"):
        ben.screenshot(path=f"{folder}/control-materials-sign.png")
    sign(ben, f"#release-{RECEIPT}", "BEN")
    ben.wait_for_selector(f"button[data-open='#recall-{RECEIPT}']")  # what can be decided on a released lot
    assert network.node.state.stocks.site(LEEDS).state(RECEIPT, now=NOW) is ReceiptState.RELEASED
    ada = at_materials(chromium, url, "ADA")
    assert ada.query_selector(f"button[data-open='#recall-{RECEIPT}']") is None  # an engineer does not decide on materials
    ada.click("button[data-open='#matrix']")
    ada.fill("#matrix textarea", CHANGEOVER)
    ada.click("#matrix button:has-text('Put forward')")
    ada.click("button[data-open='#author-ASTER-CHANGEOVER-1']")
    sign(ada, "#author-ASTER-CHANGEOVER-1", "ADA")
    ada.wait_for_selector("tr:has-text('ASTER-CHANGEOVER'):has-text('Ada Lindqvist, authored')")
    ben.reload()
    ben.click("button[data-open='#approver-ASTER-CHANGEOVER-1']")
    sign(ben, "#approver-ASTER-CHANGEOVER-1", "BEN")
    ben.click("button:has-text('Publish')")
    ben.wait_for_selector("tr:has-text('ASTER-CHANGEOVER') >> text=/^in force$/")  # the mark
    if folder := os.environ.get("ISOGENIC_SHOTS"):
        ben.screenshot(path=f"{folder}/control-materials.png", full_page=True)
    published = network.node.state.stocks.published
    assert published is not None
    assert published.text == CHANGEOVER
    assert ben.complaints == []
