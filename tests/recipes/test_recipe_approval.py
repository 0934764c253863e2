"""Approval takes two different people; what a site makes of a publication follows from its texts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from recipe_desk import GENERAL, changed, plant_of, text

from isogenic.checks import stops
from isogenic.clock import Moment
from isogenic.ids import BatchId, LotId, PersonId, RecipeId, SiteId, UnitId
from isogenic.recipes.approval import RecipeAccepted, RecipeApproved, RecipePublished, check_approvals
from isogenic.recipes.model import digest_of
from isogenic.recipes.publishing import control_recipe, derive_for_units, recipe_digest
from isogenic.records.facts import Actor, FactRef, decode_fact, encode_fact
from isogenic.records.signatures import Signature

DIGEST = digest_of(GENERAL)
AT = datetime(2026, 3, 1, 9, tzinfo=UTC)


def signed(person="P-EVE", role="process_engineer", meaning="authored", digest=DIGEST):
    return Signature(PersonId(person), person.title(), role, meaning, AT, digest, "key", "c2ln")


AUTHOR, QUALITY = signed(), signed("P-QUINN", "quality", "approved")


def published(general=GENERAL, site="leeds"):
    site_text = text(f"{site}.site.yaml")
    return RecipePublished(
        RecipeId("MAB-FB"), 1, digest_of(general), general, (AUTHOR, QUALITY), SiteId(site.upper()), digest_of(site_text), site_text
    )


def test_an_author_and_an_approver_suffice():
    assert stops(check_approvals(DIGEST, (AUTHOR, QUALITY))) == []


@pytest.mark.parametrize(
    ("approvals", "why"),
    [
        ((), "nobody in the role process_engineer has signed it as authored"),
        ((AUTHOR,), "nobody in the role quality has signed it as approved"),
        ((QUALITY,), "nobody in the role process_engineer has signed it as authored"),
        ((AUTHOR, signed("P-EVE", "quality", "approved")), "two different people must sign"),
        ((AUTHOR, signed("P-QUINN", "operator", "approved")), "nobody in the role quality has signed it as approved"),
        ((AUTHOR, signed("P-QUINN", "quality", "approved", "0" * 64)), "P-Quinn (P-QUINN) signed another text"),
    ],
)
def test_anything_less_stops(approvals, why):
    assert why in [note.text for note in stops(check_approvals(DIGEST, approvals))]


@pytest.mark.parametrize(
    "payload",
    [
        RecipeApproved(RecipeId("MAB-FB"), 1, DIGEST, AUTHOR),
        published(),
        published(site="porto"),
        RecipeAccepted(RecipeId("MAB-FB"), 1, DIGEST, {"BR-50": "ab"}),
    ],
)
def test_recipe_facts_survive_their_bytes(payload):
    data = encode_fact(payload, ref=FactRef("control/leeds", 0), actor=Actor.node("CONTROL"), moment=Moment(AT))
    assert decode_fact(data).payload == payload
    assert decode_fact(data).subject == "MAB-FB"
    assert len(data) < 30_000


def test_a_published_text_keeps_its_digest_through_a_fact():
    data = encode_fact(published(site="porto"), ref=FactRef("control/porto", 0), actor=Actor.node("CONTROL"), moment=Moment(AT))
    there = decode_fact(data).payload
    assert recipe_digest(there) == there.digest == DIGEST
    assert digest_of(there.site_text) == there.site_digest


def test_a_site_derives_for_each_unit_or_says_why_not():
    digests, reasons = derive_for_units(published(), plant=plant_of("leeds"))
    assert list(digests) == ["BR-50"] and reasons == []
    greedy = changed("feed_flow: {low: 0 mL/h", "feed_flow: {low: -5 mL/h")
    digests, reasons = derive_for_units(published(greedy), plant=plant_of("leeds"))
    assert digests == {}
    assert reasons == ["BR-50: feed_flow -5 to 35 mL/h is needed; BR-50 can 0 to 120"]


def test_a_text_that_is_no_recipe_gives_reasons_not_a_crash():
    control, notes = control_recipe(
        published("isogenic: general-recipe/1\n"), plant=plant_of("leeds"), unit=UnitId("BR-50"), batch=BatchId("BAT-1"), lot=LotId("LOT-1")
    )
    assert control is None
    assert "recipe is missing" in stops(notes)[0].text


def test_a_recipe_for_another_site_is_not_derived_here():
    digests, reasons = derive_for_units(published(site="porto"), plant=plant_of("leeds"))
    assert digests == {}
    assert reasons == ["BR-50: it was written for another site"]
