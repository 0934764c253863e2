"""What a site knows, folded from its facts and from those of the ledger written for it.

Guarantees: `apply` is the only way this state changes, live and after a restart alike, so
the same ledgers always give the same state (I8). Facts of different ledgers may be folded
in any interleaving: each part of the state is fed by one ledger only.
Leaves to others: deciding (loop, requests), durability (node).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from isogenic.authority.competence import CompetenceGranted, Competences, CompetenceWithdrawn
from isogenic.authority.competence import apply as grant
from isogenic.authority.entitlements import EntitlementEnded, EntitlementGranted, Entitlements
from isogenic.authority.entitlements import apply as entitle
from isogenic.authority.identities import (
    AccountLocked,
    AttemptsAcknowledged,
    KeyReplaced,
    PasskeyEnrolled,
    PasskeyRemoved,
    PersonDisabled,
    PersonEnabled,
    follow,
)
from isogenic.authority.people import Directory, DirectoryPublished
from isogenic.batches.counts import CountsNoted, Tally
from isogenic.batches.counts import follow as count
from isogenic.batches.engine import BatchState, orders, outputs
from isogenic.batches.engine import apply as apply_to_batch
from isogenic.batches.facts import BatchManifestNoted, BatchStarted
from isogenic.batches.serials import LabelsAccounted, LabelsIssued, Serials
from isogenic.batches.serials import follow as follow_labels
from isogenic.batches.state import of_batch_alone
from isogenic.errors import NotValid
from isogenic.ids import BatchId, LotId, ProductId, RecipeId, SampleId, SiteId, UnitId
from isogenic.laboratory.results import ResultReported, SampleDrawn
from isogenic.materials import clearance, lots, stock
from isogenic.materials.assemblies import AssembliesUsed
from isogenic.materials.changeover import ChangeoverPublished
from isogenic.materials.clearance import Line
from isogenic.materials.lots import Genealogy, LotCreated
from isogenic.materials.stock import Stock
from isogenic.monitoring.facts import ModelPublished, MonitoringEnded, MonitoringStarted
from isogenic.monitoring.lifecycle.facts import ModelAccepted, ModelNotAccepted, ModelReleased, MonitoringRefused
from isogenic.plant.drift import BatchDrifted, BatchDriftEnded, DriftEnded, DriftFound
from isogenic.plant.model import SitePlant
from isogenic.plant.services import ServiceOrder
from isogenic.plant.settings import ReleasedSet, SettingsReleased, load_settings
from isogenic.quality.deviations import DeviationOpened
from isogenic.quality.specifications import Specification, SpecificationPublished, read_specification
from isogenic.recipes.approval import RecipeAccepted, RecipeNotAccepted, RecipePublished, SiteDocumentApproved
from isogenic.recipes.pictures import PicturePublished
from isogenic.records.blocks import HouseReadingsSealed, ReadingsSealed
from isogenic.records.compiled import replaced
from isogenic.records.dossier import CONTROL, written_by
from isogenic.records.facts import Fact
from isogenic.records.gaps import ReadingsGap
from isogenic.records.signatures import Signature
from isogenic.sites.facts import DiskFilled, DiskFreed, WatermarkReceived
from isogenic.sites.permissions import Permissions

__all__ = ["SiteState", "apply", "apply_all"]

RecipeKey = tuple[RecipeId, int]
LOCKED_MAX = 20  # on the screen of tasks; every one is in the ledger


@dataclass(frozen=True, slots=True)
class SiteState:
    """One facility as its ledgers tell it."""

    plant: SitePlant
    directory: Directory | None = None  # from the control ledger, the newest
    published: Mapping[RecipeKey, RecipePublished] = field(default_factory=dict)  # from the control ledger
    site_approvals: Mapping[str, tuple[Signature, ...]] = field(default_factory=dict)  # under this site's own documents, by digest
    accepted: Mapping[RecipeKey, RecipeAccepted] = field(default_factory=dict)
    not_accepted: Mapping[RecipeKey, RecipeNotAccepted] = field(default_factory=dict)
    specifications: Mapping[ProductId, Specification] = field(default_factory=dict)  # the newest for each product
    pictures: Mapping[str, PicturePublished] = field(default_factory=dict)  # by digest: what questions of this site's recipes show
    models: Mapping[ProductId, ModelPublished] = field(default_factory=dict)  # the newest for each product
    released_models: Mapping[ProductId, ModelReleased] = field(default_factory=dict)  # by two people, the newest for each product
    model_answers: Mapping[str, ModelAccepted | ModelNotAccepted] = field(default_factory=dict)  # by digest
    unwatched: frozenset[BatchId] = frozenset()  # of which it was said that the released model may not judge them
    batches: Mapping[BatchId, BatchState] = field(default_factory=dict)
    lots: Mapping[LotId, LotCreated] = field(default_factory=dict)
    samples: Mapping[SampleId, SampleDrawn] = field(default_factory=dict)
    results: tuple[ResultReported, ...] = ()
    watched: Mapping[BatchId, str] = field(default_factory=dict)  # digest of the model that watches
    deviations: Mapping[BatchId, tuple[DeviationOpened, ...]] = field(default_factory=dict)
    tallies: Mapping[BatchId, Tally] = field(default_factory=dict)  # what modules of a batch have counted
    serials: Mapping[BatchId, Serials] = field(default_factory=dict)  # serialised labels
    manifests: frozenset[BatchId] = frozenset()  # batches whose manifest is noted
    watermarks: Mapping[str, int] = field(default_factory=dict)  # by ledger: what the control site holds twice
    sealed: Mapping[BatchId, tuple[ReadingsSealed, ...]] = field(default_factory=dict)  # blocks of each batch, in order
    gaps: Mapping[BatchId, tuple[ReadingsGap, ...]] = field(default_factory=dict)
    house_sealed: Mapping[UnitId, HouseReadingsSealed] = field(default_factory=dict)  # the newest of each unit, while no batch was on it
    entitlements: Entitlements = field(default_factory=Entitlements)  # those that the control site told this site of
    competences: Competences = field(default_factory=Competences)  # from the control ledger
    permission: Permissions = field(default_factory=Permissions)  # master files, licences, leases, and the clock to hold them against

    released_settings: ReleasedSet | None = None  # what the control site says this site's modules must be set to, the newest
    drifts: Mapping[str, DriftFound] = field(default_factory=dict)  # that stand, by `MODULE.setting`
    batch_drifts: Mapping[BatchId, Mapping[str, BatchDrifted]] = field(default_factory=dict)  # of each batch: that stand
    stock: Stock = field(default_factory=Stock)  # received lots, assemblies, and what other sites used
    genealogy: Genealogy = field(default_factory=Genealogy)
    lines: Mapping[UnitId, Line] = field(default_factory=dict)  # from the house
    changeover: ChangeoverPublished | None = None  # from the control ledger, the newest

    disk_full: bool = False
    locked: tuple[tuple[datetime, AccountLocked], ...] = ()  # when, and which: until somebody has looked, at most `LOCKED_MAX`

    @property
    def site(self) -> SiteId:
        """Which facility this is."""
        return self.plant.site

    def running(self) -> list[BatchState]:
        """Batches that are not closed, in order of their start."""
        return [batch for batch in self.batches.values() if not batch.closed]

    def on_unit(self, unit: UnitId) -> BatchState | None:
        """The batch that holds a unit now."""
        return next((batch for batch in self.running() if unit in batch.holds()), None)

    def outputs(self) -> dict[str, float]:
        """Every set-point in force, by tag: a function of noted facts only, so nothing is ever sent that was not noted (I3).

        The last set-points on a unit stay in force until another batch has it: an aborted batch is closed in the same scan
        that stops its feed. Its doses do not: they are done.
        """
        told: dict[str, float] = {}
        for unit, batch in self.newest_on().items():
            values = outputs(batch) if unit in batch.holds() else batch.setpoints
            told |= {tag: value for tag, value in values.items() if tag.startswith(f"{unit}.")}
        return told

    def newest_on(self) -> dict[UnitId, BatchState]:
        """Of each unit the batch that has it, or had it last; whichever ledger was folded first."""
        newest: dict[UnitId, tuple[tuple[bool, datetime, BatchId], BatchState]] = {}
        for batch in self.batches.values():
            for held in batch.units.values():
                rank = (held.unit in batch.holds(), held.at, batch.batch)
                if held.unit not in newest or newest[held.unit][0] < rank:
                    newest[held.unit] = (rank, batch)
        return {unit: batch for unit, (_, batch) in newest.items()}

    def orders(self) -> dict[str, ServiceOrder]:
        """What services are told, by `UNIT.service`."""
        return {tag: order for batch in self.running() for tag, order in orders(batch).items()}


def apply(state: SiteState, fact: Fact) -> SiteState:
    """The state after one more fact."""
    return apply_all(state, (fact,))


def apply_all(state: SiteState, facts: Iterable[Fact]) -> SiteState:
    """The state after these facts, one after another: the same as `apply` for each.

    A batch counts every fact about it; the site keeps what it needs of each kind. The batches and the permissions are put in
    place once, at the end: whatever else is kept depends on neither.
    """
    before, permission = state.batches, state.permission
    batches: dict[BatchId, BatchState] | None = None  # a table of our own, once one of them changes
    for fact in facts:
        permission = permission.after(fact)
        known = before if batches is None else batches
        if isinstance(fact.payload, BatchStarted) or fact.subject in known:
            batches = dict(known) if batches is None else batches
            batch = BatchId(fact.subject)
            batches[batch] = apply_to_batch(known.get(batch), fact)
        if not of_batch_alone(fact.payload):
            state = _kept(state, fact)
    if batches is None and permission is state.permission:
        return state
    return replaced(state, batches=before if batches is None else batches, permission=permission)


def _kept(state: SiteState, fact: Fact) -> SiteState:
    """What the site itself keeps of a fact."""
    payload = fact.payload
    if fact.kind.startswith("materials."):
        return _of_materials(state, fact)
    match payload:
        case DiskFilled() | DiskFreed():
            return replace(state, disk_full=isinstance(payload, DiskFilled))
        case DirectoryPublished() | PasskeyEnrolled() | PasskeyRemoved() | KeyReplaced() | PersonDisabled() | PersonEnabled():
            return replace(state, directory=follow(state.directory, payload))
        case AccountLocked():
            return replace(state, locked=(*state.locked, (fact.at, payload))[-LOCKED_MAX:])
        case AttemptsAcknowledged() if str(payload.node) == str(state.site):
            return replace(state, locked=())
        case SiteDocumentApproved():
            before = state.site_approvals.get(payload.digest, ())
            return replace(state, site_approvals={**state.site_approvals, payload.digest: (*before, payload.signature)})
        case RecipePublished():
            return replace(state, published={**state.published, (payload.recipe, payload.version): payload})
        case SpecificationPublished():
            return replace(state, specifications={**state.specifications, payload.product: read_specification(payload.text)})
        case PicturePublished():
            return replace(state, pictures={**state.pictures, payload.digest: payload})
        case ModelPublished():
            return replace(state, models={**state.models, payload.product: payload})
        case ModelReleased() if payload.site == state.site and written_by(fact.ref.ledger) == CONTROL:
            return replace(state, released_models={**state.released_models, payload.product: payload})
        case ModelAccepted() | ModelNotAccepted():
            return replace(state, model_answers={**state.model_answers, payload.digest: payload})
        case MonitoringRefused():
            return replace(state, unwatched=state.unwatched | {payload.batch})
        case RecipeAccepted():
            return replace(state, accepted={**state.accepted, (payload.recipe, payload.version): payload})
        case RecipeNotAccepted():
            return replace(state, not_accepted={**state.not_accepted, (payload.recipe, payload.version): payload})
        case LotCreated():
            return replace(state, lots={**state.lots, payload.lot: payload})
        case SampleDrawn():
            return replace(state, samples={**state.samples, payload.sample: payload})
        case ResultReported():
            return replace(state, results=(*state.results, payload))
        case CountsNoted():
            counted = count(state.tallies.get(payload.batch, Tally()), payload)
            return replace(state, tallies={**state.tallies, payload.batch: counted})
        case LabelsIssued() | LabelsAccounted():
            labels = follow_labels(state.serials.get(payload.batch, Serials()), payload)
            return replace(state, serials={**state.serials, payload.batch: labels})
        case MonitoringStarted():
            return replace(state, watched={**state.watched, payload.batch: payload.digest})
        case MonitoringEnded():
            return replace(state, watched={batch: digest for batch, digest in state.watched.items() if batch != payload.batch})
        case DeviationOpened():
            known = state.deviations.get(payload.batch, ())
            return replace(state, deviations={**state.deviations, payload.batch: (*known, payload)})
        case EntitlementGranted() | EntitlementEnded() if written_by(fact.ref.ledger) == CONTROL:  # a site entitles nobody
            return replace(state, entitlements=entitle(state.entitlements, fact))
        case CompetenceGranted() | CompetenceWithdrawn() if written_by(fact.ref.ledger) == CONTROL:  # nobody at a site says what they are able to do
            return replace(state, competences=grant(state.competences, payload))
        case BatchManifestNoted():
            return replace(state, manifests=state.manifests | {payload.batch})
        case SettingsReleased() if payload.site == state.site and written_by(fact.ref.ledger) == CONTROL:
            try:
                released = load_settings(payload.text, name=f"version {payload.version}")
            except NotValid:  # a text that cannot be read releases nothing
                return state
            return replace(state, released_settings=released)
        case DriftFound():
            return replace(state, drifts={**state.drifts, f"{payload.module}.{payload.setting}": payload})
        case DriftEnded():
            gone = f"{payload.module}.{payload.setting}"
            return replace(state, drifts={key: each for key, each in state.drifts.items() if key != gone})
        case BatchDrifted():
            marks = {**state.batch_drifts.get(payload.batch, {}), f"{payload.module}.{payload.setting}": payload}
            return replace(state, batch_drifts={**state.batch_drifts, payload.batch: marks})
        case BatchDriftEnded():
            gone = f"{payload.module}.{payload.setting}"
            left = {key: each for key, each in state.batch_drifts.get(payload.batch, {}).items() if key != gone}
            return replace(state, batch_drifts={**state.batch_drifts, payload.batch: left})
        case WatermarkReceived():
            return replace(state, watermarks={**state.watermarks, payload.ledger: payload.size})
        case ReadingsSealed():
            batch = BatchId(payload.batch)
            return replace(state, sealed={**state.sealed, batch: (*state.sealed.get(batch, ()), payload)})
        case ReadingsGap():
            batch = BatchId(payload.batch)
            return replace(state, gaps={**state.gaps, batch: (*state.gaps.get(batch, ()), payload)})
        case HouseReadingsSealed():
            return replace(state, house_sealed={**state.house_sealed, UnitId(payload.unit): payload})
    return state


def _of_materials(state: SiteState, fact: Fact) -> SiteState:
    """What came in, what was done with it, and where the lines stand. What other sites used and the matrix count from the control site only."""
    ours = written_by(fact.ref.ledger) != CONTROL
    match fact.payload:
        case ChangeoverPublished() as published:
            newer = state.changeover is None or state.changeover.version <= published.version
            return replace(state, changeover=published) if newer and not ours else state
        case AssembliesUsed() if ours:
            return state
    return replace(
        state,
        stock=stock.apply(state.stock, fact),
        genealogy=lots.apply(state.genealogy, fact),
        lines=clearance.apply(state.lines, fact),
    )
