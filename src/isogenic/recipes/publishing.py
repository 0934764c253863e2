"""From a publication to what a unit runs: the whole derivation general -> site -> master -> control.

Guarantees: a site derives from the published bytes and its own plant document only, so the
same publication gives the same recipe on every machine; a unit that cannot run it is named
with every need that it fails.
"""

from __future__ import annotations

from isogenic.checks import Note, Severity, stops
from isogenic.errors import Refusal
from isogenic.ids import BatchId, LotId, UnitId
from isogenic.plant.model import SitePlant
from isogenic.recipes.approval import RecipePublished
from isogenic.recipes.derive import derivable, derive_control, derive_master
from isogenic.recipes.general import load_general
from isogenic.recipes.model import ControlRecipe, MasterRecipe, digest_of
from isogenic.recipes.site import derive_site, load_site

__all__ = ["control_recipe", "derive_for_units", "master_recipe", "recipe_digest"]


def recipe_digest(publication: RecipePublished) -> str:
    """The digest of the general recipe's text as it arrived: to be compared with what was signed."""
    return digest_of(publication.text)


def master_recipe(publication: RecipePublished, plant: SitePlant) -> MasterRecipe:
    """The master recipe of this site; raises what is wrong with either document."""
    general = load_general(publication.text, name=f"{publication.recipe} version {publication.version}")
    local = load_site(publication.site_text, name=f"site recipe of {publication.site}")
    return derive_master(derive_site(general, local), plant)


def derive_for_units(publication: RecipePublished, *, plant: SitePlant) -> tuple[dict[str, str], list[str]]:
    """Unit -> digest of its master recipe, for each unit that can run it; and why the others cannot."""
    try:
        master = master_recipe(publication, plant)
    except Refusal as refusal:
        return {}, [str(refusal)]
    able: dict[str, str] = {}
    reasons: list[str] = []
    for unit in master.units:
        against = stops(derivable(master, plant.unit(unit)))
        if against:
            reasons += [f"{unit}: {note.text}" for note in against]
        else:
            able[str(unit)] = master.digest
    return able, reasons


def control_recipe(
    publication: RecipePublished, *, plant: SitePlant, unit: UnitId, batch: BatchId, lot: LotId
) -> tuple[ControlRecipe | None, list[Note]]:
    """The control recipe of one batch, or None and the notes that say why not."""
    try:
        return derive_control(master_recipe(publication, plant), plant.unit(unit), batch=batch, lot=lot), []
    except Refusal as refusal:
        return None, [Note("control_recipe", Severity.STOP, str(refusal), "process_engineer")]
