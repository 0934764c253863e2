"""The industrial-scale penicillin benchmark: published streams and yields, balances, its eight faults."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from isogenic.errors import NotFound, NotValid
from isogenic.sim.processes import process_of
from isogenic.sim.processes.indpensim import BUILT_IN, INDPENSIM, simulate
from isogenic.sim.processes.indpensim import process as indpensim_process
from isogenic.sim.processes.indpensim.control import recipe_at
from isogenic.sim.processes.indpensim.disturbances import published_scatter
from isogenic.sim.processes.process import Fault, Floats, Outcome


def published(*seeds: int) -> dict[str, Floats]:
    return {"seed": np.array(seeds, dtype=float), "published_streams": np.ones(len(seeds))}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first hours only: a whole batch takes seconds."""
    monkeypatch.setattr(indpensim_process, "DURATION_H", 9.0)


@pytest.fixture
def shortest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indpensim_process, "DURATION_H", 2.0)


def balances(outcome: Outcome, flows: dict[str, Floats]) -> dict[str, tuple[Floats, Floats]]:
    """What is there, and what was booked."""
    v = outcome.values
    volume = v["volume"]
    regions = ("growing", "producing", "degenerated", "lysed")
    eaten = flows["for_growth"] + flows["for_upkeep"] + flows["for_product"] + flows["substrate_out"]
    sugar = v["substrate"] * volume
    biomass = v["biomass"] * volume
    return {
        "substrate": (sugar, sugar[0] + flows["sugar_in"] + flows["oil_in"] - eaten + flows["made_good_substrate"]),
        "penicillin": (v["penicillin"] * volume, flows["made"] - flows["decayed"] - flows["penicillin_out"] + flows["made_good_penicillin"]),
        "volume": (volume, volume[0] + flows["litres_in"] - flows["litres_evaporated"] - flows["litres_out"]),
        "biomass": (biomass, biomass[0] + flows["grown"] - flows["biomass_out"] + sum((flows[f"made_good_{each}"] for each in regions), np.zeros(1))),
    }


@pytest.mark.usefixtures("short")
def test_the_published_streams_begin_as_published_and_balances_close() -> None:
    outcome, flows = simulate(1, settings=published(1), every_h=1.0)
    assert outcome.values["biomass"][0, 0] == pytest.approx(published_scatter(1)["biomass_start"])
    assert outcome.stopped == {}
    for there, booked in balances(outcome, flows).values():
        assert float(np.max(np.abs(there - booked))) <= 1e-9 * float(np.max(flows["sugar_in"]))


@pytest.mark.usefixtures("shortest")
def test_the_same_bytes_come_twice_alone_and_in_any_order() -> None:
    settings = {"seed": np.array([7.0, 7.0]), "batch": np.array([3.0, 4.0])}
    one, two = (INDPENSIM.run(2, settings=settings) for _ in range(2))
    turned = INDPENSIM.run(2, settings={name: each[::-1].copy() for name, each in settings.items()})
    alone = INDPENSIM.run(1, settings={name: each[:1] for name, each in settings.items()})
    for name, values in one.values.items():
        assert values.tobytes() == two.values[name].tobytes() == turned.values[name][:, ::-1].tobytes()
        assert values[:, 0].tobytes() == alone.values[name][:, 0].tobytes()
    assert one.values["biomass"][-1, 0] != one.values["biomass"][-1, 1]


def test_the_published_batches_are_met_and_the_built_in_faults_show_in_their_windows() -> None:
    """Twelve whole batches in one run: seeds 1 to 3, the eight faults, and the usual batch, last."""
    n, own = 12, np.arange(12) >= 3
    faults = [replace(each, batches=np.arange(n) == number + 2) for number, some in BUILT_IN.items() for each in some]
    settings = {"seed": np.where(own, 0.0, np.arange(n) + 1.0), "published_streams": np.where(own, 0.0, 1.0)}
    outcome, flows = simulate(n, settings=settings, faults=faults, every_h=1.0)
    assert outcome.stopped == {}
    # Computed with the published simulator; a compiled copy of its equations gives 3640.4, 3258.4 and 2704.8.
    assert outcome.quality["yield"][:3].tolist() == pytest.approx([3639.3, 3258.4, 2700.5], rel=0.0015)
    ages = [10, 50, 100, 150, 200, 230]
    v = outcome.values
    assert v["biomass"][ages, 0].tolist() == pytest.approx([2.32, 17.73, 22.95, 24.22, 22.46, 21.26], abs=0.006)
    assert v["penicillin"][ages, 0].tolist() == pytest.approx([0.001, 4.82, 13.98, 21.73, 28.00, 28.91], abs=0.02)
    assert v["volume"][ages, 0].tolist() == pytest.approx([58406, 64198, 89348, 88274, 83444, 88474], rel=1e-4)
    for there, booked in balances(outcome, flows).values():
        assert float(np.max(np.abs(there - booked))) <= 1e-9 * float(np.max(flows["sugar_in"]))

    def off(number: int, name: str, first_h: int, last_h: int) -> float:
        """How far the batch with this fault is from the usual one, on average over these hours."""
        return float(np.mean(v[name][first_h : last_h + 1, number + 2] - v[name][first_h : last_h + 1, -1]))

    for number, first_h in {1: 19, 2: 99, 3: 19, 4: 79, 5: 69, 6: 19, 7: 40, 8: 40}.items():
        assert [off(number, name, 0, first_h) for name in v] == [0.0] * len(v)
    assert v["aeration"][[20, 24, 100, 110], 3].tolist() == [20.0] * 4
    assert off(1, "oxygen", 21, 24) < -2.0
    assert off(2, "oxygen", 101, 103) > 8.0
    assert off(2, "oxygen", 201, 230) > 8.0
    assert off(3, "oxygen", 21, 29) > 2.0
    assert off(3, "oxygen", 77, 91) > 1.0
    assert off(4, "ph", 81, 84) < -0.2
    assert off(4, "ph", 141, 159) < -0.4
    assert off(5, "temperature", 71, 90) > 1.0
    assert off(6, "oxygen", 21, 24) > 1.0  # too little sugar outweighs too little air
    assert off(6, "oxygen", 201, 230) > 8.0
    assert off(7, "temperature", 170, 230) == pytest.approx(0.4, abs=0.05)
    assert off(8, "ph", 170, 230) == pytest.approx(0.1, abs=0.01)
    lost = 1.0 - outcome.quality["yield"][3:-1] / outcome.quality["yield"][-1]
    assert [number + 1 for number in np.flatnonzero(lost > 0.1)] == [1, 2, 3, 6]


@pytest.mark.nightly
def test_thirty_published_batches_spread_as_published() -> None:
    outcome = INDPENSIM.run(30, settings=published(*range(1, 31)))
    assert outcome.stopped == {}
    found = outcome.quality["yield"]
    assert float(found.mean()) == pytest.approx(2875.4, rel=0.001)
    assert float(found.std(ddof=1)) == pytest.approx(780.8, rel=0.002)


@pytest.mark.nightly
def test_steps_that_suit_the_batch_are_as_good_as_fine_ones_all_along() -> None:
    coarse, fine = (simulate(6, settings=published(*range(1, 7)), every_h=1.0, parts=parts)[0] for parts in (None, 64))
    assert coarse.quality["yield"].tolist() == pytest.approx(fine.quality["yield"].tolist(), rel=0.005)


@pytest.mark.nightly
def test_a_whole_batch_has_the_same_bytes_twice_and_alone() -> None:
    settings = {"seed": np.array([7.0, 7.0]), "batch": np.array([3.0, 4.0])}
    one, two = (INDPENSIM.run(2, settings=settings) for _ in range(2))
    alone = INDPENSIM.run(1, settings={name: each[1:] for name, each in settings.items()})
    for name, values in one.values.items():
        assert values.tobytes() == two.values[name].tobytes()
        assert values[:, 1].tobytes() == alone.values[name][:, 0].tobytes()


@pytest.mark.usefixtures("short")
def test_a_batch_that_leaves_its_range_stops_with_a_reason_and_the_others_go_on() -> None:
    found = INDPENSIM.run(2, constants={"henry_oxygen": np.array([0.001, 0.0251])})
    assert sorted(found.stopped) == [0]
    assert "oxygen at" in found.stopped[0].why
    assert np.isnan(found.values["penicillin"][-1, 0])
    alone = INDPENSIM.run(1, constants={"henry_oxygen": np.array([0.0251])})
    assert found.values["penicillin"][:, 1].tobytes() == alone.values["penicillin"][:, 0].tobytes()


def test_scatter_is_drawn_as_published() -> None:
    found = published_scatter(1)
    assert found["max_growth"] == 0.41 + 0.025 * np.random.RandomState(32).randn()
    assert found["biomass_start"] == 0.5 + 0.05 * np.random.RandomState(32).randn()
    assert found["transfer"] == 85.0 + 10.0 * np.random.RandomState(46).randn()


def test_a_step_of_the_recipe_holds_until_its_hour() -> None:
    assert [recipe_at(each)["sugar"] for each in (1, 15, 16, 400, 401, 1150)] == [8.0, 8.0, 15.0, 116.0, 90.0, 80.0]
    assert [recipe_at(each)["discharge"] for each in (500, 501, 510, 511)] == [0.0, 4000.0, 4000.0, 0.0]


def test_the_eight_faults_have_their_published_windows() -> None:
    assert sorted(BUILT_IN) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [(round(each.start_h, 6), round(each.duration_h, 6), each.size) for each in BUILT_IN[1]] == [(19.8, 4.2, 20.0), (99.8, 10.2, 20.0)]
    assert len(BUILT_IN[6]) == sum(len(BUILT_IN[each]) for each in range(1, 6))
    for faults in BUILT_IN.values():
        for each in faults:
            assert INDPENSIM.faults[each.name].low <= each.size <= INDPENSIM.faults[each.name].high
            assert 0.0 <= each.start_h < INDPENSIM.duration_h  # samples 1200 to 1350 of the coolant are for longer batches


# Each with the time it is given, and what is seen at the end of it beside the usual batch.
@pytest.mark.usefixtures("short")
def test_each_mechanism_has_its_signature() -> None:
    struck = {
        "air_is_stuck": (10.0, "oxygen", -1),
        "back_pressure_is_stuck": (2.0, "oxygen", 1),
        "sugar_is_stuck": (0.5, "substrate", -1),
        "base_is_stuck": (5.0, "ph", -1),
        "coolant_is_stuck": (2.0, "temperature", 1),
        "temperature_sensor_reads_low": (0.8, "temperature", 1),
        "ph_sensor_reads_low": (0.2, "ph", 1),
    }
    assert set(struck) == set(INDPENSIM.faults)
    n = len(struck) + 1
    faults = [Fault(name, size=size, start_h=3.0, batches=np.arange(n) == at) for at, (name, (size, _, _)) in enumerate(struck.items())]
    outcome = INDPENSIM.run(n, faults=faults)
    for at, (_, variable, sign) in enumerate(struck.values()):
        seen = outcome.values[variable]
        assert seen[3, at] == seen[3, -1]
        assert sign * float(np.mean(seen[6:, at] - seen[6:, -1])) > 0.0


def test_what_the_model_has_not_is_refused() -> None:
    assert process_of("indpensim") is INDPENSIM
    with pytest.raises(NotValid):
        INDPENSIM.run(1, every_h=0.3)
    with pytest.raises(NotValid):
        INDPENSIM.run(1, faults=[Fault("air_is_stuck", size=-3.0)])
    with pytest.raises(NotFound):
        INDPENSIM.run(1, settings={"colour": np.ones(1)})
