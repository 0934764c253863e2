"""Penicillium in a live vessel: the benchmark's equations (`processes.pensim`), asked in the words of `live`.

Guarantees: growth, product and oxygen are those of the study model, step for step; nothing of them is written again.
Leaves to others: when to feed (the benchmark switches by itself; live, whoever runs the vessel writes `feed_flow_sp`).

The air flow and the stirrer's power are the benchmark's (8.6 L/h, 30 W), times what stirring and the sparger let through;
dissolved oxygen is where the culture draws it: no loop holds it. Probes of cells read biomass in g/L as 1e6 cells/mL,
viability 100 %, lactate nothing. All this is **illustrative**.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isogenic.sim.instruments import bioreactor
from isogenic.sim.live import Conditions, Number, Run, Stand, State
from isogenic.sim.processes import pensim
from isogenic.sim.processes.pensim import CONSTANTS, PENSIM, SETTINGS, VARIABLES, Drive, Flows, Vessel
from isogenic.sim.processes.process import Floats
from isogenic.sim.variation import draws

__all__ = ["LIVE_PENSIM"]

NAMES = tuple(CONSTANTS)
GLUCOSE_G_MMOL = 0.18016
OXYGEN_L_G = bioreactor.GAS_L_PER_MMOL * 1000.0 / 32.0
SEED_BIOMASS_G_L = 2.0  # of the seed train; a twentieth of it gives the benchmark's 0.1 g/L
STOCK_G_L = 500.0  # of a glucose bolus
LEAST_L = 1e-6  # an empty vessel is reckoned as one with a drop


class LivePensim:
    """As `Biology` has it; the state is in g/L, the gas in mmol/L, the volume in L."""

    name = "pensim"
    entries = ("biomass", "substrate", "penicillin", "carbon_dioxide", "volume")
    averaged = ("biomass", "substrate")
    strikes = ()  # what the benchmark's faults do, the vessel's do: sparger_fouls, drive_is_weak, feed_pump_fouls
    feed_kg_l = 1.2

    def begin(self, *, seed: int, site: str, batch: str, weak: float) -> Run:
        """The batch's constants and liquids."""
        drawn = draws(PENSIM, seed=seed, sites=[site], lots=["MEDIUM-1"], batches=[batch])
        constants = tuple(float(drawn[name][0]) if name in drawn else CONSTANTS[name].value for name in NAMES)
        medium = SETTINGS["substrate_start"].value
        return Run(constants, (0.0, medium, 0.0, 0.0), (SEED_BIOMASS_G_L, medium, 0.0, 0.0), (0.0, STOCK_G_L, 0.0, 0.0))

    def culture(self, state: State) -> Mapping[str, float]:
        """As the laboratory knows it."""
        return dict(zip(self.entries, map(float, state), strict=True))

    def mixed(self, state: State, *, litres: Number, liquid: State) -> State:
        """After `litres` were stirred in."""
        *here, volume = state
        whole = volume + litres
        return (*((one * volume + other * litres) / whole for one, other in zip(here, liquid, strict=True)), whole)

    def invaded(self, state: State, *, here: Conditions) -> State:
        """Nothing comes in: the benchmark knows no contamination."""
        return state

    def rates(self, state: State, *, constants: State, here: Conditions) -> State:
        """d/dt of every entry, per hour."""
        vessel, drive, oxygen = _now(state, constants, here)
        slope, _, _ = pensim.rates(vessel, drive, oxygen=oxygen, tries=SETTLING)
        amounts = [(rise - slope.volume * held / vessel.volume) / vessel.volume for rise, held in zip(slope[:3], vessel[:3], strict=True)]
        return _as(state, [*amounts, slope.carbon_dioxide, slope.volume])

    def advance(self, state: State, *, hours: float, constants: State, here: Conditions) -> State:
        """So many hours later, all as it is, in the study's own steps."""
        vessel, drive, oxygen = _now(state, constants, here)
        flows, parts = Flows(*[np.zeros(oxygen.shape)] * len(Flows._fields)), max(1, int(np.ceil(hours / pensim.STEP_H_MAX - 1e-9)))
        *_, oxygen = pensim.rates(vessel, drive, oxygen=oxygen, tries=SETTLING)
        for _ in range(parts):
            vessel, flows, oxygen = pensim.lived(vessel, flows, drive, oxygen=oxygen, hours=hours / parts)
        return _as(state, [*(each / vessel.volume for each in vessel[:3]), vessel.carbon_dioxide, vessel.volume])

    def observe(self, state: State, *, constants: State, here: Conditions, around: Stand) -> Mapping[str, Number]:
        """What there is to measure."""
        vessel, drive, oxygen = _now(state, constants, here)
        live = pensim.pace(vessel, drive, oxygen=oxygen, tries=SETTLING)
        c, full = drive.constants, vessel.volume / (vessel.volume + bioreactor.FILM_L)
        taken = drive.transfer * vessel.volume ** -c["transfer_power"] * (c["oxygen_saturation"] - live.oxygen)  # g/L/h
        carbon_l_min = c["co2_of_growth"] * live.growth * vessel.volume * bioreactor.GAS_L_PER_MMOL / 60.0
        air_l_min = SETTINGS["aeration"].value / 60.0
        seen = {
            "temperature": here.temperature_c,
            "ph": here.ph,
            "dissolved_oxygen": full * 100.0 * live.oxygen / c["oxygen_saturation"] + (1.0 - full) * bioreactor.AIR_PERCENT,
            "agitation": around.agitation_rpm,
            "oxygen_flow": full * taken * vessel.volume * OXYGEN_L_G / 60.0,
            "vessel_weight": bioreactor.CULTURE_KG_PER_L * np.asarray(state[-1]),
            "viable_cells": np.asarray(state[0]),
            "viability": 100.0 * full * (np.asarray(state[0]) > 0.0),
            "glucose": np.asarray(state[1]) / GLUCOSE_G_MMOL,
            "lactate": np.asarray(state[0]) * 0.0,
            "offgas_co2": full * 100.0 * carbon_l_min / (carbon_l_min + air_l_min),
        }
        return seen | bioreactor.skid(
            here.feed_l_h, working_volume_l=around.working_volume_l, blocked=around.feed_blocked, bottle_kg=around.bottle_kg
        )

    def broken(self, state: State) -> Mapping[int, str]:
        """Which vessels left the physical range."""
        found: dict[int, str] = {}
        for name, row in zip(self.entries, np.atleast_2d(np.asarray(state, dtype=np.float64)), strict=True):
            high = VARIABLES[name].high
            for at in np.flatnonzero(~((row >= -1e-9) & (row <= high))):
                found.setdefault(int(at), f"{name} is {row[at]:.4g} {VARIABLES[name].unit}, outside 0 to {high:g}")
        return found


SETTLING = 12  # Newton steps to the oxygen of a culture of which nothing is known


def _now(state: State, constants: State, here: Conditions) -> tuple[Vessel, Drive, Floats]:
    """The study's words for it: amounts, and what stands still; oxygen is sought from saturation."""
    biomass, substrate, penicillin, carbon, volume = (np.atleast_1d(np.asarray(each, dtype=np.float64)) for each in state)
    volume = np.maximum(volume, LEAST_L)
    one = np.ones(volume.shape)
    c = {name: each * one for name, each in zip(NAMES, constants, strict=True)}
    power = SETTINGS["agitation"].value ** c["transfer_power"]
    transfer = c["transfer"] * np.sqrt(SETTINGS["aeration"].value) * power * here.transfer_factor
    warmth, acid, evaporation = pensim.climate(c, temperature_c=here.temperature_c * one, ph=here.ph * one)
    drive = Drive(c, warmth, acid, evaporation, transfer, here.feed_l_h * one)
    return Vessel(biomass * volume, substrate * volume, penicillin * volume, volume, carbon * one), drive, c["oxygen_saturation"].copy()


def _as(like: State, rows: list[Floats]) -> State:
    """Plain floats for one vessel, arrays for many."""
    return tuple(rows) if np.ndim(like[-1]) else tuple(float(each[0]) for each in rows)


LIVE_PENSIM = LivePensim()
