"""The control site over HTTP, on the real app and a real node."""

from __future__ import annotations

import asyncio

from conftest import app_of
from httpx2 import ASGITransport, AsyncClient
from network_story import Network, password


async def signed_in(network: Network, person: str) -> AsyncClient:
    client = AsyncClient(transport=ASGITransport(app=app_of(network)), base_url="http://control.test")
    answer = await client.post("/api/sign-in", json={"person": person, "password": password(person)})
    assert answer.status_code == 200, answer.text
    client.headers["authorization"] = f"Bearer {answer.json()['token']}"
    return client


def test_network_tells_what_is_complete_and_what_is_still_on_its_way(standing: Network) -> None:
    async def walk() -> dict[str, object]:
        client = await signed_in(standing, "INA")
        return {
            each["site"]: (each["link"], each["complete"], each["open_deviations"]) for each in (await client.get("/api/network")).json()["sites"]
        }

    assert asyncio.run(walk()) == {"LEEDS": ("linked", True, 0), "GHENT": ("linked", True, 3), "PORTO": ("silent", False, 0)}
