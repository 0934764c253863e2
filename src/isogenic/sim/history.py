"""Past good batches of one unit: what a reference model is fitted on.

Guarantees: the same equations, scatter, instruments and feeding rules as a live batch in
the facility, many batches at once; the same seed gives the same batches.
Leaves to others: scaling, alignment and models (monitoring). Extensive quantities are in
the unit's own litres and kilograms.

How a batch is started and fed: `processes/feeding.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogenic.errors import NotValid
from isogenic.plant.model import Unit
from isogenic.sim.instruments import STIRRED_BIOREACTOR, Sensor, measured
from isogenic.sim.instruments.bioreactor import FEED_KG_PER_L, Surroundings, observe
from isogenic.sim.processes import cho, feeding
from isogenic.sim.processes.cho import Culture, Drive, Theta
from isogenic.sim.variation import batch_of
from isogenic.sim.vessel import BOTTLE_KG_PER_L

__all__ = ["GoodBatch", "good_batches"]

Floats = NDArray[np.float64]
GoodBatch = tuple[Floats, dict[str, Floats]]  # age in hours, and each measurement by its canonical name

START_SHARE = 0.7  # of the working volume: feed and boluses fill the rest
AGITATION_SHARE = 0.6  # of the drive's range
BATCHES_MAX = 2_000  # memory: 2,000 batches of 14 days at 0.5 h are 150 MB
POINTS_MAX = 20_000


def good_batches(
    count: int,
    *,
    seed: int,
    unit: Unit,
    every_h: float,
    site: str = "",
    days: float = 14.0,
    start_l: float | None = None,
) -> list[GoodBatch]:
    """`count` past batches on this unit, read every `every_h` hours from inoculation on."""
    points = round(days * 24.0 / every_h) + 1 if every_h > 0 else 0
    if not (0 < count <= BATCHES_MAX and 0 < every_h <= 24.0 and points <= POINTS_MAX):
        raise NotValid(f"cannot make {count} batches read every {every_h} h", why=f"at most {BATCHES_MAX} batches and {POINTS_MAX} points")
    working = unit.working_volume.to("L").value
    litres = start_l if start_l is not None else START_SHARE * working
    names = [f"{unit.id}-past{number}" for number in range(count)]
    dice = [batch_of(seed, site=site, batch=name) for name in names]
    theta = _stacked([each.theta for each in dice])
    raman = [  # what people went by
        Sensor(STIRRED_BIOREACTOR["glucose"], seed=seed, site=site, batch=name, name="glucose", step_h=every_h) for name in names
    ]
    density = np.array([each.seed_density for each in dice])
    culture = Culture(*[np.zeros(count) + entry for entry in feeding.inoculated(litres, density=density)])
    truth = _simulate(culture, theta=theta, unit=unit, working_l=working, start_l=litres, every_h=every_h, points=points, raman=raman)
    age: Floats = np.arange(points, dtype=np.float64) * every_h
    read = measured(truth, instruments=STIRRED_BIOREACTOR, seed=seed, site=site, batches=names, age_h=age)
    return [(age, {name: np.ascontiguousarray(read[name][:, at]) for name in read if name in unit.signals}) for at in range(count)]


def _simulate(
    culture: Culture, *, theta: Theta, unit: Unit, working_l: float, start_l: float, every_h: float, points: int, raman: Sequence[Sensor]
) -> dict[str, Floats]:
    stirrer = unit.capabilities.get("agitation")
    rpm = AGITATION_SHARE * stirrer.high if stirrer else 100.0
    bottle = BOTTLE_KG_PER_L * working_l
    truth: dict[str, list[Any]] = {name: [] for name in STIRRED_BIOREACTOR}
    for at in range(points):
        age = at * every_h
        flow = feeding.feed_l_h(age, start_l=start_l)
        drive = Drive(feed_l_h=flow)
        around = Surroundings(working_l, 37.0, 7.0, 40.0, rpm, flow, 0.0, bottle)
        for name, value in observe(culture, theta=theta, drive=drive, around=around).items():
            truth[name].append(np.zeros(len(raman)) + value)
        if at and (age / 24.0) % 1.0 < every_h / 24.0 - 1e-9 and at < points - 1:
            seen = np.array([sensor.read(glucose, index=at, age_h=age) for sensor, glucose in zip(raman, culture.glucose, strict=True)])
            culture = cho.mixed(culture, litres=feeding.bolus_litres(seen, volume_l=culture.volume), liquid=cho.GLUCOSE_STOCK)
        bottle -= flow * every_h * FEED_KG_PER_L
        culture = cho.check(cho.advance(culture, hours=every_h, theta=theta, drive=drive))
    return {name: np.array(series) for name, series in truth.items()}


def _stacked(thetas: Sequence[Theta]) -> Theta:
    """Many batches' constants as one `Theta` of arrays."""
    return Theta(**{each.name: np.array([getattr(theta, each.name) for theta in thetas]) for each in fields(Theta)})
