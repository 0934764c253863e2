"""Passkeys: what a person's authenticator signed, verified from what is on record alone (WebAuthn level 3, section 7.2).

    challenge        SHA-256 of the statement (its form is in signatures)
    client data      the browser's JSON: type webauthn.get, that challenge, the origin of the page
    what is signed   authenticator data || SHA-256(client data)

Guarantees: `verify_evidence` believes only the key on file, for the domain on file, over
that very challenge, made with the person present and verified by the authenticator, on a
page of that domain; all of it can be checked by a stranger who has the facts and nothing else.
Leaves to others: asking the browser and watching the counter (web), who may sign (rules).
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from isogenic.authority.people import Passkey
from isogenic.errors import NotTrusted, NotValid
from isogenic.ids import PersonId
from isogenic.records import codec
from isogenic.records.signatures import PasskeyEvidence

__all__ = ["LOCAL", "Assertion", "check_key", "host_of", "is_within", "passkey_digest", "verify_evidence"]

LOCAL = "localhost"  # the one host that browsers trust without TLS
FIELD_BYTES_MAX = 4_096  # of authenticator data and of client data: both have a few hundred
RSA_BITS_MIN = 2_048
HEAD_BYTES = 37  # RP ID hash, flags, counter
PRESENT, VERIFIED = 0x01, 0x04  # flags: somebody touched it; it knows that it was the person

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class Assertion:
    """What a verified answer of an authenticator says besides: how often the key was used, and on which page."""

    counter: int  # 0 where the authenticator does not count
    origin: str


def passkey_digest(person: PersonId, passkey: Passkey) -> str:
    """What a person signs with the key on file to enrol a passkey: hex SHA-256 over whose, which key, which domain."""
    signed = {
        "domain": passkey.domain,
        "id": passkey.id,
        "isogenic": "passkey/1",
        "key": passkey.key,
        "person": str(person),
        "title": codec.plain(passkey.title),
    }
    return sha256(codec.dumps(signed)).hexdigest()


def check_key(passkey: Passkey) -> PublicKey:
    """The passkey's public key, if it is of a kind that can be verified here: ECDSA on P-256, Ed25519 or RSA."""
    try:
        key = load_der_public_key(passkey.der())
    except (ValueError, UnsupportedAlgorithm) as trouble:
        raise NotValid("cannot use this passkey", why="its key is not a public key in DER") from trouble
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    if isinstance(key, ed25519.Ed25519PublicKey) or (isinstance(key, rsa.RSAPublicKey) and key.key_size >= RSA_BITS_MIN):
        return key
    raise NotValid("cannot use this passkey", why="its key is neither ECDSA on P-256, nor Ed25519, nor RSA of at least 2,048 bits")


def host_of(origin: str) -> str:
    """The host of a page that may use passkeys: HTTPS, or this very machine. Else nothing."""
    try:
        parts = urlsplit(origin)
        host = parts.hostname or ""
        plain = f"{parts.scheme}://{parts.netloc}" == origin and "@" not in parts.netloc
    except ValueError:
        return ""
    return host if plain and (parts.scheme == "https" or (parts.scheme == "http" and host == LOCAL)) else ""


def is_within(host: str, domain: str) -> bool:
    """Whether a host is the domain or under it."""
    return host == domain or host.endswith("." + domain)


def verify_evidence(passkey: Passkey, evidence: PasskeyEvidence, *, signature: str, challenge: bytes) -> Assertion:
    """Raise `NotTrusted` unless this passkey signed this challenge, on a page of its domain, for a person that it verified."""
    refused = f"passkey {passkey.id[:16]}… refused"
    data, client, signed = (_bytes(text, refused) for text in (evidence.authenticator_data, evidence.client_data, signature))
    if evidence.credential != passkey.id:
        raise NotTrusted(refused, why="the signature names another passkey")
    said = _client_data(client, refused)
    # The bytes of a challenge have one spelling in base64url without padding (RFC 4648, 5).
    if said.get("type") != "webauthn.get" or said.get("challenge") != base64.urlsafe_b64encode(challenge).rstrip(b"=").decode():
        raise NotTrusted(refused, why="it answered another challenge: what was signed is something else")
    origin = said.get("origin")
    if said.get("crossOrigin", False) is not False or not isinstance(origin, str) or not is_within(host_of(origin), passkey.domain):
        raise NotTrusted(refused, why=f"it was used on another page than one of {passkey.domain}")
    if len(data) < HEAD_BYTES or data[:32] != sha256(passkey.domain.encode()).digest():
        raise NotTrusted(refused, why=f"the authenticator was asked by another domain than {passkey.domain}")
    if data[32] & (PRESENT | VERIFIED) != PRESENT | VERIFIED:
        raise NotTrusted(refused, why="the authenticator did not verify the person")
    try:
        _verify(check_key(passkey), signed, data + sha256(client).digest())
    except (InvalidSignature, NotValid) as trouble:
        raise NotTrusted(refused, why="its signature does not verify with the key on file") from trouble
    return Assertion(int.from_bytes(data[33:37], "big"), origin)


def _verify(key: PublicKey, signature: bytes, data: bytes) -> None:
    match key:
        case ec.EllipticCurvePublicKey():
            key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
        case ed25519.Ed25519PublicKey():
            key.verify(signature, data)
        case rsa.RSAPublicKey():
            key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())


def _client_data(client: bytes, refused: str) -> dict[str, object]:
    try:
        said = json.loads(client.decode())  # the browser's JSON, which is not of our canonical form
    except (ValueError, RecursionError) as trouble:
        raise NotTrusted(refused, why="its client data are not JSON") from trouble
    if not isinstance(said, dict):
        raise NotTrusted(refused, why="its client data are not a JSON object")
    return said


def _bytes(text: str, refused: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as trouble:
        raise NotTrusted(refused, why="it is malformed") from trouble
    if len(data) > FIELD_BYTES_MAX:
        raise NotTrusted(refused, why=f"a part of it has more than {FIELD_BYTES_MAX} bytes")
    return data
