"""What is wrong with a ledger, up to where it is good, and what can be put together again: decisions only.

Guarantees: nothing is called good that a signed checkpoint does not cover; a fault is named
by what an inspector would call it, with its place:

    name            seen by
    missing         a position between two checkpoints has no fact
    reordered       facts that name each other's positions
    changed         a fact names its own place, and the root over it is not the signed one
    invented        there are facts that no signed checkpoint covers
    another ledger  a fact or a checkpoint names another ledger
    cut off         the other side has cosigned more than is here: an old backup, or its end taken away
    fork            two signed roots for one size

`regrown` gives, from what is left of a damaged file, the commits that still verify; called
again after the witness has returned what was damaged, it goes on behind it, so that a
flipped bit in the middle costs nothing of what came after.
Leaves to others: reading the file (salvage), the witness (returning), files (aside).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from isogenic.errors import NotTrusted, NotValid
from isogenic.records import codec
from isogenic.records.facts import fact
from isogenic.records.keys import WriterKeys
from isogenic.records.ledger import open_kept
from isogenic.records.merkle import Frontier, leaf_hashes
from isogenic.records.notes import Checkpoint, Signer, sign_checkpoint
from isogenic.records.salvage import Remains
from isogenic.records.store import Commit

__all__ = ["Difference", "LedgerHealed", "RotFound", "RotMended", "difference", "name_fault", "regrown"]

NEXT_TRIES = 2  # a checkpoint may be rotten itself: the one after it tells. Two in a row are for the witness


@fact("records.ledger_healed", subject="ledger", house=True)
@dataclass(frozen=True, slots=True)
class LedgerHealed:
    """A ledger's file was damaged, torn, forked or older than what had been witnessed; it goes on from what verifies and what its witness returned.

    `lost` counts facts that were noted here, verify nowhere any more and were never witnessed. `evidence` is the SHA-256 of
    the file as it was found, kept in the folder `evidence`; empty where the file itself was whole.
    """

    ledger: str
    why: str
    kept: int
    returned: int
    lost: int
    evidence: str


@fact("records.rot_found", subject="ledger", house=True)
@dataclass(frozen=True, slots=True)
class RotFound:
    """The scrub found stored bytes that are no longer what was signed, from position `start` up to `stop`; for a blob, under its digest."""

    ledger: str  # or the digest of a blob
    start: int
    stop: int
    why: str


@fact("records.rot_mended", subject="ledger", house=True)
@dataclass(frozen=True, slots=True)
class RotMended:
    """Rotten bytes were replaced by those that were signed, from the other side's copy. `evidence` is the SHA-256 of what was there."""

    ledger: str  # or the digest of a blob
    start: int
    stop: int
    source: str
    evidence: str


def regrown(held: Frontier, kept: Remains, *, keys: WriterKeys, signer: Signer | None = None, upto: int | None = None) -> Iterator[Commit]:
    """The commits in `kept` that continue the tree `held` and verify, in order, at most up to `upto` facts.

    `keys` are the writer's, as far as `held` goes; rotations behind it count as they come. The writer itself, as `signer`,
    makes its checkpoint again where the one in the file is rotten; without it, the run ends there.
    """
    receipts = dict(kept.receipts())
    rest = [each for each in kept.checkpoints() if each[0] > held.size and (upto is None or each[0] <= upto)]
    while rest:
        found, keys = _next_commits(held, kept, rest[: NEXT_TRIES if signer else 1], keys=keys, signer=signer, receipts=receipts)
        if not found:
            return
        yield from found
        held = found[-1].frontier
        rest = rest[len(found) :]


def _next_commits(
    held: Frontier,
    kept: Remains,
    candidates: Sequence[tuple[int, bytes]],
    *,
    keys: WriterKeys,
    signer: Signer | None,
    receipts: dict[int, bytes],
) -> tuple[list[Commit], WriterKeys]:
    """The commit up to the first candidate that verifies, and those before it, signed again; nothing where none does."""
    commits: list[Commit] = []
    for size, note in candidates:
        bodies = kept.bodies(held.size, size)
        if None in bodies:
            break
        whole = [body for body in bodies if body is not None]
        keys = keys.after_facts(whole, start=held.size)
        held = held.extend(leaf_hashes(whole))
        checkpoint = Checkpoint(keys.origin, size, held.root())
        good = _opens(note, keys) == checkpoint
        if not good and (signer is None or not _counts(signer, keys, size)):
            break
        receipt = receipts.get(size, b"")
        receipt = receipt if receipt and _opens(receipt, keys) == checkpoint else b""
        commits.append(Commit(whole, held, note if good or signer is None else sign_checkpoint(checkpoint, signer), receipt))
        if good:
            return commits, keys
    return [], keys


def _opens(note: bytes, keys: WriterKeys) -> Checkpoint | None:
    with suppress(NotTrusted, NotValid):
        return open_kept(note, keys)
    return None


def _counts(signer: Signer, keys: WriterKeys, size: int) -> bool:
    with suppress(NotTrusted):
        return keys.at(size) == signer.verifying_key
    return False


def name_fault(bodies: Sequence[bytes | None], *, origin: str, start: int, signed: int = 0) -> str:
    """What an inspector would call it, where the root over the first `signed` of these facts (all of them: 0) is not the signed one.

    `bodies` are those from position `start` on; some more than the signed ones show whether facts changed places.
    """
    stands = {position: _place(body) for position, body in enumerate(bodies, start)}
    foreign = [at for at, (ledger, _) in stands.items() if ledger not in (origin, "")]
    if foreign:
        return f"fact {foreign[0]} was written for another ledger, {stands[foreign[0]][0][:80]}"
    missing = [at for at, body in enumerate(bodies, start) if body is None]
    if missing:
        return f"fact {missing[0]} is missing"
    moved = [(at, says) for at, (_, says) in stands.items() if says not in (at, None)]
    if moved:
        at, says = moved[0]
        if sorted(says for _, says in moved if says is not None) == [at for at, _ in moved]:
            return f"facts were reordered: at position {at} stands fact {says}"
        if says is not None and says > at:
            return f"fact {at} is missing: fact {says} stands in its place"
        return f"a fact was invented: at position {at} stands one that says it is {says}"
    return f"a fact was changed: at least one of {start} to {start + (signed or len(bodies)) - 1}"


def _place(body: bytes | None) -> tuple[str, int | None]:
    """What a fact says of where it stands; ("", None) where that cannot be read."""
    try:
        said = codec.loads(body or b"", what="a fact")
    except NotValid:
        return "", None
    if type(said) is not dict or type(said.get("ledger")) is not str or type(said.get("pos")) is not int:
        return "", None
    return said["ledger"], said["pos"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Where what is stored departs from what was signed: positions, with what is there and what should be."""

    position: int
    there: bytes | None
    signed: bytes


def difference(there: Sequence[bytes | None], signed: Sequence[bytes], *, start: int) -> list[Difference]:
    """Fact by fact, what is stored against what the other side returned and the root proved."""
    return [
        Difference(position, have, good)
        for position, (have, good) in enumerate(zip([*there, *[None] * (len(signed) - len(there))], signed, strict=False), start)
        if have != good
    ]
