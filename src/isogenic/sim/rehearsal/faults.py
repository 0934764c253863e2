"""What goes wrong in a night: how often and for how long, all of it from the seed.

Guarantees: a quiet night and a terrible one both occur; nothing here looks at what the
nodes do, so a fault can meet any state.
Leaves to others: making it happen (storm).

    fault                       what is left of it
    killed                      the process ends at an await point or in the middle of a write; what was written stays
    power cut                   as above, and what was not synced is lost or torn
    disk full                   writes are refused for some hours, the process lives
    bit rot                     bits of a ledger's file are turned over while nobody looks: it must be healed
    old backup                  a node's folder is replaced by an older copy of itself: what is missing must come back
    key theft                   somebody has all keys of a site: revoked, and still used by the thief
    link down                   for hours
    link slow                   a page takes hours, and whatever else happens happens in the middle of it
    request lost, late,         see lines.py
     repeated, answer lost, slow
    module lost                 readings bad and set-points refused for hours
    clock                       of each node wrong by minutes, stepped when it starts; jumps by up to a day, and jumps back
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

__all__ = ["Weather"]


@dataclass(frozen=True, slots=True)
class Weather:
    """The chances of one night, per tick of each machine unless it says otherwise."""

    killed: float  # at each await point
    fuse: float  # the disk fails within its next writes
    by_power: float  # share of fuses and sudden ends that are power cuts
    control_ends: float
    disk_full: float
    link_down: float
    module_lost: float
    badness: float  # share of requests to which something happens
    late_people: float  # share of prompts that are answered a day late
    commands: float  # by people, of a running batch
    skew_s: float  # clocks are wrong by up to so many seconds
    link_slow: float
    rot: float
    old_backup: float
    theft: float
    clock_jumps: float

    @classmethod
    def of(cls, dice: Random) -> Weather:
        """The weather of one night."""
        grim = dice.choice([0.2, 0.6, 1.0, 2.0])
        return cls(
            killed=0.005 * grim * dice.random(),
            fuse=0.08 * grim * dice.random(),
            by_power=dice.random(),
            control_ends=0.06 * grim * dice.random(),
            disk_full=0.02 * grim * dice.random(),
            link_down=0.06 * grim * dice.random(),
            module_lost=0.04 * grim * dice.random(),
            badness=min(0.7, 0.4 * grim * dice.random()),
            late_people=0.05 * dice.random(),
            commands=0.015 * dice.random(),
            skew_s=dice.choice([0.0, 2.0, 300.0]),
            link_slow=0.05 * grim * dice.random(),
            rot=0.01 * grim * dice.random(),
            old_backup=0.01 * grim * dice.random(),
            theft=0.004 * grim * dice.random(),
            clock_jumps=0.02 * grim * dice.random(),
        )
