"""Past good batches."""

from __future__ import annotations

import numpy as np
import pytest
from led_batch import PORTO

from isogenic.errors import NotValid
from isogenic.plant.model import SitePlant
from isogenic.sim.history import good_batches


def test_past_batches_are_good_and_differ_from_each_other(porto: SitePlant) -> None:
    batches = good_batches(12, seed=4, unit=porto.units[PORTO], every_h=2.0, site="PORTO")
    assert len(batches) == 12
    age, series = batches[0]
    assert (age[0], age[-1], len(age)) == (0.0, 336.0, 169)
    assert all(len(values) == len(age) and np.all(np.isfinite(values)) for values in series.values())
    monitored = {name for name, signal in porto.units[PORTO].signals.items() if signal.cls.monitored}
    assert monitored <= set(series)
    peaks = [float(each["viable_cells"].max()) for _, each in batches]
    assert 17.0 < min(peaks) < max(peaks) < 26.0
    assert len(set(peaks)) == 12
    for _, each in batches:
        for name, values in each.items():
            known = porto.units[PORTO].signals[name].cls
            assert known.low < values.min() and values.max() < known.high


def test_the_same_seed_gives_the_same_batches_alone_or_among_others(porto: SitePlant) -> None:
    unit = porto.units[PORTO]
    few = good_batches(2, seed=4, unit=unit, every_h=6.0)
    more = good_batches(5, seed=4, unit=unit, every_h=6.0)
    for (_, one), (_, other) in zip(few, more, strict=False):
        for name in one:
            assert one[name] == pytest.approx(other[name], rel=1e-12)
    assert not np.array_equal(few[0][1]["glucose"], good_batches(1, seed=5, unit=unit, every_h=6.0)[0][1]["glucose"])


@pytest.mark.parametrize(("count", "every_h"), [(0, 1.0), (-1, 1.0), (1, 0.0), (1, -1.0), (1, 48.0), (100_000, 1.0), (1, 1e-6), (1, float("nan"))])
def test_senseless_histories_are_refused(porto: SitePlant, count: int, every_h: float) -> None:
    with pytest.raises(NotValid):
        good_batches(count, seed=1, unit=porto.units[PORTO], every_h=every_h)
