"""The page about statements carries a test vector; this writes it and compares, so that page and software cannot drift.

To write it anew after a change that is meant: `python tests/records/test_records_statements.py`.
"""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import cbor2
from records_setup import AT, NODE, WRITER, steps

from isogenic.ids import PersonId
from isogenic.network.facts import StatementIssued
from isogenic.records.facts import FactRef, encode_fact
from isogenic.records.merkle import inclusion_proof, leaf_hash
from isogenic.records.statements import make_receipt, make_statement, statement_digest, verify_statement, with_receipts

PAGE = Path(__file__).parents[2] / "docs" / "statements.md"
BEGIN, END = "<!-- vectors begin: written by tests/records/test_records_statements.py -->\n", "<!-- vectors end -->\n"
LEDGER = "example.org/leeds/acme"


def message() -> tuple[bytes, bytes, bytes]:
    """A statement without and with its receipt, and the fact that notes it."""
    at = datetime(2026, 11, 23, 11, 22, 56, 123000, UTC)
    statement = make_statement("lot_decision", "lot LOT-1", {"decision": "released"}, signer=WRITER, at=at)
    issued = StatementIssued("lot LOT-1", "lot_decision", statement_digest(statement), PersonId("QUI"))
    facts = [encode_fact(step, ref=FactRef(LEDGER, place), actor=NODE, moment=AT) for place, step in enumerate(steps(2))]
    facts.append(encode_fact(issued, ref=FactRef(LEDGER, 2), actor=NODE, moment=AT))
    leaves = [leaf_hash(fact) for fact in facts]
    path = inclusion_proof(leaves.__getitem__, 2, 3)
    receipt = make_receipt(facts[2], ledger=LEDGER, index=2, size=3, path=path, signer=WRITER)
    return statement.bare(), with_receipts(statement, receipt), facts[2]


def vectors() -> str:
    bare, whole, fact = message()
    text = f"A statement by `{WRITER.verifying_key}`, whose private key is the SHA-256 of its name, without a receipt ({len(bare)} bytes):\n\n"
    text += "```\n" + "\n".join(textwrap.wrap(bare.hex(), 100)) + f"\n```\n\nIts digest: `{sha256(bare).hexdigest()}`. The fact that notes it:\n\n"
    text += f"```json\n{fact.decode()}\n```\n\nWith a receipt for that fact, the third of three ({len(whole)} bytes):\n\n"
    return text + "```\n" + "\n".join(textwrap.wrap(whole.hex(), 100)) + "\n```\n"


def test_the_vector_on_the_page_is_that_of_the_software() -> None:
    page = PAGE.read_text()
    assert page[page.index(BEGIN) + len(BEGIN) : page.index(END)] == vectors()


def test_the_vector_verifies_and_another_library_reads_it() -> None:
    bare, whole, fact = message()
    report = verify_statement(whole, keys=f"{WRITER.verifying_key}\n")
    assert (report.notes, report.digest, report.proofs[0].position) == ((), sha256(bare).hexdigest(), 2)
    (receipt,) = cbor2.loads(whole).value[1][394]
    assert cbor2.loads(receipt).value[1]["isogenic fact"] == fact


if __name__ == "__main__":
    before = PAGE.read_text()
    PAGE.write_text(before[: before.index(BEGIN) + len(BEGIN)] + vectors() + before[before.index(END) :])
