"""Couriers and their boxes: when a shipment arrives, how warm it was on the way, and what that cost.

Guarantees: a shipment is a function of the seed, its name, the two places and the hour it leaves; its temperature
track has a point each hour and one at arrival.
Leaves to others: booking slots (`queueing`), decisions about a shipment that was warm.

The way takes a log-normal time; a storm at either end adds a night. A box holds its temperature while its coolant
lasts, then goes towards the outside with a time constant. Fresh cells lose 4 points of viability for each 12 h beyond
`FRESH_FOR_H`, and age twice as fast for each 10 K too warm; RNA falls by Arrhenius (`processes.mrna_quality`). All numbers are **illustrative**.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from isogenic.errors import NotValid
from isogenic.sim.processes.mrna_quality import kept_whole
from isogenic.sim.processes.process import Floats
from isogenic.sim.streams import Stream
from isogenic.sim.weather import CLIMATES, Climate, ambient_c, stormy

__all__ = ["COLD_BOX", "CRYO_SHIPPER", "FRESH_BOX", "Box", "Shipment", "rna_kept", "ship", "viability_lost", "warmed_h"]

FRESH_FOR_H, LOSS_POINTS, LOSS_EVERY_H = 24.0, 4.0, 12.0
TWICE_K = 10.0
STORM_H = 12.0
TRANSIT_H_MAX = 1000.0


@dataclass(frozen=True, slots=True)
class Box:
    """What carries it."""

    name: str
    holds_c: float
    holds_h: float  # how long the coolant lasts
    warms_h: float  # time constant afterwards
    limit_c: float  # warmer is an excursion


FRESH_BOX = Box("fresh cells", 5.0, 72.0, 12.0, 10.0)
COLD_BOX = Box("2 to 8 degC", 5.0, 96.0, 18.0, 8.0)
CRYO_SHIPPER = Box("liquid nitrogen vapour", -180.0, 240.0, 30.0, -130.0)


@dataclass(frozen=True, slots=True)
class Shipment:
    """One that has arrived."""

    leaves_h: float
    arrives_h: float
    hour: Floats  # since it left
    celsius: Floats
    delayed_by_storm: bool
    limit_c: float
    holds_c: float

    @property
    def transit_h(self) -> float:
        return self.arrives_h - self.leaves_h

    @property
    def excursion_h(self) -> float:
        """How long it was warmer than allowed."""
        return float(np.sum(np.diff(self.hour) * (0.5 * (self.celsius[1:] + self.celsius[:-1]) > self.limit_c)))


def ship(
    name: str,
    *,
    seed: int,
    leaves_h: float,
    places: tuple[str, str],
    climates: tuple[Climate, Climate] = (CLIMATES["temperate"], CLIMATES["temperate"]),
    box: Box = FRESH_BOX,
    median_h: float = 18.0,
    spread: float = 1.25,
    late_h: float = 0.0,
    warmer_k: float = 0.0,
) -> Shipment:
    """From one place to another; `late_h` and `warmer_k` are `courier_is_late` and `shipment_warms`."""
    if not (0.0 < median_h <= TRANSIT_H_MAX and spread >= 1.0 and 0.0 <= late_h <= TRANSIT_H_MAX and 0.0 <= warmer_k <= 300.0):
        raise NotValid(f"cannot ship {name[:40]}", why="the time on the way and its spread must be possible", possible=f"up to {TRANSIT_H_MAX:g} h")
    usual = median_h * math.exp(math.log(spread) * Stream(seed, "courier", *places, name).normal(0))
    ends = zip(places, climates, (leaves_h, leaves_h + usual), strict=True)
    storm = any(stormy(climate, hour, seed=seed, place=place) for place, climate, hour in ends)
    transit = min(usual + late_h + STORM_H * storm, TRANSIT_H_MAX)
    hour = np.append(np.arange(math.ceil(transit), dtype=np.float64), transit)
    celsius, inside = np.empty_like(hour), box.holds_c
    for at, since in enumerate(hour):
        if since > box.holds_h:
            which = 0 if since < 0.5 * transit else 1
            outside = ambient_c(climates[which], leaves_h + float(since), seed=seed, place=places[which])
            step = float(since) - max(float(hour[at - 1]), box.holds_h)
            inside = outside + (inside - outside) * math.exp(-step / box.warms_h)
        celsius[at] = inside + warmer_k
    return Shipment(leaves_h, leaves_h + transit, hour, celsius, storm, box.limit_c, box.holds_c)


def viability_lost(old_h: Floats, *, fresh_for_h: float = FRESH_FOR_H) -> Floats:
    """Points of viability that cells of this age have lost since they were collected."""
    return np.asarray(LOSS_POINTS * np.maximum(0.0, np.asarray(old_h, dtype=np.float64) - fresh_for_h) / LOSS_EVERY_H)


def warmed_h(shipment: Shipment) -> float:
    """By how many hours living cells are older at arrival than their way was long: twice as fast for each 10 K above their box's temperature."""
    warmer = 0.5 * (shipment.celsius[1:] + shipment.celsius[:-1]) - shipment.holds_c
    return float(np.sum(np.diff(shipment.hour) * (2.0 ** (np.maximum(warmer, 0.0) / TWICE_K) - 1.0)))


def rna_kept(shipment: Shipment) -> float:
    """The share of whole RNA that is left at arrival: Arrhenius along the track."""
    whole = 1.0
    for hours, celsius in zip(np.diff(shipment.hour), 0.5 * (shipment.celsius[1:] + shipment.celsius[:-1]), strict=True):
        whole = float(kept_whole(whole, days=hours / 24.0, celsius=celsius))
    return whole
