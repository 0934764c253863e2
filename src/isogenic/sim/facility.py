"""A facility that does not exist: all vessels of one plant, moved together by process time.

Guarantees: the same seed, faults and writes at the same grid points give the same readings
to the last bit, whenever and however often `advance` is called, because the culture moves on
a fixed grid of process time. `read` and `write` speak canonical names and units. Faults can be injected and taken
back at any time; they are part of what the facility remembers.
Leaves to others: native names and units and the wire (servers), assays (laboratory).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from isogenic.clock import EPOCH, text_of_time
from isogenic.errors import NotFound, NotValid
from isogenic.ids import UnitId
from isogenic.plant.classes import STIRRED_BIOREACTOR
from isogenic.plant.model import SitePlant
from isogenic.plant.settings import TEXT, released_number
from isogenic.sim.bank import Bank, Harvest
from isogenic.sim.faults import Fault, FaultKind, check_faults, parse_fault, text_of_fault
from isogenic.sim.live import live_of
from isogenic.sim.vessel import Vessel

__all__ = ["STEP_S", "Facility"]

STEP_S = 300.0  # process time between grid points: a third of the fastest loop that matters to a batch
LOG_MAX = 500  # lines of what was injected and taken back
FAULTS_MAX = 200  # that stand at once: each is weighed at every step
CATCH_UP_STEPS = 4_032  # two weeks at once; a longer gap is walked in several calls, so that a caller is never blocked for long

OF_CELLS = (FaultKind.CULTURE_IS_CONTAMINATED, FaultKind.LACTATE_IS_HIGH, FaultKind.PRODUCT_RATE_IS_LOW, FaultKind.MEDIUM_IS_WEAK)


class Facility:
    """The vessels of one site."""

    def __init__(self, plant: SitePlant, *, seed: int, faults: Iterable[Fault | str] = (), step_s: float = STEP_S, process: str = "antibody") -> None:
        if not 0 < step_s <= 3600:
            raise NotValid(f"cannot simulate in steps of {step_s} s", why="a step is longer than nothing and at most an hour")
        self.plant, self.seed, self.step_s = plant, seed, step_s
        self.faults: tuple[Fault, ...] = ()
        self.log: list[dict[str, str]] = []  # what was injected and taken back, and when
        units = [unit for unit in plant.units.values() if unit.cls.name == STIRRED_BIOREACTOR.name]
        self.bank = Bank(units, biology=live_of(process), site=plant.site, seed=seed, step_h=step_s / 3600.0)
        self.vessels = {unit.id: Vessel(self.bank, row) for row, unit in enumerate(units)}
        self.strike([parse_fault(fault) if isinstance(fault, str) else fault for fault in faults])
        self._where = {signal.tag: (self.vessels[unit], name) for unit in self.vessels for name, signal in plant.units[unit].signals.items()}
        self._settings = {each.key: each for each in plant.settings()}
        self._at_panel: dict[str, float | str] = {}  # by key, in the module's own unit
        self._index: int | None = None
        self._begun: int | None = None  # the grid point at which this process began to run it
        self._harvests: list[Harvest] = []

    @property
    def at(self) -> datetime | None:
        """The process time that the readings are of: the newest grid point reached."""
        return None if self._index is None else self.time_of(self._index)

    def time_of(self, index: int) -> datetime:
        """The process time of a grid point."""
        return EPOCH + timedelta(seconds=index * self.step_s)

    def advance(self, to: datetime) -> bool:
        """Move to the last grid point not after `to`; False if that was too far for one call. Time never goes back."""
        goal = int((to - EPOCH).total_seconds() // self.step_s)
        if self._index is None:
            self._index = goal
            self.bank.start_at(goal)
        if self._begun is None:
            self._begun = self._index
        until = min(goal, self._index + CATCH_UP_STEPS)
        for index in range(self._index + 1, until + 1):
            self._harvests += self.bank.step(index)
        self._index = max(self._index, until)
        return until >= goal

    def read(self, tag: str) -> float:
        """A signal's newest reading in its canonical unit; NaN when it is lost."""
        vessel, name = self._find(tag)
        return vessel.read(name)

    def write(self, tag: str, value: float) -> None:
        """Set a set-point; refused with `NotValid` out of range, `NotFound` if it is none."""
        vessel, name = self._find(tag)
        vessel.write(name, value)

    def setting(self, key: str) -> float | str:
        """What a module is set to now, by `MODULE.name`, in its own unit: as released, unless a fault or somebody at the panel changed it."""
        setting = self._settings.get(key)
        if setting is None:
            raise NotFound(f"no setting {key[:80]} at {self.plant.site}", why="the plant document does not name it")
        value: float | str = self._at_panel.get(key, setting.released)
        if key not in self._at_panel and setting.unit != TEXT:
            value = float(np.float32(released_number(setting.released, setting.unit) if setting.released else 0.0))  # as most controllers hold it
        vessel = self.vessels.get(setting.unit_id)
        for fault in self.faults:
            changed = fault.kind is FaultKind.SETTING_CHANGES and (fault.unit, fault.signal) == (setting.unit_id, setting.name)
            if not changed:
                continue
            if fault.stands(self._running_h()) or (vessel is not None and fault.hits(vessel.book.run, vessel.age_h)):
                value = f"{value} changed" if isinstance(value, str) else value * (1.0 + fault.size)
        return value

    def _running_h(self) -> float:
        """Hours since this process began to run the equipment; negative before."""
        return -1.0 if self._index is None or self._begun is None else (self._index - self._begun) * self.step_s / 3600.0

    def set_at_panel(self, key: str, value: float | str | None) -> None:
        """Somebody changes a setting where the module stands; None: sets it back."""
        self.setting(key)
        if value is None:
            self._at_panel.pop(key, None)
        else:
            self._at_panel[key] = value

    def stopped(self) -> dict[UnitId, str]:
        """The units that gave up, and why."""
        return {unit: vessel.stopped for unit, vessel in self.vessels.items() if vessel.stopped}

    def strike(self, faults: Sequence[Fault]) -> None:
        """The faults from now on, in place of those before: all of them, or `NotValid`/`NotFound` and none."""
        if len(faults) > FAULTS_MAX:
            raise NotValid(f"cannot have {len(faults)} faults at {self.plant.site}", why=f"at most {FAULTS_MAX} stand at once")
        checked = check_faults(faults, self.plant)
        here = self.bank.biology
        for fault in checked:
            if fault.kind in OF_CELLS and here.name != "antibody":
                raise NotValid(
                    f"cannot break {fault.unit} by {fault.kind}", why=f"{here.name} has no such fault", possible="those of the vessel and its probes"
                )
        self.bank.strike(checked)
        self.faults = checked

    def inject(self, fault: Fault) -> Fault:
        """One more fault from now on; it is noted."""
        if fault in self.faults:
            raise NotValid("cannot inject it", why="the same fault stands already", possible="take that one back first")
        self.strike([*self.faults, fault])
        self._noted("injected", fault)
        return fault

    def take_back(self, text: str) -> Fault:
        """A fault that stands no longer does; it is noted. What it did to the culture stays done."""
        fault = parse_fault(text)
        if fault not in self.faults:
            raise NotFound("cannot take it back", why="no such fault stands here")
        self.strike([each for each in self.faults if each != fault])
        self._noted("taken back", fault)
        return fault

    def _noted(self, what: str, fault: Fault) -> None:
        at = text_of_time(self.at) if self.at is not None else ""
        self.log = [*self.log, {"at": at, "what": what, "fault": text_of_fault(fault)}][-LOG_MAX:]

    def harvests(self) -> list[Harvest]:
        """The batches harvested since this was last asked."""
        done, self._harvests = self._harvests, []
        return done

    def snapshot(self) -> dict[str, Any]:
        """All that the facility remembers, as JSON would hold it."""
        faults = [text_of_fault(fault) for fault in self.faults]
        return {"index": self._index, "step_s": self.step_s, "faults": faults, "log": self.log, "vessels": self.bank.snapshot()}

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Go on from what `snapshot` gave; a snapshot of another plant or step is refused. Faults that stood then stand again, beside those given."""
        vessels, faults = memory.get("vessels"), memory.get("faults")
        if memory.get("step_s") != self.step_s or not isinstance(vessels, Mapping) or not isinstance(faults, list):
            raise NotValid(f"cannot restore {self.plant.site}", why="the snapshot is of another plant or another step", possible="remove it")
        known = [parse_fault(str(text)) for text in faults]
        log = [{key: str(line[key])[:400] for key in ("at", "what", "fault")} for line in memory.get("log", ())][-LOG_MAX:]
        taken = {line["fault"] for line in log if line["what"] == "taken back"}
        given = [fault for fault in self.faults if text_of_fault(fault) not in taken]  # on the command line, and taken back since
        self.bank.restore(vessels)
        self.strike(list(dict.fromkeys([*given, *known])))
        self.log = log
        self._index = int(memory["index"])

    def _find(self, tag: str) -> tuple[Vessel, str]:
        if tag not in self._where:
            raise NotFound(f"no signal {tag[:80]} at {self.plant.site}", why="the plant document does not name it")
        return self._where[tag]
