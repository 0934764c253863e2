"""The executed record is a page under review, and says everything that was done."""

from __future__ import annotations

from pathlib import Path

import pytest

from isogenic.batches.engine import command
from isogenic.batches.record import executed_record, record_text
from isogenic.batches.states import Command, State
from isogenic.errors import NotFound

GOLDEN = Path(__file__).parent / "golden"


def eventful(floor):
    """A batch with a hold, a lost signal and an alarm."""
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


def test_the_record_of_an_eventful_batch_reads_as_reviewed(floor):
    eventful(floor)
    assert record_text(executed_record(floor.facts)) == (GOLDEN / "executed_record.txt").read_text()


def test_every_fact_of_the_batch_is_in_the_record(floor):
    eventful(floor)
    record = executed_record(floor.facts)
    assert record.facts == len(floor.ledger) == record.closed.facts
    shown = record.states + tuple(entry for phase in record.phases for entry in phase.setpoints + phase.doses + phase.events)
    answers = sum(2 for phase in record.phases for _ in phase.prompts)
    assert len(shown) + answers + 2 * len(record.phases) + 2 == record.facts  # begun and ended phases; started and closed
    assert record.alarms == 1
    assert record.closed.outcome is State.COMPLETE


def test_a_running_batch_has_a_record_too(floor):
    floor.run_to("inoculate")
    record = executed_record(floor.facts)
    assert record.closed is None
    assert record.phases[-1].ended is None
    assert "not answered" in str(record)


def test_no_batch_no_record():
    with pytest.raises(NotFound):
        executed_record([])
