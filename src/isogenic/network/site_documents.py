"""What each site does otherwise, put forward and signed at the control site before it goes out with its recipe.

    put forward   the text derives from the submitted general recipe; a newer one takes its place until it is published
    signed        by its author and by its approver, two people, each document by its own digest (21 CFR 211.100(a))
    published     with the recipe, to its own site only (decisions)

A control site's folder may hold a document for each site: it is put forward by the first who signs the recipe.

Guarantees: a document that is not signed by two people, or from which something undeclared follows, is not published.
Leaves to others: when a recipe is published (decisions), and what the site makes of it (sites.acceptance).
"""

from __future__ import annotations

import contextlib

from isogenic.authority.gate import check_two_people_approved
from isogenic.authority.people import Directory, Person
from isogenic.authority.rules import Act, require
from isogenic.authority.signatures import MEANINGS, Pen, sign
from isogenic.checks import Note, Severity
from isogenic.errors import NotAllowed, NotFound, Refusal
from isogenic.ids import RecipeId, SiteId
from isogenic.network.acting import actor_of, role_for
from isogenic.network.control import ControlNode, decided_alone
from isogenic.recipes.approval import RecipeSubmitted, SiteDocumentApproved, SiteDocumentSubmitted
from isogenic.recipes.comparison import check_site_recipe
from isogenic.recipes.general import load_general
from isogenic.recipes.model import digest_of
from isogenic.recipes.site import derive_site, load_site
from isogenic.records.notes import Signer

__all__ = ["approve_documents", "approve_site_document", "check_site_document", "documents_at_hand", "submit_site_document", "submitted_recipe"]


def submitted_recipe(node: ControlNode, recipe: RecipeId, version: int) -> RecipeSubmitted:
    """The general recipe that was put forward, or `NotFound` with those that were."""
    found = node.state.submitted.get((recipe, version))
    if found is None:
        known = ", ".join(f"{name} version {number}" for name, number in node.state.submitted) or "none"
        raise NotFound(f"no recipe {recipe} version {version}", why="it has not been submitted", possible=known)
    return found


@decided_alone
def submit_site_document(node: ControlNode, person: Person, text: str) -> SiteDocumentSubmitted:
    """Put a site's differences forward, once they derive from the submitted recipe; a newer text takes the place of one that is not published."""
    require(person, Act.SIGN_RECIPE_AS_AUTHOR)
    return _submit(node, person, text)


def _submit(node: ControlNode, person: Person, text: str) -> SiteDocumentSubmitted:
    document = load_site(text)
    derive_site(load_general(submitted_recipe(node, document.recipe, document.version).text), document)
    if document.site not in node.sites():
        raise NotFound(f"no site {document.site}", why="it is not of this network", possible=", ".join(node.sites()))
    digest, known = digest_of(text), node.state.site_documents.get((document.site, document.recipe, document.version))
    if known is not None and known.digest == digest:
        return known
    if (document.recipe, document.version) in node.state.site(document.site).published:
        raise NotAllowed(
            f"cannot submit the document of {document.site} for {document.recipe} version {document.version}",
            why="that version is published there with another document",
            possible="put forward a new version of the recipe",
        )
    submitted = SiteDocumentSubmitted(document.site, document.recipe, document.version, digest, text)
    node.note([submitted], actor=actor_of(person, role_for(person, Act.SIGN_RECIPE_AS_AUTHOR)))
    return submitted


@decided_alone
def approve_site_document(
    node: ControlNode, person: Person, signer: Signer | Pen, *, site: SiteId, recipe: RecipeId, version: int, act: Act
) -> SiteDocumentApproved:
    """Sign a site's document, as its author or as its approver: two different people."""
    document = next((each for each in documents_at_hand(node, person, recipe, version) if each.site == site), None)
    if document is None:
        raise NotFound(f"no document of {site} for {recipe} version {version}", why="none has been put forward")
    if _has_signed(node, person, document):
        raise NotAllowed(f"{person.id} cannot sign the document of {site} again", why="two different people sign it")
    return _approve(node, person, signer, document, act=act)


def approve_documents(node: ControlNode, person: Person, signer: Signer, *, recipe: RecipeId, version: int, act: Act) -> None:
    """Sign every document that goes out with a recipe and that this person has not signed: each by its own signature."""
    for document in documents_at_hand(node, person, recipe, version):
        if not _has_signed(node, person, document):
            _approve(node, person, signer, document, act=act)


def _approve(node: ControlNode, person: Person, signer: Signer | Pen, document: SiteDocumentSubmitted, *, act: Act) -> SiteDocumentApproved:
    """One signature under one document; it goes to the site at once."""
    before = node.state.site_approvals.get(document.digest, ())
    author = next((each.signature.person for each in before if each.signature.meaning == MEANINGS[Act.SIGN_RECIPE_AS_AUTHOR]), None)
    require(person, act, author=author)
    role = role_for(person, act)
    signature = sign(signer, person, role=role, meaning=MEANINGS[act], at=node.clock.now().at, digest=document.digest)
    approved = SiteDocumentApproved(document.site, document.recipe, document.version, document.digest, signature)
    node.publishing.publish(approved, actor=actor_of(person, role, signature))
    return approved


def _has_signed(node: ControlNode, person: Person, document: SiteDocumentSubmitted) -> bool:
    return any(each.signature.person == person.id for each in node.state.site_approvals.get(document.digest, ()))


def documents_at_hand(node: ControlNode, person: Person, recipe: RecipeId, version: int) -> list[SiteDocumentSubmitted]:
    """The documents that would be published with this version; those of the node's folder are put forward by who first needs them."""
    found = []
    for site in node.sites():
        submitted = node.state.site_documents.get((site, recipe, version))
        text = node.site_documents.get(site)
        if submitted is None and text is not None:
            with contextlib.suppress(Refusal):  # a folder may hold the document of another recipe; what is wrong with one is said on submitting
                document = load_site(text)
                if (document.site, document.recipe, document.version) == (site, recipe, version):
                    submitted = _submit(node, person, text)
        if submitted is not None:
            found.append(submitted)
    return found


def check_site_document(node: ControlNode, document: SiteDocumentSubmitted, *, directory: Directory) -> list[Note]:
    """What stands against publishing to a site: its document is signed by two people, and what follows from it differs as it declares."""
    approvals = tuple(each.signature for each in node.state.site_approvals.get(document.digest, ()))
    notes = check_two_people_approved(document.digest, approvals, directory)
    try:
        general, site = load_general(submitted_recipe(node, document.recipe, document.version).text), load_site(document.text)
        return [*notes, *check_site_recipe(derive_site(general, site), site)]
    except Refusal as refusal:
        return [*notes, Note("check_site_document", Severity.STOP, refusal.why or refusal.what, "process engineer")]
