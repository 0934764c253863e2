"""What left a node, when and to whom: a journal that is written before anything goes out.

Each node keeps one ledger more, `NETWORK/NODE/DISCLOSURES`, signed like the others and never sent by itself, so listing what left
makes nothing leave. One fact for each page of a ledger, each block of bytes, each file handed to a person, noted before it goes
out: after a power cut the list may hold a last line for something that did not get through, never the reverse. Small talk (polls, heartbeats
with live values, receipts) is counted: opened before the first word to a party, closed with counts of messages and bytes at
least every `TALK_S`, or when the node stops; after a crash it is closed as not counted.

Guarantees: what cannot be noted does not leave; facts asked for at once share a commit and its fsync; the list says the digest
and the size of the very bytes that went out, before TLS.
Leaves to others: who may have what (authority.entitlements), and calling this before anything leaves (sites, network, web).
"""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

import zstandard

from isogenic.clock import Clock, text_of_time
from isogenic.errors import NotValid, Refusal
from isogenic.records.beacon import root_at
from isogenic.records.facts import Actor, Fact, Payload, fact
from isogenic.records.journals import JournalFile
from isogenic.records.ledger import Ledger

__all__ = [
    "DISCLOSURES",
    "BytesDisclosed",
    "Disclosure",
    "FileDisclosed",
    "Journal",
    "JournalBegun",
    "PageDisclosed",
    "TalkClosed",
    "TalkOpened",
    "bytes_disclosed",
    "disclosures",
    "file_disclosed",
    "page_disclosed",
]

DISCLOSURES = "DISCLOSURES"
TALK_S = 3_600  # seconds of the node's clock: a report is never more than an hour behind on small talk
TALKING = "begun, not yet counted"
LOOK, LOOK_BACK = 512, 50_000  # facts of the house looked through at once, and at all, for what it last said of the journal
HEAD_BYTES = 1_024  # of an unpacked page: origin, first position, number of facts


@fact("records.page_disclosed", subject="to", house=True)
@dataclass(frozen=True, slots=True)
class PageDisclosed:
    """Facts of a ledger, from `start` up to and not with `stop`, were about to leave for a party."""

    to: str
    ledger: str
    start: int
    stop: int
    digest: str  # SHA-256 of the bytes that went out
    size: int


@fact("records.bytes_disclosed", subject="to", house=True)
@dataclass(frozen=True, slots=True)
class BytesDisclosed:
    """A reading block or a model was about to leave for a party."""

    to: str
    digest: str
    size: int


@fact("records.file_disclosed", subject="to", house=True)
@dataclass(frozen=True, slots=True)
class FileDisclosed:
    """A file was about to be handed to somebody: what it is, of what, and which ledgers it holds up to how many facts."""

    to: str
    what: str  # for example dossier, certificate, readings, trail
    about: str
    ledgers: dict[str, int]
    digest: str
    size: int


@fact("records.talk_opened", subject="to", house=True)
@dataclass(frozen=True, slots=True)
class TalkOpened:
    """Small talk with a party began: polls, heartbeats with live values, receipts. Closed with its counts."""

    to: str


@fact("records.talk_closed", subject="to", house=True)
@dataclass(frozen=True, slots=True)
class TalkClosed:
    """So much small talk went to a party since it was opened, by kind. Not `counted`: a crash took the counts."""

    to: str
    since: datetime
    messages: dict[str, int]
    sizes: dict[str, int]
    counted: bool = True


@fact("records.disclosures_anchored", subject="ledger", house=True)
@dataclass(frozen=True, slots=True)
class DisclosuresAnchored:
    """The journal of what left had this size and root: noted in the house, so that who witnesses the house witnesses the journal."""

    ledger: str
    size: int
    root: str


@fact("records.journal_begun", subject="ledger", house=True)
@dataclass(frozen=True, slots=True)
class JournalBegun:
    """A new journal of what leaves: the one before it was damaged, gone, or older than the house said. Noted in it first, and in the house.

    `size` and `root` are the head of the one before, as the house last said it; `evidence` is the SHA-256 of its file, if there was one.
    """

    ledger: str
    key: str
    before: str
    size: int
    root: str
    why: str
    evidence: str


def page_disclosed(to: str, page: bytes) -> PageDisclosed:
    """What a page on its way out says of itself, from its first bytes."""
    try:
        with zstandard.ZstdDecompressor().stream_reader(page) as reader:
            raw = reader.read(HEAD_BYTES)
        (length,) = struct.unpack_from(">H", raw, 0)
        start, count = struct.unpack_from(">QQ", raw, 2 + length)
        return PageDisclosed(to, raw[2 : 2 + length].decode(), start, start + count, sha256(page).hexdigest(), len(page))
    except (zstandard.ZstdError, struct.error, UnicodeDecodeError) as trouble:
        raise NotValid("cannot list a page that leaves", why=str(trouble)) from trouble


def bytes_disclosed(to: str, data: bytes) -> BytesDisclosed:
    """A blob on its way out."""
    return BytesDisclosed(to, sha256(data).hexdigest(), len(data))


def file_disclosed(to: str, data: bytes, *, what: str, about: str, ledgers: Mapping[str, int] | None = None) -> FileDisclosed:
    """A file on its way to somebody."""
    return FileDisclosed(to, what, about, dict(ledgers or {}), sha256(data).hexdigest(), len(data))


@dataclass(slots=True)
class _Talk:
    since: datetime
    messages: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)


class Journal:
    """Notes what is about to leave. One for each node."""

    def __init__(self, ledger: Ledger, *, actor: Actor, clock: Clock, talk_s: float = TALK_S, file: JournalFile | None = None) -> None:
        """With `file`, a damaged journal is followed by a new one; without, it is refused."""
        self.ledger, self.actor, self.clock, self._file = ledger, actor, clock, file
        self._broken = ""  # why nothing may leave: there is no journal, and a new one could not be begun
        self._house: Ledger | None = None
        self._talk_for = timedelta(seconds=talk_s)
        self._talk: dict[str, _Talk] = {}
        self._waiting: list[tuple[Payload, asyncio.Future[None]]] = []

    def start(self, house: Ledger | None = None) -> None:
        """Check the journal, also by what the house last said of it, and close the talk that a crash left open: how much it was, nobody knows.

        A journal that does not verify never stops the node: it is followed by a new one, or nothing leaves until it can be.
        """
        self._house = house
        if self._file is None:
            self.ledger.check()
            self._close_left_open()
            return
        try:
            self.ledger.check()
            why = self._file.damage or self._too_old()
        except Refusal as refusal:
            why = f"{refusal.what}: {refusal.why}"
        with suppress(Refusal):
            if why:
                self._broken = why
                self._begin_anew()
            else:
                self._close_left_open()

    def _too_old(self) -> str:
        """Why this is not the journal that the house last spoke of; empty where it is, or has gone on from there."""
        begun = _last_said(self._house, "")
        if self._file is not None and begun is not None and self._file.number_of(begun.ledger) > self._file.number:
            return f"the house says that {begun.ledger} has followed it"
        said = _last_said(self._house, self.ledger.origin)
        size, root = (said.size, said.root) if isinstance(said, DisclosuresAnchored) else (0, "")
        if size > self.ledger.size:
            return f"the house says that it had {size} facts, and {self.ledger.size} are here"
        if size and root_at(self.ledger.store, size).hex() != root:
            return f"the house says another root of its first {size} facts"
        return ""

    def _begin_anew(self) -> None:
        assert self._file is not None
        before = self.ledger.origin
        if self._file.damage:  # the file was laid aside when it was opened
            before = self._file.before
        else:
            self.ledger.store.close()
            begun = _last_said(self._house, "")
            self.ledger = self._file.anew(beyond=self._file.number_of(begun.ledger) if begun is not None else 0)
        said = _last_said(self._house, before)
        size, root = (said.size, said.root) if isinstance(said, DisclosuresAnchored) else (0, "")
        key = str(self.ledger.signer.verifying_key)
        begun = JournalBegun(self.ledger.origin, key, before, size, root, self._broken[:400], self._file.evidence)
        self.ledger.append([begun], actor=self.actor, moment=self.clock.now())
        self._broken, self._file.damage = "", ""
        self._talk.clear()

    def to_be_noted(self, house: Ledger) -> list[JournalBegun]:
        """What the house does not say of this journal yet; asked when the house is whole again: it may know of more than is here."""
        self._house = house
        if self._file is None:
            return []
        if not self._broken and (why := self._too_old()):
            self._broken = why
            with suppress(Refusal):
                self._begin_anew()
        if self._broken or _last_said(house, self.ledger.origin) is not None:
            return []
        return [each.payload for each in self.ledger.facts(0, 1) if isinstance(each.payload, JournalBegun)]

    def _close_left_open(self) -> None:
        open_: dict[str, datetime] = {}
        for each in self.ledger.facts():
            if isinstance(each.payload, TalkOpened):
                open_[each.payload.to] = each.at
            elif isinstance(each.payload, TalkClosed):
                open_.pop(each.payload.to, None)
        self._append([TalkClosed(to, since, {}, {}, counted=False) for to, since in open_.items()])

    @property
    def broken(self) -> bool:
        """Whether there is no journal now: then nothing leaves."""
        return bool(self._broken)

    def note(self, *payloads: Payload) -> None:
        """Note what is about to leave; durable when this returns, and raised where it cannot be."""
        self._append(payloads)

    async def noted(self, payload: Payload) -> None:
        """The same, sharing one commit with whatever else leaves in this turn of the event loop."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append((payload, done))
        if len(self._waiting) == 1:
            loop.call_soon(self._flush)
        await done

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            self._append([payload for payload, _ in waiting])
        except Refusal as refusal:
            for _, done in waiting:
                if not done.done():
                    done.set_exception(refusal)
        else:
            for _, done in waiting:
                if not done.done():
                    done.set_result(None)

    def _append(self, payloads: Iterable[Payload]) -> None:
        if self._broken:
            self._begin_anew()
        self.ledger.append(list(payloads), actor=self.actor, moment=self.clock.now())

    # ---- small talk ----

    def talk(self, to: str, kind: str, size: int) -> None:
        """Count one message of small talk; opens the count, durably, before the first."""
        now = self.clock.now().at
        found = self._talk.get(to)
        if found is not None and now - found.since >= self._talk_for:
            self.close(to)
            found = None
        if found is None:
            self._append([TalkOpened(to)])
            found = self._talk[to] = _Talk(now)
        found.messages[kind] += 1
        found.sizes[kind] += size

    def close(self, *parties: str) -> None:
        """Close the counts of these parties, or of all."""
        for to in parties or tuple(self._talk):
            talk = self._talk.get(to)
            if talk is not None:
                self._append([TalkClosed(to, talk.since, dict(talk.messages), dict(talk.sizes))])
                del self._talk[to]

    def open(self) -> list[str]:
        """The parties with whom talk is being counted."""
        return list(self._talk)

    def due(self) -> list[str]:
        """The parties whose counts have been open for long enough."""
        now = self.clock.now().at
        return [to for to, talk in self._talk.items() if now - talk.since >= self._talk_for]

    def anchor(self) -> DisclosuresAnchored:
        """The journal as it stands, for the house."""
        return DisclosuresAnchored(self.ledger.origin, self.ledger.size, self.ledger.root.hex())


def _last_said(house: Ledger | None, origin: str) -> DisclosuresAnchored | JournalBegun | None:
    """What the house last said of a journal; without `origin`, which one it last said was begun anew."""
    if house is None:
        return None
    for start in range(house.size - LOOK, max(house.size - LOOK_BACK, 0) - LOOK, -LOOK):
        said = [fact.payload for fact in house.facts(max(start, 0), start + LOOK)]
        for payload in reversed(said):
            if isinstance(payload, DisclosuresAnchored | JournalBegun) and (
                payload.ledger == origin if origin else isinstance(payload, JournalBegun)
            ):
                return payload
    return None


# ---- the report ----


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One line of a disclosure report."""

    at: datetime
    to: str
    what: str
    about: str
    size: int
    digest: str = ""
    by: str = ""

    def __str__(self) -> str:
        mark = f"  {self.digest[:16]}" if self.digest else ""
        return f"{text_of_time(self.at)}  {self.to:20}  {self.what:12} {self.size:>12,} bytes  {self.about}{mark}"


_LINES: Mapping[type, Callable[[Payload], tuple[str, str, int, str]]] = {
    PageDisclosed: lambda said: ("facts", f"{said.ledger} from {said.start} to {said.stop - 1}", said.size, said.digest),
    BytesDisclosed: lambda said: ("bytes", "block or model", said.size, said.digest),
    FileDisclosed: lambda said: (
        said.what,
        ", ".join([said.about, *(f"{each}: {size} facts" for each, size in said.ledgers.items())]),
        said.size,
        said.digest,
    ),
    TalkClosed: lambda said: (
        "small talk",
        ", ".join(f"{count} {kind}" for kind, count in sorted(said.messages.items())) if said.counted else "not counted: the node ended unexpectedly",
        sum(said.sizes.values()),
        "",
    ),
    TalkOpened: lambda said: ("small talk", TALKING, 0, ""),
    JournalBegun: lambda said: ("journal", f"begun anew: {said.why}; before it {said.size} facts of {said.before}", 0, said.evidence),
}


def disclosures(facts: Iterable[Fact], *, since: datetime | None = None, to: str = "") -> list[Disclosure]:
    """What left, oldest first. `to`: a party, or the end of its name, as in LEEDS."""
    found: list[Disclosure] = []
    for each in facts:
        line = _LINES.get(type(each.payload))
        if isinstance(each.payload, TalkClosed):  # its counts say what its beginning could not
            found = [one for one in found if (one.to, one.about) != (each.payload.to, TALKING)]
        if line is None or (since is not None and each.at < since):
            continue
        whom = str(each.subject)
        if to and to != whom and to != whom.rpartition(" ")[2]:
            continue
        what, about, size, digest = line(each.payload)
        found.append(Disclosure(each.at, whom, what, about, size, digest, each.actor.id))
    return found
