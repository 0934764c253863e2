"""Watch: what a monitor remembers of one batch between two readings.

Plain frozen data: it can be pickled, compared, and folded from readings again after a
restart. It belongs to one model, named by its digest.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Watch"]


@dataclass(frozen=True, slots=True)
class Watch:
    """How long each statistic has been over its limit, and whether an alarm stands."""

    model: str  # digest
    maturity: float | None = None  # the highest so far
    over_t2: int = 0  # consecutive judged samples over the limit
    over_spe: int = 0
    since: float | None = None  # maturity of the first sample of the current run
    calm: int = 0  # consecutive judged samples under both limits
    alarm: bool = False
    weights: tuple[float, ...] = ()  # contributions summed over the current run
    judged: int = 0
    not_judged: int = 0
    alarms: int = 0
