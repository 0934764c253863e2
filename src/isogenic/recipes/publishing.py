"""What a site makes of a published recipe: from two texts to control recipes, or the reasons.

Guarantees: everything is derived from the texts that arrived, never from anything kept
beside them, so the same publication gives the same control recipe after a restart.
Leaves to others: whether the signatures verify (authority) and whether a batch may start.
"""

from __future__ import annotations

from isogenic.checks import Note, Severity, stops
from isogenic.errors import Refusal
from isogenic.ids import BatchId, LotId, UnitId
from isogenic.plant.model import SitePlant
from isogenic.recipes.approval import RecipePublished
from isogenic.recipes.comparison import check_every_difference_is_declared
from isogenic.recipes.control_check import check_control_says_what_its_master_says
from isogenic.recipes.derive import control_digest, derivable, derive_control, derive_master
from isogenic.recipes.general import load_general
from isogenic.recipes.model import ControlRecipe, MasterRecipe, digest_of
from isogenic.recipes.site import derive_site, load_site

__all__ = ["check_derivation", "control_recipe", "derive_for_units", "master_recipe", "recipe_digest"]

_NO_BATCH, _NO_LOT = BatchId("BAT-0"), LotId("LOT-0")  # an acceptance is for no batch yet


def recipe_digest(publication: RecipePublished) -> str:
    """The digest of the text that arrived, computed here."""
    return digest_of(publication.text)


def master_recipe(publication: RecipePublished, *, plant: SitePlant) -> MasterRecipe:
    """The master recipe of this plant, or a refusal with every complaint."""
    general = load_general(publication.text, name=f"recipe {publication.recipe} version {publication.version}")
    site = load_site(publication.site_text, name=f"site recipe of {publication.site}")
    return derive_master(derive_site(general, site), plant)


def check_derivation(publication: RecipePublished, *, plant: SitePlant) -> list[Note]:
    """Whatever the master recipe of this plant has otherwise than the general recipe is declared in the site's document."""
    try:
        general = load_general(publication.text, name=f"recipe {publication.recipe} version {publication.version}")
        site = load_site(publication.site_text, name=f"site recipe of {publication.site}")
        return check_every_difference_is_declared(general, site, derive_master(derive_site(general, site), plant))
    except Refusal as refused:
        return [Note("check_derivation", Severity.STOP, refused.why or refused.what, "process engineer")]


def control_recipe(
    publication: RecipePublished, *, plant: SitePlant, unit: UnitId, batch: BatchId, lot: LotId
) -> tuple[ControlRecipe | None, list[Note]]:
    """The control recipe of one batch and every note about the unit; None where a note forbids it."""
    try:
        master = master_recipe(publication, plant=plant)
        where = plant.unit(unit)
        notes = [*derivable(master, where), *check_every_role_has_a_unit(master, plant)]
        if stops(notes):
            return None, notes
        control = derive_control(master, where, batch=batch, lot=lot)
        notes += check_control_says_what_its_master_says(control, master, where)
        return (None if stops(notes) else control), notes
    except Refusal as refused:
        text = refused.why or refused.what
        return None, [Note("derive_control", Severity.STOP, text, "process engineer")]


def check_every_role_has_a_unit(master: MasterRecipe, plant: SitePlant) -> list[Note]:
    """Of each further unit that the recipe needs there is one here that can run its part: nobody waits for what does not exist."""
    found = []
    for role in list(master.roles)[1:]:
        tried = {unit.id: stops(derivable(master, unit, role=role)) for unit in plant.units.values()}
        if all(tried.values()):
            wanted = master.roles[role].equipment_class
            why = "; ".join(f"{unit}: {notes[0].text}" for unit, notes in tried.items())
            found.append(Note("check_every_role_has_a_unit", Severity.STOP, f"no unit can be the {wanted} {role} ({why})", "process engineer"))
    return found


def derive_for_units(publication: RecipePublished, *, plant: SitePlant) -> tuple[dict[str, str], list[str]]:
    """For each unit that can run it the digest of its control recipe (for no batch yet), and why the others cannot."""
    digests: dict[str, str] = {}
    reasons: list[str] = []
    for unit in plant.units:
        control, notes = control_recipe(publication, plant=plant, unit=unit, batch=_NO_BATCH, lot=_NO_LOT)
        if control is not None:
            digests[str(unit)] = control_digest(control)
        else:
            reasons += [f"{unit}: {note.text}" for note in notes if note.severity is Severity.STOP]
    return digests, reasons
