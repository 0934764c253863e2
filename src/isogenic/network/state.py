"""What the control site knows, folded from its own ledgers and from its sites'.

Guarantees: `apply` is the only way this state changes; each site's facts feed that site's
part only; rebuilding folds every site's ledgers first and the control site's after, and
gives what following along gave (I8): what was published to all is folded from the house
alone, and nothing depends on how facts of two ledgers interleaved.
Leaves to others: tables for searching (views), deciding (decisions).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from isogenic.authority.people import Directory, DirectoryPublished
from isogenic.errors import NotFound
from isogenic.ids import BatchId, DeviationId, LotId, ProductId, RecipeId, SiteId
from isogenic.monitoring.facts import ModelPublished
from isogenic.quality.deviations import Deviation
from isogenic.quality.record import LotRecord, batch_of
from isogenic.quality.record import apply as apply_to_lot
from isogenic.quality.release import LotRejected, LotReleased, ReleaseRefused
from isogenic.quality.specifications import Specification, SpecificationPublished, read_specification
from isogenic.recipes.approval import RecipeAccepted, RecipeApproved, RecipeNotAccepted, RecipePublished, RecipeSubmitted
from isogenic.records.facts import Fact

__all__ = ["ControlState", "SiteView", "apply", "fold"]

NODE_STARTED, LINK_LOST = "sites.node_started", "sites.link_lost"  # by name: this room does not know the sites' room
RecipeKey = tuple[RecipeId, int]


@dataclass(frozen=True, slots=True)
class SiteView:
    """One site as its ledgers tell the control site."""

    started: datetime | None = None
    starts: int = 0
    outages: int = 0
    published: Mapping[RecipeKey, RecipePublished] = field(default_factory=dict)
    answers: Mapping[RecipeKey, RecipeAccepted | RecipeNotAccepted] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ControlState:
    """The network as its ledgers tell it."""

    directory: Directory | None = None
    submitted: Mapping[RecipeKey, RecipeSubmitted] = field(default_factory=dict)
    approvals: Mapping[RecipeKey, tuple[RecipeApproved, ...]] = field(default_factory=dict)
    specifications: Mapping[ProductId, Specification] = field(default_factory=dict)
    models: Mapping[ProductId, ModelPublished] = field(default_factory=dict)
    sites: Mapping[SiteId, SiteView] = field(default_factory=dict)
    lots: Mapping[BatchId, LotRecord] = field(default_factory=dict)
    decisions: Mapping[LotId, LotReleased | LotRejected] = field(default_factory=dict)
    refusals: Mapping[LotId, tuple[ReleaseRefused, ...]] = field(default_factory=dict)

    def lot(self, lot: LotId) -> LotRecord:
        """The record of a lot, or `NotFound`."""
        for record in self.lots.values():
            if record.lot == lot:
                return record
        raise NotFound(
            f"no lot {lot}", why="no site has told of it", possible=", ".join(str(each.lot) for each in self.lots.values() if each.lot) or "none"
        )

    def deviation(self, deviation: DeviationId) -> tuple[LotRecord, Deviation]:
        """A deviation and the record it belongs to, or `NotFound`."""
        for record in self.lots.values():
            if deviation in record.deviations:
                return record, record.deviations[deviation]
        raise NotFound(f"no deviation {deviation}", why="no site has told of it")

    def site(self, site: SiteId) -> SiteView:
        """One site's part."""
        return self.sites.get(site, SiteView())


def apply(state: ControlState, fact: Fact, *, site: SiteId | None) -> ControlState:
    """The state after one more fact. `site`: whose ledger, or which site's the control ledger is; None for the control site's house."""
    return fold(state, [fact], site=site)


def fold(state: ControlState, facts: Iterable[Fact], *, site: SiteId | None) -> ControlState:
    """The state after a run of facts of one ledger. The table of lots, which only grows, is copied once for the run, not for each fact."""
    lots = dict(state.lots)
    for fact in facts:
        if name := batch_of(fact):
            batch = BatchId(name)
            lots[batch] = apply_to_lot(lots.get(batch) or LotRecord(batch), fact)
        state = _beside_lots(state, fact, site)
    return replace(state, lots=lots)


def _beside_lots(state: ControlState, fact: Fact, site: SiteId | None) -> ControlState:
    payload = fact.payload
    match payload:
        case DirectoryPublished() if site is None:
            return replace(state, directory=payload.directory)
        case RecipeSubmitted():
            return replace(state, submitted={**state.submitted, (payload.recipe, payload.version): payload})
        case RecipeApproved():
            key = (payload.recipe, payload.version)
            return replace(state, approvals={**state.approvals, key: (*state.approvals.get(key, ()), payload)})
        case SpecificationPublished() if site is None:
            return replace(state, specifications={**state.specifications, payload.product: read_specification(payload.text)})
        case ModelPublished() if site is None:
            return replace(state, models={**state.models, payload.product: payload})
        case LotReleased() | LotRejected():
            return replace(state, decisions={**state.decisions, payload.lot: payload})
        case ReleaseRefused():
            return replace(state, refusals={**state.refusals, payload.lot: (*state.refusals.get(payload.lot, ()), payload)})
    if site is None:
        return state
    view = state.site(site)
    match payload:
        case RecipePublished():
            view = replace(view, published={**view.published, (payload.recipe, payload.version): payload})
        case RecipeAccepted() | RecipeNotAccepted():
            view = replace(view, answers={**view.answers, (payload.recipe, payload.version): payload})
        case _ if fact.kind == NODE_STARTED:
            view = replace(view, started=fact.at, starts=view.starts + 1)
        case _ if fact.kind == LINK_LOST:
            view = replace(view, outages=view.outages + 1)
        case _:
            return state
    return replace(state, sites={**state.sites, site: view})
