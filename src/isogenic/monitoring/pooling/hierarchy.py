"""The hierarchical model: what all sites share, and each site's own level and spread as terms of their own.

    a batch at a site = the network's mean + the site's level + how batches differ within a site

From all other sites' sums: the mean of sites, the covariance *within* sites, the variance *between* sites'
levels (analysis of variance with unequal numbers, by moments; Searle, Casella and McCulloch 1992)
and how alike the sites' spreads are. A site's level is then the best linear prediction from its own
batches: their mean beside the network's, averaged over neighbours in maturity (sites differ smoothly, readings do not),
drawn towards the network's by as much as few batches say little (Henderson 1975).
What is uncertain about the level is counted as variance, with the relations of the variance within. A
site with no batch yet stands at the network's mean with the variance between sites; one with two has
the network's shape and nearly its own level; one with many hardly needs the network.

Guarantees: a pure function of sums; a site's own sums enter once, so `seen_by` a site leaves them out.
Leaves to others: limits (`level_limits`), sites that do not fit (fit_of_sites).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isogenic.errors import NotAllowed, NotValid
from isogenic.monitoring.calibration import HeldOut, Limits, measured
from isogenic.monitoring.model import Calibration, Model
from isogenic.monitoring.pooling.agreement import Agreement
from isogenic.monitoring.pooling.site_sums import SiteSums, site_sums
from isogenic.monitoring.structure import SCALE_FLOOR, Structure, structure_from
from isogenic.monitoring.tables import BatchTable, Floats

__all__ = ["SITES_MIN", "Network", "Own", "about_own_mean", "at_site", "freedom_of", "left_out_at_level", "seen_by", "site_model"]

SITES_MIN = 2  # other sites: fewer say nothing of how sites differ
FREEDOM_MIN = 5  # batches less sites, for a covariance within sites
REACH = 0.05  # of the grid to each side, over which the variance between sites is averaged
ALIKE = (1.0, 1000.0)  # degrees of freedom that the network's spread counts for at a site, least and most
VARIANCE_MIN = 1e-12  # in agreed scales


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """What some sites share, in the agreed scale about the agreed centre. Per point and variable: `mean` of sites and its own variance,
    `within` the covariance within sites and `freedom` behind it, `between` the variance of sites' levels.
    Per variable: `alike`, how alike the sites' spreads are; `rough`, the share of the variance within that comes and
    goes from one grid point to the next."""

    sites: tuple[str, ...]
    batches: int
    mean: Floats
    mean_variance: Floats
    within: Floats
    freedom: Floats
    between: Floats
    alike: Floats
    rough: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """One site about its own mean."""

    count: Floats
    mean: Floats
    scatter: Floats  # float64[points, p, p]
    freedom: Floats


def seen_by(agreement: Agreement, sites: Sequence[SiteSums], site: str) -> Network:
    """The network as one site sees it: all the others."""
    others = sorted((each for each in sites if each.site != site), key=lambda each: each.site)
    if len(others) < SITES_MIN:
        raise NotValid(f"cannot tell how sites differ for {site}", why=f"{len(others)} other sites sent sums", possible=f"at least {SITES_MIN}")
    for each in others:
        if each.agreement != agreement.digest:
            raise NotAllowed(f"cannot use the sums of {each.site}", why="they were made under another agreement")
    own = [about_own_mean(each) for each in others]
    freedom: Floats = np.sum([each.freedom for each in own], axis=0)
    if np.median(freedom) < FREEDOM_MIN:
        raise NotValid("cannot tell how batches differ within a site", why="the other sites sent too few batches")
    within: Floats = np.sum([each.scatter for each in own], axis=0) / np.maximum(freedom, 1.0)
    variance = np.maximum(np.diagonal(within, axis1=1, axis2=2), VARIANCE_MIN)
    between = _between(own, variance)
    weights = np.stack([np.where(each.count > 0, 1.0 / (between + variance / np.maximum(each.count, 1.0)), 0.0) for each in own])
    whole = np.maximum(weights.sum(axis=0), VARIANCE_MIN)
    mean: Floats = (weights * np.stack([each.mean for each in own])).sum(axis=0) / whole
    names = tuple(each.site for each in others)
    batches = sum(each.batches for each in others)
    return Network(names, batches, mean, 1.0 / whole, within, freedom, between, _alike(own, variance), _rough(own, mean, variance))


def at_site(agreement: Agreement, network: Network, own: SiteSums | None, *, components: int = 0) -> Structure:
    """What is normal for a new batch at a site that has sent `own` sums; None: it has no batch yet."""
    within, freedom = network.within, network.freedom
    variance = np.maximum(np.diagonal(within, axis1=1, axis2=2), VARIANCE_MIN)
    prior = network.between + network.mean_variance
    level, uncertain = network.mean, prior
    factor = np.ones(variance.shape[1])
    batches = float(np.median(freedom))
    if own is not None:
        site = about_own_mean(own)
        factor = _spread_factor(site, network, variance)
        noise = variance * factor * (1.0 - network.rough * (1.0 - 1.0 / _window(len(variance)))) / np.maximum(site.count, 1.0)
        pull = np.where(site.count > 0, prior / np.maximum(prior + noise, VARIANCE_MIN), 0.0)
        level = network.mean + pull * _averaged(np.where(site.count > 0, site.mean - network.mean, 0.0))
        uncertain = np.where(site.count > 0, pull * noise, prior)
        within = (freedom * within + site.scatter) / np.maximum(freedom + site.freedom, 1.0)
        batches += max(own.batches - 1, 0)
    roots = np.sqrt(np.maximum(np.diagonal(within, axis1=1, axis2=2), VARIANCE_MIN))
    relations = within / (roots[:, :, None] * roots[:, None, :])
    spread, unsure = roots * np.sqrt(factor), np.sqrt(uncertain)
    covariance = relations * (spread[:, :, None] * spread[:, None, :] + unsure[:, :, None] * unsure[:, None, :])
    scale = agreement.scale
    enough = np.diagonal(freedom, axis1=1, axis2=2) >= 1.0
    floor: Floats = SCALE_FLOOR * np.sqrt(np.diagonal(within, axis1=1, axis2=2).mean(axis=0) * np.square(scale).mean(axis=0))
    return structure_from(
        agreement.centre + level * scale,
        covariance * (scale[:, :, None] * scale[:, None, :]),
        enough,
        agreement.grid,
        batches=batches,
        components=components,
        floor=np.maximum(floor, VARIANCE_MIN),
    )


def left_out_at_level(
    batches: Sequence[BatchTable], agreement: Agreement, network: Network, *, own: int, site: str, components: int = 0
) -> list[HeldOut]:
    """A site's batches, each measured as if the site had only `own` others. Stays at the site."""
    n = len(batches)
    results = []
    for at, table in enumerate(batches):
        known = [batches[(at + step) % n] for step in range(1, min(own, n - 1) + 1)]
        sums = site_sums(known, agreement, site=site, least=1) if known else None
        results.append(measured(at_site(agreement, network, sums, components=components), table))
    return results


def site_model(
    agreement: Agreement, network: Network, own: SiteSums | None, limits: Limits, *, site: str, critical: int, components: int = 0
) -> Model:
    """The model of one site. `critical`: how many left-out batches set the limits."""
    structure = at_site(agreement, network, own, components=components)
    names = (f"{site}: {0 if own is None else own.batches} batches", f"network: {network.batches} batches of {', '.join(network.sites)}")
    calibration = Calibration(names, critical, agreement.false_alarms, agreement.consecutive, limits.factor, limits.share)
    return Model(
        f"{agreement.name} at {site}",
        agreement.product,
        agreement.variables,
        agreement.maturity_unit,
        structure,
        limits.t2,
        limits.spe,
        calibration,
    )


def about_own_mean(site: SiteSums) -> Own:
    """A site's sums about its own mean, exact where values are missing too."""
    sums = site.sums
    mean = sums.total / np.maximum(sums.count, 1.0)
    moved = mean[:, None, :] * site.shared
    scatter = sums.cross - (moved + moved.transpose(0, 2, 1)) + sums.pairs * (mean[:, :, None] * mean[:, None, :])
    return Own(sums.count, mean, scatter, np.maximum(sums.pairs - 1.0, 0.0))


def _between(own: Sequence[Own], variance: Floats) -> Floats:
    """The variance between sites, along maturity: by moments, averaged over neighbours, and widened by what few sites leave open."""
    counts = np.stack([each.count for each in own])
    means = np.stack([each.mean for each in own])
    total = np.maximum(counts.sum(axis=0), 1.0)
    grand = (counts * means).sum(axis=0) / total
    groups = np.maximum((counts > 0).sum(axis=0), 2)
    squares = (counts * np.square(means - grand)).sum(axis=0)
    effective = np.maximum(total - np.square(counts).sum(axis=0) / total, 1.0)
    raw = (squares - (groups - 1.0) * variance) / effective
    few = (groups - 1.0) / np.maximum(groups - 3.0, 1.0)  # the mean of an inverse chi-squared: sites may differ more than these few do
    between: Floats = np.maximum(few * _averaged(raw), 0.0)
    return between


def _window(points: int) -> int:
    """How many neighbours are averaged."""
    return 2 * max(1, round(REACH * points)) + 1


def _averaged(along: Floats) -> Floats:
    """Running means over neighbours on the grid."""
    points = len(along)
    reach = _window(points) // 2
    added = np.concatenate([np.zeros((1, along.shape[1])), np.cumsum(along, axis=0)])
    at = np.arange(points)
    low, high = np.maximum(at - reach, 0), np.minimum(at + reach + 1, points)
    averaged: Floats = (added[high] - added[low]) / (high - low)[:, None]
    return averaged


def _rough(own: Sequence[Own], mean: Floats, variance: Floats) -> Floats:
    """The share of the variance within sites that neighbours on the grid do not share: from how sites' means jump beside the network's."""
    if len(mean) < 2:
        return np.zeros(mean.shape[1])
    jumps = np.stack([np.sqrt(np.minimum(each.count[1:], each.count[:-1])) * np.diff(each.mean - mean, axis=0) for each in own])
    apart: Floats = np.square(jumps).mean(axis=(0, 1)) * len(own) / (2.0 * (len(own) - 1.0))
    rough: Floats = np.clip(apart / variance.mean(axis=0), 0.0, 1.0)
    return rough


def _ratio(site: Own, variance: Floats) -> Floats:
    """A site's variance over the network's, for each variable: the mean along maturity."""
    freedom = np.diagonal(site.freedom, axis1=1, axis2=2)
    squares = np.diagonal(site.scatter, axis1=1, axis2=2)
    ratio: Floats = (squares / variance).sum(axis=0) / np.maximum(freedom.sum(axis=0), 1.0)
    return ratio


def freedom_of(site: Own) -> float:
    """Batches less one, as a rule along maturity."""
    return float(np.median(np.diagonal(site.freedom, axis1=1, axis2=2)))


def _alike(own: Sequence[Own], variance: Floats) -> Floats:
    """How many degrees of freedom the network's spread counts for at a site: few where sites' spreads differ by more than chance."""
    told = [each for each in own if freedom_of(each) >= 1.0]
    if len(told) < 2:
        return np.full(variance.shape[1], ALIKE[1])
    ratios = np.stack([_ratio(each, variance) for each in told])
    chance = float(np.mean([2.0 / freedom_of(each) for each in told]))
    beyond = np.maximum(ratios.var(axis=0, ddof=1) - chance, 2.0 / ALIKE[1])
    alike: Floats = np.clip(2.0 / beyond, *ALIKE)
    return alike


def _spread_factor(site: Own, network: Network, variance: Floats) -> Floats:
    """A site's own spread, as a factor on the network's variance, drawn towards 1 by as much as few batches say little."""
    freedom = freedom_of(site)
    if freedom < 1.0:
        return np.ones(variance.shape[1])
    factor: Floats = (network.alike + freedom * _ratio(site, variance)) / (network.alike + freedom)
    return factor
