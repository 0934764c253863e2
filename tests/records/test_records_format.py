"""The format page carries test vectors; this writes them and compares, so that page and software cannot drift.

To write them anew after a change that is meant: `python tests/records/test_records_format.py`.
"""

from __future__ import annotations

import base64
import struct
from hashlib import sha256
from pathlib import Path

import zstandard
from records_setup import AT, NODE, ORIGIN, WITNESS, WRITER, StepDone

from isogenic.ids import BatchId
from isogenic.records import blocks, dossier
from isogenic.records.facts import FACT_BYTES_MAX, encode_facts
from isogenic.records.keys import open_rotation, sign_rotation
from isogenic.records.merkle import Frontier, leaf_hash, node_hash
from isogenic.records.notes import Checkpoint, Signer, cosign, open_checkpoint, sign_checkpoint
from isogenic.records.sync import PAGE_BYTES_MAX, PAGE_FACTS, Page

PAGE = Path(__file__).parent.parent.parent / "docs" / "format.md"
BEGIN, END = "<!-- vectors begin: written by tests/records/test_records_format.py -->\n", "<!-- vectors end -->\n"
NEXT = Signer.from_seed(WRITER.name, b"\x07" * 32).verifying_key
STEPS = (("feed", 0.5), ('20 µm filter "B"', 1e-7), ("harvest", 37.0))


def vectors() -> str:
    bodies, _ = encode_facts([StepDone(BatchId("BAT-7K2M"), *step) for step in STEPS], ledger=ORIGIN, start=0, actor=NODE, moment=AT)
    leaves = [leaf_hash(body) for body in bodies]
    root = Frontier().extend(leaves).root()
    note = sign_checkpoint(Checkpoint(ORIGIN, 3, root), WRITER)
    line = cosign(note, witness=WITNESS, time=1_795_432_976)
    open_checkpoint(note + line, WRITER.verifying_key, witnesses=(WITNESS.verifying_key,))
    raw = zstandard.ZstdDecompressor().decompress(Page(ORIGIN, 0, tuple(bodies), note).to_bytes())
    text = "Three facts:\n\n```json\n" + "".join(body.decode() + "\n" for body in bodies) + "```\n\n"
    text += "Their leaves, and the root:\n\n```\n" + "".join(f"leaf {at}  {leaf.hex()}\n" for at, leaf in enumerate(leaves))
    text += f"root    {root.hex()}\n```\n\n"
    text += f"Writer and witness:\n\n```\n{WRITER.verifying_key}\n  fingerprint {WRITER.verifying_key.fingerprint}\n"
    text += f"{WITNESS.verifying_key}\n  fingerprint {WITNESS.verifying_key.fingerprint}\n```\n\n"
    text += f"The checkpoint, cosigned at 1795432976:\n\n```\n{(note + line).decode()}```\n\n"
    text += f"The page that carries them (without the cosignature), before compression: {len(raw)} bytes, SHA-256\n`{sha256(raw).hexdigest()}`.\n"
    rotated = sign_rotation(ORIGIN, size=3, root=root, old=WRITER, new=NEXT)
    assert open_rotation(rotated, by=WRITER.verifying_key, origin=ORIGIN, position=3) == (root, NEXT)
    text += f"\nThe word of the writer's key for the next, at position 3 (the new private key is 32 bytes of 0x07):\n\n```\n{rotated.note}```\n"
    return text


def test_vectors_on_the_page_are_those_of_the_software() -> None:
    page = PAGE.read_text()
    assert page[page.index(BEGIN) + len(BEGIN) : page.index(END)] == vectors()


def test_a_stranger_gets_the_same_from_the_page_alone() -> None:
    """A second reading of the format, with the standard library only."""
    page = PAGE.read_text().split("## 10. Test vectors")[1]
    fenced = page.split("```")[1::2]
    facts = fenced[0].removeprefix("json\n").encode().splitlines()
    leaves = [sha256(b"\0" + fact).digest() for fact in facts]
    root = sha256(b"\1" + sha256(b"\1" + leaves[0] + leaves[1]).digest() + leaves[2]).digest()
    assert [line.split()[-1] for line in fenced[1].strip().splitlines()] == [each.hex() for each in (*leaves, root)]
    assert node_hash(node_hash(leaves[0], leaves[1]), leaves[2]) == root
    note = fenced[3].removeprefix("\n")
    origin, size, said, *_ = note.split("\n")
    assert (origin, size, base64.b64decode(said)) == (ORIGIN, "3", root)
    name, hashed, encoded = fenced[2].strip().splitlines()[0].split("+", 2)
    key = base64.b64decode(encoded)
    assert sha256(name.encode() + b"\n" + key).digest()[:4].hex() == hashed
    checkpoint = note[: note.rindex("— " + WITNESS.name)]
    raw = struct.pack(">H", len(origin)) + origin.encode() + struct.pack(">QQ", 0, 3)
    raw += b"".join(struct.pack(">H", len(fact)) + fact for fact in facts) + checkpoint.encode()
    assert sha256(raw).hexdigest() in page


def test_the_page_names_the_forms_that_the_software_writes() -> None:
    page = PAGE.read_text()
    assert f"`{dossier.FORMAT}`" in page
    assert f"`{blocks.FORMAT.decode()}`" in page
    assert f"`{blocks.ReadingsSealed.fact_name}`" in page  # type: ignore[attr-defined]
    assert f"{FACT_BYTES_MAX:,} bytes" in page
    assert f"at most {PAGE_FACTS}" in page
    assert f"{PAGE_BYTES_MAX >> 20} MiB" in page
    for role in dossier.KeyRole:
        assert f"`{role}`" in page


if __name__ == "__main__":
    before = PAGE.read_text()
    PAGE.write_text(before[: before.index(BEGIN) + len(BEGIN)] + vectors() + before[before.index(END) :])
