"""A person's signature, as it is nested in facts.

Guarantees: the fields that 21 CFR 11.50(a) asks for (printed name, time, meaning), the
digest of the bytes that were signed, and the key that signed, travel as one value.
Leaves to others: making and verifying signatures, and who may sign what (authority).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from isogenic.ids import PersonId

__all__ = ["Signature"]


@dataclass(frozen=True, slots=True)
class Signature:
    """One person's signature over one digest, with its meaning."""

    person: PersonId
    printed_name: str
    role: str  # in which the person signed, for example quality
    meaning: str  # for example authored, approved, released
    at: datetime
    digest: str  # hex SHA-256 of the bytes that were signed
    key: str  # the person's public key, as a C2SP vkey
    signature: str  # base64, Ed25519
