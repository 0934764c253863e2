"""What a module says of itself in its Module Type Package, whichever dialect it was written in.

    Manifest
      Service           what the module can be told to do (VDI/VDE/NAMUR 2658-4)
        Procedure       one way to do it, by its number
          Element       a parameter, a report value, a process value
      DataAssembly      one object of the interface, with its variables (2658-3)
        Item            where one variable is found over OPC UA (2658-1, 2658-5.1)

Guarantees: frozen values; what the file says twice stands here once; an element that leads
to no data assembly says so by having none.
Leaves to others: bytes (reading, writing), judging it (checking, comparing).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from isogenic.errors import NotFound
from isogenic.plant.mtp.units import unit_of

__all__ = ["SERVICE_CONTROL", "Access", "DataAssembly", "Dialect", "Element", "Item", "Kind", "Manifest", "Procedure", "Service"]

SERVICE_CONTROL = "ServiceControl"


class Dialect(StrEnum):
    """Which manifest aspect a file follows: they differ in structure, not only in a number."""

    V1_0 = "1.0.0"  # CAEX 2.15: links are of the type xs:IDREF
    V1_1 = "1.1.0"  # CAEX 3.0: links are of an attribute type IDLinkAttributeType


class Access(StrEnum):
    """What a client may do with a variable."""

    NONE = "none"
    READ = "read"
    WRITE = "write"
    BOTH = "read and write"


class Kind(StrEnum):
    """What a service has to do with a data assembly."""

    CONFIGURATION = "configuration parameter"
    PARAMETER = "procedure parameter"
    REPORT = "report value"
    VALUE_IN = "process value in"
    VALUE_OUT = "process value out"
    EQUIPMENT = "required equipment"


@dataclass(frozen=True, slots=True)
class Item:
    """Where a variable is found: its namespace by URI, because indexes differ from server to server."""

    namespace: str
    identifier: str
    kind: str = "s"  # of node id: s text, i number, g GUID, b bytes
    access: Access = Access.BOTH

    @property
    def node(self) -> str:
        """As plant documents write it."""
        return f"nsu={self.namespace};{self.kind}={self.identifier}"


@dataclass(frozen=True, slots=True)
class DataAssembly:
    """One object of a module's interface."""

    name: str
    ref: str  # its RefID: what carries the same is the same thing
    path: str  # the class, for example MTPDataObjectSUCLib/DataAssembly/IndicatorElement/AnaView
    title: str = ""
    items: Mapping[str, Item] = field(default_factory=dict)  # variable -> where it is
    values: Mapping[str, str] = field(default_factory=dict)  # what the file itself says of a variable: fixed, or its default

    @property
    def cls(self) -> str:
        """The last word of its class, which decides what it is."""
        return self.path.rsplit("/", 1)[-1]

    def number(self, variable: str) -> float | None:
        """A value that the file states, where it is a number."""
        try:
            return float(self.values.get(variable, ""))
        except ValueError:
            return None

    @property
    def unit(self) -> str | None:
        """The unit that the file states, by our name; None where it states none that we know."""
        code = self.number("VUnit")
        return unit_of(int(code)) if code is not None and abs(code) < 1e6 else None

    @property
    def value(self) -> str:
        """The variable that carries its value: V of an indicator, VOut of what is set."""
        return next((each for each in ("V", "VOut", "VFbk", "Text", "StateCur") if each in self.items), "")

    def item(self, variable: str) -> Item:
        """Where a variable is, or `NotFound`."""
        if variable not in self.items:
            raise NotFound(f"{self.name} has no variable {variable[:60]}", why=f"it is a {self.cls}", possible=", ".join(self.items) or "none bound")
        return self.items[variable]


@dataclass(frozen=True, slots=True)
class Element:
    """A parameter, a report value or a process value of a procedure or service."""

    name: str
    kind: Kind
    assembly: DataAssembly | None = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class Procedure:
    """One way to run a service."""

    name: str
    number: int  # ProcedureID; nought is none
    self_completing: bool
    default: bool = False
    elements: tuple[Element, ...] = ()
    health: DataAssembly | None = None
    title: str = ""

    def of(self, *kinds: Kind) -> tuple[Element, ...]:
        """Its elements of some kinds."""
        return tuple(each for each in self.elements if each.kind in kinds)


@dataclass(frozen=True, slots=True)
class Service:
    """What a module can be told to do."""

    name: str
    control: DataAssembly | None
    procedures: tuple[Procedure, ...] = ()
    configuration: tuple[Element, ...] = ()
    title: str = ""

    def procedure(self, name: str) -> Procedure:
        """A procedure by its name, or `NotFound`."""
        for each in self.procedures:
            if each.name == name:
                return each
        raise NotFound(f"service {self.name} has no procedure {name[:60]}", possible=", ".join(each.name for each in self.procedures) or "none")


@dataclass(frozen=True, slots=True)
class Manifest:
    """One module type, as its file tells it."""

    name: str
    dialect: Dialect
    version: str  # of the package
    services: tuple[Service, ...]
    assemblies: tuple[DataAssembly, ...]
    endpoint: str = ""
    documents: Mapping[str, str] = field(default_factory=dict)  # which parts of the standard it follows, in which version
    revision: str = ""  # of the device
    manufacturer: str = ""
    notes: tuple[str, ...] = ()  # what the reader found odd and could live with
    digest: str = ""  # SHA-256 of the manifest's bytes; empty for one that was never a file

    @property
    def bound_items(self) -> int:
        """How many variables lead to a node of the server."""
        return sum(len(each.items) for each in self.assemblies)

    @property
    def procedures(self) -> int:
        """How many procedures all services have together."""
        return sum(len(each.procedures) for each in self.services)

    def service(self, name: str) -> Service:
        """A service by its name, or `NotFound`."""
        for each in self.services:
            if each.name == name:
                return each
        raise NotFound(f"{self.name} has no service {name[:60]}", possible=", ".join(each.name for each in self.services) or "none")

    def assembly(self, name: str) -> DataAssembly:
        """A data assembly by its name, or `NotFound`."""
        for each in self.assemblies:
            if each.name == name:
                return each
        raise NotFound(f"{self.name} has no data assembly {name[:60]}", why="its manifest does not name it")

    def item(self, path: str) -> Item:
        """A variable by `NAME.VARIABLE`, or by `NAME` alone for the one that carries the value."""
        assembly, variable = self.variable(path)
        return assembly.item(variable)

    def variable(self, path: str) -> tuple[DataAssembly, str]:
        """The data assembly and the variable that a path means; a name may hold dots itself."""
        known = {each.name: each for each in self.assemblies}
        if path in known:
            return known[path], known[path].value
        name, _, variable = path.rpartition(".")
        if name not in known:
            raise NotFound(f"{self.name} has no data assembly {(name or path)[:60]}", why="its manifest does not name it")
        return known[name], variable

    def elements(self) -> Iterator[tuple[Service, Procedure | None, Element]]:
        """Every element of every service, with where it stands."""
        for service in self.services:
            for element in service.configuration:
                yield service, None, element
            for procedure in service.procedures:
                for element in procedure.elements:
                    yield service, procedure, element
