"""Licences: every state and every command, as the table says, and in no other way."""

from dataclasses import replace

import pytest
from house import NOW, of, signer

from isogenic.authority.licences import (
    ACTS,
    NEXT,
    Command,
    LicenceApplied,
    LicenceChanged,
    State,
    about_application,
    apply,
    licence_digest,
    possible,
    target,
)
from isogenic.authority.people import Role
from isogenic.authority.signatures import MEANINGS, sign
from isogenic.errors import NotAllowed, NotValid
from isogenic.ids import LicenceId, MasterFileId, ProductId, SiteId

# As the documentation has it: state, command, state.
TABLE = {
    ("onboarding", "qualify"): "qualified",
    ("onboarding", "cease"): "ceased",
    ("qualified", "activate"): "active",
    ("qualified", "suspend"): "suspended",
    ("qualified", "cease"): "ceased",
    ("active", "pause"): "paused",
    ("active", "suspend"): "suspended",
    ("active", "cease"): "ceased",
    ("paused", "resume"): "active",
    ("paused", "suspend"): "suspended",
    ("paused", "cease"): "ceased",
    ("suspended", "reinstate"): "qualified",
    ("suspended", "cease"): "ceased",
}
LICENCE, LEEDS = LicenceId("LIC-LEEDS-MAB-A"), SiteId("LEEDS")
SIGNED = sign(signer("INES-DUARTE"), of("INES-DUARTE"), role=Role.QUALITY, meaning="approved", at=NOW, digest="0" * 64)


def applied(licence=LICENCE):
    return LicenceApplied(licence, LEEDS, MasterFileId("MF-MAB-A"), ProductId("MAB-A"), "MIA 1", "it is equipped", SIGNED)


def changed(command, state, number=1, site=LEEDS):
    return LicenceChanged(LICENCE, site, command, state, number, "as found", SIGNED)


def in_state(state):
    return {LICENCE: replace(apply({}, applied())[LICENCE], state=state)}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("command", Command)
def test_a_command_is_taken_only_where_the_table_has_it(state, command):
    to = TABLE.get((state.value, command.value))
    if to is None:
        with pytest.raises(NotAllowed) as refusal:
            target(state, command)
        assert (refusal.value.why, refusal.value.possible) == (f"it is {state}", possible(state))
    else:
        assert target(state, command) == to


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("command", Command)
@pytest.mark.parametrize("to", State)
def test_a_fact_that_the_table_does_not_have_changes_nothing_and_is_counted(state, command, to):
    after = apply(in_state(state), changed(command, to))[LICENCE]
    if TABLE.get((state.value, command.value)) == to:
        assert (after.state, len(after.changes), after.strange) == (to, 1, 0)
    else:
        assert (after.state, len(after.changes), after.strange) == (state, 0, 1)


def test_a_change_out_of_turn_or_of_another_site_changes_nothing():
    for wrong in (changed(Command.QUALIFY, State.QUALIFIED, number=2), changed(Command.QUALIFY, State.QUALIFIED, site=SiteId("GHENT"))):
        assert apply(in_state(State.ONBOARDING), wrong)[LICENCE].state is State.ONBOARDING


def test_a_licence_begins_once():
    again = apply(apply({}, applied()), replace(applied(), site=SiteId("GHENT")))
    assert (again[LICENCE].site, again[LICENCE].strange) == (LEEDS, 1)


def test_a_change_of_a_licence_that_nobody_applied_for_is_none():
    assert apply({}, changed(Command.QUALIFY, State.QUALIFIED)) == {}


def test_every_command_is_an_act_of_its_own_with_a_meaning_of_its_own():
    assert set(ACTS) == set(Command)
    assert len({MEANINGS[act] for act in ACTS.values()}) == len(Command)
    assert {command for commands in NEXT.values() for command in commands} == set(Command) - {Command.APPLY}


@pytest.mark.parametrize("change", [{"command": Command.CEASE}, {"number": 2}, {"why": "other"}, {"site": SiteId("GHENT")}])
def test_what_is_signed_is_the_command_the_site_its_number_and_the_reason(change):
    said = {"command": Command.SUSPEND, "site": LEEDS, "number": 1, "why": "sterility"}
    first, other = ({**said}, {**said, **change})
    assert licence_digest(LICENCE, first.pop("command"), **first) != licence_digest(LICENCE, other.pop("command"), **other)


def test_an_application_is_about_its_master_file_product_and_reference():
    assert about_application(applied()) == "MF-MAB-A MAB-A MIA 1"


def test_a_change_needs_a_reason():
    with pytest.raises(NotValid):
        replace(changed(Command.SUSPEND, State.SUSPENDED), why=" ")
