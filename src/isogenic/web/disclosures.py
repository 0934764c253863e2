"""What left a node, when and to whom; and who may have which ledger.

Guarantees: a file that a person downloads is in the journal, durably, before its first byte is answered; the report is the journal,
so it says what left and nothing else; entitlements are decided by signature.
Leaves to others: the journal (records.disclosures), deciding (network.entitling).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Annotated

from fastapi import FastAPI, Query
from pydantic import BaseModel, Field

from isogenic.authority.people import Person
from isogenic.authority.rules import Act
from isogenic.clock import text_of_time, time_of_text
from isogenic.errors import NotFound
from isogenic.network import entitling
from isogenic.network.control import ControlNode
from isogenic.records import codec
from isogenic.records.disclosures import Disclosure, Journal, disclosures
from isogenic.records.dossier import MANIFEST
from isogenic.web.guard import READER, Asker
from isogenic.web.messages import Signing
from isogenic.web.passkeys import Pens
from isogenic.web.problems import PROBLEMS

__all__ = ["DisclosureLine", "disclosure_routes", "entitlement_routes", "ledgers_of_dossier"]

LINES_MAX = 5_000  # of a report over HTTP, newest kept; `isogenic disclosures` gives all


class DisclosureLine(BaseModel):
    """One thing that left."""

    at: str
    to: str = Field(description="node, sponsor or person, and the id")
    what: str
    about: str
    size: int = Field(description="bytes, before TLS")
    digest: str = Field(description="SHA-256 of the bytes that left; empty for small talk, which is counted")


class EntitlementLine(BaseModel):
    """Who may have a ledger, or may no longer."""

    ledger: str
    party: str
    state: str = Field(description="granted or ended")
    since: str | None
    why: str
    by: str = Field(description="the person who signed; directory: it follows from the directory")


class Entitlement(Signing):
    """A decision about a ledger, by signature."""

    ledger: str = Field(max_length=200)
    party: str = Field(max_length=60, description="for example sponsor ASTER-BIO")
    why: str = Field(min_length=1, max_length=300)


def ledgers_of_dossier(data: bytes) -> dict[str, int]:
    """Which ledgers a dossier holds, up to how many facts: read from the very bytes that leave."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        said = codec.loads(archive.read(MANIFEST), what=MANIFEST)
    return {str(each["origin"]): int(each["size"]) for each in said["ledgers"]}


def _lines(found: Sequence[Disclosure]) -> list[DisclosureLine]:
    return [
        DisclosureLine(at=text_of_time(each.at), to=each.to, what=each.what, about=each.about, size=each.size, digest=each.digest)
        for each in found[-LINES_MAX:]
    ]


def disclosure_routes(app: FastAPI, journal: Journal | None) -> None:
    """The disclosure report of a node."""

    @app.get("/api/disclosures", responses=PROBLEMS, dependencies=READER, tags=["reading"], summary="Disclosures")
    async def report(
        since: Annotated[str, Query(max_length=40)] = "", to: Annotated[str, Query(max_length=60, description="a party, or its id alone")] = ""
    ) -> list[DisclosureLine]:
        """What left this node, when and to whom, oldest first. Small talk is counted."""
        if journal is None:
            raise NotFound("no disclosures here", why="this node keeps no journal of what leaves")
        return _lines(disclosures(journal.ledger.facts(), since=time_of_text(since) if since else None, to=to))


def entitlement_routes(
    app: FastAPI, node: ControlNode, pens: Pens, *, noting: Callable[[ControlNode, Person, str], AbstractContextManager[None]]
) -> None:
    """Who may have which ledger. `noting` notes what a person asked for and was not allowed."""

    @app.get("/api/entitlements", responses=PROBLEMS, dependencies=READER, tags=["reading"], summary="Entitlements")
    async def entitlements() -> list[EntitlementLine]:
        """In force, then ended."""
        held = node.state.entitlements
        granted = [
            EntitlementLine(
                ledger=each.ledger,
                party=each.party,
                state="granted",
                since=text_of_time(each.since) if each.since else None,
                why=each.why,
                by=each.signature.person if each.signature else "directory",
            )
            for each in held.granted.values()
        ]
        ended = [
            EntitlementLine(
                ledger=each.ledger,
                party=each.party,
                state="ended",
                since=None,
                why=each.why,
                by=each.signature.person if each.signature else "directory",
            )
            for each in held.ended.values()
        ]
        return granted + ended

    @app.post("/api/entitlements", status_code=201, responses=PROBLEMS, tags=["deciding"], summary="Grant a ledger")
    async def grant(body: Entitlement, guest: Asker) -> str:
        """Let a party have a ledger, whole, from now on: by signature."""
        signer = await pens.pen(guest, body, Act.DECIDE_ENTITLEMENT)
        with noting(node, guest.person, Act.DECIDE_ENTITLEMENT):
            granted = entitling.grant_entitlement(node, guest.person, signer, ledger=body.ledger, to=body.party, why=body.why)
        return f"{granted.party} may have {granted.ledger}"

    @app.post("/api/entitlements/end", status_code=201, responses=PROBLEMS, tags=["deciding"], summary="End an entitlement")
    async def end(body: Entitlement, guest: Asker) -> str:
        """Nothing more of the ledger leaves for the party: by signature."""
        signer = await pens.pen(guest, body, Act.DECIDE_ENTITLEMENT)
        with noting(node, guest.person, Act.DECIDE_ENTITLEMENT):
            ended = entitling.end_entitlement(node, guest.person, signer, ledger=body.ledger, to=body.party, why=body.why)
        return f"nothing more of {ended.ledger} leaves for {ended.party}"
