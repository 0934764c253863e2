"""Single-use assemblies: one piece each, used once, ever.

    a piece is      until
    sealed          its packaging is opened
    opened          it is installed; how long it may lie open is said by the position
    installed       for ever: an assembly that was installed once is used, even where the batch never began, the site
                    crashed in between, or it was taken off again; a serial number used at another site is used, too

Installing notes a fact before anybody connects anything, and that fact is what makes the piece used; so a crash can waste an
assembly, and can never use one twice. What an offline site cannot know is a use at another site since it last heard from the
control site; the control site sees such a double use as soon as both have reported, and from then on releases neither lot (quality.release).

Guarantees: pure; every check is a named function that gives notes, and cites its clause.
Leaves to others: received lots (receipts), what is expected where (changeover), who asks (sites).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

from isogenic.checks import Note, Severity
from isogenic.ids import IdentityCode, LotId, PersonId, ProductId, ReceiptId, SiteId, SponsorId, UnitId
from isogenic.materials.receipts import MaterialReceived, ReceiptState
from isogenic.records.facts import fact

__all__ = [
    "AssembliesUsed",
    "AssemblyInstalled",
    "AssemblyOpened",
    "AssemblyRemoved",
    "IntegrityTested",
    "Piece",
    "Planned",
    "Position",
    "check_installation",
    "used_digest",
]

OWNER = "operator"
WORDS: Mapping[ReceiptState, str] = {
    state: ("is in quarantine" if state is ReceiptState.QUARANTINE else f"is {state.replace('_', ' ')}") for state in ReceiptState
}
USED_MAX = 200  # digests in one fact


@fact("materials.assembly_opened", subject="piece")
@dataclass(frozen=True, slots=True)
class AssemblyOpened:
    """The packaging of an assembly was opened."""

    piece: str
    sponsor: SponsorId
    by: PersonId


@fact("materials.integrity_tested", subject="piece")
@dataclass(frozen=True, slots=True)
class IntegrityTested:
    """The integrity of an assembly, or of its filter, was tested."""

    piece: str
    sponsor: SponsorId
    method: str  # pressure decay, bubble point, …
    passed: bool
    evidence: str  # the number or the digest of the test's record
    by: PersonId


@fact("materials.assembly_installed", subject="piece")
@dataclass(frozen=True, slots=True)
class AssemblyInstalled:
    """An assembly was scanned and installed on a unit for a lot: from here on it is used."""

    piece: str
    item: str
    serial: str
    receipt: ReceiptId
    sponsor: SponsorId
    unit: UnitId
    position: str
    lot: LotId  # that is to be made with it
    product: ProductId
    by: PersonId
    patient: IdentityCode | None = None


@fact("materials.assembly_removed", subject="piece")
@dataclass(frozen=True, slots=True)
class AssemblyRemoved:
    """An installed assembly was taken off before its batch began. It stays used."""

    piece: str
    sponsor: SponsorId
    unit: UnitId
    lot: LotId
    why: str
    by: PersonId


@fact("materials.assemblies_used", subject="site")
@dataclass(frozen=True, slots=True)
class AssembliesUsed:
    """The control site tells a site which pieces other sites have used, by digest: whose they were and where it does not say (I7)."""

    site: SiteId  # that is told
    digests: tuple[str, ...]


def used_digest(piece: str) -> str:
    """What stands for a used piece where it must not be named."""
    return sha256(f"isogenic-assembly/1\n{piece}\n".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Position:
    """A place on a unit that takes one assembly, as the released changeover matrix says it."""

    name: str
    title: str
    items: tuple[str, ...]  # any of these
    sterile: bool = True
    integrity: bool = False  # tested, and passed, before it is used
    open_hours: float = 0.0  # how long it may lie opened before it is installed; 0: it is opened for installing only


@dataclass(frozen=True, slots=True)
class Planned:
    """What a unit is being made ready for."""

    unit: UnitId
    lot: LotId
    product: ProductId
    sponsor: SponsorId
    until: datetime  # the planned end: nothing may expire before
    patient: IdentityCode | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """What was done with one assembly."""

    opened_at: datetime | None = None
    tests: tuple[IntegrityTested, ...] = ()
    installed: tuple[AssemblyInstalled, ...] = ()  # more than one: a use that could not be prevented, shown wherever it is looked at
    removed: tuple[AssemblyRemoved, ...] = field(default=())

    @property
    def used(self) -> bool:
        """Whether it was ever installed."""
        return bool(self.installed)


def _verdict(check: str, wrong: list[str], good: str) -> list[Note]:
    return [Note(check, Severity.STOP, text, OWNER) for text in wrong] or [Note(check, Severity.GOOD, good)]


def check_part_is_expected(item: str, position: Position) -> list[Note]:
    """The part is one that the released matrix expects in that position."""
    wrong = [] if item in position.items else [f"{item} does not belong in {position.title}: expected is {' or '.join(position.items)}"]
    return _verdict("check_part_is_expected", wrong, f"{item} belongs in {position.title}")


def check_lot_is_released(received: MaterialReceived, state: ReceiptState) -> list[Note]:
    """The delivery was released for use, and is neither used up, expired, rejected nor recalled."""
    where = f"{received.receipt} ({received.supplier} lot {received.lot})"
    wrong = [] if state is ReceiptState.RELEASED else [f"{where} {WORDS[state]}, not released for use (21 CFR 211.84(a))"]
    return _verdict("check_lot_is_released", wrong, f"{where} is released for use")


def check_is_not_expired(received: MaterialReceived, *, until: datetime, on_label: datetime | None = None) -> list[Note]:
    """It does not expire before the planned end, by its receipt and by its own label."""
    wrong = []
    for where, expires in (("receipt", received.expires), ("label", on_label)):
        if expires is not None and expires < until:
            wrong.append(f"by its {where} it expires {expires:%Y-%m-%d %H:%M} UTC, before the planned end {until:%Y-%m-%d %H:%M} (21 CFR 211.87)")
    if on_label is not None and received.expires is not None and on_label > received.expires:
        wrong.append(f"its label says that it expires {on_label:%Y-%m-%d}, its receipt {received.expires:%Y-%m-%d}: one of them is wrong")
    return _verdict("check_is_not_expired", wrong, "it does not expire before the planned end")


def check_is_sterile(received: MaterialReceived, piece: Piece, position: Position, *, now: datetime) -> list[Note]:
    """Its supplier claims it by method, lot and certificate, and its packaging was opened for this only."""
    if not position.sterile:
        return []
    wrong = []
    if received.sterility is None:
        wrong.append("no method, lot and certificate of sterilisation came with it (EU GMP Annex 1, 8.134)")
    if piece.opened_at is not None and piece.opened_at + timedelta(hours=position.open_hours) < now:
        wrong.append(
            f"its packaging was opened {piece.opened_at:%Y-%m-%d %H:%M} UTC: it may lie open for {position.open_hours:g} h (EU GMP Annex 1, 8.134)"
        )
    good = f"sterile by {received.sterility.method}, lot {received.sterility.lot}" if received.sterility else ""
    return _verdict("check_is_sterile", wrong, good)


def check_no_test_failed(piece: Piece) -> list[Note]:
    """No test of its integrity failed, before it was installed or after."""
    failed = [test for test in piece.tests if not test.passed]
    wrong = [f"its integrity test by {test.method} failed, record {test.evidence[:40]}" for test in failed]
    return _verdict("check_no_test_failed", wrong, "no test of its integrity failed")


def check_integrity(piece: Piece, position: Position) -> list[Note]:
    """No test of it failed, and where the position asks for one, one passed."""
    wrong = [note.text for note in check_no_test_failed(piece) if note.severity is Severity.STOP]
    if position.integrity and not piece.tests:
        wrong.append(f"its integrity was not tested, and {position.title} asks for it (EU GMP Annex 1, single-use systems)")
    return _verdict("check_integrity", wrong, "no test of its integrity failed")


def check_is_unused(key: str, piece: Piece, elsewhere: Collection[str]) -> list[Note]:
    """It was never installed, here or, as far as this site has heard, at another."""
    wrong = [f"{key} was installed before, on {each.unit} for {each.lot}: a single-use assembly is used once" for each in piece.installed]
    if used_digest(key) in elsewhere:
        wrong.append(f"{key} was used at another site: a single-use assembly is used once")
    return _verdict("check_is_unused", wrong, f"{key} was not used here, nor at another site as far as this one has heard")


def check_is_meant_for(received: MaterialReceived, planned: Planned) -> list[Note]:
    """It is of the sponsor, for the product, and no other patient's (I5)."""
    wrong = []
    if received.sponsor != planned.sponsor:
        wrong.append(f"{received.receipt} is stock of another sponsor than {planned.lot}")
    if received.products and planned.product not in received.products:
        wrong.append(f"{received.receipt} is for {', '.join(received.products)}, not for {planned.product}")
    if received.patient is not None and received.patient != planned.patient:
        wrong.append(f"{received.receipt} is of another patient than {planned.lot} (21 CFR 211.130(a))")
    return _verdict("check_is_meant_for", wrong, f"{received.receipt} may go into {planned.lot}")


def check_installation(
    key: str,
    piece: Piece,
    received: MaterialReceived,
    state: ReceiptState,
    *,
    position: Position,
    planned: Planned,
    elsewhere: Collection[str],
    now: datetime,
    on_label: datetime | None = None,
) -> list[Note]:
    """Every note of every check of one assembly before it is installed."""
    return [
        *check_part_is_expected(received.item, position),
        *check_lot_is_released(received, state),
        *check_is_not_expired(received, until=planned.until, on_label=on_label),
        *check_is_sterile(received, piece, position, now=now),
        *check_integrity(piece, position),
        *check_is_unused(key, piece, elsewhere),
        *check_is_meant_for(received, planned),
    ]


def check_assemblies_are_installed(
    positions: Collection[Position],
    placed: Mapping[str, MaterialReceived],
    states: Mapping[str, ReceiptState],
    *,
    planned: Planned,
    pieces: Mapping[str, Piece],
) -> list[Note]:
    """Every position has its assembly, installed for this lot, and what was true when it was installed is true now."""
    wrong = [f"nothing is installed in {each.title} of {planned.unit} for {planned.lot}" for each in positions if each.name not in placed]
    for name, received in placed.items():
        notes = [
            *check_lot_is_released(received, states[name]),
            *check_is_not_expired(received, until=planned.until),
            *check_no_test_failed(pieces[name]),
            *check_is_meant_for(received, planned),
        ]
        wrong += [f"{name}: {note.text}" for note in notes if note.severity is Severity.STOP]
    return _verdict("check_assemblies_are_installed", wrong, f"{len(placed)} assemblies are installed on {planned.unit} for {planned.lot}")
