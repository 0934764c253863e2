"""Both verifiers say the same of what somebody could write who holds the keys of the nodes, and not those of people.

The released lot's facts are changed, and all of it is hashed, signed and cosigned anew: no digest and no node's
signature tells. What is left are places, forms, people's signatures, records and keys that change.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest
from verifier import verify

from authenticator import Authenticator
from isogenic.authority.identities import PasskeyEnrolled
from isogenic.authority.passkeys import passkey_digest
from isogenic.authority.people import Passkey, Role
from isogenic.authority.revocation import KeyRevoked, revocation_digest
from isogenic.authority.signatures import Intent, PasskeyPen, passkey_statement, sign
from isogenic.clock import ManualClock
from isogenic.ids import NodeId, SiteId
from isogenic.network.decisions import directory  # noqa: F401 (registers every kind of fact)
from isogenic.network.inspection import inspect
from isogenic.quality.release import LotReleased, noted_release_digest
from isogenic.records import codec
from isogenic.records.blobs import BlobStore
from isogenic.records.dossier import Key, KeyRole, LedgerPart, parse_keys, write_dossier
from isogenic.records.facts import Actor, FactRef, decode_fact, encode_fact
from isogenic.records.keys import sign_rotation
from isogenic.records.ledger import Ledger
from isogenic.records.merkle import Frontier, leaf_hashes
from isogenic.records.notes import Checkpoint, Signer, cosign, sign_checkpoint
from isogenic.records.signatures import PasskeyEvidence
from isogenic.records.sqlite import SqliteStore
from isogenic.sim.world import signers
from released_lot import released
from small_network import LEEDS, NETWORK, QUI, SEED, START, signer_of

SITE, CONTROL = "aster/LEEDS/ASTER-BIO", "aster/CONTROL/LEEDS"
NODE = Actor.node(NodeId(LEEDS))
Facts = list[bytes]
Change = Callable[[Facts, Facts], None]
NOW = ManualClock(START).now()
OTHER = b"another credential of a test"


def bodies() -> tuple[Facts, Facts]:
    folder = released() / "dossier/ledgers"
    site, control = ([*path.read_bytes().splitlines()] for path in sorted(folder.glob("*.jsonl")))
    return site, control


def write(folder: Path, site: Facts, control: Facts, *, note: Callable[[Facts], bytes] | None = None, **changed: Any) -> Path:
    """A dossier of these facts, with every signature that a node gives."""
    parts = []
    for origin, facts, node, witness in ((SITE, site, "LEEDS", "CONTROL"), (CONTROL, control, "CONTROL", "LEEDS")):
        signer, other = signers(SEED, NETWORK, node)[0], signers(SEED, NETWORK, witness)[1]
        store = SqliteStore(folder / f"{node}.sqlite", origin=origin)
        Ledger(store, signer=signer).append_bytes(facts)
        head = store.head()
        assert head is not None
        signed = note(facts) if note and node == "LEEDS" else head.note
        parts.append(LedgerPart(store, head.size, signed + cosign(signed, witness=other, time=5)))
    given: dict[str, Any] = {
        "ledgers": parts,
        "blobs": BlobStore(released() / "net/LEEDS/blobs"),
        "blocks": [path.stem for path in (released() / "dossier/blocks").iterdir()],
        "documents": {},
        "keys": parse_keys((released() / "dossier/keys.txt").read_text()),
        "signer": signers(SEED, NETWORK, "CONTROL")[0],
        "about": "lot LOT-0001",
        "made_at": START,
    }
    write_dossier(folder / "dossier", **{**given, **changed})
    return folder / "dossier"


def verdicts(path: Path) -> tuple[bool, bool]:
    return inspect(path).ok, verify(path) == []


def edit(facts: Facts, kind: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the last fact of a kind."""
    at = max(at for at, body in enumerate(facts) if f'"kind":"{kind}"'.encode() in body)
    said = json.loads(facts[at])
    change(said["body"])
    facts[at] = codec.dumps(said)


def add(facts: Facts, kind: str, body: object, **envelope: object) -> None:
    said = {**json.loads(facts[0]), "kind": kind, "body": body, "subject": "x", "pos": len(facts), **envelope}
    facts.append(orjson.dumps(said, option=orjson.OPT_SORT_KEYS))


def move(kind: str, source: Facts, target: Facts, origin: str) -> None:
    at = max(at for at, body in enumerate(source) if f'"kind":"{kind}"'.encode() in body)
    target.append(codec.dumps({**json.loads(source[at]), "ledger": origin, "pos": len(target)}))


def deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


FINE: dict[str, Change] = {
    "nothing": lambda site, control: None,
    "a kind that nobody knows": lambda site, control: add(site, "future.done", {"text": "é", "count": 2**63, "null": None, "list": [-1, True, {}]}),
    "a version that nobody knows": lambda site, control: add(site, "batch.alarm_raised", {"other": 1}, v=9),
    "control characters and signs": lambda site, control: add(site, "future.done", {"text": 'a\n\t\b\f\r"\\/\u001f\u007f\u2028'}),
    "a list that is deep": lambda site, control: add(site, "future.done", deep_table(200)),
}


def deep_table(levels: int) -> dict[str, Any]:
    return {"deep": deep(levels)}


def unsigned(person: str, digest: str) -> dict[str, Any]:
    """A signature of zero bytes."""
    said = {"printed_name": "Somebody Else", "role": "qualified_person", "meaning": "erasure ordered", "at": "2026-03-17T00:32:58.000Z"}
    return {"person": person, "digest": digest, "key": "", "signature": base64.b64encode(bytes(64)).decode(), **said}


def erasure() -> dict[str, Any]:
    return {"code": "IDC-0000", "why": "because", "signature": {**unsigned("BEN", "0" * 64), "method": "password", "evidence": None}}


def raw(facts: Facts, old: bytes, new: bytes) -> None:
    """Bytes that no writer of ours would write."""
    add(facts, "future.done", {"text": "here"})
    assert old in facts[-1]
    facts[-1] = facts[-1].replace(old, new)


WRONG: dict[str, Change] = {
    "a release for another root": lambda site, control: edit(control, "quality.lot_released", lambda body: body.update(record_root="0" * 64)),
    "a release for fewer facts": lambda site, control: edit(control, "quality.lot_released", lambda body: body.update(record_size=50)),
    "a release without a note": lambda site, control: edit(control, "quality.lot_released", lambda body: body["notes"].pop()),
    "a release of another lot": lambda site, control: edit(control, "quality.lot_released", lambda body: body.update(lot="LOT-0002")),
    "a signature with another name": lambda site, control: edit(
        control, "quality.lot_released", lambda body: body["signature"].update(printed_name="Nobody")
    ),
    "a signature in another role": lambda site, control: edit(control, "quality.lot_released", lambda body: body["signature"].update(role="quality")),
    "a signature that means something else": lambda site, control: edit(
        control, "quality.lot_released", lambda body: body["signature"].update(meaning="rejected")
    ),
    "a signature at another time": lambda site, control: edit(
        control, "quality.lot_released", lambda body: body["signature"].update(at="2026-03-17T00:32:58.000Z")
    ),
    "a signature by another": lambda site, control: edit(control, "quality.lot_released", lambda body: body["signature"].update(person="BEN")),
    "a signature by a method unknown": lambda site, control: edit(
        control, "quality.lot_released", lambda body: body["signature"].update(method="telepathy")
    ),
    "a recipe with another text": lambda site, control: edit(control, "recipe.published", lambda body: body.update(text=body["text"] + " ")),
    "a recipe that its author approved": lambda site, control: edit(
        control, "recipe.published", lambda body: body.update(approvals=[body["approvals"][0]] * 2)
    ),
    "a release in the site's own ledger": lambda site, control: move("quality.lot_released", control, site, SITE),
    "a directory in the site's own ledger": lambda site, control: move("authority.directory_published", control, site, SITE),
    "a release of a version unknown": lambda site, control: control.__setitem__(-1, control[-1].replace(b'"v":1}', b'"v":2}')),
    "a block of fewer rows": lambda site, control: edit(site, "records.readings_sealed", lambda body: body.update(rows=body["rows"] - 1)),
    "a block of other tags": lambda site, control: edit(site, "records.readings_sealed", lambda body: body["tags"].reverse()),
    "a block of another batch": lambda site, control: edit(site, "records.readings_sealed", lambda body: body.update(batch="BAT-OTHER")),
    "a block that began later": lambda site, control: edit(site, "records.readings_sealed", lambda body: body.update(first=body["last"])),
    "a signature in a kind unknown": lambda site, control: add(control, "future.signed", {"list": [unsigned("ANNA", "0" * 64)]}),
    "an erasure signed with noughts": lambda site, control: add(control, "vault.erasure_ordered", erasure()),
    "an erasure of a version unknown": lambda site, control: add(control, "vault.erasure_ordered", erasure(), v=2),
    "a record cut off": lambda site, control: site.__delitem__(slice(50, None)),
    "a fact of another place": lambda site, control: site.append(site[3]),
    "a fact of another ledger": lambda site, control: site.append(control[0].replace(b'"pos":0', b'"pos":%d' % len(site))),
    "a key that is there twice": lambda site, control: raw(site, b'"text":"here"', b'"text":"gone","text":"here"'),
    "keys out of order": lambda site, control: raw(site, b'{"text":"here"}', b'{"text":"here","a":1}'),
    "white space": lambda site, control: raw(site, b'"text":"here"', b'"text": "here"'),
    "a number with a fraction": lambda site, control: raw(site, b'"text":"here"', b'"text":1.5'),
    "a number with an exponent": lambda site, control: raw(site, b'"text":"here"', b'"text":1e3'),
    "a number of more than 64 bits": lambda site, control: raw(site, b'"text":"here"', b'"text":18446744073709551616'),
    "a number that begins with nought": lambda site, control: raw(site, b'"text":"here"', b'"text":-0'),
    "text that is not in NFC": lambda site, control: raw(site, b'"text":"here"', '"text":"e\u0301"'.encode()),
    "a key that is not in NFC": lambda site, control: raw(site, b'"text":"here"', '"e\u0301":"here"'.encode()),
    "an escape that is not needed": lambda site, control: raw(site, b'"text":"here"', b'"text":"\\u0068ere"'),
    "an escape in capitals": lambda site, control: raw(site, b'"text":"here"', b'"text":"\\u001F"'),
    "half a surrogate": lambda site, control: raw(site, b'"text":"here"', b'"text":"\\ud800"'),
    "bytes that are not UTF-8": lambda site, control: raw(site, b'"text":"here"', b'"text":"\xff"'),
    "no number at all": lambda site, control: raw(site, b'"text":"here"', b'"text":NaN'),
    "a list that is too deep": lambda site, control: raw(site, b'"text":"here"', b'"text":' + b"[" * 300 + b"]" * 300),
    "a time that is none": lambda site, control: add(site, "future.done", {}, at="2026-02-30T00:00:00.000Z"),
    "a time without milliseconds": lambda site, control: add(site, "future.done", {}, at="2026-02-20T00:00:00Z"),
    "a clock of quality unknown": lambda site, control: add(site, "future.done", {}, clock={"offset_ms": None, "quality": "fine", "source": "x"}),
    "an actor with more": lambda site, control: add(site, "future.done", {}, actor={"id": "a", "method": "b", "role": "c", "more": "d"}),
    "an envelope with more": lambda site, control: add(site, "future.done", {}, more=1),
    "a body that is a list": lambda site, control: add(site, "future.done", []),
    "a version of nought": lambda site, control: add(site, "future.done", {}, v=0),
    "a position that is true": lambda site, control: raw(site, b'"pos":%d' % len(site), b'"pos":true'),
}


@pytest.mark.parametrize("name", FINE)
def test_both_take_what_is_in_order(tmp_path: Path, name: str) -> None:
    site, control = bodies()
    FINE[name](site, control)
    assert verdicts(write(tmp_path, site, control)) == (True, True)


@pytest.mark.parametrize("name", WRONG)
def test_both_refuse_what_is_wrong_although_every_node_has_signed_it(tmp_path: Path, name: str) -> None:
    site, control = bodies()
    WRONG[name](site, control)
    assert verdicts(write(tmp_path, site, control)) == (False, False)


# ---- keys that change ----


def note_by(signer: Signer) -> Callable[[Facts], bytes]:
    return lambda facts: sign_checkpoint(Checkpoint(SITE, len(facts), Frontier().extend(leaf_hashes(facts)).root()), signer)


def rotated(site: Facts, *, over: Facts | None = None, by: Signer | None = None) -> Signer:
    """The site takes a new key at this place; gives it."""
    old, new = signers(SEED, NETWORK, "LEEDS")[0], Signer.from_seed("aster/LEEDS", bytes(32))
    root = Frontier().extend(leaf_hashes(site if over is None else over)).root()
    payload = sign_rotation(SITE, size=len(site), root=root, old=by or old, new=new.verifying_key)
    site.append(encode_fact(payload, ref=FactRef(SITE, len(site)), actor=NODE, moment=NOW))
    return new


def test_both_follow_a_key_that_was_handed_on_and_no_other(tmp_path: Path) -> None:
    old = signers(SEED, NETWORK, "LEEDS")[0]
    for name, by_new, expected in (("new", True, True), ("old", False, False)):
        site, control = bodies()
        new = rotated(site)
        add(site, "future.done", {})
        assert verdicts(write(tmp_path / name, site, control, note=note_by(new if by_new else old))) == (expected, expected), name
    stranger = Signer.from_seed("aster/LEEDS", bytes([1]) * 32)
    for name, changed in (("over another root", {"over": []}), ("by a stranger", {"by": stranger})):
        site, control = bodies()
        new = rotated(site, **changed)  # type: ignore[arg-type]
        assert verdicts(write(tmp_path / name, site, control, note=note_by(new))) == (False, False), name


# ---- signatures by passkey ----


def by_passkey(control: Facts, device: Authenticator, *, over: str = "") -> None:
    """The release is signed by passkey instead; the passkey was enrolled before."""
    at = len(control) - 1
    made = decode_fact(control.pop()).payload
    assert isinstance(made, LotReleased)
    passkey = Passkey(device.id, device.public(), device.domain, "Blue key")
    people = next(fact.payload for body in control if (fact := decode_fact(body)).kind == "authority.directory_published")
    person = people.directory.people[QUI]  # type: ignore[attr-defined]
    role = Role.QUALIFIED_PERSON
    first = sign(signer_of(QUI), person, role=role, meaning="enrolled", at=START, digest=passkey_digest(QUI, passkey))
    control.append(encode_fact(PasskeyEnrolled(QUI, passkey, first), ref=FactRef(CONTROL, at), actor=NODE, moment=NOW))
    digest, nonce = noted_release_digest(made), "0c" * 16
    asked = Intent(QUI, person.printed_name, str(role), "released", START, digest)
    text = passkey_statement(QUI, role=str(role), meaning="released", at=START, digest=over or digest, nonce=nonce)
    data, client, answer = (base64.b64encode(each).decode() for each in device.answer(sha256(text).digest()))
    signature = PasskeyPen(asked, passkey, PasskeyEvidence(device.id, data, client, nonce), answer).sign(person, asked)
    body = encode_fact(replace(made, signature=signature), ref=FactRef(CONTROL, at + 1), actor=NODE, moment=NOW)
    control.append(body)


@pytest.mark.parametrize("kind", ["p256", "ed25519", "rsa"])
def test_both_verify_a_release_by_passkey(tmp_path: Path, kind: str) -> None:
    site, control = bodies()
    by_passkey(control, Authenticator(kind=kind, credential=f"credential of {kind}".encode()))
    assert verdicts(write(tmp_path, site, control)) == (True, True)


@pytest.mark.parametrize(
    ("device", "over"),
    [
        (Authenticator(credential=OTHER), "00" * 32),
        (Authenticator(credential=OTHER, flags=1), ""),
        (Authenticator(credential=OTHER, origin="http://evil.example"), ""),
        (Authenticator(credential=OTHER, origin="https://localhost.evil.example"), ""),
    ],
)
def test_both_refuse_a_passkey_that_signed_something_else_or_elsewhere(tmp_path: Path, device: Authenticator, over: str) -> None:
    site, control = bodies()
    by_passkey(control, device, over=over)
    assert verdicts(write(tmp_path, site, control)) == (False, False)


# ---- lists of keys ----


def test_both_read_a_list_of_keys_the_same() -> None:
    path = released() / "dossier"
    keys = parse_keys((path / "keys.txt").read_text())
    whole = [key.line() for key in keys]
    bare = [f"{key.key}\n" if key.role in (KeyRole.WRITER, KeyRole.PERSON) else key.line() for key in keys]
    lists = {
        "whole": (whole, True),
        "writers and people bare": (bare, True),
        "all bare": ([f"{key.key}\n" for key in keys], False),
        "none": ([], False),
        "other names": ([Key(key.role, "OTHER", key.key).line() for key in keys], False),
        **{f"without {role}": ([key.line() for key in keys if key.role is not role], False) for role in KeyRole},
    }
    for name, (lines, expected) in lists.items():
        text = "".join(lines)
        assert (inspect(path, keys=text).ok, verify(path, text) == []) == (expected, expected), name


def test_both_believe_a_revoked_key_for_the_sizes_that_a_list_names_and_no_more(tmp_path: Path) -> None:
    site, control = bodies()
    old, new = signers(SEED, NETWORK, "LEEDS")[0], Signer.from_seed("aster/LEEDS", bytes(32))
    others = [key for key in parse_keys((released() / "dossier/keys.txt").read_text()) if key.name != SITE]
    size = len(site)
    cases = {
        "the old key to the end": ([(old, 0, size)], old, True),
        "the old key, ended before": ([(old, 0, size - 1)], old, False),
        "the new key beyond": ([(old, 0, size - 1), (new, size, None)], new, True),
        "the old key, where the new counts": ([(old, 0, size - 1), (new, size, None)], old, False),
        "the new key, where the old counts": ([(old, 0, size), (new, size + 1, None)], new, False),
        "the new key, beyond a gap": ([(old, 0, 3), (new, size, None)], new, True),
        "nobody in a gap": ([(old, 0, 3), (new, size + 1, None)], new, False),
    }
    for at, (name, (lines, by, expected)) in enumerate(cases.items()):
        keys = [*others, *(Key(KeyRole.WRITER, SITE, signer.verifying_key, "", first, last) for signer, first, last in lines)]
        path = write(tmp_path / str(at), site, control, note=note_by(by), keys=keys)
        assert verdicts(path) == (expected, expected), name


def test_both_refuse_a_list_that_is_older_than_a_revocation(tmp_path: Path) -> None:
    site, control = bodies()
    site_id, ledgers = SiteId("LEEDS"), {SITE: 10}
    people = next(fact.payload for body in control if (fact := decode_fact(body)).kind == "authority.directory_published")
    person = people.directory.people[QUI]  # type: ignore[attr-defined]
    digest = revocation_digest(site_id, ledgers, "", "stolen")
    signature = sign(signer_of(QUI), person, role=Role.QUALIFIED_PERSON, meaning="revoked", at=START, digest=digest)
    revoked = KeyRevoked(site_id, ledgers, "", "stolen", signature)
    control.append(encode_fact(revoked, ref=FactRef(CONTROL, len(control)), actor=NODE, moment=NOW))
    assert verdicts(write(tmp_path / "old list", site, control)) == (False, False)
    for name, changed in (("more facts", {"ledgers": {SITE: 99}}), ("another key", {"key": "x"}), ("another site", {"site": "GHENT"})):
        said = [*control[:-1], codec.dumps({**json.loads(control[-1]), "body": {**json.loads(control[-1])["body"], **changed}})]
        assert verdicts(write(tmp_path / name, site, said)) == (False, False), name
