"""The ISA-88 state table: every state with every command."""

from __future__ import annotations

from dataclasses import replace

import pytest

from isogenic.batches.engine import command
from isogenic.batches.facts import StateChanged
from isogenic.batches.states import COMPLETES, FINAL, NEXT, Command, State, possible, target
from isogenic.errors import NotAllowed

# The table once more, written by hand from the standard's figure: state, then what each command leads to.
# columns:        START      PAUSE      RESUME     HOLD       RESTART       STOP        ABORT       RESET
TABLE = """
idle              running    -          -          -          -             -           -           -
running           -          pausing    -          holding    -             stopping    aborting    -
pausing           -          -          -          holding    -             stopping    aborting    -
paused            -          -          running    holding    -             stopping    aborting    -
holding           -          -          -          -          -             stopping    aborting    -
held              -          -          -          -          restarting    stopping    aborting    -
restarting        -          -          -          holding    -             stopping    aborting    -
stopping          -          -          -          -          -             -           aborting    -
stopped           -          -          -          -          -             -           -           idle
aborting          -          -          -          -          -             -           -           -
aborted           -          -          -          -          -             -           -           idle
complete          -          -          -          -          -             -           -           idle
"""
COLUMNS = (Command.START, Command.PAUSE, Command.RESUME, Command.HOLD, Command.RESTART, Command.STOP, Command.ABORT, Command.RESET)
WANTED = {
    (State(row.split()[0]), column): None if cell == "-" else State(cell)
    for row in TABLE.strip().splitlines()
    for column, cell in zip(COLUMNS, row.split()[1:], strict=True)
}


def test_the_table_has_every_state_and_every_command():
    assert set(NEXT) == set(State)
    assert {state for state, _ in WANTED} == set(State)
    assert {told for _, told in WANTED} == set(Command)


@pytest.mark.parametrize(("state", "told"), list(WANTED), ids=lambda each: str(each))
def test_each_state_takes_exactly_its_commands(state, told, floor):
    batch = replace(floor.batch, state=state)
    wanted = WANTED[state, told]
    if wanted is not None:
        assert target(state, told) is wanted
        first = command(batch, told, why="asked")[0]
        assert first == StateChanged(batch.batch, wanted, told, "asked")
        return
    with pytest.raises(NotAllowed) as refused:
        command(batch, told, why="asked")
    assert refused.value.what == f"cannot {told} BAT-7K2M"
    assert refused.value.why == f"it is {state}"
    assert refused.value.possible == possible(state)
    assert batch == replace(floor.batch, state=state)  # a refusal changes nothing


def test_a_refusal_says_what_is_possible():
    assert possible(State.HELD) == "restart, stop, abort"
    assert possible(State.ABORTING) == "nothing, it ends by itself"


def test_states_on_the_way_complete_to_states_of_rest():
    assert {
        State.PAUSING: State.PAUSED,
        State.HOLDING: State.HELD,
        State.RESTARTING: State.RUNNING,
        State.STOPPING: State.STOPPED,
        State.ABORTING: State.ABORTED,
    } == COMPLETES
    assert {State.COMPLETE, State.STOPPED, State.ABORTED} == FINAL
