"""Couriers and weather: times, tracks, what warmth and lateness cost."""

from __future__ import annotations

import math

import numpy as np
import pytest

from isogenic.errors import NotValid
from isogenic.sim.couriers import COLD_BOX, CRYO_SHIPPER, FRESH_BOX, rna_kept, ship, viability_lost
from isogenic.sim.processes.mrna_quality import hydrolysis_factor
from isogenic.sim.weather import CLIMATES, Climate, ambient_c, stormy

WAY = ("GHENT", "LEEDS")
CALM = (Climate(storms=0.0), Climate(storms=0.0))


def test_the_year_and_the_day_show_in_the_temperature_and_any_hour_can_be_asked_for_alone() -> None:
    climate = CLIMATES["temperate"]
    winter, summer = ([ambient_c(climate, 24.0 * day + 15.0, seed=1, place="GHENT") for day in range(at, at + 60)] for at in (0, 182))
    assert float(np.mean(winter)) == pytest.approx(11.0 + 4.0 - 8.0, abs=2.0) and float(np.mean(summer)) > float(np.mean(winter)) + 12.0
    night = [ambient_c(climate, 24.0 * day + 3.0, seed=1, place="GHENT") for day in range(60)]
    assert float(np.mean(winter)) - float(np.mean(night)) == pytest.approx(8.0, abs=0.1)
    assert ambient_c(climate, 15.0, seed=1, place="GHENT") == winter[0] != ambient_c(climate, 15.0, seed=1, place="LEEDS")
    years = [ambient_c(climate, 24.0 * day, seed=2, place="GHENT") for day in range(0, 20 * 1461, 1461)]  # the same day of the year
    assert float(np.std(years)) == pytest.approx(3.0, rel=0.5)


def test_storms_are_as_many_as_the_climate_says_and_cost_a_night() -> None:
    climate = CLIMATES["tropical"]
    days = [stormy(climate, 24.0 * day, seed=1, place="GHENT") for day in range(3652)]
    assert abs(sum(days) / 3652 - 0.04) < 4.0 * math.sqrt(0.04 / 3652)
    always = Climate(storms=9.0)
    one = ship("S-1", seed=1, leaves_h=100.0, places=WAY, climates=CALM)
    late = ship("S-1", seed=1, leaves_h=100.0, places=WAY, climates=(always, always))
    assert late.delayed_by_storm and late.transit_h == pytest.approx(one.transit_h + 12.0)


def test_ways_take_a_log_normal_time_and_replay() -> None:
    hours = [ship(f"S-{at}", seed=1, leaves_h=0.0, places=WAY, climates=CALM).transit_h for at in range(400)]
    assert abs(float(np.mean(np.log(hours))) - math.log(18.0)) < 4.0 * math.log(1.25) / 20.0
    assert float(np.std(np.log(hours))) == pytest.approx(math.log(1.25), rel=4.0 / math.sqrt(800))
    again = ship("S-7", seed=1, leaves_h=0.0, places=WAY, climates=CALM)
    assert again.transit_h == hours[7]
    assert again.celsius.tobytes() == ship("S-7", seed=1, leaves_h=0.0, places=WAY, climates=CALM).celsius.tobytes()


def test_a_late_courier_costs_viability_and_then_the_cold() -> None:
    one = ship("S-1", seed=1, leaves_h=4500.0, places=WAY, climates=CALM)
    late = ship("S-1", seed=1, leaves_h=4500.0, places=WAY, climates=CALM, late_h=96.0)
    assert late.transit_h == pytest.approx(one.transit_h + 96.0)
    assert (viability_lost(20.0), viability_lost(36.0), viability_lost(60.0, fresh_for_h=48.0)) == (0.0, 4.0, 4.0)
    assert viability_lost(late.transit_h) > viability_lost(one.transit_h) + 25.0
    assert one.excursion_h == 0.0 < late.excursion_h and (one.celsius == FRESH_BOX.holds_c).all()
    assert (late.celsius[late.hour <= 72.0] == 5.0).all() and late.celsius[-1] > 10.0


def test_a_warm_shipment_shows_on_the_logger_and_costs_rna_by_arrhenius() -> None:
    cold, warm = (ship("S-1", seed=1, leaves_h=0.0, places=WAY, climates=CALM, box=COLD_BOX, warmer_k=by) for by in (0.0, 20.0))
    assert cold.excursion_h == 0.0 and warm.excursion_h == pytest.approx(warm.transit_h)
    factor = float(hydrolysis_factor(25.0, beside=5.0))
    assert factor == pytest.approx(46.0, rel=0.02)
    assert rna_kept(cold) == pytest.approx(math.exp(-2.5e-3 * cold.transit_h / 24.0))
    assert math.log(rna_kept(warm)) == pytest.approx(factor * math.log(rna_kept(cold)))


def test_a_cryo_shipper_lasts_ten_days_and_no_longer() -> None:
    held, thawed = (ship("S-1", seed=1, leaves_h=0.0, places=WAY, climates=CALM, box=CRYO_SHIPPER, late_h=by) for by in (200.0, 300.0))
    assert held.transit_h < 240.0 and held.excursion_h == 0.0 < thawed.excursion_h


def test_a_shipment_that_cannot_be_is_refused() -> None:
    with pytest.raises(NotValid):
        ship("S-1", seed=1, leaves_h=0.0, places=WAY, median_h=-1.0)
    with pytest.raises(NotValid):
        ambient_c(CLIMATES["temperate"], -5.0, seed=1, place="GHENT")
