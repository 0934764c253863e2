"""Fill weights: a single bad fill is a reject, a row of them stops the line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.batches.weights import Verdict, WeightRule, judge_weights
from isogenic.errors import NotValid

RULE = WeightRule(target=10.0, warning=0.2, action=0.5, rejects_in_row=2, one_side_in_row=4)


@pytest.mark.parametrize(
    ("weights", "verdict"),
    [
        ([10.0, 10.1, 9.9], Verdict()),
        ([10.0, 10.3, 9.9], Verdict(warned=(1,))),
        ([10.0, 10.6, 9.9], Verdict(rejected=(1,))),
        ([10.0, float("nan"), 9.9], Verdict(rejected=(1,))),
        ([10.6, 9.4, 10.0], Verdict(rejected=(0, 1), hold_at=1, why="2 fills in a row outside the action limits")),
        ([10.1, 10.05, 10.01, 10.02, 11.0], Verdict(hold_at=3, why="4 fills in a row above the target")),
        ([9.9, 9.8, 10.0, 9.9, 9.9], Verdict()),
    ],
)
def test_a_row_of_fills_is_judged_in_its_order(weights, verdict):
    assert judge_weights(weights, RULE) == verdict


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(9.0, 11.0), max_size=30), st.lists(st.floats(9.0, 11.0), max_size=10))
def test_what_comes_later_changes_nothing_of_what_was_judged(weights, more):
    before, after = judge_weights(weights, RULE), judge_weights([*weights, *more], RULE)
    if before.hold_at is not None:
        assert after == before
    else:
        assert [each for each in after.rejected if each < len(weights)] == list(before.rejected)
        assert after.hold_at is None or after.hold_at >= len(weights)
    assert all(abs(weights[at] - 10.0) > 0.5 for at in before.rejected)


def test_limits_that_are_none_are_refused():
    for wrong in ((10.0, 0.5, 0.2), (10.0, 0.0, 0.5), (0.1, 0.2, 0.5), (float("nan"), 0.2, 0.5)):
        with pytest.raises(NotValid, match="0 < warning < action < target"):
            WeightRule(*wrong)
