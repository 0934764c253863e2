"""A map from names to what is known under them, which grows by one without being copied as a whole.

Guarantees: frozen; `added` gives a new map and leaves the old one as it was, in a time that does not grow with the map up to
a million names: the names lie in buckets, and only one bucket is copied. What is under a name stands in an order of its own, so
the map is the same in whatever order things were added (I8).
Leaves to others: what the names mean.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar
from zlib import crc32

__all__ = ["Links"]

BUCKETS = 512  # a hundred sites with a thousand assemblies each: 200 names to a bucket
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Links(Generic[V]):
    """Name -> what was added under it, each once, in the order of how it is written."""

    buckets: tuple[Mapping[str, tuple[V, ...]] | None, ...] = (None,) * BUCKETS

    def get(self, name: str) -> tuple[V, ...]:
        """What is known under a name; nothing where nothing is."""
        bucket = self.buckets[_place(name)]
        return () if bucket is None else bucket.get(name, ())

    def added(self, name: str, value: V) -> Links[V]:
        """With one more under a name; the same map where it is there already."""
        place = _place(name)
        bucket = self.buckets[place] or {}
        known = bucket.get(name, ())
        if value in known:
            return self
        at = bisect(known, repr(value), key=repr)  # frozen dataclasses and texts: each written its own way, the same everywhere
        return Links((*self.buckets[:place], {**bucket, name: (*known[:at], value, *known[at:])}, *self.buckets[place + 1 :]))

    def __iter__(self) -> Iterator[str]:
        return (name for bucket in self.buckets if bucket for name in bucket)

    def __len__(self) -> int:
        return sum(len(bucket) for bucket in self.buckets if bucket)


def _place(name: str) -> int:
    return crc32(name.encode("utf-8", "surrogatepass")) % BUCKETS
