"""The executed batch record of a batch, made at the control site from the copies that it holds."""

from __future__ import annotations

from isogenic.errors import NotFound
from isogenic.ids import BatchId
from isogenic.network.control import HOUSE, ControlNode
from isogenic.quality.executed.model import ExecutedRecord
from isogenic.quality.executed.source import record_of

__all__ = ["batch_record"]


def batch_record(node: ControlNode, batch: BatchId, *, readings: bool = True) -> ExecutedRecord:
    """The record of one batch, or `NotFound`. `readings`: compare set-points with the blocks held here, which reads all of them."""
    record = node.state.lots.get(batch)
    if record is None or record.site is None or not record.ledger:
        raise NotFound(f"no executed record of {batch}", why="no site has told of it")
    directed = node.ledgers[str(record.site)]
    house = next((copy for origin, (site, copy) in node.copies.items() if site == record.site and origin.endswith(f"/{HOUSE}")), None)
    return record_of(batch, [node.ledger(record.ledger)], lambda ledger: directed, lambda ledger: house, node.blobs.get if readings else None)
