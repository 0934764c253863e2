"""A study from its scenario to its files.

Guarantees: the same scenario and number of batches give the same bytes, in this process, on any number of worker
processes and on a cluster of machines of one kind; a study that did not end well leaves no file under its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from isogenic.sim.scenarios.model import Scenario
from isogenic.sim.scenarios.pages import plan_remarks
from isogenic.sim.studies.chunk import standards_table, surges_table
from isogenic.sim.studies.files import Files, check_out, path_of
from isogenic.sim.studies.plan import plan_of
from isogenic.sim.studies.tables import schemas_of
from isogenic.sim.studies.workers import by_processes, in_turn, on_cluster

__all__ = ["Study", "run_study"]


@dataclass(frozen=True, slots=True)
class Study:
    """What was run and where it is."""

    title: str
    out: Path
    tables: tuple[str, ...]
    batches: int
    rows: int  # of the trajectories
    events: dict[str, int]  # by kind
    remarks: tuple[str, ...] = ()  # what was left out, and which fault struck nobody

    def __str__(self) -> str:
        said = ", ".join(f"{count} x {kind}" for kind, count in sorted(self.events.items())) or "none"
        files = [f"  {path_of(self.out, table)}" for table in self.tables]
        whole = f"{self.title}: {self.batches} batches, {self.rows} rows; events: {said}. All numbers are illustrative."
        return "\n".join([whole, *(f"  {each}" for each in self.remarks), *files])


def run_study(
    scenario: Scenario,
    out: Path,
    *,
    batches: int | None = None,
    workers: int = 1,
    on: str = "",
    tell: Callable[[int, int], None] | None = None,
) -> Study:
    """Run the scenario and write its tables; `on` is the address of a Dask scheduler; `tell` hears how many batches of how many are written."""
    check_out(out)
    parts = plan_of(scenario, batches=batches)
    remarks = tuple(plan_remarks(scenario, parts))
    total, done, rows = parts.batches, 0, 0
    events: dict[str, int] = {}
    schemas = schemas_of(scenario, batches=total)
    with Files(out, schemas) as files:
        if on:
            chunks = on_cluster(scenario, parts, address=on)
        else:
            chunks = in_turn(scenario, parts) if workers == 1 else by_processes(scenario, parts, workers=workers)
        try:
            files.write({"events": _counted(surges_table(scenario, schemas["events"]), events)})
            for part, tables in zip(parts, chunks, strict=True):
                files.write(tables)
                done += len(part)
                rows += tables["trajectories"].num_rows
                _counted(tables["events"], events)
                if tell:
                    tell(done, total)
            if "standards" in schemas:
                files.write({"standards": standards_table(scenario, schemas["standards"])})
        finally:
            chunks.close()
    return Study(scenario.title, out, tuple(schemas), total, rows, events, remarks)


def _counted(table: pa.Table, events: dict[str, int]) -> pa.Table:
    for each in pc.value_counts(table["event"].cast("string")).to_pylist():
        events[each["values"]] = events.get(each["values"], 0) + each["counts"]
    return table
