"""An authenticator in software: it makes passkeys and answers challenges as WebAuthn says, and as badly as a test wants."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from webauthn.helpers import encode_cbor

from isogenic.authority.people import Passkey, Person
from isogenic.authority.signatures import Intent, PasskeyPen, passkey_statement
from isogenic.records.signatures import PasskeyEvidence, Signature

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Authenticator:
    """One key, made from a seed that is no secret."""

    domain: str = "localhost"
    origin: str = "http://localhost"
    kind: str = "p256"
    credential: bytes = b"credential-of-a-test-0001"
    counter: int = 0
    flags: int = PRESENT | VERIFIED
    key: Any = field(default=None)

    def __post_init__(self) -> None:
        if self.key is None:
            self.key = {
                "p256": lambda: ec.derive_private_key(int.from_bytes(sha256(self.credential).digest(), "big") >> 1, ec.SECP256R1()),
                "ed25519": lambda: ed25519.Ed25519PrivateKey.from_private_bytes(sha256(self.credential).digest()),
                "rsa": lambda: rsa.generate_private_key(65537, 2048),
            }[self.kind]()

    @property
    def id(self) -> str:
        return b64url(self.credential)

    def public(self) -> str:
        """As the directory has it."""
        return base64.b64encode(self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()

    def client_data(self, challenge: bytes, *, kind: str = "webauthn.get") -> bytes:
        return json.dumps({"type": kind, "challenge": b64url(challenge), "origin": self.origin, "crossOrigin": False}).encode()

    def data(self, *, flags: int | None = None) -> bytes:
        self.counter += 1
        return sha256(self.domain.encode()).digest() + bytes([self.flags if flags is None else flags]) + self.counter.to_bytes(4, "big")

    def sign(self, data: bytes) -> bytes:
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return self.key.sign(data, ec.ECDSA(hashes.SHA256()))
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(data)
        return self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())

    def answer(self, challenge: bytes) -> tuple[bytes, bytes, bytes]:
        """Authenticator data, client data, signature."""
        data, client = self.data(), self.client_data(challenge)
        return data, client, self.sign(data + sha256(client).digest())

    def get(self, options: dict[str, Any]) -> dict[str, Any]:
        """navigator.credentials.get, as a browser gives it as JSON."""
        data, client, signed = self.answer(_bytes(options["challenge"]))
        response = {"authenticatorData": b64url(data), "clientDataJSON": b64url(client), "signature": b64url(signed)}
        return {"id": self.id, "rawId": self.id, "type": "public-key", "response": response}

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """navigator.credentials.create."""
        point = self.key.public_key().public_numbers()
        cose = encode_cbor({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")})
        data = self.data(flags=self.flags | ATTESTED) + bytes(16) + len(self.credential).to_bytes(2, "big") + self.credential + cose
        attested = encode_cbor({"fmt": "none", "attStmt": {}, "authData": data})
        client = self.client_data(_bytes(options["challenge"]), kind="webauthn.create")
        return {
            "id": self.id,
            "rawId": self.id,
            "type": "public-key",
            "response": {"clientDataJSON": b64url(client), "attestationObject": b64url(attested)},
        }


NONCE = "0c" * 16


@dataclass
class DevicePen:
    """A person who signs with this device, without a browser between."""

    device: Authenticator

    def passkey(self, title: str = "Blue key") -> Passkey:
        return Passkey(self.device.id, self.device.public(), self.device.domain, title)

    def sign(self, person: Person, intent: Intent) -> Signature:
        text = passkey_statement(intent.person, role=intent.role, meaning=intent.meaning, at=intent.at, digest=intent.digest, nonce=NONCE)
        data, client, answer = (base64.b64encode(each).decode() for each in self.device.answer(sha256(text).digest()))
        return PasskeyPen(intent, self.passkey(), PasskeyEvidence(self.device.id, data, client, NONCE), answer).sign(person, intent)


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
