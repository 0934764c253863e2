"""A fed-batch of CHO cells that make an antibody: one set of equations for one vessel and for many.

Guarantees: `slopes` is the only place where the biology is written; it takes plain floats (one live bioreactor,
cheap), numpy arrays (many batches at once) or is compiled (`compiled`), and gives the same numbers to 1e-9. Dissolved
oxygen and carbon dioxide are quasi-steady, so nothing here is stiff and classical RK4 with steps of an hour or less is
exact to 2e-7 over 14 days. A state that leaves its physical range is refused by `check`, never carried on.
Leaves to others: controllers, doses, sensors and faults (the vessel, `antibody`), the feeding rule (`feeding`), scatter
between batches (`Theta.varied` takes the scatter, `streams` makes it), where the constants are from (`cho_fit`).

The form follows Xing, Bishop, Leister & Li 2010 (Biotechnol Prog 26:208) with constants from Kornecki & Strube 2018
(Bioengineering 5:25), extended by lysis, lactate re-uptake, a by-product brake on growth, oxygen, carbon dioxide,
osmolality and lumped amino acids, which growth and product both need: without them more feed would only dilute. Its
constants were fitted to typical targets of a GS-CHO process: it is **illustrative**, the model of no particular cell
line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np

from isogenic.errors import NotValid
from isogenic.sim.processes.arithmetic import LEAST, Number, greater, lesser, power, root

__all__ = [
    "EMPTY",
    "FEED",
    "GLUCOSE_STOCK",
    "MEDIUM",
    "NOMINAL",
    "STEP_H_MAX",
    "Culture",
    "Drive",
    "Liquid",
    "Pace",
    "Theta",
    "advance",
    "broken",
    "carbon_dioxide",
    "check",
    "dissolved_oxygen",
    "mixed",
    "near_limits",
    "osmolality",
    "pace",
    "rates",
    "seed_train",
    "slopes",
    "stepped",
    "true_ph",
]

STEP_H_MAX = 1.0  # the relative error of RK4 over 14 days is 1.6e-7 at this step
OXYGEN_AT_SETPOINT_MM = 0.084  # at 40 % of air saturation
OXYGEN_MM_PER_PERCENT = OXYGEN_AT_SETPOINT_MM / 40.0
CARBON_DIOXIDE_MM_PER_MMHG = 0.0307  # Henry's law at 37 degC
CARBON_DIOXIDE_HIGH_MMHG = 120.0  # above, growth falls, by a fifth over the next 20 mmHg
SALTS_MOSM = 198.0  # of medium and feed alike: with what else is in it, medium has 300 mOsm
OSMOLALITY_HIGH_MOSM = 400.0  # above, growth falls by 1 % for each 5 mOsm
LACTATE_OF_BASE_MM = 30.0  # as much acid as the base pump holds; beyond, pH falls
ACID_MM_PER_PH = 30.0  # at first; nearer its pK lactic acid holds the pH by itself
ACID_PH = 3.9  # its pK: no lactic acid goes below
GLUCOSE_STOCK_MM = 2500.0  # the bolus stock


class Culture(NamedTuple):
    """What is in the vessel: intensive but for `volume`."""

    viable: Number  # 1e9 cell/L, which is 1e6 cell/mL
    dead: Number  # 1e9 cell/L
    lysed: Number  # 1e9 cell/L
    glucose: Number  # mM
    glutamine: Number  # mM
    lactate: Number  # mM
    ammonium: Number  # mM
    amino_acids: Number  # mM, all others together
    antibody: Number  # g/L
    bacteria: Number  # g/L; none, unless it is contaminated
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
    amino_acids: Number = 0.0
    antibody: Number = 0.0
    bacteria: Number = 0.0
    age_integral: Number = 0.0


EMPTY = Culture(*[0.0] * 12)
MEDIUM = Liquid(glucose=33.0, glutamine=5.0, lactate=1.0, ammonium=0.8, amino_acids=45.0)
FEED = Liquid(glucose=210.0, glutamine=20.5, amino_acids=300.0)
GLUCOSE_STOCK = Liquid(glucose=GLUCOSE_STOCK_MM)


def seed_train(fraction: float = 0.1, medium: Liquid = MEDIUM) -> Liquid:
    """The seed culture that brings 0.5e6 viable cells/mL when it is `fraction` of the volume."""
    return medium._replace(viable=0.5 / fraction, dead=0.01 / fraction)


@dataclass(frozen=True, slots=True)
class Theta:
    """The constants of one batch: illustrative, fitted to typical targets. Rates are per 1e9 cells."""

    growth: Number = 0.0372  # 1/h, largest specific growth rate
    death: Number = 4.49e-4  # 1/h
    death_braked: Number = 5.47e-4  # 1/h, of cells that the by-products brake
    death_starved: Number = 0.0142  # 1/h, without glucose
    brake: Number = 1207.0  # 1e9 cell h/L
    brake_power: Number = 2.5
    half_glucose: Number = 0.5  # mM
    half_glutamine: Number = 0.05  # mM
    half_amino_acids: Number = 1.0  # mM, of growth
    half_amino_acids_product: Number = 19.0  # mM; product needs more of them than growth does
    inhibit_lactate: Number = 60.0  # mM
    inhibit_ammonium: Number = 12.0  # mM
    kill_lactate: Number = 60.0  # mM; as for growth: with it the reference trajectory is met
    kill_ammonium: Number = 6.51  # mM (Xing)
    cells_of_glucose: Number = 1.028  # 1e9 cell/mmol
    cells_of_glutamine: Number = 8.0  # 1e9 cell/mmol
    upkeep: Number = 0.01743  # mmol glucose/h
    lactate_of_glucose: Number = 1.09  # mol/mol
    lactate_uptake: Number = 0.01578  # mmol/h
    half_lactate: Number = 8.0  # mM
    ammonium_of_glutamine: Number = 0.67  # mol/mol
    ammonium_uptake: Number = 5.2e-5  # mmol/h
    glutamine_upkeep: Number = 6.0e-4  # mmol/h
    half_glutamine_upkeep: Number = 1.0  # mM
    glutamine_decay: Number = 3.0e-3  # 1/h
    amino_acids_of_cells: Number = 0.35  # mmol for 1e9 cells
    amino_acids_of_product: Number = 9.1  # mmol/g: a residue of a protein weighs 110 g/mol
    amino_acids_upkeep: Number = 0.00388  # mmol/h
    product: Number = 2.070e-3  # g/h
    product_growing: Number = 0.384  # share of it that cells make which grow at their fastest
    lysis: Number = 0.010  # 1/h
    transfer: Number = 7.0  # 1/h, kLa of the clean sparger
    oxygen_saturation: Number = 1.0  # mM, enriched gas
    oxygen_uptake: Number = 0.25  # mmol/h
    half_oxygen: Number = 0.01  # mM
    stripping: Number = 1.8  # 1/h, of carbon dioxide

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
    ph: Number = 7.0  # as the controller holds it; see `true_ph`
    feed: Liquid = FEED


class Pace(NamedTuple):
    """What `slopes` needs besides the culture, and what stays as it is during a step: constants and drive, worked out once."""

    feed_l_h: Number
    feed_glucose: Number
    feed_glutamine: Number
    feed_amino_acids: Number
    wanted_oxygen: Number  # mM
    demand_of_cells: Number  # mM for 1e9 cell/L: what they would draw, over what the sparger transfers
    demand_of_bacteria: Number
    oxygen_gap: Number  # half - saturation, mM
    oxygen_room: Number  # 4 half saturation
    half_oxygen: Number
    carbon_dioxide: Number  # mmHg for 1e9 cell/L that breathe freely
    fastest: Number  # 1/h
    growth_top: Number
    death: Number
    death_braked: Number
    starved: Number
    brake: Number
    brake_power: Number
    product_growing: Number
    product_resting: Number
    half_glucose: Number
    half_glutamine: Number
    half_amino_acids: Number
    half_amino_acids_product: Number
    inhibit_lactate: Number
    inhibit_ammonium: Number
    kill_lactate: Number
    kill_ammonium: Number
    glucose_of_cells: Number
    glutamine_of_cells: Number
    upkeep: Number
    lactate_of_glucose: Number
    lactate_uptake: Number
    half_lactate: Number
    ammonium_of_glutamine: Number
    ammonium_uptake: Number
    glutamine_upkeep: Number
    half_glutamine_upkeep: Number
    glutamine_decay: Number
    amino_acids_of_cells: Number
    amino_acids_of_product: Number
    amino_acids_upkeep: Number
    lysis: Number
    contaminated: bool
    near_limits: bool  # of carbon dioxide or osmolality, within what an hour can bring


def dissolved_oxygen(viable: Number, *, theta: Theta, drive: Drive, bacteria: Number = 0.0) -> Number:
    """Quasi-steady dissolved oxygen, mM: the set-point while the sparger can supply it, else what supply and demand leave."""
    here = pace(theta, drive=drive, contaminated=True)
    return _oxygen(here.demand_of_cells * viable + here.demand_of_bacteria * bacteria, here)


def carbon_dioxide(viable: Number, *, theta: Theta, drive: Drive, bacteria: Number = 0.0) -> Number:
    """Quasi-steady partial pressure of carbon dioxide, mmHg: what cells breathe out, over what the gas carries off."""
    oxygen = dissolved_oxygen(viable, theta=theta, drive=drive, bacteria=bacteria)
    breathed = (theta.oxygen_uptake * viable + BACTERIA_OXYGEN * bacteria) * oxygen / (theta.half_oxygen + oxygen)
    return breathed / (theta.stripping * CARBON_DIOXIDE_MM_PER_MMHG)


def osmolality(culture: Culture) -> Number:
    """mOsm/kg: salts, what cells eat, and their acids and ammonium each with its counter-ion."""
    return SALTS_MOSM + culture.glucose + culture.glutamine + culture.amino_acids + 2.0 * (culture.lactate + culture.ammonium)


def true_ph(ph: Number, lactate: Number) -> Number:
    """The pH that is there: what the controller holds, less the acid that its base cannot; never below the acid's own pK."""
    down, room = greater(lactate - LACTATE_OF_BASE_MM, 0.0) / ACID_MM_PER_PH, ph - ACID_PH
    return ph - room * down / (room + down)


# Bacteria, illustrative: they double every 83 minutes on glucose and oxygen.
BACTERIA_GROWTH = 0.5  # 1/h
BACTERIA_OXYGEN = 10.0  # mmol/g/h
BACTERIA_GLUCOSE = 5.6  # mmol/g/h
BACTERIA_ACID = 7.0  # mmol/g/h


def pace(theta: Theta, *, drive: Drive, lactate: Number = 0.0, contaminated: bool = False, near_limits: bool = True) -> Pace:
    """Constants and drive as the equations need them.

    Temperature and pH, illustrative: growth by Q10 of 2.2; per 3 degC down, 15 % more product and 0.7 of the death;
    above 37 degC death rises steeply, four times in 2 degC. What lactate does to the pH counts from the start of a step.
    """
    warm = drive.temperature_c - 37.0
    ph = true_ph(drive.ph, lactate)
    fastest = theta.growth * 2.2 ** (warm / 10.0) + 1e-12  # 1e-12: cells that cannot grow divide nothing by zero
    transfer = theta.transfer * drive.transfer_factor + 1e-9  # likewise a stopped sparger
    hot = 0.7 ** (-warm / 3.0) * 4.0 ** (greater(warm, 0.0) / 2.0)
    product = theta.product * 1.15 ** (-lesser(warm, 0.0) / 3.0)
    return Pace(
        feed_l_h=drive.feed_l_h,
        feed_glucose=drive.feed.glucose,
        feed_glutamine=drive.feed.glutamine,
        feed_amino_acids=drive.feed.amino_acids,
        wanted_oxygen=drive.oxygen_sp_percent * OXYGEN_MM_PER_PERCENT,
        demand_of_cells=theta.oxygen_uptake / transfer,
        demand_of_bacteria=BACTERIA_OXYGEN / transfer,
        oxygen_gap=theta.half_oxygen - theta.oxygen_saturation,
        oxygen_room=4.0 * theta.half_oxygen * theta.oxygen_saturation,
        half_oxygen=theta.half_oxygen,
        carbon_dioxide=theta.oxygen_uptake / (theta.stripping * CARBON_DIOXIDE_MM_PER_MMHG),
        fastest=fastest,
        growth_top=theta.inhibit_lactate * theta.inhibit_ammonium * math.e ** -(((ph - 7.0) / 0.35) ** 2),
        death=hot * theta.death,
        death_braked=hot * theta.death_braked,
        starved=theta.death_starved,
        brake=theta.brake,
        brake_power=theta.brake_power,
        product_growing=product * theta.product_growing,
        product_resting=product * (1.0 - theta.product_growing),
        half_glucose=theta.half_glucose,
        half_glutamine=theta.half_glutamine,
        half_amino_acids=theta.half_amino_acids,
        half_amino_acids_product=theta.half_amino_acids_product,
        inhibit_lactate=theta.inhibit_lactate,
        inhibit_ammonium=theta.inhibit_ammonium,
        kill_lactate=theta.kill_lactate,
        kill_ammonium=theta.kill_ammonium,
        glucose_of_cells=fastest / theta.cells_of_glucose,
        glutamine_of_cells=fastest / theta.cells_of_glutamine,
        upkeep=theta.upkeep,
        lactate_of_glucose=theta.lactate_of_glucose,
        lactate_uptake=theta.lactate_uptake,
        half_lactate=theta.half_lactate,
        ammonium_of_glutamine=theta.ammonium_of_glutamine,
        ammonium_uptake=theta.ammonium_uptake,
        glutamine_upkeep=theta.glutamine_upkeep,
        half_glutamine_upkeep=theta.half_glutamine_upkeep,
        glutamine_decay=theta.glutamine_decay,
        amino_acids_of_cells=theta.amino_acids_of_cells * fastest,
        amino_acids_of_product=theta.amino_acids_of_product,
        amino_acids_upkeep=theta.amino_acids_upkeep,
        lysis=theta.lysis,
        contaminated=contaminated,
        near_limits=near_limits,
    )


NEAR_CARBON_DIOXIDE_MMHG = 100.0  # cells grow by 4 % an hour at most
NEAR_OSMOLALITY_MOSM = 360.0


def near_limits(culture: Culture, carbon_dioxide_of_cells: Number) -> bool:
    """Whether any batch may reach a limit of carbon dioxide or osmolality within the hour: if not, `slopes` need not ask."""
    breathed, osmotic = carbon_dioxide_of_cells * culture.viable, osmolality(culture)
    if type(breathed) is float and type(osmotic) is float:
        return breathed > NEAR_CARBON_DIOXIDE_MMHG or osmotic > NEAR_OSMOLALITY_MOSM
    return bool(breathed.max() > NEAR_CARBON_DIOXIDE_MMHG or osmotic.max() > NEAR_OSMOLALITY_MOSM)


def _oxygen(demand: Number, now: Pace) -> Number:
    b = demand + now.oxygen_gap
    supplied = 0.5 * (root(b * b + now.oxygen_room) - b)
    return lesser(now.wanted_oxygen, supplied)  # supply falls as oxygen rises, so the lesser is the one that holds


def slopes(culture: Culture, now: Pace) -> Culture:
    """d/dt of every entry, per hour. Growth, eating and making are per 1e9 cells; `share` is growth as a share of the fastest."""
    viable, dead, lysed, glucose, glutamine, lactate, ammonium, amino, antibody, bacteria, age_integral, volume = culture
    glucose, glutamine, amino = greater(glucose, 0.0), greater(glutamine, 0.0), greater(amino, 0.0)

    demand = now.demand_of_cells * viable
    if now.contaminated:
        demand = demand + now.demand_of_bacteria * bacteria
    oxygen = _oxygen(demand, now)
    breath = oxygen / (now.half_oxygen + oxygen)
    braked = 1.0 / (1.0 + power(greater(age_integral / now.brake, LEAST), now.brake_power))

    built = amino / (now.half_amino_acids + amino)  # what can be built of the amino acids that are there
    room = (now.half_glucose + glucose) * (now.half_glutamine + glutamine) * (now.inhibit_lactate + lactate) * (now.inhibit_ammonium + ammonium)
    share = breath * braked * built * now.growth_top * glucose * glutamine / room
    if now.near_limits:  # of carbon dioxide and osmolality, illustrative: below them they do nothing
        share = share * (1.0 - 0.01 * lesser(greater(now.carbon_dioxide * breath * viable - CARBON_DIOXIDE_HIGH_MMHG, 0.0), 20.0))
        osmotic = SALTS_MOSM + glucose + glutamine + amino + 2.0 * (lactate + ammonium)
        share = share * greater(1.0 - 0.002 * greater(osmotic - OSMOLALITY_HIGH_MOSM, 0.0), 0.0)
    share = greater(share, LEAST)
    slack = 1.0 - share
    stress = 0.3 + lactate / (now.kill_lactate + lactate) + ammonium / (now.kill_ammonium + ammonium)
    dying = now.death * stress + now.death_braked * (1.0 - braked) ** 2 + 0.01 * (1.0 - breath) + now.starved * 0.05 / (0.05 + glucose)

    fed = glucose / (0.2 + glucose)
    eaten = (now.glucose_of_cells * share + now.upkeep) * fed
    lactate_made = now.lactate_of_glucose * eaten * power(share, 0.7) - now.lactate_uptake * lactate / (now.half_lactate + lactate) * (slack * slack)
    glutamine_eaten = now.glutamine_of_cells * share + now.glutamine_upkeep * glutamine / (now.half_glutamine_upkeep + glutamine)
    ammonium_made = now.ammonium_of_glutamine * glutamine_eaten - now.ammonium_uptake * ammonium / (0.05 + ammonium)
    made = (now.product_growing + now.product_resting * slack) * fed * (amino / (now.half_amino_acids_product + amino))
    amino_eaten = now.amino_acids_of_cells * share + now.amino_acids_of_product * made + now.amino_acids_upkeep * built

    dilution = now.feed_l_h / (volume + 1e-12)
    decay = now.glutamine_decay * glutamine
    died = dying * viable
    broke = now.lysis * dead
    glucose_used, acid_made, bacteria_grown = eaten * viable, lactate_made * viable, 0.0
    if now.contaminated:
        thriving = bacteria * (glucose / (1.0 + glucose)) * (0.3 + 0.7 * breath)
        glucose_used = glucose_used + BACTERIA_GLUCOSE * thriving
        acid_made = acid_made + BACTERIA_ACID * thriving
        bacteria_grown = BACTERIA_GROWTH * thriving - dilution * bacteria
    return Culture(
        (now.fastest * share - dying - dilution) * viable,
        died - broke - dilution * dead,
        broke - dilution * lysed,
        dilution * (now.feed_glucose - culture.glucose) - glucose_used,
        dilution * (now.feed_glutamine - culture.glutamine) - glutamine_eaten * viable - decay,
        acid_made - dilution * lactate,
        ammonium_made * viable + decay - dilution * ammonium,
        dilution * (now.feed_amino_acids - culture.amino_acids) - amino_eaten * viable,
        made * viable - dilution * antibody,
        bacteria_grown,
        viable,
        now.feed_l_h,
    )


def rates(culture: Culture, *, theta: Theta, drive: Drive) -> Culture:
    """d/dt of every entry, per hour."""
    return slopes(culture, pace(theta, drive=drive, lactate=culture.lactate, contaminated=_contaminated(culture)))


def advance(culture: Culture, *, hours: float, theta: Theta, drive: Drive) -> Culture:
    """The culture `hours` later under a constant drive: classical RK4 in equal steps of at most `STEP_H_MAX`."""
    steps = max(1, math.ceil(hours / STEP_H_MAX - 1e-9))
    contaminated = _contaminated(culture)
    for _ in range(steps):
        now = pace(theta, drive=drive, lactate=culture.lactate, contaminated=contaminated)
        if not contaminated and not near_limits(culture, now.carbon_dioxide):
            now = now._replace(near_limits=False)
        culture = stepped(culture, now, hours / steps)
    return culture


def stepped(culture: Culture, now: Pace, h: float) -> Culture:
    """One step of classical RK4."""
    k1 = slopes(culture, now)
    k2 = slopes(_along(culture, k1, 0.5 * h), now)
    k3 = slopes(_along(culture, k2, 0.5 * h), now)
    k4 = slopes(_along(culture, k3, h), now)
    sixth = h / 6.0
    return Culture(*[x + (a + 2.0 * (b + c) + d) * sixth for x, a, b, c, d in zip(culture, k1, k2, k3, k4, strict=True)])


def _along(culture: Culture, slope: Culture, h: float) -> Culture:
    return Culture(*[x + h * k for x, k in zip(culture, slope, strict=True)])


def _contaminated(culture: Culture) -> bool:
    return culture.bacteria > 0.0 if type(culture.bacteria) is float else bool(np.any(culture.bacteria > 0.0))


def mixed(culture: Culture, *, litres: Number, liquid: Liquid) -> Culture:
    """The culture after `litres` of a liquid were added and stirred in."""
    volume = culture.volume + litres
    share = litres / (volume + 1e-12)
    return Culture(*[here + share * (there - here) for here, there in zip(culture[:-1], liquid, strict=True)], *[volume])


# Far beyond what any vessel can hold: outside, the numbers are wrong, not the culture.
HIGHEST = Culture(200.0, 200.0, 500.0, 2600.0, 300.0, 500.0, 300.0, 1000.0, 50.0, 200.0, 1e6, 1e6)
LOWEST = -1e-6  # rounding of a substance that ran out


def check(culture: Culture) -> Culture:
    """The culture, or `NotValid` naming what left its physical range."""
    for name, value, high in zip(Culture._fields, culture, HIGHEST, strict=True):
        # A comparison with NaN is false, so it is caught with the rest; numpy is asked for arrays only, because it is slow for one number.
        within = LOWEST <= value <= high if type(value) is float else bool(np.all((value >= LOWEST) & (value <= high)))
        if not within:
            raise _outside(name, value)
    return culture


def broken(culture: Culture) -> dict[int, str]:
    """Which of many batches left the physical range, and why; `culture` is arrays."""
    found: dict[int, str] = {}
    for name, value, high in zip(Culture._fields, culture, HIGHEST, strict=True):
        if not isinstance(value, np.ndarray) or (value.min() >= LOWEST and value.max() <= high):  # false with a NaN among them
            continue
        for at in np.flatnonzero(~((value >= LOWEST) & (value <= high))):
            found.setdefault(int(at), str(_outside(name, float(value[at]))))
    return found


def _outside(name: str, value: Number) -> NotValid:
    return NotValid(f"cannot go on with {name} at {value}", why=f"the physical range is 0 to {getattr(HIGHEST, name):g}")
