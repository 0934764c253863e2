"""What becomes of starting material on its way: living cells lose viability by age, faster where they stand warm.

By the rule of couriers (`couriers.viability_lost`, `couriers.warmed_h`); **illustrative**. Only a process whose cells can
arrive weak (`cells_arrive_weak`) has starting material that ages.
"""

from __future__ import annotations

import numpy as np

from isogenic.sim.couriers import viability_lost
from isogenic.sim.processes.process import Fault, Process
from isogenic.sim.studies.part import Part

__all__ = ["AGES", "weakened"]

AGES = "cells_arrive_weak"
STEP = 0.01  # sizes are rounded to it, so that a chunk has few of them


def weakened(model: Process, part: Part) -> list[Fault]:
    """What age and warmth did, as faults of the process."""
    known = model.faults.get(AGES)
    if known is None:
        return []
    hours = part.start_h - part.ordered_h + part.warmed_h
    size = np.minimum(np.round(viability_lost(hours) / 100.0 / STEP) * STEP, known.high)
    return [Fault(AGES, float(each), batches=(size == each) & part.grown) for each in np.unique(size) if each >= max(STEP, known.low)]
