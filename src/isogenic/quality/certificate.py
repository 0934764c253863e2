"""The certificate of analysis of a released lot: plain data, a text page, a PDF page.

Guarantees: the page says what the record says and nothing else; the same certificate
gives the same bytes, PDF included (its date is that of the signature). The PDF is
PDF/A-3a and carries the certificate's data as an attachment. Texts of people reach the
page as data only, never as markup; a sign that the page's face lacks is shown as its code
point there, and as itself in the text page and the attachment.
Leaves to others: whether the lot may be released (release), where the page is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from textwrap import wrap

from isogenic.errors import NotAllowed, NotFound
from isogenic.ids import BatchId, LotId, ProductId, RecipeId, SiteId, UnitId
from isogenic.quality.deviations import Disposition
from isogenic.quality.release import LotReleased, ReleaseCase, judged_results
from isogenic.records import codec
from isogenic.records.notes import VerifyingKey
from isogenic.records.signatures import Signature

__all__ = ["Certificate", "DeviationLine", "ResultLine", "as_pdf", "as_png", "as_text", "certificate_of", "meaning_in_words", "shown", "shown_time"]

COMPLIES = "complies"
DISPOSED = {Disposition.ACCEPT: "Accepted", Disposition.REJECT: "Rejected"}
# What the face that typst brings can show: Latin, Greek, Cyrillic, punctuation, mathematics. PDF/A refuses a missing glyph.
_NOT_SHOWN = re.compile(
    "[^\n -~\u00a0-\u00ac\u00ae-\u024f"
    "\u0370-\u0377\u037a-\u037f\u0384-\u038a\u038c\u038e-\u03a1\u03a3-\u03ff\u0400-\u045f\u1e00-\u1eff"
    "\u2010-\u2027\u2030-\u203a\u2070\u2074-\u2079\u2080-\u2089\u20ac\u2190-\u2199\u2200-\u22ff]"
)
TEXT_WIDTH = 96  # characters: a page of A4 in a typewriter's face


@dataclass(frozen=True, slots=True)
class ResultLine:
    """One attribute: what was measured, and what it must be."""

    attribute: str
    method: str
    limit: str
    result: str
    verdict: str
    sample: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class DeviationLine:
    """One deviation, and what became of it."""

    deviation: str
    severity: str
    statement: str
    disposition: Disposition
    justification: str
    by: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """Everything that the page says."""

    lot: LotId
    product: ProductId
    product_title: str
    batch: BatchId
    site: SiteId
    site_title: str
    unit: UnitId
    started: datetime
    closed: datetime
    recipe: RecipeId
    recipe_version: int
    recipe_digest: str
    specification_version: int
    illustrative: bool
    results: tuple[ResultLine, ...]
    deviations: tuple[DeviationLine, ...]
    checks: int  # how many notes were on the releasing person's page, none of them against it
    ledger: str
    record_size: int
    record_root: str
    signature: Signature


def certificate_of(case: ReleaseCase, released: LotReleased) -> Certificate:
    """The certificate of a lot that `released` released on this case."""
    record, spec = case.record, case.specification
    if record.batch != released.batch or record.lot != released.lot:
        raise NotAllowed(f"cannot certify {released.lot}", why=f"the record is that of {record.name}")
    if record.unit is None or record.recipe is None or record.started_at is None or record.closed_at is None:
        raise NotFound(f"no certificate of {released.lot}", why="the record does not say where and when it was made")
    return Certificate(
        lot=released.lot,
        product=released.product,
        product_title=spec.title,
        batch=released.batch,
        site=released.site,
        site_title=case.directory.site(released.site).title,
        unit=record.unit,
        started=record.started_at,
        closed=record.closed_at,
        recipe=record.recipe,
        recipe_version=record.recipe_version,
        recipe_digest=record.recipe_digest,
        specification_version=spec.version,
        illustrative=spec.illustrative,
        results=_result_lines(case),
        deviations=_deviation_lines(case),
        checks=len(released.notes),
        ledger=record.ledger,
        record_size=released.record_size,
        record_root=released.record_root,
        signature=released.signature,
    )


def _result_lines(case: ReleaseCase) -> tuple[ResultLine, ...]:
    lines = []
    for each in judged_results(case):
        verdict = {"pass": COMPLIES, "fail": "does not comply", "not_judged": "not judged"}[each.verdict]
        title = each.attribute.title if each.attribute.required else f"{each.attribute.title} (for information)"
        lines.append(
            ResultLine(title, each.result.method, each.attribute.limits(), each.shown(), verdict, each.result.sample, each.attribute.required)
        )
    return tuple(lines)


def _deviation_lines(case: ReleaseCase) -> tuple[DeviationLine, ...]:
    lines = []
    for each in case.record.deviations.values():
        if each.disposed is not None:
            done = each.disposed
            signed = done.signature
            by = f"Signed by {signed.printed_name}, {shown_time(signed.at)}, as {signed.role.replace('_', ' ')}, meaning: {signed.meaning}"
            opened = each.opened
            lines.append(DeviationLine(opened.deviation, opened.severity, opened.statement, done.disposition, done.justification, by))
    return tuple(lines)


def shown_time(at: datetime) -> str:
    """A time as people read it on a page, with its zone: 21 CFR 11.50(a)(2)."""
    return f"{at.astimezone(UTC):%d %b %Y %H:%M:%S} UTC"


def shown_minute(at: datetime) -> str:
    """The same to the minute, where the second says nothing."""
    return f"{at.astimezone(UTC):%d %b %Y %H:%M} UTC"


def meaning_in_words(signature: Signature) -> str:
    """What the signature under a certificate means, as a sentence."""
    role = signature.role.replace("_", " ")
    return f"{signature.meaning.capitalize()}: as {role} I certify that this lot was made and tested as recorded, and release it from quarantine."


def _signed_with(signature: Signature) -> str:
    key = VerifyingKey.parse(signature.key).fingerprint
    return key if signature.evidence is None else f"passkey {signature.evidence.credential[:24]}…, enrolled with {key}"


def _page(certificate: Certificate) -> dict[str, object]:
    """What the page shows, all of it texts: numbers and times are formatted here, so that text and PDF say the same."""
    c, signed = certificate, certificate.signature
    return {
        "lot": str(c.lot),
        "product": f"{c.product}",
        "product_title": c.product_title,
        "made": [
            ["Product", f"{c.product}, {c.product_title}"],
            ["Lot", str(c.lot)],
            ["Batch", str(c.batch)],
            ["Made at", f"{c.site_title} ({c.site}), unit {c.unit}"],
            ["Made from", f"{shown_minute(c.started)} to {shown_minute(c.closed)}"],
            ["Process", f"recipe {c.recipe}, version {c.recipe_version}, SHA-256 {c.recipe_digest[:16]}…"],
            ["Specification", f"{c.product}, version {c.specification_version}"],
        ],
        "results": [_result_cells(line) for line in c.results],
        "illustrative": "Illustrative limits: this product does not exist, and its limits are examples, not a filing." if c.illustrative else "",
        "deviations": [[d.deviation, d.severity, d.statement, f"{DISPOSED[d.disposition]}: {d.justification}", d.by] for d in c.deviations],
        "signature": [
            ["Printed name", f"{signed.printed_name} ({signed.person})"],
            ["Signed at", shown_time(signed.at)],
            ["Role", signed.role.replace("_", " ")],
            ["Meaning", meaning_in_words(signed)],
            ["Signed digest", signed.digest],
            ["Key", _signed_with(signed)],
        ],
        "record": [
            ["Ledger", c.ledger],
            ["Facts", f"{c.record_size}"],
            ["Root", c.record_root],
            ["Checks", f"{c.checks} notes of the release checks, none against it; they are in the record"],
        ],
        "verify": "This page is a view of the record. To verify the record itself, ask for the lot's dossier and run",
        "command": "isogenic verify DOSSIER",
        "verify_more": "It needs the dossier and the public keys only, no server of ours; size and root must be those above.",
    }


def _result_cells(line: ResultLine) -> list[str]:
    # Colour only for what would forbid the lot; a result for information stays quiet.
    mark = "stop" if line.required and line.verdict != COMPLIES else ""
    return [line.attribute, line.method, line.limit, line.result, line.verdict, mark]


def as_text(certificate: Certificate) -> str:
    """The certificate as a text page."""
    page = _page(certificate)
    lines = ["CERTIFICATE OF ANALYSIS", "", *_pairs(page["made"]), "", "RESULTS", ""]
    lines += _table([["Attribute", "Method", "Limit", "Result", "Verdict"], *(row[:5] for row in _rows(page["results"]))])
    if page["illustrative"]:
        lines += ["", *wrap(str(page["illustrative"]), TEXT_WIDTH)]
    lines += ["", "DEVIATIONS", ""]
    for deviation, severity, statement, disposition, by in _rows(page["deviations"]):
        lines += [f"{deviation} ({severity})", *(f"  {line}" for text in (statement, disposition, by) for line in wrap(text, TEXT_WIDTH - 2))]
    if not page["deviations"]:
        lines.append("none")
    lines += ["", "SIGNATURE", "", *_pairs(page["signature"]), "", "RECORD", "", *_pairs(page["record"]), ""]
    lines += [*wrap(str(page["verify"]), TEXT_WIDTH), "", f"    {page['command']}", "", *wrap(str(page["verify_more"]), TEXT_WIDTH)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _rows(value: object) -> list[list[str]]:
    assert isinstance(value, list)
    return value


def _pairs(value: object) -> list[str]:
    lines = []
    for name, text in _rows(value):
        first, *more = wrap(text, TEXT_WIDTH - 16) or [""]
        lines += [f"{name:<16}{first}", *(" " * 16 + line for line in more)]
    return lines


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    return [lines[0], "-" * (sum(widths) + 2 * len(widths) - 2), *lines[1:]]


@cache
def _template() -> bytes:
    return files(__package__).joinpath("certificate.typ").read_bytes()


def shown(value: object) -> object:
    """Every text of a page as the page can show it: a sign without a glyph appears as its code point, as in `[U+6D4B]`, never as nothing."""
    if isinstance(value, str):
        return _NOT_SHOWN.sub(lambda found: f"[U+{ord(found[0]):04X}]", value)
    if isinstance(value, dict):
        return {key: shown(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shown(each) for each in value]
    return value


def _inputs(certificate: Certificate) -> dict[str, str]:
    return {"page": codec.dumps(shown(_page(certificate))).decode(), "data": codec.dumps(codec.plain(certificate)).decode()}


def as_pdf(certificate: Certificate) -> bytes:
    """The certificate as PDF/A-3a; the same certificate gives the same bytes."""
    import typst  # 80 MB, so only where a page is really set

    return typst.compile(
        _template(),
        sys_inputs=_inputs(certificate),
        ignore_system_fonts=True,  # only the faces that typst itself brings: another machine's would give other bytes
        pdf_standards="a-3a",
        timestamp=int(certificate.signature.at.timestamp()),
    )


def as_png(certificate: Certificate, *, ppi: float = 110.0) -> bytes:
    """The page as a picture, for a screen."""
    import typst

    return typst.compile(_template(), sys_inputs=_inputs(certificate), ignore_system_fonts=True, format="png", ppi=ppi)
