"""Revoking the key of a site over HTTP: by signature, with the reason; what follows is answered.

Guarantees: what is answered is what was noted: for each ledger of the site, how many facts the old key counts for.
Leaves to others: deciding (network.revoking), making the new key at the site (`isogenic renew-key`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated

from fastapi import FastAPI
from pydantic import BaseModel, Field

from isogenic.authority.people import Person
from isogenic.authority.revocation import KeyRevoked
from isogenic.authority.rules import Act
from isogenic.ids import SiteId
from isogenic.network.control import ControlNode
from isogenic.network.revoking import REASON_MAX, revoke_site_key
from isogenic.web.guard import Asker
from isogenic.web.messages import Signing, SiteText
from isogenic.web.passkeys import Pens
from isogenic.web.problems import PROBLEMS

__all__ = ["KeyRevocation", "KeyRevocationLine", "revocation_line", "revocation_routes"]

GIVE_A_KEY = (
    "The site notes on, and nothing of it is taken until it has a new key: run isogenic renew-key there, and revoke again with the key it prints."
)
GOES_ON = "The site goes on with the new key once this has reached it; what it noted meanwhile is signed anew and sent."


class KeyRevocation(Signing):
    """The ledger key of a site counts no longer: by signature."""

    key: Annotated[
        str, Field(max_length=300, description="the public key that the site goes on with, as isogenic renew-key prints it; empty: none yet")
    ] = ""
    reason: Annotated[str, Field(min_length=1, max_length=REASON_MAX)]


class KeyRevocationLine(BaseModel):
    """A key that was revoked, and what follows."""

    site: str
    counts_for: dict[str, int] = Field(description="by ledger: how many facts the old key counts for")
    key: str = Field(description="the public key that counts beyond; empty: none yet")
    reason: str
    by: str = Field(description="printed name of the person who signed")
    follows: str


def revocation_line(revoked: KeyRevoked) -> KeyRevocationLine:
    """As people read it."""
    return KeyRevocationLine(
        site=revoked.site,
        counts_for=dict(revoked.ledgers),
        key=revoked.key,
        reason=revoked.reason,
        by=revoked.signature.printed_name,
        follows=GOES_ON if revoked.key else GIVE_A_KEY,
    )


def revocation_routes(
    app: FastAPI,
    node: ControlNode,
    pens: Pens,
    *,
    known: Callable[[str], SiteId],
    noting: Callable[[ControlNode, Person, str], AbstractContextManager[None]],
) -> None:
    """`known` gives a site that is directed from here; `noting` notes what a person asked for and was not allowed."""

    @app.post("/api/sites/{site}/key-revocation", status_code=201, responses=PROBLEMS, tags=["deciding"], summary="Revoke the key of a site")
    async def revoke(site: SiteText, body: KeyRevocation, guest: Asker) -> KeyRevocationLine:
        """By signature: from now on the key in force counts for the facts held here and no more."""
        found = known(site)
        pen = await pens.pen(guest, body, Act.REVOKE_KEY)
        with noting(node, guest.person, Act.REVOKE_KEY):
            revoked = revoke_site_key(node, guest.person, pen, site=found, key=body.key.strip(), reason=body.reason)
        return revocation_line(revoked)
