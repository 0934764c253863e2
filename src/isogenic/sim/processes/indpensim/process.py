"""IndPenSim as a process: many batches at once, sample by sample.

Guarantees: the same arguments give the same bytes; a batch alone has the bytes it has among many; a batch that leaves its
physical range stops with a reason. `simulate` gives the flows, too, and every balance closes to rounding.
Leaves to others: faults by name and number (`known`), instruments and what a laboratory reports.

Ages: sample k covers (k-1)*0.2 to k*0.2 h. As published, the simulator integrates each sample a fortieth longer than it
is (0.205 h), and every published figure contains it; `simulate` does so where the published streams are asked for, and
otherwise keeps the time it says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isogenic.errors import NotValid
from isogenic.sim.processes.indpensim.control import Seen, Valves, controlled, recipe_flows
from isogenic.sim.processes.indpensim.disturbances import DEVIATIONS, disturbances, published_scatter
from isogenic.sim.processes.indpensim.equations import AMOUNTS, FLOWS, ROW, advance
from isogenic.sim.processes.indpensim.known import CONSTANTS, DURATION_H, FAULTS, QUALITIES, SAMPLE_H, SETTINGS, VARIABLES
from isogenic.sim.processes.process import Constant, Fault, Floats, Mechanism, Outcome, Setting, Variable, check_faults, filled
from isogenic.sim.processes.ranges import judged
from isogenic.sim.processes.trajectories import Track, grid

__all__ = ["INDPENSIM", "IndPenSim", "simulate"]

PARTS, PARTS_ROUGH = 4, 32  # steps of a sample, and of one that was rough: about one in a hundred
ROUGH = 0.05  # of a step, see `advance`
DOSE_H = SAMPLE_H / 40.0  # how long acid and base are mixed at once, as published
LONGER = 1.0 + 1.0 / 40.0
LEAST = 0.001  # of what ran out, as published
_CLAMPED = [at for name, at in ROW.items() if name not in (*FLOWS, "growth_integral", "protons")]


def simulate(
    n: int,
    *,
    constants: Mapping[str, Floats] | None = None,
    settings: Mapping[str, Floats] | None = None,
    faults: Sequence[Fault] = (),
    every_h: float | None = None,
    parts: int | None = None,
) -> tuple[Outcome, dict[str, Floats]]:
    """`n` batches, and what flowed until every age, (T, n) each, `made_good` being what was added where something ran out.

    With `parts`, every sample is taken in so many steps; otherwise each batch takes the steps that it needs.
    """
    ages, per, step = grid(n, every_h=SAMPLE_H if every_h is None else every_h, duration_h=DURATION_H, step_h_max=SAMPLE_H)
    if abs(step - SAMPLE_H) > 1e-9:
        raise NotValid(f"cannot give values every {every_h} h", why="the process is sampled every 0.2 h", possible="a multiple of 0.2 h")
    check_faults(faults, FAULTS, n=n, end_h=DURATION_H)
    s = filled(SETTINGS, settings, n=n, what="setting")
    given = filled(CONSTANTS, constants, n=n, what="constant")
    published = s["published_streams"] >= 0.5
    for which in np.flatnonzero(published):
        for name, value in published_scatter(int(s["seed"][which])).items():
            (given if name in given else s)[name][which] = value
    scattered = published_scatter(0)
    c: dict[str, Any] = {
        name: each if name in (constants or {}) or (published.any() and name in scattered) else float(each[0]) for name, each in given.items()
    }
    samples = round(DURATION_H / SAMPLE_H)
    drift = disturbances(
        samples + 1, s["seed"], s["batch"], published, {**given, **{name: each for name, each in s.items() if name.endswith("_start")}}
    )
    hours = np.where(published, SAMPLE_H * LONGER, SAMPLE_H)
    y = _start(s, n)
    ph, kelvin = s["ph_start"], s["temperature_start"] + 273.15
    seen = Seen((ph, ph, ph), (kelvin, kelvin, kelvin))
    zero = np.zeros(n)
    valves = Valves(zero, zero, zero, zero)
    made_good = np.zeros((len(AMOUNTS), n))
    track = Track(n, ages, VARIABLES, (*FLOWS, *AMOUNTS))
    taken = np.zeros(n)
    u: dict[str, Any] = {}
    with np.errstate(all="ignore"):  # a batch that leaves its range is stopped by `note`
        for sample in range(1, samples + 1):
            middle = (sample - 0.5) * SAMPLE_H
            valves = controlled(valves, seen, sample=sample, ph=s["ph"], kelvin=s["temperature"] + 273.15, faults=faults, age_h=middle)
            u = {"agitation": s["agitation"], "dose_h": DOSE_H, "nitrogen_stock": c["nitrogen_stock"], "transfer": c["transfer"]}
            u |= recipe_flows(sample, s, faults, middle) | {
                "acid": valves.acid,
                "base": valves.base,
                "coolant": valves.coolant,
                "heating": valves.heating,
            }
            for name in DEVIATIONS:
                u[name] = given[name] + drift[name][sample - 1]
            if sample == 1:
                track.note(0, _seen(y, u), _beside(y, made_good))
            y, made_good = _clamped(_sampled((sample - 1) * SAMPLE_H, y, u, c, hours, parts), made_good)
            seen = seen.then(-np.log10(y[ROW["protons"]]), y[ROW["kelvin"]], first=sample == 1)
            p = y[ROW["penicillin"]] / y[ROW["volume"]]
            taken = taken + u["discharge"] * p * SAMPLE_H / 1000.0
            if sample % per == 0:
                track.note(sample // per, _seen(y, u), _beside(y, made_good))
        end = _seen(y, u)
        track.check(DURATION_H, end)
    quality = {"titre": end["penicillin"], "yield": end["penicillin"] * end["volume"] / 1000.0 + taken}
    beside = dict(zip((*FLOWS, *(f"made_good_{name}" for name in AMOUNTS)), track.beside, strict=True))
    return Outcome(ages, track.values, judged(quality, QUALITIES, track.stopped, age_h=DURATION_H), track.stopped), beside


def _sampled(age_h: float, y: Floats, u: Mapping[str, Any], c: Mapping[str, Any], hours: Floats, parts: int | None) -> Floats:
    """One sample later. What was rough is taken again in finer steps, batch by batch: alone or among many it is the same."""
    new, rough = _stepped(age_h, y, u, c, hours, PARTS if parts is None else parts)
    again = np.flatnonzero(~((rough < ROUGH) & (new[ROW["oxygen"]] > 2.0)))
    if parts is None and again.size:
        mine, its = ({name: each[again] if isinstance(each, np.ndarray) else each for name, each in some.items()} for some in (u, c))
        new[:, again] = _stepped(age_h, y[:, again], mine, its, hours[again], PARTS_ROUGH)[0]
    return new


def _stepped(age_h: float, y: Floats, u: Mapping[str, Any], c: Mapping[str, Any], hours: Floats, parts: int) -> tuple[Floats, Floats]:
    worst = np.zeros(y.shape[1])
    for part in range(parts):
        y, rough = advance(age_h + part / parts * SAMPLE_H, y, u, c, hours=hours / parts)
        worst = np.maximum(worst, rough)
    return y, worst


def _start(s: Mapping[str, Floats], n: int) -> Floats:
    y = np.zeros((len(ROW), n))
    volume, biomass = s["volume_start"], s["biomass_start"]
    for name, value in {
        "substrate": s["substrate_start"] * volume,
        "oxygen": s["oxygen_start"],
        "off_gas_oxygen": s["off_gas_oxygen_start"],
        "volume": volume,
        "weight": s["weight_start"],
        "protons": 10.0 ** -s["ph_start"],
        "kelvin": s["temperature_start"] + 273.15,
        "viscosity": np.full(n, 4.0),
        "growing": biomass / 3.0 * volume,
        "producing": biomass * 2.0 / 3.0 * volume,
        "off_gas_co2": s["off_gas_co2_start"],
        "phenylacetate": s["phenylacetate_start"] * volume,
        "nitrogen": s["nitrogen_start"] * volume,
    }.items():
        y[ROW[name]] = value
    return y


def _clamped(y: Floats, made_good: Floats) -> tuple[Floats, Floats]:
    """What ran out is set to a trace, as published, and booked; oxygen never falls below 1 mg/L."""
    volume = np.maximum(y[ROW["volume"]], LEAST)
    out = y.copy()
    amounts = {ROW[name] for name in AMOUNTS}
    for at in _CLAMPED:
        out[at] = np.where(y[at] <= 0.0, LEAST * volume if at in amounts else LEAST, y[at])
    out[ROW["protons"]] = np.where(y[ROW["protons"]] <= 0.0, LEAST, y[ROW["protons"]])
    out[ROW["oxygen"]] = np.where(out[ROW["oxygen"]] < 2.0, 1.0, out[ROW["oxygen"]])
    booked = np.array([out[ROW[name]] - y[ROW[name]] for name in AMOUNTS])
    return out, made_good + booked


def _beside(y: Floats, made_good: Floats) -> list[Floats]:
    return [*(y[ROW[name]] for name in FLOWS), *made_good]


def _seen(y: Floats, u: Mapping[str, Any]) -> dict[str, Floats]:
    volume = y[ROW["volume"]]
    regions = {
        name: y[ROW[row]] / volume
        for name, row in (
            ("biomass_growing", "growing"),
            ("biomass_producing", "producing"),
            ("biomass_degenerated", "degenerated"),
            ("biomass_lysed", "lysed"),
        )
    }
    gas_oxygen, gas_co2 = y[ROW["off_gas_oxygen"]], y[ROW["off_gas_co2"]]
    air = u["air"]
    return regions | {
        "biomass": sum(regions.values(), np.zeros_like(volume)),
        "substrate": y[ROW["substrate"]] / volume,
        "penicillin": y[ROW["penicillin"]] / volume,
        "oxygen": y[ROW["oxygen"]].copy(),
        "volume": volume.copy(),
        "weight": y[ROW["weight"]].copy(),
        "ph": -np.log10(y[ROW["protons"]]),
        "temperature": y[ROW["kelvin"]] - 273.15,
        "viscosity": y[ROW["viscosity"]].copy(),
        "off_gas_oxygen": 100.0 * gas_oxygen,
        "off_gas_carbon_dioxide": gas_co2.copy(),
        "carbon_dioxide": y[ROW["co2"]] * 1000.0,
        "phenylacetate": y[ROW["phenylacetate"]] / volume,
        "ammonia": y[ROW["nitrogen"]] / volume,
        "oxygen_uptake": 32.0 / 22.4 * air * (0.204 - gas_oxygen * 0.7902 / (1.0 - gas_oxygen - gas_co2 / 100.0)),
        "carbon_evolution": 44.0 / 22.4 * air * (0.0065 * gas_co2 * 0.7902 / (1.0 - 0.204 - gas_co2 / 100.0) - 0.0330),
        "aeration": air,
        "back_pressure": u["pressure"],
        "sugar_feed": u["sugar"],
        "oil_feed": u["oil"],
        "phenylacetate_feed": u["phenylacetate"],
        "water": u["water"],
        "discharge": u["discharge"],
        "acid": u["acid"],
        "base": u["base"],
        "coolant": u["coolant"],
        "heating": u["heating"],
    }


@dataclass(frozen=True, slots=True)
class IndPenSim:
    """The `Process`; `simulate` also gives the flows."""

    name: str = "indpensim"
    title: str = "Penicillin, 100,000 L (IndPenSim)"
    duration_h: float = DURATION_H
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
        return simulate(n, constants=constants, settings=settings, faults=faults, every_h=self.every_h if every_h is None else every_h)[0]


INDPENSIM = IndPenSim()
