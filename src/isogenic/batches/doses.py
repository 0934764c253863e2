"""How much a phase doses, when, and under which number.

Guarantees: a dose has a number above every number that its module may have executed, so none
is given twice; a computed dose is bounded; nothing is ordered on readings that are not good.
Leaves to others: noting it (node), executing each number once (the module).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from isogenic.batches.facts import AlarmRaised, DoseCommanded, DoseNotNeeded, TotalRestarted
from isogenic.batches.state import ActivePhase, BatchState, tag_of
from isogenic.batches.truth import Seen, has_arrived, holds, value_of
from isogenic.plant.classes import DOSE_NUMBER
from isogenic.recipes.model import ControlDose, ControlPhase, DoseRule, Then
from isogenic.records.facts import Payload

__all__ = ["dose_due", "restarts_due"]

TOTAL_FELL = 0.99  # of what a total was: noise does not make it fall by a hundredth
DENSITY_KG_PER_L = 1.02  # of culture; illustrative
COMPUTED_DOSE_MAX = 0.10  # of the working volume: a wrong scale must not flood the vessel


def restarts_due(state: BatchState, active: ActivePhase, phase: ControlPhase, seen: Seen) -> Iterator[Payload]:
    """A total that is lower than it was when the dose was ordered counts from zero again."""
    before = active.dosed.total_before if active.dosed is not None else None
    total = value_of(seen, phase.dose.total) if phase.dose is not None else None
    if before and total is not None and total < before * TOTAL_FELL:
        assert phase.dose is not None
        yield TotalRestarted(state.batch, phase.name, phase.dose.total, total)


def _is_under_way(active: ActivePhase, phase: ControlPhase, seen: Seen) -> bool:
    """A dose of this phase was ordered, and the totaliser does not show it yet."""
    return active.dosed is not None and active.dosed.total_before is not None and not has_arrived(active, phase, seen)


def dose_due(state: BatchState, active: ActivePhase, phase: ControlPhase, seen: Seen, now: datetime) -> Payload | None:
    """What the phase's dose has due now: an order, or the word that none is needed."""
    dose = phase.dose
    if dose is None or (dose.when and not holds(state, active, phase, dose.when, seen, now)):
        return None
    if dose.rule is DoseRule.BOLUS:
        return _bolus_due(state, active, phase, dose, seen, now)
    if active.dosed is not None:
        return None
    if dose.rule is DoseRule.AMOUNT:
        return _order(state, active, phase, dose, dose.amount, seen, why=f"{dose.amount:g} {dose.unit} by the recipe")
    volume = _volume(seen)
    if volume is None:
        return None
    if dose.rule is DoseRule.EVERYTHING:
        return _order(state, active, phase, dose, volume * dose.per_litre, seen, why=f"everything: the vessel holds {volume:.4g} L")
    litres = volume * dose.to / (dose.stock - dose.to)
    return _order(
        state, active, phase, dose, _bounded(state, phase, litres) * dose.per_litre, seen, why=f"{dose.stock:g} into {volume:.4g} L gives {dose.to:g}"
    )


def _bolus_due(state: BatchState, active: ActivePhase, phase: ControlPhase, dose: ControlDose, seen: Seen, now: datetime) -> Payload | None:
    """Decided once in a window, from its first scan on which the readings are good; the first window is for looking only."""
    window = int(active.elapsed_h(now) // dose.every_h)
    level, volume = value_of(seen, dose.signal), _volume(seen)
    if window <= active.window or level is None or volume is None:
        return None
    if _is_under_way(active, phase, seen):
        # What was ordered before an outage may flow now: the level that is read does not contain it yet, so no second one on top.
        late = f"{dose.into} number {active.dosed.number if active.dosed else 0} was ordered a window ago and has not arrived"
        return None if active.timed_out else AlarmRaised(state.control.batch, phase.name, late, then=Then.ALARM)
    if level >= dose.below:
        return DoseNotNeeded(state.control.batch, phase.name, dose.into, window, f"{dose.signal} {level:.4g} is not below {dose.below:g}")
    litres = _bounded(state, phase, volume * (dose.to - level) / (dose.stock - dose.to))
    why = f"{dose.signal} {level:.4g} is below {dose.below:g}; {volume:.4g} L to {dose.to:g}"
    return _order(state, active, phase, dose, litres * dose.per_litre, seen, why=why, window=window)


def _volume(seen: Seen) -> float | None:
    """Litres in the vessel, by weight; None where the scale is not good or the vessel is empty."""
    weight = value_of(seen, "vessel_weight")
    return None if weight is None or weight <= 0 else weight / DENSITY_KG_PER_L


def _bounded(state: BatchState, phase: ControlPhase, litres: float) -> float:
    return min(litres, COMPUTED_DOSE_MAX * state.parts[state.place[phase.name]].working_volume)


def _order(
    state: BatchState, active: ActivePhase, phase: ControlPhase, dose: ControlDose, amount: float, seen: Seen, *, why: str, window: int = 0
) -> DoseCommanded | None:
    """The dose with its number, which is above every number that the module may have executed; None while that cannot be known."""
    before = state.doses.get(tag_of(state.unit_of(phase.name), dose.into))
    number = before.number if before is not None else 0
    counter = seen.get(dose.into + DOSE_NUMBER)
    if counter is not None:
        if not counter.good:
            return None
        number = max(number, int(counter.value))  # an earlier batch may have left it high
    total = value_of(seen, dose.total)
    if total is None and dose.rule is not DoseRule.BOLUS:
        return None  # whether it has arrived could never be told
    return DoseCommanded(
        batch=state.control.batch,
        phase=phase.name,
        dose=dose.into,
        amount=float(f"{amount:.6g}"),
        unit=dose.unit,
        number=number + 1,
        why=why,
        window=window,
        total_before=total,
    )
