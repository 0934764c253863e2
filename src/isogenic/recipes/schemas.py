"""JSON Schemas of the documents that people write: for completion and complaints in an editor.

A schema says the shape: which keys, which of them must be there, which words are possible. What only
the reader can say (units that agree, names that exist, ranges) it leaves to `isogenic recipe check`.

Guarantees: what the reader takes the schema takes, too; words and signal names are those of the code.
Leaves to others: judging a document (general, site, plant.documents), writing the files (command line).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from isogenic.errors import NotFound
from isogenic.plant.classes import CLASSES, DOSE_NUMBER
from isogenic.plant.model import Protocol, Role
from isogenic.recipes.charts import TIMES_MAX
from isogenic.recipes.general import dose_signals
from isogenic.recipes.model import Answer, Expects, Per, Target, Then, Why

__all__ = ["KINDS", "schema_of", "schema_text"]

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
KINDS = ("general-recipe", "site-recipe", "plant", "blocks")
NAME = "^[a-z]([a-z0-9_]{0,28}[a-z0-9])?$"
TEXT: Schema = {"type": ["string", "number", "boolean"]}
FLAG: Schema = {"enum": [True, False, "true", "false"]}
WHOLE: Schema = {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^\s*[+-]?[0-9]{1,15}\s*$"}]}
NUMBER: Schema = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?\s*$"}]}


def schema_of(kind: str) -> Schema:
    """The schema of a kind of document, or `NotFound` with those that there are."""
    made = {"general-recipe": _general, "site-recipe": _site, "plant": _plant, "blocks": _library}
    if kind not in made:
        raise NotFound(f"no schema of {kind[:40]!r}", why="there is none of that name", possible=", ".join(KINDS))
    return {"$schema": DIALECT, "$id": f"urn:isogenic:schema:{kind}/1", **made[kind]()}


def schema_text(kind: str) -> str:
    """The schema as a file."""
    return json.dumps(schema_of(kind), indent=2, ensure_ascii=False) + "\n"


# --- pieces -------------------------------------------------------------------------------------


def _said(piece: Schema, words: str) -> Schema:
    return {**piece, "description": words}


def _table(properties: Mapping[str, Schema], *, needs: str = "", words: str = "") -> Schema:
    made: Schema = {"type": "object", "properties": dict(properties), "required": needs.split(), "additionalProperties": False}
    return {**made, "description": words} if words else made


def _named(value: Schema, *, name: str = "", words: str = "") -> Schema:
    made: Schema = {"type": "object", "additionalProperties": value}
    if name:
        made["propertyNames"] = {"pattern": name}
    return {**made, "description": words} if words else made


def _list(item: Schema, *, words: str = "") -> Schema:
    return {"type": "array", "items": item, **({"description": words} if words else {})}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _kind(name: str) -> Schema:
    return _said({"const": name}, "What this document is, and in which form.")


AMOUNT = _said(TEXT, "A quantity such as 37.0 degC, or @parameter of the formula.")
TIME = _said(TEXT, "A time such as 30 min, or @parameter of the formula.")
CONDITION = _said(TEXT, "Such as temperature > 36 degC and elapsed >= @growth_time; or answered, dosed, completed.")


def _signals() -> dict[str, list[str]]:
    """Set-points, dose signals, measurements of all classes, each once."""
    found: dict[str, dict[str, None]] = {"setpoint": {}, "dose": {}, "measured": {}}
    for cls in CLASSES.values():
        doses = dose_signals(cls)
        for name, signal in cls.signals.items():
            if name in doses:
                found["dose"][name] = None
            elif signal.role is Role.SETPOINT and not name.endswith(DOSE_NUMBER):
                found["setpoint"][name] = None
            elif signal.role is Role.MEASUREMENT:
                found["measured"][name] = None
    return {kind: list(names) for kind, names in found.items()}


def _capabilities() -> list[str]:
    return list(dict.fromkeys(name for cls in CLASSES.values() for name in cls.capabilities))


def _needs() -> Schema:
    bounds = _table({"low": AMOUNT, "high": AMOUNT}, needs="low high")
    words = "What a unit must be able to do: ranges of its capabilities."
    return {"type": "object", "properties": dict.fromkeys(_capabilities(), bounds), "additionalProperties": False, "description": words}


# --- general recipe -----------------------------------------------------------------------------


def _general() -> Schema:
    properties = {
        "isogenic": _kind("general-recipe/1"),
        "recipe": _said(TEXT, "The recipe's id: capitals, digits and dashes."),
        "version": _said(WHOLE, "1 or more; each approved text has its own."),
        "product": _said(TEXT, "The product's id."),
        "sponsor": _said(TEXT, "Whose process it is; needed where a site works for several."),
        "title": TEXT,
        "description": TEXT,
        "equipment_class": _said({"enum": list(CLASSES)}, "Where one unit is needed: its class. Otherwise see units."),
        "needs": _needs(),
        "units": _named(_table({"class": {"enum": list(CLASSES)}, "needs": _needs()}, needs="class"), name=NAME, words="The units, by role."),
        "formula": _named(_parameter(), name=NAME, words="The parameters, each with the range within which sites may differ."),
        "held": _said(_setpoints(), "In force while a batch is held; a phase may add to it."),
        "lost": _lost(),
        "procedure": _said(_ref("unit_procedures"), "Unit procedures, in order; with parallel, choose, repeat and use."),
        "blocks": _blocks(),
    }
    made = _table(properties, needs="isogenic recipe version product title formula procedure")
    made["anyOf"] = [{"required": ["units"]}, {"required": ["equipment_class", "needs"]}]
    return {"title": "Isogenic general recipe", **made, "$defs": _definitions()}


def _definitions() -> Schema:
    return {
        "unit_procedures": _level("unit_procedure"),
        "operations": _level("operation"),
        "phases": _level("phase"),
        "unit_procedure": _table(
            {
                "unit_procedure": _said(TEXT, "Its name."),
                "on": _said(TEXT, "The role of the unit that it runs on; default the first."),
                "operations": _ref("operations"),
                "on_hold": _said(_list(_ref("phase")), "Run one after another on the way to held."),
                "on_restart": _said(_list(_ref("phase")), "Run one after another on the way back."),
                "on_exception": _said(_list(_ref("operation")), "Run only where an exception names them."),
            },
            needs="unit_procedure operations",
        ),
        "operation": _table({"operation": _said(TEXT, "Its name."), "phases": _ref("phases")}, needs="operation phases"),
        "phase": _phase(),
        "use": _use(),
    }


def _level(one: str) -> Schema:
    """A list of named parts and of branches, alternatives, loops and uses of blocks."""
    inner = _ref(f"{one}s")
    way = {"anyOf": [_table({"when": CONDITION, "do": inner}, needs="when do"), _table({"otherwise": inner}, needs="otherwise")]}
    again = _table({"do": inner, "until": CONDITION, "at_most": WHOLE, "then": _then()}, needs="do until at_most")
    choices = [
        _ref(one),
        _table({"parallel": _list(inner, words="Side by side; done when every branch is.")}, needs="parallel"),
        _table({"choose": _list(way, words="The first way whose condition holds.")}, needs="choose"),
        _table({"repeat": _said(again, f"Again until a condition holds at the end of a round, 1 to {TIMES_MAX} times.")}, needs="repeat"),
        _ref("use"),
    ]
    return {"type": "array", "items": {"anyOf": choices}}


def _then() -> Schema:
    return {"enum": [str(each) for each in Then]}


def _lost() -> Schema:
    return _table({"after": TIME, "then": _then()}, words="A signal that decides something may be bad for so long; then this is done.")


def _parameter() -> Schema:
    return _table(
        {
            "title": TEXT,
            "value": _said(TEXT, "A quantity, such as 37.0 degC."),
            "low": _said(TEXT, "The lowest value that a site may set."),
            "high": _said(TEXT, "The highest value that a site may set."),
            "per": _said(
                {"enum": [str(each) for each in Per if each]}, "What the value is for: a litre, a million cells, a tip speed, an equal kLa."
            ),
            "of": _said(TEXT, "per: cells: the parameter that says how many; per: kla: the one that says the gas flow."),
            "critical": _said(FLAG, "A critical process parameter (ICH Q8)."),
            "adjustable": _said(FLAG, "May be changed in a running batch, within low and high, by signature."),
        },
        needs="title value low high",
    )


def _setpoints() -> Schema:
    return {"type": "object", "properties": dict.fromkeys(_signals()["setpoint"], AMOUNT), "additionalProperties": False}


def _phase() -> Schema:
    signals = _signals()
    dose = {
        "into": {"enum": signals["dose"]},
        "amount": _said(TEXT, "A quantity, @parameter, or everything."),
        "signal": {"enum": signals["measured"]},
        "below": AMOUNT,
        "to": AMOUNT,
        "stock": AMOUNT,
        "every": TIME,
        "when": CONDITION,
    }
    return _table(
        {
            "phase": _said(TEXT, "Its name, once in a recipe: facts name it."),
            "title": TEXT,
            "monitored": _said(FLAG, "Judged against the reference model."),
            "setpoints": _setpoints(),
            "held": _setpoints(),
            "ask": _list(_prompt(), words="Questions to people."),
            "dose": _table(dose, needs="into"),
            "service": _table({"name": TEXT, "procedure": TEXT, "parameters": _named(TEXT)}, needs="name", words="A service of the unit's module."),
            "enter": _list(_table({"parameter": TEXT, "text": TEXT}, needs="parameter text"), words="Parameters whose value a person enters."),
            "samples": _list(_table({"sample": TEXT, "what": TEXT, "when": CONDITION}, needs="sample what"), words="Sampling points."),
            "exceptions": _list(_table({"name": TEXT, "when": CONDITION, "for": TIME, "then": TEXT}, needs="name when then")),
            "until": _said(TEXT, "When the phase is done: a condition."),
            "timeout": _table({"after": TIME, "then": _then()}, needs="after then"),
            "lost": _lost(),
        },
        needs="phase title",
    )


def _prompt() -> Schema:
    timer = _table({"earliest": TIME, "latest": TIME, "after": TEXT})
    return _table(
        {
            "prompt": _said(TEXT, "Its name, once in a recipe."),
            "text": TEXT,
            "answer": {"enum": [str(each) for each in Answer]},
            "unit": TEXT,
            "low": NUMBER,
            "high": NUMBER,
            "choices": _list(TEXT),
            "expects": {"enum": [str(each) for each in Expects]},
            "material": TEXT,
            "picture": _table({"file": TEXT, "digest": TEXT}, needs="digest"),
            "witness": FLAG,
            "sign": FLAG,
            "competence": TEXT,
            "timer": {"anyOf": [TEXT, timer]},
        },
        needs="prompt text answer",
    )


def _use() -> Schema:
    said = {"use": _said(TEXT, "A block."), "with": _named(TEXT), "as": _said(TEXT, "Stands before the names of what the block does.")}
    return _table(said, needs="use")


def _blocks() -> Schema:
    # A block is unit procedures, operations or phases with $names in them: its own shape is judged where it is used.
    return _named(_table({"title": TEXT, "with": _list(TEXT), "do": {"type": "array"}}, needs="do"), name=NAME, words="Reusable blocks.")


def _library() -> Schema:
    properties = {"isogenic": _kind("blocks/1"), "title": TEXT, "blocks": _blocks()}
    return {"title": "Isogenic library of blocks", **_table(properties, needs="isogenic")}


# --- site recipe --------------------------------------------------------------------------------


def _site() -> Schema:
    common = {"type": {"enum": [str(each) for each in Why]}, "from": TEXT, "to": TEXT, "why": _said(TEXT, "The justification.")}
    targets = [_table({str(target): _said(TEXT, f"The name of the {target}."), **common}, needs=f"{target} from to why") for target in Target]
    properties = {
        "isogenic": _kind("site-recipe/1"),
        "site": TEXT,
        "recipe": TEXT,
        "version": WHOLE,
        "language": TEXT,
        "notes": _list(TEXT),
        "differences": _list({"anyOf": targets}, words="What this site has otherwise, of which type and why."),
        "wording": _named(
            {"anyOf": [TEXT, _table({"text": TEXT, "choices": _list(TEXT)}, needs="text choices")]},
            words="Each question in the site's language, behind the approved one; its choices, too, in the order of the recipe.",
        ),
    }
    return {"title": "Isogenic site recipe", **_table(properties, needs="isogenic site recipe version")}


# --- plant --------------------------------------------------------------------------------------


def _plant() -> Schema:
    transfer = _table(
        {"vessel": TEXT, "power_number": NUMBER, "a": NUMBER, "alpha": NUMBER, "beta": NUMBER}, needs="vessel power_number a alpha beta"
    )
    geometry = _table({"impeller": TEXT, "impellers": WHOLE, "density": TEXT, "oxygen_transfer": transfer}, needs="impeller")
    bounds = _table({"low": TEXT, "high": TEXT}, needs="low high")
    signal = _table({"node": TEXT, "unit": TEXT}, needs="node")
    names = [name for cls in CLASSES.values() for name in cls.signals]
    module: Schema = {  # what a protocol wants besides is judged by the reader
        "type": "object",
        "properties": {
            "protocol": {"enum": [str(each) for each in Protocol]},
            "endpoint": TEXT,
            "signals": {"type": "object", "properties": dict.fromkeys(names, signal), "additionalProperties": False},
            "services": {"type": "object"},
            "settings": {"type": "object"},
            "security": {"type": "object"},
        },
    }
    unit = _table(
        {
            "title": TEXT,
            "class": {"enum": list(CLASSES)},
            "make": TEXT,
            "location": TEXT,
            "working_volume": TEXT,
            "geometry": _said(geometry, "What scale rules need: the impeller's diameter; for an equal kLa the study of the vessel."),
            "capabilities": {"type": "object", "properties": dict.fromkeys(_capabilities(), bounds), "additionalProperties": False},
            "modules": _named(module),
        },
        needs="title class make working_volume capabilities modules",
    )
    properties = {
        "isogenic": _kind("plant/1"),
        "site": TEXT,
        "title": TEXT,
        "sponsor": TEXT,
        "further_sponsors": _list(TEXT),
        "latitude": NUMBER,
        "longitude": NUMBER,
        "units": _named(unit),
    }
    return {"title": "Isogenic plant document", **_table(properties, needs="isogenic site title sponsor latitude longitude units")}
