"""The facts of one ledger that have to do with one thing, and where that ledger stands.

Guarantees: every fact whose bytes hold one of the names asked for, or that is of one of the
kinds asked for, in order; bytes are looked through before they are read as facts, so that a
batch of a few hundred facts is found in a ledger of a million. Size and root are of the ledger up to
the last fact that holds a name, computed from the facts themselves: the same at every node that has
the ledger, and facts that come later change nothing of it.
Leaves to others: what the facts say (quality), whether the signatures verify (`isogenic verify`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from isogenic.records.facts import Fact, fact_in_place
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.merkle import Frontier, leaf_hashes

__all__ = ["Gathered", "gather"]

PAGE = 512  # facts read at a time


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was found in a ledger, and how far that is signed and witnessed."""

    ledger: str
    facts: tuple[Fact, ...]
    size: int  # one more than the last position that holds a name; 0: none does
    root: str  # hex, over so many facts
    witnessed: int  # of so many, how many the other side has cosigned


def gather(ledger: Ledger | Copy, *, names: Collection[str], kinds: Collection[str] = (), about: Callable[[Fact], bool] | None = None) -> Gathered:
    """The facts that hold one of these names, or are of one of these kinds (size and root go by the names).

    With `about`, which is asked in the ledger's order, only those of them that it takes; size and root go by these.
    """
    store, wanted = ledger.store, [each.encode() for each in names if each]
    also = [f'"kind":"{each}"'.encode() for each in kinds]
    found: list[Fact] = []
    start = last = 0
    while bodies := store.bodies(start, start + PAGE):
        for position, body in enumerate(bodies, start):
            named = any(each in body for each in wanted)
            if named or any(each in body for each in also):
                fact = fact_in_place(body, ledger=ledger.origin, position=position)
                if about is None or about(fact):
                    found.append(fact)
                    last = position + 1 if named or about is not None else last
        start += len(bodies)
    frontier = Frontier()
    while frontier.size < last:
        frontier = frontier.extend(leaf_hashes(store.bodies(frontier.size, min(last, frontier.size + PAGE))))
    receipt = store.receipt()
    witnessed = last if isinstance(ledger, Copy) else min(receipt[0] if receipt else 0, last)
    return Gathered(ledger.origin, tuple(found), last, frontier.root().hex() if last else "", witnessed)
