"""The pooled model: all sites' sums added, as if all batches had been in one place.

Guarantees: the same sites give the same bytes in whatever order they come; taking a site away gives
the pool without it.
Leaves to others: sites that are unlike (hierarchy), sites that do not fit (fit_of_sites), limits (limits).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isogenic.errors import NotAllowed, NotValid
from isogenic.monitoring.calibration import Limits
from isogenic.monitoring.fitting import BATCHES_MIN
from isogenic.monitoring.model import Calibration, Model
from isogenic.monitoring.pooling.agreement import Agreement
from isogenic.monitoring.pooling.site_sums import SiteSums
from isogenic.monitoring.structure import Structure, check_sums, scale_floor, structure_of
from isogenic.monitoring.sums import Sums
from isogenic.monitoring.tables import Floats

__all__ = ["Pool", "pool", "pooled_model", "site_left_out", "structure_pooled"]


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """All sites' sums in the agreed scale; the floor of the scale and the number of components that they give."""

    sums: Sums
    batches: int
    structure: Structure
    floor: Floats

    @property
    def components(self) -> int:
        """How many components the structure has."""
        return self.structure.components


def pool(agreement: Agreement, sites: Sequence[SiteSums], *, components: int = 0) -> Pool:
    """Add what the sites sent, and take the structure from it. `components` 0: as many as explain most of the variance."""
    ordered = sorted(sites, key=lambda each: each.site)
    if len({each.site for each in ordered}) != len(ordered):
        raise NotValid("cannot pool sums", why="a site is there twice")
    for each in ordered:
        if each.agreement != agreement.digest:
            raise NotAllowed(f"cannot pool the sums of {each.site}", why="they were made under another agreement")
    batches = sum(each.batches for each in ordered)
    if batches < BATCHES_MIN:
        raise NotValid("cannot pool sums", why=f"{batches} batches are too few", possible=f"at least {BATCHES_MIN}")
    total = added(agreement, ordered)
    check_sums(total, agreement.variables, agreement.grid)
    floor = scale_floor(in_units(total, agreement))
    return Pool(total, batches, structure_pooled(agreement, total, components=components, floor=floor), floor)


def added(agreement: Agreement, sites: Sequence[SiteSums]) -> Sums:
    """The sums of all in the agreed scale, about their own mean: then covariances do not depend on the agreed centre, gaps or not."""
    points, p = agreement.centre.shape
    count, total = np.zeros((points, p)), np.zeros((points, p))
    cross, shared, pairs = np.zeros((points, p, p)), np.zeros((points, p, p)), np.zeros((points, p, p))
    batches, of_whole = 0.0, np.zeros((points, p))
    for each in sites:
        count += each.sums.count
        total += each.sums.total
        cross += each.sums.cross
        if each.whole:
            batches += each.batches
            of_whole += each.sums.total
        else:
            pairs += each.sums.pairs
            shared += each.shared
    pairs += batches
    shared += of_whole[:, :, None]
    mean = total / np.maximum(count, 1.0)
    moved = mean[:, None, :] * shared
    cross -= moved + moved.transpose(0, 2, 1) - pairs * (mean[:, :, None] * mean[:, None, :])
    return Sums(mean, count, total - count * mean, cross, pairs)


def in_units(sums: Sums, agreement: Agreement) -> Sums:
    """The sums in the variables' own units."""
    scale = agreement.scale
    centre = agreement.centre + sums.centre * scale
    return Sums(centre, sums.count, sums.total * scale, sums.cross * (scale[:, :, None] * scale[:, None, :]), sums.pairs)


def structure_pooled(agreement: Agreement, sums: Sums, *, components: int, floor: Floats) -> Structure:
    """The structure of pooled sums."""
    return structure_of(in_units(sums, agreement), agreement.grid, components=components, floor=floor)


def pooled_model(agreement: Agreement, pool: Pool, limits: Limits, *, sites: Sequence[SiteSums]) -> Model:
    """The model of all batches. Its calibration names each site with its number of batches, since batches have no names here."""
    names = tuple(f"{each.site}: {each.batches} batches" for each in sorted(sites, key=lambda each: each.site))
    calibration = Calibration(names, pool.batches, agreement.false_alarms, agreement.consecutive, limits.factor, limits.share)
    return Model(agreement.name, agreement.product, agreement.variables, agreement.maturity_unit, pool.structure, limits.t2, limits.spe, calibration)


def site_left_out(sites: Sequence[SiteSums], site: str) -> list[SiteSums]:
    """The sums without one site's."""
    rest = [each for each in sites if each.site != site]
    if len(rest) == len(sites):
        raise NotValid(f"cannot leave {site} out", why="it sent no sums")
    return rest
