"""What of a recipe is for the units of one role: the part that a master recipe is made of.

Guarantees: a part names each parameter that it uses, and those that scale them; parts of different
roles share nothing but the formula.
Leaves to others: which unit takes a role (derive), what a change reaches (affected).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache

from isogenic.recipes.charts import text_of
from isogenic.recipes.comparison import Same
from isogenic.recipes.model import Need, Parameter, SiteRecipe, UnitProcedure

__all__ = ["Slice", "named_parameters", "slices"]

_NAMED = re.compile(r"(?:@|\bentered\.)([a-z][a-z0-9_]*)")


@dataclass(frozen=True, slots=True)
class Slice:
    """Everything of a site recipe that is for one role."""

    product: str
    role: str
    first: bool  # the one that a batch is started on
    equipment_class: str
    needs: tuple[Need, ...]
    parts: tuple[UnitProcedure, ...]
    chart: str  # of all unit procedures: when its own begin depends on the others
    formula: Mapping[str, Parameter]  # only what is named


def slices(recipe: SiteRecipe) -> tuple[Slice, ...]:
    """One for each role, in the order of the recipe."""
    found = []
    chart = text_of(recipe.procedure.chart)
    for at, role in enumerate(recipe.general.roles.values()):
        parts = tuple(each for each in recipe.procedure.unit_procedures if each.role == role.name)
        named = _with_scaling(_NAMED.findall(chart), recipe.formula)  # which way is taken, and how often
        for value in (*parts, *role.needs):
            named |= named_parameters(value, recipe.formula)
        formula = {name: recipe.formula[name] for name in recipe.formula if name in named}
        found.append(Slice(recipe.general.product, role.name, at == 0, role.equipment_class, role.needs, parts, chart, formula))
    return tuple(found)


# --- what names what ----------------------------------------------------------------------------


def named_parameters(value: object, formula: Mapping[str, Parameter]) -> frozenset[str]:
    """The parameters that a part of a procedure names, and those that scale them."""
    return _with_scaling(_named(Same(value)), formula)


def _with_scaling(names: Iterable[str], formula: Mapping[str, Parameter]) -> frozenset[str]:
    found = formula.keys() & names
    return frozenset(found) | frozenset(of for name in found if (of := formula[name].of) in formula)


@lru_cache(maxsize=512)
def _named(part: Same) -> frozenset[str]:
    return frozenset(_texts_naming(part.it))


def _texts_naming(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield from _NAMED.findall(value)
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            inner = getattr(value, each.name)
            if each.name == "parameter" and isinstance(inner, str):
                yield inner
            yield from _texts_naming(inner)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts_naming(inner)
    elif isinstance(value, (tuple, list)):
        for inner in value:
            yield from _texts_naming(inner)
