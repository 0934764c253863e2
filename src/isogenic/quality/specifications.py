"""Specifications: what a product's results are judged against.

    isogenic: specification/1
    product: MAB-A
    title: ...
    version: 1
    illustrative: true          # optional: shown wherever the limits are shown
    trail_review: required      # optional: no release before the batch's audit trail was reviewed; advised: it only warns
    attributes:
      titre:
        title: Titre
        unit: g/L
        low: 3.5                # low, high or both, in `unit`, both inclusive
        method: Protein A HPLC
        release: required       # or for_information: reported and judged, but it stops no release

Guarantees: a specification that was read has at least one attribute, each with a readable
unit and limits in order; `judge` converts the result, never the limit, and never passes a
result that it cannot judge.
Leaves to others: which results there are (laboratory), what a verdict means (release).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from isogenic.documents import Document, Table
from isogenic.errors import NotFound, NotValid
from isogenic.ids import ProductId
from isogenic.laboratory.results import BELOW_QUANTITATION, ResultReported
from isogenic.records.facts import fact
from isogenic.units import converter

__all__ = ["Attribute", "Importance", "Judged", "Specification", "SpecificationPublished", "TrailReview", "Verdict", "judge", "read_specification"]

KIND = "isogenic: specification/1"
TEXTS_KEPT = 16  # read lately: every fold of a ledger meets the same few texts again
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Importance(StrEnum):
    """What an attribute weighs at release."""

    REQUIRED = "required"
    FOR_INFORMATION = "for_information"


class TrailReview(StrEnum):
    """What the review of a batch's audit trail weighs at release.

    It is the specification that says so, not a setting of a node: it is quality's to decide for each product, by a version
    that is published to everybody, and no keeper of a machine can switch it off.
    """

    REQUIRED = "required"
    ADVISED = "advised"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One property of the product, and its limits in `unit`, inclusive."""

    name: str
    title: str
    unit: str
    method: str
    low: float | None
    high: float | None
    importance: Importance

    @property
    def required(self) -> bool:
        """Whether a lot needs a complying result to be released."""
        return self.importance is Importance.REQUIRED

    def limits(self) -> str:
        """The limits as people read them."""
        if self.low is not None and self.high is not None:
            return f"{self.low:.12g} to {self.high:.12g} {self.unit}"
        if self.low is not None:
            return f"≥ {self.low:.12g} {self.unit}"
        return f"≤ {self.high:.12g} {self.unit}"


@dataclass(frozen=True, slots=True)
class Specification:
    """What a product must be."""

    product: ProductId
    title: str
    version: int
    attributes: Mapping[str, Attribute]
    illustrative: bool = False
    trail_review: TrailReview = TrailReview.ADVISED

    def attribute(self, name: str) -> Attribute:
        """The attribute, or `NotFound`."""
        if name not in self.attributes:
            raise NotFound(
                f"no attribute {name[:40]} of {self.product}", why="the specification does not name it", possible=", ".join(self.attributes)
            )
        return self.attributes[name]


@fact("quality.specification_published", subject="product")
@dataclass(frozen=True, slots=True)
class SpecificationPublished:
    """A product's specification took effect. Replaces the version before it."""

    product: ProductId
    version: int
    digest: str  # of the text, hex SHA-256
    text: str


class Verdict(StrEnum):
    """What a result is, against its limits."""

    PASS = "pass"  # noqa: S105 (a verdict, no password)
    FAIL = "fail"
    NOT_JUDGED = "not_judged"  # below quantitation where the limit does not decide, or a unit that does not convert: never a pass


@dataclass(frozen=True, slots=True)
class Judged:
    """A result beside its limits, in the specification's unit."""

    result: ResultReported
    attribute: Attribute
    value: float
    verdict: Verdict

    def shown(self) -> str:
        """The value as people read it, in the specification's unit."""
        mark = f"{self.result.qualifier} " if self.result.qualifier else ""
        return f"{mark}{float(f'{self.value:.4g}'):.12g} {self.attribute.unit}"  # four digits, and no exponent where people expect none

    def __str__(self) -> str:
        return f"{self.attribute.title} {self.shown()}, limit {self.attribute.limits()}: {self.verdict.replace('_', ' ')}"


def read_specification(text: str | bytes) -> Specification:
    """Read a specification document, or `NotValid` with every complaint and its line."""
    return _read(text)


@lru_cache(maxsize=TEXTS_KEPT)
def _read(text: str | bytes) -> Specification:
    document = Document.read(text, what="specification", kind=KIND)
    root = document.root
    product, title, version = root.id("product", ProductId), root.text("title"), root.whole("version", low=1)
    illustrative = root.flag("illustrative", default=False)
    trail_review = root.choice("trail_review", TrailReview, default=TrailReview.ADVISED)
    attributes = {name: _attribute(name, table) for name, table in root.named_tables("attributes").items()}
    if not attributes:
        root.complain("attributes", "a specification has at least one attribute")
    document.done()
    return Specification(product, title, version, attributes, illustrative, trail_review)


def _attribute(name: str, table: Table) -> Attribute:
    if not _NAME.fullmatch(name):
        table.document.complain(table.line, f"{name[:60]!r} is not a name: lower case letters, digits and underscores")
    low = table.number("low") if table.has("low") else None
    high = table.number("high") if table.has("high") else None
    if low is None and high is None:
        table.document.complain(table.line, f"{table.path} has neither low nor high")
    if low is not None and high is not None and low > high:
        table.complain("high", f"{high:g} is below low, {low:g}")
    importance = table.choice("release", Importance, default=Importance.REQUIRED)
    return Attribute(name, table.text("title"), table.unit("unit"), table.text("method"), low, high, importance)


def judge(result: ResultReported, specification: Specification) -> Judged:
    """A result against its limits. Raises `NotFound` where the specification does not name the attribute."""
    attribute = specification.attribute(result.attribute)
    try:
        value = converter(result.unit, attribute.unit)(result.value)
    except NotValid:
        return Judged(result, attribute, result.value, Verdict.NOT_JUDGED)
    return Judged(result, attribute, value, _verdict(value, result.qualifier, attribute))


def _verdict(value: float, qualifier: str, attribute: Attribute) -> Verdict:
    low, high = attribute.low, attribute.high
    if not qualifier:
        within = (low is None or value >= low) and (high is None or value <= high)
        return Verdict.PASS if within else Verdict.FAIL
    if qualifier != BELOW_QUANTITATION:
        return Verdict.NOT_JUDGED
    # The true value is below `value`, and nothing more is known of it.
    if low is not None:
        return Verdict.FAIL if value <= low else Verdict.NOT_JUDGED
    return Verdict.PASS if high is not None and value <= high else Verdict.NOT_JUDGED
