"""A recipe's way from a proposal to a site: submitted, signed by two people, published, answered.

Guarantees: what is signed and published is the digest of the text's bytes; the approvals
travel with the publication, so that a site can verify them with nothing but the directory.
Leaves to others: verifying signatures and roles (authority), deciding (network, sites).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isogenic.checks import Note, Severity
from isogenic.ids import ProductId, RecipeId, SiteId
from isogenic.records.facts import fact
from isogenic.records.signatures import Signature

__all__ = ["RecipeAccepted", "RecipeApproved", "RecipeNotAccepted", "RecipePublished", "RecipeSubmitted", "check_approvals"]

APPROVALS_NEEDED = 2  # two different people: 21 CFR 211.186(a), preparation and independent check


@fact("recipe.submitted", subject="recipe")
@dataclass(frozen=True, slots=True)
class RecipeSubmitted:
    """A general recipe was put forward. Nothing may run it yet."""

    recipe: RecipeId
    version: int
    product: ProductId
    digest: str  # hex SHA-256 of the text
    text: str


@fact("recipe.approved", subject="recipe")
@dataclass(frozen=True, slots=True)
class RecipeApproved:
    """A person signed this very text, as its author or as its approver."""

    recipe: RecipeId
    version: int
    digest: str
    signature: Signature


@fact("recipe.published", subject="recipe")
@dataclass(frozen=True, slots=True)
class RecipePublished:
    """A recipe version took effect for one site: the general text, who signed it, and the site's own document."""

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
    """The site verified a publication and derived its own control recipe from it."""

    recipe: RecipeId
    version: int
    digest: str
    masters: dict[str, str]  # unit -> digest of the master recipe that holds for it


@fact("recipe.not_accepted", subject="recipe")
@dataclass(frozen=True, slots=True)
class RecipeNotAccepted:
    """The site cannot or will not run a published recipe, and why."""

    recipe: RecipeId
    version: int
    digest: str
    reasons: tuple[str, ...]


def check_approvals(digest: str, approvals: Sequence[Signature]) -> list[Note]:
    """Two different people signed this digest. Whether their signatures verify is asked where the keys are on file."""
    people = {signature.person for signature in approvals if signature.digest == digest}
    if len(people) < APPROVALS_NEEDED:
        text = f"the recipe is signed by {len(people)} of the {APPROVALS_NEEDED} people that it takes"
        return [Note("check_approvals", Severity.STOP, text, "quality")]
    return [Note("check_approvals", Severity.GOOD, f"the recipe is signed by {', '.join(sorted(people))}")]
