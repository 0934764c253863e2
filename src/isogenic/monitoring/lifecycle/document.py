"""The document of a monitoring model: what it is for, on what, and what it must show before anybody uses it.

    isogenic: monitoring-model/1
    model: MAB-A-WATCH
    version: 1
    product: MAB-A
    title: Watches fed-batch cultures of MAB-A
    intended_use: Opens a deviation for a person to judge; it steers nothing and releases nothing.
    input_space:
      sites: [LEEDS, GHENT]
      scale: {low: 40 L, high: 250 L}
      donors: [A, B]                  # optional
    acceptance:
      good_batches: 10                # of test data, at least
      false_alarms: 0.1               # share of good batches with any alarm (of rows, where the process is continuous), at most
      faulty_batches: 5
      detected: 0.8                   # share of batches with a known fault that alarm, at least
      in_each_subgroup: 2             # good batches of each site, scale and donor of the input space, at least
      false_alarms_in_each_subgroup: 0.5

`fit` adds what came of it, and nothing may be changed after that:

    fitted:
      digest: ...                     # of the model's bytes
      batches: [...]                  # digests of the contents of what it was fitted on

Guarantees: a document that was read says who, what, on what and by which criteria; all complaints come together, by line.
Leaves to others: who signs it (network.models), whether a unit lies inside (standing).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from isogenic.documents import Document
from isogenic.errors import NotValid
from isogenic.ids import ProductId, SiteId

__all__ = ["KIND", "Acceptance", "InputSpace", "ModelDocument", "read_model_document", "with_fitted"]

KIND = "isogenic: monitoring-model/1"
_NAME = re.compile(r"[A-Z][A-Z0-9-]{0,39}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class InputSpace:
    """Where the model may judge. `low` and `high` in litres, both inside."""

    sites: tuple[SiteId, ...]
    low: float
    high: float
    donors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What the one test must show."""

    good_batches: int
    false_alarms: float
    faulty_batches: int
    detected: float
    in_each_subgroup: int
    false_alarms_in_each_subgroup: float


@dataclass(frozen=True, slots=True)
class ModelDocument:
    """A monitoring model as people sign it."""

    model: str
    version: int
    product: ProductId
    title: str
    intended_use: str
    space: InputSpace
    acceptance: Acceptance
    digest: str  # of the model's bytes; empty before it is fitted
    fitted_on: tuple[str, ...]


def read_model_document(text: str | bytes) -> ModelDocument:
    """Read a document, or refuse it with every complaint."""
    document = Document.read(text, what="monitoring model", kind=KIND)
    root = document.root
    name = root.text("model")
    if not _NAME.fullmatch(name):
        root.complain("model", "a model is named by 1 to 40 capital letters, digits and dashes")
    version, product = root.whole("version", low=1, high=10**6), root.id("product", ProductId)
    title, use = root.text("title"), root.text("intended_use")
    inner, criteria = root.table("input_space"), root.table("acceptance")
    scale = inner.table("scale")
    low, high = scale.quantity("low", like="L").to("L").value, scale.quantity("high", like="L").to("L").value
    sites, donors = inner.texts("sites"), inner.texts("donors", needed=False)
    if not 0 < low <= high:
        inner.complain("scale", "low must be above 0 and not above high")
    if len(set(sites)) != len(sites) or len(set(donors)) != len(donors):
        inner.complain("sites", "a subgroup is there twice")
    acceptance = Acceptance(
        criteria.whole("good_batches", low=1, high=10**6),
        criteria.number("false_alarms", low=0.0, high=1.0),
        criteria.whole("faulty_batches", low=0, high=10**6),
        criteria.number("detected", low=0.0, high=1.0),
        criteria.whole("in_each_subgroup", low=1, high=10**6),
        criteria.number("false_alarms_in_each_subgroup", low=0.0, high=1.0),
    )
    digest, fitted_on = "", tuple[str, ...]()
    if root.has("fitted"):
        fitted = root.table("fitted")
        digest, fitted_on = fitted.text("digest"), fitted.texts("batches")
        if not all(_DIGEST.fullmatch(each) for each in (digest, *fitted_on)):
            root.complain("fitted", "a digest is 64 hex digits, SHA-256")
    document.done()
    try:
        named = tuple(SiteId(each) for each in sites)
    except (NotValid, ValueError) as refusal:
        raise NotValid("cannot read monitoring model", why=f"input_space.sites: {refusal}") from refusal
    return ModelDocument(name, version, product, title, use, InputSpace(named, low, high, donors), acceptance, digest, fitted_on)


def with_fitted(text: str, *, digest: str, batches: Sequence[str]) -> str:
    """The document with what was fitted; one that says so already is refused."""
    if read_model_document(text).digest:
        raise NotValid("cannot fit a model by this document", why="it names a fitted model already", possible="a new version, without `fitted`")
    lines = "".join(f"    - {each}\n" for each in batches)
    whole = f"{text.rstrip()}\nfitted:\n  digest: {digest}\n  batches:\n{lines}"
    read_model_document(whole)
    return whole
