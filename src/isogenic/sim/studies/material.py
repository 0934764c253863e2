"""What becomes of starting material on its way: living cells lose viability by age, faster where they stand warm.

4 % of viability in 12 hours, twice as fast for each 10 K; **illustrative**. Only a process whose cells can arrive weak
(`cells_arrive_weak`) has starting material that ages.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from isogenic.sim.processes.process import Fault, Process
from isogenic.sim.scenarios.model import Product, ScenarioFault
from isogenic.sim.studies.plan import Part

__all__ = ["AGES", "weakened"]

AGES = "cells_arrive_weak"
LOSS_PER_H = 0.04 / 12.0
TWICE_K = 10.0
STEP = 0.01  # sizes are rounded to it, so that a chunk has few of them


def weakened(model: Process, part: Part, product: Product, struck: Sequence[tuple[ScenarioFault, NDArray[np.bool_]]]) -> list[Fault]:
    """What age and warmth did, as faults of the process."""
    known = model.faults.get(AGES)
    if known is None or not part.material_h.any():
        return []
    hours = part.material_h.copy()
    for fault, batches in struck:
        if fault.name == "shipment_warms":
            hours = hours + np.where(batches, product.travel_h * (2.0 ** (fault.size / TWICE_K) - 1.0), 0.0)
    size = np.minimum(np.round(hours * LOSS_PER_H / STEP) * STEP, known.high)
    return [Fault(AGES, float(each), batches=(size == each) & ~part.expired) for each in np.unique(size) if each >= max(STEP, known.low)]
