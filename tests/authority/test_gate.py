"""The gate (I2): no batch starts unless everything allows it."""

import base64
from dataclasses import replace
from hashlib import sha256

import pytest
from house import DIRECTORY, NOW, of, signer

from isogenic.authority.gate import RecipeAtSite, UnitAtSite, may_start
from isogenic.authority.people import Role
from isogenic.authority.signatures import sign, statement
from isogenic.checks import stops
from isogenic.ids import PersonId, RecipeId, SiteId, UnitId
from isogenic.records.signatures import Signature

DIGEST = sha256(b"recipe").hexdigest()


def signed(name: str, role: Role, meaning: str, digest: str = DIGEST):
    return sign(signer(name), of(name), role=role, meaning=meaning, at=NOW, digest=digest)


def in_a_role_not_theirs(name: str, role: str, meaning: str) -> Signature:
    """What anybody with a key of their own can make, without asking the product: a signature that says another role."""
    text = statement(PersonId(name), role=role, meaning=meaning, at=NOW, digest=DIGEST)
    made = base64.b64encode(signer(name).sign(text)).decode()
    return Signature(PersonId(name), of(name).printed_name, role, meaning, NOW, DIGEST, of(name).key, made)


AUTHOR = signed("PIA-ENGEL", Role.PROCESS_ENGINEER, "authored")
APPROVAL = signed("INES-DUARTE", Role.QUALITY, "approved")
RECIPE = RecipeAtSite(RecipeId("MAB-FB"), 1, DIGEST, DIGEST, effective=True, accepted=True, approvals=(AUTHOR, APPROVAL))
UNIT = UnitAtSite(UnitId("BR-50"))


def stopped_by(person="OLA-BERG", site="LEEDS", recipe=RECIPE, unit=UNIT):
    notes = may_start(of(person), site=SiteId(site), recipe=recipe, unit=unit, directory=DIRECTORY)
    return [note.check for note in stops(notes)]


def test_a_batch_may_start_where_everything_allows_it():
    assert stopped_by() == []
    assert len(may_start(of("OLA-BERG"), site=SiteId("LEEDS"), recipe=RECIPE, unit=UNIT, directory=DIRECTORY)) == 6  # each check says so


@pytest.mark.parametrize(
    ("case", "check"),
    [
        ({"person": "INES-DUARTE"}, "check_role_allows_the_act"),
        ({"site": "PORTO"}, "check_person_is_of_the_site"),
        ({"recipe": replace(RECIPE, effective=False)}, "check_recipe_is_effective"),
        ({"recipe": replace(RECIPE, digest="0" * 64)}, "check_recipe_is_effective"),
        ({"recipe": replace(RECIPE, accepted=False)}, "check_recipe_is_accepted_here"),
        ({"unit": replace(UNIT, occupied_by="BAT-1")}, "check_unit_is_free"),
        ({"unit": replace(UNIT, misfits=("agitation 300 rpm is above 200 rpm",))}, "check_unit_fits"),
        ({"recipe": replace(RECIPE, approvals=(AUTHOR,))}, "check_two_people_approved"),
        ({"recipe": replace(RECIPE, approvals=(signed("PIA-ENGEL", Role.PROCESS_ENGINEER, "rejected"), APPROVAL))}, "check_two_people_approved"),
        ({"recipe": replace(RECIPE, approvals=(AUTHOR, signed("INES-DUARTE", Role.QUALITY, "disposed")))}, "check_two_people_approved"),
        ({"recipe": replace(RECIPE, approvals=(AUTHOR, signed("INES-DUARTE", Role.QUALITY, "authored")))}, "check_two_people_approved"),
        ({"recipe": replace(RECIPE, approvals=(AUTHOR, in_a_role_not_theirs("IRA-SPECT", "quality", "approved")))}, "check_two_people_approved"),
        ({"recipe": replace(RECIPE, approvals=(APPROVAL, APPROVAL))}, "check_two_people_approved"),
        ({"recipe": replace(RECIPE, approvals=(AUTHOR, signed("INES-DUARTE", Role.QUALITY, "approved", "0" * 64)))}, "check_two_people_approved"),
        ({"recipe": replace(RECIPE, approvals=(AUTHOR, signed("OLA-BERG", Role.OPERATOR, "approved")))}, "check_two_people_approved"),
        ({"recipe": replace(RECIPE, approvals=(AUTHOR, APPROVAL, replace(APPROVAL, person=PersonId("FRIEDA-VOSS"))))}, "check_two_people_approved"),
    ],
)
def test_one_thing_that_is_not_in_order_stops_the_start_by_name(case, check):
    assert set(stopped_by(**case)) == {check}


def test_every_reason_is_said_at_once():
    bad = replace(RECIPE, effective=False, accepted=False, approvals=())
    assert len(stopped_by("IRA-SPECT", recipe=bad, unit=replace(UNIT, occupied_by="BAT-1", misfits=("too small",)))) == 6
