"""Lots: where each stands, and what went into it.

    from          command    to
    quarantine    release    released     only on a complete record, by signature (quality decides)
    quarantine    reject     rejected
    released                              final: a recall will be a fact of its own
    rejected                              final

Genealogy knows, under one name each: lots of products (LOT-…), received lots (RCV-…), single assemblies (ITEM/SERIAL),
suppliers' lots of materials, components and resins (ITEM lot NUMBER).

Guarantees: a lot begins in quarantine, and leaves it only by this table; genealogy is a
fold of `MaterialUsed`, `MaterialReceived` and `AssemblyInstalled`, so the same facts always give the same tree, in
whatever order ledgers are folded; it is indexed both ways.
Leaves to others: when a lot may be released or rejected (quality).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from isogenic.errors import NotAllowed, NotValid
from isogenic.ids import BatchId, IdentityCode, LotId, ProductId, SiteId
from isogenic.materials.assemblies import AssemblyInstalled
from isogenic.materials.links import Links
from isogenic.materials.receipts import MaterialReceived, part_key, resin_key, supplier_key
from isogenic.records.facts import Fact, fact

__all__ = ["NEXT", "Genealogy", "Link", "LotCommand", "LotCreated", "LotState", "MaterialUsed", "apply", "fold", "next_state", "use"]

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


@fact("lot.created", subject="lot", version=2, upgrades={1: lambda body: {**body, "patient": None}})
@dataclass(frozen=True, slots=True)
class LotCreated:
    """A batch yielded a lot; it is in quarantine."""

    lot: LotId
    product: ProductId
    batch: BatchId
    site: SiteId
    patient: IdentityCode | None = None  # for whom it is made, and of whose cells; nobody else's material may join it (I5)


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
class Link:
    """Something went into something."""

    into: str
    used_lot: str
    material: str  # what it was there: medium, vessel bag, film, …


@dataclass(frozen=True, slots=True)
class Genealogy:
    """What went into what, both ways."""

    above: Links[Link] = field(default_factory=Links)  # by what it went into
    below: Links[Link] = field(default_factory=Links)  # by what was used
    numbers: Links[str] = field(default_factory=Links)  # a supplier's lot number -> the names it has here

    def made_of(self, lot: str) -> tuple[Link, ...]:
        """Everything that went into a lot, directly or through another, nearest first."""
        return _walk(self.above, lot, lambda link: link.used_lot)

    def reaches(self, used_lot: str) -> tuple[Link, ...]:
        """Everything that something went into, directly or through another, nearest first: what a bad lot of a resin touches."""
        return _walk(self.below, used_lot, lambda link: link.into)

    def went_into(self, used_lot: str) -> tuple[str, ...]:
        """What something went into directly."""
        return tuple(link.into for link in self.below.get(used_lot))

    def names(self, text: str) -> tuple[str, ...]:
        """What a text may mean: a name of the genealogy, or a supplier's lot number, under which several items may be known."""
        here = (text,) if self.above.get(text) or self.below.get(text) else ()
        return (*here, *(name for name in self.numbers.get(text) if name != text))

    def with_link(self, into: str, used_lot: str, material: str) -> Genealogy:
        """With one thing more that went into another."""
        link = Link(into, used_lot, material)
        return replace(self, above=self.above.added(into, link), below=self.below.added(used_lot, link))

    def numbered(self, number: str, name: str) -> Genealogy:
        """With a supplier's number for something."""
        return replace(self, numbers=self.numbers.added(number, name))


def _walk(links: Links[Link], start: str, far: Callable[[Link], str]) -> tuple[Link, ...]:
    found: list[Link] = []
    seen, todo = {start}, deque([start])
    while todo:
        for link in links.get(todo.popleft()):
            found.append(link)
            if far(link) not in seen:
                seen.add(far(link))
                todo.append(far(link))
    return tuple(found)


def apply(genealogy: Genealogy, fact: Fact) -> Genealogy:
    """Fold one fact; facts of other rooms change nothing."""
    match fact.payload:
        case MaterialUsed() as used:
            return genealogy.with_link(used.lot, used.used_lot, used.material)
        case MaterialReceived() as received:
            return _received(genealogy, received)
        case AssemblyInstalled() as installed:
            taken = genealogy.with_link(installed.piece, installed.receipt, "delivery")
            return taken.with_link(installed.lot, installed.piece, installed.position)
    return genealogy


def _received(genealogy: Genealogy, received: MaterialReceived) -> Genealogy:
    """A delivery is made of the supplier's lot; that of its components, each in its place; those of their resins."""
    lot = supplier_key(received.item, received.lot)
    genealogy = genealogy.with_link(received.receipt, lot, "delivery").numbered(received.lot, lot)
    if received.donation:
        genealogy = genealogy.with_link(received.receipt, received.donation, "donation")
    if received.sterility is not None:
        load = supplier_key("sterilisation", received.sterility.lot)
        genealogy = genealogy.with_link(lot, load, "sterilisation").numbered(received.sterility.lot, load)
    places = {part.place: part_key(part) for part in received.parts}
    for part in received.parts:
        above = places.get(part.place.rpartition(".")[0], lot)
        genealogy = genealogy.with_link(above, part_key(part), str(part.kind)).numbered(part.lot, part_key(part))
        for resin in part.resins:
            genealogy = genealogy.with_link(part_key(part), resin_key(resin), "resin").numbered(resin.lot, resin_key(resin))
    return genealogy


def fold(facts: Iterable[Fact]) -> Genealogy:
    """The genealogy after these facts."""
    genealogy = Genealogy()
    for each in facts:
        genealogy = apply(genealogy, each)
    return genealogy
