"""Lots: where each stands, and what went into it.

    from          command    to
    quarantine    release    released     only on a complete record, by signature (quality decides)
    quarantine    reject     rejected
    released                              final: a recall will be a fact of its own
    rejected                              final

Guarantees: a lot begins in quarantine, and leaves it only by this table; genealogy is a
fold of `MaterialUsed`, so the same facts always give the same tree.
Leaves to others: when a lot may be released or rejected (quality).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from isogenic.errors import NotAllowed, NotValid
from isogenic.ids import BatchId, LotId, ProductId, SiteId
from isogenic.records.facts import Fact, fact

__all__ = ["NEXT", "Genealogy", "LotCommand", "LotCreated", "LotState", "MaterialUsed", "apply", "fold", "next_state", "use"]

LABEL_MAX = 60  # characters of a supplier's lot number or a material's name, as on a label


class LotState(StrEnum):
    """Where a lot stands."""

    QUARANTINE = "quarantine"
    RELEASED = "released"
    REJECTED = "rejected"


class LotCommand(StrEnum):
    """What quality can do with a lot."""

    RELEASE = "release"
    REJECT = "reject"


NEXT: Mapping[LotState, Mapping[LotCommand, LotState]] = {
    LotState.QUARANTINE: {LotCommand.RELEASE: LotState.RELEASED, LotCommand.REJECT: LotState.REJECTED},
    LotState.RELEASED: {},
    LotState.REJECTED: {},
}


def next_state(state: LotState, command: LotCommand, *, lot: LotId) -> LotState:
    """The state after a command, or `NotAllowed`; a refusal changes nothing."""
    row = NEXT[state]
    if command not in row:
        raise NotAllowed(f"cannot {command} {lot}", why=f"the lot is {state}", possible=", ".join(row) or "nothing; the state is final")
    return row[command]


@fact("lot.created", subject="lot")
@dataclass(frozen=True, slots=True)
class LotCreated:
    """A batch yielded a lot; it is in quarantine."""

    lot: LotId
    product: ProductId
    batch: BatchId
    site: SiteId


@fact("materials.used", subject="lot")
@dataclass(frozen=True, slots=True)
class MaterialUsed:
    """A lot of a material went into this lot."""

    lot: LotId
    batch: BatchId
    material: str  # for example medium, seed
    used_lot: str  # the supplier's number, or a lot id of the network


def use(lot: LotId, *, batch: BatchId, material: str, used_lot: str) -> MaterialUsed:
    """Say which lot of a material went into `lot`; the texts come from a person's answer, so they are checked."""
    for name, text in (("material", material), ("lot number", used_lot)):
        if not text.strip() or len(text.strip()) > LABEL_MAX or not text.strip().isprintable():
            raise NotValid(f"cannot note the {name} {text[:40]!r} for {lot}", why=f"it is one line of 1 to {LABEL_MAX} printable characters")
    if used_lot.strip() == lot:
        raise NotValid(f"cannot note {used_lot} for {lot}", why="a lot does not go into itself")
    return MaterialUsed(lot, batch, material.strip(), used_lot.strip())


@dataclass(frozen=True, slots=True)
class Genealogy:
    """What went into what: for each lot, its uses in the order noted."""

    uses: Mapping[str, tuple[MaterialUsed, ...]] = field(default_factory=dict)

    def made_of(self, lot: str) -> tuple[MaterialUsed, ...]:
        """Everything that went into a lot, directly or through another, nearest first."""
        found: list[MaterialUsed] = []
        seen, todo = {lot}, [lot]
        while todo:
            for each in self.uses.get(todo.pop(0), ()):
                found.append(each)
                if each.used_lot not in seen:
                    seen.add(each.used_lot)
                    todo.append(each.used_lot)
        return tuple(found)

    def went_into(self, used_lot: str) -> tuple[LotId, ...]:
        """The lots that a lot of material reached directly: what a bad medium lot touches."""
        return tuple(each.lot for uses in self.uses.values() for each in uses if each.used_lot == used_lot)


def apply(genealogy: Genealogy, fact: Fact) -> Genealogy:
    """Fold one fact; facts of other rooms change nothing."""
    if not isinstance(fact.payload, MaterialUsed):
        return genealogy
    used = fact.payload
    return Genealogy({**genealogy.uses, used.lot: (*genealogy.uses.get(used.lot, ()), used)})


def fold(facts: Iterable[Fact]) -> Genealogy:
    """The genealogy after these facts."""
    genealogy = Genealogy()
    for each in facts:
        genealogy = apply(genealogy, each)
    return genealogy
