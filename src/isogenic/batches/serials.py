"""Serialised labels of a batch: issued with a number each, used once, or accounted for (21 CFR 211.125(c), 211.188(b)(8)).

    issued      numbers from first to last; the serial number on a label is LOT-0001 and so on
    accounted   applied to a container, destroyed with the reason, or kept as the specimen of the record

Guarantees: pure; a number that was not issued, or is accounted for already, is refused; a fact that
says otherwise all the same (of another version, from a forged ledger) is a finding, as is every
number that is left over. What a finding means for the lot is quality's to say: it blocks release.
Leaves to others: printing (materials.labels writes the text), counting modules (counts), who may.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from isogenic.errors import NotAllowed, NotFound, NotValid
from isogenic.ids import BatchId, LotId, PersonId
from isogenic.materials.labels import LabelKind, label_text, read_label
from isogenic.records.facts import fact

__all__ = ["Fate", "LabelsAccounted", "LabelsIssued", "Serials", "account", "follow", "issue", "label_of", "number_on", "unaccounted"]

ISSUE_MAX = 10_000  # labels at once: a reel
NUMBERS_MAX = 500  # labels in one fact
SHOWN_MAX = 10  # numbers named in a finding; the others are counted
WHY_MAX = 300
_SERIAL = re.compile(r"(.{1,34})-([0-9]{4,5})")


class Fate(StrEnum):
    """What became of a label."""

    APPLIED = "applied"
    DESTROYED = "destroyed"
    KEPT = "kept"  # as the specimen in the record


@fact("batch.labels_issued", subject="batch")
@dataclass(frozen=True, slots=True)
class LabelsIssued:
    """Labels were printed for a lot, each with a number of its own."""

    batch: BatchId
    lot: LotId
    first: int
    last: int
    by: PersonId


@fact("batch.labels_accounted", subject="batch")
@dataclass(frozen=True, slots=True)
class LabelsAccounted:
    """Labels were applied, destroyed or kept."""

    batch: BatchId
    numbers: tuple[int, ...]
    fate: Fate
    why: str
    by: PersonId


@dataclass(frozen=True, slots=True)
class Serials:
    """The labels of one batch. Its tables are never changed in place."""

    lot: LotId | None = None
    issued: int = 0  # numbers 1 to here
    fates: Mapping[int, Fate] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()

    def counted(self, fate: Fate) -> int:
        """How many labels came to this."""
        return sum(each is fate for each in self.fates.values())


def follow(serials: Serials, said: LabelsIssued | LabelsAccounted) -> Serials:
    """After one more fact."""
    if isinstance(said, LabelsIssued):
        wrong = serials.wrong
        if said.first != serials.issued + 1 or said.last < said.first or serials.lot not in (None, said.lot):
            wrong = (*wrong, f"labels {said.first} to {said.last} of {said.lot} were issued after {serials.issued} of {serials.lot}")
        return replace(serials, lot=serials.lot or said.lot, issued=max(serials.issued, said.last), wrong=wrong)
    fates, found = dict(serials.fates), list(serials.wrong)
    for number in said.numbers:
        if not 1 <= number <= serials.issued:
            found.append(f"label {number} was {said.fate}, and never issued")
        elif number in fates:
            found.append(f"label {number} was {said.fate}, and {fates[number]} before")
        else:
            fates[number] = said.fate
    return replace(serials, fates=fates, wrong=tuple(found))


def issue(serials: Serials, *, batch: BatchId, lot: LotId, count: int, by: PersonId) -> LabelsIssued:
    """So many more labels."""
    if not 1 <= count <= ISSUE_MAX:
        raise NotValid(f"cannot issue {count} labels for {lot}", why=f"it is 1 to {ISSUE_MAX} at once")
    if serials.issued + count > 99_999:
        raise NotValid(f"cannot issue {count} labels for {lot}", why="a serial number has five digits at most")
    return LabelsIssued(batch, lot, serials.issued + 1, serials.issued + count, by)


def account(serials: Serials, numbers: Sequence[int], fate: Fate, *, batch: BatchId, why: str = "", by: PersonId) -> LabelsAccounted:
    """Say what became of labels, or refuse all of them where one does not fit."""
    refused = f"cannot note labels of {batch} as {fate}"
    if not numbers or len(numbers) > NUMBERS_MAX or len(set(numbers)) != len(numbers):
        raise NotValid(refused, why=f"it is 1 to {NUMBERS_MAX} numbers, each once")
    if fate is Fate.DESTROYED and not why.strip():
        raise NotValid(refused, why="a label is destroyed for a reason", possible="say why")
    if len(why) > WHY_MAX or not why.replace("\n", " ").isprintable():
        raise NotValid(refused, why=f"the reason is at most {WHY_MAX} printable characters")
    unknown = [number for number in numbers if not 1 <= number <= serials.issued]
    if unknown:
        raise NotFound(refused, why=f"{_named(unknown)} {'were' if len(unknown) > 1 else 'was'} not issued", possible=f"1 to {serials.issued}")
    gone = [number for number in numbers if number in serials.fates]
    if gone:
        raise NotAllowed(
            refused, why=f"label {gone[0]} was {serials.fates[gone[0]]} before: each is used once", possible=_named(left(serials)) or "none"
        )
    return LabelsAccounted(batch, tuple(sorted(numbers)), fate, why.strip(), by)


def left(serials: Serials) -> list[int]:
    """The numbers that nobody has accounted for."""
    return [number for number in range(1, serials.issued + 1) if number not in serials.fates]


def unaccounted(serials: Serials) -> list[str]:
    """What does not add up, in sentences."""
    missing = left(serials)
    said = [f"{len(missing)} of {serials.issued} issued labels are not accounted for: {_named(missing)}"] if missing else []
    return [*serials.wrong, *said]


def _named(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(each) for each in numbers[:SHOWN_MAX])
    return f"{shown} and {len(numbers) - SHOWN_MAX} more" if len(numbers) > SHOWN_MAX else shown


def label_of(lot: LotId, number: int, *, batch: BatchId) -> str:
    """The text in the code of one label."""
    return label_text(LabelKind.CONTAINER, f"{lot}-{number:04d}", lot=str(lot), batch=batch)


def number_on(scanned: str, *, lot: LotId) -> int:
    """The number of a label that was scanned; of another lot, or of something else, it is refused."""
    label = read_label(scanned)
    found = _SERIAL.fullmatch(label.serial)
    if label.kind is not LabelKind.CONTAINER or found is None:
        raise NotValid("cannot take this label", why=f"it is on a {label.kind}, not on a container of {lot}")
    if found[1] != lot:
        raise NotAllowed("cannot take this label", why=f"it is of {found[1]}, and the line fills {lot}", possible="stop, and clear the line")
    return int(found[2])
