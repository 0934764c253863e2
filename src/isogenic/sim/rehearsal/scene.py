"""What every night has in common: plants, documents, people, and a process short enough to finish by morning.

Guarantees: the recipe is the real document with shorter times, read by the real parser;
everything parsed or fitted here is frozen, so nights can share it.
Leaves to others: keys and directory, which each night makes from its own seed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np

from isogenic.authority.people import Role
from isogenic.ids import LotId, PersonId, ProductId, RecipeId, SiteId
from isogenic.monitoring.fitting import fit
from isogenic.monitoring.tables import BatchTable, Variable
from isogenic.plant.documents import load_plant
from isogenic.plant.model import SitePlant
from isogenic.sim.authorising import master_file_text
from isogenic.sim.history import good_batches
from isogenic.sim.world import PEOPLE, SITES, Character, document

__all__ = [
    "ADA",
    "ANA",
    "BEN",
    "NETWORK",
    "PRODUCT",
    "QUI",
    "RECIPE",
    "VERSION",
    "cast",
    "file_text",
    "lot_name",
    "many_plants",
    "model_bytes",
    "operator_of",
    "plants",
    "recipe_text",
    "site_text",
]

NETWORK = "rehearsal"
RECIPE, VERSION, PRODUCT = RecipeId("MAB-FB"), 1, ProductId("MAB-A")
ADA, BEN, QUI, ANA = PersonId("ADA"), PersonId("BEN"), PersonId("QUI"), PersonId("ANA")

# Of the real document: days become hours, and glucose is restored every four hours, so that a night sees every phase and many doses.
SHORTER = (
    ("value: 3 d, low: 2.5 d, high: 3.5 d", "value: 8 h, low: 6 h, high: 10 h"),
    ("value: 11 d, low: 10 d, high: 11 d", "value: 12 h, low: 10 h, high: 14 h"),
    ("value: 14 mM, low: 10 mM, high: 16 mM", "value: 34 mM, low: 10 mM, high: 36 mM"),
    ("value: 28 mM, low: 24 mM, high: 30 mM", "value: 38 mM, low: 24 mM, high: 40 mM"),
    ("every: 24 h", "every: 4 h"),
)


@lru_cache(maxsize=1)
def plants() -> Mapping[SiteId, SitePlant]:
    """The plants of the demonstration."""
    return {site: load_plant(document(f"{site.lower()}.plant.yaml"), name=f"{site.lower()}.plant.yaml") for site in SITES}


@lru_cache(maxsize=2)
def many_plants(count: int) -> Mapping[SiteId, SitePlant]:
    """So many sites more: each one the like of one of the demonstration's."""
    sites = (SiteId(f"S{number:03d}") for number in range(1, count + 1))
    return {site: replace(plants()[_like(site)], site=site, title=f"Site {site}") for site in sites}


def site_text(site: SiteId) -> str:
    """The site recipe of a site."""
    text = document(f"{_like(site).lower()}.site.yaml")
    assert text.count(f"site: {_like(site)}\n") == 1
    return text.replace(f"site: {_like(site)}\n", f"site: {site}\n")


def _like(site: SiteId) -> SiteId:
    """Which of the demonstration's sites this one is built like."""
    return site if site in SITES else SITES[int(site[1:]) % len(SITES)]


def cast(sites: Collection[SiteId]) -> tuple[Character, ...]:
    """Everybody of a network of these sites: an operator for each, and an analyst for all."""
    known = tuple(each for each in PEOPLE if each.id != ANA and (not each.sites or each.sites[0] in sites))
    analyst = next(each for each in PEOPLE if each.id == ANA)
    more = tuple(Character(operator_of(site), f"Operator of {site}", (Role.OPERATOR,), (site,)) for site in sites if site not in SITES)
    return (*known, *more, replace(analyst, sites=tuple(sites)))


@lru_cache(maxsize=1)
def recipe_text() -> str:
    """The real general recipe with shorter times."""
    text = document("mab-fb.general.yaml")
    for long, short in SHORTER:
        assert text.count(long) == 1, f"the recipe document no longer says {long!r} once"
        text = text.replace(long, short)
    return text


@lru_cache(maxsize=4)
def file_text(sites: tuple[SiteId, ...]) -> str:
    """The master file of these sites."""
    return master_file_text({site: plants()[site] if site in SITES else many_plants(int(site[1:]))[site] for site in sites})


@lru_cache(maxsize=1)
def model_bytes() -> bytes:
    """A reference model of batches that were fed otherwise: it finds deviations in most batches, which is what a rehearsal wants."""
    tables, units = [], [unit for plant in plants().values() for unit in plant.units.values()]
    monitored = [signal for signal in units[0].cls.signals.values() if signal.monitored]
    for unit in units:
        litres = unit.working_volume.to("L").value
        for number, (hours, columns) in enumerate(good_batches(3, seed=1, unit=unit, every_h=1.0, days=1.0)):
            scaled = [columns[signal.name] / litres if signal.extensive else columns[signal.name] for signal in monitored]
            tables.append(BatchTable(f"{unit.id}-{number}", hours, np.column_stack(scaled)))
    variables = [Variable(signal.name, f"{signal.unit}/L" if signal.extensive else signal.unit) for signal in monitored]
    return fit(tables, variables=variables, name="rehearsal", product=str(PRODUCT)).to_bytes()


def operator_of(site: SiteId) -> PersonId:
    """Who runs the batches of a site."""
    return next((each.id for each in PEOPLE if each.sites == (site,)), PersonId(f"OP-{site}"))


def lot_name(site: SiteId, number: int) -> LotId:
    """The lots of a night, numbered at each site."""
    return LotId(f"LOT-{site}-{number:03d}")
