"""A site's answer to a published recipe: verify first, then derive, then say yes or why not."""

from __future__ import annotations

from dataclasses import replace

from isogenic.authority.gate import check_two_people_approved
from isogenic.authority.people import Directory
from isogenic.checks import Note, Severity, stops
from isogenic.errors import NotAllowed
from isogenic.plant.model import SitePlant
from isogenic.recipes.approval import RecipeAccepted, RecipeNotAccepted, RecipePublished
from isogenic.recipes.model import digest_of
from isogenic.recipes.publishing import check_derivation, derive_for_units, recipe_digest
from isogenic.records.signatures import Signature
from isogenic.sites.audiences import check_works_for

__all__ = ["answer_publication", "check_digest_is_the_published", "check_the_site_document_is_approved", "check_the_site_works_for_its_sponsor"]


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


def check_the_site_document_is_approved(publication: RecipePublished, approvals: tuple[Signature, ...], directory: Directory) -> list[Note]:
    """What this site does otherwise is what two people signed, and arrived as they signed it."""
    name = "check_the_site_document_is_approved"
    digest = digest_of(publication.site_text)
    if digest != publication.site_digest:
        text = f"the site document has digest {digest[:16]}, not {publication.site_digest[:16]}"
        return [Note(name, Severity.STOP, text, "administrator")]
    return [replace(note, check=name, text=f"site document: {note.text}") for note in check_two_people_approved(digest, approvals, directory)]


def answer_publication(
    publication: RecipePublished, *, plant: SitePlant, directory: Directory, site_approvals: tuple[Signature, ...] = ()
) -> RecipeAccepted | RecipeNotAccepted:
    """Verify digests and signatures of both texts, compare what is derived, and derive for each unit; accepted if at least one unit can run it."""
    notes = [*check_digest_is_the_published(publication), *check_two_people_approved(publication.digest, publication.approvals, directory)]
    notes += check_the_site_document_is_approved(publication, site_approvals, directory)
    notes += check_the_site_works_for_its_sponsor(publication, plant)
    if not stops(notes):
        notes += check_derivation(publication, plant=plant)
    against = stops(notes)
    digests: dict[str, str] = {}
    reasons = [note.text for note in against]
    if not against:
        digests, reasons = derive_for_units(publication, plant=plant)
    if not digests:
        return RecipeNotAccepted(publication.recipe, publication.version, publication.digest, tuple(reasons))
    return RecipeAccepted(publication.recipe, publication.version, publication.digest, digests, tuple(reasons))
