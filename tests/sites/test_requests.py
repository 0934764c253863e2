"""What people ask of a site: done with the facts that follow, or refused with every reason."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from isogenic.authority.people import Person
from isogenic.batches import engine
from isogenic.batches.facts import BatchStarted, PromptAnswered, StateChanged
from isogenic.batches.states import Command, State
from isogenic.checks import Severity, stops
from isogenic.clock import ManualClock
from isogenic.errors import NotAllowed, NotFound, NotValid
from isogenic.ids import BatchId, LotId, PersonId, PromptId, RecipeId, SampleId, SeededMint, UnitId
from isogenic.laboratory.results import ResultReported, SampleDrawn
from isogenic.materials.clearance import LineTaken
from isogenic.materials.lots import LotCreated, MaterialUsed
from isogenic.sites import requests
from isogenic.sites.facts import BatchRefused
from isogenic.sites.state import SiteState
from small_network import ANA, LEEDS, LOT, OPERATORS, RECIPE, START, UNITS, Network

NOW = ManualClock(START + timedelta(hours=12)).now()


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> SiteState:
    """A site that has accepted the recipe."""
    net = Network(tmp_path_factory.mktemp("ready") / "net")
    asyncio.run(net.publish())
    return net.nodes[LEEDS].state


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> SiteState:
    """A site whose batch waits for its first answer."""
    net = Network(tmp_path_factory.mktemp("running") / "net")
    asyncio.run(net.publish())
    net.start_batch()
    asyncio.run(net.scan())
    return net.nodes[LEEDS].state


def lea(state: SiteState) -> Person:
    return requests.person_here(state, OPERATORS[LEEDS])


def start(state: SiteState, person: Person, *, unit: UnitId = UNITS[LEEDS], lot: LotId = LOT, version: int = 1):  # type: ignore[no-untyped-def]
    return requests.start_batch(state, person, recipe=RECIPE, version=version, unit=unit, lot=lot, mint=SeededMint(3), now=NOW)


# ---- starting ----


def test_a_batch_starts_with_its_lot_its_recipe_and_who_started_it(ready: SiteState) -> None:
    payloads, notes = start(ready, lea(ready))
    assert [type(each) for each in payloads] == [LotCreated, BatchStarted, StateChanged, LineTaken]
    assert stops(notes) == []
    assert notes[-1].severity is Severity.GOOD
    assert (payloads[1].lot, payloads[1].unit, payloads[1].by) == (LOT, UNITS[LEEDS], OPERATORS[LEEDS])
    assert payloads[0].batch == payloads[1].batch == payloads[1].control.batch


def test_a_start_is_refused_with_every_reason_and_the_refusal_is_a_fact(ready: SiteState) -> None:
    stranger = replace(requests.person_here(ready, ANA), sites=())
    key = (RECIPE, 1)
    unready = replace(ready, accepted={}, published={key: replace(ready.published[key], approvals=ready.published[key].approvals[:1])})
    payloads, notes = start(unready, stranger)
    assert [type(each) for each in payloads] == [BatchRefused]
    reasons = payloads[0].reasons
    assert reasons == tuple(note.text for note in stops(notes))
    assert "LEEDS has not accepted MAB-FB version 1" in reasons
    assert "nobody who may has signed the recipe as approved" in reasons
    assert any("Ana Whitlock" in reason or "analyst" in reason for reason in reasons)
    assert (payloads[0].lot, payloads[0].unit, payloads[0].asked_by) == (LOT, UNITS[LEEDS], ANA)


def test_a_unit_that_is_taken_starts_no_second_batch(running: SiteState) -> None:
    payloads, _ = start(running, lea(running), lot=LotId("LOT-0002"))
    holder = next(iter(running.batches))
    assert [type(each) for each in payloads] == [BatchRefused]
    assert payloads[0].reasons == (f"BR-50 is taken by {holder}",)


def test_a_version_that_is_not_the_newest_starts_nothing(ready: SiteState) -> None:
    newer = replace(ready.published[(RECIPE, 1)], version=2)
    payloads, _ = start(replace(ready, published={**ready.published, (RECIPE, 2): newer}), lea(ready))
    assert payloads[0].reasons == ("MAB-FB version 1 is not effective",)


def test_a_lot_number_is_used_once(running: SiteState) -> None:
    with pytest.raises(NotValid, match="yields that lot already"):
        start(running, lea(running))


def test_what_is_not_there_is_not_found(ready: SiteState) -> None:
    with pytest.raises(NotFound, match="no unit SB-9"):
        start(ready, lea(ready), unit=UnitId("SB-9"))
    with pytest.raises(NotFound, match="MAB-FB version 1"):
        start(ready, lea(ready), version=7)
    with pytest.raises(NotFound):
        requests.start_batch(ready, lea(ready), recipe=RecipeId("X"), version=1, unit=UNITS[LEEDS], lot=LOT, mint=SeededMint(1), now=NOW)


def test_before_the_directory_is_here_nobody_can_act(ready: SiteState) -> None:
    with pytest.raises(NotAllowed, match="has not reached this site yet"):
        requests.person_here(replace(ready, directory=None), OPERATORS[LEEDS])
    with pytest.raises(NotFound):
        requests.person_here(ready, PersonId("NOBODY"))


# ---- answers and commands ----


def test_an_answer_within_its_limits_is_a_fact_of_that_person(running: SiteState) -> None:
    batch, state = next(iter(running.batches.items()))
    (asked,) = engine.open_prompts(state)
    assert requests.answer_prompt(running, lea(running), batch=batch, prompt=asked.prompt, answer=" MED-7 ") == [
        PromptAnswered(batch, asked.prompt, "MED-7", OPERATORS[LEEDS]),
        MaterialUsed(state.lot, batch, "medium", "MED-7"),  # the answer to a lot prompt is the lot's genealogy
    ]


def test_an_answer_by_somebody_of_another_site_or_to_no_question_is_refused(running: SiteState) -> None:
    batch, state = next(iter(running.batches.items()))
    (asked,) = engine.open_prompts(state)
    gus = requests.person_here(running, PersonId("GUS"))
    with pytest.raises(NotAllowed):
        requests.answer_prompt(running, gus, batch=batch, prompt=asked.prompt, answer="MED-7")
    with pytest.raises(NotFound):
        requests.answer_prompt(running, lea(running), batch=batch, prompt=PromptId("WHAT-1"), answer="MED-7")
    with pytest.raises(NotFound, match=f"possible now: {batch}"):
        requests.answer_prompt(running, lea(running), batch=BatchId("BAT-0"), prompt=asked.prompt, answer="MED-7")
    with pytest.raises(NotValid):
        requests.answer_prompt(running, lea(running), batch=batch, prompt=asked.prompt, answer="")


def test_a_command_needs_a_reason_and_a_state_that_takes_it(running: SiteState) -> None:
    batch = next(iter(running.batches))
    with pytest.raises(NotValid, match="needs a reason"):
        requests.command_batch(running, lea(running), batch=batch, command=Command.HOLD, why="  ")
    with pytest.raises(NotAllowed, match="possible now"):
        requests.command_batch(running, lea(running), batch=batch, command=Command.RESTART, why="it is time")
    held = requests.command_batch(running, lea(running), batch=batch, command=Command.HOLD, why="the bag leaks ")
    assert held[0] == StateChanged(batch, State.HOLDING, Command.HOLD, "the bag leaks")


# ---- results ----


def result(state: SiteState, person: Person, **changes: object):  # type: ignore[no-untyped-def]
    said = {"sample": SampleId("SMP-1"), "lot": LOT, "attribute": "titre", "value": 4.2, "unit": "g/L", "method": "Protein A HPLC"} | changes
    return requests.report_result(state, person, **said)  # type: ignore[arg-type]


def test_the_first_result_of_a_sample_notes_the_sample_too(running: SiteState) -> None:
    drawn, reported = result(running, requests.person_here(running, ANA))
    batch = next(iter(running.batches))
    assert drawn == SampleDrawn(SampleId("SMP-1"), batch, LOT, "harvest")
    assert reported == ResultReported(SampleId("SMP-1"), batch, LOT, "titre", 4.2, "g/L", "Protein A HPLC", "")
    later = replace(running, samples={drawn.sample: drawn}, results=(reported,))
    assert [type(each) for each in result(later, requests.person_here(running, ANA), attribute="hmw", unit="%")] == [ResultReported]
    with pytest.raises(NotAllowed, match="reported already"):
        result(later, requests.person_here(running, ANA))


def test_results_that_cannot_be_are_refused(running: SiteState) -> None:
    ana = requests.person_here(running, ANA)
    with pytest.raises(NotAllowed):
        result(running, lea(running))
    with pytest.raises(NotFound, match="LOT-9"):
        result(running, ana, lot=LotId("LOT-9"))
    with pytest.raises(NotFound, match="charm"):
        result(running, ana, attribute="charm")
    with pytest.raises(NotValid):
        result(running, ana, unit="kg")
    with pytest.raises(NotValid):
        result(running, ana, value=float("nan"))
    with pytest.raises(NotAllowed, match="no specification"):
        result(replace(running, specifications={}), ana)
    other = SampleDrawn(SampleId("SMP-1"), BatchId("BAT-1"), LotId("LOT-7"), "harvest")
    with pytest.raises(NotValid, match="was drawn from LOT-7"):
        result(replace(running, samples={other.sample: other}), ana)


def test_nothing_that_is_asked_changes_the_state(running: SiteState, tmp_path: Path) -> None:
    before = replace(running)
    start(running, lea(running), lot=LotId("LOT-0002"))
    result(running, requests.person_here(running, ANA))
    assert running == before
