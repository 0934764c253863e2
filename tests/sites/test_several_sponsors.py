"""One floor, two sponsors: each batch is noted in its own sponsor's ledger, and nothing of one is in the ledger of the other."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from isogenic.errors import NotAllowed, NotValid
from isogenic.ids import BatchId, LotId, PersonId, RecipeId, SampleId, UnitId
from isogenic.laboratory.results import draw
from isogenic.monitoring.facts import MonitoringEnded
from isogenic.plant.documents import load_plant
from isogenic.sim.world import document
from isogenic.sites.audiences import audience_of
from isogenic.sites.facts import BatchRefused
from small_network import GENERAL, LEEDS, RECIPE, Network
from two_sponsors import ASTER, BORAGE, OF_ASTER, OF_BORAGE, OTHER_RECIPE, publish, publish_both, run_and_abort, start, two_sponsors


async def both(network: Network) -> tuple[BatchId, BatchId]:
    await publish_both(network)
    return await run_and_abort(network, RECIPE, OF_ASTER), await run_and_abort(network, OTHER_RECIPE, OF_BORAGE)


def test_each_batch_is_noted_in_its_own_sponsors_ledger_and_in_no_other(tmp_path: Path) -> None:
    network = two_sponsors(tmp_path / "network")
    aster, borage = asyncio.run(both(network))
    node = network.nodes[LEEDS]
    assert list(node.ledgers) == ["HOUSE", ASTER, BORAGE]
    for audience, batch, lot in ((ASTER, aster, OF_ASTER), (BORAGE, borage, OF_BORAGE)):
        facts = list(node.ledgers[audience].facts())
        assert {fact.subject for fact in facts if fact.kind.startswith("batch.")} == {batch}
        assert {"batch.started", "batch.closed", "records.readings_sealed", "lot.created", "recipe.accepted"} <= {fact.kind for fact in facts}
        assert [fact.subject for fact in facts if fact.kind == "lot.created"] == [lot]
    for mine, other in (((aster, OF_ASTER, RECIPE), BORAGE), ((borage, OF_BORAGE, OTHER_RECIPE), ASTER)):
        written = b"".join(node.ledgers[other].store.bodies(0, node.ledgers[other].size))
        assert [name for name in mine if str(name).encode() in written] == []


def test_both_sponsors_ledgers_are_held_at_the_control_site_and_both_lots_are_known(tmp_path: Path) -> None:
    network = two_sponsors(tmp_path / "network")
    asyncio.run(both(network))
    asyncio.run(network.carry())
    assert {each.origin: each.complete for each in network.control.completeness(LEEDS)} == {
        f"aster/LEEDS/{audience}": True for audience in ("HOUSE", ASTER, BORAGE)
    }
    assert network.control.state.lot(OF_ASTER).ledger == f"aster/LEEDS/{ASTER}"
    assert network.control.state.lot(OF_BORAGE).ledger == f"aster/LEEDS/{BORAGE}"


def test_a_restart_folds_both_ledgers_to_the_same_state(tmp_path: Path) -> None:
    network = two_sponsors(tmp_path / "network")
    asyncio.run(both(network))
    before = network.nodes[LEEDS].state
    after = network.restart_site(LEEDS).state
    assert after == replace(before, permission=replace(before.permission, seen=after.permission.seen))  # that the node started is the newest


def test_a_recipe_that_names_no_sponsor_is_not_accepted_where_several_are_worked_for(tmp_path: Path) -> None:
    network = two_sponsors(tmp_path / "network")
    asyncio.run(publish(network, GENERAL, RECIPE))
    node = network.nodes[LEEDS]
    (answer,) = [fact for fact in node.ledgers["HOUSE"].facts() if fact.kind == "recipe.not_accepted"]
    assert answer.payload.reasons == ("the site works for several sponsors, and the recipe does not name its own",)
    assert network.control.state.site(LEEDS).answers[RECIPE, 1] == answer.payload
    with pytest.raises(NotAllowed, match="does not name its own"):
        start(network, RECIPE, OF_ASTER)


def test_a_recipe_of_a_sponsor_that_the_site_does_not_work_for_does_not_reach_it(tmp_path: Path) -> None:
    network = Network(tmp_path / "network")
    text = GENERAL.replace("recipe: MAB-FB", "recipe: MAB-FB\nsponsor: CLOVER", 1)
    asyncio.run(publish(network, text, RECIPE))
    assert network.nodes[LEEDS].state.published == {}
    assert b"CLOVER" not in b"".join(network.nodes[LEEDS].control.store.bodies(0, 1000))


def test_what_names_nothing_is_refused_rather_than_given_to_a_sponsor(tmp_path: Path) -> None:
    network = two_sponsors(tmp_path / "network")
    node = network.nodes[LEEDS]
    sizes = {audience: ledger.size for audience, ledger in node.ledgers.items()}
    nameless = draw(SampleId("SMP-1"), batch=BatchId("BAT-NOBODY"), lot=LotId("LOT-NOBODY"), what="harvest")
    with pytest.raises(NotValid, match="for which sponsor"):
        node.note([nameless])
    assert {audience: ledger.size for audience, ledger in node.ledgers.items()} == sizes
    refused = BatchRefused(OF_ASTER, RecipeId("UNHEARD"), UnitId("BR-50"), PersonId("LEA"), ("no",))
    with pytest.raises(NotValid, match="for which sponsor"):
        audience_of(refused, node.state)


def test_with_one_sponsor_every_fact_of_a_batch_is_that_sponsors(tmp_path: Path) -> None:
    network = Network(tmp_path / "network")
    assert audience_of(MonitoringEnded(BatchId("BAT-ANY"), 1, 1, 0), network.nodes[LEEDS].state) == ASTER


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("further_sponsors: [ASTER-BIO]", "a sponsor is named twice"),
        ("further_sponsors: [HOUSE]", "HOUSE is a ledger of the node itself"),
        ("further_sponsors: [aster bio]", "cannot read 'aster bio' as SponsorId"),
    ],
)
def test_a_plant_document_names_each_sponsor_once_and_no_ledger_of_the_node(line: str, complaint: str) -> None:
    text = document("leeds.plant.yaml").replace("sponsor: ASTER-BIO", f"sponsor: ASTER-BIO\n{line}")
    with pytest.raises(NotValid, match=complaint):
        load_plant(text, name="leeds.plant.yaml")
