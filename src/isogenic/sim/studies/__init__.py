"""Studies: thousands of batches of a scenario, worked out at once and written as tables.

    run_study(read_scenario(text), Path("study.parquet"), batches=1000, workers=2)

`plan` says which batches there are (`calendar`, `lines`: and when), `work` what is done to them, `events` what happened,
`chunk` works some of them out, `workers` says by whom, `files` writes, `tables`
says what stands in which column.
"""

from __future__ import annotations

from isogenic.sim.studies.files import path_of, paths_of
from isogenic.sim.studies.plan import plan_of
from isogenic.sim.studies.run import Study, run_study

__all__ = ["Study", "path_of", "paths_of", "plan_of", "run_study"]
