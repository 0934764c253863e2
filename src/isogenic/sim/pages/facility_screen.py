"""How the page of a simulated facility looks.

Guarantees: what is true and what an instrument says stand side by side, and where they differ by more than such
instruments do, a mark says so; **illustrative** is said at the top. Reads plain data, decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isogenic.plant.model import SitePlant
from isogenic.sim.pages.kinds import words
from isogenic.web.screens.doors import document
from isogenic.web.screens.markup import Child, Markup, h, join, raw
from isogenic.web.screens.parts import count_of, day_time, empty, head, listing, mark, minute, panel, said

__all__ = ["facility_page", "live_part"]

CURVES = (
    ("viable", "Viable cells, 1e6/mL"),
    ("biomass", "Biomass, g/L"),
    ("substrate", "Glucose, g/L"),
    ("penicillin", "Penicillin, g/L"),
    ("glucose", "Glucose, mM"),
    ("lactate", "Lactate, mM"),
    ("antibody", "Antibody, g/L"),
    ("oxygen_flow", "Oxygen, L/min"),
    ("dissolved_oxygen", "Dissolved oxygen, %"),
    ("temperature", "Temperature, °C"),
    ("feed_flow", "Feed, mL/h"),
)
FROM_NOUGHT = frozenset({"biomass", "substrate", "penicillin", "viable", "glucose", "lactate", "antibody", "oxygen_flow", "feed_flow"})
IMMERSED = frozenset({"ph", "dissolved_oxygen", "viable_cells", "viability", "glucose", "lactate"})  # probes that mean nothing in an empty vessel
NOTHING = 1e-9  # in any unit that is shown
FLAT = 0.02  # share of a value that is drawn as no change
WIDTH, HEIGHT = 160.0, 50.0  # of a curve, in its own units
# The moving part is asked for again while the page is looked at; what somebody is filling in is not touched.
FOLLOW = """<script>setInterval(async()=>{if(document.hidden)return;try{const r=await fetch('/live');
if(r.ok){const a=[...document.querySelectorAll('details')].map(d=>d.open);document.getElementById('live').innerHTML=await r.text();
document.querySelectorAll('details').forEach((d,i)=>{d.open=a[i]})}}catch(e){}},2000)</script>"""


# What is chosen decides what may be filled in, and what the size means.
CHOOSE = """<script>(()=>{const f=document.querySelector('form[action="/inject"]'),k=f.kind,u=f.unit,s=f.signal;
const all=[...k.options];function fault(){const o=k.selectedOptions[0];if(!o)return;const d=o.dataset;
s.disabled=!d.signal;f.size.disabled=!d.sized;const own=d.unit.startsWith('own'),q=s.selectedOptions[0];
const unit=own?(q?q.dataset.unit+d.unit.slice(3):''):(d.unit==='1'?'as a share or factor':d.unit);
document.getElementById('size-is').textContent=d.sized?unit+(own?'':', '+d.low+' to '+d.high):'has no size';
f.size.value=d.sized?(own?q.dataset.begin:d.begin):'';const m=!!d.units;f.start.disabled=m;f.hours.disabled=m}
function here(o){return o.dataset.units?o.dataset.units.split(' ').includes(u.value):!u.selectedOptions[0].dataset.services}
function unit(){const chosen=k.value;k.replaceChildren(...all.filter(here));
if([...k.options].some(o=>o.value===chosen))k.value=chosen;fault()}
u.onchange=unit;k.onchange=fault;s.onchange=fault;unit()})()</script>"""


def facility_page(
    plant: SitePlant,
    at: str,
    vessels: Sequence[Mapping[str, Any]],
    units: Sequence[Mapping[str, Any]],
    faults: Mapping[str, Any],
    *,
    said: str = "",
) -> str:
    """The whole page: `vessels` that hold a culture, `units` that are driven by services."""
    signals = {each["name"]: each["unit"] for vessel in vessels for each in vessel["signals"]}
    content = join(
        head(
            f"Inside {plant.title}",
            sub="A simulated facility: what grows here does not exist, and every number is illustrative. Served on this machine only.",
            aside=mark("warn", "illustrative"),
        ),
        h("p", mark("stop", said), role="alert") if said else None,
        h(
            "div.grid.cols-main",
            h("div.stack", live_part(at, vessels, units, faults), id="live"),
            h("div.stack", panel("Inject a fault", _form([*vessels, *units], faults, signals)), panel("What they are", _kinds(faults["kinds"]))),
        ),
        raw(FOLLOW),
        raw(CHOOSE),
    )
    return document(f"Inside {plant.title}", h("main.page.alone", content))


def live_part(at: str, vessels: Sequence[Mapping[str, Any]], units: Sequence[Mapping[str, Any]], faults: Mapping[str, Any]) -> Markup:
    """What moves: faults that stand, vessels and modules, the log."""
    return join(
        panel("Faults that stand", _standing(faults["standing"]), aside=join("process time ", minute(at))),
        *(_vessel(each) for each in vessels),
        *(_serviced(each) for each in units),
        panel("What was injected, and when", _log(faults["log"])),
    )


def _standing(faults: Sequence[Mapping[str, Any]]) -> Markup:
    rows: list[Sequence[Child]] = [
        (
            h("span", h("span.main", words(each["kind"])), h("span.under", f"{each['unit']} {words(each['signal'])}")),
            _sized(each["size"], each["size_unit"]),
            f"{each['start_h']:.1f} h" if each["start_h"] is not None else "–",
            f"{each['hours']:g} h" if each["hours"] is not None else "to the end",
            mark("major" if each["acts"] else "quiet", each["now"]),
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


def _sized(size: float, unit: str) -> str:
    return "–" if not unit else f"{size:g}" if unit == "1" or unit.startswith("own") else f"{size:g} {unit}"


def _vessel(vessel: Mapping[str, Any]) -> Markup:
    age = vessel["age_h"]
    state = (
        mark("stop", vessel["stopped"])
        if vessel["stopped"]
        else ("empty" if vessel["empty"] else "not inoculated")
        if age is None
        else f"day {age / 24.0:.1f}, {age:.1f} h old"
    )
    flowing = ", ".join(f"{words(dose)} {litres:.1f} L to go" for dose, litres in vessel["flowing"].items())
    return panel(
        f"{vessel['unit']}, {vessel['title']}",
        h("p", said(f"{vessel['process']}, run {vessel['run']}", state, flowing or None)),
        _curves(vessel),
        h("details", h("summary", "What instruments say of the empty vessel"), _quantities(vessel)) if vessel["empty"] else _quantities(vessel),
        h("details", h("summary", "Controllers and drives; what is in it"), _drives(vessel["drives"]), _inside(vessel["inside"])),
        id_=f"vessel-{vessel['unit']}",
    )


def _quantities(vessel: Mapping[str, Any]) -> Markup:
    return listing(
        ("Quantity", "#As it is", "#As the instrument says", "Unit"),
        [
            (each["title"], _figure(each["true"]), _shown(each, vessel["empty"]), "°C" if each["unit"] == "degC" else each["unit"])
            for each in vessel["signals"]
        ],
        nothing="Nothing is measured.",
        close=True,
    )


def _serviced(unit: Mapping[str, Any]) -> Markup:
    """A unit that is driven by services."""
    rows: list[Sequence[Child]] = []
    for module in unit["modules"]:
        running = ", ".join(f"{words(each['name'])} {each['state']}" for each in module["services"] if each["state"] != "idle")
        rows.append((module["module"], h("span", h("span.main", running or "all services idle")), "", ""))
        rows += [("", words(each["name"]), _value(each["value"]), "" if each["unit"] == "1" else each["unit"]) for each in module["shown"]]
    shown = listing(("Module", "Service or value", "#Now", "Unit"), rows, nothing="No module.", close=True)
    return panel(f"{unit['unit']}, {unit['title']}", h("p", said(words(unit["class"]), "driven by services")), shown, id_=f"unit-{unit['unit']}")


def _value(value: Any) -> str:
    return _figure(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _figure(value: float | None) -> str:
    return "–" if value is None else "0" if abs(value) < NOTHING else f"{value:.4g}"


def _shown(signal: Mapping[str, Any], dry: bool) -> Child:
    if signal["shown"] is None:
        return mark("stop", "lost")
    reads = _figure(signal["shown"])
    return h("span", reads, h("span.under", "hangs in air")) if dry and signal["name"] in IMMERSED else reads


def _drives(drives: Sequence[Mapping[str, Any]]) -> Markup:
    rows = [
        (words(each["name"]), _figure(each["asked"]), _figure(each["aimed"]), _figure(each["is"]), f"{round(100.0 * each['drive'], 1) + 0.0:.1f} %")
        for each in drives
    ]
    return listing(("Loop", "#Set-point", "#As far as it can", "#As it is", "#Drive"), rows, nothing="None.", close=True)


def _inside(inside: Mapping[str, float]) -> Markup:
    return listing(("What is in it", "#Amount"), [(words(name), _figure(value)) for name, value in inside.items()], nothing="Nothing.", close=True)


def _curves(vessel: Mapping[str, Any]) -> Markup:
    path = vessel["path"]
    if len(path) < 2:
        return empty("No trajectory yet: it begins when the vessel is inoculated.")
    grows = vessel["age_h"] is not None
    when = f"of now, at {path[-1]['age_h']:.1f} h" if grows else f"those at harvest of run {vessel['path_run']}, at {path[-1]['age_h']:.0f} h"
    drawn = [_curve(path, name, title, vessel["acted"]) for name, title in CURVES if name in path[0]]
    acted = ", ".join(f"{words(each['kind'])} from {each['from_h']:.0f} h to {each['until_h']:.0f} h" for each in vessel["acted"])
    note = f"Figures are {when}. The dashed line is the set-point" + (f"; shaded: {acted}." if acted else ".")
    grid = h("div", *drawn, style="display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:12px;margin:10px 0 6px")
    return join(grid, h("p.small", note, style="margin:0 0 14px"))


def _curve(path: Sequence[Mapping[str, float]], name: str, title: str, acted: Sequence[Mapping[str, Any]]) -> Markup:
    ages, values = [each["age_h"] for each in path], [each[name] for each in path]
    asked = [each[f"{name}_sp"] for each in path] if all(f"{name}_sp" in each for each in path) else []
    low = 0.0 if name in FROM_NOUGHT else min(*values, *asked)
    top = max(*values, *asked, low + 1e-9)
    if low and top - low < FLAT * top:  # rounding must not look like a fall
        low, top = low - 0.5 * FLAT * top, top + 0.5 * FLAT * top
    span = max(ages[-1] - ages[0], 1e-9)

    def place(age: float, value: float) -> str:
        return f"{(age - ages[0]) / span * WIDTH:.1f},{HEIGHT - 2.0 - (value - low) / (top - low) * (HEIGHT - 6.0):.1f}"

    def line(points: Sequence[float], more: str) -> str:
        drawn = " ".join(place(age, value) for age, value in zip(ages, points, strict=True))
        return f'<polyline points="{drawn}" fill="none" stroke="currentColor" vector-effect="non-scaling-stroke" {more}/>'

    shades = []
    for each in acted:
        first, last = (min(max((age - ages[0]) / span, 0.0), 1.0) * WIDTH for age in (each["from_h"], each["until_h"]))
        shades.append(f'<rect x="{first:.1f}" y="0" width="{max(last - first, 0.8):.1f}" height="{HEIGHT:g}" fill="currentColor" opacity="0.12"/>')
    thin = 'stroke="currentColor" opacity="0.35" vector-effect="non-scaling-stroke"'
    floor = f'<line x1="0" x2="{WIDTH:g}" y1="{HEIGHT - 1:g}" y2="{HEIGHT - 1:g}" {thin}/>'
    drawn = "".join(
        [*shades, floor, line(asked, 'stroke-width="1" stroke-dasharray="3 3" opacity="0.6"') if asked else "", line(values, 'stroke-width="1.5"')]
    )
    svg = f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" width="100%" height="64" preserveAspectRatio="none" role="img" aria-label="{title}">{drawn}</svg>'
    ends = h(
        "div",
        h("span", f"{ages[0]:.0f} h"),
        h("span", f"{_figure(low)} to {_figure(top)}"),
        h("span", f"{ages[-1]:.0f} h"),
        style="display:flex;justify-content:space-between;font-size:11px;opacity:.75",
    )
    return h("figure", raw(svg), ends, h("figcaption", join(title, " ", h("b", _figure(values[-1])))), style="margin:0;font-size:12.5px")


def _form(units: Sequence[Mapping[str, Any]], faults: Mapping[str, Any], signals: Mapping[str, str]) -> Markup:
    kinds, begins = [each for each in faults["kinds"] if each["name"] != "setting_changes"], faults["signals"]
    first = kinds[0] if kinds else {"begin": 0.0}
    of_unit = [h("option", each["unit"], value=each["unit"], data_services="1" if "modules" in each else None) for each in units]
    of_kind = [
        h(
            "option",
            words(each["name"]),
            value=each["name"],
            data_unit=each["unit"],
            data_low=f"{each['low']:g}",
            data_high=f"{each['high']:g}",
            data_begin=f"{each['begin']:g}",
            data_sized="1" if each["sized"] else None,
            data_signal="1" if each["signal"] else None,
            data_units=" ".join(each["units"]) or None,
        )
        for each in kinds
    ]
    of_signal = [
        h("option", words(name), value=name, data_unit="°C" if unit == "degC" else unit, data_begin=f"{begins.get(name, 1.0):g}")
        for name, unit in sorted(signals.items())
    ]
    return h(
        "form",
        h("label.field", h("span", "Unit"), h("select", *of_unit, name="unit")),
        h("label.field", h("span", "Fault"), h("select", *of_kind, name="kind")),
        h("label.field", h("span", "Signal, for a fault of a sensor"), h("select", *of_signal, name="signal")),
        _field(join("Size: ", h("span", id="size-is")), "size", f"{first['begin']:g}"),
        _field("From this age of the batch, in hours; empty: now", "start", ""),
        _field("For so many hours", "hours", "24"),
        h("div.buttons", h("button", "Inject", type="submit")),
        method="post",
        action="/inject",
    )


def _field(label: Child, name: str, value: str) -> Markup:
    return h("label.field", h("span", label), h("input", type="text", name=name, value=value, inputmode="decimal", maxlength="20"))


def _kinds(kinds: Sequence[Mapping[str, Any]]) -> Markup:
    def one(each: Mapping[str, Any]) -> Markup:
        unit = "" if each["unit"] == "1" else f" {each['unit']}".replace("own", "in the signal's unit")
        size = f" Size: {each['low']:g} to {each['high']:g}{unit}." if each["sized"] else ""
        return h("details", h("summary", words(each["name"])), h("p", f"{each['what']}.{size}"), h("p", f"Seen: {each['seen']}."))

    return join(h("p", count_of(len(kinds), "fault")), *(one(each) for each in kinds))


def _log(log: Sequence[Mapping[str, str]]) -> Markup:
    rows: list[Sequence[Child]] = [
        (day_time(each["at"]) if each["at"] else "–", each["what"], each["fault"].replace(":", ": ", 1).replace(",", ", ")) for each in log[:100]
    ]
    return listing(("Process time", "What", "Fault"), rows, nothing="Nothing yet.")
