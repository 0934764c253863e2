"""The screens in a real browser: people sign in, look, decide by signature, and see the network move."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import network_story
import pytest
import uvicorn
from network_story import GHENT, LEEDS, NOW, SEED, Network
from web_setup import app_of, password, site_application, site_node

from isogenic.authority.signatures import check_every_signature
from isogenic.checks import stops
from isogenic.quality.deviations import Severity
from isogenic.sim.authorising import authorise
from isogenic.sim.world import person_signer
from isogenic.sites.facts import DiskFilled

pytestmark = pytest.mark.browser

CHROMIUM = "/usr/bin/chromium"
ARGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
PATIENCE_MS = 20_000  # the machine may be busy; nothing here waits that long when it is not
DESK, TABLET = {"width": 1280, "height": 860}, {"width": 900, "height": 1100}
SCREENS = {
    "/": "Network",
    "/sites/PORTO": "Porto",
    "/batches": "Batches",
    "/batches/BAT-B2": "BAT-B2",
    "/batches/BAT-A1": "BAT-A1",
    "/review": "Review",
    "/deviations/DEV-B1-2": "DEV-B1-2",
    "/lots/LOT-B1": "LOT-B1",
    "/recipes": "Recipes",
    "/recipes/MAB-FB/1": "MAB-FB version 1",
    "/records": "Records",
    "/trail": "Audit trail",
    "/disclosures": "Disclosures",
    "/trail?batch=BAT-A1": "Audit trail",
    "/people": "People",
    "/authority": "Authority",
    "/materials": "Materials",
}


def _chromium() -> str:
    return shutil.which("chromium") or (CHROMIUM if Path(CHROMIUM).exists() else "")


class Served:
    """An application on a free port of this machine, in a thread of its own."""

    def __init__(self, app: Any, *, port: int = 0) -> None:
        self.server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1))
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.02)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def _serve(self) -> None:
        self.loop.run_until_complete(self.server.serve())
        self.loop.run_until_complete(self._end_what_is_left())

    async def _end_what_is_left(self) -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=10)
        self.loop.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if not _chromium():
        pytest.skip("NO CHROMIUM ON THIS MACHINE: the screens were NOT tried in a browser (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=_chromium(), args=ARGS.split())
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shown(standing: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Network, str]]:
    network = network_story.reopen(standing, tmp_path_factory.mktemp("shown") / "network")
    app = app_of(network, screens=True)
    served = Served(app)
    network.loop, network.streams = served.loop, app.state.streams
    network_story.follow_live(network)
    yield network, served.url
    network.node.desk.close()
    served.stop()


def _page(chromium: Any, url: str, person: str, viewport: dict[str, int] = DESK) -> Any:
    page = chromium.new_context(viewport=viewport).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on(
        "request",
        lambda request: None if request.url.startswith((url, "data:", "blob:")) else page.complaints.append(f"left the machine: {request.url}"),
    )
    page.goto(url)
    page.fill("input[name=person]", person)
    page.fill("input[name=password]", password(person))
    page.click("button[type=submit]")
    page.wait_for_selector("main h1")
    return page


@pytest.mark.parametrize("viewport", [DESK, TABLET], ids=["desk", "tablet"])
def test_every_screen_opens_and_fits(chromium: Any, shown: tuple[Network, str], tmp_path: Path, viewport: dict[str, int]) -> None:
    page = _page(chromium, shown[1], "INA", viewport)
    found = {}
    for path, title in SCREENS.items():
        page.goto(shown[1] + path)
        page.wait_for_selector(f"main h1:has-text('{title}')")
        if path.startswith(("/batches/", "/deviations/")):
            page.wait_for_function("Number(document.querySelector('iso-trends')?.dataset.drawn) > 50")
        found[path] = (
            page.text_content("main h1").strip(),
            page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"),
        )
        page.screenshot(path=tmp_path / f"{title}{path.partition('=')[2]}.png", full_page=True)
    assert found == {path: (title, 0) for path, title in SCREENS.items()}
    assert page.complaints == []


def test_sign_in_with_a_wrong_password_says_so_and_stays(chromium: Any, shown: tuple[Network, str]) -> None:
    page = chromium.new_page()
    page.goto(shown[1] + "/review")
    page.fill("input[name=person]", "BEN")
    page.fill("input[name=password]", "not the password")
    page.click("button[type=submit]")
    page.wait_for_selector(".refusal.shown")
    assert "the person or the password is wrong" in page.text_content(".refusal")
    page.fill("input[name=password]", password("BEN"))
    page.click("button[type=submit]")
    page.wait_for_selector("main h1:has-text('Review')")  # where they wanted to go


def test_network_screen_follows_the_network(chromium: Any, shown: tuple[Network, str]) -> None:
    network, url = shown
    page = _page(chromium, url, "INA")
    assert page.text_content("tr:has-text('PORTO')").count("silent") == 1
    book = network.books[LEEDS]
    control = network_story.control_of(network, book, "A2")
    before = page.text_content("nav a:has-text('Review')")
    book.note(NOW, network_story.deviation("A2-7", control, LEEDS, Severity.MINOR, NOW))
    network.carry()
    page.wait_for_selector("tr:has-text('LEEDS'):has-text('1 open')")
    page.wait_for_function(
        "was => [...document.querySelectorAll('nav a')].some((each) => each.textContent.includes('Review') && each.textContent !== was)", arg=before
    )  # told by a stream of its own
    assert page.complaints == []


def test_trends_take_new_points_as_they_come(chromium: Any, shown: tuple[Network, str]) -> None:
    network, url = shown
    page = _page(chromium, url, "INA")
    page.goto(url + "/batches/BAT-B2")
    page.wait_for_function("Number(document.querySelector('iso-trends')?.dataset.drawn) > 50")
    drawn = int(page.get_attribute("iso-trends", "data-drawn"))
    values = {"maturity": 190.0, "temperature": 39.4, "feed_pressure": 0.61, "t2": 0.5, "spe": 3.1}
    for minute in range(4):
        network.heartbeat(GHENT, NOW + timedelta(minutes=minute + 1), {"BR-200": {**values, "maturity": 190.0 + minute / 60}})
    page.wait_for_function(f"Number(document.querySelector('iso-trends').dataset.drawn) >= {drawn + 8}")
    assert "3.10 × limit, over" in page.text_content(".gauge.over")
    assert network.streams.open >= 1
    assert "39.4" in page.text_content(".trend.out:has-text('Temperature') .value")


def test_a_stream_ends_when_its_page_is_left(chromium: Any, shown: tuple[Network, str]) -> None:
    network, url = shown
    page = _page(chromium, url, "INA")
    before = network.streams.open
    page.goto(url + "/batches/BAT-A2")
    page.wait_for_function("Number(document.querySelector('iso-trends')?.dataset.drawn) > 50")
    opened = network.streams.open
    page.goto(url + "/review")
    page.wait_for_selector("main h1:has-text('Review')")
    for _ in range(100):
        if network.streams.open <= before:
            break
        page.wait_for_timeout(50)
    assert (opened > before, network.streams.open <= before) == (True, True)


def test_deviation_is_disposed_of_by_signature(chromium: Any, shown: tuple[Network, str], tmp_path: Path) -> None:
    network, url = shown
    page = _page(chromium, url, "BEN")
    page.goto(url + "/review")
    page.click("tr:has-text('DEV-B1-1') a.plain")
    page.wait_for_selector("h1:has-text('DEV-B1-1')")
    page.check("input[value=accept]")
    page.fill("textarea[name=justification]", "The pump head was exchanged; the product is unaffected.")
    page.click("text=Sign the disposition")
    assert "Benedict Okafor" in page.text_content("dialog[open] .who")
    page.check("dialog[open] input[name=meaning]")
    page.fill("dialog[open] input[name=person]", "BEN")
    page.fill("dialog[open] input[type=password]", "not the password")
    page.click("dialog[open] button[type=submit]")
    page.wait_for_selector("dialog[open] .refusal.shown")
    page.fill("dialog[open] input[type=password]", password("BEN"))
    page.screenshot(path=tmp_path / "disposition.png")
    page.click("dialog[open] button[type=submit]")
    page.wait_for_selector(".signature:has-text('Benedict Okafor')")
    disposed = list(network.node.ledgers["GHENT"].facts())[-1]
    assert (disposed.kind, disposed.actor.id, str(disposed.payload.disposition)) == ("quality.deviation_disposed", "BEN", "accept")


def test_lot_is_rejected_by_signature_with_id_and_password(chromium: Any, shown: tuple[Network, str], tmp_path: Path) -> None:
    network, url = shown
    page = _page(chromium, url, "QUI")
    page.goto(url + "/lots/LOT-C1")
    page.wait_for_selector("text=LOT-C1 cannot be released")
    page.click("button:has-text('Reject')")
    dialog = page.text_content("dialog[open]")
    for words in ("Quillon Marsh", "qualified person", "this lot is not to be used", "UTC"):  # 21 CFR 11.50(a)
        assert words in dialog
    page.fill("dialog[open] textarea", "Titre below its limit.")
    page.fill("dialog[open] input[name=person]", "QUI")
    page.fill("dialog[open] input[type=password]", password("QUI"))
    page.click("dialog[open] button[type=submit]")
    assert page.evaluate("document.querySelector('dialog[open] input[name=meaning]').validity.valueMissing")  # the meaning is asked for
    page.check("dialog[open] input[name=meaning][value=rejected]")
    page.screenshot(path=tmp_path / "reject.png")
    page.click("dialog[open] button[type=submit]")
    page.wait_for_selector(".signature:has-text('Quillon Marsh')")
    page.screenshot(path=tmp_path / "rejected.png", full_page=True)
    assert str(network.node.state.lot("LOT-C1").lot_state) == "rejected"
    assert network.node.state.decisions["LOT-C1"].signature.digest in page.text_content("main")


def test_a_passkey_is_enrolled_signs_in_releases_a_lot_and_a_tampered_record_is_refused(
    chromium: Any, shown: tuple[Network, str], tmp_path: Path
) -> None:
    network = shown[0]
    url = shown[1].replace("127.0.0.1", "localhost")  # passkeys belong to names, not to addresses
    page = _page(chromium, url, "QUI")
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    device = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True}
    authenticator = devices.send("WebAuthn.addVirtualAuthenticator", {"options": {**device, "automaticPresenceSimulation": True}})
    page.goto(url + "/people")
    page.fill("form.enrol input[name=title]", "Laptop of Quillon Marsh")
    page.fill("form.enrol input[name=person]", "QUI")
    page.fill("form.enrol input[name=password]", password("QUI"))
    page.click("text=Enrol a passkey")
    page.wait_for_selector("td:has-text('Laptop of Quillon Marsh')")
    page.screenshot(path=tmp_path / "people.png", full_page=True)
    page.click("text=Sign out")
    page.wait_for_selector("input[name=password]")
    page.click("text=Sign in with a passkey")
    page.wait_for_selector("main h1:has-text('Network')")
    page.goto(url + "/lots/LOT-A1")
    page.wait_for_selector("text=LOT-A1 may be released")
    assert page.locator("tr:has-text('in order')").count() == 19
    assert page.locator("tr:has-text('to look at')").count() == 1  # nobody has reviewed the trail: advised, not required
    page.click("button:has-text('Release')")
    dialog = page.text_content("dialog[open]")
    for words in ("Quillon Marsh", "qualified person", "as qualified person I certify", "UTC"):  # 21 CFR 11.50(a)
        assert words in dialog
    page.check("dialog[open] input[name=meaning]")
    page.screenshot(path=tmp_path / "release-by-passkey.png")
    # An authenticator that does not verify the person signs nothing.
    verified = {"authenticatorId": authenticator["authenticatorId"]}
    devices.send("WebAuthn.setUserVerified", {**verified, "isUserVerified": False})
    page.click("dialog[open] >> text=Sign with a passkey")
    page.wait_for_selector("dialog[open] .refusal.shown:has-text('the passkey did not answer')")
    devices.send("WebAuthn.setUserVerified", {**verified, "isUserVerified": True})
    page.click("dialog[open] >> text=Sign with a passkey")
    page.wait_for_selector(".signature:has-text('passkey, person verified by the authenticator')")
    page.screenshot(path=tmp_path / "released.png", full_page=True)
    with page.expect_download() as download:
        page.click("text=Download the dossier")
    assert Path(download.value.path()).read_bytes()[:2] == b"PK"
    assert page.complaints == []
    facts = list(network.node.ledgers["LEEDS"].facts())
    released = facts[-1].payload
    assert (facts[-1].kind, released.signature.method, facts[-1].actor.method) == ("quality.lot_released", "passkey", "passkey")
    assert stops(check_every_signature(facts)) == []
    for tampered in (
        replace(released.signature, at=released.signature.at + timedelta(seconds=1)),
        replace(released.signature, digest="0" * 64),
        replace(released.signature, evidence=replace(released.signature.evidence, client_data="e30=")),
    ):
        changed = [*facts[:-1], replace(facts[-1], payload=replace(released, signature=tampered))]
        assert stops(check_every_signature(changed)) != []


def test_a_trail_is_searched_and_reviewed_by_signature(chromium: Any, shown: tuple[Network, str], tmp_path: Path) -> None:
    network, url = shown
    page = _page(chromium, url, "BEN")
    page.goto(url + "/trail")
    page.fill("input[name=batch]", "BAT-C1")
    page.fill("input[name=field]", "set-point")
    page.click("button:has-text('Search')")
    page.wait_for_url("**/trail?*batch=BAT-C1*")
    assert "batch: setpoints commanded" in page.text_content("table.trail tbody tr")
    page.goto(url + "/trail?batch=BAT-C1")
    page.click("text=Sign the review …")
    page.fill("dialog[open] textarea", "One set-point was given again after the hold.")
    page.check("dialog[open] input[name=meaning]")
    page.fill("dialog[open] input[name=person]", "BEN")
    page.fill("dialog[open] input[type=password]", password("BEN"))
    page.screenshot(path=tmp_path / "review.png")
    page.click("dialog[open] button[type=submit]")
    page.wait_for_selector(".signature:has-text('Reviewed facts 0 to')")
    page.screenshot(path=tmp_path / "reviewed.png", full_page=True)
    with page.expect_download() as download:
        page.click("text=Export as CSV")
    assert Path(download.value.path()).read_text().startswith("at,clock,who,role,what,thing,field,old,new,why,ledger,position,part")
    reviewed = list(network.node.ledgers["PORTO"].facts())[-1]
    assert (reviewed.kind, reviewed.actor.id) == ("quality.trail_reviewed", "BEN")
    assert page.complaints == []


def test_release_of_a_lot_with_an_open_deviation_cannot_be_signed(chromium: Any, shown: tuple[Network, str]) -> None:
    page = _page(chromium, shown[1], "QUI")
    page.goto(shown[1] + "/lots/LOT-B1")
    page.wait_for_selector("text=LOT-B1 cannot be released")
    assert page.is_disabled("button:has-text('Release')")
    assert page.locator("dialog#sign").count() == 0


def test_records_are_searched_and_opened(chromium: Any, shown: tuple[Network, str]) -> None:
    page = _page(chromium, shown[1], "INA")
    page.goto(shown[1] + "/records")
    page.fill("input[name=text]", "SMP-B1")
    page.click("button:has-text('Search')")
    page.wait_for_url("**/records?text=SMP-B1*")
    page.wait_for_selector("details.fact")
    assert page.locator("details.fact").count() == 7
    page.click("details.fact >> nth=0")
    assert page.is_visible("details[open] .body")
    assert page.text_content("details.fact >> nth=0 >> .stage").strip() == "witnessed"


def test_who_signs_out_sees_nothing_any_more(chromium: Any, shown: tuple[Network, str]) -> None:
    page = _page(chromium, shown[1], "INA")
    page.click("text=Sign out")
    page.wait_for_selector("input[name=password]")
    page.goto(shown[1] + "/review")
    page.wait_for_selector("input[name=password]")
    assert "/sign-in" in page.url


def test_licences_and_competences_are_decided_by_signature(chromium: Any, shown: tuple[Network, str], tmp_path: Path) -> None:
    network, url = shown

    async def authorised() -> None:
        authorise(network.node, lambda person: person_signer(SEED, network.world.network, person), commitments=True)

    network.run(authorised())
    page = _page(chromium, url, "QUI")
    page.goto(url + "/authority")
    row = "tr:has-text('LIC-LEEDS-MAB-A')"
    page.screenshot(path=tmp_path / "authority.png", full_page=True)
    assert page.locator(f"{row} .acts > button").all_text_contents() == ["Pause …", "Suspend …", "Cease …"]
    page.click(f"{row} >> text=Suspend …")
    page.fill("dialog[open] input[name=why]", "Sterility failure in LOT-7.")
    page.check("dialog[open] input[name=meaning]")
    page.fill("dialog[open] input[name=person]", "QUI")
    page.fill("dialog[open] input[type=password]", password("QUI"))
    page.screenshot(path=tmp_path / "suspend.png")
    page.click("dialog[open] button[type=submit]")
    page.wait_for_selector(f"{row}:has-text('Sterility failure in LOT-7.')")
    assert page.locator(f"{row} .acts > button").all_text_contents() == ["Reinstate …", "Cease …"]
    page.click("text=Grant a competence …")
    page.select_option("dialog[open] select[name=whom]", "GUS")
    page.fill("dialog[open] input[name=competence]", "aseptic_connection")
    page.fill("dialog[open] input[name=basis]", "TR-2026-12")
    page.check("dialog[open] input[name=meaning]")
    page.fill("dialog[open] input[type=password]", password("QUI"))  # the id was given with the first signature
    page.screenshot(path=tmp_path / "grant.png")
    page.click("dialog[open] button[type=submit]")
    page.wait_for_selector("tr:has-text('GUS'):has-text('aseptic connection')")
    page.screenshot(path=tmp_path / "after.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert page.complaints == []
    told = [fact for fact in network.node.ledgers["LEEDS"].facts() if fact.kind.startswith("authority.")]
    assert [(each.kind, each.actor.id) for each in told if each.actor.id == "QUI"][-2:] == [
        ("authority.licence_changed", "QUI"),
        ("authority.competence_granted", "QUI"),
    ]


def test_operator_answers_on_the_tablet(chromium: Any, network: Network, tmp_path: Path) -> None:
    node = site_node(network, network.books[LEEDS])

    async def hear() -> None:
        while await node.courier.download_once(wait=0):
            pass

    network_story.apart(hear())
    served = Served(site_application(network, node))
    try:
        page = _page(chromium, served.url, "LEA", TABLET)
        page.wait_for_selector(".task:has-text('Take a sample')")
        page.screenshot(path=tmp_path / "tasks.png")
        page.click(".task")
        page.wait_for_selector(".card .ask:has-text('Take a sample')")
        page.fill(".card input[name=answer]", "12")
        page.click(".card .key.send")
        page.wait_for_selector(".refusal.shown:has-text('its limits are 50 to 100 %')")
        page.fill(".card input[name=answer]", "96.5")
        page.click(".card .key.send")
        page.wait_for_selector("h2:has-text('Nothing to do')")
        assert page.complaints == []
    finally:
        served.stop()
    answered = [fact for fact in network.books[LEEDS].sponsor.facts() if fact.kind == "batch.prompt_answered"][-1]
    assert (answered.actor.id, answered.payload.answer) == ("LEA", "96.5")


def test_tablet_tells_of_alarms_and_opens_the_trail_and_the_password_page(chromium: Any, network: Network, tmp_path: Path) -> None:
    node = site_node(network, network.books[LEEDS])

    async def hear() -> None:
        while await node.courier.download_once(wait=0):
            pass

    network_story.apart(hear())
    node.note([DiskFilled(LEEDS, 1000)])
    shutil.copy(network.people() / "BEN.json", network.world.home(LEEDS) / "accounts")
    served = Served(site_application(network, node))
    try:
        page = _page(chromium, served.url, "LEA", TABLET)
        page.wait_for_selector(".notice.stop:has-text('The disk is full')")
        stranger = chromium.new_page()
        for _ in range(5):
            stranger.request.post(f"{served.url}/api/sign-in", data={"person": "ANA", "password": "not the password"})
        page.wait_for_selector(".notice.stop:has-text('Unauthorised attempts: ANA locked')")  # told at once, to whoever looks
        page.screenshot(path=tmp_path / "alarms.png", full_page=True)
        page.click("text=Audit trail")
        page.wait_for_selector("main h1:has-text('Audit trail')")
        page.fill("input[name=who]", "LEA")
        page.click("button:has-text('Search')")
        page.wait_for_url("**/trail?*who=LEA*")
        fits = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        page.click(".trail a:has-text('Tasks')")
        page.click("text=Password")
        page.fill("input[name=password]", password("LEA"))
        page.fill("input[name=new_password]", "heron-lantern-quartz-meadow")
        page.click("text=Change the password")
        page.wait_for_selector(".task")
        quality = _page(chromium, served.url, "BEN", TABLET)
        quality.click("text=I have looked at them")
        quality.fill("dialog[open] input[name=why]", "She had forgotten it; she was asked.")
        quality.fill("dialog[open] input[name=person]", "BEN")
        quality.fill("dialog[open] input[type=password]", password("BEN"))
        quality.click("dialog[open] button[type=submit]")
        page.wait_for_selector(".notice:has-text('Unauthorised attempts')", state="detached")
        assert (fits, page.complaints, quality.complaints) == (0, [], [])
    finally:
        served.stop()
    kinds = [fact.kind for fact in node.ledgers["HOUSE"].facts()]
    assert [kinds.count(f"authority.{kind}") for kind in ("account_locked", "attempts_acknowledged", "password_changed")] == [1, 1, 1]
