"""What the life of a monitoring model puts on record. Each names the model's digest.

Guarantees: what was put forward, what it was tested on, what came of it, who signed and what went to a site can be told from these alone.
Leaves to others: whether it may be (register, network.models), and what a site answers (standing).
"""

from __future__ import annotations

from dataclasses import dataclass

from isogenic.ids import BatchId, PersonId, ProductId, SiteId
from isogenic.records.facts import fact
from isogenic.records.signatures import Signature

__all__ = [
    "ModelAccepted",
    "ModelNotAccepted",
    "ModelPutForward",
    "ModelReleased",
    "ModelSigned",
    "ModelTested",
    "MonitoringRefused",
    "TestDataRefused",
    "TestDataUsed",
]


@fact("monitoring.model_put_forward", subject="model", house=True)
@dataclass(frozen=True, slots=True)
class ModelPutForward:
    """A frozen model was put forward with its document: intended use, input space, acceptance criteria, and what it was fitted on."""

    model: str
    version: int
    product: ProductId
    digest: str  # of the model's bytes, hex SHA-256
    bytes: int
    document: str  # digest of the text
    text: str


@fact("monitoring.test_data_used", subject="model", house=True)
@dataclass(frozen=True, slots=True)
class TestDataUsed:
    """Batches were taken as test data, before the model saw them. Each can be used once, for one version of one model."""

    __test__ = False  # no test of ours
    model: str
    version: int
    digest: str
    batches: tuple[str, ...]  # digests of their contents
    by: PersonId


@fact("monitoring.test_data_refused", subject="model", house=True)
@dataclass(frozen=True, slots=True)
class TestDataRefused:
    """Somebody wanted to test a model on data that cannot test it: used before, or fitted on. Nothing was judged."""

    __test__ = False  # no test of ours
    model: str
    version: int
    digest: str
    batches: tuple[str, ...]  # those that were refused
    why: str
    by: PersonId


@fact("monitoring.model_tested", subject="model", house=True)
@dataclass(frozen=True, slots=True)
class ModelTested:
    """A model was judged by its acceptance criteria; the report is kept by its digest."""

    model: str
    version: int
    digest: str
    batches: tuple[str, ...]
    report: str  # digest of its bytes
    bytes: int
    criteria: tuple[str, ...]  # each in words, with what was found
    passed: bool


@fact("monitoring.model_signed", subject="model", house=True)
@dataclass(frozen=True, slots=True)
class ModelSigned:
    """A person signed a tested model: its document, its bytes and its report together."""

    model: str
    version: int
    digest: str
    release: str  # what is signed: see standing.release_digest
    signature: Signature


@fact("monitoring.model_released", subject="product")
@dataclass(frozen=True, slots=True)
class ModelReleased:
    """A model signed by two people was released to a site. An earlier version that is released again says why: that is a rollback."""

    model: str
    version: int
    product: ProductId
    site: SiteId
    digest: str
    bytes: int
    text: str
    report: str
    approvals: tuple[Signature, ...]
    why: str


@fact("monitoring.model_accepted", subject="product", house=True)
@dataclass(frozen=True, slots=True)
class ModelAccepted:
    """A site verified a released model and watches batches of its product on these units with it, and with no other."""

    product: ProductId
    model: str
    version: int
    digest: str
    units: tuple[str, ...]
    reasons: tuple[str, ...]  # why other units cannot


@fact("monitoring.model_not_accepted", subject="product", house=True)
@dataclass(frozen=True, slots=True)
class ModelNotAccepted:
    """A site will not watch with a released model, and why."""

    product: ProductId
    model: str
    version: int
    digest: str
    reasons: tuple[str, ...]


@fact("monitoring.refused", subject="batch")
@dataclass(frozen=True, slots=True)
class MonitoringRefused:
    """A batch runs unwatched because its released model may not judge it; said once, with the reason."""

    batch: BatchId
    model: str
    digest: str
    why: str
