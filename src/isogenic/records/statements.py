"""Statements for strangers: what a node says to people outside the network, and the proof that it is in its ledger.

A *signed statement* is a COSE_Sign1 whose header names issuer and subject (RFC 9597). Its
SHA-256 is noted in a ledger by a fact `network.statement_issued`; a *receipt* (RFC 9942) is
that fact, its path in the ledger's tree, and a signature over the root. A statement that
carries its receipt is a *transparent statement* (RFC 9943), and is verified from its own
bytes and public keys.

Guarantees: `verify_statement` believes only keys of the reader's own list, and says for
each receipt which ledger, position, size and root it proves, and who else has cosigned it.
Leaves to others: which fact becomes which statement, and who may ask (network).
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from isogenic.checks import Note, Severity, stops
from isogenic.clock import text_of_time
from isogenic.errors import NotTrusted, NotValid, Refusal
from isogenic.records import codec
from isogenic.records.cose import CONTENT_TYPE, KID, Sign1, decode, encode, key_id, read_sign1, sign1, verify_sign1
from isogenic.records.dossier import Key, KeyRole, parse_keys, writers_of
from isogenic.records.evidence import signed_checkpoint
from isogenic.records.merkle import leaf_hash, root_of_inclusion
from isogenic.records.notes import Signer

__all__ = ["ISSUED", "Proof", "StatementReport", "make_receipt", "make_statement", "statement_digest", "verify_statement", "with_receipts"]

FORMAT = "isogenic statement 1"
MEDIA_TYPE = "application/vnd.isogenic.statement+json"
ISSUED = "network.statement_issued"  # the fact that notes a statement
CWT_CLAIMS, ISS, SUB, IAT = 15, 1, 2, 6  # RFC 9597; RFC 8392
RECEIPTS, VDS, VDP = 394, 395, 396  # RFC 9942
RFC9162_SHA256, INCLUSION = 1, -1
FACT, CHECKPOINT = (
    "isogenic fact",
    "isogenic checkpoint",
)  # in a receipt, not signed with it: the leaf's bytes, and the cosigned checkpoint of that size
RECEIPTS_MAX = 8
TIME_MAX = 1 << 37


def make_statement(kind: str, subject: str, says: Mapping[str, Any], *, signer: Signer, at: datetime) -> Sign1:
    """A signed statement. `says` is plain data; the issuer is the signer's name."""
    payload = codec.dumps({"at": text_of_time(at), "format": FORMAT, "kind": kind, "says": says, "subject": subject})
    claims = {ISS: signer.name, SUB: subject, IAT: int(at.timestamp())}
    return sign1(payload, signer, header={CONTENT_TYPE: MEDIA_TYPE, CWT_CLAIMS: claims})


def statement_digest(statement: Sign1) -> str:
    """Hex SHA-256 of the statement without receipts: what the ledger notes."""
    return sha256(statement.bare()).hexdigest()


def make_receipt(fact: bytes, *, ledger: str, index: int, size: int, path: Sequence[bytes], signer: Signer, checkpoint: bytes = b"") -> Sign1:
    """A receipt of inclusion, RFC 9942 section 5.2: signed over the root, which whoever reads it computes from the fact and the path."""
    root = root_of_inclusion(leaf_hash(fact), index=index, size=size, proof=path)
    proof = encode([size, index, list(path)])
    header = {CWT_CLAIMS: {ISS: signer.name, SUB: ledger}, VDS: RFC9162_SHA256}
    more = {CHECKPOINT: checkpoint} if checkpoint else {}
    return sign1(root, signer, header=header, unprotected={VDP: {INCLUSION: [proof]}, FACT: fact, **more}, detached=True)


def with_receipts(statement: Sign1, *receipts: Sign1) -> bytes:
    """The transparent statement: the same signature, with receipts in the header that is not signed."""
    return replace(statement, unprotected={RECEIPTS: [each.to_bytes() for each in receipts]}).to_bytes()


# ---- verifying ----


def _words(value: object) -> str:
    return value if isinstance(value, str) else codec.dumps(value).decode()


@dataclass(frozen=True, slots=True)
class Proof:
    """What one receipt proves."""

    ledger: str
    position: int
    size: int
    root: bytes
    at: str  # when the fact was noted, by its writer's clock
    witnesses: tuple[tuple[str, datetime], ...] = ()


@dataclass(frozen=True, slots=True)
class StatementReport:
    """What was found of a statement; prints as paragraphs that can be quoted."""

    name: str
    kind: str = ""
    issuer: str = ""
    subject: str = ""
    at: str = ""
    digest: str = ""
    says: Mapping[str, Any] = field(default_factory=dict)
    proofs: tuple[Proof, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing was found that stops."""
        return not stops(self.notes)

    def __str__(self) -> str:
        found = stops(self.notes)
        if found:
            paragraphs = [f"NOT VERIFIED: statement {self.name} is not to be believed. " + " ".join(f"{note.text}." for note in found)]
        else:
            paragraphs = [f"VERIFIED: {self.issuer} states, at {self.at}, about {self.subject} ({self.kind}); SHA-256 {self.digest}."]
            paragraphs += [f"  {key}: {_words(value)}" for key, value in self.says.items()]
        for proof in self.proofs:
            known = "; ".join(f"cosigned by {name} at {text_of_time(at)}" for name, at in proof.witnesses)
            said = known or "cosigned by nobody whose key is on your list"
            place = f"fact {proof.position} of {proof.ledger}, of {proof.size} facts with root {proof.root.hex()}"
            paragraphs.append(f"Receipt: noted at {proof.at} as {place}; {said}.")
        paragraphs += [f"Note: {note.text}." for note in self.notes if note.severity is Severity.WARN]
        wrapped = (textwrap.fill(each, 110, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False) for each in paragraphs)
        return "\n\n".join(wrapped) + "\n"

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "format": "isogenic verification 1",
            "verified": self.ok,
            "kind": "statement",
            "name": self.name,
            "statement": {"kind": self.kind, "issuer": self.issuer, "subject": self.subject, "at": self.at, "says": dict(self.says)},
            "digest": self.digest,
            "receipts": [
                {
                    "ledger": each.ledger,
                    "position": each.position,
                    "size": each.size,
                    "root": each.root.hex(),
                    "witnesses": [{"name": name, "at": text_of_time(at)} for name, at in each.witnesses],
                }
                for each in self.proofs
            ],
            "findings": [{"check": note.check, "severity": str(note.severity), "text": note.text} for note in self.notes],
        }


def verify_statement(data: bytes, *, keys: str, name: str = "statement") -> StatementReport:
    """Verify a statement against the text of your own list of keys. Never raises for what the statement is; raises `NotValid` for a bad list."""
    trusted, notes = parse_keys(keys), []
    report = StatementReport(name)
    try:
        statement = read_sign1(data, what="a statement")
        report = _read(report, statement, trusted)
        proofs = []
        for receipt in _receipts(statement):
            proofs.append(_verify_receipt(receipt, report, trusted))
        report = replace(report, proofs=tuple(proofs))
        notes += _check_ledger(report.says, trusted)
        if not proofs:
            notes.append(Note("check_receipt", Severity.WARN, "it carries no receipt, so nothing shows that its issuer has noted it"))
    except Refusal as trouble:
        notes.append(Note("check_statement", Severity.STOP, str(trouble)))
    return replace(report, notes=tuple(notes))


def _check_ledger(says: Mapping[str, Any], trusted: Sequence[Key]) -> list[Note]:
    """Where a statement carries the signed checkpoint of another ledger: it is that writer's own, and for the size and root that are stated."""
    told = says.get("ledger")
    if not isinstance(told, dict) or not isinstance(told.get("checkpoint"), str) or not isinstance(told.get("origin"), str):
        return []
    origin = told["origin"]
    writers = [used for used in (Key(KeyRole.WRITER, origin, each.key) for each in trusted) if any(each.trusts(used) for each in trusted)]
    if not writers:
        text = f"the key of the writer of {origin[:200]} is not on your list, so its own signature was not checked"
        return [Note("check_ledger", Severity.WARN, text)]
    rotations = told.get("rotations", [])
    if not isinstance(rotations, list) or not all(isinstance(each, str) for each in rotations):
        raise NotValid("statement refused", why="its key rotations are not a list of signed notes")
    known = [each.after_notes(rotations) for each in writers_of(origin, writers)]
    said = signed_checkpoint(told["checkpoint"].encode(), origin=origin, keys=writers, writers=known).checkpoint
    if (said.origin, said.size, said.root.hex()) != (origin, told.get("size"), told.get("root")):
        raise NotTrusted("statement refused", why=f"the checkpoint of {origin[:200]} in it is for another size or root")
    return []


def _claims(message: Sign1, *, what: str) -> tuple[str, str]:
    claims = message.header.get(CWT_CLAIMS)
    if not isinstance(claims, dict) or not isinstance(claims.get(ISS), str) or not isinstance(claims.get(SUB), str):
        raise NotValid(f"{what} refused", why="its header does not name issuer and subject")
    return claims[ISS], claims[SUB]


def _read(report: StatementReport, statement: Sign1, trusted: Sequence[Key]) -> StatementReport:
    issuer, subject = _claims(statement, what="statement")
    payload = _verified(statement, [each for each in trusted if _may_issue(each, issuer)], who=f"the issuer {issuer[:120]}")
    said = codec.loads(payload, what="what is stated")
    if not isinstance(said, dict) or set(said) != {"at", "format", "kind", "says", "subject"} or codec.dumps(said) != payload:
        raise NotValid("statement refused", why="its content is not of the form that is signed here")
    if (said["format"], said["subject"]) != (FORMAT, subject) or statement.header.get(CONTENT_TYPE) != MEDIA_TYPE:
        raise NotValid("statement refused", why=f"its header and its content do not agree, or it is not of the form {FORMAT}")
    if not isinstance(said["kind"], str) or not isinstance(said["at"], str) or not isinstance(said["says"], dict):
        raise NotValid("statement refused", why="its content is not of the form that is signed here")
    digest = statement_digest(statement)
    return replace(report, kind=said["kind"], issuer=issuer, subject=subject, at=said["at"], digest=digest, says=said["says"])


def _may_issue(key: Key, issuer: str) -> bool:
    """What leaves the house is signed by the key of role dossier; a key alone on a line issues in its own name."""
    return key.key.name == issuer and key.role in (None, KeyRole.DOSSIER)


def _verified(message: Sign1, keys: Sequence[Key], *, who: str, payload: bytes | None = None) -> bytes:
    fitting = [each.key for each in keys if message.header.get(KID) == key_id(each.key)]
    if not fitting:
        raise NotTrusted("statement refused", why=f"the key of {who} is not on your list")
    return verify_sign1(message, fitting[0], payload=payload)


def _receipts(statement: Sign1) -> list[Sign1]:
    if not set(statement.unprotected) <= {RECEIPTS}:
        raise NotValid("statement refused", why="its unsigned header holds more than receipts")
    found = statement.unprotected.get(RECEIPTS, [])
    if not isinstance(found, list) or len(found) > RECEIPTS_MAX or not all(isinstance(each, bytes) for each in found):
        raise NotValid("statement refused", why=f"its receipts are not a list of at most {RECEIPTS_MAX}")
    return [read_sign1(each, what="a receipt") for each in found]


def _verify_receipt(receipt: Sign1, report: StatementReport, trusted: Sequence[Key]) -> Proof:
    issuer, ledger = _claims(receipt, what="receipt")
    body = receipt.unprotected.get(FACT)
    fact = _fact(body, ledger, report)
    size, index, path = _proof(receipt)
    if type(fact["pos"]) is not int or fact["pos"] != index:
        raise NotTrusted("receipt refused", why=f"its fact says in its own bytes that it is at {str(fact['pos'])[:40]}, not at {index}")
    assert isinstance(body, bytes)
    root = root_of_inclusion(leaf_hash(body), index=index, size=size, proof=path)
    writers = [Key(KeyRole.WRITER, ledger, each.key) for each in trusted if each.key.name == issuer]
    writers = [used for used in writers if any(each.trusts(used) for each in trusted)]
    _verified(receipt, writers, who=f"the writer of {ledger[:200]}", payload=root)
    proof = Proof(ledger, index, size, root, str(fact["at"])[:40])
    note = receipt.unprotected.get(CHECKPOINT)
    if note is None:
        return proof
    if not isinstance(note, bytes):
        raise NotValid("receipt refused", why="its checkpoint is not bytes")
    signed = signed_checkpoint(note, origin=ledger, keys=[*writers, *(each for each in trusted if each.role is KeyRole.WITNESS)])
    if (signed.checkpoint.origin, signed.checkpoint.size, signed.checkpoint.root) != (ledger, size, root):
        raise NotTrusted("receipt refused", why="the checkpoint in it is for another tree")
    return replace(proof, witnesses=tuple((name, min(at, datetime.fromtimestamp(TIME_MAX, UTC))) for name, at in signed.witnesses))


def _fact(body: object, ledger: str, report: StatementReport) -> dict[str, Any]:
    """The fact of a receipt notes this very statement, and stands in that ledger."""
    if not isinstance(body, bytes):
        raise NotValid("receipt refused", why="it does not carry the fact that it proves")
    fact: Any = codec.loads(body, what="the fact of a receipt")
    said = fact.get("body") if isinstance(fact, dict) else None
    if not isinstance(said, dict) or codec.dumps(fact) != body or not {"pos", "at"} <= set(fact):
        raise NotValid("receipt refused", why="its fact is not in canonical form")
    if (fact.get("kind"), fact.get("ledger")) != (ISSUED, ledger):
        raise NotTrusted("receipt refused", why=f"its fact is a {str(fact.get('kind'))[:60]} of {str(fact.get('ledger'))[:200]}")
    if (said.get("digest"), said.get("statement"), said.get("subject")) != (report.digest, report.kind, report.subject):
        raise NotTrusted("receipt refused", why="its fact notes another statement")
    return dict(fact)


def _proof(receipt: Sign1) -> tuple[int, int, list[bytes]]:
    if receipt.header.get(VDS) != RFC9162_SHA256 or receipt.payload is not None:
        raise NotValid("receipt refused", why="it is not a detached proof of the tree RFC9162_SHA256")
    proofs = receipt.unprotected.get(VDP)
    listed = proofs.get(INCLUSION) if isinstance(proofs, dict) else None
    if not isinstance(listed, list) or len(listed) != 1 or not isinstance(listed[0], bytes):
        raise NotValid("receipt refused", why="it does not hold one proof of inclusion")
    parts = decode(listed[0], what="a proof of inclusion")
    if not isinstance(parts, list) or len(parts) != 3 or type(parts[0]) is not int or type(parts[1]) is not int or not isinstance(parts[2], list):
        raise NotValid("receipt refused", why="its proof is not tree size, leaf index and path")
    size, index, path = parts
    if not 0 <= index < size or len(path) > 64 or not all(isinstance(each, bytes) and len(each) == 32 for each in path):
        raise NotValid("receipt refused", why="its proof is not of a leaf in a tree")
    return size, index, path
