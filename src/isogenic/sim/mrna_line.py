"""A line for messenger RNA that does not exist: a transcription reactor, a purification skid, a mixing skid, one batch through them.

    charge -> transcribe -> digest        module REACTOR
    capture -> diafilter                  module PURIFICATION
    mix -> dilute                         module MIXING

The reaction is that of `processes.ivt`, followed by the clock: it goes on while its service is held or after it has
completed, until the template is digested, as a real one does. What is not there cannot be worked on: a service without
its material aborts itself. Faults are the mechanisms of `processes.mrna`, by name and size; they may come and go while
the line runs (`faults`).

Guarantees: the same faults and orders at the same times give the same line. Illustrative but for the reaction.
Leaves to others: the wire (pea_server), instruments.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from isogenic.errors import NotValid
from isogenic.plant.classes import MIXING_SKID, PURIFICATION_SKID, TRANSCRIPTION_REACTOR
from isogenic.plant.mtp.states import Command, ServiceState
from isogenic.sim.faults.modules import DeviceFault, catalogued, checked_size
from isogenic.sim.pea import Behaviour, Mode, Pea, PeaDefinition, Run, Source, definition_of
from isogenic.sim.processes.ivt import Kinetics, Mixture, Reaction, advanced, begun, reaction_of
from isogenic.sim.processes.mrna import LENGTH_OF_RNASE, MRNA
from isogenic.sim.processes.mrna_quality import GRAMS_PER_NT, captured, hydrolysis_factor, lane_pressure, particles, washed
from isogenic.sim.processes.rosenbrock import Failed

__all__ = ["MIXING", "PURIFICATION", "REACTOR", "MrnaLine"]

REACTOR = definition_of(TRANSCRIPTION_REACTOR, name="REACTOR")
PURIFICATION = definition_of(PURIFICATION_SKID, name="PURIFICATION")
MIXING = definition_of(MIXING_SKID, name="MIXING")

LENGTH = 4000.0  # nt of the product
CHARGING_S = 600.0
WARMING_H = 0.05  # first-order approach to the set-point
FILTERED = 0.97  # kept by a diafiltration
AQUEOUS_G_L = 0.1  # RNA in the aqueous stream
MINUTE, HOUR = 60.0, 3600.0
COLUMN_BAR, ROOM_C = 1.5, 22.0


class MrnaLine:
    """One batch on three modules."""

    def __init__(self, *, faults: Mapping[str, float] | None = None) -> None:
        """`faults`: mechanisms of the process by name, each with its size."""
        self.faults: dict[str, float] = {}
        for name, size in (faults or {}).items():
            self.strike(name, size)
        self.reaction: Reaction | None = None
        self.state: list[float] = []
        self.step: float | None = None
        self.volume_ml, self.celsius = 0.0, ROOM_C
        self.followed: datetime | None = None
        self.running = False
        self.rna_mg = self.whole_mg = self.charged_mg = 0.0  # in the pool
        self.product_ml = 0.0
        self.mixed_at: datetime | None = None
        self.last_mix: dict[str, float] = {}
        self.reactor = _pea(REACTOR, {"charge": _Charge(self), "transcribe": _Transcribe(self), "digest": _Digest(self)})
        self.purification = _pea(PURIFICATION, {"capture": _Capture(self), "diafilter": _Diafilter(self)})
        self.mixing = _pea(MIXING, {"mix": _Mix(self), "dilute": _Dilute(self)})
        self.reactor.put("temperature_sp.VOut", 37.0)
        self.reactor.show("temperature_sp", 37.0)
        self.mixing.show("mixing_ph", 7.0)  # of the water that stands in the lane
        for pea in (self.reactor, self.purification, self.mixing):
            self.show(pea)

    @property
    def kinds(self) -> Mapping[str, DeviceFault]:
        """What can go wrong with it."""
        return catalogued(MRNA.faults, MRNA.name)

    def strike(self, name: str, size: float) -> None:
        """A fault begins; at 0 it is over."""
        checked_size(self.kinds, name, size)
        self.faults[name] = size

    def fault(self, name: str) -> float:
        """How large a fault is now."""
        return self.faults.get(name, 0.0)

    # ---- the reactor ----

    def charge(self, given: Mapping[str, object]) -> None:
        """A fresh mixture; what was in the reactor is gone."""
        value = {name: float(str(each)) for name, each in given.items()}
        ntp, less = 1e-3 * value["nucleotides"], 1.0 - self.fault("nucleotide_is_short")
        mixture = Mixture(
            polymerase_nm=value["polymerase"] * (1.0 - self.fault("polymerase_is_short")),
            template_nm=value["template"] * (1.0 - self.fault("template_is_short")),
            ntp=(ntp, ntp * less, ntp, ntp),
            bases=(0.25 * LENGTH,) * 4,
            magnesium=1e-3 * value["magnesium_acetate"] * (1.0 + self.fault("magnesium_is_off")),
            pyrophosphatase=value["pyrophosphatase"] * (1.0 - self.fault("no_pyrophosphatase")),
        )
        self.reaction = reaction_of(mixture)
        self.state, self.step, self.volume_ml = begun(self.reaction), None, value["volume"]

    def follow(self, at: datetime | None) -> None:
        """Temperature and reaction go on to this moment."""
        if at is None or self.followed is None:
            self.followed = at
            return
        hours = (at - self.followed).total_seconds() / HOUR
        self.followed = at
        if hours <= 0.0:
            return
        wanted = float(self.reactor.asked("temperature_sp"))
        self.celsius = wanted + (self.celsius - wanted) * math.exp(-hours / WARMING_H)
        if self.running and self.reaction is not None:
            faster = math.exp(math.log(2.0) * (self.celsius - 37.0) / 10.0)
            usual = Kinetics()
            here = usual._replace(
                initiation=usual.initiation * faster,
                elongation=usual.elongation * faster,
                hydrolysis=usual.hydrolysis * float(hydrolysis_factor(self.celsius, beside=37.0)),
                rnase=self.fault("rnase") / LENGTH_OF_RNASE,
            )
            try:
                self.state, self.step, _ = advanced(replace(self.reaction, kinetics=here), self.state, hours=hours, step=self.step)
            except Failed as trouble:  # a mixture that no model can carry on: the reactor stops, and says so by its state
                self.running, self.reaction = False, None
                self.reactor.decide("transcribe", Command.ABORT)
                self.reactor.decide("digest", Command.ABORT)
                raise NotValid("cannot go on with the transcription", why=str(trouble)) from trouble

    # ---- what the modules show ----

    def show(self, pea: Pea) -> None:
        """What the instruments of one module say now; the others keep what they said."""
        shown = self._of_reactor() if pea is self.reactor else self._of_pool() if pea is self.purification else self._of_mixing()
        for name, value in shown.items():
            pea.show(name, float(value))

    def _of_reactor(self) -> dict[str, float]:
        shown = {"temperature": self.celsius, "reaction_volume": self.volume_ml}
        if self.reaction is None:
            nothing = ("rna", "atp", "utp", "ctp", "gtp", "pyrophosphate", "magnesium", "precipitate")
            return shown | dict.fromkeys(nothing, 0.0) | {"ph": 7.0, "integrity": 100.0}
        now = self.reaction.amounts(self.state)
        shown |= {name: 1e3 * each for name, each in zip(("atp", "utp", "ctp", "gtp"), now.ntp, strict=True)}
        shown |= {"rna": now.rna * LENGTH * GRAMS_PER_NT, "ph": now.ph, "integrity": 100.0 * now.whole / now.rna if now.rna > 1e-12 else 100.0}
        return shown | {"pyrophosphate": 1e3 * now.pyrophosphate, "magnesium": 1e3 * now.magnesium, "precipitate": 1e3 * now.solid}

    def _of_pool(self) -> dict[str, float]:
        if not self.rna_mg:
            return dict.fromkeys(("pool_volume", "pool_rna", "pool_integrity", "recovery"), 0.0)
        shown = {"pool_volume": self.volume_ml, "pool_rna": self.rna_mg / self.volume_ml}
        return shown | {"pool_integrity": 100.0 * self.whole_mg / self.rna_mg, "recovery": 100.0 * self.rna_mg / self.charged_mg}

    def _of_mixing(self) -> dict[str, float]:
        return {"rna_to_mix": self.rna_mg, "product_volume": self.product_ml}

    def show_particles(self, late_min: float) -> None:
        """What light scattering says of the particles that were mixed."""
        made = particles(**self.last_mix, dilution_min=late_min)
        self.mixing.show("particle_size", float(made.size_nm))
        self.mixing.show("polydispersity", float(made.pdi))
        self.mixing.show("encapsulation", float(made.encapsulation))


def _pea(definition: PeaDefinition, works: Mapping[str, Behaviour]) -> Pea:
    return Pea(definition, works, mode=Mode.AUTOMATIC, source=Source.EXTERNAL)


@dataclass(slots=True)
class _Step(Behaviour):
    """A service that needs something, lasts a time, and then has done its work."""

    of: MrnaLine

    def needs(self) -> bool:
        """Whether its material is there."""
        return True

    def seconds(self, run: Run) -> float:
        """How long it takes."""
        return float(run.parameters["minutes"]) * MINUTE

    def during(self, run: Run, seconds: float) -> None:
        """What it does meanwhile."""

    def work(self, run: Run) -> None:
        """What it has done."""

    def going(self, run: Run, seconds: float) -> bool:
        """Without its material it aborts; once its time is over its work counts."""
        if run.pea is self.of.reactor:
            self.of.follow(run.pea.at)
        if run.state is not ServiceState.EXECUTE:
            return True
        if run.memory.get("done"):
            return True
        if not self.needs():
            run.command(Command.ABORT)
            return False
        self.during(run, seconds)
        if run.executed >= self.seconds(run):
            run.memory["done"] = True
            self.work(run)
        self.of.show(run.pea)
        return bool(run.memory.get("done"))


class _Charge(_Step):
    """Everything is put together."""

    def seconds(self, run: Run) -> float:
        return CHARGING_S

    def work(self, run: Run) -> None:
        self.of.charge(run.parameters)


class _Transcribe(_Step):
    """The polymerase is let go; it does not stop by itself."""

    def needs(self) -> bool:
        return self.of.reaction is not None

    def during(self, run: Run, seconds: float) -> None:
        if not self.of.running:
            self.of.running = True
            self.of.followed = run.pea.at


class _Digest(_Step):
    """The template goes, and with it the reaction; what was made is a pool."""

    def needs(self) -> bool:
        return self.of.reaction is not None

    def work(self, run: Run) -> None:
        of = self.of
        if of.reaction is None:
            return
        of.running = False
        now = of.reaction.amounts(of.state)
        of.rna_mg, of.whole_mg = (each * LENGTH * GRAMS_PER_NT * of.volume_ml for each in (now.rna, now.whole))
        of.charged_mg = of.rna_mg


class _Capture(_Step):
    """Tails hold on to the column; broken RNA has lost its tail the more often."""

    def needs(self) -> bool:
        return self.of.rna_mg > 0.0

    def during(self, run: Run, seconds: float) -> None:
        run.pea.show("column_pressure", COLUMN_BAR)

    def work(self, run: Run) -> None:
        kept, whole = captured(self.of.rna_mg, self.of.whole_mg)
        self.of.rna_mg, self.of.whole_mg = float(kept), float(whole)
        run.pea.show("column_pressure", 0.0)


class _Diafilter(_Step):
    """Small solutes are washed out by volumes."""

    def needs(self) -> bool:
        return self.of.rna_mg > 0.0

    def work(self, run: Run) -> None:
        run.pea.show("residual_nucleotides", float(100.0 * washed(float(run.parameters["volumes"]))))
        self.of.rna_mg *= FILTERED
        self.of.whole_mg *= FILTERED


class _Mix(_Step):
    """Two streams meet; it lasts until the RNA is used."""

    def needs(self) -> bool:
        return self.of.rna_mg > 0.0

    def _aqueous(self, run: Run) -> float:
        """mL/min of the stream with RNA."""
        ratio = float(run.parameters["ratio"]) * (1.0 + self.of.fault("lnp_flow_ratio_is_wrong"))
        return float(run.parameters["flow"]) * (1.0 - self.of.fault("lnp_flow_falls")) * ratio / (1.0 + ratio)

    def seconds(self, run: Run) -> float:
        left: float = run.memory.get("left_mg", 1.0)
        return 0.0 if left <= 0.0 else math.inf

    def during(self, run: Run, seconds: float) -> None:
        of, clog = self.of, self.of.fault("lnp_flow_falls")
        flow = float(run.parameters["flow"]) * (1.0 - clog)
        ratio = float(run.parameters["ratio"]) * (1.0 + of.fault("lnp_flow_ratio_is_wrong"))
        ph = float(run.parameters["buffer_ph"]) + of.fault("lnp_buffer_ph_is_off")
        if "left_mg" not in run.memory:
            run.memory["left_mg"], of.product_ml = of.rna_mg, 0.0
        left: float = run.memory["left_mg"]
        used = min(left, self._aqueous(run) * seconds / MINUTE * AQUEOUS_G_L)
        run.memory["left_mg"] = left - used if left - used > 1e-9 * of.rna_mg else 0.0
        of.product_ml += used / AQUEOUS_G_L * (1.0 + ratio) / ratio
        of.last_mix = {
            "flow_ml_min": flow,
            "flow_ratio": ratio,
            "lipid_mm": float(run.parameters["lipid"]),
            "n_to_p": float(run.parameters["n_to_p"]),
            "ph": ph,
            "clog": clog,
        }
        for name, value in (
            ("mixing_flow", flow),
            ("flow_ratio", ratio),
            ("mixing_ph", ph),
            ("mixing_pressure", float(lane_pressure(flow, clog=clog))),
        ):
            run.pea.show(name, value)
        of.show_particles(0.0)

    def work(self, run: Run) -> None:
        self.of.rna_mg = self.of.whole_mg = 0.0
        self.of.mixed_at = run.pea.at
        for name in ("mixing_flow", "mixing_pressure"):
            run.pea.show(name, 0.0)


class _Dilute(_Step):
    """The ethanol is diluted, before the particles grow."""

    def needs(self) -> bool:
        return bool(self.of.last_mix) and self.of.mixed_at is not None

    def work(self, run: Run) -> None:
        of, at = self.of, run.pea.at
        waited = (at - of.mixed_at).total_seconds() / MINUTE if at is not None and of.mixed_at is not None else 0.0
        of.show_particles(waited + of.fault("dilution_is_late"))
        of.product_ml *= float(run.parameters["fold"])
