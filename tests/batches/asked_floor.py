"""The tiny floor with the recipe that asks everything."""

from __future__ import annotations

from collections.abc import Callable

from tiny_floor import Floor

from asked_recipe import ASKED, control_with, signs
from isogenic.records.signatures import Signature


def asked_floor(asked: str = ASKED) -> Floor:
    """A floor on which the first phase has just asked."""
    floor = Floor(control_with(asked))
    floor.start()
    floor.scan(hours=0)
    return floor


def pen(floor: Floor, name: str, meaning: str) -> Callable[[str], Signature]:
    """What a person signs with on this floor, now."""
    return signs(name, meaning, floor.now)
