"""Fitting a monitor of continuous signals: a utility, a perfusion reactor, anything without a batch's beginning and end.

    good runs -> gaps filled in -> bank (scale, filters, calibrated tails, limit) -> model

A run is a stretch of good rows at equal intervals. Several files are several runs: nothing is
carried over from one to the next, and with three or more of them whole runs are left out in turn
for calibration, so that what differs from run to run is in the limit.

Guarantees: the same runs in the same order give the same bytes; a variable that is missing too
often, or rows too few, are refused by name.
Leaves to others: which rows are good, release of the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from isogenic.errors import NotValid
from isogenic.monitoring.alignment import Grid
from isogenic.monitoring.bank.fitting import fit_bank
from isogenic.monitoring.bank.statistics import ANCHOR, Bank
from isogenic.monitoring.model import Calibration, Model
from isogenic.monitoring.probes import limits_of
from isogenic.monitoring.structure import Structure
from isogenic.monitoring.tables import BatchTable, Floats, Variable, check_tables, present

__all__ = ["FALSE_ALARMS", "fit_continuous"]

FALSE_ALARMS = 0.01  # of good rows
VALUES_MAX = 5_000_000  # good rows times variables: what fitting holds of each is about 100 bytes
GAPS_MAX = 0.5  # of a variable's values in one run


def fit_continuous(
    runs: Sequence[BatchTable],
    *,
    variables: Sequence[Variable],
    name: str,
    product: str,
    false_alarms: float,
    possible: Mapping[str, tuple[float, float]] | None = None,
) -> Model:
    """A monitor of good runs whose limit lets about `false_alarms` of good rows be alarms. The runs' maturity is not looked at."""
    if not runs:
        raise NotValid("cannot fit a monitor", why="there is no run", possible="bring at least one good run")
    check_tables(runs, variables)
    values = sum(run.values.size for run in runs)
    if values > VALUES_MAX:
        raise NotValid("cannot fit a monitor", why=f"{values} values are more than {VALUES_MAX}", possible="fewer runs, or fewer signals")
    if not 0.0 < false_alarms < 1.0:
        raise NotValid(f"cannot aim at a share of {false_alarms} false alarms", why="it lies between 0 and 1")
    whole = [_without_gaps(run, variables) for run in runs]
    fitted = fit_bank([values for values, _ in whole], [usable for _, usable in whole], false_alarms=false_alarms)
    core = fitted.core
    structure = Structure(Grid(0.0, 1.0, 2), core.components, _twice(core.mean), _twice(core.scale), core.directions[None], core.spread[None])
    calibration = Calibration(tuple(run.batch for run in runs), fitted.groups, false_alarms, 1, fitted.bank.limit, fitted.share)
    t2, spe = (_twice(np.array(_limit_of(fitted.bank, statistic))) for statistic in (0, 1))
    probes = limits_of(runs, variables, possible=possible)
    return Model(name, product, tuple(variables), "", structure, t2, spe, calibration, fitted.bank, True, probes=probes)


def _twice(row: Floats) -> Floats:
    """The same at both ends of the grid: nothing changes along a continuous process."""
    return np.ascontiguousarray(np.stack([row, row]))


def _limit_of(bank: Bank, statistic: int) -> float:
    """The value of a statistic whose tail score is the limit."""
    return float(np.exp(bank.low[statistic] + (bank.limit + np.log10(ANCHOR)) / bank.slope[statistic]))


def _without_gaps(run: BatchTable, variables: Sequence[Variable]) -> tuple[Floats, NDArray[np.bool_]]:
    """The run's values with gaps bridged from row to row, and the rows in which nothing was."""
    there = present(run.values)
    rows = np.arange(len(there))
    values = run.values.copy()
    for column, variable in enumerate(variables):
        here = there[:, column]
        if here.mean() <= 1.0 - GAPS_MAX:
            raise NotValid(
                f"cannot fit {variable.name[:60]}",
                why=f"{1.0 - here.mean():.0%} of its values in run {run.batch[:40]} are missing",
                possible="leave the variable out, or the run",
            )
        values[:, column] = np.interp(rows, rows[here], values[here, column])
    usable: NDArray[np.bool_] = np.logical_and.reduce(there, axis=1)
    return values, usable
