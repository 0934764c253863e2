"""What a node notes of its own clock, and when.

    records.clock_measured   at the start, when source or quality change, and every `MEASURED_EVERY_S`
    records.clock_stepped    when the wall clock jumped against the steady clock, or against what was noted before a restart

Guarantees: `look` says what is to be noted before anything else is; a step is told once. Across a restart a step is known
exactly where the machine itself was not restarted, and else only backward, as far as the newest fact is ahead of the clock.
Leaves to others: the clock itself (clock), what a step means for a running batch (batches).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from isogenic.clock import DRIFT, STEP_S, Clock, DisciplinedClock, Moment, step_between
from isogenic.records.facts import Fact, Payload, fact

__all__ = ["MEASURED_EVERY_S", "ClockMeasured", "ClockStepped", "ClockWatch"]

MEASURED_EVERY_S = 3_600.0  # holdover and drift move slowly; a fact an hour shows them


@fact("records.clock_measured", subject="node", house=True)
@dataclass(frozen=True, slots=True)
class ClockMeasured:
    """What a node knows of its clock: source, quality, offset and its uncertainty, how long since the last exchange, the drift bound."""

    node: str
    source: str
    quality: str
    offset_ms: float | None  # to be added to the node's times
    uncertainty_ms: float | None
    holdover_s: float | None
    drift_ppm: float
    boot: str  # which start of the machine
    steady_s: float | None  # seconds since then, when this was noted: the next start compares


@fact("records.clock_stepped", subject="node", house=True)
@dataclass(frozen=True, slots=True)
class ClockStepped:
    """A node's wall clock jumped by so many seconds, forward or (negative) backward. `where`: while it ran, or while it was down."""

    node: str
    by_s: float
    where: str


@dataclass(slots=True)
class ClockWatch:
    """Watches the clock of one node."""

    clock: Clock
    node: str
    alarm: str = ""  # of the newest step in this run
    _last: Moment | None = None
    _told: tuple[str, str] | None = None
    _told_at: float = 0.0

    def started(self, facts: list[Fact]) -> tuple[Moment, list[Payload], float]:
        """The same at the start, given the newest facts (of each ledger, and the newest measurement): a step while the node was down."""
        now = self.clock.now()
        measured = next((each for each in reversed(facts) if isinstance(each.payload, ClockMeasured) and each.payload.node == self.node), None)
        by = 0.0
        if measured is not None and measured.payload.steady_s is not None and measured.payload.boot:
            before = Moment(measured.at, steady_s=measured.payload.steady_s, boot=measured.payload.boot)
            by = step_between(before, now)
        newest: datetime = max((each.at for each in facts), default=now.at)
        behind = (now.at - newest).total_seconds()
        if by == 0.0 and behind < -STEP_S:
            by = behind
        self._last = now
        return now, self._noted(by, now, "while it was down"), by

    def look(self) -> tuple[Moment, list[Payload], float]:
        """The time now, what to note first, and by how much the clock has stepped since the last look."""
        now = self.clock.now()
        by = step_between(self._last, now) if self._last is not None else 0.0
        self._last = now
        return now, self._noted(by, now, "while it ran"), by

    def _noted(self, by: float, now: Moment, where: str) -> list[Payload]:
        noted: list[Payload] = []
        if by:
            noted.append(ClockStepped(self.node, round(by, 3), where))
            self.alarm = f"the clock stepped by {by:+.1f} s {where}, at {now.at:%Y-%m-%d %H:%M:%S} UTC: durations did not follow it"
        state = self.clock.state() if isinstance(self.clock, DisciplinedClock) else None
        if state is None or now.steady_s is None:
            return noted
        told = (state.source, str(state.quality))
        if by or told != self._told or now.steady_s - self._told_at >= MEASURED_EVERY_S:
            self._told, self._told_at = told, now.steady_s
            known = (state.offset_ms, state.uncertainty_ms, state.holdover_s)
            noted.append(ClockMeasured(self.node, *told, *known, DRIFT * 1e6, now.boot, round(now.steady_s, 3)))
        return noted
