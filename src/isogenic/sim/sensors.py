"""What the instruments of a stirred bioreactor say: physics, then lag, drift and noise.

Guarantees: `observe` derives every measured quantity of the equipment class from the
culture and its surroundings, for floats and arrays alike; `Sensor` adds what an instrument
adds, and the same index of the same sensor always adds the same.
Leaves to others: broken sensors (faults), native units (servers).

Noise and drift are of the size that makers and studies report for such probes (pH glass
0.01, Pt100 0.02 K, optical oxygen 0.4 %, capacitance 3 %, Raman with a local model); the
gas side is stoichiometry with an assumed flow law. All **illustrative**.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isogenic.sim.processes.cho import OXYGEN_MM_PER_PERCENT, Culture, Drive, Theta, dissolved_oxygen
from isogenic.sim.streams import Stream

__all__ = ["SENSORS", "Instrument", "Sensor", "Surroundings", "lag_share", "observe"]

Number = Any  # a float or an array, as in cho

CULTURE_KG_PER_L = 1.02
FEED_KG_PER_L = 1.05
AIR_PERCENT = 100.0  # dissolved oxygen of a vessel that nobody controls
GAS_L_PER_MMOL = 0.0254  # 25.4 L/mol at 37 degC and 1 atm
OVERLAY_VVM = 0.01  # air over the liquid
OXYGEN_VVM_MAX = 0.05  # through the sparger, at its full transfer
FLOW_POWER = 1.0 / 0.6  # transfer goes with the 0.6th power of the gas flow
CO2_FOR_PH_PERCENT = 4.0  # at the start; lactate takes its place
PUMP_REST_BAR = 0.12
PUMP_LOSS_BAR = 0.30  # of a clean line at the reference flow
REFERENCE_FLOW_PER_H = 0.00125  # of the working volume: 3 % a day


class Surroundings(NamedTuple):
    """What stands around the culture."""

    working_volume_l: float
    temperature_c: Number
    ph: Number
    oxygen_percent: Number  # what the controller holds; the culture may draw it lower
    agitation_rpm: Number
    feed_l_h: Number  # delivered
    blocked: Number  # share of the feed line, 0 to 1
    bottle_kg: Number


def observe(culture: Culture, *, theta: Theta, drive: Drive, around: Surroundings) -> dict[str, Number]:
    """The true value of every measurement in its canonical unit, totals excepted."""
    oxygen = dissolved_oxygen(culture.viable, theta=theta, drive=drive)
    breathed = theta.oxygen_uptake * culture.viable * oxygen / (theta.half_oxygen + oxygen)  # mmol/L/h
    needed = breathed / (theta.oxygen_saturation - oxygen)
    load = needed / (theta.transfer * drive.transfer_factor + 1e-9)  # 1 when the sparger can give no more
    oxygen_l_min = OXYGEN_VVM_MAX * culture.volume * load**FLOW_POWER
    carbon_l_min = breathed * culture.volume * GAS_L_PER_MMOL / 60.0  # one CO2 for each O2
    gas_l_min = OVERLAY_VVM * around.working_volume_l + oxygen_l_min + carbon_l_min
    full = culture.volume / (culture.volume + 1e-6)
    return {
        "temperature": around.temperature_c,
        "ph": around.ph,
        "dissolved_oxygen": full * oxygen / OXYGEN_MM_PER_PERCENT + (1.0 - full) * AIR_PERCENT,
        "agitation": around.agitation_rpm,
        "oxygen_flow": oxygen_l_min,
        "vessel_weight": CULTURE_KG_PER_L * culture.volume,
        "viable_cells": culture.viable,
        "viability": 100.0 * culture.viable / (culture.viable + culture.dead + 1e-9),
        "glucose": culture.glucose,
        "lactate": culture.lactate,
        "offgas_co2": 100.0 * carbon_l_min / gas_l_min + full * CO2_FOR_PH_PERCENT * 2.0 ** (-culture.lactate / 10.0),
        "feed_flow": around.feed_l_h * 1000.0,
        "feed_pressure": PUMP_REST_BAR
        + PUMP_LOSS_BAR * around.feed_l_h / (REFERENCE_FLOW_PER_H * around.working_volume_l) / (1.0 - around.blocked + 1e-6) ** 2,
        "feed_bottle_weight": around.bottle_kg,
    }


@dataclass(frozen=True, slots=True)
class Instrument:
    """How far one kind of instrument can be believed: standard deviations, absolute and as a share of the reading."""

    noise: float = 0.0
    noise_share: float = 0.0
    drift: float = 0.0  # after two weeks
    drift_share: float = 0.0
    lag_min: float = 0.0  # time constant


SENSORS = {
    "temperature": Instrument(noise=0.02, drift=0.03, lag_min=0.2),
    "ph": Instrument(noise=0.01, drift=0.015, lag_min=0.4),
    "dissolved_oxygen": Instrument(noise=0.4, drift=0.5, lag_min=0.2),
    "agitation": Instrument(noise_share=0.002),
    "oxygen_flow": Instrument(noise_share=0.01, drift_share=0.01),
    "vessel_weight": Instrument(noise=0.01, noise_share=0.001, drift_share=0.001),
    "viable_cells": Instrument(noise_share=0.03, drift_share=0.03, lag_min=0.4),
    "viability": Instrument(noise=0.4, drift=0.3),
    "glucose": Instrument(noise=0.4, drift=0.5, lag_min=4.3),
    "lactate": Instrument(noise=0.3, drift=0.4, lag_min=4.3),
    "offgas_co2": Instrument(noise_share=0.015, drift_share=0.01),
    "feed_flow": Instrument(noise=0.02, noise_share=0.005, drift_share=0.003),
    "feed_pressure": Instrument(noise=0.002, noise_share=0.01, drift_share=0.01),
    "feed_bottle_weight": Instrument(noise=0.005, noise_share=0.001),
}
WANDER_KNOT_H = 24.0  # the drift's memory
TWO_WEEKS_H = 336.0


class Sensor:
    """One instrument in one batch: a fixed bias, a linear drift, a slow wander, and noise."""

    __slots__ = ("_bias", "_noise", "_slope", "_wander", "instrument")

    def __init__(self, instrument: Instrument, *, seed: int, site: str, batch: str, name: str) -> None:
        self.instrument = instrument
        self._noise = Stream(seed, "noise", site, batch, name)
        self._wander = Stream(seed, "wander", site, batch, name)
        calibration = Stream(seed, "calibration", site, batch, name)
        self._bias, self._slope = calibration.normal(0), calibration.normal(1)

    def read(self, truth: float, *, index: int, age_h: float) -> float:
        """The reading number `index`, `age_h` after calibration. Lag is the caller's: it needs the past."""
        how = self.instrument
        knot = int(age_h // WANDER_KNOT_H)
        off = self._drift(age_h, knots=(self._wander.normal(knot), self._wander.normal(knot + 1)))
        spread = how.noise + how.noise_share * abs(truth)
        return float(truth + off * (how.drift + how.drift_share * abs(truth)) + spread * self._noise.normal(index))

    def series(self, truth: NDArray[np.float64], *, start: int, age_h: NDArray[np.float64]) -> NDArray[np.float64]:
        """The readings `start`, `start + 1`, ...: the same numbers that `read` gives one by one."""
        how = self.instrument
        knot = (age_h // WANDER_KNOT_H).astype(int)
        wander = self._wander.normals(0, int(knot.max()) + 2)
        off = self._drift(age_h, knots=(wander[knot], wander[knot + 1]))
        spread = how.noise + how.noise_share * np.abs(truth)
        readings: NDArray[np.float64] = truth + off * (how.drift + how.drift_share * np.abs(truth)) + spread * self._noise.normals(start, len(truth))
        return readings

    def _drift(self, age_h: Number, *, knots: tuple[Number, Number]) -> Number:
        """In standard deviations: bias from the start, drift that grows, and a wander between daily knots, scaled to keep its variance."""
        share = age_h / WANDER_KNOT_H - age_h // WANDER_KNOT_H
        wander = ((1.0 - share) * knots[0] + share * knots[1]) / (share**2 + (1.0 - share) ** 2) ** 0.5
        return 0.7 * self._bias + 0.6 * self._slope * age_h / TWO_WEEKS_H + 0.4 * wander


def lag_share(instrument: Instrument, *, step_h: float) -> float:
    """How much of the way to the truth a lagging instrument goes in one step."""
    return 1.0 if instrument.lag_min <= 0 else 1.0 - math.exp(-step_h * 60.0 / instrument.lag_min)
