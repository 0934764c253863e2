"""A batch that has just started on a tiny floor."""

from __future__ import annotations

import pytest
from tiny_floor import Floor, control_of

from isogenic.recipes.model import ControlRecipe


@pytest.fixture(scope="session")
def control() -> ControlRecipe:
    return control_of("leeds")


@pytest.fixture
def floor(control: ControlRecipe) -> Floor:
    floor = Floor(control)
    floor.start()
    return floor
