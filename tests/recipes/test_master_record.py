"""The master batch record says all that the recipe says, and its PDF is the same each time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from recipe_desk import GENERAL, changed, text
from two_units import TWO_UNITS

from isogenic.errors import NotAllowed, NotValid
from isogenic.recipes import pages
from isogenic.recipes.general import load_general
from isogenic.recipes.master_record import as_pdf, as_text

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize("document", [GENERAL, TWO_UNITS])
def test_every_phase_question_and_limit_has_its_place(document):
    recipe, page = load_general(document), " ".join(as_text(pages.record_of(document)).split())
    for phase in recipe.procedure.phases:
        assert page.count(f"({phase.name})") == 1
        assert all(f"{prompt.text} [" in page for prompt in phase.prompts)
    for one in recipe.formula.values():
        assert f"{one.title}: {one.value}" in page
        assert f"{one.low} to {one.high}" in page
    assert page.count("Done by ____") == len(recipe.procedure.phases)


def test_what_branches_is_said_in_words():
    page = as_text(pages.record_of(TWO_UNITS))
    for words in ("Side by side:", "If glucose < 5 mM:", "Otherwise:", "Again until viability > 90 %, at most 3 times, then hold:"):
        assert words in page
    assert "The medium is clear [confirmed, witnessed]" in page


def test_a_unit_reads_its_own_numbers():
    page = as_text(pages.record_of(GENERAL, site=text("leeds.site.yaml"), plant=text("leeds.plant.yaml")))
    assert "Feed rate: 35 mL/h" in page
    assert "set agitation_sp to 140 rpm" in page


def test_a_unit_that_cannot_run_it_gets_no_record():
    with pytest.raises(NotAllowed, match="feed_flow 0 to 35 mL/h is needed; BR-50 can 0 to 12"):
        pages.record_of(GENERAL, site=text("leeds.site.yaml"), plant=text("leeds.plant.yaml").replace("high: 120 mL/h", "high: 12 mL/h"))
    with pytest.raises(NotValid, match="takes its site document and its plant document"):
        pages.record_of(GENERAL, site=text("leeds.site.yaml"))


def test_the_same_record_gives_the_same_bytes_and_carries_its_recipe():
    title = changed("title: Harvest", 'title: "Harvest #strong[x] \U0001f9eb"')  # neither markup nor a sign that the face lacks does harm
    record = pages.record_of(title)
    data = as_pdf(record, document=title, at=AT)
    assert data[:5] == b"%PDF-"
    assert data == as_pdf(record, document=title, at=AT)
    assert b"recipe.yaml" in data
