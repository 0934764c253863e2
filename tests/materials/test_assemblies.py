"""Single-use assemblies: every check before one is installed, used once for ever, and traced to resins."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from materials_setup import ANNE, BAG, BORIS, CART, LEA, LOT, MAB, NOW, SPONSOR, UNIT, decided, noted, planned, received

from isogenic.checks import stops
from isogenic.ids import BatchId, LotId, ReceiptId, SponsorId
from isogenic.materials import lots, stock
from isogenic.materials.assemblies import (
    AssembliesUsed,
    AssemblyInstalled,
    AssemblyOpened,
    AssemblyRemoved,
    IntegrityTested,
    Piece,
    Position,
    check_assemblies_are_installed,
    check_installation,
    used_digest,
)
from isogenic.materials.receipts import ReceiptCommand, ReceiptState, piece_key, supplier_key
from isogenic.materials.stock import Stock

VESSEL = Position("vessel", "Vessel bag", (BAG,))
KEY = piece_key(BAG, "0042")


def stocked(*payloads):
    folded = Stock()
    for fact in noted(received(), decided(), *payloads):
        folded = stock.apply(folded, fact)
    return folded


def installed(lot=LOT, key=KEY):
    return AssemblyInstalled(key, BAG, key.rpartition("/")[2], ReceiptId("RCV-1"), SPONSOR, UNIT, "vessel", lot, MAB, LEA)


def reasons(held, *, position=VESSEL, plan=None, now=NOW, key=KEY, delivery=None, on_label=None):
    received_as = delivery or held.receipt(ReceiptId("RCV-1"))
    notes = check_installation(
        key,
        held.piece(key),
        received_as,
        held.state(ReceiptId("RCV-1"), now=now),
        position=position,
        planned=plan or planned(),
        elsewhere=held.elsewhere,
        now=now,
        on_label=on_label,
    )
    return [note.text for note in stops(notes)]


def test_a_released_sterile_unused_part_in_its_place_may_be_installed():
    assert reasons(stocked()) == []


def test_a_part_that_the_matrix_does_not_expect_is_refused():
    assert reasons(stocked(), position=replace(VESSEL, items=("BAG-200",))) == [f"{BAG} does not belong in Vessel bag: expected is BAG-200"]


@pytest.mark.parametrize("command", [ReceiptCommand.REJECT, ReceiptCommand.RECALL, ReceiptCommand.USE_UP])
def test_a_delivery_that_is_not_released_is_refused(command):
    state = {"reject": "rejected", "recall": "recalled", "use_up": "used up"}[command]
    assert reasons(stocked(decided(command=command))) == [f"RCV-1 (Alder Single Use lot A-17) is {state}, not released for use (21 CFR 211.84(a))"]


def test_a_part_that_expires_before_the_planned_end_is_refused():
    late = planned(until=NOW + timedelta(days=301))
    assert reasons(stocked(), plan=late) == [
        "by its receipt it expires 2026-12-27 06:00 UTC, before the planned end 2026-12-28 06:00 (21 CFR 211.87)"
    ]
    assert "one of them is wrong" in reasons(stocked(), on_label=NOW + timedelta(days=400))[0]


def test_a_part_without_a_claim_of_sterility_and_one_that_lay_open_are_refused():
    bare = replace(received(), sterility=None)
    assert reasons(stocked(), delivery=bare) == ["no method, lot and certificate of sterilisation came with it (EU GMP Annex 1, 8.134)"]
    opened = stocked(AssemblyOpened(KEY, SPONSOR, LEA))
    assert reasons(opened) == []
    later = NOW + timedelta(hours=3)
    assert "its packaging was opened" in reasons(opened, now=later)[0]
    assert reasons(opened, now=later, position=replace(VESSEL, open_hours=4)) == []
    assert reasons(stocked(), delivery=bare, position=replace(VESSEL, sterile=False)) == []


def test_an_integrity_test_is_wanted_where_the_position_asks_and_a_failed_one_is_the_end():
    wanted = replace(VESSEL, integrity=True)
    assert "its integrity was not tested" in reasons(stocked(), position=wanted)[0]
    passed, failed = (IntegrityTested(KEY, SPONSOR, "pressure decay", each, "PT-7", LEA) for each in (True, False))
    assert reasons(stocked(passed), position=wanted) == []
    assert reasons(stocked(failed, passed), position=wanted) == ["its integrity test by pressure decay failed, record PT-7"]


def test_an_assembly_that_was_installed_once_is_used_for_ever_even_where_it_was_taken_off():
    used = stocked(installed(LotId("LOT-9")), AssemblyRemoved(KEY, SPONSOR, UNIT, LotId("LOT-9"), "wrong port", LEA))
    assert reasons(used) == [f"{KEY} was installed before, on BR-50 for LOT-9: a single-use assembly is used once"]
    assert used.installed(UNIT, LotId("LOT-9")) == {}


def test_an_assembly_that_another_site_used_is_refused_once_this_site_has_heard():
    heard = stocked(AssembliesUsed(received().site, (used_digest(KEY),)))
    assert reasons(heard) == [f"{KEY} was used at another site: a single-use assembly is used once"]
    assert reasons(heard, key=piece_key(BAG, "0043")) == []


def test_stock_of_another_sponsor_product_or_patient_is_refused():
    assert reasons(stocked(), plan=planned(sponsor=SponsorId("OTHER"))) == ["RCV-1 is stock of another sponsor than LOT-0001"]
    assert reasons(stocked(), delivery=received(products=(CART,))) == ["RCV-1 is for CART-1, not for MAB-A"]
    annes = received(patient=ANNE)
    assert reasons(stocked(), delivery=annes, plan=planned(patient=ANNE)) == []
    for plan in (planned(patient=BORIS), planned()):
        assert reasons(stocked(), delivery=annes, plan=plan) == ["RCV-1 is of another patient than LOT-0001 (21 CFR 211.130(a))"]


def test_every_position_needs_its_assembly_and_what_was_good_must_be_good_at_the_start():
    def against(placed, state, *tests):
        pieces = dict.fromkeys(placed, Piece(tests=tests))
        notes = check_assemblies_are_installed((VESSEL,), placed, dict.fromkeys(placed, state), planned=planned(), pieces=pieces)
        return [note.text for note in stops(notes)]

    assert against({}, ReceiptState.RELEASED) == ["nothing is installed in Vessel bag of BR-50 for LOT-0001"]
    assert against({"vessel": received()}, ReceiptState.RELEASED) == []
    leaks = IntegrityTested(KEY, SPONSOR, "pressure decay", False, "LT-42", LEA)  # tested after it was installed
    assert against({"vessel": received()}, ReceiptState.RELEASED, leaks) == ["vessel: its integrity test by pressure decay failed, record LT-42"]
    assert against({"vessel": received()}, ReceiptState.RECALLED) == [
        "vessel: RCV-1 (Alder Single Use lot A-17) is recalled, not released for use (21 CFR 211.84(a))"
    ]


def test_genealogy_reaches_from_a_resin_to_every_lot_and_back():
    other = received("RCV-2", item="BAG-200", lot="B-3", serials=("7",))
    payloads = [
        received(),
        other,
        installed(),
        installed(LotId("LOT-2"), "BAG-200/7"),
        lots.use(LOT, batch=BatchId("BAT-1"), material="medium", used_lot="RCV-9"),
    ]
    tree = lots.fold(noted(*payloads))
    assert tree.names("R-9") == (supplier_key("TPE", "R-9"),)
    reached = {link.into for link in tree.reaches(supplier_key("TPE", "R-9"))}
    assert {str(LOT), "LOT-2", KEY, "BAG-200/7", "RCV-1", "RCV-2", "MANIFOLD lot M-12", "TUBE-8 lot T-31"} <= reached
    below = {link.used_lot for link in tree.made_of(LOT)}
    assert {KEY, "RCV-1", "RCV-9", f"{BAG} lot A-17", "FILTER-02 lot S-5", "EVOH lot R-2", "sterilisation lot IRR-881"} <= below
    assert "BAG-200 lot B-3" not in below
    assert lots.fold(noted(*reversed(payloads))).reaches(supplier_key("TPE", "R-9")) != ()


def test_stock_is_the_same_in_whatever_order_ledgers_are_folded():
    ours = noted(received(), installed(), ledger="aster/LEEDS/ASTER-BIO")
    told = noted(decided(), AssembliesUsed(received().site, (used_digest("X/1"),)), ledger="aster/CONTROL/LEEDS")

    def folded(*runs):
        held = Stock()
        for run in runs:
            for fact in run:
                held = stock.apply(held, fact)
        return held

    assert folded(ours, told) == folded(told, ours)
