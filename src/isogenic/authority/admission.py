"""How a facility joins a network: a request that it brings, an admission that it takes home. Public parts only.

    at the site         keys are made there and stay there; the request has their public parts, each proved
    by telephone        both sides read the request's fingerprint to one another
    at the control site the authority issues the certificate; the directory gets the site
    by telephone        both sides read the network's fingerprint to one another
    at the site         the admission is taken: whom to trust, where to call, the certificate

Guarantees: a request that reads back was signed by each of the keys that it names; its fingerprint covers all of it; the
network's fingerprint covers its name, its authority and the control site's keys, so it is the same for every site.
Leaves to others: files (sites.joining, network.admission), X.509 (records.tls).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from hashlib import sha256

from isogenic.authority.people import NodeKeys, Role
from isogenic.errors import NotTrusted, NotValid
from isogenic.ids import PersonId, SiteId, SponsorId
from isogenic.records import codec
from isogenic.records.notes import Signer, VerifyingKey

__all__ = [
    "Admission",
    "PersonRequest",
    "SiteRequest",
    "check_request",
    "fingerprint_of",
    "network_fingerprint",
    "proved",
    "read_request",
    "same_fingerprint",
]

REQUEST, PERSON, ADMISSION = "isogenic-site-request/1", "isogenic-person-request/1", "isogenic-admission/1"


@dataclass(frozen=True, slots=True)
class SiteRequest:
    """What a facility asks to be admitted with."""

    isogenic: str
    network: str
    site: SiteId
    title: str
    sponsors: tuple[SponsorId, ...]
    latitude: float
    longitude: float
    csr: str  # PKCS #10, PEM
    ledger: str  # vkey
    witness: str  # vkey
    ledger_proof: str = ""  # base64: the ledger key's signature over all of the above
    witness_proof: str = ""


@dataclass(frozen=True, slots=True)
class PersonRequest:
    """Somebody with an account at a facility, to be put on file."""

    isogenic: str
    network: str
    site: SiteId
    person: PersonId
    printed_name: str
    roles: tuple[Role, ...]
    key: str  # vkey of the personal key


@dataclass(frozen=True, slots=True)
class Admission:
    """What a facility takes home: whom it trusts from here on, where it calls, and its certificate."""

    isogenic: str
    network: str
    site: SiteId
    control: NodeKeys
    control_url: str
    certificate: str  # PEM
    authority: str  # PEM


def _groups(digest: bytes) -> str:
    text = digest.hex()[:32]
    return " ".join(text[at : at + 4] for at in range(0, 32, 4))


def fingerprint_of(request: SiteRequest | PersonRequest) -> str:
    """SHA-256 of the whole request, as people read it over a telephone."""
    return _groups(sha256(codec.dumps(codec.plain(request))).digest())


def network_fingerprint(network: str, authority: bytes, control: NodeKeys) -> str:
    """SHA-256 of a network's name, its authority's certificate and the control site's two keys."""
    return _groups(sha256(b"isogenic-network/1\n" + codec.dumps([network, sha256(authority).hexdigest(), control.ledger, control.witness])).digest())


def same_fingerprint(given: str, found: str) -> bool:
    """Whether these are the same, however they were grouped and typed."""
    return "".join(given.split()).lower() == "".join(found.split()).lower()


def _unproved(request: SiteRequest) -> bytes:
    return b"isogenic-proof/1\n" + codec.dumps(codec.plain(replace(request, ledger_proof="", witness_proof="")))


def proved(request: SiteRequest, *, ledger: Signer | None, witness: Signer) -> SiteRequest:
    """The request with each key's own signature: nobody asks with somebody else's key.

    Without the ledger key, which a site that has rotated it has no more, a request can only renew a certificate.
    """
    said = _unproved(request)
    ledger_proof = base64.b64encode(ledger.sign(said)).decode() if ledger else ""
    return replace(request, ledger_proof=ledger_proof, witness_proof=base64.b64encode(witness.sign(said)).decode())


def check_request(request: SiteRequest, *, network: str, renewing: bool = False) -> None:
    """Raise unless the request is for this network and each of its keys has signed it; to renew a certificate, the witness key."""
    if request.network != network:
        raise NotValid(f"request of {request.site} refused", why=f"it is for the network {request.network[:60]!r}, this is {network!r}")
    asked = (
        [(request.witness, request.witness_proof)] if renewing else [(request.ledger, request.ledger_proof), (request.witness, request.witness_proof)]
    )
    for text, proof in asked:
        try:
            VerifyingKey.parse(text).verify(base64.b64decode(proof, validate=True), _unproved(request))
        except (NotTrusted, binascii.Error, ValueError) as trouble:
            raise NotTrusted(f"request of {request.site} refused", why="one of its keys has not signed it") from trouble


def read_request(data: bytes) -> SiteRequest | PersonRequest:
    """Read a request of either kind."""
    plain = codec.loads(data, what="a request")
    kind = plain.get("isogenic") if isinstance(plain, dict) else None
    if kind == REQUEST:
        return codec.read(SiteRequest, plain, what="request")
    if kind == PERSON:
        return codec.read(PersonRequest, plain, what="request")
    raise NotValid("cannot read a request", why=f"it does not say that it is {REQUEST} or {PERSON}")
