"""The bytes of a manifest out of the bytes of a package, and nothing else out of it.

An `.mtp` is a zip archive that holds the manifest beside pictures and papers; an `.aml` is
the manifest alone. Guarantees: nothing is ever written to a disk; an archive with a name
that leads outside itself, a link, a secret, two manifests, or more than it says is refused
as a whole, before its manifest is looked at; no more is unpacked than `MANIFEST_MAX` bytes,
whatever its table of contents claims.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib

from isogenic.errors import NotValid

__all__ = ["ENTRIES_MAX", "MANIFEST_MAX", "PACKAGE_MAX", "is_archive", "manifest_bytes", "packed"]

PACKAGE_MAX = 64 * 1024 * 1024  # with pictures and manuals; the largest seen has 6 MB
MANIFEST_MAX = 32 * 1024 * 1024  # the largest seen has 3.2 MB
ENTRIES_MAX = 2_000
NAME_MAX = 255
SUFFIXES = (".aml", ".xml")
FIRST = "manifest.aml"  # 2658-1: the name of the manifest within a package
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same manifest always packs to the same bytes


def is_archive(data: bytes) -> bool:
    """Whether bytes are a zip archive by their first two."""
    return data[:2] == b"PK"


def manifest_bytes(data: bytes, *, name: str) -> bytes:
    """The manifest's own bytes, from a package or from a bare manifest."""
    if len(data) > PACKAGE_MAX:
        raise _refused(name, f"it has {len(data)} bytes, at most {PACKAGE_MAX} are read")
    if not is_archive(data):
        if len(data) > MANIFEST_MAX:
            raise _refused(name, f"it has {len(data)} bytes, at most {MANIFEST_MAX} are read")
        return data
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _unpacked(archive, _manifest(archive, name), name)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError, IndexError, OverflowError) as trouble:
        raise _refused(name, f"its archive is damaged: {str(trouble)[:120]}") from trouble


def packed(manifest: bytes) -> bytes:
    """A package that holds a manifest; the same bytes for the same manifest."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(FIRST, _EPOCH), manifest, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _manifest(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """The one entry that is the manifest, after every entry's name was looked at."""
    entries = archive.infolist()
    if len(entries) > ENTRIES_MAX:
        raise _refused(name, f"its archive holds {len(entries)} files, at most {ENTRIES_MAX} are looked at")
    for entry in entries:
        if why := _trick(entry):
            raise _refused(name, f"{entry.filename[:80]!r} in its archive {why}")
    found = [each for each in entries if not each.is_dir() and each.filename.lower().endswith(SUFFIXES)]
    first = [each for each in found if each.filename.lower().rsplit("/", 1)[-1] == FIRST] or found
    if len(first) != 1:
        raise _refused(name, f"its archive holds {len(first)} manifests" if first else f"its archive holds no {' or '.join(SUFFIXES)}")
    return first[0]


def _trick(entry: zipfile.ZipInfo) -> str:
    """Why an entry makes the whole archive untrustworthy; empty where it does not."""
    path = entry.orig_filename
    if "\\" in path or "\x00" in path or any(ord(sign) < 32 for sign in path):
        return "has a name with signs that no path has"
    if path.startswith("/") or path[1:2] == ":" or ".." in path.split("/"):
        return "leads outside of it"
    if len(path) > NAME_MAX:
        return "has a name without end"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "is a link"
    return "is locked by a password" if entry.flag_bits & 0x1 else ""


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> bytes:
    if entry.file_size > MANIFEST_MAX:
        raise _refused(name, f"its manifest unpacks to {entry.file_size} bytes, at most {MANIFEST_MAX} are read")
    with archive.open(entry) as stream:
        found = stream.read(MANIFEST_MAX + 1)  # a table of contents may lie
    if len(found) > MANIFEST_MAX:
        raise _refused(name, f"its manifest unpacks to more than {MANIFEST_MAX} bytes")
    return found


def _refused(name: str, why: str) -> NotValid:
    return NotValid(f"cannot read module type package {name}", why=why)
