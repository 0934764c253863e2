"""The gate before a batch (I2): everything that must allow it, each as a named check.

Guarantees: `may_start` runs every check and returns every note; a batch starts only where
none of them is a `STOP`.
Leaves to others: collecting the plain values (the node), noting the refusal with its
reasons. Licence, lease and competence will join as further checks.
"""

from __future__ import annotations

from dataclasses import dataclass

from isogenic.authority.people import Directory, Person, Role
from isogenic.authority.rules import Act, may, roles_that_may
from isogenic.authority.signatures import MEANINGS, verify_signature
from isogenic.checks import Note, Severity
from isogenic.errors import NotTrusted
from isogenic.ids import RecipeId, SiteId, UnitId
from isogenic.records.signatures import Signature

__all__ = [
    "APPROVALS_NEEDED",
    "RecipeAtSite",
    "UnitAtSite",
    "check_recipe_is_accepted_here",
    "check_recipe_is_effective",
    "check_two_people_approved",
    "check_unit_fits",
    "check_unit_is_free",
    "may_start",
]

APPROVALS_NEEDED = 2  # different people, one of them of quality: 21 CFR 211.100(a), 211.186(a)
APPROVAL_ACTS = (Act.SIGN_RECIPE_AS_AUTHOR, Act.APPROVE_RECIPE)


@dataclass(frozen=True, slots=True)
class RecipeAtSite:
    """What is known at the site of the recipe version that is asked for."""

    recipe: RecipeId
    version: int
    digest: str  # hex SHA-256 of the text held here, computed here
    published_digest: str  # as the control site published it
    effective: bool
    accepted: bool  # this site derived its control recipe from it and said so
    approvals: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class UnitAtSite:
    """What is known of the unit that is asked for."""

    unit: UnitId
    occupied_by: str = ""  # what stands in the way, for example a batch
    misfits: tuple[str, ...] = ()  # why the control recipe does not fit it


def _verdict(check: str, wrong: list[str], good: str, *, owner: str = "") -> list[Note]:
    return [Note(check, Severity.STOP, text, owner) for text in wrong] or [Note(check, Severity.GOOD, good)]


def check_recipe_is_effective(recipe: RecipeAtSite) -> list[Note]:
    """The version is published, effective, and the text held here is the one that was published."""
    wrong = []
    if not recipe.effective:
        wrong.append(f"{recipe.recipe} version {recipe.version} is not effective")
    if recipe.digest != recipe.published_digest:
        wrong.append(f"the text of {recipe.recipe} version {recipe.version} held here is not the one that was published")
    good = f"{recipe.recipe} version {recipe.version} is effective, and its text is the published one"
    return _verdict("check_recipe_is_effective", wrong, good, owner=Role.PROCESS_ENGINEER)


def check_recipe_is_accepted_here(recipe: RecipeAtSite, site: SiteId) -> list[Note]:
    """The site verified the recipe and derived its own control recipe."""
    wrong = [] if recipe.accepted else [f"{site} has not accepted {recipe.recipe} version {recipe.version}"]
    return _verdict("check_recipe_is_accepted_here", wrong, f"{site} accepted the recipe", owner=Role.PROCESS_ENGINEER)


def check_two_people_approved(digest: str, approvals: tuple[Signature, ...], directory: Directory, *, what: str = "recipe") -> list[Note]:
    """One person authored this very text and another approved it, each in a role that may, with the keys and roles on file."""
    wrong = []
    people: dict[Act, set[str]] = {act: set() for act in APPROVAL_ACTS}
    for signature in approvals:
        try:
            verify_signature(signature, directory)
        except NotTrusted as trouble:
            wrong.append(str(trouble))
            continue
        if signature.digest != digest:
            wrong.append(f"{signature.printed_name} signed another text than this {what}")
            continue
        done = [act for act in APPROVAL_ACTS if signature.meaning == MEANINGS[act] and signature.role in roles_that_may(act)]
        if not done:
            wrong.append(f"{signature.printed_name} signed as {signature.role}, meaning {signature.meaning!r}: that does not approve a {what}")
        for act in done:
            people[act].add(signature.person)
    signed = set().union(*people.values())
    missing = [MEANINGS[act] for act, by in people.items() if not by]
    if missing:
        wrong.append(f"nobody who may has signed the {what} as {' or as '.join(missing)}")
    elif len(signed) < APPROVALS_NEEDED:
        wrong.append(f"the {what} is signed by {len(signed)} of the {APPROVALS_NEEDED} people that it takes")
    return _verdict("check_two_people_approved", wrong, f"the {what} is signed by {', '.join(sorted(signed))}", owner=Role.QUALITY)


def check_unit_is_free(unit: UnitAtSite) -> list[Note]:
    """No other batch is on the unit."""
    wrong = [f"{unit.unit} is taken by {unit.occupied_by}"] if unit.occupied_by else []
    return _verdict("check_unit_is_free", wrong, f"{unit.unit} is free", owner=Role.OPERATOR)


def check_unit_fits(unit: UnitAtSite) -> list[Note]:
    """The control recipe stays within what the unit can do."""
    return _verdict("check_unit_fits", [f"{unit.unit}: {why}" for why in unit.misfits], f"the recipe fits {unit.unit}", owner=Role.PROCESS_ENGINEER)


def may_start(person: Person, *, site: SiteId, recipe: RecipeAtSite, unit: UnitAtSite, directory: Directory) -> list[Note]:
    """Every note of every check; a batch starts only without a `STOP` among them."""
    return [
        *check_recipe_is_effective(recipe),
        *check_recipe_is_accepted_here(recipe, site),
        *check_two_people_approved(recipe.published_digest, recipe.approvals, directory),
        *check_unit_is_free(unit),
        *check_unit_fits(unit),
        *may(person, Act.START_BATCH, site=site),
    ]
