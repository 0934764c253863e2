"""The tree against the published vectors, and against its definition in RFC 6962 section 2.1."""

from __future__ import annotations

import contextlib
import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.errors import NotTrusted, NotValid, Refusal
from isogenic.records.merkle import (
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    leaf_hashes,
    verify_consistency,
    verify_inclusion,
)

VECTORS = json.loads((Path(__file__).parent.parent / "reference" / "rfc6962.json").read_text())
LEAVES = leaf_hashes(bytes.fromhex(each) for each in VECTORS["leaves"])
ROOTS = {int(size): bytes.fromhex(root) for size, root in VECTORS["roots"].items()}


def defined_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word: the second opinion."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256(b"").digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + defined_root(leaves[:split]) + defined_root(leaves[split:])).digest()


@pytest.mark.parametrize("size", range(9))
def test_root_is_the_published_one(size: int) -> None:
    assert Frontier().extend(LEAVES[:size]).root() == ROOTS[size]


@pytest.mark.parametrize("vector", VECTORS["inclusion"], ids=str)
def test_inclusion_proof_is_the_published_one(vector: dict) -> None:
    proof = [bytes.fromhex(each) for each in vector["proof"]]
    assert inclusion_proof(LEAVES.__getitem__, vector["index"], vector["size"]) == proof
    verify_inclusion(LEAVES[vector["index"]], index=vector["index"], size=vector["size"], proof=proof, root=ROOTS[vector["size"]])


@pytest.mark.parametrize("vector", VECTORS["consistency"], ids=str)
def test_consistency_proof_is_the_published_one(vector: dict) -> None:
    proof = [bytes.fromhex(each) for each in vector["proof"]]
    old, new = vector["old"], vector["new"]
    assert consistency_proof(LEAVES.__getitem__, old, new) == proof
    verify_consistency(old=old, old_root=ROOTS[old], new=new, new_root=ROOTS[new], proof=proof)


@given(st.lists(st.integers(0, 40), max_size=6))
@settings(max_examples=60, deadline=None)
def test_growing_by_any_pages_gives_the_defined_root(pages: list[int]) -> None:
    leaves = [leaf_hash(str(at).encode()) for at in range(sum(pages))]
    frontier, at = Frontier(), 0
    for page in pages:
        frontier = frontier.extend(leaves[at : at + page])
        at += page
    assert frontier.size == at
    assert frontier.root() == defined_root(leaves)
    assert Frontier.from_bytes(frontier.to_bytes()) == frontier


@given(st.integers(1, 70), st.data())
@settings(max_examples=60, deadline=None)
def test_every_proof_verifies_and_no_other_does(size: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(str(at).encode()) for at in range(size)]
    index = data.draw(st.integers(0, size - 1))
    root = defined_root(leaves)
    proof = inclusion_proof(leaves.__getitem__, index, size)
    verify_inclusion(leaves[index], index=index, size=size, proof=proof, root=root)
    old = index + 1
    grown = consistency_proof(leaves.__getitem__, old, size)
    verify_consistency(old=old, old_root=defined_root(leaves[:old]), new=size, new_root=root, proof=grown)
    wrong = leaf_hash(b"other")
    for attempt in (
        lambda: verify_inclusion(wrong, index=index, size=size, proof=proof, root=root),
        lambda: verify_inclusion(leaves[index], index=index, size=size, proof=[*proof, wrong], root=root),
        lambda: verify_inclusion(leaves[index], index=index, size=size, proof=[wrong, *proof[1:]], root=wrong),
        lambda: verify_consistency(old=old, old_root=wrong, new=size, new_root=root, proof=grown),
        lambda: verify_consistency(old=old, old_root=defined_root(leaves[:old]), new=size, new_root=wrong, proof=grown),
        lambda: verify_consistency(old=old, old_root=defined_root(leaves[:old]), new=size, new_root=root, proof=[*grown, wrong]),
    ):
        with pytest.raises(NotTrusted):
            attempt()


def test_proof_outside_the_tree_is_refused() -> None:
    with pytest.raises(NotValid):
        inclusion_proof(LEAVES.__getitem__, 8, 8)
    with pytest.raises(NotValid):
        verify_inclusion(LEAVES[0], index=8, size=8, proof=[], root=ROOTS[8])
    with pytest.raises(NotValid):
        consistency_proof(LEAVES.__getitem__, 0, 8)
    with pytest.raises(NotValid):
        verify_consistency(old=9, old_root=ROOTS[8], new=8, new_root=ROOTS[8], proof=[])


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_frontier_of_any_bytes_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(Refusal):
        assert Frontier.from_bytes(data).to_bytes() == data
