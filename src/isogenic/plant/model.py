"""The ISA-88 physical model of one facility, as frozen values.

    site
      unit        one vessel or line that holds one batch at a time, of an equipment class
        module    one skid with its own controller and its own OPC UA server
          signal  one measurement or set-point

An *equipment class* says which signals and capabilities every unit of it has, in canonical
units. A unit says how its own make names them and in what unit it reports them; drivers
convert, so everything above sees canonical names and units only. A *tag* is
`UNIT.signal`, unique within a site.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from isogenic.errors import NotFound
from isogenic.ids import ModuleId, SiteId, SponsorId, UnitId
from isogenic.plant.settings import Setting
from isogenic.units import Quantity

__all__ = [
    "BoundService",
    "Capability",
    "EquipmentClass",
    "Geometry",
    "Module",
    "OxygenTransfer",
    "Protocol",
    "Role",
    "Security",
    "ServiceClass",
    "ServiceParameter",
    "Signal",
    "SignalClass",
    "SitePlant",
    "Unit",
]


class Role(StrEnum):
    """What a signal is for."""

    MEASUREMENT = "measurement"  # read
    SETPOINT = "setpoint"  # written and read back


@dataclass(frozen=True, slots=True)
class SignalClass:
    """A signal that every unit of an equipment class has."""

    name: str  # lower_snake, for example feed_flow
    unit: str  # canonical
    role: Role
    title: str
    low: float  # physical range in canonical unit; a value outside is impossible, its quality bad
    high: float
    monitored: bool = False  # part of the multivariate reference model
    extensive: bool = False  # grows with the vessel: monitored per litre of working volume, so that unlike sizes compare


@dataclass(frozen=True, slots=True)
class ServiceParameter:
    """A value that a service is started with."""

    name: str  # lower_snake, for example fill_weight
    unit: str  # canonical
    title: str
    low: float  # what any unit of the class may be asked for, in the canonical unit
    high: float


@dataclass(frozen=True, slots=True)
class ServiceClass:
    """A service that every unit of an equipment class offers (VDI/VDE/NAMUR 2658-4)."""

    name: str  # lower_snake; its state is the signal <name>_state
    title: str
    procedures: tuple[str, ...]  # the ways to do it; the first is the default
    parameters: Mapping[str, ServiceParameter]


@dataclass(frozen=True, slots=True)
class EquipmentClass:
    """What every unit of this class has, whoever made it."""

    name: str
    title: str
    signals: Mapping[str, SignalClass]
    capabilities: Mapping[str, str]  # name -> canonical unit
    services: Mapping[str, ServiceClass] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Capability:
    """What one unit can do: a range in the class's canonical unit."""

    name: str
    low: float
    high: float
    unit: str


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal of one unit, bound to its module's address."""

    unit_id: UnitId
    cls: SignalClass
    module: ModuleId
    node: str  # the module's own address of it, in the form of its protocol: for OPC UA a node id, as in ns=2;s=TIC101.PV
    native_unit: str  # what the module reports

    @property
    def tag(self) -> str:
        """`UNIT.signal`, unique within the site."""
        return f"{self.unit_id}.{self.cls.name}"


class Protocol(StrEnum):
    """How a module is spoken to."""

    OPCUA = "opcua"
    MTP = "mtp"  # services over OPC UA, as its manifest says (VDI/VDE/NAMUR 2658)
    SILA = "sila"  # SiLA 2
    SPARKPLUG = "sparkplug"  # MQTT Sparkplug B


@dataclass(frozen=True, slots=True)
class Security:
    """How the connection to a module is secured, and which certificate the module must show."""

    policy: str  # of OPC UA, as in Aes256Sha256RsaPss
    encrypted: bool = True  # SignAndEncrypt; False: Sign
    fingerprint: str = ""  # sha256 of the module's certificate; empty: one that lies in the site's folder of trusted ones
    user: str = ""  # of a user name token; empty: nobody signs in


@dataclass(frozen=True, slots=True)
class Module:
    """A skid with its own controller and server."""

    id: ModuleId
    endpoint: str  # for OPC UA opc.tcp://host:port
    protocol: Protocol = Protocol.OPCUA
    security: Security | None = None  # None: the plant document asks for none
    settings: Mapping[str, Setting] = field(default_factory=dict)  # what is read back and held against the released set, by name
    manifest: str = ""  # of an MTP module: the file that describes it, in the site's folder of modules
    module_type: str = ""  # the digest of the module type that was released; empty: the plant document asks for none


@dataclass(frozen=True, slots=True)
class BoundService:
    """One service of one unit, bound to its module's own names."""

    unit_id: UnitId
    cls: ServiceClass
    module: ModuleId
    theirs: str  # what the module calls it
    procedures: Mapping[str, str]  # ours -> what the module calls it
    parameters: Mapping[str, str]
    native_units: Mapping[str, str]  # of parameters, where the plant document states one

    @property
    def key(self) -> str:
        """`UNIT.service`, unique within the site."""
        return f"{self.unit_id}.{self.cls.name}"


@dataclass(frozen=True, slots=True)
class OxygenTransfer:
    """kLa = A (P/V)^alpha v_s^beta of one vessel with its medium, in 1/s, W/m3 and m/s, and what P and v_s follow from."""

    vessel_m: float  # inner diameter
    power_number: float
    a: float
    alpha: float
    beta: float


@dataclass(frozen=True, slots=True)
class Geometry:
    """What scale rules need to know of a stirred vessel."""

    impeller_m: float  # diameter
    impellers: int = 1
    density_kg_m3: float = 1000.0
    oxygen_transfer: OxygenTransfer | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """A vessel or line that holds one batch at a time."""

    id: UnitId
    cls: EquipmentClass
    title: str
    make: str
    working_volume: Quantity
    capabilities: Mapping[str, Capability]
    modules: Mapping[ModuleId, Module]
    signals: Mapping[str, Signal]  # by canonical name
    geometry: Geometry | None = None
    services: Mapping[str, BoundService] = field(default_factory=dict)  # by the class's name for it
    location: str = ""  # where it stands; held against the master file at every start


@dataclass(frozen=True, slots=True)
class SitePlant:
    """One facility."""

    site: SiteId
    title: str
    sponsor: SponsorId
    latitude: float
    longitude: float
    units: Mapping[UnitId, Unit] = field(default_factory=dict)
    further_sponsors: tuple[SponsorId, ...] = ()

    @property
    def sponsors(self) -> tuple[SponsorId, ...]:
        """Everybody this site works for: one ledger each, and nothing of one in the ledger of another (I7)."""
        return (self.sponsor, *self.further_sponsors)

    def unit(self, unit: UnitId) -> Unit:
        """The unit, or `NotFound`."""
        if unit not in self.units:
            raise NotFound(f"no unit {unit} at {self.site}", why="the plant document does not name it", possible=", ".join(self.units) or "none")
        return self.units[unit]

    def of_protocol(self, protocol: Protocol) -> SitePlant:
        """The same site with only those modules, and what hangs on them."""
        units = {}
        for unit in self.units.values():
            modules = {name: module for name, module in unit.modules.items() if module.protocol is protocol}
            if modules:
                signals = {name: signal for name, signal in unit.signals.items() if signal.module in modules}
                services = {name: service for name, service in unit.services.items() if service.module in modules}
                units[unit.id] = replace(unit, modules=modules, signals=signals, services=services)
        return replace(self, units=units)

    def settings(self) -> tuple[Setting, ...]:
        """Every setting that is read back, in document order."""
        return tuple(setting for unit in self.units.values() for module in unit.modules.values() for setting in module.settings.values())

    def signals(self) -> tuple[Signal, ...]:
        """Every signal of the site, in document order."""
        return tuple(signal for unit in self.units.values() for signal in unit.signals.values())
