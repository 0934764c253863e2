"""What a simulated facility shows of itself, as plain data: what is inside, how it came there, the faults that stand.

Guarantees: one moment, one truth: a trajectory ends in the present point, and what an emptied vessel held is said to be
of its harvest. Whether a fault acts, waits or is over is said from the batch's age.
Leaves to others: acting faults out (facility, service_modules), how it looks (`facility_screen`), the wire (`facility`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from isogenic.clock import Clock, text_of_time, time_of_text
from isogenic.errors import NotValid
from isogenic.ids import UnitId
from isogenic.sim.bank import DRY_L
from isogenic.sim.facility import OF_CELLS, Facility
from isogenic.sim.faults import Fault, FaultKind, parse_fault, text_of_fault
from isogenic.sim.faults.live import HOURS_MAX
from isogenic.sim.faults.modules import ModuleFault, parse_module_fault, text_of_module_fault, unit_of_fault
from isogenic.sim.pages.kinds import OF_SIGNALS, bioreactor_kinds, module_kinds
from isogenic.sim.service_modules import Rig, ServiceModules

__all__ = ["View"]

PATH_MAX = 800  # points of a vessel's trajectory that are kept: two weeks, every half hour, and some
PATH_EVERY_H = 0.4
MEASURED = ("oxygen_flow", "dissolved_oxygen", "temperature", "ph", "feed_flow")  # on the trajectory, beside what is inside


class View:
    """A facility, its modules driven by services, and the trajectories so far."""

    def __init__(self, facility: Facility, modules: ServiceModules | None = None, *, clock: Clock | None = None) -> None:
        self.facility, self.modules, self._clock = facility, modules, clock
        self._paths: dict[UnitId, deque[dict[str, float]]] = {unit: deque(maxlen=PATH_MAX) for unit in facility.vessels}
        self._runs: dict[UnitId, int] = {}
        cells = [each for each in bioreactor_kinds() if facility.bank.biology.name == "antibody" or each["name"] not in OF_CELLS]
        self._kinds = [*cells, *module_kinds(self.rigs.values())] if facility.vessels else module_kinds(self.rigs.values())
        self._known = {each["name"]: each for each in self._kinds}

    @property
    def rigs(self) -> Mapping[UnitId, Rig]:
        """The units that are driven by services."""
        return self.modules.rigs if self.modules is not None else {}

    @property
    def at(self) -> str:
        """The process time of what is shown."""
        if self.facility.vessels and self.facility.at is not None:
            return text_of_time(self.facility.at)
        return text_of_time(self._clock.now().at) if self._clock is not None else ""

    # -- vessels ---------------------------------------------------------------------------

    def look(self) -> None:
        """Keep a point of every vessel's trajectory; the first of a new culture begins a new one."""
        for unit, vessel in self.facility.vessels.items():
            path, age = self._paths[unit], vessel.age_h
            if age < 0:
                continue
            if self._runs.get(unit) != vessel.book.run:
                self._runs[unit] = vessel.book.run
                path.clear()
            if not path or age >= path[-1]["age_h"] + PATH_EVERY_H:
                path.append(self._point(unit))

    def _point(self, unit: UnitId) -> dict[str, float]:
        vessel = self.facility.vessels[unit]
        truth, asked = vessel.truth(), vessel.book.setpoints
        known = {name: truth[name] for name in MEASURED if name in truth}
        return {"age_h": vessel.age_h, **vessel.inside, **known, **{f"{name}_sp": asked[f"{name}_sp"] for name in known if f"{name}_sp" in asked}}

    def vessels(self) -> list[dict[str, Any]]:
        """Every vessel: what is inside, what the instruments say of it, what its drives do, how it came there."""
        return [self._vessel(unit) for unit in self.facility.vessels]

    def _vessel(self, unit: UnitId) -> dict[str, Any]:
        vessel = self.facility.vessels[unit]
        truth, book, path = vessel.truth(), vessel.book, list(self._paths[unit])
        known = {name: signal.cls for name, signal in vessel.unit.signals.items() if name in truth}
        grows = vessel.age_h >= 0
        if grows and (not path or vessel.age_h > path[-1]["age_h"]) and self._runs.get(unit, book.run) == book.run:
            path.append(self._point(unit))
        return {
            "unit": str(unit),
            "title": vessel.unit.title,
            "process": vessel.bank.biology.name,
            "run": book.run,
            "age_h": vessel.age_h if grows else None,
            "empty": vessel.bank.volume_l(vessel.row) <= DRY_L,
            "stopped": vessel.stopped,
            "inside": dict(vessel.inside),
            "signals": [
                {"name": name, "title": cls.title, "unit": cls.unit, "true": _number(truth[name]), "shown": _number(vessel.read(name))}
                for name, cls in known.items()
            ],
            "drives": [
                {"name": name, "is": here, "aimed": aim, "asked": book.setpoints.get(f"{name}_sp"), "drive": at}
                for name, (here, aim, at) in vessel.bank.loops(vessel.row).items()
            ],
            "flowing": {dose: litres for dose, litres in book.pending.items() if litres > 0},
            "path": path,
            "path_run": self._runs.get(unit, book.run),
            "acted": self._acted(unit),
        }

    def _acted(self, unit: UnitId) -> list[dict[str, Any]]:
        """When, on the trajectory that is shown, faults acted: those that stand, and those that were taken back."""
        vessel, run = self.facility.vessels[unit], self._runs.get(unit, 0)
        current = run == vessel.book.run and vessel.age_h >= 0
        last = vessel.age_h if current else self._paths[unit][-1]["age_h"] if self._paths[unit] else -1.0
        ended = [(parse_fault(line["fault"]), line["at"]) for line in self.facility.log if line["what"] == "taken back"]
        found = []
        for fault, at in [*((each, "") for each in self.facility.faults), *ended]:
            if fault.unit != unit or fault.at_h is not None or fault.run not in (0, run):
                continue
            until = min(fault.start_h + fault.hours, last)
            if at:
                if not current or not self.at:
                    continue  # it was of another time
                until = min(until, vessel.age_h - (time_of_text(self.at) - time_of_text(at)).total_seconds() / 3600.0)
            if fault.start_h < until:
                found.append({"kind": str(fault.kind), "from_h": fault.start_h, "until_h": until})
        return found

    # -- modules ---------------------------------------------------------------------------

    def service_units(self) -> list[dict[str, Any]]:
        """Every unit that is driven by services: its modules, where their services stand, what they show."""
        return [
            {
                "unit": str(rig.unit.id),
                "title": rig.unit.title,
                "class": rig.unit.cls.name,
                "modules": [
                    {
                        "module": str(module),
                        "services": [{"name": each.name, "state": pea.run(each.name).state.name.lower()} for each in pea.definition.services],
                        "shown": [
                            {"name": each.name, "unit": each.unit, "value": pea.values[key]}
                            for each in pea.definition.assemblies
                            if (key := f"{each.name}.{'VRbk' if each.settable else 'V'}") in pea.values
                        ],
                    }
                    for module, pea in rig.peas.items()
                ],
            }
            for rig in self.rigs.values()
        ]

    # -- faults ----------------------------------------------------------------------------

    def faults(self) -> dict[str, Any]:
        """Those that stand, what was done when, and what can be injected."""
        return {
            "standing": [*(self._standing(fault) for fault in self.facility.faults), *(self._on_module(fault) for fault in self._module_faults)],
            "log": self._log(),
            "kinds": self._kinds,
            "signals": OF_SIGNALS,
        }

    @property
    def _module_faults(self) -> Sequence[ModuleFault]:
        return self.modules.faults if self.modules is not None else ()

    def _log(self) -> list[dict[str, str]]:
        """The newest first; those that were given at the start of the equipment, last."""
        done = [*self.facility.log, *(self.modules.log if self.modules is not None else [])]
        told = {line["fault"] for line in done}
        standing = [*map(text_of_fault, self.facility.faults), *map(text_of_module_fault, self._module_faults)]
        given = [{"at": "", "what": "given at the start", "fault": text} for text in standing if text not in told]
        done.sort(key=lambda line: line["at"])  # keeps the order of what was done at one time
        return [*reversed(done), *given]

    def _standing(self, fault: Fault) -> dict[str, Any]:
        now, acts = self._now(fault)
        return {
            "fault": text_of_fault(fault),
            "kind": str(fault.kind),
            "unit": str(fault.unit),
            "signal": fault.signal,
            "start_h": fault.start_h,
            "hours": fault.hours if fault.hours < HOURS_MAX else None,
            "size": fault.size,
            "size_unit": self._known[str(fault.kind)]["unit"],
            "acts": acts,
            "now": now,
        }

    def _on_module(self, fault: ModuleFault) -> dict[str, Any]:
        told = {"fault": text_of_module_fault(fault), "kind": fault.name, "unit": str(fault.unit), "signal": "", "size": fault.size}
        return {**told, "size_unit": self._known[fault.name]["unit"], "start_h": None, "hours": None, "acts": True, "now": "stands"}

    def _now(self, fault: Fault) -> tuple[str, bool]:
        """What a fault does now, in words, and whether it acts."""
        vessel = self.facility.vessels.get(fault.unit)
        if fault.at_h is not None or vessel is None:
            return "goes by the equipment's hours", False
        age, run = vessel.age_h, vessel.book.run
        if fault.hits(run, age) and age >= 0:
            return "acts now", True
        if fault.run and fault.run < run + (age < 0 <= self._runs.get(fault.unit, -1)):
            return f"over with run {fault.run}", False
        if age < 0:
            return "waits: nothing grows", False
        if fault.run > run:
            return f"waits for run {fault.run}", False
        return (
            (f"waits {fault.start_h - age:.1f} h", False)
            if age < fault.start_h
            else ("over; next in the next run" if not fault.run else "over", False)
        )

    def inject(self, text: str) -> tuple[str, str]:
        """One more fault: as it is listed, and a remark where nothing can be seen of it yet."""
        if self.modules is not None and unit_of_fault(text) in self.rigs:
            return text_of_module_fault(self.modules.inject(parse_module_fault(text), at=self.at)), ""
        fault = self.facility.inject(parse_fault(text))
        now, acts = self._now(fault)
        note = f"nothing grows in {fault.unit} now: it waits for the next batch" if not acts and now.startswith("waits: nothing") else ""
        return text_of_fault(fault), note

    def take_back(self, text: str) -> str:
        """A fault stands no longer; as it was listed."""
        if self.modules is not None and unit_of_fault(text) in self.rigs:
            return text_of_module_fault(self.modules.take_back(text, at=self.at))
        return text_of_fault(self.facility.take_back(text))

    def text_of_form(self, form: Mapping[str, str]) -> str:
        """The line of text of what a form says; an empty start is now."""
        name, unit = form.get("kind", ""), form.get("unit", "")
        if name not in self._known:
            raise NotValid("cannot inject it", why="no such fault", possible=", ".join(self._known))
        if unit in self.rigs:
            size = f",size={form.get('size', '')}" if self._known[name]["sized"] else ""
            return f"{name}:unit={unit}{size}"
        vessel = self.facility.vessels.get(UnitId(unit)) if unit else None
        if vessel is None:
            raise NotValid("cannot inject it", why="no such unit here", possible=", ".join([*self.facility.vessels, *self.rigs]))
        if name not in set(FaultKind):
            raise NotValid("cannot inject it", why=f"a bioreactor has no fault {name}", possible=", ".join(FaultKind))
        kind, parts = FaultKind(name), [f"unit={unit}"]
        if kind.of_sensor or kind is FaultKind.SETTING_CHANGES:
            parts.append(f"signal={form.get('signal', '')}")
        if kind is not FaultKind.MEDIUM_IS_WEAK:
            parts.append(f"start={form.get('start') or format(max(vessel.age_h, 0.0), '.3f')}")
            parts.append(f"hours={form.get('hours') or '24'}")
        if kind.sized:
            parts.append(f"size={form.get('size', '')}")
        return f"{kind}:{','.join(parts)}"


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
