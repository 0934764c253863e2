"""The facts of one ledger that have to do with one thing, and where that ledger stands.

Guarantees: every fact whose bytes hold one of the names asked for, or that is of one of the
kinds asked for, in order; bytes are looked through before they are read as facts, so that a
batch of a few hundred facts is found in a ledger of a million. Size and root are those of the
oldest checkpoint that covers what was found: facts that come later change nothing of it.
Leaves to others: what the facts say (quality), whether the signatures verify (`isogenic verify`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from isogenic.records.facts import Fact, fact_in_place
from isogenic.records.ledger import Copy, Ledger, open_kept

__all__ = ["Gathered", "gather"]

PAGE = 512  # facts read at a time


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was found in a ledger, and how far that is signed and witnessed."""

    ledger: str
    facts: tuple[Fact, ...]
    size: int  # of the oldest checkpoint that covers them; 0: there is none
    root: str  # hex, at that size
    witnessed: int  # of that many, how many the other side has cosigned


def gather(ledger: Ledger | Copy, *, names: Collection[str], kinds: Collection[str] = ()) -> Gathered:
    """The facts that hold one of these names, or are of one of these kinds (a checkpoint covers at least the former)."""
    store, wanted = ledger.store, [each.encode() for each in names if each]
    also = [f'"kind":"{each}"'.encode() for each in kinds]
    found: list[Fact] = []
    start = last = 0
    while bodies := store.bodies(start, start + PAGE):
        for position, body in enumerate(bodies, start):
            named = any(each in body for each in wanted)
            if named or any(each in body for each in also):
                found.append(fact_in_place(body, ledger=ledger.origin, position=position))
                last = position + 1 if named else last
        start += len(bodies)
    covering = store.checkpoint_after(last - 1) if last else None
    if covering is None:
        return Gathered(ledger.origin, tuple(found), 0, "", 0)
    checkpoint, receipt = open_kept(covering[1], ledger.keys), store.receipt()
    witnessed = checkpoint.size if isinstance(ledger, Copy) else min(receipt[0] if receipt else 0, checkpoint.size)
    return Gathered(ledger.origin, tuple(found), checkpoint.size, checkpoint.root.hex(), witnessed)
