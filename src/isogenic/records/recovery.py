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
from isogenic.records.beacon import UNKNOWN, Mark
from isogenic.records.healing import LedgerHealed
from isogenic.records.ledger import Copy, Ledger, open_kept

__all__ = ["check", "copy_healed", "remember"]


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
    kept = files.salvage(copy, wound)
    if kept is not None:
        for _, note in reversed(kept.receipts()):
            with suppress(NotTrusted, NotValid):
                cosigned = open_kept(note, copy.keys)
                copy.remember(cosigned.size, cosigned.root)
                break
        kept.close()
    files.healed(copy)
    return [LedgerHealed(copy.origin, wound.why, copy.size, 0, 0, wound.digest)]


def remember(copy: Copy, marks: Mapping[str, Mark] | None) -> None:
    """Hold the writer of a copy to what the beacon saw, which may be more than what this file has."""
    mark = (marks or {}).get(copy.origin)
    if mark is not None and copy.size < mark.size < UNKNOWN:
        copy.remember(mark.size, bytes.fromhex(mark.root))
