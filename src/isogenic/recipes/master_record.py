"""The master batch record: the procedure on paper, with room for everything that is done and signed.

    page    which recipe, for which site and unit, its digests; the formula with its limits and a blank for what
            was set; each phase in the order of the chart with what is set, asked, drawn and waited for, a blank
            beside each question with its limits, and who did it and who checked it (21 CFR 211.186, 211.188)

Guarantees: every phase, question, limit, sampling point and exception of the recipe is on the page; the same
recipe gives the same bytes, PDF included, which is PDF/A-3a and carries the recipe's document. Texts of people
reach the page as data only; a sign that the page's face lacks is shown as its code point there.
Leaves to others: what was really done (the executed batch record), printing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from textwrap import wrap

from isogenic.recipes.changes import FOR_EACH, dose_text
from isogenic.recipes.charts import All, Chart, Name, OneOf, Repeat, Sequence
from isogenic.recipes.model import Answer, GeneralRecipe, MasterRecipe, Operation, Parameter, Phase, Prompt, UnitProcedure
from isogenic.units import Quantity

__all__ = ["MasterRecord", "Row", "as_pdf", "as_text", "master_record"]

TEXT_WIDTH = 100  # characters: a page of A4 in a typewriter's face
BLANK = "_" * 16
# What the face that typst brings can show: PDF/A refuses a missing glyph.
_NOT_SHOWN = re.compile(
    "[^\n -~\u00a0-\u00ac\u00ae-\u024f\u0370-\u03ff\u0400-\u045f\u1e00-\u1eff\u2010-\u2027\u2030-\u203a\u20ac\u2190-\u2199\u2200-\u22ff]"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One thing on the page, in the order of doing: a heading, a remark of the chart, or a phase with its lines and blanks."""

    kind: str  # unit_procedure, operation, note, phase
    depth: int  # how far in: branches and loops
    number: str
    title: str
    lines: tuple[str, ...] = ()  # what is set, dosed, waited for
    blanks: tuple[tuple[str, str], ...] = ()  # what is written down, and its limits


@dataclass(frozen=True, slots=True)
class MasterRecord:
    """Everything that the pages say."""

    title: str
    head: tuple[tuple[str, str], ...]
    formula: tuple[tuple[str, str, str, str], ...]  # name, value, range, remark
    rows: tuple[Row, ...]
    signatures: tuple[str, ...] = ("Batch record issued by", "Performed: all steps complete", "Reviewed by production", "Reviewed by quality")


def master_record(recipe: GeneralRecipe | MasterRecipe, *, values: Mapping[str, Quantity] | None = None, unit: str = "") -> MasterRecord:
    """The record of a recipe; `values` are the parameters as they hold for a unit, where it is for one."""
    told = values or {}
    head = [("Recipe", f"{recipe.recipe} version {recipe.version}"), ("Product", str(recipe.product))]
    if isinstance(recipe, MasterRecipe):
        head += [
            ("Site", str(recipe.site)),
            ("Unit", unit or "____________"),
            ("Master recipe", recipe.digest),
            ("General recipe", recipe.general_digest),
        ]
    else:
        head += [("General recipe", recipe.digest)]
    formula = tuple(_parameter(one, told.get(name)) for name, one in recipe.formula.items())
    paper = _Paper(told, recipe.formula)
    return MasterRecord(recipe.title, tuple(head), formula, tuple(paper.procedure(recipe)))


def _parameter(one: Parameter, value: Quantity | None) -> tuple[str, str, str, str]:
    as_written = f"{one.value}{FOR_EACH[one.per]}"
    shown = f"{value.value:.6g} {value.unit}".strip() if value is not None else as_written
    remarks = [word for word, holds in (("critical", one.critical), ("may be adjusted", one.adjustable)) if holds]
    if value is not None and one.per:
        remarks.append(f"from {as_written}")
    return one.title, shown, f"{one.low} to {one.high}{FOR_EACH[one.per]}", ", ".join(remarks)


class _Paper:
    """The rows of a recipe, numbered as its levels are."""

    def __init__(self, values: Mapping[str, Quantity], formula: Mapping[str, Parameter]) -> None:
        self.values, self.formula = values, formula

    def procedure(self, recipe: GeneralRecipe | MasterRecipe) -> Iterator[Row]:
        units = {unit.name: unit for unit in recipe.procedure.unit_procedures}
        numbers = {name: str(at) for at, name in enumerate(units, 1)}
        yield from self.chart(recipe.procedure.chart, 0, lambda name, depth: self.unit(units[name], numbers[name], depth, recipe))

    def unit(self, unit: UnitProcedure, number: str, depth: int, recipe: GeneralRecipe | MasterRecipe) -> Iterator[Row]:
        role = recipe.roles[unit.role]
        needs = tuple(f"needs {need.capability} {self.told(need.low)} to {self.told(need.high)}" for need in role.needs)
        yield Row("unit_procedure", depth, number, f"{unit.name}, on the {unit.role} unit ({role.equipment_class.replace('_', ' ')})", needs)
        operations = {each.name: each for each in unit.operations}
        numbers = {name: f"{number}.{at}" for at, name in enumerate(operations, 1)}
        yield from self.chart(unit.chart, depth, lambda name, inner: self.operation(operations[name], numbers[name], inner))
        for words, letter, phases in (("While it is being held", "H", unit.on_hold), ("While it is being restarted", "R", unit.on_restart)):
            if phases:
                yield Row("note", depth, "", f"{words}:")
            for at, phase in enumerate(phases, 1):
                yield self.phase(phase, f"{number}.{letter}{at}", depth + 1)
        for at, operation in enumerate(unit.on_exception, 1):
            yield Row("note", depth, "", "Only where an exception calls for it:")
            yield from self.operation(operation, f"{number}.X{at}", depth + 1)

    def operation(self, operation: Operation, number: str, depth: int) -> Iterator[Row]:
        yield Row("operation", depth, number, operation.name)
        phases = {each.name: each for each in operation.phases}
        numbers = {name: f"{number}.{at}" for at, name in enumerate(phases, 1)}
        yield from self.chart(operation.chart, depth, lambda name, inner: iter((self.phase(phases[name], numbers[name], inner),)))

    def chart(self, chart: Chart, depth: int, named: Callable[[str, int], Iterator[Row]]) -> Iterator[Row]:
        match chart:
            case Name():
                yield from named(chart.name, depth)
            case Sequence():
                for part in chart.parts:
                    yield from self.chart(part, depth, named)
            case All():
                for at, branch in enumerate(chart.branches):
                    yield Row("note", depth, "", "Side by side:" if at == 0 else "and at the same time:")
                    yield from self.chart(branch, depth + 1, named)
                yield Row("note", depth, "", "Go on when all of these are done.")
            case OneOf():
                for choice in chart.choices:
                    when = f"If {self.spelled(choice.when)}:" if choice.when else "Otherwise:"
                    yield Row("note", depth, "", when, (), (("this way was taken", "yes or no"),))
                    yield from self.chart(choice.do, depth + 1, named)
            case Repeat():
                words = f"Again until {self.spelled(chart.until)}, at most {chart.at_most} times, then {chart.then}:"
                yield Row("note", depth, "", words, (), (("rounds", f"1 to {chart.at_most}"),))
                yield from self.chart(chart.body, depth + 1, named)

    def phase(self, phase: Phase, number: str, depth: int) -> Row:
        lines = [f"set {name} to {self.told(text)}" for name, text in phase.setpoints.items()]
        if phase.service:
            given = ", ".join(f"{name} {self.told(text)}" for name, text in phase.service.parameters.items())
            procedure = f", procedure {phase.service.procedure}" if phase.service.procedure else ""
            lines.append(f"run service {phase.service.name}{procedure}{f' with {given}' if given else ''}")
        if phase.dose:
            lines.append(f"dose {self.spelled(dose_text(phase.dose))}")
        lines += [f"draw {each.sample}: {each.what}{f', when {self.spelled(each.when)}' if each.when else ''}" for each in phase.samples]
        lines.append(f"done when {self.spelled(phase.until)}")
        if phase.timeout:
            lines.append(f"after {self.told(phase.timeout)}: {phase.timeout_then}")
        for rule in phase.exceptions:
            lasting = f" for {self.told(rule.lasting)}" if rule.lasting else ""
            lines.append(f"exception {rule.name}: when {self.spelled(rule.when)}{lasting}, {rule.then}")
        blanks = [(f"{each.text} ({each.parameter})", self.range_of(each.parameter)) for each in phase.enter]
        blanks += [(each.text, _limits(each)) for each in phase.prompts]
        blanks += [(f"sample {each.sample} drawn", "label") for each in phase.samples]
        return Row("phase", depth, number, f"{phase.title} ({phase.name})", tuple(lines), tuple(blanks))

    def range_of(self, name: str) -> str:
        one = self.formula[name]
        return f"{one.low} to {one.high}"

    def told(self, text: str) -> str:
        """A value as the operator reads it: the number for this unit where it is known, else the parameter's own."""
        if not text.startswith("@"):
            return text
        name = text[1:]
        value = self.values.get(name)
        if value is not None:
            return f"{value.value:.6g} {value.unit}".strip()
        one = self.formula[name]
        return f"{one.value}{FOR_EACH[one.per]}"

    def spelled(self, text: str) -> str:
        """A condition or a dose with its parameters spelled out."""
        return re.sub(r"@[a-z][a-z0-9_]*", lambda found: self.told(found[0]) if found[0][1:] in self.formula else found[0], text)


def _limits(prompt: Prompt) -> str:
    """What may be written into the blank, and who signs it."""
    said = {Answer.CONFIRM: "confirmed", Answer.TEXT: "text", Answer.SCAN: f"scan of a label: {prompt.how.expects}".strip(": ")}.get(
        prompt.answer, ""
    )
    if prompt.answer is Answer.NUMBER:
        low, high = ("" if each is None else f"{each:g}" for each in (prompt.low, prompt.high))
        said = " to ".join(filter(None, (low, high))) if low and high else f"at least {low}" if low else f"at most {high}" if high else "number"
        said = f"{said} {prompt.unit}".strip()
    if prompt.answer is Answer.CHOICE:
        said = " / ".join(prompt.how.choices)
    more = [word for word, holds in (("signed", prompt.how.sign), ("witnessed", prompt.how.witness)) if holds]
    if prompt.timer is not None:
        times = (f"from {prompt.timer.earliest}" if prompt.timer.earliest else "", f"until {prompt.timer.latest}" if prompt.timer.latest else "")
        more.append(" ".join(filter(None, times)))
    return ", ".join([said, *more])


# --- text ---------------------------------------------------------------------------------------


def as_text(record: MasterRecord) -> str:
    """The record as a page of a typewriter."""
    return "\n".join(line.rstrip() for line in _lines(record)) + "\n"


def _lines(record: MasterRecord) -> Iterator[str]:
    yield f"MASTER BATCH RECORD: {record.title}"
    for name, value in record.head:
        yield f"  {name}: {value}"
    yield f"  Batch: {BLANK}  Lot: {BLANK}  Begun: {BLANK}"
    yield ""
    yield "FORMULA"
    for title, value, limits, remark in record.formula:
        yield f"  {title}: {value}  [{limits}]  set to {BLANK}{f'  ({remark})' if remark else ''}"
    for row in record.rows:
        start = "  " * row.depth
        if row.kind in ("unit_procedure", "operation"):
            yield ""
        title = row.title.upper() if row.kind == "unit_procedure" else row.title
        yield f"{start}{row.number} {title}".rstrip() if row.number else f"{start}{title}"
        for line in row.lines:
            yield from wrap(line, TEXT_WIDTH, initial_indent=f"{start}    - ", subsequent_indent=f"{start}      ")
        for words, limits in row.blanks:
            yield from wrap(f"{words} [{limits}]: {BLANK}", TEXT_WIDTH, initial_indent=f"{start}    > ", subsequent_indent=f"{start}      ")
        if row.kind == "phase":
            yield f"{start}    Begun {BLANK}  Ended {BLANK}  Done by {BLANK}  Checked by {BLANK}"
    yield ""
    yield "SIGNATURES"
    for words in record.signatures:
        yield f"  {words}: name {BLANK}  date {BLANK}  signature {BLANK}"


# --- PDF ----------------------------------------------------------------------------------------


def as_pdf(record: MasterRecord, *, document: str, at: datetime) -> bytes:
    """The record as PDF/A-3a with the recipe's document inside, made at that time; the same gives the same bytes."""
    import typst  # 80 MB, so only where a page is really set

    return typst.compile(
        _template(),
        sys_inputs={"page": json.dumps(_shown(asdict(record))), "data": document},
        ignore_system_fonts=True,  # only the faces that typst itself brings: another machine's would give other bytes
        pdf_standards="a-3a",
        timestamp=int(at.timestamp()),
    )


@cache
def _template() -> bytes:
    return (files("isogenic.recipes") / "master_record.typ").read_bytes()


def _shown(value: object) -> object:
    """The same, with signs that the page's face lacks as their code points."""
    if isinstance(value, str):
        return _NOT_SHOWN.sub(lambda sign: f"<U+{ord(sign[0]):04X}>", value)
    if isinstance(value, dict):
        return {key: _shown(inner) for key, inner in value.items()}
    return [_shown(each) for each in value] if isinstance(value, (list, tuple)) else value
