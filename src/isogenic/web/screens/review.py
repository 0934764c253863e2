"""The review queue, and one deviation with its disposition."""

from __future__ import annotations

from collections.abc import Sequence

from isogenic.authority.people import Person
from isogenic.web.control_messages import LotLine
from isogenic.web.messages import BatchLine, DeviationLine
from isogenic.web.screens.batches import trends
from isogenic.web.screens.markup import Child, Markup, h, join
from isogenic.web.screens.parts import count_of, head, listing, mark, minute, pairs, panel, said, second
from isogenic.web.screens.signing import choice, manifestation, signature_dialog
from isogenic.web.screens.words import plain_words, signal_title

__all__ = ["deviation_screen", "lot_mark", "review_screen"]


def lot_mark(state: str) -> Markup:
    """Where a lot stands."""
    return {"released": mark("good", "released"), "rejected": mark("stop", "rejected")}.get(state) or mark("quiet", state)


def review_screen(deviations: Sequence[DeviationLine], lots: Sequence[LotLine]) -> Markup:
    """The page."""
    opened = [each for each in deviations if each.state == "open"]
    closed = [each for each in deviations if each.state != "open"]
    waiting = [lot for lot in lots if lot.state == "quarantine" and lot.closed_at]
    decided = [lot for lot in lots if lot.state in ("released", "rejected")]
    sub = f"{count_of(len(opened), 'deviation')} open, {count_of(len(waiting), 'lot')} waiting for a decision."
    return join(
        head("Review", sub=sub),
        h(
            "div.stack",
            panel("Open deviations", _deviations(opened), aside="worst first"),
            panel("Lots waiting for a decision", _waiting(waiting)),
            panel("Decided lots", _decided(decided)) if decided else None,
            panel("Deviations disposed of", _disposed(closed)) if closed else None,
        ),
    )


def _deviations(lines: Sequence[DeviationLine]) -> Markup:
    rows: list[Sequence[Child]] = [
        (
            mark(each.severity),
            h("span", h("span.main", plain_words(each.statement)), h("span.under", f"{each.deviation}, found by the {each.origin}")),
            h("span", each.batch, h("span.under", each.lot)),
            each.site,
            minute(each.detected_at),
        )
        for each in lines
    ]
    columns = ("Severity", "What departed", "Batch and lot", "Site", "Detected")
    return listing(columns, rows, nothing="No deviation is open.", hrefs=[f"/deviations/{each.deviation}" for each in lines])


def _waiting(lots: Sequence[LotLine]) -> Markup:
    rows: list[Sequence[Child]] = [
        (
            h("span", h("span.main", lot.lot), h("span.under", lot.product)),
            h("span", lot.batch, h("span.under", lot.site)),
            lot.batch_state,
            minute(lot.closed_at),
            _exceptions(lot),
        )
        for lot in lots
    ]
    columns = ("Lot", "Batch and site", "Batch", "Ended", "Exceptions")
    return listing(columns, rows, nothing="No lot waits.", hrefs=[f"/lots/{lot.lot}" for lot in lots])


def _exceptions(lot: LotLine) -> Child:
    found = []
    if lot.open_deviations:
        found.append(mark("major", count_of(lot.open_deviations, "deviation") + " open"))
    if lot.failed_results:
        found.append(mark("stop", count_of(lot.failed_results, "result") + " outside the limit"))
    return said(*found) if found else "none"


def _decided(lots: Sequence[LotLine]) -> Markup:
    rows: list[Sequence[Child]] = [
        (
            h("span", h("span.main", lot.lot), h("span.under", lot.product)),
            lot.site,
            h("span", lot_mark(lot.state), h("span.under", lot.reason) if lot.reason else None),
            lot.decided_by,
            second(lot.decided_at),
            lot.meaning,
        )
        for lot in lots
    ]
    columns = ("Lot", "Site", "Decision", "Signed by", "Date and time", "Meaning")
    return listing(columns, rows, nothing="None.", hrefs=[f"/lots/{lot.lot}" for lot in lots])


def _disposed(lines: Sequence[DeviationLine]) -> Markup:
    rows: list[Sequence[Child]] = [
        (
            h("span", h("span.main", plain_words(each.statement)), h("span.under", each.deviation)),
            h("span.id", each.lot),
            each.severity,
            _word(each),
            each.disposed_by,
            second(each.disposed_at),
            each.disposed_meaning,
        )
        for each in lines
    ]
    return listing(
        ("What departed", "Lot", "Severity", "Disposition", "Signed by", "Date and time", "Meaning"),
        rows,
        nothing="None.",
        hrefs=[f"/deviations/{each.deviation}" for each in lines],
    )


def _word(line: DeviationLine) -> str:
    return {"accept": "accepted", "reject": "rejected"}.get(line.disposition or "", "")


def deviation_screen(
    line: DeviationLine, batch: BatchLine, *, person: Person, may_dispose: bool, why_not: str, now: str, role: str, first: bool = True
) -> Markup:
    """One deviation: what departed, the evidence, and the disposition by signature."""
    leading = line.evidence.get("leading", "")
    names = [name for name in (leading, *_named(line.statement)) if name]
    shown = ",".join(dict.fromkeys(names))
    top = head(
        line.deviation,
        sub=said(
            mark(line.severity) if line.state == "open" else f"{line.severity}, {_word(line)}",
            f"detected {line.detected_at[:16].replace('T', ' ')}Z at {line.site}",
        ),
        trail=[("/review", "Review")],
    )
    evidence = [_evidence(key, value) for key, value in sorted(line.evidence.items(), key=_rank)]
    left = h(
        "div.stack",
        h("section.panel", h("div.in", h("p.statement", plain_words(line.statement)), h("p.empty", "As recorded: ", h("code", line.statement)))),
        panel("The variables named, against good batches", trends(batch, only=shown, columns=1)) if shown else None,
        panel("Evidence", pairs(*evidence)),
    )
    about = panel(
        "Belongs to",
        pairs(
            ("Batch", h("a", line.batch, href=f"/batches/{line.batch}")),
            ("Lot", h("a", line.lot, href=f"/lots/{line.lot}")),
            ("Site", h("a", line.site, href=f"/sites/{line.site}")),
            ("Found by", line.origin),
            ("Severity", line.severity),
        ),
    )
    right = h("div.stack", _disposition(line, person=person, may_dispose=may_dispose, why_not=why_not, now=now, role=role, first=first), about)
    return join(top, h("div.grid.cols-main", left, right))


EVIDENCE = ("statistic", "value", "limit", "since", "maturity", "leading", "contributions", "model")
HOURS = "_h"


def _rank(item: tuple[str, str]) -> tuple[int, str]:
    key = item[0].removesuffix(HOURS)
    return (EVIDENCE.index(key) if key in EVIDENCE else len(EVIDENCE), key)


def _evidence(key: str, value: str) -> tuple[str, str]:
    """A recorded piece of evidence as people say it; a name that ends in `_h` is in hours."""
    name = key.removesuffix(HOURS).replace("_", " ").capitalize()
    if key.endswith(HOURS):
        return name, f"{value} h"
    return name, signal_title(value) if key == "leading" else plain_words(value)


def _named(statement: str) -> list[str]:
    """The variables that a statement names, by their names in the model."""
    return [word.strip(",.;()") for word in statement.split() if "_" in word]


def _disposition(line: DeviationLine, *, person: Person, may_dispose: bool, why_not: str, now: str, role: str, first: bool) -> Markup:
    if line.state != "open":
        return panel(
            "Disposition",
            manifestation(
                printed_name=line.disposed_by,
                role=line.disposed_role or "",
                at=line.disposed_at,
                meaning=f"{line.disposed_meaning}: the lot is {_word(line)} as far as this deviation goes",
                method=line.disposed_method or "",
            ),
            h("p", line.justification, style="margin-top:12px"),
        )
    if not may_dispose:
        return panel("Disposition", h("p.empty", "It waits for a person of quality."), h("p.empty", why_not))
    form = h(
        "form",
        h(
            "fieldset",
            h("legend", "What it means for the lot"),
            choice("disposition", "accept", "Accept", "the lot may go on in spite of it"),
            choice("disposition", "reject", "Reject", "it forbids the release of the lot"),
        ),
        h(
            "label.field",
            h("span", "Justification"),
            h("textarea", name="justification", required=True, maxlength="500", placeholder="What was investigated, and what follows from it"),
        ),
        h("button", "Sign the disposition …", type="button", data_open="#sign", data_needs="#disposition"),
        id="disposition",
    )
    dialog = signature_dialog(
        person,
        role=role,
        title=f"Dispose of {line.deviation}",
        meaning=("disposed", "I have investigated this deviation, and decide what it means for the lot as stated"),
        now=now,
        post=f"/api/deviations/{line.deviation}/disposition",
        takes="#disposition",
        button="Sign",
        about=[
            ("Deviation", plain_words(line.statement)),
            ("Lot", line.lot),
            ("Decision", h("b", data_from="#disposition input[name=disposition]:checked")),
            ("Because", h("span", data_from="#disposition textarea")),
        ],
        first=first,
    )
    return join(panel("Disposition", form), dialog)
