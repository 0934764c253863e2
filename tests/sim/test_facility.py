"""A simulated facility: doses, controllers, faults, replay."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from led_batch import PORTO, START_L, lead_batch

from isogenic.clock import EPOCH, ManualClock
from isogenic.errors import NotFound, NotValid
from isogenic.ids import UnitId
from isogenic.plant.model import SitePlant
from isogenic.sim.bank import FEW, Bank
from isogenic.sim.facility import CATCH_UP_STEPS, Facility
from isogenic.sim.history import good_batches
from isogenic.sim.laboratory import assay, sample_document, true_quality
from isogenic.sim.live import live_of

T0 = ManualClock().at


def tag(name: str) -> str:
    return f"{PORTO}.{name}"


def filled(porto: SitePlant, **options: object) -> Facility:
    """A facility with warm medium in its vessel, at T0 + 12 h."""
    facility = Facility(porto, seed=1, **options)  # type: ignore[arg-type]
    facility.advance(T0)
    facility.write(tag("temperature_sp"), 37.0)
    facility.write(tag("agitation_sp"), 90.0)
    facility.write(tag("medium_dose"), 100.0)
    facility.write(tag("medium_dose_number"), 1.0)
    facility.advance(T0 + timedelta(hours=12))
    return facility


def test_vessel_is_filled_to_the_litre_and_warmed_to_its_setpoint(porto: SitePlant) -> None:
    facility = filled(porto)
    assert facility.read(tag("medium_dosed_total")) == pytest.approx(100.0, abs=1e-9)
    assert facility.read(tag("vessel_weight")) == pytest.approx(102.0, rel=0.01)
    assert facility.read(tag("temperature")) == pytest.approx(37.0, abs=0.2)
    assert facility.read(tag("glucose")) == pytest.approx(33.0, abs=2.5)


def test_a_dose_number_written_again_doses_nothing(porto: SitePlant) -> None:
    facility = filled(porto)
    for number in (1.0, 1.0, 0.0):
        facility.write(tag("medium_dose_number"), number)
    facility.advance(T0 + timedelta(hours=20))
    assert facility.read(tag("medium_dosed_total")) == pytest.approx(100.0, abs=1e-9)
    facility.write(tag("medium_dose"), 10.0)
    facility.write(tag("medium_dose_number"), 2.0)
    facility.advance(T0 + timedelta(hours=28))
    assert facility.read(tag("medium_dosed_total")) == pytest.approx(110.0, abs=1e-9)


def test_an_actuator_saturates_at_what_its_unit_can_do(porto: SitePlant) -> None:
    facility = filled(porto)
    facility.write(tag("feed_flow_sp"), 5000.0)
    facility.write(tag("agitation_sp"), 1000.0)
    facility.advance(T0 + timedelta(hours=14))
    assert facility.read(tag("feed_flow_sp")) == 5000.0
    assert facility.read(tag("feed_flow")) == pytest.approx(500.0, rel=0.03)
    assert facility.read(tag("agitation")) == pytest.approx(150.0, rel=0.02)


def test_a_vessel_never_runs_over(porto: SitePlant) -> None:
    facility = filled(porto)
    facility.write(tag("medium_dose"), 500.0)
    facility.write(tag("medium_dose_number"), 2.0)
    facility.advance(T0 + timedelta(hours=48))
    assert facility.vessels[PORTO].inside["volume"] == pytest.approx(240.0)
    assert facility.read(tag("medium_dosed_total")) == pytest.approx(240.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 61.0])
def test_a_setpoint_beyond_its_physical_range_is_refused_and_changes_nothing(porto: SitePlant, value: float) -> None:
    facility = filled(porto)
    with pytest.raises(NotValid, match="temperature_sp"):
        facility.write(tag("temperature_sp"), value)
    assert facility.read(tag("temperature_sp")) == 37.0


def test_a_measurement_and_an_unknown_signal_cannot_be_written(porto: SitePlant) -> None:
    facility = Facility(porto, seed=1)
    with pytest.raises(NotFound, match="not a set-point"):
        facility.write(tag("temperature"), 37.0)
    with pytest.raises(NotFound, match="no signal"):
        facility.write("NOWHERE.temperature_sp", 37.0)


def test_a_live_batch_looks_like_the_past_good_batches(porto: SitePlant) -> None:
    past = good_batches(20, seed=5, unit=porto.units[PORTO], every_h=12.0, site=porto.site, start_l=START_L)
    live = [seen for age, seen in lead_batch(Facility(porto, seed=9), hours=240.0) if age % 12.0 == 0.0]
    assert len(live) == 21
    for name in past[0][1]:
        band = np.array([series[name][2:21] for _, series in past])
        seen = np.array([each[name] for each in live[2:]])
        distance = np.abs(seen - band.mean(axis=0)) / (band.std(axis=0) + 0.02 * np.abs(band.mean(axis=0)) + 0.02)
        assert np.median(distance) < 2.5, name


def test_harvest_empties_the_vessel_and_gives_one_pool_to_the_laboratory(porto: SitePlant) -> None:
    facility = Facility(porto, seed=2)
    for _ in lead_batch(facility, hours=336.0):
        pass
    (harvest,) = facility.harvests()
    assert facility.harvests() == []
    assert (harvest.unit, harvest.run) == (PORTO, 1)
    assert harvest.age_h == pytest.approx(337.0, abs=2.0)
    assert set(facility.vessels[PORTO].inside.values()) == {0.0}
    quality = true_quality(harvest)
    assert 3.5 < quality["titre"] < 6.5 and quality["harvest_viability"] > 70 and 15 < quality["galactosylation"] < 35
    results = assay(harvest, seed=2, site="PORTO")
    assert [each.attribute for each in results] == ["titre", "harvest_viability", "galactosylation", "hmw", "acidic", "hcp"]
    assert results == assay(harvest, seed=2, site="PORTO")
    for result in results:
        assert result.value == pytest.approx(quality[result.attribute], rel=0.5)
    document = sample_document(harvest, at=facility.time_of(harvest.grid), seed=2, site="PORTO")
    assert json.loads(json.dumps(document)) == document


def test_a_second_batch_is_another_one_and_totals_count_on(porto: SitePlant) -> None:
    facility = Facility(porto, seed=2)
    first = [seen["viable_cells"] for _, seen in lead_batch(facility, hours=30.0)]
    second = [seen for _, seen in lead_batch(facility, hours=30.0)]
    assert [harvest.run for harvest in facility.harvests()] == [1, 2]
    assert second[0]["medium_dosed_total"] == pytest.approx(1.8 * START_L)
    assert [seen["viable_cells"] for seen in second] != first


def test_a_fouled_feed_pump_shows_in_flow_pressure_weights_and_glucose(porto: SitePlant) -> None:
    good = dict(lead_batch(Facility(porto, seed=3), hours=200.0))
    fouled = dict(lead_batch(Facility(porto, seed=3, faults=["feed_pump_fouls:unit=SB-200,start=150h,hours=24,size=0.6"]), hours=200.0))
    before, within, after = 149.5, 168.0, 190.0
    assert fouled[before] == good[before]
    assert fouled[within]["feed_flow"] == pytest.approx(0.4 * good[within]["feed_flow"], rel=0.02)
    assert fouled[within]["feed_pressure"] > 1.5 * good[within]["feed_pressure"]
    assert fouled[within]["feed_bottle_weight"] > good[within]["feed_bottle_weight"] + 0.5
    assert fouled[within]["vessel_weight"] < good[within]["vessel_weight"] - 0.5
    assert fouled[within]["glucose"] < good[within]["glucose"] - 0.5
    assert fouled[after]["feed_flow"] == pytest.approx(good[after]["feed_flow"], rel=0.02)


def test_a_fouled_sparger_is_masked_by_more_oxygen(porto: SitePlant) -> None:
    good = dict(lead_batch(Facility(porto, seed=3), hours=150.0))
    fouled = dict(lead_batch(Facility(porto, seed=3, faults=["sparger_fouls:unit=SB-200,start=100h,hours=100,size=0.2"]), hours=150.0))
    assert fouled[145.0]["oxygen_flow"] > 1.3 * good[145.0]["oxygen_flow"]
    assert fouled[145.0]["dissolved_oxygen"] == pytest.approx(good[145.0]["dissolved_oxygen"], abs=0.1)


def test_broken_sensors_lie_repeat_or_fall_silent(porto: SitePlant) -> None:
    faults = [
        "sensor_biased:unit=SB-200,signal=ph,start=10h,size=0.3",
        "sensor_freezes:unit=SB-200,signal=temperature,start=10h,hours=10",
        "sensor_drops:unit=SB-200,signal=glucose,start=10h,hours=10",
    ]
    good = dict(lead_batch(Facility(porto, seed=3), hours=25.0))
    broken = dict(lead_batch(Facility(porto, seed=3, faults=faults), hours=25.0))
    assert broken[9.5] == good[9.5]
    assert broken[15.0]["ph"] == pytest.approx(good[15.0]["ph"] + 0.3)
    assert len({seen["temperature"] for age, seen in broken.items() if 10.5 <= age <= 20.0}) == 1
    assert math.isnan(broken[15.0]["glucose"])
    assert broken[22.0]["glucose"] == good[22.0]["glucose"]


def test_a_weak_lot_of_medium_grows_less(porto: SitePlant) -> None:
    good = dict(lead_batch(Facility(porto, seed=3), hours=100.0))
    weak = dict(lead_batch(Facility(porto, seed=3, faults=["medium_is_weak:unit=SB-200,size=0.1,run=1"]), hours=100.0))
    assert weak[99.0]["viable_cells"] < 0.9 * good[99.0]["viable_cells"]


def test_the_same_seed_replays_to_the_last_bit_however_often_it_is_looked_at(porto: SitePlant) -> None:
    runs = []
    for minutes in (5, 35, 120):
        facility = filled(porto)
        now = T0 + timedelta(hours=12)
        while now < T0 + timedelta(hours=26):
            now += timedelta(minutes=minutes)
            facility.advance(now)
            facility.read(tag("glucose"))
        facility.advance(T0 + timedelta(hours=28))
        runs.append({signal.tag: facility.read(signal.tag) for signal in porto.signals()})
    assert runs[0] == runs[1] == runs[2]


def test_another_seed_is_another_batch(porto: SitePlant) -> None:
    one, two = (list(lead_batch(Facility(porto, seed=seed), hours=24.0)) for seed in (1, 2))
    assert one != two


def test_time_never_goes_back_and_a_long_gap_is_walked_in_parts(porto: SitePlant) -> None:
    facility = filled(porto)
    before = facility.at
    assert facility.advance(T0) is True
    assert facility.at == before
    later = T0 + timedelta(seconds=300 * (CATCH_UP_STEPS + 1000))
    assert facility.advance(later) is False
    assert facility.advance(later) is True
    assert facility.at is not None and later - facility.at < timedelta(seconds=300)


def test_a_restarted_facility_finds_its_vessels_as_they_were(porto: SitePlant) -> None:
    lasting = filled(porto)
    lasting.write(tag("seed_dose"), 10.0)
    lasting.write(tag("seed_dose_number"), 1.0)
    lasting.advance(T0 + timedelta(hours=12, minutes=10))  # in the middle of the dose
    restarted = Facility(porto, seed=1)
    restarted.restore(json.loads(json.dumps(lasting.snapshot())))
    restarted.write(tag("seed_dose_number"), 1.0)  # written again by a node that does not know
    for facility in (lasting, restarted):
        facility.advance(T0 + timedelta(hours=30))
    assert [restarted.read(signal.tag) for signal in porto.signals()] == [lasting.read(signal.tag) for signal in porto.signals()]
    assert restarted.read(tag("seed_dosed_total")) == pytest.approx(10.0)


@pytest.mark.parametrize("memory", [{}, {"step_s": 300.0, "vessels": {}}, {"step_s": 300.0, "vessels": {"SB-200": {}}, "index": 1}, {"step_s": 1.0}])
def test_a_foreign_snapshot_is_refused(porto: SitePlant, memory: dict[str, object]) -> None:
    with pytest.raises(NotValid):
        Facility(porto, seed=1).restore(memory)


def test_a_unit_whose_culture_leaves_its_physical_range_stops_and_says_why(porto: SitePlant) -> None:
    facility = filled(porto)
    facility.bank.pour(0, lactate=1e5)
    facility.advance(T0 + timedelta(hours=13))
    assert "lactate" in facility.stopped()[PORTO]
    assert math.isnan(facility.read(tag("glucose")))
    assert facility.read(tag("temperature_sp")) == 37.0


def test_steps_that_make_no_sense_are_refused(porto: SitePlant) -> None:
    for step_s in (0.0, -1.0, 7200.0, math.nan):
        with pytest.raises(NotValid):
            Facility(porto, seed=1, step_s=step_s)


def test_grid_points_are_process_time_since_the_epoch(porto: SitePlant) -> None:
    assert Facility(porto, seed=1).time_of(2) == EPOCH + timedelta(minutes=10)


def test_many_vessels_move_as_arrays_and_each_as_if_it_were_alone(porto: SitePlant) -> None:
    unit = porto.units[PORTO]

    def led(count: int) -> Bank:
        bank = Bank(
            [replace(unit, id=UnitId(f"SB-{at}")) for at in range(count)], biology=live_of("antibody"), site="PORTO", seed=1, step_h=1.0 / 12.0
        )
        for hours, asked in (
            (6, {"temperature_sp": 37.0, "agitation_sp": 90.0, "medium_dose": 100.0}),
            (12, {"seed_dose": 10.0, "feed_flow_sp": 140.0}),
        ):
            for row in range(count):
                for name, value in asked.items():
                    bank.write(row, name, value)
                    if name.endswith("_dose"):
                        bank.write(row, f"{name}_number", 1.0)
            for _ in range(12 * hours):
                bank.step(bank.index + 1)
        return bank

    many, alone = led(FEW + 2), led(1)
    assert many.inside(0) == pytest.approx(alone.inside(0), rel=1e-9, abs=1e-12)
    assert many.read(0, "glucose") == pytest.approx(alone.read(0, "glucose"), rel=1e-9)
    assert many.inside(1)["viable"] != many.inside(0)["viable"] > 0.0
