"""What a running batch will come to, on batches whose answer is known."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest
from forecasting_setup import LAST, POINTS, QUALITIES, VARIABLES, fitted, made
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.errors import NotAllowed, NotFound, NotTrusted, NotValid, Refusal
from isogenic.monitoring import BatchTable, Variable
from isogenic.monitoring.forecasting import Following, Forecast, Forecaster, begin, fit_forecast, follow, forecast
from isogenic.monitoring.tables import Floats

MODEL = fitted()
DATA = MODEL.to_bytes()


def followed(model: Forecaster, maturity: Floats, values: Floats) -> Following:
    state = begin(model)
    for reached, row in zip(maturity.tolist(), values, strict=True):
        state = follow(state, row, maturity=reached)
    return state


def said(table: BatchTable, points: int = POINTS, model: Forecaster = MODEL) -> Forecast:
    return forecast(followed(model, table.maturity[:points], table.values[:points]))


@pytest.mark.parametrize("seed", [1, 2])
def test_ninety_percent_of_new_batches_end_within_their_interval_at_every_maturity(seed: int) -> None:
    model = fitted(60, seed=seed)
    tables, ends = made(400, seed=100 + seed)
    values = np.stack([table.values for table in tables])
    state, covered = begin(model, units=400), []
    for at, reached in enumerate(tables[0].maturity.tolist()):
        state = follow(state, values[:, at], maturity=np.full(400, reached))
        told = forecast(state)
        covered.append(((ends >= told.low) & (ends <= told.high)).mean(axis=0))
    # 60 batches tell a 90 % quantile to 3.9 points (standard deviation of a beta distribution)
    assert np.abs(np.mean(covered, axis=0) - 0.9).max() <= 0.08
    assert model.validation.covered == pytest.approx((0.9, 0.9), abs=0.03)


def test_the_interval_narrows_to_what_cannot_be_known() -> None:
    tables, _ = made(20, seed=7)
    width = [np.median([(told := said(table, points)).high[0] - told.low[0] for table in tables], axis=0) for points in (0, 10, 30, 45, POINTS)]
    assert all((later <= 1.02 * earlier).all() for earlier, later in itertools.pairwise(width))
    # before: 2 x 1.645 standard deviations of all batches; after: of the dice that no reading shows, and a quarter more at most
    assert width[0] == pytest.approx(3.29 * np.array([np.hypot(0.4, 0.2), 2.0]), rel=0.3)
    assert (width[-1] <= 1.5 * 3.29 * np.array([0.05, 0.2])).all()


def test_a_limit_is_foreseen_long_before_it_is_reached() -> None:
    tables, _ = made(60, seed=8)
    hit = leads = 0
    for table in tables:
        smooth = np.convolve(table.values[:, 2], np.ones(5) / 5, mode="same")[:-2]
        over = np.flatnonzero(smooth > 14.0)
        reach = said(table, 31).reaches("lactate", above=14.0)  # half way
        if len(over) and table.maturity[over[0]] > 200.0:
            hit += 1
            truth = table.maturity[over[0]]
            leads += reach.earliest is not None and reach.earliest - 10.0 <= truth <= (reach.latest or np.inf) + 10.0
    assert hit >= 8
    assert leads / hit >= 0.85


def test_a_limit_that_is_broken_is_said_so_and_one_far_away_is_never_reached() -> None:
    table = made(1, seed=9)[0][0]
    assert said(table, 31).reaches("cells", above=5.0).now
    reach = said(table, 31).reaches("cells", above=500.0)
    assert (reach.expected, reach.earliest, reach.latest, reach.now) == (None, None, None, False)
    below = said(table, 31).reaches("glucose", below=12.0)
    assert below.earliest is not None and below.expected is not None
    assert 200.0 < below.earliest <= below.expected
    for sides in ({}, {"above": 1.0, "below": 2.0}, {"above": np.nan}):
        with pytest.raises(NotValid):
            said(table, 31).reaches("cells", **sides)
    with pytest.raises(NotFound, match="possible now: cells, glucose"):
        said(table, 31).reaches("colour", above=1.0)


def test_many_batches_at_once_are_each_the_same_as_alone() -> None:
    tables, _ = made(5, seed=10)
    values = np.stack([table.values for table in tables])
    values[2, 10:20, 1] = np.nan
    state = begin(MODEL, units=5)
    for at in range(40):
        state = follow(state, values[:, at], maturity=np.full(5, tables[0].maturity[at]))
    together = forecast(state)
    for unit, table in enumerate(tables):
        alone = forecast(followed(MODEL, table.maturity[:40], values[unit, :40]))
        assert alone.quality[0].tolist() == pytest.approx(together.quality[unit].tolist(), rel=1e-12)
        assert alone.low[0].tolist() == pytest.approx(together.low[unit].tolist(), rel=1e-12)


def test_a_maturity_that_falls_back_counts_as_the_highest_so_far() -> None:
    table = made(1, seed=11)[0][0]
    maturity = table.maturity[:30].copy()
    back = maturity.copy()
    back[20:24] = maturity[10]
    state, plain = followed(MODEL, back, table.values[:30]), followed(MODEL, np.maximum.accumulate(back), table.values[:30])
    assert state.maturity[0] == maturity[29]
    assert forecast(state).quality.tolist() == forecast(plain).quality.tolist()
    assert (np.diff([followed(MODEL, back[:at], table.values[:at]).complete[0] for at in range(1, 30)]) >= 0).all()


def test_a_batch_that_ends_early_keeps_the_interval_of_where_it_ended() -> None:
    table = made(1, seed=12)[0][0]
    told = said(table, 25)
    assert told.complete[0] < MODEL.bins
    assert (told.high - told.low >= said(table).high - said(table).low).all()
    assert told.doubts() == ()


def test_a_batch_that_runs_double_keeps_its_forecast_and_says_that_nothing_is_added() -> None:
    table = made(1, seed=13)[0][0]
    long = np.concatenate([table.maturity, table.maturity + LAST + 5.0])
    state = followed(MODEL, long, np.concatenate([table.values, 3.0 * table.values]))
    told = forecast(state)
    assert told.quality.tolist() == said(table).quality.tolist()
    assert "beyond the reference, which ends at 300 h: nothing is added" in told.doubts()
    assert (state.used[0], state.not_used[0]) == (POINTS, POINTS)


def test_a_storm_of_gaps_takes_the_interval_back_to_what_was_told() -> None:
    table = made(1, seed=14)[0][0]
    values = table.values.copy()
    values[15:] = np.nan
    storm, before = forecast(followed(MODEL, table.maturity, values)), said(table, 16)
    assert np.isfinite(storm.quality).all()
    assert storm.as_far[0] <= before.complete[0]
    assert (storm.high - storm.low >= 0.9 * (before.high - before.low)).all()
    assert any(each.startswith("much is missing: the interval is that of a batch at maturity") for each in storm.doubts())
    nothing = forecast(followed(MODEL, table.maturity, np.full_like(table.values, np.nan)))
    assert nothing.quality[0].tolist() == pytest.approx(MODEL.level[0].tolist())
    assert (nothing.high - nothing.low)[0].tolist() == pytest.approx((2.0 * MODEL.half[0]).tolist())


def test_one_variable_that_is_lost_costs_little() -> None:
    tables, ends = made(50, seed=15)
    missed = {}
    for lost in (False, True):
        values = np.stack([table.values for table in tables])
        values[:, :, 1] = np.nan if lost else values[:, :, 1]
        state = begin(MODEL, units=50)
        for at in range(POINTS):
            state = follow(state, values[:, at], maturity=np.full(50, tables[0].maturity[at]))
        missed[lost] = np.sqrt(np.mean(np.square(forecast(state).quality - ends), axis=0))
    assert (missed[True] <= 1.5 * missed[False]).all()


@pytest.mark.parametrize("value", [1e308, -1e308, np.inf, -np.inf, np.nan])
def test_an_impossible_value_or_maturity_is_not_used(value: float) -> None:
    table = made(1, seed=16)[0][0]
    values, maturity = table.values.copy(), table.maturity.copy()
    values[20] = value
    maturity[25] = value
    state = followed(MODEL, maturity[:40], values[:40])
    assert (state.used[0], state.not_used[0]) == (38, 2)
    assert np.abs(forecast(state).quality - said(table, 40).quality).max() < 0.3


def test_a_batch_unlike_any_other_says_so_and_its_interval_is_wider() -> None:
    table = made(1, seed=17)[0][0]
    strange = BatchTable("strange", table.maturity, table.values + np.array([30.0, 30.0, -30.0, 2.0]))
    assert said(table, 40).doubts() == ()
    told = said(strange, 40)
    assert told.doubts() == ("the batch is unlike any that the forecast was fitted on",)
    assert (told.high - told.low > 3.0 * (said(table, 40).high - said(table, 40).low)).all()


@pytest.mark.parametrize("unlike", [0.05, 0.2])
def test_the_stated_share_of_good_batches_is_called_unlike_the_others_at_any_maturity(unlike: float) -> None:
    called = []
    for seed in (1, 2):
        model = fitted(60, seed=seed, unlike=unlike, components=2)
        values = np.stack([table.values for table in made(200, seed=200 + seed)[0]])
        state, ever = begin(model, units=200), np.zeros(200, dtype=np.bool_)
        for at in range(POINTS):
            state = follow(state, values[:, at], maturity=np.full(200, LAST * at / (POINTS - 1)))
            told = forecast(state)
            ever |= told.leverage > model.unlike[told.as_far]
        called.append(ever.mean())
        assert model.validation.share <= unlike
    # two limits from 60 batches each: two standard errors
    assert np.mean(called) == pytest.approx(unlike, abs=2.0 * np.sqrt(unlike * (1 - unlike) / 120))


def test_before_the_first_reading_it_is_what_batches_usually_come_to() -> None:
    told = forecast(begin(MODEL))
    assert told.quality.tolist() == [made(40, seed=0)[1].mean(axis=0).tolist()]
    assert "nothing of the batch is complete" in told.doubts()[0]


def test_without_qualities_the_trajectories_are_forecast() -> None:
    model = fitted(quality=None, qualities=())
    assert model.validation.unfolding == "PCA"
    assert MODEL.validation.unfolding == "PLS"
    tables, _ = made(50, seed=18)
    inside = []
    for table in tables:
        course = said(table, 31, model).course("lactate")
        inside.append((np.abs(table.values[-1, 2] - course.expected[-1]) <= course.high[-1] - course.expected[-1]).item())
    assert 0.75 <= np.mean(inside) <= 1.0
    assert said(tables[0], 31, model).quality.shape == (1, 0)


def test_gaps_in_the_batches_it_is_fitted_from_are_bridged_by_the_plane() -> None:
    tables, ends = made(40, seed=0)
    dice = np.random.default_rng(1)
    holed = [BatchTable(each.batch, each.maturity, np.where(dice.random(each.values.shape) < 0.2, np.nan, each.values)) for each in tables]
    quality = {table.batch: row.tolist() for table, row in zip(tables, ends, strict=True)}
    model = fit_forecast(holed, variables=VARIABLES, quality=quality, qualities=QUALITIES, name="small", product="MAB-A")
    assert np.allclose(model.validation.error_last, MODEL.validation.error_last, rtol=0.5)


def test_a_forecast_comes_back_as_it_was_and_the_same_batches_give_the_same_bytes() -> None:
    again = Forecaster.from_bytes(DATA, digest=MODEL.digest)
    assert again.to_bytes() == DATA == fitted().to_bytes()
    assert again.digest == hashlib.sha256(DATA).hexdigest()
    table = made(1, seed=19)[0][0]
    assert said(table, 30, again).low.tolist() == said(table, 30).low.tolist()
    with pytest.raises(ValueError, match="read-only"):
        again.half[0] = 1.0


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_one_altered_byte_is_not_trusted(at: int, change: int) -> None:
    altered = bytearray(DATA)
    altered[at] ^= change
    with pytest.raises(NotTrusted):
        Forecaster.from_bytes(bytes(altered))


def sealed(data: bytes) -> bytes:
    return data + hashlib.sha256(data).digest()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_nonsense_under_a_good_seal_is_refused(body: bytes) -> None:
    for data in (sealed(body), sealed(b"isogenic batch forecast 1\n" + body)):
        with pytest.raises(Refusal):
            Forecaster.from_bytes(data)


@pytest.mark.parametrize("number", [np.nan, np.inf, -1.0, 1e200])
def test_a_number_that_makes_no_sense_is_refused(number: float) -> None:
    data = bytearray(DATA[:-32])
    data[-8:] = np.array(number, dtype="<f8").tobytes()
    with pytest.raises(NotValid):
        Forecaster.from_bytes(sealed(bytes(data)))
    with pytest.raises(NotValid, match="version"):
        Forecaster.from_bytes(sealed(DATA[:-32].replace(b"forecast 1\n", b"forecast 9\n", 1)))


def test_a_forecast_of_another_product_is_refused() -> None:
    assert begin(MODEL, product="MAB-A").units == 1
    with pytest.raises(NotAllowed, match="released for MAB-A"):
        begin(MODEL, product="MAB-B")


def test_readings_of_another_shape_are_refused() -> None:
    state = begin(MODEL, units=2)
    with pytest.raises(NotValid, match=r"wants \(2, 4\)"):
        follow(state, np.zeros((2, 5)), maturity=np.zeros(2))
    with pytest.raises(NotValid, match="2 maturities"):
        follow(state, np.zeros((2, 4)), maturity=0.0)
    with pytest.raises(NotValid):
        begin(MODEL, units=0)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"coverage": 0.1}, "cannot cover"),
        ({"coverage": np.nan}, "cannot cover"),
        ({"unlike": 0.0}, "unlike the others"),
        ({"components": 14}, "a third of the batches"),
        ({"components": 0}, "a third of the batches"),
        ({"bins": 1}, "cannot use 1 bins"),
        ({"quality": {}}, "its quality is not known"),
        ({"qualities": (*QUALITIES, Variable("colour", "1"))}, "2 values are given for 3"),
        ({"qualities": (QUALITIES[0], QUALITIES[0])}, "a name is there twice"),
    ],
)
def test_what_cannot_be_fitted_is_refused(given: dict[str, object], why: str) -> None:
    with pytest.raises(NotValid, match=why):
        fitted(**given)
    with pytest.raises(NotValid, match="14 batches"):
        fitted(14)


def test_a_quality_that_is_no_number_is_named() -> None:
    tables, ends = made(20, seed=0)
    quality = {table.batch: row.tolist() for table, row in zip(tables, ends, strict=True)}
    quality["B0-3"][1] = float("nan")
    with pytest.raises(NotValid, match="B0-3"):
        fit_forecast(tables, variables=VARIABLES, quality=quality, qualities=QUALITIES, name="n", product="")


ANY = st.floats(allow_nan=True, allow_infinity=True, width=64)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(ANY | st.floats(-50.0, 400.0), st.tuples(ANY, ANY, ANY, ANY)), max_size=30))
def test_whatever_comes_the_forecast_is_a_number_and_no_batch_goes_back(readings: list[tuple[float, tuple[float, ...]]]) -> None:
    state = begin(MODEL)
    for reached, values in readings:
        after = follow(state, np.array(values), maturity=reached)
        assert after.maturity[0] >= state.maturity[0]
        assert after.complete[0] >= state.complete[0]
        state = after
    told = forecast(state)
    assert np.isfinite(np.concatenate([told.low, told.quality, told.high])).all()
    assert (told.low <= told.quality).all()
    assert (told.quality <= told.high).all()
    assert int(state.used[0] + state.not_used[0]) == len(readings)
    assert np.isfinite(told.course("ph").expected).all()


def test_what_never_differs_can_be_fitted() -> None:
    tables, ends = made(20, seed=3)
    still = [BatchTable(each.batch, each.maturity, np.hstack([each.values, np.full((POINTS, 1), 40.0)])) for each in tables]
    quality = {table.batch: [*row, 7.0, 0.0] for table, row in zip(tables, ends.tolist(), strict=True)}
    variables, qualities = (*VARIABLES, Variable("set_point", "1")), (*QUALITIES, Variable("same", "1"), Variable("none", "1"))
    model = fit_forecast(still, variables=variables, quality=quality, qualities=qualities, name="still", product="")
    told = said(still[0], 30, Forecaster.from_bytes(model.to_bytes()))
    assert told.quality[0, 2:].tolist() == pytest.approx([7.0, 0.0])
    assert (told.high - told.low)[0, 2:].max() < 1e-6
