"""The audit trail tells what people changed in a running batch, a material, a line, a licence: from what, to what."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from lot_story import START, signed

from isogenic.authority.leases import LeaseGranted
from isogenic.authority.licences import Command, LicenceApplied, LicenceChanged, State
from isogenic.authority.people import Role
from isogenic.batches.facts import FormulaChanged, Mode, ModeChanged, PromptWitnessed, UnitAllocated, UnitReleased, WitnessDeclined
from isogenic.clock import ClockQuality, Moment
from isogenic.ids import BatchId, LicenceId, LotId, MasterFileId, PersonId, ProductId, PromptId, ReceiptId, RecipeId, SiteId, SponsorId, UnitId
from isogenic.materials.changeover import ChangeoverSubmitted
from isogenic.materials.clearance import LineLeft, LineTaken
from isogenic.materials.receipts import MaterialDecided, MaterialReceived, ReceiptCommand
from isogenic.quality.trail import TRAIL, Wanted, all_lines
from isogenic.records.derived import FACTS, Derived
from isogenic.records.facts import Actor, FactRef, encode_fact
from isogenic.units import Quantity

LEDGER = "isogenic.example/GHENT/BIOCO"
BATCH, LOT, OLA, UNIT, SITE = BatchId("BAT-1"), LotId("LOT-1"), PersonId("OLA-BERG"), UnitId("BR-200"), SiteId("GHENT")
SPONSOR, PRODUCT, LICENCE, RECEIPT = SponsorId("BIOCO"), ProductId("MAB-A"), LicenceId("LIC-1"), ReceiptId("RCV-1")
BY = signed("INES-DUARTE", Role.QUALITY, "approved", "0" * 64)


def trail(tmp_path: Path, *payloads: object) -> list[tuple[str, str, str, str, str]]:
    """Thing, field, old, new and why of every line."""
    derived = Derived(tmp_path / "d.sqlite", views=(FACTS, TRAIL))
    moment = Moment(START, "simulated", ClockQuality.SIMULATED)
    actor = Actor("OLA-BERG", "operator", "password")
    bodies = [encode_fact(each, ref=FactRef(LEDGER, at), actor=actor, moment=moment) for at, each in enumerate(payloads)]
    derived.feed(bodies, ledger=LEDGER, start=0)
    found = all_lines(derived.db, Wanted(changes=True))
    assert {each.who for each in found} == {"OLA-BERG"}
    return [(each.thing, each.field, each.old, each.new, each.why) for each in sorted(found, key=lambda each: (each.ref.position, each.part))]


def test_a_formula_and_a_mode_are_told_with_what_they_were(tmp_path):
    change = FormulaChanged(BATCH, "feed", 0.4, 0.5, "L/h", "growth is slow", OLA, BY)
    again = FormulaChanged(BATCH, "feed", 9.9, 0.6, "L/h", "still slow", OLA, BY)  # it claims what the ledger does not bear out
    assert trail(tmp_path, change, again, ModeChanged(BATCH, Mode.MANUAL, Mode.AUTOMATIC, "a valve sticks", OLA)) == [
        ("BAT-1", "parameter feed", "0.4 L/h", "0.5 L/h", "growth is slow"),
        ("BAT-1", "parameter feed", "0.5 L/h", "0.6 L/h", "still slow"),
        ("BAT-1", "mode", "automatic", "manual", "a valve sticks"),
    ]


def test_a_witness_who_declines_and_one_who_signs_later_are_told(tmp_path):
    declined = WitnessDeclined(BATCH, PromptId("P-1"), "0" * 64, "the bag leaks", OLA)
    assert trail(tmp_path, declined, PromptWitnessed(BATCH, PromptId("P-1"), "1" * 64, OLA, BY)) == [
        ("BAT-1", "P-1 witnessed by", "", "declined by OLA-BERG", "the bag leaks"),
        ("BAT-1", "P-1 witnessed by", "declined by OLA-BERG", "OLA-BERG", ""),
    ]


def test_a_material_goes_from_quarantine_to_released_to_recalled(tmp_path):
    came = MaterialReceived(RECEIPT, SPONSOR, SITE, "04012345678901", "Medium", "Firm", "L7", Quantity(5.0, "L"), None, "ab" * 32, OLA)
    released = MaterialDecided(RECEIPT, SPONSOR, ReceiptCommand.RELEASE, "in order", OLA, BY)
    recalled = MaterialDecided(RECEIPT, SPONSOR, ReceiptCommand.RECALL, "supplier's notice", OLA, BY)
    assert trail(tmp_path, came, released, recalled) == [
        ("RCV-1", "state", "none", "quarantine", ""),
        ("RCV-1", "what", "", "Medium, 04012345678901, lot L7 of Firm, 5 L", ""),
        ("RCV-1", "state", "quarantine", "released", "in order"),
        ("RCV-1", "state", "released", "recalled", "supplier's notice"),
    ]


def test_units_lines_and_licences_are_told(tmp_path):
    until = START + timedelta(hours=24)
    assert trail(
        tmp_path,
        UnitAllocated(BATCH, "filler", UNIT, 1, ()),
        LineTaken(UNIT, BATCH, LOT, PRODUCT, SPONSOR),
        UnitReleased(BATCH, "filler", UNIT),
        LineLeft(UNIT, BATCH),
        LicenceApplied(LICENCE, SITE, MasterFileId("MF-1"), PRODUCT, "REF-1", "new site", BY),
        LicenceChanged(LICENCE, SITE, Command.QUALIFY, State.QUALIFIED, 1, "inspected", BY),
        LeaseGranted(LICENCE, SITE, 1, START, until),
    ) == [
        ("BAT-1", "unit as filler", "none", "BR-200", ""),
        ("BR-200", "batch", "", "BAT-1", ""),
        ("BR-200", "on the line", "nothing", "BAT-1, LOT-1 of MAB-A", ""),
        ("BAT-1", "unit as filler", "BR-200", "none", ""),
        ("BR-200", "batch", "BAT-1", "none", ""),
        ("BR-200", "on the line", "BAT-1, LOT-1 of MAB-A", "nothing", ""),
        ("LIC-1", "state", "none", "onboarding", "new site"),
        ("LIC-1", "for", "", "GHENT, MAB-A by MF-1, REF-1", "new site"),
        ("LIC-1", "state", "onboarding", "qualified", "inspected"),
        ("LIC-1", "lease of GHENT", "none", "until 2026-11-10T08:00:00.000Z", ""),
    ]


def test_of_a_changeover_matrix_the_lines_that_differ_are_told(tmp_path):
    one, two = (ChangeoverSubmitted(RecipeId("CLEANING"), at, "0" * 64, text) for at, text in ((1, "rinse: 1\nswab: 2"), (2, "rinse: 1\nswab: 3")))
    assert trail(tmp_path, one, two)[-1][1:4] == ("text put forward", "swab: 2", "swab: 3")
