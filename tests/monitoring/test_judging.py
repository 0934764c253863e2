"""Judging on line: alarms, sentences, what is missing, and what cannot be judged."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monitoring_setup import NOISE, VARIABLES, simulated, with_values

from isogenic.errors import NotAllowed, NotValid
from isogenic.ids import BatchId
from isogenic.monitoring import BatchTable, Findings, Model, Watch, fit, join, judge, judge_batch
from isogenic.monitoring.facts import MonitoringEnded, MonitoringStarted
from isogenic.records.facts import known_kinds


@pytest.fixture(scope="module")
def model() -> Model:
    return fit(simulated(30, seed=20), variables=VARIABLES, name="simulated", product="MAB-A")


@pytest.fixture(scope="module")
def good(model: Model) -> BatchTable:
    """A new batch without an alarm."""
    return next(each for each in simulated(5, seed=21) if counted(judge_batch(model, each)[0])[2] == 0)


def judged(model: Model, table: BatchTable) -> tuple[Watch, list[Findings]]:
    """One sample after the other, as on line."""
    watch, found = model.watch(), []
    for maturity, values in zip(table.maturity, table.values, strict=True):
        watch, findings = judge(watch, values, maturity=float(maturity))
        found.append(findings)
    return watch, found


def counted(watch: Watch) -> tuple[int, int, int, bool]:
    """Of one unit: judged, not judged, alarms, whether one stands."""
    return int(watch.judged[0]), int(watch.not_judged[0]), int(watch.alarms[0]), bool(watch.alarm[0])


def test_a_good_batch_is_judged_at_every_sample_and_gives_no_alarm(model: Model, good: BatchTable) -> None:
    watch, judgements = judged(model, good)
    assert counted(watch) == (120, 0, 0, False)
    assert all(each.judged[0] and each.why_not() == "" and not each.alarm[0] and each.finding() is None for each in judgements)
    assert all(each.limit > 0 and np.isfinite(each.statistics).all() for each in judgements)


def test_a_feed_fault_is_found_at_once_and_named_with_its_size(model: Model, good: BatchTable) -> None:
    watch, judgements = judged(model, with_values(good, start=60, column=0, factor=0.66))
    findings = [(at, found) for at, each in enumerate(judgements) if (found := each.finding())]
    assert len(findings) == 1  # given once, as the alarm begins
    at, found = findings[0]
    assert at == 62  # the third sample over the limit
    assert (found.since, found.maturity) == (30.0, 31.0)
    assert found.value > found.limit
    assert found.leading[0].variable == "flow"
    assert found.leading[0].share > 0.5
    assert found.sentence.startswith("flow 3")
    assert "% under its trajectory since 30.0 h (0." in found.sentence
    assert found.sentence.split(")")[0].endswith("mL/h/L")
    assert all(each.alarm[0] for each in judgements[62:])
    assert counted(watch)[2:] == (1, True)


def test_two_samples_over_the_limit_are_no_alarm_and_three_are(model: Model, good: BatchTable) -> None:
    values = good.values.copy()
    values[50:52, 2] += 20.0
    assert judge_batch(model, BatchTable("B", good.maturity, values))[0].alarms.tolist() == [0]
    values[52, 2] += 20.0
    assert judge_batch(model, BatchTable("B", good.maturity, values))[0].alarms.tolist() == [1]


def test_an_alarm_ends_after_three_calm_samples_and_a_second_fault_is_a_second_finding(model: Model, good: BatchTable) -> None:
    values = good.values.copy()
    values[30:40, 2] += 20.0
    values[80:90, 4] -= 0.3
    watch, judgements = judge_batch(model, BatchTable("B", good.maturity, values))
    assert [(at, found.leading[0].variable) for at, each in enumerate(judgements) if (found := each.finding())] == [(32, "glucose"), (82, "ph")]
    assert [at for at, each in enumerate(judgements) if each.alarm[0]] == [*range(32, 42), *range(82, 92)]
    assert counted(watch)[2:] == (2, False)


def test_clear_faults_in_one_variable_are_named_first(model: Model) -> None:
    named, total = 0, 0
    for number, table in enumerate(simulated(6, seed=22)):
        for column in range(5):
            fault = with_values(table, start=40 + 5 * number, column=column, shift=(8.0 if number % 2 else -8.0) * NOISE[column])
            found = [one for each in judge_batch(model, fault)[1] if (one := each.finding()) and one.since >= table.maturity[40 + 5 * number]]
            total += 1
            named += bool(found) and found[0].leading[0].variable == VARIABLES[column].name
    assert named / total >= 0.85


def test_shares_are_sorted_and_small_ones_are_not_named(model: Model, good: BatchTable) -> None:
    found = next(one for each in judge_batch(model, with_values(good, start=60, column=2, shift=30.0))[1] if (one := each.finding()))
    shares = [each.share for each in found.leading]
    assert shares == sorted(shares, reverse=True)
    assert all(share >= 0.1 for share in shares[1:])
    assert sum(shares) <= 1.0 + 1e-12


def test_units_that_have_no_true_zero_are_told_as_a_difference(model: Model, good: BatchTable) -> None:
    found = next(one for each in judge_batch(model, with_values(good, start=60, column=4, shift=0.4))[1] if (one := each.finding()))
    assert found.sentence.startswith("ph 0.")
    assert " pH over its trajectory since 30.0 h (7." in found.sentence


def test_many_units_at_once_and_a_whole_batch_give_what_one_reading_at_a_time_gives(model: Model, good: BatchTable) -> None:
    fault = with_values(good, start=60, column=0, factor=0.8)
    fault.values[70:75, 2] = np.nan
    tables = [good, fault, with_values(good, start=10, column=3, shift=9.0)]
    one_by_one = [judged(model, table) for table in tables]
    watch = model.watch(units=3)
    for at in range(120):
        maturity, values = np.array([table.maturity[at] for table in tables]), np.stack([table.values[at] for table in tables])
        watch, findings = judge(watch, values, maturity=maturity)
        for unit, (_, alone) in enumerate(one_by_one):
            assert findings.score[unit].tobytes() == alone[at].score[0].tobytes()
            assert findings.finding(unit) == alone[at].finding()
    assert all(watch.take([unit]) == alone for unit, (alone, _) in enumerate(one_by_one))
    assert join([watch.take([2]), watch.take([0, 1])]) == watch.take([2, 0, 1])


def test_a_watch_can_be_stored_between_any_two_readings(model: Model, good: BatchTable) -> None:
    fault = with_values(good, start=60, column=0, factor=0.66)
    watch = Model.from_bytes(model.to_bytes()).watch()
    for maturity, values in zip(fault.maturity, fault.values, strict=True):
        watch, _ = judge(pickle.loads(pickle.dumps(watch)), values, maturity=float(maturity))
    assert watch == judged(model, fault)[0]


def test_a_missing_value_adds_nothing_of_its_own(model: Model, good: BatchTable) -> None:
    values = good.values.copy()
    values[:, 3] = np.nan
    watch, judgements = judge_batch(model, BatchTable("B", good.maturity, values))
    assert counted(watch)[:3] == (120, 0, 0)
    assert {each.missing() for each in judgements} == {("lactate",)}
    assert np.mean([each.statistics[0, 0] for each in judgements]) < 1.3 * np.mean([each.statistics[0, 0] for each in judge_batch(model, good)[1]])


def test_a_fault_is_still_named_while_another_sensor_is_lost(model: Model, good: BatchTable) -> None:
    values = with_values(good, start=60, column=0, factor=0.66).values
    values[50:, 3] = np.nan
    found = next(one for each in judge_batch(model, BatchTable("B", good.maturity, values))[1] if (one := each.finding()))
    assert found.leading[0].variable == "flow"
    assert "lactate" not in [each.variable for each in found.leading]


def test_a_sensor_that_is_lost_as_the_alarm_begins_is_not_named_however_much_it_weighed_before(model: Model, good: BatchTable) -> None:
    table = with_values(good, start=60, column=2, shift=30.0)
    begins = next(at for at, each in enumerate(judge_batch(model, table)[1]) if each.finding())
    values = table.values.copy()
    values[begins, 2] = np.nan
    values[begins, 0] *= 3.0
    found = next(one for each in judge_batch(model, BatchTable("B", good.maturity, values))[1] if (one := each.finding()))
    assert "glucose" not in [each.variable for each in found.leading]
    assert all(np.isfinite([each.observed, each.share]).all() for each in found.leading)


def test_too_few_variables_are_not_judged_and_the_alarm_stands_as_it_stood(model: Model, good: BatchTable) -> None:
    values = with_values(good, start=60, column=0, factor=0.66).values
    values[70:80, 1:] = np.nan
    watch, judgements = judge_batch(model, BatchTable("B", good.maturity, values))
    storm = judgements[70:80]
    assert {bool(each.judged[0]) for each in storm} == {False}
    assert {each.why_not() for each in storm} == {"only 1 of 5 variables are present; missing: pressure, glucose, lactate, ph"}
    assert all(each.alarm[0] and np.isnan(each.score).all() and np.isnan(each.statistics).all() for each in storm)
    assert counted(watch)[:3] == (110, 10, 1)


@pytest.mark.parametrize("impossible", [1e308, -1e308, np.inf, -np.inf, np.nan])
def test_an_impossible_value_counts_as_missing(model: Model, good: BatchTable, impossible: float) -> None:
    values = good.values[20].copy()
    values[1] = impossible
    _, judgement = judge(model.watch(), values, maturity=10.0)
    assert (bool(judgement.judged[0]), judgement.missing()) == (True, ("pressure",))
    assert np.isfinite(judgement.statistics).all()


def test_a_huge_but_possible_value_gives_finite_statistics(model: Model, good: BatchTable) -> None:
    values = good.values[20].copy()
    values[1] = 1e90
    _, judgement = judge(model.watch(), values, maturity=10.0)
    assert np.isfinite(judgement.statistics).all()


@pytest.mark.filterwarnings("error")
@settings(max_examples=100, deadline=None)
@given(maturity=st.floats(), values=st.lists(st.floats(), min_size=5, max_size=5))
def test_any_reading_is_judged_or_says_why_not(model: Model, maturity: float, values: list[float]) -> None:
    watch, judgement = judge(model.watch(), np.array(values), maturity=maturity)
    assert bool(judgement.judged[0]) == (judgement.why_not() == "") == bool(np.isfinite(judgement.statistics).all())
    assert counted(watch)[:2] == ((1, 0) if judgement.judged[0] else (0, 1))


def test_a_batch_that_runs_on_beyond_the_reference_is_not_judged_there(model: Model, good: BatchTable) -> None:
    _, judgement = judge(model.watch(), good.values[-1], maturity=200.0)
    assert not judgement.judged[0]
    assert judgement.why_not() == "maturity 200 is outside the reference, 0 to 59.5 h"
    _, early = judge(model.watch(), good.values[0], maturity=-5.0)
    assert early.why_not() == "maturity -5 is outside the reference, 0 to 59.5 h"


def test_a_maturity_that_falls_back_or_is_lost_does_not_take_the_batch_back(model: Model, good: BatchTable) -> None:
    watch, first = judge(model.watch(), good.values[40], maturity=20.0)
    for maturity in (12.0, np.nan, -np.inf):
        watch, judgement = judge(watch, good.values[40], maturity=float(maturity))
        assert (judgement.maturity.tolist(), judgement.score.tolist()) == ([20.0], first.score.tolist())
    _, unknown = judge(model.watch(), good.values[40], maturity=float("nan"))
    assert unknown.why_not() == "no maturity is known yet"


def test_values_of_another_shape_and_watches_of_two_models_together_are_refused(model: Model, good: BatchTable) -> None:
    with pytest.raises(NotValid, match="wants"):
        judge(model.watch(), good.values[0][:4], maturity=1.0)
    with pytest.raises(NotValid, match="wants"):
        judge(model.watch(units=2), good.values[0], maturity=[1.0, 1.0])
    with pytest.raises(NotValid, match="2 units are watched"):
        judge(model.watch(units=2), good.values[:2], maturity=1.0)
    with pytest.raises(NotValid, match="without a maturity"):
        judge(model.watch(), good.values[0])
    other = fit(simulated(30, seed=20), variables=VARIABLES, name="another", product="MAB-A")
    with pytest.raises(NotValid, match="belong to models"):
        join([model.watch(), other.watch()])
    with pytest.raises(NotValid, match="0 units"):
        model.watch(units=0)


def test_a_model_released_for_another_product_is_refused(model: Model) -> None:
    assert model.watch(product="MAB-A") == model.watch()
    with pytest.raises(NotAllowed, match="released for MAB-A"):
        model.watch(product="MAB-B")


def test_what_goes_on_record() -> None:
    assert known_kinds()["monitoring.started"] is MonitoringStarted
    assert known_kinds()["monitoring.ended"] is MonitoringEnded
    assert MonitoringEnded(BatchId("BAT-1"), judged=3, not_judged=1, alarms=0).not_judged == 1
