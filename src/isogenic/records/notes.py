"""Signed notes, checkpoints and cosignatures, byte for byte as C2SP publishes them.

Guarantees: a checkpoint is `origin`, tree size and root in the form of C2SP
tlog-checkpoint, signed as a C2SP signed-note with Ed25519 (type 0x01); a cosignature is
C2SP tlog-cosignature's `cosignature/v1` (type 0x04), which carries its time. Unknown
signature lines are ignored, as the specification demands; a known key whose signature
does not verify is refused.
Leaves to others: which keys to trust, and what the checkpoint's root should be.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from isogenic.errors import NotTrusted, NotValid
from isogenic.records.durable import write_secret

__all__ = [
    "Checkpoint",
    "Cosignature",
    "Signer",
    "VerifyingKey",
    "claimed_checkpoint",
    "cosign",
    "first_key_id",
    "open_checkpoint",
    "open_note",
    "read_checkpoint",
    "sign_checkpoint",
    "sign_note",
    "unverified_text",
]

LOG, COSIGNER = 0x01, 0x04
NOTE_BYTES_MAX = 1_000_000  # C2SP signed-note: verifiers refuse larger notes
SIGNATURES_MAX = 16
_CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f]")  # C2SP signed-note: no control characters but the newline
_SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/=]+)")
_NAME = re.compile(r"[!-*,-~]{1,200}")  # visible ASCII without '+' or space


def _key_id(name: str, algorithm: int, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[:4]


def _unbase64(text: str, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as trouble:
        raise NotValid(f"cannot read {what}", why="it is not base64") from trouble
    if base64.b64encode(data).decode() != text:  # spare bits set: two texts for the same bytes, so a change could pass unseen
        raise NotValid(f"cannot read {what}", why="it is not the base64 of any bytes")
    return data


@lru_cache(maxsize=256)
def _public_key(public: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public)


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key with its name and use, written as a C2SP vkey: `name+hash+base64`."""

    name: str
    algorithm: int
    public: bytes  # 32 bytes, Ed25519

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that mark this key's signature lines."""
        return _key_id(self.name, self.algorithm, self.public)

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(bytes([self.algorithm]) + self.public).decode()}"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key, as people compare it over a telephone: eight groups of four hex digits."""
        digest = sha256(bytes([self.algorithm]) + self.public).hexdigest()[:32]
        return " ".join(digest[at : at + 4] for at in range(0, 32, 4))

    @classmethod
    def parse(cls, text: str) -> VerifyingKey:
        """Read a vkey; the hash inside must match the key."""
        return _parsed(text)

    def verify(self, signature: bytes, message: bytes) -> None:
        """Raise `NotTrusted` unless this key signed `message`."""
        try:
            _public_key(self.public).verify(signature, message)
        except (InvalidSignature, ValueError) as trouble:
            raise NotTrusted(f"signature of {self.name} refused", why="it does not verify with the key on file") from trouble


@lru_cache(maxsize=4_096)  # a directory of a hundred sites is read again with every fact that changes it
def _parsed(text: str) -> VerifyingKey:
    name, _, rest = text.strip().partition("+")
    hashed, _, encoded = rest.partition("+")
    material = _unbase64(encoded, f"key {text[:40]!r}")
    if not _NAME.fullmatch(name) or len(material) != 33 or material[0] not in (LOG, COSIGNER):
        raise NotValid(f"cannot read key {text[:40]!r}", why="the form is name+hash+base64 of an Ed25519 key")
    key = VerifyingKey(name, material[0], material[1:])
    if key.key_id.hex() != hashed:
        raise NotValid(f"cannot read key {text[:40]!r}", why="its hash does not match the key")
    return key


class Signer:
    """A private Ed25519 key with its name and use. Written to disk readable by its owner only."""

    def __init__(self, name: str, private: Ed25519PrivateKey, *, algorithm: int = LOG) -> None:
        if not _NAME.fullmatch(name):
            raise NotValid(f"cannot name a key {name[:40]!r}", why="a key name is visible ASCII without '+' or space")
        self.name, self.algorithm = name, algorithm
        self._private = private
        public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.verifying_key = VerifyingKey(name, algorithm, public)
        self._key_id = self.verifying_key.key_id

    @classmethod
    def generate(cls, name: str, *, algorithm: int = LOG) -> Signer:
        """A fresh key from the operating system's randomness."""
        return cls(name, Ed25519PrivateKey.generate(), algorithm=algorithm)

    @classmethod
    def from_seed(cls, name: str, seed: bytes, *, algorithm: int = LOG) -> Signer:
        """A key from 32 bytes: for rehearsals and test vectors."""
        return cls(name, Ed25519PrivateKey.from_private_bytes(seed), algorithm=algorithm)

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._private.sign(message)

    def seed(self) -> bytes:
        """The 32 private bytes."""
        return self._private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())

    def line(self, signature: bytes) -> str:
        """A signature line of a signed note."""
        return f"— {self.name} {base64.b64encode(self._key_id + signature).decode()}\n"

    def save(self, path: Path) -> None:
        """Write the key, for its owner's eyes only."""
        text = f"{self.name}+{base64.b64encode(bytes([self.algorithm]) + self.seed()).decode()}\n"
        write_secret(path, text.encode())  # durable: facts signed with a key that a power cut took are orphans

    @classmethod
    def load(cls, path: Path) -> Signer:
        """Read what `save` wrote."""
        try:
            name, _, encoded = path.read_text().strip().partition("+")
        except (OSError, UnicodeDecodeError) as trouble:
            raise NotValid(f"cannot read key file {path.name}", why=str(trouble)) from trouble
        material = _unbase64(encoded, f"key file {path.name}")
        if len(material) != 33 or material[0] not in (LOG, COSIGNER):
            raise NotValid(f"cannot read key file {path.name}", why="it does not hold an Ed25519 key")
        return cls.from_seed(name, material[1:], algorithm=material[0])


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a ledger's writer claims: so many facts, with this root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> bytes:
        """The signed text: three lines, C2SP tlog-checkpoint."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n".encode()


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A witness's statement that it holds the ledger up to this checkpoint, and since when."""

    witness: str
    time: int  # seconds since the epoch, by the witness's clock


def sign_note(text: bytes, signer: Signer) -> bytes:
    """A C2SP signed note: the text (whole lines), an empty line, and the signer's line."""
    if not text.endswith(b"\n"):
        raise NotValid("cannot sign a note", why="its text does not end in a newline")
    return text + b"\n" + signer.line(signer.sign(text)).encode()


def open_note(note: bytes, key: VerifyingKey) -> bytes:
    """The text of a note that `key` signed."""
    text, signatures = _split_note(note)
    ours = [blob for name, blob in signatures if name == key.name and blob[:4] == key.key_id]
    if not ours:
        raise NotTrusted("signed note refused", why=f"it is not signed by {key.name}")
    for blob in ours:
        key.verify(blob[4:], text)
    return text


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """The signed note of a checkpoint."""
    return sign_note(checkpoint.text(), signer)


def cosign(note: bytes, *, witness: Signer, time: int) -> bytes:
    """The witness's cosignature line for the checkpoint in `note`. The caller has verified and stored what it covers."""
    text, _ = _split_note(note)
    signature = witness.sign(b"cosignature/v1\ntime %d\n" % time + text)
    return witness.line(time.to_bytes(8, "big") + signature).encode()


def _split_note(note: bytes) -> tuple[bytes, list[tuple[str, bytes]]]:
    if len(note) > NOTE_BYTES_MAX:
        raise NotValid("cannot read a signed note", why=f"{len(note)} bytes are more than {NOTE_BYTES_MAX}")
    text, gap, tail = note.rpartition(b"\n\n")
    try:
        lines = tail.decode().removesuffix("\n").split("\n")
        text.decode()
    except UnicodeDecodeError as trouble:
        raise NotValid("cannot read a signed note", why="it is not UTF-8") from trouble
    if not gap or not tail.endswith(b"\n") or len(lines) > SIGNATURES_MAX or _CONTROL.search(note):
        raise NotValid("cannot read a signed note", why="it has no text, an empty line and 1 to 16 signature lines")
    signatures = []
    for line in lines:
        found = _SIGNATURE_LINE.fullmatch(line)
        if not found:
            raise NotValid("cannot read a signed note", why=f"{line[:40]!r} is not a signature line")
        signatures.append((found[1], _unbase64(found[2], "a signature line")))
    return text + b"\n", signatures


def open_checkpoint(note: bytes, key: VerifyingKey, *, witnesses: tuple[VerifyingKey, ...] = ()) -> tuple[Checkpoint, tuple[Cosignature, ...]]:
    """The checkpoint in `note`, signed by `key` (which must be the writer of its origin), and the cosignatures of `witnesses`."""
    text, signatures = _split_note(note)
    signed = False
    found: list[Cosignature] = []
    for name, blob in signatures:
        for known in (key, *witnesses):
            if name != known.name or blob[:4] != known.key_id:
                continue
            if known.algorithm == LOG:
                known.verify(blob[4:], text)
                signed = signed or known is key
            else:
                time = int.from_bytes(blob[4:12], "big")
                known.verify(blob[12:], b"cosignature/v1\ntime %d\n" % time + text)
                found.append(Cosignature(name, time))
    if not signed:
        raise NotTrusted("checkpoint refused", why=f"it is not signed by {key.name}")
    return read_checkpoint(text), tuple(found)


def claimed_checkpoint(note: bytes) -> Checkpoint:
    """What a note says, before anybody has verified it: its size tells which key to verify it with."""
    return read_checkpoint(_split_note(note)[0])


def unverified_text(note: bytes) -> bytes:
    """The text of a note, before anybody has verified it."""
    return _split_note(note)[0]


def first_key_id(note: bytes) -> bytes:
    """The 4 bytes that mark the first signature of a note: the writer's, where the note is one that a writer made."""
    return _split_note(note)[1][0][1][:4]


def read_checkpoint(text: bytes) -> Checkpoint:
    """Read what `Checkpoint.text` wrote."""
    lines = text.decode().split("\n")
    if len(lines) < 4 or not lines[0] or not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1]):
        raise NotValid("cannot read a checkpoint", why="the form is origin, size and root, one to a line")
    root = _unbase64(lines[2], "a checkpoint's root")
    if len(root) != 32:
        raise NotValid("cannot read a checkpoint", why="its root is not 32 bytes")
    return Checkpoint(lines[0], int(lines[1]), root)
