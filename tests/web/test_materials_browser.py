"""A line made ready in a real browser, one task at a time: assigned, a wrong and a right label scanned, two people's checklists, cleared."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from network_story import apart
from test_browser import PATIENCE_MS, Served, chromium  # noqa: F401

from clear_lines import DIGEST, receive, release_here, release_matrix
from isogenic.ids import PersonId
from isogenic.materials.labels import LabelKind, label_text
from isogenic.materials.receipts import ReceiptState
from isogenic.sim.world import password_of
from isogenic.web.signin import AccountFolder
from isogenic.web.site_api import site_app
from small_network import LEEDS, Network

pytestmark = pytest.mark.browser

UPRIGHT, ACROSS = {"width": 820, "height": 1180}, {"width": 1280, "height": 800}
SHOTS = os.environ.get("ISOGENIC_SHOTS", "")
BAG, WRONG = label_text(LabelKind.ASSEMBLY, "1", item="BAG"), label_text(LabelKind.ASSEMBLY, "7", item="SLEEVE")

SMALL = """[...document.querySelectorAll('main.work button, main.work a.button, label.tick')]
    .filter((each) => each.getBoundingClientRect().height < 56).length"""


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[tuple[Network, Served]]:
    net = Network(tmp_path / "net")

    async def begin() -> None:
        await net.publish()
        release_matrix(net)
        await net.carry()
        release_here(net, receive(net))
        receive(net, serials=("7",), item="SLEEVE", lot="S-1")
        shutil.copy(net.folder / "CONTROL" / "accounts" / "BEN.json", net.folder / "LEEDS" / "accounts")

    apart(begin())
    served = Served(site_app(net.nodes[LEEDS], AccountFolder(net.folder / "LEEDS" / "accounts")))
    yield net, served
    served.stop()


def shot(page: Any, name: str) -> None:
    if SHOTS:
        page.wait_for_timeout(150)
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def sign_in(browser: Any, served: Served, person: str, size: dict[str, int]) -> Any:
    page = browser.new_page(viewport=size)
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{served.url}/sign-in")
    page.fill("input[name=person]", person)
    page.fill("input[name=password]", password_of(PersonId(person), 7))
    page.click("button[type=submit]")
    page.wait_for_url(f"{served.url}/")
    return page


def tick(page: Any) -> None:
    for each in page.query_selector_all("label.tick input"):
        each.check()
    page.click("text=I have checked all of it")


def test_a_line_is_made_ready_one_task_at_a_time(floor: tuple[Network, Served], chromium: Any) -> None:  # noqa: F811
    net, served = floor
    lea = sign_in(chromium, served, "LEA", UPRIGHT)
    lea.goto(f"{served.url}/line/BR-50")
    shot(lea, "materials-assign")
    lea.fill("input[name=lot]", "LOT-0001")
    lea.fill("input[name=until]", "2026-03-20")
    lea.click("text=Begin the changeover")
    lea.wait_for_selector("text=Install: Vessel bag")
    lea.fill("input[name=scanned]", WRONG)
    lea.press("input[name=scanned]", "Enter")
    lea.wait_for_selector("text=SLEEVE does not belong in Vessel bag: expected is BAG")
    shot(lea, "materials-wrong-label")
    lea.fill("input[name=scanned]", BAG)
    lea.press("input[name=scanned]", "Enter")
    lea.wait_for_selector("text=Line clearance, checklist clearance")
    lea.wait_for_selector("text=I have checked all of it")  # the step itself: its name stands on the page before, too
    shot(lea, "materials-checklist")
    small = lea.evaluate(SMALL)
    assert (small, lea.evaluate("document.documentElement.scrollWidth <= window.innerWidth")) == (0, True)
    tick(lea)
    lea.wait_for_selector("text=Now a second person")
    ben = sign_in(chromium, served, "BEN", ACROSS)
    ben.goto(f"{served.url}/line/BR-50")
    tick(ben)
    ben.wait_for_selector("text=Every step is done for LOT-0001")
    shot(ben, "materials-cleared")
    ben.goto(f"{served.url}/stock")
    ben.fill("input[name=scanned]", label_text(LabelKind.MATERIAL, "MED-7", item="MEDIUM"))
    for name, text in (("title", "Medium"), ("supplier", "Cinder Media"), ("quantity", "100"), ("unit", "L"), ("certificate", DIGEST)):
        ben.fill(f"input[name={name}]", text)
    ben.click("text=Receive into quarantine")
    ben.wait_for_selector("td:has-text('Cinder Media')")
    shot(ben, "materials-stock")
    assert [each.lot for each in net.nodes[LEEDS].state.stock.receipts.values()] == ["A-17", "S-1", "MED-7"]


def test_the_labels_of_a_received_lot_are_a_page_for_the_printer(floor: tuple[Network, Served], chromium: Any) -> None:  # noqa: F811
    net, served = floor
    page = sign_in(chromium, served, "LEA", ACROSS)
    receipt = next(iter(net.nodes[LEEDS].state.stock.receipts))
    page.goto(f"{served.url}/stock/{receipt}/labels")
    assert page.locator(".label svg").count() == 4  # of the lot, and of its three pieces
    inside = "[...document.querySelectorAll('.label svg')].every((each) => each.firstElementChild.getBBox().width <= each.viewBox.baseVal.width)"
    assert page.evaluate(inside)
    shot(page, "materials-labels")


def test_quality_releases_a_delivery_at_the_site_by_signature(floor: tuple[Network, Served], chromium: Any) -> None:  # noqa: F811
    net, served = floor
    (waiting,) = [name for name, each in net.nodes[LEEDS].state.stock.receipts.items() if each.item == "SLEEVE"]
    lea = sign_in(chromium, served, "LEA", UPRIGHT)
    lea.goto(f"{served.url}/stock")
    lea.wait_for_selector(f"text={waiting}")
    assert lea.query_selector(f"#release-{waiting}") is None  # an operator releases nothing
    ben = sign_in(chromium, served, "BEN", UPRIGHT)
    ben.goto(f"{served.url}/stock")
    ben.click(f"button[data-open='#release-{waiting}']")
    dialog = f"#release-{waiting}"
    ben.fill(f"{dialog} input[name=why]", "certificate as ordered")
    ben.check(f"{dialog} input[name=meaning]")
    ben.fill(f"{dialog} input[name=person]", "BEN")
    ben.fill(f"{dialog} input[name=password]", password_of(PersonId("BEN"), 7))
    shot(ben, "materials-release")
    ben.click(f"{dialog} button:has-text('Sign')")
    ben.wait_for_selector(f"button[data-open='#recall-{waiting}']")
    shot(ben, "materials-released")
    state = net.nodes[LEEDS].state.stock.state(waiting, now=net.clock.at)
    assert state is ReceiptState.RELEASED
