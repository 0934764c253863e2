"""What a text for one sponsor may not name: batches, lots, samples, receipts, recipes and products of another (I7).

A site works for several sponsors on the same units, so a reason why one batch cannot go on is often that another is there.
The reason is said; whose it is, and under which name, is not.

    BAT-7 of another sponsor       another batch
    LOT-B1 of another sponsor      another lot; also one that a line is only made ready for
    a sample, a receipt, a recipe, a product of another sponsor, and a label that names any of them

Guarantees: pure; a name that is the sponsor's own, too, stays. What is not known here cannot be told from any other text.
Leaves to others: which ledger a fact goes to (audiences).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from isogenic.checks import Note
from isogenic.errors import Refusal
from isogenic.ids import SponsorId
from isogenic.recipes.general import load_general
from isogenic.sites.audiences import sponsor_of
from isogenic.sites.state import SiteState

__all__ = ["for_sponsor", "is_strangers_lot", "names_strangers", "notes_for_sponsor"]


def for_sponsor(state: SiteState, text: str, sponsor: SponsorId) -> str:
    """The text, with words in the place of what belongs to another sponsor."""
    said = _strangers(state, sponsor)
    if not said:
        return text
    names = "|".join(re.escape(name) for name in sorted(said, key=lambda name: (-len(name), name)))
    return re.sub(rf"(?<![A-Za-z0-9_-])(?:{names})(?![A-Za-z0-9_-])", lambda found: said[found[0]], text)


def notes_for_sponsor(state: SiteState, notes: list[Note], sponsor: SponsorId) -> list[Note]:
    """The notes of checks, as this sponsor's people may read them."""
    return [Note(each.check, each.severity, for_sponsor(state, each.text, sponsor), each.owner) for each in notes]


def names_strangers(state: SiteState, text: str, sponsor: SponsorId) -> bool:
    """Whether a text names anything of another sponsor."""
    return for_sponsor(state, text, sponsor) != text


def is_strangers_lot(state: SiteState, lot: str, sponsor: SponsorId) -> bool:
    """Whether another sponsor's batch yields a lot, or another sponsor's line is made ready for it."""
    return _strangers(state, sponsor).get(lot) == "another lot"


def _strangers(state: SiteState, sponsor: SponsorId) -> dict[str, str]:
    if len(state.plant.sponsors) == 1:
        return {}
    said: dict[str, str] = {}
    mine: set[str] = set()
    for of, name, words in _owned(state):
        if of == sponsor:
            mine.add(name)
        else:
            said[name] = words
    return {name: words for name, words in said.items() if name and name not in mine}


def _owned(state: SiteState) -> Iterator[tuple[SponsorId | None, str, str]]:
    for batch in state.batches.values():
        yield batch.sponsor, batch.batch, "another batch"
        yield batch.sponsor, batch.lot, "another lot"
        yield batch.sponsor, batch.product, "another product"
    for sample, drawn in state.samples.items():
        of = state.batches.get(drawn.batch)
        yield (of.sponsor if of is not None else None), sample, "another sample"
    for received in state.stock.receipts.values():
        yield received.sponsor, received.receipt, "another receipt"
    for line in state.lines.values():
        for occupant in (line.last, line.following):
            if occupant is not None:
                yield occupant.sponsor, occupant.lot, "another lot"
                yield occupant.sponsor, occupant.product, "another product"
    for published in state.published.values():
        of_recipe = sponsor_of(published, state.plant)
        yield of_recipe, published.recipe, "another recipe"
        try:
            yield of_recipe, load_general(published.text, name="").product, "another product"
        except Refusal:  # what cannot be read names nothing
            continue
