"""What the three-way difference compares, collected from the ledgers: published recipes, specifications, answers, commitments.

Guarantees: from folded facts only, so it is as new as the newest fact, and the same after a restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from isogenic.authority.commitments import Limits
from isogenic.authority.difference import Difference, Process, ProcessParameter, three_way
from isogenic.authority.master_file import MasterFile, effective_at
from isogenic.errors import NotFound, Refusal
from isogenic.ids import MasterFileId, SiteId
from isogenic.network.state import ControlState
from isogenic.recipes.general import load_general
from isogenic.recipes.model import GeneralRecipe
from isogenic.recipes.site import derive_site, load_site
from isogenic.units import Quantity

__all__ = ["differences", "file_in_force", "process_of"]


def file_in_force(state: ControlState, master_file: MasterFileId, now: datetime) -> MasterFile:
    """The version in force, or, before the first day of the first, that one; or `NotFound`."""
    files = state.authority.files(master_file)
    if not files:
        raise NotFound(
            f"no master file {master_file}", why="none is published under that name", possible=", ".join(state.authority.names()) or "none yet"
        )
    return effective_at(files, now) or files[0]


def process_of(state: ControlState, file: MasterFile) -> Process | None:
    """What is executed under a master file: the newest recipe that was published anywhere; None before."""
    there = {
        site: view.published[max(mine)] for site, view in state.sites.items() if (mine := [key for key in view.published if key[0] == file.recipe])
    }
    newest = max(there.values(), key=lambda each: each.version, default=None)
    if newest is None:
        return None
    try:
        general = load_general(newest.text)
    except Refusal:
        return None
    specification = state.specifications.get(general.product)
    return Process(
        recipe=general.recipe,
        version=general.version,
        product=general.product,
        equipment_class=general.equipment_class,
        parameters={
            name: ProcessParameter(each.value, each.low, each.high, each.per_volume, each.critical) for name, each in general.formula.items()
        },
        sites={site: _set_at(general, published.site_text) for site, published in there.items()},
        attributes={name: Limits(each.low, each.high, each.unit) for name, each in specification.attributes.items()} if specification else {},
    )


def _set_at(general: GeneralRecipe, text: str) -> Mapping[str, Quantity]:
    """The values of the formula as a site sets them; nothing where its document cannot be read: publishing says why."""
    try:
        return {name: each.value for name, each in derive_site(general, load_site(text)).formula.items()}
    except Refusal:
        return {}


def differences(state: ControlState, master_file: MasterFileId, *, now: datetime) -> list[Difference]:
    """The three-way difference of one master file, now."""
    file = file_in_force(state, master_file, now)
    answers: dict[SiteId, object] = {site: each for (site, name), each in state.authority.answers.items() if name == master_file}
    promised = [each for (product, _), each in sorted(state.authority.commitments.items()) if product == file.product]
    return three_way(file, commitments=promised, process=process_of(state, file), answers=answers, now=now)  # type: ignore[arg-type]
