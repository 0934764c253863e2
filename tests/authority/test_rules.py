"""The rule table: every act, every role, every reason."""

import pytest
from house import of, person

from isogenic.authority.people import Role
from isogenic.authority.rules import RULES, Act, may, require
from isogenic.checks import Note, Severity, stops
from isogenic.errors import NotAllowed
from isogenic.ids import PersonId, SiteId

LEEDS = SiteId("LEEDS")
OPEN_TO = {
    Act.SIGN_RECIPE_AS_AUTHOR: {Role.PROCESS_ENGINEER},
    Act.APPROVE_RECIPE: {Role.QUALITY, Role.QUALIFIED_PERSON},
    Act.START_BATCH: {Role.OPERATOR},
    Act.ANSWER_PROMPT: {Role.OPERATOR},
    Act.WITNESS_ANSWER: {Role.OPERATOR, Role.PROCESS_ENGINEER, Role.QUALITY},
    Act.CORRECT_ANSWER: {Role.OPERATOR},
    Act.COMMAND_BATCH: {Role.OPERATOR, Role.PROCESS_ENGINEER},
    Act.CHANGE_MODE: {Role.PROCESS_ENGINEER},
    Act.STEP_BATCH: {Role.OPERATOR, Role.PROCESS_ENGINEER},
    Act.CHANGE_FORMULA: {Role.PROCESS_ENGINEER, Role.QUALITY},
    Act.REPORT_RESULT: {Role.ANALYST},
    Act.DISPOSE_DEVIATION: {Role.QUALITY, Role.QUALIFIED_PERSON},
    Act.RELEASE_LOT: {Role.QUALIFIED_PERSON},
    Act.REJECT_LOT: {Role.QUALITY, Role.QUALIFIED_PERSON},
    Act.EXPORT_STATEMENT: {Role.QUALITY, Role.QUALIFIED_PERSON},
    Act.DECIDE_ENTITLEMENT: {Role.QUALITY, Role.QUALIFIED_PERSON},
    Act.REVIEW_TRAIL: {Role.QUALITY, Role.QUALIFIED_PERSON},
    Act.ENROL_PASSKEY: set(Role),
    Act.KEEP_ACCOUNTS: {Role.ADMINISTRATOR},
    Act.ENTER_PERSON: {Role.PLANNER, Role.PRIVACY_OFFICER},
    Act.OPEN_PERSON: {Role.PLANNER, Role.PRIVACY_OFFICER},
    Act.ERASE_PERSON: {Role.PRIVACY_OFFICER},
    Act.REVOKE_KEY: {Role.QUALITY, Role.QUALIFIED_PERSON, Role.ADMINISTRATOR},
    Act.GRANT_COMPETENCE: {Role.QUALITY, Role.QUALIFIED_PERSON},
    Act.WITHDRAW_COMPETENCE: {Role.QUALITY, Role.QUALIFIED_PERSON},
    Act.RECEIVE_MATERIAL: {Role.OPERATOR, Role.ANALYST, Role.QUALITY},
    Act.RELEASE_MATERIAL: {Role.QUALITY, Role.QUALIFIED_PERSON},
    Act.BLOCK_MATERIAL: {Role.QUALITY, Role.QUALIFIED_PERSON},
    Act.INSTALL_ASSEMBLY: {Role.OPERATOR},
    Act.ASSIGN_LINE: {Role.OPERATOR},
    Act.CLEAR_LINE: {Role.OPERATOR, Role.ANALYST, Role.QUALITY},
    Act.AUTHOR_MASTER_FILE: {Role.REGULATORY, Role.PROCESS_ENGINEER},
    Act.APPROVE_MASTER_FILE: {Role.QUALITY, Role.QUALIFIED_PERSON},
    Act.PUBLISH_COMMITMENTS: {Role.REGULATORY},
    Act.APPLY_LICENCE: {Role.REGULATORY},
    Act.QUALIFY_LICENCE: {Role.QUALITY, Role.QUALIFIED_PERSON},
    Act.ACTIVATE_LICENCE: {Role.QUALIFIED_PERSON},
    Act.PAUSE_LICENCE: {Role.QUALITY, Role.QUALIFIED_PERSON, Role.REGULATORY, Role.PLANNER},
    Act.RESUME_LICENCE: {Role.QUALITY, Role.QUALIFIED_PERSON},
    Act.SUSPEND_LICENCE: {Role.QUALITY, Role.QUALIFIED_PERSON, Role.REGULATORY},
    Act.REINSTATE_LICENCE: {Role.QUALITY, Role.QUALIFIED_PERSON},
    Act.CEASE_LICENCE: {Role.QUALIFIED_PERSON, Role.REGULATORY},
    Act.READ: set(Role),
}


@pytest.mark.parametrize("act", Act)
@pytest.mark.parametrize("role", Role)
def test_an_act_is_open_to_its_roles_only(act, role):
    allowed = not stops(may(person("ANYBODY", role), act, site=LEEDS))
    assert allowed == (role in OPEN_TO[act])


@pytest.mark.parametrize("act", Act)
def test_every_rule_names_its_clause_and_reason(act):
    assert all(rule.name.startswith("check_") and rule.clause and rule.reason for rule in RULES[act])


@pytest.mark.parametrize("act", Act)
def test_nobody_acts_who_is_no_longer_active(act):
    assert "no longer active" in stops(may(of("GONE-AWAY"), act))[0].text


@pytest.mark.parametrize("act", [Act.START_BATCH, Act.ANSWER_PROMPT, Act.COMMAND_BATCH])
def test_an_operator_works_at_the_own_site_only(act):
    assert not stops(may(of("OLA-BERG"), act, site=LEEDS))
    assert [note.check for note in stops(may(of("OLA-BERG"), act, site=SiteId("PORTO")))] == ["check_person_is_of_the_site"]


def test_the_author_does_not_approve_the_recipe():
    both = person("BOTH-HATS", Role.PROCESS_ENGINEER, Role.QUALITY)
    assert not stops(may(both, Act.APPROVE_RECIPE, author=PersonId("PIA-ENGEL")))
    assert may(both, Act.APPROVE_RECIPE, author=both.id) == [
        Note(
            "check_approver_is_not_the_author",
            Severity.STOP,
            "Both Hats may not approve the recipe: the author of a recipe does not approve it (21 CFR 211.100(a))",
            "quality",
        )
    ]


@pytest.mark.parametrize("act", [Act.RELEASE_LOT, Act.REJECT_LOT, Act.DISPOSE_DEVIATION])
def test_who_ran_the_batch_does_not_judge_it(act):
    both = person("BOTH-HATS", Role.OPERATOR, Role.QUALIFIED_PERSON)
    assert not stops(may(both, act, operators=[PersonId("OLA-BERG")]))
    assert [note.check for note in stops(may(both, act, operators=[both.id]))] == ["check_judge_did_not_run_the_batch"]


def test_a_refusal_names_every_reason_and_what_is_possible():
    with pytest.raises(NotAllowed) as refused:
        require(person("GONE-OP", Role.OPERATOR, sites=("PORTO",), active=False), Act.RELEASE_LOT, site=LEEDS)
    assert refused.value.what == "GONE-OP cannot release the lot at LEEDS"
    assert refused.value.why.count("may not release the lot") == 3
    assert refused.value.possible == "ask a person with the role qualified person"


def test_an_allowed_act_says_so():
    assert may(of("OLA-BERG"), Act.START_BATCH, site=LEEDS) == [Note("check_person_may", Severity.GOOD, "Ola Berg may start a batch")]
