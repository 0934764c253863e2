"""A derived master recipe beside its general recipe: what differs, and whether a declaration says so.

This is a second derivation of the differences. It does not know how a master recipe is derived:
it walks both recipes field by field, names whatever is not the same, and asks the site's document
to account for each by a declared difference of the right type, with these very values. A field
that somebody adds to recipes one day is compared from that day on, because the fields are asked
for their names; nothing is left out that is not named here (`OWN`).

Guarantees: an undeclared difference, a declared one that is not there, one without a type or of
the wrong type, and a master recipe that names other documents are each a `STOP`.
Leaves to others: whether the documents are signed (approval), whether a unit can run it (derive).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache

from isogenic.checks import Note, Severity
from isogenic.recipes.model import Difference, GeneralRecipe, MasterRecipe, SiteDocument, SiteRecipe, Target
from isogenic.recipes.site import ABOUT
from isogenic.units import Quantity

__all__ = ["Found", "Same", "check_every_difference_is_declared", "check_site_recipe", "differing", "found_differences", "leaves"]

# What only one of the two levels has, or has of its own; each is compared with the document that it is to name.
OWN = frozenset({"description", "digest", "sponsor", "site", "language", "units", "general_digest", "site_digest", "content"})
OWNER = "process engineer"
ABSENT = "nothing"
_NAMES = ("name", "capability")
_MASTER_FIELDS = frozenset(each.name for each in fields(MasterRecipe))


@dataclass(frozen=True, slots=True)
class Found:
    """One place where the master recipe is not the general recipe."""

    path: str
    was: str
    now: str


def found_differences(general: GeneralRecipe, master: MasterRecipe) -> tuple[Found, ...]:
    """Every place where the two are not the same, in the order of the general recipe."""
    theirs = {each.name for each in fields(master)}
    found: list[Found] = []
    for name in dict.fromkeys((*(each.name for each in fields(general)), *theirs)):
        if name not in OWN:
            found += differing(getattr(general, name, None), getattr(master, name, None), name)
    return tuple(found)


def differing(was: object, now: object, path: str) -> Iterator[Found]:
    """Where two values differ, leaf by leaf; one and the same value cannot differ from itself."""
    if was is now:
        return
    one, other = _inside(was), _inside(now)
    if one is None or other is None or type(was) is not type(now):
        before, after = dict(leaves(was, path)), dict(leaves(now, path))
        for each in dict.fromkeys((*before, *after)):
            if before.get(each) != after.get(each):
                yield Found(each, before.get(each, ABSENT), after.get(each, ABSENT))
        return
    if list(one) != list(other):
        yield Found(f"{path}.order", ", ".join(one), ", ".join(other))
    for key in dict.fromkeys((*one, *other)):
        if key in one and key in other:
            yield from differing(one[key], other[key], f"{path}.{key}")
        else:
            for place, text in leaves(one.get(key, other.get(key)), f"{path}.{key}"):
                yield Found(place, text, ABSENT) if key in one else Found(place, ABSENT, text)


def _inside(value: object) -> Mapping[str, object] | None:
    """The parts of a value by name, or None of a leaf."""
    if isinstance(value, Quantity):
        return None
    if isinstance(value, Mapping):
        return {str(key): inner for key, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return dict(zip(_keys(value), value, strict=True))
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    return None


def check_site_recipe(derived: SiteRecipe, document: SiteDocument) -> list[Note]:
    """The same at the level above, where no plant is known: the site recipe as a master recipe of the general recipe's own class."""
    general = derived.general
    common = {each.name: getattr(general, each.name) for each in fields(general) if each.name in _MASTER_FIELDS}
    own = {"site": derived.site, "language": derived.language, "units": (), "formula": derived.formula, "procedure": derived.procedure}
    master = MasterRecipe(**{**common, **own, "general_digest": general.digest, "site_digest": derived.digest, "digest": ""})
    return check_every_difference_is_declared(general, document, master)


def check_every_difference_is_declared(general: GeneralRecipe, document: SiteDocument, master: MasterRecipe) -> list[Note]:
    """Everything in which the master recipe differs is declared, typed and justified; nothing is declared that is not there."""
    found = {each.path: each for each in found_differences(general, master)}
    wrong = list(_other_documents(general, document, master))
    accounted: set[str] = set()
    for difference in document.differences:
        wrong += _ill_declared(difference)
        place = _place(general, difference.target, difference.name)
        accounted.add(place)
        if (found[place].now if place in found else _flat(Same(general)).get(place, ABSENT)) != _expected(difference, document):
            wrong.append(f"{difference.target} {difference.name} is declared as {difference.now}, and the master recipe does not have it so")
    for prompt, words in document.wording.items():
        place = _place(general, Target.QUESTION, prompt)
        accounted.add(place)
        if place not in found or not found[place].now.endswith(f" | {words}"):
            wrong.append(f"the question {prompt} is worded in {document.language}, and the master recipe does not have it so")
    wrong += [f"{each.path} is {each.now} and not {each.was}, and nothing declares it" for path, each in found.items() if path not in accounted]
    if wrong:
        return [Note("check_every_difference_is_declared", Severity.STOP, text, OWNER) for text in wrong]
    kinds = ", ".join(dict.fromkeys(str(each.why_type) for each in document.differences)) or "none"
    text = f"{len(found)} differences, each declared (types: {kinds}{', wording' if document.wording else ''})"
    return [Note("check_every_difference_is_declared", Severity.GOOD, text, OWNER)]


def _other_documents(general: GeneralRecipe, document: SiteDocument, master: MasterRecipe) -> Iterator[str]:
    for what, has, wanted in (
        ("general recipe", master.general_digest, general.digest),
        ("site document", master.site_digest, document.digest),
        ("site", master.site, document.site),
        ("language", master.language, document.language),
    ):
        if has != wanted:
            yield f"the master recipe names another {what}: {has[:16]}, not {wanted[:16]}"


def _ill_declared(difference: Difference) -> Iterator[str]:
    if difference.why_type is None:
        yield f"{difference.target} {difference.name} differs, and its type is not said; possible: {', '.join(ABOUT)}"
    elif difference.target not in ABOUT[difference.why_type]:
        yield f"{difference.target} {difference.name} cannot differ because of {difference.why_type}"
    if not difference.why.strip():
        yield f"{difference.target} {difference.name} differs, and nobody says why"


def _expected(difference: Difference, document: SiteDocument) -> str:
    if difference.target is Target.PARAMETER:
        return _text(Quantity.parse(difference.now))
    words = document.wording.get(difference.name) if difference.target is Target.QUESTION else None
    return f"{difference.now} | {words}" if words else difference.now


# --- walking ------------------------------------------------------------------------------------


class Same:
    """A value looked up by being the very same one: a recipe holds tables, which have no hash."""

    __slots__ = ("it",)

    def __init__(self, it: object) -> None:
        self.it = it

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.it is other.it

    def __hash__(self) -> int:
        return id(self.it)


@lru_cache(maxsize=16)
def _flat(recipe: Same) -> dict[str, str]:
    """The recipe as leaves; by the questions and titles that a site may name, too, wherever they stand."""
    found: dict[str, str] = {}
    assert isinstance(recipe.it, GeneralRecipe)
    for each in fields(recipe.it):
        found |= dict(leaves(getattr(recipe.it, each.name), each.name))
    return found


@lru_cache(maxsize=16)
def _ends(recipe: Same) -> dict[tuple[str, str, str], str]:
    """Where each question's text and each phase's title stands."""
    found: dict[tuple[str, str, str], str] = {}
    for path in _flat(recipe):
        parts = path.rsplit(".", 3)
        if len(parts) == 4 and path.startswith("procedure."):
            found.setdefault((parts[1], parts[2], parts[3]), path)
    return found


def _place(general: GeneralRecipe, target: Target, name: str) -> str:
    """Where in the recipe a target stands."""
    if target is Target.PARAMETER:
        return f"formula.{name}.value"
    places = [("prompts", name, "text")] if target is Target.QUESTION else [(where, name, "title") for where in ("phases", "on_hold", "on_restart")]
    return next((path for each in places if (path := _ends(Same(general)).get(each))), f"procedure.{name}")


def leaves(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Every leaf with its path; what has a name is found by it, and the order of names is a leaf of its own."""
    if isinstance(value, Quantity):
        yield path, _text(value)
    elif is_dataclass(value) and not isinstance(value, type):
        yield f"{path}.is", type(value).__name__
        for each in fields(value):
            yield from leaves(getattr(value, each.name), f"{path}.{each.name}")
    elif isinstance(value, Mapping):
        yield f"{path}.order", ", ".join(map(str, value))
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    elif isinstance(value, (tuple, list)):
        keys = _keys(value)
        yield f"{path}.order", ", ".join(keys)
        for key, inner in zip(keys, value, strict=True):
            yield from leaves(inner, f"{path}.{key}")
    else:
        yield path, str(value)


def _keys(values: Sequence[object]) -> list[str]:
    """What each of several is called: by its name where every one has its own, else by its number."""
    names = [next((found for name in _NAMES if isinstance(found := getattr(each, name, None), str)), "") for each in values]
    return names if all(names) and len(set(names)) == len(names) else [str(at) for at in range(len(names))]


def _text(value: Quantity) -> str:
    return f"{value.value!r} {value.unit}"
