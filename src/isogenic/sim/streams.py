"""Dice that replay bit by bit in any order: counter-based streams, one for each purpose.

Guarantees: draw number `index` of a stream depends on the seed, the stream's path (site,
unit, batch, sensor) and the index alone, never on what was drawn before; one draw and a
whole array of them agree.
Leaves to others: what the draws mean.

`Stream` is one stream, for a few draws here and there. `Dice` are many streams at once, one
in each cell of an array, for the instruments of a hundred vessels or of a thousand batches:
any draws of all of them are one call.

Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") makes the first,
keyed by a digest of the path, its counter the index. The second are the finaliser of
SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators")
applied twice to the counter, with half of the path's digest before and half between.
Normal draws of `Dice` are the inverse of the distribution by a table of 8,192 equally likely
bins, linear inside a bin and exact in the outermost two: integers, sums and products only,
so that one draw and a million have the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

__all__ = ["BLOCK", "Dice", "Stream"]

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
        if first == last:  # a few from the head of a block need not pay for all of it
            offset = start - first * BLOCK
            return self._draw(first, offset + count)[offset:]
        draws = np.concatenate([self._draw(block) for block in range(first, last + 1)])
        offset = start - first * BLOCK
        return draws[offset : offset + count]

    def _draw(self, block: int, count: int = BLOCK) -> NDArray[np.float64]:
        # Blocks are 2**64 counts apart: the rejections of the normal sampler can never run into the next block.
        bits = np.random.Philox(key=self._key, counter=block << 64)
        return np.random.Generator(bits).standard_normal(count)


BINS = 8192
CHUNK = 1 << 15  # cells worked on at once: what fits the processor's cache
PURPOSE_SHIFT = 56  # a lane's draws for one purpose are 2**56 counts from those for another
_STEP = np.uint64(0x9E3779B97F4A7C15)  # 2**64 divided by the golden ratio
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_EDGES = ndtri(np.arange(1, BINS) / BINS)
_LOW = np.concatenate([_EDGES[:1], _EDGES])
_WIDTH = np.diff(np.concatenate([_LOW, _EDGES[-1:]]))


class Dice:
    """Many streams at once, one in each cell. `index` is broadcast against the cells, so (T, 1) against (n,) gives (T, n)."""

    __slots__ = ("_first", "_second")

    def __init__(self, first: NDArray[np.uint64], second: NDArray[np.uint64]) -> None:
        self._first, self._second = first, second

    @classmethod
    def of(cls, seed: int, paths: Sequence[tuple[object, ...]], *, shape: tuple[int, ...] | None = None) -> Self:
        """The streams at these paths, in this order, as cells of `shape` (one row of them unless told otherwise)."""
        digests = b"".join(blake2b("\x1f".join(str(part) for part in (seed, *path)).encode(), digest_size=16).digest() for path in paths)
        keys = np.frombuffer(digests, dtype="<u8").astype(np.uint64).reshape(-1, 2)
        shape = (len(paths),) if shape is None else shape
        return cls(keys[:, 0].reshape(shape).copy(), keys[:, 1].reshape(shape).copy())

    @property
    def shape(self) -> tuple[int, ...]:
        """How the cells lie."""
        return self._first.shape

    def __getitem__(self, at: Any) -> Dice:
        """Some of the cells, as numpy selects them."""
        return Dice(np.ascontiguousarray(self._first[at]), np.ascontiguousarray(self._second[at]))

    def put(self, at: Any, other: Dice) -> None:
        """Other streams in these cells."""
        self._first[at], self._second[at] = other._first, other._second

    def uniforms(self, index: Any, *, purpose: int = 0) -> NDArray[np.float64]:
        """Draws above 0 and below 1."""
        return self._each(index, purpose, _share)

    def normals(self, index: Any, *, purpose: int = 0) -> NDArray[np.float64]:
        """Standard normal draws."""
        return self._each(index, purpose, _normal)

    def integers(self, index: Any, *, below: int, purpose: int = 0) -> NDArray[np.int64]:
        """Whole numbers from 0 to below `below`, equally likely to one part in 2**52."""
        return (self.uniforms(index, purpose=purpose) * below).astype(np.int64)

    def _each(self, index: Any, purpose: int, made: Any) -> NDArray[np.float64]:
        count = np.atleast_1d(np.asarray(index)).astype(np.uint64) + np.uint64((purpose << PURPOSE_SHIFT) + 1)
        shape = np.broadcast_shapes(count.shape, self._first.shape)
        if math.prod(shape) <= CHUNK or len(shape) < 2:
            return np.asarray(made(self._bits(count, self._first, self._second)), dtype=np.float64)
        out = np.empty(shape)
        count, first, second = (np.broadcast_to(each, shape) for each in (count, self._first, self._second))
        rows = max(1, CHUNK // max(1, math.prod(shape[1:])))
        for at in range(0, shape[0], rows):
            part = slice(at, at + rows)
            out[part] = made(self._bits(count[part], first[part], second[part]))
        return out

    @staticmethod
    def _bits(count: NDArray[np.uint64], first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.uint64]:
        bits = count * _STEP + first
        _stir(bits)
        bits ^= second
        _stir(bits)
        return bits


def _stir(bits: NDArray[np.uint64]) -> None:
    bits ^= bits >> np.uint64(30)
    bits *= _FIRST
    bits ^= bits >> np.uint64(27)
    bits *= _SECOND
    bits ^= bits >> np.uint64(31)


def _share(bits: NDArray[np.uint64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = ((bits >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
    return shares


def _normal(bits: NDArray[np.uint64]) -> NDArray[np.float64]:
    share = _share(bits)
    scaled = share * BINS
    at = scaled.astype(np.intp)
    scaled -= at
    draws: NDArray[np.float64] = _WIDTH[at]
    draws *= scaled
    draws += _LOW[at]
    tails = (at == 0) | (at == BINS - 1)
    if tails.any():
        draws[tails] = ndtri(share[tails])
    return draws
