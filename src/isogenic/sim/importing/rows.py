"""Rows on their way from somebody's file: pieces of them, the line that each is of, and how a wrong one is told.

Leaves to others: where they are from (`csv_file`, `parquet_file`), what they mean (`tables`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from isogenic.errors import NotValid

__all__ = ["Lines", "Pieces", "wrong"]

FINITE = "a finite number, or nothing where none was measured"


@dataclass(frozen=True, slots=True)
class Lines:
    """Which line of the file (row, of Parquet) each row of a piece is."""

    numbers: np.ndarray[Any, np.dtype[np.int64]]

    def of(self, row: int) -> int:
        return int(self.numbers[row])


Pieces = Iterator[tuple[pa.RecordBatch, Lines]]


def wrong(line: int, at: int, heading: str, found: str, *, possible: str = FINITE) -> NotValid:
    """One value that is none."""
    return NotValid("cannot read the table", why=f"line {line}, column {at + 1} ({heading[:60]}) has {found}", possible=possible)
