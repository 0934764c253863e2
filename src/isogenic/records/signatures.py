"""A person's signature, as it is nested in facts.

Guarantees: the fields that 21 CFR 11.50(a) asks for (printed name, time, meaning), the
digest of the bytes that were signed, how the person was known, and the key or the passkey
that signed, travel as one value. What was stored before passkeys were known reads as it was meant.
Leaves to others: making and verifying signatures, and who may sign what (authority).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from isogenic.ids import PersonId

__all__ = ["PASSKEY", "PASSWORD", "PasskeyEvidence", "Signature"]

PASSWORD, PASSKEY = "password", "passkey"  # how the signer was known


@dataclass(frozen=True, slots=True)
class PasskeyEvidence:
    """What an authenticator said when it signed: enough to verify it for ever, without the authenticator (WebAuthn level 3, 7.2)."""

    credential: str  # the passkey's id, base64url without padding
    authenticator_data: str  # base64, as the two others
    client_data: str  # the browser's JSON, byte for byte: it holds the challenge and the origin
    nonce: str  # 16 random bytes, hex: makes a challenge that nobody could ask for in advance


@dataclass(frozen=True, slots=True)
class Signature:
    """One person's signature over one digest, with its meaning."""

    person: PersonId
    printed_name: str
    role: str  # in which the person signed, for example quality
    meaning: str  # for example authored, approved, released
    at: datetime
    digest: str  # hex SHA-256 of the bytes that were signed
    key: str  # the person's public key, as a C2SP vkey; of a passkey's signature the key on file beside it
    signature: str  # base64: Ed25519 by that key, or the authenticator's
    method: str = PASSWORD
    evidence: PasskeyEvidence | None = None  # of a passkey
