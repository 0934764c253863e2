"""What a site sends: for each maturity of the agreed grid, counts, sums and cross-products of its good batches.

| sent | numbers |
| --- | --- |
| how many batches | 1 |
| how many of them have a value, for each maturity and variable | points x p |
| sum of deviations from the agreed centre, in the agreed scale | points x p |
| sum of their products, for each pair of variables | points x p(p + 1)/2 |
| only where values are missing: how many batches have both of a pair | points x p(p + 1)/2 |
| only where values are missing: sum of the deviations of one where the other is there too | points x p x p |

No reading, no batch number, no time. Sums of one batch are that batch: below `BATCHES_MIN` nothing is sent.

Guarantees: what is sent adds up with what other sites send under the same agreement to the sums of
all batches, to rounding; sums that no batches can have are refused when they are read.
Leaves to others: which batches are good, the ledger page and its signature, noise (privacy).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from isogenic.errors import NotAllowed, NotValid
from isogenic.monitoring.alignment import on_grid
from isogenic.monitoring.pooling.agreement import Agreement
from isogenic.monitoring.pooling.parcel import packed, unpacked
from isogenic.monitoring.sums import Sums
from isogenic.monitoring.tables import BatchTable, Floats, check_tables

__all__ = ["BATCHES_MAX", "BATCHES_MIN", "SiteSums", "site_sums"]

FORM = "site sums"
BATCHES_MIN = 2  # the sums of one batch are that batch
BATCHES_MAX = 100_000
DEVIATION_MAX = 1e6  # scales: farther is not a good batch of this product
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class _Header:
    site: str
    agreement: str
    batches: int
    whole: bool
    noise: str


@dataclass(frozen=True, slots=True, eq=False)
class SiteSums:
    """One site's sums in the agreed scale, about the agreed centre. `noise` says in words what was added; empty: nothing."""

    site: str
    agreement: str  # digest
    batches: int
    sums: Sums  # about 0
    shared: Floats  # float64[points, p, p]: sum of the deviations of one variable over the batches that have the other too
    noise: str = ""
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.sha256(self.to_bytes()).hexdigest())

    @property
    def whole(self) -> bool:
        """Whether every batch has every value."""
        return bool((self.sums.count == self.batches).all())

    def to_bytes(self) -> bytes:
        """What is sent."""
        at = np.triu_indices(self.sums.total.shape[1])
        header = _Header(self.site, self.agreement, self.batches, self.whole, self.noise)
        cross = self.sums.cross[:, *at]
        if header.whole:
            return packed(FORM, header, (self.sums.total, cross))
        return packed(FORM, header, (self.sums.count, self.shared, cross, self.sums.pairs[:, *at]))

    @classmethod
    def from_bytes(cls, data: bytes, agreement: Agreement) -> SiteSums:
        """Read what a site sent under this agreement; what no good batches can have is refused."""
        points, p = agreement.centre.shape

        def shapes(header: _Header) -> Sequence[tuple[int, ...]]:
            if header.agreement != agreement.digest:
                raise NotAllowed(
                    f"cannot use the sums of {header.site[:40]}",
                    why=f"they were made under agreement {header.agreement[:16]}, not {agreement.digest[:16]}",
                )
            if not BATCHES_MIN <= header.batches <= BATCHES_MAX:
                raise NotValid(f"cannot use the sums of {header.site[:40]}", why=f"{header.batches} batches are too few or too many")
            triangle = (points, p * (p + 1) // 2)
            return ((points, p), triangle) if header.whole else ((points, p), (points, p, p), triangle, triangle)

        header, arrays = unpacked(data, FORM, _Header, shapes)
        n = float(header.batches)
        if header.whole:
            total, upper = arrays
            count = np.full((points, p), n)
            centre, shared = np.zeros((points, p)), np.broadcast_to(total[:, :, None], (points, p, p))
            sums = Sums(centre, count, total, _square(upper, p), np.broadcast_to(np.float64(n), (points, p, p)))
        else:
            count, shared, upper, both = arrays
            centre, total = np.zeros((points, p)), np.ascontiguousarray(np.diagonal(shared, axis1=1, axis2=2))
            sums = Sums(centre, count, total, _square(upper, p), _square(both, p))
        _check(sums, header)
        return cls(header.site, header.agreement, header.batches, sums, shared, header.noise)


def site_sums(batches: Sequence[BatchTable], agreement: Agreement, *, site: str, least: int = BATCHES_MIN) -> SiteSums:
    """A site's sums of its good batches. `least`: 1 for sums that stay at the site."""
    if not least <= len(batches) <= BATCHES_MAX:
        raise NotAllowed(
            f"cannot send the sums of {len(batches)} batches", why="the sums of one batch are that batch", possible=f"{BATCHES_MIN} to {BATCHES_MAX}"
        )
    check_tables(batches, agreement.variables)
    nought = np.zeros_like(agreement.centre)
    total, (points, p) = Sums.empty(nought), nought.shape
    shared = np.zeros((points, p, p))
    for table in batches:
        z = scaled(table, agreement)
        total = total + Sums.of(z, nought)
        shared += np.where(np.isfinite(z), z, 0.0)[:, :, None] * np.isfinite(z)[:, None, :]
    return SiteSums(site, agreement.digest, len(batches), total, shared)


def batch_sums(table: BatchTable, agreement: Agreement, centre: Floats) -> Sums:
    """One batch in the agreed scale, about a centre in that scale; it never leaves its site."""
    return Sums.of(scaled(table, agreement), centre)


def scaled(table: BatchTable, agreement: Agreement) -> Floats:
    """A batch on the agreed grid, in the agreed scale, from the agreed centre."""
    z: Floats = (on_grid(table, agreement.grid) - agreement.centre) / agreement.scale
    far = np.abs(z) > DEVIATION_MAX
    if far.any():
        name = agreement.variables[int(np.argmax(far.any(axis=0)))].name
        raise NotValid(f"cannot use batch {table.batch[:40]}", why=f"{name} lies more than {DEVIATION_MAX:g} scales from the agreed centre")
    return z


def _square(upper: Floats, p: int) -> Floats:
    """Both triangles from the upper one."""
    square = np.empty((len(upper), p, p))
    rows, columns = np.triu_indices(p)
    square[:, rows, columns] = upper
    square[:, columns, rows] = upper
    return square


def _check(sums: Sums, header: _Header) -> None:
    """Counts are whole and at most the batches; squares are not below what the mean needs (Cauchy and Schwarz). With noise, anything goes."""
    what = f"cannot use the sums of {header.site[:40]}"
    count, pairs = sums.count, sums.pairs
    if not header.whole and not (
        (count == np.rint(count)).all()
        and (pairs == np.rint(pairs)).all()
        and count.min() >= 0
        and count.max() <= header.batches
        and pairs.min() >= 0
        and (pairs <= count[:, :, None]).all()
        and (pairs <= count[:, None, :]).all()
        and (np.diagonal(pairs, axis1=1, axis2=2) == count).all()
    ):
        raise NotValid(what, why="its counts are not those of batches")
    if header.noise:
        return
    squares = np.diagonal(sums.cross, axis1=1, axis2=2)
    if not (squares * count >= np.square(sums.total) * (1.0 - ROUNDING) - ROUNDING).all():
        raise NotValid(what, why="its squares are smaller than its sums let them be")
    if not (np.square(sums.cross) <= squares[:, :, None] * squares[:, None, :] * (1.0 + ROUNDING) + ROUNDING).all():
        raise NotValid(what, why="its products are larger than its squares let them be")
    if squares.max(initial=0.0) > header.batches * DEVIATION_MAX**2:
        raise NotValid(what, why=f"its values lie more than {DEVIATION_MAX:g} scales from the agreed centre")
