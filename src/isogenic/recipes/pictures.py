"""Pictures that questions show: which files are pictures, and what is said about them in ledgers.

    submitted   the control site holds the bytes, under their digest
    published   a recipe that names the digest goes to a site, and the picture with it

Guarantees: a picture is a PNG or a JPEG by its content, whatever it is called, of bounded size; text,
scripts and vector graphics are none. The recipe's signed text names the digest, so what people
signed is what is shown.
Leaves to others: keeping and carrying the bytes (blobs, courier), showing them (web).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import sha256

from isogenic.errors import NotValid
from isogenic.ids import RecipeId, SiteId
from isogenic.recipes.model import GeneralRecipe
from isogenic.records.facts import fact

__all__ = ["PICTURE_BYTES_MAX", "Picture", "PicturePublished", "PictureSubmitted", "pictures_of", "read_picture"]

PICTURE_BYTES_MAX = 384 * 1024  # a tablet shows no more, and a slow link carries it in a minute
SIDE_MIN, SIDE_MAX = 16, 4_096  # pixels
PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_SIZES = frozenset({0xC0, 0xC1, 0xC2})  # JPEG: baseline, extended, progressive (ITU-T T.81, table B.1)
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length


@dataclass(frozen=True, slots=True)
class Picture:
    """What the bytes say."""

    digest: str
    media: str
    width: int
    height: int


@fact("recipe.picture_submitted", subject="digest")
@dataclass(frozen=True, slots=True)
class PictureSubmitted:
    """A picture for the questions of a recipe was put forward; the bytes are kept under their digest."""

    digest: str
    media: str
    bytes: int
    width: int
    height: int


@fact("recipe.picture_published", subject="recipe")
@dataclass(frozen=True, slots=True)
class PicturePublished:
    """A picture that a published recipe names goes to a site, which fetches the bytes by their digest."""

    recipe: RecipeId
    version: int
    site: SiteId
    digest: str
    media: str
    bytes: int


def read_picture(data: bytes) -> Picture:
    """What a file is, by its content, or `NotValid`."""
    what = "cannot take this picture"
    if len(data) > PICTURE_BYTES_MAX:
        raise NotValid(what, why=f"{len(data)} bytes are more than {PICTURE_BYTES_MAX}", possible="make it smaller")
    size = _png(data) if data.startswith(PNG) else _jpeg(data) if data.startswith(JPEG) else None
    if size is None:
        raise NotValid(what, why="its content is neither a PNG nor a JPEG", possible="save it as PNG or JPEG")
    width, height = size
    if not (SIDE_MIN <= width <= SIDE_MAX and SIDE_MIN <= height <= SIDE_MAX):
        raise NotValid(what, why=f"it is {width} x {height}; each side has {SIDE_MIN} to {SIDE_MAX} pixels")
    return Picture(sha256(data).hexdigest(), "image/png" if data.startswith(PNG) else "image/jpeg", width, height)


def _png(data: bytes) -> tuple[int, int] | None:
    """Width and height of the header chunk, which comes first (PNG, third edition, 11.2.1); the end has to be there."""
    if len(data) < 45 or data[8:16] != b"\x00\x00\x00\rIHDR" or b"IEND" not in data[-12:]:
        return None
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _jpeg(data: bytes) -> tuple[int, int] | None:
    """Width and height of the first frame header."""
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _SIZES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        length = struct.unpack(">H", data[at + 2 : at + 4])[0]
        if length < 2:
            return None
        at += 2 + length
    return None


def pictures_of(recipe: GeneralRecipe) -> tuple[str, ...]:
    """The digests that the recipe's questions name, once each."""
    found = (prompt.how.picture for phase in recipe.procedure.phases for prompt in phase.prompts)
    return tuple(dict.fromkeys(digest for digest in found if digest))
