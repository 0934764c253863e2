"""Which facts an executed batch record is read from: the ledger in which the batch was started, and the control site's ledger for that site.

Guarantees: the same two ledgers give the same record wherever it is made: at the site, at the
control site, for a dossier or from files.
Leaves to others: opening ledgers (sites, network, shell) and finding blocks (blobs).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from isogenic.batches.facts import BatchStarted
from isogenic.errors import NotFound
from isogenic.ids import BatchId
from isogenic.quality.executed.fold import executed_record
from isogenic.quality.executed.model import ExecutedRecord, Held
from isogenic.quality.executed.reached import with_readings
from isogenic.records.gathering import Gathered, gather
from isogenic.records.ledger import Copy, Ledger

__all__ = ["record_of"]

CONTROL = "C"  # the letter before a position in the control site's ledger
DIRECTORY = "authority.directory_published"
SPECIFICATION = "quality.specification_published"


def record_of(
    batch: BatchId,
    ledgers: Iterable[Ledger | Copy],
    control_of: Callable[[Ledger | Copy], Ledger | Copy | None],
    bytes_of: Callable[[str], bytes] | None = None,
) -> ExecutedRecord:
    """The record of a batch that one of `ledgers` holds. `control_of`: the control site's ledger for that site; `bytes_of`: blocks by digest."""
    for ledger in ledgers:
        started = _started(gather(ledger, names=(batch,)), batch)
        if started is not None:
            break
    else:
        raise NotFound(f"no executed record of {batch}", why="no ledger here says that it was started")
    control = control_of(ledger)
    parts = [gather(ledger, names=(batch, started.lot))]
    if control is not None:
        parts.append(gather(control, names=(batch, started.lot, f'"{started.recipe}"'), kinds=(DIRECTORY, SPECIFICATION)))
    held = [Held(each.ledger, each.size, each.root, each.witnessed, mark) for each, mark in zip(parts, ("", CONTROL), strict=False)]
    record = executed_record((fact for each in parts for fact in each.facts), batch=batch, held=held)
    return record if bytes_of is None else with_readings(record, bytes_of)


def _started(found: Gathered, batch: BatchId) -> BatchStarted | None:
    return next((each.payload for each in found.facts if isinstance(each.payload, BatchStarted) and each.payload.batch == batch), None)
