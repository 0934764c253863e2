"""The weather between sites: outside temperature and storms, by place and day of the year.

Guarantees: the temperature at a place and an hour depends on the seed, the place and the hour alone.
Leaves to others: what it does to a shipment (`couriers`).

A yearly wave, a daily one, and days that differ (each remembers 0.7 of the day before). **Illustrative** climates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from isogenic.errors import NotValid
from isogenic.sim.streams import Stream

__all__ = ["CLIMATES", "Climate", "ambient_c", "stormy"]

MEMORY, MEMORY_DAYS = 0.7, 25  # 0.7 ** 25 = 1e-4
COLDEST_DAY, WARMEST_HOUR = 20.0, 15.0
HOUR_MAX = 1_000_000.0


@dataclass(frozen=True, slots=True)
class Climate:
    """Of one place; southern summers are half a year away."""

    mean_c: float = 11.0
    year_c: float = 8.0
    day_c: float = 4.0
    days_differ_c: float = 3.0
    storms: float = 0.03  # share of days in winter; a third of it in summer
    south: bool = False


CLIMATES = {
    "temperate": Climate(),
    "continental": Climate(8.0, 14.0, 5.0, 4.0, 0.05),
    "mediterranean": Climate(17.0, 8.0, 6.0, 2.5, 0.015),
    "tropical": Climate(27.0, 2.0, 4.0, 1.5, 0.06),
}


def _winter(climate: Climate, hour: float) -> float:
    """1 on the coldest day, -1 on the warmest."""
    day = hour / 24.0 - COLDEST_DAY + (182.6 if climate.south else 0.0)
    return math.cos(2.0 * math.pi * day / 365.25)


def ambient_c(climate: Climate, hour: float, *, seed: int, place: str) -> float:
    """Outside temperature so many hours after the year began."""
    if not 0.0 <= hour <= HOUR_MAX:
        raise NotValid(f"no weather at hour {hour}", possible=f"0 to {HOUR_MAX:g}")
    dice, day = Stream(seed, "weather", place), int(hour // 24.0)
    # A day is the sum of the shocks that are not forgotten: it can be asked for alone, in any order.
    shocks = dice.normals(day, MEMORY_DAYS + 1)[::-1]
    differs = math.sqrt(1.0 - MEMORY**2) * sum(MEMORY**at * float(each) for at, each in enumerate(shocks))
    daily = climate.day_c * math.cos(2.0 * math.pi * (hour % 24.0 - WARMEST_HOUR) / 24.0)
    return climate.mean_c - climate.year_c * _winter(climate, hour) + daily + climate.days_differ_c * differs


def stormy(climate: Climate, hour: float, *, seed: int, place: str) -> bool:
    """Whether couriers stand still on this day."""
    share = climate.storms * (2.0 + _winter(climate, hour)) / 3.0
    draw = Stream(seed, "storm", place).normal(int(hour // 24.0))
    return 0.5 * math.erfc(-draw / math.sqrt(2.0)) < share
