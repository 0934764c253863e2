"""Where the sites' requests are answered: the control site's side of the wire, without the wire.

Guarantees: every request is answered with a status and a body; a refusal is an answer, and
changes nothing. `peer` is who the TLS certificate says is calling, never what the request
says. One site reads the ledger written for it, and no other (I7); it brings the blobs that
its own facts name, and takes the blobs that were published.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

from isogenic.clock import Clock, Moment, monotonic_seconds, text_of_time, time_of_text
from isogenic.errors import NotFound, NotReachable, NotTrusted, NotValid, Refusal
from isogenic.ids import NodeId, SiteId
from isogenic.network.beats import Beats
from isogenic.network.disclosing import Leaving
from isogenic.network.inbox import Inbox
from isogenic.network.witnessing import Witnessing
from isogenic.records import codec
from isogenic.records.blobs import BLOB_BYTES_MAX, BlobStore
from isogenic.records.facts import Payload
from isogenic.records.ledger import Ledger
from isogenic.records.link import Answer, problem
from isogenic.records.notes import VerifyingKey
from isogenic.records.shelves import Shelves
from isogenic.records.sync import Page, Resume, next_page

__all__ = ["Desk", "Live"]

Kept = TypeVar("Kept")

WAIT_MAX_S = 25.0  # below the 30 s after which many middle boxes drop an idle connection
BODY_BYTES_MAX = BLOB_BYTES_MAX
QUERY_MAX = 8
EARLY_S = 2.0  # how long a page waits for the one before it, where its sender says that this is on the wire too
EARLY_LOOK_S = 0.01  # between two looks: what takes the page before may be another process
EARLY_BYTES_MAX = 16 * 1024 * 1024  # of one site's pages that wait, packed: a page has some 25 kB, and a site sends a few at once
EARLY_BYTES_MIN = EARLY_BYTES_MAX // 16  # counted for each, however small: no more than 16 wait
HEARTBEAT_BYTES_MAX = 256 * 1024  # `LIVE_UNITS` with some fifty signals each
NAME_MAX = 80  # characters of a unit or a signal: names are kept, and shown
SEEN_MAX = 2_000  # heads that a site holds
DIGESTS_MAX = 500  # blocks asked about at once: 34 kB
CHECK_BYTES_MAX = 8 * 1024 * 1024  # read and hashed for one answer, some 20 ms; the site asks again about the rest
LIVE_POINTS = 2_000  # points kept per unit for the trend screens: memory, never evidence
LIVE_SIGNALS = 200
LIVE_UNITS = 100


@dataclass(slots=True)
class Live:
    """What a site last said of itself: sizes that it has signed, and thinned live values. Never evidence.

    It is heard by what only its own ledger key can say: a signed heartbeat newer than the last, a page with new facts. Whoever
    has the key of its TLS session alone is not the site.
    """

    heard: datetime | None = None  # by the control site's clock
    moment: Moment | None = None  # the same, with its steady clock: silence is measured by that
    called: Moment | None = None  # since when it was asked for something in the site's name, until the site is heard
    noted: dict[str, int] = field(default_factory=dict)
    units: dict[str, deque[tuple[datetime, dict[str, float]]]] = field(default_factory=dict)
    now: dict[str, object] = field(default_factory=dict)
    certificate_until: datetime | None = None  # of the certificate with which it called last

    def hear(self, now: Moment) -> None:
        """A sign of life."""
        self.heard, self.moment, self.called = now.at, now, None

    @property
    def quiet_since(self) -> Moment | None:
        """Since when it was not heard; None where it neither was nor anybody called in its name."""
        return self.moment or self.called


class Desk:
    """Answers the sites."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        outgoing: Mapping[NodeId, Ledger],
        witnesses: Mapping[NodeId, VerifyingKey],
        blobs: BlobStore,
        clock: Clock,
        taken: Callable[[str], None],
        wanted: Callable[[NodeId, str], bool],
        offered: Callable[[NodeId, str], bool],
        leaving: Leaving,
        take_back: Callable[[NodeId, Page], None] | None = None,
        heard: Callable[[NodeId], None] = lambda site: None,
        again: Callable[[NodeId], list[dict[str, object]]] = lambda site: [],
        came_again: Callable[[NodeId, Page], None] = lambda site, page: None,
        note: Callable[[list[Payload]], object] = lambda payloads: None,
        all_held: Callable[[NodeId], bool] = lambda site: False,
        witnessing: Witnessing | None = None,
        settled: Callable[[], Awaitable[None]] | None = None,
        whole: Callable[[str], None] = lambda digest: None,
    ) -> None:
        """`outgoing` are the ledgers written for each site; `taken(origin)` is told after a page was stored.

        `wanted(site, digest)` says whether a fact of that site names the blob, `offered(site, digest)` whether it was published to it.
        `take_back` takes what a site has more of the ledger written for it than we, `heard(site)` is told that it has not.
        `again(site)` says what of it is rotten here, and `came_again` takes a page of that.
        `note` notes in the house; `all_held(site)` says whether every block that the site's facts name is here.
        `settled()` waits until what was taken so far is known to `wanted` and `offered`. `whole(digest)` is told of blocks that were read here.
        """
        self.inbox, self.outgoing, self.witnesses, self.blobs, self.clock, self._taken = inbox, outgoing, witnesses, blobs, clock, taken
        self._wanted, self._offered, self.leaving, self._settled = wanted, offered, leaving, settled
        self._whole = whole
        self._heard = heard
        self._again, self._came_again, self._witnessing = again, came_again, witnessing
        owners = {origin: (SiteId(node), inbox.copies[origin]) for origin, node in inbox.writers.items()}
        self.beats, self.all_held = Beats(owners, outgoing=outgoing, clock=clock, note=note, first=inbox.first), all_held
        self._take_back = take_back or (lambda site, page: self.outgoing[site].take_back(page, witness=self.witnesses[site]) and None)
        self.tell_others: Callable[[NodeId, bytes], None] = lambda peer, heartbeat: None  # other processes of this control site (lane)
        self.live: dict[NodeId, Live] = {node: Live() for node in outgoing}
        self._news: dict[NodeId, asyncio.Event] = {}
        self._checked: set[str] = set()  # blocks whose bytes were hashed since this process started
        self._early: dict[NodeId, int] = {}  # bytes that wait
        self.closing = False

    def published(self, node: NodeId) -> None:
        """Wake the site that waits for its ledger."""
        if event := self._news.pop(node, None):
            event.set()

    def close(self) -> None:
        """Answer every waiting site at once: the node is going down."""
        self.closing = True
        for node in list(self._news):
            self.published(node)

    async def handle(self, peer: NodeId, method: str, target: str, body: bytes = b"") -> Answer:
        """One request of one site, answered once what leaves with it is listed."""
        answer = await self._answer(peer, method, target, body)
        if peer not in self.outgoing:  # a stranger: refused, and no party of this network
            return answer
        return await self.leaving.listed(peer, method, target.partition("?")[0], answer)

    async def _answer(self, peer: NodeId, method: str, target: str, body: bytes) -> Answer:
        if peer not in self.outgoing:
            return problem(NotTrusted(f"{peer} is not served", why="the directory does not name it as a site of this network"))
        if self.live[peer].quiet_since is None:
            self.live[peer].called = self.clock.now()
        try:
            path, query = _parts(target)
            if len(body) > BODY_BYTES_MAX:
                raise NotValid("request refused", why=f"{len(body)} bytes are more than {BODY_BYTES_MAX}")
            match (method, path.strip("/").split("/")):
                case ("POST", ["v1", "pages"]):
                    return await self._page(peer, query, body)
                case ("GET", ["v1", "control"]):
                    return await self._control(peer, query)
                case ("GET", ["v1", "held"]):
                    return self._held(peer, query)
                case ("POST", ["v1", "heads"]) if self._witnessing is not None:
                    return Answer(200, self._heads(self._witnessing, peer, body))
                case ("POST", ["v1", "again"]):
                    self._came_again(peer, Page.from_bytes(body))
                    return Answer(204)
                case ("POST", ["v1", "held"]):
                    return self._returned(peer, body)
                case ("POST", ["v1", "cosignatures"]):
                    return self._cosignature(peer, body)
                case (("GET" | "PUT") as verb, ["v1", "blobs", digest]):
                    await self._know_all()
                    return await self._blob(peer, verb, digest, body)
                case ("POST", ["v1", "blobs"]):
                    await self._know_all()
                    return await self._verified(peer, body)
                case ("POST", ["v1", "heartbeat"]):
                    return self._heartbeat(peer, body)
            raise NotFound(f"no {method[:10]} {path[:80]}", why="it is not part of the wire between sites")
        except Refusal as refusal:
            return problem(refusal)

    async def _page(self, peer: NodeId, query: Mapping[str, str], body: bytes) -> Answer:
        if query.get("wait"):
            await self._turn(peer, body)
        before = sum(self.inbox.copies[origin].size for origin, writer in self.inbox.writers.items() if writer == peer)
        try:
            origin, receipt = self.inbox.take(peer, body, moment=self.clock.now())
        except Resume as resume:
            return Answer(409, codec.dumps({"size": resume.size}))
        self._taken(origin)
        held = self.inbox.copies[origin].size
        if sum(self.inbox.copies[origin].size for origin, writer in self.inbox.writers.items() if writer == peer) > before:
            self.live[peer].hear(self.clock.now())
        return Answer(200, codec.dumps({"size": receipt.size, "line": receipt.line.decode(), "held": held}))

    def _held(self, peer: NodeId, query: Mapping[str, str]) -> Answer:
        """What is held here of a ledger that the caller writes, for a caller who has lost some of it."""
        origin = query.get("ledger", "")
        if self.inbox.writers.get(origin) != peer:
            raise NotTrusted(f"nothing of {origin[:80]!r} given back", why=f"{peer} does not write that ledger")
        copy = self.inbox.copies[origin]
        copy.follow()  # another process of this control site may have taken the end of it
        page = copy.page_back(_whole(query.get("from", "0")), moment=self.clock.now())
        if page is None and copy.vouched > copy.size:  # "nothing more" would not be true
            why = f"{copy.vouched} facts were cosigned here, and {copy.size} of them are left: both sides have lost some"
            raise NotReachable(f"nothing of {origin} given back", why=why, possible="a person decides: isogenic recover")
        return Answer(200, page.to_bytes()) if page else Answer(204)

    def _returned(self, peer: NodeId, body: bytes) -> Answer:
        """A page of the ledger written for the caller, which has more of it than we have."""
        page = Page.from_bytes(body)
        ledger = self.outgoing[peer]
        if page.origin != ledger.origin:
            raise NotTrusted(f"page of {page.origin[:80]!r} not taken back", why=f"it is not the ledger written for {peer}")
        self._take_back(peer, page)
        return Answer(200, codec.dumps({"size": ledger.size}))

    @staticmethod
    def _heads(witnessing: Witnessing, peer: NodeId, body: bytes) -> bytes:
        said = codec.read(_Seen, codec.loads(body, what="what was seen of heads"), what="heads")
        if len(said.seen) > SEEN_MAX:
            raise NotValid("cannot read what was seen of heads", why=f"{len(said.seen)} are more than {SEEN_MAX}")
        return witnessing.show(peer, said.held, said.seen)

    async def _turn(self, peer: NodeId, body: bytes) -> None:
        """Let a page wait for those before it: several are on the wire at once, on sessions that overtake one another.

        It waits as it came, packed: nothing of it is verified yet.
        """
        origin, start = Page.place_of(body)
        waiting = self._early.get(peer, 0)
        if not self.inbox.is_early(peer, origin, start) or waiting + len(body) > EARLY_BYTES_MAX:
            return
        self._early[peer] = waiting + max(len(body), EARLY_BYTES_MIN)
        until = monotonic_seconds() + EARLY_S
        try:
            while self.inbox.is_early(peer, origin, start) and not self.closing and monotonic_seconds() < until:  # noqa: ASYNC110 - another process may take it
                await asyncio.sleep(EARLY_LOOK_S)
        finally:
            self._early[peer] -= max(len(body), EARLY_BYTES_MIN)

    async def _control(self, peer: NodeId, query: Mapping[str, str]) -> Answer:
        start, wait = _whole(query.get("from", "0")), min(float(_whole(query.get("wait", "0"))), WAIT_MAX_S)
        ledger = self.outgoing[peer]
        if start > ledger.size:
            ledger.follow()  # another process of this control site may have published it
        if start > ledger.size:  # it is asked to show that: a number alone stops nothing
            return Answer(409, codec.dumps({"size": ledger.size}))
        self._heard(peer)
        store = ledger.store
        page = next_page(store, start=start)
        if page is None and wait > 0 and not self.closing:
            event = self._news.setdefault(peer, asyncio.Event())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await event.wait()
            page = next_page(store, start=start)
        if page is not None:  # asked last: what a site says of what it holds is heard, whoever may have what
            self.leaving.require(peer, store.origin)
        return Answer(200, page.to_bytes()) if page else Answer(204)

    def _cosignature(self, peer: NodeId, body: bytes) -> Answer:
        said = codec.loads(body, what="a cosignature")
        if not isinstance(said, dict) or type(said.get("size")) is not int or type(said.get("line")) is not str:
            raise NotValid("cannot read a cosignature", why="the form is size and line")
        if self._witnessing is not None and said.get("ledger") == self._witnessing.house.origin:
            self._witnessing.take(peer, said["line"].encode(), size=said["size"])
            return Answer(204)
        self.outgoing[peer].take_receipt(said["line"].encode(), size=said["size"], witness=self.witnesses[peer])
        return Answer(204)

    async def _know_all(self) -> None:
        if self._settled is not None:
            await self._settled()

    async def _blob(self, peer: NodeId, verb: str, digest: str, body: bytes) -> Answer:
        self.blobs.path(digest)
        if verb == "GET" and self._wanted(peer, digest):  # its own block, which it lost
            return Answer(200, self.blobs.get(digest))
        if verb == "GET":
            self.leaving.require(peer, self.outgoing[peer].origin)  # its facts name what may be fetched
            if not self._offered(peer, digest):
                raise NotFound(f"no bytes {digest}", why="none were published under that digest")
            return Answer(200, self.blobs.get(digest))
        if not self._wanted(peer, digest):
            raise NotFound(f"no bytes {digest} wanted", why=f"no fact of {peer} names them", possible="send the facts first")
        await self._reached(partial(self.blobs.put, body, expected=digest))
        self._checked.add(digest)
        self._whole(digest)
        return Answer(200, codec.dumps({"verified": [digest]}))

    async def _reached(self, act: Callable[[], Kept]) -> Kept:
        """Blocks in a folder are there at once; while a bucket answers, other sites are answered too."""
        remote = isinstance(self.blobs, Shelves) and self.blobs.remote
        return await asyncio.to_thread(act) if remote else act()

    async def _verified(self, peer: NodeId, body: bytes) -> Answer:
        """Which of these blocks are here, and have the digest that the site's facts say: read again, at most `CHECK_BYTES_MAX` in one answer."""
        said = codec.read(_Asked, codec.loads(body, what="a list of blocks"), what="blocks")
        if len(said.digests) > DIGESTS_MAX:
            raise NotValid("cannot read a list of blocks", why=f"{len(said.digests)} are more than {DIGESTS_MAX}")
        told: dict[str, list[str]] = {"verified": [], "missing": [], "later": []}
        left = CHECK_BYTES_MAX
        for digest in said.digests:
            if not self._wanted(peer, digest):
                continue  # no fact of this site names it yet
            if digest not in self._checked and left > 0:
                with contextlib.suppress(NotFound, NotTrusted):  # not here, or damaged: it is sent once more
                    left -= len(await self._reached(partial(self.blobs.get, digest)))
                    self._checked.add(digest)
                    self._whole(digest)
                    told["verified"].append(digest)
                    continue
                told["missing"].append(digest)
            else:
                told["verified" if digest in self._checked else "later"].append(digest)
        return Answer(200, codec.dumps(told))

    def _heartbeat(self, peer: NodeId, body: bytes) -> Answer:
        received = self.clock.now()
        said = self.show(peer, body)
        if not said.note:  # small talk only: it binds nobody
            self.tell_others(peer, body)
            return Answer(200, codec.dumps({"again": self._again(peer)}))
        beat, new = self.beats.take(peer, said.note.encode(), said.rotations)
        if new:
            self.live[peer].hear(received)
        self.live[peer].noted = {origin: size for origin, (size, _) in beat.heads.items()}
        self.tell_others(peer, body)
        watermarks = self.beats.watermarks(peer, blocks_held=self.all_held(peer))
        times = {"received": text_of_time(received.at), "answered": text_of_time(self.clock.now().at)}
        return Answer(200, codec.dumps({**times, "watermarks": watermarks, "again": self._again(peer)}))

    def hear_from_another(self, peer: NodeId, body: bytes) -> None:
        """A heartbeat that another process of this control site has taken: verified here, too, because the lane is anybody's who reaches it."""
        if peer not in self.outgoing:
            raise NotTrusted(f"{peer} is not served", why="the directory does not name it as a site of this network")
        said = self.show(peer, body)
        if said.note:
            beat, new = self.beats.told(peer, said.note.encode(), said.rotations)
            self.live[peer].noted = {origin: size for origin, (size, _) in beat.heads.items()}
            if new:
                self.live[peer].hear(self.clock.now())

    def show(self, peer: NodeId, body: bytes) -> _Heartbeat:
        """Keep the live values of a heartbeat for the screens; what it says of sizes counts only where it is signed."""
        if len(body) > HEARTBEAT_BYTES_MAX:
            raise NotValid("cannot read a heartbeat", why=f"{len(body)} bytes are more than {HEARTBEAT_BYTES_MAX}")
        said = codec.read(_Heartbeat, codec.loads(body, what="a heartbeat"), what="heartbeat")
        if any(len(name) > NAME_MAX for unit, values in said.values.items() for name in (unit, *values)):
            raise NotValid("cannot read a heartbeat", why=f"the name of a unit or a signal has at most {NAME_MAX} characters")
        live = self.live[peer]
        at = time_of_text(said.at)
        for unit, values in list(said.values.items())[:LIVE_UNITS]:
            if unit not in live.units and len(live.units) >= LIVE_UNITS:
                continue
            points = live.units.setdefault(unit, deque(maxlen=LIVE_POINTS))
            points.append((at, dict(list(values.items())[:LIVE_SIGNALS])))
        return said


@dataclass(frozen=True, slots=True)
class _Asked:
    digests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    held: str
    seen: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Heartbeat:
    at: str
    noted: dict[str, int]
    values: dict[str, dict[str, float]]
    note: str = ""  # the signed heartbeat
    rotations: tuple[str, ...] = ()  # of the key that signed it, as far as the other side may not have them as facts


def _parts(target: str) -> tuple[str, dict[str, str]]:
    """Path and query of what was asked for."""
    try:
        parts = urlsplit(target)
        return parts.path, {key: values[-1] for key, values in parse_qs(parts.query, max_num_fields=QUERY_MAX).items()}
    except ValueError as trouble:
        raise NotValid(f"cannot read {target[:80]!r}", why=str(trouble)) from trouble


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise NotValid(f"cannot read number {text[:40]!r}", why="the form is a whole number")
    return int(text)
