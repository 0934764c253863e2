"""The executed record takes from the site's house what the modules of its units did while it was on them, and nothing of anybody else's (I7)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from lot_story import BATCH, LOT, OURS, PRODUCT, START, THEIRS, noted, signer, story

from isogenic.clock import ClockQuality, Moment
from isogenic.ids import BatchId, LotId, ModuleId, NodeId, ProductId, SponsorId, UnitId
from isogenic.materials.clearance import LineLeft, LineTaken
from isogenic.quality.executed.model import Exceptional
from isogenic.quality.executed.source import record_of
from isogenic.quality.executed.text import as_text
from isogenic.records.facts import Actor, FactRef, encode_fact
from isogenic.records.ledger import Ledger
from isogenic.records.sqlite import SqliteStore
from isogenic.sites.facts import ModuleLost, ModuleRestored, SetpointRefused

HOUSE = "isogenic.example/GHENT/HOUSE"
OURS_UNIT, OTHER_UNIT, MODULE = UnitId("BR-200"), UnitId("BR-300"), ModuleId("SKID-1")


def house(*told: object) -> list[bytes]:
    def one(at: int, payload: object) -> bytes:
        moment = Moment(START + timedelta(hours=25.1 * at, minutes=7), "simulated", ClockQuality.SIMULATED)
        return encode_fact(payload, ref=FactRef(HOUSE, at), actor=Actor.node(NodeId("GHENT")), moment=moment)

    return [one(at, payload) for at, payload in enumerate(told)]


def taken(unit: UnitId = OURS_UNIT, batch: str = str(BATCH), lot: str = str(LOT)) -> LineTaken:
    return LineTaken(unit, BatchId(batch), LotId(lot), ProductId(str(PRODUCT)), SponsorId("BIOCO"))


@pytest.fixture
def ledgers(tmp_path):
    """The site's, the control site's and the house's, with what the house has to tell."""

    def written(*told: object) -> tuple[Ledger, Ledger, Ledger]:
        made = []
        ours = [encode_fact(fact.payload, ref=fact.ref, actor=fact.actor, moment=fact.moment) for fact in noted(story()) if fact.ref.ledger == OURS]
        theirs = [
            encode_fact(fact.payload, ref=fact.ref, actor=fact.actor, moment=fact.moment) for fact in noted(story()) if fact.ref.ledger == THEIRS
        ]
        for name, bodies in ((OURS, ours), (THEIRS, theirs), (HOUSE, house(*told))):
            ledger = Ledger(SqliteStore(tmp_path / f"{name.replace('/', '.')}.sqlite", origin=name), signer=signer("site"))
            ledger.append_bytes(bodies)
            made.append(ledger)
        return tuple(made)

    return written


def test_what_modules_did_while_the_batch_was_on_the_unit_is_told_among_its_exceptions_in_time(ledgers):
    ours, theirs, own = ledgers(
        ModuleLost(OURS_UNIT, MODULE, "before it began"),
        taken(OTHER_UNIT, "BAT-OTHER", "LOT-OTHER"),
        taken(),
        ModuleLost(OTHER_UNIT, MODULE, "of another sponsor's batch"),
        ModuleLost(OURS_UNIT, MODULE, "does not answer"),
        ModuleRestored(OURS_UNIT, MODULE),
        SetpointRefused("BR-200.temperature_sp", "BadOutOfRange"),
        SetpointRefused("BR-300.temperature_sp", "of another sponsor's batch"),
        LineLeft(OURS_UNIT, BATCH),
        ModuleLost(OURS_UNIT, MODULE, "after it was over"),
    )
    found = record_of(BATCH, [ours], lambda _: theirs, lambda _: own)
    assert [line.where for line in found.exceptions(Exceptional.SIGNAL)] == ["H4"]
    assert [line.text for line in found.exceptions(Exceptional.REFUSED)] == ["BR-200.temperature_sp was not taken: BadOutOfRange"]
    places = [line.where for line in found.lines]
    assert places.index("4") < places.index("H4") < places.index("5") < places.index("H5") < places.index("6")
    page = as_text(found)
    assert "SKID-1 of BR-200 answers again" in page
    assert not any(each in page for each in ("BR-300", "before it began", "after it was over", "LOT-OTHER"))


def test_the_house_is_told_up_to_the_last_fact_of_the_batch_and_later_ones_change_nothing(ledgers):
    told = [taken(), ModuleLost(OURS_UNIT, MODULE, "does not answer"), LineLeft(OURS_UNIT, BATCH)]
    ours, theirs, own = ledgers(*told)
    before = record_of(BATCH, [ours], lambda _: theirs, lambda _: own)
    own.append_bytes(house(*told, taken(OURS_UNIT, "BAT-OTHER", "LOT-OTHER"), ModuleLost(OURS_UNIT, MODULE, "again"))[3:])
    after = record_of(BATCH, [ours], lambda _: theirs, lambda _: own)
    assert [(each.size, each.witnessed is None) for each in before.held] == [(20, False), (2, True), (3, True)]
    assert after == before
