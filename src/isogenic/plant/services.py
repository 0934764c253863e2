"""What services of modules are told, and how their states are read.

    UNIT.mixing_state   a signal like any other: StateCur of the service `mixing`, a number
    ServiceOrder        the newest order to one service, with its number

Guarantees: telling a service its order again changes nothing that was noted; a code that is no
state of the standard (VDI/VDE/NAMUR 2658-4) is no state, and nobody has to guess.
Leaves to others: the state machine (mtp.states), telling a module (drivers), when (batches).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from isogenic.plant.mtp.states import AFTER, COMMANDS, NEXT, ServiceState

__all__ = ["STATE_SIGNAL", "ServiceOrder", "Unheard", "explained"]

STATE_SIGNAL = "_state"


@dataclass(frozen=True, slots=True)
class ServiceOrder:
    """What one service is told."""

    service: str
    command: str  # one of mtp.states.COMMANDS: start, complete, hold, reset, ...
    procedure: str = ""  # with a start; empty: the service's default
    parameters: dict[str, float] = field(default_factory=dict)  # with a start
    number: int = 0  # rises by one with each order of a batch to this service


class Unheard(str):
    """Why an order did not reach its module, or was not answered in time: no refusal, and to be told again."""

    __slots__ = ()


def explained(was: ServiceState, now: ServiceState, *, told: Collection[str]) -> bool:
    """Whether a service can have come from `was` to `now` by itself and by these commands; states in between may have been missed."""
    commands = {COMMANDS[each] for each in told}
    seen, edge = {was}, [was]
    while edge:
        one = edge.pop()
        by_command = [after for command, after in NEXT[one].items() if command in commands]
        for after in (*by_command, *((AFTER[one],) if one in AFTER else ())):
            if after not in seen:
                seen.add(after)
                edge.append(after)
    return now in seen
