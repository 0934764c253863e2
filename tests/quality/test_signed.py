"""What people signed in a dossier is what the facts say."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from lot_story import DIRECTORY, LOT, OPENED, OURS, SITE, THEIRS, case_of, disposed, noted, signed, story

from isogenic.authority.people import Role
from isogenic.checks import stops
from isogenic.ids import LotId, ProductId, RecipeId
from isogenic.quality.deviations import Disposition
from isogenic.quality.record import LotRecord
from isogenic.quality.release import LotRejected, decide_release, rejection_digest, release, release_digest
from isogenic.quality.signed import check_signed_facts
from isogenic.recipes.approval import RecipeApproved, RecipePublished
from isogenic.recipes.model import digest_of
from isogenic.records.facts import Actor, UnknownPayload

CONTROL = Actor.node("CONTROL")
CASE = case_of(story(), asked_by=next(each for each in DIRECTORY.people if each == "FRIEDA-VOSS"))
DIGEST = release_digest(CASE, release(CASE))
RELEASED = decide_release(CASE, signed("FRIEDA-VOSS", Role.QUALIFIED_PERSON, "released", DIGEST))
WHY = "The titre cannot be explained."
REJECTED = LotRejected(
    LOT,
    RELEASED.batch,
    RELEASED.product,
    SITE,
    WHY,
    signed("INES-DUARTE", Role.QUALITY, "rejected", rejection_digest(replace(LotRecord(RELEASED.batch), lot=LOT), WHY)),
)
TEXT = "recipe: MAB-FB\n"
AUTHORED = signed("PIA-ENGEL", Role.PROCESS_ENGINEER, "authored", digest_of(TEXT))
APPROVED = signed("INES-DUARTE", Role.QUALITY, "approved", digest_of(TEXT))
PUBLISHED = RecipePublished(RecipeId("MAB-FB"), 1, digest_of(TEXT), TEXT, (AUTHORED, APPROVED), SITE, "0" * 64, "")


def found(*told, before=()) -> list[str]:
    facts = noted([(OURS, CONTROL, OPENED), *before, *((THEIRS, CONTROL, each) for each in told)])
    return [note.text.partition(": ")[2] for note in stops(check_signed_facts(facts))]


def test_what_was_signed_is_what_the_facts_say() -> None:
    approved = RecipeApproved(RecipeId("MAB-FB"), 1, digest_of(TEXT), APPROVED)
    assert found(RELEASED, REJECTED, disposed(), disposed(Disposition.REJECT), PUBLISHED, approved) == []


OTHER = "is over something else than the fact says"


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (replace(RELEASED, lot=LotId("LOT-0002")), OTHER),
        (replace(RELEASED, product=ProductId("MAB-B")), OTHER),
        (replace(RELEASED, record_root="0" * 64), OTHER),
        (replace(RELEASED, record_size=RELEASED.record_size + 1), OTHER),
        (replace(RELEASED, notes=RELEASED.notes[1:]), OTHER),
        (replace(RELEASED, signature=signed("FRIEDA-VOSS", Role.QUALIFIED_PERSON, "disposed", DIGEST)), "means 'disposed', not released"),
        (replace(RELEASED, signature=signed("INES-DUARTE", Role.QUALITY, "released", DIGEST)), "which does not allow to release the lot"),
        (replace(REJECTED, reason="Another."), OTHER),
        (replace(REJECTED, lot=LotId("LOT-0002")), OTHER),
        (replace(disposed(), justification="Another."), OTHER),
        (replace(disposed(Disposition.REJECT), disposition=Disposition.ACCEPT), OTHER),
        (replace(PUBLISHED, text="recipe: MAB-FC\n"), OTHER),
        (replace(PUBLISHED, approvals=(APPROVED,)), "an author and an approver must have signed"),
        (replace(PUBLISHED, approvals=(AUTHORED, replace(AUTHORED, meaning="approved"))), "which does not allow to approve the recipe"),
    ],
)
def test_a_signature_over_something_else_stops(payload: object, why: str) -> None:
    assert any(why in text for text in found(payload))


def test_a_decision_counts_only_where_the_control_site_writes_it() -> None:
    own = f"it counts only in a ledger that the control site writes for {SITE}"
    for ledger in (OURS, OURS.replace("GHENT", "LEEDS"), THEIRS.replace("GHENT", "LEEDS")):
        assert found(before=[(ledger, CONTROL, RELEASED)]) == [own]


def test_a_disposition_needs_the_one_deviation_that_it_is_of() -> None:
    again = replace(OPENED, detected_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert found(disposed(), before=[(OURS, CONTROL, again)]) == [
        f"{OPENED.deviation} was opened 2 times in these ledgers, so nobody can say what was signed"
    ]


def test_a_decision_in_a_form_that_is_not_known_here_stops() -> None:
    (fact,) = noted([(THEIRS, CONTROL, RELEASED)])
    newer = replace(fact, version=2, payload=UnknownPayload(fact.kind, 2, fact.body()))
    assert "version 2 of its form is not known here" in stops(check_signed_facts([newer]))[0].text
