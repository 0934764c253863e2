"""Which batch gets which unit: asked for in order, given in order, and a vain wait is said.

    a batch comes to need a unit      UnitAsked, with the next number of the whole site
    a unit of its class is free       UnitAllocated to the lowest number that it can serve, in the order of the plant document
    a free unit may not be given      AlarmRaised, once for each asking: its line is not cleared, or it runs what was not released
    batches wait for one another      AlarmRaised, once for each asking: a person has to end or stop one of them

Guarantees: the order is that of the numbers, which are noted, so it is the same whichever ledger is
folded first and whatever the clock does; nobody is overtaken: a unit that an earlier asking can use
is not given to a later one, and no batch is started on it meanwhile.
Leaves to others: what a batch needs (engine), what a unit can run (recipes), what stands against giving
it (the checks that a start goes through, too).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

from isogenic.batches.engine import BatchState, wants
from isogenic.batches.facts import AlarmRaised, UnitAllocated, UnitAsked
from isogenic.batches.states import State
from isogenic.checks import Note, Severity, stops
from isogenic.errors import Refusal
from isogenic.ids import BatchId, UnitId
from isogenic.recipes.derive import derive_unit_procedures
from isogenic.recipes.model import ControlUnitProcedure, Then
from isogenic.recipes.publishing import master_recipe
from isogenic.records.facts import Payload
from isogenic.sites.state import SiteState
from isogenic.sites.strangers import for_sponsor

__all__ = ["arbitrate", "check_nobody_waits_for_it"]

WHAT_MAX = 1_000  # characters of an alarm
Against = Callable[[UnitId, BatchState], list[Note]]  # what stands against giving a unit to a batch
Taking = Callable[[UnitId, BatchState], list[Payload]]  # what is noted with it


def _nothing(unit: UnitId, batch: BatchState) -> list[Any]:
    return []


class _Waiter(NamedTuple):
    number: int
    batch: BatchState
    role: str
    equipment_class: str


def arbitrate(state: SiteState, *, against: Against = _nothing, taking: Taking = _nothing, but: Collection[BatchId] = ()) -> list[Payload]:
    """The facts of asking and giving that are due; none about the batches `but`, whose records close now."""
    running = sorted((batch for batch in state.running() if batch.batch not in but), key=lambda batch: batch.batch)
    return [*_asked(state, running), *_given(state, running, against, taking), *_deadlocks(state, running)]


def _asked(state: SiteState, running: list[BatchState]) -> Iterator[UnitAsked]:
    number = _newest_number(state)
    for batch in running:
        classes = {part.role: part.equipment_class for part in batch.control.unit_procedures}
        for role in wants(batch):
            number += 1
            yield UnitAsked(batch.batch, role, classes[role], number)


def _newest_number(state: SiteState) -> int:
    waiting = (asked.number for batch in state.batches.values() for asked in batch.waiting.values())
    served = (held.number for batch in state.batches.values() for held in batch.units.values())
    return max((*waiting, *served), default=0)


def _line(running: list[BatchState]) -> list[_Waiter]:
    """Who waits, first come first."""
    line = [_Waiter(asked.number, batch, role, asked.equipment_class) for batch in running for role, asked in batch.waiting.items()]
    return sorted(line, key=lambda waiter: (waiter.number, waiter.batch.batch))


def _given(state: SiteState, running: list[BatchState], against: Against, taking: Taking) -> Iterator[Payload]:
    taken = {unit for batch in state.running() for unit in batch.holds()}
    for waiter in _line(running):
        free = [unit for unit in _of_class(state, waiter.equipment_class) if unit not in taken]
        if waiter.batch.state is not State.RUNNING:  # a held batch keeps its place in the line, and is not given what it cannot use now
            taken |= set(free[:1])
            continue
        refused: list[str] = []
        for unit in free:
            wrong = stops(against(unit, waiter.batch))
            procedures = () if wrong else _resolved(state, waiter, unit)
            if procedures:
                taken.add(unit)
                yield UnitAllocated(waiter.batch.batch, waiter.role, unit, waiter.number, procedures)
                yield from taking(unit, waiter.batch)
                break
            refused += [f"{unit}: {note.text}" for note in wrong] or [f"{unit} cannot run its part"]
        else:
            if refused and not waiter.batch.waiting[waiter.role].alarmed:
                what = f"{waiter.batch.batch} waits for a {waiter.equipment_class} as {waiter.role}, and none that is free may be given"
                why = for_sponsor(state, "; ".join(refused), waiter.batch.sponsor)
                yield AlarmRaised(waiter.batch.batch, "", f"{what}: {why}"[:WHAT_MAX], then=Then.ALARM, about=f"role {waiter.role}")


def _of_class(state: SiteState, name: str) -> list[UnitId]:
    return [unit.id for unit in state.plant.units.values() if unit.cls.name == name]


def _resolved(state: SiteState, waiter: _Waiter, unit: UnitId) -> tuple[ControlUnitProcedure, ...]:
    """What the batch would run on the unit; nothing where the unit cannot."""
    control = waiter.batch.control
    publication = state.published.get((control.recipe, control.version))
    if publication is None:
        return ()
    try:
        return derive_unit_procedures(master_recipe(publication, plant=state.plant), state.plant.unit(unit), waiter.role)
    except Refusal:
        return ()


# --- vain waits ---------------------------------------------------------------------------------


def _deadlocks(state: SiteState, running: list[BatchState]) -> Iterator[AlarmRaised]:
    """Batches of which each can go on only once another of them has: nobody can."""
    holders = {unit: batch.batch for batch in state.running() for unit in batch.holds()}
    stuck = {batch.batch: batch for batch in running if batch.waiting and batch.state is State.RUNNING and not _goes_on(batch)}
    while True:
        free = [name for name, batch in stuck.items() if _may_be_served(state, batch, holders, stuck)]
        if not free:
            break
        for name in free:
            del stuck[name]
    for batch in stuck.values():
        for role, asked in batch.waiting.items():
            if not asked.alarmed:
                there = {unit: holders[unit] for unit in _of_class(state, asked.equipment_class) if unit in holders}
                held = for_sponsor(state, ", ".join(f"{unit} held by {holder}" for unit, holder in there.items()), batch.sponsor)
                who = "it holds that itself" if set(there.values()) == {batch.batch} else "nobody can go on"
                what = f"{batch.batch} waits for a {asked.equipment_class} as {role}: {held}; {who}"
                yield AlarmRaised(batch.batch, "", what, then=Then.ALARM, about=f"role {role}")


def _goes_on(batch: BatchState) -> bool:
    """Whether something of it runs, or can be started or decided, without another unit."""
    charts = (batch.procedure, *batch.charts.values(), *(aside.progress for aside in batch.asides))
    return bool(batch.active or any(chart.ready for chart in batch.charts.values()) or any(chart.places for chart in charts))


def _may_be_served(state: SiteState, batch: BatchState, holders: dict[UnitId, BatchId], stuck: dict[BatchId, BatchState]) -> bool:
    units = [unit for asked in batch.waiting.values() for unit in _of_class(state, asked.equipment_class)]
    return any(unit not in holders or holders[unit] not in stuck for unit in units)


def check_nobody_waits_for_it(state: SiteState, unit: UnitId) -> list[Note]:
    """No running batch has asked for a unit of this kind before: units are given in the order of asking."""
    kind = state.plant.unit(unit).cls.name
    first = sorted((asked.number, batch.batch) for batch in state.running() for asked in batch.waiting.values() if asked.equipment_class == kind)
    if not first:
        return [Note("check_nobody_waits_for_it", Severity.GOOD, f"no running batch waits for a {kind}")]
    return [Note("check_nobody_waits_for_it", Severity.STOP, f"{unit} is kept for {first[0][1]}, which has asked for a {kind}", "operator")]
