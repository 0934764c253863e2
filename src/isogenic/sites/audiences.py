"""For whom a fact is noted: which of a site's ledgers it belongs to.

A site works for several sponsors and keeps one ledger for each, and one for its house. The boundary between two sponsors
is the boundary of a ledger (I7), so this is the one place that decides it, and it never guesses:

    what a fact names                         goes to the ledger of
    a house kind                              the house
    a sponsor                                 that sponsor
    a batch, or a lot or sample of one        the sponsor that the batch was started for
    a recipe                                  the sponsor that the recipe names, by the text that two people signed
    nothing of these, one sponsor             that sponsor
    nothing of these, several                 refused: nobody can tell whose it is

Guarantees: pure; the same state and payload give the same ledger. A recipe for a sponsor that has no ledger here is answered
in the house, which no sponsor reads.
Leaves to others: noting (node), and who may read a ledger (entitlements).
"""

from __future__ import annotations

from collections.abc import Sequence

from isogenic.batches.facts import BatchStarted
from isogenic.errors import NotAllowed, NotValid, Refusal
from isogenic.ids import RecipeId, SampleId, SponsorId
from isogenic.plant.model import SitePlant
from isogenic.recipes.approval import RecipePublished
from isogenic.recipes.general import load_general
from isogenic.records.facts import Payload, is_house
from isogenic.sites.state import SiteState

__all__ = ["HOUSE", "audience_of", "check_works_for", "sponsor_of"]

HOUSE = "HOUSE"


def sponsor_of(publication: RecipePublished, plant: SitePlant) -> SponsorId | None:
    """Whose process a published recipe is; None where its text does not say and the site works for several."""
    try:
        named = load_general(publication.text, name=f"recipe {publication.recipe} version {publication.version}").sponsor
    except Refusal:  # a text that cannot be read says nothing; the site answers it as such
        named = None
    return named or (plant.sponsor if len(plant.sponsors) == 1 else None)


def check_works_for(publication: RecipePublished, plant: SitePlant) -> SponsorId:
    """The sponsor of a recipe, if this site works for it; else `NotAllowed`."""
    sponsor = sponsor_of(publication, plant)
    what = f"{publication.recipe} version {publication.version} cannot be run at {plant.site}"
    if sponsor is None:
        raise NotAllowed(
            what, why="the site works for several sponsors, and the recipe does not name its own", possible="name the sponsor in the recipe"
        )
    if sponsor not in plant.sponsors:
        raise NotAllowed(what, why=f"it is {sponsor}'s, and the site does not work for {sponsor}")
    return sponsor


def audience_of(payload: Payload, state: SiteState, *, together: Sequence[Payload] = ()) -> str:
    """The audience of one payload. `together` is what is noted with it: a batch that begins there is known already."""
    if is_house(payload):
        return HOUSE
    sponsors = state.plant.sponsors
    if len(sponsors) == 1:
        return str(sponsors[0])
    found = _sponsor(payload, state, together)
    if found is None:
        kind = type(payload).fact_name
        raise NotValid(f"cannot note {kind} at {state.site}", why="it names nothing that tells for which sponsor it is", possible=", ".join(sponsors))
    return str(found) if found in sponsors else HOUSE


def _sponsor(payload: Payload, state: SiteState, together: Sequence[Payload]) -> SponsorId | None:
    said = getattr(payload, "sponsor", None)
    if isinstance(said, SponsorId):
        return said
    begun = {each.batch: each for each in together if isinstance(each, BatchStarted)}
    lots = {each.lot: each.batch for each in begun.values()}
    batch, lot, sample = (getattr(payload, name, None) for name in ("batch", "lot", "sample"))
    if batch is None and lot is not None:
        batch = lots.get(lot) or (state.lots[lot].batch if lot in state.lots else None)
    if batch is None and isinstance(sample, SampleId) and sample in state.samples:
        batch = state.samples[sample].batch
    if batch is not None and batch in begun:
        return begun[batch].sponsor
    if batch is not None and batch in state.batches:
        return state.batches[batch].sponsor
    recipe = getattr(payload, "recipe", None)
    return _of_recipe(recipe, getattr(payload, "version", None), state) if isinstance(recipe, RecipeId) else None


def _of_recipe(recipe: RecipeId, version: int | None, state: SiteState) -> SponsorId | None:
    known = [number for name, number in state.published if name == recipe and version in (None, number)]
    if not known:
        return None
    # A recipe whose sponsor nobody can tell is answered in the house: no sponsor has it.
    return sponsor_of(state.published[recipe, max(known)], state.plant) or _NOBODY


_NOBODY = SponsorId("NOBODY")  # never a sponsor of a plant: its document may not name it
