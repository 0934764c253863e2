"""Fitting: a reference model from good batches.

    align by maturity -> sums -> structure -> batches left out in turn -> limits -> model

Offline only; the result is frozen. The same batches in the same order give the same bytes.

Guarantees: what cannot carry a model is refused and named: too few batches, a batch of
almost nothing but gaps, a variable that is missing too often. A variable that never moved
is kept, with a scale of 1 % of its level: when it moves in production, that is news.
Leaves to others: which batches are good (screening), release of the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from isogenic.errors import NotValid
from isogenic.monitoring.alignment import grid_of, on_grid
from isogenic.monitoring.calibration import held_out, limits_from
from isogenic.monitoring.continuous import FALSE_ALARMS, fit_continuous
from isogenic.monitoring.model import Calibration, Model
from isogenic.monitoring.placing.model import Placing, placing_of
from isogenic.monitoring.probes import limits_of
from isogenic.monitoring.structure import check_sums, scale_floor, structure_of
from isogenic.monitoring.sums import Sums
from isogenic.monitoring.tables import SAMPLES_MIN, BatchTable, Floats, Variable, check_tables, present

__all__ = ["BATCHES_MIN", "CONSECUTIVE", "fit"]

BATCHES_MIN = 5  # below, leaving one out leaves no covariance worth the name
FALSE_ALARMS_OF_BATCHES = 0.05  # with any alarm
CONSECUTIVE = 3  # samples: one or two odd readings are not a departure
GAPS_MAX = 0.5  # of a batch's values


def fit(
    batches: Sequence[BatchTable],
    *,
    variables: Sequence[Variable],
    name: str,
    product: str,
    continuous: bool = False,
    false_alarms: float | None = None,
    components: int | None = None,
    every: float | None = None,
    consecutive: int = CONSECUTIVE,
    maturity_unit: str = "h",
    align: str | None = None,
    indicator: str = "",
    possible: Mapping[str, tuple[float, float]] | None = None,
) -> Model:
    """A reference model of good batches whose limits let about `false_alarms` of such batches have any alarm (5 % if not said).

    `continuous`: the tables are runs of a process without beginning and end; then `false_alarms` is the share of good rows
    (1 % if not said), maturity is not looked at, and the rest below does not apply.
    `components`: how many principal components; by default as many as explain 80 % of the variance.
    `every`: the grid step in maturity; by default the batches' own sampling interval.
    `consecutive`: judged samples over a limit that make an alarm.
    `align`: "indicator" (a variable that `indicator` names), "phase", "warping" or "evolution": how far a batch is tells the model
    itself, and each phase gets directions of its own; by default maturity is what the tables say, as on line.
    `possible`: physical ranges by variable; a reading beyond is none. By default three times the range of the good ones.
    """
    if continuous:
        return fit_continuous(
            batches,
            variables=variables,
            name=name,
            product=product,
            false_alarms=FALSE_ALARMS if false_alarms is None else false_alarms,
            possible=possible,
        )
    false_alarms = FALSE_ALARMS_OF_BATCHES if false_alarms is None else false_alarms
    _check(batches, variables, false_alarms=false_alarms, components=components, consecutive=consecutive)
    placing = None if align is None else placing_of(batches, variables, by=align, indicator=indicator)
    if placing is not None:
        batches, bounds = placed_batches(placing, batches), placing.bounds
    else:
        bounds = ()
    grid = grid_of(batches, every=every)
    aligned = [on_grid(table, grid) for table in batches]
    total = sums_of(aligned)
    check_sums(total, tuple(variables), grid)
    floor = scale_floor(total)
    structure = structure_of(total, grid, components=components or 0, floor=floor, bounds=bounds)
    results, groups = held_out(batches, aligned, total, grid, components=structure.components, floor=floor, bounds=bounds)
    limits = limits_from(results, structure, false_alarms=false_alarms, consecutive=consecutive)
    calibration = Calibration(tuple(table.batch for table in batches), groups, false_alarms, consecutive, limits.factor, limits.share)
    probes = limits_of(batches, variables, possible=possible)
    return Model(name, product, tuple(variables), maturity_unit, structure, limits.t2, limits.spe, calibration, placing=placing, probes=probes)


def placed_batches(placing: Placing, batches: Sequence[BatchTable]) -> list[BatchTable]:
    """Batches by the model's own maturity; samples before any is known are left out."""
    told = placing.placed(batches)
    kept = [np.isfinite(each.maturity) for each in told]
    placed = [BatchTable(each.batch, each.maturity[known], each.values[known]) for each, known in zip(told, kept, strict=True)]
    for table in placed:
        if len(table.maturity) < SAMPLES_MIN:
            raise NotValid(f"cannot align batch {table.batch[:40]}", why="its maturity is not known for most of it", possible="leave it out")
    return placed


def sums_of(aligned: Sequence[Floats]) -> Sums:
    """The sums of batches on one grid, about their mean."""
    stack = np.stack(aligned)
    there = np.isfinite(stack)
    count = there.sum(axis=0)
    centre = np.where(there, stack, 0.0).sum(axis=0) / np.maximum(count, 1)
    total = Sums.empty(centre)
    for each in aligned:
        total = total + Sums.of(each, centre)
    return total


def _check(batches: Sequence[BatchTable], variables: Sequence[Variable], *, false_alarms: float, components: int | None, consecutive: int) -> None:
    if len(batches) < BATCHES_MIN:
        raise NotValid("cannot fit a reference model", why=f"{len(batches)} batches are too few", possible=f"at least {BATCHES_MIN} good ones")
    check_tables(batches, variables)
    if not 0.0 < false_alarms < 1.0:
        raise NotValid(f"cannot aim at a share of {false_alarms} false alarms", why="it lies between 0 and 1")
    if components is not None and not 1 <= components < len(variables):
        raise NotValid(f"cannot use {components} components", possible=f"1 to {len(variables) - 1}")
    if consecutive < 1:
        raise NotValid(f"cannot wait for {consecutive} samples", possible="1 or more")
    for table in batches:
        gaps = 1.0 - float(present(table.values).mean())
        if gaps > GAPS_MAX:
            raise NotValid(f"cannot use batch {table.batch[:40]}", why=f"{gaps:.0%} of its values are missing", possible="leave it out")
