"""Which facts an executed batch record is read from: the ledger in which the batch was started, and the control site's ledger for that site.

Guarantees: the same two ledgers give the same record wherever it is made: at the site, at the
control site, for a dossier or from files.
Leaves to others: opening ledgers (sites, network, shell) and finding blocks (blobs).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from isogenic.batches.facts import BatchStarted
from isogenic.errors import NotFound
from isogenic.ids import BatchId, LotId, UnitId
from isogenic.materials.clearance import LineAssigned, LineLeft, LineStepDone, LineTaken
from isogenic.quality.executed.fold import executed_record, unit_of
from isogenic.quality.executed.model import ExecutedRecord, Held
from isogenic.quality.executed.reached import with_readings
from isogenic.records.facts import Fact
from isogenic.records.gathering import Gathered, gather
from isogenic.records.ledger import Copy, Ledger

__all__ = ["record_of"]

CONTROL, HOUSE = "C", "H"  # the letters before positions in the control site's ledger and in the site's house
LINE = ("materials.line_assigned", "materials.line_step_done", "materials.line_taken", "materials.line_left")
EQUIPMENT = ("sites.module_lost", "sites.module_restored", "sites.setpoint_refused")
DIRECTORY = "authority.directory_published"
SPECIFICATION = "quality.specification_published"


def record_of(
    batch: BatchId,
    ledgers: Iterable[Ledger | Copy],
    control_of: Callable[[Ledger | Copy], Ledger | Copy | None],
    house_of: Callable[[Ledger | Copy], Ledger | Copy | None],
    bytes_of: Callable[[str], bytes] | None = None,
) -> ExecutedRecord:
    """The record of a batch that one of `ledgers` holds. `control_of`, `house_of`: the control site's ledger for that site, and the site's own
    house, for the clearance of the line and what its modules did; `bytes_of`: blocks by digest."""
    for ledger in ledgers:
        started = _started(gather(ledger, names=(batch,)), batch)
        if started is not None:
            break
    else:
        raise NotFound(f"no executed record of {batch}", why="no ledger here says that it was started")
    names, control, house = (batch, started.lot), control_of(ledger), house_of(ledger)
    parts = [("", gather(ledger, names=names))]
    if control is not None:
        parts.append((CONTROL, gather(control, names=(*names, f'"{started.recipe}"'), kinds=(DIRECTORY, SPECIFICATION))))
    if house is not None:
        parts.append((HOUSE, gather(house, names=(), kinds=(*LINE, *EQUIPMENT), about=_OnTheLine(batch, started.lot).has)))
    # Who has cosigned the other two is known where they are written and not elsewhere, so that the same record could not say it everywhere.
    held = [Held(each.ledger, each.size, each.root, None if mark else each.witnessed, mark) for mark, each in parts if each.facts]
    parts.sort(key=lambda part: part[0] != HOUSE)  # the line was cleared before the batch began
    record = executed_record((fact for _, each in parts for fact in each.facts), batch=batch, held=held)
    return record if bytes_of is None else with_readings(record, bytes_of)


class _OnTheLine:
    """Of the house only what is about the batch's line, and its modules while it was on them: nothing else of it is the sponsor's (I7).

    A batch is on a unit from `materials.line_taken` to `materials.line_left`, by the order of that ledger and no clock.
    """

    def __init__(self, batch: BatchId, lot: LotId) -> None:
        self.batch, self.lot = batch, lot
        self.units: set[UnitId] = set()
        self.changes: set[tuple[UnitId, int]] = set()

    def has(self, fact: Fact) -> bool:
        payload = fact.payload
        match payload:
            case LineAssigned(lot=lot) if lot == self.lot:
                self.changes.add((payload.unit, payload.change))
                return True
            case LineStepDone():
                return (payload.unit, payload.change) in self.changes
            case LineTaken(taken_by=batch) if batch == self.batch:
                self.units.add(payload.unit)
                return True
            case LineLeft(left_by=batch) if batch == self.batch:
                self.units.discard(payload.unit)
                return True
        return fact.kind in EQUIPMENT and unit_of(payload) in self.units


def _started(found: Gathered, batch: BatchId) -> BatchStarted | None:
    return next((each.payload for each in found.facts if isinstance(each.payload, BatchStarted) and each.payload.batch == batch), None)
