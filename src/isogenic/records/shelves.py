"""Reading blocks on shelves that people and their tools can find their way in, and still by digest.

    batches/sponsor=ASTER-BIO/site=LEEDS/batch=BAT-7K2M/000001-DIGEST.parquet
    house/site=LEEDS/unit=BR-50/000001-DIGEST.parquet

Guarantees: a block that a fact has named is kept under its sponsor, site and batch, so that
DuckDB, Polars or Spark read the folder or bucket as it stands, with the keys as columns,
and so that access can be given by prefix, a sponsor at a time (I7). Every name ends in the
digest of the bytes, which are hashed when written and again when read. Bytes that no fact
has placed (models, evidence) are kept by digest alone, as in `BlobStore`.
Leaves to others: which facts name which blocks (network), the file's form (blocks).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from isogenic.ids import BatchId, SiteId, UnitId
from isogenic.records.blobs import BlobStore, DiskFiles, Files
from isogenic.records.object_files import ObjectFiles

__all__ = ["BATCHES", "HOUSE_BLOCKS", "BlockPlace", "Shelves", "files_at"]

BATCHES, HOUSE_BLOCKS = "batches", "house"


@dataclass(frozen=True, slots=True)
class BlockPlace:
    """Where a block belongs. The ids are checked ones: nothing that a site writes becomes part of a path unread."""

    site: SiteId
    about: BatchId | UnitId
    number: int
    sponsor: str = ""  # of a batch; the house's blocks have none

    def path(self, digest: str) -> Path:
        """Below the root of the readings."""
        name = f"{self.number:06d}-{digest}.parquet"
        if self.sponsor:
            return Path(BATCHES, f"sponsor={self.sponsor}", f"site={self.site}", f"batch={self.about}", name)
        return Path(HOUSE_BLOCKS, f"site={self.site}", f"unit={self.about}", name)


class Shelves(BlobStore):
    """Bytes by their digest, of which reading blocks stand on shelves of their own."""

    def __init__(self, folder: Path | str, *, files: Files | None = None, readings: Path | str, reading_files: Files | None = None) -> None:
        """`readings` is the root of the shelves, within `reading_files` if these are elsewhere than `files`."""
        super().__init__(folder, files=files)
        self.readings, self._reading_files = Path(readings), reading_files or self._files
        self._places: dict[str, BlockPlace] = {}

    @property
    def remote(self) -> bool:
        """Whether a block may take as long as a network does."""
        return isinstance(self._reading_files, ObjectFiles)

    def shelve(self, digest: str, place: BlockPlace) -> None:
        """A fact says where the block of this digest belongs; the first that says so is believed."""
        self.path(digest)
        self._places.setdefault(digest, place)

    def _place(self, digest: str) -> tuple[Files, Path]:
        place = self._places.get(digest)
        if place is None:
            return super()._place(digest)
        shelved = self.readings / place.path(digest)
        plain = self.path(digest)
        if not self._reading_files.has(shelved) and self._files.has(plain):
            return self._files, plain  # taken by a version that had no shelves, or before the fact was read
        return self._reading_files, shelved

    def digests(self) -> Iterator[str]:
        """Every digest kept, on shelves too, in order. Not those in a bucket: whoever keeps that looks after its bytes, and reading them costs."""
        shelved = set() if self.remote else {digest for digest in self._places if self.has(digest)}
        yield from sorted({*super().digests(), *shelved})

    def put(self, data: bytes, *, expected: str | None = None) -> str:
        """As `BlobStore.put`; what went over a network is read back before it counts as kept."""
        digest = super().put(data, expected=expected)
        if digest in self._places and self.remote:
            self.get(digest)
        return digest


def files_at(url: str) -> tuple[Files, Path]:
    """Files, and the root within them, of a folder's path or a URL as fsspec knows them (s3://bucket/prefix)."""
    if "://" not in url:
        return DiskFiles(), Path(url)
    if url.startswith("file://"):
        return DiskFiles(), Path(url.removeprefix("file://"))
    return ObjectFiles(url), Path()
