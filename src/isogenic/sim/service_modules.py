"""The modules of a plant document that are driven by services, as simulated PEAs: cell processors, filling lines, mRNA lines.

Guarantees: each module spoken to by MTP gets the PEA that offers the services bound to it; a filler's two modules share
one row of containers, the three skids of an mRNA line one batch; the same seed gives the same line. A module that nothing
here simulates is refused by name.
Leaves to others: what the PEAs do (cell_processor, filler, mrna_line), the wire (pea_server).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from isogenic.errors import NotFound, NotValid
from isogenic.ids import ModuleId
from isogenic.plant.classes import CELL_PROCESSOR, FILLER, MIXING_SKID, PURIFICATION_SKID, TRANSCRIPTION_REACTOR
from isogenic.plant.model import Protocol, SitePlant, Unit
from isogenic.sim.cell_processor import CellProcessor
from isogenic.sim.faults.modules import Device, ModuleFault, parse_module_fault, text_of_module_fault
from isogenic.sim.filler import FillingLine
from isogenic.sim.mrna_line import MrnaLine
from isogenic.sim.pea import Pea

__all__ = ["Rig", "ServiceModules", "service_modules"]


FAULTS_MAX = 50
LOG_MAX = 500


@dataclass(frozen=True, slots=True)
class Rig:
    """One unit: what stands behind it, and its modules."""

    unit: Unit
    device: Device
    peas: Mapping[ModuleId, Pea]


class ServiceModules:
    """All modules of a plant that are driven by services, and the faults that stand there."""

    def __init__(self, plant: SitePlant, *, seed: int, faults: Iterable[str] = ()) -> None:
        mrna = MrnaLine()
        self.rigs = {unit.id: _rig(unit, seed, mrna) for unit in plant.of_protocol(Protocol.MTP).units.values()}
        self.faults: tuple[ModuleFault, ...] = ()
        self.log: list[dict[str, str]] = []  # what was injected and taken back, and when
        for text in faults:
            self._begin(parse_module_fault(text))

    @property
    def peas(self) -> dict[ModuleId, Pea]:
        """Every module's PEA."""
        return {module: pea for rig in self.rigs.values() for module, pea in rig.peas.items()}

    def inject(self, fault: ModuleFault, *, at: str = "") -> ModuleFault:
        """It stands from now on; it is noted."""
        self._begin(fault)
        self._noted(at, "injected", fault)
        return fault

    def take_back(self, text: str, *, at: str = "") -> ModuleFault:
        """It stands no longer; it is noted."""
        fault = parse_module_fault(text)
        if fault not in self.faults:
            raise NotFound("cannot take it back", why="no such fault stands here")
        self.rigs[fault.unit].device.strike(fault.name, 0.0)
        self.faults = tuple(each for each in self.faults if each != fault)
        self._noted(at, "taken back", fault)
        return fault

    def _begin(self, fault: ModuleFault) -> None:
        rig = self.rigs.get(fault.unit)
        if rig is None:
            raise NotFound(f"cannot break {fault.unit[:60]}", why="no such unit is driven by services here", possible=", ".join(self.rigs) or "none")
        if any(each.name == fault.name and self.rigs[each.unit].device is rig.device for each in self.faults):
            raise NotValid("cannot inject it", why=f"{fault.name} stands there already", possible="take that one back first")
        if len(self.faults) >= FAULTS_MAX:
            raise NotValid("cannot inject it", why=f"at most {FAULTS_MAX} stand at once")
        if fault.size == 0.0:
            raise NotValid("cannot inject it", why="a fault of size 0 is none")
        rig.device.strike(fault.name, fault.size)
        self.faults = (*self.faults, fault)

    def _noted(self, at: str, what: str, fault: ModuleFault) -> None:
        self.log = [*self.log, {"at": at, "what": what, "fault": text_of_module_fault(fault)}][-LOG_MAX:]

    def snapshot(self) -> dict[str, Any]:
        """The faults that stand and the log, as JSON would hold them; where the modules were is not kept."""
        return {"faults": [text_of_module_fault(each) for each in self.faults], "log": self.log}

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Faults that stood then stand again, beside those given."""
        log = [{key: str(line[key])[:400] for key in ("at", "what", "fault")} for line in memory["log"]][-LOG_MAX:]
        taken = {line["fault"] for line in log if line["what"] == "taken back"}
        for each in [each for each in self.faults if text_of_module_fault(each) in taken and text_of_module_fault(each) not in memory["faults"]]:
            self.take_back(text_of_module_fault(each))
        for text in memory["faults"]:
            if (fault := parse_module_fault(str(text))) not in self.faults:
                self._begin(fault)
        self.log = log


def service_modules(plant: SitePlant, *, seed: int) -> Mapping[ModuleId, Pea]:
    """A PEA for each module that the plant document speaks to by MTP."""
    return ServiceModules(plant, seed=seed).peas


def _rig(unit: Unit, seed: int, mrna: MrnaLine) -> Rig:
    device, peas = _of_unit(unit, seed, mrna)
    for module, pea in peas.items():
        _check_offers(unit, module, pea)
    return Rig(unit, device, peas)


def _of_unit(unit: Unit, seed: int, mrna: MrnaLine) -> tuple[Device, dict[ModuleId, Pea]]:
    if unit.cls is CELL_PROCESSOR and len(unit.modules) == 1:
        processor = CellProcessor()
        return processor, {next(iter(unit.modules)): processor.pea}
    if unit.cls is FILLER:
        line = FillingLine(seed=seed)
        return line, {module: line.fill if "fill" in _services(unit, module) else line.finish for module in unit.modules}
    skids = {TRANSCRIPTION_REACTOR.name: mrna.reactor, PURIFICATION_SKID.name: mrna.purification, MIXING_SKID.name: mrna.mixing}
    if unit.cls.name in skids and len(unit.modules) == 1:
        return mrna, {next(iter(unit.modules)): skids[unit.cls.name]}
    raise NotValid(
        f"cannot simulate {', '.join(unit.modules)} of {unit.id}",
        why=f"no simulated module speaks MTP as a {unit.cls.name} like this",
        possible="a cell_processor or mRNA skid of one module, or a filler whose modules are one for fill and stopper and one for inspect and label",
    )


def _check_offers(unit: Unit, module: ModuleId, pea: Pea) -> None:
    """The simulated module must have what the plant document binds."""
    services, shown = {each.name for each in pea.definition.services}, {each.name for each in pea.definition.assemblies}
    lacking = sorted(_services(unit, module) - services)
    lacking += sorted(
        name for name, signal in unit.signals.items() if signal.module == module and name not in shown and name.removesuffix("_state") not in services
    )
    if lacking:
        raise NotValid(f"cannot simulate {module}", why=f"the simulated {pea.definition.name} has no {', '.join(lacking)[:200]}")


def _services(unit: Unit, module: ModuleId) -> set[str]:
    return {name for name, service in unit.services.items() if service.module == module}
