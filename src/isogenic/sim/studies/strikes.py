"""Which fault of a scenario strikes which batch.

Guarantees: whom a fault strikes follows from the scenario, the site and the batch's name and times alone; a fault that
strikes no batch at all is found before anything runs.
Leaves to others: what a fault does (process models, instruments, operations, laboratory).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isogenic.sim.faults.catalogue import Entry, Place, catalogue
from isogenic.sim.processes import Process
from isogenic.sim.processes.process import Fault
from isogenic.sim.routes import route_of
from isogenic.sim.scenarios.model import Scenario, ScenarioFault
from isogenic.sim.studies.aims import aimed_at
from isogenic.sim.studies.part import Part

__all__ = ["Struck", "process_faults", "strikes", "unstruck"]

# What stands still without power, in a process that has it.
WITHOUT_POWER = ("feed_pump_stops", "perfusion_is_lost")


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault of the scenario, and which batches of the chunk it strikes."""

    fault: ScenarioFault
    entry: Entry
    batches: NDArray[np.bool_]


def unstruck(scenario: Scenario, parts: Iterable[Part]) -> list[ScenarioFault]:
    """The faults that strike none of all the batches: a slip of the pen, or a study that is too small for them."""
    left = list(scenario.faults)
    for part in parts:
        if not left:
            break
        hit = {each.fault for each in strikes(scenario, part)}
        left = [each for each in left if each not in hit]
    return left


def strikes(scenario: Scenario, part: Part) -> list[Struck]:
    """The faults that strike any batch of the chunk."""
    known, names = catalogue(), part.names
    out = []
    for number, fault in enumerate(scenario.faults):
        entry = known[fault.name]
        if fault.process not in ("", part.process) or entry.size_for(part.process) is None:
            continue
        if not _finds(scenario, part.process, fault, entry):
            continue
        hit = aimed_at((number, fault), seed=scenario.seed, sites=part.sites, names=names, numbers=part.numbers)
        if fault.lots:
            hit &= np.isin(part.lots, fault.lots)
        if entry.place in (Place.NETWORK, Place.COURIER):  # whatever became of the batch: it may be why
            hit &= (part.ordered_h >= fault.start_h) & (part.ordered_h < fault.start_h + fault.duration_h)
        else:
            hit &= part.grown
        if entry.windowed and not entry.place.by_calendar:  # a batch that ends before it never has it
            hit &= fault.start_h < part.harvest_h - part.culture_h - 1e-9
        if entry.place is Place.NODE:
            hit &= (part.culture_h < fault.start_h + fault.duration_h) & (part.harvest_h > fault.start_h)
        if hit.any():
            out.append(Struck(fault, entry, hit))
    return out


def _finds(scenario: Scenario, process: str, fault: ScenarioFault, entry: Entry) -> bool:
    """Whether the fault finds anything in this process: something that is filled, orders that can surge."""
    product = scenario.product(process)
    if entry.place is Place.FILLING:
        return route_of(process, finish=product.finish).struck_by(fault.name)
    return entry.place is not Place.NETWORK or product.orders_per_day > 0


def process_faults(struck: Sequence[Struck], part: Part, model: Process) -> list[Fault]:
    """Those that act in the equations."""
    out = []
    for each in struck:
        fault = each.fault
        if each.entry.place is Place.PROCESS:
            known = model.faults[fault.name]
            out.append(Fault(fault.name, fault.size, fault.start_h, fault.duration_h, each.batches, known.gradual))
        elif fault.name == "power_fails":
            for name in (name for name in WITHOUT_POWER if name in model.faults):
                for at in np.flatnonzero(each.batches):  # each batch has another age when the lights go out
                    start = max(0.0, fault.start_h - float(part.culture_h[at]))
                    end = min(float(part.harvest_h[at] - part.culture_h[at]), fault.start_h + fault.duration_h - float(part.culture_h[at]))
                    mask = np.arange(len(part)) == at
                    out.append(Fault(name, model.faults[name].high, start, end - start, mask))
    return out
