"""A batch led by the rules of its recipe, without a node."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from isogenic.clock import ManualClock
from isogenic.ids import UnitId
from isogenic.plant.model import Role
from isogenic.sim.facility import Facility

START_L = 112.0
PORTO = UnitId("SB-200")


def lead_batch(facility: Facility, *, hours: float, every_h: float = 0.5, harvest: bool = True) -> Iterator[tuple[float, dict[str, float]]]:
    """Fill, inoculate, feed and harvest as the recipe would; yields the batch's age and its measurements at each scan."""
    unit = facility.plant.units[PORTO]
    measured = [name for name, signal in unit.signals.items() if signal.cls.role is Role.MEASUREMENT]
    now = facility.at or ManualClock().at
    numbers = {name: facility.read(f"{PORTO}.{name}_number") for name in ("medium_dose", "seed_dose", "glucose_dose", "harvest_dose")}

    def dose(name: str, amount: float) -> None:
        numbers[name] += 1
        facility.write(f"{PORTO}.{name}", amount)
        facility.write(f"{PORTO}.{name}_number", numbers[name])

    facility.advance(now)
    for name, value in {"temperature_sp": 37.0, "ph_sp": 7.0, "dissolved_oxygen_sp": 40.0, "agitation_sp": 90.0}.items():
        facility.write(f"{PORTO}.{name}", value)
    dose("medium_dose", 0.9 * START_L)
    now += timedelta(hours=12)
    facility.advance(now)
    dose("seed_dose", 0.1 * START_L)
    for scan in range(round(hours / every_h) + 1):
        age = scan * every_h  # since the seed was ordered: the culture is one step of the grid younger
        facility.write(f"{PORTO}.feed_flow_sp", 0.03 * START_L / 24.0 * 1000.0 if age >= 72.0 else 0.0)
        seen = {name: facility.read(f"{PORTO}.{name}") for name in measured}
        if age >= 23 and age % 24.0 < every_h and seen["glucose"] < 14.0:
            dose("glucose_dose", (28.0 - seen["glucose"]) / (2500.0 - 28.0) * seen["vessel_weight"] / 1.02 * 1000.0)
        yield age, seen
        now += timedelta(hours=every_h)
        facility.advance(now)
    if harvest:
        facility.write(f"{PORTO}.feed_flow_sp", 0.0)
        dose("harvest_dose", facility.read(f"{PORTO}.vessel_weight") / 1.02 + 1.0)
        facility.advance(now + timedelta(hours=6))
