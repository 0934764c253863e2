"""The plants of the demo."""

from __future__ import annotations

from importlib.resources import files

import pytest

from isogenic.plant.documents import load_plant
from isogenic.plant.model import SitePlant


@pytest.fixture(scope="session")
def porto() -> SitePlant:
    return load_plant(files("isogenic.sim").joinpath("documents/porto.plant.yaml").read_text(), name="porto")
