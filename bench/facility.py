"""A hundred live bioreactors with their instruments: what one simulated minute costs.

The vessels are a plant's own units, in the middle of a fed-batch: fed, stirred and read. Steady minutes, minutes in which
something changes everywhere, and the mean of a simulated day with a daily bolus are told apart.
"""

from __future__ import annotations

import time
from dataclasses import replace
from importlib.resources import files
from statistics import fmean, median

from bench.report import Row
from isogenic.ids import UnitId
from isogenic.plant.documents import load_plant
from isogenic.sim.bank import Bank
from isogenic.sim.live import live_of

VESSELS = 100
MINUTE_H = 1.0 / 60.0
LIMIT_MS = 0.5


def hundred(count: int = VESSELS) -> Bank:
    """So many vessels, a day after they were inoculated."""
    plant = load_plant((files("isogenic.sim") / "documents" / "porto.plant.yaml").read_text(), name="porto")
    unit = next(iter(plant.units.values()))
    bank = Bank([replace(unit, id=UnitId(f"SB-{at:03}")) for at in range(count)], biology=live_of("antibody"), site="PORTO", seed=1, step_h=MINUTE_H)
    bank.start_at(10_000)
    for row in range(count):
        for name, value in {"temperature_sp": 37.0, "agitation_sp": 90.0, "medium_dose": 100.0, "medium_dose_number": 1.0}.items():
            bank.write(row, name, value)
    _minutes(bank, 720)
    for row in range(count):
        for name, value in {"seed_dose": 10.0, "seed_dose_number": 1.0, "feed_flow_sp": 140.0}.items():
            bank.write(row, name, value)
    _minutes(bank, 1440)
    return bank


def _minutes(bank: Bank, count: int) -> list[float]:
    """What each minute cost, in milliseconds."""
    spent = []
    for _ in range(count):
        began = time.perf_counter()
        bank.step(bank.index + 1)
        for row in range(len(bank.units)):
            bank.read(row, "dissolved_oxygen")
        spent.append((time.perf_counter() - began) * 1000.0)
    return spent


def run() -> list[Row]:
    """The figures."""
    bank = hundred()
    day = _minutes(bank, 1440)
    changed = []
    for at in range(60):
        for row in range(VESSELS):
            bank.write(row, "feed_flow_sp", 140.0 + at % 2)
        changed += _minutes(bank, 1)
    alone = median(_minutes(hundred(1), 720))
    typical, mean = median(day), fmean(day)
    return [
        Row(
            f"{VESSELS} live bioreactors, one simulated minute",
            f"{typical:.3f} ms",
            f"one alone: {alone:.3f} ms",
            typical / alone,
            f"<= {LIMIT_MS} ms",
            typical <= LIMIT_MS,
        ),
        Row("the mean minute of that day, biology with it", f"{mean:.3f} ms", f"the median minute: {typical:.3f} ms", mean / typical, "", None),
        Row(
            "a minute in which a set-point changes in every one",
            f"{median(changed):.3f} ms",
            f"the median minute: {typical:.3f} ms",
            median(changed) / typical,
            "",
            None,
        ),
    ]
