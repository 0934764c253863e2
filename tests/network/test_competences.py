"""Competences decided at the control site reach every site, and count there without a link."""

import asyncio
from datetime import timedelta

import pytest

from isogenic.authority.competence import CompetenceGranted, check_is_competent
from isogenic.checks import stops
from isogenic.errors import NotAllowed, NotFound
from isogenic.ids import PersonId
from isogenic.network.competences import grant_competence, withdraw_competence
from isogenic.network.decisions import directory
from isogenic.quality.signed import check_signed_facts
from small_network import ADA, BEN, GHENT, LEEDS, QUI, Network, signer_of

LEA = PersonId("LEA")
WORD = "aseptic_connection"


@pytest.fixture
def net(tmp_path):
    network = Network(tmp_path / "net", sites=(LEEDS, GHENT))
    yield network
    for site in (LEEDS, GHENT):
        network.close_site(site)
    network.close_control()


def grant(net, by=BEN, person=LEA):
    return grant_competence(
        net.control, net.person(by), signer_of(by), person=person, competence=WORD, until=net.clock.at + timedelta(days=365), basis="TR-014"
    )


def lacks(net, site, person=LEA):
    return bool(stops(check_is_competent(person, [WORD], held=net.nodes[site].state.competences, now=net.clock.at)))


def test_a_granted_competence_counts_at_every_site_once_it_has_arrived(net):
    grant(net)
    assert (lacks(net, LEEDS), lacks(net, GHENT)) == (True, True)
    asyncio.run(net.carry(LEEDS))
    assert (lacks(net, LEEDS), lacks(net, GHENT)) == (False, True)
    asyncio.run(net.carry(GHENT))
    assert lacks(net, GHENT) is False


def test_a_withdrawn_competence_is_lacking_after_a_restart_too(net):
    grant(net)
    withdraw_competence(net.control, net.person(QUI), signer_of(QUI), person=LEA, competence=WORD, why="media fill failed")
    asyncio.run(net.carry(LEEDS))
    assert lacks(net, LEEDS)
    net.restart_site(LEEDS)
    assert lacks(net, LEEDS)


def test_who_grants_is_not_who_holds_and_has_a_role_for_it(net):
    with pytest.raises(NotAllowed, match="nobody attests their own competence"):
        grant(net, by=BEN, person=BEN)
    with pytest.raises(NotAllowed, match="it takes the role quality"):
        grant(net, by=ADA)
    with pytest.raises(NotFound):
        grant(net, person=PersonId("NOBODY"))
    assert net.control.state.competences.said == {}


def test_what_was_never_granted_cannot_be_withdrawn(net):
    with pytest.raises(NotFound):
        withdraw_competence(net.control, net.person(QUI), signer_of(QUI), person=LEA, competence=WORD, why="none")


def test_a_site_that_says_so_itself_is_not_believed(net):
    granted = grant(net)
    forged = CompetenceGranted(PersonId("ANA"), WORD, granted.since, granted.until, granted.basis, granted.signature)
    net.nodes[LEEDS].ledgers["HOUSE"].append([forged], actor=net.nodes[LEEDS].actor, moment=net.clock.now())
    net.restart_site(LEEDS)
    assert lacks(net, LEEDS, PersonId("ANA"))


def test_the_signature_is_over_what_the_fact_says(net):
    grant(net)
    facts = list(net.control.ledgers["LEEDS"].facts())
    assert not stops(check_signed_facts(facts))
    assert directory(net.control).version == 1
