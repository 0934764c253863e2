"""Recipes as pages that people read: show, diff, derive, and what a new version reaches.

Guarantees: text in, text out, or a refusal with every complaint and its line; the same
recipe gives the same page, so pages are reviewed as files.
Leaves to others: reading files, printing (command line).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from isogenic.checks import stops
from isogenic.documents import Document
from isogenic.errors import NotAllowed, NotValid
from isogenic.ids import BatchId, LotId, UnitId
from isogenic.plant.documents import load_plant
from isogenic.recipes import batchml
from isogenic.recipes.affected import AtSite
from isogenic.recipes.affected import affected as reached
from isogenic.recipes.batchml_mapping import document_of, recipe_of
from isogenic.recipes.blocks import write_out
from isogenic.recipes.changes import What, changes
from isogenic.recipes.checking import kind_of
from isogenic.recipes.derive import derivable, derive_control, derive_master
from isogenic.recipes.drawing import as_svg, as_text
from isogenic.recipes.general import KIND, load_general
from isogenic.recipes.listing import control_lines, general_lines, site_lines
from isogenic.recipes.master_record import MasterRecord, master_record
from isogenic.recipes.model import ControlRecipe, GeneralRecipe, SiteDocument
from isogenic.recipes.scaling import values_for
from isogenic.recipes.site import KIND as SITE_KIND
from isogenic.recipes.site import derive_site, load_site
from isogenic.recipes.writing import written

__all__ = ["affected", "chart", "control_text", "derive", "diff", "export_batchml", "import_batchml", "record_of", "show"]

REACHED_MAX = 40  # lines of one master recipe: more is another process
_ANY_BATCH, _ANY_LOT = BatchId("BAT-0"), LotId("LOT-0")


def _load(text: str, name: str) -> GeneralRecipe | SiteDocument:
    """Read a general or a site recipe, whichever the document says it is."""
    return load_site(text, name=name) if kind_of(text) == SITE_KIND else load_general(text, name=name)


# --- show ---------------------------------------------------------------------------------------


def show(text: str, *, name: str = "recipe") -> str:
    """A recipe as a procedure that people read."""
    recipe = _load(text, name)
    lines = site_lines(recipe) if isinstance(recipe, SiteDocument) else general_lines(recipe)
    return "\n".join(line.rstrip() for line in lines) + "\n"


# --- diff ---------------------------------------------------------------------------------------


def diff(old: str, new: str, *, names: tuple[str, str] = ("the old recipe", "the new recipe")) -> str:
    """What changed from one recipe to another, one line a change; `names` say in complaints which one it is."""
    before, after = _load(old, names[0]), _load(new, names[1])
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


def affected(old: str, new: str, sites: Sequence[tuple[str, str]], *, names: tuple[str, str] = ("the old recipe", "the new recipe")) -> str:
    """Which master recipes a new version reaches, at every site given as (name, text); the others proven equal by digest."""
    before, after = load_general(old, name=names[0]), load_general(new, name=names[1])
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


NAMES = ("general recipe", "site recipe", "plant document")  # in complaints, where nobody says which file it was


def record_of(general: str, *, site: str = "", plant: str = "", unit: str = "", names: tuple[str, str, str] = NAMES) -> MasterRecord:
    """The master batch record of a general recipe, or of a site's unit with its numbers; `NotAllowed` where the unit cannot run it."""
    recipe = load_general(general, name=names[0])
    if not (site and plant):
        if site or plant or unit:
            raise NotValid("cannot make the record", why="a record for a site takes its site document and its plant document")
        return master_record(recipe)
    there = load_plant(plant, name=names[2])
    master = derive_master(derive_site(recipe, load_site(site, name=names[1])), there)
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


def derive(general: str, site: str, plant: str, *, unit: str = "", names: tuple[str, str, str] = NAMES) -> str:
    """The control recipe for a unit, or for every unit of the class; where one cannot run it, why. `NotAllowed` if none can."""
    there = load_plant(plant, name=names[2])
    master = derive_master(derive_site(load_general(general, name=names[0]), load_site(site, name=names[1])), there)
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
    return "\n".join(control_lines(control)) + "\n"
