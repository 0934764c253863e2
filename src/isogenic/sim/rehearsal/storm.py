"""The faults of a night as they begin and end.

Guarantees: a fault that lasts is not begun again; at dawn every one of them is mended. What
happens follows from the night's dice and weather alone, never from what nodes do.
Leaves to others: how likely each is (faults), what it does to a request (lines) or a disk
(sim/disk), what must hold in spite of it (invariants).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isogenic.ids import SiteId
from isogenic.sim.rehearsal.faults import Weather
from isogenic.sim.rehearsal.keys import Thief
from isogenic.sim.rehearsal.machines import LEDGERS, Machine, SiteMachine

if TYPE_CHECKING:
    from isogenic.sim.rehearsal.night import Night

__all__ = ["Storm"]

DISK_FULL, LINK_DOWN, LINK_SLOW, CLOCK_WRONG, ROT, OLD_BACKUP = "disk full", "link", "slow link", "clock", "bit rot", "old backup"
THEFT = "key theft"
TRIES = 0.3  # of a thief, per tick
BACKUPS = 10  # are taken for each that is put back
ROOM_MAX = 30_000  # bytes that still fit a disk that is filling up: a few commits
FUSE_MAX = 60  # writes and syncs until the power goes: in the middle of some commit
NEVER = 1 << 60


class Storm:
    """Strikes machines and lines, and mends them again."""

    def __init__(self, night: Night, weather: Weather) -> None:
        self.night, self.weather = night, weather
        self._until: dict[tuple[str, str], int] = {}  # (machine, fault) -> the tick in which it is over
        self._skew: dict[str, float] = {}  # of a clock before it jumped
        self.thieves: dict[SiteId, Thief] = {}  # who has the keys of which site

    def strike(self) -> None:
        """What ends and what begins in this tick."""
        for (name, fault), until in sorted(self._until.items()):
            if self.night.tick >= until:
                self._mend(name, fault)
        for machine in self.night.machines:
            self._strike_machine(machine)
        if self.night.control.up and self.night.dice.random() < self.weather.control_ends:
            self.night.end(self.night.control, power=self.night.dice.random() < self.weather.by_power)
        for site in self.night.sites.values():
            self._strike_site(site)
        for machine in self.night.machines:
            self._strike_files(machine)
        for site in self.night.sites.values():
            self._strike_keys(site)

    def lasts(self, machine: Machine, fault: str) -> bool:
        """Whether a machine is under this fault now."""
        return (machine.name, fault) in self._until

    def pass_over(self) -> None:
        """Mend everything."""
        for name, fault in sorted(self._until):
            self._mend(name, fault)
        for machine in self.night.machines:
            machine.disk.cut_after(NEVER)
        for site in self.night.sites.values():
            assert site.line is not None
            site.line.badness = 0.0

    def _strike_machine(self, machine: Machine) -> None:
        dice, weather = self.night.dice, self.weather
        if dice.random() < weather.fuse:
            machine.disk.cut_after(dice.randrange(FUSE_MAX))
            machine.ends_by_power = dice.random() < weather.by_power
        if dice.random() < weather.disk_full and self._begin(machine.name, DISK_FULL, dice.randrange(1, 5)):
            machine.disk.quota = machine.disk.used() + dice.randrange(ROOM_MAX)
        if dice.random() < weather.clock_jumps and self._begin(machine.name, CLOCK_WRONG, dice.randrange(1, 12)):
            self._skew[machine.name] = machine.clock.skew_s
            machine.clock.skew_s += dice.choice([-1.0, 1.0]) * dice.choice([90.0, 3_600.0, 86_400.0]) * dice.random()

    def _strike_site(self, site: SiteMachine) -> None:
        dice, weather = self.night.dice, self.weather
        assert site.line is not None
        if dice.random() < weather.link_down and self._begin(site.name, LINK_DOWN, dice.randrange(1, 24)):
            site.line.down = True
            self.night.counts["outages"] += 1
        if dice.random() < weather.link_slow and self._begin(site.name, LINK_SLOW, dice.randrange(2, 24)):
            site.line.pace = dice.choice([200, 1_000, 5_000])
        module = dice.choice(sorted({str(signal.module) for signal in site.plant.signals()}))
        if dice.random() < weather.module_lost and self._begin(site.name, module, dice.randrange(1, 8)):
            site.machinery.down.add(module)

    def _strike_files(self, machine: Machine) -> None:
        """Damage or replace files. Only where the witness holds all that was noted, and is whole: what nobody else has, nobody can give back."""
        dice, weather = self.night.dice, self.weather
        if dice.random() < weather.old_backup * BACKUPS:
            machine.back_up()
        old, rotten = machine.backup is not None and dice.random() < weather.old_backup, dice.random() < weather.rot
        if not (old or rotten) or not machine.up or not self.night.all_witnessed(machine) or any(each.hurt for each in self.night.machines):
            return
        marks = machine.beacon.read() or {}
        if any(origin not in marks or marks[origin].size < ledger.size for origin, ledger in machine.held().items()):
            return  # within the seconds between two writings of the beacon, only the witness would notice, and too late
        origins = set(machine.held())
        self.night.end(machine, power=False)
        if old:
            machine.put_back()
            self._hurt(machine, OLD_BACKUP, origins)
        else:
            file = dice.choice(
                sorted(path for path in machine.disk.paths(LEDGERS) if path.endswith((".sqlite", ".sqlite-wal")) and machine.disk.size(path))
            )
            for _ in range(dice.choice([1, 1, 5, 50])):
                machine.disk.flip(file, at=dice.randrange(machine.disk.size(file)), bit=dice.randrange(8))
            self._hurt(machine, ROT, origins)

    def _strike_keys(self, site: SiteMachine) -> None:
        """A theft is noticed; somebody revokes the keys as soon as the control site is up; the thief goes on trying."""
        dice, control, thief = self.night.dice, self.night.control, self.thieves.get(site.site)
        if thief is None:
            if dice.random() < self.weather.theft and site.node is not None:
                thief = self.thieves[site.site] = Thief(tuple(site.keyring.here), str(site.keyring.prepare()))
                self.night.counts[THEFT] += 1
                self.night.book.happened(f"{site.name}: {THEFT}")
            return
        if control.node is None or self.night.directory_of(control.node) is None:
            return
        if not any(each.site == site.site for each in control.node.state.keys.revoked):
            self.night.people_revoke(site.site, thief.renewed)
        elif dice.random() < TRIES:
            self.night.forge(site, thief, dice.choice(thief.keys))

    def _hurt(self, machine: Machine, fault: str, origins: set[str]) -> None:
        machine.hurt |= origins
        if isinstance(machine, SiteMachine) and machine.line is not None:
            machine.line.afloat = []  # its sessions ended with it
        self.night.counts[fault] += 1
        self.night.book.happened(f"{machine.name}: {fault}")

    def _begin(self, name: str, fault: str, ticks: int) -> bool:
        """Whether a fault begins now; one that lasts is not made longer."""
        if (name, fault) in self._until:
            return False
        self._until[name, fault] = self.night.tick + ticks
        self.night.counts[fault] += 1
        self.night.book.happened(f"{name}: {fault} for {ticks}")
        return True

    def _mend(self, name: str, fault: str) -> None:
        del self._until[name, fault]
        machine = next(each for each in self.night.machines if each.name == name)
        if fault == DISK_FULL:
            machine.disk.quota = None
        elif fault == CLOCK_WRONG:
            machine.clock.skew_s = self._skew.pop(name)
        elif isinstance(machine, SiteMachine):
            assert machine.line is not None
            if fault == LINK_DOWN:
                machine.line.down = False
            elif fault == LINK_SLOW:
                machine.line.pace = 0
            else:
                machine.machinery.down.discard(fault)
