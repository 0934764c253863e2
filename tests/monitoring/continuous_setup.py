"""A continuous process with a known answer: three slow common causes, eight signals that follow them, and noise; and the Tennessee Eastman data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from isogenic.monitoring import BatchTable, Model, Variable, fit
from isogenic.monitoring.tables import Floats

TEP = Path(__file__).parents[2] / ".." / "shared" / "data" / "tep"
NAMES = ("feed", "pressure", "level", "temperature", "ph", "oxygen", "flow", "power")
VARIABLES = tuple(Variable(name, "1") for name in NAMES)
MIXING = np.random.default_rng(5).normal(size=(3, 8))
LEVEL = np.array([40.0, 2.0, 60.0, 37.0, 7.0, 30.0, 5.0, 110.0])
SCALE = np.array([2.0, 0.1, 3.0, 0.2, 0.05, 4.0, 0.3, 6.0])


def run(seed: int, rows: int = 600) -> Floats:
    """Good rows."""
    dice = np.random.default_rng(seed)
    causes, now = np.empty((rows, 3)), dice.normal(size=3)
    for row in range(rows):
        now = np.array([0.9, 0.8, 0.6]) * now + np.array([0.44, 0.6, 0.8]) * dice.normal(size=3)
        causes[row] = now
    return LEVEL + SCALE * (causes @ MIXING + 0.7 * dice.normal(size=(rows, 8)))


def table(values: Floats, name: str = "run") -> BatchTable:
    return BatchTable(name, np.arange(len(values), dtype=np.float64), values)


def fitted(seeds: range, *, rows: int = 600, false_alarms: float = 0.01) -> Model:
    runs = [table(run(seed, rows), f"good-{seed}") for seed in seeds]
    return fit(runs, variables=VARIABLES, name="utility", product="MAB-A", continuous=True, false_alarms=false_alarms)


def tep(file: str) -> dict[str, Floats]:
    path = TEP / f"{file}.npz"
    if not path.exists():
        pytest.skip(f"NOT TESTED ON THE TENNESSEE EASTMAN DATA: {path.name} is not there; put the shared data beside the checkout")
    with np.load(path) as data:
        return {name: data[name].astype(np.float64) for name in data.files}
