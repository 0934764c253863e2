"""Every process refuses a fault that it does not have, or that lies outside its batch; nothing is passed over in silence."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from isogenic.errors import NotFound, NotValid
from isogenic.sim.processes import PROCESSES, process_of
from isogenic.sim.processes.process import Fault

INSIDE = {"start_h": 0.0, "duration_h": math.inf}
OUTSIDE = [{"start_h": -10.0}, {"start_h": 1e6}, {"start_h": math.nan}, {"duration_h": 0.0}, {"duration_h": -3.0}, {"duration_h": math.nan}]


@pytest.mark.parametrize("name", PROCESSES)
def test_a_fault_lies_within_its_batch(name: str) -> None:
    process = process_of(name)
    known = next(iter(process.faults.values()))
    fault = Fault(known.name, known.high)
    for wrong in OUTSIDE:
        with pytest.raises(NotValid, match="begins within its batch"):
            process.run(1, faults=[replace(fault, **{**INSIDE, **wrong})])


@pytest.mark.parametrize("name", PROCESSES)
def test_a_fault_that_a_process_lacks_is_refused_with_those_it_has(name: str) -> None:
    process = process_of(name)
    with pytest.raises(NotFound) as refused:
        process.run(1, faults=[Fault("the_moon_is_full", 0.5)])
    assert next(iter(process.faults)) in str(refused.value)


@pytest.mark.parametrize("name", PROCESSES)
def test_a_fault_has_a_size_of_its_range_and_says_for_each_batch_whether_it_strikes(name: str) -> None:
    process = process_of(name)
    known = next(iter(process.faults.values()))
    for size in (known.high + 1.0, known.low - 1.0, math.nan):
        with pytest.raises(NotValid, match="out of its range"):
            process.run(2, faults=[Fault(known.name, size)])
    with pytest.raises(NotValid, match="for each of 2 batches"):
        process.run(2, faults=[Fault(known.name, known.high, batches=np.ones(3, dtype=bool))])
