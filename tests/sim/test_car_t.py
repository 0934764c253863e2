"""The CAR-T process: known answers, populations, faults, balances."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from isogenic.errors import NotFound, NotValid
from isogenic.sim.processes import process_of
from isogenic.sim.processes.car_t import CAR_T, simulate
from isogenic.sim.processes.donors import HEALTHY, PATIENTS, Population, donors, failures
from isogenic.sim.processes.process import Fault, Floats, Outcome
from isogenic.sim.processes.t_cells import Flows, car_positive, vcn_of_positive

TABLE_DONOR = {"activation": np.array(0.85), "viability": np.array(0.93)}
# day: viable cells (1e6), viability (percent), lactate (mmol/L)
TABLE = {
    0: (93, 93.0, 0.0),
    1: (96, 93.3, 0.3),
    2: (149, 84.4, 1.5),
    3: (302, 89.2, 4.2),
    4: (668, 94.9, 8.3),
    5: (1293, 96.1, 15.5),
    6: (2047, 95.6, 20.2),
    7: (2588, 94.1, 22.5),
    8: (3019, 93.5, 17.9),
    9: (3365, 93.2, 16.1),
    10: (3579, 93.0, 14.9),
    12: (3697, 92.6, 12.8),
}
HALF_A_DIGIT = 0.05  # the table has one decimal of lactate


def one(*faults: Fault, **constants: float) -> Outcome:
    given: dict[str, Floats] = {**TABLE_DONOR, **{name: np.array(value) for name, value in constants.items()}}
    return CAR_T.run(1, constants=given, faults=faults)


def last(outcome: Outcome, name: str) -> float:
    return float(outcome.values[name][-1, 0])


def test_the_day_table_is_met_within_two_percent() -> None:
    outcome, _ = simulate(1, constants=TABLE_DONOR, settings={"duration": np.array(288.0)})
    for day, (viable, viability, lactate) in TABLE.items():
        found = {name: float(outcome.values[name][day, 0]) for name in ("viable_cells", "viability", "lactate")}
        assert found["viable_cells"] == pytest.approx(viable, rel=0.02)
        assert found["viability"] == pytest.approx(viability, rel=0.02)
        assert found["lactate"] == pytest.approx(lactate, abs=0.02 * lactate + HALF_A_DIGIT)


@cache
def population(which: Population) -> Outcome:
    return CAR_T.run(2000, constants=donors(which, 2000, seed=4711))


def _quantile_error(share: float, log_sd: float, *, of: int) -> float:
    """Standard error of the logarithm of a quantile of a log-normal sample."""
    at = {0.25: 0.31778, 0.5: 0.39894, 0.75: 0.31778}[share]  # the normal density there
    return math.sqrt(share * (1.0 - share) / of) * log_sd / at


def test_patients_are_as_the_published_population_within_sampling_error() -> None:
    drawn, outcome = donors(PATIENTS, 2000, seed=4711), population(PATIENTS)
    for values, known in ((outcome.quality["car_positive"], (13.1, 16.6, 21.0)), (drawn["collected"], (1280.0, 2560.0, 4640.0))):
        log_sd = float(np.std(np.log(values)))
        for share, expected in zip((0.25, 0.5, 0.75), known, strict=True):
            error = math.hypot(*(_quantile_error(share, log_sd, of=n) for n in (2000, 600)))  # ours and that of the known 600
            assert abs(math.log(float(np.quantile(values, share)) / expected)) < 2.6 * error
    for which, expected in ((PATIENTS, 0.055), (HEALTHY, 0.012)):
        error = math.sqrt(expected * (1.0 - expected) * (1.0 / 2000 + 1.0 / 600))
        assert abs(float(failures(population(which)).mean()) - expected) < 2.0 * error
    # Published beside: CAR+ 17.4 % (12 to 23.1) in 134 patients.
    assert np.quantile(outcome.quality["car_positive"], (0.25, 0.5, 0.75)) == pytest.approx((12.0, 17.4, 23.1), rel=0.15)


@pytest.mark.parametrize(("positive", "copies"), [(26.0, 1.45), (41.9, 2.32), (39.7, 2.51)])
def test_copies_of_published_batches_are_negative_binomial(positive: float, copies: float) -> None:
    mean = positive / 100.0 * copies
    shares = [float(car_positive(mean, k)) for k in (0.5, 0.65)]
    assert min(abs(share / positive - 1.0) for share in shares) < 0.10 or shares[0] <= positive <= shares[1]
    assert float(vcn_of_positive(mean, 0.5)) == pytest.approx(mean / (shares[0] / 100.0))
    assert 100.0 * (1.0 - math.exp(-mean)) > positive + 4.0  # Poisson would mark far more cells


def test_lost_perfusion_raises_lactate_then_kills() -> None:
    none, half = one(Fault("perfusion_is_lost", 1.0)), one(Fault("perfusion_is_lost", 0.5))
    assert last(none, "viable_cells") == pytest.approx(310.0, rel=0.02) and last(none, "viability") == pytest.approx(31.0, rel=0.02)
    assert last(half, "viable_cells") == pytest.approx(2400.0, rel=0.02) and last(half, "viability") == pytest.approx(90.0, rel=0.02)
    assert float(none.values["lactate"][6, 0]) > 1.2 * float(one().values["lactate"][6, 0])


def test_slow_growth_and_weak_activation_cost_cells() -> None:
    assert last(one(growth=0.03), "viable_cells") == pytest.approx(1800.0, rel=0.02)
    weak = one(Fault("activation_is_weak", 1.0 - 0.45 / 0.85))
    assert last(weak, "viable_cells") == pytest.approx(2900.0, rel=0.02)
    assert float(weak.quality["car_positive"][0]) < float(one().quality["car_positive"][0])
    assert float(weak.values["lactate"][3, 0]) < 0.7 * float(one().values["lactate"][3, 0])


def test_a_toxic_vector_dips_viability_as_daily_samples_see_it_and_deeper_between_them() -> None:
    daily = CAR_T.run(1, constants=TABLE_DONOR, faults=[Fault("vector_is_toxic", 2.0)], every_h=24.0)
    assert float(daily.values["viability"].min()) == pytest.approx(65.0, rel=0.02)
    assert int(np.argmin(daily.values["viability"][:, 0])) == 2
    hourly = CAR_T.run(1, constants=TABLE_DONOR, faults=[Fault("vector_is_toxic", 2.0)], every_h=1.0).values["viability"][:, 0]
    assert (int(np.argmin(hourly)), float(hourly.min())) == (60, pytest.approx(59.4, abs=0.1))


def test_weak_cells_a_weak_vector_and_a_cold_incubator_show_where_they_should() -> None:
    usual = one()
    weak = one(Fault("cells_arrive_weak", 0.4))
    assert float(weak.values["viability"][0, 0]) == pytest.approx(0.6 * 93.0) and last(weak, "viable_cells") < last(usual, "viable_cells")
    vector = one(Fault("vector_is_weak", 0.5))
    assert vector.values["viable_cells"].tobytes() == usual.values["viable_cells"].tobytes()
    for name in ("car_positive", "vcn", "dose"):
        assert float(vector.quality[name][0]) < float(usual.quality[name][0])
    cold = one(Fault("incubator_is_cold", 3.0, start_h=48.0, duration_h=48.0))
    assert float(cold.values["viable_cells"][2, 0]) == float(usual.values["viable_cells"][2, 0])
    assert float(cold.values["viable_cells"][4, 0]) < 0.75 * float(usual.values["viable_cells"][4, 0])


def test_a_swapped_label_stops_its_batch_and_no_other() -> None:
    swapped = Fault("label_is_swapped", 1.0, batches=np.array([False, True]))
    outcome = CAR_T.run(2, faults=[swapped])
    assert {at: stop.why for at, stop in outcome.stopped.items()} == {1: "the label is another patient's: the chain of identity is broken"}
    assert np.isnan(outcome.quality["dose"][1]) and outcome.quality["dose"][0] > 0
    assert failures(outcome).tolist() == [False, True]


def _closes(outcome: Outcome, flows: Flows) -> None:
    v, litre = outcome.values, CAR_T.settings["volume"].value * 1e-3
    ratio = CAR_T.constants["lactate_of_glucose"].value
    for there, booked in (
        (v["viable_cells"] + v["dead_cells"], v["viable_cells"][0] + v["dead_cells"][0] + flows.grown - flows.lysed),
        (v["viable_cells"], v["viable_cells"][0] + flows.grown - flows.died),
        (v["glucose"] * litre, v["glucose"][0] * litre + flows.fed - flows.glucose_out - flows.eaten),
        (v["lactate"] * litre, ratio * flows.eaten - flows.lactate_out),
    ):
        assert float(np.max(np.abs(there - booked))) <= 1e-9 * float(np.max(np.abs(booked)))


def test_cells_glucose_and_lactate_are_all_accounted_for() -> None:
    _closes(*simulate(3, constants=donors(PATIENTS, 3, seed=1)))
    _closes(*simulate(1, faults=[Fault("perfusion_is_lost", 1.0)]))


def test_the_same_batch_has_the_same_bytes_twice_and_is_the_same_alone() -> None:
    drawn = donors(PATIENTS, 5, seed=1)
    many, again = CAR_T.run(5, constants=drawn), CAR_T.run(5, constants=drawn)
    alone = CAR_T.run(1, constants={name: values[3:4] for name, values in drawn.items()})
    for name, values in many.values.items():
        assert values.tobytes() == again.values[name].tobytes()
        assert alone.values[name][:, 0] == pytest.approx(values[:, 3], rel=1e-9, abs=1e-9)
    assert all(np.array_equal(donors(PATIENTS, 100, seed=1)[name][:5], values) for name, values in drawn.items())


def test_half_an_hour_is_a_fine_enough_step() -> None:
    for faults, bound in (((), 1e-6), ((Fault("perfusion_is_lost", 1.0),), 1e-3)):
        coarse, fine = one(*faults), CAR_T.run(1, constants=TABLE_DONOR, faults=faults, every_h=0.05)
        assert last(coarse, "viable_cells") == pytest.approx(last(fine, "viable_cells"), rel=bound)


def test_it_is_harvested_at_its_target_and_stops_outside_its_range() -> None:
    early = CAR_T.run(2, settings={"target": np.array([1000.0, 20000.0])})
    assert 1000.0 <= early.quality["viable_cells"][0] < 1100.0 < early.quality["viable_cells"][1]
    broken = CAR_T.run(2, constants={"stimulus": np.array([60.0, 0.0])})
    assert list(broken.stopped) == [1] and "the physical range is" in broken.stopped[1].why
    assert np.isnan(broken.quality["dose"][1]) and np.isfinite(broken.quality["dose"][0])


def test_what_the_model_has_not_is_refused() -> None:
    assert process_of("car_t") is CAR_T
    with pytest.raises(NotFound):
        CAR_T.run(1, faults=[Fault("sparger_fouls", 0.5)])
    with pytest.raises(NotValid):
        CAR_T.run(1, settings={"volume": np.array(-1.0)})
    with pytest.raises(NotValid):
        donors(PATIENTS, 0, seed=1)
