"""The forecast model as it is released: frozen, with a digest that whatever it says carries.

The bytes are one line naming the format and its version, one line of canonical JSON, the arrays
as little-endian float64, and the SHA-256 of all that. The *digest* is the SHA-256 of the file.

Guarantees: the same model gives the same bytes; altered bytes are refused (`NotTrusted`), bytes
of an unknown version or that make no sense are `NotValid`. A model never learns.
Leaves to others: fitting, following a running batch, who may release a model.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field

import numpy as np

from isogenic.errors import NotAllowed, NotFound, NotTrusted, NotValid
from isogenic.monitoring.alignment import Grid
from isogenic.monitoring.forecasting.unfolding import Plane, Scaling
from isogenic.monitoring.tables import VALUE_MAX, Floats, Variable
from isogenic.records import codec

__all__ = ["BINS_MAX", "COMPONENTS_MAX", "Forecaster", "Validation"]

FORMAT, VERSION, DIGEST_BYTES = b"isogenic batch forecast ", 1, 32
VARIABLES_MAX, QUALITIES_MAX, BINS_MAX, COMPONENTS_MAX = 500, 100, 120, 40


@dataclass(frozen=True, slots=True)
class Validation:
    """What batches that were left out in turn said of the forecast."""

    batches: tuple[str, ...]
    groups: int  # how many times some were left out
    coverage: float  # the share of batches whose quality is to lie in its interval
    unfolding: str  # "PLS" or "PCA"
    covered: tuple[float, ...]  # of the left-out batches, for each quality, over all bins
    error_first: tuple[float, ...]  # root mean square error before the first reading, for each quality
    error_last: tuple[float, ...]  # and after the last
    unlike: float = 0.05  # share of such batches that may be called unlike the others, at any bin
    share: float = 0.0  # of the left-out batches that would have been


@dataclass(frozen=True, slots=True, eq=False)
class Forecaster:
    """What a running batch lets expect of its end. `k` counts bins that were passed, 0 to bins.

    `level`: float64[bins + 1, q], expected quality of a usual batch; `answers`: float64[bins + 1, r + p, q], from features;
    `centre`: float64[bins + 1, r + p], of the features; `doubt`: float64[bins + 1, r + p, r + p], their leverage;
    `half`: float64[bins + 1, q], half the interval in units of sqrt(1 + leverage); `unlike`: float64[bins + 1], the leverage beyond
    which a batch is unlike those it was fitted on;
    `fade`: float64[p], how a variable's own departure fades from bin to bin; `error`: float64[bins + 1, bins, p], root mean
    square error of a trajectory forecast, scaled; `reach`: float64[p], how many of them the interval takes.
    """

    name: str
    product: str
    variables: tuple[Variable, ...]
    qualities: tuple[Variable, ...]
    maturity_unit: str
    grid: Grid
    scaling: Scaling
    plane: Plane
    level: Floats
    answers: Floats
    centre: Floats
    doubt: Floats
    half: Floats
    unlike: Floats
    fade: Floats
    error: Floats
    reach: Floats
    validation: Validation
    spreads: Floats = field(init=False)  # float64[bins + 1, r, r]
    told: Floats = field(init=False)  # share of the scores' variance that a batch without gaps has told: float64[bins + 1]
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        for array in _arrays(self):
            array.flags.writeable = False
        object.__setattr__(self, "spreads", self.plane.spreads())
        object.__setattr__(self, "told", self.known(self.spreads))
        object.__setattr__(self, "digest", hashlib.sha256(self.to_bytes()).hexdigest())

    @property
    def bins(self) -> int:
        """How many bins of maturity there are."""
        return self.grid.points

    def known(self, spreads: Floats) -> Floats:
        """The share of the scores' variance that is no longer open: float64[...]."""
        share: Floats = 1.0 - (np.diagonal(spreads, axis1=-2, axis2=-1) / self.plane.prior).mean(axis=-1)
        return share

    def column(self, variable: str) -> int:
        """Where a variable stands in `values`."""
        return _at(self.variables, variable, self.name)

    def check_product(self, product: str | None) -> None:
        """A model of another product is refused."""
        if product is not None and product != self.product:
            raise NotAllowed(f"cannot follow a batch of {product} with {self.name}", why=f"the model was released for {self.product}")

    def to_bytes(self) -> bytes:
        """The model's file."""
        header = _Header(
            self.name, self.product, self.variables, self.qualities, self.maturity_unit, self.grid, self.plane.components, self.validation
        )
        body = b"".join(np.ascontiguousarray(array, dtype="<f8").tobytes() for array in _arrays(self))
        data = FORMAT + str(VERSION).encode() + b"\n" + codec.dumps(codec.plain(header)) + b"\n" + body
        return data + hashlib.sha256(data).digest()

    @classmethod
    def from_bytes(cls, data: bytes, *, digest: str | None = None) -> Forecaster:
        """Read a model's file. With a `digest` (from a record), it must be that very model."""
        if len(data) <= DIGEST_BYTES:
            raise NotValid("cannot read a forecast model", why="the bytes are not one")
        if hashlib.sha256(data[:-DIGEST_BYTES]).digest() != data[-DIGEST_BYTES:]:
            raise NotTrusted(
                "cannot use this forecast model", why="its bytes were altered or cut short, or never were one", possible="fetch it again"
            )
        if digest is not None and hashlib.sha256(data).hexdigest() != digest:
            raise NotTrusted("cannot use this forecast model", why=f"it is not the one with digest {digest[:16]}")
        return _parsed(data[:-DIGEST_BYTES])


def _at(known: tuple[Variable, ...], name: str, model: str) -> int:
    for at, each in enumerate(known):
        if each.name == name:
            return at
    raise NotFound(f"{model} has no {name[:60]}", possible=", ".join(each.name for each in known))


@dataclass(frozen=True, slots=True)
class _Header:
    name: str
    product: str
    variables: tuple[Variable, ...]
    qualities: tuple[Variable, ...]
    maturity_unit: str
    grid: Grid
    components: int
    validation: Validation


def _arrays(model: Forecaster) -> tuple[Floats, ...]:
    return (
        model.scaling.mean,
        model.scaling.scale,
        model.plane.loadings,
        model.plane.prior,
        model.plane.noise,
        model.level,
        model.answers,
        model.centre,
        model.doubt,
        model.half,
        model.unlike,
        model.fade,
        model.error,
        model.reach,
    )


def _parsed(data: bytes) -> Forecaster:
    what = "cannot read a forecast model"
    first, _, rest = data.partition(b"\n")
    if not first.startswith(FORMAT):
        raise NotValid(what, why="the bytes are not one")
    if first != FORMAT + str(VERSION).encode():
        raise NotValid(what, why=f"version {first[len(FORMAT) :][:20]!r} is not known", possible=f"version {VERSION}")
    text, _, body = rest.partition(b"\n")
    header = codec.read(_Header, codec.loads(text, what="a forecast model"), what="model")
    p, q, bins, r, grid = len(header.variables), len(header.qualities), header.grid.points, header.components, header.grid
    if not (2 <= p <= VARIABLES_MAX and q <= QUALITIES_MAX and 2 <= bins <= BINS_MAX and 1 <= r <= COMPONENTS_MAX):
        raise NotValid(what, why="its sizes make no sense")
    if not (0 < grid.step < VALUE_MAX and max(abs(grid.first), grid.step * bins) < VALUE_MAX and 0.0 < header.validation.coverage < 1.0):
        raise NotValid(what, why="its grid or its coverage makes no sense")
    if not all(len(each) == q for each in (header.validation.covered, header.validation.error_first, header.validation.error_last)):
        raise NotValid(what, why="its validation is of other qualities")
    k, f = bins + 1, r + p
    shapes: tuple[tuple[int, ...], ...] = ((bins, p), (bins, p), (bins, p, r), (r,), (bins, p))
    shapes += ((k, q), (k, f, q), (k, f), (k, f, f), (k, q), (k,), (p,), (k, bins, p), (p,))
    if len(body) != 8 * sum(math.prod(shape) for shape in shapes):
        raise NotValid(what, why="its arrays are of another size than it says")
    flat = np.frombuffer(body, dtype="<f8").astype(np.float64)
    if not (np.isfinite(flat).all() and float(np.abs(flat).max()) < VALUE_MAX):
        raise NotValid(what, why="a number of it is not finite")
    arrays, start = [], 0
    for shape in shapes:
        arrays.append(flat[start : start + math.prod(shape)].reshape(shape).copy())
        start += math.prod(shape)
    mean, scale, loadings, prior, noise, level, answers, centre, doubt, half, unlike, fade, error, reach = arrays
    above = (scale, prior, noise, unlike, reach, half)
    if any(each.size and float(each.min()) <= 0 for each in above) or float(error.min()) < 0 or float(np.abs(fade).max()) > 1:
        raise NotValid(what, why="a scale, a variance or a width of it is not above 0")
    plane = Plane(loadings, prior, noise)
    return Forecaster(
        header.name,
        header.product,
        header.variables,
        header.qualities,
        header.maturity_unit,
        header.grid,
        Scaling(mean, scale),
        plane,
        level,
        answers,
        centre,
        doubt,
        half,
        unlike,
        fade,
        error,
        reach,
        header.validation,
    )
