"""The record of one lot, folded from every fact about it.

Guarantees: `apply` is the only way a `LotRecord` changes; it takes any fact in any order
without failing, and what does not fit (an answer to nothing, a disposition of a deviation
never opened, a fact of a newer version) is kept in `strange`, which stops release. The
same facts always give the same record (I8). A decision counts only where another ledger
than the site's holds it, evidence only where the ledger in which the batch was started does.
Leaves to others: which ledgers to fold (network: the site's for this sponsor and the
control site's for this site; when rebuilding, the site's first), and whether they were witnessed; what the record means (release).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from isogenic.batches.counts import Tally, follow
from isogenic.batches.serials import Serials
from isogenic.batches.serials import follow as follow_labels
from isogenic.clock import ClockQuality
from isogenic.errors import NotAllowed, NotValid
from isogenic.ids import BatchId, DeviationId, LotId, PersonId, ProductId, PromptId, RecipeId, SampleId, SiteId, UnitId
from isogenic.laboratory.results import ResultReported, SampleDrawn
from isogenic.materials.lots import LotCommand, LotState, MaterialUsed, next_state
from isogenic.quality.deviations import Deviation, DeviationState
from isogenic.quality.trail_review import TrailReviewed
from isogenic.records.facts import Fact, UnknownPayload

__all__ = [
    "CLAIMS",
    "DECISIONS",
    "Gap",
    "LotRecord",
    "Manifest",
    "SealedBlock",
    "apply",
    "batch_of",
    "fold_lot",
    "fold_lots",
    "names_an_unreadable_batch",
]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the closing fact claims, and what was counted here up to it."""

    claimed: int
    counted: int
    outcome: str


@dataclass(frozen=True, slots=True)
class SealedBlock:
    """One sealed block of readings, as its fact names it."""

    digest: str
    rows: int
    first: datetime
    last: datetime
    number: int = 1
    start: int = 0
    ends: bool = True
    missing: int = 0  # readings in it that are bad, or not there


@dataclass(frozen=True, slots=True)
class Gap:
    """Readings that are missing, as the site noted it."""

    tags: tuple[str, ...]
    first: datetime
    last: datetime
    missing: int
    why: str


@dataclass(frozen=True, slots=True)
class LotRecord:
    """Everything that is known of one batch and the lot it yields."""

    batch: BatchId
    lot: LotId | None = None
    product: ProductId | None = None
    site: SiteId | None = None
    unit: UnitId | None = None
    recipe: RecipeId | None = None
    recipe_version: int = 0
    recipe_digest: str = ""
    ledger: str = ""  # the site's, in which the batch was started
    first: int = 0  # position there of the fact with which the record begins
    counts: Mapping[str, int] = field(default_factory=dict)  # by ledger: facts whose subject is the batch, so far
    reaches: Mapping[str, int] = field(default_factory=dict)  # by ledger: one more than the last position that is about the batch
    started_at: datetime | None = None
    closed_at: datetime | None = None
    manifest: Manifest | None = None
    operators: frozenset[PersonId] = frozenset()
    open_prompts: Mapping[PromptId, str] = field(default_factory=dict)
    to_witness: frozenset[PromptId] = frozenset()  # questions that a second person signs, too
    answered: int = 0
    alarms: int = 0
    samples: Mapping[SampleId, SampleDrawn] = field(default_factory=dict)
    results: tuple[ResultReported, ...] = ()
    deviations: Mapping[DeviationId, Deviation] = field(default_factory=dict)
    materials: tuple[MaterialUsed, ...] = ()
    blocks: tuple[SealedBlock, ...] = ()
    gaps: tuple[Gap, ...] = ()
    monitored: tuple[int, int] | None = None  # scans judged and not judged, once the monitor has ended
    lot_state: LotState | None = None  # None: no lot was created yet
    reviews: tuple[TrailReviewed, ...] = ()  # of the audit trail
    readings: Mapping[str, int] = field(default_factory=dict)  # of each tag: good or uncertain, in the blocks so far
    manifest_due: bool = False  # the closing fact says that a manifest of the whole record follows
    listed: tuple[str, ...] | None = None  # once it is here: its lines that are not as they are held
    clock_steps: tuple[float, ...] = ()  # seconds, of the site's clock while the batch ran
    poor_clock: int = 0  # facts noted under a clock that was not known to be good
    tally: Tally = field(default_factory=Tally)  # containers and labels that modules have counted
    serials: Serials = field(default_factory=Serials)  # serialised labels
    strange: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The lot, or the batch while there is none."""
        return str(self.lot or self.batch)

    @property
    def size_needed(self) -> int:
        """How many facts of the site's ledger hold the whole record: so many must be witnessed."""
        return self.reaches.get(self.ledger, 0)

    def open_deviations(self) -> tuple[Deviation, ...]:
        """Those that nobody has disposed of."""
        return tuple(each for each in self.deviations.values() if each.state is DeviationState.OPEN)


DECISIONS = frozenset(
    {"quality.deviation_disposed", "quality.lot_released", "quality.lot_rejected", "quality.trail_reviewed"}
)  # the control site's to write
CLAIMS = frozenset({"batch.started", "lot.created"})  # the facts with which a record begins; a lot may be created just before its batch starts

Step = Callable[[LotRecord, Any, Fact], LotRecord]


def batch_of(fact: Fact) -> str:
    """The batch a fact is about, or an empty text: what says which record it belongs to. A name that is none is an empty text."""
    name = _batch_named(fact)
    try:
        return BatchId(name) if name else ""
    except NotValid:
        return ""


def names_an_unreadable_batch(fact: Fact) -> bool:
    """Whether a fact means to be about a batch, under a name that no batch can have."""
    return bool(_batch_named(fact)) and not batch_of(fact)


def _batch_named(fact: Fact) -> Any:
    if isinstance(fact.payload, UnknownPayload):
        return fact.payload.body.get("batch") or (fact.subject if fact.subject.startswith(BatchId.prefix) else "")
    return getattr(fact.payload, "batch", "")


def apply(record: LotRecord, fact: Fact) -> LotRecord:
    """Fold one fact; facts about other batches change nothing."""
    if batch_of(fact) != record.batch:
        return record
    if fact.kind in _EVIDENCE and record.ledger and fact.ref.ledger != record.ledger:
        return _strange(record, fact, "the batch was not started in this ledger")
    record = _count(record, fact)
    if isinstance(fact.payload, UnknownPayload):
        return _strange(record, fact, "its kind or version is not known here")
    if fact.kind in DECISIONS and fact.ref.ledger == record.ledger:
        return _strange(record, fact, "a site does not decide on its own lots")
    step = _STEPS.get(fact.kind)
    return step(record, fact.payload, fact) if step else record


def fold_lot(facts: Iterable[Fact], *, batch: BatchId) -> LotRecord:
    """The record of one batch after these facts."""
    record = LotRecord(batch)
    for each in facts:
        record = apply(record, each)
    return record


def fold_lots(facts: Iterable[Fact]) -> dict[BatchId, LotRecord]:
    """The records of every batch that these facts are about, in the order they first appear."""
    records: dict[BatchId, LotRecord] = {}
    for each in facts:
        name = batch_of(each)
        if name:
            batch = BatchId(name)
            records[batch] = apply(records.get(batch) or LotRecord(batch), each)
    return records


def _count(record: LotRecord, fact: Fact) -> LotRecord:
    ledger, about_batch = fact.ref.ledger, fact.subject == record.batch
    operators = record.operators
    if about_batch and fact.actor.role != "node":
        operators = _with_person(operators, fact.actor.id)
    return replace(
        record,
        counts={**record.counts, ledger: record.counts.get(ledger, 0) + about_batch},
        reaches={**record.reaches, ledger: max(record.reaches.get(ledger, 0), fact.position + 1)},
        operators=operators,
        poor_clock=record.poor_clock + (about_batch and fact.moment.quality in (ClockQuality.POOR, ClockQuality.UNKNOWN)),
    )


def _with_person(people: frozenset[PersonId], name: str) -> frozenset[PersonId]:
    try:
        return people | {PersonId(name)}
    except NotValid:
        return people  # a node that acts under a role of its own is nobody who could sign


def _strange(record: LotRecord, fact: Fact, why: str) -> LotRecord:
    return replace(record, strange=(*record.strange, f"{fact.kind} at {fact.ref}: {why}"))


def _started(record: LotRecord, payload: Any, fact: Fact) -> LotRecord:
    if record.started_at is not None:
        return _strange(record, fact, "the batch was started before")
    if record.lot not in (None, payload.lot):
        record = _strange(record, fact, f"it names {payload.lot}, the lot that was created is {record.lot}")
    return replace(
        record,
        ledger=fact.ref.ledger,
        lot=record.lot or payload.lot,
        product=payload.product,
        recipe=payload.recipe,
        recipe_version=payload.version,
        recipe_digest=payload.recipe_digest,
        unit=payload.unit,
        started_at=fact.at,
    )


def _lot_created(record: LotRecord, payload: Any, fact: Fact) -> LotRecord:
    if record.lot_state is not None:
        return _strange(record, fact, "a lot was created before")
    if record.lot not in (None, payload.lot):
        return _strange(record, fact, f"the batch was started for {record.lot}")
    if record.site not in (None, payload.site):
        return _strange(record, fact, f"it names {payload.site}, the ledger is that of {record.site}")
    return replace(record, lot=payload.lot, product=record.product or payload.product, site=payload.site, lot_state=LotState.QUARANTINE)


def _asked(record: LotRecord, payload: Any, fact: Fact) -> LotRecord:
    to_witness = record.to_witness | {payload.prompt} if payload.how.witness else record.to_witness
    return replace(record, open_prompts={**record.open_prompts, payload.prompt: payload.text}, to_witness=to_witness)


def _answered(record: LotRecord, payload: Any, fact: Fact) -> LotRecord:
    if payload.prompt not in record.open_prompts:
        return _strange(record, fact, f"{payload.prompt} was not asked")
    if payload.prompt in record.to_witness:  # it counts once a second person has signed
        return replace(record, operators=record.operators | {payload.by})
    return _settled(record, payload)


def _took_part(record: LotRecord, payload: Any, fact: Fact) -> LotRecord:
    """Who witnessed, declined or corrected had a hand in the batch."""
    record = replace(record, operators=record.operators | {payload.by})
    if fact.kind == "batch.answer_corrected" and not payload.answer and payload.prompt not in record.open_prompts:  # taken back
        return replace(record, open_prompts={**record.open_prompts, payload.prompt: payload.why}, answered=record.answered - 1)
    return _settled(record, payload) if fact.kind == "batch.prompt_witnessed" and payload.prompt in record.open_prompts else record


def _settled(record: LotRecord, payload: Any) -> LotRecord:
    left = {prompt: text for prompt, text in record.open_prompts.items() if prompt != payload.prompt}
    return replace(record, open_prompts=left, answered=record.answered + 1, operators=record.operators | {payload.by})


def _alarm(record: LotRecord, payload: Any, fact: Fact) -> LotRecord:
    return replace(record, alarms=record.alarms + 1)


def _closed(record: LotRecord, payload: Any, fact: Fact) -> LotRecord:
    if record.manifest is not None:
        return _strange(record, fact, "the batch was closed before")
    if fact.ref.ledger != record.ledger:
        return _strange(record, fact, "the batch was not started before")
    if record.lot not in (None, payload.lot):
        return _strange(record, fact, f"it names {payload.lot}, the batch was started for {record.lot}")
    manifest = Manifest(payload.facts, record.counts[fact.ref.ledger], str(payload.outcome))
    return replace(record, manifest_due=getattr(payload, "manifest", False), manifest=manifest, closed_at=fact.at)


def _clock_corrected(record: LotRecord, payload: Any, fact: Fact) -> LotRecord:
    return replace(record, clock_steps=(*record.clock_steps, payload.by_s))


def _counted(record: LotRecord, payload: Any, fact: Fact) -> LotRecord:
    return replace(record, tally=follow(record.tally, payload))


def _labelled(record: LotRecord, payload: Any, fact: Fact) -> LotRecord:
    return replace(record, serials=follow_labels(record.serials, payload))


def _monitoring_ended(record: LotRecord, payload: Any, fact: Fact) -> LotRecord:
    return replace(record, monitored=(payload.judged, payload.not_judged))


def _sample(record: LotRecord, payload: Any, fact: Fact) -> LotRecord:
    if payload.sample in record.samples:
        return _strange(record, fact, f"{payload.sample} was drawn before")
    return replace(record, samples={**record.samples, payload.sample: payload})


def _result(record: LotRecord, payload: Any, fact: Fact) -> LotRecord:
    if payload.sample not in record.samples:
        record = _strange(record, fact, f"{payload.sample} was not drawn from this batch")
    if any(each.sample == payload.sample and each.attribute == payload.attribute for each in record.results):
        record = _strange(record, fact, f"{payload.attribute} of {payload.sample} was reported before")
    return replace(record, results=(*record.results, payload))  # it is judged all the same: a strange failure is a failure


def _material(record: LotRecord, payload: Any, fact: Fact) -> LotRecord:
    return replace(record, materials=(*record.materials, payload))


def _block(record: LotRecord, payload: Any, fact: Fact) -> LotRecord:
    block = SealedBlock(payload.digest, payload.rows, payload.first, payload.last, payload.number, payload.start, payload.ends, sum(payload.bad))
    readings = dict(record.readings)
    for tag, good, poor in zip(payload.tags, payload.good, payload.uncertain, strict=False):
        readings[tag] = readings.get(tag, 0) + good + poor
    return replace(record, blocks=(*record.blocks, block), readings=readings)


def _listed(record: LotRecord, payload: Any, fact: Fact) -> LotRecord:
    """Every line of the site's manifest against what is held here, at the place where it stands."""
    lines = (
        ("facts", payload.facts, record.counts[fact.ref.ledger]),
        ("reading blocks", payload.blocks, tuple(block.digest for block in record.blocks)),
        ("rows of readings", payload.rows, sum(block.rows for block in record.blocks)),
        ("samples", sorted(payload.samples), sorted(map(str, record.samples))),
        ("prompts", (payload.asked, payload.answered), (record.answered + len(record.open_prompts), record.answered)),
        ("deviations", payload.deviations, len(record.deviations)),
        *((f"readings of {tag}", payload.readings.get(tag, 0), record.readings.get(tag, 0)) for tag in sorted({*payload.readings, *record.readings})),
    )
    wrong = [f"{what}: the manifest says {str(said)[:80]}, {str(held)[:80]} are held" for what, said, held in lines if said != held]
    return replace(record, listed=tuple(wrong))


def _gap(record: LotRecord, payload: Any, fact: Fact) -> LotRecord:
    return replace(record, gaps=(*record.gaps, Gap(payload.tags, payload.first, payload.last, payload.missing, str(payload.why))))


def _deviation_opened(record: LotRecord, payload: Any, fact: Fact) -> LotRecord:
    if payload.deviation in record.deviations:
        return _strange(record, fact, f"{payload.deviation} was opened before")
    if record.site not in (None, payload.site):
        record = _strange(record, fact, f"it names {payload.site}, the batch is of {record.site}")
    return replace(record, deviations={**record.deviations, payload.deviation: Deviation(payload)})


def _deviation_disposed(record: LotRecord, payload: Any, fact: Fact) -> LotRecord:
    found = record.deviations.get(payload.deviation)
    if found is None or found.state is not DeviationState.OPEN:
        return _strange(record, fact, f"{payload.deviation} is not open")
    return replace(record, deviations={**record.deviations, payload.deviation: Deviation(found.opened, payload)})


def _reviewed(record: LotRecord, payload: Any, fact: Fact) -> LotRecord:
    if payload.lot != record.lot or payload.ledger != record.ledger:
        return _strange(record, fact, f"it reviews {payload.lot} in {payload.ledger}")
    return replace(record, reviews=(*record.reviews, payload))


def _decided(command: LotCommand) -> Step:
    def step(record: LotRecord, payload: Any, fact: Fact) -> LotRecord:
        if record.lot_state is None or payload.lot != record.lot:
            return _strange(record, fact, f"{payload.lot} was not created")
        try:
            return replace(record, lot_state=next_state(record.lot_state, command, lot=payload.lot))
        except NotAllowed as trouble:
            return _strange(record, fact, str(trouble))

    return step


# By name, so that this room states in one place which facts it reads, and every other fact of the batch is counted only.
_STEPS: Mapping[str, Step] = {
    "batch.started": _started,
    "batch.prompt_asked": _asked,
    "batch.prompt_answered": _answered,
    "batch.prompt_witnessed": _took_part,
    "batch.witness_declined": _took_part,
    "batch.answer_corrected": _took_part,
    "batch.alarm_raised": _alarm,
    "batch.clock_corrected": _clock_corrected,
    "batch.closed": _closed,
    "batch.manifest_noted": _listed,
    "batch.counts_noted": _counted,
    "batch.labels_accounted": _labelled,
    "batch.labels_issued": _labelled,
    "monitoring.ended": _monitoring_ended,
    "lot.created": _lot_created,
    "materials.used": _material,
    "laboratory.sample_drawn": _sample,
    "laboratory.result_reported": _result,
    "records.readings_gap": _gap,
    "records.readings_sealed": _block,
    "quality.deviation_opened": _deviation_opened,
    "quality.deviation_disposed": _deviation_disposed,
    "quality.trail_reviewed": _reviewed,
    "quality.lot_released": _decided(LotCommand.RELEASE),
    "quality.lot_rejected": _decided(LotCommand.REJECT),
}
_EVIDENCE = _STEPS.keys() - DECISIONS
