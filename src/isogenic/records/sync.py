"""What to send, what to accept, what to refuse, and why: no socket, no disk, no clock.

A *page* is a run of facts and the writer's signed checkpoint right after the last of
them. The receiver recomputes the root from every fact it holds plus the page, and accepts
only if that is the signed root. So a page is safe to cut, repeat, delay or reorder:

    what arrives                              answer
    next page, root as signed                 stored, cosigned
    a page held already, same bytes           cosigned again, nothing stored
    a page that overlaps what is held         the new part stored, cosigned
    a page that starts after what is held     Resume(size): send from there
    signature or root that does not fit       NotTrusted; kept as evidence by the caller
    a fact whose bytes name another place     NotTrusted: it was written for another ledger or position
    same size, other root                     NotTrusted: the writer signed two histories (a fork)
    another root than the writer promised     NotTrusted: in a heartbeat or at a key rotation it signed other facts so far
    a key that does not count for that size   NotTrusted: revoked, or rotated since

Wire form, before compression (zstd): u16 origin length, origin, u64 first position, u64
number of facts, each fact as u16 length and bytes, and the signed note to the end: the
shape of C2SP tlog-mirror's add-entries, with the checkpoint in the same message.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import zstandard

from isogenic.errors import NotTrusted, NotValid, Refusal
from isogenic.records.facts import FACT_BYTES_MAX, check_place
from isogenic.records.keys import WriterKeys
from isogenic.records.merkle import Frontier, leaf_hashes
from isogenic.records.notes import Checkpoint

__all__ = ["PAGE_BYTES_MAX", "PAGE_FACTS", "Accepted", "Page", "Resume", "check_page", "next_page"]

PAGE_FACTS = 512  # about 25 kB on the wire: 2 s of a 128 kbit/s satellite link
PAGE_BYTES_MAX = 48 * 1024 * 1024  # 512 facts of the largest size, and a note
NOTHING: Mapping[int, bytes] = {}
HEAD_BYTES = 1024  # of a page, unpacked: an origin is shorter
ZSTD_LEVEL = 1  # 43 bytes a fact; level 3 gains 4 % for twice the time


class Resume(Refusal):
    """Not an error of anybody: the receiver holds `size` facts, send from there."""

    http_status = 409
    exit_code = 6

    def __init__(self, size: int) -> None:
        super().__init__("page not next in order", why=f"{size} facts are held", possible=f"send from position {size}")
        self.size = size


@dataclass(frozen=True, slots=True)
class Page:
    """A run of stored facts and the checkpoint that ends with the last of them."""

    origin: str
    start: int
    bodies: tuple[bytes, ...]
    note: bytes

    def to_bytes(self) -> bytes:
        """Compressed wire form."""
        origin = self.origin.encode()
        parts = [struct.pack(">H", len(origin)), origin, struct.pack(">QQ", self.start, len(self.bodies))]
        for body in self.bodies:
            parts.append(len(body).to_bytes(2, "big"))
            parts.append(body)
        parts.append(self.note)
        return zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_content_size=True).compress(b"".join(parts))

    @classmethod
    def from_bytes(cls, data: bytes) -> Page:
        """Read the wire form; refuses anything malformed or too large before it is unpacked."""
        raw = _decompress(data)
        try:
            (length,) = struct.unpack_from(">H", raw, 0)
            origin = raw[2 : 2 + length].decode()
            start, count = struct.unpack_from(">QQ", raw, 2 + length)
            at = 18 + length
            if count > PAGE_FACTS:
                raise NotValid("cannot read a page", why=f"{count} facts are more than {PAGE_FACTS}")
            bodies = []
            for _ in range(count):
                size = int.from_bytes(raw[at : at + 2], "big")
                at += 2
                bodies.append(raw[at : at + size])
                at += size
        except (struct.error, UnicodeDecodeError) as trouble:
            raise NotValid("cannot read a page", why=str(trouble)) from trouble
        if at > len(raw) or start > 1 << 62:
            raise NotValid("cannot read a page", why="it ends in the middle of a fact")
        return cls(origin, start, tuple(bodies), raw[at:])

    @staticmethod
    def place_of(data: bytes) -> tuple[str, int]:
        """Origin and first position of a page in wire form, of which only the beginning is unpacked."""
        try:
            with zstandard.ZstdDecompressor(max_window_size=PAGE_BYTES_MAX).stream_reader(data) as reader:
                head = reader.read(HEAD_BYTES)
            (length,) = struct.unpack_from(">H", head, 0)
            (start,) = struct.unpack_from(">Q", head, 2 + length)
            return head[2 : 2 + length].decode(), start
        except (struct.error, UnicodeDecodeError, zstandard.ZstdError) as trouble:
            raise NotValid("cannot read a page", why=str(trouble)) from trouble


def _decompress(data: bytes) -> bytes:
    try:
        declared = zstandard.frame_content_size(data)
        if not 0 <= declared <= PAGE_BYTES_MAX:
            raise NotValid("cannot read a page", why=f"it declares {declared} bytes; at most {PAGE_BYTES_MAX} are taken")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=PAGE_BYTES_MAX, allow_extra_data=False)
    except zstandard.ZstdError as trouble:
        raise NotValid("cannot read a page", why=f"it is not a zstd frame: {trouble}") from trouble


class Kept(Protocol):
    """What pages are cut from: a store, or a ledger that signs anew what its store holds under a revoked key."""

    origin: str

    def bodies(self, start: int, stop: int) -> list[bytes]: ...

    def checkpoint_at_or_before(self, size: int) -> tuple[int, bytes] | None: ...

    def checkpoint_after(self, size: int) -> tuple[int, bytes] | None: ...


def next_page(store: Kept, *, start: int) -> Page | None:
    """The page that the other side needs next when it holds `start` facts: as many whole commits as fit, at least one.

    Raises `NotTrusted` where the other side holds more than was ever written here: then this file is an old backup.
    """
    last = store.checkpoint_at_or_before(start + PAGE_FACTS)
    if last is None or last[0] <= start:
        held = last[0] if last else 0
        last = store.checkpoint_after(start)
        if last is None and held < start:
            raise NotTrusted(
                f"nothing of {store.origin} sent",
                why=f"the other side holds {start} facts, and only {held} are here: this ledger was restored from an old backup",
                possible="stop writing, and compare both sides",
            )
        if last is None:
            return None
    size, note = last
    return Page(store.origin, start, tuple(store.bodies(start, size)), note)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a checked page adds: the facts not yet held, and the tree with them."""

    size: int  # what the page's checkpoint covers; less than the tree, where the page is an old one come again
    frontier: Frontier
    bodies: Sequence[bytes]
    keys: WriterKeys


def check_page(
    page: Page,
    *,
    held: Frontier,
    origin: str,
    writer: WriterKeys,
    bodies: Callable[[int, int], list[bytes]],
    checkpoint: Callable[[int], tuple[int, bytes] | None] = lambda size: None,
    promised: Mapping[int, bytes] = NOTHING,
) -> Accepted:
    """Decide on a page. `held` is the tree of what is held; `bodies(start, stop)` reads what is held, and
    `checkpoint(size)` the newest checkpoint held of at most that size, which saves hashing all over again.
    `promised` are the roots, by size, that the writer has signed of facts that are not here yet.
    """
    if page.origin != origin:
        raise NotTrusted(f"page for {page.origin[:80]!r} refused", why=f"this is the copy of {origin}")
    if any(not body or len(body) > FACT_BYTES_MAX for body in page.bodies):
        raise NotValid("cannot take a page", why="it holds an empty fact")
    end = page.start + len(page.bodies)
    if page.start > held.size:  # before its signature: the key may have changed among the facts that are not here
        raise Resume(held.size)
    coming = held.size - page.start  # where the facts begin that are not held
    keys = writer.after_facts(page.bodies[coming:], start=held.size)
    claim, _ = keys.open(page.note)
    if claim.origin != origin or claim.size != end:
        raise NotTrusted(f"page {page.start} to {end} of {origin} refused", why=f"its checkpoint is for {claim.size} facts of {claim.origin[:80]}")
    known = min(held.size, end) - page.start
    if bodies(page.start, page.start + known) != list(page.bodies[:known]):
        raise NotTrusted(f"page {page.start} to {end} of {origin} refused", why="it rewrites facts that are held: a fork")
    if end < held.size:
        _check_old(claim, page.note, bodies, checkpoint)
        return Accepted(end, held, (), keys)
    new = page.bodies[known:]
    frontier = _grown(held, new, {**promised, **dict(keys.rotations(after=held.size - 1))}, origin)
    if frontier.root() != claim.root:
        why = "the root computed from its facts is not the signed root" if new else "another root is held for that size: a fork"
        raise NotTrusted(f"page {page.start} to {end} of {origin} refused", why=why)
    check_place(new, ledger=origin, start=page.start + known)
    return Accepted(end, frontier, new, keys)


def _grown(held: Frontier, new: Sequence[bytes], promised: Mapping[int, bytes], origin: str) -> Frontier:
    """The tree with these facts; on the way it must have every root that its writer has signed before."""
    frontier, end = held, held.size + len(new)
    for size in sorted(size for size in promised if held.size <= size <= end):
        frontier = frontier.extend(leaf_hashes(new[frontier.size - held.size : size - held.size]))
        if frontier.root() != promised[size]:
            why = f"its writer has signed another root for {size} facts before: facts that were not yet witnessed have been rewritten"
            raise NotTrusted(f"page {held.size} to {end} of {origin} refused", why=why)
    return frontier.extend(leaf_hashes(new[frontier.size - held.size :]))


def _check_old(
    claim: Checkpoint, note: bytes, bodies: Callable[[int, int], list[bytes]], checkpoint: Callable[[int], tuple[int, bytes] | None]
) -> None:
    """An old checkpoint, come again: the tree of that size must have its root."""
    kept = checkpoint(claim.size)
    if kept is not None and kept == (claim.size, note):
        return
    frontier = Frontier()
    for start in range(0, claim.size, PAGE_FACTS):
        frontier = frontier.extend(leaf_hashes(bodies(start, min(claim.size, start + PAGE_FACTS))))
    if frontier.root() != claim.root:
        raise NotTrusted(f"checkpoint of {claim.size} facts of {claim.origin} refused", why="another root is held for that size: a fork")
