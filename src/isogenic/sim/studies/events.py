"""What happened in a study: to its batches, and to its sites.

Guarantees: a fault is told of each batch that it strikes, when it begins to act on it and when it ends; a surge is the
site's, and told once. Whatever stops, fails, is lost or expires is told with its reason.
Leaves to others: how it is written (`chunk`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from isogenic.sim.faults.catalogue import Place
from isogenic.sim.processes.process import Floats, Stop
from isogenic.sim.routes import FILLED_BY
from isogenic.sim.scenarios.model import Scenario, ScenarioFault
from isogenic.sim.studies.aims import faults_named
from isogenic.sim.studies.part import Part
from isogenic.sim.studies.strikes import Struck
from isogenic.sim.studies.work import Work

__all__ = ["EXPIRED", "events_of", "surges_of"]

EXPIRED = "the starting material waited beyond its life"


def events_of(part: Part, struck: Sequence[Struck], stopped: Mapping[int, Stop], work: Work | None) -> list[tuple[int, float, str, str]]:
    """Which batch, at which age (before 0: before its culture), what, and its reason: batch by batch, by age."""
    found = [(at, stop.age_h, "stopped", stop.why) for at, stop in stopped.items()]
    found += [(at, 0.0, "expired", EXPIRED) for at in np.flatnonzero(part.expired).tolist()]
    lasts_h = part.harvest_h - part.culture_h
    for each in (each for each in struck if each.entry.place is not Place.NETWORK):
        begins, ends = _window(each, part, work)
        for at in np.flatnonzero(each.batches).tolist():
            found.append((at, float(begins[at]), "fault begins", _said(each.fault)))
            if ends[at] < lasts_h[at]:
                found.append((at, float(ends[at]), "fault ends", _said(each.fault)))
    if work is not None:
        for row, at in np.argwhere(work.failed).tolist():
            age = float(work.end_h[row, at] - part.culture_h[at])
            found.append((at, age, "lost" if work.ends[row, at] else "failed", work.names[row]))
    return sorted(found)


def surges_of(scenario: Scenario) -> list[tuple[str, str, float, str, str]]:
    """When orders of a process began to surge at a site, and when that ended: process, site, hour of the study, what, which."""
    found = []
    for site in scenario.sites:
        for product in (each for each in scenario.products if each.orders_per_day and site.suites.get(each.process)):
            for _, fault in faults_named(scenario, "demand_surges", site=site.name, process=product.process):
                ends_h = fault.start_h + fault.duration_h
                found.append((product.process, site.name, fault.start_h, "fault begins", _said(fault)))
                if ends_h < scenario.period_h:
                    found.append((product.process, site.name, ends_h, "fault ends", _said(fault)))
    return found


def _window(each: Struck, part: Part, work: Work | None) -> tuple[Floats, Floats]:
    """At which ages the fault begins and ends, batch by batch."""
    fault, never = each.fault, np.full(len(part), math.inf)
    match each.entry.place:
        case Place.NODE:
            start = fault.start_h - part.culture_h
            return np.maximum(0.0, start), start + fault.duration_h
        case Place.COURIER:
            return part.left_h - part.culture_h, never
        case Place.FILLING if work is not None:
            return work.begun_h(FILLED_BY[fault.name]) - part.culture_h, never
        case _:
            start = np.full(len(part), fault.start_h)
            return start, start + fault.duration_h


def _said(fault: ScenarioFault) -> str:
    of = fault.sensor or fault.attribute
    return fault.name + (f" {fault.size:g}" if fault.size else "") + (f" of {of}" if of else "")
