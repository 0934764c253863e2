"""The Merkle tree of RFC 6962, as arithmetic on digests.

Guarantees: `Frontier` holds the tree of any number of leaves in at most 64 digests, grows
by whole pages, and gives the same root as the definition in RFC 6962 section 2.1; the
proofs are those of sections 2.1.1 and 2.1.2.
Leaves to others: what a leaf says, who signed the root, where bytes are kept.

All digests are 32 raw bytes (SHA-256). Sizes count leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from isogenic.errors import NotTrusted, NotValid

__all__ = [
    "EMPTY_ROOT",
    "Frontier",
    "consistency_proof",
    "inclusion_proof",
    "leaf_hash",
    "leaf_hashes",
    "root_of_inclusion",
    "verify_consistency",
    "verify_inclusion",
]

EMPTY_ROOT = sha256(b"").digest()
DIGEST = 32


def leaf_hash(body: bytes) -> bytes:
    """RFC 6962 2.1: SHA-256 of 0x00 and the leaf's bytes."""
    return sha256(b"\x00" + body).digest()


def leaf_hashes(bodies: Iterable[bytes]) -> list[bytes]:
    """`leaf_hash` of each."""
    return [sha256(b"\x00" + body).digest() for body in bodies]


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962 2.1: SHA-256 of 0x01 and both children."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """The roots of the perfect subtrees that a tree of `size` leaves is made of, largest first.

    There is one for each 1-bit of `size`; together they are all that is needed to append.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def extend(self, leaves: Sequence[bytes]) -> Frontier:
        """The tree after these leaf digests; hashes each level in one pass, for pages of hundreds."""
        waiting = list(self.peaks)  # smallest subtree last
        level, bits = list(leaves), self.size
        left_over: list[bytes] = []  # what each level leaves unpaired, smallest first
        while level:
            if bits & 1:
                level.insert(0, waiting.pop())
            if len(level) & 1:
                left_over.append(level.pop())
            pairs = iter(level)
            level = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
            bits >>= 1
        return Frontier(self.size + len(leaves), (*waiting, *reversed(left_over)))

    def root(self) -> bytes:
        """The root digest of the tree."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = sha256(b"\x01" + peak + root).digest()
        return root

    def to_bytes(self) -> bytes:
        """Size (8 bytes, big-endian) and the peaks, largest first."""
        return self.size.to_bytes(8, "big") + b"".join(self.peaks)

    @classmethod
    def from_bytes(cls, data: bytes) -> Frontier:
        """Read what `to_bytes` wrote."""
        size = int.from_bytes(data[:8], "big")
        body = data[8:]
        if len(data) < 8 or len(body) != DIGEST * size.bit_count():
            raise NotValid("cannot read a tree frontier", why=f"{len(data)} bytes do not fit {size} leaves")
        return cls(size, tuple(body[at : at + DIGEST] for at in range(0, len(body), DIGEST)))


def _split(size: int) -> int:
    """The largest power of two smaller than `size` (RFC 6962's k)."""
    return 1 << (size - 1).bit_length() - 1


def _root_of(leaf: Callable[[int], bytes], start: int, stop: int) -> bytes:
    frontier = Frontier().extend([leaf(index) for index in range(start, stop)])
    return frontier.root()


def inclusion_proof(leaf: Callable[[int], bytes], index: int, size: int) -> list[bytes]:
    """The audit path of leaf `index` in the tree of `size` leaves; `leaf(i)` gives digest i. RFC 6962 2.1.1."""
    if not 0 <= index < size:
        raise NotValid(f"cannot prove leaf {index}", why=f"the tree has {size} leaves")

    def path(start: int, stop: int) -> list[bytes]:
        if stop - start == 1:
            return []
        middle = start + _split(stop - start)
        if index < middle:
            return [*path(start, middle), _root_of(leaf, middle, stop)]
        return [*path(middle, stop), _root_of(leaf, start, middle)]

    return path(0, size)


def verify_inclusion(leaf: bytes, *, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise `NotTrusted` unless `proof` shows leaf digest `leaf` at `index` under `root`. RFC 9162 2.1.3.2."""
    if root_of_inclusion(leaf, index=index, size=size, proof=proof) != root:
        raise NotTrusted(f"leaf {index} is not proven", why="the path does not lead to the root")


def root_of_inclusion(leaf: bytes, *, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root to which an audit path leads from leaf digest `leaf`; `NotTrusted` where the path is not one of such a leaf."""
    if not 0 <= index < size:
        raise NotValid(f"cannot check leaf {index}", why=f"the tree has {size} leaves")
    node, last, digest = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise NotTrusted(f"leaf {index} is not proven", why="the proof is too long")
        if node & 1 or node == last:
            digest = node_hash(sibling, digest)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            digest = node_hash(digest, sibling)
        node, last = node >> 1, last >> 1
    if last != 0:
        raise NotTrusted(f"leaf {index} is not proven", why="the path does not lead to the root")
    return digest


def consistency_proof(leaf: Callable[[int], bytes], old: int, new: int) -> list[bytes]:
    """The proof that the tree of `old` leaves is a prefix of that of `new`. RFC 6962 2.1.2."""
    if not 0 < old <= new:
        raise NotValid(f"cannot prove {old} leaves a prefix of {new}", why="sizes go 0 < old <= new")

    def walk(start: int, stop: int, whole: bool) -> list[bytes]:
        if old == stop:
            return [] if whole else [_root_of(leaf, start, stop)]
        middle = start + _split(stop - start)
        if old <= middle:
            return [*walk(start, middle, whole), _root_of(leaf, middle, stop)]
        return [*walk(middle, stop, False), _root_of(leaf, start, middle)]

    return walk(0, new, True)


def verify_consistency(*, old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raise `NotTrusted` unless the tree under `new_root` begins with that under `old_root`. RFC 9162 2.1.4.2."""
    refusal = NotTrusted(f"{old} leaves are not proven a prefix of {new}", why="the proof does not lead to both roots")
    if not 0 < old <= new:
        raise NotValid(f"cannot check {old} leaves against {new}", why="sizes go 0 < old <= new")
    if old == new:
        if proof or old_root != new_root:
            raise refusal
        return
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise refusal
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    one = two = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise refusal
        if node & 1 or node == last:
            one, two = node_hash(sibling, one), node_hash(sibling, two)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            two = node_hash(two, sibling)
        node, last = node >> 1, last >> 1
    if last != 0 or one != old_root or two != new_root:
        raise refusal
