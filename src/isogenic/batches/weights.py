"""In-process fill weights: which container is rejected, and when the line is stopped and held.

    reject   a fill outside the action limits: that container is no product
    hold     so many rejects in a row, or so many fills on one side of the middle of the warning limits in a row: the line has moved

Guarantees: pure and a function of the weights in their order; the same weights give the same verdict. The rule is a value of the recipe's
author, named with its limits; it is not tuned while the line runs.
Leaves to others: weighing (the filler), what happens then (the recipe's exceptions; the filler's own controller holds at once).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from isogenic.errors import NotValid

__all__ = ["Verdict", "WeightRule", "judge_weights"]


@dataclass(frozen=True, slots=True)
class WeightRule:
    """Limits around a target, in the unit of the weights, and when the line is held."""

    target: float
    warning: float  # half the width of the warning limits
    action: float  # half the width of the action limits
    rejects_in_row: int = 2  # a single reject may be a drop beside the container, two are the pump
    one_side_in_row: int = 8  # beyond the warning limit on the same side, or drifting on one side of the target: 1 in 128 by chance

    def __post_init__(self) -> None:
        if not (math.isfinite(self.target) and 0 < self.warning < self.action < self.target):
            raise NotValid("cannot use these fill limits", why="it takes 0 < warning < action < target")
        if self.rejects_in_row < 1 or self.one_side_in_row < 2:
            raise NotValid("cannot use this rule", why="a row has at least one reject, or two fills on one side")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the weights so far say."""

    rejected: tuple[int, ...] = ()  # places in the row, from 0
    warned: tuple[int, ...] = ()
    hold_at: int | None = None  # the fill after which the line is held
    why: str = ""


def judge_weights(weights: Sequence[float], rule: WeightRule) -> Verdict:
    """Judge the fills in their order; what comes after the fill that holds the line is not judged, because it must not be there."""
    rejected: list[int] = []
    warned: list[int] = []
    in_row = side = run = 0
    for at, weight in enumerate(weights):
        off = weight - rule.target
        bad = not math.isfinite(weight) or abs(off) > rule.action  # a fill that was not weighed is no product
        if bad:
            rejected.append(at)
        elif abs(off) > rule.warning:
            warned.append(at)
        in_row = in_row + 1 if bad else 0
        now = 0 if not math.isfinite(weight) or off == 0 else (1 if off > 0 else -1)
        run = run + 1 if now and now == side else abs(now)
        side = now
        if in_row >= rule.rejects_in_row:
            return Verdict(tuple(rejected), tuple(warned), at, f"{in_row} fills in a row outside the action limits")
        if run >= rule.one_side_in_row:
            return Verdict(tuple(rejected), tuple(warned), at, f"{run} fills in a row {'above' if side > 0 else 'below'} the target")
    return Verdict(tuple(rejected), tuple(warned))
