"""What is decided reaches every site: those that are there at once, those that are away when they have answered, all after a power cut."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from isogenic.authority.entitlements import party_of_node
from isogenic.authority.identities import PersonDisabled
from isogenic.authority.people import DirectoryPublished, Person, Role
from isogenic.authority.revocation import KeyRevoked
from isogenic.authority.rules import Act
from isogenic.errors import NotReachable
from isogenic.ids import PersonId, SiteId
from isogenic.network import credentials, decisions, entitling
from isogenic.network.revoking import revoke_site_key
from isogenic.quality.specifications import SpecificationPublished
from isogenic.recipes.approval import RecipePublished
from isogenic.records.facts import Fact
from small_network import ADA, BEN, GENERAL, GHENT, LEEDS, RECIPE, Network, signer_of

AWAY = "aster/CONTROL/GHENT"
GUS = PersonId("GUS")


def directed(net: Network, site: SiteId, kind: type) -> list[Fact]:
    return [fact for fact in net.control.ledgers[str(site)].facts() if isinstance(fact.payload, kind)]


def carry(net: Network, *sites: SiteId) -> None:
    for site in sites:
        asyncio.run(net.carry(site))


def sign_recipe(net: Network) -> None:
    decisions.submit_recipe(net.control, net.person(ADA), GENERAL)
    decisions.approve_recipe(net.control, net.person(ADA), signer_of(ADA), recipe=RECIPE, version=1, act=Act.SIGN_RECIPE_AS_AUTHOR)
    decisions.approve_recipe(net.control, net.person(BEN), signer_of(BEN), recipe=RECIPE, version=1, act=Act.APPROVE_RECIPE)


def restored(folder: Path) -> Network:
    """Two sites, and the ledger written for GHENT from an old copy; GHENT is away."""
    net = Network(folder / "net", sites=(LEEDS, GHENT))
    sign_recipe(net)
    carry(net, LEEDS, GHENT)
    net.close_control()
    shutil.copy(net.folder / "CONTROL" / "ledgers" / "GHENT.sqlite", folder / "older.sqlite")
    net.control = net.open_control()
    net.control.note([next(iter(directed(net, GHENT, DirectoryPublished))).payload], site=GHENT)
    relead(net)
    carry(net, LEEDS, GHENT)
    net.close_control()
    shutil.copy(folder / "older.sqlite", net.folder / "CONTROL" / "ledgers" / "GHENT.sqlite")
    net.control = net.open_control()
    relead(net)
    net.lines[GHENT].up = False
    assert list(net.control.returning.waits) == [AWAY]
    return net


def relead(net: Network) -> None:
    for line in net.lines.values():
        line.desk = net.control.desk


def test_a_site_that_is_away_keeps_no_publication_from_the_others_and_gets_each_of_them_once_it_has_answered(tmp_path: Path) -> None:
    net = restored(tmp_path)
    assert decisions.publish_recipe(net.control, net.person(BEN), recipe=RECIPE, version=1) == [GHENT, LEEDS, *away_others(net)]
    assert decisions.publish_recipe(net.control, net.person(BEN), recipe=RECIPE, version=1) == []
    credentials.disable(net.control, administrator(net), person=GUS, why="left")
    text = next(iter(directed(net, LEEDS, SpecificationPublished))).payload.text  # type: ignore[union-attr]
    decisions.publish_specification(net.control, text.replace("version: 1", "version: 2", 1))
    assert [len(directed(net, LEEDS, kind)) for kind in (RecipePublished, PersonDisabled)] == [1, 1]
    assert [len(directed(net, GHENT, kind)) for kind in (RecipePublished, PersonDisabled)] == [0, 0]
    carry(net, LEEDS)
    assert (RECIPE, 1) in net.nodes[LEEDS].state.published
    net.restart_control()  # and the next process knows what is still to be told
    net.lines[GHENT].up = True
    carry(net, GHENT, GHENT)
    assert net.control.returning.waits == {}
    for kind in (RecipePublished, PersonDisabled, SpecificationPublished):
        ours, theirs = directed(net, LEEDS, kind), directed(net, GHENT, kind)
        assert [fact.actor for fact in ours] == [fact.actor for fact in theirs]
        assert len(ours) == len(theirs)
    assert (RECIPE, 1) in net.nodes[GHENT].state.published
    assert net.nodes[GHENT].state.directory is not None
    assert net.nodes[GHENT].state.directory.person(GUS).disabled
    assert [net.control.publishing.lacking(site) for site in net.control.sites()] == [[]] * 3


def administrator(net: Network) -> Person:
    return next(each for each in decisions.directory(net.control).people.values() if Role.ADMINISTRATOR in each.roles)


def away_others(net: Network) -> list[SiteId]:
    return [site for site in net.control.sites() if site not in (LEEDS, GHENT)]


def test_a_stolen_key_of_a_site_that_is_away_is_revoked_at_once(tmp_path: Path) -> None:
    net = restored(tmp_path)
    revoke_site_key(net.control, net.person(BEN), signer_of(BEN), site=GHENT, key="", reason="the machine was stolen")
    assert net.control.copies["aster/GHENT/HOUSE"][1].keys.revoked_before(1 << 40) is not None
    entitling.end_entitlement(net.control, net.person(BEN), signer_of(BEN), ledger="aster/GHENT/HOUSE", to=party_of_node("CONTROL"), why="stolen")
    assert directed(net, GHENT, KeyRevoked) == []
    assert [each.to for each in net.control.publishing.lacking(GHENT)] == [GHENT, GHENT]


class PowerCut(Exception):
    """The process ended here."""


@pytest.mark.parametrize("survive", range(4))
def test_a_publication_that_a_power_cut_stopped_half_way_is_completed_at_the_next_start(tmp_path: Path, survive: int) -> None:
    net = Network(tmp_path / "net", sites=(LEEDS, GHENT))
    sign_recipe(net)
    net.control.publishing.note = cut_after(survive, net.control.publishing.note)
    ada = administrator(net)
    try:
        credentials.disable(net.control, ada, person=GUS, why="left")
        assert survive > len(net.control.sites())
    except PowerCut:
        pass
    net.restart_control()
    said = 0 if survive == 0 else 1
    assert [len(directed(net, site, PersonDisabled)) for site in net.control.sites()] == [said] * 3
    assert decisions.directory(net.control).person(GUS).disabled == ("left" if said else "")
    net.restart_control()
    assert [len(directed(net, site, PersonDisabled)) for site in net.control.sites()] == [said] * 3


def cut_after(count: int, note: Callable[..., list[Fact]]) -> Callable[..., list[Fact]]:
    done = 0

    def cut(*args: object, **kwargs: object) -> list[Fact]:
        nonlocal done
        if done == count:
            raise PowerCut
        done += 1
        return note(*args, **kwargs)

    return cut


def test_where_the_house_waits_nothing_is_published_anywhere(tmp_path: Path) -> None:
    net = Network(tmp_path / "net", sites=(LEEDS,))
    net.control.returning.wait_for(net.control.ledgers["HOUSE"], why="a site has cosigned more of it")
    sizes = {audience: ledger.size for audience, ledger in net.control.ledgers.items()}
    with pytest.raises(NotReachable):
        credentials.disable(net.control, administrator(net), person=GUS, why="left")
    assert {audience: ledger.size for audience, ledger in net.control.ledgers.items()} == sizes
