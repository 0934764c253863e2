"""The conditions of a recipe: when a phase is done, when a dose is due.

    elapsed >= 3 d
    temperature > 36.5 degC and temperature < 37.5 degC
    dosed and answered
    not (glucose < @bolus_below) or elapsed > 12 h

    condition  = both { "or" both }
    both       = denial { "and" denial }
    denial     = "not" denial | "(" condition ")" | "answered" | "dosed" | "completed" | comparison
    comparison = (signal | "elapsed" | told) ("<" | "<=" | ">" | ">=") (@parameter | quantity)
    told       = "answer." prompt | "result." attribute | "entered." parameter

`answer.x` is the newest number that a person gave to the question x, `result.x` the newest
laboratory result of an attribute of this batch (an in-process control), `entered.x` the value
that a parameter has now. What is not there yet is unknown, like a reading that is not good.

Guarantees: a condition that was checked compares like with like (units agree by dimension);
text never runs, and is bounded before it is read. A signal whose reading is not good makes
its comparison unknown, and what is unknown is neither true nor, under `not`, false: a bad
reading never satisfies a condition (Kleene's three values).
Leaves to others: what the values are at the time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from isogenic.errors import NotValid
from isogenic.units import Quantity, same_dimension

__all__ = [
    "ANSWERED",
    "COMPLETED",
    "DOSED",
    "ELAPSED",
    "All",
    "AnyOf",
    "Comparison",
    "Condition",
    "Denied",
    "Flag",
    "check",
    "flags",
    "holds",
    "parameters",
    "parse",
    "resolve",
    "signals",
    "told",
    "units_in",
]

TEXT_MAX = 500  # characters: a condition longer than three lines is not reviewed
DEPTH_MAX = 8
ELAPSED, ANSWERED, DOSED, COMPLETED = "elapsed", "answered", "dosed", "completed"
FLAGS = (ANSWERED, DOSED, COMPLETED)
TOLD = ("answer", "result", "entered")
ELAPSED_UNIT = "h"

_TOKEN = re.compile(
    r"\s*(?:(?P<op><=|>=|<|>)|(?P<paren>[()])|(?P<parameter>@[a-z][a-z0-9_]*)"
    r"|(?P<quantity>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?:(?!\b(?:and|or|not)\b)[^<>=()@])*)|(?P<word>[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?))"
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`glucose < 14 mM`: `left` is a signal, `elapsed` or what was told, `right` a quantity or the name of a parameter."""

    left: str
    op: str
    right: Quantity | str

    def __str__(self) -> str:
        right = f"@{self.right}" if isinstance(self.right, str) else _text_of(self.right)
        return f"{self.left} {self.op} {right}"


@dataclass(frozen=True, slots=True)
class Flag:
    """`answered` (every prompt of the phase has its answer), `dosed` (the dose has arrived) or `completed` (its service is)."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Denied:
    """`not` ..."""

    part: Condition

    def __str__(self) -> str:
        return f"not ({self.part})" if isinstance(self.part, (All, AnyOf)) else f"not {self.part}"


@dataclass(frozen=True, slots=True)
class All:
    """... `and` ..."""

    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        return " and ".join(f"({each})" if isinstance(each, AnyOf) else str(each) for each in self.parts)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """... `or` ..."""

    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        return " or ".join(str(each) for each in self.parts)


Condition = Comparison | Flag | Denied | All | AnyOf


def _text_of(quantity: Quantity) -> str:
    return f"{quantity.value!r} {quantity.unit}".rstrip()


@lru_cache(maxsize=512)  # an engine asks for the same few texts at every scan
def parse(text: str) -> Condition:
    """Read a condition, or `NotValid` saying where it cannot be read."""
    if len(text) > TEXT_MAX:
        raise NotValid("cannot read the condition", why=f"{len(text)} characters are more than {TEXT_MAX}")
    return _Reader(text).whole()


class _Reader:
    """Recursive descent over at most TEXT_MAX characters, at most DEPTH_MAX deep."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self.at = 0

    def whole(self) -> Condition:
        found = self.either(0)
        if self.at < len(self.tokens):
            raise self.trouble("and, or, or the end was expected")
        return found

    def either(self, depth: int) -> Condition:
        parts = [self.both(depth)]
        while self.take("word", "or"):
            parts.append(self.both(depth))
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def both(self, depth: int) -> Condition:
        parts = [self.denial(depth)]
        while self.take("word", "and"):
            parts.append(self.denial(depth))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def denial(self, depth: int) -> Condition:
        if depth > DEPTH_MAX:
            raise self.trouble(f"nested deeper than {DEPTH_MAX}")
        if self.take("word", "not"):
            return Denied(self.denial(depth + 1))
        if self.take("paren", "("):
            inside = self.either(depth + 1)
            if not self.take("paren", ")"):
                raise self.trouble("a closing parenthesis was expected")
            return inside
        kind, word = self.next("a signal, elapsed, answered, dosed or completed was expected")
        if kind != "word" or word in ("and", "or"):
            self.at -= 1
            raise self.trouble("a signal, elapsed, answered, dosed or completed was expected")
        return Flag(word) if word in FLAGS else self.comparison(word)

    def comparison(self, left: str) -> Condition:
        kind, op = self.next("one of < <= > >= was expected")
        if kind != "op":
            self.at -= 1
            raise self.trouble("one of < <= > >= was expected")
        kind, right = self.next("a quantity or a @parameter was expected")
        if kind == "parameter":
            return Comparison(left, op, right[1:])
        if kind == "quantity":
            return Comparison(left, op, Quantity.parse(right))
        self.at -= 1
        raise self.trouble("a quantity or a @parameter was expected")

    def take(self, kind: str, text: str) -> bool:
        if self.at < len(self.tokens) and self.tokens[self.at] == (kind, text):
            self.at += 1
            return True
        return False

    def next(self, wanted: str) -> tuple[str, str]:
        if self.at >= len(self.tokens):
            raise self.trouble(wanted)
        self.at += 1
        return self.tokens[self.at - 1]

    def trouble(self, why: str) -> NotValid:
        place = f"at {self.tokens[self.at][1]!r}" if self.at < len(self.tokens) else "at its end"
        return NotValid(f"cannot read the condition {self.text[:80]!r}", why=f"{place}, {why}")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at, end)
        if not found or not found.lastgroup:
            raise NotValid(f"cannot read the condition {text[:80]!r}", why=f"at {text[at : at + 12].strip()!r}")
        yield found.lastgroup, found[found.lastgroup].strip()
        at = found.end()


def _leaves(condition: Condition) -> Iterator[Comparison | Flag]:
    if isinstance(condition, (Comparison, Flag)):
        yield condition
    elif isinstance(condition, Denied):
        yield from _leaves(condition.part)
    else:
        for part in condition.parts:
            yield from _leaves(part)


def _is_told(left: str) -> bool:
    return "." in left


def signals(condition: Condition) -> tuple[str, ...]:
    """The signals that the condition reads, in order."""
    lefts = dict.fromkeys(each.left for each in _leaves(condition) if isinstance(each, Comparison))
    return tuple(left for left in lefts if left != ELAPSED and not _is_told(left))


def told(condition: Condition) -> tuple[str, ...]:
    """What people and laboratories are to have said, in order: answer.x, result.x, entered.x."""
    return tuple(dict.fromkeys(each.left for each in _leaves(condition) if isinstance(each, Comparison) and _is_told(each.left)))


def parameters(condition: Condition) -> tuple[str, ...]:
    """The parameters that the condition names, in order."""
    return tuple(dict.fromkeys(each.right for each in _leaves(condition) if isinstance(each, Comparison) and isinstance(each.right, str)))


def flags(condition: Condition) -> tuple[str, ...]:
    """The flags that the condition asks for, in order."""
    return tuple(dict.fromkeys(each.name for each in _leaves(condition) if isinstance(each, Flag)))


def check(condition: Condition, *, units: Mapping[str, str], parameters: Mapping[str, str]) -> list[str]:
    """What is wrong with it: unknown signals, unknown parameters, unlike units. `units` are the signals' canonical ones."""
    wrong = []
    known = {**units, ELAPSED: ELAPSED_UNIT, **{f"entered.{name}": unit for name, unit in parameters.items()}}
    for each in _leaves(condition):
        if isinstance(each, Flag):
            continue
        unit = parameters.get(each.right) if isinstance(each.right, str) else each.right.unit
        kind, dot, _ = each.left.partition(".")
        if each.left not in known and not (dot and kind in TOLD[:2]):
            wrong.append(f"no signal {each.left}")
        if unit is None:
            wrong.append(f"no parameter @{each.right}")
        if each.left in known and unit is not None and not same_dimension(known[each.left], unit):
            wrong.append(f"{each} compares {known[each.left] or '1'} with {unit or '1'}")
    return wrong


def resolve(condition: Condition, *, units: Mapping[str, str], values: Mapping[str, Quantity]) -> Condition:
    """The condition with every parameter replaced by its value, every value in its signal's canonical unit; in its own where that is not known."""
    if isinstance(condition, Comparison):
        value = values[condition.right] if isinstance(condition.right, str) else condition.right
        value = value.to({**units, ELAPSED: ELAPSED_UNIT}.get(condition.left, value.unit))
        return Comparison(condition.left, condition.op, Quantity(float(f"{value.value:.12g}"), value.unit))  # 37, not 37.00000000000006
    if isinstance(condition, Flag):
        return condition
    if isinstance(condition, Denied):
        return Denied(resolve(condition.part, units=units, values=values))
    return type(condition)(tuple(resolve(part, units=units, values=values) for part in condition.parts))


def units_in(condition: Condition) -> dict[str, str]:
    """The unit of each left side, as a resolved condition compares it."""
    return {each.left: each.right.unit for each in _leaves(condition) if isinstance(each, Comparison) and isinstance(each.right, Quantity)}


def holds(
    condition: Condition, value: Callable[[str], float | Quantity | None], *, answered: bool = False, dosed: bool = False, completed: bool = False
) -> bool | None:
    """Whether a resolved condition holds now: true, false, or None where something that it needs is not known.

    A bare value is in the unit that the condition compares it in; a quantity is converted.
    """
    if isinstance(condition, Flag):
        return {ANSWERED: answered, DOSED: dosed, COMPLETED: completed}[condition.name]
    if isinstance(condition, Comparison):
        assert isinstance(condition.right, Quantity)
        left = value(condition.left)
        if isinstance(left, Quantity):
            left = left.to(condition.right.unit).value if same_dimension(left.unit, condition.right.unit) else None
        return None if left is None else _COMPARE[condition.op](left, condition.right.value)
    if isinstance(condition, Denied):
        inside = holds(condition.part, value, answered=answered, dosed=dosed, completed=completed)
        return None if inside is None else not inside
    parts = [holds(part, value, answered=answered, dosed=dosed, completed=completed) for part in condition.parts]
    decisive = isinstance(condition, AnyOf)  # one true decides an or, one false an and
    if decisive in parts:
        return decisive
    return None if None in parts else not decisive


_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}
