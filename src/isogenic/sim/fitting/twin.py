"""The process, run at the ages of the readings: many sets of constants of many batches in one call.

A move is of the logarithms of the constants (`Problem.names`), then of the settings that a probe has read
(`Problem.unsure`), in units of its error.

Guarantees: every run is one call of `Process.run` with all batches and all moved constants; a prediction is what the
instruments would show, row by row as the readings stand. A twin that stops before a reading gives NaN there.

Where a recipe switches (a bolus once glucose is low at a day's end), the twin's prediction jumps as a constant moves, and
no slope says so. `smooth` finds the readings where this happens within the scatter of the batches; they are left out of
the fit, and counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isogenic.errors import NotValid
from isogenic.sim.fitting.noise import covariance, expected
from isogenic.sim.fitting.problem import READINGS_MAX, Batch, Problem
from isogenic.sim.processes.process import Floats

__all__ = ["Rows", "Twin"]

STEPS = (24.0, 12.0, 8.0, 6.0, 4.0, 3.0, 2.0, 1.0, 0.5, 0.25, 0.2, 0.1, 0.05)  # h; tried in turn to meet all ages
AT_LEAST = 1e-3  # of the logarithm: how far constants without scatter are moved to look for switches
SWITCHES = 0.5  # how far a response may be from a straight line, as a share of itself


@dataclass(frozen=True, slots=True)
class Rows:
    """The readings of one batch that are used: which variable, at which age, what was read."""

    variable: NDArray[np.intp]
    age_h: Floats
    read: Floats


class Twin:
    """One problem's process, ready to be run."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.rows = [_rows(problem, batch) for batch in problem.batches]
        ages = np.unique(np.concatenate([each.age_h for each in self.rows]))
        self.end_h = float(ages[-1])
        self.every_h = _every(ages, problem.process.duration_h)
        self.runs = 0  # batches worked out
        self._log0 = np.log([problem.start[name] for name in problem.names])
        self._settings = self._set()
        self._unsure = {name: np.array([batch.unsure.get(name, 0.0) for batch in problem.batches]) for name in problem.unsure}

    def run(self, moves: Floats) -> list[Floats]:
        """Predictions for moves (k, B, q): for each batch (k, rows)."""
        k, count, _ = moves.shape
        values = self._run(moves)
        grid, where = values.pop("age_h"), self.problem.variables
        out = []
        for at, rows in enumerate(self.rows):
            shown = np.empty((k, len(rows.read)))
            for number, name in enumerate(where):
                mine = rows.variable == number
                if not mine.any():
                    continue
                age = rows.age_h[mine]
                truth = _at(grid, values[name].reshape(len(grid), k, count)[:, :, at], age)
                shown[:, mine] = expected(self.problem.instruments[name], truth, age_h=age[:, None]).T
            out.append(shown)
        return out

    def curves(self, moves: Floats, names: tuple[str, ...]) -> dict[str, Floats]:
        """Truths on the grid for moves (k, B, q): of each variable (T, k, B), and the ages under `age_h`."""
        k, count, _ = moves.shape
        values = self._run(moves)
        grid = values["age_h"]
        return {"age_h": grid} | {name: values[name].reshape(len(grid), k, count) for name in names}

    def _run(self, moves: Floats) -> dict[str, Floats]:
        k, count, _ = moves.shape
        constants = {name: np.exp(self._log0[at] + moves[:, :, at]).ravel() for at, name in enumerate(self.problem.names)}
        constants |= {name: np.full(k * count, value) for name, value in self.problem.given.items() if name not in constants}
        settings = {name: np.tile(each, k) for name, each in self._settings.items()}
        for at, (name, sd) in enumerate(self._unsure.items(), start=len(self.problem.names)):
            known = self.problem.process.settings[name]
            settings[name] = np.clip(settings[name] + (sd * moves[:, :, at]).ravel(), known.low, known.high)
        self.runs += k * count
        found = self.problem.process.run(k * count, constants=constants, settings=settings, every_h=self.every_h)
        return {"age_h": found.age_h, **found.values}

    def slopes(self, moves: Floats, columns: int, *, step: float) -> tuple[list[Floats], list[Floats]]:
        """Predictions at moves (B, q), and their slopes by the first `columns` constants: (rows,) and (rows, columns) of each batch."""
        found = self.run(np.concatenate([moves[None], moves[None] + _steps(columns, moves.shape, step)]))
        at = [each[0] for each in found]
        return at, [((each[1 : 1 + columns] - each[1 + columns :]) / (2.0 * step)).T for each in found]

    def smooth(self, moves: Floats, spreads: Floats) -> list[NDArray[np.bool_]]:
        """Which readings answer the scatter of the constants without a jump."""
        sizes = np.maximum(spreads, AT_LEAST)
        near, far = (_steps(len(sizes), moves.shape, each * sizes) for each in (0.5, 1.5))
        found = self.run(np.concatenate([moves[None], moves[None] + near, moves[None] + far]))
        out = []
        for rows, each in zip(self.rows, found, strict=True):
            short, long = each[1 : 1 + len(near)] - each[0], each[1 + len(near) :] - each[0]
            sigma = np.sqrt(np.diag(self.errors(rows, each[0])))
            with np.errstate(invalid="ignore"):
                off = np.abs(long - 3.0 * short)
                jumps = (off > SWITCHES * np.maximum(np.abs(long), np.abs(short))) & (off > 2.0 * sigma)
            out.append(~jumps.any(axis=0) & np.isfinite(each).all(axis=0))
        return out

    def errors(self, rows: Rows, shown: Floats) -> Floats:
        """The covariance of a batch's readings around what they should be."""
        out = np.zeros((len(shown), len(shown)))
        shown = np.where(np.isfinite(shown), shown, 0.0)
        for number, name in enumerate(self.problem.variables):
            mine = np.flatnonzero(rows.variable == number)
            if len(mine):
                out[np.ix_(mine, mine)] = covariance(self.problem.instruments[name], shown[mine], age_h=rows.age_h[mine])
        return out

    def _set(self) -> dict[str, Floats]:
        """Settings as arrays; a process with a duration runs no longer than the last reading."""
        known, batches = self.problem.process.settings, self.problem.batches
        names = {name for batch in batches for name in (*batch.settings, *batch.unsure)}
        for name in names:
            if name not in known:
                raise NotValid(
                    f"no setting {name[:60]}", why=f"the process {self.problem.process.name} has none of that name", possible=", ".join(known)
                )
        out = {name: np.array([batch.settings.get(name, known[name].value) for batch in batches]) for name in sorted(names)}
        if "duration" in known and "duration" not in names and known["duration"].unit == "h":
            each = known["duration"]
            out["duration"] = np.full(len(batches), min(max(each.low, math.ceil(self.end_h)), each.high))
        return out


def _steps(columns: int, shape: tuple[int, ...], size: float | Floats) -> Floats:
    """One constant moved at a time, up and then down: (2 columns, B, q)."""
    moved = np.zeros((columns, shape[1]))
    moved[np.arange(columns), np.arange(columns)] = size
    each = np.repeat(moved[:, None, :], shape[0], axis=1)
    return np.concatenate([each, -each])


def _rows(problem: Problem, batch: Batch) -> Rows:
    here = [name for name in problem.variables if name in batch.values]
    every = max(1, math.ceil(len(batch.age_h) * len(here) / READINGS_MAX))
    variable, age, read = [], [], []
    for number, name in enumerate(problem.variables):
        if name not in batch.values:
            continue
        values = batch.values[name]
        there = np.flatnonzero(np.isfinite(values))[::every]
        variable.append(np.full(len(there), number))
        age.append(batch.age_h[there])
        read.append(values[there])
    return Rows(np.concatenate(variable).astype(np.intp), np.concatenate(age).astype(np.float64), np.concatenate(read).astype(np.float64))


def _every(ages: Floats, duration_h: float) -> float:
    """The largest step that meets every age; else one on which a straight line between two points is near enough."""
    for step in STEPS:
        if step <= max(duration_h, float(ages[-1])) and np.abs(ages / step - np.round(ages / step)).max() * step < 1e-6:
            return step
    return min(0.5, duration_h / 500.0)


def _at(grid: Floats, values: Floats, age_h: Floats) -> Floats:
    """Columns of values (T, k) at some ages, on straight lines between the grid's points; NaN beyond its end."""
    after = np.clip(np.searchsorted(grid, age_h - 1e-9), 1, len(grid) - 1) if len(grid) > 1 else np.zeros(len(age_h), dtype=np.intp)
    before = np.maximum(after - 1, 0)
    width = np.where(after > before, grid[after] - grid[before], 1.0)
    share = np.where(after > before, (age_h - grid[before]) / width, 0.0)[:, None]
    share = np.where(np.abs(share - 1.0) < 1e-6, 1.0, np.where(np.abs(share) < 1e-6, 0.0, share))
    low, high = values[before], values[after]
    found = np.where(share == 0.0, low, np.where(share == 1.0, high, low + (high - low) * share))
    return np.where((age_h > grid[-1] + 1e-6)[:, None], np.nan, found)
