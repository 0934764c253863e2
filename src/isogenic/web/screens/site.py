"""One site: its units, its batches, its ledgers with number and root, and its key, which may be revoked."""

from __future__ import annotations

from collections.abc import Sequence

from isogenic.authority.people import Person
from isogenic.web.control_messages import SiteDetail
from isogenic.web.messages import BatchLine
from isogenic.web.revoking import KeyRevocationLine
from isogenic.web.screens.batches import batch_rows
from isogenic.web.screens.markup import Child, Markup, h, join
from isogenic.web.screens.network import certificate_words, clock_words, key_words, link_mark, record_mark, trouble_words
from isogenic.web.screens.parts import count_of, empty, head, listing, mark, minute, pairs, panel, said, second
from isogenic.web.screens.signing import signature_dialog

__all__ = ["key_panel", "site_screen"]


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
                _drifts(site),
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
                _node(site),
                panel(
                    "Recipes",
                    h("div", *(h("p", line) for line in site.recipes)) if site.recipes else empty("No recipe has been published to this site."),
                ),
            ),
        ),
    )


def _drifts(site: SiteDetail) -> Markup:
    """What the modules run that was not released for them."""
    rows: list[Sequence[Child]] = [
        (
            h("span", h("span.main", plain_setting(each.setting)), h("span.under", f"{each.module}, {each.kind}")),
            _units_said(each.released),
            mark("stop", _units_said(each.found)),
            minute(each.since),
        )
        for each in site.drifts
    ]
    known = site.released_settings
    aside = h("span", known.partition(",")[0], title=known) if known else "as the plant document says"
    return panel(
        "Settings that are not as released",
        listing(("Setting", "Released", "Runs", "Since"), rows, nothing="None: every setting that is read back is as released."),
        aside=aside,
    )


def _units_said(text: str) -> str:
    """A recorded value with its unit as people say it; a text stays as it is."""
    return text.removesuffix("degC") + "°C" if text.endswith(" degC") else text


def plain_setting(name: str) -> str:
    """`temperature_high` -> `Temperature high`."""
    return name.replace("_", " ").capitalize()


def _node(site: SiteDetail) -> Markup | None:
    node = site.node
    if node is None:
        return None
    keys = [(each.ledger.rpartition("/")[2], key_words(each, whole=True)) for each in site.keys]
    return join(
        panel(
            "Node",
            pairs(
                ("Alarms", trouble_words(node)),
                ("Clock", clock_words(node)),
                ("Measured", second(node.clock_at)),
                ("Certificate", certificate_words(node)),
                ("Written for it", f"{node.directed} noted, {node.directed_witnessed} witnessed there"),
            ),
        ),
        panel("Keys in force", pairs(*keys), aside="compare by telephone"),
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


def key_panel(site: str, key: str, revoked: Sequence[KeyRevocationLine], *, person: Person, role: str, now: str, may: bool, first: bool) -> Markup:
    """The key that the site's ledgers go on with, what was revoked, and the dialog that revokes. Made once: nothing moves under who types."""
    rows: list[Sequence[Child]] = [
        (
            h("span", each.reason, h("span.under", f"signed by {each.by}")),
            ", ".join(f"{origin.rpartition('/')[2]}: {size}" for origin, size in each.counts_for.items()),
        )
        for each in revoked
    ]
    fields = h(
        "div",
        h("label.field", h("span", "Reason"), h("textarea", name="reason", required=True, maxlength="400", placeholder="What became of the key")),
        h(
            "label.field",
            h("span", "New public key, as isogenic renew-key prints it at the site; empty while there is none"),
            h("input", type="text", name="key", maxlength="300"),
        ),
    )
    return join(
        panel(
            "Key",
            h(
                "div.stack",
                pairs(("In the directory", h("code", key))),
                h("p", mark("warn" if revoked[-1].key else "stop", revoked[-1].follows)) if revoked else None,
                listing(("Revoked, and why", "Counts for facts of"), rows, nothing="No key of this site was revoked."),
                h("div.buttons", h("button.second", "Revoke the key …", type="button", data_open="#revoke")) if may else None,
            ),
        ),
        signature_dialog(
            person,
            role=role,
            title=f"Revoke the key of {site}",
            meaning=("revoked", "the key in force counts for the facts held here and no more, for the reason given here"),
            now=now,
            post=f"/api/sites/{site}/key-revocation",
            button="Sign and revoke",
            about=[("What follows", "pages beyond what is held are refused until the site has a new key")],
            id_="revoke",
            field=fields,
            first=first,
        )
        if may
        else None,
    )
