"""No route of a site or of the control site changes anything for somebody who did not sign in."""

from __future__ import annotations

import asyncio
import re

from fastapi import FastAPI
from network_story import LEEDS, Network
from web_setup import app_of, client, site_application, site_node

OPEN = {"/api/sign-in", "/api/sign-in/passkey", "/api/sign-in/passkey/question"}  # where one signs in


def unguarded(app: FastAPI) -> tuple[int, list[tuple[str, int]]]:
    """How many paths take a POST, and those that answer a stranger with something else than 401."""
    paths = [path for path, methods in app.openapi()["paths"].items() if "post" in methods and path not in OPEN]

    async def ask() -> list[tuple[str, int]]:
        async with client(app) as guest:
            return [(path, (await guest.post(re.sub(r"\{\w+\}", "X-1", path), json={})).status_code) for path in paths]

    return len(paths), [(path, code) for path, code in asyncio.run(ask()) if code != 401]


def test_every_post_of_both_applications_refuses_a_stranger(network: Network) -> None:
    for app, least in ((site_application(network, site_node(network, network.books[LEEDS]), screens=False), 25), (app_of(network), 20)):
        count, odd = unguarded(app)
        assert count >= least
        assert odd == []
