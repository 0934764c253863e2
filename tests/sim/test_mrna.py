"""mRNA from DNA to particles: what is expected nominally, what each fault looks like, what is refused, what repeats."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.errors import NotFound, NotValid
from isogenic.sim.operations import operate
from isogenic.sim.processes import process_of
from isogenic.sim.processes.ivt import Amounts
from isogenic.sim.processes.mrna import MRNA, _left
from isogenic.sim.processes.mrna_quality import captured, hydrolysis_factor, kept_whole, particles, washed
from isogenic.sim.processes.process import Fault, Outcome

ONE = np.ones(1)


@cache
def run(*faults: Fault, **given: float) -> Outcome:
    return MRNA.run(1, settings={name: value * ONE for name, value in given.items()}, faults=faults)


def quality(outcome: Outcome, *names: str) -> list[float]:
    return [round(float(outcome.quality[name][0]), 2) for name in names]


def test_a_nominal_batch_is_what_the_product_is_said_to_be() -> None:
    assert process_of("mrna") is MRNA
    outcome = run()
    names = (
        "rna_yield",
        "drug_substance",
        "integrity",
        "cap",
        "poly_a",
        "dsrna",
        "residual_dna",
        "size",
        "pdi",
        "encapsulation",
        "product_integrity",
    )
    assert quality(outcome, *names) == [4.21, 3.57, 82.26, 95.92, 93.31, 0.15, 0.1, 80.0, 0.09, 94.78, 76.32]
    assert outcome.stopped == {}
    assert outcome.age_h.tolist() == pytest.approx([0.1 * each for each in range(21)])
    for name, series in outcome.values.items():
        assert MRNA.variables[name].low - 1e-3 <= series.min() <= series.max() <= MRNA.variables[name].high, name
    for name, value in outcome.quality.items():
        assert MRNA.qualities[name].low <= value[0] <= MRNA.qualities[name].high, name


def ratio(fault: Fault, name: str, **given: float) -> float:
    return round(float(run(fault, **given).quality[name][0] / run(**given).quality[name][0]), 2)


def test_without_pyrophosphatase_the_yield_is_a_third_and_the_solid_rises() -> None:
    fault = Fault("no_pyrophosphatase", 1.0)
    assert ratio(fault, "rna_yield") == 0.37
    sick, well = run(fault), run()
    halfway = 10
    assert sick.values["pyrophosphate"][halfway, 0] > 100.0 * well.values["pyrophosphate"][halfway, 0]
    assert sick.values["precipitate"][-1, 0] > 4.0 * well.values["precipitate"][-1, 0]
    assert sick.values["template"][5, 0] < 0.5 * well.values["template"][5, 0]
    assert sick.values["phosphate"].max() == 0.0


def test_a_nucleotide_that_is_short_runs_out_before_the_others() -> None:
    lean = {"pyrophosphatase": 20.0, "magnesium": 12.0, "nucleotides": 3.0}
    sick, well = run(Fault("nucleotide_is_short", 0.2), **lean), run(**lean)
    gone = [int(np.argmax(each.values["utp"][:, 0] < 0.05)) for each in (sick, well)]
    assert 0 < gone[0] < (gone[1] or len(sick.age_h))
    assert sick.values["atp"][-1, 0] == pytest.approx(0.6, abs=0.05)
    assert ratio(Fault("nucleotide_is_short", 0.2), "rna_yield", **lean) == 0.8
    assert ratio(Fault("nucleotide_is_short", 0.2), "rna_yield") == 0.84


def test_magnesium_moves_rate_and_yield_both_ways() -> None:
    high, low, well = run(Fault("magnesium_is_off", 0.3)), run(Fault("magnesium_is_off", -0.3)), run()
    free = [float(each.values["free_magnesium"][0, 0]) for each in (low, well, high)]
    assert free == sorted(free)
    assert [round(float(each.values["precipitate"][-1, 0]), 2) for each in (low, well, high)] == [0.87, 0.91, 1.82]
    assert ratio(Fault("magnesium_is_off", 0.3), "rna_yield") == 0.52
    assert ratio(Fault("magnesium_is_off", -0.3), "rna_yield") == 2.19  # less solid, so the template lasts: no mixture is best at its set-point


def test_less_polymerase_is_slower_from_the_start() -> None:
    sick, well = run(Fault("polymerase_is_short", 0.5)), run()
    assert sick.values["rna"][1, 0] < 0.6 * well.values["rna"][1, 0]
    assert ratio(Fault("polymerase_is_short", 0.5), "dsrna") == 1.0
    assert ratio(Fault("polymerase_is_short", 0.5), "rna_yield") == 1.5  # slower, so less solid: the template lasts to the end


def test_less_template_costs_little_while_the_polymerase_limits_and_more_is_double_stranded() -> None:
    assert ratio(Fault("template_is_short", 0.5), "rna_yield") == 0.96
    assert ratio(Fault("template_is_short", 0.95), "rna_yield") == 0.9
    assert ratio(Fault("template_is_short", 0.5), "dsrna") == 1.56


def test_rnase_takes_the_integrity_and_not_the_mass_from_when_it_is_there() -> None:
    sick, well = run(Fault("rnase", 1.0, start_h=1.0)), run()
    assert sick.values["integrity"][:11, 0].tolist() == pytest.approx(well.values["integrity"][:11, 0].tolist(), rel=1e-6)
    assert sick.values["integrity"][-1, 0] < 0.6 * well.values["integrity"][-1, 0]
    assert ratio(Fault("rnase", 1.0, start_h=1.0), "rna_yield") == 1.0
    assert ratio(Fault("rnase", 1.0, start_h=1.0), "drug_substance") < 0.97  # what lost its tail is not captured
    brief = run(Fault("rnase", 1.0, start_h=1.03, duration_h=0.5))  # edges between two ages count
    gradual = run(Fault("rnase", 1.0, start_h=1.03, duration_h=0.5, gradual=True))
    assert sick.values["integrity"][-1, 0] < brief.values["integrity"][-1, 0] < gradual.values["integrity"][-1, 0] < well.values["integrity"][-1, 0]


@pytest.mark.parametrize(
    ("fault", "name", "expected"),
    [
        (Fault("lnp_flow_falls", 0.4), "mixing_pressure", 1.67),
        (Fault("lnp_flow_falls", 0.4), "size", 1.32),
        (Fault("lnp_flow_falls", 0.4), "pdi", 1.06),
        (Fault("lnp_buffer_ph_is_off", 0.6), "encapsulation", 0.85),
        (Fault("lnp_buffer_ph_is_off", 0.6), "size", 1.0),
        (Fault("lnp_flow_ratio_is_wrong", -0.5), "size", 1.15),
        (Fault("dilution_is_late", 20.0), "size", 1.06),
        (Fault("dilution_is_late", 5.0), "size", 1.0),
    ],
)
def test_a_fault_of_the_mixing_skid_is_seen_in_the_particles_and_nowhere_before(fault: Fault, name: str, expected: float) -> None:
    assert ratio(fault, name) == expected
    assert ratio(fault, "rna_yield") == 1.0
    assert ratio(fault, "integrity") == 1.0


def test_every_mechanism_of_the_process_does_something() -> None:
    well = run()
    for name, known in MRNA.faults.items():
        sick = run(Fault(name, 0.5 * known.high))
        assert any(abs(sick.quality[each][0] / well.quality[each][0] - 1.0) > 1e-3 for each in well.quality), name


def test_purification_loses_the_broken_first_and_washes_by_volumes() -> None:
    kept, whole = captured(1.0, 0.82)
    assert (round(kept, 3), whole / kept > 0.82) == (0.85, True)
    assert captured(1.0, 0.4)[0] < kept
    assert washed(8.0, sieving=0.98) == pytest.approx(np.exp(-7.84))


def test_rna_is_hydrolysed_forty_six_times_faster_at_25_than_at_5_degrees() -> None:
    assert round(float(hydrolysis_factor(25.0, beside=5.0))) == 46
    assert kept_whole(0.82, days=36.0, celsius=5.0) == pytest.approx(0.75, abs=0.002)
    assert kept_whole(1.0, days=10.0, celsius=25.0) == pytest.approx(np.exp(-0.025 * 45.8), rel=1e-2)


def test_particles_follow_flow_ratio_lipid_and_thawing() -> None:
    plain = {"flow_ml_min": 60.0, "flow_ratio": 3.0, "lipid_mm": 12.5, "n_to_p": 6.0, "ph": 4.0}
    base = particles(**plain)
    assert (round(base.size_nm), round(base.pdi, 2), round(base.encapsulation)) == (80, 0.09, 95)
    smaller = [particles(**plain | {name: value}).size_nm for name, value in (("flow_ml_min", 120.0), ("flow_ratio", 5.0), ("lipid_mm", 6.0))]
    assert all(each < 80.0 for each in smaller)
    assert particles(**plain, thawed_bare=1.0).size_nm == 120.0


def test_the_operations_that_follow_keep_about_two_thirds() -> None:
    ran = operate(MRNA.operations, seed=3, site="LEEDS", batches=[f"BAT-{each}" for each in range(200)])
    assert float(np.median(ran.kept)) == pytest.approx(0.85 * 0.97 * 0.98 * 0.96 * 0.95 * 0.96, rel=0.02)


def test_batches_keep_their_bytes_in_any_company_and_twice() -> None:
    dice = np.random.default_rng(4)
    n = 40
    c = {"polymerase_activity": np.exp(0.1 * dice.standard_normal(n)), "growth": 3.89 * np.exp(0.1 * dice.standard_normal(n))}
    s = {"magnesium": dice.uniform(20.0, 60.0, n), "pyrophosphatase": dice.uniform(0.0, 3.0, n)}
    struck = np.arange(n) % 3 == 0
    fault = [Fault("rnase", 0.8, start_h=0.55, batches=struck)]
    whole, again = MRNA.run(n, constants=c, settings=s, faults=fault), MRNA.run(n, constants=c, settings=s, faults=fault)
    part = slice(7, 20)
    some = MRNA.run(13, constants={k: v[part] for k, v in c.items()}, settings={k: v[part] for k, v in s.items()},
                    faults=[Fault("rnase", 0.8, start_h=0.55, batches=struck[part])])  # fmt: skip
    for kind in ("values", "quality"):
        for name, series in getattr(whole, kind).items():
            assert series.tobytes() == getattr(again, kind)[name].tobytes()
            assert series[..., part].tobytes() == getattr(some, kind)[name].tobytes(), name


def test_a_batch_that_leaves_its_physical_range_stops_with_a_reason_and_the_others_go_on() -> None:
    # A constant beyond anything real: the second batch cannot be carried on.
    outcome = MRNA.run(3, constants={"hydrolysis": np.array([2e-6, 1e306, 2e-6])})
    assert list(outcome.stopped) == [1]
    assert "is a number that is not negative" in outcome.stopped[1].why
    assert np.isnan(outcome.quality["rna_yield"]).tolist() == [False, True, False]
    stop = int(np.searchsorted(outcome.age_h, outcome.stopped[1].age_h))
    assert np.isnan(outcome.values["rna"][stop:, 1]).all()
    assert np.isfinite(outcome.values["rna"][:, [0, 2]]).all()
    good, bad = np.ones(2), np.array([1.0, -1.0])
    amounts = Amounts(good, good, (good, good, bad, good), good, good, good, good, good, good, good, good, good)
    assert _left(amounts) == {1: "CTP at -1 M: a concentration is a number that is not negative"}


def test_what_no_model_has_is_refused() -> None:
    with pytest.raises(NotFound, match="no setting volume"):
        run(volume=1.0)
    with pytest.raises(NotValid, match="nucleotides"):
        run(nucleotides=25.0)  # the authors warn of more than 20 mM
    with pytest.raises(NotValid, match="every constant"):
        MRNA.run(1, constants={"elongation": -ONE})
    with pytest.raises(NotValid, match="rnase"):
        run(Fault("rnase", 1e6))
    with pytest.raises(NotValid, match="cannot run"):
        MRNA.run(0)
    with pytest.raises(NotValid, match="cannot run"):
        MRNA.run(1, every_h=0.0)


@settings(max_examples=40, deadline=None)
@given(
    chosen=st.fixed_dictionaries({name: st.floats(each.low, each.high) for name, each in MRNA.settings.items()}),
    faults=st.lists(st.sampled_from(sorted(MRNA.faults)).flatmap(
        lambda name: st.builds(Fault, st.just(name), st.floats(MRNA.faults[name].low, MRNA.faults[name].high), st.floats(0.0, 1.9))), max_size=3),
)  # fmt: skip
def test_whatever_is_set_within_its_range_gives_numbers_or_a_reason(chosen: dict[str, float], faults: list[Fault]) -> None:
    outcome = MRNA.run(1, settings={name: value * ONE for name, value in chosen.items()}, faults=faults, every_h=0.5)
    if 0 in outcome.stopped:
        assert outcome.stopped[0].why
        return
    assert all(np.isfinite(series).all() for series in (*outcome.values.values(), *outcome.quality.values()))
    total = 0.25 * chosen["length"] * outcome.values["rna"][:, 0] / (330.0 * chosen["length"]) * 1e3 + outcome.values["atp"][:, 0]
    assert total.tolist() == pytest.approx([total[0]] * len(total), rel=1e-9)
