"""What monitoring puts on record: which model watched a batch, and how much of it was judged."""

from __future__ import annotations

from dataclasses import dataclass

from isogenic.ids import BatchId, ProductId
from isogenic.records.facts import fact

__all__ = ["ModelPublished", "MonitoringEnded", "MonitoringStarted"]


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


@fact("monitoring.model_published", subject="product")
@dataclass(frozen=True, slots=True)
class ModelPublished:
    """A reference model was published to a site. Its bytes go by digest; a batch that it watches names that digest."""

    model: str
    product: ProductId
    digest: str  # of the model's bytes, hex SHA-256
    bytes: int
