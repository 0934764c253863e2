"""The PenSim benchmark: published constants, known answers, balances, faults."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from isogenic.errors import NotFound, NotValid
from isogenic.sim.processes import process_of
from isogenic.sim.processes.pensim import PENSIM, Flows, simulate
from isogenic.sim.processes.process import Fault, Mark, Outcome

# Computed from the published equations with LSODA at 1e-9: hour, biomass g/L, penicillin g/L, volume L.
KNOWN = ((100, 9.76, 0.506, 96.4), (200, 12.84, 1.097, 94.7), (300, 13.95, 1.517, 93.2), (400, 14.42, 1.635, 91.8))


@cache
def nominal() -> tuple[Outcome, Flows]:
    return simulate(1, every_h=10.0)


def struck(*faults: Fault) -> Outcome:
    return PENSIM.run(1, faults=faults, every_h=10.0)


def test_the_known_trajectory_is_met_within_half_a_percent() -> None:
    outcome, _ = nominal()
    for hour, *known in KNOWN:
        found = [float(outcome.values[name][hour // 10, 0]) for name in ("biomass", "penicillin", "volume")]
        assert found == pytest.approx(known, rel=0.005)
    assert outcome.quality["switch_h"][0] == pytest.approx(44.01, rel=0.0005)
    assert outcome.stopped == {}


def test_the_process_is_found_by_its_name_and_says_where_its_numbers_are_from() -> None:
    process = process_of("pensim")
    assert process is PENSIM
    assert {name for name, each in process.constants.items() if each.mark is not Mark.PUBLISHED} == {"coolant_inlet", "base_strength"}
    assert all(each.source for each in process.constants.values() if each.mark is Mark.PUBLISHED)
    outcome, _ = nominal()
    assert set(outcome.values) == set(process.variables) and set(outcome.quality) == set(process.qualities)


def test_every_balance_closes() -> None:
    fault = Fault("feed_falls", size=0.9, start_h=100.0, duration_h=8.0)  # with a time of hunger
    for outcome, flows in (nominal(), simulate(1, faults=[fault], every_h=10.0)):
        volume, start = outcome.values["volume"], PENSIM.settings["volume_start"].value
        amounts = {name: outcome.values[name] * volume for name in ("biomass", "substrate", "penicillin")}
        eaten = flows.for_growth + flows.for_product + flows.for_upkeep - flows.burnt / PENSIM.constants["biomass_of_substrate"].value
        for amount, booked in (
            (amounts["substrate"], 15.0 * start + flows.fed - eaten),
            (amounts["biomass"], 0.1 * start + flows.grown - flows.burnt),
            (amounts["penicillin"], flows.made - flows.decayed),
            (volume, start + flows.fed_l - flows.lost_l),
        ):
            assert float(np.max(np.abs(amount - booked))) <= 1e-9 * float(np.max(np.abs(booked)))
    assert nominal()[1].burnt[-1, 0] == 0.0
    assert flows.burnt[-1, 0] > 0.0


def test_one_batch_alone_has_the_same_bytes_as_among_many() -> None:
    feed = np.array([0.0426, 0.05, 0.06])
    struck_one = np.array([False, True, False])
    fault = Fault("feed_falls", size=1.0, start_h=60.0, duration_h=5.0, batches=struck_one)
    many = PENSIM.run(3, settings={"feed": feed}, faults=[fault], every_h=20.0)
    again = PENSIM.run(3, settings={"feed": feed}, faults=[fault], every_h=20.0)
    for name, values in many.values.items():
        assert values.tobytes() == again.values[name].tobytes()
    alone = PENSIM.run(1, settings={"feed": feed[1:2]}, faults=[Fault("feed_falls", size=1.0, start_h=60.0, duration_h=5.0)], every_h=20.0)
    for name, values in many.values.items():
        assert values[:, 1].tobytes() == alone.values[name][:, 0].tobytes()


@pytest.mark.parametrize("name", ["aeration_falls", "agitation_falls"])
def test_less_gas_is_seen_in_the_oxygen_first(name: str) -> None:
    outcome, usual = struck(Fault(name, size=0.9, start_h=100.0, duration_h=30.0)), nominal()[0]
    assert outcome.values["oxygen"][9, 0] == usual.values["oxygen"][9, 0]
    assert float(outcome.values["oxygen"][11, 0]) < float(usual.values["oxygen"][11, 0]) - 3.0
    assert outcome.values["biomass"][11, 0] == pytest.approx(float(usual.values["biomass"][11, 0]), rel=0.01)


def test_less_feed_is_seen_in_substrate_heat_and_volume_and_hunger_in_the_titre() -> None:
    outcome, usual = struck(Fault("feed_falls", size=0.2, start_h=100.0, duration_h=100.0)), nominal()[0]
    for name in ("substrate", "heat", "volume"):
        assert float(outcome.values[name][19, 0]) < float(usual.values[name][19, 0])
    starved = struck(Fault("feed_falls", size=0.5, start_h=100.0))
    assert float(starved.quality["titre"][0]) < 0.5 * float(usual.quality["titre"][0])
    assert float(starved.values["biomass"][-1, 0]) < float(usual.values["biomass"][-1, 0])


def test_without_any_air_the_culture_does_not_grow() -> None:
    outcome = PENSIM.run(1, settings={"aeration": np.zeros(1)}, every_h=100.0)
    assert outcome.values["oxygen"][-1, 0] == pytest.approx(0.0, abs=1e-6)
    assert float(outcome.values["penicillin"][-1, 0]) < 1e-6


def test_a_batch_that_leaves_its_range_stops_with_the_reason_and_the_others_go_on() -> None:
    feed, start = np.array([0.0426, 1.0]), np.array([100.0, 100.0])
    strong = np.array([600.0, 20000.0])
    outcome = PENSIM.run(2, settings={"feed": feed, "volume_start": start}, constants={"feed_substrate": strong}, every_h=20.0)
    assert list(outcome.stopped) == [1]
    assert "physical range is 0 to" in outcome.stopped[1].why
    assert np.isnan(outcome.quality["titre"][1]) and np.isnan(outcome.values["biomass"][-1, 1])
    assert outcome.quality["titre"][0] == pytest.approx(1.635, rel=0.005)


def test_what_the_model_has_not_is_refused() -> None:
    with pytest.raises(NotFound):
        PENSIM.run(1, settings={"colour": np.ones(1)})
    with pytest.raises(NotValid):
        PENSIM.run(1, settings={"volume_start": -np.ones(1)})
    with pytest.raises(NotValid):
        PENSIM.run(0)
    with pytest.raises(NotValid):
        PENSIM.run(1, every_h=0.0)
    with pytest.raises(NotFound):
        PENSIM.run(1, faults=[Fault("sparger_sings", size=1.0)])
