"""What each fault of the antibody process shows, and that nothing is made or lost on the way."""

from __future__ import annotations

import numpy as np
import pytest

from isogenic.sim.processes import cho
from isogenic.sim.processes.antibody import ANTIBODY
from isogenic.sim.processes.cho import NOMINAL, Culture, Drive, advance, rates
from isogenic.sim.processes.feeding import inoculated
from isogenic.sim.processes.process import Fault, Floats, Outcome


def both(*faults: Fault, every_h: float = 6.0) -> Outcome:
    """A sound batch and one with these faults."""
    struck = np.array([False, True])
    return ANTIBODY.run(
        2, faults=[Fault(each.name, each.size, each.start_h, each.duration_h, struck, each.gradual) for each in faults], every_h=every_h
    )


def ratio(values: Floats) -> float:
    return float(values[1] / values[0])


def test_a_fouled_sparger_is_masked_until_a_third_is_lost() -> None:
    masked = both(Fault("sparger_fouls", 0.30))
    assert ratio(masked.values["oxygen_flow"].max(axis=0)) > 1.4
    assert masked.values["dissolved_oxygen"][:, 1].min() == pytest.approx(40.0, abs=0.5)
    assert ratio(masked.quality["titre"]) == pytest.approx(1.0, abs=0.002)
    deep = both(Fault("sparger_fouls", 0.5))
    assert ratio(deep.quality["titre"]) == pytest.approx(0.915, abs=0.015)
    rises = deep.age_h[np.argmax(deep.values["oxygen_flow"][:, 1] > 1.3 * deep.values["oxygen_flow"][:, 0])]
    falls = deep.age_h[np.argmax(deep.values["dissolved_oxygen"][:, 1] < 38.0)]
    assert falls - rises > 48.0  # days


def test_a_fouled_feed_pump_gives_less_against_more_pressure() -> None:
    seen = both(Fault("feed_pump_fouls", 0.6, start_h=150.0, duration_h=60.0, gradual=True))
    at = int(np.argmax(seen.age_h >= 186.0))
    assert ratio(seen.values["feed_flow"][at]) == pytest.approx(0.4)
    assert ratio(seen.values["feed_pressure"][at]) > 1.5
    assert seen.values["feed_bottle_weight"][-1, 1] > seen.values["feed_bottle_weight"][-1, 0] + 10.0
    assert ratio(seen.values["glucose"][at]) < 0.97
    assert ratio(seen.quality["titre"]) < 1.0


def test_a_stopped_feed_skid_starves_the_culture_and_one_that_runs_high_fills_it() -> None:
    seen = both(Fault("feed_pump_stops", 1.0, start_h=144.0, duration_h=72.0))
    assert ratio(seen.quality["titre"]) == pytest.approx(3.86 / 4.84, abs=0.02)
    assert seen.values["glucose"][seen.age_h == 216.0, 1][0] < 0.5
    high = both(Fault("feed_pump_runs_high", 0.3))
    assert ratio(high.quality["harvest_volume"]) > 1.05
    assert ratio(high.quality["titre"]) > 1.0


def test_contamination_takes_the_oxygen_within_a_day_then_the_ph() -> None:
    seen = both(Fault("culture_is_contaminated", 5e-5, start_h=150.0), every_h=1.0)
    assert seen.stopped == {}
    oxygen = seen.values["dissolved_oxygen"][:, 1]
    collapsed = seen.age_h[np.argmax(oxygen < 5.0)] - 150.0
    assert 12.0 <= collapsed <= 24.0
    later = int(np.argmax(seen.age_h >= 180.0))
    assert seen.values["ph"][later, 1] < seen.values["ph"][later, 0] - 0.1
    assert seen.values["lactate"][later, 1] > seen.values["lactate"][later, 0] + 10.0
    assert ratio(seen.values["glucose"][later]) < 0.5
    assert seen.values["bacteria"][:, 0].max() == 0.0


def test_weak_medium_costs_growth_a_tenth_and_titre_more() -> None:
    seen = both(Fault("medium_is_weak", 0.1))
    assert ratio(seen.values["viable_cells"].max(axis=0)) == pytest.approx(0.9, abs=0.02)
    assert float(seen.values["viable_cells"][:, 1].max()) == pytest.approx(17.8, rel=0.02)
    assert float(seen.quality["titre"][1]) == pytest.approx(4.14, rel=0.02)
    assert seen.values["glutamine"][0] == pytest.approx([5.0, 3.5])


def test_a_warm_day_costs_viability_and_makes_aggregates() -> None:
    short = both(Fault("temperature_excursion", 2.0, start_h=240.0, duration_h=6.0))
    at = int(np.argmax(short.age_h >= 246.0))
    drop = float(short.values["viability"][at, 0] - short.values["viability"][at, 1])
    # Death four times as fast for six hours costs 1.5 %; the 5 % of the catalogue take a day of it.
    assert 0.8 < drop < 2.5
    assert short.quality["hmw"][1] - short.quality["hmw"][0] == pytest.approx(0.3, abs=0.03)
    day = both(Fault("temperature_excursion", 2.0, start_h=240.0, duration_h=24.0))
    at = int(np.argmax(day.age_h >= 264.0))
    assert 3.5 < day.values["viability"][at, 0] - day.values["viability"][at, 1] < 7.0


def test_a_ph_probe_that_reads_high_leaves_the_culture_acid() -> None:
    seen = both(Fault("ph_sensor_drifts", 0.1))
    assert seen.values["ph"][:, 1] == pytest.approx(seen.values["ph"][:, 0] - 0.1)
    assert seen.quality["galactosylation"][1] - seen.quality["galactosylation"][0] == pytest.approx(1.0, abs=0.5)
    assert ratio(seen.quality["titre"]) < 1.0


def test_more_lactate_and_less_product_end_as_the_table_says() -> None:
    sour = both(Fault("lactate_is_high", 0.2))
    assert ratio(sour.values["lactate"].max(axis=0)) > 1.1
    assert ratio(sour.quality["titre"]) == pytest.approx(4.68 / 4.84, abs=0.015)
    poor = both(Fault("product_rate_is_low", 0.1))
    assert ratio(poor.quality["titre"]) == pytest.approx(4.36 / 4.84, abs=0.015)
    assert poor.values["viable_cells"][:, 1] == pytest.approx(poor.values["viable_cells"][:, 0], rel=0.005)


def test_every_fault_of_the_model_changes_something() -> None:
    for name, each in ANTIBODY.faults.items():
        size = 0.3 * each.high if each.high < 5 else 1.0
        size = 0.5 if name == "drive_is_weak" else size  # a stirrer at 100 of its 150 rpm has a third to lose
        seen = both(Fault(name, size, start_h=100.0 if each.windowed else 0.0))
        assert any(not np.allclose(values[:, 0], values[:, 1], rtol=1e-3, equal_nan=True) for values in seen.values.values()), name


def test_cold_cultures_grow_slower_live_longer_and_make_more_each() -> None:
    seen = ANTIBODY.run(2, settings={"temperature_shift": np.array([37.0, 34.0]), "shift_at": np.array([336.0, 168.0])})
    assert ratio(seen.values["viable_cells"].max(axis=0)) < 1.0
    assert ratio(seen.quality["harvest_viability"]) > 1.0


def test_carbon_dioxide_and_salt_beyond_their_limits_slow_growth_and_not_before() -> None:
    stripping = ANTIBODY.constants["stripping"].value
    seen = ANTIBODY.run(3, constants={"stripping": stripping * np.array([1.0, 2.0, 0.4])})
    assert seen.quality["titre"][1] == seen.quality["titre"][0]
    assert seen.values["carbon_dioxide"][:, 2].max() > 120.0
    assert seen.values["viable_cells"][:, 2].max() < seen.values["viable_cells"][:, 0].max()
    salty = ANTIBODY.run(2, settings={"bolus_below": np.array([14.0, 120.0 - 20.0]), "bolus_to": np.array([28.0, 180.0])})
    assert salty.values["osmolality"][:, 1].max() > 400.0
    assert salty.values["viable_cells"][:, 1].max() < salty.values["viable_cells"][:, 0].max()


def test_two_hundred_batches_scatter() -> None:
    """The population of the reference had 4.87 g/L, 7.8 % and 0.4; see docs/twins.md for why the second cannot be met."""
    draws = np.random.default_rng(1)
    spread = {"growth": 0.03, "product": 0.04, "death": 0.15, "lactate_of_glucose": 0.05, "lactate_uptake": 0.08, "brake": 0.05}
    constants = {name: ANTIBODY.constants[name].value * np.exp(cv * draws.standard_normal(200)) for name, cv in spread.items()}
    quality = ANTIBODY.run(200, constants=constants, every_h=336.0).quality
    assert quality["titre"].mean() == pytest.approx(4.87, rel=0.03)
    assert 100.0 * quality["titre"].std() / quality["titre"].mean() == pytest.approx(5.3, abs=3.0 * 5.3 / 20.0)
    assert quality["harvest_viability"].std() == pytest.approx(0.45, abs=0.1)


FLOWS = ("glucose", "glutamine", "lactate", "amino_acids", "antibody", "cells", "volume")


@pytest.mark.parametrize("bacteria", [0.0, 1e-5])
def test_what_flows_in_and_out_is_what_is_there(bacteria: float) -> None:
    """The reactions, told from the state's own rates without dilution, are integrated beside it; feed and reaction make the balance."""
    culture = inoculated(1600.0)._replace(bacteria=bacteria)
    dry, wet = Drive(), Drive(feed_l_h=2.0)
    start = amounts(culture)
    reacted, fed = np.zeros(len(FLOWS)), np.zeros(len(FLOWS))
    nodes, weights = (0.0, 0.5, 0.5, 1.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6)
    h = 0.1
    entering = np.array([cho.FEED.glucose, cho.FEED.glutamine, 0.0, cho.FEED.amino_acids, 0.0, 0.0, 1.0])
    for step in range(1200):
        drive = wet if step >= 600 else dry
        now = cho.pace(NOMINAL, drive=drive, lactate=culture.lactate, contaminated=bacteria > 0.0)
        slope = cho.slopes(culture, now)
        for node, weight in zip(nodes, weights, strict=True):
            at = culture if node == 0.0 else Culture(*[x + node * h * k for x, k in zip(culture, slope, strict=True)])
            slope = cho.slopes(at, now)
            still = cho.slopes(at, now._replace(feed_l_h=0.0))
            reacted += weight * h * amounts_made(at, still)
            fed += weight * h * drive.feed_l_h * entering
        culture = advance(culture, hours=h, theta=NOMINAL, drive=drive)
    found = amounts(culture)
    assert found == pytest.approx(start + reacted + fed, rel=1e-9)


def amounts(culture: Culture) -> Floats:
    cells = culture.viable + culture.dead + culture.lysed
    each = (culture.glucose, culture.glutamine, culture.lactate, culture.amino_acids, culture.antibody, cells, 1.0)
    return culture.volume * np.array(each)


def amounts_made(culture: Culture, slope: Culture) -> Floats:
    cells = slope.viable + slope.dead + slope.lysed
    return culture.volume * np.array((slope.glucose, slope.glutamine, slope.lactate, slope.amino_acids, slope.antibody, cells, 0.0))


def test_cells_change_hands_and_none_is_lost() -> None:
    slope = rates(inoculated(1600.0), theta=NOMINAL, drive=Drive())
    hungry = rates(inoculated(1600.0)._replace(glutamine=0.0), theta=NOMINAL, drive=Drive())
    assert slope.viable + slope.dead + slope.lysed > 0.0
    assert hungry.viable + hungry.dead + hungry.lysed == pytest.approx(0.0, abs=1e-15)
