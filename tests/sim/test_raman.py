"""Spectra that do not exist: bands where they should be, shot noise, rays, instruments that differ, the same bits twice."""

from __future__ import annotations

import numpy as np
import pytest

from isogenic.errors import NotFound, NotValid
from isogenic.sim.instruments.raman import CHANNELS, Spectrometer, spectra, spectrometer_of

DRAWN = Spectrometer()


def made(rows: int, *, instrument: Spectrometer = DRAWN, batch: str = "B", seed: int = 1, exposure: float = 1.0, **held: float) -> np.ndarray:
    return spectra(
        {name: np.full(rows, value) for name, value in held.items()},
        instrument=instrument,
        seed=seed,
        batches=[batch] * rows,
        index=np.arange(rows),
        age_h=np.full(rows, 100.0),
        exposure=exposure,
    )


@pytest.mark.parametrize(("name", "peak"), [("glucose", 1125), ("lactate", 855), ("product", 1655)])
def test_a_band_stands_where_it_should(name: str, peak: int) -> None:
    more, less = (made(1, exposure=1e9, **{name: value})[0] for value in (10.0, 9.0))
    crowded = (more - less) - 0.02 * made(1, exposure=1e9)[0]
    assert CHANNELS[np.argmax(crowded)] == pytest.approx(peak, abs=2)


def test_shot_noise_is_the_root_of_the_counts() -> None:
    rows = made(400)
    differences = np.diff(rows, 2, axis=1)
    quiet = np.median(np.abs(differences), axis=0) * 1.4826 / 6**0.5  # robust: a few spectra have rays
    assert np.median(quiet / np.sqrt(np.median(rows, axis=0)[1:-1])) == pytest.approx(1.0, rel=0.05)


def test_few_spectra_have_a_ray() -> None:
    rows = made(1000)
    assert ((rows - np.median(rows, axis=0)).max(axis=1) > 6_000.0).mean() == pytest.approx(0.03 * 0.7, abs=0.015)


def test_instruments_of_two_sites_differ_and_one_of_them_stays() -> None:
    assert spectrometer_of("PORTO") == spectrometer_of("PORTO") != spectrometer_of("LEEDS")
    here, there = (made(1, instrument=each, exposure=1e9, glucose=20.0)[0] for each in (DRAWN, Spectrometer(shift=5.0)))
    window = (CHANNELS > 1080) & (CHANNELS < 1170)
    line = np.linspace(here[window][0], here[window][-1], window.sum())
    moved = np.linspace(there[window][0], there[window][-1], window.sum())
    assert CHANNELS[window][np.argmax(there[window] - moved)] - CHANNELS[window][np.argmax(here[window] - line)] == pytest.approx(5, abs=1)


def test_the_same_seed_gives_the_same_bits_in_any_order() -> None:
    dice = np.random.default_rng(0)
    names, index, held = [f"B{at % 3}" for at in range(12)], np.arange(12) // 3, {"glucose": dice.random(12), "cells": dice.random(12)}
    lots = [f"LOT-{at % 2}" for at in range(12)]
    common = {"instrument": DRAWN, "seed": 4}
    one = spectra(held, batches=names, index=index, age_h=24.0 * index, lots=lots, **common)
    turned = np.arange(12)[::-1]
    two = spectra(
        {name: each[turned] for name, each in held.items()},
        batches=[names[at] for at in turned],
        index=index[turned],
        age_h=24.0 * index[turned],
        lots=[lots[at] for at in turned],
        **common,
    )
    assert np.array_equal(one, two[turned]) and len({row.tobytes() for row in one}) == 12


def test_spectra_of_nothing_known_are_refused() -> None:
    with pytest.raises(NotFound):
        made(2, beer=1.0)
    with pytest.raises(NotValid):
        made(2, exposure=0.0)
    with pytest.raises(NotValid):
        spectra({"glucose": np.ones(3)}, instrument=DRAWN, seed=1, batches=["a"], index=np.zeros(1), age_h=np.zeros(1))
