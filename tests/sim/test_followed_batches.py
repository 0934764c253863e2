"""A twin follows batches whose constants drift from one to the next, and says where it cannot follow."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

from isogenic.plant.documents import load_plant
from isogenic.sim.fitting.following import Followed, Follower, Recorded
from isogenic.sim.instruments import instruments_of, measured
from isogenic.sim.processes.antibody import ANTIBODY
from isogenic.sim.processes.process import Fault
from isogenic.sim.world import document

PLANT = load_plant(document("leeds.plant.yaml"), name="leeds.plant.yaml")
UNIT = next(each for each in PLANT.units.values() if str(each.id) == "BR-50")
HOUR_MS = 3_600_000.0


def followed(until_h: int, *, growth: float = 1.0, fault: Fault | None = None, seed: int = 1) -> Followed:
    """A batch of BR-50, as its instruments read it each hour, beside its twin."""
    litres = UNIT.working_volume.to("L").value
    settings = {"working_volume": np.array([litres]), "start_volume": np.array([0.8 * litres]), "duration": np.array([float(until_h)])}
    constants = {"growth": np.array([ANTIBODY.constants["growth"].value * growth])}
    outcome = ANTIBODY.run(1, constants=constants, settings=settings, faults=[fault] if fault else [], every_h=1.0)
    truth = {name: outcome.values[name] for name in UNIT.signals if name in outcome.values}
    shown = measured(truth, instruments=instruments_of("antibody"), seed=seed, site="LEEDS", batches=["BAT-1"], age_h=outcome.age_h)
    recorded = Recorded("BAT-1", "BR-50", outcome.age_h * HOUR_MS, {name: values[:, 0] for name, values in shown.items()})
    follower = Follower(Path(tempfile.gettempdir()), PLANT, ANTIBODY, constants=("growth",))
    return follower._follow(recorded)


@pytest.mark.parametrize("growth", [1.0, 0.95, 0.9])
def test_the_twin_follows_a_site_whose_growth_falls_from_batch_to_batch(growth: float) -> None:
    now = followed(120, growth=growth)
    assert now.why == ""
    assert now.fit is not None
    found = now.fit["growth"]
    assert found.factor == pytest.approx(growth, abs=0.01)
    assert found.low / found.nominal < growth < found.high / found.nominal
    bent = [each for each in now.cautions if each.startswith("To follow, growth had to go 10% below the nominal; sites, lots and batches")]
    assert list(now.cautions) == bent
    assert len(bent) == (growth == 0.9)  # a tenth less is more than sites, lots and batches explain


def test_what_the_constants_do_not_describe_is_said_with_the_variable() -> None:
    now = followed(144, fault=Fault("temperature_excursion", 2.0, start_h=72.0))
    assert now.cautions[0].startswith("The twin follows badly: ")
    assert now.cautions[0].endswith("Something happens that its constants do not describe.")


def test_a_twin_that_cannot_follow_says_that_its_constants_mean_nothing() -> None:
    now = followed(120, fault=Fault("sparger_fouls", 0.5, start_h=72.0))
    assert now.fit is not None
    assert len(now.cautions) == 1
    assert now.cautions[0].startswith("The twin cannot follow this batch: oxygen flow is ")
    assert now.cautions[0].endswith("Its constants mean nothing.")
