"""Reference models of good batches, detection and explanation.

    model = fit(good, variables=variables, name="MAB-A fed batch", product="MAB-A")
    watch = model.watch()
    watch, judgement = judge(model, watch, maturity=212.0, values=values)

Models are static: fitted off line, released, frozen, named by a digest. Nothing learns while it judges.
"""

from isogenic.monitoring.explanation import Contribution, Finding
from isogenic.monitoring.fitting import fit
from isogenic.monitoring.judging import Judgement, judge, judge_batch, judge_many
from isogenic.monitoring.model import Calibration, Model, reference_band
from isogenic.monitoring.tables import BatchTable, Variable, table_batches
from isogenic.monitoring.watch import Watch

__all__ = [
    "BatchTable",
    "Calibration",
    "Contribution",
    "Finding",
    "Judgement",
    "Model",
    "Variable",
    "Watch",
    "fit",
    "judge",
    "judge_batch",
    "judge_many",
    "reference_band",
    "table_batches",
]
