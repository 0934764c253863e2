"""Pages for people are files under review."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from recipe_desk import GENERAL, changed, text
from two_units import TWO_UNITS

from isogenic.errors import NotAllowed, NotValid
from isogenic.recipes import pages
from isogenic.recipes.changes import Change, ChangeKind, changes
from isogenic.recipes.checking import KINDS, check
from isogenic.recipes.general import load_general
from isogenic.recipes.master_record import as_text

GOLDEN = Path(__file__).parent / "golden"


def next_version() -> str:
    """Version 2: a slower feed, a second question, an earlier end, no bolus, and one comment more."""
    out = changed("version: 1", "version: 2")
    out = changed("value: 0.875 mL/h", "value: 0.85 mL/h", of=out)
    out = changed("value: 11 d", "value: 10 d", of=out)
    out = changed("answer: text, text: Lot number of the inoculum}", "answer: text, text: Lot number of the thawed inoculum}", of=out)
    dose = next(line for line in GENERAL.splitlines() if "signal: glucose" in line)
    return changed(dose + "\n", "            # no bolus: the feed carries enough\n", of=out)


def without_digests(page: str) -> str:
    """A derived recipe's digests follow from every field that recipes have; that they follow is asserted elsewhere."""
    return re.sub(r"[0-9a-f]{16,64}", "(digest)", page)


def faster_stirrer() -> str:
    return changed("title: Agitation, value: 100 rpm", "title: Agitation, value: 110 rpm")


SITES = [(f"{site}.site.yaml", text(f"{site}.site.yaml")) for site in ("leeds", "ghent", "porto")]
AT_LEEDS = "isogenic: site-recipe/1\nsite: LEEDS\nrecipe: GROW-FILL\nversion: 2\n"
PAGES = {
    "check.txt": lambda: check(GENERAL, name="mab-fb.general.yaml"),
    "show.txt": lambda: pages.show(GENERAL, name="mab-fb.general.yaml"),
    "show_two_units.txt": lambda: pages.show(TWO_UNITS),  # ways, branches and loops are no list of one thing after another
    "show_site.txt": lambda: pages.show(text("porto.site.yaml"), name="porto.site.yaml"),
    "diff.txt": lambda: pages.diff(GENERAL, next_version()),
    "diff_site.txt": lambda: pages.diff(text("leeds.site.yaml"), text("porto.site.yaml")),
    "affected.txt": lambda: without_digests(pages.affected(GENERAL, changed("version: 1", "version: 2", of=faster_stirrer()), SITES)),
    "chart.txt": lambda: pages.chart(TWO_UNITS)[0],
    "chart.svg": lambda: pages.chart(TWO_UNITS)[1],
    "master_record.txt": lambda: as_text(pages.record_of(TWO_UNITS)),
    "master_record_leeds.txt": lambda: without_digests(
        as_text(pages.record_of(GENERAL, site=text("leeds.site.yaml"), plant=text("leeds.plant.yaml"), unit="BR-50"))
    ),
    "derive_leeds.txt": lambda: without_digests(pages.derive(GENERAL, text("leeds.site.yaml"), text("leeds.plant.yaml"))),
    "derive_two_units.txt": lambda: without_digests(pages.derive(TWO_UNITS, AT_LEEDS, text("leeds.plant.yaml"))),
    "derive_porto.txt": lambda: without_digests(pages.derive(GENERAL, text("porto.site.yaml"), text("porto.plant.yaml"), unit="SB-200")),
}


@pytest.mark.parametrize("name", PAGES)
def test_the_page_reads_as_reviewed(name):
    assert PAGES[name]() == (GOLDEN / name).read_text(encoding="utf-8")


def test_changes_are_typed_and_the_critical_ones_marked():
    found = changes(load_general(GENERAL), load_general(next_version()))
    assert Change(ChangeKind.CHANGED, "formula.feed_rate.value", "0.875 mL/h", "0.85 mL/h", critical=True) in found
    assert [change.path for change in found if change.kind is ChangeKind.REMOVED] == ["procedure.production.dose"]


def test_comments_and_layout_are_no_change():
    assert changes(load_general(GENERAL), load_general("# a comment\n" + GENERAL.replace("{title", "{  title"))) == ()


def test_a_check_says_what_a_person_should_look_at():
    out = changed('agitation_sp: "@agitation", feed_flow_sp: 0 mL/h}\n            ask', "feed_flow_sp: 0 mL/h}\n            ask")
    out = changed(
        "            until: dosed and answered\n            timeout: {after: 24 h, then: hold}\n", "            until: dosed and answered\n", of=out
    )
    out = changed("  highest_volume:", "  spare: {title: Spare, value: 1 h, low: 1 h, high: 2 h}\n  highest_volume:", of=out)
    assert check(out).splitlines()[1:4] == [
        "  warn: parameter spare is used nowhere",
        "  warn: phase charge_medium may wait for ever: it has no timeout",
        "  in order, 2 things to look at",
    ]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (text("leeds.plant.yaml"), "x: plant of LEEDS: 1 units: BR-50 (stirred_bioreactor)"),
        (text("leeds.site.yaml"), "x: site recipe of LEEDS for MAB-FB version 1: 1 differences, 0 questions in en"),
        ("isogenic: blocks/1\nblocks:\n  rinse: {do: []}\n", "x: library of 1 blocks, judged where a recipe uses them: rinse"),
        ("isogenic: 'blocks/1'  # a library\nblocks: {}\n", "x: library of 0 blocks, judged where a recipe uses them: "),
    ],
)
def test_a_check_says_which_kind_of_document_it_saw(document, said):
    assert check(document, name="x").splitlines()[:2] == [said, "  no complaints"]


@pytest.mark.parametrize(("document", "why"), [("title: x\n", "it does not say what it is"), ("isogenic: recipe/9\n", "it says isogenic: recipe/9")])
def test_a_document_of_no_known_kind_is_told_the_kinds(document, why):
    with pytest.raises(NotValid) as refused:
        check(document, name="x")
    assert (refused.value.why, refused.value.possible) == (why, f"begin with one of {', '.join(KINDS)}")


def test_a_plant_that_is_not_in_order_is_refused_by_its_line():
    with pytest.raises(NotValid, match=r"leeds.plant.yaml:\s+line 2: title is missing"):
        check(text("leeds.plant.yaml").replace("title:", "titel:", 1), name="leeds.plant.yaml")


def test_a_general_and_a_site_recipe_do_not_compare():
    with pytest.raises(NotValid, match="one is a general recipe and one a site recipe"):
        pages.diff(GENERAL, text("leeds.site.yaml"))


def test_what_no_unit_can_run_is_refused_with_the_reasons():
    plant = text("leeds.plant.yaml").replace("high: 120 mL/h", "high: 12 mL/h")
    with pytest.raises(NotAllowed, match="BR-50: feed_flow 0 to 35 mL/h is needed; BR-50 can 0 to 12"):
        pages.derive(GENERAL, text("leeds.site.yaml"), plant)


def test_a_check_warns_of_a_difference_without_a_type():
    page = check(text("leeds.site.yaml").replace("    type: scale\n", ""))
    assert page.splitlines()[1].startswith("  warn: line 10: parameter agitation does not say its type and cannot be released")
