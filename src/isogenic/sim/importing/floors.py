"""What cannot be below zero: a volume, a concentration, a temperature above absolute zero.

Guarantees: a column of volumes or concentrations has nothing below zero but what an instrument shows of nothing: a value
that is negative by more than a twentieth of the column's largest reading is refused with its line, and so is a temperature
below absolute zero. What is nearer stays as it was read: an assay of a medium without lactate reads -0.02 as often as 0.02,
and to make it zero would lie about its error. Weights may be tared, flows run back, shares and differences are what they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isogenic.sim.importing.mapping import Column
from isogenic.sim.importing.rows import Lines, wrong
from isogenic.sim.importing.values import Numbers
from isogenic.units import converter, same_dimension

__all__ = ["Floors"]

AROUND_ZERO = 0.05  # of the largest reading
_KINDS = {"a volume": ("L",), "a concentration": ("mol/L", "g/L", "cell/L", "IU/L", "1/L")}


@dataclass(slots=True)
class _Seen:
    column: Column
    what: str
    lowest: float = 0.0
    line: int = 0
    highest: float = 0.0


class Floors:
    """What was seen of the columns that have a floor, piece by piece."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._seen = {each.at: _Seen(each, what) for each in columns if (what := _kind(each.unit))}
        self._warm = {each.at: converter(each.unit, "K") for each in columns if each.unit != "1" and same_dimension(each.unit, "K")}

    def note(self, each: Column, values: Numbers, lines: Lines) -> None:
        """One piece of a column, in the unit it gets here."""
        if not np.isfinite(values).any():
            return
        at = int(np.nanargmin(values))
        if each.at in self._warm and self._warm[each.at](float(values[at])) < 0:
            raise wrong(lines.of(at), each.at, each.heading, f"{values[at]:g} {each.unit}, which is below absolute zero")
        if each.at in self._seen:
            seen = self._seen[each.at]
            seen.highest = max(seen.highest, float(np.nanmax(values)))
            if values[at] < seen.lowest:
                seen.lowest, seen.line = float(values[at]), lines.of(at)

    def check(self) -> None:
        """At the end of the table."""
        for each in self._seen.values():
            if each.lowest < -AROUND_ZERO * each.highest:
                found = f"{each.lowest:g} {each.column.unit}, and {each.what} is not below zero; the largest is {each.highest:g}"
                possible = "nothing where none was measured, or a value around zero as its instrument read it"
                raise wrong(each.line, each.column.at, each.column.heading, found, possible=possible)


def _kind(unit: str) -> str:
    return next((what for what, units in _KINDS.items() if unit != "1" and any(same_dimension(unit, like) for like in units)), "")
