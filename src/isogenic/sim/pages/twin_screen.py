"""How twin and batch look side by side: for a fit that is done, and for a batch that runs.

Guarantees: a reading is a dot, the twin a line, the site's band a ground, so that nothing hangs on colour; every panel says
its unit; what is illustrative says so at the top. `fit_page` is one file that needs no other. Reads plain results, decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.resources import files

import numpy as np

from isogenic.sim.fitting.cautions import FAR
from isogenic.sim.fitting.comparison import Comparison, Trace, largest
from isogenic.sim.fitting.result import Estimate, Fit
from isogenic.sim.fitting.sentences import number
from isogenic.sim.processes.process import Floats
from isogenic.web.screens.markup import Child, Markup, h, join, raw
from isogenic.web.screens.parts import count_of, head, listing, mark, panel

__all__ = ["batch_panel", "constants_table", "fit_page", "legend", "sentences_list"]

WIDE, HIGH = 420.0, 170.0
LEFT, BOTTOM, TOP = 46.0, 22.0, 8.0
SHOWN_MAX = 40  # batches, each under its own heading
REACHES = (1.05, 1.1, 1.2, 1.5, 2.0, 5.0, 10.0)  # times the nominal


def fit_page(found: Fit, batches: Sequence[Comparison], *, source: str) -> str:
    """The whole page of a fit: constants, sentences, every variable, every batch."""
    state = mark("good", "came to rest") if found.converged else mark("stop", "did not come to rest")
    if found.converged and found.doubt:
        state = mark("stop", "does not describe these batches")
    content = join(
        head(
            f"Twin and batches of {found.site}",
            sub=f"Process {found.process}, {count_of(found.batches, 'batch', 'batches')}, {found.readings} readings, from {source}. "
            "The process, its spreads and its instruments are illustrative where they do not say otherwise.",
            aside=h("span.marks", state, mark("warn", "illustrative")),
        ),
        h(
            "div.stack",
            panel("Constants of this site", constants_table(found)),
            panel("What can be told from these data", sentences_list(found)),
            panel(
                "All batches",
                legend("the site's twin"),
                h("div.curves", *_of_site(batches)),
                aside="twin of the site; its band holds 95 % of readings",
            ),
            panel(
                "Residuals",
                _legend_of_residuals(),
                h("div.curves", *_residuals(batches)),
                aside="reading less the batch's own twin, in standard deviations of the instrument",
            ),
            panel("Each batch beside its own twin", legend("the batch's twin"), *(_one(each) for each in batches[:SHOWN_MAX])),
        ),
    )
    style = (files("isogenic.web") / "static" / "isogenic.css").read_text(encoding="utf-8")
    top = h(
        "head",
        raw('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        h("title", f"Twin of {found.site}"),
        h("style", raw(style + STYLE)),
    )
    return "<!doctype html>" + str(h("html", top, h("body", h("main.page.alone", content)), lang="en")) + "\n"


STYLE = """
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(330px, 1fr)); gap: 14px 20px; }
.curves figure { font-size: 12.5px; min-width: 0; } .curves figure > svg { width: 100%; height: auto; display: block; }
.curves figcaption { color: var(--ink-2); } .curves figcaption b { color: var(--ink); }
.curves text { font: 11px var(--sans); fill: var(--ink-3); }
.twin-key { display: flex; gap: 18px; flex-wrap: wrap; color: var(--ink-2); font-size: 12.5px; margin-bottom: 10px; }
.twin-key svg { width: 34px; height: 12px; vertical-align: -1px; margin-right: 6px; }
@container chart (min-width: 480px) { .curves text { font-size: 8.5px; } }
.curves figure { container: chart / inline-size; }
.curves:has(> figure:nth-child(4):last-child) { grid-template-columns: repeat(2, minmax(0, 1fr)); }
@media (max-width: 1000px) { .beside text { font-size: 17px; } }
.marks { display: flex; gap: 18px; flex-wrap: wrap; }
.key-line { color: var(--ink-2); font-size: 12.5px; margin: 0 0 10px; }
.beside { display: block; width: 100%; min-width: 160px; max-width: 300px; } .beside text { font: 11px var(--sans); fill: var(--ink-3); }
details > summary small { color: var(--ink-2); margin-left: 10px; }
.caution { margin: 0 0 10px; max-width: 110ch; } .caution .mark { white-space: normal; align-items: baseline; }
.told li { margin: 0 0 6px 18px; max-width: 110ch; }
"""


def legend(whose: str) -> Markup:
    """What dots, line and ground are."""
    return h(
        "div.twin-key",
        h("span", raw('<svg viewBox="0 0 34 12"><circle cx="17" cy="6" r="2.6" fill="none" stroke="#1f2528"/></svg>'), "a reading"),
        h("span", raw('<svg viewBox="0 0 34 12"><path d="M0 6h34" stroke="#1f2528" stroke-width="1.8"/></svg>'), whose),
        h("span", raw('<svg viewBox="0 0 34 12"><path d="M0 0h34v12H0z" fill="#cdd5d9"/></svg>'), "95 % of such batches"),
    )


def _legend_of_residuals() -> Markup:
    return h(
        "p.key-line", "Between the two lines lie 95 % where twin and instruments are as assumed. Readings that took no part in the fit are not shown."
    )


def constants_table(found: Fit, *, whose: str = "This site") -> Markup:
    """Constants with intervals, beside the nominal; intervals share one scale, which says how wide it is."""
    profiles = any(each.profile is not None for each in found.estimates)
    reach = _reach(found.estimates)
    rows: list[Sequence[Child]] = []
    for each in found.estimates:
        row: list[Child] = [h("span", h("span.main", each.name), h("span.under", f"nominal is {each.mark}")), number(each.nominal)]
        row += [h("b", number(each.value)), each.unit, f"{each.factor:.3f}", _linearised(each)]
        row += [_profile(each)] if profiles else []
        rows.append([*row, _interval(each, reach)])
    columns = ["Constant", "#Nominal", f"#{whose}", "Unit", "#Of nominal", f"#{found.confidence:.0%} linearised", *(["#Profile"] if profiles else [])]
    return listing([*columns, "Interval beside the nominal"], rows, nothing="None.", close=True)


def _linearised(each: Estimate) -> str:
    return f"{number(each.low)} – {number(each.high)}" if each.error < 10 else "none"


def _profile(each: Estimate) -> str:
    if each.profile is None:
        return "–"
    low, high = each.profile_low, each.profile_high
    return f"{'open' if low is None else number(low)} – {'open' if high is None else number(high)}"


def _reach(estimates: Sequence[Estimate]) -> float:
    """How far the scale goes to both sides of the nominal, as a logarithm: the first of some round factors that holds every interval."""
    far = max(abs(math.log(max(value, 1e-300) / each.nominal)) for each in estimates for value in (each.low, each.high, each.value))
    return next((math.log(factor) for factor in REACHES if math.log(factor) >= far), math.log(REACHES[-1]))


def _interval(each: Estimate, reach: float) -> Markup:
    """The interval as a bar on the logarithm; the nominal is the middle line, the ends say their share of it."""

    def x(value: float) -> float:
        return 150.0 + 142.0 * min(1.0, max(-1.0, math.log(max(value, 1e-300) / each.nominal) / reach))

    low, high = x(each.low), x(each.high)
    ends = "".join(
        f'<text x="{at}" y="27" text-anchor="{anchor}">{"×" if reach > 0.5 else ""}{_share(share, reach)}</text>'
        for at, anchor, share in ((8, "start", -1.0), (150, "middle", 0.0), (292, "end", 1.0))
    )
    return raw(
        f'<svg class="beside" viewBox="0 0 300 30" role="img" aria-label="{each.factor:.3f} of the nominal">'
        '<path d="M8 10H292" stroke="#cdd5d9"/><path d="M150 0v18" stroke="#6b757a" stroke-dasharray="2 2"/>'
        f'<path d="M{low:.1f} 10H{max(high, low + 1):.1f}" stroke="#1f2528" stroke-width="3"/>'
        f'<circle cx="{x(each.value):.1f}" cy="10" r="4" fill="#fff" stroke="#1f2528" stroke-width="1.6"/>{ends}</svg>'
    )


def _share(share: float, reach: float) -> str:
    factor = math.exp(share * reach)
    return f"{factor:.3g}" if reach > 0.5 else ("nominal" if share == 0 else f"{factor - 1.0:+.0%}")


def sentences_list(found: Fit) -> Markup:
    """What can be told."""
    return h("ul.told", *(h("li", each) for each in found.sentences))


def _of_site(batches: Sequence[Comparison]) -> list[Markup]:
    out = []
    for name in _names(batches):
        traces = [each for batch in batches for each in batch.traces if each.variable == name]
        longest = max(traces, key=lambda each: len(each.age_h))
        dots = [(each.age_h, each.read) for each in traces]
        out.append(_chart(longest, longest.site, dots, caption=_caption(longest, f"{len(traces)} batches")))
    return out


def _residuals(batches: Sequence[Comparison]) -> list[Markup]:
    out = []
    for name in _names(batches):
        traces = [each for batch in batches for each in batch.traces if each.variable == name]
        if not any(each.used for each in traces):
            continue
        worst = largest(traces)
        end = max(float(each.age_h[-1]) for each in traces)
        top = max(4.0, 1.1 * abs(worst[2]))
        inside = [_line(np.array([0.0, end]), np.array([level, level]), end, -top, top, dashed=True) for level in (-1.96, 1.96)]
        inside += [_dots(each.age_h, each.residual, end, -top, top) for each in traces]
        caption = join(h("b", _words(name)), f": largest {worst[2]:+.1f} at {worst[1]:g} h")
        out.append(_figure(inside, end, -top, top, caption))
    return out


def _one(each: Comparison) -> Markup:
    worst = each.worst
    title = join(each.batch, h("small", f"largest residual: {_words(worst[0])} at {worst[1]:g} h, {worst[2]:+.1f}" if worst[0] else ""))
    return h("details", h("summary", title), batch_panel(each))


def batch_panel(each: Comparison) -> Markup:
    """One batch beside its twin: a chart for each variable."""
    return h("div.curves", *(_chart(trace, trace.twin, [(trace.age_h, trace.read)], caption=_now(trace)) for trace in each.traces))


def _now(trace: Trace) -> Markup:
    worst = largest([trace])
    far = (
        join(" ", mark("major", f"{worst[2]:+.1f} at {worst[1]:g} h"))
        if abs(worst[2]) > FAR
        else f"largest residual {worst[2]:+.1f} at {worst[1]:g} h"
    )
    return _caption(
        trace, f"read {number(float(trace.read[-1]))}, twin {number(float(trace.twin[-1]))}; ", far if trace.used else "took no part in the fit"
    )


def _caption(trace: Trace, *more: Child) -> Markup:
    unit = "" if trace.unit == "1" else f", {'°C' if trace.unit == 'degC' else trace.unit}"
    return join(h("b", _words(trace.variable) + unit), ": ", *more)


def _words(name: str) -> str:
    return {"ph": "pH"}.get(name, name.replace("_", " "))


def _names(batches: Sequence[Comparison]) -> list[str]:
    return list(dict.fromkeys(trace.variable for batch in batches for trace in batch.traces))


def _chart(trace: Trace, line: Floats, dots: Sequence[tuple[Floats, Floats]], *, caption: Markup) -> Markup:
    everything = np.concatenate([line, trace.low, trace.high, *(read for _, read in dots)])
    finite = everything[np.isfinite(everything)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    if high - low < 1e-3 * abs(high):
        low, high = low - 0.01 * abs(low) - 1e-9, high + 0.01 * abs(high) + 1e-9
    low, high = _rounded(0.0 if 0 <= low < 0.5 * high else low, high)
    end = max(float(trace.age_h[-1]), *(float(age[-1]) for age, _ in dots), 1e-6)
    inside = [_band(trace, end, low, high), _line(trace.age_h, line, end, low, high), *(_dots(age, read, end, low, high) for age, read in dots)]
    return _figure(inside, end, low, high, caption)


def _figure(inside: Sequence[str], end: float, low: float, high: float, caption: Child) -> Markup:
    axis = f'<path d="M{LEFT} {TOP}V{HIGH - BOTTOM}H{WIDE}" fill="none" stroke="#aeb7bc"/>'
    for level in _levels(low, high):
        y = _y(level, low, high)
        axis += f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{number(level)}</text>'
    for share in (0.0, 0.5, 1.0):
        x = LEFT + share * (WIDE - LEFT)
        anchor = ("start", "middle", "end")[round(2 * share)]
        axis += f'<text x="{x:.1f}" y="{HIGH - 5}" text-anchor="{anchor}">{share * end:.4g}{" h" if share == 1 else ""}</text>'
    svg = f'<svg viewBox="0 0 {WIDE:g} {HIGH:g}" aria-hidden="true">{"".join(inside)}{axis}</svg>'
    return h("figure", h("figcaption", caption), raw(svg))


def _step(width: float) -> float:
    """A round step, of which two to five go into a width."""
    size = 10.0 ** math.floor(math.log10(width / 2.0))
    return size * max(each for each in (1.0, 2.0, 5.0) if each * size <= width / 2.0)


def _rounded(low: float, high: float) -> tuple[float, float]:
    """A range whose ends are quarters of a round step."""
    quarter = _step(high - low) / 4.0
    return math.floor(low / quarter + 1e-9) * quarter, math.ceil(high / quarter - 1e-9) * quarter


def _levels(low: float, high: float) -> list[float]:
    """Round numbers in a range."""
    step = _step(high - low)
    first = math.ceil(low / step - 1e-9)
    return [at * step for at in range(first, math.floor(high / step + 1e-9) + 1)]


def _x(age: float, end: float) -> float:
    return LEFT + age / end * (WIDE - LEFT - 4)


def _y(value: float, low: float, high: float) -> float:
    return TOP + (high - value) / (high - low) * (HIGH - BOTTOM - TOP)


def _line(ages: Floats, values: Floats, end: float, low: float, high: float, *, dashed: bool = False) -> str:
    points = " ".join(f"{_x(age, end):.1f},{_y(value, low, high):.1f}" for age, value in zip(ages, values, strict=True) if math.isfinite(value))
    dash = ' stroke-dasharray="3 3" stroke-width="1"' if dashed else ' stroke-width="1.8"'
    return f'<polyline points="{points}" fill="none" stroke="#1f2528"{dash}/>'


def _dots(ages: Floats, values: Floats, end: float, low: float, high: float) -> str:
    return "".join(
        f'<circle cx="{_x(age, end):.1f}" cy="{_y(value, low, high):.1f}" r="2.2" fill="none" stroke="#4d575c" stroke-width=".9"/>'
        for age, value in zip(ages, values, strict=True)
        if math.isfinite(value)
    )


def _band(trace: Trace, end: float, low: float, high: float) -> str:
    there = np.isfinite(trace.low) & np.isfinite(trace.high)
    up = [f"{_x(age, end):.1f},{_y(value, low, high):.1f}" for age, value in zip(trace.age_h[there], trace.high[there], strict=True)]
    down = [f"{_x(age, end):.1f},{_y(value, low, high):.1f}" for age, value in zip(trace.age_h[there][::-1], trace.low[there][::-1], strict=True)]
    return f'<polygon points="{" ".join([*up, *down])}" fill="#cdd5d9"/>'
