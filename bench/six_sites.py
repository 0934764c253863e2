"""Six unlike sites of the twins: what a pooled, a local and a hierarchical model find at the same stated share of false alarms.

    python -m bench.six_sites

Each site has its own offsets, in biology and in the calibration of probes, and 10 to 20 good batches.
Each in turn is the site that is judged: with all its batches, with five and with two. The models
are built from sums; each states that 5 % of good batches have any alarm. Measured is what share of fresh good batches has one, and what share of
faulty batches has one after its fault began, for the catalogue's faults of the process and of probes, small and clear.
A model that breaks its promise finds more for it; so the same is told with each model's limits moved to where just 5 % of
the site's fresh good batches have an alarm, which nobody can do who has no fresh batches, and which compares like with like.
All batches are simulated and illustrative.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from isogenic.monitoring import BatchTable, Model, Variable
from isogenic.monitoring.alignment import grid_of, on_grid
from isogenic.monitoring.pooling import Agreement, SiteSums, pool, pooled_model, site_sums
from isogenic.monitoring.pooling.hierarchy import at_site, left_out_at_level, seen_by, site_model
from isogenic.monitoring.pooling.limits import SiteLimits, critical_of_site, left_out_at_site, levels_of_site, limits_at, limits_of
from isogenic.monitoring.structure import between, measure
from isogenic.monitoring.tables import Floats

GOOD = {"LEEDS": 20, "GHENT": 18, "PORTO": 16, "TURKU": 14, "BASEL": 12, "LYON": 10}
SITES = """
  LEEDS: {offsets: {growth: 3 %, transfer: 8 %}}
  GHENT: {offsets: {growth: -3 %, lactate_of_glucose: 8 %}}
  PORTO: {offsets: {growth: 1 %, lactate_uptake: -12 %}}
  TURKU: {offsets: {growth: -1 %, transfer: -8 %}}
  BASEL: {offsets: {growth: 4 %, lactate_of_glucose: -8 %}}
  LYON: {offsets: {growth: -4 %, oxygen_uptake: 3 %}}
"""
OFFSETS = (  # of probes, from one calibration standard to the next
    ("LEEDS", "ph", "0.05 pH"),
    ("GHENT", "temperature", "0.12 degC"),
    ("PORTO", "offgas_co2", "0.25 %"),
    ("TURKU", "glucose", "2.5 mM"),
    ("BASEL", "lactate", "-1.5 mM"),
    ("LYON", "dissolved_oxygen", "2.5 %"),
    ("GHENT", "viable_cells", "0.8 1e6 cell/mL"),
    ("LYON", "ph", "-0.06 pH"),
    ("BASEL", "oxygen_flow", "2 L/min"),
)
SEEN = (
    ("temperature", "degC"),
    ("ph", "pH"),
    ("dissolved_oxygen", "%"),
    ("oxygen_flow", "L/min"),
    ("vessel_weight", "kg"),
    ("viable_cells", "1e6 cell/mL"),
    ("glucose", "mM"),
    ("lactate", "mM"),
    ("offgas_co2", "%"),
    ("feed_flow", "mL/h"),
    ("feed_pressure", "bar"),
)
VARIABLES = tuple(Variable(name, unit) for name, unit in SEEN)
EVERY_H = 2.0
START_H = 144.0
FALSE_ALARMS, CONSECUTIVE = 0.05, 3


class Struck(NamedTuple):
    """A fault of the catalogue at two sizes."""

    fault: str
    small: str
    clear: str
    more: str = ""


FAULTS = (
    Struck("sparger_fouls", "10 %", "30 %"),
    Struck("feed_pump_fouls", "5 %", "20 %"),
    Struck("feed_pump_stops", "5 %", "50 %"),
    Struck("feed_pump_runs_high", "5 %", "20 %"),
    Struck("culture_is_contaminated", "1e-9 g/L", "1e-6 g/L"),
    Struck("medium_is_weak", "3 %", "10 %"),
    Struck("temperature_excursion", "0.2 K", "1 K"),
    Struck("ph_sensor_drifts", "0.05 pH", "0.2 pH"),
    Struck("valve_sticks", "1 %", "5 %"),
    Struck("drive_is_weak", "30 %", "60 %"),
    Struck("lactate_is_high", "10 %", "40 %"),
    Struck("product_rate_is_low", "10 %", "30 %"),
    Struck("sensor_biased", "0.03 pH", "0.15 pH", "sensor: ph"),
    Struck("sensor_biased", "1 mM", "5 mM", "sensor: glucose"),
    Struck("sensor_drifts", "0.01 pH/d", "0.05 pH/d", "sensor: ph"),
    Struck("sensor_drifts", "0.1 K/d", "0.5 K/d", "sensor: temperature"),
    Struck("sensor_freezes", "", "", "sensor: viable_cells"),
    Struck("sensor_is_noisy", "2", "6", "sensor: dissolved_oxygen"),
    Struck("sensor_spikes", "2 %", "20 %", "sensor: dissolved_oxygen"),
    Struck("sensor_is_fouled", "5 %", "30 %", "sensor: lactate"),
)


def batches(count: int, *, seed: int, fault: str = "", every_h: float = EVERY_H) -> dict[str, list[BatchTable]]:
    """`count` batches of each site, all with the fault if one is given."""
    import pyarrow.parquet as pq

    from isogenic.sim.scenarios import read_scenario
    from isogenic.sim.studies import run_study

    offsets = "".join(f"  - {{fault: calibration_offset, sensor: {sensor}, size: {size}, sites: [{site}]}}\n" for site, sensor, size in OFFSETS)
    text = (
        f"isogenic: scenario/1\ntitle: six sites\nprocess: antibody\nseed: {seed}\nevery: {every_h:g} h\noperations: false\nlot_batches: 3\n"
        f"sites:{SITES}faults:\n{offsets}{fault}"
    )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "study.parquet"
        run_study(read_scenario(text), out, batches=count * len(GOOD))
        rows = pq.read_table(out, columns=["site", "batch", "age_h", *(f"{name}_read" for name, _ in SEEN)])
    site, batch, age = (np.array(rows[name]) for name in ("site", "batch", "age_h"))
    values = np.stack([np.array(rows[f"{name}_read"], dtype=np.float64) for name, _ in SEEN], axis=1)
    found: dict[str, list[BatchTable]] = {name: [] for name in GOOD}
    for name in dict.fromkeys(batch.tolist()):
        here = batch == name
        found[str(site[here][0])].append(BatchTable(str(name), age[here], values[here]))
    return found


def text_of(struck: Struck, size: str) -> str:
    """The fault as a scenario says it: from day 6 on, or from the start where it has none."""
    from isogenic.sim.faults.catalogue import entry_of

    entry = entry_of(struck.fault)
    parts = [f"fault: {struck.fault}", *([struck.more] if struck.more else []), *([f"size: {size}"] if size else [])]
    if entry.windowed:
        parts.append(f"start: {START_H:g} h")
    return f"  - {{{', '.join(parts)}}}\n"


def agreement(good: Mapping[str, Sequence[BatchTable]]) -> Agreement:
    """A rough centre and scale, as from a site's engineering runs: of two batches of one site."""
    some = list(good["LEEDS"])[:2]
    grid = grid_of(some, every=None)
    stack = np.stack([on_grid(table, grid) for table in some])
    centre = stack.mean(axis=0)
    scale = np.broadcast_to(np.maximum(0.05 * np.abs(centre).mean(axis=0), 1e-3), centre.shape).copy()
    return Agreement("MAB-FB", "MAB-A", VARIABLES, "h", grid, FALSE_ALARMS, CONSECUTIVE, centre, scale)


def pooled(agreed: Agreement, sums: Sequence[SiteSums], good: Mapping[str, Sequence[BatchTable]]) -> Model:
    """The model of some sites' sums, with the limits that their own left-out batches give."""
    together = pool(agreed, sums)
    left_out = {each.site: left_out_at_site(good[each.site], agreed, together) for each in sums}
    levels = {site: levels_of_site(each, knots=together.structure.knots) for site, each in left_out.items()}
    total: Floats = np.sum(list(levels.values()), axis=0)
    answers = [SiteLimits(site, levels[site], critical_of_site(each, total, consecutive=CONSECUTIVE)) for site, each in left_out.items()]
    limits = limits_of(together.structure, answers, false_alarms=FALSE_ALARMS)
    return pooled_model(agreed, together, limits, sites=sums)


def hierarchical(agreed: Agreement, sums: Sequence[SiteSums], good: Mapping[str, Sequence[BatchTable]], *, site: str) -> Model:
    """The model of one site, with limits from all sites' batches as if each site had as many of its own."""
    own = {each.site: each for each in sums}
    structure = at_site(agreed, seen_by(agreed, sums, site), own.get(site))
    known = own[site].batches if site in own else 0
    left_out = {
        each.site: left_out_at_level(
            good[each.site], agreed, seen_by(agreed, sums, each.site), own=known, site=each.site, components=structure.components
        )
        for each in sums
    }
    levels = {name: levels_of_site(each, knots=structure.knots) for name, each in left_out.items()}
    total: Floats = np.sum(list(levels.values()), axis=0)
    answers = [SiteLimits(name, levels[name], critical_of_site(each, total, consecutive=CONSECUTIVE)) for name, each in left_out.items()]
    limits = limits_at(structure, answers, false_alarms=FALSE_ALARMS)
    return site_model(
        agreed,
        seen_by(agreed, sums, site),
        own.get(site),
        limits,
        site=site,
        critical=sum(map(len, left_out.values())),
        components=structure.components,
    )


def score_of(model: Model, table: BatchTable, *, since: float = -np.inf) -> float:
    """By how much the limits would have to be raised for the batch to have no alarm that begins at `since` or later; above 1 it has one."""
    found = measure(model.structure, table.maturity, table.values)
    judged = np.isfinite(found.t2)
    ratio = np.maximum(found.t2 / between(model.t2_limit, found.place), found.spe / between(model.spe_limit, found.place))[judged]
    if len(ratio) < CONSECUTIVE:
        return 0.0
    runs = np.lib.stride_tricks.sliding_window_view(ratio, CONSECUTIVE).min(axis=1)
    return float(np.where(table.maturity[judged][: 1 - CONSECUTIVE] >= since, runs, 0.0).max())


@dataclass(slots=True)
class Tally:
    """Batches with an alarm, as the model stands and with its limits moved to an equal share of false alarms, of how many."""

    hits: int = 0
    equal: int = 0
    of: int = 0

    def add(self, score: float, *, equal: float) -> None:
        self.hits += score > 1.0
        self.equal += score > equal
        self.of += 1

    @property
    def share(self) -> float:
        return self.hits / self.of


KINDS = ("pooled", "local", "hierarchical")
ROLES = {"old": None, "five batches": 5, "two batches": 2}
Key = tuple[str, str, str, str]  # role, kind, fault, size


@dataclass(slots=True)
class Study:
    """What was found, by role, kind of model, fault ("" for good batches) and size."""

    tallies: dict[Key, Tally] = field(default_factory=dict)

    def tally(self, *key: str) -> Tally:
        role, kind, fault, size = key
        return self.tallies.setdefault((role, kind, fault, size), Tally())

    def share(self, role: str, kind: str, size: str, *, equal: bool = False) -> float:
        """The mean over the faults of that size."""
        told = [each for (r, k, fault, s), each in self.tallies.items() if (r, k, s) == (role, kind, size) and fault]
        return float(np.mean([(each.equal if equal else each.hits) / each.of for each in told])) if told else float("nan")


def models(good: Mapping[str, Sequence[BatchTable]], *, site: str, role: str) -> Iterator[tuple[str, Model]]:
    """The three models for a site in a role. A local model needs five batches."""
    agreed = agreement(good)
    here = {**good, site: list(good[site])[: ROLES[role]]}
    sums = [site_sums(here[name], agreed, site=name) for name in here]
    yield "pooled", pooled(agreed, sums, here)
    if len(here[site]) >= 5:
        yield "local", pooled(agreed, [each for each in sums if each.site == site], here)
    yield "hierarchical", hierarchical(agreed, sums, here, site=site)


def study(*, sites: Sequence[str] = tuple(GOOD), faults: Sequence[Struck] = FAULTS, fresh: int = 100, struck: int = 16, seed: int = 1) -> Study:
    """The whole: every site in every role."""
    most = max(GOOD.values())
    good = {site: tables[: GOOD[site]] for site, tables in batches(most, seed=seed).items()}
    tried: list[tuple[str, str, float, dict[str, list[BatchTable]]]] = [("", "", -np.inf, batches(fresh, seed=seed + 1000))]
    for number, each in enumerate(faults):
        for size, amount in (("small", each.small), ("clear", each.clear)):
            if size == "small" and each.small == each.clear:
                continue
            text = text_of(each, amount)
            since = START_H if "start:" in text else -np.inf
            tried.append(
                (f"{each.fault} {each.more.removeprefix('sensor: ')}".strip(), size, since, batches(struck, seed=seed + 2000 + number, fault=text))
            )
    result = Study()
    for site in sites:
        for role in ROLES:
            for kind, model in models(good, site=site, role=role):
                equal = float(np.quantile([score_of(model, table) for table in tried[0][3][site]], 1.0 - FALSE_ALARMS))
                for fault, size, since, tables in tried:
                    for table in tables[site]:
                        result.tally(role, kind, fault, size).add(score_of(model, table, since=since), equal=equal)
    return result


def table_of(result: Study) -> str:
    """The tables as the documents show them."""

    def cell(tally: Tally | None) -> str:
        return "-" if tally is None else f"{100 * tally.equal / tally.of:.0f}"

    lines = [
        "| site | model | good batches with an alarm | small faults found | clear faults found | small, at equal false alarms | clear, at equal |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for role in ROLES:
        for kind in KINDS:
            good = result.tallies.get((role, kind, "", ""))
            if good is None:
                lines.append(f"| {role} | {kind} | no model | - | - | - | - |")
                continue
            found = [result.share(role, kind, size, equal=equal) for equal in (False, True) for size in ("small", "clear")]
            lines.append(f"| {role} | {kind} | {100 * good.share:.1f} % | " + " | ".join(f"{100 * each:.1f} %" for each in found) + " |")
    columns = [(role, kind) for role in ROLES for kind in KINDS if (role, kind, "", "") in result.tallies]
    lines += ["", "| fault, size | " + " | ".join(f"{role}, {kind}" for role, kind in columns) + " |", "| --- " * (len(columns) + 1) + "|"]
    for fault, size in dict.fromkeys((fault, size) for _, _, fault, size in result.tallies if fault):
        lines.append(f"| {fault}, {size} | " + " | ".join(cell(result.tallies.get((role, kind, fault, size))) for role, kind in columns) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table_of(study(seed=int(sys.argv[1]) if len(sys.argv) > 1 else 1)))
