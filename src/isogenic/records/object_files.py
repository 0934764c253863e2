"""Whole files in an object store (or whatever else fsspec reaches), as `Files` for blobs and reading blocks.

Guarantees: `write_whole` returns when the store has acknowledged all bytes; an object store
replaces an object whole or not at all. Nothing is cached: what another process wrote is seen.
Whatever goes wrong there is `NotReachable`, never a traceback.
Leaves to others: checking digests (blobs), versioning and object lock (the bucket's owner).

Keys and address come from where the library looks for them: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
FSSPEC_S3_ENDPOINT_URL and their like. None stands in a setting, a log or a ledger.
"""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Any

from isogenic.errors import NotReachable, NotValid

__all__ = ["ObjectFiles"]

PIECE = 1 << 20


class ObjectFiles:
    """Files below one URL. Paths are relative to it."""

    def __init__(self, url: str, **options: Any) -> None:
        """`options` go to the file system: for tests, and for stores that no environment variable describes."""
        import fsspec

        scheme = url.partition("://")[0]
        try:
            self._fs, root = fsspec.core.url_to_fs(url, use_listings_cache=False, skip_instance_cache=scheme != "memory", **options)
        except (ImportError, ValueError) as trouble:
            raise NotValid(
                f"cannot use {scheme}:// for readings", why=str(trouble)[:160], possible="a folder, or the extra `scale` for s3://"
            ) from trouble
        self._root = root.rstrip("/")
        self.url = re.sub(r"//[^/@]*@", "//", url)  # as it may be shown: without a name and password

    def _key(self, path: Path) -> str:
        return "/".join(part for part in (self._root, path.as_posix().strip("/")) if part not in ("", "."))

    def _trouble(self, what: str, path: Path, trouble: BaseException) -> NotReachable:
        return NotReachable(f"cannot {what} {path.name} at {self.url}", why=f"{type(trouble).__name__}: {trouble}"[:200], possible="check the store")

    def write_whole(self, path: Path, data: bytes) -> None:
        """Store bytes under a name, whole."""
        try:
            self._fs.pipe_file(self._key(path), data)
        except Exception as trouble:  # each store's library has its own errors
            raise self._trouble("write", path, trouble) from trouble

    def read(self, path: Path, limit: int) -> bytes | None:
        """All bytes, or None when there are none of that name; at most `limit` + 1 of them."""
        try:
            data: bytes = self._fs.cat_file(self._key(path), start=0, end=limit + 1)
        except FileNotFoundError:
            return None
        except Exception as trouble:
            raise self._trouble("read", path, trouble) from trouble
        return data

    def has(self, path: Path) -> bool:
        """Whether there is such a name."""
        try:
            return bool(self._fs.isfile(self._key(path)))
        except Exception as trouble:
            raise self._trouble("look for", path, trouble) from trouble

    def settle(self, path: Path) -> None:
        """What the store has acknowledged, it keeps."""

    def names(self, folder: Path) -> list[str]:
        """What is directly below a folder, in order."""
        try:
            return sorted(str(each).rstrip("/").rpartition("/")[2] for each in self._fs.ls(self._key(folder), detail=False))
        except FileNotFoundError:
            return []
        except Exception as trouble:
            raise self._trouble("list", folder, trouble) from trouble

    def move(self, path: Path, to: Path) -> None:
        """Give a file another name: copied whole, then taken away."""
        try:
            self._fs.mv(self._key(path), self._key(to))
        except FileNotFoundError:
            return
        except Exception as trouble:
            raise self._trouble("move", path, trouble) from trouble

    def remove(self, path: Path) -> None:
        """Take a file away."""
        try:
            self._fs.rm_file(self._key(path))
        except FileNotFoundError:
            return
        except Exception as trouble:
            raise self._trouble("remove", path, trouble) from trouble

    def digest(self, path: Path) -> str:
        """The SHA-256 of a file of any size, in hex."""
        found = sha256()
        try:
            with self._fs.open(self._key(path), "rb") as file:
                while piece := file.read(PIECE):
                    found.update(piece)
        except Exception as trouble:
            raise self._trouble("read", path, trouble) from trouble
        return found.hexdigest()

    def url_of(self, path: Path) -> str:
        """The file as its own URL, for a reader that opens it by itself."""
        return str(self._fs.unstrip_protocol(self._key(path)))
