"""How a fed-batch of the antibody is started and fed: the one place for these numbers.

Guarantees: past batches (`history`), studies (`antibody`) and the fit (`cho_fit`) start and feed alike; floats and
arrays alike. The recipe of the live facility says the same in its own words.

The process, **illustrative**: inoculation at age 0 at 0.5e6 cells/mL, feed of 3 % of the initial volume a day from day
3, and at the end of each day glucose back to 28 mM when it reads less than 14 mM.
"""

from __future__ import annotations

import numpy as np

from isogenic.sim.processes import cho
from isogenic.sim.processes.arithmetic import Number, greater
from isogenic.sim.processes.cho import Culture, Liquid

__all__ = ["BOLUS_BELOW_MM", "BOLUS_TO_MM", "FEED_SHARE_PER_DAY", "FEED_START_H", "aged_medium", "bolus_litres", "feed_l_h", "inoculated"]

FEED_START_H = 72.0
FEED_SHARE_PER_DAY = 0.03
BOLUS_BELOW_MM = 14.0
BOLUS_TO_MM = 28.0
SEED_SHARE = 0.1  # of the volume at the start


def aged_medium(weak: Number) -> Liquid:
    """A weak or aged lot of medium: where growth is less by the share `weak`, glutamine is by three times that and the other amino acids by twice."""
    glutamine, others = greater(1.0 - 3.0 * weak, 0.0), greater(1.0 - 2.0 * weak, 0.0)
    return cho.MEDIUM._replace(glutamine=cho.MEDIUM.glutamine * glutamine, amino_acids=cho.MEDIUM.amino_acids * others)


def inoculated(litres: Number, *, density: Number = 1.0, weak: Number = 0.0) -> Culture:
    """The culture at age 0: medium and seed; `density` of the nominal cells."""
    medium = aged_medium(weak)
    train = cho.seed_train(SEED_SHARE, medium)
    train = train._replace(viable=train.viable * density, dead=train.dead * density)
    filled = cho.mixed(cho.EMPTY, litres=(1.0 - SEED_SHARE) * litres, liquid=medium)
    return cho.mixed(filled, litres=SEED_SHARE * litres, liquid=train)


def feed_l_h(age_h: float, *, start_l: Number, share_per_day: Number = FEED_SHARE_PER_DAY, start_h: Number = FEED_START_H) -> Number:
    """How fast feed flows at this age."""
    return share_per_day * start_l / 24.0 * (age_h >= start_h)


def bolus_litres(seen_mm: Number, *, volume_l: Number, below_mm: Number = BOLUS_BELOW_MM, to_mm: Number = BOLUS_TO_MM) -> Number:
    """How much glucose stock a day's end asks for, by what was seen: nothing unless it is below its limit."""
    litres = (to_mm - seen_mm) / (cho.GLUCOSE_STOCK_MM - to_mm) * volume_l
    return np.where(seen_mm < below_mm, litres, 0.0) if isinstance(litres, np.ndarray) else litres if seen_mm < below_mm else 0.0
