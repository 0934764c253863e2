"""The grades of EU GMP Annex 1, and sampling plans by their exact characteristic."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.errors import NotValid
from isogenic.quality.environment import (
    NON_VIABLE,
    VIABLE,
    Grade,
    Level,
    Occupancy,
    Particle,
    Plate,
    judge_particles,
    judge_plate,
)
from isogenic.quality.sampling import accepts, plan, probability_accepted

HALF, FIVE, WORK = Particle.HALF_MICROMETRE, Particle.FIVE_MICROMETRES, Occupancy.IN_OPERATION


def test_the_tables_are_whole_and_stricter_towards_grade_a():
    assert len(NON_VIABLE) == 16 and len(VIABLE) == 16
    for occupancy in Occupancy:
        for particle in Particle:
            limits = [NON_VIABLE[grade, occupancy, particle] or float("inf") for grade in Grade]
            assert limits == sorted(limits)
    for plate in Plate:
        limits = [float("inf") if VIABLE[grade, plate] is None else VIABLE[grade, plate] for grade in Grade]
        assert limits == sorted(limits)


@pytest.mark.parametrize(
    ("count", "level"), [(3_520, Level.WITHIN), (3_521, Level.ACTION), (2_001, Level.ALERT), (2_000, Level.WITHIN), (0, Level.WITHIN)]
)
def test_particles_in_grade_a(count, level):
    assert judge_particles(count, Grade.A, WORK, HALF, alert=2_000 if count < 3_000 else None).level is level


def test_any_growth_in_grade_a_is_an_action():
    assert [judge_plate(count, Grade.A, Plate.SETTLE).level for count in (0, 1)] == [Level.WITHIN, Level.ACTION]
    assert str(judge_plate(1, Grade.A, Plate.GLOVE)) == "glove print, grade A: 1, no growth: action"


def test_where_the_annex_sets_no_limit_the_site_must():
    assert judge_particles(9e6, Grade.D, WORK, HALF).level is Level.NOT_SET
    assert judge_particles(9e6, Grade.D, WORK, HALF, own_limit=8e6).level is Level.ACTION
    assert judge_particles(100, Grade.A, WORK, FIVE, own_limit=1_000).level is Level.ACTION  # no site sets itself laxer limits


@pytest.mark.parametrize("count", [-1, float("nan"), float("inf")])
def test_what_is_no_count_is_refused(count):
    with pytest.raises(NotValid, match="is no count"):
        judge_particles(count, Grade.A, WORK, HALF)


def test_half_a_colony_and_a_plate_of_five_hours_are_refused():
    with pytest.raises(NotValid, match="no number of colonies"):
        judge_plate(0.5, Grade.B, Plate.AIR)
    with pytest.raises(NotValid, match="four hours at most"):
        judge_plate(0, Grade.B, Plate.SETTLE, hours=5)
    with pytest.raises(NotValid, match="above the action limit"):
        judge_plate(0, Grade.B, Plate.AIR, alert=11)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(0, 300), st.integers(1, 300), st.integers(0, 5))
def test_the_characteristic_is_a_probability_and_falls_with_defectives(lot, defective, sample, accept):
    defective, sample = min(defective, lot), min(sample, lot)
    here = probability_accepted(lot, defective, sample, accept)
    assert 0.0 <= here <= 1.0
    if defective < lot:
        assert probability_accepted(lot, defective + 1, sample, accept) <= here + 1e-12


def test_an_example_by_hand():
    # 10 containers, 2 defective, 3 looked at, none may be: 8·7·6 of 10·9·8.
    assert probability_accepted(10, 2, 3, 0) == pytest.approx(comb(8, 3) / comb(10, 3)) == pytest.approx(0.4667, abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 400), st.floats(0.0, 0.05), st.floats(0.06, 0.5))
def test_a_plan_keeps_both_risks_and_no_smaller_sample_does(lot, aql, rql):
    found = plan(lot, aql=aql, rql=rql)
    assert found.accepted_at_aql >= 0.95 and (found.accepted_at_rql <= 0.10 or found.sample == lot)
    good, poor = int(aql * lot), max(int(-(-rql * lot // 1)), int(aql * lot) + 1)
    for sample in range(max(1, found.sample - 3), found.sample):
        fits = [
            accept
            for accept in range(sample + 1)
            if probability_accepted(lot, good, sample, accept) >= 0.95 and probability_accepted(lot, poor, sample, accept) <= 0.10
        ]
        assert fits == []


def test_a_lot_passes_only_with_the_sample_that_was_planned():
    found = plan(200, aql=0.01, rql=0.08)
    assert accepts(found, inspected=found.sample, defective=found.accept)
    assert not accepts(found, inspected=found.sample, defective=found.accept + 1)
    assert not accepts(found, inspected=found.sample - 1, defective=0)
    assert str(found).startswith(f"{found.sample} of 200 containers")
