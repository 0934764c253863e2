"""A lot whose counts do not reconcile is not released until a deviation about it was accepted."""

from dataclasses import replace

from counted_lot import counted
from lot_story import OPENED, case_of, disposed, noted, story

from isogenic.quality.deviations import RECONCILIATION
from isogenic.quality.executed.fold import executed_record
from isogenic.quality.executed.model import Exceptional
from isogenic.quality.executed.text import as_text
from isogenic.quality.release import check_counts_reconcile

SHORT = "containers do not reconcile: 8 taken in, 5 good, 1 rejected, 1 sampled; 1 are not accounted for"


def said(told) -> list[tuple[str, str]]:
    return [(str(note.severity), note.text) for note in check_counts_reconcile(case_of(told))]


def test_a_lot_without_counts_has_no_note_about_them():
    assert said(story()) == []


def test_counts_that_reconcile_are_said():
    assert said(counted(good=6)) == [("good", "8 containers: 6 good, 1 rejected, 1 sampled")]


def test_a_missing_container_stops_release():
    assert said(counted(good=5)) == [("stop", SHORT)]


def test_an_accepted_deviation_about_something_else_does_not_open_the_way():
    assert said(counted(good=5))[0][0] == "stop"  # the story's own deviation, about the feed, is accepted


def test_an_accepted_deviation_about_the_counts_does():
    opened = replace(OPENED, evidence={RECONCILIATION: SHORT})
    told = [
        (
            ledger,
            actor,
            opened if payload is OPENED else disposed(opened=opened) if type(payload).fact_name == "quality.deviation_disposed" else payload,
        )
        for ledger, actor, payload in counted(good=5)
    ]
    assert said(told) == [("good", f"a deviation about counts that do not reconcile was accepted: {SHORT}")]


def test_the_record_shows_the_sums_and_the_difference_as_an_exception():
    found = executed_record(noted(counted(good=5)))
    assert [line.text for line in found.exceptions(Exceptional.LIMIT)] == [SHORT]
    page = as_text(found)
    assert "RECONCILIATION" in page and "NOT reconciled" in page
    assert "RECONCILIATION" not in as_text(executed_record(noted(story())))
