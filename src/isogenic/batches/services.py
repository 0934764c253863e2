"""Services of modules that phases run: what they are ordered, and what is wrong with them.

    the batch     a service that is ...                      is told
    running       idle, not started in this run              start, with procedure and parameters
                  completed, stopped or aborted before that  reset
                  held, paused                               unhold, resume
                  working, and its phase is to end           complete
    holding       working                                    hold
    restarting    held                                       unhold
    pausing       executing                                  pause
    stopping      working or held                            stop
    aborting      working or held                            abort

Guarantees: an order is due only where the newest noted state of the service takes it, so after a
crash nothing is started twice; a code that is no state, a way that nobody told the service to go,
a refusal and a silence are each an alarm that holds the batch, once.
Leaves to others: telling the module (drivers), the reading of its state (an ordinary signal).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from isogenic.batches.facts import AlarmRaised, ServiceCommanded, ServiceStateSeen
from isogenic.batches.state import BatchState, Told, hours, tag_of
from isogenic.batches.states import State
from isogenic.batches.truth import Seen, value_of
from isogenic.ids import UnitId
from isogenic.plant.mtp.states import COMMANDS, NEXT, ServiceState, state_of
from isogenic.plant.services import STATE_SIGNAL, ServiceOrder
from isogenic.recipes.model import ControlPhase, ControlService, Then
from isogenic.records.facts import Payload

__all__ = ["is_working", "orders", "orders_due", "run_due", "seen_due", "settled"]

LATE_H = 60.0 / 3600.0  # a module that has not answered an order for a minute does not answer
_S = ServiceState
_WORKING = frozenset({_S.STARTING, _S.EXECUTE, _S.PAUSING, _S.PAUSED, _S.RESUMING, _S.HOLDING, _S.HELD, _S.UNHOLDING, _S.COMPLETING})
_MOVING = frozenset({_S.STARTING, _S.EXECUTE, _S.PAUSING, _S.RESUMING, _S.HOLDING, _S.UNHOLDING, _S.COMPLETING})
_ON_THE_WAY: Mapping[State, str] = {
    State.HOLDING: "hold",
    State.RESTARTING: "unhold",
    State.PAUSING: "pause",
    State.STOPPING: "stop",
    State.ABORTING: "abort",
}


def orders(state: BatchState) -> dict[str, ServiceOrder]:
    """What services are told now, by `UNIT.service`: the newest order of each that has not moved since. Telling it again is harmless."""
    return {} if state.closed else {tag: told.order for tag, told in state.services.items() if told.waiting}


def _of(state: BatchState) -> Iterator[tuple[ControlPhase, ControlService, UnitId, Told | None]]:
    for name in state.active:
        phase = state.phases[name]
        if phase.service is not None:
            unit = state.unit_of(name)
            yield phase, phase.service, unit, state.services.get(tag_of(unit, phase.service.name))


def seen_due(state: BatchState, seen: Mapping[UnitId, Seen]) -> Iterator[Payload]:
    """Each service that is in another state than the newest that was noted."""
    for _, service, unit, told in _of(state):
        code = value_of(seen.get(unit, {}), service.name + STATE_SIGNAL)
        if code is not None and (told is None or told.code != code):
            now = state_of(code)
            yield ServiceStateSeen(state.batch, unit, service.name, code, now.name.lower() if now else "")


def orders_due(state: BatchState) -> Iterator[Payload]:
    """What follows for every service from a state of the batch that is on the way to another."""
    command = _ON_THE_WAY.get(state.state)
    for phase, service, unit, told in _of(state):
        if command is not None and told is not None and _takes(told, command) and command not in told.waiting:
            yield _order(state, phase, service, unit, told, command, f"the batch is {state.state}")


def settled(state: BatchState, seen: Mapping[UnitId, Seen]) -> bool:
    """Whether every service has come to where the batch is going. One whose state cannot be read is not waited for, and none by an abort."""
    if state.state is State.ABORTING:
        return True
    for _, service, unit, told in _of(state):
        if told is None or told.state is None or value_of(seen.get(unit, {}), service.name + STATE_SIGNAL) is None:
            continue
        moving = told.state in _MOVING and not (state.state is State.RESTARTING and told.state is _S.EXECUTE)
        if moving or (state.state is State.STOPPING and told.state in _WORKING):
            return False
        if state.state is State.RESTARTING and told.state is _S.HELD:
            return False
    return True


def is_working(state: BatchState, phase: ControlPhase) -> bool:
    """Whether the service of a phase was started in this run and has not come to an end."""
    told = _told(state, phase)
    return told is not None and told.started and (told.state in _WORKING or "start" in told.waiting)


def run_due(state: BatchState, phase: ControlPhase, now: datetime, *, ended: bool) -> Iterator[Payload]:
    """What a service of a running phase has due: what is wrong with it, and the next order. `ended`: the phase is to end."""
    service, told = phase.service, _told(state, phase)
    if service is None or told is None or told.code is None:
        return  # its state has not been read: the phase needs that signal, and says so where it stays away
    unit = state.unit_of(phase.name)
    wrong = _wrong(told, phase, state.runs[phase.name], now)
    if wrong and not told.alarmed:
        yield AlarmRaised(state.batch, phase.name, wrong, then=Then.HOLD, about=f"service {tag_of(unit, service.name)}")
    if wrong or told.waiting:
        return
    command = _next(told, ended=ended, mine=_is_mine(told, phase, state.runs[phase.name]))
    if command:
        yield _order(state, phase, service, unit, told, command, phase.title if command == "start" else f"{phase.name} is to end" if ended else "")


def _told(state: BatchState, phase: ControlPhase) -> Told | None:
    return state.services.get(tag_of(state.unit_of(phase.name), phase.service.name)) if phase.service else None


def _is_mine(told: Told, phase: ControlPhase, run: int) -> bool:
    return told.started and (told.phase, told.run) == (phase.name, run)


def _next(told: Told, *, ended: bool, mine: bool) -> str:
    match told.state:
        case _S.IDLE:
            return "" if ended or mine else "start"
        case _S.COMPLETED:
            return "" if mine or ended else "reset"
        case _S.STOPPED | _S.ABORTED:
            return "" if ended else "reset"
        case _S.HELD:
            return "unhold"
        case _S.PAUSED:
            return "resume"
        case _S.EXECUTE if ended:
            return "complete"
    return ""


def _wrong(told: Told, phase: ControlPhase, run: int, now: datetime) -> str:
    if told.trouble:
        return told.trouble
    if told.waiting and hours(told.at, now) >= LATE_H:
        return f"{told.order.service} was told to {told.waiting[-1]} and has not moved for a minute"
    if told.state in _WORKING and not _is_mine(told, phase, run):
        return f"{told.order.service} is in {told.state.name.lower()}, and nobody here started it"
    return ""


def _takes(told: Told, command: str) -> bool:
    return told.state is not None and told.state not in (_S.IDLE, _S.COMPLETED, _S.STOPPED) and COMMANDS[command] in NEXT[told.state]


def _order(state: BatchState, phase: ControlPhase, service: ControlService, unit: UnitId, told: Told, command: str, why: str) -> Payload:
    start = command == "start"
    return ServiceCommanded(
        batch=state.batch,
        phase=phase.name,
        run=state.runs[phase.name],
        unit=unit,
        service=service.name,
        command=command,
        procedure=service.procedure if start else "",
        parameters=dict(service.parameters) if start else {},
        number=told.order.number + 1,
        why=why,
    )
