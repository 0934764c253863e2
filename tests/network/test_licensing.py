"""Licences, leases and master files across a small network: what a site may start, online and offline."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random

import pytest

from isogenic.authority.leases import LEASE_H, LeaseGranted
from isogenic.authority.licences import Command, LicenceChanged, State
from isogenic.authority.master_file import Jurisdiction, Safe, load_master_file
from isogenic.authority.reports import as_json, as_pdf, as_text
from isogenic.authority.rules import Act
from isogenic.authority.safety import SafeCompletionBegun
from isogenic.batches.facts import StateChanged
from isogenic.batches.states import Command as BatchCommand
from isogenic.checks import Severity, stops
from isogenic.errors import NotAllowed, NotFound, NotValid
from isogenic.ids import BatchId, LicenceId, LotId, MasterFileId, PersonId, UnitId
from isogenic.network import decisions
from isogenic.network.authority_reports import annual_report_of, registration_of
from isogenic.network.differences import differences
from isogenic.network.licensing import (
    apply_for_licence,
    approve_master_file,
    change_licence,
    publish_commitments,
    publish_master_file,
    submit_master_file,
)
from isogenic.quality.signed import check_signed_facts
from isogenic.records import codec
from isogenic.records.dossier import CONTROL, written_by
from isogenic.records.facts import _payload, decode_fact
from isogenic.sim.authorising import COMMITMENTS, authorise
from isogenic.sim.world import document
from isogenic.sites import requests
from isogenic.sites.safe_completion import check_may_take
from small_network import ADA, BEN, GENERAL, LEEDS, LOT, OPERATORS, QUI, RECIPE, UNITS, Network, signer_of

RIA, FILE, LICENCE = PersonId("RIA"), MasterFileId("MF-MAB-A"), LicenceId("LIC-LEEDS-MAB-A")
TEXT = document("mab-a.master-file.yaml")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A network in which LEEDS may start: made once, copied by every test."""
    network = Network(tmp_path_factory.mktemp("published") / "net")
    asyncio.run(network.publish())
    close(network)
    return network.folder, network.clock.at


def close(network: Network) -> None:
    for site in list(network.nodes):
        network.close_site(site)
    network.close_control()


@pytest.fixture
def net(tmp_path, published):
    folder, at = published
    shutil.copytree(folder, tmp_path / "net")
    network = Network(tmp_path / "net", at=at)
    asyncio.run(network.carry())
    yield network
    close(network)


@pytest.fixture
def empty(tmp_path):
    network = Network(tmp_path / "net")
    yield network
    close(network)


def refusals(net: Network, *, lot: str = "LOT-0009") -> list[str]:
    """Why a batch would not be started; nothing is noted."""
    node = net.nodes[LEEDS]
    person = requests.person_here(node.state, OPERATORS[LEEDS])
    _, notes = requests.start_batch(
        node.state, person, recipe=RECIPE, version=1, unit=UNITS[LEEDS], lot=LotId(lot), mint=node.mint, now=node.clock.now()
    )
    return [note.check for note in stops(notes)]


def command(net: Network, command: Command, by: PersonId = QUI, why: str = "sterility failure") -> None:
    change_licence(net.control, net.person(by), signer_of(by), licence=LICENCE, command=command, why=why)


def publish(net: Network, text: str, *, author: PersonId = RIA) -> None:
    file = load_master_file(text)
    submit_master_file(net.control, net.person(author), text)
    for person, act in ((author, Act.AUTHOR_MASTER_FILE), (BEN, Act.APPROVE_MASTER_FILE)):
        approve_master_file(net.control, net.person(person), signer_of(person), master_file=FILE, version=file.version, act=act)
    publish_master_file(net.control, net.person(BEN), master_file=FILE, version=file.version)


def newer(net: Network, *changes: tuple[str, str], version: int = 2) -> str:
    text = TEXT.replace("version: 1\n", f"version: {version}\n", 1)
    text = text.replace("effective_from: 2025-09-01", f'effective_from: "{net.clock.at.isoformat()}"', 1)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


# ---- the gate at the site ----


def test_a_site_without_master_file_licence_lease_and_competence_starts_nothing(empty):
    decisions.submit_recipe(empty.control, empty.person(ADA), GENERAL)
    decisions.approve_recipe(empty.control, empty.person(ADA), signer_of(ADA), recipe=RECIPE, version=1, act=Act.SIGN_RECIPE_AS_AUTHOR)
    decisions.approve_recipe(empty.control, empty.person(BEN), signer_of(BEN), recipe=RECIPE, version=1, act=Act.APPROVE_RECIPE)
    decisions.publish_recipe(empty.control, empty.person(BEN), recipe=RECIPE, version=1)
    asyncio.run(empty.carry())
    asyncio.run(empty.scan())
    assert refusals(empty) == ["check_master_file_is_effective"]
    publish(empty, TEXT)
    asyncio.run(empty.carry())
    assert refusals(empty) == ["check_licence_is_active", "check_is_competent"]
    authorise(empty.control, signer_of)
    asyncio.run(empty.carry())
    assert refusals(empty) == []


def test_a_refusal_names_the_clause_of_the_sites_jurisdiction_and_is_a_fact(net):
    command(net, Command.SUSPEND)
    asyncio.run(net.carry())
    node = net.nodes[LEEDS]
    person = requests.person_here(node.state, OPERATORS[LEEDS])
    payloads, _ = requests.start_batch(node.state, person, recipe=RECIPE, version=1, unit=UNITS[LEEDS], lot=LOT, mint=node.mint, now=node.clock.now())
    assert [each.reasons for each in payloads] == [
        ("LIC-LEEDS-MAB-A is suspended: sterility failure (HMR 2012 regs 17A(a), 17B(a) and 26)",),
    ]
    node.note(payloads)
    asyncio.run(net.carry())
    assert len(net.control.state.authority.refused[LEEDS]) == 1


def test_a_suspended_site_that_is_offline_starts_nothing_after_its_lease(net):
    until = net.nodes[LEEDS].state.permission.leases[LICENCE].until
    net.lines[LEEDS].up = False
    command(net, Command.SUSPEND)
    net.clock.advance((until - net.clock.at).total_seconds() - 1)
    asyncio.run(net.carry())
    assert refusals(net) == []  # it cannot know
    net.clock.advance(1)
    assert refusals(net) == ["check_lease_holds"]
    net.restart_site(LEEDS)
    assert refusals(net) == ["check_lease_holds"]
    net.lines[LEEDS].up = True
    asyncio.run(net.carry())
    assert refusals(net) == ["check_licence_is_active", "check_lease_holds"]


@pytest.mark.parametrize("seed", range(6))
def test_whatever_befalls_licence_link_and_clock_a_start_is_never_allowed_that_raw_facts_forbid(published, tmp_path, seed):
    """Rehearsed: suspended while the site is offline, leases that run out, links that come and go; I2 and I6 from raw facts."""
    folder, at = published
    shutil.copytree(folder, tmp_path / "net")
    net, dice, seen = Network(tmp_path / "net", at=at), Random(f"authority {seed}"), set()
    suspended_at = None
    for _ in range(40):
        net.lines[LEEDS].up = dice.random() < 0.6
        state = net.control.state.authority.licence(LICENCE).state
        if dice.random() < 0.4 and state is State.ACTIVE:
            command(net, Command.SUSPEND)
            suspended_at = net.clock.at
        elif dice.random() < 0.4 and state is State.SUSPENDED:
            command(net, Command.REINSTATE, BEN, "cause found")
            command(net, Command.ACTIVATE, QUI, "put right")
            suspended_at = None
        net.clock.advance(3600 * dice.choice([1, 12, 60, 100]))
        asyncio.run(net.carry())
        allowed, now = not refusals(net), net.clock.at
        raw = [decode_fact(body).payload for body in net.nodes[LEEDS].control.store.bodies(0, 1 << 40)]
        states = [each.state for each in raw if isinstance(each, LicenceChanged) and each.licence == LICENCE]
        leases = [each.until for each in raw if isinstance(each, LeaseGranted) and each.licence == LICENCE]
        assert allowed == (states[-1] is State.ACTIVE and now < leases[-1]), (seed, now)
        if suspended_at is not None and now >= suspended_at + timedelta(hours=LEASE_H):
            assert not allowed  # heard of it or not
        seen.add((allowed, states[-1] is State.ACTIVE, state is State.ACTIVE))
    close(net)
    assert {allowed for allowed, _, _ in seen} == {True, False}
    assert any(there and not here for _, there, here in seen)  # suspended, and the site had not heard of it


def test_a_clock_that_is_set_back_prolongs_no_lease(net):
    until = net.nodes[LEEDS].state.permission.leases[LICENCE].until
    net.lines[LEEDS].up = False
    net.clock.at = until
    asyncio.run(net.scan(hours=0))
    net.restart_site(LEEDS)
    assert refusals(net) == ["check_lease_holds"]
    net.clock.at = until - timedelta(days=3)
    net.restart_site(LEEDS)
    assert refusals(net) == ["check_lease_holds"]


def test_a_lease_is_renewed_while_the_site_is_heard_and_one_at_a_time_while_it_is_not(net):
    for _ in range(30):
        net.clock.advance(24 * 3600)
        asyncio.run(net.carry())
        assert refusals(net) == []
    taken = net.control.state.authority.leases[LICENCE].number
    net.lines[LEEDS].up = False
    net.clock.advance(60 * 24 * 3600)
    asyncio.run(net.carry())
    assert refusals(net) == ["check_lease_holds"]
    net.lines[LEEDS].up = True
    asyncio.run(net.carry())
    asyncio.run(net.carry())
    assert (refusals(net), net.control.state.authority.leases[LICENCE].number) == ([], taken + 1)


def test_a_paused_licence_gets_no_lease_and_starts_nothing_until_it_is_resumed(net):
    command(net, Command.PAUSE, RIA, "no demand")
    net.clock.advance(10 * 24 * 3600)
    asyncio.run(net.carry())
    assert (refusals(net), net.control.state.authority.leases[LICENCE].number) == (["check_licence_is_active", "check_lease_holds"], 1)
    command(net, Command.RESUME, BEN, "an order")
    asyncio.run(net.carry())
    assert refusals(net) == []


def test_a_unit_that_stands_elsewhere_than_on_file_starts_nothing(net):
    former = '{from: 2025-09-01, at: "hall 2, room 2.14"}'
    publish(net, newer(net, (former, f'{former}, {{from: "{net.clock.at.isoformat()}", at: "hall 3"}}')))
    asyncio.run(net.carry())
    net.clock.advance(1)
    assert refusals(net) == ["check_unit_is_where_the_file_says"]
    asyncio.run(net.scan())
    asyncio.run(net.carry())
    found = [each for each in differences(net.control.state, FILE, now=net.clock.at) if str(each.kind) == "unit_moved"]
    assert [(each.where, each.master_file, each.executable) for each in found] == [("BR-50 of LEEDS", "hall 3", "hall 2, room 2.14")]


def test_a_range_on_file_that_is_narrower_than_the_recipes_value_starts_nothing(net):
    publish(net, newer(net, ("temperature: {low: 36.5 degC", "temperature: {low: 37.2 degC")))
    asyncio.run(net.carry())
    net.clock.advance(1)
    assert refusals(net) == ["check_parameters_are_on_file"]


def test_a_site_that_a_newer_version_leaves_out_hears_of_it_and_starts_nothing(net):
    head, _, rest = newer(net).partition("  LEEDS:\n")
    publish(net, head + "  GHENT:\n" + rest.partition("  GHENT:\n")[2])
    asyncio.run(net.carry())
    net.clock.advance(1)
    assert refusals(net) == ["check_site_is_on_file"]


def test_a_version_is_in_force_from_its_day_on(net):
    later = (net.clock.at + timedelta(days=2)).isoformat()
    text = newer(net, ("temperature: {low: 36.5 degC", "temperature: {low: 37.2 degC"))
    publish(net, text.replace(net.clock.at.isoformat(), later, 1))
    asyncio.run(net.carry())
    assert refusals(net) == []
    net.clock.advance(2 * 24 * 3600)
    assert refusals(net) == ["check_parameters_are_on_file"]


# ---- running batches ----


def test_a_suspension_holds_a_running_batch_where_its_rule_says_so_and_restart_waits_for_the_licence(net):
    batch = net.start_batch()
    asyncio.run(net.run_batch(batch, until_h=30))
    command(net, Command.SUSPEND)
    asyncio.run(net.carry())
    asyncio.run(net.scan())
    asyncio.run(net.scan())
    node = net.nodes[LEEDS]
    begun = net.payloads(SafeCompletionBegun)
    assert [(each.batch, each.cause, each.rule) for each in begun] == [(batch, "suspended", "hold")]
    assert node.state.batches[batch].state == "held"
    person = requests.person_here(node.state, OPERATORS[LEEDS])
    again = partial(requests.command_batch, node.state, person, batch=batch, command=BatchCommand.RESTART, why="we go on", now=node.clock.now())
    with pytest.raises(NotAllowed, match="sterility failure; the master file says hold"):
        again()
    command(net, Command.REINSTATE, BEN, "cause found")
    command(net, Command.ACTIVATE, QUI, "put right")
    asyncio.run(net.carry())
    node.note(requests.command_batch(node.state, person, batch=batch, command=BatchCommand.RESTART, why="we go on", now=node.clock.now()))
    asyncio.run(net.scan())
    assert node.state.batches[batch].state == "running"


def test_a_second_suspension_holds_the_batch_again(net):
    batch = net.start_batch()
    asyncio.run(net.run_batch(batch, until_h=30))
    node = net.nodes[LEEDS]
    person = requests.person_here(node.state, OPERATORS[LEEDS])
    for why in ("sterility failure", "another sterility failure"):
        command(net, Command.SUSPEND, why=why)
        asyncio.run(net.carry())
        for _ in range(3):
            asyncio.run(net.scan())
        assert node.state.batches[batch].state == "held"
        command(net, Command.REINSTATE, BEN, "cause found")
        command(net, Command.ACTIVATE, QUI, "put right")
        asyncio.run(net.carry())
        node.note(requests.command_batch(node.state, person, batch=batch, command=BatchCommand.RESTART, why="we go on", now=node.clock.now()))
        asyncio.run(net.scan())
        assert node.state.batches[batch].state == "running"
    begun = net.payloads(SafeCompletionBegun)
    assert [(each.number, each.why) for each in begun] == [(3, "sterility failure"), (6, "another sterility failure")]


def test_a_rule_that_was_noted_before_it_had_a_number_is_read():
    today = SafeCompletionBegun(BatchId("BAT-1"), LICENCE, "suspended", Safe.HOLD, "", "sterility failure", 0)
    body = codec.loads(codec.dumps(today))
    del body["number"]  # as it was written yesterday
    assert _payload("authority.safe_completion_begun", 1, body) == today


def may_take(net: Network, batch: BatchId) -> list[str]:
    """What stands against giving the running batch this unit."""
    node = net.nodes[LEEDS]
    return [note.text for note in stops(check_may_take(node.state, node.state.batches[batch], UNITS[LEEDS], node.clock.now()))]


def test_a_further_unit_of_a_running_batch_is_on_file_where_it_stands(net):
    batch, node = net.start_batch(), net.nodes[LEEDS]
    asyncio.run(net.scan())
    assert may_take(net, batch) == []
    plant, unit = node.state.plant, node.state.plant.unit(UNITS[LEEDS])
    node.site = replace(node.site, state=replace(node.state, plant=replace(plant, units={unit.id: replace(unit, location="the car park")})))
    (why,) = may_take(net, batch)
    assert why.startswith("BR-50 stands in 'the car park', and in 'hall 2, room 2.14' by MF-MAB-A version 1 (HMR 2012")
    node.site = replace(node.site, state=replace(node.state, plant=plant, permission=replace(node.state.permission, licences={})))
    assert [each.partition(" (")[0] for each in may_take(net, batch)] == ["LEEDS has no licence under MF-MAB-A"]


def test_a_further_unit_follows_the_rule_for_running_batches_when_the_permission_has_ended(net):
    batch = net.start_batch()
    net.lines[LEEDS].up = False
    asyncio.run(net.scan(hours=200.0))
    assert [each.cause for each in net.payloads(SafeCompletionBegun)] == ["lease ended"]
    assert may_take(net, batch) == []  # to be completed
    net.lines[LEEDS].up = True
    command(net, Command.SUSPEND)
    asyncio.run(net.carry())
    assert may_take(net, batch) == ["LIC-LEEDS-MAB-A suspended: sterility failure; the master file says hold"]


def test_a_lease_that_ends_lets_a_running_batch_go_on_to_its_end(net):
    net.lines[LEEDS].up = False
    batch = net.start_batch()
    asyncio.run(net.run_batch(batch))
    assert [(each.cause, each.rule) for each in net.payloads(SafeCompletionBegun)] == [("lease ended", "complete")]
    assert [str(each.command) for each in net.payloads(StateChanged)] == ["start", "None"]
    net.lines[LEEDS].up = True
    asyncio.run(net.carry())
    assert net.control.state.lot(LOT).strange == ()


# ---- decisions ----


def test_who_applied_neither_qualifies_nor_activates_and_roles_are_asked_for(net):
    command(net, Command.SUSPEND)
    for by in (RIA, ADA):
        with pytest.raises(NotAllowed):
            command(net, Command.REINSTATE, by)
    with pytest.raises(NotAllowed, match="it is suspended"):
        command(net, Command.ACTIVATE)
    command(net, Command.REINSTATE)
    with pytest.raises(NotAllowed, match="it takes the role qualified person"):
        command(net, Command.ACTIVATE, BEN)
    assert net.control.state.authority.licences[LICENCE].state is State.QUALIFIED


def test_one_licence_for_a_site_under_a_master_file(net):
    with pytest.raises(NotAllowed, match="LEEDS has LIC-LEEDS-MAB-A, which is active"):
        apply_for_licence(
            net.control, net.person(RIA), signer_of(RIA), licence=LicenceId("LIC-2"), site=LEEDS, master_file=FILE, reference="R", why="again"
        )
    with pytest.raises(NotFound):
        change_licence(net.control, net.person(QUI), signer_of(QUI), licence=LicenceId("LIC-9"), command=Command.CEASE, why="gone")


def test_a_master_file_takes_an_author_and_another_person(empty):
    submit_master_file(empty.control, empty.person(ADA), TEXT)
    with pytest.raises(NotAllowed, match="cannot publish"):
        publish_master_file(empty.control, empty.person(BEN), master_file=FILE, version=1)
    approve_master_file(empty.control, empty.person(ADA), signer_of(ADA), master_file=FILE, version=1, act=Act.AUTHOR_MASTER_FILE)
    with pytest.raises(NotAllowed, match="two different people"):
        approve_master_file(empty.control, empty.person(ADA), signer_of(ADA), master_file=FILE, version=1, act=Act.APPROVE_MASTER_FILE)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("uk_designation: MM designation 2025/001", "other: x"), "MHRA asks for uk_designation"),
        (('at: "hall 2, room 2.14"', 'at: "hall 9"'), "another history of where BR-50"),
        (("identity: Alder 50 L, serial number A50-0017", "identity: another"), "was Alder 50 L"),
        (("product: MAB-A", "product: MAB-B"), "it is of MAB-B"),
    ],
)
def test_a_version_follows_those_before_it(net, change, why):
    with pytest.raises((NotAllowed, NotValid), match=why):
        submit_master_file(net.control, net.person(RIA), newer(net, change))


def test_what_people_signed_verifies_from_the_files(net):
    for name in COMMITMENTS:
        publish_commitments(net.control, net.person(RIA), signer_of(RIA), document(name))
    command(net, Command.PAUSE, RIA, "no demand")
    facts = [fact for ledger in net.control.ledgers.values() for fact in ledger.facts()]
    assert all(written_by(fact.ref.ledger) == CONTROL for fact in facts)
    assert stops(check_signed_facts(facts)) == []


# ---- the three-way difference, and documents ----


def test_the_three_agree_in_the_demonstration_and_a_missing_site_is_shown(net):
    for name in COMMITMENTS:
        publish_commitments(net.control, net.person(RIA), signer_of(RIA), document(name))
    assert [str(each) for each in differences(net.control.state, FILE, now=net.clock.at) if each.severity is Severity.STOP] == []
    text = document(COMMITMENTS[0]).replace("version: 1", "version: 2").replace("LEEDS:", "YORK:").replace("low: 36.5 degC", "low: 36.8 degC")
    publish_commitments(net.control, net.person(RIA), signer_of(RIA), text)
    found = [(str(each.kind), each.where) for each in differences(net.control.state, FILE, now=net.clock.at) if each.severity is Severity.STOP]
    assert found == [("range", "temperature (uk)"), ("site_not_authorised", "LEEDS")]


GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("law", list(Jurisdiction))
def test_reports_read_as_on_file(net, law):
    """Whole pages under review: what an authority is given, word for word."""
    for name in COMMITMENTS:
        publish_commitments(net.control, net.person(RIA), signer_of(RIA), document(name))
    command(net, Command.PAUSE, RIA, "no demand")
    state, at = net.control.state, net.clock.at
    yearly = annual_report_of(state, FILE, law=law, since=at - timedelta(days=365), until=at + timedelta(days=1))
    pages = {f"annual-report-{law}.txt": as_text(yearly), f"registration-{law}.txt": as_text(registration_of(state, FILE, law=law, at=at))}
    assert pages == {name: (GOLDEN / name).read_text(encoding="utf-8") for name in pages}


def test_reports_are_made_from_data_and_are_the_same_every_time(net):
    command(net, Command.PAUSE, RIA, "no demand")
    state, at = net.control.state, net.clock.at
    report = annual_report_of(state, FILE, law=Jurisdiction.UK, since=at - timedelta(days=365), until=at + timedelta(days=1))
    text = as_text(report)
    assert "ANNUAL REPORT ON THE MASTER FILE" in text
    assert "pause: paused" in text
    assert "Ria Castellan as regulatory affairs" in text
    assert as_json(report) == as_json(
        annual_report_of(state, FILE, law=Jurisdiction.UK, since=at - timedelta(days=365), until=at + timedelta(days=1))
    )
    assert as_pdf(report)[:5] == b"%PDF-"
    assert as_pdf(report) == as_pdf(report)
    listed = as_text(registration_of(state, FILE, law=Jurisdiction.EU, at=at))
    assert ("GHENT" in listed, "PORTO" in listed, "LEEDS" in listed) == (True, True, False)
    assert UnitId("SB-200") in listed
