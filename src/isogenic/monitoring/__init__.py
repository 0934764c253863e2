"""Reference models of good batches, detection and explanation.

    model = fit(good, variables=variables, name="MAB-A fed batch", product="MAB-A")
    watch = model.watch(units=3, product="MAB-A")
    watch, findings = judge(watch, values, maturity=maturity)     # values[units, variables], maturity[units]

A continuous process has no maturity: `fit(runs, ..., continuous=True)`, then `judge(watch, values)`.

Models are static: fitted off line, released, frozen, named by a digest. Nothing learns while it judges.
"""

from isogenic.monitoring.explanation import Contribution, Finding
from isogenic.monitoring.fitting import fit
from isogenic.monitoring.judging import Findings, judge, judge_batch, measure_block
from isogenic.monitoring.model import Calibration, Model, reference_band
from isogenic.monitoring.tables import BatchTable, Variable, table_batches
from isogenic.monitoring.watch import Watch, join

__all__ = [
    "BatchTable",
    "Calibration",
    "Contribution",
    "Finding",
    "Findings",
    "Model",
    "Variable",
    "Watch",
    "fit",
    "join",
    "judge",
    "judge_batch",
    "measure_block",
    "reference_band",
    "table_batches",
]
