"""A closed cell processor that does not exist: one patient's cells from the bag to the harvest.

A wash loses some cells, a selection keeps what carries the marker. From the activation on the cells live by the
equations of the study model (`processes.t_cells`), in the chamber filled up with medium: they wake, divide, tire and
die by glucose and lactate while a transduction or an expansion runs. The patient's cells differ (`Cells`), as real
ones do: that is why the time of an expansion does.

Faults: `leak` (the set does not hold its pressure: prime aborts itself), `clot` (the wash holds itself once),
`slow` (half the growth), `dead` (cells die three times as fast as the vector kills, and it does not end); and those of
the study model, each with its size: `activation_is_weak`, `vector_is_weak`, `vector_is_toxic`, `perfusion_is_lost`,
`incubator_is_cold`.

Guarantees: the same cells, faults and orders give the same run. Illustrative numbers of no particular product.
Leaves to others: cells between two services stand still here; the robot never leaves them for long.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from isogenic.plant.classes import CELL_PROCESSOR
from isogenic.plant.mtp.states import Command, ServiceState
from isogenic.sim.faults.modules import DeviceFault, catalogued, checked_size
from isogenic.sim.pea import Behaviour, Mode, Pea, Run, Source, definition_of
from isogenic.sim.processes.t_cells import REF_C, Bag, Drive, Flows, Theta, car_positive, stepped

__all__ = ["CELL_FAULTS", "PROCESSOR", "CellProcessor", "Cells"]

PROCESSOR = definition_of(CELL_PROCESSOR, name="PROCESSOR")
OF_THE_CULTURE = ("activation_is_weak", "vector_is_weak", "vector_is_toxic", "perfusion_is_lost", "incubator_is_cold")
OWN = {
    each.name: each
    for each in (
        DeviceFault("leak", "the set does not hold its pressure", "the set's pressure falls, and prime aborts itself", sized=False),
        DeviceFault("clot", "a clot in the wash", "the wash holds itself once", sized=False),
        DeviceFault("slow", "the cells grow half as fast", "an expansion lasts longer, or ends without its target", sized=False),
        DeviceFault("dead", "the cells die", "viability and cells fall from the activation on", sized=False),
    )
}
CELL_FAULTS = frozenset({*OWN, *OF_THE_CULTURE})
MINUTE = 60.0
CYCLE_S = 600.0  # of one wash cycle
WASH_KEEPS, HARVEST_KEEPS, SELECT_KEEPS = 0.97, 0.92, 0.85
CULTURE_ML, MEDIUM_GLUCOSE = 600.0, 17.0  # the chamber, filled up
ACTIVATED, EFFICIENCY, DISPERSION = 0.85, 0.142, 0.5  # as the donor of the study model's known run
VECTOR_STAYS_H, STEP_H = 36.0, 0.5


@dataclass(slots=True)
class Cells:
    """What a patient gave."""

    total: float = 4_000.0  # 1e6 viable cells in the bag
    viability: float = 96.0  # %
    wanted: float = 28.0  # % of them that carry the marker
    growth: float = 1.0  # of this patient's cells, beside the usual


class CellProcessor:
    """The module and the cells in it."""

    def __init__(self, cells: Cells | None = None, *, faults: Collection[str] | Mapping[str, float] = ()) -> None:
        """`faults`: what goes wrong with this run; those of the culture by size, 1 where none is given."""
        self.cells, self.sizes = cells or Cells(), dict[str, float]()
        for name in faults:
            self.strike(name, float(faults[name]) if isinstance(faults, Mapping) else 1.0)
        self.transduced, self.volume = 0.0, 0.0
        self.bag: Bag | None = None  # what grows; None until it is activated
        self.age_h, self.vector_h = 0.0, float("inf")
        self.waste = self.medium = 0.0
        works: dict[str, Behaviour] = {
            "prime": _Prime(self),
            "wash": _Wash(self),
            "select": _Select(self),
            "activate": _Activate(self),
            "transduce": _Transduce(self),
            "expand": _Expand(self),
            "harvest": _Harvest(self),
        }
        self.pea = Pea(PROCESSOR, works, mode=Mode.AUTOMATIC, source=Source.EXTERNAL)
        self.show()
        for name, value in (("temperature", REF_C), ("chamber_co2", 5.0), ("ph", 7.2), ("dissolved_oxygen", 60.0)):
            self.pea.show(name, value)

    @property
    def kinds(self) -> Mapping[str, DeviceFault]:
        """What can go wrong with it."""
        return catalogued(OF_THE_CULTURE, "car_t") | OWN

    def strike(self, name: str, size: float) -> None:
        """A fault begins; at 0 it is over."""
        checked_size(self.kinds, name, size)
        self.sizes[name] = size

    def size(self, fault: str) -> float:
        """How much of a fault there is."""
        return self.sizes.get(fault, 0.0)

    def activate(self) -> None:
        """From here on the cells live in fresh medium."""
        cells, alive = self.cells, self.cells.total
        active = ACTIVATED * (1.0 - self.size("activation_is_weak"))
        dead, other = alive * (100.0 / max(cells.viability, 1.0) - 1.0), alive * (100.0 / max(cells.wanted, 1.0) - 1.0)
        self.bag = Bag(alive * active, alive * (1.0 - active), dead, other, MEDIUM_GLUCOSE, 0.0)
        self.volume, self.age_h, self.vector_h = CULTURE_ML, 0.0, float("inf")

    def transduce(self, moi: float) -> None:
        """The vector is in the chamber; what it marks is settled by how many cells are awake for it."""
        active = ACTIVATED * (1.0 - self.size("activation_is_weak"))
        integrations = moi * EFFICIENCY * active * (1.0 - self.size("vector_is_weak"))
        self.transduced, self.vector_h = float(car_positive(integrations, DISPERSION)), self.age_h

    def live(self, seconds: float, *, exchange_per_day: float = 0.0) -> None:
        """The cells live so long."""
        if self.bag is None or seconds <= 0.0:
            return
        hours = seconds / 3600.0
        exchange = self.volume * exchange_per_day / 24.0 * (1.0 - self.size("perfusion_is_lost"))
        celsius = REF_C - self.size("incubator_is_cold")
        theta = Theta(growth=Theta().growth * self.cells.growth * (0.5 if self.size("slow") > 0.0 else 1.0))
        parts = max(1, round(hours / STEP_H + 0.499))
        for _ in range(parts):
            there = 0.0 <= self.age_h - self.vector_h < VECTOR_STAYS_H
            toxic = 3.0 if self.size("dead") > 0.0 else (1.0 + self.size("vector_is_toxic")) * there
            drive = Drive(exchange, self.volume, MEDIUM_GLUCOSE, celsius, toxic)
            self.bag, _ = stepped(self.age_h, self.bag, Flows(), theta, drive, hours / parts)
            self.age_h += hours / parts
        self.medium += exchange * hours
        self.waste += exchange * hours
        self.cells.total, self.cells.viability = float(self.bag.viable), float(self.bag.viability)
        self.cells.wanted = float(100.0 * self.bag.viable / (self.bag.viable + self.bag.other))
        self.pea.show("temperature", celsius)

    def show(self) -> None:
        """What the cytometer and the pumps say now."""
        cells = self.cells
        shown = {
            "total_viable_cells": cells.total,
            "viability": cells.viability,
            "selected_purity": cells.wanted,
            "transduced_share": self.transduced,
            "culture_volume": self.volume,
            "waste_total": self.waste,
            "medium_used_total": self.medium,
        }
        for name, value in shown.items():
            self.pea.show(name, float(value))


@dataclass(slots=True)
class _Step(Behaviour):
    """A service that lasts a time, and then has done its work."""

    of: CellProcessor

    def seconds(self, run: Run) -> float:
        """How long it takes."""
        return float(run.parameters["minutes"]) * MINUTE

    def work(self, run: Run) -> None:
        """What it has done."""

    def going(self, run: Run, seconds: float) -> bool:
        """Done once its time is over; its work counts then."""
        if run.state is not ServiceState.EXECUTE:
            return True
        if run.executed < self.seconds(run) or run.memory.get("done"):
            return bool(run.memory.get("done"))
        run.memory["done"] = True
        self.work(run)
        self.of.show()
        return True


class _Prime(_Step):
    """The set is filled, and holds a pressure or leaks. Where the last patient's cells have left, it is the next one's set."""

    def entered(self, run: Run) -> None:
        """A processor that was emptied is charged with the next bag."""
        if run.state is ServiceState.STARTING and self.of.cells.total <= 0.0:
            self.of.cells, self.of.transduced, self.of.bag = Cells(), 0.0, None
            self.of.waste = self.of.medium = 0.0
            self.of.show()

    def work(self, run: Run) -> None:
        leaks = self.of.size("leak") > 0.0
        self.of.pea.show("set_pressure", 0.2 * float(run.parameters["test_pressure"]) if leaks else float(run.parameters["test_pressure"]))
        if leaks:
            run.command(Command.ABORT)


class _Wash(_Step):
    """Cycles of spinning; each loses some cells."""

    def seconds(self, run: Run) -> float:
        return float(run.parameters["cycles"]) * CYCLE_S

    def going(self, run: Run, seconds: float) -> bool:
        if self.of.size("clot") > 0.0 and run.state is ServiceState.EXECUTE and run.executed >= CYCLE_S and not run.memory.get("held"):
            run.memory["held"] = True
            run.command(Command.HOLD)
            return False
        return _Step.going(self, run, seconds)

    def work(self, run: Run) -> None:
        self.of.cells.total *= WASH_KEEPS ** float(run.parameters["cycles"])
        self.of.volume = float(run.parameters["volume"])
        self.of.waste += self.of.volume * float(run.parameters["cycles"])


class _Select(_Step):
    """Beads keep the cells that carry the marker."""

    def work(self, run: Run) -> None:
        cells = self.of.cells
        kept = cells.total * cells.wanted / 100.0 * SELECT_KEEPS * min(1.0, float(run.parameters["beads_per_cell"]))
        cells.total, cells.wanted = kept, max(cells.wanted, 95.0)


class _Activate(_Step):
    """From here on the cells divide."""

    def work(self, run: Run) -> None:
        self.of.activate()


class _Transduce(_Step):
    """A share of the cells takes the vector up."""

    def going(self, run: Run, seconds: float) -> bool:
        if run.state is ServiceState.EXECUTE:
            self.of.live(seconds)
        return _Step.going(self, run, seconds)

    def work(self, run: Run) -> None:
        self.of.transduce(float(run.parameters["moi"]))


class _Expand(_Step):
    """Growth until the target, or until the time is over."""

    def going(self, run: Run, seconds: float) -> bool:
        if run.state is not ServiceState.EXECUTE:
            return True
        of = self.of
        of.live(seconds, exchange_per_day=float(run.parameters["exchange_per_day"]))
        of.show()
        return of.cells.total >= float(run.parameters["target_cells"]) or run.executed >= self.seconds(run)


class _Harvest(_Step):
    """The cells leave the chamber in so much volume."""

    def seconds(self, run: Run) -> float:
        return max(1.0, float(run.parameters["cycles"])) * CYCLE_S

    def work(self, run: Run) -> None:
        of = self.of
        of.pea.show("cells_harvested", float(of.cells.total * HARVEST_KEEPS))
        of.pea.show("volume_harvested", float(run.parameters["volume"]))
        of.cells.total, of.volume, of.bag = 0.0, 0.0, None
