"""Materials on a tablet: what a line needs next, one task at a time; deliveries by their labels.

Guarantees: what is pressed is at least 56 px high; the scan field comes first; a checklist is ticked item by item and sent only
whole; what was refused stands where it happened, with every reason.
Leaves to others: deciding (sites.materials), sending (static/materials.js).
"""

from __future__ import annotations

from collections.abc import Sequence

from isogenic.web.screens.deciding import Pen, decisions
from isogenic.web.screens.markup import Markup, h
from isogenic.web.screens.parts import count_of, day_time, mark
from isogenic.web.site_materials import LineView, PlaceLine, ReceiptLine, StepLine

__all__ = ["line_screen", "stock_screen"]

SHOWN = 60  # received lots on the page; the API has all
STATE_WORDS = {"clear": "never used", "to_clear": "to be cleared", "cleared": "cleared", "in_use": "in use"}


def line_screen(line: LineView, *, title: str, recipes: Sequence[tuple[str, int]], person: str, may: bool, today: str) -> Markup:
    """The next task of one line, and what is done already."""
    head = h(
        "div.bar",
        h("div", h("h1", f"Line {line.unit}"), h("p", f"{title}, {STATE_WORDS[line.state]}, {person}")),
        h("div.buttons", h("a.button.second", "Deliveries", href="/stock"), h("a.button.second", "Tasks", href="/")),
    )
    return h("main.work", head, _task(line, recipes=recipes, may=may, today=today), _progress(line))


def _task(line: LineView, *, recipes: Sequence[tuple[str, int]], may: bool, today: str) -> Markup:
    if line.on_it:
        return _calm(f"{line.on_it} is on this line", "It is cleared once the batch is over.")
    if not may:
        return _calm("It takes an operator, an analyst or quality of this site", "")
    if not line.lot:
        return _assign(line, recipes, today)
    if line.forbidden:
        return h(
            "section.card", h("p.count", _for(line)), h("h2.ask", "This changeover is forbidden"), h("p.wait", f"{line.forbidden}. Use another unit.")
        )
    place = next((each for each in line.places if not each.piece), None)
    if place is not None:
        return _install(line, place)
    step = next((each for each in line.steps if not each.done), None)
    if step is not None:
        return _step(line, step)
    return h(
        "section.card.calm",
        h("p.count", _for(line)),
        h("h2.ask", mark("quiet", "Cleared")),
        h("p.wait", f"Every step is done for {line.lot}."),
        h("a.button.big", "Start the batch", href=f"/start?unit={line.unit}"),
    )


def _calm(what: str, then: str) -> Markup:
    return h("section.card.calm", h("h2.ask", what), h("p.wait", then) if then else None)


def _for(line: LineView) -> str:
    whose = ", for one patient" if line.patient else ""
    return f"For {line.lot}, {line.product}{whose}; last was {line.last_lot or 'nothing'}"


def _form(path: str, *inner: object, **more: str) -> Markup:
    return h("form.way", *inner, h("div.refusal", role="alert"), data_materials=path, **more)  # type: ignore[arg-type]


def _field(label: str, name: str, *, kind: str = "text", value: str = "", needed: bool = True, scan: bool = False, place: str = "") -> Markup:
    return h(
        "label.field",
        h("span", label),
        h(
            "input",
            type=kind,
            name=name,
            value=value or None,
            required=needed or None,
            maxlength="400" if scan else "80",
            autocomplete="off",
            autofocus=scan or None,
            placeholder=place or None,
            data_scan="label" if scan else None,
            step="any" if kind == "number" else None,
        ),
    )


def _assign(line: LineView, recipes: Sequence[tuple[str, int]], today: str) -> Markup:
    choices = [h("option", f"{recipe} version {version}", value=f"{recipe}/{version}") for recipe, version in recipes]
    return h(
        "section.card",
        h("p.count", f"Last was {line.last_lot or 'nothing'}"),
        h("h2.ask", "What is this line made ready for?"),
        _form(
            f"/api/lines/{line.unit}/assignment",
            h("label.field", h("span", "Recipe"), h("select", *choices, name="recipe/version")),
            _field("Lot", "lot", place="LOT-…"),
            _field("Planned end", "until", kind="date", value=today),
            _field("Patient's code, where it is made for one", "patient", needed=False, place="IDC-…"),
            h("button.big", "Begin the changeover", type="submit"),
        ),
    )


def _install(line: LineView, place: PlaceLine) -> Markup:
    return h(
        "section.card",
        h("p.count", _for(line)),
        h(
            "h2.ask",
            f"Install: {place.title}",
            h("small", f"Expected: {' or '.join(place.items)}. Scan it before you connect it; from then on it counts as used."),
        ),
        _form(
            "/api/assemblies/installed",
            h("input", type="hidden", name="unit", value=line.unit),
            h("input", type="hidden", name="position", value=place.position),
            _field("Scan the label on the part", "scanned", scan=True),
            h("button.big", "Check and install", type="submit"),
        ),
    )


def _step(line: LineView, step: StepLine) -> Markup:
    head = [h("p.count", _for(line)), h("h2.ask", step.title, h("small", f"Still to do: {step.missing}." if step.missing else ""))]
    done_by = h("p.note", f"Done by {', '.join(step.people)}. Now a second person, signed in as themselves.") if step.people else None
    path, named = f"/api/lines/{line.unit}/steps", h("input", type="hidden", name="step", value=step.name)
    if step.kind == "clear":
        items = [h("label.tick", h("input", type="checkbox", name="ticked[]", value=each, required=True), h("span", each)) for each in step.checklist]
        return h("section.card", *head, done_by, _form(path, named, *items, h("button.big", "I have checked all of it", type="submit")))
    if step.kind == "clean":
        inner = [
            named,
            h("p.limits", f"{step.result} at most {step.limit}"),
            _field(f"Result: {step.result}", "value", kind="number"),
            _field("Unit", "unit", value=step.limit.partition(" ")[2]),
            _field("Record of the result", "evidence"),
            h("button.big", "Record the cleaning", type="submit"),
        ]
        return h("section.card", *head, done_by, _form(path, *inner))
    return h("section.card.calm", *head, h("a.button.big", "Look again", href=f"/line/{line.unit}"))


def _progress(line: LineView) -> Markup | None:
    if not line.lot:
        return None
    rows = [
        h("div.unit-row", h("b", each.title), h("span", each.piece or "empty"), mark("quiet" if each.piece else "silent", "")) for each in line.places
    ]
    rows += [
        h("div.unit-row", h("b", each.title), h("span", "done" if each.done else each.missing), h("span", ", ".join(each.people)))
        for each in line.steps
    ]
    until = h("p.note", "Planned end ", day_time(line.until)) if line.until else None
    return h("section.panel", h("h2", f"Changeover to {line.lot}"), *rows, until)


def stock_screen(stock: Sequence[ReceiptLine], *, site: str, person: str, may_receive: bool, lines: Sequence[str], pen: Pen) -> Markup:
    """A delivery by its label, and what is here."""
    head = h(
        "div.bar",
        h("div", h("h1", "Deliveries"), h("p", f"{site}, {person}")),
        h("div.buttons", *(h("a.button.second", f"Line {each}", href=f"/line/{each}") for each in lines), h("a.button.second", "Tasks", href="/")),
    )
    return h(
        "main.work", head, _receive() if may_receive else _calm("Receiving takes an operator, an analyst or quality", ""), _stock(stock, site, pen)
    )


def _receive() -> Markup:
    return h(
        "section.card",
        h("h2.ask", "Receive a delivery", h("small", "It is in quarantine until quality releases it by signature.")),
        _form(
            "/api/stock",
            _field("Scan the label of the delivery", "scanned", scan=True),
            _field("What it is", "title"),
            _field("Supplier", "supplier"),
            h("div.pair", _field("Quantity", "quantity", kind="number"), _field("Unit", "unit", value="1")),
            _field("Certificate, SHA-256", "certificate"),
            h(
                "details",
                h("summary", "Single-use assemblies: serial numbers and sterility"),
                h("label.field", h("span", "Serial numbers, scanned one after the other"), h("textarea", name="serials[]", rows="3")),
                _field("Method of sterilisation", "sterility.method", needed=False),
                _field("Claim", "sterility.claim", needed=False),
                _field("Lot of sterilisation", "sterility.lot", needed=False),
                _field("Certificate of sterilisation, SHA-256", "sterility.certificate", needed=False),
            ),
            _field("Patient's code, where it is one patient's", "patient", needed=False, place="IDC-…"),
            h("button.big", "Receive into quarantine", type="submit"),
        ),
    )


def _stock(stock: Sequence[ReceiptLine], site: str, pen: Pen) -> Markup:
    rows = [
        h(
            "tr",
            h("td", h("a", each.receipt, href=f"/stock/{each.receipt}/labels", target="_blank", title="Print its labels")),
            h("td", each.title, h("span.limits", f"  {each.supplier}, lot {each.lot}")),
            h("td", f"{each.quantity}" + (f", {each.used} used" if each.serials else "")),
            h("td", day_time(each.expires) if each.expires else "no expiry"),
            h("td", mark("quiet" if each.state == "released" else "silent" if each.state == "quarantine" else "stop", each.state.replace("_", " "))),
            h("td", decisions(each, pen, site=site, post=f"/api/stock/{each.receipt}/decision")),
        )
        for each in stock[:SHOWN]
    ]
    titles = h("tr", *(h("th", each) for each in ("Number", "What", "Quantity", "Expires", "State", "")))
    table = h("table.list", h("thead", titles), h("tbody", *rows)) if rows else h("p.note", "Nothing has been received here yet.")
    return h("section.panel", h("h2", count_of(len(stock), "received lot")), table)
