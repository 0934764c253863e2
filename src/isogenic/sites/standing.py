"""What a site holds about whether a batch may be made on a unit, put together for the gate; and what it answers a master file.

Guarantees: pure; from folded facts and the plant document only.
"""

from __future__ import annotations

from collections.abc import Mapping

from isogenic.authority.leases import Span
from isogenic.authority.master_file import MasterFileAnswered, MasterFilePublished, file_of
from isogenic.authority.permission import Standing, same_place
from isogenic.clock import Moment
from isogenic.errors import NotAllowed, Refusal
from isogenic.ids import UnitId
from isogenic.plant.model import SitePlant
from isogenic.recipes.approval import RecipePublished
from isogenic.recipes.publishing import master_recipe
from isogenic.sites.state import SiteState
from isogenic.units import Quantity

__all__ = ["answer_master_files", "standing_of"]

DIFFERENCES_MAX = 40  # of one answer; a file that differs in more is the wrong file


def standing_of(state: SiteState, publication: RecipePublished, *, unit: UnitId, now: Moment) -> Standing:
    """What the gate asks, for this recipe on this unit now."""
    if state.directory is None:
        raise NotAllowed(f"nothing can be made at {state.site}", why="the directory of people has not reached this site yet")
    where = state.plant.unit(unit)
    return Standing(
        site=state.site,
        recipe=publication.recipe,
        version=publication.version,
        unit=unit,
        unit_class=where.cls.name,
        unit_location=where.location,
        parameters=_parameters(publication, state.plant),
        published=tuple(state.permission.files.values()),
        licences=state.permission.licences,
        leases=state.permission.leases,
        competences=state.competences,
        directory=state.directory,
        time=_time(state, now),
    )


def _time(state: SiteState, now: Moment) -> Span:
    return state.permission.span(now)


def _parameters(publication: RecipePublished, plant: SitePlant) -> Mapping[str, Quantity]:
    """As the recipe sets them at this site. Where it cannot be derived, other checks say why."""
    try:
        return {name: parameter.value for name, parameter in master_recipe(publication, plant=plant).formula.items()}
    except Refusal:
        return {}


def answer_master_files(state: SiteState) -> list[MasterFileAnswered]:
    """Compare each published master file with the plant document; say so once, and again where the plant has changed since."""
    due = []
    for key, published in sorted(state.permission.files.items()):
        answer, before = _answer(published, state), state.permission.answers.get(key)
        if before is None or (before.units, before.differences) != (answer.units, answer.differences):
            due.append(answer)
    return due


def _answer(published: MasterFilePublished, state: SiteState) -> MasterFileAnswered:
    plant = state.plant
    units = {str(unit.id): unit.location for unit in plant.units.values()}
    return MasterFileAnswered(
        published.master_file,
        published.version,
        published.digest,
        state.site,
        units,
        tuple(_differences(published, plant)[:DIFFERENCES_MAX]),
        published.sponsor if published.sponsor in plant.sponsors else plant.sponsor,
    )


def _differences(published: MasterFilePublished, plant: SitePlant) -> list[str]:
    file = file_of(published)
    if file is None:
        return ["its text cannot be read here"]
    site = file.sites.get(plant.site)
    if site is None:
        return [f"{plant.site} is not in it"]
    found = [f"{unit} is not in it" for unit in plant.units if unit not in site.units]
    for filed in site.units.values():
        here = plant.units.get(filed.unit)
        if here is None:
            found.append(f"{filed.unit} is in it, and not at the site")
        elif here.cls.name != filed.equipment_class:
            found.append(f"{filed.unit} is a {here.cls.name}, and a {filed.equipment_class} in it")
        elif not any(same_place(here.location, where) for _, where in filed.locations):
            found.append(f"{filed.unit} stands in {here.location or 'a place that the plant document does not name'}, never in it")
    return found
