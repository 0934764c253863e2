"""What is in stock at a site: received lots, single pieces, what is installed where, what other sites used.

Guarantees: folded from facts, and the same whatever order ledgers are folded in (I8): decisions and installations are kept as they
are and judged when they are looked at.
Leaves to others: lines (clearance), who may decide (authority).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from isogenic.errors import NotFound
from isogenic.ids import LotId, ReceiptId, UnitId
from isogenic.materials.assemblies import AssembliesUsed, AssemblyInstalled, AssemblyOpened, AssemblyRemoved, IntegrityTested, Piece, used_digest
from isogenic.materials.links import Links
from isogenic.materials.receipts import MaterialDecided, MaterialReceived, ReceiptCommand, ReceiptState, piece_key, standing, supplier_key
from isogenic.records.facts import Fact

__all__ = ["Stock", "apply", "digests_used"]


@dataclass(frozen=True, slots=True)
class Stock:
    """What a site holds and has used."""

    receipts: Mapping[ReceiptId, MaterialReceived] = field(default_factory=dict)
    decided: Links[MaterialDecided] = field(default_factory=Links)  # by receipt
    lots: Links[ReceiptId] = field(default_factory=Links)  # by the supplier's lot
    serials: Links[ReceiptId] = field(default_factory=Links)  # by piece
    pieces: Mapping[str, Piece] = field(default_factory=dict)  # those that something was done with
    placed: Mapping[tuple[UnitId, LotId], Mapping[str, AssemblyInstalled]] = field(default_factory=dict)  # by position
    elsewhere: frozenset[str] = frozenset()  # digests of pieces that other sites used

    def receipt(self, receipt: ReceiptId) -> MaterialReceived:
        """A received lot, or `NotFound`."""
        if receipt not in self.receipts:
            raise NotFound(f"no received lot {receipt}", why="nothing was received under that number here")
        return self.receipts[receipt]

    def state(self, receipt: ReceiptId, *, now: datetime) -> ReceiptState:
        """Where a received lot stands."""
        return standing(self.commands(receipt), self.receipt(receipt).expires, now=now)

    def commands(self, receipt: ReceiptId) -> frozenset[ReceiptCommand]:
        """What was decided on a received lot."""
        return frozenset(each.command for each in self.decided.get(receipt))

    def piece(self, key: str) -> Piece:
        """What was done with a piece; nothing, if nothing was."""
        return self.pieces.get(key, Piece())

    def delivery_of(self, item: str, serial: str) -> MaterialReceived:
        """The delivery that a piece came with, or `NotFound`. One that was delivered twice came with the first."""
        found = self.serials.get(piece_key(item, serial))
        if not found:
            raise NotFound(f"no assembly {piece_key(item, serial)[:60]}", why="none with that number was received here", possible="receive it first")
        return self.receipts[min(found)]

    def installed(self, unit: UnitId, lot: LotId) -> Mapping[str, AssemblyInstalled]:
        """What is on a unit for a lot, by position."""
        return self.placed.get((unit, lot), {})


def apply(stock: Stock, fact: Fact) -> Stock:
    """Fold one fact; facts of other rooms change nothing."""
    match fact.payload:
        case MaterialReceived() as received:
            if received.receipt in stock.receipts:
                return stock  # a number is given once; the first stays
            serials = stock.serials
            for serial in received.serials:
                serials = serials.added(piece_key(received.item, serial), received.receipt)
            lots = stock.lots.added(supplier_key(received.item, received.lot), received.receipt)
            return replace(stock, receipts={**stock.receipts, received.receipt: received}, lots=lots, serials=serials)
        case MaterialDecided() as decided:
            return replace(stock, decided=stock.decided.added(decided.receipt, decided))
        case AssemblyOpened() as opened:
            piece = stock.piece(opened.piece)
            return _with(stock, opened.piece, replace(piece, opened_at=min(piece.opened_at or fact.at, fact.at)))
        case IntegrityTested() as tested:
            piece = stock.piece(tested.piece)
            return _with(stock, tested.piece, replace(piece, tests=(*piece.tests, tested)))
        case AssemblyInstalled() as installed:
            piece, key = stock.piece(installed.piece), (installed.unit, installed.lot)
            stock = _with(stock, installed.piece, replace(piece, installed=(*piece.installed, installed)))
            return replace(stock, placed={**stock.placed, key: {**stock.placed.get(key, {}), installed.position: installed}})
        case AssemblyRemoved() as removed:
            piece, key = stock.piece(removed.piece), (removed.unit, removed.lot)
            stock = _with(stock, removed.piece, replace(piece, removed=(*piece.removed, removed)))
            left = {position: each for position, each in stock.placed.get(key, {}).items() if each.piece != removed.piece}
            return replace(stock, placed={**stock.placed, key: left})
        case AssembliesUsed() as used:
            return replace(stock, elsewhere=stock.elsewhere | set(used.digests))
    return stock


def _with(stock: Stock, key: str, piece: Piece) -> Stock:
    return replace(stock, pieces={**stock.pieces, key: piece})


def digests_used(stock: Stock) -> frozenset[str]:
    """Of every piece that this site used: what other sites are to hear."""
    return frozenset(used_digest(key) for key, piece in stock.pieces.items() if piece.used)
