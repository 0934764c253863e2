"""Where one ledger is kept, and what a store promises.

A store keeps bytes, checkpoints and receipts of one ledger; it does not know what they
say. `commit` is atomic and durable: after it returns, a power cut loses nothing of it;
if it raises, nothing of it is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from isogenic.records.merkle import Frontier

__all__ = ["Commit", "Head", "LedgerStore"]


@dataclass(frozen=True, slots=True)
class Head:
    """The newest checkpoint of a store: the tree it covers and the signed note."""

    frontier: Frontier
    note: bytes

    @property
    def size(self) -> int:
        """How many facts it covers."""
        return self.frontier.size


@dataclass(frozen=True, slots=True)
class Commit:
    """A run of facts and the signed checkpoint right after the last of them; for a copy, with its cosignature."""

    bodies: Sequence[bytes]
    frontier: Frontier
    note: bytes
    receipt: bytes = b""  # the cosigned checkpoint, kept in the same transaction: what is held is promised


class LedgerStore(Protocol):
    """One ledger's bytes. Implementations: SQLite for a folder, PostgreSQL for several processes; the tests hold both to the same."""

    origin: str
    shared: bool  # whether other processes may write it, too: then its head is read anew before every append

    def exclusive(self) -> AbstractContextManager[None]:
        """Be the only writer while this is held: what is read in it is the newest, and stays so. Free where no other process writes."""
        ...

    def head(self) -> Head | None:
        """The newest checkpoint, or None when nothing was committed yet."""
        ...

    def commit(self, bodies: Sequence[bytes], *, frontier: Frontier, note: bytes, receipt: bytes = b"") -> None:
        """Append `bodies`, the checkpoint after them and the receipt if there is one, atomically and durably."""
        ...

    def commit_all(self, commits: Sequence[Commit]) -> None:
        """Several commits in a row, all of them or none."""
        ...

    def bodies(self, start: int, stop: int) -> list[bytes]:
        """The stored bytes of positions start <= p < stop, as many as there are."""
        ...

    def forget(self) -> None:
        """Keep nothing of what was read in memory: what is read next comes from the disk. For whoever looks for rot."""
        ...

    def checkpoint_at_or_before(self, size: int) -> tuple[int, bytes] | None:
        """The newest checkpoint of at most `size` facts: its size and note."""
        ...

    def checkpoint_after(self, size: int) -> tuple[int, bytes] | None:
        """The oldest checkpoint of more than `size` facts: its size and note."""
        ...

    def keep_receipt(self, size: int, note: bytes) -> None:
        """Keep a cosigned checkpoint: the proof that a witness holds the first `size` facts."""
        ...

    def receipt(self) -> tuple[int, bytes] | None:
        """The newest receipt: size and cosigned note."""
        ...

    def receipts(self) -> Iterable[tuple[int, bytes]]:
        """All receipts, oldest first."""
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...
