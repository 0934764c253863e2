"""What conditions see: readings, time, answers, results, parameters, doses and services.

Guarantees: a reading that is not good, and what nobody has said yet, is no value, so it
satisfies no condition.
Leaves to others: the text of conditions (recipes.conditions), what follows from them (engine, doses).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from isogenic.batches.facts import PromptAnswered
from isogenic.batches.prompts import prompt_id, questions
from isogenic.batches.state import ActivePhase, BatchState, hours, tag_of
from isogenic.plant.mtp.states import ServiceState
from isogenic.plant.readings import Reading
from isogenic.recipes import conditions
from isogenic.recipes.model import ControlPhase
from isogenic.units import Quantity

__all__ = ["Seen", "has_arrived", "holds", "is_completed", "judged", "known", "value_of"]

DOSED_ENOUGH = 0.95  # of the amount ordered: scales and totalisers are good to 1 %, and some of a harvest stays in the tubing
Seen = Mapping[str, Reading]  # of one unit, by signal


def value_of(seen: Seen, signal: str) -> float | None:
    """A signal's value, or None while it is not good."""
    reading = seen.get(signal)
    return reading.value if reading is not None and reading.good else None


def holds(state: BatchState, active: ActivePhase, phase: ControlPhase, text: str, seen: Seen, now: datetime) -> bool:
    """Whether a condition of the phase is known to hold now."""
    return judged(state, active, phase, text, seen, now) is True


def judged(state: BatchState, active: ActivePhase, phase: ControlPhase, text: str, seen: Seen, now: datetime) -> bool | None:
    """Whether a condition of the phase holds now; None where that cannot be told."""

    def value(name: str) -> float | Quantity | None:
        if name == conditions.ELAPSED:
            return active.elapsed_h(now)
        return _told(state, name) if "." in name else value_of(seen, name)

    condition = conditions.parse(text)
    asked = conditions.flags(condition)
    answered = conditions.ANSWERED in asked and all(prompt_id(state, phase.name, each.name) in state.answers for each in questions(state, phase))
    dosed = conditions.DOSED in asked and has_arrived(active, phase, seen)
    return conditions.holds(condition, value, answered=answered, dosed=dosed, completed=is_completed(state, phase))


def known(state: BatchState, text: str, seen: Seen, since: datetime | None, now: datetime) -> bool | None:
    """Whether a condition of a chart holds now; None where that cannot be told."""

    def value(name: str) -> float | Quantity | None:
        if name == conditions.ELAPSED:
            return hours(since, now)
        return _told(state, name) if "." in name else value_of(seen, name)

    return conditions.holds(conditions.parse(state.conditions.get(text, text)), value)


def _told(state: BatchState, name: str) -> Quantity | None:
    """`answer.x`, `result.x`, `entered.x`."""
    kind, _, what = name.partition(".")
    if kind == "result":
        return state.results.get(what)
    if kind == "entered":
        unit = next((each.unit for each in state.control.parameters if each.name == what), None)
        return Quantity(state.values[what], unit) if unit is not None and what in state.values else None
    return _number(state, _newest(state, what.upper().replace("_", "-")))


def _newest(state: BatchState, prompt: str) -> PromptAnswered | None:
    return next((state.answers[each] for each in reversed(list(state.answers)) if each.rpartition("-")[0] == prompt), None)


def _number(state: BatchState, said: PromptAnswered | None) -> Quantity | None:
    try:
        return None if said is None else Quantity(float(said.answer), state.asked[said.prompt].unit or "1")
    except ValueError:  # the question was not one for a number
        return None


def has_arrived(active: ActivePhase, phase: ControlPhase, seen: Seen) -> bool:
    """Whether the newest dose of the phase shows in its total."""
    ordered, dose = active.dosed, phase.dose
    if ordered is None or dose is None or ordered.total_before is None:
        return False
    total = value_of(seen, dose.total)
    return total is not None and total >= ordered.total_before + DOSED_ENOUGH * ordered.amount


def is_completed(state: BatchState, phase: ControlPhase) -> bool:
    """Whether the service of the phase was started in this run and has completed."""
    if phase.service is None:
        return False
    told = state.services.get(tag_of(state.unit_of(phase.name), phase.service.name))
    return told is not None and told.started and told.phase == phase.name and told.state is ServiceState.COMPLETED
