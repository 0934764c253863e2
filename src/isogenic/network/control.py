"""The control site, running: its own ledgers, copies of its sites', and what people decide here.

Guarantees: what is decided is noted before it is answered; every site's ledger is held as
verified, cosigned bytes; state is folded from them and from nothing else.
Leaves to others: the wire (desk), TLS and HTTP (server), screens and sign-in (web).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from isogenic.clock import Clock
from isogenic.errors import NotFound, NotReachable
from isogenic.ids import Mint, NodeId, SiteId
from isogenic.network.desk import Desk
from isogenic.network.facts import ControlStarted, ControlStopped, PageRefused, SiteSilent
from isogenic.network.inbox import Inbox
from isogenic.network.state import ControlState, apply
from isogenic.records.blobs import BlobStore
from isogenic.records.derived import Derived
from isogenic.records.facts import Actor, Fact, Payload
from isogenic.records.ledger import Copy, Ledger, Stage
from isogenic.records.notes import VerifyingKey

__all__ = ["Completeness", "ControlNode"]

log = logging.getLogger(__name__)
CONTROL = NodeId("CONTROL")
HOUSE = "HOUSE"
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
    ) -> None:
        """`ledgers` by audience: `HOUSE` and one for each site. `copies` by origin, with the site that writes it."""
        self.ledgers, self.copies = dict(ledgers), dict(copies)
        self.blobs, self.derived, self.clock, self.mint, self.software = blobs, derived, clock, mint, software
        self.site_documents = dict(site_documents or {})  # each site's own recipe document, published with the general recipe
        self.state = ControlState()
        self.actor = Actor.node(CONTROL)
        self._folded: dict[str, int] = {}
        self._silent: set[SiteId] = set()
        self.changed = asyncio.Event()  # set and replaced whenever state changed: screens wait on it
        inbox = Inbox(
            {origin: copy for origin, (_, copy) in copies.items()},
            {origin: NodeId(site) for origin, (site, _) in copies.items()},
            evidence=self._keep_evidence,
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
        )

    def _keep_evidence(self, peer: NodeId, why: str, page: bytes) -> None:
        """A page that did not verify: kept by its digest, and noted in the house, where the network screen finds it."""
        digest = self.blobs.put(page)
        log.error("page of %s refused and kept as %s: %s", peer, digest[:16], why)
        self.note([PageRefused(SiteId(peer), why[:WHY_MAX], digest)])

    def _wanted(self, peer: NodeId, digest: str) -> bool:
        return any(block.digest == digest for record in self.state.lots.values() if record.site == SiteId(peer) for block in record.blocks)

    def _offered(self, digest: str) -> bool:
        return any(model.digest == digest for model in self.state.models.values())

    # ---- facts ----

    def start(self) -> None:
        """Fold every ledger from its first fact: the sites' first, then our own; then note that the control site runs."""
        for origin in self.copies:
            self._taken(origin)
        for audience in self.ledgers:
            self._fold_own(audience)
        self.note([ControlStarted(CONTROL, self.software)])

    def stop(self) -> None:
        """Let the waiting sites go and note the end."""
        self.desk.close()
        self.note([ControlStopped(CONTROL)])

    def note(self, payloads: Sequence[Payload], *, site: SiteId | None = None, actor: Actor | None = None) -> list[Fact]:
        """Note payloads in the ledger written for `site`, or in the house; durable and folded when this returns."""
        if not payloads:
            return []
        audience = str(site) if site else HOUSE
        if audience not in self.ledgers:
            raise NotFound(f"no site {site}", why="the directory does not name it", possible=", ".join(self.sites()))
        facts = self.ledgers[audience].append(payloads, actor=actor or self.actor, moment=self.clock.now())
        self._fold_own(audience)
        if site:
            self.desk.published(NodeId(site))
        return facts

    def _fold_own(self, audience: str) -> None:
        ledger = self.ledgers[audience]
        site = None if audience == HOUSE else SiteId(audience)
        for fact in ledger.facts(self._folded.get(ledger.origin, 0)):
            self.state = apply(self.state, fact, site=site)
            self._folded[ledger.origin] = fact.position + 1
        self._follow(ledger)

    def _taken(self, origin: str) -> None:
        site, copy = self.copies[origin]
        for fact in copy.facts(self._folded.get(origin, 0)):
            self.state = apply(self.state, fact, site=site)
            self._folded[origin] = fact.position + 1
        self._follow(copy)

    def _follow(self, ledger: Ledger | Copy) -> None:
        if self.derived is not None:
            try:
                self.derived.catch_up(ledger)
            except NotReachable as refusal:  # tables for searching may lag: what was noted is noted, and the next fact brings them up
                log.error("derived tables of %s: %s", ledger.origin, refusal)
        self.changed.set()
        self.changed = asyncio.Event()

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

    def note_silence(self, now: datetime, *, silent_s: float) -> None:
        """Note each site that has gone silent, once for each silence."""
        for site in self.sites():
            heard = self.desk.live[NodeId(site)].heard
            if heard is None:
                continue
            seconds = (now - heard).total_seconds()
            if seconds <= silent_s:
                self._silent.discard(site)
            elif site not in self._silent:
                self._silent.add(site)
                self.note([SiteSilent(site, int(seconds))])
