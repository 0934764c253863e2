"""A small process for tests of studies: cells that may arrive weak grow for four days and are filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from isogenic.sim.filling import FILL
from isogenic.sim.operations import Operation
from isogenic.sim.processes.process import Constant, Fault, Floats, Mark, Mechanism, Outcome, Setting, Spread, Variable, depth, filled

A = Mark.ILLUSTRATIVE


class Small:
    """Exponential growth."""

    name, title, duration_h, every_h = "small", "Small", 96.0, 24.0
    constants: Mapping[str, Constant] = {"growth": Constant("growth", 0.02, "1/h", A, spread=Spread(batch=0.02))}
    settings: Mapping[str, Setting] = {"seed": Setting("seed", 1.0, "1", 0.1, 10.0, "cells at the start")}
    variables: Mapping[str, Variable] = {"cells": Variable("cells", "1", 0.0, 1e9, "cells")}
    qualities: Mapping[str, Variable] = {"dose": Variable("dose", "1", 0.0, 1e9, "cells at the end")}
    faults: Mapping[str, Mechanism] = {
        "cells_arrive_weak": Mechanism("cells_arrive_weak", "this share of the cells is dead", "1", 0.0, 1.0, "fewer cells", windowed=False)
    }
    operations = (Operation(FILL, 4.0, recovery=0.9, stops_per_h=0.5, stop_h=0.1),)

    def run(
        self,
        n: int,
        *,
        constants: Mapping[str, Floats] | None = None,
        settings: Mapping[str, Floats] | None = None,
        faults: Sequence[Fault] = (),
        every_h: float | None = None,
    ) -> Outcome:
        growth = filled(self.constants, constants, n=n, what="constant")["growth"]
        start = filled(self.settings, settings, n=n, what="setting")["seed"] * (1.0 - depth(faults, "cells_arrive_weak", age_h=0.0, n=n))
        age = np.arange(0.0, self.duration_h + 1e-9, every_h or self.every_h)
        cells = start * np.exp(np.outer(age, growth))
        return Outcome(age, {"cells": cells}, {"dose": cells[-1]})


SMALL = Small()
