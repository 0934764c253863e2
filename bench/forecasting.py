"""What forecasts promise, held against simulated antibody batches that they never saw.

    python -m bench.forecasting

Past batches of one site, three in ten with a fault of the catalogue, end in a forecast; as many new
ones of the same kind are followed. Coverage: the share of new batches that ended within their
interval, by how far they were. Lead: how long before a limit was reached it was foreseen, and how
often it was foreseen in vain. A laboratory's titre once a day is one of the variables.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.report import Row
from isogenic.monitoring import BatchTable, Variable
from isogenic.monitoring.forecasting import begin, fit_forecast, follow, forecast
from isogenic.monitoring.tables import Floats
from isogenic.sim.instruments import STIRRED_BIOREACTOR, measured
from isogenic.sim.processes.antibody import ANTIBODY
from isogenic.sim.processes.process import Fault
from isogenic.sim.variation import draws

NAMES = ("temperature", "ph", "dissolved_oxygen", "oxygen_flow", "viable_cells", "viability", "glucose", "lactate", "offgas_co2", "feed_flow")
QUALITIES = ("titre", "harvest_viability", "hmw")
EVERY_H, FAULTY, ASSAY_CV = 4.0, 0.3, 0.03
STAGES_H = (0.0, 72.0, 144.0, 216.0, 288.0, 336.0)
LIMITS = {"viability": (-1.0, 84.7), "oxygen_flow": (1.0, 70.0), "lactate": (1.0, 25.0)}  # below, or above: reached by 2 to 10 % of batches
HELD = 3  # readings that must foresee it
FAULTS = {
    "sparger_fouls": (0.1, 0.4),
    "feed_pump_fouls": (0.1, 0.5),
    "medium_is_weak": (0.03, 0.15),
    "lactate_is_high": (0.1, 0.6),
    "product_rate_is_low": (0.05, 0.25),
}


class Batches(NamedTuple):
    """Tables, what the batches came to float64[n, 3], and the truth behind LIMITS, each float64[times, n]."""

    tables: list[BatchTable]
    ends: Floats
    truth: dict[str, Floats]


def batches(count: int, *, seed: int, faulty: float = FAULTY) -> Batches:
    """Batches of one site, a share of them with one fault each."""
    dice = np.random.default_rng(seed)
    names = [f"B{seed}-{number}" for number in range(count)]
    constants = draws(ANTIBODY, seed=seed, sites=["GHENT"] * count, lots=["MEDIUM-1"] * count, batches=names)
    which = np.where(dice.random(count) < faulty, dice.integers(0, len(FAULTS), count), -1)
    faults = []
    for batch in np.flatnonzero(which >= 0).tolist():
        fault, (low, high) = list(FAULTS.items())[which[batch]]
        start = 0.0 if fault == "medium_is_weak" else float(dice.uniform(48.0, 240.0))
        faults.append(Fault(fault, float(dice.uniform(low, high)), start_h=start, batches=np.arange(count) == batch))
    truth = ANTIBODY.run(count, constants=constants, every_h=EVERY_H, faults=faults)
    read = measured(truth.values, instruments=STIRRED_BIOREACTOR, seed=seed, site="GHENT", batches=names, age_h=truth.age_h)
    daily = np.where(
        (truth.age_h % 24.0 == 0.0)[:, None], truth.values["titre"] * np.exp(ASSAY_CV * dice.normal(size=(len(truth.age_h), count))), np.nan
    )
    columns = [read[name] for name in NAMES] + [daily]
    tables = [BatchTable(name, truth.age_h, np.stack([each[:, at] for each in columns], axis=1)) for at, name in enumerate(names)]
    ends = np.stack([truth.quality[name] for name in QUALITIES], axis=1)
    whole = np.isfinite(ends).all(axis=1)
    return Batches(
        [table for table, kept in zip(tables, whole, strict=True) if kept], ends[whole], {name: truth.values[name][:, whole] for name in LIMITS}
    )


class Foreseen(NamedTuple):
    """Of a limit: hours that it was foreseen by, batches that reached it unforeseen, and the share of the others where it was foreseen in vain."""

    leads: list[float]
    missed: int
    vain: float


class Study(NamedTuple):
    """Of one forecast: covered and width, float64[times, 3]; of each limit what was foreseen."""

    covered: Floats
    width: Floats
    foreseen: dict[str, Foreseen]
    seconds: float


def study(fitted: int, followed: int, *, seed: int) -> Study:
    """Fit on batches, follow others."""
    past, new = batches(fitted, seed=seed), batches(followed, seed=1000 + seed)
    start = perf_counter()
    model = fit_forecast(
        past.tables,
        variables=[Variable(name, "1") for name in (*NAMES, "titre")],
        quality={table.batch: row.tolist() for table, row in zip(past.tables, past.ends, strict=True)},
        qualities=[Variable(name, "1") for name in QUALITIES],
        name="study",
        product="MAB-A",
    )
    seconds = perf_counter() - start
    values = np.stack([table.values for table in new.tables])
    n, age = len(values), new.tables[0].maturity
    state, covered, width = begin(model, units=n), [], []
    seen = {name: np.full(n, np.nan) for name in LIMITS}
    held = {name: np.zeros(n, dtype=np.int64) for name in LIMITS}
    for at, reached in enumerate(age.tolist()):
        state = follow(state, values[:, at], maturity=np.full(n, reached))
        said = forecast(state)
        covered.append(((new.ends >= said.low) & (new.ends <= said.high)).mean(axis=0))
        width.append(np.median(said.high - said.low, axis=0))
        for name, (side, limit) in LIMITS.items():
            for unit in np.flatnonzero(np.isnan(seen[name])).tolist():
                reach = said.reaches(name, unit, **{"above" if side > 0 else "below": limit})  # type: ignore[arg-type]
                held[name][unit] = held[name][unit] + 1 if reach.expected is not None else 0
                if held[name][unit] == HELD:
                    seen[name][unit] = reached
    foreseen = {name: _foreseen(side * (new.truth[name] - limit) > 0, seen[name], age) for name, (side, limit) in LIMITS.items()}
    return Study(np.array(covered), np.array(width), foreseen, seconds)


def _foreseen(beyond: NDArray[np.bool_], seen: Floats, age: Floats) -> Foreseen:
    reached = beyond.any(axis=0)
    at = np.where(reached, age[beyond.argmax(axis=0)], np.nan)
    before = reached & (seen < at)
    return Foreseen((at - seen)[before].tolist(), int((reached & ~before).sum()), float(np.isfinite(seen[~reached]).mean()))


def told(studies: Sequence[Study]) -> list[str]:
    """The table of the studies, as lines."""
    covered, width = (np.mean([getattr(each, name) for each in studies], axis=0) for name in ("covered", "width"))
    rows = [round(stage / EVERY_H) for stage in STAGES_H]
    lines = [
        f"{QUALITIES[at]}: " + ", ".join(f"{EVERY_H * row:g} h {covered[row, at]:.1%} width {width[row, at]:.3g}" for row in rows) for at in range(3)
    ]
    lines.append("over all maturities: " + ", ".join(f"{name} {share:.1%}" for name, share in zip(QUALITIES, covered.mean(axis=0), strict=True)))
    for name, (side, limit) in LIMITS.items():
        of = [each.foreseen[name] for each in studies]
        leads = np.array([lead for each in of for lead in each.leads] or [0.0])
        count = sum(len(each.leads) for each in of)
        lines.append(
            f"{name} {'above' if side > 0 else 'below'} {limit:g}: {count} of {count + sum(each.missed for each in of)} foreseen, "
            f"median {np.median(leads):.0f} h ahead, a tenth less than {np.quantile(leads, 0.1):.0f} h; "
            f"in vain in {np.mean([each.vain for each in of]):.1%} of the others"
        )
    return lines


def run(repeats: int = 2) -> list[Row]:
    studies = [study(100, 200, seed=seed) for seed in range(repeats)]
    for line in told(studies):
        print(line)
    covered = np.mean([each.covered.mean(axis=0) for each in studies], axis=0)
    took = min(each.seconds for each in studies)
    rows = [
        Row(f"coverage of {name}, 90 % stated", f"{share:.1%}", "90.0%", share / 0.9, "87 to 93 %", 0.87 <= share <= 0.93)
        for name, share in zip(QUALITIES, covered.tolist(), strict=True)
    ]
    return [*rows, Row("fit of a forecast on 100 batches x 85 readings x 11 variables", f"{took:.1f} s", "", float("nan"), "", None)]


if __name__ == "__main__":
    import sys

    for each in run(int(sys.argv[1]) if len(sys.argv) > 1 else 2):
        print(each)
