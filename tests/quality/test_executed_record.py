"""The executed batch record: one page of exceptions first, everything that was done, and the same bytes from the same facts."""

from __future__ import annotations

import io
import re
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lot_story import BATCH, LOT, OURS, SPECIFICATION, START, THEIRS, noted, result, story
from lxml import html as parser

sys.path.append(str(Path(__file__).parents[1] / "batches"))

from tiny_floor import Floor, control_of

from isogenic.batches.engine import command
from isogenic.batches.facts import PromptAnswered, SetpointsCommanded
from isogenic.batches.states import Command, State
from isogenic.errors import NotFound
from isogenic.ids import PersonId, PromptId
from isogenic.quality.executed.blocks import Heading, Paragraph, Table, cell
from isogenic.quality.executed.fold import executed_record
from isogenic.quality.executed.html import as_html, blocks_html
from isogenic.quality.executed.model import Exceptional, Held
from isogenic.quality.executed.pdf import as_pdf, as_pictures, blocks_pdf, blocks_pictures
from isogenic.quality.executed.reached import with_readings
from isogenic.quality.executed.text import as_text, blocks_text
from isogenic.quality.specifications import SpecificationPublished
from isogenic.records.blocks import seal

GOLDEN = Path(__file__).parent / "golden"
HELD = (Held(OURS, 20, "ab" * 32, 20), Held(THEIRS, 2, "cd" * 32, None, "C"))
MARKUP = [
    '#panic("x")',
    "#import sys: inputs",
    "$x^2$ *b* _i_ `r` <l> @r // n /* c */ \\ # [",
    '"}]{"',
    "<script>alert(1)</script>",
    "Größe 测试 ☃ العربية",
]


@pytest.fixture(scope="module")
def floor() -> Floor:
    """A batch with a hold, a lost signal and an alarm."""
    floor = Floor(control_of("leeds"))
    floor.start()
    floor.run_to("production")
    floor.plant.bad = {"glucose"}
    for _ in range(10):
        floor.scan()
    floor.plant.bad = set()
    floor.scan()
    floor.note(command(floor.batch, Command.HOLD, why="feed line leaks"))
    floor.scan()
    floor.note(command(floor.batch, Command.RESTART, why="feed line changed"))
    floor.run_to_end()
    return floor


def record(told=None, **changes):
    return executed_record(noted(told or story()), held=HELD, **changes)


# ---- what is in it ----


def test_the_record_of_an_eventful_batch_reads_as_reviewed(floor):
    assert as_text(executed_record(floor.facts)) == (GOLDEN / "executed-eventful.txt").read_text()


def test_the_record_of_a_lot_with_its_decisions_reads_as_reviewed():
    assert as_text(record()) == (GOLDEN / "executed-lot.txt").read_text()


def test_the_page_is_a_golden_file_too():
    assert as_html(record()) == (GOLDEN / "executed-lot.html").read_text()


def test_every_fact_of_the_batch_is_a_line_of_it(floor):
    found = executed_record(floor.facts)
    assert {line.where for line in found.lines} == {str(fact.position) for fact in floor.facts}
    assert found.facts == len(floor.ledger) == found.closed.facts
    assert found.closed.outcome is State.COMPLETE


def test_the_exceptions_come_first_and_none_is_said_plainly():
    told = noted([each for each in story() if "deviation" not in type(each[2]).fact_name])
    minutes = [replace(fact, moment=replace(fact.moment, at=START + timedelta(minutes=fact.position))) for fact in told]
    found = executed_record(minutes, held=HELD)
    assert not any(found.exceptions(kind) for kind in Exceptional)
    page = as_text(found)
    assert [f"{kind.value:.<40} none" in page for kind in Exceptional] == [True] * len(Exceptional)
    assert page.index("EXCEPTIONS") < page.index("WHAT WAS ASKED") < page.index("STEPS") < page.index("SIGNATURES") < page.index("COMPLETENESS")
    assert "No exception was recorded" in page


def test_an_alarm_a_hold_and_a_lost_signal_are_exceptions_with_their_step(floor):
    found = executed_record(floor.facts)
    assert [line.text for line in found.exceptions(Exceptional.ALARM)] == ["glucose has not been good for 4 h"]
    assert [line.text for line in found.exceptions(Exceptional.STATE)] == ["holding by hold: feed line leaks"]
    (lost,) = found.exceptions(Exceptional.SIGNAL)
    assert (lost.text, found.steps[lost.step].phase) == ("Glucose (Raman) is not good", "production")


def test_a_running_batch_has_a_record_that_says_it_is_not_finished():
    running = Floor(control_of("leeds"))
    running.start()
    running.run_to("inoculate")
    found = executed_record(running.facts)
    assert found.closed is None and found.steps[-1].ended is None
    assert [line.text.partition(":")[0] for line in found.exceptions(Exceptional.OPEN)] == ["INOCULUM-LOT-1", "INOCULUM-VIABILITY-1"]
    assert "this record is not finished" in as_text(found)


def test_no_batch_no_record():
    with pytest.raises(NotFound, match="no executed record"):
        executed_record([])


def test_an_answer_outside_its_limits_and_an_answer_to_nothing_are_exceptions(floor):
    facts = floor.facts
    wrong = [
        replace(fact, payload=replace(fact.payload, answer="12"))
        if isinstance(fact.payload, PromptAnswered) and fact.payload.prompt == "INOCULUM-VIABILITY-1"
        else replace(fact, payload=replace(fact.payload, prompt=PromptId("NOBODY-ASKED-1")))
        if isinstance(fact.payload, PromptAnswered) and fact.payload.prompt == "MEDIUM-LOT-1"
        else fact
        for fact in facts
    ]
    found = executed_record(wrong)
    assert [line.text for line in found.exceptions(Exceptional.LIMIT)] == ["answer to INOCULUM-VIABILITY-1: 12, by P-ANA; asked for 90 to 100 %"]
    assert [line.text for line in found.exceptions(Exceptional.RECORD)] == [
        "answer to NOBODY-ASKED-1: MED-0042, by P-ANA; no such question was asked"
    ]
    assert [line.text.partition(":")[0] for line in found.exceptions(Exceptional.OPEN)] == ["MEDIUM-LOT-1"]


def test_an_answer_that_took_longer_than_a_shift_is_late(floor):
    facts = floor.facts
    at = next(at for at, fact in enumerate(facts) if isinstance(fact.payload, PromptAnswered))
    late = [fact if n < at else replace(fact, moment=replace(fact.moment, at=fact.at + timedelta(hours=9))) for n, fact in enumerate(facts)]
    assert [line.text for line in executed_record(late).exceptions(Exceptional.LATE)] == [
        "answer to MEDIUM-LOT-1: MED-0042, by P-ANA, 9.5 h after it was asked"
    ]


def test_a_result_outside_its_specification_is_an_exception_with_its_limit():
    published = SpecificationPublished(SPECIFICATION.product, SPECIFICATION.version, "0" * 64, SPECIFICATION_TEXT)
    told = [(led, actor, result("hmw", 9.0) if getattr(p, "attribute", "") == "hmw" else p) for led, actor, p in story()]
    found = record([*told, (THEIRS, told[0][1], published)])
    (line,) = found.exceptions(Exceptional.LIMIT)
    assert line.text.endswith("9 %, limit ≤ 5 %")
    assert [each.judged.verdict for each in found.results].count("fail") == 1
    assert "does not comply" in as_html(found)


SPECIFICATION_TEXT = (Path(__file__).parents[2] / "src/isogenic/sim/documents/mab-a.specification.yaml").read_text()


def test_colonies_on_a_plate_stand_beside_the_limit_of_their_grade_and_growth_in_grade_a_is_an_exception():
    analyst = noted(story())[-3].actor
    plates = [(OURS, analyst, replace(result("titre"), attribute=name, value=count, unit="1")) for name, count in PLATES]
    found = record([*story(), *plates])
    assert [line.text for line in found.exceptions(Exceptional.LIMIT)] == ["settle plate, grade A: 1, no growth: action, EU GMP Annex 1, table 6"]
    page = as_html(found)
    assert all(each in page for each in ("above the action limit", "≤ 5 CFU", "no limit set"))


PLATES = (("settle_plate_a", 1.0), ("glove_print_b", 5.0), ("glove_print_c", 40.0))


def test_a_record_that_lacks_a_fact_says_so():
    told = story()
    short = [each for each in told if not isinstance(each[2], SetpointsCommanded)]
    found = record(short)
    (line,) = found.exceptions(Exceptional.RECORD)
    assert line.text == f"closed as complete with 10 facts; {found.facts} were read for this record"
    assert "9 read: NOT complete" in as_text(found)


def test_a_ledger_that_was_not_witnessed_far_enough_says_so():
    assert "all of this record" in as_text(record())
    behind = executed_record(noted(story()), held=(replace(HELD[0], witnessed=12),))
    assert "12 facts: NOT all of this record, which ends at 19" in as_text(behind)


def test_signatures_stand_with_printed_name_time_and_meaning():
    found = record()
    assert [(each.signature.printed_name, each.signature.meaning, each.where) for each in found.signatures] == [
        ("Inês Duarte", "disposed", "C0"),
        ("Inês Duarte", "reviewed", "C1"),
    ]
    page = " ".join("".join(parser.fromstring(as_html(found)).itertext()).split())
    assert "Inês Duarte" in page and "2026-11-24 09:30:00" in page and "21 CFR 11.50" in page


def test_another_batch_in_the_same_ledger_changes_nothing():
    from isogenic.batches.facts import AlarmRaised
    from isogenic.ids import BatchId

    stranger = (OURS, story()[0][1], AlarmRaised(BatchId("BAT-OTHER"), "grow", "not ours"))
    with_stranger = executed_record(noted([*story()[:20], stranger, *story()[20:]]), held=HELD)
    assert "not ours" not in as_text(with_stranger)
    assert with_stranger.lines == record().lines


# ---- set-points beside readings ----


def test_a_set_point_stands_beside_what_the_readings_say_was_reached():
    found = record()
    times = [START + timedelta(hours=hour) for hour in range(100, 106)]
    values = np.array([[30.0], [36.0], [36.8], [np.nan], [36.9], [36.7]])
    quality = np.array([[0], [0], [0], [2], [0], [1]], dtype=np.uint8)
    data, sealed = seal(batch=BATCH, tags=["BR-200.temperature"], units=["degC"], times=times, values=values, quality=quality)
    found = replace(found, blocks=((sealed, "11"),))
    (run,) = with_readings(found, {sealed.digest: data}.__getitem__).steps[0].setpoints
    # It was commanded 100.4 h after the start: the first reading is before it.
    assert (run.reached.mean, run.reached.low, run.reached.high, run.reached.last) == (pytest.approx(36.5667, abs=1e-4), 36.0, 36.9, 36.9)
    assert (run.reached.good, run.reached.others) == (3, 2)


def test_particles_stand_beside_the_limit_of_grade_a():
    times = [START + timedelta(hours=hour) for hour in range(100, 105)]
    values = np.array([[1.0, 100.0], [2.0, 200.0], [40.0, 4_000.0], [np.nan, 300.0], [29.0, 3_520.0]])
    quality = np.where(np.isnan(values), 2, 0).astype(np.uint8)
    tags = ["BR-200.particles_5_0", "BR-200.particles_0_5"]
    data, sealed = seal(batch=BATCH, tags=tags, units=["1/m^3", "1/m^3"], times=times, values=values, quality=quality)
    found = with_readings(replace(record(), blocks=((sealed, "11"),)), {sealed.digest: data}.__getitem__)
    assert [(each.signal, each.highest, each.limit, each.above, each.good, each.others) for each in found.air] == [
        ("particles_0_5", 4_000.0, 3_520.0, 1, 5, 0),
        ("particles_5_0", 40.0, 29.0, 1, 4, 1),
    ]
    assert "Air around open product" in as_html(found) and "Air around open product" not in as_html(record())


def test_a_block_that_is_not_at_hand_is_said():
    def nowhere(digest: str) -> bytes:
        raise NotFound("no block", why="gone")

    assert "1 of 1 reading blocks are not at hand" in as_text(with_readings(record(), nowhere))


# ---- its forms ----


def test_the_same_record_gives_the_same_bytes():
    once, again = as_pdf(record()), as_pdf(record())
    assert once == again
    assert once.startswith(b"%PDF-1.7") and b"pdfaid" in once and b"/AFRelationship" in once
    assert as_html(record()) == as_html(record())


def test_text_and_page_hold_the_same_words():
    found = record()
    body = parser.fromstring(as_html(found)).find("body")
    page = sorted(each.lower() for each in re.findall(r"[^\W_]+", " ".join(body.itertext())))
    text = sorted(each.lower() for each in re.findall(r"[^\W_]+", as_text(found)))
    assert {word for word in page if len(word) < 8} == {word for word in text if len(word) < 8}  # longer ones may be broken over lines


def test_the_page_brings_no_script_and_fetches_nothing():
    page = parser.fromstring(as_html(record()))
    assert page.xpath("//script | //img | //link | //iframe | //@src | //@onclick | //@href") == []
    assert page.xpath("//meta[@http-equiv='Content-Security-Policy']/@content") == ["default-src 'none'; style-src 'unsafe-inline'"]


@pytest.mark.parametrize("text", MARKUP)
def test_texts_of_people_are_never_markup(text):
    told = [(ledger, actor, replace(payload, answer=text) if isinstance(payload, PromptAnswered) else payload) for ledger, actor, payload in story()]
    found = record(told)
    assert as_pdf(found).startswith(b"%PDF")
    page = parser.fromstring(as_html(found))
    assert page.xpath("//script") == []
    assert " ".join(text.split()) in " ".join("".join(page.itertext()).split())
    assert text.split()[0] in as_text(found)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=4), st.text(max_size=20))
def test_any_text_sets_in_every_form(said, title):
    # The three forms take blocks of any text whatever; what reaches them from facts is cut to one line before (words.one_line).
    from isogenic.quality.executed.blocks import Column

    blocks = [Heading(title or "x"), Paragraph(said[0]), Table((Column("a", 1.0),), tuple((cell(each),) for each in said))]
    assert blocks_text("t", blocks)
    page = parser.fromstring(blocks_html("t", "b", blocks).encode())
    assert page.xpath("//script | //@onload") == [] and len(page.xpath("//td")) == len(said)
    assert blocks_pictures("t", "b", blocks, ppi=10)[0].startswith(b"\x89PNG")


def test_any_text_makes_an_archivable_pdf():
    signs = "".join(chr(code) for code in (*range(1, 0x600), 0x200B, 0x202E, 0x2066, 0xFEFF, 0xFFFE, 0x1F600, 0x10FFFF))
    blocks = [Paragraph(signs[at : at + 64]) for at in range(0, len(signs), 64)]
    assert blocks_pdf("t", "b", blocks, at=START).startswith(b"%PDF")


def test_a_long_word_stays_on_the_page():
    found = record([(ledger, actor, replace(p, answer="W" * 200) if isinstance(p, PromptAnswered) else p) for ledger, actor, p in story()])
    assert len(as_pictures(found, ppi=20)) >= 3  # it sets; that nothing leaves the page is looked at by eye


def test_a_list_too_long_is_cut_and_says_so(floor):
    found = executed_record(floor.facts)
    many = replace(found, lines=found.lines + tuple(replace(found.exceptions(Exceptional.ALARM)[0], where=str(n)) for n in range(2_500)))
    page = as_text(many)
    assert "501 more lines are in the ledger, from 1999 to 2499." in page
    assert "2501, the first 5 here, all of them below" in page


def test_whoever_answers_is_named_as_printed():
    assert record().people["OLA-BERG"] == ""  # no directory is among these facts
    assert str(PersonId("OLA-BERG")) in as_text(record())
    assert LOT in as_text(record())


def test_a_page_of_a_record_is_a_picture():
    pages = as_pictures(record(), ppi=30)
    assert len(pages) >= 3 and all(page.startswith(b"\x89PNG") for page in pages)
    assert len({io.BytesIO(page).getvalue() for page in pages}) == len(pages)
