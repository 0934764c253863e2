"""Explanation: which variable, how far, since when, as a sentence a person can act on.

A variable's contribution is how much of the distance would vanish if that variable alone
were put right (reconstruction-based contribution, Alcala and Qin 2009), on the combined
index of T2 and SPE, each against its limit (Yue and Qin 2001). For a fault in a single
variable it is the largest by construction once the fault outgrows the noise, which the
contributions of plain PCA are not. They are summed over the samples that made the alarm.

Leaves to others: what the fault is called, and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isogenic.monitoring.tables import Floats, Variable

__all__ = ["Contribution", "Finding", "contributions", "finding"]

LEADING_MAX = 3
LEADING_SHARE = 0.1  # a variable with less is not named after the first
OUT_OF_STEP = 2.0  # scales from its own trajectory; a leading variable nearer than this offends against the others, not against its own course
# Where zero is a convention or the number is already a share, per cent of a value mislead.
DIFFERENCE_UNITS = frozenset({"degC", "pH", "%"})


@dataclass(frozen=True, slots=True)
class Contribution:
    """One variable's part in a finding. `expected` is its trajectory at that maturity."""

    variable: str
    unit: str
    share: float
    observed: float
    expected: float


@dataclass(frozen=True, slots=True)
class Finding:
    """An alarm as it begins: the statistic that leads, its value and limit, and what is behind it."""

    statistic: str  # that leads, by its name in the bank
    value: float
    limit: float
    maturity: float
    since: float  # maturity of the first sample over the limit
    leading: tuple[Contribution, ...]  # largest first
    sentence: str


def contributions(directions: Floats, spread: Floats, scores: Floats, *, components: int, t2_limit: float, spe_limit: float) -> Floats:
    """The reconstruction-based contribution of every variable to one reading's combined index: float64[p]."""
    weights = np.full(len(spread), 1.0 / spe_limit)
    weights[:components] = 1.0 / (spread[:components] * t2_limit)
    pull = (weights * scores) @ directions
    return np.asarray(pull * pull / (weights @ (directions * directions)))


def finding(
    variables: tuple[Variable, ...],
    weights: Floats,
    *,
    observed: Floats,
    expected: Floats,
    z: Floats,
    statistic: str,
    value: float,
    limit: float,
    maturity: float,
    since: float,
    maturity_unit: str,
    continuous: bool = False,
    more_movement: bool | None = None,
) -> Finding:
    """The finding at the moment an alarm begins. What has no value now is not named, however much it weighed before."""
    there = np.isfinite(observed)
    weights = np.where(there, weights, 0.0)
    shares = weights / max(float(weights.sum()), 1e-300)
    order = np.argsort(np.where(there, -shares, np.inf), kind="stable")
    named = [int(each) for each in order[:LEADING_MAX] if each == order[0] or shares[each] >= LEADING_SHARE]
    leading = tuple(
        Contribution(variables[each].name, variables[each].unit, float(shares[each]), float(observed[each]), float(expected[each])) for each in named
    )
    when = f"reading {since:.0f}" if continuous else f"{since:.1f} {maturity_unit}".strip()
    if more_movement is not None:
        sentence = _movement(leading, more=more_movement, since=when)
    else:
        own = abs(float(z[named[0]])) >= OUT_OF_STEP
        sentence = _sentence(leading, own=own, since=when, course="its usual level" if continuous else "its trajectory")
    return Finding(statistic, value, limit, maturity, since, leading, sentence)


def _sentence(leading: tuple[Contribution, ...], *, own: bool, since: str, course: str) -> str:
    first = leading[0]
    unit = "" if first.unit == "1" else f" {first.unit}"
    numbers = f"({_number(first.observed, first.expected)} against {_number(first.expected, first.observed)}{unit})"
    side = "over" if first.observed > first.expected else "under"
    text = f"{first.variable} {_size(first)} {side} {course}" if own else f"{first.variable} out of step with the other variables"
    return f"{text} since {since} {numbers}" + _and_the_rest(leading)


def _movement(leading: tuple[Contribution, ...], *, more: bool, since: str) -> str:
    """Of a variable whose level may well be right, but which keeps departing from what is expected of it, or hardly moves."""
    what = "keeps departing from what the other variables and its own past let expect" if more else "moves less than it should"
    return f"{leading[0].variable} {what} since {since}" + _and_the_rest(leading)


def _and_the_rest(leading: tuple[Contribution, ...]) -> str:
    rest = [each.variable for each in leading[1:]]
    return f", then {' and '.join(rest)}" if rest else ""


def _size(first: Contribution) -> str:
    difference = abs(first.observed - first.expected)
    if first.unit in DIFFERENCE_UNITS or difference >= 10.0 * abs(first.expected) or first.expected * first.observed < 0:
        form = ".0f" if 10 <= difference < 1e6 else ".2g"
        return f"{difference:{form}}" + ("" if first.unit == "1" else f" {first.unit}")
    share = 100.0 * difference / abs(first.expected)
    return f"{share:.0f} %" if share >= 1.5 else f"{share:.1f} %"


def _number(value: float, beside: float) -> str:
    """Enough digits to tell the two apart, no more."""
    difference = abs(value - beside)
    largest = max(abs(value), abs(beside))
    if largest >= 1e6 or (0 < largest < 1e-3):
        return f"{value:.3g}"
    digits = 0 if difference == 0 else min(max(1 - int(np.floor(np.log10(difference))), 0), 4)
    return f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0: never "-0"
