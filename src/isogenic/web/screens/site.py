"""One site: its units, its batches, its ledgers with number and root."""

from __future__ import annotations

from collections.abc import Sequence

from isogenic.web.control_messages import SiteDetail
from isogenic.web.messages import BatchLine
from isogenic.web.screens.batches import batch_rows
from isogenic.web.screens.markup import Child, Markup, h, join
from isogenic.web.screens.network import link_mark, record_mark
from isogenic.web.screens.parts import count_of, empty, head, listing, mark, minute, pairs, panel, said, second

__all__ = ["site_screen"]


def site_screen(site: SiteDetail) -> Markup:
    """The page."""
    running = [batch for batch in site.batches if batch.closed_at is None]
    return join(
        head(site.title, sub=_sentence(site), trail=[("/", "Network"), (f"/sites/{site.site}", site.site)]),
        h(
            "div.grid.cols-main",
            h(
                "div.stack",
                panel("Units in use", _units(running)),
                panel("Batches", batch_rows(site.batches, with_site=False)),
                panel("Ledgers", _ledgers(site)),
            ),
            h(
                "div.stack",
                panel(
                    "Link",
                    pairs(
                        ("State", link_mark(site.link)),
                        ("Last heard", second(site.heard_at)),
                        ("Outages noted", site.outages),
                        ("Node started", minute(site.started_at)),
                        ("Starts", site.starts),
                    ),
                ),
                panel(
                    "Recipes",
                    h("div", *(h("p", line) for line in site.recipes)) if site.recipes else empty("No recipe has been published to this site."),
                ),
            ),
        ),
    )


def _sentence(site: SiteDetail) -> Markup:
    opened = mark("major", count_of(site.open_deviations, "deviation") + " open") if site.open_deviations else "no deviation open"
    return said(record_mark(site), opened)


def _units(running: Sequence[BatchLine]) -> Markup:
    rows: list[Sequence[Child]] = [
        (
            h("span.main", batch.unit),
            h("span", batch.batch, h("span.under", batch.lot)),
            h("span", batch.phase or batch.state, h("span.under", f"for {batch.elapsed_h:.1f} h" if batch.elapsed_h is not None else None)),
            mark("major", count_of(batch.open_deviations, "deviation") + " open") if batch.open_deviations else "in order",
        )
        for batch in running
    ]
    return listing(
        ("Unit", "Batch", "Phase", "State"), rows, nothing="No unit of this site is in use.", hrefs=[f"/batches/{batch.batch}" for batch in running]
    )


def _ledgers(site: SiteDetail) -> Markup:
    rows: list[Sequence[Child]] = [
        (
            h("span.main", each.ledger.rpartition("/")[2]),
            each.noted,
            each.held,
            mark("good", "complete, root verified") if each.complete else mark("warn", f"{each.noted - each.held} on their way"),
            h("code", each.root[:24] + "…", title=each.root),
        )
        for each in site.ledgers
    ]
    return listing(
        ("Written for", "#Noted at the site", "#Witnessed here", "Record", "Root"),
        rows,
        nothing="This site writes no ledger.",
        hrefs=[f"/records?ledger={each.ledger}" for each in site.ledgers],
    )
