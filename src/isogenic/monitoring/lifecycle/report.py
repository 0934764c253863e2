"""The report of a model's test: one page that stands by itself, with figures and no script, the same bytes for the same outcome.

Guarantees: whoever has the digest that two people signed has this very page; every text is escaped.
Leaves to others: keeping the bytes, and showing them.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from isogenic.monitoring.lifecycle.document import ModelDocument
from isogenic.monitoring.lifecycle.trial import Counted, Judged, Outcome, Subgroup, interval
from isogenic.monitoring.model import Model

__all__ = ["report_page"]

WIDTH, HEIGHT, LEFT, FOOT = 760.0, 260.0, 48.0, 34.0
POINTS_SHOWN = 240  # of a batch's line: the highest of each stretch, so that no alarm is lost
BATCHES_DRAWN = 60
RATIO_MAX = 3.0  # of the figure's height: higher is drawn at the top
GOOD, FAULTY, INK, QUIET = "#2a6f97", "#c8553d", "#1d2733", "#8895a3"
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;color:#1d2733;max-width:820px;margin:32px auto;padding:0 20px}"
    "table{border-collapse:collapse;width:100%;margin:10px 0 26px}"
    "td,th{text-align:left;padding:6px 8px;border-bottom:1px solid #dde3ea;vertical-align:top}"
    "code{font-size:12.5px;word-break:break-all}svg{width:100%;height:auto}.not{color:#b3261e;font-weight:600}.scroll{overflow-x:auto}"
)


def report_page(model: Model, document: ModelDocument, outcome: Outcome) -> bytes:
    """The page, as UTF-8."""
    name = f"{document.model} version {document.version}"
    verdict = "Every acceptance criterion is met." if outcome.passed else '<span class="not">Not every acceptance criterion is met.</span>'
    space = document.space
    about = (
        ("Product", str(document.product)),
        ("Intended use", document.intended_use),
        ("Sites", ", ".join(space.sites)),
        ("Scale", f"{space.low:g} to {space.high:g} L"),
        *((("Donors", ", ".join(space.donors)),) if space.donors else ()),
        ("Fitted on", f"{len(document.fitted_on)} batches"),
        ("Tested on", f"{len(outcome.batches)} batches, none of them used before"),
        ("Stated false alarms", f"{model.calibration.false_alarms:.1%} of good {'rows' if model.continuous else 'batches'}"),
        ("Digest of the model", model.digest),
    )
    parts = (
        f"<h1>{escape(name)}</h1><p>{escape(document.title)}</p><p><b>{verdict}</b></p>",
        _table(("", ""), about),
        "<h2>Acceptance criteria</h2>",
        _table(("Criterion", "Found", ""), [(each.words, each.found, "met" if each.met else "NOT MET") for each in outcome.criteria]),
        "<h2>Score over limit</h2><p>Each line is one test batch; over 1 it is over the limit. "
        f'<span style="color:{GOOD}">Good batches</span>, <span style="color:{FAULTY}">batches with a known fault</span>.</p>',
        _lines(outcome.batches, unit=model.maturity_unit),
        "<h2>False alarms by subgroup</h2><p>The share found, and its exact 95 % interval.</p>",
        _shares([outcome.whole, *outcome.subgroups]),
        "<h2>Test batches</h2>",
        _table(
            ("Batch", "Known as", "Subgroup", "First alarm", "Leading", "Judged", "Not judged", "Digest of its contents"), map(_row, outcome.batches)
        ),
    )
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(name)}: test report</title><style>{STYLE}</style></head>'
    return f"{head}<body>{''.join(parts)}</body></html>\n".encode()


def _row(each: Judged) -> tuple[str, ...]:
    batch = each.batch
    where = ", ".join(part for part in (batch.site, f"{batch.litres:g} L", batch.donor) if part)
    known = "good" if batch.good else "with a fault"
    first = "none" if each.first is None else f"{each.first:g}"
    return batch.table.batch, known, where, first, each.leading or "–", str(each.judged), str(each.not_judged), each.digest[:16]


def _table(columns: Sequence[str], rows: object) -> str:
    top = "".join(f"<th>{escape(each)}</th>" for each in columns) if any(columns) else ""
    told = "".join("<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in rows)  # type: ignore[attr-defined]
    return f'<div class="scroll"><table>{f"<tr>{top}</tr>" if top else ""}{told}</table></div>'


def _cell(text: str) -> str:
    return f'<td class="not">{text}</td>' if text == "NOT MET" else f"<td>{escape(text)}</td>"


def _lines(batches: Sequence[Judged], *, unit: str) -> str:
    drawn = batches[:BATCHES_DRAWN]
    first, last = min(float(each.maturity.min()) for each in drawn), max(float(each.maturity.max()) for each in drawn)
    wide, high = WIDTH - LEFT - 8, HEIGHT - FOOT - 8
    span = max(last - first, 1e-12)

    def y(ratio: float) -> float:
        return 8 + high * (1 - min(max(ratio, 0.0), RATIO_MAX) / RATIO_MAX)

    told = [
        f'<line x1="{LEFT}" x2="{WIDTH - 8}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="{INK if tick == 1 else "#dde3ea"}" '
        f'stroke-width="{1.5 if tick == 1 else 1}"/><text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick}</text>'
        for tick in (0, 1, 2, 3)
    ]
    for each in sorted(drawn, key=lambda one: one.batch.good):
        points = []
        for stretch in np.array_split(np.arange(len(each.ratio)), min(POINTS_SHOWN, len(each.ratio))):
            seen = stretch[np.isfinite(each.ratio[stretch])]
            if len(seen):
                at = seen[int(np.argmax(each.ratio[seen]))]
                points.append(f"{LEFT + wide * (float(each.maturity[at]) - first) / span:.1f},{y(float(each.ratio[at])):.1f}")
        colour = GOOD if each.batch.good else FAULTY
        told.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="1.1" stroke-opacity="0.6"/>')
    told += [
        f'<text x="{LEFT + wide * share:.0f}" y="{HEIGHT - 14:.0f}" text-anchor="{anchor}">{first + span * share:.4g} {escape(unit)}</text>'
        for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
    ]
    more = f"<p>{len(batches) - len(drawn)} more batches are not drawn.</p>" if len(batches) > len(drawn) else ""
    return _svg(HEIGHT, told, "Score over limit of every test batch") + more


def _shares(parts: Sequence[Subgroup]) -> str:
    row, left, wide = 30.0, 170.0, WIDTH - 170.0 - 150.0
    told = []
    for at, each in enumerate(parts):
        middle, counted = 18 + row * at, each.false_alarms
        low, high = interval(counted)
        name = "all" if each.kind == "all" else f"{each.kind} {each.name}"
        told.append(f'<text x="0" y="{middle + 4}">{escape(name[:24])}</text>')
        told.append(f'<line x1="{left}" x2="{left + wide}" y1="{middle}" y2="{middle}" stroke="#dde3ea"/>')
        if counted.of:
            told.append(
                f'<line x1="{left + wide * low:.1f}" x2="{left + wide * high:.1f}" y1="{middle}" y2="{middle}" stroke="{QUIET}" stroke-width="6"/>'
                f'<circle cx="{left + wide * counted.share:.1f}" cy="{middle}" r="5" fill="{GOOD}"/>'
            )
        told.append(f'<text x="{WIDTH - 140}" y="{middle + 4}">{_of(counted)}</text>')
    foot = 18 + row * len(parts)
    told += [
        f'<text x="{left + wide * share:.0f}" y="{foot + 2}" text-anchor="middle" fill="{QUIET}">{share:.0%}</text>' for share in (0.0, 0.5, 1.0)
    ]
    return _svg(foot + 12, told, "False alarms by subgroup")


def _of(counted: Counted) -> str:
    return f"{counted.count} of {counted.of}" if counted.of else "no good batch"


def _svg(height: float, parts: Sequence[str], what: str) -> str:
    size = f'viewBox="0 0 {WIDTH:.0f} {height:.0f}" font-size="12.5" font-family="system-ui,sans-serif" fill="{INK}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(what)}" {size}>{"".join(parts)}</svg>'
