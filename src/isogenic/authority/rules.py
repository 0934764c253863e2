"""Who may do what: one table of rules, each with its clause and its reason.

    act                     roles                              and
    sign_recipe_as_author   process engineer                   (of a changeover matrix, too)
    approve_recipe          quality, qualified person          not the recipe's author
    start_batch             operator                           of this site
    answer_prompt           operator                           of this site
    witness_answer          operator, process engineer, quality   of this site, not who answered
    correct_answer          operator                           of this site
    command_batch           operator, process engineer         of this site
    change_mode             process engineer                   of this site
    step_batch              operator, process engineer         of this site
    change_formula          process engineer, quality          of this site
    report_result           analyst                            of this site
    dispose_deviation       quality, qualified person          not an operator of the batch
    release_lot             qualified person                   not an operator of the batch
    reject_lot              quality, qualified person          not an operator of the batch
    export_statement        quality, qualified person          of this site
    decide_entitlement      quality, qualified person
    enter_person            planner, privacy officer
    open_person             planner, privacy officer
    erase_person            privacy officer
    revoke_key              quality, qualified person, administrator
    grant_competence        quality, qualified person          not for themselves
    withdraw_competence     quality, qualified person
    receive_material        operator, analyst, quality         of this site
    release_material        quality, qualified person          of this site, not who received it
    block_material          quality, qualified person          of this site
    install_assembly        operator                           of this site
    assign_line             operator                           of this site
    clear_line              operator, analyst, quality         of this site
    author_master_file      regulatory affairs, process engineer
    approve_master_file     quality, qualified person          not its author
    publish_commitments     regulatory affairs
    apply_licence           regulatory affairs
    qualify_licence         quality, qualified person          not who applied
    activate_licence        qualified person                   not who applied
    pause_licence           planner, quality, qualified person, regulatory affairs
    resume_licence          quality, qualified person
    suspend_licence         quality, qualified person, regulatory affairs
    reinstate_licence       quality, qualified person          not who applied
    cease_licence           qualified person, regulatory affairs
    read                    everybody                          of this site

Guarantees: `may` names every rule that is broken, not only the first; with none broken it
says so. Every act also wants a person who is active.
Leaves to others: whether the person is who they say (accounts, signatures).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from isogenic.authority.people import Person, Role
from isogenic.checks import Note, Severity, stops
from isogenic.errors import NotAllowed
from isogenic.ids import PersonId, SiteId

__all__ = ["RULES", "Act", "Circumstances", "Rule", "may", "require", "roles_that_may"]


class Act(StrEnum):
    """What a person may ask to do."""

    SIGN_RECIPE_AS_AUTHOR = "sign_recipe_as_author"
    APPROVE_RECIPE = "approve_recipe"
    START_BATCH = "start_batch"
    ANSWER_PROMPT = "answer_prompt"
    WITNESS_ANSWER = "witness_answer"
    CORRECT_ANSWER = "correct_answer"
    COMMAND_BATCH = "command_batch"
    CHANGE_MODE = "change_mode"
    STEP_BATCH = "step_batch"
    CHANGE_FORMULA = "change_formula"
    REPORT_RESULT = "report_result"
    DISPOSE_DEVIATION = "dispose_deviation"
    RELEASE_LOT = "release_lot"
    REJECT_LOT = "reject_lot"
    EXPORT_STATEMENT = "export_statement"
    DECIDE_ENTITLEMENT = "decide_entitlement"
    REVIEW_TRAIL = "review_trail"
    ENROL_PASSKEY = "enrol_passkey"
    KEEP_ACCOUNTS = "keep_accounts"
    ENTER_PERSON = "enter_person"
    OPEN_PERSON = "open_person"
    ERASE_PERSON = "erase_person"
    REVOKE_KEY = "revoke_key"
    GRANT_COMPETENCE = "grant_competence"
    WITHDRAW_COMPETENCE = "withdraw_competence"
    RECEIVE_MATERIAL = "receive_material"
    RELEASE_MATERIAL = "release_material"
    BLOCK_MATERIAL = "block_material"
    INSTALL_ASSEMBLY = "install_assembly"
    ASSIGN_LINE = "assign_line"
    CLEAR_LINE = "clear_line"
    AUTHOR_MASTER_FILE = "author_master_file"
    APPROVE_MASTER_FILE = "approve_master_file"
    PUBLISH_COMMITMENTS = "publish_commitments"
    APPLY_LICENCE = "apply_licence"
    QUALIFY_LICENCE = "qualify_licence"
    ACTIVATE_LICENCE = "activate_licence"
    PAUSE_LICENCE = "pause_licence"
    RESUME_LICENCE = "resume_licence"
    SUSPEND_LICENCE = "suspend_licence"
    REINSTATE_LICENCE = "reinstate_licence"
    CEASE_LICENCE = "cease_licence"
    READ = "read"

    @property
    def words(self) -> str:
        """As people read it."""
        return _WORDS[self]


_WORDS: Mapping[Act, str] = {
    Act.SIGN_RECIPE_AS_AUTHOR: "sign the recipe as its author",
    Act.APPROVE_RECIPE: "approve the recipe",
    Act.START_BATCH: "start a batch",
    Act.ANSWER_PROMPT: "answer a prompt",
    Act.WITNESS_ANSWER: "witness a step",
    Act.CORRECT_ANSWER: "correct an answer",
    Act.COMMAND_BATCH: "command the batch",
    Act.CHANGE_MODE: "change the mode of the batch",
    Act.STEP_BATCH: "take the batch from step to step",
    Act.CHANGE_FORMULA: "change a parameter of the running batch",
    Act.REPORT_RESULT: "report a result",
    Act.DISPOSE_DEVIATION: "dispose of the deviation",
    Act.RELEASE_LOT: "release the lot",
    Act.REJECT_LOT: "reject the lot",
    Act.EXPORT_STATEMENT: "export a statement for strangers",
    Act.DECIDE_ENTITLEMENT: "say who may have a ledger",
    Act.REVIEW_TRAIL: "review the audit trail",
    Act.ENROL_PASSKEY: "enrol a passkey",
    Act.KEEP_ACCOUNTS: "keep the accounts",
    Act.ENTER_PERSON: "enter a person in the vault",
    Act.OPEN_PERSON: "open a person's record",
    Act.ERASE_PERSON: "erase a person from the vault",
    Act.REVOKE_KEY: "revoke a key",
    Act.GRANT_COMPETENCE: "grant the competence",
    Act.WITHDRAW_COMPETENCE: "withdraw the competence",
    Act.RECEIVE_MATERIAL: "receive a material",
    Act.RELEASE_MATERIAL: "release a material for use",
    Act.BLOCK_MATERIAL: "reject or recall a material",
    Act.INSTALL_ASSEMBLY: "install an assembly",
    Act.ASSIGN_LINE: "assign a line to a lot",
    Act.CLEAR_LINE: "clear a line",
    Act.AUTHOR_MASTER_FILE: "sign the master file as its author",
    Act.APPROVE_MASTER_FILE: "approve the master file",
    Act.PUBLISH_COMMITMENTS: "say what was committed to the authorities",
    Act.APPLY_LICENCE: "apply for the licence",
    Act.QUALIFY_LICENCE: "qualify the site under the licence",
    Act.ACTIVATE_LICENCE: "activate the licence",
    Act.PAUSE_LICENCE: "pause the licence",
    Act.RESUME_LICENCE: "resume the licence",
    Act.SUSPEND_LICENCE: "suspend the licence",
    Act.REINSTATE_LICENCE: "reinstate the licence",
    Act.CEASE_LICENCE: "cease the licence",
    Act.READ: "read",
}


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What surrounds an act: where, and who had a hand in the thing before."""

    site: SiteId | None = None
    author: PersonId | None = None  # of what is judged: the recipe, the master file; who applied; who is to be competent
    operators: frozenset[PersonId] = frozenset()  # of the batch


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason why an act may be forbidden."""

    name: str
    clause: str
    reason: str
    kept: Callable[[Person, Circumstances], bool]


ACTIVE = Rule("check_person_is_active", "21 CFR 11.10(d)", "the person is no longer active", lambda person, at: person.may_enter)
OF_THIS_SITE = Rule(
    "check_person_is_of_the_site",
    "21 CFR 11.10(d)",
    "the person is not assigned to this site",
    lambda person, at: at.site is None or person.works_at(at.site),
)
# EU GMP chapter 2: nobody judges their own work.
NOT_THE_AUTHOR = Rule(
    "check_approver_is_not_the_author", "21 CFR 211.100(a)", "the author of a recipe does not approve it", lambda person, at: person.id != at.author
)
NOT_AN_OPERATOR = Rule(
    "check_judge_did_not_run_the_batch", "21 CFR 211.22(a)", "who ran the batch does not judge it", lambda person, at: person.id not in at.operators
)
NOT_THE_RECEIVER = Rule(
    "check_releaser_did_not_receive", "21 CFR 211.22(a)", "who received a material does not release it", lambda person, at: person.id != at.author
)
NOT_THE_HOLDER = Rule(
    "check_granter_is_not_the_holder", "21 CFR 211.25(a)", "nobody attests their own competence", lambda person, at: person.id != at.author
)
NOT_THE_APPLICANT = Rule(
    "check_judge_is_not_the_applicant",
    "EU GMP 2.5",
    "who applied for a licence does not decide on it",
    lambda person, at: person.id != at.author,
)
NOT_THE_FILES_AUTHOR = Rule(
    "check_approver_is_not_the_author",
    "EU GMP 4.3",
    "its author does not approve a master file",
    lambda person, at: person.id != at.author,
)


def _role(*roles: Role) -> Rule:
    titles = " or ".join(role.words for role in roles)
    return Rule(
        "check_role_allows_the_act", "21 CFR 11.10(g)", f"it takes the role {titles}", lambda person, at: bool(set(roles) & set(person.roles))
    )


_ROLES: Mapping[Act, tuple[Role, ...]] = {
    Act.SIGN_RECIPE_AS_AUTHOR: (Role.PROCESS_ENGINEER,),
    Act.APPROVE_RECIPE: (Role.QUALITY, Role.QUALIFIED_PERSON),
    Act.START_BATCH: (Role.OPERATOR,),
    Act.ANSWER_PROMPT: (Role.OPERATOR,),
    Act.WITNESS_ANSWER: (Role.OPERATOR, Role.PROCESS_ENGINEER, Role.QUALITY),
    Act.CORRECT_ANSWER: (Role.OPERATOR,),
    Act.COMMAND_BATCH: (Role.OPERATOR, Role.PROCESS_ENGINEER),
    Act.CHANGE_MODE: (Role.PROCESS_ENGINEER,),
    Act.STEP_BATCH: (Role.OPERATOR, Role.PROCESS_ENGINEER),
    Act.CHANGE_FORMULA: (Role.PROCESS_ENGINEER, Role.QUALITY),
    Act.REPORT_RESULT: (Role.ANALYST,),
    Act.DISPOSE_DEVIATION: (Role.QUALITY, Role.QUALIFIED_PERSON),
    Act.RELEASE_LOT: (Role.QUALIFIED_PERSON,),
    Act.REJECT_LOT: (Role.QUALITY, Role.QUALIFIED_PERSON),
    Act.EXPORT_STATEMENT: (Role.QUALITY, Role.QUALIFIED_PERSON),
    Act.DECIDE_ENTITLEMENT: (Role.QUALITY, Role.QUALIFIED_PERSON),
    Act.REVIEW_TRAIL: (Role.QUALITY, Role.QUALIFIED_PERSON),
    Act.ENROL_PASSKEY: tuple(Role),
    Act.KEEP_ACCOUNTS: (Role.ADMINISTRATOR,),
    Act.ENTER_PERSON: (Role.PLANNER, Role.PRIVACY_OFFICER),
    Act.OPEN_PERSON: (Role.PLANNER, Role.PRIVACY_OFFICER),
    Act.ERASE_PERSON: (Role.PRIVACY_OFFICER,),
    Act.REVOKE_KEY: (Role.QUALITY, Role.QUALIFIED_PERSON, Role.ADMINISTRATOR),
    Act.GRANT_COMPETENCE: (Role.QUALITY, Role.QUALIFIED_PERSON),
    Act.WITHDRAW_COMPETENCE: (Role.QUALITY, Role.QUALIFIED_PERSON),
    Act.RECEIVE_MATERIAL: (Role.OPERATOR, Role.ANALYST, Role.QUALITY),
    Act.RELEASE_MATERIAL: (Role.QUALITY, Role.QUALIFIED_PERSON),
    Act.BLOCK_MATERIAL: (Role.QUALITY, Role.QUALIFIED_PERSON),
    Act.INSTALL_ASSEMBLY: (Role.OPERATOR,),
    Act.ASSIGN_LINE: (Role.OPERATOR,),
    Act.CLEAR_LINE: (Role.OPERATOR, Role.ANALYST, Role.QUALITY),
    Act.AUTHOR_MASTER_FILE: (Role.REGULATORY, Role.PROCESS_ENGINEER),
    Act.APPROVE_MASTER_FILE: (Role.QUALITY, Role.QUALIFIED_PERSON),
    Act.PUBLISH_COMMITMENTS: (Role.REGULATORY,),
    Act.APPLY_LICENCE: (Role.REGULATORY,),
    Act.QUALIFY_LICENCE: (Role.QUALITY, Role.QUALIFIED_PERSON),
    Act.ACTIVATE_LICENCE: (Role.QUALIFIED_PERSON,),
    Act.PAUSE_LICENCE: (Role.QUALITY, Role.QUALIFIED_PERSON, Role.REGULATORY, Role.PLANNER),
    Act.RESUME_LICENCE: (Role.QUALITY, Role.QUALIFIED_PERSON),
    Act.SUSPEND_LICENCE: (Role.QUALITY, Role.QUALIFIED_PERSON, Role.REGULATORY),
    Act.REINSTATE_LICENCE: (Role.QUALITY, Role.QUALIFIED_PERSON),
    Act.CEASE_LICENCE: (Role.QUALIFIED_PERSON, Role.REGULATORY),
    Act.READ: tuple(Role),
}
_ALSO: Mapping[Act, tuple[Rule, ...]] = {
    Act.APPROVE_RECIPE: (NOT_THE_AUTHOR,),
    Act.RELEASE_MATERIAL: (NOT_THE_RECEIVER,),
    Act.GRANT_COMPETENCE: (NOT_THE_HOLDER,),
    Act.APPROVE_MASTER_FILE: (NOT_THE_FILES_AUTHOR,),
    Act.QUALIFY_LICENCE: (NOT_THE_APPLICANT,),
    Act.ACTIVATE_LICENCE: (NOT_THE_APPLICANT,),
    Act.REINSTATE_LICENCE: (NOT_THE_APPLICANT,),
    Act.DISPOSE_DEVIATION: (NOT_AN_OPERATOR,),
    Act.RELEASE_LOT: (NOT_AN_OPERATOR,),
    Act.REJECT_LOT: (NOT_AN_OPERATOR,),
    Act.REVIEW_TRAIL: (NOT_AN_OPERATOR,),  # EU Annex 11, draft of 2025, 12.6: nobody reviews the trail of their own work
}
RULES: Mapping[Act, tuple[Rule, ...]] = {act: (ACTIVE, _role(*roles), OF_THIS_SITE, *_ALSO.get(act, ())) for act, roles in _ROLES.items()}


def roles_that_may(act: Act) -> tuple[Role, ...]:
    """The roles an act is open to."""
    return _ROLES[act]


def may(person: Person, act: Act, *, site: SiteId | None = None, author: PersonId | None = None, operators: Collection[PersonId] = ()) -> list[Note]:
    """Every rule that forbids the act, or one note that none does."""
    at = Circumstances(site, author, frozenset(operators))
    owner = _ROLES[act][0].value
    broken = [
        Note(rule.name, Severity.STOP, f"{person.printed_name} may not {act.words}: {rule.reason} ({rule.clause})", owner)
        for rule in RULES[act]
        if not rule.kept(person, at)
    ]
    return broken or [Note("check_person_may", Severity.GOOD, f"{person.printed_name} may {act.words}")]


def require(person: Person, act: Act, *, site: SiteId | None = None, author: PersonId | None = None, operators: Collection[PersonId] = ()) -> None:
    """Raise `NotAllowed` with every reason unless the act is open to the person."""
    broken = stops(may(person, act, site=site, author=author, operators=operators))
    if broken:
        asked = f"{person.id} cannot {act.words}" + (f" at {site}" if site else "")
        open_to = ", ".join(role.words for role in _ROLES[act])
        raise NotAllowed(asked, why="; ".join(note.text for note in broken), possible=f"ask a person with the role {open_to}")
