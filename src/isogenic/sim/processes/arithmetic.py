"""What equations need besides + - * / **, for one number and for an array of them.

Guarantees: the same value either way. A plain float is treated as Python does, because numpy takes a microsecond for
one number.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["LEAST", "Number", "greater", "lesser", "power", "root"]

# A float, or an array with one entry for each batch: equations written with it do not care.
Number = Any

LEAST = 1e-300  # stands for nothing where a logarithm is taken


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


def root(value: Number) -> Number:
    """The square root of something positive."""
    return math.sqrt(value) if type(value) is float else np.sqrt(value)


def power(value: Number, exponent: Number) -> Number:
    """The power of something that is at least `LEAST`; the half power is a root, which is had sooner than a logarithm."""
    if type(exponent) is float and exponent == 2.5:
        return value * value * root(value)
    return value**exponent if type(value) is float else np.exp(exponent * np.log(value))
