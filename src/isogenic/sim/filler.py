"""A filling line that does not exist: two modules (filling robot, inspection and labelling cell) over one row of containers.

    fill -> stopper        module FILL: containers, weights, the isolator's air
    inspect -> label       module FINISH: rejects, samples, labels

Each container goes through once and comes out once: good, rejected for one reason, or sampled.
The filling robot weighs every fill, and holds itself by the rule of `batches/weights.py`; what it
does then (a reject, a hold) is read from its counts and its service's state, as of a real one.

Faults, by the container at which they happen: `underfill`, `no_stopper`, `particle`, `bad_seal`, `bad_label`;
`jam` holds the service until it is unheld, and the container is lost to handling; `vanish` takes one away
uncounted, which is what reconciliation is for; `dust` raises the particles while it is filled.

Faults that come by chance or slowly, by their size as in the catalogue (`struck`): `needle_drifts` (the weight lacks
this share by the end of the run), `stopper_jams` (so many times as many jams as the usual 0.4 an hour),
`particles_rise` (this share of containers is filled in dust, and so many have a particle in them).

Guarantees: the same seed, faults and orders give the same line. Leaves to others: the wire (pea_server).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from isogenic.batches.weights import WeightRule, judge_weights
from isogenic.plant.classes import FILLER
from isogenic.plant.mtp.states import Command, ServiceState
from isogenic.sim.faults.modules import DeviceFault, catalogued, checked_size
from isogenic.sim.pea import Behaviour, Mode, Pea, PeaDefinition, Run, Source, definition_of
from isogenic.sim.streams import Stream

__all__ = ["FAULTS", "FILL", "FINISH", "FillingLine"]

SECONDS_EACH = {"fill": 6.0, "stopper": 3.0, "inspect": 4.0, "label": 3.0}
FAULTS = frozenset({"underfill", "no_stopper", "particle", "bad_seal", "bad_label", "jam", "vanish", "dust"})
STRUCK = frozenset({"needle_drifts", "stopper_jams", "particles_rise"})
JAMS_PER_H = 0.4
WEIGHT_SPREAD = 0.003  # standard deviation of a fill, as a share of its target
PRESSURE_PA, AIR_M_S, CLEAN, CLEAN_5, DUST = 45.0, 0.45, 180.0, 1.0, 9_000.0
_FILL_SIGNALS = (
    *("isolator_pressure", "airflow", "particles_0_5", "particles_5_0", "fill_weight", "product_left", "isolator_pressure_sp", "airflow_sp"),
    *("containers_in", "containers_filled", "containers_closed", "rejected_fill_weight", "rejected_closure", "rejected_handling"),
)
_FINISH_SIGNALS = (
    *("containers_inspected", "containers_sampled", "containers_good", "rejected_particles", "rejected_seal", "rejected_label"),
    *("labels_printed", "labels_applied", "labels_destroyed"),
)
FILL = definition_of(FILLER, name="FILL", services=("fill", "stopper"), signals=_FILL_SIGNALS)
FINISH = definition_of(FILLER, name="FINISH", services=("inspect", "label"), signals=_FINISH_SIGNALS)


@dataclass(slots=True)
class Container:
    """One vial or bag on its way."""

    number: int  # from 1, over all runs of the line
    weight: float = 0.0
    stage: str = "fill"  # what it waits for; empty: it is out


class FillingLine:
    """The row of containers, and what the two modules have counted."""

    def __init__(
        self, *, seed: int, product_g: float = 1_000.0, faults: Mapping[str, tuple[int, ...]] | None = None, struck: Mapping[str, float] | None = None
    ) -> None:
        """`faults`: at which containers each happens, from 1; `struck`: the sizes of what comes by chance or slowly."""
        self.faults = {name: frozenset(at) for name, at in (faults or {}).items()}
        self.struck: dict[str, float] = {}
        for name, size in (struck or {}).items():
            self.strike(name, size)
        if unknown := self.faults.keys() - FAULTS:
            raise ValueError(f"a filling line has no fault {min(unknown)}")
        self._dice, self._chance = Stream(seed, "filling line"), {name: Stream(seed, "filling line", name) for name in STRUCK}
        self.product_g = product_g
        self.containers: list[Container] = []
        self.counts = {
            each.name: 0 for each in (*FILL.assemblies, *FINISH.assemblies) if each.name.startswith(("containers_", "rejected_", "labels_"))
        }
        self.fill, self.finish = self._pea(FILL), self._pea(FINISH)
        self._show_air(dusty=False)
        self.fill.show("product_left", self.product_g)

    @property
    def kinds(self) -> Mapping[str, DeviceFault]:
        """What can come over it; what happens at one container is not among them."""
        return catalogued(sorted(STRUCK), "")

    def strike(self, name: str, size: float) -> None:
        """A fault begins; at 0 it is over."""
        checked_size(self.kinds, name, size)
        self.struck[name] = size

    def _pea(self, definition: PeaDefinition) -> Pea:
        works = {each.name: _Work(self, each.name) for each in definition.services}
        return Pea(definition, works, mode=Mode.AUTOMATIC, source=Source.EXTERNAL)

    def restart(self, module: str) -> Pea:
        """A module's controller is started again: it counts from nought, and its services are idle."""
        definition = FILL if module == "FILL" else FINISH
        for value in definition.assemblies:
            if value.name in self.counts:
                self.counts[value.name] = 0
        pea = self._pea(definition)
        if definition is FILL:
            self.fill = pea
            self._show_air(dusty=False)
        else:
            self.finish = pea
        return pea

    def count(self, name: str, by: int = 1) -> None:
        """One more of something, on the module that keeps it."""
        self.counts[name] += by
        for pea in (self.fill, self.finish):
            if any(each.name == name for each in pea.definition.assemblies):
                pea.show(name, float(self.counts[name]))

    def happens(self, fault: str, container: Container) -> bool:
        """Whether a fault happens at this container."""
        if container.number in self.faults.get(fault, ()):
            return True
        if fault in ("dust", "particle"):
            return self._by_chance("particles_rise", self.struck.get("particles_rise", 0.0), container)
        if fault == "jam" and "stopper_jams" in self.struck:
            return self._by_chance("stopper_jams", self.struck["stopper_jams"] * JAMS_PER_H * SECONDS_EACH["stopper"] / 3600.0, container)
        return False

    def _by_chance(self, name: str, share: float, container: Container) -> bool:
        return share > 0.0 and 0.5 * math.erfc(-self._chance[name].normal(container.number) / math.sqrt(2.0)) < share

    def waiting(self, stage: str) -> list[Container]:
        """Containers that wait for a service."""
        return [each for each in self.containers if each.stage == stage]

    def weighed(self, container: Container, target: float, *, gone: float = 0.0) -> float:
        """What a fill weighs, by the pump's spread and its faults; `gone`: how much of the run is done."""
        share = 0.85 if self.happens("underfill", container) else 1.0 + WEIGHT_SPREAD * self._dice.normal(container.number)
        return round(target * share * (1.0 - gone * self.struck.get("needle_drifts", 0.0)), 4)

    def _show_air(self, *, dusty: bool) -> None:
        self.fill.show("isolator_pressure", PRESSURE_PA)
        self.fill.show("airflow", AIR_M_S)
        self.fill.show("particles_0_5", DUST if dusty else CLEAN)
        self.fill.show("particles_5_0", DUST / 100.0 if dusty else CLEAN_5)

    # ---- one container through one service ----

    def fill_one(self, run: Run) -> None:
        """Take a container in, fill and weigh it."""
        container = Container(len(self.containers) + 1)
        self.containers.append(container)
        self.count("containers_in")
        self._show_air(dusty=self.happens("dust", container))
        target, tolerance = float(run.parameters["fill_weight"]), float(run.parameters["tolerance"]) / 100.0
        container.weight = self.weighed(container, target, gone=run.memory.get("filled", 0) / max(1.0, float(run.parameters["containers"]) - 1.0))
        run.memory["filled"] = run.memory.get("filled", 0) + 1
        self.product_g = max(0.0, self.product_g - container.weight)
        self.fill.show("fill_weight", container.weight)
        self.fill.show("product_left", self.product_g)
        self.count("containers_filled")
        weights = run.memory.setdefault("weights", [])
        weights.append(container.weight)
        rule = WeightRule(target, warning=target * tolerance / 2.0, action=target * tolerance, one_side_in_row=20)
        verdict = judge_weights(weights, rule)
        if len(weights) - 1 in verdict.rejected:
            self._out(container, "rejected_fill_weight")
        else:
            container.stage = "stopper"
        if verdict.hold_at is not None:
            run.memory["weights"] = []  # who restarts it has looked at the pump
            run.command(Command.HOLD)

    def stopper_one(self, container: Container) -> None:
        """Close it."""
        if self.happens("no_stopper", container):
            self._out(container, "rejected_closure")
            return
        self.count("containers_closed")
        container.stage = "" if self.happens("vanish", container) else "inspect"  # gone, and nobody counted it

    def inspect_one(self, container: Container, *, sample: bool) -> None:
        """Look at it; set it aside as a sample, if one is wanted."""
        self.count("containers_inspected")
        if self.happens("particle", container):
            self._out(container, "rejected_particles")
        elif self.happens("bad_seal", container):
            self._out(container, "rejected_seal")
        elif sample:
            self._out(container, "containers_sampled")
        else:
            container.stage = "label"

    def label_one(self, container: Container) -> None:
        """Print a label and put it on; a bad one is destroyed with its container."""
        self.count("labels_printed")
        if self.happens("bad_label", container):
            self.count("labels_destroyed")
            self._out(container, "rejected_label")
        else:
            self.count("labels_applied")
            self._out(container, "containers_good")

    def _out(self, container: Container, how: str) -> None:
        container.stage = ""
        self.count(how)

    def jam(self, container: Container, run: Run) -> bool:
        """A container falls over: the service holds itself, and the container is lost to handling."""
        jammed: set[int] = run.memory.setdefault("jammed", set())
        if not self.happens("jam", container) or container.number in jammed or run.service.name != "stopper":
            return False
        jammed.add(container.number)
        self._out(container, "rejected_handling")
        run.command(Command.HOLD)
        return True


@dataclass(slots=True)
class _Work(Behaviour):
    """One service: so many seconds for each container."""

    line: FillingLine
    name: str
    done: int = field(default=0)

    def entered(self, run: Run) -> None:
        """A start begins a new count of what this run has done."""
        if run.state is ServiceState.STARTING:
            self.done = 0

    def going(self, run: Run, seconds: float) -> bool:
        """Containers one by one, as far as the time goes; done when all that were asked for, or that wait, are through."""
        if run.state is not ServiceState.EXECUTE:
            return True
        wanted = int(float(run.parameters["containers"]))
        while run.executed >= (self.done + 1) * SECONDS_EACH[self.name]:
            if not self._one(run, wanted):
                return True
            self.done += 1
            if run.state is not ServiceState.EXECUTE:  # it held itself
                return False
        return self.done >= wanted if self.name == "fill" else not self.line.waiting(self.name)

    def _one(self, run: Run, wanted: int) -> bool:
        """The next container; False where there is none."""
        line = self.line
        if self.name == "fill":
            if self.done >= wanted:
                return False
            line.fill_one(run)
            return True
        waiting = line.waiting(self.name)
        if not waiting:
            return False
        container = waiting[0]
        if self.name == "stopper":
            if not line.jam(container, run):
                line.stopper_one(container)
        elif self.name == "inspect":
            aside = line.counts["containers_sampled"] - run.memory.setdefault("before", line.counts["containers_sampled"])
            line.inspect_one(container, sample=aside < int(float(run.parameters["samples"])))
        else:
            line.label_one(container)
        return True
