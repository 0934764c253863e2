"""The executed batch record of a batch, made at the site that runs or ran it."""

from __future__ import annotations

from isogenic.ids import BatchId
from isogenic.quality.executed.model import ExecutedRecord
from isogenic.quality.executed.source import record_of
from isogenic.sites.node import HOUSE, SiteNode

__all__ = ["batch_record"]


def batch_record(node: SiteNode, batch: BatchId, *, readings: bool = True) -> ExecutedRecord:
    """The record of one batch, or `NotFound`. `readings`: compare set-points with the blocks kept here, which reads all of them."""
    sponsors = [ledger for audience, ledger in node.ledgers.items() if audience != HOUSE]
    return record_of(batch, sponsors, lambda ledger: node.control, lambda ledger: node.ledgers[HOUSE], node.blobs.get if readings else None)
