"""Which batches a study has, when each begins and of which lot it is made, and how they are cut into chunks.

Guarantees: a plan is a function of the scenario and the number of batches. A batch's name, lot and dice do not depend on
how many workers there are; chunks are the same for all of them, and each has batches of one process.
Leaves to others: when each batch begins (calendar), who stands in line for people and laboratories (lines), what happens
in a batch (chunk).

Without a period, the batches are shared out between sites and processes by share and suites, and follow one another in
each suite. With a period, each suite is used until the period is over, or orders come in until then. A study of a period
that is cut to a number of batches keeps the same share of every process, the earliest batches of each, and says what it
left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, overload

import numpy as np

from isogenic.errors import NotValid
from isogenic.sim.routes import route_of
from isogenic.sim.scenarios.model import Product, Scenario
from isogenic.sim.scenarios.reading import BATCHES_MAX
from isogenic.sim.studies.calendar import Slot, slots_of
from isogenic.sim.studies.lines import in_line
from isogenic.sim.studies.part import Part

__all__ = ["CHUNK", "Plan", "plan_of"]

CHUNK = 500  # batches: their trajectories are some megabytes, and a worker is busy for a noticeable time
WITH_SPECTRA = 50  # 57 spectra of each are 20 MB
Key = TypeVar("Key")


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
    whole = in_line(scenario, whole)
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


def _product(scenario: Scenario, product: Product, limits: dict[tuple[str, str], int]) -> Part | None:
    slots = [slot for site in scenario.sites for slot in slots_of(scenario, product, site, limit=limits.get((site.name, product.process), 0))]
    if not slots:
        return None
    _give_lots(scenario, product, slots)
    hours = ("ordered_h", "surge", "left_h", "arrived_h", "warmed_h", "excursion_h", "start_h", "culture_h", "harvest_h")
    return Part(
        product.process,
        tuple(each.site.name for each in slots),
        np.array([each.number for each in slots], dtype=np.int64),
        tuple(each.lot for each in slots),
        **{name: np.array([getattr(each, name) for each in slots], dtype=np.float64) for name in hours},
        expired=np.array([each.expired for each in slots], dtype=bool),
        spoiled=np.array([each.spoiled for each in slots], dtype=bool),
        finish_h=np.full(len(slots), np.nan),
        tests_h=np.full((len(route_of(product.process, finish=product.finish, rapid=product.rapid).laboratory), len(slots)), np.nan),
    )


def _give_lots(scenario: Scenario, product: Product, slots: list[Slot]) -> None:
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
