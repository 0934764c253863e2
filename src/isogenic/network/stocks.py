"""Materials as the control site knows them, folded from what its sites say in their sponsors' ledgers and from its own decisions.

Guarantees: a site speaks of its own stock only: a delivery that names another site is kept as nobody's, and what went into a lot
counts only from the ledger in which that lot's batch was started.
Leaves to others: deciding (materials).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from isogenic.ids import LotId, SiteId
from isogenic.materials import lots, stock
from isogenic.materials.assemblies import AssembliesUsed
from isogenic.materials.changeover import ChangeoverApproved, ChangeoverPublished, ChangeoverSubmitted
from isogenic.materials.lots import Genealogy, MaterialUsed
from isogenic.materials.receipts import MaterialDecided, MaterialReceived
from isogenic.materials.stock import Stock
from isogenic.records.facts import Fact

__all__ = ["Stocks", "apply"]

Version = tuple[str, int]  # of a changeover matrix


@dataclass(frozen=True, slots=True)
class Stocks:
    """Materials of the whole network."""

    sites: Mapping[SiteId, Stock] = field(default_factory=dict)
    genealogy: Genealogy = field(default_factory=Genealogy)
    told: Mapping[SiteId, frozenset[str]] = field(default_factory=dict)  # digests of used pieces that each site was told of
    submitted: Mapping[Version, ChangeoverSubmitted] = field(default_factory=dict)
    approvals: Mapping[Version, tuple[ChangeoverApproved, ...]] = field(default_factory=dict)
    published: ChangeoverPublished | None = None

    def site(self, site: SiteId) -> Stock:
        """What a site holds."""
        return self.sites.get(site, Stock())

    def installed_for(self, lot: LotId, *, at: SiteId) -> dict[str, int]:
        """Each piece that stayed in its place for a site's lot, and how often any site has said that it installed it."""
        placed = [each for (_, made), places in self.site(at).placed.items() if made == lot for each in places.values()]
        return {each.piece: sum(len(stock.piece(each.piece).installed) for stock in self.sites.values()) for each in placed}


def apply(stocks: Stocks, fact: Fact, *, site: SiteId | None, ours: bool, sponsor: bool) -> Stocks:
    """Fold one fact of materials; `site`: whose ledger it is, or for which site ours is written; none: our house."""
    payload = fact.payload
    if ours:
        return _of_ours(stocks, fact, site)
    if site is None or not sponsor or (isinstance(payload, MaterialReceived) and payload.site != site):
        return stocks
    if isinstance(payload, AssembliesUsed | ChangeoverPublished | MaterialUsed):  # ours to say; and uses count with the record of their batch
        return stocks
    kept = stock.apply(stocks.site(site), fact)
    if isinstance(payload, MaterialDecided):
        return replace(stocks, sites={**stocks.sites, site: kept})
    return replace(stocks, sites={**stocks.sites, site: kept}, genealogy=lots.apply(stocks.genealogy, fact))


def used(stocks: Stocks, fact: Fact) -> Stocks:
    """Fold what went into a lot, once it is known that the lot is the ledger's."""
    return replace(stocks, genealogy=lots.apply(stocks.genealogy, fact))


def _of_ours(stocks: Stocks, fact: Fact, site: SiteId | None) -> Stocks:
    match fact.payload:
        case ChangeoverSubmitted() as submitted if site is None:
            return replace(
                stocks, submitted={(submitted.name, submitted.version): submitted, **stocks.submitted}
            )  # the first text of a version stays
        case ChangeoverApproved() as approved if site is None:
            key = (approved.name, approved.version)
            return replace(stocks, approvals={**stocks.approvals, key: (*stocks.approvals.get(key, ()), approved)})
        case ChangeoverPublished() as published if site is None:
            return replace(stocks, published=published)
        case MaterialDecided() if site is not None:
            return replace(stocks, sites={**stocks.sites, site: stock.apply(stocks.site(site), fact)})
        case AssembliesUsed() as said if site is not None:
            return replace(stocks, told={**stocks.told, site: stocks.told.get(site, frozenset()) | set(said.digests)})
    return stocks
