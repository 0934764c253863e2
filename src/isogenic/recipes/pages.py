"""Recipes as pages that people read: check, show, diff, derive.

Guarantees: text in, text out, or a refusal with every complaint and its line; the same
recipe gives the same page, so pages are reviewed as files.
Leaves to others: reading files, printing (command line).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from isogenic.checks import Note, Severity, stops
from isogenic.documents import Document
from isogenic.errors import NotAllowed, NotValid
from isogenic.ids import BatchId, LotId, UnitId
from isogenic.plant.documents import load_plant
from isogenic.recipes import batchml, conditions
from isogenic.recipes.affected import AtSite
from isogenic.recipes.affected import affected as reached
from isogenic.recipes.batchml_mapping import document_of, recipe_of
from isogenic.recipes.blocks import write_out
from isogenic.recipes.changes import What, changes, dose_text, prompt_text
from isogenic.recipes.derive import CLASS_UNITS, control_digest, derivable, derive_control, derive_master
from isogenic.recipes.drawing import as_svg, as_text
from isogenic.recipes.general import KIND, load_general
from isogenic.recipes.master_record import MasterRecord, master_record
from isogenic.recipes.model import ControlDose, ControlPhase, ControlRecipe, DoseRule, GeneralRecipe, Parameter, Per, Phase, SiteDocument, Why
from isogenic.recipes.scaling import values_for
from isogenic.recipes.site import KIND as SITE_KIND
from isogenic.recipes.site import derive_site, load_site
from isogenic.recipes.writing import written

__all__ = ["affected", "chart", "check", "control_text", "derive", "diff", "export_batchml", "import_batchml", "record_of", "show"]

PER_TEXT = {Per.UNIT: "", Per.VOLUME: " /L", Per.CELLS: " per 1e6 cells", Per.KLA: " kLa", Per.TIP_SPEED: " tip speed"}
REACHED_MAX = 40  # lines of one master recipe: more is another process
_ANY_BATCH, _ANY_LOT = BatchId("BAT-0"), LotId("LOT-0")


def _load(text: str, name: str) -> GeneralRecipe | SiteDocument:
    """Read a general or a site recipe, whichever the document says it is."""
    for line in text.splitlines():
        if line.startswith("isogenic:"):
            if line.split("#")[0].strip() == SITE_KIND:
                return load_site(text, name=name)
            break
    return load_general(text, name=name)


# --- check --------------------------------------------------------------------------------------


def check(text: str, *, name: str = "recipe") -> str:
    """That a recipe is in order, with what a person should look at; `NotValid` with every complaint where it is not."""
    recipe = _load(text, name)
    if isinstance(recipe, SiteDocument):
        counted = f"{len(recipe.differences)} differences, {len(recipe.wording)} questions in {recipe.language}"
        lines = [f"{name}: site recipe of {recipe.site} for {recipe.recipe} version {recipe.version}: {counted}"]
        notes = check_every_difference_has_a_type(recipe)
    else:
        critical = sum(each.critical for each in recipe.formula.values())
        counted = f"{len(recipe.formula)} parameters ({critical} critical), {len(recipe.procedure.phases)} phases"
        lines = [f"{name}: general recipe {recipe.recipe} version {recipe.version} for {recipe.product}: {counted}"]
        notes = [*check_every_parameter_is_used(recipe), *check_every_wait_ends(recipe)]
    lines += [f"  {note.severity}: {note.text}" for note in notes]
    return "\n".join([*lines, "  no complaints", f"  SHA-256 {recipe.digest}"]) + "\n"


def check_every_difference_has_a_type(document: SiteDocument) -> list[Note]:
    """A difference without a type is read, because documents had none once, and never released."""
    name, words = "check_every_difference_has_a_type", "does not say its type and cannot be released; possible: " + ", ".join(Why)
    untyped = [each for each in document.differences if each.why_type is None]
    return [Note(name, Severity.WARN, f"line {each.line}: {each.target} {each.name} {words}", "process engineer") for each in untyped]


def check_every_parameter_is_used(recipe: GeneralRecipe) -> list[Note]:
    """A parameter that nothing names changes nothing when it is changed."""
    used = {text[1:] for text in _values(recipe) if text.startswith("@")}
    for phase in recipe.procedure.phases:
        for text in (phase.until, phase.dose.when if phase.dose else ""):
            used |= set(conditions.parameters(conditions.parse(text))) if text else set()
    return [
        Note("check_every_parameter_is_used", Severity.WARN, f"parameter {name} is used nowhere", "process engineer")
        for name in recipe.formula
        if name not in used
    ]


def check_every_wait_ends(recipe: GeneralRecipe) -> list[Note]:
    """A phase that waits for more than time has a time-out, so that nobody forgets it."""
    return [
        Note("check_every_wait_ends", Severity.WARN, f"phase {phase.name} may wait for ever: it has no timeout", "process engineer")
        for phase in recipe.procedure.phases
        if not phase.timeout and conditions.ELAPSED not in phase.until
    ]


def _values(recipe: GeneralRecipe) -> Iterator[str]:
    for need in recipe.needs:
        yield from (need.low, need.high)
    for phase in recipe.procedure.phases:
        yield from phase.setpoints.values()
        yield from phase.held.values()
        yield from (phase.timeout, phase.lost_after)
        if phase.dose:
            yield from (phase.dose.amount, phase.dose.below, phase.dose.to, phase.dose.stock, phase.dose.every)


# --- show ---------------------------------------------------------------------------------------


def show(text: str, *, name: str = "recipe") -> str:
    """A recipe as a procedure that people read."""
    recipe = _load(text, name)
    lines = _site_lines(recipe) if isinstance(recipe, SiteDocument) else _general_lines(recipe)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _site_lines(document: SiteDocument) -> Iterator[str]:
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


def _general_lines(recipe: GeneralRecipe) -> Iterator[str]:
    yield f"{recipe.recipe} version {recipe.version}: {recipe.title}"
    yield f"general recipe for {recipe.product} on a {recipe.equipment_class.replace('_', ' ')}, SHA-256 {recipe.digest}"
    if recipe.description:
        yield recipe.description
    yield ""
    yield "Formula (* critical, /L for each litre of working volume)"
    wide = max(map(len, recipe.formula), default=0)
    for name, one in recipe.formula.items():
        yield f"  {'*' if one.critical else ' '} {name:<{wide}}  {_scaled(one):<22}  {one.low} to {one.high}  {one.title}"
    yield ""
    yield "Needs"
    for need in recipe.needs:
        yield f"    {need.capability}: {need.low} to {need.high}"
    yield ""
    yield "Procedure"
    for at, unit in enumerate(recipe.procedure.unit_procedures, 1):
        yield f"  {at} {unit.name}"
        for inner, operation in enumerate(unit.operations, 1):
            yield f"    {at}.{inner} {operation.name}"
            for innermost, phase in enumerate(operation.phases, 1):
                yield f"      {at}.{inner}.{innermost} {phase.name}: {phase.title}{'  (monitored)' if phase.monitored else ''}"
                yield from _phase_lines(phase, recipe.formula)


def _scaled(one: Parameter) -> str:
    return f"{one.value}{PER_TEXT[one.per]}{f' ({one.of})' if one.of else ''}"


def _phase_lines(phase: Phase, formula: Mapping[str, Parameter]) -> Iterator[str]:
    def shown(text: str) -> str:
        return f"{text} ({_scaled(formula[text[1:]])})" if text.startswith("@") else text

    indent = " " * 12
    if phase.setpoints:
        yield f"{indent}set    {', '.join(f'{name} {shown(text)}' for name, text in phase.setpoints.items())}"
    if phase.held:
        yield f"{indent}held   {', '.join(f'{name} {shown(text)}' for name, text in phase.held.items())}"
    for prompt in phase.prompts:
        yield f"{indent}ask    {prompt.name}: {prompt_text(prompt)}"
    if phase.dose:
        yield f"{indent}dose   {dose_text(phase.dose)}"
    yield f"{indent}until  {phase.until}"
    if phase.timeout:
        yield f"{indent}else   after {shown(phase.timeout)}: {phase.timeout_then}"
    yield f"{indent}lost   a signal it needs is bad for {shown(phase.lost_after)}: {phase.lost_then}"


# --- diff ---------------------------------------------------------------------------------------


def diff(old: str, new: str) -> str:
    """What changed from one recipe to another, one line a change."""
    before, after = _load(old, "the old recipe"), _load(new, "the new recipe")
    if type(before) is not type(after):
        raise NotValid("cannot compare the two", why="one is a general recipe and one a site recipe")
    found = changes(before, after)
    head = f"{before.recipe} version {before.version} -> {after.recipe} version {after.version}"
    critical = sum(change.critical for change in found)
    count = f"{len(found)} changes, {critical} of critical parameters" if found else "no changes"
    if found:
        each = Counter(change.what for change in found)
        count += ": " + ", ".join(f"{each[what]} {what}" for what in What if each[what])
    return "\n".join([head, count, *(str(change) for change in found)]) + "\n"


# --- affected -----------------------------------------------------------------------------------


def affected(old: str, new: str, sites: Sequence[tuple[str, str]]) -> str:
    """Which master recipes a new version reaches, at every site given as (name, text); the others proven equal by digest."""
    before, after = load_general(old, name="the old recipe"), load_general(new, name="the new recipe")
    found = reached(before, after, [load_site(text, name=name) for name, text in sites])
    return "\n".join(_affected_lines(before, after, found)) + "\n"


def _affected_lines(before: GeneralRecipe, after: GeneralRecipe, found: Sequence[AtSite]) -> Iterator[str]:
    yield f"{before.recipe} version {before.version} -> {after.recipe} version {after.version}"
    for change in changes(before, after):
        yield f"  {change}"
    touched = [each for each in found if each.affected]
    yield ""
    yield f"Affected: {len(touched)} of {len(found)} master recipes"
    for each in touched:
        yield f"  {each.site} {each.equipment_class} ({each.role})  {each.before[:16]} -> {each.after[:16] or 'none'}"
        if each.refused:
            yield f"    cannot be derived: {each.refused}"
        yield from (f"    {line}" for line in each.reached[:REACHED_MAX])
        if len(each.reached) > REACHED_MAX:
            yield f"    and {len(each.reached) - REACHED_MAX} more"
    yield ""
    yield f"Unaffected, equal by digest: {len(found) - len(touched)}"
    for each in found:
        if not each.affected:
            yield f"  {each.site} {each.equipment_class} ({each.role})  {each.before}"
    if any(each.renew for each in found):
        yield ""
        yield "To renew in the sites' documents"
        for site, renew in {each.site: each.renew for each in found}.items():
            yield from (f"  {site}  {line}" for line in renew)


# --- chart --------------------------------------------------------------------------------------


def chart(text: str, *, name: str = "recipe") -> tuple[str, str]:
    """The procedure of a general recipe as lines of text, and as an SVG picture."""
    recipe = load_general(text, name=name)
    return as_text(recipe), as_svg(recipe)


# --- master batch record ------------------------------------------------------------------------


def record_of(general: str, *, site: str = "", plant: str = "", unit: str = "") -> MasterRecord:
    """The master batch record of a general recipe, or of a site's unit with its numbers; `NotAllowed` where the unit cannot run it."""
    recipe = load_general(general)
    if not (site and plant):
        if site or plant or unit:
            raise NotValid("cannot make the record", why="a record for a site takes its site document and its plant document")
        return master_record(recipe)
    there = load_plant(plant, name="plant document")
    master = derive_master(derive_site(recipe, load_site(site)), there)
    name = UnitId(unit) if unit else master.units[0]
    failed = stops(derivable(master, there.unit(name)))
    if failed:
        raise NotAllowed(f"cannot make the record for {name}", why="; ".join(note.text for note in failed))
    return master_record(master, values=values_for(master.formula, there.unit(name)), unit=str(name))


# --- BatchML ------------------------------------------------------------------------------------


def export_batchml(text: str, *, name: str = "recipe", at: str = "") -> tuple[bytes, tuple[str, ...]]:
    """A general recipe as a BatchML file, and what of it only we shall understand; `NotValid` where it is not in order."""
    load_general(text, name=name)
    document = Document.read(text, what=name, kind=KIND)
    blocks = "blocks" in document.plain_table()
    write_out(document)  # BatchML has no blocks: what is used is written where it is used
    recipe, listed = recipe_of(document.plain_table())
    return batchml.written(recipe, at=at), (*(["blocks are written out where they are used"] if blocks else []), *listed)


def import_batchml(data: bytes) -> tuple[str, tuple[str, ...]]:
    """A BatchML master recipe as a general recipe document, and everything that was not carried or is to be added."""
    recipe, missed = batchml.read(data)
    carried = document_of(recipe, missed=missed)
    comment = "Imported from BatchML."
    if carried.listed:
        comment += " Not carried, or to be added:\n" + "\n".join(f"- {line}" for line in carried.listed)
    return written(carried.document, comment=comment), carried.listed


# --- derive -------------------------------------------------------------------------------------


def derive(general: str, site: str, plant: str, *, unit: str = "") -> str:
    """The control recipe for a unit, or for every unit of the class; where one cannot run it, why. `NotAllowed` if none can."""
    there = load_plant(plant, name="plant document")
    master = derive_master(derive_site(load_general(general), load_site(site)), there)
    pages, refusals = [], []
    for name in [UnitId(unit)] if unit else master.units:
        where = there.unit(name)
        failed = stops(derivable(master, where))
        if failed:
            refusals.append(f"{name}: " + "; ".join(note.text for note in failed))
        else:
            pages.append(control_text(derive_control(master, where, batch=_ANY_BATCH, lot=_ANY_LOT)))
    if not pages:
        raise NotAllowed(f"cannot derive {master.recipe} version {master.version} at {master.site}", why="; ".join(refusals))
    return "\n".join([*pages, *(f"not derivable for {text}\n" for text in refusals)])


def control_text(control: ControlRecipe) -> str:
    """A control recipe as people read it: every number resolved."""
    return "\n".join(_control_lines(control)) + "\n"


def _control_lines(control: ControlRecipe) -> Iterator[str]:
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
    for at, phase in enumerate(control.phases, 1):
        yield f"  {at} {phase.operation} / {phase.name}: {phase.title}"
        yield from _control_phase_lines(phase)


def _control_phase_lines(phase: ControlPhase) -> Iterator[str]:
    indent = " " * 6
    for word, setpoints in (("set ", phase.setpoints), ("held", phase.held)):
        if setpoints:
            yield f"{indent}{word}   {', '.join(f'{name} {value:g} {CLASS_UNITS[name]}' for name, value in setpoints.items())}"
    for prompt in phase.prompts:
        yield f"{indent}ask    {prompt.name}: {prompt_text(prompt)}"
    if phase.dose:
        yield f"{indent}dose   {_control_dose_text(phase.dose)}"
    yield f"{indent}until  {phase.until}"
    if phase.timeout_h is not None:
        yield f"{indent}else   after {phase.timeout_h:g} h: {phase.timeout_then}"
    if phase.needs:
        yield f"{indent}needs  {', '.join(phase.needs)}; bad for {phase.lost_after_h:g} h: {phase.lost_then}"


def _control_dose_text(dose: ControlDose) -> str:
    when = f", when {dose.when}" if dose.when else ""
    if dose.rule is DoseRule.AMOUNT:
        return f"{dose.amount:g} {dose.unit} by {dose.into}{when}"
    if dose.rule is DoseRule.EVERYTHING:
        return f"everything by {dose.into}{when}"
    unit = CLASS_UNITS[dose.signal or "viable_cells"]
    stock = f"stock of {dose.stock:g} {unit} by {dose.into} up to {dose.to:g} {unit}{when}"
    return stock if dose.rule is DoseRule.REACH else f"every {dose.every_h:g} h, if {dose.signal} < {dose.below:g} {unit}: {stock}"
