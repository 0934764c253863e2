"""Exceptions: what is not normal holds, aborts, alarms or runs an operation; loops that do not end say so."""

from __future__ import annotations

import pytest
from chart_floor import ChartFloor, part, phase, recipe

from isogenic.batches import engine
from isogenic.batches.facts import AlarmRaised, ExceptionBegan, ExceptionEnded, PhaseCompleted, PhaseStarted, RoundEnded, SignalLost, SignalReturned
from isogenic.batches.states import Command, State
from isogenic.recipes.model import ControlException


def floor_with(then: str, *, lasting_h: float = 0.0) -> ChartFloor:
    rule = ControlException("too_warm", "level > 39.0 m", lasting_h, then)
    grow = phase("grow", exceptions=(rule,), setpoints={"temperature_sp": 37.0}, held={"feed_sp": 0.0}, until="elapsed >= 9.0 h")
    cool = phase("cool", setpoints={"temperature_sp": 33.0})
    floor = ChartFloor(recipe(part("work", "grow", grow, cool, on_exception={"cool_down": "cool"})))
    floor.values = {"level": 37.0}
    floor.scan()
    return floor


@pytest.mark.parametrize(("then", "state"), [("hold", State.HELD), ("abort", State.ABORTED), ("alarm", State.RUNNING)])
def test_an_exception_does_what_the_recipe_says(then, state):
    floor = floor_with(then)
    floor.values["level"] = 40.0
    floor.scan()
    floor.scan()
    assert [(each.what, each.then) for each in floor.of(AlarmRaised)] == [("too_warm: level > 39.0 m", then)]
    assert floor.batch.state is state
    assert floor.refolded() == floor.batch


def test_an_exception_that_has_to_last_is_forgotten_when_it_ends_before():
    floor = floor_with("hold", lasting_h=1.0)
    for level in (40.0, 40.0, 37.0, 40.0, 37.0):
        floor.values["level"] = level
        floor.scan()
    assert len(floor.of(ExceptionBegan)) == len(floor.of(ExceptionEnded)) == 2
    assert floor.of(AlarmRaised) == [] and floor.batch.state is State.RUNNING
    floor.values["level"] = 40.0
    for _ in range(4):
        floor.scan()
    assert [each.what for each in floor.of(AlarmRaised)] == ["too_warm: level > 39.0 m for 1 h"]
    assert floor.batch.state is State.HELD


def test_an_exception_that_is_still_so_is_not_said_again_after_a_restart():
    floor = floor_with("hold")
    floor.values["level"] = 40.0
    for _ in range(3):
        floor.scan()
    floor.note(engine.command(floor.batch, Command.RESTART, why="known, goes on"))
    for _ in range(4):
        floor.scan()
    assert floor.batch.state is State.RUNNING and len(floor.of(AlarmRaised)) == 1
    floor.values["level"] = 37.0
    floor.scan()
    floor.values["level"] = 40.0
    floor.scan()
    assert len(floor.of(AlarmRaised)) == 2


def test_an_operation_runs_beside_the_phase_and_its_set_points_go_with_it():
    floor = floor_with("cool_down")
    floor.values["level"] = 40.0
    floor.scan()
    assert floor.batch.setpoints["BR-1.temperature_sp"] == 33.0
    assert set(floor.batch.active) == {"grow", "cool"}
    floor.values["level"] = 37.0
    for _ in range(3):
        floor.scan()
    assert [each.phase for each in floor.of(PhaseCompleted)] == ["cool"]
    assert floor.batch.setpoints["BR-1.temperature_sp"] == 37.0
    assert floor.batch.current.name == "grow"
    assert floor.refolded() == floor.batch


def test_a_reading_that_is_not_good_is_no_exception():
    floor = floor_with("abort")
    floor.values, floor.bad = {}, {"level"}
    floor.scan()
    assert floor.of(ExceptionBegan) == []


def test_a_loop_that_reaches_its_last_round_does_what_the_recipe_says_and_goes_on_after_a_restart():
    floor = ChartFloor(recipe(part("work", "repeat(wash until level > 5.0 m at most 2 then hold); done")))
    floor.values = {"level": 1.0}
    for _ in range(10):
        floor.scan()
    assert [(each.what, each.then, each.about) for each in floor.of(AlarmRaised)] == [
        ("not so after 2 rounds: level > 5.0 m", "hold", "loop work/loop_1")
    ]
    assert floor.batch.state is State.HELD
    floor.note(engine.command(floor.batch, Command.RESTART, why="clean enough"))
    for _ in range(8):
        floor.scan()
    assert [(each.round, each.again) for each in floor.of(RoundEnded)] == [(1, True), (2, False)]
    assert [each.phase for each in floor.of(PhaseStarted)] == ["wash", "wash", "done"]
    assert floor.batch.state is State.COMPLETE


def test_a_phase_on_the_way_to_held_that_takes_too_long_counts_as_done():
    from isogenic.recipes.model import Then

    calm = phase("calm", until="level > 5.0 m", timeout_h=1.0, timeout_then=Then.HOLD)
    floor = ChartFloor(recipe(part("work", "grow", calm, on_hold="calm")))
    floor.values = {"level": 1.0}
    floor.scan()
    floor.note(engine.command(floor.batch, Command.HOLD, why="a leak"))
    for _ in range(5):
        floor.scan()
    assert floor.batch.state is State.HELD
    assert [each.why for each in floor.of(PhaseCompleted)] == ["calm is not done after 1 h"]


def test_set_points_of_parallel_phases_add_up_and_the_newest_wins():
    one = phase("one", setpoints={"a_sp": 1.0, "b_sp": 1.0}, held={"a_sp": 0.0})
    two = phase("two", setpoints={"b_sp": 2.0}, held={"b_sp": 0.0})
    floor = ChartFloor(recipe(part("work", "all(one, two)", one, two)))
    floor.scan()
    assert floor.batch.setpoints == {"BR-1.a_sp": 1.0, "BR-1.b_sp": 2.0}
    floor.note(engine.command(floor.batch, Command.HOLD, why="x"))
    assert floor.batch.setpoints == {"BR-1.a_sp": 0.0, "BR-1.b_sp": 0.0}
    floor.scan()
    floor.note(engine.command(floor.batch, Command.RESTART, why="x"))
    assert floor.batch.setpoints == {"BR-1.a_sp": 1.0, "BR-1.b_sp": 2.0}


def noisy(floor: ChartFloor, *, scans: int, seconds: float = 1.0) -> None:
    """A level that is beyond its limit at every second scan."""
    for at in range(scans):
        floor.values["level"] = 39.01 if at % 2 else 38.99
        floor.scan(hours=seconds / 3600)


def test_a_signal_that_flickers_about_its_limit_does_not_fill_the_ledger():
    floor = floor_with("alarm")
    noisy(floor, scans=4 * 3600)  # four hours at a scan a second
    began, ended = len(floor.of(ExceptionBegan)), len(floor.of(ExceptionEnded))
    assert 12 <= ended <= began <= 12 + 1 + 4  # a minute apart, then an hour
    assert len(floor.of(AlarmRaised)) == began
    assert floor.refolded() == floor.batch


def test_after_somebody_has_looked_the_end_of_a_flicker_is_said_at_once_again():
    floor = floor_with("alarm")
    noisy(floor, scans=4 * 3600)
    floor.note(engine.command(floor.batch, Command.HOLD, why="look at the probe"))
    floor.values["level"] = 37.0
    for _ in range(3):
        floor.scan()
    floor.note(engine.command(floor.batch, Command.RESTART, why="the probe is dry again"))
    floor.scan()
    before = len(floor.of(AlarmRaised))
    floor.values["level"] = 40.0
    floor.scan(hours=0.1)
    floor.values["level"] = 37.0
    floor.scan(hours=0.1)
    floor.values["level"] = 40.0
    floor.scan(hours=0.1)
    assert len(floor.of(AlarmRaised)) == before + 2


def test_what_has_to_last_is_said_to_come_again_and_again_where_it_flickers():
    floor = floor_with("alarm", lasting_h=0.5)
    noisy(floor, scans=2 * 3600)
    said = [each.what for each in floor.of(AlarmRaised)]
    assert set(said) == {"too_warm: level > 39.0 m again and again"}
    assert len(said) <= 3


def test_a_signal_with_a_loose_contact_does_not_fill_the_ledger():
    floor = ChartFloor(recipe(part("work", "grow", phase("grow", needs=("level",), until="elapsed >= 9.0 h"))))
    floor.values = {"level": 37.0}
    for at in range(4 * 3600):
        floor.bad = {"level"} if at % 2 else set()
        floor.scan(hours=1 / 3600)
    assert 12 <= len(floor.of(SignalReturned)) <= len(floor.of(SignalLost)) <= 12 + 1 + 4
    assert floor.refolded() == floor.batch
