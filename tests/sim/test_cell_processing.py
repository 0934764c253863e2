"""Cell processing and filling: the stated hours, yields, stops and failures; weights; inspection."""

from __future__ import annotations

import math

import numpy as np
import pytest

from isogenic.errors import NotValid
from isogenic.sim.cell_processing import AFTER_CULTURE, BEFORE_CULTURE, CRYOFILL, CULTURE_CARE, LABORATORY, RAPID
from isogenic.sim.filling import FILL, FILLING, INOCULATION, LYOPHILISED, accepts, fill_weights, found, plan_for
from isogenic.sim.operations import Failure, Operation, operate
from isogenic.sim.processes import process_of

N = 2_000
NAMES = tuple(f"B-{at}" for at in range(N))
CHAINS = {
    "inoculation": INOCULATION,
    "lyophilised": LYOPHILISED,
    "before": BEFORE_CULTURE,
    "care": CULTURE_CARE[:1],
    "after": AFTER_CULTURE,
    "laboratory": LABORATORY,
    "rapid": RAPID[:1],
}


@pytest.mark.parametrize("name", CHAINS)
def test_each_operation_takes_keeps_and_fails_as_stated(name: str) -> None:
    chain = CHAINS[name]
    done = operate(chain, seed=5, site="GHENT", batches=NAMES)
    for at, each in enumerate(chain):
        there = np.isfinite(done.start_h[at])
        n = int(there.sum())
        once = there & ~done.failed[at]
        hours = (done.end_h - done.start_h - done.stopped_h)[at][once]
        log_sd = math.log(each.spread)
        assert abs(float(np.mean(np.log(hours))) - math.log(each.hours)) < 4.0 * log_sd / math.sqrt(n)
        assert float(np.std(np.log(hours))) == pytest.approx(log_sd, rel=4.0 / math.sqrt(2.0 * n))
        assert abs(float(done.recovery[at][there].mean()) - each.recovery) <= 4.0 * each.recovery_sd / math.sqrt(n) + 1e-12
        assert abs(float(done.failed[at][there].mean()) - each.failure) < 4.0 * math.sqrt(each.failure * (1.0 - each.failure) / n) + 1e-12
        stops = float(done.stopped_h[at][there].sum()) / each.stop_h if each.stop_h else 0.0
        expected = each.stops_per_h * float((done.end_h - done.start_h - done.stopped_h)[at][there].sum())
        assert abs(stops - expected) <= 4.0 * math.sqrt(expected)
        ends = done.failed[at] & (each.on_failure is Failure.LOST)
        assert done.lost[ends].all()


def test_the_process_brings_its_operations_and_loses_by_them() -> None:
    chain: tuple[Operation, ...] = getattr(process_of("car_t"), "operations", ())
    assert [each.name for each in chain] == [CRYOFILL]
    assert operate(chain, seed=1, site="GHENT", batches=NAMES).kept.mean() == pytest.approx(0.90, abs=0.01)
    assert [each.name for each in FILLING].count(FILL) == 1


def test_fill_weights_scatter_drift_and_fall_with_a_worn_needle() -> None:
    weights = fill_weights(10.0, 9_000, seed=1, run="RUN-1")
    slope, start = np.polyfit(np.arange(9_000) / 900.0, weights / 10.0, 1)
    assert slope == pytest.approx(-0.001, abs=4.0 * 0.0065 / math.sqrt(9_000 * 8.3)) and start == pytest.approx(1.0, abs=0.0006)
    residual = weights / 10.0 - start - slope * np.arange(9_000) / 900.0
    assert float(residual.std()) == pytest.approx(0.0065, rel=4.0 / math.sqrt(18_000))
    worn = fill_weights(10.0, 9_000, seed=1, run="RUN-1", needle_loses=0.05)
    assert worn[0] == weights[0] and float(worn[-1] - weights[-1]) == pytest.approx(-0.5)
    assert fill_weights(10.0, 10, seed=1, run="RUN-1").tobytes() == weights[:10].tobytes()


@pytest.mark.parametrize(("severity", "detects"), [("critical", 0.9), ("minor", 0.7)])
def test_an_inspector_finds_the_stated_share_and_a_second_look_finds_more(severity: str, detects: float) -> None:
    defects = np.ones(5_000, dtype=bool)
    first = found(defects, severity=severity, seed=1, run="RUN-1")
    second = found(defects & ~first, severity=severity, seed=1, run="RUN-1", look=2)
    error = math.sqrt(detects * (1.0 - detects) / 5_000)
    assert abs(float(first.mean()) - detects) < 4.0 * error
    assert abs(float((first | second).mean()) - (1.0 - (1.0 - detects) ** 2)) < 4.0 * error
    assert not found(~defects, severity=severity, seed=1, run="RUN-1").any()


def test_a_sampling_plan_passes_good_lots_and_refuses_bad_ones() -> None:
    plan = plan_for("major")
    assert (plan.sample, plan.allowed) == (200, 3)
    assert accepts(plan, 0.0065) >= 0.95 > 0.2 > accepts(plan, 0.03)
    dice = np.random.Generator(np.random.Philox(7))
    passed = float((dice.binomial(200, 0.02, 20_000) <= plan.allowed).mean())
    assert passed == pytest.approx(accepts(plan, 0.02), abs=4.0 * math.sqrt(0.25 / 20_000))


def test_what_cannot_be_filled_or_inspected_is_refused() -> None:
    with pytest.raises(NotValid):
        fill_weights(10.0, 0, seed=1, run="R")
    with pytest.raises(NotValid):
        plan_for("pretty")
    with pytest.raises(NotValid):
        found(np.ones(1, dtype=bool), severity="pretty", seed=1, run="R")
    with pytest.raises(NotValid):
        accepts(plan_for("minor"), 1.5)
