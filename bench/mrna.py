"""Transcription batches a second: thousands at once, and one alone, each beside scipy's LSODA in the same run.

The peer integrates the same equations (the extents, with the ions solved by Newton from where they were) to the same
error in the RNA after two hours, measured against a reference at 1e-9; all of it in plain Python, as our single batch is.
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import numpy as np
from scipy.integrate import solve_ivp

from bench.report import Row
from isogenic.sim.processes.ivt import RNA, Mixture, Reaction, advanced, begun, reaction_of
from isogenic.sim.processes.mrna import MRNA
from isogenic.sim.processes.speciation import solved

BATCHES, ALONE = 10_000, 40
UNITS = (0.0, 0.5, 2.0)


def run() -> list[Row]:
    dice = np.random.default_rng(1)
    magnesium = dice.uniform(35.0, 55.0, BATCHES)
    began = process_time()
    outcome = MRNA.run(BATCHES, settings={"magnesium": magnesium})
    whole = BATCHES / (process_time() - began)
    assert not outcome.stopped
    sure = {units: _alone(units, accuracy=1e-9) for units in UNITS}
    ours, our_error = _rate(lambda units: _alone(units), sure)
    peer, peer_error = _rate(_peer, sure)
    print(f"one batch: {ours:.1f}/s, largest error {our_error:.1e}; LSODA {peer:.1f}/s, {peer_error:.1e}")
    beside = f"scipy LSODA, one after another: {peer:.0f} a second"
    return [
        Row(f"mRNA: {BATCHES} transcriptions at once, 20 ages", f"{whole:.0f} a second", beside, whole / peer, ">= 10 x", whole >= 10.0 * peer),
        Row(
            "mRNA: one transcription alone, plain Python",
            f"{ours:.0f} a second",
            f"scipy LSODA, as exact: {peer:.0f} a second",
            ours / peer,
            "",
            None,
        ),
    ]


def _rate(make: Callable[[float], float], sure: dict[float, float]) -> tuple[float, float]:
    began = process_time()
    worst = 0.0
    for at in range(ALONE):
        units = UNITS[at % len(UNITS)]
        worst = max(worst, abs(make(units) / sure[units] - 1.0))
    return ALONE / (process_time() - began), worst


def _alone(units: float, *, accuracy: float = 1e-4) -> float:
    reaction = reaction_of(Mixture(pyrophosphatase=units), accuracy=accuracy)
    return float(advanced(reaction, begun(reaction), hours=2.0)[0][RNA])


def _peer(units: float) -> float:
    reaction: Reaction = reaction_of(Mixture(pyrophosphatase=units))
    x = begun(reaction)
    ions = (x[0], x[1])

    def flows(_: float, y: np.ndarray) -> list[float]:
        nonlocal ions
        state = [0.0, 0.0, *y.tolist()]
        ions = solved(reaction.totals(state), reaction.salts, start=ions)
        state[0], state[1] = ions
        return reaction.slope(state)[2:]

    end = solve_ivp(flows, (0.0, 2.0), x[2:], method="LSODA", rtol=1e-6, atol=[1e-13, 1e-11, 1e-11, 1e-11, 1e-11, 1e-13])
    assert end.success
    return float(end.y[0, -1])
