"""Statements for strangers: what is said, who may have it said, and that it verifies from files and public keys alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from random import Random

import cbor2
import pytest
from cwt import COSE, COSEKey
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from isogenic.checks import stops
from isogenic.cli import app
from isogenic.errors import NotAllowed, NotFound
from isogenic.network.inspection import inspect
from isogenic.network.statements import StatementKind, export_statement
from isogenic.records import codec
from isogenic.records.cose import encode, read_sign1, sign1
from isogenic.records.dossier import Key, KeyRole
from isogenic.records.merkle import Frontier, leaf_hash
from isogenic.records.statements import StatementReport, make_receipt, make_statement, verify_statement, with_receipts
from isogenic.sim.world import password_of
from released_lot import copy_of, released
from small_network import ADA, BEN, LEEDS, LOT, OPERATORS, QUI, SEED, Network, signer_of

RECEIPTS, VDS, VDP, CLAIMS = 394, 395, 396, 15


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    net = Network(copy_of("net", tmp_path_factory.mktemp("stated")))
    yield net
    net.close_site(LEEDS)
    net.close_control()


@pytest.fixture(scope="module")
def keys() -> str:
    """What an inspector got another way: the control site's and the sites' keys."""
    return "".join(key.line() for key in inspect(released() / "dossier").keys) + "".join(key.line() for key in inspect(released() / "net").keys)


def about(net: Network, kind: StatementKind) -> str:
    batch = str(net.control.state.lot(LOT).batch)
    return {"recipe_release": "MAB-FB/1", "batch_complete": batch, "lot_decision": str(LOT), "model_release": "MAB-A"}[kind]


def state(net: Network, kind: StatementKind = StatementKind.LOT_DECISION) -> bytes:
    return export_statement(net.control, net.person(QUI), kind, about=about(net, kind))


def why(report: StatementReport) -> str:
    return "; ".join(note.text for note in stops(report.notes))


@pytest.mark.parametrize("kind", list(StatementKind))
def test_each_statement_verifies_from_its_bytes_and_public_keys(net: Network, keys: str, kind: StatementKind) -> None:
    report = verify_statement(state(net, kind), keys=keys)
    assert (report.notes, report.kind, report.issuer) == ((), str(kind), "aster/CONTROL")
    (proof,) = report.proofs
    ledger = "aster/CONTROL/LEEDS" if kind in ("batch_complete", "lot_decision") else "aster/CONTROL/HOUSE"
    held = net.control.ledger(ledger)
    assert (proof.ledger, proof.position, proof.size, proof.root) == (ledger, held.size - 1, held.size, held.root)
    assert str(report).startswith("VERIFIED: aster/CONTROL states, at ")


def test_what_is_said_of_a_lot_is_what_was_decided(net: Network, keys: str) -> None:
    says = verify_statement(state(net), keys=keys).says
    decided = net.control.state.decisions[LOT]
    assert (says["decision"], says["batch"], says["signature"]) == ("released", str(decided.batch), codec.plain(decided.signature))
    body = net.control.ledgers["LEEDS"].store.bodies(says["noted"]["position"], says["noted"]["position"] + 1)[0]
    assert leaf_hash(body).hex() == says["noted"]["leaf"]


def test_what_is_said_of_a_batch_is_what_is_held(net: Network, keys: str) -> None:
    report = verify_statement(state(net, StatementKind.BATCH_COMPLETE), keys=keys)
    record, copy = net.control.state.lot(LOT), net.control.ledger("aster/LEEDS/ASTER-BIO")
    told = report.says["ledger"]
    assert record.manifest is not None
    assert (report.says["facts"], told["origin"]) == (record.manifest.claimed, copy.origin)
    assert [each["sha256"] for each in report.says["blocks"]] == [each.digest for each in record.blocks]
    root = Frontier().extend([leaf_hash(body) for body in copy.store.bodies(0, told["size"])]).root()
    assert root.hex() == told["root"]


def test_no_text_of_a_recipe_and_no_result_goes_to_strangers(net: Network) -> None:
    said = b"".join(state(net, kind) for kind in StatementKind)
    assert all(word not in said for word in (b"degC", b"titre", b"feed", b"5.2 g/L"))


def test_who_may_not_export_is_told_so_and_nothing_is_noted(net: Network) -> None:
    before = [ledger.size for ledger in net.control.ledgers.values()]
    for person in (ADA, OPERATORS[LEEDS]):
        with pytest.raises(NotAllowed, match="cannot export a statement"):
            export_statement(net.control, net.person(person), StatementKind.LOT_DECISION, about=str(LOT))
    for kind, name in (("lot_decision", "LOT-9"), ("recipe_release", "MAB-FB/2"), ("batch_complete", "BAT-NONE"), ("model_release", "MAB-Z")):
        with pytest.raises(NotFound):
            export_statement(net.control, net.person(BEN), StatementKind(kind), about=name)
    assert [ledger.size for ledger in net.control.ledgers.values()] == before


def test_another_library_verifies_statement_and_receipt(net: Network) -> None:
    """With `cwt` for the signatures and nothing of ours for the tree."""
    data = state(net)
    signer = net.control.ledgers["LEEDS"].signer
    kid = f"{signer.name}+{signer.verifying_key.key_id.hex()}".encode()
    key = COSEKey.new({1: 1, 3: -8, -1: 6, -2: signer.verifying_key.public, 2: kid})
    protected, unprotected, payload = COSE.new().decode_with_headers(data, key)
    assert (protected[CLAIMS][1], protected[CLAIMS][2], json.loads(payload)["kind"]) == ("aster/CONTROL", f"lot {LOT}", "lot_decision")
    (receipt,) = unprotected[RECEIPTS]
    parts = cbor2.loads(receipt).value
    assert (cbor2.loads(parts[0])[VDS], parts[2]) == (1, None)
    size, index, path = cbor2.loads(parts[1][VDP][-1][0])
    fact = parts[1]["isogenic fact"]
    node, last, digest = index, size - 1, sha256(b"\0" + fact).digest()
    for sibling in path:  # RFC 9162 2.1.3.2
        if node & 1 or node == last:
            digest = sha256(b"\1" + sibling + digest).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            digest = sha256(b"\1" + digest + sibling).digest()
        node, last = node >> 1, last >> 1
    assert COSE.new().decode(receipt, key, detached_payload=digest) == digest
    bare = cbor2.loads(data).value
    assert sha256(b"\xd2" + cbor2.dumps([bare[0], {}, bare[2], bare[3]])).hexdigest() == json.loads(fact)["body"]["digest"]


def test_no_changed_byte_passes_unless_it_is_in_no_signature(net: Network, keys: str) -> None:
    """Every part of a transparent statement is under a signature or under the root: no change at all passes."""
    data, dice = state(net), Random(4713)
    for _ in range(400):
        at = dice.randrange(len(data))
        changed = data[:at] + bytes([data[at] ^ dice.randrange(1, 256)]) + data[at + 1 :]
        report = verify_statement(changed, keys=keys)
        assert stops(report.notes), at
    for cut in range(0, len(data), 97):
        assert stops(verify_statement(data[:cut], keys=keys).notes)
    assert stops(verify_statement(data + b"\0", keys=keys).notes)


def test_keys_that_are_not_on_the_list_are_not_believed(net: Network, keys: str) -> None:
    data = state(net)
    without = "".join(line + "\n" for line in keys.splitlines() if not line.startswith("dossier "))
    assert why(verify_statement(data, keys=without)) == "statement refused: the key of the issuer aster/CONTROL is not on your list"
    writers = "".join(line + "\n" for line in keys.splitlines() if line.startswith("dossier "))
    assert "the key of the writer of aster/CONTROL/LEEDS is not on your list" in why(verify_statement(data, keys=writers))
    bare = f"{net.control.ledgers['LEEDS'].signer.verifying_key}\n"  # a key alone on a line: it speaks in its own name
    assert verify_statement(data, keys=bare).ok


def test_a_forger_cannot_issue_in_the_control_sites_name(net: Network, keys: str) -> None:
    forger = signer_of(QUI)  # on the list, as a person's
    forged = make_statement("lot_decision", "lot LOT-2", {"decision": "released"}, signer=forger, at=net.clock.at)
    assert not verify_statement(forged.to_bytes(), keys=keys).ok
    claims = {1: "aster/CONTROL", 2: "lot LOT-2", 6: 0}
    named = sign1(forged.payload or b"", forger, header={3: forged.header[3], CLAIMS: claims})
    assert not verify_statement(named.to_bytes(), keys=keys).ok


def test_a_receipt_of_another_statement_another_place_or_another_tree_is_refused(net: Network, keys: str) -> None:
    one, other = read_sign1(state(net)), read_sign1(state(net, StatementKind.BATCH_COMPLETE))
    swapped = replace(one, unprotected=other.unprotected).to_bytes()
    assert why(verify_statement(swapped, keys=keys)) == "receipt refused: its fact notes another statement"
    receipt = read_sign1(one.unprotected[RECEIPTS][0])
    size, index, path = cbor2.loads(receipt.unprotected[VDP][-1][0])
    for proof in (
        [size, index - 1, path],
        [size, index, path[:-1]],
        [size + 1, index, path],
        [index, index, path],
        [size, index, [*path, bytes(32)]],
    ):
        moved = replace(receipt, unprotected={**receipt.unprotected, VDP: {-1: [encode(proof)]}})
        assert not verify_statement(with_receipts(one, moved), keys=keys).ok
    writer = net.control.ledgers["LEEDS"].signer
    alone = make_receipt(receipt.unprotected["isogenic fact"], ledger="aster/CONTROL/LEEDS", index=0, size=1, path=[], signer=writer)
    assert "at 0" in why(verify_statement(with_receipts(one, alone), keys=keys))
    without = verify_statement(one.bare(), keys=keys)
    assert (without.ok, [note.text for note in without.notes]) == (True, ["it carries no receipt, so nothing shows that its issuer has noted it"])
    assert not verify_statement(replace(one, unprotected={RECEIPTS: [], "more": 1}).to_bytes(), keys=keys).ok


def test_a_cosigned_checkpoint_in_a_receipt_names_its_witness(net: Network, keys: str) -> None:
    one = read_sign1(state(net))
    asyncio.run(net.carry())
    ledger = net.control.ledgers["LEEDS"]
    size, note = ledger.store.receipt() or (0, b"")
    receipt = read_sign1(one.unprotected[RECEIPTS][0])
    assert size == ledger.size
    cosigned = replace(receipt, unprotected={**receipt.unprotected, "isogenic checkpoint": note})
    report = verify_statement(with_receipts(one, cosigned), keys=keys)
    assert (report.ok, [name for name, _ in report.proofs[0].witnesses]) == (True, ["aster/LEEDS/witness"])
    older = ledger.store.checkpoint_at_or_before(size - 1)
    assert older is not None
    stale = replace(receipt, unprotected={**receipt.unprotected, "isogenic checkpoint": older[1]})
    assert why(verify_statement(with_receipts(one, stale), keys=keys)) == "receipt refused: the checkpoint in it is for another tree"


def test_a_forged_checkpoint_of_the_sites_ledger_is_refused(net: Network, keys: str) -> None:
    says = dict(verify_statement(state(net, StatementKind.BATCH_COMPLETE), keys=keys).says)
    signer = net.control.ledgers["HOUSE"].signer
    for changed in ({"size": 1}, {"root": "00" * 32}, {"origin": "aster/LEEDS/HOUSE"}):
        told = {**says, "ledger": {**says["ledger"], **changed}}
        data = make_statement("batch_complete", "batch BAT-1", told, signer=signer, at=net.clock.at).to_bytes()
        assert not verify_statement(data, keys=keys).ok
    only = "".join(Key(KeyRole.DOSSIER, "CONTROL", signer.verifying_key).line())
    data = make_statement("batch_complete", "batch BAT-1", says, signer=signer, at=net.clock.at).to_bytes()
    assert "its own signature was not checked" in " ".join(note.text for note in verify_statement(data, keys=only).notes)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_bytes_end_in_a_report(data: st.DataObject) -> None:
    good = data.draw(st.sampled_from([b"", b"\xd2\x84", encode([b"", {}, b"", b""])]))
    found = verify_statement(good + data.draw(st.binary(max_size=80)), keys=f"{signer_of(QUI).verifying_key}\n")
    assert not found.ok
    assert found.plain()["verified"] is False
    assert str(found).startswith("NOT VERIFIED")


def test_the_commands_export_and_verify(tmp_path: Path, keys: str) -> None:
    folder, out, listed = copy_of("net/CONTROL", tmp_path), tmp_path / "lot.cose", tmp_path / "keys.txt"
    listed.write_text(keys)
    run = CliRunner()
    asked = ["statement", "export", str(folder), "lot_decision", str(LOT), "--out", str(out)]
    env = {"ISOGENIC_PASSWORD": password_of(QUI, SEED)}
    done = run.invoke(app, [*asked, "--person", "QUI"], env=env)
    assert done.exit_code == 0, done.output
    good = run.invoke(app, ["statement", "verify", str(out), "--keys", str(listed), "--json"])
    assert (good.exit_code, json.loads(good.stdout)["statement"]["subject"]) == (0, f"lot {LOT}")
    data = out.read_bytes()
    out.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    bad = run.invoke(app, ["statement", "verify", str(out), "--keys", str(listed)])
    assert (bad.exit_code, bad.stdout[:12]) == (4, "NOT VERIFIED")
    refused = run.invoke(app, [*asked, "--person", "BEN"], env=env)
    assert "wrong" in str(refused.exception)
    assert inspect(folder).ok
