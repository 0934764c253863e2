"""What judging costs, beside its matrix products alone in numpy and beside peers where they are installed, in one run.

    python -m bench.monitoring

The whole bank, every statistic with its tail score, the fused score and the decision, for a
thousand units at one tick, and for one unit with contributions; T2 and SPE alone of a block of
rows; and what fitting takes. The products are those that the measurement cannot do without.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from time import perf_counter

import numpy as np

from bench.report import Row
from isogenic.monitoring import BatchTable, Model, Variable, fit, judge, measure_block
from isogenic.monitoring.alignment import Grid
from isogenic.monitoring.pooling import Agreement, SiteLimits, SiteSums, limits_of, pool
from isogenic.monitoring.sums import Sums
from isogenic.monitoring.tables import Floats

P, WIDE = 11, 52  # a bioreactor's variables; a plant's
UNITS, BLOCK, REPEATS = 1000, 5000, 9
UNITS_A_SECOND, ONE_US, PEER_RATIO, BLOCK_RATIO, FIT_S = 250_000, 60.0, 20.0, 0.5, 2.0
SITES, LAGGED, REBUILD_MS = 100, 156, 20.0  # 52 variables, each with the two readings before


def good_rows(rows: int, *, p: int, seed: int) -> Floats:
    mixing = np.random.default_rng(p).normal(size=(p, p)) / np.sqrt(p)
    return 10.0 + 0.1 * np.random.default_rng(seed).normal(size=(rows, p)) @ mixing


def good_batches(count: int, *, points: int, p: int) -> list[BatchTable]:
    maturity = np.arange(points) * 0.5
    mean = np.sin(maturity[:, None] / 40.0 + np.arange(p))
    return [BatchTable(str(number), maturity, mean + good_rows(points, p=p, seed=number)) for number in range(count)]


def monitor(p: int, *, runs: int = 5, rows: int = 2000) -> Model:
    tables = [BatchTable(str(run), np.arange(rows, dtype=np.float64), good_rows(rows, p=p, seed=100 + run)) for run in range(runs)]
    return fit(tables, variables=variables(p), name="bench", product="X", continuous=True)


def variables(p: int) -> list[Variable]:
    return [Variable(f"v{number}", "1") for number in range(p)]


def best(action: Callable[[], object], *, times: int) -> float:
    """Seconds of one call: the best of several rounds."""
    rounds = []
    for _ in range(REPEATS):
        start = perf_counter()
        for _ in range(times):
            action()
        rounds.append((perf_counter() - start) / times)
    return min(rounds)


def seconds(action: Callable[[], object]) -> float:
    start = perf_counter()
    action()
    return perf_counter() - start


def many_units(model: Model) -> tuple[float, float]:
    """Seconds of a tick of all units, and of the products alone: scores, expectation, leverage and precision of each unit."""
    p, filters = len(model.variables), model.bank.filters  # type: ignore[union-attr]
    rows = good_rows(UNITS + 1, p=p, seed=1)
    watch, _ = judge(model.watch(units=UNITS), rows[:UNITS])
    stack = np.ones((UNITS, 1 + len(filters.rates), p))

    def products() -> None:
        np.matmul(model.structure.directions, rows[:UNITS, :, None])
        np.matmul(rows[:UNITS, None, :], filters.weights)
        np.matmul(stack, filters.leverage)
        np.matmul(stack, filters.precision)

    return best(lambda: judge(watch, rows[1:]), times=20), best(products, times=20)


def one_unit(model: Model) -> float:
    rows = good_rows(2, p=len(model.variables), seed=2)
    watch, _ = judge(model.watch(), rows[0])
    return best(lambda: judge(watch, rows[1])[1].contributions(), times=1000)


def peer(p: int) -> tuple[str, float] | None:
    """The same kind of answer from a peer: one sample through its PCA, or None where none is installed."""
    rows = good_rows(2000, p=p, seed=100)
    if find_spec("process_improve") is not None:
        import pandas as pd
        from process_improve.multivariate import PCA

        frame = pd.DataFrame(rows)
        fitted = PCA(n_components=5).fit(frame)
        return "process-improve", best(lambda: fitted.predict(frame.iloc[:1]), times=50)
    if find_spec("sklearn") is not None:
        from sklearn import decomposition

        other = decomposition.PCA(n_components=5).fit(rows)
        return "scikit-learn", best(lambda: other.inverse_transform(other.transform(rows[:1])), times=200)
    return None


def block(model: Model) -> tuple[float, float]:
    rows = good_rows(BLOCK, p=len(model.variables), seed=3)
    directions = np.ascontiguousarray(model.structure.directions[0].T)
    return best(lambda: measure_block(model, rows), times=20), best(lambda: rows @ directions, times=20)


def rebuilding() -> tuple[float, float]:
    """Seconds from all sites' sums and answers to the structure and its calibrated limits; and of adding the cross-products alone."""
    grid = Grid(0.0, 1.0, 1)
    agreed = Agreement("bench", "X", tuple(variables(LAGGED)), "", grid, 0.05, 3, np.zeros((1, LAGGED)), np.ones((1, LAGGED)))
    sites, answers = [], []
    for number in range(SITES):
        rows = good_rows(200, p=LAGGED, seed=number) - 10.0
        total, cross = rows.sum(axis=0)[None], (rows.T @ rows)[None]
        whole = np.broadcast_to(200.0, (1, LAGGED, LAGGED))
        sums = Sums(np.zeros((1, LAGGED)), np.full((1, LAGGED), 200.0), total, cross, whole)
        sites.append(SiteSums(f"S{number}", agreed.digest, 200, sums, np.broadcast_to(total[:, :, None], (1, LAGGED, LAGGED))))
        levels = np.array([[200.0], [200.0], [300.0]])
        answers.append(SiteLimits(f"S{number}", np.stack([levels, levels]), np.exp(0.1 * np.random.default_rng(number).normal(size=200))))

    def rebuild() -> None:
        together = pool(agreed, sites)
        limits_of(together.structure, answers, false_alarms=0.05)

    return best(rebuild, times=1), best(lambda: np.sum([each.sums.cross for each in sites], axis=0), times=1)


def fitting(what: str, took: float, values: Floats, limit: float | None) -> Row:
    alone = best(lambda: values.T @ values, times=3)
    met = None if limit is None else took <= limit
    return Row(what, f"{took:.2f} s", f"the cross-products of its rows alone {alone:.4f} s", alone / took, f"<= {limit:g} s" if limit else "", met)


def run() -> list[Row]:
    model, wide, rows = monitor(P), monitor(WIDE), good_rows(1, p=P, seed=4)
    found: list[Row] = []
    for each, limit in ((model, UNITS_A_SECOND), (wide, None)):
        tick, alone = many_units(each)
        rate, p = UNITS / tick, len(each.variables)
        what = f"full bank, {len(each.statistics)} statistics of {p} variables, {UNITS:,} units at one tick"
        met = None if limit is None else rate >= limit
        found.append(Row(what, f"{rate:,.0f} /s", f"its products alone {UNITS / alone:,.0f} /s", alone / tick, f">= {limit:,}" if limit else "", met))
    took, other = one_unit(model), peer(P)
    product = best(lambda: model.structure.directions[0] @ rows[0], times=1000)
    name, against = other or ("no peer installed; one of its products", product)
    beside, ratio = f"{name} {1e6 * against:.1f} us", against / took
    found.append(
        Row("one unit, one sample, full bank with contributions", f"{1e6 * took:.0f} us", beside, ratio, f"<= {ONE_US:g} us", 1e6 * took <= ONE_US)
    )
    if other and other[0] == "process-improve":
        found.append(
            Row("the same against process-improve", f"{ratio:.0f} times", beside, ratio, f">= {PEER_RATIO:g}", bool(ratio and ratio >= PEER_RATIO))
        )
    took, alone = block(wide)
    told = f"T2 and SPE of {BLOCK:,} rows of {WIDE} variables"
    found.append(
        Row(
            told,
            f"{BLOCK / took:,.0f} /s",
            f"its product alone {BLOCK / alone:,.0f} /s",
            alone / took,
            f">= {BLOCK_RATIO:g}",
            alone / took >= BLOCK_RATIO,
        )
    )
    took, alone = rebuilding()
    told = f"model rebuilt from {SITES} sites' sums, {LAGGED} lagged variables, with calibration"
    beside = f"adding the cross-products alone {1e3 * alone:.1f} ms"
    found.append(Row(told, f"{1e3 * took:.1f} ms", beside, alone / took, f"<= {REBUILD_MS:g} ms", 1e3 * took <= REBUILD_MS))
    batches = good_batches(100, points=1000, p=30)
    took = seconds(lambda: fit(batches, variables=variables(30), name="bench", product="X"))
    found.append(fitting("fit of 100 batches x 1,000 points x 30 variables", took, np.concatenate([each.values for each in batches]), FIT_S))
    took = seconds(lambda: monitor(WIDE, runs=40, rows=960))
    found.append(fitting("fit of a monitor on 40 runs x 960 rows x 52 variables", took, good_rows(40 * 960, p=WIDE, seed=5), None))
    return found


if __name__ == "__main__":
    for row in run():
        print(row)
