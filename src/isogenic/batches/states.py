"""The states of a batch: the procedural state table of ISA-88.

A batch is begun once and ends once. Between the two, a person or the engine itself gives
commands; a command is accepted only where the table has it.

*Running* is normal work. From there a batch is **paused** when a person wants it to stand at
its present place with its set-points in force: nothing new is begun until *resume*. It is
**held** when something is wrong: the held set-points of the phase come into force (the feed
stops, the temperature stays), and *restart* takes it back to running. **Stop** ends it in
order, **abort** ends it at once; both come to rest and cannot be left but by *reset*, which
gives the unit free. A batch that has run its last phase is *complete*.

States that end in -ing are on the way: they take commands of greater weight (a batch that is
pausing can still be held, one that is holding can still be stopped, one that is stopping can
still be aborted), and the engine completes them by itself once the set-points that belong to
them have been given.

    state        command -> state                                            completed to
    idle         start -> running
    running      pause -> pausing   hold -> holding   stop   abort           complete
    pausing      hold -> holding   stop   abort                              paused
    paused       resume -> running   hold -> holding   stop   abort
    holding      stop   abort                                                held
    held         restart -> restarting   stop   abort
    restarting   hold -> holding   stop   abort                              running
    stopping     abort                                                       stopped
    stopped      reset -> idle
    aborting                                                                 aborted
    aborted      reset -> idle
    complete     reset -> idle

Source: ANSI/ISA-88.00.01, the example states and commands of procedural elements. A refusal
changes nothing and says what is possible.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from isogenic.errors import NotAllowed

__all__ = ["COMPLETES", "FINAL", "NEXT", "Command", "State", "possible", "target"]


class State(StrEnum):
    """Where a batch stands."""

    IDLE = "idle"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    HOLDING = "holding"
    HELD = "held"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    ABORTING = "aborting"
    ABORTED = "aborted"
    COMPLETE = "complete"


class Command(StrEnum):
    """What a person, or the engine on its own account, can ask of a batch."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    HOLD = "hold"
    RESTART = "restart"
    STOP = "stop"
    ABORT = "abort"
    RESET = "reset"


_END = {Command.STOP: State.STOPPING, Command.ABORT: State.ABORTING}

NEXT: Mapping[State, Mapping[Command, State]] = {
    State.IDLE: {Command.START: State.RUNNING},
    State.RUNNING: {Command.PAUSE: State.PAUSING, Command.HOLD: State.HOLDING, **_END},
    State.PAUSING: {Command.HOLD: State.HOLDING, **_END},
    State.PAUSED: {Command.RESUME: State.RUNNING, Command.HOLD: State.HOLDING, **_END},
    State.HOLDING: {**_END},
    State.HELD: {Command.RESTART: State.RESTARTING, **_END},
    State.RESTARTING: {Command.HOLD: State.HOLDING, **_END},
    State.STOPPING: {Command.ABORT: State.ABORTING},
    State.STOPPED: {Command.RESET: State.IDLE},
    State.ABORTING: {},
    State.ABORTED: {Command.RESET: State.IDLE},
    State.COMPLETE: {Command.RESET: State.IDLE},
}

COMPLETES: Mapping[State, State] = {
    State.PAUSING: State.PAUSED,
    State.HOLDING: State.HELD,
    State.RESTARTING: State.RUNNING,
    State.STOPPING: State.STOPPED,
    State.ABORTING: State.ABORTED,
}

FINAL = frozenset({State.COMPLETE, State.STOPPED, State.ABORTED})


def possible(state: State) -> str:
    """The commands that a state takes, as a refusal says them."""
    return ", ".join(NEXT[state]) or "nothing, it ends by itself"


def target(state: State, command: Command, *, what: str = "the batch") -> State:
    """The state that a command leads to, or `NotAllowed` saying what is possible."""
    if command not in NEXT[state]:
        raise NotAllowed(f"cannot {command} {what}", why=f"it is {state}", possible=possible(state))
    return NEXT[state][command]
