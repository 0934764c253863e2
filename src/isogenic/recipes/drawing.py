"""The procedure as a chart: lines of text for a terminal, SVG for paper and screens.

The picture follows procedure function charts (ANSI/ISA-88.00.02) with the signs of sequential
function charts (IEC 60848): a step is a box, a transition a short bar across the line with its
condition beside it, branches that run side by side lie between double lines, alternatives between
single ones, a loop goes back by an arrow on the left. Unit procedures and operations are frames.

Guarantees: every phase, condition and loop of the chart is in the picture once; texts are escaped;
the same recipe gives the same bytes.
Leaves to others: which phase is active (screens), the numbers of a phase (master batch record).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from textwrap import wrap

from isogenic.recipes.charts import All, Chart, Name, OneOf, Repeat, Sequence
from isogenic.recipes.model import GeneralRecipe, MasterRecipe, Operation, Phase, Procedure, UnitProcedure

__all__ = ["as_svg", "as_text"]

Drawn = GeneralRecipe | MasterRecipe


# --- text ---------------------------------------------------------------------------------------


def as_text(recipe: Drawn) -> str:
    """The chart for a terminal."""
    procedure = recipe.procedure
    units = {unit.name: unit for unit in procedure.unit_procedures}
    lines = [f"{recipe.recipe} version {recipe.version}: {recipe.title}", "", *_text(procedure.chart, lambda name: _unit_text(units[name], recipe))]
    return "\n".join(lines) + "\n"


def _unit_text(unit: UnitProcedure, recipe: Drawn) -> Iterator[str]:
    role = recipe.roles[unit.role]
    yield f"{unit.name} (on {unit.role}: {role.equipment_class})"
    operations = {operation.name: operation for operation in unit.operations}
    yield from _in(_text(unit.chart, lambda name: _operation_text(operations[name])))
    for words, phases in (("on hold", unit.on_hold), ("on restart", unit.on_restart)):
        if phases:
            yield f"  {words}"
            for phase in phases:
                yield from _in(_phase_text(phase), 4)
    for operation in unit.on_exception:
        yield f"  on exception {operation.name}"
        phases_by_name = {phase.name: phase for phase in operation.phases}
        yield from _in(_text(operation.chart, _by(phases_by_name)), 4)


def _operation_text(operation: Operation) -> Iterator[str]:
    yield operation.name
    yield from _in(_text(operation.chart, _by({phase.name: phase for phase in operation.phases})))


def _by(phases: Mapping[str, Phase]) -> Callable[[str], Iterator[str]]:
    return lambda name: _phase_text(phases[name])


def _phase_text(phase: Phase) -> Iterator[str]:
    yield f"[{phase.name}] {phase.title}"
    yield f"  + {phase.until}"


def _text(chart: Chart, named: Callable[[str], Iterator[str]]) -> Iterator[str]:
    match chart:
        case Name():
            yield from named(chart.name)
        case Sequence():
            for part in chart.parts:
                yield from _text(part, named)
        case All():
            for at, branch in enumerate(chart.branches):
                yield "═══ side by side ═══" if at == 0 else "─── and"
                yield from _in(_text(branch, named))
            yield "═══ all done ═══"
        case OneOf():
            for choice in chart.choices:
                yield f"─── when {choice.when}" if choice.when else "─── otherwise"
                yield from _in(_text(choice.do, named))
            yield "───"
        case Repeat():
            yield f"┌─▶ again, at most {chart.at_most} times, then {chart.then}"
            for line in _text(chart.body, named):
                yield f"│ {line}"
            yield f"└── until {chart.until}"


def _in(lines: Iterator[str], by: int = 2) -> Iterator[str]:
    return (" " * by + line for line in lines)


# --- picture ------------------------------------------------------------------------------------

BOX_W, BOX_H, BAR, GAP, PAD, LINE_H = 190.0, 44.0, 26.0, 14.0, 16.0, 15.0
LETTER, WIDE, TITLE_WIDE, LINES_MAX = 6.3, 34, 28, 3  # pixels of a letter; letters of a condition, of a title, and lines of both
INK, QUIET, PAPER, TINT = "#1f2933", "#5f6b76", "#ffffff", "#f4f6f8"


@dataclass(frozen=True, slots=True)
class _Block:
    """Something drawn: its size, where the line of flow enters and leaves it, and how it is drawn at a place."""

    width: float
    height: float
    axis: float
    draw: Callable[[float, float], Iterator[str]]


def as_svg(recipe: Drawn) -> str:
    """The chart as an SVG picture of its own."""
    whole = _procedure(recipe.procedure, recipe)
    first, last = _terminal(recipe.title[:60]), _terminal("")
    block = _sequence((first, whole, last))
    width, height = block.width + 2 * PAD, block.height + 2 * PAD
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" height="{_n(height)}" role="img"'
    name = escape(f"Procedure of {recipe.recipe} version {recipe.version}")
    style = (
        f"text{{font:12px 'DejaVu Sans',Helvetica,Arial,sans-serif;fill:{INK}}}.q{{fill:{QUIET};font-size:11px}}.b{{font-weight:600}}"
        f".l{{stroke:{INK};stroke-width:1.4;fill:none}}.x{{stroke:{INK};stroke-width:1.4;fill:{PAPER}}}"
        f".f{{stroke:#c5ccd3;stroke-width:1.2;fill:{TINT}}}.g{{stroke:#9aa5b1;stroke-width:1.2;fill:{PAPER}}}"
    )
    lines = [f'{head} aria-label="{name}">', f"<title>{name}</title>", f"<style>{style}</style>"]
    lines += [f'<rect width="{_n(width)}" height="{_n(height)}" fill="{PAPER}"/>', *block.draw(PAD, PAD), "</svg>"]
    return "\n".join(lines) + "\n"


def _procedure(procedure: Procedure, recipe: Drawn) -> _Block:
    units = {unit.name: unit for unit in procedure.unit_procedures}
    return _chart(procedure.chart, lambda name: _unit(units[name], recipe))


def _unit(unit: UnitProcedure, recipe: Drawn) -> _Block:
    operations = {operation.name: operation for operation in unit.operations}
    body = _chart(unit.chart, lambda name: _operation(operations[name]))
    aside: list[_Block] = []
    for words, phases in (("on hold", unit.on_hold), ("on restart", unit.on_restart)):
        if phases:
            aside.append(_frame(words, _sequence(tuple(_phase(each) for each in phases)), "g"))
    aside += [_frame(f"on exception: {each.name}", _operation_body(each), "g") for each in unit.on_exception]
    return _frame(f"{unit.name}  (on {unit.role}, {recipe.roles[unit.role].equipment_class})", _beside(body, aside), "f")


def _operation(operation: Operation) -> _Block:
    return _frame(operation.name, _operation_body(operation), "g")


def _operation_body(operation: Operation) -> _Block:
    phases = {phase.name: phase for phase in operation.phases}
    return _chart(operation.chart, lambda name: _phase(phases[name]))


def _chart(chart: Chart, named: Callable[[str], _Block]) -> _Block:
    match chart:
        case Name():
            return named(chart.name)
        case Sequence():
            return _sequence(tuple(_chart(part, named) for part in chart.parts)) if chart.parts else _empty()
        case All():
            return _between(tuple(_chart(each, named) for each in chart.branches), double=True)
        case OneOf():
            ways = (_sequence((_bar(each.when or "otherwise"), _chart(each.do, named))) for each in chart.choices)
            return _between(tuple(ways), double=False)
        case Repeat():
            return _loop(chart, _chart(chart.body, named))


def _empty() -> _Block:
    return _Block(2 * GAP, GAP, GAP, lambda x, y: iter((_line(x + GAP, y, x + GAP, y + GAP),)))


def _terminal(words: str) -> _Block:
    """Where the procedure begins and ends."""

    def draw(x: float, y: float) -> Iterator[str]:
        yield f'<circle class="x" cx="{_n(x + 10)}" cy="{_n(y + 10)}" r="8"/>'
        if words:
            yield _words(x + 26, y + 14, words, "b")
        else:
            yield f'<circle cx="{_n(x + 10)}" cy="{_n(y + 10)}" r="4.5" fill="{INK}"/>'

    return _Block(30 + len(words) * LETTER * 1.1, 20, 10, draw)


def _phase(phase: Phase) -> _Block:
    """A step, and the transition behind it."""
    bar = _bar(phase.until)
    said = _lines_of(phase.title, TITLE_WIDE)
    tall = BOX_H + LINE_H * (len(said) - 1)

    def draw(x: float, y: float) -> Iterator[str]:
        yield f'<rect class="x" x="{_n(x)}" y="{_n(y)}" width="{BOX_W:g}" height="{_n(tall)}" rx="3"/>'
        if phase.monitored:
            yield f'<rect x="{_n(x)}" y="{_n(y)}" width="4" height="{_n(tall)}" fill="{INK}"/>'
        yield _words(x + 12, y + 18, phase.name, "b")
        for at, line in enumerate(said):
            yield _words(x + 12, y + 34 + at * LINE_H, line, "q", whole=phase.title if line.endswith("…") else "")
        yield from bar.draw(x + BOX_W / 2 - bar.axis, y + tall)

    return _Block(max(BOX_W, BOX_W / 2 + bar.width - bar.axis), tall + bar.height, BOX_W / 2, draw)


def _lines_of(text: str, wide: int) -> list[str]:
    """A text in as many lines as a picture has room for; what is cut ends in a sign of it."""
    said = wrap(text, wide, break_on_hyphens=False) or [""]
    return said if len(said) <= LINES_MAX else [*said[: LINES_MAX - 1], _short(" ".join(said[LINES_MAX - 1 :]), wide)]


def _bar(condition: str) -> _Block:
    """A transition: a bar across the line, its condition beside it."""
    shown = _lines_of(condition, WIDE)
    height = max(BAR, LINE_H * len(shown) + 10)

    def draw(x: float, y: float) -> Iterator[str]:
        middle = y + height / 2
        yield _line(x + 10, y, x + 10, y + height)
        yield _line(x, middle, x + 20, middle)
        for at, line in enumerate(shown):
            yield _words(x + 27, middle + 4 + (at - (len(shown) - 1) / 2) * LINE_H, line, "q", whole=condition if shown[-1].endswith("…") else "")

    return _Block(32 + max(map(len, shown)) * LETTER, height, 10, draw)


def _sequence(parts: tuple[_Block, ...]) -> _Block:
    axis = max(part.axis for part in parts)
    width = axis + max(part.width - part.axis for part in parts)
    tops = [0.0]
    for part in parts[:-1]:
        tops.append(tops[-1] + part.height + GAP)

    def draw(x: float, y: float) -> Iterator[str]:
        for (top, part), (below, _) in pairwise(zip(tops, parts, strict=True)):
            yield _line(x + axis, y + top + part.height, x + axis, y + below)
        for top, part in zip(tops, parts, strict=True):
            yield from part.draw(x + axis - part.axis, y + top)

    return _Block(width, tops[-1] + parts[-1].height, axis, draw)


def _between(branches: tuple[_Block, ...], *, double: bool) -> _Block:
    """Branches between two lines: double where all run, single where one does."""
    offsets, at = [], 0.0
    for branch in branches:
        offsets.append(at)
        at += branch.width + 2 * GAP
    width, rule = at - 2 * GAP, 5.0 if double else 0.0
    inner = max(branch.height for branch in branches)
    height = inner + 2 * (GAP + rule)
    first, last = offsets[0] + branches[0].axis, offsets[-1] + branches[-1].axis
    axis = (first + last) / 2

    def draw(x: float, y: float) -> Iterator[str]:
        for top in (y, y + height - rule):
            for each in (top, top + rule) if double else (top,):
                yield _line(x + first - 12, each, x + last + 12, each)
        for offset, branch in zip(offsets, branches, strict=True):
            place = x + offset + branch.axis
            yield _line(place, y + rule, place, y + rule + GAP)
            yield from branch.draw(x + offset, y + rule + GAP)
            yield _line(place, y + rule + GAP + branch.height, place, y + height - rule)

    return _Block(max(width, last + 12), height, axis, draw)


def _loop(chart: Repeat, body: _Block) -> _Block:
    """A body, the bar that leaves it, and the way back on the left."""
    left, out = 46.0, _bar(f"until {chart.until}")
    axis = max(left + body.axis, left + 10)
    again = f"again, at most {chart.at_most} times, then {chart.then}"
    height = GAP + 12 + body.height + GAP + out.height

    def draw(x: float, y: float) -> Iterator[str]:
        top, bottom = y + 6, y + GAP + 12 + body.height + GAP / 2
        yield _line(x + axis, y, x + axis, y + GAP + 12)
        yield from body.draw(x + axis - body.axis, y + GAP + 12)
        yield _line(x + axis, y + GAP + 12 + body.height, x + axis, y + GAP + 12 + body.height + GAP)
        yield f'<path class="l" d="M{_n(x + axis)} {_n(bottom)}H{_n(x + 12)}V{_n(top)}H{_n(x + axis - 2)}"/>'
        yield f'<path d="M{_n(x + axis - 1)} {_n(top)}l-8 -4.5v9z" fill="{INK}"/>'
        yield _words(x + axis + 10, top + 4, again, "q")
        yield from out.draw(x + axis - out.axis, y + GAP + 12 + body.height + GAP)

    width = axis + max(body.width - body.axis, out.width - out.axis, len(again) * LETTER + 14)
    return _Block(width, height, axis, draw)


def _frame(title: str, body: _Block, kind: str) -> _Block:
    width = max(body.width, len(title) * LETTER * 1.15) + 2 * PAD
    head = 30.0

    def draw(x: float, y: float) -> Iterator[str]:
        yield f'<rect class="{kind}" x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(head + body.height + PAD)}" rx="6"/>'
        yield _words(x + PAD, y + 19, title, "b")
        axis = x + PAD + body.axis
        yield from body.draw(x + PAD, y + head)
        yield _line(axis, y + head + body.height, axis, y + head + body.height + PAD)

    return _Block(width, head + body.height + PAD, PAD + body.axis, draw)


def _beside(body: _Block, aside: list[_Block]) -> _Block:
    """What runs only on hold, on restart or on an exception, to the right of the chart."""
    if not aside:
        return body
    width = body.width + 2 * GAP + max(each.width for each in aside)
    height = max(body.height, sum(each.height + GAP for each in aside) - GAP)

    def draw(x: float, y: float) -> Iterator[str]:
        yield from body.draw(x, y)
        yield _line(x + body.axis, y + body.height, x + body.axis, y + height)
        top = y
        for each in aside:
            yield from each.draw(x + body.width + 2 * GAP, top)
            top += each.height + GAP

    return _Block(width, height, body.axis, draw)


def _line(x: float, y: float, to_x: float, to_y: float) -> str:
    return f'<path class="l" d="M{_n(x)} {_n(y)}L{_n(to_x)} {_n(to_y)}"/>'


def _words(x: float, y: float, text: str, kind: str, *, whole: str = "") -> str:
    told = f"<title>{escape(whole)}</title>" if whole and whole != text else ""
    return f'<text class="{kind}" x="{_n(x)}" y="{_n(y)}">{escape(text)}{told}</text>'


def _short(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "…"


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
