"""What a site may delete: reading blocks that the control site holds in two stores, once they are old enough.

    named by a fact below the watermark     the control site has signed for it (records.heartbeats)
    older than the minimum retention        `keep_days` after its last reading
    of no running batch

Guarantees: facts are kept for good, and so is every block that one of these rules holds back; without a watermark nothing
may be deleted. The watermarks are verified again from the notes that the facts hold.
Leaves to others: deleting. This tells what may go, and `isogenic watermarks` shows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from isogenic.errors import Refusal
from isogenic.records.blocks import HouseReadingsSealed, ReadingsSealed
from isogenic.records.facts import Fact
from isogenic.records.heartbeats import open_watermark
from isogenic.records.notes import VerifyingKey
from isogenic.sites.facts import WatermarkReceived

__all__ = ["Prunable", "prunable"]


@dataclass(frozen=True, slots=True)
class Prunable:
    """One ledger: how far its watermark reaches, and which blocks may go."""

    ledger: str
    watermark: int
    facts: int
    blocks: tuple[str, ...]  # digests
    bytes: int
    kept_back: int  # blocks that stay: above the watermark, or not old enough

    def __str__(self) -> str:
        return (
            f"{self.ledger}: watermark {self.watermark} of {self.facts} facts; {len(self.blocks)} reading blocks "
            f"({self.bytes} bytes) may be deleted, {self.kept_back} stay; facts are kept"
        )


def prunable(facts: Iterable[Fact], *, by: Iterable[VerifyingKey], keep_days: float, now: datetime) -> list[Prunable]:
    """What may be deleted, from the facts of a site's ledgers and the control site's keys. A watermark that does not verify counts for nothing."""
    held, keys = list(facts), list(by)
    reach: dict[str, int] = {}
    for fact in held:
        if isinstance(fact.payload, WatermarkReceived):
            size = max((_opened(fact.payload, key) for key in keys), default=0)
            reach[fact.payload.ledger] = max(reach.get(fact.payload.ledger, 0), size)
    ledgers = dict.fromkeys(fact.ref.ledger for fact in held)
    return [
        _of(ledger, [fact for fact in held if fact.ref.ledger == ledger], reach.get(ledger, 0), now - timedelta(days=keep_days)) for ledger in ledgers
    ]


def _opened(received: WatermarkReceived, key: VerifyingKey) -> int:
    try:
        return open_watermark(received.note.encode(), origin=received.ledger, by=key)
    except Refusal:
        return 0


def _of(ledger: str, facts: list[Fact], reach: int, before: datetime) -> Prunable:
    blocks = [fact for fact in facts if isinstance(fact.payload, ReadingsSealed | HouseReadingsSealed)]
    closed = {fact.subject for fact in facts if fact.kind == "batch.closed"}
    may = [
        fact.payload
        for fact in blocks
        if fact.position < reach and fact.payload.last < before and (isinstance(fact.payload, HouseReadingsSealed) or fact.subject in closed)
    ]
    return Prunable(ledger, reach, len(facts), tuple(each.digest for each in may), sum(each.bytes for each in may), len(blocks) - len(may))
