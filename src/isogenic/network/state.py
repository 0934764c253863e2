"""What the control site knows, folded from its own ledgers and from its sites'.

Guarantees: `apply` is the only way this state changes, and it takes any fact without failing.
What a fact may say depends on where it stands: decisions, recipes, people, specifications
and models count from the control site's own ledgers only; evidence about a batch counts
only from the sponsor's ledger in which its own site claimed it. What is said anywhere else
is kept in `foreign`, to be seen, and changes no record, so no site can help or harm the lot of
another. Rebuilding folds every site's ledgers first and the control site's after, and
gives what following along gave (I8): a record is its own ledger's facts and then the
decisions on it, whichever arrived first, and who claimed a name first is noted in the house.
Leaves to others: tables for searching (views), deciding (decisions), whether signatures verify (decisions, release).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256

from isogenic.authority.commitments import CommitmentsPublished
from isogenic.authority.competence import CompetenceGranted, Competences, CompetenceWithdrawn
from isogenic.authority.competence import apply as grant
from isogenic.authority.entitlements import EntitlementEnded, EntitlementGranted, Entitlements
from isogenic.authority.entitlements import apply as entitle
from isogenic.authority.identities import KeyReplaced, PasskeyEnrolled, PasskeyRemoved, PersonDisabled, PersonEnabled, follow
from isogenic.authority.leases import LeaseGranted
from isogenic.authority.licences import LicenceApplied, LicenceChanged
from isogenic.authority.master_file import MasterFileAnswered, MasterFileApproved, MasterFilePublished, MasterFileSubmitted
from isogenic.authority.people import Directory, DirectoryPublished
from isogenic.authority.revocation import KeyHistory, KeyRevoked
from isogenic.errors import NotAllowed, NotFound
from isogenic.ids import BatchId, DeviationId, LotId, ProductId, RecipeId, SiteId
from isogenic.materials.changeover import ChangeoverPublished
from isogenic.materials.lots import MaterialUsed
from isogenic.monitoring.facts import ModelPublished
from isogenic.monitoring.lifecycle import register as model_register
from isogenic.monitoring.lifecycle.facts import ModelPutForward, ModelReleased, ModelSigned, ModelTested, TestDataRefused, TestDataUsed
from isogenic.network.authority_view import AuthorityView
from isogenic.network.facts import HeartbeatKept, PageRefused
from isogenic.network.stocks import Stocks
from isogenic.network.stocks import apply as apply_to_stocks
from isogenic.network.stocks import used as used_in
from isogenic.plant.drift import DriftEnded, DriftFound
from isogenic.plant.settings import SettingsReleased
from isogenic.quality.deviations import Deviation
from isogenic.quality.record import CLAIMS, DECISIONS, LotRecord, batch_of, names_an_unreadable_batch
from isogenic.quality.record import apply as apply_to_lot
from isogenic.quality.release import LotRejected, LotReleased, ReleaseRefused
from isogenic.quality.specifications import Specification, SpecificationPublished, read_specification
from isogenic.recipes.approval import (
    RecipeAccepted,
    RecipeApproved,
    RecipeNotAccepted,
    RecipePublished,
    RecipeSubmitted,
    SiteDocumentApproved,
    SiteDocumentSubmitted,
)
from isogenic.recipes.pictures import PicturePublished, PictureSubmitted
from isogenic.records import codec
from isogenic.records import facts as records
from isogenic.records.facts import Actor, Fact, UnknownPayload
from isogenic.records.healing import LedgerHealed
from isogenic.records.times import ClockMeasured, ClockStepped

__all__ = ["Announced", "ClaimRefused", "ControlState", "Place", "SiteView", "apply", "fold"]

CONTROL = "CONTROL"
# By name: this room does not know the sites' room.
BATCH_REFUSED = "sites.batch_refused"
NODE_STARTED, LINK_LOST, DISK_FILLED, DISK_FREED = "sites.node_started", "sites.link_lost", "sites.disk_filled", "sites.disk_freed"
FOREIGN_SHOWN = 100  # of each ledger: enough to see what is going on, whatever a site writes
# What only the control site says; the words of a site on these are kept as foreign.
OURS_TO_SAY = DECISIONS | {
    "authority.commitments_published",
    "authority.competence_granted",
    "authority.competence_withdrawn",
    "authority.directory_published",
    "authority.entitlement_ended",
    "authority.entitlement_granted",
    "authority.key_replaced",
    "authority.passkey_enrolled",
    "authority.passkey_removed",
    "authority.person_disabled",
    "authority.person_enabled",
    "authority.key_revoked",
    "materials.assemblies_used",
    "materials.changeover_approved",
    "materials.changeover_published",
    "materials.changeover_submitted",
    "authority.lease_granted",
    "authority.licence_applied",
    "authority.licence_changed",
    "authority.master_file_approved",
    "authority.master_file_published",
    "authority.master_file_submitted",
    "monitoring.model_published",
    "monitoring.model_put_forward",
    "monitoring.model_released",
    "monitoring.model_signed",
    "monitoring.model_tested",
    "monitoring.test_data_refused",
    "monitoring.test_data_used",
    "network.claim_refused",
    "plant.settings_released",
    "quality.release_refused",
    "quality.specification_published",
    "recipe.approved",
    "recipe.published",
    "recipe.site_document_approved",
    "recipe.site_document_submitted",
    "recipe.submitted",
}
RecipeKey = tuple[RecipeId, int]
Claim = tuple[str, BatchId]  # a ledger, and the batch that it says was started in it


@records.fact("network.claim_refused", subject="batch", house=True)
@dataclass(frozen=True, slots=True)
class ClaimRefused:
    """A site's ledger named a batch or a lot that was claimed in another record before: the name stays with the first."""

    batch: BatchId
    lot: LotId | None  # None where the claim names a batch only
    site: SiteId
    ledger: str
    held_by: str  # the ledger whose claim stands


@dataclass(frozen=True, slots=True)
class Place:
    """Where a fact stands, as the node that opened the ledger knows it; never as the fact itself says."""

    ledger: str
    site: SiteId | None  # whose copy it is, or which site our ledger is directed to; None: our house
    ours: bool
    sponsor: bool = False  # of a copy: a sponsor's ledger, in which batches are made


@dataclass(frozen=True, slots=True)
class Announced:
    """What our house holds and the ledger written for a site, or for every site, is to hold too (publishing)."""

    payload: records.Payload
    actor: Actor
    to: SiteId | None  # None: every site
    digest: str  # of kind and content


@dataclass(frozen=True, slots=True)
class SiteView:
    """One site as its ledgers tell the control site."""

    started: datetime | None = None
    starts: int = 0
    outages: int = 0
    disk_full: bool = False
    drifts: Mapping[str, tuple[datetime, DriftFound]] = field(default_factory=dict)  # that stand, by `MODULE.setting`, since when
    clock: ClockMeasured | None = None  # the newest measurement of its clock
    clock_at: datetime | None = None
    stepped: tuple[datetime, float] | None = None  # when its clock stepped last, and by how many seconds
    healed: tuple[datetime, LedgerHealed] | None = None  # the ledger of its that was healed last
    page_refused: datetime | None = None  # when a page of its was kept as evidence last
    published: Mapping[RecipeKey, RecipePublished] = field(default_factory=dict)
    answers: Mapping[RecipeKey, RecipeAccepted | RecipeNotAccepted] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ControlState:
    """The network as its ledgers tell it."""

    directory: Directory | None = None  # in force: as published, with every passkey, key and person that changed since
    published: Directory | None = None  # as the newest publication says it
    directories: tuple[Directory, ...] = ()  # every one that was: what was signed under it stays signed
    keys: KeyHistory = field(default_factory=KeyHistory)  # of the sites: the first ones, and what was revoked
    submitted: Mapping[RecipeKey, RecipeSubmitted] = field(default_factory=dict)
    approvals: Mapping[RecipeKey, tuple[RecipeApproved, ...]] = field(default_factory=dict)
    site_documents: Mapping[tuple[SiteId, RecipeId, int], SiteDocumentSubmitted] = field(default_factory=dict)  # the newest of each
    site_approvals: Mapping[str, tuple[SiteDocumentApproved, ...]] = field(default_factory=dict)  # by digest
    specifications: Mapping[ProductId, Specification] = field(default_factory=dict)
    pictures: Mapping[str, PictureSubmitted] = field(default_factory=dict)  # by digest
    models: Mapping[ProductId, ModelPublished] = field(default_factory=dict)
    monitors: model_register.Register = field(default_factory=model_register.Register)  # monitoring models from their intended use to their release
    released_settings: Mapping[SiteId, SettingsReleased] = field(default_factory=dict)  # what each site's modules must be set to, the newest
    sites: Mapping[SiteId, SiteView] = field(default_factory=dict)
    evidence: Mapping[Claim, LotRecord] = field(default_factory=dict)  # what each ledger says of the batches started in it
    directed: Mapping[tuple[SiteId, BatchId], tuple[Fact, ...]] = field(default_factory=dict)  # what was decided here on a site's batch
    heartbeats: Mapping[SiteId, str] = field(default_factory=dict)  # the newest kept of each site
    refused: frozenset[Claim] = frozenset()  # claims that came second
    lots: Mapping[BatchId, LotRecord] = field(default_factory=dict)  # evidence and then decisions: what everybody looks at
    foreign: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by ledger: the first words on what is not its to say
    decisions: Mapping[LotId, LotReleased | LotRejected] = field(default_factory=dict)
    refusals: Mapping[LotId, tuple[ReleaseRefused, ...]] = field(default_factory=dict)
    entitlements: Entitlements = field(default_factory=Entitlements)  # who may have which ledger
    competences: Competences = field(default_factory=Competences)  # who is trained for what
    stocks: Stocks = field(default_factory=Stocks)  # materials at every site, and what went into what
    authority: AuthorityView = field(default_factory=AuthorityView)  # master files, licences, leases, commitments
    announced: tuple[Announced, ...] = ()  # what our house says for sites, in order
    told: Mapping[SiteId, tuple[str, ...]] = field(default_factory=dict)  # digests of such facts in the ledger written for each

    def lot(self, lot: LotId) -> LotRecord:
        """The record of a lot, or `NotFound`."""
        claimed = [record for record in self.lots.values() if record.lot == lot]
        if claimed:
            return min(claimed, key=lambda record: self.rank((record.ledger, record.batch)))
        raise NotFound(
            f"no lot {lot}", why="no site has told of it", possible=", ".join(str(each.lot) for each in self.lots.values() if each.lot) or "none"
        )

    def deviation(self, deviation: DeviationId, *, batch: BatchId | None = None) -> tuple[LotRecord, Deviation]:
        """A deviation and the record it belongs to, or `NotFound`; `NotAllowed` where several batches have one of that name."""
        found = [record for record in self.lots.values() if deviation in record.deviations and batch in (None, record.batch)]
        if not found:
            raise NotFound(f"no deviation {deviation}", why="no site has told of it")
        if len(found) > 1:
            batches = ", ".join(sorted(record.batch for record in found))
            raise NotAllowed(f"cannot tell which {deviation} is meant", why=f"{batches} have one each", possible="name the batch")
        return found[0], found[0].deviations[deviation]

    def site(self, site: SiteId) -> SiteView:
        """One site's part."""
        return self.sites.get(site, SiteView())

    def rank(self, claim: Claim) -> tuple[bool, str, int, BatchId]:
        """The lowest of several claims on one name stands. Which came first is noted in the house.

        Without that note they arrived together: in one ledger by position, in several by the ledgers' names, never by the
        sites' clocks.
        """
        return claim in self.refused, claim[0], self.evidence[claim].first, claim[1]

    def rivals(self, claims: Iterable[Claim]) -> dict[Claim, list[Claim]]:
        """Of each of these claims: the others on its batch or on its lot that were not refused."""
        named = _named(self)
        return {
            claim: [other for name in _names(claim, self.evidence[claim]) for other in named[name] if other != claim and other not in self.refused]
            for claim in claims
        }


def _names(claim: Claim, record: LotRecord) -> list[tuple[str, str]]:
    """What a claim takes: the name of a batch, and that of a lot."""
    return [("batch", claim[1])] + ([("lot", record.lot)] if record.lot is not None else [])


def _named(state: ControlState) -> dict[tuple[str, str], list[Claim]]:
    """Every claim by each name that it takes."""
    found: dict[tuple[str, str], list[Claim]] = {}
    for claim, record in state.evidence.items():
        for name in _names(claim, record):
            found.setdefault(name, []).append(claim)
    return found


def apply(state: ControlState, fact: Fact, *, place: Place) -> ControlState:
    """The state after one more fact."""
    return fold(state, [fact], place=place)


def fold(state: ControlState, facts: Iterable[Fact], *, place: Place) -> ControlState:
    """The state after a run of facts of one ledger. The tables of batches, which only grow, are copied once for the run, not for each fact."""
    evidence, directed = dict(state.evidence), dict(state.directed)
    touched: set[BatchId] = set()
    for fact in facts:
        name = batch_of(fact)
        claim = (place.ledger, BatchId(name)) if name else None
        if fact.kind.startswith("materials."):
            stocks = apply_to_stocks(state.stocks, fact, site=place.site, ours=place.ours, sponsor=place.sponsor)
            state = state if stocks is state.stocks else replace(state, stocks=stocks)
        if place.ours:
            state = _announced(state, fact, place)
            state = _of_house(state, fact) if place.site is None else _of_directed(state, fact, place.site, evidence)
            if claim is not None and place.site is not None:
                directed[place.site, claim[1]] = (*directed.get((place.site, claim[1]), ()), fact)
            if claim is not None:  # our house speaks of batches where it refuses a claim
                touched.add(claim[1])
        elif fact.kind in OURS_TO_SAY and claim not in evidence:
            state = _foreign(state, fact, place, "a site does not say that")
        elif claim is not None and (known := _claimed(evidence, fact, claim, place)) is not None:
            unseen = evidence.get(claim)
            evidence[claim] = apply_to_lot(known, fact)
            if isinstance(fact.payload, MaterialUsed) and fact.payload.lot == evidence[claim].lot:
                state = replace(state, stocks=used_in(state.stocks, fact))
            touched.add(claim[1])
            if (unseen is None or unseen.lot is None) and evidence[claim].lot is not None:
                state = _decided_before(state, place.site, claim[1], before=evidence | {claim: known}, evidence=evidence, directed=directed)
        elif claim is not None:
            state = _foreign(state, fact, place, f"{claim[1]} was not started in this ledger")
        elif names_an_unreadable_batch(fact):
            state = _foreign(state, fact, place, "it names a batch that nobody can read")
        else:
            state = _of_site(state, fact, place)
    return _seen(replace(state, evidence=evidence, directed=directed), touched)


def _decided_before(
    state: ControlState,
    site: SiteId | None,
    batch: BatchId,
    *,
    before: Mapping[Claim, LotRecord],
    evidence: Mapping[Claim, LotRecord],
    directed: Mapping[tuple[SiteId, BatchId], tuple[Fact, ...]],
) -> ControlState:
    """What was decided here on a lot before its record was seen: a copy that was damaged gets its facts a second time, after our own were folded."""
    if site is None:
        return state
    for fact in directed.get((site, batch), ()):
        payload = fact.payload
        if isinstance(payload, LotReleased | LotRejected | ReleaseRefused) and not _is_of(payload, site, before):
            state = _of_directed(state, fact, site, evidence)
    return state


def _claimed(evidence: Mapping[Claim, LotRecord], fact: Fact, claim: Claim, place: Place) -> LotRecord | None:
    """The record that a site's fact belongs to, begun by the first fact that claims the batch; None where it belongs to none."""
    known = evidence.get(claim)
    if known is None and place.sponsor and fact.kind in CLAIMS and not isinstance(fact.payload, UnknownPayload):
        return LotRecord(claim[1], site=place.site, ledger=place.ledger, first=fact.position)
    return known


def _seen(state: ControlState, touched: set[BatchId]) -> ControlState:
    """The records of the touched batches, and of those whose lots they share, made anew."""
    if not touched:
        return state
    named = _named(state)
    shared = {
        other[1]
        for batch in touched
        for claim in named.get(("batch", batch), ())
        for name in _names(claim, state.evidence[claim])
        for other in named[name]
    }
    return replace(state, lots={**state.lots, **{batch: _record(state, batch, named) for batch in shared}})


def _record(state: ControlState, batch: BatchId, named: Mapping[tuple[str, str], list[Claim]]) -> LotRecord:
    claim = min(named["batch", batch], key=state.rank)
    record = state.evidence[claim]
    for fact in state.directed.get((record.site, batch), ()) if record.site else ():
        record = apply_to_lot(record, fact)
    if record.lot is not None and (first := min(named["lot", record.lot], key=state.rank)) != claim:
        record = replace(record, strange=(*record.strange, f"{record.lot} was claimed before, in {first[0]}"))
    return record


def _foreign(state: ControlState, fact: Fact, place: Place, why: str) -> ControlState:
    kept = state.foreign.get(place.ledger, ())
    if len(kept) >= FOREIGN_SHOWN:
        return state
    return replace(state, foreign={**state.foreign, place.ledger: (*kept, f"{fact.kind[:80]} at {fact.ref}: {why}")})


def _announced(state: ControlState, fact: Fact, place: Place) -> ControlState:
    """What is said in the house for sites, and what each site was told of it."""
    payload, to = fact.payload, None
    match payload:
        case DirectoryPublished() | SpecificationPublished() | ModelPublished() | ChangeoverPublished():
            pass
        case PasskeyEnrolled() | PasskeyRemoved() | KeyReplaced() | PersonDisabled() | PersonEnabled():
            pass
        case CompetenceGranted() | CompetenceWithdrawn():
            pass
        case KeyRevoked() | RecipePublished() | SiteDocumentApproved() | PicturePublished() | SettingsReleased() | ModelReleased():
            to = payload.site
        case MasterFilePublished() | LicenceApplied() | LicenceChanged():
            to = payload.site
        case EntitlementGranted() | EntitlementEnded() if payload.signature is not None and (site := _writer(payload.ledger)) is not None:
            to = site
        case _:
            return state
    digest = sha256(fact.kind.encode() + b"\n" + codec.dumps(codec.plain(payload))).hexdigest()
    if place.site is None:
        return replace(state, announced=(*state.announced, Announced(payload, fact.actor, to, digest)))
    return replace(state, told={**state.told, place.site: (*state.told.get(place.site, ()), digest)})


def _writer(origin: str) -> SiteId | None:
    """The site that writes a ledger; None of one of ours."""
    name = origin.split("/")[-2] if origin.count("/") >= 2 else CONTROL
    return SiteId(name) if name != CONTROL else None


def _of_house(state: ControlState, fact: Fact) -> ControlState:
    payload = fact.payload
    match payload:
        case DirectoryPublished():
            return _with_directory(replace(state, published=payload.directory, keys=state.keys.after(fact)), payload)
        case KeyRevoked():
            kept = {site: note for site, note in state.heartbeats.items() if site != payload.site}  # nobody knows who told it
            return replace(state, keys=state.keys.after(fact), heartbeats=kept)
        case PasskeyEnrolled() | PasskeyRemoved() | KeyReplaced() | PersonDisabled() | PersonEnabled():
            return _with_directory(state, payload)
        case RecipeSubmitted():
            return replace(state, submitted={(payload.recipe, payload.version): payload, **state.submitted})  # the first text of a version stays
        case RecipeApproved():
            key = (payload.recipe, payload.version)
            return replace(state, approvals={**state.approvals, key: (*state.approvals.get(key, ()), payload)})
        case SiteDocumentSubmitted():
            return replace(state, site_documents={**state.site_documents, (payload.site, payload.recipe, payload.version): payload})
        case SiteDocumentApproved():
            return replace(state, site_approvals={**state.site_approvals, payload.digest: (*state.site_approvals.get(payload.digest, ()), payload)})
        case SpecificationPublished():
            return replace(state, specifications={**state.specifications, payload.product: read_specification(payload.text)})
        case PictureSubmitted():
            return replace(state, pictures={**state.pictures, payload.digest: payload})
        case ModelPublished():
            return replace(state, models={**state.models, payload.product: payload})
        case ModelPutForward() | TestDataUsed() | TestDataRefused() | ModelTested() | ModelSigned() | ModelReleased():
            return replace(state, monitors=model_register.apply(state.monitors, payload))
        case SettingsReleased():
            return replace(state, released_settings={**state.released_settings, payload.site: payload})
        case CompetenceGranted() | CompetenceWithdrawn():
            return replace(state, competences=grant(state.competences, payload))
        case MasterFileSubmitted() | MasterFileApproved() | MasterFilePublished() | LicenceApplied() | LicenceChanged() | CommitmentsPublished():
            return replace(state, authority=state.authority.after(fact))
        case EntitlementGranted() | EntitlementEnded():
            return replace(state, entitlements=entitle(state.entitlements, fact))
        case HeartbeatKept():
            return replace(state, heartbeats={**state.heartbeats, payload.site: payload.note})
        case PageRefused():
            view = replace(state.site(payload.site), page_refused=fact.at)
            return replace(state, sites={**state.sites, payload.site: view})
        case ClaimRefused():
            return replace(state, refused=state.refused | {(payload.ledger, payload.batch)})
    return state


def _with_directory(state: ControlState, payload: records.Payload) -> ControlState:
    after = follow(state.directory, payload)
    if after is None or after is state.directory:
        return state
    return replace(state, directory=after, directories=(*state.directories, after))


def _of_directed(state: ControlState, fact: Fact, site: SiteId, evidence: Mapping[Claim, LotRecord]) -> ControlState:
    payload = fact.payload
    match payload:
        case LeaseGranted():
            return replace(state, authority=state.authority.leased(fact))
        case RecipePublished():
            view = state.site(site)
            view = replace(view, published={**view.published, (payload.recipe, payload.version): payload})
            return replace(state, sites={**state.sites, site: view})
        case LotReleased() | LotRejected() | ReleaseRefused() if not _is_of(payload, site, evidence):
            return state  # of another batch than the lot's: the batch's record calls it strange
        case LotReleased() | LotRejected():
            return replace(state, decisions={payload.lot: payload, **state.decisions})  # a lot is decided on once
        case ReleaseRefused():
            return replace(state, refusals={**state.refusals, payload.lot: (*state.refusals.get(payload.lot, ()), payload)})
    return state


def _is_of(payload: LotReleased | LotRejected | ReleaseRefused, site: SiteId, evidence: Mapping[Claim, LotRecord]) -> bool:
    return any(batch == payload.batch and (record.site, record.lot) == (site, payload.lot) for (_, batch), record in evidence.items())


def _of_site(state: ControlState, fact: Fact, place: Place) -> ControlState:
    assert place.site is not None  # every copy is some site's
    view, payload = state.site(place.site), fact.payload
    match payload:
        case RecipeAccepted() | RecipeNotAccepted() if place.sponsor or isinstance(
            payload, RecipeNotAccepted
        ):  # for a sponsor without a ledger: in the house
            view = replace(view, answers={**view.answers, (payload.recipe, payload.version): payload})
        case _ if fact.kind == BATCH_REFUSED:
            return replace(state, authority=state.authority.refusal(place.site, fact.at))
        case MasterFileAnswered() if payload.site == place.site:
            return replace(state, authority=state.authority.answered(payload))
        case _ if fact.kind == NODE_STARTED and not place.sponsor:
            view = replace(view, started=fact.at, starts=view.starts + 1)
        case _ if place.sponsor:  # what follows is said in the house only
            return state
        case ClockMeasured():
            view = replace(view, clock=payload, clock_at=fact.at)
        case ClockStepped():
            view = replace(view, stepped=(fact.at, payload.by_s))
        case LedgerHealed():
            view = replace(view, healed=(fact.at, payload))
        case DriftFound():
            view = replace(view, drifts={**view.drifts, f"{payload.module}.{payload.setting}": (fact.at, payload)})
        case DriftEnded():
            gone = f"{payload.module}.{payload.setting}"
            view = replace(view, drifts={key: each for key, each in view.drifts.items() if key != gone})
        case _ if fact.kind in (DISK_FILLED, DISK_FREED):
            view = replace(view, disk_full=fact.kind == DISK_FILLED)
        case _ if fact.kind == LINK_LOST:
            view = replace(view, outages=view.outages + 1)
        case _:
            return state
    return replace(state, sites={**state.sites, place.site: view})
