"""Documents of the process looked at before anybody signs them: recipes, plants, libraries of blocks, released settings.

Guarantees: a page that says which kind of document it saw and what a person should look at; `NotValid`
with every complaint and its line where it is not in order, and with the kinds that are known where it is none.
Leaves to others: documents of other rooms (the command line knows them all), whether a unit can run a recipe (derive).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from isogenic.checks import Note, Severity
from isogenic.documents import shown
from isogenic.errors import NotValid
from isogenic.plant import documents, settings
from isogenic.recipes import blocks, conditions, general, site
from isogenic.recipes.model import GeneralRecipe, SiteDocument, Why, digest_of
from isogenic.recipes.roles import named_parameters

__all__ = ["KINDS", "as_page", "check", "kind_of"]

OWNER = "process engineer"
KINDS = (general.KIND, site.KIND, documents.KIND, blocks.KIND, settings.KIND)
_KIND = re.compile(r"""^isogenic:[ ]*["']?([^"'#]*?)["']?[ ]*(#.*)?$""", re.MULTILINE)


def kind_of(text: str) -> str:
    """What a document says it is, `isogenic: plant/1`; empty where it does not say."""
    found = _KIND.search(text)
    return f"isogenic: {found[1].strip()}" if found and found[1].strip() else ""


def check(text: str, *, name: str = "recipe", also: tuple[str, ...] = ()) -> str:
    """That a document is in order, with what a person should look at; `NotValid` with every complaint where it is not.

    `also` are the kinds that whoever asks can look at besides.
    """
    kind = kind_of(text)
    if kind == general.KIND:
        return _general(general.load_general(text, name=name), name)
    if kind == site.KIND:
        return _site(site.load_site(text, name=name), name)
    if kind == documents.KIND:
        plant = documents.load_plant(text, name=name)
        units = ", ".join(f"{unit.id} ({unit.cls.name})" for unit in plant.units.values())
        return as_page(f"{name}: plant of {plant.site}: {len(plant.units)} units: {units}", text)
    if kind == settings.KIND:
        released = settings.load_settings(text, name=name)
        return as_page(f"{name}: module settings of {released.site} version {released.version}: {len(released.values)} settings", text)
    if kind == blocks.KIND:
        found = blocks.check_library(text, name=name)
        return as_page(f"{name}: library of {len(found)} blocks, judged where a recipe uses them: {', '.join(found)}", text)
    why = f"it says {shown(kind)}" if kind else "it does not say what it is"
    raise NotValid(f"cannot check {name}", why=why, possible=f"begin with one of {', '.join((*KINDS, *also))}")


def as_page(head: str, text: str, notes: Sequence[str] = ()) -> str:
    """What was seen, what a person should look at, and the digest that is signed."""
    return _page(head, digest_of(text), [Note("check", Severity.WARN, each, OWNER) for each in notes])


def _page(head: str, digest: str, notes: Sequence[Note]) -> str:
    things = "1 thing" if len(notes) == 1 else f"{len(notes)} things"
    end = f"in order, {things} to look at" if notes else "no complaints"
    return "\n".join([head, *(f"  {note.severity}: {note.text}" for note in notes), f"  {end}", f"  SHA-256 {digest}"]) + "\n"


def _general(recipe: GeneralRecipe, name: str) -> str:
    critical = sum(each.critical for each in recipe.formula.values())
    counted = f"{len(recipe.formula)} parameters ({critical} critical), {len(recipe.procedure.phases)} phases"
    head = f"{name}: general recipe {recipe.recipe} version {recipe.version} for {recipe.product}: {counted}"
    return _page(head, recipe.digest, [*check_every_parameter_is_used(recipe), *check_every_wait_ends(recipe)])


def _site(document: SiteDocument, name: str) -> str:
    counted = f"{len(document.differences)} differences, {len(document.wording)} questions in {document.language}"
    head = f"{name}: site recipe of {document.site} for {document.recipe} version {document.version}: {counted}"
    return _page(head, document.digest, check_every_difference_has_a_type(document))


def check_every_difference_has_a_type(document: SiteDocument) -> list[Note]:
    """A difference without a type is read, because documents had none once, and never released."""
    name, words = "check_every_difference_has_a_type", "does not say its type and cannot be released; possible: " + ", ".join(Why)
    untyped = [each for each in document.differences if each.why_type is None]
    return [Note(name, Severity.WARN, f"line {each.line}: {each.target} {each.name} {words}", OWNER) for each in untyped]


def check_every_parameter_is_used(recipe: GeneralRecipe) -> list[Note]:
    """A parameter that nothing names changes nothing when it is changed."""
    used = named_parameters((recipe.procedure, tuple(recipe.roles.values())), recipe.formula)
    return [
        Note("check_every_parameter_is_used", Severity.WARN, f"parameter {name} is used nowhere", OWNER)
        for name in recipe.formula
        if name not in used
    ]


def check_every_wait_ends(recipe: GeneralRecipe) -> list[Note]:
    """A phase that waits for more than time has a time-out, so that nobody forgets it."""
    return [
        Note("check_every_wait_ends", Severity.WARN, f"phase {phase.name} may wait for ever: it has no timeout", OWNER)
        for phase in recipe.procedure.phases
        if not phase.timeout and conditions.ELAPSED not in phase.until
    ]
