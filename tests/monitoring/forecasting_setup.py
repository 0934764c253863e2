"""Batches with a known answer: two causes decide how a batch goes and what it comes to."""

from __future__ import annotations

import numpy as np

from isogenic.monitoring import BatchTable, Variable
from isogenic.monitoring.forecasting import Forecaster, fit_forecast
from isogenic.monitoring.tables import Floats

NAMES = ("cells", "glucose", "lactate", "ph")
VARIABLES = tuple(Variable(name, "1") for name in NAMES)
QUALITIES = (Variable("titre", "g/L"), Variable("viability", "%"))
POINTS, LAST = 61, 300.0
NOISE = np.array([0.3, 0.5, 0.4, 0.02])


def made(count: int, *, seed: int) -> tuple[list[BatchTable], Floats]:
    """Batches, and their qualities float64[count, 2]: a growth that shows early, a by-product that shows late."""
    dice = np.random.default_rng(seed)
    maturity = np.linspace(0.0, LAST, POINTS)
    share = maturity[:, None] / LAST
    tables, ends = [], np.empty((count, 2))
    for number in range(count):
        growth, waste = dice.normal(size=2)
        late = np.maximum(0.0, share - 0.4) * waste
        course = np.hstack([20.0 * share + 2.0 * share * growth, 30.0 - 20.0 * share - 2.0 * share * growth, 10.0 + 12.0 * late, 7.0 - 0.2 * late])
        values = course + NOISE * dice.normal(size=(POINTS, 4))
        tables.append(BatchTable(f"B{seed}-{number}", maturity, values))
        ends[number] = 5.0 + 0.4 * growth - 0.2 * waste + 0.05 * dice.normal(), 90.0 - 2.0 * waste + 0.2 * dice.normal()
    return tables, ends


def fitted(count: int = 40, *, seed: int = 0, **settings: object) -> Forecaster:
    tables, ends = made(count, seed=seed)
    quality = {table.batch: row.tolist() for table, row in zip(tables, ends, strict=True)}
    given: dict[str, object] = {"variables": VARIABLES, "quality": quality, "qualities": QUALITIES, "name": "small", "product": "MAB-A"} | settings
    return fit_forecast(tables, **given)  # type: ignore[arg-type]
