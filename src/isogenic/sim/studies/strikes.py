"""Which fault of a scenario strikes which batch.

Guarantees: whom a fault strikes follows from the scenario, the site and the batch's name and times alone; a fault that
strikes no batch at all is found before anything runs.
Leaves to others: what a fault does (process models, instruments, operations, laboratory).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isogenic.sim.faults.catalogue import Entry, Place, catalogue
from isogenic.sim.processes import Process, process_of
from isogenic.sim.processes.process import Fault
from isogenic.sim.scenarios.model import Scenario, ScenarioFault
from isogenic.sim.streams import Stream
from isogenic.sim.studies.plan import Part

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
    known = catalogue()
    out = []
    for number, fault in enumerate(scenario.faults):
        entry = known[fault.name]
        if fault.process not in ("", part.process) or entry.size_for(part.process) is None:
            continue
        hit = np.ones(len(part), dtype=bool)
        if fault.sites:
            hit &= np.isin(part.sites, fault.sites)
        if fault.lots:
            hit &= np.isin(part.lots, fault.lots)
        if fault.batches:
            hit &= np.any([(part.numbers >= first) & (part.numbers <= last) for first, last in fault.batches], axis=0)
        if fault.share < 1.0:
            dice = [Stream(scenario.seed, "strikes", number, site, name).normals(0, 1)[0] for site, name in zip(part.sites, part.names, strict=True)]
            hit &= np.array([0.5 * math.erfc(-each / math.sqrt(2.0)) for each in dice]) < fault.share
        hit &= ~part.expired
        if entry.place is Place.NODE:
            end = part.start_h + process_of(part.process).duration_h
            hit &= (part.start_h < fault.start_h + fault.duration_h) & (end > fault.start_h)
        elif entry.place.by_calendar:
            hit &= (part.ordered_h >= fault.start_h) & (part.ordered_h < fault.start_h + fault.duration_h)
        if hit.any():
            out.append(Struck(fault, entry, hit))
    return out


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
                    start = max(0.0, fault.start_h - float(part.start_h[at]))
                    end = min(model.duration_h, fault.start_h + fault.duration_h - float(part.start_h[at]))
                    mask = np.arange(len(part)) == at
                    out.append(Fault(name, model.faults[name].high, start, end - start, mask))
    return out
