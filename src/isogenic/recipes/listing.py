"""Recipes as lists that people read: general, site and control, in the order of their charts.

Guarantees: every phase is listed once, under what it stands in: branches that run side by side,
ways of which one is taken, and loops are told apart from one thing after another; what runs only
on hold, on restart or on an exception stands behind, under its name. The same recipe, the same lines.
Leaves to others: the chart as a picture (drawing), room for entries (master batch record).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from isogenic.recipes import charts
from isogenic.recipes.changes import dose_text, prompt_text
from isogenic.recipes.charts import All, Chart, Name, OneOf, Repeat
from isogenic.recipes.derive import CLASS_UNITS, control_digest
from isogenic.recipes.model import (
    MAIN,
    Ask,
    ControlDose,
    ControlPhase,
    ControlRecipe,
    ControlUnitProcedure,
    DoseRule,
    GeneralRecipe,
    Operation,
    Parameter,
    Per,
    Phase,
    SiteDocument,
    UnitProcedure,
)

__all__ = ["control_lines", "general_lines", "site_lines"]

PER_TEXT = {Per.UNIT: "", Per.VOLUME: " /L", Per.CELLS: " per 1e6 cells", Per.KLA: " kLa", Per.TIP_SPEED: " tip speed"}
STEP = "  "
Named = Callable[[str, str], Iterator[str]]  # name, indent -> lines


def _in_order(chart: Chart, indent: str, named: Named) -> Iterator[str]:
    """What a chart names, each in its place."""
    match chart:
        case Name():
            yield from named(chart.name, indent)
        case charts.Sequence():
            for part in chart.parts:
                yield from _in_order(part, indent, named)
        case All():
            for at, branch in enumerate(chart.branches):
                yield f"{indent}side by side:" if at == 0 else f"{indent}and:"
                yield from _in_order(branch, indent + STEP, named)
            yield f"{indent}go on when all of these are done"
        case OneOf():
            for at, choice in enumerate(chart.choices):
                yield f"{indent}{'if' if at == 0 else 'else, if'} {_spoken(choice.when)}:" if choice.when else f"{indent}otherwise:"
                yield from _in_order(choice.do, indent + STEP, named)
                if choice.do == charts.Sequence(()):
                    yield f"{indent}{STEP}nothing"
        case Repeat():
            yield f"{indent}again until {_spoken(chart.until)}, at most {chart.at_most} times, then {chart.then}:"
            yield from _in_order(chart.body, indent + STEP, named)


_HOURS = re.compile(r"\belapsed (<=|>=|<|>) ([0-9.e+-]+) h\b")


def _spoken(condition: str) -> str:
    """A resolved condition with a part of an hour in minutes, as somebody would say it."""
    return _HOURS.sub(lambda found: f"elapsed {found[1]} {_time(float(found[2]))}", condition)


def _time(hours: float) -> str:
    return f"{hours * 60:.6g} min" if 0 < hours < 1 else f"{hours:.6g} h"


# --- a site's document ----------------------------------------------------------------------------


def site_lines(document: SiteDocument) -> Iterator[str]:
    """What a site has otherwise."""
    yield f"{document.recipe} version {document.version} at {document.site}"
    yield f"site recipe, questions in {document.language}, SHA-256 {document.digest}"
    yield ""
    yield "Differences from the general recipe"
    for one in document.differences:
        yield f"  {one.target} {one.name}, because of {one.why_type or '(type not said)'}: {one.was} -> {one.now}"
        yield f"    {one.why}"
    if not document.differences:
        yield "  none"
    for note in document.notes:
        yield f"Note: {note}"
    for prompt, words in document.wording.items():
        yield f"Question {prompt}: {words}"


# --- a general recipe -----------------------------------------------------------------------------


def general_lines(recipe: GeneralRecipe) -> Iterator[str]:
    """The whole recipe: formula, needs, procedure."""
    classes = [role.equipment_class.replace("_", " ") for role in recipe.roles.values()]
    on = f"a {classes[0]}" if list(recipe.roles) == [MAIN] else ", ".join(f"{name} ({cls})" for name, cls in zip(recipe.roles, classes, strict=True))
    yield f"{recipe.recipe} version {recipe.version}: {recipe.title}"
    yield f"general recipe for {recipe.product} on {on}, SHA-256 {recipe.digest}"
    if recipe.description:
        yield recipe.description
    yield ""
    yield "Formula (* critical, /L for each litre of working volume)"
    wide = max(map(len, recipe.formula), default=0)
    for name, one in recipe.formula.items():
        adjustable = "  (adjustable in a running batch)" if one.adjustable else ""
        yield f"  {'*' if one.critical else ' '} {name:<{wide}}  {_scaled(one):<22}  {one.low} to {one.high}  {one.title}{adjustable}"
    for role in recipe.roles.values():
        yield ""
        yield "Needs" if list(recipe.roles) == [MAIN] else f"Needs of {role.name}"
        for need in role.needs:
            yield f"    {need.capability}: {need.low} to {need.high}"
    yield ""
    yield "Procedure"
    units = {unit.name: (at, unit) for at, unit in enumerate(recipe.procedure.unit_procedures, 1)}
    yield from _in_order(recipe.procedure.chart, STEP, lambda name, indent: _unit_lines(*units[name], indent, recipe))


def _unit_lines(at: int, unit: UnitProcedure, indent: str, recipe: GeneralRecipe) -> Iterator[str]:
    yield f"{indent}{at} {unit.name}{f' (on {unit.role})' if len(recipe.roles) > 1 else ''}"
    operations = {each.name: (f"{at}.{number}", each) for number, each in enumerate(unit.operations, 1)}
    yield from _in_order(unit.chart, indent + STEP, lambda name, inner: _operation_lines(*operations[name], inner, recipe))
    for words, letter, phases in (("on hold", "H", unit.on_hold), ("on restart", "R", unit.on_restart)):
        yield from [f"{indent}{STEP}{words}:"] if phases else []
        for number, phase in enumerate(phases, 1):
            yield from _phase_lines(f"{at}.{letter}{number}", phase, indent + 2 * STEP, recipe)
    for number, operation in enumerate(unit.on_exception, 1):
        yield f"{indent}{STEP}only where an exception calls for it:"
        yield from _operation_lines(f"{at}.X{number}", operation, indent + 2 * STEP, recipe)


def _operation_lines(at: str, operation: Operation, indent: str, recipe: GeneralRecipe) -> Iterator[str]:
    yield f"{indent}{at} {operation.name}"
    phases = {each.name: (f"{at}.{number}", each) for number, each in enumerate(operation.phases, 1)}
    yield from _in_order(operation.chart, indent + STEP, lambda name, inner: _phase_lines(*phases[name], inner, recipe))


def _scaled(one: Parameter) -> str:
    return f"{one.value}{PER_TEXT[one.per]}{f' ({one.of})' if one.of else ''}"


def _phase_lines(at: str, phase: Phase, indent: str, recipe: GeneralRecipe) -> Iterator[str]:
    formula: Mapping[str, Parameter] = recipe.formula

    def shown(text: str) -> str:
        return f"{text} ({_scaled(formula[text[1:]])})" if text.startswith("@") else text

    yield f"{indent}{at} {phase.name}: {phase.title}{'  (monitored)' if phase.monitored else ''}"
    inner = indent + 3 * STEP
    if phase.setpoints:
        yield f"{inner}set    {', '.join(f'{name} {shown(text)}' for name, text in phase.setpoints.items())}"
    if phase.held:
        yield f"{inner}held   {', '.join(f'{name} {shown(text)}' for name, text in phase.held.items())}"
    if phase.service:
        given = ", ".join(f"{name} {shown(text)}" for name, text in phase.service.parameters.items())
        yield f"{inner}run    {_service(phase.service.name, phase.service.procedure, given)}"
    for prompt in phase.prompts:
        yield f"{inner}ask    {prompt.name}: {prompt_text(prompt)}{_how(prompt.how)}"
    for entry in phase.enter:
        yield f"{inner}enter  {entry.parameter}: {entry.text} ({formula[entry.parameter].low} to {formula[entry.parameter].high})"
    if phase.dose:
        yield f"{inner}dose   {dose_text(phase.dose)}"
    for sampling in phase.samples:
        yield f"{inner}draw   {sampling.sample}: {sampling.what}{f', when {sampling.when}' if sampling.when else ''}"
    yield f"{inner}until  {phase.until}"
    if phase.timeout:
        yield f"{inner}else   after {shown(phase.timeout)}: {phase.timeout_then}"
    for rule in phase.exceptions:
        yield f"{inner}if     {rule.name}: {rule.when}{f' for {shown(rule.lasting)}' if rule.lasting else ''}: {rule.then}"
    yield f"{inner}lost   a signal it needs is bad for {shown(phase.lost_after)}: {phase.lost_then}"


def _how(how: Ask) -> str:
    """What is asked of whoever answers, beyond the words."""
    said = [f"of {how.expects} {how.material}".rstrip()] if how.expects else []
    said += [" / ".join(how.choices)] if how.choices else []
    said += [word for word, holds in (("signed", how.sign), ("witnessed", how.witness)) if holds]
    said += [f"by somebody competent in {how.competence}"] if how.competence else []
    return f", {', '.join(said)}" if said else ""


def _service(name: str, procedure: str, given: str) -> str:
    return f"service {name}{f', procedure {procedure}' if procedure else ''}{f', with {given}' if given else ''}"


# --- a control recipe -----------------------------------------------------------------------------


def control_lines(control: ControlRecipe) -> Iterator[str]:
    """Every number resolved."""
    yield f"{control.recipe} version {control.version} on {control.unit} at {control.site}: {control.title}"
    yield f"control recipe for {control.product}, working volume {control.working_volume:g} L, SHA-256 {control_digest(control)}"
    yield f"from general {control.general_digest[:16]}, site {control.site_digest[:16]}, master {control.master_digest[:16]}"
    yield ""
    yield "Parameters (* critical)"
    wide = max((len(one.name) for one in control.parameters), default=0)
    for one in control.parameters:
        yield f"  {'*' if one.critical else ' '} {one.name:<{wide}}  {one.value:g} {one.unit}"
    yield ""
    yield "Phases"
    numbers = {phase.name: at for at, phase in enumerate(control.phases, 1)}
    parts = {part.name: part for part in control.unit_procedures}
    alone = len(parts) == 1
    yield from _in_order(charts.read(control.chart), STEP, lambda name, indent: _part_lines(parts[name], numbers, indent, heading=not alone))


def _part_lines(part: ControlUnitProcedure, numbers: Mapping[str, int], indent: str, *, heading: bool) -> Iterator[str]:
    if heading:
        where = f"on {part.unit}" if part.unit else f"on a {part.equipment_class.replace('_', ' ')} that is chosen in the batch"
        yield f"{indent}{part.name} ({part.role}, {where})"
        indent += STEP
    phases = {phase.name: phase for phase in part.phases}

    def named(name: str, inner: str) -> Iterator[str]:
        return _control_phase_lines(numbers[name], phases[name], inner)

    if part.unit:
        yield from _in_order(charts.read(part.chart), indent, named)
    aside: Sequence[tuple[str, str]] = (("on hold", part.on_hold), ("on restart", part.on_restart), *part.on_exception.items())
    for words, text in aside:
        if text:
            yield f"{indent}{words if words.startswith('on ') else f'only where an exception calls for {words}'}:"
            yield from _in_order(charts.read(text), indent + STEP, named)


def _control_phase_lines(at: int, phase: ControlPhase, indent: str) -> Iterator[str]:
    yield f"{indent}{at} {phase.operation} / {phase.name}: {phase.title}"
    inner = indent + 2 * STEP
    for word, setpoints in (("set ", phase.setpoints), ("held", phase.held)):
        if setpoints:
            yield f"{inner}{word}   {', '.join(f'{name} {value:g} {CLASS_UNITS[name]}' for name, value in setpoints.items())}"
    if phase.service:
        given = ", ".join(f"{name} {value:g}" for name, value in phase.service.parameters.items())
        yield f"{inner}run    {_service(phase.service.name, phase.service.procedure, given)}"
    for prompt in phase.prompts:
        yield f"{inner}ask    {prompt.name}: {prompt_text(prompt)}{_how(prompt.how)}"
    for entry in phase.enter:
        yield f"{inner}enter  {entry.parameter}: {entry.text}"
    if phase.dose:
        yield f"{inner}dose   {_control_dose_text(phase.dose)}"
    for sampling in phase.samples:
        yield f"{inner}draw   {sampling.sample}: {sampling.what}{f', when {_spoken(sampling.when)}' if sampling.when else ''}"
    yield f"{inner}until  {_spoken(phase.until)}"
    if phase.timeout_h is not None:
        yield f"{inner}else   after {_time(phase.timeout_h)}: {phase.timeout_then}"
    for rule in phase.exceptions:
        yield f"{inner}if     {rule.name}: {_spoken(rule.when)}{f' for {_time(rule.lasting_h)}' if rule.lasting_h else ''}: {rule.then}"
    if phase.needs:
        yield f"{inner}needs  {', '.join(phase.needs)}; bad for {_time(phase.lost_after_h)}: {phase.lost_then}"


def _control_dose_text(dose: ControlDose) -> str:
    when = f", when {_spoken(dose.when)}" if dose.when else ""
    if dose.rule is DoseRule.AMOUNT:
        return f"{dose.amount:g} {dose.unit} by {dose.into}{when}"
    if dose.rule is DoseRule.EVERYTHING:
        return f"everything by {dose.into}{when}"
    unit = CLASS_UNITS[dose.signal or "viable_cells"]
    stock = f"stock of {dose.stock:g} {unit} by {dose.into} up to {dose.to:g} {unit}{when}"
    return stock if dose.rule is DoseRule.REACH else f"every {dose.every_h:g} h, if {dose.signal} < {dose.below:g} {unit}: {stock}"
