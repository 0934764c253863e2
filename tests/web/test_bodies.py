"""What comes before anybody is asked who they are: bodies without end, bodies without sense, and where a sign-in leads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from network_story import LEEDS, Network
from web_setup import app_of, client, password, site_application, site_node

from isogenic.web.bodies import BODY_BYTES_MAX
from isogenic.web.screens.doors import inside

CHUNK = 64 * 1024


@pytest.fixture(params=["control", "site"])
def application(request: pytest.FixtureRequest, network: Network) -> FastAPI:
    """Both people's ports."""
    if request.param == "control":
        return app_of(network)
    return site_application(network, site_node(network, network.books[LEEDS]), screens=False)


async def posted(app: FastAPI, headers: list[tuple[bytes, bytes]], chunks: AsyncIterator[bytes]) -> tuple[list[dict[str, Any]], int]:
    """What the application answers to a body that arrives in pieces, and how many bytes of it it took."""
    taken, answer = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal taken
        piece = await anext(chunks, None)
        taken += len(piece or b"")
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def send(message: Any) -> None:
        answer.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/api/sign-in",
        "raw_path": b"/api/sign-in",
        "query_string": b"",
        "scheme": "http",
        "server": ("node.test", 80),
        "client": ("127.0.0.1", 1),
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), *headers],
    }
    await app(scope, receive, send)
    return answer, taken


async def _endless() -> AsyncIterator[bytes]:
    yield b'{"person":"'
    for _ in range(1000):
        yield b"x" * CHUNK


def test_a_body_without_end_is_refused_while_it_arrives(application: FastAPI) -> None:
    answer, taken = asyncio.run(posted(application, [], _endless()))
    assert answer[0]["status"] == 422
    assert (b"content-type", b"application/problem+json") in answer[0]["headers"]
    assert (b"connection", b"close") in answer[0]["headers"]
    assert taken <= BODY_BYTES_MAX + CHUNK


def test_a_body_that_says_that_it_is_too_long_is_not_read_at_all(application: FastAPI) -> None:
    for said in (b"800000000", b"9" * 5000, b"-1"):
        answer, taken = asyncio.run(posted(application, [(b"content-length", said)], _endless()))
        assert (answer[0]["status"], taken) == (422, 0)


def test_a_body_in_pieces_is_read_as_a_whole(network: Network) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b'{"person":', b'"BEN","pass', b'word":"' + password("BEN").encode() + b'"}'):
            yield piece

    answer, _ = asyncio.run(posted(app_of(network), [], pieces()))
    assert answer[0]["status"] == 200


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"person":' * 50_000, b"\xff\xfe{", b'{"person": 1e999999}', b"null", b"{"])
def test_a_body_that_nobody_can_read_is_a_documented_refusal(application: FastAPI, body: bytes) -> None:
    async def walk() -> Any:
        async with client(application) as guest:
            answer = await guest.post("/api/sign-in", content=body, headers={"content-type": "application/json"})
            return answer, (await guest.get("/api/openapi.json")).json()

    answer, described = asyncio.run(walk())
    assert (answer.status_code, answer.headers["content-type"], answer.json()["title"]) == (422, "application/problem+json", "NotValid")
    assert "422" in described["paths"]["/api/sign-in"]["post"]["responses"]


@pytest.mark.parametrize(
    "then",
    [
        "//evil.example/x",
        "/\t/evil.example/x",
        "/\n/evil.example/x",
        "\t//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/\x00/evil.example",
        "/ /evil.example",
        "/\u2028/evil.example",
        "",
        "x",
        "/" + "x" * 3000,
    ],
)
def test_a_sign_in_leads_nowhere_but_into_this_node(then: str) -> None:
    assert inside(then) == "/"


@pytest.mark.parametrize("then", ["/", "/batches/BAT-A2", "/records?text=cell%20count&kind=batch.*", "/lots/LOT-A1#notes"])
def test_a_sign_in_leads_back_to_the_page_that_was_asked_for(then: str) -> None:
    assert inside(then) == then


def test_the_sign_in_page_itself_does_not_carry_a_foreign_address(standing: Network) -> None:
    async def walk() -> list[str]:
        app = app_of(standing, screens=True)
        async with client(app) as guest:
            return [(await guest.get(f"/sign-in?then={then}")).text for then in ("/%09/evil.example/x", "/batches/BAT-A2")]

    foreign, own = asyncio.run(walk())
    assert "evil.example" not in foreign
    assert 'data-then="/batches/BAT-A2"' in own
