"""The recipe and the controllers of IndPenSim: what the valves do in one sample.

Guarantees: a function of what was seen in the last three samples and where the valves stood; faults of valves override
what is controlled, faults of sensors what is seen.
Leaves to others: the vessel (`equations`).

As published, its two oddities included, because every published figure contains them: the proportional part of the pH
controller compares an error with a bare pH (so base is added in steps), and heating starts from the cooling valve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from isogenic.sim.processes.indpensim.known import RECIPE, SAMPLE_H
from isogenic.sim.processes.process import Fault, Floats, depth

__all__ = ["Seen", "Valves", "controlled", "recipe_at"]

DEAD_BAND = 0.05  # pH and K
SHUT = 1e-4  # L/h: a shut water valve; nothing is divided by zero


@dataclass(frozen=True, slots=True)
class Seen:
    """pH and temperature (K) of the last three samples, the last one first."""

    ph: tuple[Floats, Floats, Floats]
    kelvin: tuple[Floats, Floats, Floats]

    def then(self, ph: Floats, kelvin: Floats, *, first: bool) -> Seen:
        """With one sample more; the first one stands for all before it."""
        if first:
            return Seen((ph, ph, ph), (kelvin, kelvin, kelvin))
        return Seen((ph, *self.ph[:2]), (kelvin, *self.kelvin[:2]))


@dataclass(frozen=True, slots=True)
class Valves:
    """Where the controlled valves stand, L/h."""

    acid: Floats
    base: Floats
    coolant: Floats
    heating: Floats


def recipe_at(sample: int) -> dict[str, float]:
    """What the recipe wants in a sample (from 1): a step holds until its time, that sample included."""
    minute = sample * 12
    return {name: float(next(value for until, value in steps if minute <= until * 60 + 1e-6)) for name, steps in RECIPE.items()}


def _pid(
    before: Floats, errors: tuple[Floats, Floats], seen: tuple[Floats, Floats, Floats], tuned: tuple[float, float, float], high: float
) -> Floats:
    gain, integral_h, derivative_h = tuned
    change = errors[0] - errors[1] + errors[0] * SAMPLE_H / integral_h
    if derivative_h > 0.001:  # as published: a shorter one does not count
        change = change - derivative_h / SAMPLE_H * (seen[0] - 2.0 * seen[1] + seen[2])
    return np.clip(before + gain * change, 0.0, high)


def controlled(valves: Valves, seen: Seen, *, sample: int, ph: Floats, kelvin: Floats, faults: Sequence[Fault], age_h: float) -> Valves:
    """Where the valves stand in this sample."""
    n = len(ph)
    ph_error = ph - seen.ph[0] + depth(faults, "ph_sensor_reads_low", age_h=age_h, n=n)
    # From the third sample on, the error before lacks its set-point: the first oddity.
    ph_before = ph_error if sample <= 2 else depth(faults, "ph_sensor_reads_low", age_h=age_h, n=n) - seen.ph[1]
    lag = seen.ph if sample > 2 else (seen.ph[0],) * 3
    acidic = ph_error >= -DEAD_BAND
    base = _pid(valves.base, (ph_error, ph_before), lag, (0.08, 4.0e-5, 8.0), 225.0)
    acid = _pid(valves.acid, (ph_error, ph_before), lag, (0.08, 12.5, 0.125), 225.0)
    off = depth(faults, "temperature_sensor_reads_low", age_h=age_h, n=n)
    error = kelvin - seen.kelvin[0] + off
    before = error if sample <= 2 else kelvin - seen.kelvin[1] + off
    warm = error <= DEAD_BAND
    cooled = _pid(valves.coolant, (error, before), seen.kelvin, (-300.0, 1.6, 0.005), 1500.0)
    heated = _pid(valves.coolant, (error, before), seen.kelvin, (50.0, 0.05, 1.0), 1500.0)  # the second oddity
    moved = Valves(
        acid=np.where(acidic, 0.0, acid),
        base=np.where(acidic, base, valves.base * 0.5),
        coolant=np.maximum(np.where(warm, cooled, valves.coolant * 0.3), SHUT),
        heating=np.maximum(np.where(warm, valves.heating * 0.1, heated), SHUT),
    )
    return replace(moved, base=stuck(moved.base, faults, "base_is_stuck", age_h), coolant=stuck(moved.coolant, faults, "coolant_is_stuck", age_h))


def stuck(flow: Floats, faults: Sequence[Fault], name: str, age_h: float) -> Floats:
    """The flow, or where a fault holds it."""
    held = depth(faults, name, age_h=age_h, n=len(flow))
    return np.where(held > 0.0, held, flow)


def recipe_flows(sample: int, scales: Mapping[str, Floats], faults: Sequence[Fault], age_h: float) -> dict[str, Floats]:
    """What the recipe's valves let through, faults included."""
    wanted = recipe_at(sample)
    n = len(scales["sugar_scale"])
    flows = {name: np.full(n, value) for name, value in wanted.items()}
    for name, scale in (("sugar", "sugar_scale"), ("air", "aeration_scale"), ("phenylacetate", "phenylacetate_scale"), ("water", "water_scale")):
        flows[name] = flows[name] * scales[scale]
    for name, fault in (("sugar", "sugar_is_stuck"), ("air", "air_is_stuck"), ("pressure", "back_pressure_is_stuck")):
        flows[name] = stuck(flows[name], faults, fault, age_h)
    return flows
