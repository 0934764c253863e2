"""What the authorities were promised of a product: the marketing authorisation as data, one document for each jurisdiction.

    authorisation, holder     under which number, whose
    sites                     where the product may be made
    parameters                ranges that are registered
    attributes                limits of the specification that are registered
    commitments               what is still to be done, by when

Guarantees: what is read is whole, or refused with every complaint and its line. The newest version in each jurisdiction counts.
Leaves to others: comparing it with the master file and the recipe (difference).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256

from isogenic.authority.master_file import Jurisdiction, Range, read_id, read_range, read_time
from isogenic.documents import Document, Table
from isogenic.ids import ProductId, SiteId, SponsorId
from isogenic.records.facts import fact
from isogenic.records.signatures import Signature

__all__ = ["Commitment", "Commitments", "CommitmentsPublished", "Limits", "load_commitments"]

KIND = "isogenic: marketing-commitments/1"
TEXTS_KEPT = 32


@dataclass(frozen=True, slots=True)
class Limits:
    """What an attribute must be."""

    low: float | None
    high: float | None
    unit: str

    def __str__(self) -> str:
        if self.low is not None and self.high is not None:
            return f"{self.low:.12g} to {self.high:.12g} {self.unit}"
        return f"≥ {self.low:.12g} {self.unit}" if self.low is not None else f"≤ {self.high:.12g} {self.unit}"


@dataclass(frozen=True, slots=True)
class Commitment:
    """Something promised."""

    name: str
    text: str
    due: datetime
    done: datetime | None


@dataclass(frozen=True, slots=True)
class Commitments:
    """One marketing authorisation."""

    product: ProductId
    jurisdiction: Jurisdiction
    version: int
    authorisation: str
    holder: str
    sponsor: SponsorId | None
    sites: Mapping[SiteId, str]  # and what each may do
    parameters: Mapping[str, Range]
    attributes: Mapping[str, Limits]
    commitments: tuple[Commitment, ...]
    digest: str


@fact("authority.commitments_published", subject="product")
@dataclass(frozen=True, slots=True)
class CommitmentsPublished:
    """What a marketing authorisation says was put on file, by signature. It stays in the house of the control site."""

    product: ProductId
    jurisdiction: Jurisdiction
    version: int
    digest: str
    text: str
    signature: Signature


@lru_cache(maxsize=TEXTS_KEPT)
def load_commitments(text: str | bytes) -> Commitments:
    """Read marketing commitments, or `NotValid` with every complaint and its line."""
    document = Document.read(text, what="marketing commitments", kind=KIND)
    root = document.root
    found = Commitments(
        product=root.id("product", ProductId),
        jurisdiction=root.choice("jurisdiction", Jurisdiction),
        version=root.whole("version", low=1),
        authorisation=root.text("authorisation"),
        holder=root.text("holder"),
        sponsor=root.id("sponsor", SponsorId) if root.has("sponsor") else None,
        sites=_sites(root.table("sites")),
        parameters={name: read_range(each) for name, each in root.named_tables("parameters", needed=False).items()},
        attributes={name: _limits(each) for name, each in root.named_tables("attributes", needed=False).items()},
        commitments=tuple(_commitment(each) for each in root.tables("commitments", needed=False)),
        digest=sha256(text.encode() if isinstance(text, str) else text).hexdigest(),
    )
    document.done()
    return found


def _sites(table: Table) -> dict[SiteId, str]:
    return {read_id(table, name, SiteId): table.text(name) for name in table.names()}


def _limits(table: Table) -> Limits:
    low = table.number("low") if table.has("low") else None
    high = table.number("high") if table.has("high") else None
    if low is None and high is None:
        table.document.complain(table.line, f"{table.path} has neither low nor high")
    return Limits(low, high, table.unit("unit"))


def _commitment(table: Table) -> Commitment:
    return Commitment(table.text("name"), table.text("text"), read_time(table, "due"), read_time(table, "done") if table.has("done") else None)
