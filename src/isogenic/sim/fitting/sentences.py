"""A fit in sentences: what an engineer reads first.

Guarantees: every constant is spoken of once; a pair that cannot be told apart is named, and so is what would help; what
is assumed is called illustrative. Leaves to others: numbers (`result`, `identifiability`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from isogenic.sim.fitting.lots import lots_of

if TYPE_CHECKING:
    from isogenic.sim.fitting.result import Estimate, Fit

__all__ = ["listed", "number", "page", "sentences"]

SCARCE = 0.5  # of the readings: fewer are spoken of
WORSE = 1.5  # the twin fits so much worse than instruments allow that it is said


def number(value: float) -> str:
    """Four digits."""
    return f"{value:.4g}"


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def sentences(found: Fit) -> tuple[str, ...]:
    """What can be told from these data, and what cannot."""
    what = found.identifiability
    out = [f"{found.doubt} Do not use its numbers."] if found.doubt else []
    if what.rank < len(what.names):
        out.append(f"The data know only {what.rank} combinations of these {len(what.names)} constants.")
    within = {name for each in what.together for name in each}
    for each in found.estimates:
        if each.name in what.untold:
            out.append(_untold(found, each))
        elif each.name not in within:
            out.append(_told(found, each))
    for group in what.together:
        index = what.indices[group]
        undone = "nothing" if index > 1e3 else f"1/{index:.0f}"
        out.append(
            f"{listed(group)} cannot be told apart from these data: what one does, the other{'s' if len(group) > 2 else ''} can undo to "
            f"{'within ' if index <= 1e3 else ''}{undone} (collinearity index {min(index, 1e8):.3g}). Fix one of them, or use a prior."
        )
    for variable, constant, share in what.help:
        out.append(
            f"A reading of {variable.replace('_', ' ')} at the same ages would bring the error of {constant} down to {share:.0%} of what it is."
        )
    if found.dispersion > WORSE and not (found.converged and found.doubt):
        out.append(
            f"The twin is off by {found.dispersion**0.5:.1f} times what instruments and scatter explain; intervals are that much wider, where it "
            "is not known better. The equations, the settings or an instrument are not as assumed."
        )
    if found.left:
        left = listed([f"{count} of {name.replace('_', ' ')}" for name, count in found.left.items()])
        out.append(f"Left out: {left}; there the recipe switches (a bolus a day earlier or later), or no constant moves them yet.")
    if found.readings < SCARCE * found.of:
        out.append(f"Only {found.readings} of {found.of} readings took part.")
    problem = found.solution.problem
    if problem.silent:
        few = listed([*problem.silent[:5], *([f"{len(problem.silent) - 5} more"] if len(problem.silent) > 5 else [])])
        out.append(f"Without a reading, and left out: {few}.")
    if found.converged and found.solution.restless:
        out.append(
            "A batch stands beside a switch of the recipe, and its own part goes to and fro; the site's constants do not move with it any more."
        )
    out += _of_lots(found)
    if found.idle:
        out.append(f"No constant moves {listed([name.replace('_', ' ') for name in found.idle])}: they took no part.")
    for each in found.estimates:
        if each.name not in what.untold and _apart(each):
            out.append(f"The two intervals of {each.name} differ: the profile is the one to go by, because the other takes the model for a line.")
    if found.used_priors:
        out.append("Priors of the process's own spreads (illustrative) went into the estimates.")
    return tuple(out)


def _of_lots(found: Fit) -> list[str]:
    """What was reckoned with where batches share a lot."""
    spreads = {name: each.spread.lot for name, each in found.solution.problem.process.constants.items()}
    touched = [each.name for each in found.estimates if spreads[each.name]]
    lots = lots_of(found.solution)
    if lots:
        count = sum(map(len, lots.values()))
        return [f"{count} batches share {len(lots)} {'lot' if len(lots) == 1 else 'lots'} of medium, whose part (illustrative) is in the intervals."]
    if touched and found.batches > 1 and not any(batch.lot for batch in found.solution.problem.batches):
        parts = listed([f"{spreads[name]:.0%} of {name}" for name in touched])
        return [
            f"Nobody said which batches share a lot of medium: each counts as its own. Of one lot, its part ({parts}) would be taken for the site's."
        ]
    return []


def _told(found: Fit, each: Estimate) -> str:
    low, high = _interval(each)
    beside = (
        ""
        if low <= each.nominal <= high
        else f", {abs(each.factor - 1):.1%} {'above' if each.factor > 1 else 'below'} the nominal {number(each.nominal)}"
    )
    agrees = f", which has the nominal {number(each.nominal)} in it" if not beside else ""
    unit = "" if each.unit == "1" else f" {each.unit}"
    return f"{each.name} is {number(each.value)}{unit}{beside}; {found.confidence:.0%} interval {number(low)} to {number(high)}{agrees}."


def _untold(found: Fit, each: Estimate) -> str:
    low, high = each.profile_low, each.profile_high
    bound = found.solution.problem.bound
    if each.profile is None and each.name in found.solution.problem.priors:
        return f"{each.name} is not identifiable from these data: they hardly answer to it, and its interval is that of its prior."
    if each.profile is None or (low is None and high is None):
        return f"{each.name} is not identifiable from these data: no value within a factor of {bound:g} of the nominal is contradicted."
    if low is None:
        return f"{each.name} is not identifiable from these data: it lies below {number(high or 0)}, and nothing contradicts any smaller value."
    if high is None:
        return f"{each.name} is not identifiable from these data: it lies above {number(low)}, and nothing contradicts any larger value."
    return f"{each.name} is not identifiable from these data: they hardly answer to it."


def _apart(each: Estimate) -> bool:
    """Whether linearised interval and profile differ by half the one's width."""
    low, high = each.profile_low, each.profile_high
    return low is not None and high is not None and max(abs(low - each.low), abs(high - each.high)) > 0.5 * (each.high - each.low) / 2.0


def _interval(each: Estimate) -> tuple[float, float]:
    """The profile's where it is closed; else the linearised one."""
    low, high = each.profile_low, each.profile_high
    return (low, high) if low is not None and high is not None else (each.low, each.high)


def page(found: Fit) -> str:
    """The readable report."""
    head = f"Constants of {found.site}, process {found.process}: {found.batches} batches, {found.readings} readings"
    rows = [("constant", "unit", "nominal", "of this site", "of nominal", f"{found.confidence:.0%} linearised", "profile", "nominal is")]
    for each in found.estimates:
        rows.append(
            (
                each.name,
                each.unit,
                number(each.nominal),
                number(each.value),
                f"{each.factor:.3f}",
                f"{number(each.low)} to {number(each.high)}" if each.error < 10 else "nowhere",
                _profile(each),
                str(each.mark),
            )
        )
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    scatter = [f"  {name}  {cv:.1%}" for name, cv in found.scatter.items()]
    state = f"came to rest after {found.rounds} rounds" if found.converged else f"DID NOT COME TO REST: {found.why}"
    return "\n".join(
        [
            head,
            f"The fit {state}; {found.runs} batches were worked out.",
            f"Weighted squares per degree of freedom: {found.dispersion:.2f} ({_plainly(found.dispersion)}).",
            "",
            *table,
            "",
            *sentences(found),
            *(["", "Scatter between batches that was reckoned with (CV):", *scatter] if scatter else []),
            "",
            "The process, its spreads and its instruments are illustrative where they do not say otherwise.",
            "",
        ]
    )


def _plainly(dispersion: float) -> str:
    """What the number says: 1 is a twin that is off by as much as instruments and scatter explain."""
    if dispersion > WORSE:
        return f"1 would be as expected; the twin is off by {dispersion**0.5:.2g} times that"
    if dispersion < 1 / WORSE:
        return "1 would be as expected; instruments and scatter are less than assumed"
    return "about 1: the twin is off by as much as its instruments and the scatter explain"


def _profile(each: Estimate) -> str:
    if each.profile is None:
        return "-"
    low, high = each.profile_low, each.profile_high
    return f"{'open' if low is None else number(low)} to {'open' if high is None else number(high)}"
