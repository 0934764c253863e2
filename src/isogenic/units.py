"""Numbers that bring their unit.

`Quantity` travels between rooms; inside numerics, arrays are named with their unit last.
pint is asked at the doors only (recipes, limits, imports); a pair of units once converted
is a cached multiplication. Adding grams to millilitres raises. `rpm` is a count of turns,
not an angle: pint's own rpm would convert 120 rpm to 12.57 1/s.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from isogenic.errors import NotValid

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Quantity", "converter", "same_dimension"]

_DEFINITIONS = (
    "cell = [cell_count]",
    "IU = [international_unit]",
    "turn_count = [turn]",
    "vvm = 1 / minute",
)
_ALIASES = {"rpm": "turn_count / minute", "%": "percent", "pH": "pH_unit", "degC": "degC", "": "dimensionless", "1": "dimensionless"}
UNIT_TEXT_MAX = 60  # characters; longer text is not a unit but an attack on the parser
# Letters, %, a leading 1 or power of ten, and at most one power of one digit for each name, never for a bracket:
# nothing that could make pint compute for long. The power of a power, as in m^9^9^9, would be worked out as whole numbers.
_NAME = "A-Za-z_µ%°"
_UNIT_TEXT = re.compile(rf"(1(e[0-9]{{1,2}})?(?=[ /]))?([{_NAME} /().-]|\*(?!\*)|((?<=[{_NAME}])|(?<=[{_NAME}] ))(\*\*|\^)-?[0-9](?![0-9{_NAME}]))*")
_POWER_IN_WORDS = re.compile("sq|cubed|cubic", re.IGNORECASE)  # pint reads "m cubed cubed" as a power of a power, too
_QUANTITY = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*")


@cache
def _registry() -> Any:
    import pint  # slow to import (1 s), so only where a unit is really read

    registry: Any = pint.UnitRegistry(cache_folder=None)
    for line in _DEFINITIONS:
        registry.define(line)
    registry.define("pH_unit = []")
    return registry


@cache
def _unit(text: str) -> Any:
    """One unit as a pint quantity; the floor's `1e6 cell/mL` and `1/d` are units too."""
    if text not in _ALIASES and (len(text) > UNIT_TEXT_MAX or not _UNIT_TEXT.fullmatch(text) or _POWER_IN_WORDS.search(text)):
        raise NotValid(f"cannot read unit {text[:60]!r}", why="a unit is a short text such as mL/h, 1e6 cell/mL or degC")
    expanded = _ALIASES.get(text) or re.sub(r"\bpH\b", "pH_unit", re.sub(r"\brpm\b", "(turn_count/minute)", text)).replace("%", "percent")
    try:
        if expanded[:1].isdigit():
            return _registry().Quantity(_registry().parse_expression(expanded))
        return _registry().Quantity(1, _registry().parse_units(expanded))
    except Exception as trouble:  # pint raises many unrelated types on malformed text
        raise NotValid(f"cannot read unit {text!r}", why=str(trouble)[:120] or "unknown unit") from trouble


@cache
def converter(source: str, target: str) -> Callable[[float], float]:
    """A function that converts a bare number from `source` to `target` units (affine, so degC works)."""
    if source == target:
        return lambda value: value
    one, other = _unit(source), _unit(target)
    try:
        registry = _registry()
        if one.dimensionality != other.dimensionality:
            raise NotValid(f"cannot convert {source!r} to {target!r}", why=f"{one.dimensionality} is not {other.dimensionality}")
        zero = registry.Quantity(0.0, one.units).to(other.units).magnitude / other.magnitude
        unit = registry.Quantity(1.0 * one.magnitude, one.units).to(other.units).magnitude / other.magnitude
    except NotValid:
        raise
    except Exception as trouble:
        raise NotValid(f"cannot convert {source!r} to {target!r}", why=str(trouble)[:120]) from trouble
    slope, offset = unit - zero, zero
    return lambda value: value * slope + offset


def same_dimension(one: str, other: str) -> bool:
    """Whether two units measure the same kind of thing."""
    return bool(_unit(one).dimensionality == _unit(other).dimensionality)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit. Equality is exact in both; compare magnitudes after `to`."""

    value: float
    unit: str

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise NotValid(f"cannot use {self.value} {self.unit}", why="a quantity is a finite number")

    @classmethod
    def parse(cls, text: str) -> Quantity:
        """Read `37.0 degC`; the unit is checked by pint."""
        found = _QUANTITY.fullmatch(text) if isinstance(text, str) and len(text) <= UNIT_TEXT_MAX + 40 else None
        if not found:
            raise NotValid(f"cannot read quantity {str(text)[:60]!r}", why="the form is a number and a unit", possible="37.0 degC")
        _unit(found[2])
        return cls(float(found[1]), found[2])

    def to(self, unit: str) -> Quantity:
        """The same quantity in another unit of the same dimension."""
        return Quantity(converter(self.unit, unit)(self.value), unit)

    def __add__(self, other: Quantity) -> Quantity:
        if "degC" in (self.unit, other.unit):
            raise NotValid(f"cannot add {self} and {other}", why="temperatures on a scale with an offset do not add")
        return Quantity(self.value + other.to(self.unit).value, self.unit)

    def __lt__(self, other: Quantity) -> bool:
        return self.value < other.to(self.unit).value

    def __le__(self, other: Quantity) -> bool:
        return self.value <= other.to(self.unit).value

    def times(self, factor: float) -> Quantity:
        """Scaled by a bare number."""
        return Quantity(self.value * factor, self.unit)

    def __str__(self) -> str:
        return f"{self.value:g} {self.unit}".rstrip()
