"""One night: real nodes, simulated time, disk and lines, and everything that may go wrong, from one seed.

Guarantees: single-threaded and without an event loop: what is suspended is resumed by the
dice; the same seed gives the same trace to the last bit. Whoever dies is started again;
whoever is cut off is reached again in the end, so that both sides can be compared.
Leaves to others: what must hold (invariants), what can go wrong (faults), who acts (people).

A tick is a scan. In each tick, in an order that the dice decide: every site scans, its courier
makes some exchanges, people act, late requests arrive, processes end and are started again.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any

import apsw

from isogenic.authority.people import Directory
from isogenic.batches.facts import BatchStarted
from isogenic.clock import ManualClock
from isogenic.errors import NotReachable, Refusal
from isogenic.ids import SiteId, UnitId
from isogenic.network.control import ControlNode
from isogenic.plant.classes import DOSE_NUMBER
from isogenic.quality.release import LotReleased
from isogenic.records.facts import Fact
from isogenic.records.link import Answer
from isogenic.records.notes import Signer
from isogenic.sim.rehearsal import invariants
from isogenic.sim.rehearsal.book import Book, Place, WatchedStore
from isogenic.sim.rehearsal.broken import InvariantBroken
from isogenic.sim.rehearsal.equipment import Killed
from isogenic.sim.rehearsal.faults import Weather
from isogenic.sim.rehearsal.keys import Thief
from isogenic.sim.rehearsal.lines import FaultyLine, Request
from isogenic.sim.rehearsal.machines import ControlMachine, Machine, Parts, Setting, SiteMachine
from isogenic.sim.rehearsal.rehearsed import Rehearsed
from isogenic.sim.rehearsal.scene import NETWORK, cast, many_plants, plants
from isogenic.sim.rehearsal.storm import Storm
from isogenic.sim.world import SITES, directory_of

__all__ = ["Night"]

DUSK = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)
CALM_TICKS = 8  # at the end, without faults: people finish what they can
ROUNDS_MAX = 400  # of exchanges until both sides are equal: a night has some thousand facts, 512 to a page
RESUMES_MAX = 5  # of a scan within its tick


class Night:
    """All machines of one network, and what the night knows of them that no node can know."""

    def __init__(self, seed: int, *, hours: float, sites: int = 0, parts: Parts | None = None) -> None:
        """`sites`: a large network of so many; otherwise two or three, as the dice say."""
        self.seed, self.hours = seed, hours
        dice = Random(f"rehearsal {seed}")
        self.dice = dice
        self.step_h = dice.choice([1.0, 1.0, 2.0])
        chosen = dice.sample(SITES, dice.choice([2, 2, 3]))
        here = many_plants(sites) if sites else {site: plants()[site] for site in SITES if site in chosen}
        self.storm = Storm(self, Weather.of(dice))
        self.directory = directory_of(seed, here, network=NETWORK, characters=cast(here))
        self.clock = ManualClock(DUSK)
        self.book = Book(seed)
        self.book.listeners.append(self._heard)
        self.counts: Counter[str] = Counter()
        self.commanded: dict[SiteId, dict[str, set[float]]] = {site: {} for site in here}
        self.ordered: dict[SiteId, dict[tuple[UnitId, str, int], Fact]] = {site: {} for site in here}
        self._unit_of: dict[str, UnitId] = {}
        self.calm = False
        self.tick = 0
        setting = Setting(seed, self.clock, self.book, parts or Parts())
        self.control = ControlMachine(here, self.directory, setting, with_model=dice.random() < 0.4)
        self.sites = {
            site: SiteMachine(plant, setting, dice=Random(f"{seed} {site}"), perils=self._perils, reached=self._reached)
            for site, plant in here.items()
        }
        for site, machine in self.sites.items():
            machine.line = FaultyLine(
                deliver=partial(self._deliver, site),
                dice=Random(f"{seed} line {site}"),
                perils=self._perils,
                alive=partial(_powered, machine),
                badness=self.storm.weather.badness,
            )
            machine.machinery.on_execution = partial(invariants.check_i3_dose_was_ordered, self, site)
        self.machines: list[Machine] = [self.control, *self.sites.values()]
        for each in self.machines:
            each.on_opened = self._opened
            each.clock.skew_s = dice.uniform(-1, 1) * self.storm.weather.skew_s
        self.people = setting.parts.people(seed, Random(f"people {seed}"), self.storm.weather.late_people, self.storm.weather.commands)

    # ---- the night ----

    def run(self) -> Rehearsed:
        """From dusk to dawn; raises `InvariantBroken`."""
        try:
            with _hushed():
                for _ in range(max(1, round(self.hours / self.step_h))):
                    self._tick()
                self._calm_down()
                for _ in range(CALM_TICKS):
                    self._tick()
                self._settle()
                self._see_healed(at_dawn=True)
                self._look_at_everything()
            return self._told()
        finally:
            for machine in self.machines:
                machine.close()

    def _tick(self) -> None:
        self.tick += 1
        self.people.ticks = self.tick
        self.clock.advance(self.step_h * 3600.0)
        if not self.calm:
            self.storm.strike()
        self._start_machines()
        for act in self._acts():
            act()
        for machine in self.sites.values():
            self._finish_scan(machine)
        self._see_healed()
        invariants.check_i1_no_false_alarm(self)
        self.counts["checks"] += 1
        if self.dice.random() < 0.04:
            self._fold_again(tables=False)

    def _acts(self) -> list[Callable[[], None]]:
        acts: list[Callable[[], None]] = []
        for machine in self.sites.values():
            acts.append(partial(self._scan, machine))
            for _ in range(self.dice.randrange(2, 6)):
                acts.append(partial(self._exchange, machine, self.dice.choice(["upload", "upload", "download", "heartbeat"])))
            acts.append(partial(self._person, machine, self._operate))
            acts.append(partial(self._person, machine, self._measure))
            if machine.line is not None and machine.line.afloat and self.dice.random() < 0.5:
                acts.append(machine.line.deliver_late)
        acts += [partial(self._during, machine, partial(self._remember, machine)) for machine in self.machines]
        acts.append(partial(self._during, self.control, self._prepare))
        acts.append(partial(self._during, self.control, self._judge))
        self.dice.shuffle(acts)
        return acts

    # ---- what nodes do ----

    def _scan(self, machine: SiteMachine) -> None:
        machine.scanned = False
        if machine.node is not None:
            node = machine.node
            self._advance(machine, "scan", lambda: node.cycle())

    def _remember(self, machine: Machine) -> None:
        """As every few seconds: the beacon is written again."""
        assert isinstance(machine, SiteMachine | ControlMachine)
        assert machine.node is not None
        machine.node.keep_beacon()

    def _finish_scan(self, machine: SiteMachine) -> None:
        """Whatever a scan waits for is over within its tick; a link is nothing that it may wait for."""
        for _ in range(RESUMES_MAX):
            if "scan" in machine.tasks:
                self._advance(machine, "scan", None)
        if machine.up and "scan" in machine.tasks:
            invariants.check_i6_scan_was_finished(self, machine, finished=False, why="it waits for something that is no reading")
        self.counts["scans"] += machine.scanned

    def _exchange(self, machine: SiteMachine, kind: str) -> None:
        if machine.node is not None:
            node = machine.node
            begin: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
                "upload": node.courier.upload_once,
                "download": lambda: node.courier.download_once(wait=0),
                "heartbeat": lambda: node.courier.heartbeat(node.live()),
            }
            self._advance(machine, kind, begin[kind])

    def _advance(self, machine: SiteMachine, kind: str, begin: Callable[[], Coroutine[Any, Any, Any]] | None) -> bool:
        """Begin or resume one of a node's tasks; True when it ended and something moved."""
        moved = False

        def work() -> None:
            nonlocal moved
            task = machine.tasks.pop(kind, None) or (begin() if begin is not None else None)
            if task is None:
                return
            try:
                task.send(None)
            except StopIteration as done:
                moved = bool(done.value)
                machine.scanned = machine.scanned or kind == "scan"
            except NotReachable as trouble:
                if kind == "scan" and machine.powered and not self.storm.lasts(machine, "disk full") and not machine.hurt:
                    invariants.check_i6_scan_was_finished(self, machine, finished=False, why=str(trouble))
                raise
            else:
                machine.tasks[kind] = task

        self._during(machine, work)
        return moved

    def _during(self, machine: Machine, work: Callable[[], None]) -> None:
        """Do something on a machine. What ends its process ends it here; a disk or a link that refuses is borne."""
        if not machine.up:
            return
        try:
            work()
        except Killed:
            self.end(machine, power=False)
        except NotReachable as trouble:
            self.book.happened(f"{machine.name}: {trouble.what}")
        except (Refusal, apsw.Error) as trouble:
            if machine.powered:
                raise InvariantBroken("I1", seed=self.seed, seen=f"{machine.name} did not trust its own: {trouble!r}") from trouble
        self._bury()

    def _bury(self) -> None:
        """End every process whose disk has gone dark."""
        for machine in self.machines:
            if not machine.powered:
                self.end(machine, power=machine.ends_by_power)

    def end(self, machine: Machine, *, power: bool) -> None:
        machine.end(self.dice, power=power)
        machine.resting = self.dice.choice([0, 0, 1, 2, 8])
        self.counts["power cuts" if power else "kills"] += 1

    def _start_machines(self) -> None:
        for machine in self.machines:
            if machine.up:
                continue
            if machine.resting > 0 and not self.calm:
                machine.resting -= 1
                continue
            if self.dice.random() < 0.1:
                machine.clock.skew_s = self.dice.uniform(-1, 1) * self.storm.weather.skew_s
            try:
                machine.start()
            except (Refusal, apsw.Error) as trouble:
                full = self.storm.lasts(machine, "disk full")
                if machine.powered and not (full and isinstance(trouble, NotReachable)):
                    raise InvariantBroken("I1", seed=self.seed, seen=f"{machine.name} cannot be started: {trouble!r}") from trouble
                self.end(machine, power=not machine.powered and machine.ends_by_power)

    # ---- the wire ----

    def _deliver(self, site: SiteId, request: Request) -> Answer:
        if self._perils("control site, before a request"):
            self.end(self.control, power=self.dice.random() < self.storm.weather.by_power)
        self.book.happened(f"{site} {request.method} {request.path} {len(request.body)}")
        try:
            answer = self.control.answer(site, request)
        except (Refusal, apsw.Error) as trouble:
            if self.control.powered and not isinstance(trouble, NotReachable):
                raise InvariantBroken("I1", seed=self.seed, seen=f"the desk broke down: {trouble!r}") from trouble
            raise NotReachable("the control site does not answer", why=str(trouble)) from trouble
        if self._perils("control site, before its answer"):
            self.end(self.control, power=self.dice.random() < self.storm.weather.by_power)
            raise NotReachable("the control site does not answer", why="it ended")
        assert isinstance(answer, Answer)
        return answer

    # ---- people ----

    def _person(self, machine: SiteMachine, act: Callable[[SiteMachine], None]) -> None:
        self._during(machine, lambda: act(machine))

    def _operate(self, machine: SiteMachine) -> None:
        assert machine.node is not None
        self.people.operate(machine, machine.node)

    def _measure(self, machine: SiteMachine) -> None:
        assert machine.node is not None
        self.people.measure(machine.node)

    def _prepare(self) -> None:
        assert self.control.node is not None
        self.control.publish()
        self.control.node.note_silence(self.control.clock.now().at, silent_s=6 * 3600.0)
        self.people.prepare(self.control.node)

    def _judge(self) -> None:
        assert self.control.node is not None
        self.people.judge(self.control.node)

    # ---- faults ----

    def _perils(self, where: str) -> bool:
        return not self.calm and self.dice.random() < self.storm.weather.killed

    def _calm_down(self) -> None:
        """Dawn: everything is mended, and what was afloat arrives."""
        self.calm = True
        self.storm.pass_over()
        self._start_machines()
        for site in self.sites.values():
            assert site.line is not None
            while site.line.afloat:
                site.line.deliver_late()

    def _settle(self) -> None:
        """Exchange until nothing moves any more."""
        for machine in self.sites.values():
            for _ in range(ROUNDS_MAX):
                assert machine.node is not None
                node = machine.node
                up = self._advance(machine, "upload", node.courier.upload_once)
                down = self._advance(machine, "download", lambda node=node: node.courier.download_once(wait=0))  # type: ignore[misc]
                if not (up or down or machine.tasks):
                    break
                for kind in ("scan", "heartbeat"):
                    if kind in machine.tasks:
                        self._advance(machine, kind, None)
            else:
                raise InvariantBroken("I1", seed=self.seed, seen=f"{machine.name} and the control site never come to an end")

    # ---- looking ----

    def _fold_again(self, *, tables: bool) -> None:
        for machine in self.sites.values():
            if machine.up:
                invariants.check_i8_site_folds_again(self, machine)
                self.counts["checks"] += 1
        if self.control.up:
            invariants.check_i8_control_folds_again(self, self.control, tables=tables)
            self.counts["checks"] += 1

    def _look_at_everything(self) -> None:
        self._fold_again(tables=True)
        invariants.check_i1_both_sides_are_equal(self)
        for machine in self.sites.values():
            invariants.check_i3_nothing_ran_twice(self, machine)
        self.counts["checks"] += 1 + len(self.sites)

    # ---- a theft ----

    def directory_of(self, node: ControlNode) -> Directory | None:
        """Who is who, once that is published."""
        return node.state.directory

    def people_revoke(self, site: SiteId, renewed: str) -> None:
        """Quality revokes the stolen keys of a site."""

        def revoke() -> None:
            assert self.control.node is not None
            self.people.revoke(self.control.node, site, renewed)

        self._during(self.control, revoke)

    def forge(self, site: SiteMachine, thief: Thief, key: Signer) -> None:
        """The thief sends a fact that the site never noted, well signed with a stolen key, over a stolen session."""

        def deliver() -> None:
            assert self.control.node is not None
            origin = self.dice.choice(sorted(site.origins.values()))
            page = thief.forge(self.control.node.copies[origin][1], site=site.name, key=key, moment=site.clock.now())
            answer = self._deliver(site.site, Request("POST", "/v1/pages", page.to_bytes()))
            invariants.check_i1_forged_page_was_refused(self, origin, answer)
            self.counts["checks"] += 1
            self.counts["forged"] += 1

        self._during(self.control, deliver)

    def all_witnessed(self, machine: Machine) -> bool:
        """Whether all that a machine has noted is held elsewhere, too."""
        readers = {machine.name: [(each.directed, each.name) for each in self.sites.values()]}
        if isinstance(machine, SiteMachine):
            readers = {machine.name: [(origin, self.control.name) for origin in machine.origins.values()]}
        elsewhere = all(
            self.book.bodies.get((machine.name, origin)) == self.book.bodies.get((reader, origin)) for origin, reader in readers[machine.name]
        )
        if not isinstance(machine, ControlMachine) or machine.node is None or machine.node.mirror is None:
            return elsewhere
        return elsewhere and machine.node.mirror.size == machine.node.ledgers["HOUSE"].size

    def _see_healed(self, *, at_dawn: bool = False) -> None:
        """Whatever was damaged or replaced and is whole again holds every promise."""
        for machine in self.machines:
            held = machine.held()
            for origin in sorted(machine.hurt & set(held)):
                promised = self.book.bodies.get((machine.name, origin), [])
                if origin not in machine.waits and held[origin].size >= len(promised):
                    invariants.check_i1_promises_are_kept(self.seed, self.book, (machine.name, origin), held[origin].store)
                    machine.hurt.discard(origin)
                    self.counts["healed"] += 1
            if at_dawn and machine.hurt:
                raise InvariantBroken("I1", seed=self.seed, seen=f"{machine.name} never got back what it had: {sorted(machine.hurt)}")

    def _opened(self, place: Place, store: WatchedStore) -> None:
        if place[1] in next(each for each in self.machines if each.name == place[0]).hurt:
            return  # what is missing or wrong in it must be found, and healed
        invariants.check_i1_promises_are_kept(self.seed, self.book, place, store)
        self.counts["checks"] += 1

    def _reached(self, site: SiteId, tag: str, value: float) -> None:
        self.book.happened(f"{site} {tag} {value!r}")
        invariants.check_i3_value_was_noted(self, site, tag, value)
        self.counts["checks"] += 1

    def _heard(self, place: Place, fact: Fact) -> None:
        """A fact was noted or taken somewhere."""
        if place[0] == self.control.name and place[1] not in self.control.own.values():
            invariants.check_i1_copy_is_what_was_noted(self, place, fact)
        if isinstance(fact.payload, LotReleased) and place[0] == self.control.name:
            invariants.check_i4_release_was_right(self, fact.payload)
            self.counts["checks"] += 1
            self.counts["released"] += 1
        if place[0] == self.control.name or place[1] == self.sites[SiteId(place[0])].directed:
            return
        site = SiteId(place[0])
        if isinstance(fact.payload, BatchStarted):
            invariants.check_i2_start_was_allowed(self, site, fact)
            self.counts["checks"] += 1
        line = self.sites[site].line
        self.counts["noted without link"] += line is not None and line.down
        self.counts[fact.kind] += 1
        self._command(site, fact)

    def _command(self, site: SiteId, fact: Fact) -> None:
        """Remember what a noted fact allows to be written."""
        payload, commanded = fact.payload, self.commanded[site]
        if fact.kind == "batch.started":
            self._unit_of[fact.subject] = payload.unit
        elif fact.kind == "batch.setpoints_commanded":
            for name, value in payload.setpoints.items():
                commanded.setdefault(f"{self._unit_of[fact.subject]}.{name}", set()).add(value)
        elif fact.kind == "batch.dose_commanded":
            unit = self._unit_of[fact.subject]
            key = (unit, payload.dose, payload.number)
            if key in self.ordered[site]:
                raise InvariantBroken("I3", seed=self.seed, seen=f"dose {key} was ordered twice")
            self.ordered[site][key] = fact
            commanded.setdefault(f"{unit}.{payload.dose}", set()).add(payload.amount)
            commanded.setdefault(f"{unit}.{payload.dose}{DOSE_NUMBER}", set()).add(float(payload.number))

    def _told(self) -> Rehearsed:
        counts = self.counts
        closed = [fact for machine in self.sites.values() for fact in self.book.of(machine.sponsor) if fact.kind == "batch.closed"]
        lots = [fact for place, facts in self.book.facts.items() if place[0] == self.control.name for fact in facts]
        return Rehearsed(
            seed=self.seed,
            hours=self.hours,
            sites=tuple(map(str, self.sites)),
            facts=sum(len(bodies) for place, bodies in self.book.bodies.items() if place[0] == self.control.name),
            batches=counts["batch.started"],
            completed=sum(fact.payload.outcome == "complete" for fact in closed),
            released=counts["released"],
            rejected=sum(fact.kind == "quality.lot_rejected" for fact in lots),
            refusals=sum(fact.kind == "quality.release_refused" for fact in lots),
            doses=sum(len(machine.machinery.executions) for machine in self.sites.values()),
            kills=counts["kills"],
            power_cuts=counts["power cuts"],
            full_disks=counts["disk full"],
            outages=counts["outages"],
            slow_links=counts["slow link"],
            clock_jumps=counts["clock"],
            rotten=counts["bit rot"],
            old_backups=counts["old backup"],
            thefts=counts["key theft"],
            forged=counts["forged"],
            noted_without_link=counts["noted without link"],
            mishaps=sum(machine.line.mishaps.total() for machine in self.sites.values() if machine.line is not None),
            checks=counts["checks"],
            digest=self.book.digest,
        )


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """The nodes' alarms of a night are expected by the dozen: they go nowhere.

    Nor do the disk's own errors where SQLite answers for them: apsw has nobody to raise them to and would print them.
    """
    log, quiet = logging.getLogger("isogenic"), logging.NullHandler()
    propagated, hook = log.propagate, sys.unraisablehook
    log.addHandler(quiet)
    log.propagate = False
    sys.unraisablehook = lambda trouble: None if isinstance(trouble.exc_value, apsw.Error) else hook(trouble)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        log.propagate = propagated
        log.removeHandler(quiet)


def _powered(machine: Machine) -> bool:
    return machine.powered
