"""Samples of a culture: once a day, with the analyser's error, beside the spectrum of that moment, in the unit of the process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from isogenic.sim.samples import ANALYSERS, analysed, sampled_at
from isogenic.sim.scenarios import read_scenario
from isogenic.sim.studies import run_study

SCENARIO = """isogenic: scenario/1
title: Two batches with spectra
process: antibody
seed: 5
every: 12 h
batches: 2
spectra: true
sites: {PORTO: {}, GHENT: {}}
"""


def test_one_sample_is_taken_each_day() -> None:
    assert np.flatnonzero(sampled_at(np.arange(0.0, 73.0, 6.0))).tolist() == [0, 4, 8, 12]
    assert np.flatnonzero(sampled_at(np.arange(0.0, 100.0, 36.0))).tolist() == [0, 1, 2]  # 0, 36 and 72 h
    assert sampled_at(np.arange(0.0, 100.0, 48.0)).all()


def test_an_analyser_errs_as_it_says_and_each_site_has_its_own() -> None:
    truth = np.full((400, 10), 20.0)
    batches = [f"B{at}" for at in range(10)]
    found = analysed("glucose", truth, seed=1, sites=["PORTO"] * 10, batches=batches)
    there = analysed("glucose", truth, seed=1, sites=["GHENT"] * 10, batches=batches)
    assert found.std() == pytest.approx(np.hypot(ANALYSERS["glucose"].floor, 0.03 * 20.0), rel=0.05)
    assert 0.02 < abs(found.mean() - there.mean()) < 1.0
    assert np.array_equal(found[:, 3:4], analysed("glucose", truth[:, 3:4], seed=1, sites=["PORTO"], batches=["B3"]))
    assert np.isnan(analysed("glucose", np.array([[np.nan]]), seed=1, sites=["PORTO"], batches=["B"])).all()


def test_a_study_writes_samples_beside_spectra_and_the_standards_of_every_site(tmp_path: Path) -> None:
    run_study(read_scenario(SCENARIO), tmp_path / "s.parquet")
    table, truth = pq.read_table(tmp_path / "s.spectra.parquet"), pq.read_table(tmp_path / "s.parquet")
    for name, unit in (("glucose", b"mM"), ("lactate", b"mM"), ("titre", b"g/L")):
        assert table.schema.field(name).metadata[b"unit"] == unit == truth.schema.field(name).metadata[b"unit"]
        shown, true = (each[name].to_numpy(zero_copy_only=False) for each in (table, truth))
        assert np.isfinite(shown).tolist() == [True, False] * 14 + [True] + [True, False] * 14 + [True]
        off = (shown - true)[np.isfinite(shown)] / np.hypot(ANALYSERS[name].floor, 0.03 * true[np.isfinite(shown)])
        assert 0.5 < off.std() < 1.6
    assert table.schema.field("spectrum").metadata[b"wave_numbers"] == b"400:2199:1"
    standards = pq.read_table(tmp_path / "s.standards.parquet")
    assert standards["site"].to_pylist() == ["PORTO"] * 12 + ["GHENT"] * 12
    rows = np.array(standards["spectrum"].to_pylist())
    assert np.corrcoef(rows[0], rows[12])[0, 1] > 0.9 and not np.array_equal(rows[0], rows[12])


def test_without_a_laboratory_a_sample_is_the_truth(tmp_path: Path) -> None:
    run_study(read_scenario(SCENARIO + "laboratory: false\n"), tmp_path / "s.parquet")
    table, truth = pq.read_table(tmp_path / "s.spectra.parquet"), pq.read_table(tmp_path / "s.parquet")
    shown, true = (each["glucose"].to_numpy(zero_copy_only=False) for each in (table, truth))
    assert np.array_equal(shown[::2][:14], true[::2][:14])
