"""When a site's batches of one process are ordered, arrive, and begin: orders, couriers, suites and shifts.

Guarantees: the calendar of a site and a process is a function of the scenario, the site and the process. Whoever
arrives first is begun first. A courier who is late delays a batch and does not keep a suite.
Leaves to others: lots (`plan`), what is done to a batch after its culture (`work`).

    ordered - a courier is free - on the way - arrived - a suite is free, and a shift is there - operations before the
    culture - the culture - turnaround

Without orders, the next batch is ordered so that it arrives about when a suite is free.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isogenic.sim.couriers import ship, warmed_h
from isogenic.sim.operations import Drawn, drawn
from isogenic.sim.routes import hurried, route_of
from isogenic.sim.scenarios.model import Product, Scenario, Site
from isogenic.sim.scenarios.reading import BATCHES_MAX
from isogenic.sim.streams import Stream
from isogenic.sim.studies.aims import Aimed, aimed_at, faults_named
from isogenic.sim.studies.part import name_of
from isogenic.sim.studies.shifts import Shifts, shifts_of

__all__ = ["Slot", "slots_of"]

BLOCK = 32  # batches whose dice are thrown together


@dataclass(slots=True)
class Slot:
    """One batch to be; hours are of the study, and what they mean stands beside those of `Part`."""

    site: Site
    number: int
    ordered_h: float
    surge: float
    left_h: float = 0.0
    arrived_h: float = 0.0
    warmed_h: float = 0.0
    excursion_h: float = 0.0
    start_h: float = 0.0
    culture_h: float = 0.0
    harvest_h: float = 0.0
    expired: bool = False
    spoiled: bool = False
    lot: str = ""


def slots_of(scenario: Scenario, product: Product, site: Site, *, limit: int) -> list[Slot]:
    """The batches of one process at one site, by their numbers; `limit` counts where the study has no period."""
    if not site.suites.get(product.process, 0):
        return []
    suites, couriers = _Suites(scenario, product, site), _Couriers(scenario, product, site)
    if product.orders_per_day:
        slots = [Slot(site, 1 + at, ordered, surge) for at, (ordered, surge) in enumerate(_orders(scenario, product, site))]
        for slot in slots:
            couriers.bring(slot)
        for slot in sorted(slots, key=lambda slot: (slot.arrived_h, slot.number)):
            suites.begin(slot)
        return slots
    slots = []
    for number in range(1, 1 + (BATCHES_MAX if scenario.period_h else limit)):
        slot = Slot(site, number, max(0.0, suites.free[0] - product.travel_h), 1.0)
        if scenario.period_h and slot.ordered_h >= scenario.period_h:
            break
        couriers.bring(slot)
        suites.begin(slot)
        if scenario.period_h and slot.start_h >= scenario.period_h:
            break
        slots.append(slot)
    return slots


def _orders(scenario: Scenario, product: Product, site: Site) -> Iterator[tuple[float, float]]:
    """When each order comes in, by thinning of a Poisson process at its highest rate; and how many times the usual rate there is."""
    surges = [each for _, each in faults_named(scenario, "demand_surges", site=site.name, process=product.process)]
    highest = max([1.0, *(each.size for each in surges)])
    stream, now = Stream(scenario.seed, "orders", site.name, product.process), 0.0
    for at in range(BATCHES_MAX):
        waits, keeps = (0.5 * math.erfc(-stream.normal(2 * at + each) / math.sqrt(2.0)) for each in (0, 1))
        now -= math.log(max(waits, 1e-300)) * 24.0 / (product.orders_per_day * highest)
        surge = max([1.0, *(each.size for each in surges if each.start_h <= now < each.start_h + each.duration_h)])
        if now >= scenario.period_h:
            return
        if keeps * highest < surge:
            yield now, surge


class _Couriers:
    """The couriers of one site and process: each fetches one collection, and needs the usual time to be back."""

    def __init__(self, scenario: Scenario, product: Product, site: Site) -> None:
        self.scenario, self.product, self.site = scenario, product, site
        self.free = [0.0] * site.couriers  # none: there is always one
        self.late, self.warm = (
            faults_named(scenario, name, site=site.name, process=product.process) for name in ("courier_is_late", "shipment_warms")
        )

    def bring(self, slot: Slot) -> None:
        """Leaves and arrives."""
        name = name_of(self.site.name, self.product.process, slot.number)
        late, warmer = (self._size(each, slot, name) for each in (self.late, self.warm))
        slot.left_h = max(slot.ordered_h, self.free[0]) if self.free else slot.ordered_h
        if not self.product.travel_h:
            slot.left_h, slot.arrived_h = slot.ordered_h, slot.ordered_h + late
            return
        sent = ship(
            name,
            seed=self.scenario.seed,
            leaves_h=slot.left_h,
            places=(f"collections of {self.site.name}", self.site.name),
            median_h=self.product.travel_h,
            late_h=late,
            warmer_k=warmer,
        )
        slot.arrived_h, slot.warmed_h, slot.excursion_h = sent.arrives_h, warmed_h(sent), sent.excursion_h
        if self.free:
            heapq.heapreplace(self.free, sent.arrives_h + self.product.travel_h)

    def _size(self, faults: list[Aimed], slot: Slot, name: str) -> float:
        """The largest of the faults that strike it."""
        size = 0.0
        for fault in faults:
            said = fault[1]
            if said.start_h <= slot.ordered_h < said.start_h + said.duration_h:
                whom = aimed_at(fault, seed=self.scenario.seed, sites=[self.site.name], names=[name], numbers=np.array([slot.number]))
                size = max(size, said.size if whom[0] else 0.0)
        return size


class _Suites:
    """The suites of one process at one site."""

    def __init__(self, scenario: Scenario, product: Product, site: Site) -> None:
        self.scenario, self.product, self.site = scenario, product, site
        self.free = [0.0] * site.suites[product.process]  # when each is next free
        self.shifts = shifts_of(scenario, site)
        self.lasts_h = scenario.lasts_h(product.process, site)
        self.before = route_of(product.process).before if scenario.operations else ()
        self._blocks: dict[tuple[int, float], _Block] = {}

    def begin(self, slot: Slot) -> None:
        """In the suite that is free first, when a shift is there; unless what it is made of has died by then."""
        slot.start_h = max(slot.arrived_h, self.free[0])
        if not self.shifts.always:
            slot.start_h = float(self.shifts.opens(np.float64(slot.start_h)))
        slot.expired = slot.start_h - slot.ordered_h > self.product.expires_h
        slot.culture_h = slot.harvest_h = slot.start_h
        if slot.expired:
            return
        if self.before:
            self._prepare(slot)
        slot.harvest_h = slot.culture_h + (0.0 if slot.spoiled else self.lasts_h)
        heapq.heapreplace(self.free, slot.harvest_h + self.product.turnaround_h)

    def _prepare(self, slot: Slot) -> None:
        """The operations before the culture."""
        block, at = divmod(slot.number - 1, BLOCK)
        if (block, slot.surge) not in self._blocks:
            names = [name_of(self.site.name, self.product.process, 1 + BLOCK * block + each) for each in range(BLOCK)]
            self._blocks[block, slot.surge] = _Block(
                drawn(hurried(self.before, slot.surge), seed=self.scenario.seed, sites=[self.site.name] * BLOCK, batches=names)
            )
        dice = self._blocks[block, slot.surge]
        slot.spoiled = dice.spoiled[at]
        slot.culture_h = slot.start_h + dice.takes_h[at] if self.shifts.always else dice.done(at, slot.start_h, self.shifts)


class _Block:
    """The dice of some batches' operations before their cultures."""

    def __init__(self, dice: Drawn) -> None:
        self.dice = dice
        self.spoiled: list[bool] = np.any(dice.ends, axis=0).tolist()
        there: NDArray[np.bool_] = np.asarray(np.cumsum(dice.ends, axis=0) - dice.ends == 0)  # whoever is lost in an operation still has it
        self.takes_h: list[float] = np.sum(dice.hours * there, axis=0).tolist()  # of people who are always there

    def done(self, at: int, begins_h: float, shifts: Shifts) -> float:
        """When the last of one batch is done."""
        mine = slice(at, at + 1)
        return float(shifts.one_after_another(np.array([begins_h]), self.dice.hours[:, mine], self.dice.ends[:, mine])[1][0])
