"""What is done to a spectrum before it is regressed: row by row, so that a row is treated alike in calibration and after.

Guarantees: no row knows of another; a spectrum with a gap stays a gap (NaN in all of it), it is never filled in.
Leaves to others: centring, which belongs to the regression.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import savgol_filter

from isogenic.errors import NotValid
from isogenic.monitoring.tables import Floats, present

__all__ = ["Preprocessing", "despiked"]

SPIKE = 12.0  # robust standard deviations of the second difference: a cosmic ray, not a band
MAD_TO_SD = 1.4826
FLAT = 1e-12  # of the spectrum: what rounding leaves of one that does not vary


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Rays taken out, then a Savitzky-Golay derivative (window 0: none), then SNV: each row with mean 0 and standard deviation 1."""

    window: int = 25
    order: int = 2
    derivative: int = 1
    snv: bool = True
    rays: bool = True

    def __post_init__(self) -> None:
        if self.window and not (3 <= self.window <= 501 and self.window % 2 and 0 <= self.derivative <= self.order < self.window):
            raise NotValid("cannot smooth spectra", why="a window is odd, 3 to 501, wider than its order, and the order not below the derivative")

    def __call__(self, spectra: Floats) -> Floats:
        """The rows as they are regressed."""
        if spectra.shape[1] < max(self.window, 5):
            raise NotValid("cannot treat spectra", why=f"{spectra.shape[1]} channels are fewer than {max(self.window, 5)}")
        whole = present(spectra).all(axis=1)
        out = np.full(spectra.shape, np.nan)
        if whole.any():
            out[whole] = self._treated(spectra[whole])
        return out

    def _treated(self, rows: Floats) -> Floats:
        size = np.abs(rows).max(axis=1, keepdims=True)
        if self.rays:
            rows = despiked(rows)
        if self.window:
            rows = savgol_filter(rows, self.window, self.order, deriv=self.derivative, axis=1)
        if self.snv:
            spread = rows.std(axis=1, keepdims=True)
            rows = (rows - rows.mean(axis=1, keepdims=True)) / np.where(spread > FLAT * size, spread, np.nan)
        return np.asarray(rows, dtype=np.float64)


def despiked(rows: Floats) -> Floats:
    """Rows without the needles of cosmic rays: what stands far above the line between its neighbours two away is put on it."""
    out = rows.copy()
    middle = rows[:, 2:-2]
    line = 0.5 * (rows[:, :-4] + rows[:, 4:])
    above = middle - line
    typical = np.median(above, axis=1, keepdims=True)
    spread = MAD_TO_SD * np.median(np.abs(above - typical), axis=1, keepdims=True)
    ray = above - typical > SPIKE * np.maximum(spread, 1e-300)
    # A needle is as tall as it is thin; a band that is so tall is tall in most rows too.
    ray &= ray.mean(axis=0) < 0.2 if len(rows) >= 5 else ray.any(axis=0)
    out[:, 2:-2] = np.where(ray, line, middle)
    return out
