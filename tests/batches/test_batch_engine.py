"""The engine: a whole batch, a crash at any moment, holds, lost signals, doses, questions."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_floor import ANSWERS, START, Floor, control_of, outputs, step

from isogenic.batches.engine import answer, apply, command, open_prompts
from isogenic.batches.facts import (
    AlarmRaised,
    BatchClosed,
    DoseCommanded,
    DoseNotNeeded,
    PhaseStarted,
    SetpointsCommanded,
    SignalLost,
    SignalReturned,
    StateChanged,
    TotalRestarted,
)
from isogenic.batches.states import Command, State
from isogenic.errors import NotAllowed, NotFound, NotValid
from isogenic.ids import PersonId, PromptId
from isogenic.recipes.model import Then
from isogenic.records.facts import Actor, Fact, FactRef

ANA = PersonId("P-ANA")


def of(floor, kind):
    return [fact.payload for fact in floor.facts if isinstance(fact.payload, kind)]


# --- a whole batch ------------------------------------------------------------------------------


@pytest.mark.parametrize("site", ["leeds", "ghent", "porto"])
def test_a_whole_batch_runs_to_its_end(site):
    floor = Floor(control_of(site))
    floor.start()
    floor.run_to_end()
    assert [each.phase for each in of(floor, PhaseStarted)] == ["charge_medium", "condition", "inoculate", "growth", "production", "harvest"]
    assert [each.run for each in of(floor, PhaseStarted)] == [1] * 6
    closed = floor.facts[-1].payload
    assert closed == BatchClosed(floor.control.batch, floor.control.lot, State.COMPLETE, len(floor.facts))
    assert floor.batch.over
    assert step(floor.batch, floor.plant.seen(), floor.now) == []


def test_the_vessel_never_holds_more_than_its_working_volume(floor):
    highest = 0.0
    while not floor.batch.closed:
        floor.scan()
        floor.answer_all()
        highest = max(highest, floor.plant.values["vessel_weight"] / 1.02)
    assert 0.9 * floor.control.working_volume < highest <= floor.control.working_volume


def test_medium_and_seed_fill_the_initial_volume(floor):
    floor.run_to("growth")
    medium, seed = of(floor, DoseCommanded)
    assert (medium.dose, medium.amount, medium.unit) == ("medium_dose", 25.2, "L")
    assert (seed.dose, seed.amount) == ("seed_dose", 2.8)  # 5e6/mL into 25.2 L gives 0.5e6/mL in 28.0 L
    assert medium.amount + seed.amount == pytest.approx(0.70 * floor.control.working_volume)


def test_monitored_time_spans_growth_and_production(floor):
    floor.run_to("growth")
    since = floor.batch.monitored_since
    assert since == floor.batch.phase_since and floor.batch.monitored_until is None
    floor.run_to("harvest")
    assert floor.batch.monitored_since == since
    assert floor.batch.monitored_until == since + timedelta(days=14)


# --- crash at any moment --------------------------------------------------------------------------


def test_a_crash_between_any_two_facts_changes_no_fact(control):
    calm, rough = Floor(control), Floor(control)
    calm.start()
    calm.run_to_end()
    rough.start()
    rough.kill()
    while not rough.batch.closed:
        killed_scan(rough, after=1)  # every scan dies after each single fact, before anything is written
        rough.answer_all()
    assert rough.ledger == calm.ledger  # the same bytes, so the same facts at the same times in the same order
    assert rough.plant.executions == calm.plant.executions


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_a_crash_after_any_number_of_facts_changes_no_fact(data):
    control = control_of("leeds")
    calm, rough = Floor(control), Floor(control)
    calm.start()
    rough.start()
    for _ in range(60):
        calm.scan(hours=6)
        calm.answer_all()
        killed_scan(rough, after=data.draw(st.integers(0, 4)), hours=6)
        rough.answer_all()
    assert rough.ledger == calm.ledger
    assert rough.plant.executions == calm.plant.executions


def killed_scan(floor, *, after, hours=0.5):
    """A scan in which the node dies after `after` facts, again and again, until one scan has nothing left to note."""
    while due := step(floor.batch, floor.plant.seen(), floor.now)[: after or None]:
        floor.note(due)
        floor.kill()
    floor.scan(hours=hours)


def test_writing_the_same_outputs_again_executes_no_dose_again(floor):
    floor.run_to("growth")
    before = list(floor.plant.executions)
    for _ in range(3):
        floor.kill()
        floor.plant.write(outputs(floor.batch))
    assert floor.plant.executions == before


def test_outputs_come_from_noted_facts_only(floor):
    due = step(floor.batch, floor.plant.seen(), floor.now)
    assert any(isinstance(payload, SetpointsCommanded) for payload in due)
    assert outputs(floor.batch) == {}  # decided, not yet noted: nothing may be written
    floor.note(due)
    assert outputs(floor.batch) == {"agitation_sp": 140.0, "feed_flow_sp": 0.0}


def test_the_same_facts_give_the_same_state(floor):
    floor.run_to("harvest")
    state = floor.batch
    floor.kill()
    assert floor.batch == state


def test_facts_of_other_rooms_count_and_change_nothing_else(floor):
    floor.run_to("condition")
    before = floor.batch
    strange = Fact(FactRef("x", 9), "monitoring.started", 1, str(before.batch), Actor.node("LEEDS"), floor.facts[-1].moment, object())
    after = apply(before, strange)
    assert after.facts == before.facts + 1
    assert outputs(after) == outputs(before) and after.state == before.state
    elsewhere = Fact(FactRef("x", 9), "batch.closed", 1, "BAT-OTHER", Actor.node("LEEDS"), floor.facts[-1].moment, object())
    assert apply(before, elsewhere) is before


def test_the_closing_count_includes_what_the_caller_notes_in_the_same_append(floor):
    floor.run_to("harvest")
    floor.note(command(floor.batch, Command.ABORT, why="contaminated"))
    closed = step(floor.batch, floor.plant.seen(), floor.now, noted_before=2)[-1]
    assert closed == BatchClosed(floor.batch.batch, floor.batch.lot, State.ABORTED, len(floor.ledger) + 2 + 2)


def test_a_fold_begins_with_the_start(floor):
    with pytest.raises(NotValid, match="the batch has not started"):
        apply(None, floor.facts[1])


# --- hold, pause, stop ----------------------------------------------------------------------------


def test_a_held_batch_has_the_held_setpoints_and_a_restart_brings_them_back(floor):
    floor.run_to("production")
    floor.scan()
    assert outputs(floor.batch)["feed_flow_sp"] == 35.0
    floor.note(command(floor.batch, Command.HOLD, why="leak at the feed line"))
    assert floor.batch.state is State.HOLDING
    assert outputs(floor.batch)["feed_flow_sp"] == 0.0  # at once, not a scan later
    assert outputs(floor.batch)["temperature_sp"] == 37.0
    floor.scan()
    assert floor.batch.state is State.HELD
    floor.note(command(floor.batch, Command.RESTART, why="line changed"))
    assert outputs(floor.batch)["feed_flow_sp"] == 35.0
    floor.scan()
    assert floor.batch.state is State.RUNNING
    assert [fact.run for fact in of(floor, PhaseStarted) if fact.phase == "production"] == [1]


def test_a_held_batch_gives_no_dose(floor):
    floor.run_to("production")
    floor.note(command(floor.batch, Command.HOLD, why="leak"))
    for _ in range(100):
        floor.scan()
    assert not [fact for fact in of(floor, DoseCommanded) if fact.dose == "glucose_dose"]


def test_a_paused_batch_keeps_its_setpoints_and_begins_nothing(floor):
    floor.run_to("growth")
    floor.note(command(floor.batch, Command.PAUSE, why="shift change"))
    before = outputs(floor.batch)
    for _ in range(200):  # 100 h: growth would be over
        floor.scan()
    assert floor.batch.state is State.PAUSED
    assert floor.batch.current.name == "growth"
    assert outputs(floor.batch) == before
    floor.note(command(floor.batch, Command.RESUME, why="back"))
    floor.scan()
    assert floor.batch.current.name == "production"


@pytest.mark.parametrize(("told", "outcome"), [(Command.STOP, State.STOPPED), (Command.ABORT, State.ABORTED)])
def test_a_batch_that_is_ended_early_is_safe_and_closed(floor, told, outcome):
    floor.run_to("production")
    floor.note(command(floor.batch, told, why="contaminated"))
    floor.scan()
    assert floor.facts[-1].payload == BatchClosed(floor.batch.batch, floor.batch.lot, outcome, len(floor.ledger))
    assert outputs(floor.batch)["feed_flow_sp"] == 0.0
    assert open_prompts(floor.batch) == ()
    with pytest.raises(NotAllowed, match="it is closed"):
        command(floor.batch, Command.RESET, why="again")


# --- time-outs and lost signals -------------------------------------------------------------------


def test_a_question_nobody_answers_holds_the_batch_after_its_timeout(floor):
    for _ in range(60):
        floor.scan()
    assert [alarm.what for alarm in of(floor, AlarmRaised)] == ["charge_medium is not done after 24 h"]
    assert floor.batch.state is State.HELD
    assert [each.prompt for each in open_prompts(floor.batch)] == [PromptId("MEDIUM-LOT-1")]  # it can still be answered
    floor.answer_all()
    floor.note(command(floor.batch, Command.RESTART, why="lot was found"))
    floor.run_to("growth")
    assert len(of(floor, AlarmRaised)) == 1


def test_a_bad_reading_never_satisfies_a_condition(floor):
    floor.plant.bad = {"temperature"}
    for _ in range(20):
        floor.scan()
        floor.answer_all()
    assert floor.batch.current.name == "condition"
    assert [each.signal for each in of(floor, SignalLost)] == ["temperature"]
    floor.plant.bad = set()
    floor.scan()
    assert [each.signal for each in of(floor, SignalReturned)] == ["temperature"]
    assert floor.batch.current.name == "inoculate"


def test_a_signal_that_stays_away_raises_one_alarm(floor):
    floor.run_to("production")
    floor.plant.bad = {"glucose"}
    for _ in range(2 * 24 * 3):
        floor.scan()
    assert [(alarm.what, alarm.signal, alarm.then) for alarm in of(floor, AlarmRaised)] == [("glucose has not been good for 4 h", "glucose", "alarm")]
    assert floor.batch.state is State.RUNNING
    assert not [fact for fact in of(floor, DoseCommanded) if fact.dose == "glucose_dose"]  # a bad reading steers no dose


def test_a_lost_signal_holds_the_batch_where_the_recipe_says_so(control):
    phases = tuple(replace(each, lost_then=Then.HOLD) for each in control.phases)
    floor = Floor(control.with_phases(phases))
    floor.start()
    floor.run_to("production")
    floor.plant.bad = {"glucose"}
    for _ in range(12):
        floor.scan()
    assert floor.batch.state is State.HELD
    told = [fact for fact in of(floor, StateChanged) if fact.command is Command.HOLD]
    assert [fact.why for fact in told] == ["glucose has not been good for 4 h"]
    floor.note(command(floor.batch, Command.RESTART, why="offline samples instead"))
    for _ in range(12):
        floor.scan()
    assert floor.batch.state is State.RUNNING  # said once: a person has decided to go on


@pytest.mark.parametrize(("then", "state"), [("abort", State.ABORTED), ("complete", State.RUNNING), ("alarm", State.RUNNING)])
def test_a_timeout_does_what_the_recipe_says(control, then, state):
    first = replace(control.phases[0], timeout_then=Then(then))
    floor = Floor(control.with_phases((first, *control.phases[1:])))
    floor.start()
    for _ in range(50):
        floor.scan()
    assert floor.batch.state is state
    assert len(of(floor, AlarmRaised)) == 1
    assert (floor.batch.current.name if floor.batch.current and not floor.batch.closed else None) == {
        "abort": None,
        "complete": "inoculate",
        "alarm": "charge_medium",
    }[then]


# --- doses ----------------------------------------------------------------------------------------


def test_a_bolus_is_decided_once_a_day(floor):
    floor.run_to("harvest")
    windows = [fact.window for fact in (fact.payload for fact in floor.facts) if isinstance(fact, (DoseCommanded, DoseNotNeeded)) and fact.window]
    assert windows == list(range(1, 11))  # the last day ends in the harvest


def test_a_bolus_brings_glucose_to_its_target(floor):
    floor.run_to("production")
    while not (given_now := [fact for fact in of(floor, DoseCommanded) if fact.dose == "glucose_dose"]):
        level, litres = floor.plant.values["glucose"], floor.plant.values["vessel_weight"] / 1.02
        floor.scan(hours=0.5)
    wanted = litres * (28.0 - level) / (2500.0 - 28.0) * 1000.0
    assert level < 14.0
    assert given_now[0].amount == pytest.approx(wanted, rel=1e-5)
    assert given_now[0].unit == "mL"


def test_no_second_bolus_is_ordered_on_top_of_one_that_has_not_arrived(floor):
    floor.run_to("production")
    arrive, floor.plant._execute = floor.plant._execute, lambda dose, amount: None  # the pump takes its orders and delivers nothing
    while not (given := [fact for fact in of(floor, DoseCommanded) if fact.dose == "glucose_dose"]):
        floor.scan()
    for _ in range(2 * 60):
        floor.scan()  # two and a half days
    assert [fact for fact in of(floor, DoseCommanded) if fact.dose == "glucose_dose"] == given
    assert [alarm.what for alarm in of(floor, AlarmRaised)] == ["glucose_dose number 4 was ordered a window ago and has not arrived"]
    floor.plant._execute = arrive
    arrive("glucose_dose", given[0].amount)
    for _ in range(2 * 24 * 3):
        floor.scan()
    assert len([fact for fact in of(floor, DoseCommanded) if fact.dose == "glucose_dose"]) > 1  # decided anew once it is there


def test_dose_numbers_rise_by_one_above_what_the_module_has_executed(floor):
    floor.run_to_end()
    boluses = [fact.number for fact in of(floor, DoseCommanded) if fact.dose == "glucose_dose"]
    assert boluses == list(range(4, 4 + len(boluses))) and len(boluses) > 1  # an earlier batch left the module at 3
    assert floor.plant.executions[0] == ("medium_dose", 4)


def test_no_dose_while_the_module_cannot_say_its_number(floor):
    floor.plant.bad = {"medium_dose_number"}
    for _ in range(4):
        floor.scan()
        floor.answer_all()
    assert of(floor, DoseCommanded) == []
    floor.plant.bad = set()
    floor.scan()
    assert [fact.number for fact in of(floor, DoseCommanded)] == [4]


def test_a_total_that_counts_from_zero_again_is_noted(floor):
    floor.plant.values["medium_dosed_total"] = 25.2  # of the batch before
    floor.scan()
    floor.answer_all()
    floor.note(step(floor.batch, floor.plant.seen(), floor.now))
    assert [fact.total_before for fact in of(floor, DoseCommanded)] == [25.2]
    floor.plant.values["medium_dosed_total"] = 12.0
    floor.note(step(floor.batch, floor.plant.seen(), floor.now))
    assert of(floor, TotalRestarted)[0].total == 12.0
    assert floor.batch.current.name == "charge_medium"
    floor.plant.values["medium_dosed_total"] = 25.2
    floor.note(step(floor.batch, floor.plant.seen(), floor.now))
    assert floor.batch.current.name == "condition"


def test_a_computed_dose_is_bounded(floor):
    floor.run_to("inoculate")
    floor.answer_all()
    floor.plant.values["vessel_weight"] = 2_000.0  # a wrong scale
    floor.scan()
    assert of(floor, DoseCommanded)[-1].amount == 0.1 * floor.control.working_volume


# --- questions ------------------------------------------------------------------------------------


def test_an_answer_out_of_its_limits_is_refused_and_changes_nothing(floor):
    floor.run_to("inoculate")
    floor.scan()
    before = floor.batch
    with pytest.raises(NotValid) as refused:
        answer(floor.batch, PromptId("INOCULUM-VIABILITY-1"), "82.5", by=ANA)
    assert str(refused.value) == (
        "cannot take '82.5' as the answer to INOCULUM-VIABILITY-1: its limits are 90 to 100 %; "
        "possible now: a number within them; or pause, hold, stop, abort"
    )
    assert floor.batch is before


@pytest.mark.parametrize("text", ["", "  ", "x" * 201, "many", "nan", "inf", "1\n2"])
def test_what_is_no_answer_is_refused(floor, text):
    floor.run_to("inoculate")
    floor.scan()
    with pytest.raises(NotValid):
        answer(floor.batch, PromptId("INOCULUM-VIABILITY-1"), text, by=ANA)


def test_a_number_may_bring_its_unit(floor):
    floor.run_to("inoculate")
    floor.scan()
    assert answer(floor.batch, PromptId("INOCULUM-VIABILITY-1"), " 97.50 % ", by=ANA)[0].answer == "97.5"


def test_a_question_is_answered_once_and_only_when_asked(floor):
    with pytest.raises(NotFound, match="it was not asked"):
        answer(floor.batch, PromptId("MEDIUM-LOT-1"), "x", by=ANA)
    floor.scan()
    floor.answer_all()
    with pytest.raises(NotAllowed, match="it is answered"):
        answer(floor.batch, PromptId("MEDIUM-LOT-1"), "x", by=ANA)
    floor.run_to("condition")
    assert ANSWERS["MEDIUM-LOT-1"] == floor.batch.answers[PromptId("MEDIUM-LOT-1")].answer


def test_a_confirmation_is_yes_or_refused(floor):
    floor.run_to("harvest")
    floor.scan()
    with pytest.raises(NotValid, match="it is to be confirmed"):
        answer(floor.batch, PromptId("HARVEST-READY-1"), "no", by=ANA)
    assert answer(floor.batch, PromptId("HARVEST-READY-1"), "Yes", by=ANA)[0].answer == "confirmed"


# --- size and time --------------------------------------------------------------------------------


def test_the_first_fact_carries_the_whole_recipe_and_fits(floor):
    assert len(floor.ledger[0]) < 30_000
    assert floor.facts[0].payload.control == floor.control


def test_a_clock_that_steps_back_starts_nothing(floor):
    floor.run_to("growth")
    assert step(floor.batch, floor.plant.seen(), START - timedelta(days=1)) == []


def test_microseconds_do_not_matter_to_what_is_folded(floor):
    floor.now += timedelta(microseconds=999)
    floor.run_to("condition")
    state = floor.batch
    floor.kill()
    assert floor.batch == state


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6))
def test_what_was_lost_in_a_crash_is_done_later_and_once(seed):
    dice = Random(seed)
    floor = Floor(control_of("leeds"))
    floor.start()
    for _ in range(3_000):
        if floor.batch.closed:
            break
        due = step(floor.batch, floor.plant.seen(), floor.now)
        kept = due[: dice.randint(0, len(due))] if dice.random() < 0.3 else due
        floor.note(kept)
        if kept is due or dice.random() < 0.5:
            floor.plant.write(outputs(floor.batch))  # else it died before anything was written
        floor.kill()
        floor.answer_all()
        floor.plant.run(1.0)
        floor.now += timedelta(hours=1)
    assert floor.batch.state is State.COMPLETE
    began = [(fact.phase, fact.run) for fact in of(floor, PhaseStarted)]
    assert began == [(phase.name, 1) for phase in floor.control.phases]
    ordered = [(fact.dose, fact.number) for fact in of(floor, DoseCommanded)]
    assert len(set(ordered)) == len(ordered)
    assert floor.plant.executions == ordered
    assert floor.facts[-1].payload.facts == len(floor.ledger)


def test_a_step_and_a_fold_agree_on_the_time_to_the_millisecond(control):
    at_once = replace(control.phases[0], until="elapsed > 0.0 h", dose=None, prompts=())
    floor = Floor(control.with_phases((at_once, *control.phases[1:])))
    floor.start()
    floor.now += timedelta(microseconds=999)  # a fact's time does not keep these
    whole = step(floor.batch, floor.plant.seen(), floor.now)
    for payload in whole:
        assert step(floor.batch, floor.plant.seen(), floor.now)[0] == payload
        floor.note([payload])
        floor.kill()
    assert step(floor.batch, floor.plant.seen(), floor.now) == []
