"""Materials at the control site: the same whatever order ledgers come in."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations

from isogenic.clock import Moment
from isogenic.ids import BatchId, LotId, PersonId, ReceiptId, SiteId, SponsorId
from isogenic.materials.lots import Link, MaterialUsed
from isogenic.materials.receipts import MaterialDecided, MaterialReceived, ReceiptCommand
from isogenic.network import stocks
from isogenic.network.stocks import Stocks
from isogenic.records.facts import Actor, Fact, FactRef, Payload, subject_of
from isogenic.units import Quantity

LEEDS, GHENT = SiteId("LEEDS"), SiteId("GHENT")
SPONSOR, MEDIUM = SponsorId("ASTER-BIO"), "MED-0417"
AT = datetime(2026, 3, 2, 6, tzinfo=UTC)


def received(site: SiteId) -> MaterialReceived:
    """The same supplier's lot, at each site."""
    number = ReceiptId(f"RCV-{site}")
    return MaterialReceived(number, SPONSOR, site, "MEDIUM", "Medium", "Alder", MEDIUM, Quantity(100.0, "L"), None, "0" * 64, PersonId("LEA"))


def decided(command: ReceiptCommand, by: str) -> MaterialDecided:
    return MaterialDecided(ReceiptId("RCV-LEEDS"), SPONSOR, command, "as ordered", PersonId(by))


def used(site: SiteId) -> MaterialUsed:
    return MaterialUsed(LotId(f"LOT-{site}"), BatchId(f"BAT-{site}"), "medium", MEDIUM)


LEDGERS: dict[tuple[SiteId, bool], tuple[Payload, ...]] = {
    (LEEDS, False): (received(LEEDS), used(LEEDS), decided(ReceiptCommand.USE_UP, "LEA")),
    (GHENT, False): (received(GHENT), used(GHENT)),
    (LEEDS, True): (decided(ReceiptCommand.RELEASE, "BEN"), decided(ReceiptCommand.RECALL, "BEN")),
}


def fold(order: tuple[tuple[SiteId, bool], ...]) -> Stocks:
    known = Stocks()
    for site, ours in order:
        ledger = f"aster/CONTROL/{site}" if ours else f"aster/{site}/{SPONSOR}"
        for position, payload in enumerate(LEDGERS[site, ours]):
            kind = type(payload).fact_name
            fact = Fact(FactRef(ledger, position), kind, 1, subject_of(payload), Actor.node(str(site)), Moment(AT), payload)
            if isinstance(payload, MaterialUsed):
                known = stocks.used(known, fact)
            else:
                known = stocks.apply(known, fact, site=site, ours=ours, sponsor=not ours)
    return known


def test_ledgers_may_be_folded_in_any_order() -> None:
    first, *others = [fold(order) for order in permutations(LEDGERS)]
    assert others == [first] * 5
    assert first.genealogy.reaches(MEDIUM) == (Link("LOT-GHENT", MEDIUM, "medium"), Link("LOT-LEEDS", MEDIUM, "medium"))
    assert first.site(LEEDS).commands(ReceiptId("RCV-LEEDS")) == {ReceiptCommand.RELEASE, ReceiptCommand.USE_UP, ReceiptCommand.RECALL}
