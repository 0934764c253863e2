"""Settings are read by probes that have a bias: the twin leans on them as far as the probes are good, and its intervals say so."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from curves import Curve, constant, noise

from isogenic.plant.documents import load_plant
from isogenic.sim.fitting import Method, fit
from isogenic.sim.fitting.following import Followed, Follower, Recorded
from isogenic.sim.fitting.problem import Batch
from isogenic.sim.fitting.run_with import run_with
from isogenic.sim.instruments import instruments_of, measured
from isogenic.sim.processes.antibody import ANTIBODY
from isogenic.sim.processes.process import Setting
from isogenic.sim.world import document

PLANT = load_plant(document("leeds.plant.yaml"), name="leeds.plant.yaml")
UNIT = next(each for each in PLANT.units.values() if str(each.id) == "BR-50")
LITRES = UNIT.working_volume.to("L").value
FOLLOWED = ("growth", "seed_density", "lactate_of_glucose", "lactate_uptake", "oxygen_uptake", "transfer", "brake", "death")
HEAT = Setting("heat", 1.0, "1", 0.0, 10.0, "what the rate answers to, beside its constant")


def warmed(constants: dict[str, float], heat: float, age: np.ndarray) -> np.ndarray:
    return np.asarray(constants["level"] + constants["rate"] * heat * age)


def coverage(count: int, *, unsure: float) -> float:
    """How often 95 % intervals of a rate hold the truth, of batches whose heat was read by a probe with a bias of 5 %."""
    curve = Curve(
        {"level": constant("level", 1.0), "rate": constant("rate", 0.3)},
        lambda age, of: warmed(of, of["heat"], age),
        settings={"heat": HEAT},
    )
    age, dice, hit = np.arange(0.0, 11.0, 2.0), np.random.default_rng(3), 0
    for _ in range(count):
        batches = []
        for number in range(3):
            heat = 1.0 + 0.05 * dice.normal()
            read = warmed({"level": 1.0, "rate": 0.33}, heat, age) + 0.02 * dice.normal(size=len(age))
            batches.append(Batch(f"B{number}", "LEEDS", age, {"y": read}, {"heat": 1.0}, unsure={"heat": unsure}))
        found = fit(curve, batches, constants=("rate",), instruments=noise(0.02), method=Method(profiles=False, errors_are="known"))
        hit += found["rate"].low < 0.33 < found["rate"].high
    return hit / count


def test_intervals_hold_the_truth_where_a_setting_is_known_as_far_as_its_probe_is_good() -> None:
    assert abs(coverage(60, unsure=0.05) - 0.95) < 3.0 * math.sqrt(0.95 * 0.05 / 60)
    assert coverage(20, unsure=0.0) < 0.6  # taken for exact, they do not


def test_the_error_of_a_setting_is_that_of_its_probe_on_average() -> None:
    age = np.arange(0.0, 337.0)
    still = {"temperature": 37.0, "ph": 7.0, "dissolved_oxygen": 40.0, "vessel_weight": 32.64, "feed_flow": 40.0}
    read = {name: np.full(len(age), value) for name, value in still.items()}
    settings, unsure = run_with(age, read, UNIT, ANTIBODY)
    assert settings == pytest.approx(
        {"working_volume": 40.0, "start_volume": 32.0, "temperature": 37.0, "ph": 7.0, "dissolved_oxygen": 40.0, "shift_at": 1000.0}
        | {"feed_start": 0.0, "feed_share": 0.03}
    )
    # a bias of 0.05 K, and half of what it drifts by in two weeks; wander and noise hardly count on average
    assert unsure["temperature"] == pytest.approx(math.hypot(0.05, 0.01 / 2), rel=0.02)
    assert unsure["ph"] == pytest.approx(math.hypot(0.007, 0.049 / 2), rel=0.03)
    assert unsure["dissolved_oxygen"] == pytest.approx(math.hypot(0.5, 0.75 / 2), rel=0.03)
    assert set(unsure) == {"temperature", "ph", "dissolved_oxygen", "start_volume", "feed_share"}


def test_a_probe_that_nobody_knows_is_taken_for_exact() -> None:
    age = np.arange(0.0, 100.0)
    assert run_with(age, {"temperature": np.full(100, np.nan)}, UNIT, ANTIBODY)[1] == {}


def followed(seed: int, until_h: int, *, constants: tuple[str, ...], temperature_off: float | None = None) -> tuple[Followed, dict[str, float]]:
    """A batch whose constants are drawn as the process says, read by the instruments that it has, beside its twin; the truth."""
    dice = np.random.default_rng(seed)
    spreads = {name: math.hypot(each.spread.site, each.spread.lot, each.spread.batch) for name, each in ANTIBODY.constants.items()}
    true = {name: ANTIBODY.constants[name].value * math.exp(cv * dice.normal()) for name, cv in spreads.items() if cv}
    settings = {"working_volume": np.array([LITRES]), "start_volume": np.array([0.8 * LITRES]), "duration": np.array([float(until_h)])}
    outcome = ANTIBODY.run(1, constants={name: np.array([value]) for name, value in true.items()}, settings=settings, every_h=1.0)
    truth = {name: outcome.values[name] for name in UNIT.signals if name in outcome.values}
    shown = measured(truth, instruments=instruments_of("antibody"), seed=seed, site="LEEDS", batches=["BAT-1"], age_h=outcome.age_h)
    if temperature_off is not None:
        shown["temperature"] = truth["temperature"] + temperature_off
    recorded = Recorded("BAT-1", "BR-50", outcome.age_h * 3.6e6, {name: values[:, 0] for name, values in shown.items()})
    return Follower(Path(tempfile.gettempdir()), PLANT, ANTIBODY, constants=constants)._follow(recorded), true


def test_a_probe_that_reads_too_much_does_not_mislead() -> None:
    """0.08 K are 0.6 % of growth; the readings alone, with the settings taken for exact, would tell it to 0.4 %."""
    now, true = followed(1, 120, constants=("growth",), temperature_off=0.08)
    assert now.fit is not None
    found = now.fit["growth"]
    assert found.low < true["growth"] < found.high
    assert 0.0035 < found.error < 0.007


@pytest.mark.nightly
@pytest.mark.parametrize("constants", [("growth",), FOLLOWED])
def test_ninety_five_of_a_hundred_followed_batches_hold_the_truth(constants: tuple[str, ...]) -> None:
    count, hit = 60, dict.fromkeys(constants, 0)
    for seed in range(count):
        now, true = followed(seed, 144, constants=constants)
        assert now.fit is not None
        for name in constants:
            hit[name] += now.fit[name].low < true[name] < now.fit[name].high
    assert all(0.88 * count <= each <= 0.99 * count + 1 for each in hit.values()), hit
