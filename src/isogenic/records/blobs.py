"""Bytes kept under their own SHA-256: reading blocks, models, documents.

Guarantees: `put` returns when the bytes are on the disk (see durable.py); `get` gives the
bytes of that digest or refuses, because they are hashed again on every read; the same
bytes are stored once. Nothing is ever changed under a digest.
Leaves to others: what the bytes are, and the fact that carries their digest.

Layout: `ab/abcdef…` (hex), plain files, so that DuckDB, Polars or Spark read the Parquet
among them as they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Protocol

from isogenic.errors import NotFound, NotReachable, NotTrusted, NotValid
from isogenic.records.durable import make_folder, sync_folder, write_whole

__all__ = ["BLOB_BYTES_MAX", "BlobStore", "DiskFiles", "Files"]

BLOB_BYTES_MAX = 64 * 1024 * 1024  # a month of 500 signals at one a minute is half of it; it must fit one request
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Files(Protocol):
    """Whole files by path. The operating system's here; a rehearsal's simulated disk is another."""

    def write_whole(self, path: Path, data: bytes) -> None:
        """Durably, and never half."""
        ...

    def read(self, path: Path, limit: int) -> bytes | None:
        """All bytes, or None when there is no such file; at most `limit` + 1 of them."""
        ...

    def has(self, path: Path) -> bool:
        """Whether there is such a file."""
        ...

    def settle(self, path: Path) -> None:
        """Put the name of a file that is there on the disk: who wrote it may have been killed before."""
        ...

    def names(self, folder: Path) -> list[str]:
        """What is in a folder, in order; nothing when there is none."""
        ...

    def move(self, path: Path, to: Path) -> None:
        """Give a file another name, durably. Nothing where there is no such file."""
        ...

    def remove(self, path: Path) -> None:
        """Take a file away, durably. Nothing where there is no such file."""
        ...

    def digest(self, path: Path) -> str:
        """The SHA-256 of a file of any size, in hex."""
        ...


class DiskFiles:
    """The operating system's files."""

    def write_whole(self, path: Path, data: bytes) -> None:
        write_whole(path, data)

    def read(self, path: Path, limit: int) -> bytes | None:
        try:
            with path.open("rb") as file:
                return file.read(limit + 1)
        except FileNotFoundError:
            return None
        except OSError as trouble:
            raise NotReachable(f"cannot read {path.name}", why=str(trouble), possible="check the disk") from trouble

    def has(self, path: Path) -> bool:
        return path.is_file()

    def settle(self, path: Path) -> None:
        try:
            sync_folder(path.parent)
        except OSError as trouble:
            raise NotReachable(f"cannot keep {path.name}", why=str(trouble), possible="check the disk") from trouble

    def names(self, folder: Path) -> list[str]:
        return sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []

    def move(self, path: Path, to: Path) -> None:
        make_folder(to.parent)
        try:
            path.replace(to)
            sync_folder(to.parent)
            sync_folder(path.parent)
        except FileNotFoundError:
            return
        except OSError as trouble:
            raise NotReachable(f"cannot move {path.name}", why=str(trouble), possible="check the disk") from trouble

    def remove(self, path: Path) -> None:
        try:
            path.unlink()
            sync_folder(path.parent)
        except FileNotFoundError:
            return
        except OSError as trouble:
            raise NotReachable(f"cannot remove {path.name}", why=str(trouble), possible="check the disk") from trouble

    def digest(self, path: Path) -> str:
        try:
            with path.open("rb") as file:
                return file_digest(file, "sha256").hexdigest()
        except OSError as trouble:
            raise NotReachable(f"cannot read {path.name}", why=str(trouble), possible="check the disk") from trouble


class BlobStore:
    """Bytes by their digest (64 hex digits of SHA-256), in one folder."""

    def __init__(self, folder: Path | str, *, files: Files | None = None) -> None:
        self.folder = Path(folder)
        self._files: Files = files or DiskFiles()

    def path(self, digest: str) -> Path:
        """Where the bytes of a digest are kept."""
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise NotValid(f"cannot read digest {str(digest)[:70]!r}", why="the form is 64 hex digits in lower case")
        return self.folder / digest[:2] / digest

    def _place(self, digest: str) -> tuple[Files, Path]:
        """Through which files, and where among them. A store with other shelves says so here."""
        return self._files, self.path(digest)

    def put(self, data: bytes, *, expected: str | None = None) -> str:
        """Keep bytes, durably; returns their digest. Refused where it is not the `expected` one."""
        if len(data) > BLOB_BYTES_MAX:
            raise NotValid("cannot keep these bytes", why=f"{len(data)} are more than {BLOB_BYTES_MAX}")
        digest = sha256(data).hexdigest()
        if expected is not None:
            self.path(expected)
            if digest != expected:
                raise NotTrusted(f"bytes for {expected[:16]}… refused", why=f"their digest is {digest[:16]}…")
        files, path = self._place(digest)
        # Kept already is not enough: what is kept may be damaged, and these bytes are good.
        if files.read(path, len(data)) != data:
            files.write_whole(path, data)
        else:
            files.settle(path)
        return digest

    def get(self, digest: str) -> bytes:
        """The bytes of a digest, hashed again."""
        files, path = self._place(digest)
        data = files.read(path, BLOB_BYTES_MAX)
        if data is None:
            raise NotFound(f"no bytes {digest}", why="they were never kept here", possible="fetch them from the other side")
        if sha256(data).hexdigest() != digest:
            raise NotTrusted(f"bytes {digest} refused", why="the file no longer has that digest", possible="fetch them from the other side")
        return data

    def has(self, digest: str) -> bool:
        """Whether there is a file for this digest; `get` still checks it."""
        files, path = self._place(digest)
        return files.has(path)

    def digests(self) -> Iterator[str]:
        """Every digest kept, in order."""
        for shelf in self._files.names(self.folder):
            for name in self._files.names(self.folder / shelf):
                if _DIGEST.fullmatch(name):
                    yield name
