"""Materials of the network over HTTP: the changeover matrix, lots that any site received, where a component lot is.

    GET  /api/changeover                              the matrix in force, and versions that wait for signatures
    POST /api/changeover                              put a matrix forward
    POST /api/changeover/{name}/{version}/signatures  sign it, as its author or as its approver
    POST /api/changeover/{name}/{version}/publication to every site
    GET  /api/stock                                   received lots of every site
    POST /api/stock/{site}/{receipt}/decision         release, reject or recall, by signature
    GET  /api/genealogy/{lot}                         from a resin's lot to every lot of the network, and back
    GET  /api/assemblies/twice                        pieces that two sites used before either could know

Guarantees: what is decided is decided by network.materials; a refusal of the rules is noted.
Leaves to others: deciding (network.materials), proving who signs (passkeys).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated

from fastapi import FastAPI
from pydantic import BaseModel, Field

from isogenic.authority.people import Person
from isogenic.authority.rules import Act
from isogenic.ids import ReceiptId, RecipeId, SiteId
from isogenic.materials.receipts import ReceiptCommand
from isogenic.network import materials
from isogenic.network.control import ControlNode
from isogenic.web.guard import READER, Asker
from isogenic.web.messages import RecipeIdText, RecipeText, Signing, SignRecipe, Version, Words
from isogenic.web.passkeys import Pens
from isogenic.web.problems import PROBLEMS
from isogenic.web.site_materials import GenealogyAnswer, ReceiptLine, genealogy_of, stock_of

__all__ = ["ChangeoverLine", "SiteReceipt", "UsedTwice", "control_material_routes", "matrix_lines", "stock_lines", "twice_lines"]

SiteText = Annotated[str, Field(min_length=1, max_length=40)]


class ChangeoverLine(BaseModel):
    """A version of a changeover matrix."""

    name: str
    version: int
    digest: str
    text: str
    signed_by: list[str]
    in_force: bool


class SiteReceipt(BaseModel):
    """A received lot, and where."""

    site: str
    received: ReceiptLine


class UsedTwice(BaseModel):
    """A piece that was used more than once."""

    piece: str
    uses: list[str]


class Decided(Signing):
    """A decision on a received lot, by signature."""

    command: ReceiptCommand
    why: Words


def control_material_routes(
    app: FastAPI, node: ControlNode, pens: Pens, *, noting: Callable[[ControlNode, Person, str], AbstractContextManager[None]]
) -> None:
    """Add them to the control site's application."""
    _changeover(app, node, pens, noting)

    @app.get("/api/stock", responses=PROBLEMS, dependencies=READER, tags=["materials"], summary="Received lots of every site")
    async def stock() -> list[SiteReceipt]:
        """Where each lot is, and how it stands."""
        return stock_lines(node)

    @app.post("/api/stock/{site}/{receipt}/decision", status_code=201, responses=PROBLEMS, tags=["materials"], summary="Decide on a received lot")
    async def decide(site: SiteText, receipt: SiteText, body: Decided, guest: Asker) -> list[ReceiptLine]:
        """Release it for use, reject or recall it; it counts at the site once it arrives there."""
        act = Act.RELEASE_MATERIAL if body.command is ReceiptCommand.RELEASE else Act.BLOCK_MATERIAL
        pen = await pens.pen(guest, body, act)
        with noting(node, guest.person, act):
            materials.decide_material(node, guest.person, pen, site=SiteId(site), receipt=ReceiptId(receipt), command=body.command, why=body.why)
        now = node.clock.now().at
        return [each for each in stock_of(node.state.stocks.site(SiteId(site)), now=now) if each.receipt == receipt]

    @app.get("/api/genealogy/{lot:path}", responses=PROBLEMS, dependencies=READER, tags=["materials"], summary="What went into what")
    async def genealogy(lot: Annotated[str, Field(max_length=120)]) -> list[GenealogyAnswer]:
        """Backward and forward over every site: from a resin's lot to the lots of products, and back."""
        stocks = node.state.stocks
        return genealogy_of(stocks.genealogy, list(stocks.sites.values()), lot, now=node.clock.now().at)

    @app.get("/api/assemblies/twice", responses=PROBLEMS, dependencies=READER, tags=["materials"], summary="Assemblies that were used twice")
    async def twice() -> list[UsedTwice]:
        """What two sites did before either had heard of the other."""
        return twice_lines(node)


def _changeover(app: FastAPI, node: ControlNode, pens: Pens, noting: Callable[[ControlNode, Person, str], AbstractContextManager[None]]) -> None:
    @app.get("/api/changeover", responses=PROBLEMS, dependencies=READER, tags=["materials"], summary="Changeover matrices")
    async def matrices() -> list[ChangeoverLine]:
        """Every version that was put forward, and who signed it."""
        return matrix_lines(node)

    @app.post("/api/changeover", status_code=201, responses=PROBLEMS, tags=["materials"], summary="Put a changeover matrix forward")
    async def submit(body: RecipeText, guest: Asker) -> ChangeoverLine:
        """A matrix as its document; nothing is approved by that."""
        with noting(node, guest.person, "submit a changeover matrix"):
            submitted = materials.submit_changeover(node, guest.person, body.text)
        return next(each for each in matrix_lines(node) if (each.name, each.version) == (submitted.name, submitted.version))

    @app.post(
        "/api/changeover/{name}/{version}/signatures", status_code=201, responses=PROBLEMS, tags=["materials"], summary="Sign a changeover matrix"
    )
    async def sign(name: RecipeIdText, version: Version, body: SignRecipe, guest: Asker) -> ChangeoverLine:
        """As its author, or as its approver: two different people."""
        pen = await pens.pen(guest, body, Act(body.act))
        with noting(node, guest.person, body.act):
            materials.approve_changeover(node, guest.person, pen, name=RecipeId(name), version=version, act=Act(body.act))
        return next(each for each in matrix_lines(node) if (each.name, each.version) == (name, version))

    @app.post("/api/changeover/{name}/{version}/publication", status_code=201, responses=PROBLEMS, tags=["materials"], summary="Publish a matrix")
    async def publish(name: RecipeIdText, version: Version, guest: Asker) -> ChangeoverLine:
        """To every site and to the house."""
        with noting(node, guest.person, "publish a changeover matrix"):
            materials.publish_changeover(node, guest.person, name=RecipeId(name), version=version)
        return next(each for each in matrix_lines(node) if (each.name, each.version) == (name, version))


def matrix_lines(node: ControlNode) -> list[ChangeoverLine]:
    """Every version of a changeover matrix that was put forward."""
    stocks = node.state.stocks
    return [
        ChangeoverLine(
            name=name,
            version=version,
            digest=each.digest,
            text=each.text,
            signed_by=[f"{signed.signature.printed_name}, {signed.signature.meaning}" for signed in stocks.approvals.get((name, version), ())],
            in_force=stocks.published is not None and (stocks.published.name, stocks.published.version) == (name, version),
        )
        for (name, version), each in stocks.submitted.items()
    ]


def stock_lines(node: ControlNode) -> list[SiteReceipt]:
    """Every received lot of every site."""
    now = node.clock.now().at
    return [SiteReceipt(site=site, received=each) for site, held in node.state.stocks.sites.items() for each in stock_of(held, now=now)]


def twice_lines(node: ControlNode) -> list[UsedTwice]:
    """Every piece that was used more than once."""
    found = materials.used_twice(node)
    return [UsedTwice(piece=key, uses=[f"{site}, {each.unit}, {each.lot}" for site, each in uses]) for key, uses in sorted(found.items())]
