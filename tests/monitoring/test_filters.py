"""Filters of the bank: residuals against their predictive variance, averages, gaps, many units as one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from continuous_setup import fitted, run

from isogenic.monitoring.bank.filters import Filtered, State, expected, filter_rows, start
from isogenic.monitoring.bank.fitting import Core, Normal, core_of, series
from isogenic.monitoring.bank.statistics import Bank, energy_deviations, logs_of
from isogenic.monitoring.tables import Floats

RATES = np.array([0.3, 0.05])


@pytest.fixture(scope="module")
def core() -> Core:
    return core_of([run(1, 2000), run(2, 2000)], RATES)


def scaled(core: Core, values: Floats) -> tuple[Floats, Floats]:
    z = (values - core.mean) / core.scale
    return z, np.array([core.directions @ each for each in z])


def through(core: Core, readings: Floats) -> tuple[State, list[Filtered]]:
    """Readings float64[rows, units, p], one after another; a NaN makes a gap."""
    state, told = start(core.filters, readings.shape[1]), []
    for values in readings:
        read = np.isfinite(values).all(axis=1)
        z, scores = scaled(core, np.where(read[:, None], values, 0.0))
        state, filtered = filter_rows(core.filters, state, z, scores, read=read, there=np.isfinite(values), whole=bool(np.isfinite(values).all()))
        told.append(filtered)
    return state, told


def test_on_unseen_good_data_adjusted_residuals_have_mean_square_one_and_no_memory(core: Core) -> None:
    _, told = through(core, run(3, 2000)[:, None, :])
    w = np.array([each.w[0, 0] for each in told[1:]])
    assert np.abs(np.square(w).mean(axis=0) - 1.0).max() < 0.15
    assert max(abs(np.corrcoef(w[1:, each], w[:-1, each])[0, 1]) for each in range(8)) < 0.15


def test_from_few_rows_the_mean_square_is_still_one_for_what_they_cannot_tell_is_counted() -> None:
    squares, uncounted = [], []
    for seed in range(20, 30):
        few = core_of([run(seed, 120)], RATES)
        _, told = through(few, run(seed + 100, 400)[:, None, :])
        squares.append(np.mean([np.square(each.w[0, 0]).mean() for each in told[1:]]))
        bold = few._replace(filters=replace(few.filters, leverage=0.0 * few.filters.leverage, rows=10**9))
        _, told = through(bold, run(seed + 100, 400)[:, None, :])
        uncounted.append(np.mean([np.square(each.w[0, 0]).mean() for each in told[1:]]))
    assert abs(np.mean(squares) - 1.0) < 0.1
    assert np.mean(uncounted) > np.mean(squares) + 0.02


def test_a_variable_that_departs_has_the_largest_adjusted_residual(core: Core) -> None:
    readings = np.broadcast_to(core.mean, (2, 8, 8)).copy()
    readings[1] += 5.0 * core.scale * np.eye(8)
    _, told = through(core, readings)
    assert np.abs(told[1].w[:, 0]).argmax(axis=1).tolist() == list(range(8))


def test_many_units_are_the_same_bits_as_one(core: Core) -> None:
    readings = np.stack([run(seed, 40) for seed in range(10, 17)], axis=1)
    readings[20, 3] = np.nan
    _, together = through(core, readings)
    for unit in range(readings.shape[1]):
        _, alone = through(core, readings[:, unit : unit + 1])
        for field in ("size", "w", "energy", "known"):
            assert [getattr(each, field)[unit].tobytes() for each in together] == [getattr(each, field)[0].tobytes() for each in alone]


def test_averages_of_movement_are_the_weighted_sum_of_all_readings(core: Core) -> None:
    values = run(4, 30)
    state, told = through(core, values[:, None, :])
    squares = np.array([np.minimum(np.square(each.w[0, 0]), 40.0) for each in told[1:]])
    for k, rate in enumerate(RATES):
        weights = rate * (1.0 - rate) ** np.arange(28, -1, -1)
        assert np.allclose(state.energy[0, k], weights @ squares + (1.0 - rate) ** 29, atol=1e-12)


def test_residuals_are_silent_at_first_and_after_a_gap_and_a_gap_leaves_the_averages(core: Core) -> None:
    values = run(5, 12)
    values[6, 1] = np.nan
    _, told = through(core, values[:, None, :])
    assert [bool(each.known[0]) for each in told] == [False] + [True] * 5 + [False] * 2 + [True] * 4
    assert told[6].energy.tobytes() == told[7].energy.tobytes() == told[5].energy.tobytes()


def test_nothing_is_expected_before_the_first_reading(core: Core) -> None:
    state = start(core.filters, 2)
    assert expected(core.filters, state).tolist() == np.zeros((2, 8)).tolist()


def test_a_whole_run_at_once_is_what_row_by_row_gives() -> None:
    model = fitted(range(3))
    bank = model.bank
    assert isinstance(bank, Bank)
    inner = model.structure
    core = Core(inner.mean[0], inner.scale[0], inner.directions[0], inner.spread[0], inner.components, bank.filters)
    normal = Normal(bank.steadiness, bank.centre, bank.spread)
    values = run(9, 200)
    along = series(core, values, normal)
    _, told = through(core, values[:, None, :])
    _, scores = scaled(core, values)
    squares = np.square(scores) / core.spread
    for row in (1, 2, 50, 199):
        level = np.array([[squares[row, : core.components].sum(), squares[row, core.components :].sum()]])
        logs = logs_of(level, told[row], energy_deviations(bank.centre, bank.spread, told[row].energy), bank.steadiness)
        assert np.allclose(along[row - 1], logs[0], atol=1e-9)
