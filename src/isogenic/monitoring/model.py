"""The reference model as it is released: frozen, with a digest that every record it touches carries.

The bytes are one line naming the format and its version, one line of canonical JSON, the
arrays as little-endian float64, and the SHA-256 of all that. The *digest* of a model is the
SHA-256 of its whole file, so any tool can check it.

Guarantees: the same model gives the same bytes; bytes that were altered anywhere are
refused (`NotTrusted`), bytes of an unknown version or that make no sense are `NotValid`.
A model never learns: nothing here changes it.
Leaves to others: who may release a model, and where it is kept.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field

import numpy as np

from isogenic.errors import NotAllowed, NotFound, NotTrusted, NotValid
from isogenic.monitoring.alignment import GRID_MAX, Grid
from isogenic.monitoring.structure import KNOTS_MAX, Structure
from isogenic.monitoring.tables import VALUE_MAX, Floats, Variable
from isogenic.monitoring.watch import Watch
from isogenic.records import codec

__all__ = ["Calibration", "Model", "reference_band"]

FORMAT = b"isogenic reference model "
VERSION = 1
DIGEST_BYTES = 32
VARIABLES_MAX = 500
BAND = 1.959963984540054  # standard deviations: 95 % of a normal distribution


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the limits were set: on batches that were left out of the fit in turn."""

    batches: tuple[str, ...]
    groups: int  # how many times some were left out
    false_alarms: float  # share of good batches with any alarm that was asked for
    consecutive: int  # samples over a limit that make an alarm
    factor: float  # by which the limits' shape was raised to get there
    share: float  # of the left-out batches that would have alarmed under these limits


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A reference model: the structure of good batches and the limits around it. Limits: float64[points]."""

    name: str
    product: str
    variables: tuple[Variable, ...]
    maturity_unit: str
    structure: Structure
    t2_limit: Floats
    spe_limit: Floats
    calibration: Calibration
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        for array in (*_arrays(self),):
            array.flags.writeable = False
        object.__setattr__(self, "digest", hashlib.sha256(self.to_bytes()).hexdigest())

    def watch(self, *, product: str | None = None) -> Watch:
        """The state before the first reading of a batch. Give the `product`, and a model of another one is refused."""
        if product is not None and product != self.product:
            raise NotAllowed(f"cannot watch a batch of {product} with {self.name}", why=f"the model was released for {self.product}")
        return Watch(model=self.digest)

    def column(self, variable: str) -> int:
        """Where a variable stands in `values`."""
        for column, each in enumerate(self.variables):
            if each.name == variable:
                return column
        raise NotFound(f"{self.name} has no variable {variable[:60]}", possible=", ".join(each.name for each in self.variables))

    def to_bytes(self) -> bytes:
        """The model's file."""
        header = _Header(
            name=self.name,
            product=self.product,
            variables=self.variables,
            maturity_unit=self.maturity_unit,
            grid=self.structure.grid,
            components=self.structure.components,
            knots=self.structure.knots,
            calibration=self.calibration,
        )
        body = b"".join(np.ascontiguousarray(array, dtype="<f8").tobytes() for array in _arrays(self))
        data = FORMAT + str(VERSION).encode() + b"\n" + codec.dumps(codec.plain(header)) + b"\n" + body
        return data + hashlib.sha256(data).digest()

    @classmethod
    def from_bytes(cls, data: bytes, *, digest: str | None = None) -> Model:
        """Read a model's file. With a `digest` (from a record), it must be that very model."""
        if len(data) <= DIGEST_BYTES:
            raise NotValid("cannot read a reference model", why="the bytes are not one")
        if hashlib.sha256(data[:-DIGEST_BYTES]).digest() != data[-DIGEST_BYTES:]:
            raise NotTrusted(
                "cannot use this reference model", why="its bytes were altered or cut short, or never were one", possible="fetch it again"
            )
        if digest is not None and hashlib.sha256(data).hexdigest() != digest:
            raise NotTrusted("cannot use this reference model", why=f"it is not the one with digest {digest[:16]}")
        return _parsed(data[:-DIGEST_BYTES])


@dataclass(frozen=True, slots=True)
class _Header:
    name: str
    product: str
    variables: tuple[Variable, ...]
    maturity_unit: str
    grid: Grid
    components: int
    knots: int
    calibration: Calibration


def _arrays(model: Model) -> tuple[Floats, ...]:
    inner = model.structure
    return inner.mean, inner.scale, inner.directions, inner.spread, model.t2_limit, model.spe_limit


def _parsed(data: bytes) -> Model:
    what = "cannot read a reference model"
    first, _, rest = data.partition(b"\n")
    if not first.startswith(FORMAT):
        raise NotValid(what, why="the bytes are not one")
    if first != FORMAT + str(VERSION).encode():
        raise NotValid(what, why=f"version {first[len(FORMAT) :][:20]!r} is not known", possible=f"version {VERSION}")
    text, _, body = rest.partition(b"\n")
    header = codec.read(_Header, codec.loads(text, what="a reference model"), what="model")
    p, points, knots = len(header.variables), header.grid.points, header.knots
    if not (2 <= p <= VARIABLES_MAX and 2 <= points <= GRID_MAX and 1 <= knots <= min(points, KNOTS_MAX) and 1 <= header.components < p):
        raise NotValid(what, why="its sizes make no sense")
    reach = max(abs(header.grid.first), header.grid.step * points)
    if not (header.grid.step > 0 and reach < VALUE_MAX and header.calibration.consecutive >= 1):
        raise NotValid(what, why="its grid or its alarm rule makes no sense")
    shapes = ((points, p), (points, p), (knots, p, p), (knots, p), (points,), (points,))
    if len(body) != 8 * sum(math.prod(shape) for shape in shapes):
        raise NotValid(what, why="its arrays are of another size than it says")
    flat = np.frombuffer(body, dtype="<f8").astype(np.float64)
    arrays, start = [], 0
    for shape in shapes:
        arrays.append(flat[start : start + math.prod(shape)].reshape(shape))
        start += math.prod(shape)
    mean, scale, directions, spread, t2_limit, spe_limit = arrays
    if not np.isfinite(flat).all() or min(each.min() for each in (scale, spread, t2_limit, spe_limit)) <= 0:
        raise NotValid(what, why="a scale or a limit is not above 0, or a number is not finite")
    structure = Structure(header.grid, header.components, mean, scale, directions, spread)
    return Model(header.name, header.product, header.variables, header.maturity_unit, structure, t2_limit, spe_limit, header.calibration)


def reference_band(model: Model, variable: str) -> tuple[Floats, Floats, Floats, Floats]:
    """Maturity, mean, low and high of a variable for trend screens: about 95 % of good batches lie between low and high."""
    column = model.column(variable)
    mean, scale = model.structure.mean[:, column], model.structure.scale[:, column]
    return model.structure.grid.maturity(), mean, mean - BAND * scale, mean + BAND * scale
