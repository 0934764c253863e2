"""Materials at a site, decided: received, released, opened, tested, installed; lines assigned and cleared; and what the gate asks of them.

    receive            a delivery, by its label: in quarantine from here on
    decide             released for use, rejected, recalled by signature; used up by who used it
    open_assembly, record_integrity, install, remove     one piece, by its label
    assign_line        a unit is made ready for a lot: the changeover begins
    do_step            a step of the changeover, by one person at a time
    check_materials_allow      the line is cleared and every position has its assembly: at the start, and at each allocation of a unit

Guarantees: pure; nothing is installed, used or started against a note that stops it, and a refusal gives every note at once. Once a
changeover matrix is in force, stock is kept: what is scanned must have been received and released. One patient's material
joins nobody else's batch (I5).
Leaves to others: noting (node), proving who signs (web), reading labels (materials.labels).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from isogenic.authority.gate import check_two_people_approved
from isogenic.authority.people import Person
from isogenic.authority.rules import Act, require, roles_that_may
from isogenic.authority.signatures import MEANINGS, Pen, accept_signature, sign
from isogenic.batches.state import BatchState
from isogenic.checks import Note, Severity, stops
from isogenic.clock import Moment, text_of_time, time_of_text
from isogenic.errors import NotAllowed, NotFound, NotValid, Refusal
from isogenic.ids import BatchId, IdentityCode, LotId, Mint, ProductId, ReceiptId, RecipeId, SampleId, SponsorId, UnitId
from isogenic.materials.assemblies import (
    AssemblyInstalled,
    AssemblyOpened,
    AssemblyRemoved,
    IntegrityTested,
    Piece,
    Planned,
    Position,
    check_assemblies_are_installed,
    check_installation,
)
from isogenic.materials.changeover import Cell, Matrix, Occupant, read_matrix
from isogenic.materials.clearance import Line, LineAssigned, LineLeft, LineStepDone, LineTaken, check_line_is_clear, check_step
from isogenic.materials.labels import Expects, Label, LabelForm, LabelKind, read_label
from isogenic.materials.lots import use
from isogenic.materials.receipts import (
    MaterialDecided,
    MaterialReceived,
    Part,
    ReceiptCommand,
    ReceiptState,
    Sterility,
    check_received,
    decision_digest,
    next_state,
    piece_key,
)
from isogenic.materials.scans import Scanned, check_scan, received_of
from isogenic.plant.model import Unit
from isogenic.recipes.general import load_general
from isogenic.records.facts import Payload
from isogenic.records.notes import Signer
from isogenic.sites.audiences import check_works_for
from isogenic.sites.state import SiteState
from isogenic.units import Quantity

__all__ = [
    "Delivery",
    "assign_line",
    "cell_of",
    "check_material_scan",
    "check_materials_allow",
    "decide",
    "do_step",
    "install",
    "lines_due",
    "matrix_of",
    "open_assembly",
    "positions_of",
    "receive",
    "received_as",
    "record_integrity",
    "remove",
    "start_on_line",
]

WHY_MAX = 300
AHEAD_MAX = timedelta(days=120)  # a longer batch is not planned here: a typing error in a date would look like one


# ---- the released matrix --------------------------------------------------------------------------------


def matrix_of(state: SiteState) -> Matrix | None:
    """The changeover matrix in force; None where none has reached this site."""
    return None if state.changeover is None else read_matrix(state.changeover.text)


def check_matrix_is_released(state: SiteState) -> list[Note]:
    """Two people signed the matrix that is in force here, and its text is the one that they signed."""
    published, directory = state.changeover, state.directory
    if published is None or directory is None:
        return []
    return stops(check_two_people_approved(published.digest, published.approvals, directory, what="changeover matrix"))


def positions_of(state: SiteState, unit: Unit) -> tuple[Position, ...]:
    """The assemblies that a unit takes."""
    matrix = matrix_of(state)
    return () if matrix is None else matrix.positions_of(unit.cls.name, unit.make)


def cell_of(state: SiteState, unit: Unit) -> Cell | None:
    """What the changeover that is under way on a unit takes; None where none is, or nothing says what."""
    matrix, line = matrix_of(state), state.lines.get(unit.id, Line())
    return None if matrix is None or line.following is None else matrix.cell(unit.cls.name, line.last, line.following)


# ---- deliveries -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a person says of a delivery, beside what its label says."""

    title: str
    supplier: str
    quantity: Quantity
    certificate: str
    sponsor: SponsorId | None = None  # needed where the site works for several
    item: str = ""  # where the label does not say
    lot: str = ""
    expires: datetime | None = None
    serials: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    sterility: Sterility | None = None
    products: tuple[ProductId, ...] = ()
    patient: IdentityCode | None = None


def receive(state: SiteState, person: Person, delivery: Delivery, *, scanned: str, mint: Mint) -> list[Payload]:
    """A delivery, by the label on it; what the label says is not typed."""
    require(person, Act.RECEIVE_MATERIAL, site=state.site)
    label = read_label(scanned)
    if label.kind not in (LabelKind.MATERIAL, LabelKind.ASSEMBLY, LabelKind.DONATION, LabelKind.LOT):
        raise NotValid(f"cannot receive {label.words}", why="it is no label of a material", possible="scan the label of the delivery")
    sponsor = delivery.sponsor or (state.plant.sponsor if len(state.plant.sponsors) == 1 else None)
    if sponsor not in state.plant.sponsors:
        raise NotValid(f"cannot receive {label.words}", why="it does not say whose stock it is", possible=", ".join(state.plant.sponsors))
    donation = label.id if label.kind is LabelKind.DONATION else ""
    if donation and delivery.patient is None:
        raise NotValid(f"cannot receive donation {donation}", why="it does not say whose it is: a donation comes with an identity code (I5)")
    received = MaterialReceived(
        mint.fresh(ReceiptId),
        SponsorId(sponsor),
        state.site,
        _one(label.item or donation, delivery.item, "item"),
        delivery.title.strip(),
        delivery.supplier.strip(),
        _one(label.lot or donation, delivery.lot, "lot"),
        delivery.quantity,
        _recorded(_one_expiry(label.expires, delivery.expires)),
        delivery.certificate.strip().lower(),
        person.id,
        delivery.serials or ((label.serial,) if label.serial else ()),
        delivery.parts,
        delivery.sterility,
        delivery.products,
        _one_patient(label.patient, delivery.patient),
        donation,
    )
    check_received(received)
    known = [key for serial in received.serials for key in (piece_key(received.item, serial),) if state.stock.serials.get(key)]
    if known:
        raise NotAllowed(
            f"cannot receive {len(received.serials)} assemblies", why=f"{', '.join(known[:5])} came before: a serial number is on one piece only"
        )
    return [received]


def _recorded(at: datetime | None) -> datetime | None:
    """As it is read back: UTC, milliseconds."""
    return None if at is None else time_of_text(text_of_time(at))


def _one(scanned: str, typed: str, name: str) -> str:
    typed = typed.strip()
    if scanned and typed and scanned != typed:
        raise NotValid(f"cannot receive this {name}", why=f"its label says {scanned[:40]!r}, and you say {typed[:40]!r}")
    return scanned or typed


def _one_expiry(scanned: datetime | None, typed: datetime | None) -> datetime | None:
    """The earlier: a label and a certificate that differ are not argued with."""
    return min((each for each in (scanned, typed) if each is not None), default=None)


def _one_patient(scanned: IdentityCode | None, typed: IdentityCode | None) -> IdentityCode | None:
    if scanned is not None and typed is not None and scanned != typed:
        raise NotValid("cannot receive this", why="its label names another patient than you do (I5)")
    return scanned or typed


def decide(
    state: SiteState, person: Person, signer: Signer | Pen | None, *, receipt: ReceiptId, command: ReceiptCommand, why: str, now: datetime
) -> list[Payload]:
    """Release a received lot for use, reject or recall it, by signature; or say that it is used up."""
    received, why = state.stock.receipt(receipt), why.strip()
    if command is ReceiptCommand.EXPIRE:
        raise NotAllowed(f"cannot expire {receipt}", why="the clock does that")
    if not why or len(why) > WHY_MAX or not why.isprintable():
        raise NotValid(f"cannot {command.replace('_', ' ')} {receipt}", why=f"it takes a reason of 1 to {WHY_MAX} printable characters")
    act = act_of(command)
    require(person, act, site=state.site, author=received.by)
    next_state(state.stock.state(receipt, now=state.permission.latest(now)), command, receipt=receipt)
    if command is ReceiptCommand.USE_UP:
        return [MaterialDecided(receipt, received.sponsor, command, why, person.id)]
    if signer is None:
        raise NotAllowed(f"cannot {command} {receipt}", why="it takes a signature (21 CFR 211.84(a))")
    role = next((role for role in roles_that_may(act) if role in person.roles), person.roles[0])
    signature = sign(signer, person, role=role, meaning=MEANINGS[act], at=now, digest=decision_digest(received, command, why))
    return [MaterialDecided(receipt, received.sponsor, command, why, person.id, signature)]


def act_of(command: ReceiptCommand) -> Act:
    """Which act a decision is."""
    if command is ReceiptCommand.RELEASE:
        return Act.RELEASE_MATERIAL
    return Act.INSTALL_ASSEMBLY if command is ReceiptCommand.USE_UP else Act.BLOCK_MATERIAL


def check_release_is_signed(state: SiteState, received: MaterialReceived) -> list[Note]:
    """Who released it is quality, and signed for this very lot."""
    for decided in state.stock.decided.get(received.receipt):
        if decided.command is ReceiptCommand.RELEASE and decided.signature is not None and state.directory is not None:
            try:
                digest = decision_digest(received, decided.command, decided.why)
                accept_signature(decided.signature, Act.RELEASE_MATERIAL, digest=digest, directory=state.directory, author=received.by)
            except Refusal:
                continue
            return []
    return [
        Note(
            "check_release_is_signed",
            Severity.STOP,
            f"nobody who may has signed that {received.receipt} is released for use (21 CFR 211.84(a))",
            "quality",
        )
    ]


# ---- single pieces --------------------------------------------------------------------------------------


def _piece(state: SiteState, scanned: str) -> tuple[Label, str, MaterialReceived]:
    label = read_label(scanned)
    if label.kind is not LabelKind.ASSEMBLY:
        raise NotValid(
            f"cannot take {label.words}",
            why="it is no label of an assembly: it has no serial number",
            possible="scan the code on the assembly itself",
        )
    return label, piece_key(label.item, label.serial), state.stock.delivery_of(label.item, label.serial)


def open_assembly(state: SiteState, person: Person, *, scanned: str) -> list[Payload]:
    """The packaging of an assembly was opened."""
    require(person, Act.INSTALL_ASSEMBLY, site=state.site)
    _, key, received = _piece(state, scanned)
    return [AssemblyOpened(key, received.sponsor, person.id)]


def record_integrity(state: SiteState, person: Person, *, scanned: str, method: str, passed: bool, evidence: str) -> list[Payload]:
    """The integrity of an assembly was tested; a test that failed is noted all the more."""
    require(person, Act.INSTALL_ASSEMBLY, site=state.site)
    _, key, received = _piece(state, scanned)
    for name, text in (("method", method), ("record", evidence)):
        if not text.strip() or len(text) > 80 or not text.isprintable():
            raise NotValid(f"cannot note a test of {key}", why=f"it takes the {name}, one line of 1 to 80 printable characters")
    return [IntegrityTested(key, received.sponsor, method.strip(), passed, evidence.strip(), person.id)]


def install(state: SiteState, person: Person, *, scanned: str, unit: UnitId, position: str, now: datetime) -> tuple[list[Payload], list[Note]]:
    """An assembly in a position of a unit, for the lot that the unit is made ready for. Noted before anybody connects anything."""
    require(person, Act.INSTALL_ASSEMBLY, site=state.site)
    asked = state.plant.unit(unit)
    wanted = next((each for each in positions_of(state, asked) if each.name == position), None)
    if wanted is None:
        known = ", ".join(each.name for each in positions_of(state, asked)) or "none is in the released matrix"
        raise NotFound(f"no position {position[:40]!r} on {unit}", why="the released matrix does not name it", possible=known)
    line = state.lines.get(unit, Line())
    planned = line.plan
    if planned is None:
        raise NotAllowed(f"cannot install anything on {unit}", why="it is not being made ready for any lot", possible="assign it to a lot first")
    label, key, received = _piece(state, scanned)
    there = state.stock.installed(unit, planned.lot).get(position)
    latest = state.permission.latest(now)
    notes = check_installation(
        key,
        state.stock.piece(key),
        received,
        state.stock.state(received.receipt, now=latest),
        position=wanted,
        planned=planned,
        elsewhere=state.stock.elsewhere,
        now=latest,
        on_label=label.expires,
    )
    notes += check_release_is_signed(state, received)
    if there is not None:
        notes.append(Note("check_position_is_free", Severity.STOP, f"{there.piece} is in {wanted.title} already: take it off first", "operator"))
    if label.lot and label.lot != received.lot:
        notes.append(Note("check_label_fits", Severity.STOP, f"its label says lot {label.lot}, it came with lot {received.lot}", "operator"))
    if stops(notes):
        return [], notes
    installed = AssemblyInstalled(
        key, received.item, label.serial, received.receipt, received.sponsor, unit, position, planned.lot, planned.product, person.id, planned.patient
    )
    return [installed], notes


def remove(state: SiteState, person: Person, *, unit: UnitId, position: str, why: str) -> list[Payload]:
    """Take an assembly off again, before the batch begins; it stays used."""
    require(person, Act.INSTALL_ASSEMBLY, site=state.site)
    planned = state.lines.get(unit, Line()).plan
    there = None if planned is None else state.stock.installed(unit, planned.lot).get(position)
    if planned is None or there is None:
        raise NotFound(f"nothing to take off from {position[:40]!r} of {unit}", why="nothing is installed there for the next lot")
    if not why.strip() or len(why) > WHY_MAX or not why.isprintable():
        raise NotValid(f"cannot take {there.piece} off", why=f"it takes a reason of 1 to {WHY_MAX} printable characters")
    return [AssemblyRemoved(there.piece, there.sponsor, unit, planned.lot, why.strip(), person.id)]


# ---- lines ----------------------------------------------------------------------------------------------


def assign_line(
    state: SiteState,
    person: Person,
    *,
    unit: UnitId,
    recipe: RecipeId,
    version: int,
    lot: LotId,
    until: datetime,
    now: datetime,
    patient: IdentityCode | None = None,
) -> list[Payload]:
    """Make a unit ready for a lot. Who assigns it anew begins the changeover from the start."""
    require(person, Act.ASSIGN_LINE, site=state.site)
    asked = state.plant.unit(unit)
    publication = state.published.get((recipe, version))
    if publication is None:
        raise NotFound(f"no recipe {recipe} version {version} at {state.site}", why="it has not been published to this site")
    line, matrix = state.lines.get(unit, Line()), matrix_of(state)
    if line.taken_by is not None:
        raise NotAllowed(f"cannot assign {unit} to {lot}", why=f"{line.taken_by} is on it", possible="wait until it is over")
    if matrix is None:
        raise NotAllowed(f"cannot assign {unit} to {lot}", why="no changeover matrix has reached this site")
    _check_lot_is_new_or_waits(state, asked, lot, (recipe, version), patient)
    if not now < until <= now + AHEAD_MAX:
        raise NotValid(f"cannot assign {unit} to {lot}", why=f"its planned end {until:%Y-%m-%d} is not within {AHEAD_MAX.days} days from now")
    sponsor, product = check_works_for(publication, state.plant), product_of(publication.text)
    forbidden = matrix.cell(asked.cls.name, line.last, Occupant(lot, product, sponsor, patient)).forbidden
    if forbidden:
        raise NotAllowed(
            f"cannot assign {unit} to {lot}", why=f"{forbidden} (changeover matrix version {matrix.version})", possible="use another unit"
        )
    end = _recorded(until)
    assert end is not None
    return [LineAssigned(unit, line.change + 1, lot, product, sponsor, end, person.id, patient)]


def _check_lot_is_new_or_waits(state: SiteState, unit: Unit, lot: LotId, recipe: tuple[RecipeId, int], patient: IdentityCode | None) -> None:
    """A line is made ready for a lot that is to begin, or for a running batch that needs another unit of this class."""
    created = state.lots.get(lot)
    if created is None:
        return
    batch, what = state.batches.get(created.batch), f"cannot assign {unit.id} to {lot}"
    if batch is None or batch.closed or (batch.control.recipe, batch.control.version) != recipe or created.patient != patient:
        raise NotValid(what, why=f"{created.batch} yields that lot already", possible="use a new lot number")
    to_come = {part.equipment_class for part in batch.control.unit_procedures if part.role not in batch.units}
    if unit.cls.name not in to_come:
        why = f"{created.batch} yields that lot already, and needs no other {unit.cls.name}"
        raise NotValid(what, why=why, possible=f"a {' or '.join(sorted(to_come))}" if to_come else "use a new lot number")


def do_step(state: SiteState, person: Person, said: LineStepDone) -> list[Payload]:
    """A step of the changeover that is under way, done by this person."""
    require(person, Act.CLEAR_LINE, site=state.site)
    cell, line = cell_of(state, state.plant.unit(said.unit)), state.lines.get(said.unit, Line())
    if cell is None:
        raise NotAllowed(f"cannot clear {said.unit}", why="it is not being made ready for any lot", possible="assign it to a lot first")
    said = replace(said, change=line.change, by=person.id)
    check_step(line, cell, said)
    return [said]


def check_materials_allow(state: SiteState, unit: UnitId, occupant: Occupant, *, now: Moment | datetime) -> list[Note]:
    """The line is cleared for this lot, and each of its assemblies is in its place and still good. For a start, and for an allocation."""
    latest = state.permission.latest(now)
    now = now.at if isinstance(now, Moment) else now
    asked, line, matrix = state.plant.unit(unit), state.lines.get(unit, Line()), matrix_of(state)
    if matrix is None:
        return check_line_is_clear(unit, occupant, line=line, matrix=None, equipment=asked.cls.name, installed=True, now=now)
    placed = state.stock.installed(unit, occupant.lot)
    planned = line.plan or Planned(unit, occupant.lot, occupant.product, occupant.sponsor, latest, occupant.patient)
    assemblies = check_assemblies_are_installed(
        positions_of(state, asked),
        _deliveries(state, placed),
        _states(state, placed, latest),
        planned=replace(planned, lot=occupant.lot),
        pieces=_pieces(state, placed),
    )
    installed = not stops(assemblies)
    return [
        *check_matrix_is_released(state),
        *check_line_is_clear(unit, occupant, line=line, matrix=matrix, equipment=asked.cls.name, installed=installed, now=now, latest=latest),
        *check_planned_end_is_ahead(line, now=latest),
        *assemblies,
    ]


def check_planned_end_is_ahead(line: Line, *, now: datetime) -> list[Note]:
    """What expires is held against the planned end: one that has passed holds nothing against anything."""
    if line.plan is None or line.plan.until > now:
        return []
    text = f"the planned end of {line.plan.lot}, {line.plan.until:%Y-%m-%d %H:%M} UTC, has passed before it began: assign the line anew"
    return [Note("check_planned_end_is_ahead", Severity.STOP, text, "operator")]


def is_installed(state: SiteState, unit: Unit, *, now: datetime) -> bool:
    """Whether every position of a unit has its assembly for the next lot."""
    planned = state.lines.get(unit.id, Line()).plan
    if planned is None:
        return False
    placed = state.stock.installed(unit.id, planned.lot)
    return not stops(
        check_assemblies_are_installed(
            positions_of(state, unit),
            _deliveries(state, placed),
            _states(state, placed, state.permission.latest(now)),
            planned=planned,
            pieces=_pieces(state, placed),
        )
    )


def _deliveries(state: SiteState, placed: Mapping[str, AssemblyInstalled]) -> dict[str, MaterialReceived]:
    return {position: state.stock.receipt(each.receipt) for position, each in placed.items()}


def _pieces(state: SiteState, placed: Mapping[str, AssemblyInstalled]) -> dict[str, Piece]:
    return {position: state.stock.piece(each.piece) for position, each in placed.items()}


def _states(state: SiteState, placed: Mapping[str, AssemblyInstalled], now: datetime) -> dict[str, ReceiptState]:
    return {position: state.stock.state(each.receipt, now=now) for position, each in placed.items()}


def start_on_line(state: SiteState, unit: UnitId, occupant: Occupant, *, batch: BatchId) -> list[Payload]:
    """What a start notes besides the batch: the line is taken, and what is installed went into the lot."""
    taken = LineTaken(unit, batch, occupant.lot, occupant.product, occupant.sponsor, occupant.patient)
    placed = sorted(state.stock.installed(unit, occupant.lot).items())
    return [taken, *(use(occupant.lot, batch=batch, material=position, used_lot=each.piece) for position, each in placed)]


def lines_due(state: SiteState) -> list[Payload]:
    """What the lines do not know yet of the batches on their units: one that came between two ledgers' writes, one that is over."""
    unseen = [(batch, unit) for batch in state.batches.values() for unit in batch.ever_held() if _unknown(state.lines.get(unit, Line()), batch, unit)]
    found: list[Payload] = [
        LineTaken(unit, batch.batch, batch.lot, batch.control.product, batch.sponsor, patient_of(state, batch.lot))
        for batch, unit in sorted(unseen, key=lambda each: each[0].at)
    ]
    for unit, line in state.lines.items():
        holder = None if line.taken_by is None else state.batches.get(line.taken_by)
        if line.taken_by is not None and (holder is None or unit not in holder.holds()):
            found.append(LineLeft(unit, line.taken_by))
    return found


def _unknown(line: Line, batch: BatchState, unit: UnitId) -> bool:
    """Whether a batch is on a unit, or was, and its line does not say so."""
    return batch.batch not in line.seen or (line.taken_by is None and unit in batch.holds())


def patient_of(state: SiteState, lot: LotId) -> IdentityCode | None:
    """Whose lot it is."""
    return state.lots[lot].patient if lot in state.lots else None


# ---- scans of a running batch ---------------------------------------------------------------------------


def _scanned(state: SiteState, batch: BatchState, expects: Expects, material: str, now: datetime, *, phase: str = "") -> Scanned:
    matrix = matrix_of(state)
    planned = Planned(
        batch.unit_of(phase) if phase else batch.control.unit, batch.lot, batch.control.product, batch.sponsor, now, patient_of(state, batch.lot)
    )
    return Scanned(expects, planned, batch.batch, () if matrix is None or not material else matrix.materials.get(material, ()))


def check_material_scan(
    state: SiteState, batch: BatchState, label: Label, expects: Expects, *, material: str, now: datetime, phase: str = ""
) -> list[Note]:
    """What stands against a scanned label by what is in stock here; nothing where no changeover matrix asks for stock to be kept.

    `phase` is where it is asked for: an assembly or a line is that of the phase's unit.
    """
    if state.changeover is None:
        return []
    samples: dict[SampleId, LotId] = {sample: drawn.lot for sample, drawn in state.samples.items()}
    now = state.permission.latest(now)  # what expires (I6)
    wanted = _scanned(state, batch, expects, material, now, phase=phase)
    notes = stops(check_scan(label, wanted, stock=state.stock, samples=samples, now=now))
    received = received_of(label, state.stock, wanted.planned, now=now) if expects is Expects.MATERIAL else None
    return [*notes, *(check_release_is_signed(state, received) if received is not None else [])]


def received_as(state: SiteState, batch: BatchState, label: Label, *, now: datetime) -> str:
    """The name under which a scanned material is in the genealogy: its number here, if it was received here."""
    now = state.permission.latest(now)
    received = received_of(label, state.stock, _scanned(state, batch, Expects.MATERIAL, "", now).planned, now=now)
    return received.receipt if received is not None else label.lot or label.id


def check_typed_lot(state: SiteState, batch: BatchState, text: str, *, now: datetime) -> list[Note]:
    """A lot number that was typed: where stock is kept, it is that of a received lot that may be used."""
    if state.changeover is None:
        return []
    names = [each for each in state.stock.receipts.values() if text.strip() in (each.receipt, each.lot)]
    planned = _scanned(state, batch, Expects.MATERIAL, "", now).planned
    fitting = [each for each in names if each.sponsor == planned.sponsor]
    if not fitting:
        return [
            Note(
                "check_typed_lot",
                Severity.STOP,
                f"nothing was received here as {text.strip()[:40]!r}: receive it first (21 CFR 211.84(a))",
                "operator",
            )
        ]
    against: list[Note] = []
    for received in fitting:
        label = read_label_of(received)
        against = check_material_scan(state, batch, label, Expects.MATERIAL, material="", now=now)
        if not against:
            return []
    return against


def read_label_of(received: MaterialReceived) -> Label:
    """A received lot as its own label would say it."""
    return Label(LabelForm.ISOGENIC, LabelKind.MATERIAL, received.receipt, item=received.item, lot=received.lot, expires=received.expires)


def used_by(state: SiteState, typed: str) -> str:
    """The name of a typed lot in the genealogy: its number here, where exactly one received lot has it."""
    found = [each.receipt for each in state.stock.receipts.values() if typed.strip() in (each.receipt, each.lot)]
    return found[0] if len(found) == 1 else typed


def product_of(text: str) -> ProductId:
    """The product that a published recipe makes."""
    return load_general(text).product
