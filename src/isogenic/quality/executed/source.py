"""Which facts an executed batch record is read from: the ledger in which the batch was started, and the control site's ledger for that site.

Guarantees: the same two ledgers give the same record wherever it is made: at the site, at the
control site, for a dossier or from files.
Leaves to others: opening ledgers (sites, network, shell) and finding blocks (blobs).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from isogenic.batches.facts import BatchStarted
from isogenic.errors import NotFound
from isogenic.ids import BatchId
from isogenic.quality.executed.fold import executed_record
from isogenic.quality.executed.model import ExecutedRecord, Held
from isogenic.quality.executed.reached import with_readings
from isogenic.records.gathering import Gathered, gather
from isogenic.records.ledger import Copy, Ledger

__all__ = ["record_of"]

CONTROL, HOUSE = "C", "H"  # the letters before positions in the control site's ledger and in the site's house
LINE = ("materials.line_assigned", "materials.line_step_done", "materials.line_taken", "materials.line_left")
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
    house, for the clearance of the line; `bytes_of`: blocks by digest."""
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
        parts.append((HOUSE, _line(gather(house, names=names, kinds=LINE))))
    held = [Held(each.ledger, each.size, each.root, each.witnessed, mark) for mark, each in parts if each.facts]
    parts.sort(key=lambda part: part[0] != HOUSE)  # the line was cleared before the batch began
    record = executed_record((fact for _, each in parts for fact in each.facts), batch=batch, held=held)
    return record if bytes_of is None else with_readings(record, bytes_of)


def _line(found: Gathered) -> Gathered:
    """Of the house only what is about the line: a house belongs to no sponsor, and nothing else of it is theirs (I7)."""
    return replace(found, facts=tuple(fact for fact in found.facts if fact.kind in LINE))


def _started(found: Gathered, batch: BatchId) -> BatchStarted | None:
    return next((each.payload for each in found.facts if isinstance(each.payload, BatchStarted) and each.payload.batch == batch), None)
