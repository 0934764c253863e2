"""The bank: every statistic of one reading, fused into one score.

| statistic | sees | of |
| --- | --- | --- |
| T2 | the level, in the directions in which good data vary | the reading |
| SPE | relations that are broken: the other directions, each against its own spread | the reading |
| dynamic | what the reading before did not let expect | the residual |
| univariate | the same in one variable alone | the adjusted residuals |
| drift, drift of one | a slow departure of all, of one variable | averages of residuals |
| spread, spread of one | more or less movement than good data have, of all, of one variable | averages of squared adjusted residuals |

A statistic S becomes a tail score: -log10 of how rarely good data that were not used for fitting
reach it, by a line in log S (calibration). The score of a reading is the largest tail score of
those statistics that decide; a statistic that the good data were too few to calibrate is shown
and does not decide.

Guarantees: a silent statistic is NaN and never decides.
Leaves to others: what came before (filters), lines and limit (calibration), sentences (explanation).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isogenic.monitoring.bank.filters import Filtered, Filters
from isogenic.monitoring.tables import Floats

__all__ = ["ANCHOR", "Bank", "Tails", "energy_deviations", "logs_of", "names_of", "shares_of", "shares_of_level", "tails_of"]

ANCHOR = 0.05  # where the line of a tail begins: this share of good data lies above
TINY = 1e-9
DEVIATION_MAX = 30.0  # of an average of w^2: farther is the same verdict


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """The filters and the calibrated tails. Per variable: `steadiness`, how much less its squared adjusted residual counts where
    its residuals are heavy-tailed, as of an analyser that speaks every few readings. Per rate and variable: `centre`, `spread` of the
    fourth root of averages of w^2.
    Per statistic: `low`, its logarithm at `ANCHOR`; `slope`, tail score for each unit of the logarithm; `decides`.
    `limit`: the tail score over which a reading is an alarm.
    """

    filters: Filters
    steadiness: Floats
    centre: Floats
    spread: Floats
    low: Floats
    slope: Floats
    decides: NDArray[np.bool_]
    limit: float
    offset: Floats = field(init=False)  # of the line
    mute: Floats = field(init=False)  # -inf for those that do not decide
    all_decide: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "offset", -self.low * self.slope - np.log10(ANCHOR))
        object.__setattr__(self, "all_decide", bool(self.decides.all()))
        object.__setattr__(self, "mute", np.where(self.decides, 0.0, -np.inf))

    @property
    def names(self) -> tuple[str, ...]:
        """What each statistic is called."""
        return names_of(self.filters.rates)


class Tails(NamedTuple):
    """Tail scores of one reading of each unit."""

    score: Floats  # float64[units]: the largest of those that decide
    leading: NDArray[np.intp]  # which statistic it is
    each: Floats  # float64[units, statistics]; NaN where silent


def names_of(rates: Floats) -> tuple[str, ...]:
    """T2, SPE, then of the reading itself and of each rate, in the order in which everything here is kept."""
    kinds = {"drift": "dynamic", "drift of one": "univariate"}
    drifts = [f"{kind} {rate:g}" if rate else kinds[kind] for kind in kinds for rate in (0.0, *rates)]
    return ("T2", "SPE", *drifts, *(f"{kind} {rate:g}" for kind in ("spread of one", "spread") for rate in rates))


def energy_deviations(bank_centre: Floats, bank_spread: Floats, energy: Floats) -> Floats:
    """How far averages of w^2 are from those of good data, in their scale. The fourth root is near to normal (Hawkins and Wixley 1986)."""
    deviation: Floats = (np.sqrt(np.sqrt(energy)) - bank_centre) / bank_spread
    return np.minimum(deviation, DEVIATION_MAX)


def logs_of(level: Floats, filtered: Filtered, deviations: Floats, steadiness: Floats) -> Floats:
    """The logarithm of every statistic: float64[units, statistics]; NaN where silent. `level`: T2 and SPE, float64[units, 2]."""
    units, k, p = deviations.shape
    raw = np.empty((units, 4 + 4 * k))
    squares = np.empty((units, 1 + 2 * k, p))
    np.square(filtered.w, out=squares[:, : 1 + k])
    np.square(deviations, out=squares[:, 1 + k :])
    squares[:, 0] *= steadiness
    raw[:, :2] = level
    raw[:, 2 : 3 + k] = filtered.size
    np.maximum.reduce(squares, axis=2, out=raw[:, 3 + k : 4 + 3 * k])
    np.add.reduce(squares[:, 1 + k :], axis=2, out=raw[:, 4 + 3 * k :])
    np.maximum(raw, TINY, out=raw)
    np.log(raw, out=raw)
    if not filtered.every:
        raw[~filtered.known, 2:] = np.nan
    return raw


def tails_of(bank: Bank, logs: Floats, *, every: bool) -> Tails:
    """Every tail score, and the largest of those that decide. `every`: none is silent."""
    each = logs * bank.slope
    each += bank.offset
    deciding = each if bank.all_decide else each + bank.mute
    if not every:
        deciding = np.fmax(deciding, -np.inf)
    return Tails(np.maximum.reduce(deciding, axis=1), deciding.argmax(axis=1), each)


def shares_of(bank: Bank, leading: int, filtered: Filtered, unit: int) -> Floats:
    """The reconstruction-based contribution of every variable to the leading statistic of one unit, beyond T2 and SPE: float64[p].

    By how much the statistic would fall if that variable alone were put right: adjusted residuals squared are just that.
    """
    k = len(bank.centre)
    if leading < 4 + 2 * k:
        squares = np.square(filtered.w[unit, (leading - 2) % (1 + k)])
        return np.asarray(squares * bank.steadiness if leading == 3 + k else squares)
    return np.asarray(np.square(energy_deviations(bank.centre, bank.spread, filtered.energy[unit])[(leading - 4) % k]))


def shares_of_level(directions: Floats, weights: Floats, scores: Floats) -> Floats:
    """The same for T2 or SPE: the sum of `weights` of squared `scores` along `directions`."""
    pull = (weights * scores) @ directions
    shares: Floats = pull * pull / np.maximum(weights @ (directions * directions), TINY)
    return shares
