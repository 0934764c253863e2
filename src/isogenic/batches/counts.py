"""Counts of a filling line: noted while it stands still, added up over restarts, and reconciled.

    noted       first for a batch: the baseline; then whenever no service of the unit is at work and a count has changed,
                and at once where one has fallen: then its module was started again
    added up    what a count has risen by since the note before; where a module began to count from nought, what it shows
    reconciled  containers taken in = good + rejected + sampled, and labels printed = applied + destroyed

Guarantees: pure; the totals depend on the notes alone, however often the node or the module was
started in between; a count that fell without its module having begun anew, one that could not be
read at the end, and every difference is a finding (21 CFR 211.125(c), 211.184; EU GMP Annex 1, 8).
Leaves to others: when there are readings (loop), what a finding means for the lot (quality: it blocks release
until its deviation is accepted).

A count that moves while its module is away and comes back lower is not known between the last
note and the restart: then the sums do not agree, and that is found, not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from isogenic.ids import BatchId, UnitId
from isogenic.plant.classes import COUNTS, REJECTED, STATE
from isogenic.plant.mtp.states import ServiceState
from isogenic.plant.readings import Reading
from isogenic.records.facts import fact

__all__ = ["AT_REST", "CountsNoted", "Reconciliation", "Tally", "due", "follow", "reconcile"]

AT_REST = frozenset(
    {ServiceState.IDLE, ServiceState.COMPLETED, ServiceState.STOPPED, ServiceState.ABORTED, ServiceState.HELD, ServiceState.PAUSED}
)  # nothing moves in these
CONTAINERS_IN, GOOD, SAMPLED = "containers_in", "containers_good", "containers_sampled"
STAGES = ("containers_in", "containers_filled", "containers_closed", "containers_inspected")  # none is ahead of the one before
LABELS_PRINTED, LABELS_APPLIED, LABELS_DESTROYED = "labels_printed", "labels_applied", "labels_destroyed"


@fact("batch.counts_noted", subject="batch")
@dataclass(frozen=True, slots=True)
class CountsNoted:
    """What the modules of a unit show as counted, while nothing of it moves."""

    batch: BatchId
    unit: UnitId
    counts: dict[str, float]  # by signal, as shown: a module may count on from a batch before
    restarted: tuple[str, ...] = ()  # counts that began from nought since the note before
    unread: tuple[str, ...] = ()  # counts whose reading is not good now


@dataclass(frozen=True, slots=True)
class Tally:
    """What a batch's notes add up to. Its tables are never changed in place."""

    shown: Mapping[UnitId, Mapping[str, float]] = field(default_factory=dict)  # newest, of each unit
    totals: Mapping[str, float] = field(default_factory=dict)  # over all units and restarts
    unread: Mapping[UnitId, tuple[str, ...]] = field(default_factory=dict)
    restarts: int = 0
    fell: tuple[str, ...] = ()  # counts that were lower than before, without having begun anew


def follow(tally: Tally, noted: CountsNoted) -> Tally:
    """After one more note."""
    before = tally.shown.get(noted.unit)
    shown, totals, fell = dict(before or {}), dict(tally.totals), list(tally.fell)
    for name, value in noted.counts.items():
        began = name in noted.restarted
        if name in shown:
            risen = value if began else value - shown[name]
            if risen < 0:
                fell.append(f"{name} of {noted.unit} fell from {shown[name]:.0f} to {value:.0f}")
            totals[name] = totals.get(name, 0.0) + max(risen, 0.0)
        else:  # the baseline, whenever it could first be read
            totals.setdefault(name, 0.0)
        shown[name] = value
    return replace(
        tally,
        shown={**tally.shown, noted.unit: shown},
        totals=totals,
        unread={**tally.unread, noted.unit: noted.unread},
        restarts=tally.restarts + bool(noted.restarted),
        fell=tuple(fell),
    )


def due(batch: BatchId, unit: UnitId, tally: Tally, seen: Mapping[str, Reading], *, modules: Mapping[str, str] | None = None) -> list[CountsNoted]:
    """The note that is due now, if one is: nothing of the unit moves and its counts are not those noted last, or one of them has fallen.

    `modules`: which module keeps a count; without it one keeps all. Where one count of a module begins from nought, all of them do,
    also one that shows as much as before by now.
    """
    counts = {name: reading for name, reading in seen.items() if name in COUNTS}
    if not counts:
        return []
    good = {name: float(round(reading.value)) for name, reading in counts.items() if reading.good}
    before, kept_by = tally.shown.get(unit, {}), modules or {}
    restarted = {kept_by.get(name, "") for name, value in good.items() if value < before.get(name, 0.0)}
    states = [reading for name, reading in seen.items() if name.endswith(STATE)]
    if not restarted and not all(_rests(each) for each in states):
        return []
    unread = tuple(sorted(counts.keys() - good.keys()))
    anew = tuple(sorted(name for name in good if kept_by.get(name, "") in restarted and name in before))
    changed = {name: value for name, value in good.items() if before.get(name) != value or name in anew}
    if not changed and unread == tally.unread.get(unit, ()):
        return []
    return [CountsNoted(batch, unit, changed, anew, unread)]


def _rests(reading: Reading) -> bool:
    return reading.good and int(reading.value) in AT_REST


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Whether everything that went in is accounted for."""

    taken_in: float = 0.0
    good: float = 0.0
    sampled: float = 0.0
    rejected: Mapping[str, float] = field(default_factory=dict)  # by reason
    printed: float = 0.0
    applied: float = 0.0
    destroyed: float = 0.0
    restarts: int = 0
    findings: tuple[str, ...] = ()

    @property
    def counted(self) -> bool:
        """Whether anything was counted at all."""
        return bool(self.taken_in or self.good or self.sampled or self.printed or self.applied or self.destroyed or sum(self.rejected.values()))

    @property
    def difference(self) -> float:
        """Containers taken in and not accounted for; below nought: more came out than went in."""
        return self.taken_in - self.good - self.sampled - sum(self.rejected.values())

    @property
    def label_difference(self) -> float:
        """Labels printed and not accounted for."""
        return self.printed - self.applied - self.destroyed


def reconcile(tally: Tally) -> Reconciliation:
    """What a batch's counts say."""
    total = tally.totals
    found = Reconciliation(
        taken_in=total.get(CONTAINERS_IN, 0.0),
        good=total.get(GOOD, 0.0),
        sampled=total.get(SAMPLED, 0.0),
        rejected={name.removeprefix(REJECTED): value for name, value in sorted(total.items()) if name.startswith(REJECTED)},
        printed=total.get(LABELS_PRINTED, 0.0),
        applied=total.get(LABELS_APPLIED, 0.0),
        destroyed=total.get(LABELS_DESTROYED, 0.0),
        restarts=tally.restarts,
    )
    return replace(found, findings=(*tally.fell, *_findings(found, tally)))


def _findings(found: Reconciliation, tally: Tally) -> list[str]:
    said = []
    if found.difference:
        rejected = sum(found.rejected.values())
        parts = f"{found.good:.0f} good, {rejected:.0f} rejected, {found.sampled:.0f} sampled"
        said.append(f"containers do not reconcile: {found.taken_in:.0f} taken in, {parts}; {_missing(found.difference)}")
    if found.label_difference:
        parts = f"{found.applied:.0f} applied, {found.destroyed:.0f} destroyed"
        said.append(f"labels do not reconcile: {found.printed:.0f} printed, {parts}; {_missing(found.label_difference)}")
    if found.applied and found.applied < found.good:
        said.append(f"{found.good:.0f} containers are good, and {found.applied:.0f} labels were applied")
    for before, after in pairwise(STAGES):
        if tally.totals.get(after, 0.0) > tally.totals.get(before, 0.0):
            said.append(f"{after.replace('_', ' ')} are {tally.totals[after]:.0f}, {before.replace('_', ' ')} {tally.totals.get(before, 0.0):.0f}")
    said += [f"{', '.join(names)} of {unit} could not be read at the end" for unit, names in tally.unread.items() if names]
    return said


def _missing(difference: float) -> str:
    return f"{difference:.0f} are not accounted for" if difference > 0 else f"{-difference:.0f} more came out than went in"
