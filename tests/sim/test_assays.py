"""Laboratories: their own bias, run and repeat, errors, limits; the same numbers alone or among others."""

from __future__ import annotations

import numpy as np
import pytest

from isogenic.sim.assays import ASSAYS, assay_of, laboratory_bias, reported
from isogenic.sim.instruments import INSTRUMENTS
from isogenic.sim.processes import PROCESSES, process_of
from isogenic.sim.processes.process import Mark

NAMES = [f"B{at}" for at in range(20_000)]


def results(attribute: str, value: float, *, site: str = "PORTO", process: str = "antibody", n: int = 20_000, **more: float | bool) -> np.ndarray:
    return reported(process, attribute, np.full(n, value), seed=1, sites=[site] * n, batches=NAMES[:n], **more)


@pytest.mark.parametrize(
    ("process", "attribute", "value"), [("antibody", "acidic", 19.0), ("antibody", "titre", 4.9), ("mrna", "size", 82.0), ("car_t", "vcn", 1.9)]
)
def test_results_spread_as_the_assay_does_around_the_laboratorys_own_bias(process: str, attribute: str, value: float) -> None:
    how, bias = assay_of(process, attribute), laboratory_bias(process, attribute, site="PORTO")
    size = value if how.relative else 1.0
    off = results(attribute, value, process=process) - value
    assert np.median(off) == pytest.approx(bias * size, abs=0.03 * how.assay * size)
    assert 1.4826 * np.median(np.abs(off - np.median(off))) == pytest.approx(how.assay * size, rel=0.03)


def test_three_results_in_a_thousand_are_an_error_of_the_laboratory_and_falsely_out_of_specification() -> None:
    for process, attributes in ASSAYS.items():
        for name, each in attributes.items():
            if (each.low > each.least or each.high < each.most) and name != "bioburden":
                found, sound = (results(name, each.typical, process=process, errors=errors) for errors in (True, False))
                wrong = found != sound
                assert wrong.mean() == pytest.approx(0.003, abs=0.0012), name
                assert ((found[wrong] < each.low) | (found[wrong] > each.high)).all(), name


def test_an_error_of_what_has_no_limit_is_six_standard_deviations_off() -> None:
    found, sound = (results("harvest_mass", 10.0, errors=errors) for errors in (True, False))
    off = np.abs(found - sound)[found != sound]
    assert off == pytest.approx(np.full(len(off), 6.0 * 0.015 * 10.0)) and len(off) / len(found) == pytest.approx(0.003, abs=0.0012)


@pytest.mark.parametrize("name", PROCESSES)
def test_every_quality_has_its_assay_and_every_instrument_its_variable_in_the_same_unit(name: str) -> None:
    process = process_of(name)
    assert {each: assay_of(name, each).unit for each in process.qualities} == {each.name: each.unit for each in process.qualities.values()}
    assert set(INSTRUMENTS[name]) <= set(process.variables)


def test_no_laboratory_reports_more_than_the_whole_or_less_than_nothing_however_it_is_off() -> None:
    for process, attributes in ASSAYS.items():
        for name, each in attributes.items():
            off = 10.0 * (each.assay + each.site) * (each.typical if each.relative else 1.0) + 1.0
            for truth in (each.least if np.isfinite(each.least) else 0.0, each.typical, min(each.most, 2.0 * each.typical)):
                for shift in (-off, off):
                    found = results(name, truth, process=process, n=200, shift=shift)
                    assert ((found >= each.least) & (found <= each.most)).all(), (process, name)


def test_a_repeat_shares_the_run_and_a_shift_moves_every_result() -> None:
    first, again = (results("acidic", 19.0, n=5_000, replicate=each, errors=False) for each in (0, 1))
    assert np.corrcoef(first, again)[0, 1] == pytest.approx(0.6, abs=0.05)
    assert results("acidic", 19.0, n=5_000, shift=0.5, errors=False) == pytest.approx(first + 0.5)


def test_laboratories_differ_by_the_sites_spread() -> None:
    biases = [laboratory_bias("antibody", "acidic", site=f"SITE-{at}") for at in range(800)]
    assert np.std(biases) == pytest.approx(0.7, rel=0.08) and laboratory_bias("antibody", "titre", site="PORTO") == 0.0


def test_a_result_is_the_same_alone_or_among_others_and_nothing_is_reported_of_a_lost_batch() -> None:
    truth = np.array([19.0, np.nan, 18.0])
    three = reported("antibody", "acidic", truth, seed=1, sites=["PORTO", "LEEDS", "LEEDS"], batches=["a", "b", "c"])
    alone = reported("antibody", "acidic", truth[2:], seed=1, sites=["LEEDS"], batches=["c"])
    assert three[2] == alone[0] and np.isnan(three[1]) and np.isfinite(three[0])


def test_no_share_is_reported_above_the_whole_or_below_nothing() -> None:
    assert results("purity", 99.99, n=2_000).max() <= 100.0
    assert results("pdi", 0.001, process="mrna", n=2_000).min() >= 0.0


def test_what_is_typical_lies_within_its_specification() -> None:
    for attributes in ASSAYS.values():
        for name, each in attributes.items():
            assert each.low <= each.typical <= each.high, name
            assert each.mark in (Mark.PUBLISHED, Mark.ILLUSTRATIVE) and each.unit and each.method
    assert (assay_of("antibody", "monomer").low, assay_of("car_t", "vcn").high) == (98.3, 5.0)
