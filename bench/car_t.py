"""CAR-T batches a second: a population at once, and one alone, each beside scipy's LSODA in the same run.

The peer integrates the same equations, restarted where something is switched, at 1e-8; the errors of both in the viable cells
on day 9, against a reference of fine steps, are printed. All of it is plain Python, as our single batch is.
"""

from __future__ import annotations

from time import process_time

import numpy as np
from scipy.integrate import solve_ivp

from bench.report import Row
from isogenic.sim.processes.car_t import CAR_T
from isogenic.sim.processes.donors import PATIENTS, donors
from isogenic.sim.processes.process import Floats
from isogenic.sim.processes.t_cells import Bag, Drive, Theta, slope

BATCHES, ALONE = 2_000, 10
# until hour: mL a day, whether the vector is there
PARTS = ((24.0, 0.0, 0.0), (60.0, 0.0, 1.0), (72.0, 0.0, 0.0), (120.0, 50.0, 0.0), (168.0, 100.0, 0.0), (216.0, 180.0, 0.0))


def run() -> list[Row]:
    """The rows of the table."""
    drawn = donors(PATIENTS, BATCHES, seed=1)
    began = process_time()
    outcome = CAR_T.run(BATCHES, constants=drawn)
    whole = BATCHES / (process_time() - began)
    assert not outcome.stopped
    some = [{name: values[at : at + 1] for name, values in drawn.items()} for at in range(ALONE)]
    sure = [float(CAR_T.run(1, constants=each, every_h=0.1).quality["viable_cells"][0]) for each in some]
    began = process_time()
    ours = [float(CAR_T.run(1, constants=each).quality["viable_cells"][0]) for each in some]
    alone = ALONE / (process_time() - began)
    began = process_time()
    theirs = [_peer(each) for each in some]
    peer = ALONE / (process_time() - began)
    errors = [max(abs(found / known - 1.0) for found, known in zip(each, sure, strict=True)) for each in (ours, theirs)]
    print(f"one batch: {alone:.1f}/s, largest error {errors[0]:.1e}; LSODA {peer:.1f}/s, {errors[1]:.1e}")
    beside = f"scipy LSODA, one after another: {peer:.0f} a second"
    return [
        Row(f"CAR-T: {BATCHES} patients at once", f"{whole:.0f} a second", beside, whole / peer, ">= 10 x", whole >= 10.0 * peer),
        Row("CAR-T: one patient alone, plain Python", f"{alone:.0f} a second", beside, alone / peer, "", None),
    ]


def _peer(constants: dict[str, Floats]) -> float:
    theta = Theta(growth=float(constants["growth"][0]), stimulus=float(constants["stimulus"][0]))
    nominal = {name: each.value for name, each in CAR_T.constants.items()}
    seed = min(CAR_T.settings["seed"].value, float(constants["collected"][0]))
    alive, active = seed * float(constants["viability"][0]), float(constants["activation"][0])
    y = np.array([alive * active, alive * (1.0 - active), seed - alive, alive * (1.0 / nominal["purity"] - 1.0), 17.0, 0.0])
    start = 0.0
    for end, per_day, toxic in PARTS:
        drive = Drive(exchange_ml_h=per_day / 24.0, toxic=toxic)

        def flows(age_h: float, state: np.ndarray, theta: Theta = theta, drive: Drive = drive) -> Bag:
            return slope(age_h, Bag(*state.tolist()), theta, drive)[0]

        found = solve_ivp(flows, (start, end), y, method="LSODA", rtol=1e-8, atol=1e-8)
        assert found.success
        y, start = found.y[:, -1], end
    return float(y[0] + y[1])
