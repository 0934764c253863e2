"""The modules of a plant document that are driven by services, as simulated PEAs: cell processors, filling lines, mRNA lines.

Guarantees: each module spoken to by MTP gets the PEA that offers the services bound to it; a filler's two modules share
one row of containers, the three skids of an mRNA line one batch; the same seed gives the same line. A module that nothing
here simulates is refused by name.
Leaves to others: what the PEAs do (cell_processor, filler, mrna_line), the wire (pea_server).
"""

from __future__ import annotations

from collections.abc import Mapping

from isogenic.errors import NotValid
from isogenic.ids import ModuleId
from isogenic.plant.classes import CELL_PROCESSOR, FILLER, MIXING_SKID, PURIFICATION_SKID, TRANSCRIPTION_REACTOR
from isogenic.plant.model import Protocol, SitePlant, Unit
from isogenic.sim.cell_processor import CellProcessor
from isogenic.sim.filler import FillingLine
from isogenic.sim.mrna_line import MrnaLine
from isogenic.sim.pea import Pea

__all__ = ["service_modules"]


def service_modules(plant: SitePlant, *, seed: int) -> Mapping[ModuleId, Pea]:
    """A PEA for each module that the plant document speaks to by MTP."""
    found: dict[ModuleId, Pea] = {}
    mrna = MrnaLine()
    for unit in plant.of_protocol(Protocol.MTP).units.values():
        for module, pea in _of_unit(unit, seed, mrna).items():
            _check_offers(unit, module, pea)
            found[module] = pea
    return found


def _of_unit(unit: Unit, seed: int, mrna: MrnaLine) -> dict[ModuleId, Pea]:
    if unit.cls is CELL_PROCESSOR and len(unit.modules) == 1:
        return {next(iter(unit.modules)): CellProcessor().pea}
    if unit.cls is FILLER:
        line = FillingLine(seed=seed)
        return {module: line.fill if "fill" in _services(unit, module) else line.finish for module in unit.modules}
    skids = {TRANSCRIPTION_REACTOR.name: mrna.reactor, PURIFICATION_SKID.name: mrna.purification, MIXING_SKID.name: mrna.mixing}
    if unit.cls.name in skids and len(unit.modules) == 1:
        return {next(iter(unit.modules)): skids[unit.cls.name]}
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
