"""The audit trail: who changed what, from what to what, when, where and why (21 CFR 11.10(e), EU Annex 11, 9).

Every fact is a line. A fact that changes something has one line for each thing that changed,
with the value before it: old values are never written by whoever changes something, they are
what the ledger said before, so they cannot be told wrongly.

    fact                            thing, field                      value
    batch.setpoints_commanded       the batch, set-point NAME         in canonical units
    batch.state_changed             the batch, state                  running, held, ...
    laboratory.result_reported      the sample, its attribute         the result
    authority.directory_published   person or site, each field        only what differs
    quality.specification_published the product, version and text     the lines that differ
    batch.formula_changed           the batch, parameter NAME         with its unit
    materials.decided               the receipt, state                released, rejected, ...
    authority.licence_changed       the licence, state                active, suspended, ...
    ...                             (`_of_people` and those after it; trail_process)

Guarantees: the view depends on its ledger alone and is the same when rebuilt; nothing can be
changed or removed in it that is not in the ledger, which only grows (11.10(e)). A secret is
never in it: of a password it says that it was renewed.
Leaves to others: the ledgers (records), showing and exporting (web), reviewing (trail_review).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from isogenic.authority.competence import CompetenceGranted, CompetenceWithdrawn
from isogenic.authority.entitlements import EntitlementEnded, EntitlementGranted
from isogenic.authority.identities import (
    AccountLocked,
    KeyReplaced,
    PasskeyEnrolled,
    PasskeyRemoved,
    PasswordChanged,
    PersonDisabled,
    PersonEnabled,
)
from isogenic.authority.people import Directory, DirectoryPublished
from isogenic.batches.facts import (
    AnswerCorrected,
    BatchClosed,
    BatchStarted,
    PhaseCompleted,
    PhaseStarted,
    PromptAnswered,
    PromptWitnessed,
    SetpointsCommanded,
    StateChanged,
)
from isogenic.clock import text_of_time
from isogenic.errors import NotValid
from isogenic.laboratory.results import ResultReported
from isogenic.materials.lots import LotCreated
from isogenic.monitoring.facts import ModelPublished
from isogenic.monitoring.lifecycle.facts import ModelPutForward, ModelReleased, ModelSigned, ModelTested
from isogenic.quality.deviations import DeviationDisposed, DeviationOpened
from isogenic.quality.release import LotRejected, LotReleased
from isogenic.quality.specifications import SpecificationPublished
from isogenic.quality.trail_process import Change, of_authority, of_materials, of_steps
from isogenic.quality.trail_review import TrailReviewed
from isogenic.recipes.approval import RecipeAccepted, RecipeApproved, RecipePublished, RecipeSubmitted, SiteDocumentApproved, SiteDocumentSubmitted
from isogenic.records import codec
from isogenic.records.derived import NAME_MAX, Tables, View
from isogenic.records.facts import Fact, FactRef, Payload

__all__ = [
    "EXPORT_MAX",
    "FILTERS",
    "TRAIL",
    "Change",
    "TrailLine",
    "TrailPage",
    "TrailPlace",
    "Wanted",
    "all_lines",
    "asked_of",
    "changes_of",
    "exported",
    "find_trail",
]

VALUE_MAX = 400  # characters of a value on the trail; the whole is in the fact
LINES_MAX = 12  # lines of a text that differ; more are counted
PAGE_MAX = 1_000
EXPORT_MAX = 50_000  # lines of one export: about 10 MB; a longer range is asked for in parts, and the export says that it is not whole
TEXT_MAX = 200  # characters of what is looked for
_WHY = ("why", "reason", "reasons", "justification")


def changes_of(fact: Fact) -> Iterator[Change]:
    """What a fact changed."""
    room = fact.kind.partition(".")[0]
    found = _of_quality if room == "quality" else _ROOMS.get(room)
    if found is not None:
        yield from found(fact.payload)


def why_of(fact: Fact) -> str:
    """The reason that a fact gives."""
    for name in _WHY:
        said = getattr(fact.payload, name, None)
        if isinstance(said, str) and said:
            return said
        if isinstance(said, tuple) and said:
            return "; ".join(str(each) for each in said)
    return ""


# ---- what each fact changes ----


def _directory(published: DirectoryPublished) -> Iterator[Change]:
    directory: Directory = published.directory
    yield Change("directory", "version", str(directory.version))
    for site in directory.sites.values():
        for field, value in (("title", site.title), ("ledger key", site.keys.ledger), ("witness key", site.keys.witness)):
            yield Change(str(site.id), field, value, only_if_new=True)
    for person in directory.people.values():
        values = {
            "printed name": person.printed_name,
            "roles": ", ".join(role.words for role in person.roles),
            "sites": ", ".join(person.sites) or "every site",
            "on file": "active" if person.active else "inactive",
            "personal key": person.key,
        }
        for field, value in values.items():
            yield Change(str(person.id), field, value, only_if_new=True)


def _of_people(payload: Payload) -> Iterator[Change]:
    match payload:
        case DirectoryPublished():
            yield from _directory(payload)
        case PasskeyEnrolled():
            yield Change(str(payload.person), f"passkey {payload.passkey.id[:16]}", f"enrolled: {payload.passkey.title}")
        case PasskeyRemoved():
            yield Change(str(payload.person), f"passkey {payload.credential[:16]}", "removed")
        case KeyReplaced():
            yield Change(str(payload.person), "personal key", payload.key, old=payload.former.key)
        case PersonDisabled():
            yield Change(str(payload.person), "account", "shut out", old="let in")
        case PersonEnabled():
            yield Change(str(payload.person), "account", "let in", old="shut out")
        case PasswordChanged():
            yield Change(str(payload.person), f"password at {payload.node}", "renewed", old="not recorded")
        case AccountLocked():
            yield Change(payload.person, f"lock ({payload.means})", f"until {text_of_time(payload.until)}", old="open")
        case CompetenceGranted():
            yield Change(str(payload.person), f"competence {payload.competence}", f"until {text_of_time(payload.until)}")
        case CompetenceWithdrawn():
            yield Change(str(payload.person), f"competence {payload.competence}", "withdrawn")
        case EntitlementGranted():
            yield Change(payload.ledger, f"may be had by {payload.party}", "yes", old="no")
        case EntitlementEnded():
            yield Change(payload.ledger, f"may be had by {payload.party}", "no", old="yes")
        case _:
            yield from of_authority(payload)


def _of_batches(payload: Payload) -> Iterator[Change]:
    match payload:
        case BatchStarted():
            yield Change(str(payload.batch), "state", "running", old="not begun")
            yield Change(str(payload.unit), "batch", str(payload.batch))
        case StateChanged():
            yield Change(str(payload.batch), "state", str(payload.state))
        case BatchClosed():
            yield Change(str(payload.batch), "record", f"closed: {payload.outcome}", old="open")
        case PhaseStarted():
            yield Change(str(payload.batch), "phase", f"{payload.phase}, run {payload.run}")
        case PhaseCompleted():
            yield Change(str(payload.batch), "phase", f"{payload.phase} completed")
        case SetpointsCommanded():
            for name, value in payload.setpoints.items():
                yield Change(str(payload.batch), f"set-point {name.removesuffix('_sp')}", f"{value:.12g}")
        case PromptAnswered():
            yield Change(str(payload.batch), f"answer to {payload.prompt}", payload.answer)
        case AnswerCorrected():
            yield Change(str(payload.batch), f"answer to {payload.prompt}", payload.answer or "taken back", old=payload.was)
        case PromptWitnessed():
            yield Change(str(payload.batch), f"{payload.prompt} witnessed by", str(payload.by))
        case ResultReported():
            yield Change(str(payload.sample), payload.attribute, f"{payload.qualifier}{payload.value:.12g} {payload.unit}".strip())
        case _:
            yield from of_steps(payload)


def _of_decisions(payload: Payload) -> Iterator[Change]:
    match payload:
        case LotCreated():
            yield Change(str(payload.lot), "state", "quarantine", old="none")
        case LotReleased():
            yield Change(str(payload.lot), "state", "released", old="quarantine")
        case LotRejected():
            yield Change(str(payload.lot), "state", "rejected", old="quarantine")
        case DeviationOpened():
            yield Change(str(payload.deviation), "state", f"open, {payload.severity}", old="none")
        case DeviationDisposed():
            yield Change(str(payload.deviation), "state", str(payload.disposition), old="open")
        case TrailReviewed():
            yield Change(str(payload.batch), "audit trail reviewed up to", str(payload.stop), old="0")


def _of_documents(payload: Payload) -> Iterator[Change]:
    match payload:
        case RecipeSubmitted():
            yield Change(str(payload.recipe), "version put forward", str(payload.version))
            yield Change(str(payload.recipe), "text put forward", "", text=payload.text)
        case RecipePublished():
            yield Change(str(payload.recipe), "version published", str(payload.version))
            yield Change(str(payload.recipe), "text published", "", text=payload.text)
            yield Change(str(payload.recipe), "site document", "", text=payload.site_text)
        case RecipeApproved():
            yield Change(str(payload.recipe), f"version {payload.version}", f"{payload.signature.meaning} by {payload.signature.person}")
        case SiteDocumentSubmitted():
            yield Change(str(payload.recipe), f"document of {payload.site} put forward", "", text=payload.text)
        case SiteDocumentApproved():
            what = f"version {payload.version}, document of {payload.site}"
            yield Change(str(payload.recipe), what, f"{payload.signature.meaning} by {payload.signature.person}")
        case RecipeAccepted():
            yield Change(str(payload.recipe), "version accepted", str(payload.version))
        case SpecificationPublished():
            yield Change(str(payload.product), "specification version", str(payload.version))
            yield Change(str(payload.product), "specification", "", text=payload.text)
        case ModelPutForward():
            yield Change(payload.model, "version put forward", str(payload.version))
            yield Change(payload.model, "document put forward", "", text=payload.text)
        case ModelTested():
            yield Change(payload.model, f"version {payload.version}, test", "passed" if payload.passed else "not passed", old="none")
        case ModelSigned():
            yield Change(payload.model, f"version {payload.version}", f"{payload.signature.meaning} by {payload.signature.person}")
        case ModelReleased():
            what = f"{payload.model} version {payload.version}, SHA-256 {payload.digest}"
            yield Change(str(payload.product), f"monitoring model at {payload.site}", what)
        case ModelPublished():
            yield Change(str(payload.product), "reference model", f"{payload.model}, SHA-256 {payload.digest}")


# By the room that the fact is of, so that a fact is matched against a few forms only.
_ROOMS: Mapping[str, Callable[[Payload], Iterator[Change]]] = {
    "authority": _of_people,
    "batch": _of_batches,
    "laboratory": _of_batches,
    "lot": _of_decisions,
    "materials": of_materials,
    "monitoring": _of_documents,
    "recipe": _of_documents,
}


def _of_quality(payload: Payload) -> Iterator[Change]:
    yield from _of_decisions(payload)
    yield from _of_documents(payload)


# ---- the view ----


def _list_changes(db: Tables, fact: Fact) -> None:
    why, part = why_of(fact)[:VALUE_MAX], 0
    for change in changes_of(fact):
        new = change.text or change.new
        before = db.execute(
            "SELECT value FROM trail_latest WHERE ledger = ? AND thing = ? AND field = ?",
            (fact.ref.ledger, change.thing[:NAME_MAX], change.field[:NAME_MAX]),
        ).fetchone()
        if change.only_if_new and before is not None and before[0] == new:
            continue
        old, shown = (before[0] if before is not None else change.old), new
        if change.text:
            old, shown = _differing(before[0] if before is not None else "", change.text)
        _add(db, fact, part, change.thing, change.field, old, shown, why)
        db.execute(
            "INSERT INTO trail_latest VALUES (?, ?, ?, ?) ON CONFLICT (ledger, thing, field) DO UPDATE SET value = excluded.value",
            (fact.ref.ledger, change.thing[:NAME_MAX], change.field[:NAME_MAX], new),
        )
        part += 1
    if why and part == 0:
        _add(db, fact, 0, fact.subject, "", "", "", why)


def _add(db: Tables, fact: Fact, part: int, thing: str, field: str, old: str, new: str, why: str) -> None:
    db.execute(
        "INSERT INTO trail VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (fact.ref.ledger, fact.position, part, thing[:NAME_MAX], field[:NAME_MAX], old[:VALUE_MAX], new[:VALUE_MAX], why),
    )


def _differing(old: str, new: str) -> tuple[str, str]:
    """The lines that went and the lines that came."""
    if not old:
        return "", f"{len(new.splitlines())} lines"
    went, came = [], []
    for line in difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm=""):
        if line.startswith("-") and not line.startswith("---"):
            went.append(line[1:].strip())
        elif line.startswith("+") and not line.startswith("+++"):
            came.append(line[1:].strip())
    return _some(went), _some(came)


def _some(lines: list[str]) -> str:
    more = f" / and {len(lines) - LINES_MAX} more lines" if len(lines) > LINES_MAX else ""
    return " / ".join(lines[:LINES_MAX]) + more


TRAIL = View(
    name="trail",
    version=2,
    ddl="""
CREATE TABLE trail (
    ledger TEXT NOT NULL, position INTEGER NOT NULL, part INTEGER NOT NULL, thing TEXT NOT NULL, field TEXT NOT NULL, old TEXT NOT NULL,
    new TEXT NOT NULL, why TEXT NOT NULL, PRIMARY KEY (ledger, position, part)
) WITHOUT ROWID;
CREATE INDEX trail_by_thing ON trail (thing);
CREATE TABLE trail_latest (
    ledger TEXT NOT NULL, thing TEXT NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (ledger, thing, field)
) WITHOUT ROWID;
""",
    apply=_list_changes,
)


# ---- asking ----


class TrailPlace(NamedTuple):
    """Where a page of the trail ends; the next one goes on from there."""

    at: str
    ledger: str
    position: int
    part: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; an empty value asks for everything. `what` may end in `*`; old, new, why and text are looked for anywhere."""

    who: str = ""
    role: str = ""
    what: str = ""
    thing: str = ""
    field: str = ""
    old: str = ""
    new: str = ""
    why: str = ""
    since: str = ""
    until: str = ""
    ledger: str = ""
    batch: str = ""
    text: str = ""
    changes: bool = False  # only lines that changed something
    below: int = 0  # only positions before this one; of a review


FILTERS = tuple(name for name in Wanted.__dataclass_fields__ if name not in ("changes", "below"))


@dataclass(frozen=True, slots=True)
class TrailLine:
    """One line: who, what, from what to what, when, where, why."""

    ref: FactRef
    part: int
    at: str
    clock: str
    who: str
    role: str
    what: str
    thing: str
    field: str
    old: str
    new: str
    why: str


@dataclass(frozen=True, slots=True)
class TrailPage:
    """Some lines, newest first, and where to go on (None at the end)."""

    lines: tuple[TrailLine, ...]
    next: TrailPlace | None


_SELECT = (
    "SELECT f.ledger, f.position, COALESCE(t.part, 0), f.at, f.quality, f.actor, f.role, f.kind, COALESCE(t.thing, f.subject), "
    "COALESCE(t.field, ''), COALESCE(t.old, ''), COALESCE(t.new, ''), COALESCE(t.why, '') "
    "FROM facts f LEFT JOIN trail t ON t.ledger = f.ledger AND t.position = f.position"
)
_ORDER = "ORDER BY f.at DESC, f.ledger DESC, f.position DESC, COALESCE(t.part, 0) DESC LIMIT ?"


def find_trail(db: Tables, wanted: Wanted, *, after: TrailPlace | None = None, limit: int = 50) -> TrailPage:
    """The lines that are wanted, newest first. The views FACTS and TRAIL must be in these tables."""
    if not 1 <= limit <= PAGE_MAX or any(len(getattr(wanted, name)) > TEXT_MAX for name in FILTERS):
        raise NotValid("cannot look through the trail", why=f"a page has 1 to {PAGE_MAX} lines, what is looked for at most {TEXT_MAX} characters")
    where, values = _conditions(wanted)
    if after is not None:
        where.append("(f.at, f.ledger, f.position, COALESCE(t.part, 0)) < (?, ?, ?, ?)")
        values += after
    try:
        rows = db.execute(f"{_SELECT} WHERE {' AND '.join(where) or 'TRUE'} {_ORDER}", (*values, limit + 1)).fetchall()
    except UnicodeEncodeError as trouble:
        raise NotValid("cannot look through the trail", why="the text is not Unicode") from trouble
    lines = tuple(TrailLine(FactRef(row[0], row[1]), *row[2:]) for row in rows[:limit])
    last = lines[-1] if len(rows) > limit else None
    return TrailPage(lines, TrailPlace(last.at, last.ref.ledger, last.ref.position, last.part) if last else None)


def all_lines(db: Tables, wanted: Wanted, *, most: int = EXPORT_MAX) -> list[TrailLine]:
    """Every line that is wanted, newest first; one more than `most` where there are more."""
    found: list[TrailLine] = []
    place: TrailPlace | None = None
    while len(found) <= most:
        page = find_trail(db, wanted, after=place, limit=PAGE_MAX)
        found += page.lines
        place = page.next
        if place is None:
            break
    return found[: most + 1]


def exported(lines: Sequence[TrailLine], wanted: Wanted, *, whole: bool) -> bytes:
    """The lines as JSON in canonical form, with what was asked for: what the digest of a review is over."""
    rows = [
        {
            "at": line.at,
            "clock": line.clock,
            "field": line.field,
            "ledger": line.ref.ledger,
            "new": line.new,
            "old": line.old,
            "part": line.part,
            "position": line.ref.position,
            "role": line.role,
            "thing": line.thing,
            "what": line.what,
            "who": line.who,
            "why": line.why,
        }
        for line in lines
    ]
    said = {"asked": asked_of(wanted), "isogenic": "trail/1", "lines": rows, "whole": whole}
    return codec.dumps(codec.plain(said)) + b"\n"


def asked_of(wanted: Wanted) -> dict[str, str]:
    """What was asked for, as text."""
    return {name: getattr(wanted, name) for name in FILTERS if getattr(wanted, name)}


def _conditions(wanted: Wanted) -> tuple[list[str], list[Any]]:
    where: list[str] = []
    values: list[Any] = []

    def add(condition: str, *given: Any) -> None:
        where.append(condition)
        values.extend(given)

    for column, value in (("f.actor", wanted.who), ("f.role", wanted.role), ("f.ledger", wanted.ledger)):
        if value:
            add(f"{column} = ?", value)
    if wanted.what.endswith("*"):
        add("f.kind >= ? AND f.kind < ?", wanted.what[:-1], wanted.what[:-1] + "\U0010ffff")
    elif wanted.what:
        add("f.kind = ?", wanted.what)
    if wanted.thing:
        add("(f.subject = ? OR t.thing = ?)", wanted.thing, wanted.thing)
    for column, value in (("t.field", wanted.field), ("t.old", wanted.old), ("t.new", wanted.new), ("t.why", wanted.why)):
        if value:
            add(f"lower({column}) LIKE ? ESCAPE '!'", _anywhere(value))
    if wanted.text:
        whole = "f.kind || ' ' || f.subject || ' ' || f.actor || ' ' || f.body || ' ' || COALESCE(t.old, '') || ' ' || COALESCE(t.field, '')"
        add(f"lower({whole}) LIKE ? ESCAPE '!'", _anywhere(wanted.text))
    if wanted.since:
        add("f.at >= ?", wanted.since)
    if wanted.until:
        add("f.at < ?", wanted.until)
    if wanted.batch:  # facts about the batch itself, and those of its lot, samples and deviations, which name it
        add("(f.subject = ? OR f.body LIKE ? ESCAPE '!')", wanted.batch, _like(f'"batch":{json.dumps(wanted.batch)}'))
    if wanted.changes:
        add("t.field <> ''")
    if wanted.below:
        add("f.position < ?", wanted.below)
    return where, values


def _anywhere(text: str) -> str:
    return _like(_lower(text))


def _lower(text: str) -> str:
    """As both databases lower a text: letters of ASCII only."""
    return "".join(sign.lower() if sign.isascii() else sign for sign in text)


def _like(text: str) -> str:
    return "%" + text.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%"
