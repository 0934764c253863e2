"""The equipment classes that plants and recipes speak of.

Guarantees: one name, one canonical unit and one physical range for each signal, whoever
made the unit; the flags say which signals a multivariate model reads and which of them
grow with the vessel.
Leaves to others: which make names a signal how (plant documents), and what it should be
(recipes). A set-point whose name ends in `_dose` is executed once for each number that its
companion `..._dose_number` rises to; the same number again does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from isogenic.plant.model import EquipmentClass, Role, SignalClass

__all__ = ["CLASSES", "DOSE_NUMBER", "STIRRED_BIOREACTOR"]

DOSE_NUMBER = "_number"  # medium_dose is counted by medium_dose_number


def _measured(name: str, unit: str, title: str, low: float, high: float, *, monitored: bool = False, extensive: bool = False) -> SignalClass:
    return SignalClass(name, unit, Role.MEASUREMENT, title, low, high, monitored, extensive)


def _set(name: str, unit: str, title: str, high: float, low: float = 0.0) -> SignalClass:
    return SignalClass(name, unit, Role.SETPOINT, title, low, high)


def _dose(name: str, unit: str, title: str, high: float) -> tuple[SignalClass, SignalClass]:
    return _set(name, unit, title, high), _set(name + DOSE_NUMBER, "1", f"{title}, number", 1e9)


# The physical ranges leave room for noise around zero: -1 kg on an empty vessel is a scale's noise, -50 kg is a broken scale.
_SIGNALS = (
    _measured("temperature", "degC", "Temperature", 0.0, 80.0, monitored=True),
    _measured("ph", "pH", "pH", 2.0, 12.0, monitored=True),
    _measured("dissolved_oxygen", "%", "Dissolved oxygen", -5.0, 300.0, monitored=True),
    _measured("agitation", "rpm", "Agitation", -1.0, 1_000.0),
    _measured("oxygen_flow", "L/min", "Oxygen flow", -1.0, 500.0, monitored=True, extensive=True),
    _measured("vessel_weight", "kg", "Vessel weight", -5.0, 3_000.0, monitored=True, extensive=True),
    _measured("viable_cells", "1e6 cell/mL", "Viable cells (capacitance)", -2.0, 200.0, monitored=True),
    _measured("viability", "%", "Viability", -1.0, 105.0),
    _measured("glucose", "mM", "Glucose (Raman)", -10.0, 300.0, monitored=True),
    _measured("lactate", "mM", "Lactate (Raman)", -10.0, 300.0, monitored=True),
    _measured("offgas_co2", "%", "Off-gas carbon dioxide", -1.0, 100.0, monitored=True),
    _measured("feed_flow", "mL/h", "Feed flow", -10.0, 20_000.0, monitored=True, extensive=True),
    _measured("feed_pressure", "bar", "Feed pump discharge pressure", -1.0, 10.0, monitored=True),
    _measured("feed_bottle_weight", "kg", "Feed bottle weight", -1.0, 500.0),
    _measured("glucose_dosed_total", "mL", "Glucose dosed so far", -1.0, 1e6),
    _measured("seed_dosed_total", "L", "Seed dosed so far", -1.0, 1e5),
    _measured("medium_dosed_total", "L", "Medium dosed so far", -1.0, 1e5),
    _measured("harvested_total", "L", "Harvested so far", -1.0, 1e5),
    _set("temperature_sp", "degC", "Temperature set-point", 60.0),
    _set("ph_sp", "pH", "pH set-point", 12.0, 2.0),
    _set("dissolved_oxygen_sp", "%", "Dissolved oxygen set-point", 200.0),
    _set("agitation_sp", "rpm", "Agitation set-point", 1_000.0),
    _set("feed_flow_sp", "mL/h", "Feed flow set-point", 20_000.0),
    *_dose("glucose_dose", "mL", "Glucose dose", 1e5),
    *_dose("medium_dose", "L", "Medium dose", 5_000.0),
    *_dose("seed_dose", "L", "Seed dose", 5_000.0),
    *_dose("harvest_dose", "L", "Harvest dose", 5_000.0),
)

STIRRED_BIOREACTOR = EquipmentClass(
    name="stirred_bioreactor",
    title="Stirred bioreactor, single use",
    signals={signal.name: signal for signal in _SIGNALS},
    capabilities={
        "temperature": "degC",
        "ph": "pH",
        "dissolved_oxygen": "%",
        "agitation": "rpm",
        "feed_flow": "mL/h",
        "working_volume": "L",
    },
)

CLASSES: Mapping[str, EquipmentClass] = {each.name: each for each in (STIRRED_BIOREACTOR,)}
