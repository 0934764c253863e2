"""Who is asking: the session of a request, from its cookie or its bearer token.

Guarantees: a route that takes `Guest` runs only for a person who is signed in and on file
now. The cookie is not readable by scripts and is sent to this node only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isogenic.authority.people import Person
from isogenic.authority.rules import Act, roles_that_may
from isogenic.errors import NotAllowed, NotFound
from isogenic.records.facts import Actor
from isogenic.web.bodies import BoundedBodies
from isogenic.web.messages import Me, NewPassword, SignedInAs, SignIn
from isogenic.web.problems import PROBLEMS
from isogenic.web.signin import METHOD, Door, Session

__all__ = ["READER", "SECURITY_HEADERS", "Asker", "Guest", "actor_for", "asked_by", "guest_of", "let_in", "nothing_else", "sign_in_routes"]

BEARER = "bearer "
RENEWING = {"/api/password", "/api/me", "/password"}  # all that can be done before a password is renewed
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True, slots=True)
class Guest:
    """Who is asking."""

    session: Session
    person: Person
    host: str = ""  # the name under which this node was asked: what a passkey is bound to


def guest_of(door: Door, request: Request, *, by_itself: bool = False) -> Guest:
    """The person behind a request, or `NotTrusted`. `by_itself`: a page asked, and nobody touched it."""
    token = _token(door, request)
    session = door.seen(token) if by_itself else door.session(token)
    if session.renew and request.url.path not in RENEWING:
        raise NotAllowed("nothing can be done yet", why=f"your password has to be changed: {session.renew}", possible="change it, then go on")
    return Guest(session, door.person(session), request.headers.get("host", ""))


async def asked_by(request: Request) -> Guest:
    """The person behind a request to this application; the door is the application's.

    A coroutine, so that it runs on the node's one thread: a plain function would be run in
    another, and a node's state is folded by one thread only. What the node holds is folded before anybody
    looks at it, while pages of a backlog go on being taken.
    """
    if (settled := getattr(request.app.state, "settled", None)) is not None:
        await settled()
    return guest_of(request.app.state.door, request)


Asker = Annotated[Guest, Depends(asked_by)]
READER = [Depends(asked_by)]  # for routes that only want somebody who is signed in


def _token(door: Door, request: Request) -> str | None:
    said = request.headers.get("authorization", "")
    if said.lower().startswith(BEARER):
        return said[len(BEARER) :].strip()[:200]
    return request.cookies.get(door.cookie)


def actor_for(person: Person, act: Act, method: str = METHOD) -> Actor:
    """The person in the role in which they do this: the first of theirs that the act is open to."""
    role = next((role for role in roles_that_may(act) if role in person.roles), person.roles[0])
    return Actor(str(person.id), str(role), method)


def sign_in_routes(app: FastAPI, door: Door) -> None:
    """Sign-in and sign-out, and headers that belong on every answer."""

    @app.post("/api/sign-in", responses=PROBLEMS, tags=["sign-in"], summary="Sign in")
    async def sign_in(body: SignIn, request: Request, response: Response) -> SignedInAs:
        """A session for a person with an account at this node. Five wrong passwords in a row lock it for a while."""
        return let_in(door, await door.sign_in(body.person, body.password), request, response)

    @app.post("/api/password", status_code=204, responses=PROBLEMS, tags=["sign-in"], summary="Renew the password")
    async def renew(body: NewPassword, guest: Asker) -> None:
        """Another password for the same key. Every other session of the person ends."""
        await door.renew(guest.session, body.password, body.new_password)

    @app.post("/api/sign-out", status_code=204, responses=PROBLEMS, tags=["sign-in"], summary="Sign out")
    async def sign_out(request: Request, response: Response) -> None:
        """End the session."""
        door.sign_out(door.session(_token(door, request)))
        response.delete_cookie(door.cookie, path="/")

    @app.get("/api/me", responses=PROBLEMS, tags=["sign-in"], summary="Who is signed in")
    async def me(request: Request) -> Me:
        """The person of this session; asking is a sign of life."""
        person = guest_of(door, request).person
        return Me(person=person.id, printed_name=person.printed_name, roles=[str(role) for role in person.roles])

    app.add_middleware(BoundedBodies)
    app.add_middleware(_Headers)


def let_in(door: Door, session: Session, request: Request, response: Response) -> SignedInAs:
    """The answer to a sign-in, with the session's cookie."""
    person = door.person(session)
    # Strict: no other site's page can act with this session, so no route needs a token of its own against that.
    response.set_cookie(door.cookie, session.token, httponly=True, samesite="strict", secure=request.url.scheme == "https", path="/")
    roles = [str(role) for role in person.roles]
    return SignedInAs(person=person.id, printed_name=person.printed_name, roles=roles, token=session.token, renew=session.renew)


class _Headers:
    """Headers that belong on every answer. Plain ASGI, so that a stream stays a stream."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


def nothing_else(app: FastAPI) -> None:
    """Whatever else is asked for under /api/ is refused as everything is: call it after the last route."""

    @app.api_route("/api/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    async def unknown(path: str, request: Request) -> None:
        raise NotFound(f"no {request.method} /api/{path[:80]}", why="this node's API does not name it", possible="see /api/openapi.json")
