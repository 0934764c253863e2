"""Charts: what runs after, beside or instead of what.

    charge; all(heat; adjust_ph, sample); one(when glucose < 5 mM: feed, otherwise: wait); repeat(wash until ph > 7 pH at most 3 then hold)

    chart = part { ";" part }
    part  = name | "all(" chart { "," chart } ")" | "one(" choice { "," choice } ")"
          | "repeat(" chart " until " condition " at most " n " then " word ")"
    choice = "when " condition ":" chart | "otherwise:" chart

The same four shapes serve at each level of ISA-88: unit procedures in a procedure, operations
in a unit procedure, phases in an operation (procedure function charts, ANSI/ISA-88.00.02; the
shapes are those of sequential function charts, IEC 60848: sequence, simultaneous and
alternative branches, backward jump). They nest and never cross, so a chart always ends.

Guarantees: `read(text_of(chart)) == chart`; text from outside is bounded in length and depth.
Leaves to others: whether the names exist (general), running it (batches), drawing it (pages).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from isogenic.errors import NotValid

__all__ = [
    "All",
    "Chart",
    "Choice",
    "Name",
    "OneOf",
    "Repeat",
    "Sequence",
    "conditions",
    "mapped",
    "names",
    "read",
    "sequence",
    "substituted",
    "text_of",
]

TEXT_MAX = 20_000  # characters: a chart longer than this cannot be recorded in one fact with its phases
DEPTH_MAX = 12
TIMES_MAX = 1_000  # rounds of a loop
OTHERWISE = ""


@dataclass(frozen=True, slots=True)
class Name:
    """One phase, operation or unit procedure."""

    name: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after another; an empty one is done at once."""

    parts: tuple[Chart, ...]


@dataclass(frozen=True, slots=True)
class All:
    """Side by side; done when every branch is done."""

    branches: tuple[Chart, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One way on, and the condition that opens it; no condition: otherwise."""

    when: str
    do: Chart


@dataclass(frozen=True, slots=True)
class OneOf:
    """The first way whose condition holds; while none does, it waits."""

    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """Again and again until a condition holds at the end of a round; after `at_most` rounds without it, `then` is done."""

    body: Chart
    until: str
    at_most: int
    then: str  # hold, abort, complete or alarm: see Then


Chart = Name | Sequence | All | OneOf | Repeat


def sequence(parts: tuple[Chart, ...]) -> Chart:
    """The parts one after another, without a level for nothing."""
    flat = tuple(inner for part in parts for inner in (part.parts if isinstance(part, Sequence) else (part,)))
    return flat[0] if len(flat) == 1 else Sequence(flat)


def names(chart: Chart) -> tuple[str, ...]:
    """Every name, in the order of reading."""
    return tuple(_names(chart))


def _names(chart: Chart) -> Iterator[str]:
    if isinstance(chart, Name):
        yield chart.name
    for part in _inside(chart):
        yield from _names(part)


def conditions(chart: Chart) -> tuple[str, ...]:
    """Every condition that decides a way or a round, in the order of reading."""
    return tuple(_conditions(chart))


def _conditions(chart: Chart) -> Iterator[str]:
    if isinstance(chart, OneOf):
        for each in chart.choices:
            yield from (each.when,) if each.when else ()
            yield from _conditions(each.do)
        return
    for part in _inside(chart):
        yield from _conditions(part)
    if isinstance(chart, Repeat):
        yield chart.until


def _inside(chart: Chart) -> tuple[Chart, ...]:
    match chart:
        case Sequence():
            return chart.parts
        case All():
            return chart.branches
        case OneOf():
            return tuple(each.do for each in chart.choices)
        case Repeat():
            return (chart.body,)
    return ()


def substituted(chart: Chart, by: Callable[[str], Chart]) -> Chart:
    """The chart with each name replaced by a chart: operations by their phases."""
    return mapped(chart, name=by, condition=lambda text: text)


def mapped(chart: Chart, *, name: Callable[[str], Chart], condition: Callable[[str], str]) -> Chart:
    """The chart with each name and each condition replaced."""

    def inner(part: Chart) -> Chart:
        return mapped(part, name=name, condition=condition)

    match chart:
        case Name():
            return name(chart.name)
        case Sequence():
            return sequence(tuple(inner(part) for part in chart.parts))
        case All():
            return All(tuple(inner(part) for part in chart.branches))
        case OneOf():
            return OneOf(tuple(Choice(condition(each.when) if each.when else OTHERWISE, inner(each.do)) for each in chart.choices))
        case Repeat():
            return Repeat(inner(chart.body), condition(chart.until), chart.at_most, chart.then)


# --- text and back ------------------------------------------------------------------------------


def text_of(chart: Chart) -> str:
    """The chart in one line, as it is recorded."""
    match chart:
        case Name():
            return chart.name
        case Sequence():
            return "; ".join(text_of(part) for part in chart.parts)
        case All():
            return f"all({', '.join(text_of(part) for part in chart.branches)})"
        case OneOf():
            ways = (f"when {each.when}: {text_of(each.do)}" if each.when else f"otherwise: {text_of(each.do)}" for each in chart.choices)
            return f"one({', '.join(ways)})"
        case Repeat():
            return f"repeat({text_of(chart.body)} until {chart.until} at most {chart.at_most} then {chart.then})"


_NAME = re.compile(r"\s*([a-z][a-z0-9_]*)")
_UNTIL = re.compile(r"\s*until (?P<until>[^,;:]{1,500}?) at most (?P<times>\d{1,4}) then (?P<then>[a-z]+)\s*\)")
_WHEN = re.compile(r"\s*(?:when (?P<when>[^,;:]{1,500}?)|otherwise)\s*:")


def read(text: str) -> Chart:
    """The chart that a line of text says, or `NotValid` with the place."""
    if len(text) > TEXT_MAX:
        raise NotValid("cannot read the chart", why=f"{len(text)} characters are more than {TEXT_MAX}")
    reader = _Reader(text)
    chart = reader.chart(0)
    if reader.rest():
        raise reader.trouble("a ; or the end was expected")
    return chart


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def rest(self) -> str:
        return self.text[self.at :].strip()

    def chart(self, depth: int) -> Chart:
        if depth > DEPTH_MAX:
            raise self.trouble(f"nested deeper than {DEPTH_MAX}")
        if not self.rest() or self.looks_at(",)") or self.text.startswith(" until ", self.at):
            return Sequence(())
        parts = [self.part(depth)]
        while self.take(";"):
            parts.append(self.part(depth))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def part(self, depth: int) -> Chart:
        found = _NAME.match(self.text, self.at)
        if not found:
            raise self.trouble("a name was expected")
        word, self.at = found[1], found.end()
        if word not in ("all", "one", "repeat") or not self.take("("):
            return Name(word)
        return {"all": self.all, "one": self.one, "repeat": self.repeat}[word](depth + 1)

    def all(self, depth: int) -> Chart:
        branches = [self.chart(depth)]
        while self.take(","):
            branches.append(self.chart(depth))
        self.end()
        return All(tuple(branches))

    def one(self, depth: int) -> Chart:
        choices = [self.choice(depth)]
        while self.take(","):
            choices.append(self.choice(depth))
        self.end()
        return OneOf(tuple(choices))

    def choice(self, depth: int) -> Choice:
        found = _WHEN.match(self.text, self.at)
        if not found:
            raise self.trouble("when ...: or otherwise: was expected")
        self.at = found.end()
        return Choice(found["when"] or OTHERWISE, self.chart(depth))

    def repeat(self, depth: int) -> Chart:
        body = self.chart(depth)
        found = _UNTIL.match(self.text, self.at)
        if not found or not 1 <= int(found["times"]) <= TIMES_MAX:
            raise self.trouble(f"until ... at most 1 to {TIMES_MAX} then ... was expected")
        self.at = found.end()
        return Repeat(body, found["until"], int(found["times"]), found["then"])

    def looks_at(self, marks: str) -> bool:
        return self.rest()[:1] in tuple(marks)

    def take(self, mark: str) -> bool:
        if not self.looks_at(mark):
            return False
        self.at = self.text.index(mark, self.at) + 1
        return True

    def end(self) -> None:
        if not self.take(")"):
            raise self.trouble("a closing parenthesis was expected")

    def trouble(self, why: str) -> NotValid:
        return NotValid(f"cannot read the chart {self.text[:80]!r}", why=f"at {self.text[self.at : self.at + 20].strip()!r}, {why}")
