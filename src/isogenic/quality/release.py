"""Release (I4): every check by name, all of their notes at once, and one signature.

    decide_release(case, signature)   LotReleased, only where no check says STOP and the signature is over what was shown
    refuse(case)                      ReleaseRefused, with every reason
    reject(case, ...)                 LotRejected, by signature, with its reason

Guarantees: `decide_release` runs the checks itself on what it was given; no set of notes
can be handed in. The signed digest covers the lot, the size and root of the ledger that
holds the record, and every note, so a record that changed after it was shown is refused.
Leaves to others: verifying the ledger's bytes and the blocks' digests (network); the facts
are written by the control site into its ledger for the site.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from isogenic.authority.gate import check_two_people_approved
from isogenic.authority.people import Directory, Role
from isogenic.authority.rules import Act, may, roles_that_may
from isogenic.authority.signatures import MEANINGS, accept_signature, verify_signature
from isogenic.batches.counts import reconcile
from isogenic.batches.serials import unaccounted
from isogenic.batches.states import State
from isogenic.checks import Note, Severity, stops
from isogenic.errors import NotAllowed, NotFound, NotTrusted, NotValid
from isogenic.ids import BatchId, LotId, PersonId, ProductId, SiteId
from isogenic.materials.lots import LotCommand, LotState, next_state
from isogenic.quality.deviations import RECONCILIATION, Disposition, disposition_digest
from isogenic.quality.record import LotRecord
from isogenic.quality.specifications import Judged, Specification, TrailReview, Verdict, judge
from isogenic.quality.trail_review import noted_review_digest
from isogenic.records import codec
from isogenic.records.blocks import chain_faults
from isogenic.records.facts import fact
from isogenic.records.gaps import Cause
from isogenic.records.signatures import Signature

__all__ = [
    "CHECKS",
    "LotRejected",
    "LotReleased",
    "PublishedRecipe",
    "ReleaseCase",
    "ReleaseNotes",
    "ReleaseRefused",
    "Witness",
    "check_released_by_signature",
    "decide_release",
    "judged_results",
    "noted_release_digest",
    "refuse",
    "reject",
    "rejection_digest",
    "release",
    "release_digest",
]


REASON_MAX = 500  # characters, one paragraph
REASONS_MAX = 60  # of a refusal; with more, a page and a fact (64 KiB) would not hold them, and the count of the rest is said


# --- facts ----------------------------------------------------------------------------------


@fact("quality.lot_released", subject="lot")
@dataclass(frozen=True, slots=True)
class LotReleased:
    """A lot left quarantine for use."""

    lot: LotId
    batch: BatchId
    product: ProductId
    site: SiteId
    record_size: int  # facts of the site's ledger, and the hex root over them
    record_root: str
    notes: tuple[str, ...]
    signature: Signature


@fact("quality.lot_rejected", subject="lot")
@dataclass(frozen=True, slots=True)
class LotRejected:
    """A lot left quarantine for good, not to be used."""

    lot: LotId
    batch: BatchId
    product: ProductId
    site: SiteId
    reason: str
    signature: Signature


@fact("quality.release_refused", subject="lot")
@dataclass(frozen=True, slots=True)
class ReleaseRefused:
    """A release was asked for and refused; the lot stays where it is."""

    lot: LotId
    batch: BatchId
    product: ProductId
    site: SiteId
    reasons: tuple[str, ...]
    asked_by: PersonId


# --- what is looked at ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Witness:
    """What the control site holds of the site's ledger, as plain values."""

    held: int  # facts, each verified
    cosigned: int  # facts that it has promised to the site to hold
    size: int  # of a checkpoint that covers the record; the oldest such, so that later batches do not change what is signed
    root: str  # hex, at that size


@dataclass(frozen=True, slots=True)
class PublishedRecipe:
    """The recipe version as the control site published it."""

    digest: str
    approvals: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class ReleaseCase:
    """Everything that a release is decided on."""

    record: LotRecord
    specification: Specification
    directory: Directory
    witness: Witness
    recipe: PublishedRecipe
    blocks: frozenset[str]  # digests of the blocks held here whose bytes hashed to that digest when they were read
    asked_by: PersonId
    assemblies: Mapping[str, int] = field(default_factory=dict)  # each piece that was on the lot's units -> how often any site has installed it


@dataclass(frozen=True, slots=True)
class ReleaseNotes:
    """Every note of every check."""

    lot: str
    notes: tuple[Note, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """What forbids the release."""
        return tuple(note.text for note in stops(self.notes))

    @property
    def allowed(self) -> bool:
        """Whether nothing forbids it."""
        return not self.reasons

    def __str__(self) -> str:
        verdict = "may be released" if self.allowed else "cannot be released"
        lines = [f"{note.severity.upper():4} {note.text}" + (f" [{note.owner.replace('_', ' ')}]" if note.owner else "") for note in self.notes]
        return "\n".join([f"{self.lot} {verdict}", *lines]) + "\n"


Check = Callable[[ReleaseCase], list[Note]]


def _said(check: str, wrong: list[str], good: str, *, owner: Role, severity: Severity = Severity.STOP) -> list[Note]:
    if wrong:
        return [Note(check, severity, text, owner) for text in wrong]
    return [Note(check, Severity.GOOD, good)]


# --- the record -----------------------------------------------------------------------------


def check_batch_is_closed(case: ReleaseCase) -> list[Note]:
    """The batch was started, yielded a lot and was closed, and every fact about it could be read and fits."""
    record, wrong = case.record, []
    if record.started_at is None:
        wrong.append(f"the record holds no start of {record.batch}")
    if record.lot is None or record.product is None or record.site is None:
        wrong.append(f"the record does not say which lot of which product {record.batch} yielded, and where")
    if record.manifest is None:
        wrong.append(f"{record.batch} is not closed")
    wrong += [f"a fact does not fit the record: {text}" for text in record.strange]
    return _said("check_batch_is_closed", wrong, f"{record.batch} is closed, and every fact about it fits", owner=Role.OPERATOR)


def check_record_is_complete(case: ReleaseCase) -> list[Note]:
    """As many facts are held as the closing manifest counts."""
    manifest = case.record.manifest
    if manifest is None:
        wrong = ["without a closing manifest nobody can say whether the record is complete"]
    elif manifest.claimed != manifest.counted:
        wrong = [f"the closing manifest counts {manifest.claimed} facts, {manifest.counted} are held"]
    else:
        wrong = []
    good = f"the record is complete: {manifest.counted if manifest else 0} of {manifest.claimed if manifest else 0} facts"
    return _said("check_record_is_complete", wrong, good, owner=Role.ADMINISTRATOR)


def check_record_is_witnessed(case: ReleaseCase) -> list[Note]:
    """Every fact of the record is under a root that the control site holds and has cosigned."""
    needed, seen, wrong = case.record.size_needed, case.witness, []
    if needed == 0 or seen.size < needed:
        wrong.append(f"the record needs {needed} facts of the ledger, the root covers {seen.size}")
    if seen.held < seen.size:
        wrong.append(f"{seen.held} of {seen.size} facts of the ledger are held by the control site")
    if seen.cosigned < seen.size:
        wrong.append(f"{seen.cosigned} of {seen.size} facts of the ledger are cosigned by the control site")
    if len(seen.root) != 64:
        wrong.append("the root of the ledger is not known")
    good = f"the record is witnessed: {seen.size} facts, root {seen.root[:16]}…"
    return _said("check_record_is_witnessed", wrong, good, owner=Role.ADMINISTRATOR)


def check_manifest_is_verified(case: ReleaseCase) -> list[Note]:
    """Every line of the site's closing manifest is found in what is held here; a batch that promised one is not released without it."""
    record = case.record
    if not record.manifest_due and record.listed is None:
        return []  # closed by a version that noted none
    wrong = ["the manifest of the closed batch is not here yet"] if record.listed is None else list(record.listed)
    return _said("check_manifest_is_verified", wrong, "every line of the closing manifest is held", owner=Role.ADMINISTRATOR)


def check_readings_are_held(case: ReleaseCase) -> list[Note]:
    """The batch has reading blocks, and the bytes of each are held here and hash to what its fact says."""
    blocks = case.record.blocks
    wrong = [f"the readings block {block.digest[:16]}… is not held here with its right digest" for block in blocks if block.digest not in case.blocks]
    if not blocks:
        wrong.append("the record names no block of readings")
    good = f"{len(blocks)} block{'s' * (len(blocks) != 1)} of readings held, {sum(block.rows for block in blocks)} rows, digests verified"
    return _said("check_readings_are_held", wrong, good, owner=Role.ADMINISTRATOR)


def check_readings_are_complete(case: ReleaseCase) -> list[Note]:
    """The blocks of the batch follow each other without a gap up to its end, so every row that was kept is in one. What is missing is named."""
    blocks, gaps = case.record.blocks, case.record.gaps
    wrong = chain_faults(blocks)
    ended = blocks and (blocks[-1].ends or any(gap.why == Cause.UNSEALED for gap in gaps))
    if not wrong and not ended:
        wrong.append(
            f"block {len(blocks)} is not the last: readings of the batch are not sealed yet" if blocks else "no block of readings was sealed"
        )
    if wrong:
        return _said("check_readings_are_complete", wrong, "", owner=Role.ADMINISTRATOR)
    counts = Counter(gap.why for gap in gaps)
    named = ", ".join(f"{count} {why}" for why, count in sorted(counts.items()))
    good = f"readings are complete: every row is in one of {len(blocks)} block{'s' * (len(blocks) != 1)}"
    if gaps:
        return [Note("check_readings_are_complete", Severity.WARN, f"{good}; gaps on record: {named}", Role.QUALITY)]
    return [Note("check_readings_are_complete", Severity.GOOD, f"{good}, no gap on record")]


# --- the batch ------------------------------------------------------------------------------


def check_batch_completed_normally(case: ReleaseCase) -> list[Note]:
    """It ran to its end: neither stopped nor aborted."""
    outcome = case.record.manifest.outcome if case.record.manifest else "not closed"
    wrong = [] if outcome == State.COMPLETE else [f"the batch did not complete: it is {outcome}"]
    return _said("check_batch_completed_normally", wrong, "the batch completed", owner=Role.OPERATOR)


def check_counts_reconcile(case: ReleaseCase) -> list[Note]:
    """What modules took in is accounted for, container by container and label by label; a difference waits for an accepted deviation about it."""
    found, serials = reconcile(case.record.tally), case.record.serials
    findings = [*found.findings, *unaccounted(serials)]
    if not found.counted and not serials.issued and not findings:
        return []  # nothing was counted: no line has filled anything
    looked_at = any(
        RECONCILIATION in each.opened.evidence and each.disposed is not None and each.disposed.disposition is Disposition.ACCEPT
        for each in case.record.deviations.values()
    )
    rejected = sum(found.rejected.values())
    good = f"{found.taken_in:.0f} containers: {found.good:.0f} good, {rejected:.0f} rejected, {found.sampled:.0f} sampled"
    if serials.issued:
        good += f"; {serials.issued} labels issued, all accounted for"
    if findings:
        good = f"a deviation about counts that do not reconcile was accepted: {'; '.join(findings)}"
    return _said("check_counts_reconcile", [] if looked_at else findings, good, owner=Role.QUALITY)


def check_assemblies_were_used_once(case: ReleaseCase) -> list[Note]:
    """No single-use assembly of the lot was installed a second time, at whichever site: what two sites without a link could not know.

    Whose the other lot is, is not said (I7); it is stopped by the same check.
    """
    twice = [piece for piece, times in sorted(case.assemblies.items()) if times > 1]
    wrong = [f"{piece} was installed more than once: a single-use assembly is used once (EU GMP Annex 1, single-use systems)" for piece in twice]
    if not case.assemblies:
        return []  # no stock was kept when it was made
    count = len(case.assemblies)
    good = f"{count} single-use assembl{'ies' if count != 1 else 'y'}, each installed once in the whole network"
    return _said("check_assemblies_were_used_once", wrong, good, owner=Role.QUALITY)


def check_every_prompt_is_answered(case: ReleaseCase) -> list[Note]:
    """No question to a person was left open."""
    wrong = [f"prompt {prompt} was not answered: {text}" for prompt, text in case.record.open_prompts.items()]
    return _said("check_every_prompt_is_answered", wrong, f"every prompt is answered: {case.record.answered}", owner=Role.OPERATOR)


def check_alarms(case: ReleaseCase) -> list[Note]:
    """Alarms of the engine are for the reviewer to look at; what departs from the recipe is a deviation of its own."""
    count = case.record.alarms
    wrong = [f"the engine raised {count} alarm{'s' * (count != 1)}"] if count else []
    return _said("check_alarms", wrong, "the engine raised no alarm", owner=Role.QUALITY, severity=Severity.WARN)


def check_times_can_be_believed(case: ReleaseCase) -> list[Note]:
    """A clock that stepped, or was not known to be good, is for the reviewer to look at; order and durations do not depend on it."""
    record = case.record
    wrong = [f"the site's clock stepped by {by:+g} s while the batch ran" for by in record.clock_steps]
    if record.poor_clock:
        wrong.append(f"{record.poor_clock} facts of the batch were noted under a clock that was not known to be good")
    return [Note("check_times_can_be_believed", Severity.WARN, text, Role.QUALITY) for text in wrong]


def check_batch_was_monitored(case: ReleaseCase) -> list[Note]:
    """The monitor watched the batch to its end. A batch that it could not watch is looked at by a person."""
    seen = case.record.monitored
    if seen is None:
        wrong = ["the record does not say that the batch was monitored to its end"]
    else:
        wrong = [f"the monitor could not judge {seen[1]} of {sum(seen)} points"] if seen[1] else []
    good = f"the monitor judged every one of {seen[0] if seen else 0} points"
    return _said("check_batch_was_monitored", wrong, good, owner=Role.QUALITY, severity=Severity.WARN)


def check_recipe_was_approved(case: ReleaseCase) -> list[Note]:
    """The batch ran the published text, signed by two people."""
    record, digest = case.record, case.recipe.digest
    wrong = []
    if not digest or record.recipe_digest != digest:
        wrong.append("the batch ran another recipe text than the one that was published")
    good = f"the batch ran the published text of {record.recipe} version {record.recipe_version}"
    run = _said("check_recipe_was_approved", wrong, good, owner=Role.QUALITY)
    return run + check_two_people_approved(digest, case.recipe.approvals, case.directory)


# --- the product ----------------------------------------------------------------------------


def judged_results(case: ReleaseCase) -> list[Judged]:
    """Every result whose attribute the specification names, judged, in the order of the specification."""
    order = list(case.specification.attributes)
    known = [result for result in case.record.results if result.attribute in case.specification.attributes]
    return sorted((judge(result, case.specification) for result in known), key=lambda each: order.index(each.attribute.name))


def check_specification_is_of_the_product(case: ReleaseCase) -> list[Note]:
    """The limits are those of this product."""
    spec, record = case.specification, case.record
    wrong = [] if spec.product == record.product else [f"the specification is of {spec.product}, the lot is of {record.product}"]
    good = f"judged against the specification of {spec.product} version {spec.version}"
    return _said("check_specification_is_of_the_product", wrong, good, owner=Role.QUALITY)


def check_every_result_is_reported(case: ReleaseCase) -> list[Note]:
    """Every attribute that release needs has a result, and every result has an attribute."""
    reported = {result.attribute for result in case.record.results}
    needed = {name: each.title for name, each in case.specification.attributes.items() if each.required}
    wrong = [f"{title} is not reported" for name, title in needed.items() if name not in reported]
    wrong += [
        f"a result is reported for {name}, which the specification does not name" for name in sorted(reported - set(case.specification.attributes))
    ]
    return _said("check_every_result_is_reported", wrong, f"every result that release needs is reported: {len(needed)}", owner=Role.ANALYST)


def check_every_result_is_within_specification(case: ReleaseCase) -> list[Note]:
    """Every single result counts: a second that passes does not undo a first that fails (21 CFR 211.165(f))."""
    judged = judged_results(case)
    failed = [each for each in judged if each.verdict is not Verdict.PASS]
    wrong = [str(each) for each in failed if each.attribute.required]
    good = f"every result is within its limits: {sum(each.attribute.required for each in judged)}"
    notes = _said("check_every_result_is_within_specification", wrong, good, owner=Role.QUALITY)
    look = [f"{each} (for information)" for each in failed if not each.attribute.required]
    return notes + [Note("check_every_result_is_within_specification", Severity.WARN, text, Role.QUALITY) for text in look]


# --- exceptions and people ------------------------------------------------------------------


def check_no_deviation_is_open(case: ReleaseCase) -> list[Note]:
    """21 CFR 211.192: every departure is investigated before a lot is released."""
    wrong = [f"{each.opened.deviation} is open ({each.opened.severity}): {each.opened.statement}" for each in case.record.open_deviations()]
    count = len(case.record.deviations)
    good = f"every deviation is disposed of: {count}" if count else "there was no deviation"
    return _said("check_no_deviation_is_open", wrong, good, owner=Role.QUALITY)


def check_no_deviation_was_disposed_as_reject(case: ReleaseCase) -> list[Note]:
    """Each disposition accepts the lot, and was signed by a person who may, over this very deviation."""
    wrong = []
    for each in case.record.deviations.values():
        disposed = each.disposed
        if disposed is None:
            continue
        name = each.opened.deviation
        if disposed.disposition is not Disposition.ACCEPT:
            wrong.append(f"{name} was disposed of as reject: {disposed.justification}")
        if disposed.signature.digest != disposition_digest(each.opened, disposed.disposition, disposed.justification):
            wrong.append(f"the signature under the disposition of {name} is over something else")
        if disposed.signature.role not in roles_that_may(Act.DISPOSE_DEVIATION) or disposed.signature.meaning != MEANINGS[Act.DISPOSE_DEVIATION]:
            wrong.append(f"the signature under the disposition of {name} is not one that disposes of a deviation")
        if disposed.signature.person in case.record.operators:
            wrong.append(f"{name} was disposed of by {disposed.signature.person}, who ran the batch")
    return _said("check_no_deviation_was_disposed_as_reject", wrong, "no deviation forbids the lot", owner=Role.QUALITY)


def check_every_signature_is_trusted(case: ReleaseCase) -> list[Note]:
    """Every signature in the record verifies with the key on file."""
    signatures = [each.disposed.signature for each in case.record.deviations.values() if each.disposed]
    signatures += [each.signature for each in case.record.reviews]
    wrong = []
    for signature in signatures:
        try:
            verify_signature(signature, case.directory)
        except NotTrusted as trouble:
            wrong.append(str(trouble))
    return _said("check_every_signature_is_trusted", wrong, "every signature in the record verifies with the key on file", owner=Role.ADMINISTRATOR)


def check_trail_was_reviewed(case: ReleaseCase) -> list[Note]:
    """A person who did not run the batch reviewed its whole audit trail, and signed for it (EU Annex 11, 9).

    It forbids the release where the product's specification says so, else it is for the releasing person to look at.
    """
    record, wrong = case.record, []
    whole = [each for each in record.reviews if each.start == 0 and each.stop >= record.size_needed > 0]
    if not whole:
        seen = max((each.stop for each in record.reviews), default=0)
        wrong.append(
            f"the audit trail was reviewed up to fact {seen} of {record.size_needed}" if seen else "nobody has reviewed the audit trail of the batch"
        )
    for each in whole:
        signature = each.signature
        if signature.digest != noted_review_digest(each) or signature.meaning != MEANINGS[Act.REVIEW_TRAIL]:
            wrong.append(f"the signature of {signature.person} under the review of the audit trail is over something else")
        elif signature.role not in roles_that_may(Act.REVIEW_TRAIL) or signature.person in record.operators:
            wrong.append(f"{signature.person} may not review the audit trail of this batch")
        elif each.stop == case.witness.size and each.root != case.witness.root:
            wrong.append("the audit trail that was reviewed is not that of the ledger held here")
    severity = Severity.STOP if case.specification.trail_review is TrailReview.REQUIRED else Severity.WARN
    names = ", ".join(dict.fromkeys(each.signature.printed_name for each in whole))
    good = f"the audit trail was reviewed by {names}: {whole[-1].stop if whole else 0} facts"
    return _said("check_trail_was_reviewed", wrong, good, owner=Role.QUALITY, severity=severity)


def check_lot_is_in_quarantine(case: ReleaseCase) -> list[Note]:
    """Only a lot in quarantine can be released."""
    state = case.record.lot_state
    wrong = [] if state is LotState.QUARANTINE else [f"{case.record.name} is not in quarantine: it is {state or 'not created'}"]
    return _said("check_lot_is_in_quarantine", wrong, f"{case.record.name} is in quarantine", owner=Role.QUALITY)


def check_releasing_person_may(case: ReleaseCase) -> list[Note]:
    """The person who asks is on file, may release, and did not run the batch."""
    try:
        person = case.directory.person(case.asked_by)
    except NotFound as trouble:
        return [Note("check_releasing_person_may", Severity.STOP, str(trouble), Role.ADMINISTRATOR)]
    return may(person, Act.RELEASE_LOT, site=case.record.site, operators=case.record.operators)


CHECKS: tuple[Check, ...] = (
    check_batch_is_closed,
    check_record_is_complete,
    check_record_is_witnessed,
    check_manifest_is_verified,
    check_readings_are_held,
    check_readings_are_complete,
    check_batch_completed_normally,
    check_counts_reconcile,
    check_assemblies_were_used_once,
    check_every_prompt_is_answered,
    check_alarms,
    check_times_can_be_believed,
    check_batch_was_monitored,
    check_recipe_was_approved,
    check_specification_is_of_the_product,
    check_every_result_is_reported,
    check_every_result_is_within_specification,
    check_no_deviation_is_open,
    check_no_deviation_was_disposed_as_reject,
    check_every_signature_is_trusted,
    check_trail_was_reviewed,
    check_lot_is_in_quarantine,
    check_releasing_person_may,
)


# --- decisions ------------------------------------------------------------------------------


def release(case: ReleaseCase) -> ReleaseNotes:
    """Every note of every check, in the order of the page."""
    return ReleaseNotes(case.record.name, tuple(note for check in CHECKS for note in check(case)))


def release_digest(case: ReleaseCase, notes: ReleaseNotes) -> str:
    """What the releasing person signs: hex SHA-256 over the lot, the root that holds its record, and every note shown."""
    record, seen = case.record, case.witness
    return _release_digest(str(record.lot), str(record.batch), str(record.product), str(record.site), seen.size, seen.root, _said_of(notes))


def _said_of(notes: ReleaseNotes) -> tuple[str, ...]:
    return tuple(f"{note.severity}: {note.text}" for note in notes.notes)


def _release_digest(lot: str, batch: str, product: str, site: str, size: int, root: str, said: tuple[str, ...]) -> str:
    signed = {
        "batch": batch,
        "isogenic": "release/1",
        "lot": lot,
        "notes": [codec.plain(text) for text in said],
        "product": product,
        "record_root": root,
        "record_size": size,
        "site": site,
    }
    return sha256(codec.dumps(signed)).hexdigest()


def noted_release_digest(released: LotReleased) -> str:
    """The same, from what was noted: for whoever holds the fact and not the case."""
    said = (str(released.lot), str(released.batch), str(released.product), str(released.site))
    return _release_digest(*said, released.record_size, released.record_root, released.notes)


def check_released_by_signature(released: LotReleased, record: LotRecord, directory: Directory) -> list[Note]:
    """The noted release is of this very record, and signed by a person who may, over what the fact says."""
    wrong = []
    if (released.lot, released.batch, released.site, released.product) != (record.lot, record.batch, record.site, record.product):
        wrong.append(f"the release of {released.lot} is not that of {record.name}")
    signature = released.signature
    if signature.digest != noted_release_digest(released):
        wrong.append(f"the signature under the release of {released.lot} is over something else")
    if signature.role not in roles_that_may(Act.RELEASE_LOT) or signature.meaning != MEANINGS[Act.RELEASE_LOT]:
        wrong.append(f"the signature under the release of {released.lot} is not one that releases a lot")
    if signature.person in record.operators:
        wrong.append(f"{released.lot} was released by {signature.person}, who ran the batch")
    try:
        verify_signature(signature, directory)
    except NotTrusted as trouble:
        wrong.append(str(trouble))
    return _said("check_released_by_signature", wrong, f"{released.lot} was released by {signature.printed_name}", owner=Role.QUALIFIED_PERSON)


def _named(record: LotRecord) -> tuple[LotId, ProductId, SiteId]:
    if record.lot is None or record.product is None or record.site is None:
        raise NotFound(f"no lot of {record.batch}", why="the record does not say which lot of which product it yielded, and where")
    return record.lot, record.product, record.site


def decide_release(case: ReleaseCase, signature: Signature) -> LotReleased:
    """Release the lot. Raises `NotAllowed` with every reason, or `NotTrusted` where the signature does not do it."""
    notes = release(case)
    if not notes.allowed:
        raise NotAllowed(f"cannot release {notes.lot}", why="; ".join(notes.reasons), possible="put the named things right, or reject the lot")
    lot, product, site = _named(case.record)
    if signature.person != case.asked_by:
        raise NotTrusted(f"cannot release {lot}", why=f"{case.asked_by} asked, {signature.person} signed")
    digest = release_digest(case, notes)
    operators = case.record.operators
    accept_signature(signature, Act.RELEASE_LOT, digest=digest, directory=case.directory, site=site, operators=operators)
    return LotReleased(lot, case.record.batch, product, site, case.witness.size, case.witness.root, _said_of(notes), signature)


def refuse(case: ReleaseCase) -> ReleaseRefused:
    """The refusal with every reason, to be noted. Raises `NotAllowed` where nothing stands against the release."""
    notes = release(case)
    lot, product, site = _named(case.record)
    if notes.allowed:
        raise NotAllowed(f"cannot refuse the release of {lot}", why="no check stands against it", possible="release it, or reject it with a reason")
    reasons = tuple(text[:REASON_MAX] for text in notes.reasons[:REASONS_MAX])
    more = len(notes.reasons) - len(reasons)
    return ReleaseRefused(lot, case.record.batch, product, site, (*reasons, f"and {more} more") if more else reasons, case.asked_by)


def rejection_digest(record: LotRecord | LotRejected, reason: str) -> str:
    """What the rejecting person signs: hex SHA-256 over the lot and the reason."""
    signed = {"batch": str(record.batch), "isogenic": "rejection/1", "lot": str(record.lot), "reason": codec.plain(reason.strip())}
    return sha256(codec.dumps(signed)).hexdigest()


def reject(record: LotRecord, reason: str, *, signature: Signature, directory: Directory) -> LotRejected:
    """Reject a lot in quarantine, whatever its record lacks: nobody has to complete a record to refuse its product."""
    lot, product, site = _named(record)
    if record.lot_state is None:
        raise NotAllowed(f"cannot reject {lot}", why="it was not created yet")
    next_state(record.lot_state, LotCommand.REJECT, lot=lot)
    text = reason.strip()
    if not text or len(text) > REASON_MAX or not text.replace("\n", " ").isprintable():
        raise NotValid(f"cannot reject {lot}", why=f"a reason is 1 to {REASON_MAX} printable characters")
    digest = rejection_digest(record, text)
    accept_signature(signature, Act.REJECT_LOT, digest=digest, directory=directory, site=site, operators=record.operators)
    return LotRejected(lot, record.batch, product, site, text, signature)
