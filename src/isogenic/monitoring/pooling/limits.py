"""Limits without readings: sites measure their own batches, each left out, and send what limits need.

Two small answers after the sums. First the *levels*: for T2 and SPE at each knot, how many left-out
samples there were, their sum and their sum of squares (6 numbers a knot). The control site adds them
and sends the total back; then the *critical factors*: one number for each batch, the lowest factor
of the common limits at which it would have had no alarm.

Guarantees: the limits are those that all batches in one place would have given, to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isogenic.errors import NotValid
from isogenic.monitoring.calibration import GROUPS_MAX, HeldOut, Limits, critical_of, factor_of, limits_along, measured, moments_of
from isogenic.monitoring.pooling.agreement import Agreement
from isogenic.monitoring.pooling.pooled import Pool, structure_pooled
from isogenic.monitoring.pooling.site_sums import batch_sums
from isogenic.monitoring.structure import Structure
from isogenic.monitoring.tables import BatchTable, Floats

__all__ = ["SiteLimits", "critical_of_site", "left_out_at_site", "levels_of_site", "limits_at", "limits_of"]

SITES_MIN = 3  # to tell how shares of alarms differ from site to site


@dataclass(frozen=True, slots=True, eq=False)
class SiteLimits:
    """What a site adds to the limits. `levels`: float64[2, 3, knots]; `critical`: float64[batches]."""

    site: str
    levels: Floats
    critical: Floats


def left_out_at_site(batches: Sequence[BatchTable], agreement: Agreement, pool: Pool) -> list[HeldOut]:
    """A site's batches, each measured by the pool without it. Stays at the site."""
    groups = min(len(batches), GROUPS_MAX)
    results: list[HeldOut | None] = [None] * len(batches)
    for group in range(groups):
        rest = pool.sums
        members = range(group, len(batches), groups)
        for each in members:
            rest = rest - batch_sums(batches[each], agreement, pool.sums.centre)
        structure = structure_pooled(agreement, rest, components=pool.components, floor=pool.floor)
        for each in members:
            results[each] = measured(structure, batches[each])
    return [each for each in results if each is not None]


def levels_of_site(results: Sequence[HeldOut], *, knots: int) -> Floats:
    """The first answer: float64[2, 3, knots]."""
    levels: Floats = np.sum([moments_of(each, knots) for each in results], axis=0)
    return levels


def critical_of_site(results: Sequence[HeldOut], levels: Floats, *, consecutive: int) -> Floats:
    """The second answer, from all sites' summed `levels`: float64[batches]. The shape that a batch is held against comes from the others."""
    knots = levels.shape[2]
    return np.array([critical_of(each, levels - moments_of(each, knots), consecutive=consecutive) for each in results])


def limits_of(structure: Structure, answers: Sequence[SiteLimits], *, false_alarms: float) -> Limits:
    """The limits from all sites' answers."""
    levels: Floats = np.sum([each.levels for each in answers], axis=0)
    return limits_along(structure, levels, np.concatenate([each.critical for each in answers]), false_alarms=false_alarms)


def limits_at(structure: Structure, answers: Sequence[SiteLimits], *, false_alarms: float) -> Limits:
    """Limits for one site from unlike sites' answers: the share of alarms that sites differ by, one standard error, is on top."""
    levels: Floats = np.sum([each.levels for each in answers], axis=0)
    told = [np.sort(each.critical) for each in answers if len(each.critical)]
    if len(told) < SITES_MIN:
        raise NotValid("cannot set limits for a site", why="too few sites measured their batches", possible=f"answers of at least {SITES_MIN}")
    critical = np.sort(np.concatenate(told))
    least, factor = factor_of(critical, false_alarms), float(critical[-1])
    for candidate in critical[critical >= least]:
        shares = np.array([1.0 - np.searchsorted(each, candidate, side="right") / len(each) for each in told])
        if shares.mean() + shares.std(ddof=1) / np.sqrt(len(shares)) <= false_alarms:
            factor = float(candidate)
            break
    return limits_along(structure, levels, critical, false_alarms=false_alarms, factor=max(factor, least))
