"""Judging on line: alarms, sentences, what is missing, and what cannot be judged."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monitoring_setup import NOISE, VARIABLES, simulated, with_values

from isogenic.errors import NotAllowed, NotValid
from isogenic.ids import BatchId
from isogenic.monitoring import BatchTable, Judgement, Model, Watch, fit, judge, judge_batch, judge_many
from isogenic.monitoring.facts import MonitoringEnded, MonitoringStarted
from isogenic.records.facts import known_kinds


@pytest.fixture(scope="module")
def model() -> Model:
    return fit(simulated(30, seed=20), variables=VARIABLES, name="simulated", product="MAB-A")


@pytest.fixture(scope="module")
def good(model: Model) -> BatchTable:
    """A new batch without an alarm."""
    return next(each for each in simulated(5, seed=21) if judge_batch(model, each)[0].alarms == 0)


def judged(model: Model, table: BatchTable) -> tuple[Watch, list[Judgement]]:
    """One sample after the other, as on line."""
    watch, judgements = model.watch(), []
    for maturity, values in zip(table.maturity, table.values, strict=True):
        watch, judgement = judge(model, watch, maturity=float(maturity), values=values)
        judgements.append(judgement)
    return watch, judgements


def test_a_good_batch_is_judged_at_every_sample_and_gives_no_alarm(model: Model, good: BatchTable) -> None:
    watch, judgements = judged(model, good)
    assert (watch.judged, watch.not_judged, watch.alarms, watch.alarm) == (120, 0, 0, False)
    assert all(each.judged and each.why_not == "" and not each.alarm and each.finding is None for each in judgements)
    assert all(each.t2_limit > 0 and each.spe_limit > 0 for each in judgements)


def test_a_feed_fault_is_found_at_once_and_named_with_its_size(model: Model, good: BatchTable) -> None:
    watch, judgements = judged(model, with_values(good, start=60, column=0, factor=0.66))
    findings = [(at, each.finding) for at, each in enumerate(judgements) if each.finding]
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
    assert all(each.alarm for each in judgements[62:])
    assert (watch.alarm, watch.alarms) == (True, 1)


def test_two_samples_over_the_limit_are_no_alarm_and_three_are(model: Model, good: BatchTable) -> None:
    values = good.values.copy()
    values[50:52, 2] += 20.0
    assert judge_batch(model, BatchTable("B", good.maturity, values))[0].alarms == 0
    values[52, 2] += 20.0
    assert judge_batch(model, BatchTable("B", good.maturity, values))[0].alarms == 1


def test_an_alarm_ends_after_three_calm_samples_and_a_second_fault_is_a_second_finding(model: Model, good: BatchTable) -> None:
    values = good.values.copy()
    values[30:40, 2] += 20.0
    values[80:90, 4] -= 0.3
    watch, judgements = judge_batch(model, BatchTable("B", good.maturity, values))
    assert [(at, each.finding.leading[0].variable) for at, each in enumerate(judgements) if each.finding] == [(32, "glucose"), (82, "ph")]
    assert [at for at, each in enumerate(judgements) if each.alarm] == [*range(32, 42), *range(82, 92)]
    assert (watch.alarms, watch.alarm) == (2, False)


def test_clear_faults_in_one_variable_are_named_first(model: Model) -> None:
    named, total = 0, 0
    for number, table in enumerate(simulated(6, seed=22)):
        for column in range(5):
            fault = with_values(table, start=40 + 5 * number, column=column, shift=(8.0 if number % 2 else -8.0) * NOISE[column])
            found = [each.finding for each in judge_batch(model, fault)[1] if each.finding and each.finding.since >= table.maturity[40 + 5 * number]]
            total += 1
            named += bool(found) and found[0].leading[0].variable == VARIABLES[column].name
    assert named / total >= 0.85


def test_shares_are_sorted_and_small_ones_are_not_named(model: Model, good: BatchTable) -> None:
    found = next(each.finding for each in judge_batch(model, with_values(good, start=60, column=2, shift=30.0))[1] if each.finding)
    shares = [each.share for each in found.leading]
    assert shares == sorted(shares, reverse=True)
    assert all(share >= 0.1 for share in shares[1:])
    assert sum(shares) <= 1.0 + 1e-12


def test_units_that_have_no_true_zero_are_told_as_a_difference(model: Model, good: BatchTable) -> None:
    found = next(each.finding for each in judge_batch(model, with_values(good, start=60, column=4, shift=0.4))[1] if each.finding)
    assert found.sentence.startswith("ph 0.")
    assert " pH over its trajectory since 30.0 h (7." in found.sentence


def test_many_units_at_once_and_a_whole_batch_give_what_one_reading_at_a_time_gives(model: Model, good: BatchTable) -> None:
    fault = with_values(good, start=60, column=0, factor=0.8)
    fault.values[70:75, 2] = np.nan
    tables = [good, fault, with_values(good, start=10, column=3, shift=9.0)]
    one_by_one = [judged(model, table) for table in tables]
    assert [judge_batch(model, table)[0] for table in tables] == [watch for watch, _ in one_by_one]
    watches = [model.watch()] * 3
    for at in range(120):
        results = judge_many(
            model, watches, maturity=np.array([table.maturity[at] for table in tables]), values=np.stack([table.values[at] for table in tables])
        )
        watches = [watch for watch, _ in results]
        assert [judgement for _, judgement in results] == [judgements[at] for _, judgements in one_by_one]
    assert watches == [watch for watch, _ in one_by_one]


def test_a_watch_can_be_stored_between_any_two_readings(model: Model, good: BatchTable) -> None:
    fault = with_values(good, start=60, column=0, factor=0.66)
    watch = model.watch()
    again = Model.from_bytes(model.to_bytes())
    for maturity, values in zip(fault.maturity, fault.values, strict=True):
        watch, _ = judge(again, pickle.loads(pickle.dumps(watch)), maturity=float(maturity), values=values)
    assert watch == judged(model, fault)[0]


def test_a_missing_value_adds_nothing_of_its_own(model: Model, good: BatchTable) -> None:
    values = good.values.copy()
    values[:, 3] = np.nan
    watch, judgements = judge_batch(model, BatchTable("B", good.maturity, values))
    assert (watch.judged, watch.alarms) == (120, 0)
    assert {each.missing for each in judgements} == {("lactate",)}
    assert np.mean([each.t2 for each in judgements]) < 1.3 * np.mean([each.t2 for each in judge_batch(model, good)[1]])


def test_a_fault_is_still_named_while_another_sensor_is_lost(model: Model, good: BatchTable) -> None:
    values = with_values(good, start=60, column=0, factor=0.66).values
    values[50:, 3] = np.nan
    found = next(each.finding for each in judge_batch(model, BatchTable("B", good.maturity, values))[1] if each.finding)
    assert found.leading[0].variable == "flow"
    assert "lactate" not in [each.variable for each in found.leading]


def test_a_sensor_that_is_lost_as_the_alarm_begins_is_not_named_however_much_it_weighed_before(model: Model, good: BatchTable) -> None:
    table = with_values(good, start=60, column=2, shift=30.0)
    begins = next(at for at, each in enumerate(judge_batch(model, table)[1]) if each.finding)
    values = table.values.copy()
    values[begins, 2] = np.nan
    values[begins, 0] *= 3.0
    found = next(each.finding for each in judge_batch(model, BatchTable("B", good.maturity, values))[1] if each.finding)
    assert "glucose" not in [each.variable for each in found.leading]
    assert all(np.isfinite([each.observed, each.share]).all() for each in found.leading)


def test_too_few_variables_are_not_judged_and_the_alarm_stands_as_it_stood(model: Model, good: BatchTable) -> None:
    values = with_values(good, start=60, column=0, factor=0.66).values
    values[70:80, 1:] = np.nan
    watch, judgements = judge_batch(model, BatchTable("B", good.maturity, values))
    storm = judgements[70:80]
    assert {each.judged for each in storm} == {False}
    assert {each.why_not for each in storm} == {"only 1 of 5 variables are present; missing: pressure, glucose, lactate, ph"}
    assert all(each.alarm and np.isnan(each.t2) and np.isnan(each.spe) for each in storm)
    assert (watch.judged, watch.not_judged, watch.alarms) == (110, 10, 1)


@pytest.mark.parametrize("impossible", [1e308, -1e308, np.inf, -np.inf, np.nan])
def test_an_impossible_value_counts_as_missing(model: Model, good: BatchTable, impossible: float) -> None:
    values = good.values[20].copy()
    values[1] = impossible
    _, judgement = judge(model, model.watch(), maturity=10.0, values=values)
    assert (judgement.judged, judgement.missing) == (True, ("pressure",))
    assert np.isfinite(judgement.t2) and np.isfinite(judgement.spe)


def test_a_huge_but_possible_value_gives_finite_statistics(model: Model, good: BatchTable) -> None:
    values = good.values[20].copy()
    values[1] = 1e90
    _, judgement = judge(model, model.watch(), maturity=10.0, values=values)
    assert np.isfinite(judgement.t2) and np.isfinite(judgement.spe)


@pytest.mark.filterwarnings("error")
@settings(max_examples=100, deadline=None)
@given(maturity=st.floats(), values=st.lists(st.floats(), min_size=5, max_size=5))
def test_any_reading_is_judged_or_says_why_not(model: Model, maturity: float, values: list[float]) -> None:
    watch, judgement = judge(model, model.watch(), maturity=maturity, values=np.array(values))
    assert judgement.judged == (judgement.why_not == "") == bool(np.isfinite(judgement.t2) and np.isfinite(judgement.spe))
    assert (watch.judged, watch.not_judged) == ((1, 0) if judgement.judged else (0, 1))


def test_a_batch_that_runs_on_beyond_the_reference_is_not_judged_there(model: Model, good: BatchTable) -> None:
    _, judgement = judge(model, model.watch(), maturity=200.0, values=good.values[-1])
    assert not judgement.judged
    assert judgement.why_not == "maturity 200 is outside the reference, 0 to 59.5 h"
    _, early = judge(model, model.watch(), maturity=-5.0, values=good.values[0])
    assert early.why_not == "maturity -5 is outside the reference, 0 to 59.5 h"


def test_a_maturity_that_falls_back_or_is_lost_does_not_take_the_batch_back(model: Model, good: BatchTable) -> None:
    watch, first = judge(model, model.watch(), maturity=20.0, values=good.values[40])
    for maturity in (12.0, np.nan, -np.inf):
        watch, judgement = judge(model, watch, maturity=float(maturity), values=good.values[40])
        assert (judgement.maturity, judgement.t2) == (20.0, first.t2)
    _, unknown = judge(model, model.watch(), maturity=float("nan"), values=good.values[40])
    assert unknown.why_not == "no maturity is known yet"


def test_a_watch_of_another_model_and_values_of_another_shape_are_refused(model: Model, good: BatchTable) -> None:
    with pytest.raises(NotValid, match="belongs to model 0000"):
        judge(model, replace(model.watch(), model="0000"), maturity=1.0, values=good.values[0])
    with pytest.raises(NotValid, match="wants"):
        judge(model, model.watch(), maturity=1.0, values=good.values[0][:4])


def test_a_model_released_for_another_product_is_refused(model: Model) -> None:
    assert model.watch(product="MAB-A") == model.watch()
    with pytest.raises(NotAllowed, match="released for MAB-A"):
        model.watch(product="MAB-B")


def test_what_goes_on_record() -> None:
    assert known_kinds()["monitoring.started"] is MonitoringStarted
    assert known_kinds()["monitoring.ended"] is MonitoringEnded
    assert MonitoringEnded(BatchId("BAT-1"), judged=3, not_judged=1, alarms=0).not_judged == 1
