"""The product's own documents, as the tests take them up."""

from __future__ import annotations

from importlib.resources import files

from isogenic.plant.documents import load_plant
from isogenic.plant.model import SitePlant, Unit
from isogenic.recipes.derive import derive_master
from isogenic.recipes.general import load_general
from isogenic.recipes.model import MasterRecipe
from isogenic.recipes.site import derive_site, load_site

DOCUMENTS = files("isogenic.sim") / "documents"


def text(name: str) -> str:
    return (DOCUMENTS / name).read_text(encoding="utf-8")


GENERAL = text("mab-fb.general.yaml")


def changed(old: str, new: str, *, of: str = GENERAL) -> str:
    """A document with one place changed; the place must be there."""
    assert old in of
    return of.replace(old, new, 1)


def plant_of(site: str) -> SitePlant:
    return load_plant(text(f"{site}.plant.yaml"), name=site)


def unit_of(site: str) -> Unit:
    return next(iter(plant_of(site).units.values()))


def master_of(site: str, *, general: str = GENERAL, site_text: str = "") -> MasterRecipe:
    document = load_site(site_text or text(f"{site}.site.yaml"))
    return derive_master(derive_site(load_general(general), document), plant_of(site))
