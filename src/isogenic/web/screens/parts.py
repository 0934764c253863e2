"""What every screen is made of: frame, marks, times, lists.

Guarantees: what is abnormal carries a word and a shape, never colour alone; every time is in
UTC and ends in Z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isogenic.authority.people import Person
from isogenic.web.messages import PhaseLine
from isogenic.web.screens.markup import Child, Markup, h, join, raw

__all__ = [
    "ICON",
    "Nav",
    "count_of",
    "day_second",
    "day_time",
    "empty",
    "figure",
    "head",
    "listing",
    "logo",
    "mark",
    "minute",
    "pairs",
    "panel",
    "rail",
    "record_links",
    "said",
    "second",
    "strip",
]

_FILLED = 'fill="currentColor"'
_DRAWN = 'fill="none" stroke="currentColor" stroke-width="1.6"'
_TRIANGLE = "M6 .8 11.6 11H.4z"


def _shape(inside: str) -> str:
    return f'<svg viewBox="0 0 12 12" aria-hidden="true">{inside}</svg>'


SHAPES = {
    "critical": _shape(f'<rect x="1" y="1" width="10" height="10" {_FILLED}/>'),
    "major": _shape(f'<path d="{_TRIANGLE}" {_FILLED}/>'),
    "minor": _shape(f'<path d="M6 .5 11.5 6 6 11.5.5 6z" {_DRAWN}/>'),
    "stop": _shape(f'<path d="M3.6.6h4.8l3 3v4.8l-3 3H3.6l-3-3V3.6z" {_FILLED}/>'),
    "warn": _shape(f'<path d="{_TRIANGLE}" {_DRAWN}/>'),
    "good": _shape(f'<path d="M1.5 6.4 4.6 9.6 10.5 2.6" {_DRAWN}/>'),
    "quiet": _shape(f'<circle cx="6" cy="6" r="3" {_FILLED}/>'),
    "silent": _shape(f'<circle cx="6" cy="6" r="4.6" {_DRAWN} stroke-dasharray="2.4 2"/>'),
}
LOGO = (
    '<svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true"><g fill="none" stroke="currentColor" stroke-width="2">'
    '<circle cx="12" cy="4.5" r="2.6"/><circle cx="5" cy="18" r="2.6"/><circle cx="19" cy="18" r="2.6"/>'
    '<path d="M10.8 6.9 6.2 15.6M13.2 6.9l4.6 8.7M7.8 18h8.4"/></g></svg>'
)


ICON = "data:image/svg+xml," + (
    "%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='%23262d31' stroke-width='2.4'%3E"
    "%3Ccircle cx='12' cy='4.5' r='2.8'/%3E%3Ccircle cx='5' cy='18' r='2.8'/%3E%3Ccircle cx='19' cy='18' r='2.8'/%3E"
    "%3Cpath d='M10.8 7 6.2 15.5M13.2 7l4.6 8.5M8 18h8'/%3E%3C/svg%3E"
)


def logo() -> Markup:
    """Three alike."""
    return raw(LOGO)


def mark(kind: str, words: str | None = None) -> Markup:
    """A shape and a word. `kind`: critical, major, minor; stop, warn, good; quiet, silent."""
    colour = "major" if kind == "silent" else kind
    return h(f"span.mark.{colour}", raw(SHAPES[kind]), kind if words is None else words or None)


# ---- times ----


def minute(at: str | None) -> Markup:
    """`2026-11-20 14:30Z`."""
    return h("time", f"{at[:10]} {at[11:16]}Z", datetime=at) if at else Markup("–")


def second(at: str | None) -> Markup:
    """`2026-11-20 14:30:07Z`: where the second counts, as under a signature."""
    return h("time", f"{at[:10]} {at[11:19]}Z", datetime=at) if at else Markup("–")


def day_time(at: str | None) -> Markup:
    """`20 Nov 14:30Z`: where the year goes without saying."""
    return h("time", f"{_day(at)} {at[11:16]}Z", datetime=at) if at else Markup("–")


def day_second(at: str | None) -> Markup:
    """`20 Nov 14:30:07Z`."""
    return h("time", f"{_day(at)} {at[11:19]}Z", datetime=at) if at else Markup("–")


def _day(at: str) -> str:
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{int(at[8:10])} {months[int(at[5:7]) - 1]}"


def count_of(number: int, one: str, many: str | None = None) -> str:
    """`1 batch`, `2 batches`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


# ---- boxes ----


def panel(title: str, *children: Child, aside: Child = None, id_: str | None = None) -> Markup:
    """A titled box."""
    return h("section.panel", h("h2", title, h("small", aside) if aside is not None else None), h("div.in", *children), id=id_)


def empty(words: str) -> Markup:
    """Nothing there, said calmly."""
    return h("p.empty", words)


def pairs(*rows: tuple[str, Child]) -> Markup:
    """Names and values."""
    return h("dl.pairs", *(join(h("dt", name), h("dd", value)) for name, value in rows if value is not None))


def figure(value: Child, words: str, *, href: str | None = None, abnormal: str = "", of: str = "") -> Markup:
    """One large number."""
    tag = "a" if href else "div"
    classes = f".abnormal.{abnormal}" if abnormal else ""
    said = mark(abnormal, words) if abnormal else h("span", words)
    return h(f"{tag}.figure{classes}", h("b", value, h("small", of) if of else None), said, href=href)


def listing(
    columns: Sequence[str], rows: Sequence[Sequence[Child]], *, nothing: str, hrefs: Sequence[str] | None = None, close: bool = False
) -> Markup:
    """A table; a row may lead somewhere. A column whose name starts with `#` holds numbers."""
    if not rows:
        return empty(nothing)
    names = [(name.lstrip("#"), "num" if name.startswith("#") else "") for name in columns]
    top = h("tr", *(h("th", name, class_=cls or None) for name, cls in names))
    body = []
    for at, row in enumerate(rows):
        first: Child = h("a.plain", row[0], href=hrefs[at]) if hrefs else row[0]  # for the keyboard; the whole row takes a finger
        cells = [h("td", cell, class_=cls or None) for cell, (_, cls) in zip((first, *row[1:]), names, strict=True)]
        body.append(h("tr.go", *cells, data_href=hrefs[at]) if hrefs else h("tr", *cells))
    return h("div.scroll", h("table.list.close" if close else "table.list", h("thead", top), h("tbody", *body)))


def strip(phases: Sequence[PhaseLine], *, small: bool = False) -> Markup:
    """The phases of a batch, in order."""
    if small:
        return h(
            "span.mini", *(h(f"i.{each.state}", title=f"{each.title}: {each.state}") for each in phases), role="img", aria_label=_progress(phases)
        )
    return h("div.strip", *(_phase(each) for each in phases))


def _phase(line: PhaseLine) -> Markup:
    when: Child = {"planned": "planned", "running": join("since ", day_time(line.started_at))}.get(line.state, join("done ", day_time(line.ended_at)))
    return h(f"div.phase.{line.state}", h("b", line.title, title=line.title), when)


def _progress(phases: Sequence[PhaseLine]) -> str:
    done = sum(each.state == "done" for each in phases)
    return f"{done} of {len(phases)} phases done"


# ---- frame ----


@dataclass(frozen=True, slots=True)
class Nav:
    """What the rail shows: where we are, and how much waits."""

    here: str
    person: Person
    network: str
    reviews: int = 0


def rail(nav: Nav) -> Markup:
    """The inside of the rail: where one can go, what waits, who is signed in."""
    places = (
        ("/", "Network", 0),
        ("/batches", "Batches", 0),
        ("/review", "Review", nav.reviews),
        ("/recipes", "Recipes", 0),
        ("/records", "Records", 0),
        ("/trail", "Audit trail", 0),
        ("/materials", "Materials", 0),
        ("/authority", "Authority", 0),
        ("/disclosures", "Disclosures", 0),
        ("/people", "People", 0),
    )
    links = [
        h(
            "a" + (".here" if href == nav.here else ""),
            name,
            h("span.count", waiting, title=f"{waiting} waiting") if waiting else None,
            href=href,
            aria_current="page" if href == nav.here else None,
        )
        for href, name, waiting in places
    ]
    roles = ", ".join(role.words for role in nav.person.roles)
    foot = h("div.foot", h("div", h("strong", nav.person.printed_name), roles), h("button", "Sign out", type="button", data_sign_out=True))
    return join(h("a.brand", logo(), "Isogenic", href="/"), h("nav", *links), foot)


def said(*items: Child) -> Markup:
    """Several things said side by side."""
    return h("span.said", *(h("span", item) for item in items if item is not None))


def head(title: Child, *, sub: Child = None, trail: Sequence[tuple[str, str]] = (), aside: Child = None) -> Markup:
    """A page's title, where it belongs, and one sentence of what is so."""
    crumbs: list[Child] = []
    for href, name in trail:
        crumbs += [h("a", name, href=href), " / "]
    left = h("div", h("div.trail", *crumbs[:-1]) if crumbs else None, h("h1", title), h("p.sub", sub) if sub is not None else None)
    return h("div.head", left, aside)


def record_links(batch: str) -> Markup:
    """Where the executed batch record of a batch is: to read, and to keep."""
    forms = (("read it", "html"), ("PDF", "pdf"), ("text", "txt"))
    links = [h("a", words, href=f"/api/batches/{batch}/record.{form}", target="_blank" if form == "html" else None) for words, form in forms]
    return h("span", links[0], " · ", links[1], " · ", links[2])
