"""What a night was like, as numbers and as a paragraph."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Rehearsed"]


NAMED_MAX = 3  # sites; of more it says how many


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a night was like. It says that every invariant held, because a broken one is raised."""

    seed: int
    hours: float
    sites: tuple[str, ...]
    facts: int
    batches: int
    completed: int
    released: int
    rejected: int
    refusals: int
    doses: int
    kills: int
    power_cuts: int
    full_disks: int
    outages: int
    slow_links: int
    clock_jumps: int
    rotten: int
    old_backups: int
    thefts: int
    forged: int
    noted_without_link: int
    mishaps: int
    checks: int
    digest: str

    def __str__(self) -> str:
        return (
            f"Night {self.seed}, {self.hours:g} h at {_named(self.sites)}: {self.batches} batches begun and {self.completed} completed with "
            f"{self.doses} doses, {self.released} lots released, {self.rejected} rejected, {self.refusals} releases refused. {self.kills} processes "
            f"were killed, {self.power_cuts} power cuts, {self.full_disks} full disks, {self.outages} links lost and {self.slow_links} slow for "
            f"hours, {self.mishaps} requests lost, late, slow or repeated, {self.clock_jumps} clocks jumped; {self.rotten} files rotted and "
            f"{self.old_backups} folders were replaced by old backups, all healed; {self.thefts} sites were robbed of their keys and "
            f"{self.forged} forged pages refused. {self.noted_without_link} facts were noted without a link; {self.facts} facts stand in all, "
            f"equal on both sides. I1, I3, I4, I6 and I8 held in {self.checks} checks. Trace {self.digest[:16]}."
        )


def _named(sites: tuple[str, ...]) -> str:
    return ", ".join(sites) if len(sites) <= NAMED_MAX else f"{len(sites)} sites"
