"""What a site shows of its permission to start: its licences, how long each lease lasts, and what speaks against a start now.

Guarantees: the same checks as the gate's, on the unit for which least speaks against it; who starts is asked at the start.
"""

from __future__ import annotations

from isogenic.authority.permission import may_be_made
from isogenic.checks import stops
from isogenic.errors import Refusal
from isogenic.ids import PersonId, RecipeId
from isogenic.sites.node import SiteNode
from isogenic.sites.standing import standing_of
from isogenic.web.messages import time
from isogenic.web.site_messages import PermissionLine

__all__ = ["permission_lines"]

NOBODY = PersonId("NOBODY")


def permission_lines(node: SiteNode) -> list[PermissionLine]:
    """Each licence of this site; one line that says so where there is none."""
    state, lines = node.state, []
    for licence in state.permission.licences.values():
        lease = state.permission.leases.get(licence.id)
        against = _against(node, [each for each in state.published if _is_of(node, each[0], str(licence.applied.master_file))])
        lines.append(
            PermissionLine(
                licence=str(licence.id),
                product=str(licence.applied.product),
                state=str(licence.state),
                lease_until=time(lease.until) if lease else None,
                may_start=not against,
                why="; ".join(against),
            )
        )
    return lines or [PermissionLine(licence="", product="", state="none", lease_until=None, may_start=False, why="this site has no licence")]


def _is_of(node: SiteNode, recipe: RecipeId, master_file: str) -> bool:
    return any(str(name) == master_file and f"recipe: {recipe}" in each.text for (name, _), each in node.state.permission.files.items())


def _against(node: SiteNode, recipes: list[tuple[RecipeId, int]]) -> list[str]:
    """What speaks against starting the newest of these recipes, on the unit where least does."""
    if not recipes:
        return ["no recipe under it has reached this site"]
    publication = node.state.published[max(recipes)]
    found: list[list[str]] = []
    for unit in node.state.plant.units:
        try:
            notes = may_be_made(standing_of(node.state, publication, unit=unit, now=node.clock.now()), person=NOBODY)
        except Refusal as refusal:
            return [str(refusal)]
        found.append([note.text for note in stops(notes) if note.check != "check_is_competent"])
    return min(found, key=len, default=["this site has no unit"])
