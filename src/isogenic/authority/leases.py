"""Leases: for how long a site may start batches without hearing from the control site again.

The control site grants a lease while the licence is active, and renews it before it ends. A site that is suspended while it is
offline hears nothing, gets nothing, and can start nothing once its lease has run out (I6). The lease says only that: it stops
no running batch; what a running batch does is the product's rule of safe completion.

A lease is a question of time, so of whose clock. A site's true time lies between two bounds (`Span`):

    known from the control site   its offset, plus and minus its uncertainty and drift since
    not known                     from what the clock says, up to the highest time that any fact here bears, or what the clock
                                  would say had it never been set back since the control site last found it good

What must not have ended is held against the latest, what must have begun against the earliest. A clock that is set back
prolongs no lease: while the node runs, the offset follows the step (clock); across a restart the step is a fact
(`records.clock_stepped`), and the highest time seen stands anyway.

Guarantees: pure. A lease never lasts longer than `LEASE_MAX_H`. One lease at a time is on its way to a site: the next is granted
once the site has taken the one before, so that a long outage leaves no row of leases behind.
Leaves to others: noting them (network.leasing), the clock (clock, records.times).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from isogenic.clock import Moment
from isogenic.errors import NotValid
from isogenic.ids import LicenceId, SiteId
from isogenic.records.facts import Payload, fact
from isogenic.records.times import ClockMeasured, ClockStepped

__all__ = ["LEASE_H", "LEASE_MAX_H", "LeaseGranted", "OwnClock", "Span", "apply", "due", "span"]

LEASE_H = 168.0  # a week: longer than most outages, shorter than a suspension may wait
LEASE_MAX_H = 31 * 24.0  # a suspension reaches every site within a month, whatever a setting says
RENEW_FROM = 0.5  # of a lease's length gone: a site that is heard once in that time never runs dry
CONTROL_SOURCE = "control site"  # a clock's source, where the control site's time was asked for


@fact("authority.lease_granted", subject="licence")
@dataclass(frozen=True, slots=True)
class LeaseGranted:
    """A site may start batches under a licence until a time."""

    licence: LicenceId
    site: SiteId
    number: int
    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        if not timedelta() < self.until - self.since <= timedelta(hours=LEASE_MAX_H):
            raise NotValid("cannot note a lease", why=f"it lasts more than nothing and at most {LEASE_MAX_H:g} h")


Leases = Mapping[LicenceId, LeaseGranted]


def apply(leases: Leases, payload: Payload) -> Leases:
    """The newest lease under each licence, after one more fact of the control site."""
    if isinstance(payload, LeaseGranted):
        known = leases.get(payload.licence)
        if known is None or payload.number > known.number:
            return {**leases, payload.licence: payload}
    return leases


def due(lease: LeaseGranted | None, now: datetime) -> bool:
    """Whether the next lease is to be granted."""
    return lease is None or now >= lease.since + (lease.until - lease.since) * RENEW_FROM


class Span(NamedTuple):
    """Between which times the true time lies, as far as a site knows."""

    earliest: datetime
    latest: datetime
    why: str  # how that is known


@dataclass(frozen=True, slots=True)
class OwnClock:
    """What a site's own house says of its clock: the newest measurement, and how far it went back since it was last found good."""

    measured: ClockMeasured | None = None
    back_s: float = 0.0

    def after(self, payload: Payload) -> OwnClock:
        """The same after one more fact of the house."""
        if isinstance(payload, ClockMeasured):
            good = payload.source == CONTROL_SOURCE and payload.quality == "good"
            return OwnClock(payload, 0.0 if good else self.back_s)
        if isinstance(payload, ClockStepped):
            return OwnClock(self.measured, max(0.0, self.back_s - payload.by_s))
        return self


def span(now: Moment, *, seen: datetime | None, clock: OwnClock) -> Span:
    """Between which times the true time lies. `seen` is the highest time of any fact held here."""
    if now.source == CONTROL_SOURCE and now.offset_ms is not None:
        true, error = now.at + timedelta(milliseconds=now.offset_ms), timedelta(seconds=_error_s(now, clock.measured))
        return Span(true - error, true + error, "the clock's offset to the control site is known")
    ahead = now.at + timedelta(seconds=clock.back_s)
    if seen is not None and seen > ahead:
        return Span(now.at, seen, "a fact held here is later than the clock")
    why = "the site's clock, which nothing here contradicts"
    if clock.back_s:
        why = "the clock was set back, and the control site has not been heard since"
    return Span(now.at, ahead, why)


def _error_s(now: Moment, measured: ClockMeasured | None) -> float:
    """How far the known offset may be off: what was measured last, and the drift since."""
    if measured is None or measured.uncertainty_ms is None:
        return 0.0
    passed = 0.0
    if measured.steady_s is not None and now.steady_s is not None and measured.boot == now.boot:
        passed = max(0.0, now.steady_s - measured.steady_s)
    return measured.uncertainty_ms / 1e3 + measured.drift_ppm * 1e-6 * passed
