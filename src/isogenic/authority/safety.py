"""What becomes of a running batch when the permission to make it ends, as a fact of its record.

Leaves to others: the rule (master_file), when it applies and which command follows (sites.safe_completion).
"""

from __future__ import annotations

from dataclasses import dataclass

from isogenic.authority.master_file import Safe
from isogenic.ids import BatchId, LicenceId
from isogenic.records.facts import fact

__all__ = ["SafeCompletionBegun"]


@fact("authority.safe_completion_begun", subject="batch", version=2, upgrades={1: lambda body: {**body, "number": 0}})
@dataclass(frozen=True, slots=True)
class SafeCompletionBegun:
    """The permission to make a batch ended while it ran: what its product's master file says to do is done from here on."""

    batch: BatchId
    licence: LicenceId
    cause: str  # suspended, ceased, lease ended
    rule: Safe
    hand_over_to: str
    why: str
    number: int  # of the licence's change, or of the lease that ended: a second suspension is another one; 0 was not told
