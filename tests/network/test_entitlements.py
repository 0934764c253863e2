"""Who may have a ledger is a fact: derived from the directory, or decided by signature; without it, nothing leaves."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from isogenic.authority.entitlements import EntitlementEnded, EntitlementGranted, Entitlements, apply, entitlement_digest, party
from isogenic.authority.signatures import verify_signature
from isogenic.errors import NotAllowed, NotFound, NotValid
from isogenic.ids import LotId, NodeId, PersonId
from isogenic.network import decisions
from isogenic.network.dossiers import dossier_bytes
from isogenic.network.entitling import derive_entitlements, end_entitlement, grant_entitlement
from isogenic.records.link import refusal_of
from isogenic.web.disclosures import ledgers_of_dossier
from small_network import BEN, GHENT, LEEDS, LOT, QUI, RECIPE, START, Network, signer_of
from two_sponsors import ASTER, BORAGE, OF_ASTER, OF_BORAGE, OTHER_RECIPE, publish_both, run_and_abort, two_sponsors

LEEDS_ASTER, TO_LEEDS = f"aster/LEEDS/{ASTER}", "aster/CONTROL/LEEDS"


def test_the_first_entitlements_follow_from_the_directory_and_are_noted_once(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    noted = [fact.payload for fact in net.control.ledgers["HOUSE"].facts() if isinstance(fact.payload, EntitlementGranted)]
    assert {(each.ledger, each.party) for each in noted if "LEEDS" in each.ledger} == {
        ("aster/LEEDS/HOUSE", "node CONTROL"),
        (LEEDS_ASTER, "node CONTROL"),
        (LEEDS_ASTER, "sponsor ASTER-BIO"),
        (TO_LEEDS, "node LEEDS"),
        (TO_LEEDS, "sponsor ASTER-BIO"),
    }
    assert all(each.signature is None and each.directory == 1 for each in noted)
    assert derive_entitlements(net.restart_control(), decisions.directory(net.control)) == []


def test_a_site_whose_entitlement_ended_gets_nothing_more_of_the_control_ledger(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.carry())
    held = net.nodes[LEEDS].control.size
    end_entitlement(net.control, net.person(BEN), signer_of(BEN), ledger=TO_LEEDS, to="node LEEDS", why="the contract ended")
    decisions.publish_directory(net.control, decisions.directory(net.control))
    answer = asyncio.run(net.control.desk.handle(NodeId("LEEDS"), "GET", f"/v1/control?from={held}"))
    assert str(refusal_of(answer)).startswith(f"nothing of {TO_LEEDS} leaves: the entitlement of node LEEDS has ended: the contract ended")
    model = next(iter(net.control.state.models.values())).digest
    assert isinstance(refusal_of(asyncio.run(net.control.desk.handle(NodeId("LEEDS"), "GET", f"/v1/blobs/{model}"))), NotAllowed)
    assert asyncio.run(net.control.desk.handle(NodeId("GHENT"), "GET", "/v1/control?from=0")).status == 200
    grant_entitlement(net.restart_control(), net.person(BEN), signer_of(BEN), ledger=TO_LEEDS, to="node LEEDS", why="a new contract")
    assert asyncio.run(net.control.desk.handle(NodeId("LEEDS"), "GET", f"/v1/control?from={held}")).status == 200


def test_a_site_sends_nothing_more_of_a_ledger_to_which_the_control_site_is_no_longer_entitled(tmp_path: Path) -> None:
    net = two_sponsors(tmp_path / "net")
    node = net.nodes[LEEDS]

    async def run() -> None:
        await publish_both(net)
        await run_and_abort(net, RECIPE, OF_ASTER)
        await net.carry()
        end_entitlement(net.control, net.person(BEN), signer_of(BEN), ledger=f"aster/LEEDS/{BORAGE}", to="node CONTROL", why="the sponsor left")
        await net.carry()
        await run_and_abort(net, OTHER_RECIPE, OF_BORAGE)
        await net.carry()
        await node.courier.heartbeat(node.live())

    asyncio.run(run())
    held = {origin: copy.size for origin, (site, copy) in net.control.copies.items() if site == LEEDS}
    mine = {ledger.origin: ledger.size for ledger in node.ledgers.values()}
    assert held[LEEDS_ASTER] == mine[LEEDS_ASTER]
    assert held["aster/LEEDS/HOUSE"] == mine["aster/LEEDS/HOUSE"]
    assert held[f"aster/LEEDS/{BORAGE}"] == 2 < mine[f"aster/LEEDS/{BORAGE}"]  # its answers to recipe and master file, from before
    assert f"aster/LEEDS/{BORAGE}" not in net.control.desk.live[NodeId("LEEDS")].noted
    (block,) = node.state.sealed[node.state.lots[OF_BORAGE].batch]
    sealed = block.digest
    assert node.blobs.has(sealed)
    assert not net.control.blobs.has(sealed)
    assert net.restart_site(LEEDS).courier.withheld == {f"aster/LEEDS/{BORAGE}": "the sponsor left"}


def test_a_dossier_holds_ledgers_of_one_sponsor_only(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")

    async def run() -> None:
        await net.publish()
        await net.run_batch(net.start_batch(), until_h=1)
        await net.carry()

    asyncio.run(run())
    assert set(ledgers_of_dossier(dossier_bytes(net.control, LOT))) == {LEEDS_ASTER, TO_LEEDS}


def test_no_dossier_where_the_control_ledger_speaks_of_another_sponsor_too(tmp_path: Path) -> None:
    net = two_sponsors(tmp_path / "net")

    async def run() -> None:
        await publish_both(net)
        await run_and_abort(net, RECIPE, OF_ASTER)
        await run_and_abort(net, OTHER_RECIPE, OF_BORAGE)
        await net.carry()

    asyncio.run(run())
    for lot, sponsor in ((OF_ASTER, ASTER), (OF_BORAGE, BORAGE)):
        with pytest.raises(NotAllowed, match=f"sponsor {sponsor} has no entitlement"):
            dossier_bytes(net.control, lot)
    grant_entitlement(net.control, net.person(QUI), signer_of(QUI), ledger=TO_LEEDS, to=f"sponsor {ASTER}", why="both sponsors agreed in writing")
    assert set(ledgers_of_dossier(dossier_bytes(net.control, OF_ASTER))) == {LEEDS_ASTER, TO_LEEDS}
    with pytest.raises(NotAllowed, match=f"sponsor {BORAGE} has no entitlement"):
        dossier_bytes(net.control, OF_BORAGE)


def test_a_second_sponsor_ends_the_first_ones_derived_entitlement_to_the_shared_control_ledger(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    assert net.control.state.entitlements.holds(TO_LEEDS, f"sponsor {ASTER}", START)
    net.close_control()
    settings = net.folder / "CONTROL" / "node.json"
    said = json.loads(settings.read_text())
    said["audiences"]["LEEDS"].append(BORAGE)
    settings.write_text(json.dumps(said))
    net.control = net.open_control()
    held = net.control.state.entitlements
    assert not held.holds(TO_LEEDS, f"sponsor {ASTER}", START)
    assert held.holds(f"aster/LEEDS/{BORAGE}", f"sponsor {BORAGE}", START)
    assert held.ended[TO_LEEDS, f"sponsor {ASTER}"].why == "it no longer follows from the directory"


def test_what_a_person_ended_is_not_derived_again(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    end_entitlement(net.control, net.person(BEN), signer_of(BEN), ledger=TO_LEEDS, to="node LEEDS", why="the contract ended")
    node = net.restart_control()
    assert not node.state.entitlements.holds(TO_LEEDS, "node LEEDS", START + timedelta(days=99))


def test_a_decision_carries_a_signature_over_what_was_decided(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    later = START + timedelta(days=3)
    granted = grant_entitlement(
        net.control, net.person(BEN), signer_of(BEN), ledger=LEEDS_ASTER, to="sponsor CLOVER", why="due diligence", since=later
    )
    assert granted.signature is not None
    verify_signature(granted.signature, decisions.directory(net.control))
    digest = entitlement_digest("grant", ledger=LEEDS_ASTER, party="sponsor CLOVER", why="due diligence", since=later)
    assert (granted.signature.digest, granted.signature.meaning) == (digest, "entitlement decided")
    held = net.control.state.entitlements
    assert [held.holds(LEEDS_ASTER, "sponsor CLOVER", at) for at in (START, later)] == [False, True]
    with pytest.raises(NotAllowed, match="begins at 2026-03-05"):
        held.require(LEEDS_ASTER, "sponsor CLOVER", START)


def test_who_may_not_decide_decides_nothing(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    before = net.control.state.entitlements
    with pytest.raises(NotAllowed, match="it takes the role quality"):
        end_entitlement(net.control, net.person(PersonId("ADA")), signer_of(PersonId("ADA")), ledger=TO_LEEDS, to="node LEEDS", why="no")
    with pytest.raises(NotFound, match="no ledger"):
        grant_entitlement(net.control, net.person(BEN), signer_of(BEN), ledger="aster/NOWHERE/HOUSE", to="node LEEDS", why="no")
    with pytest.raises(NotAllowed, match="it has none"):
        end_entitlement(net.control, net.person(BEN), signer_of(BEN), ledger=TO_LEEDS, to="node GHENT", why="no")
    for wrong in ("LEEDS", "node leeds", "nodes LEEDS", "node LEEDS ", "", "person Ann Smith"):
        with pytest.raises(NotValid):
            party(wrong)
    with pytest.raises(NotValid, match="a reason is one line"):
        grant_entitlement(net.control, net.person(BEN), signer_of(BEN), ledger=TO_LEEDS, to="node GHENT", why=" ")
    assert net.control.state.entitlements == before


def test_a_site_that_entitles_itself_is_not_believed(tmp_path: Path) -> None:
    net = Network(tmp_path / "net", sites=(LEEDS, GHENT))
    for audience in ("HOUSE", ASTER):
        origin = net.nodes[GHENT].ledgers[audience].origin
        body = EntitlementGranted(TO_LEEDS, "node GHENT", None, "we say so")
        net.nodes[GHENT].ledgers[audience].append([body], actor=net.nodes[GHENT].actor, moment=net.clock.now())
        asyncio.run(net.carry(GHENT))
        assert net.control.copies[origin][1].size == net.nodes[GHENT].ledgers[audience].size
    assert not net.control.state.entitlements.holds(TO_LEEDS, "node GHENT", START)
    assert net.restart_site(GHENT).state.entitlements == Entitlements()


def test_an_end_takes_a_grant_away_and_a_grant_takes_an_end_away(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    fact = next(iter(net.control.ledgers["HOUSE"].facts()))
    granted, ended = EntitlementGranted(TO_LEEDS, "node LEEDS", None, "so"), EntitlementEnded(TO_LEEDS, "node LEEDS", "no more")
    state = Entitlements()
    for payload, holds in ((granted, True), (ended, False), (granted, True)):
        state = apply(state, replace(fact, payload=payload))
        assert state.holds(TO_LEEDS, "node LEEDS", START) is holds
    assert state.ended == {}
    assert LotId("LOT-1") not in state.granted
