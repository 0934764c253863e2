"""What every node does with a ledger that it opens: check it, or lay its file aside and go on with what verifies.

Guarantees: nothing is folded that was not signed; a copy of another node's ledger that lost
something still holds its writer to what was cosigned here before.
Leaves to others: hearing the witness (returning), asking again for what a copy lacks (courier, desk).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from isogenic.errors import NotTrusted, NotValid
from isogenic.records.aside import LedgerFiles
from isogenic.records.beacon import UNKNOWN, Mark, root_at
from isogenic.records.healing import LedgerHealed
from isogenic.records.ledger import Copy, Ledger, open_kept

__all__ = ["check", "copy_healed", "remember"]

BEACON = "the beacon"  # by whom a copy of another history was given up


def check(ledger: Ledger | Copy, files: LedgerFiles | None) -> bool:
    """Hash all that is stored again. False where it was damaged and laid aside; without `files`, that is refused as `NotTrusted`."""
    if files is None:
        ledger.check()
        return True
    return files.check(ledger)


def copy_healed(copy: Copy, files: LedgerFiles | None) -> list[LedgerHealed]:
    """A damaged copy goes on with what verifies; its writer sends the rest again, and is held to what was cosigned."""
    wound = files.wound_of(copy) if files else None
    if files is None or wound is None:
        return []
    kept = files.salvage(copy, wound) if wound.by != BEACON else None  # receipts of another history hold nobody
    if kept is not None:
        for _, note in reversed(kept.receipts()):
            with suppress(NotTrusted, NotValid):
                cosigned = open_kept(note, copy.keys)
                copy.remember(cosigned.size, cosigned.root)
                break
        kept.close()
    files.healed(copy)
    return [LedgerHealed(copy.origin, wound.why, copy.size, 0, 0, wound.digest)]


def remember(copy: Copy, marks: Mapping[str, Mark] | None, files: LedgerFiles | None = None) -> None:
    """Hold the writer of a copy to what the beacon saw, which may be more than what this file has.

    A copy of another history than the beacon saw is not gone on with, whoever signed it: it is laid aside whole, and its writer
    sends the one that was cosigned here. Without `files`, it is refused as `NotTrusted`.
    """
    mark = (marks or {}).get(copy.origin)
    if mark is None or mark.size >= UNKNOWN:
        return
    if 0 < mark.size <= copy.size and root_at(copy.store, mark.size).hex() != mark.root:
        why = f"the beacon saw another root for its first {mark.size} facts: this is another history"
        if files is None:
            raise NotTrusted(f"copy of {copy.origin} refused", why=why, possible="a person decides: find out which file this is")
        files.lay_aside(copy, why=why, upto=0, by=BEACON)
    if copy.size < mark.size:
        copy.remember(mark.size, bytes.fromhex(mark.root))
