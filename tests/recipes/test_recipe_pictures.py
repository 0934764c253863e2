"""Pictures of questions: what is one, by its content."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.errors import NotValid
from isogenic.recipes.pictures import PICTURE_BYTES_MAX, read_picture


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = b"".join(b"\x00" + b"\x80" * width for _ in range(height))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    return (
        b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"\x00" * 9 + b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", height, width) + b"\x00" * 20 + b"\xff\xd9"
    )


def test_png_and_jpeg_are_pictures_by_their_content() -> None:
    found = [read_picture(data) for data in (png(64, 48), jpeg(640, 480))]
    assert [(each.media, each.width, each.height) for each in found] == [("image/png", 64, 48), ("image/jpeg", 640, 480)]
    assert len({each.digest for each in found}) == 2


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "neither a PNG nor a JPEG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "neither a PNG nor a JPEG"),
        (png(64, 48)[:40], "neither a PNG nor a JPEG"),
        (b"\xff\xd8\xff\xe0\x00\x00", "neither a PNG nor a JPEG"),
        (png(4, 4), "it is 4 x 4; each side has 16 to 4096 pixels"),
        (jpeg(9_000, 20), "it is 9000 x 20; each side has 16 to 4096 pixels"),
        (png(64, 48) + b"\x00" * PICTURE_BYTES_MAX, "are more than 393216"),
    ],
)
def test_what_is_no_picture_or_too_large_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(NotValid) as refused:
        read_picture(data)
    assert why in refused.value.why


@settings(max_examples=100, deadline=None)
@given(start=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", jpeg(64, 64)[:30]]), rest=st.binary(max_size=200))
def test_whatever_the_bytes_are_it_is_a_picture_or_a_refusal(start: bytes, rest: bytes) -> None:
    try:
        found = read_picture(start + rest)
    except NotValid:
        return
    assert min(found.width, found.height) >= 16
