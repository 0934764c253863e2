"""The changeover matrix: what must be done on a line between one product or patient and the next, signed by two and published.

    isogenic: changeover/1
    matrix: ASTER-CHANGEOVER
    version: 1
    title: Changeover between antibodies and patients
    classes:
      antibody: {title: Antibodies, products: [MAB-A, MAB-B]}
      cells: {title: Cells of one patient, products: [CART-1], per_patient: true}
    checklists:
      clearance: [No product, sample or label of the last batch is on the line, …]
    rules:
      - {on: [stirred_bioreactor], from: [nothing], to: [antibody], steps: [{clear: clearance}, {change: disposables}], valid: 72 h}
      - on: [stirred_bioreactor]
        from: [antibody]
        to: [antibody]
        when: other_product         # same_product, other_product, same_patient, other_patient; left out: whichever
        steps:
          - {clear: clearance, people: 2}
          - {change: disposables}
          - {clean: CIP-3, result: toc, at_most: 500 ug/L}
          - {hold: 2 h}
        valid: 24 h                 # a cleared line is to be taken within
      - {on: [stirred_bioreactor], from: [antibody], to: [cells], forbidden: cells are not made where a culture grew}
    positions:                      # the single-use assemblies of a unit, by equipment class and, where it matters, make
      - {on: [stirred_bioreactor], make: Alder, position: vessel, title: Vessel bag, items: ["09506000134352"], sterile: true}
    materials:                      # what the recipes call medium may be any of these items
      medium: [MED-CHO-1, "09506000134369"]

Guarantees: a matrix that was read names each pair of classes on each equipment class at most once; a pair that it does not name
is forbidden, as is a product that is in no class. Nothing before the first batch is `nothing`.
Leaves to others: whether it is signed (authority), what was done (clearance).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256

from isogenic.documents import Document, Table
from isogenic.errors import NotValid
from isogenic.ids import IdentityCode, LotId, ProductId, RecipeId, SponsorId
from isogenic.materials.assemblies import Position
from isogenic.records.facts import fact
from isogenic.records.signatures import Signature

__all__ = [
    "NOTHING",
    "Cell",
    "ChangeoverApproved",
    "ChangeoverPublished",
    "ChangeoverSubmitted",
    "Matrix",
    "Occupant",
    "Relation",
    "Step",
    "StepKind",
    "digest_of_matrix",
    "read_matrix",
]

KIND = "isogenic: changeover/1"
NOTHING = "nothing"  # what was on a line that was never used
TEXT_MAX = 200
TEXTS_KEPT = 16
PEOPLE_MAX = 4
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Relation(StrEnum):
    """How the next batch is to the last one, besides their classes."""

    FIRST = "first"  # nothing was there before
    SAME_PRODUCT = "same_product"
    OTHER_PRODUCT = "other_product"
    SAME_PATIENT = "same_patient"
    OTHER_PATIENT = "other_patient"


class StepKind(StrEnum):
    """What is to be done."""

    CLEAR = "clear"  # a checklist, ticked by as many people as it takes, each for themselves
    CHANGE = "change"  # the assemblies are new: every position has one that was installed for the next lot
    CLEAN = "clean"  # a procedure, with a result within its limit
    HOLD = "hold"  # nothing, for so long


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a changeover."""

    name: str  # unique in its cell
    kind: StepKind
    title: str
    checklist: tuple[str, ...] = ()
    people: int = 1
    result: str = ""  # what is measured
    at_most: float = 0.0
    unit: str = ""
    hours: float = 0.0


@dataclass(frozen=True, slots=True)
class Cell:
    """What the matrix says of one changeover."""

    steps: tuple[Step, ...]
    valid_h: float  # how long a cleared line stays cleared
    forbidden: str = ""  # why it is never done


@dataclass(frozen=True, slots=True)
class Occupant:
    """What is made on a line: the lot, its product and sponsor, and the patient if it is one's."""

    lot: LotId
    product: ProductId
    sponsor: SponsorId
    patient: IdentityCode | None = None


@dataclass(frozen=True, slots=True)
class Matrix:
    """A changeover matrix."""

    name: RecipeId
    version: int
    title: str
    classes: Mapping[ProductId, str]
    per_patient: frozenset[str]
    cells: Mapping[tuple[str, str, str, Relation], Cell]
    positions: Mapping[tuple[str, str], tuple[Position, ...]]  # by equipment class and make; an empty make is any
    materials: Mapping[str, tuple[str, ...]]  # items, by the name that recipes give a material

    def relation(self, last: Occupant | None, following: Occupant) -> Relation:
        """How the next occupant is to the last one."""
        if last is None:
            return Relation.FIRST
        same = (last.product, last.sponsor) == (following.product, following.sponsor)
        if self.classes.get(following.product) in self.per_patient or self.classes.get(last.product) in self.per_patient:
            return Relation.SAME_PATIENT if same and last.patient == following.patient and last.patient is not None else Relation.OTHER_PATIENT
        return Relation.SAME_PRODUCT if same else Relation.OTHER_PRODUCT

    def cell(self, equipment: str, last: Occupant | None, following: Occupant) -> Cell:
        """What is to be done; a changeover that the matrix does not name is forbidden."""
        to = self.classes.get(following.product)
        if to is None:
            return Cell((), 0.0, f"the matrix puts {following.product} in no class")
        if to in self.per_patient and following.patient is None:
            return Cell((), 0.0, f"{following.product} is made for one patient, and {following.lot} names none")
        if to not in self.per_patient and following.patient is not None:
            return Cell((), 0.0, f"{following.product} is made for nobody in particular, and {following.lot} names a patient")
        origin = NOTHING if last is None else self.classes.get(last.product, "")
        found = self.cells.get((equipment, origin, to, self.relation(last, following)))
        return found or Cell((), 0.0, f"the matrix has no rule for {equipment} from {origin or (last and last.product)} to {to}")

    def positions_of(self, equipment: str, make: str) -> tuple[Position, ...]:
        """The assemblies that a unit takes."""
        return (*self.positions.get((equipment, make), ()), *self.positions.get((equipment, ""), ()))


@fact("materials.changeover_submitted", subject="name")
@dataclass(frozen=True, slots=True)
class ChangeoverSubmitted:
    """A changeover matrix was put forward."""

    name: RecipeId
    version: int
    digest: str  # of the text, hex SHA-256
    text: str


@fact("materials.changeover_approved", subject="name")
@dataclass(frozen=True, slots=True)
class ChangeoverApproved:
    """A person signed a changeover matrix, as its author or as its approver."""

    name: RecipeId
    version: int
    digest: str
    signature: Signature


@fact("materials.changeover_published", subject="name")
@dataclass(frozen=True, slots=True)
class ChangeoverPublished:
    """A changeover matrix took effect. Replaces the version before it."""

    name: RecipeId
    version: int
    digest: str
    text: str
    approvals: tuple[Signature, ...]


def digest_of_matrix(text: str) -> str:
    """What its signatures cover."""
    return sha256(text.encode()).hexdigest()


def read_matrix(text: str | bytes) -> Matrix:
    """Read a changeover document, or `NotValid` with every complaint and its line."""
    return _read(text)


@lru_cache(maxsize=TEXTS_KEPT)
def _read(text: str | bytes) -> Matrix:
    document = Document.read(text, what="changeover matrix", kind=KIND)
    root = document.root
    name, version, title = root.id("matrix", RecipeId), root.whole("version", low=1, high=9_999), _text(root, "title")
    classes, per_patient = _classes(root)
    named = frozenset(classes.values())
    checklists = {each: _checklist(root.table("checklists", needed=False), each) for each in root.table("checklists", needed=False).names()}
    cells: dict[tuple[str, str, str, Relation], Cell] = {}
    for table in root.tables("rules"):
        for key, cell in _rule(table, named, per_patient, checklists).items():
            if key in cells:
                table.document.complain(table.line, f"{table.path}: there is a rule for {key[0]} from {key[1]} to {key[2]}, {key[3]} already")
            cells[key] = cell
    positions: dict[tuple[str, str], tuple[Position, ...]] = {}
    for table in root.tables("positions", needed=False):
        position, make = _position(table), table.text("make", default="")
        for equipment in table.texts("on"):
            known = positions.get((equipment, make), ())
            if position.name in {each.name for each in known}:
                table.complain("position", f"{position.name} of {equipment} stands there already")
            positions[equipment, make] = (*known, position)
    named_materials = root.table("materials", needed=False)
    materials = {each: named_materials.texts(each) for each in named_materials.names()}
    document.done()
    return Matrix(name, version, title, classes, per_patient, cells, positions, materials)


def _text(table: Table, key: str) -> str:
    text = table.text(key)
    if len(text) > TEXT_MAX or not text.isprintable():
        table.complain(key, f"it is one line of at most {TEXT_MAX} characters")
    return text


def _classes(root: Table) -> tuple[dict[ProductId, str], frozenset[str]]:
    classes: dict[ProductId, str] = {}
    per_patient = set()
    for name, table in root.named_tables("classes").items():
        if not _NAME.fullmatch(name) or name == NOTHING:
            table.document.complain(table.line, f"{name[:60]!r} is not a name of a class")
        _text(table, "title")
        if table.flag("per_patient", default=False):
            per_patient.add(name)
        for text in table.texts("products"):
            try:
                product = ProductId(text)
            except NotValid as trouble:
                table.complain("products", str(trouble))
                continue
            if product in classes:
                table.complain("products", f"{product} is in {classes[product]} already")
            classes[product] = name
    return classes, frozenset(per_patient)


def _checklist(table: Table, name: str) -> tuple[str, ...]:
    items = table.texts(name)
    if not items or any(len(each) > TEXT_MAX or not each.isprintable() for each in items) or len(set(items)) != len(items):
        table.complain(name, f"a checklist has one item or more, each once and at most {TEXT_MAX} characters")
    return items


def _rule(
    table: Table, named: frozenset[str], per_patient: frozenset[str], checklists: Mapping[str, tuple[str, ...]]
) -> dict[tuple[str, str, str, Relation], Cell]:
    on, froms, tos = table.texts("on"), table.texts("from"), table.texts("to")
    for key, given, known in (("from", froms, named | {NOTHING}), ("to", tos, named)):
        for each in given:
            if each not in known:
                table.complain(key, f"no class {each[:60]!r}; known are {', '.join(sorted(known))}")
    when = table.choice("when", Relation) if table.has("when") else None
    cell = _cell(table, checklists)
    found = {}
    for origin in froms:
        for to in tos:
            fitting = _relations(origin, to, per_patient)
            if when is not None and when not in fitting:
                table.complain("when", f"{when} cannot be from {origin} to {to}; it can be {', '.join(fitting)}")
            for equipment in on:
                for relation in fitting if when is None else (when,):
                    found[equipment, origin, to, relation] = cell
    return found


def _relations(origin: str, to: str, per_patient: frozenset[str]) -> tuple[Relation, ...]:
    if origin == NOTHING:
        return (Relation.FIRST,)
    if {origin, to} & per_patient:
        return (Relation.SAME_PATIENT, Relation.OTHER_PATIENT) if origin == to else (Relation.OTHER_PATIENT,)
    return (Relation.SAME_PRODUCT, Relation.OTHER_PRODUCT) if origin == to else (Relation.OTHER_PRODUCT,)


def _cell(table: Table, checklists: Mapping[str, tuple[str, ...]]) -> Cell:
    if table.has("forbidden"):
        for key in ("steps", "valid"):
            if table.has(key):
                table.complain(key, "what is forbidden has no steps")
        return Cell((), 0.0, _text(table, "forbidden") or "forbidden")
    steps = tuple(_step(each, checklists) for each in table.tables("steps"))
    if len({step.name for step in steps}) != len(steps):
        table.complain("steps", "a step stands there twice")
    valid = table.quantity("valid", like="h").to("h").value
    if not valid > 0:
        table.complain("valid", "a cleared line stays cleared for some time")
    return Cell(steps, valid)


def _step(table: Table, checklists: Mapping[str, tuple[str, ...]]) -> Step:
    kinds = [kind for kind in StepKind if table.has(kind)]
    if len(kinds) != 1:
        table.document.complain(table.line, f"{table.path}: a step is one of {', '.join(StepKind)}")
        return Step("none", StepKind.HOLD, "none")
    kind = kinds[0]
    if kind is StepKind.HOLD:
        hours = table.quantity("hold", like="h").to("h").value
        return Step(kind, kind, f"Hold for {hours:g} h", hours=hours)
    said = _text(table, kind)
    people = table.whole("people", default=2 if kind is StepKind.CLEAR else 1, low=1, high=PEOPLE_MAX) if kind is not StepKind.CHANGE else 1
    if kind is StepKind.CHANGE:
        return Step(f"{kind} {said}", kind, f"Change {said}")
    if kind is StepKind.CLEAR:
        if said not in checklists:
            table.complain(kind, f"no checklist {said[:60]!r}; known are {', '.join(checklists) or 'none'}")
        return Step(f"{kind} {said}", kind, f"Line clearance, checklist {said}", checklists.get(said, ()), people)
    limit = table.quantity("at_most")
    return Step(f"{kind} {said}", kind, f"Clean by {said}", people=people, result=_text(table, "result"), at_most=limit.value, unit=limit.unit)


def _position(table: Table) -> Position:
    name = table.text("position")
    if not _NAME.fullmatch(name):
        table.complain("position", f"{name[:60]!r} is not a name: lower case letters, digits and underscores")
    items = table.texts("items")
    if not items:
        table.complain("items", "a position takes one item or another")
    hours = table.quantity("open", like="h").to("h").value if table.has("open") else 0.0
    return Position(name, _text(table, "title"), items, table.flag("sterile", default=True), table.flag("integrity", default=False), hours)
