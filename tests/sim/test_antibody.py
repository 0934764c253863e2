"""Many antibody batches at once."""

from __future__ import annotations

import numpy as np
import pytest

from isogenic.errors import NotFound, NotValid
from isogenic.sim.processes import process_of
from isogenic.sim.processes.antibody import ANTIBODY
from isogenic.sim.processes.process import Fault, Outcome


def test_the_process_is_found_by_its_name() -> None:
    assert process_of("antibody") is ANTIBODY


def test_one_batch_alone_is_the_same_as_among_many() -> None:
    growth = ANTIBODY.constants["growth"].value * np.array([0.95, 1.0, 1.05])
    fault = Fault("sparger_fouls", 0.5, start_h=100.0, duration_h=120.0, batches=np.array([False, True, False]), gradual=True)
    many = ANTIBODY.run(3, constants={"growth": growth}, faults=[fault])
    alone = ANTIBODY.run(1, constants={"growth": growth[1:2]}, faults=[Fault("sparger_fouls", 0.5, start_h=100.0, duration_h=120.0, gradual=True)])
    for name, values in alone.values.items():
        assert many.values[name][:, 1] == pytest.approx(values[:, 0], rel=1e-9, abs=1e-9), name
    for name, values in alone.quality.items():
        assert many.quality[name][1] == pytest.approx(values[0], rel=1e-9), name


def bytes_of(outcome: Outcome) -> list[bytes]:
    return [array.tobytes() for array in (*outcome.values.values(), *outcome.quality.values())]


def test_the_same_arguments_give_the_same_bytes() -> None:
    growth = ANTIBODY.constants["growth"].value * np.linspace(0.9, 1.1, 7)
    assert bytes_of(ANTIBODY.run(7, constants={"growth": growth})) == bytes_of(ANTIBODY.run(7, constants={"growth": growth}))


def test_a_batch_whose_state_leaves_its_range_stops_and_the_others_go_on() -> None:
    cells = ANTIBODY.constants["cells_of_glucose"].value * np.array([1.0, 1e-4, 1.0])
    outcome = ANTIBODY.run(3, constants={"cells_of_glucose": cells}, every_h=24.0)
    assert list(outcome.stopped) == [1]
    assert "glucose" in outcome.stopped[1].why
    assert np.isnan(outcome.quality["titre"]).tolist() == [False, True, False]
    gone = np.isnan(outcome.values["glucose"][:, 1])
    assert gone.tolist() == [age >= outcome.stopped[1].age_h for age in outcome.age_h]
    assert np.isfinite(outcome.values["glucose"][:, [0, 2]]).all()
    alone = ANTIBODY.run(1, constants={"cells_of_glucose": cells[1:2]}, every_h=24.0)
    assert alone.stopped[0].age_h == outcome.stopped[1].age_h


def test_what_the_model_does_not_have_is_refused() -> None:
    with pytest.raises(NotFound, match="no constant groth"):
        ANTIBODY.run(1, constants={"groth": np.array([1.0])})
    with pytest.raises(NotValid, match="temperature"):
        ANTIBODY.run(1, settings={"temperature": np.array([50.0])})
    with pytest.raises(NotFound, match="pump_explodes"):
        ANTIBODY.run(1, faults=[Fault("pump_explodes", 1.0)])
    with pytest.raises(NotValid, match="out of its range; possible now: 0 to 1"):
        ANTIBODY.run(1, faults=[Fault("sparger_fouls", 1.5)])
    with pytest.raises(NotValid, match="within its batch"):
        ANTIBODY.run(1, faults=[Fault("sparger_fouls", 0.5, start_h=400.0)])
    with pytest.raises(NotValid, match="for each of 2"):
        ANTIBODY.run(2, faults=[Fault("sparger_fouls", 0.5, batches=np.array([True]))])
    for count in (0, -1, 10**7):
        with pytest.raises(NotValid):
            ANTIBODY.run(count)
    for every in (0.0, -1.0, float("nan"), 1e-9, 1e4):
        with pytest.raises(NotValid):
            ANTIBODY.run(1, every_h=every)
    with pytest.raises(NotValid, match="start_volume above working_volume"):
        ANTIBODY.run(1, settings={"start_volume": np.array([3000.0])})
