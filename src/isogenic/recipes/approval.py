"""From a document to a recipe that a site may run: submitted, approved, published, answered.

    submitted   the text is put forward; nothing is allowed by that
    approved    one person has signed its digest, with a meaning
                each site's own document is signed likewise, by itself: what a site does otherwise is approved, too
    published   both signatures are there; text and signatures go to a site, with its site recipe
    accepted    the site has verified them and derived a control recipe for at least one unit
    not accepted   with every reason

Guarantees: the digest is that of the text itself, so what was signed is what is run; two
different people sign, one for the process and one for quality (21 CFR 211.100(a), 211.186(a)).
Leaves to others: keys and whether a signature verifies (authority), who may submit or publish.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isogenic.checks import Note, Severity
from isogenic.ids import ProductId, RecipeId, SiteId
from isogenic.records.facts import fact
from isogenic.records.signatures import Signature

__all__ = [
    "APPROVED",
    "AUTHORED",
    "RecipeAccepted",
    "RecipeApproved",
    "RecipeNotAccepted",
    "RecipePublished",
    "RecipeSubmitted",
    "SiteDocumentApproved",
    "SiteDocumentSubmitted",
    "check_approvals",
]

AUTHORED, APPROVED = "authored", "approved"
_WANTED = {AUTHORED: "process_engineer", APPROVED: "quality"}  # meaning -> the role in which it is signed


@fact("recipe.submitted", subject="recipe")
@dataclass(frozen=True, slots=True)
class RecipeSubmitted:
    """A general recipe was put forward for approval, whole."""

    recipe: RecipeId
    version: int
    product: ProductId
    digest: str
    text: str


@fact("recipe.approved", subject="recipe")
@dataclass(frozen=True, slots=True)
class RecipeApproved:
    """A person has signed a recipe's digest."""

    recipe: RecipeId
    version: int
    digest: str
    signature: Signature


@fact("recipe.site_document_submitted", subject="recipe")
@dataclass(frozen=True, slots=True)
class SiteDocumentSubmitted:
    """A site's declared differences from a recipe version were put forward for approval, whole."""

    site: SiteId
    recipe: RecipeId
    version: int
    digest: str
    text: str


@fact("recipe.site_document_approved", subject="recipe")
@dataclass(frozen=True, slots=True)
class SiteDocumentApproved:
    """A person has signed the digest of a site's document; it goes to that site ahead of the recipe."""

    site: SiteId
    recipe: RecipeId
    version: int
    digest: str
    signature: Signature


@fact("recipe.published", subject="recipe")
@dataclass(frozen=True, slots=True)
class RecipePublished:
    """A recipe was sent to a site: the signed text, its signatures, and the site recipe that applies there."""

    recipe: RecipeId
    version: int
    digest: str
    text: str
    approvals: tuple[Signature, ...]
    site: SiteId
    site_digest: str
    site_text: str


@fact("recipe.accepted", subject="recipe")
@dataclass(frozen=True, slots=True)
class RecipeAccepted:
    """A site has verified a recipe and can run it on these units."""

    recipe: RecipeId
    version: int
    digest: str
    units: dict[str, str]  # unit -> digest of the control recipe that it would run
    reasons: tuple[str, ...] = ()  # why other units cannot


@fact("recipe.not_accepted", subject="recipe")
@dataclass(frozen=True, slots=True)
class RecipeNotAccepted:
    """A site will not run a recipe, and why."""

    recipe: RecipeId
    version: int
    digest: str
    reasons: tuple[str, ...]


def check_approvals(digest: str, approvals: Sequence[Signature]) -> list[Note]:
    """Two different people have signed this digest: one authored it for the process, one approved it for quality."""
    notes = []
    signed = [each for each in approvals if each.digest == digest]
    for each in approvals:
        if each.digest != digest:
            notes.append(_stop(f"{each.printed_name} ({each.person}) signed another text"))
    for meaning, role in _WANTED.items():
        found = [each for each in signed if each.meaning == meaning and each.role == role]
        if found:
            names = ", ".join(f"{each.printed_name} ({each.person})" for each in found)
            notes.append(Note("check_approvals", Severity.GOOD, f"{meaning} by {names}", role))
        else:
            notes.append(Note("check_approvals", Severity.STOP, f"nobody in the role {role} has signed it as {meaning}", role))
    if len({each.person for each in signed}) < len(_WANTED):
        notes.append(_stop("two different people must sign"))
    return notes


def _stop(text: str) -> Note:
    return Note("check_approvals", Severity.STOP, text, "quality")
