"""A scenario acted out by live facilities: its faults as lines of text that `isogenic facility --fault` reads.

Guarantees: every fault of the scenario is either given as faults of the plant's own units, or named as one that a live
facility does not have, with the reason; none is dropped unsaid. A scenario of which nothing is live is refused.
Leaves to others: what else a scenario says (processes, batches, sites' offsets, laboratories), which belongs to studies.

A fault of modules that are driven by services stands from the start until it is taken back.

`batches` of a fault count the runs of each vessel, from 1. A fault that names sites strikes the plant of that name; one
that names none strikes every plant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from isogenic.errors import NotValid, Refusal
from isogenic.plant.model import Role, SitePlant, Unit
from isogenic.sim.faults import Fault, FaultKind, check_faults, entry_of, parse_fault, text_of_fault
from isogenic.sim.faults.live import HOURS_MAX
from isogenic.sim.faults.modules import Device, ModuleFault, text_of_module_fault
from isogenic.sim.live import LIVE
from isogenic.sim.scenarios.model import Scenario, ScenarioFault
from isogenic.sim.service_modules import ServiceModules

__all__ = ["RUNS_MAX", "Acted", "acted_live"]

RUNS_MAX = 50  # runs of one vessel that a fault may name: each is a fault of its own
STIRRED = "stirred_bioreactor"


@dataclass(frozen=True, slots=True)
class Acted:
    """What of a scenario is acted out."""

    faults: tuple[str, ...]
    left: tuple[str, ...]  # what is not live: its name, and why


def acted_live(scenario: Scenario, plants: Iterable[SitePlant]) -> Acted:
    """The scenario's faults at these plants; `NotValid` where none of them is live."""
    here = tuple(plants)
    faults: list[str] = []
    left: list[str] = []
    for each in scenario.faults:
        found, why = _on_modules(each, here)
        if not found and not why:
            why = _not_live(each)
            found = [] if why else _at(each, here)
        if not found and not why:
            why = f"nothing of {', '.join(plant.site for plant in here)} can have it"
            if each.sites:
                why += f"; it strikes {', '.join(each.sites)}"
        if why:
            left.append(f"{each.name}: {why}")
        faults += found
    if not faults:
        raise NotValid(
            f"cannot act out {scenario.title[:80]!r}",
            why="; ".join(left)[:1000] or "it has no faults",
            possible=f"as a study: isogenic sim run; live are {', '.join(kind for kind in FaultKind if kind is not FaultKind.SETTING_CHANGES)}",
        )
    return Acted(tuple(dict.fromkeys(faults)), tuple(left))


def _on_modules(fault: ScenarioFault, plants: Iterable[SitePlant]) -> tuple[list[str], str]:
    """The fault at the modules driven by services that can have it, or why not; nothing where none of these plants has such a module."""
    found: list[str] = []
    for plant in plants:
        if fault.sites and plant.site not in fault.sites:
            continue
        struck: list[Device] = []
        for unit, rig in ServiceModules(plant, seed=0).rigs.items():
            if fault.name in rig.device.kinds and not any(each is rig.device for each in struck):
                struck.append(rig.device)  # skids of one line share what happens to it
                found.append(text_of_module_fault(ModuleFault(fault.name, unit, fault.size)))
    if found and (fault.start_h or math.isfinite(fault.duration_h) or fault.batches or fault.lots or fault.share < 1.0):
        return [], "a module driven by services knows no batch: leave out start, duration, batches, lots and share"
    return found, ""


def _not_live(fault: ScenarioFault) -> str:
    """Why a live facility does not have it; nothing where it does."""
    if fault.name not in set(FaultKind):
        return f"a {entry_of(fault.name).place} fault that studies alone act out"
    if fault.process and fault.process not in LIVE:
        return f"no live vessel grows {fault.process}"
    if fault.lots:
        return "a live vessel knows no lots of medium"
    if fault.share < 1.0:
        return "a share of batches is drawn in studies alone; name the batches"
    if sum(last - first + 1 for first, last in fault.batches) > RUNS_MAX:
        return f"it names more than {RUNS_MAX} batches"
    return ""


def _at(fault: ScenarioFault, plants: Iterable[SitePlant]) -> list[str]:
    found = []
    for plant in plants:
        if fault.sites and plant.site not in fault.sites:
            continue
        for unit in plant.units.values():
            if unit.cls.name == STIRRED and _has(fault, unit):
                found += _of(fault, unit, plant)
    return found


def _has(fault: ScenarioFault, unit: Unit) -> bool:
    return not fault.sensor or (fault.sensor in unit.signals and unit.signals[fault.sensor].cls.role is Role.MEASUREMENT)


def _of(fault: ScenarioFault, unit: Unit, plant: SitePlant) -> list[str]:
    hours = HOURS_MAX if math.isinf(fault.duration_h) else fault.duration_h
    runs = [run for first, last in fault.batches for run in range(first, last + 1)] or [0]
    told = []
    for run in runs:
        known = Fault(FaultKind(fault.name), unit.id, start_h=fault.start_h, hours=hours, size=fault.size, signal=fault.sensor, run=run)
        text = text_of_fault(known)
        try:
            check_faults([parse_fault(text)], plant)
        except Refusal as trouble:
            raise NotValid(f"cannot act out {fault.name} at {unit.id}", why=str(trouble)[:300]) from trouble
        told.append(text)
    return told
