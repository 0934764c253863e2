"""What people decide at the control site: who may, what follows, what is refused and noted."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from isogenic.authority.rules import Act
from isogenic.errors import NotAllowed, NotFound, NotTrusted, NotValid
from isogenic.ids import DeviationId, LotId, PersonId, RecipeId
from isogenic.materials.lots import LotState
from isogenic.network import decisions
from isogenic.quality.deviations import Disposition, Origin, Severity, open_from_finding
from isogenic.quality.release import LotRejected, LotReleased, ReleaseRefused, release, release_digest
from small_network import ADA, ANA, BEN, GENERAL, GHENT, LEEDS, LOT, OPERATORS, QUI, RECIPE, RESULTS, Network, signer_of

AUTHOR, APPROVER = Act.SIGN_RECIPE_AS_AUTHOR, Act.APPROVE_RECIPE


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A network whose one batch is complete, witnessed and tested; its folder is copied by every test that changes it."""
    net = Network(tmp_path_factory.mktemp("finished") / "net")

    async def run() -> None:
        await net.publish()
        await net.run_batch(net.start_batch())
        await net.carry()
        net.report_results(LOT)
        await net.carry()

    asyncio.run(run())
    return net


@pytest.fixture
def net(finished: Network, tmp_path: Path) -> Iterator[Network]:
    finished.close_site(LEEDS)
    finished.close_control()
    shutil.copytree(finished.folder, tmp_path / "net")
    finished.control = finished.open_control()
    finished.lines[LEEDS].desk = finished.control.desk
    finished.open_site(LEEDS)
    net = Network(tmp_path / "net", at=finished.clock.at)
    asyncio.run(net.carry())
    yield net
    net.close_site(LEEDS)
    net.close_control()


@pytest.fixture
def empty(tmp_path: Path) -> Network:
    return Network(tmp_path / "empty", sites=())


def house(net: Network) -> list[str]:
    return [fact.kind for fact in net.control.ledgers["HOUSE"].facts()]


def of_leeds(net: Network, kind: type) -> list[object]:
    return [fact.payload for fact in net.control.ledgers["LEEDS"].facts() if isinstance(fact.payload, kind)]


def release_it(net: Network, person: PersonId = QUI, **more: object):  # type: ignore[no-untyped-def]
    return decisions.release_lot(net.control, net.person(person), signer_of(person), lot=LOT, **more)  # type: ignore[arg-type]


# ---- recipes ----


def approve(net: Network, person: PersonId, act: Act):  # type: ignore[no-untyped-def]
    return decisions.approve_recipe(net.control, net.person(person), signer_of(person), recipe=RECIPE, version=1, act=act)


def test_two_different_people_sign_a_recipe_and_then_it_is_published(empty: Network) -> None:
    decisions.submit_recipe(empty.control, empty.person(ADA), GENERAL)
    approve(empty, ADA, AUTHOR)
    with pytest.raises(NotAllowed, match="it takes an author and an approver"):
        decisions.publish_recipe(empty.control, empty.person(BEN), recipe=RECIPE, version=1)
    approve(empty, BEN, APPROVER)
    assert len(decisions.publish_recipe(empty.control, empty.person(BEN), recipe=RECIPE, version=1)) == 3
    assert decisions.publish_recipe(empty.control, empty.person(BEN), recipe=RECIPE, version=1) == []


def test_the_author_does_not_approve(empty: Network) -> None:
    decisions.submit_recipe(empty.control, empty.person(ADA), GENERAL)
    approve(empty, ADA, AUTHOR)
    for act in (APPROVER, AUTHOR):
        with pytest.raises(NotAllowed, match="two different people"):
            approve(empty, ADA, act)
    with pytest.raises(NotAllowed):
        approve(empty, OPERATORS[LEEDS], APPROVER)
    assert house(empty).count("recipe.approved") == 1


def test_nobody_signs_with_the_key_of_another(empty: Network) -> None:
    decisions.submit_recipe(empty.control, empty.person(ADA), GENERAL)
    with pytest.raises(NotTrusted):
        decisions.approve_recipe(empty.control, empty.person(BEN), signer_of(ADA), recipe=RECIPE, version=1, act=APPROVER)
    assert "recipe.approved" not in house(empty)


def test_a_version_is_submitted_with_one_text(empty: Network) -> None:
    decisions.submit_recipe(empty.control, empty.person(ADA), GENERAL)
    decisions.submit_recipe(empty.control, empty.person(ADA), GENERAL)
    with pytest.raises(NotAllowed, match="possible now: give it the next version number"):
        decisions.submit_recipe(empty.control, empty.person(ADA), GENERAL + "# changed\n")
    with pytest.raises(NotValid):
        decisions.submit_recipe(empty.control, empty.person(ADA), "recipe: none")
    with pytest.raises(NotAllowed):
        decisions.submit_recipe(empty.control, empty.person(BEN), GENERAL)
    with pytest.raises(NotFound):
        decisions.publish_recipe(empty.control, empty.person(BEN), recipe=RecipeId("OTHER"), version=1)
    assert house(empty).count("recipe.submitted") == 1


def test_what_is_published_to_all_is_in_the_house_first(empty: Network) -> None:
    """So a control site that was killed in between carries it on at its next start."""
    directory = replace(decisions.directory(empty.control), version=2)
    note = empty.control.note

    def killed_after_the_house(payloads, *, site=None, actor=None):  # type: ignore[no-untyped-def]
        if site is not None:
            raise KeyboardInterrupt
        return note(payloads, site=site, actor=actor)

    empty.control.publishing.note = killed_after_the_house
    with pytest.raises(KeyboardInterrupt):
        decisions.publish_directory(empty.control, directory)
    sites = empty.control.sites()
    assert [len(empty.control.publishing.lacking(site)) for site in sites] == [1] * 3
    assert empty.restart_control().state.directory == directory
    assert [len(empty.control.publishing.lacking(site)) for site in sites] == [0] * 3


# ---- release ----


def test_a_complete_witnessed_record_is_released_by_signature(net: Network) -> None:
    released, notes = release_it(net)
    assert notes.allowed
    assert isinstance(released, LotReleased)
    assert (released.lot, released.site, released.signature.person, released.signature.meaning) == (LOT, LEEDS, QUI, "released")
    copy = net.control.copies["aster/LEEDS/ASTER-BIO"][1]
    assert released.record_size <= copy.size
    assert net.control.state.lot(LOT).lot_state is LotState.RELEASED
    refused, notes = release_it(net)
    assert refused is None
    assert notes.reasons == ("LOT-0001 is not in quarantine: it is released",)


def test_a_refused_release_is_noted_with_every_reason(net: Network) -> None:
    opened(net)
    released, notes = release_it(net)
    assert released is None
    (refused,) = of_leeds(net, ReleaseRefused)
    assert isinstance(refused, ReleaseRefused)
    assert (refused.lot, refused.asked_by, refused.reasons) == (LOT, QUI, notes.reasons)
    assert len(refused.reasons) == 1
    assert net.control.state.lot(LOT).lot_state is LotState.QUARANTINE


def test_who_may_not_release_is_refused_and_leaves_nothing_in_the_record(net: Network) -> None:
    opened(net)
    for person in (BEN, ADA, ANA, OPERATORS[LEEDS]):
        with pytest.raises(NotAllowed, match="qualified person"):
            release_it(net, person)
    assert of_leeds(net, ReleaseRefused) == []


def test_a_lot_that_is_not_wholly_witnessed_is_not_released(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.publish())
    batch = net.start_batch()
    asyncio.run(net.run_batch(batch, until_h=100))
    asyncio.run(net.carry())
    released, notes = release_it(net)
    assert released is None
    assert any("is not closed" in reason for reason in notes.reasons)
    assert any("titre" in reason.lower() for reason in notes.reasons)
    assert not any(note.startswith("GOOD") for note in notes.reasons)
    with pytest.raises(NotFound):
        decisions.release_lot(net.control, net.person(QUI), signer_of(QUI), lot=LotId("LOT-9"))


def test_a_record_that_changed_since_it_was_shown_is_not_signed(net: Network) -> None:
    case = decisions.release_case(net.control, LOT, asked_by=QUI)
    shown = release_digest(case, release(case))
    deviation = opened(net)
    net.accept_deviations()
    with pytest.raises(NotAllowed, match="has changed since the page was shown"):
        release_it(net, shown=shown)
    case = decisions.release_case(net.control, LOT, asked_by=QUI)
    assert release_it(net, shown=release_digest(case, release(case)))[0] is not None
    assert net.control.state.deviation(deviation)[1].disposed is not None


def test_a_block_that_rotted_at_the_control_site_forbids_release(net: Network) -> None:
    block, *_ = net.control.state.lot(LOT).blocks
    net.control.blobs._place(block.digest)[1].write_bytes(b"rotten")  # type: ignore[attr-defined]
    released, notes = release_it(net)
    assert released is None
    assert any("is not held here with its right digest" in reason for reason in notes.reasons)


# ---- deviations and rejection ----


def opened(net: Network) -> DeviationId:
    """A person at the site opens a deviation, and it is carried."""
    node = net.nodes[LEEDS]
    (batch,) = node.state.batches
    deviation = node.mint.fresh(DeviationId)
    node.note(
        [
            open_from_finding(
                deviation,
                "a clamp was found open",
                batch=batch,
                lot=LOT,
                site=LEEDS,
                origin=Origin.PERSON,
                severity=Severity.MINOR,
                evidence={},
                detected_at=net.clock.at,
            )
        ]
    )
    asyncio.run(net.carry())
    return deviation


def dispose(net: Network, deviation: DeviationId, person: PersonId = BEN, *, disposition: Disposition = Disposition.ACCEPT, why: str = "no effect"):  # type: ignore[no-untyped-def]
    return decisions.dispose_deviation(
        net.control, net.person(person), signer_of(person), deviation=deviation, disposition=disposition, justification=why
    )


def test_an_open_deviation_forbids_release_until_it_is_disposed_of_once(net: Network) -> None:
    deviation = opened(net)
    assert release_it(net)[0] is None
    for person in (ADA, ANA, OPERATORS[LEEDS]):
        with pytest.raises(NotAllowed):
            dispose(net, deviation, person)
    with pytest.raises(NotValid):
        dispose(net, deviation, why=" ")
    assert dispose(net, deviation).signature.person == BEN
    with pytest.raises(NotAllowed):
        dispose(net, deviation)
    with pytest.raises(NotFound):
        dispose(net, DeviationId("DEV-0"))
    assert release_it(net)[0] is not None


def test_a_lot_whose_deviation_says_reject_is_rejected_by_signature(net: Network) -> None:
    deviation = opened(net)
    dispose(net, deviation, disposition=Disposition.REJECT, why="the feed was short for a day")
    released, notes = release_it(net)
    assert released is None
    assert any("was disposed of as reject" in reason for reason in notes.reasons)
    with pytest.raises(NotAllowed):
        decisions.reject_lot(net.control, net.person(ANA), signer_of(ANA), lot=LOT, reason="no")
    with pytest.raises(NotValid):
        decisions.reject_lot(net.control, net.person(BEN), signer_of(BEN), lot=LOT, reason="")
    rejected = decisions.reject_lot(net.control, net.person(BEN), signer_of(BEN), lot=LOT, reason="the feed was short")
    assert isinstance(rejected, LotRejected)
    assert net.control.state.lot(LOT).lot_state is LotState.REJECTED
    with pytest.raises(NotAllowed):
        decisions.reject_lot(net.control, net.person(BEN), signer_of(BEN), lot=LOT, reason="again")
    asyncio.run(net.carry())
    assert net.control.ledgers["LEEDS"].witnessed == net.control.ledgers["LEEDS"].size  # the site cosigned the decision


def test_a_result_outside_its_limits_forbids_release(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.publish())
    asyncio.run(net.run_batch(net.start_batch()))
    net.report_results(LOT, results={**RESULTS, "hmw": (9.0, "%")})
    asyncio.run(net.carry())
    released, notes = release_it(net)
    assert released is None
    assert any("hmw" in reason.lower() or "high molecular" in reason.lower() for reason in notes.reasons)


# ---- restart ----


def test_a_restarted_control_site_knows_what_it_knew(net: Network) -> None:
    deviation = opened(net)
    release_it(net)
    release_it(net)
    dispose(net, deviation)
    release_it(net)
    lived = net.control.state
    assert len(lived.refusals[LOT]) == 2
    assert net.restart_control().state == lived
    assert net.restart_control().state == lived


def test_refusals_of_two_sites_fold_alike_in_any_order(tmp_path: Path) -> None:
    net = Network(tmp_path / "net", sites=(LEEDS, GHENT))
    lots = {GHENT: LotId("LOT-0002"), LEEDS: LOT}
    for site, lot in lots.items():
        asyncio.run(net.publish(site))
        net.start_batch(site, lot=lot)
        asyncio.run(net.carry(site))
    for lot in (*lots.values(), *lots.values()):
        decisions.release_lot(net.control, net.person(QUI), signer_of(QUI), lot=lot)
    lived = net.control.state
    assert {lot: len(refused) for lot, refused in lived.refusals.items()} == dict.fromkeys(lots.values(), 2)
    assert net.restart_control().state == lived


def test_a_restarted_control_site_publishes_nothing_twice(net: Network) -> None:
    sizes = {audience: ledger.size for audience, ledger in net.control.ledgers.items()}
    net.restart_control()
    grown = {audience: ledger.size - sizes[audience] for audience, ledger in net.control.ledgers.items()}
    assert grown == {"HOUSE": 1, "LEEDS": 0, "GHENT": 0, "PORTO": 0}  # that it started
