"""Fixtures: the network of `network_story`, built once for reading and anew for each test that decides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import network_story
import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from network_story import Network

from isogenic.authority.accounts import Cost
from isogenic.web.control_api import control_app
from isogenic.web.signin import AccountFolder

CHEAP = Cost(time=1, memory_kib=8, lanes=1)


@pytest.fixture(scope="session")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A network that tests only read."""
    return network_story.build(tmp_path_factory.mktemp("standing"))


@pytest.fixture
def network(tmp_path: Path) -> Network:
    """A network of the test's own."""
    return network_story.build(tmp_path)


def app_of(network: Network) -> FastAPI:
    return control_app(network.node, AccountFolder(network.people()), screens=False)


@pytest.fixture
def client_of() -> Callable[[FastAPI], AsyncClient]:
    def client(app: FastAPI) -> AsyncClient:
        return AsyncClient(transport=ASGITransport(app=app), base_url="http://control.test")

    return client
