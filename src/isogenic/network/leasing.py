"""Leases, granted by the control site to its sites: when a site asks for its ledger, while its licence is active.

Guarantees: no lease without an active licence and an effective master file that names the site; none longer than the setting;
the next is granted only once the site has taken the one before, so a site that is away for a month finds one, and it has ended.
A site that is not there asks for nothing and gets nothing: leases are no timer's work.
Leaves to others: what a lease is (authority.leases), carrying it (desk).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol

from isogenic.authority.leases import LEASE_MAX_H, LeaseGranted, due
from isogenic.authority.licences import Licence, State
from isogenic.authority.master_file import effective_at
from isogenic.clock import Clock, text_of_time, time_of_text
from isogenic.errors import Refusal
from isogenic.ids import SiteId
from isogenic.network.state import ControlState
from isogenic.records.facts import Actor, Fact, Payload
from isogenic.records.ledger import Ledger

__all__ = ["Leasing"]

log = logging.getLogger(__name__)


class Note(Protocol):
    """Notes facts in the ledger written for a site."""

    def __call__(self, payloads: Sequence[Payload], /, *, site: SiteId | None = None, actor: Actor | None = None) -> list[Fact]: ...


class Leasing:
    """Grants leases."""

    def __init__(self, *, state: Callable[[], ControlState], ledger: Callable[[SiteId], Ledger], clock: Clock, note: Note, lease_h: float) -> None:
        self._state, self._ledger, self._clock, self._note = state, ledger, clock, note
        self.lease_h = min(lease_h, LEASE_MAX_H)

    def due(self, site: SiteId) -> list[LeaseGranted]:
        """The leases that a site is to have now."""
        state = self._state()
        now, found = time_of_text(text_of_time(self._clock.now().at)), []
        for licence in state.authority.licences.values():
            lease = state.authority.leases.get(licence.id)
            if licence.site != site or licence.state is not State.ACTIVE or not due(lease, now) or not self._taken(licence, state):
                continue
            file = effective_at(state.authority.files(licence.applied.master_file), now)
            filed = file.sites.get(site) if file else None
            if filed is None or filed.since > now or (filed.until is not None and filed.until <= now):
                continue
            until = now + timedelta(hours=self.lease_h)
            found.append(LeaseGranted(licence.id, site, lease.number + 1 if lease else 1, now, until))
        return found

    def _taken(self, licence: Licence, state: ControlState) -> bool:
        """Whether the site has the lease before: it has cosigned the ledger up to there."""
        position = state.authority.lease_at.get(licence.id)
        return position is None or self._ledger(licence.site).witnessed > position

    def renew(self, site: SiteId) -> None:
        """Grant what is due, in the ledger written for the site."""
        leases = self.due(site)
        if leases:
            try:
                self._note(leases, site=site)
            except Refusal as refusal:  # a full disk, a ledger that waits: asked again with the next question
                log.error("no lease for %s: %s", site, refusal)
