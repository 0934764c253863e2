"""A recipe that asks people everything that a recipe can ask, and people who sign with keys of their own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from importlib.resources import files

from isogenic.authority.people import Person, Role
from isogenic.authority.signatures import sign
from isogenic.ids import BatchId, LotId, PersonId
from isogenic.plant.documents import load_plant
from isogenic.recipes.derive import derive_control, derive_master
from isogenic.recipes.general import load_general
from isogenic.recipes.model import ControlRecipe
from isogenic.recipes.site import derive_site, load_site
from isogenic.records.notes import Signer
from isogenic.records.signatures import Signature

DOCUMENTS = files("isogenic.sim") / "documents"
GENERAL = (DOCUMENTS / "mab-fb.general.yaml").read_text()
PICTURE = "ab" * 32
PLAIN_LINE = "              - {prompt: medium_lot, answer: text, text: Lot number of the medium bag that is connected}\n"
ASKED = f"""\
              - {{prompt: bag_seen, answer: choice, choices: [clear, cloudy], text: Look of it?, picture: {{file: bag.png, digest: {PICTURE}}}}}
              - {{prompt: bag_weld, answer: confirm, text: The bag is welded on, witness: true, competence: aseptic_connection}}
              - {{prompt: settled, answer: confirm, text: The bag has settled, timer: {{earliest: 10 min, latest: 15 min, after: bag_weld}}}}
              - {{prompt: bag, answer: scan, expects: material, material: medium, text: Scan the medium bag}}
"""
NAMES = ("BAG-SEEN-1", "BAG-WELD-1", "SETTLED-1", "BAG-1")


def recipe_with(asked: str = ASKED) -> str:
    return GENERAL.replace(PLAIN_LINE, asked)


def control_with(asked: str = ASKED) -> ControlRecipe:
    plant = load_plant((DOCUMENTS / "leeds.plant.yaml").read_bytes(), name="leeds")
    master = derive_master(derive_site(load_general(recipe_with(asked)), load_site((DOCUMENTS / "leeds.site.yaml").read_bytes())), plant)
    return derive_control(master, next(iter(plant.units.values())), batch=BatchId("BAT-7K2M"), lot=LotId("LOT-0001"))


def person(name: str) -> tuple[Person, Signer]:
    signer = Signer.from_seed(f"aster/people/{name}", name.encode().ljust(32, b"."))
    return Person(PersonId(name), name.title(), (Role.OPERATOR,), str(signer.verifying_key)), signer


def signs(name: str, meaning: str, at: datetime) -> Callable[[str], Signature]:
    """What a person signs with, at a time."""
    who, signer = person(name)
    return lambda digest: sign(signer, who, role=Role.OPERATOR, meaning=meaning, at=at, digest=digest)
