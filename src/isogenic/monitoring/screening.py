"""Screening: which of many past batches are good enough to learn normal from.

Past batches come with poor ones among them, and poor ones widen every limit. The rule,
after the concentration steps of robust covariance (Rousseeuw and Van Driessen 1999):

1. A batch that is mostly gaps, or that ends before 90 % of the common range, is left out.
2. The half of the batches that lie nearest to the median trajectories is the first core.
3. Every batch is measured by a structure that never saw it, fitted from the core; its
   distance is its critical factor (calibration): how far the limits would have to be raised
   for it not to alarm.
4. Near is a batch whose log distance is no farther above the core's median than three robust
   standard deviations. Near batches join the core, and again from 3, until none joins; then
   core batches that are not near leave, and again from 3, until none leaves. Growing first and
   shrinking after always comes to an end; doing both at once can go round in circles. Last,
   those that left early but are near the cleaned core come back, once.

Guarantees: deterministic; at least half of the batches stay; each one left out has a reason.
Leaves to others: the decision. A person reads the reasons and releases the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isogenic.errors import NotValid
from isogenic.monitoring.alignment import Grid, grid_of, on_grid
from isogenic.monitoring.calibration import HeldOut, critical_factors, measured
from isogenic.monitoring.fitting import BATCHES_MIN, CONSECUTIVE, GAPS_MAX, fit, sums_of
from isogenic.monitoring.judging import Findings, judge_batch
from isogenic.monitoring.structure import scale_floor, structure_of
from isogenic.monitoring.sums import Sums
from isogenic.monitoring.tables import BatchTable, Floats, Variable, check_tables, present

__all__ = ["LeftOut", "Screening", "screen"]

REACH_MIN = 0.9  # of the common range: a batch that ends before says nothing of the end
FAR = 3.0  # robust standard deviations of the log distance
Z_CAPPED = 9.0  # squared scales: one wild stretch must not decide the first core
MAD_TO_SD = 1.4826
SPREAD_MIN = 0.35  # of the log distance: nearer than about 2.9 times the typical distance is never far


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A batch that was left out, why, and how many times the core's typical distance it lies away (0: not measured)."""

    batch: str
    reason: str
    distance: float


@dataclass(frozen=True, slots=True, eq=False)
class Screening:
    """Which batches are good, in their order, and which were left out, farthest first."""

    good: tuple[BatchTable, ...]
    left_out: tuple[LeftOut, ...]


def screen(batches: Sequence[BatchTable], *, variables: Sequence[Variable], every: float | None = None, consecutive: int = CONSECUTIVE) -> Screening:
    """Tell the good batches from the poor ones by the rule above."""
    check_tables(batches, variables)
    if len(batches) < 2 * BATCHES_MIN:
        raise NotValid("cannot screen batches", why=f"{len(batches)} are too few to tell good from poor", possible=f"at least {2 * BATCHES_MIN}")
    grid = grid_of(batches, every=every)
    unusable = {table.batch: why for table in batches if (why := _unusable(table, grid))}
    usable = [table for table in batches if table.batch not in unusable]
    if len(usable) < 2 * BATCHES_MIN:
        raise NotValid("cannot screen batches", why=f"only {len(usable)} are complete enough", possible=f"at least {2 * BATCHES_MIN}")
    core = _first_core(np.stack([on_grid(table, grid) for table in usable]))
    for grows in (True, False):
        while True:
            distance = _distances(usable, core, every=every, consecutive=consecutive)
            near = _near(distance, core)
            next_core = core | near if grows else core & near
            if (next_core == core).all():
                break
            core = next_core
    core = core | near
    distance = _distances(usable, core, every=every, consecutive=consecutive)
    good = tuple(table for table, kept in zip(usable, core, strict=True) if kept)
    typical = float(np.median(distance[core]))
    far = sorted(
        ((float(far) / typical, table) for table, far, kept in zip(usable, distance, core, strict=True) if not kept), key=lambda each: -each[0]
    )
    model = fit(good, variables=variables, name="screening", product="", every=every, consecutive=consecutive, maturity_unit="")
    left_out = [LeftOut(table.batch, _reason(judge_batch(model, table)[1]), times) for times, table in far]
    return Screening(good, (*left_out, *(LeftOut(batch, why, 0.0) for batch, why in unusable.items())))


def _unusable(table: BatchTable, grid: Grid) -> str:
    gaps = 1.0 - float(present(table.values).mean())
    if gaps > GAPS_MAX:
        return f"{gaps:.0%} of its values are missing"
    reached = (float(table.maturity.max()) - grid.first) / (grid.last - grid.first)
    if reached < REACH_MIN:
        return f"it ends at maturity {table.maturity.max():g}, before {REACH_MIN:.0%} of the range {grid.first:g} to {grid.last:g}"
    return ""


def _reason(judgements: Sequence[Findings]) -> str:
    sentences = [found.sentence for each in judgements if (found := each.finding()) is not None]
    return sentences[0] if sentences else "far from the others over the whole batch, though within the limits that they give"


def _first_core(stack: Floats) -> NDArray[np.bool_]:
    """The half nearest to the median trajectories."""
    there = np.isfinite(stack)
    middle = np.nanmedian(np.where(there.any(axis=0), stack, 0.0), axis=0)
    deviation = np.abs(stack - middle)
    spread = MAD_TO_SD * np.nanmedian(np.where(there.any(axis=0), deviation, 0.0), axis=0)
    typical = spread.mean(axis=0)
    spread = np.maximum(spread, np.where(typical > 0, 0.1 * typical, 1.0))
    squares = np.where(there, np.minimum(np.square(deviation / spread), Z_CAPPED), 0.0)
    distance = squares.sum(axis=(1, 2)) / np.maximum(there.sum(axis=(1, 2)), 1)
    core = np.zeros(len(stack), dtype=np.bool_)
    core[np.argsort(distance, kind="stable")[: max((len(stack) + 1) // 2, BATCHES_MIN)]] = True
    return core


def _distances(tables: Sequence[BatchTable], core: NDArray[np.bool_], *, every: float | None, consecutive: int) -> Floats:
    """Each batch's critical factor by a structure of the core, itself left out."""
    grid = grid_of([table for table, kept in zip(tables, core, strict=True) if kept], every=every)
    aligned = [on_grid(table, grid) for table in tables]
    total = sums_of([each for each, kept in zip(aligned, core, strict=True) if kept])
    floor = scale_floor(total)
    whole = structure_of(total, grid, components=0, floor=floor)
    results: list[HeldOut] = []
    for table, values, kept in zip(tables, aligned, core, strict=True):
        structure = structure_of(total - Sums.of(values, total.centre), grid, components=whole.components, floor=floor) if kept else whole
        results.append(measured(structure, table))
    return critical_factors(results, core, knots=whole.knots, consecutive=consecutive)


def _near(distance: Floats, core: NDArray[np.bool_]) -> NDArray[np.bool_]:
    logs = np.log(distance)
    middle = float(np.median(logs[core]))
    spread = max(MAD_TO_SD * float(np.median(np.abs(logs[core] - middle))), SPREAD_MIN)
    near: NDArray[np.bool_] = logs <= middle + FAR * spread
    half = np.argsort(logs, kind="stable")[: (len(logs) + 1) // 2]
    near[half] = True
    return near
