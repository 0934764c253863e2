"""The two comparisons that equations need, for one number and for an array of them.

Guarantees: the same value either way. A plain float is compared as Python does, because numpy takes a microsecond for
one number; compiled equations have their own form of both (`compiled`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Number", "greater", "lesser"]

# A float, or an array with one entry for each batch: equations written with it do not care.
Number = Any


def lesser(one: Number, other: Number) -> Number:
    """The lesser of two, entry by entry."""
    if type(one) is float and type(other) is float:
        return one if one < other else other
    return np.minimum(one, other)


def greater(one: Number, other: Number) -> Number:
    """The greater of two, entry by entry."""
    if type(one) is float and type(other) is float:
        return one if one > other else other
    return np.maximum(one, other)
