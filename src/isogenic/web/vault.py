"""The vault over HTTP: enter, open, change, search, erase; each with its reason.

Guarantees: codes only, except in the answer to somebody who may open a record and said why; nothing that was typed is in
an address, not even a code, because who mistakes one field for another types a name there, and addresses end up in logs;
answers are not to be kept by anybody on the way; what is refused is noted without what was typed.
Leaves to others: deciding, noting and encrypting (vault.acts).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated

from fastapi import FastAPI, Response
from pydantic import BaseModel, ConfigDict, Field

from isogenic.authority.people import Person
from isogenic.authority.rules import Act
from isogenic.ids import IdentityCode
from isogenic.network.control import ControlNode
from isogenic.vault.acts import WHY_MAX, Keeper
from isogenic.vault.store import VALUE_MAX
from isogenic.vault.store import Field as Named
from isogenic.web.guard import Asker
from isogenic.web.messages import Signing
from isogenic.web.passkeys import Pens
from isogenic.web.problems import PROBLEMS

__all__ = ["vault_routes"]

Code = Annotated[str, Field(max_length=40, description="an identity code, IDC-…")]
Why = Annotated[str, Field(min_length=1, max_length=WHY_MAX, description="why; without saying who it is")]


class FieldOf(BaseModel):
    """One field of a person's record."""

    name: Named
    value: str = Field(min_length=1, max_length=VALUE_MAX)


class PersonBody(BaseModel):
    """Fields of a person, and why they are given."""

    fields: list[FieldOf] = Field(min_length=1, max_length=len(Named))
    why: Why


class ChangeBody(PersonBody):
    """Fields of a person that were wrong."""

    code: Code


class Opening(BaseModel):
    """Whose record is opened, and why."""

    code: Code
    why: Why


class Erasure(Signing):
    """Who is erased, and why; a signature."""

    model_config = ConfigDict(extra="ignore")  # what was typed as a name of a field is not repeated
    code: Code
    why: Why


def vault_routes(
    app: FastAPI, node: ControlNode, pens: Pens, keeper: Keeper, *, noting: Callable[[ControlNode, Person, str], AbstractContextManager[None]]
) -> None:
    """`noting` notes what a person asked for and was not allowed."""

    def private(response: Response) -> None:
        response.headers["Cache-Control"] = "no-store"

    @app.get("/api/vault/persons", responses=PROBLEMS, tags=["vault"], summary="Codes")
    async def codes(guest: Asker) -> list[str]:
        """Of whom there is a record: codes only."""
        with noting(node, guest.person, Act.OPEN_PERSON):
            return [str(code) for code in keeper.codes(guest.person)]

    @app.post("/api/vault/persons", status_code=201, responses=PROBLEMS, tags=["vault"], summary="Enter a person")
    async def enter(body: PersonBody, guest: Asker) -> str:
        """Under a fresh code, which is the answer."""
        with noting(node, guest.person, Act.ENTER_PERSON):
            return str(keeper.enter(guest.person, _fields(body), why=body.why))

    @app.post("/api/vault/openings", responses=PROBLEMS, tags=["vault"], summary="Open a record")
    async def opening(body: Opening, guest: Asker, response: Response) -> dict[str, str]:
        """The record, once it is noted who asked and why."""
        private(response)
        with noting(node, guest.person, Act.OPEN_PERSON):
            return {str(field): value for field, value in keeper.open(guest.person, IdentityCode(body.code), why=body.why).items()}

    @app.post("/api/vault/changes", status_code=204, responses=PROBLEMS, tags=["vault"], summary="Put a record right")
    async def change(body: ChangeBody, guest: Asker) -> None:
        """The fields given replace those of the same name."""
        with noting(node, guest.person, Act.ENTER_PERSON):
            keeper.change(guest.person, IdentityCode(body.code), _fields(body), why=body.why)

    @app.post("/api/vault/searches", responses=PROBLEMS, tags=["vault"], summary="Find a person")
    async def search(body: PersonBody, guest: Asker, response: Response) -> list[str]:
        """The codes of those whose record has exactly these values."""
        private(response)
        with noting(node, guest.person, Act.OPEN_PERSON):
            return [str(code) for code in keeper.search(guest.person, _fields(body), why=body.why)]

    @app.delete("/api/vault/persons", status_code=204, responses=PROBLEMS, tags=["vault"], summary="Erase a person")
    async def erase(body: Erasure, guest: Asker) -> None:
        """By signature: the person's key is destroyed, and with it every copy of the record."""
        signer = await pens.pen(guest, body, Act.ERASE_PERSON)
        with noting(node, guest.person, Act.ERASE_PERSON):
            keeper.erase(guest.person, signer, IdentityCode(body.code), why=body.why)


def _fields(body: PersonBody) -> dict[str, str]:
    return {str(each.name): each.value for each in body.fields}
