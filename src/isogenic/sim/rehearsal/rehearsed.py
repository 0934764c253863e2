"""What a night was like, as numbers and as a paragraph."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Rehearsed"]


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
    noted_without_link: int
    mishaps: int
    checks: int
    digest: str

    def __str__(self) -> str:
        return (
            f"Night {self.seed}, {self.hours:g} h at {', '.join(self.sites)}: {self.batches} batches begun and {self.completed} completed with "
            f"{self.doses} doses, {self.released} lots released, {self.rejected} rejected, {self.refusals} releases refused. {self.kills} processes "
            f"were killed, {self.power_cuts} power cuts, {self.full_disks} full disks, {self.outages} links lost for hours, {self.mishaps} requests "
            f"lost, late or repeated. {self.noted_without_link} facts were noted without a link; {self.facts} facts stand in all, equal on both "
            f"sides. I1, I3, I4, I6 and I8 held in {self.checks} checks. Trace {self.digest[:16]}."
        )
