"""What the process models know, as pages that people read in a terminal; what is not published says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from isogenic.sim.processes import PROCESSES, process_of
from isogenic.sim.processes.process import Spread
from isogenic.sim.routes import route_of

__all__ = ["process_page", "processes_page"]


def processes_page() -> str:
    """Each process in two lines."""
    return "\n".join(_short(name) for name in PROCESSES)


def process_page(name: str) -> str:
    """One process in full."""
    it = process_of(name)
    parts = [_short(name)]
    parts.append(
        _table("settings", [(each.name, f"{each.value:g}", each.unit, f"{each.low:g} to {each.high:g}", each.what) for each in it.settings.values()])
    )
    parts.append(_table("variables", [(each.name, each.unit, str(each.mark), each.what) for each in it.variables.values()]))
    parts.append(_table("qualities", [(each.name, each.unit, str(each.mark), each.what) for each in it.qualities.values()]))
    parts.append(
        _table(
            "constants (value, unit, mark, scatter of site, lot, batch, source)",
            [(each.name, f"{each.value:.6g}", each.unit, str(each.mark), _spread(each.spread), each.source) for each in it.constants.values()],
        )
    )
    parts.append(_table("route (stage, operation, median and spread of hours, recovery, failure; illustrative)", _route(name)))
    parts.append(_table("faults", [(each.name, each.what) for each in it.faults.values()]))
    return "\n\n".join(parts)


def _route(name: str) -> list[tuple[str, ...]]:
    """Every operation of a batch, in the order in which they are told."""
    route = route_of(name)
    stages = (
        *(("before", each) for each in route.before),
        *((f"at {age:g} h", each) for age, each in route.during),
        *(("after", each) for each in route.after),
        *((f"of {each.after}", each.assay) for each in route.laboratory),
    )
    return [
        (stage, each.name, f"{each.hours:.3g} h", f"x {each.spread:g}", f"{100 * each.recovery:g}%", f"{100 * each.failure:g}%", each.what)
        for stage, each in stages
    ]


def _short(name: str) -> str:
    it = process_of(name)
    counts = f"{len(it.settings)} settings, {len(it.variables)} variables, {len(it.qualities)} qualities, {len(it.faults)} faults"
    return f"{name}: {it.title}\n  {it.duration_h:g} h; {counts}"


def _spread(spread: Spread) -> str:
    shares = (spread.site, spread.lot, spread.batch)
    return " ".join(f"{100 * each:g}%" for each in shares) if any(shares) else "-"


def _table(title: str, rows: Iterable[Sequence[str]]) -> str:
    rows = list(rows)
    if not rows:
        return f"{title}: none"
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]) - 1)]
    lines = ["  " + "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip() for row in rows]
    return "\n".join([title, *lines])
