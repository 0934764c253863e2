"""CHO cells in a live vessel: the antibody's equations, asked in the words of `live`.

Guarantees: nothing is calculated here that `processes.cho` does not calculate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from isogenic.sim.instruments.bioreactor import FEED_KG_PER_L, Surroundings, observe
from isogenic.sim.live import Conditions, Number, Run, Stand, State
from isogenic.sim.processes import cho
from isogenic.sim.processes.arithmetic import greater
from isogenic.sim.processes.cho import Culture, Drive, Liquid, Theta
from isogenic.sim.processes.feeding import aged_medium
from isogenic.sim.variation import batch_of

__all__ = ["LIVE_ANTIBODY"]

_NAMES = tuple(Theta.__dataclass_fields__)
_LACTATE, _PRODUCT = _NAMES.index("lactate_of_glucose"), _NAMES.index("product")


class LiveAntibody:
    """As `Biology` has it."""

    name = "antibody"
    entries = Culture._fields
    averaged = ("ammonium", "glucose")
    strikes = ("culture_is_contaminated", "lactate_is_high", "product_rate_is_low")
    feed_kg_l = FEED_KG_PER_L

    def begin(self, *, seed: int, site: str, batch: str, weak: float) -> Run:
        """The batch's constants and liquids; `weak` is how bad its lot of medium is."""
        dice = batch_of(seed, site=site, batch=batch)
        theta = dice.theta.varied(growth=math.log(max(1e-3, 1.0 - weak)))
        medium = aged_medium(float(weak))
        train = cho.seed_train(medium=medium)
        train = train._replace(viable=train.viable * dice.seed_density, dead=train.dead * dice.seed_density)
        return Run(tuple(float(getattr(theta, name)) for name in _NAMES), tuple(medium), tuple(train), tuple(cho.GLUCOSE_STOCK))

    def culture(self, state: State) -> Culture:
        """As the laboratory knows it."""
        return Culture(*state)

    def mixed(self, state: State, *, litres: Number, liquid: State) -> Culture:
        """After `litres` were stirred in."""
        return cho.mixed(Culture(*state), litres=litres, liquid=Liquid(*liquid))

    def invaded(self, state: State, *, here: Conditions) -> State:
        """With the bacteria that came in."""
        came = here.struck[0]
        if not np.any(came):
            return state
        culture = Culture(*state)
        return culture._replace(bacteria=greater(culture.bacteria, came))

    def rates(self, state: State, *, constants: State, here: Conditions) -> Culture:
        """d/dt of every entry, per hour."""
        return cho.rates(Culture(*state), theta=_theta(constants, here), drive=_drive(here))

    def advance(self, state: State, *, hours: float, constants: State, here: Conditions) -> Culture:
        """So many hours later, all as it is."""
        return cho.advance(Culture(*state), hours=hours, theta=_theta(constants, here), drive=_drive(here))

    def observe(self, state: State, *, constants: State, here: Conditions, around: Stand) -> Mapping[str, Number]:
        """What there is to measure."""
        culture = Culture(*state)
        surroundings = Surroundings(
            working_volume_l=around.working_volume_l,
            temperature_c=here.temperature_c,
            ph=cho.true_ph(here.ph, culture.lactate),
            oxygen_percent=here.oxygen_sp_percent,
            agitation_rpm=around.agitation_rpm,
            feed_l_h=here.feed_l_h,
            blocked=around.feed_blocked,
            bottle_kg=around.bottle_kg,
        )
        return observe(culture, theta=Theta(*constants), drive=_drive(here), around=surroundings)

    def broken(self, state: State) -> Mapping[int, str]:
        """Which vessels left the physical range."""
        return cho.broken(Culture(*state))


def _drive(here: Conditions) -> Drive:
    return Drive(here.feed_l_h, here.transfer_factor, here.oxygen_sp_percent, here.temperature_c, here.ph)


def _theta(constants: State, here: Conditions) -> Theta:
    _, lactate, product = here.struck
    if not (np.any(lactate) or np.any(product)):
        return Theta(*constants)
    changed = list(constants)
    changed[_LACTATE] = changed[_LACTATE] * (1.0 + lactate)
    changed[_PRODUCT] = changed[_PRODUCT] * (1.0 - product)
    return Theta(*changed)


LIVE_ANTIBODY = LiveAntibody()
