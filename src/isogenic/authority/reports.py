"""Documents for the authorities, made from data: the annual report on a master file, and the registration of its sites.

Both are first plain data (`Report`: titles, pairs and tables of texts), in the words of one jurisdiction's profile; text, JSON and
PDF show the same content. A report says what the ledgers say and nothing else: each part names how many facts it was made from.

Guarantees: the same data gives the same bytes, PDF included (its date is the report's). Texts of people reach the page as
data only; a sign that the page's face lacks is shown as its code point there, and as itself in text and attachment.
Leaves to others: collecting the data (network.authority_reports), sending it anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from textwrap import wrap

from isogenic.authority.difference import Difference
from isogenic.authority.licences import Licence, LicenceApplied, LicenceChanged
from isogenic.authority.master_file import ChangeClass, Jurisdiction, MasterFile
from isogenic.authority.profiles import PROFILES
from isogenic.ids import SiteId
from isogenic.records import codec

__all__ = ["Report", "Section", "SiteYear", "annual_report", "as_json", "as_pdf", "as_text", "registration"]

WIDTH = 96  # characters: a page of A4 in a typewriter's face
# What the face that typst brings can show. PDF/A refuses a missing glyph.
_NOT_SHOWN = re.compile(
    "[^\n -~\u00a0-\u00ac\u00ae-\u024f\u0370-\u03ff\u0400-\u045f\u1e00-\u1eff\u2010-\u2027\u2030-\u203a\u20ac\u2190-\u2199\u2200-\u22ff]"
)


@dataclass(frozen=True, slots=True)
class Section:
    """A table under a title; without rows, it says that there is nothing."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a document says."""

    title: str
    authority: str
    at: datetime
    head: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    source: str


@dataclass(frozen=True, slots=True)
class SiteYear:
    """What a site made in the period."""

    site: SiteId
    started: int
    completed: int
    released: int
    rejected: int
    deviations: int
    refused: int  # starts that the gate refused


def _day(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d}"


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _head(file: MasterFile, law: Jurisdiction) -> list[tuple[str, str]]:
    profile = PROFILES[law]
    return [
        ("Product", f"{file.product}, {file.title}"),
        (_capital(profile.terms["master file"]), f"{file.master_file}, version {file.version}, effective from {_day(file.effective_from)}"),
        ("Designation", file.designation.replace("_", " ")),
        (_capital(profile.terms["control site"]), f"{file.control_site}, {file.control_address} ({file.control_authorisation})"),
        *((_capital(what), file.references.get(name, "not said")) for name, what in profile.needed.items()),
        ("SHA-256 of the text", file.digest),
    ]


def _of_law(file: MasterFile, law: Jurisdiction) -> list[SiteId]:
    return [site for site, filed in file.sites.items() if filed.jurisdiction is law]


def registration(file: MasterFile, licences: Sequence[Licence], *, law: Jurisdiction, at: datetime) -> Report:
    """The sites and units of one jurisdiction, as they stand on a day."""
    profile = PROFILES[law]
    mine = {each.site: each for each in licences if each.applied.master_file == file.master_file}
    sites, units = [], []
    for site in _of_law(file, law):
        filed, licence = file.sites[site], mine.get(site)
        until = _day(filed.until) if filed.until else "open"
        state = f"{licence.id}: {licence.state}" if licence else "none applied for"
        sites.append((str(site), filed.title, filed.address, filed.authorisation, _day(filed.since), until, state))
        for unit in filed.units.values():
            history = "; ".join(f"from {_day(since)}: {where}" for since, where in unit.locations)
            units.append(
                (str(site), str(unit.unit), unit.equipment_class.replace("_", " "), unit.identity, unit.location(at) or "nowhere yet", history)
            )
    site_columns = ("Name", "Title", "Address", "Authorisation", "From", "Until", _capital(profile.terms["licence"]))
    unit_columns = ("Site", "Name", "Class", "Identity", "Stands in", "Stood in")
    return Report(
        title=profile.registration,
        authority=profile.authority,
        at=at,
        head=tuple(_head(file, law)),
        sections=(
            Section(_capital(profile.terms["site"]), site_columns, tuple(sites)),
            Section(_capital(profile.terms["unit"]), unit_columns, tuple(units)),
        ),
        source=f"{file.name} and {len(mine)} licences under it",
    )


def annual_report(
    versions: Sequence[MasterFile],
    *,
    law: Jurisdiction,
    since: datetime,
    until: datetime,
    history: Sequence[tuple[datetime, LicenceApplied | LicenceChanged]],
    years: Mapping[SiteId, SiteYear],
    differences: Sequence[Difference],
) -> Report:
    """What changed in a period, what was made, what was suspended, and what differs at its end. `versions` oldest first."""
    profile, file = PROFILES[law], versions[-1]
    sites = {site for each in versions for site in _of_law(each, law)}
    within = [(at, each) for at, each in history if since <= at < until and each.site in sites]
    changes = [
        (str(each.version), _day(each.effective_from), f"{each.change}: {profile.changes[each.change]}", each.why, each.approval or "none")
        for each in versions
        if since <= each.effective_from < until
    ]
    moves = [
        (_day(moved), str(site), str(unit.unit), unit.locations[number - 1][1], where)
        for site in sorted(sites & file.sites.keys())
        for unit in file.sites[site].units.values()
        for number, (moved, where) in enumerate(unit.locations)
        if number and since <= moved < until
    ]
    made = [years[site] for site in sorted(sites) if site in years]
    batches = sum(each.started for each in made)
    return Report(
        title=profile.annual_report,
        authority=profile.authority,
        at=until,
        head=(("Period", f"{_day(since)} to {_day(until)}"), *_head(file, law)),
        sections=(
            Section("Changes of the file", ("Version", "Effective", "Class", "Reason", "Approval"), tuple(changes), _weight(versions, since, until)),
            Section(f"Moves: {profile.terms['unit']}", ("Day", "Site", "Unit", "From", "To"), tuple(moves)),
            Section(_capital(profile.terms["licence"]), ("When", "Site", "Licence", "What", "Signed by", "Reason"), tuple(map(_event, within))),
            Section(
                "Batches",
                ("Site", "Started", "Completed", "Released", "Rejected", "Deviations", "Starts refused"),
                tuple(
                    (str(each.site), *map(str, (each.started, each.completed, each.released, each.rejected, each.deviations, each.refused)))
                    for each in made
                ),
            ),
            Section(
                "Differences at the end of the period",
                ("Weight", "What", "Where", "Commitments", "Master file", "Executable"),
                tuple(
                    (str(each.severity), each.kind.replace("_", " "), each.where, each.commitments, each.master_file, each.executable)
                    for each in differences
                ),
            ),
        ),
        source=f"{file.master_file} (versions: {len(versions)}), facts of licences: {len(within)}, records of batches: {batches}",
    )


def _weight(versions: Sequence[MasterFile], since: datetime, until: datetime) -> str:
    counted = {each: sum(version.change is each and since <= version.effective_from < until for version in versions) for each in ChangeClass}
    return ", ".join(f"{count} {each}" for each, count in counted.items())


def _event(said: tuple[datetime, LicenceApplied | LicenceChanged]) -> tuple[str, ...]:
    at, each = said
    what = "applied for: onboarding" if isinstance(each, LicenceApplied) else f"{each.command}: {each.state}"
    signed = each.signature
    return _minute(at), str(each.site), str(each.licence), what, f"{signed.printed_name} as {signed.role.replace('_', ' ')}", each.why


# ---- as text, JSON and PDF ----


def as_json(report: Report) -> bytes:
    """The report as canonical JSON."""
    return codec.dumps(codec.plain(report))


def as_text(report: Report) -> str:
    """The report as a text page."""
    lines = [_heading(report.title), "", f"For {report.authority}, as of {_minute(report.at)}", ""]
    for name, text in report.head:
        first, *more = wrap(text, WIDTH - 32) or [""]
        head, *rest = wrap(name, 30)
        lines += [f"{head:<32}{first}"]
        lines += [f"{left:<32}{right}" for left, right in _zip(rest, more)]
    for section in report.sections:
        lines += ["", _heading(section.title), *([section.note] if section.note else []), ""]
        lines += [line for row in section.rows for line in _row(section.columns, row)] or ["none"]
    lines += ["", f"Made from {report.source}."]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _heading(text: str) -> str:
    """In capitals; a clause or an abbreviation in brackets stays as it is written."""
    words, bracket, rest = text.partition("(")
    return words.upper() + bracket + rest


def _capital(text: str) -> str:
    """A large first letter; what is an abbreviation stays one."""
    return text[:1].upper() + text[1:]


def _zip(left: list[str], right: list[str]) -> list[tuple[str, str]]:
    count = max(len(left), len(right))
    return list(zip(left + [""] * (count - len(left)), right + [""] * (count - len(right)), strict=True))


def _row(columns: Sequence[str], row: Sequence[str]) -> list[str]:
    """A row as its first cell and, indented under it, the others by name: rows of six texts do not fit beside each other."""
    lines = [row[0]]
    for name, text in zip(columns[1:], row[1:], strict=True):
        if text:
            first, *more = wrap(text, WIDTH - 20) or [""]
            head, *rest = wrap(name, 16)
            lines += [f"  {head:<18}{first}", *(f"  {left:<18}{right}" for left, right in _zip(rest, more))]
    return lines


@cache
def _template() -> bytes:
    return files(__package__).joinpath("report.typ").read_bytes()


def _shown(text: str) -> str:
    return _NOT_SHOWN.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)


def as_pdf(report: Report) -> bytes:
    """The report as PDF/A-3a with its JSON attached; the same report gives the same bytes."""
    import typst  # 80 MB, so only where a page is really set

    page = {
        "title": _shown(report.title),
        "for": _shown(f"For {report.authority}, as of {_minute(report.at)}"),
        "head": [[_shown(name), _shown(text)] for name, text in report.head],
        "sections": [
            {
                "title": _shown(each.title),
                "note": _shown(each.note),
                "columns": list(map(_shown, each.columns)),
                "rows": [list(map(_shown, row)) for row in each.rows],
            }
            for each in report.sections
        ],
        "source": _shown(f"Made from {report.source}."),
    }
    return typst.compile(
        _template(),
        sys_inputs={"page": codec.dumps(page).decode(), "data": as_json(report).decode()},
        ignore_system_fonts=True,
        pdf_standards="a-3a",
        timestamp=int(report.at.timestamp()),
    )
