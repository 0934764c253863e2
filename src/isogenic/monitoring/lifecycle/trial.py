"""The one test of a frozen model: test batches judged as on line, by subgroup, against the acceptance criteria that were set before.

Guarantees: the same model and batches give the same outcome; a batch outside of the input space is refused, not left out;
a share stands beside its exact 95 % interval (Clopper and Pearson), because ten batches tell little.
Leaves to others: whether the data were used before (register), the report (report).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from isogenic.errors import NotAllowed, NotValid
from isogenic.monitoring.judging import judge_batch
from isogenic.monitoring.lifecycle.document import ModelDocument
from isogenic.monitoring.model import Model
from isogenic.monitoring.tables import BatchTable, Floats, Variable, check_tables

__all__ = ["Counted", "Criterion", "Judged", "Outcome", "Subgroup", "TestBatch", "batch_digest", "check_is_of_the_document", "interval", "try_model"]

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class TestBatch:
    """A batch with a known answer, and the subgroups that it belongs to."""

    __test__ = False  # no test of ours
    table: BatchTable
    good: bool
    site: str
    litres: float
    donor: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What the model said of one test batch."""

    batch: TestBatch
    digest: str
    maturity: Floats
    ratio: Floats  # the score over its limit; NaN where it could not be judged
    first: float | None  # maturity of its first alarm
    leading: str
    alarms: int  # alarms begun; of a continuous process, rows in alarm
    judged: int  # readings
    not_judged: int


@dataclass(frozen=True, slots=True)
class Counted:
    """So many of so many."""

    count: int
    of: int

    @property
    def share(self) -> float:
        """NaN of none."""
        return self.count / self.of if self.of else math.nan


@dataclass(frozen=True, slots=True)
class Subgroup:
    """One part of the input space: what the model did there."""

    kind: str
    name: str
    good: int  # batches
    false_alarms: Counted
    found: Counted


@dataclass(frozen=True, slots=True)
class Criterion:
    """One acceptance criterion, and what was found."""

    words: str
    found: str
    met: bool

    def __str__(self) -> str:
        return f"{self.words}: {self.found}, {'met' if self.met else 'NOT MET'}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the test came to."""

    batches: tuple[Judged, ...]
    whole: Subgroup
    subgroups: tuple[Subgroup, ...]
    criteria: tuple[Criterion, ...]

    @property
    def passed(self) -> bool:
        """Whether every criterion is met."""
        return all(each.met for each in self.criteria)


def batch_digest(table: BatchTable, variables: Sequence[Variable]) -> str:
    """The digest of what a batch holds, whatever it is called, in which file it is and in which order its columns stand.

    A value changed anywhere gives another digest: the register tells data that come back, not data that were made to look new.
    """
    hashed = hashlib.sha256(b"isogenic batch contents 1\n")
    order = sorted(range(len(variables)), key=lambda each: variables[each].name)
    for name, column in (("", table.maturity), *((variables[each].name, table.values[:, each]) for each in order)):
        plain = np.where(np.isfinite(column), column, np.nan) + 0.0  # one form of NaN and of zero
        hashed.update(f"{len(name.encode())} {name} {len(plain)}\n".encode() + plain.astype("<f8").tobytes())
    return hashed.hexdigest()


def interval(counted: Counted) -> tuple[float, float]:
    """The exact 95 % interval of a share."""
    if not counted.of:
        return 0.0, 1.0
    tail, k, n = (1 - CONFIDENCE) / 2, counted.count, counted.of
    low = 0.0 if k == 0 else float(betaincinv(k, n - k + 1, tail))
    high = 1.0 if k == n else float(betaincinv(k + 1, n - k, 1 - tail))
    return low, high


def check_is_of_the_document(model: Model, document: ModelDocument) -> None:
    """The bytes are those that the document names, of its product."""
    if model.digest != document.digest:
        named = document.digest[:16] or "none: it has not been fitted"
        raise NotAllowed(f"cannot use {model.name} as {document.model}", why=f"its digest is {model.digest[:16]}, the document names {named}")
    if model.product != document.product:
        raise NotAllowed(
            f"cannot use {model.name} as {document.model}", why=f"it was fitted for {model.product or 'no product'}, not {document.product}"
        )


def try_model(model: Model, document: ModelDocument, batches: Sequence[TestBatch]) -> Outcome:
    """Judge every batch by the frozen model and hold the counts against the criteria."""
    check_is_of_the_document(model, document)
    check_inside(document, batches)
    check_tables([each.table for each in batches], model.variables)
    judged = tuple(_judged(model, each) for each in batches)
    whole = _subgroup("all", "all", judged, model)
    space = document.space
    parts = [_subgroup("site", str(site), [each for each in judged if each.batch.site == site], model) for site in space.sites]
    scales = sorted({each.batch.litres for each in judged})
    parts += [_subgroup("scale", f"{litres:g} L", [each for each in judged if each.batch.litres == litres], model) for litres in scales]
    parts += [_subgroup("donor", donor, [each for each in judged if each.batch.donor == donor], model) for donor in space.donors]
    return Outcome(judged, whole, tuple(parts), tuple(_criteria(document, whole, parts)))


def check_inside(document: ModelDocument, batches: Sequence[TestBatch]) -> None:
    """Every batch lies in the input space; the first that does not is named."""
    space = document.space
    for each in batches:
        what = f"cannot test {document.model} on batch {each.table.batch[:40]}"
        if each.site not in space.sites:
            raise NotValid(what, why=f"site {each.site[:40]!r} is outside of its input space", possible=", ".join(space.sites))
        if not space.low <= each.litres <= space.high:
            raise NotValid(what, why=f"{each.litres:g} L is outside of its input space", possible=f"{space.low:g} to {space.high:g} L")
        if space.donors and each.donor not in space.donors:
            raise NotValid(what, why=f"donor {each.donor[:40]!r} is outside of its input space", possible=", ".join(space.donors))


def _judged(model: Model, batch: TestBatch) -> Judged:
    watch, found = judge_batch(model, batch.table)
    ratio = np.array([float(each.score[0]) / float(np.asarray(each.limit).reshape(-1)[0]) if each.judged[0] else np.nan for each in found])
    begun = [(each, at) for each, at in zip(found, batch.table.maturity.tolist(), strict=True) if each.begins[0]]
    leading = model.variables[int(begun[0][0].contributions().argmax())].name if begun else ""
    alarms = sum(bool(each.alarm[0]) for each in found) if model.continuous else len(begun)
    seen = int(watch.judged[0])
    return Judged(
        batch,
        batch_digest(batch.table, model.variables),
        batch.table.maturity,
        ratio,
        begun[0][1] if begun else None,
        leading,
        alarms,
        seen,
        int(watch.not_judged[0]),
    )


def _subgroup(kind: str, name: str, judged: Sequence[Judged], model: Model) -> Subgroup:
    good, faulty = [each for each in judged if each.batch.good], [each for each in judged if not each.batch.good]
    false = Counted(sum(each.alarms > 0 for each in good), len(good))
    if model.continuous:
        false = Counted(sum(each.alarms for each in good), sum(each.judged for each in good))
    return Subgroup(kind, name, len(good), false, Counted(sum(each.alarms > 0 for each in faulty), len(faulty)))


def _criteria(document: ModelDocument, whole: Subgroup, parts: Sequence[Subgroup]) -> list[Criterion]:
    wanted, false, found = document.acceptance, whole.false_alarms, whole.found
    told = [
        Criterion(f"at least {wanted.good_batches} good batches", str(whole.good), whole.good >= wanted.good_batches),
        Criterion(f"false alarms at most {wanted.false_alarms:.1%}", _words(false), false.of > 0 and false.share <= wanted.false_alarms),
        Criterion(f"at least {wanted.faulty_batches} batches with a known fault", str(found.of), found.of >= wanted.faulty_batches),
    ]
    if wanted.faulty_batches:
        told.append(Criterion(f"at least {wanted.detected:.1%} of them found", _words(found), found.of > 0 and found.share >= wanted.detected))
    for each in parts:
        where, least = f"{each.kind} {each.name}", wanted.in_each_subgroup
        told.append(Criterion(f"{where}: at least {least} good batches", str(each.good), each.good >= least))
        most, false = wanted.false_alarms_in_each_subgroup, each.false_alarms
        told.append(Criterion(f"{where}: false alarms at most {most:.1%}", _words(false), false.of > 0 and false.share <= most))
    return told


def _words(counted: Counted) -> str:
    low, high = interval(counted)
    return f"{counted.count} of {counted.of} (95 % interval {low:.1%} to {high:.1%})" if counted.of else "none"
