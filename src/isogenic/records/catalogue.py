"""Which reading blocks lie in a place, whose they are, and one signal of one batch out of them.

    a node's folder      its ledgers say which blocks there are and which digest each must have
    a dossier            the same, from its ledgers' facts
    shelves (a folder or URL of readings/)     no ledger: each block's name says its digest, and nothing vouches for the name

Guarantees: bytes are hashed before anything is read out of them; a block that has not the digest that its fact
(or, where there is no ledger, its name) says is never used. Facts are read, not verified: `isogenic verify` does that.
A place that holds blocks of several sponsors is read for one of them at a time (I7).
Leaves to others: SQL (queries), what is in a block (blocks).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import apsw
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from isogenic.errors import NotAllowed, NotFound, NotReachable, NotTrusted, NotValid, Refusal
from isogenic.records.blobs import BLOB_BYTES_MAX, DiskFiles, Files
from isogenic.records.blocks import QUALITY, HouseReadingsSealed, ReadingsSealed, open_file
from isogenic.records.facts import Fact, decode_fact
from isogenic.records.shelves import BATCHES, HOUSE_BLOCKS, files_at

__all__ = ["BlockFile", "Catalogue", "Series"]

NAME = re.compile(r"[0-9]{6,}-([0-9a-f]{64})\.parquet")


@dataclass(frozen=True, slots=True)
class BlockFile:
    """One block that a place should hold."""

    digest: str
    path: Path
    site: str
    about: str  # the batch; of a block of the house the unit
    number: int
    sponsor: str = ""  # of the house: none
    rows: int = 0  # as the fact says; 0 where there is none
    first: datetime | None = None
    last: datetime | None = None
    vouched: bool = False  # a fact names it


@dataclass(frozen=True, slots=True)
class Series:
    """One signal of one batch, in the order of the scans."""

    tag: str
    at: NDArray[np.int64]  # milliseconds since 1970
    values: NDArray[np.float64]  # NaN where there is none
    quality: NDArray[np.uint8]


class Catalogue:
    """The blocks of one place."""

    def __init__(self, files: Files, blocks: Sequence[BlockFile]) -> None:
        self.files, self.blocks = files, tuple(blocks)
        self._of: dict[str, list[BlockFile]] = {}
        for block in self.blocks:
            self._of.setdefault(block.about, []).append(block)

    @classmethod
    def open(cls, where: str) -> Catalogue:
        """The catalogue of a node's folder, a dossier, a folder or a URL of shelves."""
        files, root = files_at(where)
        if isinstance(files, DiskFiles):
            if not root.is_dir():
                raise NotFound(f"no readings in {where}", why="there is no such folder")
            if facts := list(_facts(root)):
                return cls(files, list(_named(root, facts)))
        return cls(files, sorted(_shelved(files, root), key=lambda block: (block.sponsor, block.site, block.about, block.number)))

    def of(self, *, sponsor: str = "", site: str = "", batch: str = "", house: bool = False) -> list[BlockFile]:
        """Blocks of batches, or of the house, of one sponsor."""
        some = self._of.get(batch, []) if batch else self.blocks
        found = [each for each in some if bool(each.sponsor) != house and site in ("", each.site) and sponsor in ("", each.sponsor)]
        sponsors = {each.sponsor for each in found}
        if len(sponsors) > 1:
            raise NotAllowed(
                "cannot read readings of several sponsors together", why="they never meet", possible=f"name one: {', '.join(sorted(sponsors))}"
            )
        return found

    def data(self, block: BlockFile) -> bytes:
        """The bytes of a block, once they have its digest."""
        data = self.files.read(block.path, BLOB_BYTES_MAX)
        if data is None:
            raise NotFound(f"block {block.number} of {block.about} is not here", why=f"there is no {block.path.name}")
        if sha256(data).hexdigest() != block.digest:
            raise NotTrusted(f"block {block.number} of {block.about} refused", why=f"{block.path.name} has another digest than was noted")
        return data

    def series(self, batch: str, tag: str) -> Series:
        """One signal of one batch: every block of the batch is hashed, three columns of each are read."""
        parts = [_columns(self.data(block), tag) for block in self.of(batch=batch)]
        if not parts:
            raise NotFound(f"no readings of {batch}", why="no block here is of that batch")
        return Series(tag, *(np.concatenate(column) for column in zip(*parts, strict=True)))

    def check(self) -> list[str]:
        """What is wrong with the blocks of this place: every byte of it is read."""
        wrong = []
        for block in self.blocks:
            try:
                self.data(block)
            except Refusal as refusal:
                wrong.append(str(refusal))
        return wrong


def _columns(data: bytes, tag: str) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.uint8]]:
    try:
        table = open_file(pa.BufferReader(data)).read(columns=["at", tag, tag + QUALITY], use_threads=False)
        at = table.column("at").cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()).to_numpy()
        return at, table.column(tag).to_numpy(), table.column(tag + QUALITY).to_numpy()
    except (pa.ArrowException, KeyError, OSError, ValueError) as trouble:
        raise NotFound(f"no readings of {tag}", why=str(trouble)[:120]) from trouble


# ---- places that have ledgers ----


def _facts(root: Path) -> Iterator[Fact]:
    """Every fact that names a block, from the ledgers of a node's folder or of a dossier."""
    for path in sorted((*(root / "ledgers").glob("*.sqlite"), *(root / "copies").glob("*.sqlite"))):
        try:
            database = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            try:
                found = database.execute("SELECT body FROM log WHERE instr(body, CAST('readings_sealed' AS BLOB)) ORDER BY pos").fetchall()
            finally:
                database.close()
        except apsw.Error as trouble:
            raise NotReachable(f"cannot read {path.name}", why=str(trouble), possible="verify the folder") from trouble
        yield from _sealings(bytes(row[0]) for row in found)  # type: ignore[arg-type]
    for path in sorted((root / "ledgers").glob("*.facts")):
        yield from _sealings(line for line in path.read_bytes().splitlines() if b"readings_sealed" in line)


def _sealings(bodies: Iterator[bytes]) -> Iterator[Fact]:
    for body in bodies:
        try:
            fact = decode_fact(body)
        except NotValid:
            continue  # `isogenic verify` tells of it
        if isinstance(fact.payload, ReadingsSealed | HouseReadingsSealed):
            yield fact


def _named(root: Path, facts: Sequence[Fact]) -> Iterator[BlockFile]:
    seen = set()
    for fact in facts:
        each = fact.payload
        if (each.digest, fact.subject) in seen:
            continue
        seen.add((each.digest, fact.subject))
        _, site, audience = (*fact.ref.ledger.split("/"), "", "", "")[:3]
        sponsor = "" if isinstance(each, HouseReadingsSealed) else audience
        yield BlockFile(
            each.digest,
            _found(root, each.digest, site, fact.subject, each.number, sponsor),
            site,
            fact.subject,
            each.number,
            sponsor,
            each.rows,
            each.first,
            each.last,
            vouched=True,
        )


def _found(root: Path, digest: str, site: str, about: str, number: int, sponsor: str) -> Path:
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        return root / "no-such-block"
    name = f"{number:06d}-{digest}.parquet"
    shelf = Path(BATCHES, f"sponsor={sponsor}", f"site={site}", f"batch={about}") if sponsor else Path(HOUSE_BLOCKS, f"site={site}", f"unit={about}")
    places = (root / "readings" / shelf / name, root / "blocks" / f"{digest}.parquet")
    return next((place for place in places if place.is_file()), root / "blobs" / digest[:2] / digest)


# ---- places that have none ----


def _shelved(files: Files, root: Path) -> Iterator[BlockFile]:
    for shelf, depth in ((BATCHES, 3), (HOUSE_BLOCKS, 2)):
        for keys, path in _below(files, root / shelf, depth):
            match = NAME.fullmatch(path.name)
            if match:
                about = keys.get("batch") or keys.get("unit") or ""
                yield BlockFile(match[1], path, keys.get("site", ""), about, int(path.name.partition("-")[0]), keys.get("sponsor", ""))


def _below(files: Files, folder: Path, depth: int) -> Iterator[tuple[dict[str, str], Path]]:
    if depth == 0:
        yield from (({}, folder / name) for name in files.names(folder))
        return
    for name in files.names(folder):
        key, _, value = name.partition("=")
        for keys, path in _below(files, folder / name, depth - 1):
            yield {**keys, key: value}, path
