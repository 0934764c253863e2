"""What tests of materials begin with: a matrix, a delivery, a clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from isogenic.clock import Moment
from isogenic.ids import IdentityCode, LotId, PersonId, ProductId, ReceiptId, SeededMint, SiteId, SponsorId, UnitId
from isogenic.materials.assemblies import Planned
from isogenic.materials.receipts import MaterialDecided, MaterialReceived, Part, PartKind, ReceiptCommand, Resin, Sterility
from isogenic.records.facts import Actor, Fact, FactRef
from isogenic.units import Quantity

NOW = datetime(2026, 3, 2, 6, tzinfo=UTC)
LEEDS, UNIT, SPONSOR = SiteId("LEEDS"), UnitId("BR-50"), SponsorId("ASTER-BIO")
LOT, MAB, CART = LotId("LOT-0001"), ProductId("MAB-A"), ProductId("CART-1")
LEA, MIR, BEN = PersonId("LEA"), PersonId("MIR"), PersonId("BEN")
ANNE, BORIS = (SeededMint(seed).fresh(IdentityCode) for seed in (1, 2))
BAG = "09506000134352"
DIGEST = sha256(b"certificate").hexdigest()
STERILE = Sterility("gamma", "ISO 11137-2 VDmax25, SAL 1e-6", "IRR-881", DIGEST)
BILL = (
    Part("1", PartKind.BAG, "BAG-FILM", "F-77", "Vessel bag", "Alder", (Resin("PE-LD", "R-1", "Polymer Works"), Resin("EVOH", "R-2"))),
    Part("2", PartKind.ASSEMBLY, "MANIFOLD", "M-12"),
    Part("2.1", PartKind.TUBING, "TUBE-8", "T-31", resins=(Resin("TPE", "R-9"),)),
    Part("2.2", PartKind.FILTER, "FILTER-02", "S-5"),
)
MATRIX = """
isogenic: changeover/1
matrix: ASTER-CHANGEOVER
version: 1
title: Changeover between antibodies and patients
classes:
  antibody: {title: Antibodies, products: [MAB-A, MAB-B]}
  cells: {title: Cells of one patient, products: [CART-1], per_patient: true}
checklists:
  clearance: [Nothing of the last batch is on the line, No label of the last batch is in the room]
rules:
  - {on: [stirred_bioreactor], from: [nothing], to: [antibody, cells], steps: [{clear: clearance}, {change: disposables}], valid: 72 h}
  - {on: [stirred_bioreactor], from: [antibody], to: [antibody], when: same_product, steps: [{clear: clearance}, {change: disposables}], valid: 72 h}
  - on: [stirred_bioreactor]
    from: [antibody]
    to: [antibody]
    when: other_product
    steps: [{clear: clearance, people: 2}, {change: disposables}, {clean: CIP-3, result: toc, at_most: 500 ug/L}, {hold: 2 h}]
    valid: 24 h
  - {on: [stirred_bioreactor], from: [cells], to: [cells], steps: [{clear: clearance}, {change: disposables}], valid: 8 h}
  - {on: [stirred_bioreactor], from: [antibody], to: [cells], forbidden: cells are not made where a culture grew}
positions:
  - {on: [stirred_bioreactor], make: Alder, position: vessel, title: Vessel bag, items: ["09506000134352"]}
"""


def received(number: str = "RCV-1", **changes: object) -> MaterialReceived:
    """Three vessel bags of one delivery, or what the changes make of it."""
    base = MaterialReceived(
        ReceiptId(number),
        SPONSOR,
        LEEDS,
        BAG,
        "Vessel bag 50 L",
        "Alder Single Use",
        "A-17",
        Quantity(3.0, "1"),
        NOW + timedelta(days=300),
        DIGEST,
        LEA,
        serials=("0041", "0042", "0043"),
        parts=BILL,
        sterility=STERILE,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def decided(number: str = "RCV-1", command: ReceiptCommand = ReceiptCommand.RELEASE, *, sponsor: SponsorId = SPONSOR) -> MaterialDecided:
    return MaterialDecided(ReceiptId(number), sponsor, command, "as ordered", MIR)


def planned(**changes: object) -> Planned:
    return replace(Planned(UNIT, LOT, MAB, SPONSOR, NOW + timedelta(days=15)), **changes)  # type: ignore[arg-type]


def noted(*payloads: object, at: datetime = NOW, ledger: str = "aster/LEEDS/HOUSE") -> list[Fact]:
    return [
        Fact(FactRef(ledger, position), type(each).fact_name, 1, "", Actor.node("LEEDS"), Moment(at), each)  # type: ignore[attr-defined]
        for position, each in enumerate(payloads)
    ]
