"""In-vitro transcription of DNA by T7 RNA polymerase: one set of equations for one reactor and for many.

Guarantees: what reacts is counted in extents (RNA made, pyrophosphate precipitated, pyrophosphate hydrolysed), so that
nucleotides, phosphate, magnesium and DNA balance whatever the step; free protons and magnesium are carried along as
algebraic equations of `speciation`. `Reaction` takes floats (`m` is `math`: one live reactor) or arrays (`m` is `numpy`:
many batches), and gives the same numbers to 1e-9.
Leaves to others: what the RNA is worth (mrna_quality), settings, faults and scatter (mrna).

Stover, Ganko & Braatz 2024 (Biotechnol Bioeng, doi 10.1002/bit.28699), equations and fitted constants: transcription by an
initiation complex that the free nucleotides' magnesium complexes elongate, inhibited by pyrophosphate; nucleation and
growth of magnesium pyrophosphate, whose nuclei take the DNA out of solution; pyrophosphatase. Hours and M; DNA,
polymerase and what they bind in nM. The model was fitted to RNA of 868 nt at 37 degC and up to 4 mM of each nucleotide; its
authors warn that above 20 mM of nucleotides it makes too little.
The full-length share of the RNA is our addition, and **illustrative**.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isogenic.sim.processes.rosenbrock import advance_many, advance_one
from isogenic.sim.processes.speciation import BINDING, WATER, Binding, Salts, Totals, balance, bound, solved

__all__ = ["POLYMERASE_NM_PER_U_UL", "Amounts", "Kinetics", "Mixture", "Reaction", "advanced", "begun", "reaction_of"]

Number = Any
Vector = list[Number]

POLYMERASE_NM_PER_U_UL = 16.0
SODIUM_PER_NTP = 3.96  # nucleotides come as sodium salts
PH_OF_MODEL, BUFFER_PKA = 8.0, 8.1
NM = 1e-9
LEAST_NTP = 1e-12  # M: below, a nucleotide has run out
ACCURACY = 1e-4  # of one step, for each entry: RNA after two hours is then exact to 4e-6
# The entries of the state: first the algebraic ones.
LNH, LNMG, RNA, SOLID, CLEAVED, NUCLEI, AGED, WHOLE = range(8)
SMALLEST = (1.0, 1.0, 1e-8, 1e-6, 1e-6, 1e-8, 1e-7, 1e-8)  # below, an entry need not be exact


class Kinetics(NamedTuple):
    """The constants of one batch."""

    initiation: Number = 10**3.6069536362146795  # 1/h
    elongation: Number = 10**5.206113299397379  # nt/h
    leaving: Number = 10**3.7446323772922425  # 1/h
    binding: Number = 10**2.3025910850566524  # 1/(nM h)
    half_ntp: Number = 10**-3.5888340328345243  # M, of the magnesium complex
    half_magnesium: Number = 10**-3.5927749722516182  # M
    inhibition: Number = 10**-4.379933555815728  # M of MgPPi
    growth: Number = 10**0.5900758815777631  # M/h for a unit of nuclei
    nucleation: Number = 10**1.6528184246710627
    sequestration: Number = 10**4.993450140315792  # 1/h for a unit of nuclei
    solubility: Number = 10**-3.888054488261979  # M of Mg2PPi
    cleavage: Number = 1.0
    half_cleavage: Number = 2.14e-4  # M
    # illustrative from here on
    broken_per_nt: Number = 5e-5  # a transcript ends early
    hydrolysis: Number = 2e-6  # 1/(nt h) at 37 degC and no free magnesium
    rnase: Number = 0.0  # 1/(nt h)


class Mixture(NamedTuple):
    """What is put together."""

    polymerase_nm: Number = 240.0
    template_nm: Number = 83.0
    ntp: tuple[Number, Number, Number, Number] = (0.010, 0.010, 0.010, 0.010)  # M of A, U, C, G
    bases: tuple[Number, Number, Number, Number] = (1000.0, 1000.0, 1000.0, 1000.0)  # in one RNA
    magnesium: Number = 0.045  # M
    buffer: Number = 0.040  # M
    ph: Number = PH_OF_MODEL  # of the buffer
    pyrophosphatase: Number = 2.0  # U/mL
    sodium: Number | None = None  # M; None: what the nucleotides bring


class Amounts(NamedTuple):
    """What there is, in M but for `template_nm`, `nuclei` (arbitrary) and pH."""

    rna: Number
    whole: Number  # RNA of full length
    ntp: tuple[Number, Number, Number, Number]
    pyrophosphate: Number  # dissolved
    phosphate: Number
    magnesium: Number  # dissolved
    solid: Number  # Mg2PPi
    template_nm: Number  # that nuclei have not taken
    nuclei: Number
    ph: Number
    free_magnesium: Number
    supersaturation: Number


@dataclass(frozen=True, slots=True)
class Reaction:
    """The equations of one mixture (floats) or of n (arrays): a `rosenbrock.Problem`."""

    kinetics: Kinetics
    mixture: Mixture
    salts: Salts
    binding: Binding
    m: Any
    accuracy: float = ACCURACY
    algebraic: int = 2

    def some(self, which: NDArray[np.intp]) -> Reaction:
        """The same for some of the batches."""
        return replace(self, **{each: _some(getattr(self, each), which) for each in ("kinetics", "mixture", "salts", "binding")})

    def scale(self, x: Vector) -> Vector:
        """The error that is allowed to each entry."""
        return [self.accuracy * least if at < self.algebraic else self.accuracy * (least + abs(x[at])) for at, least in enumerate(SMALLEST)]

    def totals(self, x: Vector) -> Totals:
        """What is dissolved."""
        length = _sum(self.mixture.bases)
        rna, solid, cleaved = x[RNA], x[SOLID], x[CLEAVED]
        ppi = (length - 1.0) * rna - solid - cleaved
        return Totals(_sum(self.mixture.ntp) - length * rna, ppi, 2.0 * cleaved, self.mixture.magnesium - 2.0 * solid, (length + 2.0) * rna)

    def slope(self, x: Vector) -> Vector:
        """The balances that must be 0, and d/dt of the rest, per hour."""
        return self._of(x, False)[0]

    def slope_and_jacobian(self, x: Vector) -> tuple[Vector, list[Vector]]:
        """The same with its slopes by every entry."""
        return self._of(x, True)

    def amounts(self, x: Vector) -> Amounts:
        """The state in the words of the laboratory."""
        totals, h, mg = self.totals(x), self.m.exp(x[LNH]), self.m.exp(x[LNMG])
        ions = bound(h, mg, binding=self.binding)
        a, u, c, g = (have - each * x[RNA] for have, each in zip(self.mixture.ntp, self.mixture.bases, strict=True))
        return Amounts(
            rna=x[RNA],
            whole=x[WHOLE],
            ntp=(a, u, c, g),
            pyrophosphate=totals.ppi,
            phosphate=totals.pi,
            magnesium=totals.magnesium,
            solid=x[SOLID],
            template_nm=self.mixture.template_nm * self.m.exp(-self.kinetics.sequestration * x[AGED]),
            nuclei=x[NUCLEI],
            ph=-x[LNH] / math.log(10.0),
            free_magnesium=mg,
            supersaturation=totals.ppi * ions.mg2_ppi / self.kinetics.solubility,
        )

    def _of(self, x: Vector, slopes: bool) -> tuple[Vector, list[Vector]]:
        k, mix, m = self.kinetics, self.mixture, self.m
        lnh, lnmg, rna, _, _, nuclei, aged, whole = x
        h, mg = m.exp(lnh), m.exp(lnmg)
        ions, totals, length = bound(h, mg, binding=self.binding), self.totals(x), _sum(mix.bases)
        left = balance(h, mg, totals=totals, salts=self.salts, ions=ions)

        # Transcription: DNA and polymerase make an initiation complex; elongation holds the polymerase the longer the less there is to add.
        have = [_at_least(each - base * rna, LEAST_NTP) for each, base in zip(mix.ntp, mix.bases, strict=True)]
        wait = _sum([base / (ions.mg_ntp * each) for each, base in zip(have, mix.bases, strict=True)])
        mg_ppi = totals.ppi * ions.mg_ppi
        used = mg / (k.half_magnesium + mg)
        pace = k.initiation / (k.elongation * used)
        hindered = 1.0 + mg_ppi / k.inhibition
        alpha = 1.0 + pace * (length + k.half_ntp * hindered * wait)
        template = mix.template_nm * m.exp(-k.sequestration * aged)
        half = (k.leaving + k.initiation) / k.binding
        b = half + mix.polymerase_nm + alpha * template
        root = m.sqrt(b * b - 4.0 * alpha * mix.polymerase_nm * template)
        complex_nm = 2.0 * mix.polymerase_nm * template / (b + root)
        made = k.initiation * NM * complex_nm

        # Magnesium pyrophosphate: nuclei come late and suddenly, and grow; they take DNA with them.
        dissolved = _at_least(totals.ppi, 1e-15)
        ln_s = _positive(m.log(dissolved * ions.mg2_ppi / k.solubility))
        squared = ln_s * ln_s + 1e-9
        born = m.exp(-k.nucleation / squared)
        grown = k.growth * nuclei * ln_s
        fastest = 0.06 * k.cleavage * mix.pyrophosphatase  # M/h: a unit turns 1 umol/min over
        near = mg_ppi + k.half_cleavage
        cleaved = fastest * mg_ppi / near

        kept = m.exp(-k.broken_per_nt * length)
        decay = length * (k.hydrolysis * (1.0 + mg / 0.010) + k.rnase)
        slope = [left.proton, left.magnesium, made, grown, cleaved, born, nuclei, made * kept - decay * whole]
        if not slopes:
            return slope, []

        one, ppi = length - 1.0, ions.ppi
        # by ln H, ln Mg, RNA, SOLID, CLEAVED
        ppi_by = (one, -1.0, -1.0)
        mg_ppi_by = (-mg_ppi * ppi.h, mg_ppi * (1.0 - ppi.mg), *(ions.mg_ppi * each for each in ppi_by))
        wait_by_rna = _sum([base * base / (ions.mg_ntp * each * each) for each, base in zip(have, mix.bases, strict=True)])
        wait_by = (wait * ions.ntp.h, -wait * (1.0 - ions.ntp.mg), wait_by_rna, 0.0, 0.0)
        by_wait, by_mg_ppi = pace * k.half_ntp * hindered, pace * k.half_ntp * wait / k.inhibition
        alpha_by = [by_mg_ppi * a + (0.0 if type(w) is float and w == 0.0 else by_wait * w) for a, w in zip(mg_ppi_by, wait_by, strict=True)]
        alpha_by[1] = alpha_by[1] - (alpha - 1.0) * (1.0 - used)
        by_alpha = k.initiation * NM * complex_nm * (complex_nm - template) / root
        made_by = [by_alpha * each for each in alpha_by]
        made_by_aged = k.initiation * NM * (mix.polymerase_nm - alpha * complex_nm) / root * -k.sequestration * template

        above = 1.0 * (ln_s > 0.0)
        ln_s_by = [-ppi.h * above, (2.0 - ppi.mg) * above, *(each / dissolved * above for each in ppi_by)]
        by_ln_s = born * 2.0 * k.nucleation * ln_s / (squared * squared)
        by_cleaved = fastest * k.half_cleavage / (near * near)

        simple = self.salts.simple
        proton_by = [0.0, 0.0, 0.0] if simple else [one * ppi.h - length * ions.ntp.h + 2.0 - length, -ppi.h, 2.0 * ions.pi.h - ppi.h]
        magnesium_by = [one * ppi.mg - length * ions.ntp.mg, 2.0 - ppi.mg, 2.0 * ions.pi.mg - ppi.mg]
        none = 0.0
        whole_by = [each * kept for each in made_by]
        whole_by[1] = whole_by[1] - length * k.hydrolysis * mg / 0.010 * whole
        return slope, [
            [left.proton_h, none if simple else left.mixed, *proton_by, none, none, none],
            [left.mixed, left.magnesium_mg, *magnesium_by, none, none, none],
            [*made_by, none, made_by_aged, none],
            [*(k.growth * nuclei * each for each in ln_s_by), k.growth * ln_s, none, none],
            [*(by_cleaved * each for each in mg_ppi_by), none, none, none],
            [*(by_ln_s * each for each in ln_s_by), none, none, none],
            [none, none, none, none, none, 1.0, none, none],
            [*whole_by, none, made_by_aged * kept, -decay],
        ]


def reaction_of(mixture: Mixture, *, kinetics: Kinetics | None = None, simple: bool = False, m: Any = math, accuracy: float = ACCURACY) -> Reaction:
    """The equations of a mixture. `simple`: protons are counted on the buffer alone, as in the model's first release."""
    acid = m.exp((BUFFER_PKA - mixture.ph) * math.log(10.0))
    sodium = SODIUM_PER_NTP * _sum(mixture.ntp) if mixture.sodium is None else mixture.sodium
    chloride = mixture.buffer * acid / (1.0 + acid)
    if simple:  # the first release begins at the buffer's pH exactly, so its salts take up what water itself gives
        h = m.exp(-mixture.ph * math.log(10.0))
        chloride = chloride + h - WATER / h
    salts = Salts(mixture.buffer, sodium, chloride, 2.0 * mixture.magnesium, simple)
    return Reaction(kinetics or Kinetics(), mixture._replace(sodium=sodium), salts, BINDING, m, accuracy)


def begun(reaction: Reaction) -> Vector:
    """The state of a fresh mixture."""
    nought = 0.0 * reaction.mixture.magnesium
    x = [nought, nought, nought, nought, nought, nought, nought, nought]
    x[LNH], x[LNMG] = solved(reaction.totals(x), reaction.salts, m=reaction.m, binding=reaction.binding)
    return x


def advanced(reaction: Reaction, x: Vector, *, hours: float, step: Number | None = None) -> tuple[Vector, Number, NDArray[np.bool_] | None]:
    """The state `hours` later, the step to begin with next time, and (arrays) which batches failed."""
    if reaction.m is math:
        x, after = advance_one(reaction, x, hours=hours, step=1e-4 if step is None else step)
        return x, after, None
    return advance_many(reaction, x, hours=hours, step=step)


def _some(values: Any, which: NDArray[np.intp]) -> Any:
    return values._replace(**{name: _taken(each, which) for name, each in values._asdict().items()})


def _taken(value: Any, which: NDArray[np.intp]) -> Any:
    if isinstance(value, tuple):
        return tuple(_taken(each, which) for each in value)
    return value[which] if isinstance(value, np.ndarray) and value.ndim else value


def _sum(values: Any) -> Number:
    first, *rest = values
    for each in rest:
        first = first + each
    return first


def _positive(value: Number) -> Number:
    return 0.5 * (value + abs(value))


def _at_least(value: Number, least: float) -> Number:
    return least + _positive(value - least)
