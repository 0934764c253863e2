"""Site recipes: one site's declared differences from a general recipe.

Guarantees: a `SiteRecipe` differs from its general recipe only where its document says so,
each difference with the value that it replaces, the reason, and a result within the general
range. A difference that nobody declared cannot exist, because there is no other way in.
Leaves to others: who has accepted it (approval), and which unit can run it (derive).
"""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches

from isogenic.documents import Complaint, Document, Table, shown
from isogenic.errors import NotValid
from isogenic.ids import RecipeId, SiteId
from isogenic.recipes.model import Difference, GeneralRecipe, Phase, Procedure, SiteDocument, SiteRecipe, digest_of
from isogenic.units import same_dimension

__all__ = ["derive_site", "load_site"]

KIND = "isogenic: site-recipe/1"
TEXT_MAX = 300


def load_site(text: str | bytes, *, name: str = "site recipe") -> SiteDocument:
    """Read a site recipe document; `name` says in complaints which one it is."""
    document = Document.read(text, what=name, kind=KIND)
    root = document.root
    wording = root.table("wording", needed=False)
    found = SiteDocument(
        site=root.id("site", SiteId),
        recipe=root.id("recipe", RecipeId),
        version=root.whole("version", low=1, high=9_999),
        language=root.text("language", default="en"),
        notes=root.texts("notes", needed=False),
        differences=tuple(_difference(each) for each in root.tables("differences", needed=False)),
        wording={prompt: _bounded(wording, prompt) for prompt in wording.names()},
        wording_lines={prompt: wording.line_of(prompt) for prompt in wording.names()},
        digest=digest_of(text),
    )
    document.done()
    return found


def _bounded(table: Table, key: str) -> str:
    text = table.text(key)
    if len(text) > TEXT_MAX:
        table.complain(key, f"{len(text)} characters are more than {TEXT_MAX}")
    return text


def _difference(table: Table) -> Difference:
    was = table.quantity("from")
    return Difference(table.text("parameter"), was, table.quantity("to", like=was.unit), _bounded(table, "why"), table.line)


def derive_site(general: GeneralRecipe, document: SiteDocument) -> SiteRecipe:
    """The general recipe as this site runs it, or `NotValid` with every difference that is not allowed."""
    wrong = _wrong_recipe(general, document)
    formula = dict(general.formula)
    for difference in document.differences:
        complaints = _wrong_difference(general, difference)
        if difference.parameter in formula and formula[difference.parameter] is not general.formula[difference.parameter]:
            complaints.append(f"{difference.parameter} is declared twice")
        wrong += [Complaint(difference.line, text) for text in complaints]
        if not complaints:
            formula[difference.parameter] = replace(formula[difference.parameter], value=difference.now)
    prompts = [prompt.name for phase in general.procedure.phases for prompt in phase.prompts]
    for prompt in document.wording:
        if prompt not in prompts:
            near = get_close_matches(prompt, prompts, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            wrong.append(Complaint(document.wording_lines[prompt], f"the recipe has no question {shown(prompt)!r}{hint}"))
    if wrong:
        raise NotValid(f"cannot derive the recipe of {document.site}", why="; ".join(map(str, sorted(wrong))))
    return SiteRecipe(
        general=general,
        site=document.site,
        language=document.language,
        notes=document.notes,
        differences=document.differences,
        formula=formula,
        procedure=_reworded(general.procedure, document),
        digest=document.digest,
    )


def _wrong_recipe(general: GeneralRecipe, document: SiteDocument) -> list[Complaint]:
    if (document.recipe, document.version) == (general.recipe, general.version):
        return []
    return [Complaint(1, f"it is written for {document.recipe} version {document.version}, not for {general.recipe} version {general.version}")]


def _wrong_difference(general: GeneralRecipe, difference: Difference) -> list[str]:
    parameter = general.formula.get(difference.parameter)
    if parameter is None:
        near = get_close_matches(difference.parameter, general.formula, n=1)
        return [f"the recipe has no parameter {shown(difference.parameter)!r}" + (f"; did you mean {near[0]}?" if near else "")]
    if not same_dimension(difference.now.unit, parameter.value.unit):
        return [f"{difference.parameter}: {difference.now} does not measure the same as {parameter.value}"]
    wrong = []
    was = difference.was.to(parameter.value.unit).value
    if abs(was - parameter.value.value) > 1e-9 * max(1.0, abs(was)):
        wrong.append(f"{difference.parameter}: the recipe says {parameter.value}, not {difference.was}")
    if difference.now < parameter.low:
        wrong.append(f"{difference.parameter}: {difference.now} is below its lowest {parameter.low}")
    if parameter.high < difference.now:
        wrong.append(f"{difference.parameter}: {difference.now} is above its highest {parameter.high}")
    return wrong


def _reworded(procedure: Procedure, document: SiteDocument) -> Procedure:
    """The same procedure, with each question in the site's language behind the approved one."""

    def phase(each: Phase) -> Phase:
        prompts = tuple(
            replace(prompt, text=f"{prompt.text} | {document.wording[prompt.name]}") if prompt.name in document.wording else prompt
            for prompt in each.prompts
        )
        return replace(each, prompts=prompts)

    return Procedure(
        tuple(
            replace(unit, operations=tuple(replace(part, phases=tuple(phase(each) for each in part.phases)) for part in unit.operations))
            for unit in procedure.unit_procedures
        )
    )
