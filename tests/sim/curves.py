"""Small processes whose answers are known: a line, a curve through published data, a rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from isogenic.sim.instruments import Instrument
from isogenic.sim.processes.process import Constant, Fault, Floats, Mark, Outcome, Setting, Variable, filled

Formula = Callable[[Floats, Mapping[str, Floats]], Floats]  # ages (T, 1) and constants (n,): (T, n)


@dataclass(frozen=True)
class Curve:
    """y as a formula of age and constants."""

    constants: Mapping[str, Constant]
    formula: Formula
    name: str = "curve"
    title: str = "A curve"
    duration_h: float = 10.0
    every_h: float = 1.0
    settings: Mapping[str, Setting] = field(default_factory=dict)
    variables: Mapping[str, Variable] = field(default_factory=lambda: {"y": Variable("y", "1", -1e9, 1e9, "what is read")})
    qualities: Mapping[str, Variable] = field(default_factory=dict)
    faults: Mapping[str, object] = field(default_factory=dict)

    def run(
        self,
        n: int,
        *,
        constants: Mapping[str, Floats] | None = None,
        settings: Mapping[str, Floats] | None = None,
        faults: Sequence[Fault] = (),
        every_h: float | None = None,
    ) -> Outcome:
        known = filled(self.constants, constants, n=n, what="constant") | filled(self.settings, settings, n=n, what="setting")
        every = every_h or self.every_h
        age = np.arange(int(self.duration_h / every + 1e-9) + 1) * every
        return Outcome(age, {"y": self.formula(age[:, None], known)}, {})


def constant(name: str, value: float) -> Constant:
    return Constant(name, value, "1", Mark.ILLUSTRATIVE)


def noise(sd: float) -> Mapping[str, Instrument]:
    return {"y": Instrument(noise=sd)}
