"""Messenger RNA from DNA to lipid nanoparticles: transcription over its two hours, and what becomes of it.

Guarantees: what `process.Process` promises. The trajectory is that of the transcription; purification, particles and
storage are qualities, and the timed operations that follow stand in `operations` with their recoveries.
Leaves to others: the reaction (ivt), the maps to quality (mrna_quality), dice, instruments.

Transcription: Stover, Ganko & Braatz 2024. All else is **illustrative**.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from isogenic.errors import NotValid
from isogenic.sim.operations import Failure, Operation
from isogenic.sim.processes.ivt import Amounts, Kinetics, Mixture, advanced, begun, reaction_of
from isogenic.sim.processes.mrna_quality import (
    GRAMS_PER_NT,
    capped,
    captured,
    double_stranded,
    hydrolysis_factor,
    kept_whole,
    lane_pressure,
    particles,
    polyadenylated,
    residual_dna,
    washed,
)
from isogenic.sim.processes.process import (
    Constant,
    Fault,
    Floats,
    Mark,
    Mechanism,
    Outcome,
    Setting,
    Spread,
    Stop,
    Variable,
    check_faults,
    depth,
    filled,
)
from isogenic.sim.processes.ranges import judged, outside

__all__ = ["MRNA", "Mrna"]

DURATION_H, EVERY_H, EVERY_LEAST_H = 2.0, 0.1, 0.001
LENGTH_OF_RNASE = 4000.0  # the size of the fault counts the breaks of an RNA of this length
BELOW_NOUGHT = -1e-6  # M: what the accuracy of a step leaves of a substance that ran out
STOVER = "Stover, Ganko & Braatz 2024, doi 10.1002/bit.28699"
CHHEDA = "activation energy: Chheda 2023"

_RANGE_OF_BASES = ("ATP", "UTP", "CTP", "GTP")


def _published() -> list[Constant]:
    units = {"initiation": "1/h", "elongation": "nt/h", "leaving": "1/h", "binding": "1/(nM h)", "growth": "M/h", "sequestration": "1/h"}
    plain = {"nucleation", "cleavage"}
    known = Kinetics()._asdict()
    names = list(known)[: list(known).index("broken_per_nt")]
    return [Constant(name, float(known[name]), units.get(name, "1" if name in plain else "M"), Mark.PUBLISHED, STOVER) for name in names]


def _illustrative() -> list[Constant]:
    def one(name: str, value: float, unit: str, *, site: float = 0.0, lot: float = 0.0, batch: float = 0.0, source: str = "") -> Constant:
        return Constant(name, value, unit, Mark.ILLUSTRATIVE, source, Spread(site, lot, batch))

    return [
        one("polymerase_activity", 1.0, "1", site=0.01, lot=0.03, batch=0.02),
        one("template_quality", 1.0, "1", lot=0.03, batch=0.02),
        one("nucleotide_strength", 1.0, "1", lot=0.01, batch=0.005),
        one("magnesium_strength", 1.0, "1", site=0.005, batch=0.01),
        one("broken_per_nt", 5e-5, "1", lot=0.03, batch=0.08),
        one("hydrolysis", 2e-6, "1/h", batch=0.05),
        one("capture_recovery", 0.85, "1", site=0.01, batch=0.035),
        one("double_stranded_base", 0.30, "%", lot=0.05, batch=0.25),
        one("cap_power", 3.2, "1", lot=0.03, batch=0.08),
        one("dna_left", 1.2e-3, "1", batch=0.30),
        one("sieving", 0.99, "1"),
        one("particle_base", 80.0, "nm", site=0.015, lot=0.01, batch=0.03),
        one("dispersity_base", 0.085, "1", site=0.02, batch=0.12),
        one("decay_at_5c", 2.5e-3, "1/d", lot=0.05, batch=0.05, source=CHHEDA),
    ]


_CONSTANTS = {each.name: each for each in (*_published(), *_illustrative())}

_SETTINGS = {
    each.name: each
    for each in (
        Setting("nucleotides", 10.0, "mM", 0.2, 20.0, "Each of the four nucleotides; above 20 mM the model makes too little"),
        Setting("magnesium", 45.0, "mM", 1.0, 120.0, "Magnesium acetate"),
        Setting("template", 83.0, "nM", 0.5, 500.0, "Linear DNA"),
        Setting("polymerase", 240.0, "nM", 1.0, 2000.0, "T7 RNA polymerase; 1 U/uL is 16 nM"),
        Setting("pyrophosphatase", 2.0, "U/mL", 0.0, 20.0, "Inorganic pyrophosphatase"),
        Setting("cap_to_gtp", 1.0, "1", 0.0, 4.0, "Cap for each GTP; the model does not let it bind magnesium"),
        Setting("temperature", 37.0, "degC", 25.0, 42.0, "Of the reaction"),
        Setting("ph", 8.0, "pH", 7.0, 9.0, "Of the buffer, 40 mM Tris"),
        Setting("length", 4000.0, "nt", 300.0, 12000.0, "Nucleotides in one RNA, a quarter of each"),
        Setting("wash_volumes", 8.0, "1", 1.0, 20.0, "Diafiltration volumes"),
        Setting("n_to_p", 6.0, "1", 2.0, 12.0, "Ionisable nitrogen for each phosphate of RNA"),
        Setting("lipid", 12.5, "mM", 2.0, 60.0, "Lipids in ethanol"),
        Setting("mixing_flow", 60.0, "mL/min", 5.0, 200.0, "Both streams together, one lane"),
        Setting("flow_ratio", 3.0, "1", 0.5, 9.0, "Aqueous to ethanol"),
        Setting("mixing_ph", 4.0, "pH", 3.0, 6.5, "Of the aqueous buffer at mixing"),
        Setting("dilution_delay", 2.0, "min", 0.0, 240.0, "From mixing to dilution of the ethanol"),
        Setting("thaws", 1.0, "1", 0.0, 3.0, "Freezings and thawings of the drug product"),
        Setting("cryoprotectant", 1.0, "1", 0.0, 1.0, "Share of what protects it fully"),
        Setting("storage_days", 30.0, "d", 0.0, 730.0, "Of the drug product, thawed"),
        Setting("storage_temperature", 5.0, "degC", -30.0, 40.0, "Of the drug product"),
    )
}

_VARIABLES = {
    each.name: each
    for each in (
        Variable("rna", "g/L", 0.0, 30.0, "RNA", Mark.PUBLISHED),
        Variable("integrity", "%", 0.0, 100.0, "RNA of full length"),
        Variable("atp", "mM", 0.0, 25.0, "ATP left", Mark.PUBLISHED),
        Variable("utp", "mM", 0.0, 25.0, "UTP left", Mark.PUBLISHED),
        Variable("ctp", "mM", 0.0, 25.0, "CTP left", Mark.PUBLISHED),
        Variable("gtp", "mM", 0.0, 25.0, "GTP left", Mark.PUBLISHED),
        Variable("pyrophosphate", "mM", 0.0, 100.0, "Pyrophosphate in solution", Mark.PUBLISHED),
        Variable("phosphate", "mM", 0.0, 200.0, "Phosphate", Mark.PUBLISHED),
        Variable("precipitate", "mM", 0.0, 100.0, "Magnesium pyrophosphate as a solid", Mark.PUBLISHED),
        Variable("magnesium", "mM", 0.0, 200.0, "Magnesium in solution", Mark.PUBLISHED),
        Variable("free_magnesium", "mM", 0.0, 200.0, "Magnesium that nothing holds", Mark.PUBLISHED),
        Variable("template", "nM", 0.0, 1000.0, "DNA that no solid has taken", Mark.PUBLISHED),
        Variable("ph", "pH", 0.0, 14.0, "pH", Mark.PUBLISHED),
    )
}

_QUALITIES = {
    each.name: each
    for each in (
        Variable("rna_yield", "g/L", 0.0, 30.0, "RNA at the end of transcription", Mark.PUBLISHED),
        Variable("drug_substance", "g/L", 0.0, 30.0, "RNA after capture, in the volume of the reaction"),
        Variable("integrity", "%", 0.0, 100.0, "Drug substance of full length"),
        Variable("cap", "%", 0.0, 100.0, "Capped"),
        Variable("poly_a", "%", 0.0, 100.0, "With its whole tail"),
        Variable("dsrna", "%", 0.0, 100.0, "Double-stranded, purified"),
        Variable("residual_dna", "ug/mg", 0.0, 1000.0, "Template left"),
        Variable("residual_nucleotides", "%", 0.0, 100.0, "Of the nucleotides before the washing"),
        Variable("size", "nm", 0.0, 1000.0, "Diameter of the particles"),
        Variable("pdi", "1", 0.0, 1.0, "Polydispersity"),
        Variable("encapsulation", "%", 0.0, 100.0, "RNA inside the particles"),
        Variable("mixing_pressure", "bar", 0.0, 50.0, "Before the mixer"),
        Variable("product_integrity", "%", 0.0, 100.0, "Of the drug product, stored"),
    )
}

_FAULTS = {
    each.name: each
    for each in (
        Mechanism("no_pyrophosphatase", "Share of the pyrophosphatase that is missing", "1", 0.0, 1.0,
                  "pyrophosphate and solid rise, template leaves the solution; yield x0.37 without any", "yield", windowed=False,
                  mark=Mark.COMPUTED),
        Mechanism("nucleotide_is_short", "Share of the UTP that is missing", "1", 0.0, 0.95,
                  "UTP falls below the others and runs out first", "yield", windowed=False, mark=Mark.COMPUTED),
        Mechanism("magnesium_is_off", "Share of magnesium too much (+) or too little (-)", "1", -0.6, 1.0,
                  "free magnesium and rate move; precipitate with them", "yield, integrity", windowed=False, mark=Mark.COMPUTED),
        Mechanism("template_is_short", "Share of the DNA that is missing", "1", 0.0, 0.95,
                  "little is seen while polymerase limits; then slower; polymerase in excess", "dsRNA, yield", windowed=False, mark=Mark.COMPUTED),
        Mechanism("polymerase_is_short", "Share of the polymerase that is missing", "1", 0.0, 0.95,
                  "slower from the start; later, as less precipitates, perhaps more", "yield", windowed=False, mark=Mark.COMPUTED),
        Mechanism("rnase", "Breaks of a 4,000-nt RNA", "1/h", 0.0, 20.0, "integrity falls, the mass of RNA does not", "integrity, poly(A), recovery"),
        Mechanism("lnp_flow_falls", "Share of the flow that a clogged lane loses", "1", 0.0, 0.8,
                  "pressure rises, particles grow", "size, PDI", windowed=False),
        Mechanism("lnp_buffer_ph_is_off", "pH above (+) or below (-) what was set", "pH", -1.0, 2.0,
                  "less is encapsulated", "encapsulation", windowed=False),
        Mechanism("lnp_flow_ratio_is_wrong", "Share by which aqueous to ethanol is too high (+) or too low (-)", "1", -0.8, 2.0,
                  "particles grow where it is too low", "size", windowed=False),
        Mechanism("dilution_is_late", "Minutes too late", "min", 0.0, 240.0, "particles grow by 5 nm after 10 minutes", "size", windowed=False),
    )
}  # fmt: skip

_OPERATIONS = (
    Operation("digest_the_template", 0.5, 1.1, what="DNase stops the reaction"),
    Operation(
        "capture_on_oligo_dt", 3.0, 1.15, recovery=0.85, recovery_sd=0.03, failure=0.005, on_failure=Failure.REPEATED, what="broken RNA is lost first"
    ),
    Operation("diafilter", 2.0, 1.2, recovery=0.97, recovery_sd=0.01, stops_per_h=0.02, stop_h=0.3, what="C/C0 = exp(-N S)"),
    Operation("filter_the_drug_substance", 1.0, 1.2, recovery=0.98, recovery_sd=0.005, failure=0.005, on_failure=Failure.REPEATED),
    Operation("mix_with_lipids", 1.0, 1.15, recovery=0.96, recovery_sd=0.01, stops_per_h=0.05, stop_h=0.2, failure=0.003, on_failure=Failure.LOST),
    Operation("exchange_the_buffer", 3.0, 1.2, recovery=0.95, recovery_sd=0.015),
    Operation("filter_the_drug_product", 1.0, 1.2, recovery=0.96, recovery_sd=0.01, failure=0.01, on_failure=Failure.REPEATED),
)


@dataclass(frozen=True, slots=True)
class Mrna:
    """The process; `operations` follow the transcription."""

    name: str = "mrna"
    title: str = "mRNA: transcription, purification, lipid nanoparticles"
    duration_h: float = DURATION_H
    every_h: float = EVERY_H
    constants: Mapping[str, Constant] = field(default_factory=lambda: _CONSTANTS)
    settings: Mapping[str, Setting] = field(default_factory=lambda: _SETTINGS)
    variables: Mapping[str, Variable] = field(default_factory=lambda: _VARIABLES)
    qualities: Mapping[str, Variable] = field(default_factory=lambda: _QUALITIES)
    faults: Mapping[str, Mechanism] = field(default_factory=lambda: _FAULTS)
    operations: tuple[Operation, ...] = _OPERATIONS

    def run(
        self,
        n: int,
        *,
        constants: Mapping[str, Floats] | None = None,
        settings: Mapping[str, Floats] | None = None,
        faults: Sequence[Fault] = (),
        every_h: float | None = None,
    ) -> Outcome:
        """`n` transcriptions at once and what becomes of them."""
        every = self.every_h if every_h is None else every_h
        if n < 1 or not EVERY_LEAST_H <= every <= self.duration_h:
            raise NotValid(f"cannot run {n} batches every {every} h", possible=f"at least one, every {EVERY_LEAST_H:g} to {self.duration_h:g} h")
        c, s = filled(self.constants, constants, n=n, what="constant"), filled(self.settings, settings, n=n, what="setting")
        if low := [name for name, values in c.items() if not (values > 0).all()]:
            raise NotValid(f"cannot use constant {low[0]}", why="every constant of this process is above 0")
        check_faults(faults, self.faults, n=n, end_h=self.duration_h)
        size = {name: _whole(faults, name, n) for name in self.faults}
        mixture, kinetics = _mixture(c, s, size), _kinetics(c, s)

        reaction = reaction_of(mixture, kinetics=kinetics, m=np)
        ages = np.minimum(np.arange(int(np.floor(self.duration_h / every + 1e-9)) + 1) * every, self.duration_h)
        through = ages if self.duration_h - ages[-1] < 1e-9 else np.append(ages, self.duration_h)
        values = {name: np.full((len(through), n), np.nan) for name in self.variables}
        stopped: dict[int, Stop] = {}
        x, step, at = begun(reaction), None, 0.0
        amounts = reaction.amounts(x)
        for row, age in enumerate(through):
            for until in _moments(faults, at, float(age)):
                broken = depth(faults, "rnase", age_h=0.5 * (at + until), n=n) / LENGTH_OF_RNASE
                here = replace(reaction, kinetics=kinetics._replace(rnase=broken))
                x, step, _ = advanced(here, x, hours=until - at, step=step)
                at = until
            amounts = reaction.amounts(x)
            _put(values, row, amounts, s["length"])
            gone = outside({name: series[row] for name, series in values.items()}, self.variables, n=n, slack=-1e3 * BELOW_NOUGHT) | _left(amounts)
            stopped |= {batch: Stop(float(age), why) for batch, why in sorted(gone.items()) if batch not in stopped}
            for series in values.values():
                series[row, list(stopped)] = np.nan
        quality = judged(_quality(c, s, size, amounts), self.qualities, stopped, age_h=self.duration_h)
        return Outcome(ages, {name: each[: len(ages)] for name, each in values.items()}, quality, stopped)


MRNA = Mrna()


def _whole(faults: Sequence[Fault], name: str, n: int) -> Floats:
    """The size of a fault that is there for the whole batch."""
    out = np.zeros(n)
    for each in faults:
        if each.name == name:
            struck = np.ones(n, dtype=bool) if each.batches is None else each.batches
            out = np.where(struck & (np.abs(each.size) > np.abs(out)), each.size, out)
    return out


def _mixture(c: Mapping[str, Floats], s: Mapping[str, Floats], size: Mapping[str, Floats]) -> Mixture:
    strength = 1e-3 * s["nucleotides"] * c["nucleotide_strength"]
    return Mixture(
        polymerase_nm=s["polymerase"] * c["polymerase_activity"] * (1.0 - size["polymerase_is_short"]),
        template_nm=s["template"] * c["template_quality"] * (1.0 - size["template_is_short"]),
        ntp=(strength, strength * (1.0 - size["nucleotide_is_short"]), strength.copy(), strength.copy()),
        bases=(0.25 * s["length"],) * 4,
        magnesium=1e-3 * s["magnesium"] * c["magnesium_strength"] * (1.0 + size["magnesium_is_off"]),
        buffer=np.full_like(strength, 0.040),
        ph=s["ph"],
        pyrophosphatase=s["pyrophosphatase"] * (1.0 - size["no_pyrophosphatase"]),
    )


def _kinetics(c: Mapping[str, Floats], s: Mapping[str, Floats]) -> Kinetics:
    given = {name: c[name] for name in Kinetics._fields if name in c}
    faster = np.exp(np.log(2.0) * (s["temperature"] - 37.0) / 10.0)  # illustrative: twice for 10 degC
    given["initiation"], given["elongation"] = c["initiation"] * faster, c["elongation"] * faster
    given["hydrolysis"] = c["hydrolysis"] * hydrolysis_factor(s["temperature"], beside=37.0)
    return Kinetics(**given)


def _moments(faults: Sequence[Fault], start: float, end: float) -> list[float]:
    """Where the equations change between two ages, and the second of them; a fault that rises is followed in small steps."""
    if end <= start:
        return []
    edges = {end}
    for each in faults:
        if each.name == "rnase":
            edges |= {at for at in (each.start_h, each.start_h + each.duration_h) if start < at < end}
            if each.gradual:
                edges |= set(np.linspace(start, end, 5)[1:].tolist())
    return sorted(edges)


def _left(amounts: Amounts) -> dict[int, str]:
    """Batches of which a concentration is none, and which."""
    found: dict[int, str] = {}
    held: list[tuple[str, Any]] = [("RNA", amounts.rna), ("whole RNA", amounts.whole), ("dissolved magnesium", amounts.magnesium)]
    held += [("pyrophosphate", amounts.pyrophosphate), ("phosphate", amounts.phosphate), ("precipitate", amounts.solid)]
    held += list(zip(_RANGE_OF_BASES, amounts.ntp, strict=True))
    for name, values in held:
        wrong = ~(values >= BELOW_NOUGHT)  # NaN is caught with the rest
        for batch in np.flatnonzero(wrong).tolist():
            found.setdefault(batch, f"{name} at {values[batch]:g} M: a concentration is a number that is not negative")
    return found


def _put(values: dict[str, Floats], row: int, amounts: Amounts, length: Floats) -> None:
    shown: dict[str, Any] = {
        "rna": amounts.rna * length * GRAMS_PER_NT,
        "integrity": 100.0 * np.where(amounts.rna > 1e-12, amounts.whole / np.maximum(amounts.rna, 1e-12), 1.0),
        **{name.lower(): 1e3 * have for name, have in zip(_RANGE_OF_BASES, amounts.ntp, strict=True)},
        "pyrophosphate": 1e3 * amounts.pyrophosphate,
        "phosphate": 1e3 * amounts.phosphate,
        "precipitate": 1e3 * amounts.solid,
        "magnesium": 1e3 * amounts.magnesium,
        "free_magnesium": 1e3 * amounts.free_magnesium,
        "template": amounts.template_nm,
        "ph": amounts.ph,
    }
    for name, series in shown.items():
        values[name][row] = series


def _quality(c: Mapping[str, Floats], s: Mapping[str, Floats], size: Mapping[str, Floats], amounts: Amounts) -> dict[str, Floats]:
    grams = amounts.rna * s["length"] * GRAMS_PER_NT
    kept, whole = captured(amounts.rna, amounts.whole, recovery=c["capture_recovery"])
    share = whole / np.maximum(kept, 1e-15)
    clog = size["lnp_flow_falls"]
    flow = s["mixing_flow"] * (1.0 - clog)
    polymerase = s["polymerase"] * c["polymerase_activity"] * (1.0 - size["polymerase_is_short"])
    template = s["template"] * c["template_quality"] * (1.0 - size["template_is_short"])
    made = particles(
        flow_ml_min=flow,
        flow_ratio=s["flow_ratio"] * (1.0 + size["lnp_flow_ratio_is_wrong"]),
        lipid_mm=s["lipid"],
        n_to_p=s["n_to_p"],
        ph=s["mixing_ph"] + size["lnp_buffer_ph_is_off"],
        clog=clog,
        dilution_min=s["dilution_delay"] + size["dilution_is_late"],
        thawed_bare=s["thaws"] * (1.0 - s["cryoprotectant"]),
        base_nm=c["particle_base"],
        base_pdi=c["dispersity_base"],
    )
    return {
        "rna_yield": grams,
        "drug_substance": kept * s["length"] * GRAMS_PER_NT,
        "integrity": 100.0 * share,
        "cap": capped(s["cap_to_gtp"], power=c["cap_power"]),
        "poly_a": polyadenylated(share),
        "dsrna": 0.5 * double_stranded(polymerase, template, celsius=s["temperature"], base=c["double_stranded_base"]),  # capture halves it
        "residual_dna": residual_dna(template, grams, length=s["length"], left=c["dna_left"]),
        "residual_nucleotides": 100.0 * washed(s["wash_volumes"], sieving=c["sieving"]),
        "size": made.size_nm,
        "pdi": made.pdi,
        "encapsulation": made.encapsulation,
        "mixing_pressure": lane_pressure(flow, clog=clog),
        "product_integrity": 100.0 * kept_whole(share, days=s["storage_days"], celsius=s["storage_temperature"], at_5c=c["decay_at_5c"]),
    }
