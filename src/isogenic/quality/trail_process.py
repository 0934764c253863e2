"""What the facts of the process change, for the audit trail: steps of people, formulas, materials, lines, licences.

Guarantees: pure; one `Change` for each thing that is another one afterwards. A fact that says itself
what a value was (a formula, a mode) is believed in that only where the ledger has not said it before.
Leaves to others: the trail itself, old values (trail), and facts of records, people and decisions (trail).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from isogenic.authority.commitments import CommitmentsPublished
from isogenic.authority.leases import LeaseGranted
from isogenic.authority.licences import LicenceApplied, LicenceChanged, State
from isogenic.authority.master_file import MasterFileAnswered, MasterFileApproved, MasterFilePublished, MasterFileSubmitted
from isogenic.authority.revocation import KeyRevoked
from isogenic.authority.safety import SafeCompletionBegun
from isogenic.batches.facts import (
    BranchChosen,
    FormulaChanged,
    ModeChanged,
    ParameterEntered,
    ScanRefused,
    TransitionConfirmed,
    UnitAllocated,
    UnitReleased,
    WitnessDeclined,
)
from isogenic.batches.serials import LabelsAccounted, LabelsIssued
from isogenic.clock import text_of_time
from isogenic.materials.assemblies import AssemblyInstalled, AssemblyOpened, AssemblyRemoved, IntegrityTested
from isogenic.materials.changeover import ChangeoverApproved, ChangeoverPublished, ChangeoverSubmitted
from isogenic.materials.clearance import LineAssigned, LineLeft, LineStepDone, LineTaken
from isogenic.materials.lots import MaterialUsed
from isogenic.materials.receipts import NEXT, MaterialDecided, MaterialReceived, ReceiptState
from isogenic.records.facts import Payload

__all__ = ["Change", "of_authority", "of_materials", "of_steps"]

_DECIDED = {command: state for row in NEXT.values() for command, state in row.items()}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a fact changed. `old`: what it was where the ledger has not said it before."""

    thing: str
    field: str
    new: str
    old: str = ""
    text: str = ""  # the whole text, where only its differing lines are shown
    only_if_new: bool = False  # said again without having changed it is no change


def of_steps(payload: Payload) -> Iterator[Change]:
    """What people did in a batch, and what was given to it."""
    match payload:
        case FormulaChanged() | ParameterEntered():
            unit = f" {payload.unit}".rstrip()
            yield Change(str(payload.batch), f"parameter {payload.parameter}", f"{payload.now:.12g}{unit}", old=f"{payload.was:.12g}{unit}")
        case ModeChanged():
            yield Change(str(payload.batch), "mode", str(payload.mode), old=str(payload.was))
        case BranchChosen(by=person) if person is not None:
            yield Change(str(payload.batch), f"way at {payload.place}", f"{payload.way + 1}, by {person}")
        case TransitionConfirmed():
            yield Change(str(payload.batch), f"{payload.place}, run {payload.run}", f"let on by {payload.by}", old="waiting")
        case UnitAllocated():
            yield Change(str(payload.batch), f"unit as {payload.role}", str(payload.unit), old="none")
            yield Change(str(payload.unit), "batch", str(payload.batch))
        case UnitReleased():
            yield Change(str(payload.batch), f"unit as {payload.role}", "none", old=str(payload.unit))
            yield Change(str(payload.unit), "batch", "none", old=str(payload.batch))
        case WitnessDeclined():
            yield Change(str(payload.batch), f"{payload.prompt} witnessed by", f"declined by {payload.by}")
        case ScanRefused():
            yield Change(str(payload.batch), f"scan for {payload.prompt}", f"{payload.scanned} refused")
        case LabelsIssued():
            yield Change(str(payload.lot), "labels issued", f"{payload.first} to {payload.last}")
        case LabelsAccounted():
            for number in payload.numbers:
                yield Change(str(payload.batch), f"label {number}", str(payload.fate), old="issued")


def of_materials(payload: Payload) -> Iterator[Change]:
    """Receipts, assemblies, lines and the changeover matrix."""
    match payload:
        case MaterialReceived():
            yield Change(str(payload.receipt), "state", str(ReceiptState.QUARANTINE), old="none")
            yield Change(
                str(payload.receipt), "what", f"{payload.title}, {payload.item}, lot {payload.lot} of {payload.supplier}, {payload.quantity}"
            )
        case MaterialDecided():
            yield Change(str(payload.receipt), "state", str(_DECIDED[payload.command]))
        case MaterialUsed():
            yield Change(str(payload.lot), f"material {payload.material}", payload.used_lot)
        case AssemblyOpened():
            yield Change(payload.piece, "bag", "opened", old="closed")
        case IntegrityTested():
            yield Change(payload.piece, f"integrity by {payload.method}", f"{'passed' if payload.passed else 'FAILED'}, {payload.evidence}")
        case AssemblyInstalled():
            yield Change(payload.piece, "installed at", f"{payload.position} of {payload.unit} for {payload.lot}", old="nowhere")
        case AssemblyRemoved():
            yield Change(payload.piece, "installed at", "nowhere, used", old=f"{payload.unit} for {payload.lot}")
        case LineAssigned():
            patient = f", patient {payload.patient}" if payload.patient else ""
            yield Change(str(payload.unit), "changeover", f"number {payload.change} for {payload.lot} of {payload.product}{patient}")
        case LineStepDone():
            result = f", {payload.value:.12g} {payload.unit_of_value}".rstrip() if payload.value is not None else ""
            ticked = f", {len(payload.ticked)} points ticked" if payload.ticked else ""
            evidence = f", evidence {payload.evidence}" if payload.evidence else ""
            yield Change(
                str(payload.unit), f"changeover {payload.change}, {payload.step}", f"done by {payload.by}{ticked}{result}{evidence}", old="open"
            )
        case LineTaken():
            yield Change(str(payload.unit), "on the line", f"{payload.taken_by}, {payload.lot} of {payload.product}", old="nothing")
        case LineLeft():
            yield Change(str(payload.unit), "on the line", "nothing", old=str(payload.left_by))
        case ChangeoverSubmitted():
            yield Change(str(payload.name), "version put forward", str(payload.version))
            yield Change(str(payload.name), "text put forward", "", text=payload.text)
        case ChangeoverApproved():
            yield Change(str(payload.name), f"version {payload.version}", f"{payload.signature.meaning} by {payload.signature.person}")
        case ChangeoverPublished():
            yield Change(str(payload.name), "version published", str(payload.version))
            yield Change(str(payload.name), "text published", "", text=payload.text)


def of_authority(payload: Payload) -> Iterator[Change]:
    """Licences, leases, master files, commitments and keys."""
    match payload:
        case LicenceApplied():
            yield Change(str(payload.licence), "state", str(State.ONBOARDING), old="none")
            yield Change(str(payload.licence), "for", f"{payload.site}, {payload.product} by {payload.master_file}, {payload.reference}")
        case LicenceChanged():
            yield Change(str(payload.licence), "state", str(payload.state))
        case LeaseGranted():
            yield Change(str(payload.licence), f"lease of {payload.site}", f"until {text_of_time(payload.until)}", old="none")
        case MasterFileSubmitted():
            yield Change(str(payload.master_file), "version put forward", str(payload.version))
            yield Change(str(payload.master_file), "text put forward", "", text=payload.text)
        case MasterFileApproved():
            yield Change(str(payload.master_file), f"version {payload.version}", f"{payload.signature.meaning} by {payload.signature.person}")
        case MasterFilePublished():
            yield Change(str(payload.master_file), "version published", str(payload.version))
            yield Change(str(payload.master_file), "text published", "", text=payload.text)
        case MasterFileAnswered():
            differences = "; ".join(payload.differences) or "none"
            yield Change(str(payload.master_file), f"differences from the plant of {payload.site}", differences, only_if_new=True)
        case CommitmentsPublished():
            thing = f"{payload.product} {payload.jurisdiction}"
            yield Change(thing, "commitments, version", str(payload.version))
            yield Change(thing, "commitments", "", text=payload.text)
        case SafeCompletionBegun():
            to = f", handed over to {payload.hand_over_to}" if payload.hand_over_to else ""
            yield Change(str(payload.batch), "safe completion", f"{payload.rule}{to}: {payload.cause}", old="not needed")
        case KeyRevoked():
            for ledger, size in payload.ledgers.items():
                yield Change(ledger, "key", f"revoked after {size} facts, {payload.key or 'no other yet'}", old="in force")
