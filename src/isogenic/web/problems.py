"""Refusals over HTTP: every one is an RFC 9457 problem, and every one is documented.

Guarantees: whatever goes wrong on a request, the body says what, why and what is possible;
the status is that of the family (errors.py); a malformed body is `NotValid`, never a trace.
"""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from isogenic.errors import NotAllowed, NotFound, NotReachable, NotTrusted, NotValid, Refusal

__all__ = ["PROBLEMS", "Problem", "answer_refusals", "problem_response"]

log = logging.getLogger(__name__)
MEDIA = "application/problem+json"
WORDS_MAX = 400  # characters of a complaint about a body: enough to mend it


class Problem(BaseModel):
    """A refusal (RFC 9457): what was refused, why, and what is possible instead."""

    type: str = Field(examples=["urn:isogenic:refusal:NotAllowed"])
    title: str
    status: int
    detail: str
    what: str
    why: str
    possible: str


def _documented(family: type[Refusal]) -> dict[str, Any]:
    words = (family.__doc__ or "").strip()
    return {"description": words, "content": {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


# For every route. A family that an act cannot meet is documented all the same: a client handles five cases, not fifty.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    family.http_status: _documented(family) for family in (NotTrusted, NotAllowed, NotFound, NotValid, NotReachable)
}


def problem_response(refusal: Refusal) -> Response:
    """The refusal as an answer."""
    return JSONResponse(refusal.as_problem(), status_code=refusal.http_status, media_type=MEDIA)


def answer_refusals(app: FastAPI) -> None:
    """Make every failure of `app` a problem, and put `Problem` into its description."""

    async def refused(request: Request, refusal: Exception) -> Response:
        assert isinstance(refusal, Refusal)
        return problem_response(refusal)

    async def malformed(request: Request, trouble: Exception) -> Response:
        assert isinstance(trouble, RequestValidationError)
        said = "; ".join(f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in trouble.errors()[:5])
        return problem_response(NotValid("cannot read the request", why=said[:WORDS_MAX], possible="see /api/openapi.json"))

    async def by_status(request: Request, trouble: Exception) -> Response:
        assert isinstance(trouble, HTTPException)
        if trouble.status_code == 400:  # how the framework answers what it cannot even parse; to who asks it is one more malformed body
            return problem_response(NotValid("cannot read the request", why=str(trouble.detail)[:WORDS_MAX], possible="see /api/openapi.json"))
        family = {404: NotFound, 401: NotTrusted, 403: NotAllowed, 503: NotReachable}.get(trouble.status_code, NotValid)
        refusal = family(f"no {request.method} {request.url.path[:80]}", why=str(trouble.detail)[:WORDS_MAX], possible="see /api/openapi.json")
        body = refusal.as_problem() | {"status": trouble.status_code}
        return JSONResponse(body, status_code=trouble.status_code, media_type=MEDIA, headers=trouble.headers)

    app.add_exception_handler(Refusal, refused)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, by_status)
    described = app.openapi

    def openapi() -> dict[str, Any]:
        document = described()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema()
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
