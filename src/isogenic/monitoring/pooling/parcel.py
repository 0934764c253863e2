"""Parcels: how arrays travel between sites: one line that names the form, one line of JSON, little-endian numbers, a digest.

Guarantees: the same content gives the same bytes; bytes that were altered are `NotTrusted`, bytes that are no such
parcel, larger than the bound, or with a number that is not finite are `NotValid`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from isogenic.errors import NotTrusted, NotValid
from isogenic.monitoring.tables import VALUE_MAX, Floats
from isogenic.records import codec

__all__ = ["NUMBERS_MAX", "packed", "unpacked"]

NUMBERS_MAX = 4_000_000  # in one parcel: 32 MB
DIGEST_BYTES = 32

Header = TypeVar("Header")


def packed(form: str, header: object, arrays: Sequence[Floats]) -> bytes:
    """The parcel's bytes."""
    body = b"".join(np.ascontiguousarray(array, dtype="<f8").tobytes() for array in arrays)
    data = f"isogenic {form} 1\n".encode() + codec.dumps(codec.plain(header)) + b"\n" + body
    return data + hashlib.sha256(data).digest()


def unpacked(data: bytes, form: str, header: type[Header], shapes: Callable[[Header], Sequence[tuple[int, ...]]]) -> tuple[Header, list[Floats]]:
    """A parcel's header and arrays. `shapes` tells the arrays' shapes, and refuses headers that make no sense."""
    what = f"cannot read {form}"
    if len(data) > 8 * NUMBERS_MAX + codec.LOADS_MAX:
        raise NotValid(what, why=f"{len(data)} bytes are too many")
    first, _, rest = data[:-DIGEST_BYTES].partition(b"\n")
    if first != f"isogenic {form} 1".encode():
        raise NotValid(what, why="the bytes are not that, or of an unknown version")
    if hashlib.sha256(data[:-DIGEST_BYTES]).digest() != data[-DIGEST_BYTES:]:
        raise NotTrusted(f"cannot use {form}", why="the bytes were altered or cut short", possible="fetch them again")
    text, _, body = rest.partition(b"\n")
    found = codec.read(header, codec.loads(text, what=form), what=form)
    sizes = [tuple(shape) for shape in shapes(found)]
    numbers = sum(math.prod(shape) for shape in sizes)
    if numbers > NUMBERS_MAX or len(body) != 8 * numbers:
        raise NotValid(what, why="its arrays are of another size than it says")
    flat = np.frombuffer(body, dtype="<f8").astype(np.float64)
    if numbers and not (np.abs(flat) < VALUE_MAX * VALUE_MAX).all():
        raise NotValid(what, why="a number in it is not finite")
    arrays, start = [], 0
    for shape in sizes:
        arrays.append(flat[start : start + math.prod(shape)].reshape(shape))
        start += math.prod(shape)
    return found, arrays
