"""Sums: all that a reference model needs to know of its batches.

For each point of the grid: how many batches, the sum of their values and of their
products, about a fixed centre (so that no digits are lost). Sums add: the sums of two
sets of batches are the sums of the union, and taking one batch away gives exactly the
sums without it. Leaving batches out for calibration, and later pooling sites that never
show each other a batch, are both this one property.

Guarantees: addition and subtraction are exact up to rounding, in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from isogenic.monitoring.tables import Floats

__all__ = ["Sums"]


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """`count`, `total`: float64[points, p]; `cross`, `pairs`: float64[points, p, p]; all about `centre`: float64[points, p]."""

    centre: Floats
    count: Floats
    total: Floats
    cross: Floats
    pairs: Floats

    @classmethod
    def empty(cls, centre: Floats) -> Self:
        """No batches yet."""
        points, p = centre.shape
        return cls(centre, np.zeros((points, p)), np.zeros((points, p)), np.zeros((points, p, p)), np.zeros((points, p, p)))

    @classmethod
    def of(cls, values: Floats, centre: Floats) -> Self:
        """One batch's values on the grid."""
        there = np.isfinite(values)
        deviation = np.where(there, values - centre, 0.0)
        count = there.astype(np.float64)
        return cls(centre, count, deviation, deviation[:, :, None] * deviation[:, None, :], count[:, :, None] * count[:, None, :])

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.centre, self.count + other.count, self.total + other.total, self.cross + other.cross, self.pairs + other.pairs)

    def __sub__(self, other: Sums) -> Sums:
        return Sums(self.centre, self.count - other.count, self.total - other.total, self.cross - other.cross, self.pairs - other.pairs)

    def mean(self) -> Floats:
        """The mean trajectory; NaN where no batch says anything."""
        with np.errstate(invalid="ignore", divide="ignore"):
            mean: Floats = self.centre + self.total / self.count
        return mean

    def covariance(self) -> Floats:
        """The covariance between variables at each point; 0 where fewer than two batches say anything."""
        average = self.total / np.maximum(self.count, 1.0)
        raw = self.cross / np.maximum(self.pairs, 1.0) - average[:, :, None] * average[:, None, :]
        unbiased = raw * (self.pairs / np.maximum(self.pairs - 1.0, 1.0))
        covariance: Floats = np.where(self.pairs >= 2.0, unbiased, 0.0)
        return covariance
