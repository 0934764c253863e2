"""Site documents over HTTP: put forward, and signed one by one (with a password the recipe's signature signs them along)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from fastapi import FastAPI
from pydantic import BaseModel

from isogenic.authority.people import Person
from isogenic.authority.rules import Act
from isogenic.ids import RecipeId, SiteId
from isogenic.network import site_documents
from isogenic.network.control import ControlNode
from isogenic.web.control_desk import signature_line
from isogenic.web.control_messages import SignatureLine
from isogenic.web.guard import Asker
from isogenic.web.messages import RecipeIdText, RecipeText, SignRecipe, SiteText, Version
from isogenic.web.passkeys import Pens
from isogenic.web.problems import PROBLEMS

__all__ = ["site_document_routes"]

Noting = Callable[[ControlNode, Person, str], AbstractContextManager[None]]


class SiteDocumentLine(BaseModel):
    """A site's document for one version of a recipe."""

    site: str
    recipe: str
    version: int
    digest: str


def site_document_routes(app: FastAPI, node: ControlNode, pens: Pens, *, noting: Noting) -> None:
    """Add them to the API's application."""

    @app.post("/api/site-documents", status_code=201, responses=PROBLEMS, tags=["deciding"], summary="Put a site's document forward")
    async def submit(body: RecipeText, guest: Asker) -> SiteDocumentLine:
        """What a site does otherwise than a recipe that was put forward; nothing is approved by that."""
        with noting(node, guest.person, "submit a site document"):
            found = site_documents.submit_site_document(node, guest.person, body.text)
        return SiteDocumentLine(site=found.site, recipe=found.recipe, version=found.version, digest=found.digest)

    @app.post(
        "/api/recipes/{recipe}/{version}/sites/{site}/signatures",
        status_code=201,
        responses=PROBLEMS,
        tags=["deciding"],
        summary="Sign a site's document",
    )
    async def sign(recipe: RecipeIdText, version: Version, site: SiteText, body: SignRecipe, guest: Asker) -> SignatureLine:
        """As its author, or as its approver: two different people."""
        signer = await pens.pen(guest, body, Act(body.act))
        with noting(node, guest.person, body.act):
            approved = site_documents.approve_site_document(
                node, guest.person, signer, site=SiteId(site), recipe=RecipeId(recipe), version=version, act=Act(body.act)
            )
        return signature_line(approved.signature)
