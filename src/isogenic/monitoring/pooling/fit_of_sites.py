"""Does a site fit the others? Its sums are held against the spread between the other sites.

For each site, from all others' sums (it must not widen the spread that it is judged by):

| looked at | is far when |
| --- | --- |
| level of each variable, the mean along maturity | it lies more than 3 standard deviations from the others' mean, few batches counted in |
| spread of each variable | its logarithm lies more than 3 standard deviations from the others' |
| relations between variables | the mean square of its correlations' differences from the others' does |

Between few sites the spread is itself uncertain, and 3 standard deviations of few sites are passed by chance more often than by
normal dice: a suspect is named for a person to look at, never left out by itself. With fewer than four
others nothing can be said, and that is said.

Guarantees: pure and in the sites' order; the order of the sums does not matter.
Leaves to others: the decision, with its reason on record (facts).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isogenic.monitoring.pooling.agreement import Agreement
from isogenic.monitoring.pooling.hierarchy import about_own_mean, freedom_of
from isogenic.monitoring.pooling.site_sums import SiteSums
from isogenic.monitoring.tables import Floats

__all__ = ["FAR", "OTHERS_MIN", "Fit", "Misfit", "fit_of_sites"]

FAR = 3.0  # standard deviations of the between-site spread
OTHERS_MIN = 4  # sites: of fewer, a standard deviation means little
SPREAD_LEAST = 0.1  # of the logarithm of a spread: nearer than 10 % no spread is far
RELATION_LEAST = 0.05
LEVEL_LEAST = 0.1  # of the deviation between batches: what is nearer than a tenth of it is no site's offset


@dataclass(frozen=True, slots=True)
class Misfit:
    """One way in which a site does not fit."""

    what: str  # "level", "spread" or "relations"
    variable: str  # empty for relations
    sigmas: float

    def __str__(self) -> str:
        """As a reason reads."""
        of = f" of {self.variable}" if self.variable else " between variables"
        return f"{self.what}{of}: {self.sigmas:+.1f} standard deviations of the other sites"


@dataclass(frozen=True, slots=True)
class Fit:
    """How a site fits the others. `why_not`: why nothing can be said; `misfits`: farthest first, empty where it fits."""

    site: str
    misfits: tuple[Misfit, ...]
    why_not: str = ""

    @property
    def suspect(self) -> bool:
        """Whether a person should look at it."""
        return bool(self.misfits)

    @property
    def reason(self) -> str:
        """The misfits as one text for the record."""
        return self.why_not or "; ".join(map(str, self.misfits[:5]))


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """What a site's sums come to: per variable the level and its error's variance, the logarithm of the spread and its; correlations."""

    level: Floats
    level_error: Floats
    spread: Floats
    spread_error: float
    variance: Floats
    relations: Floats


def fit_of_sites(agreement: Agreement, sites: Sequence[SiteSums]) -> tuple[Fit, ...]:
    """Every site held against the others, in the order of their names."""
    ordered = sorted(sites, key=lambda each: each.site)
    told = [_told(each) for each in ordered]
    if len(ordered) <= OTHERS_MIN:
        why = f"{len(ordered) - 1} other sites are too few to tell who does not fit: at least {OTHERS_MIN}"
        return tuple(Fit(each.site, (), why) for each in ordered)
    return tuple(Fit(each.site, _misfits(at, told, agreement)) for at, each in enumerate(ordered))


def _misfits(at: int, told: Sequence[_Told], agreement: Agreement) -> tuple[Misfit, ...]:
    own, others = told[at], [each for number, each in enumerate(told) if number != at]
    within = np.mean([each.variance for each in others], axis=0)
    levels = np.stack([each.level for each in others])
    error = own.level_error + np.mean([each.level_error for each in others], axis=0) / len(others)
    between = np.maximum(levels.var(axis=0, ddof=1), np.square(LEVEL_LEAST) * within)
    level = (own.level - levels.mean(axis=0)) / np.sqrt(between * (1.0 + 1.0 / len(others)) + error)
    spreads = np.stack([each.spread for each in others])
    of_spread = np.maximum(spreads.var(axis=0, ddof=1) * (1.0 + 1.0 / len(others)) + own.spread_error, SPREAD_LEAST**2)
    spread = (own.spread - spreads.mean(axis=0)) / np.sqrt(of_spread)
    mean = np.mean([each.relations for each in others], axis=0)
    distances = np.array([np.sqrt(np.square(each.relations - mean).mean()) for each in others])
    distance = np.sqrt(np.square(own.relations - mean).mean())
    relation = (distance - distances.mean()) / max(float(distances.std(ddof=1)), RELATION_LEAST)
    found = [
        *(Misfit("level", each.name, float(sigmas)) for each, sigmas in zip(agreement.variables, level, strict=True)),
        *(Misfit("spread", each.name, float(sigmas)) for each, sigmas in zip(agreement.variables, spread, strict=True)),
        Misfit("relations", "", float(relation)),
    ]
    return tuple(sorted((each for each in found if each.sigmas > FAR or (each.variable and each.sigmas < -FAR)), key=lambda each: -abs(each.sigmas)))


def _told(site: SiteSums) -> _Told:
    own = about_own_mean(site)
    there = own.count > 0
    known = np.maximum(there.sum(axis=0), 1)
    level = np.where(there, own.mean, 0.0).sum(axis=0) / known
    freedom = np.maximum(np.diagonal(own.freedom, axis1=1, axis2=2).sum(axis=0), 1.0)
    variance = np.maximum(np.diagonal(own.scatter, axis1=1, axis2=2).sum(axis=0) / freedom, 1e-12)
    pooled = own.scatter.sum(axis=0) / np.maximum(own.freedom.sum(axis=0), 1.0)
    roots = np.sqrt(np.maximum(np.diagonal(pooled), 1e-12))
    relations = (pooled / np.outer(roots, roots))[np.triu_indices(len(roots), 1)]
    # a batch's level is taken to last as long as the batch: the most that its error can be
    error = variance / max(site.batches, 1)
    return _Told(level, error, 0.5 * np.log(variance), 0.5 / max(freedom_of(own), 1.0), variance, relations)
