"""The master file: by what a product is made, where, on which units, and since when. Data, under two signatures.

    product, designation         modular, point of care or conventional (SI 2025/87; what others call it: profiles)
    control site                 who oversees, and under which authorisation
    process                      recipe, versions, equipment class
    parameters                   the range of each within which a recipe may set it
    safe completion              what a running batch does when its licence is suspended or its lease ends
    competences                  what an operator must be trained for, by act
    sites                        address, jurisdiction, authorisation, from and until
      units                      class, identity, and where it stood since when

Versions follow one another, each with the day from which it is effective and the class of its change. A **major** change is
effective only with the authority's approval; a **moderate** one is notified; a **minor** one is told in the annual report.

Guarantees: what is read is whole and consistent, or refused with every complaint and its line; a date without a time is
its first moment in UTC; a unit is at one place at a time; `effective_at` picks the newest version whose day has come.
Leaves to others: who may sign (rules), whether the world is as the file says (gate, difference).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import TypeVar

from isogenic.authority.competence import competence_word
from isogenic.clock import text_of_time, time_of_text
from isogenic.documents import Document, Table, shown
from isogenic.errors import NotValid
from isogenic.ids import MasterFileId, ProductId, RecipeId, SiteId, SponsorId, UnitId
from isogenic.records.facts import Payload, fact
from isogenic.records.signatures import Signature
from isogenic.units import Quantity

__all__ = [
    "ChangeClass",
    "Designation",
    "FiledSite",
    "FiledUnit",
    "Jurisdiction",
    "MasterFile",
    "MasterFileAnswered",
    "MasterFileApproved",
    "MasterFilePublished",
    "MasterFileSubmitted",
    "Range",
    "Safe",
    "SafeCompletion",
    "effective_at",
    "file_digest",
    "file_of",
    "load_master_file",
    "read_id",
    "read_range",
    "read_time",
]

KIND = "isogenic: master-file/1"
FILES_KEPT = 64  # parsed texts remembered
AnyId = TypeVar("AnyId", SiteId, UnitId)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class Designation(StrEnum):
    """How the product is made, as the authority designated it."""

    CONVENTIONAL = "conventional"
    MODULAR = "modular"  # SI 2025/87: MM, in modular units that may be moved
    POINT_OF_CARE = "point_of_care"  # SI 2025/87: POC, where the patient is


class Jurisdiction(StrEnum):
    """Under whose law a site works."""

    UK = "uk"
    US = "us"
    EU = "eu"


class ChangeClass(StrEnum):
    """How much a change weighs with the authority. What each is called there: profiles."""

    MINOR = "minor"  # told in the annual report
    MODERATE = "moderate"  # notified when it is made
    MAJOR = "major"  # approved before it is made


class Safe(StrEnum):
    """What a running batch does when the permission to make it ends."""

    COMPLETE = "complete"  # it goes on to its end; nothing new is started
    HOLD = "hold"  # it is held, until a person decides
    HAND_OVER = "hand_over"  # it is held for somebody else to take it on: the one that is named


@dataclass(frozen=True, slots=True)
class SafeCompletion:
    """The rule of one product."""

    on_suspension: Safe = Safe.COMPLETE
    on_lease_end: Safe = Safe.COMPLETE
    hand_over_to: str = ""


@dataclass(frozen=True, slots=True)
class Range:
    """Where a parameter may be."""

    low: Quantity
    high: Quantity
    per_volume: bool = False

    def __str__(self) -> str:
        return f"{self.low} to {self.high}{' per litre' if self.per_volume else ''}"


@dataclass(frozen=True, slots=True)
class FiledUnit:
    """A unit as it is on file: what it is, and where it stood since when."""

    unit: UnitId
    equipment_class: str
    identity: str  # make, type and serial number: what stays when it is moved
    locations: tuple[tuple[datetime, str], ...]  # since when, and where; oldest first

    def location(self, at: datetime) -> str:
        """Where it stands at a time; empty before the first."""
        return next((where for since, where in reversed(self.locations) if since <= at), "")


@dataclass(frozen=True, slots=True)
class FiledSite:
    """A site as it is on file."""

    site: SiteId
    title: str
    address: str
    jurisdiction: Jurisdiction
    authorisation: str  # of the site, or the registration of its establishment
    since: datetime
    until: datetime | None
    units: Mapping[UnitId, FiledUnit]


@dataclass(frozen=True, slots=True)
class MasterFile:
    """One version of a master file."""

    master_file: MasterFileId
    version: int
    product: ProductId
    title: str
    sponsor: SponsorId | None
    designation: Designation
    effective_from: datetime
    change: ChangeClass
    why: str
    approval: str  # the authority's reference, where there is one
    control_site: str
    control_address: str
    control_authorisation: str
    recipe: RecipeId
    recipe_versions: tuple[int, ...]
    equipment_class: str
    parameters: Mapping[str, Range]
    safe: SafeCompletion
    competences: Mapping[str, tuple[str, ...]]  # by act
    sites: Mapping[SiteId, FiledSite]
    digest: str = ""
    references: Mapping[str, str] = field(default_factory=dict)  # what a jurisdiction asks for beside, by name

    @property
    def name(self) -> str:
        """As people say it."""
        return f"{self.master_file} version {self.version}"


@fact("authority.master_file_submitted", subject="master_file")
@dataclass(frozen=True, slots=True)
class MasterFileSubmitted:
    """A version of a master file was put forward, whole. Nothing is effective by that."""

    master_file: MasterFileId
    version: int
    product: ProductId
    digest: str
    text: str


@fact("authority.master_file_approved", subject="master_file")
@dataclass(frozen=True, slots=True)
class MasterFileApproved:
    """A person signed this very text, as its author or as its approver."""

    master_file: MasterFileId
    version: int
    digest: str
    signature: Signature


@fact("authority.master_file_published", subject="master_file")
@dataclass(frozen=True, slots=True)
class MasterFilePublished:
    """A signed version of a master file was told to a site. It is in force there from the day that it names."""

    master_file: MasterFileId
    version: int
    product: ProductId
    digest: str
    text: str
    approvals: tuple[Signature, ...]
    site: SiteId
    sponsor: SponsorId | None = None


@fact("authority.master_file_answered", subject="master_file")
@dataclass(frozen=True, slots=True)
class MasterFileAnswered:
    """A site compared a master file with its own plant document: where its units stand, and what differs."""

    master_file: MasterFileId
    version: int
    digest: str
    site: SiteId
    units: dict[str, str]  # unit -> where the site says it stands
    differences: tuple[str, ...]
    sponsor: SponsorId | None = None


def file_digest(text: str) -> str:
    """Hex SHA-256 of the text: what people sign."""
    return sha256(text.encode()).hexdigest()


def effective_at(files: Iterable[MasterFile], at: datetime) -> MasterFile | None:
    """The newest version whose day has come."""
    return max((each for each in files if each.effective_from <= at), key=lambda each: each.version, default=None)


def file_of(published: Payload) -> MasterFile | None:
    """What a publication says; None where its text cannot be read."""
    try:
        return load_master_file(published.text)
    except NotValid:
        return None


@lru_cache(maxsize=FILES_KEPT)
def load_master_file(text: str | bytes) -> MasterFile:
    """Read a master file, or `NotValid` with every complaint and its line."""
    document = Document.read(text, what="master file", kind=KIND)
    root = document.root
    change, control, process = root.table("change"), root.table("control_site"), root.table("process")
    kind = change.choice("class", ChangeClass)
    approval = change.text("approval", default="")
    if kind is ChangeClass.MAJOR and not approval:
        change.complain("class", "a major change names the authority's approval")
    versions = tuple(_version(process, each) for each in process.texts("versions"))
    found = MasterFile(
        master_file=root.id("master_file", MasterFileId),
        version=root.whole("version", low=1),
        product=root.id("product", ProductId),
        title=root.text("title"),
        sponsor=root.id("sponsor", SponsorId) if root.has("sponsor") else None,
        designation=root.choice("designation", Designation),
        effective_from=read_time(root, "effective_from"),
        change=kind,
        why=change.text("why"),
        approval=approval,
        control_site=control.text("title"),
        control_address=control.text("address"),
        control_authorisation=control.text("authorisation"),
        recipe=process.id("recipe", RecipeId),
        recipe_versions=versions,
        equipment_class=process.text("equipment_class"),
        parameters={name: read_range(each) for name, each in root.named_tables("parameters", needed=False).items()},
        safe=_safe(root),
        competences=_competences(root),
        sites={read_id(root, name, SiteId): _site(name, each) for name, each in root.named_tables("sites").items()},
        digest=sha256(text.encode() if isinstance(text, str) else text).hexdigest(),
        references=_references(root),
    )
    if not found.sites:
        root.complain("sites", "a master file names at least one site")
    document.done()
    return found


def _version(process: Table, text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text[:9]) >= 1 or len(text) > 9:
        process.complain("versions", f"{shown(text)!r} is not a version")
        return 1
    return int(text)


def _references(root: Table) -> dict[str, str]:
    table = root.table("references", needed=False)
    return {name: table.text(name) for name in table.names()}


def _competences(root: Table) -> dict[str, tuple[str, ...]]:
    table = root.table("competences", needed=False)
    found = {}
    for act in table.names():
        words = table.texts(act)
        for word in words:
            try:
                competence_word(word)
            except NotValid as trouble:
                table.complain(act, str(trouble))
        found[act] = words
    return found


def _safe(root: Table) -> SafeCompletion:
    table = root.table("safe_completion")
    rule = SafeCompletion(
        table.choice("on_suspension", Safe), table.choice("on_lease_end", Safe, default=Safe.COMPLETE), table.text("hand_over_to", default="")
    )
    if Safe.HAND_OVER in (rule.on_suspension, rule.on_lease_end) and not rule.hand_over_to:
        table.complain("on_suspension", "who hands over says to whom: hand_over_to")
    return rule


def read_range(table: Table) -> Range:
    """A range, `low` to `high` of one dimension."""
    low = table.quantity("low")
    high = table.quantity("high", like=low.unit)
    per_volume = table.text("per", default="") == "volume"
    if _alike(low, high) and high.to(low.unit).value < low.value:
        table.complain("high", f"{high} is below low, {low}")
    return Range(low, high, per_volume)


def _alike(low: Quantity, high: Quantity) -> bool:
    try:
        high.to(low.unit)
    except NotValid:
        return False
    return True


def _site(name: str, table: Table) -> FiledSite:
    since = read_time(table, "from")
    until = read_time(table, "until") if table.has("until") else None
    if until is not None and until <= since:
        table.complain("until", "it ends before it begins")
    units = {read_id(table, unit, UnitId): _unit(unit, each) for unit, each in table.named_tables("units").items()}
    return FiledSite(
        read_id(table, name, SiteId),
        table.text("title"),
        table.text("address"),
        table.choice("jurisdiction", Jurisdiction),
        table.text("authorisation"),
        since,
        until,
        units,
    )


def _unit(name: str, table: Table) -> FiledUnit:
    stations = []
    for each in table.tables("locations"):
        stations.append((read_time(each, "from"), each.text("at")))
    if not stations:
        table.complain("locations", "a unit stands somewhere")
    if [since for since, _ in stations] != sorted({since for since, _ in stations}):
        table.complain("locations", "they follow one another: the oldest first, each from another day on")
    return FiledUnit(read_id(table, name, UnitId), table.text("class"), table.text("identity"), tuple(stations))


def read_id(table: Table, text: str, kind: type[AnyId]) -> AnyId:
    """An id that is a key of a table."""
    try:
        return kind(text)
    except NotValid as trouble:
        table.document.complain(table.line, str(trouble))
        return kind("X0")


def read_time(table: Table, key: str) -> datetime:
    """A time, or a day: its first moment in UTC."""
    text = table.text(key)
    try:
        return time_of_text(text_of_time(time_of_text(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text)))
    except NotValid as trouble:
        if table.has(key):
            table.complain(key, str(trouble))
        return datetime(2000, 1, 1, tzinfo=UTC)
