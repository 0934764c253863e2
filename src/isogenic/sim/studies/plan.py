"""Which batches a study has, when each begins and of which lot it is made, and how they are cut into chunks.

Guarantees: a plan is a function of the scenario and the number of batches. A batch's name, lot and dice do not depend on
how many workers there are; chunks are the same for all of them, and each has batches of one process.
Leaves to others: what happens in a batch (chunk).

Without a period, the batches are shared out between sites and processes by share and suites, and follow one another in
each suite. With a period, each suite is used until the period is over; where orders come in (a Poisson process, more of
them while demand surges), batches wait for the starting material and for a free suite, first come first served, and
starting material that waits beyond its life is lost. A study of a period that is cut to a number of batches keeps the same
share of every process, the earliest batches of each, and says what it left out.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from isogenic.errors import NotValid
from isogenic.sim.processes import process_of
from isogenic.sim.processes.process import Floats
from isogenic.sim.scenarios.model import Product, Scenario, ScenarioFault, Site
from isogenic.sim.scenarios.reading import BATCHES_MAX
from isogenic.sim.streams import Stream

__all__ = ["CHUNK", "Part", "Plan", "plan_of"]

CHUNK = 500  # batches: their trajectories are some megabytes, and a worker is busy for a noticeable time
WITH_SPECTRA = 50  # 57 spectra of each are 20 MB
ORDERS_MAX = BATCHES_MAX
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Part:
    """Some batches of one process, in the order of their sites and numbers."""

    process: str
    sites: tuple[str, ...]
    numbers: NDArray[np.int64]  # at each site, from 1
    lots: tuple[str, ...]
    ordered_h: Floats  # hours of the study
    start_h: Floats
    material_h: Floats  # age of the starting material at the start
    expired: NDArray[np.bool_]
    arrived_h: Floats  # when what it is made of was there
    surge: Floats  # orders at that time, in multiples of the usual

    @property
    def names(self) -> list[str]:
        """The batches' names, once in a study."""
        return [f"{site}-{self.process}-{number:05d}" for site, number in zip(self.sites, self.numbers, strict=True)]

    def __len__(self) -> int:
        return len(self.sites)

    def cut(self, at: slice | NDArray[np.int64]) -> Part:
        """The batches of a slice, or of these positions."""
        sites, lots = (tuple(np.array(each, dtype=object)[at]) for each in (self.sites, self.lots))
        arrays = (self.ordered_h[at], self.start_h[at], self.material_h[at], self.expired[at], self.arrived_h[at], self.surge[at])
        return Part(self.process, sites, self.numbers[at], lots, *arrays)

    def earliest(self, count: int) -> Part:
        """So many batches: those that would begin first, in the order in which they stand."""
        return self if count >= len(self) else self.cut(np.sort(np.argsort(self.start_h, kind="stable")[:count]))


@dataclass(frozen=True, slots=True)
class Plan(Sequence[Part]):
    """The chunks of a study, in the order in which they are written, and what a limit left out."""

    parts: tuple[Part, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)  # batches by process, where there are any

    @property
    def batches(self) -> int:
        """How many in all."""
        return sum(map(len, self.parts))

    def counts(self) -> dict[str, int]:
        """Batches by process."""
        out: dict[str, int] = {}
        for part in self.parts:
            out[part.process] = out.get(part.process, 0) + len(part)
        return out

    def __len__(self) -> int:
        return len(self.parts)

    @overload
    def __getitem__(self, at: int) -> Part: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Part, ...]: ...
    def __getitem__(self, at: int | slice) -> Part | tuple[Part, ...]:
        return self.parts[at]


def plan_of(scenario: Scenario, *, batches: int | None = None) -> Plan:
    """The plan of the study; with a period, `batches` is a limit."""
    count = scenario.batches if batches is None else batches
    if not 1 <= count <= BATCHES_MAX:
        raise NotValid(f"cannot run {count} batches", why=f"there are 1 to {BATCHES_MAX}")
    limits = {} if scenario.period_h else _shared(scenario, count)
    whole = [part for product in scenario.products if (part := _product(scenario, product, limits)) is not None]
    if not whole:
        raise NotValid("cannot run the study", why="no site makes a batch", possible="a longer period, or suites")
    planned = {part.process: len(part) for part in whole}
    kept = _cut(planned, count) if sum(planned.values()) > count else planned
    size = WITH_SPECTRA if scenario.spectra else CHUNK
    chunks = []
    for part in whole:
        part = part.earliest(kept[part.process])
        chunks += [part.cut(slice(first, first + size)) for first in range(0, len(part), size)]
    return Plan(tuple(chunks), {name: planned[name] - kept[name] for name in planned if planned[name] > kept[name]})


def _cut(planned: Mapping[str, int], count: int) -> dict[str, int]:
    """Every process's share of `count` batches; at least one of each, where there are so many."""
    least = 1 if count >= len(planned) else 0
    shares = _largest_remainders({name: each - least for name, each in planned.items()}, count - least * len(planned))
    return {name: least + each for name, each in shares.items()}


def _largest_remainders(weights: Mapping[Key, float], count: int) -> dict[Key, int]:
    """`count` shared out by weight; what is left over goes to the largest remainders, the first of equals."""
    total = sum(weights.values())
    exact = {key: count * weight / total for key, weight in weights.items()}
    out = {key: math.floor(each) for key, each in exact.items()}
    for key in sorted(exact, key=lambda key: out[key] - exact[key])[: count - sum(out.values())]:
        out[key] += 1
    return out


def _shared(scenario: Scenario, count: int) -> dict[tuple[str, str], int]:
    """So many batches for each site and process, by share and suites: what is left over goes to the largest remainders."""
    weights = {(site.name, each.process): site.share * site.suites.get(each.process, 0) for site in scenario.sites for each in scenario.products}
    if sum(weights.values()) <= 0:
        raise NotValid("cannot share out the batches", why="every site's share, or its suites, are 0")
    return _largest_remainders(weights, count)


@dataclass(slots=True)
class _Slot:
    """One batch to be."""

    site: Site
    number: int
    ordered_h: float
    start_h: float
    material_h: float
    expired: bool
    arrived_h: float
    surge: float
    lot: str = ""


def _product(scenario: Scenario, product: Product, limits: dict[tuple[str, str], int]) -> Part | None:
    slots = [slot for site in scenario.sites for slot in _site(scenario, product, site, limits.get((site.name, product.process), 0))]
    if not slots:
        return None
    _give_lots(scenario, product, slots)
    return Part(
        product.process,
        tuple(each.site.name for each in slots),
        np.array([each.number for each in slots], dtype=np.int64),
        tuple(each.lot for each in slots),
        np.array([each.ordered_h for each in slots]),
        np.array([each.start_h for each in slots]),
        np.array([each.material_h for each in slots]),
        np.array([each.expired for each in slots], dtype=bool),
        np.array([each.arrived_h for each in slots]),
        np.array([each.surge for each in slots]),
    )


def _site(scenario: Scenario, product: Product, site: Site, limit: int) -> Iterator[_Slot]:
    """The batches of one process at one site, in their order."""
    suites = site.suites.get(product.process, 0)
    if not suites:
        return
    busy_h = process_of(product.process).duration_h + product.turnaround_h
    late = [each for each in scenario.faults if each.name == "courier_is_late" and _strikes(each, product, site)]
    free = [0.0] * suites  # when each suite is next free
    orders = _orders(scenario, product, site) if product.orders_per_day else None
    number = 0
    while True:
        surge = 1.0
        if orders is None:
            if number >= (limit or (BATCHES_MAX if scenario.period_h else 0)):
                return
            ordered = max(0.0, free[0] - product.travel_h)
        else:
            ordered, surge = next(orders, (math.inf, 1.0))
        if scenario.period_h and ordered >= scenario.period_h:
            return
        delay = max((each.size for each in late if each.start_h <= ordered < each.start_h + each.duration_h), default=0.0)
        arrived = ordered + product.travel_h + delay
        start = max(arrived, free[0])
        if scenario.period_h and orders is None and start >= scenario.period_h:
            return
        number += 1
        expired = start - ordered > product.expires_h
        if not expired:
            heapq.heapreplace(free, start + busy_h)
        yield _Slot(site, number, ordered, start, start - ordered, expired, arrived, surge)


def _orders(scenario: Scenario, product: Product, site: Site) -> Iterator[tuple[float, float]]:
    """When each order comes in, by thinning of a Poisson process at its highest rate; and how many times the usual rate there is."""
    surges = [each for each in scenario.faults if each.name == "demand_surges" and _strikes(each, product, site)]
    highest = max([1.0, *(each.size for each in surges)])
    stream, now = Stream(scenario.seed, "orders", site.name, product.process), 0.0
    for at in range(ORDERS_MAX):
        waits, keeps = (0.5 * math.erfc(-stream.normal(2 * at + each) / math.sqrt(2.0)) for each in (0, 1))
        now -= math.log(max(waits, 1e-300)) * 24.0 / (product.orders_per_day * highest)
        surge = max([1.0, *(each.size for each in surges if each.start_h <= now < each.start_h + each.duration_h)])
        if now >= scenario.period_h:
            return
        if keeps * highest < surge:
            yield now, surge


def _strikes(fault: ScenarioFault, product: Product, site: Site) -> bool:
    return (not fault.sites or site.name in fault.sites) and fault.process in ("", product.process)


def _give_lots(scenario: Scenario, product: Product, slots: list[_Slot]) -> None:
    """A lot lasts for so many batches of the network, in the order of their starts; a site with lots of its own uses them one after another."""
    here = [slot for slot in slots if not slot.site.lots]
    for at, slot in enumerate(sorted(here, key=lambda slot: (slot.start_h, slot.site.name, slot.number))):
        slot.lot = f"{product.process.upper()}-LOT-{1 + at // scenario.lot_batches}"
    own: dict[str, int] = {}
    for slot in slots:
        own[slot.site.name] = own.get(slot.site.name, 0) + 1
    for slot in slots:
        if slot.site.lots:
            slot.lot = slot.site.lots[(slot.number - 1) * len(slot.site.lots) // own[slot.site.name]]
