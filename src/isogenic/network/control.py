"""The control site, running: its own ledgers, copies of its sites', and what people decide here.

Guarantees: what is decided is noted before it is answered; every site's ledger is held as
verified, cosigned bytes; state is folded from them and from nothing else. A page is answered
once it is stored and cosigned; it is folded when the sites leave time for it, and always
before anybody looks: `state` and `derived` never lag behind what is held.
Where several processes serve one control site (processes), each folds what all of them hold, and a
decision is made by one at a time (`deciding`), on everything that was noted before it.
Leaves to others: the wire (desk), TLS and HTTP (server), screens and sign-in (web).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from isogenic.authority.leases import LEASE_H
from isogenic.clock import Clock, passed_s
from isogenic.errors import NotFound, NotTrusted, NotValid, Refusal
from isogenic.ids import BatchId, Mint, NodeId, SiteId, UnitId
from isogenic.network.desk import Desk
from isogenic.network.disclosing import Leaving
from isogenic.network.facts import ControlStarted, ControlStopped, PageRefused, SiteSilent
from isogenic.network.folding import Folding
from isogenic.network.inbox import Inbox
from isogenic.network.leasing import Leasing
from isogenic.network.mending import Mending
from isogenic.network.processes import Processes
from isogenic.network.publishing import Publishing
from isogenic.network.state import ClaimRefused, ControlState, Place
from isogenic.network.witnessing import Witnessing
from isogenic.recipes.pictures import PicturePublished
from isogenic.records import recovery
from isogenic.records.aside import LedgerFiles
from isogenic.records.beacon import Beacon, Mark, marks_of, root_at
from isogenic.records.blobs import BlobStore
from isogenic.records.blocks import HouseReadingsSealed, ReadingsSealed
from isogenic.records.derived import Derived
from isogenic.records.disclosures import Journal
from isogenic.records.facts import Actor, Fact, Payload
from isogenic.records.healing import LedgerHealed
from isogenic.records.heartbeats import claimed_heartbeat
from isogenic.records.ledger import Copy, Ledger, Stage
from isogenic.records.notes import VerifyingKey
from isogenic.records.returning import Returning
from isogenic.records.shelves import BlockPlace, Shelves
from isogenic.records.sync import Page, next_page
from isogenic.records.times import ClockMeasured, ClockWatch
from isogenic.vault.acts import Keeper

__all__ = ["Completeness", "ControlNode", "decided_alone"]

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)
CONTROL = NodeId("CONTROL")
HOUSE = "HOUSE"
QUIET_S = 0.02  # a page with another one right behind it is folded after that one
LOOK_BACK = 50_000  # facts of the house looked through at the start for the newest measurement of the clock
SLICE = 512  # facts folded between two requests: some 20 ms
BEHIND_MAX = 50_000  # facts held and not yet folded: whoever looks then waits no longer than about two seconds
WHY_MAX = 400  # characters of a reason that is noted
SILENT_S = 15.0  # wall seconds without a word from a site before its silence is noted


@dataclass(frozen=True, slots=True)
class Completeness:
    """How much of a site's ledger is here: a number and a root, not an opinion."""

    origin: str
    held: int  # verified, stored and cosigned
    noted: int  # as the site last claimed
    root: bytes
    heard: datetime | None

    @property
    def complete(self) -> bool:
        """Whether nothing that the site has told of is missing."""
        return self.held >= self.noted

    def __str__(self) -> str:
        if self.complete:
            return f"complete: {self.held} of {self.noted} facts, root verified"
        return f"{self.held} of {self.noted} facts, root verified; {self.noted - self.held} are still on their way"


class ControlNode:
    """The control site of one network."""

    def __init__(
        self,
        *,
        ledgers: Mapping[str, Ledger],
        copies: Mapping[str, tuple[SiteId, Copy]],
        witnesses: Mapping[SiteId, VerifyingKey],
        blobs: BlobStore,
        derived: Derived | None,
        clock: Clock,
        mint: Mint,
        software: str,
        site_documents: Mapping[SiteId, str] | None = None,
        journal: Journal | None = None,
        files: LedgerFiles | None = None,
        beacon: Beacon | None = None,
        mirror: Copy | None = None,
        processes: Processes | None = None,
        stores: int = 1,
        lease_h: float = LEASE_H,
    ) -> None:
        """`ledgers` by audience: `HOUSE` and one for each site. `copies` by origin, with the site that writes it. `journal`: of what leaves.

        `processes`: this process's place among several; None where it is the only one. `lease_h`: how long a lease lasts.
        """
        self.ledgers, self.copies = dict(ledgers), dict(copies)
        self.blobs, self.clock, self.mint, self.software = blobs, clock, mint, software
        self.processes = processes
        self._deciding = False
        self._fed: set[str] = set()  # ledgers whose newest facts this process has stored: it feeds the tables with them, the others leave that to it
        self.site_documents = dict(site_documents or {})  # each site's own recipe document, published with the general recipe
        self.files, self.beacon, self.mirror = files, beacon, mirror
        self.returning = Returning(files)
        self._marks: Mapping[str, Mark] | None = None  # what the beacon said when the node was started
        self._healed: list[LedgerHealed] = []  # not yet noted
        self._cosigned: Mark | None = None  # of the house, where a site has cosigned what is not here
        self._keys = dict(witnesses)
        self.actor = Actor.node(CONTROL)
        self.time = ClockWatch(clock, str(CONTROL))
        self._blocks: dict[str, set[SiteId]] = {}  # digests of reading blocks, and which sites' facts name them
        self._silent: set[SiteId] = set()
        self._bound: dict[SiteId, str] = {}  # the kept heartbeat of each site that binds it
        self._ended = 0  # revocations that the copies know of
        self.folding = Folding(place=self.place, derived=derived, feeds=self._feeds, came=self._shelve, claimed=self._refuse_claims)
        self._running = False  # while everything is folded from the first fact on, who came first is not to be judged
        self.journal = journal
        self.notices: Callable[[], list[str]] = list  # what people should know of this node's own machine
        self.keeper: Keeper | None = None  # of the vault of personal data, where there is one
        self.mending = Mending(
            ledgers=self.ledgers, copies=self.copies, mirror=mirror, blobs=blobs, clock=clock, note=self.note, named_by=self._named_by
        )
        self.publishing = Publishing(state=lambda: self.state, sites=self.sites, waits=self._waits, note=self.note)
        self.leasing = Leasing(
            state=lambda: self.folding.state, ledger=lambda site: self.ledgers[str(site)], clock=clock, note=self.note, lease_h=lease_h
        )
        self.witnessing = Witnessing(self.ledgers[HOUSE], copies=self.copies, witnesses=witnesses, outgoing=self.ledgers, stop=self._stop_house)
        inbox = Inbox(
            {origin: copy for origin, (_, copy) in copies.items()},
            {origin: NodeId(site) for origin, (site, _) in copies.items()},
            evidence=self._keep_evidence,
            first=self._follow_house,
        )
        self.desk = Desk(
            inbox=inbox,
            outgoing={NodeId(site): ledger for site, ledger in self.ledgers.items() if site != HOUSE},
            witnesses={NodeId(site): key for site, key in witnesses.items()},
            blobs=blobs,
            clock=clock,
            taken=self._taken,
            wanted=self._wanted,
            offered=self._offered,
            leaving=Leaving(entitlements=lambda: self.folding.state.entitlements, journal=journal, clock=clock),
            take_back=self._take_back,
            heard=self._heard,
            again=self.mending.again,
            came_again=self.mending.take,
            note=self.note,
            all_held=self._all_held,
            settled=self.folding.settled,
            witnessing=self.witnessing,
            whole=self.mending.scrub.seen_whole,
        )
        self.desk.beats.stores = stores

    def _keep_evidence(self, peer: NodeId, why: str, page: bytes) -> None:
        """A page that did not verify: kept by its digest, and noted in the house, where the network screen finds it."""
        digest = self.blobs.put(page)
        log.error("page of %s refused and kept as %s: %s", peer, digest[:16], why)
        self.note([PageRefused(SiteId(peer), why[:WHY_MAX], digest)])

    def _all_held(self, peer: NodeId) -> bool:
        """Whether every block that the lots of a site name is here. While much of what it sent is not folded, nobody knows."""
        if self.folding.behind:
            return False
        lots = [record for record in self.folding.state.lots.values() if record.site == SiteId(peer)]
        return all(self.blobs.has(block.digest) for record in lots for block in record.blocks)

    def _wanted(self, peer: NodeId, digest: str) -> bool:
        if (digest, 0) in self.mending.rotten:
            return True
        self.folding.settle()
        return SiteId(peer) in self._blocks.get(digest, ())

    def _named_by(self, digest: str) -> set[SiteId]:
        return self._blocks.get(digest, set())

    def _offered(self, peer: NodeId, digest: str) -> bool:
        """Models are for all, one that two people released for the sites that it names; a picture is for the sites that run its recipe (I7)."""
        if any(model.digest == digest for model in self.state.models.values()):
            return True
        if any((str(each.site), each.digest) == (str(peer), digest) for each in self.state.monitors.released):
            return True
        said = (each.payload for each in self.state.announced if isinstance(each.payload, PicturePublished))
        return any((str(each.site), each.digest) == (str(peer), digest) for each in said)

    # ---- facts ----

    def start(self) -> None:
        """Check and fold every ledger from its first fact: the sites' first, then our own; then note that the control site runs."""
        self._marks = self.beacon.read() if self.beacon else None
        for ledger in self.ledgers.values():
            ledger.follow()  # another process may have written since this one opened it, and told its beacon
            recovery.check(ledger, self.files)
            if self.files or self.beacon:
                self.returning.look(ledger, self._marks if self.beacon else {})
        self._heal_house()
        for _, copy in self.copies.values():
            copy.follow()
            recovery.check(copy, self.files)
            recovery.remember(copy, self._marks, self.files)
            self._healed += recovery.copy_healed(copy, self.files)
        if self.journal is not None:
            self.journal.start(self.ledgers[HOUSE])
        for _, copy in self.copies.values():
            self.folding.fold(copy, stop=copy.size)
        for audience in self.ledgers:
            self._fold_own(audience)
        self._bind_kept()
        self._running = True
        self.follow()
        self._refuse_claims(list(self.folding.state.evidence))
        _, noted, _ = self.time.started(self._newest())
        if self._cosigned is None:
            begun = self.journal.to_be_noted(self.ledgers[HOUSE]) if self.journal else []
            self.note([ControlStarted(CONTROL, self.software), *noted, *self._healed, *begun])
            self._healed.clear()
        if self.keeper is not None:
            self.keeper.start(self.ledgers[HOUSE].facts)
        self.keep_beacon()

    def keep_beacon(self) -> None:
        """Let the beacon remember how far the ledgers have come."""
        self._mirror_house()
        if self.beacon is not None:
            copies = [copy for _, copy in self.copies.values()]
            marks = marks_of(self.ledgers.values(), copies, waits=self.returning.waits, before=self._marks)
            self.beacon.write(marks | ({self._stop_name: self._cosigned} if self._cosigned else {}))

    def _heal_house(self) -> None:
        """The house has no reader who holds its content; its second copy, if there is one, is here."""
        house = self.ledgers[HOUSE]
        if self.mirror is not None:
            recovery.check(self.mirror, self.files)
            recovery.copy_healed(self.mirror, self.files)  # what it lacks it gets from the house
        if house.origin in self.returning.waits:
            if self.mirror is not None:
                while page := self.mirror.page_back(self.returning.size(house.origin), moment=self.clock.now()):
                    self.returning.take(house.origin, page, witness=self.mirror.witness.verifying_key)
            self._healed.append(self.returning.heard(house.origin))
        cosigned = (self._marks or {}).get(self._stop_name)
        if cosigned is not None and (house.size < cosigned.size or root_at(house.store, cosigned.size).hex() != cosigned.root):
            self._stop_house(f"a site has cosigned {cosigned.size} facts of it, and they are not those that are here: {house.size}", cosigned)

    def _mirror_house(self) -> None:
        house = self.ledgers[HOUSE]
        while self._cosigned is None and self.mirror is not None and (page := next_page(house.store, start=self.mirror.size)) is not None:
            self.mirror.take(page, moment=self.clock.now())

    # ---- ledgers of ours that wait for the site that witnesses them ----

    @property
    def _stop_name(self) -> str:
        """Under which the beacon keeps that the house is stopped."""
        return f"{self.ledgers[HOUSE].origin} as cosigned"

    def _stop_house(self, why: str, cosigned: Mark) -> None:
        """Note nothing in the house, in this process and the next, until what was cosigned is here again."""
        log.error("%s: %s", self.ledgers[HOUSE].origin, why)
        self.returning.stop(self.ledgers[HOUSE], why=why, possible="bring its second copy or the newest backup, and start the node again")
        self._cosigned = cosigned
        if self._running:  # at the start, the beacon says it already
            with contextlib.suppress(Refusal):  # a full disk: the site says it again
                self.keep_beacon()

    def _take_back(self, peer: NodeId, page: Page) -> None:
        ledger = self.ledgers[peer]
        ledger.follow()  # another process may have noted what is missing here
        if ledger.origin not in self.returning.waits and (size := ledger.lacks(page)):  # shown, not said: our own signature is on it
            why = f"{peer} has witnessed {size} facts, and {ledger.size} are here: this ledger was restored from an old copy"
            self.returning.wait_for(ledger, why=why, known=size, witnessed=size)
        if ledger.origin not in self.returning.waits:
            raise NotValid(f"page of {ledger.origin} not taken back", why="nothing of it is missing here", possible=f"it has {ledger.size} facts")
        try:
            self.returning.take(ledger.origin, page, witness=self._keys[SiteId(peer)])
        except NotTrusted as refusal:
            self._keep_evidence(peer, str(refusal), page.to_bytes())
            raise
        self._fold_own(peer)

    def _heard(self, peer: NodeId) -> None:
        origin = self.ledgers[peer].origin
        if origin in self.returning.asking:
            healed = self.returning.heard(origin)
            self._fold_own(peer)
            self.note([healed])
            with self.deciding():
                self.publishing.complete()  # what was published while it waited
            self.folding.tell()
        self.renew_leases(SiteId(peer))

    def renew_leases(self, site: SiteId) -> None:
        """Grant the leases that a site is to have; nothing while the ledger written for it waits."""
        if self._running and not self._waits(site) and self.leasing.due(site):
            with self.deciding():  # another process may have granted them already
                self.leasing.renew(site)

    def _waits(self, site: SiteId) -> bool:
        return self.ledgers[str(site)].origin in self.returning.waits

    def stop(self) -> None:
        """Let the waiting sites go and note the end."""
        self.desk.close()
        self.folding.stop()
        self.folding.settle()
        if self._cosigned is None:
            self.close_talk(at_end=True)
            self.note([ControlStopped(CONTROL)])
        self.keep_beacon()

    def note(self, payloads: Sequence[Payload], *, site: SiteId | None = None, actor: Actor | None = None) -> list[Fact]:
        """Note payloads in the ledger written for `site`, or in the house; durable and folded when this returns."""
        if not payloads:
            return []
        audience = str(site) if site else HOUSE
        if audience not in self.ledgers:
            raise NotFound(f"no site {site}", why="the directory does not name it", possible=", ".join(self.sites()))
        self.returning.refuse([self.ledgers[audience].origin])
        facts = self.ledgers[audience].append(payloads, actor=actor or self.actor, moment=self.clock.now())
        self._tell(self.ledgers[audience].origin)
        self._fold_own(audience)
        if site:
            self.desk.published(NodeId(site))
        return facts

    def _fold_own(self, audience: str) -> None:
        ledger = self.ledgers[audience]
        self.folding.fold(ledger, stop=ledger.size)
        if audience == HOUSE:
            self._end_revoked_keys()
            if self._running:  # another process may have heard it
                self._bind_kept()

    def _bind_kept(self) -> None:
        """What a site has told binds it after our restart too, and wherever it brings the facts."""
        for site, kept in self.folding.state.heartbeats.items():
            if self._bound.get(site) != kept:
                self._bound[site] = kept
                with contextlib.suppress(Refusal):  # a ledger that is not kept here any more; a fork is told when it comes
                    self.desk.beats.bind_kept(claimed_heartbeat(kept.encode()))

    def _end_revoked_keys(self) -> None:
        """From the moment that it is noted in the house, no page under a revoked key is taken."""
        for revoked in self.folding.state.keys.revoked[self._ended :]:
            key = VerifyingKey.parse(revoked.key) if revoked.key else None
            for origin, after in revoked.ledgers.items():
                copy = self.copies[origin][1] if origin in self.copies else None
                if copy is not None and copy.size <= after:  # beyond it, the copy was opened with this revocation known
                    copy.revoke(after, key)
            self.desk.beats.forget(revoked.site)
        self._ended = len(self.folding.state.keys.revoked)

    def place(self, origin: str) -> Place:
        """What a fact in one of the ledgers held here may say: known from how the ledger was opened, not from the fact."""
        if origin in self.copies:
            return Place(origin, self.copies[origin][0], ours=False, sponsor=not origin.endswith(f"/{HOUSE}"))
        audience = next(each for each, ledger in self.ledgers.items() if ledger.origin == origin)
        return Place(origin, None if audience == HOUSE else SiteId(audience), ours=True)

    def _shelve(self, place: Place, facts: Iterable[Fact]) -> None:
        """Reading blocks that a site's facts name: from here on they are wanted of it, and have their place."""
        if place.ours or place.site is None:
            return
        for fact in facts:
            payload = fact.payload
            if not isinstance(payload, ReadingsSealed | HouseReadingsSealed) or isinstance(payload, ReadingsSealed) != place.sponsor:
                continue
            with contextlib.suppress(NotValid):  # a name that is none: the fact is held, and no block is taken for it
                house = isinstance(payload, HouseReadingsSealed)
                about = UnitId(payload.unit) if isinstance(payload, HouseReadingsSealed) else BatchId(payload.batch)
                sponsor = "" if house else place.ledger.rpartition("/")[2]
                if isinstance(self.blobs, Shelves):
                    self.blobs.shelve(payload.digest, BlockPlace(place.site, about, payload.number, sponsor))
                self._blocks.setdefault(payload.digest, set()).add(place.site)

    def _refuse_claims(self, claims: list[tuple[str, BatchId]]) -> None:
        """Note which claims on the name of a batch or lot came second, so that they are second after every restart too.

        `claims` are those that just came; of several, the one that ranks first stands against the others.
        """
        if self._running and any(self.folding.state.rivals(claims).values()):
            with self.deciding():  # another process may have said it already
                self._refuse_second(claims)

    def _refuse_second(self, claims: list[tuple[str, BatchId]]) -> None:
        came, found = set(claims), self.folding.state.rivals(claims)
        for claim in sorted((each for each in claims if found[each]), key=self.folding.state.rank, reverse=True):
            rivals = [each for each in found[claim] if each not in self.folding.state.refused]
            if claim in self.folding.state.refused or not rivals:
                continue
            older = [each for each in rivals if each not in came]
            first = min(older or rivals, key=self.folding.state.rank)
            if not older and self.folding.state.rank(claim) < self.folding.state.rank(first):
                continue
            record = self.folding.state.evidence[claim]
            assert record.site is not None  # a record begins with it
            log.error("%s: %s of %s is claimed in %s already", claim[0], record.batch, record.lot or "no lot", first[0])
            self.note([ClaimRefused(record.batch, record.lot, record.site, claim[0], first[0])])

    # ---- folding what the sites bring, when there is time ----

    @property
    def state(self) -> ControlState:
        """What the ledgers held here say, all of it."""
        self.folding.settle()
        return self.folding.state

    @property
    def changed(self) -> asyncio.Event:
        """Set whenever state has changed since this was asked for: screens wait on it."""
        return self.folding.changed

    @property
    def derived(self) -> Derived | None:
        """The tables for searching, up to date."""
        self.folding.settle()
        if self.processes is not None:
            self.catch_up()
        return self.folding.derived

    def catch_up(self) -> None:
        """Feed the tables with what another process stored and did not feed: it may have ended."""
        if self.folding.derived is None:
            return
        ledgers: list[Ledger | Copy] = [*self.ledgers.values(), *(copy for _, copy in self.copies.values())]
        for ledger in ledgers:
            self.folding.derived.catch_up(ledger)

    def _taken(self, origin: str) -> None:
        """A page was stored and is about to be answered."""
        self._tell(origin)
        self.folding.soon(self.copies[origin][1])

    # ---- other processes ----

    def _feeds(self, origin: str) -> bool:
        return self.processes is None or origin in self._fed

    def _tell(self, origin: str) -> None:
        self._fed.add(origin)
        if self.processes is not None:
            self.processes.tell()

    def follow(self) -> None:
        """Take in what other processes wrote, and wake whoever waits for it. Raises `NotTrusted` where the database has lost its end."""
        if self.processes is None:
            return
        sizes = self.processes.sizes()
        if sizes.get(self.ledgers[HOUSE].origin, 0) != self.ledgers[HOUSE].size:
            self._follow_house()  # first: what was revoked there decides which keys count in the copies
        for origin, (_, copy) in self.copies.items():
            if sizes.get(origin, 0) != copy.size and copy.follow():
                self._fed.discard(origin)
            if copy.size != self.folding.size(origin):  # also what was read on the way to something else
                self.folding.soon(copy)
        for audience, ledger in self.ledgers.items():
            if sizes.get(ledger.origin, 0) != ledger.size and ledger.follow():
                self._fed.discard(ledger.origin)
            if ledger.size != self.folding.size(ledger.origin):
                self._fold_own(audience)
                if audience != HOUSE:
                    self.desk.published(NodeId(audience))

    def _follow_house(self) -> None:
        """Take in what other processes noted in the house; what was revoked there counts here from now on."""
        house = self.ledgers[HOUSE]
        if self._running and house.follow():
            self._fed.discard(house.origin)
            self._fold_own(HOUSE)

    @contextlib.contextmanager
    def deciding(self, *, wait_s: int = 0) -> Iterator[None]:
        """Decide alone: in it, `state` is everything that was noted, and no other process of this control site decides."""
        if self.processes is None or self._deciding:
            yield
            return
        with self.processes.deciding(wait_s=wait_s):
            self._deciding = True
            try:
                self.follow()
                self.folding.settle()
                yield
            finally:
                self._deciding = False

    # ---- what screens ask ----

    def sites(self) -> list[SiteId]:
        """The sites directed from here."""
        return [SiteId(audience) for audience in self.ledgers if audience != HOUSE]

    def completeness(self, site: SiteId) -> list[Completeness]:
        """Each ledger of a site: how much is here of what it says it has."""
        live = self.desk.live[NodeId(site)]
        return [
            Completeness(origin, copy.size, max(live.noted.get(origin, 0), copy.size), copy.root, live.heard)
            for origin, (owner, copy) in self.copies.items()
            if owner == site
        ]

    def stage(self, fact: Fact) -> Stage:
        """How far a fact has come. A site's fact that is here is witnessed; one of ours is once its site has cosigned it."""
        if fact.ref.ledger in self.copies:
            return Stage.WITNESSED
        ledger = next(each for each in self.ledgers.values() if each.origin == fact.ref.ledger)
        if fact.position < ledger.witnessed:
            return Stage.WITNESSED
        return Stage.NOTED

    def ledger(self, origin: str) -> Ledger | Copy:
        """One of the ledgers held here, ours or a copy."""
        if origin in self.copies:
            return self.copies[origin][1]
        for ledger in self.ledgers.values():
            if ledger.origin == origin:
                return ledger
        raise NotFound(f"no ledger {origin[:80]!r} here", why="no site of this network writes it")

    # ---- watching ----

    def close_talk(self, *, at_end: bool = False) -> None:
        """Note how much small talk there was with whom, when it is time, and in the house how the journal of what left stands."""
        if self.journal is not None and (parties := self.journal.open() if at_end else self.journal.due()):
            self.journal.close(*parties)
            self.note([self.journal.anchor()])

    def _newest(self) -> list[Fact]:
        """The newest fact of each ledger of ours, and the newest measurement of our clock."""
        house, found = self.ledgers[HOUSE], []
        for ledger in self.ledgers.values():
            found += list(ledger.facts(max(ledger.size - 1, 0)))
        for start in range(max(house.size - SLICE, 0), -SLICE, -SLICE):  # an hour's facts back, as a rule
            measured = [
                fact for fact in house.facts(max(start, 0), min(house.size, max(start, 0) + SLICE)) if isinstance(fact.payload, ClockMeasured)
            ]
            if measured:
                return [*found, measured[-1]]
            if start < house.size - LOOK_BACK:
                break
        return found

    def watch_clock(self) -> None:
        """Note what there is to say of our own clock: a step, a change of quality. No order and no silence depends on it."""
        _, noted, by = self.time.look()
        if by:
            log.error("%s", self.time.alarm)
        self.note(noted)

    def note_withheld(self) -> None:
        """Note which sites are heard and hold their newest facts back."""
        self.desk.beats.watch({site: self.desk.live[NodeId(site)].noted for site in self.sites()})

    def note_silence(self, now: datetime, *, silent_s: float) -> None:
        """Note each site that has gone silent, once for each silence."""
        if self.processes is not None:
            self._note_silence_together(self.processes, now, silent_s)
            return
        for site in self.sites():
            live, moment = self.desk.live[NodeId(site)], self.clock.now()
            if live.heard is None and live.called is None:
                continue
            since = live.moment or live.called
            last = live.heard or (since.at if since is not None else now)
            steady = since is not None and since.steady_s is not None
            seconds = passed_s(since, moment) if since is not None and steady else (now - last).total_seconds()
            if seconds <= silent_s:
                self._silent.discard(site)
            elif site not in self._silent:
                self._silent.add(site)
                self.note([SiteSilent(site, int(seconds))])

    def _note_silence_together(self, processes: Processes, now: datetime, silent_s: float) -> None:
        """The same, where a site may be heard by any of several processes."""
        for site, heard in processes.hear({site: self.desk.live[NodeId(site)].heard for site in self.sites()}).items():
            live = self.desk.live.get(NodeId(site))
            if live is None:
                continue
            live.heard = max(heard, live.heard or heard)
            seconds = (now - live.heard).total_seconds()
            if seconds > silent_s and not processes.silence_is_said(site):
                with self.deciding():
                    if not processes.silence_is_said(site):
                        self.note([SiteSilent(site, int(seconds))])
                        processes.say_silence(site)


def decided_alone(decide: Callable[Concatenate[ControlNode, P], R]) -> Callable[Concatenate[ControlNode, P], R]:
    """A decision: made by one process at a time, on everything that was noted before."""

    @wraps(decide)
    def alone(node: ControlNode, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with node.deciding():
            return decide(node, *args, **kwargs)

    return alone
