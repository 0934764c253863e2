"""How far a chart has come: what is left of it is itself a chart.

    planned(chart)  ->  entered  ->  started, completed, chosen, round_ended  ->  done

Each event takes away from what is left: a name that was completed is gone, an alternative that
was chosen stands in the place of the choice, a round that is to be run again stands before its
loop. So the same events always leave the same chart, an event is possible only where the chart
has it, and nothing has to be kept beside what is left.

Guarantees: pure; an event that does not fit (a name that is not there, a place that was decided
already) changes nothing. Each choice and each loop has a name of its own, its *place*: its number
in the order of reading, as in `cell_culture/choice_1`.
Leaves to others: when an event is due (engine), conditions (truth).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from isogenic.recipes import charts
from isogenic.recipes.charts import Chart, Choice, Name, OneOf, Repeat

__all__ = ["Decision", "Loop", "Progress", "begun"]


@dataclass(frozen=True, slots=True)
class Todo:
    """A name that has not been started."""

    name: str


@dataclass(frozen=True, slots=True)
class Running:
    """A name that has."""

    name: str


@dataclass(frozen=True, slots=True)
class Chain:
    """One after another; only the first is entered."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Beside:
    """Side by side; all of them are entered."""

    branches: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """A choice that is to be made, since when it is there."""

    place: str
    conditions: tuple[str, ...]  # an empty one: otherwise
    ways: tuple[Node, ...]
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop; `inner` is what is left of this round, None once the round is to be judged."""

    place: str
    body: Node
    until: str
    at_most: int
    then: str
    inner: Node | None = None
    round: int = 0  # 0: not entered
    since: datetime | None = None  # of the first round


Node = Todo | Running | Chain | Beside | Decision | Loop


@dataclass(frozen=True, slots=True)
class Progress:
    """What is left of a chart, and what of it can go on now."""

    left: Node | None = None
    ready: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()
    loops: tuple[Loop, ...] = ()  # a round of which is over

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self.left is None

    @property
    def places(self) -> tuple[str, ...]:
        """Choices and loops that are to be decided."""
        return (*(each.place for each in self.decisions), *(each.place for each in self.loops))

    def names(self) -> frozenset[str]:
        """Every name that may still be started or is running."""
        return frozenset(_names(self.left)) if self.left is not None else frozenset()

    def decides(self) -> bool:
        """Whether a choice or a loop is still to be decided."""
        return self.left is not None and _decides(self.left)

    def started(self, name: str) -> Progress:
        """After a name was started."""
        return self._after(lambda node: Running(name) if node == Todo(name) else node, None)

    def completed(self, name: str, at: datetime) -> Progress:
        """After a name was completed."""
        return self._after(lambda node: None if node in (Todo(name), Running(name)) else node, at)

    def chosen(self, place: str, way: int, at: datetime) -> Progress:
        """After a way was chosen."""

        def change(node: Node) -> Node | None:
            if isinstance(node, Decision) and node.place == place and 0 <= way < len(node.ways):
                return _entered(node.ways[way], at)
            return node

        return self._after(change, at)

    def round_ended(self, place: str, at: datetime, *, again: bool) -> Progress:
        """After a round was judged."""

        def change(node: Node) -> Node | None:
            if isinstance(node, Loop) and node.place == place:
                return replace(node, inner=_entered(node.body, at), round=node.round + 1) if again else None
            return node

        return self._after(change, at)

    def moved(self, by: timedelta) -> Progress:
        """After the clock was corrected: durations go on as they were."""
        return _progress(_moved(self.left, by)) if self.left is not None else self

    def _after(self, change: Callable[[Node], Node | None], at: datetime | None) -> Progress:
        if self.left is None:
            return self
        left = _changed(self.left, change, at)
        return self if left is self.left else _progress(left)


def begun(chart: str | Chart, at: datetime, *, owner: str = "") -> Progress:
    """A chart at its begin."""
    count = {"choice": 0, "loop": 0}

    def place(kind: str) -> str:
        count[kind] += 1
        return f"{owner}/{kind}_{count[kind]}"

    return _progress(_entered(_planned(charts.read(chart) if isinstance(chart, str) else chart, place), at))


def _planned(chart: Chart, place: Callable[[str], str]) -> Node:
    match chart:
        case Name():
            return Todo(chart.name)
        case charts.Sequence():
            return Chain(tuple(_planned(part, place) for part in chart.parts))
        case charts.All():
            return Beside(tuple(_planned(part, place) for part in chart.branches))
        case OneOf():
            here, choices = place("choice"), chart.choices
            return Decision(here, tuple(_when(each) for each in choices), tuple(_planned(each.do, place) for each in choices))
        case Repeat():
            here = place("loop")
            return Loop(here, _planned(chart.body, place), chart.until, chart.at_most, chart.then)


def _when(choice: Choice) -> str:
    return choice.when


def _entered(node: Node, at: datetime | None) -> Node | None:
    """What is left once the node is reached: what has nothing in it is done at once."""
    match node:
        case Chain():
            for index, part in enumerate(node.parts):
                first = _entered(part, at)
                if first is not None:
                    return first if index + 1 == len(node.parts) else Chain((first, *node.parts[index + 1 :]))
            return None
        case Beside():
            left = tuple(each for each in (_entered(branch, at) for branch in node.branches) if each is not None)
            return Beside(left) if len(left) > 1 else left[0] if left else None
        case Decision():
            return replace(node, since=at)
        case Loop():
            return replace(node, inner=_entered(node.body, at), round=1, since=at)
    return node


def _changed(node: Node, change: Callable[[Node], Node | None], at: datetime | None) -> Node | None:
    """The node after a change where it is entered; the very same where nothing changed."""
    match node:
        case Chain():
            first = _changed(node.parts[0], change, at)
            if first is node.parts[0]:
                return node
            return _entered(Chain(node.parts[1:]), at) if first is None else Chain((first, *node.parts[1:]))
        case Beside():
            after = tuple(_changed(branch, change, at) for branch in node.branches)
            if all(one is other for one, other in zip(after, node.branches, strict=True)):
                return node
            left = tuple(each for each in after if each is not None)
            return Beside(left) if len(left) > 1 else left[0] if left else None
        case Loop() if node.inner is not None:
            inner = _changed(node.inner, change, at)
            return node if inner is node.inner else replace(node, inner=inner)
    return change(node)


def _leaves(node: Node) -> Iterator[Node]:
    """What is entered: names, choices, and loops of which a round is over."""
    match node:
        case Chain():
            yield from _leaves(node.parts[0])
        case Beside():
            for branch in node.branches:
                yield from _leaves(branch)
        case Loop() if node.inner is not None:
            yield from _leaves(node.inner)
        case _:
            yield node


def _progress(left: Node | None) -> Progress:
    if left is None:
        return Progress()
    leaves = list(_leaves(left))
    return Progress(
        left,
        ready=tuple(each.name for each in leaves if isinstance(each, Todo)),
        running=tuple(each.name for each in leaves if isinstance(each, Running)),
        decisions=tuple(each for each in leaves if isinstance(each, Decision)),
        loops=tuple(each for each in leaves if isinstance(each, Loop)),
    )


def _names(node: Node) -> Iterator[str]:
    match node:
        case Todo() | Running():
            yield node.name
        case Chain():
            for part in node.parts:
                yield from _names(part)
        case Beside():
            for part in node.branches:
                yield from _names(part)
        case Decision():
            for part in node.ways:
                yield from _names(part)
        case Loop():
            yield from _names(node.body)
            if node.inner is not None:
                yield from _names(node.inner)


def _decides(node: Node) -> bool:
    match node:
        case Chain():
            return any(_decides(part) for part in node.parts)
        case Beside():
            return any(_decides(part) for part in node.branches)
    return isinstance(node, Decision | Loop)


def _moved(node: Node, by: timedelta) -> Node:
    match node:
        case Chain():
            return Chain((_moved(node.parts[0], by), *node.parts[1:]))
        case Beside():
            return Beside(tuple(_moved(branch, by) for branch in node.branches))
        case Decision():
            return replace(node, since=_later(node.since, by))
        case Loop():
            return replace(node, since=_later(node.since, by), inner=None if node.inner is None else _moved(node.inner, by))
    return node


def _later(at: datetime | None, by: timedelta) -> datetime | None:
    try:
        return None if at is None else at + by
    except OverflowError:  # a clock that claims to be beyond the calendar
        return at
