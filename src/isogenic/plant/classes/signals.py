"""The words in which equipment classes are written.

`measured`, `set_point` and `dose` make signals; `service` makes a service and `state_signals`
the signals by which its state is seen. A set-point whose name ends in `_dose` is executed
once for each number that its companion `..._dose_number` rises to; the same number again
does nothing. A service's state arrives as the ordinary signal `<service>_state` (the StateCur
word of VDI/VDE/NAMUR 2658-4), so that a lost module is a bad reading, never a stopped service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from isogenic.plant.model import EquipmentClass, Role, ServiceClass, ServiceParameter, SignalClass

__all__ = ["DOSE_NUMBER", "STATE", "counted", "dose", "equipment_class", "measured", "parameter", "service", "set_point", "state_signals"]

DOSE_NUMBER = "_number"  # medium_dose is counted by medium_dose_number
STATE = "_state"  # fill_state is the state of the service fill
_STATE_MAX = float(2**17)  # completed, the highest bit of StateCur (VDI/VDE/NAMUR 2658-4, table 14)
_COUNT_MAX = 1e6


def measured(name: str, unit: str, title: str, low: float, high: float, *, monitored: bool = False, extensive: bool = False) -> SignalClass:
    """A signal that is read."""
    return SignalClass(name, unit, Role.MEASUREMENT, title, low, high, monitored, extensive)


def counted(name: str, title: str) -> SignalClass:
    """A count that a module keeps."""
    return measured(name, "1", title, 0.0, _COUNT_MAX)


def set_point(name: str, unit: str, title: str, high: float, low: float = 0.0) -> SignalClass:
    """A signal that is written and read back."""
    return SignalClass(name, unit, Role.SETPOINT, title, low, high)


def dose(name: str, unit: str, title: str, high: float) -> tuple[SignalClass, SignalClass]:
    """A dose and its number."""
    return set_point(name, unit, title, high), set_point(name + DOSE_NUMBER, "1", f"{title}, number", 1e9)


def parameter(name: str, unit: str, title: str, low: float, high: float) -> ServiceParameter:
    """A value that a service is started with."""
    return ServiceParameter(name, unit, title, low, high)


def service(name: str, title: str, *parameters: ServiceParameter, procedures: tuple[str, ...] = ("standard",)) -> ServiceClass:
    """A service with its procedures; each of them takes the same parameters."""
    return ServiceClass(name, title, procedures, {each.name: each for each in parameters})


def state_signals(services: Iterable[ServiceClass]) -> tuple[SignalClass, ...]:
    """One signal for the state of each service."""
    return tuple(measured(each.name + STATE, "1", f"State of {each.title.lower()}", 0.0, _STATE_MAX) for each in services)


def equipment_class(
    name: str, title: str, signals: Iterable[SignalClass], *, capabilities: Mapping[str, str], services: tuple[ServiceClass, ...] = ()
) -> EquipmentClass:
    """A class with the state signals of its services beside its own signals."""
    every = (*signals, *state_signals(services))
    return EquipmentClass(name, title, {each.name: each for each in every}, capabilities, {each.name: each for each in services})
