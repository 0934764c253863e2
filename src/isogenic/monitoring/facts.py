"""What monitoring puts on record: which model watched a batch, and how much of it was judged."""

from __future__ import annotations

from dataclasses import dataclass

from isogenic.ids import BatchId
from isogenic.records.facts import fact

__all__ = ["MonitoringEnded", "MonitoringStarted"]


@fact("monitoring.started", subject="batch")
@dataclass(frozen=True, slots=True)
class MonitoringStarted:
    """A released model began to watch a batch; its digest says exactly which."""

    batch: BatchId
    model: str
    digest: str


@fact("monitoring.ended", subject="batch")
@dataclass(frozen=True, slots=True)
class MonitoringEnded:
    """The watch ended. Readings that could not be judged are counted, never left out."""

    batch: BatchId
    judged: int
    not_judged: int
    alarms: int
