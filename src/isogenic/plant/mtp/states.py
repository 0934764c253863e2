"""The state machine of a service, after VDI/VDE/NAMUR 2658-4:2022.

Guarantees: sixteen states and ten commands with the codes of table 14; for every state the
commands that leave it, where each leads, and the state that follows by itself once the work
of a transient state is done. A word that is no single state, or no single command, is
nothing at all.

    idle --start--> starting --> execute --complete, or done--> completing --> completed
    execute --pause--> pausing --> paused --resume--> resuming --> execute
    execute --restart--> starting
    what runs --hold--> holding --> held --unhold--> unholding --> execute
    all but stopping, stopped, aborting, aborted --stop--> stopping --> stopped
    all but aborting, aborted --abort--> aborting --> aborted
    completed, stopped, aborted --reset--> resetting --> idle

A stronger loop wins over a weaker one: abort over stop over hold over pause.
Leaves to others: who may command (modes), what a state does (a module), what to command
(batches).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

__all__ = ["AFTER", "COMMANDS", "FINAL", "NEXT", "Command", "ServiceState", "command_of", "enabled", "reachable", "state_of"]


class ServiceState(IntEnum):
    """What a service does now; the values are the bits of StateCur."""

    STOPPED = 4
    STARTING = 8
    IDLE = 16
    PAUSED = 32
    EXECUTE = 64
    STOPPING = 128
    ABORTING = 256
    ABORTED = 512
    HOLDING = 1024
    HELD = 2048
    UNHOLDING = 4096
    PAUSING = 8192
    RESUMING = 16384
    RESETTING = 32768
    COMPLETING = 65536
    COMPLETED = 131072


class Command(IntEnum):
    """What a service is told; the values are the bits of CommandOp, CommandInt, CommandExt and CommandEn."""

    RESET = 2
    START = 4
    STOP = 8
    HOLD = 16
    UNHOLD = 32
    PAUSE = 64
    RESUME = 128
    ABORT = 256
    RESTART = 512
    COMPLETE = 1024


_S, _C = ServiceState, Command
COMMANDS: Mapping[str, Command] = {each.name.lower(): each for each in Command}
FINAL = frozenset({_S.COMPLETED, _S.STOPPED, _S.ABORTED})  # what only a reset leaves for idle

_HOLD = {_C.HOLD: _S.HOLDING}
_STOP = {_C.STOP: _S.STOPPING}
_ABORT = {_C.ABORT: _S.ABORTING}
_COMPLETE = {_C.COMPLETE: _S.COMPLETING}
_RESET = {_C.RESET: _S.RESETTING}

NEXT: Mapping[ServiceState, Mapping[Command, ServiceState]] = {
    _S.IDLE: {_C.START: _S.STARTING, **_STOP, **_ABORT},
    _S.STARTING: {**_COMPLETE, **_HOLD, **_STOP, **_ABORT},
    _S.EXECUTE: {**_COMPLETE, _C.PAUSE: _S.PAUSING, _C.RESTART: _S.STARTING, **_HOLD, **_STOP, **_ABORT},
    _S.COMPLETING: {**_HOLD, **_STOP, **_ABORT},
    _S.COMPLETED: {**_RESET, **_STOP, **_ABORT},
    _S.PAUSING: {**_COMPLETE, **_HOLD, **_STOP, **_ABORT},
    _S.PAUSED: {_C.RESUME: _S.RESUMING, **_COMPLETE, **_HOLD, **_STOP, **_ABORT},
    _S.RESUMING: {**_COMPLETE, **_HOLD, **_STOP, **_ABORT},
    _S.HOLDING: {**_STOP, **_ABORT},
    _S.HELD: {_C.UNHOLD: _S.UNHOLDING, **_STOP, **_ABORT},
    _S.UNHOLDING: {**_COMPLETE, **_HOLD, **_STOP, **_ABORT},
    _S.STOPPING: {**_ABORT},
    _S.STOPPED: {**_RESET, **_ABORT},
    _S.ABORTING: {},
    _S.ABORTED: {**_RESET},
    _S.RESETTING: {**_STOP, **_ABORT},
}

# What follows by itself. Execute ends by itself only in a procedure that completes itself.
AFTER: Mapping[ServiceState, ServiceState] = {
    _S.STARTING: _S.EXECUTE,
    _S.EXECUTE: _S.COMPLETING,
    _S.COMPLETING: _S.COMPLETED,
    _S.PAUSING: _S.PAUSED,
    _S.RESUMING: _S.EXECUTE,
    _S.HOLDING: _S.HELD,
    _S.UNHOLDING: _S.EXECUTE,
    _S.STOPPING: _S.STOPPED,
    _S.ABORTING: _S.ABORTED,
    _S.RESETTING: _S.IDLE,
}


def state_of(word: float) -> ServiceState | None:
    """The state that StateCur says; None for a word that no state has (2658-4: exactly one bit)."""
    return _STATES.get(word)


def command_of(word: int) -> Command | None:
    """The command that a command word says; None where not exactly one known bit is set."""
    return _WORDS.get(word)


def enabled(state: ServiceState, *, procedure: int = 1) -> int:
    """CommandEn: every command that leaves `state`. Without a requested procedure a service cannot be started."""
    return sum(command for command in NEXT[state] if procedure or command not in (Command.START, Command.RESTART))


def reachable(state: ServiceState) -> frozenset[ServiceState]:
    """Every state to which a command or its own course can bring a service, from `state`, in one step."""
    after = {AFTER[state]} if state in AFTER else set()
    return frozenset(after | set(NEXT[state].values()))


_STATES: Mapping[float, ServiceState] = {float(each): each for each in ServiceState}
_WORDS: Mapping[int, Command] = {int(each): each for each in Command}
