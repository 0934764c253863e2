"""Site recipes: one site's declared differences from a general recipe.

    differences:
      - {parameter: agitation, type: equipment, from: 100 rpm, to: 140 rpm, why: ...}
      - {question: medium_lot, type: label, from: ..., to: ..., why: ...}
      - {title: harvest, type: label, from: Harvest, to: Harvest into two bags, why: ...}
    wording: {medium_lot: Lotnummer ...}        the question in the site's language, behind the approved one
    wording: {bag_seen: {text: ..., choices: [helder, troebel]}}    its choices, too, in the order of the recipe

    type        may be about                       because at this site
    equipment   a parameter                        the make is another
    scale       a parameter                        the size is another
    supplier    a parameter                        the material is another
    method      a parameter, a question            it is measured otherwise
    label       a question, the title of a phase   the thing has another name
    language    a question, the title of a phase   people speak otherwise

Guarantees: a `SiteRecipe` differs from its general recipe only where its document says so,
each difference with what it replaces, its type, the reason, and for a parameter a result
within the general range. Documents written before differences had a type are still read;
what they derive cannot be released (comparison).
Leaves to others: who has approved it (approval), whether what was derived differs as declared
and nowhere else (comparison), and which unit can run it (derive).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches

from isogenic.documents import Complaint, Document, Table, shown
from isogenic.errors import NotValid
from isogenic.ids import RecipeId, SiteId
from isogenic.recipes.asking import CHOICE_TEXT_MAX
from isogenic.recipes.model import (
    Difference,
    GeneralRecipe,
    Operation,
    Phase,
    Procedure,
    SiteDocument,
    SiteRecipe,
    Target,
    UnitProcedure,
    Why,
    digest_of,
)
from isogenic.units import Quantity, same_dimension

__all__ = ["ABOUT", "KIND", "derive_site", "load_site"]

KIND = "isogenic: site-recipe/1"
TEXT_MAX = 300
BAR, SLASH = " | ", " / "  # approved text | the site's | its choices, one / other
DIFFERENCES_MAX = 200  # a site that differs in more has another process
ABOUT: Mapping[Why, tuple[Target, ...]] = {
    Why.EQUIPMENT: (Target.PARAMETER,),
    Why.SCALE: (Target.PARAMETER,),
    Why.SUPPLIER: (Target.PARAMETER,),
    Why.METHOD: (Target.PARAMETER, Target.QUESTION),
    Why.LABEL: (Target.QUESTION, Target.TITLE),
    Why.LANGUAGE: (Target.QUESTION, Target.TITLE),
}


# --- reading ------------------------------------------------------------------------------------


def load_site(text: str | bytes, *, name: str = "site recipe") -> SiteDocument:
    """Read a site recipe document; `name` says in complaints which one it is."""
    document = Document.read(text, what=name, kind=KIND)
    root = document.root
    wording = root.table("wording", needed=False)
    differences = tuple(_difference(each) for each in root.tables("differences", needed=False))
    if len(differences) > DIFFERENCES_MAX:
        root.complain("differences", f"{len(differences)} are more than {DIFFERENCES_MAX}")
    found = SiteDocument(
        site=root.id("site", SiteId),
        recipe=root.id("recipe", RecipeId),
        version=root.whole("version", low=1, high=9_999),
        language=root.text("language", default="en"),
        notes=root.texts("notes", needed=False),
        differences=differences,
        wording={prompt: _worded(wording, prompt) for prompt in wording.names()},
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


def _worded(table: Table, prompt: str) -> str:
    """`text`, or `text | one / other` where the choices are worded, too: behind the approved text they travel as one line."""
    if not table.is_table(prompt):
        return _bounded(table, prompt)
    inner = table.table(prompt)
    text, choices = _bounded(inner, "text"), inner.texts("choices")
    for each in choices:
        if len(each) > CHOICE_TEXT_MAX or not each.isprintable() or SLASH in each or BAR in each:
            inner.complain("choices", f"{shown(each)!r} is not one line of at most {CHOICE_TEXT_MAX} characters without ' / ' and ' | '")
    if BAR in text:
        inner.complain("text", "' | ' stands between the approved text and this one")
    if len(set(choices)) != len(choices):
        inner.complain("choices", "one is given twice")
    return f"{text}{BAR}{SLASH.join(choices)}"


def _difference(table: Table) -> Difference:
    given = [target for target in Target if table.has(target)]
    if len(given) != 1:
        table.document.complain(table.line, f"{table.path}: a difference is about one of {', '.join(Target)}")
    target = given[0] if given else Target.PARAMETER
    why_type = table.choice("type", Why) if table.has("type") else None
    if why_type is not None and target not in ABOUT[why_type]:
        can = ", ".join(str(each) for each in Why if target in ABOUT[each])
        table.complain("type", f"a {target} does not differ because of {why_type}; it may because of {can}")
    for other in given[1:]:
        table.asked(other)
    name = table.text(target)
    if target is Target.PARAMETER:
        was = table.quantity("from")
        now = table.quantity("to", like=was.unit)
        return Difference(why_type, target, name, str(was), _exact(table, "to", now), _bounded(table, "why"), table.line)
    return Difference(why_type, target, name, _bounded(table, "from"), _bounded(table, "to"), _bounded(table, "why"), table.line)


def _exact(table: Table, key: str, value: Quantity) -> str:
    """The quantity as it was written: nothing is lost by showing it."""
    return table.text(key) if table.has(key) else str(value)


# --- deriving -----------------------------------------------------------------------------------


def derive_site(general: GeneralRecipe, document: SiteDocument) -> SiteRecipe:
    """The general recipe as this site runs it, or `NotValid` with every difference that is not allowed."""
    wrong = _wrong_recipe(general, document)
    seen: set[tuple[Target, str]] = set()
    formula = dict(general.formula)
    for difference in document.differences:
        key = (difference.target, difference.name)
        complaints = _wrong_difference(general, difference) + ([f"{difference.name} is declared twice"] if key in seen else [])
        seen.add(key)
        wrong += [Complaint(difference.line, text) for text in complaints]
        if not complaints and difference.target is Target.PARAMETER:
            formula[difference.name] = replace(formula[difference.name], value=Quantity.parse(difference.now))
    prompts = _questions(general)
    choices = {prompt.name: prompt.how.choices for phase in general.procedure.phases for prompt in phase.prompts}
    for prompt in document.wording:
        if prompt not in prompts:
            wrong.append(Complaint(document.wording_lines[prompt], _unknown("question", prompt, prompts)))
        elif BAR in document.wording[prompt]:
            worded, asked = document.wording[prompt].split(BAR)[-1].split(SLASH), choices[prompt]
            if len(worded) != len(asked):
                why = f"{len(worded)} choices of {prompt} are worded; it has {len(asked)}, in this order: {', '.join(asked) or 'none'}"
                wrong.append(Complaint(document.wording_lines[prompt], why))
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


def _questions(general: GeneralRecipe) -> dict[str, str]:
    return {prompt.name: prompt.text for phase in general.procedure.phases for prompt in phase.prompts}


def _unknown(what: str, name: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"the recipe has no {what} {shown(name)!r}" + (f"; did you mean {near[0]}?" if near else "")


def _wrong_difference(general: GeneralRecipe, difference: Difference) -> list[str]:
    if difference.target is Target.PARAMETER:
        return _wrong_parameter(general, difference)
    titles = {phase.name: phase.title for phase in general.procedure.phases}
    known = _questions(general) if difference.target is Target.QUESTION else titles
    what = "question" if difference.target is Target.QUESTION else "phase"
    if difference.name not in known:
        return [_unknown(what, difference.name, known)]
    if known[difference.name] != difference.was:
        return [f"{difference.name}: the recipe says {shown(known[difference.name])!r}, not {shown(difference.was)!r}"]
    return []


def _wrong_parameter(general: GeneralRecipe, difference: Difference) -> list[str]:
    parameter = general.formula.get(difference.name)
    if parameter is None:
        return [_unknown("parameter", difference.name, general.formula)]
    given, now = Quantity.parse(difference.was), Quantity.parse(difference.now)
    if not same_dimension(now.unit, parameter.value.unit):
        return [f"{difference.name}: {now} does not measure the same as {parameter.value}"]
    wrong = []
    was = given.to(parameter.value.unit).value
    if abs(was - parameter.value.value) > 1e-9 * max(1.0, abs(was)):
        wrong.append(f"{difference.name}: the recipe says {parameter.value}, not {given}")
    if now < parameter.low:
        wrong.append(f"{difference.name}: {now} is below its lowest {parameter.low}")
    if parameter.high < now:
        wrong.append(f"{difference.name}: {now} is above its highest {parameter.high}")
    return wrong


def _reworded(procedure: Procedure, document: SiteDocument) -> Procedure:
    """The same procedure in the site's words: titles and questions as declared, each question's translation behind it."""
    titles = {each.name: each.now for each in document.differences if each.target is Target.TITLE}
    questions = {each.name: each.now for each in document.differences if each.target is Target.QUESTION}
    if not (titles or questions or document.wording):
        return procedure

    def text(name: str, approved: str) -> str:
        said = questions.get(name, approved)
        return f"{said} | {document.wording[name]}" if name in document.wording else said

    def phase(each: Phase) -> Phase:
        prompts = tuple(replace(prompt, text=text(prompt.name, prompt.text)) for prompt in each.prompts)
        return replace(each, title=titles.get(each.name, each.title), prompts=prompts)

    def operations(those: tuple[Operation, ...]) -> tuple[Operation, ...]:
        return tuple(replace(part, phases=tuple(phase(each) for each in part.phases)) for part in those)

    def unit_procedure(unit: UnitProcedure) -> UnitProcedure:
        return replace(
            unit,
            operations=operations(unit.operations),
            on_hold=tuple(phase(each) for each in unit.on_hold),
            on_restart=tuple(phase(each) for each in unit.on_restart),
            on_exception=operations(unit.on_exception),
        )

    return replace(procedure, unit_procedures=tuple(unit_procedure(unit) for unit in procedure.unit_procedures))
