"""What a rehearsal raises when an invariant of the design does not hold."""

from __future__ import annotations

__all__ = ["InvariantBroken"]


class InvariantBroken(AssertionError):
    """An invariant did not hold: which, in which night, and what was seen."""

    def __init__(self, invariant: str, *, seed: int, seen: str) -> None:
        super().__init__(f"{invariant} broken in the night of seed {seed}: {seen}")
        self.invariant, self.seed, self.seen = invariant, seed, seen
