"""The checks that every verification shares, whatever the files look like: one fact, one signed note, one block.

Guarantees: each takes bytes and says in words what is wrong with them, or gives what they
say; none believes a key that it was not handed.
Leaves to others: where the bytes come from (verify: dossiers; ledger_files: a node's own files).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from isogenic.clock import text_of_time
from isogenic.errors import NotTrusted, NotValid, Refusal
from isogenic.records import codec
from isogenic.records.blocks import ReadingsSealed, open_block, quality_counts
from isogenic.records.dossier import Key, KeyRole, writers_of, written_by
from isogenic.records.facts import Fact, FactRef, decode_fact
from isogenic.records.keys import WriterKeys
from isogenic.records.notes import Checkpoint

__all__ = ["Signed", "batches_about", "block_faults", "named_blocks", "read_fact", "rotation_faults", "signed_checkpoint", "writer_keys"]

RELEASED = "quality.lot_released"  # by name: records do not know what facts mean
_FRACTION = re.compile(rb"[:\[,]-?[0-9]+[.eE]")
TIME_MAX = 1 << 37  # seconds: beyond what a calendar shows


def read_fact(body: bytes, *, ledger: str, position: int) -> tuple[Fact | None, list[str]]:
    """The fact in these bytes, and everything that is wrong with it where it stands."""
    try:
        fact = decode_fact(body)
    except NotValid as trouble:
        return None, [f"cannot be read: {trouble}"]
    wrong = []
    if fact.ref != FactRef(ledger, position):
        wrong.append(f"says in its own bytes that it is {fact.ref}")
    said = codec.loads(body)
    if said["at"] != text_of_time(fact.at):
        wrong.append("has a time that is not written as times are")
    try:
        again = codec.dumps(said)
    except NotValid as trouble:  # nested too deeply to be written
        return fact, [*wrong, f"is not in canonical form: {trouble}"]
    if again != body or not (_surely_in_form(body) or _in_form(said, ascii_only=body.isascii())):
        wrong.append("is not in canonical form: two readers could read it differently")
    return fact, wrong


def _surely_in_form(body: bytes) -> bool:
    """The same for whole bytes, at a sixth of the cost; where something looks amiss, the value itself is gone through.

    A part of a text in NFC is in NFC, and without white space a number stands right behind one of three signs.
    """
    return not _FRACTION.search(body) and (body.isascii() or unicodedata.is_normalized("NFC", body.decode()))


def _in_form(value: object, *, ascii_only: bool) -> bool:
    """Whether no number is a fraction and every text is in NFC: what reading and writing again does not show."""
    if isinstance(value, float):
        return False
    if isinstance(value, str):
        return ascii_only or unicodedata.is_normalized("NFC", value)
    if isinstance(value, dict):
        return all(_in_form(key, ascii_only=ascii_only) and _in_form(each, ascii_only=ascii_only) for key, each in value.items())
    return not isinstance(value, list) or all(_in_form(each, ascii_only=ascii_only) for each in value)


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint that a key of the ledger's writer signed, and who cosigned it."""

    checkpoint: Checkpoint
    writer: str  # name of the key
    witnesses: tuple[tuple[str, datetime], ...]


def writer_keys(origin: str, keys: Sequence[Key]) -> list[WriterKeys]:
    """Where belief in a ledger's checkpoints may begin: each key that may sign them, before any fact is read; lines with sizes together."""
    return writers_of(origin, keys)


def rotation_faults(before: Sequence[WriterKeys], after: Sequence[WriterKeys], root_at: Callable[[int], bytes]) -> list[str]:
    """What is wrong with the rotations that came to count between two sets of keys: each has signed the root of the facts before it."""
    wrong = []
    for old, new in zip(before, after, strict=True):
        known = set(old.rotations())
        for at, root in new.rotations():
            if (at, root) not in known and root_at(at) != root:
                wrong.append(f"hands its key on over another root than that of the {at} facts before it")
    return list(dict.fromkeys(wrong))


def signed_checkpoint(note: bytes, *, origin: str, keys: Sequence[Key], writers: Sequence[WriterKeys] | None = None) -> Signed:
    """Open a checkpoint of this ledger with any key that may sign it. Raises `NotTrusted` with the reason.

    `writers`: the keys after the facts that it covers, where they are at hand.
    """
    why = f"no key of the writer of {origin} can be used"
    for writer in writer_keys(origin, keys) if writers is None else writers:
        name = next(era.key.name for era in writer.eras if era.key is not None)
        witnesses = dict.fromkeys(each.key for each in keys if each.role is KeyRole.WITNESS and not _same_node(each, origin, name))
        try:
            checkpoint, cosignatures = writer.open(note, witnesses=tuple(witnesses))
        except Refusal as trouble:
            why = str(trouble)
            continue
        said = tuple((each.witness, datetime.fromtimestamp(min(each.time, TIME_MAX), UTC)) for each in cosignatures)
        return Signed(checkpoint, name, said)
    raise NotTrusted("it is not good", why=why)


def _same_node(witness: Key, origin: str, writer: str) -> bool:
    """Nobody is a witness of what they write themselves."""
    return witness.name == written_by(origin) or (witness.key.name + "/").startswith(writer + "/")


# ---- readings ----


NOT_COUNTED = ((), (), ())  # in what version 1 sealed


def named_blocks(facts: Iterable[Fact]) -> dict[str, list[tuple[Fact, ReadingsSealed]]]:
    """Which facts name which block, by digest."""
    named: dict[str, list[tuple[Fact, ReadingsSealed]]] = {}
    for fact in facts:
        if isinstance(fact.payload, ReadingsSealed):
            named.setdefault(fact.payload.digest, []).append((fact, fact.payload))
    return named


def block_faults(data: bytes, digest: str, named: Sequence[tuple[Fact, ReadingsSealed]]) -> tuple[list[str], int]:
    """What is wrong with a block against every fact that names it, and how many readings it holds."""
    try:
        block = open_block(data, digest)
    except Refusal as trouble:
        return [f", sealed by {fact.ref}: {trouble}" for fact, _ in named] or [f": {trouble}"], 0
    inside = (block.batch, len(data), len(block.times), block.tags, block.times[:1], block.times[-1:], block.number, block.start)
    counted = tuple(map(tuple, quality_counts(block.values, block.quality).tolist()))
    wrong = [
        f" holds other readings than {fact.ref} says"
        for fact, each in named
        if inside != (each.batch, each.bytes, each.rows, each.tags, (each.first,), (each.last,), each.number, each.start)
        or (each.good, each.uncertain, each.bad) not in (counted, NOT_COUNTED)
    ]
    return wrong, block.values.size


def batches_about(facts: Sequence[Fact], about: str) -> set[str]:
    """The batches that a dossier is about: those that it names, and those of the lots that it names; else those of every released lot."""
    words = set(re.findall(r"[A-Za-z0-9-]+", about))
    pairs = [(str(getattr(fact.payload, "batch", "")), str(getattr(fact.payload, "lot", ""))) for fact in facts]
    named = {batch for batch, lot in pairs if batch and (batch in words or lot in words)}
    return named or {batch for fact, (batch, _) in zip(facts, pairs, strict=True) if fact.kind == RELEASED}
