"""Both verifiers say the same of what somebody could write who holds the keys of the nodes, and not those of people.

The released lot's facts are changed, and all of it is hashed, signed and cosigned anew: no digest and no node's
signature tells. What is left are places, forms, people's signatures, records and keys that change.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest
from verifier import verify

from authenticator import Authenticator
from isogenic.authority.commitments import CommitmentsPublished
from isogenic.authority.competence import CompetenceGranted, CompetenceWithdrawn, competence_digest, withdrawal_digest
from isogenic.authority.identities import PasskeyEnrolled
from isogenic.authority.licences import Command, LicenceApplied, LicenceChanged, State, about_application, licence_digest
from isogenic.authority.master_file import Jurisdiction, MasterFileApproved, MasterFilePublished, file_digest
from isogenic.authority.passkeys import passkey_digest
from isogenic.authority.people import Passkey, Role
from isogenic.authority.revocation import KeyRevoked, revocation_digest
from isogenic.authority.signatures import Intent, PasskeyPen, passkey_statement, sign
from isogenic.batches.commands import formula_digest
from isogenic.batches.facts import AnswerCorrected, FormulaChanged, PromptAnswered, PromptAsked, PromptWitnessed
from isogenic.batches.talk import answer_digest
from isogenic.clock import ManualClock
from isogenic.ids import BatchId, LicenceId, MasterFileId, NodeId, PersonId, ProductId, PromptId, ReceiptId, RecipeId, SiteId, SponsorId
from isogenic.materials.changeover import ChangeoverApproved, ChangeoverPublished
from isogenic.materials.receipts import MaterialDecided, MaterialReceived, ReceiptCommand, decision_digest
from isogenic.network.decisions import directory  # noqa: F401 (registers every kind of fact)
from isogenic.network.inspection import inspect
from isogenic.quality.release import LotReleased, noted_release_digest
from isogenic.recipes.model import Answer, Ask
from isogenic.records import codec
from isogenic.records.blobs import BlobStore
from isogenic.records.dossier import Key, KeyRole, LedgerPart, parse_keys, write_dossier
from isogenic.records.facts import Actor, FactRef, Payload, decode_fact, encode_fact
from isogenic.records.keys import sign_rotation
from isogenic.records.ledger import Ledger
from isogenic.records.merkle import Frontier, leaf_hashes
from isogenic.records.notes import Checkpoint, Signer, cosign, sign_checkpoint
from isogenic.records.signatures import PasskeyEvidence, Signature
from isogenic.records.sqlite import SqliteStore
from isogenic.sim.world import signers
from isogenic.units import Quantity
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


# ---- what people sign at a site, in a material's life, about competence, files and licences ----

LEA, BEN, ADA, RIA = (PersonId(name) for name in ("LEA", "BEN", "ADA", "RIA"))
BATCH = BatchId("BAT-SIGNED")
Sayer = Callable[..., Signature]


def sayer(control: Facts) -> Sayer:
    """Signs as the person on file, in the role and meaning asked for."""
    published = [fact.payload for body in control if (fact := decode_fact(body)).kind == "authority.directory_published"]
    people = published[-1].directory.people  # type: ignore[attr-defined]

    def say(person: PersonId, role: Role, meaning: str, digest: str) -> Signature:
        return sign(signer_of(person), people[person], role=role, meaning=meaning, at=START, digest=digest)

    return say


def asked(prompt: str, how: Ask) -> PromptAsked:
    return PromptAsked(BATCH, PromptId(prompt), "weigh", "Weigh it", Answer.NUMBER, "g", 1.0, 2.0, how)


def steps(say: Sayer, **other: Any) -> list[Payload]:
    """A signed answer, its correction, a witness of it, and a change of the formula; `other` has what is said otherwise."""
    lead, (who, role) = other.get("by", LEA), other.get("signer", (LEA, Role.OPERATOR))
    first = PromptAnswered(BATCH, PromptId("P-1"), "1.5", lead)
    first = replace(first, signature=say(who, role, other.get("first", "performed"), answer_digest(first)))
    fixed = AnswerCorrected(BATCH, PromptId("P-1"), other.get("corrects", answer_digest(first)), "1.5", "1.6", "misread", LEA)
    fixed = replace(fixed, signature=say(LEA, Role.OPERATOR, "corrected", answer_digest(fixed)))
    named = other.get("answered", answer_digest(fixed))
    witness = other.get("witness", BEN)
    role = {BEN: Role.QUALITY, LEA: Role.OPERATOR, RIA: Role.REGULATORY}[witness]
    seen = PromptWitnessed(BATCH, PromptId(other.get("prompt", "P-1")), named, witness, say(witness, role, "witnessed", named))
    change = FormulaChanged(BATCH, "feed_rate", 0.4, 0.5, "L/h", "growth is slow", ADA, say(ADA, Role.PROCESS_ENGINEER, "formula changed", "0" * 64))
    change = replace(change, signature=say(ADA, Role.PROCESS_ENGINEER, "formula changed", formula_digest(change)))
    given = [asked("P-1", Ask(sign=True, witness=True)), replace(first, **other.get("edited", {})), fixed, seen]
    return [*given, replace(change, **other.get("changed", {}))]


def decided(say: Sayer, **other: Any) -> list[Payload]:
    """A received lot, and its release for use."""
    by = other.get("received_by", LEA)
    came = MaterialReceived(
        ReceiptId("RCV-1"), SponsorId("ASTER-BIO"), SiteId("LEEDS"), "04012345678901", "Media", "Firm", "L1", Quantity(5.0, "L"), None, "ab" * 32, by
    )
    command = other.get("command", ReceiptCommand.RELEASE)
    meaning = other.get("meaning", "released for use")
    signature = say(BEN, Role.QUALITY, meaning, decision_digest(came, other.get("over", command), "certificate is in order"))
    made = MaterialDecided(ReceiptId("RCV-1"), SponsorId("ASTER-BIO"), command, "certificate is in order", BEN, signature)
    return [*[came] * other.get("times", 1), replace(made, **other.get("edited", {}))]


def authority(say: Sayer, **other: Any) -> list[Payload]:
    """Competence, a master file, commitments, a licence and a changeover matrix: as the control site notes them."""
    person, until = other.get("person", LEA), START + timedelta(days=90)
    role = Role.QUALITY
    digest = competence_digest(person, "aseptic_work", since=START, until=until, basis="TR-1")
    granted = CompetenceGranted(person, "aseptic_work", START, until, "TR-1", say(BEN, role, "competence granted", digest))
    gone = CompetenceWithdrawn(
        LEA, "aseptic_work", "away", say(BEN, role, "competence withdrawn", withdrawal_digest(LEA, "aseptic_work", why="away"))
    )
    text = TEXT
    both = (say(RIA, Role.REGULATORY, "file authored", file_digest(text)), say(BEN, role, "file approved", file_digest(text)))
    approved = MasterFileApproved(MasterFileId("MF-1"), 1, file_digest(text), both[0])
    file = MasterFilePublished(
        MasterFileId("MF-1"), 1, ProductId("P"), file_digest(text), text + other.get("more", ""), other.get("both", both), SiteId("LEEDS")
    )
    stated = CommitmentsPublished(
        ProductId("P"), Jurisdiction.UK, 1, file_digest(text), text, say(RIA, Role.REGULATORY, "commitments stated", file_digest(text))
    )
    site, licence = SiteId("LEEDS"), LicenceId("LIC-1")
    applied = LicenceApplied(licence, site, MasterFileId("MF-1"), ProductId("P"), "REF-1", "because", both[0])
    about = licence_digest(licence, Command.APPLY, site=site, number=0, why="because", about=about_application(applied))
    applied = replace(applied, signature=say(RIA, Role.REGULATORY, "licence applied for", about))
    changed = []
    for number, (command, meaning) in enumerate(zip(list(Command)[1:], LICENCE_MEANINGS, strict=True), start=1):
        told = licence_digest(licence, command, site=site, number=number, why="because")
        by = (QUI, Role.QUALIFIED_PERSON)
        made = LicenceChanged(licence, site, command, State.ACTIVE, number, "because", say(*by, meaning, told))
        changed.append(replace(made, **other.get("edited", {})))
    matrix = (say(ADA, Role.PROCESS_ENGINEER, "authored", file_digest(text)), say(BEN, role, "approved", file_digest(text)))
    one = ChangeoverApproved(RecipeId("CLEANING"), 1, file_digest(text), matrix[0])
    told_to = ChangeoverPublished(RecipeId("CLEANING"), 1, file_digest(text), text, other.get("matrix", matrix))
    return [granted, gone, approved, file, stated, applied, *changed, one, told_to]


LICENCE_MEANINGS = (
    "site qualified", "licence activated", "licence paused", "licence resumed", "licence suspended", "licence reinstated", "licence ceased",
)  # fmt: skip


def put(facts: Facts, origin: str, payloads: list[Payload]) -> None:
    for each in payloads:
        facts.append(encode_fact(each, ref=FactRef(origin, len(facts)), actor=NODE, moment=NOW))


def test_both_take_what_people_signed_at_a_site_and_about_authority(tmp_path: Path) -> None:
    site, control = bodies()
    say = sayer(control)
    put(site, SITE, [*steps(say), *decided(say), asked("P-2", Ask()), PromptAnswered(BATCH, PromptId("P-2"), "1.5", LEA)])
    put(control, CONTROL, authority(say))
    assert verdicts(write(tmp_path, site, control)) == (True, True)


def test_both_take_a_material_that_was_used_up_or_rejected(tmp_path: Path) -> None:
    site, control = bodies()
    used = MaterialDecided(ReceiptId("RCV-1"), SponsorId("ASTER-BIO"), ReceiptCommand.USE_UP, "empty", LEA)
    put(site, SITE, [*decided(sayer(control), command=ReceiptCommand.REJECT, meaning="rejected for use"), used])
    assert verdicts(write(tmp_path, site, control)) == (True, True)


AT_SITE: dict[str, Callable[[Sayer], list[Payload]]] = {
    "an answer that was changed": lambda say: steps(say, edited={"answer": "1.7"}),
    "an answer signed by another": lambda say: steps(say, by=BEN),
    "an answer that means something else": lambda say: steps(say, first="witnessed"),
    "an answer in a role that may not": lambda say: steps(say, by=ADA, signer=(ADA, Role.PROCESS_ENGINEER)),
    "an answer that nobody signed": lambda say: steps(say, edited={"signature": None}),
    "a correction of nothing": lambda say: steps(say, corrects="0" * 64),
    "a witness of nothing": lambda say: steps(say, answered="0" * 64),
    "a witness of another question": lambda say: steps(say, prompt="P-9"),
    "a witness of their own work": lambda say: steps(say, witness=LEA),
    "a witness in a role that may not": lambda say: steps(say, witness=RIA),
    "a formula changed to something else": lambda say: steps(say, changed={"now": 0.6}),
    "a formula changed by another": lambda say: steps(say, changed={"by": LEA}),
    "a material decided otherwise": lambda say: decided(say, over=ReceiptCommand.REJECT),
    "a material released with the word for rejection": lambda say: decided(say, meaning="rejected for use"),
    "a material released by who received it": lambda say: decided(say, received_by=BEN),
    "a material received twice": lambda say: decided(say, times=2),
    "a material never received": lambda say: decided(say, times=0),
    "a material for another reason": lambda say: decided(say, edited={"why": "no reason"}),
    "a material released by nobody": lambda say: decided(say, edited={"signature": None}),
    "a competence in the site's own ledger": lambda say: authority(say)[:1],
}
AT_CONTROL: dict[str, Callable[[Sayer], list[Payload]]] = {
    "an answer that the control site notes": lambda say: steps(say)[:2],
    "a formula that the control site changes": lambda say: steps(say)[-1:],
    "a competence granted to oneself": lambda say: authority(say, person=BEN),
    "a file with another text": lambda say: authority(say, more="!"),
    "a file that one person signed": lambda say: authority(say, both=(say(ADA, Role.PROCESS_ENGINEER, "file authored", file_digest(TEXT)),) * 2),
    "a licence changed by another command": lambda say: authority(say, edited={"command": Command.PAUSE}),
    "a licence changed another time": lambda say: authority(say, edited={"number": 9}),
    "a licence of another site": lambda say: authority(say, edited={"site": SiteId("GHENT")}),
    "a matrix that nobody approved": lambda say: authority(say, matrix=(say(ADA, Role.PROCESS_ENGINEER, "authored", file_digest(TEXT)),)),
}
TEXT = "any text: what was signed is its digest"


@pytest.mark.parametrize("name", [*AT_SITE, *AT_CONTROL])
def test_both_refuse_a_step_a_material_or_a_licence_that_was_signed_otherwise(tmp_path: Path, name: str) -> None:
    site, control = bodies()
    say = sayer(control)
    put(site, SITE, AT_SITE[name](say) if name in AT_SITE else [])
    put(control, CONTROL, AT_CONTROL[name](say) if name in AT_CONTROL else [])
    assert verdicts(write(tmp_path, site, control)) == (False, False)


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
