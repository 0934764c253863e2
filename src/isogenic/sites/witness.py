"""A site as witness: of the control site's house by its head, and holder of the heads of other sites' ledgers.

Guarantees: the house of the control site is cosigned only as one history; what does not fit is noted once, by name, and not
cosigned. Heads of other sites are held for comparing: of them only the head ever comes here, with the words by which each old
key of its writer named the next.
Leaves to others: the wire's other side (network.desk), checking and keeping (records.witness).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from isogenic.authority.people import Directory
from isogenic.clock import Clock
from isogenic.errors import NotReachable, NotTrusted, NotValid, Refusal
from isogenic.ids import SiteId
from isogenic.records import codec
from isogenic.records.facts import Payload
from isogenic.records.keys import WriterKeys
from isogenic.records.link import Link, refusal_of
from isogenic.records.notes import Signer, VerifyingKey
from isogenic.records.witness import HeadBook
from isogenic.sites.facts import LedgerRefused

__all__ = ["HEADS_S", "HeadWitness"]

HEADS_S = 10.0  # wall seconds between two looks
WHY_MAX = 400
TOLD_MAX = 200  # refusals noted in one run: their words are the other side's


@dataclass(frozen=True, slots=True)
class _Shown:
    note: str
    rotations: tuple[str, ...]


class HeadWitness:
    """Asks for heads, keeps and cosigns them."""

    def __init__(
        self,
        book: HeadBook,
        *,
        house: str,
        writer: VerifyingKey,
        witness: Signer,
        link: Link,
        clock: Clock,
        note: Callable[[Sequence[Payload]], object],
    ) -> None:
        """`house` is the origin of the control site's house, `writer` the key that it began with."""
        self.book, self.house, self._writer, self._witness = book, house, writer, witness
        self._link, self._clock, self._note = link, clock, note
        self._told: set[tuple[str, str]] = set()

    async def look_once(self, directory: Callable[[], Directory | None], *, read: Callable[[], int] = lambda: 1 << 60) -> None:
        """Show what is held of the house, take what is shown, and bring the cosignature. `read`: how much of the control ledger is here."""
        asked = {"held": self.book.heads.get(self.house, ""), "seen": dict(self.book.seen)}
        answer = await self._link.call("POST", "/v1/heads", codec.dumps(asked))
        if answer.status != 200:
            raise NotReachable("no heads", why=str(refusal_of(answer)))
        said = codec.loads(answer.body, what="heads")
        if not isinstance(said, dict) or type(said.get("house")) is not str or type(said.get("heads")) is not dict:
            raise NotValid("cannot read heads", why="the form is house and heads")
        directed = said.get("directed", 0)
        if type(directed) is int and directed <= read():  # else: the directory that names a key may still be on its way; the heads come again
            for origin, shown in said["heads"].items():
                self._see(str(origin), codec.read(_Shown, shown, what="a head"), directory())
        if said["house"]:
            await self._cosign(said["house"].encode())

    async def _cosign(self, message: bytes) -> None:
        keys, time = WriterKeys.first(self.house, self._writer), int(self._clock.now().at.timestamp())
        try:
            shown, line = self.book.take(message, keys=keys, witness=self._witness, time=time)
        except NotTrusted as refusal:
            self._tell(self.house, str(refusal))
            return
        body = codec.dumps({"ledger": self.house, "size": shown.size, "line": line.decode()})
        await self._link.call("POST", "/v1/cosignatures", body)

    def _see(self, origin: str, shown: _Shown, directory: Directory | None) -> None:
        """By the key that signed the head held, or the one that the directory names, and the rotations since."""
        refusals, note = list[str](), shown.note.encode()
        for key in (self.book.key(origin), _named(origin, directory)):
            if key is None:
                continue
            keys = WriterKeys.first(origin, key).after_notes(shown.rotations)
            try:
                keys.open(note)
            except NotTrusted as refusal:
                refusals.append(str(refusal))
                continue
            try:
                self.book.see(note, keys=keys)
            except NotTrusted as refusal:
                self._tell(origin, str(refusal))
            return
        if refusals:
            self._tell(origin, refusals[-1])

    def _tell(self, origin: str, why: str) -> None:
        if (origin, why) not in self._told and len(self._told) < TOLD_MAX:
            self._note([LedgerRefused(origin, why[:WHY_MAX])])
            self._told.add((origin, why))


def _named(origin: str, directory: Directory | None) -> VerifyingKey | None:
    """The key that the directory names for the site which writes a ledger: the one that it began with, or that was named when another was revoked."""
    parts = origin.split("/")
    if directory is None or len(parts) != 3:
        return None
    try:
        entry = directory.sites.get(SiteId(parts[1]))
        return VerifyingKey.parse(entry.keys.ledger) if entry else None
    except Refusal:
        return None
