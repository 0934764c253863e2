"""The equations of T cells in one culture bag: for one patient in plain floats, for thousands in arrays.

Guarantees: `stepped` moves the state by one step of RK4 and its flows beside it, so that every balance closes to
rounding. At half an hour the relative error over 12 days is below 1e-6 where glucose lasts, 1e-3 where it runs out.
Leaves to others: who the donors are (`donors`), when medium is exchanged and what goes wrong (`car_t`).

Activated cells divide once they are awake, and tire after five and a half days; tired ones contract (quiescent), dead
ones break up. The form and its numbers are **illustrative**, tuned to published populations of patients.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from isogenic.sim.processes.arithmetic import Number, greater

__all__ = ["Bag", "Drive", "Flows", "Theta", "car_positive", "stepped", "vcn_of_positive"]

GROWTH = 0.040  # 1/h: what uptake at full growth belongs to
TIRES_H = 132.0  # from here on the stimulus fades
REF_C = 37.0
Q10 = 2.2
DEATH_OF_3K = 0.7  # death, for each 3 K below 37


class Theta(NamedTuple):
    """The constants of the equations; cells in 1e6, mmol/L, hours."""

    growth: Number = GROWTH
    awake_at: Number = 26.0
    awake_over: Number = 4.0
    stimulus: Number = 60.0  # h, by which it fades
    half_glucose: Number = 0.6
    half_lactate: Number = 22.0
    death: Number = 0.0012
    death_lactate: Number = 30.0
    death_hungry: Number = 0.03
    death_quiescent: Number = 0.0018
    contraction: Number = 0.004
    lysis: Number = 0.02
    toxicity: Number = 0.010
    uptake_growth: Number = 0.055  # mmol/h of 1e9 cells
    uptake_upkeep: Number = 0.012
    half_uptake: Number = 0.25
    lactate_of_glucose: Number = 1.75
    other_growth: Number = 0.0105  # of what is not a T cell


class Bag(NamedTuple):
    """What is in the bag: cells in 1e6, glucose and lactate in mmol/L."""

    activated: Number
    quiescent: Number
    dead: Number
    other: Number
    glucose: Number
    lactate: Number

    @property
    def viable(self) -> Number:
        return self.activated + self.quiescent

    @property
    def viability(self) -> Number:
        """Percent of T cells that live."""
        return 100.0 * self.viable / (self.viable + self.dead)


class Flows(NamedTuple):
    """What went in and out since the beginning: cells in 1e6, mmol."""

    grown: Number = 0.0
    died: Number = 0.0
    lysed: Number = 0.0
    eaten: Number = 0.0
    fed: Number = 0.0
    glucose_out: Number = 0.0
    lactate_out: Number = 0.0


class Drive(NamedTuple):
    """What stands still during a step."""

    exchange_ml_h: Number = 0.0
    volume_ml: Number = 200.0
    medium_glucose: Number = 17.0
    temperature_c: Number = REF_C
    toxic: Number = 0.0  # times the constant: 1 while the vector is there
    runs: Number = 1.0  # 0 once it is harvested


def exp(x: Number) -> Number:
    """For one number as Python does it, for an array as numpy does."""
    return math.exp(x) if isinstance(x, float) else np.exp(x)


def slope(age_h: float, bag: Bag, theta: Theta, drive: Drive) -> tuple[Bag, Flows]:
    """d/dt of the bag and of its flows, per hour."""
    sugar = greater(bag.glucose, 0.0)
    awake = 1.0 / (1.0 + exp((theta.awake_at - age_h) / theta.awake_over))
    stimulus = exp(-greater(age_h - TIRES_H, 0.0) / theta.stimulus)
    cold = (drive.temperature_c - REF_C) / 10.0
    warmth, dying = exp(cold * math.log(Q10)), exp(cold * (-10.0 / 3.0) * math.log(DEATH_OF_3K))
    acid = bag.lactate / theta.half_lactate
    growth = theta.growth * awake * stimulus * warmth * sugar / (theta.half_glucose + sugar) / (1.0 + acid * acid)
    sour = bag.lactate / theta.death_lactate
    death = theta.death * dying * (1.0 + sour * sour * sour) + theta.death_hungry * 0.1 / (0.1 + sugar) + theta.toxicity * drive.toxic
    moved = theta.contraction * (1.0 - stimulus) * bag.activated
    grown, lost, gone = growth * bag.activated, death * bag.activated, theta.death_quiescent * dying * bag.quiescent
    lysed = theta.lysis * bag.dead
    # Uptake goes with growth as a share of what these cells can do: slow donors are not thrifty ones.
    eaten = theta.uptake_growth * growth / theta.growth * bag.activated + theta.uptake_upkeep * warmth * bag.viable
    eaten = eaten * 1e-3 * sugar / (theta.half_uptake + sugar)
    fed = drive.exchange_ml_h * drive.medium_glucose * 1e-3
    sugar_out, acid_out = drive.exchange_ml_h * bag.glucose * 1e-3, drive.exchange_ml_h * bag.lactate * 1e-3
    litre = drive.volume_ml * 1e-3
    flows = Flows(grown, lost + gone, lysed, eaten, fed, sugar_out, acid_out)
    return Bag(
        grown - lost - moved,
        moved - gone,
        lost + gone - lysed,
        theta.other_growth * warmth * sugar / (theta.half_glucose + sugar) * bag.other,
        (fed - sugar_out - eaten) / litre,
        (theta.lactate_of_glucose * eaten - acid_out) / litre,
    ), flows


def stepped(age_h: float, bag: Bag, flows: Flows, theta: Theta, drive: Drive, hours: float) -> tuple[Bag, Flows]:
    """One step of RK4."""
    half = 0.5 * hours
    k1, f1 = slope(age_h, bag, theta, drive)
    k2, f2 = slope(age_h + half, _along(bag, k1, half), theta, drive)
    k3, f3 = slope(age_h + half, _along(bag, k2, half), theta, drive)
    k4, f4 = slope(age_h + hours, _along(bag, k3, hours), theta, drive)
    sixth = hours / 6.0 * drive.runs
    bag = Bag(*[x + (a + 2.0 * (b + c) + d) * sixth for x, a, b, c, d in zip(bag, k1, k2, k3, k4, strict=True)])
    flows = Flows(*[x + (a + 2.0 * (b + c) + d) * sixth for x, a, b, c, d in zip(flows, f1, f2, f3, f4, strict=True)])
    return bag, flows


def _along(bag: Bag, k: Bag, hours: float) -> Bag:
    return Bag(*[x + hours * d for x, d in zip(bag, k, strict=True)])


def car_positive(integrations: Number, dispersion: Number) -> Number:
    """Percent of cells with at least one copy, where copies are negative-binomial with this mean."""
    return 100.0 * (1.0 - (1.0 + integrations / dispersion) ** -dispersion)


def vcn_of_positive(integrations: Number, dispersion: Number) -> Number:
    """Copies in a cell that has any; one copy where there are none to count."""
    share = car_positive(integrations, dispersion) / 100.0
    return np.where(share > 0.0, integrations / np.where(share > 0.0, share, 1.0), 1.0)
