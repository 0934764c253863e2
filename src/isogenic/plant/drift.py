"""Drift: what a module really runs is not what was released, or not what it was told.

    same --differs in one polling cycle--> drifted --the same again--> same

Guarantees: pure. A text is compared letter by letter. A number is compared in the module's own unit:
it is the same within the rounding of a 32-bit float (most controllers hold those), or within what the
plant document allows. A setting of a module that does not answer is unknown: it is not drift, and a
drift that stood goes on standing. A setting that a module which answers cannot tell, or that nobody
knows where to read, is a difference after `UNREADABLE_POLLS`.
Leaves to others: reading (drivers), noting, and marking the batch (sites.drift).

A drift of the equipment is the house's. What a batch was told is its sponsor's, so a set-point that
was changed at the panel is told in that batch's ledger only (I7).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from isogenic.ids import BatchId, ModuleId, UnitId
from isogenic.plant.settings import TEXT, Expected, SettingKind
from isogenic.records.facts import fact

__all__ = ["UNREADABLE", "UNREADABLE_POLLS", "BatchDriftEnded", "BatchDrifted", "DriftEnded", "DriftFound", "differs", "same_number", "unreadable"]

_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")
FLOAT32 = 2.0**-22  # relative: half a unit in the last place of a 32-bit float, twice converted between units
UNREADABLE = "cannot be read"
UNREADABLE_POLLS = 3  # a module that starts answers before its settings do


@fact("plant.drift_found", subject="module", house=True)
@dataclass(frozen=True, slots=True)
class DriftFound:
    """A module does not run what was released for it."""

    unit: UnitId | None  # None: the site has no such module
    module: ModuleId
    setting: str
    kind: SettingKind | None
    released: str
    found: str
    digest: str  # of the published set that says so; empty: the plant document


@fact("plant.drift_ended", subject="module", house=True)
@dataclass(frozen=True, slots=True)
class DriftEnded:
    """A module runs what is released for it again."""

    unit: UnitId | None
    module: ModuleId
    setting: str


@fact("plant.batch_drifted", subject="batch")
@dataclass(frozen=True, slots=True)
class BatchDrifted:
    """A batch ran on a unit while a module of it did not run what was released, or not what the batch told it."""

    batch: BatchId
    unit: UnitId
    module: ModuleId
    setting: str  # or the signal of a set-point
    kind: SettingKind | None
    released: str  # or as told
    found: str


@fact("plant.batch_drift_ended", subject="batch")
@dataclass(frozen=True, slots=True)
class BatchDriftEnded:
    """From here on, the batch's unit ran what it should, as far as this setting goes."""

    batch: BatchId
    unit: UnitId
    module: ModuleId
    setting: str


def differs(expected: Expected, read: str) -> bool:
    """Whether what a module answered is another setting than the expected one."""
    if expected.unit == TEXT:
        return read != expected.released
    try:
        number = float(read)
    except ValueError:
        return True
    if not expected.within and _WHOLE.fullmatch(read) and expected.number.is_integer():
        return int(read) != _whole(expected)  # a module that answers with a whole number has rounded nothing
    return not same_number(expected.number, number, within=expected.within)


def _whole(expected: Expected) -> int:
    """The released whole number as it was written, where that needs no other unit: a float holds 53 bits only."""
    number, _, unit = expected.released.partition(" ")
    return int(number) if _WHOLE.fullmatch(number) and (unit or "1") == expected.unit else int(expected.number)


def same_number(wanted: float, found: float, *, within: float = 0.0) -> bool:
    """Whether two numbers are one setting: within what is allowed, or within the rounding of a 32-bit float. NaN is never the same."""
    if not (math.isfinite(wanted) and math.isfinite(found)):
        return False
    return abs(wanted - found) <= max(within, FLOAT32 * max(abs(wanted), abs(found)))


def unreadable(polls: Mapping[str, int], read: Mapping[str, str], expected: Mapping[str, Expected]) -> dict[str, int]:
    """For each expected setting that was not told, in how many polls in a row.

    `read` has an empty text for what a module that answers cannot tell.
    """
    missing = {key for key, each in expected.items() if (key in read and not read[key]) or each.kind is None}
    return {key: polls.get(key, 0) + 1 for key in missing}
