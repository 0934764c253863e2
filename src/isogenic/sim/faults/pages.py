"""The catalogue of faults as a page that people read in a terminal."""

from __future__ import annotations

import math
import textwrap

from isogenic.sim.faults.catalogue import Entry, Size, catalogue
from isogenic.sim.processes import process_of

__all__ = ["faults_page", "size_text"]

WIDTH = 100


def faults_page(process: str = "") -> str:
    """Every fault, or those that one process can have."""
    if process:
        process_of(process)  # refused where there is none of that name
    found = [each for each in catalogue().values() if not process or each.size_for(process)]
    return "\n\n".join(_said(each, process) for each in found)


def size_text(size: Size) -> str:
    """What a size may be, in words."""
    if not size.unit:
        return "none"
    if size.unit.startswith("own"):
        return f"in the unit of what it strikes{' for each day' if size.unit.endswith('/d') else ''}" + ("" if size.low == 0 else ", either way")
    unit = "" if size.unit == "1" else f" {size.unit}"
    if math.isinf(size.high):
        return f"from {size.low:g}{unit}"
    return f"{size.low:g} to {size.high:g}{unit}" + (" (a share)" if size.unit == "1" and size.high <= 1 else "")


def _said(each: Entry, process: str) -> str:
    sizes = {name: size for name, size in each.sizes.items() if not process or name in ("", process)}
    when = "days of the study" if each.place.by_calendar else "hours of the batch's age" if each.windowed else "the whole batch"
    lines = [f"{each.name}  [{each.place}; {each.mark}]", f"what: {each.what}"]
    lines += [f"size{f' ({name})' if name else ''}: {size_text(size)}" for name, size in sizes.items()]
    lines += [
        f"when: {when}{', rising over the first quarter of its duration; at once where it has none' if each.gradual else ''}",
        f"seen: {each.signature}",
    ]
    lines += [f"quality: {each.effect}"] if each.effect else []
    return "\n".join(textwrap.fill(line, WIDTH, initial_indent="  " if at else "", subsequent_indent="      ") for at, line in enumerate(lines))
