"""When a twin does not follow its batch, or follows by being bent: said, with what is off.

Guarantees: a sound batch, whose constants are drawn as the process says, is cautioned against in few looks of a hundred;
a twin that cannot follow is never shown without saying so. Thresholds are standard deviations and spreads of the process,
which are **illustrative**. Leaves to others: what is wrong with the batch (`monitoring` finds deviations).
"""

from __future__ import annotations

import math

from isogenic.sim.fitting.comparison import Comparison
from isogenic.sim.fitting.result import Fit
from isogenic.sim.fitting.sentences import WORSE

__all__ = ["FAR", "cautions_of"]

FAR = 4.0  # standard deviations of the instrument, of a residual
BENT = 3.0  # spreads of the process, of a constant


def cautions_of(found: Fit, beside: Comparison) -> tuple[str, ...]:
    """What there is to be cautious of; the most serious first."""
    name, age, size = beside.worst
    where = f"{name.replace('_', ' ')} is {abs(size):.0f} standard deviations {'above' if size > 0 else 'below'} it at {age:g} h"
    out = []
    if found.doubt:
        out.append(f"The twin cannot follow this batch: {where}. Its constants mean nothing.")
    elif abs(size) > FAR or found.dispersion > WORSE:
        out.append(f"The twin follows badly: {where}. Something happens that its constants do not describe.")
    if not found.doubt:
        out += _bent(found, beside.batch)
    return tuple(out)


def _bent(found: Fit, batch: str) -> list[str]:
    """Constants that had to go further from what they usually are than they do."""
    problem, out = found.solution.problem, []
    usual = {**found.scatter, **problem.priors}
    moved = {**found.parts.get(batch, {}), **{each.name: each.factor for each in found.estimates}}
    for name, factor in moved.items():
        if name in usual and abs(math.log(factor)) > BENT * usual[name]:
            how = f"{abs(factor - 1.0):.0%} {'above' if factor > 1 else 'below'} the nominal"
            out.append(f"To follow, {name} had to go {how}; sites, lots and batches are usually within {usual[name]:.1%}.")
    return out
