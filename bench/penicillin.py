"""The penicillin benchmarks: batches a second beside scipy's LSODA on the same published equations, in the same run.

The peer solves one batch after the other with oxygen as a state; both sides are compared with it first, so that speed is
not bought with another answer.
"""

from __future__ import annotations

import time

import numpy as np
from scipy.integrate import solve_ivp

from bench.report import Row
from isogenic.sim.processes.indpensim import simulate
from isogenic.sim.processes.pensim import PENSIM

BATCHES, BESIDE = 1000, 5
LOOSE = 1e-5  # of the peer: about as exact as ours


def _slopes(_: float, y: list[float], feed: float) -> list[float]:
    c = {name: each.value for name, each in PENSIM.constants.items()}
    x, s, o, p, v = y
    rt, h = 1.987 * 298.0, 1e-5
    warmth = c["growth_heat"] * np.exp(-c["growth_heat_energy"] / rt) - c["death_heat"] * np.exp(-c["death_heat_energy"] / rt)
    grown = x * c["max_growth"] * warmth / (1 + c["ph_low"] / h + h / c["ph_high"]) * s / (c["contois_substrate"] * x + s)
    grown *= o / (c["contois_oxygen"] * x + o)
    made = x * c["max_product"] * s / (c["half_substrate_product"] + s + s * s / c["inhibit_substrate"]) * o**3
    made /= c["contois_oxygen_product"] * x + o**3
    supply = c["transfer"] * 8.6**0.5 * (30.0 / v) ** c["transfer_power"]
    dv = feed - v * c["evaporation"] * (np.exp(5.0 * 24.85 / 100.0) - 1.0)
    return [
        grown - x * dv / v,
        -grown / c["biomass_of_substrate"]
        - made / c["product_of_substrate"]
        - c["upkeep_substrate"] * x
        + feed * c["feed_substrate"] / v
        - s * dv / v,
        -grown / c["biomass_of_oxygen"] - made / c["product_of_oxygen"] - c["upkeep_oxygen"] * x + supply * (c["oxygen_saturation"] - o) - o * dv / v,
        made - c["product_decay"] * p - p * dv / v,
        dv,
    ]


def _peer() -> float:
    def switch(_: float, y: list[float], _feed: float) -> float:
        return y[1] - 0.3

    switch.terminal = True  # type: ignore[attr-defined]
    grown = solve_ivp(_slopes, (0.0, 400.0), [0.1, 15.0, 1.16, 0.0, 100.0], "LSODA", args=(0.0,), events=switch, rtol=LOOSE, atol=1e-9)
    fed = solve_ivp(_slopes, (grown.t[-1], 400.0), grown.y[:, -1], "LSODA", args=(0.0426,), rtol=LOOSE, atol=1e-9)
    return float(fed.y[3, -1])


def run() -> list[Row]:
    """Batches a second."""
    start = time.process_time()
    titres = [_peer() for _ in range(BESIDE)]
    beside = BESIDE / (time.process_time() - start)
    start = time.process_time()
    outcome = PENSIM.run(BATCHES, every_h=10.0)
    ours = BATCHES / (time.process_time() - start)
    off = abs(float(outcome.quality["titre"][0]) / titres[0] - 1.0)
    start = time.process_time()
    simulate(100, every_h=23.0)
    large = 100 / (time.process_time() - start)
    return [
        Row(
            "PenSim, 400 h, 1,000 batches at once",
            f"{ours:.0f}/s",
            f"LSODA {beside:.0f}/s, titre off by {off:.0e}",
            ours / beside,
            "faster",
            ours > beside,
        ),
        Row("IndPenSim, 230 h, 100 batches at once", f"{large:.1f}/s", "PenSim in the same run", large / ours, "", None),
    ]
