"""What the control site's page of one recipe version shows: its four levels, from what the node holds.

Guarantees: derived anew from the texts that were put forward; what cannot be read is said as such.
Leaves to others: how it looks (screens.recipe), what may be done (network.decisions, site_documents).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isogenic.authority.people import Person
from isogenic.authority.rules import Act, may
from isogenic.checks import Note, stops
from isogenic.errors import NotFound, Refusal
from isogenic.ids import RecipeId, SiteId
from isogenic.network import site_documents
from isogenic.network.control import ControlNode
from isogenic.recipes.affected import AtSite, affected
from isogenic.recipes.approval import RecipeAccepted, RecipeNotAccepted, RecipeSubmitted
from isogenic.recipes.changes import Change, changes
from isogenic.recipes.drawing import as_svg
from isogenic.recipes.general import load_general
from isogenic.recipes.model import GeneralRecipe, SiteDocument
from isogenic.recipes.site import load_site
from isogenic.records.signatures import Signature

__all__ = ["AtOneSite", "Compared", "RecipeView", "recipe_view"]


@dataclass(frozen=True, slots=True)
class AtOneSite:
    """The recipe at one site: what it does otherwise, who signed that, and what the site made of it."""

    site: SiteId
    document: SiteDocument | None
    digest: str
    signatures: tuple[Signature, ...]
    against: tuple[str, ...]  # why it is not published there
    published: bool
    answer: RecipeAccepted | RecipeNotAccepted | None

    @property
    def ready(self) -> bool:
        """Nothing stands against publishing it there."""
        return self.document is not None and not self.against


@dataclass(frozen=True, slots=True)
class Compared:
    """This version beside the one before it."""

    version: int
    changes: tuple[Change, ...]
    reached: tuple[AtSite, ...]


@dataclass(frozen=True, slots=True)
class RecipeView:
    """One version, whole."""

    submitted: RecipeSubmitted
    general: GeneralRecipe
    signatures: tuple[Signature, ...]
    sites: tuple[AtOneSite, ...]
    chart: str  # SVG
    before: Compared | None
    may_author: bool
    may_approve: bool
    person: Person

    def signed(self, signatures: Sequence[Signature]) -> bool:
        """This person has signed it."""
        return any(each.person == self.person.id for each in signatures)


def recipe_view(node: ControlNode, recipe: RecipeId, version: int, *, person: Person) -> RecipeView:
    """Everything about one version, or `NotFound`."""
    submitted = site_documents.submitted_recipe(node, recipe, version)
    general = load_general(submitted.text)
    return RecipeView(
        submitted=submitted,
        general=general,
        signatures=tuple(each.signature for each in node.state.approvals.get((recipe, version), ())),
        sites=tuple(_at(node, site, general) for site in node.sites()),
        chart=as_svg(general),
        before=_before(node, general),
        may_author=not stops(may(person, Act.SIGN_RECIPE_AS_AUTHOR)),
        may_approve=not stops(may(person, Act.APPROVE_RECIPE)),
        person=person,
    )


def _text(node: ControlNode, site: SiteId, recipe: RecipeId, version: int) -> str:
    """The document that is, or would be, published to a site."""
    submitted = node.state.site_documents.get((site, recipe, version))
    return submitted.text if submitted is not None else node.site_documents.get(site, "")


def _at(node: ControlNode, site: SiteId, general: GeneralRecipe) -> AtOneSite:
    key = (general.recipe, general.version)
    text, view = _text(node, site, *key), node.state.site(site)
    document: SiteDocument | None = None
    against: tuple[str, ...] = ("no document is put forward for this site",)
    if text:
        try:
            document = load_site(text)
        except Refusal as refusal:
            against = (refusal.why or refusal.what,)
    if document is not None and (document.recipe, document.version) != key:
        against = (f"its document is for {document.recipe} version {document.version}",)
        document = None
    signatures: tuple[Signature, ...] = ()
    if document is not None:
        signatures = tuple(each.signature for each in node.state.site_approvals.get(document.digest, ()))
        submitted = node.state.site_documents.get((site, *key))
        notes: list[Note] = []
        if submitted is not None and node.state.directory is not None:
            notes = stops(site_documents.check_site_document(node, submitted, directory=node.state.directory))
        against = tuple(note.text for note in notes) if submitted is not None else ("nobody has signed its document",)
    answer = view.answers.get(key)
    return AtOneSite(site, document, document.digest if document else "", signatures, against, key in view.published, answer)


def _before(node: ControlNode, general: GeneralRecipe) -> Compared | None:
    """The newest version before this one, and which master recipes the change reaches."""
    versions = [version for name, version in node.state.submitted if name == general.recipe and version < general.version]
    if not versions:
        return None
    version = max(versions)
    try:
        old = load_general(site_documents.submitted_recipe(node, general.recipe, version).text)
        documents = []
        for site in node.sites():
            text = _text(node, site, general.recipe, version) or _text(node, site, general.recipe, general.version)
            if text:
                documents.append(load_site(text))
        return Compared(version, changes(old, general), affected(old, general, documents))
    except (Refusal, NotFound):
        return Compared(version, (), ())
