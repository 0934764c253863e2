"""The one-task screen in a real browser: a whole sequence of questions with scans and a second person, the link cut, the site restarted."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from network_story import apart
from test_browser import PATIENCE_MS, Served, chromium  # noqa: F401

from asked_recipe import GENERAL, PLAIN_LINE, recipe_with
from isogenic.authority.rules import Act
from isogenic.batches.facts import AnswerCorrected, FormulaChanged, PromptAnswered, PromptWitnessed, ScanRefused, TransitionConfirmed
from isogenic.ids import PersonId
from isogenic.materials.labels import LabelKind, label_text
from isogenic.network import decisions
from isogenic.network.competences import grant_competence
from isogenic.sim.authorising import authorise
from isogenic.sim.world import password_of
from isogenic.sites.facts import BatchRefused
from isogenic.web.signin import AccountFolder
from isogenic.web.site_api import site_app
from small_network import ADA, BEN, LEEDS, LOT, RECIPE, START, UNITS, Network, signer_of

pytestmark = pytest.mark.browser

UPRIGHT, ACROSS = {"width": 820, "height": 1180}, {"width": 1280, "height": 800}
SHOTS = os.environ.get("ISOGENIC_SHOTS", "")  # a folder: the pictures of docs/operators.md are made here
DRAWING = """<svg xmlns="http://www.w3.org/2000/svg" width="640" height="300" viewBox="0 0 640 300" font-family="sans-serif" font-size="17">
<rect width="640" height="300" fill="#f4f6f6"/><rect x="60" y="50" width="150" height="190" rx="26" fill="#fff" stroke="#333" stroke-width="3"/>
<rect x="72" y="110" width="126" height="118" rx="16" fill="#f0d9b5"/><text x="96" y="150">medium</text>
<path d="M135 240v30h230v-60h70" fill="none" stroke="#333" stroke-width="7"/><rect x="330" y="190" width="74" height="40" rx="6" fill="#b3160f"/>
<text x="300" y="180">weld here, port 3</text><rect x="440" y="90" width="140" height="170" rx="10" fill="#dfe3e5" stroke="#333" stroke-width="3"/>
<text x="462" y="180">reactor</text></svg>"""
MED, SMP = label_text(LabelKind.MATERIAL, "MED-0042", lot="MED-0042", expires=START + timedelta(days=90)), label_text(LabelKind.SAMPLE, "SMP-9")
OLD = label_text(LabelKind.MATERIAL, "MED-0007", lot="MED-0007", expires=START - timedelta(days=1))


def asked(picture: str) -> str:
    return f"""\
              - {{prompt: bag, answer: scan, expects: material, material: medium, text: Scan the medium bag}}
              - {{prompt: bag_seen, answer: choice, choices: [Clear, Cloudy, Leaking], text: What does the medium look like?}}
              - {{prompt: bag_weld, answer: confirm, text: Weld the bag to port 3, picture: {{file: weld.png, digest: {picture}}},
                 witness: true, competence: aseptic_connection}}
              - {{prompt: settled, answer: confirm, text: Let the weld cool, timer: {{earliest: 3 min, latest: 15 min, after: bag_weld}}}}
              - {{prompt: bag_weight, answer: number, unit: kg, low: 20, high: 60, text: Weight of the bag}}
"""


class Floor:
    """A site with a batch that has just asked, served to a browser while its link is down."""

    def __init__(self, folder: Path, *, picture: bytes = b"", text: str = "") -> None:
        self.net = Network(folder)
        self.text = text or recipe_with(asked(decisions.submit_picture(self.net.control, self.net.person(ADA), picture).digest))
        apart(self.begin())
        self.served = self.serve(0)

    async def begin(self) -> None:
        net = self.net
        decisions.submit_recipe(net.control, net.person(ADA), self.text)
        decisions.approve_recipe(net.control, net.person(ADA), signer_of(ADA), recipe=RECIPE, version=1, act=Act.SIGN_RECIPE_AS_AUTHOR)
        decisions.approve_recipe(net.control, net.person(BEN), signer_of(BEN), recipe=RECIPE, version=1, act=Act.APPROVE_RECIPE)
        for name in ("LEA", "QUI"):
            until = START + timedelta(days=30)
            grant_competence(
                net.control, net.person(BEN), signer_of(BEN), person=PersonId(name), competence="aseptic_connection", until=until, basis="TR-12"
            )
        decisions.publish_recipe(net.control, net.person(BEN), recipe=RECIPE, version=1)
        authorise(net.control, signer_of)
        await net.publish()
        for name in ("ADA", "BEN"):  # as for whoever works at several sites
            shutil.copy(net.folder / "CONTROL" / "accounts" / f"{name}.json", net.folder / "LEEDS" / "accounts")
        net.lines[LEEDS].up = False  # from here on the site is alone
        await net.carry()

    @property
    def node(self) -> Any:
        return self.net.nodes[LEEDS]

    def serve(self, port: int) -> Served:
        return Served(site_app(self.node, AccountFolder(self.net.folder / "LEEDS" / "accounts")), port=port)

    def inside(self, work: Any) -> Any:
        """Do something on the node's own thread."""
        return asyncio.run_coroutine_threadsafe(work, self.served.loop).result(timeout=20)

    async def scan(self, minutes: float = 0) -> None:
        await self.net.scan(hours=minutes / 60)

    async def filled(self) -> None:
        for _ in range(4):
            await self.net.scan(hours=0.5)

    async def advance(self, seconds: float) -> None:
        self.net.clock.advance(seconds)

    def restart(self) -> None:
        """The whole node again, on the same port."""
        port = self.served.port
        self.served.stop()
        self.net.restart_site(LEEDS)
        self.served = self.serve(port)

    def said(self, kind: type) -> list[Any]:
        return self.net.payloads(kind)


def shot(page: Any, name: str) -> None:
    if SHOTS:
        page.wait_for_timeout(150)
        page.screenshot(path=f"{SHOTS}/{name}.png")


TARGETS = """[...document.querySelectorAll('main.work button, main.work a.button, main.work input, main.work label.choice')]
    .filter((each) => each.offsetParent && !each.closest('label.choice input') && each.type !== 'radio' && each.type !== 'checkbox')
    .filter((each) => each.getBoundingClientRect().height < 56).map((each) => each.outerHTML.slice(0, 120))"""


def fits(page: Any) -> None:
    """Nothing is cut off on a tablet held either way, and no target is too small for a glove."""
    for viewport in (ACROSS, UPRIGHT):
        page.set_viewport_size(viewport)
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
        assert page.evaluate(TARGETS) == []


@pytest.fixture(scope="module")
def picture(chromium: Any) -> bytes:  # noqa: F811
    page = chromium.new_page(viewport={"width": 640, "height": 300})
    page.set_content(f"<style>body{{margin:0}}</style>{DRAWING}")
    data = page.screenshot()
    page.close()
    return bytes(data)


@pytest.fixture
def floor(tmp_path: Path, picture: bytes) -> Iterator[Floor]:
    floor = Floor(tmp_path / "network", picture=picture)
    yield floor
    floor.served.stop()


def tablet(chromium: Any, floor: Floor, path: str, *, viewport: dict[str, int] = UPRIGHT, person: str = "LEA") -> Any:  # noqa: F811
    page = chromium.new_context(viewport=viewport, has_touch=True).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto(floor.served.url + path)
    page.fill("input[name=person]", person)
    page.fill("input[name=password]", password_of(PersonId(person), 7))
    page.click("button[type=submit]")
    return page


def sign(page: Any, person: str, dialog: str = "#sign") -> None:
    page.fill(f"{dialog} input[name=person]", person)
    page.fill(f"{dialog} input[name=password]", password_of(PersonId(person), 7))
    page.click(f"{dialog} button[type=submit]")


SCANNED = """(label) => {
    const field = document.querySelector("[data-scan]");
    field.focus();
    for (const key of label) { field.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })); field.value += key; }
    field.form.requestSubmit();
}"""  # as fast as a scanner types, however busy this machine is


ASTRAY = """(label) => {
    const button = document.querySelector(".card button");
    button.focus();
    for (const key of [...label, "Enter"]) button.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
}"""


def test_a_sequence_with_scans_a_second_person_and_a_restart_is_worked_through_while_the_link_is_down(
    chromium: Any,  # noqa: F811
    floor: Floor,
) -> None:
    page = tablet(chromium, floor, f"/start?unit={UNITS[LEEDS]}")
    page.wait_for_selector("h1:has-text('Start a batch')")
    page.fill("input[name=lot]", str(LOT))
    page.click("text=Look first")
    page.wait_for_selector(".gate .note:has-text('BR-50 is free')")
    shot(page, "start")
    fits(page)
    page.click("form.start button[type=submit]")
    page.wait_for_selector("h2:has-text('Nothing to do')")
    floor.inside(floor.scan())
    page.goto(floor.served.url)
    page.wait_for_selector("a.task:has-text('Weld the bag to port 3')")
    shot(page, "units")
    page.click("a.task:has-text('Scan the medium bag')")

    # scan first: the wrong labels, each in words, each on record
    page.wait_for_selector(".ask:has-text('Scan the medium bag')")
    assert "no link; the work here goes on" in page.text_content(".link")
    assert page.evaluate("document.activeElement.dataset.scan") == "label"
    shot(page, "scan")
    page.click(".row:has-text('What does the medium look like?')")
    page.wait_for_selector(".ask:has-text('What does the medium look like?')")
    page.evaluate(ASTRAY, SMP)  # with another step on top: the one that waits for a label takes it
    page.wait_for_selector(".ask:has-text('Scan the medium bag')")
    page.wait_for_selector(".card .refusal.shown:has-text('It is the label of a sample, a material is asked for.')")
    shot(page, "refused")
    page.evaluate(SCANNED, OLD)
    page.wait_for_selector(".card .refusal.shown:has-text('expired at')")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.type("MED-42", delay=90)  # a hand at a keyboard is no scanner
    page.keyboard.press("Enter")
    page.wait_for_selector(".card .refusal.shown:has-text('It cannot be read')")
    page.evaluate(SCANNED, MED)
    page.wait_for_selector(".ask:has-text('What does the medium look like?')")
    assert [(each.entered, each.by) for each in floor.said(ScanRefused)] == [("scanned", "LEA"), ("scanned", "LEA"), ("typed", "LEA")]
    assert [(each.answer, each.entered, each.scanned) for each in floor.said(PromptAnswered)] == [("MED-0042", "scanned", MED)]

    shot(page, "choice")
    page.click("button:has-text('Cloudy')")

    # two people, each with their own credentials
    page.wait_for_selector(".ask:has-text('Weld the bag to port 3')")
    page.wait_for_function("document.querySelector('img.picture').naturalWidth === 640")  # from this site's disk
    shot(page, "weld")
    fits(page)
    page.click("button:has-text('Done')")
    page.wait_for_selector("#sign[open]")
    shot(page, "sign")
    fits(page)
    sign(page, "LEA")
    page.wait_for_selector("button:has-text('It is so: sign')")
    shot(page, "witness")
    fits(page)
    page.click("button:has-text('It is so: sign')")
    sign(page, "LEA")
    page.wait_for_selector("#sign .refusal.shown:has-text('a second person verifies it (21 CFR 211.101(d))')")
    sign(page, "BEN")
    page.wait_for_selector("#sign .refusal.shown:has-text('BEN lacks the competence aseptic_connection')")
    assert "Quillon Marsh" not in page.text_content("#sign .refusal")  # competent, and may not witness
    page.click("#sign button:has-text('Cancel')")
    ben = PersonId("BEN")
    assert [each.by for each in floor.said(PromptWitnessed)] == []
    floor.inside(competent(floor, ben))
    page.click("button:has-text('It is so: sign')")
    sign(page, "BEN")

    # a wait that cannot be cut short, by the site's clock; a restart of the site does not end it
    page.wait_for_selector(".ask:has-text('Weight of the bag')")  # what can be done now comes first
    page.click(".row:has-text('Let the weld cool')")
    page.wait_for_selector(".timer.wait b:has-text('3:00')")
    shot(page, "timer")
    fits(page)
    assert page.query_selector("button:has-text('Done')") is None
    floor.inside(floor.advance(60))
    page.wait_for_selector(".timer.wait b:has-text('2:00')")
    floor.restart()
    page.wait_for_selector("#enter[open]")
    shot(page, "again")
    sign(page, "LEA", "#enter")
    page.wait_for_selector(".timer.wait b:has-text('2:00')")
    floor.inside(floor.advance(121))
    page.click("button:has-text('Done')")

    # a number by the keypad: outside its limits, then within; a slip is corrected by signature
    page.wait_for_selector(".ask:has-text('Weight of the bag')")
    for key in "61":
        page.click(f".key:has-text('{key}')")
    page.click(".key.send")
    page.wait_for_selector(".card .refusal.shown:has-text('Its limits are 20 to 60 kg.')")
    shot(page, "limits")
    fits(page)
    page.click("[data-key=back]")
    page.click("[data-key=back]")
    for key in "51":
        page.click(f".key:has-text('{key}')")
    page.click(".key.send")
    page.wait_for_selector("h2:has-text('Nothing to do')")
    page.click(".row.done:has-text('Cloudy') button:has-text('Correct')")
    page.click("#correct [data-fill=Clear]")
    page.click("#correct .chip:has-text('A slip of the finger.')")
    shot(page, "correct")
    fits(page)
    sign(page, "LEA", "#correct")
    page.wait_for_selector(".row.done:has-text('corrected 1')")
    shot(page, "done")

    # a command with its reason
    page.click("button:has-text('Batch')")
    page.wait_for_selector("#commands [data-command=hold]")
    page.fill("#commands input[name=why]", "Foam at the filter.")
    shot(page, "commands")
    fits(page)
    assert page.query_selector("#commands button:has-text('Semi-automatic')") is None  # takes a process engineer
    page.click("#commands [data-command=hold]")
    page.wait_for_selector("#commands", state="hidden")

    # what stands against another start, all of it, and on record
    page.goto(f"{floor.served.url}/start?unit={UNITS[LEEDS]}")
    page.fill("input[name=lot]", "LOT-0002")
    page.click("form.start button[type=submit]")
    page.wait_for_selector(".refusal.shown:has-text('Not started')")
    page.wait_for_selector(".gate .note.stop:has-text('BR-50 is taken by')")
    assert [each.lot for each in floor.said(BatchRefused)] == ["LOT-0002"]
    assert page.complaints == []

    state = next(iter(floor.node.state.batches.values()))
    assert (str(state.state), str(state.mode)) == ("holding", "automatic")
    assert [str(prompt) for prompt in state.answers] == ["BAG-1", "BAG-SEEN-1", "BAG-WELD-1", "SETTLED-1", "BAG-WEIGHT-1"]
    assert {str(prompt): each.answer for prompt, each in state.answers.items()}["BAG-SEEN-1"] == "Clear"
    assert [(each.by, each.signature.meaning) for each in floor.said(PromptWitnessed)] == [("BEN", "witnessed")]
    assert [(each.was, each.answer, each.by, each.why) for each in floor.said(AnswerCorrected)] == [
        ("Cloudy", "Clear", "LEA", "A slip of the finger.")
    ]
    weld = next(each for each in floor.said(PromptAnswered) if each.prompt == "BAG-WELD-1")
    assert (weld.by, weld.signature.meaning, weld.entered) == ("LEA", "performed", "chosen")


async def competent(floor: Floor, person: PersonId) -> None:
    """Quality grants it at the control site, and the link brings it."""
    net = floor.net
    net.lines[LEEDS].up = True
    grant_competence(
        net.control,
        net.person(PersonId("QUI")),
        signer_of(PersonId("QUI")),
        person=person,
        competence="aseptic_connection",
        until=START + timedelta(days=30),
        basis="TR-13",
    )
    await net.carry()
    net.lines[LEEDS].up = False


STEPPED = GENERAL.replace(
    PLAIN_LINE,
    PLAIN_LINE
    + """\
            enter: [{parameter: agitation, text: Stirring of this medium}]
            samples: [{sample: medium_sample, what: 20 mL of medium}]
""",
).replace("high: 200 rpm}", "high: 200 rpm, adjustable: true}")


@pytest.fixture
def stepped(tmp_path: Path) -> Iterator[Floor]:
    floor = Floor(tmp_path / "network", text=STEPPED)
    yield floor
    floor.served.stop()


def press(page: Any, words: str, why: str = "As planned.") -> None:
    """A command that the site offers now, with its reason."""
    page.click("button:has-text('Batch')")
    page.wait_for_selector("#commands [data-command]")
    page.fill("#commands input[name=why]", why)
    page.click(f"#commands button:has-text('{words}')")
    if page.query_selector("#commands .grave[data-sure]"):
        page.click("#commands .grave[data-sure]")
    page.wait_for_selector("#commands", state="hidden")


def test_a_batch_is_taken_from_step_to_step_by_hand(chromium: Any, stepped: Floor) -> None:  # noqa: F811
    floor = stepped
    page = tablet(chromium, floor, f"/start?unit={UNITS[LEEDS]}")
    page.fill("input[name=lot]", str(LOT))
    page.click("form.start button[type=submit]")
    page.wait_for_selector("h2:has-text('Nothing to do')")
    floor.inside(floor.scan())
    batch = next(iter(floor.node.state.batches))

    def state() -> Any:
        return floor.node.state.batches[batch]

    # a parameter is entered within its limits; what is to be sampled is told
    page.reload()
    page.wait_for_selector(".sample:has-text('medium sample')")
    page.click(".row:has-text('Stirring of this medium')")
    shot(page, "enter")
    fits(page)
    for answer, seen in (("500", ".card .refusal.shown:has-text('Its limits are 60 to 200 rpm.')"), ("120", ".ask:has-text('Lot number')")):
        page.fill("input[data-number]", answer)
        page.click(".key.send")
        page.wait_for_selector(seen)
    page.fill("[data-scan=text]", "MED-0042")
    page.click("button:has-text('Record')")
    page.wait_for_selector("h2:has-text('Nothing to do')")
    floor.inside(floor.scan())
    assert state().values["agitation"] == 120.0

    # the next person on the same tablet: another mode, and a parameter by signature
    page.click("[data-hand-over]")
    sign(page, "ADA", "#enter")
    page.wait_for_selector("#enter", state="hidden")
    press(page, "Semi-automatic")
    page.click("button:has-text('Batch')")
    page.click("#commands [data-formula]:has-text('agitation: 120 rpm')")
    page.wait_for_selector("#formula[open]")
    shot(page, "formula")
    fits(page)
    page.fill("#formula input[name=value]", "250")
    page.fill("#formula input[name=why]", "Foam.")
    sign(page, "ADA", "#formula")
    page.wait_for_selector("#formula .refusal.shown:has-text('200')")
    page.fill("#formula input[name=value]", "90")
    sign(page, "ADA", "#formula")
    page.wait_for_selector("#formula", state="hidden")
    assert [(each.parameter, each.was, each.now, each.by) for each in floor.said(FormulaChanged)] == [("agitation", 120.0, 90.0, "ADA")]

    # semi-automatic: what is reached waits for a person
    floor.inside(floor.filled())
    page.wait_for_selector("button.row:has-text('Waits for you')")
    shot(page, "waits")
    fits(page)
    assert list(state().active) == ["charge_medium"]
    press(page, "Let it go on")
    floor.inside(floor.scan())
    assert list(state().active) == ["condition"]

    # manual: a person ends a phase and starts the next
    press(page, "Manual")
    press(page, "Complete condition")
    floor.inside(floor.scan())
    assert list(state().active) == []
    press(page, "Start inoculate")
    floor.inside(floor.scan())
    page.wait_for_selector(".ask:has-text('Lot number of the inoculum')")
    assert list(state().active) == ["inoculate"]

    # a batch that is held says so, whatever is asked
    press(page, "Hold")
    page.wait_for_selector(".notice.stands:has-text('The batch is hold')")
    assert page.is_visible(".ask")
    shot(page, "held")
    assert [(each.place, each.by) for each in floor.said(TransitionConfirmed)] == [("charge_medium", "ADA")]
    assert page.complaints == []
