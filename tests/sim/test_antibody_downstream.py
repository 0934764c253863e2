"""Purification of simulated harvests."""

from __future__ import annotations

import numpy as np
import pytest

from isogenic.sim.operations import operate
from isogenic.sim.processes.antibody import ANTIBODY
from isogenic.sim.processes.antibody_downstream import OPERATIONS, cycles, purified


def test_a_harvest_becomes_drug_substance_with_the_yields_of_its_steps() -> None:
    quality = {name: np.repeat(values, 200) for name, values in ANTIBODY.run(1).quality.items()}
    done = operate(ANTIBODY.operations, seed=3, site="PORTO", batches=[f"B-{at}" for at in range(200)])
    made = purified(quality, done)
    nominal = 0.98 * 0.95 * 0.93 * 0.97 * 0.97
    assert np.nanmean(made["drug_substance_g"]) == pytest.approx(1000.0 * quality["harvest_mass"][0] * nominal, rel=0.01)
    assert np.nanmean(made["hmw"]) == pytest.approx(0.25 * (quality["hmw"][0] + 0.1), rel=0.01)
    assert ANTIBODY.operations is OPERATIONS


def test_capture_is_loaded_as_often_as_its_resin_asks() -> None:
    assert cycles(np.array([2.8, 10.3, 11.3])).tolist() == [1.0, 4.0, 5.0]
