"""The reference model as it is released: frozen, with a digest that every record it touches carries.

The bytes are one line naming the format and its version, one line of canonical JSON, the
arrays as little-endian float64, and the SHA-256 of all that. The *digest* of a model is the
SHA-256 of its whole file, so any tool can check it. Version 1 holds a structure with limits of
T2 and SPE; version 2 holds the bank of statistics besides, version 3 how batches are placed, version
4 what good data say of each probe by itself. A file of an earlier version is still read, and written
again as it was, so that the digests on record stay right.

One model serves batches and continuous signals. A continuous process has no maturity: its
structure is the same everywhere, and its limit holds for each row instead of for each batch.

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
from isogenic.monitoring.bank.filters import Filters
from isogenic.monitoring.bank.statistics import Bank, names_of
from isogenic.monitoring.placing.model import Header as PlacingHeader
from isogenic.monitoring.placing.model import Placing, check_header, placing_from, shapes_of
from isogenic.monitoring.probes import ProbeLimits
from isogenic.monitoring.structure import KNOTS_MAX, Structure, halves
from isogenic.monitoring.tables import VALUE_MAX, Floats, Variable
from isogenic.monitoring.watch import Watch, begin
from isogenic.records import codec

__all__ = ["Calibration", "Model", "reference_band"]

FORMAT = b"isogenic reference model "
VERSIONS = (1, 2, 3, 4)  # without and with the bank, with a placing, and with probes
DIGEST_BYTES = 32
VARIABLES_MAX = 500
RATES_MAX = 8
BAND = 1.959963984540054  # standard deviations: 95 % of a normal distribution


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the limits were set: on batches that were left out of the fit in turn."""

    batches: tuple[str, ...]
    groups: int  # how many times some were left out
    false_alarms: float  # share of good batches with any alarm that was asked for; of rows, where the process is continuous
    consecutive: int  # samples over a limit that make an alarm
    factor: float  # by which the limits' shape was raised to get there; of a bank, its limit
    share: float  # of the left-out batches (rows) that would have alarmed under these limits


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
    bank: Bank | None = None
    continuous: bool = False
    placing: Placing | None = None  # without one, maturity is what the caller says
    probes: tuple[ProbeLimits, ...] = ()  # of each variable by itself; empty in files of versions before 4
    digest: str = field(init=False)
    halves: Floats = field(init=False)  # see structure.halves, at each knot: float64[knots, p, 2]

    def __post_init__(self) -> None:
        for array in (*_arrays(self),):
            array.flags.writeable = False
        inner = self.structure
        object.__setattr__(self, "halves", np.stack([halves(spread, inner.components) for spread in inner.spread]))
        object.__setattr__(self, "digest", hashlib.sha256(self.to_bytes()).hexdigest())

    def watch(self, *, units: int = 1, product: str | None = None) -> Watch:
        """The state of that many units before their first reading. Give the `product`, and a model of another one is refused."""
        if product is not None and product != self.product:
            raise NotAllowed(f"cannot watch a batch of {product} with {self.name}", why=f"the model was released for {self.product}")
        return begin(self, units)

    @property
    def statistics(self) -> tuple[str, ...]:
        """What the statistics behind a judgement are called."""
        return ("T2", "SPE") if self.bank is None else self.bank.names

    def column(self, variable: str) -> int:
        """Where a variable stands in `values`."""
        for column, each in enumerate(self.variables):
            if each.name == variable:
                return column
        raise NotFound(f"{self.name} has no variable {variable[:60]}", possible=", ".join(each.name for each in self.variables))

    def to_bytes(self) -> bytes:
        """The model's file."""
        version, header = _header(self)
        body = b"".join(np.ascontiguousarray(array, dtype="<f8").tobytes() for array in _arrays(self))
        data = FORMAT + str(version).encode() + b"\n" + codec.dumps(codec.plain(header)) + b"\n" + body
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


@dataclass(frozen=True, slots=True)
class _BankHeader:
    rates: tuple[float, ...]
    rows: int
    limit: float
    decides: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class _HeaderWithBank:
    name: str
    product: str
    variables: tuple[Variable, ...]
    maturity_unit: str
    grid: Grid
    components: int
    knots: int
    calibration: Calibration
    continuous: bool
    bank: _BankHeader


@dataclass(frozen=True, slots=True)
class _HeaderPlaced:
    name: str
    product: str
    variables: tuple[Variable, ...]
    maturity_unit: str
    grid: Grid
    components: int
    knots: int
    calibration: Calibration
    continuous: bool
    bank: _BankHeader | None
    placing: PlacingHeader


@dataclass(frozen=True, slots=True)
class _HeaderWithProbes:
    name: str
    product: str
    variables: tuple[Variable, ...]
    maturity_unit: str
    grid: Grid
    components: int
    knots: int
    calibration: Calibration
    continuous: bool
    bank: _BankHeader | None
    placing: PlacingHeader | None
    probes: tuple[ProbeLimits, ...]


_AnyHeader = _Header | _HeaderWithBank | _HeaderPlaced | _HeaderWithProbes
_HEADERS: dict[int, type[_AnyHeader]] = {1: _Header, 2: _HeaderWithBank, 3: _HeaderPlaced, 4: _HeaderWithProbes}


def _header(model: Model) -> tuple[int, _AnyHeader]:
    inner, bank = model.structure, model.bank
    common = (model.name, model.product, model.variables, model.maturity_unit, inner.grid, inner.components, inner.knots, model.calibration)
    of_bank = None
    if bank is not None:
        of_bank = _BankHeader(tuple(bank.filters.rates.tolist()), bank.filters.rows, bank.limit, tuple(bank.decides.tolist()))
    if model.probes:
        placing = None if model.placing is None else model.placing.header
        return 4, _HeaderWithProbes(*common, model.continuous, of_bank, placing, model.probes)
    if model.placing is not None:
        return 3, _HeaderPlaced(*common, model.continuous, of_bank, model.placing.header)
    return (1, _Header(*common)) if of_bank is None else (2, _HeaderWithBank(*common, model.continuous, of_bank))


def _arrays(model: Model) -> tuple[Floats, ...]:
    inner, bank = model.structure, model.bank
    both = (inner.mean, inner.scale, inner.directions, inner.spread, model.t2_limit, model.spe_limit)
    placed = () if model.placing is None else model.placing.arrays
    if bank is None:
        return (*both, *placed)
    return (
        *both,
        bank.filters.weights,
        bank.filters.leverage,
        bank.filters.precision,
        bank.filters.reach,
        bank.steadiness,
        bank.centre,
        bank.spread,
        bank.low,
        bank.slope,
        *placed,
    )


def _parsed(data: bytes) -> Model:
    what = "cannot read a reference model"
    first, _, rest = data.partition(b"\n")
    if not first.startswith(FORMAT):
        raise NotValid(what, why="the bytes are not one")
    known = {FORMAT + str(version).encode(): version for version in VERSIONS}
    if first not in known:
        raise NotValid(what, why=f"version {first[len(FORMAT) :][:20]!r} is not known", possible="version " + " or ".join(map(str, VERSIONS)))
    text, _, body = rest.partition(b"\n")
    plain = codec.loads(text, what="a reference model")
    header = codec.read(_HEADERS[known[first]], plain, what="model")
    p, points, knots = len(header.variables), header.grid.points, header.knots
    if not (2 <= p <= VARIABLES_MAX and 2 <= points <= GRID_MAX and 1 <= knots <= min(points, KNOTS_MAX) and 1 <= header.components < p):
        raise NotValid(what, why="its sizes make no sense")
    reach = max(abs(header.grid.first), header.grid.step * points)
    if not (header.grid.step > 0 and reach < VALUE_MAX and header.calibration.consecutive >= 1):
        raise NotValid(what, why="its grid or its alarm rule makes no sense")
    shapes: tuple[tuple[int, ...], ...] = ((points, p), (points, p), (knots, p, p), (knots, p), (points,), (points,))
    of_bank = None if isinstance(header, _Header) else header.bank
    if of_bank is not None:
        shapes += _shapes_of_bank(of_bank, p, what=what)
    before_placing = len(shapes)
    of_placing = header.placing if isinstance(header, _HeaderPlaced | _HeaderWithProbes) else None
    if of_placing is not None:
        check_header(of_placing, what=what)
        shapes += shapes_of(of_placing, p)
    if len(body) != 8 * sum(math.prod(shape) for shape in shapes):
        raise NotValid(what, why="its arrays are of another size than it says")
    flat = np.frombuffer(body, dtype="<f8").astype(np.float64)
    arrays, start = [], 0
    for shape in shapes:
        arrays.append(flat[start : start + math.prod(shape)].reshape(shape))
        start += math.prod(shape)
    mean, scale, directions, spread, t2_limit, spe_limit = arrays[:6]
    if not np.isfinite(flat).all() or min(each.min() for each in (scale, spread, t2_limit, spe_limit)) <= 0:
        raise NotValid(what, why="a scale or a limit is not above 0, or a number is not finite")
    structure = Structure(header.grid, header.components, mean, scale, directions, spread)
    common = (header.name, header.product, header.variables, header.maturity_unit, structure, t2_limit, spe_limit, header.calibration)
    if isinstance(header, _Header):
        return Model(*common)
    bank = None if of_bank is None else _bank(of_bank, arrays[6:before_placing], what=what)
    placing = None if of_placing is None else placing_from(of_placing, arrays[before_placing:], p, what=what)
    probes = header.probes if isinstance(header, _HeaderWithProbes) else ()
    if isinstance(header, _HeaderWithProbes) and len(probes) != p:
        raise NotValid(what, why=f"it says {len(probes)} probes of {p} variables")
    if any(not (each.low < each.high and each.equal >= 1 and each.moves >= 0) for each in probes):
        raise NotValid(what, why="what it says of a probe makes no sense")
    return Model(*common, bank, header.continuous, placing, probes)


def _shapes_of_bank(bank: _BankHeader, p: int, *, what: str) -> tuple[tuple[int, ...], ...]:
    k, statistics = len(bank.rates), len(bank.decides)
    if not (k <= RATES_MAX and all(0.0 < rate <= 1.0 for rate in bank.rates) and bank.rows >= 1 and any(bank.decides)):
        raise NotValid(what, why="its bank makes no sense")
    if statistics != len(names_of(np.array(bank.rates))) or not math.isfinite(bank.limit):
        raise NotValid(what, why="its bank has another number of statistics than it says")
    return (p, p), (p, p), (p, p), (p,), (p,), (k, p), (k, p), (statistics,), (statistics,)


def _bank(header: _BankHeader, arrays: list[Floats], *, what: str) -> Bank:
    weights, leverage, precision, reach, steadiness, centre, spread, low, slope = arrays
    if (
        min(
            leverage.min(), np.diagonal(precision).min(), slope.min(), reach.min(), steadiness.min(), *(each.min() for each in (spread,) if each.size)
        )
        <= 0
    ):
        raise NotValid(what, why="a variance or a slope of its bank is not above 0")
    if np.linalg.eigvalsh(precision).min() <= 0:
        raise NotValid(what, why="its precision is not that of any residual")
    filters = Filters(weights, leverage, precision, reach, np.array(header.rates, dtype=np.float64), np.power(centre, 4.0), header.rows)
    return Bank(filters, steadiness, centre, spread, low, slope, np.array(header.decides, dtype=np.bool_), header.limit)


def reference_band(model: Model, variable: str) -> tuple[Floats, Floats, Floats, Floats]:
    """Maturity, mean, low and high of a variable for trend screens: about 95 % of good batches lie between low and high."""
    column = model.column(variable)
    mean, scale = model.structure.mean[:, column], model.structure.scale[:, column]
    return model.structure.grid.maturity(), mean, mean - BAND * scale, mean + BAND * scale
