"""What people signed in a dossier: each signature is over what its own fact says, does that act, and stands where it counts.

    fact                          act                              over
    quality.lot_released          release_lot                      lot, batch, product, site, size and root of the record, notes
    quality.lot_rejected          reject_lot                       lot, batch, reason
    quality.deviation_disposed    dispose_deviation                the deviation as opened, disposition, justification
    authority.key_revoked         revoke_key                       site, ledgers with their sizes, new key, reason
    recipe.approved               sign as author, or approve       digest of the text
    recipe.site_document_approved sign as author, or approve       digest of the site's document
    materials.decided             release or block a material      the receipt as noted, the decision, its reason
    materials.changeover_approved sign as author, or approve       digest of the text
    materials.changeover_published  both, by two people            digest of the text that the fact holds
    monitoring.model_signed       sign as author, or approve       digests of document, model and report together
    monitoring.model_released     both, by two people              the same, of what the fact holds
    recipe.published              both, by two people              digest of the text that the fact holds
    quality.trail_reviewed        review_trail                     which lines of which facts, with which remark
    authority.passkey_enrolled    enrol_passkey, by that person    person, passkey, domain
    authority.competence_..., master file, licence: authority.signed
    batch.prompt_answered         answer_prompt, by who answered   the answer, how and by whom it was given
    batch.prompt_witnessed        witness_answer, by another       the same answer
    batch.answer_corrected        correct_answer                   the correction, and the answer that it names
    authority.entitlement_...     decide_entitlement               which ledger, for whom, since when, why; derived ones are not signed
    vault.erasure_ordered         erase_person                     checked by vault.signed, which this room does not know

Guarantees: works from facts alone, so a stranger with a dossier can run it; a signature in
any other kind of fact (one that is not known here, too), or in a ledger that the control site does not write for the fact's
site, stops. The digests are recomputed from the noted fields.
A release also signs for the size and root of the ledger that holds the record: `check_record_roots`.
Leaves to others: whether the signature verifies, and with which key (authority).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from isogenic.authority.entitlements import EntitlementEnded, EntitlementGranted, entitlement_digest
from isogenic.authority.identities import PasskeyEnrolled
from isogenic.authority.passkeys import passkey_digest
from isogenic.authority.revocation import KeyRevoked, revocation_digest
from isogenic.authority.rules import Act, roles_that_may
from isogenic.authority.signatures import MEANINGS, holds_signature
from isogenic.authority.signed import KINDS, signed_in, two_signed
from isogenic.batches.commands import formula_digest
from isogenic.batches.facts import AnswerCorrected, BatchStarted, FormulaChanged, PromptAnswered, PromptAsked, PromptWitnessed
from isogenic.batches.prompts import needs_signature
from isogenic.batches.talk import answer_digest
from isogenic.checks import Note, Severity
from isogenic.ids import BatchId, DeviationId, PromptId, ReceiptId
from isogenic.materials.changeover import ChangeoverApproved, ChangeoverPublished, digest_of_matrix
from isogenic.materials.receipts import MaterialDecided, MaterialReceived, ReceiptCommand, decision_digest
from isogenic.monitoring.lifecycle.facts import ModelReleased, ModelSigned
from isogenic.monitoring.lifecycle.standing import release_digest, text_digest
from isogenic.quality.deviations import DeviationDisposed, DeviationOpened, disposition_digest
from isogenic.quality.release import LotRejected, LotReleased, noted_release_digest, rejection_digest
from isogenic.quality.trail_review import TrailReviewed, noted_review_digest
from isogenic.recipes.approval import RecipeApproved, RecipePublished, SiteDocumentApproved
from isogenic.recipes.model import digest_of
from isogenic.records.dossier import CONTROL, Key, audience_of, written_by
from isogenic.records.facts import Fact, UnknownPayload
from isogenic.records.report import RootAt
from isogenic.records.signatures import PASSWORD, Signature

__all__ = ["WITH_SIGNATURES", "check_record_roots", "check_signed_facts"]

_FOR_RECIPES = (Act.SIGN_RECIPE_AS_AUTHOR, Act.APPROVE_RECIPE)
WITH_SIGNATURES = frozenset(
    {
        "authority.key_revoked",
        "authority.passkey_enrolled",
        "batch.formula_changed",
        "materials.changeover_approved",
        "materials.changeover_published",
        "monitoring.model_released",
        "monitoring.model_signed",
        "quality.deviation_disposed",
        "quality.lot_rejected",
        "quality.lot_released",
        "quality.trail_reviewed",
        "recipe.approved",
        "recipe.published",
        "recipe.site_document_approved",
        *KINDS,
    }
)
_ELSEWHERE = frozenset({"vault.erasure_ordered"})
_Opened = dict[DeviationId, list[DeviationOpened]]
_OF_PEOPLE = PromptAnswered | AnswerCorrected | PromptWitnessed


def check_signed_facts(facts: Sequence[Fact], keys: Sequence[Key] | None = None) -> list[Note]:
    """Every signature of a person in these facts is over what its fact says and does what the fact claims."""
    del keys  # whose key it is, is asked elsewhere
    opened: _Opened = {}
    for fact in facts:
        if isinstance(fact.payload, DeviationOpened):
            opened.setdefault(fact.payload.deviation, []).append(fact.payload)
    steps = _Steps.of(facts)
    receipts: dict[ReceiptId, list[MaterialReceived]] = {}
    for fact in facts:
        if isinstance(fact.payload, MaterialReceived):
            receipts.setdefault(fact.payload.receipt, []).append(fact.payload)
    signed = [
        fact
        for fact in facts
        if fact.kind not in _ELSEWHERE
        and (
            fact.kind in WITH_SIGNATURES
            or holds_signature(fact.payload)
            or steps.to_be_signed(fact.payload)
            or isinstance(fact.payload, MaterialDecided)
        )
    ]
    wrong = [
        f"in {fact.kind} at {fact.ref}: {why}"
        for fact in signed
        for why in (
            steps.wrong(fact, fact.payload)
            if isinstance(fact.payload, _OF_PEOPLE)
            else _decided(fact.payload, receipts.get(fact.payload.receipt, []))  # at the site that holds it, or at the control site
            if isinstance(fact.payload, MaterialDecided)
            else _wrong(fact, opened)
        )
    ]
    if wrong:
        return [Note("check_signed_facts", Severity.STOP, text) for text in wrong]
    return [Note("check_signed_facts", Severity.GOOD, f"{len(signed)} signed facts say what was signed")]


def _wrong(fact: Fact, opened: _Opened) -> Iterator[str]:
    payload, site = fact.payload, ""
    match payload:
        case LotReleased():
            site = str(payload.site)
            yield from _does(payload.signature, (Act.RELEASE_LOT,), noted_release_digest(payload))
        case LotRejected():
            site = str(payload.site)
            yield from _does(payload.signature, (Act.REJECT_LOT,), rejection_digest(payload, payload.reason))
        case DeviationDisposed():
            found = opened.get(payload.deviation, [])
            if len(found) != 1:
                yield f"{payload.deviation} was opened {len(found)} times in these ledgers, so nobody can say what was signed"
                return
            if (found[0].batch, found[0].lot) != (payload.batch, payload.lot):
                yield f"{payload.deviation} is of {found[0].batch} and {found[0].lot}"
            site = str(found[0].site)
            yield from _does(payload.signature, (Act.DISPOSE_DEVIATION,), disposition_digest(found[0], payload.disposition, payload.justification))
        case FormulaChanged():
            if written_by(fact.ref.ledger) == CONTROL:
                yield "it counts only in a ledger that a site writes"
            if payload.signature.person != payload.by:
                yield f"it is signed by {payload.signature.person}, and says that {payload.by} did it"
            yield from _does(payload.signature, (Act.CHANGE_FORMULA,), formula_digest(payload))
            return
        case KeyRevoked():
            site = str(payload.site)
            yield from _does(payload.signature, (Act.REVOKE_KEY,), revocation_digest(payload.site, payload.ledgers, payload.key, payload.reason))
        case ChangeoverApproved():
            yield from _does(payload.signature, _FOR_RECIPES, payload.digest)
        case ChangeoverPublished():
            yield from _both(payload.approvals, _FOR_RECIPES, digest_of_matrix(payload.text))
        case ModelSigned():
            yield from _does(payload.signature, _FOR_RECIPES, payload.release)
        case ModelReleased():
            site = str(payload.site)
            signed = release_digest(document=text_digest(payload.text), model=payload.digest, report=payload.report)
            yield from _both(payload.approvals, _FOR_RECIPES, signed)
        case RecipeApproved():
            yield from _does(payload.signature, _FOR_RECIPES, payload.digest)
        case SiteDocumentApproved():
            site = str(payload.site)
            yield from _does(payload.signature, _FOR_RECIPES, payload.digest)
        case RecipePublished():
            site = str(payload.site)
            yield from _both(payload.approvals, _FOR_RECIPES, digest_of(payload.text))
        case TrailReviewed():
            site = str(payload.site)
            yield from _does(payload.signature, (Act.REVIEW_TRAIL,), noted_review_digest(payload))
        case PasskeyEnrolled():
            yield from _does(payload.signature, (Act.ENROL_PASSKEY,), passkey_digest(payload.person, payload.passkey))
            if payload.signature.person != payload.person or payload.signature.method != PASSWORD:
                yield f"a passkey is enrolled with the personal key of {payload.person}, and with nothing else"
        case EntitlementGranted(ledger, party, since, why, _, Signature() as signature):
            yield from _does(signature, (Act.DECIDE_ENTITLEMENT,), entitlement_digest("grant", ledger=ledger, party=party, why=why, since=since))
        case EntitlementEnded(ledger, party, why, _, Signature() as signature):
            yield from _does(signature, (Act.DECIDE_ENTITLEMENT,), entitlement_digest("end", ledger=ledger, party=party, why=why))
        case _ if fact.kind in KINDS and not isinstance(payload, UnknownPayload):
            site = str(getattr(payload, "site", ""))
            yield from two_signed(payload)
            for each in signed_in(payload):
                yield from _does(each.signature, each.acts, each.digest)
                if each.author is not None and each.signature.person == each.author:
                    yield f"{each.author} may not {each.acts[0].words}: it is their own work"
        case UnknownPayload():
            yield f"version {payload.version} of its form is not known here, so what was signed cannot be checked"
        case _:
            yield "nobody signs facts of this kind"
    if written_by(fact.ref.ledger) != CONTROL or (site and audience_of(fact.ref.ledger) not in (site, "HOUSE")):
        yield f"it counts only in a ledger that the control site writes{f' for {site}' if site else ''}"


@dataclass(frozen=True, slots=True)
class _Steps:
    """What people were asked and have said, so that a signature under a step can be held against it."""

    asked: Mapping[tuple[BatchId, PromptId], PromptAsked]
    said: Mapping[str, PromptAnswered | AnswerCorrected]  # by digest

    @classmethod
    def of(cls, facts: Sequence[Fact]) -> _Steps:
        said = [fact.payload for fact in facts if isinstance(fact.payload, PromptAnswered | AnswerCorrected)]
        asked = {(each.batch, each.prompt): each for fact in facts if isinstance(each := fact.payload, PromptAsked)}
        return cls(asked, {answer_digest(each): each for each in said})

    def to_be_signed(self, payload: object) -> bool:
        """Whether it is a step that the question wants signed: a signature that was left out is missed."""
        if not isinstance(payload, PromptAnswered):
            return isinstance(payload, AnswerCorrected | PromptWitnessed)
        asked = self.asked.get((payload.batch, payload.prompt))
        return asked is not None and needs_signature(asked)

    def wrong(self, fact: Fact, payload: PromptAnswered | AnswerCorrected | PromptWitnessed) -> Iterator[str]:
        if written_by(fact.ref.ledger) == CONTROL:
            yield "it counts only in a ledger that a site writes"
        if payload.signature is None:
            yield "nobody signed it"
            return
        if payload.signature.person != payload.by:
            yield f"it is signed by {payload.signature.person}, and says that {payload.by} did it"
        match payload:
            case PromptAnswered():
                yield from _does(payload.signature, (Act.ANSWER_PROMPT,), answer_digest(payload))
            case AnswerCorrected():
                yield from _does(payload.signature, (Act.CORRECT_ANSWER,), answer_digest(payload))
                if payload.corrects not in self.said:
                    yield "it corrects an answer that is not in these ledgers"
            case PromptWitnessed():
                yield from _does(payload.signature, (Act.WITNESS_ANSWER,), payload.answered)
                first = self.said.get(payload.answered)
                if first is None or (first.batch, first.prompt) != (payload.batch, payload.prompt):
                    yield "it witnesses an answer that is not in these ledgers"
                elif first.by == payload.by:  # 21 CFR 211.101(d): one person does it, a second verifies
                    yield f"{payload.by} witnessed what {payload.by} did"


def _both(approvals: Sequence[Signature], acts: tuple[Act, ...], digest: str) -> Iterator[str]:
    """An author and an approver, two different people, signed it."""
    for signature in approvals:
        yield from _does(signature, acts, digest)
    if {each.meaning for each in approvals} != {MEANINGS[act] for act in acts}:
        yield "an author and an approver must have signed"
    if len({each.person for each in approvals}) < len(acts):
        yield "two different people must have signed"


def _decided(decided: MaterialDecided, received: Sequence[MaterialReceived]) -> Iterator[str]:
    """A decision on a received lot is signed over the receipt as it was noted; to use a lot up takes no signature."""
    if decided.signature is None:
        if decided.command is not ReceiptCommand.USE_UP:
            yield "nobody signed it"
        return
    if len(received) != 1:
        yield f"{decided.receipt} was received {len(received)} times in these ledgers, so nobody can say what was signed"
        return
    act = Act.RELEASE_MATERIAL if decided.command is ReceiptCommand.RELEASE else Act.BLOCK_MATERIAL
    yield from _does(decided.signature, (act,), decision_digest(received[0], decided.command, decided.why))
    if decided.signature.person != decided.by:
        yield f"it is signed by {decided.signature.person}, and says that {decided.by} did it"
    if act is Act.RELEASE_MATERIAL and received[0].by == decided.by:
        yield f"{decided.by} released what {decided.by} received"


def _does(signature: Signature, acts: tuple[Act, ...], digest: str) -> Iterator[str]:
    act = next((each for each in acts if MEANINGS[each] == signature.meaning), None)
    if act is None:
        yield f"the signature of {signature.person} means {signature.meaning[:40]!r}, not {' or '.join(MEANINGS[each] for each in acts)}"
    elif signature.role not in roles_that_may(act):
        yield f"{signature.person} signed as {signature.role[:40]!r}, which does not allow to {act.words}"
    if signature.digest != digest:
        yield f"the signature of {signature.person} is over something else than the fact says"


def check_record_roots(facts: Sequence[Fact], root_at: RootAt, wanted: Collection[str] = ()) -> list[Note]:
    """The size and root that a release signed for are those of the ledger that holds its record; of the batches `wanted` it must be here."""
    started = {str(fact.payload.batch): fact for fact in facts if isinstance(fact.payload, BatchStarted)}
    notes, good = [], 0
    for fact in facts:
        released = fact.payload
        if not isinstance(released, LotReleased):
            continue
        begun = started.get(str(released.batch))
        if begun is None or written_by(begun.ref.ledger) != str(released.site):
            text = f"the record of {released.lot}, which {fact.ref} releases, is not among these ledgers"
            notes.append(Note("check_record_roots", Severity.STOP if str(released.batch) in wanted else Severity.WARN, text))
            continue
        root = root_at(begun.ref.ledger, released.record_size)
        if root is None or root.hex() != released.record_root:
            text = f"{fact.kind} at {fact.ref} is for another record: the first {released.record_size} facts of {begun.ref.ledger}"
            notes.append(Note("check_record_roots", Severity.STOP, f"{text} " + ("are not here" if root is None else f"have the root {root.hex()}")))
        good += 1
    return notes or [Note("check_record_roots", Severity.GOOD, f"the records of {good} released lots have the roots that were signed")]
