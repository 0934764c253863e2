"""A fed-batch of CHO cells that make an antibody: one set of equations for one vessel and for many.

Guarantees: `rates` is the only place where the biology is written; it takes plain floats
(one live bioreactor, cheap) or numpy arrays (many past batches at once) and gives the same
numbers to 1e-9. Dissolved oxygen is quasi-steady, so nothing here is stiff and classical
RK4 with steps of an hour or less is exact to 2e-7 over 14 days. A state that leaves its
physical range is refused by `check`, never carried on.
Leaves to others: controllers, doses, sensors and faults (facility), scatter between
batches (`Theta.varied` takes the scatter, `streams` makes it).

The form follows Xing, Bishop, Leister & Li 2010 (Biotechnol Prog 26:208) with constants
from Kornecki & Strube 2018 (Bioengineering 5:25), extended by lysis, lactate re-uptake, a
by-product brake on growth and oxygen. Its constants were fitted to typical targets of a
GS-CHO process: it is **illustrative**, the model of no particular cell line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np

from isogenic.errors import NotValid

__all__ = [
    "EMPTY",
    "MEDIUM",
    "NOMINAL",
    "STEP_H_MAX",
    "Culture",
    "Drive",
    "Liquid",
    "Theta",
    "advance",
    "check",
    "dissolved_oxygen",
    "mixed",
    "rates",
    "seed_train",
]

# A float, or an array with one entry for each batch: the equations below do not care.
Number = Any

STEP_H_MAX = 1.0  # the relative error of RK4 over 14 days is 1.6e-7 at this step
OXYGEN_AT_SETPOINT_MM = 0.084  # at 40 % of air saturation
OXYGEN_MM_PER_PERCENT = OXYGEN_AT_SETPOINT_MM / 40.0
GLUCOSE_STOCK_MM = 2500.0  # the bolus stock
FEED_GLUCOSE_MM = 210.0
FEED_GLUTAMINE_MM = 20.5


class Culture(NamedTuple):
    """What is in the vessel: intensive but for `volume`."""

    viable: Number  # 1e9 cell/L, which is 1e6 cell/mL
    dead: Number  # 1e9 cell/L
    lysed: Number  # 1e9 cell/L
    glucose: Number  # mM
    glutamine: Number  # mM
    lactate: Number  # mM
    ammonium: Number  # mM
    antibody: Number  # g/L
    age_integral: Number  # 1e9 cell h/L: by-products stand behind it, so it brakes growth
    volume: Number  # L


class Liquid(NamedTuple):
    """What a litre of something added brings, in the order of `Culture` without the volume."""

    viable: Number = 0.0
    dead: Number = 0.0
    lysed: Number = 0.0
    glucose: Number = 0.0
    glutamine: Number = 0.0
    lactate: Number = 0.0
    ammonium: Number = 0.0
    antibody: Number = 0.0
    age_integral: Number = 0.0


EMPTY = Culture(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
MEDIUM = Liquid(glucose=33.0, glutamine=5.0, lactate=1.0, ammonium=0.8)
FEED = Liquid(glucose=FEED_GLUCOSE_MM, glutamine=FEED_GLUTAMINE_MM)
GLUCOSE_STOCK = Liquid(glucose=GLUCOSE_STOCK_MM)


def seed_train(fraction: float = 0.1) -> Liquid:
    """The seed culture that brings 0.5e6 viable cells/mL when it is `fraction` of the volume."""
    return MEDIUM._replace(viable=0.5 / fraction, dead=0.01 / fraction)


@dataclass(frozen=True, slots=True)
class Theta:
    """The constants of one batch: illustrative, fitted to typical targets. Rates are per 1e9 cells."""

    growth: Number = 0.0362  # 1/h, largest specific growth rate
    death: Number = 4.0e-4  # 1/h
    death_braked: Number = 5.1e-4  # 1/h, of cells that the by-products brake
    brake: Number = 1218.0  # 1e9 cell h/L
    brake_power: Number = 2.654
    half_glucose: Number = 0.5  # mM
    half_glutamine: Number = 0.05  # mM
    inhibit_lactate: Number = 60.0  # mM
    inhibit_ammonium: Number = 12.0  # mM
    kill_lactate: Number = 60.0  # mM; as for growth: with it the reference trajectory is met
    kill_ammonium: Number = 6.51  # mM (Xing)
    cells_of_glucose: Number = 1.05  # 1e9 cell/mmol
    cells_of_glutamine: Number = 8.0  # 1e9 cell/mmol
    upkeep: Number = 0.0177  # mmol glucose/h
    lactate_of_glucose: Number = 1.068  # mol/mol
    lactate_uptake: Number = 0.0155  # mmol/h
    half_lactate: Number = 8.0  # mM
    ammonium_of_glutamine: Number = 0.67  # mol/mol
    ammonium_uptake: Number = 5.2e-5  # mmol/h
    glutamine_upkeep: Number = 6.0e-4  # mmol/h
    half_glutamine_upkeep: Number = 1.0  # mM
    glutamine_decay: Number = 3.0e-3  # 1/h
    product: Number = 1.495e-3  # g/h
    lysis: Number = 0.010  # 1/h
    transfer: Number = 7.0  # 1/h, kLa of the clean sparger
    oxygen_saturation: Number = 1.0  # mM, enriched gas
    oxygen_uptake: Number = 0.25  # mmol/h
    half_oxygen: Number = 0.01  # mM

    def varied(self, **etas: Number) -> Theta:
        """These constants times exp(eta): log-normal scatter of site, lot and batch, added up in eta."""
        known = {field.name for field in fields(self)}
        if unknown := set(etas) - known:
            raise NotValid(f"cannot vary {', '.join(sorted(unknown))}", why="no such constant", possible=", ".join(sorted(known)))
        return replace(self, **{name: getattr(self, name) * math.e**eta for name, eta in etas.items()})


NOMINAL = Theta()


class Drive(NamedTuple):
    """What the plant does to the culture during one step."""

    feed_l_h: Number = 0.0
    transfer_factor: Number = 1.0  # of the clean kLa: fouling, agitation
    oxygen_sp_percent: Number = 40.0
    temperature_c: Number = 37.0
    ph: Number = 7.0


def dissolved_oxygen(viable: Number, *, theta: Theta, drive: Drive) -> Number:
    """Quasi-steady dissolved oxygen, mM: the set-point while the sparger can supply it, else what supply and demand leave."""
    wanted = drive.oxygen_sp_percent * OXYGEN_MM_PER_PERCENT
    transfer = theta.transfer * drive.transfer_factor + 1e-9  # 1e-9: a stopped sparger supplies nothing, and divides nothing by zero
    b = theta.oxygen_uptake * viable / transfer + theta.half_oxygen - theta.oxygen_saturation
    supplied = 0.5 * ((b * b + 4.0 * theta.half_oxygen * theta.oxygen_saturation) ** 0.5 - b)
    return _lesser(wanted, supplied)  # supply falls as oxygen rises, so the lesser is the one that holds


def rates(culture: Culture, *, theta: Theta, drive: Drive) -> Culture:
    """d/dt of every entry, per hour."""
    viable, dead, lysed, glucose, glutamine, lactate, ammonium, antibody, _, volume = culture
    glucose, glutamine, lactate, ammonium = _positive(glucose), _positive(glutamine), _positive(lactate), _positive(ammonium)
    oxygen = dissolved_oxygen(viable, theta=theta, drive=drive)
    breath = oxygen / (theta.half_oxygen + oxygen)
    braked = 1.0 / (1.0 + (culture.age_integral / theta.brake) ** theta.brake_power)

    # Temperature and pH, illustrative: growth by Q10 of 2.2; per 3 degC down, 15 % more product and 0.7 of the death;
    # above 37 degC death rises steeply, four times in 2 degC.
    warm = drive.temperature_c - 37.0
    fastest = theta.growth * 2.2 ** (warm / 10.0)
    death = 0.7 ** (-warm / 3.0) * 4.0 ** (_positive(warm) / 2.0)
    product = theta.product * 1.15 ** (-_lesser(warm, 0.0) / 3.0)
    acid = math.e ** -(((drive.ph - 7.0) / 0.35) ** 2)

    growth = fastest * acid * breath * braked
    growth = growth * glucose / (theta.half_glucose + glucose) * glutamine / (theta.half_glutamine + glutamine)
    growth = growth * theta.inhibit_lactate / (theta.inhibit_lactate + lactate) * theta.inhibit_ammonium / (theta.inhibit_ammonium + ammonium)
    slack = 1.0 - growth / fastest
    stress = 0.3 + lactate / (theta.kill_lactate + lactate) + ammonium / (theta.kill_ammonium + ammonium)
    dying = death * (theta.death * stress + theta.death_braked * (1.0 - braked) ** 2)
    dying = dying + 0.01 * (1.0 - breath) + 0.02 * 0.05 / (0.05 + glucose)

    fed = glucose / (0.2 + glucose)
    eaten = (growth / theta.cells_of_glucose + theta.upkeep) * fed
    lactate_made = theta.lactate_of_glucose * eaten * (growth / fastest) ** 0.7
    lactate_eaten = theta.lactate_uptake * lactate / (theta.half_lactate + lactate) * slack * slack
    glutamine_eaten = growth / theta.cells_of_glutamine + theta.glutamine_upkeep * glutamine / (theta.half_glutamine_upkeep + glutamine)
    ammonium_made = theta.ammonium_of_glutamine * glutamine_eaten - theta.ammonium_uptake * ammonium / (0.05 + ammonium)
    made = product * (0.4 + 0.6 * slack) * fed

    feed = drive.feed_l_h
    dilution = feed / (volume + 1e-12)
    decay = theta.glutamine_decay * glutamine
    return Culture(
        viable=(growth - dying - dilution) * viable,
        dead=dying * viable - (theta.lysis + dilution) * dead,
        lysed=theta.lysis * dead - dilution * lysed,
        glucose=dilution * (FEED_GLUCOSE_MM - glucose) - eaten * viable,
        glutamine=dilution * (FEED_GLUTAMINE_MM - glutamine) - glutamine_eaten * viable - decay,
        lactate=(lactate_made - lactate_eaten) * viable - dilution * lactate,
        ammonium=ammonium_made * viable + decay - dilution * ammonium,
        antibody=made * viable - dilution * antibody,
        age_integral=viable,
        volume=feed,
    )


def advance(culture: Culture, *, hours: float, theta: Theta, drive: Drive) -> Culture:
    """The culture `hours` later under a constant drive: classical RK4 in equal steps of at most `STEP_H_MAX`."""
    steps = max(1, math.ceil(hours / STEP_H_MAX - 1e-9))
    h = hours / steps
    for _ in range(steps):
        k1 = rates(culture, theta=theta, drive=drive)
        k2 = rates(_along(culture, k1, h / 2.0), theta=theta, drive=drive)
        k3 = rates(_along(culture, k2, h / 2.0), theta=theta, drive=drive)
        k4 = rates(_along(culture, k3, h), theta=theta, drive=drive)
        culture = Culture(*[x + (a + 2.0 * (b + c) + d) * (h / 6.0) for x, a, b, c, d in zip(culture, k1, k2, k3, k4, strict=True)])
    return culture


def mixed(culture: Culture, *, litres: Number, liquid: Liquid) -> Culture:
    """The culture after `litres` of a liquid were added and stirred in."""
    volume = culture.volume + litres
    share = litres / (volume + 1e-12)
    return Culture(*[here + share * (there - here) for here, there in zip(culture[:-1], liquid, strict=True)], *[volume])


# Far beyond what any vessel can hold: outside, the numbers are wrong, not the culture.
HIGHEST = Culture(200.0, 200.0, 500.0, 2600.0, 300.0, 500.0, 300.0, 50.0, 1e6, 1e6)
LOWEST = -1e-6  # rounding of a substance that ran out


def check(culture: Culture) -> Culture:
    """The culture, or `NotValid` naming what left its physical range."""
    for name, value, high in zip(Culture._fields, culture, HIGHEST, strict=True):
        # A comparison with NaN is false, so it is caught with the rest; numpy is asked for arrays only, because it is slow for one number.
        within = LOWEST <= value <= high if type(value) is float else bool(np.all((value >= LOWEST) & (value <= high)))
        if not within:
            raise NotValid(f"cannot go on with {name} at {value}", why=f"the physical range is 0 to {high:g}")
    return culture


def _along(culture: Culture, slope: Sequence[Number], h: float) -> Culture:
    return Culture(*[x + h * k for x, k in zip(culture, slope, strict=True)])


def _positive(value: Number) -> Number:
    return 0.5 * (value + abs(value))


def _lesser(one: Number, other: Number) -> Number:
    return 0.5 * (one + other - abs(one - other))
