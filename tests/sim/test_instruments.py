"""What instruments say: known statistics, the same numbers step by step and in series, failures by their signatures."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from isogenic.errors import NotFound, NotValid, Refusal
from isogenic.sim.instruments import FAILURES, INSTRUMENTS, Failure, Instrument, Sensor, SensorFault, Sensors, instruments_of, measured
from isogenic.sim.instruments.tables import CAPACITANCE, OXYGEN, PH_GLASS, PT100, RECALIBRATED_PH, STIRRED_BIOREACTOR
from isogenic.sim.processes import process_of
from isogenic.sim.streams import BINS, CHUNK, Dice

MINUTE = 1.0 / 60.0
EVERY_FAILURE = (
    SensorFault("sensor_is_late", "ph", 0.5, 2.0, 5.0),
    SensorFault("sensor_freezes", "glucose", 0.0, 3.0, 4.0),
    SensorFault("sensor_drops", "lactate", 0.0, 3.0, 4.0, np.array([True, False, True])),
    SensorFault("sensor_is_fouled", "dissolved_oxygen", 0.5, 3.0, 20.0),
    SensorFault("sensor_spikes", "ph", 0.5, 3.0, 5.0),
    SensorFault("sensor_is_noisy", "viability", 3.0, 3.0, 4.0),
    SensorFault("sensor_in_wrong_unit", "glucose", 0.0, 5.0, 3.0),
    SensorFault("sensor_biased", "temperature", 1.5, 2.0, 4.0),
    SensorFault("sensor_drifts", "temperature", 1.5, 5.0, 2.0),
)


def steady(value: float, *, rows: int, n: int, name: str = "x") -> dict[str, np.ndarray]:
    return {name: np.full((rows, n), value)}


def read_steady(how: Instrument, value: float, *, rows: int, n: int, every_h: float = 1.0, seed: int = 1, faults=()) -> np.ndarray:
    names = [f"B{at}" for at in range(n)]
    age = np.arange(rows) * every_h
    shown = measured(
        steady(value, rows=rows, n=n), instruments={"x": how}, seed=seed, site="PORTO", batches=names, lots=names, age_h=age, faults=faults
    )
    return shown["x"]


# -- the same numbers ----------------------------------------------------------------------


def test_stepping_and_series_give_the_same_bits_through_every_failure_and_a_restart() -> None:
    table = {**STIRRED_BIOREACTOR, "ph": replace(RECALIBRATED_PH, recalibrated_h=4.0)}
    rows, names = 600, ["B0", "B1", "B2"]
    age = np.arange(rows) * MINUTE
    dice = np.random.default_rng(0)
    truth = {name: 20.0 + 0.01 * np.cumsum(dice.normal(size=(rows, 3)), axis=0) for name in table}
    series = measured(truth, instruments=table, seed=3, site="PORTO", batches=names, age_h=age, faults=EVERY_FAILURE)
    live = Sensors(table, seed=3, site="PORTO", batches=names, step_h=MINUTE, faults=EVERY_FAILURE)
    for at in range(rows):
        if at == 250:  # everything frozen, late and lagging stands in the snapshot
            memory = json.loads(json.dumps(live.snapshot()))
            live = Sensors(table, seed=3, site="PORTO", batches=["other"] * 3, step_h=MINUTE, faults=EVERY_FAILURE)
            live.restore(memory)
        shown = live.by_name(live.step({name: each[at] for name, each in truth.items()}, index=at, age_h=age[at]))
        for name in table:
            assert np.array_equal(shown[name], series[name][at], equal_nan=True), (name, at)


def test_a_batch_reads_the_same_alone_or_among_others_in_any_order() -> None:
    age = np.arange(80) * 0.5
    truth = {name: np.full((80, 3), 30.0) for name in STIRRED_BIOREACTOR}
    together = measured(truth, instruments=STIRRED_BIOREACTOR, seed=3, site="PORTO", batches=["a", "b", "c"], age_h=age)
    turned = measured(truth, instruments=dict(reversed(STIRRED_BIOREACTOR.items())), seed=3, site="PORTO", batches=["c", "b", "a"], age_h=age)
    alone = measured(
        {name: each[:, :1] for name, each in truth.items()}, instruments=STIRRED_BIOREACTOR, seed=3, site="PORTO", batches=["b"], age_h=age
    )
    for name in STIRRED_BIOREACTOR:
        assert together[name].tobytes() == turned[name][:, ::-1].tobytes()
        assert together[name][:, 1].tobytes() == alone[name][:, 0].tobytes()
    elsewhere = measured(truth, instruments=STIRRED_BIOREACTOR, seed=3, site=["PORTO", "LEEDS", "PORTO"], batches=["a", "b", "c"], age_h=age)
    same = [np.array_equal(elsewhere["glucose"][:, at], together["glucose"][:, at]) for at in range(3)]
    assert same == [True, False, True]


def test_one_instrument_in_plain_floats_reads_the_same() -> None:
    age = np.arange(700) * 0.5
    truth = 30.0 - 0.05 * age
    for name, how in {**STIRRED_BIOREACTOR, "ph": RECALIBRATED_PH}.items():
        still = replace(how, lag_s=0.0, process_s=0.0)
        series = measured({name: truth[:, None]}, instruments={name: still}, seed=1, site="PORTO", batches=["one"], age_h=age)[name][:, 0]
        alone = Sensor(still, seed=1, site="PORTO", batch="one", name=name, step_h=0.5)
        assert [alone.read(float(truth[at]), index=at, age_h=float(age[at])) for at in range(700)] == pytest.approx(list(series), rel=1e-12)


def test_new_instruments_on_one_vessel_leave_the_others_alone() -> None:
    kept, renewed = (Sensors(STIRRED_BIOREACTOR, seed=3, site="PORTO", batches=["a", "b"], step_h=MINUTE) for _ in range(2))
    truth = np.full((len(STIRRED_BIOREACTOR), 2), 30.0)
    for at in range(50):
        kept.step(truth, index=at, age_h=at * MINUTE)
        renewed.step(truth, index=at, age_h=at * MINUTE)
    renewed.renew(1, batch="c")
    fresh = Sensors(STIRRED_BIOREACTOR, seed=3, site="PORTO", batches=["a", "c"], step_h=MINUTE)
    one = kept.step(truth, index=50, age_h=50 * MINUTE)
    two = renewed.step(truth, index=np.array([50, 0]), age_h=np.array([50 * MINUTE, 0.0]))
    three = fresh.step(truth, index=0, age_h=0.0)
    assert np.array_equal(two[:, 0], one[:, 0]) and np.array_equal(two[:, 1], three[:, 1])


# -- dice ----------------------------------------------------------------------------------


def test_dice_give_the_same_bits_one_by_one_and_in_bulk() -> None:
    lanes = Dice.of(7, [("ph", at) for at in range(50)])
    rows = 2 * CHUNK // 50
    bulk = lanes.normals(np.arange(rows)[:, None])
    assert bulk.shape == (rows, 50)
    for row, lane in ((0, 0), (1, 49), (rows - 1, 7), (rows // 2, 31)):
        assert lanes[lane : lane + 1].normals(row)[0] == bulk[row, lane]
        assert Dice.of(7, [("ph", lane)]).normals(row)[0] == bulk[row, lane]


def test_draws_are_standard_normal_and_independent() -> None:
    lanes = Dice.of(7, [("x", at) for at in range(100)])
    draws = lanes.normals(np.arange(10_000)[:, None])
    assert abs(draws.mean()) < 0.004 and draws.std() == pytest.approx(1.0, abs=0.003)
    assert (draws**3).mean() == pytest.approx(0.0, abs=0.015) and (draws**4).mean() == pytest.approx(3.0, abs=0.04)
    for beyond, share in ((1.0, 0.31731), (2.0, 0.04550), (3.0, 0.0026998), (3.8, 0.00014470)):  # the last lies in the outermost bins
        assert (np.abs(draws) > beyond).mean() == pytest.approx(share, abs=4 * (share / 1e6) ** 0.5)
    along = np.array([np.corrcoef(lane[1:], lane[:-1])[0, 1] for lane in draws.T])
    assert abs(along.mean()) < 0.004
    across = np.corrcoef(draws.T) - np.eye(100)
    assert np.abs(across).max() < 0.05
    others = lanes.normals(np.arange(10_000)[:, None], purpose=1)
    assert abs(np.corrcoef(others.ravel(), draws.ravel())[0, 1]) < 0.004


def test_uniforms_and_whole_numbers_are_even() -> None:
    lanes = Dice.of(7, [("x", at) for at in range(10)])
    shares = lanes.uniforms(np.arange(20_000)[:, None])
    counts = np.histogram(shares, bins=BINS // 128, range=(0.0, 1.0))[0]
    expected = shares.size / len(counts)
    assert ((counts - expected) ** 2 / expected).sum() < len(counts) + 4 * (2 * len(counts)) ** 0.5  # chi-squared
    faces = np.bincount(lanes.integers(np.arange(20_000)[:, None], below=6).ravel(), minlength=6)
    assert len(faces) == 6 and np.abs(faces / faces.sum() - 1 / 6).max() < 0.005


# -- known statistics ----------------------------------------------------------------------


def test_noise_has_its_standard_deviation_and_no_memory() -> None:
    how = Instrument(noise=0.3, noise_share=0.02)
    shown = read_steady(how, 10.0, rows=20_000, n=5) - 10.0
    assert shown.std() == pytest.approx(0.5, rel=0.01)  # 0.3 + 0.02 * 10
    assert abs(np.mean([np.corrcoef(lane[1:], lane[:-1])[0, 1] for lane in shown.T])) < 0.01


def test_the_wander_is_an_ornstein_uhlenbeck_process() -> None:
    how = Instrument(wander=1.0, memory_h=24.0)
    shown = read_steady(how, 5.0, rows=400, n=3_000) - 5.0
    assert np.abs(shown.std(axis=1) - 1.0).max() < 0.06  # at every moment, on a knot or between two
    for lag in (3, 12, 24, 48):
        seen = np.mean(shown[lag:] * shown[:-lag])
        assert seen == pytest.approx(np.exp(-lag / 24.0), abs=0.015)


def test_drift_is_a_line_with_its_spread_after_two_weeks() -> None:
    shown = read_steady(Instrument(drift=0.045), 7.0, rows=337, n=4_000) - 7.0
    assert np.abs(shown[0]).max() == 0.0
    assert shown[336].std() == pytest.approx(0.045, rel=0.04)
    assert np.allclose(shown[168], shown[336] / 2)


def test_probes_err_as_their_makers_and_studies_say() -> None:
    """A limit is two standard deviations: pH +-0.02 fresh, +-0.1 at day 14; oxygen +-1 %, temperature +-0.1 K, capacitance 5 to 10 %."""
    for how, value, fresh, old in ((PH_GLASS, 7.0, 0.02, 0.1), (OXYGEN, 40.0, 1.0, 2.0), (PT100, 37.0, 0.1, 0.11)):
        quiet = replace(how, noise=0.0, spikes_per_h=0.0)
        # What is said of a fresh pH probe is all that it errs by; of the others it is the bias they come with, beside which they wander.
        new = quiet if how is PH_GLASS else replace(quiet, wander=0.0)
        shown = read_steady(new, value, rows=1, n=4_000) - value
        assert 2 * shown.std() == pytest.approx(fresh, rel=0.05)
        shown = read_steady(quiet, value, rows=15, n=4_000, every_h=24.0) - value
        assert 2 * shown[14].std() == pytest.approx(old, rel=0.1)
    shown = read_steady(replace(CAPACITANCE, noise_share=0.0), 20.0, rows=15, n=4_000, every_h=24.0) / 20.0
    assert 2 * shown[7].std() == pytest.approx(0.07, abs=0.01)
    assert shown[7].mean() == pytest.approx(1.0, abs=0.002) and shown[14].mean() == pytest.approx(0.85, abs=0.002)  # cells of another size, late


@pytest.mark.parametrize(("local", "g_per_mmol", "name"), [(0.3, 0.180156, "glucose"), (0.2, 0.090078, "lactate"), (0.15, 1.0, "titre")])
def test_raman_readings_err_over_a_batch_as_a_local_model_does(local: float, g_per_mmol: float, name: str) -> None:
    how = replace(instruments_of("antibody")[name], process_s=0.0)
    off = (read_steady(how, 20.0, rows=169, n=600, every_h=2.0) - 20.0) * g_per_mmol
    assert (off**2).mean() ** 0.5 == pytest.approx(local, rel=0.1)


def test_spectra_err_alike_on_one_lot_of_medium_at_a_site_and_on_no_other() -> None:
    """Model bias per lot of medium 0.2 g/L of glucose."""
    how = replace(instruments_of("antibody")["glucose"], noise=0.0, bias=0.0, wander=0.0, drift=0.0)
    lots = [f"LOT-{at // 2}" for at in range(2_000)]
    names = [f"B{at}" for at in range(2_000)]

    def off(site: str, seed: int = 1) -> np.ndarray:
        shown = measured(
            steady(20.0, rows=2, n=2_000), instruments={"x": how}, seed=seed, site=site, batches=names, lots=lots, age_h=np.array([0.0, 300.0])
        )["x"]
        assert np.array_equal(shown[0], shown[1])  # for the whole batch
        return (shown[0] - 20.0) * 0.180156

    here = off("PORTO")
    assert np.array_equal(here[::2], here[1::2])
    assert here[::2].std() == pytest.approx(0.2, rel=0.07)
    assert abs(np.corrcoef(here[::2], off("GHENT")[::2])[0, 1]) < 0.1
    live = Sensors({"x": how}, seed=1, site="PORTO", batches=names[:4], lots=lots[:4], step_h=1.0)
    assert np.array_equal((live.step({"x": np.full(4, 20.0)}, index=0, age_h=0.0)[0] - 20.0) * 0.180156, here[:4])
    alone = Sensor(how, seed=1, site="PORTO", batch="B2", name="x", lot="LOT-1")
    assert (alone.read(20.0, index=0, age_h=0.0) - 20.0) * 0.180156 == pytest.approx(here[2], rel=1e-12)


@pytest.mark.parametrize(("how", "seconds"), [(Instrument(lag_s=30.0), 30.0), (Instrument(process_s=600.0), 600.0)])
def test_an_instrument_shows_nine_tenths_of_a_step_after_its_lag(how: Instrument, seconds: float) -> None:
    step_h = seconds / 3600.0 / 100.0
    truth = np.ones((400, 1))
    truth[0] = 0.0
    shown = measured({"x": truth}, instruments={"x": how}, seed=1, site="S", batches=["b"], age_h=np.arange(400) * step_h)["x"][:, 0]
    assert np.argmax(shown >= 0.9) == pytest.approx(100, abs=1)
    slow = measured(
        {"x": truth},
        instruments={"x": replace(how, lag_s=seconds, process_s=seconds)},
        seed=1,
        site="S",
        batches=["b"],
        age_h=np.arange(400) * step_h,
    )
    assert np.argmax(slow["x"][:, 0] >= 0.9) == pytest.approx(169, abs=2)  # two lags in a row: (1 + x) e^-x = 0.1 at x = 3.89


def test_fouling_takes_gain_away_as_it_should() -> None:
    shown = read_steady(Instrument(fouling=0.3, fouling_h=48.0), 50.0, rows=100, n=1)[:, 0]
    assert shown == pytest.approx(50.0 * (1.0 - 0.3 * (1.0 - np.exp(-np.arange(100) / 48.0))), rel=1e-12)


def test_a_one_point_recalibration_is_a_step() -> None:
    shown = read_steady(replace(RECALIBRATED_PH, noise=0.0, wander=0.0, drift=0.2), 7.0, rows=337, n=500) - 7.0
    assert shown[167].std() == pytest.approx(0.1, rel=0.15) and shown[168].std() == pytest.approx(0.007, rel=0.15)
    assert np.abs(np.diff(shown[:168], axis=0)).max() < 0.01  # between two of them it only drifts


def test_bubbles_are_rare_and_go_one_way() -> None:
    shown = read_steady(replace(OXYGEN, noise=0.0, bias=0.0, drift=0.0, wander=0.0), 40.0, rows=20_000, n=2, every_h=MINUTE) - 40.0
    assert (shown != 0).mean() == pytest.approx(0.02 * MINUTE, rel=0.6)
    assert shown.min() >= 0.0 and 2.0 < shown.max() <= 6.0


def test_nothing_is_shown_beyond_the_scale() -> None:
    assert read_steady(PH_GLASS, 14.0, rows=3, n=2).max() == 12.0


# -- failures ------------------------------------------------------------------------------

FROM, HOURS = 40, 30


def failed(name: str, size: float = 0.0, *, how: Instrument | None = None, value: float = 20.0) -> tuple[np.ndarray, np.ndarray]:
    """What two batches showed, and what they would have shown; the failure is in the first batch only, from hour 40 for 30."""
    how = how or Instrument(noise=0.2)
    only = np.array([True, False])
    truth = {"x": value + 5.0 * np.sin(np.arange(100)[:, None] / 8.0) * np.ones(2)}
    given = {"instruments": {"x": how}, "seed": 5, "site": "S", "batches": ["a", "b"], "age_h": np.arange(100.0)}
    broken = measured(truth, **given, faults=[SensorFault(name, "x", size, FROM, HOURS, only)])["x"]
    sound = measured(truth, **given)["x"]
    assert np.array_equal(broken[:, 1], sound[:, 1])  # the other batch knows nothing of it
    assert np.array_equal(broken[:FROM, 0], sound[:FROM, 0]) and np.array_equal(broken[FROM + HOURS :, 0], sound[FROM + HOURS :, 0])
    return broken[FROM : FROM + HOURS, 0], sound[FROM : FROM + HOURS, 0]


def test_a_biased_sensor_steps() -> None:
    shown, sound = failed("sensor_biased", 2.5)
    assert shown == pytest.approx(sound + 2.5)


def test_a_drifting_sensor_moves_away_by_so_much_a_day() -> None:
    shown, sound = failed("sensor_drifts", 2.4)
    assert shown - sound == pytest.approx(0.1 * np.arange(HOURS))


def test_a_frozen_sensor_repeats_itself() -> None:
    shown, sound = failed("sensor_freezes")
    assert set(shown) == {sound[0]}


def test_a_spiking_sensor_has_single_readings_off_on_either_side() -> None:
    truth = {"x": np.full((4_000, 1), 20.0)}
    fault = SensorFault("sensor_spikes", "x", 3.0)
    off = measured(truth, instruments={"x": Instrument()}, seed=5, site="S", batches=["a"], age_h=np.arange(4_000.0), faults=[fault])["x"] - 20.0
    assert (off != 0).mean() == pytest.approx(0.05, abs=0.012)
    assert np.abs(off[off != 0]).mean() == pytest.approx(3.0, rel=0.1) and 0.3 < (off[off != 0] > 0).mean() < 0.7


def test_a_dropped_sensor_says_nothing() -> None:
    assert np.isnan(failed("sensor_drops")[0]).all()


def test_a_noisy_sensor_spreads_without_moving() -> None:
    shown = read_steady(Instrument(noise=0.2), 20.0, rows=5_000, n=1, faults=[SensorFault("sensor_is_noisy", "x", 4.0)])
    assert shown.std() == pytest.approx(0.8, rel=0.05) and shown.mean() == pytest.approx(20.0, abs=0.05)


def test_a_late_sensor_shows_what_was_before() -> None:
    truth = 20.0 + np.arange(100.0)[:, None]
    late = SensorFault("sensor_is_late", "x", 6.0, 40.0, 30.0)
    shown = measured({"x": truth}, instruments={"x": Instrument()}, seed=5, site="S", batches=["a"], age_h=np.arange(100.0), faults=[late])["x"]
    assert np.array_equal(shown[40:70], truth[34:64]) and np.array_equal(shown[70:], truth[70:])


def test_a_fouled_sensor_sinks_and_slows() -> None:
    truth = np.full((100, 1), 50.0)
    truth[60:] = 100.0
    given = {"seed": 5, "site": "S", "batches": ["a"], "age_h": np.arange(100) * MINUTE, "instruments": {"x": Instrument(lag_s=300.0)}}
    sound = measured({"x": truth}, **given)["x"]
    fouled = measured({"x": truth}, **given, faults=[SensorFault("sensor_is_fouled", "x", 0.5, 0.5)])["x"]
    assert fouled[59, 0] == pytest.approx(50.0 * (1 - 0.5 * (1 - np.exp(-29 * MINUTE / 24.0))), rel=1e-9)
    step = (fouled[65, 0] - fouled[59, 0], sound[65, 0] - sound[59, 0])
    assert step[0] < 0.65 * step[1]


def test_a_sensor_in_the_wrong_unit_jumps_by_its_factor() -> None:
    shown, sound = failed("sensor_in_wrong_unit", how=replace(PT100, noise=0.0), value=37.0)
    assert shown == pytest.approx(1.8 * sound + 32.0)
    shown, sound = failed("sensor_in_wrong_unit", 1000.0)
    assert shown == pytest.approx(1000.0 * sound)


def test_every_failure_is_described_and_named_as_the_catalogue_does() -> None:
    assert set(FAILURES) == set(Failure)
    assert all(text and low <= high for _, low, high, text in FAILURES.values())
    assert {each.name for each in EVERY_FAILURE} == set(Failure)


# -- refusals ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size", "start", "hours"),
    [
        ("sensor_explodes", 0.0, 0.0, 1.0),
        ("sensor_biased", float("nan"), 0.0, 1.0),
        ("sensor_is_noisy", 0.5, 0.0, 1.0),
        ("sensor_is_late", -1.0, 0.0, 1.0),
        ("sensor_is_late", 1e9, 0.0, 1.0),
        ("sensor_is_fouled", 1.0, 0.0, 1.0),
        ("sensor_drops", 0.0, -1.0, 1.0),
        ("sensor_drops", 0.0, 0.0, 0.0),
    ],
)
def test_a_senseless_failure_is_refused(name: str, size: float, start: float, hours: float) -> None:
    with pytest.raises(Refusal):
        SensorFault(name, "ph", size, start, hours)


def test_what_is_not_there_cannot_be_measured_or_broken() -> None:
    with pytest.raises(NotFound):
        instruments_of("beer")
    with pytest.raises(NotFound):
        read_steady(Instrument(), 1.0, rows=3, n=1, faults=[SensorFault("sensor_drops", "smell")])
    with pytest.raises(NotValid):
        read_steady(Instrument(), 1.0, rows=3, n=1, faults=[SensorFault("sensor_in_wrong_unit", "x")])
    with pytest.raises(NotValid):
        measured(steady(1.0, rows=3, n=2), instruments={"x": Instrument()}, seed=1, site="S", batches=["a"], age_h=np.arange(3.0))
    with pytest.raises(NotValid):
        measured(steady(1.0, rows=3, n=1), instruments={"x": Instrument()}, seed=1, site=["S", "T"], batches=["a"], age_h=np.arange(3.0))
    for ages in ([0.0, 1.0, 5.0], [0.0, 0.0, 0.0], [0.0, 1.0, np.nan], [0.0, 1e6, 2e6]):
        with pytest.raises(NotValid):
            measured(steady(1.0, rows=3, n=1), instruments={"x": Instrument()}, seed=1, site="S", batches=["a"], age_h=np.array(ages))
    with pytest.raises(NotValid):
        Sensors(STIRRED_BIOREACTOR, seed=1, site="S", batches=["a"], step_h=0.0)
    sensors = Sensors(STIRRED_BIOREACTOR, seed=1, site="S", batches=["a"], step_h=1.0)
    for memory in ({}, {"batches": []}, Sensors(STIRRED_BIOREACTOR, seed=1, site="S", batches=["a", "b"], step_h=1.0).snapshot()):
        with pytest.raises(NotValid):
            sensors.restore(memory)


@pytest.mark.parametrize("bad", [{"noise": -1.0}, {"memory_h": 0.0}, {"fouling": 1.0}, {"low": 2.0, "high": 1.0}, {"noise": float("nan")}])
def test_a_senseless_instrument_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(NotValid):
        Instrument(**bad)


def test_every_table_reads_what_it_names() -> None:
    for name, table in INSTRUMENTS.items():
        truth = {each: np.full((5, 2), 10.0) for each in table}
        shown = measured(
            {**truth, "unmeasured": np.ones((5, 2))}, instruments=instruments_of(name), seed=1, site="S", batches=["a", "b"], age_h=np.arange(5.0)
        )
        assert set(shown) == set(table) and all(np.isfinite(each).all() for each in shown.values())


def test_penicillin_is_measured_by_the_names_and_units_of_its_models() -> None:
    celsius = INSTRUMENTS["indpensim"]["temperature"]
    assert (celsius.low, celsius.high) == (0.0, 80.0), "IndPenSim tells degC, PenSim K"
    assert {"oxygen", "off_gas_oxygen", "weight"} <= INSTRUMENTS["indpensim"].keys() & process_of("indpensim").variables.keys()
    assert "oxygen" in INSTRUMENTS["pensim"].keys() & process_of("pensim").variables.keys()
