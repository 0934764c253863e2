"""A site's answer to a published recipe: verify first, then derive, then say yes or why not."""

from __future__ import annotations

from isogenic.authority.gate import check_two_people_approved
from isogenic.authority.people import Directory
from isogenic.checks import Note, Severity, stops
from isogenic.errors import NotAllowed
from isogenic.plant.model import SitePlant
from isogenic.recipes.approval import RecipeAccepted, RecipeNotAccepted, RecipePublished
from isogenic.recipes.publishing import derive_for_units, recipe_digest
from isogenic.sites.audiences import check_works_for

__all__ = ["answer_publication", "check_digest_is_the_published", "check_the_site_works_for_its_sponsor"]


def check_digest_is_the_published(publication: RecipePublished) -> list[Note]:
    """The text that arrived has the digest that was signed."""
    digest = recipe_digest(publication)
    if digest != publication.digest:
        return [
            Note("check_digest_is_the_published", Severity.STOP, f"the text has digest {digest[:16]}, not {publication.digest[:16]}", "administrator")
        ]
    return [Note("check_digest_is_the_published", Severity.GOOD, "the text is the one that was signed")]


def check_the_site_works_for_its_sponsor(publication: RecipePublished, plant: SitePlant) -> list[Note]:
    """The recipe is of a sponsor that has a ledger here, so that its batches have somewhere to be noted (I7)."""
    try:
        sponsor = check_works_for(publication, plant)
    except NotAllowed as refusal:
        return [Note("check_the_site_works_for_its_sponsor", Severity.STOP, refusal.why, "administrator")]
    return [Note("check_the_site_works_for_its_sponsor", Severity.GOOD, f"it is {sponsor}'s")]


def answer_publication(publication: RecipePublished, *, plant: SitePlant, directory: Directory) -> RecipeAccepted | RecipeNotAccepted:
    """Verify the digest and both signatures, then derive the control recipe for each unit; accepted if at least one unit can run it."""
    notes = [*check_digest_is_the_published(publication), *check_two_people_approved(publication.digest, publication.approvals, directory)]
    notes += check_the_site_works_for_its_sponsor(publication, plant)
    against = stops(notes)
    digests: dict[str, str] = {}
    reasons = [note.text for note in against]
    if not against:
        digests, reasons = derive_for_units(publication, plant=plant)
    if not digests:
        return RecipeNotAccepted(publication.recipe, publication.version, publication.digest, tuple(reasons))
    return RecipeAccepted(publication.recipe, publication.version, publication.digest, digests, tuple(reasons))
