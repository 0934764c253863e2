"""The book of what was promised: every commit of every node, written down the moment it returned.

Guarantees: no position of a ledger is ever promised twice with other bytes; a body is in the book as soon as its store said that it is durable, never
before; the book outlives every crash, because it is no part of any node.
Leaves to others: comparing the book with what nodes hold later (invariants).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from isogenic.records.facts import Fact, decode_fact
from isogenic.records.sqlite import SqliteStore
from isogenic.records.store import Commit
from isogenic.sim.rehearsal.broken import InvariantBroken

__all__ = ["Book", "Place", "WatchedStore"]

Place = tuple[str, str]  # the node that holds it, and the origin of the ledger


class Book:
    """All ledgers and copies as promised, and a digest of the night so far."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.bodies: dict[Place, list[bytes]] = {}
        self.facts: dict[Place, list[Fact]] = {}
        self.listeners: list[Callable[[Place, Fact], None]] = []
        self._trace = sha256()
        self.events = 0

    def happened(self, event: str) -> None:
        """One line of the night's trace."""
        self.events += 1
        self._trace.update(event.encode() + b"\n")

    @property
    def digest(self) -> str:
        """Equal for two nights in which the same things happened in the same order."""
        return self._trace.hexdigest()

    def promised(self, place: Place, bodies: Sequence[bytes], *, start: int) -> None:
        """A store has said that these bytes are durable, from this position on.

        What was promised before may be stored again, where a file is healed: the same bytes, or somebody wrote two histories.
        """
        held = self.bodies.setdefault(place, [])
        read = self.facts.setdefault(place, [])
        if start > len(held) or held[start : start + len(bodies)] != list(bodies[: len(held) - start]):
            raise InvariantBroken("I1", seed=self.seed, seen=f"{place} was written on at {start}, and {len(held)} facts had been noted there")
        bodies = bodies[len(held) - start :]
        for body in bodies:
            self.happened(f"{place} {len(held)} {sha256(body).hexdigest()}")
            held.append(body)
            read.append(decode_fact(body))
        for fact in read[len(held) - len(bodies) :]:
            for listener in self.listeners:
                listener(place, fact)

    def of(self, place: Place) -> list[Fact]:
        """Every promised fact of one ledger at one node."""
        return self.facts.get(place, [])

    @property
    def size(self) -> int:
        """How many facts were noted by their writers and copied by their readers, together."""
        return sum(len(bodies) for bodies in self.bodies.values())


class WatchedStore(SqliteStore):
    """The real store, overheard: tells the book of each commit after it has returned."""

    def __init__(self, path: Path | str, *, origin: str, vfs: str, place: Place, book: Book) -> None:
        super().__init__(path, origin=origin, vfs=vfs)
        self._place, self._book = place, book

    def commit_all(self, commits: Sequence[Commit]) -> None:
        super().commit_all(commits)
        for each in commits:
            start, known = each.frontier.size - len(each.bodies), len(self._book.bodies.get(self._place, []))
            if start > known:  # under way when the process ended, found in a file that was healed, and built on now
                self._book.promised(self._place, self.bodies(known, start), start=known)
            self._book.promised(self._place, each.bodies, start=start)
