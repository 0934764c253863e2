"""The grades of EU GMP Annex 1."""

from __future__ import annotations

import pytest

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
    judge_reported,
)

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


def test_a_plate_reported_by_the_laboratory_is_judged_by_its_name():
    told = [("settle_plate_a", 0.0, ""), ("settle_plate_a", 1.0, ""), ("glove_print_b", 5.0, ">"), ("glove_print_c", 40.0, "")]
    assert [judge_reported(*each).level for each in told] == [Level.WITHIN, Level.ACTION, Level.ACTION, Level.NOT_SET]
    assert [
        judge_reported(*each) for each in (("titer", 1.0), ("air_sample_a", 0.5), ("air_sample_a", float("nan")), ("air_sample_a", 1.0, "<"))
    ] == [None] * 4
