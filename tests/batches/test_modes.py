"""Modes: who takes a batch from one step to the next."""

from __future__ import annotations

import pytest
from chart_floor import ANA, ChartFloor, part, recipe

from isogenic.batches import commands, engine
from isogenic.batches.facts import BranchChosen, Mode, ModeChanged, PhaseCompleted, PhaseStarted, RoundEnded, TransitionConfirmed, TransitionReached
from isogenic.batches.states import NEXT, Command, State
from isogenic.errors import NotAllowed, NotValid

CHART = "a; one(when level > 5.0 m: b, otherwise: c); repeat(d until level > 5.0 m at most 2 then alarm)"


@pytest.fixture
def floor() -> ChartFloor:
    made = ChartFloor(recipe(part("work", CHART)))
    made.values = {"level": 1.0}
    return made


def to(floor: ChartFloor, mode: Mode) -> None:
    floor.note(commands.change_mode(floor.batch, mode, why="trial", by=ANA))


def scans(floor: ChartFloor, count: int) -> None:
    for _ in range(count):
        floor.scan()


def test_a_mode_is_changed_with_who_and_why(floor):
    assert floor.batch.mode is Mode.AUTOMATIC
    to(floor, Mode.MANUAL)
    assert floor.of(ModeChanged) == [ModeChanged(floor.batch.batch, Mode.MANUAL, Mode.AUTOMATIC, "trial", ANA)]
    assert floor.refolded().mode is Mode.MANUAL
    with pytest.raises(NotAllowed, match="it is run so"):
        to(floor, Mode.MANUAL)
    with pytest.raises(NotValid, match="it takes a reason"):
        commands.change_mode(floor.batch, Mode.AUTOMATIC, why=" ", by=ANA)


def test_semi_automatic_waits_for_a_person_at_each_transition(floor):
    to(floor, Mode.SEMI_AUTOMATIC)
    waited: list[str] = []
    for _ in range(60):
        if floor.batch.closed:
            break
        floor.scan()
        for place in [name for name, each in floor.batch.reached.items() if not each.confirmed]:
            before = floor.of(PhaseCompleted, BranchChosen, RoundEnded)
            scans(floor, 5)
            assert floor.of(PhaseCompleted, BranchChosen, RoundEnded) == before  # nothing goes on by itself
            waited.append(place)
            floor.note(commands.confirm(floor.batch, place, why="looked at", by=ANA))
    assert waited == ["a", "work/choice_1", "c", "d", "work/loop_1", "d", "work/loop_1"]
    assert floor.batch.state is State.COMPLETE
    assert len(floor.of(TransitionReached)) == len(floor.of(TransitionConfirmed)) == len(waited)


def test_only_what_was_reached_is_confirmed(floor):
    with pytest.raises(NotAllowed, match="it is run in automatic mode"):
        commands.confirm(floor.batch, "a", why="x", by=ANA)
    to(floor, Mode.SEMI_AUTOMATIC)
    floor.scan()
    with pytest.raises(NotAllowed, match="nothing waits there"):
        commands.confirm(floor.batch, "a", why="x", by=ANA)
    scans(floor, 3)
    to(floor, Mode.AUTOMATIC)
    floor.scan()
    assert [each.phase for each in floor.of(PhaseCompleted)] == ["a"]  # what was waited for goes on by itself


def test_by_hand_a_person_starts_and_completes(floor):
    to(floor, Mode.MANUAL)
    scans(floor, 5)
    assert floor.of(PhaseStarted) == []
    floor.note(commands.start_phase(floor.batch, "a", why="ready", by=ANA))
    scans(floor, 10)
    assert floor.of(PhaseCompleted) == []  # its hour is long over
    with pytest.raises(NotAllowed, match="the procedure has not come to it"):
        commands.start_phase(floor.batch, "c", why="x", by=ANA)
    with pytest.raises(NotAllowed, match="it is running"):
        commands.start_phase(floor.batch, "a", why="x", by=ANA)
    floor.note(commands.complete_phase(floor.batch, "a", why="done", by=ANA))
    with pytest.raises(NotValid, match="there is no way 7"):
        commands.choose(floor.batch, "work/choice_1", 7, why="x", by=ANA)
    floor.note(commands.choose(floor.batch, "work/choice_1", 0, why="as agreed", by=ANA))  # the recipe would have taken the other
    for name in ("b", "d"):
        floor.note(commands.start_phase(floor.batch, name, why="next", by=ANA))
        floor.note(commands.complete_phase(floor.batch, name, why="done", by=ANA))
    floor.note(commands.end_round(floor.batch, "work/loop_1", again=True, why="once more", by=ANA))
    floor.note(commands.start_phase(floor.batch, "d", why="next", by=ANA))
    floor.note(commands.complete_phase(floor.batch, "d", why="done", by=ANA))
    with pytest.raises(NotAllowed, match="at most 2 rounds"):
        commands.end_round(floor.batch, "work/loop_1", again=True, why="again", by=ANA)
    floor.note(commands.end_round(floor.batch, "work/loop_1", again=False, why="enough", by=ANA))
    floor.scan()
    assert floor.batch.state is State.COMPLETE
    assert [(each.phase, each.run, each.by, each.why) for each in floor.of(PhaseStarted)] == [
        ("a", 1, ANA, "ready"),
        ("b", 1, ANA, "next"),
        ("d", 1, ANA, "next"),
        ("d", 2, ANA, "next"),
    ]
    assert floor.refolded() == floor.batch


def test_what_holding_has_done_is_done_in_every_mode():
    for mode in (Mode.SEMI_AUTOMATIC, Mode.MANUAL):
        floor = ChartFloor(recipe(part("work", "a", on_hold="calm", on_restart="check")))
        to(floor, mode)
        if mode is Mode.MANUAL:
            floor.note(commands.start_phase(floor.batch, "a", why="ready", by=ANA))
        floor.scan()
        floor.note(engine.command(floor.batch, Command.HOLD, why="a leak"))
        scans(floor, 6)
        assert floor.batch.state is State.HELD
        floor.note(engine.command(floor.batch, Command.RESTART, why="tight again"))
        scans(floor, 6)
        assert floor.batch.state is State.RUNNING
        assert [each.phase for each in floor.of(PhaseCompleted)] == ["calm", "check"]


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("told", list(Command))
def test_each_state_takes_the_same_commands_in_every_mode(floor, mode, state, told):
    from dataclasses import replace

    batch = replace(floor.batch, state=state, mode=mode)
    if told in NEXT[state]:
        changed = engine.command(batch, told, why="asked")[0]
        assert (changed.state, changed.command) == (NEXT[state][told], told)
        return
    with pytest.raises(NotAllowed, match=f"it is {state}"):
        engine.command(batch, told, why="asked")


@pytest.mark.parametrize("state", [each for each in State if each is not State.RUNNING])
def test_nothing_is_done_by_hand_unless_the_batch_runs(floor, state):
    from dataclasses import replace

    batch = replace(floor.batch, state=state, mode=Mode.MANUAL)
    with pytest.raises(NotAllowed, match=f"is {state}"):
        commands.start_phase(batch, "a", why="x", by=ANA)
