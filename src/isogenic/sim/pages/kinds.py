"""The faults that a facility's page offers: each with what it strikes, its size's unit and range, and a size to begin with.

Guarantees: plain data, of what the facility's live equipment takes. A size to begin with lies in its range, and is large
enough to be seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from isogenic.sim.faults import SIZES, FaultKind, entry_of
from isogenic.sim.faults.modules import DeviceFault
from isogenic.sim.service_modules import Rig

__all__ = ["OF_SIGNALS", "bioreactor_kinds", "module_kinds", "words"]

PROCESS = "antibody"
_BEGIN = {
    FaultKind.SPARGER_FOULS: 0.6,
    FaultKind.FEED_PUMP_FOULS: 0.6,
    FaultKind.FEED_PUMP_STOPS: 1.0,
    FaultKind.FEED_PUMP_RUNS_HIGH: 0.3,
    FaultKind.TEMPERATURE_EXCURSION: 2.0,
    FaultKind.PH_SENSOR_DRIFTS: 0.2,
    FaultKind.VALVE_STICKS: 0.05,
    FaultKind.DRIVE_IS_WEAK: 0.85,
    FaultKind.CULTURE_IS_CONTAMINATED: 0.01,
    FaultKind.LACTATE_IS_HIGH: 0.5,
    FaultKind.PRODUCT_RATE_IS_LOW: 0.3,
    FaultKind.MEDIUM_IS_WEAK: 0.2,
    FaultKind.SENSOR_IS_NOISY: 5.0,
    FaultKind.SENSOR_IS_LATE: 6.0,
    FaultKind.SENSOR_IS_FOULED: 0.5,
    FaultKind.SENSOR_IN_WRONG_UNIT: 1000.0,
}
# An error of a probe that is plainly wrong, in the signal's unit: the first size of what biases, drifts or spikes.
OF_SIGNALS = {
    "temperature": 1.0,
    "ph": 0.2,
    "dissolved_oxygen": 15.0,
    "agitation": 20.0,
    "oxygen_flow": 5.0,
    "vessel_weight": 10.0,
    "viable_cells": 3.0,
    "viability": 10.0,
    "glucose": 8.0,
    "lactate": 8.0,
    "offgas_co2": 2.0,
    "feed_flow": 50.0,
    "feed_pressure": 0.3,
    "feed_bottle_weight": 5.0,
}


def bioreactor_kinds() -> list[dict[str, Any]]:
    """What can happen to a stirred bioreactor."""
    found = []
    for kind in FaultKind:
        if kind is FaultKind.SETTING_CHANGES:
            what, seen, unit = "a module's setting is changed at the panel", "the setting that is read back is another", "1"
        else:
            entry = entry_of(str(kind))
            size = entry.size_for(PROCESS)
            what, seen, unit = entry.what, entry.signature, size.unit if size else ""
        low, high = SIZES[kind]
        found.append(
            {
                "name": str(kind),
                "what": what,
                "seen": seen,
                "sized": kind.sized,
                "unit": unit if kind.sized else "",
                "low": low,
                "high": high,
                "begin": _BEGIN.get(kind, 0.1) if kind.sized else 0.0,
                "signal": kind.of_sensor,
                "units": [],  # every bioreactor
            }
        )
    return found


def module_kinds(rigs: Iterable[Rig]) -> list[dict[str, Any]]:
    """What can happen to modules that are driven by services."""
    found: dict[str, dict[str, Any]] = {}
    for rig in rigs:
        for each in rig.device.kinds.values():
            found.setdefault(each.name, _of_device(each))["units"].append(str(rig.unit.id))
    return list(found.values())


def _of_device(each: DeviceFault) -> dict[str, Any]:
    begin = 5.0 if each.low >= 1.0 else round(each.low + 0.5 * (each.high - each.low), 3) if each.low >= 0.0 else round(0.5 * each.high, 3)
    told: Mapping[str, Any] = {"name": each.name, "what": each.what, "seen": each.seen, "sized": each.sized, "unit": each.unit}
    return {**told, "low": each.low, "high": each.high, "begin": begin if each.sized else 0.0, "signal": False, "units": []}


def words(name: str) -> str:
    """A name as people say it."""
    said = name.replace("_", " ")
    for letters, usual in (("ph ", "pH "), ("lnp ", "LNP "), ("rnase", "RNase")):
        said = usual + said[len(letters) :] if said.startswith(letters) else said
    return "pH" if said == "ph" else said
