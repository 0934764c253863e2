"""What changed from one recipe to another, typed.

Guarantees: every difference in what the two say is one `Change` with its path; comments and
layout are no change. Critical parameters are marked, because their changes are reviewed first.
Leaves to others: whether a change is allowed, and how it reads (pages).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from isogenic.recipes.charts import text_of
from isogenic.recipes.comparison import leaves
from isogenic.recipes.model import MAIN, ControlPrompt, Dose, GeneralRecipe, Operation, Per, Phase, Prompt, SiteDocument
from isogenic.units import Quantity

__all__ = ["Change", "ChangeKind", "What", "changes", "dose_text", "prompt_text"]

FOR_EACH = {Per.UNIT: "", Per.VOLUME: " for each L", Per.CELLS: " for each 1e6 cells", Per.KLA: " kLa", Per.TIP_SPEED: " at the tip"}


class ChangeKind(StrEnum):
    """What happened to a path."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class What(StrEnum):
    """What a change is of."""

    IDENTITY = "identity"  # which recipe, version, product, equipment class
    PARAMETER = "parameter"  # one is new, or gone
    SETPOINT = "setpoint"  # a value of the formula, or what a phase sets
    RANGE = "range"
    SCALE = "scale"  # the rule by which a value follows the vessel
    CRITICAL = "critical"
    ADJUSTABLE = "adjustable"  # may be changed in a running batch, or no more
    NEED = "need"
    PROCEDURE = "procedure"  # what runs after, beside or instead of what, and until when
    DOSE = "dose"
    SERVICE = "service"
    EXCEPTION = "exception"
    SAMPLE = "sample"
    PROMPT = "prompt"
    WORDING = "wording"
    DIFFERENCE = "difference"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference."""

    kind: ChangeKind
    path: str
    was: str
    now: str
    critical: bool = False

    @property
    def what(self) -> What:
        """Its type, which follows from its path."""
        first, *inside = self.path.split(".")
        if first == "formula":
            if self.kind is not ChangeKind.CHANGED and inside[-1] == "value":
                return What.PARAMETER
            return _OF_PARAMETER.get(inside[-1], What.WORDING)
        if first == "procedure":
            return next((what for part in inside[1:2] if (what := _OF_PHASE.get(part))), What.PROCEDURE)
        return _AT_TOP.get(first, What.IDENTITY)

    def __str__(self) -> str:
        mark = "  (critical)" if self.critical else ""
        start = f"{self.what:<10} {self.kind:<8} {self.path}"
        if self.kind is ChangeKind.CHANGED:
            return f"{start}: {self.was} -> {self.now}{mark}"
        return f"{start}: {self.now if self.kind is ChangeKind.ADDED else self.was}{mark}"


_OF_PARAMETER = {"value": What.SETPOINT, "range": What.RANGE, "per": What.SCALE, "critical": What.CRITICAL, "adjustable": What.ADJUSTABLE}
_OF_PHASE = {
    "setpoints": What.SETPOINT,
    "held": What.SETPOINT,
    "dose": What.DOSE,
    "ask": What.PROMPT,
    "service": What.SERVICE,
    "enter": What.PROMPT,
    "samples": What.SAMPLE,
    "exceptions": What.EXCEPTION,
    "title": What.WORDING,
}
_AT_TOP = {
    "needs": What.NEED,
    "units": What.NEED,
    "chart": What.PROCEDURE,
    "on": What.PROCEDURE,
    "differences": What.DIFFERENCE,
    "wording": What.WORDING,
    "notes": What.WORDING,
    "language": What.WORDING,
    "title": What.WORDING,
    "description": What.WORDING,
}


def changes(old: GeneralRecipe | SiteDocument, new: GeneralRecipe | SiteDocument) -> tuple[Change, ...]:
    """Every difference, in the order of the new document; what is gone comes last."""
    before, after = _flat(old), _flat(new)
    critical = {f"formula.{name}." for each in (old, new) if isinstance(each, GeneralRecipe) for name, one in each.formula.items() if one.critical}

    def change(kind: ChangeKind, path: str) -> Change:
        marked = any(path.startswith(each) for each in critical)
        return Change(kind, path, before.get(path, ""), after.get(path, ""), marked)

    found = []
    for path, now in after.items():
        if path not in before:
            found.append(change(ChangeKind.ADDED, path))
        elif before[path] != now:
            found.append(change(ChangeKind.CHANGED, path))
    return (*found, *(change(ChangeKind.REMOVED, path) for path in before if path not in after))


def _flat(recipe: GeneralRecipe | SiteDocument) -> dict[str, str]:
    flat = _general(recipe) if isinstance(recipe, GeneralRecipe) else _site(recipe)
    return {path: text for path, text in flat.items() if text}


def _general(recipe: GeneralRecipe) -> dict[str, str]:
    flat = {
        "recipe": str(recipe.recipe),
        "version": str(recipe.version),
        "product": str(recipe.product),
        "title": recipe.title,
        "description": recipe.description,
        "sponsor": str(recipe.sponsor or ""),
    }
    for name, one in recipe.formula.items():
        flat |= {
            f"formula.{name}.value": _exact(one.value),
            f"formula.{name}.per": f"{FOR_EACH[one.per]}{f' of {one.of}' if one.of else ''}".strip(),
            f"formula.{name}.range": f"{_exact(one.low)} to {_exact(one.high)}",
            f"formula.{name}.title": one.title,
            f"formula.{name}.critical": "yes" if one.critical else "",
            f"formula.{name}.adjustable": "yes" if one.adjustable else "",
        }
    for name, role in recipe.roles.items():
        flat["equipment_class" if name == MAIN else f"units.{name}.class"] = role.equipment_class
        start = "needs" if name == MAIN else f"units.{name}.needs"
        flat |= {f"{start}.{need.capability}": f"{need.low} to {need.high}" for need in role.needs}
    if len(recipe.roles) > 1:
        flat["units"] = ", ".join(recipe.roles)  # a batch is started on the first
    flat["chart"] = text_of(recipe.procedure.chart)
    for unit in recipe.procedure.unit_procedures:
        flat[f"on.{unit.name}"] = unit.role if len(recipe.roles) > 1 else ""
        flat[f"chart.{unit.name}"] = text_of(unit.chart)
        for operation in unit.operations:
            flat |= _operation(f"{unit.name}.{operation.name}", operation, f"{unit.name} / {operation.name}")
        for operation in unit.on_exception:
            flat |= _operation(f"{unit.name}.{operation.name}", operation, f"{unit.name} / on exception / {operation.name}")
        for words, phases in (("on_hold", unit.on_hold), ("on_restart", unit.on_restart)):
            flat[f"chart.{unit.name}.{words}"] = "; ".join(phase.name for phase in phases)
            for phase in phases:
                flat |= _phase(phase, f"{unit.name} / {words.replace('_', ' ')}")
    return flat


def _operation(path: str, operation: Operation, where: str) -> dict[str, str]:
    flat = {f"chart.{path}": text_of(operation.chart)}
    for phase in operation.phases:
        flat |= _phase(phase, where)
    return flat


def _exact(value: Quantity) -> str:
    """As people read it, and with every digit where that is not all of it."""
    shown = str(value)
    return shown if Quantity.parse(shown) == value else f"{value.value!r} {value.unit}".strip()


def _phase(phase: Phase, where: str) -> dict[str, str]:
    start = f"procedure.{phase.name}"
    flat = {
        f"{start}.operation": where,
        f"{start}.title": phase.title,
        f"{start}.until": phase.until,
        f"{start}.timeout": f"{phase.timeout}, then {phase.timeout_then}" if phase.timeout else "",
        f"{start}.lost": f"{phase.lost_after}, then {phase.lost_then}",
        f"{start}.dose": dose_text(phase.dose) if phase.dose else "",
        f"{start}.monitored": "yes" if phase.monitored else "",
    }
    flat |= {f"{start}.setpoints.{name}": text for name, text in phase.setpoints.items()}
    flat |= {f"{start}.held.{name}": text for name, text in phase.held.items()}
    for each in fields(phase):
        if each.name not in _SHOWN:  # what else a phase may have is shown leaf by leaf
            flat |= _leaves(getattr(phase, each.name), f"{start}.{each.name}")
    for prompt in phase.prompts:
        flat[f"{start}.ask.{prompt.name}"] = prompt_text(prompt)
        flat |= _leaves(prompt.how, f"{start}.ask.{prompt.name}") | _leaves(prompt.timer, f"{start}.ask.{prompt.name}.timer")
    if len(phase.prompts) > 1:
        flat[f"{start}.ask"] = ", ".join(prompt.name for prompt in phase.prompts)
    return flat


def _leaves(value: object, path: str) -> dict[str, str]:
    """What else a part may say, leaf by leaf; what is not said is no leaf."""
    return {place: text for place, text in leaves(value, path) if not place.endswith((".order", ".is")) and text not in ("", "None", "False")}


_SHOWN = frozenset(  # as rendered above
    ("name", "title", "setpoints", "held", "dose", "prompts", "until", "timeout", "timeout_then", "lost_after", "lost_then", "monitored")
)


def dose_text(dose: Dose) -> str:
    """A dose as people read it."""
    when = f", when {dose.when}" if dose.when else ""
    match dose.rule:
        case "amount":
            return f"{dose.amount} by {dose.into}{when}"
        case "everything":
            return f"everything by {dose.into}{when}"
        case "reach":
            return f"stock of {dose.stock} by {dose.into} up to {dose.to}{when}"
    return f"every {dose.every}, if {dose.signal} < {dose.below}: stock of {dose.stock} by {dose.into} up to {dose.to}{when}"


def prompt_text(prompt: Prompt | ControlPrompt) -> str:
    """A question as people read it."""
    low, high = ("" if each is None else f"{each:.12g}" for each in (prompt.low, prompt.high))
    limits = f" {low} to {high}".rstrip() if low or high else ""
    return f"{prompt.text} ({prompt.answer}{limits}{' ' + prompt.unit if prompt.unit else ''})"


def _site(document: SiteDocument) -> Mapping[str, str]:
    flat = {
        "site": str(document.site),
        "recipe": str(document.recipe),
        "version": str(document.version),
        "language": document.language,
    }
    flat |= {
        f"differences.{one.target}.{one.name}": f"{one.was} to {one.now} ({one.why_type or 'type not said'}: {one.why})"
        for one in document.differences
    }
    flat |= {f"notes.{at}": text for at, text in enumerate(document.notes, 1)}
    return flat | {f"wording.{prompt}": text for prompt, text in document.wording.items()}
