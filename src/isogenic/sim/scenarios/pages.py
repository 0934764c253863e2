"""A scenario as people read it in a terminal: what will be run, and what goes wrong."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from isogenic.sim.processes import process_of
from isogenic.sim.scenarios.model import Product, Scenario, ScenarioFault, Site

if TYPE_CHECKING:
    from isogenic.sim.studies.plan import Plan

__all__ = ["plan_remarks", "scenario_page"]


def scenario_page(scenario: Scenario) -> str:
    """What the scenario asks for."""
    from isogenic.sim.studies.plan import plan_of

    plan = plan_of(scenario)
    counts = plan.counts()
    lines = [scenario.title, *([scenario.what] if scenario.what else [])]
    lines += [f"  {_product(each, counts.get(each.process, 0))}" for each in scenario.products]
    lines.append(f"  sites: {', '.join(_site(each) for each in scenario.sites)}")
    lines.append(f"  seed {scenario.seed}, scenario {scenario.digest[:12]}; all numbers are illustrative unless a model says otherwise")
    lines += [f"  fault: {_fault(each)}" for each in scenario.faults] or ["  no faults"]
    lines += [f"  {each}" for each in plan_remarks(scenario, plan)]
    return "\n".join(lines)


def plan_remarks(scenario: Scenario, plan: Plan) -> list[str]:
    """What somebody who asked for this study may not expect: batches that a limit left out, and faults that strike nobody."""
    from isogenic.sim.studies.strikes import unstruck

    counts = plan.counts()
    said = []
    if plan.left_out:
        kept = ", ".join(f"{counts.get(name, 0)} of {counts.get(name, 0) + left} {name}" for name, left in plan.left_out.items())
        said.append(f"cut to {plan.batches} batches, of each process the earliest: {kept}")
    none = [each.process for each in scenario.products if each.process not in counts and each.process not in plan.left_out]
    said += [f"no batch of {name}: no suite, no share, or too few batches" for name in none]
    return said + [f"strikes no batch: {_fault(each)}" for each in unstruck(scenario, plan)]


def _site(site: Site) -> str:
    counts = {"crews": site.crews, "assays at once": site.assays, "couriers": site.couriers, "shifts": site.shifts if site.shifts < 3 else 0}
    counts["shifts in a surge"] = site.shifts_in_surge
    said = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    return f"{site.name} ({said})" if said else site.name


def _product(product: Product, count: int) -> str:
    model = process_of(product.process)
    orders = f", {product.orders_per_day:g} orders a day at each site" if product.orders_per_day else ""
    return f"{model.title}: {count} batches of {product.duration_h:g} h, written every {product.every_h:g} h{orders}"


def _fault(fault: ScenarioFault) -> str:
    until = "to the end" if math.isinf(fault.duration_h) else f"for {fault.duration_h:g} h"
    size = f" {fault.size:g}" if fault.size else ""
    where = [*fault.sites, *(f"lot {lot}" for lot in fault.lots), *(f"batches {first}-{last}" for first, last in fault.batches)]
    whom = f" ({', '.join(where)})" if where else ""
    of = fault.sensor or fault.attribute
    share = f", {100 * fault.share:g} % of them" if fault.share < 1 else ""
    return f"{fault.name}{size}{f' of {of}' if of else ''} from {fault.start_h:g} h {until}{whom}{share}"
