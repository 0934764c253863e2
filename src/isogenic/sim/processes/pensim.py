"""PenSim: the penicillin benchmark of a 100-L fed-batch of Penicillium chrysogenum.

Guarantees: `PENSIM.run` is a function of its arguments; one batch alone and among many has the same bytes. Biomass,
substrate and penicillin are carried as amounts and their flows are integrated beside them (`simulate`), so every
balance closes to rounding. A batch that leaves its physical range stops with a reason.
Leaves to others: dice (`variation`), instruments, the industrial-scale benchmark (`indpensim`).

Equations and constants: Birol, Undey & Cinar 2002 (Comput Chem Eng 26:1553). Growth is Contois in substrate and oxygen,
with pH and temperature; penicillin has substrate inhibition and decays; water evaporates; the batch phase ends, and
feeding begins, where the substrate has fallen to the switch. Three things are ours, and said so:
- oxygen is quasi-steady (its time constant is half a minute, the batch's is hours): the root of supply = demand;
- temperature and pH are held, so heat, coolant and base are what holding them takes (the benchmark leaves its
  controllers to the user); coolant inlet and base strength are illustrative;
- a starving culture burns itself: upkeep that no substrate is left for is taken from the biomass (the published
  equations would let the substrate become negative). Illustrative, and nothing of the nominal batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isogenic.sim.processes.process import Constant, Fault, Floats, Mark, Mechanism, Outcome, Setting, Spread, Variable, check_faults, depth, filled
from isogenic.sim.processes.ranges import judged
from isogenic.sim.processes.trajectories import Track, grid, walk

__all__ = ["PENSIM", "PenSim", "simulate"]

STEP_H_MAX = 0.2  # RK4: 2e-6 of the biomass over 400 h against LSODA at 1e-9
STARVING_G_L = 1e-3  # below it the uptake for penicillin is steep (300 1/h), and the step is implicit
STARVING_PARTS = 4  # of a step: the implicit one is of first order, but what starves hardly moves
STARVING_TRIES = 10
NEWTON_AT_STEP, NEWTON_AT_STAGE = 6, 2  # the root moves little from stage to stage
BIROL = "Birol, Undey & Cinar 2002, Comput Chem Eng 26:1553"
CAL_PER_H_IN_W = 4.184 / 3600.0
SPREADS = {"max_growth": Spread(0.015, 0.02, 0.03), "max_product": Spread(0.015, 0.02, 0.04), "transfer": Spread(0.02, 0.0, 0.03)}


def _constants() -> dict[str, Constant]:
    published = (
        ("max_growth", 0.092, "1/h"),
        ("contois_substrate", 0.15, "g/g"),
        ("contois_oxygen", 0.02, "g/g"),
        ("contois_oxygen_product", 5e-4, "g/g"),
        ("max_product", 0.005, "1/h"),
        ("half_substrate_product", 2e-4, "g/L"),
        ("inhibit_substrate", 0.10, "g/L"),
        ("product_decay", 0.04, "1/h"),
        ("biomass_of_substrate", 0.45, "g/g"),
        ("biomass_of_oxygen", 0.04, "g/g"),
        ("product_of_substrate", 0.90, "g/g"),
        ("product_of_oxygen", 0.20, "g/g"),
        ("upkeep_substrate", 0.014, "1/h"),
        ("upkeep_oxygen", 0.467, "1/h"),
        ("oxygen_saturation", 1.16, "g/L"),
        ("transfer", 70.0, "1/h"),
        ("transfer_power", 0.4, "1"),
        ("ph_low", 1e-10, "mol/L"),
        ("ph_high", 7e-5, "mol/L"),
        ("growth_heat", 7e3, "1"),
        ("growth_heat_energy", 5100.0, "cal/mol"),
        ("death_heat", 1e33, "1"),
        ("death_heat_energy", 5e4, "cal/mol"),
        ("evaporation", 2.5e-4, "1/h"),
        ("feed_substrate", 600.0, "g/L"),
        ("heat_of_growth", 60.0, "cal/g"),
        ("heat_of_upkeep", 1.6783e-4, "cal/g/h"),
        ("coolant_heat", 2000.0, "cal/L/K"),
        ("coolant_transfer", 1000.0, "cal/h/K"),
        ("coolant_power", 0.6, "1"),
        ("co2_of_growth", 0.143, "mmol/g"),
        ("co2_of_biomass", 4e-7, "mmol/g/h"),
        ("co2_other", 1e-4, "mmol/L/h"),
        ("protons_of_growth", 1e-5, "mol/g"),
    )
    out = {name: Constant(name, value, unit, Mark.PUBLISHED, BIROL, SPREADS.get(name, Spread())) for name, value, unit in published}
    assumed = (("coolant_inlet", 288.15, "K"), ("base_strength", 3.0, "mol/L"))
    return out | {name: Constant(name, value, unit, Mark.ILLUSTRATIVE) for name, value, unit in assumed}


CONSTANTS = _constants()
SETTINGS = {
    each.name: each
    for each in (
        Setting("biomass_start", 0.1, "g/L", 0.001, 5.0, "biomass at inoculation"),
        Setting("substrate_start", 15.0, "g/L", 0.0, 60.0, "substrate at inoculation"),
        Setting("volume_start", 100.0, "L", 10.0, 150.0, "volume at inoculation"),
        Setting("aeration", 8.6, "L/h", 0.0, 30.0, "air flow"),
        Setting("agitation", 30.0, "W", 0.0, 100.0, "power of the stirrer"),
        Setting("temperature", 24.85, "degC", 15.0, 40.0, "temperature, held"),
        Setting("ph", 5.0, "pH", 3.0, 8.0, "pH, held"),
        Setting("feed", 0.0426, "L/h", 0.0, 1.0, "feed once the substrate fell to the switch"),
        Setting("switch", 0.3, "g/L", 0.001, 60.0, "substrate at which feeding begins"),
    )
}
VARIABLES = {
    each.name: each
    for each in (
        Variable("biomass", "g/L", 0.0, 200.0, "dry biomass", Mark.PUBLISHED),
        Variable("substrate", "g/L", 0.0, 600.0, "glucose", Mark.PUBLISHED),
        Variable("penicillin", "g/L", 0.0, 100.0, "penicillin", Mark.PUBLISHED),
        Variable("oxygen", "%", 0.0, 100.0, "dissolved oxygen, of saturation", Mark.PUBLISHED),
        Variable("volume", "L", 1.0, 1000.0, "volume of the broth", Mark.PUBLISHED),
        Variable("carbon_dioxide", "mM", 0.0, 1e4, "carbon dioxide given off, by litre", Mark.PUBLISHED),
        Variable("heat", "W", 0.0, 1e6, "heat of the culture, to be removed", Mark.PUBLISHED),
        Variable("coolant", "L/h", 0.0, 1e6, "cooling water that removes it"),
        Variable("base", "mL/h", 0.0, 1e6, "base that holds the pH"),
        Variable("feed_rate", "L/h", 0.0, 10.0, "feed as it flows", Mark.PUBLISHED),
    )
}
QUALITIES = {
    each.name: each
    for each in (
        Variable("titre", "g/L", 0.0, 100.0, "penicillin at the end", Mark.PUBLISHED),
        Variable("product", "g", 0.0, 1e5, "penicillin in the vessel at the end", Mark.PUBLISHED),
        Variable("switch_h", "h", 0.0, 1e4, "when feeding began; the end of the batch where it never did", Mark.PUBLISHED),
    )
}
FAULTS = {
    each.name: each
    for each in (
        Mechanism(
            "aeration_falls",
            "less air reaches the broth: the air flow times (1 - size); negative, it rises",
            "1",
            -1.0,
            1.0,
            "dissolved oxygen falls at once; growth and penicillin where it falls far",
            "titre",
            mark=Mark.PUBLISHED,
        ),
        Mechanism(
            "agitation_falls",
            "the stirrer brings less power: times (1 - size); negative, it rises",
            "1",
            -1.0,
            1.0,
            "dissolved oxygen falls at once",
            "titre",
            mark=Mark.PUBLISHED,
        ),
        Mechanism(
            "feed_falls",
            "less substrate is fed: the feed times (1 - size); negative, it rises",
            "1",
            -1.0,
            1.0,
            "substrate, heat and volume fall at once; penicillin rises a little, being less inhibited, and falls in hunger",
            "titre",
            mark=Mark.PUBLISHED,
        ),
    )
}


class Vessel(NamedTuple):
    """What is in the vessel: amounts (g), but for volume (L) and carbon dioxide (mmol/L)."""

    biomass: Floats
    substrate: Floats
    penicillin: Floats
    volume: Floats
    carbon_dioxide: Floats


class Flows(NamedTuple):
    """What went in and out since the beginning, in grams and litres: integrated beside the state."""

    fed_l: Floats
    lost_l: Floats
    fed: Floats
    for_growth: Floats
    for_product: Floats
    for_upkeep: Floats
    grown: Floats
    burnt: Floats
    made: Floats
    decayed: Floats


@dataclass(frozen=True, slots=True)
class Drive:
    """What stands still during one step."""

    constants: Mapping[str, Floats]
    warmth: Floats  # growth, of temperature
    acid: Floats  # growth, of pH
    evaporation: Floats  # 1/h
    transfer: Floats  # kLa x volume^power
    feed_l_h: Floats

    def of(self, which: NDArray[np.intp]) -> Drive:
        """The same for some batches only."""
        return Drive(
            {name: each[which] for name, each in self.constants.items()},
            *(getattr(self, name)[which] for name in ("warmth", "acid", "evaporation", "transfer", "feed_l_h")),
        )


class Pace(NamedTuple):
    growth: Floats  # g/L/h
    product: Floats  # g/L/h
    upkeep: Floats  # g/L/h
    oxygen: Floats  # g/L


def pace(vessel: Vessel, drive: Drive, *, oxygen: Floats, tries: int) -> Pace:
    """How fast the culture lives: oxygen is where supply meets demand, found by guarded Newton steps from the last one."""
    c = drive.constants
    biomass, substrate = vessel.biomass / vessel.volume, np.maximum(vessel.substrate / vessel.volume, 0.0)
    fed = substrate / (c["contois_substrate"] * biomass + substrate + 1e-300)
    growth_max = c["max_growth"] * drive.acid * drive.warmth * fed * biomass
    product_max = c["max_product"] * biomass * substrate
    product_max = product_max / (c["half_substrate_product"] + substrate + substrate * substrate / c["inhibit_substrate"])
    half_growth, half_product = c["contois_oxygen"] * biomass, c["contois_oxygen_product"] * biomass
    supply = drive.transfer * vessel.volume ** -c["transfer_power"]
    wanted = supply * c["oxygen_saturation"] - c["upkeep_oxygen"] * biomass
    for _ in range(tries):
        cube = oxygen * oxygen * oxygen
        below, below_cube = half_growth + oxygen, half_product + cube
        taken = growth_max * oxygen / (below * c["biomass_of_oxygen"]) + product_max * cube / (below_cube * c["product_of_oxygen"])
        steep = growth_max * half_growth / (below * below * c["biomass_of_oxygen"])
        steep = steep + 3.0 * product_max * half_product * oxygen * oxygen / (below_cube * below_cube * c["product_of_oxygen"])
        oxygen = oxygen + (wanted - taken - supply * oxygen) / (supply + steep + 1e-300)
        oxygen = np.minimum(np.maximum(oxygen, 1e-12), c["oxygen_saturation"])
    cube = oxygen * oxygen * oxygen
    return Pace(growth_max * oxygen / (half_growth + oxygen), product_max * cube / (half_product + cube), c["upkeep_substrate"] * biomass, oxygen)


def rates(vessel: Vessel, drive: Drive, *, oxygen: Floats, tries: int) -> tuple[Vessel, Flows, Floats]:
    """d/dt of the vessel and of its flows, per hour, and the oxygen that goes with them."""
    c, volume = drive.constants, vessel.volume
    live = pace(vessel, drive, oxygen=oxygen, tries=tries)
    fed_l, lost_l = drive.feed_l_h, drive.evaporation * volume
    fed = fed_l * c["feed_substrate"]
    grown, made = live.growth * volume, live.product * volume
    for_growth, for_product, for_upkeep = grown / c["biomass_of_substrate"], made / c["product_of_substrate"], live.upkeep * volume
    decayed = c["product_decay"] * vessel.penicillin
    thinner = (fed_l - lost_l) / volume
    biomass = vessel.biomass / volume
    co2 = c["co2_of_growth"] * (live.growth - thinner * biomass) + c["co2_of_biomass"] * biomass + c["co2_other"]
    slope = Vessel(grown, fed - for_growth - for_product - for_upkeep, made - decayed, fed_l - lost_l, co2)
    return slope, Flows(fed_l, lost_l, fed, for_growth, for_product, for_upkeep, grown, np.zeros_like(fed), made, decayed), live.oxygen


def advance(vessel: Vessel, flows: Flows, drive: Drive, *, oxygen: Floats, hours: float) -> tuple[Vessel, Flows, Floats]:
    """One step of RK4; what starves then burns itself."""
    *_, oxygen = rates(vessel, drive, oxygen=oxygen, tries=NEWTON_AT_STEP)
    k1, f1, _ = rates(vessel, drive, oxygen=oxygen, tries=NEWTON_AT_STAGE)
    k2, f2, o2 = rates(_along(vessel, k1, hours / 2.0), drive, oxygen=oxygen, tries=NEWTON_AT_STAGE)
    k3, f3, o3 = rates(_along(vessel, k2, hours / 2.0), drive, oxygen=o2, tries=NEWTON_AT_STAGE)
    k4, f4, o4 = rates(_along(vessel, k3, hours), drive, oxygen=o3, tries=NEWTON_AT_STAGE)
    vessel = Vessel(*_summed(vessel, (k1, k2, k3, k4), hours))
    flows = Flows(*_summed(flows, (f1, f2, f3, f4), hours))
    return *_hungry(vessel, flows, drive), o4


def endure(vessel: Vessel, flows: Flows, drive: Drive, *, oxygen: Floats, hours: float) -> tuple[Vessel, Flows, Floats]:
    """One step of a starving culture: it eats what the substrate at the end of the step allows."""
    c, volume = drive.constants, vessel.volume
    live = pace(vessel, drive, oxygen=oxygen, tries=NEWTON_AT_STEP)
    biomass, there = vessel.biomass / volume, vessel.substrate / volume
    half = c["contois_substrate"] * biomass
    growth = c["max_growth"] * drive.acid * drive.warmth * biomass * live.oxygen / (c["contois_oxygen"] * biomass + live.oxygen)
    cube = live.oxygen**3
    product = c["max_product"] * biomass * cube / (c["contois_oxygen_product"] * biomass + cube)
    brought = there + hours * (drive.feed_l_h * c["feed_substrate"] / volume - live.upkeep)
    left = np.zeros_like(there)
    for _ in range(STARVING_TRIES):  # uptake is concave here, so Newton from nothing never passes the root
        below = c["half_substrate_product"] + left + left * left / c["inhibit_substrate"]
        uptake = growth * left / ((half + left) * c["biomass_of_substrate"]) + product * left / (below * c["product_of_substrate"])
        steep = growth * half / ((half + left) ** 2 * c["biomass_of_substrate"])
        steep = steep + product * (c["half_substrate_product"] - left * left / c["inhibit_substrate"]) / (below * below * c["product_of_substrate"])
        left = np.clip(left + (brought - left - hours * uptake) / (1.0 + hours * np.maximum(steep, 0.0)), 0.0, np.maximum(brought, 0.0))
    slope, flow, oxygen = rates(vessel._replace(substrate=left * volume), drive, oxygen=live.oxygen, tries=NEWTON_AT_STEP)
    flows = Flows(*[x + hours * k for x, k in zip(flows, flow, strict=True)])
    return *_hungry(_along(vessel, slope, hours), flows, drive), oxygen


def lived(vessel: Vessel, flows: Flows, drive: Drive, *, oxygen: Floats, hours: float) -> tuple[Vessel, Flows, Floats]:
    """One step, each batch as it must: those that starve in short implicit ones."""
    starving = np.flatnonzero(vessel.substrate / vessel.volume < STARVING_G_L)
    few, their, breath = Vessel(*[x[starving] for x in vessel]), Flows(*[x[starving] for x in flows]), oxygen[starving]
    if starving.size < oxygen.size:
        vessel, flows, oxygen = advance(vessel, flows, drive, oxygen=oxygen, hours=hours)
    if starving.size:
        some = drive.of(starving)
        for _ in range(STARVING_PARTS):
            few, their, breath = endure(few, their, some, oxygen=breath, hours=hours / STARVING_PARTS)
        vessel, flows = Vessel(*_put(vessel, few, starving)), Flows(*_put(flows, their, starving))
        oxygen = oxygen.copy()
        oxygen[starving] = breath
    return vessel, flows, oxygen


def climate(c: Mapping[str, Floats], *, temperature_c: Floats, ph: Floats) -> tuple[Floats, Floats, Floats]:
    """What temperature and pH make of growth, each, and of evaporation (1/h)."""
    gas, protons = 1.987 * (temperature_c + 273.15), 10.0**-ph
    warmth = c["growth_heat"] * np.exp(-c["growth_heat_energy"] / gas) - c["death_heat"] * np.exp(-c["death_heat_energy"] / gas)
    return warmth, 1.0 / (1.0 + c["ph_low"] / protons + protons / c["ph_high"]), c["evaporation"] * (np.exp(5.0 * temperature_c / 100.0) - 1.0)


def _hungry(vessel: Vessel, flows: Flows, drive: Drive) -> tuple[Vessel, Flows]:
    """Substrate that was taken but not there is made good by biomass."""
    missing = np.maximum(-vessel.substrate, 0.0)
    burnt = missing * drive.constants["biomass_of_substrate"]
    return vessel._replace(substrate=vessel.substrate + missing, biomass=vessel.biomass - burnt), flows._replace(burnt=flows.burnt + burnt)


def _along(vessel: Vessel, slope: Vessel, hours: float) -> Vessel:
    return Vessel(*[x + hours * k for x, k in zip(vessel, slope, strict=True)])


def _summed(start: Sequence[Floats], slopes: Sequence[Sequence[Floats]], hours: float) -> list[Floats]:
    return [x + (a + 2.0 * (b + c) + d) * (hours / 6.0) for x, a, b, c, d in zip(start, *slopes, strict=True)]


def _put(whole: Sequence[Floats], part: Sequence[Floats], which: NDArray[np.intp]) -> list[Floats]:
    out = [each.copy() for each in whole]
    for each, new in zip(out, part, strict=True):
        each[which] = new
    return out


def simulate(
    n: int,
    *,
    constants: Mapping[str, Floats] | None = None,
    settings: Mapping[str, Floats] | None = None,
    faults: Sequence[Fault] = (),
    every_h: float | None = None,
    duration_h: float = 400.0,
) -> tuple[Outcome, Flows]:
    """`n` batches, and what flowed in and out of each until every age, (T, n) each: what a balance needs."""
    ages, per, step = grid(n, every_h=1.0 if every_h is None else every_h, duration_h=duration_h, step_h_max=STEP_H_MAX)
    check_faults(faults, FAULTS, n=n, end_h=duration_h)
    c = filled(CONSTANTS, constants, n=n, what="constant")
    s = filled(SETTINGS, settings, n=n, what="setting")
    kelvin = s["temperature"] + 273.15
    still = Drive(c, *climate(c, temperature_c=s["temperature"], ph=s["ph"]), transfer=np.zeros(n), feed_l_h=np.zeros(n))
    start = s["volume_start"]
    vessel = Vessel(s["biomass_start"] * start, s["substrate_start"] * start, np.zeros(n), start.copy(), np.zeros(n))
    flows = Flows(*[np.zeros(n) for _ in Flows._fields])
    oxygen = c["oxygen_saturation"].copy()
    switched = np.where(s["substrate_start"] <= s["switch"], 0.0, np.inf)
    owed = np.zeros(n)  # the share of the step in which the switch fell: fed with the next one
    track = Track(n, ages, VARIABLES, Flows._fields)
    drive = _drive(still, s, faults, age_h=step / 2, n=n, feeding=np.isfinite(switched) * 1.0)
    with np.errstate(all="ignore"):  # a batch that leaves its range is stopped by `note`
        for age, hours, row in walk(ages, per, step, end_h=duration_h, step_h_max=STEP_H_MAX):
            seen = _seen(vessel, drive, oxygen, kelvin=kelvin)
            if row >= 0:
                track.note(row, seen, flows)
            if not hours:
                track.check(age, seen)
                break
            feeding = np.isfinite(switched) * 1.0 + owed
            drive = _drive(still, s, faults, age_h=age + hours / 2, n=n, feeding=feeding)
            before = vessel.substrate / vessel.volume
            vessel, flows, oxygen = lived(vessel, flows, drive, oxygen=oxygen, hours=hours)
            after = vessel.substrate / vessel.volume
            crosses = np.isinf(switched) & (after <= s["switch"])
            share = np.where(crosses, (before - s["switch"]) / np.where(crosses, before - after, 1.0), 0.0)
            switched = np.where(crosses, age + share * hours, switched)
            owed = np.where(crosses, 1.0 - share, 0.0)
    quality = {
        "titre": seen["penicillin"],
        "product": seen["penicillin"] * seen["volume"],
        "switch_h": np.minimum(switched, duration_h),
    }
    return Outcome(ages, track.values, judged(quality, QUALITIES, track.stopped, age_h=duration_h), track.stopped), Flows(*track.beside)


def _drive(still: Drive, s: Mapping[str, Floats], faults: Sequence[Fault], *, age_h: float, n: int, feeding: Floats) -> Drive:
    def left(name: str) -> Floats:
        return 1.0 - depth(faults, name, age_h=age_h, n=n)

    air = np.sqrt(s["aeration"] * left("aeration_falls"))
    power = (s["agitation"] * left("agitation_falls")) ** still.constants["transfer_power"]
    return replace(still, transfer=still.constants["transfer"] * air * power, feed_l_h=s["feed"] * feeding * left("feed_falls"))


def _seen(vessel: Vessel, drive: Drive, oxygen: Floats, *, kelvin: Floats) -> dict[str, Floats]:
    c = drive.constants
    live = pace(vessel, drive, oxygen=oxygen, tries=NEWTON_AT_STEP)
    biomass = vessel.biomass / vessel.volume
    heat = (c["heat_of_growth"] * live.growth + c["heat_of_upkeep"] * biomass) * vessel.volume  # cal/h
    return {
        "biomass": biomass,
        "substrate": vessel.substrate / vessel.volume,
        "penicillin": vessel.penicillin / vessel.volume,
        "oxygen": 100.0 * live.oxygen / c["oxygen_saturation"],
        "volume": vessel.volume,
        "carbon_dioxide": vessel.carbon_dioxide,
        "heat": heat * CAL_PER_H_IN_W,
        "coolant": _coolant(heat, c, kelvin=kelvin),
        "base": 1e3 * c["protons_of_growth"] * live.growth * vessel.volume / c["base_strength"],
        "feed_rate": drive.feed_l_h,
    }


def _coolant(heat: Floats, c: Mapping[str, Floats], *, kelvin: Floats) -> Floats:
    """The flow that removes so much heat (cal/h), by Newton in its logarithm; infinite where the inlet is too warm for it."""
    warmer = kelvin - c["coolant_inlet"]
    target = np.log(np.maximum(heat, 1e-300) / (c["coolant_transfer"] * np.maximum(warmer, 1e-300)))
    log_flow = np.zeros_like(heat)
    for _ in range(12):
        film = c["coolant_transfer"] / (2.0 * c["coolant_heat"]) * np.exp((c["coolant_power"] - 1.0) * log_flow)
        power = c["coolant_power"]
        log_flow = log_flow - (power * log_flow - np.log1p(film) - target) / (power + (1.0 - power) * film / (1.0 + film))
    return np.where(heat <= 0.0, 0.0, np.where(warmer > 0.0, np.exp(log_flow), np.inf))


@dataclass(frozen=True, slots=True)
class PenSim:
    """The `Process`; `simulate` also gives the flows."""

    name: str = "pensim"
    title: str = "Penicillin, 100 L (PenSim)"
    duration_h: float = 400.0
    every_h: float = 1.0
    constants: Mapping[str, Constant] = field(default_factory=lambda: CONSTANTS)
    settings: Mapping[str, Setting] = field(default_factory=lambda: SETTINGS)
    variables: Mapping[str, Variable] = field(default_factory=lambda: VARIABLES)
    qualities: Mapping[str, Variable] = field(default_factory=lambda: QUALITIES)
    faults: Mapping[str, Mechanism] = field(default_factory=lambda: FAULTS)

    def run(
        self,
        n: int,
        *,
        constants: Mapping[str, Floats] | None = None,
        settings: Mapping[str, Floats] | None = None,
        faults: Sequence[Fault] = (),
        every_h: float | None = None,
    ) -> Outcome:
        """`n` batches at once."""
        return simulate(n, constants=constants, settings=settings, faults=faults, every_h=every_h)[0]


PENSIM = PenSim()
