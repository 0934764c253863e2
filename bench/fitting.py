"""What a fit costs: five constants to twenty batches, and its slopes beside the same slopes one run at a time.

    python -m bench.fitting

The peer is the slope of every batch by every constant as it is usually taken: one batch and one moved constant at a time.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np

from bench.report import Row
from isogenic.sim.fitting import Batch, Method, Problem, fit
from isogenic.sim.fitting.problem import scatter_of
from isogenic.sim.fitting.twin import Twin
from isogenic.sim.instruments import instruments_of, measured
from isogenic.sim.processes.antibody import ANTIBODY

BATCHES, STEP = 20, 1e-3
CONSTANTS = ("growth", "product", "death", "lactate_of_glucose", "lactate_uptake")
READ = ("viable_cells", "viability", "lactate", "titre", "oxygen_flow")


def batches() -> list[Batch]:
    dice = np.random.default_rng(1)
    constants = {name: ANTIBODY.constants[name].value * np.exp(cv * dice.normal(size=BATCHES)) for name, cv in scatter_of(ANTIBODY).items()}
    outcome = ANTIBODY.run(BATCHES, constants=constants, every_h=12.0)
    names = [f"BAT-{at}" for at in range(BATCHES)]
    truth = {name: outcome.values[name] for name in READ}
    shown = measured(truth, instruments=instruments_of("antibody"), seed=1, site="LEEDS", batches=names, lots=names, age_h=outcome.age_h)
    return [Batch(name, "LEEDS", outcome.age_h, {each: values[:, at] for each, values in shown.items()}) for at, name in enumerate(names)]


def run() -> list[Row]:
    data = batches()
    start = perf_counter()
    found = fit(ANTIBODY, data, constants=CONSTANTS, method=Method(profiles=False))
    whole = perf_counter() - start
    twin = Twin(Problem.of(ANTIBODY, data, constants=CONSTANTS, scatter={}))
    start = perf_counter()
    _, together = twin.slopes(np.zeros((BATCHES, len(CONSTANTS))), len(CONSTANTS), step=STEP)
    fast = perf_counter() - start
    start = perf_counter()
    alone = slopes_one_by_one(data)
    slow = perf_counter() - start
    assert all(np.allclose(one, other, rtol=1e-5, atol=1e-6) for one, other in zip(together, alone, strict=True))
    print(f"fit of {len(CONSTANTS)} constants to {BATCHES} batches: {whole:.1f} s, {found.rounds} rounds, {found.runs} batches worked out")
    return [
        Row("fit of 5 constants to 20 batches", f"{whole:.1f} s", f"{slow:.1f} s: one set of slopes, a run at a time", slow / whole, "", None),
        Row(
            "slopes of 20 batches by 5 constants, in one run",
            f"{fast:.2f} s",
            f"{slow:.2f} s, a run at a time",
            slow / fast,
            "2.0",
            slow > 2.0 * fast,
        ),
    ]


def slopes_one_by_one(data: list[Batch]) -> list[np.ndarray]:
    out = []
    for batch in data:
        twin = Twin(Problem.of(ANTIBODY, [batch], constants=CONSTANTS, scatter={}))
        columns = []
        for at in range(len(CONSTANTS)):
            moved = np.zeros((1, 1, len(CONSTANTS)))
            moved[0, 0, at] = STEP
            columns.append((twin.run(moved)[0][0] - twin.run(-moved)[0][0]) / (2.0 * STEP))
        out.append(np.stack(columns, axis=1))
    return out


if __name__ == "__main__":
    for row in run():
        print(row)
