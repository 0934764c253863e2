"""A recorded batch as equipment: one row of the record for each scan.

A driver like the others, so a recorded batch goes through the same loop, monitor and
records as a live one. Nothing can be steered: what is written is taken and forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from isogenic.plant.readings import Frame, Quality, TagIndex

__all__ = ["ReplayDriver"]


class ReplayDriver:
    """`values` is float64[rows, signals] in canonical units, NaN where the record has a gap."""

    def __init__(self, tags: list[str], values: NDArray[np.float64]) -> None:
        self.index, self._values, self._row = TagIndex(tags), values, 0

    @property
    def rows_left(self) -> int:
        """How many rows have not been read."""
        return len(self._values) - self._row

    async def read(self, at: datetime) -> Frame:
        """The next row; past the end everything is bad."""
        row = self._values[self._row] if self.rows_left > 0 else np.full(len(self.index.tags), np.nan)
        self._row += 1
        quality = np.where(np.isfinite(row), Quality.GOOD, Quality.BAD).astype(np.uint8)
        return Frame(at, self.index, np.where(np.isfinite(row), row, np.nan), quality)

    async def write(self, setpoints: Mapping[str, float]) -> Mapping[str, str]:
        """A record cannot be steered."""
        return {}

    def changes(self) -> list[tuple[str, bool, str]]:
        """A record does not come and go."""
        return []
