"""Some batches of a study: which they are and when everything of them begins, before anything is worked out.

Guarantees: plain arrays of one length, in the order of sites and numbers; cutting keeps them together.
Leaves to others: how the times come about (calendar, work), what happens in a batch (chunk).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isogenic.sim.processes.process import Floats

__all__ = ["Part", "name_of"]


def name_of(site: str, process: str, number: int) -> str:
    """A batch's name, once in a study."""
    return f"{site}-{process}-{number:05d}"


@dataclass(frozen=True, slots=True)
class Part:
    """Some batches of one process; hours are of the study."""

    process: str
    sites: tuple[str, ...]
    numbers: NDArray[np.int64]  # at each site, from 1
    lots: tuple[str, ...]
    ordered_h: Floats
    surge: Floats  # orders at that time, in multiples of the usual
    left_h: Floats  # a courier took what it is made of
    arrived_h: Floats  # what it is made of was there
    warmed_h: Floats  # by so much older than its hours, for having been warm on its way
    excursion_h: Floats  # it was warmer than its box allows
    start_h: Floats  # a suite is its own
    culture_h: Floats  # age 0 of the culture
    harvest_h: Floats  # when the culture is to end
    expired: NDArray[np.bool_]  # what it is made of was too old to begin
    spoiled: NDArray[np.bool_]  # lost before there was a culture
    finish_h: Floats  # a crew began to purify and fill it; NaN where nobody stands in line
    tests_h: Floats  # (assays, n): the laboratory began; NaN where nothing stands in line

    @property
    def names(self) -> list[str]:
        """The batches' names."""
        return [name_of(site, self.process, number) for site, number in zip(self.sites, self.numbers.tolist(), strict=True)]

    @property
    def grown(self) -> NDArray[np.bool_]:
        """Those of which there was a culture."""
        return ~(self.expired | self.spoiled)

    def __len__(self) -> int:
        return len(self.sites)

    def cut(self, at: slice | NDArray[np.int64]) -> Part:
        """The batches of a slice, or of these positions."""
        return self._each(lambda array: array[..., at])

    def earliest(self, count: int) -> Part:
        """So many batches: those that would begin first, in the order in which they stand."""
        return self if count >= len(self) else self.cut(np.sort(np.argsort(self.start_h, kind="stable")[:count]))

    def _each(self, by: Any) -> Part:
        cut: dict[str, Any] = {}
        for each in fields(self)[1:]:
            values = getattr(self, each.name)
            cut[each.name] = tuple(by(np.array(values, dtype=object))) if isinstance(values, tuple) else by(values)
        return replace(self, **cut)
