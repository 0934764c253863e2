"""Acceptance sampling by attributes: how many containers are looked at, and how many may be defective.

The plan is computed, not looked up: the smallest sample whose exact (hypergeometric) operating
characteristic accepts a lot at the acceptable quality level with at least `1 - producer_risk`, and
one at the rejectable quality level with at most `consumer_risk` (the two points of ISO 2859-2 and ANSI/ASQ Z1.4's
operating characteristics; the tables themselves are not reproduced here). Where no smaller sample does, everything is looked at.

Guarantees: pure, exact integer arithmetic; a plan carries both risks as they are.
Leaves to others: which levels a defect gets (the specification), inspecting, and that 100 % inspection of parenterals
comes before it (Ph. Eur. 2.9.20, USP <790>).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb

from isogenic.errors import NotValid

__all__ = ["Plan", "accepts", "plan", "probability_accepted"]

LOT_MAX = 20_000  # containers: a large lot of a small facility; beyond it the search takes seconds


@dataclass(frozen=True, slots=True)
class Plan:
    """A single sampling plan for one lot."""

    lot: int
    sample: int
    accept: int  # the most defectives in the sample with which the lot is accepted
    accepted_at_aql: float  # probability
    accepted_at_rql: float

    def __str__(self) -> str:
        if self.sample == self.lot:
            return f"all {self.lot} containers, at most {self.accept} defective"
        risks = f"accepted with {self.accepted_at_aql:.1%} at the acceptable and {self.accepted_at_rql:.1%} at the rejectable level"
        return f"{self.sample} of {self.lot} containers, at most {self.accept} defective; {risks}"


def probability_accepted(lot: int, defective: int, sample: int, accept: int) -> float:
    """That a sample drawn without putting back holds at most `accept` of `defective`."""
    ways = sum(comb(defective, found) * comb(lot - defective, sample - found) for found in range(min(accept, sample) + 1) if sample - found >= 0)
    return ways / comb(lot, sample)


def plan(lot: int, *, aql: float, rql: float, producer_risk: float = 0.05, consumer_risk: float = 0.10) -> Plan:
    """The smallest plan for a lot of so many containers; `aql` and `rql` are shares of defectives."""
    if not 1 <= lot <= LOT_MAX:
        raise NotValid("cannot plan a sample", why=f"a lot has 1 to {LOT_MAX} containers, not {lot}")
    if not 0 <= aql < rql <= 1 or not 0 < producer_risk < 1 or not 0 < consumer_risk < 1:
        raise NotValid("cannot plan a sample", why="it takes 0 <= acceptable level < rejectable level <= 1, and risks between 0 and 1")
    good, poor = int(aql * lot), max(int(-(-rql * lot // 1)), int(aql * lot) + 1)
    low, high = 1, lot
    while low < high:  # the larger the sample, the sharper: the smallest that does is found by halving, then mended below
        middle = (low + high) // 2
        low, high = (low, middle) if _found(lot, middle, good, poor, producer_risk, consumer_risk) else (middle + 1, high)
    for sample in _nearby(low, lot):
        if (accept := _found(lot, sample, good, poor, producer_risk, consumer_risk)) is not None:
            at = (probability_accepted(lot, good, sample, accept[0]), probability_accepted(lot, poor, sample, accept[0]))
            return Plan(lot, sample, accept[0], *at)
    return Plan(lot, lot, good, 1.0, 0.0)


def _nearby(sample: int, lot: int) -> Iterator[int]:
    """Whole numbers make the characteristic jump: a smaller sample may do although a larger one does not."""
    yield from range(max(1, sample - 40), lot + 1)


def _found(lot: int, sample: int, good: int, poor: int, producer: float, consumer: float) -> tuple[int] | None:
    """The number of defectives with which this sample meets both risks, if any does."""
    for accept in range(sample + 1):
        if probability_accepted(lot, good, sample, accept) >= 1 - producer:  # the smallest that is fair to the producer is the best for the consumer
            return (accept,) if probability_accepted(lot, poor, sample, accept) <= consumer else None
    return None


def accepts(chosen: Plan, *, inspected: int, defective: int) -> bool:
    """Whether a lot passes; a sample of another size than planned never does."""
    if not 0 <= defective <= inspected:
        raise NotValid("cannot judge this sample", why=f"{defective} defective of {inspected} inspected")
    return inspected == chosen.sample and defective <= chosen.accept
