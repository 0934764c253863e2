"""One instrument alone, in plain floats: cheap where only a few are read now and then. The numbers are those of `sensors`.

Guarantees: `Sensor.read` of a truth behind its lag gives what `Sensors` and `measured` give for the same seed, site, batch
and signal.
Leaves to others: lag (it needs the past) and failures.
"""

from __future__ import annotations

import numpy as np

from isogenic.sim.instruments.instrument import KNOT_CORRELATION, KNOTS_PER_MEMORY, Draws, Instrument, reading, wander_between
from isogenic.sim.instruments.sensors import AGE_H_MAX, BIAS, HEIGHT, INNOVATION, LOT, NOISE, SLOPE, SPIKE, WANDER, lot_bias
from isogenic.sim.streams import BLOCK, Dice

__all__ = ["Sensor"]


class Sensor:
    """One instrument in one batch."""

    __slots__ = ("_block", "_cal", "_cals", "_dice", "_knots", "_noise", "_of_lot", "_spikes", "instrument", "step_h")

    def __init__(self, instrument: Instrument, *, seed: int, site: str, batch: str, name: str, lot: str = LOT, step_h: float = 1.0) -> None:
        self.instrument, self.step_h = instrument, step_h
        self._dice = Dice.of(seed, [("instrument", site, batch, name)])
        self._of_lot = float(lot_bias(name, seed=seed, sites=[site], lots=[lot])[0]) if instrument.lot else 0.0
        self._block, self._cal = -1, -1
        self._noise: list[float] = []
        self._spikes: list[float] = []
        self._knots: list[float] = []
        self._cals = (0.0, 0.0)

    def read(self, truth: float, *, index: int, age_h: float) -> float:
        """The reading number `index`, `age_h` after the instrument was put in."""
        how, age = self.instrument, min(max(age_h, 0.0), AGE_H_MAX)
        block, at = divmod(index, BLOCK)
        if block != self._block:
            self._draw(block)
        cal = int(age // how.recalibrated_h) if how.recalibrated_h > 0 else 0
        if cal != self._cal:
            self._cal, self._cals = cal, (float(self._dice.normals(cal, purpose=BIAS)[0]), float(self._dice.normals(cal, purpose=SLOPE)[0]))
        spacing = how.memory_h / KNOTS_PER_MEMORY
        knot = int(age // spacing)
        while len(self._knots) < knot + 2:
            fresh = float(self._dice.normals(len(self._knots), purpose=WANDER)[0])
            self._knots.append(KNOT_CORRELATION * self._knots[-1] + INNOVATION * fresh if self._knots else fresh)
        wander = wander_between(self._knots[knot], self._knots[knot + 1], age / spacing - knot)
        draws = Draws(*self._cals, wander, self._noise[at], self._spikes[at] if self._spikes else 0.0, self._of_lot)
        return float(reading(how, truth, age_h=age, since_h=age - cal * how.recalibrated_h, draws=draws))

    def _draw(self, block: int) -> None:
        index = block * BLOCK + np.arange(BLOCK)
        self._block, self._noise = block, self._dice.normals(index[:, None], purpose=NOISE)[:, 0].tolist()
        chance = self.instrument.spikes_per_h * self.step_h
        if chance > 0:
            shares, heights = (self._dice.uniforms(index[:, None], purpose=each)[:, 0] for each in (SPIKE, HEIGHT))
            self._spikes = np.where(shares < chance, 2.0 * heights, 0.0).tolist()
