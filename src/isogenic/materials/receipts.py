"""Received lots: what a supplier or a clinic delivered, what it is made of, and whether it may be used.

    from          command    to
    quarantine    release    released     by signature of quality: 21 CFR 211.84(a)
    quarantine    expire     expired      by the clock: nobody says it
    quarantine    reject     rejected     21 CFR 211.89
    quarantine    recall     recalled     the supplier or the authority took it back
    released      use_up     used_up
    released      expire     expired      21 CFR 211.87
    released      reject     rejected
    released      recall     recalled
    used_up       reject     rejected     found bad after it was used: whoever traces it must see that
    used_up       recall     recalled
    expired       reject     rejected
    expired       recall     recalled
    rejected      recall     recalled
    recalled                              final

A delivery of single-use assemblies is a received lot, too: it has serial numbers, a bill of the component lots and resins that
its pieces are made of, and what its supplier claims of its sterility.

Guarantees: a lot that was not released by a decision is in quarantine; where it stands is a function of the decisions and of the
clock, in whatever order decisions of the site and of the control site arrive (I8); a bill is a tree without gaps.
Leaves to others: who may decide (authority), single pieces (assemblies), what went into what (lots).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from isogenic.clock import text_of_time
from isogenic.errors import NotAllowed, NotValid
from isogenic.ids import IdentityCode, PersonId, ProductId, ReceiptId, SiteId, SponsorId
from isogenic.records import codec
from isogenic.records.facts import fact
from isogenic.records.signatures import Signature
from isogenic.units import Quantity

__all__ = [
    "NEXT",
    "MaterialDecided",
    "MaterialReceived",
    "Part",
    "PartKind",
    "ReceiptCommand",
    "ReceiptState",
    "Resin",
    "Sterility",
    "check_bill",
    "check_received",
    "decision_digest",
    "next_state",
    "part_key",
    "piece_key",
    "resin_key",
    "standing",
    "supplier_key",
    "words_of",
]

TEXT_MAX = 80  # characters of a title, a supplier, a number
SERIALS_MAX = 500  # pieces to a delivery: their numbers fit one fact
PARTS_MAX = 200  # component lots of an assembly: a manifold with tubing, connectors, filters and their sub-assemblies has about 60
DEPTH_MAX = 6  # assembly, sub-assembly, component, …
RESINS_MAX = 8  # layers of a film
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PLACE = re.compile(r"[1-9][0-9]{0,2}(\.[1-9][0-9]{0,2}){0,5}")


class ReceiptState(StrEnum):
    """Where a received lot stands."""

    QUARANTINE = "quarantine"
    RELEASED = "released"
    USED_UP = "used_up"
    EXPIRED = "expired"
    REJECTED = "rejected"
    RECALLED = "recalled"


class ReceiptCommand(StrEnum):
    """What can be decided on a received lot; `expire` is the clock's."""

    RELEASE = "release"
    USE_UP = "use_up"
    EXPIRE = "expire"
    REJECT = "reject"
    RECALL = "recall"


NEXT: Mapping[ReceiptState, Mapping[ReceiptCommand, ReceiptState]] = {
    ReceiptState.QUARANTINE: {
        ReceiptCommand.RELEASE: ReceiptState.RELEASED,
        ReceiptCommand.EXPIRE: ReceiptState.EXPIRED,
        ReceiptCommand.REJECT: ReceiptState.REJECTED,
        ReceiptCommand.RECALL: ReceiptState.RECALLED,
    },
    ReceiptState.RELEASED: {
        ReceiptCommand.USE_UP: ReceiptState.USED_UP,
        ReceiptCommand.EXPIRE: ReceiptState.EXPIRED,
        ReceiptCommand.REJECT: ReceiptState.REJECTED,
        ReceiptCommand.RECALL: ReceiptState.RECALLED,
    },
    ReceiptState.USED_UP: {ReceiptCommand.REJECT: ReceiptState.REJECTED, ReceiptCommand.RECALL: ReceiptState.RECALLED},
    ReceiptState.EXPIRED: {ReceiptCommand.REJECT: ReceiptState.REJECTED, ReceiptCommand.RECALL: ReceiptState.RECALLED},
    ReceiptState.REJECTED: {ReceiptCommand.RECALL: ReceiptState.RECALLED},
    ReceiptState.RECALLED: {},
}


def next_state(state: ReceiptState, command: ReceiptCommand, *, receipt: ReceiptId) -> ReceiptState:
    """The state after a command, or `NotAllowed`; a refusal changes nothing."""
    row = NEXT[state]
    if command not in row:
        possible = ", ".join(each for each in row if each is not ReceiptCommand.EXPIRE) or "nothing; the state is final"
        raise NotAllowed(f"cannot {command.replace('_', ' ')} {receipt}", why=f"the lot is {state.replace('_', ' ')}", possible=possible)
    return row[command]


def standing(decided: Collection[ReceiptCommand], expires: datetime | None, *, now: datetime) -> ReceiptState:
    """Where a lot stands after these decisions, in whatever order they arrived, and at this time."""
    for command, state in (
        (ReceiptCommand.RECALL, ReceiptState.RECALLED),
        (ReceiptCommand.REJECT, ReceiptState.REJECTED),
        (ReceiptCommand.USE_UP, ReceiptState.USED_UP),
    ):
        if command in decided:
            return state
    if expires is not None and expires <= now:
        return ReceiptState.EXPIRED
    return ReceiptState.RELEASED if ReceiptCommand.RELEASE in decided else ReceiptState.QUARANTINE


class PartKind(StrEnum):
    """What a component of an assembly is."""

    ASSEMBLY = "assembly"  # a sub-assembly: it has components of its own
    FILM = "film"
    BAG = "bag"
    TUBING = "tubing"
    CONNECTOR = "connector"
    FILTER = "filter"
    SENSOR = "sensor"
    IMPELLER = "impeller"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Resin:
    """A raw material of a component: a resin, its lot and its maker."""

    name: str
    lot: str
    maker: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One component lot of an assembly."""

    place: str  # in the tree: 2.1 is the first component of the second sub-assembly
    kind: PartKind
    item: str
    lot: str
    title: str = ""
    supplier: str = ""
    resins: tuple[Resin, ...] = ()


@dataclass(frozen=True, slots=True)
class Sterility:
    """What the supplier claims, and the lot and certificate that stand for it."""

    method: str  # gamma, X-ray, ethylene oxide, steam
    claim: str  # for example ISO 11137-2 VDmax25, SAL 1e-6
    lot: str  # of sterilisation: the carrier load or the cycle
    certificate: str  # hex SHA-256 of the certificate of irradiation or processing


@fact("materials.received", subject="receipt")
@dataclass(frozen=True, slots=True)
class MaterialReceived:
    """A lot arrived at a site; it is in quarantine."""

    receipt: ReceiptId
    sponsor: SponsorId  # whose stock it is
    site: SiteId
    item: str  # a GTIN, or the number it goes by here
    title: str
    supplier: str
    lot: str  # the supplier's
    quantity: Quantity
    expires: datetime | None  # the first moment at which it is not good any more
    certificate: str  # hex SHA-256 of the certificate of analysis or conformity
    by: PersonId
    serials: tuple[str, ...] = ()  # of single-use assemblies
    parts: tuple[Part, ...] = ()  # what each of them is made of
    sterility: Sterility | None = None
    products: tuple[ProductId, ...] = ()  # for these only; empty: for all of the sponsor's
    patient: IdentityCode | None = None  # whose material it is, or for whom it was made ready
    donation: str = ""  # the donation identification number on it


@fact("materials.decided", subject="receipt")
@dataclass(frozen=True, slots=True)
class MaterialDecided:
    """A received lot was released for use, used up, rejected or recalled."""

    receipt: ReceiptId
    sponsor: SponsorId
    command: ReceiptCommand
    why: str
    by: PersonId
    signature: Signature | None = None  # of all but `use_up`


def decision_digest(received: MaterialReceived, command: ReceiptCommand, why: str) -> str:
    """What a signature over a decision covers: the receipt as it was noted, the decision and its reason."""
    said = {"command": str(command), "received": codec.plain(received), "why": why}
    return sha256(b"isogenic-material-decision/1\n" + codec.dumps(said)).hexdigest()


def piece_key(item: str, serial: str) -> str:
    """One piece, wherever it is: its item and serial number."""
    return f"{item}/{serial}"


def supplier_key(item: str, lot: str) -> str:
    """A supplier's lot of an item, wherever it was delivered."""
    return f"{item} lot {lot}"


def part_key(part: Part) -> str:
    """A component lot, whichever assembly it is in."""
    return supplier_key(part.item, part.lot)


def resin_key(resin: Resin) -> str:
    """A lot of a resin, whichever component is made of it."""
    return supplier_key(resin.name, resin.lot)


def _line(text: str, name: str, *, needed: bool = True, most: int = TEXT_MAX) -> list[str]:
    if not text and not needed:
        return []
    if not text.strip() or text != text.strip() or len(text) > most or not text.isprintable():
        return [f"the {name} {text[:40]!r} is not one line of 1 to {most} printable characters"]
    return []


def check_bill(parts: Sequence[Part]) -> list[str]:
    """What is wrong with a bill of component lots: gaps, doubles, a component of something that is no sub-assembly."""
    if len(parts) > PARTS_MAX:
        return [f"{len(parts)} component lots are more than {PARTS_MAX}"]
    known = {part.place: part for part in parts}
    wrong = ["two components have the same place"] if len(known) != len(parts) else []
    for part in parts:
        if not _PLACE.fullmatch(part.place):
            wrong.append(f"{part.place[:20]!r} is no place in the tree, as in 2.1, at most {DEPTH_MAX} deep")
            continue
        above = part.place.rpartition(".")[0]
        if above and (above not in known or known[above].kind is not PartKind.ASSEMBLY):
            wrong.append(f"component {part.place} is in {above}, which is no sub-assembly of the bill")
        wrong += _line(part.item, "item of a component", most=40) + _line(part.lot, "lot of a component", most=40)
        wrong += _line(part.title, "title of a component", needed=False) + _line(part.supplier, "supplier of a component", needed=False)
        if len(part.resins) > RESINS_MAX:
            wrong.append(f"component {part.place} has more than {RESINS_MAX} resins")
        wrong += [each for resin in part.resins for each in (*_line(resin.name, "resin", most=40), *_line(resin.lot, "lot of a resin", most=40))]
    return wrong


def check_received(received: MaterialReceived) -> None:
    """Raise `NotValid` with everything that is wrong with what is about to be noted; the texts come from people and labels."""
    wrong = _line(received.item, "item", most=30) + _line(received.title, "title") + _line(received.supplier, "supplier")
    wrong += _line(received.lot, "lot number", most=30) + _line(received.donation, "donation number", needed=False, most=20)
    wrong += ["more than nothing must have arrived"] if not received.quantity.value > 0 else []
    certificates = [("certificate", received.certificate)]
    if received.sterility is not None:
        said = received.sterility
        wrong += (
            _line(said.method, "method of sterilisation", most=40)
            + _line(said.claim, "claim of sterility")
            + _line(said.lot, "lot of sterilisation", most=40)
        )
        certificates.append(("certificate of sterilisation", said.certificate))
    wrong += [f"the {name} is not given by its SHA-256, 64 hex digits" for name, digest in certificates if not _DIGEST.fullmatch(digest)]
    if len(received.serials) > SERIALS_MAX or len(set(received.serials)) != len(received.serials):
        wrong.append(f"there are serial numbers twice, or more than {SERIALS_MAX}")
    wrong += [each for serial in received.serials for each in _line(serial, "serial number", most=20)]
    if received.serials and received.quantity.value != len(received.serials):
        wrong.append(f"{received.quantity} are not the {len(received.serials)} pieces that have a serial number")
    if (received.parts or received.sterility) and not received.serials:
        wrong.append("a bill of components and a claim of sterility are of assemblies, and assemblies have serial numbers")
    wrong += check_bill(received.parts)
    if wrong:
        raise NotValid(f"cannot receive lot {received.lot[:30]!r} of {received.item[:30]!r}", why="; ".join(dict.fromkeys(wrong)))


def words_of(received: MaterialReceived) -> str:
    """As people read it, on one line."""
    until = f", expires {text_of_time(received.expires)[:10]}" if received.expires else ""
    return f"{received.title}, {received.supplier} lot {received.lot}{until}"
