"""How the page of a simulated facility looks.

Guarantees: what is true and what an instrument says stand side by side, and where they differ by more than such
instruments do, a mark says so; **illustrative** is said at the top. Reads plain data, decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isogenic.plant.model import SitePlant
from isogenic.web.screens.doors import document
from isogenic.web.screens.markup import Child, Markup, h, join, raw
from isogenic.web.screens.parts import count_of, day_time, empty, head, listing, mark, minute, panel, said

__all__ = ["facility_page", "live_part"]

CURVES = (
    ("viable", "Viable cells, 1e6/mL"),
    ("glucose", "Glucose, mM"),
    ("lactate", "Lactate, mM"),
    ("antibody", "Antibody, g/L"),
    ("oxygen_flow", "Oxygen, L/min"),
)
# The moving part is asked for again while the page is looked at; what somebody is filling in is not touched.
FOLLOW = """<script>setInterval(async()=>{if(document.hidden)return;try{const r=await fetch('/live');
if(r.ok){const a=[...document.querySelectorAll('details')].map(d=>d.open);document.getElementById('live').innerHTML=await r.text();
document.querySelectorAll('details').forEach((d,i)=>{d.open=a[i]})}}catch(e){}},2000)</script>"""


def facility_page(plant: SitePlant, at: str, vessels: Sequence[Mapping[str, Any]], faults: Mapping[str, Any], *, said: str = "") -> str:
    """The whole page."""
    signals = sorted({each["name"] for vessel in vessels for each in vessel["signals"]})
    content = join(
        head(
            f"Inside {plant.title}",
            sub="A simulated facility: what grows here does not exist, and every number is illustrative. Served on this machine only.",
            aside=mark("warn", "illustrative"),
        ),
        h("p", mark("stop", said), role="alert") if said else None,
        h(
            "div.grid.cols-main",
            h("div.stack", live_part(at, vessels, faults), id="live"),
            h("div.stack", panel("Inject a fault", _form(vessels, faults["kinds"], signals)), panel("What they are", _kinds(faults["kinds"]))),
        ),
        raw(FOLLOW),
    )
    return document(f"Inside {plant.title}", h("main.page.alone", content))


def live_part(at: str, vessels: Sequence[Mapping[str, Any]], faults: Mapping[str, Any]) -> Markup:
    """What moves: faults that stand, vessels, the log."""
    return join(
        panel("Faults that stand", _standing(faults["standing"]), aside=join("process time ", minute(at))),
        *(_vessel(each) for each in vessels),
        panel("What was injected, and when", _log(faults["log"])),
    )


def _words(name: str) -> str:
    return name.replace("_", " ")


def _standing(faults: Sequence[Mapping[str, Any]]) -> Markup:
    rows: list[Sequence[Child]] = [
        (
            h("span", h("span.main", _words(each["kind"])), h("span.under", f"{each['unit']} {_words(each['signal'])}")),
            f"{each['size']:g}",
            f"{each['start_h']:.1f} h",
            f"{each['hours']:g} h",
            mark("major", "acts now") if each["acts"] else mark("quiet", "waits or is over"),
            h(
                "form",
                h("input", type="hidden", name="fault", value=each["fault"]),
                h("button.second.small", "Take back"),
                method="post",
                action="/take-back",
            ),
        )
        for each in faults
    ]
    return listing(("Fault", "#Size", "#From age", "#For", "Now", ""), rows, nothing="None. All that is seen is what such batches do.")


def _vessel(vessel: Mapping[str, Any]) -> Markup:
    age = vessel["age_h"]
    state = mark("stop", vessel["stopped"]) if vessel["stopped"] else "nothing grows" if age is None else f"day {age / 24.0:.1f}, {age:.1f} h old"
    flowing = ", ".join(f"{_words(dose)} {litres:.1f} L to go" for dose, litres in vessel["flowing"].items())
    return panel(
        f"{vessel['unit']}, {vessel['title']}",
        h("p", said(f"{vessel['process']}, run {vessel['run']}", state, flowing or None)),
        _curves(vessel["path"]),
        listing(
            ("Quantity", "#As it is", "#As the instrument says", "Unit"),
            [(each["title"], _figure(each["true"]), _shown(each), "°C" if each["unit"] == "degC" else each["unit"]) for each in vessel["signals"]],
            nothing="Nothing is measured.",
            close=True,
        ),
        h("details", h("summary", "Controllers and drives; what is in it"), _drives(vessel["drives"]), _inside(vessel["inside"])),
        id_=f"vessel-{vessel['unit']}",
    )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _shown(signal: Mapping[str, Any]) -> Child:
    return mark("stop", "lost") if signal["shown"] is None else _figure(signal["shown"])


def _drives(drives: Sequence[Mapping[str, Any]]) -> Markup:
    rows = [(_words(each["name"]), _figure(each["asked"]), _figure(each["aimed"]), _figure(each["is"])) for each in drives]
    return listing(("Loop", "#Set-point", "#As far as it can", "#As it is"), rows, nothing="None.", close=True)


def _inside(inside: Mapping[str, float]) -> Markup:
    return listing(("What is in it", "#Amount"), [(_words(name), _figure(value)) for name, value in inside.items()], nothing="Nothing.", close=True)


def _curves(path: Sequence[Mapping[str, float]]) -> Markup:
    if len(path) < 2:
        return empty("No trajectory yet: it begins when the vessel is inoculated.")
    drawn = [_curve([each["age_h"] for each in path], [each[name] for each in path], title) for name, title in CURVES if name in path[0]]
    return h("div", *drawn, style="display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:12px;margin:10px 0 14px")


def _curve(ages: Sequence[float], values: Sequence[float], title: str) -> Markup:
    top, span = max(max(values), 1e-9), max(ages[-1] - ages[0], 1e-9)
    points = " ".join(f"{(age - ages[0]) / span * 160:.1f},{48 - value / top * 44:.1f}" for age, value in zip(ages, values, strict=True))
    line = f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5" vector-effect="non-scaling-stroke"/>'
    svg = f'<svg viewBox="0 0 160 50" width="100%" height="60" preserveAspectRatio="none" aria-hidden="true">{line}</svg>'
    return h(
        "figure",
        raw(svg),
        h("figcaption", join(title, h("br"), h("b", _figure(values[-1])), f" now, {_figure(top)} at most")),
        style="margin:0;font-size:12.5px",
    )


def _form(vessels: Sequence[Mapping[str, Any]], kinds: Sequence[Mapping[str, Any]], signals: Sequence[str]) -> Markup:
    return h(
        "form",
        _choice("Vessel", "unit", [(each["unit"], each["unit"]) for each in vessels]),
        _choice("Fault", "kind", [(each["name"], _words(each["name"])) for each in kinds if each["name"] != "setting_changes"]),
        _choice("Signal, for a fault of a sensor", "signal", [(name, _words(name)) for name in signals]),
        _field("Size", "size", "0.5"),
        _field("From this age of the batch, in hours; empty: now", "start", ""),
        _field("For so many hours", "hours", "24"),
        h("div.buttons", h("button", "Inject", type="submit")),
        method="post",
        action="/inject",
    )


def _choice(words: str, name: str, options: Sequence[tuple[str, str]]) -> Markup:
    return h("label.field", h("span", words), h("select", *(h("option", shown, value=value) for value, shown in options), name=name))


def _field(words: str, name: str, value: str) -> Markup:
    return h("label.field", h("span", words), h("input", type="text", name=name, value=value, inputmode="decimal", maxlength="20"))


def _kinds(kinds: Sequence[Mapping[str, Any]]) -> Markup:
    def one(each: Mapping[str, Any]) -> Markup:
        size = f" Size: {each['low']:g} to {each['high']:g}." if each["sized"] else ""
        return h("details", h("summary", _words(each["name"])), h("p", f"{each['what']}.{size}"), h("p", f"Seen: {each['seen']}."))

    return join(h("p", count_of(len(kinds), "fault")), *(one(each) for each in kinds))


def _log(log: Sequence[Mapping[str, str]]) -> Markup:
    rows: list[Sequence[Child]] = [(day_time(each["at"]), each["what"], each["fault"].replace(":", ": ", 1).replace(",", ", ")) for each in log[:100]]
    return listing(("Process time", "What", "Fault"), rows, nothing="Nothing yet.")
