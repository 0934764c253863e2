"""What the control site tells its sites: noted in the house first, then in the ledger written for each site.

Guarantees: what the house holds is decided, and reaches the ledger of every site that it is for: at once; where that ledger
waits for its site, as soon as the site has answered; where the node ended in between, at its next start. In each ledger it
stands in the order of the house, with the same actor, and once. A site that is away keeps nothing from the others.
Leaves to others: who may decide what (decisions, credentials, revoking, entitling), what waits and why (records.returning).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from isogenic.ids import SiteId
from isogenic.network.state import Announced, ControlState
from isogenic.records.facts import Actor, Fact, Payload

__all__ = ["Publishing"]

log = logging.getLogger(__name__)


class Note(Protocol):
    """Notes facts in the ledger written for a site, or in the house."""

    def __call__(self, payloads: Sequence[Payload], /, *, site: SiteId | None = None, actor: Actor | None = None) -> list[Fact]: ...


class Publishing:
    """Publishes, and completes what is not published everywhere yet."""

    def __init__(self, *, state: Callable[[], ControlState], sites: Callable[[], list[SiteId]], waits: Callable[[SiteId], bool], note: Note) -> None:
        self._state, self._sites, self._waits, self.note = state, sites, waits, note

    def publish(self, *payloads: Payload, actor: Actor | None = None) -> list[SiteId]:
        """Note it in the house, and carry it on to whom it is for; gives the sites that it has yet to reach."""
        self.note(payloads, actor=actor)  # refused here, before anything is noted, where the house waits
        return self.complete()

    def complete(self) -> list[SiteId]:
        """Bring the ledgers of all sites up to what the house says; gives those that wait and lack something."""
        away = []
        for site in self._sites():
            lacking = self.lacking(site)
            if lacking and self._waits(site):
                log.warning("%s waits: %d facts are published to it once it has answered", site, len(lacking))
                away.append(site)
                continue
            for each in lacking:
                self.note([each.payload], site=site, actor=each.actor)
        return away

    def lacking(self, site: SiteId) -> list[Announced]:
        """What the house says for a site and the ledger written for it does not hold yet, in the order of the house."""
        state = self._state()
        told, found = Counter(state.told.get(site, ())), []
        for each in state.announced:
            if each.to not in (None, site):
                continue
            if told[each.digest] > 0:
                told[each.digest] -= 1
            else:
                found.append(each)
        return found
