"""A batch whose facts were noted before recipes had charts adds up to what it added up to then, and goes on from there.

`reference/batch_facts_v1.json` holds the facts as bytes, what the software of that time made of every beginning of them, and
what it found due in the middle of production. `batch.started`, `phase_started`, `prompt_asked`, `prompt_answered` and
`alarm_raised` are of version 1 in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from isogenic.batches import engine
from isogenic.batches.engine import BatchState
from isogenic.plant.readings import Quality, Reading
from isogenic.records import codec
from isogenic.records.facts import decode_fact

OLD = json.loads((Path(__file__).parents[1] / "reference" / "batch_facts_v1.json").read_text())


def folded(bodies: Iterable[str]) -> BatchState:
    state: BatchState | None = None
    for body in bodies:
        state = engine.apply(state, decode_fact(body.encode()))
    assert state is not None
    return state


def bare(state: BatchState, table: Any) -> dict[str, Any]:
    return {tag.removeprefix(f"{state.unit}."): value for tag, value in table.items()}


def as_told_then(state: BatchState) -> dict[str, Any]:
    """The same words as the software of that time was asked for."""
    active = next(iter(state.active.values()), None)
    return {
        "state": str(state.state),
        "facts": state.facts,
        "phase": active.name if active else "",
        "phase_since": active.since.isoformat() if active else "",
        "runs": dict(state.runs),
        "setpoints": bare(state, state.setpoints),
        "doses": {name: [dose.number, dose.amount, dose.window] for name, dose in bare(state, state.doses).items()},
        "window": active.window if active else 0,
        "lost": {name: [each.at.isoformat(), each.alarmed] for name, each in active.lost.items()} if active else {},
        "timed_out": active.timed_out if active else False,
        "asked": list(state.asked),
        "answers": {prompt: said.answer for prompt, said in state.answers.items()},
        "monitored_since": state.monitored_since.isoformat() if state.monitored_since else "",
        "monitored_until": state.monitored_until.isoformat() if state.monitored_until else "",
        "closed": state.closed,
    }


def test_the_facts_are_of_that_time() -> None:
    facts = [decode_fact(body.encode()) for body in OLD["facts"]]
    first = {"batch.started", "batch.phase_started", "batch.prompt_asked", "batch.prompt_answered", "batch.alarm_raised"}
    assert {fact.kind for fact in facts if fact.version == 1} >= first
    assert {"batch.signal_lost", "batch.signal_returned", "batch.clock_corrected", "batch.closed"} <= {fact.kind for fact in facts}


@pytest.mark.parametrize("count", OLD["states"], ids=lambda count: f"after {count} facts")
def test_old_facts_add_up_to_what_they_did(count: str) -> None:
    assert as_told_then(folded(OLD["facts"][: int(count)])) == OLD["states"][count]


def test_a_batch_of_that_time_goes_on_as_it_would_have() -> None:
    then = OLD["next"]
    state = folded(OLD["facts"][: then["after"]])
    seen = {name: Reading(float("nan"), Quality.BAD) if value is None else Reading(value, Quality.GOOD) for name, value in then["seen"].items()}
    due = engine.step(state, {state.unit: seen}, datetime.fromisoformat(then["at"]))
    assert bare(state, engine.outputs(state)) == then["outputs"]
    assert [type(payload).__name__ for payload in due] == [kind for kind, _ in then["due"]]
    for payload, (_, body) in zip(due, then["due"], strict=True):
        assert body.items() <= codec.plain(payload).items()  # and what was added since
