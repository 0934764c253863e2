"""Timed operations: what their numbers say, and that they replay."""

from __future__ import annotations

import numpy as np
import pytest

from isogenic.errors import NotValid
from isogenic.sim.operations import Failure, Operation, operate

NAMES = tuple(f"B-{at}" for at in range(4_000))
CAPTURE = Operation("capture", 6.0, 1.2, recovery=0.95, recovery_sd=0.01)
FILTER = Operation("filter", 1.0, failure=0.05, on_failure=Failure.REPEATED)
FILL = Operation("fill", 8.0, stops_per_h=0.4, stop_h=4.0 / 60.0)


def test_hours_recovery_stops_and_failures_have_the_stated_size() -> None:
    done = operate((CAPTURE, FILTER, FILL), seed=1, site="LEEDS", batches=NAMES)
    assert np.median(done.end_h[0]) == pytest.approx(6.0, rel=0.02)
    assert np.std(np.log(done.end_h[0])) == pytest.approx(np.log(1.2), rel=0.05)
    assert done.recovery[0].mean() == pytest.approx(0.95, abs=0.001)
    assert done.failed[1].mean() == pytest.approx(0.05, abs=0.012)
    assert done.lost.mean() == pytest.approx(0.0025, abs=0.0025)
    assert np.nanmean(done.stopped_h[2]) == pytest.approx(0.4 * 8.0 * 4.0 / 60.0, rel=0.05)


def test_a_batch_alone_gets_what_it_gets_in_a_crowd() -> None:
    crowd = operate((CAPTURE, FILTER, FILL), seed=1, site="LEEDS", batches=NAMES[:50])
    alone = operate((CAPTURE, FILTER, FILL), seed=1, site="LEEDS", batches=NAMES[17:18])
    for one, many in ((alone.end_h, crowd.end_h), (alone.recovery, crowd.recovery), (alone.stopped_h, crowd.stopped_h)):
        assert one[:, 0].tobytes() == np.ascontiguousarray(many[:, 17]).tobytes()


def test_a_lost_batch_goes_no_further() -> None:
    bag = Operation("bag", 1.0, failure=0.5, on_failure=Failure.LOST)
    done = operate((bag, FILL), seed=3, site="LEEDS", batches=NAMES[:200])
    assert 0 < done.lost.sum() < 200
    assert np.isnan(done.start_h[1][done.lost]).all()
    assert np.isfinite(done.start_h[1][~done.lost]).all()
    assert (done.kept[done.lost] == 0.0).all()
    assert (done.kept[~done.lost] == 1.0).all()


@pytest.mark.parametrize(
    "wrong", [{"hours": -1.0}, {"hours": 1.0, "recovery": 1.2}, {"hours": 1.0, "spread": 0.5}, {"hours": 1.0, "failure": float("nan")}]
)
def test_an_operation_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(NotValid, match="cannot use operation x"):
        Operation("x", **wrong)
