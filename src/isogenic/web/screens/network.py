"""The network: where the sites are, whether they talk, how complete their records are here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from isogenic.ids import SiteId
from isogenic.web.control_messages import KeyLine, Network, NodeLine, SiteLine
from isogenic.web.messages import BatchLine, PhaseLine
from isogenic.web.screens.batches import LIVE_WORDS
from isogenic.web.screens.land import HEIGHT, WIDTH, dots, on_map, within
from isogenic.web.screens.markup import Child, Markup, h, join, raw
from isogenic.web.screens.parts import count_of, day_time, figure, head, listing, mark, minute, panel, second, strip

__all__ = [
    "RunningBatch",
    "certificate_words",
    "clock_words",
    "key_words",
    "link_mark",
    "network_head",
    "network_map",
    "network_nodes",
    "network_running",
    "network_sites",
    "record_mark",
    "trouble_words",
]

RunningBatch = tuple[BatchLine, Sequence[PhaseLine], float | None, float | None]  # newest T2 and SPE, each over its limit
DOT = 2.6
PLATE_W, PLATE_H = 176.0, 56.0


def link_mark(link: str) -> Markup:
    """Whether a site talks to us."""
    if link == "linked":
        return mark("quiet", "linked")
    return mark("silent", link)


def record_mark(line: SiteLine) -> Markup:
    """How complete a site's record is here. Of a silent site nobody knows what it has noted since."""
    if line.complete and line.link != "linked":
        return mark("quiet", f"{line.held} of {line.noted} facts as last told, root verified")
    if line.complete:
        return mark("good", f"complete: {line.held} of {line.noted} facts, root verified")
    missing = line.noted - line.held
    return mark("warn", f"{line.held} of {line.noted} facts, root verified; {missing} still on their way")


def network_head(network: Network) -> Markup:
    """What the page says first: one sentence, four figures, the time."""
    silent = [site for site in network.sites if site.link != "linked"]
    clock = h("div.clock", h("b", second(network.now)), "control site")
    titles = {site.site: site.title for site in network.sites}
    troubles = [(titles.get(each.site, each.site), each.troubles) for each in network.nodes if each.troubles]
    words = "sites linked" + (f", {len(silent)} silent" if silent else "")  # which ones, the sentence above says
    return join(
        head("Network", sub=_sentence(network, silent), aside=clock),
        *(h("div.notice.warn.above", h("p", notice)) for notice in network.notices),
        *(h("div.notice.stop.above", h("p", h("b", f"{title}: "), "; ".join(said), ".")) for title, said in troubles),
        h(
            "div.figures",
            figure(len(network.sites) - len(silent), words, of=f" of {len(network.sites)}", abnormal="major" if silent else ""),
            figure(network.running, "batches running", href="/batches"),
            figure(network.open_deviations, "deviations open", href="/review", abnormal="major" if network.open_deviations else ""),
            figure(network.lots_waiting, "lots wait for a decision", href="/review"),
        ),
    )


def network_map(network: Network, places: Mapping[SiteId, tuple[float, float]]) -> Markup:
    """Where the sites are."""
    return h("section.panel", h("div.in", _map(network, places)))


def network_sites(network: Network) -> Markup:
    """Each site on one line."""
    return panel("Sites", _sites(network))


def network_nodes(network: Network) -> Markup:
    """The nodes themselves: what they have noted, keys, clocks, certificates, and what is wrong with them."""
    titles = {site.site: site.title for site in network.sites}
    rows: list[Sequence[Child]] = [
        (
            h("span", h("span.main", titles.get(each.site, each.site)), h("span.under", each.site)),
            h("span", f"{each.noted} noted, {each.witnessed} witnessed", h("span.under", directed_words(each))),
            key_words(each.key),
            clock_words(each),
            certificate_words(each),
            trouble_words(each),
        )
        for each in network.nodes
    ]
    columns = ("Site", "Facts of the site", "Key of its house, since", "Clock", "Certificate", "Alarms")
    hrefs = [f"/sites/{each.site}" for each in network.nodes]
    return panel("Nodes", listing(columns, rows, nothing="The directory names no site.", hrefs=hrefs))


def directed_words(node: NodeLine) -> str:
    """How far the ledger written for a site has come."""
    waits = node.directed - node.directed_witnessed
    return f"for it: {node.directed} noted, {f'{waits} on their way' if waits else 'all witnessed there'}"


def key_words(key: KeyLine | None, *, whole: bool = False) -> Child:
    """A key as people compare it: its beginning, the whole in the title, and since when it counts."""
    if key is None:
        return "–"
    if not key.fingerprint:
        return mark("stop", "revoked")
    how = {"rotated": "rotated", "revoked": "renewed"}.get(key.change, "first")
    return h(
        "span",
        h("code", key.fingerprint if whole else key.fingerprint[:9] + "…", title=key.fingerprint),
        h("span.under", f"{how}, {(key.since or '–')[:10]}"),
    )


def trouble_words(node: NodeLine) -> Child:
    """What is wrong with a node, worst first."""
    said = [*(mark("stop", words) for words in node.troubles), *(mark("warn", words) for words in node.warnings)]
    return h("div.troubles", *said) if said else "none"


def clock_words(node: NodeLine) -> Child:
    """Quality and offset of a clock."""
    return h("span", node.clock, h("span.under", node.clock_offset) if node.clock_offset else None)


def certificate_words(node: NodeLine) -> Child:
    """When the certificate ends with which a node calls."""
    return h("span.id", f"until {node.certificate_until[:10]}") if node.certificate_until else h("span.under", "not seen since the start")


def network_running(running: Sequence[RunningBatch]) -> Markup:
    """What runs."""
    words = h("p.live", LIVE_WORDS) if any(t2 is not None for *_, t2, _ in running) else None
    return panel("Running batches", _running(running), words)


def _sentence(network: Network, silent: Sequence[SiteLine]) -> str:
    incomplete = [site for site in network.sites if not site.complete]
    if not silent and not incomplete:
        return "Every site is linked, and every record is complete here."
    said = [
        f"{each.title} has been silent since {each.heard_at[:16].replace('T', ' ')}Z" if each.heard_at else f"{each.title} has not been heard yet"
        for each in silent
    ]
    if incomplete:
        said.append(f"records of {', '.join(each.title for each in incomplete)} are still on their way")
    return "; ".join(said) + "."


def _sites(network: Network) -> Markup:
    rows: list[Sequence[Child]] = [
        (
            h("span", h("span.main", site.title), h("span.under", site.site)),
            h("span", link_mark(site.link), _heard(site.heard_at, network.now)),
            record_mark(site),
            h("span", _open(site.open_deviations), h("span.under.id", f"{count_of(site.running, 'batch', 'batches')} running")),
        )
        for site in network.sites
    ]
    return listing(
        ("Site", "Link", "Record here", "Deviations"),
        rows,
        nothing="The directory names no site.",
        hrefs=[f"/sites/{site.site}" for site in network.sites],
    )


def _heard(at: str | None, now: str) -> Markup | None:
    if at is None:
        return None
    return h("span.under.id", "heard ", h("time", f"{at[11:19]}Z", datetime=at) if at[:10] == now[:10] else day_time(at))


def _open(deviations: int) -> Child:
    return mark("major", f"{deviations} open") if deviations else "none open"


def _running(running: Sequence[RunningBatch]) -> Markup:
    rows: list[Sequence[Child]] = []
    for batch, phases, t2, spe in running:
        rows.append(
            (
                h("span", h("span.main", batch.batch), h("span.under", f"{batch.site}, {batch.unit}")),
                h("span", strip(phases, small=True), h("span.under", batch.phase or batch.state)),
                _against(t2, spe),
                mark("major", count_of(batch.open_deviations, "deviation")) if batch.open_deviations else "none",
                minute(batch.started_at),
            )
        )
    columns = ("Batch", "Phase", "T² and SPE, live", "Open", "Started")
    return listing(columns, rows, nothing="No batch is running.", hrefs=[f"/batches/{each[0].batch}" for each in running])


def _against(t2: float | None, spe: float | None) -> Markup:
    if t2 is None or spe is None:
        return h("span", "not judged")
    over = [name for name, value in (("T²", t2), ("SPE", spe)) if value > 1]
    figures = f"{t2:.2f} and {spe:.2f} × limit"
    return mark("major", f"{' and '.join(over)} over: {figures}") if over else h("span", figures)


# ---- map ----


def _map(network: Network, places: Mapping[SiteId, tuple[float, float]]) -> Markup:
    known = {site.site: places[SiteId(site.site)] for site in network.sites if SiteId(site.site) in places}
    drawn = bool(known) and all(within(*place) for place in known.values())
    if drawn:
        spots = {site: on_map(*place) for site, place in known.items()}
        left, top, width, height = _window(list(spots.values()))
        land = _land(left, top, width, height)
    else:  # no places, or places beyond the drawing: one under the other, and no land is claimed
        spots = {site.site: (60.0, 50.0 + 84.0 * at) for at, site in enumerate(network.sites)}
        left, top, width, height, land = 0.0, 0.0, 420.0, 84.0 * len(network.sites) + 16.0, ""
    marks = [_site_mark(site, spots[site.site], right=left + width) for site in network.sites if site.site in spots]
    return h("svg.map", raw(land), *marks, viewBox=f"{left:.0f} {top:.0f} {width:.0f} {height:.0f}", role="img", aria_label="Map of the sites")


@cache
def _land(left: float, top: float, width: float, height: float) -> str:
    air = 9  # picture units beyond the edge, so that no dot is missing at it
    shown = ((x, y) for x, y in dots() if left - air <= x <= left + width + air and top - air <= y <= top + height + air)
    return "".join(f'<circle class="land" cx="{x:.1f}" cy="{y:.1f}" r="{DOT}"/>' for x, y in shown)


def _window(spots: Sequence[tuple[float, float]]) -> tuple[float, float, float, float]:
    """The part of the picture around the sites, with air, in the proportion of the panel."""
    xs, ys = [x for x, _ in spots], [y for _, y in spots]
    width = min(WIDTH, max(max(xs) - min(xs) + 400, 520))
    height = min(HEIGHT, max(max(ys) - min(ys) + 150, width * 0.86))
    left = min(max(0.0, (min(xs) + max(xs)) / 2 - width / 2 + 40), WIDTH - width)
    top = min(max(0.0, (min(ys) + max(ys)) / 2 - height / 2), HEIGHT - height)
    return left, top, width, height


def _site_mark(site: SiteLine, spot: tuple[float, float], *, right: float) -> Markup:
    x, y = spot
    to_left = x + PLATE_W + 44 > right
    px = x - PLATE_W - 26 if to_left else x + 26
    state = f"{count_of(site.running, 'batch', 'batches')} running"
    if site.link != "linked":
        second_line = h("text.line.wrong", f"○ {site.link}", x=f"{px + 14:.0f}", y=f"{y + 16:.0f}")
    elif site.open_deviations:
        second_line = h("text.line.wrong", f"▲ {count_of(site.open_deviations, 'deviation')} open", x=f"{px + 14:.0f}", y=f"{y + 16:.0f}")
    else:
        second_line = h("text.line", state, x=f"{px + 14:.0f}", y=f"{y + 16:.0f}")
    return h(
        "a",
        h("line.lead", x1=f"{x - 9 if to_left else x + 9:.0f}", y1=f"{y:.0f}", x2=f"{px + PLATE_W if to_left else px:.0f}", y2=f"{y:.0f}"),
        h("circle.ring", cx=f"{x:.0f}", cy=f"{y:.0f}", r="9"),
        h("circle.core", cx=f"{x:.0f}", cy=f"{y:.0f}", r="4"),
        h("rect.plate", x=f"{px:.0f}", y=f"{y - PLATE_H / 2:.0f}", width=f"{PLATE_W:.0f}", height=f"{PLATE_H:.0f}", rx="4"),
        h("text", site.title, x=f"{px + 14:.0f}", y=f"{y - 5:.0f}"),
        second_line,
        href=f"/sites/{site.site}",
        class_="silent" if site.link != "linked" else "site",
    )
