"""A site's constants from its batches: estimates with intervals, and what can be told from the data at all.

    found = fit(process_of("antibody"), read_batches(Path("leeds.parquet")), constants=("growth", "product"))
    print(found)

`problem` says what is to be explained by what, `noise` how far readings can be believed, `twin` runs the process at the
ages of the readings, `estimation` finds the constants, `profiles` and `identifiability` say how well they are known.
"""

from __future__ import annotations

from isogenic.sim.fitting.estimation import Method, Stopping, estimate, fit
from isogenic.sim.fitting.identifiability import Identifiability
from isogenic.sim.fitting.problem import Batch, Problem
from isogenic.sim.fitting.result import Estimate, Fit
from isogenic.sim.fitting.tables import read_batches

__all__ = ["Batch", "Estimate", "Fit", "Identifiability", "Method", "Problem", "Stopping", "estimate", "fit", "read_batches"]
