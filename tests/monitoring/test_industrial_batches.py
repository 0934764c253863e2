"""71 drying batches and 57 nylon batches from industry, some of them poor."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from monitoring_setup import dryer, nylon

from isogenic.monitoring import BatchTable, Variable, fit, judge_batch
from isogenic.monitoring.alignment import monotone
from isogenic.monitoring.screening import Screening, screen
from isogenic.monitoring.structure import between, place


class Case(NamedTuple):
    variables: tuple[Variable, ...]
    every: float | None
    screening: Screening


@pytest.fixture(scope="module", params=["dryer", "nylon"])
def case(request: pytest.FixtureRequest) -> Case:
    return screened(request.param)


@cache
def screened(name: str) -> Case:
    batches, variables = {"dryer": dryer, "nylon": nylon}[name]()
    every = 0.02 if name == "dryer" else None
    return Case(variables, every, screen(batches, variables=variables, every=every))


def fitted(case: Case, batches: list[BatchTable]):  # type: ignore[no-untyped-def]
    return fit(batches, variables=case.variables, name="industrial", product="X", every=case.every, maturity_unit="")


def test_poor_batches_are_left_out_with_reasons() -> None:
    left_out = {each.batch: each.reason for each in screened("dryer").screening.left_out}
    # Confirmed in the raw rows after screening had named them (the set has no quality labels): pressure let up to the
    # atmosphere while drying (26, 40), agitation not switched up or stopped while heating (34, 38, 45).
    # Not asserted: 10, 12, 19, 23, 46 and their like, named for early agitation. Their rows look ordinary; they are small
    # charges, and a maturity by absolute tank level takes the end of their drying for too early.
    assert left_out["26"].startswith("DryerPressure")
    assert left_out["40"].startswith("DryerPressure")
    for batch in ("34", "38", "45"):
        assert left_out[batch].startswith("AgitatorTorque")
        assert "under its trajectory" in left_out[batch]
    assert len(left_out) <= 25  # 22 as measured; a guard against losing far more, not a known answer


def test_the_first_seven_nylon_batches_are_another_campaign() -> None:
    assert {"1", "2", "3", "4", "5", "6", "7"} <= {each.batch for each in screened("nylon").screening.left_out}


def test_good_batches_not_used_for_fitting_alarm_about_as_often_as_stated(case: Case) -> None:
    good, folds = list(case.screening.good), 10
    alarms = 0
    for fold in range(folds):
        model = fitted(case, [each for at, each in enumerate(good) if at % folds != fold])
        alarms += sum(int(judge_batch(model, each)[0].alarms[0]) > 0 for at, each in enumerate(good) if at % folds == fold)
    # 5 % stated; about the 95 % binomial interval of 41 to 60 batches at 5 %: none to 6. Lenient: screening chose
    # the good batches with all of them in view, the ones held out here included.
    assert 0 <= alarms <= 6


def test_the_left_out_batches_alarm(case: Case) -> None:
    model = fitted(case, list(case.screening.good))
    left_out = {each.batch: each.distance for each in case.screening.left_out}
    far = [batch for batch, distance in left_out.items() if distance > 10.0]
    batches, _ = dryer() if case.every else nylon()
    assert len(far) >= 10
    assert [batch for batch in far if judge_batch(model, next(each for each in batches if each.batch == batch))[0].alarms[0] == 0] == []


def test_planted_faults_in_one_variable_are_found_and_named_first(case: Case) -> None:
    good = list(case.screening.good)
    model = fitted(case, [each for at, each in enumerate(good) if at % 3])
    found = named = total = 0
    for at, table in enumerate(good[::3]):
        if judge_batch(model, table)[0].alarms[0]:
            continue
        # the fault is sized by the model's own scale, which is wide where the mean jumps: a clear fault by construction
        scale = between(model.structure.scale, place(model.structure, monotone(table.maturity)))
        start = len(table.maturity) // 3 + 7 * at % (len(table.maturity) // 3)
        for column, variable in enumerate(case.variables):
            values = table.values.copy()
            values[start:, column] += (8.0 if (at + column) % 2 else -8.0) * scale[start:, column]
            findings = [one for each in judge_batch(model, BatchTable("planted", table.maturity, values))[1] if (one := each.finding())]
            total += 1
            found += bool(findings)
            named += bool(findings) and findings[0].leading[0].variable == variable.name
    assert total >= 100
    assert found / total >= 0.9
    assert named / found >= 0.85


def test_a_sensor_that_was_lost_is_said_and_the_rest_still_judged(case: Case) -> None:
    model = fitted(case, list(case.screening.good))
    table = case.screening.good[0]
    values = table.values.copy()
    values[:, 1] = np.nan
    watch, judgements = judge_batch(model, BatchTable("lost", table.maturity, values))
    assert watch.judged > 0
    assert {each.missing() for each in judgements if each.judged[0]} == {(case.variables[1].name,)}
