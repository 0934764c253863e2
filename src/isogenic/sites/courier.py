"""The site's side of the wire: what goes up, what comes down, and when a link counts as lost.

Guarantees: nothing is considered delivered before the control site's cosignature over it
has been verified and stored here; after any break the courier asks what the other side
holds, by sending the last page again, and goes on from there, so a control site that was
restored from an older copy gets everything once more; a link that is down never touches the
scan loop (I6). A page that the control site refuses as untrusted stops that ledger with an
alarm, and so does a control ledger that does not verify here: a fork is never "fixed".
Each `..._once` is one exchange, so that a rehearsal can interleave them as it likes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote

from isogenic.clock import Clock, DisciplinedClock, Moment, text_of_time, time_of_text
from isogenic.errors import NotAllowed, NotFound, NotReachable, NotTrusted, NotValid, Refusal
from isogenic.records import codec
from isogenic.records.blobs import BlobStore
from isogenic.records.healing import LedgerHealed
from isogenic.records.heartbeats import Heartbeat, sign_heartbeat
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.link import Answer, Link, refusal_of
from isogenic.records.notes import VerifyingKey
from isogenic.records.returning import Returning
from isogenic.records.sync import Page, Resume, next_page

__all__ = ["Courier", "LinkState"]

ROTATIONS_MAX = 16  # of the house's key, in a heartbeat: what was rotated while a link was down and is not brought yet
RETRY_S = 0.5  # first wait after a lost link; doubles up to RETRY_MAX_S
RETRY_MAX_S = 1.0  # a returned link carries its first page within 2 s, whatever the cause was
TOLD_MAX = 200  # refusals noted in one run: their words are the other side's, and must not fill the ledger
WINDOW = 4  # pages on the wire at once: a satellite link takes 0.6 s to answer, and the other side stores one while the next is made
BLOCKS_ASKED_MAX = 500  # what the control site answers at once
POLL_WAIT_S = 20  # how long the control site may hold a question open

Call = Callable[[str, str, bytes], Awaitable[Answer]]  # with the link's state noted, or without


class Wanted(Protocol):
    """Which blobs must go up, and which must come down: the site knows from its facts."""

    def blobs_to_send(self) -> list[str]: ...

    def blobs_to_fetch(self) -> list[str]: ...


@dataclass(slots=True)
class LinkState:
    """What the site knows of its link."""

    up: bool = False
    why: str = "not tried yet"
    sent: dict[str, int] = field(default_factory=dict)  # per ledger: how many facts have been on the wire
    stopped: dict[str, str] = field(default_factory=dict)  # ledgers that the control site refuses, and why


class Courier:
    """Carries one site's ledgers up and the control ledger down, over one link."""

    def __init__(
        self,
        *,
        ledgers: Mapping[str, Ledger],
        control: Copy,
        witness: VerifyingKey,
        blobs: BlobStore,
        wanted: Wanted,
        link: Link,
        clock: Clock,
        on_link: Callable[[bool, str], None],
        on_control: Callable[[], None],
        on_refused: Callable[[str, str], None],
        on_watermarks: Callable[[Mapping[str, str]], None] = lambda notes: None,
        on_returned: Callable[[], None] = lambda: None,
        returning: Returning | None = None,
        ready: Callable[[Ledger], bool] = lambda ledger: True,
    ) -> None:
        """`witness` is the control site's cosigning key. The callbacks tell the node: link up or down, new control facts, a ledger refused,
        facts of our own come back. While a ledger of `returning` waits, nothing is done but to ask for what it lacks. `ready` says
        whether the key that a ledger goes on with is here.
        """
        self.ledgers, self.control, self.witness, self.blobs, self.wanted = ledgers, control, witness, blobs, wanted
        self.link, self.clock = link, clock
        self._on_link, self._on_control, self._on_refused, self._on_returned = on_link, on_control, on_refused, on_returned
        self.returning, self._ready = returning or Returning(), ready
        self.state = LinkState()
        self._life = self._beats = 0  # of the heartbeats: the size of the house when this run's first was sent, and how many
        self._on_watermarks = on_watermarks
        self._held = {origin: ledger.witnessed for origin, ledger in ledgers.items()}  # what the other side holds, as far as we know
        self._resumed: dict[str, int] = {}  # from where a ledger was asked for once more, since something new of it was cosigned
        self._verified: set[str] = set()  # blocks whose digest the control site has checked
        self._asked: set[str] = set()  # blocks asked about since a page was taken, or the link came up
        self._missing: set[str] = set()  # of these: what the control site has not, or not any more
        self.healed: list[LedgerHealed] = []  # of which the node has not noted yet that they are
        self._owed = _receipt_kept(control)  # our cosignature of the control ledger, until the other side has it
        self.withheld: dict[str, str] = {}  # ledgers to which the control site is no longer entitled, and why
        self._control_read = False  # to its end, since ledgers of ours wait
        self._told: set[tuple[str, str]] = set()  # refusals that were noted: once for each reason, not for each try

    # ---- up ----

    async def upload_once(self) -> bool:
        """Send one page of the first ledger that has one, then blobs; True if anything moved."""
        if self.returning.asking:
            return await self.take_back_once()
        for origin, ledger in self.ledgers.items():
            if origin in self.state.stopped or origin in self.withheld or self._is_revoked(ledger):
                continue
            page = next_page(ledger, start=self._held[origin])
            if page is not None:
                return await self._send(ledger, page)
        return await self._send_blob()

    async def upload_backlog(self) -> bool:
        """What `upload_once` does, with several pages of a ledger on the wire at once where there are several; True if anything moved.

        The first page after a break goes alone: its answer tells where to go on from.
        """
        if self.returning.asking:
            return await self.take_back_once()
        for origin, ledger in self.ledgers.items():
            waits = origin in self.state.stopped or origin in self.withheld or ledger.revoked
            if self.state.up and not waits and await self._stream(ledger):
                return True
        return await self.upload_once()

    async def _stream(self, ledger: Ledger) -> bool:
        start, waiting, moved = self._held[ledger.origin], deque[tuple[int, asyncio.Task[bool]]](), False
        try:
            while True:
                while len(waiting) < WINDOW and (page := next_page(ledger, start=start)) is not None:
                    start = page.start + len(page.bodies)
                    waiting.append((start, asyncio.create_task(self._send(ledger, page, behind=bool(waiting)))))
                    await asyncio.sleep(0)  # it is on its way before the next one is made
                if not waiting:
                    return moved
                end, task = waiting.popleft()
                moved = await task
                if self._held[ledger.origin] < end or ledger.origin in self.state.stopped:
                    return True  # not taken as it stood: those behind it are in vain
        finally:
            for _, task in waiting:
                if self.state.stopped or not self.state.up:
                    task.cancel()
            await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)

    async def take_back_once(self) -> bool:
        """Ask for the next page of a ledger of ours that waits for its witness; True if anything moved.

        The ledger written for us is read to its end first: it says which of our keys were revoked and renewed since, and so
        by which key what comes back was signed.
        """
        if not self._control_read:
            with contextlib.suppress(NotAllowed):  # it may no longer have it: what it is given back tells whether its keys suffice
                if await self._take_control(self.link.call, wait=0):
                    return True
            self._control_read = True
        origin = self.returning.asking[0]
        answer = await self.link.call("GET", f"/v1/held?ledger={quote(origin)}&from={self.returning.size(origin)}")
        if answer.status == 204:
            self._control_read = False  # before anything more is asked, it is read anew: it may name a key
            self.healed.append(self.returning.heard(origin, ready=self._ready))
        elif answer.status == 200:
            self.returning.take(origin, Page.from_bytes(answer.body), witness=self.witness)
        else:
            refusal = refusal_of(answer)
            raise NotReachable(f"nothing of {origin} came back", why=str(refusal))
        self._held[origin] = self.ledgers[origin].witnessed
        self._on_returned()
        return True

    async def _send(self, ledger: Ledger, page: Page, *, behind: bool = False) -> bool:
        """Send a page and keep what is answered. `behind`: the page before it is still on the wire."""
        end, key = page.start + len(page.bodies), ledger.signer.verifying_key
        answer = await self._call("POST", "/v1/pages?wait=1" if behind else "/v1/pages", page.to_bytes())
        self.state.sent[ledger.origin] = max(end, self.state.sent.get(ledger.origin, 0))  # somebody has answered: it was on the wire
        if answer.status == 200:
            said = _answer(answer.body)
            if said.held > ledger.size and await self._is_behind(ledger):
                return True
            before = ledger.witnessed
            ledger.take_receipt(said.line.encode(), size=said.size, witness=self.witness)
            if said.size < end:
                return await self._resume(ledger, said.size)
            if ledger.witnessed > before:
                self._resumed.pop(ledger.origin, None)
            self._held[ledger.origin] = max(self._held[ledger.origin], said.size)
            self._asked &= self._missing  # it may have learnt of blocks that it did not know when it was asked
            return True
        if answer.status == 409:
            return await self._resume(ledger, _answer(answer.body).size)
        refusal = refusal_of(answer)
        if isinstance(refusal, NotTrusted):
            if (
                ledger.signer.verifying_key != key
            ):  # revoked while the page was on the wire, and renewed here since: it is sent again under the new key
                return True
            return self._stop(ledger.origin, str(refusal))
        if not isinstance(refusal, NotReachable):
            self._tell(ledger.origin, str(refusal))
        raise NotReachable("page not taken", why=str(refusal))

    def _is_revoked(self, ledger: Ledger) -> bool:
        """What the control site would refuse is not sent: the ledger waits for its renewed key, and its site says so."""
        if ledger.revoked:
            self._stop(ledger.origin, "its key was revoked: what is noted here counts once the renewed key is in this node's folder")
        return ledger.revoked

    def go_on(self, origin: str) -> None:
        """Send a ledger again that was stopped: it has a new key."""
        self.state.stopped.pop(origin, None)
        self._ask_anew()

    def _stop(self, origin: str, why: str) -> bool:
        self._tell(origin, why)
        self.state.stopped[origin] = why
        return True

    def _tell(self, origin: str, why: str) -> None:
        if (origin, why) not in self._told and len(self._told) < TOLD_MAX:
            self._on_refused(origin, why)
            self._told.add((origin, why))

    async def _is_behind(self, ledger: Ledger) -> bool:
        """The control site says that it holds more of our ledger than we do. It has to show what only we can have signed: then nothing is
        written before it has come back. A number alone stops nothing (I6).
        """
        answer = await self._call("GET", f"/v1/held?ledger={quote(ledger.origin)}&from={ledger.size}")
        page = Page.from_bytes(answer.body) if answer.status == 200 else None
        if page is None or not (size := ledger.lacks(page)):
            return False
        why = f"the control site holds {size} facts, this site {ledger.size}: it was restored from an old copy"
        self.returning.wait_for(ledger, why=why, known=size, witnessed=size)
        return True

    async def _resume(self, ledger: Ledger, size: int) -> bool:
        if size > ledger.size:
            if await self._is_behind(ledger):
                return True
            why = "it says that it holds more than is here, and does not show it"
            raise NotReachable(f"nothing of {ledger.origin} taken", why=why)
        again = size <= self._resumed.get(ledger.origin, -1)  # and nothing new was cosigned in between: no news, so no hurry
        self._resumed[ledger.origin] = size
        if size < ledger.witnessed:
            self._verified.clear()  # it lost what it had cosigned, so it may have lost blocks too
            self._asked.clear()
            self._missing.clear()
        self._held[ledger.origin] = size
        if again:
            raise NotReachable(f"nothing of {ledger.origin} taken", why=f"it is asked for from fact {size} on, again and again")
        return True

    def _ask_anew(self) -> None:
        """Assume of each ledger only what its last page will show again: the other side may have been restored meanwhile."""
        for origin, ledger in self.ledgers.items():
            before = ledger.store.checkpoint_at_or_before(max(self._held[origin] - 1, 0))
            self._held[origin] = before[0] if before else 0
        self._resumed.clear()
        self._asked.clear()
        self._missing.clear()

    async def _send_blob(self) -> bool:
        """Send one block that the control site has not verified; what it may have is asked about first, many blocks at once."""
        due = [digest for digest in self.wanted.blobs_to_send() if digest not in self._verified]
        asked = [digest for digest in due if digest not in self._asked][:BLOCKS_ASKED_MAX]
        if asked:
            said = _blocks(await self._call("POST", "/v1/blobs", codec.dumps({"digests": asked})))
            self._verified |= set(asked) & set(said.verified)
            self._missing |= set(asked) & set(said.missing)
            self._asked |= set(asked) - set(said.later)
            return not set(asked).isdisjoint((*said.verified, *said.missing))
        digest = next((each for each in due if each in self._missing), None)
        if digest is None:
            return False
        self._missing.discard(digest)
        self._asked.discard(digest)  # until it is known to be verified, it is asked about again
        try:
            data = self.blobs.get(digest)
        except (NotFound, NotTrusted) as refusal:  # lost or damaged here: that is for people; the other blocks go on
            self._tell(digest, str(refusal))
            self._asked.add(digest)
            return True
        said = _blocks(await self._call("PUT", f"/v1/blobs/{digest}", data))
        if digest not in said.verified:
            raise NotReachable("block not taken", why="the control site does not say that it verified it")
        self._verified.add(digest)
        return True

    # ---- down ----

    async def download_once(self, *, wait: int = POLL_WAIT_S) -> bool:
        """Ask for the next page of the control ledger and witness it; True if anything came."""
        if self.returning.asking:
            raise NotReachable("the control ledger was not asked for", why="ledgers of this site wait for their witness first")
        await self._pay()
        for digest in self.wanted.blobs_to_fetch():
            answer = await self._call("GET", f"/v1/blobs/{digest}")
            if answer.status == 200 and self._keep_blob(digest, answer.body):
                self._on_control()
                return True
        if not await self._take_control(self._call, wait=wait):
            return False
        await self._pay()
        return True

    async def _take_control(self, call: Call, *, wait: int) -> bool:
        """Ask for the next page of the control ledger and witness it; False where there is none."""
        answer = await call("GET", f"/v1/control?from={self.control.size}&wait={wait}", b"")
        if answer.status == 204:
            return False
        if answer.status == 409:
            return await self._give_back(call, _answer(answer.body).size)
        held = self.control.size
        try:
            if answer.status != 200:
                raise refusal_of(answer)
            receipt = self.control.take(Page.from_bytes(answer.body), moment=self.clock.now())
        except Resume:
            if self.control.size == held:
                raise
            self._on_control()  # stored, and not cosigned before all is here again that was cosigned once
            return True
        except NotTrusted as refusal:
            self._tell(self.control.origin, str(refusal))
            self.state.stopped[self.control.origin] = str(refusal)
            raise
        self.state.stopped.pop(self.control.origin, None)
        self._owed = codec.dumps({"size": receipt.size, "line": receipt.line.decode()})
        self._on_control()
        return True

    async def _give_back(self, call: Call, size: int) -> bool:
        """The control site has less of its ledger than we witnessed: it was restored from an old copy, and takes the rest back from us."""
        page = self.control.page_back(size, moment=self.clock.now())
        if page is None:
            raise NotReachable("nothing given back", why=f"the control site asks for what follows {size} facts, and {self.control.size} are here")
        answer = await call("POST", "/v1/held", page.to_bytes())
        if answer.status != 200:
            raise refusal_of(answer)
        if _answer(answer.body).size <= size:
            raise NotReachable("nothing given back", why="the control site does not keep what it asks for")
        return True

    async def _pay(self) -> None:
        """Bring our cosignature; what a broken link swallowed is brought again."""
        if self._owed:
            answer = await self._call("POST", "/v1/cosignatures", self._owed)
            if answer.status == NotReachable.http_status:  # its disk refuses: it has not got it
                raise NotReachable("cosignature not taken", why=str(refusal_of(answer)))
            self._owed = b""

    def _keep_blob(self, digest: str, data: bytes) -> bool:
        try:
            self.blobs.put(data, expected=digest)
        except NotTrusted as refusal:  # other bytes than were published: the control ledger is read all the same
            self._tell(digest, str(refusal))
            return False
        return True

    async def heartbeat(self, values: Mapping[str, Mapping[str, float]]) -> dict[str, object]:
        """Say how much is noted, and the thinned live values; gives what is answered."""
        if self.returning.asking:
            raise NotReachable("nothing was said", why="ledgers of this site wait for their witness first")
        sent, mine = self.clock.now(), {origin: ledger for origin, ledger in self.ledgers.items() if origin not in self.withheld}
        body = codec.dumps(
            {
                "at": text_of_time(sent.at),
                "noted": {origin: ledger.size for origin, ledger in mine.items()},
                "values": codec.plain(values),
                **self._signed(mine, sent),
            }
        )
        answer = await self._call("POST", "/v1/heartbeat", body)
        if answer.status == NotTrusted.http_status:
            self._tell(self.control.origin, f"our heartbeat: {refusal_of(answer)}")
        if answer.status != 200:
            return {}
        said = codec.loads(answer.body, what="the answer to a heartbeat")
        if not isinstance(said, dict):
            return {}
        if "received" in said:
            told = codec.read(_BeatAnswer, {key: said.get(key) for key in ("received", "answered", "watermarks")}, what="answer")
            if isinstance(self.clock, DisciplinedClock):
                self.clock.exchanged(sent, time_of_text(told.received), time_of_text(told.answered), self.clock.now())
            self._on_watermarks(told.watermarks)
        return said

    def _signed(self, mine: Mapping[str, Ledger], now: Moment) -> dict[str, object]:
        """The signed heartbeat, and how its key follows from the one that the other side knows; nothing while our key is revoked."""
        house = next((ledger for origin, ledger in mine.items() if origin.endswith("/HOUSE")), None)
        if house is None or house.revoked or not house.size:
            return {}
        self._life = self._life or house.size
        self._beats += 1
        heads = {origin: (ledger.size, ledger.root) for origin, ledger in mine.items() if ledger.size}
        beat = Heartbeat(house.origin.split("/")[-2], self._life, self._beats, now.at, heads)
        return {"note": sign_heartbeat(beat, house.signer).decode(), "rotations": house.keys.notes(house.size)[-ROTATIONS_MAX:]}

    async def _call(self, method: str, path: str, body: bytes = b"") -> Answer:
        try:
            answer = await self.link.call(method, path, body)
        except NotReachable as trouble:
            self._set_link(up=False, why=trouble.why or trouble.what)
            raise
        self._set_link(up=True, why="")
        return answer

    def _set_link(self, *, up: bool, why: str) -> None:
        if up != self.state.up:
            self._on_link(up, why)  # first: if it cannot be noted, it is tried again
            self.state.up, self.state.why = up, why
            if up:
                self._ask_anew()
                self._owed = self._owed or _receipt_kept(self.control)  # it may have lost our cosignature, as it may have lost pages

    def drop(self, refusal: Refusal) -> None:
        """The other side answered nonsense: treat the link as lost until it answers well."""
        self._set_link(up=False, why=str(refusal))


def _receipt_kept(control: Copy) -> bytes:
    """Our newest cosignature of the control ledger as the wire has it: the process may have ended before it was brought."""
    kept = control.store.receipt()
    if kept is None:
        return b""
    return codec.dumps({"size": kept[0], "line": kept[1].splitlines(keepends=True)[-1].decode()})


@dataclass(frozen=True, slots=True)
class _BlocksAnswer:
    verified: tuple[str, ...]
    missing: tuple[str, ...] = ()
    later: tuple[str, ...] = ()


def _blocks(answer: Answer) -> _BlocksAnswer:
    if answer.status != 200:
        raise NotReachable("block not taken", why=str(refusal_of(answer)))
    return codec.read(_BlocksAnswer, codec.loads(answer.body, what="an answer"), what="answer")


@dataclass(frozen=True, slots=True)
class _BeatAnswer:
    received: str
    answered: str
    watermarks: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _PageAnswer:
    size: int
    line: str = ""
    held: int = 0  # how much of the ledger the other side holds, where that is more


def _answer(body: bytes) -> _PageAnswer:
    answer = codec.read(_PageAnswer, codec.loads(body, what="an answer"), what="answer")
    if answer.size < 0:
        raise NotValid("cannot read an answer", why="its size is negative")
    return answer
