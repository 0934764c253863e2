"""The scenario of a site whose constants were fitted: `isogenic sim run` makes batches as that site does.

Guarantees: a batch of the scenario has the fitted constants, times its own scatter: what the site's name alone would add
(each simulated site differs a little) is taken out of the offset. Leaves to others: reading it (`scenarios`).
"""

from __future__ import annotations

import re

from isogenic.errors import NotValid
from isogenic.sim.fitting.result import Fit
from isogenic.sim.processes import process_of
from isogenic.sim.variation import site_factors

__all__ = ["scenario_of"]


def scenario_of(found: Fit, *, every_h: float = 12.0, batches: int = 20) -> str:
    """A scenario document with the fitted constants as the site's offsets. A fit whose numbers are not to be used makes none."""
    if found.doubt:
        raise NotValid("cannot make a scenario of the fit", why=found.doubt)
    process = process_of(found.process)
    name = re.sub(r"[^A-Z0-9-]+", "-", found.site.upper()).strip("-")[:30] or "SITE-1"
    usual = site_factors(process, name)
    problem = found.solution.problem
    settings = problem.batches[0].settings
    same = {key: value for key, value in settings.items() if all(each.settings.get(key) == value for each in problem.batches)}
    lines = [
        "isogenic: scenario/1",
        f"title: A twin of {name}",
        f"what: Constants fitted to {found.batches} batches; the process and its spreads are illustrative.",
        f"process: {found.process}",
        f"batches: {batches}",
        f"every: {every_h:g} h",
    ]
    if same:
        lines += ["settings:", *(f"  {key}: {value!r} {process.settings[key].unit}" for key, value in same.items())]
    known = {name: value for name, value in problem.given.items() if name not in problem.constants}
    if known:
        lines += ["constants:", *(f"  {key}: {value!r} {process.constants[key].unit}" for key, value in known.items())]
    lines += [
        "sites:",
        f"  {name}:",
        "    # An offset comes on top of what the site's name alone makes of a constant (every simulated site differs a little);",
        "    # both together are the percentage of the report.",
        "    offsets:",
    ]
    for each in found.estimates:
        own = usual.get(each.name, 1.0)
        why = f"{each.factor - 1.0:+.1%} of the nominal" + (f", of which the name {name} makes {own - 1.0:+.1%}" if own != 1.0 else "")
        lines.append(f"      {each.name}: {100.0 * (each.factor / own - 1.0):.4f} %  # {why}")
    return "\n".join(lines) + "\n"
