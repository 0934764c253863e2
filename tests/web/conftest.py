"""Fixtures: the network of `network_story`, built once for reading, and copied for each test that decides."""

from __future__ import annotations

from pathlib import Path

import network_story
import pytest
from network_story import Network


@pytest.fixture(scope="session")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A network that tests only read."""
    return network_story.build(tmp_path_factory.mktemp("standing"))


@pytest.fixture
def network(standing: Network, tmp_path: Path) -> Network:
    """A network of the test's own: the same ground state in another folder, opened anew."""
    return network_story.reopen(standing, tmp_path / "network")
