"""What a check says: notes, all of them at once, each with its severity and owner.

A check is a named function `check_...(thing) -> list[Note]`. A screen shows every note of
every check, never only the first; an act is refused while any note is a `STOP`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Note", "Severity", "stops"]


class Severity(StrEnum):
    """How much a note weighs."""

    STOP = "stop"  # the act cannot go on
    WARN = "warn"  # a person should look
    GOOD = "good"  # checked, and in order


@dataclass(frozen=True, slots=True)
class Note:
    """One sentence of one check."""

    check: str  # the name of the function that wrote it
    severity: Severity
    text: str
    owner: str = ""  # the role that can put it right


def stops(notes: Sequence[Note]) -> list[Note]:
    """The notes that forbid the act."""
    return [note for note in notes if note.severity is Severity.STOP]
