"""Batches: all of them, and one in full."""

from __future__ import annotations

from collections.abc import Sequence

from isogenic.web.messages import Asked, BatchLine, DeviationLine, PhaseLine
from isogenic.web.screens.markup import Child, Markup, h, join
from isogenic.web.screens.parts import count_of, day_time, empty, head, listing, mark, minute, pairs, panel, record_links, said, strip
from isogenic.web.screens.signing import signed_line
from isogenic.web.screens.words import plain_words
from isogenic.web.story import Event

__all__ = ["LIVE_WORDS", "batch_rows", "batch_screen", "batches_screen", "state_mark", "trends"]

ABNORMAL = frozenset({"holding", "held", "stopping", "stopped", "aborting", "aborted"})
EVENTS_SHOWN = 120
LIVE_WORDS = (
    "Live values, thinned on their way here: never evidence. The evidence is the sealed readings, which the record names once they are sealed."
)
SEALED_WORDS = "From the sealed readings, fewer points than there are. The evidence is the sealed blocks that the record names, whole."


def state_mark(state: str) -> Markup:
    """A batch's state; what stands still for a reason is marked."""
    return mark("major", state) if state in ABNORMAL else mark("quiet" if state != "complete" else "good", state)


def batch_rows(batches: Sequence[BatchLine], *, with_site: bool = True) -> Markup:
    """Batches as a table."""
    rows: list[Sequence[Child]] = [
        (
            h("span", h("span.main", batch.batch), h("span.under", batch.lot)),
            h(
                "span",
                f"{batch.site}, {batch.unit}" if with_site else batch.unit,
                h("span.under", f"{batch.product}, {batch.recipe} version {batch.version}"),
            ),
            h("span", state_mark(batch.state), h("span.under", batch.phase) if batch.phase else None),
            minute(batch.started_at),
            minute(batch.closed_at) if batch.closed_at else "–",
            mark("major", str(batch.open_deviations)) if batch.open_deviations else "0",
        )
        for batch in batches
    ]
    columns = ("Batch", "Site and unit" if with_site else "Unit", "State", "Started", "Ended", "#Deviations open")
    return listing(columns, rows, nothing="No batch has been started.", hrefs=[f"/batches/{batch.batch}" for batch in batches])


def batches_screen(batches: Sequence[BatchLine]) -> Markup:
    """Every batch of the network."""
    running = sum(batch.closed_at is None for batch in batches)
    return join(
        head("Batches", sub=f"{count_of(running, 'batch', 'batches')} running, {len(batches) - running} over."),
        panel("All batches", batch_rows(batches)),
    )


def trends(batch: BatchLine, *, only: str = "", columns: int = 3) -> Markup:
    """The place where isogenic.js draws, and what it is that is drawn there."""
    drawn = h(
        "iso-trends",
        batch=batch.batch,
        site=batch.site,
        unit=batch.unit,
        since=batch.started_at,
        live=batch.closed_at is None,
        only=only or None,
        columns=columns,
        bare=bool(only),
    )
    return join(drawn, h("p.live", LIVE_WORDS if batch.closed_at is None else SEALED_WORDS))


def batch_screen(
    batch: BatchLine,
    phases: Sequence[PhaseLine],
    prompts: Sequence[Asked],
    deviations: Sequence[DeviationLine],
    events: Sequence[Event],
    setpoints: Sequence[tuple[str, str]],
) -> tuple[Markup, Markup, Markup]:
    """Three parts: what changes above the trends, the trends (drawn once), and what changes beside them."""
    top = join(
        head(
            batch.batch,
            sub=said(state_mark(batch.state), f"{batch.lot}, {batch.product}", f"{batch.recipe} version {batch.version} on {batch.unit}"),
            trail=[("/", "Network"), (f"/sites/{batch.site}", batch.site), ("/batches", "Batches")],
            aside=h(
                "div.clock",
                h("b", f"{batch.elapsed_h:.1f} h" if batch.elapsed_h is not None else minute(batch.closed_at)),
                "in this phase" if batch.elapsed_h is not None else "ended",
            ),
        ),
        h("section.panel", h("div.in", strip(phases)), style="margin-bottom:16px"),
    )
    wall = panel(
        "Monitored variables over batch maturity, days since inoculation",
        trends(batch),
        aside="live values" if batch.closed_at is None else "sealed readings",
    )
    side = join(
        panel("Executed batch record", h("p", record_links(batch.batch), style="margin:0")),
        panel("Deviations", _deviations(deviations), aside=count_of(sum(each.state == "open" for each in deviations), "open", "open")),
        panel("Questions and answers", _prompts(prompts)),
        panel("Set-points in force", pairs(*setpoints) if setpoints else empty("None yet.")) if batch.closed_at is None else None,
        panel("What happened", _events(events), aside="newest first"),
    )
    return top, wall, side


def _deviations(deviations: Sequence[DeviationLine]) -> Markup:
    if not deviations:
        return empty("None was opened.")
    return h(
        "div.stack",
        *(
            h(
                "a.notice" + (".warn" if each.state == "open" else ""),
                h(
                    "h3",
                    mark(each.severity) if each.state == "open" else f"{each.severity}, {each.disposition}ed",
                    " ",
                    h("span.under", each.deviation),
                ),
                h("p", plain_words(each.statement)),
                None
                if each.state == "open"
                else signed_line(printed_name=each.disposed_by, at=each.disposed_at, meaning=each.disposed_meaning or ""),
                href=f"/deviations/{each.deviation}",
                style="display:block;text-decoration:none",
            )
            for each in deviations
        ),
    )


def _prompts(prompts: Sequence[Asked]) -> Markup:
    rows = []
    for each in reversed(prompts):
        if each.answer is None:
            answer: Child = mark("warn", "waits for an answer")
        else:
            unit = f" {each.measured_in}" if each.measured_in else ""
            answer = join(h("b", f"{each.answer}{unit}"), h("span.under", f"{each.answered_by}, ", day_time(each.answered_at)))
        rows.append((h("span", each.text), answer))
    return listing(("Question", "Answer"), rows, nothing="Nothing has been asked.")


def _events(events: Sequence[Event]) -> Markup:
    if not events:
        return empty("Nothing yet.")
    lines = []
    for event in list(reversed(events))[:EVENTS_SHOWN]:
        at = f"{event.at:%Y-%m-%dT%H:%M:%S}.000Z"
        lines.append(
            h(
                "li.abnormal" if event.abnormal else "li",
                day_time(at),
                h("span", ("▲ " if event.abnormal else "") + plain_words(event.text), f" ({event.by})" if event.by else None),
            )
        )
    return h("ol.events", *lines)
