"""What people ask about the serialised labels of a running batch: issue them, say what became of them."""

from __future__ import annotations

from collections.abc import Sequence

from isogenic.authority.people import Person
from isogenic.authority.rules import Act, require
from isogenic.batches.serials import Fate, Serials, account, issue, label_of, number_on
from isogenic.batches.state import BatchState
from isogenic.errors import NotAllowed, NotFound
from isogenic.ids import BatchId
from isogenic.records.facts import Payload
from isogenic.sites.state import SiteState

__all__ = ["account_for_labels", "issue_labels", "label_texts"]


def _running(state: SiteState, person: Person, batch: BatchId) -> BatchState:
    require(person, Act.ANSWER_PROMPT, site=state.site)
    found = state.batches.get(batch)
    if found is None:
        raise NotFound(f"no batch {batch} at {state.site}", why="it was not started here")
    if found.closed:
        raise NotAllowed(f"cannot note labels of {batch}", why="it is closed", possible="open a deviation")
    return found


def issue_labels(state: SiteState, person: Person, *, batch: BatchId, count: int) -> list[Payload]:
    """So many more labels for the lot of a running batch."""
    found = _running(state, person, batch)
    return [issue(state.serials.get(batch, Serials()), batch=batch, lot=found.lot, count=count, by=person.id)]


def account_for_labels(state: SiteState, person: Person, *, batch: BatchId, scanned: Sequence[str], fate: Fate, why: str = "") -> list[Payload]:
    """What became of labels, each by its code as it was scanned."""
    found = _running(state, person, batch)
    numbers = [number_on(each, lot=found.lot) for each in scanned]
    return [account(state.serials.get(batch, Serials()), numbers, fate, batch=batch, why=why, by=person.id)]


def label_texts(state: SiteState, batch: BatchId) -> list[str]:
    """The text of every label that was issued, for the printer."""
    serials = state.serials.get(batch, Serials())
    return [] if serials.lot is None else [label_of(serials.lot, number, batch=batch) for number in range(1, serials.issued + 1)]
