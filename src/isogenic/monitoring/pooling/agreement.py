"""The agreement: what all sites must do alike so that their sums add up.

The variables with their units, the grid of maturity, a centre and a scale near to normal at each grid
point, the stated share of false alarms. The control site draws it up, often from the model that
is released now; sites refuse sums under an agreement that is not the one on record (its digest).
The centre costs no information, it only keeps digits: any centre gives the same model.

Guarantees: the same agreement gives the same bytes and digest; altered bytes are refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from isogenic.errors import NotValid
from isogenic.monitoring.alignment import GRID_MAX, Grid
from isogenic.monitoring.model import Model
from isogenic.monitoring.pooling.parcel import packed, unpacked
from isogenic.monitoring.tables import Floats, Variable

__all__ = ["Agreement", "agree_on"]

FORM = "agreement on sums"
VARIABLES_MAX = 500


@dataclass(frozen=True, slots=True)
class _Header:
    name: str
    product: str
    variables: tuple[Variable, ...]
    maturity_unit: str
    grid: Grid
    false_alarms: float
    consecutive: int


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """`centre`, `scale`: float64[points, p]."""

    name: str
    product: str
    variables: tuple[Variable, ...]
    maturity_unit: str
    grid: Grid
    false_alarms: float
    consecutive: int
    centre: Floats
    scale: Floats
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        shape = (self.grid.points, len(self.variables))
        if self.centre.shape != shape or self.scale.shape != shape or not (np.isfinite(self.centre).all() and (self.scale > 0).all()):
            raise NotValid("cannot agree on sums", why=f"centre and scale must be finite, the scale above 0, both of shape {shape}")
        if not 0.0 < self.false_alarms < 1.0 or self.consecutive < 1:
            raise NotValid("cannot agree on sums", why="the share of false alarms lies between 0 and 1, and an alarm needs 1 sample or more")
        object.__setattr__(self, "digest", hashlib.sha256(self.to_bytes()).hexdigest())

    def to_bytes(self) -> bytes:
        """The agreement's file."""
        header = _Header(self.name, self.product, self.variables, self.maturity_unit, self.grid, self.false_alarms, self.consecutive)
        return packed(FORM, header, (self.centre, self.scale))

    @classmethod
    def from_bytes(cls, data: bytes) -> Agreement:
        """Read an agreement."""
        header, (centre, scale) = unpacked(data, FORM, _Header, _shapes)
        return cls(
            header.name, header.product, header.variables, header.maturity_unit, header.grid, header.false_alarms, header.consecutive, centre, scale
        )


def agree_on(model: Model, *, name: str | None = None) -> Agreement:
    """The agreement under which the released model's successor is learnt: its variables, grid and alarm rule, about its mean."""
    if model.continuous:
        raise NotValid("cannot agree on sums", why=f"{model.name} is of a continuous process")
    inner, rule = model.structure, model.calibration
    return Agreement(
        model.name if name is None else name,
        model.product,
        model.variables,
        model.maturity_unit,
        inner.grid,
        rule.false_alarms,
        rule.consecutive,
        inner.mean.copy(),
        inner.scale.copy(),
    )


def _shapes(header: _Header) -> Sequence[tuple[int, ...]]:
    p, points = len(header.variables), header.grid.points
    if not (2 <= p <= VARIABLES_MAX and 1 <= points <= GRID_MAX and header.grid.step > 0):
        raise NotValid(f"cannot read {FORM}", why="its sizes make no sense")
    return ((points, p), (points, p))
