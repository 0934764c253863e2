"""One site, running: ledgers, equipment, courier and the loop, on one event loop.

Guarantees: state changes only by folding facts that are already durable; set-points go out
only after that (I3); whatever the link does, the scan goes on (I6); if the disk refuses,
nothing is noted, so nothing is done, and the next scan tries again.
Leaves to others: deciding (loop, requests), the wire (courier), screens (web).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from isogenic.authority.entitlements import party_of_node
from isogenic.authority.revocation import KeyRevoked
from isogenic.batches.facts import BatchClosed, ClockCorrected
from isogenic.clock import Clock, Moment
from isogenic.errors import NotValid, Refusal
from isogenic.ids import BatchId, Mint, ModuleId
from isogenic.monitoring.diagnosis import Told
from isogenic.monitoring.model import Model
from isogenic.plant.readings import Frame, Sink, Source
from isogenic.records import recovery
from isogenic.records.aside import LedgerFiles
from isogenic.records.beacon import BEACON_S, Beacon, Mark, marks_of
from isogenic.records.blobs import BlobStore
from isogenic.records.blocks import HouseReadingsSealed, ReadingsSealed
from isogenic.records.disclosures import Journal
from isogenic.records.facts import Actor, Fact, Payload
from isogenic.records.heartbeats import open_watermark
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.link import Link
from isogenic.records.notes import VerifyingKey
from isogenic.records.returning import Returning
from isogenic.records.scrub import scrub_for_ever
from isogenic.records.times import ClockMeasured, ClockWatch
from isogenic.records.witness import HeadBook
from isogenic.sites.audiences import audience_of
from isogenic.sites.carrying import download_for_ever, upload_for_ever
from isogenic.sites.courier import Courier
from isogenic.sites.disclosing import DisclosingLink
from isogenic.sites.drift import DriftWatch
from isogenic.sites.facts import (
    DiskFilled,
    DiskFreed,
    LedgerRefused,
    LinkLost,
    LinkRestored,
    ModuleLost,
    ModuleRestored,
    NodeStarted,
    NodeStopped,
    SetpointRefused,
    WatermarkReceived,
)
from isogenic.sites.hot import HotBuffer
from isogenic.sites.keeping import KeyCare
from isogenic.sites.keyring import Keyring
from isogenic.sites.live import Thinned
from isogenic.sites.loop import Site, scan
from isogenic.sites.manifests import manifests_due
from isogenic.sites.mending import Mending
from isogenic.sites.ordering import Ordering, refusals
from isogenic.sites.readings import Readings, ReadingsPlan
from isogenic.sites.room import Room
from isogenic.sites.state import SiteState, apply_all
from isogenic.sites.witness import HEADS_S, HeadWitness

__all__ = ["Equipment", "SiteNode"]

log = logging.getLogger(__name__)
HOUSE = "HOUSE"
WITNESS = party_of_node("CONTROL")
WATERMARK_STEP = 512  # facts: a page; what may be deleted is counted in days, not in facts
WHY_MAX = 400  # characters of a reason that is noted
_NOTHING_READ: Mapping[str, str] = {}


@runtime_checkable
class ReadsBack(Protocol):
    """Equipment that tells what its modules are set to."""

    async def settings(self) -> Mapping[str, str]:
        """As the newest poll read them, by `MODULE.setting`; empty what a module that answers cannot tell, left out what is of a lost one."""
        ...


class Equipment(Source, Sink, Protocol):
    """Where readings come from and set-points go, with the modules that came and went since last asked."""

    def changes(self) -> list[tuple[str, bool, str]]:
        """(module, up, why) since the last call."""
        ...


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the last scan could not finish, for the operator's screen."""

    what: str
    since: str


class SiteNode:
    """One facility that works alone."""

    def __init__(
        self,
        state: SiteState,
        *,
        ledgers: Mapping[str, Ledger],
        control: Copy,
        witness: VerifyingKey,
        blobs: BlobStore,
        hot: HotBuffer,
        clock: Clock,
        mint: Mint,
        equipment: Equipment,
        link: Link,
        software: str,
        journal: Journal | None = None,
        files: LedgerFiles | None = None,
        beacon: Beacon | None = None,
        heads: HeadBook | None = None,
        room: Room | None = None,
        keyring: Keyring | None = None,
        key_rotate_h: float = 0.0,
        key_rotate_facts: int = 0,
        readings: ReadingsPlan | None = None,
    ) -> None:
        """`ledgers` by audience, `HOUSE` among them. `witness` is the control site's cosigning key. `journal`: of what leaves.

        With `files`, a damaged ledger is healed instead of refused; with `beacon`, one from an old backup is noticed.
        With a `keyring`, ledgers get fresh keys every so many hours or facts (0: never). `readings`: how they are kept.
        """
        self.ledgers, self.control, self.blobs, self.hot = dict(ledgers), control, blobs, hot
        self.readings = Readings(hot, blobs, readings or ReadingsPlan(), state=lambda: self.state, note=self.note)
        self.clock, self.mint, self.equipment, self.software = clock, mint, equipment, software
        self.ordering = Ordering(equipment)
        self.site = Site(state)
        self.actor = Actor.node(state.site)
        self.time = ClockWatch(clock, str(state.site))
        self.drift = DriftWatch(state.plant)
        self._stepped = False  # the clock, since readings were kept last
        self._measured: Fact | None = None  # the newest measurement of the clock that was noted
        self.keys = KeyCare(self.ledgers, clock, self.actor, keyring, key_rotate_h, key_rotate_facts, journal)
        self.frame: Frame | None = None
        self.judgements: Mapping[BatchId, Told] = {}
        self.trouble: Trouble | None = None
        self._control_folded = 0
        self._written: dict[str, float] = {}
        self._refused_before: set[str] = set()
        self._module_news: list[tuple[str, bool, str]] = []  # heard from the equipment, not yet noted
        self._thinned = Thinned()
        self._blocks: list[tuple[str, str]] = []  # batch (or unit) and digest of every block noted here, in order
        self._watermarks_refused: set[str] = set()
        self._shown: set[str] = set()  # pictures whose bytes are here
        self._unusable: set[str] = set()  # published models whose right bytes are no model
        self._news = asyncio.Event()
        self.journal = journal
        withheld: dict[str, str] = {}  # one table, for the courier and for the link
        if journal is not None:
            link = DisclosingLink(link, journal, to=WITNESS, withheld=withheld)
        self.files, self.beacon, self.room = files, beacon, room
        self.returning = Returning(files)
        self._marks: Mapping[str, Mark] | None = None  # what the beacon said when the node was started
        self._folded: dict[str, int] = {}  # by ledger
        self._begun = False
        self.courier = Courier(
            ledgers={ledger.origin: ledger for ledger in ledgers.values()},
            control=control,
            witness=witness,
            blobs=blobs,
            wanted=self,
            link=link,
            clock=clock,
            on_link=self._link_changed,
            on_control=self.fold_control,
            on_refused=self._ledger_refused,
            on_watermarks=self._take_watermarks,
            on_returned=self.begin,
            returning=self.returning,
            ready=self.keys.ready,
        )
        self.courier.withheld = withheld

        self.heads = None
        if heads is not None:
            house = f"{control.origin.rpartition('/')[0]}/{HOUSE}"
            begun = control.keys.eras[0].key
            assert begun is not None
            self.heads = HeadWitness(heads, house=house, writer=begun, witness=control.witness, link=link, clock=clock, note=self.note)
        self.mending = Mending(ledgers=self.courier.ledgers, control=control, blobs=blobs, link=link, note=self.note)

    @property
    def state(self) -> SiteState:
        """The folded facts."""
        return self.site.state

    # ---- facts ----

    def start(self) -> None:
        """Check and fold every ledger from its first fact, then note that the node runs, or wait for the witness where a ledger must."""
        self._marks = self.beacon.read() if self.beacon else None
        for ledger in self.ledgers.values():
            recovery.check(ledger, self.files)
            if self.files or self.beacon:
                self.returning.look(ledger, self._marks if self.beacon else {})
        recovery.check(self.control, self.files)
        recovery.remember(self.control, self._marks, self.files)
        self.courier.healed += recovery.copy_healed(self.control, self.files)
        if self.journal is not None:
            self.journal.start(self.ledgers[HOUSE])
        self.begin()

    def begin(self) -> None:
        """Fold what is here; once no ledger waits any more, note that the node runs and what was healed."""
        for ledger in self.ledgers.values():
            self._fold(ledger.facts(self._folded.get(ledger.origin, 0)))
        self.fold_control()
        if self.returning.waits:
            self.trouble = Trouble(self.held, str(self.clock.now().at))
            log.error("%s: %s", self.state.site, self.held)
            return
        self.trouble = None
        self.readings.settle()  # what came back may have sealed rows that an older buffer still holds
        now, noted, by = self.time.started(self._newest()) if not self._begun else self.time.look()
        started = [] if self._begun else [NodeStarted(self.state.site, self.software, resumed=len(self.state.running()))]
        begun = self.journal.to_be_noted(self.ledgers[HOUSE]) if self.journal else []
        self._note([*started, *self._of_clock(noted, by), *self.courier.healed, *begun], moment=now)
        self._begun = True
        self.courier.healed.clear()
        self.keep_beacon()

    def _newest(self) -> list[Fact]:
        ends = [fact for ledger in self.ledgers.values() for fact in ledger.facts(max(ledger.size - 1, 0))]
        return ends if self._measured is None else [*ends, self._measured]

    @property
    def held(self) -> str:
        """Why nothing may be noted here now; empty where it may."""
        return "; ".join(f"nothing is written in {origin}: {why}" for origin, why in self.returning.waits.items())

    def keep_beacon(self) -> None:
        """Let the beacon remember how far the ledgers have come."""
        if self.beacon is not None:
            marks = marks_of(self.ledgers.values(), [self.control], waits=self.returning.waits, before=self._marks)
            self.beacon.write(marks)

    def note(self, payloads: Sequence[Payload], *, actor: Actor | None = None, moment: Moment | None = None) -> list[Fact]:
        """Note payloads in the ledgers they belong to, durably, then fold them. The one way that state changes."""
        return self._note(payloads, actor=actor, moment=moment or self._moment()) if payloads else []

    def _note(self, payloads: Sequence[Payload], *, moment: Moment, actor: Actor | None = None) -> list[Fact]:
        noted: list[Fact] = []
        self.returning.refuse(ledger.origin for ledger in self.ledgers.values())
        whose_is = [audience_of(payload, self.state, together=payloads) for payload in payloads]  # before anything is noted: a refusal notes nothing
        for audience, ledger in self.ledgers.items():
            mine = [payload for payload, whose in zip(payloads, whose_is, strict=True) if whose == audience]
            if mine:
                facts = ledger.append(mine, actor=actor or self.actor, moment=moment)
                self._fold(facts)  # at once: what is durable is folded, even if the next ledger's disk refuses
                noted += facts
        if noted:
            self._news.set()
        return noted

    def _fold(self, facts: Iterable[Fact]) -> None:
        """All of them or, where one cannot be read, none."""
        folded, blocks, measured = dict(self._folded), list[tuple[str, str]](), self._measured

        def seen() -> Iterator[Fact]:
            nonlocal measured
            for fact in facts:
                folded[fact.ref.ledger] = fact.position + 1
                if isinstance(fact.payload, ReadingsSealed | HouseReadingsSealed):
                    blocks.append((fact.subject, fact.payload.digest))
                if isinstance(fact.payload, ClockMeasured):
                    measured = fact
                yield fact

        self.site = replace(self.site, state=apply_all(self.site.state, seen()))
        self._folded, self._measured = folded, measured
        self._blocks += blocks

    def fold_control(self) -> None:
        """Fold what is new in the ledger written for this site, and take up the models that are here."""
        for fact in self.control.facts(self._control_folded):
            if isinstance(fact.payload, KeyRevoked) and (why := self.keys.heard(fact.payload, self.state.directory)):
                log.error("%s: a revocation is not taken: %s", self.control.origin, why)
                if not self.returning.waits:
                    self._ledger_refused(self.control.origin, why)
            self._fold([fact])
            self._control_folded = fact.position + 1
        self._withhold()
        for origin in self.keys.go_on() if not self.returning.waits else ():
            self.courier.go_on(origin)
            self._news.set()
        for digest in self._models_needed():
            if digest not in self.site.models and self.blobs.has(digest):
                self._take_up_model(digest)

    def _withhold(self) -> None:
        """What the control site may no longer have does not leave. That it may have the rest is what `trust.json` says."""
        ended = self.state.entitlements.ended
        said = {origin: end.why for (origin, who), end in ended.items() if who == WITNESS}
        self.courier.withheld.clear()
        self.courier.withheld.update({ledger.origin: said[ledger.origin] for ledger in self.ledgers.values() if ledger.origin in said})

    def withheld(self, batch: BatchId) -> bool:
        """Whether a batch is of a sponsor whose ledger does not leave: then its readings and live values do not either."""
        known = self.state.batches.get(batch)
        ledger = self.ledgers.get(str(known.sponsor)) if known else None
        return ledger is not None and ledger.origin in self.courier.withheld

    def _models_needed(self) -> set[str]:
        """The newest of each product, and those that watch a batch now."""
        released = {each.digest for each in self.state.released_models.values()}
        return {published.digest for published in self.state.models.values()} | released | set(self.state.watched.values())

    def _take_up_model(self, digest: str) -> None:
        """A model that cannot be used is no reason to stop a site: batches run on unwatched, and their records say so."""
        try:
            model = Model.from_bytes(self.blobs.get(digest))
        except NotValid as refusal:
            self._unusable.add(digest)
            log.error("model %s at %s: %s", digest[:16], self.state.site, refusal)
        except Refusal as refusal:  # damaged on this disk: it is fetched again
            log.error("model %s at %s: %s", digest[:16], self.state.site, refusal)
        else:
            self.site = replace(self.site, models={**self.site.models, digest: model})

    # ---- the loop ----

    async def cycle(self) -> None:
        """One scan, from reading to writing."""
        self.returning.refuse(ledger.origin for ledger in self.ledgers.values())
        now = self._moment()
        self._look_for_room()
        self.frame = await self.equipment.read(now.at)
        self._note_modules()
        await self._note_drift(self.frame, now)
        if not self._written:  # after a start, or when a module came back: what was noted comes into force before anything new is decided
            await self._write()
        # Before: the readings that close a batch are of that batch. A step since the last of them is a gap: what lies between has no length.
        self.readings.keep(self.frame, self.state.running(), stepped=self._stepped)
        self._stepped = False
        decided = scan(self.site, self.frame, now, mint=self.mint)
        if any(isinstance(payload, BatchClosed) for payload in decided.facts):
            self.readings.flush()
        facts = [replace(each, manifest=True) if isinstance(each, BatchClosed) else each for each in decided.facts]
        self.note(facts, moment=now)  # noted before it is done
        self.site = replace(self.site, watches=decided.watches)
        self.judgements = decided.judgements
        for unit, values in self._seen().items():
            self._thinned.see(unit, values)
        await self._write()
        self.note(refusals(self.state.running(), await self.ordering.give(self.state.orders())))
        for payload in decided.facts:
            if isinstance(payload, BatchClosed):
                self.readings.close(payload.batch)
        self.readings.seal_due(now.at)
        self.note(manifests_due(self.state))
        if self.keys.rotate_due():
            self._news.set()

    def _moment(self) -> Moment:
        """The time now. Where the clock stepped, that is noted first, so that no duration follows the step."""
        now, noted, by = self.time.look()
        self._note(self._of_clock(noted, by), moment=now)
        return now

    def _of_clock(self, noted: list[Payload], by: float) -> list[Payload]:
        if by:
            log.error("%s: %s", self.state.site, self.time.alarm)
            self._stepped = True
        return [*noted, *(ClockCorrected(batch.control.batch, round(by, 3)) for batch in self.state.running() if by)]

    def _look_for_room(self) -> None:
        """A disk that runs full is known before it is full; a running batch goes on whatever is found."""
        changed = self.room.look(full=self.state.disk_full) if self.room is not None else None
        if changed is not None:
            full, free = changed
            self.note([DiskFilled(self.state.site, free) if full else DiskFreed(self.state.site, free)])

    @property
    def alarm(self) -> str:
        """What a person must know at once: what is not written, or not taken on, and why; empty where all is in order."""
        full = "the disk is full: no new batch is started here; running batches go on" if self.state.disk_full else ""
        refused = [f"{origin} is not taken by the control site: {why}" for origin, why in self.courier.state.stopped.items()]
        return "; ".join(
            each for each in (self.held, full, self.time.alarm, self.trouble.what if self.trouble and not self.held else "", *refused) if each
        )

    def _note_modules(self) -> None:
        units = {module: unit.id for unit in self.state.plant.units.values() for module in unit.modules}
        self._module_news += self.equipment.changes()
        if not self._module_news:
            return
        self._written = {}  # a module that came back may have lost its set-points: all are written again
        news = [(ModuleId(name), up, why[:WHY_MAX]) for name, up, why in self._module_news]
        self.note([ModuleRestored(units[module], module) if up else ModuleLost(units[module], module, why) for module, up, why in news])
        self._module_news = []

    async def _note_drift(self, frame: Frame, now: Moment) -> None:
        """What the equipment runs, held against what was released and what it was told before this poll."""
        read = await self.equipment.settings() if isinstance(self.equipment, ReadsBack) else _NOTHING_READ
        self.note(self.drift.look(self.state, frame, read, self._written, now=now.at, mint=self.mint), moment=now)

    async def _write(self) -> None:
        wanted = self.state.outputs()
        # What nothing asks for any more, as in manual mode, is a person's: no drift, and told anew when it is asked for again.
        self._written = {tag: value for tag, value in self._written.items() if tag in wanted}
        changed = {tag: value for tag, value in wanted.items() if self._written.get(tag) != value}
        if not changed:
            return
        refused = await self.equipment.write(changed)
        self._written.update({tag: value for tag, value in changed.items() if tag not in refused})
        news = [SetpointRefused(tag, why[:WHY_MAX]) for tag, why in refused.items() if tag not in self._refused_before]
        self._refused_before = set(refused)
        self.note(news)

    def seal_left_over(self) -> None:
        """After a start: seal the batches that were closed but not yet sealed to their end."""
        self.readings.settle()
        self.readings.seal_due(self.clock.now().at)

    # ---- what the courier asks and tells ----

    def blobs_to_send(self) -> list[str]:
        """The digests of sealed blocks."""
        return [digest for about, digest in self._blocks if not (about.startswith(BatchId.prefix) and self.withheld(BatchId(about)))]

    def blobs_to_fetch(self) -> list[str]:
        """The digests of published models and pictures that are not here yet."""
        models = self._models_needed() - self.site.models.keys() - self._unusable
        return sorted(models | self.missing_pictures())

    def missing_pictures(self) -> set[str]:
        """Pictures of this site's recipes that have not arrived."""
        self._shown |= {digest for digest in self.state.pictures.keys() - self._shown if self.blobs.has(digest)}
        return self.state.pictures.keys() - self._shown

    def _link_changed(self, up: bool, why: str) -> None:
        self.note([LinkRestored(self.state.site) if up else LinkLost(self.state.site, why[:WHY_MAX])])

    def _take_watermarks(self, notes: Mapping[str, str]) -> None:
        """Keep what the control site has signed, once it verifies; each step of `WATERMARK_STEP` facts is noted, not each fact."""
        for origin in self.courier.ledgers.keys() & notes.keys():  # ours alone: what else is named binds nobody here
            note, before = notes[origin], self.state.watermarks.get(origin, 0)
            try:
                size = open_watermark(note.encode(), origin=origin, by=self.control.keys.at(self.control.size))
            except Refusal as refusal:
                if origin not in self._watermarks_refused:  # told once for each ledger
                    self._watermarks_refused.add(origin)
                    self._ledger_refused(origin, f"watermark: {refusal}")
                continue
            ledger = next((each for each in self.ledgers.values() if each.origin == origin), None)
            if ledger is not None and before < size <= ledger.witnessed and (before == 0 or size - before >= WATERMARK_STEP):
                self.note([WatermarkReceived(origin, size, note)])

    def _ledger_refused(self, origin: str, why: str) -> None:
        self.note([LedgerRefused(origin, why[:WHY_MAX])])

    def live(self) -> dict[str, dict[str, float]]:
        """Thinned readings of running batches since this was last asked, for the control site's trends: never evidence."""
        units = {str(batch.control.unit) for batch in self.state.running() if not self.withheld(batch.control.batch)}
        return {unit: values for unit, values in self._thinned.take().items() if unit in units}

    def _seen(self) -> dict[str, dict[str, float]]:
        """The newest readings of running batches."""
        if self.frame is None:
            return {}
        units: dict[str, dict[str, float]] = {}
        for batch in self.state.running():
            if self.withheld(batch.control.batch):
                continue
            readings = self.frame.unit(batch.control.unit)
            values = {name: reading.value for name, reading in readings.items() if reading.good}
            told = self.judgements.get(batch.control.batch)
            judgement = None if told is None else told.findings
            if judgement is not None and judgement.judged[0]:
                t2, spe = (judgement.statistics[0, :2] / judgement.limit).tolist()
                values |= {"maturity": float(judgement.maturity[0]), "t2": t2, "spe": spe}
            units[str(batch.control.unit)] = values
        return units

    # ---- running ----

    async def run(self, *, scan_s: float, heartbeat_s: float) -> None:
        """Run until cancelled."""
        try:
            if not self.returning.waits:
                self.seal_left_over()
        except Refusal as refusal:  # tried again at every scan
            log.error("readings at %s not sealed: %s", self.state.site, refusal)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._scan_for_ever(scan_s))
                tasks.create_task(upload_for_ever(self.courier, self._news))
                tasks.create_task(download_for_ever(self.courier))
                tasks.create_task(self._heartbeat_for_ever(heartbeat_s))
                tasks.create_task(self._remember_for_ever())
                tasks.create_task(self._witness_for_ever())
                tasks.create_task(scrub_for_ever(self.mending.scrub, self.mending.look, self.mending.mend_once))
        finally:
            await self.ordering.close()
            self._close_talk(self.journal.open() if self.journal else [])
            self.readings.flush()
            if not self.returning.waits:
                self.note([NodeStopped(self.state.site)])
                self.keep_beacon()

    def _close_talk(self, parties: Sequence[str]) -> None:
        """Note how much small talk there was, and in the house how the journal stands."""
        if self.journal is not None and parties:
            with contextlib.suppress(Refusal):  # a full disk: tried again at the next heartbeat, or told as not counted after the next start
                self.journal.close(*parties)
                self.note([self.journal.anchor()])

    async def _scan_for_ever(self, scan_s: float) -> None:
        while True:
            try:
                await self.cycle()
                self.trouble = None
            except Refusal as refusal:  # a full disk, a broken buffer: alarm, and try again at the next scan
                self.trouble = self.trouble or Trouble(str(refusal), str(self.clock.now().at))
                log.error("scan of %s not finished: %s", self.state.site, refusal)
            await self.clock.sleep(scan_s)

    async def _witness_for_ever(self) -> None:
        while self.heads is not None:
            with contextlib.suppress(Refusal):  # the upload loop tells of a lost link
                if not self.returning.waits:
                    await self.heads.look_once(lambda: self.state.directory, read=lambda: self.control.size)
            await asyncio.sleep(HEADS_S)

    async def _remember_for_ever(self) -> None:
        while True:
            await asyncio.sleep(BEACON_S)
            try:
                self.keep_beacon()
            except Refusal as refusal:  # without a newer one, the next start asks the witness first, if at all
                log.error("beacon of %s: %s", self.state.site, refusal)

    async def _heartbeat_for_ever(self, heartbeat_s: float) -> None:
        while True:
            with contextlib.suppress(Refusal):  # the upload loop tells of a lost link; a missed heartbeat is only silence
                said = await self.courier.heartbeat(self.live())
                await self.mending.send_again(said.get("again"))
            self._close_talk(self.journal.due() if self.journal else [])
            await asyncio.sleep(heartbeat_s)
