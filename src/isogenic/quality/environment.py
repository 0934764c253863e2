"""The air and the surfaces around open product, against the grades of EU GMP Annex 1 (2022).

    non-viable   particles in a cubic metre of air, at rest and in operation   table 5, for monitoring
    viable       colony-forming units on plates                                table 6, action limits

A site sets alert levels below the action limits (9.6); a result above the alert level is looked
at, one above the action limit is an exception. In grade A any growth is investigated (note to table 6).

Guarantees: pure; a count that is no count is refused; a class that the annex leaves to risk assessment
("not predetermined") is never within limits by itself: it needs the site's own limit.
Leaves to others: measuring (signals of an isolator, laboratory results), and what a recipe does at a limit (its exceptions).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from isogenic.errors import NotValid

__all__ = ["NON_VIABLE", "VIABLE", "Grade", "Judged", "Level", "Occupancy", "Particle", "Plate", "judge_particles", "judge_plate", "judge_reported"]


class Grade(StrEnum):
    """A clean room's grade."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


class Occupancy(StrEnum):
    """Whether people and machines are at work."""

    AT_REST = "at rest"
    IN_OPERATION = "in operation"


class Particle(StrEnum):
    """Which particles are counted."""

    HALF_MICROMETRE = "0.5 µm"
    FIVE_MICROMETRES = "5 µm"


class Plate(StrEnum):
    """How viable particles are caught."""

    AIR = "air sample"  # CFU/m³
    SETTLE = "settle plate"  # 90 mm, CFU in 4 hours of exposure
    CONTACT = "contact plate"  # 55 mm, CFU a plate
    GLOVE = "glove print"  # five fingers of both hands, CFU a glove


class Level(StrEnum):
    """What a count is."""

    WITHIN = "within"
    ALERT = "alert"
    ACTION = "action"
    NOT_SET = "no limit set"  # the annex leaves it to the site, and the site has set none


_REST, _WORK = Occupancy.AT_REST, Occupancy.IN_OPERATION
_HALF, _FIVE = Particle.HALF_MICROMETRE, Particle.FIVE_MICROMETRES

# Table 5: the highest number in a cubic metre. None: not predetermined.
NON_VIABLE: Mapping[tuple[Grade, Occupancy, Particle], int | None] = {
    (Grade.A, _REST, _HALF): 3_520,
    (Grade.A, _WORK, _HALF): 3_520,
    (Grade.A, _REST, _FIVE): 29,
    (Grade.A, _WORK, _FIVE): 29,
    (Grade.B, _REST, _HALF): 3_520,
    (Grade.B, _WORK, _HALF): 352_000,
    (Grade.B, _REST, _FIVE): 29,
    (Grade.B, _WORK, _FIVE): 2_930,
    (Grade.C, _REST, _HALF): 352_000,
    (Grade.C, _WORK, _HALF): 3_520_000,
    (Grade.C, _REST, _FIVE): 2_930,
    (Grade.C, _WORK, _FIVE): 29_300,
    (Grade.D, _REST, _HALF): 3_520_000,
    (Grade.D, _WORK, _HALF): None,
    (Grade.D, _REST, _FIVE): 29_300,
    (Grade.D, _WORK, _FIVE): None,
}

# Table 6: the highest number that is still within. Grade A: no growth. None: no limit is given.
VIABLE: Mapping[tuple[Grade, Plate], int | None] = {
    **{(Grade.A, plate): 0 for plate in Plate},
    (Grade.B, Plate.AIR): 10,
    (Grade.B, Plate.SETTLE): 5,
    (Grade.B, Plate.CONTACT): 5,
    (Grade.B, Plate.GLOVE): 5,
    (Grade.C, Plate.AIR): 100,
    (Grade.C, Plate.SETTLE): 50,
    (Grade.C, Plate.CONTACT): 25,
    (Grade.C, Plate.GLOVE): None,
    (Grade.D, Plate.AIR): 200,
    (Grade.D, Plate.SETTLE): 100,
    (Grade.D, Plate.CONTACT): 50,
    (Grade.D, Plate.GLOVE): None,
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A count beside its limits."""

    what: str
    count: float
    alert: float | None
    action: float | None
    level: Level

    def __str__(self) -> str:
        limit = "no limit" if self.action is None else "no growth" if self.action == 0 else f"at most {self.action:g}"
        return f"{self.what}: {self.count:g}, {limit}: {self.level}"


def judge_particles(
    count: float, grade: Grade, occupancy: Occupancy, particle: Particle, *, alert: float | None = None, own_limit: float | None = None
) -> Judged:
    """Particles in a cubic metre. `own_limit`: the site's, where the annex sets none; it may be stricter than the annex, never laxer."""
    action = _stricter(NON_VIABLE[grade, occupancy, particle], own_limit)
    return _judged(f"particles of {particle} and larger, grade {grade}, {occupancy}", count, alert, action)


def judge_plate(
    count: float, grade: Grade, plate: Plate, *, hours: float = 4.0, alert: float | None = None, own_limit: float | None = None
) -> Judged:
    """Colony-forming units. The limit is not scaled for a settle plate that lay open for less than its four hours."""
    if plate is Plate.SETTLE and not 0 < hours <= 4.0:
        raise NotValid(f"cannot judge a {plate}", why=f"it lay open for {hours:g} h; a plate is exposed for four hours at most")
    if count != int(count):
        raise NotValid(f"cannot judge a {plate}", why=f"{count:g} is no number of colonies")
    return _judged(f"{plate}, grade {grade}", count, alert, _stricter(VIABLE[grade, plate], own_limit))


_REPORTED = {f"{plate.replace(' ', '_')}_{grade.lower()}": (grade, plate) for plate in Plate for grade in Grade}


def judge_reported(attribute: str, value: float, qualifier: str = "") -> Judged | None:
    """A laboratory result of a plate, by its name: `settle_plate_a`, `glove_print_b`, … None: it is no such plate, or no count of colonies."""
    found = _REPORTED.get(attribute)
    if found is None or qualifier not in ("", ">"):
        return None
    try:
        return judge_plate(value + 1 if qualifier else value, *found)
    except (NotValid, OverflowError, ValueError):  # a fraction, less than nothing, not finite
        return None


def _stricter(given: float | None, own: float | None) -> float | None:
    limits = [each for each in (given, own) if each is not None]
    return min(limits) if limits else None


def _judged(what: str, count: float, alert: float | None, action: float | None) -> Judged:
    if not math.isfinite(count) or count < 0:
        raise NotValid(f"cannot judge {what}", why=f"{count:g} is no count")
    if alert is not None and action is not None and alert > action:
        raise NotValid(f"cannot judge {what}", why=f"an alert level of {alert:g} is above the action limit of {action:g}")
    if action is not None and count > action:
        level = Level.ACTION
    elif alert is not None and count > alert:
        level = Level.ALERT
    else:
        level = Level.NOT_SET if action is None else Level.WITHIN
    return Judged(what, count, alert, action, level)
