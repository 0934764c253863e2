"""Materials at a real site: from a delivery to a lot's genealogy, the uncleared line, a piece that another site used, a matrix that nobody signed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from clear_lines import BEN, CHECKLIST, MATRIX, NAME, assign, clear, install, make_ready, note, receive, release, release_here, release_matrix
from isogenic.authority.rules import Act
from isogenic.checks import stops
from isogenic.errors import NotAllowed, NotFound, NotValid
from isogenic.ids import IdentityCode, LotId, SeededMint, UnitId
from isogenic.materials.assemblies import AssemblyInstalled
from isogenic.materials.clearance import LineLeft, LineTaken
from isogenic.materials.labels import Expects, LabelKind, label_text, read_label
from isogenic.materials.receipts import ReceiptCommand, ReceiptState
from isogenic.network import materials as decisions
from isogenic.network.decisions import release_case
from isogenic.quality.release import check_assemblies_were_used_once
from isogenic.sites import materials, requests
from small_network import ADA, GHENT, LEEDS, LOT, OPERATORS, PORTO, QUI, RECIPE, UNITS, Network, signer_of

SECOND = LotId("LOT-0002")


@pytest.fixture
def net(tmp_path: Path) -> Network:
    network = Network(tmp_path / "net")
    asyncio.run(network.publish())
    return network


def against(net: Network, lot: LotId = LOT) -> list[str]:
    """What the gate says of a start now; nothing is noted."""
    node = net.nodes[LEEDS]
    person = requests.person_here(node.state, OPERATORS[LEEDS])
    _, notes = requests.start_batch(node.state, person, recipe=RECIPE, version=1, unit=UNITS[LEEDS], lot=lot, mint=node.mint, now=node.clock.now())
    return [each.text for each in stops(notes)]


def test_a_lot_is_made_on_a_cleared_line_and_traced_to_its_bag(net: Network) -> None:
    asyncio.run(make_ready(net, LOT))
    assert against(net) == []
    batch = net.start_batch()
    state = net.nodes[LEEDS].state
    assert state.lines[UNITS[LEEDS]].taken_by == batch
    assert {"BAG/1", "BAG lot L-1", "sterilisation lot IRR-1"} <= {link.used_lot for link in state.genealogy.made_of(LOT)}
    asyncio.run(net.scan())
    net.answer_all(batch)
    (medium,) = [name for name, each in net.nodes[LEEDS].state.stock.receipts.items() if each.lot == "MED-0042"]
    assert medium in {link.used_lot for link in net.nodes[LEEDS].state.genealogy.made_of(LOT)}
    asyncio.run(net.carry())
    reached = {link.into for link in net.control.state.stocks.genealogy.reaches("sterilisation lot IRR-1")}
    assert LOT in reached


def test_an_uncleared_line_is_refused_and_every_reason_is_on_record(net: Network) -> None:
    release_matrix(net)
    asyncio.run(net.carry())
    (reason,) = [each for each in against(net) if "not cleared" in each]
    assert "it is not being made ready for any lot (EU GMP part I chapter 5, line clearance" in reason
    assign(net, LOT)
    reasons = against(net)
    assert any("Line clearance, checklist clearance: 2 of 2 people" in each for each in reasons)
    assert any("nothing is installed in Vessel bag of BR-50 for LOT-0001" in each for each in reasons)


def test_after_a_batch_the_line_is_to_be_cleared_again_also_after_a_crash(net: Network) -> None:
    asyncio.run(make_ready(net, LOT))
    batch = net.start_batch()
    node = net.nodes[LEEDS]
    person = requests.person_here(node.state, OPERATORS[LEEDS])
    asyncio.run(net.scan())
    node.note(requests.command_batch(node.state, person, batch=batch, command="abort", why="a leak"))  # type: ignore[arg-type]
    while not net.nodes[LEEDS].state.batches[batch].closed:
        asyncio.run(net.scan())
    node = net.restart_site(LEEDS)  # before the line heard that the batch is over
    assert any("not cleared" in each for each in against(net, SECOND))
    asyncio.run(net.scan())
    assert [type(each) for each in net.payloads(LineTaken) + net.payloads(LineLeft)] == [LineTaken, LineLeft]
    asyncio.run(make_ready(net, SECOND, serial="2"))
    assert against(net, SECOND) == []


def test_a_piece_that_was_noted_as_installed_is_used_even_where_the_site_crashed_before_the_batch(net: Network) -> None:
    asyncio.run(make_ready(net, LOT))
    net.restart_site(LEEDS)
    assign(net, SECOND)
    assert install(net, "1") == ["BAG/1 was installed before, on BR-50 for LOT-0001: a single-use assembly is used once"]
    assert len(net.payloads(AssemblyInstalled)) == 1


def test_a_piece_that_one_site_used_is_refused_at_another_once_it_has_heard(tmp_path: Path) -> None:
    net = Network(tmp_path / "net", sites=(LEEDS, GHENT))
    for site in (LEEDS, GHENT):
        asyncio.run(net.publish(site))
    asyncio.run(make_ready(net, LOT))
    asyncio.run(net.carry(GHENT))
    release_here(net, receive(net, GHENT, serials=("1",), lot="L-1"), GHENT)
    assign(net, SECOND, GHENT)
    asyncio.run(net.carry(LEEDS))
    assert decisions.tell_used_assemblies(net.control) == {GHENT: 1, PORTO: 1}
    assert decisions.tell_used_assemblies(net.control) == {}
    asyncio.run(net.carry(GHENT))
    assert install(net, "1", GHENT) == ["BAG/1 was used at another site: a single-use assembly is used once"]


def test_a_double_use_that_two_sites_could_not_know_of_is_seen_at_the_control_site(tmp_path: Path) -> None:
    net = Network(tmp_path / "net", sites=(LEEDS, GHENT))
    for site, lot in ((LEEDS, LOT), (GHENT, SECOND)):
        asyncio.run(net.publish(site))
        asyncio.run(make_ready(net, lot, site))
        asyncio.run(net.carry(site))
    assert {key: {site for site, _ in uses} for key, uses in decisions.used_twice(net.control).items()} == {"BAG/1": {LEEDS, GHENT}}
    net.start_batch(GHENT, lot=SECOND)
    asyncio.run(net.carry(GHENT))
    notes = check_assemblies_were_used_once(release_case(net.control, SECOND, asked_by=QUI))
    assert [(each.severity, each.text.partition(":")[0]) for each in notes] == [("stop", "BAG/1 was installed more than once")]


def test_a_lot_is_released_at_the_control_site_and_recalled_after_it_was_installed(net: Network) -> None:
    asyncio.run(make_ready(net, LOT))
    (receipt,) = [name for name, each in net.nodes[LEEDS].state.stock.receipts.items() if each.serials]
    asyncio.run(net.carry())
    with pytest.raises(NotAllowed, match="the lot is released"):
        decide(net, receipt, ReceiptCommand.RELEASE)
    decide(net, receipt, ReceiptCommand.RECALL)
    asyncio.run(net.carry())
    assert net.nodes[LEEDS].state.stock.state(receipt, now=net.clock.at) is ReceiptState.RECALLED
    assert any("is recalled, not released for use" in each for each in against(net))
    other = receive(net, serials=("8",), lot="L-8")
    asyncio.run(release(net, other))
    assert net.nodes[LEEDS].state.stock.state(other, now=net.clock.at) is ReceiptState.RELEASED


def decide(net: Network, receipt, command: ReceiptCommand) -> None:  # type: ignore[no-untyped-def]
    decisions.decide_material(net.control, net.person(BEN), signer_of(BEN), site=LEEDS, receipt=receipt, command=command, why="supplier notice 7")


def test_a_matrix_takes_an_author_and_another_who_approves(net: Network) -> None:
    decisions.submit_changeover(net.control, net.person(ADA), MATRIX)
    decisions.approve_changeover(net.control, net.person(ADA), signer_of(ADA), name=NAME, version=1, act=Act.SIGN_RECIPE_AS_AUTHOR)
    with pytest.raises(NotAllowed, match="two different people"):
        decisions.approve_changeover(net.control, net.person(ADA), signer_of(ADA), name=NAME, version=1, act=Act.APPROVE_RECIPE)
    with pytest.raises(NotAllowed, match="nobody who may has signed the changeover matrix as approved"):
        decisions.publish_changeover(net.control, net.person(BEN), name=NAME, version=1)
    with pytest.raises(NotAllowed, match="submitted with another text"):
        decisions.submit_changeover(net.control, net.person(ADA), MATRIX.replace("72 h", "96 h"))


def test_an_operator_releases_nothing_and_a_typed_lot_must_have_been_received(net: Network) -> None:
    node = net.nodes[LEEDS]
    receipt = receive(net)
    lea = requests.person_here(node.state, OPERATORS[LEEDS])
    with pytest.raises(NotAllowed, match="who received a material does not release it"):
        materials.decide(net.nodes[LEEDS].state, lea, signer_of(lea.id), receipt=receipt, command=ReceiptCommand.RELEASE, why="x", now=net.clock.at)
    release_here(net, receipt)
    asyncio.run(make_ready(net, LOT, serial="9"))
    batch = net.start_batch()
    asyncio.run(net.scan())
    prompt = next(iter(net.nodes[LEEDS].state.batches[batch].asked))
    for typed, why in (("MED-9999", "nothing was received here as 'MED-9999'"),):
        with pytest.raises(NotAllowed, match=why):
            requests.answer_prompt(net.nodes[LEEDS].state, lea, batch=batch, prompt=prompt, answer=typed, now=net.clock.at)


def test_a_test_that_failed_after_installing_and_a_planned_end_that_has_passed_stop_the_start(net: Network) -> None:
    asyncio.run(make_ready(net, LOT))
    node, person = net.nodes[LEEDS], requests.person_here(net.nodes[LEEDS].state, OPERATORS[LEEDS])
    net.clock.advance(60)
    passed = replace(node.state.lines[UNITS[LEEDS]].planned, until=net.clock.at)  # type: ignore[type-var]
    line = replace(node.state.lines[UNITS[LEEDS]], planned=passed)
    (note_of_end,) = materials.check_planned_end_is_ahead(line, now=net.clock.at)
    assert note_of_end.text.startswith("the planned end of LOT-0001")
    assert against(net) == []
    scanned = label_text(LabelKind.ASSEMBLY, "1", item="BAG")
    said = materials.record_integrity(node.state, person, scanned=scanned, method="pressure decay", passed=False, evidence="LT-42")
    note(net, LEEDS, person.id, said)
    assert "vessel: its integrity test by pressure decay failed, record LT-42" in against(net)


def test_a_line_is_made_ready_for_a_running_batch_that_needs_another_unit(net: Network) -> None:
    asyncio.run(make_ready(net, LOT))
    batch, node = net.start_batch(), net.nodes[LEEDS]
    state, now = node.state, net.clock.at
    first = state.plant.unit(UNITS[LEEDS])
    other = replace(first, id=UnitId("BR-51"))
    state = replace(state, plant=replace(state.plant, units={**state.plant.units, other.id: other}))
    person = requests.person_here(state, OPERATORS[LEEDS])
    said = {"unit": other.id, "recipe": RECIPE, "version": 1, "lot": LOT, "until": now + timedelta(days=20), "now": now}
    with pytest.raises(NotValid, match="needs no other stirred_bioreactor"):
        materials.assign_line(state, person, **said)
    running = state.batches[batch]
    (part,) = running.control.unit_procedures
    control = replace(running.control, unit_procedures=(part, replace(part, name="second", role="second", unit=None)))
    state = replace(state, batches={batch: replace(running, control=control)})
    assert [each.lot for each in materials.assign_line(state, person, **said)] == [LOT]
    with pytest.raises(NotValid, match="yields that lot already"):
        materials.assign_line(state, person, **(said | {"patient": SeededMint("anne").fresh(IdentityCode)}))


def test_a_used_piece_is_no_material(net: Network) -> None:
    asyncio.run(make_ready(net, LOT))
    batch, node = net.start_batch(), net.nodes[LEEDS]
    label = read_label(label_text(LabelKind.ASSEMBLY, "1", item="BAG"))
    found = materials.check_material_scan(node.state, node.state.batches[batch], label, Expects.MATERIAL, material="", now=net.clock.at)
    assert [each.text for each in found] == ["BAG/1 was installed on BR-50 for LOT-0001: a single-use assembly is used once"]


def test_wrong_labels_are_refused_before_anything_is_noted(net: Network) -> None:
    release_matrix(net)
    asyncio.run(net.carry())
    node = net.nodes[LEEDS]
    lea = requests.person_here(node.state, OPERATORS[LEEDS])

    def put(scanned: str, *, position: str = "vessel") -> None:
        materials.install(net.nodes[LEEDS].state, lea, scanned=scanned, unit=UNITS[LEEDS], position=position, now=net.clock.at)

    bag = label_text(LabelKind.ASSEMBLY, "1", item="BAG")
    with pytest.raises(NotAllowed, match="it is not being made ready for any lot"):
        put(bag)
    assign(net, LOT)
    with pytest.raises(NotFound, match="none with that number was received here"):
        put(bag)
    with pytest.raises(NotFound, match="the released matrix does not name it"):
        put(bag, position="harvest")
    with pytest.raises(NotValid, match="it has no serial number"):
        put(label_text(LabelKind.MATERIAL, "A-17", item="BAG"))
    receive(net)
    assert any("is in quarantine, not released for use" in each for each in install(net, "1"))
    with pytest.raises(NotAllowed, match="came before: a serial number is on one piece only"):
        receive(net, lot="A-18")
    said = materials.LineStepDone(UNITS[LEEDS], 0, "clear clearance", lea.id, CHECKLIST[:1])
    with pytest.raises(NotAllowed, match="not everything on its checklist"):
        materials.do_step(net.nodes[LEEDS].state, lea, said)
    with pytest.raises(NotValid, match="is not within 120 days"):
        materials.assign_line(
            net.nodes[LEEDS].state,
            lea,
            unit=UNITS[LEEDS],
            recipe=RECIPE,
            version=1,
            lot=SECOND,
            until=net.clock.at + timedelta(days=400),
            now=net.clock.at,
        )
    clear(net)
    note(net, LEEDS, lea.id, materials.open_assembly(net.nodes[LEEDS].state, lea, scanned=bag))
    assert net.nodes[LEEDS].state.stock.piece("BAG/1").opened_at == net.clock.at
