"""Bodies are bounded while they arrive: before anybody is asked who they are, and before anything reads them.

Guarantees: of one request at most `BODY_BYTES_MAX` are held; what says or turns out to be
longer is refused as a problem, and its connection ends.
Leaves to others: what a body says (messages), how many connections there are (the server).
"""

from __future__ import annotations

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isogenic.errors import NotValid
from isogenic.web.problems import problem_response

__all__ = ["BODY_BYTES_MAX", "BoundedBodies"]

BODY_BYTES_MAX = 512 * 1024  # the longest text of a recipe (60,000 characters), even if each of them is written as \uXXXX


class BoundedBodies:
    """ASGI middleware. Plain, so that a stream stays a stream."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            body: bytes | None = await _bounded(scope, receive)
        except NotValid as refusal:
            answer = problem_response(refusal)
            answer.headers["connection"] = "close"  # the rest of the body is not read
            await answer(scope, receive, send)
            return
        except ClientDisconnect:
            return

        async def replayed() -> Message:
            nonlocal body
            if body is None:
                return await receive()
            whole, body = body, None
            return {"type": "http.request", "body": whole, "more_body": False}

        await self.app(scope, replayed, send)


async def _bounded(scope: Scope, receive: Receive) -> bytes:
    too_long = NotValid("request refused", why=f"its body is longer than {BODY_BYTES_MAX} bytes", possible="see /api/openapi.json")
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if not declared.isdigit() or len(declared) > 18 or int(declared) > BODY_BYTES_MAX:
        raise too_long
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise too_long
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)
