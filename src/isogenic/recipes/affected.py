"""What a new version of a general recipe changes at each site, and the proof that it changes nothing else.

A master recipe is for the units of one class, and it is *reached* by a part of the general recipe only:
for which product it is, the unit procedures of its role with their chart, the chart of all of them (with
the parameters that its conditions name, because they decide for every unit), what its class needs, and of
the formula the parameters that these name (and those that scale them), each with its range and with the
site's own value where the site declares one. Titles of the recipe, its version and the parameters of other roles do not reach it.

The digest of that part is the same before and after exactly where the change does not reach: such a site
needs no new study, no training, no printed record. A change that the site's own difference covers reaches
its range only, if at all; the site then renews the value that its document says it replaces.

Guarantees: pure; a site from whose document nothing can be derived any more is affected, with the reasons.
Leaves to others: reading the documents; which sites have accepted what (network).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from hashlib import sha256

from isogenic.errors import NotValid
from isogenic.ids import SiteId
from isogenic.recipes.comparison import Same, differing, leaves
from isogenic.recipes.model import Difference, GeneralRecipe, SiteDocument, Target
from isogenic.recipes.roles import Slice, slices
from isogenic.recipes.site import derive_site
from isogenic.units import Quantity, same_dimension

__all__ = ["AtSite", "affected", "reach_digest", "rebased"]


@dataclass(frozen=True, slots=True)
class AtSite:
    """One master recipe: what reaches it, or that nothing does."""

    site: SiteId
    role: str
    equipment_class: str
    before: str  # digest of what reaches it
    after: str
    reached: tuple[str, ...]  # what is not the same, `path: was -> now`
    refused: str = ""  # why nothing can be derived from the new version with the site's document
    renew: tuple[str, ...] = ()  # differences that name a value that the general recipe no longer has

    @property
    def affected(self) -> bool:
        """Something reaches it."""
        return self.before != self.after or bool(self.refused)


def affected(old: GeneralRecipe, new: GeneralRecipe, documents: Sequence[SiteDocument]) -> tuple[AtSite, ...]:
    """For each site and role the digests before and after, in the order of the documents."""
    found: list[AtSite] = []
    for document in documents:
        before = {each.role: each for each in slices(derive_site(old, rebased(document, old)))}
        renewed = rebased(document, new)
        renew = tuple(
            f"{was.target} {was.name}: declared against {was.was}, the recipe now says {now.was}"
            for was, now in zip(document.differences, renewed.differences, strict=True)
            if was.was != now.was
        )
        try:
            after = {each.role: each for each in slices(derive_site(new, renewed))}
        except NotValid as refusal:
            found += [
                AtSite(document.site, role, each.equipment_class, reach_digest(each), "", (), refusal.why, renew) for role, each in before.items()
            ]
            continue
        for role in dict.fromkeys((*before, *after)):
            found.append(_compared(document.site, before.get(role), after.get(role), renew))
    return tuple(found)


def _compared(site: SiteId, before: Slice | None, after: Slice | None, renew: tuple[str, ...]) -> AtSite:
    one = after or before
    assert one is not None
    digests = tuple(reach_digest(each) if each is not None else "" for each in (before, after))
    reached = () if digests[0] == digests[1] else tuple(_reached(before, after))
    return AtSite(site, one.role, one.equipment_class, digests[0], digests[1], reached, renew=renew)


def _reached(before: Slice | None, after: Slice | None) -> Iterator[str]:
    if before is None or after is None:
        yield "the role is new" if before is None else "the role is gone"
        return
    for each in fields(Slice):
        for found in differing(getattr(before, each.name), getattr(after, each.name), each.name):
            if not found.path.endswith(".is"):
                yield f"{found.path.removeprefix('parts.')}: {found.was} -> {found.now}"


def rebased(document: SiteDocument, general: GeneralRecipe) -> SiteDocument:
    """The site's document as it would be written for this version: each difference against what the recipe says now."""
    return replace(
        document, recipe=general.recipe, version=general.version, differences=tuple(_against(each, general) for each in document.differences)
    )


def _against(difference: Difference, general: GeneralRecipe) -> Difference:
    if difference.target is Target.PARAMETER:
        parameter = general.formula.get(difference.name)
        if parameter is None or not same_dimension(Quantity.parse(difference.was).unit, parameter.value.unit):
            return difference
        written = Quantity.parse(difference.was).to(parameter.value.unit).value
        same = abs(written - parameter.value.value) <= 1e-9 * max(1.0, abs(written))
        return difference if same else replace(difference, was=f"{parameter.value.value:.12g} {parameter.value.unit}")
    for phase in general.procedure.phases:
        if difference.target is Target.TITLE and phase.name == difference.name:
            return replace(difference, was=phase.title)
        for prompt in phase.prompts:
            if difference.target is Target.QUESTION and prompt.name == difference.name:
                return replace(difference, was=prompt.text)
    return difference


# --- digests ------------------------------------------------------------------------------------


def reach_digest(part: Slice) -> str:
    """Hex SHA-256 over everything that reaches a master recipe."""
    whole = sha256(b"isogenic-master-reach/2\n")
    for name in (part.product, part.role, "first" if part.first else "later", part.equipment_class, part.chart):
        whole.update(name.encode() + b"\n")
    for need in part.needs:
        whole.update(_digest(need))
    for each in part.parts:
        whole.update(_digest_of_part(Same(each)))
    for name in sorted(part.formula):
        whole.update(_digest(part.formula[name]))
    return whole.hexdigest()


@lru_cache(maxsize=512)
def _digest_of_part(part: Same) -> bytes:
    return _leaf_digest(part.it)


@lru_cache(maxsize=4096)
def _digest(value: object) -> bytes:
    return _leaf_digest(value)


def _leaf_digest(value: object) -> bytes:
    lines = (f"{len(path)}:{path}={len(text)}:{text}\n" for path, text in leaves(value, ""))
    return sha256("".join(lines).encode()).digest()
