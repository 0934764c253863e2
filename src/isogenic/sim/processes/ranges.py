"""Whether what a process gives lies within what it declared: one rule for every process, trajectories and qualities alike.

Guarantees: a value that is no number, or lies outside the range of its `Variable`, is named with that range; who left it
has a `Stop`, and his qualities are NaN.
Leaves to others: the ranges (each process), what a stop means to people (studies, the facility).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from isogenic.sim.processes.arithmetic import Number
from isogenic.sim.processes.process import Floats, Stop, Variable

__all__ = ["SLACK", "judged", "outside"]

SLACK = 1e-6  # of the range: rounding of a substance that ran out


def outside(seen: Mapping[str, Number], known: Mapping[str, Variable], *, n: int, slack: float = SLACK) -> dict[int, str]:
    """Which of n batches left a range, and the first that each left; a plain number counts for all of them."""
    found: dict[int, str] = {}
    for name, each in known.items():
        value, more = seen[name], slack * max(1.0, abs(each.high - each.low) * 1e-3)
        low, high = each.low - more, each.high + more
        if type(value) is float:
            who: Iterable[int] = () if low <= value <= high else range(n)  # NaN is within nothing
        else:
            who = () if value.min() >= low and value.max() <= high else np.flatnonzero(~((value >= low) & (value <= high))).tolist()
        for at in who:
            here = value if type(value) is float else float(value[at])
            found.setdefault(at, f"{name} at {here:.6g} {each.unit}; the physical range is {each.low:g} to {each.high:g}")
    return found


def judged(quality: Mapping[str, Floats], known: Mapping[str, Variable], stopped: dict[int, Stop], *, age_h: Floats | float) -> dict[str, Floats]:
    """The qualities, NaN for who stopped; who ends with one out of its range is stopped at its end."""
    whole = {name: np.array(quality[name], dtype=np.float64) for name in known}
    n = len(next(iter(whole.values())))
    ends = np.broadcast_to(age_h, (n,))
    for at, why in outside(whole, known, n=n).items():
        if at not in stopped:
            stopped[at] = Stop(float(ends[at]), why)
    for each in whole.values():
        each[list(stopped)] = np.nan
    return whole
