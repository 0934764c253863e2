"""Dice that replay bit by bit in any order: counter-based streams, one for each purpose.

Guarantees: draw number `index` of a stream depends on the seed, the stream's path (site,
unit, batch, sensor) and the index alone, never on what was drawn before; one draw and a
whole array of them agree.
Leaves to others: what the draws mean.

Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") is keyed by a
digest of the path; its counter is the index.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

__all__ = ["Stream"]

BLOCK = 512  # draws made at once: one draw alone would pay for a new generator each time


class Stream:
    """Standard normal draws, numbered from 0."""

    __slots__ = ("_block", "_draws", "_key")

    def __init__(self, seed: int, *path: object) -> None:
        """The stream at `path`; the parts are told apart, so ("a", "bc") is not ("ab", "c")."""
        text = "\x1f".join(str(part) for part in (seed, *path))
        self._key = int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "little")
        self._block = -1
        self._draws: NDArray[np.float64] = np.empty(0)

    def normal(self, index: int) -> float:
        """Draw number `index`."""
        block, at = divmod(index, BLOCK)
        if block != self._block:
            self._draws, self._block = self._draw(block), block
        return float(self._draws[at])

    def normals(self, start: int, count: int) -> NDArray[np.float64]:
        """The draws `start` to `start + count`, the same numbers that `normal` gives one by one."""
        first, last = start // BLOCK, (start + max(count, 1) - 1) // BLOCK
        draws = np.concatenate([self._draw(block) for block in range(first, last + 1)])
        offset = start - first * BLOCK
        return draws[offset : offset + count]

    def _draw(self, block: int) -> NDArray[np.float64]:
        # Blocks are 2**64 counts apart: the rejections of the normal sampler can never run into the next block.
        bits = np.random.Philox(key=self._key, counter=block << 64)
        return np.random.Generator(bits).standard_normal(BLOCK)
