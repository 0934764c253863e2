"""Which ions a transcription mixture holds: free protons and free magnesium from the totals, by Newton in logarithms.

Guarantees: for positive totals there is exactly one answer, and `solved` finds it. Both balances are the gradient of one
convex function of (ln H, ln Mg): of charge neutrality, twice the balance of magnesium is taken away, and what is left is a
balance of protons. One set of equations for floats (`m` is `math`) and for arrays (`m` is `numpy`).
Leaves to others: what reacts (ivt).

Ions and constants after Stover, Ganko & Braatz 2024 (Biotechnol Bioeng, doi 10.1002/bit.28699). Concentrations in M.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from isogenic.errors import NotValid

__all__ = ["BINDING", "WATER", "Balance", "Binding", "Bound", "Salts", "Totals", "balance", "bound", "solved"]

# A float, or an array with one entry for each batch: the equations below do not care.
Number = Any

NEWTON_MAX = 200  # steps of at most 2 in a logarithm; from the usual start it takes 6
NEWTON_STEP = 2.0
NEWTON_ENOUGH = 1e-13
WATER = 1e-14  # M^2
TINY = 1e-300


class Binding(NamedTuple):
    """Association constants, 1/M; each names the ion that is made."""

    h_ntp: Number = 10**6.910083368668689
    h_mg_ntp: Number = 10**2.0799933537424664
    mg_ntp: Number = 10**4.092508774820014
    mg2_ntp: Number = 10**1.8659813492702368
    h_ppi: Number = 10**9.017430105904815
    h_mg_ppi: Number = 10**3.315484585355084
    h2_ppi: Number = 10**6.260672740886328
    h2_mg_ppi: Number = 10**2.1099372160764096
    mg_ppi: Number = 10**5.1607090055688545
    mg2_ppi: Number = 10**3.989872727016195
    mg_pi: Number = 10**1.88
    h_pi: Number = 10**6.92
    h_buffer: Number = 10**8.1


BINDING = Binding()


class Totals(NamedTuple):
    """What is dissolved, M, in whatever form."""

    ntp: Number
    ppi: Number
    pi: Number
    magnesium: Number
    rna_charge: Number  # M of negative charges on RNA


class Salts(NamedTuple):
    """What came with it and takes no part, M. `simple`: protons are counted on the buffer alone, as in the model's first release."""

    buffer: Number
    sodium: Number
    chloride: Number
    acetate: Number
    simple: bool = False


class Held(NamedTuple):
    """How many protons and magnesium ions an anion holds on average, and their variances."""

    h: Number
    mg: Number
    hh: Number
    hmg: Number
    mgmg: Number


class Bound(NamedTuple):
    """Every anion at one pH and one free magnesium, and the shares that the kinetics need."""

    ntp: Held
    ppi: Held
    pi: Held
    buffer_h: Number
    mg_ntp: Number  # share of NTP
    mg_ppi: Number  # share of PPi
    mg2_ppi: Number  # share of PPi


class Balance(NamedTuple):
    """What is left over, M (0 when solved), and its slopes by ln H and ln Mg."""

    proton: Number
    magnesium: Number
    proton_h: Number
    mixed: Number  # magnesium by ln H; proton by ln Mg is the same, or 0 where protons are counted on the buffer alone
    magnesium_mg: Number


def bound(h: Number, mg: Number, *, binding: Binding = BINDING) -> Bound:
    """The anions at free protons `h` and free magnesium `mg`, M."""
    k = binding
    ha, ma = h * k.h_ntp, mg * k.mg_ntp
    hma, mma = ha * mg * k.h_mg_ntp, ma * mg * k.mg2_ntp
    z = 1.0 + ha + ma + hma + mma
    eh, em = (ha + hma) / z, (hma + ma + 2.0 * mma) / z
    ntp = Held(eh, em, eh - eh * eh, hma / z - eh * em, (hma + ma + 4.0 * mma) / z - em * em)
    share = ma / z

    hp, mp = h * k.h_ppi, mg * k.mg_ppi
    hmp, hhp, mmp = hp * mg * k.h_mg_ppi, hp * h * k.h2_ppi, mp * mg * k.mg2_ppi
    hhmp = hhp * mg * k.h2_mg_ppi
    z = 1.0 + hp + mp + hmp + hhp + mmp + hhmp
    eh, em = (hp + hmp + 2.0 * (hhp + hhmp)) / z, (mp + hmp + hhmp + 2.0 * mmp) / z
    second = (hp + hmp + 4.0 * (hhp + hhmp)) / z, (hmp + 2.0 * hhmp) / z, (mp + hmp + hhmp + 4.0 * mmp) / z
    ppi = Held(eh, em, second[0] - eh * eh, second[1] - eh * em, second[2] - em * em)
    one, two = mp / z, mmp / z

    hq, mq = h * k.h_pi, mg * k.mg_pi
    z = 1.0 + hq + mq
    eh, em = hq / z, mq / z
    pi = Held(eh, em, eh - eh * eh, -eh * em, em - em * em)
    hb = h * k.h_buffer
    return Bound(ntp, ppi, pi, hb / (1.0 + hb), share, one, two)


def balance(h: Number, mg: Number, *, totals: Totals, salts: Salts, ions: Bound) -> Balance:
    """Both balances at free protons `h` and free magnesium `mg`."""
    ntp, ppi, pi = ions.ntp, ions.ppi, ions.pi
    oh, buffered = WATER / h, salts.buffer * ions.buffer_h
    magnesium = mg + totals.ntp * ntp.mg + totals.ppi * ppi.mg + totals.pi * pi.mg - totals.magnesium
    magnesium_mg = mg + totals.ntp * ntp.mgmg + totals.ppi * ppi.mgmg + totals.pi * pi.mgmg
    mixed = totals.ntp * ntp.hmg + totals.ppi * ppi.hmg + totals.pi * pi.hmg
    proton, proton_h = h - oh + buffered - salts.chloride, h + oh + buffered * (1.0 - ions.buffer_h)
    if salts.simple:
        return Balance(proton, magnesium, proton_h, mixed, magnesium_mg)
    # The charges of the bare anions; a magnesium ion carries two wherever it is, so that its balance takes them all.
    bare = salts.acetate + totals.rna_charge + 4.0 * (totals.ntp + totals.ppi) + 2.0 * totals.pi - salts.sodium - 2.0 * totals.magnesium
    proton = proton + totals.ntp * ntp.h + totals.ppi * ppi.h + totals.pi * pi.h - bare
    proton_h = proton_h + totals.ntp * ntp.hh + totals.ppi * ppi.hh + totals.pi * pi.hh
    return Balance(proton, magnesium, proton_h, mixed, magnesium_mg)


def solved(
    totals: Totals, salts: Salts, *, m: Any = math, binding: Binding = BINDING, start: tuple[Number, Number] | None = None
) -> tuple[Number, Number]:
    """(ln H, ln Mg) where both balances close; `NotValid` where they cannot (a total that is negative or no number)."""
    lnh, lnmg = start or (math.log(1e-8) + 0.0 * totals.magnesium, m.log(0.1 * totals.magnesium + TINY))
    for _ in range(NEWTON_MAX):
        h, mg = m.exp(lnh), m.exp(lnmg)
        left = balance(h, mg, totals=totals, salts=salts, ions=bound(h, mg, binding=binding))
        cross = 0.0 if salts.simple else left.mixed
        det = left.proton_h * left.magnesium_mg - cross * left.mixed
        dh = (left.proton * left.magnesium_mg - cross * left.magnesium) / det
        dmg = (left.proton_h * left.magnesium - left.mixed * left.proton) / det
        lnh, lnmg = lnh - _clipped(dh), lnmg - _clipped(dmg)
        if _largest(abs(dh) + abs(dmg)) < NEWTON_ENOUGH:
            return lnh, lnmg
    raise NotValid("cannot find the ions of this mixture", why="its balances of charge and magnesium do not close", possible="positive totals")


def _clipped(step: Number) -> Number:
    return 0.5 * (abs(step + NEWTON_STEP) - abs(step - NEWTON_STEP))


def _largest(value: Number) -> float:
    return value if isinstance(value, float) else float(value.max())
