"""Fitting, calibration and their refusals, on simulated batches whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from monitoring_setup import LEVEL, NOISE, STEP_H, VARIABLES, WAVE, simulated, with_values

from isogenic.errors import NotFound, NotValid
from isogenic.monitoring import BatchTable, Model, Variable, fit, judge_batch, reference_band
from isogenic.monitoring.alignment import Grid, monotone, on_grid
from isogenic.monitoring.fitting import BATCHES_MIN, sums_of
from isogenic.monitoring.screening import screen
from isogenic.monitoring.structure import Structure, measure, scale_floor, structure_of
from isogenic.monitoring.sums import Sums


def model_of(batches: list[BatchTable], **settings: object) -> Model:
    return fit(batches, variables=VARIABLES, name="simulated", product="MAB-A", **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(("count", "seeds"), [(10, 12), (30, 5), (60, 3)])
def test_share_of_new_good_batches_with_an_alarm_is_as_stated(count: int, seeds: int) -> None:
    alarms = []
    for seed in range(seeds):
        model = model_of(simulated(count, seed=seed), false_alarms=0.1)
        alarms += [int(judge_batch(model, table)[0].alarms[0]) > 0 for table in simulated(30, seed=100 + seed)]
    # few batches make the limits themselves uncertain: wide for 10, three standard errors for the rest
    assert 0.03 <= np.mean(alarms) <= (0.19 if count == 10 else 0.17)


def test_t2_of_all_components_follows_chi_squared_for_normal_deviations() -> None:
    dice = np.random.default_rng(3)
    p, points = 4, 40
    mixing = dice.normal(size=(p, p)) + 2.0 * np.eye(p)
    batches = [BatchTable(str(n), np.arange(points, dtype=float), dice.normal(size=(points, p)) @ mixing.T + 5.0) for n in range(400)]
    grid = Grid(0.0, 1.0, points)
    total = sums_of([on_grid(each, grid) for each in batches])
    structure = structure_of(total, grid, components=p - 1, floor=scale_floor(total))
    whole = Structure(grid, p, structure.mean, structure.scale, structure.directions, structure.spread)
    fresh = dice.normal(size=(20_000, p)) @ mixing.T + 5.0
    t2 = measure(whole, dice.uniform(0.0, points - 1.0, size=20_000), fresh).t2
    # chi-squared with 4 degrees of freedom: mean 4, 95 % quantile 9.488, 99 % quantile 13.277; shrinkage takes off up to a tenth
    assert t2.mean() == pytest.approx(4.0, rel=0.1)
    assert np.quantile(t2, 0.95) == pytest.approx(9.488, rel=0.1)
    assert np.quantile(t2, 0.99) == pytest.approx(13.277, rel=0.1)


def test_mean_trajectory_and_band_are_those_simulated() -> None:
    model = model_of(simulated(60, seed=1))
    maturity, mean, low, high = reference_band(model, "glucose")
    assert maturity.tolist() == (STEP_H * np.arange(120)).tolist()
    truth = LEVEL[2] + WAVE[2] * np.sin(maturity / 12.0 + 2)
    sd = NOISE[2] * np.sqrt(1.0 + 0.2**2 + 1.2**2)
    assert np.abs(mean - truth).max() < 5 * sd / np.sqrt(60)
    assert np.median((high - low) / (2 * 1.96 * sd)) == pytest.approx(1.0, abs=0.15)
    new = np.stack([table.values[:, 2] for table in simulated(50, seed=2)])
    assert np.mean((new >= low) & (new <= high)) == pytest.approx(0.95, abs=0.03)
    with pytest.raises(NotFound, match="flow, pressure"):
        reference_band(model, "colour")


def test_same_batches_give_the_same_bytes() -> None:
    assert model_of(simulated(8, seed=5)).to_bytes() == model_of(simulated(8, seed=5)).to_bytes()
    assert model_of(simulated(8, seed=5)).digest != model_of(simulated(8, seed=6)).digest


def test_batches_of_unlike_length_are_aligned_and_the_grid_ends_where_half_of_them_do() -> None:
    batches = simulated(12, seed=7)
    cut = [BatchTable(each.batch, each.maturity[: 120 - 4 * n], each.values[: 120 - 4 * n]) for n, each in enumerate(batches)]
    model = model_of(cut)
    assert model.structure.grid.last == STEP_H * (119 - 4 * 6)
    watch, _ = judge_batch(model, batches[0])
    assert (watch.judged.tolist(), watch.not_judged.tolist()) == ([96], [24])


def test_an_indicator_that_falls_back_is_made_monotone_and_ties_are_averaged() -> None:
    assert monotone(np.array([0.0, 2.0, 1.0, 3.0])).tolist() == [0.0, 2.0, 2.0, 3.0]
    table = BatchTable("B", np.array([0.0, 1.0, 0.5, 2.0, 3.0]), np.array([[0.0], [1.0], [3.0], [4.0], [np.nan]]))
    grid = on_grid(table, Grid(0.0, 0.5, 7))
    assert grid[:, 0].tolist()[:5] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert np.isnan(grid[5:, 0]).all()


def test_a_long_gap_is_not_bridged() -> None:
    maturity = np.arange(100, dtype=float)
    values = np.stack([maturity, maturity], axis=1)
    values[40:60, 1] = np.nan
    grid = on_grid(BatchTable("B", maturity, values), Grid(0.0, 1.0, 100))
    assert grid[:, 0].tolist() == maturity.tolist()
    assert np.isnan(grid[40:60, 1]).all()
    assert np.isfinite(grid[:40, 1]).all() and np.isfinite(grid[61:, 1]).all()


def test_sums_of_two_sites_are_the_sums_of_all_their_batches() -> None:
    grid = Grid(0.0, STEP_H, 120)
    aligned = [on_grid(each, grid) for each in simulated(20, seed=8)]
    aligned[3][10:20, 1] = np.nan
    centre = aligned[0]
    there, here, pooled = (Sums.empty(np.where(np.isnan(centre), 0.0, centre)) for _ in range(3))
    for number, each in enumerate(aligned):
        pooled = pooled + Sums.of(each, pooled.centre)
        if number < 13:
            here = here + Sums.of(each, here.centre)
        else:
            there = there + Sums.of(each, there.centre)
    floor = scale_floor(pooled)
    one, two = (structure_of(sums, grid, components=2, floor=floor) for sums in (pooled, here + there))
    reading = simulated(1, seed=9)[0]
    first, second = (measure(each, reading.maturity, reading.values) for each in (one, two))
    assert np.allclose(first.t2, second.t2, rtol=1e-9)
    assert np.allclose(first.spe, second.spe, rtol=1e-9)
    alone = pooled - there
    assert np.allclose(alone.mean(), here.mean(), rtol=1e-12)


def test_a_variable_that_never_moved_is_kept_and_its_move_is_news() -> None:
    batches = [BatchTable(each.batch, each.maturity, np.hstack([each.values, np.full((120, 1), 40.0)])) for each in simulated(12, seed=10)]
    variables = (*VARIABLES, Variable("set_point", "%"))
    model = fit(batches, variables=variables, name="constant", product="MAB-A")
    assert model.structure.scale[:, 5].tolist() == [0.4] * 120
    assert judge_batch(model, batches[0])[0].alarms[0] == 0
    found = [one for each in judge_batch(model, with_values(batches[0], start=50, column=5, shift=-10.0))[1] if (one := each.finding())]
    assert found[0].sentence.startswith("set_point 10 % under its trajectory since 25.0 h (30 against 40 %)")


def test_a_wider_grid_step_and_more_components_can_be_asked_for() -> None:
    model = model_of(simulated(12, seed=11), every=2.0, components=3)
    assert (model.structure.grid.step, model.structure.components) == (2.0, 3)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"false_alarms": 0.0}, "between 0 and 1"),
        ({"false_alarms": float("nan")}, "between 0 and 1"),
        ({"components": 5}, "1 to 4"),
        ({"components": -1}, "1 to 4"),
        ({"every": 0.0}, "above 0"),
        ({"every": 1e-9}, "points"),
        ({"every": 1e9}, "points"),
        ({"every": 5e-324}, "points"),
        ({"every": float("nan")}, "above 0"),
        ({"consecutive": 0}, "1 or more"),
    ],
)
def test_senseless_settings_are_refused(settings: dict[str, object], why: str) -> None:
    with pytest.raises(NotValid, match=why):
        model_of(simulated(6, seed=12), **settings)


def test_batches_that_cannot_carry_a_model_are_refused_by_name() -> None:
    good = simulated(6, seed=13)
    with pytest.raises(NotValid, match=f"4 batches are too few; possible now: at least {BATCHES_MIN}"):
        model_of(good[:4])
    with pytest.raises(NotValid, match="batch S13-0: it is there twice"):
        model_of([*good, good[0]])
    with pytest.raises(NotValid, match="batch S13-5: its values are"):
        model_of([*good[:5], BatchTable("S13-5", good[5].maturity, good[5].values[:, :4])])
    with pytest.raises(NotValid, match="batch S13-5: its maturity has gaps"):
        model_of([*good[:5], BatchTable("S13-5", np.where(good[5].maturity == 3.0, np.nan, good[5].maturity), good[5].values)])
    with pytest.raises(NotValid, match="batch S13-5: 3 samples are fewer"):
        model_of([*good[:5], BatchTable("S13-5", good[5].maturity[:3], good[5].values[:3])])
    with pytest.raises(NotValid, match="batch S13-5: 80% of its values are missing; possible now: leave it out"):
        model_of([*good[:5], BatchTable("S13-5", good[5].maturity, np.where(np.arange(5) < 4, np.nan, good[5].values))])
    with pytest.raises(NotValid, match="maturity does not rise"):
        model_of([BatchTable(each.batch, np.zeros(120), each.values) for each in good])
    lost = [with_values(each, start=40, column=3, shift=np.nan) for each in good]
    with pytest.raises(NotValid, match="cannot fit lactate: on 67% of the maturities"):
        model_of(lost)
    with pytest.raises(NotValid, match="at least two"):
        fit([BatchTable(each.batch, each.maturity, each.values[:, :1]) for each in good], variables=VARIABLES[:1], name="m", product="P")
    with pytest.raises(NotValid, match="one name is there twice"):
        fit(good, variables=(*VARIABLES[:4], VARIABLES[0]), name="m", product="P")


def test_impossible_values_in_the_reference_count_as_missing() -> None:
    good = simulated(10, seed=14)
    good[2].values[30, 1] = 1e308
    good[3].values[31, 1] = -np.inf
    model = model_of(good)
    assert np.abs(model.structure.mean).max() < 100.0


def test_screening_finds_the_poor_batches_among_good_ones_and_says_why() -> None:
    batches = simulated(30, seed=15)
    batches[4] = with_values(batches[4], start=60, column=0, factor=0.7)
    batches[17] = with_values(batches[17], start=20, column=2, shift=9.0)
    batches[22] = BatchTable(batches[22].batch, batches[22].maturity[:50], batches[22].values[:50])
    batches[23] = with_values(
        with_values(with_values(batches[23], start=0, column=0, shift=np.nan), start=0, column=1, shift=np.nan), start=0, column=2, shift=np.nan
    )
    screening = screen(batches, variables=VARIABLES)
    reasons = {each.batch: each.reason for each in screening.left_out}
    assert {"S15-4", "S15-17", "S15-22", "S15-23"} <= set(reasons)
    assert len(screening.good) >= 25
    assert reasons["S15-4"].startswith("flow 29 % under its trajectory since 30.0 (0.46 against 0.65 mL/h/L)")
    assert reasons["S15-17"].startswith("glucose")
    assert reasons["S15-22"] == "it ends at maturity 24.5, before 90% of the range 0 to 59.5"
    assert reasons["S15-23"] == "60% of its values are missing"
    with pytest.raises(NotValid, match="too few to tell good from poor"):
        screen(batches[:9], variables=VARIABLES)


@pytest.mark.parametrize(("late", "alarms"), [(-2, 0), (-1, 0), (1, 0), (2, 0), (6, 1)])
def test_a_jump_that_comes_a_sample_early_or_late_is_no_alarm(late: int, alarms: int) -> None:
    def jumping(table: BatchTable, at: int) -> BatchTable:
        return with_values(table, start=at, column=0, shift=0.5)

    model = model_of([jumping(each, 60) for each in simulated(20, seed=16)])
    calm = next(each for each in simulated(5, seed=17) if judge_batch(model, jumping(each, 60))[0].alarms[0] == 0)
    assert judge_batch(model, jumping(calm, 60 + late))[0].alarms[0] == alarms
