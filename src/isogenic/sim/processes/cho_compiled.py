"""The culture's equations compiled: many hours of many batches in one call.

Guarantees: the equations are those of `cho.slopes`, compiled as they are written there; nothing of the biology is
written here. Results are those of the numpy path to 1e-9. What was compiled is kept in a folder of the user's, under a
digest of the source it came from, so that changed equations are compiled anew; where no folder can be written it is
compiled in each process.
Leaves to others: when to use it (`antibody`). Importing this module needs the extra `fast` (numba) and takes half a
second, so it is imported by whoever needs it, when they need it.
"""

from __future__ import annotations

import hashlib
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.extending import overload, register_jitable

from isogenic.sim.processes import arithmetic, cho
from isogenic.sim.processes.cho import HIGHEST, LOWEST, Culture, Pace
from isogenic.sim.processes.process import Floats

__all__ = ["PACE", "advanced", "folder", "paces"]

PACE = np.dtype([(name, np.float64) for name in Pace._fields])
SOUR_MM = cho.LACTATE_OF_BASE_MM
_HIGH = tuple(HIGHEST)


def folder() -> Path | None:
    """Where compiled code is kept, or nothing where no folder can be written."""
    home = Path(os.environ.get("LOCALAPPDATA", "~/AppData/Local") if sys.platform == "win32" else os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    digest = hashlib.sha256()
    for module in (cho, arithmetic, sys.modules[__name__]):
        digest.update(Path(str(module.__file__)).read_bytes())
    try:
        path = home.expanduser() / "isogenic" / f"antibody-{digest.hexdigest()[:16]}"
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return path if os.access(path, os.W_OK | os.X_OK) else None


def _compiled(function: Callable[..., object]) -> Callable[..., int]:
    """Compiled when first called, and kept; numba asks its own setting for the folder while it decorates."""
    config: Any = numba.config
    kept, before = folder(), config.CACHE_DIR
    config.CACHE_DIR = "" if kept is None else str(kept)
    try:
        made: Any = numba.njit(error_model="numpy", fastmath={"contract"}, nogil=True, cache=kept is not None)(function)  # a * b + c in one
    finally:
        config.CACHE_DIR = before
    return made  # type: ignore[no-any-return]


# How `arithmetic` compiles: for one number, as it does for a plain float. Without annotations, which numba would compare.
overload(arithmetic.lesser)(lambda one, other: lambda one, other: one if one < other else other)
overload(arithmetic.greater)(lambda one, other: lambda one, other: one if one > other else other)
overload(arithmetic.power)(
    lambda value, exponent: lambda value, exponent: value * value * math.sqrt(value) if exponent == 2.5 else math.exp(exponent * math.log(value))
)
overload(arithmetic.root)(lambda value: lambda value: math.sqrt(value))
register_jitable(cho._oxygen)
_slopes = register_jitable(cho.slopes)


# A compiled tuple has no loop over its entries, so they are written out.
@register_jitable
def _along(x: Culture, k: Culture, h: float) -> Culture:
    return Culture(
        x[0] + h * k[0], x[1] + h * k[1], x[2] + h * k[2], x[3] + h * k[3], x[4] + h * k[4], x[5] + h * k[5],
        x[6] + h * k[6], x[7] + h * k[7], x[8] + h * k[8], x[9] + h * k[9], x[10] + h * k[10], x[11] + h * k[11],
    )  # fmt: skip


@register_jitable
def _stepped(x: Culture, now: Pace, h: float) -> Culture:
    """As `cho.stepped`."""
    a = _slopes(x, now)
    b = _slopes(_along(x, a, 0.5 * h), now)
    c = _slopes(_along(x, b, 0.5 * h), now)
    d = _slopes(_along(x, c, h), now)
    s = h / 6.0
    return Culture(
        x[0] + (a[0] + 2.0 * (b[0] + c[0]) + d[0]) * s, x[1] + (a[1] + 2.0 * (b[1] + c[1]) + d[1]) * s,
        x[2] + (a[2] + 2.0 * (b[2] + c[2]) + d[2]) * s, x[3] + (a[3] + 2.0 * (b[3] + c[3]) + d[3]) * s,
        x[4] + (a[4] + 2.0 * (b[4] + c[4]) + d[4]) * s, x[5] + (a[5] + 2.0 * (b[5] + c[5]) + d[5]) * s,
        x[6] + (a[6] + 2.0 * (b[6] + c[6]) + d[6]) * s, x[7] + (a[7] + 2.0 * (b[7] + c[7]) + d[7]) * s,
        x[8] + (a[8] + 2.0 * (b[8] + c[8]) + d[8]) * s, x[9] + (a[9] + 2.0 * (b[9] + c[9]) + d[9]) * s,
        x[10] + (a[10] + 2.0 * (b[10] + c[10]) + d[10]) * s, x[11] + (a[11] + 2.0 * (b[11] + c[11]) + d[11]) * s,
    )  # fmt: skip


def _advanced(
    state: Floats, pace: Floats, moves: Floats, h: float, steps: int, parts: int, out: Floats, sums: Floats, failed: Floats, way: Floats
) -> int:
    """`state` (12, n) moved by `steps` of h, each in equal `parts`, into `out`.

    `sums` gets the integrals of ammonium and glucose; `failed` the step after which a batch was out of its range, which
    is as far as it goes; `way`, (steps, 12) or empty, the first batch after each step. Where acid moved the pH before
    the last step began, the pace would have to change: then 1, and what was written is worth nothing.
    """
    for at in range(state.shape[1]):
        x = Culture(
            state[0, at], state[1, at], state[2, at], state[3, at], state[4, at], state[5, at],
            state[6, at], state[7, at], state[8, at], state[9, at], state[10, at], state[11, at],
        )  # fmt: skip
        if moves[at]:
            now = pace[at]
            ammonium, glucose = 0.0, 0.0
            for step in range(steps):
                if step and x.lactate > SOUR_MM:
                    return 1
                y = x
                for _ in range(parts):
                    y = _stepped(y, now, h / parts)
                ammonium += (x.ammonium + y.ammonium) * (0.5 * h)
                glucose += (x.glucose + y.glucose) * (0.5 * h)
                x = y
                if not at and len(way):
                    for entry in range(12):
                        way[step, entry] = x[entry]
                well = True
                for entry in range(12):
                    well &= LOWEST <= x[entry] <= _HIGH[entry]
                if not well:
                    failed[at] = step + 1
                    break
            sums[0, at] += ammonium
            sums[1, at] += glucose
        for entry in range(12):
            out[entry, at] = x[entry]
    return 0


advanced = _compiled(_advanced)


def paces(now: Pace, n: int) -> Any:
    """The pace of each of n batches, as `advanced` takes it."""
    made = np.empty(n, dtype=PACE)
    for name, value in zip(Pace._fields, now, strict=True):
        made[name] = value
    return made
