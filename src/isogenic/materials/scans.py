"""A scanned label against what was to be scanned: right kind, right thing, right patient, still good.

Guarantees: pure; the answer is every reason against, each with its clause, or one good note that says what was scanned. A label that
names a patient, a lot or a batch is held against those of the batch whatever else was asked for: material of one patient never
joins another's (I5).
Leaves to others: reading the text (labels), what a person is asked (batches), noting (sites).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from isogenic.checks import Note, Severity, stops
from isogenic.ids import BatchId, IdentityCode, LotId, ReceiptId, SampleId
from isogenic.materials.assemblies import Planned, check_is_meant_for, check_is_not_expired, check_lot_is_released, used_digest
from isogenic.materials.labels import Expects, Label, LabelKind
from isogenic.materials.receipts import MaterialReceived, ReceiptState, piece_key, supplier_key, words_of
from isogenic.materials.stock import Stock

__all__ = ["Scanned", "check_scan", "received_of"]

OWNER = "operator"


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan is held against."""

    expects: Expects
    planned: Planned  # the lot that the batch makes, and on which unit
    batch: BatchId | None = None
    items: tuple[str, ...] = ()  # of the material or part that is wanted; none: any
    id: str = ""  # the very sample or assembly; empty: any of this batch


def received_of(label: Label, stock: Stock, planned: Planned, *, now: datetime) -> MaterialReceived | None:
    """The delivery that a label is of: of several of one supplier's lot, one of the sponsor's that may be used."""
    if label.kind is LabelKind.MATERIAL and label.id.startswith(ReceiptId.prefix):
        return stock.receipts.get(ReceiptId(label.id))
    if label.kind is LabelKind.DONATION:
        found = [each for each in stock.receipts.values() if each.donation == label.id]
    elif label.kind is LabelKind.ASSEMBLY:
        found = [stock.receipts[each] for each in stock.serials.get(piece_key(label.item, label.serial))]
        found = found or [stock.receipts[each] for each in stock.lots.get(supplier_key(label.item, label.lot))]
    else:
        found = [stock.receipts[each] for each in stock.lots.get(supplier_key(label.item, label.lot))]
    return min(
        found,
        key=lambda each: (each.sponsor != planned.sponsor, stock.state(each.receipt, now=now) is not ReceiptState.RELEASED, each.receipt),
        default=None,
    )


def check_scan(label: Label, wanted: Scanned, *, stock: Stock, samples: Mapping[SampleId, LotId], now: datetime) -> list[Note]:
    """Every note on a scanned label."""
    if not wanted.expects.takes(label.kind):
        return [_stop(f"this is the label of a {label.kind}; what was asked for is a {wanted.expects}")]
    notes = check_label_is_of_the_batch(label, wanted)
    match wanted.expects:
        case Expects.MATERIAL:
            notes += _material(label, wanted, stock, now)
        case Expects.ASSEMBLY:
            notes += _assembly(label, wanted, stock)
        case Expects.SAMPLE:
            notes += _sample(label, wanted, samples)
        case Expects.PATIENT:
            notes += _patient(label, wanted, stock)
        case Expects.LINE:
            notes += [] if label.id == wanted.planned.unit else [_stop(f"this is {label.id}; the batch is on {wanted.planned.unit}")]
    return stops(notes) or [Note("check_scan", Severity.GOOD, f"scanned: {label.words}")]


def check_label_is_of_the_batch(label: Label, wanted: Scanned) -> list[Note]:
    """Whatever a label names of a patient or a batch is this batch's."""
    planned, wrong = wanted.planned, []
    if label.patient is not None and label.patient != planned.patient:
        wrong.append(f"this label is of another patient than {planned.lot} (21 CFR 211.130(a))")
    if label.batch is not None and wanted.batch is not None and label.batch != wanted.batch:
        wrong.append(f"this label is of {label.batch}, not of {wanted.batch}")
    return [_stop(text, check="check_label_is_of_the_batch") for text in wrong]


def _stop(text: str, *, check: str = "check_scan") -> Note:
    return Note(check, Severity.STOP, text, OWNER)


def _material(label: Label, wanted: Scanned, stock: Stock, now: datetime) -> list[Note]:
    received = received_of(label, stock, wanted.planned, now=now)
    if received is None:
        return [_stop(f"nothing was received here as {label.words}: receive it first (21 CFR 211.84(a))")]
    notes = []
    if wanted.items and received.item not in wanted.items:
        notes.append(_stop(f"this is {words_of(received)}; what was asked for is {' or '.join(wanted.items)}"))
    if label.kind is LabelKind.ASSEMBLY:
        notes += _used_piece(piece_key(label.item, label.serial), stock)
    return [
        *notes,
        *check_lot_is_released(received, stock.state(received.receipt, now=now)),
        *check_is_not_expired(received, until=now, on_label=label.expires),
        *check_is_meant_for(received, wanted.planned),
    ]


def _used_piece(key: str, stock: Stock) -> list[Note]:
    """A piece is used once: one that was installed anywhere is no material any more."""
    where = [f"on {each.unit} for {each.lot}" for each in stock.piece(key).installed]
    where += ["at another site"] if used_digest(key) in stock.elsewhere else []
    return [_stop(f"{key} was installed {each}: a single-use assembly is used once") for each in where]


def _assembly(label: Label, wanted: Scanned, stock: Stock) -> list[Note]:
    key = piece_key(label.item, label.serial)
    here = stock.installed(wanted.planned.unit, wanted.planned.lot)
    mine = {each.piece: position for position, each in here.items()}
    if key not in mine:
        elsewhere = [f"{each.unit} for {each.lot}" for each in stock.piece(key).installed]
        return [
            _stop(
                f"{key} is not installed on {wanted.planned.unit} for {wanted.planned.lot}"
                + (f"; it was, on {', '.join(elsewhere)}" if elsewhere else "")
            )
        ]
    if wanted.items and label.item not in wanted.items:
        return [_stop(f"this is {label.item}; what was asked for is {' or '.join(wanted.items)}")]
    return [_stop(f"this is {key}; what was asked for is {wanted.id}")] if wanted.id and wanted.id not in (key, label.serial) else []


def _sample(label: Label, wanted: Scanned, samples: Mapping[SampleId, LotId]) -> list[Note]:
    sample = SampleId(label.id)
    if wanted.id and sample != wanted.id:
        return [_stop(f"this is {sample}; what was asked for is {wanted.id}")]
    of = samples.get(sample)
    if of is not None:
        return [] if of == wanted.planned.lot else [_stop(f"{sample} was drawn from {of}, not from {wanted.planned.lot}")]
    if label.lot:
        return [] if label.lot == wanted.planned.lot else [_stop(f"{sample} is meant for {label.lot}, not for {wanted.planned.lot}")]
    if label.batch is not None and label.batch == wanted.batch:
        return []
    return [_stop(f"nothing says whose {sample} is: a sample label names its batch or its lot")]


def _patient(label: Label, wanted: Scanned, stock: Stock) -> list[Note]:
    said: IdentityCode | None = label.patient
    if label.kind is LabelKind.DONATION:
        of = {each.patient for each in stock.receipts.values() if each.donation == label.id}
        if len(of) != 1:
            return [
                _stop("nothing was received here under this donation number" if not of else "two patients have material under this donation number")
            ]
        (said,) = of
    if wanted.planned.patient is None:
        return [_stop(f"{wanted.planned.lot} is made for nobody in particular")]
    return [] if said == wanted.planned.patient else [_stop(f"this is another patient than that of {wanted.planned.lot} (21 CFR 211.130(a))")]
