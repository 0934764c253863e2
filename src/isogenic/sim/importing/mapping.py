"""What a column of somebody else's table is: its name here, its unit there and its unit here.

Guarantees: every column that is taken has a unit, written beside it (`glucose [mM]`, `glucose (mM)`), in a second line,
in the Parquet field's metadata or in a mapping; a column without one is refused by name and line, never guessed. No two
columns get the same name. A unit is one that can be converted to what is asked for.
Leaves to others: the rows (`tables`), the one public layout that says its units wrongly (`indpensim`).

A mapping is a short YAML document:

    isogenic: table-mapping/1
    batch: batch_id
    time: ClockTime
    every: 1 min              # in place of `time`, where rows are evenly spaced and no column says when
    units: {ClockTime: s, DryerTemp: degC}
    names: {DryerTemp: dryer_temperature}
    into: {dryer_temperature: K}
    leave: [AgitatorSpeed]
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from isogenic.documents import Document
from isogenic.errors import NotValid
from isogenic.units import Quantity, converter, same_dimension

__all__ = ["COLUMNS_MAX", "KIND", "NAME_MAX", "Column", "Layout", "Mapping", "laid_out"]

KIND = "isogenic: table-mapping/1"
COLUMNS_MAX = 5000  # spectra have some thousand channels
NAME_MAX = 200  # characters of a heading
_HEADING = re.compile(r"\s*(?P<name>.*?)\s*(?:\[(?P<square>[^\[\]]*)\]|\((?P<round>[^()]*)\))\s*")
_BATCH = ("batch", "batch_id", "batchid", "batch_reference", "lot", "lot_id")
_TIME = ("age_h", "age", "time_h", "time", "hours", "hour", "elapsed_time", "process_time", "culture_age")
_OWN_UNIT = {"age_h": "h", "time_h": "h", "hours": "h"}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,79}")
_TAKEN = ("process", "site", "batch", "age_h")  # what a study table knows its rows by
_BARE = {"-": "1", "–": "1", "none": "1", "dimensionless": "1", "a.u.": "1", "au": "1"}


@dataclass(frozen=True, slots=True)
class Mapping:
    """What people say about a table beside it."""

    batch: str = ""
    time: str = ""
    site: str = ""
    every_h: float = 0.0
    units: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    into: dict[str, str] = field(default_factory=dict)
    leave: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str | bytes) -> Mapping:
        """A mapping document, or `NotValid` with every complaint and its line."""
        document = Document.read(text, what="table mapping", kind=KIND)
        root = document.root
        units, names, into = (root.table(each, needed=False) for each in ("units", "names", "into"))
        out = cls(
            batch=root.text("batch", default=""),
            time=root.text("time", default=""),
            site=root.text("site", default=""),
            every_h=root.quantity("every", like="h", default=Quantity(0.0, "h")).to("h").value,
            units={each: units.text(each) for each in units.names()},
            names={each: names.text(each) for each in names.names()},
            into={each: into.text(each) for each in into.names()},
            leave=root.texts("leave", needed=False),
        )
        if out.every_h < 0 or (out.every_h and out.time):
            document.complain(root.line_of("every"), "rows are so far apart, or a column says when: not both, and not backwards")
        document.done()
        return out


@dataclass(frozen=True, slots=True)
class Column:
    """One column that is taken."""

    at: int  # from 0, in the source
    heading: str
    name: str
    source: str  # unit there
    unit: str  # unit here


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table is read."""

    headings: tuple[str, ...]
    batch: int
    time: int | None
    time_unit: str
    every_h: float
    site: int | None
    columns: tuple[Column, ...]
    left: tuple[str, ...]
    wide: bool = False  # numbers of spectra, which are kept in single precision


def plain(name: str) -> str:
    """A name in snake case."""
    return re.sub(r"_+", "_", re.sub(r"[^0-9a-z]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())).strip("_")


def laid_out(headings: Sequence[str], *, mapping: Mapping, said: Sequence[str] = (), into: dict[str, str] | None = None, line: int = 1) -> Layout:
    """What every column is; `said` are units from a second line or from metadata, in the order of the headings."""
    if not 1 < len(headings) <= COLUMNS_MAX:
        raise NotValid(
            "cannot read the table", why=f"line {line} has {len(headings)} columns", possible=f"2 to {COLUMNS_MAX}, of which one is the batch"
        )
    wanted = {**(into or {}), **mapping.into}
    bare: dict[int, tuple[str, str]] = {}
    for at, heading in enumerate(headings):
        if len(heading) > NAME_MAX:
            raise NotValid(
                "cannot read the table", why=f"line {line}, column {at + 1} has a heading of {len(heading)} characters", possible=f"up to {NAME_MAX}"
            )
        found = _HEADING.fullmatch(heading)
        bare[at] = (found["name"], found["square"] or found["round"] or "") if found and found["name"] else (heading.strip(), "")
    batch = _place(headings, bare, mapping.batch, _BATCH, what="batch", line=line)
    time = None if mapping.every_h else _place(headings, bare, mapping.time, _TIME, what="time", line=line)
    if batch is None or (time is None and not mapping.every_h):
        lacking = "batch" if batch is None else "time"
        raise NotValid(
            "cannot read the table", why=f"line {line}: no column is the {lacking}", possible="say it in a mapping: batch, time (or every)"
        )
    site = _place(headings, bare, mapping.site, ("site",), what="site", line=line)
    columns, left = [], []
    for at, heading in enumerate(headings):
        name, written = bare[at]
        if at in (batch, time, site):
            continue
        if heading in mapping.leave or name in mapping.leave:
            left.append(heading)
            continue
        here = mapping.names.get(heading) or mapping.names.get(name) or plain(name)
        source = _unit(mapping, heading, name, written, said[at] if at < len(said) else "")
        columns.append(Column(at, heading, here, *_units(source, wanted.get(here, ""), heading=heading, at=at, line=line)))
    _apart(columns, line=line)
    known = {*headings, *(name for name, _ in bare.values())}
    names = {each.name for each in columns}
    for what, given, there in (
        ("units", mapping.units, known),
        ("names", mapping.names, known),
        ("leave", mapping.leave, known),
        ("into", mapping.into, names),
    ):
        for each in given:
            if each not in there:
                raise NotValid(
                    "cannot use the mapping", why=f"{what} names {each[:60]!r}, and no column is called so", possible=", ".join(sorted(there))[:200]
                )
    time_unit = "h"
    if time is not None:
        name, written = bare[time]
        time_unit = _unit(mapping, headings[time], name, written, said[time] if time < len(said) else "") or _OWN_UNIT.get(plain(name), "")
        time_unit, _ = _units(time_unit, "h", heading=headings[time], at=time, line=line)
    return Layout(tuple(headings), batch, time, time_unit, mapping.every_h, site, tuple(columns), tuple(left))


def _place(headings: Sequence[str], bare: dict[int, tuple[str, str]], said: str, usual: Sequence[str], *, what: str, line: int) -> int | None:
    if said:
        found = [at for at, heading in enumerate(headings) if said in (heading, bare[at][0])]
        if len(found) != 1:
            raise NotValid("cannot read the table", why=f"line {line}: {len(found)} columns are called {said[:60]!r}, which is to be the {what}")
        return found[0]
    found = [at for at in range(len(headings)) if plain(bare[at][0]) in usual]
    if len(found) > 1:
        both = ", ".join(headings[at][:60] for at in found[:4])
        raise NotValid(
            "cannot read the table", why=f"line {line}: {both} could each be the {what}", possible="say which in a mapping, and leave the other"
        )
    return found[0] if found else None


def _unit(mapping: Mapping, heading: str, name: str, written: str, said: str) -> str:
    found = mapping.units.get(heading) or mapping.units.get(name) or written.strip() or said.strip()
    return _BARE.get(found.lower(), found)


def _units(source: str, wanted: str, *, heading: str, at: int, line: int) -> tuple[str, str]:
    where = f"line {line}, column {at + 1} ({heading[:60]})"
    if not source:
        raise NotValid(
            "cannot read the table",
            why=f"{where} has no unit",
            possible="write it in the heading, as in glucose [mM], in a second line, or in a mapping",
        )
    try:
        same_dimension(source, source)
        converter(source, wanted or source)
    except NotValid as refused:
        raise NotValid("cannot read the table", why=f"{where}: {refused}") from refused
    return source, wanted or source


def _apart(columns: Sequence[Column], *, line: int) -> None:
    seen: dict[str, Column] = {}
    for each in columns:
        if not _NAME.fullmatch(each.name):
            why = f"line {line}, column {each.at + 1}: {each.name[:60]!r} is no name for a variable"
            raise NotValid("cannot read the table", why=why, possible="small letters, digits and underscores, up to 80, a letter first")
        if each.name in _TAKEN:
            raise NotValid(
                "cannot read the table", why=f"line {line}, column {each.at + 1} has no name of its own", possible="give it one in a mapping"
            )
        if other := seen.get(each.name):
            why = f"line {line}, columns {other.at + 1} and {each.at + 1} are both called {each.name}"
            raise NotValid("cannot read the table", why=why, possible="give one of them another name in a mapping, or leave it")
        seen[each.name] = each
