"""The register: which models were put forward, what they were tested on and with what outcome, who signed, what is released.

Guarantees: pure, folded from facts alone. Test data count as used from the moment they were taken, whatever came of it.
The first text of a version and its first outcome stay.
Leaves to others: taking the facts from the control site's own ledger only (network.state).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from isogenic.ids import ProductId, SiteId
from isogenic.monitoring.lifecycle.document import ModelDocument
from isogenic.monitoring.lifecycle.facts import (
    ModelPutForward,
    ModelReleased,
    ModelSigned,
    ModelTested,
    TestDataRefused,
    TestDataUsed,
)
from isogenic.records.facts import Payload

__all__ = ["ModelKey", "Register", "apply", "unusable"]

ModelKey = tuple[str, int]  # name and version


@dataclass(frozen=True, slots=True)
class Register:
    """Everything that was done with monitoring models."""

    forward: Mapping[ModelKey, ModelPutForward] = field(default_factory=dict)
    used: Mapping[str, TestDataUsed] = field(default_factory=dict)  # by digest of a batch: its first and only use
    refused: tuple[TestDataRefused, ...] = ()
    tested: Mapping[ModelKey, ModelTested] = field(default_factory=dict)
    signed: Mapping[ModelKey, tuple[ModelSigned, ...]] = field(default_factory=dict)
    released: tuple[ModelReleased, ...] = ()  # in order

    def in_force(self, product: ProductId, site: SiteId | None = None) -> ModelReleased | None:
        """The model released last for a product, at that site."""
        return next((each for each in reversed(self.released) if each.product == product and site in (None, each.site)), None)


def apply(register: Register, payload: Payload) -> Register:
    """The register after one fact; others leave it as it is."""
    match payload:
        case ModelPutForward():
            return replace(register, forward={(payload.model, payload.version): payload, **register.forward})
        case TestDataUsed():
            return replace(register, used={**dict.fromkeys(payload.batches, payload), **register.used})
        case TestDataRefused():
            return replace(register, refused=(*register.refused, payload))
        case ModelTested():
            return replace(register, tested={(payload.model, payload.version): payload, **register.tested})
        case ModelSigned():
            key = (payload.model, payload.version)
            return replace(register, signed={**register.signed, key: (*register.signed.get(key, ()), payload)})
        case ModelReleased():
            return replace(register, released=(*register.released, payload))
    return register


def unusable(register: Register, document: ModelDocument, batches: Sequence[str]) -> dict[str, str]:
    """Which of these batches cannot test the model, and why: used before, fitted on, or there twice."""
    against: dict[str, str] = {}
    fitted = {digest: f"{forward.model} version {forward.version}" for forward in register.forward.values() for digest in _fitted_on(forward)}
    fitted |= dict.fromkeys(document.fitted_on, f"{document.model} version {document.version}")
    for at, digest in enumerate(batches):
        if (before := register.used.get(digest)) is not None:
            against[digest] = f"it was used to test {before.model} version {before.version} by {before.by}"
        elif digest in fitted:
            against[digest] = f"{fitted[digest]} was fitted on it"
        elif digest in batches[:at]:
            against[digest] = "it is there twice"
    return against


def _fitted_on(forward: ModelPutForward) -> tuple[str, ...]:
    from isogenic.monitoring.lifecycle.document import read_model_document

    return read_model_document(forward.text).fitted_on
