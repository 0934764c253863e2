"""What a condition of a running phase sees: readings, time, answers, doses that have arrived.

Guarantees: a reading that is not good is no value, so it satisfies no condition.
Leaves to others: the text of conditions (recipes.conditions), what follows from them (engine, doses).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from isogenic.batches.prompts import prompt_id
from isogenic.batches.state import BatchState
from isogenic.plant.readings import Reading
from isogenic.recipes import conditions
from isogenic.recipes.model import ControlPhase

__all__ = ["has_arrived", "holds", "value_of"]

DOSED_ENOUGH = 0.95  # of the amount ordered: scales and totalisers are good to 1 %, and some of a harvest stays in the tubing


def value_of(seen: Mapping[str, Reading], signal: str) -> float | None:
    """A signal's value, or None while it is not good."""
    reading = seen.get(signal)
    return reading.value if reading is not None and reading.good else None


def holds(state: BatchState, phase: ControlPhase, text: str, seen: Mapping[str, Reading], now: datetime) -> bool:
    """Whether a condition of the phase is known to hold now."""

    def value(name: str) -> float | None:
        return state.elapsed_h(now) if name == conditions.ELAPSED else value_of(seen, name)

    answered = all(prompt_id(state, prompt.name) in state.answers for prompt in phase.prompts)
    return conditions.holds(conditions.parse(text), value, answered=answered, dosed=has_arrived(state, phase, seen)) is True


def has_arrived(state: BatchState, phase: ControlPhase, seen: Mapping[str, Reading]) -> bool:
    """Whether the newest dose of the phase shows in its total."""
    ordered, dose = state.dosed, phase.dose
    if ordered is None or dose is None or ordered.total_before is None:
        return False
    total = value_of(seen, dose.total)
    return total is not None and total >= ordered.total_before + DOSED_ENOUGH * ordered.amount
