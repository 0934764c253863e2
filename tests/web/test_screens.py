"""Screens as pure functions: what they say, and that no text becomes markup."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from network_story import LEEDS, NOW, Network

from isogenic.ids import PersonId, SiteId
from isogenic.quality.trail import Wanted
from isogenic.records.healing import LedgerHealed
from isogenic.records.times import ClockMeasured
from isogenic.sites.facts import DiskFilled, DiskFreed
from isogenic.web.control_desk import ControlDesk
from isogenic.web.control_messages import Network as NetworkLines
from isogenic.web.screens.batches import batch_screen, trends
from isogenic.web.screens.land import dots, on_map, within
from isogenic.web.screens.markup import h, join
from isogenic.web.screens.network import network_head, network_map, network_nodes, network_running, network_sites
from isogenic.web.screens.parts import SHAPES, day_time, mark, minute, second
from isogenic.web.screens.release import lot_screen
from isogenic.web.screens.review import deviation_screen, review_screen
from isogenic.web.screens.site import site_screen
from isogenic.web.screens.trail import _line
from isogenic.web.screens.words import plain_words
from isogenic.web.trail import trail_answer

HOSTILE = '<img src=x onerror="alert(1)">'


@given(st.text(max_size=60))
def test_no_text_becomes_markup(text: str) -> None:
    said = h("p.note", text, title=text)
    assert str(said).count("<") == 2
    assert str(said).count('"') == 4


def test_a_hostile_statement_of_a_deviation_is_shown_as_text(standing: Network) -> None:
    desk = ControlDesk(standing.node)
    record, _ = desk.deviation("DEV-B1-1")
    line = desk.deviations()[0].model_copy(update={"statement": HOSTILE, "evidence": {HOSTILE: HOSTILE}})
    person = standing.world.directory.people[PersonId("BEN")]
    page = deviation_screen(
        line, desk.batch_line(record), person=person, may_dispose=True, why_not="", now="2026-11-20T14:30:00.000Z", role="quality"
    )
    assert "<img" not in page
    assert "&lt;img src=x" in page
    assert "<img" not in review_screen([line], desk.lots())


def test_every_mark_has_a_shape_and_a_word() -> None:
    for kind in SHAPES:
        said = str(mark(kind))
        assert "<svg" in said
        assert kind in said.rpartition("</svg>")[2]


@pytest.mark.parametrize(("shown", "words"), [(minute, "2026-11-20 14:30Z"), (second, "2026-11-20 14:30:07Z"), (day_time, "20 Nov 14:30Z")])
def test_every_time_is_utc_and_says_so(shown, words: str) -> None:
    assert f">{words}<" in shown("2026-11-20T14:30:07.123Z")


def test_a_silent_site_is_not_called_complete(standing: Network) -> None:
    network = ControlDesk(standing.node).network()
    silent = [site.model_copy(update={"link": "silent", "complete": True, "held": 47, "noted": 47}) for site in network.sites if site.site == "PORTO"]
    page = network_sites(NetworkLines(now=network.now, sites=silent, running=0, open_deviations=0, lots_waiting=0))
    assert "47 of 47 facts as last told, root verified" in page
    assert "complete" not in page


def test_network_says_first_what_is_wrong(standing: Network) -> None:
    page = network_head(ControlDesk(standing.node).network())
    assert "Porto has been silent since 2026-11-19 14:30Z; records of Porto are still on their way." in page


def test_map_needs_no_places(standing: Network) -> None:
    desk = ControlDesk(standing.node)
    without = network_map(desk.network(), {})
    far = network_map(desk.network(), dict.fromkeys(standing.books, (-33.9, 151.2)))
    placed = network_map(desk.network(), {site: (book.plant.latitude, book.plant.longitude) for site, book in standing.books.items()})
    assert ("land" in without, "land" in far, "land" in placed) == (False, False, True)
    for page in (without, far, placed):
        assert page.count('class="core"') == 3


@pytest.mark.parametrize(
    ("place", "land"), [((53.8, -1.55), True), ((51.05, 3.73), True), ((48.2, 11.6), True), ((55.0, 4.0), False), ((45.0, -6.0), False)]
)
def test_land_lies_where_it_lies(place: tuple[float, float], land: bool) -> None:
    x, y = on_map(*place)
    near = any(abs(x - dot_x) < 10 and abs(y - dot_y) < 10 for dot_x, dot_y in dots())
    assert within(*place)
    assert near is land


def test_signals_are_named_as_people_name_them() -> None:
    said = "feed_pressure 42 % over its trajectory (2.14 against 1.51 bar), then ph and viable_cells at 37 degC; DEV_X stays"
    assert plain_words(said).startswith("Feed pump discharge pressure 42 % over")
    assert "viable cells (capacitance) at 37 °C; DEV_X stays" in plain_words(said)


def test_no_screen_says_none(standing: Network) -> None:
    desk = ControlDesk(standing.node)
    pages = join(
        network_sites(desk.network()), review_screen(desk.deviations(), desk.lots()), network_map(desk.network(), {SiteId("LEEDS"): (53.8, -1.55)})
    )
    assert ">None<" not in pages


def test_wherever_a_signed_record_is_shown_stand_name_time_with_zone_and_meaning(standing: Network) -> None:
    """21 CFR 11.50(b): lists, the batch's page and the trail, not only the page on which it was signed."""
    desk = ControlDesk(standing.node)
    disposed = [each.model_copy(update=SIGNED) for each in desk.deviations() if each.deviation == "DEV-B1-1"]
    decided = [each.model_copy(update=DECIDED) for each in desk.lots() if each.lot == "LOT-B1"]
    record, story = desk.story("BAT-B1")
    batch = join(*batch_screen(desk.batch_line(record), story.phases(), story.prompts(), disposed, story.events, []))
    page = desk.release_page("LOT-B1", asked_by=PersonId("QUI")).model_copy(update={"deviations": disposed})
    lot = lot_screen(
        decided[0].model_copy(update={"state": "quarantine"}),
        page,
        person=standing.world.directory.people[PersonId("QUI")],
        role="qualified person",
        now="2026-11-20T14:30:00.000Z",
        why_no_page="",
        signature=None,
        may_release=False,
        may_reject=False,
    )
    trail = trail_answer(standing.node.derived.db, Wanted(what="recipe.approved"), after="", limit=5, stage=None)
    signed = trail.lines[0].signed
    assert signed is not None
    for shown, parts in (
        (review_screen(disposed, decided), ("Benedict Okafor", "2026-11-20 14:30:07Z", ">disposed<")),
        (review_screen(disposed, decided), ("Quillon Marsh", "2026-11-21 08:00:00Z", ">rejected<")),
        (batch, ("Signed by Benedict Okafor", "2026-11-20 14:30:07Z", "meaning: disposed")),
        (lot, ("MAB-FB version 1", "Ada Lindqvist", "authored", "2026-10-11 15:30:00Z", "approved", "2026-10-11 17:30:00Z")),
        (lot, ("Signed by Benedict Okafor", "2026-11-20 14:30:07Z", "meaning: disposed")),
        (str(_line(trail.lines[0])), (f"Signed by {signed.printed_name}", f"{signed.at[:10]} {signed.at[11:19]}Z", f"meaning: {signed.meaning}")),
    ):
        assert [part for part in parts if part not in shown] == []


SIGNED = {
    "state": "disposed",
    "disposition": "accept",
    "justification": "no effect",
    "disposed_by": "Benedict Okafor",
    "disposed_at": "2026-11-20T14:30:07.123Z",
    "disposed_meaning": "disposed",
}
DECIDED = {"state": "rejected", "decided_by": "Quillon Marsh", "decided_at": "2026-11-21T08:00:00.000Z", "meaning": "rejected", "reason": "titre"}


def test_live_values_say_what_they_are(standing: Network) -> None:
    desk = ControlDesk(standing.node)
    record, _ = desk.story("BAT-B2")
    running = trends(desk.batch_line(record))
    assert "Live values, thinned on their way here: never evidence." in running
    assert "Live values" not in trends(desk.batch_line(desk.story("BAT-A1")[0]))
    row = (desk.batch_line(record), (), 0.5, 3.1)
    assert "never evidence" in network_running([row])


def test_nodes_show_sizes_key_clock_and_what_is_wrong(network: Network) -> None:
    leeds, house = network.books[LEEDS], next(each for each in network.books[LEEDS].ledgers.values() if each.origin.endswith("/HOUSE"))
    leeds.note(NOW, ClockMeasured("LEEDS", "ntp", "good", 1.25, 0.5, 3.0, 20.0, "boot", 10.0), house=True)
    leeds.note(NOW, DiskFilled(LEEDS, 1000), house=True)
    leeds.note(NOW, LedgerHealed(house.origin, "the file was torn", 40, 3, 0, "ab" * 32), house=True)
    network.carry()
    shown = ControlDesk(network.node).network()
    line = next(each for each in shown.nodes if each.site == "LEEDS")
    assert (line.clock, line.clock_offset, line.key.fingerprint) == ("good", "+1.2 ± 0.5 ms, ntp", house.signer.verifying_key.fingerprint)
    assert line.troubles == ["its disk is full: no new batch is started there"]
    assert line.warnings == ["HOUSE was healed, 2026-11-20 14:30Z: 40 facts kept, 3 returned, 0 lost"]
    page = network_nodes(shown)
    assert f"{line.noted} noted, {line.witnessed} witnessed" in page
    assert line.key.fingerprint in page
    assert "its disk is full" in network_head(shown)
    assert "its disk is full" in site_screen(ControlDesk(network.node).site(LEEDS))
    leeds.note(NOW, DiskFreed(LEEDS, 10**9), house=True)
    network.carry()
    assert "its disk is full" not in network_nodes(ControlDesk(network.node).network())


def test_what_a_sponsor_ledger_says_of_a_clock_is_not_shown(network: Network) -> None:
    network.books[LEEDS].note(NOW, LedgerHealed("elsewhere", "made up", 1, 1, 1, ""))
    network.carry()
    assert network.node.state.site(LEEDS).healed is None
