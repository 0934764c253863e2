"""A closed cell processor that does not exist: one patient's cells from the bag to the harvest.

Cells are numbers here: a wash loses some, a selection keeps what carries the marker, an activation lets them
divide, a transduction marks a share of them, an expansion doubles them at a rate until the target or its time is
reached. The patient's cells differ (`Cells`), as real ones do: that is why the time of an expansion does.

Faults: `leak` (the set does not hold its pressure: prime aborts itself), `clot` (the wash holds itself once),
`slow` (half the growth), `dead` (viability falls during expansion).

Guarantees: the same cells, faults and orders give the same run. Illustrative numbers of no particular product.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from isogenic.plant.classes import CELL_PROCESSOR
from isogenic.plant.mtp.states import Command, ServiceState
from isogenic.sim.pea import Behaviour, Mode, Pea, Run, Source, definition_of

__all__ = ["CELL_FAULTS", "PROCESSOR", "CellProcessor", "Cells"]

PROCESSOR = definition_of(CELL_PROCESSOR, name="PROCESSOR")
CELL_FAULTS = frozenset({"leak", "clot", "slow", "dead"})
MINUTE = 60.0
CYCLE_S = 600.0  # of one wash cycle
WASH_KEEPS, HARVEST_KEEPS, SELECT_KEEPS = 0.97, 0.92, 0.85
DOUBLING_H = 22.0  # of activated cells
MOI_HALF = 2.0  # vector for each cell at which half of the cells that can be transduced are
TRANSDUCED_MAX = 60.0  # %


@dataclass(slots=True)
class Cells:
    """What a patient gave."""

    total: float = 4_000.0  # 1e6 viable cells in the bag
    viability: float = 96.0  # %
    wanted: float = 28.0  # % of them that carry the marker
    growth: float = 1.0  # of this patient's cells, beside the usual


class CellProcessor:
    """The module and the cells in it."""

    def __init__(self, cells: Cells | None = None, *, faults: Collection[str] = ()) -> None:
        """`faults`: what goes wrong with this run."""
        unknown = set(faults) - CELL_FAULTS
        if unknown:
            raise ValueError(f"a cell processor has no fault {min(unknown)}")
        self.cells, self.faults = cells or Cells(), frozenset(faults)
        self.transduced, self.volume, self.activated = 0.0, 0.0, False
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
        for name, value in (("temperature", 37.0), ("chamber_co2", 5.0), ("ph", 7.2), ("dissolved_oxygen", 60.0)):
            self.pea.show(name, value)

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
            self.of.cells, self.of.transduced, self.of.activated = Cells(), 0.0, False
            self.of.waste = self.of.medium = 0.0
            self.of.show()

    def work(self, run: Run) -> None:
        leaks = "leak" in self.of.faults
        self.of.pea.show("set_pressure", 0.2 * float(run.parameters["test_pressure"]) if leaks else float(run.parameters["test_pressure"]))
        if leaks:
            run.command(Command.ABORT)


class _Wash(_Step):
    """Cycles of spinning; each loses some cells."""

    def seconds(self, run: Run) -> float:
        return float(run.parameters["cycles"]) * CYCLE_S

    def going(self, run: Run, seconds: float) -> bool:
        if "clot" in self.of.faults and run.state is ServiceState.EXECUTE and run.executed >= CYCLE_S and not run.memory.get("held"):
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
        self.of.activated = True


class _Transduce(_Step):
    """A share of the cells takes the vector up."""

    def work(self, run: Run) -> None:
        moi = float(run.parameters["moi"])
        self.of.transduced = TRANSDUCED_MAX * moi / (moi + MOI_HALF)


class _Expand(_Step):
    """Growth until the target, or until the time is over."""

    def going(self, run: Run, seconds: float) -> bool:
        if run.state is not ServiceState.EXECUTE:
            return True
        of = self.of
        rate = math.log(2.0) / (DOUBLING_H * 3600.0) * of.cells.growth * (0.5 if "slow" in of.faults else 1.0) * (1.0 if of.activated else 0.0)
        of.cells.total *= math.exp(rate * seconds)
        if "dead" in of.faults:
            of.cells.viability = max(0.0, of.cells.viability - seconds / 3600.0 * 0.6)
        of.medium += of.volume * float(run.parameters["exchange_per_day"]) * seconds / 86_400.0
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
        of.cells.total, of.volume = 0.0, 0.0
