"""What a scenario says, once it was read: plain values in the units of the process models.

Leaves to others: reading and judging the document (reading), acting it out (studies).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Product", "Scenario", "ScenarioFault", "Site"]


@dataclass(frozen=True, slots=True)
class Product:
    """One process of the scenario, and how its batches follow one another."""

    process: str
    every_h: float
    duration_h: float  # unless a site sets another
    turnaround_h: float = 0.0  # between two batches of one suite
    orders_per_day: float = 0.0  # at each site; 0: a new batch whenever a suite is free
    travel_h: float = 0.0  # of the starting material
    expires_h: float = math.inf  # life of the starting material from the order on
    finish: str = "vials"  # what becomes of a drug substance
    rapid: bool = False  # sterility is tested by the fast method
    settings: Mapping[str, float] = field(default_factory=dict)
    constants: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Site:
    """One site: how much it makes and in what it differs."""

    name: str
    share: float = 1.0
    suites: Mapping[str, int] = field(default_factory=dict)  # by process
    offsets: Mapping[tuple[str, str], float] = field(default_factory=dict)  # (process, constant) -> factor
    settings: Mapping[tuple[str, str], float] = field(default_factory=dict)
    lots: tuple[str, ...] = ()
    laboratory: Mapping[str, float] = field(default_factory=dict)  # by attribute: reported so much too high
    crews: int = 0  # each finishes one batch at a time; 0: there is always one
    shifts: int = 3  # of eight hours, in which operations are begun
    shifts_in_surge: int = 0  # while orders surge, if more
    assays: int = 0  # that the laboratory runs at once; 0: as many as come
    couriers: int = 0  # for each process; 0: there is always one


@dataclass(frozen=True, slots=True)
class ScenarioFault:
    """One fault: what, when, how much, and whom it strikes."""

    name: str
    size: float
    start_h: float = 0.0
    duration_h: float = math.inf
    process: str = ""  # empty: every process of the scenario that can have it
    sites: tuple[str, ...] = ()  # empty: all of them; so are batches and lots
    batches: tuple[tuple[int, int], ...] = ()  # numbers at each site, first and last
    lots: tuple[str, ...] = ()
    share: float = 1.0  # of the batches that it could strike, by dice
    sensor: str = ""
    attribute: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """All of it."""

    title: str
    seed: int
    products: tuple[Product, ...]
    sites: tuple[Site, ...]
    digest: str  # SHA-256 of the document
    what: str = ""
    batches: int = 100  # unless whoever runs it says otherwise; of a period, at most
    period_h: float = 0.0  # 0: as long as the batches take
    lot_batches: int = 50  # a lot of medium lasts for so many batches of the network
    faults: tuple[ScenarioFault, ...] = ()
    instruments: bool = True
    spectra: bool = False
    laboratory: bool = True
    operations: bool = True

    def product(self, process: str) -> Product:
        """The product of a process."""
        return next(each for each in self.products if each.process == process)

    def lasts_h(self, process: str, site: Site) -> float:
        """How long a batch of the process lasts at a site."""
        return site.settings.get((process, "duration"), self.product(process).duration_h)
