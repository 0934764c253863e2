"""Simulated batches with a known answer, and the industrial sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from isogenic.monitoring import BatchTable, Variable, table_batches

DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "batches"
VARIABLES = tuple(
    Variable(name, unit) for name, unit in (("flow", "mL/h/L"), ("pressure", "bar"), ("glucose", "mM"), ("lactate", "mM"), ("ph", "pH"))
)
LEVEL = np.array([0.6, 0.3, 25.0, 10.0, 7.0])
WAVE = np.array([0.1, 0.05, 8.0, 5.0, 0.05])
NOISE = np.array([0.01, 0.004, 0.8, 0.5, 0.01])
LOADINGS = np.array([[1.0, 0.9, 0.2, -0.2, 0.0], [0.0, 0.1, 1.2, -1.1, 0.6]])
STEP_H = 0.5


def simulated(count: int, *, seed: int, points: int = 120, prefix: str = "S") -> list[BatchTable]:
    """Good batches: a mean trajectory, two slow factors common to the variables, and noise."""
    dice = np.random.default_rng(seed)
    maturity = STEP_H * np.arange(points)
    mean = LEVEL + WAVE * np.sin(maturity[:, None] / 12.0 + np.arange(5))
    batches = []
    for number in range(count):
        slow = np.zeros((points, 2))
        slow[0] = dice.normal(size=2)
        for at in range(1, points):
            slow[at] = 0.95 * slow[at - 1] + 0.31 * dice.normal(size=2)
        values = mean + NOISE * (slow @ LOADINGS + dice.normal(size=(points, 5)))
        batches.append(BatchTable(f"{prefix}{seed}-{number}", maturity.copy(), values))
    return batches


def with_values(table: BatchTable, *, start: int, column: int, factor: float = 1.0, shift: float | np.ndarray = 0.0) -> BatchTable:
    """The batch with one variable changed from a sample on."""
    values = table.values.copy()
    values[start:, column] = values[start:, column] * factor + (shift[start:] if isinstance(shift, np.ndarray) else shift)
    return BatchTable(table.batch, table.maturity, values)


def columns_of(name: str) -> dict[str, np.ndarray]:
    path = DATA / f"{name}.parquet"
    if not path.exists():
        pytest.skip(f"NOT TESTED ON REAL BATCHES: {path.name} is not there; put the shared data beside the checkout")
    import pyarrow.parquet as parquet

    table = parquet.read_table(path)
    return {column: table[column].to_numpy() for column in table.column_names}


def nylon() -> tuple[list[BatchTable], tuple[Variable, ...]]:
    """57 industrial batches by row order."""
    columns = columns_of("nylon")
    variables = tuple(Variable(name, "1") for name in columns if name != "batch_id")
    return table_batches(columns, batch_column="batch_id", maturity_column=None, variables=variables), variables


def dryer() -> tuple[list[BatchTable], tuple[Variable, ...]]:
    """71 industrial drying batches by maturity; the clock becomes a variable: how long the batch took to get there."""
    columns = columns_of("dryer")
    variables = tuple(Variable(name, "1") for name in columns if name != "batch_id")
    columns["maturity"] = np.zeros(len(columns["batch_id"]))
    for batch in np.unique(columns["batch_id"]):
        rows = columns["batch_id"] == batch
        columns["maturity"][rows] = dryer_maturity(*(columns[name][rows] for name in ("CollectorTankLevel", "DryerTemp", "JacketTemperatureSP")))
    return table_batches(columns, batch_column="batch_id", maturity_column="maturity", variables=variables), variables


def dryer_maturity(level: Sequence[float], temperature: Sequence[float], jacket: Sequence[float]) -> np.ndarray:
    """0 to 1 while the collected solvent rises, 1 to 2 while the cake heats from 40 to 82, above 2 while it cools.

    Each can be known on line. Heating begins when the cake passes 40: until then evaporation
    keeps it cooler. Cooling begins when the jacket's set-point falls.
    """
    stage, maturity = 0, np.zeros(len(level))
    for row, (tank, cake, set_point) in enumerate(zip(level, temperature, jacket, strict=True)):
        if stage == 0 and cake > 40.0:
            stage = 1
        if stage == 1 and set_point < 10.0:
            stage = 2
        drying, heating, cooling = min(tank / 60.0, 1.0), 1.0 + min(max((cake - 40.0) / 42.0, 0.0), 1.0), 2.0 + max((82.0 - cake) / 42.0, 0.0)
        maturity[row] = (drying, heating, cooling)[stage]
    return np.maximum.accumulate(maturity)
