"""What a simulated module offers: services, procedures, parameters and values, as frozen declarations.

Leaves to others: what the module does (pea), what it publishes of itself (pea_manifest).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from isogenic.plant.model import EquipmentClass, Role

__all__ = ["Mode", "PeaDefinition", "PeaParameter", "PeaProcedure", "PeaService", "PeaValue", "Source", "Value", "Wire", "definition_of"]

Value = float | int | bool | str


class Wire(StrEnum):
    """Which type a variable has on the wire."""

    REAL = "Float"
    WHOLE = "Int32"
    WORD = "UInt32"
    BYTE = "Byte"
    SHORT = "Int16"
    TRUTH = "Boolean"
    TEXT = "String"


class Mode(StrEnum):
    """Who operates a service: nobody, a person, or a program."""

    OFFLINE = "Off"
    OPERATOR = "Op"
    AUTOMATIC = "Aut"


class Source(StrEnum):
    """Whose program, in automatic mode: the module's own or the process orchestration layer's."""

    INTERNAL = "Int"
    EXTERNAL = "Ext"


@dataclass(frozen=True, slots=True)
class PeaParameter:
    """A value that a service is started with; `adjustable` ones may change while it runs."""

    name: str
    unit: str = "1"
    low: float = 0.0
    high: float = 1e6
    default: Value = 0.0
    wire: Wire = Wire.REAL  # REAL, WHOLE, TRUTH or TEXT
    adjustable: bool = False
    title: str = ""


@dataclass(frozen=True, slots=True)
class PeaValue:
    """A value that the module shows: a measurement, a count, a report. A `settable` one is written from outside."""

    name: str
    unit: str = "1"
    low: float = 0.0
    high: float = 1e6
    default: Value = 0.0
    wire: Wire = Wire.REAL
    settable: bool = False
    title: str = ""


@dataclass(frozen=True, slots=True)
class PeaProcedure:
    """One way to run a service. `reports` are names of values or values of its own."""

    name: str
    number: int
    self_completing: bool = True
    parameters: tuple[PeaParameter, ...] = ()
    reports: tuple[PeaValue, ...] = ()
    title: str = ""


@dataclass(frozen=True, slots=True)
class PeaService:
    """A service. A parameter or report that several procedures name alike is one and the same."""

    name: str
    procedures: tuple[PeaProcedure, ...]
    configuration: tuple[PeaParameter, ...] = ()
    title: str = ""

    def parameters(self) -> dict[str, PeaParameter]:
        """Every parameter of the service by name."""
        return {each.name: each for each in (*self.configuration, *(each for way in self.procedures for each in way.parameters))}

    def reports(self) -> dict[str, PeaValue]:
        """Every report of the service by name."""
        return {each.name: each for way in self.procedures for each in way.reports}


@dataclass(frozen=True, slots=True)
class PeaDefinition:
    """What a module type offers."""

    name: str
    services: tuple[PeaService, ...] = ()
    assemblies: tuple[PeaValue, ...] = ()
    title: str = ""
    version: str = "1.0.0"
    namespace: str = "urn:isogenic:simulated:pea"
    manufacturer: str = "Isogenic (simulated)"


def definition_of(
    cls: EquipmentClass,
    *,
    name: str,
    services: tuple[str, ...] | None = None,
    signals: tuple[str, ...] | None = None,
    continuous: tuple[str, ...] = (),
) -> PeaDefinition:
    """A module type that offers what an equipment class asks for, or the named part of it; `continuous` procedures run until told."""
    chosen = [each for each in cls.services.values() if services is None or each.name in services]
    states = {f"{each}_state" for each in cls.services}
    shown = [each for each in cls.signals.values() if each.name not in states and (signals is None or each.name in signals)]
    return PeaDefinition(
        name=name,
        title=cls.title,
        services=tuple(
            PeaService(
                each.name,
                tuple(
                    PeaProcedure(
                        way,
                        number,
                        self_completing=way not in continuous,
                        parameters=tuple(PeaParameter(p.name, p.unit, p.low, p.high, title=p.title) for p in each.parameters.values()),
                    )
                    for number, way in enumerate(each.procedures, start=1)
                ),
                title=each.title,
            )
            for each in chosen
        ),
        assemblies=tuple(
            PeaValue(each.name, each.unit, each.low, each.high, settable=each.role is Role.SETPOINT, title=each.title) for each in shown
        ),
    )
