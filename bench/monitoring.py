"""What judging costs, beside its matrix products alone in numpy, in one run.

    python -m bench.monitoring

One line for each size: units judged at once, with decisions and contributions, and the bare
measurement (T2 and SPE) of a block of rows. The products are those that the measurement
cannot do without: one p x p matrix times one vector for each unit.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np

from bench.report import Row
from isogenic.monitoring import BatchTable, Model, Variable, fit, judge, judge_many
from isogenic.monitoring.structure import measure

P, POINTS, BATCHES = 11, 672, 20  # a bioreactor: 11 variables, 14 days at half an hour
REPEATS = 7


def good_batches(count: int, *, points: int, p: int, seed: int) -> list[BatchTable]:
    dice = np.random.default_rng(seed)
    mixing = dice.normal(size=(p, p)) / np.sqrt(p)
    maturity = np.arange(points) * 0.5
    mean = 10.0 + np.sin(maturity[:, None] / 40.0 + np.arange(p))
    return [BatchTable(str(n), maturity, mean + 0.1 * dice.normal(size=(points, p)) @ mixing) for n in range(count)]


def best(action: object, *, times: int) -> float:
    """Seconds of one call: the best of several rounds."""
    rounds = []
    for _ in range(REPEATS):
        start = perf_counter()
        for _ in range(times):
            action()  # type: ignore[operator]
        rounds.append((perf_counter() - start) / times)
    return min(rounds)


def products(model: Model, knot: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.matmul(model.structure.directions[knot], values[:, :, None])


def run() -> list[Row]:
    variables = tuple(Variable(f"v{n}", "1") for n in range(P))
    batches = good_batches(BATCHES, points=POINTS, p=P, seed=1)
    start = perf_counter()
    model = fit(batches, variables=variables, name="bench", product="X")
    print(f"fit of {BATCHES} batches x {POINTS} points x {P} variables, left out one by one: {perf_counter() - start:.2f} s")

    start = perf_counter()
    fit(good_batches(100, points=1000, p=30, seed=2), variables=[Variable(f"v{n}", "1") for n in range(30)], name="bench", product="X")
    print(f"fit of 100 batches x 1,000 points x 30 variables: {perf_counter() - start:.2f} s")

    table = batches[0]
    watch, values, faulty = model.watch(), table.values[300], table.values[300] + 5.0
    alone = best(lambda: products(model, np.array([26]), values[None]), times=500)
    for text, reading in (("good", values), ("over its limits, with contributions", faulty)):
        one = best(lambda reading=reading: judge(model, watch, maturity=150.0, values=reading), times=500)
        print(f"one unit, one sample, {text}: {1e6 * one:.0f} us ({1e6 * alone:.1f} us its product alone)")

    rows_of_table: list[Row] = []
    for units in (10, 100, 1000):
        at = np.linspace(0.0, 335.0, units)
        rows = np.stack([table.values[int(2 * each)] for each in at])
        watches = [watch] * units
        many = best(lambda a=at, r=rows, w=watches: judge_many(model, w, maturity=a, values=r), times=max(1, 1000 // units))
        print(f"{units} units at one tick: {units / many:,.0f} unit-samples/s")
        knots = np.arange(units) % len(model.structure.directions)
        at_once = best(lambda k=knots, r=rows: products(model, k, r), times=max(1, 1000 // units))
        beside = f"their matrix products alone {units / at_once:,.0f} /s"
        rows_of_table.append(Row(f"judging {units} units at one tick", f"{units / many:,.0f} /s", beside, at_once / many, "", None))

    at = np.linspace(0.0, 335.0, 5000)
    rows = np.stack([table.values[int(2 * each)] for each in at])
    knot = measure(model.structure, at, rows).place.knot
    block = best(lambda: measure(model.structure, at, rows), times=10)
    bare = best(lambda: products(model, knot, rows), times=10)
    print(f"T2 and SPE of 5,000 rows: {5000 / block:,.0f} rows/s, {bare / block:.2f} of the speed of the products alone ({5000 / bare:,.0f} rows/s)")
    return rows_of_table


if __name__ == "__main__":
    run()
