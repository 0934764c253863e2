"""A ledger from one store into another: from files into a database when one machine is outgrown, and back.

Guarantees: bytes, checkpoints and receipts arrive as they were; each checkpoint's root is
computed again from the facts on the way; what is there already is compared and left, so it
may be cut anywhere and done again; two histories are never joined.
Leaves to others: whose signature it is (opening and checking the ledger), which ledgers there are (homes).
"""

from __future__ import annotations

from isogenic.errors import NotReachable, NotTrusted
from isogenic.records.merkle import Frontier, leaf_hashes
from isogenic.records.notes import claimed_checkpoint
from isogenic.records.store import Commit, LedgerStore

__all__ = ["copy_ledger"]

COMMITS = 64  # to one transaction: some 30,000 facts at most


def copy_ledger(source: LedgerStore, target: LedgerStore) -> int:
    """Bring `target` to what `source` holds; gives how many facts came."""
    if source.origin != target.origin:
        raise NotTrusted(f"{source.origin} is not copied", why=f"the other store is of {target.origin}")
    head = target.head()
    frontier = head.frontier if head else Frontier()
    begun = frontier.size
    if head is not None and source.checkpoint_at_or_before(begun) != (begun, head.note):
        raise NotTrusted(f"{source.origin} is not copied", why=f"the {begun} facts that are there already are not the beginning of it")
    receipts, waiting = dict(source.receipts()), list[Commit]()
    while (kept := source.checkpoint_after(frontier.size)) is not None:
        size, note = kept
        bodies = source.bodies(frontier.size, size)
        frontier = frontier.extend(leaf_hashes(bodies))
        if frontier.size != size or frontier.root() != claimed_checkpoint(note).root:
            raise NotTrusted(f"{source.origin} is not copied beyond {size - len(bodies)} facts", why="what follows is not what was signed")
        waiting.append(Commit(bodies, frontier, note, receipts.get(size, b"")))
        if len(waiting) == COMMITS:
            target.commit_all(waiting)
            waiting = []
    target.commit_all(waiting)
    for size, note in receipts.items():  # of checkpoints that were there before
        if size <= begun:
            target.keep_receipt(size, note)
    after = target.head()
    if (after.size if after else 0) != frontier.size:
        raise NotReachable(f"{source.origin} is not copied", why="another process writes it", possible="end that process first")
    return frontier.size - begun
