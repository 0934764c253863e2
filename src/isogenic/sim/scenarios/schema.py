"""The JSON Schema of scenarios, for completion and complaints in an editor.

Guarantees: what the reader takes the schema takes, too.
Leaves to others: units, names that a process must have, windows (`isogenic sim check`).
"""

from __future__ import annotations

import json
from typing import Any

from isogenic.sim.routes import FINISHES

__all__ = ["schema", "schema_text"]

Schema = dict[str, Any]
TEXT: Schema = {"type": ["string", "number"]}
FLAG: Schema = {"enum": [True, False, "true", "false"]}
WHOLE: Schema = {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^\s*[+-]?[0-9]{1,15}\s*$"}]}
NAMED: Schema = {"type": "object", "additionalProperties": TEXT}


def schema_text() -> str:
    """The schema as a file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def schema() -> Schema:
    """The schema."""
    product = {
        "every": _said(TEXT, "How often a trajectory is written, such as 6 h."),
        "turnaround": _said(TEXT, "Between two batches of one suite; default 72 h."),
        "orders": _said(TEXT, "Orders that come in at each site, such as 2 1/d; without it a batch starts whenever a suite is free."),
        "travel": _said(TEXT, "How long the starting material is on its way."),
        "expires": _said(TEXT, "Life of the starting material from the order on."),
        "finish": _said({"enum": list(FINISHES)}, "What becomes of a drug substance; default vials."),
        "rapid_sterility": _said(FLAG, "Whether sterility is tested by the fast method; default false."),
        "settings": _said(NAMED, "What the recipe sets, with units: isogenic sim processes NAME lists them."),
        "constants": _said(NAMED, "Constants of the equations, in place of the nominal ones."),
    }
    site = {
        "share": _said(TEXT, "How much of the study it makes; default 1."),
        "suites": _said(
            {"anyOf": [WHOLE, {"type": "object", "additionalProperties": WHOLE}]}, "Batches side by side, for all processes or for each."
        ),
        "crews": _said(WHOLE, "Each purifies and fills one batch at a time; without it nobody waits for one."),
        "shifts": _said(WHOLE, "Of eight hours, in which operations are begun; default 3."),
        "shifts_in_surge": _said(WHOLE, "While orders surge, where they are more."),
        "assays": _said(WHOLE, "That its laboratory runs at once; without it none waits."),
        "couriers": _said(WHOLE, "Who bring starting material, for each process; without it there is always one."),
        "offsets": _said(NAMED, "Constants in which the site differs, as shares: 3 %."),
        "settings": NAMED,
        "lots": _said({"type": "array", "items": TEXT}, "Lots of medium that it uses, one after another."),
        "laboratory": _said(NAMED, "Attributes that its laboratory reports so much too high."),
    }
    fault = {
        "fault": _said({"type": "string"}, "A fault of the catalogue: isogenic sim faults."),
        "start": _said(TEXT, "Age of the batch, or day of the study for what strikes a network."),
        "duration": _said(TEXT, "How long; default to the end."),
        "size": _said(TEXT, "How bad, in the unit of the catalogue."),
        "process": {"type": "string"},
        "sites": {"type": "array", "items": TEXT},
        "batches": _said({"anyOf": [TEXT, {"type": "array", "items": TEXT}]}, "Numbers at each site from 1: 3, 3-8, [1, 5-7]."),
        "lots": {"type": "array", "items": TEXT},
        "share": _said(TEXT, "Of the batches that it could strike, by dice: 20 %."),
        "sensor": _said({"type": "string"}, "The variable whose probe is struck."),
        "attribute": _said({"type": "string"}, "The attribute that the laboratory reports wrongly."),
    }
    properties = {
        "isogenic": _said({"const": "scenario/1"}, "What this document is, and in which form."),
        "title": TEXT,
        "what": _said(TEXT, "What is tried, for whoever reads it later."),
        "seed": _said(WHOLE, "The same seed gives the same bytes."),
        "process": _said({"type": "string"}, "The process model; its keys stand beside it. For several: processes."),
        "processes": {"type": "object", "additionalProperties": _table(product)},
        **product,
        "batches": _said(WHOLE, "How many, unless whoever runs it says otherwise; of a period, at most."),
        "period": _said(TEXT, "How long the study lasts: 365 d; the number of batches follows."),
        "lot_batches": _said(WHOLE, "Batches of the network that one lot of medium lasts for."),
        "sites": {"type": "object", "additionalProperties": _table(site), "propertyNames": {"pattern": "^[A-Z][A-Z0-9-]{0,29}$"}},
        "faults": {"type": "array", "items": _table(fault, "fault")},
        "instruments": _said(FLAG, "Whether probes read the truth; default true."),
        "spectra": _said(FLAG, "Whether spectra are written; default false: they are large."),
        "laboratory": _said(FLAG, "Whether the laboratory reports; default true."),
        "operations": _said(FLAG, "Whether timed operations follow the process; default true."),
    }
    made = _table(properties, "isogenic", "title")
    made["anyOf"] = [{"required": ["process"]}, {"required": ["processes"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:isogenic:schema:scenario/1", "title": "Isogenic scenario", **made}


def _said(piece: Schema, words: str) -> Schema:
    return {**piece, "description": words}


def _table(properties: dict[str, Schema], *needs: str) -> Schema:
    return {"type": "object", "properties": properties, "required": list(needs), "additionalProperties": False}
