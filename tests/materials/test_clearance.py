"""Line clearance: the state table walked, two people, results, holds, and an uncleared line refused."""

from __future__ import annotations

from datetime import timedelta

import pytest
from materials_setup import ANNE, BORIS, CART, LEA, LOT, MAB, MATRIX, MIR, NOW, SPONSOR, UNIT, noted

from isogenic.checks import Severity, stops
from isogenic.errors import NotAllowed, NotValid
from isogenic.ids import BatchId, LotId, ProductId
from isogenic.materials import clearance
from isogenic.materials.changeover import Occupant, read_matrix
from isogenic.materials.clearance import (
    NEXT,
    Line,
    LineAssigned,
    LineEvent,
    LineLeft,
    LineState,
    LineStepDone,
    LineTaken,
    check_line_is_clear,
    check_step,
    state_of,
    steps_of,
)

BATCH, NEXT_LOT = BatchId("BAT-1"), LotId("LOT-0002")
BIOREACTOR = "stirred_bioreactor"
READ = read_matrix(MATRIX)
TICKED = ("Nothing of the last batch is on the line", "No label of the last batch is in the room")


class Floor:
    """One line, its facts and the clock."""

    def __init__(self) -> None:
        self.lines, self.now, self.installed = {}, NOW, False

    @property
    def line(self) -> Line:
        return self.lines.get(UNIT, Line())

    @property
    def state(self) -> LineState:
        return state_of(self.line, READ, equipment=BIOREACTOR, installed=self.installed, now=self.now)

    def note(self, payload) -> None:
        (fact,) = noted(payload, at=self.now)
        self.lines = clearance.apply(self.lines, fact)

    def assign(self, lot=LOT, product=MAB, patient=None) -> None:
        self.installed = False
        self.note(LineAssigned(UNIT, self.line.change + 1, lot, product, SPONSOR, self.now + timedelta(days=15), LEA, patient))

    def step(self, step, by, *, ticked=(), value=None, unit="", evidence="") -> None:
        said = LineStepDone(UNIT, self.line.change, step, by, ticked, value, unit, evidence)
        check_step(self.line, READ.cell(BIOREACTOR, self.line.last, self.line.following), said)
        self.note(said)

    def clear(self) -> None:
        for by in (LEA, MIR):
            self.step("clear clearance", by, ticked=TICKED)
        self.installed = True

    def take(self, lot=LOT, product=MAB, patient=None) -> None:
        self.note(LineTaken(UNIT, BATCH, lot, product, SPONSOR, patient))

    def leave(self) -> None:
        self.note(LineLeft(UNIT, BATCH))

    def used(self, product=MAB, patient=None) -> Floor:
        self.take(product=product, patient=patient)
        self.leave()
        return self

    def against(self, lot=LOT, product=MAB, patient=None, *, matrix=READ):
        occupant = Occupant(lot, product, SPONSOR, patient)
        notes = check_line_is_clear(UNIT, occupant, line=self.line, matrix=matrix, equipment=BIOREACTOR, installed=self.installed, now=self.now)
        return [note.text.replace(f" ({clearance.CLAUSE})", "") for note in stops(notes)]


def test_the_state_table_is_what_a_line_goes_through():
    floor = Floor()
    ways = {
        LineEvent.ASSIGN: floor.assign,
        LineEvent.FINISH: floor.clear,
        LineEvent.TAKE: floor.take,
        LineEvent.LEAVE: floor.leave,
        LineEvent.LAPSE: lambda: setattr(floor, "now", floor.now + timedelta(hours=72)),
    }
    assert floor.state is LineState.CLEAR
    walked = set()
    events = ["assign", "assign", "finish", "assign", "finish", "lapse", "assign", "finish", "take", "leave", "assign", "finish", "take", "leave"]
    for event in map(LineEvent, events):
        before = floor.state
        ways[event]()
        assert floor.state is NEXT[before][event], (before, event)
        walked.add((before, event))
    assert walked == {(state, event) for state, row in NEXT.items() for event in row}


def test_a_line_that_nobody_cleared_is_refused_with_the_clause():
    floor = Floor().used()
    (note,) = check_line_is_clear(
        UNIT, Occupant(NEXT_LOT, MAB, SPONSOR), line=floor.line, matrix=READ, equipment=BIOREACTOR, installed=False, now=NOW
    )
    assert (note.severity, note.check) == (Severity.STOP, "check_line_is_clear")
    assert note.text == f"BR-50 is not cleared for LOT-0002: it is not being made ready for any lot ({clearance.CLAUSE})"
    assert "21 CFR 211.67(b)" in clearance.CLAUSE


def test_line_clearance_takes_two_people_each_with_the_whole_checklist():
    floor = Floor().used()
    floor.assign(NEXT_LOT)
    floor.installed = True
    assert floor.against(NEXT_LOT) == ["BR-50 is not cleared for LOT-0002: Line clearance, checklist clearance: 2 of 2 people"]
    with pytest.raises(NotAllowed, match="not everything on its checklist is ticked: No label of the last batch"):
        floor.step("clear clearance", LEA, ticked=TICKED[:1])
    floor.step("clear clearance", LEA, ticked=TICKED)
    assert floor.against(NEXT_LOT) == ["BR-50 is not cleared for LOT-0002: Line clearance, checklist clearance: 1 of 2 people"]
    with pytest.raises(NotAllowed, match="another person"):
        floor.step("clear clearance", LEA, ticked=TICKED)
    floor.step("clear clearance", MIR, ticked=TICKED)
    assert floor.against(NEXT_LOT) == []


def test_a_cleaning_needs_its_result_within_the_limit_and_a_hold_its_time():
    floor, other = Floor().used(), ProductId("MAB-B")
    floor.assign(NEXT_LOT, other)
    floor.clear()
    clean = "clean CIP-3"
    with pytest.raises(NotValid, match="verified by its result, toc"):
        floor.step(clean, LEA)
    with pytest.raises(NotAllowed, match=r"toc 0\.6 mg/L is above its limit, 500 ug/L"):
        floor.step(clean, LEA, value=0.6, unit="mg/L", evidence="SMP-9")
    with pytest.raises(NotAllowed, match="the clock does"):
        floor.step("hold", LEA)
    assert floor.against(NEXT_LOT, other)[-1] == "BR-50 is not cleared for LOT-0002: Hold for 2 h: what stands before it"
    floor.now += timedelta(hours=1)
    floor.step(clean, LEA, value=0.4, unit="mg/L", evidence="SMP-9")
    assert floor.against(NEXT_LOT, other) == ["BR-50 is not cleared for LOT-0002: Hold for 2 h: it lasts until 2026-03-02 09:00 UTC"]
    floor.now += timedelta(hours=2)
    assert floor.against(NEXT_LOT, other) == []
    floor.now += timedelta(hours=24)
    assert "its clearance lapsed at 2026-03-03 09:00 UTC" in floor.against(NEXT_LOT, other)[0]


def test_a_line_cleared_for_one_lot_is_not_cleared_for_another():
    floor = Floor()
    floor.assign(product=CART, patient=ANNE)
    floor.clear()
    assert floor.against(product=CART, patient=ANNE) == []
    assert floor.against(product=CART, patient=BORIS) == ["BR-50 is not cleared for LOT-0001: it is being made ready for another product or patient"]
    assert floor.against(NEXT_LOT, CART, ANNE) == ["BR-50 is not cleared for LOT-0002: it is being made ready for LOT-0001"]


def test_what_was_done_before_the_batch_or_for_another_lot_counts_for_nothing():
    floor = Floor()
    floor.assign()
    floor.clear()
    floor.assign(NEXT_LOT)
    assert {each.done for each in steps_of(floor.line, READ.cell(BIOREACTOR, None, floor.line.following), installed=False, now=NOW)} == {False}
    floor.clear()
    late = LineStepDone(UNIT, 1, "clear clearance", MIR, TICKED)  # of the changeover before
    floor.assign(NEXT_LOT)
    floor.note(late)
    assert floor.line.done == ()


def test_a_line_in_use_is_nobody_elses_and_a_forbidden_changeover_is_never_cleared():
    floor = Floor()
    floor.take()
    assert floor.against(NEXT_LOT) == ["BR-50 is not cleared for LOT-0002: BAT-1 is on it"]
    floor.leave()
    floor.assign(NEXT_LOT, CART, ANNE)
    floor.installed = True
    assert floor.against(NEXT_LOT, CART, ANNE) == ["BR-50 is not cleared for LOT-0002: cells are not made where a culture grew"]


def test_without_a_released_matrix_only_the_first_batch_of_a_line_may_start():
    floor = Floor()
    assert floor.against(matrix=None) == []
    floor.used()
    assert floor.against(NEXT_LOT, matrix=None) == [
        "BR-50 is not cleared for LOT-0002: no changeover matrix has reached this site; "
        "two people sign one at the control site, on its page of materials"
    ]


def test_a_batch_that_was_not_on_the_line_cannot_leave_it():
    floor = Floor()
    floor.take()
    floor.note(LineLeft(UNIT, BatchId("BAT-9")))
    assert floor.state is LineState.IN_USE
